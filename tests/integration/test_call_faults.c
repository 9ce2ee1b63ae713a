/* Goal: whatever the system's calls answer, to this library and to those that it stands on, an orchestrator on a real file goes on: calls that are
 * interrupted or do less than was asked are gone on with, a descriptor that cannot be had costs an attempt at the most, and a disk that is
 * full or fails loses nothing that was accepted. */
#include "support/api_host.h"
#include "support/call_faults.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/http_server.h"

static http_server *server;
static char folder[200]; /* of secrets */
static char big[20000];

/* Each step may be tried three times: a descriptor that is missing once costs no more than that. */
#define RETRY "'retry':{'max_attempts':3,'initial_interval':'1ms'}"

static const char ALL[] =
    "{'id':'all','version':'1.0.0','steps':["
    "{'id':'run','executor':'exec','with':{'argv':['cat'],'stdin':'${input.text}','output':'text'}," RETRY
    "},"
    "{'id':'get','executor':'http','with':{'url':'http://127.0.0.1:%d/','method':'POST','body':'${input.text}'}," RETRY
    "},"
    "{'id':'tell','executor':'echo','with':'${secrets.token}'," RETRY "},"
    "{'id':'nap','executor':'wait','with':{'duration':'1ms'}}],"
    "'output':{'run':'${#steps.run.output.stdout}','get':'${#steps.get.output.body}','token':'${steps.tell.output}'}}";

static const char EXPECTED[] = "{\"run\":19998,\"get\":19998,\"token\":\"hush\"}";

static bool answer(void *ctx, const http_server_request *r)
{
    (void)ctx;
    return http_server_reply(r, 200, "Content-Type: text/plain\r\n", r->body, r->body_len);
}

static orch_v2 *prepare(orch_v2 *o)
{
    char text[1500];

    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "echo", host_echo, NULL, NULL,
                                          &err));
    snprintf(text, sizeof text, ALL, http_server_port(server));
    host_define(o, text);
    return o;
}

static orch_v2 *open_it(const char *name)
{
    char room[200];

    return prepare(host_open(host_sqlite(room, sizeof room, name), "SECRETS_DIR", folder,
                             "TASK_THREADS", "2", NULL));
}

static void expect_all(orch_v2 *o)
{
    char output[400], inputs[20100];

    snprintf(inputs, sizeof inputs, "{\"text\":\"%s\"}", big);
    if (strcmp(host_execute(o, "all", inputs, output, sizeof output), "succeeded") != 0)
        fail_msg("%s", output);
    assert_string_equal(output, EXPECTED);
}

/* ---- calls that are interrupted, and that do less ---------------------------------------------------------- */

static void live(const char *name)
{
    orch_v2 *o = open_it(name);
    char path[220];

    for (int i = 0; i < 3; i++)
        expect_all(o);
    snprintf(path, sizeof path, "%s/copy", folder);
    unlink(path);
    HOST_OK(orch_v2_backup(o, path, &err));
    host_close(o);
    call_clear();
    o = open_it(name);
    expect_all(o);
    host_close(o);
}

static void interrupted_calls_are_made_again(void **state)
{
    (void)state;
    call_interrupt(true);
    live("interrupted.db");
    assert_true(call_disturbed() > 100);
}

static void short_calls_are_gone_on_with(void **state)
{
    (void)state;
    call_shorten(true);
    live("short.db");
    assert_true(call_disturbed() > 1000);
}

/* ---- descriptors ------------------------------------------------------------------------------------------- */

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void opening_without_descriptors_fails_cleanly(void **state)
{
    orch_config *c = orch_config_new();
    char room[200];
    int before, failures = 0;
    orch_v2 *o = NULL;

    (void)state;
    host_close(host_open("memory:", NULL)); /* libuv has a pipe for the process */
    before = open_descriptors();
    HOST_OK(orch_config_set(c, "STORE_URL", host_sqlite(room, sizeof room, "open.db"), &err));
    for (long n = 1; !o; n++) {
        orch_error *error = NULL;
        bool failed;

        call_fail(CALL_DESCRIPTOR, n, 1, EMFILE);
        o = orch_v2_new(c, &error);
        failed = call_failed() > 0;
        call_clear();
        if (!o && !orch_error_retryable(error)) /* RESOURCE_EXHAUSTED, or SQLite's UNAVAILABLE */
            fail_msg("descriptor %ld: %s", n, orch_error_message(error));
        failures += !o;
        orch_error_free(error);
        if (o && failed) { /* it could do without */
            host_close(o);
            o = NULL;
        }
    }
    assert_true(failures > 5);
    host_close(o);
    orch_config_free(c);
    /* Two are libuv's: 1.44 leaves its epoll descriptor open where the one after it cannot be had. */
    assert_in_range(open_descriptors(), before, before + 2);
}

static void a_lack_of_descriptors_costs_an_attempt(void **state)
{
    orch_v2 *o = open_it("descriptors.db");
    int before;
    long n = 0;

    (void)state;
    expect_all(o);
    before = open_descriptors();
    do {
        call_fail(CALL_DESCRIPTOR, ++n, 1, EMFILE);
        expect_all(o);
    } while (call_failed());
    call_clear();
    assert_true(n > 4);                                 /* two pipes, a file in memory, a secret */
    assert_in_range(open_descriptors(), 1, before + 2); /* connections that are kept */
    host_close(o);
}

