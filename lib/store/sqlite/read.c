#include "store/sqlite/read_impl.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* Rows read in one snapshot: a long one would keep the WAL from being written anew. */
#define SLICE 1024

#define EXECUTION_COLUMNS                                                                   \
    "key, id, definition, run, state, paused, accepted_ms, deadline_ms, wake_ms, ended_ms," \
    " inbox_seq, "
#define PAYLOADS "input, output, error"

static const char *const texts[R_STATEMENTS] = {
    [R_BEGIN] = "BEGIN",
    [R_DEFINITIONS] = "SELECT key, workflow, version, digest, metadata, registered_ms,"
                      " CASE WHEN ?1 THEN text END FROM definition WHERE key > ?2 ORDER BY key"
                      " LIMIT ?3",
    [R_DEFINITION] = "SELECT key, workflow, version, digest, metadata, registered_ms,"
                     " CASE WHEN ?1 THEN text END FROM definition WHERE key = ?2 LIMIT ?3",
    [R_BY_KEY] = "SELECT " EXECUTION_COLUMNS PAYLOADS " FROM execution WHERE key = ?1",
    [R_BY_KEY_SHORT] = "SELECT " EXECUTION_COLUMNS "NULL, NULL, NULL FROM execution"
                       " WHERE key = ?1",
    [R_BY_ID] = "SELECT " EXECUTION_COLUMNS PAYLOADS " FROM execution WHERE id = ?1",
    [R_CHECKPOINTS] = "SELECT seq, step, idx, attempt, kind, started_ms, ended_ms, due_ms, output,"
                      " error FROM checkpoint WHERE execution = ?1 AND run = ?2 AND seq > ?3"
                      " ORDER BY seq LIMIT ?4",
    [R_INBOX] = "SELECT seq, kind, at_ms, payload FROM inbox WHERE execution = ?1 AND seq > ?2"
                " ORDER BY seq LIMIT ?3",
    [R_NEXT_WAKE] = "SELECT min(wake_ms) FROM execution WHERE state = 2 AND wake_ms > 0",
    [R_COUNT_OPEN] = "SELECT count(*) FROM execution WHERE state IN (1, 2) AND state <> 3",
    /* Open, or called by their inbox. A UNION in order of key is merged as far as it is read. */
    [R_RUNNABLE] = "SELECT key FROM execution WHERE state = 1 AND state <> 3 AND key > ?1"
                   " UNION SELECT i.execution FROM inbox i"
                   " CROSS JOIN execution e ON e.key = i.execution"
                   " WHERE i.execution > ?1 AND e.state = 2 ORDER BY 1 LIMIT ?2",
    [R_DUE] = "SELECT key FROM execution INDEXED BY execution_wake"
              " WHERE state = 2 AND wake_ms BETWEEN 1 AND ?1 LIMIT ?2",
    [R_VERSIONS_OF] = "SELECT key FROM definition WHERE workflow = ?1"
                      " AND (?2 IS NULL OR version = ?2) ORDER BY key",
    [R_VERSIONS] = "SELECT key FROM definition WHERE version = ?2 ORDER BY key",
};

sqlite3_stmt *read_statement(reader *r, int n, int *rc)
{
    sqlite3_stmt *st = conn_statement(&r->conn, texts, n);

    if (!st)
        *rc = sqlite3_extended_errcode(r->conn.db);
    return st;
}

static int32_t failed(const sqlite_store *s, const reader *r, int rc, orch_error **err)
{
    return conn_error(s, &r->conn, rc, "reading", err);
}

/* ---- one number ------------------------------------------------------------------------------ */

static int32_t read_number(sqlite_store *s, int n, int64_t none, int64_t *out, orch_error **err)
{
    reader *r;
    sqlite3_stmt *st;
    int rc = SQLITE_OK;
    int32_t result = reader_take(s, &r, err);

    if (result != 0)
        return result;
    st = read_statement(r, n, &rc);
    if (st) {
        int64_t value = none;

        if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
            value = sqlite3_column_int64(st, 0);
        rc = sqlite3_reset(st);
        if (rc == SQLITE_OK)
            *out = value;
    }
    result = rc == SQLITE_OK ? 0 : failed(s, r, rc, err);
    reader_give(s, r, rc);
    return result;
}

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

