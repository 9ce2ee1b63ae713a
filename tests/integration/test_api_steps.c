/* Goal: where each step of an execution is can be asked for while it runs, once it has ended, by the next process, and page by page. */
#include "support/api_host.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char BUSY[] =
    "{'id':'busy','version':'1.0.0','steps':["
    "{'id':'first','executor':'echo','with':{'v':1}},"
    "{'id':'held','executor':'gate','depends_on':['first']},"
    "{'id':'again','executor':'broken','retry':{'initial_interval':'1h','max_interval':'1h'}},"
    "{'id':'sleep','executor':'wait','with':{'duration':'1h'}},"
    "{'id':'each','executor':'gate','for_each':'${input.list}','max_parallel':1,'with':'${item}'},"
    "{'id':'not','executor':'noop','when':'input.never'},"
    "{'id':'last','executor':'noop','depends_on':['held','each','not']}]}";

/* Fails for a reason that may pass. */
static void broken(void *user_data, orch_task *task)
{
    (void)user_data;
    orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "out of order");
}

static orch_v2 *open_busy(const char *url, latch *gate)
{
    orch_v2 *o = host_open(url, NULL);
    orch_engine *e = orch_v2_local_engine(o);

    HOST_OK(orch_engine_register_executor(e, "echo", host_echo, NULL, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "gate", host_gate, gate, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "broken", broken, NULL, NULL, &err));
    host_define(o, BUSY);
    return o;
}

static void start_busy(orch_v2 *o, const char *id, const char *inputs)
{
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    HOST_OK(orch_v2_start_workflow(o, "busy", inputs, strlen(inputs), options, NULL, &err));
    orch_start_options_free(options);
}

static const char *store_url(void **state, const char *name, char room[200])
{
    return *state ? host_sqlite(room, 200, name) : "memory:";
}

static orch_steps *get(orch_v2 *o, const char *id, const char *step, uint32_t first, uint32_t limit)
{
    orch_steps *s = NULL;

    HOST_OK(orch_v2_get_steps(o, id, 0, step, first, limit, &s, &err));
    return s;
}

/* The page once entry i of it is in that state. */
static orch_steps *await(orch_v2 *o, const char *id, const char *step, size_t i, int32_t state)
{
    struct timespec now;
    time_t until;
    orch_steps *s;

    clock_gettime(CLOCK_MONOTONIC, &now);
    until = now.tv_sec + HOST_PATIENCE_MS / 1000;
    while (s = get(o, id, step, 0, 0), orch_steps_state(s, i) != state) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > until)
            fail_msg("'%s' is %s", orch_steps_id(s, i),
                     orch_step_kind_name(orch_steps_state(s, i)));
        orch_steps_free(s);
    }
    return s;
}

static void await_only(orch_v2 *o, const char *id, const char *step, size_t i, int32_t state)
{
    orch_steps_free(await(o, id, step, i, state));
}

enum { FIRST, HELD, AGAIN, SLEEP, EACH, NOT, LAST };

static void steps_are_seen_while_they_run(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_busy(store_url(state, "busy.db", room), &gate);
    orch_steps *s;

    start_busy(o, "one", "{\"list\":[\"x\",\"y\",\"z\"]}");
    latch_wait(&gate, 2);
    await_only(o, "one", NULL, SLEEP, ORCH_STEP_WAITING);
    await_only(o, "one", NULL, NOT, ORCH_STEP_SKIPPED);
    s = await(o, "one", NULL, AGAIN, ORCH_STEP_RETRYING);
    assert_int_equal(orch_steps_total(s), 7);
    assert_int_equal(orch_steps_count(s), 7);
    assert_string_equal(orch_steps_id(s, FIRST), "first");
    assert_string_equal(orch_steps_executor(s, FIRST), "echo");
    assert_int_equal(orch_steps_index(s, FIRST), -1);
    assert_int_equal(orch_steps_state(s, FIRST), ORCH_STEP_SUCCEEDED);
    assert_int_equal(orch_steps_attempts(s, FIRST), 1);
    assert_true(orch_steps_started_ms(s, FIRST) > 0);
    assert_true(orch_steps_ended_ms(s, FIRST) >= orch_steps_started_ms(s, FIRST));
    assert_string_equal(orch_steps_output(s, FIRST, NULL), "{\"v\":1}");
    assert_null(orch_steps_error(s, FIRST, NULL));
    assert_int_equal(orch_steps_state(s, HELD), ORCH_STEP_RUNNING);
    assert_int_equal(orch_steps_ended_ms(s, HELD), 0);
    assert_string_equal(orch_steps_output(s, HELD, NULL), "null");
    assert_int_equal(orch_steps_attempts(s, AGAIN), 1);
    assert_true(orch_steps_due_ms(s, AGAIN) > orch_steps_started_ms(s, AGAIN));
    assert_non_null(strstr(orch_steps_error(s, AGAIN, NULL), "out of order"));
    assert_true(orch_steps_due_ms(s, SLEEP) > 0);
    assert_int_equal(orch_steps_state(s, EACH), ORCH_STEP_RUNNING);
    assert_int_equal(orch_steps_items(s, EACH), 3);
    assert_int_equal(orch_steps_items_ended(s, EACH), 0);
    assert_int_equal(orch_steps_state(s, LAST), ORCH_STEP_NONE);
    orch_steps_free(s);
    HOST_OK(orch_v2_terminate(o, "one", NULL, &err));
    host_close(o);
}

