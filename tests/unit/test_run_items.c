/* Goal: for_each: order, bounds, ends, restarts. */
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
#define EACH(id, more) STEP(id, ",'for_each':'${input.list}'" more)

static void list(rig *w, const char *step, uint64_t count, const char *items)
{
    run_answer a = {.count = count};

    assert_int_equal(digest_of(items, strlen(items), &a.items_digest), 0);
    rig_answer(w, rig_find(w, RUN_EVALUATE, step, INDEX_NONE), a);
    rig_pump(w);
    rig_store(w);
}

static void end_item(rig *w, const char *step, uint32_t index, int32_t code)
{
    rig_end(w, step, index, code);
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

static void test_items_start_in_order_within_the_bound(void **state)
{
    rig w;
    run_value v;

    (void)state;
    rig_open(&w,
             HEAD EACH("a", ",'max_parallel':2,'when':'input.x'") "," STEP(
                 "b", ",'depends_on':['a']") "]}",
             NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.truth = true});
    rig_pump(&w);
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "?a");
    {
        run_answer a = {.count = 4};

        assert_int_equal(digest_of("x", 1, &a.items_digest), 0);
        rig_answer(&w, &w.out[0], a);
        rig_pump(&w);
    }
    assert_string_equal(rig_doing(&w), ""); /* not before it is stored */
    assert_string_equal(w.history[1].output->data,
                        "{\"count\":4,\"digest\":\"2d711642b726b04401627ca9fbac32f5"
                        "c8530fb1903cc4db02258717921a4881\"}");
    rig_store(&w);
    assert_string_equal(rig_doing(&w), "a[0],a[1]");
    rig_end_with(&w, rig_find(&w, RUN_ATTEMPT, "a", 1), 0, "\"one\"", false);
    rig_pump(&w); /* the next needs no store */
    assert_string_equal(rig_doing(&w), "a[0],a[2]");
    assert_string_equal(run_item_output(w.run, 0, 1)->data, "\"one\"");
    assert_null(run_item_output(w.run, 0, 0));
    assert_null(run_item_output(w.run, 0, 4));
    assert_true(run_get_item(w.run, 0, 1, &v));
    assert_int_equal(v.kind, CHECKPOINT_SUCCEEDED);
    assert_string_equal(v.output->data, "\"one\"");
    assert_false(run_get_item(w.run, 0, 0, &v));
    assert_false(run_get_item(w.run, 0, 4, &v));
    assert_false(run_get_item(w.run, 1, 0, &v));
    assert_int_equal(run_items_digest(w.run, 0)->b[0], 0x2d);
    assert_null(run_items_digest(w.run, 1));
    end_item(&w, "a", 2, 0);
    end_item(&w, "a", 0, 0);
    assert_false(run_get_value(w.run, 0, &v));
    end_item(&w, "a", 3, 0);
    assert_true(run_get_value(w.run, 0, &v));
    assert_int_equal(v.kind, CHECKPOINT_SUCCEEDED);
    assert_int_equal(v.items, 4);
    assert_null(v.output);
    rig_ok(&w, "b");
    assert_over(&w, RUN_SUCCEEDED, "D a, E a, S a[1], S a[2], S a[0], S a[3], S a, S b");
}

static void test_no_items_succeed_at_once(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, HEAD EACH("a", "") "]}", NULL);
    rig_pump(&w);
    list(&w, "a", 0, "");
    assert_over(&w, RUN_SUCCEEDED, "E a, S a");
}

