/* Goal: compensation of exactly what was done, the last first, and on_failure after it: whatever ends the run, and over restarts at
 * any point. That each starts only in its turn, once all before it is stored, is checked by the rig. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/run_rig.h"

#define HEAD           "{'id':'w','version':'1.0.0','steps':["
#define STEP(id, more) "{'id':'" id "','executor':'noop'" more "}"
#define UNDO           ",'compensate':{'executor':'noop'}"
#define UNDO_ALL       ",'compensate':{'executor':'noop','when_failed':true}"
#define UNDO_RETRY                                                                          \
    ",'compensate':{'executor':'noop','timeout':'5s','retry':{'max_attempts':2,'jitter':0," \
    "'initial_interval':'100ms','non_retryable':['NOT_FOUND']}}"
#define AFTER(id)  ",'depends_on':['" id "']"
#define ON_FAILURE ",'on_failure':{'executor':'noop'}"
#define RETRY      ",'retry':{'max_attempts':2,'initial_interval':'100ms','jitter':0}"
#define NONE       INDEX_NONE

#define INTERNAL "{\"code\":\"INTERNAL\",\"message\":\"as told\""

static void assert_over(rig *w, enum run_state state, const char *history)
{
    run_action a;

    assert_string_equal(rig_history(w), history);
    assert_true(w->ended);
    assert_int_equal(w->state, state);
    assert_false(run_next(w->run, w->now_ms, &a));
    assert_int_equal(run_deadline(w->run), INT64_MAX);
    rig_close(w);
}

/* ---- What ends the run ----------------------------------------------------------------------- */

static void test_the_last_is_compensated_first(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD STEP("a", UNDO) "," STEP("b", UNDO) "," STEP("c", AFTER("a")) "," STEP(
                 "d", UNDO AFTER("c")) "," STEP("z", UNDO AFTER("d")) "]}",
             NULL);
    rig_pump(&w);
    rig_ok(&w, "b");
    rig_ok(&w, "a");
    rig_ok(&w, "c");
    rig_ok(&w, "d");
    assert_null(run_closing_error(w.run));
    assert_int_equal(run_closing_state(w.run), RUN_RUNNING);
    rig_end(&w, "z", NONE, ORCH_E_INTERNAL);
    rig_pump(&w);
    assert_string_equal(rig_history(&w),
                        "S b, S a, S c, S d, F z"); /* that is to be stored first */
    assert_string_equal(rig_doing(&w), "");
    assert_false(run_is_waiting(w.run));
    rig_store(&w);
    assert_string_equal(rig_history(&w), "S b, S a, S c, S d, F z, X");
    assert_string_equal(w.history[5].error->data, INTERNAL ",\"step\":\"z\"}");
    assert_int_equal(w.history[5].attempt, RUN_FAILED);
    assert_string_equal(rig_doing(&w), "-d");
    assert_int_equal(w.out[0].deadline_ms, 0);
    assert_string_equal(run_closing_error(w.run)->data, INTERNAL ",\"step\":\"z\"}");
    assert_int_equal(run_closing_state(w.run), RUN_FAILED);
    rig_end_with(&w, &w.out[0], 0, "[7]", false);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "");
    rig_store(&w);
    assert_string_equal(w.history[6].output->data, "[7]");
    assert_string_equal(rig_doing(&w), "-a");
    rig_undo(&w, 0);
    rig_end_with(&w, rig_find_undo(&w), 0, NULL, false);
    rig_pump(&w); /* the end needs no store of its own */
    assert_string_equal(w.error->data, INTERNAL ",\"step\":\"z\"}");
    assert_over(&w, RUN_FAILED, "S b, S a, S c, S d, F z, X, U d, U a, U b");
}

