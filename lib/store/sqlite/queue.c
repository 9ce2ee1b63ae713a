/* Who is next: executions that can run, that wake, and that have ended long ago. All of it is in index execution_place. */
#include "store/sqlite/read_impl.h"

#include "base/error.h"
#include "base/mem.h"

/* Rows that a call for expired executions looks at: some stay, since their parents are still open. */
#define EXPIRED_LOOKED_AT 10000

int32_t sqlite_next_wake(void *self, int64_t *out_ms, orch_error **err)
{
    return read_number(self, R_NEXT_WAKE, INT64_MAX, out_ms, err);
}

int32_t sqlite_count_open(void *self, uint64_t *out, orch_error **err)
{
    int64_t count = 0;
    int32_t rc = read_number(self, R_COUNT_OPEN, 0, &count, err);

    if (rc == 0)
        *out = (uint64_t)count;
    return rc;
}

/* ---- what can run, what wakes ---------------------------------------------------------------------------- */

typedef struct query {
    int statement;
    int64_t first, second;
    const char *text;
    uint32_t limit;
} query;

/* The rows whose keys the query gives, as of one snapshot. */
static int page_by_keys(reader *r, const query *q, execution_page *page)
{
    int rc = conn_exec(&r->conn, "BEGIN");
    sqlite3_stmt *st = rc == SQLITE_OK ? read_statement(r, q->statement, &rc) : NULL;

    if (!st)
        return rc;
    sqlite3_bind_int64(st, 1, q->first);
    sqlite3_bind_int64(st, 2, q->second);
    sqlite3_bind_text(st, 3, q->text, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, q->limit);
    while (page->count < q->limit && sqlite3_step(st) == SQLITE_ROW) {
        uint64_t key = (uint64_t)sqlite3_column_int64(st, 0);

        rc = read_by_key(r, R_BY_KEY, key, &page->rows[page->count]);
        if (rc != SQLITE_ROW)
            break;
        rc = SQLITE_OK;
        page->next_after = key;
        page->count++;
    }
    if (page->count < q->limit)
        page->next_after = 0;
    if (rc != SQLITE_OK) {
        sqlite3_reset(st);
        return rc;
    }
    return sqlite3_reset(st);
}

static int32_t load_by_keys(sqlite_store *s, query q, execution_page *out, orch_error **err)
{
    execution_page page = {0};
    reader *r;
    int rc;
    int32_t result = reader_take(s, &r, err);

    if (result != 0)
        return result;
    q.limit = page_limit(q.limit);
    page.rows = mem_alloc(q.limit * sizeof *page.rows);
    rc = page.rows ? page_by_keys(r, &q, &page) : SQLITE_NOMEM;
    return page_finish(s, r, rc, &page, out, err);
}

int32_t sqlite_load_runnable(void *self, uint8_t priority, const char *limit_key,
                             uint64_t after_key, uint32_t limit, execution_page *out,
                             orch_error **err)
{
    query q = {.statement = limit_key ? R_RUNNABLE_LIMITED : R_RUNNABLE,
               .first = priority,
               .second = (int64_t)after_key,
               .text = limit_key,
               .limit = limit};

    return load_by_keys(self, q, out, err);
}

int32_t sqlite_load_due(void *self, int64_t wake_by_ms, uint32_t limit, execution_page *out,
                        orch_error **err)
{
    return load_by_keys(self, (query){.statement = R_DUE, .first = wake_by_ms, .limit = limit}, out,
                        err);
}

/* ---- what has ended long ago ----------------------------------------------------------------------------- */

/* Places in the order of ends. */
static bool is_before(ended_place a, ended_place b)
{
    return a.place != b.place ? a.place < b.place : a.key < b.key;
}

/* The newest end that is not among the `keep` newest; *out stays if there is none. */
static int find_beyond(reader *r, uint64_t keep, ended_place *out)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *st = read_statement(r, R_NEWEST_ENDS, &rc);

    if (!st)
        return rc;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)keep);
    if (sqlite3_step(st) == SQLITE_ROW)
        *out = (ended_place){sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1)};
    return sqlite3_reset(st);
}

typedef struct expiry {
    ended_place from; /* exclusive */
    ended_place to;   /* inclusive */
    uint32_t limit, count;
    uint64_t *keys;
} expiry;

/* From e->from on; which becomes where the next call begins: before the first that was found, or behind what was looked at
 * in vain, or at the beginning. */
static int read_expired(reader *r, expiry *e)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *st = read_statement(r, R_ENDS, &rc);
    ended_place last = e->from;
    uint32_t seen = 0;

    if (!st)
        return rc;
    sqlite3_bind_int64(st, 1, e->from.place);
    sqlite3_bind_int64(st, 2, e->from.key);
    sqlite3_bind_int64(st, 3, e->to.place);
    sqlite3_bind_int64(st, 4, e->to.key);
    while (e->count < e->limit && seen < EXPIRED_LOOKED_AT && sqlite3_step(st) == SQLITE_ROW) {
        seen++;
        if (sqlite3_column_int(st, 2) == 0)
            e->keys[e->count++] = (uint64_t)sqlite3_column_int64(st, 1);
        else if (e->count == 0)
            last = (ended_place){sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1)};
    }
    rc = sqlite3_reset(st);
    e->from = e->count < e->limit && seen < EXPIRED_LOOKED_AT ? (ended_place){0, 0} : last;
    return rc;
}

static int find_expired(reader *r, int64_t ended_before_ms, uint64_t keep, expiry *e)
{
    ended_place beyond = {0, 0};
    int rc = conn_exec(&r->conn, "BEGIN");

    if (e->from.place < PLACE_ENDED)
        e->from = (ended_place){PLACE_ENDED, -1};
    e->to = (ended_place){PLACE_ENDED + ended_before_ms - 1, INT64_MAX};
    if (rc == SQLITE_OK && keep)
        rc = find_beyond(r, keep, &beyond);
    if (is_before(e->to, beyond))
        e->to = beyond;
    if (rc == SQLITE_OK && is_before(e->from, e->to))
        rc = read_expired(r, e);
    else
        e->from = (ended_place){0, 0};
    return rc;
}

int32_t sqlite_load_expired(void *self, int64_t ended_before_ms, uint64_t keep, uint32_t limit,
                            uint64_t *out_keys, uint32_t *out_count, orch_error **err)
{
    sqlite_store *s = self;
    expiry e = {.limit = limit > PAGE_MOST ? PAGE_MOST : limit, .keys = out_keys};
    reader *r;
    int rc;
    int32_t result = reader_take(s, &r, err);

    if (result != 0)
        return result;
    pthread_mutex_lock(&s->lock);
    e.from = s->expired_from;
    pthread_mutex_unlock(&s->lock);
    rc = find_expired(r, ended_before_ms, keep, &e);
    if (rc == SQLITE_OK) {
        pthread_mutex_lock(&s->lock);
        s->expired_from = e.from;
        pthread_mutex_unlock(&s->lock);
        *out_count = e.count;
    } else {
        result = read_failed(s, r, rc, err);
    }
    reader_give(s, r, rc);
    return result;
}
