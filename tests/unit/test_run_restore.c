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

enum {
    TASK,
    GATED,
    EACH,
    WAIT,
    RETRIED,
    PURE,
    CHILD,
    CHILDREN,
    WAITS
}; /* the steps, in this order */

static const char json[] =
    "{'id':'w','version':'1.0.0','steps':["
    "{'id':'task','executor':'noop'},"
    "{'id':'gated','executor':'noop','when':'input.x'},"
    "{'id':'each','executor':'noop','for_each':'${input.l}',"
    "'retry':{'max_attempts':3,'initial_interval':'1s'}},"
    "{'id':'wait','executor':'wait','with':{'duration':'1s'}},"
    "{'id':'retried','executor':'noop','retry':{'max_attempts':3,'initial_interval':'1s'}},"
    "{'id':'pure','executor':'noop','checkpoint':false},"
    "{'id':'child','executor':'workflow','with':{'workflow':'x'},'timeout':'1s',"
    "'retry':{'max_attempts':3}},"
    "{'id':'children','executor':'workflow','with':{'workflow':'x'},'for_each':'${input.l}',"
    "'retry':{'max_attempts':3}},"
    "{'id':'waits','executor':'wait','with':{'duration':'1s'},'for_each':'${input.l}'}]}";

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
#define EXPANDED_OF(step)                          \
    {                                              \
        CHECKPOINT_EXPANDED, step, NONE, 0, 0, TWO \
    }
#define END(kind, step, index)                     \
    {                                              \
        CHECKPOINT_##kind, step, index, 1, 0, NULL \
    }
#define SPEC "{\"workflow\":\"x\"}"
#define START(step, index, attempt, due)                  \
    {                                                     \
        CHECKPOINT_CHILD, step, index, attempt, due, SPEC \
    }
#define RETRY(step, index, attempt)                        \
    {                                                      \
        CHECKPOINT_RETRYING, step, index, attempt, 5, NULL \
    }

#define WHY "{\"code\":\"ABORTED\",\"message\":\"m\"}"

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
    if (l->kind == CHECKPOINT_CLOSING)
        c.error = bytes_new(WHY, strlen(WHY));
    code = run_restore(r, &c, err);
    checkpoint_clear(&c);
    return code;
}

/* The first line with kind 0 ends a history; the last one before it is wrong. */
typedef struct contradiction {
    line lines[7];
    const char *message;
} contradiction;

