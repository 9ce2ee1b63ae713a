/* Goal: children: their start is stored first, their end is awaited, told, and once consumed; over restarts, retries,
 * timeouts and cancels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "support/run_rig.h"

#define HEAD            "{'id':'w','version':'1.0.0','steps':["
#define TASK(id, more)  "{'id':'" id "','executor':'noop'" more "}"
#define CHILD(id, more) "{'id':'" id "','executor':'workflow','with':{'workflow':'x'}" more "}"
#define NONE            INDEX_NONE
#define RETRY           ",'retry':{'max_attempts':2,'initial_interval':'100ms','jitter':0}"

#define SPEC    "{\"workflow\":\"x\"}"
#define ABANDON "{\"on_cancel\":\"abandon\",\"workflow\":\"x\"}"

static bytes *text(const char *s)
{
    return bytes_new(s, strlen(s));
}

/* Answer what child is asked for; it is stored, and the child asked for. */
static void specify(rig *w, const char *step, uint32_t index, const char *spec)
{
    rig_answer(w, rig_find(w, RUN_EVALUATE, step, index), (run_answer){.value = text(spec)});
    rig_pump(w);
    rig_store(w);
}

static void list(rig *w, const char *step, uint64_t count, const char *items)
{
    run_answer a = {.count = count};

    assert_int_equal(digest_of(items, strlen(items), &a.items_digest), 0);
    rig_answer(w, rig_find(w, RUN_EVALUATE, step, NONE), a);
    rig_pump(w);
    rig_store(w);
}

static void end_child(rig *w, const char *step, uint32_t index, int32_t code)
{
    rig_end_child(w, step, index, code, "1");
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

/* ---- From start to end ----------------------------------------------------------------------- */

static void test_a_child_is_stored_started_and_awaited(void **state)
{
    run_value v;
    rig w;

    (void)state;
    rig_open(&w, HEAD CHILD("a", "") "," TASK("b", ",'depends_on':['a']") "]}", NULL);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "?a");
    assert_int_equal(w.out[0].what, RUN_SPEC);
    rig_answer(&w, &w.out[0], (run_answer){.value = text(SPEC)});
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "P a");
    assert_int_equal(w.history[0].attempt, 1);
    assert_int_equal(w.history[0].due_ms, 0);
    assert_string_equal(rig_doing(&w), "");
    assert_false(run_is_waiting(w.run));
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "+a");
    assert_true(run_is_waiting(w.run));
    assert_int_equal(run_deadline(w.run), INT64_MAX);
    assert_int_equal(run_get_counts(w.run).running, 1);
    w.now_ms += 40;
    rig_end_child(&w, "a", NONE, 0, "{\"x\":1}");
    assert_false(run_is_waiting(w.run));
    rig_pump(&w);
    assert_int_equal(w.history[1].inbox, 1);
    assert_int_equal(w.history[1].started_ms, w.now_ms - 40);
    assert_true(run_get_value(w.run, 0, &v));
    assert_string_equal(v.output->data, "{\"x\":1}");
    rig_store(&w);
    rig_ok(&w, "b");
    assert_over(&w, RUN_SUCCEEDED, "P a, S a, S b");
}

static void test_a_failed_child_fails_its_step_or_another_is_started(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD CHILD("a", RETRY) "]}", NULL);
    rig_pump(&w);
    specify(&w, "a", NONE, SPEC);
    end_child(&w, "a", NONE, ORCH_E_INTERNAL);
    assert_string_equal(rig_history(&w), "P a, R a");
    assert_int_equal(w.history[1].inbox, 1);
    assert_int_equal(run_deadline(w.run), w.now_ms + 100);
    rig_sleep(&w);
    assert_string_equal(rig_doing(&w), "?a"); /* what it is to be may be another */
    specify(&w, "a", NONE, "{\"inputs\":{\"n\":2},\"workflow\":\"x\"}");
    assert_int_equal(w.out[0].attempt, 2);
    end_child(&w, "a", NONE, ORCH_E_NOT_FOUND);
    assert_string_equal(w.error->data,
                        "{\"code\":\"NOT_FOUND\",\"message\":\"as told\",\"step\":\"a\"}");
    assert_over(&w, RUN_FAILED, "P a, R a, P a#2, F a#2");
}

