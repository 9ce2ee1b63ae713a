/* Who is next: executions that can run, that wake, and that have ended long ago. */
#include "store/memory/memory_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* ---- what can run, what wakes ---------------------------------------------------------------- */

/* The `limit` lowest keys above after_key among those that are offered: a heap with the highest
 * on top. */
typedef struct lowest {
    const memory_execution **heap;
    size_t count, limit;
    uint64_t after_key;
    bool more; /* one was left out */
    int64_t wake_by_ms;
    uint8_t priority;
    const char *limit_key; /* NULL = any */
} lowest;

static uint64_t key_at(const lowest *l, size_t i)
{
    return l->heap[i]->row.key;
}

static void sift_up(lowest *l, size_t i)
{
    while (i > 0 && key_at(l, (i - 1) / 2) < key_at(l, i)) {
        const memory_execution *e = l->heap[i];

        l->heap[i] = l->heap[(i - 1) / 2];
        l->heap[(i - 1) / 2] = e;
        i = (i - 1) / 2;
    }
}

static void sift_down(lowest *l, size_t i)
{
    for (;;) {
        const memory_execution *e = l->heap[i];
        size_t child = 2 * i + 1;

        if (child + 1 < l->count && key_at(l, child + 1) > key_at(l, child))
            child++;
        if (child >= l->count || key_at(l, child) <= e->row.key)
            return;
        l->heap[i] = l->heap[child];
        l->heap[child] = e;
        i = child;
    }
}

static void offer(lowest *l, const memory_execution *e)
{
    if (e->row.key <= l->after_key)
        return;
    if (l->count < l->limit) {
        l->heap[l->count] = e;
        sift_up(l, l->count++);
        return;
    }
    l->more = true;
    if (e->row.key < key_at(l, 0)) {
        l->heap[0] = e;
        sift_down(l, 0);
    }
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = (*(const memory_execution *const *)a)->row.key;
    uint64_t y = (*(const memory_execution *const *)b)->row.key;

    return x < y ? -1 : x > y;
}

/* Below a node of the heap of wakes none is due earlier: the walk touches only what is due. */
static void offer_due_below(const memory_store *s, lowest *l, size_t i)
{
    while (i < s->wakes.len && s->wakes.nodes[i]->at <= l->wake_by_ms) {
        offer(l, LIST_ENTRY(s->wakes.nodes[i], memory_execution, wake));
        offer_due_below(s, l, 2 * i + 1);
        i = 2 * i + 2;
    }
}

static void offer_due(memory_store *s, lowest *l)
{
    offer_due_below(s, l, 0);
}

static void offer_runnable(memory_store *s, lowest *l)
{
    LIST_EACH(it, &s->runnable[l->priority])
    {
        const memory_execution *e = LIST_ENTRY(it, memory_execution, live);

        if (!l->limit_key || (e->row.limit_key && !strcmp(e->row.limit_key, l->limit_key)))
            offer(l, e);
    }
}

static int32_t lowest_page(lowest *l, execution_page *page)
{
    qsort(l->heap, l->count, sizeof *l->heap, by_key);
    for (; page->count < l->count; page->count++) {
        if (!execution_copy(&l->heap[page->count]->row, true, &page->rows[page->count]))
            return ORCH_E_RESOURCE_EXHAUSTED;
    }
    page->next_after = l->more ? key_at(l, l->count - 1) : 0;
    return 0;
}

/* Fill a page from what `offer_all` offers. */
static int32_t load_lowest(memory_store *s, lowest l, void (*offer_all)(memory_store *s, lowest *l),
                           execution_page *out, orch_error **err)
{
    execution_page page = {0};
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;

    l.limit = l.limit ? l.limit : PAGE_ROWS;
    l.limit = l.limit > PAGE_MOST ? PAGE_MOST : l.limit;
    l.heap = mem_alloc(l.limit * sizeof *l.heap);
    page.rows = mem_alloc(l.limit * sizeof *page.rows);
    if (l.heap && page.rows) {
        pthread_mutex_lock(&s->lock);
        offer_all(s, &l);
        rc = lowest_page(&l, &page);
        pthread_mutex_unlock(&s->lock);
    }
    mem_free(l.heap);
    if (rc == 0) {
        *out = page;
        return 0;
    }
    execution_page_clear(&page);
    return error_no_memory(err);
}

int32_t memory_load_runnable(void *self, uint8_t priority, const char *limit_key,
                             uint64_t after_key, uint32_t limit, execution_page *out,
                             orch_error **err)
{
    lowest l = {.priority = priority < PRIORITIES ? priority : PRIORITIES - 1,
                .limit_key = limit_key,
                .after_key = after_key,
                .limit = limit};

    return load_lowest(self, l, offer_runnable, out, err);
}

int32_t memory_load_due(void *self, int64_t wake_by_ms, uint32_t limit, execution_page *out,
                        orch_error **err)
{
    return load_lowest(self, (lowest){.wake_by_ms = wake_by_ms, .limit = limit}, offer_due, out,
                       err);
}

/* ---- what has ended long ago ----------------------------------------------------------------- */

static bool parent_is_open(const memory_store *s, const execution_row *row)
{
    const memory_execution *parent = row->parent ? table_find(&s->table, row->parent) : NULL;

    return parent && !EXECUTION_STATE_IS_END(parent->row.state);
}

static bool is_past(const memory_store *s, const execution_row *row)
{
    const ended_place *p = &s->expired_from;

    return row->ended_ms != p->ended_ms ? row->ended_ms > p->ended_ms : row->key > p->key;
}

/* Where the next call begins: before the first that was found, or behind what was looked at in vain, or at the beginning. */
static void find_expired(memory_store *s, int64_t ended_before_ms, uint64_t keep, uint32_t limit,
                         uint64_t *out_keys, uint32_t *out_count)
{
    uint64_t ended = s->table.count - s->not_ended;
    uint64_t beyond = keep && ended > keep ? ended - keep : 0;
    ended_place from = {-1, 0};
    uint32_t count = 0, seen = 0;
    bool more = false;

    LIST_EACH(it, &s->ended)
    {
        const execution_row *row = &LIST_ENTRY(it, memory_execution, live)->row;
        bool expired = row->ended_ms < ended_before_ms || beyond > 0;

        beyond -= beyond > 0;
        if (!expired)
            break;
        if (!is_past(s, row))
            continue;
        more = count == limit || seen == PAGE_MOST;
        if (more)
            break;
        seen++;
        if (!parent_is_open(s, row))
            out_keys[count++] = row->key;
        else if (count == 0)
            from = (ended_place){row->ended_ms, row->key};
    }
    if (!more)
        s->expired_from = (ended_place){-1, 0};
    else if (from.ended_ms >= 0)
        s->expired_from = from;
    *out_count = count;
}

int32_t memory_load_expired(void *self, int64_t ended_before_ms, uint64_t keep, uint32_t limit,
                            uint64_t *out_keys, uint32_t *out_count, orch_error **err)
{
    memory_store *s = self;

    (void)err;
    limit = limit > PAGE_MOST ? PAGE_MOST : limit;
    pthread_mutex_lock(&s->lock);
    find_expired(s, ended_before_ms, keep, limit, out_keys, out_count);
    pthread_mutex_unlock(&s->lock);
    return 0;
}
