/* Hand-overs and attempts: what engines are told, and what they start. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/model_impl.h"
#include "simulation/trace.h"

/* ---- hand-overs ------------------------------------------------------------------------------------------ */

static void check_limit(const execution *e)
{
    uint32_t placed = 0, most;
    const char *other = "";

    if (!e->limit)
        return;
    most = model_limit(&model.limits[e->limit - 1]);
    for (uint32_t i = 0; i < model.count; i++) {
        if (model.all[i]->limit != e->limit || !model.all[i]->attached)
            continue;
        placed++;
        if (model.all[i] != e)
            other = model.all[i]->id;
    }
    if (placed > most)
        broken("Limits are kept", "%s is number %u of key k%u, beside %s, and the limit is %u",
               e->id, placed, e->limit - 1u, other, most);
}

void model_handed_over(node *from, node *to, const message *m)
{
    const message_start *s = m->start;
    execution *e = model_find(s->key);

    if (!e)
        broken("Commit before effect: nothing is handed over before it is stored", "%s is",
               s->execution);
    if (epoch_compare(m->epoch, e->epoch) <= 0)
        broken("No zombies: each hand-over has a higher epoch",
               "%s: %" PRIu64 ".%" PRIu64 " after %" PRIu64 ".%" PRIu64, e->id, m->epoch.term,
               m->epoch.counter, e->epoch.term, e->epoch.counter);
    if (sim.now_us < e->cancelled_us + ON_ITS_WAY)
        e->must_be_cancelled = false;
    e->epoch = m->epoch;
    e->attached = true;
    trace("%s: %s goes to %s as %" PRIu64 ".%" PRIu64 ", %u in its inbox%s", from->name, e->id,
          to->name, m->epoch.term, m->epoch.counter, s->inbox_count, s->paused ? ", paused" : "");
    for (uint32_t i = 0; i < s->inbox_count; i++)
        trace("  item %" PRIu64 ": kind %u, state %u, of step %u", s->inbox[i].seq,
              (unsigned)s->inbox[i].kind, (unsigned)s->inbox[i].state, s->inbox[i].step);
    if (memcmp(&s->definition, e->d->digest, sizeof e->d->digest) != 0)
        broken("Executions keep their version", "%s is handed over with another", e->id);
    if (s->run == e->run && s->checkpoint_count != e->now->last_seq)
        broken("A checkpointed step never runs again: a hand-over brings the whole history",
               "%s goes with %u rows of %" PRIu64, e->id, s->checkpoint_count, e->now->last_seq);
    if (sim_now_ms() + sim.clock_ahead_ms < e->start_ms && !e->cancel_stored)
        broken("A delayed start does not begin before its time", "%s goes %" PRId64 " ms early",
               e->id, e->start_ms - sim_now_ms());
    if (e->pause_settled && !s->paused && !e->cancel_stored)
        broken("Paused is paused", "%s is handed over as not paused", e->id);
    check_limit(e);
}

static void start_heard(node *n, const message *m)
{
    execution *e = model_find(m->start->key);
    hold *h = &e->holds[n->place];

    if (epoch_compare(m->epoch, h->epoch) <= 0 && h->incarnation == n->incarnation)
        return; /* a newer one is there */
    memset(h, 0, sizeof *h);
    h->epoch = m->epoch;
    h->incarnation = n->incarnation;
    h->paused = m->start->paused;
    for (uint32_t i = 0; i < m->start->inbox_count; i++)
        h->cancelled |= m->start->inbox[i].kind == NOTE_CANCEL;
}

static execution *by_epoch(node *n, epoch ep)
{
    for (uint32_t i = 0; i < model.count; i++)
        if (epoch_compare(model.all[i]->holds[n->place].epoch, ep) == 0)
            return model.all[i];
    return NULL;
}

void model_engine_hears(node *n, const message *m)
{
    execution *e;

    if (m->kind == MESSAGE_START) {
        start_heard(n, m);
        return;
    }
    if (m->kind != MESSAGE_PAUSE && !(m->kind == MESSAGE_INBOX && m->inbox.kind == NOTE_CANCEL))
        return;
    e = by_epoch(n, m->epoch);
    if (!e)
        return;
    if (m->kind == MESSAGE_PAUSE)
        e->holds[n->place].paused = m->pause.paused;
    else
        e->holds[n->place].cancelled = true;
}

/* ---- causes ---------------------------------------------------------------------------------------------- */

