/* Goal: attempts that beat are alive, those that do not are not; what they say of themselves reaches the next attempt; and
 * who beats all the time does not keep the engine awake. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine_impl.h"
#include "support/peer.h"
#include "support/scrambler.h"

#define STEP(more)                                                                            \
    "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"" more \
    "}],\"output\":\"${steps.a.output}\"}"
#define BEATS STEP(",\"heartbeat_timeout\":\"4s\"")
#define RETRIED                                                                              \
    STEP(",\"heartbeat_timeout\":\"4s\",\"retry\":{\"max_attempts\":3,\"initial_interval\":" \
         "\"1s\",\"jitter\":0}")

static void beat(world *w, int i, const char *details)
{
    held_beat(i, details);
    world_settle(w);
}

static world_engine *first(world *w)
{
    return &w->engines[0];
}

/* ---- alive, or not --------------------------------------------------------------------------------------- */

static void test_who_is_silent_is_stopped(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    peer_hand_over(&p, w, 64, BEATS);
    assert_int_equal(held.open[0]->heartbeat_ms, 4000);
    world_advance(w, 3999);
    assert_int_equal(held.stopped, 0);
    world_advance(w, 1);
    assert_int_equal(held.stopped, 1);
    assert_int_equal(atomic_load(&held.open[0]->stop), ORCH_E_DEADLINE_EXCEEDED);
    held_fail(0, ORCH_E_CANCELLED, false);
    world_settle(w);
    assert_int_equal(peer_last(&p)->report.state, RUN_FAILED);
    assert_non_null(strstr(peer_last(&p)->report.error->data, "DEADLINE_EXCEEDED"));
    assert_non_null(strstr(peer_last(&p)->report.error->data, "heartbeat"));
    peer_end(&p);
    world_free(w);
}

static void test_who_beats_goes_on(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    peer_hand_over(&p, w, 64, BEATS);
    for (int i = 0; i < 20; i++) {
        world_advance(w, 3900);
        beat(w, 0, NULL);
    }
    assert_int_equal(held.stopped, 0);
    assert_int_equal(p.last_seq, 0); /* it said nothing that is worth storing */
    held_succeed(0, "1");
    world_settle(w);
    peer_assert_end(&p, RUN_SUCCEEDED, "1", "null");
    peer_end(&p);
    world_free(w);
}

static void test_beats_of_a_step_without_a_timeout(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    peer_hand_over(&p, w, 64, STEP(""));
    assert_int_equal(held.open[0]->heartbeat_ms, 0);
    beat(w, 0, NULL);
    world_advance(w, 3600000);
    assert_int_equal(held.stopped, 0);
    peer_end(&p);
    world_free(w);
}

/* ---- details --------------------------------------------------------------------------------------------- */

static void test_details_are_stored_now_and_then(void **state)
{
    world *w = peer_world(NULL);
    int stored = 0;
    char text[16];
    peer p;

    (void)state;
    peer_hand_over(&p, w, 64, BEATS);
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "%d", i);
        beat(w, 0, text);
        world_advance(w, 100);
    }
    for (uint64_t seq = 1; seq <= p.last_seq; seq++) {
        assert_int_equal(peer_row(&p, seq)->kind, CHECKPOINT_HEARTBEAT);
        stored++;
    }
    assert_in_range(stored, 9, 11); /* in 20 s, every half timeout */
    peer_end(&p);
    world_free(w);
}

static void test_the_next_attempt_sees_them(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    peer_hand_over(&p, w, 64, RETRIED);
    assert_null(held.details[0]);
    beat(w, 0, "{\"at\":1}");
    world_advance(w, 500);
    beat(w, 0, "{\"at\":2}");
    held_beat(0, "{\"at\":3}"); /* with the end */
    held_fail(0, ORCH_E_UNAVAILABLE, false);
    world_advance(w, 1000);
    assert_string_equal(held.details[1], "{\"at\":3}");
    held_fail(1, ORCH_E_UNAVAILABLE, false); /* it says nothing new */
    world_advance(w, 2000);
    assert_string_equal(held.details[2], "{\"at\":3}");
    held_succeed(2, NULL);
    world_settle(w);
    peer_assert_end(&p, RUN_SUCCEEDED, "null", "null");
    peer_end(&p);
    world_free(w);
}

