/* Goal: executions that wait, for a time, for a signal, while they are paused, cost no place on an engine, and miss nothing; and what
 * ends badly is compensated across restarts. Orchestrator and engines together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine_impl.h"
#include "support/held_attempts.h"
#include "support/world.h"
#include "workflow/run.h"

static const world_options plain = {.test_executor = &held_ops};

static world *begin(const world_options *o)
{
    held_reset();
    return world_new(o);
}

static void assert_text(char *text, const char *expected)
{
    assert_string_equal(text, expected);
    mem_free(text);
}

#define HEAD(id) "{\"id\":\"" id "\",\"version\":\"1.0.0\",\"steps\":["
#define SLEEP    HEAD("sleep") "{\"id\":\"w\",\"executor\":\"wait\",\"with\":{\"duration\":\"1h\"}}]}"
#define ASK                                                                \
    HEAD("ask")                                                            \
    "{\"id\":\"w\",\"executor\":\"wait\",\"with\":{\"signal\":\"answer\"," \
    "\"correlation\":\"${input.order}\"}}],\"output\":\"${steps.w.output}\"}"
#define TWO                                                                     \
    HEAD("two")                                                                 \
    "{\"id\":\"a\",\"executor\":\"test\"},{\"id\":\"b\",\"executor\":\"test\"," \
    "\"depends_on\":[\"a\"]}]}"
#define SAGA                                                                      \
    HEAD("saga")                                                                  \
    "{\"id\":\"a\",\"executor\":\"test\",\"compensate\":{\"executor\":\"test\","  \
    "\"with\":\"${steps.a.output}\"}},{\"id\":\"b\",\"executor\":\"test\","       \
    "\"depends_on\":[\"a\"],\"compensate\":{\"executor\":\"test\",\"with\":"      \
    "\"${steps.b.output}\"}},{\"id\":\"c\",\"executor\":\"test\",\"depends_on\":" \
    "[\"b\"]}],\"on_failure\":{\"executor\":\"test\"}}"

/* ---- times ----------------------------------------------------------------------------------------------- */

/* No time passes, and four places are enough. */
static void test_any_number_of_sleepers_pass_a_small_engine(void **state)
{
    enum { N = 500 };
    world_options o = plain;
    uint64_t keys[N];
    int asleep = 0;
    world *w;

    (void)state;
    o.capacity = 4;
    w = begin(&o);
    world_register(w, SLEEP);
    for (int i = 0; i < N; i++)
        keys[i] = world_start(w, "sleep", NULL, NULL);
    for (int i = 0; i < N; i++)
        asleep += world_state(w, keys[i]) == EXECUTION_SUSPENDED;
    assert_int_equal(asleep, N - 2); /* half of the engine may wait for quiet */
    world_advance(w, 1000);
    assert_int_equal(w->engines[0].engine->active, 0);
    world_advance(w, 3599000);
    for (int i = 0; i < N; i++)
        assert_int_equal(world_state(w, keys[i]), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* ---- signals --------------------------------------------------------------------------------------------- */

static void test_a_signal_wakes_who_waits_for_it(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, ASK);
    key = world_start(w, "ask", "q", "{\"order\":7}");
    world_advance(w, 5000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(world_signal(w, "q", "answer", "8", "\"wrong\""), 0);
    world_advance(w, 5000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(world_signal(w, "q", "answer", "7", "\"right\""), 0);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "\"right\"");
    world_free(w);
}

/* At every point between a start and a suspension, and whichever way the two cross. */
static void test_no_signal_is_lost_on_the_way_to_sleep(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 60; point++) {
        world *w = begin(&plain);
        uint64_t key;

        world_register(w, ASK);
        key = world_start(w, "ask", "q", "{\"order\":7}");
        w->now_ms += 1000; /* it is quiet now: all that follows is on its way */
        for (uint32_t i = 0; i < point; i++)
            world_nudge(w, i * 3 + point);
        assert_int_equal(world_signal(w, "q", "answer", "7", "1"), 0);
        assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
        world_free(w);
    }
}

/* What was consumed before a hand-over is not told with it, and holds up no suspension of it. */
static void test_who_took_a_signal_can_sleep_again_and_again(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w,
                   HEAD("nap") "{\"id\":\"w\",\"executor\":\"wait\",\"with\":{\"signal\":\"go\"}},"
                               "{\"id\":\"a\",\"executor\":\"wait\",\"depends_on\":[\"w\"],"
                               "\"with\":{\"duration\":\"1h\"}},"
                               "{\"id\":\"b\",\"executor\":\"wait\",\"depends_on\":[\"a\"],"
                               "\"with\":{\"duration\":\"1h\"}}]}");
    key = world_start(w, "nap", "n", NULL);
    assert_int_equal(world_signal(w, "n", "go", NULL, "1"), 0);
    for (int i = 0; i < 2; i++) {
        world_advance(w, 5000);
        assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
        world_advance(w, 3600000);
    }
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

static void test_an_early_signal_waits_for_its_wait(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, HEAD("late") "{\"id\":\"a\",\"executor\":\"test\"},{\"id\":\"w\","
                                   "\"executor\":\"wait\",\"depends_on\":[\"a\"],\"with\":{"
                                   "\"signal\":\"go\"}}],\"output\":\"${steps.w.output}\"}");
    key = world_start(w, "late", "l", NULL);
    assert_int_equal(world_signal(w, "l", "go", NULL, "1"), 0);
    assert_int_equal(world_signal(w, "l", "go", NULL, "2"), 0);
    world_restart(w, &plain);
    world_settle(w);
    held_succeed(1, NULL);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "1"); /* the oldest */
    world_free(w);
}

