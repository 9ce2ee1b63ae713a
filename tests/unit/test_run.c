/* Goal: the rules of the graph in small cases: what starts, what is skipped, how a run ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "support/run_rig.h"

#define HEAD           "{'id':'w','version':'1.0.0','steps':["
#define STEP(id, more) "{'id':'" id "','executor':'noop'" more "}"

static void assert_ended(rig *w, enum run_state state, const char *error)
{
    run_action a;

    if (!w->ended)
        fail_msg("not ended; out: '%s'; history: %s", rig_doing(w), rig_history(w));
    assert_int_equal(w->state, state);
    if (error)
        assert_string_equal(w->error->data, error);
    assert_false(run_next(w->run, w->now_ms, &a));
    assert_int_equal(run_deadline(w->run), INT64_MAX);
}

/* ---- Order ----------------------------------------------------------------------------------- */

static void test_a_step_starts_after_its_dependencies_are_stored(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", "") "," STEP("b", "") "," STEP("c", ",'depends_on':['a','b']") "]}",
             NULL);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "a,b");
    rig_end(&w, "b", INDEX_NONE, 0);
    rig_end(&w, "a", INDEX_NONE, 0);
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "S b, S a");
    assert_string_equal(rig_doing(&w), "");
    rig_store_to(&w, 1);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "");
    rig_store_to(&w, 2);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "c");
    rig_end_with(&w, rig_find(&w, RUN_ATTEMPT, "c", INDEX_NONE), 0, "7", false);
    rig_pump(&w); /* the end is in the unit of the last checkpoint: nobody waits for that */
    assert_string_equal(rig_history(&w), "S b, S a, S c");
    assert_ended(&w, RUN_SUCCEEDED, NULL);
    assert_null(w.output);
    rig_close(&w);
}

static void test_the_output_is_evaluated_once_all_ended(void **state)
{
    static const struct {
        int32_t code;
        enum run_state state;
    } cases[] = {{0, RUN_SUCCEEDED}, {ORCH_E_INVALID_ARGUMENT, RUN_FAILED}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig w;

        rig_open(&w, HEAD STEP("a", "") "],'output':{'x':'${input.x}'}}", NULL);
        rig_pump(&w);
        rig_ok(&w, "a");
        assert_string_equal(rig_doing(&w), "?output");
        rig_answer(
            &w, &w.out[0],
            (run_answer){.code = cases[i].code, .value = cases[i].code ? NULL : bytes_new("5", 1)});
        rig_pump(&w);
        assert_ended(&w, cases[i].state, NULL);
        if (cases[i].code)
            assert_string_equal(w.error->data, "{\"code\":\"INVALID_ARGUMENT\",\"message\":"
                                               "\"output: failed without a message\"}");
        else
            assert_string_equal(w.output->data, "5");
        rig_close(&w);
    }
}

static void test_values_can_be_asked_for(void **state)
{
    rig w;
    run_value v;

    (void)state;
    rig_open(&w, HEAD STEP("a", "") "," STEP("b", "") "]}", NULL);
    rig_pump(&w);
    assert_false(run_get_value(w.run, 0, &v));
    assert_false(run_get_value(w.run, 2, &v));
    rig_end_with(&w, rig_find(&w, RUN_ATTEMPT, "a", INDEX_NONE), 0, "[1]", false);
    assert_true(run_get_value(w.run, 0, &v));
    assert_int_equal(v.kind, CHECKPOINT_SUCCEEDED);
    assert_string_equal(v.output->data, "[1]");
    assert_null(v.error);
    rig_end(&w, "b", INDEX_NONE, ORCH_E_NOT_FOUND);
    assert_true(run_get_value(w.run, 1, &v));
    assert_int_equal(v.kind, CHECKPOINT_FAILED);
    assert_string_equal(v.error->data, "{\"code\":\"NOT_FOUND\",\"message\":\"as told\"}");
    assert_null(v.output);
    assert_null(run_item_output(w.run, 0, 0));
    rig_close(&w);
}

/* ---- run_if: every rule over every pair of ends ---------------------------------------------- */

/* How a dependency ends: success, failure, skipped by `when`, skipped because of a failure. */
static const char ends[] = "SFWB";