static void test_nothing_is_written_where_nothing_follows(void **state)
{
    static const struct {
        const char *json, *history;
        bool cancel;
    } cases[] = {
        {HEAD STEP("a", UNDO) "]}", "F a", false},            /* it was not done */
        {HEAD STEP("a", "") "]" ON_FAILURE "}", "C a", true}, /* not for a cancel */
        {HEAD STEP("a", UNDO) "," STEP("b", "") "]}", "C a, C b", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig w;

        rig_open(&w, cases[i].json, NULL);
        rig_pump(&w);
        if (cases[i].cancel)
            run_cancel(w.run, "enough", w.now_ms);
        rig_pump(&w);
        while (w.out_count)
            rig_end_with(&w, &w.out[0], cases[i].cancel ? ORCH_E_CANCELLED : ORCH_E_INTERNAL, NULL,
                         false);
        rig_pump(&w);
        assert_over(&w, cases[i].cancel ? RUN_CANCELLED : RUN_FAILED, cases[i].history);
    }
}

static void test_a_success_is_not_compensated(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", UNDO_ALL) "," STEP("b", UNDO AFTER("a")) "]" ON_FAILURE "}", NULL);
    rig_pump(&w);
    rig_ok(&w, "a");
    rig_ok(&w, "b");
    assert_over(&w, RUN_SUCCEEDED, "S a, S b");
}

static void test_each_way_to_end(void **state)
{
    static const struct {
        enum run_state state;
        const char *history, *error;
    } cases[] = {
        {RUN_FAILED, "S a, F b, X, U a, H", INTERNAL ",\"step\":\"b\"}"},
        {RUN_CANCELLED, "S a, C b, X, U a", "{\"code\":\"CANCELLED\",\"message\":\"enough\"}"},
        {RUN_TIMED_OUT, "S a, C b, X, U a, H",
         "{\"code\":\"DEADLINE_EXCEEDED\",\"message\":\"the execution passed its deadline\"}"},
        {RUN_FAILED, "S a, S b, X, U a, H",
         "{\"code\":\"ABORTED\",\"message\":\"output: failed without a message\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_options options = {.deadline_ms = 2000000};
        rig w;

        rig_open(&w,
                 HEAD STEP("a", UNDO) "," STEP("b", AFTER("a")) "],'output':'${input.x}'" ON_FAILURE
                                                                "}",
                 &options);
        rig_pump(&w);
        rig_ok(&w, "a");
        if (i == 1)
            run_cancel(w.run, "enough", w.now_ms);
        if (i == 2)
            run_tick(w.run, w.now_ms = options.deadline_ms);
        rig_pump(&w);
        rig_end(&w, "b", NONE, i == 3 ? 0 : i ? w.out[0].stopped : ORCH_E_INTERNAL);
        rig_pump(&w);
        rig_store(&w);
        if (i == 3) {
            rig_answer(&w, &w.out[0], (run_answer){.code = ORCH_E_ABORTED});
            rig_pump(&w);
            rig_store(&w);
        }
        /* Neither ends it any more. */
        run_cancel(w.run, "too late", w.now_ms);
        run_tick(w.run, w.now_ms = options.deadline_ms + 1);
        rig_pump(&w);
        assert_string_equal(rig_doing(&w), "-a");
        rig_undo(&w, 0);
        if (cases[i].state != RUN_CANCELLED) {
            assert_string_equal(rig_doing(&w), "-");
            rig_undo(&w, 0);
        }
        assert_string_equal(w.error->data, cases[i].error);
        assert_over(&w, cases[i].state, cases[i].history);
    }
}

static void test_handlers_are_through_before(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD STEP("a", UNDO) "," STEP("b", AFTER("a")) "," STEP(
                 "h", UNDO AFTER("b") ",'run_if':'any_failed'") "," STEP("c", UNDO) "]}",
             NULL);
    rig_pump(&w);
    rig_ok(&w, "a");
    rig_fail(&w, "b");
    assert_string_equal(rig_doing(&w), "c,h");
    rig_ok(&w, "h");
    assert_string_equal(rig_doing(&w), "c"); /* what runs finishes */
    rig_ok(&w, "c");
    assert_string_equal(rig_doing(&w), "-c");
    rig_undo(&w, 0);
    rig_undo(&w, 0);
    rig_undo(&w, 0);
    assert_over(&w, RUN_FAILED, "S a, F b, S h, S c, X, U c, U h, U a");
}

/* ---- What is compensated --------------------------------------------------------------------- */

