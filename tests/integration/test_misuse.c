/* Goal: no public function can be called so wrongly that it crashes, hangs or half does something. Each has a row: it is given NULL,
 * empty, oversized and malformed arguments, and is called rightly in the wrong place: after stop, in a forked child, inside a
 * callback of dispatch, inside a log callback. The headers are read, so that a function without a row fails the test. The rows are in
 * tests/support/misuse_*.c; tests/oom goes by them too. */
#include "support/misuse.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has_row(const char *name)
{
    EACH_MISUSE_ROW(r)
    {
        if (misuse_names(r->names, name))
            return true;
    }
    return false;
}

/* ---- the tests ------------------------------------------------------------------------------------------- */

static void open_v1(void)
{
    orch_config *c = orch_config_new();

    HOST_OK(orch_config_set(c, "STORE_URL", "memory:", &err));
    v1 = orch_new(c, NULL);
    engine = orch_engine_new(c, NULL);
    HOST_OK(orch_register_engine(v1, engine, &err));
    orch = orch_as_v2(v1);
    orch_config_free(c);
}

/* A state: the orchestrator is made as one of v1, with its engine by hand. */
static int set_up(void **state)
{
    memset(huge, 'x', sizeof huge - 1);
    v1 = NULL;
    if (*state) {
        open_v1();
    } else {
        orch = host_open("memory:", NULL);
        engine = orch_v2_local_engine(orch);
    }
    host_define(orch, NOOP);
    host_define(orch, "{'id':'kept','version':'1.0.0','steps':[{'id':'a','executor':'kept'}]}");
    HOST_OK(orch_v2_start_workflow(orch, "kept", NULL, 0, NULL, &execution, &err));
    HOST_OK(orch_engine_next_task(engine, "kept", HOST_PATIENCE_MS, &task, &err));
    return 0;
}

static void free_orch(void)
{
    orch_execution_free(execution);
    if (v1) {
        orch_free(v1);
        orch_engine_free(engine);
    } else {
        orch_v2_free(orch); /* and its own engine with it */
    }
}

static int tear_down(void **state)
{
    (void)state;
    orch_task_complete(task, NULL, 0, NULL);
    free_orch();
    return 0;
}

/* The names of the functions in a header, whose declarations may go over several lines. */
static int check_header(const char *path)
{
    static char text[1 << 18];
    FILE *f = fopen(path, "r");
    size_t len = f ? fread(text, 1, sizeof text - 1, f) : 0;
    int count = 0;

    assert_true(len > 0 && len < sizeof text - 1);
    fclose(f);
    text[len] = '\0';
    for (char *p = text; (p = strstr(p, "\nORCH_API ")); p++) {
        char *end = strchr(p, '('), *name = end, last;

        while (name[-1] != ' ' && name[-1] != '*' && name[-1] != '\n')
            name--;
        last = *end;
        *end = '\0';
        if (!has_row(name))
            fail_msg("%s: %s has no row in this test", path, name);
        *end = last;
        count++;
    }
    return count;
}

static void every_function_has_a_row(void **state)
{
    DIR *d = opendir("include/orch");
    const struct dirent *entry;
    int count = 0;

    (void)state;
    if (!d)
        fail_msg("include/orch cannot be read: run this at the top of the tree");
    while ((entry = readdir(d))) {
        char path[300];

        if (!strstr(entry->d_name, ".h"))
            continue;
        snprintf(path, sizeof path, "include/orch/%s", entry->d_name);
        count += check_header(path);
    }
    closedir(d);
    assert_true(count > 90);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    EACH_MISUSE_ROW(r)
    {
        r->bad();
    }
    assert_string_equal(host_execute(orch, "noop", NULL, NULL, 0),
                        "succeeded"); /* nothing is broken */
}

enum place { IN_STOPPED, IN_FORKED, IN_DISPATCH, IN_LOG };