static void test_a_child_that_cannot_be_started_is_a_failed_attempt(void **state)
{
    rig w;

    (void)state;
    for (int no_retry = 0; no_retry < 2; no_retry++) {
        rig_open(&w, HEAD CHILD("a", RETRY) "]}", NULL);
        rig_pump(&w);
        specify(&w, "a", NONE, SPEC);
        rig_refuse_child(&w, &w.out[0], ORCH_E_NOT_FOUND, no_retry);
        rig_pump(&w);
        assert_string_equal(rig_history(&w), no_retry ? "P a, F a" : "P a, R a");
        assert_int_equal(w.history[1].inbox, 0);
        rig_close(&w);
    }
}

static void test_what_is_asked_for_must_be_readable(void **state)
{
    static const struct {
        const char *spec, *error;
    } cases[] = {
        {"", "{\"code\":\"DATA_LOSS\",\"message\":\"what a child was to be started with is stored, "
             "but cannot be read\",\"step\":\"a\"}"},
        {"{\"workflow\":\"x\",\"on_cancel\":\"x\"}",
         "{\"code\":\"DATA_LOSS\",\"message\":\"what a child was to be started with is stored, but "
         "cannot be read\",\"step\":\"a\"}"},
        {NULL, "{\"code\":\"ABORTED\",\"message\":\"failed without a message\",\"step\":\"a\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_answer answer = {.code = ORCH_E_ABORTED};
        rig w;

        if (cases[i].spec)
            answer = (run_answer){.value = text(cases[i].spec)};
        rig_open(&w, HEAD CHILD("a", RETRY) "]}", NULL);
        rig_pump(&w);
        rig_answer(&w, &w.out[0], answer);
        rig_pump(&w);
        assert_string_equal(w.error->data, cases[i].error);
        assert_over(&w, RUN_FAILED, "F a"); /* not tried again */
    }
}

static void test_ends_that_nobody_awaits_are_ignored(void **state)
{
    static const struct {
        uint32_t step, index, attempt;
    } wrong[] = {{0, NONE, 2}, {0, NONE, 0}, {0, 0, 1},    {1, NONE, 1},
                 {1, 0, 1},    {2, NONE, 1}, {9, NONE, 1}, {NONE, NONE, 1}};
    rig w;

    (void)state;
    rig_open(&w,
             HEAD CHILD("a", "") "," CHILD(
                 "b", ",'for_each':'${input.l}','depends_on':['a']") "," TASK("c", "") "]}",
             NULL);
    rig_pump(&w);
    specify(&w, "a", NONE, SPEC);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        for (int how = 0; how < 2; how++) {
            run_result result = {.output = text("1"), .error = text("{}")};

            if (how)
                run_child_ended(w.run, 7, wrong[i].step, wrong[i].index, wrong[i].attempt, &result,
                                w.now_ms);
            else
                run_child_refused(w.run, wrong[i].step, wrong[i].index, wrong[i].attempt, &result,
                                  w.now_ms);
            assert_null(result.output);
        }
    {
        run_result result = {
            .output = text("1")}; /* a task's end is none of a child, and the other way */

        run_attempt_ended(w.run, ROLE_STEP, 0, NONE, 1, &result, w.now_ms);
        result = (run_result){.output = text("1")};
        run_child_ended(w.run, 7, 2, NONE, 1, &result, w.now_ms);
    }
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "c,+a");
    assert_string_equal(rig_history(&w), "P a");
    end_child(&w, "a", NONE, 0);
    { /* a second time */
        run_result result = {.output = text("1")};

        run_child_ended(w.run, 1, 0, NONE, 1, &result, w.now_ms);
    }
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "P a, S a");
    rig_close(&w);
}

/* ---- Timeouts -------------------------------------------------------------------------------- */

