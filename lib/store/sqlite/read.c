#include "store/sqlite/read_impl.h"

#include <string.h>

#include "base/error.h"

/* clang-format off */
#define EXECUTION_COLUMNS \
    "e.key, e.id, e.definition, e.run, e.state, e.paused, e.accepted_ms, e.deadline_ms, e.wake_ms," \
    " e.ended_ms, e.inbox_seq, ifnull(e.priority, 5), e.wake_inbox, o.parent, o.parent_run," \
    " o.parent_step, o.parent_idx, o.parent_attempt, o.depth, o.abandoned, o.limit_key, o.affinity," \
    " o.attributes, o.by_task, "
#define PAYLOADS VALUE("e.input") ", " VALUE("e.output") ", " VALUE("e.error")
#define EXECUTIONS " FROM execution e LEFT JOIN origin o ON o.execution = e.key"

static const char *const texts[] = {
    [R_BEGIN] = "BEGIN",
    [R_DEFINITIONS] = "SELECT key, workflow, version, digest, metadata, registered_ms,"
                      " CASE WHEN ?1 THEN text END FROM definition WHERE key > ?2 ORDER BY key"
                      " LIMIT ?3",
    [R_DEFINITION] = "SELECT key, workflow, version, digest, metadata, registered_ms,"
                     " CASE WHEN ?1 THEN text END FROM definition WHERE key = ?2 LIMIT ?3",
    [R_VERSIONS_OF] = "SELECT key FROM definition WHERE workflow = ?1"
                      " AND (?2 IS NULL OR version = ?2) ORDER BY key",
    [R_VERSIONS] = "SELECT key FROM definition WHERE version = ?2 ORDER BY key",
    [R_BY_KEY] = "SELECT " EXECUTION_COLUMNS PAYLOADS EXECUTIONS " WHERE e.key = ?1",
    [R_BY_KEY_SHORT] = "SELECT " EXECUTION_COLUMNS "NULL, NULL, NULL" EXECUTIONS
                       " WHERE e.key = ?1",
    [R_BY_ID] = "SELECT " EXECUTION_COLUMNS PAYLOADS EXECUTIONS " WHERE e.id = ?1",
    [R_CHECKPOINTS] = "SELECT c.seq, c.step, c.idx, c.attempt, c.kind, c.started_ms, c.ended_ms,"
                      " c.due_ms, " VALUE("c.output") ", " VALUE("c.error") " FROM checkpoint c"
                      " WHERE c.execution = ?1 AND c.run = ?2 AND c.seq > ?3"
                      " ORDER BY c.seq LIMIT ?4",
    [R_INBOX] = "SELECT i.seq, i.kind, i.state, i.step, i.idx, i.attempt, i.at_ms, i.name,"
                " " VALUE("i.correlation") ", " VALUE("i.payload") " FROM inbox i"
                " WHERE i.execution = ?1 AND i.seq > ?2 ORDER BY i.seq LIMIT ?3",
    [R_CONTROLS] = "SELECT seq, execution, at_ms, action, who, why, detail FROM control"
                   " WHERE execution = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    [R_RUNS] = "SELECT r.run, r.state, r.ended_ms, " VALUE("r.output") ", " VALUE("r.error")
               " FROM run r WHERE r.execution = ?1 AND r.run > ?2 ORDER BY r.run LIMIT ?3",
    [R_SETTINGS] = "SELECT name, value FROM setting WHERE name >= ?1 AND name < ?2 ORDER BY name",
    [R_SKEW] = "SELECT skew_ms FROM store WHERE id = 1",

    [R_COUNT_OPEN] = "SELECT count(*) FROM execution INDEXED BY execution_place"
                     " WHERE " PLACE " < 20",
    [R_NEXT_WAKE] = "SELECT -1 - (" PLACE ") FROM execution INDEXED BY execution_place"
                    " WHERE " PLACE " < -1 ORDER BY " PLACE " DESC LIMIT 1",
    [R_DUE] = "SELECT key FROM execution INDEXED BY execution_place"
              " WHERE " PLACE " BETWEEN -1 - ?1 AND -2 LIMIT ?4",
    [R_RUNNABLE] = "SELECT key FROM execution INDEXED BY execution_place"
                   " WHERE " PLACE " = ?1 AND key > ?2 ORDER BY key LIMIT ?4",
    [R_RUNNABLE_LIMITED] = "SELECT execution FROM limited WHERE priority = ?1 AND execution > ?2"
                           " AND limit_key = ?3 ORDER BY execution LIMIT ?4",
    [R_NEWEST_ENDS] = "SELECT " PLACE ", key FROM execution INDEXED BY execution_place"
                      " WHERE " PLACE " >= 20 ORDER BY " PLACE " DESC, key DESC LIMIT 1 OFFSET ?1",
    /* In order of their end; last: whether it has to stay, since its parent has not ended. */
    [R_ENDS] = "SELECT " PLACE ", key, EXISTS(SELECT 1 FROM origin o JOIN execution p ON p.key = o.parent"
               " WHERE o.execution = execution.key AND p.state < 3)"
               " FROM execution INDEXED BY execution_place"
               " WHERE " PLACE " BETWEEN ?1 AND ?3 AND (" PLACE " > ?1 OR key > ?2)"
               " AND (" PLACE " < ?3 OR key <= ?4)"
               " ORDER BY " PLACE ", key",
    [R_ENDED_BETWEEN] = "SELECT key FROM execution INDEXED BY execution_place"
                        " WHERE " PLACE " BETWEEN ?1 AND ?2",
};
/* clang-format on */

