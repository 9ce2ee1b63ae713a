#include "workflow/run.h"

#include "base/error.h"
#include "base/mem.h"
#include "workflow/run_impl.h"

/* As run_error would write it, without the work. */
static const char no_memory[] = "{\"code\":\"RESOURCE_EXHAUSTED\",\"message\":\"out of memory\"}";

run *run_new(definition *d, const run_options *options)
{
    run *r = mem_zalloc(sizeof *r + (size_t)d->step_count * sizeof(node));

    if (!r)
        return NULL;
    r->definition = definition_ref(d);
    r->options = *options;
    r->no_memory = bytes_new(no_memory, sizeof no_memory - 1);
    if (!r->no_memory || !run_prepare_aftermath(r)) {
        run_free(r);
        return NULL;
    }
    if (!r->options.max_items)
        r->options.max_items = 1000000;
    r->counts.steps = d->step_count;
    r->stopped.index = INDEX_NONE;
    for (uint32_t i = 0; i < d->step_count; i++) {
        r->nodes[i].waits_for = d->steps[i].dependency_count;
        r->handlers += d->steps[i].run_if != RUN_IF_ALL_SUCCEEDED;
    }
    return r;
}

static void free_node(run *r, const step *s, node *n, bool is_item)
{
    bytes_unref(n->value);
    if (is_item || !run_has_items(s)) {
        if (n->timing)
            run_timing_free(r, n->timing);
        return;
    }
    for (uint32_t i = 0; n->each && i < n->each->count; i++)
        free_node(r, s, &n->each->items[i], true);
    if (n->each)
        bytes_unref(n->each->error);
    mem_free(n->each);
}

void run_free(run *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->counts.steps; i++)
        free_node(r, run_step(r, i), &r->nodes[i], false);
    run_free_signals(r);
    run_free_aftermath(r);
    while (r->made.len)
        checkpoint_clear(ring_pop(&r->made, sizeof(checkpoint)));
    mem_free(r->made.data);
    mem_free(r->unstored.data);
    mem_free(r->asks.data);
    mem_free(r->starts.data);
    mem_free(r->begun.data);
    mem_free(r->overdue.data);
    heap_free(&r->timers);
    bytes_unref(r->lent);
    bytes_unref(r->output);
    bytes_unref(r->error);
    bytes_unref(r->no_memory);
    definition_unref(r->definition);
    mem_free(r);
}

static void start_ready(run *r)
{
    for (uint32_t i = 0; i < r->counts.steps; i++) {
        const node *n = &r->nodes[i];

        if (n->phase == PHASE_ENDED)
            run_release(r, i);
        else if (!n->waits_for && n->phase == PHASE_WAITING)
            run_ready(r, i);
    }
}

/* It was closed before the restart. A cancel would be in the inbox, and told already: so its time ran out, though not yet by
 * the clock of this machine. */
static void close_again(run *r)
{
    if (r->options.deadline_ms)
        run_close(r, RUN_TIMED_OUT, ORCH_E_DEADLINE_EXCEEDED,
                  run_error_text(ORCH_E_DEADLINE_EXCEEDED, "the execution passed its deadline"));
    else
        run_close(r, RUN_CANCELLED, ORCH_E_CANCELLED,
                  run_error_text(ORCH_E_CANCELLED, "cancelled before the restart"));
}

int32_t run_start(run *r, int64_t now_ms, orch_error **err)
{
    r->now_ms = now_ms;
    if (r->phase != RUN_LOADING) /* cancelled already */
        return ORCH_OK;
    if (run_is_closed(r)) {
        run_leave(r);
        run_aftermath_stored(r);
        return ORCH_OK;
    }
    r->phase = RUN_GOING;
    run_tick(r, now_ms); /* it may have no time left */
    if (r->phase == RUN_GOING && r->was_stopped)
        close_again(r);
    if (r->phase != RUN_GOING)
        return ORCH_OK;
    start_ready(r);
    return r->phase == RUN_GOING ? ORCH_OK : error_no_memory(err);
}

void run_pause(run *r, bool paused, int64_t now_ms)
{
    r->now_ms = now_ms;
    r->options.paused = paused;
}

void run_hold(run *r, bool held)
{
    r->held = held;
}

/* That a step failed decides what others do, so it must be stored first. */
static inline bool may_start(const run *r)
{
    return r->phase == RUN_GOING && (!r->options.paused || MUTATED(PAUSE_IGNORED)) &&
           !run_all_done(r) && (r->failed_seq <= r->stored_seq || MUTATED(FAILURE_NOT_AWAITED));
}