static bool expect_started(const char *run_if, char a, char b)
{
    bool failed = a == 'F' || b == 'F';
    bool not_done = failed || a == 'B' || b == 'B';
    bool succeeded = a == 'S' || b == 'S';

    if (!strcmp(run_if, "all_succeeded"))
        return !not_done;
    if (!strcmp(run_if, "any_failed"))
        return failed;
    return !strcmp(run_if, "all_done") || succeeded;
}

/* Each dependency has a root before it, so that it can be skipped because of that one's failure. */
static void bring_to_end(rig *w, const char *root, const char *name, char end)
{
    if (end == 'B') {
        rig_fail(w, root);
        return;
    }
    rig_ok(w, root);
    if (end == 'W') {
        rig_answer(w, rig_find(w, RUN_EVALUATE, name, INDEX_NONE), (run_answer){.truth = false});
        rig_pump(w);
        rig_store(w);
        return;
    }
    rig_answer(w, rig_find(w, RUN_EVALUATE, name, INDEX_NONE), (run_answer){.truth = true});
    rig_pump(w);
    rig_store(w);
    if (end == 'S')
        rig_ok(w, name);
    else
        rig_fail(w, name);
}

static void check_run_if(const char *run_if, char a, char b)
{
    char json[1024];
    bool failing = a == 'F' || a == 'B' || b == 'F' || b == 'B';
    rig w;
    run_value v;

    /* One step a line. */
    /* clang-format off */
    snprintf(json, sizeof json,
             HEAD STEP("ra", "") "," STEP("rb", "") ","
             STEP("a", ",'run_if':'all_done','when':'input.a','depends_on':['ra']") ","
             STEP("b", ",'run_if':'all_done','when':'input.b','depends_on':['rb']") ","
             STEP("z", ",'run_if':'%s','depends_on':['a','b']") ","
             STEP("end", ",'run_if':'all_done','depends_on':['z']") "]}", run_if);
    if (a == 'B' || b == 'B') { /* then a and b must be skippable */
        snprintf(json, sizeof json,
                 HEAD STEP("ra", "") "," STEP("rb", "") ","
                 STEP("a", ",'run_if':'%s','when':'input.a','depends_on':['ra']") ","
                 STEP("b", ",'run_if':'%s','when':'input.b','depends_on':['rb']") ","
                 STEP("z", ",'run_if':'%s','depends_on':['a','b']") ","
                 STEP("end", ",'run_if':'all_done','depends_on':['z']") "]}",
                 a == 'B' ? "any_succeeded" : "all_done", b == 'B' ? "any_succeeded" : "all_done",
                 run_if);
    }
    /* clang-format on */
    rig_open(&w, json, NULL);
    rig_pump(&w);
    bring_to_end(&w, "ra", "a", a);
    bring_to_end(&w, "rb", "b", b);
    if (expect_started(run_if, a, b)) {
        if (!rig_find(&w, RUN_ATTEMPT, "z", INDEX_NONE))
            fail_msg("%s over %c%c did not start: %s", run_if, a, b, rig_doing(&w));
        rig_ok(&w, "z");
    } else {
        if (rig_find(&w, RUN_ATTEMPT, "z", INDEX_NONE))
            fail_msg("%s over %c%c started", run_if, a, b);
        assert_true(run_get_value(w.run, rig_number(&w, "z"), &v));
        assert_int_equal(v.kind, CHECKPOINT_SKIPPED);
    }
    rig_ok(&w, "end");
    assert_ended(&w, failing ? RUN_FAILED : RUN_SUCCEEDED, NULL);
    rig_close(&w);
}

static void test_run_if_over_all_pairs_of_ends(void **state)
{
    static const char *const rules[] = {"all_succeeded", "all_done", "any_failed", "any_succeeded"};

    (void)state;
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++)
        for (size_t a = 0; a < 4; a++)
            for (size_t b = 0; b < 4; b++)
                check_run_if(rules[r], ends[a], ends[b]);
}

