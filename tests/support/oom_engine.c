/* Engines and tasks. */
#include "support/oom.h"

#include <stdio.h>
#include <string.h>

/* ---- engines ----------------------------------------------------------------------------------------------- */

static int number;
static char name[20];

static void name_one(void)
{
    snprintf(name, sizeof name, "x-%d", ++number);
}

static int32_t call_executor(void)
{
    int before = freed;
    orch_engine *e = v1 ? engine : orch_v2_local_engine(orch);
    int32_t rc = orch_engine_register_executor(e, name, host_echo, NULL, count_free, NULL);

    assert_int_equal(freed, rc ? before + 1 : before);
    return rc;
}

static orch_task *one; /* that is pulled */

static void start_held(void)
{
    oom_start("held");
}

/* Its task does not come if the failure has ended the execution. */
static int32_t call_pull(void)
{
    int32_t rc;

    do
        rc = orch_engine_next_task(engine, "held", 20, &one, NULL);
    while (rc == ORCH_E_DEADLINE_EXCEEDED && !oom_ran_out(oom_id));
    return rc == ORCH_E_DEADLINE_EXCEEDED ? 0 : rc;
}

/* Whatever becomes of the answer, the task is gone. */
static orch_task *take_one(void)
{
    orch_task *taken = one;

    one = NULL;
    return taken;
}

static int32_t call_complete(void)
{
    return orch_task_complete(take_one(), "{\"n\":1}", 7, NULL);
}

/* What was answered may be lost, with the report that there was no memory for: then the attempt comes again. */
static void expect_answered(int32_t (*answer)(void), int32_t state)
{
    for (int waited = 0; waited < HOST_PATIENCE_MS; waited += 20) {
        if (host_state(orch, oom_id) >= ORCH_EXECUTION_SUCCEEDED)
            break;
        if (!orch_engine_next_task(engine, "held", 20, &one, NULL))
            assert_int_equal(answer(), 0);
    }
    oom_expect(oom_id, state);
}

static void expect_success(void)
{
    expect_answered(call_complete, ORCH_EXECUTION_SUCCEEDED);
}

static void complete_one(void)
{
    if (one)
        assert_int_equal(call_complete(), 0);
    expect_success();
}

static int64_t no_secret(void *user_data, const char *secret, char *buffer, size_t capacity)
{
    (void)user_data;
    (void)secret;
    (void)buffer;
    (void)capacity;
    return ORCH_E_NOT_FOUND;
}

static int32_t call_secrets(void)
{
    return orch_engine_set_secrets(engine, no_secret, NULL, NULL, NULL);
}

/* ---- tasks ------------------------------------------------------------------------------------------------- */

static void pull_one(void)
{
    start_held();
    HOST_OK(orch_engine_next_task(engine, "held", HOST_PATIENCE_MS, &one, &err));
}

static int32_t call_read(void)
{
    size_t len;

    assert_string_equal(orch_task_step(task), "a");
    assert_string_equal(orch_task_execution(task), "open");
    assert_string_equal(orch_task_workflow(task), "held");
    assert_int_equal(orch_task_index(task), -1);
    assert_int_equal(orch_task_attempt(task), 1);
    assert_int_equal(orch_task_role(task), ORCH_TASK_STEP);
    assert_string_equal(orch_task_idempotency_key(task), "open/1/a");
    assert_string_equal(orch_task_input(task, &len), "null");
    assert_null(orch_task_heartbeat_details(task, &len));
    assert_int_equal(orch_task_wait_stopping(task, 0), 0);
    return orch_task_stopping(task);
}

static int32_t call_heartbeat(void)
{
    return orch_task_heartbeat(one, "{\"done\":7}", 10, NULL);
}

static int32_t call_fail(void)
{
    return orch_task_fail(take_one(), ORCH_E_ABORTED, 0, "not today");
}

static int32_t call_fail_data(void)
{
    return orch_task_fail_data(take_one(), ORCH_E_ABORTED, 0, "not today", "{\"n\":1}", 7, NULL);
}

static void expect_failure(void)
{
    expect_answered(call_fail, ORCH_EXECUTION_FAILED);
}

/* An engine of its own, which listens. */
static orch_engine *listening;

static void make_listening(void)
{
    orch_config *c = orch_config_new();

    HOST_OK(orch_config_set(c, "ENGINE_ID", "listens", &err));
    listening = orch_engine_new(c, NULL);
    assert_non_null(listening);
    orch_config_free(c);
}

static int32_t call_listen(void)
{
    int32_t rc = orch_engine_listen(listening, "127.0.0.1:0", NULL, NULL);

    if (!rc)
        rc = orch_engine_set_log(listening, NULL, NULL, NULL, ORCH_LOG_ERROR);
    if (!rc)
        rc = orch_engine_stop(listening, 1000, NULL);
    orch_engine_free(listening);
    return rc;
}

/* ---- the rows ---------------------------------------------------------------------------------------------- */

const oom_row oom_engine_rows[] = {
    {"orch_v2_local_engine orch_engine_register_executor", name_one, call_executor, NULL, false},
    {"orch_engine_next_task", start_held, call_pull, complete_one, false},
    {"orch_engine_listen orch_engine_stop orch_engine_set_log", make_listening, call_listen, NULL,
     true},
    {"orch_engine_set_secrets", NULL, call_secrets, NULL, false},
    {"orch_task_step orch_task_execution orch_task_workflow orch_task_index orch_task_attempt "
     "orch_task_role orch_task_idempotency_key orch_task_input orch_task_heartbeat_details "
     "orch_task_stopping orch_task_wait_stopping",
     NULL, call_read, NULL, false},
    {"orch_task_heartbeat", pull_one, call_heartbeat, complete_one, false},
    {"orch_task_complete", pull_one, call_complete, expect_success, true},
    {"orch_task_fail", pull_one, call_fail, expect_failure, true},
    {"orch_task_fail_data", pull_one, call_fail_data, expect_failure, true},
    {0},
};
