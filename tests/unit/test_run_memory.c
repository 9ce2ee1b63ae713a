/* Goal: memory may run out at any allocation: the run has one end, and nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "support/run_rig.h"

/* What happens while memory runs out. */
typedef struct scenario {
    const char *json;
    void (*move)(rig *w); /* one thing from outside: nothing else would happen any more */
    void (*check)(rig *w, bool was_refused); /* how it ended; was_refused: memory did run out */
    uint32_t last_restart; /* restarts are tried after so many checkpoints at most */
} scenario;

/* ---- Steps, retries, timeouts, lists --------------------------------------------------------- */

static const char json[] =
    "{'id':'w','version':'1.0.0','steps':["
    "{'id':'a','executor':'noop','when':'input.x'},"
    "{'id':'b','executor':'noop','timeout':'5s','retry':{'max_attempts':3}},"
    "{'id':'c','executor':'noop','for_each':'${input.l}','max_parallel':3,'timeout':'5s',"
    "'retry':{'max_attempts':3}},"
    "{'id':'d','executor':'wait','with':{'duration':'1s'}},"
    "{'id':'e','executor':'noop','depends_on':['a','b','c','d']},"
    "{'id':'f','executor':'noop','depends_on':['e'],'run_if':'any_failed'},"
    "{'id':'g','executor':'noop','depends_on':['f']}],"
    "'output':'${input.x}'}";

/* e, for which all wait, fails; so do the first attempts of b and c, c's by their timeout. */
static void move_steps(rig *w)
{
    outstanding *o = &w->out[0];

    if (!w->out_count)
        rig_sleep(w);
    else if (o->kind == RUN_EVALUATE)
        rig_answer(w, o, (run_answer){.truth = true, .count = 9, .due_ms = w->now_ms + 500});
    else if (o->step == rig_number(w, "c") && o->attempt == 1 && !o->stopped)
        rig_sleep(w);
    else if (o->step == rig_number(w, "e") || (o->step != rig_number(w, "a") && o->attempt == 1))
        rig_end_with(w, o, ORCH_E_UNAVAILABLE, NULL, false);
    else
        rig_end_with(w, o, 0, "{}", false);
}

static void check_steps(rig *w, bool was_refused)
{
    assert_int_equal(w->state, RUN_FAILED);
    if (was_refused)
        return;
    assert_non_null(strstr(w->error->data, "\"step\":\"e\""));
    assert_int_equal(run_get_counts(w->run).ended, 7 - 1); /* g is not needed */
}

/* ---- Signals --------------------------------------------------------------------------------- */

static const char signals[] = "{'id':'w','version':'1.0.0','steps':["
                              "{'id':'a','executor':'wait','with':{'duration':'1s'},"
                              "'for_each':'${input.l}'},"
                              "{'id':'b','executor':'wait','with':{'duration':'1s'}},"
                              "{'id':'c','executor':'wait','with':{'duration':'1s'}}]}";

/* Six signals for a's three items and for b, some before anybody waits; c's never comes. Once more, if memory for
 * what one says ran out here. */
static void move_signals(rig *w)
{
    static const char *const names[] = {"a", "a", "b", "x", "a", "y"};
    static const char *const correlations[] = {"1", "0", NULL, "1", "2", NULL};
    static const char wanted[] = "{\"signal\":\"%s\",\"correlation\":%u}";
    outstanding *o = &w->out[0];
    char text[64];

    if (w->told_count < 3 ||
        (!w->out_count && (w->told_count < 6 || run_deadline(w->run) == INT64_MAX))) {
        rig_signal(w, names[w->told_count % 6], correlations[w->told_count % 6], "{}");
    } else if (!w->out_count) {
        rig_sleep(w);
    } else if (o->what == RUN_FOR_EACH) {
        rig_answer(w, o, (run_answer){.count = 3});
    } else {
        const char *id = w->definition->steps[o->step].id;

        snprintf(text, sizeof text, o->step ? "{\"signal\":\"%s\"}" : wanted, id, o->index);
        rig_answer(w, o,
                   (run_answer){.value = bytes_new(text, strlen(text)),
                                .due_ms = o->step == 2 ? w->now_ms + 50 : 0});
    }
}

