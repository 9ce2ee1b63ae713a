/* Goal: whatever a host does at a time or to a thing that does not allow it is answered with the right code and a message that
 * names the thing; and nothing has changed. (What is wrong in a call by itself, as NULL, is test_misuse's; in a
 * definition, test_bad_definitions'; what shows only when it runs, test_wrong_ends'.) */
#include "support/api_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the world: one execution in each state ----------------------------------------------------------------- */

static const char *const definitions[] = {
    "{'id':'flow','version':'1.0.0','steps':[{'id':'a','executor':'echo','with':1},"
    "{'id':'b','executor':'echo','depends_on':['a'],'with':2}]}",
    "{'id':'flow','version':'2.0.0','steps':[{'id':'a','executor':'echo','with':1}]}",
    "{'id':'failing','version':'1.0.0','steps':[{'id':'a','executor':'echo','with':1},"
    "{'id':'b','executor':'broken','depends_on':['a']}]}",
    "{'id':'gated','version':'1.0.0','steps':[{'id':'a','executor':'gate'}]}",
    "{'id':'declared','version':'1.0.0','inputs':{'n':{'type':'integer'},'word':{'type':'string',"
    "'default':'x'}},'steps':[{'id':'a','executor':'noop'}]}",
};

static latch gate = LATCH_INIT;
static orch_v2 *orch;
static char *export_text;
static size_t export_len;

static void broken(void *user_data, orch_task *task)
{
    (void)user_data;
    orch_task_fail(task, ORCH_E_INTERNAL, 0, "broken on purpose");
}

static int32_t start(const char *workflow, const char *id, const char *inputs, const char *version,
                     orch_error **err)
{
    orch_start_options *o = orch_start_options_new();
    int32_t rc = 0;

    if (id)
        rc = orch_start_options_set_id(o, id);
    if (!rc && version)
        rc = orch_start_options_set_version(o, version);
    if (!rc)
        rc = orch_v2_start_workflow(orch, workflow, inputs, inputs ? strlen(inputs) : 0, o, NULL,
                                    err);
    orch_start_options_free(o);
    return rc;
}

