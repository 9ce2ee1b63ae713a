#include "support/crash_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

const char *const load_names[KINDS] = {"chain",   "map",    "retry", "wait",    "cancelled",
                                       "signals", "family", "saga",  "retried", "errand"};

static const char *const definitions[KINDS] = {
    "{\"id\":\"chain\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"add\",\"with\":{\"to\":\"${input.n}\"}},"
    "{\"id\":\"b\",\"executor\":\"add\",\"depends_on\":[\"a\"],\"with\":{\"to\":\"${steps.a.output}"
    "\"}},"
    "{\"id\":\"c\",\"executor\":\"noop\",\"depends_on\":[\"b\"],\"with\":\"${steps.b.output}\"},"
    "{\"id\":\"d\",\"executor\":\"add\",\"depends_on\":[\"c\"],\"with\":{\"to\":\"${steps.c.output "
    "+ 1}\"}}],"
    "\"output\":\"${steps.d.output}\"}",
    "{\"id\":\"map\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"list\",\"executor\":\"lua\",\"with\":{\"code\":\"local t = {} for i = 1, 40 do t[i] "
    "= input.n + i end "
    "return t\"}},"
    "{\"id\":\"each\",\"executor\":\"add\",\"depends_on\":[\"list\"],\"for_each\":\"${steps.list."
    "output}\","
    "\"max_parallel\":7,\"with\":{\"to\":\"${item}\"}},"
    "{\"id\":\"sum\",\"executor\":\"lua\",\"depends_on\":[\"each\"],\"with\":{\"code\":\"local s = "
    "0 for _, v in "
    "ipairs(steps.each.output) do s = s + v end return s\"}}],"
    "\"output\":\"${steps.sum.output}\"}",
    "{\"id\":\"retry\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"flaky\",\"with\":{\"to\":\"${input.n}\"},\"retry\":{\"max_"
    "attempts\":5,"
    "\"initial_interval\":\"3ms\",\"jitter\":0}},"
    "{\"id\":\"b\",\"executor\":\"add\",\"depends_on\":[\"a\"],\"when\":\"steps.a.output > "
    "0\",\"with\":{\"to\":\"${"
    "steps.a.output}\"}}],"
    "\"output\":\"${steps.b.output}\"}",
    "{\"id\":\"wait\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"add\",\"with\":{\"to\":\"${input.n}\"}},"
    "{\"id\":\"w\",\"executor\":\"wait\",\"depends_on\":[\"a\"],\"with\":{\"duration\":\"25ms\"}},"
    "{\"id\":\"b\",\"executor\":\"add\",\"depends_on\":[\"w\"],\"with\":{\"to\":\"${steps.a.output}"
    "\"}}],"
    "\"output\":\"${steps.b.output}\"}",
    "{\"id\":\"cancelled\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"add\",\"with\":{\"to\":\"${input.n}\"}},"
    "{\"id\":\"w\",\"executor\":\"wait\",\"depends_on\":[\"a\"],\"with\":{\"duration\":\"1h\"}}]}",
    /* Two signals, each with a number of its own: consumed once, the older one first. */
    "{\"id\":\"signals\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"add\",\"with\":{\"to\":\"${input.n}\"}},"
    "{\"id\":\"v\",\"executor\":\"wait\",\"depends_on\":[\"a\"],\"with\":{\"signal\":\"go\"}},"
    "{\"id\":\"w\",\"executor\":\"wait\",\"depends_on\":[\"v\"],\"with\":{\"signal\":\"go\","
    "\"timeout\":\"1h\"}},"
    "{\"id\":\"b\",\"executor\":\"add\",\"depends_on\":[\"w\"],\"with\":{\"to\":\"${steps.a.output}"
    "\"}}],"
    "\"output\":[\"${steps.b.output}\",\"${steps.v.output}\",\"${steps.w.output}\"]}",
    "{\"id\":\"family\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"each\",\"executor\":\"workflow\",\"for_each\":[0,1,2],"
    "\"with\":{\"workflow\":\"chain\",\"version\":\"^1\",\"inputs\":{\"n\":\"${input.n + "
    "item}\"}}},"
    "{\"id\":\"sum\",\"executor\":\"lua\",\"depends_on\":[\"each\"],\"with\":{\"code\":\"local s = "
    "0 for _, v in "
    "ipairs(steps.each.output) do s = s + v end return s\"}}],"
    "\"output\":\"${steps.sum.output}\"}",
    "{\"id\":\"saga\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"add\",\"with\":{\"to\":\"${input.n}\"},"
    "\"compensate\":{\"executor\":\"undo\",\"with\":{\"to\":\"${steps.a.output}\"}}},"
    "{\"id\":\"b\",\"executor\":\"add\",\"depends_on\":[\"a\"],\"with\":{\"to\":\"${steps.a.output}"
    "\"},"
    "\"compensate\":{\"executor\":\"undo\",\"with\":{\"to\":\"${steps.b.output}\"}}},"
    "{\"id\":\"c\",\"executor\":\"broken\",\"depends_on\":[\"b\"]},"
    "{\"id\":\"d\",\"executor\":\"add\",\"depends_on\":[\"c\"],\"with\":{\"to\":0},"
    "\"compensate\":{\"executor\":\"undo\",\"with\":{\"to\":0}}}]}",
    /* Fails in its first run, and is retried from there. */
    "{\"id\":\"retried\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"add\",\"with\":{\"to\":\"${input.n}\"}},"
    "{\"id\":\"b\",\"executor\":\"second\",\"depends_on\":[\"a\"],\"with\":{\"to\":\"${steps.a."
    "output}\"}}],"
    "\"output\":\"${steps.b.output}\"}",
    /* Its task starts a chain and passes on what comes of it, and another child that only its end ends. */
    "{\"id\":\"errand\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"errand\",\"with\":{\"n\":\"${input.n}\"},"
    "\"retry\":{\"max_attempts\":9}},"
    "{\"id\":\"w\",\"executor\":\"wait\",\"depends_on\":[\"a\"],\"with\":{\"duration\":\"9ms\"}}],"
    "\"output\":\"${steps.a.output}\"}",
};