static void test_what_failed_is_compensated_where_that_is_asked_for(void **state)
{
    rig w;

    (void)state;
    rig_open(
        &w,
        HEAD STEP("a", UNDO_ALL) "," STEP("b", UNDO ",'continue_on_failure':true") "," STEP(
            "c", UNDO_ALL ",'continue_on_failure':true") "," STEP("d", UNDO_ALL AFTER("a")) "]}",
        NULL);
    rig_pump(&w);
    rig_fail(&w, "b");
    rig_fail(&w, "c");
    rig_fail(&w, "a");
    assert_string_equal(rig_doing(&w), "-a");
    rig_undo(&w, 0);
    rig_undo(&w, 0);
    assert_over(&w, RUN_FAILED, "F b, F c, F a, X, U a, U c");
}

static void test_what_never_made_an_attempt_is_not(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD STEP("a", UNDO_ALL ",'when':'input.x'") "," STEP(
                 "b", UNDO_ALL ",'for_each':'${input.l}'") "," STEP("c", UNDO_ALL
                                                                    ",'when':'input.y'") "]}",
             NULL);
    rig_pump(&w);
    rig_answer(&w, rig_find(&w, RUN_EVALUATE, "c", NONE), (run_answer){.truth = false});
    rig_answer(&w, rig_find(&w, RUN_EVALUATE, "b", NONE), (run_answer){.code = ORCH_E_ABORTED});
    rig_answer(&w, rig_find(&w, RUN_EVALUATE, "a", NONE), (run_answer){.code = ORCH_E_ABORTED});
    rig_pump(&w);
    rig_store(&w);
    assert_over(&w, RUN_FAILED, "K c, F b, F a");
}

static void test_items_are_compensated_one_by_one(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", UNDO ",'for_each':'${input.l}'") "," STEP("z", AFTER("a")) "]}",
             NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.count = 3});
    rig_pump(&w);
    rig_store(&w);
    rig_end(&w, "a", 2, 0);
    rig_end(&w, "a", 0, 0);
    rig_end(&w, "a", 1, 0);
    rig_pump(&w);
    rig_store(&w);
    rig_fail(&w, "z");
    rig_undo(&w, 0);
    rig_undo(&w, ORCH_E_INTERNAL);
    rig_undo(&w, 0);
    assert_string_equal(w.error->data,
                        INTERNAL ",\"step\":\"z\",\"compensation_failed\":[{\"step\":"
                                 "\"a\",\"index\":0,\"error\":" INTERNAL "}}]}");
    assert_over(&w, RUN_FAILED, "E a, S a[2], S a[0], S a[1], S a, F z, X, U a[1], u a[0], U a[2]");
}

