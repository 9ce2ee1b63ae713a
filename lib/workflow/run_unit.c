/* One unit of work: its attempts and their timeouts. */
#include "base/mem.h"
#include "workflow/run_impl.h"

timing *run_timing(run *r, place at)
{
    node *n = run_node(r, at);

    if (n->timing)
        return n->timing;
    n->timing = mem_zalloc(sizeof *n->timing);
    if (!n->timing) {
        run_no_memory(r);
        return NULL;
    }
    n->timing->at = at;
    n->timing->attempt = 1;
    return n->timing;
}

void run_timing_free(run *r, timing *t)
{
    heap_remove(&r->timers, &t->timer);
    switch (run_step(r, t->at.step)->kind) {
    case STEP_WAIT: run_listener_free(r, t->listener); break;
    case STEP_WORKFLOW: run_child_free(r, t->child); break;
    default: run_beat_free(t->beat);
    }
    mem_free(t);
}

void run_drop_timing(run *r, node *n)
{
    if (!n->timing)
        return;
    run_timing_free(r, n->timing);
    n->timing = NULL;
}

void run_set_timer(run *r, timing *t)
{
    if (heap_set(&r->timers, &t->timer, t->due_ms))
        t->due_ms = 0;
    else
        run_no_memory(r);
}

void run_end_unit(run *r, place at, checkpoint *c)
{
    node *n = run_node(r, at);

    run_drop_timing(r, n);
    if (at.index == INDEX_NONE) {
        run_end_step(r, c);
        return;
    }
    n->phase = PHASE_ENDED;
    n->end = c->kind;
    n->value = bytes_ref(c->kind == CHECKPOINT_SUCCEEDED ? c->output : c->error);
    run_record(r, c);
    run_item_ended(r, at);
}

/* ---- Attempts -------------------------------------------------------------------------------- */

/* What few have: timers, details, an attempt before. False if there is no memory. */
static bool arm(run *r, place at, run_action *out)
{
    static const step_extra none;
    const step_extra *extra = run_step(r, at.step)->extra ? run_step(r, at.step)->extra : &none;
    int64_t timeout_at = extra->timeout_ms ? r->now_ms + extra->timeout_ms : INT64_MAX;
    timing *t = run_node(r, at)->timing;

    if (!t && (extra->timeout_ms || extra->heartbeat_ms)) {
        t = run_timing(r, at);
        if (!t)
            return false;
    }
    if (!t)
        return true;
    out->attempt = t->attempt;
    if (extra->timeout_ms && (!out->deadline_ms || timeout_at < out->deadline_ms))
        out->deadline_ms = timeout_at;
    if (extra->heartbeat_ms || t->beat) {
        if (!run_beat_begin(r, t, timeout_at, extra->heartbeat_ms))
            return false;
        out->heartbeat_ms = extra->heartbeat_ms;
        out->details = t->beat->details;
    } else if (extra->timeout_ms && !heap_set(&r->timers, &t->timer, timeout_at)) {
        run_no_memory(r);
        return false;
    }
    return true;
}

bool run_attempt(run *r, place at, run_action *out)
{
    node *n = run_node(r, at);

    run_give(out, RUN_ATTEMPT, at);
    out->role = ROLE_STEP;
    out->attempt = 1;
    out->deadline_ms = r->options.deadline_ms;
    out->heartbeat_ms = 0;
    out->details = NULL;
    if ((run_step(r, at.step)->extra || n->timing) && !arm(r, at, out))
        return false;
    n->phase = PHASE_RUNNING;
    r->awaited++;
    return true;
}

