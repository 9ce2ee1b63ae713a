/* Goal: random graphs with all that the language has, outcomes, signals, children, delays of the store, pauses and restarts, from a
 * seed, against a naive reading of the rules. What must hold with every single action is checked by the rig: causes are
 * stored before effects, each item of the inbox is consumed once, what was done is compensated in its turn. In the end
 * the history is carried over to a new run, which takes it up and is played to its end too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "support/run_rig.h"
#include "workflow/carry.h"

#define MAX_STEPS 14
#define ROUNDS    3000
#define ALL       UINT32_MAX

typedef struct game {
    uint64_t seed;
    uint64_t random; /* its state */
    rig w;
    bool begun[MAX_STEPS];        /* in this life of the process */
    bool volatile_end[MAX_STEPS]; /* of a step without checkpoint, in this life */
    uint8_t volatile_kind[MAX_STEPS];
    bool is_paused;
    bool cancelled;
    bool output_failed;
    bool has_forgotten; /* a restart after the steps: those without checkpoint never run again */
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

enum fate {
    FATE_WHEN = 1,
    FATE_FAILURES,
    FATE_HANGS,
    FATE_COUNT,
    FATE_DUE,
    FATE_ABANDON,
    FATE_SIGNAL,
    FATE_NAME,
    FATE_CORRELATION,
    FATE_EVER,
    FATE_REFUSED,
    FATE_BROKEN
};

static uint32_t fate(const game *g, uint32_t step, uint32_t index, uint32_t what, uint32_t n)
{
    return (uint32_t)(mix(mix(mix(g->seed ^ what) + step) + index) % n);
}

static int32_t fate_of_attempt(const game *g, const outstanding *o)
{
    uint32_t failures = fate(g, o->step, o->index + o->role, FATE_FAILURES, 10);

    return failures <= 4 && o->attempt <= failures ? ORCH_E_UNAVAILABLE : 0;
}

static bool hangs(const game *g, const outstanding *o)
{
    return (o->deadline_ms || o->heartbeat_ms) &&
           fate(g, o->step, o->index + o->attempt + o->role, FATE_HANGS, 3) == 0;
}

/* What the wait of a place is for: a time, or a signal that is one of few. */
static bool wants_signal(const game *g, uint32_t step, uint32_t index)
{
    return fate(g, step, index, FATE_SIGNAL, 2) == 0;
}

static const char *signal_name(const game *g, uint32_t step, uint32_t index)
{
    return fate(g, step, index, FATE_NAME, 2) ? "go" : "stop";
}

static const char *correlation(const game *g, uint32_t step, uint32_t index)
{
    static const char *const texts[] = {NULL, "1", "\"x\""};

    return texts[fate(g, step, index, FATE_CORRELATION, 3)];
}

/* ---- A random definition --------------------------------------------------------------------- */

static void add_policies(game *g, buf *b)
{
    if (chance(g, 50))
        buf_printf(b, ",'retry':{'max_attempts':%u,'initial_interval':'10ms','jitter':0.5}",
                   1 + below(g, 4));
    if (chance(g, 30))
        buf_puts(b, ",'timeout':'30ms'");
}

static void add_compensate(game *g, buf *b)
{
    buf_puts(b, ",'compensate':{'executor':'noop'");
    add_policies(g, b);
    buf_puts(b, chance(g, 40) ? ",'when_failed':true}" : "}");
}

static bool add_dependencies(game *g, buf *b, uint32_t number)
{
    bool has_some = false;

    for (uint32_t d = 0; d < number; d++)
        if (chance(g, 25)) {
            buf_printf(b, "%s's%u'", has_some ? "," : ",'depends_on':[", d);
            has_some = true;
        }
    buf_puts(b, has_some ? "]" : "");
    return has_some;
}

