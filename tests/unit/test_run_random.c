/* Goal: random graphs, outcomes, delays of the store and restarts, from a seed, against a naive
 * reading of the rules. What must hold with every single action is checked by the rig. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "support/run_rig.h"

#define MAX_STEPS 14
#define ROUNDS    3000

typedef struct game {
    uint64_t seed;
    uint64_t random; /* its state */
    rig w;
    bool begun[MAX_STEPS];        /* in this life of the process */
    bool volatile_end[MAX_STEPS]; /* of a step without checkpoint, in this life */
    uint8_t volatile_kind[MAX_STEPS];
    bool cancelled;
} game;

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static uint32_t below(game *g, uint32_t n)
{
    g->random = mix(g->random);
    return (uint32_t)(g->random % n);
}

static bool chance(game *g, uint32_t percent)
{
    return below(g, 100) < percent;
}

static uint64_t next_random(void *ctx)
{
    game *g = ctx;

    return g->random = mix(g->random);
}

/* ---- What the outside answers: from the seed, so that it is the same after a restart ------ */

static uint32_t fate(const game *g, uint32_t step, uint32_t index, uint32_t what, uint32_t n)
{
    return (uint32_t)(mix(mix(mix(g->seed ^ what) + step) + index) % n);
}

static bool fate_of_when(const game *g, uint32_t step)
{
    return fate(g, step, 0, 1, 4) != 0;
}

static int32_t fate_of_attempt(const game *g, uint32_t step, uint32_t index, uint32_t attempt)
{
    uint32_t failures = fate(g, step, index, 2, 10);

    if (failures > 4)
        return 0;
    return attempt <= failures ? ORCH_E_UNAVAILABLE : 0;
}

static bool hangs(const game *g, const outstanding *o)
{
    const step_extra *extra = g->w.definition->steps[o->step].extra;

    return extra && extra->timeout_ms && fate(g, o->step, o->index + o->attempt, 3, 3) == 0;
}

/* ---- A random definition --------------------------------------------------------------------- */

static void add_step(game *g, buf *b, uint32_t number)
{
    static const char *const rules[] = {"all_succeeded", "all_done", "any_failed", "any_succeeded"};
    bool is_wait = chance(g, 12), is_pure = !is_wait && chance(g, 15), has_deps = false;

    buf_printf(b, "%s{'id':'s%u','executor':'%s'", number ? "," : "", number,
               is_wait ? "wait','with':{'duration':'1s'},'description':'" : "noop");
    for (uint32_t d = 0; d < number; d++)
        if (chance(g, 25)) {
            buf_printf(b, "%s's%u'", has_deps ? "," : ",'depends_on':[", d);
            has_deps = true;
        }
    if (has_deps)
        buf_printf(b, "],'run_if':'%s'", rules[chance(g, 60) ? 0 : below(g, 4)]);
    if (chance(g, 25))
        buf_puts(b, ",'when':'input.x'");
    if (!is_pure && chance(g, 20))
        buf_printf(b, ",'for_each':'${input.l}','max_parallel':%u", 1 + below(g, 3));
    if (is_pure)
        buf_puts(b, ",'checkpoint':false");
    if (!is_wait && chance(g, 50))
        buf_printf(b, ",'retry':{'max_attempts':%u,'initial_interval':'10ms','jitter':0.5}",
                   1 + below(g, 4));
    if (!is_wait && chance(g, 30))
        buf_puts(b, ",'timeout':'30ms'");
    buf_putc(b, '}');
}

static void open_game(game *g, uint64_t seed)
{
    run_options options = {.random = next_random, .random_ctx = g};
    buf b = BUF_INIT;
    uint32_t count;
    char *json;

    *g = (game){.seed = seed, .random = mix(seed)};
    count = 1 + below(g, MAX_STEPS);
    buf_puts(&b, "{'id':'w','version':'1.0.0','steps':[");
    for (uint32_t i = 0; i < count; i++)
        add_step(g, &b, i);
    buf_puts(&b, chance(g, 50) ? "]}" : "],'output':'${input.x}'}");
    json = buf_take(&b);
    rig_open(&g->w, json, &options);
    free(json);
}

/* ---- The rules, read naively ----------------------------------------------------------------- */

enum fate_of_step { UNKNOWN, SUCCEEDED, FAILED, SKIPPED, SKIPPED_BY_FAILURE, CANCELLED };

static bool has_failure(const game *g)
{
    for (uint32_t i = 0; i < g->w.stored; i++)
        if (g->w.history[i].kind == CHECKPOINT_FAILED && g->w.history[i].index == INDEX_NONE)
            return true;
    return false;
}