static void items_are_seen(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_busy(store_url(state, "items.db", room), &gate);
    orch_steps *s;

    start_busy(o, "one", "{\"list\":[\"x\",\"y\",\"z\"]}");
    s = await(o, "one", "each", 0, ORCH_STEP_RUNNING);
    assert_int_equal(orch_steps_total(s), 3);
    assert_int_equal(orch_steps_count(s), 3);
    assert_int_equal(orch_steps_state(s, 1), ORCH_STEP_NONE); /* one at a time */
    orch_steps_free(s);
    latch_open(&gate);
    await_only(o, "one", NULL, EACH, ORCH_STEP_SUCCEEDED);
    s = get(o, "one", NULL, EACH, 1);
    assert_int_equal(orch_steps_count(s), 1);
    assert_int_equal(orch_steps_items(s, 0), 3);
    assert_int_equal(orch_steps_items_ended(s, 0), 3);
    orch_steps_free(s);
    s = get(o, "one", "each", 1, 5);
    assert_int_equal(orch_steps_count(s), 2);
    assert_string_equal(orch_steps_id(s, 0), "each");
    assert_int_equal(orch_steps_index(s, 0), 1);
    assert_string_equal(orch_steps_output(s, 0, NULL), "\"y\"");
    assert_string_equal(orch_steps_output(s, 1, NULL), "\"z\"");
    orch_steps_free(s);
    HOST_OK(orch_v2_terminate(o, "one", NULL, &err));
    host_close(o);
}

static void what_has_ended_is_seen_by_the_next_process(void **state)
{
    char room[200];
    const char *url = host_sqlite(room, sizeof room, "ended.db");
    latch gate = LATCH_INIT;
    orch_v2 *o = open_busy(url, &gate);
    orch_steps *s;

    (void)state;
    latch_open(&gate);
    start_busy(o, "one", "{\"list\":[]}");
    await_only(o, "one", NULL, LAST, ORCH_STEP_SUCCEEDED);
    HOST_OK(orch_v2_cancel(o, "one", NULL, &err));
    host_await_state(o, "one", ORCH_EXECUTION_CANCELLED);
    host_close(o);
    o = host_open(url, NULL);
    s = get(o, "one", NULL, 0, 0);
    assert_int_equal(orch_steps_state(s, LAST), ORCH_STEP_SUCCEEDED);
    assert_int_equal(orch_steps_state(s, EACH), ORCH_STEP_SUCCEEDED);
    assert_int_equal(orch_steps_items(s, EACH), 0);
    assert_int_equal(orch_steps_state(s, SLEEP), ORCH_STEP_CANCELLED);
    orch_steps_free(s);
    HOST_OK(orch_v2_stop(o, HOST_PATIENCE_MS, &err));
    s = get(o, "one", NULL, 5, 1);
    assert_int_equal(orch_steps_count(s), 1);
    assert_string_equal(orch_steps_id(s, 0), "not");
    orch_steps_free(s);
    orch_v2_free(o);
}

static void what_is_not_there_is_said(void **state)
{
    latch gate = LATCH_INIT;
    orch_v2 *o = open_busy("memory:", &gate);
    orch_steps *s = NULL;

    (void)state;
    latch_open(&gate);
    start_busy(o, "one", "{\"list\":[]}");
    HOST_FAILS(orch_v2_get_steps(o, "two", 0, NULL, 0, 0, &s, &err), ORCH_E_NOT_FOUND, "'two'");
    HOST_FAILS(orch_v2_get_steps(o, "one", 2, NULL, 0, 0, &s, &err), ORCH_E_NOT_FOUND,
               "execution 'one' has 1 run; there is no run 2");
    HOST_FAILS(orch_v2_get_steps(o, "one", 0, "nosuch", 0, 0, &s, &err), ORCH_E_NOT_FOUND,
               "workflow 'busy' 1.0.0 has no step 'nosuch'");
    HOST_FAILS(orch_v2_get_steps(o, "one", 0, "first", 0, 0, &s, &err), ORCH_E_INVALID_ARGUMENT,
               "'first' has no for_each");
    assert_null(s);
    s = get(o, "one", NULL, 7, 0);
    assert_int_equal(orch_steps_count(s), 0);
    assert_int_equal(orch_steps_total(s), 7);
    assert_string_equal(orch_steps_id(s, 0), "");
    orch_steps_free(s);
    HOST_OK(orch_v2_terminate(o, "one", NULL, &err));
    host_close(o);
}

/* ---- the whole language ---------------------------------------------------------------------------------- */

