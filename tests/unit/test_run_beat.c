/* Goal: heartbeats: an attempt without them is stopped; what they say is stored at its own pace, and never lost to the next
 * attempt. That each attempt is given what the history has is checked by the rig. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/run_rig.h"

#define HEAD           "{'id':'w','version':'1.0.0','steps':["
#define TASK(id, more) "{'id':'" id "','executor':'mine'" more "}"
#define BEATS          ",'heartbeat_timeout':'5s'"
#define RETRY          ",'retry':{'max_attempts':3,'initial_interval':'100ms','jitter':0}"
#define NONE           INDEX_NONE

static void assert_over(rig *w, enum run_state state, const char *history)
{
    assert_string_equal(rig_history(w), history);
    assert_true(w->ended);
    assert_int_equal(w->state, state);
    rig_close(w);
}

static void beat(rig *w, const char *details)
{
    rig_beat(w, "a", NONE, details);
    rig_pump(w);
    rig_store(w);
}

/* ---- Alive ----------------------------------------------------------------------------------- */

static void test_silence_stops_an_attempt(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD TASK("a", BEATS RETRY) "]}", NULL);
    rig_pump(&w);
    assert_int_equal(w.out[0].heartbeat_ms, 5000);
    assert_int_equal(w.out[0].deadline_ms, 0);
    assert_int_equal(run_deadline(w.run), w.now_ms + 5000);
    w.now_ms += 4000;
    beat(&w, NULL);
    assert_int_equal(run_deadline(w.run), w.now_ms + 5000);
    rig_sleep(&w);
    assert_int_equal(w.out[0].stopped, ORCH_E_DEADLINE_EXCEEDED);
    assert_int_equal(run_deadline(w.run), INT64_MAX);
    beat(&w, NULL); /* too late */
    assert_int_equal(run_deadline(w.run), INT64_MAX);
    rig_end(&w, "a", NONE, ORCH_E_CANCELLED);
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "R a");
    assert_string_equal(w.history[0].error->data, "{\"code\":\"DEADLINE_EXCEEDED\",\"message\":"
                                                  "\"attempt 1: no heartbeat for 5000 ms\"}");
    assert_null(w.history[0].output);
    rig_store(&w);
    rig_sleep(&w); /* the next has its own time */
    assert_int_equal(w.out[0].attempt, 2);
    assert_int_equal(run_deadline(w.run), w.now_ms + 5000);
    rig_ok(&w, "a");
    assert_over(&w, RUN_SUCCEEDED, "R a, S a#2");
}

static void test_a_timeout_holds_besides(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD TASK("a", BEATS ",'timeout':'8s'") "]}", NULL);
    rig_pump(&w);
    assert_int_equal(w.out[0].deadline_ms, w.now_ms + 8000);
    assert_int_equal(run_deadline(w.run), w.now_ms + 5000);
    w.now_ms += 4000;
    beat(&w, NULL);
    assert_int_equal(run_deadline(w.run), w.now_ms + 4000);
    w.now_ms += 3000;
    beat(&w, NULL);
    assert_int_equal(run_deadline(w.run), w.now_ms + 1000);
    rig_sleep(&w);
    assert_int_equal(w.out[0].stopped, ORCH_E_DEADLINE_EXCEEDED);
    rig_end(&w, "a", NONE, ORCH_E_CANCELLED);
    rig_pump(&w);
    assert_string_equal(
        w.error->data,
        "{\"code\":\"DEADLINE_EXCEEDED\",\"message\":\"attempt 1 passed its timeout of "
        "8000 ms\",\"step\":\"a\"}");
    assert_over(&w, RUN_FAILED, "F a");
}

static void test_heartbeats_of_what_is_not_out_are_ignored(void **state)
{
    static const struct {
        uint32_t step, index, attempt;
    } wrong[] = {{0, NONE, 2}, {0, NONE, 0}, {0, 0, 1},
                 {1, NONE, 1}, {7, NONE, 1}, {NONE, NONE, 1}};
    rig w;

    (void)state;
    rig_open(&w, HEAD TASK("a", BEATS) "," TASK("b", ",'depends_on':['a']") "]}", NULL);
    rig_pump(&w);
    w.now_ms += 1000;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        run_heartbeat(w.run, wrong[i].step, wrong[i].index, wrong[i].attempt, bytes_new("1", 1),
                      w.now_ms);
    rig_pump(&w);
    assert_int_equal(run_deadline(w.run), w.now_ms + 4000);
    run_cancel(w.run, "enough", w.now_ms);
    rig_pump(&w);
    beat(&w, "2");
    rig_end(&w, "a", NONE, ORCH_E_CANCELLED);
    rig_pump(&w);
    assert_over(&w, RUN_CANCELLED, "C a");
}

