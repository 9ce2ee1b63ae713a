/* Goal: whether and when a failed attempt is followed by another, and what a timeout does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/run_rig.h"
#include "workflow/run_impl.h"

#define HEAD           "{'id':'w','version':'1.0.0','steps':["
#define STEP(id, more) "{'id':'" id "','executor':'noop'" more "}"
#define YEAR_MS        (INT64_C(365) * 24 * 3600 * 1000)

static uint64_t lowest(void *ctx)
{
    (void)ctx;
    return 0;
}

static uint64_t highest(void *ctx)
{
    (void)ctx;
    return UINT64_MAX;
}

/* ---- When ------------------------------------------------------------------------------------ */

#define POLICY(attempts, initial, max, elapsed, factor, jitter, mask)       \
    {                                                                       \
        (attempts), (initial), (max), (elapsed), (factor), (jitter), (mask) \
    }

static void test_table_of_times(void **state)
{
    static const struct {
        retry_policy policy;
        uint32_t attempt;
        int32_t code;
        int64_t began_ms, now_ms;
        int64_t expect; /* 0: no further attempt */
    } cases[] = {
        /* The factor, and the cap. */
        {POLICY(9, 100, 10000, 0, 2000, 0, 0), 1, -14, 0, 5000, 5100},
        {POLICY(9, 100, 10000, 0, 2000, 0, 0), 2, -14, 0, 5000, 5200},
        {POLICY(9, 100, 10000, 0, 2000, 0, 0), 3, -14, 0, 5000, 5400},
        {POLICY(9, 100, 10000, 0, 2000, 0, 0), 8, -14, 0, 5000, 15000},
        {POLICY(9, 100, 10000, 0, 1000, 0, 0), 8, -14, 0, 5000, 5100},
        {POLICY(9, 100, 10000, 0, 1500, 0, 0), 3, -14, 0, 5000, 5225},
        {POLICY(9, 1, 10000, 0, 1001, 0, 0), 1001, -14, 0, 5000, 0},
        {POLICY(9999, 1, 10000, 0, 1001, 0, 0), 1001, -14, 0, 5000, 5000 + 2},
        {POLICY(9, 0, 10000, 0, 2000, 0, 0), 5, -14, 0, 5000, 5000},
        {POLICY(9, 20000, 10000, 0, 2000, 0, 0), 1, -14, 0, 5000, 15000},
        /* Nothing overflows. */
        {POLICY(UINT32_MAX, 1, 100 * YEAR_MS, 0, 100000, 0, 0), UINT32_MAX - 1, -14, 0, 5000,
         5000 + 100 * YEAR_MS},
        {POLICY(UINT32_MAX, INT64_MAX, INT64_MAX, 0, 100000, 0, 0), 1000000, -14, 0, 5000,
         5000 + 100 * YEAR_MS},
        {POLICY(UINT32_MAX, 1, 0, 0, 1000, 0, 0), UINT32_MAX - 1, -14, 0, 5000, 5001},
        /* The last attempt. */
        {POLICY(3, 100, 10000, 0, 2000, 0, 0), 2, -14, 0, 5000, 5200},
        {POLICY(3, 100, 10000, 0, 2000, 0, 0), 3, -14, 0, 5000, 0},
        {POLICY(1, 100, 10000, 0, 2000, 0, 0), 1, -14, 0, 5000, 0},
        {POLICY(0, 100, 10000, 0, 2000, 0, 0), 1, -14, 0, 5000, 0},
        /* Codes. */
        {POLICY(3, 100, 10000, 0, 2000, 0, 1 << 3), 1, ORCH_E_INVALID_ARGUMENT, 0, 5000, 0},
        {POLICY(3, 100, 10000, 0, 2000, 0, 1 << 3), 1, ORCH_E_NOT_FOUND, 0, 5000, 5100},
        {POLICY(3, 100, 10000, 0, 2000, 0, 1 << 16), 1, ORCH_E_UNAUTHENTICATED, 0, 5000, 0},
        {POLICY(3, 100, 10000, 0, 2000, 0, UINT32_MAX), 1, INT32_MIN, 0, 5000, 5100},
        /* Total time: from the first start to the next. */
        {POLICY(9, 100, 10000, 1000, 1000, 0, 0), 2, -14, 4100, 5000, 5100},
        {POLICY(9, 100, 10000, 1000, 1000, 0, 0), 2, -14, 4099, 5000, 0},
        {POLICY(9, 100, 10000, 1, 1000, 0, 0), 2, -14, 5000, 5000, 0},
    };
    run_options options = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t at = run_retry_at(&cases[i].policy, cases[i].attempt, cases[i].code,
                                  cases[i].began_ms, cases[i].now_ms, &options);

        if (at != cases[i].expect)
            fail_msg("case %zu: %lld, not %lld", i, (long long)at, (long long)cases[i].expect);
    }
}