/* ---- paused ---------------------------------------------------------------------------------------------- */

static int32_t control(world *w, const char *id, enum control_action action)
{
    return world_control(w, id, (control_request){.action = (uint8_t)action});
}

static void test_what_is_paused_gives_its_place_away(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, TWO);
    key = world_start(w, "two", "t", NULL);
    assert_int_equal(control(w, "t", CONTROL_PAUSE), 0);
    held_succeed(0, NULL);
    world_advance(w, 2000);
    assert_int_equal(held.started, 1);
    assert_int_equal(w->engines[0].engine->active, 0);
    assert_int_equal(control(w, "t", CONTROL_RESUME), 0);
    assert_int_equal(held.started, 2);
    held_succeed(1, NULL);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* The other way about: it is on its way to sleep as somebody resumes it. */
static void test_no_resume_is_lost_on_the_way_to_sleep(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 60; point++) {
        world *w = begin(&plain);

        world_register(w, TWO);
        world_start(w, "two", "t", NULL);
        assert_int_equal(control(w, "t", CONTROL_PAUSE), 0);
        held_succeed(0, NULL);
        world_settle(w);
        w->now_ms += 1000;
        for (uint32_t i = 0; i < point; i++)
            world_nudge(w, i * 3 + point);
        assert_int_equal(control(w, "t", CONTROL_RESUME), 0);
        assert_int_equal(held.started, 2);
        world_free(w);
    }
}

static void answered(control_request *r)
{
    r->done = NULL;
}

/* The signal wakes it; its row is read, and paused before that comes back. */
static void test_a_pause_is_not_lost_while_a_row_is_read(void **state)
{
    world *w = begin(&plain);
    char id[EXECUTION_ID_LEN + 1];
    uint64_t key;
    control_request r = {.action = CONTROL_SIGNAL, .done = answered, .id = id};

    (void)state;
    world_register(w,
                   HEAD("go") "{\"id\":\"w\",\"executor\":\"wait\",\"with\":{\"signal\":\"go\"}},"
                              "{\"id\":\"a\",\"executor\":\"test\",\"depends_on\":[\"w\"]}]}");
    key = world_start(w, "go", NULL, NULL);
    world_advance(w, 5000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    execution_id_format(key, id);
    r.name = mem_strdup("go");
    orchestrator_control(w->orchestrator, &r);
    world_nudge(w, 19); /* the signal is stored */
    world_nudge(w, 3);  /* the row is asked for */
    world_nudge(w, 19); /* and read */
    assert_null(r.done);
    assert_int_equal(control(w, id, CONTROL_PAUSE), 0);
    world_advance(w, 5000);
    assert_int_equal(held.started, 0);
    assert_int_equal(control(w, id, CONTROL_RESUME), 0);
    assert_int_equal(held.started, 1);
    mem_free(r.name);
    world_free(w);
}

static void set(setting_request *r)
{
    (void)r;
}

static int32_t pause_workflow(world *w, bool paused)
{
    char name[] = "two";
    setting_request r = {.workflow = name, .paused = paused, .code = 1, .done = set};

    orchestrator_set(w->orchestrator, &r);
    world_settle(w);
    return r.code;
}

static void test_no_end_of_a_workflows_pause_is_lost_on_the_way_to_sleep(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 60; point++) {
        world *w = begin(&plain);

        world_register(w, TWO);
        world_start(w, "two", "t", NULL);
        assert_int_equal(pause_workflow(w, true), 0);
        held_succeed(0, NULL);
        world_settle(w);
        w->now_ms += 1000;
        for (uint32_t i = 0; i < point; i++)
            world_nudge(w, i * 3 + point);
        assert_int_equal(pause_workflow(w, false), 0);
        world_advance(w, 5000);
        assert_int_equal(held.started, 2);
        world_free(w);
    }
}