static void test_a_late_child_is_stopped_and_its_end_awaited(void **state)
{
    static const int32_t ends[] = {0, ORCH_E_CANCELLED, ORCH_E_INTERNAL};

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (int restart = 0; restart < 3; restart++) {
            rig w;

            rig_open(&w, HEAD CHILD("a", ",'timeout':'500ms'") "]}", NULL);
            rig_pump(&w);
            specify(&w, "a", NONE, SPEC);
            assert_int_equal(w.history[0].due_ms, w.now_ms + 500);
            assert_int_equal(run_deadline(w.run), w.now_ms + 500);
            assert_true(run_is_waiting(w.run));
            w.now_ms += 300;
            if (restart == 1) { /* the time is decided once */
                rig_restart(&w, ANY);
                rig_pump(&w);
                assert_string_equal(rig_doing(&w), "+a");
                assert_int_equal(run_deadline(w.run), w.now_ms + 200);
            }
            rig_sleep(&w);
            assert_string_equal(rig_doing(&w), "+a!");
            assert_int_equal(w.out[0].stopped, ORCH_E_DEADLINE_EXCEEDED);
            if (restart == 2) { /* it is told again; maybe nobody had told it */
                rig_restart(&w, ANY);
                rig_pump(&w);
                assert_string_equal(rig_doing(&w), "+a!");
            }
            assert_true(run_is_waiting(w.run));
            assert_string_equal(rig_history(&w), "P a");
            end_child(&w, "a", NONE, ends[i]);
            if (!ends[i]) {
                assert_over(&w, RUN_SUCCEEDED, "P a, S a");
                continue;
            }
            assert_string_equal(
                w.error->data, "{\"code\":\"DEADLINE_EXCEEDED\",\"message\":\"attempt 1 passed its "
                               "timeout of 500 ms\",\"step\":\"a\"}");
            assert_over(&w, RUN_FAILED, "P a, F a");
        }
}

/* ---- Restarts -------------------------------------------------------------------------------- */

static const char chain[] = HEAD CHILD("a", RETRY) "," CHILD("b", ",'depends_on':['a']") "]}";

static void test_children_go_on_at_each_cut(void **state)
{
    (void)state;
    for (uint32_t cut = 0; cut <= 6; cut++)
        for (int early = 0; early < 2;
             early++) { /* the end is there before the child is asked for */
            rig w;

            rig_open(&w, chain, NULL);
            rig_pump(&w);
            for (bool is_cut = false; !w.ended;) {
                if (!is_cut && w.made == cut) {
                    is_cut = true;
                    if (early && w.out_count && w.out[0].kind == RUN_CHILD)
                        rig_end_child(&w, w.out[0].step ? "b" : "a", NONE, 0, "1");
                    rig_restart(&w, cut);
                    rig_pump(&w);
                    rig_store(&w);
                } else if (!w.out_count) {
                    rig_sleep(&w);
                } else if (w.out[0].kind == RUN_EVALUATE) {
                    specify(&w, w.out[0].step ? "b" : "a", NONE, SPEC);
                } else {
                    end_child(&w, w.out[0].step ? "b" : "a", NONE,
                              w.out[0].step || w.out[0].attempt > 1 ? 0 : ORCH_E_ABORTED);
                }
            }
            assert_int_equal(w.state, RUN_SUCCEEDED);
            for (uint32_t i = 0; i < w.child_count; i++)
                assert_true(w.children[i].has_ended);
            rig_close(&w);
        }
}

/* A step without checkpoint runs again after a restart, and those that depend on it wait for it again. */
static void test_a_child_goes_on_however_what_is_not_stored_ends_this_time(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        rig w;

        rig_open(&w,
                 HEAD TASK("p", ",'checkpoint':false") "," CHILD("a", ",'depends_on':['p']") "]}",
                 NULL);
        rig_pump(&w);
        rig_ok(&w, "p");
        specify(&w, "a", NONE, SPEC);
        rig_restart(&w, ANY);
        rig_pump(&w);
        assert_string_equal(rig_doing(&w), "p");
        if (how & 1)
            rig_end_child(&w, "a", NONE, 0, "1");
        rig_pump(&w);
        assert_string_equal(rig_history(&w), "P a");
        if (how & 2)
            rig_fail(&w, "p");
        else
            rig_ok(&w, "p");
        if (!(how & 1)) {
            assert_string_equal(rig_doing(&w), "+a");
            end_child(&w, "a", NONE, 0);
        }
        assert_over(&w, how & 2 ? RUN_FAILED : RUN_SUCCEEDED,
                    how & 2 ? "P a, F p, S a" : "P a, S a");
    }
}