_Static_assert(sizeof texts / sizeof *texts == R_STATEMENTS, "each statement has a text");
_Static_assert(R_STATEMENTS <= CONN_STATEMENTS, "a connection has a place for each statement");

sqlite3_stmt *read_statement(reader *r, int n, int *rc)
{
    sqlite3_stmt *st = conn_statement(&r->conn, texts, n);

    if (!st)
        *rc = sqlite3_extended_errcode(r->conn.db);
    return st;
}

int32_t read_failed(const sqlite_store *s, const reader *r, int rc, orch_error **err)
{
    return conn_error(s, &r->conn, rc, "reading", err);
}

/* ---- one number ------------------------------------------------------------------------------ */

int32_t read_number(sqlite_store *s, int n, int64_t none, int64_t *out, orch_error **err)
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
    result = rc == SQLITE_OK ? 0 : read_failed(s, r, rc, err);
    reader_give(s, r, rc);
    return result;
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
        result = read_failed(s, r, rc, err);
    }
    reader_give(s, r, rc);
    return result;
}

/* ---- executions ------------------------------------------------------------------------------ */

/* Where it came from: mostly nowhere. */
static void read_origin(sqlite3_stmt *st, execution_row *out, int *rc)
{
    out->parent = (uint64_t)sqlite3_column_int64(st, 13);
    out->parent_run = (uint32_t)sqlite3_column_int64(st, 14);
    out->parent_step = (uint32_t)sqlite3_column_int64(st, 15);
    out->parent_index = (uint32_t)sqlite3_column_int64(st, 16);
    out->parent_attempt = (uint32_t)sqlite3_column_int64(st, 17);
    out->depth = (uint32_t)sqlite3_column_int64(st, 18);
    out->abandoned = sqlite3_column_int(st, 19) != 0;
    out->limit_key = column_text(st, 20, rc);
    out->affinity = column_text(st, 21, rc);
    out->attributes = column_bytes(st, 22, rc);
    out->by_task = sqlite3_column_int(st, 23) != 0;
}

/* The row that a statement with the columns of R_BY_KEY stands on. */
static int read_execution(sqlite3_stmt *st, execution_row *out)
{
    int rc = SQLITE_OK;

    memset(out, 0, sizeof *out);
    out->key = (uint64_t)sqlite3_column_int64(st, 0);
    out->id = column_text(st, 1, &rc);
    out->definition = (uint64_t)sqlite3_column_int64(st, 2);
    out->run = (uint32_t)sqlite3_column_int64(st, 3);
    out->state = (uint8_t)sqlite3_column_int(st, 4);
    out->paused = sqlite3_column_int(st, 5) != 0;
    out->accepted_ms = sqlite3_column_int64(st, 6);
    out->deadline_ms = sqlite3_column_int64(st, 7);
    out->wake_ms = sqlite3_column_int64(st, 8);
    out->ended_ms = sqlite3_column_int64(st, 9);
    out->inbox_seq = (uint64_t)sqlite3_column_int64(st, 10);
    out->priority = (uint8_t)sqlite3_column_int(st, 11);
    out->wake_inbox = (uint64_t)sqlite3_column_int64(st, 12);
    read_origin(st, out, &rc);
    out->input = column_bytes(st, 24, &rc);
    out->output = column_bytes(st, 25, &rc);
    out->error = column_bytes(st, 26, &rc);
    if (rc != SQLITE_OK)
        execution_row_clear(out);
    return rc;
}

/* The one row of a statement whose parameters are bound. */
static int read_one(sqlite3_stmt *st, execution_row *out)
{
    int rc = sqlite3_step(st);
    int read = rc == SQLITE_ROW ? read_execution(st, out) : SQLITE_OK;
    int error = sqlite3_reset(st);

    if (error != SQLITE_OK && read == SQLITE_OK && rc == SQLITE_ROW)
        execution_row_clear(out);
    if (error != SQLITE_OK)
        return error;
    return read != SQLITE_OK ? read : rc;
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
        result = read_failed(s, r, rc, err);
    reader_give(s, r, rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc);
    return result;
}
