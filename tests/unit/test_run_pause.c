/* Goal: while a run is paused nothing starts, and all else goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/run_rig.h"

#define HEAD           "{'id':'w','version':'1.0.0','steps':["
#define TASK(id, more) "{'id':'" id "','executor':'noop'" more "}"
#define WAIT(id, more) "{'id':'" id "','executor':'wait','with':{'duration':'1s'}" more "}"
#define NONE           INDEX_NONE

static void pause(rig *w, bool paused)
{
    w->options.paused = paused; /* also after a restart */
    run_pause(w->run, paused, w->now_ms);
    rig_pump(w);
}

static void answer(rig *w, const char *step, run_answer a)
{
    rig_answer(w, rig_find(w, RUN_EVALUATE, step, NONE), a);
    rig_pump(w);
    rig_store(w);
}

static void assert_over(rig *w, enum run_state state, const char *history)
{
    assert_string_equal(rig_history(w), history);
    assert_true(w->ended);
    assert_int_equal(w->state, state);
    rig_close(w);
}

static void test_a_run_may_begin_paused(void **state)
{
    run_options options = {.paused = true};
    rig w;

    (void)state;
    rig_open(&w, HEAD TASK("a", "") "," TASK("b", ",'when':'input.b'") "]}", &options);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "");
    assert_true(run_is_waiting(w.run));
    assert_int_equal(run_deadline(w.run), INT64_MAX);
    assert_int_equal(run_wanted_children(w.run), 0);
    pause(&w, false);
    assert_string_equal(rig_doing(&w), "?b,a");
    rig_close(&w);
}

static void test_what_runs_finishes_and_nothing_follows(void **state)
{
    (void)state;
    for (int restart = 0; restart < 2; restart++) {
        rig w;

        rig_open(&w, HEAD TASK("a", "") "," TASK("b", ",'depends_on':['a']") "]}", NULL);
        rig_pump(&w);
        pause(&w, true);
        assert_false(run_is_waiting(w.run));
        rig_ok(&w, "a");
        assert_string_equal(rig_doing(&w), "");
        assert_true(run_is_waiting(w.run));
        if (restart)
            rig_restart(&w, ANY);
        rig_pump(&w);
        assert_string_equal(rig_doing(&w), "");
        pause(&w, false);
        rig_ok(&w, "b");
        assert_over(&w, RUN_SUCCEEDED, "S a, S b");
    }
}

static void test_the_last_step_ends_a_paused_run(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD TASK("a", "") "],'output':'${input.x}'}", NULL);
    rig_pump(&w);
    pause(&w, true);
    rig_ok(&w, "a");
    assert_string_equal(rig_doing(&w), "?output");
    rig_answer(&w, &w.out[0], (run_answer){0});
    rig_pump(&w);
    assert_over(&w, RUN_SUCCEEDED, "S a");
}

static void test_items_and_retries_are_held(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD TASK("a", ",'for_each':'${input.l}','max_parallel':2,"
                            "'retry':{'max_attempts':2,'initial_interval':'1s','jitter':0}") "]}",
             NULL);
    rig_pump(&w);
    answer(&w, "a", (run_answer){.count = 4});
    pause(&w, true);
    rig_end(&w, "a", 0, 0);
    rig_end(&w, "a", 1, ORCH_E_INTERNAL);
    rig_pump(&w);
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "");
    rig_sleep(&w); /* the time of the retry comes, but nothing starts */
    assert_string_equal(rig_doing(&w), "");
    assert_true(run_is_waiting(w.run));
    assert_int_equal(run_deadline(w.run), INT64_MAX);
    pause(&w, false);
    assert_string_equal(rig_doing(&w), "a[2],a[1]");
    rig_close(&w);
}

static void test_waits_and_signals_go_on(void **state)
{
    static const char go[] = "{\"signal\":\"go\"}";

    (void)state;
    for (int restart = 0; restart < 2; restart++) {
        rig w;

        rig_open(&w,
                 HEAD WAIT("a", "") "," WAIT("b", "") "," TASK("c", ",'depends_on':['a','b']") "]}",
                 NULL);
        rig_pump(&w);
        answer(&w, "a", (run_answer){.due_ms = w.now_ms + 100});
        answer(&w, "b", (run_answer){.value = bytes_new(go, strlen(go))});
        pause(&w, true);
        if (restart) {
            rig_restart(&w, ANY);
            rig_pump(&w);
        }
        assert_int_equal(run_deadline(w.run), w.now_ms + 100);
        rig_sleep(&w);
        rig_signal(&w, "go", NULL, "1");
        rig_pump(&w);
        rig_store(&w);
        assert_string_equal(rig_history(&w), "W a, W b, S a, S b");
        assert_string_equal(rig_doing(&w), "");
        assert_true(run_is_waiting(w.run));
        pause(&w, false);
        rig_ok(&w, "c");
        assert_over(&w, RUN_SUCCEEDED, "W a, W b, S a, S b, S c");
    }
}

