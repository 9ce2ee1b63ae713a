/* Reading: copies made under the lock, a bounded number of rows at a time. */
#include "store/memory/memory_impl.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define HISTORY_SLICE 1024 /* checkpoints copied at a time */

/* ---- definitions --------------------------------------------------------------------------------------------- */

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

/* ---- executions ---------------------------------------------------------------------------------------------- */

/* False if `from` is there and could not be copied. */
static bool copy_text(const char *from, char **out)
{
    *out = from ? mem_strdup(from) : NULL;
    return !from || *out;
}

bool execution_copy(const execution_row *row, bool payloads, execution_row *out)
{
    bool copied;

    *out = *row;
    bytes_ref(out->attributes);
    out->input = payloads ? bytes_ref(row->input) : NULL;
    out->output = payloads ? bytes_ref(row->output) : NULL;
    out->error = payloads ? bytes_ref(row->error) : NULL;
    out->id = out->limit_key = out->affinity = NULL;
    copied = copy_text(row->id, &out->id) && copy_text(row->limit_key, &out->limit_key) &&
             copy_text(row->affinity, &out->affinity);
    if (!copied)
        execution_row_clear(out);
    return copied;
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
    copied = e && execution_copy(&e->row, true, &row);
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

/* ---- what belongs to one ------------------------------------------------------------------------------------- */

static bool copy_inbox(const memory_inbox *b, inbox_page *page)
{
    page->rows = mem_alloc(b->count * sizeof *page->rows);
    for (; page->rows && page->count < b->count; page->count++) {
        if (!inbox_item_copy(&b->rows[b->first + page->count], &page->rows[page->count]))
            return false;
    }
    return page->rows != NULL;
}

int32_t memory_load_inbox(void *self, uint64_t key, inbox_page *out, orch_error **err)
{
    static const memory_inbox none;
    memory_store *s = self;
    inbox_page page = {0};
    const memory_execution *e;
    bool copied;

    pthread_mutex_lock(&s->lock);
    e = table_find(&s->table, key);
    copied = copy_inbox(e ? &e->inbox : &none, &page);
    pthread_mutex_unlock(&s->lock);
    if (copied) {
        *out = page;
        return 0;
    }
    inbox_page_clear(&page);
    return error_no_memory(err);
}

static bool copy_controls(const memory_controls *c, uint64_t after_seq, uint32_t limit,
                          control_page *page)
{
    size_t at = c->count > CONTROLS_KEPT ? c->count - CONTROLS_KEPT : 0, left;

    while (at < c->count && c->rows[at].seq <= after_seq)
        at++;
    left = c->count - at;
    left = limit && limit < left ? limit : left;
    page->rows = mem_alloc(left * sizeof *page->rows);
    for (; page->rows && page->count < left; page->count++) {
        if (!control_row_copy(&c->rows[at + page->count], &page->rows[page->count]))
            return false;
    }
    return page->rows != NULL;
}

int32_t memory_load_controls(void *self, uint64_t key, uint64_t after_seq, uint32_t limit,
                             control_page *out, orch_error **err)
{
    static const memory_controls none;
    memory_store *s = self;
    control_page page = {0};
    const memory_execution *e;
    bool copied;

    pthread_mutex_lock(&s->lock);
    e = key ? table_find(&s->table, key) : NULL;
    copied = copy_controls(!key ? &s->controls : e ? &e->controls : &none, after_seq, limit, &page);
    pthread_mutex_unlock(&s->lock);
    if (copied) {
        *out = page;
        return 0;
    }
    control_page_clear(&page);
    return error_no_memory(err);
}

/* Oldest first. */
static void insert_run(run_page *page, const run_row *row)
{
    size_t at = page->count++;

    for (; at > 0 && page->rows[at - 1].run > row->run; at--)
        page->rows[at] = page->rows[at - 1];
    page->rows[at] = *row;
    bytes_ref(row->output);
    bytes_ref(row->error);
}

static bool copy_runs(const memory_execution *e, run_page *page)
{
    size_t count = 0;

    for (const memory_run *r = e ? e->runs : NULL; r; r = r->next)
        count += r->kept;
    page->rows = mem_alloc(count * sizeof *page->rows);
    for (const memory_run *r = page->rows && e ? e->runs : NULL; r; r = r->next) {
        if (r->kept)
            insert_run(page, &r->row);
    }
    return page->rows != NULL;
}

int32_t memory_load_runs(void *self, uint64_t key, run_page *out, orch_error **err)
{
    memory_store *s = self;
    run_page page = {0};
    bool copied;

    pthread_mutex_lock(&s->lock);
    copied = copy_runs(table_find(&s->table, key), &page);
    pthread_mutex_unlock(&s->lock);
    if (!copied)
        return error_no_memory(err);
    *out = page;
    return 0;
}

/* ---- settings ------------------------------------------------------------------------------------------------ */

static bool copy_settings(const memory_store *s, const char *prefix, setting_page *page)
{
    size_t len = strlen(prefix), count = 0, at;
    bool found;

    at = plan_setting_place(s, prefix, &found);
    while (at + count < s->setting_count && !strncmp(s->settings[at + count].name, prefix, len))
        count++;
    page->rows = mem_alloc(count * sizeof *page->rows);
    for (; page->rows && page->count < count; page->count++) {
        const setting_row *row = &s->settings[at + page->count];

        page->rows[page->count].name = mem_strdup(row->name);
        if (!page->rows[page->count].name)
            return false;
        page->rows[page->count].value = bytes_ref(row->value);
    }
    return page->rows != NULL;
}

int32_t memory_load_settings(void *self, const char *prefix, setting_page *out, orch_error **err)
{
    memory_store *s = self;
    setting_page page = {0};
    bool copied;

    pthread_mutex_lock(&s->lock);
    copied = copy_settings(s, prefix, &page);
    pthread_mutex_unlock(&s->lock);
    if (copied) {
        *out = page;
        return 0;
    }
    setting_page_clear(&page);
    return error_no_memory(err);
}
