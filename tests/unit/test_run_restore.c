/* Goal: a run goes on from a history cut at any point, and believes none that it could not have
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/run_rig.h"

#define NONE  INDEX_NONE
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { TASK, GATED, EACH, WAIT, RETRIED, PURE }; /* the steps, in this order */

static const char json[] =
    "{'id':'w','version':'1.0.0','steps':["
    "{'id':'task','executor':'noop'},"
    "{'id':'gated','executor':'noop','when':'input.x'},"
    "{'id':'each','executor':'noop','for_each':'${input.l}',"
    "'retry':{'max_attempts':3,'initial_interval':'1s'}},"
    "{'id':'wait','executor':'wait','with':{'duration':'1s'}},"
    "{'id':'retried','executor':'noop','retry':{'max_attempts':3,'initial_interval':'1s'}},"
    "{'id':'pure','executor':'noop','checkpoint':false}]}";

typedef struct line {
    uint8_t kind;
    uint32_t step, index, attempt;
    int64_t due_ms;
    const char *output;
} line;

#define TWO "{\"count\":2,\"digest\":\"" HEX64 "\"}"
#define EXPANDED(text)                              \
    {                                               \
        CHECKPOINT_EXPANDED, EACH, NONE, 0, 0, text \
    }
#define END(kind, step, index)                     \
    {                                              \
        CHECKPOINT_##kind, step, index, 1, 0, NULL \
    }
#define RETRY(step, index, attempt)                        \
    {                                                      \
        CHECKPOINT_RETRYING, step, index, attempt, 5, NULL \
    }

static int32_t restore(run *r, uint64_t seq, const line *l, orch_error **err)
{
    checkpoint c = {.seq = seq,
                    .step = l->step,
                    .index = l->index,
                    .attempt = l->attempt,
                    .kind = l->kind,
                    .due_ms = l->due_ms};
    int32_t code;

    if (l->output)
        c.output = bytes_new(l->output, strlen(l->output));
    code = run_restore(r, &c, err);
    checkpoint_clear(&c);
    return code;
}