bool run_is_held_up(const run *r)
{
    if (r->phase == RUN_AFTERMATH)
        return r->held && run_aftermath_could_start(r);
    return r->held && may_start(r) && (r->asks.len || r->starts.len);
}

/* ---- Time ------------------------------------------------------------------------------------ */

int64_t run_deadline(const run *r)
{
    int64_t at = r->options.deadline_ms ? r->options.deadline_ms : INT64_MAX;
    heap_node *first = heap_first(&r->timers);

    if (r->phase == RUN_AFTERMATH)
        return r->aftermath->timer_ms;
    if (r->phase != RUN_GOING && r->phase != RUN_ASKING)
        return INT64_MAX;
    return first && first->at < at ? first->at : at;
}

static inline bool is_due(const run *r, int64_t now_ms)
{
    return (r->timers.len || r->options.deadline_ms || r->phase == RUN_AFTERMATH) &&
           run_deadline(r) <= now_ms;
}

void run_tick(run *r, int64_t now_ms)
{
    r->now_ms = now_ms;
    while (run_deadline(r) <= now_ms) {
        heap_node *first = heap_first(&r->timers);

        if (r->phase == RUN_AFTERMATH) {
            run_aftermath_timer(r);
        } else if (r->options.deadline_ms && r->options.deadline_ms <= now_ms) {
            run_close(r, RUN_TIMED_OUT, ORCH_E_DEADLINE_EXCEEDED,
                      run_error(ORCH_E_DEADLINE_EXCEEDED, "the execution passed its deadline"));
        } else {
            heap_remove(&r->timers, first);
            run_timer(r, (timing *)(void *)((char *)first - offsetof(timing, timer)));
        }
    }
}

/* ---- Actions --------------------------------------------------------------------------------- */

bool run_ask(run *r, place at, enum run_expression what, enum phase phase, run_action *out)
{
    run_node(r, at)->phase = (uint8_t)phase;
    r->awaited++;
    run_give(out, RUN_EVALUATE, at);
    out->what = (uint8_t)what;
    return true;
}

static bool next_going(run *r, run_action *out)
{
    if (r->overdue.len && run_next_overdue(r, out))
        return true;
    while (r->begun.len && r->phase == RUN_GOING) {
        if (run_advance(r, *(place *)ring_pop(&r->begun, sizeof(place)), out))
            return true;
        if (r->made.len)
            return false;
    }
    while (!r->held && may_start(r)) {
        /* One that is passed over may let go on what had begun behind it. */
        ring *q = r->begun.len ? &r->begun : r->asks.len ? &r->asks : &r->starts;

        if (!q->len)
            return false;
        if (run_advance(r, *(place *)ring_pop(q, sizeof(place)), out))
            return true;
        if (r->made.len)
            return false;
    }
    return false;
}

static void give_end(run *r, run_action *out)
{
    run_give(out, RUN_END, (place){0, INDEX_NONE});
    out->state = r->state;
    out->children = r->has_left_children;
    out->output = r->output;
    out->error = r->error;
    r->output = r->error = NULL;
    r->phase = RUN_OVER;
}

static void give_checkpoint(run *r, run_action *out)
{
    const checkpoint *c = ring_pop(&r->made, sizeof *c);

    run_give(out, RUN_CHECKPOINT, (place){c->step, c->index});
    out->attempt = c->attempt;
    out->checkpoint = *c;
    out->checkpoint.seq = r->last_seq - r->made.len;
}

/* There is no checkpoint to give, unless one is made here. */
static bool next_other(run *r, run_action *out)
{
    if (r->phase == RUN_GOING) {
        if (next_going(r, out))
            return true;
        if (!r->made.len && run_all_done(r) && run_next_done(r, out))
            return true;
    }
    if (r->phase == RUN_CLOSING && run_next_closing(r, out))
        return true;
    if (r->phase == RUN_AFTERMATH && run_next_aftermath(r, out))
        return true;
    if (r->phase == RUN_ENDING && !r->made.len) {
        give_end(r, out);
        return true;
    }
    return false;
}

bool run_next(run *r, int64_t now_ms, run_action *out)
{
    r->now_ms = now_ms;
    do {
        if (is_due(r, now_ms))
            run_tick(r, now_ms);
        if (r->made.len) {
            give_checkpoint(r, out);
            return true;
        }
        if (next_other(r, out))
            return true;
    } while (r->made.len || is_due(r, now_ms));
    return false;
}

/* ---- Answers --------------------------------------------------------------------------------- */

node *run_find(run *r, place at)
{
    const each *e;

    if (at.step >= r->counts.steps)
        return NULL;
    if (at.index == INDEX_NONE)
        return &r->nodes[at.step];
    e = run_has_items(run_step(r, at.step)) ? r->nodes[at.step].each : NULL;
    return e && at.index < e->count ? run_node(r, at) : NULL;
}

