/* Pages of executions. A page comes from cursors over indexes, each in order of key, that are
 * merged; how many rows it looks at is bounded, whatever the filter and the size of the table. */
#include "store/sqlite/read_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define PAGE_ROWS      100   /* where the caller sets no limit */
#define PAGE_MOST      10000 /* rows a page has at most, and looks at */
#define CURSORS_MAX    64    /* more versions of a workflow than that: the table itself is read */
/* A key's time and accepted_ms may differ by as much: the clock was set back. */
#define CLOCK_SLACK_MS 3600000

typedef struct cursor {
    sqlite3_stmt *st;
    uint64_t key; /* 0 = at its end */
} cursor;

typedef struct listing {
    reader *r;
    const execution_filter *f;
    uint64_t low, high;    /* keys, inclusive */
    uint64_t *definitions; /* sorted; NULL = any */
    size_t definition_count, definition_cap;
    cursor cursors[CURSORS_MAX];
    int cursor_count;
} listing;

static uint64_t key_at(int64_t ms, bool last)
{
    int64_t most = (INT64_C(1) << 42) - 1;

    ms = ms < 0 ? 0 : ms > most ? most : ms;
    return last ? execution_key_make(ms, STORE_SHARDS - 1, UINT32_MAX)
                : execution_key_make(ms, 0, 0);
}

