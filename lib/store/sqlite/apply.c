/* Units in a transaction. On the hot path nothing is read before a write: a guard rides on the
 * UPDATE that it guards, a duplicate is an INSERT that changes nothing, and what can fail goes
 * first, so that a unit that fails has left nothing behind. Only a unit with several things that
 * can fail gets a savepoint, and only one that was sent before the result of the one before it
 * was known looks for that one's row. */
#include "store/sqlite/sqlite_impl.h"

#include <string.h>

#include "base/clock.h"

#define PAYLOAD_MOST   (256u << 20) /* three of them fit in a row */
#define NO_INBOX_CHECK (-1)

enum {
    W_BEGIN,
    W_COMMIT,
    W_BATCH,
    W_TERM,
    W_GUARD,
    W_BEFORE,
    W_DEFINE,
    W_ACCEPT,
    W_APPEND,
    W_UPDATE,
    W_PUT,
    W_PUT_ITEM,
    W_CONSUME,
    W_SAVE,
    W_UNDO,
    W_KEEP,
    W_STATEMENTS
};

/* ?2: 1 = must be open; ?3: what inbox_seq must be, or NO_INBOX_CHECK. */
#define WHERE_GUARDED " WHERE key = ?1 AND (?2 = 0 OR state < 3) AND (?3 < 0 OR inbox_seq = ?3)"

