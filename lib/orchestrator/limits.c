/* Limits of a key: how many of its executions engines have at a time, and how many are handed over in a time (a token
 * bucket). What has to wait stands in nobody else's way: it has a list of its own, and beyond a number waits in the store. */
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

#define PAGE         64
#define BLOCKED_MOST 64 /* of a key, in memory */
#define MILLI        1000

static limit_entry *find(const orchestrator *o, const char *key)
{
    limit_entry *e;

    HASH_FIND_STR(o->limits, key, e);
    return e;
}

static limit_entry *get(orchestrator *o, const char *key)
{
    limit_entry *e = find(o, key);
    size_t len = strlen(key);

    if (e)
        return e;
    e = mem_zalloc(sizeof *e + len + 1);
    if (!e)
        return NULL;
    memcpy(e->key, key, len + 1);
    HASH_ADD_STR(o->limits, key, e);
    if (!map_added(e->hh)) {
        mem_free(e);
        return NULL;
    }
    list_init(&e->blocked);
    return e;
}

static bool is_set(const limit_entry *e)
{
    return e->limit.concurrency || e->limit.rate;
}

static void let_go(orchestrator *o, limit_entry *e)
{
    if (e->users || e->reading || e->in_store || is_set(e))
        return;
    heap_remove(&o->limit_timers, &e->timer);
    HASH_DEL(o->limits, e);
    mem_free(e);
}

void limits_free(orchestrator *o)
{
    limit_entry *e, *next;

    HASH_ITER(hh, o->limits, e, next)
    {
        HASH_DEL(o->limits, e);
        mem_free(e);
    }
    heap_free(&o->limit_timers);
}

limit orchestrator_get_limit(const orchestrator *o, const char *key)
{
    const limit_entry *e = find(o, key);

    return e ? e->limit : (limit){0};
}

bool limit_attach(live *l, const char *key)
{
    if (!key)
        return true;
    l->limit = get(l->o, key);
    if (l->limit)
        l->limit->users++;
    return l->limit != NULL;
}

/* ---- the bucket ------------------------------------------------------------------------------------------ */

static int64_t bucket_milli(const limit *l)
{
    return (int64_t)(l->burst ? l->burst : l->rate) * MILLI;
}

static void fill(limit_entry *e, int64_t now_ms)
{
    int64_t most = bucket_milli(&e->limit);
    int64_t passed_ms = now_ms - e->filled_ms, gained;

    if (passed_ms <= 0) {
        if (passed_ms < 0) /* the clock was set back */
            e->filled_ms = now_ms;
        return;
    }
    if (passed_ms / e->limit.per_ms >
        most / MILLI / e->limit.rate) { /* nor can it overflow below */
        e->tokens_milli = most;
        e->filled_ms = now_ms;
        return;
    }
    /* Whole thousandths only; the rest of the time counts on. */
    gained = passed_ms * e->limit.rate * MILLI / e->limit.per_ms;
    e->tokens_milli += gained;
    e->filled_ms += gained * e->limit.per_ms / ((int64_t)e->limit.rate * MILLI);
    if (e->tokens_milli > most)
        e->tokens_milli = most;
}

static bool has_token(limit_entry *e, int64_t now_ms)
{
    if (!e->limit.rate)
        return true;
    fill(e, now_ms);
    return e->tokens_milli >= MILLI;
}

/* When the next one is there, rounded up. */
static int64_t next_token_ms(const limit_entry *e)
{
    int64_t missing = MILLI - e->tokens_milli;
    int64_t rate = (int64_t)e->limit.rate * MILLI;

    return e->filled_ms + (missing * e->limit.per_ms + rate - 1) / rate;
}

/* ---- who may, and who waits ------------------------------------------------------------------------------ */

static bool has_place(const limit_entry *e)
{
    return !e->limit.concurrency || e->placed < e->limit.concurrency + MUTATED(LIMIT_OFF_BY_ONE);
}

bool limit_allows(live *l)
{
    limit_entry *e = l->limit;

    return !e || (has_place(e) && has_token(e, l->o->now_ms));
}

bool limit_waits_in_store(const limit_entry *e)
{
    return e && e->in_store;
}

void limit_left_in_store(limit_entry *e)
{
    if (e && e->reading)
        e->missed = true;
}

static void read_more(orchestrator *o, limit_entry *e);

void limit_unblock(live *l)
{
    l->blocked = false;
    l->limit->blocked_count--;
    l->o->blocked_count--;
}

/* The first of those that wait goes into the queue, and the next one once that has been handed over: what stands in the
 * queue has no claim to a place or a token yet. */
static void look(orchestrator *o, limit_entry *e)
{
    if (!has_place(e) || (list_empty(&e->blocked) && !e->in_store))
        return;
    if (!has_token(e, o->now_ms))
        heap_set(&o->limit_timers, &e->timer, next_token_ms(e));
    else if (list_empty(&e->blocked))
        read_more(o, e);
    else
        queue_add(LIST_ENTRY(e->blocked.next, live, link), true);
}

