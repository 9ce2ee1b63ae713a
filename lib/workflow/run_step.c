/* The graph: what becomes ready, whether it may start, and what its end sets free. */
#include "base/mem.h"
#include "workflow/run_impl.h"

#define DEPENDENTS_FETCHED 2

static place whole(uint32_t number)
{
    return (place){number, INDEX_NONE};
}

/* Whether what it does next is an evaluation. */
static bool asks_first(run *r, place at)
{
    const step *s = run_step(r, at.step);
    const node *n = run_node(r, at);

    if (s->kind != STEP_TASK)
        return n->phase != PHASE_CALL;
    if (!s->extra || n->phase == PHASE_ITEMS || n->phase == PHASE_AGAIN)
        return false;
    return s->extra->for_each || (s->extra->when && !(n->flags & NODE_DECIDED));
}

static inline void push(run *r, ring *q, place at)
{
    place *slot = ring_push(q, sizeof at);

    if (slot)
        *slot = at;
    else
        run_no_memory(r);
}

void run_push(run *r, place at)
{
    push(r, asks_first(r, at) ? &r->asks : &r->starts, at);
}

static inline void become_ready(run *r, uint32_t number)
{
    node *n = &r->nodes[number];

    n->phase = PHASE_READY;
    if (n->flags & NODE_BEGAN)
        push(r, &r->begun, whole(number));
    else
        run_push(r, whole(number));
}

void run_ready(run *r, uint32_t number)
{
    become_ready(r, number);
}

/* ---- May it start? --------------------------------------------------------------------------- */

static bool is_satisfied(const step *s, const node *n)
{
    switch (s->run_if) {
    case RUN_IF_ALL_DONE: return true;
    case RUN_IF_ANY_FAILED: return n->flags & NODE_DEPENDENCY_FAILED;
    case RUN_IF_ANY_SUCCEEDED: return n->flags & NODE_DEPENDENCY_SUCCEEDED;
    default: return !(n->flags & NODE_DEPENDENCY_NOT_DONE);
    }
}

/* After a failure only handlers start. */
static bool is_held_back(const run *r, const step *s)
{
    return r->failed && s->run_if == RUN_IF_ALL_SUCCEEDED && !MUTATED(FAILURE_IGNORED);
}

/* Skipped without a checkpoint: it follows from what is stored. */
static void skip(run *r, uint32_t number, bool by_failure)
{
    node *n = &r->nodes[number];

    r->counts.running--;
    n->phase = PHASE_ENDED;
    n->end = CHECKPOINT_SKIPPED;
    if (by_failure)
        n->flags |= NODE_SKIPPED_BY_FAILURE;
    run_count_end(r, number);
    run_release(r, number);
}

static bool begin(run *r, uint32_t number, run_action *out)
{
    if (run_has_items(run_step(r, number)))
        return run_begin_items(r, number, out);
    return run_begin_unit(r, whole(number), out);
}

static bool decide(run *r, uint32_t number, run_action *out)
{
    const step *s = run_step(r, number);
    node *n = &r->nodes[number];

    if (n->flags & NODE_BEGAN) /* it goes on, however a step without checkpoint ended this time */
        return begin(r, number, out);
    r->counts.running++;
    if (!is_satisfied(s, n)) {
        skip(r, number, n->flags & NODE_DEPENDENCY_NOT_DONE);
        return false;
    }
    if (is_held_back(r, s)) {
        skip(r, number, true);
        return false;
    }
    if (s->extra && s->extra->when && !(n->flags & NODE_DECIDED))
        return run_ask(r, whole(number), RUN_WHEN, PHASE_WHEN, out);
    return begin(r, number, out);
}

static bool begin_decided(run *r, uint32_t number, run_action *out)
{
    if (is_held_back(r, run_step(r, number))) {
        skip(r, number, true);
        return false;
    }
    return begin(r, number, out);
}

bool run_advance(run *r, place at, run_action *out)
{
    switch (run_node(r, at)->phase) {
    case PHASE_READY: return decide(r, at.step, out);
    case PHASE_DECIDED: return begin_decided(r, at.step, out);
    case PHASE_ITEMS: return run_next_item(r, at.step, out);
    case PHASE_AGAIN: return run_first_action(r, at, out);
    case PHASE_CALL: return run_call(r, at, out);
    default: return false; /* dropped since it was queued */
    }
}