/* What the history shows to have begun goes on, however steps without checkpoint end this time. */
static bool shows_begun(const game *g, uint32_t step)
{
    for (uint32_t i = 0; i < g->w.made; i++) {
        const checkpoint *c = &g->w.history[i];

        if (c->step == step && c->kind > CHECKPOINT_DECIDED)
            return true;
    }
    return false;
}

static bool has_begun(const game *g, uint32_t step)
{
    return g->begun[step] || shows_begun(g, step);
}

static enum fate_of_step naive(const game *g, uint32_t step);

static bool satisfied(const game *g, const step *s, bool *known, bool *not_done)
{
    bool failed = false, succeeded = false;

    *known = true;
    *not_done = false;
    for (uint32_t i = 0; i < s->dependency_count; i++) {
        enum fate_of_step f = naive(g, g->w.definition->edges[s->dependencies + i]);

        *known &= f != UNKNOWN;
        failed |= f == FAILED;
        succeeded |= f == SUCCEEDED;
        *not_done |= f == FAILED || f == SKIPPED_BY_FAILURE || f == CANCELLED;
    }
    switch (s->run_if) {
    case RUN_IF_ALL_SUCCEEDED: return !*not_done;
    case RUN_IF_ANY_FAILED: return failed;
    case RUN_IF_ANY_SUCCEEDED: return succeeded;
    default: return true;
    }
}

static enum fate_of_step naive(const game *g, uint32_t step)
{
    static const enum fate_of_step kinds[] = {[CHECKPOINT_SUCCEEDED] = SUCCEEDED,
                                              [CHECKPOINT_FAILED] = FAILED,
                                              [CHECKPOINT_SKIPPED] = SKIPPED,
                                              [CHECKPOINT_CANCELLED] = CANCELLED};
    const struct step *s = &g->w.definition->steps[step];
    bool known, not_done;

    for (uint32_t i = 0; i < g->w.made; i++) {
        const checkpoint *c = &g->w.history[i];

        if (c->step == step && c->index == INDEX_NONE && checkpoint_is_end(c))
            return kinds[c->kind];
    }
    if (g->volatile_end[step])
        return kinds[g->volatile_kind[step]];
    if (shows_begun(g, step))
        return UNKNOWN;
    if (!satisfied(g, s, &known, &not_done) && known)
        return not_done ? SKIPPED_BY_FAILURE : SKIPPED;
    if (known && s->run_if == RUN_IF_ALL_SUCCEEDED && has_failure(g) && !has_begun(g, step))
        return SKIPPED_BY_FAILURE;
    return UNKNOWN;
}

static void check_begin(game *g, const outstanding *o)
{
    const step *s;
    bool known, not_done;

    if (o->kind == RUN_EVALUATE && o->what == RUN_OUTPUT)
        return;
    s = &g->w.definition->steps[o->step];
    assert_true(satisfied(g, s, &known, &not_done) || shows_begun(g, o->step));
    assert_true(known);
    if (s->run_if == RUN_IF_ALL_SUCCEEDED && has_failure(g))
        assert_true(has_begun(g, o->step));
    if (o->kind == RUN_ATTEMPT ||
        o->what != RUN_WHEN) /* to be asked whether it begins is not to begin */
        g->begun[o->step] = true;
    if (s->extra && s->extra->for_each && s->extra->max_parallel && o->index != INDEX_NONE) {
        uint32_t in_flight = 0;

        for (uint32_t i = 0; i < g->w.out_count; i++)
            in_flight += g->w.out[i].step == o->step;
        assert_true(in_flight <= s->extra->max_parallel);
    }
}

static void check_end(const game *g)
{
    const rig *w = &g->w;
    const checkpoint *first = NULL;
    run_counts n = run_get_counts(w->run);
    uint32_t ended = 0;

    for (uint32_t i = 0; i < w->made && !first; i++)
        if (w->history[i].kind == CHECKPOINT_FAILED && w->history[i].index == INDEX_NONE)
            first = &w->history[i];
    for (uint32_t i = 0; i < w->definition->step_count; i++) {
        enum fate_of_step f = naive(g, i);
        run_value v;

        if (run_get_value(w->run, i, &v)) {
            static const enum fate_of_step kinds[] = {[CHECKPOINT_SUCCEEDED] = SUCCEEDED,
                                                      [CHECKPOINT_FAILED] = FAILED,
                                                      [CHECKPOINT_SKIPPED] = SKIPPED,
                                                      [CHECKPOINT_CANCELLED] = CANCELLED};

            ended++;
            assert_int_equal(kinds[v.kind], f == SKIPPED_BY_FAILURE ? SKIPPED : f);
        }
        if (w->state == RUN_SUCCEEDED ||
            (w->state == RUN_FAILED && w->definition->steps[i].run_if != RUN_IF_ALL_SUCCEEDED))
            assert_int_not_equal(f, UNKNOWN);
    }
    assert_int_equal(n.ended, ended);
    assert_int_equal(n.steps, w->definition->step_count);
    if (w->state != RUN_CANCELLED)
        assert_int_equal(n.running, 0);
    if (g->cancelled && w->state == RUN_CANCELLED)
        return;
    assert_int_equal(w->state, first ? RUN_FAILED : RUN_SUCCEEDED);
    if (first) {
        char named[32];

        snprintf(named, sizeof named, "\"step\":\"s%u\"", first->step);
        assert_non_null(strstr(w->error->data, named));
    }
}