/* ---- Cancels --------------------------------------------------------------------------------- */

static void test_a_cancel_stops_children_and_awaits_them(void **state)
{
    static const struct {
        int32_t end;
        const char *history;
    } cases[] = {
        {0, "P a, S a"},
        {ORCH_E_CANCELLED, "P a, C a"},
        {ORCH_E_INTERNAL, "P a, F a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int restart = 0; restart < 4; restart++) {
            rig w;

            rig_open(&w, HEAD CHILD("a", RETRY) "]}", NULL);
            rig_pump(&w);
            specify(&w, "a", NONE, SPEC);
            if (restart == 1)
                rig_restart(&w, ANY);
            run_cancel(w.run, "enough", w.now_ms);
            assert_false(run_is_waiting(w.run));
            rig_pump(&w);
            if (restart == 2) { /* its inbox tells it again */
                rig_restart(&w, ANY);
                run_cancel(w.run, "enough", w.now_ms);
                rig_pump(&w);
            }
            assert_string_equal(rig_doing(&w), "+a!");
            assert_int_equal(w.out[0].stopped, ORCH_E_CANCELLED);
            assert_false(w.ended);
            assert_true(run_is_waiting(w.run));
            assert_int_equal(run_wanted_children(w.run), 1);
            if (restart == 3) { /* its end comes first */
                rig_end_child(&w, "a", NONE, cases[i].end, "1");
                rig_restart(&w, ANY);
                run_cancel(w.run, "enough", w.now_ms);
            } else {
                rig_end_child(&w, "a", NONE, cases[i].end, "1");
            }
            rig_pump(&w);
            assert_over(&w, RUN_CANCELLED, cases[i].history);
        }
}

static void test_an_abandoned_child_is_let_go(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        run_options options = {.deadline_ms = 2000000};
        rig w;

        rig_open(&w, HEAD CHILD("a", ",'timeout':'1h'") "]}", &options);
        rig_pump(&w);
        specify(&w, "a", NONE, ABANDON);
        if (how == 1)
            rig_restart(&w, ANY);
        if (how == 2)
            run_tick(w.run, w.now_ms = options.deadline_ms);
        else
            run_cancel(w.run, "enough", w.now_ms);
        rig_pump(&w); /* the rig checks that the end says that it is there */
        assert_string_equal(w.history[1].error->data,
                            "{\"code\":\"CANCELLED\",\"message\":\"abandoned: the child goes on by "
                            "itself\"}");
        assert_int_equal(w.history[1].attempt, 1);
        assert_over(&w, how == 2 ? RUN_TIMED_OUT : RUN_CANCELLED, "P a, C a");
    }
}

static void test_that_one_was_let_go_is_known_after_a_restart(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD CHILD("a", "") "," TASK("t", "") "]}", NULL);
    rig_pump(&w);
    specify(&w, "a", NONE, ABANDON);
    run_cancel(w.run, "enough", w.now_ms);
    rig_pump(&w);
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "t!");
    rig_restart(&w, ANY);
    rig_pump(&w);
    assert_over(&w, RUN_CANCELLED, "P a, C a");
}

/* `b` is passed over once `a` has failed, and only then `c`, which had begun, goes on. */
static void test_what_had_begun_behind_one_that_is_passed_over_goes_on(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD TASK("a", "") "," TASK("b", ",'depends_on':['a']") "," CHILD(
                 "c", ",'depends_on':['b'],'run_if':'all_done'") "]}",
             NULL);
    rig_pump(&w);
    rig_fail(&w, "a");
    specify(&w, "c", NONE, SPEC);
    assert_string_equal(rig_doing(&w), "+c");
    rig_restart(&w, ANY);
    rig_end_child(&w, "c", NONE, 0, "1");
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "F a, P c, S c"); /* nothing else would wake it */
    rig_store(&w);
    assert_over(&w, RUN_FAILED, "F a, P c, S c");
}

