/* Engines and tasks. */
#include "support/misuse.h"

#include <stdio.h>

static int64_t no_secret(void *user_data, const char *name, char *buffer, size_t capacity)
{
    (void)user_data;
    (void)name;
    (void)buffer;
    (void)capacity;
    return ORCH_E_NOT_FOUND;
}

/* ---- engines and tasks ----------------------------------------------------------------------------------- */

static void bad_executor(void)
{
    FREES(BAD("engine must not be NULL",
              orch_engine_register_executor(NULL, "x", host_echo, NULL, count_free, &err)));
    FREES(BAD("name must not be NULL",
              orch_engine_register_executor(engine, NULL, host_echo, NULL, count_free, &err)));
    FREES(BAD("name is ''",
              orch_engine_register_executor(engine, "", host_echo, NULL, count_free, &err)));
    FREES(BAD("name is",
              orch_engine_register_executor(engine, huge, host_echo, NULL, count_free, &err)));
    FREES(BAD("built-in",
              orch_engine_register_executor(engine, "lua", host_echo, NULL, count_free, &err)));
    FREES(BAD("built-in", orch_engine_register_executor(engine, "workflow", host_echo, NULL,
                                                        count_free, &err)));
    FREES(BAD("fn must not be NULL",
              orch_engine_register_executor(engine, "x", NULL, NULL, count_free, &err)));
    assert_null(orch_v2_local_engine(NULL));
}

static int32_t good_executor(void)
{
    static int number;
    char name[20];

    snprintf(name, sizeof name, "x-%d", number++);
    return orch_engine_register_executor(engine, name, host_echo, NULL, NULL, NULL);
}

static void bad_next_task(void)
{
    BAD_OUT(orch_task, "engine must not be NULL", orch_engine_next_task(NULL, "p", 0, &out, &err));
    BAD_OUT(orch_task, "name must not be NULL", orch_engine_next_task(engine, NULL, 0, &out, &err));
    BAD_OUT(orch_task, "name is", orch_engine_next_task(engine, huge, 0, &out, &err));
    BAD_OUT(orch_task, "built-in", orch_engine_next_task(engine, "noop", 0, &out, &err));
    BAD_OUT(orch_task, "timeout_ms is -2", orch_engine_next_task(engine, "p", -2, &out, &err));
    BAD("out_task must not be NULL", orch_engine_next_task(engine, "p", 0, NULL, &err));
}

static int32_t good_next_task(void)
{
    orch_task *t = NULL;

    return orch_engine_next_task(engine, "p", 0, &t, NULL);
}

static void bad_secrets(void)
{
    FREES(BAD("engine must not be NULL",
              orch_engine_set_secrets(NULL, no_secret, NULL, count_free, &err)));
    FREES(HOST_OK(orch_engine_set_secrets(engine, NULL, NULL, count_free, &err)));
}

static int32_t good_secrets(void)
{
    return orch_engine_set_secrets(engine, no_secret, NULL, NULL, NULL);
}

static void bad_task(void)
{
    size_t len = 77;

    BAD("task must not be NULL", orch_task_complete(NULL, "1", 1, &err));
    BAD("output_json", orch_task_complete(task, "", 0, &err));
    BAD("output_json", orch_task_complete(task, "{", 1, &err));
    BAD("output_json", orch_task_complete(task, "\"\xff\"", 3, &err));
    BAD("bytes", orch_task_complete(task, huge, (size_t)1 << 40, &err));
    REFUSES(orch_task_fail(NULL, ORCH_E_INTERNAL, 0, "x"));
    BAD("task must not be NULL", orch_task_fail_data(NULL, ORCH_E_INTERNAL, 0, "x", NULL, 0, &err));
    BAD("code", orch_task_fail_data(task, 0, 0, "x", NULL, 0, &err));
    BAD("code", orch_task_fail_data(task, 13, 0, "x", NULL, 0, &err));
    BAD("data_json", orch_task_fail_data(task, ORCH_E_INTERNAL, 0, "x", "{", 1, &err));
    BAD("data_json", orch_task_fail_data(task, ORCH_E_INTERNAL, 0, "x", "", 0, &err));
    BAD("bytes", orch_task_fail_data(task, ORCH_E_INTERNAL, 0, "x", huge, (size_t)1 << 40, &err));
    BAD("task must not be NULL", orch_task_heartbeat(NULL, NULL, 0, &err));
    BAD("details_json", orch_task_heartbeat(task, "nope", 4, &err));
    BAD("bytes", orch_task_heartbeat(task, huge, (size_t)1 << 40, &err));
    assert_null(orch_task_heartbeat_details(NULL, &len));
    assert_int_equal(len, 0);
    assert_int_equal(orch_task_role(NULL), ORCH_TASK_STEP);
    assert_string_equal(orch_task_step(NULL), "");
    assert_string_equal(orch_task_execution(NULL), "");
    assert_string_equal(orch_task_workflow(NULL), "");
    assert_int_equal(orch_task_index(NULL), -1);
    assert_int_equal(orch_task_attempt(NULL), 0);
    assert_string_equal(orch_task_idempotency_key(NULL), "");
    assert_string_equal(orch_task_input(NULL, &len), "null");
    assert_int_equal(len, 4);
    assert_int_equal(orch_task_stopping(NULL), 0);
    assert_int_equal(orch_task_wait_stopping(NULL, -1), 0);
}

/* `engine` is an orchestrator's: it is reached, and stops and logs with that. */
static void bad_listen(void)
{
    uint16_t port = 7;

    BAD("engine must not be NULL", orch_engine_listen(NULL, NULL, &port, &err));
    BAD("nowhere", orch_engine_listen(engine, "nowhere", &port, &err));
    assert_int_equal(port, 7);
    BAD("engine must not be NULL", orch_engine_stop(NULL, 0, &err));
    HOST_FAILS(orch_engine_stop(engine, 0, &err), FP, "stops with it");
    FREES(REFUSES(orch_engine_set_log(NULL, NULL, NULL, count_free, ORCH_LOG_INFO)));
    FREES(assert_int_equal(orch_engine_set_log(engine, NULL, NULL, count_free, ORCH_LOG_INFO), FP));
}

static int32_t good_listen(void)
{
    return orch_engine_listen(engine, "127.0.0.1:0", NULL, NULL);
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

const misuse_row misuse_engine_rows[] = {
    {"orch_v2_local_engine orch_engine_register_executor", bad_executor, good_executor, FP, FP, 0,
     FP},
    {"orch_engine_next_task", bad_next_task, good_next_task, ORCH_E_CANCELLED, FP,
     ORCH_E_DEADLINE_EXCEEDED, FP},
    {"orch_engine_listen orch_engine_stop orch_engine_set_log", bad_listen, good_listen, FP, FP, 0,
     FP},
    {"orch_engine_set_secrets", bad_secrets, good_secrets, FP, FP, 0, 0},
    {"orch_task_step orch_task_execution orch_task_workflow orch_task_index orch_task_attempt "
     "orch_task_idempotency_key orch_task_input orch_task_stopping orch_task_wait_stopping "
     "orch_task_complete orch_task_fail orch_task_fail_data orch_task_heartbeat "
     "orch_task_heartbeat_details orch_task_role",
     bad_task, NULL, 0, 0, 0, 0},
    {0},
};