static void check_signals(rig *w, bool was_refused)
{
    if (was_refused) /* maybe for the word of what c waits for: then it only waits for its time */
        return;
    assert_int_equal(w->state, RUN_FAILED);
    assert_non_null(strstr(w->error->data, "did not come in time"));
    assert_int_equal(run_get_counts(w->run).failed, 1);
}

/* ---- Children -------------------------------------------------------------------------------- */

static const char children[] =
    "{'id':'w','version':'1.0.0','steps':["
    "{'id':'a','executor':'workflow','with':{'workflow':'x'},'for_each':'${input.l}',"
    "'max_parallel':2,'timeout':'1s','retry':{'max_attempts':2}},"
    "{'id':'b','executor':'workflow','with':{'workflow':'x'},'depends_on':['a']}]}";

/* Of a's three children the first is late, another cannot be started at first; b's fails. */
static void move_children(rig *w)
{
    static const char spec[] = "{\"inputs\":{\"n\":1},\"version\":\"^1\",\"workflow\":\"x\"}";
    outstanding *o = &w->out[0];

    if (!w->out_count)
        rig_sleep(w);
    else if (o->kind == RUN_EVALUATE)
        rig_answer(
            w, o,
            (run_answer){.count = 3,
                         .value = o->what == RUN_SPEC ? bytes_new(spec, strlen(spec)) : NULL});
    else if (o->step == 1 || o->stopped)
        rig_end_child_number(w, o->step, o->index, ORCH_E_ABORTED, NULL);
    else if (o->index == 0 && o->attempt == 1)
        rig_sleep(w);
    else if (o->index == 1 && o->attempt == 1)
        rig_refuse_child(w, o, ORCH_E_UNAVAILABLE, false);
    else
        rig_end_child_number(w, o->step, o->index, 0, "{}");
}

static void check_children(rig *w, bool was_refused)
{
    assert_int_equal(w->state, RUN_FAILED);
    if (was_refused)
        return;
    assert_non_null(strstr(w->error->data, "\"code\":\"ABORTED\""));
    assert_non_null(strstr(w->error->data, "\"step\":\"b\""));
}

/* ---- Compensation and on_failure ------------------------------------------------------------- */

static const char undone[] =
    "{'id':'w','version':'1.0.0','steps':["
    "{'id':'a','executor':'noop','compensate':{'executor':'noop','timeout':'1s',"
    "'retry':{'max_attempts':2}}},"
    "{'id':'b','executor':'noop','for_each':'${input.l}','retry':{'max_attempts':2},"
    "'compensate':{'executor':'noop','when_failed':true}},"
    "{'id':'z','executor':'noop','depends_on':['a','b']}],"
    "'on_failure':{'executor':'noop'}}";

/* Once memory has run out the run fails, but the rig sees to it that all that is stored as done is compensated. */
static void move_undone(rig *w)
{
    outstanding *o = &w->out[0];

    if (!w->out_count)
        rig_sleep(w);
    else if (o->kind == RUN_EVALUATE)
        rig_answer(w, o, (run_answer){.count = 3});
    else if (o->role == ROLE_COMPENSATE && o->step == 0 && o->attempt == 1 && !o->stopped)
        rig_sleep(w);
    else if (o->role == ROLE_COMPENSATE && o->step == 1)
        rig_end_with(w, o, ORCH_E_ABORTED, NULL, false);
    else
        rig_end_with(w, o, o->role == ROLE_STEP && o->step == 2 ? ORCH_E_INTERNAL : o->stopped,
                     "{}", false);
}

static void check_undone(rig *w, bool was_refused)
{
    assert_true(w->state == RUN_FAILED || (was_refused && w->state == RUN_CANCELLED));
    if (was_refused)
        return;
    assert_non_null(strstr(w->error->data, "\"step\":\"z\""));
    assert_non_null(strstr(w->error->data, "\"compensation_failed\":[{\"step\":\"b\",\"index\":2"));
    assert_non_null(strstr(rig_history(w), "X, u b[2], u b[1], u b[0], r a, U a#2, H"));
}

/* ---- Heartbeats ------------------------------------------------------------------------------ */

static const char beating[] = "{'id':'w','version':'1.0.0','steps':["
                              "{'id':'a','executor':'mine','heartbeat_timeout':'5s','timeout':'1m',"
                              "'retry':{'max_attempts':2}},"
                              "{'id':'b','executor':'mine','for_each':'${input.l}',"
                              "'retry':{'max_attempts':2}}]}";