static void test_a_child_that_was_never_started_needs_no_stop(void **state)
{
    rig w;

    (void)state;
    for (int stored = 0; stored < 2; stored++) {
        rig_open(&w, HEAD CHILD("a", "") "]}", NULL);
        rig_pump(&w);
        rig_answer(&w, &w.out[0], (run_answer){.value = text(SPEC)});
        rig_pump(&w);
        if (stored)
            rig_store_to(&w, 1);
        run_cancel(w.run, "enough", w.now_ms);
        rig_pump(&w);
        assert_int_equal(w.history[1].attempt, 0);
        assert_int_equal(w.child_count, 0);
        assert_over(&w, RUN_CANCELLED, "P a, C a");
    }
    /* After a restart nobody knows: it is told to stop, and is not there. */
    rig_open(&w, HEAD CHILD("a", "") "]}", NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.value = text(SPEC)});
    rig_pump(&w);
    rig_store_to(&w, 1);
    rig_restart(&w, ANY);
    run_cancel(w.run, "enough", w.now_ms);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "+a!");
    rig_refuse_child(&w, &w.out[0], ORCH_E_NOT_FOUND, false);
    rig_pump(&w);
    assert_over(&w, RUN_CANCELLED, "P a, C a");
}

static void test_a_cancel_while_it_is_evaluated(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD CHILD("a", "") "]}", NULL);
    rig_pump(&w);
    run_cancel(w.run, "enough", w.now_ms);
    rig_pump(&w);
    assert_false(w.ended);
    rig_answer(&w, &w.out[0], (run_answer){.value = text(SPEC)});
    rig_pump(&w);
    assert_over(&w, RUN_CANCELLED, "");
}

/* ---- for_each -------------------------------------------------------------------------------- */

#define EACH ",'for_each':'${input.l}'"

static void test_items_are_children_within_the_bound(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD CHILD("a", EACH ",'max_parallel':2") "]}", NULL);
    rig_pump(&w);
    list(&w, "a", 3, "x");
    assert_string_equal(rig_doing(&w), "?a[0],?a[1]");
    specify(&w, "a", 0, SPEC);
    specify(&w, "a", 1, SPEC);
    assert_true(run_is_waiting(w.run));
    assert_int_equal(run_wanted_children(w.run), 1); /* then the next starts */
    end_child(&w, "a", 1, 0);
    specify(&w, "a", 2, SPEC);
    assert_string_equal(rig_doing(&w), "+a[0],+a[2]");
    assert_int_equal(run_wanted_children(w.run), 2);
    rig_restart(&w, ANY);
    rig_pump(&w);
    list(&w, "a", 3, "x");
    assert_string_equal(rig_doing(&w), "+a[0],+a[2]");
    end_child(&w, "a", 0, 0);
    end_child(&w, "a", 2, 0);
    assert_over(&w, RUN_SUCCEEDED, "E a, P a[0], P a[1], S a[1], P a[2], S a[0], S a[2], S a");
}

static void test_when_an_item_fails_the_others_are_awaited(void **state)
{
    (void)state;
    for (int restart = 0; restart < 3; restart++) {
        rig w;

        rig_open(&w, HEAD CHILD("a", EACH RETRY) "]}", NULL);
        rig_pump(&w);
        list(&w, "a", 3, "x");
        for (uint32_t i = 0; i < 3; i++)
            specify(&w, "a", i, SPEC);
        end_child(&w, "a", 2, ORCH_E_ABORTED); /* it would be tried again */
        rig_refuse_child(&w, rig_find(&w, RUN_CHILD, "a", 0), ORCH_E_NOT_FOUND, true);
        rig_pump(&w);
        rig_store(&w);
        if (restart) {
            rig_restart(&w, ANY);
            rig_pump(&w);
            if (restart == 2)
                rig_end_child(&w, "a", 1, 0, "1"); /* before the list is known */
            list(&w, "a", 3, "x");
        }
        if (restart < 2) {
            assert_string_equal(rig_doing(&w), "+a[1]");
            end_child(&w, "a", 1, 0);
        }
        assert_over(&w, RUN_FAILED, "E a, P a[0], P a[1], P a[2], R a[2], F a[0], S a[1], F a");
    }
}

