/* Goal: the programs that are installed do together what their manuals say: a server, three engines, and orchctl with its exit codes. */
#include <setjmp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "support/example.h"

static char folder[512], server_at[600];
static example engines[3], server, said;
#define OUT said.text /* of the last orchctl */

static const char HELLO[] =
    "id: hello\nversion: 1.0.0\nsteps:\n"
    "- {id: double, executor: lua, with: {code: 'return (input.n or 1) * 2'}}\n"
    "- {id: say, executor: noop, depends_on: [double], with: '${steps.double.output}'}\n"
    "output: '${steps.say.output}'\n";
static const char TOLD[] = "id: told\nversion: 1.0.0\nsteps:\n"
                           "- {id: wait, executor: wait, with: {signal: go, timeout: 1h}}\n";
static const char FORBIDDEN[] = "id: forbidden\nversion: 1.0.0\nsteps:\n"
                                "- {id: run, executor: exec, with: {argv: [ls]}}\n";

static void put_file(const char *name, const char *text, char *path, size_t size)
{
    FILE *f;

    snprintf(path, size, "%s/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void await_socket(const char *path)
{
    const struct timespec pause = {0, 5000000};

    for (int i = 0; access(path, F_OK) != 0; i++) {
        assert_true(i < 4000);
        nanosleep(&pause, NULL);
    }
}

/* Up to four words behind --server; NULL ends them. The exit code. */
static int ctl(const char *a, const char *b, const char *c, const char *d)
{
    const char *argv[] = {"--server", server_at, a, b, c, d, NULL};
    example_start(&said, "orchctl", argv);
    return example_end(&said);
}

static int begin(void **state)
{
    char at[600], list[3000] = "", store[600];

    (void)state;
    example_folder(folder, sizeof folder);
    for (int i = 0; i < 3; i++) {
        const char *argv[] = {"--listen", at, "--log-level", "error", NULL};
        size_t len = strlen(list);

        snprintf(at, sizeof at, "unix:%s/e%d", folder, i);
        example_start(&engines[i], "orch-engine", argv);
        snprintf(list + len, sizeof list - len, "%sgrpc://%s?name=e%d", i ? "," : "", at, i);
        await_socket(at + 5);
    }
    snprintf(server_at, sizeof server_at, "unix:%s/server", folder);
    snprintf(store, sizeof store, "sqlite:%s/orch.db", folder);
    {
        const char *argv[] = {"--listen", server_at, "--store", store, "--engines", list, NULL};

        example_start(&server, "orch-server", argv);
    }
    await_socket(server_at + 5);
    return 0;
}

static int end(void **state)
{
    (void)state;
    kill(server.pid, SIGTERM);
    assert_int_equal(example_end(&server), 0);
    for (int i = 0; i < 3; i++) {
        kill(engines[i].pid, SIGTERM);
        assert_int_equal(example_end(&engines[i]), 0);
    }
    return 0;
}

static void workflows_run(void **state)
{
    char path[600];

    (void)state;
    put_file("hello.yaml", HELLO, path, sizeof path);
    assert_int_equal(ctl("apply", path, NULL, NULL), 0);
    assert_string_equal(OUT, "hello 1.0.0\n");
    assert_int_equal(ctl("run", "hello", "--input", "{\"n\":21}"), 0);
    assert_string_equal(OUT, "42\n");
    assert_int_equal(ctl("start", "hello", "--id", "h-1"), 0);
    assert_string_equal(OUT, "h-1\n");
    assert_int_equal(ctl("watch", "h-1", NULL, NULL), 0);
    assert_non_null(strstr(OUT, "2/2 SUCCEEDED"));
    assert_int_equal(ctl("history", "h-1", NULL, NULL), 0);
    assert_non_null(strstr(OUT, "double"));
    assert_int_equal(ctl("steps", "h-1", NULL, NULL), 0);
    assert_non_null(strstr(OUT, "succeeded"));
    assert_int_equal(ctl("list", "--workflow", "hello", "--all"), 0);
    assert_non_null(strstr(OUT, "h-1"));
    assert_int_equal(ctl("show", "h-1", "-o", "json"), 0);
    assert_non_null(strstr(OUT, "\"state\":\"SUCCEEDED\""));
    assert_int_equal(ctl("workflows", NULL, NULL, NULL), 0);
    assert_non_null(strstr(OUT, "hello"));
    assert_int_equal(ctl("engines", NULL, NULL, NULL), 0);
    assert_non_null(strstr(OUT, "e2"));
    assert_int_equal(ctl("delete", "hello", "1.0.0", "--force"), 0);
    assert_int_equal(ctl("delete", "hello", "1.0.0", NULL), 3);
    assert_int_equal(ctl("run", "hello", NULL, NULL), 3);
    assert_int_equal(ctl("workflows", NULL, NULL, NULL), 0);
    assert_null(strstr(OUT, "hello"));
    assert_int_equal(ctl("show", "h-1", NULL, NULL), 0);
    assert_int_equal(ctl("apply", path, NULL, NULL), 0);
    assert_int_equal(ctl("run", "hello", "--input", "{\"n\":3}"), 0);
}

static void executions_are_controlled(void **state)
{
    char path[600];

    (void)state;
    put_file("told.yaml", TOLD, path, sizeof path);
    assert_int_equal(ctl("apply", path, NULL, NULL), 0);
    assert_int_equal(ctl("start", "told", "--id", "t-1"), 0);
    assert_int_equal(ctl("pause", "t-1", "--why", "lunch"), 0);
    assert_int_equal(ctl("show", "t-1", NULL, NULL), 0);
    assert_non_null(strstr(OUT, "paused"));
    assert_int_equal(ctl("resume", "t-1", NULL, NULL), 0);
    assert_int_equal(ctl("signal", "t-1", "go", "{\"by\":\"me\"}"), 0);
    assert_int_equal(ctl("watch", "t-1", NULL, NULL), 0);
    assert_int_equal(ctl("start", "told", "--id", "t-2"), 0);
    assert_int_equal(ctl("cancel", "t-2", NULL, NULL), 0);
    assert_int_equal(ctl("watch", "t-2", NULL, NULL), 1);
    assert_int_equal(ctl("cancel", "t-2", NULL, NULL), 4);
}

static void failures_have_exit_codes(void **state)
{
    char path[600];

    (void)state;
    put_file("forbidden.yaml", FORBIDDEN, path, sizeof path);
    assert_int_equal(ctl("apply", path, NULL, NULL), 0);
    assert_int_equal(ctl("run", "forbidden", NULL, NULL), 1); /* engines do not allow exec */
    assert_int_equal(ctl("show", "nothing", NULL, NULL), 3);
    put_file("bad.yaml", "id: bad\n", path, sizeof path);
    assert_int_equal(ctl("apply", path, NULL, NULL), 4);
    assert_int_equal(ctl("bogus", NULL, NULL, NULL), 2);
    assert_int_equal(ctl("show", NULL, NULL, NULL), 2);
    snprintf(path, sizeof path, "--server=unix:%s/nobody", folder);
    assert_int_equal(ctl(path, "engines", NULL, NULL), 5);
    assert_int_equal(ctl("completion", "bash", NULL, NULL), 0);
    assert_non_null(strstr(OUT, "complete -F _orchctl orchctl"));
}

static void events_are_told(void **state)
{
    const char *argv[] = {"--server", server_at, "events", "--severity", "INFO", NULL};
    struct pollfd fd = {.events = POLLIN};
    example watcher;

    (void)state;
    example_start(&watcher, "orchctl", argv);
    fd.fd = fileno(watcher.out);
    do /* of what was before it listened it hears nothing */
        assert_int_equal(ctl("start", "hello", NULL, NULL), 0);
    while (poll(&fd, 1, 100) == 0);
    assert_int_equal(ctl("start", "hello", "--id", "e-1"), 0);
    assert_true(example_read_until(&watcher, "e-1"));
    assert_non_null(strstr(watcher.line, "execution_accepted"));
    assert_true(example_read_until(&watcher, "say"));
    assert_true(example_read_until(&watcher, "execution_ended"));
    example_kill(&watcher);
}

static void graphs_are_drawn(void **state)
{
    (void)state;
    assert_int_equal(ctl("graph", "hello", NULL, NULL), 0);
    assert_non_null(strstr(OUT, "s0 --> s1"));
    assert_int_equal(ctl("graph", "hello", "--format", "dot"), 0);
    assert_non_null(strstr(OUT, "s0 -> s1;"));
    assert_int_equal(ctl("graph", "hello", "--format", "svg"), 0);
    assert_non_null(strstr(OUT, "</svg>"));
}

static void an_engine_may_die(void **state)
{
    (void)state;
    example_kill(&engines[0]);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ctl("run", "hello", NULL, NULL), 0);
    {
        char at[600], socket[600];
        const char *argv[] = {"--listen", at, NULL};

        snprintf(at, sizeof at, "unix:%s/e0", folder);
        snprintf(socket, sizeof socket, "%s/e0", folder);
        unlink(socket);
        example_start(&engines[0], "orch-engine", argv);
        await_socket(socket);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workflows_run),
        cmocka_unit_test(executions_are_controlled),
        cmocka_unit_test(failures_have_exit_codes),
        cmocka_unit_test(events_are_told),
        cmocka_unit_test(graphs_are_drawn),
        cmocka_unit_test(an_engine_may_die),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