static void check_contradictions(const char *definition, const contradiction *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t last = 0;
        orch_error *err = NULL;
        rig w;
        run *r;

        rig_open(&w, definition, NULL);
        r = run_new(w.definition, &w.options);
        while (last < 6 && cases[i].lines[last + 1].kind)
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

static void test_contradictions(void **state)
{
    static const contradiction cases[] = {
        {{END(SUCCEEDED, 9, NONE)}, "there are 9"},
        {{END(SUCCEEDED, NONE, NONE)}, "there are 9"},
        {{{18, TASK, NONE, 1, 0, NULL}}, "no such kind"},
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
        {{RETRY(RETRIED, NONE, 1),
          RETRY(RETRIED, NONE, 2),
          {CHECKPOINT_FAILED, RETRIED, NONE, 1, 0, NULL}},
         "attempt is out of order"},
        /* Heartbeats. */
        {{{CHECKPOINT_HEARTBEAT, TASK, NONE, 1, 0, NULL}}, "a heartbeat where none is due"},
        {{{CHECKPOINT_HEARTBEAT, TASK, NONE, 1, 5, "1"}}, "a heartbeat where none is due"},
        {{{CHECKPOINT_HEARTBEAT, WAIT, NONE, 1, 0, "1"}}, "a heartbeat where none is due"},
        {{{CHECKPOINT_HEARTBEAT, EACH, NONE, 1, 0, "1"}}, "a heartbeat where none is due"},
        {{{CHECKPOINT_HEARTBEAT, GATED, NONE, 1, 0, "1"}}, "a heartbeat where none is due"},
        {{{CHECKPOINT_HEARTBEAT, CHILD, NONE, 1, 0, "1"}}, "a heartbeat where none is due"},
        {{{CHECKPOINT_HEARTBEAT, TASK, NONE, 2, 0, "1"}}, "attempt is out of order"},
        {{RETRY(RETRIED, NONE, 1), {CHECKPOINT_HEARTBEAT, RETRIED, NONE, 1, 0, "1"}},
         "attempt is out of order"},
        {{START(CHILD, NONE, 1, 5), {CHECKPOINT_RETRYING, CHILD, NONE, 1, 5, "1"}},
         "which only tasks have"},
        /* Children. */
        {{START(TASK, NONE, 1, 5)}, "a child where none is due"},
        {{START(CHILDREN, NONE, 1, 0)}, "a child where none is due"},
        {{START(CHILD, NONE, 1, 5), START(CHILD, NONE, 1, 5)}, "a child where none is due"},
        {{START(CHILD, NONE, 2, 5)}, "attempt is out of order"},
        {{START(CHILD, NONE, 1, 5), RETRY(CHILD, NONE, 1), START(CHILD, NONE, 1, 5)},
         "attempt is out of order"},
        {{START(CHILD, NONE, 1, 0)}, "not that of the step's timeout"},
        {{EXPANDED_OF(CHILDREN), START(CHILDREN, 0, 1, 5)}, "not that of the step's timeout"},
        {{{CHECKPOINT_CHILD, CHILD, NONE, 1, 5, NULL}}, "does not say what child"},
        {{{CHECKPOINT_CHILD, CHILD, NONE, 1, 5, "{}"}}, "cannot be read"},
        {{RETRY(CHILD, NONE, 1)}, "a retry of a child that was not started"},
        {{START(CHILD, NONE, 1, 5), RETRY(CHILD, NONE, 2)},
         "a retry of a child that was not started"},
        {{EXPANDED_OF(CHILDREN), START(CHILDREN, 0, 1, 0), END(SUCCEEDED, CHILDREN, 1),
          END(FAILED, CHILDREN, NONE)},
         "ended before its items"},
        {{EXPANDED_OF(WAITS), {CHECKPOINT_WAITING, WAITS, 0, 0, 5, NULL}, END(FAILED, WAITS, NONE)},
         "ended before its items"},
    };

    (void)state;
    check_contradictions(json, cases, sizeof cases / sizeof *cases);
}

/* ---- What follows the steps ------------------------------------------------------------------ */

enum { UNDO, ANY_WAY, ITEMS }; /* the steps, in this order */

static const char undo_json[] =
    "{'id':'w','version':'1.0.0','steps':["
    "{'id':'undo','executor':'noop','compensate':{'executor':'noop','retry':{'max_attempts':2}}},"
    "{'id':'any_way','executor':'noop','retry':{'max_attempts':2},"
    "'compensate':{'executor':'noop','when_failed':true}},"
    "{'id':'items','executor':'noop','for_each':'${input.l}','compensate':{'executor':'noop'}}],"
    "'on_failure':{'executor':'noop'}}";

#define CLOSING(state)                                      \
    {                                                       \
        CHECKPOINT_CLOSING, STEP_NONE, NONE, state, 0, NULL \
    }
#define UNDO_OF(kind, step, index, attempt, due)           \
    {                                                      \
        CHECKPOINT_##kind, step, index, attempt, due, NULL \
    }
#define AFTER(kind, attempt, due) UNDO_OF(kind, STEP_NONE, NONE, attempt, due)

static void test_contradictions_after_the_steps(void **state)
{
    static const contradiction cases[] = {
        {{CLOSING(RUN_SUCCEEDED)}, "nothing follows a run that ends so"},
        {{CLOSING(RUN_RUNNING)}, "nothing follows a run that ends so"},
        {{CLOSING(7)}, "nothing follows a run that ends so"},
        {{CLOSING(RUN_CANCELLED)}, "nothing to compensate"},
        {{UNDO_OF(CLOSING, UNDO, NONE, RUN_FAILED, 0)}, "not to be decided here"},
        {{UNDO_OF(CLOSING, STEP_NONE, 0, RUN_FAILED, 0)}, "not to be decided here"},
        {{CLOSING(RUN_FAILED), CLOSING(RUN_FAILED)}, "not to be decided here"},
        {{CLOSING(RUN_FAILED), END(SUCCEEDED, UNDO, NONE)}, "was ending already"},
        {{END(SUCCEEDED, UNDO, NONE), UNDO_OF(UNDONE, UNDO, NONE, 1, 0)}, "not decided"},
        {{AFTER(HANDLED, 1, 0)}, "not decided"},
        {{CLOSING(RUN_FAILED), UNDO_OF(UNDONE, UNDO, NONE, 1, 0)}, "nothing that is to be done"},
        {{END(SUCCEEDED, UNDO, NONE), CLOSING(RUN_FAILED), AFTER(HANDLED, 1, 0)},
         "nothing that is to be done"},
        {{END(SUCCEEDED, UNDO, NONE), CLOSING(RUN_CANCELLED), UNDO_OF(UNDONE, UNDO, NONE, 1, 0),
          AFTER(HANDLED, 1, 0)},
         "nothing that is to be done"},
        {{CLOSING(RUN_TIMED_OUT), AFTER(HANDLED, 1, 0), AFTER(HANDLED, 1, 0)},
         "nothing that is to be done"},
        {{END(SUCCEEDED, UNDO, NONE), END(SUCCEEDED, ANY_WAY, NONE), CLOSING(RUN_FAILED),
          UNDO_OF(UNDONE, UNDO, NONE, 1, 0)},
         "another is to be compensated before"},
        {{END(FAILED, UNDO, NONE), CLOSING(RUN_FAILED), UNDO_OF(UNDONE, UNDO, NONE, 1, 0)},
         "nothing that is to be done"},
        {{END(SUCCEEDED, UNDO, NONE), CLOSING(RUN_FAILED), UNDO_OF(UNDONE, UNDO, 0, 1, 0)},
         "another is to be compensated before"},
        {{{CHECKPOINT_FAILED, ANY_WAY, NONE, 0, 0, NULL},
          CLOSING(RUN_FAILED),
          UNDO_OF(UNDONE, ANY_WAY, NONE, 1, 0)},
         "nothing that is to be done"},
        {{END(SUCCEEDED, UNDO, NONE), CLOSING(RUN_FAILED), UNDO_OF(UNDONE, UNDO, NONE, 2, 0)},
         "attempt is out of order"},
        {{END(SUCCEEDED, UNDO, NONE), CLOSING(RUN_FAILED),
          UNDO_OF(UNDO_RETRYING, UNDO, NONE, 1, 0)},
         "no further attempt is due"},
        {{END(SUCCEEDED, UNDO, NONE), CLOSING(RUN_FAILED), UNDO_OF(UNDO_RETRYING, UNDO, NONE, 1, 5),
          UNDO_OF(UNDO_RETRYING, UNDO, NONE, 2, 5)},
         "no further attempt is due"},
        {{END(SUCCEEDED, UNDO, NONE), CLOSING(RUN_FAILED), UNDO_OF(UNDO_RETRYING, UNDO, NONE, 1, 5),
          UNDO_OF(UNDO_FAILED, UNDO, NONE, 1, 5)},
         "attempt is out of order"},
        {{CLOSING(RUN_FAILED), AFTER(HANDLER_RETRYING, 1, 5)}, "no further attempt is due"},
        {{EXPANDED_OF(ITEMS), END(SUCCEEDED, ITEMS, 1), END(SUCCEEDED, ITEMS, 0),
          END(SUCCEEDED, ITEMS, NONE), CLOSING(RUN_FAILED), UNDO_OF(UNDONE, ITEMS, 1, 1, 0)},
         "another is to be compensated before"},
    };

    (void)state;
    check_contradictions(undo_json, cases, sizeof cases / sizeof *cases);
}

static void test_where_nothing_can_follow(void **state)
{
    static const contradiction cases[] = {
        {{CLOSING(RUN_FAILED)}, "not to be decided here"},
        {{AFTER(HANDLED, 1, 0)}, "not decided"},
        {{UNDO_OF(UNDONE, TASK, NONE, 1, 0)}, "not decided"},
    };

    (void)state;
    check_contradictions(json, cases, sizeof cases / sizeof *cases);
}

static void test_why_it_ends_must_be_readable(void **state)
{
    static const char *const wrong[] = {
        NULL, "", "{", "{}", "7", "{\"code\":7}", "{\"code\":\"A\"} "};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        checkpoint c = {.seq = 1, .kind = CHECKPOINT_CLOSING, .step = STEP_NONE, .index = NONE};
        orch_error *err = NULL;
        rig w;
        run *r;

        rig_open(&w, undo_json, NULL);
        r = run_new(w.definition, &w.options);
        c.attempt = RUN_FAILED;
        if (wrong[i])
            c.error = bytes_new(wrong[i], strlen(wrong[i]));
        assert_int_equal(run_restore(r, &c, &err), ORCH_E_DATA_LOSS);
        assert_non_null(strstr(orch_error_message(err), "does not say why the run ends"));
        orch_error_free(err);
        checkpoint_clear(&c);
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
        rig_answer(
            w, o,
            (run_answer){.truth = true,
                         .count = 3,
                         .due_ms = w->now_ms + 50,
                         .value = o->what == RUN_SPEC ? bytes_new(SPEC, strlen(SPEC)) : NULL});
    else if (o->kind == RUN_CHILD)
        rig_end_child_number(w, o->step, o->index, o->attempt == 1 ? ORCH_E_ABORTED : 0, "1");
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
    (void)state;
    for (int i = 0; i < 8; i++) {
        /* 3: its time ran out by a clock that is ahead of the one after the restart */
        run_options options = {.deadline_ms = i / 2 % 2 ? 2000000 : 0};
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
        assert_int_equal(w.state, i / 2 % 2 ? RUN_TIMED_OUT : RUN_CANCELLED);
        rig_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_contradictions_after_the_steps),
        cmocka_unit_test(test_where_nothing_can_follow),
        cmocka_unit_test(test_why_it_ends_must_be_readable),
        cmocka_unit_test(test_the_order_has_no_gaps),
        cmocka_unit_test(test_a_history_cut_anywhere),
        cmocka_unit_test(test_a_cancelled_history_without_its_end),
    };

    return cmocka_run_group_tests_name("run: restore", tests, NULL, NULL);
}