static void test_a_list_that_is_lost_waits_for_the_children_it_has(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        rig w;

        rig_open(&w, HEAD CHILD("a", EACH ",'max_parallel':2" RETRY) "]}", NULL);
        rig_pump(&w);
        list(&w, "a", 4, "x");
        specify(&w, "a", 0, SPEC);
        specify(&w, "a", 1, SPEC);
        end_child(&w, "a", 1, ORCH_E_ABORTED);
        rig_restart(&w, ANY);
        rig_pump(&w);
        if (how) {
            list(&w, "a", 4, "y");
        } else {
            rig_answer(&w, &w.out[0], (run_answer){.code = ORCH_E_INVALID_ARGUMENT});
            rig_pump(&w);
        }
        assert_string_equal(rig_doing(&w), "+a[0]");
        assert_false(w.ended);
        end_child(&w, "a", 0, 0);
        assert_string_equal(
            w.error->data,
            how ? "{\"code\":\"DATA_LOSS\",\"message\":\"for_each: the list is not what "
                  "it was before the restart: 4 items, were 4, others\",\"step\":\"a\"}"
                : "{\"code\":\"INVALID_ARGUMENT\",\"message\":\"for_each: failed without "
                  "a message\",\"step\":\"a\"}");
        assert_over(&w, RUN_FAILED, "E a, P a[0], P a[1], R a[1], S a[0], F a");
    }
}

/* ---- How many are wanted --------------------------------------------------------------------- */

static void specify_all(rig *w)
{
    rig_pump(w);
    while (w->out_count && w->out[0].kind == RUN_EVALUATE) {
        outstanding *o = &w->out[0];

        if (o->what == RUN_FOR_EACH)
            rig_answer(w, o, (run_answer){.count = 5});
        else if (o->what == RUN_DUE)
            rig_answer(w, o, (run_answer){.due_ms = w->now_ms + 1000000});
        else
            rig_answer(w, o, (run_answer){.value = text(SPEC)});
        rig_pump(w);
        rig_store(w);
    }
}