static const char *const texts[W_STATEMENTS] = {
    [W_BEGIN] = "BEGIN IMMEDIATE",
    [W_COMMIT] = "COMMIT",
    [W_BATCH] = "UPDATE store SET batch = ?1 WHERE id = 1",
    [W_TERM] = "SELECT term FROM shard_lease WHERE shard = ?1",
    [W_GUARD] = "SELECT state, inbox_seq FROM execution WHERE key = ?1",
    [W_BEFORE] = "SELECT 1 FROM checkpoint WHERE execution = ?1 AND run = ?2 AND seq = ?3",
    [W_DEFINE] = "INSERT INTO definition(key, workflow, version, digest, text, metadata,"
                 " registered_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    [W_ACCEPT] = "INSERT INTO execution(key, id, definition, run, state, paused, accepted_ms,"
                 " deadline_ms, wake_ms, ended_ms, inbox_seq, input, output, error)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
                 " ON CONFLICT DO NOTHING",
    [W_APPEND] = "INSERT INTO checkpoint(execution, run, seq, step, idx, attempt, kind, started_ms,"
                 " ended_ms, due_ms, output, error)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
                 " ON CONFLICT DO NOTHING",
    [W_UPDATE] = "UPDATE execution SET state = ?4, ended_ms = ?5, wake_ms = ?6, output = ?7,"
                 " error = ?8, run = max(run, ?9)" WHERE_GUARDED,
    [W_PUT] = "UPDATE execution SET inbox_seq = inbox_seq + 1" WHERE_GUARDED " RETURNING inbox_seq",
    [W_PUT_ITEM] = "INSERT INTO inbox(execution, seq, kind, at_ms, payload)"
                   " VALUES(?1, ?2, ?3, ?4, ?5)",
    [W_CONSUME] = "DELETE FROM inbox WHERE execution = ?1 AND seq <= ?2",
    [W_SAVE] = "SAVEPOINT unit",
    [W_UNDO] = "ROLLBACK TO unit",
    [W_KEEP] = "RELEASE unit",
};

/* ---- statements ------------------------------------------------------------------------------ */

static sqlite3_stmt *statement(writer *w, int n)
{
    return conn_statement(&w->conn, texts, n);
}

static int prepare_failed(const writer *w)
{
    return sqlite3_extended_errcode(w->conn.db);
}

static int run(writer *w, int n)
{
    sqlite3_stmt *st = statement(w, n);

    return st ? conn_run(st) : prepare_failed(w);
}

/* Of a row that was inserted, updated or deleted: how many. */
static int run_counting(writer *w, sqlite3_stmt *st, int *changed)
{
    int rc = conn_run(st);

    *changed = rc == SQLITE_OK ? sqlite3_changes(w->conn.db) : 0;
    w->rows += (uint64_t)*changed;
    return rc;
}

/* Bindings cannot fail: text without conversion, borrowed for the statement's run, its size
 * checked before. */
static void bind_key(sqlite3_stmt *st, int place, uint64_t value)
{
    sqlite3_bind_int64(st, place, (sqlite3_int64)value);
}

static void bind_bytes(sqlite3_stmt *st, int place, const bytes *b)
{
    if (b)
        sqlite3_bind_text(st, place, b->data, (int)b->len, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, place);
}

/* A payload that says nothing is stored as NULL. */
static void bind_json(sqlite3_stmt *st, int place, const bytes *b, const char *nothing)
{
    bool says_nothing = b && b->len == strlen(nothing) && !memcmp(b->data, nothing, b->len);

    bind_bytes(st, place, says_nothing ? NULL : b);
}

static void bind_guards(sqlite3_stmt *st, const store_unit *u, bool guarded)
{
    bind_key(st, 1, u->key);
    sqlite3_bind_int(st, 2, guarded && u->must_be_open);
    sqlite3_bind_int64(st, 3,
                       guarded && u->check_inbox ? (sqlite3_int64)u->inbox_seen : NO_INBOX_CHECK);
}

/* ---- guards ---------------------------------------------------------------------------------- */

/* One read a shard and transaction. */
static int read_term(writer *w, uint32_t shard, uint64_t *out)
{
    sqlite3_stmt *st;

    if (!(w->checked >> shard & 1)) {
        st = statement(w, W_TERM);
        if (!st)
            return prepare_failed(w);
        sqlite3_bind_int(st, 1, (int)shard);
        w->terms[shard] = 0;
        if (sqlite3_step(st) == SQLITE_ROW)
            w->terms[shard] = (uint64_t)sqlite3_column_int64(st, 0);
        if (sqlite3_reset(st) != SQLITE_OK)
            return prepare_failed(w);
        w->checked |= UINT64_C(1) << shard;
    }
    *out = w->terms[shard];
    return SQLITE_OK;
}

static int check_lease(writer *w, store_unit *u)
{
    uint64_t term = 0;
    int rc;

    if (u->shard >= STORE_SHARDS) {
        u->result = ORCH_E_ABORTED;
        return SQLITE_OK;
    }
    rc = read_term(w, u->shard, &term);
    if (rc == SQLITE_OK && term != u->term)
        u->result = ORCH_E_ABORTED;
    return rc;
}

/* Reads the row: for units that have guards but no UPDATE to hang them on, and to say why an
 * UPDATE met no row. */
static int check_execution(writer *w, store_unit *u)
{
    sqlite3_stmt *st = statement(w, W_GUARD);
    bool found, open;
    uint64_t seq;

    if (!st)
        return prepare_failed(w);
    bind_key(st, 1, u->key);
    found = sqlite3_step(st) == SQLITE_ROW;
    open = found && !EXECUTION_STATE_IS_END(sqlite3_column_int(st, 0));
    seq = found ? (uint64_t)sqlite3_column_int64(st, 1) : 0;
    if ((u->must_be_open && !open) || (u->check_inbox && !found))
        u->result = ORCH_E_FAILED_PRECONDITION;
    else if (u->check_inbox && seq != u->inbox_seen)
        u->result = ORCH_E_ABORTED;
    else if (!found)
        u->result = ORCH_E_NOT_FOUND;
    return sqlite3_reset(st);
}

/* Mostly what the unit before it wrote: the page is at hand. */
static int check_before(writer *w, store_unit *u)
{
    sqlite3_stmt *st = statement(w, W_BEFORE);

    if (!st)
        return prepare_failed(w);
    bind_key(st, 1, u->key);
    sqlite3_bind_int64(st, 2, u->run);
    bind_key(st, 3, u->after_seq);
    if (sqlite3_step(st) != SQLITE_ROW)
        u->result = ORCH_E_OUT_OF_RANGE;
    return sqlite3_reset(st);
}

static bool has_guards(const store_unit *u)
{
    return u->must_be_open || u->check_inbox;
}

/* ---- operations: SQLite result code; u->result where the operation did not take place -------- */

static int define(writer *w, store_unit *u)
{
    const definition_row *d = u->definition;
    sqlite3_stmt *st = statement(w, W_DEFINE);
    int rc, changed;

    if (!st)
        return prepare_failed(w);
    bind_key(st, 1, d->key);
    sqlite3_bind_text(st, 2, d->workflow, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, d->version, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 4, d->digest, sizeof d->digest, SQLITE_STATIC);
    bind_bytes(st, 5, d->text);
    bind_bytes(st, 6, d->metadata);
    sqlite3_bind_int64(st, 7, d->registered_ms);
    rc = run_counting(w, st, &changed);
    if (rc == SQLITE_OK && changed == 0)
        u->result = ORCH_E_ALREADY_EXISTS;
    return rc;
}

static int accept(writer *w, store_unit *u)
{
    const execution_row *e = u->accept;
    sqlite3_stmt *st = statement(w, W_ACCEPT);
    int rc, changed;

    if (!st)
        return prepare_failed(w);
    bind_key(st, 1, e->key);
    if (e->id)
        sqlite3_bind_text(st, 2, e->id, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, 2);
    bind_key(st, 3, e->definition);
    sqlite3_bind_int64(st, 4, e->run);
    sqlite3_bind_int(st, 5, e->state);
    sqlite3_bind_int(st, 6, e->paused);
    sqlite3_bind_int64(st, 7, e->accepted_ms);
    sqlite3_bind_int64(st, 8, e->deadline_ms);
    sqlite3_bind_int64(st, 9, e->wake_ms);
    sqlite3_bind_int64(st, 10, e->ended_ms);
    bind_key(st, 11, e->inbox_seq);
    bind_json(st, 12, e->input, "{}");
    bind_json(st, 13, e->output, "null");
    bind_bytes(st, 14, e->error);
    rc = run_counting(w, st, &changed);
    if (rc == SQLITE_OK && changed == 0)
        u->result = ORCH_E_ALREADY_EXISTS;
    return rc;
}

static int append(writer *w, const store_unit *u)
{
    sqlite3_stmt *st = statement(w, W_APPEND);
    int rc = st ? SQLITE_OK : prepare_failed(w);
    int changed;

    for (uint32_t i = 0; i < u->checkpoint_count && rc == SQLITE_OK; i++) {
        const checkpoint *c = &u->checkpoints[i];

        bind_key(st, 1, u->key);
        sqlite3_bind_int64(st, 2, u->run);
        bind_key(st, 3, c->seq);
        sqlite3_bind_int64(st, 4, c->step);
        if (c->index == INDEX_NONE)
            sqlite3_bind_null(st, 5);
        else
            sqlite3_bind_int64(st, 5, c->index);
        sqlite3_bind_int64(st, 6, c->attempt);
        sqlite3_bind_int(st, 7, c->kind);
        sqlite3_bind_int64(st, 8, c->started_ms);
        sqlite3_bind_int64(st, 9, c->ended_ms);
        sqlite3_bind_int64(st, 10, c->due_ms);
        bind_json(st, 11, c->output, "null");
        bind_bytes(st, 12, c->error);
        rc = run_counting(w, st, &changed);
    }
    return rc;
}

static int update(writer *w, store_unit *u, bool guarded)
{
    const execution_update *e = u->update;
    sqlite3_stmt *st = statement(w, W_UPDATE);
    int rc, changed;

    if (!st)
        return prepare_failed(w);
    bind_guards(st, u, guarded);
    sqlite3_bind_int(st, 4, e->state);
    sqlite3_bind_int64(st, 5, e->ended_ms);
    sqlite3_bind_int64(st, 6, e->wake_ms);
    bind_json(st, 7, e->output, "null");
    bind_bytes(st, 8, e->error);
    sqlite3_bind_int64(st, 9, u->run);
    rc = run_counting(w, st, &changed);
    if (rc == SQLITE_OK && changed == 0)
        rc = check_execution(w, u);
    return rc;
}

static int put(writer *w, store_unit *u, bool guarded)
{
    inbox_item *item = u->inbox_put;
    sqlite3_stmt *st = statement(w, W_PUT), *insert = statement(w, W_PUT_ITEM);
    bool found;
    int rc, changed;

    if (!st || !insert)
        return prepare_failed(w);
    bind_guards(st, u, guarded);
    found = sqlite3_step(st) == SQLITE_ROW;
    if (found)
        item->seq = (uint64_t)sqlite3_column_int64(st, 0);
    /* After an error a further step would run it anew, and perhaps with success: without its row. */
    rc = found ? conn_run(st) : sqlite3_reset(st);
    if (rc != SQLITE_OK)
        return rc;
    if (!found)
        return check_execution(w, u);
    w->rows++;
    bind_key(insert, 1, u->key);
    bind_key(insert, 2, item->seq);
    sqlite3_bind_int(insert, 3, item->kind);
    sqlite3_bind_int64(insert, 4, item->at_ms);
    bind_json(insert, 5, item->payload, "null");
    return run_counting(w, insert, &changed);
}

static int consume(writer *w, const store_unit *u)
{
    sqlite3_stmt *st = statement(w, W_CONSUME);
    int changed;

    if (!st)
        return prepare_failed(w);
    bind_key(st, 1, u->key);
    bind_key(st, 2, u->inbox_consumed);
    return run_counting(w, st, &changed);
}

/* ---- units ----------------------------------------------------------------------------------- */

/* What cannot fail once the rest took place. */
static int apply_rest(writer *w, const store_unit *u)
{
    int rc = u->checkpoint_count ? append(w, u) : SQLITE_OK;

    if (rc == SQLITE_OK && u->inbox_consumed)
        rc = consume(w, u);
    return rc;
}

/* At most one of the operations can fail: it goes first. */
static int apply_simple(writer *w, store_unit *u)
{
    bool rides = u->update || u->inbox_put; /* the guards do, on one of them */
    int rc = has_guards(u) && !rides ? check_execution(w, u) : SQLITE_OK;

    if (rc == SQLITE_OK && u->result == 0 && u->definition)
        rc = define(w, u);
    if (rc == SQLITE_OK && u->result == 0 && u->accept)
        rc = accept(w, u);
    if (rc == SQLITE_OK && u->result == 0 && u->update)
        rc = update(w, u, true);
    if (rc == SQLITE_OK && u->result == 0 && u->inbox_put)
        rc = put(w, u, !u->update);
    if (rc == SQLITE_OK && u->result == 0)
        rc = apply_rest(w, u);
    return rc;
}

static int apply_compound(writer *w, store_unit *u)
{
    uint64_t rows = w->rows;
    int rc = has_guards(u) ? check_execution(w, u) : SQLITE_OK;

    if (rc != SQLITE_OK || u->result != 0)
        return rc;
    rc = run(w, W_SAVE);
    if (rc == SQLITE_OK && u->definition)
        rc = define(w, u);
    if (rc == SQLITE_OK && u->result == 0 && u->accept)
        rc = accept(w, u);
    if (rc == SQLITE_OK && u->result == 0 && u->update)
        rc = update(w, u, false);
    if (rc == SQLITE_OK && u->result == 0 && u->inbox_put)
        rc = put(w, u, false);
    if (rc == SQLITE_OK && u->result == 0)
        rc = apply_rest(w, u);
    if (rc == SQLITE_OK && u->result != 0) {
        rc = run(w, W_UNDO);
        w->rows = rows;
    }
    return rc == SQLITE_OK ? run(w, W_KEEP) : rc;
}

static bool is_big(const bytes *b)
{
    return b && b->len > PAYLOAD_MOST;
}

static bool has_big(const store_unit *u)
{
    bool big = u->definition && (is_big(u->definition->text) || is_big(u->definition->metadata));

    if (u->accept)
        big |= is_big(u->accept->input) || is_big(u->accept->output) || is_big(u->accept->error);
    if (u->update)
        big |= is_big(u->update->output) || is_big(u->update->error);
    if (u->inbox_put)
        big |= is_big(u->inbox_put->payload);
    for (uint32_t i = 0; i < u->checkpoint_count; i++)
        big |= is_big(u->checkpoints[i].output) || is_big(u->checkpoints[i].error);
    return big;
}

static int apply(writer *w, store_unit *u)
{
    int can_fail = (u->definition != NULL) + (u->accept != NULL) + (u->update || u->inbox_put);
    int rc;

    u->result = has_big(u) ? ORCH_E_INVALID_ARGUMENT : 0;
    if (u->result != 0)
        return SQLITE_OK;
    rc = check_lease(w, u);
    if (rc == SQLITE_OK && u->result == 0 && u->after_seq)
        rc = check_before(w, u);
    if (rc != SQLITE_OK || u->result != 0)
        return rc;
    return can_fail > 1 ? apply_compound(w, u) : apply_simple(w, u);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void roll_back(writer *w)
{
    if (!sqlite3_get_autocommit(w->conn.db))
        conn_exec(&w->conn, "ROLLBACK");
}

int writer_commit(writer *w, store_unit *first)
{
    sqlite3_stmt *st = statement(w, W_BATCH);
    int rc = st ? run(w, W_BEGIN) : prepare_failed(w);

    w->checked = 0;
    w->rows = 0;
    for (store_unit *u = first; u && rc == SQLITE_OK; u = u->next)
        rc = apply(w, u);
    if (rc == SQLITE_OK && w->rows == 0) {
        roll_back(w); /* each unit was refused, or was there already */
        return SQLITE_OK;
    }
    if (rc == SQLITE_OK) {
        bind_key(st, 1, w->batch + 1);
        rc = conn_run(st);
    }
    if (rc == SQLITE_OK) {
        int64_t from_ns = clock_monotonic_ns();

        rc = run(w, W_COMMIT);
        w->sync_ns = clock_monotonic_ns() - from_ns;
        if (rc == SQLITE_NOMEM) /* perhaps after it was written: ambiguous */
            rc = SQLITE_IOERR_NOMEM;
    }
    if (rc == SQLITE_OK)
        w->batch++;
    else
        roll_back(w);
    return rc;
}

static int raise_term(writer *w, const char *owner, uint64_t *out_term)
{
    sqlite3_stmt *st;
    int64_t term = 0;
    int rc = conn_number(&w->conn, "SELECT max(term) FROM shard_lease", &term);

    if (rc != SQLITE_OK)
        return rc;
    if (owner)
        term++;
    /* No expiry: the lease lasts as long as the lock on the lock file. */
    rc = sqlite3_prepare_v2(w->conn.db,
                            "UPDATE shard_lease SET owner = ?1, term = ?2, expiry_ms = NULL", -1,
                            &st, NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_bind_text(st, 1, owner, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, term);
    sqlite3_step(st);
    rc = sqlite3_finalize(st);
    if (out_term)
        *out_term = (uint64_t)term;
    return rc;
}

int writer_lease(writer *w, const char *owner, uint64_t *out_term)
{
    int rc = run(w, W_BEGIN);

    if (rc == SQLITE_OK)
        rc = raise_term(w, owner, out_term);
    if (rc == SQLITE_OK)
        rc = run(w, W_COMMIT);
    if (rc != SQLITE_OK)
        roll_back(w);
    return rc;
}

int writer_read_batch(writer *w, uint64_t *out)
{
    int64_t batch = 0;
    int rc = conn_number(&w->conn, "SELECT batch FROM store WHERE id = 1", &batch);

    *out = (uint64_t)batch;
    return rc;
}
