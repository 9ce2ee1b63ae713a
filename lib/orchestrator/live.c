/* Executions in memory: the table, the queue of those that wait for an engine, and new keys. */
#include <string.h>

#include "orchestrator/orchestrator_impl.h"

live *live_new(orchestrator *o, uint64_t key)
{
    live *l = mem_zalloc(sizeof *l);

    if (!l)
        return NULL;
    l->key = key;
    HASH_ADD(hh, o->lives, key, sizeof key, l);
    if (!map_added(l->hh)) {
        mem_free(l);
        return NULL;
    }
    list_init(&l->link);
    l->o = o;
    l->priority = PRIORITY_DEFAULT;
    l->engine = -1;
    return l;
}

void live_set_input(live *l, bytes *input)
{
    l->o->input_bytes -= l->input ? l->input->len : 0;
    bytes_unref(l->input);
    l->input = input;
    l->o->input_bytes += input ? input->len : 0;
}

live *live_find(const orchestrator *o, uint64_t key)
{
    live *l;

    HASH_FIND(hh, o->lives, &key, sizeof key, l);
    return l;
}

live *live_from_row(orchestrator *o, execution_row *row)
{
    version_entry *v = registry_by_key(o, row->definition);
    live *l = v ? live_new(o, row->key) : NULL;

    if (!v)
        log_write(o->ports.log, ORCH_LOG_CRITICAL,
                  "execution %llx: its definition %llu is not in the store",
                  (unsigned long long)row->key, (unsigned long long)row->definition);
    if (!l)
        return NULL;
    l->version = v;
    l->id = row->id;
    row->id = NULL;
    l->run = row->run;
    l->accepted_ms = row->accepted_ms;
    l->deadline_ms = row->deadline_ms;
    live_set_input(l, row->input);
    row->input = NULL;
    l->inbox_seq = row->inbox_seq;
    l->paused = row->paused;
    l->priority = row->priority < PRIORITIES ? row->priority : PRIORITY_DEFAULT;
    l->affinity = row->affinity;
    row->affinity = NULL;
    if (!limit_attach(l, row->limit_key)) {
        live_free(l);
        return NULL;
    }
    l->from_store = true;
    doubt_of_row(l);
    if (row->parent) {
        l->parent = parent_link_new("");
        if (!l->parent) {
            live_free(l);
            return NULL;
        }
        l->parent->key = row->parent;
        l->parent->run = row->parent_run;
        l->parent->step = row->parent_step;
        l->parent->index = row->parent_index;
        l->parent->attempt = row->parent_attempt;
        l->parent->depth = row->depth;
        l->parent->abandoned = row->abandoned;
        l->parent->by_task = row->by_task;
    }
    return l;
}

void live_free(live *l)
{
    orchestrator *o = l->o;

    HASH_DEL(o->lives, l);
    units_drop(l);
    queue_remove(l);
    heap_remove(&o->timers, &l->timer);
    channel_close(l->channel);
    if (l->engine >= 0)
        o->views[l->engine].active--;
    limit_detach(l);
    live_set_input(l, NULL);
    parent_link_free(l->parent);
    message_free(l->suspension);
    mem_free(l->affinity);
    mem_free(l->id);
    mem_free(l);
}

bool live_has_unit(const live *l)
{
    return l->phase == PHASE_ACCEPTING || l->phase == PHASE_ENDING;
}

const char *live_id(const live *l, char buffer[EXECUTION_ID_LEN + 1])
{
    if (l->id)
        return l->id;
    execution_id_format(l->key, buffer);
    return buffer;
}

bool live_is_paused(const live *l)
{
    return l->paused || settings_paused(l->o, l->version->workflow);
}

void live_tell_pause(live *l)
{
    message *m;

    if (l->phase == PHASE_PENDING && live_is_paused(l) && !l->cancelled) {
        live_free(l); /* it waits in the store, where it is not looked for */
        return;
    }
    if (l->phase != PHASE_HANDED)
        return; /* the hand-over says it */
    m = message_new(MESSAGE_PAUSE, l->epoch);
    if (!m) {
        dispatch_later(l);
        return;
    }
    m->pause.paused = live_is_paused(l);
    channel_send(l->channel, m);
}

/* Made ids take the shards in turn, a millisecond each: keys of one moment lie together in the store. */
uint64_t live_next_key(orchestrator *o, const char *id)
{
    uint32_t shard;

    if (o->now_ms > o->last_ms) {
        o->last_ms = o->now_ms;
        memset(o->sequences, 0, sizeof o->sequences);
    }
    shard = id ? execution_id_shard(id) : (uint32_t)(o->last_ms % STORE_SHARDS);
    if (o->sequences[shard] >> STORE_SEQUENCE_BITS) {
        o->last_ms++; /* a clock of our own that runs ahead a little */
        memset(o->sequences, 0, sizeof o->sequences);
        if (!id)
            shard = (uint32_t)(o->last_ms % STORE_SHARDS);
    }
    return execution_key_make(o->last_ms, shard, o->sequences[shard]++);
}

void live_tell(const live *l, int32_t severity, const char *kind, const char *step,
               const char *text)
{
    const orchestrator *o = l->o;
    char made[EXECUTION_ID_LEN + 1];

    if (events_wanted(o->ports.events))
        events_tell(o->ports.events, o->now_ms, severity, kind, live_id(l, made), step, "%s", text);
}
