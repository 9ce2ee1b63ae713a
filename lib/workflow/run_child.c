/* A child execution: from what its step asks for to its end. Its start is stored before it is asked for, so that after
 * a restart the same child is asked for again, and its end finds who waits for it. */
#include "base/error.h"
#include "base/mem.h"
#include "workflow/child.h"
#include "workflow/run_impl.h"

struct child {
    bytes *spec; /* until RUN_CHILD is given */
    int64_t started_ms;
    bool is_abandoned; /* it goes on when its parent is cancelled */
    bool may_exist;    /* RUN_CHILD was given, or may have been before a restart */
    bool has_ended;    /* before that could be acted upon: how is below */
    uint64_t inbox;
    run_result result;
};

child *run_child_of(const run *r, place at)
{
    const step *s = run_step(r, at.step);
    const node *n = &r->nodes[at.step];

    if (s->kind != STEP_WORKFLOW)
        return NULL;
    if (run_has_items(s)) {
        if (at.index == INDEX_NONE)
            return NULL;
        n = &n->each->items[at.index];
    }
    return n->timing ? n->timing->child : NULL;
}

void run_child_free(run *r, child *c)
{
    if (!c)
        return;
    r->children--;
    bytes_unref(c->spec);
    bytes_unref(c->result.output);
    bytes_unref(c->result.error);
    mem_free(c);
}

/* ---- Its start ------------------------------------------------------------------------------- */

int32_t run_child_new(run *r, timing *t, bytes *spec, bool may_exist, int64_t started_ms,
                      orch_error **err)
{
    child_spec parts = {0};
    int32_t code = child_spec_read(spec, &parts, err);

    if (code)
        return code;
    t->child = mem_zalloc(sizeof *t->child);
    if (t->child) {
        r->children++;
        *t->child = (child){.spec = bytes_ref(spec),
                            .started_ms = started_ms,
                            .may_exist = may_exist,
                            .is_abandoned = parts.on_cancel == CHILD_ABANDON};
    } else {
        code = error_no_memory(err);
    }
    child_spec_clear(&parts);
    return code;
}

static void refuse(run *r, place at, bytes *error)
{
    const timing *t = run_node(r, at)->timing;
    checkpoint c = {.step = at.step, .index = at.index, .kind = CHECKPOINT_FAILED};

    c.attempt = t ? t->attempt - 1 : 0; /* this one was never made */
    c.error = error ? error : bytes_ref(r->no_memory);
    run_end_unit(r, at, &c);
}

/* Its `with` is evaluated. */
void run_specified(run *r, place at, run_answer *a)
{
    const step_extra *extra = run_step(r, at.step)->extra;
    orch_error *err = NULL;
    timing *t;
    int32_t code;

    if (a->code || !a->value) {
        refuse(r, at, run_error_wrap(a->error, a->code ? a->code : ORCH_E_INTERNAL, "", NULL));
        return;
    }
    t = run_timing(r, at);
    if (!t)
        return;
    code = run_child_new(r, t, a->value, false, r->now_ms, &err);
    if (code) {
        refuse(r, at, run_error_text(code, orch_error_message(err)));
        orch_error_free(err);
        return;
    }
    if (!t->began_ms)
        t->began_ms = r->now_ms;
    t->due_ms = extra && extra->timeout_ms ? r->now_ms + extra->timeout_ms : 0;
    run_node(r, at)->phase = PHASE_HOLDING;
    run_record(r, &(checkpoint){.step = at.step,
                                .index = at.index,
                                .kind = CHECKPOINT_CHILD,
                                .attempt = t->attempt,
                                .started_ms = r->now_ms,
                                .due_ms = t->due_ms,
                                .output = bytes_ref(a->value)});
}

static void end(run *r, place at);

/* That it is to be started is stored. */
void run_child_resume(run *r, place at)
{
    node *n = run_node(r, at);

    n->phase = PHASE_CALL;
    if (n->timing->child->has_ended) {
        end(r, at);
        return;
    }
    if (n->timing->due_ms)
        run_set_timer(r, n->timing);
    run_push(r, at);
}

bool run_call(run *r, place at, run_action *out)
{
    node *n = run_node(r, at);
    child *c = n->timing->child;

    n->phase = PHASE_RUNNING;
    c->may_exist = true;
    run_give(out, RUN_CHILD, at);
    out->attempt = n->timing->attempt;
    bytes_unref(r->lent);
    out->spec = r->lent = c->spec;
    c->spec = NULL;
    return true;
}

/* ---- Its end --------------------------------------------------------------------------------- */

static void end(run *r, place at)
{
    node *n = run_node(r, at);
    child *c = n->timing->child;
    run_result result = c->result;
    checkpoint row = {.step = at.step, .index = at.index, .attempt = n->timing->attempt};
    bool is_late = n->phase == PHASE_OVERDUE || n->phase == PHASE_STOPPING;

    row.inbox = c->inbox;
    row.started_ms = c->started_ms;
    c->result = (run_result){0};
    n->timing->child = NULL;
    run_child_free(r, c);
    run_attempt_over(r, at, is_late, &result, &row);
    bytes_unref(result.output);
    bytes_unref(result.error);
}

