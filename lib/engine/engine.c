#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "engine/engine_impl.h"

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value ? value : fallback;
}

static void set_options(engine *e, const engine_options *o)
{
    e->options = *o;
    e->options.name = e->name;
    e->options.capacity = (uint32_t)or_default(o->capacity, 10);
    e->options.credit = (uint32_t)or_default(o->credit, 4096);
    e->options.suspend_after_ms = or_default(o->suspend_after_ms, 10000);
    e->options.quiet_ms = or_default(o->quiet_ms, 1000);
    e->options.detach_grace_ms = or_default(o->detach_grace_ms, 10000);
    e->options.executor_wait_ms = or_default(o->executor_wait_ms, 30000);
}

int32_t engine_new(const engine_options *o, const engine_ports *p, engine **out, orch_error **err)
{
    engine *e = mem_zalloc(sizeof *e);
    sandbox_limits limits;
    int32_t rc;

    if (e)
        e->name = mem_strdup(o->name ? o->name : "");
    if (!e || !e->name) {
        mem_free(e);
        return error_no_memory(err);
    }
    e->ports = *p;
    set_options(e, o);
    limits = (sandbox_limits){o->lua_instructions, o->lua_memory_bytes};
    rc = sandboxes_new(&limits, &e->sandboxes, err);
    if (rc) {
        mem_free(e->name);
        mem_free(e);
        return rc;
    }
    list_init(&e->known_lru);
    list_init(&e->all);
    list_init(&e->ready);
    list_init(&e->parked);
    e->timer_ms = e->beats_until_ms = INT64_MAX;
    e->now_ms = p->now_ms(p->ctx);
    *out = e;
    return 0;
}

/* Between two looks at beats that come by themselves: who beats all the time does not keep the loop from resting. */
#define BEATS_REST_MS 50

static void drain_beats(engine *e)
{
    mpsc_node *node = mpsc_drain(&e->beats);

    if (!node)
        return;
    e->beats_until_ms = e->now_ms + BEATS_REST_MS;
    atomic_store(&e->beats_rest, 1);
    while (node) {
        mpsc_node *next = node->next;

        attempt_heard(attempt_of_beat(node));
        node = next;
    }
}

/* Nothing has come for a while: from here on a beat wakes the engine, but for those that came just before. */
static void end_rest(engine *e)
{
    e->beats_until_ms = INT64_MAX;
    atomic_exchange(&e->beats_rest, 0);
    drain_beats(e);
}

/* An attempt beats before it is finished. So of those that are taken here as finished all beats are in the queue, which is
 * looked at while they are still there. */
static void drain_finished(engine *e)
{
    mpsc_node *node = mpsc_drain(&e->finished);

    drain_beats(e);
    while (node) {
        mpsc_node *next = node->next;

        attempt_finished(attempt_of_node(node));
        node = next;
    }
}

void engine_free(engine *e)
{
    executor_entry *x, *next;

    if (!e)
        return;
    engine_stop(e);
    HASH_ITER(hh, e->executors, x, next)
    {
        x->executor.ops->free(
            x->executor.self); /* cuts tasks that are still out from their attempts */
    }
    drain_finished(e);
    while (!list_empty(&e->all)) { /* what is left will never come back */
        slot *s = LIST_ENTRY(e->all.next, slot, all);

        attempt_finished(attempt_first(s));
    }
    HASH_ITER(hh, e->executors, x, next)
    {
        HASH_DEL(e->executors, x);
        mem_free(x);
    }
    known_free_all(e);
    sandboxes_free(e->sandboxes);
    heap_free(&e->timers);
    mem_free(e->name);
    mem_free(e);
}

static executor_entry *find_entry(engine *e, const char *name)
{
    executor_entry *x;

    HASH_FIND_STR(e->executors, name, x);
    return x;
}

int32_t engine_add_executor(engine *e, const char *name, executor x, orch_error **err)
{
    size_t len = strlen(name);
    executor_entry *entry = NULL;
    int32_t rc = 0;

    if (find_entry(e, name)) {
        rc = error_set(err, ORCH_E_ALREADY_EXISTS, name,
                       "an executor named '%s' is registered already", name);
        goto out;
    }
    entry = mem_zalloc(sizeof *entry + len + 1);
    if (entry) {
        memcpy(entry->name, name, len + 1);
        entry->executor = x;
        HASH_ADD_STR(e->executors, name, entry);
    }
    if (!entry || !map_added(entry->hh)) {
        rc = error_no_memory(err);
        goto out;
    }
    attempt_retry_parked(e);
    return 0;
out:
    mem_free(entry);
    x.ops->free(x.self);
    return rc;
}

int32_t engine_put_executor(engine *e, const char *name, executor x, orch_error **err)
{
    executor_entry *entry = find_entry(e, name);

    if (!entry)
        return engine_add_executor(e, name, x, err);
    if (!engine_is_idle(e)) {
        x.ops->free(x.self);
        return error_set(err, ORCH_E_FAILED_PRECONDITION, name,
                         "executor '%s' cannot be replaced while steps run", name);
    }
    entry->executor.ops->free(entry->executor.self);
    entry->executor = x;
    return 0;
}

