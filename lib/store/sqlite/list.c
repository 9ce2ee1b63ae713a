/* Pages of executions. A page comes from cursors over indexes, each in order of key, that are merged; a cursor also says
 * of each row whether it meets the rest of the filter. How many rows a page looks at in vain is bounded, whatever the
 * filter and the size of the table. */
#include "store/sqlite/list_impl.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"

#define LOOKED_AT 2000 /* rows of a page that do not meet the filter */

/* ---- what narrows the listing before any index ----------------------------------------------------------- */

static uint64_t key_at(int64_t ms, bool last)
{
    int64_t most = (INT64_C(1) << 42) - 1;

    ms = ms < 0 ? 0 : ms > most ? most : ms;
    return last ? execution_key_make(ms, STORE_SHARDS - 1, UINT32_MAX)
                : execution_key_make(ms, 0, 0);
}

/* What accepted and ended say about keys: nothing ends before it was accepted. */
static void set_range(listing *l)
{
    const execution_filter *f = l->f;
    uint64_t ended;

    l->low = f->accepted_from_ms ? key_at(f->accepted_from_ms - l->skew_ms, false) : 0;
    l->high = f->accepted_to_ms ? key_at(f->accepted_to_ms + l->skew_ms, true) : INT64_MAX;
    ended = f->ended_to_ms ? key_at(f->ended_to_ms + l->skew_ms, true) : INT64_MAX;
    if (ended < l->high)
        l->high = ended;
    if (f->after_key && f->ascending && f->after_key >= l->low)
        l->low = f->after_key + 1;
    if (f->after_key && !f->ascending && f->after_key <= l->high)
        l->high = f->after_key - 1;
}

static int read_skew(listing *l)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *st = read_statement(l->r, R_SKEW, &rc);

    if (!st)
        return rc;
    if (sqlite3_step(st) == SQLITE_ROW)
        l->skew_ms = sqlite3_column_int64(st, 0);
    return sqlite3_reset(st);
}

static int find_definitions(listing *l)
{
    const execution_filter *f = l->f;
    int rc = SQLITE_OK;
    sqlite3_stmt *st = read_statement(l->r, f->workflow ? R_VERSIONS_OF : R_VERSIONS, &rc);

    if (!st)
        return rc;
    if (f->workflow)
        sqlite3_bind_text(st, 1, f->workflow, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, f->version, -1, SQLITE_STATIC);
    do {
        uint64_t *keys = mem_grow(l->definitions, &l->definition_cap, l->definition_count + 1,
                                  sizeof *keys);

        if (!keys) {
            sqlite3_reset(st);
            return SQLITE_NOMEM;
        }
        l->definitions = keys;
        if (sqlite3_step(st) != SQLITE_ROW)
            break;
        keys[l->definition_count++] = (uint64_t)sqlite3_column_int64(st, 0);
    } while (true);
    return sqlite3_reset(st);
}

static int prepare_listing(listing *l)
{
    const execution_filter *f = l->f;
    int rc = read_skew(l);

    set_range(l);
    if (rc == SQLITE_OK && (f->workflow || f->version))
        rc = find_definitions(l);
    if (rc == SQLITE_OK && !(l->definitions && l->definition_count == 0))
        rc = list_open_cursors(l);
    return rc;
}

/* ---- a page ---------------------------------------------------------------------------------------------- */

static cursor *next_cursor(listing *l)
{
    cursor *best = NULL;

    for (int i = 0; i < l->cursor_count; i++) {
        cursor *c = &l->cursors[i];

        if (c->key && (!best || (l->f->ascending ? c->key < best->key : c->key > best->key)))
            best = c;
    }
    return best;
}

static int add_row(listing *l, uint64_t key, execution_page *page)
{
    int n = l->f->payloads ? R_BY_KEY : R_BY_KEY_SHORT;
    int rc = read_by_key(l->r, n, key, &page->rows[page->count]);

    if (rc == SQLITE_ROW)
        page->count++;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int fill_page(listing *l, uint32_t limit, execution_page *page)
{
    int rc = prepare_listing(l);
    uint32_t in_vain = 0;
    cursor *c = NULL;

    while (rc == SQLITE_OK && (c = next_cursor(l)) != NULL) {
        if (in_vain == LOOKED_AT || page->count == limit)
            break;
        page->next_after = c->key;
        if (c->meets)
            rc = add_row(l, c->key, page);
        else
            in_vain++;
        if (rc == SQLITE_OK)
            rc = list_advance(l, c);
    }
    if (!c)
        page->next_after = 0;
    return rc;
}

/* In one snapshot; reader_give ends it. */
static int list_page(listing *l, uint32_t limit, execution_page *page)
{
    int rc = conn_exec(&l->r->conn, "BEGIN");

    if (rc == SQLITE_OK)
        rc = fill_page(l, limit, page);
    for (int i = 0; i < l->cursor_count; i++)
        sqlite3_finalize(l->cursors[i].st);
    mem_free(l->definitions);
    mem_free(l->ends);
    buf_free(&l->rest);
    return rc;
}

int32_t sqlite_list_executions(void *self, const execution_filter *f, execution_page *out,
                               orch_error **err)
{
    sqlite_store *s = self;
    uint32_t limit = page_limit(f->limit);
    listing *l = mem_zalloc(sizeof *l);
    execution_page page = {0};
    int32_t result = l ? 0 : error_no_memory(err);
    int rc;

    if (result == 0 && f->attribute && f->attribute_value)
        result = attribute_value(f->attribute_value, f->attribute, &l->value, err);
    if (result == 0)
        result = reader_take(s, &l->r, err);
    if (result == 0) {
        l->f = f;
        page.rows = mem_alloc(limit * sizeof *page.rows);
        rc = page.rows ? list_page(l, limit, &page) : SQLITE_NOMEM;
        result = page_finish(s, l->r, rc, &page, out, err);
    }
    if (l)
        bytes_unref(l->value);
    mem_free(l);
    return result;
}

uint32_t page_limit(uint32_t limit)
{
    return limit == 0 ? PAGE_ROWS : limit > PAGE_MOST ? PAGE_MOST : limit;
}

int32_t page_finish(sqlite_store *s, reader *r, int rc, execution_page *page, execution_page *out,
                    orch_error **err)
{
    int32_t result = rc == SQLITE_OK ? 0 : conn_error(s, &r->conn, rc, "listing", err);

    if (result == 0)
        *out = *page;
    else
        execution_page_clear(page);
    reader_give(s, r, rc);
    return result;
}
