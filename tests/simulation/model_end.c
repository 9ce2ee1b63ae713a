/* How runs end, what callers are told of it, and how everything is in the end. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine_impl.h"
#include "simulation/cores.h"
#include "simulation/disk.h"
#include "simulation/model_impl.h"
#include "simulation/trace.h"

/* ---- a run ends ------------------------------------------------------------------------------------------ */

static void check_succeeded(const execution *e)
{
    if (e->now->failed || e->now->closing)
        broken("A run with a failure does not succeed", "%s does", e->id);
    if (e->must_be_cancelled)
        broken("A cancel of what waits is acted upon", "%s succeeds", e->id);
    for (uint32_t i = 0; i < e->d->steps; i++)
        if (!step_is_settled(e, i))
            broken("A run succeeds when all of its steps have ended", "%s does, without s%u", e->id,
                   i);
}

static bool is_terminated(const store_unit *u)
{
    return u->control && !strcmp(u->control->action, "terminate");
}

static void check_undone(const execution *e)
{
    for (uint32_t i = 0; i < e->d->steps; i++)
        for (uint32_t j = 0; j <= ITEMS_MAX; j++) {
            const stand *st = &e->now->stands[i][j];
            const described_step *s = &e->d->step[i];

            if (s->compensate && (j || !s->items) && st->end == CHECKPOINT_SUCCEEDED && !st->undo)
                broken("What was done is undone", "%s is not",
                       place_name(e, i, j ? j - 1 : INDEX_NONE));
        }
}

static void check_timed_out(const execution *e)
{
    if (!e->deadline_ms || sim_now_ms() + sim.clock_ahead_ms < e->deadline_ms)
        broken("An execution does not time out before its time", "%s does", e->id);
}

void model_check_run_end(execution *e, const store_unit *u)
{
    uint8_t state = u->update->state;

    if (is_terminated(u))
        return;
    switch (state) {
    case EXECUTION_SUCCEEDED:
        check_succeeded(e);
        model_check_output(e, u->update->output);
        return;
    case EXECUTION_FAILED:
        if (!e->now->any_failed && !e->d->has_output && u->update->error == NULL)
            broken("A run fails by a failure", "%s has none", e->id);
        break;
    case EXECUTION_CANCELLED:
        if (!e->cancel_stored)
            broken("A run is cancelled by a cancel", "%s has none: %s", e->id,
                   u->update->error ? u->update->error->data : "");
        break;
    default: check_timed_out(e); break;
    }
    if (e->must_be_cancelled && state == EXECUTION_FAILED)
        broken("A cancel of what waits is acted upon", "%s ends otherwise", e->id);
    check_undone(e);
    if (e->d->on_failure && state != EXECUTION_CANCELLED && !e->now->handled && e->now->last_seq)
        broken("on_failure is told of a failure", "%s was not", e->id);
}

/* ---- what callers are told ------------------------------------------------------------------------------- */

void model_start_answered(const start_request *r, int64_t start_at_ms)
{
    execution *e = model_find(r->key);

    (void)start_at_ms;
    if (!e)
        broken("Accepted is never lost: a start is answered once it is stored",
               "%s was answered and is not stored", r->workflow);
    e->accepted_told = true;
}

void model_end_told(uint64_t key, int32_t code, const outcome *o)
{
    const execution *e = model_find(key);

    if (code)
        return;
    if (!e || o->key != key)
        broken("One end: who waits is told of it", "%" PRIu64 " is not known", key);
    trace("%s: its end is told", e->id);
    /* A new run may have begun since. */
    if (!EXECUTION_STATE_IS_END(o->state) ||
        (EXECUTION_STATE_IS_END(e->state) && e->run == 1 && e->state != o->state))
        broken("One end: an answer once given stands", "%s ended as %u, and %u is told", e->id,
               (unsigned)e->state, (unsigned)o->state);
}

/* ---- pauses ---------------------------------------------------------------------------------------------- */

void execution_pause_asked(execution *e)
{
    e->pause_requests++;
    e->pause_settled = false;
}

