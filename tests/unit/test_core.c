/* Goal: the execution protocol between the orchestrator and engines holds in each of its corners: hand-over, attach after a
 * broken channel, zombies, suspension, the inbox, restarts. One thread, a clock of the test's own, no sleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "orchestrator/orchestrator_impl.h"
#include "support/world.h"

/* ---- an executor whose attempts end when the test says so ------------------------------------------------ */

#define ATTEMPTS_MAX 64

static struct {
    attempt *open[ATTEMPTS_MAX];
    char keys[ATTEMPTS_MAX][64]; /* idempotency keys of all that were started */
    int started, stopped;
} bench;

static bool bench_start(void *self, attempt *a)
{
    (void)self;
    assert_true(bench.started < ATTEMPTS_MAX);
    snprintf(bench.keys[bench.started], sizeof *bench.keys, "%s", strchr(a->idempotency_key, '/'));
    bench.open[bench.started++] = a;
    return false;
}

static void bench_stop(void *self, attempt *a)
{
    (void)self;
    (void)a;
    bench.stopped++;
}

/* What is still out is cut off, as a killed process would. */
static void bench_free(void *self)
{
    (void)self;
    memset(bench.open, 0, sizeof bench.open);
}

static const executor_ops test_ops = {
    .size = sizeof(executor_ops),
    .name = "test",
    .start = bench_start,
    .stop = bench_stop,
    .free = bench_free,
};

static void finish(int i, int32_t code)
{
    attempt *a = bench.open[i];
    attempt_result r = {.code = code};

    assert_non_null(a);
    bench.open[i] = NULL;
    if (!code)
        r.output = bytes_new("{\"done\":true}", 13);
    attempt_complete(a, r);
}

static const world_options plain = {.test_executor = &test_ops};

static world *begin(const world_options *o)
{
    memset(&bench, 0, sizeof bench);
    return world_new(o);
}

static void assert_text(char *text, const char *expected)
{
    assert_string_equal(text, expected);
    mem_free(text);
}

#define TWO_STEPS                                                                            \
    "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"}," \
    "{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"]}],"                          \
    "\"output\":{\"a\":\"${steps.a.output.done}\"}}"
#define NOOPS                                                                                      \
    "{\"id\":\"noops\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"noop\"},"     \
    "{\"id\":\"b\",\"executor\":\"noop\",\"depends_on\":[\"a\"],\"with\":{\"x\":\"${input.x}\"}}]" \
    ","                                                                                            \
    "\"output\":\"${steps.b.output.x}\"}"
#define SLEEPER                                                                                    \
    "{\"id\":\"sleeper\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"w\",\"executor\":\"wait\","    \
    "\"with\":{\"duration\":\"1h\"}},{\"id\":\"a\",\"executor\":\"test\",\"depends_on\":[\"w\"]}]" \
    "}"

/* ---- hand-over ------------------------------------------------------------------------------------------- */

static void test_runs_to_its_end(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, NOOPS);
    key = world_start(w, "noops", NULL, "{\"x\":42}");
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "42");
    assert_int_equal(world_checkpoints(w, key, CHECKPOINT_SUCCEEDED), 2);
    world_free(w);
}

static void test_effect_waits_for_its_cause(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, TWO_STEPS);
    key = world_start(w, "two", NULL, NULL);
    assert_int_equal(bench.started, 1);
    finish(0, 0);
    world_settle(w);
    assert_int_equal(bench.started, 2);
    assert_int_equal(world_checkpoints(w, key, CHECKPOINT_SUCCEEDED), 1);
    finish(1, 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "{\"a\":true}");
    world_free(w);
}

static void test_a_failed_step_fails_it(void **state)
{
    world *w = begin(&plain);
    uint64_t key;
    char *error;

    (void)state;
    world_register(w, TWO_STEPS);
    key = world_start(w, "two", NULL, NULL);
    finish(0, ORCH_E_INTERNAL);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    assert_int_equal(bench.started, 1);
    error = world_error(w, key);
    assert_non_null(strstr(error, "\"INTERNAL\""));
    assert_non_null(strstr(error, "\"a\""));
    mem_free(error);
    world_free(w);
}