static const char leftover[] =
    "{\"id\":\"leftover\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"w\",\"executor\":\"wait\",\"with\":{\"signal\":\"never\"}}]}";

/* ---- the side log ---------------------------------------------------------------------------------------- */

static int side_log = -1;

void load_say(const char *word, const char *key, long number)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s %s %ld %d\n", word, key, number, (int)getpid());

    CHECK(write(side_log, line, (size_t)n) == n, "side log: %s", strerror(errno));
}

void load_open_log(const char *dir)
{
    char path[8192];

    snprintf(path, sizeof path, "%s/side.log", dir);
    side_log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    CHECK(side_log >= 0, "%s: %s", path, strerror(errno));
}

/* ---- executors ------------------------------------------------------------------------------------------- */

static long number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    CHECK(at, "no %s in %s", key, text);
    return strtol(at + strlen(key), NULL, 10);
}

static void succeed(orch_task *task)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld",
                     number_after(orch_task_input(task, NULL), "\"to\":") + 1);

    CHECK(orch_task_complete(task, text, (size_t)n, NULL) == ORCH_OK, "complete");
}

static void say_start(const orch_task *task)
{
    load_say("start", orch_task_idempotency_key(task), orch_task_attempt(task));
}

/* Also `undo`: the keys tell them apart. */
static void add(void *user_data, orch_task *task)
{
    (void)user_data;
    say_start(task);
    succeed(task);
}

static void flaky(void *user_data, orch_task *task)
{
    (void)user_data;
    say_start(task);
    if (orch_task_attempt(task) < 3)
        orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "not yet");
    else
        succeed(task);
}

static void broken(void *user_data, orch_task *task)
{
    (void)user_data;
    say_start(task);
    orch_task_fail(task, ORCH_E_INTERNAL, 0, "as it should");
}

static bool is_first_run(const orch_task *task)
{
    const char *key = orch_task_idempotency_key(task);

    return !strncmp(key + strlen(orch_task_execution(task)), "/1/", 3);
}

static void second(void *user_data, orch_task *task)
{
    (void)user_data;
    say_start(task);
    if (is_first_run(task))
        orch_task_fail(task, ORCH_E_INTERNAL, 0, "in its first run");
    else
        succeed(task);
}

