/* The crash test's load: cancels, signals, pauses, retries, reruns, forks, priorities, and control over many at a time. */
#include "support/crash_load.h"

#include <string.h>
#include <unistd.h>
#include <uthash.h>

static void urgent_prepare(orch_start_options *o, long n, char *input)
{
    (void)input;
    orch_start_options_set_priority(o, (int32_t)(n % 10));
}

static void forked_prepare(orch_start_options *o, long n, char *input)
{
    (void)n;
    (void)input;
    orch_start_options_set_version(o, "1.0.0");
}

static void judge_signals(const orch_response *end, long n)
{
    const char *output = orch_response_output(end, NULL);
    long value = 0, first = 0, later = 0;

    CHECK(sscanf(output, "[%ld,%ld,%ld]", &value, &first, &later) == 3 && value == n + 2,
          "%s (signals): output %s", orch_response_id(end), output);
    CHECK(first && later && first != later, "%s (signals): a signal was consumed twice: %s",
          orch_response_id(end), output);
}

static const load_kind kinds[] = {
    {.name = "cancelled",
     .end = ORCH_EXECUTION_CANCELLED,
     .needs_help = true,
     .definition = "{'id':'cancelled','version':'1.0.0','steps':["
                   "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
                   "{'id':'w','executor':'wait','depends_on':['a'],'with':{'duration':'1h'}}]}"},
    /* The same, all at a time. */
    {.name = "many",
     .end = ORCH_EXECUTION_CANCELLED,
     .needs_help = true,
     .definition = "{'id':'many','version':'1.0.0','steps':["
                   "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
                   "{'id':'w','executor':'wait','depends_on':['a'],'with':{'duration':'1h'}}]}"},
    /* Two signals, each with a number of its own: consumed once, the older one first. */
    {.name = "signals",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .needs_help = true,
     .judge = judge_signals,
     .definition =
         "{'id':'signals','version':'1.0.0','steps':["
         "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
         "{'id':'v','executor':'wait','depends_on':['a'],'with':{'signal':'go'}},"
         "{'id':'w','executor':'wait','depends_on':['v'],'with':{'signal':'go','timeout':'1h'}},"
         "{'id':'b','executor':'add','depends_on':['w'],'with':{'to':'${steps.a.output}'}}],"
         "'output':['${steps.b.output}','${steps.v.output}','${steps.w.output}']}"},
    /* Fails in its first run, and is retried from there. */
    {.name = "retried",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .needs_help = true,
     .factor = 1,
     .plus = 2,
     .definition =
         "{'id':'retried','version':'1.0.0','steps':["
         "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
         "{'id':'b','executor':'second','depends_on':['a'],'with':{'to':'${steps.a.output}'}}],"
         "'output':'${steps.b.output}'}"},
    /* Succeeds, and some are run again from `b`. */
    {.name = "again",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 2,
     .definition =
         "{'id':'again','version':'1.0.0','steps':["
         "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
         "{'id':'b','executor':'add','depends_on':['a'],'with':{'to':'${steps.a.output}'}}],"
         "'output':'${steps.b.output}'}"},
    /* Fails, and some go on as others on version 2. */
    {.name = "forked",
     .end = ORCH_EXECUTION_FAILED,
     .prepare = forked_prepare,
     .definition = "{'id':'forked','version':'1.0.0','steps':["
                   "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
                   "{'id':'b','executor':'broken','depends_on':['a']}]}"},
    {.name = "urgent",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 2,
     .prepare = urgent_prepare,
     .definition =
         "{'id':'urgent','version':'1.0.0','steps':["
         "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
         "{'id':'w','executor':'wait','depends_on':['a'],'with':{'duration':'40ms'}},"
         "{'id':'b','executor':'add','depends_on':['w'],'with':{'to':'${steps.a.output}'}}],"
         "'output':'${steps.b.output}'}"},
};

static const char forked_2[] =
    "{'id':'forked','version':'2.0.0','steps':["
    "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
    "{'id':'b','executor':'add','depends_on':['a'],'with':{'to':'${steps.a.output}'}}],"
    "'output':'${steps.b.output}'}";

static void second(void *user_data, orch_task *task)
{
    (void)user_data;
    load_say_start(task);
    if (load_is_first_run(task))
        orch_task_fail(task, ORCH_E_INTERNAL, 0, "in its first run");
    else
        load_succeed(task);
}

static void define(orch_v2 *orch)
{
    load_executor(orch, "second", second, NULL);
    load_register(orch, forked_2);
}

/* ---- help ------------------------------------------------------------------------------------------------ */

static void help_cancel(orch_v2 *orch, const orch_response *r)
{
    if (orch_v2_cancel(orch, orch_response_id(r), NULL, NULL) == ORCH_OK)
        load_say("cancel", orch_response_id(r), 0);
}

/* Each signal has a number that rises, also from one process to the next. */
static void help_signal(orch_v2 *orch, const orch_response *r)
{
    static long last;
    char payload[32];
    int n;

    last = last ? last + 1 : (long)getpid() * 100000;
    n = snprintf(payload, sizeof payload, "%ld", last);
    if (orch_v2_signal(orch, orch_response_id(r), "go", payload, (size_t)n, NULL, NULL, NULL) ==
        ORCH_OK)
        load_say("signal", orch_response_id(r), last);
}