static void test_details_survive_the_engine(void **state)
{
    world *w = peer_world(NULL);
    message *m;
    peer p, back;

    (void)state;
    peer_hand_over(&p, w, 64, BEATS);
    beat(w, 0, "{\"at\":1}");
    assert_int_equal(peer_row(&p, 1)->kind, CHECKPOINT_HEARTBEAT);
    m = peer_start(&back, w, 64, 2, BEATS);
    m->start->checkpoints = mem_zalloc(sizeof(checkpoint));
    m->start->checkpoints[0] = *peer_row(&p, 1);
    bytes_ref(m->start->checkpoints[0].output);
    m->start->checkpoint_count = 1;
    peer_say(&back, m);
    assert_int_equal(held.started, 2);
    assert_string_equal(held.details[1], "{\"at\":1}");
    peer_end(&p);
    peer_end(&back);
    world_free(w);
}

static void test_details_leave_encoded(void **state)
{
    scrambler secret = {0};
    world_options o = {.codec = scrambler_codec(&secret)};
    world *w = peer_world(&o);
    bytes *encoded = scrambler_encoded("{\"card\":1}");
    peer p;

    (void)state;
    peer_hand_over(&p, w, 64, BEATS);
    beat(w, 0, "{\"card\":1}");
    assert_string_equal(peer_row(&p, 1)->output->data, encoded->data);
    bytes_unref(encoded);
    peer_end(&p);
    world_free(w);
}

/* ---- what it costs --------------------------------------------------------------------------------------- */

static void test_who_beats_all_the_time_wakes_the_engine_now_and_then(void **state)
{
    world *w = peer_world(NULL);
    long wakes;
    peer p;

    (void)state;
    peer_hand_over(&p, w, 64, BEATS);
    wakes = first(w)->wakes;
    for (int i = 0; i < 1000; i++)
        held_beat(0, NULL);
    assert_int_equal(first(w)->wakes, wakes + 1);
    world_settle(w);
    assert_false(held.beating[0]);
    for (int i = 0; i < 1000; i++)
        held_beat(0, NULL);
    assert_int_equal(first(w)->wakes, wakes + 1); /* it looks by itself, and soon */
    assert_true(first(w)->timer_ms <= w->now_ms + 50);
    world_advance(w, 50);
    assert_false(held.beating[0]);
    assert_int_equal(first(w)->wakes, wakes + 1);
    world_advance(w, 50); /* quiet: it rests until the next one */
    assert_true(first(w)->timer_ms > w->now_ms + 1000);
    held_beat(0, NULL);
    assert_int_equal(first(w)->wakes, wakes + 2);
    peer_end(&p);
    world_free(w);
}

static void test_beats_of_executions_that_are_gone(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    peer_hand_over(&p, w, 64, BEATS);
    held_beat(0, "1");
    peer_say(&p, message_new(MESSAGE_STOP, p.epoch));
    assert_int_equal(first(w)->engine->active, 0);
    held_beat(0, "2");
    held_fail(0, ORCH_E_CANCELLED, false);
    world_settle(w);
    assert_true(engine_is_idle(first(w)->engine));
    peer_end(&p);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_silent_is_stopped),
        cmocka_unit_test(test_who_beats_goes_on),
        cmocka_unit_test(test_beats_of_a_step_without_a_timeout),
        cmocka_unit_test(test_details_are_stored_now_and_then),
        cmocka_unit_test(test_the_next_attempt_sees_them),
        cmocka_unit_test(test_details_survive_the_engine),
        cmocka_unit_test(test_details_leave_encoded),
        cmocka_unit_test(test_who_beats_all_the_time_wakes_the_engine_now_and_then),
        cmocka_unit_test(test_beats_of_executions_that_are_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