/* ---- Details --------------------------------------------------------------------------------- */

static void test_details_are_stored_at_their_own_pace(void **state)
{
    static const struct {
        const char *more;
        int64_t gap_ms;
    } cases[] = {{BEATS, 2500}, {",'heartbeat_timeout':'500ms'", 1000}, {"", 1000}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[256];
        int64_t first_ms;
        rig w;

        snprintf(json, sizeof json, HEAD TASK("a", "%s") "]}", cases[i].more);
        rig_open(&w, json, NULL);
        rig_pump(&w);
        first_ms = w.now_ms;
        beat(&w, "1");
        assert_string_equal(rig_history(&w), "B a"); /* the first at once */
        assert_string_equal(w.history[0].output->data, "1");
        assert_int_equal(w.history[0].attempt, 1);
        for (int n = 2; n < 10; n++) {
            char text[2] = {(char)('0' + n), '\0'};

            w.now_ms += 40;
            beat(&w, text);
            beat(&w, NULL); /* as before */
        }
        assert_int_equal(w.made, 1);
        for (w.now_ms = first_ms + 400; w.now_ms < first_ms + cases[i].gap_ms; w.now_ms += 100) {
            beat(&w, NULL);
            assert_int_equal(w.made, 1);
            assert_true(run_deadline(w.run) <= first_ms + cases[i].gap_ms);
        }
        rig_pump(&w);
        assert_int_equal(w.made, 2);
        assert_string_equal(w.history[1].output->data, "9"); /* the newest */
        rig_store(&w);
        w.now_ms += cases[i].gap_ms;
        beat(&w, "10");
        assert_int_equal(w.made, 3);
        rig_ok(&w, "a");
        assert_over(&w, RUN_SUCCEEDED, "B a, B a, B a, S a");
    }
}

static void test_the_newest_goes_to_the_next_attempt(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD TASK("a", RETRY) "]}", NULL);
    rig_pump(&w);
    beat(&w, "{\"at\":1}");
    beat(&w, "{\"at\":2}"); /* too soon to be stored by itself */
    rig_end(&w, "a", NONE, ORCH_E_ABORTED);
    rig_pump(&w);
    rig_store(&w);
    assert_string_equal(rig_history(&w), "B a, R a");
    assert_string_equal(w.history[1].output->data, "{\"at\":2}");
    assert_int_equal(run_deadline(w.run), w.now_ms + 100);
    rig_sleep(&w);
    assert_int_equal(run_deadline(w.run), INT64_MAX); /* nothing is left to be stored */
    rig_end(&w, "a", NONE, ORCH_E_ABORTED);           /* says nothing: it stays the same */
    rig_pump(&w);
    rig_store(&w);
    assert_string_equal(w.history[2].output->data, "{\"at\":2}");
    rig_sleep(&w);
    rig_ok(&w, "a");
    assert_over(&w, RUN_SUCCEEDED, "B a, R a, R a#2, S a#3");
}

/* ---- Restarts -------------------------------------------------------------------------------- */

static void test_they_are_there_after_a_restart(void **state)
{
    (void)state;
    for (int clock = -1; clock <= 1; clock++) { /* the clock of another machine */
        rig w;

        rig_open(&w, HEAD TASK("a", BEATS RETRY) "]}", NULL);
        rig_pump(&w);
        rig_end(&w, "a", NONE, ORCH_E_ABORTED);
        rig_pump(&w);
        rig_store(&w);
        rig_sleep(&w);
        beat(&w, "7");
        assert_string_equal(rig_history(&w), "R a, B a#2");
        w.now_ms += clock * 1000;
        rig_restart(&w, ANY);
        rig_pump(&w);
        assert_string_equal(rig_doing(&w), "a");
        assert_int_equal(w.out[0].attempt, 2);
        beat(&w, "8");
        assert_int_equal(run_deadline(w.run), w.now_ms + (clock > 0 ? 1500 : 2500));
        rig_sleep(&w);
        assert_string_equal(rig_history(&w), "R a, B a#2, B a#2");
        rig_store(&w);
        rig_restart(&w, ANY);
        rig_pump(&w);
        rig_ok(&w, "a");
        assert_over(&w, RUN_SUCCEEDED, "R a, B a#2, B a#2, S a#2");
    }
}

