/* The writer's statements, and how values become parameters. */
#include "store/sqlite/write_impl.h"

#include <string.h>

#include "base/digest.h"

#define PAYLOAD_MOST (256u << 20) /* three of them fit in a row */

/* clang-format off */
static const char *const texts[] = {
    [W_BEGIN] = "BEGIN IMMEDIATE",
    [W_COMMIT] = "COMMIT",
    [W_BATCH] = "UPDATE store SET batch = ?1, skew_ms = max(skew_ms, ?2) WHERE id = 1",
    [W_TERM] = "SELECT term FROM shard_lease WHERE shard = ?1",
    [W_BEFORE] = "SELECT 1 FROM checkpoint WHERE execution = ?1 AND run = ?2 AND seq = ?3",
    [W_ROW] = "SELECT state, paused, run, inbox_seq, wake_inbox, definition, priority"
              " FROM execution WHERE key = ?1",

    [W_DEFINE] = "INSERT INTO definition(key, workflow, version, digest, text, metadata,"
                 " registered_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    [W_DEFINED] = "SELECT 1 FROM definition WHERE key = ?1 OR (workflow = ?2 AND version = ?3)",
    [W_ACCEPT] = "INSERT INTO execution(key, id, definition, run, state, paused, accepted_ms,"
                 " deadline_ms, wake_ms, ended_ms, inbox_seq, input)"
                 " VALUES(?1, ?2, ?3, 1, 1, 0, ?4, ?5, 0, 0, 0, ?6) ON CONFLICT DO NOTHING",
    [W_ACCEPT_ANY] = "INSERT INTO execution(key, id, definition, run, state, paused, accepted_ms,"
                     " deadline_ms, wake_ms, ended_ms, inbox_seq, input, output, error, priority,"
                     " wake_inbox) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
                     " ?14, ?15, ?16)",
    [W_TAKEN] = "SELECT 1 FROM execution WHERE key = ?1 UNION ALL"
                " SELECT 1 FROM execution WHERE id = ?2",
    [W_ORIGIN] = "INSERT INTO origin(execution, parent, parent_run, parent_step, parent_idx,"
                 " parent_attempt, depth, abandoned, limit_key, affinity, attributes, start_key,"
                 " by_task) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [W_ATTRIBUTE] = "INSERT INTO attribute(name, value, execution) VALUES(?1, ?2, ?3)",
    [W_HOLDER] = "SELECT k.execution, k.expires_ms, e.state FROM start_key k"
                 " JOIN execution e ON e.key = k.execution WHERE k.workflow = ?1 AND k.key = ?2",
    [W_HOLD] = "INSERT INTO start_key(workflow, key, execution, expires_ms)"
               " VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE"
               " SET execution = excluded.execution, expires_ms = excluded.expires_ms",

    [W_APPEND] = "INSERT INTO checkpoint(execution, run, seq, step, idx, attempt, kind, started_ms,"
                 " ended_ms, due_ms, output, error)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
                 " ON CONFLICT DO NOTHING",
    [W_FINISH] = "UPDATE execution SET state = 3, ended_ms = ?2, wake_ms = ?3, wake_inbox = NULL,"
                 " output = ?4, error = ?5 WHERE key = ?1 AND state = 1 AND priority IS NULL"
                 " AND inbox_seq <= ?6 AND run = 1",
    [W_UPDATE] = "UPDATE execution SET state = ?2, ended_ms = ?3, wake_ms = ?4, wake_inbox = ?5,"
                 " output = ?6, error = ?7, run = ?8,"
                 " deadline_ms = CASE WHEN ?8 > run THEN ?9 ELSE deadline_ms END WHERE key = ?1",
    [W_KEEP_RUN] = "INSERT INTO run SELECT key, run, state, ended_ms, output, error"
                   " FROM execution WHERE key = ?1",
    [W_RUN] = "INSERT INTO run(execution, run, state, ended_ms, output, error)"
              " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [W_SET] = "UPDATE execution SET paused = ?2, priority = ?3 WHERE key = ?1",

    [W_PUT] = "UPDATE execution SET inbox_seq = ?2 WHERE key = ?1",
    [W_WAKE] = "UPDATE execution SET inbox_seq = ?2, state = 1, wake_ms = 0, wake_inbox = NULL"
               " WHERE key = ?1",
    [W_ITEM] = "INSERT INTO inbox(execution, seq, kind, at_ms, payload, state, step, idx, attempt,"
               " name, correlation) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [W_FIRST_ITEM] = "SELECT min(seq) FROM inbox WHERE execution = ?1",
    [W_COUNT_ITEMS] = "SELECT count(*) FROM"
                      " (SELECT 1 FROM inbox WHERE execution = ?1 AND kind = ?2 LIMIT ?3)",
    [W_CONSUME] = "DELETE FROM inbox WHERE execution = ?1 AND seq <= ?2",
    [W_CONSUME_ONE] = "DELETE FROM inbox WHERE execution = ?1 AND seq = ?2",

    [W_LIST] = "INSERT INTO listed(list, definition, execution) VALUES(?1, ?2, ?3)",
    [W_UNLIST] = "DELETE FROM listed WHERE list = ?1 AND definition = ?2 AND execution = ?3",
    [W_LIMIT] = "INSERT INTO limited(limit_key, priority, execution) SELECT limit_key, ?2, ?1"
                " FROM origin WHERE execution = ?1 AND limit_key IS NOT NULL",
    [W_UNLIMIT] = "DELETE FROM limited WHERE execution = ?1 AND priority = ?2"
                  " AND limit_key = (SELECT limit_key FROM origin WHERE execution = ?1)",

    [W_CONTROL] = "INSERT INTO control(execution, seq, at_ms, action, who, why, detail)"
                  " SELECT ?1, ifnull(max(seq), 0) + 1, ?2, ?3, ?4, ?5, ?6"
                  " FROM control WHERE execution = ?1 RETURNING seq",
    [W_CONTROL_TRIM] = "DELETE FROM control WHERE execution = ?1 AND seq <= ?2",
    [W_SETTING] = "INSERT INTO setting(name, value) VALUES(?1, ?2)"
                  " ON CONFLICT DO UPDATE SET value = excluded.value",
    [W_SETTING_GONE] = "DELETE FROM setting WHERE name = ?1",

    [W_PAYLOAD] = "INSERT INTO payload(digest, data) VALUES(?1, ?2) ON CONFLICT DO NOTHING",
    [W_USE] = "INSERT INTO payload_use(execution, payload) SELECT ?1, key FROM payload"
              " WHERE digest = ?2 ON CONFLICT DO NOTHING",

    [W_PURGE_ORIGIN] = "SELECT attributes FROM origin WHERE execution = ?1",
    [W_PURGE_ATTRIBUTE] = "DELETE FROM attribute WHERE name = ?1 AND value = ?2 AND execution = ?3",
    [W_PURGE_PAYLOAD] = "DELETE FROM payload WHERE key IN"
                        " (SELECT payload FROM payload_use WHERE execution = ?1)"
                        " AND NOT EXISTS(SELECT 1 FROM payload_use u"
                        " WHERE u.payload = payload.key AND u.execution <> ?1)",
    [W_PURGE_USE] = "DELETE FROM payload_use WHERE execution = ?1",
    [W_PURGE_START_KEY] = "DELETE FROM start_key WHERE execution = ?1",
    [W_PURGE_CHECKPOINT] = "DELETE FROM checkpoint WHERE execution = ?1",
    [W_PURGE_INBOX] = "DELETE FROM inbox WHERE execution = ?1",
    [W_PURGE_CONTROL] = "DELETE FROM control WHERE execution = ?1",
    [W_PURGE_RUN] = "DELETE FROM run WHERE execution = ?1",
    [W_PURGE_OWN] = "DELETE FROM origin WHERE execution = ?1",
    [W_PURGE_EXECUTION] = "DELETE FROM execution WHERE key = ?1",
};
/* clang-format on */