static void child_accepted(void *task, orch_execution *child, orch_error *error)
{
    if (error)
        orch_task_fail(task, orch_error_code(error), 1, orch_error_message(error));
    orch_execution_free(child);
    orch_error_free(error);
}

static void child_ended(void *task, orch_response *end)
{
    size_t len;
    const char *output = orch_response_output(end, &len);

    if (orch_response_state(end) == ORCH_EXECUTION_SUCCEEDED)
        orch_task_complete(task, output, len, NULL);
    else
        orch_task_fail(task, ORCH_E_INTERNAL, 0, "its chain did not succeed");
    orch_response_free(end);
}

static void errand(void *subworkflows, orch_task *task)
{
    orch_child_options *left = orch_child_options_new();
    orch_error *error = NULL;
    size_t len;
    const char *input = orch_task_input(task, &len);
    int32_t rc;

    say_start(task);
    orch_child_options_set_key(left, "left");
    rc = orch_subworkflows_start(subworkflows, task, "leftover", NULL, 0, NULL, left, NULL, &error);
    orch_child_options_free(left);
    if (!rc)
        rc = orch_subworkflows_start_async(subworkflows, task, "chain", input, len, NULL, NULL,
                                           child_accepted, child_ended, task, NULL, &error);
    if (rc)
        orch_task_fail(task, rc, 1, orch_error_message(error));
    orch_error_free(error);
}

static void define_workflow(orch_v2 *orch, const char *text)
{
    orch_error *error = NULL;

    CHECK(orch_v2_register_definition(orch, text, strlen(text), &error) == 0, "%s",
          orch_error_message(error));
}

void load_define(orch_v2 *orch)
{
    static const struct {
        const char *name;
        orch_task_fn fn;
    } executors[] = {
        {"add", add},       {"undo", add},      {"flaky", flaky},
        {"broken", broken}, {"second", second}, {"errand", errand},
    };
    orch_error *error = NULL;

    for (size_t i = 0; i < sizeof executors / sizeof *executors; i++)
        CHECK(orch_engine_register_executor(orch_v2_local_engine(orch), executors[i].name,
                                            executors[i].fn, orch_v2_subworkflows(orch), NULL,
                                            &error) == 0,
              "%s", orch_error_message(error));
    for (int i = 0; i < KINDS; i++)
        define_workflow(orch, definitions[i]);
    define_workflow(orch, leftover);
}

int load_ends_by_itself(enum kind k)
{
    return k != CANCELLED && k != SIGNALS && k != RETRIED;
}

/* ---- help from outside ----------------------------------------------------------------------------------- */

/* What is done to an execution that is found. */
typedef void (*help_fn)(orch_v2 *orch, const char *id);

static void help_cancel(orch_v2 *orch, const char *id)
{
    if (orch_v2_cancel(orch, id, NULL, NULL) == ORCH_OK)
        load_say("cancel", id, 0);
}

/* Each signal has a number that rises, also from one process to the next. */
static void help_signal(orch_v2 *orch, const char *id)
{
    static long last;
    char payload[32];
    int n;

    last = last ? last + 1 : (long)getpid() * 100000;
    n = snprintf(payload, sizeof payload, "%ld", last);
    if (orch_v2_signal(orch, id, "go", payload, (size_t)n, NULL, NULL, NULL) == ORCH_OK)
        load_say("signal", id, last);
}

static void help_pause(orch_v2 *orch, const char *id)
{
    orch_v2_pause(orch, id, NULL, NULL);
}

static void help_resume(orch_v2 *orch, const char *id)
{
    orch_v2_resume(orch, id, NULL, NULL);
}

static void help_retry(orch_v2 *orch, const char *id)
{
    if (orch_v2_retry(orch, id, NULL, NULL) == ORCH_OK)
        load_say("renew", id, 0);
}

static const struct help {
    enum kind kind;
    bool ended; /* of those that failed; else of those that are open */
    bool last;  /* also when everything is to come to its end */
    help_fn fn;
} helps[] = {
    {CANCELLED, false, true, help_cancel}, {SIGNALS, false, true, help_signal},
    {WAIT, false, false, help_pause},      {WAIT, false, true, help_resume},
    {RETRIED, true, true, help_retry},
};

