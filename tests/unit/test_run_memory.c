/* Goal: memory may run out at any allocation: the run has one end, and nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "support/run_rig.h"

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
static void answer_first(rig *w)
{
    outstanding *o = &w->out[0];

    if (o->kind == RUN_EVALUATE)
        rig_answer(w, o, (run_answer){.truth = true, .count = 9, .due_ms = w->now_ms + 500});
    else if (o->step == rig_number(w, "c") && o->attempt == 1 && !o->stopped)
        rig_sleep(w);
    else if (o->step == rig_number(w, "e") || (o->step != rig_number(w, "a") && o->attempt == 1))
        rig_end_with(w, o, ORCH_E_UNAVAILABLE, NULL, false);
    else
        rig_end_with(w, o, 0, "{}", false);
}

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
        code = run_start(r, w->now_ms, &err);
    assert_true(code == 0 || code == ORCH_E_RESOURCE_EXHAUSTED);
    assert_int_equal(orch_error_code(err), code);
    orch_error_free(err);
    return code == 0;
}

static void play(rig *w, uint32_t restart_at)
{
    bool has_restarted = false;

    while (!w->ended) {
        rig_pump(w);
        rig_store_to(w, w->made);
        rig_pump(w);
        if (w->made >= restart_at && !has_restarted && w->stored == w->made && !w->ended) {
            has_restarted = true;
            if (!restart(w))
                return;
        } else if (w->out_count) {
            answer_first(w);
        } else if (!w->ended && w->made == w->stored) {
            rig_sleep(w);
        }
    }
}

/* True if memory had been asked for up to the n-th time. */
static bool play_without(long n, int sticky, uint32_t restart_at)
{
    run_counts counts;
    bool was_refused;
    rig w;

    rig_open(&w, json, NULL);
    mem_fail_at(n, sticky);
    play(&w, restart_at);
    was_refused = mem_count() >= n;
    mem_fail_at(0, 0);
    counts = run_get_counts(w.run);
    assert_true(counts.ended <= counts.steps);
    if (w.ended) {
        assert_int_equal(w.state, RUN_FAILED);
        /* e, as it should; or c, stopped for lack of memory and judged after the restart. */
        if (!strstr(w.error->data, "RESOURCE_EXHAUSTED"))
            assert_true(strstr(w.error->data, "\"step\":\"e\"") || was_refused);
        if (!was_refused)
            assert_int_equal(counts.ended, 7 - 1); /* g is not needed */
    }
    rig_close(&w);
    return was_refused;
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    for (int sticky = 0; sticky < 2; sticky++)
        for (uint32_t restart_at = 0; restart_at <= 32; restart_at += 8) {
            long n = 1;

            while (play_without(n, sticky, restart_at ? restart_at : UINT32_MAX))
                n++;
            assert_true(n > 50);
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
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_no_memory_for_the_run_itself),
    };

    return cmocka_run_group_tests_name("run: memory", tests, NULL, NULL);
}