_Static_assert(sizeof texts / sizeof *texts == W_STATEMENTS, "each statement has a text");
_Static_assert(W_STATEMENTS <= CONN_STATEMENTS, "a connection has a place for each statement");

sqlite3_stmt *writer_statement(writer *w, int n)
{
    return conn_statement(&w->conn, texts, n);
}

int writer_error(const writer *w)
{
    return sqlite3_extended_errcode(w->conn.db);
}

int writer_run(writer *w, int n)
{
    sqlite3_stmt *st = writer_statement(w, n);

    return st ? conn_run(st) : writer_error(w);
}

int writer_change(writer *w, sqlite3_stmt *st, int *out_changed)
{
    int rc = conn_run(st);
    int changed = rc == SQLITE_OK ? sqlite3_changes(w->conn.db) : 0;

    w->rows += (uint64_t)changed;
    if (out_changed)
        *out_changed = changed;
    return rc;
}

void bind_key(sqlite3_stmt *st, int place, uint64_t value)
{
    sqlite3_bind_int64(st, place, (sqlite3_int64)value);
}

void bind_some(sqlite3_stmt *st, int place, uint64_t value)
{
    if (value)
        bind_key(st, place, value);
    else
        sqlite3_bind_null(st, place);
}

void bind_text(sqlite3_stmt *st, int place, const char *text)
{
    if (text)
        sqlite3_bind_text(st, place, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, place);
}