static void set_range(listing *l)
{
    const execution_filter *f = l->f;

    l->low = f->accepted_from_ms ? key_at(f->accepted_from_ms - CLOCK_SLACK_MS, false) : 0;
    l->high = f->accepted_to_ms ? key_at(f->accepted_to_ms + CLOCK_SLACK_MS, true) : INT64_MAX;
    if (f->after_key && f->ascending && f->after_key >= l->low)
        l->low = f->after_key + 1;
    if (f->after_key && !f->ascending && f->after_key <= l->high)
        l->high = f->after_key - 1;
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

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int advance(cursor *c)
{
    int rc = sqlite3_step(c->st);

    c->key = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(c->st, 0) : 0;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Rows where `column` is `value`; column NULL: all. */
static int add_cursor(listing *l, const char *column, uint64_t value)
{
    cursor *c = &l->cursors[l->cursor_count];
    char sql[200], where[64] = "";
    int rc;

    if (column)
        snprintf(where, sizeof where, "%s = ?3 AND %s", column,
                 strcmp(column, "state") ? "" : "state <> 3 AND ");
    snprintf(sql, sizeof sql,
             "SELECT key FROM execution WHERE %skey BETWEEN ?1 AND ?2 ORDER BY key%s", where,
             l->f->ascending ? "" : " DESC");
    rc = sqlite3_prepare_v2(l->r->conn.db, sql, -1, &c->st, NULL);
    if (rc != SQLITE_OK)
        return rc;
    l->cursor_count++;
    sqlite3_bind_int64(c->st, 1, (sqlite3_int64)l->low);
    sqlite3_bind_int64(c->st, 2, (sqlite3_int64)l->high);
    if (column)
        sqlite3_bind_int64(c->st, 3, (sqlite3_int64)value);
    return advance(c);
}

/* Whichever index the filter narrows most. There is none of succeeded executions: those are most
 * of the table. */
static int open_cursors(listing *l)
{
    const execution_filter *f = l->f;
    int rc = SQLITE_OK;

    if (f->workflow || f->version)
        rc = find_definitions(l);
    if (rc != SQLITE_OK || (l->definitions && l->definition_count == 0))
        return rc;
    if (f->states && !(f->states & 1u << EXECUTION_SUCCEEDED)) {
        for (int i = EXECUTION_OPEN; i <= EXECUTION_TIMED_OUT && rc == SQLITE_OK; i++) {
            if (f->states & 1u << i)
                rc = add_cursor(l, "state", (uint64_t)i);
        }
        return rc;
    }
    if (l->definitions && l->definition_count <= CURSORS_MAX) {
        for (size_t i = 0; i < l->definition_count && rc == SQLITE_OK; i++)
            rc = add_cursor(l, "definition", l->definitions[i]);
        return rc;
    }
    return add_cursor(l, NULL, 0);
}

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

static bool matches(const listing *l, const execution_row *row)
{
    const execution_filter *f = l->f;

    if (f->states && !(f->states & 1u << row->state))
        return false;
    if (f->accepted_from_ms && row->accepted_ms < f->accepted_from_ms)
        return false;
    if (f->accepted_to_ms && row->accepted_ms >= f->accepted_to_ms)
        return false;
    return !l->definitions || bsearch(&row->definition, l->definitions, l->definition_count,
                                      sizeof row->definition, by_number);
}

static int add_row(listing *l, uint64_t key, execution_page *page)
{
    execution_row *row = &page->rows[page->count];
    int rc = read_by_key(l->r, l->f->payloads ? R_BY_KEY : R_BY_KEY_SHORT, key, row);

    if (rc == SQLITE_ROW && matches(l, row))
        page->count++;
    else if (rc == SQLITE_ROW)
        execution_row_clear(row);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int fill_page(listing *l, uint32_t limit, execution_page *page)
{
    int rc = open_cursors(l);
    cursor *c = NULL;

    for (uint32_t seen = 0; rc == SQLITE_OK && (c = next_cursor(l)) != NULL; seen++) {
        if (seen == PAGE_MOST || page->count == limit)
            break;
        page->next_after = c->key;
        rc = add_row(l, c->key, page);
        if (rc == SQLITE_OK)
            rc = advance(c);
    }
    if (!c)
        page->next_after = 0;
    return rc;
}

static uint32_t page_limit(uint32_t limit)
{
    return limit == 0 ? PAGE_ROWS : limit > PAGE_MOST ? PAGE_MOST : limit;
}

/* In one snapshot; reader_give ends it. */
static int list_page(reader *r, const execution_filter *f, uint32_t limit, execution_page *page)
{
    listing *l = mem_zalloc(sizeof *l);
    int rc;

    if (!l)
        return SQLITE_NOMEM;
    l->r = r;
    l->f = f;
    set_range(l);
    rc = conn_exec(&r->conn, "BEGIN");
    if (rc == SQLITE_OK)
        rc = fill_page(l, limit, page);
    for (int i = 0; i < l->cursor_count; i++)
        sqlite3_finalize(l->cursors[i].st);
    mem_free(l->definitions);
    mem_free(l);
    return rc;
}

static int32_t finish_page(sqlite_store *s, reader *r, int rc, execution_page *page,
                           execution_page *out, orch_error **err)
{
    int32_t result = rc == SQLITE_OK ? 0 : conn_error(s, &r->conn, rc, "listing", err);

    if (result == 0)
        *out = *page;
    else
        execution_page_clear(page);
    reader_give(s, r, rc);
    return result;
}

int32_t sqlite_list_executions(void *self, const execution_filter *f, execution_page *out,
                               orch_error **err)
{
    sqlite_store *s = self;
    uint32_t limit = page_limit(f->limit);
    execution_page page = {0};
    reader *r;
    int rc;
    int32_t result = reader_take(s, &r, err);

    if (result != 0)
        return result;
    page.rows = mem_alloc(limit * sizeof *page.rows);
    rc = page.rows ? list_page(r, f, limit, &page) : SQLITE_NOMEM;
    return finish_page(s, r, rc, &page, out, err);
}

/* ---- what can run ---------------------------------------------------------------------------- */

/* The rows whose keys statement `n` gives for (argument, limit), as of one snapshot. */
static int page_by_keys(reader *r, int n, int64_t argument, uint32_t limit, execution_page *page)
{
    int rc = conn_exec(&r->conn, "BEGIN");
    sqlite3_stmt *st = rc == SQLITE_OK ? read_statement(r, n, &rc) : NULL;

    if (!st)
        return rc;
    sqlite3_bind_int64(st, 1, argument);
    sqlite3_bind_int64(st, 2, limit);
    while (page->count < limit && sqlite3_step(st) == SQLITE_ROW) {
        uint64_t key = (uint64_t)sqlite3_column_int64(st, 0);

        rc = read_by_key(r, R_BY_KEY, key, &page->rows[page->count]);
        if (rc != SQLITE_ROW)
            break;
        rc = SQLITE_OK;
        page->next_after = key;
        page->count++;
    }
    if (page->count < limit)
        page->next_after = 0;
    if (rc != SQLITE_OK) {
        sqlite3_reset(st);
        return rc;
    }
    return sqlite3_reset(st);
}

static int32_t load_by_keys(sqlite_store *s, int n, int64_t argument, uint32_t limit,
                            execution_page *out, orch_error **err)
{
    execution_page page = {0};
    reader *r;
    int rc;
    int32_t result = reader_take(s, &r, err);

    if (result != 0)
        return result;
    limit = page_limit(limit);
    page.rows = mem_alloc(limit * sizeof *page.rows);
    rc = page.rows ? page_by_keys(r, n, argument, limit, &page) : SQLITE_NOMEM;
    return finish_page(s, r, rc, &page, out, err);
}

int32_t sqlite_load_runnable(void *self, uint8_t priority, const char *limit_key,
                             uint64_t after_key, uint32_t limit, execution_page *out,
                             orch_error **err)
{
    if (priority != 5 || limit_key) {
        *out = (execution_page){0};
        return 0;
    }
    return load_by_keys(self, R_RUNNABLE, (int64_t)after_key, limit, out, err);
}

int32_t sqlite_load_due(void *self, int64_t wake_by_ms, uint32_t limit, execution_page *out,
                        orch_error **err)
{
    return load_by_keys(self, R_DUE, wake_by_ms, limit, out, err);
}