static void add_step(game *g, buf *b, uint32_t number)
{
    static const char *const rules[] = {"all_succeeded", "all_done", "any_failed", "any_succeeded"};
    static const char *const kinds[] = {"mine'", "wait','with':{'duration':'1s'}",
                                        "workflow','with':{'workflow':'x'}"};
    uint32_t kind = chance(g, 15) ? STEP_WAIT : chance(g, 15) ? STEP_WORKFLOW : STEP_TASK;
    bool is_pure = kind == STEP_TASK && chance(g, 15);

    buf_printf(b, "%s{'id':'s%u','executor':'%s", number ? "," : "", number, kinds[kind]);
    if (add_dependencies(g, b, number))
        buf_printf(b, ",'run_if':'%s'", rules[chance(g, 60) ? 0 : below(g, 4)]);
    if (chance(g, 25))
        buf_puts(b, ",'when':'input.x'");
    if (chance(g, 12))
        buf_puts(b, ",'continue_on_failure':true");
    if (!is_pure && chance(g, 20))
        buf_printf(b, ",'for_each':'${input.l}','max_parallel':%u", 1 + below(g, 3));
    if (is_pure)
        buf_puts(b, ",'checkpoint':false");
    else if (chance(g, 30))
        add_compensate(g, b);
    if (kind != STEP_WAIT)
        add_policies(g, b);
    if (kind == STEP_TASK && !is_pure && chance(g, 20))
        buf_puts(b, ",'heartbeat_timeout':'20ms'");
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
    if (chance(g, 10))
        options.deadline_ms = 1000001 + below(g, 400);
    options.paused = g->is_paused = chance(g, 10);
    buf_puts(&b, "{'id':'w','version':'1.0.0','steps':[");
    for (uint32_t i = 0; i < count; i++)
        add_step(g, &b, i);
    buf_puts(&b, chance(g, 50) ? "]" : "],'output':'${input.x}'");
    if (chance(g, 30)) {
        buf_puts(&b, ",'on_failure':{'executor':'noop'");
        add_policies(g, &b);
        buf_putc(&b, '}');
    }
    buf_putc(&b, '}');
    json = buf_take(&b);
    rig_open(&g->w, json, &options);
    free(json);
}

/* ---- The rules, read naively ----------------------------------------------------------------- */

enum end { UNKNOWN, SUCCEEDED, FAILED, SKIPPED, SKIPPED_BY_FAILURE, CANCELLED };

static const enum end ends[] = {[CHECKPOINT_SUCCEEDED] = SUCCEEDED,
                                [CHECKPOINT_FAILED] = FAILED,
                                [CHECKPOINT_SKIPPED] = SKIPPED,
                                [CHECKPOINT_CANCELLED] = CANCELLED};

static bool may_fail(const game *g, uint32_t step)
{
    const step_extra *extra = g->w.definition->steps[step].extra;

    return extra && extra->continue_on_failure;
}

static bool is_late(const game *g)
{
    return g->w.options.deadline_ms && g->w.now_ms >= g->w.options.deadline_ms;
}

/* That counts: of the first `count` rows. NULL if there is none. */
static const checkpoint *first_failure(const game *g, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < g->w.made; i++) {
        const checkpoint *c = &g->w.history[i];

        if (c->kind == CHECKPOINT_FAILED && c->index == INDEX_NONE && !may_fail(g, c->step))
            return c;
    }
    return NULL;
}

/* What the history shows to have begun goes on, however steps without checkpoint end this time. */
static bool shows_begun(const game *g, uint32_t step)
{
    for (uint32_t i = 0; i < g->w.made; i++) {
        const checkpoint *c = &g->w.history[i];

        if (c->step == step && c->kind > CHECKPOINT_DECIDED && c->kind < CHECKPOINT_CLOSING)
            return true;
    }
    return false;
}

static bool has_begun(const game *g, uint32_t step)
{
    return g->begun[step] || shows_begun(g, step);
}

static enum end naive(const game *g, uint32_t step);

static bool satisfied(const game *g, const step *s, bool *known, bool *not_done)
{
    bool failed = false, succeeded = false;

    *known = true;
    *not_done = false;
    for (uint32_t i = 0; i < s->dependency_count; i++) {
        uint32_t number = g->w.definition->edges[s->dependencies + i];
        enum end f = naive(g, number);

        *known &= f != UNKNOWN;
        failed |= f == FAILED;
        succeeded |= f == SUCCEEDED;
        *not_done |= (f == FAILED && !may_fail(g, number)) || f == SKIPPED_BY_FAILURE ||
                     f == CANCELLED;
    }
    switch (s->run_if) {
    case RUN_IF_ALL_SUCCEEDED: return !*not_done;
    case RUN_IF_ANY_FAILED: return failed;
    case RUN_IF_ANY_SUCCEEDED: return succeeded;
    default: return true;
    }
}