int32_t sqlite_marks(void *self, uint64_t *out_execution_key, uint64_t *out_definition_key,
                     orch_error **err)
{
    sqlite_store *s = self;
    int64_t execution = 0, definition = 0;
    reader *r;
    int rc;
    int32_t result = reader_take(s, &r, err);

    if (result != 0)
        return result;
    rc = conn_number(&r->conn, "SELECT max(key) FROM execution", &execution);
    if (rc == SQLITE_OK)
        rc = conn_number(&r->conn, "SELECT max(key) FROM definition", &definition);
    if (rc == SQLITE_OK) {
        *out_execution_key = (uint64_t)execution;
        *out_definition_key = (uint64_t)definition;
    } else {
        result = failed(s, r, rc, err);
    }
    reader_give(s, r, rc);
    return result;
}

/* ---- executions ------------------------------------------------------------------------------ */

bool read_execution(sqlite3_stmt *st, execution_row *out)
{
    bool no_memory = false;

    memset(out, 0, sizeof *out);
    out->key = (uint64_t)sqlite3_column_int64(st, 0);
    out->id = column_text(st, 1, &no_memory);
    out->definition = (uint64_t)sqlite3_column_int64(st, 2);
    out->run = (uint32_t)sqlite3_column_int64(st, 3);
    out->state = (uint8_t)sqlite3_column_int(st, 4);
    out->paused = sqlite3_column_int(st, 5) != 0;
    out->accepted_ms = sqlite3_column_int64(st, 6);
    out->deadline_ms = sqlite3_column_int64(st, 7);
    out->wake_ms = sqlite3_column_int64(st, 8);
    out->ended_ms = sqlite3_column_int64(st, 9);
    out->inbox_seq = (uint64_t)sqlite3_column_int64(st, 10);
    out->input = column_bytes(st, 11, &no_memory);
    out->output = column_bytes(st, 12, &no_memory);
    out->error = column_bytes(st, 13, &no_memory);
    if (no_memory)
        execution_row_clear(out);
    return !no_memory;
}

/* The one row of a statement whose parameters are bound. */
static int read_one(sqlite3_stmt *st, execution_row *out)
{
    int rc = sqlite3_step(st);
    bool got = rc == SQLITE_ROW && read_execution(st, out);
    int error = sqlite3_reset(st);

    if (error != SQLITE_OK)
        return error;
    return rc == SQLITE_ROW && !got ? SQLITE_NOMEM : rc;
}

int read_by_key(reader *r, int n, uint64_t key, execution_row *out)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *st = read_statement(r, n, &rc);

    if (!st)
        return rc;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)key);
    return read_one(st, out);
}

static int read_by_id(reader *r, const char *id, execution_row *out)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *st = read_statement(r, R_BY_ID, &rc);

    if (!st)
        return rc;
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    return read_one(st, out);
}

int32_t sqlite_load_execution(void *self, uint64_t key, const char *id, execution_row *out,
                              orch_error **err)
{
    sqlite_store *s = self;
    char made[EXECUTION_ID_LEN + 1];
    bool is_made = id && execution_id_parse(id, &key);
    execution_row row = {0};
    reader *r;
    int rc;
    int32_t result = reader_take(s, &r, err);

    if (result != 0)
        return result;
    rc = id && !is_made ? read_by_id(r, id, &row) : read_by_key(r, R_BY_KEY, key, &row);
    if (rc == SQLITE_ROW && is_made && row.id) { /* its name is another */
        execution_row_clear(&row);
        rc = SQLITE_DONE;
    }
    execution_id_format(key, made);
    if (rc == SQLITE_ROW)
        *out = row;
    else if (rc == SQLITE_DONE)
        result = error_set(err, ORCH_E_NOT_FOUND, id ? id : made,
                           "execution '%s' is not in the store", id ? id : made);
    else
        result = failed(s, r, rc, err);
    reader_give(s, r, rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc);
    return result;
}