static void test_too_many_items_or_no_list_fail(void **state)
{
    run_options options = {.max_items = 3};
    rig w;

    (void)state;
    rig_open(&w, HEAD EACH("a", "") "]}", &options);
    rig_pump(&w);
    list(&w, "a", 4, "");
    assert_string_equal(w.error->data, "{\"code\":\"RESOURCE_EXHAUSTED\",\"message\":\"for_each: 4 "
                                       "items; at most 3 are allowed\",\"step\":\"a\"}");
    assert_over(&w, RUN_FAILED, "F a");

    rig_open(&w, HEAD EACH("a", "") "]}", NULL);
    rig_pump(&w);
    rig_answer(&w, &w.out[0], (run_answer){.code = ORCH_E_INVALID_ARGUMENT});
    rig_pump(&w);
    assert_over(&w, RUN_FAILED, "F a");
}

static void test_the_first_failure_stops_new_items_and_waiting_retries(void **state)
{
    run_value v;
    rig w;

    (void)state;
    rig_open(&w,
             HEAD EACH("a", ",'max_parallel':4,'retry':{'max_attempts':2,"
                            "'initial_interval':'1s','non_retryable':['NOT_FOUND']}") "]}",
             NULL);
    rig_pump(&w);
    list(&w, "a", 6, "x");
    end_item(&w, "a", 1, ORCH_E_INTERNAL); /* waits for its retry */
    rig_end(&w, "a", 3, ORCH_E_INTERNAL);  /* its retry is not stored */
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "a[0],a[2]"); /* those that wait count as in flight */
    end_item(&w, "a", 2, ORCH_E_NOT_FOUND);
    assert_string_equal(rig_doing(&w), "a[0]");
    assert_int_equal(run_deadline(w.run), INT64_MAX);
    end_item(&w, "a", 0, ORCH_E_INTERNAL); /* no retry any more */
    assert_true(run_get_value(w.run, 0, &v));
    assert_int_equal(v.kind, CHECKPOINT_FAILED);
    assert_string_equal(v.error->data, "{\"code\":\"NOT_FOUND\",\"message\":\"item 2: as told\"}");
    assert_string_equal(w.error->data,
                        "{\"code\":\"NOT_FOUND\",\"message\":\"item 2: as told\",\"step\":\"a\"}");
    assert_over(&w, RUN_FAILED, "E a, R a[1], R a[3], F a[2], F a[0], F a");
}

/* clang-format off */
static const char lenient[] =
    HEAD EACH("a", ",'max_parallel':2,'continue_on_failure':true,"
                   "'retry':{'max_attempts':2,'initial_interval':'1s','non_retryable':['NOT_FOUND']}") ","
    STEP("b", ",'depends_on':['a']") "]}";
/* clang-format on */

static void test_items_that_may_fail_do_not_stop_the_others(void **state)
{
    (void)state;
    for (uint32_t cut = 0; cut <= 8; cut++) { /* 0: no restart */
        run_value v;
        rig w;

        rig_open(&w, lenient, NULL);
        rig_pump(&w);
        for (bool is_cut = false; !w.ended;) {
            if (!is_cut && w.made == cut && cut) {
                is_cut = true;
                rig_restart(&w, ANY);
                rig_pump(&w);
                rig_store(&w);
            } else if (!w.out_count) {
                rig_sleep(&w);
            } else if (w.out[0].kind == RUN_EVALUATE) {
                list(&w, "a", 4, "x");
            } else if (w.out[0].step == 1) {
                rig_ok(&w, "b");
            } else {
                bool fails = w.out[0].index == 0 || w.out[0].attempt + w.out[0].index == 2;

                end_item(&w, "a", w.out[0].index,
                         !fails                ? 0
                         : w.out[0].index == 0 ? ORCH_E_NOT_FOUND
                                               : ORCH_E_ABORTED);
            }
        }
        assert_true(run_get_value(w.run, 0, &v));
        assert_int_equal(v.kind, CHECKPOINT_FAILED);
        assert_int_equal(v.items, 4);
        assert_string_equal(v.error->data,
                            "{\"code\":\"NOT_FOUND\",\"message\":\"item 0: as told\"}");
        assert_null(run_item_output(w.run, 0, 0));
        assert_int_equal(run_get_counts(w.run).ended, 2);
        assert_int_equal(w.made, 8);
        assert_int_equal(w.state, RUN_SUCCEEDED);
        rig_close(&w);
    }
}