static enum end naive(const game *g, uint32_t step)
{
    const struct step *s = &g->w.definition->steps[step];
    bool known, not_done;

    for (uint32_t i = 0; i < g->w.made; i++) {
        const checkpoint *c = &g->w.history[i];

        if (c->step == step && c->index == INDEX_NONE && checkpoint_is_end(c))
            return ends[c->kind];
    }
    if (g->volatile_end[step])
        return ends[g->volatile_kind[step]];
    if (shows_begun(g, step))
        return UNKNOWN;
    if (!satisfied(g, s, &known, &not_done) && known)
        return not_done ? SKIPPED_BY_FAILURE : SKIPPED;
    if (known && s->run_if == RUN_IF_ALL_SUCCEEDED && first_failure(g, g->w.stored) &&
        !has_begun(g, step))
        return SKIPPED_BY_FAILURE;
    return UNKNOWN;
}

/* The list of a step that had begun is asked for again, and a run that is through may end. */
static bool may_happen_in_a_pause(const game *g, const outstanding *o)
{
    return o->kind == RUN_EVALUATE &&
           (o->what == RUN_OUTPUT || (o->what == RUN_FOR_EACH && shows_begun(g, o->step)));
}

static void check_begin(game *g, const outstanding *o)
{
    const step *s;
    bool known, not_done;

    if (g->is_paused && !o->stopped)
        assert_true(may_happen_in_a_pause(g, o));
    if (o->role != ROLE_STEP || o->stopped || (o->kind == RUN_EVALUATE && o->what == RUN_OUTPUT))
        return;
    s = &g->w.definition->steps[o->step];
    assert_true(satisfied(g, s, &known, &not_done) || shows_begun(g, o->step));
    assert_true(known);
    if (s->run_if == RUN_IF_ALL_SUCCEEDED && first_failure(g, g->w.stored))
        assert_true(has_begun(g, o->step));
    if (o->kind != RUN_EVALUATE ||
        o->what != RUN_WHEN) /* to be asked whether it begins is not to begin */
        g->begun[o->step] = true;
    if (s->extra && s->extra->for_each && s->extra->max_parallel && o->index != INDEX_NONE) {
        uint32_t in_flight = 0;

        for (uint32_t i = 0; i < g->w.out_count; i++)
            in_flight += g->w.out[i].step == o->step;
        assert_true(in_flight <= s->extra->max_parallel);
    }
}

static void check_steps(const game *g)
{
    const rig *w = &g->w;
    run_counts n = run_get_counts(w->run);
    uint32_t ended = 0;

    for (uint32_t i = 0; i < w->definition->step_count; i++) {
        enum end f = naive(g, i);
        run_value v;

        if (run_get_value(w->run, i, &v)) {
            ended++;
            assert_int_equal(ends[v.kind], f == SKIPPED_BY_FAILURE ? SKIPPED : f);
        }
        if (w->state == RUN_SUCCEEDED || (w->state == RUN_FAILED && !g->has_forgotten &&
                                          w->definition->steps[i].run_if != RUN_IF_ALL_SUCCEEDED))
            assert_int_not_equal(f, UNKNOWN);
    }
    assert_int_equal(n.ended, ended);
    assert_int_equal(n.steps, w->definition->step_count);
    if (w->state == RUN_SUCCEEDED || w->state == RUN_FAILED)
        assert_int_equal(n.running, 0);
}

static bool has_ended(const game *g, uint32_t step, uint32_t index)
{
    for (uint32_t i = 0; i < g->w.made; i++) {
        const checkpoint *c = &g->w.history[i];

        if (c->step == step && c->index == index && checkpoint_is_end(c))
            return true;
    }
    return false;
}

