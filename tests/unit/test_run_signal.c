/* Goal: signals find their waits: early or late, by name and correlation, once, also over restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "support/run_rig.h"

#define HEAD           "{'id':'w','version':'1.0.0','steps':["
#define WAIT(id, more) "{'id':'" id "','executor':'wait','with':{'duration':'1s'}" more "}"

static bytes *text(const char *s)
{
    return bytes_new(s, strlen(s));
}

/* The answer to a wait's evaluation, stored: it sleeps, unless its signal is there. */
static void wait_for(rig *w, const char *step, uint32_t index, const char *wanted, int64_t due_ms)
{
    rig_answer(w, rig_find(w, RUN_EVALUATE, step, index),
               (run_answer){.value = text(wanted), .due_ms = due_ms});
    rig_pump(w);
    rig_store(w);
}

static const char *output_of(rig *w, const char *step)
{
    run_value v;

    if (!run_get_value(w->run, rig_number(w, step), &v))
        return "not ended";
    if (v.kind != CHECKPOINT_SUCCEEDED)
        return "failed";
    return v.output ? v.output->data : "null";
}

static void assert_over(rig *w, enum run_state state, const char *history)
{
    assert_string_equal(rig_history(w), history);
    assert_true(w->ended);
    assert_int_equal(w->state, state);
    rig_close(w);
}

/* ---- One wait, one signal -------------------------------------------------------------------- */

static void test_a_wait_ends_with_its_signal(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD WAIT("a", "") "]}", NULL);
    rig_pump(&w);
    wait_for(&w, "a", INDEX_NONE, "{\"signal\":\"go\"}", 0);
    assert_string_equal(w.history[0].output->data, "{\"signal\":\"go\"}");
    assert_int_equal(w.history[0].due_ms, 0);
    assert_true(run_is_waiting(w.run));
    assert_int_equal(run_deadline(w.run), INT64_MAX);
    w.now_ms += 70;
    rig_signal(&w, "stop", NULL, "1");
    assert_true(run_is_waiting(w.run));
    rig_signal(&w, "go", NULL, "{\"by\":\"me\"}");
    assert_false(run_is_waiting(w.run));
    rig_pump(&w);
    assert_int_equal(w.history[1].inbox, 2);
    assert_int_equal(w.history[1].started_ms, w.now_ms - 70);
    assert_string_equal(output_of(&w, "a"), "{\"by\":\"me\"}");
    assert_over(&w, RUN_SUCCEEDED, "W a, S a");
}

static void test_a_signal_may_come_before_anybody_waits(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD WAIT("a", "") "," WAIT("b", ",'depends_on':['a']") "]}", NULL);
    rig_signal(&w, "go", NULL, "1");
    rig_signal(&w, "go", NULL, NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.value = text("{\"signal\":\"go\"}")});
    rig_pump(&w);
    assert_string_equal(rig_history(&w), "W a"); /* nothing acts before that is stored */
    rig_store(&w);
    assert_string_equal(output_of(&w, "a"), "1"); /* the oldest */
    wait_for(&w, "b", INDEX_NONE, "{\"signal\":\"go\"}", 0);
    assert_string_equal(output_of(&w, "b"), "null");
    assert_over(&w, RUN_SUCCEEDED, "W a, S a, W b, S b");
}

static void test_a_wait_may_time_out(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD WAIT("a", "") "]}", NULL);
    rig_pump(&w);
    wait_for(&w, "a", INDEX_NONE, "{\"signal\":\"go\",\"correlation\":7}", w.now_ms + 500);
    rig_restart(&w, ANY); /* decided once */
    rig_pump(&w);
    assert_int_equal(run_deadline(w.run), w.now_ms + 500);
    rig_signal(&w, "go", "8", "1");
    rig_sleep(&w);
    assert_string_equal(
        w.error->data, "{\"code\":\"DEADLINE_EXCEEDED\",\"message\":\"the signal 'go' did not come "
                       "in time\",\"step\":\"a\"}");
    assert_int_equal(w.history[1].inbox, 0);
    assert_over(&w, RUN_FAILED, "W a, F a");
}

static void test_a_signal_that_is_there_is_in_time(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD WAIT("a", "") "]}", NULL);
    rig_pump(&w);
    rig_signal(&w, "go", NULL, "1");
    wait_for(&w, "a", INDEX_NONE, "{\"signal\":\"go\"}", -5);
    assert_int_equal(w.history[0].due_ms, 1);
    assert_over(&w, RUN_SUCCEEDED, "W a, S a");
}

static void test_what_a_wait_says_must_be_readable(void **state)
{
    static const char *const wrong[] = {
        "", "7", "[]", "{}", "{\"signal\":7}", "{\"signal\":\"a\"", "{\"correlation\":\"a\"}"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rig w;

        rig_open(&w, HEAD WAIT("a", "") "]}", NULL);
        rig_pump(&w);
        wait_for(&w, "a", INDEX_NONE, wrong[i], 0);
        assert_string_equal(w.error->data, "{\"code\":\"INTERNAL\",\"message\":\"what it waits for "
                                           "cannot be read\",\"step\":\"a\"}");
        assert_over(&w, RUN_FAILED, "F a");
    }
}