static void test_a_benign_skip_lets_others_go_on(void **state)
{
    rig w;
    run_counts n;

    (void)state;
    rig_open(
        &w,
        HEAD STEP("a", "") "," STEP("alarm", ",'run_if':'any_failed','depends_on':['a']") "," STEP(
            "c", ",'depends_on':['alarm']") "]}",
        NULL);
    rig_pump(&w);
    rig_ok(&w, "a");
    rig_ok(&w, "c");
    assert_ended(&w, RUN_SUCCEEDED, NULL);
    assert_string_equal(rig_history(&w), "S a, S c");
    n = run_get_counts(w.run);
    assert_int_equal(n.steps, 3);
    assert_int_equal(n.ended, 3);
    assert_int_equal(n.running, 0);
    assert_int_equal(n.failed, 0);
    assert_int_equal(n.skipped, 1);
    rig_close(&w);
}

static void test_a_long_chain_of_skips_needs_no_stack(void **state)
{
    enum { LENGTH = 20000 };
    size_t room = 64 + (size_t)LENGTH * 80, len;
    char *json = test_malloc(room);
    rig w;

    (void)state;
    len = (size_t)snprintf(json, room, HEAD "{'id':'s0','executor':'noop'}");
    for (int i = 1; i <= LENGTH; i++)
        len += (size_t)snprintf(json + len, room - len,
                                ",{'id':'s%d','executor':'noop','depends_on':['s%d']%s}", i, i - 1,
                                i == LENGTH ? ",'run_if':'all_done'" : "");
    snprintf(json + len, room - len, "]}");
    rig_open(&w, json, NULL);
    rig_pump(&w);
    rig_fail(&w, "s0");
    assert_string_equal(rig_doing(&w), "s20000");
    rig_ok(&w, "s20000");
    assert_ended(&w, RUN_FAILED, "{\"code\":\"INTERNAL\",\"message\":\"as told\",\"step\":\"s0\"}");
    rig_close(&w);
    test_free(json);
}

/* ---- Size ------------------------------------------------------------------------------------ */

/* The ends come in another order than the starts, are stored in pieces, and the process dies in between. */
static void test_a_fan_in_over_ten_thousand_starts_once(void **state)
{
    enum { COUNT = 10000, STRIDE = 7919 };
    size_t room = 64 + (size_t)COUNT * 64, len;
    char *json = test_malloc(room);
    rig w;

    (void)state;
    len = (size_t)snprintf(json, room, HEAD);
    for (int i = 0; i < COUNT; i++)
        len += (size_t)snprintf(json + len, room - len, "{'id':'s%d','executor':'noop'},", i);
    len += (size_t)snprintf(json + len, room - len, "{'id':'z','executor':'noop','depends_on':[");
    for (int i = 0; i < COUNT; i++)
        len += (size_t)snprintf(json + len, room - len, "%s's%d'", i ? "," : "", i);
    snprintf(json + len, room - len, "]}]}");
    rig_open(&w, json, NULL);
    rig_pump(&w);
    for (uint32_t i = 0; w.out_count; i++) {
        uint32_t place = w.out_count - 1 - i * STRIDE % w.out_count % 100;

        assert_int_not_equal(w.out[place].step, COUNT);
        rig_end_with(&w, &w.out[place], 0, NULL, false);
        rig_pump(&w);
        if (i % 1000 == 999)
            rig_store(&w);
        if (i == COUNT / 2 + 500) { /* five hundred of them are not stored */
            rig_restart(&w, ANY);
            rig_pump(&w);
        }
        if (w.made == COUNT) {
            rig_store_to(&w, COUNT - 1);
            rig_pump(&w);
            assert_string_equal(rig_doing(&w), "");
            rig_store_to(&w, COUNT);
            rig_pump(&w);
            assert_string_equal(rig_doing(&w), "z");
            break;
        }
    }
    w.starts = 0;
    rig_ok(&w, "z");
    assert_int_equal(w.starts, 0);
    assert_ended(&w, RUN_SUCCEEDED, NULL);
    rig_close(&w);
    test_free(json);
}

/* ---- Failure --------------------------------------------------------------------------------- */

static void test_without_handlers_a_failure_ends_the_run_in_the_same_unit(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", "") "," STEP("b", ",'depends_on':['a']") "]}", NULL);
    rig_pump(&w);
    rig_end(&w, "a", INDEX_NONE, ORCH_E_UNAVAILABLE);
    rig_pump(&w); /* nothing stored yet */
    assert_ended(&w, RUN_FAILED,
                 "{\"code\":\"UNAVAILABLE\",\"message\":\"as told\",\"step\":\"a\"}");
    rig_close(&w);
}

