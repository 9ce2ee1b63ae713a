/* Lists: the table in order of key, and a filter. */
#include "store/memory/memory_impl.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

typedef struct listing {
    const memory_store *s;
    const execution_filter *f;
    bytes *value; /* of f->attribute, as attributes have it; NULL = that does not filter */
} listing;

static bool meets_row(const execution_filter *f, const execution_row *row)
{
    if (f->states && !(f->states & 1u << row->state))
        return false;
    if (f->accepted_from_ms && row->accepted_ms < f->accepted_from_ms)
        return false;
    if (f->accepted_to_ms && row->accepted_ms >= f->accepted_to_ms)
        return false;
    if ((f->ended_from_ms || f->ended_to_ms) && !EXECUTION_STATE_IS_END(row->state))
        return false;
    if (row->ended_ms < f->ended_from_ms || (f->ended_to_ms && row->ended_ms >= f->ended_to_ms))
        return false;
    return !f->paused || row->paused == (f->paused == 1);
}

static bool is_text(const char *wanted, const char *text)
{
    return !wanted || (text && !strcmp(text, wanted));
}

static bool has_attribute(const attribute_list *l, const char *name, const bytes *value)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const bytes *v = l->rows[i].value;

        if (!strcmp(l->rows[i].name, name))
            return v->len == value->len && !memcmp(v->data, value->data, v->len);
    }
    return false;
}

static bool meets_origin(const listing *l, const memory_execution *e)
{
    const execution_filter *f = l->f;

    if (f->parent && e->row.parent != f->parent)
        return false;
    if (l->value && !has_attribute(&e->attributes, f->attribute, l->value))
        return false;
    return is_text(f->start_key, e->start_key) && is_text(f->limit_key, e->row.limit_key);
}

static bool meets_definition(const listing *l, const execution_row *row)
{
    const execution_filter *f = l->f;
    const definition_row *d;

    if (!f->workflow && !f->version)
        return true;
    d = memory_definition(l->s, row->definition);
    return d && is_text(f->workflow, d->workflow) && is_text(f->version, d->version);
}

static int32_t list_page(const listing *l, execution_page *page)
{
    const execution_filter *f = l->f;
    const memory_table *t = &l->s->table;
    uint32_t limit = f->limit ? f->limit : PAGE_ROWS;
    size_t at = f->ascending ? (f->after_key ? table_place(t, f->after_key + 1) : 0)
                             : (f->after_key ? table_place(t, f->after_key) : t->count);
    size_t left = f->ascending ? t->count - at : at;

    limit = limit > PAGE_MOST ? PAGE_MOST : limit;
    page->rows = mem_alloc(limit * sizeof *page->rows);
    if (!page->rows)
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (uint32_t seen = 0; left > 0 && seen < PAGE_MOST && page->count < limit; seen++, left--) {
        const memory_execution *e = table_at(t, f->ascending ? at++ : --at);

        page->next_after = e->row.key;
        if (!meets_row(f, &e->row) || !meets_origin(l, e) || !meets_definition(l, &e->row))
            continue;
        if (!execution_copy(&e->row, f->payloads, &page->rows[page->count]))
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
    listing l = {.s = s, .f = f};
    execution_page page = {0};
    int32_t rc = 0;

    if (f->attribute && f->attribute_value)
        rc = attribute_value(f->attribute_value, f->attribute, &l.value, err);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    rc = list_page(&l, &page);
    pthread_mutex_unlock(&s->lock);
    bytes_unref(l.value);
    if (rc == 0) {
        *out = page;
        return 0;
    }
    execution_page_clear(&page);
    return error_no_memory(err);
}