/* Some items of a step that failed, one of them between two attempts. */
static void test_items_of_a_step_that_failed(void **state)
{
    static const struct {
        const char *json, *history;
        uint32_t undos;
    } cases[] = {
        {HEAD STEP("a", UNDO RETRY ",'for_each':'${input.l}'") "]}",
         "E a, R a[1], S a[0], F a[2], F a, X, U a[0]", 1},
        {HEAD STEP("a", UNDO_ALL RETRY ",'for_each':'${input.l}'") "]}",
         "E a, R a[1], S a[0], F a[2], F a[1], F a, X, U a[1], U a[2], U a[0]", 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int restart = 0; restart < 2; restart++) {
            rig w;

            rig_open(&w, cases[i].json, NULL);
            rig_pump(&w);
            rig_answer(&w, &w.out[0], (run_answer){.count = 3});
            rig_pump(&w);
            rig_store(&w);
            rig_end(&w, "a", 1, ORCH_E_INTERNAL);
            rig_end(&w, "a", 0, 0);
            rig_end_with(&w, rig_find(&w, RUN_ATTEMPT, "a", 2), ORCH_E_INTERNAL, NULL, true);
            while (w.made < 4) /* up to the failure */
                assert_true(rig_step(&w));
            rig_store_to(&w, 4);
            if (restart)
                rig_restart(&w, ANY);
            rig_pump(&w);
            rig_store(&w);
            for (uint32_t n = 0; n < cases[i].undos; n++)
                rig_undo(&w, 0);
            assert_over(&w, RUN_FAILED, cases[i].history);
        }
}

/* A cancel finds a step between two attempts: what the first did is not known. */
static void test_a_cancel_between_two_attempts(void **state)
{
    static const char *const jsons[] = {
        HEAD STEP("a", UNDO RETRY) "]}",
        HEAD STEP("a", UNDO_ALL RETRY) "]}",
        HEAD "{'id':'a','executor':'workflow','with':{'workflow':'x'}" UNDO_ALL RETRY "}]}",
    };
    static const char *const histories[] = {"R a", "R a, C a, X, U a", "P a, R a, C a, X, U a"};
    static const char spec[] = "{\"workflow\":\"x\"}";

    (void)state;
    for (size_t i = 0; i < sizeof jsons / sizeof *jsons; i++)
        for (int moment = 0; moment < 4; moment++) {
            rig w;

            rig_open(&w, jsons[i], NULL);
            rig_pump(&w);
            if (i == 2) {
                rig_answer(&w, &w.out[0], (run_answer){.value = bytes_new(spec, strlen(spec))});
                rig_pump(&w);
                rig_store(&w);
                rig_end_child(&w, "a", NONE, ORCH_E_ABORTED, NULL);
            } else {
                rig_end(&w, "a", NONE, ORCH_E_ABORTED);
            }
            rig_pump(&w);
            if (moment > 0) /* not stored; stored; after a restart; due, and asked for */
                rig_store(&w);
            if (moment == 2)
                rig_restart(&w, ANY);
            if (moment == 3 && i == 2)
                rig_sleep(&w);
            run_cancel(w.run, "enough", w.now_ms);
            rig_pump(&w);
            if (moment == 3 && i == 2) {
                assert_string_equal(rig_doing(&w), "?a");
                rig_answer(&w, &w.out[0], (run_answer){.value = bytes_new(spec, strlen(spec))});
                rig_pump(&w);
            }
            rig_store(&w);
            if (i) {
                const checkpoint *c = &w.history[w.made - 2];

                assert_int_equal(c->attempt, 1);
                assert_string_equal(c->error->data,
                                    "{\"code\":\"CANCELLED\",\"message\":\"not tried again after "
                                    "attempt 1\"}");
                rig_undo(&w, 0);
            }
            assert_over(&w, RUN_CANCELLED, histories[i]);
        }
}

static void test_children_and_waits_are_compensated(void **state)
{
    static const char json[] = HEAD
        "{'id':'a','executor':'workflow','with':{'workflow':'x'}" UNDO "},"
        "{'id':'b','executor':'wait','with':{'duration':'1s'}" UNDO_ALL AFTER("a") "}," STEP(
            "z", AFTER("b")) "]}";
    static const char spec[] = "{\"workflow\":\"x\"}";
    rig w;

    (void)state;
    rig_open(&w, json, NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.value = bytes_new(spec, strlen(spec))});
    rig_pump(&w);
    rig_store(&w);
    rig_end_child(&w, "a", NONE, 0, "1");
    rig_pump(&w);
    rig_store(&w);
    rig_answer(&w, &w.out[0], (run_answer){.due_ms = 1});
    rig_pump(&w);
    rig_store(&w);
    rig_fail(&w, "z");
    rig_undo(&w, 0);
    rig_undo(&w, 0);
    assert_over(&w, RUN_FAILED, "P a, S a, W b, S b, F z, X, U b, U a");
}

/* ---- Attempts -------------------------------------------------------------------------------- */

