/* The crash test's load: starts that are delayed, and starts with keys. */
#include "support/crash_load.h"

#include <inttypes.h>
#include <string.h>
#include <uthash.h>

static void delayed_prepare(orch_start_options *o, long n, char *input)
{
    int64_t at_ms = load_now_ms() + 20 + n % 40;

    orch_start_options_set_start_at(o, at_ms);
    snprintf(input, LOAD_INPUT_ROOM, "{\"n\":%ld,\"at\":%" PRId64 "}", n, at_ms);
}

static const load_kind kinds[] = {
    {.name = "delayed",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 1,
     .prepare = delayed_prepare,
     .definition =
         "{'id':'delayed','version':'1.0.0','steps':["
         "{'id':'a','executor':'not_early','with':{'to':'${input.n}','at':'${input.at}'}}],"
         "'output':'${steps.a.output}'}"},
};

static void not_early(void *user_data, orch_task *task)
{
    int64_t at_ms = load_number_after(orch_task_input(task, NULL), "\"at\":");

    (void)user_data;
    load_say_start(task);
    CHECK(load_now_ms() >= at_ms, "%s started %" PRId64 " ms too early", orch_task_execution(task),
          at_ms - load_now_ms());
    load_succeed(task);
}

static void define(orch_v2 *orch)
{
    load_executor(orch, "not_early", not_early, NULL);
}

/* ---- starts with keys: each key has its policy ------------------------------------------------------------- */

#define KEYS   24
#define TTL_MS 60

enum { RETURNS, REFUSES, ANEW, EXPIRES, POLICIES };

static int policy_of(int key)
{
    return key % POLICIES;
}

static void start_with_key(orch_v2 *orch)
{
    static const int policies[] = {ORCH_START_KEY_RETURN, ORCH_START_KEY_REFUSE,
                                   ORCH_START_KEY_ANEW, ORCH_START_KEY_REFUSE};
    int key = rand() % KEYS;
    long n = rand() % 1000;
    orch_start_options *o = orch_start_options_new();
    orch_execution *x = NULL;
    orch_error *error = NULL;
    char name[16], input[32], said[LOAD_ID_ROOM + 24];
    int32_t rc;

    snprintf(name, sizeof name, "key%d", key);
    snprintf(input, sizeof input, "{\"n\":%ld}", n);
    orch_start_options_set_start_key(o, name, policies[policy_of(key)],
                                     policy_of(key) == EXPIRES ? TTL_MS : 0);
    rc = orch_v2_start_workflow(orch, "chain", input, strlen(input), o, &x, &error);
    CHECK(rc == 0 ||
              (rc == ORCH_E_ALREADY_EXISTS && policies[policy_of(key)] == ORCH_START_KEY_REFUSE),
          "start with %s: %s", name, orch_error_message(error));
    if (!rc) {
        snprintf(said, sizeof said, "%s=%s", name, orch_execution_id(x));
        load_say("keyed", said, key);
        if (!orch_execution_existed(x))
            load_say("chain", orch_execution_id(x), n);
    }
    orch_execution_free(x);
    orch_error_free(error);
    orch_start_options_free(o);
}

static void help(orch_v2 *orch, bool all)
{
    for (int i = 0; !all && i < 4; i++)
        start_with_key(orch);
}

static char holders[KEYS][LOAD_ID_ROOM]; /* of keys that one execution has for ever */

static void line(orch_v2 *orch, const char *word, const char *key, long number)
{
    const char *id = strchr(key, '=');

    (void)orch;
    if (strcmp(word, "keyed") != 0 || !id || number >= KEYS)
        return;
    if (policy_of((int)number) == RETURNS || policy_of((int)number) == REFUSES) {
        CHECK(!*holders[number] || !strcmp(holders[number], id + 1), "key %ld has two: %s and %s",
              number, holders[number], id + 1);
        snprintf(holders[number], LOAD_ID_ROOM, "%s", id + 1);
    }
}

/* The oldest first. */
static void judge_key(const orch_execution_list *found, int key)
{
    size_t count = orch_execution_list_count(found);

    CHECK(!*holders[key] || count == 1, "key %d has %zu executions", key, count);
    for (size_t i = 1; i < count; i++) {
        const orch_response *before = orch_execution_list_get(found, i - 1);
        const orch_response *r = orch_execution_list_get(found, i);

        if (policy_of(key) == ANEW)
            CHECK(orch_response_accepted_ms(r) >= orch_response_ended_ms(before),
                  "key %d: %s was accepted before %s had ended", key, orch_response_id(r),
                  orch_response_id(before));
        else
            CHECK(orch_response_accepted_ms(r) >= orch_response_accepted_ms(before) + TTL_MS,
                  "key %d: %s was accepted while %s had the key", key, orch_response_id(r),
                  orch_response_id(before));
    }
}

static void over(orch_v2 *orch)
{
    for (int key = 0; key < KEYS; key++) {
        orch_filter *filter = orch_filter_new();
        orch_execution_list *found = NULL;
        orch_error *error = NULL;
        char name[16];

        snprintf(name, sizeof name, "key%d", key);
        orch_filter_set(filter, "workflow", "chain", NULL);
        orch_filter_set(filter, "start_key", name, NULL);
        orch_filter_set(filter, "order", "oldest", NULL);
        orch_filter_set(filter, "limit", "10000", NULL);
        CHECK(orch_v2_list_executions(orch, filter, &found, &error) == 0, "%s",
              orch_error_message(error));
        judge_key(found, key);
        orch_execution_list_free(found);
        orch_filter_free(filter);
    }
}

const load_family load_starts = {
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof *kinds,
    .define = define,
    .help = help,
    .line = line,
    .over = over,
};