static int32_t answer_in(const misuse_row *row, enum place place)
{
    switch (place) {
    case IN_STOPPED: return row->stopped;
    case IN_FORKED: return row->forked;
    case IN_DISPATCH: return row->dispatch;
    default: return row->log;
    }
}

/* The number of the first row that answers otherwise than it says, from 1; 0 = none. */
static int call_rightly(enum place place)
{
    int number = 0;

    EACH_MISUSE_ROW(r)
    {
        int32_t expected = answer_in(r, place), rc;

        number++;
        if (!r->good || (misuse_tables[table] == misuse_v1_rows && !v1))
            continue;
        rc = r->good();
        if (rc == expected)
            continue;
        fprintf(stderr, "%s: %s; expected %s\n", r->names, orch_code_name(rc),
                orch_code_name(expected));
        return number;
    }
    return 0;
}

static void after_stop(void **state)
{
    (void)state;
    assert_true(orch_v2_fd(orch) >= 0);
    HOST_FAILS(orch_v2_stop(orch, 0, &err), ORCH_E_DEADLINE_EXCEEDED,
               "/a is"); /* the task is open */
    HOST_OK(orch_task_complete(task, NULL, 0, &err));
    HOST_OK(orch_v2_stop(orch, HOST_PATIENCE_MS, &err));
    assert_int_equal(call_rightly(IN_STOPPED), 0);
    free_orch();
}

static void in_a_forked_child(void **state)
{
    int status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(call_rightly(IN_FORKED));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int found;
static latch called = LATCH_INIT;

static void call_in_dispatch(void *user_data, orch_response *response)
{
    (void)user_data;
    orch_response_free(response);
    found = call_rightly(IN_DISPATCH);
    latch_add(&called);
}

static void inside_a_callback_of_dispatch(void **state)
{
    struct pollfd p = {.fd = orch_v2_fd(orch), .events = POLLIN};
    int before = latch_count(&called);

    (void)state;
    HOST_OK(orch_v2_start_workflow_async(orch, "noop", NULL, 0, NULL, NULL, call_in_dispatch, NULL,
                                         NULL, &err));
    while (latch_count(&called) == before) {
        assert_int_equal(poll(&p, 1, HOST_PATIENCE_MS), 1);
        assert_true(orch_v2_dispatch(orch) >= 0);
    }
    assert_int_equal(found, 0);
}

static void call_in_log(void *user_data, int32_t level, const char *message)
{
    (void)user_data;
    (void)level;
    (void)message;
    found = call_rightly(IN_LOG);
    latch_add(&called);
}

/* A step whose executor is not there is worth a line, on the loop thread. */
static void inside_a_log_callback(void **state)
{
    int before = latch_count(&called);

    (void)state;
    assert_true(orch_v2_fd(orch) >= 0);
    host_define(orch, "{'id':'lost','version':'1.0.0','steps':[{'id':'a','executor':'lost'}]}");
    assert_int_equal(orch_v2_set_log(orch, call_in_log, NULL, NULL, ORCH_LOG_WARNING), 0);
    HOST_OK(orch_v2_start_workflow(orch, "lost", NULL, 0, NULL, NULL, &err));
    latch_wait(&called, before + 1);
    assert_int_equal(found, 0);
}

static char yes; /* a state that is not NULL */

#define BOTH_WAYS(test, set_up, tear_down)           \
    {#test " (v2)", test, set_up, tear_down, NULL},  \
    {                                                \
#        test " (v1)", test, set_up, tear_down, &yes \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_has_a_row),
        BOTH_WAYS(bad_arguments_are_refused, set_up, tear_down),
        BOTH_WAYS(after_stop, set_up, NULL),
        BOTH_WAYS(in_a_forked_child, set_up, tear_down),
        BOTH_WAYS(inside_a_callback_of_dispatch, set_up, tear_down),
        BOTH_WAYS(inside_a_log_callback, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