static void help_pause(orch_v2 *orch, const orch_response *r)
{
    orch_v2_pause(orch, orch_response_id(r), NULL, NULL);
}

static void help_resume(orch_v2 *orch, const orch_response *r)
{
    orch_v2_resume(orch, orch_response_id(r), NULL, NULL);
}

static void help_retry(orch_v2 *orch, const orch_response *r)
{
    if (orch_v2_retry(orch, orch_response_id(r), NULL, NULL) == ORCH_OK)
        load_say("renew", orch_response_id(r), 0);
}

static void help_rerun(orch_v2 *orch, const orch_response *r)
{
    if (orch_response_run(r) == 1 &&
        orch_v2_rerun(orch, orch_response_id(r), "b", NULL, NULL) == ORCH_OK)
        load_say("rerun", orch_response_id(r), 0);
}

static void help_fork(orch_v2 *orch, const orch_response *r)
{
    char id[LOAD_ID_ROOM + 4];
    orch_error *error = NULL;
    int32_t rc;

    if (strstr(orch_response_id(r), "-f"))
        return;
    snprintf(id, sizeof id, "%s-f", orch_response_id(r));
    rc = orch_v2_fork(orch, orch_response_id(r), id, "2.0.0", NULL, NULL, NULL, &error);
    CHECK(rc == 0 || rc == ORCH_E_ALREADY_EXISTS, "fork of %s: %s", orch_response_id(r),
          orch_error_message(error));
    load_say("fork", id, load_input_number(r)); /* it was there before the kill, or is now */
    orch_error_free(error);
}

static void help_priority(orch_v2 *orch, const orch_response *r)
{
    int32_t priority = rand() % 10;

    load_say("priority?", orch_response_id(r), priority);
    if (orch_v2_set_priority(orch, orch_response_id(r), priority, NULL, NULL) == ORCH_OK)
        load_say("priority", orch_response_id(r), priority);
}

static void help_many(orch_v2 *orch)
{
    orch_filter *filter = orch_filter_new();
    orch_error *error = NULL;
    uint64_t done, refused;

    orch_filter_set(filter, "workflow", "many", NULL);
    CHECK(orch_v2_control_matching(orch, filter, rand() % 2 ? "cancel" : "terminate", NULL, NULL,
                                   &done, &refused, &error) == 0,
          "many: %s", orch_error_message(error));
    load_say("bulk", "many", (long)done);
    orch_filter_free(filter);
}

static void help(orch_v2 *orch, bool all)
{
    load_apply(orch, "cancelled", "open", all, help_cancel);
    load_apply(orch, "signals", "open", all, help_signal);
    load_apply(orch, "retried", "failed", all, help_retry);
    load_apply(orch, "wait", "open", all, help_resume);
    if (all || rand() % 4 == 0)
        help_many(orch);
    if (all)
        return;
    load_apply(orch, "wait", "open", false, help_pause);
    load_apply(orch, "again", "succeeded", false, help_rerun);
    load_apply(orch, "forked", "failed", false, help_fork);
    load_apply(orch, "urgent", "open", false, help_priority);
}

/* ---- the verdict ----------------------------------------------------------------------------------------- */

/* Of one whose priority was changed: the last that was acknowledged, and those asked for since. */
typedef struct changed {
    UT_hash_handle hh;
    char id[LOAD_ID_ROOM];
    unsigned may_be; /* bit n: n */
} changed;

static changed *priorities;

static void note_priority(const char *id, long priority, bool acknowledged)
{
    changed *c;

    HASH_FIND_STR(priorities, id, c);
    if (!c) {
        c = calloc(1, sizeof *c);
        CHECK(c, "memory");
        snprintf(c->id, sizeof c->id, "%s", id);
        c->may_be = ~0u; /* what it was started with */
        HASH_ADD_STR(priorities, id, c);
    }
    if (acknowledged)
        c->may_be = 0;
    c->may_be |= 1u << priority;
}

static void line(orch_v2 *orch, const char *word, const char *key, long number)
{
    orch_response *r = NULL;

    if (!strcmp(word, "priority") || !strcmp(word, "priority?")) {
        note_priority(key, number, !word[8]);
    } else if (!strcmp(word, "fork")) {
        load_expect_output(orch, key, number + 2);
    } else if (!strcmp(word, "rerun") || !strcmp(word, "renew")) {
        CHECK(orch_v2_get_execution(orch, key, &r, NULL) == 0 && orch_response_run(r) >= 2,
              "%s: its new run is lost", key);
        orch_response_free(r);
    } else if (!strcmp(word, "start")) {
        CHECK(!strstr(key, "-f/1/a"), "%s was taken over by the fork", key);
        CHECK(!strstr(key, "/2/a"), "%s was taken over from run 1", key);
    }
}

static void over(orch_v2 *orch)
{
    for (changed *c = priorities; c; c = c->hh.next) {
        orch_response *r = NULL;

        CHECK(orch_v2_get_execution(orch, c->id, &r, NULL) == 0, "%s is lost", c->id);
        CHECK(c->may_be >> orch_response_priority(r) & 1,
              "%s has priority %d, which it was not given", c->id, orch_response_priority(r));
        orch_response_free(r);
    }
}

const load_family load_controls = {
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof *kinds,
    .define = define,
    .help = help,
    .line = line,
    .over = over,
};