static void test_after_a_failure_what_runs_finishes_and_handlers_start(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD STEP("a", "") "," STEP("b", "") "," STEP("c", ",'depends_on':['b']") "," STEP(
                 "h", ",'run_if':'all_done','depends_on':['a','c']") "]}",
             NULL);
    rig_pump(&w);
    rig_end(&w, "a", INDEX_NONE, ORCH_E_INTERNAL);
    rig_pump(&w);
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "b");
    rig_ok(&w, "b"); /* c is skipped, h sees that */
    assert_string_equal(rig_doing(&w), "h");
    rig_fail(&w, "h");
    assert_ended(&w, RUN_FAILED, "{\"code\":\"INTERNAL\",\"message\":\"as told\",\"step\":\"a\"}");
    assert_string_equal(rig_history(&w), "F a, S b, F h");
    rig_close(&w);
}

static void test_nothing_follows_from_a_failure_that_is_not_stored(void **state)
{
    rig w;

    (void)state;
    /* b is ready while a's failure is on its way: b is skipped because of that, and h sees it. */
    rig_open(&w,
             HEAD STEP("a", "") "," STEP("r", "") "," STEP("b", ",'depends_on':['r']") "," STEP(
                 "h", ",'run_if':'all_done','depends_on':['b']") "]}",
             NULL);
    rig_pump(&w);
    rig_end(&w, "r", INDEX_NONE, 0);
    rig_end(&w, "a", INDEX_NONE, ORCH_E_INTERNAL);
    rig_pump(&w);
    rig_store_to(&w, 1);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "");
    rig_store_to(&w, 2);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "h");
    rig_close(&w);
}

/* ---- continue_on_failure --------------------------------------------------------------------- */

#define ON ",'continue_on_failure':true"

static void test_a_failure_that_may_be_is_as_good_as_done(void **state)
{
    static const struct {
        const char *run_if;
        bool starts;
    } cases[] = {{"all_succeeded", true},
                 {"all_done", true},
                 {"any_failed", true},
                 {"any_succeeded", false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int restart = 0; restart < 2; restart++) {
            char json[512];
            run_value v;
            rig w;

            snprintf(json, sizeof json,
                     HEAD STEP("a", ON) "," STEP("b", ",'depends_on':['a'],'run_if':'%s'") "]}",
                     cases[i].run_if);
            rig_open(&w, json, NULL);
            rig_pump(&w);
            rig_fail(&w, "a");
            if (restart && !w.ended)
                rig_restart(&w, ANY);
            rig_pump(&w);
            if (!w.ended)
                rig_ok(&w, "b");
            assert_true(run_get_value(w.run, 0, &v));
            assert_int_equal(v.kind, CHECKPOINT_FAILED);
            assert_non_null(v.error);
            assert_string_equal(rig_history(&w), cases[i].starts ? "F a, S b" : "F a");
            assert_int_equal(run_get_counts(w.run).failed, 1);
            assert_ended(&w, RUN_SUCCEEDED, NULL);
            rig_close(&w);
        }
}

static void test_it_is_no_excuse_for_others(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", ON) "," STEP("b", "") "," STEP("c", ",'depends_on':['a']") "]}",
             NULL);
    rig_pump(&w);
    rig_fail(&w, "a");
    rig_fail(&w, "b");
    rig_fail(&w, "c"); /* it had begun */
    assert_ended(&w, RUN_FAILED, "{\"code\":\"INTERNAL\",\"message\":\"as told\",\"step\":\"b\"}");
    rig_close(&w);
}

/* ---- when ------------------------------------------------------------------------------------ */

static void test_when_is_decided_stored_then_acted_on(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", ",'when':'input.a'") "," STEP("b", ",'depends_on':['a']") "]}",
             NULL);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "?a");
    rig_answer(&w, &w.out[0], (run_answer){.truth = true});
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "D a");
    assert_string_equal(rig_doing(&w), "");
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "a");
    rig_restart(&w, ANY); /* it is not asked again */
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "a");
    rig_ok(&w, "a");
    rig_ok(&w, "b");
    assert_ended(&w, RUN_SUCCEEDED, NULL);
    rig_close(&w);
}