static void test_a_compensation_is_tried_again_and_may_fail(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD STEP("a", UNDO_RETRY) "," STEP("b", UNDO_RETRY AFTER("a")) "," STEP(
                 "z", AFTER("b")) "]}",
             NULL);
    rig_pump(&w);
    rig_ok(&w, "a");
    rig_ok(&w, "b");
    rig_fail(&w, "z");
    assert_int_equal(w.out[0].deadline_ms, w.now_ms + 5000);
    rig_undo(&w, ORCH_E_UNAVAILABLE);
    assert_string_equal(rig_doing(&w), "");
    assert_int_equal(w.history[4].due_ms, w.now_ms + 100);
    assert_int_equal(run_deadline(w.run), w.now_ms + 100);
    assert_true(run_is_waiting(w.run));
    assert_int_equal(run_wanted_children(w.run), 0);
    rig_sleep(&w);
    assert_int_equal(w.out[0].attempt, 2);
    rig_undo(&w, ORCH_E_UNAVAILABLE); /* the last; the next is compensated all the same */
    assert_string_equal(rig_doing(&w), "-a");
    assert_int_equal(w.out[0].attempt, 1);
    rig_undo(&w, ORCH_E_NOT_FOUND); /* not tried again */
    assert_string_equal(
        w.error->data,
        INTERNAL ",\"step\":\"z\",\"compensation_failed\":["
                 "{\"step\":\"b\",\"error\":{\"code\":\"UNAVAILABLE\",\"message\":\"as told\"}},"
                 "{\"step\":\"a\",\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"as told\"}}]}");
    assert_over(&w, RUN_FAILED, "S a, S b, F z, X, r b, u b#2, u a");
}

static void test_a_compensation_has_a_timeout(void **state)
{
    rig w;

    (void)state;
    for (int success = 0; success < 2; success++) {
        rig_open(&w, HEAD STEP("a", UNDO_RETRY) "," STEP("z", AFTER("a")) "]}", NULL);
        rig_pump(&w);
        rig_ok(&w, "a");
        rig_fail(&w, "z");
        assert_int_equal(run_deadline(w.run), w.now_ms + 5000);
        assert_false(run_is_waiting(w.run));
        rig_sleep(&w);
        assert_string_equal(rig_doing(&w), "-a!");
        assert_int_equal(w.out[0].stopped, ORCH_E_DEADLINE_EXCEEDED);
        assert_int_equal(run_deadline(w.run), INT64_MAX);
        rig_undo(&w, success ? 0 : ORCH_E_NOT_FOUND); /* that it is late is what counts */
        if (success) {
            assert_over(&w, RUN_FAILED, "S a, F z, X, U a");
            continue;
        }
        assert_string_equal(w.history[3].error->data,
                            "{\"code\":\"DEADLINE_EXCEEDED\",\"message\":\"attempt 1 passed its "
                            "timeout of 5000 ms\"}");
        assert_string_equal(rig_history(&w), "S a, F z, X, r a");
        rig_close(&w);
    }
}

static void test_some_failures_of_a_compensation_are_not_tried_again(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", UNDO_RETRY) "," STEP("z", AFTER("a")) "]}", NULL);
    rig_pump(&w);
    rig_ok(&w, "a");
    rig_fail(&w, "z");
    rig_end_with(&w, rig_find_undo(&w), ORCH_E_UNAVAILABLE, NULL, true);
    rig_pump(&w);
    assert_over(&w, RUN_FAILED, "S a, F z, X, u a");
}

static void test_on_failure_has_attempts_too(void **state)
{
    static const char json[] = HEAD STEP("a",
                                         "") "],'on_failure':{'executor':'noop','timeout':'1s',"
                                             "'retry':{'max_attempts':2,'jitter':0}}}";

    (void)state;
    for (int success = 0; success < 2; success++) {
        rig w;

        rig_open(&w, json, NULL);
        rig_pump(&w);
        rig_fail(&w, "a");
        assert_string_equal(rig_doing(&w), "-");
        assert_int_equal(w.out[0].step, STEP_NONE);
        assert_int_equal(w.out[0].deadline_ms, w.now_ms + 1000);
        rig_undo(&w, ORCH_E_UNAVAILABLE);
        rig_restart(&w, ANY);
        rig_sleep(&w);
        rig_undo(&w, success ? 0 : ORCH_E_UNAVAILABLE);
        assert_string_equal(w.error->data, INTERNAL ",\"step\":\"a\"}"); /* it changes nothing */
        assert_over(&w, RUN_FAILED, success ? "F a, X, h, H#2" : "F a, X, h, g#2");
    }
}