/* ---- One thing happens ----------------------------------------------------------------------- */

/* The end of a step without checkpoint shows nowhere else. */
static void note_volatile(game *g, uint32_t step)
{
    run_value v;

    if (g->w.definition->steps[step].checkpoint || !run_get_value(g->w.run, step, &v) ||
        v.kind == CHECKPOINT_FAILED)
        return;
    g->volatile_end[step] = true;
    g->volatile_kind[step] = v.kind;
}

static void answer(game *g, outstanding *o)
{
    uint32_t step = o->step;
    bool is_output = o->kind == RUN_EVALUATE && o->what == RUN_OUTPUT;

    if (o->kind == RUN_EVALUATE)
        rig_answer(&g->w, o,
                   (run_answer){.truth = fate_of_when(g, step),
                                .count = fate(g, step, 0, 4, 5),
                                .due_ms = 1000000 + fate(g, step, o->index, 5, 500),
                                .code = !is_output && fate(g, step, o->index, 6 + o->what, 25) == 0
                                            ? ORCH_E_INVALID_ARGUMENT
                                            : 0});
    else if (o->stopped)
        rig_end_with(&g->w, o, chance(g, 20) ? 0 : o->stopped, NULL, chance(g, 50));
    else if (!hangs(g, o))
        rig_end_with(&g->w, o, fate_of_attempt(g, step, o->index, o->attempt), "[1]", false);
    if (!is_output)
        note_volatile(g, step);
}

static void restart(game *g)
{
    g->w.stored += below(g, g->w.made - g->w.stored + 1); /* stored, but nobody was told */
    rig_restart(&g->w, ANY);
    memset(g->begun, 0, sizeof g->begun);
    memset(g->volatile_end, 0, sizeof g->volatile_end);
}

static bool play_one(game *g)
{
    rig *w = &g->w;

    if (chance(g, 50)) {
        uint32_t out = w->out_count;

        if (!rig_step(w))
            return false;
        if (w->out_count > out)
            check_begin(g, &w->out[out]);
        return true;
    }
    if (w->stored < w->made && chance(g, 40)) {
        rig_store_to(w, w->stored + 1 + below(g, w->made - w->stored));
        return true;
    }
    if (w->out_count && chance(g, 60)) {
        answer(g, &w->out[below(g, w->out_count)]);
        return true;
    }
    if (chance(g, 5)) {
        restart(g);
        return true;
    }
    if (run_deadline(w->run) != INT64_MAX && chance(g, 50)) {
        w->now_ms = run_deadline(w->run) > w->now_ms ? run_deadline(w->run) : w->now_ms;
        run_tick(w->run, w->now_ms);
        return true;
    }
    return false;
}

static void play(uint64_t seed)
{
    game g;
    int events = 0, cancel_at;

    open_game(&g, seed);
    cancel_at = chance(&g, 20) ? (int)below(&g, 200) : -1;
    for (uint32_t idle = 0; !g.w.ended; events++) {
        if (events == cancel_at) {
            run_cancel(g.w.run, "chance", g.w.now_ms);
            g.cancelled = true;
        } else if (g.cancelled && events % 50 == 0) {
            run_cancel(g.w.run, "again, if a restart forgot it", g.w.now_ms);
        }
        idle = play_one(&g) ? 0 : idle + 1;
        if (idle > 1000 || events > 100000)
            fail_msg("seed %llu hangs: out '%s', history %s", (unsigned long long)seed,
                     rig_doing(&g.w), rig_history(&g.w));
    }
    check_end(&g);
    rig_close(&g.w);
}

static uint64_t playing;

static int say_seed(void **state)
{
    (void)state;
    print_message("the last seed was %llu (RUN_SEED)\n", (unsigned long long)playing);
    return 0;
}

static void test_random_runs(void **state)
{
    const char *only = getenv("RUN_SEED"); /* to look at one again */
    const char *rounds = getenv("ROUNDS");
    uint64_t count = rounds ? strtoull(rounds, NULL, 10) * 10 : ROUNDS;

    (void)state;
    if (only) {
        play(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= count; seed++) {
        playing = seed;
        play(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_random_runs, say_seed),
    };

    return cmocka_run_group_tests_name("run: random", tests, NULL, NULL);
}