/* It had begun, so it goes on although something failed meanwhile, and not while it is paused. */
static void test_what_sent_heartbeats_has_begun(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD TASK("a", "") "," TASK("b", "") "," TASK("c", "") "]}", NULL);
    rig_pump(&w);
    beat(&w, "1");
    rig_fail(&w, "b");
    w.options.paused = true;
    rig_restart(&w, ANY);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "");
    assert_true(run_is_waiting(w.run));
    w.options.paused = false;
    run_pause(w.run, false, w.now_ms);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "a");
    rig_ok(&w, "a");
    assert_over(&w, RUN_FAILED, "B a, F b, S a");
}

static void test_items_have_heartbeats_too(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD TASK("a", BEATS ",'for_each':'${input.l}','max_parallel':2") "]}", NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.count = 3});
    rig_pump(&w);
    rig_store(&w);
    rig_beat(&w, "a", 1, "1");
    rig_pump(&w);
    rig_store(&w);
    rig_restart(&w, ANY);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.count = 3});
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "a[1],a[0]");
    for (uint32_t i = 0; i < 3; i++) {
        rig_end(&w, "a", i, 0);
        rig_pump(&w);
        rig_store(&w);
    }
    assert_over(&w, RUN_SUCCEEDED, "E a, B a[1], S a[0], S a[1], S a[2], S a");
}

/* An attempt was out when the engine died, and before it is made again all is cancelled, or another item fails. */
static void test_what_was_out_is_compensated_where_that_is_asked_for(void **state)
{
    static const char one[] =
        HEAD TASK("a", ",'compensate':{'executor':'noop','when_failed':true}") "," TASK(
            "p", ",'checkpoint':false") "," TASK("b",
                                                 ",'depends_on':['p'],'compensate':"
                                                 "{'executor':'noop','when_failed':true}") "]}";
    rig w;

    (void)state;
    rig_open(&w, one, NULL);
    rig_pump(&w);
    rig_ok(&w, "p");
    beat(&w, "1");
    rig_beat(&w, "b", NONE, "1");
    rig_pump(&w);
    rig_store(&w);
    rig_restart(&w, ANY);
    run_cancel(w.run, "enough", w.now_ms);
    rig_pump(&w);
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "-b");
    rig_undo(&w, 0);
    rig_undo(&w, 0);
    assert_over(&w, RUN_CANCELLED, "B a, B b, C a, C b, X, U b, U a");
}

static void test_without_checkpoint_they_stay_in_memory(void **state)
{
    run_action a;
    rig w;

    (void)state;
    rig_open(&w, HEAD TASK("a", ",'checkpoint':false" RETRY) "]}", NULL);
    rig_pump(&w);
    beat(&w, "1");
    w.now_ms += 5000;
    beat(&w, "2");
    rig_end(&w, "a", NONE, ORCH_E_ABORTED);
    rig_pump(&w);
    w.now_ms += 100;
    assert_true(run_next(w.run, w.now_ms, &a));
    assert_int_equal(a.kind, RUN_ATTEMPT);
    assert_string_equal(a.details->data, "2");
    assert_int_equal(w.made, 0);
    rig_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_stops_an_attempt),
        cmocka_unit_test(test_a_timeout_holds_besides),
        cmocka_unit_test(test_heartbeats_of_what_is_not_out_are_ignored),
        cmocka_unit_test(test_details_are_stored_at_their_own_pace),
        cmocka_unit_test(test_the_newest_goes_to_the_next_attempt),
        cmocka_unit_test(test_they_are_there_after_a_restart),
        cmocka_unit_test(test_what_sent_heartbeats_has_begun),
        cmocka_unit_test(test_items_have_heartbeats_too),
        cmocka_unit_test(test_what_was_out_is_compensated_where_that_is_asked_for),
        cmocka_unit_test(test_without_checkpoint_they_stay_in_memory),
    };

    return cmocka_run_group_tests_name("run: heartbeats", tests, NULL, NULL);
}