static void test_jitter_takes_its_share_off(void **state)
{
    static const struct {
        uint32_t jitter;
        int64_t interval, low, high;
    } cases[] = {
        {0, 1000, 1000, 1000}, {200, 1000, 800, 999}, {1000, 1000, 0, 999},
        {5000, 1000, 0, 999},  {200, 3, 3, 3},        {500, 2, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        retry_policy p = POLICY(3, cases[i].interval, 10000, 0, 2000, cases[i].jitter, 0);
        run_options low = {.random = lowest}, high = {.random = highest}, none = {0};
        int64_t most = run_retry_at(&p, 1, -14, 0, 5000, &high);

        assert_int_equal(run_retry_at(&p, 1, -14, 0, 5000, &low), 5000 + cases[i].low);
        assert_true(most >= 5000 + cases[i].low && most <= 5000 + cases[i].high);
        assert_int_equal(run_retry_at(&p, 1, -14, 0, 5000, &none), 5000 + cases[i].interval);
    }
}

/* ---- Attempts -------------------------------------------------------------------------------- */

static void assert_failed(rig *w, const char *error)
{
    rig_pump(w);
    if (!w->ended)
        fail_msg("not ended: %s", rig_history(w));
    assert_int_equal(w->state, RUN_FAILED);
    assert_string_equal(w->error->data, error);
    rig_close(w);
}

static void test_the_next_attempt_waits_for_store_and_time(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD STEP("a", ",'retry':{'max_attempts':3,'initial_interval':'100ms',"
                            "'backoff':2,'jitter':0}") "]}",
             NULL);
    rig_pump(&w);
    w.now_ms += 7;
    rig_end(&w, "a", INDEX_NONE, ORCH_E_UNAVAILABLE);
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "R a");
    assert_int_equal(w.history[0].due_ms, w.now_ms + 100);
    assert_int_equal(w.history[0].started_ms, w.now_ms - 7);
    w.now_ms += 1000;
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), ""); /* due, but not stored */
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "a");
    assert_int_equal(w.out[0].attempt, 2);
    rig_end(&w, "a", INDEX_NONE, ORCH_E_UNAVAILABLE);
    rig_pump(&w);
    rig_store(&w);
    assert_string_equal(rig_doing(&w), ""); /* stored, but not due */
    assert_int_equal(run_deadline(w.run), w.now_ms + 200);
    rig_restart(&w, ANY);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "");
    assert_int_equal(run_deadline(w.run), w.now_ms + 200);
    rig_sleep(&w);
    assert_int_equal(w.out[0].attempt, 3);
    rig_end(&w, "a", INDEX_NONE, ORCH_E_UNAVAILABLE);
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "R a, R a#2, F a#3");
    assert_failed(&w, "{\"code\":\"UNAVAILABLE\",\"message\":\"as told\",\"step\":\"a\"}");
}