static void test_when_false_skips_and_an_error_fails(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD STEP("a", ",'when':'input.a'") "," STEP("b", ",'depends_on':['a']") "]}",
             NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.truth = false});
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "K a");
    assert_string_equal(rig_doing(&w), "");
    rig_store(&w);
    rig_ok(&w, "b");
    assert_ended(&w, RUN_SUCCEEDED, NULL);
    rig_close(&w);

    rig_open(&w, HEAD STEP("a", ",'when':'input.a'") "]}", NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.code = ORCH_E_INVALID_ARGUMENT});
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "F a");
    assert_ended(&w, RUN_FAILED,
                 "{\"code\":\"INVALID_ARGUMENT\",\"message\":\"when: failed without a message\","
                 "\"step\":\"a\"}");
    rig_close(&w);
}

/* ---- checkpoint: false ----------------------------------------------------------------------- */

static void test_a_step_without_checkpoint_releases_at_once_and_runs_again(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD STEP("a", ",'checkpoint':false,'when':'input.x'") "," STEP(
                 "b", ",'depends_on':['a']") "," STEP("c", ",'depends_on':['b']") "]}",
             NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.truth = true});
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "a");
    rig_end(&w, "a", INDEX_NONE, 0);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "b");
    rig_ok(&w, "b");
    assert_string_equal(rig_history(&w), "S b");
    rig_restart(&w, ANY);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "?a,c");
    rig_answer(&w, rig_find(&w, RUN_EVALUATE, "a", INDEX_NONE), (run_answer){.truth = true});
    rig_pump(&w);
    rig_end(&w, "a", INDEX_NONE, 0);
    rig_ok(&w, "c");
    assert_string_equal(rig_history(&w), "S b, S c");
    assert_ended(&w, RUN_SUCCEEDED, NULL);
    rig_close(&w);
}

static void test_the_failure_of_a_step_without_checkpoint_is_stored(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD STEP("a", ",'checkpoint':false") "," STEP(
                 "h", ",'run_if':'any_failed','depends_on':['a']") "]}",
             NULL);
    rig_pump(&w);
    rig_end(&w, "a", INDEX_NONE, ORCH_E_INTERNAL);
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "F a");
    assert_string_equal(rig_doing(&w), "");
    rig_store(&w);
    rig_restart(&w, ANY);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "h");
    rig_ok(&w, "h");
    assert_ended(&w, RUN_FAILED, NULL);
    rig_close(&w);
}

/* ---- Answers that nobody waits for ----------------------------------------------------------- */

static void test_unknown_answers_are_ignored(void **state)
{
    static const struct {
        uint32_t step, index, attempt;
    } wrong[] = {{0, INDEX_NONE, 2}, {0, INDEX_NONE, 0}, {0, 0, 1}, {1, INDEX_NONE, 1},
                 {1, 7, 1},          {2, INDEX_NONE, 1}, {9, 9, 9}, {INDEX_NONE, INDEX_NONE, 1}};
    rig w;

    (void)state;
    rig_open(&w,
             HEAD STEP("a", "") "," STEP("b", ",'for_each':'${input.l}','depends_on':['a']") "]}",
             NULL);
    rig_pump(&w);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        run_result result = {.output = bytes_new("1", 1), .error = bytes_new("{}", 2)};

        run_attempt_ended(w.run, ROLE_STEP, wrong[i].step, wrong[i].index, wrong[i].attempt,
                          &result, 1);
        for (int what = RUN_WHEN; what <= RUN_OUTPUT; what++) {
            run_answer a = {.value = bytes_new("1", 1), .error = bytes_new("{}", 2)};

            run_evaluated(w.run, what, wrong[i].step, wrong[i].index, &a, 1);
        }
    }
    run_stored(w.run, 1000);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "a");
    assert_string_equal(rig_history(&w), "");
    rig_ok(&w, "a");
    assert_string_equal(rig_doing(&w), "?b");
    rig_close(&w);
}