static void a_process_that_cannot_be_made_costs_an_attempt(void **state)
{
    static const int errors[] = {EAGAIN, ENOMEM};
    orch_v2 *o = open_it("spawn.db");

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        call_fail(CALL_SPAWN, 1, 2, errors[i]);
        expect_all(o);
        assert_int_equal(call_failed(), 2);
    }
    call_clear();
    host_close(o);
}

/* ---- the disk ---------------------------------------------------------------------------------------------- */

static const char GATE[] =
    "{'id':'gate','version':'1.0.0','steps':[{'id':'go','executor':'held'},{'id':'on','executor':'noop','depends_on':['go']}]}";

/* One that is to be gone on with while the disk is as it is. */
static orch_task *hold_one(orch_v2 *o, const char *id)
{
    orch_start_options *s = orch_start_options_new();
    orch_task *task = NULL;

    host_define(o, GATE);
    assert_int_equal(orch_start_options_set_id(s, id), 0);
    HOST_OK(orch_v2_start_workflow(o, "gate", NULL, 0, s, NULL, &err));
    HOST_OK(orch_engine_next_task(orch_v2_local_engine(o), "held", HOST_PATIENCE_MS, &task, &err));
    orch_start_options_free(s);
    return task;
}

static void a_full_disk_refuses_and_goes_on(void **state)
{
    orch_v2 *o = open_it("full.db");
    orch_task *task = hold_one(o, "held");

    (void)state;
    call_fail(CALL_WRITE, 1, -1, ENOSPC);
    HOST_OK(orch_task_complete(task, "1", 1, &err));
    HOST_FAILS(orch_v2_start_workflow(o, "gate", NULL, 0, NULL, NULL, &err),
               ORCH_E_RESOURCE_EXHAUSTED, "");
    assert_true(call_failed() > 0);
    assert_int_equal(host_state(o, "held"), ORCH_EXECUTION_RUNNING);
    call_clear();
    host_await_state(o, "held", ORCH_EXECUTION_SUCCEEDED);
    expect_all(o);
    host_close(o);
}

/* A store that is being opened again says so, and can be asked again. */
static void await_success(orch_v2 *o, const char *id)
{
    orch_execution *e = NULL;
    orch_response *r = NULL;
    int32_t rc;

    do
        rc = orch_v2_find_execution(o, id, &e, NULL);
    while (rc == ORCH_E_UNAVAILABLE);
    assert_int_equal(rc, 0);
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    orch_response_free(r);
    orch_execution_free(e);
}

/* Each call that syncs or writes, in turn. */
static void a_disk_that_fails_loses_nothing(void **state)
{
    static const struct {
        int kind, error;
    } faults[] = {{CALL_SYNC, EIO}, {CALL_WRITE, EIO}};
    orch_v2 *o = open_it("bad.db");
    char id[40];

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        long n = 0;

        do {
            orch_task *task;

            snprintf(id, sizeof id, "held-%zu-%ld", f, ++n);
            call_fail(faults[f].kind, n, 1, faults[f].error);
            task = hold_one(o, id);
            HOST_OK(orch_task_complete(task, "1", 1, &err));
            await_success(o, id);
        } while (call_failed());
        assert_true(n > 3);
        call_clear();
    }
    host_close(o);
    o = open_it("bad.db");
    assert_int_equal(host_state(o, "held-0-1"), ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(host_state(o, id), ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

/* A copy is whole, or is not there. */
static void a_copy_that_cannot_be_written_is_not_there(void **state)
{
    static const int errors[] = {ENOSPC, EIO};
    orch_v2 *o = open_it("copied.db");
    char path[220];

    (void)state;
    snprintf(path, sizeof path, "%s/copy", folder);
    unlink(path);
    expect_all(o);
    for (size_t i = 0; i < 2; i++) {
        call_fail(CALL_WRITE, 1, -1, errors[i]);
        assert_true(orch_v2_backup(o, path, NULL) < 0);
        assert_true(call_failed() > 0);
        call_clear();
        assert_int_not_equal(access(path, F_OK), 0);
    }
    HOST_OK(orch_v2_backup(o, path, &err));
    host_close(o);
}

/* ---- the world --------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    char room[200], path[240];
    FILE *f;

    (void)state;
    memset(big, 'x', sizeof big - 2);
    big[19998] = '\0';
    snprintf(folder, sizeof folder, "%s",
             host_sqlite(room, sizeof room, "secrets") + strlen("sqlite:"));
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/token", folder);
    f = fopen(path, "w");
    if (!f)
        return -1;
    fputs("hush\n", f);
    fclose(f);
    server = http_server_start(answer, NULL);
    return server ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    http_server_stop(server);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    call_clear();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: connections that the server has not closed yet would be counted. */
        cmocka_unit_test_teardown(opening_without_descriptors_fails_cleanly, clear),
        cmocka_unit_test_teardown(interrupted_calls_are_made_again, clear),
        cmocka_unit_test_teardown(short_calls_are_gone_on_with, clear),
        cmocka_unit_test_teardown(a_lack_of_descriptors_costs_an_attempt, clear),
        cmocka_unit_test_teardown(a_process_that_cannot_be_made_costs_an_attempt, clear),
        cmocka_unit_test_teardown(a_full_disk_refuses_and_goes_on, clear),
        cmocka_unit_test_teardown(a_disk_that_fails_loses_nothing, clear),
        cmocka_unit_test_teardown(a_copy_that_cannot_be_written_is_not_there, clear),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