void limit_take(live *l)
{
    limit_entry *e = l->limit;

    if (!e)
        return;
    l->placed = true;
    e->placed++;
    if (e->limit.rate)
        e->tokens_milli -= MILLI;
    look(l->o, e);
}

void limit_release(live *l)
{
    limit_entry *e = l->limit;

    if (!e || !l->placed)
        return;
    l->placed = false;
    e->placed--;
    look(l->o, e);
}

void limit_detach(live *l)
{
    limit_entry *e = l->limit;

    if (!e)
        return;
    limit_release(l);
    l->limit = NULL;
    if (list_empty(&e->blocked)) /* it may have been the one that was to go, and ended before */
        look(l->o, e);
    e->users--;
    let_go(l->o, e);
}

void limit_block(live *l)
{
    orchestrator *o = l->o;
    limit_entry *e = l->limit;

    if (has_place(e) && !e->timer.place && !heap_set(&o->limit_timers, &e->timer, next_token_ms(e)))
        log_write(o->ports.log, ORCH_LOG_ERROR, "limit %s: no memory for its timer", e->key);
    if (o->blocked_count >= o->options.window / 2 || e->blocked_count >= BLOCKED_MOST) {
        e->in_store = true;
        limit_left_in_store(e);
        live_free(l);
        return;
    }
    queue_remove(l);
    l->blocked = true;
    e->blocked_count++;
    o->blocked_count++;
    list_push(&e->blocked, &l->link);
    if (l->deadline_ms)
        heap_set(&o->timers, &l->timer, l->deadline_ms);
}

/* ---- more of it, from the store -------------------------------------------------------------------------- */

typedef struct more_read {
    pool_read base; /* first */
    limit_entry *entry;
    int priority; /* the next page: of this one, behind `after`; -1 = all was seen */
    uint64_t after;
    execution_page page;
} more_read;

/* The highest priority first. */
static void read_page(pool_read *base)
{
    more_read *r = (more_read *)base;
    store *s = &base->o->ports.store;

    while (r->priority >= 0 && !r->page.count) {
        execution_page_clear(&r->page);
        base->code = s->ops->load_runnable(s->self, (uint8_t)r->priority, r->entry->key, r->after,
                                           PAGE, &r->page, &base->error);
        if (base->code)
            return;
        r->after = r->page.next_after;
        if (!r->after)
            r->priority--;
    }
}

/* Those that an engine has are open in the store too. */
static bool bring_in(orchestrator *o, more_read *r)
{
    bool any = false;

    for (size_t i = 0; i < r->page.count; i++)
        any |= !live_find(o, r->page.rows[i].key);
    for (size_t i = 0; i < r->page.count; i++)
        queue_bring_in(o, &r->page.rows[i], true);
    execution_page_clear(&r->page);
    return any;
}

static void page_back(pool_read *base)
{
    more_read *r = (more_read *)base;
    orchestrator *o = base->o;
    limit_entry *e = r->entry;
    bool any = !base->code && !o->stopping && bring_in(o, r);

    if (!base->code && !any && !o->stopping && r->priority >= 0 && reads_submit(o, base))
        return; /* the page showed only what is in memory already */
    e->reading = false;
    if (!base->code && !any && r->priority < 0)
        e->in_store = e->missed;
    if (base->code)
        log_write(o->ports.log, ORCH_LOG_ERROR, "reading what waits for limit %s: %s", e->key,
                  orch_error_message(base->error));
    if (!any && e->in_store)
        heap_set(&o->limit_timers, &e->timer, o->now_ms + READ_RETRY_MS);
    execution_page_clear(&r->page);
    orch_error_free(base->error);
    mem_free(r);
    let_go(o, e);
}

static void read_more(orchestrator *o, limit_entry *e)
{
    more_read *r;

    if (!e->in_store || e->reading || o->stopping)
        return;
    r = mem_zalloc(sizeof *r);
    if (r) {
        r->base.read = read_page;
        r->base.back = page_back;
        r->entry = e;
        r->priority = PRIORITIES - 1;
        e->reading = reads_submit(o, &r->base);
        e->missed = false;
    }
    if (e->reading)
        return;
    mem_free(r);
    heap_set(&o->limit_timers, &e->timer, o->now_ms + READ_RETRY_MS);
}

/* ---- time and change ------------------------------------------------------------------------------------- */

void limits_on_timer(orchestrator *o)
{
    heap_node *first;

    while ((first = heap_first(&o->limit_timers)) && first->at <= o->now_ms) {
        limit_entry *e = LIST_ENTRY(first, limit_entry, timer);

        heap_remove(&o->limit_timers, first);
        look(o, e);
    }
}

int64_t limits_deadline(const orchestrator *o)
{
    const heap_node *first = heap_first(&o->limit_timers);

    return first ? first->at : INT64_MAX;
}

int32_t limit_set(orchestrator *o, const char *key, const limit *limit, orch_error **err)
{
    limit_entry *e = get(o, key);

    if (!e)
        return error_no_memory(err);
    e->limit = *limit;
    e->tokens_milli = bucket_milli(limit);
    e->filled_ms = o->now_ms;
    look(o, e);
    let_go(o, e);
    return 0;
}
