/* What waits for an engine: a window of it in memory, by priority and in the order of acceptance; the rest in the store only,
 * from where pages are brought in when there is room. */
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

#define PAGE_MOST 256 /* rows: each may bring a large input */

/* ---- in memory ------------------------------------------------------------------------------------------- */

void queue_init(orchestrator *o)
{
    for (int i = 0; i < PRIORITIES; i++) {
        list_init(&o->levels[i].pending);
        o->levels[i].overflow = UINT64_MAX;
    }
    o->levels_more = MUTATED(QUEUE_LOST_AT_RESTART) ? 0 : (1u << PRIORITIES) - 1;
}

void queue_add(live *l, bool first)
{
    orchestrator *o = l->o;
    list *pending = &o->levels[l->priority].pending;

    queue_remove(l);
    l->phase = PHASE_PENDING;
    list_push(first ? pending->next : pending, &l->link);
    o->pending_count++;
    if (l->deadline_ms)
        heap_set(&o->timers, &l->timer,
                 l->deadline_ms); /* without memory the engine's timer serves */
}

void queue_remove(live *l)
{
    if (l->phase == PHASE_PENDING && !list_empty(&l->link)) {
        if (l->blocked)
            limit_unblock(l);
        else
            l->o->pending_count--;
        heap_remove(&l->o->timers, &l->timer);
    }
    list_remove(&l->link);
}

live *queue_first(orchestrator *o)
{
    for (int i = PRIORITIES - 1; o->pending_count && i >= 0; i--)
        if (!list_empty(&o->levels[i].pending))
            return LIST_ENTRY(o->levels[i].pending.next, live, link);
    return NULL;
}

bool queue_has_room(const orchestrator *o)
{
    return o->pending_count < o->options.window && o->input_bytes <= o->options.window_bytes;
}

bool queue_takes_new(const orchestrator *o, const live *l)
{
    bool is_next = !(o->levels_more & 1u << l->priority) || doubt_at_opening(o);

    return !o->stopping && queue_has_room(o) && is_next && !limit_waits_in_store(l->limit) &&
           !settings_paused(o, l->version->workflow);
}

/* ---- in the store ---------------------------------------------------------------------------------------- */

typedef struct page_read {
    pool_read base; /* first */
    uint32_t asked; /* bit n: of priority n there may be more ... */
    uint64_t after[PRIORITIES];
    uint32_t limit;
    /* Out. */
    uint32_t empty; /* ... but there was none */
    uint8_t priority;
    execution_page page; /* of that one */
} page_read;

void queue_bring_in(orchestrator *o, execution_row *row, bool wanted)
{
    live *l;

    if (EXECUTION_STATE_IS_END(row->state) || live_find(o, row->key))
        return;
    l = live_from_row(o, row);
    if (!l) {
        if (registry_by_key(o, row->definition))
            queue_later(o, row->key);
    } else if (wanted || l->inbox_seq ||
               (!limit_waits_in_store(l->limit) && !settings_paused(o, l->version->workflow))) {
        queue_add(l, false);
    } else {
        limit_left_in_store(l->limit);
        live_free(l); /* it is found again when that no longer holds */
    }
}

void queue_overflow(orchestrator *o, uint8_t priority, uint64_t key)
{
    queue_level *level = &o->levels[priority];

    if (o->reading_page && key < level->overflow)
        level->overflow = key;
    if (!(o->levels_more & 1u << priority) || key <= level->behind)
        level->behind = key - 1;
    o->levels_more |= 1u << priority;
}

void queue_overflow_any(orchestrator *o, uint64_t key)
{
    for (uint8_t i = 0; i < PRIORITIES; i++)
        queue_overflow(o, i, key);
}

void queue_later(orchestrator *o, uint64_t key)
{
    o->page_retry_ms = o->now_ms + READ_RETRY_MS;
    queue_overflow_any(o, key);
}

static void row_read(void *ctx, int32_t code, execution_row *row, orch_error *error)
{
    orchestrator *o = ctx;

    (void)error;
    if (!code && row->state == EXECUTION_SUSPENDED)
        return; /* its time has not come */
    if (!code && queue_has_room(o) && !o->stopping)
        queue_bring_in(o, row, true);
    else if (!code)
        queue_overflow(o, row->priority, row->key); /* found again with the pages */
}

