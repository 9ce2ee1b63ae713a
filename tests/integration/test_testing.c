/* Goal: a workflow of weeks is tested in a moment: time stands still while anything runs and jumps when all is quiet, mocks stand for
 * executors, and nothing of it depends on how quick the machine is. */
#include "support/api_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define START  1800000000000LL

static orch_v2 *open_testing(void)
{
    orch_error *why = NULL;
    orch_v2 *o = orch_testing_new(NULL, START, &why);

    if (!o)
        fail_msg("%s", orch_error_message(why));
    return o;
}

static void stand_in(orch_v2 *o, const char *name, orch_task_fn fn, void *user_data)
{
    HOST_OK(orch_testing_mock(o, name, fn, user_data, NULL, &err));
}

/* How long it took, in virtual time. */
static int64_t execute(orch_v2 *o, const char *workflow, int32_t state)
{
    orch_response *r = NULL;
    int64_t took_ms;

    HOST_OK(orch_v2_execute_workflow(o, workflow, NULL, 0, NULL, &r, &err));
    if (orch_response_state(r) != state)
        fail_msg("it is %s: %s", orch_execution_state_name(orch_response_state(r)),
                 orch_response_error(r, NULL));
    took_ms = orch_response_ended_ms(r) - orch_response_accepted_ms(r);
    assert_int_equal(orch_response_ended_ms(r), orch_testing_now(o));
    orch_response_free(r);
    return took_ms;
}

/* ---- time ------------------------------------------------------------------------------------------------ */

static void weeks_pass_in_a_moment(void **state)
{
    orch_v2 *o = open_testing();

    (void)state;
    assert_int_equal(orch_testing_now(o), START);
    host_define(o, "{'id':'long','version':'1.0.0','steps':["
                   "{'id':'a','executor':'wait','with':{'duration':'30d'}},"
                   "{'id':'b','executor':'noop','depends_on':['a']},"
                   "{'id':'c','executor':'wait','depends_on':['b'],'with':{'duration':'1h'}},"
                   "{'id':'d','executor':'wait','with':{'duration':'10d'}}]}");
    assert_int_equal(execute(o, "long", ORCH_EXECUTION_SUCCEEDED), 30 * DAY + HOUR);
    assert_int_equal(orch_testing_now(o), START + 30 * DAY + HOUR);
    assert_int_equal(execute(o, "long", ORCH_EXECUTION_SUCCEEDED), 30 * DAY + HOUR);
    host_close(o);
}

/* Retention looks each minute, so that there is always something that is next. */
static orch_v2 *open_with_retention(void)
{
    orch_config *c = orch_config_new();
    orch_v2 *o;

    HOST_OK(orch_config_set(c, "STORE_URL", "memory:", &err));
    HOST_OK(orch_config_set(c, "RETENTION_AGE", "1d", &err));
    o = orch_testing_new(c, START, NULL);
    assert_non_null(o);
    orch_config_free(c);
    return o;
}

/* Nor does it go on before the thread that waited has come round to it. */
static void it_stands_still_once_the_wait_is_over(void **state)
{
    orch_v2 *o = open_with_retention();

    (void)state;
    host_define(o, "{'id':'short','version':'1.0.0','steps':[{'id':'a','executor':'wait','with':"
                   "{'duration':'1s'}}]}");
    for (int i = 0; i < 300; i++) {
        orch_execution *e = NULL;
        orch_response *r = NULL;

        assert_int_equal(execute(o, "short", ORCH_EXECUTION_SUCCEEDED), SECOND);
        HOST_OK(orch_v2_start_workflow(o, "short", NULL, 0, NULL, &e, &err));
        HOST_OK(orch_execution_wait(e, -1, &r, &err));
        assert_int_equal(orch_response_ended_ms(r), orch_testing_now(o));
        orch_response_free(r);
        orch_execution_free(e);
    }
    host_close(o);
}