static void test_steps_with_items_take_turns(void **state)
{
    rig w;
    run_action action;
    char order[16] = "";

    (void)state;
    rig_open(&w, HEAD EACH("a", "") "," EACH("b", "") "]}", NULL);
    rig_pump(&w);
    for (int i = 0; i < 2; i++) {
        rig_answer(&w, &w.out[0], (run_answer){.count = 3});
        while (w.made < (uint32_t)i + 1)
            rig_step(&w);
    }
    rig_store_to(&w, 2);
    for (int i = 0; i < 6; i++) {
        assert_true(run_next(w.run, w.now_ms, &action));
        order[i] = action.step ? 'b' : 'a';
    }
    assert_string_equal(order, "ababab");
    rig_close(&w);
}

static void test_waits_as_items(void **state)
{
    rig w;

    (void)state;
    rig_open(&w,
             HEAD "{'id':'a','executor':'wait','with':{'duration':'1s'},"
                  "'for_each':'${input.list}','max_parallel':2}]}",
             NULL);
    rig_pump(&w);
    list(&w, "a", 3, "x");
    assert_string_equal(rig_doing(&w), "?a[0],?a[1]");
    for (uint32_t i = 0; i < 2; i++)
        rig_answer(&w, rig_find(&w, RUN_EVALUATE, "a", i),
                   (run_answer){.due_ms = w.now_ms + 20 - i});
    rig_pump(&w);
    rig_store(&w);
    rig_restart(&w, ANY);
    rig_pump(&w);
    assert_string_equal(rig_doing(&w), "?a"); /* the list once more */
    list(&w, "a", 3, "x");
    assert_string_equal(rig_doing(&w), "");
    rig_sleep(&w);
    assert_string_equal(rig_doing(&w), "?a[2]");
    rig_answer(&w, &w.out[0], (run_answer){.code = ORCH_E_INVALID_ARGUMENT});
    rig_pump(&w);
    rig_store(&w);
    rig_sleep(&w); /* what sleeps finishes */
    assert_over(&w, RUN_FAILED, "E a, W a[0], W a[1], S a[1], F a[2], S a[0], F a");
}

/* ---- Restarts -------------------------------------------------------------------------------- */

static const char three[] = HEAD EACH("a", ",'max_parallel':2,'retry':{'max_attempts':3,"
                                           "'initial_interval':'1s','jitter':0}") "]}";

static void test_after_a_restart_the_list_must_be_the_same(void **state)
{
    static const struct {
        uint64_t count;
        const char *items, *error;
    } cases[] = {
        {3, "y",
         "{\"code\":\"DATA_LOSS\",\"message\":\"for_each: the list is not what it was "
         "before the restart: 3 items, were 3, others\",\"step\":\"a\"}"},
        {4, "x",
         "{\"code\":\"DATA_LOSS\",\"message\":\"for_each: the list is not what it was "
         "before the restart: 4 items, were 3\",\"step\":\"a\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig w;

        rig_open(&w, three, NULL);
        rig_pump(&w);
        list(&w, "a", 3, "x");
        end_item(&w, "a", 1, 0);
        rig_restart(&w, ANY);
        rig_pump(&w);
        list(&w, "a", cases[i].count, cases[i].items);
        assert_string_equal(w.error->data, cases[i].error);
        assert_over(&w, RUN_FAILED, "E a, S a[1], F a");
    }
}

static void test_items_go_on_after_a_restart(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, three, NULL);
    rig_pump(&w);
    list(&w, "a", 4, "x");
    end_item(&w, "a", 0, ORCH_E_INTERNAL);
    end_item(&w, "a", 1, 0);
    assert_string_equal(rig_doing(&w), "a[2]");
    rig_restart(&w, ANY);
    rig_pump(&w);
    list(&w, "a", 4, "x");
    assert_string_equal(rig_doing(&w), "a[2]"); /* 0 waits for its retry */
    end_item(&w, "a", 2, 0);
    assert_string_equal(rig_doing(&w), "a[3]");
    rig_sleep(&w);
    assert_string_equal(rig_doing(&w), "a[3],a[0]");
    assert_int_equal(w.out[1].attempt, 2);
    end_item(&w, "a", 0, 0);
    rig_end(&w, "a", 3, 0);
    rig_pump(&w);
    assert_int_equal(w.made, 7);
    w.ended = false; /* as if the end had not arrived, and the step's own neither */
    rig_restart(&w, 5);
    rig_pump(&w);
    list(&w, "a", 4, "x");
    rig_end(&w, "a", 3, 0);
    rig_pump(&w);
    assert_over(&w, RUN_SUCCEEDED, "E a, R a[0], S a[1], S a[2], S a[0]#2, S a[3], S a");
}