/* ---- pages: slices, each a snapshot of its own, until one is short --------------------------- */

typedef struct slices {
    void *rows; /* of row_size each */
    size_t row_size, count, cap;
    size_t limit;                              /* 0 = none */
    bool (*read)(sqlite3_stmt *st, void *row); /* false: no memory */
    uint64_t (*place)(const void *row);        /* what the next slice begins after */
    void (*clear)(void *row);
} slices;

static void *row_at(const slices *l, size_t i)
{
    return (char *)l->rows + i * l->row_size;
}

static size_t slice_size(const slices *l)
{
    return l->limit && l->limit - l->count < SLICE ? l->limit - l->count : SLICE;
}

/* SQLite result code. */
static int read_slice(slices *l, sqlite3_stmt *st, size_t most)
{
    size_t got = 0;
    int rc = SQLITE_OK;

    while (got < most && rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
        void *rows = mem_grow(l->rows, &l->cap, l->count + 1, l->row_size);

        if (rows)
            l->rows = rows;
        if (!rows || !l->read(st, row_at(l, l->count)))
            rc = SQLITE_NOMEM;
        else
            l->count++;
        got++;
    }
    if (rc != SQLITE_OK) {
        sqlite3_reset(st);
        return rc;
    }
    return sqlite3_reset(st);
}