/* What made an attempt and would be compensated for that has an end, be it between two attempts. */
static void check_nothing_is_left_open(const game *g)
{
    for (uint32_t i = 0; i < g->w.made; i++) {
        const checkpoint *c = &g->w.history[i];
        const step_extra *extra;

        if (c->kind != CHECKPOINT_RETRYING && c->kind != CHECKPOINT_HEARTBEAT)
            continue;
        extra = g->w.definition->steps[c->step].extra;
        if (extra && extra->compensate && extra->compensate->when_failed)
            assert_true(has_ended(g, c->step, c->index));
    }
}

static void check_end(const game *g)
{
    const rig *w = &g->w;
    const checkpoint *first = first_failure(g, ALL);
    char named[32];

    check_steps(g);
    check_nothing_is_left_open(g);
    if ((g->cancelled && w->state == RUN_CANCELLED) || (is_late(g) && w->state == RUN_TIMED_OUT))
        return;
    assert_int_equal(w->state, first || g->output_failed ? RUN_FAILED : RUN_SUCCEEDED);
    snprintf(named, sizeof named, "\"step\":\"s%u\"", first ? first->step : 0);
    if (first)
        assert_non_null(strstr(w->error->data, named));
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

static bytes *text_bytes(const char *text)
{
    return bytes_new(text, strlen(text));
}

static void answer_due(const game *g, const outstanding *o, run_answer *a)
{
    const char *name = signal_name(g, o->step, o->index);
    const char *value = correlation(g, o->step, o->index);
    char text[64];

    a->due_ms = 1000000 + fate(g, o->step, o->index, FATE_DUE, 500);
    if (!wants_signal(g, o->step, o->index))
        return;
    if (fate(g, o->step, o->index, FATE_EVER, 3))
        a->due_ms = 0;
    if (value)
        snprintf(text, sizeof text, "{\"signal\":\"%s\",\"correlation\":%s}", name, value);
    else
        snprintf(text, sizeof text, "{\"signal\":\"%s\"}", name);
    a->value = text_bytes(text);
}

static void answer_evaluation(game *g, outstanding *o)
{
    uint32_t step = o->step, index = o->index;
    run_answer a = {.truth = fate(g, step, 0, FATE_WHEN, 4) != 0,
                    .count = fate(g, step, 0, FATE_COUNT, 5)};

    if (o->what == RUN_OUTPUT)
        a.code = g->output_failed ? ORCH_E_ABORTED : 0;
    else if (fate(g, step, index, FATE_BROKEN + o->what, 25) == 0)
        a.code = ORCH_E_INVALID_ARGUMENT;
    else if (o->what == RUN_DUE)
        answer_due(g, o, &a);
    else if (o->what == RUN_SPEC)
        a.value = text_bytes(fate(g, step, index, FATE_ABANDON, 3)
                                 ? "{\"workflow\":\"x\"}"
                                 : "{\"on_cancel\":\"abandon\",\"workflow\":\"x\"}");
    rig_answer(&g->w, o, a);
}

static void end_child(game *g, uint32_t step, uint32_t index, uint32_t attempt, int32_t stopped)
{
    outstanding as_if = {.step = step, .index = index, .attempt = attempt};
    int32_t code = stopped && chance(g, 80) ? ORCH_E_CANCELLED : fate_of_attempt(g, &as_if);

    rig_end_child_number(&g->w, step, index, code, "{}");
}

static void answer_child(game *g, outstanding *o)
{
    if (!rig_child_of(&g->w, o->step, o->index)) /* of a restart: it was never started */
        rig_refuse_child(&g->w, o, ORCH_E_NOT_FOUND, false);
    else if (!o->stopped && fate(g, o->step, o->index + o->attempt, FATE_REFUSED, 12) == 0)
        rig_refuse_child(&g->w, o, ORCH_E_UNAVAILABLE, chance(g, 30));
    else if (o->stopped || !hangs(g, o))
        end_child(g, o->step, o->index, o->attempt, o->stopped);
}

static void answer_attempt(game *g, outstanding *o)
{
    if (o->stopped)
        rig_end_with(&g->w, o, chance(g, 20) ? 0 : o->stopped, NULL, chance(g, 50));
    else if (o->role == ROLE_STEP && chance(g, 25))
        run_heartbeat(g->w.run, o->step, o->index, o->attempt,
                      chance(g, 50) ? text_bytes("[1]") : NULL, g->w.now_ms);
    else if (!hangs(g, o))
        rig_end_with(&g->w, o, fate_of_attempt(g, o), "[1]", false);
}

static void answer(game *g, outstanding *o)
{
    outstanding was = *o;

    if (o->kind == RUN_EVALUATE)
        answer_evaluation(g, o);
    else if (o->kind == RUN_CHILD)
        answer_child(g, o);
    else
        answer_attempt(g, o);
    if (was.role == ROLE_STEP && !(was.kind == RUN_EVALUATE && was.what == RUN_OUTPUT))
        note_volatile(g, was.step);
}

/* A child lives on, whether its parent knows of it in this life or not. */
static bool end_some_child(game *g)
{
    for (uint32_t i = 0; i < g->w.child_count; i++) {
        rig_child c = g->w.children[i];

        if (c.has_ended)
            continue;
        end_child(g, c.step, c.index, c.attempt, 0);
        return true;
    }
    return false;
}

static void send_signal(game *g)
{
    static const char *const correlations[] = {NULL, "1", " \"\\u0078\"", "7"};

    rig_signal(&g->w, chance(g, 50) ? "go" : "stop", correlations[below(g, 4)], "[2]");
}

/* To all that wait for one and would wait for ever. */
static void send_all_signals(game *g)
{
    uint32_t made = g->w.made;

    for (uint32_t i = 0; i < made; i++) {
        checkpoint c = g->w.history[i];

        if (c.kind == CHECKPOINT_WAITING && c.output)
            rig_signal(&g->w, signal_name(g, c.step, c.index), correlation(g, c.step, c.index),
                       "[3]");
    }
}

static void set_pause(game *g, bool paused)
{
    g->is_paused = g->w.options.paused = paused;
    run_pause(g->w.run, paused, g->w.now_ms);
}

static void cancel(game *g)
{
    g->cancelled = true;
    g->is_paused = g->w.options.paused = false;
    run_cancel(g->w.run, "chance", g->w.now_ms);
}

static void restart(game *g)
{
    g->w.stored += below(g, g->w.made - g->w.stored + 1); /* stored, but nobody was told */
    rig_restart(&g->w, ANY);
    for (uint32_t i = 0; i < g->w.made; i++)
        g->has_forgotten |= g->w.history[i].kind == CHECKPOINT_CLOSING;
    memset(g->begun, 0, sizeof g->begun);
    memset(g->volatile_end, 0, sizeof g->volatile_end);
    if (g->cancelled) /* it is in the inbox */
        cancel(g);
    if (is_late(g))
        set_pause(g, false);
}

static void pass_time(game *g)
{
    rig *w = &g->w;

    w->now_ms = run_deadline(w->run) > w->now_ms ? run_deadline(w->run) : w->now_ms;
    if (is_late(g))
        g->is_paused = w->options.paused = false; /* it ends, paused or not */
    run_tick(w->run, w->now_ms);
}

static bool act(game *g)
{
    uint32_t out = g->w.out_count;

    if (!rig_step(&g->w))
        return false;
    if (g->w.out_count > out)
        check_begin(g, &g->w.out[out]);
    return true;
}

static bool play_one(game *g)
{
    rig *w = &g->w;

    if (chance(g, 50))
        return act(g);
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
    if (chance(g, 4)) {
        send_signal(g);
        return true;
    }
    if (chance(g, 2)) {
        set_pause(g, !g->is_paused);
        return true;
    }
    if (chance(g, 5))
        return end_some_child(g);
    if (run_deadline(w->run) != INT64_MAX && chance(g, 50)) {
        pass_time(g);
        return true;
    }
    return false;
}

static bool is_for(const told *t, const char *name, const char *value)
{
    return t->name && !t->consumed_by && !strcmp(t->name, name) &&
           (!value || (t->correlation && !strcmp(t->correlation->data, value)));
}

/* Nobody waits for a signal that is there. */
static void check_signals(const game *g)
{
    if (g->is_paused || g->cancelled || is_late(g) || run_closing_state(g->w.run) != RUN_RUNNING)
        return;
    for (uint32_t i = 0; i < g->w.made; i++) {
        const checkpoint *c = &g->w.history[i];

        if (c->kind != CHECKPOINT_WAITING || !c->output || has_ended(g, c->step, c->index) ||
            has_ended(g, c->step, INDEX_NONE))
            continue;
        for (uint32_t n = 0; n < g->w.told_count; n++)
            assert_false(is_for(&g->w.inbox[n], signal_name(g, c->step, c->index),
                                correlation(g, c->step, c->index)));
    }
}

/* Nothing happens any more by itself. */
static void move_on(game *g)
{
    assert_true(run_is_waiting(g->w.run));
    check_signals(g);
    if (g->is_paused)
        set_pause(g, false);
    send_all_signals(g);
    end_some_child(g);
}

static void play_to_the_end(game *g, int cancel_at)
{
    uint32_t idle = 0, moved = 0;

    for (int events = 0; !g->w.ended; events++) {
        if (events == cancel_at) {
            cancel(g);
            idle = 0;
        }
        idle = play_one(g) ? 0 : idle + 1;
        if (idle > 100 && !g->w.out_count && run_deadline(g->w.run) == INT64_MAX) {
            move_on(g);
            moved++;
            idle = 0;
        }
        if (idle > 1000 || events > 100000 || moved > 50)
            fail_msg("seed %llu hangs: out '%s', history %s", (unsigned long long)g->seed,
                     rig_doing(&g->w), rig_history(&g->w));
    }
    check_end(g);
}

/* ---- The next run ---------------------------------------------------------------------------- */

/* The rows become the history of a game in which other things happen. The old one's rig is closed. */
static void open_next(game *g, const carried *c)
{
    definition *d = definition_ref(g->w.definition);
    run_options options = {.random = next_random, .random_ctx = g};
    rig *w = &g->w;

    rig_close(w);
    *g = (game){.seed = mix(g->seed), .random = mix(g->random)};
    rig_open_definition(w, d, &options);
    w->history = malloc((c->count + 1) * sizeof *w->history);
    w->history_max = c->count + 1;
    for (; w->made < c->count; w->made++) {
        w->history[w->made] = c->rows[w->made];
        bytes_ref(c->rows[w->made].output);
        bytes_ref(c->rows[w->made].error);
    }
    w->stored = w->made;
    rig_restart(w, ANY); /* and the restored run believes all of it */
}

static bool was_undone(const game *g, uint32_t step, uint32_t index)
{
    for (uint32_t i = 0; i < g->w.made; i++) {
        const checkpoint *c = &g->w.history[i];

        if ((c->kind == CHECKPOINT_UNDONE || c->kind == CHECKPOINT_UNDO_FAILED) &&
            c->step == step && c->index == index)
            return true;
    }
    return false;
}

static void play_next(game *g)
{
    const definition *d = g->w.definition;
    const char *step = chance(g, 50) ? d->steps[below(g, d->step_count)].id : NULL;
    carried c = {0};
    orch_error *err = NULL;

    if (carry_over(d, g->w.history, g->w.made, d, step, &c, &err))
        fail_msg("seed %llu: %s", (unsigned long long)g->seed, orch_error_message(err));
    for (uint32_t i = 0; i < c.count; i++) {
        assert_false(was_undone(g, c.rows[i].step, c.rows[i].index));
        assert_true(!step || c.rows[i].step != rig_number(&g->w, step));
        assert_int_not_equal(c.rows[i].kind, CHECKPOINT_CANCELLED);
    }
    open_next(g, &c);
    carried_clear(&c);
    play_to_the_end(g, -1);
}

static void play(uint64_t seed)
{
    game g;

    open_game(&g, seed);
    g.output_failed = g.w.definition->output && chance(&g, 15);
    play_to_the_end(&g, chance(&g, 20) ? (int)below(&g, 200) : -1);
    if (chance(&g, 50))
        play_next(&g);
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