/* A row that cannot be read is found again with the pages. */
typedef struct bring_read {
    orchestrator *o;
    uint64_t key;
} bring_read;

static void bring_back(void *ctx, int32_t code, execution_row *row, orch_error *error)
{
    bring_read b = *(bring_read *)ctx;

    mem_free(ctx);
    if (code && code != ORCH_E_NOT_FOUND)
        queue_overflow_any(b.o, b.key);
    else
        row_read(b.o, code, row, error);
}

void queue_bring(orchestrator *o, uint64_t key)
{
    bring_read *b = mem_alloc(sizeof *b);

    if (!b) {
        queue_overflow_any(o, key);
        return;
    }
    *b = (bring_read){o, key};
    reads_row(o, key, NULL, bring_back, b);
}

/* Of the highest priority that has any. */
static void read_page(pool_read *base)
{
    page_read *r = (page_read *)base;
    store *s = &base->o->ports.store;

    for (int i = PRIORITIES - 1; i >= 0; i--) {
        if (!(r->asked >> i & 1))
            continue;
        r->priority = (uint8_t)i;
        base->code = s->ops->load_runnable(s->self, r->priority, NULL, r->after[i], r->limit,
                                           &r->page, &base->error);
        if (base->code || r->page.count || r->page.next_after)
            return;
        execution_page_clear(&r->page); /* what is empty may have room all the same */
        r->empty |= 1u << i;
    }
}

static void page_free(page_read *r)
{
    execution_page_clear(&r->page);
    orch_error_free(r->base.error);
    mem_free(r);
}

/* What went there while it was read may or may not have been seen. */
static void note_level(orchestrator *o, const page_read *r, uint8_t priority)
{
    queue_level *level = &o->levels[priority];
    uint64_t overflow = level->overflow;

    level->overflow = UINT64_MAX;
    if (!r->base.code && r->empty >> priority & 1)
        o->levels_more &= ~(1u << priority);
    if (!r->base.code && r->page.count + r->page.next_after && priority == r->priority) {
        o->levels_more &= ~(1u << priority);
        o->levels_more |= (uint32_t)(r->page.next_after != 0) << priority;
        level->behind = r->page.next_after;
    }
    if (overflow != UINT64_MAX)
        queue_overflow(o, priority, overflow);
}

static void page_back(pool_read *base)
{
    page_read *r = (page_read *)base;
    orchestrator *o = base->o;

    o->reading_page = false;
    for (uint8_t i = 0; i < PRIORITIES; i++)
        note_level(o, r, i);
    if (base->code) {
        log_write(o->ports.log, ORCH_LOG_ERROR, "reading what waits: %s",
                  orch_error_message(base->error));
        o->page_retry_ms = o->now_ms + READ_RETRY_MS;
    }
    for (size_t i = 0; i < r->page.count && !o->stopping; i++)
        queue_bring_in(o, &r->page.rows[i], false);
    page_free(r);
}

void queue_read(orchestrator *o)
{
    uint32_t half = o->options.window / 2 ? o->options.window / 2 : 1;
    page_read *r;

    if (!o->levels_more || o->reading_page || o->stopping || doubt_at_opening(o) ||
        o->pending_count >= half || o->input_bytes > o->options.window_bytes ||
        o->page_retry_ms > o->now_ms)
        return;
    o->page_retry_ms = 0;
    r = mem_zalloc(sizeof *r);
    if (r) {
        r->base.read = read_page;
        r->base.back = page_back;
        r->asked = o->levels_more;
        r->limit = half < PAGE_MOST ? half : PAGE_MOST;
        for (int i = 0; i < PRIORITIES; i++)
            r->after[i] = o->levels[i].behind;
    }
    o->reading_page = r && reads_submit(o, &r->base);
    if (o->reading_page)
        return;
    mem_free(r);
    o->page_retry_ms = o->now_ms + READ_RETRY_MS;
}