static void test_a_handler_sees_how_the_others_ended(void **state)
{
    static const char expected[] = "{\"a\":\"failed\",\"b\":\"skipped\",\"c\":\"succeeded\","
                                   "\"code\":\"INTERNAL\",\"late\":null}";
    world *w = begin(&plain);
    checkpoint_page page;
    uint64_t key;

    (void)state;
    world_register(
        w,
        "{\"id\":\"h\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"},"
        "{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"]},"
        "{\"id\":\"c\",\"executor\":\"noop\"},"
        "{\"id\":\"h\",\"executor\":\"noop\",\"depends_on\":[\"b\",\"c\"],\"run_if\":\"all_done\","
        "\"with\":{\"a\":\"${steps.a.status}\",\"b\":\"${steps.b.status}\","
        "\"c\":\"${steps.c.status}\",\"code\":\"${steps.a.error.code}\","
        "\"late\":\"${steps.b.output}\"}}]}");
    key = world_start(w, "h", NULL, NULL);
    finish(0, ORCH_E_INTERNAL);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    assert_int_equal(bench.started, 1);
    assert_int_equal(w->store.ops->load_checkpoints(w->store.self, key, 1, 0, 0, &page, NULL), 0);
    assert_int_equal(page.rows[page.count - 1].step, 3);
    assert_int_equal(page.rows[page.count - 1].kind, CHECKPOINT_SUCCEEDED);
    assert_string_equal(page.rows[page.count - 1].output->data, expected);
    checkpoint_page_clear(&page);
    world_free(w);
}

