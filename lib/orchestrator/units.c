/* Units on their way into the store and back. What nobody but the orchestrator waits for (reports, ends) is kept when the
 * store refuses it for a reason that passes, and goes again later, as it was and in its order; what somebody asked for
 * (starts, cancels, registrations) is answered with the refusal. */
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

void unit_init(unit_job *j, orchestrator *o, uint64_t key, void (*done)(unit_job *j))
{
    j->o = o;
    j->done = done;
    j->unit.key = key;
    j->unit.shard = execution_key_shard(key);
    j->unit.term = o->ports.term;
}

void unit_submit(unit_job *j)
{
    orchestrator *o = j->o;

    o->stats.units_submitted++;
    o->stats.units_in_store++;
    o->ports.store.ops->submit(o->ports.store.self, &j->unit);
}

bool refusal_passes(int32_t code)
{
    return code == ORCH_E_RESOURCE_EXHAUSTED || code == ORCH_E_UNAVAILABLE;
}

int64_t refusal_pause_ms(uint32_t refusals)
{
    int64_t pause_ms = REFUSED_PAUSE_MS;

    while (--refusals && pause_ms < REFUSED_PAUSE_MOST_MS)
        pause_ms *= 2;
    return pause_ms < REFUSED_PAUSE_MOST_MS ? pause_ms : REFUSED_PAUSE_MOST_MS;
}

/* ---- units that are kept --------------------------------------------------------------------------------- */

static unit_job *job_of(store_unit *u)
{
    return (unit_job *)u;
}

static void keep(unit_job *j, live *l)
{
    orchestrator *o = j->o;

    if (!o->kept) {
        o->kept_end = &o->kept;
        o->kept_until_ms = o->now_ms + refusal_pause_ms(j->refusals ? j->refusals : 1);
    }
    j->unit.next = NULL;
    *o->kept_end = &j->unit;
    o->kept_end = &j->unit.next;
    l->kept++;
}

void unit_submit_patiently(unit_job *j, live *l)
{
    j->patient = true;
    l->units++;
    if (l->kept)
        keep(j, l); /* behind what was before it */
    else
        unit_submit(j);
}

/* True if j goes again later. One that went after a refused one was refused with it, and follows it here. */
static bool keep_refused(unit_job *j)
{
    orchestrator *o = j->o;
    int32_t code = j->unit.result;
    char made[EXECUTION_ID_LEN + 1];
    live *l;

    if (!j->patient || o->stopping || MUTATED(REFUSED_REPORT_FORGOTTEN) ||
        (!refusal_passes(code) && code != ORCH_E_OUT_OF_RANGE))
        return false;
    l = live_find(o, j->unit.key);
    if (!l)
        return false;
    if (j->refusals++ == 0 && refusal_passes(code))
        log_write(o->ports.log, ORCH_LOG_WARNING,
                  "execution %s: the store refused what is to be recorded of it (%s); it is "
                  "tried again",
                  live_id(l, made), orch_code_name(code));
    keep(j, l);
    return true;
}

void units_reap(orchestrator *o)
{
    store_unit *u = o->ports.store.ops->reap(o->ports.store.self);

    while (u) {
        store_unit *next = u->next;
        unit_job *j = job_of(u);

        o->stats.units_in_store--;
        if (!j->unit.result || !keep_refused(j))
            j->done(j);
        u = next;
    }
}

void units_again(orchestrator *o)
{
    store_unit *u = o->kept, *next;

    if (!u || o->kept_until_ms > o->now_ms)
        return;
    o->kept = NULL;
    for (; u; u = next) {
        next = u->next;
        live_find(o, u->key)->kept--; /* a live that goes takes its units with it */
        unit_submit(job_of(u));
    }
}

int64_t units_deadline(const orchestrator *o)
{
    return o->kept ? o->kept_until_ms : INT64_MAX;
}

void units_drop(live *l)
{
    orchestrator *o = l->o;
    store_unit **at = &o->kept, *u;

    while (l->kept && (u = *at)) {
        if (u->key != l->key) {
            at = &u->next;
            continue;
        }
        *at = u->next;
        if (!u->next)
            o->kept_end = at;
        l->kept--;
        job_of(u)->done(job_of(u));
    }
}