/* Each attempt says something twice; the first of each fails, a's for its silence. */
static void move_beating(rig *w)
{
    outstanding *o = &w->out[0];

    if (!w->out_count) {
        rig_sleep(w);
    } else if (o->kind == RUN_EVALUATE) {
        rig_answer(w, o, (run_answer){.count = 2});
    } else {
        const char *id = w->definition->steps[o->step].id;

        if (!o->stopped) {
            rig_beat(w, id, o->index, "1");
            rig_beat(w, id, o->index, "2");
        }
        rig_pump(w);
        o = w->out_count ? &w->out[0] : NULL;
        if (o && o->step == 0 && !o->stopped && o->attempt == 1)
            rig_sleep(w);
        else if (o)
            rig_end_with(w, o, o->attempt == 1 ? ORCH_E_ABORTED : 0, "{}", false);
    }
}

static void check_beating(rig *w, bool was_refused)
{
    if (was_refused)
        assert_int_not_equal(w->state, RUN_TIMED_OUT);
    else
        assert_int_equal(w->state, RUN_SUCCEEDED);
}

static const scenario scenarios[] = {
    {json, move_steps, check_steps, 32},           {signals, move_signals, check_signals, 8},
    {children, move_children, check_children, 16}, {undone, move_undone, check_undone, 16},
    {beating, move_beating, check_beating, 16},
};

/* ---- Each allocation fails ------------------------------------------------------------------- */

/* False if it could not even be rebuilt, which is an error to the caller. */
static bool restart(rig *w)
{
    orch_error *err = NULL;
    int32_t code = 0;
    run *r = run_new(w->definition, &w->options);

    if (!r)
        return false;
    run_free(w->run);
    w->run = r;
    w->out_count = 0;
    for (uint32_t i = 0; i < w->made && !code; i++)
        code = run_restore(r, &w->history[i], &err);
    if (!code)
        rig_tell_all(w);
    if (!code)
        code = run_start(r, w->now_ms, &err);
    assert_true(code == 0 || code == ORCH_E_RESOURCE_EXHAUSTED);
    assert_int_equal(orch_error_code(err), code);
    orch_error_free(err);
    return code == 0;
}

static void play(const scenario *s, rig *w, uint32_t restart_at)
{
    bool has_restarted = false;

    while (!w->ended) {
        rig_pump(w);
        rig_store_to(w, w->made);
        rig_pump(w);
        if (w->ended || w->stored < w->made)
            continue;
        if (w->made >= restart_at && !has_restarted) {
            has_restarted = true;
            if (!restart(w))
                return;
        } else {
            s->move(w);
        }
    }
}

/* True if memory had been asked for up to the n-th time. */
static bool play_without(const scenario *s, long n, int sticky, uint32_t restart_at)
{
    run_counts counts;
    bool was_refused;
    rig w;

    rig_open(&w, s->json, NULL);
    mem_fail_at(n, sticky);
    play(s, &w, restart_at);
    was_refused = mem_count() >= n;
    mem_fail_at(0, 0);
    counts = run_get_counts(w.run);
    assert_true(counts.ended <= counts.steps);
    if (w.ended)
        s->check(&w, was_refused);
    else
        assert_true(was_refused);
    rig_close(&w);
    return was_refused;
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    for (const scenario *s = scenarios; s < scenarios + sizeof scenarios / sizeof *scenarios; s++)
        for (int sticky = 0; sticky < 2; sticky++)
            for (uint32_t restart_at = 0; restart_at <= s->last_restart; restart_at += 8) {
                long n = 1;

                while (play_without(s, n, sticky, restart_at ? restart_at : UINT32_MAX))
                    n++;
                assert_true(n > 20);
            }
}

static void test_no_memory_for_the_run_itself(void **state)
{
    rig w;

    (void)state;
    rig_open(&w, json, NULL);
    for (long n = 1; n <= 2; n++) {
        mem_fail_at(n, 0);
        assert_null(run_new(w.definition, &w.options));
        mem_fail_at(0, 0);
    }
    rig_close(&w);
    rig_open(&w, undone, NULL);
    for (long n = 1; n <= 6; n++) {
        mem_fail_at(n, 0);
        assert_null(run_new(w.definition, &w.options));
        mem_fail_at(0, 0);
    }
    rig_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_no_memory_for_the_run_itself),
    };

    return cmocka_run_group_tests_name("run: memory", tests, NULL, NULL);
}