void run_decided(run *r, uint32_t number, run_answer *a)
{
    if (a->code) {
        bytes *error = run_error_wrap(a->error, a->code, "when: ", NULL);

        run_fail_step(r, number, error);
    } else if (a->truth) {
        checkpoint c = {.step = number, .index = INDEX_NONE, .kind = CHECKPOINT_DECIDED};

        r->nodes[number].phase = PHASE_DECIDING;
        run_record(r, &c);
    } else {
        checkpoint c = {.step = number, .index = INDEX_NONE, .kind = CHECKPOINT_SKIPPED};

        run_end_step(r, &c);
    }
}

/* ---- Its end --------------------------------------------------------------------------------- */

void run_count_end(run *r, uint32_t number)
{
    uint8_t end = r->nodes[number].end;

    r->counts.ended++;
    if (end == CHECKPOINT_FAILED)
        r->counts.failed++;
    else if (end == CHECKPOINT_SKIPPED)
        r->counts.skipped++;
    if (run_step(r, number)->run_if != RUN_IF_ALL_SUCCEEDED)
        r->handlers--;
}

/* Looked at once the checkpoint is stored, a round trip from now: in a large graph they come from afar. */
static void fetch_dependents(const run *r, uint32_t number)
{
    const step *s = run_step(r, number);
    const uint32_t *dependents = r->definition->edges + s->dependents;

    for (uint32_t i = 0; i < s->dependent_count && i < DEPENDENTS_FETCHED; i++) {
        __builtin_prefetch(&r->nodes[dependents[i]], 1);
        __builtin_prefetch(run_step(r, dependents[i]));
    }
}

/* The checkpoint says how; its bytes are taken over. */
void run_end_step(run *r, checkpoint *c)
{
    uint32_t number = c->step;
    node *n = &r->nodes[number];

    n->phase = PHASE_ENDED;
    n->end = c->kind;
    n->value = bytes_ref(c->kind == CHECKPOINT_SUCCEEDED ? c->output : c->error);
    r->counts.running--;
    run_count_end(r, number);
    fetch_dependents(r, number);
    if (!run_record(r, c) || n->end != CHECKPOINT_FAILED || r->failed ||
        run_continues(run_step(r, number)))
        return;
    r->failed = true;
    r->failed_step = number;
    r->failed_seq = r->last_seq;
}

void run_fail_step(run *r, uint32_t number, bytes *error)
{
    checkpoint c = {.step = number, .index = INDEX_NONE, .kind = CHECKPOINT_FAILED};

    c.error = error ? error : bytes_ref(r->no_memory);
    run_end_step(r, &c);
}

static uint8_t mark_of(const step *s, const node *n)
{
    switch (n->end) {
    case CHECKPOINT_SUCCEEDED: return NODE_DEPENDENCY_SUCCEEDED;
    case CHECKPOINT_FAILED:
        return run_continues(s) ? NODE_DEPENDENCY_FAILED
                                : NODE_DEPENDENCY_FAILED | NODE_DEPENDENCY_NOT_DONE;
    case CHECKPOINT_CANCELLED: return NODE_DEPENDENCY_NOT_DONE;
    default: return n->flags & NODE_SKIPPED_BY_FAILURE ? NODE_DEPENDENCY_NOT_DONE : 0;
    }
}

void run_release(run *r, uint32_t number)
{
    const step *s = run_step(r, number);
    const uint32_t *dependents = r->definition->edges + s->dependents;
    uint8_t mark = mark_of(s, &r->nodes[number]);

    for (uint32_t i = 0; i < s->dependent_count; i++) {
        node *n = &r->nodes[dependents[i]];

        n->flags |= mark;
        if (--n->waits_for ==
                (MUTATED(FAN_IN_OFF_BY_ONE) && run_step(r, dependents[i])->dependency_count > 1) &&
            n->phase == PHASE_WAITING)
            become_ready(r, dependents[i]);
    }
}

void run_settle(run *r, place at, enum checkpoint_kind kind)
{
    node *n;

    if (r->phase != RUN_GOING) {
        if (kind >= CHECKPOINT_CLOSING)
            run_aftermath_stored(r);
        return;
    }
    n = run_node(r, at);
    switch (kind) {
    case CHECKPOINT_DECIDED:
        n->phase = PHASE_DECIDED;
        n->flags |= NODE_DECIDED;
        run_push(r, at);
        break;
    case CHECKPOINT_EXPANDED: run_expanded(r, at.step); break;
    case CHECKPOINT_HEARTBEAT: break;
    case CHECKPOINT_WAITING:
    case CHECKPOINT_RETRYING:
    case CHECKPOINT_CHILD: run_resume(r, at); break;
    default:
        if (at.index == INDEX_NONE)
            run_release(r, at.step);
    }
}
