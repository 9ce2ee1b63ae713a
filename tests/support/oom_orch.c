/* Orchestrators themselves, of every kind, each from its making to its end. */
#include "support/oom.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char url[200], path[200];
static orch_v2 *serving; /* call_client */

/* One beside the world's. */
static void make_url(void)
{
    if (!strcmp(oom_url(), "memory:"))
        snprintf(url, sizeof url, "memory:");
    else
        host_sqlite(url, sizeof url, "other.db");
}

static int32_t configured(orch_config **out)
{
    orch_config *c = orch_config_new();
    int32_t rc = c ? orch_config_set(c, "STORE_URL", url, NULL) : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_config_set(c, "SECRETS_DIR", "/tmp", NULL);
    *out = c;
    return rc;
}

/* What a constructor answers: an error that could not be had is a lack of memory. */
static int32_t made(const void *o, orch_error *error)
{
    int32_t rc = o ? 0 : error ? orch_error_code(error) : ORCH_E_RESOURCE_EXHAUSTED;

    orch_error_free(error);
    return rc;
}

static int32_t call_new(void)
{
    orch_config *c;
    orch_error *error = NULL;
    orch_v2 *o = NULL;
    int32_t rc = configured(&c);

    if (!rc) {
        o = orch_v2_new(c, &error);
        rc = made(o, error);
    }
    if (!rc)
        rc = orch_v2_stop(o, HOST_PATIENCE_MS, NULL);
    orch_v2_free(o);
    orch_config_free(c);
    return rc;
}

/* ---- the loop, the log, the copy --------------------------------------------------------------------------- */

static int answered, ended; /* -1 = refused */

static void on_answer(void *user_data, orch_execution *e, orch_error *error)
{
    (void)user_data;
    answered = e ? 1 : -1;
    orch_execution_free(e);
    orch_error_free(error);
}

static void on_end(void *user_data, orch_response *r)
{
    (void)user_data;
    ended = 1;
    orch_response_free(r);
}

/* The host's loop has the callbacks: both, if it was accepted. */
static int32_t start_and_dispatch(orch_v2 *o)
{
    struct pollfd p = {.fd = orch_v2_fd(o), .events = POLLIN};
    int32_t rc = p.fd < 0 ? p.fd : 0;

    answered = ended = 0;
    if (!rc)
        rc = orch_v2_register_definition(o, NOOP, strlen(NOOP), NULL);
    if (!rc)
        rc = orch_v2_start_workflow_async(o, "noop", NULL, 0, NULL, on_answer, on_end, NULL, NULL,
                                          NULL);
    while (!rc && answered >= 0 && !ended) {
        assert_int_equal(poll(&p, 1, HOST_PATIENCE_MS), 1);
        rc = orch_v2_dispatch(o) < 0 ? ORCH_E_INTERNAL : 0;
    }
    return answered < 0 ? ORCH_E_RESOURCE_EXHAUSTED : rc;
}

static int32_t call_dispatch(void)
{
    orch_config *c;
    orch_error *error = NULL;
    orch_v2 *o = NULL;
    int32_t rc = configured(&c);

    if (!rc) {
        o = orch_v2_new(c, &error);
        rc = made(o, error);
    }
    if (!rc)
        rc = start_and_dispatch(o);
    orch_v2_free(o);
    orch_config_free(c);
    return rc;
}

static void no_log(void *user_data, int32_t level, const char *message)
{
    (void)user_data;
    (void)level;
    (void)message;
}

static int32_t call_log(void)
{
    int before = freed;
    int32_t rc = orch_v2_set_log(orch, no_log, NULL, count_free, ORCH_LOG_CRITICAL);

    if (rc)
        assert_int_equal(freed, before + 1);
    return rc;
}

static void make_path(void)
{
    char room[200];

    snprintf(path, sizeof path, "%s",
             host_sqlite(room, sizeof room, "copy.db") + strlen("sqlite:"));
    unlink(path);
}

