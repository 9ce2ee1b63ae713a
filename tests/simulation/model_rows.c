/* What histories say, row by row. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "simulation/model_impl.h"
#include "simulation/trace.h"

static const char *const kinds[] = {"",
                                    "DECIDED",
                                    "EXPANDED",
                                    "WAITING",
                                    "RETRYING",
                                    "SUCCEEDED",
                                    "FAILED",
                                    "SKIPPED",
                                    "CANCELLED",
                                    "CHILD",
                                    "HEARTBEAT",
                                    "CLOSING",
                                    "UNDO_RETRYING",
                                    "UNDONE",
                                    "UNDO_FAILED",
                                    "HANDLER_RETRYING",
                                    "HANDLED",
                                    "HANDLER_FAILED"};

static const described_step *step_of(const execution *e, uint32_t number)
{
    return &e->d->step[number];
}

/* ---- who made it ----------------------------------------------------------------------------------------- */

/* What an attempt left is its number: so it is known who it was, and under which hand-over. */
static void check_maker(const execution *e, const checkpoint *c)
{
    const attempt_record *a;

    if (step_of(e, c->step)->kind != DO_WORK || c->kind != CHECKPOINT_SUCCEEDED ||
        (c->index == INDEX_NONE && step_of(e, c->step)->items))
        return;
    a = model_attempt(serial_of(c->output));
    if (!a || a->e != e || a->run != e->run || a->step != c->step || a->index != c->index ||
        a->role != ROLE_STEP)
        broken("What is stored of a step is what an attempt of it left", "%s: %s",
               place_name(e, c->step, c->index), c->output ? c->output->data : "null");
    if (epoch_compare(a->epoch, e->epoch) != 0)
        broken("No zombies: what an older hand-over says is refused",
               "%s is stored of hand-over %" PRIu64 ".%" PRIu64 ", the newest is %" PRIu64
               ".%" PRIu64,
               place_name(e, c->step, c->index), a->epoch.term, a->epoch.counter, e->epoch.term,
               e->epoch.counter);
}

/* ---- signals and children -------------------------------------------------------------------------------- */

static told *find_told(execution *e, uint64_t seq)
{
    for (uint32_t i = 0; i < e->inbox_count; i++)
        if (e->inbox[i].seq == seq)
            return &e->inbox[i];
    return NULL;
}

static void consume(execution *e, const told *t)
{
    e->inbox[t - e->inbox] = e->inbox[--e->inbox_count];
}

static void check_signal(execution *e, const checkpoint *c, const described_step *s)
{
    told *t = find_told(e, c->inbox);
    char name[16];

    snprintf(name, sizeof name, "sig%u", (unsigned)s->signal);
    if (!t || t->kind != INBOX_SIGNAL || strcmp(t->name, name) != 0 ||
        t->correlated < s->correlated)
        broken("A signal is consumed once: a wait ends by one that is there, and is for it",
               "%s ends by item %" PRIu64 "%s", place_name(e, c->step, c->index), c->inbox,
               t ? "" : ", which is not in the inbox");
    if (serial_of(c->output) != t->serial)
        broken("A signal is consumed once", "%s has the output %s, and took signal %" PRIu64,
               place_name(e, c->step, c->index), c->output ? c->output->data : "null", t->serial);
    model.signals[t->serial - 1].consumed = true;
    consume(e, t);
}

/* The step ends as its child did. */
static void check_child(execution *e, const checkpoint *c)
{
    const execution *child = NULL;
    told *t = find_told(e, c->inbox);

    if (t)
        consume(e, t);
    if (c->kind != CHECKPOINT_SUCCEEDED)
        return;
    for (uint32_t i = 0; i < model.count; i++) {
        const execution *x = model.all[i];

        if (x->parent == e->key && x->parent_run == e->run && x->parent_step == c->step &&
            x->parent_index == c->index && x->state == EXECUTION_SUCCEEDED)
            child = x;
    }
    if (!child)
        broken("A child's end is told to its parent as it was", "%s succeeded, and no child did",
               place_name(e, c->step, c->index));
}

