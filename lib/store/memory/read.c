/* Reading: copies made under the lock, a bounded number of rows at a time. */
#include "store/memory/memory_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define PAGE_ROWS     100   /* where the caller sets no limit */
#define PAGE_MOST     10000 /* rows a page has at most, and looks at */
#define HISTORY_SLICE 1024  /* checkpoints copied at a time */

static bool copy_definition(const definition_row *d, bool texts, definition_row *out)
{
    *out = *d;
    out->workflow = mem_strdup(d->workflow);
    out->version = mem_strdup(d->version);
    out->text = texts ? bytes_ref(d->text) : NULL;
    bytes_ref(out->metadata);
    if (out->workflow && out->version)
        return true;
    definition_row_clear(out);
    return false;
}

static int32_t copy_definitions(memory_store *s, uint64_t definition, bool texts,
                                definition_page *page)
{
    const definition_row *from = s->definitions;
    size_t count = s->definition_count;

    if (definition) {
        from = memory_definition(s, definition);
        if (!from)
            return ORCH_E_NOT_FOUND;
        count = 1;
    }
    page->rows = mem_calloc(count, sizeof *page->rows);
    if (!page->rows)
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (; page->count < count; page->count++) {
        if (!copy_definition(&from[page->count], texts, &page->rows[page->count]))
            return ORCH_E_RESOURCE_EXHAUSTED;
    }
    return 0;
}

int32_t memory_load_definitions(void *self, uint64_t definition, bool with_texts,
                                definition_page *out, orch_error **err)
{
    memory_store *s = self;
    definition_page page = {0};
    int32_t rc;

    pthread_mutex_lock(&s->lock);
    rc = copy_definitions(s, definition, with_texts, &page);
    pthread_mutex_unlock(&s->lock);
    if (rc == 0) {
        *out = page;
        return 0;
    }
    definition_page_clear(&page);
    if (rc == ORCH_E_NOT_FOUND)
        return error_set(err, rc, "definition", "definition %llu is not in the store",
                         (unsigned long long)definition);
    return error_no_memory(err);
}

static bool copy_execution(const execution_row *row, bool payloads, execution_row *out)
{
    *out = *row;
    out->input = payloads ? bytes_ref(row->input) : NULL;
    out->output = payloads ? bytes_ref(row->output) : NULL;
    out->error = payloads ? bytes_ref(row->error) : NULL;
    if (!row->id)
        return true;
    out->id = mem_strdup(row->id);
    if (out->id)
        return true;
    execution_row_clear(out);
    return false;
}

static const memory_execution *find(const memory_store *s, uint64_t key, const char *id)
{
    const memory_execution *e;

    if (!id)
        return table_find(&s->table, key);
    if (!execution_id_parse(id, &key))
        return table_find_id(&s->table, id);
    e = table_find(&s->table, key);
    return e && !e->row.id ? e : NULL;
}

int32_t memory_load_execution(void *self, uint64_t key, const char *id, execution_row *out,
                              orch_error **err)
{
    memory_store *s = self;
    const memory_execution *e;
    char made[EXECUTION_ID_LEN + 1];
    execution_row row;
    bool copied;

    pthread_mutex_lock(&s->lock);
    e = find(s, key, id);
    copied = e && copy_execution(&e->row, true, &row);
    pthread_mutex_unlock(&s->lock);
    if (copied) {
        *out = row;
        return 0;
    }
    if (e)
        return error_no_memory(err);
    execution_id_format(key, made);
    return error_set(err, ORCH_E_NOT_FOUND, id ? id : made, "execution '%s' is not in the store",
                     id ? id : made);
}

static bool matches(const memory_store *s, const execution_filter *f, const execution_row *row)
{
    const definition_row *d;

    if (f->states && !(f->states & 1u << row->state))
        return false;
    if (f->accepted_from_ms && row->accepted_ms < f->accepted_from_ms)
        return false;
    if (f->accepted_to_ms && row->accepted_ms >= f->accepted_to_ms)
        return false;
    if (!f->workflow && !f->version)
        return true;
    d = memory_definition(s, row->definition);
    return d && (!f->workflow || !strcmp(d->workflow, f->workflow)) &&
           (!f->version || !strcmp(d->version, f->version));
}