static int32_t call_backup(void)
{
    int32_t rc = orch_v2_backup(orch, path, NULL);

    if (rc)
        assert_int_not_equal(access(path, F_OK), 0); /* a copy is whole, or is not there */
    return rc == ORCH_E_UNIMPLEMENTED && !strcmp(oom_url(), "memory:") ? 0 : rc;
}

/* ---- v1.h -------------------------------------------------------------------------------------------------- */

static int32_t build(orch_builder *b, void *user_data, orch_error **err)
{
    (void)user_data;
    (void)err;
    return orch_builder_step(b, "a", "noop", NULL) ? 0 : ORCH_E_RESOURCE_EXHAUSTED;
}

static int32_t use_v1(orch_v1 *o, orch_engine *e)
{
    orch_response *r = NULL;
    orch_execution *x = NULL;
    int32_t rc = orch_register_engine(o, e, NULL);

    if (!rc)
        rc = orch_register_workflow(o, "w", "1.0.0", build, NULL, NULL, NULL, 0, NULL);
    if (!rc)
        rc = orch_execute_workflow(o, "w", NULL, 0, NULL, &r, NULL);
    if (!rc && orch_response_state(r) != ORCH_EXECUTION_SUCCEEDED)
        rc = strstr(orch_response_error(r, NULL), "RESOURCE_EXHAUSTED") ? ORCH_E_RESOURCE_EXHAUSTED
                                                                        : ORCH_E_INTERNAL;
    if (!rc)
        rc = orch_launcher_start(orch_launcher_of(o), "w", NULL, 0, NULL, &x, NULL);
    orch_execution_free(x);
    orch_response_free(r);
    return rc ? rc : orch_v2_stop(orch_as_v2(o), HOST_PATIENCE_MS, NULL);
}

static int32_t call_v1(void)
{
    orch_config *c;
    orch_error *error = NULL;
    orch_v1 *o = NULL;
    orch_engine *e = NULL;
    int32_t rc = configured(&c);

    if (!rc) {
        o = orch_new(c, &error);
        rc = made(o, error);
        error = NULL;
    }
    if (!rc) {
        e = orch_engine_new(c, &error);
        rc = made(e, error);
    }
    if (!rc)
        rc = use_v1(o, e);
    orch_free(o);
    orch_engine_free(e);
    orch_config_free(c);
    return rc;
}

/* ---- testing.h --------------------------------------------------------------------------------------------- */

static const char REMINDER[] =
    "{\"id\":\"reminder\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"sleep\",\"executor\":\"wait\",\"with\":"
    "{\"duration\":\"3d\"}},{\"id\":\"ring\",\"executor\":\"bell\",\"depends_on\":[\"sleep\"]}]}";

static oom_text exported;

static int32_t use_testing(orch_v2 *o)
{
    orch_execution *e = NULL;
    int32_t rc = orch_testing_mock(o, "bell", host_echo, NULL, NULL, NULL);

    if (!rc)
        rc = orch_v2_register_definition(o, REMINDER, strlen(REMINDER), NULL);
    if (!rc)
        rc = orch_v2_start_workflow(o, "reminder", NULL, 0, NULL, &e, NULL);
    if (!rc)
        rc = orch_testing_advance(o, 4LL * 24 * 3600 * 1000, NULL);
    if (!rc) {
        orch_response *r = NULL;

        assert_true(orch_testing_now(o) >= 1800000000000);
        rc = orch_execution_wait(e, -1, &r, NULL);
        if (!rc && orch_response_state(r) != ORCH_EXECUTION_SUCCEEDED)
            rc = strstr(orch_response_error(r, NULL), "RESOURCE_EXHAUSTED")
                     ? ORCH_E_RESOURCE_EXHAUSTED
                     : ORCH_E_INTERNAL;
        orch_response_free(r);
    }
    orch_execution_free(e);
    return rc;
}

static int32_t call_testing(void)
{
    orch_error *error = NULL;
    orch_v2 *o = orch_testing_new(NULL, 1800000000000, &error);
    int32_t rc = made(o, error);

    if (!rc)
        rc = use_testing(o);
    orch_v2_free(o);
    return rc;
}

