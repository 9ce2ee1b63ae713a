/* A run from its history. Nothing is believed that this run could not have written. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "workflow/run_impl.h"

/* All that a row is looked at with. */
typedef struct row {
    run *run;
    const checkpoint *c;
    const step *step;
    node *node; /* of the step or the item */
    orch_error **err;
} row;

static int32_t contradicts(const row *w, const char *what)
{
    return error_set(w->err, ORCH_E_DATA_LOSS, w->step->id,
                     "checkpoint %" PRIu64 " of step '%s' (kind %u): %s", w->c->seq, w->step->id,
                     w->c->kind, what);
}

static bool is_item(const row *w)
{
    return w->c->index != INDEX_NONE;
}

/* A step with for_each leaves these to its items. */
static bool is_unit(const row *w)
{
    return is_item(w) || !run_has_items(w->step);
}

static bool is_decided(const row *w)
{
    const node *n = &w->run->nodes[w->c->step];

    return !(w->step->extra && w->step->extra->when) || n->flags & NODE_DECIDED;
}

static uint32_t next_attempt(const node *n)
{
    return n->timing ? n->timing->attempt : 1;
}

/* It goes on after the restart, whatever failed meanwhile, and the run does not end before it. */
static void mark_begun(const row *w)
{
    if (w->node->flags & NODE_BEGAN)
        return;
    w->node->flags |= NODE_BEGAN;
    if (is_item(w))
        w->run->nodes[w->c->step].each->in_flight++;
    else
        w->run->counts.running++;
}

/* ---- Decisions ------------------------------------------------------------------------------- */