static void test_how_many_must_succeed_until_there_is_something_to_do(void **state)
{
    static const struct {
        const char *json;
        uint32_t wanted;
    } cases[] = {
        {HEAD CHILD("a", "") "]}", 1},
        {HEAD CHILD("a", "") "," CHILD("b", "") "," CHILD("c", "") "]}", 3},
        {HEAD CHILD("a", "") "," CHILD("b", "") "," CHILD("c", "") "," TASK(
             "z", ",'depends_on':['a','b','c']") "]}",
         3},
        {HEAD CHILD("a", "") "," CHILD("b", "") "," CHILD("c", "") "," TASK(
             "z", ",'depends_on':['a','c']") "]}",
         2},
        {HEAD CHILD("a", "") "," CHILD("b", "") "," TASK("z", ",'depends_on':['a','b']") "," TASK(
             "y", ",'depends_on':['b']") "]}",
         1},
        {HEAD CHILD("a", EACH) "," TASK("z", ",'depends_on':['a']") "]}", 5},
        {HEAD CHILD("a", EACH ",'max_parallel':4") "]}", 1},
        {HEAD CHILD("a", EACH) "," CHILD("b", "") "," TASK("z", ",'depends_on':['a','b']") "]}", 6},
        {HEAD CHILD("a", EACH) "," CHILD("b", EACH) "," TASK("z", ",'depends_on':['b']") "]}", 5},
        /* A wait has its own time; what it holds up is not for children to set free. */
        {HEAD CHILD("a", EACH) ",{'id':'s','executor':'wait','with':{'duration':'1h'}}," TASK(
             "y", ",'depends_on':['s']") "," TASK("z", ",'depends_on':['a','s']") "]}",
         5},
        {HEAD "{'id':'s','executor':'wait','with':{'duration':'1h'}}]}", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig w;

        rig_open(&w, cases[i].json, NULL);
        specify_all(&w);
        assert_true(run_is_waiting(w.run));
        if (run_wanted_children(w.run) != cases[i].wanted)
            fail_msg("case %zu: %u, not %u", i, run_wanted_children(w.run), cases[i].wanted);
        rig_close(&w);
    }
}

/* Told only of what it wants, it gets as far: there never is something to do before. */
static void test_fewer_than_wanted_move_nothing(void **state)
{
    static const char json[] = HEAD CHILD("a", EACH) "," CHILD("b", "") "," CHILD("c", "") "," TASK(
        "y", ",'depends_on':['b','c']") "," TASK("z", ",'depends_on':['a','b']") "]}";
    uint32_t told = 0;
    rig w;

    (void)state;
    rig_open(&w, json, NULL);
    specify_all(&w);
    assert_int_equal(run_wanted_children(w.run), 2);
    while (w.out_count) {
        uint32_t wanted = run_wanted_children(w.run);

        assert_true(run_is_waiting(w.run));
        assert_int_not_equal(wanted, 0);
        for (uint32_t i = 0; i < wanted; i++) {
            for (uint32_t o = 0; o < w.out_count; o++)
                assert_int_equal(w.out[o].kind, RUN_CHILD); /* nothing has started */
            rig_end_child_number(&w, w.out[0].step, w.out[0].index, 0, "1");
            rig_pump(&w);
            rig_store(&w);
            told++;
        }
        for (uint32_t o = w.out_count; o-- > 0;)
            if (w.out[o].kind == RUN_ATTEMPT)
                rig_end_with(&w, &w.out[o], 0, NULL, false);
        rig_pump(&w);
        rig_store(&w);
    }
    assert_int_equal(told, 7);
    assert_true(w.ended);
    rig_close(&w);
}

/* ---- Size ------------------------------------------------------------------------------------ */

static void test_ten_thousand_children_are_joined_once(void **state)
{
    enum { COUNT = 10000 };
    rig w;

    (void)state;
    rig_open(&w, HEAD CHILD("a", EACH) "," TASK("z", ",'depends_on':['a']") "]}", NULL);
    rig_pump(&w);
    list(&w, "a", COUNT, "x");
    for (uint32_t i = COUNT; i-- > 0;)
        rig_answer(&w, &w.out[i], (run_answer){.value = text(SPEC)});
    rig_pump(&w);
    rig_store(&w);
    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(w.out_count, COUNT);
        assert_true(run_is_waiting(w.run));
        assert_int_equal(run_wanted_children(w.run), COUNT);
        if (restart)
            break;
        rig_restart(&w, ANY);
        rig_pump(&w);
        list(&w, "a", COUNT, "x");
    }
    for (uint32_t left = COUNT; left > 0; left--) {
        outstanding *o = &w.out[left - 1];

        assert_int_equal(o->kind, RUN_CHILD);
        rig_end_child_number(&w, o->step, o->index, 0, "1");
        rig_pump(&w);
        if (left % 1000 == 0)
            rig_store(&w);
    }
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "z");
    assert_int_equal(w.starts, 1);
    rig_ok(&w, "z");
    assert_true(w.ended);
    rig_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_child_is_stored_started_and_awaited),
        cmocka_unit_test(test_a_failed_child_fails_its_step_or_another_is_started),
        cmocka_unit_test(test_a_child_that_cannot_be_started_is_a_failed_attempt),
        cmocka_unit_test(test_what_is_asked_for_must_be_readable),
        cmocka_unit_test(test_ends_that_nobody_awaits_are_ignored),
        cmocka_unit_test(test_a_late_child_is_stopped_and_its_end_awaited),
        cmocka_unit_test(test_children_go_on_at_each_cut),
        cmocka_unit_test(test_a_child_goes_on_however_what_is_not_stored_ends_this_time),
        cmocka_unit_test(test_a_cancel_stops_children_and_awaits_them),
        cmocka_unit_test(test_an_abandoned_child_is_let_go),
        cmocka_unit_test(test_that_one_was_let_go_is_known_after_a_restart),
        cmocka_unit_test(test_what_had_begun_behind_one_that_is_passed_over_goes_on),
        cmocka_unit_test(test_a_child_that_was_never_started_needs_no_stop),
        cmocka_unit_test(test_a_cancel_while_it_is_evaluated),
        cmocka_unit_test(test_items_are_children_within_the_bound),
        cmocka_unit_test(test_when_an_item_fails_the_others_are_awaited),
        cmocka_unit_test(test_a_list_that_is_lost_waits_for_the_children_it_has),
        cmocka_unit_test(test_how_many_must_succeed_until_there_is_something_to_do),
        cmocka_unit_test(test_fewer_than_wanted_move_nothing),
        cmocka_unit_test(test_ten_thousand_children_are_joined_once),
    };

    return cmocka_run_group_tests_name("run: children", tests, NULL, NULL);
}