static void test_a_run_that_only_waits_says_so(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD "{'id':'a','executor':'wait','with':{'duration':'72h'}}]}", NULL);
    assert_false(run_is_waiting(w.run));
    rig_pump(&w);
    assert_false(run_is_waiting(w.run));
    rig_answer(&w, &w.out[0], (run_answer){.due_ms = w.now_ms + 1000});
    assert_false(run_is_waiting(w.run));
    rig_pump(&w);
    assert_false(run_is_waiting(w.run));
    rig_store(&w);
    assert_true(run_is_waiting(w.run));
    assert_int_equal(run_deadline(w.run), w.now_ms + 1000);
    rig_sleep(&w);
    assert_false(run_is_waiting(w.run));
    assert_string_equal(rig_history(&w), "W a, S a");
    assert_ended(&w, RUN_SUCCEEDED, NULL);
    rig_close(&w);
}

/* ---- Cancel and deadline, at each moment ----------------------------------------------------- */

/* One step a line. */
/* clang-format off */
static const char busy[] = HEAD STEP("a", "") "," STEP("w", ",'when':'input.w'") ","
                           "{'id':'s','executor':'wait','with':{'duration':'1s'}},"
                           STEP("r", ",'retry':{'max_attempts':3,'initial_interval':'10ms'}") ","
                           STEP("f", ",'for_each':'${input.l}','max_parallel':2,"
                                     "'depends_on':['a']") ","
                           STEP("z", ",'run_if':'all_done','depends_on':['f','s','r','w']") "],"
                           "'output':'${steps.z.output}'}";
/* clang-format on */

static void answer_first(rig *w)
{
    outstanding *o = &w->out[0];
    run_answer a = {.truth = true, .count = 3, .due_ms = w->now_ms + 50};

    if (o->kind == RUN_EVALUATE)
        rig_answer(w, o, a);
    else
        rig_end_with(w, o, o->step == rig_number(w, "r") && o->attempt == 1 ? ORCH_E_ABORTED : 0,
                     NULL, false);
}

/* One event of the scenario, whatever is next. False if it ended. */
static bool advance(rig *w)
{
    if (w->ended)
        return false;
    if (rig_step(w))
        return !w->ended;
    if (w->stored < w->made)
        rig_store_to(w, w->stored + 1);
    else if (w->out_count)
        answer_first(w);
    else
        rig_sleep(w);
    return !w->ended;
}

static bool stop_at(int event, bool cancel)
{
    run_options options = {.deadline_ms = cancel ? 0 : 100000000};
    bool has_answered = false; /* the last evaluation: from there on the end is decided */
    rig w;

    rig_open(&w, busy, &options);
    for (int i = 0; i < event; i++) {
        has_answered = w.out_count == 1 && w.out[0].what == RUN_OUTPUT;
        advance(&w);
    }
    if (has_answered && !w.out_count) {
        rig_pump(&w);
        assert_ended(&w, RUN_SUCCEEDED, NULL);
        rig_close(&w);
        return false;
    }
    if (cancel) {
        run_cancel(w.run, "enough \"now\"", w.now_ms);
        run_cancel(w.run, "a second time", w.now_ms);
    } else {
        w.now_ms = options.deadline_ms;
        run_tick(w.run, w.now_ms);
    }
    rig_pump(&w);
    for (uint32_t i = 0; i < w.out_count; i++)
        if (w.out[i].kind == RUN_ATTEMPT)
            assert_int_equal(w.out[i].stopped,
                             cancel ? ORCH_E_CANCELLED : ORCH_E_DEADLINE_EXCEEDED);
    for (uint32_t starts = w.starts; w.out_count; rig_pump(&w)) {
        assert_false(w.ended);
        assert_int_equal(w.starts, starts);
        if (w.out[0].kind == RUN_EVALUATE)
            rig_answer(&w, &w.out[0], (run_answer){.truth = true, .count = 3, .due_ms = 1});
        else
            rig_end_with(&w, &w.out[0], w.out[0].stopped, NULL, false);
    }
    for (uint32_t i = 0; i < w.made; i++)
        assert_int_not_equal(w.history[i].kind, CHECKPOINT_FAILED);
    if (cancel)
        assert_ended(&w, RUN_CANCELLED,
                     "{\"code\":\"CANCELLED\",\"message\":\"enough \\\"now\\\"\"}");
    else
        assert_ended(&w, RUN_TIMED_OUT,
                     "{\"code\":\"DEADLINE_EXCEEDED\",\"message\":\"the execution passed its "
                     "deadline\"}");
    rig_close(&w);
    return true;
}