static void export_done(void)
{
    HOST_OK(orch_v2_export_execution(orch, "done", oom_add_line, &exported, &err));
}

/* Against another definition, so that there are differences to tell. */
static int32_t call_replay(void)
{
    orch_replay *r = NULL;
    int32_t rc = orch_testing_replay(NULL, exported.data, exported.len, REMINDER, strlen(REMINDER),
                                     &r, NULL);

    if (!rc) {
        assert_true(orch_replay_count(r) > 0);
        assert_string_not_equal(orch_replay_message(r, 0), "");
        assert_non_null(orch_replay_step(r, 0));
        orch_replay_seq(r, 0);
    }
    orch_replay_free(r);
    return rc;
}

static void forget_export(void)
{
    oom_text_clear(&exported);
}

static int32_t no_answer(void *user_data, const char *json, size_t len)
{
    (void)user_data;
    (void)json;
    (void)len;
    return 1;
}

/* The management service of the world's orchestrator, and a client of it, all at once. */
static int32_t call_client(void)
{
    char endpoint[40];
    uint16_t port = 0;
    orch_client *c = NULL;
    orch_reply *reply = NULL;
    orch_error *error = NULL;
    int32_t rc = orch_v2_listen(serving, "127.0.0.1:0", &port, &error);

    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", port);
    if (!rc) {
        c = orch_client_new(NULL, endpoint, &error);
        rc = c ? 0 : orch_error_code(error);
    }
    if (!rc)
        rc = orch_client_call(c, "ListExecutions", "{\"page_size\":3}", 15, HOST_PATIENCE_MS,
                              &reply, &error);
    if (!rc) {
        rc = orch_client_stream(c, "SubscribeEvents", NULL, 0, 50, no_answer, NULL, &error);
        if (rc == ORCH_E_DEADLINE_EXCEEDED)
            rc = 0; /* nothing happens there */
    }
    if (rc == ORCH_E_UNAVAILABLE || rc == ORCH_E_INTERNAL || rc == ORCH_E_CANCELLED)
        rc = ORCH_E_RESOURCE_EXHAUSTED; /* the connection failed for lack of memory */
    orch_reply_free(reply);
    orch_client_free(c);
    orch_error_free(error);
    return rc;
}

static void make_serving(void)
{
    serving = host_open("memory:", NULL);
}

static void end_serving(void)
{
    orch_v2_free(serving);
}

static int32_t call_add_engine(void)
{
    static int number;
    char name[20];

    snprintf(name, sizeof name, "remote-%d", number++);
    return orch_v2_add_engine(orch, name, "unix:/nowhere/at/all", 1, NULL);
}

/* ---- the rows ---------------------------------------------------------------------------------------------- */

const oom_row oom_orch_rows[] = {
    {"orch_v2_new orch_v2_stop orch_v2_free", make_url, call_new, NULL, false},
    {"orch_v2_fd orch_v2_dispatch", make_url, call_dispatch, NULL, false},
    {"orch_v2_set_log", NULL, call_log, NULL, false},
    {"orch_v2_listen orch_client_new orch_client_call orch_client_stream orch_client_free orch_reply_json "
     "orch_reply_free",
     make_serving, call_client, end_serving, false},
    {"orch_v2_add_engine", NULL, call_add_engine, NULL, false},
    {"orch_v2_backup", make_path, call_backup, NULL, false},
    {"orch_new orch_free orch_as_v2 orch_launcher_of orch_engine_new orch_engine_free "
     "orch_register_engine orch_register_workflow orch_execute_workflow",
     make_url, call_v1, NULL, false},
    {"orch_testing_new orch_testing_now orch_testing_advance orch_testing_mock", NULL, call_testing,
     NULL, false},
    {"orch_testing_replay orch_replay_count orch_replay_message orch_replay_step orch_replay_seq "
     "orch_replay_free",
     export_done, call_replay, forget_export, false},
    {0},
};
