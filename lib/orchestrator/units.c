/* Units on their way into the store and back. */
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

void units_reap(orchestrator *o)
{
    store_unit *u = o->ports.store.ops->reap(o->ports.store.self);

    while (u) {
        store_unit *next = u->next;
        unit_job *j = (unit_job *)u;

        o->stats.units_in_store--;
        j->done(j);
        u = next;
    }
}