void bind_bytes(sqlite3_stmt *st, int place, const bytes *b)
{
    if (b)
        sqlite3_bind_text(st, place, b->data, (int)b->len, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, place);
}

bool is_big(const bytes *b)
{
    return b && b->len > PAYLOAD_INLINE;
}

bool is_too_big(const bytes *b)
{
    return b && b->len > PAYLOAD_MOST;
}

/* Stored once, however many executions and columns have it, and known to be this execution's for as long as that is
 * in the store: a column that no longer points to it is not followed. */
static int put_payload(writer *w, uint64_t execution, const bytes *b, digest *out)
{
    sqlite3_stmt *insert = writer_statement(w, W_PAYLOAD);
    sqlite3_stmt *use = writer_statement(w, W_USE);
    int rc;

    if (!insert || !use)
        return writer_error(w);
    if (digest_of(b->data, b->len, out) != 0)
        return SQLITE_NOMEM;
    sqlite3_bind_blob(insert, 1, out->b, sizeof out->b, SQLITE_STATIC);
    bind_bytes(insert, 2, b);
    rc = writer_change(w, insert, NULL);
    if (rc != SQLITE_OK)
        return rc;
    bind_key(use, 1, execution);
    sqlite3_bind_blob(use, 2, out->b, sizeof out->b, SQLITE_STATIC);
    return writer_change(w, use, NULL);
}

static int bind_payload(writer *w, sqlite3_stmt *st, int place, uint64_t execution, const bytes *b)
{
    digest d;
    int rc = put_payload(w, execution, b, &d);

    return rc == SQLITE_OK ? sqlite3_bind_blob(st, place, d.b, sizeof d.b, SQLITE_TRANSIENT) : rc;
}

int bind_value(writer *w, sqlite3_stmt *st, int place, uint64_t execution, const bytes *b,
               const char *nothing)
{
    if (is_big(b))
        return bind_payload(w, st, place, execution, b);
    if (b && nothing && b->len == strlen(nothing) && !memcmp(b->data, nothing, b->len))
        b = NULL;
    bind_bytes(st, place, b);
    return SQLITE_OK;
}

static void widen(writer *w, int64_t skew_ms)
{
    if (skew_ms > w->skew_ms)
        w->skew_ms = skew_ms;
}

void note_accept_time(writer *w, uint64_t key, int64_t accepted_ms)
{
    int64_t skew_ms = execution_key_ms(key) - accepted_ms;

    widen(w, skew_ms < 0 ? -skew_ms : skew_ms);
}

void note_end_time(writer *w, uint64_t key, int64_t ended_ms)
{
    widen(w, execution_key_ms(key) - ended_ms);
}