/* True if another attempt follows; the checkpoint is taken over then. */
static bool try_again(run *r, place at, int32_t code, checkpoint *c)
{
    const step *s = run_step(r, at.step);
    node *n = run_node(r, at);
    int64_t began_ms = n->timing && n->timing->began_ms ? n->timing->began_ms : c->started_ms;
    timing *t;

    if (r->phase != RUN_GOING || !s->extra)
        return false;
    if (at.index != INDEX_NONE && run_stops(r->nodes[at.step].each))
        return false;
    c->due_ms = run_retry_at(&s->extra->retry, c->attempt, code, began_ms, r->now_ms, &r->options);
    if (!c->due_ms)
        return false;
    t = run_timing(r, at);
    if (!t) {
        c->due_ms = 0;
        return false;
    }
    t->began_ms = began_ms;
    t->due_ms = c->due_ms;
    t->attempt = c->attempt + 1;
    n->phase = PHASE_RETRYING;
    c->kind = CHECKPOINT_RETRYING;
    if (s->kind == STEP_TASK && t->beat)
        c->output = bytes_ref(t->beat->details);
    run_record(r, c);
    return true;
}

static bool was_cancelled(const run *r, int32_t code)
{
    return r->phase == RUN_CLOSING && (code == ORCH_E_CANCELLED || code == r->stop_code);
}

bytes *run_attempt_error(const run *r, run_result *result, bool late, uint32_t attempt,
                         int64_t timeout_ms)
{
    bytes *error = result->error;

    if (late)
        error = run_error(ORCH_E_DEADLINE_EXCEEDED, "attempt %u passed its timeout of %lld ms",
                          attempt, (long long)timeout_ms);
    else if (error)
        result->error = NULL;
    else
        error = run_error_wrap(NULL, result->code, "", NULL);
    return error ? error : bytes_ref(r->no_memory);
}

static bool was_silent(run *r, place at)
{
    const timing *t = run_node(r, at)->timing;

    return run_step(r, at.step)->kind == STEP_TASK && t && t->beat && t->beat->was_silent;
}

static void attempt_failed(run *r, place at, bool late, run_result *result, checkpoint *c)
{
    const step_extra *extra = run_step(r, at.step)->extra;
    int32_t code = late ? ORCH_E_DEADLINE_EXCEEDED : result->code;
    bool no_retry = result->no_retry && !late;

    if (late && was_silent(r, at))
        c->error = run_error(code, "attempt %u: no heartbeat for %lld ms", c->attempt,
                             (long long)extra->heartbeat_ms);
    else
        c->error = run_attempt_error(r, result, late, c->attempt, extra ? extra->timeout_ms : 0);
    if (!c->error)
        c->error = bytes_ref(r->no_memory);
    if (!no_retry && try_again(r, at, code, c))
        return;
    c->kind = !late && was_cancelled(r, code) ? CHECKPOINT_CANCELLED : CHECKPOINT_FAILED;
    run_end_unit(r, at, c);
}

static inline node *find_attempt(run *r, place at, uint32_t attempt)
{
    node *n = r->phase != RUN_OVER ? run_find(r, at) : NULL;
    const timing *t;

    if (!n || !run_is_out(n))
        return NULL;
    t = n->timing;
    if (t ? t->attempt != attempt || run_step(r, at.step)->kind != STEP_TASK : attempt != 1)
        return NULL;
    return n;
}

node *run_find_attempt(run *r, place at, uint32_t attempt)
{
    return find_attempt(r, at, attempt);
}

static inline void attempt_over(run *r, place at, bool late, run_result *result, checkpoint *c)
{
    const node *n = run_node(r, at);

    if (n->timing)
        heap_remove(&r->timers, &n->timing->timer);
    if (result->code) {
        attempt_failed(r, at, late, result, c);
        return;
    }
    c->kind = CHECKPOINT_SUCCEEDED;
    c->output = result->output;
    result->output = NULL;
    run_end_unit(r, at, c);
}

void run_attempt_over(run *r, place at, bool late, run_result *result, checkpoint *c)
{
    attempt_over(r, at, late, result, c);
}