/* ---- what ends badly ------------------------------------------------------------------------------------- */

static void fail_at(world *w, int i)
{
    held_fail(i, ORCH_E_ABORTED, true);
    world_settle(w);
}

static void succeed(world *w, int i, const char *output)
{
    held_succeed(i, output);
    world_settle(w);
}

static void test_compensation_survives_a_restart(void **state)
{
    world *w = begin(&plain);
    uint64_t key;
    int last;

    (void)state;
    world_register(w, SAGA);
    key = world_start(w, "saga", "s", NULL);
    succeed(w, 0, "\"A\"");
    succeed(w, 1, "\"B\"");
    fail_at(w, 2);
    assert_string_equal(held.keys[3], "s/1/b/compensate");
    assert_string_equal(held.with[3], "\"B\"");
    succeed(w, 3, NULL);
    assert_string_equal(held.keys[4], "s/1/a/compensate");
    world_restart(w, &plain);
    world_settle(w);
    last = held.started - 1;
    assert_string_equal(held.keys[last], "s/1/a/compensate");
    assert_string_equal(held.with[last], "\"A\"");
    succeed(w, last, NULL);
    last = held.started - 1;
    assert_string_equal(held.keys[last], "s/1/on_failure");
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    succeed(w, last, NULL);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    assert_int_equal(world_checkpoints(w, key, CHECKPOINT_UNDONE), 2);
    assert_int_equal(world_checkpoints(w, key, CHECKPOINT_HANDLED), 1);
    world_free(w);
}

static void test_a_cancel_compensates(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, SAGA);
    key = world_start(w, "saga", "s", NULL);
    succeed(w, 0, "\"A\"");
    assert_int_equal(world_cancel(w, "s", "enough"), 0); /* b is stopped */
    assert_string_equal(held.keys[2], "s/1/a/compensate");
    succeed(w, 2, NULL);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_int_equal(held.started, 3);
    world_free(w);
}

static void test_heartbeats_of_an_engine_that_died_are_known(void **state)
{
    world *w = begin(&plain);

    (void)state;
    world_register(w, HEAD("long") "{\"id\":\"a\",\"executor\":\"test\",\"heartbeat_timeout\":"
                                   "\"10s\"}]}");
    world_start(w, "long", "l", NULL);
    held_beat(0, "{\"at\":5}");
    world_settle(w);
    world_restart(w, &plain);
    world_settle(w);
    assert_int_equal(held.started, 2);
    assert_string_equal(held.details[1], "{\"at\":5}");
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_sleepers_pass_a_small_engine),
        cmocka_unit_test(test_a_signal_wakes_who_waits_for_it),
        cmocka_unit_test(test_no_signal_is_lost_on_the_way_to_sleep),
        cmocka_unit_test(test_who_took_a_signal_can_sleep_again_and_again),
        cmocka_unit_test(test_an_early_signal_waits_for_its_wait),
        cmocka_unit_test(test_what_is_paused_gives_its_place_away),
        cmocka_unit_test(test_no_resume_is_lost_on_the_way_to_sleep),
        cmocka_unit_test(test_a_pause_is_not_lost_while_a_row_is_read),
        cmocka_unit_test(test_no_end_of_a_workflows_pause_is_lost_on_the_way_to_sleep),
        cmocka_unit_test(test_compensation_survives_a_restart),
        cmocka_unit_test(test_a_cancel_compensates),
        cmocka_unit_test(test_heartbeats_of_an_engine_that_died_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