/* ---- ends ------------------------------------------------------------------------------------------------ */

static void check_items(const execution *e, const checkpoint *c, const described_step *s)
{
    uint32_t ended = 0;

    for (uint32_t i = 1; i <= s->items; i++)
        ended += e->now->stands[c->step][i].end != 0;
    if (c->kind == CHECKPOINT_SUCCEEDED && ended < s->items)
        broken("A step with items ends after all of them", "%s: %u of %u have",
               place_name(e, c->step, c->index), ended, (unsigned)s->items);
}

static void check_wait(const execution *e, const checkpoint *c, const stand *st)
{
    int64_t latest_ms = sim_now_ms() + sim.clock_ahead_ms;

    if (c->kind == CHECKPOINT_SUCCEEDED && st->wait_ms > latest_ms)
        broken("A wait is not over before its time", "%s: %" PRId64 " ms too early",
               place_name(e, c->step, c->index), st->wait_ms - latest_ms);
}

static void end_of(execution *e, const checkpoint *c, bool carried)
{
    const described_step *s = step_of(e, c->step);
    run_record *r = e->now;
    stand *st = &r->stands[c->step][stand_place(c->index)];

    if (st->end || (c->index != INDEX_NONE && r->stands[c->step][0].end))
        broken("A checkpointed step ends once", "%s has ended as %s, and again as %s",
               place_name(e, c->step, c->index), kinds[st->end], kinds[c->kind]);
    st->end = c->kind;
    st->end_seq = c->seq;
    st->end_attempt = c->attempt;
    st->output = s->kind == DO_WORK && c->kind == CHECKPOINT_SUCCEEDED ? serial_of(c->output) : 0;
    if (c->kind == CHECKPOINT_FAILED) {
        r->any_failed = true;
        r->failed |= !s->goes_on && c->index == INDEX_NONE;
    }
    if (carried)
        return;
    check_maker(e, c);
    /* What was on its way when it was terminated may come behind the end: its inbox is gone then. */
    if (s->kind == DO_SIGNAL && c->kind == CHECKPOINT_SUCCEEDED && !e->terminated)
        check_signal(e, c, s);
    if (s->kind == DO_WAIT)
        check_wait(e, c, st);
    if (s->kind == DO_CHILD && (c->index != INDEX_NONE || !s->items))
        check_child(e, c);
    if (s->items && c->index == INDEX_NONE)
        check_items(e, c, s);
    if (c->kind == CHECKPOINT_SUCCEEDED && st->failed && c->attempt <= st->failed)
        broken("Attempts are counted over restarts", "%s: attempt %u ended after %u had failed",
               place_name(e, c->step, c->index), c->attempt, st->failed);
}

/* ---- compensation ---------------------------------------------------------------------------------------- */

static bool is_to_undo(const described_step *s, const stand *st, uint32_t place)
{
    if (!s->compensate || (s->items && !place))
        return false;
    if (st->end == CHECKPOINT_SUCCEEDED)
        return true;
    return s->compensate == 2 && st->end_attempt &&
           (st->end == CHECKPOINT_FAILED || st->end == CHECKPOINT_CANCELLED);
}

static void undo_of(execution *e, const checkpoint *c)
{
    run_record *r = e->now;
    stand *st = &r->stands[c->step][stand_place(c->index)];

    if (!r->closing || !is_to_undo(step_of(e, c->step), st, stand_place(c->index)) || st->undo)
        broken("What was done is undone, once, and nothing else", "%s is compensated: it has %s",
               place_name(e, c->step, c->index), kinds[st->end]);
    if (r->undone_seq && st->end_seq > r->undone_seq)
        broken("What was done is undone, the last first", "%s comes after what was done before it",
               place_name(e, c->step, c->index));
    r->undone_seq = st->end_seq;
    st->undo = c->kind;
}

/* ---- a row ----------------------------------------------------------------------------------------------- */