/* Its end is stored; or it leaves none: it is not stored, or it was not to run, after a failure or by its run_if. */
bool step_is_settled(const execution *e, uint32_t number)
{
    const described_step *s = &e->d->step[number];
    const run_record *r = e->now;

    if (r->stands[number][0].end)
        return true;
    if (!s->loose && s->condition == IF_SUCCEEDED && !r->any_failed && !s->after)
        return false;
    for (uint32_t i = 0; i < number; i++)
        if (s->after >> i & 1 && !step_is_settled(e, i))
            return false;
    if (s->loose || s->condition == IF_ANY_FAILED || s->condition == IF_ANY_SUCCEEDED)
        return true;
    if (r->any_failed)
        return true;
    for (uint32_t i = 0; i < number; i++)
        if (s->after >> i & 1 && !r->stands[i][0].end)
            return true; /* that one was not to run, and passes it on */
    return false;
}

static void check_causes(const execution *e, uint32_t number)
{
    const described_step *s = &e->d->step[number];

    for (uint32_t i = 0; i < number; i++)
        if (s->after >> i & 1 && !step_is_settled(e, i))
            broken("Cause before effect: a step starts after the ends of all it depends on are "
                   "stored",
                   "%s starts, and s%u has no end", place_name(e, number, INDEX_NONE), i);
}

/* ---- attempts -------------------------------------------------------------------------------------------- */

static uint32_t number_of_step(const attempt *a)
{
    return a->role == ROLE_ON_FAILURE ? STEP_NONE : (uint32_t)strtoul(a->step + 1, NULL, 10);
}

static void check_key(const execution *e, const attempt *a, uint32_t number)
{
    char key[EXECUTION_ID_MAX + 80];

    if (a->role == ROLE_ON_FAILURE)
        snprintf(key, sizeof key, "%s/%u/on_failure", e->id, a->run);
    else if (a->index == INDEX_NONE)
        snprintf(key, sizeof key, "%s/%u/s%u%s", e->id, a->run, number,
                 a->role == ROLE_COMPENSATE ? "/compensate" : "");
    else
        snprintf(key, sizeof key, "%s/%u/s%u/%u%s", e->id, a->run, number, a->index,
                 a->role == ROLE_COMPENSATE ? "/compensate" : "");
    if (strcmp(key, a->idempotency_key) != 0)
        broken("All attempts of a step have one idempotency key", "%s has %s", key,
               a->idempotency_key);
}

/* An attempt that waits, for proof that its hand-over stands or for the end of a pause, was due by the engine's clock when it began
 * to wait; that may have been set back since. */
static int64_t latest_clock(const node *n)
{
    int64_t now_ms = node_now_ms(n);

    return now_ms > n->latest_ms ? now_ms : n->latest_ms;
}

static void check_number(const execution *e, const attempt *a, uint32_t number, stand *st,
                         int64_t now_ms)
{
    bool undoes = a->role == ROLE_COMPENSATE;
    uint32_t failed = undoes ? st->undo_failed : st->failed;
    int64_t due_ms = undoes ? st->undo_due_ms : st->due_ms;
    uint32_t most = undoes ? e->d->step[number].compensate_attempts : e->d->step[number].attempts;

    if (a->number <= failed || a->number > most ||
        (epoch_compare(st->tried_epoch[undoes], e->epoch) == 0 && a->number <= st->tried[undoes]))
        broken("Attempts are ordered and counted, also over restarts",
               "%s: attempt %u of %u, after %u that failed", a->idempotency_key, a->number, most,
               failed);
    if (failed && a->number > st->tried[undoes] && due_ms > now_ms)
        broken("A retry does not come before its time", "%s: %" PRId64 " ms early",
               a->idempotency_key, due_ms - now_ms);
    st->tried_epoch[undoes] = e->epoch;
    st->tried[undoes] = a->number;
}

static void check_step(execution *e, const node *n, const attempt *a, uint32_t number)
{
    const described_step *s = &e->d->step[number];
    hold *h = &e->holds[n->place];
    stand *st = &e->now->stands[number][stand_place(a->index)];

    if (e->now->closing)
        broken("After the end of a run is decided no step starts", "%s does", a->idempotency_key);
    check_causes(e, number);
    if (s->kind == DO_WORK)
        model_check_input(e, a, number);
    if (e->now->failed && s->condition == IF_SUCCEEDED && a->index == INDEX_NONE && !st->begun)
        broken("After a failure no step starts but those for it", "%s does", a->idempotency_key);
    if (e->deadline_ms && e->deadline_ms <= node_now_ms(n))
        broken("An execution does not go on past its deadline", "%s starts %" PRId64 " ms after it",
               a->idempotency_key, node_now_ms(n) - e->deadline_ms);
    if (h->paused && !h->cancelled)
        broken("Paused is paused", "%s starts, and its engine knows of the pause",
               a->idempotency_key);
    h->running[number]++;
    if (s->items && s->parallel && h->running[number] > s->parallel)
        broken("No more items than max_parallel are in flight", "%s is one of %u, of %u",
               a->idempotency_key, h->running[number], (unsigned)s->parallel);
    if (st->details && !a->details)
        broken("What a heartbeat said is there for the next attempt", "%s has no details",
               a->idempotency_key);
}