static void test_some_failures_are_not_retried(void **state)
{
    static const char json[] = HEAD STEP("a",
                                         ",'retry':{'max_attempts':3,'initial_interval':'0',"
                                         "'max_elapsed':'1s','non_retryable':['NOT_FOUND']}") "]}";
    rig w;

    (void)state;
    rig_open(&w, json, NULL);
    rig_pump(&w);
    rig_end(&w, "a", INDEX_NONE, ORCH_E_NOT_FOUND);
    assert_failed(&w, "{\"code\":\"NOT_FOUND\",\"message\":\"as told\",\"step\":\"a\"}");

    rig_open(&w, json, NULL);
    rig_pump(&w);
    rig_end_with(&w, &w.out[0], ORCH_E_UNAVAILABLE, NULL, true);
    assert_failed(&w, "{\"code\":\"UNAVAILABLE\",\"message\":\"as told\",\"step\":\"a\"}");

    for (int restart = 0; restart < 2; restart++) { /* its total time */
        rig_open(&w, json, NULL);
        rig_pump(&w);
        w.now_ms += 600;
        rig_fail(&w, "a");
        if (restart)
            rig_restart(&w, ANY);
        rig_pump(&w);
        w.now_ms += 600;
        rig_fail(&w, "a");
        assert_string_equal(rig_history(&w), "R a, F a#2");
        assert_failed(&w, "{\"code\":\"INTERNAL\",\"message\":\"as told\",\"step\":\"a\"}");
    }
}

static void test_a_retry_goes_on_while_the_run_is_failing(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", ",'retry':{'max_attempts':2}") "," STEP("b", "") "]}", NULL);
    rig_pump(&w);
    rig_fail(&w, "a");
    rig_fail(&w, "b");
    assert_false(w.ended);
    rig_restart(&w, ANY); /* also after a restart: it had begun */
    rig_pump(&w);
    rig_sleep(&w);
    rig_ok(&w, "a");
    assert_string_equal(rig_history(&w), "R a, F b, S a#2");
    assert_failed(&w, "{\"code\":\"INTERNAL\",\"message\":\"as told\",\"step\":\"b\"}");
}

/* ---- Timeouts -------------------------------------------------------------------------------- */

static const char timed[] = HEAD STEP("a",
                                      ",'timeout':'500ms','retry':{'max_attempts':2,"
                                      "'initial_interval':'0','non_retryable':['ABORTED']}") "]}";

static void test_a_timeout_stops_the_attempt_and_counts_as_its_failure(void **state)
{
    run_options options = {.deadline_ms = 1001000};
    rig w;

    (void)state;
    rig_open(&w, timed, &options);
    rig_pump(&w);
    assert_int_equal(w.out[0].deadline_ms, w.now_ms + 500);
    assert_int_equal(run_deadline(w.run), w.now_ms + 500);
    rig_sleep(&w);
    assert_int_equal(w.out[0].stopped, ORCH_E_DEADLINE_EXCEEDED);
    assert_string_equal(rig_history(&w), "");
    /* How its end is called, and that it should not be tried again, do not count. */
    rig_end_with(&w, &w.out[0], ORCH_E_ABORTED, NULL, true);
    rig_pump(&w);
    rig_store(&w);
    assert_string_equal(rig_history(&w), "R a");
    assert_string_equal(w.history[0].error->data,
                        "{\"code\":\"DEADLINE_EXCEEDED\","
                        "\"message\":\"attempt 1 passed its timeout of 500 ms\"}");
    w.now_ms += 200;
    rig_pump(&w);
    assert_int_equal(w.out[0].attempt, 2);
    assert_int_equal(w.out[0].deadline_ms, 1001000); /* when the execution ends is sooner */
    rig_end(&w, "a", INDEX_NONE, ORCH_E_ABORTED);
    assert_failed(&w, "{\"code\":\"ABORTED\",\"message\":\"as told\",\"step\":\"a\"}");
}

static void test_a_success_after_the_stop_is_a_success(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, timed, NULL);
    rig_pump(&w);
    rig_sleep(&w);
    rig_end(&w, "a", INDEX_NONE, 0);
    rig_pump(&w);
    assert_true(w.ended);
    assert_int_equal(w.state, RUN_SUCCEEDED);
    rig_close(&w);
}

