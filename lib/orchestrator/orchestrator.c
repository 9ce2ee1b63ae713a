#include "orchestrator/orchestrator.h"

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

static void set_options(orchestrator *o, const orchestrator_options *from)
{
    o->options = *from;
    if (!o->options.max_open)
        o->options.max_open = 10000000;
    if (!o->options.max_accepting)
        o->options.max_accepting = 65536;
    if (!o->options.window)
        o->options.window = 8192;
    if (!o->options.window_bytes)
        o->options.window_bytes = 64 << 20;
    if (!o->options.max_signals)
        o->options.max_signals = 10000;
    if (!o->options.attach_grace_ms)
        o->options.attach_grace_ms = 15000;
}

static int32_t read_marks(orchestrator *o, orch_error **err)
{
    const store_ops *ops = o->ports.store.ops;
    void *self = o->ports.store.self;
    uint64_t last_key;
    int32_t rc = ops->marks(self, &last_key, &o->last_definition, err);

    if (!rc)
        rc = ops->count_open(self, &o->stats.open, err);
    if (!rc)
        rc = registry_load(o, err);
    if (!rc)
        rc = settings_load(o, err);
    if (!rc)
        rc = children_load(o, err);
    if (!rc)
        rc = doubt_load(o, err);
    o->opened_key_ms = rc ? 0 : execution_key_ms(last_key);
    o->last_ms = rc ? 0 : execution_key_ms(last_key) + 1; /* keys rise, whatever the clock does */
    return rc;
}

int32_t orchestrator_new(const orchestrator_options *options, const orchestrator_ports *p,
                         balancer b, orchestrator **out, orch_error **err)
{
    orchestrator *o = mem_zalloc(sizeof *o);
    int32_t rc;

    if (!o) {
        b.ops->free(b.self);
        return error_no_memory(err);
    }
    o->ports = *p;
    o->balancer = b;
    set_options(o, options);
    queue_init(o);
    list_init(&o->answered_settings);
    list_init(&o->answered_imports);
    list_init(&o->unread);
    list_init(&o->children_starting);
    list_init(&o->endings);
    list_init(&o->doubtful);
    list_init(&o->answered_starts);
    list_init(&o->answered_controls);
    list_init(&o->answered_registers);
    o->timer_ms = INT64_MAX;
    o->rested_ms = o->doubts_ms = INT64_MAX;
    o->now_ms = p->now_ms(p->ctx);
    /* Look at once who is due. */
    o->wake_ms = MUTATED(TIMER_LOST_AT_RESTART) ? INT64_MAX : o->now_ms;
    rc = read_marks(o, err);
    if (rc) {
        orchestrator_free(o);
        return rc;
    }
    *out = o;
    return 0;
}

void orchestrator_stop(orchestrator *o)
{
    live *l, *next;

    o->stopping = true;
    HASH_ITER(hh, o->lives, l, next)
    {
        if (l->kept || (!live_has_unit(l) && l->phase != PHASE_LOADING))
            live_free(l);
    }
    waiters_give_up(o);
}

bool orchestrator_is_idle(const orchestrator *o)
{
    return !o->stats.units_in_store && !o->reads && list_empty(&o->answered_starts) &&
           list_empty(&o->answered_controls) && list_empty(&o->answered_settings) &&
           list_empty(&o->answered_imports) && list_empty(&o->answered_registers);
}

void orchestrator_free(orchestrator *o)
{
    live *l, *next;

    if (!o)
        return;
    waiters_tell_all(o, ORCH_E_CANCELLED);
    HASH_ITER(hh, o->lives, l, next)
    {
        live_free(l);
    }
    report_free_spares(o);
    limits_free(o);
    settings_free(o);
    children_forget(o);
    registry_free(o);
    engines_free(o);
    heap_free(&o->timers);
    o->balancer.ops->free(o->balancer.self);
    mem_free(o);
}

static void run_timers(orchestrator *o)
{
    heap_node *first;

    while ((first = heap_first(&o->timers)) && first->at <= o->now_ms) {
        heap_remove(&o->timers, first);
        if (!o->stopping)
            dispatch_on_timer(LIST_ENTRY(first, live, timer));
    }
}

static void set_timer(orchestrator *o)
{
    heap_node *first = heap_first(&o->timers);
    int64_t at = first ? first->at : INT64_MAX;

    if (engines_deadline(o) < at)
        at = engines_deadline(o);
    if (doubt_deadline(o) < at)
        at = doubt_deadline(o);
    if (units_deadline(o) < at)
        at = units_deadline(o);
    if (reads_definitions_deadline(o) < at)
        at = reads_definitions_deadline(o);
    if (!o->stopping && children_deadline(o) < at)
        at = children_deadline(o);
    if (!o->stopping && limits_deadline(o) < at)
        at = limits_deadline(o);
    if (!o->stopping && retention_deadline(o) < at)
        at = retention_deadline(o);
    if (!o->reading_due && !doubt_at_opening(o) && o->wake_ms < at)
        at = o->wake_ms;
    if (o->page_retry_ms > o->now_ms && o->page_retry_ms < at)
        at = o->page_retry_ms; /* once it has passed, room is what is waited for */
    if (at == o->timer_ms)
        return;
    o->timer_ms = at;
    o->ports.set_timer(o->ports.ctx, at);
}

bool orchestrator_pump(orchestrator *o, uint32_t budget)
{
    bool more;

    look_at_clock(o);
    accept_answer_all(o);
    controls_answer_all(o);
    settings_answer_all(o);
    imports_answer_all(o);
    registry_answer_all(o);
    units_reap(o);
    units_again(o);
    run_timers(o);
    limits_on_timer(o);
    doubt_look(o);
    engines_wake(o);
    reads_definitions_again(o);
    queue_read(o);
    wake_look(o);
    retention_look(o);
    children_end_left(o);
    children_end_again(o);
    more = dispatch_pending(o, budget);
    set_timer(o);
    return more || !list_empty(&o->answered_starts) || !list_empty(&o->answered_controls) ||
           !list_empty(&o->answered_settings) || !list_empty(&o->answered_imports) ||
           !list_empty(&o->answered_registers);
}

enum live_state orchestrator_live_state(const orchestrator *o, uint64_t key)
{
    const live *l = live_find(o, key);

    if (!l)
        return LIVE_NONE;
    return l->phase == PHASE_HANDED || l->phase == PHASE_DETACHED || l->phase == PHASE_ENDING
               ? LIVE_RUNNING
               : LIVE_PENDING;
}

uint64_t orchestrator_units_submitted(const orchestrator *o)
{
    return o->stats.units_submitted;
}

bool orchestrator_has_units(const orchestrator *o)
{
    return o->stats.units_in_store > 0;
}

void orchestrator_get_stats(const orchestrator *o, orchestrator_stats *out)
{
    *out = o->stats;
    out->pending = o->pending_count + o->blocked_count;
    for (size_t i = 0; i < o->engine_count; i++)
        out->running += o->views[i].active;
}