static void check_undo(const execution *e, const attempt *a, uint32_t number)
{
    const run_record *r = e->now;
    const stand *st = &r->stands[number][stand_place(a->index)];

    if (!r->closing || st->undo || !st->end)
        broken("What was done is undone after that is decided, and once", "%s starts",
               a->idempotency_key);
    for (uint32_t i = 0; i < e->d->steps; i++)
        for (uint32_t j = 0; j <= ITEMS_MAX; j++) {
            const stand *other = &r->stands[i][j];

            if (other->end == CHECKPOINT_SUCCEEDED && e->d->step[i].compensate &&
                (!e->d->step[i].items || j) && other->end_seq > st->end_seq && !other->undo)
                broken("What was done is undone, the last first", "%s starts before that of s%u",
                       a->idempotency_key, i);
        }
}

static attempt_record *new_attempt(void)
{
    if (model.attempt_count == model.attempt_capacity) {
        model.attempt_capacity = model.attempt_capacity ? 2 * model.attempt_capacity : 1024;
        model.attempts = realloc(model.attempts, model.attempt_capacity * sizeof *model.attempts);
        if (!model.attempts)
            abort();
    }
    return memset(&model.attempts[model.attempt_count++], 0, sizeof *model.attempts);
}

/* Whoever starts it, and whatever becomes of what it does. In one process nobody lives on who has lost it: there it holds of
 * the newest hand-over. */
static void check_not_done(const execution *e, const attempt *a, uint32_t number, epoch of)
{
    const stand *st;

    if (a->run != e->run || number == STEP_NONE ||
        (sim.in_process && epoch_compare(of, e->epoch) != 0))
        return;
    st = &e->now->stands[number][stand_place(a->index)];
    if (a->role == ROLE_STEP ? st->end || e->now->stands[number][0].end : st->undo)
        broken("A checkpointed step never runs again", "%s does", a->idempotency_key);
}

uint64_t model_attempt_starts(node *n, const attempt *a)
{
    execution *e = model_find_id(a->execution);
    uint32_t number = number_of_step(a);
    attempt_record *r = new_attempt();
    uint64_t serial = model.attempt_count;

    if (!e || (number != STEP_NONE && number >= e->d->steps))
        broken("Executions keep their version", "%s is of no version that is known",
               a->idempotency_key);
    *r = (attempt_record){e,
                          a->run,
                          number,
                          a->index,
                          a->number,
                          a->role,
                          e->holds[n->place].epoch,
                          (uint8_t)n->place,
                          n->incarnation,
                          true};
    trace("%s: %s #%" PRIu64 " starts, attempt %u", n->name, a->idempotency_key, serial, a->number);
    check_key(e, a, number);
    check_not_done(e, a, number, r->epoch);
    /* An engine that stood still, or was cut off, may go on for a while: what it does is not stored any more. */
    if (a->run != e->run || epoch_compare(r->epoch, e->epoch) != 0 ||
        EXECUTION_STATE_IS_END(e->state))
        return serial;
    if (number != STEP_NONE)
        check_number(e, a, number, &e->now->stands[number][stand_place(a->index)], latest_clock(n));
    if (a->role == ROLE_STEP)
        check_step(e, n, a, number);
    else if (a->role == ROLE_COMPENSATE)
        check_undo(e, a, number);
    else if (!e->now->closing)
        broken("on_failure is told after the end is decided", "%s starts", a->idempotency_key);
    return serial;
}

void model_attempt_ends(uint64_t serial, int32_t code)
{
    attempt_record *r = model_attempt(serial);
    hold *h = &r->e->holds[r->engine];

    (void)code;
    r->open = false;
    if (r->role == ROLE_STEP && r->run == r->e->run && h->incarnation == r->incarnation &&
        epoch_compare(h->epoch, r->epoch) == 0 && h->running[r->step])
        h->running[r->step]--;
}