static void test_wrong_answers_are_ignored(void **state)
{
    static const struct {
        uint8_t role;
        uint32_t step, index, attempt;
    } wrong[] = {
        {ROLE_STEP, 0, NONE, 1},
        {ROLE_COMPENSATE, 1, NONE, 1},
        {ROLE_COMPENSATE, 0, 0, 1},
        {ROLE_COMPENSATE, 0, NONE, 2},
        {ROLE_ON_FAILURE, 0, NONE, 1},
        {ROLE_ON_FAILURE, STEP_NONE, NONE, 1},
        {7, 0, NONE, 1},
        {ROLE_COMPENSATE, STEP_NONE, NONE, 1},
    };
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", UNDO) "," STEP("z", AFTER("a")) "]" ON_FAILURE "}", NULL);
    rig_pump(&w);
    for (int after = 0; after < 2; after++) {
        for (size_t i = after ? 0 : 1; i < sizeof wrong / sizeof *wrong; i++) {
            run_result result = {.output = bytes_new("1", 1)};

            run_attempt_ended(w.run, wrong[i].role, wrong[i].step, wrong[i].index, wrong[i].attempt,
                              &result, w.now_ms);
            assert_null(result.output);
        }
        rig_pump(&w);
        assert_string_equal(rig_doing(&w), after ? "-a" : "a");
        if (!after) {
            rig_ok(&w, "a");
            rig_fail(&w, "z");
        }
    }
    rig_undo(&w, 0);
    rig_undo(&w, 0);
    assert_over(&w, RUN_FAILED, "S a, F z, X, U a, H");
}

/* ---- With pauses and without memory's worth of failures -------------------------------------- */

static void test_a_pause_holds_it_and_a_cancel_lets_it_go(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        rig w;

        rig_open(&w, HEAD STEP("a", UNDO) "," STEP("b", UNDO) "," STEP("z", AFTER("a")) "]}", NULL);
        rig_pump(&w);
        rig_ok(&w, "a");
        rig_ok(&w, "b");
        w.options.paused = true;
        run_pause(w.run, true, w.now_ms);
        rig_fail(&w, "z");
        assert_string_equal(rig_history(&w), "S a, S b, F z, X");
        assert_string_equal(rig_doing(&w), "");
        assert_true(run_is_waiting(w.run));
        assert_int_equal(run_deadline(w.run), INT64_MAX);
        rig_restart(&w, ANY);
        rig_pump(&w);
        assert_string_equal(rig_doing(&w), "");
        if (how)
            run_cancel(w.run, "go on", w.now_ms);
        else
            run_pause(w.run, false, w.now_ms);
        rig_pump(&w);
        rig_undo(&w, 0);
        rig_undo(&w, 0);
        assert_over(&w, RUN_FAILED, "S a, S b, F z, X, U b, U a");
    }
}

static void test_a_hundred_failures_are_told_the_rest_is_counted(void **state)
{
    enum { COUNT = 130 };
    const char *at;
    uint32_t told = 0;
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", UNDO ",'for_each':'${input.l}'") "," STEP("z", AFTER("a")) "]}",
             NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.count = COUNT});
    rig_pump(&w);
    rig_store(&w);
    while (w.out_count)
        rig_end_with(&w, &w.out[0], 0, NULL, false);
    rig_pump(&w);
    rig_store(&w);
    rig_fail(&w, "z");
    for (int i = 0; i < COUNT; i++) {
        if (i == COUNT / 2)
            rig_restart(&w, ANY);
        rig_pump(&w);
        rig_undo(&w, ORCH_E_UNAVAILABLE);
    }
    assert_true(w.ended);
    for (at = strstr(w.error->data, "\"index\""); at; at = strstr(at + 1, "\"index\""))
        told++;
    assert_int_equal(told, 100);
    assert_non_null(strstr(w.error->data, "}],\"compensation_failed_more\":30}"));
    rig_close(&w);
}

/* ---- Restarts -------------------------------------------------------------------------------- */

