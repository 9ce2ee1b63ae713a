/* The orchestrator itself. */
#include "support/misuse.h"

#include <stdio.h>
#include <string.h>

static void no_log(void *user_data, int32_t level, const char *message)
{
    (void)user_data;
    (void)level;
    (void)message;
}

/* ---- the orchestrator itself ----------------------------------------------------------------------------- */

static void bad_loop(void)
{
    REFUSES(orch_v2_fd(NULL));
    REFUSES(orch_v2_dispatch(NULL));
}

static int32_t good_fd(void)
{
    int32_t fd = orch_v2_fd(orch);

    return fd < 0 ? fd : 0;
}

static int32_t good_dispatch(void)
{
    int32_t count = orch_v2_dispatch(orch);

    return count < 0 ? count : 0;
}

static void bad_log(void)
{
    FREES(REFUSES(orch_v2_set_log(NULL, no_log, NULL, count_free, ORCH_LOG_INFO)));
    FREES(REFUSES(orch_v2_set_log(orch, no_log, NULL, count_free, -1)));
    FREES(REFUSES(orch_v2_set_log(orch, no_log, NULL, count_free, 5)));
    FREES(assert_int_equal(orch_v2_set_log(orch, NULL, NULL, count_free, ORCH_LOG_INFO), 0));
}

static int32_t good_log(void)
{
    return orch_v2_set_log(orch, no_log, NULL, NULL, ORCH_LOG_CRITICAL);
}

static void bad_backup(void)
{
    BAD("orch must not be NULL", orch_v2_backup(NULL, "x", &err));
    BAD("path must not be NULL", orch_v2_backup(orch, NULL, &err));
    BAD("path must not be empty", orch_v2_backup(orch, "", &err));
}

static int32_t good_backup(void)
{
    return orch_v2_backup(orch, "x", NULL);
}

static void bad_add_engine(void)
{
    BAD("orch must not be NULL", orch_v2_add_engine(NULL, "e", "127.0.0.1:1", 1, &err));
    BAD("endpoint must not be NULL", orch_v2_add_engine(orch, "e", NULL, 1, &err));
    BAD("nowhere", orch_v2_add_engine(orch, "e", "nowhere", 1, &err));
    BAD("name", orch_v2_add_engine(orch, huge, "127.0.0.1:1", 1, &err));
    BAD("capacity is 0", orch_v2_add_engine(orch, "e", "127.0.0.1:1", 0, &err));
    BAD("capacity is 1000001", orch_v2_add_engine(orch, "e", "127.0.0.1:1", 1000001, &err));
}

static int32_t good_add_engine(void)
{
    static int number;
    char name[20];

    snprintf(name, sizeof name, "remote-%d", number++);
    return orch_v2_add_engine(orch, name, "unix:/nowhere/at/all", 1, NULL);
}

static void bad_serve(void)
{
    uint16_t port = 7;

    BAD("orch must not be NULL", orch_v2_listen(NULL, "127.0.0.1:0", &port, &err));
    BAD("endpoint must not be NULL", orch_v2_listen(orch, NULL, &port, &err));
    BAD("nowhere", orch_v2_listen(orch, "nowhere", &port, &err));
    assert_int_equal(port, 7);
}

static int32_t good_serve(void)
{
    int32_t rc = orch_v2_listen(orch, "127.0.0.1:0", NULL, NULL);

    return rc == ORCH_E_RESOURCE_EXHAUSTED ? 0 : rc; /* eight of them are enough */
}

static int32_t no_answer(void *user_data, const char *json, size_t len)
{
    (void)user_data;
    (void)json;
    (void)len;
    return 1;
}

/* A client has no orchestrator: what it works on is far away. */
static void bad_client(void)
{
    orch_client *c = orch_client_new(NULL, "unix:/nowhere/at/all", NULL);
    orch_error *error = NULL;

    assert_non_null(c);
    assert_null(orch_client_new(NULL, NULL, &error));
    assert_non_null(strstr(orch_error_message(error), "endpoint must not be NULL"));
    orch_error_free(error);
    BAD_OUT(orch_reply, "client must not be NULL",
            orch_client_call(NULL, "X", NULL, 0, 0, &out, &err));
    BAD_OUT(orch_reply, "method must not be NULL",
            orch_client_call(c, NULL, NULL, 0, 0, &out, &err));
    BAD_OUT(orch_reply, "timeout_ms is -1",
            orch_client_call(c, "ListEngines", NULL, 0, -1, &out, &err));
    BAD_OUT(orch_reply, "request_json", orch_client_call(c, "ListEngines", "{", 1, 0, &out, &err));
    BAD("out_reply must not be NULL", orch_client_call(c, "ListEngines", NULL, 0, 0, NULL, &err));
    BAD("client must not be NULL",
        orch_client_stream(NULL, "X", NULL, 0, 0, no_answer, NULL, &err));
    BAD("method must not be NULL", orch_client_stream(c, NULL, NULL, 0, 0, no_answer, NULL, &err));
    BAD("fn must not be NULL",
        orch_client_stream(c, "SubscribeEvents", NULL, 0, 0, NULL, NULL, &err));
    BAD("request_json", orch_client_stream(c, "SubscribeEvents", "{", 1, 0, no_answer, NULL, &err));
    BAD("timeout_ms is -1",
        orch_client_stream(c, "SubscribeEvents", NULL, 0, -1, no_answer, NULL, &err));
    assert_string_equal(orch_reply_json(NULL, NULL), "{}");
    orch_reply_free(NULL);
    orch_client_free(NULL);
    orch_client_free(c);
}

static void bad_stop(void)
{
    BAD("orch must not be NULL", orch_v2_stop(NULL, 0, &err));
    BAD("timeout_ms is -1", orch_v2_stop(orch, -1, &err));
    BAD("timeout_ms is 3600001", orch_v2_stop(orch, 3600001, &err));
    orch_v2_free(NULL);
}

static int32_t good_stop(void)
{
    return orch_v2_stop(orch, 0, NULL);
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

const misuse_row misuse_orch_rows[] = {
    {"orch_v2_fd", bad_loop, good_fd, 0, FP, 0, 0},
    {"orch_v2_dispatch", bad_loop, good_dispatch, 0, FP, FP, 0},
    {"orch_v2_listen", bad_serve, good_serve, FP, FP, 0, FP},
    {"orch_client_new orch_client_call orch_client_stream orch_client_free orch_reply_json orch_reply_free",
     bad_client, NULL, 0, 0, 0, 0},
    {"orch_v2_add_engine", bad_add_engine, good_add_engine, FP, FP, 0, FP},
    {"orch_v2_backup", bad_backup, good_backup, FP, FP, ORCH_E_UNIMPLEMENTED, FP},
    {"orch_v2_stop orch_v2_free", bad_stop, good_stop, 0, FP, FP, FP},
    /* Last: in the log callback it takes its place. */
    {"orch_v2_set_log", bad_log, good_log, 0, FP, 0, 0},
    {0},
};