static orch_v2 *open_testing(const char *definition)
{
    orch_v2 *o = orch_testing_new(NULL, 1800000000000, NULL);

    assert_non_null(o);
    host_define(o, definition);
    return o;
}

static void how_far_a_task_is_shows(void **state)
{
    static const char details[] = "{\"done\":7}";
    orch_v2 *o = open_testing("{'id':'busy','version':'1.0.0','steps':[{'id':'a','executor':'far',"
                              "'heartbeat_timeout':'1m'}]}");
    orch_task *task = NULL;
    orch_steps *s;

    (void)state;
    start_busy(o, "one", "{}");
    HOST_OK(orch_engine_next_task(orch_v2_local_engine(o), "far", HOST_PATIENCE_MS, &task, &err));
    HOST_OK(orch_task_heartbeat(task, details, strlen(details), &err));
    HOST_OK(orch_testing_advance(o, 30000, &err));
    s = get(o, "one", NULL, 0, 0);
    assert_int_equal(orch_steps_state(s, 0), ORCH_STEP_RUNNING);
    assert_string_equal(orch_steps_output(s, 0, NULL), details);
    assert_int_equal(orch_steps_attempts(s, 0), 0);
    orch_steps_free(s);
    HOST_OK(orch_task_complete(task, "8", 1, &err));
    HOST_OK(orch_testing_advance(o, 0, &err));
    s = get(o, "one", NULL, 0, 0);
    assert_int_equal(orch_steps_state(s, 0), ORCH_STEP_SUCCEEDED);
    assert_string_equal(orch_steps_output(s, 0, NULL), "8");
    assert_int_equal(orch_steps_attempts(s, 0), 1);
    orch_steps_free(s);
    host_close(o);
}

static void what_was_compensated_shows(void **state)
{
    orch_v2 *o = open_testing("{'id':'busy','version':'1.0.0','steps':["
                              "{'id':'a','executor':'noop','with':'booked','compensate':"
                              "{'executor':'noop','with':'cancelled'}},"
                              "{'id':'b','executor':'broken','depends_on':['a']}]}");
    orch_steps *s;

    (void)state;
    HOST_OK(orch_testing_mock(o, "broken", broken, NULL, NULL, &err));
    start_busy(o, "one", "{}");
    HOST_OK(orch_testing_advance(o, 0, &err));
    assert_int_equal(host_state(o, "one"), ORCH_EXECUTION_FAILED);
    s = get(o, "one", NULL, 0, 0);
    assert_int_equal(orch_steps_state(s, 0), ORCH_STEP_UNDONE);
    assert_string_equal(orch_steps_output(s, 0, NULL), "\"booked\"");
    assert_true(orch_steps_ended_ms(s, 0) > 0);
    assert_int_equal(orch_steps_state(s, 1), ORCH_STEP_FAILED);
    orch_steps_free(s);
    host_close(o);
}

static void children_and_signals_that_are_awaited_show(void **state)
{
    orch_v2 *o = open_testing("{'id':'busy','version':'1.0.0','steps':["
                              "{'id':'c','executor':'workflow','with':{'workflow':'child'}},"
                              "{'id':'s','executor':'wait','with':{'signal':'go'}}]}");
    orch_steps *s;

    (void)state;
    host_define(o, "{'id':'child','version':'1.0.0','steps':[{'id':'a','executor':'wait','with':"
                   "{'signal':'never'}}]}");
    start_busy(o, "one", "{}");
    HOST_OK(orch_testing_advance(o, 0, &err));
    s = get(o, "one", NULL, 0, 0);
    assert_int_equal(orch_steps_state(s, 0), ORCH_STEP_RUNNING);
    assert_int_equal(orch_steps_state(s, 1), ORCH_STEP_WAITING);
    assert_int_equal(orch_steps_due_ms(s, 1), 0);
    orch_steps_free(s);
    HOST_OK(orch_testing_advance(o, 60000, &err)); /* it is put down meanwhile */
    assert_int_equal(host_state(o, "one"), ORCH_EXECUTION_SUSPENDED);
    s = get(o, "one", NULL, 0, 0);
    assert_int_equal(orch_steps_state(s, 0), ORCH_STEP_CHILD);
    assert_int_equal(orch_steps_state(s, 1), ORCH_STEP_WAITING);
    orch_steps_free(s);
    HOST_OK(orch_v2_terminate(o, "one", NULL, &err));
    host_close(o);
}

static char yes; /* a state that is not NULL */

#define ON_BOTH(test)                             \
    {#test " (memory)", test, NULL, NULL, NULL},  \
    {                                             \
#        test " (sqlite)", test, NULL, NULL, &yes \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(steps_are_seen_while_they_run),
        ON_BOTH(items_are_seen),
        cmocka_unit_test(what_has_ended_is_seen_by_the_next_process),
        cmocka_unit_test(what_is_not_there_is_said),
        cmocka_unit_test(how_far_a_task_is_shows),
        cmocka_unit_test(what_was_compensated_shows),
        cmocka_unit_test(children_and_signals_that_are_awaited_show),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