void execution_pause_answered(execution *e, bool ok, bool paused)
{
    e->pause_requests--;
    e->pause_settled = ok && paused && !e->pause_requests && e->paused;
}

/* ---- waiting for what does not come by itself ------------------------------------------------------------ */

static bool has_signal(const execution *e, uint8_t signal, bool correlated)
{
    char name[16];

    snprintf(name, sizeof name, "sig%u", (unsigned)signal);
    for (uint32_t i = 0; i < e->inbox_count; i++)
        if (e->inbox[i].kind == INBOX_SIGNAL && !strcmp(e->inbox[i].name, name) &&
            e->inbox[i].correlated >= correlated)
            return true;
    return false;
}

static bool is_left_behind(const execution *e)
{
    const execution *p = e->parent ? model_find(e->parent) : NULL;

    return p && !e->abandoned && (EXECUTION_STATE_IS_END(p->state) || p->run != e->parent_run);
}

bool execution_wants_signal(const execution *e, uint8_t *signal, bool *correlated)
{
    if (EXECUTION_STATE_IS_END(e->state) || e->cancel_stored || is_left_behind(e))
        return false;
    for (uint32_t i = 0; i < e->d->steps; i++) {
        const described_step *s = &e->d->step[i];

        if (s->kind != DO_SIGNAL || !e->now->stands[i][0].waiting || e->now->stands[i][0].end ||
            has_signal(e, s->signal, s->correlated))
            continue;
        *signal = s->signal;
        *correlated = s->correlated;
        return true;
    }
    return false;
}

/* ---- the end --------------------------------------------------------------------------------------------- */

bool model_all_ended(void)
{
    for (uint32_t i = 0; i < model.count; i++)
        if (!EXECUTION_STATE_IS_END(model.all[i]->state))
            return false;
    return true;
}

void model_show_open(void)
{
    for (uint32_t i = 0; i < model.count; i++) {
        const execution *e = model.all[i];

        if (!EXECUTION_STATE_IS_END(e->state))
            trace("open: %s (w%u 1.%u.0), state %u%s%s%s%s, %u in its inbox, row %" PRIu64, e->id,
                  (unsigned)e->d->workflow, (unsigned)e->d->version, (unsigned)e->state,
                  e->paused ? ", paused" : "", e->cancel_stored ? ", cancelled" : "",
                  e->attached ? ", attached" : "", is_left_behind(e) ? ", left behind" : "",
                  e->inbox_count, e->now->last_seq);
    }
}

static void check_row(const execution *e)
{
    store s = platter();
    execution_row row = {0};

    if (s.ops->load_execution(s.self, e->key, NULL, &row, NULL))
        broken("Accepted is never lost", "%s is not in the store", e->id);
    if (row.state != e->state || row.run != e->run)
        broken("One end: what was recorded stands", "%s is %u in run %u, and was %u in run %u",
               e->id, (unsigned)row.state, row.run, (unsigned)e->state, e->run);
    execution_row_clear(&row);
}

static void check_counters(void)
{
    node *n = cores_primary();
    orchestrator_stats stats;

    orchestrator_get_stats(n->orchestrator, &stats);
    if (stats.open || stats.pending || stats.running || stats.units_in_store)
        broken("Counters balance",
               "all has ended, and %" PRIu64 " are open, %" PRIu64 " pending, %" PRIu64
               " running, %" PRIu64 " units in the store",
               stats.open, stats.pending, stats.running, stats.units_in_store);
    for (uint32_t i = 0; i < cores_engine_count(); i++)
        if (!engine_is_idle(engines[i].engine) || engines[i].engine->active)
            broken("Places on engines are given back", "%s: %u are taken", engines[i].name,
                   engines[i].engine->active);
}

void model_check_end(void)
{
    for (uint32_t i = 0; i < model.count; i++)
        check_row(model.all[i]);
    for (uint64_t i = 0; i < model.signal_count; i++)
        if (model.signals[i].consumed && !model.signals[i].stored)
            broken("A signal is consumed once", "%" PRIu64 " was never stored", i + 1);
    check_counters();
}