/* `after` is parameter place, the number of rows the next one; the others are bound by `bind`. */
static int32_t read_slices(sqlite_store *s, int n, void (*bind)(sqlite3_stmt *st, const void *ctx),
                           const void *ctx, int place, uint64_t after, slices *l, orch_error **err)
{
    int32_t result = 0;
    size_t most, before;

    do {
        reader *r;
        sqlite3_stmt *st;
        int rc = SQLITE_OK;

        most = slice_size(l);
        before = l->count;
        result = reader_take(s, &r, err);
        if (result != 0)
            break;
        st = read_statement(r, n, &rc);
        if (st) {
            bind(st, ctx);
            sqlite3_bind_int64(st, place, (sqlite3_int64)after);
            sqlite3_bind_int64(st, place + 1, (sqlite3_int64)most);
            rc = read_slice(l, st, most);
        }
        if (rc != SQLITE_OK)
            result = failed(s, r, rc, err);
        reader_give(s, r, rc);
        if (l->count > before)
            after = l->place(row_at(l, l->count - 1));
    } while (result == 0 && l->count - before == most && (!l->limit || l->count < l->limit));
    if (result != 0) {
        for (size_t i = 0; i < l->count; i++)
            l->clear(row_at(l, i));
        mem_free(l->rows);
    }
    return result;
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

typedef struct run_key {
    uint64_t execution;
    uint32_t run;
} run_key;

static void bind_run(sqlite3_stmt *st, const void *ctx)
{
    const run_key *key = ctx;

    sqlite3_bind_int64(st, 1, (sqlite3_int64)key->execution);
    sqlite3_bind_int64(st, 2, key->run);
}

static bool read_checkpoint(sqlite3_stmt *st, void *row)
{
    checkpoint *c = row;
    bool no_memory = false;

    memset(c, 0, sizeof *c);
    c->seq = (uint64_t)sqlite3_column_int64(st, 0);
    c->step = (uint32_t)sqlite3_column_int64(st, 1);
    c->index = sqlite3_column_type(st, 2) == SQLITE_NULL ? INDEX_NONE
                                                         : (uint32_t)sqlite3_column_int64(st, 2);
    c->attempt = (uint32_t)sqlite3_column_int64(st, 3);
    c->kind = (uint8_t)sqlite3_column_int(st, 4);
    c->started_ms = sqlite3_column_int64(st, 5);
    c->ended_ms = sqlite3_column_int64(st, 6);
    c->due_ms = sqlite3_column_int64(st, 7);
    c->output = column_bytes(st, 8, &no_memory);
    c->error = column_bytes(st, 9, &no_memory);
    if (no_memory)
        checkpoint_clear(c);
    return !no_memory;
}

static uint64_t checkpoint_place(const void *row)
{
    return ((const checkpoint *)row)->seq;
}

static void clear_checkpoint(void *row)
{
    checkpoint_clear(row);
}

int32_t sqlite_load_checkpoints(void *self, uint64_t key, uint32_t run, uint64_t after_seq,
                                uint32_t limit, checkpoint_page *out, orch_error **err)
{
    run_key which = {key, run};
    slices l = {.row_size = sizeof(checkpoint),
                .limit = limit,
                .read = read_checkpoint,
                .place = checkpoint_place,
                .clear = clear_checkpoint};
    int32_t rc = read_slices(self, R_CHECKPOINTS, bind_run, &which, 3, after_seq, &l, err);

    if (rc == 0)
        *out = (checkpoint_page){l.rows, l.count};
    return rc;
}

/* ---- inbox ----------------------------------------------------------------------------------- */

static void bind_execution(sqlite3_stmt *st, const void *ctx)
{
    sqlite3_bind_int64(st, 1, *(const sqlite3_int64 *)ctx);
}

static bool read_item(sqlite3_stmt *st, void *row)
{
    inbox_item *item = row;
    bool no_memory = false;

    memset(item, 0, sizeof *item);
    item->seq = (uint64_t)sqlite3_column_int64(st, 0);
    item->kind = (uint8_t)sqlite3_column_int(st, 1);
    item->at_ms = sqlite3_column_int64(st, 2);
    item->payload = column_bytes(st, 3, &no_memory);
    return !no_memory;
}

static uint64_t item_place(const void *row)
{
    return ((const inbox_item *)row)->seq;
}

static void clear_item(void *row)
{
    inbox_item_clear(row);
}

int32_t sqlite_load_inbox(void *self, uint64_t key, inbox_page *out, orch_error **err)
{
    sqlite3_int64 execution = (sqlite3_int64)key;
    slices l = {.row_size = sizeof(inbox_item),
                .read = read_item,
                .place = item_place,
                .clear = clear_item};
    int32_t rc = read_slices(self, R_INBOX, bind_execution, &execution, 2, 0, &l, err);

    if (rc == 0)
        *out = (inbox_page){l.rows, l.count};
    return rc;
}

/* ---- definitions ----------------------------------------------------------------------------- */

static void bind_texts(sqlite3_stmt *st, const void *ctx)
{
    sqlite3_bind_int(st, 1, *(const bool *)ctx);
}

static bool read_definition(sqlite3_stmt *st, void *row)
{
    definition_row *d = row;
    const void *digest = sqlite3_column_blob(st, 3);
    bool no_memory = false;

    memset(d, 0, sizeof *d);
    d->key = (uint64_t)sqlite3_column_int64(st, 0);
    d->workflow = column_text(st, 1, &no_memory);
    d->version = column_text(st, 2, &no_memory);
    if (digest && sqlite3_column_bytes(st, 3) == (int)sizeof d->digest)
        memcpy(d->digest, digest, sizeof d->digest);
    d->metadata = column_bytes(st, 4, &no_memory);
    d->registered_ms = sqlite3_column_int64(st, 5);
    d->text = column_bytes(st, 6, &no_memory);
    if (no_memory)
        definition_row_clear(d);
    return !no_memory;
}

static uint64_t definition_place(const void *row)
{
    return ((const definition_row *)row)->key;
}

static void clear_definition(void *row)
{
    definition_row_clear(row);
}

int32_t sqlite_load_definitions(void *self, uint64_t definition, bool with_texts,
                                definition_page *out, orch_error **err)
{
    slices l = {.row_size = sizeof(definition_row),
                .limit = definition ? 1 : 0,
                .read = read_definition,
                .place = definition_place,
                .clear = clear_definition};
    int32_t rc = read_slices(self, definition ? R_DEFINITION : R_DEFINITIONS, bind_texts,
                             &with_texts, 2, definition, &l, err);

    if (rc == 0 && definition && l.count == 0) {
        mem_free(l.rows);
        return error_set(err, ORCH_E_NOT_FOUND, "definition", "definition %llu is not in the store",
                         (unsigned long long)definition);
    }
    if (rc == 0)
        *out = (definition_page){l.rows, l.count};
    return rc;
}
