/* The engine registry: which engines there are, and which is next. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "orchestrator/orchestrator_impl.h"

static bool make_room(orchestrator *o)
{
    size_t n = o->engine_count + 1;
    engine_entry *engines = mem_realloc(o->engines, n * sizeof *engines);
    balancer_engine *views;

    if (!engines)
        return false;
    o->engines = engines;
    views = mem_realloc(o->views, n * sizeof *views);
    if (!views)
        return false;
    o->views = views;
    return true;
}

static void rest(orchestrator *o, int32_t place, int64_t for_ms)
{
    engine_entry *e = &o->engines[place];

    e->retry_ms = o->now_ms + for_ms;
    if (e->retry_ms < o->rested_ms)
        o->rested_ms = e->retry_ms;
    o->views[place].available = false;
}

int32_t orchestrator_add_engine(orchestrator *o, const char *name, transport t,
                                const char *endpoint, uint32_t capacity, orch_error **err)
{
    engine_entry e = {.transport = t};

    for (size_t i = 0; i < o->engine_count; i++)
        if (!strcmp(o->engines[i].name, name))
            return error_set(err, ORCH_E_ALREADY_EXISTS, name, "there is an engine '%s' already",
                             name);
    e.name = mem_strdup(name);
    e.endpoint = mem_strdup(endpoint);
    if (!e.name || !e.endpoint || !make_room(o)) {
        mem_free(e.name);
        mem_free(e.endpoint);
        return error_no_memory(err);
    }
    o->engines[o->engine_count] = e;
    o->views[o->engine_count++] = (balancer_engine){e.name, capacity, 0, true};
    if (engines_are_remote(o, (int32_t)o->engine_count - 1) && !o->remotes_noted)
        rest(o, (int32_t)o->engine_count - 1, 0);
    return 0;
}

bool engines_are_remote(const orchestrator *o, int32_t place)
{
    return !o->engines[place].transport.ops->in_process;
}

void engines_noted(orchestrator *o)
{
    for (size_t i = 0; i < o->engine_count; i++)
        if (engines_are_remote(o, (int32_t)i))
            o->engines[i].retry_ms = o->rested_ms = o->now_ms;
}

bool orchestrator_get_engine(const orchestrator *o, size_t i, engine_info *out)
{
    const balancer_engine *v;

    if (i >= o->engine_count)
        return false;
    v = &o->views[i];
    *out = (engine_info){v->name, o->engines[i].endpoint, v->capacity, v->active, v->available};
    return true;
}

int32_t engines_pick(orchestrator *o, const live *l)
{
    const char *key = l->affinity ? l->affinity : l->version->workflow;

    if (!o->engine_count)
        return -1;
    return o->balancer.ops->pick(o->balancer.self, o->views, o->engine_count,
                                 text_hash(key, strlen(key)));
}

void engines_rest(orchestrator *o, int32_t place)
{
    rest(o, place, ENGINE_RETRY_MS);
}

void engines_lost(orchestrator *o, int32_t place)
{
    engine_entry *e = &o->engines[place];

    if (o->views[place].available) { /* else others were lost with it, and it rests already */
        e->rest_ms = e->rest_ms ? e->rest_ms * 2 : ENGINE_RETRY_MS;
        if (e->rest_ms > ENGINE_RETRY_MAX_MS)
            e->rest_ms = ENGINE_RETRY_MAX_MS;
    }
    rest(o, place, e->rest_ms);
}

void engines_well(orchestrator *o, int32_t place)
{
    o->engines[place].rest_ms = 0;
}

int64_t engines_deadline(const orchestrator *o)
{
    return o->rested_ms;
}

void engines_wake(orchestrator *o)
{
    if (o->rested_ms > o->now_ms)
        return;
    o->rested_ms = INT64_MAX;
    for (size_t i = 0; i < o->engine_count; i++) {
        engine_entry *e = &o->engines[i];

        if (e->retry_ms && e->retry_ms <= o->now_ms && !o->remotes_noted &&
            engines_are_remote(o, (int32_t)i)) {
            doubt_note_remotes(o);
            rest(o, (int32_t)i, ENGINE_RETRY_MS);
        } else if (e->retry_ms && e->retry_ms <= o->now_ms) {
            e->retry_ms = 0;
            o->views[i].available = true;
        } else if (e->retry_ms && e->retry_ms < o->rested_ms) {
            o->rested_ms = e->retry_ms;
        }
    }
}

void engines_free(orchestrator *o)
{
    for (size_t i = 0; i < o->engine_count; i++) {
        mem_free(o->engines[i].name);
        mem_free(o->engines[i].endpoint);
    }
    mem_free(o->engines);
    mem_free(o->views);
}