executor *engine_find_executor(engine *e, const char *name)
{
    executor_entry *x = find_entry(e, name);

    return x ? &x->executor : NULL;
}

executor_entry *engine_executor_of(engine *e, known_definition *k, uint16_t executor)
{
    if (!k->executors[executor])
        k->executors[executor] = find_entry(e, k->definition->executors[executor]);
    return k->executors[executor];
}

void engine_accept(void *ctx, channel *c)
{
    c->handler = &protocol_fresh_handler;
    c->ctx = ctx;
}

void engine_touch(slot *s)
{
    if (list_empty(&s->ready))
        list_push(&s->engine->ready, &s->ready);
}

static void run_timers(engine *e)
{
    heap_node *first;

    while ((first = heap_first(&e->timers)) && first->at <= e->now_ms) {
        slot *s = LIST_ENTRY(first, slot, timer);

        heap_remove(&e->timers, first);
        slot_on_timer(s);
    }
    if (attempt_parked_deadline(e) <= e->now_ms)
        attempt_retry_parked(e);
}

static void set_timer(engine *e)
{
    heap_node *first = heap_first(&e->timers);
    int64_t at = first ? first->at : INT64_MAX;

    if (attempt_parked_deadline(e) < at)
        at = attempt_parked_deadline(e);
    if (e->beats_until_ms < at)
        at = e->beats_until_ms;
    if (at == e->timer_ms)
        return;
    e->timer_ms = at;
    e->ports.set_timer(e->ports.ctx, at);
}

bool engine_pump(engine *e, uint32_t budget)
{
    uint32_t left = budget;
    list *node;

    e->now_ms = e->ports.now_ms(e->ports.ctx);
    if (!mpsc_empty(&e->finished) || !mpsc_empty(&e->beats))
        drain_finished(e);
    if (e->beats_until_ms <= e->now_ms)
        end_rest(e);
    run_timers(e);
    /* None is cut short by what others took: what an execution reports in two parts, with thousands between them, lies
     * in the store where others have been written meanwhile. */
    while (left && (node = list_pop(&e->ready))) {
        uint32_t taken = slot_work(LIST_ENTRY(node, slot, ready), budget);

        left -= taken < left ? taken : left;
    }
    set_timer(e);
    return !list_empty(&e->ready) || !mpsc_empty(&e->finished);
}

void engine_stop(engine *e)
{
    list *it = e->all.next;

    e->stopped = true;
    while (it != &e->all) {
        slot *s = LIST_ENTRY(it, slot, all);

        it = it->next;
        slot_drop(s);
    }
}

void engine_drain(engine *e)
{
    list *it = e->all.next;

    e->draining = true;
    while (it != &e->all) {
        slot *s = LIST_ENTRY(it, slot, all);

        it = it->next;
        slot_drain(s);
    }
}

size_t engine_executor_names(const engine *e, const char **out, size_t max)
{
    const executor_entry *x, *next;
    size_t n = 0;

    HASH_ITER(hh, e->executors, x, next)
    {
        if (n < max)
            out[n++] = x->name;
    }
    return n;
}

uint32_t engine_active(const engine *e)
{
    return e->active;
}

bool engine_forget(engine *e, uint64_t execution_key, epoch ep)
{
    slot *s;

    HASH_FIND(hh, e->slots, &execution_key, sizeof execution_key, s);
    if (!s || epoch_compare(s->epoch, ep) > 0)
        return false;
    slot_drop(s);
    return true;
}

bool engine_is_idle(const engine *e)
{
    return e->under_way == 0;
}

const char *engine_first_running(const engine *e, char *buffer, size_t size)
{
    *buffer = '\0';
    LIST_EACH(it, &e->all)
    {
        const slot *s = LIST_ENTRY(it, slot, all);
        const attempt_job *j = attempt_first(s);

        if (j) {
            snprintf(buffer, size, "%s/%s", s->start->execution, attempt_step_id(j));
            break;
        }
    }
    return buffer;
}

/* The execution's slot with a run in it, or NULL. */
static const slot *find_run(const engine *e, uint64_t execution_key)
{
    const slot *s;

    HASH_FIND(hh, e->slots, &execution_key, sizeof execution_key, s);
    return s && s->run ? s : NULL;
}

bool engine_is_running(const engine *e, uint64_t execution_key, uint32_t step, uint32_t index)
{
    const slot *s = find_run(e, execution_key);

    return s && run_is_running(s->run, step, index);
}

bool engine_get_progress(const engine *e, uint64_t execution_key, engine_progress *out)
{
    const slot *s = find_run(e, execution_key);

    if (!s)
        return false;
    out->counts = run_get_counts(s->run);
    out->items = s->items_total;
    out->items_ended = s->items_ended;
    return true;
}