static bool is_awaited(const run *r, const node *n)
{
    return n->phase == PHASE_CALL ? r->phase == RUN_GOING : run_is_out(n);
}

static void ended(run *r, uint64_t seq, place at, uint32_t attempt, run_result *result)
{
    const node *n = run_find(r, at);
    child *c = n ? run_child_of(r, at) : NULL;

    if (c && c->may_exist && !c->has_ended && n->timing->attempt == attempt) {
        c->has_ended = true;
        c->inbox = seq;
        c->result = *result;
        *result = (run_result){0};
        if (is_awaited(r, n))
            end(r, at);
    }
    bytes_unref(result->output);
    bytes_unref(result->error);
    result->output = result->error = NULL;
}

void run_child_ended(run *r, uint64_t seq, uint32_t number, uint32_t index, uint32_t attempt,
                     run_result *result, int64_t now_ms)
{
    r->now_ms = now_ms;
    ended(r, seq, (place){number, index}, attempt, result);
}

void run_child_refused(run *r, uint32_t number, uint32_t index, uint32_t attempt,
                       run_result *result, int64_t now_ms)
{
    r->now_ms = now_ms;
    if (r->phase == RUN_CLOSING) /* there is none any more, which is what was wanted */
        result->code = r->stop_code;
    ended(r, 0, (place){number, index}, attempt, result);
}

/* ---- It is to be stopped --------------------------------------------------------------------- */

/* The timer went off. One that was not asked for yet only fails to start. */
bool run_child_late(run *r, place at)
{
    node *n = run_node(r, at);
    child *c = n->timing->child;

    if (c->may_exist)
        return true;
    n->phase = PHASE_OVERDUE;
    c->result.code = ORCH_E_DEADLINE_EXCEEDED;
    end(r, at);
    return false;
}

static void let_go(run *r, place at)
{
    const timing *t = run_node(r, at)->timing;
    bool may_exist = t->child->may_exist;
    checkpoint c = {.step = at.step, .index = at.index, .kind = CHECKPOINT_CANCELLED};

    c.attempt = may_exist ? t->attempt : t->attempt - 1;
    c.started_ms = may_exist ? t->child->started_ms : 0;
    c.error = run_error_text(ORCH_E_CANCELLED, may_exist ? "abandoned: the child goes on by itself"
                                                         : "the child was not started");
    if (!c.error)
        c.error = bytes_ref(r->no_memory);
    r->has_left_children |= may_exist;
    run_end_unit(r, at, &c);
}

/* The run closes. True if it gave an action. */
bool run_close_child(run *r, place at, run_action *out)
{
    node *n = run_node(r, at);
    const child *c = n->timing->child;

    if (c->has_ended) {
        end(r, at);
        return false;
    }
    if (!c->may_exist || c->is_abandoned) {
        let_go(r, at);
        return false;
    }
    if (n->phase == PHASE_STOPPING) /* told already */
        return false;
    n->phase = PHASE_RUNNING;
    run_stop(r, at, r->stop_code, out);
    return true;
}

/* ---- How many are out ------------------------------------------------------------------------ */

#define NEVER \
    UINT64_MAX /* however many succeed: something else comes first, and wakes the run by itself */

static bool has_more_items(const node *n)
{
    return n->each && n->each->next < n->each->count && !run_stops(n->each);
}

/* How many of a step's children must succeed until it ends. */
static uint64_t until_end(const run *r, uint32_t number)
{
    const step *s = run_step(r, number);
    const node *n = &r->nodes[number];

    if (n->phase == PHASE_ENDED)
        return 0;
    if (s->kind != STEP_WORKFLOW)
        return NEVER;
    if (run_has_items(s))
        return n->phase == PHASE_ITEMS && !has_more_items(n) ? n->each->in_flight : NEVER;
    return run_child_of(r, (place){number, INDEX_NONE}) ? 1 : NEVER;
}

/* The same until a step that waits for its dependencies has them, or one with items starts the next. */
static uint64_t until_start(const run *r, uint32_t number)
{
    const step *s = run_step(r, number);
    const node *n = &r->nodes[number];
    uint64_t sum = 0;

    if (n->phase == PHASE_ITEMS)
        return s->kind == STEP_WORKFLOW && has_more_items(n) ? 1 : NEVER;
    if (n->phase != PHASE_WAITING)
        return NEVER;
    for (uint32_t i = 0; i < s->dependency_count && sum < NEVER; i++) {
        uint64_t wanted = until_end(r, r->definition->edges[s->dependencies + i]);

        sum = wanted < NEVER ? sum + wanted : NEVER;
    }
    return sum;
}

uint32_t run_wanted_children(const run *r)
{
    uint64_t least = r->children;

    if (r->phase != RUN_GOING || r->options.paused)
        return r->children;
    for (uint32_t i = 0; i < r->counts.steps && least > 1; i++) {
        uint64_t wanted = until_start(r, i);

        if (wanted < least)
            least = wanted;
    }
    return (uint32_t)least;
}