static void apply(orch_v2 *orch, const struct help *h, int all)
{
    orch_filter *filter = orch_filter_new();
    orch_execution_list *list = NULL;
    orch_error *error = NULL;

    orch_filter_set(filter, "workflow", load_names[h->kind], NULL);
    orch_filter_set(filter, "state", h->ended ? "failed" : "pending", NULL);
    if (!h->ended) {
        orch_filter_set(filter, "state", "running", NULL);
        orch_filter_set(filter, "state", "suspended", NULL);
    }
    orch_filter_set(filter, "limit", all ? "10000" : "20", NULL);
    CHECK(orch_v2_list_executions(orch, filter, &list, &error) == 0, "%s",
          orch_error_message(error));
    for (size_t i = 0; i < orch_execution_list_count(list); i++)
        if (all || rand() % 3)
            h->fn(orch, orch_response_id(orch_execution_list_get(list, i)));
    orch_execution_list_free(list);
    orch_filter_free(filter);
}

void load_help(orch_v2 *orch, int all)
{
    for (size_t i = 0; i < sizeof helps / sizeof *helps; i++)
        if (!all || helps[i].last)
            apply(orch, &helps[i], all);
}

static size_t count(orch_v2 *orch, const char *workflow, const char *const *states, int n)
{
    orch_filter *filter = orch_filter_new();
    orch_execution_list *list = NULL;
    orch_error *error = NULL;
    size_t found;

    if (workflow)
        orch_filter_set(filter, "workflow", workflow, NULL);
    for (int i = 0; i < n; i++)
        orch_filter_set(filter, "state", states[i], NULL);
    orch_filter_set(filter, "limit", "10000", NULL);
    CHECK(orch_v2_list_executions(orch, filter, &list, &error) == 0, "%s",
          orch_error_message(error));
    found = orch_execution_list_count(list);
    orch_execution_list_free(list);
    orch_filter_free(filter);
    return found;
}

size_t load_count_open(orch_v2 *orch)
{
    static const char *const open_states[] = {"pending", "running", "suspended"};
    static const char *const failed[] = {"failed"};

    return count(orch, NULL, open_states, 3) + count(orch, load_names[RETRIED], failed, 1);
}

/* ---- right ends ------------------------------------------------------------------------------------------ */

static long expected(enum kind k, long n)
{
    switch (k) {
    case CHAIN:
    case ERRAND: return n + 4;
    case MAP: return 40 * n + 40 * 41 / 2 + 40;
    case FAMILY: return 3 * n + 3 + 3 * 4;
    default: return n + 2;
    }
}

static void judge_signals(const char *id, const char *output, long n)
{
    long value = 0, first = 0, later = 0;

    CHECK(sscanf(output, "[%ld,%ld,%ld]", &value, &first, &later) == 3, "%s (signals): output %s",
          id, output);
    CHECK(value == n + 2, "%s (signals): output %s", id, output);
    CHECK(first && later && first != later, "%s (signals): a signal was consumed twice: %s", id,
          output);
}

static void judge_output(enum kind k, const char *id, const char *output, long n)
{
    char right[32];

    if (k == SIGNALS) {
        judge_signals(id, output, n);
        return;
    }
    snprintf(right, sizeof right, "%ld", expected(k, n));
    CHECK(!strcmp(output, right), "%s (%s): output %s, not %s", id, load_names[k], output, right);
}

void load_judge(orch_v2 *orch, enum kind k, const char *id, long n)
{
    int32_t right = k == CANCELLED ? ORCH_EXECUTION_CANCELLED
                    : k == SAGA    ? ORCH_EXECUTION_FAILED
                                   : ORCH_EXECUTION_SUCCEEDED;
    orch_response *r = NULL;
    orch_error *error = NULL;

    CHECK(orch_v2_get_execution(orch, id, &r, &error) == 0, "%s was accepted and is lost: %s", id,
          orch_error_message(error));
    CHECK(orch_response_state(r) == right, "%s (%s) ended %s: %s", id, load_names[k],
          orch_execution_state_name(orch_response_state(r)),
          orch_response_error(r, NULL) ? orch_response_error(r, NULL) : "");
    if (right == ORCH_EXECUTION_SUCCEEDED)
        judge_output(k, id, orch_response_output(r, NULL), n);
    orch_response_free(r);
}