static void refuse(void *user_data, orch_task *task)
{
    latch_add(user_data);
    orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "out of order");
}

static void retries_come_at_their_time(void **state)
{
    latch called = LATCH_INIT;
    orch_v2 *o = open_testing();

    (void)state;
    stand_in(o, "refuse", refuse, &called);
    host_define(o, "{'id':'again','version':'1.0.0','steps':[{'id':'a','executor':'refuse','retry':"
                   "{'max_attempts':4,'initial_interval':'1h','backoff':2.0,'max_interval':'1d',"
                   "'jitter':0}}]}");
    assert_int_equal(execute(o, "again", ORCH_EXECUTION_FAILED), 7 * HOUR);
    assert_int_equal(latch_count(&called), 4);
    host_close(o);
}

static void deadlines_and_delays_are_of_that_time(void **state)
{
    orch_start_options *options = orch_start_options_new();
    orch_v2 *o = open_testing();
    orch_response *r = NULL;

    (void)state;
    host_define(o, "{'id':'deaf','version':'1.0.0','timeout':'3d','steps':[{'id':'a','executor':"
                   "'wait','with':{'signal':'never','timeout':'30d'}}]}");
    assert_int_equal(execute(o, "deaf", ORCH_EXECUTION_TIMED_OUT), 3 * DAY);
    assert_int_equal(orch_start_options_set_delay(options, 5 * DAY), 0);
    HOST_OK(orch_v2_execute_workflow(o, "deaf", NULL, 0, options, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_TIMED_OUT);
    assert_int_equal(orch_response_ended_ms(r) - orch_response_accepted_ms(r), 8 * DAY);
    orch_response_free(r);
    orch_start_options_free(options);
    host_close(o);
}

/* Nobody waits for anything. */
static void time_stands_still_by_itself(void **state)
{
    orch_v2 *o = open_testing();
    orch_execution *e = NULL;
    orch_response *r = NULL;

    (void)state;
    host_define(o, "{'id':'long','version':'1.0.0','steps':[{'id':'a','executor':'wait','with':"
                   "{'signal':'go','timeout':'30d'}}]}");
    HOST_OK(orch_v2_start_workflow(o, "long", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_testing_advance(o, 0, &err));
    assert_int_equal(orch_testing_now(o), START);
    HOST_OK(orch_v2_signal(o, orch_execution_id(e), "go", NULL, 0, NULL, NULL, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(orch_response_ended_ms(r), START);
    orch_response_free(r);
    orch_execution_free(e);
    host_close(o);
}

static void time_stands_still_while_a_task_is_out(void **state)
{
    orch_v2 *o = open_testing();
    orch_engine *engine = orch_v2_local_engine(o);
    orch_execution *e = NULL;
    orch_response *r = NULL;
    orch_task *t = NULL;

    (void)state;
    host_define(o, "{'id':'mixed','version':'1.0.0','steps':[{'id':'a','executor':'pulled'},"
                   "{'id':'b','executor':'wait','with':{'duration':'1d'}}]}");
    HOST_OK(orch_v2_start_workflow(o, "mixed", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_engine_next_task(engine, "pulled", HOST_PATIENCE_MS, &t, &err));
    HOST_FAILS(orch_execution_wait(e, 30, &r, &err), ORCH_E_DEADLINE_EXCEEDED, "30 ms");
    assert_int_equal(orch_testing_now(o), START);
    HOST_OK(orch_task_complete(t, NULL, 0, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_ended_ms(r), START + DAY);
    orch_response_free(r);
    orch_execution_free(e);
    host_close(o);
}

/* ---- letting it pass ------------------------------------------------------------------------------------- */

static void it_passes_step_by_step(void **state)
{
    latch called = LATCH_INIT;
    orch_v2 *o = open_testing();
    orch_execution *e = NULL;

    (void)state;
    stand_in(o, "refuse", refuse, &called);
    host_define(o, "{'id':'again','version':'1.0.0','steps':[{'id':'w','executor':'wait','with':"
                   "{'duration':'10m'}},{'id':'a','executor':'refuse','depends_on':['w'],'retry':"
                   "{'max_attempts':3,'initial_interval':'1h','backoff':1,'jitter':0,"
                   "'max_interval':'1h'}}]}");
    HOST_OK(orch_v2_start_workflow(o, "again", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_testing_advance(o, 10 * MINUTE - 1, &err));
    assert_int_equal(latch_count(&called), 0);
    assert_int_equal(orch_testing_now(o), START + 10 * MINUTE - 1);
    HOST_OK(orch_testing_advance(o, 1, &err));
    assert_int_equal(latch_count(&called), 1);
    HOST_OK(orch_testing_advance(o, HOUR - 1, &err));
    assert_int_equal(latch_count(&called), 1);
    HOST_OK(orch_testing_advance(o, 30 * MINUTE, &err));
    assert_int_equal(latch_count(&called), 2);
    HOST_OK(orch_testing_advance(o, 30 * DAY, &err));
    assert_int_equal(latch_count(&called), 3);
    assert_int_equal(host_state(o, orch_execution_id(e)), ORCH_EXECUTION_FAILED);
    assert_int_equal(orch_testing_now(o), START + 30 * DAY + 100 * MINUTE - 1);
    orch_execution_free(e);
    host_close(o);
}

static void a_step_that_hangs_times_out(void **state)
{
    orch_v2 *o = open_testing();
    orch_engine *engine = orch_v2_local_engine(o);
    orch_execution *e = NULL;
    orch_response *r = NULL;
    orch_task *t = NULL;

    (void)state;
    host_define(o, "{'id':'hangs','version':'1.0.0','steps':[{'id':'a','executor':'pulled',"
                   "'timeout':'1h'}]}");
    HOST_OK(orch_v2_start_workflow(o, "hangs", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_engine_next_task(engine, "pulled", HOST_PATIENCE_MS, &t, &err));
    HOST_OK(orch_testing_advance(o, HOUR - 1, &err));
    assert_int_equal(orch_task_stopping(t), 0);
    HOST_OK(orch_testing_advance(o, 1, &err));
    assert_true(orch_task_stopping(t) != 0);
    assert_int_equal(orch_task_fail(t, ORCH_E_CANCELLED, 1, "told to stop"), 0);
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_FAILED);
    assert_non_null(strstr(orch_response_error(r, NULL), "DEADLINE_EXCEEDED"));
    orch_response_free(r);
    orch_execution_free(e);
    host_close(o);
}

typedef struct passer {
    orch_v2 *orch;
    int32_t code;
} passer;

static void *pass(void *arg)
{
    passer *p = arg;

    p->code = orch_testing_advance(p->orch, DAY, NULL);
    return NULL;
}

static void a_stop_ends_it(void **state)
{
    latch gate = LATCH_INIT;
    orch_v2 *o = open_testing();
    passer p = {.orch = o};
    pthread_t thread;

    (void)state;
    stand_in(o, "gate", host_gate, &gate);
    host_define(o, "{'id':'held','version':'1.0.0','steps':[{'id':'a','executor':'gate'}]}");
    HOST_OK(orch_v2_start_workflow(o, "held", NULL, 0, NULL, NULL, &err));
    latch_wait(&gate, 1); /* its thread is busy: time cannot pass */
    assert_int_equal(pthread_create(&thread, NULL, pass, &p), 0);
    HOST_OK(orch_v2_stop(o, HOST_PATIENCE_MS, &err));
    pthread_join(thread, NULL);
    assert_true(p.code == ORCH_E_CANCELLED || p.code == ORCH_E_FAILED_PRECONDITION);
    orch_v2_free(o);
}

static void it_goes_on_with_a_store(void **state)
{
    char room[200];
    orch_config *c = orch_config_new();
    orch_execution *e = NULL;
    orch_response *r = NULL;
    orch_v2 *o;

    (void)state;
    HOST_OK(orch_config_set(c, "STORE_URL", host_sqlite(room, sizeof room, "time.db"), &err));
    o = orch_testing_new(c, START, NULL);
    host_define(o, "{'id':'long','version':'1.0.0','steps':[{'id':'a','executor':'wait','with':"
                   "{'duration':'30d'}}]}");
    HOST_OK(orch_v2_start_workflow(o, "long", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_testing_advance(o, 10 * DAY, &err));
    host_close(o);
    o = orch_testing_new(c, START + 20 * DAY, NULL);
    assert_non_null(o);
    HOST_OK(orch_v2_get_execution(o, orch_execution_id(e), &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUSPENDED);
    orch_response_free(r);
    HOST_OK(orch_testing_advance(o, 10 * DAY, &err));
    HOST_OK(orch_v2_get_execution(o, orch_execution_id(e), &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(orch_response_ended_ms(r), START + 30 * DAY);
    orch_response_free(r);
    orch_execution_free(e);
    orch_config_free(c);
    host_close(o);
}

/* ---- mocks ----------------------------------------------------------------------------------------------- */

typedef struct seen {
    char text[400];
} seen;

/* Notes who was called with what, and answers with the step's name. */
static void note(void *user_data, orch_task *task)
{
    seen *s = user_data;
    size_t used = strlen(s->text);
    char output[80];

    snprintf(s->text + used, sizeof s->text - used, "%s/%s %s; ", orch_task_workflow(task),
             orch_task_step(task), orch_task_input(task, NULL));
    snprintf(output, sizeof output, "{\"from\":\"%s\"}", orch_task_step(task));
    orch_task_complete(task, output, strlen(output), NULL);
}

static void built_in_executors_are_mocked(void **state)
{
    orch_v2 *o = open_testing();
    orch_response *r = NULL;
    seen s = {""};

    (void)state;
    stand_in(o, "http", note, &s);
    stand_in(o, "exec", note, &s);
    stand_in(o, "lua", note, &s);
    stand_in(o, "mine", note, &s);
    host_define(o,
                "{'id':'w','version':'1.0.0','steps':["
                "{'id':'h','executor':'http','with':{'url':'http://127.0.0.1:1/${1 + 1}'}},"
                "{'id':'x','executor':'exec','depends_on':['h'],'with':{'argv':['rm','-rf','/']}},"
                "{'id':'l','executor':'lua','depends_on':['x'],'with':{'code':'return 1'}},"
                "{'id':'m','executor':'mine','depends_on':['l'],'with':'${steps.l.output.from}'}],"
                "'output':'${steps.m.output}'}");
    HOST_OK(orch_v2_execute_workflow(o, "w", NULL, 0, NULL, &r, &err));
    assert_string_equal(orch_response_output(r, NULL), "{\"from\":\"m\"}");
    assert_string_equal(s.text, "w/h {\"url\":\"http://127.0.0.1:1/2\"}; "
                                "w/x {\"argv\":[\"rm\",\"-rf\",\"/\"]}; "
                                "w/l {\"code\":\"return 1\"}; w/m \"l\"; ");
    orch_response_free(r);
    host_close(o);
}

static latch freed = LATCH_INIT;

static void count_free(void *user_data)
{
    (void)user_data;
    latch_add(&freed);
}

static void the_last_mock_holds(void **state)
{
    latch called = LATCH_INIT;
    orch_v2 *o = open_testing();
    int before = latch_count(&freed);

    (void)state;
    host_define(o, "{'id':'w','version':'1.0.0','steps':[{'id':'a','executor':'noop'}]}");
    HOST_OK(orch_testing_mock(o, "noop", refuse, &called, count_free, &err));
    execute(o, "w", ORCH_EXECUTION_FAILED);
    HOST_OK(orch_testing_mock(o, "noop", host_echo, NULL, count_free, &err));
    latch_wait(&freed, before + 1); /* once the call that was under way has returned */
    assert_int_equal(latch_count(&freed), before + 1);
    execute(o, "w", ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(latch_count(&called), 1);
    host_close(o);
    assert_int_equal(latch_count(&freed), before + 2);
}

static void what_runs_or_is_pulled_is_not_replaced(void **state)
{
    orch_v2 *o = open_testing();
    orch_task *t = NULL;

    (void)state;
    host_define(o, "{'id':'w','version':'1.0.0','steps':[{'id':'a','executor':'pulled'}]}");
    HOST_OK(orch_v2_start_workflow(o, "w", NULL, 0, NULL, NULL, &err));
    HOST_OK(orch_engine_next_task(orch_v2_local_engine(o), "pulled", HOST_PATIENCE_MS, &t, &err));
    HOST_FAILS(orch_testing_mock(o, "pulled", host_echo, NULL, NULL, &err),
               ORCH_E_FAILED_PRECONDITION, "are pulled");
    HOST_FAILS(orch_testing_mock(o, "noop", host_echo, NULL, NULL, &err),
               ORCH_E_FAILED_PRECONDITION, "while steps run");
    HOST_OK(orch_task_complete(t, NULL, 0, &err));
    HOST_OK(orch_testing_advance(o, 0, &err));
    HOST_OK(orch_testing_mock(o, "noop", host_echo, NULL, NULL, &err));
    host_close(o);
}

/* ---- elsewhere ------------------------------------------------------------------------------------------- */

typedef struct inside {
    orch_v2 *orch;
    int32_t code;
} inside;

static void pass_inside(void *user_data, orch_task *task)
{
    inside *i = user_data;

    i->code = orch_testing_advance(i->orch, 1, NULL);
    orch_task_complete(task, NULL, 0, NULL);
}

static void an_executor_cannot_let_it_pass(void **state)
{
    orch_v2 *o = open_testing();
    inside i = {.orch = o};

    (void)state;
    stand_in(o, "noop", pass_inside, &i);
    host_define(o, "{'id':'w','version':'1.0.0','steps':[{'id':'a','executor':'noop'}]}");
    execute(o, "w", ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(i.code, ORCH_E_FAILED_PRECONDITION);
    host_close(o);
}

static void real_time_is_not_touched(void **state)
{
    orch_v2 *o = host_open("memory:", NULL);

    (void)state;
    assert_int_equal(orch_testing_now(o), -1);
    HOST_FAILS(orch_testing_advance(o, 1, &err), ORCH_E_FAILED_PRECONDITION, "its time is real");
    HOST_FAILS(orch_testing_mock(o, "noop", host_echo, NULL, NULL, &err),
               ORCH_E_FAILED_PRECONDITION, "its time is real");
    host_close(o);
}

static void it_begins_now(void **state)
{
    orch_v2 *o = orch_testing_new(NULL, 0, NULL);

    (void)state;
    assert_true(orch_testing_now(o) > 1700000000000LL);
    host_close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weeks_pass_in_a_moment),
        cmocka_unit_test(retries_come_at_their_time),
        cmocka_unit_test(deadlines_and_delays_are_of_that_time),
        cmocka_unit_test(time_stands_still_by_itself),
        cmocka_unit_test(time_stands_still_while_a_task_is_out),
        cmocka_unit_test(it_passes_step_by_step),
        cmocka_unit_test(a_step_that_hangs_times_out),
        cmocka_unit_test(a_stop_ends_it),
        cmocka_unit_test(it_goes_on_with_a_store),
        cmocka_unit_test(built_in_executors_are_mocked),
        cmocka_unit_test(the_last_mock_holds),
        cmocka_unit_test(what_runs_or_is_pulled_is_not_replaced),
        cmocka_unit_test(an_executor_cannot_let_it_pass),
        cmocka_unit_test(real_time_is_not_touched),
        cmocka_unit_test(it_begins_now),
        cmocka_unit_test(it_stands_still_once_the_wait_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