static const char much[] =
    HEAD STEP("a", UNDO_RETRY) "," STEP("b", UNDO ",'for_each':'${input.l}'") "," STEP(
        "c",
        UNDO_ALL AFTER(
            "a")) "," STEP("z",
                           AFTER(
                               "b")) "],"
                                     "'on_failure':{'executor':'noop','retry':{'max_attempts':2,'jitter':0}}}";

/* One thing happens, the same at each restart. */
static void move(rig *w)
{
    outstanding *o = &w->out[0];

    if (!w->out_count)
        rig_sleep(w);
    else if (o->kind == RUN_EVALUATE)
        rig_answer(w, o, (run_answer){.count = 2});
    else if (o->role == ROLE_COMPENSATE)
        rig_end_with(w, o,
                     o->step == 1 && o->index == 1     ? ORCH_E_NOT_FOUND
                     : o->step == 0 && o->attempt == 1 ? ORCH_E_ABORTED
                                                       : 0,
                     NULL, false);
    else if (o->role == ROLE_ON_FAILURE)
        rig_end_with(w, o, o->attempt == 1 ? ORCH_E_ABORTED : 0, NULL, false);
    else
        rig_end_with(w, o, o->step == 3 || o->step == 2 ? ORCH_E_INTERNAL : 0, NULL, false);
    rig_pump(w);
    rig_store(w);
}

static void test_cut_anywhere(void **state)
{
    uint32_t total;
    char error[512];
    rig w;

    (void)state;
    rig_open(&w, much, NULL);
    rig_pump(&w);
    while (!w.ended)
        move(&w);
    total = w.made;
    snprintf(error, sizeof error, "%s", w.error->data);
    rig_close(&w);
    assert_true(total >= 14);
    for (uint32_t cut = 0; cut <= total; cut++)
        for (int cancel = 0; cancel < 2; cancel++) {
            bool was_closed = false;

            rig_open(&w, much, NULL);
            rig_pump(&w);
            while (!w.ended && w.made < cut)
                move(&w);
            w.ended = false;
            bytes_unref(w.error);
            w.error = NULL;
            rig_restart(&w, cut);
            for (uint32_t i = 0; i < w.made; i++)
                was_closed |= w.history[i].kind == CHECKPOINT_CLOSING;
            if (cancel) /* it comes too late once it is decided how it ends */
                run_cancel(w.run, "enough", w.now_ms);
            rig_pump(&w);
            rig_store(&w);
            while (!w.ended)
                move(&w);
            if (!cancel || was_closed) {
                assert_int_equal(w.state, RUN_FAILED);
                assert_string_equal(w.error->data, error);
            } else if (w.state != RUN_FAILED) { /* all was over but for the words */
                assert_int_equal(w.state, RUN_CANCELLED);
            }
            rig_close(&w);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_is_compensated_first),
        cmocka_unit_test(test_nothing_is_written_where_nothing_follows),
        cmocka_unit_test(test_a_success_is_not_compensated),
        cmocka_unit_test(test_each_way_to_end),
        cmocka_unit_test(test_handlers_are_through_before),
        cmocka_unit_test(test_what_failed_is_compensated_where_that_is_asked_for),
        cmocka_unit_test(test_what_never_made_an_attempt_is_not),
        cmocka_unit_test(test_items_are_compensated_one_by_one),
        cmocka_unit_test(test_items_of_a_step_that_failed),
        cmocka_unit_test(test_a_cancel_between_two_attempts),
        cmocka_unit_test(test_children_and_waits_are_compensated),
        cmocka_unit_test(test_a_compensation_is_tried_again_and_may_fail),
        cmocka_unit_test(test_a_compensation_has_a_timeout),
        cmocka_unit_test(test_some_failures_of_a_compensation_are_not_tried_again),
        cmocka_unit_test(test_on_failure_has_attempts_too),
        cmocka_unit_test(test_wrong_answers_are_ignored),
        cmocka_unit_test(test_a_pause_holds_it_and_a_cancel_lets_it_go),
        cmocka_unit_test(test_a_hundred_failures_are_told_the_rest_is_counted),
        cmocka_unit_test(test_cut_anywhere),
    };

    return cmocka_run_group_tests_name("run: compensation, on_failure", tests, NULL, NULL);
}