static void test_items_that_wait_go_on_after_a_restart(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD WAIT("a", ",'for_each':'${input.l}','max_parallel':1") "]}", NULL);
    rig_pump(&w);
    answer(&w, "a", (run_answer){.count = 2});
    rig_answer(&w, &w.out[0], (run_answer){.due_ms = w.now_ms + 100});
    rig_pump(&w);
    rig_store(&w);
    pause(&w, true);
    rig_restart(&w, ANY);
    rig_pump(&w);
    answer(&w, "a", (run_answer){.count = 2}); /* to evaluate is not to start */
    rig_sleep(&w);
    assert_string_equal(rig_history(&w), "E a, W a[0], S a[0]");
    assert_string_equal(rig_doing(&w), "");
    pause(&w, false);
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "?a[1]");
    rig_close(&w);
}

static void test_children_end_but_none_starts(void **state)
{
    static const char spec[] = "{\"workflow\":\"x\"}";

    (void)state;
    for (int restart = 0; restart < 2; restart++) {
        rig w;

        rig_open(&w,
                 HEAD "{'id':'a','executor':'workflow','with':{'workflow':'x'}},"
                      "{'id':'b','executor':'workflow','with':{'workflow':'x'}}]}",
                 NULL);
        rig_pump(&w);
        answer(&w, "a", (run_answer){.value = bytes_new(spec, strlen(spec))});
        rig_answer(&w, &w.out[0], (run_answer){.value = bytes_new(spec, strlen(spec))});
        pause(&w, true);
        rig_store(&w);
        assert_string_equal(rig_doing(&w), "+a"); /* b's start is stored, but not asked for */
        assert_true(run_is_waiting(w.run));
        if (restart) {
            rig_restart(&w, ANY);
            rig_pump(&w);
            assert_string_equal(rig_doing(&w), "");
        }
        assert_int_equal(run_wanted_children(w.run), 2);
        rig_end_child(&w, "a", NONE, 0, "1");
        rig_pump(&w);
        assert_string_equal(rig_history(&w), "P a, P b, S a");
        pause(&w, false);
        assert_string_equal(rig_doing(&w), "+b");
        rig_end_child(&w, "b", NONE, 0, "1");
        rig_pump(&w);
        assert_over(&w, RUN_SUCCEEDED, "P a, P b, S a, S b");
    }
}

static void test_timeouts_cancel_and_deadline_work(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        run_options options = {.deadline_ms = 1003000};
        rig w;

        rig_open(&w, HEAD TASK("a", ",'timeout':'500ms'") "," TASK("b", ",'depends_on':['a']") "]}",
                 &options);
        rig_pump(&w);
        pause(&w, true);
        if (how == 0) {
            rig_sleep(&w);
            assert_string_equal(rig_doing(&w), "a!");
        } else if (how == 1) {
            run_cancel(w.run, "enough", w.now_ms);
        } else {
            run_tick(w.run, w.now_ms = options.deadline_ms);
        }
        rig_pump(&w);
        assert_string_equal(rig_doing(&w), "a!");
        rig_end(&w, "a", NONE, w.out[0].stopped);
        rig_pump(&w);
        assert_over(&w,
                    how == 0   ? RUN_FAILED
                    : how == 1 ? RUN_CANCELLED
                               : RUN_TIMED_OUT,
                    how == 0 ? "F a" : "C a");
    }
}

static void test_a_deadline_ends_a_run_that_is_paused_and_does_nothing(void **state)
{
    run_options options = {.deadline_ms = 1003000, .paused = true};
    rig w;

    (void)state;
    rig_open(&w, HEAD TASK("a", "") "]}", &options);
    rig_pump(&w);
    assert_true(run_is_waiting(w.run));
    rig_sleep(&w);
    assert_over(&w, RUN_TIMED_OUT, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_may_begin_paused),
        cmocka_unit_test(test_what_runs_finishes_and_nothing_follows),
        cmocka_unit_test(test_the_last_step_ends_a_paused_run),
        cmocka_unit_test(test_items_and_retries_are_held),
        cmocka_unit_test(test_waits_and_signals_go_on),
        cmocka_unit_test(test_items_that_wait_go_on_after_a_restart),
        cmocka_unit_test(test_children_end_but_none_starts),
        cmocka_unit_test(test_timeouts_cancel_and_deadline_work),
        cmocka_unit_test(test_a_deadline_ends_a_run_that_is_paused_and_does_nothing),
    };

    return cmocka_run_group_tests_name("run: pause", tests, NULL, NULL);
}