/* ---- Which is for whom ----------------------------------------------------------------------- */

static void test_names_and_correlations(void **state)
{
    static const struct {
        const char *wanted, *name, *correlation;
        bool fits;
    } cases[] = {
        {"{\"signal\":\"go\"}", "go", NULL, true},
        {"{\"signal\":\"go\"}", "go", "\"x\"", true},
        {"{\"signal\":\"go\"}", "Go", NULL, false},
        {"{\"signal\":\"go\"}", "gone", NULL, false},
        {"{\"signal\":\"go\"}", "g", "o", false},
        {"{\"signal\":\"go\",\"correlation\":\"x\"}", "go", NULL, false},
        {"{\"signal\":\"go\",\"correlation\":\"x\"}", "go", "\"x\"", true},
        {"{\"signal\":\"go\",\"correlation\":\"x\"}", "go", " \"\\u0078\" ", true},
        {"{\"signal\":\"go\",\"correlation\":\"x\"}", "go", "\"X\"", false},
        {"{\"signal\":\"go\",\"correlation\":\"x\"}", "stop", "\"x\"", false},
        {"{\"signal\":\"go\",\"correlation\":\"x\"}", "go", "x", false},
        {"{\"signal\":\"go\",\"correlation\":1}", "go", "1", true},
        {"{\"signal\":\"go\",\"correlation\":1}", "go", "\"1\"", false},
        {"{\"signal\":\"go\",\"correlation\":12345678901234567}", "go", "12345678901234568", false},
        {"{\"signal\":\"go\",\"correlation\":true}", "go", "true", true},
        {"{\"signal\":\"go\",\"correlation\":null}", "go", "null", true},
        {"{\"signal\":\"go\",\"correlation\":null}", "go", NULL, false},
        {"{\"signal\":\"go\",\"correlation\":0.1}", "go", "1e-1", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int early = 0; early < 2; early++) {
            rig w;

            rig_open(&w, HEAD WAIT("a", "") "]}", NULL);
            rig_pump(&w);
            if (early)
                rig_signal(&w, cases[i].name, cases[i].correlation, "1");
            wait_for(&w, "a", INDEX_NONE, cases[i].wanted, 0);
            if (!early)
                rig_signal(&w, cases[i].name, cases[i].correlation, "1");
            rig_pump(&w);
            if (w.ended != cases[i].fits)
                fail_msg("case %zu, early %d: %s", i, early, rig_history(&w));
            rig_close(&w);
        }
}

static void test_who_gives_the_correlation_comes_before_who_does_not(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD WAIT("a", "") "," WAIT("b", "") "," WAIT("c", "") "]}", NULL);
    rig_pump(&w);
    wait_for(&w, "a", INDEX_NONE, "{\"signal\":\"go\"}", 0);
    wait_for(&w, "b", INDEX_NONE, "{\"signal\":\"go\",\"correlation\":1}", 0);
    wait_for(&w, "c", INDEX_NONE, "{\"signal\":\"go\",\"correlation\":1}", 0);
    rig_signal(&w, "go", "1", "\"first\"");
    rig_signal(&w, "go", "1", "\"second\"");
    rig_signal(&w, "go", "1", "\"third\"");
    rig_pump(&w);
    assert_string_equal(output_of(&w, "b"), "\"first\"");
    assert_string_equal(output_of(&w, "c"), "\"second\"");
    assert_string_equal(output_of(&w, "a"), "\"third\"");
    assert_over(&w, RUN_SUCCEEDED, "W a, W b, W c, S b, S c, S a");
}

/* In the order in which it was stored that they wait, not in that of the steps. */
static void test_who_waits_first_has_the_first_also_after_a_restart(void **state)
{
    (void)state;
    for (int restart = 0; restart < 3; restart++) {
        rig w;

        rig_open(&w, HEAD WAIT("a", "") "," WAIT("b", "") "]}", NULL);
        rig_pump(&w);
        wait_for(&w, "b", INDEX_NONE, "{\"signal\":\"go\"}", 0);
        wait_for(&w, "a", INDEX_NONE, "{\"signal\":\"go\"}", 0);
        if (restart == 1)
            rig_restart(&w, ANY);
        rig_signal(&w, "go", NULL, "1");
        rig_signal(&w, "go", NULL, "2");
        if (restart ==
            2) /* what was consumed is not stored: it is told again, and goes the same way */
            rig_restart(&w, ANY);
        rig_pump(&w);
        assert_string_equal(output_of(&w, "b"), "1");
        assert_string_equal(output_of(&w, "a"), "2");
        rig_close(&w);
    }
}