static void test_an_attempt_that_ends_before_it_can_be_stopped_is_not_stopped(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, timed, NULL);
    rig_pump(&w);
    run_tick(w.run, w.now_ms += 500);
    rig_end(&w, "a", INDEX_NONE, ORCH_E_ABORTED);
    while (w.made == 0)
        assert_true(rig_step(&w));
    rig_store_to(&w, 1);
    rig_pump(&w);
    assert_int_equal(w.out_count, 1);
    assert_int_equal(w.out[0].attempt, 2);
    assert_int_equal(w.out[0].stopped, 0);
    rig_sleep(&w); /* and the second is, once */
    assert_int_equal(w.out[0].stopped, ORCH_E_DEADLINE_EXCEEDED);
    run_cancel(w.run, "too", w.now_ms);
    rig_pump(&w);
    rig_end(&w, "a", INDEX_NONE, ORCH_E_CANCELLED);
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "R a, F a#2");
    assert_int_equal(w.state, RUN_CANCELLED);
    rig_close(&w);
}

/* ---- Waits ----------------------------------------------------------------------------------- */

static void test_a_wait_keeps_its_due_time_over_restarts(void **state)
{
    rig w;
    int64_t began_ms, due_ms;

    (void)state;
    rig_open(&w, HEAD "{'id':'a','executor':'wait','with':{'duration':'1s'}}]}", NULL);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "?a");
    began_ms = w.now_ms;
    due_ms = began_ms + 1000;
    rig_answer(&w, &w.out[0], (run_answer){.due_ms = due_ms});
    rig_pump(&w);
    rig_restart(&w, 0); /* before it was stored: asked again */
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "?a");
    rig_answer(&w, &w.out[0], (run_answer){.due_ms = due_ms});
    rig_pump(&w);
    rig_store(&w);
    w.now_ms += 400;
    rig_restart(&w, ANY);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "");
    assert_int_equal(run_deadline(w.run), due_ms);
    w.now_ms += 5000; /* down for longer than that */
    rig_restart(&w, ANY);
    rig_pump(&w);
    assert_true(w.ended);
    assert_string_equal(rig_history(&w), "W a, S a");
    assert_int_equal(w.history[1].started_ms, began_ms);
    assert_int_equal(w.history[1].attempt, 0);
    rig_close(&w);
}

static void test_a_wait_whose_duration_is_wrong_fails(void **state)
{
    static const char error[] = "{\"code\":\"ABORTED\",\"message\":\"m\",\"data\":{\"x\":[1]}}";
    rig w;

    (void)state;
    rig_open(&w, HEAD "{'id':'a','executor':'wait','with':{'duration':'1s'}}]}", NULL);
    rig_pump(&w);
    rig_answer(
        &w, &w.out[0],
        (run_answer){.code = ORCH_E_INVALID_ARGUMENT, .error = bytes_new(error, sizeof error - 1)});
    assert_failed(&w, "{\"code\":\"ABORTED\",\"message\":\"m\",\"step\":\"a\","
                      "\"data\":{\"x\":[1]}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_of_times),
        cmocka_unit_test(test_jitter_takes_its_share_off),
        cmocka_unit_test(test_the_next_attempt_waits_for_store_and_time),
        cmocka_unit_test(test_some_failures_are_not_retried),
        cmocka_unit_test(test_a_retry_goes_on_while_the_run_is_failing),
        cmocka_unit_test(test_a_timeout_stops_the_attempt_and_counts_as_its_failure),
        cmocka_unit_test(test_a_success_after_the_stop_is_a_success),
        cmocka_unit_test(test_an_attempt_that_ends_before_it_can_be_stopped_is_not_stopped),
        cmocka_unit_test(test_a_wait_keeps_its_due_time_over_restarts),
        cmocka_unit_test(test_a_wait_whose_duration_is_wrong_fails),
    };

    return cmocka_run_group_tests_name("run: retry, timeout, wait", tests, NULL, NULL);
}