/* Nothing starts any more. */
static void too_late(run *r, place at)
{
    run_node(r, at)->phase = PHASE_WAITING;
    if (r->phase == RUN_CLOSING)
        run_end_uncertain(r, at, CHECKPOINT_CANCELLED);
}

void run_evaluated(run *r, enum run_expression what, uint32_t number, uint32_t index, run_answer *a,
                   int64_t now_ms)
{
    static const uint8_t asked[] = {
        [RUN_WHEN] = PHASE_WHEN,
        [RUN_FOR_EACH] = PHASE_LISTING,
        [RUN_DUE] = PHASE_DUE,
        [RUN_SPEC] = PHASE_SPEC,
    };
    place at = {number, index};
    node *n = run_find(r, at);

    r->now_ms = now_ms;
    if (what == RUN_OUTPUT) {
        run_output(r, a);
    } else if (n && n->phase == asked[what]) {
        r->awaited--;
        if (r->phase != RUN_GOING)
            too_late(r, at);
        else if (what == RUN_WHEN)
            run_decided(r, number, a);
        else if (what == RUN_FOR_EACH)
            run_listed(r, number, a);
        else if (what == RUN_DUE)
            run_due(r, at, a);
        else
            run_specified(r, at, a);
    }
    bytes_unref(a->value);
    bytes_unref(a->error);
    a->value = a->error = NULL;
}

void run_stored(run *r, uint64_t seq)
{
    uint64_t given = r->last_seq - r->made.len;

    while (r->stored_seq < seq && r->stored_seq < given) {
        unstored u = *(unstored *)ring_pop(&r->unstored, sizeof u);

        r->stored_seq++;
        run_settle(r, u.at, u.kind);
    }
}

/* ---- Questions ------------------------------------------------------------------------------- */

bool run_is_waiting(const run *r)
{
    if (r->awaited || r->unstored.len || r->made.len)
        return false;
    if (r->phase == RUN_AFTERMATH)
        return run_aftermath_waits(r);
    if (r->overdue.len)
        return false;
    /* Why it closes is told again after a restart: by the inbox, or by the clock. */
    if (r->phase == RUN_CLOSING)
        return r->children && r->state != RUN_FAILED && run_has_closed(r);
    return r->phase == RUN_GOING && !r->begun.len &&
           (r->options.paused || (!r->asks.len && !r->starts.len)) && !run_all_done(r);
}

uint64_t run_last_seq(const run *r)
{
    return r->last_seq;
}

static bool get_value(const node *n, run_value *out)
{
    bool is_error = n->end != CHECKPOINT_SUCCEEDED;

    if (n->phase != PHASE_ENDED)
        return false;
    *out = (run_value){
        .kind = n->end, .output = is_error ? NULL : n->value, .error = is_error ? n->value : NULL};
    return true;
}

bool run_get_value(const run *r, uint32_t number, run_value *out)
{
    const node *n = number < r->counts.steps ? &r->nodes[number] : NULL;

    if (!n || !get_value(n, out))
        return false;
    if (run_has_items(run_step(r, number)) && n->each)
        out->items = n->each->count;
    return true;
}

bool run_get_item(const run *r, uint32_t number, uint32_t index, run_value *out)
{
    const each *e;

    if (number >= r->counts.steps || !run_has_items(run_step(r, number)))
        return false;
    e = r->nodes[number].each;
    return e && index < e->count && get_value(&e->items[index], out);
}

const digest *run_items_digest(const run *r, uint32_t number)
{
    const each *e = NULL;

    if (number < r->counts.steps && run_has_items(run_step(r, number)))
        e = r->nodes[number].each;
    return e ? &e->digest : NULL;
}

bytes *run_item_output(const run *r, uint32_t number, uint32_t index)
{
    run_value v;

    return run_get_item(r, number, index, &v) ? v.output : NULL;
}

bool run_is_running(const run *r, uint32_t number, uint32_t index)
{
    const node *n;
    const each *e;

    if (number >= r->counts.steps)
        return false;
    n = &r->nodes[number];
    if (index != INDEX_NONE) {
        e = run_has_items(run_step(r, number)) ? n->each : NULL;
        n = e && index < e->count ? &e->items[index] : NULL;
    }
    return n && (n->phase == PHASE_RUNNING || n->phase == PHASE_OVERDUE ||
                 n->phase == PHASE_STOPPING || n->phase == PHASE_ITEMS);
}

run_counts run_get_counts(const run *r)
{
    return r->counts;
}