static int32_t restore_decided(const row *w)
{
    if (is_item(w) || is_decided(w))
        return contradicts(w, "a second `when`, or one where there is none");
    w->node->flags |= NODE_DECIDED;
    return ORCH_OK;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_digest(const char *hex, digest *out)
{
    if (!hex || strlen(hex) != 2 * DIGEST_SIZE)
        return false;
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out->b[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool read_count(const row *w, const json_t *number, uint32_t *out)
{
    json_int_t n = json_integer_value(number);

    if (!json_is_integer(number) || n < 0 || n > w->run->options.max_items)
        return false;
    *out = (uint32_t)n;
    return true;
}

static int32_t read_expansion(const row *w, uint32_t *count, digest *d)
{
    const bytes *text = w->c->output;
    json_error_t where;
    json_t *tree = text ? json_loadb(text->data, text->len, 0, &where) : NULL;
    bool good = read_count(w, json_object_get(tree, "count"), count) &&
                read_digest(json_string_value(json_object_get(tree, "digest")), d);

    json_decref(tree);
    if (text && !tree && json_lacked_memory(&where))
        return error_no_memory(w->err);
    return good ? ORCH_OK : contradicts(w, "the count and digest of its items cannot be read");
}

static int32_t restore_expanded(const row *w)
{
    uint32_t count = 0;
    digest d;
    int32_t code;

    if (is_item(w) || !run_has_items(w->step) || w->node->each || !is_decided(w))
        return contradicts(w, "a list of items where none is due");
    code = read_expansion(w, &count, &d);
    if (code)
        return code;
    w->node->each = run_each_new(w->step, count, &d);
    if (!w->node->each || !run_reserve_undo(w->run, w->c->step, count))
        return error_no_memory(w->err);
    mark_begun(w);
    return ORCH_OK;
}

static int32_t restore_times(const row *w, uint32_t attempt)
{
    place at = {w->c->step, w->c->index};
    timing *t = run_timing(w->run, at);

    if (!t)
        return error_no_memory(w->err);
    if (!t->began_ms)
        t->began_ms = w->c->started_ms;
    t->due_ms = w->c->due_ms;
    t->attempt = attempt;
    mark_begun(w);
    return ORCH_OK;
}

/* It listens from now on: who waits first has the first signal, also after a restart. */
static int32_t restore_listener(const row *w)
{
    place at = {w->c->step, w->c->index};
    timing *t = run_timing(w->run, at);
    int32_t code;

    if (!t)
        return error_no_memory(w->err);
    code = run_listener_new(at, w->c->output, &t->listener);
    if (code == ORCH_E_INVALID_ARGUMENT)
        return contradicts(w, "what it waits for cannot be read");
    return code || !run_listen(w->run, t->listener) ? error_no_memory(w->err) : ORCH_OK;
}

static int32_t restore_waiting(const row *w)
{
    int32_t code;

    if (w->step->kind != STEP_WAIT || !is_unit(w) || w->node->timing || !is_decided(w))
        return contradicts(w, "a wait where none is due");
    if (w->c->due_ms < 0 || (!w->c->due_ms && !w->c->output))
        return contradicts(w, "it has no due time");
    code = restore_times(w, 1);
    return code || !w->c->output ? code : restore_listener(w);
}

/* What the attempt had to say. */
static int32_t restore_details(const row *w)
{
    timing *t = w->node->timing;

    if (!run_beat(t))
        return error_no_memory(w->err);
    bytes_unref(t->beat->details);
    t->beat->details = MUTATED(DETAILS_LOST) ? NULL : bytes_ref(w->c->output);
    t->beat->attempt = w->c->attempt;
    return ORCH_OK;
}

static int32_t restore_retrying(const row *w)
{
    uint32_t attempts = w->step->extra ? w->step->extra->retry.max_attempts : 1;
    int32_t code;

    if (w->step->kind == STEP_WAIT || !is_unit(w) || !is_decided(w))
        return contradicts(w, "a retry where none is due");
    if (w->c->attempt < next_attempt(w->node) || w->c->attempt >= attempts)
        return contradicts(w, "its attempt is out of order");
    if (w->c->due_ms <= 0)
        return contradicts(w, "it has no due time");
    if (w->step->kind == STEP_WORKFLOW) {
        place at = {w->c->step, w->c->index};

        if (!run_child_of(w->run, at) || w->c->attempt != next_attempt(w->node))
            return contradicts(w, "a retry of a child that was not started");
        run_child_free(w->run, w->node->timing->child);
        w->node->timing->child = NULL;
    }
    if (w->c->output && w->step->kind != STEP_TASK)
        return contradicts(w, "details of heartbeats, which only tasks have");
    code = restore_times(w, MUTATED(ATTEMPT_FORGOTTEN) ? 1 : w->c->attempt + 1);
    return code || !w->c->output ? code : restore_details(w);
}

static int32_t restore_heartbeat(const row *w)
{
    int32_t code;

    if (w->step->kind != STEP_TASK || !is_unit(w) || !is_decided(w) || !w->c->output ||
        w->c->due_ms)
        return contradicts(w, "a heartbeat where none is due");
    if (w->c->attempt != next_attempt(w->node))
        return contradicts(w, "its attempt is out of order");
    code = restore_times(w, w->c->attempt);
    if (!code)
        code = restore_details(w);
    if (!code)
        w->node->timing->beat->saved_ms = w->c->ended_ms;
    return code;
}

static int32_t restore_child(const row *w)
{
    bool has_timeout = w->step->extra && w->step->extra->timeout_ms;
    int32_t code;

    if (w->step->kind != STEP_WORKFLOW || !is_unit(w) || !is_decided(w) ||
        (w->node->timing && w->node->timing->child))
        return contradicts(w, "a child where none is due");
    if (w->c->attempt != next_attempt(w->node))
        return contradicts(w, "its attempt is out of order");
    if (has_timeout ? w->c->due_ms <= 0 : w->c->due_ms != 0)
        return contradicts(w, "its due time is not that of the step's timeout");
    if (!w->c->output)
        return contradicts(w, "it does not say what child");
    code = restore_times(w, w->c->attempt);
    return code ? code
                : run_child_new(w->run, w->node->timing, w->c->output, true, w->c->started_ms,
                                w->err);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

/* What did not succeed may have ended between two attempts. */
static bool is_in_order(const row *w)
{
    uint32_t next = next_attempt(w->node);

    if (!w->c->attempt || w->step->kind == STEP_WAIT)
        return true;
    return w->c->attempt >= (w->c->kind == CHECKPOINT_SUCCEEDED ? next : next - 1);
}

/* Waits and children are never left behind. */
static bool has_items_out(const row *w, const each *e)
{
    for (uint32_t i = 0; e && i < e->count; i++) {
        const node *n = &e->items[i];

        if (n->timing &&
            (w->step->kind == STEP_WAIT || (w->step->kind == STEP_WORKFLOW && n->timing->child)))
            return true;
    }
    return false;
}

static int32_t check_end(const row *w)
{
    const each *e = run_has_items(w->step) ? w->run->nodes[w->c->step].each : NULL;

    if (w->c->kind == CHECKPOINT_SKIPPED)
        return is_item(w) || !w->step->extra || !w->step->extra->when || is_decided(w)
                   ? contradicts(w, "it has no `when` that could be false")
                   : ORCH_OK;
    if (!is_item(w) && has_items_out(w, e))
        return contradicts(w, "it ended before its items");
    if (w->c->kind == CHECKPOINT_FAILED && !is_item(w) && (e || !w->node->timing))
        return ORCH_OK; /* `when` or for_each may have failed before anything else was stored */
    if (!is_decided(w))
        return contradicts(w, "it ended before `when` was decided");
    if (is_unit(w))
        return is_in_order(w) ? ORCH_OK : contradicts(w, "its attempt is out of order");
    if (w->c->kind != CHECKPOINT_SUCCEEDED || !e || e->ended != e->count ||
        e->failed_index != INDEX_NONE)
        return contradicts(w, "it ended before its items");
    return ORCH_OK;
}

static void end_item(const row *w)
{
    each *e = w->run->nodes[w->c->step].each;

    e->in_flight -= (w->node->flags & NODE_BEGAN) != 0;
    e->ended++;
    if (w->c->kind != CHECKPOINT_SUCCEEDED && e->failed_index == INDEX_NONE)
        e->failed_index = w->c->index;
}

static void end_step(const row *w)
{
    run *r = w->run;

    if (w->node->flags & NODE_BEGAN)
        r->counts.running--;
    run_count_end(r, w->c->step);
    if (r->failed || w->c->kind != CHECKPOINT_FAILED || run_continues(w->step))
        return;
    r->failed = true;
    r->failed_step = w->c->step;
    r->failed_seq = w->c->seq;
}

static int32_t restore_end(const row *w)
{
    int32_t code = check_end(w);

    if (code)
        return code;
    if (w->c->inbox && w->step->kind == STEP_WAIT && !run_note_consumed(w->run, w->c->inbox))
        return error_no_memory(w->err);
    if (is_unit(w))
        run_drop_timing(w->run, w->node);
    w->node->phase = PHASE_ENDED;
    w->node->end = w->c->kind;
    if (!MUTATED(VALUE_LOST_AT_RESTART))
        w->node->value = bytes_ref(w->c->kind == CHECKPOINT_SUCCEEDED ? w->c->output : w->c->error);
    w->run->was_stopped |= w->c->kind == CHECKPOINT_CANCELLED;
    w->run->has_left_children |= w->c->kind == CHECKPOINT_CANCELLED &&
                                 w->step->kind == STEP_WORKFLOW;
    if (w->run->aftermath)
        run_note_end(w->run, w->c);
    if (is_item(w))
        end_item(w);
    else
        end_step(w);
    return ORCH_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static int32_t restore_row(const row *w)
{
    switch (w->c->kind) {
    case CHECKPOINT_DECIDED: return restore_decided(w);
    case CHECKPOINT_EXPANDED: return restore_expanded(w);
    case CHECKPOINT_WAITING: return restore_waiting(w);
    case CHECKPOINT_RETRYING: return restore_retrying(w);
    case CHECKPOINT_CHILD: return restore_child(w);
    case CHECKPOINT_HEARTBEAT: return restore_heartbeat(w);
    case CHECKPOINT_SUCCEEDED:
    case CHECKPOINT_FAILED:
    case CHECKPOINT_SKIPPED:
    case CHECKPOINT_CANCELLED: return restore_end(w);
    default: return contradicts(w, "there is no such kind");
    }
}

static int32_t restore_step(run *r, const checkpoint *c, orch_error **err)
{
    row w = {.run = r, .c = c, .err = err};

    if (c->step >= r->counts.steps)
        return error_set(err, ORCH_E_DATA_LOSS, "",
                         "checkpoint %" PRIu64 " is of step %" PRIu32 "; there are %" PRIu32,
                         c->seq, c->step, r->counts.steps);
    w.step = run_step(r, c->step);
    if (!w.step->checkpoint && (c->kind != CHECKPOINT_FAILED || is_item(&w)))
        return contradicts(&w, "the step makes no checkpoints");
    if (r->nodes[c->step].phase == PHASE_ENDED)
        return contradicts(&w, "the step has ended already");
    w.node = run_find(r, (place){c->step, c->index});
    if (!w.node)
        return contradicts(&w, "there is no such item");
    if (w.node->phase == PHASE_ENDED)
        return contradicts(&w, "the item has ended already");
    return restore_row(&w);
}

int32_t run_restore(run *r, const checkpoint *c, orch_error **err)
{
    int32_t code;

    if (r->phase != RUN_LOADING)
        return error_set(err, ORCH_E_FAILED_PRECONDITION, "", "the run has started already");
    if (c->seq != r->last_seq + 1)
        return error_set(err, ORCH_E_DATA_LOSS, "",
                         "checkpoint %" PRIu64 " follows %" PRIu64 "; they must be without gaps",
                         c->seq, r->last_seq);
    if (c->kind >= CHECKPOINT_CLOSING || run_is_closed(r))
        code = run_restore_aftermath(r, c, err);
    else
        code = restore_step(r, c, err);
    if (!code)
        r->stored_seq = r->last_seq = c->seq;
    return code;
}