static void test_cancel_and_deadline_at_each_moment(void **state)
{
    int moments[2] = {0, 0};

    (void)state;
    for (int cancel = 0; cancel < 2; cancel++)
        while (stop_at(moments[cancel], cancel))
            moments[cancel]++;
    assert_true(moments[0] > 40);
    assert_int_equal(moments[0], moments[1]);
}

static void test_attempts_after_a_cancel_end_as_they_ended(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD STEP("a", "") "," STEP("b", "") "," STEP("c", ",'retry':{'max_attempts':5}") "]}",
             NULL);
    rig_pump(&w);
    run_cancel(w.run, NULL, w.now_ms);
    rig_end(&w, "a", INDEX_NONE, 0); /* before it was told to stop */
    rig_pump(&w);
    rig_end(&w, "b", INDEX_NONE, ORCH_E_CANCELLED);
    rig_end(&w, "c", INDEX_NONE, ORCH_E_UNAVAILABLE);
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "S a, C b, F c");
    assert_ended(&w, RUN_CANCELLED, "{\"code\":\"CANCELLED\",\"message\":\"cancelled\"}");
    rig_close(&w);
}

static void test_an_end_that_is_decided_stays(void **state)
{
    run_options options = {.deadline_ms = 2000000};

    (void)state;
    for (int32_t code = 0; code >= ORCH_E_CANCELLED; code--)
        for (int how = 0; how < 2; how++) {
            rig w;

            rig_open(&w, HEAD STEP("a", "") "]}", &options);
            rig_pump(&w);
            rig_end(&w, "a", INDEX_NONE, code);
            if (how)
                run_cancel(w.run, "late", w.now_ms);
            else
                run_tick(w.run, w.now_ms = options.deadline_ms);
            rig_pump(&w);
            assert_ended(&w, code ? RUN_FAILED : RUN_SUCCEEDED, NULL);
            rig_close(&w);
        }
}

static void test_cancel_before_start(void **state)
{
    rig w;
    orch_error *err = NULL;

    (void)state;
    rig_open(&w, HEAD STEP("a", "") "]}", NULL);
    run_free(w.run);
    w.run = run_new(w.definition, &w.options);
    run_cancel(w.run, "never mind", w.now_ms);
    assert_int_equal(run_start(w.run, w.now_ms, &err), 0);
    rig_pump(&w);
    assert_ended(&w, RUN_CANCELLED, "{\"code\":\"CANCELLED\",\"message\":\"never mind\"}");
    rig_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_step_starts_after_its_dependencies_are_stored),
        cmocka_unit_test(test_the_output_is_evaluated_once_all_ended),
        cmocka_unit_test(test_values_can_be_asked_for),
        cmocka_unit_test(test_run_if_over_all_pairs_of_ends),
        cmocka_unit_test(test_a_benign_skip_lets_others_go_on),
        cmocka_unit_test(test_a_long_chain_of_skips_needs_no_stack),
        cmocka_unit_test(test_a_fan_in_over_ten_thousand_starts_once),
        cmocka_unit_test(test_without_handlers_a_failure_ends_the_run_in_the_same_unit),
        cmocka_unit_test(test_after_a_failure_what_runs_finishes_and_handlers_start),
        cmocka_unit_test(test_nothing_follows_from_a_failure_that_is_not_stored),
        cmocka_unit_test(test_a_failure_that_may_be_is_as_good_as_done),
        cmocka_unit_test(test_it_is_no_excuse_for_others),
        cmocka_unit_test(test_when_is_decided_stored_then_acted_on),
        cmocka_unit_test(test_when_false_skips_and_an_error_fails),
        cmocka_unit_test(test_a_step_without_checkpoint_releases_at_once_and_runs_again),
        cmocka_unit_test(test_the_failure_of_a_step_without_checkpoint_is_stored),
        cmocka_unit_test(test_unknown_answers_are_ignored),
        cmocka_unit_test(test_a_run_that_only_waits_says_so),
        cmocka_unit_test(test_cancel_and_deadline_at_each_moment),
        cmocka_unit_test(test_attempts_after_a_cancel_end_as_they_ended),
        cmocka_unit_test(test_an_end_that_is_decided_stays),
        cmocka_unit_test(test_cancel_before_start),
    };

    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