static void test_contradictions(void **state)
{
    /* The first line with kind 0 ends a history; the last one before it is wrong. */
    static const struct {
        line lines[5];
        const char *message;
    } cases[] = {
        {{END(SUCCEEDED, 6, NONE)}, "there are 6"},
        {{END(SUCCEEDED, NONE, NONE)}, "there are 6"},
        {{{9, TASK, NONE, 1, 0, NULL}}, "no such kind"},
        {{{255, TASK, NONE, 1, 0, NULL}}, "no such kind"},
        {{END(SUCCEEDED, TASK, 0)}, "no such item"},
        {{END(SUCCEEDED, EACH, 0)}, "no such item"},
        {{EXPANDED(TWO), END(SUCCEEDED, EACH, 2)}, "no such item"},
        {{EXPANDED(TWO), END(SUCCEEDED, EACH, NONE - 1)}, "no such item"},
        {{END(SUCCEEDED, TASK, NONE), END(SUCCEEDED, TASK, NONE)}, "ended already"},
        {{END(FAILED, EACH, NONE), EXPANDED(TWO)}, "ended already"},
        {{EXPANDED(TWO), END(SUCCEEDED, EACH, 1), END(FAILED, EACH, 1)}, "item has ended already"},
        {{EXPANDED(TWO), END(SUCCEEDED, EACH, 0), END(SUCCEEDED, EACH, 1),
          END(SUCCEEDED, EACH, NONE), RETRY(EACH, 0, 1)},
         "step has ended already"},
        {{END(SUCCEEDED, EACH, NONE)}, "ended before its items"},
        {{EXPANDED(TWO), END(SUCCEEDED, EACH, 0), END(SUCCEEDED, EACH, NONE)},
         "ended before its items"},
        {{EXPANDED(TWO), END(SUCCEEDED, EACH, 0), END(FAILED, EACH, 1), END(SUCCEEDED, EACH, NONE)},
         "ended before its items"},
        {{END(CANCELLED, EACH, NONE)}, "ended before its items"},
        {{{CHECKPOINT_DECIDED, TASK, NONE, 0, 0, NULL}}, "a second `when`, or one"},
        {{{CHECKPOINT_DECIDED, GATED, NONE, 0, 0, NULL},
          {CHECKPOINT_DECIDED, GATED, NONE, 0, 0, NULL}},
         "a second `when`"},
        {{END(SUCCEEDED, GATED, NONE)}, "before `when` was decided"},
        {{END(SKIPPED, TASK, NONE)}, "no `when` that could be false"},
        {{{CHECKPOINT_DECIDED, GATED, NONE, 0, 0, NULL}, END(SKIPPED, GATED, NONE)},
         "no `when` that could be false"},
        {{EXPANDED(TWO), EXPANDED(TWO)}, "where none is due"},
        {{{CHECKPOINT_EXPANDED, TASK, NONE, 0, 0, TWO}}, "where none is due"},
        {{EXPANDED(NULL)}, "cannot be read"},
        {{EXPANDED("")}, "cannot be read"},
        {{EXPANDED("[]")}, "cannot be read"},
        {{EXPANDED("{\"count\":2}")}, "cannot be read"},
        {{EXPANDED("{\"count\":2,\"digest\":7}")}, "cannot be read"},
        {{EXPANDED("{\"count\":2,\"digest\":\"abc\"}")}, "cannot be read"},
        {{EXPANDED("{\"count\":2,\"digest\":\"G" HEX64 "\"}")}, "cannot be read"},
        {{EXPANDED("{\"count\":-1,\"digest\":\"" HEX64 "\"}")}, "cannot be read"},
        {{EXPANDED("{\"count\":2.5,\"digest\":\"" HEX64 "\"}")}, "cannot be read"},
        {{EXPANDED("{\"count\":1000001,\"digest\":\"" HEX64 "\"}")}, "cannot be read"},
        {{EXPANDED("{\"count\":4294967298,\"digest\":\"" HEX64 "\"}")}, "cannot be read"},
        {{{CHECKPOINT_WAITING, TASK, NONE, 0, 5, NULL}}, "a wait where none is due"},
        {{{CHECKPOINT_WAITING, WAIT, NONE, 0, 5, NULL},
          {CHECKPOINT_WAITING, WAIT, NONE, 0, 5, NULL}},
         "a wait where none is due"},
        {{{CHECKPOINT_WAITING, WAIT, NONE, 0, 0, NULL}}, "no due time"},
        {{{CHECKPOINT_WAITING, WAIT, NONE, 0, -5, NULL}}, "no due time"},
        {{{CHECKPOINT_WAITING, WAIT, NONE, 0, -5, "{\"signal\":\"go\"}"}}, "no due time"},
        {{{CHECKPOINT_WAITING, WAIT, NONE, 0, 5, "{\"signal\":7}"}}, "cannot be read"},
        {{{CHECKPOINT_WAITING, WAIT, NONE, 0, 0, "[]"}}, "cannot be read"},
        {{{CHECKPOINT_WAITING, WAIT, NONE, 0, 0, "{\"signal\":\"go\"}"},
          {CHECKPOINT_WAITING, WAIT, NONE, 0, 5, NULL}},
         "a wait where none is due"},
        {{RETRY(WAIT, NONE, 1)}, "a retry where none is due"},
        {{RETRY(EACH, NONE, 1)}, "a retry where none is due"},
        {{RETRY(TASK, NONE, 1)}, "attempt is out of order"},
        {{RETRY(RETRIED, NONE, 0)}, "attempt is out of order"},
        {{RETRY(RETRIED, NONE, 3)}, "attempt is out of order"},
        {{RETRY(RETRIED, NONE, NONE)}, "attempt is out of order"},
        {{RETRY(RETRIED, NONE, 2), RETRY(RETRIED, NONE, 2)}, "attempt is out of order"},
        {{RETRY(RETRIED, NONE, 1), END(SUCCEEDED, RETRIED, NONE)}, "attempt is out of order"},
        {{EXPANDED(TWO), RETRY(EACH, 1, 2), RETRY(EACH, 1, 1)}, "attempt is out of order"},
        {{END(SUCCEEDED, PURE, NONE)}, "makes no checkpoints"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t last = 0;
        orch_error *err = NULL;
        rig w;
        run *r;

        rig_open(&w, json, NULL);
        r = run_new(w.definition, &w.options);
        while (last < 4 && cases[i].lines[last + 1].kind)
            last++;
        for (size_t n = 0; n < last; n++)
            if (restore(r, n + 1, &cases[i].lines[n], &err))
                fail_msg("case %zu, line %zu: %s", i, n, orch_error_message(err));
        if (restore(r, last + 1, &cases[i].lines[last], &err) != ORCH_E_DATA_LOSS)
            fail_msg("case %zu (%s) was believed", i, cases[i].message);
        if (!strstr(orch_error_message(err), cases[i].message))
            fail_msg("case %zu: '%s', not '%s'", i, orch_error_message(err), cases[i].message);
        orch_error_free(err);
        run_free(r);
        rig_close(&w);
    }
}

static void test_the_order_has_no_gaps(void **state)
{
    static const line task = END(SUCCEEDED, TASK, NONE), retried = END(SUCCEEDED, RETRIED, NONE);
    static const uint64_t wrong[] = {0, 1, 3, UINT64_MAX};
    orch_error *err = NULL;
    rig w;
    run *r;

    (void)state;
    rig_open(&w, json, NULL);
    assert_int_equal(restore(w.run, 1, &task, &err), ORCH_E_FAILED_PRECONDITION);
    r = run_new(w.definition, &w.options);
    assert_int_equal(restore(r, 1, &task, &err), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(restore(r, wrong[i], &retried, &err), ORCH_E_DATA_LOSS);
    assert_int_equal(restore(r, 2, &retried, &err), 0);
    assert_int_equal(run_last_seq(r), 2);
    orch_error_free(err);
    run_free(r);
    rig_close(&w);
}

/* ---- Cut anywhere ---------------------------------------------------------------------------- */

static void answer_first(rig *w)
{
    outstanding *o = &w->out[0];

    if (o->kind == RUN_EVALUATE)
        rig_answer(w, o, (run_answer){.truth = true, .count = 3, .due_ms = w->now_ms + 50});
    else
        rig_end_with(w, o,
                     o->attempt == 1 && o->step >= EACH && o->step != PURE ? ORCH_E_ABORTED : 0,
                     NULL, false);
}

static void finish(rig *w)
{
    while (!w->ended) {
        rig_pump(w);
        rig_store(w);
        if (w->out_count)
            answer_first(w);
        else if (!w->ended)
            rig_sleep(w);
    }
}

static void test_a_history_cut_anywhere(void **state)
{
    uint32_t total;
    rig w;

    (void)state;
    rig_open(&w, json, NULL);
    finish(&w);
    total = w.made;
    rig_close(&w);
    assert_true(total > 10);
    for (uint32_t cut = 0; cut <= total; cut++) {
        run_counts n;

        rig_open(&w, json, NULL);
        while (!w.ended && w.made < cut) {
            if (rig_step(&w))
                continue;
            rig_store_to(&w, w.made);
            if (rig_step(&w))
                continue;
            if (w.out_count)
                answer_first(&w);
            else
                rig_sleep(&w);
        }
        rig_store_to(&w, w.made);
        w.ended = false;
        rig_restart(&w, cut);
        finish(&w);
        n = run_get_counts(w.run);
        assert_int_equal(w.state, RUN_SUCCEEDED);
        assert_int_equal(w.made, total);
        assert_int_equal(n.ended, n.steps);
        assert_int_equal(n.running, 0);
        rig_close(&w);
    }
}

static void test_a_cancelled_history_without_its_end(void **state)
{
    static const char *const steps[] = {
        "{'id':'w','version':'1.0.0','steps':[{'id':'a','executor':'noop'}]}",
        "{'id':'w','version':'1.0.0','steps':[{'id':'a','executor':'noop'},"
        "{'id':'b','executor':'noop','depends_on':['a']}]}",
    };
    run_options options = {.deadline_ms = 2000000};

    (void)state;
    for (int i = 0; i < 6; i++) {
        rig w;

        rig_open(&w, steps[i % 2], &options);
        rig_pump(&w);
        run_cancel(w.run, "enough", w.now_ms);
        rig_end(&w, "a", NONE, ORCH_E_CANCELLED);
        assert_true(rig_step(&w));
        rig_store_to(&w, 1);
        if (i / 2 == 1)
            w.now_ms = options.deadline_ms;
        rig_restart(&w, ANY);
        if (i / 2 == 2) /* the inbox brings it once more */
            run_cancel(w.run, "enough", w.now_ms);
        rig_pump(&w);
        assert_true(w.ended);
        assert_int_equal(w.state, i / 2 == 1 ? RUN_TIMED_OUT : RUN_CANCELLED);
        rig_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_the_order_has_no_gaps),
        cmocka_unit_test(test_a_history_cut_anywhere),
        cmocka_unit_test(test_a_cancelled_history_without_its_end),
    };

    return cmocka_run_group_tests_name("run: restore", tests, NULL, NULL);
}