static void test_a_signal_told_twice_counts_once(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD WAIT("a", "") "," WAIT("b", "") "]}", NULL);
    rig_pump(&w);
    wait_for(&w, "a", INDEX_NONE, "{\"signal\":\"go\"}", 0);
    wait_for(&w, "b", INDEX_NONE, "{\"signal\":\"go\"}", 0);
    rig_signal(&w, "other", NULL, "1");
    rig_signal(&w, "go", NULL, "2");
    run_signal(w.run, 2, "go", NULL, text("2"), w.now_ms);
    run_signal(w.run, 1, "go", NULL, text("1"), w.now_ms);
    rig_pump(&w);
    rig_store(&w);
    assert_string_equal(rig_history(&w), "W a, W b, S a");
    rig_restart(&w, ANY);
    run_signal(w.run, 2, "go", NULL, text("2"), w.now_ms); /* read before that was stored */
    rig_pump(&w);
    assert_string_equal(output_of(&w, "b"), "not ended");
    rig_signal(&w, "go", NULL, "3");
    rig_pump(&w);
    assert_string_equal(output_of(&w, "b"), "3");
    rig_close(&w);
}

/* ---- Restarts -------------------------------------------------------------------------------- */

static void test_a_wait_begun_goes_on_at_each_cut(void **state)
{
    (void)state;
    for (uint32_t cut = 0; cut <= 4; cut++) {
        rig w;

        rig_open(&w, HEAD WAIT("a", "") "," WAIT("b", ",'depends_on':['a']") "]}", NULL);
        rig_pump(&w);
        wait_for(&w, "a", INDEX_NONE, "{\"signal\":\"go\"}", 0);
        rig_signal(&w, "go", NULL, "1");
        rig_pump(&w);
        rig_store(&w);
        rig_signal(&w, "go", NULL, "2");
        wait_for(&w, "b", INDEX_NONE, "{\"signal\":\"go\"}", 0);
        assert_int_equal(w.made, 4);
        w.ended = false;
        rig_restart(&w, cut);
        rig_pump(&w);
        rig_store(&w);
        while (w.out_count)
            wait_for(&w, w.out[0].step ? "b" : "a", INDEX_NONE, "{\"signal\":\"go\"}", 0);
        assert_string_equal(output_of(&w, "a"), "1");
        assert_string_equal(output_of(&w, "b"), "2");
        assert_over(&w, RUN_SUCCEEDED, "W a, S a, W b, S b");
    }
}

static void test_a_cancelled_run_takes_no_signal(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD WAIT("a", "") ",{'id':'t','executor':'noop'}]}", NULL);
    rig_pump(&w);
    wait_for(&w, "a", INDEX_NONE, "{\"signal\":\"go\"}", 0);
    run_cancel(w.run, "enough", w.now_ms);
    rig_pump(&w);
    rig_signal(&w, "go", NULL, "1");
    rig_end(&w, "t", INDEX_NONE, ORCH_E_CANCELLED);
    rig_pump(&w);
    assert_over(&w, RUN_CANCELLED, "W a, C t");
}

/* ---- Size ------------------------------------------------------------------------------------ */

static void test_ten_thousand_waits_and_signals(void **state)
{
    enum { COUNT = 10000 };
    run_answer list = {.count = COUNT};
    char number[16], wanted[64];
    rig w;

    (void)state;
    rig_open(&w, HEAD WAIT("a", ",'for_each':'${input.l}'") "]}", NULL);
    rig_pump(&w);
    assert_int_equal(digest_of("x", 1, &list.items_digest), 0);
    rig_answer(&w, &w.out[0], list);
    rig_pump(&w);
    rig_store(&w);
    for (uint32_t i = 0; i < COUNT; i += 2) {
        snprintf(number, sizeof number, "%u", i);
        rig_signal(&w, "go", number, number);
    }
    for (uint32_t i = COUNT; i-- > 0;) {
        snprintf(wanted, sizeof wanted, "{\"signal\":\"go\",\"correlation\":%u}", i);
        rig_answer(&w, &w.out[i], (run_answer){.value = text(wanted)});
    }
    rig_pump(&w);
    rig_store(&w);
    assert_true(run_is_waiting(w.run));
    for (uint32_t i = COUNT - 1; i < COUNT; i -= 2) {
        snprintf(number, sizeof number, "%u", i);
        rig_signal(&w, "go", number, number);
    }
    rig_pump(&w);
    assert_true(w.ended);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(number, sizeof number, "%u", i);
        assert_string_equal(run_item_output(w.run, 0, i)->data, number);
    }
    rig_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wait_ends_with_its_signal),
        cmocka_unit_test(test_a_signal_may_come_before_anybody_waits),
        cmocka_unit_test(test_a_wait_may_time_out),
        cmocka_unit_test(test_a_signal_that_is_there_is_in_time),
        cmocka_unit_test(test_what_a_wait_says_must_be_readable),
        cmocka_unit_test(test_names_and_correlations),
        cmocka_unit_test(test_who_gives_the_correlation_comes_before_who_does_not),
        cmocka_unit_test(test_who_waits_first_has_the_first_also_after_a_restart),
        cmocka_unit_test(test_a_signal_told_twice_counts_once),
        cmocka_unit_test(test_a_wait_begun_goes_on_at_each_cut),
        cmocka_unit_test(test_a_cancelled_run_takes_no_signal),
        cmocka_unit_test(test_ten_thousand_waits_and_signals),
    };

    return cmocka_run_group_tests_name("run: signals", tests, NULL, NULL);
}