static void retrying(execution *e, const checkpoint *c, stand *st)
{
    if (c->attempt != st->failed + 1)
        broken("Attempts are counted over restarts", "%s: attempt %u failed after %u had",
               place_name(e, c->step, c->index), c->attempt, st->failed);
    st->failed = c->attempt;
    st->due_ms = c->due_ms;
    if (c->inbox) {
        told *t = find_told(e, c->inbox);

        if (t)
            consume(e, t);
    }
}

static void closing(execution *e)
{
    if (e->now->closing)
        broken("One end: how a run ends is decided once", "%s decides it again", e->id);
    e->now->closing = true;
}

static void take_of_step(execution *e, const checkpoint *c, bool carried)
{
    stand *st = &e->now->stands[c->step][stand_place(c->index)];

    st->begun = true;
    switch (c->kind) {
    case CHECKPOINT_WAITING:
        st->waiting = true;
        st->wait_ms = c->due_ms;
        break;
    case CHECKPOINT_RETRYING: retrying(e, c, st); break;
    case CHECKPOINT_SUCCEEDED:
    case CHECKPOINT_FAILED:
    case CHECKPOINT_SKIPPED:
    case CHECKPOINT_CANCELLED: end_of(e, c, carried); break;
    case CHECKPOINT_HEARTBEAT: st->details = serial_of(c->output); break;
    case CHECKPOINT_UNDO_RETRYING:
        st->undo_failed = c->attempt;
        st->undo_due_ms = c->due_ms;
        break;
    case CHECKPOINT_UNDONE:
    case CHECKPOINT_UNDO_FAILED: undo_of(e, c); break;
    default: break;
    }
}

static void take(execution *e, const checkpoint *c, bool carried)
{
    if (c->step != STEP_NONE)
        take_of_step(e, c, carried);
    else if (c->kind == CHECKPOINT_CLOSING)
        closing(e);
    else if (c->kind == CHECKPOINT_HANDLED || c->kind == CHECKPOINT_HANDLER_FAILED)
        e->now->handled = true;
}

void model_row(execution *e, const checkpoint *c, bool carried)
{
    run_record *r = e->now;

    if (c->seq <= r->last_seq)
        return; /* it is there: passed over */
    if (c->seq != r->last_seq + 1)
        broken("Cause before effect: a history has no gap", "%s: row %" PRIu64 " after %" PRIu64,
               e->id, c->seq, r->last_seq);
    r->last_seq = c->seq;
    trace("stored: %s row %" PRIu64 ": %s %u%s %s", place_name(e, c->step, c->index), c->seq,
          kinds[c->kind], c->attempt, carried ? ", taken over" : "",
          c->error ? c->error->data : "");
    if ((c->step >= e->d->steps && c->step != STEP_NONE) ||
        (c->index != INDEX_NONE && c->index >= step_of(e, c->step)->items))
        broken("Executions keep their version", "%s has a row of step %u, item %u", e->id, c->step,
               c->index);
    take(e, c, carried);
}

/* ---- new runs -------------------------------------------------------------------------------------------- */

static bool stands_alone(const execution *e, const run_record *old, uint32_t number)
{
    const described_step *s = step_of(e, number);
    const stand *st = old->stands[number];

    if (st->end != CHECKPOINT_SUCCEEDED || s->condition)
        return false;
    for (uint32_t i = 0; i <= ITEMS_MAX; i++)
        if (st[i].undo)
            return false;
    return true;
}

/* What succeeded, and all before it, and was not undone, is taken over by a retry. */
void model_check_carried(const execution *e, const run_record *old, const run_record *new)
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < e->d->steps; i++) {
        bool is = stands_alone(e, old, i) && !step_of(e, i)->loose &&
                  (step_of(e, i)->after & ~taken) == 0;

        taken |= is ? UINT32_C(1) << i : 0;
        if (is && new->stands[i][0].end != CHECKPOINT_SUCCEEDED)
            broken("New runs take over what succeeded", "%s does not",
                   place_name(e, i, INDEX_NONE));
    }
}
