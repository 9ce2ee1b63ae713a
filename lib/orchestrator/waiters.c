/* Who waits for which end; and outcomes, which they are told. */
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

typedef struct waiter_entry {
    UT_hash_handle hh;
    uint64_t key;
    list waiters;
} waiter_entry;

static waiter_entry *find(const orchestrator *o, uint64_t key)
{
    waiter_entry *e;

    HASH_FIND(hh, o->waiters, &key, sizeof key, e);
    return e;
}

bool waiters_any(const orchestrator *o, uint64_t key)
{
    return find(o, key) != NULL;
}

void waiters_add(orchestrator *o, uint64_t key, end_waiter *w)
{
    waiter_entry *e = find(o, key);

    if (!e) {
        e = mem_zalloc(sizeof *e);
        if (e) {
            e->key = key;
            list_init(&e->waiters);
            HASH_ADD(hh, o->waiters, key, sizeof key, e);
        }
        if (!e || !map_added(e->hh)) {
            mem_free(e);
            w->done(w, ORCH_E_RESOURCE_EXHAUSTED, NULL);
            return;
        }
    }
    w->key = key;
    list_push(&e->waiters, &w->link);
}

void waiters_tell(orchestrator *o, uint64_t key, int32_t code, outcome *out)
{
    waiter_entry *e = find(o, key);
    list *node;

    if (!e)
        return;
    HASH_DEL(o->waiters, e);
    while ((node = list_pop(&e->waiters))) {
        end_waiter *w = LIST_ENTRY(node, end_waiter, link);

        w->done(w, code, out);
    }
    mem_free(e);
}

void waiters_tell_all(orchestrator *o, int32_t code)
{
    while (o->waiters)
        waiters_tell(o, o->waiters->key, code, NULL);
}

void waiters_give_up(orchestrator *o)
{
    waiter_entry *e, *next;

    HASH_ITER(hh, o->waiters, e, next)
    {
        const live *l = live_find(o, e->key);

        if (!l || !live_has_unit(l))
            waiters_tell(o, e->key, ORCH_E_CANCELLED, NULL);
    }
}

bool orchestrator_unwait(orchestrator *o, end_waiter *w)
{
    waiter_entry *e;

    if (list_empty(&w->link))
        return false;
    list_remove(&w->link);
    e = find(o, w->key);
    if (list_empty(&e->waiters)) { /* of a million sleepers, each would stay until its end */
        HASH_DEL(o->waiters, e);
        mem_free(e);
    }
    return true;
}

outcome *outcome_ref(outcome *o)
{
    if (o)
        atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

void outcome_unref(outcome *o)
{
    if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return;
    bytes_unref(o->output);
    bytes_unref(o->error);
    mem_free(o);
}

/* The texts live in the same block. */
static outcome *outcome_new(uint64_t key, const char *id, const char *workflow, const char *version)
{
    size_t a = strlen(id) + 1, b = strlen(workflow) + 1, c = strlen(version) + 1;
    outcome *o = mem_zalloc(sizeof *o + a + b + c);

    if (!o)
        return NULL;
    atomic_init(&o->refs, 1);
    o->key = key;
    o->id = memcpy(o + 1, id, a);
    o->workflow = memcpy(o->id + a, workflow, b);
    o->version = memcpy(o->workflow + b, version, c);
    return o;
}

outcome *outcome_of_row(const execution_row *row, const char *workflow, const char *version)
{
    char made[EXECUTION_ID_LEN + 1];
    outcome *out;

    execution_id_format(row->key, made);
    out = outcome_new(row->key, row->id ? row->id : made, workflow, version);
    if (!out)
        return NULL;
    out->state = row->state;
    out->accepted_ms = row->accepted_ms;
    out->ended_ms = row->ended_ms;
    out->output = bytes_ref(row->output);
    out->error = bytes_ref(row->error);
    return out;
}

static void tell_end(const live *l, enum execution_state state)
{
    static const char *const words[] = {"succeeded", "failed", "cancelled", "timed_out"};

    live_tell(l, state == EXECUTION_SUCCEEDED ? ORCH_LOG_INFO : ORCH_LOG_WARNING, "execution_ended",
              NULL, words[state - EXECUTION_SUCCEEDED]);
}

void end_reached(live *l, enum execution_state state, int64_t ended_ms, bytes *output, bytes *error)
{
    orchestrator *o = l->o;
    char made[EXECUTION_ID_LEN + 1];
    uint64_t key = l->key;
    outcome *out = NULL;

    o->stats.ended++;
    o->stats.open--;
    tell_end(l, state);
    if (waiters_any(o, key)) {
        out = outcome_new(key, live_id(l, made), l->version->workflow, l->version->version);
        if (out) {
            out->state = (uint8_t)state;
            out->accepted_ms = l->accepted_ms;
            out->ended_ms = ended_ms;
            out->output = bytes_ref(output);
            out->error = bytes_ref(error);
        }
    }
    live_free(l);
    if (!MUTATED(WAITER_FORGOTTEN))
        waiters_tell(o, key, out ? 0 : ORCH_E_RESOURCE_EXHAUSTED, out);
    outcome_unref(out);
}

/* ---- waiting for what may have ended already ------------------------------------------------------------- */

typedef struct late_wait {
    orchestrator *o;
    uint64_t key;
} late_wait;

/* The waiters stand in the table meanwhile, so that an end that comes first is not missed. */
static void late_wait_read(void *ctx, int32_t code, execution_row *row, orch_error *error)
{
    late_wait *l = ctx;
    orchestrator *o = l->o;
    uint64_t key = l->key;
    version_entry *v;
    outcome *out;

    (void)error;
    mem_free(l);
    if (code) {
        waiters_tell(o, key, code, NULL);
    } else if (EXECUTION_STATE_IS_END(row->state)) {
        v = registry_by_key(o, row->definition);
        out = outcome_of_row(row, v ? v->workflow : "", v ? v->version : "");
        waiters_tell(o, key, out ? 0 : ORCH_E_RESOURCE_EXHAUSTED, out);
        outcome_unref(out);
    }
}

void waiters_look(orchestrator *o, uint64_t key)
{
    late_wait *l;

    if (!waiters_any(o, key))
        return;
    l = mem_zalloc(sizeof *l);
    if (l) {
        l->o = o;
        l->key = key;
        reads_row(o, key, NULL, late_wait_read, l);
    } else {
        waiters_tell(o, key, ORCH_E_RESOURCE_EXHAUSTED, NULL);
    }
}

void orchestrator_wait(orchestrator *o, uint64_t key, end_waiter *w)
{
    list_init(&w->link);
    waiters_add(o, key, w);
    if (!live_find(o, key))
        waiters_look(o, key);
}