void run_attempt_ended(run *r, enum run_role role, uint32_t number, uint32_t index,
                       uint32_t attempt, run_result *result, int64_t now_ms)
{
    place at = {number, index};
    const node *n = find_attempt(r, at, attempt);

    r->now_ms = now_ms;
    if (n && role == ROLE_STEP) {
        checkpoint c = {
            .step = number, .index = index, .attempt = attempt, .started_ms = result->started_ms};

        r->awaited--;
        attempt_over(r, at, n->phase != PHASE_RUNNING, result, &c);
    } else if (role != ROLE_STEP) {
        run_aftermath_ended(r, role, at, attempt, result);
    }
    bytes_unref(result->output);
    bytes_unref(result->error);
    result->output = result->error = NULL;
}

void run_stop(const run *r, place at, int32_t code, run_action *out)
{
    const step *s = run_step(r, at.step);
    const node *n = at.index == INDEX_NONE ? &r->nodes[at.step]
                                           : &r->nodes[at.step].each->items[at.index];

    run_give(out, s->kind == STEP_WORKFLOW ? RUN_STOP_CHILD : RUN_STOP, at);
    out->role = ROLE_STEP;
    out->attempt = n->timing ? n->timing->attempt : 1;
    out->code = code;
}

bool run_next_overdue(run *r, run_action *out)
{
    while (r->overdue.len) {
        place at = *(place *)ring_pop(&r->overdue, sizeof at);
        node *n = run_node(r, at);

        if (n->phase != PHASE_OVERDUE) /* it ended meanwhile */
            continue;
        n->phase = PHASE_STOPPING;
        run_stop(r, at, ORCH_E_DEADLINE_EXCEEDED, out);
        return true;
    }
    return false;
}

/* ---- What it begins with, and timers --------------------------------------------------------- */

bool run_first_action(run *r, place at, run_action *out)
{
    switch (run_step(r, at.step)->kind) {
    case STEP_WAIT: return run_ask(r, at, RUN_DUE, PHASE_DUE, out);
    case STEP_WORKFLOW: return run_ask(r, at, RUN_SPEC, PHASE_SPEC, out);
    default: return run_attempt(r, at, out);
    }
}

bool run_begin_unit(run *r, place at, run_action *out)
{
    if (!run_node(r, at)->timing)
        return run_first_action(r, at, out);
    run_resume(r, at);
    return false;
}

void run_resume(run *r, place at)
{
    const step *s = run_step(r, at.step);
    node *n = run_node(r, at);

    /* An item that waited for its retry may have been dropped. */
    if (!n->timing || n->phase == PHASE_ENDED)
        return;
    if (s->kind == STEP_WAIT) {
        run_sleep(r, at);
    } else if (s->kind == STEP_WORKFLOW && n->timing->child) {
        run_child_resume(r, at);
    } else if (n->timing->due_ms && !MUTATED(BACKOFF_FORGOTTEN)) {
        n->phase = PHASE_BACKOFF;
        run_set_timer(r, n->timing);
    } else { /* its attempt was out before a restart */
        n->phase = PHASE_AGAIN;
        run_push(r, at);
    }
}

static void set_overdue(run *r, place at)
{
    place *slot = ring_push(&r->overdue, sizeof *slot);

    if (slot) {
        *slot = at;
        run_node(r, at)->phase = PHASE_OVERDUE;
    } else {
        run_no_memory(r);
    }
}

void run_timer(run *r, timing *t)
{
    node *n = run_node(r, t->at);

    switch (n->phase) {
    case PHASE_CALL:
        if (run_child_late(r, t->at))
            set_overdue(r, t->at);
        break;
    case PHASE_RUNNING:
        if (run_step(r, t->at.step)->kind != STEP_TASK || !t->beat || run_beat_over(r, t))
            set_overdue(r, t->at);
        break;
    case PHASE_BACKOFF:
        n->phase = PHASE_AGAIN;
        run_push(r, t->at);
        break;
    case PHASE_SLEEPING: run_sleep_over(r, t->at); break;
    default: break;
    }
}