static void test_what_has_no_items_left_needs_no_list(void **state)
{
    static const struct {
        int32_t code;
        enum run_state state;
        const char *history;
    } cases[] = {
        {0, RUN_SUCCEEDED, "E a, S a[0], S a[1], S a"},
        {ORCH_E_NOT_FOUND, RUN_FAILED, "E a, S a[0], F a[1], F a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig w;

        rig_open(&w, HEAD EACH("a", ",'max_parallel':2") "]}", NULL);
        rig_pump(&w);
        list(&w, "a", cases[i].code ? 9 : 2, "x");
        end_item(&w, "a", 0, 0);
        rig_end(&w, "a", 1, cases[i].code);
        while (w.made < 3)
            rig_step(&w);
        rig_store_to(&w, 3);
        rig_restart(&w, ANY);
        rig_pump(&w);
        assert_over(&w, cases[i].state, cases[i].history);
    }
}

/* ---- Size ------------------------------------------------------------------------------------ */

static void test_ten_thousand_items(void **state)
{
    enum { COUNT = 10000, PARALLEL = 16 };
    rig w;

    (void)state;
    rig_open(&w, HEAD EACH("a", ",'max_parallel':16") "]}", NULL);
    rig_pump(&w);
    list(&w, "a", COUNT, "x");
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(w.out_count == PARALLEL || w.starts == COUNT);
        assert_true(w.starts <= i + PARALLEL);
        assert_int_equal(w.out[0].index, i);
        if (i == COUNT / 2 || i == COUNT - 1) {
            rig_restart(&w, ANY);
            rig_pump(&w);
            w.starts = i;
            list(&w, "a", COUNT, "x");
        }
        rig_end_with(&w, &w.out[0], 0, NULL, false);
        rig_pump(&w);
        if (i % 100 == 99)
            rig_store_to(&w, w.made);
        if (i == COUNT / 2 - 1)
            rig_store(&w);
        if (i == COUNT - 2)
            rig_store(&w);
    }
    assert_true(w.ended);
    assert_int_equal(w.made, COUNT + 2);
    rig_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_start_in_order_within_the_bound),
        cmocka_unit_test(test_no_items_succeed_at_once),
        cmocka_unit_test(test_too_many_items_or_no_list_fail),
        cmocka_unit_test(test_the_first_failure_stops_new_items_and_waiting_retries),
        cmocka_unit_test(test_items_that_may_fail_do_not_stop_the_others),
        cmocka_unit_test(test_steps_with_items_take_turns),
        cmocka_unit_test(test_waits_as_items),
        cmocka_unit_test(test_after_a_restart_the_list_must_be_the_same),
        cmocka_unit_test(test_items_go_on_after_a_restart),
        cmocka_unit_test(test_what_has_no_items_left_needs_no_list),
        cmocka_unit_test(test_ten_thousand_items),
    };

    return cmocka_run_group_tests_name("run: for_each", tests, NULL, NULL);
}