static void test_a_chosen_id_is_taken_once(void **state)
{
    world *w = begin(&plain);
    uint64_t key, other;

    (void)state;
    world_register(w, NOOPS);
    key = world_start(w, "noops", "order-1", "{\"x\":1}");
    assert_int_equal(world_start_code(w, "noops", "order-1", "{}", &other), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(world_start_code(w, "none", NULL, "{}", &other), ORCH_E_NOT_FOUND);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

static void test_more_than_engines_hold_wait_in_the_store(void **state)
{
    world_options o = plain;
    uint64_t keys[30];
    world *w;

    (void)state;
    o.capacity = 2;
    o.window = 4;
    w = begin(&o);
    world_register(w, TWO_STEPS);
    for (int i = 0; i < 30; i++)
        keys[i] = world_start(w, "two", NULL, NULL);
    assert_int_equal(bench.started, 2);
    for (int i = 0; i < 60; i++) {
        finish(i, 0);
        world_settle(w);
    }
    for (int i = 0; i < 30; i++)
        assert_int_equal(world_state(w, keys[i]), EXECUTION_SUCCEEDED);
    world_free(w);
}

static void test_credit_bounds_what_is_not_stored(void **state)
{
    world_options o = plain;
    uint64_t key;
    world *w;

    (void)state;
    o.credit = 1;
    w = begin(&o);
    world_register(w, NOOPS);
    key = world_start(w, "noops", NULL, "{\"x\":null}");
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* ---- broken channels ------------------------------------------------------------------------------------- */

static void test_running_work_survives_a_broken_channel(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, TWO_STEPS);
    key = world_start(w, "two", NULL, NULL);
    transport_inproc_break(world_channel(w, key));
    finish(0, 0); /* while nobody is attached */
    world_settle(w);
    assert_int_equal(bench.started, 2);
    assert_int_equal(bench.stopped, 0);
    assert_string_equal(bench.keys[1], "/1/b");
    transport_inproc_break(world_channel(w, key));
    world_settle(w);
    finish(1, 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_int_equal(world_checkpoints(w, key, 0), 2);
    assert_int_equal(bench.started, 2);
    world_free(w);
}

static void test_another_instance_begins_anew_from_checkpoints(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, TWO_STEPS);
    key = world_start(w, "two", NULL, NULL);
    finish(0, 0);
    world_settle(w);
    assert_int_equal(bench.started, 2);
    transport_inproc_break(world_channel(w, key));
    world_restart_engine(w, 0, &plain);
    world_settle(w);
    assert_int_equal(bench.started, 3);
    assert_string_equal(bench.keys[2], "/1/b"); /* a is stored, and does not run again */
    finish(2, 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

static void test_a_lost_engine_is_left_after_the_grace(void **state)
{
    world_options o = plain;
    uint64_t key;
    world *w;

    (void)state;
    o.engines = 2;
    w = begin(&o);
    world_register(w, TWO_STEPS);
    key = world_start(w, "two", NULL, NULL);
    w->transport.ops->unlisten(w->transport.self, "engine-0");
    transport_inproc_break(world_channel(w, key));
    world_advance(w, 9000);
    assert_int_equal(bench.started, 1);
    assert_int_equal(bench.stopped, 0);
    world_advance(w, 2000); /* the engine's own grace is over: it stops what it has */
    assert_int_equal(bench.stopped, 1);
    assert_int_equal(bench.started, 1);
    world_advance(w, 5000); /* then the orchestrator's: it goes to the other one */
    assert_int_equal(bench.started, 2);
    finish(0, 0); /* the zombie's answer is nobody's */
    world_settle(w);
    assert_int_equal(world_checkpoints(w, key, 0), 0);
    finish(1, 0);
    world_settle(w);
    finish(2, 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* ---- restarts -------------------------------------------------------------------------------------------- */

static void test_a_restart_goes_on_from_checkpoints(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, TWO_STEPS);
    key = world_start(w, "two", NULL, NULL);
    finish(0, 0);
    world_settle(w);
    world_restart(w, &plain);
    assert_int_equal(bench.started, 2);
    world_settle(w);
    assert_int_equal(bench.started, 3);
    assert_string_equal(bench.keys[2], "/1/b");
    finish(2, 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "{\"a\":true}");
    world_free(w);
}

/* A program registers at each start, while what it left is being recovered. */
static void test_a_registration_crosses_the_load_of_its_definition(void **state)
{
    world *w = begin(&plain);
    definition *registered;
    uint64_t key;

    (void)state;
    world_register(w, TWO_STEPS);
    key = world_start(w, "two", NULL, NULL);
    world_restart(w, &plain);
    for (uint32_t i = 0; !w->orchestrator->by_key->loading;
         i++) { /* until the engine has asked for it */
        assert_true(i < 1000);
        world_nudge(w, i);
    }
    w->pool_held = true;
    world_register(w, TWO_STEPS);
    registered = w->orchestrator->by_key->definition;
    assert_non_null(registered);
    w->pool_held = false;
    world_settle(w);
    assert_ptr_equal(w->orchestrator->by_key->definition, registered);
    assert_int_equal(bench.started, 2);
    finish(1, 0);
    world_settle(w);
    finish(2, 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* ---- suspension ------------------------------------------------------------------------------------------ */

static void test_a_long_wait_is_put_down_and_woken(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, SLEEPER);
    key = world_start(w, "sleeper", NULL, NULL);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    world_advance(w, 2000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(orchestrator_live_state(w->orchestrator, key), LIVE_NONE);
    world_advance(w, 3590 * 1000);
    assert_int_equal(bench.started, 0);
    world_advance(w, 10 * 1000);
    assert_int_equal(bench.started, 1);
    finish(0, 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

static void test_sleepers_are_woken_after_a_restart(void **state)
{
    world *w = begin(&plain);
    uint64_t keys[5];

    (void)state;
    world_register(w, SLEEPER);
    for (int i = 0; i < 5; i++)
        keys[i] = world_start(w, "sleeper", NULL, NULL);
    world_advance(w, 5000);
    world_restart(w, &plain);
    world_advance(w, 3600 * 1000);
    assert_int_equal(bench.started, 5);
    for (int i = 0; i < 5; i++)
        finish(i, 0);
    world_settle(w);
    for (int i = 0; i < 5; i++)
        assert_int_equal(world_state(w, keys[i]), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* ---- cancel ---------------------------------------------------------------------------------------------- */

static void test_cancel_while_it_sleeps(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, SLEEPER);
    key = world_start(w, "sleeper", "s", NULL);
    world_advance(w, 5000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(world_cancel(w, "s", "\"enough\""), 0);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_int_equal(world_cancel(w, "s", NULL), ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(world_cancel(w, "t", NULL), ORCH_E_NOT_FOUND);
    world_free(w);
}

static void test_cancel_while_a_step_runs(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, TWO_STEPS);
    key = world_start(w, "two", "c", NULL);
    assert_int_equal(world_cancel(w, "c", "\"enough\""), 0);
    assert_int_equal(bench.stopped, 1);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN); /* the step has not ended yet */
    finish(0, ORCH_E_CANCELLED);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_int_equal(bench.started, 1);
    world_free(w);
}

static void test_cancel_while_it_waits_for_an_engine(void **state)
{
    world_options o = plain;
    uint64_t first, second;
    world *w;

    (void)state;
    o.capacity = 1;
    w = begin(&o);
    world_register(w, TWO_STEPS);
    first = world_start(w, "two", NULL, NULL);
    second = world_start(w, "two", "c2", NULL);
    assert_int_equal(world_cancel(w, "c2", NULL), 0);
    finish(0, 0);
    world_settle(w);
    finish(1, 0);
    world_settle(w);
    assert_int_equal(world_state(w, second), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, first), EXECUTION_SUCCEEDED);
    assert_int_equal(bench.started, 2);
    world_free(w);
}

static void test_a_cancel_survives_a_restart(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, TWO_STEPS);
    key = world_start(w, "two", "c", NULL);
    assert_int_equal(world_cancel(w, "c", NULL), 0);
    world_restart(w, &plain);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_int_equal(bench.started, 1);
    world_free(w);
}

static void test_a_cancel_reaches_a_detached_execution(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, TWO_STEPS);
    key = world_start(w, "two", "c", NULL);
    transport_inproc_break(world_channel(w, key));
    assert_int_equal(world_cancel(w, "c", NULL), 0);
    finish(0, 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_int_equal(bench.started, 1);
    world_free(w);
}

/* ---- deadlines ------------------------------------------------------------------------------------------- */

static void test_a_deadline_holds_while_it_waits_for_an_engine(void **state)
{
    world_options o = plain;
    uint64_t second;
    world *w;

    (void)state;
    o.capacity = 1;
    w = begin(&o);
    world_register(
        w, "{\"id\":\"t\",\"version\":\"1.0.0\",\"timeout\":\"1m\",\"steps\":[{\"id\":\"a\","
           "\"executor\":\"test\"}]}");
    world_register(w, TWO_STEPS);
    world_start(w, "two", NULL, NULL);
    second = world_start(w, "t", NULL, NULL);
    world_advance(w, 59000);
    assert_int_equal(world_state(w, second), EXECUTION_OPEN);
    world_advance(w, 1000);
    assert_int_equal(world_state(w, second), EXECUTION_TIMED_OUT);
    world_free(w);
}

static void test_a_deadline_holds_while_it_sleeps(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(
        w, "{\"id\":\"t\",\"version\":\"1.0.0\",\"timeout\":\"1m\",\"steps\":[{\"id\":\"a\","
           "\"executor\":\"wait\",\"with\":{\"duration\":\"2h\"}}]}");
    key = world_start(w, "t", NULL, NULL);
    world_advance(w, 5000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    world_advance(w, 56000);
    assert_int_equal(world_state(w, key), EXECUTION_TIMED_OUT);
    world_free(w);
}

/* ---- executors that come late ---------------------------------------------------------------------------- */

static void test_a_step_waits_for_its_executor(void **state)
{
    world_options none = {0};
    executor late = {&test_ops, NULL};
    uint64_t key, hopeless;
    world *w = begin(&none);

    (void)state;
    world_register(w, TWO_STEPS);
    hopeless = world_start(w, "two", NULL, NULL);
    world_advance(w, 20000);
    key = world_start(w, "two", NULL, NULL);
    world_advance(w, 10000);
    assert_int_equal(world_state(w, hopeless), EXECUTION_FAILED);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    assert_int_equal(engine_add_executor(w->engines[0].engine, "test", late, NULL), 0);
    world_settle(w);
    finish(0, 0);
    world_settle(w);
    finish(1, 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_to_its_end),
        cmocka_unit_test(test_effect_waits_for_its_cause),
        cmocka_unit_test(test_a_failed_step_fails_it),
        cmocka_unit_test(test_a_handler_sees_how_the_others_ended),
        cmocka_unit_test(test_a_chosen_id_is_taken_once),
        cmocka_unit_test(test_more_than_engines_hold_wait_in_the_store),
        cmocka_unit_test(test_credit_bounds_what_is_not_stored),
        cmocka_unit_test(test_running_work_survives_a_broken_channel),
        cmocka_unit_test(test_another_instance_begins_anew_from_checkpoints),
        cmocka_unit_test(test_a_lost_engine_is_left_after_the_grace),
        cmocka_unit_test(test_a_restart_goes_on_from_checkpoints),
        cmocka_unit_test(test_a_registration_crosses_the_load_of_its_definition),
        cmocka_unit_test(test_a_long_wait_is_put_down_and_woken),
        cmocka_unit_test(test_sleepers_are_woken_after_a_restart),
        cmocka_unit_test(test_cancel_while_it_sleeps),
        cmocka_unit_test(test_cancel_while_a_step_runs),
        cmocka_unit_test(test_cancel_while_it_waits_for_an_engine),
        cmocka_unit_test(test_a_cancel_survives_a_restart),
        cmocka_unit_test(test_a_cancel_reaches_a_detached_execution),
        cmocka_unit_test(test_a_deadline_holds_while_it_waits_for_an_engine),
        cmocka_unit_test(test_a_deadline_holds_while_it_sleeps),
        cmocka_unit_test(test_a_step_waits_for_its_executor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
