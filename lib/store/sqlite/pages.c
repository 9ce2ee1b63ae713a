/* Pages of what belongs to an execution, and of definitions: read in slices, each a snapshot of its own, until one is
 * short. */
#include "store/sqlite/read_impl.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* Rows read in one snapshot: a long one would keep the WAL from being written anew. */
#define SLICE 1024

typedef struct slices {
    void *rows; /* of row_size each */
    size_t row_size, count, cap;
    size_t limit;                             /* 0 = none */
    int (*read)(sqlite3_stmt *st, void *row); /* SQLite result code; on failure the row is clear */
    uint64_t (*place)(const void *row);       /* what the next slice begins after */
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
        rc = rows ? l->read(st, row_at(l, l->count)) : SQLITE_NOMEM;
        if (rc == SQLITE_OK)
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
            result = read_failed(s, r, rc, err);
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

static int read_checkpoint(sqlite3_stmt *st, void *row)
{
    checkpoint *c = row;
    int rc = SQLITE_OK;

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
    c->output = column_bytes(st, 8, &rc);
    c->error = column_bytes(st, 9, &rc);
    if (rc != SQLITE_OK)
        checkpoint_clear(c);
    return rc;
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

static int read_item(sqlite3_stmt *st, void *row)
{
    inbox_item *item = row;
    int rc = SQLITE_OK;

    memset(item, 0, sizeof *item);
    item->seq = (uint64_t)sqlite3_column_int64(st, 0);
    item->kind = (uint8_t)sqlite3_column_int(st, 1);
    item->state = (uint8_t)sqlite3_column_int(st, 2);
    item->step = (uint32_t)sqlite3_column_int64(st, 3);
    item->index = (uint32_t)sqlite3_column_int64(st, 4);
    item->attempt = (uint32_t)sqlite3_column_int64(st, 5);
    item->at_ms = sqlite3_column_int64(st, 6);
    item->name = column_text(st, 7, &rc);
    item->correlation = column_bytes(st, 8, &rc);
    item->payload = column_bytes(st, 9, &rc);
    if (rc != SQLITE_OK)
        inbox_item_clear(item);
    return rc;
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

/* ---- controls ---------------------------------------------------------------------------------- */

static int read_control(sqlite3_stmt *st, void *row)
{
    control_row *c = row;
    int rc = SQLITE_OK;

    memset(c, 0, sizeof *c);
    c->seq = (uint64_t)sqlite3_column_int64(st, 0);
    c->execution = (uint64_t)sqlite3_column_int64(st, 1);
    c->at_ms = sqlite3_column_int64(st, 2);
    c->action = column_text(st, 3, &rc);
    c->who = column_text(st, 4, &rc);
    c->why = column_text(st, 5, &rc);
    c->detail = column_text(st, 6, &rc);
    if (rc != SQLITE_OK)
        control_row_clear(c);
    return rc;
}

static uint64_t control_place(const void *row)
{
    return ((const control_row *)row)->seq;
}

static void clear_control(void *row)
{
    control_row_clear(row);
}

int32_t sqlite_load_controls(void *self, uint64_t key, uint64_t after_seq, uint32_t limit,
                             control_page *out, orch_error **err)
{
    sqlite3_int64 execution = (sqlite3_int64)key;
    slices l = {.row_size = sizeof(control_row),
                .limit = limit,
                .read = read_control,
                .place = control_place,
                .clear = clear_control};
    int32_t rc = read_slices(self, R_CONTROLS, bind_execution, &execution, 2, after_seq, &l, err);

    if (rc == 0)
        *out = (control_page){l.rows, l.count};
    return rc;
}

/* ---- earlier runs ------------------------------------------------------------------------------ */

static int read_run(sqlite3_stmt *st, void *row)
{
    run_row *r = row;
    int rc = SQLITE_OK;

    memset(r, 0, sizeof *r);
    r->run = (uint32_t)sqlite3_column_int64(st, 0);
    r->state = (uint8_t)sqlite3_column_int(st, 1);
    r->ended_ms = sqlite3_column_int64(st, 2);
    r->output = column_bytes(st, 3, &rc);
    r->error = column_bytes(st, 4, &rc);
    if (rc != SQLITE_OK)
        run_row_clear(r);
    return rc;
}

static uint64_t run_place(const void *row)
{
    return ((const run_row *)row)->run;
}

static void clear_run(void *row)
{
    run_row_clear(row);
}

int32_t sqlite_load_runs(void *self, uint64_t key, run_page *out, orch_error **err)
{
    sqlite3_int64 execution = (sqlite3_int64)key;
    slices l = {
        .row_size = sizeof(run_row), .read = read_run, .place = run_place, .clear = clear_run};
    int32_t rc = read_slices(self, R_RUNS, bind_execution, &execution, 2, 0, &l, err);

    if (rc == 0)
        *out = (run_page){l.rows, l.count};
    return rc;
}

/* ---- definitions ----------------------------------------------------------------------------- */

static void bind_texts(sqlite3_stmt *st, const void *ctx)
{
    sqlite3_bind_int(st, 1, *(const bool *)ctx);
}

static int read_definition(sqlite3_stmt *st, void *row)
{
    definition_row *d = row;
    const void *digest = sqlite3_column_blob(st, 3);
    int rc = SQLITE_OK;

    memset(d, 0, sizeof *d);
    d->key = (uint64_t)sqlite3_column_int64(st, 0);
    d->workflow = column_text(st, 1, &rc);
    d->version = column_text(st, 2, &rc);
    if (digest && sqlite3_column_bytes(st, 3) == (int)sizeof d->digest)
        memcpy(d->digest, digest, sizeof d->digest);
    d->metadata = column_bytes(st, 4, &rc);
    d->registered_ms = sqlite3_column_int64(st, 5);
    d->text = column_bytes(st, 6, &rc);
    if (rc != SQLITE_OK)
        definition_row_clear(d);
    return rc;
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

/* ---- settings ---------------------------------------------------------------------------------- */

static int read_setting(sqlite3_stmt *st, setting_page *page, size_t *cap)
{
    setting_row *rows = mem_grow(page->rows, cap, page->count + 1, sizeof *rows);
    setting_row row;
    int rc = SQLITE_OK;

    if (!rows)
        return SQLITE_NOMEM;
    page->rows = rows;
    row.name = column_text(st, 0, &rc);
    row.value = column_bytes(st, 1, &rc);
    if (rc == SQLITE_OK)
        rows[page->count++] = row;
    else
        setting_row_clear(&row);
    return rc;
}

/* `past`: what all names with that prefix sort before. */
static int read_settings(reader *r, const char *prefix, const char *past, setting_page *page)
{
    int rc = SQLITE_OK, error;
    sqlite3_stmt *st = read_statement(r, R_SETTINGS, &rc);
    size_t cap = 0;

    if (!st)
        return rc;
    sqlite3_bind_text(st, 1, prefix, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, past, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        rc = read_setting(st, page, &cap);
    error = sqlite3_reset(st);
    return rc == SQLITE_OK ? error : rc;
}

int32_t sqlite_load_settings(void *self, const char *prefix, setting_page *out, orch_error **err)
{
    sqlite_store *s = self;
    size_t len = strlen(prefix);
    char *past = mem_alloc(len + 2);
    setting_page page = {0};
    reader *r;
    int rc;
    int32_t result = past ? reader_take(s, &r, err) : error_no_memory(err);

    if (result != 0) {
        mem_free(past);
        return result;
    }
    memcpy(past, prefix, len);
    past[len] = (char)0xff; /* in no name: UTF-8 has no such byte */
    past[len + 1] = '\0';
    rc = read_settings(r, prefix, past, &page);
    mem_free(past);
    if (rc == SQLITE_OK) {
        *out = page;
    } else {
        result = read_failed(s, r, rc, err);
        setting_page_clear(&page);
    }
    reader_give(s, r, rc);
    return result;
}