static int32_t keep(void *user_data, const char *text, size_t len)
{
    char *more = realloc(export_text, export_len + len + 1);

    (void)user_data;
    assert_non_null(more);
    export_text = more;
    memcpy(export_text + export_len, text, len);
    export_len += len;
    export_text[export_len] = '\0';
    return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------------- */

static orch_filter *filter(const char *key, const char *value)
{
    orch_filter *f = orch_filter_new();

    if (key)
        HOST_OK(orch_filter_set(f, key, value, &err));
    return f;
}

static int32_t list(const char *key, const char *value, orch_error **err)
{
    orch_filter *f = filter(key, value);
    orch_execution_list *found = NULL;
    int32_t rc = orch_v2_list_executions(orch, f, &found, err);

    orch_execution_list_free(found);
    orch_filter_free(f);
    return rc;
}

static int32_t set_filter(const char *key, const char *value, orch_error **err)
{
    orch_filter *f = orch_filter_new();
    int32_t rc = orch_filter_set(f, key, value, err);

    orch_filter_free(f);
    return rc;
}

static int32_t all(const char *key, const char *value, const char *action, const char *argument,
                   orch_error **err)
{
    orch_filter *f = filter(key, value);
    int32_t rc = orch_v2_control_matching(orch, f, action, argument, NULL, NULL, NULL, err);

    orch_filter_free(f);
    return rc;
}

static int32_t keyed(const char *workflow, int32_t policy, orch_error **err)
{
    orch_start_options *o = orch_start_options_new();
    int32_t rc = orch_start_options_set_start_key(o, "taken", policy, 0);

    if (!rc)
        rc = orch_v2_start_workflow(orch, workflow, NULL, 0, o, NULL, err);
    orch_start_options_free(o);
    return rc;
}

static int32_t signal_many(int n, orch_error **err)
{
    int32_t rc = 0;

    for (int i = 0; i < n && !rc; i++)
        rc = orch_v2_signal(orch, "held", "other", NULL, 0, NULL, NULL, err);
    return rc;
}

static int32_t import_changed(const char *from, const char *to, orch_error **err)
{
    char *text = malloc(export_len + 100), *at;
    size_t head;
    int32_t rc;

    at = strstr(export_text, from);
    assert_non_null(at);
    head = (size_t)(at - export_text);
    snprintf(text, export_len + 100, "%.*s%s%s", (int)head, export_text, to, at + strlen(from));
    rc = orch_v2_import_execution(orch, text, strlen(text), err);
    free(text);
    return rc;
}

static int32_t history(const char *id, uint32_t which, orch_error **err)
{
    orch_history *h = NULL;
    int32_t rc = orch_v2_get_run_history(orch, id, which, 0, 10, &h, err);

    orch_history_free(h);
    return rc;
}

static int32_t steps(const char *id, const char *step, orch_error **err)
{
    orch_steps *found = NULL;
    int32_t rc = orch_v2_get_steps(orch, id, 0, step, 0, 10, &found, err);

    orch_steps_free(found);
    return rc;
}

typedef struct wrong_key {
    const char *key, *value;
} wrong_key;

static int32_t build(orch_builder *builder, void *user_data, orch_error **err)
{
    const wrong_key *k = user_data;

    (void)err;
    orch_step_set(orch_builder_step(builder, "a", "noop", NULL), k->key, k->value);
    return 0;
}

static int32_t built(const char *key, const char *value, orch_error **err)
{
    wrong_key k = {key, value};

    return orch_v2_register_workflow(orch, "made", "1.0.0", build, &k, NULL, NULL, 0, err);
}

/* Another one than those that are there. */
static int32_t registered(const char *version, orch_error **err)
{
    char text[200];

    snprintf(
        text, sizeof text,
        "{\"id\":\"flow\",\"version\":\"%s\",\"steps\":[{\"id\":\"other\",\"executor\":\"noop\"}]}",
        version);
    return orch_v2_register_definition(orch, text, strlen(text), err);
}

#define ENDED   ORCH_E_FAILED_PRECONDITION
#define UNKNOWN ORCH_E_NOT_FOUND
#define BAD     ORCH_E_INVALID_ARGUMENT
#define EXISTS  ORCH_E_ALREADY_EXISTS
#define FULL    ORCH_E_RESOURCE_EXHAUSTED

#define WRONG(code, piece, call) HOST_FAILS(call, code, piece)

static void what_is_said_to_one(void **state)
{
    (void)state;
    WRONG(ENDED, "execution 'succeeded' has ended already (succeeded): it cannot",
          orch_v2_signal(orch, "succeeded", "go", NULL, 0, NULL, NULL, &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'",
          orch_v2_signal(orch, "nobody", "go", NULL, 0, NULL, NULL, &err));
    WRONG(BAD, "name is ''; it must be 1 to 128 of A-Z a-z 0-9 _ . - and not",
          orch_v2_signal(orch, "held", "", NULL, 0, NULL, NULL, &err));
    WRONG(BAD, "payload_json is not JSON: line 1 column 1: string or '}'",
          orch_v2_signal(orch, "held", "go", "{", 1, NULL, NULL, &err));
    WRONG(FULL, "execution 'held' has 8 signals waiting, or the store is full",
          signal_many(9, &err));
    WRONG(ENDED, "execution 'succeeded' has ended already (succeeded): it cannot",
          orch_v2_cancel(orch, "succeeded", NULL, &err));
    WRONG(ENDED, "execution 'cancelled' has ended already (cancelled): it cannot",
          orch_v2_cancel(orch, "cancelled", NULL, &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'", orch_v2_cancel(orch, "nobody", NULL, &err));
    WRONG(ENDED, "execution 'failed' has ended already (failed): it cannot take a",
          orch_v2_terminate(orch, "failed", NULL, &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'", orch_v2_terminate(orch, "nobody", NULL, &err));
    WRONG(ENDED, "execution 'succeeded' has ended already (succeeded): it cannot",
          orch_v2_pause(orch, "succeeded", NULL, &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'", orch_v2_pause(orch, "nobody", NULL, &err));
    WRONG(ENDED, "execution 'failed' has ended already (failed): it cannot take a",
          orch_v2_resume(orch, "failed", NULL, &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'", orch_v2_resume(orch, "nobody", NULL, &err));
    WRONG(ENDED, "execution 'succeeded' has ended already (succeeded): it cannot",
          orch_v2_set_priority(orch, "succeeded", 3, NULL, &err));
    WRONG(BAD, "priority is 10; it must be 0 to 9",
          orch_v2_set_priority(orch, "held", 10, NULL, &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'",
          orch_v2_set_priority(orch, "nobody", 3, NULL, &err));
}

static void new_runs_and_forks(void **state)
{
    (void)state;
    WRONG(ENDED, "execution 'succeeded' has succeeded: there is nothing to retry;",
          orch_v2_retry(orch, "succeeded", NULL, &err));
    WRONG(ENDED, "execution 'held' has not ended: it cannot take a retry",
          orch_v2_retry(orch, "held", NULL, &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'", orch_v2_retry(orch, "nobody", NULL, &err));
    WRONG(ENDED, "execution 'held' has not ended: it cannot take a rerun",
          orch_v2_rerun(orch, "held", "a", NULL, &err));
    WRONG(UNKNOWN, "workflow 'flow' 1.0.0 has no step 'z'",
          orch_v2_rerun(orch, "succeeded", "z", NULL, &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'",
          orch_v2_rerun(orch, "nobody", "a", NULL, &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'",
          orch_v2_fork(orch, "nobody", NULL, NULL, NULL, NULL, NULL, &err));
    WRONG(UNKNOWN, "workflow 'flow' has no version in the wanted range; its newest",
          orch_v2_fork(orch, "succeeded", NULL, "3.0.0", NULL, NULL, NULL, &err));
    WRONG(BAD, "'x.y' is not a range of versions: a number stands behind an x",
          orch_v2_fork(orch, "succeeded", NULL, "x.y", NULL, NULL, NULL, &err));
    WRONG(UNKNOWN, "version 2.0.0 of workflow 'flow' lacks the step 'b', which",
          orch_v2_fork(orch, "succeeded", NULL, "2.0.0", "b", NULL, NULL, &err));
    WRONG(UNKNOWN, "workflow 'flow' 1.0.0 has no step 'z'",
          orch_v2_fork(orch, "succeeded", NULL, NULL, "z", NULL, NULL, &err));
    WRONG(EXISTS, "an execution 'failed' exists already",
          orch_v2_fork(orch, "succeeded", "failed", NULL, NULL, NULL, NULL, &err));
    WRONG(BAD, "execution id has a character that is not allowed at byte 3;",
          orch_v2_fork(orch, "succeeded", "no spaces", NULL, NULL, NULL, NULL, &err));
}

static void starts(void **state)
{
    (void)state;
    WRONG(UNKNOWN, "no workflow 'nowhere' is registered", start("nowhere", NULL, NULL, NULL, &err));
    WRONG(UNKNOWN, "workflow 'flow' has no version in the wanted range; its newest",
          start("flow", NULL, NULL, "9.0.0", &err));
    WRONG(UNKNOWN, "workflow 'flow' has no version in the wanted range; its newest",
          start("flow", NULL, NULL, "^9", &err));
    WRONG(EXISTS, "an execution 'succeeded' exists already",
          start("flow", "succeeded", NULL, NULL, &err));
    WRONG(BAD, "inputs_json must be a JSON object", start("flow", NULL, "[1]", NULL, &err));
    WRONG(BAD, "inputs_json is not JSON: line 1 column 5: unexpected token near",
          start("flow", NULL, "{\"a\":", NULL, &err));
    WRONG(BAD, "inputs of workflow 'declared' 1.0.0: 'n' is missing; it must be",
          start("declared", NULL, "{}", NULL, &err));
    WRONG(BAD, "inputs of workflow 'declared' 1.0.0: 'n' must be an integer,",
          start("declared", NULL, "{\"n\":\"one\"}", NULL, &err));
    WRONG(BAD, "inputs of workflow 'declared' 1.0.0: 'm' is not declared;",
          start("declared", NULL, "{\"n\":1,\"m\":2}", NULL, &err));
    WRONG(EXISTS, "the start key 'taken' of workflow 'flow' was used before",
          keyed("flow", ORCH_START_KEY_REFUSE, &err));
}

static void lists_and_many(void **state)
{
    (void)state;
    WRONG(BAD, "filter 'stat' is not known; allowed are state, workflow,",
          set_filter("stat", "failed", &err));
    WRONG(BAD, "filter state is 'bad'; allowed is pending, running, suspended,",
          set_filter("state", "bad", &err));
    WRONG(BAD, "filter limit is '0'; allowed is a whole number from 1 to 10000",
          set_filter("limit", "0", &err));
    WRONG(BAD, "filter accepted_from_ms is 'yesterday'; allowed is a whole",
          set_filter("accepted_from_ms", "yesterday", &err));
    WRONG(BAD, "filter page is 'nonsense'; allowed is what", set_filter("page", "nonsense", &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'", list("parent", "nobody", &err));
    WRONG(BAD, "filter start_key needs a workflow: keys of different workflows",
          list("start_key", "taken", &err));
    WRONG(BAD, "the filter lets every execution pass; if that is meant, set its",
          all(NULL, NULL, "cancel", NULL, &err));
    WRONG(BAD, "action is 'stop'; it must be cancel, terminate, pause, resume,",
          all("workflow", "flow", "stop", NULL, &err));
    WRONG(BAD, "argument must not be NULL", all("workflow", "flow", "rerun", NULL, &err));
    WRONG(BAD, "argument is 'high'; it must be a priority, 0 to 9",
          all("workflow", "flow", "set_priority", "high", &err));
    WRONG(UNKNOWN, "after 0 that were done and 0 that refused: there is no",
          all("parent", "nobody", "cancel", NULL, &err));
}

static void looks_and_copies(void **state)
{
    (void)state;
    WRONG(UNKNOWN, "there is no execution 'nobody'", history("nobody", 0, &err));
    WRONG(UNKNOWN, "execution 'succeeded' has 1 run; there is no run 7",
          history("succeeded", 7, &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'", steps("nobody", NULL, &err));
    WRONG(UNKNOWN, "workflow 'flow' 1.0.0 has no step 'z'", steps("succeeded", "z", &err));
    WRONG(UNKNOWN, "there is no execution 'nobody'",
          orch_v2_export_execution(orch, "nobody", keep, NULL, &err));
    WRONG(EXISTS, "there is an execution 'succeeded' already",
          orch_v2_import_execution(orch, export_text, export_len, &err));
    WRONG(BAD, "line 2: not JSON: column 19: premature end of input near",
          orch_v2_import_execution(orch, export_text, export_len / 2, &err));
    WRONG(BAD, "line 3: workflow 'flow' 1.0.0 has no step 'q'",
          import_changed("\"step\":\"b\"", "\"step\":\"q\"", &err));
    WRONG(BAD, "line 3: seq does not follow the one before it in its run: they",
          import_changed("\"seq\":2", "\"seq\":5", &err));
    WRONG(UNKNOWN, "workflow 'flow' 4.0.0 is not registered",
          import_changed("\"version\":\"1.0.0\"", "\"version\":\"4.0.0\"", &err));
}

static void settings_and_definitions(void **state)
{
    (void)state;
    WRONG(BAD, "key must be 1 to 256 bytes of UTF-8 without control characters",
          orch_v2_set_limit(orch, "", NULL, NULL, &err));
    WRONG(BAD, "/steps/0/retry/max_attempts: step 'a': is 0; allowed are 1 to",
          built("retry", "{\"max_attempts\":0}", &err));
    WRONG(BAD, "/steps/0/when: step 'a': `input.`: expression:2: <name>",
          built("when", "\"input.\"", &err));
    WRONG(BAD, "/steps/0/colour: step 'a': 'colour' is no key of a step;",
          built("colour", "1", &err));
    WRONG(ENDED, "the orchestrator was not made by orch_testing_new: its time is",
          orch_testing_advance(orch, 1000, &err));
    WRONG(EXISTS, "an executor named 'gate' is registered already",
          orch_engine_register_executor(orch_v2_local_engine(orch), "gate", host_gate, &gate, NULL,
                                        &err));
    WRONG(BAD, "'noop' is a built-in executor (lua, exec, http, wait, workflow,",
          orch_engine_register_executor(orch_v2_local_engine(orch), "noop", host_gate, &gate, NULL,
                                        &err));
    WRONG(EXISTS, "workflow 'flow' 2.0.0 is registered already", registered("2.0.0", &err));
    WRONG(ENDED, "is not newer", registered("1.5.0", &err));
    WRONG(BAD, "1.x", registered("1.x", &err));
}

/* ---- the world is made, and has not changed ------------------------------------------------------------------ */

static const struct {
    const char *id, *workflow, *version;
    int32_t state;
} world[] = {
    {"succeeded", "flow", "1.0.0", ORCH_EXECUTION_SUCCEEDED},
    {"failed", "failing", NULL, ORCH_EXECUTION_FAILED},
    {"held", "gated", NULL, ORCH_EXECUTION_RUNNING},
    {"cancelled", "gated", NULL, ORCH_EXECUTION_CANCELLED},
};

static int make_world(void **state)
{
    orch_engine *e;

    (void)state;
    orch = host_open("memory:", "MAX_SIGNALS", "8", NULL);
    e = orch_v2_local_engine(orch);
    HOST_OK(orch_engine_register_executor(e, "echo", host_echo, NULL, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "gate", host_gate, &gate, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "broken", broken, NULL, NULL, &err));
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++)
        host_define(orch, definitions[i]);
    for (size_t i = 0; i < sizeof world / sizeof *world; i++)
        HOST_OK(start(world[i].workflow, world[i].id, NULL, world[i].version, &err));
    HOST_OK(keyed("flow", ORCH_START_KEY_REFUSE, &err));
    HOST_OK(orch_v2_cancel(orch, "cancelled", NULL, &err));
    for (size_t i = 0; i < sizeof world / sizeof *world; i++)
        host_await_state(orch, world[i].id, world[i].state);
    HOST_OK(orch_v2_export_execution(orch, "succeeded", keep, NULL, &err));
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof world / sizeof *world; i++)
        assert_int_equal(host_state(orch, world[i].id), world[i].state);
    latch_open(&gate);
    host_close(orch);
    free(export_text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_to_one),
        cmocka_unit_test(new_runs_and_forks),
        cmocka_unit_test(starts),
        cmocka_unit_test(lists_and_many),
        cmocka_unit_test(looks_and_copies),
        cmocka_unit_test(settings_and_definitions),
    };

    return cmocka_run_group_tests(tests, make_world, end_world);
}