static int32_t list_page(const memory_store *s, const execution_filter *f, execution_page *page)
{
    const memory_table *t = &s->table;
    uint32_t limit = f->limit ? f->limit : PAGE_ROWS;
    size_t at = f->ascending ? (f->after_key ? table_place(t, f->after_key + 1) : 0)
                             : (f->after_key ? table_place(t, f->after_key) : t->count);
    size_t left = f->ascending ? t->count - at : at;

    limit = limit > PAGE_MOST ? PAGE_MOST : limit;
    page->rows = mem_alloc(limit * sizeof *page->rows);
    if (!page->rows)
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (uint32_t seen = 0; left > 0 && seen < PAGE_MOST && page->count < limit; seen++, left--) {
        const execution_row *row = &t->order[f->ascending ? at++ : --at]->row;

        page->next_after = row->key;
        if (!matches(s, f, row))
            continue;
        if (!copy_execution(row, f->payloads, &page->rows[page->count]))
            return ORCH_E_RESOURCE_EXHAUSTED;
        page->count++;
    }
    if (left == 0)
        page->next_after = 0;
    return 0;
}

int32_t memory_list_executions(void *self, const execution_filter *f, execution_page *out,
                               orch_error **err)
{
    memory_store *s = self;
    execution_page page = {0};
    int32_t rc;

    pthread_mutex_lock(&s->lock);
    rc = list_page(s, f, &page);
    pthread_mutex_unlock(&s->lock);
    if (rc == 0) {
        *out = page;
        return 0;
    }
    execution_page_clear(&page);
    return error_no_memory(err);
}

int32_t memory_load_checkpoints(void *self, uint64_t key, uint32_t run, uint64_t after_seq,
                                uint32_t limit, checkpoint_page *out, orch_error **err)
{
    memory_store *s = self;
    checkpoint_page page = {0};
    size_t cap = 0;
    uint32_t slice, got;

    do {
        const memory_execution *e;
        const memory_run *r;
        checkpoint *rows;

        slice = limit && limit - page.count < HISTORY_SLICE ? limit - (uint32_t)page.count
                                                            : HISTORY_SLICE;
        rows = mem_grow(page.rows, &cap, page.count + slice, sizeof *rows);
        if (!rows) {
            checkpoint_page_clear(&page);
            return error_no_memory(err);
        }
        page.rows = rows;
        pthread_mutex_lock(&s->lock);
        e = table_find(&s->table, key);
        r = e ? execution_run(e, run) : NULL;
        got = r ? history_read(&r->history, after_seq, rows + page.count, slice) : 0;
        pthread_mutex_unlock(&s->lock);
        page.count += got;
        if (got)
            after_seq = rows[page.count - 1].seq;
    } while (got == slice && (!limit || page.count < limit));
    *out = page;
    return 0;
}

int32_t memory_load_inbox(void *self, uint64_t key, inbox_page *out, orch_error **err)
{
    memory_store *s = self;
    inbox_page page = {0};
    const memory_execution *e;

    pthread_mutex_lock(&s->lock);
    e = table_find(&s->table, key);
    page.count = e ? e->inbox_count : 0;
    page.rows = mem_alloc(page.count * sizeof *page.rows);
    for (size_t i = 0; page.rows && i < page.count; i++) {
        page.rows[i] = e->inbox[i];
        bytes_ref(page.rows[i].payload);
    }
    pthread_mutex_unlock(&s->lock);
    if (!page.rows)
        return error_no_memory(err);
    *out = page;
    return 0;
}

/* ---- what can run ---------------------------------------------------------------------------- */

/* The `limit` lowest keys above after_key among those that are offered: a heap with the highest
 * on top. */
typedef struct lowest {
    const memory_execution **heap;
    size_t count, limit;
    uint64_t after_key;
    bool more; /* one was left out */
    int64_t wake_by_ms;
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
    LIST_EACH(it, &s->open)
    {
        offer(l, LIST_ENTRY(it, memory_execution, live));
    }
    LIST_EACH(it, &s->called)
    {
        offer(l, LIST_ENTRY(it, memory_execution, live));
    }
}

static int32_t lowest_page(lowest *l, execution_page *page)
{
    qsort(l->heap, l->count, sizeof *l->heap, by_key);
    for (; page->count < l->count; page->count++) {
        if (!copy_execution(&l->heap[page->count]->row, true, &page->rows[page->count]))
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
    if (priority != 5 || limit_key) {
        *out = (execution_page){0};
        return 0;
    }
    return load_lowest(self, (lowest){.after_key = after_key, .limit = limit}, offer_runnable, out,
                       err);
}

int32_t memory_load_due(void *self, int64_t wake_by_ms, uint32_t limit, execution_page *out,
                        orch_error **err)
{
    return load_lowest(self, (lowest){.wake_by_ms = wake_by_ms, .limit = limit}, offer_due, out,
                       err);
}
