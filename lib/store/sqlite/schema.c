/* The schema: a table of steps from each version to the next. A step that was released never
 * changes. */
#include "store/sqlite/sqlite_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define TEXT_OF(number)  TEXT_OF_(number)
#define TEXT_OF_(number) #number

/* For people who look with the sqlite3 program: times, states and ids as text. */
/* clang-format off */
#define TIME(column)                                                                               \
    "CASE WHEN " column " THEN strftime('%Y-%m-%dT%H:%M:%fZ', " column " / 1000.0, 'unixepoch')"   \
    " END"
#define DIGIT(shift) "substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + (e.key >> " #shift " & 31), 1)"
#define ID                                                                                         \
    "coalesce(e.id, " DIGIT(60) "||" DIGIT(55) "||" DIGIT(50) "||" DIGIT(45) "||" DIGIT(40) "||"   \
    DIGIT(35) "||" DIGIT(30) "||" DIGIT(25) "||" DIGIT(20) "||" DIGIT(15) "||" DIGIT(10) "||"      \
    DIGIT(5) "||" DIGIT(0) ")"
/* clang-format on */

static const char *const migrations[SCHEMA_VERSION] = {
    /* 0 to 1 */
    "CREATE TABLE store("
    "  id INTEGER PRIMARY KEY, batch INTEGER NOT NULL, created_ms INTEGER NOT NULL);"
    "INSERT INTO store VALUES(1, 0, "
    "  CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER));"

    "CREATE TABLE shard_lease("
    "  shard INTEGER PRIMARY KEY, owner TEXT, term INTEGER NOT NULL, expiry_ms INTEGER);"
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < 64)"
    "  INSERT INTO shard_lease SELECT i, NULL, 0, NULL FROM n;"

    "CREATE TABLE definition("
    "  key INTEGER PRIMARY KEY, workflow TEXT NOT NULL, version TEXT NOT NULL,"
    "  digest BLOB NOT NULL, text TEXT, metadata TEXT, registered_ms INTEGER NOT NULL,"
    "  UNIQUE(workflow, version));"

    "CREATE TABLE execution("
    "  key INTEGER PRIMARY KEY, id TEXT, definition INTEGER NOT NULL, run INTEGER NOT NULL,"
    "  state INTEGER NOT NULL, paused INTEGER NOT NULL, accepted_ms INTEGER NOT NULL,"
    "  deadline_ms INTEGER NOT NULL, wake_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
    "  inbox_seq INTEGER NOT NULL, input TEXT, output TEXT, error TEXT,"
    "  shard INTEGER GENERATED ALWAYS AS (key >> 15 & 63) VIRTUAL);"
    "CREATE UNIQUE INDEX execution_id ON execution(id) WHERE id IS NOT NULL;"
    "CREATE INDEX execution_definition ON execution(definition);"
    "CREATE INDEX execution_state ON execution(state) WHERE state <> 3;"
    "CREATE INDEX execution_wake ON execution(wake_ms) WHERE state = 2;"

    "CREATE TABLE checkpoint("
    "  execution INTEGER NOT NULL, run INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "  step INTEGER NOT NULL, idx INTEGER, attempt INTEGER NOT NULL, kind INTEGER NOT NULL,"
    "  started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL,"
    "  output TEXT, error TEXT, PRIMARY KEY(execution, run, seq)) WITHOUT ROWID;"

    "CREATE TABLE inbox("
    "  execution INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL,"
    "  at_ms INTEGER NOT NULL, payload TEXT, PRIMARY KEY(execution, seq)) WITHOUT ROWID;"

    "CREATE VIEW executions AS SELECT " ID " AS id, d.workflow, d.version, e.run,"
    "  CASE e.state WHEN 1 THEN 'open' WHEN 2 THEN 'suspended' WHEN 3 THEN 'succeeded'"
    "    WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled' WHEN 6 THEN 'timed_out' END AS state,"
    "  e.paused, " TIME("e.accepted_ms") " AS accepted, " TIME(
        "e.ended_ms") " AS ended,"
                      "  " TIME("e.wake_ms") " AS wake, " TIME(
                          "e.deadline_ms") " AS deadline,"
                                           "  coalesce(e.input, '{}') AS input, coalesce(e.output, "
                                           "'null') AS output, e.error,"
                                           "  e.key, e.shard"
                                           "  FROM execution e LEFT JOIN definition d ON d.key = "
                                           "e.definition;"

                                           "CREATE VIEW history AS SELECT " ID
                                           " AS id, c.run, c.seq,"
                                           "  json_extract(d.text, '$.steps[' || c.step || '].id') "
                                           "AS step, c.idx AS item, c.attempt,"
                                           "  CASE c.kind WHEN 1 THEN 'decided' WHEN 2 THEN "
                                           "'expanded' WHEN 3 THEN 'waiting'"
                                           "    WHEN 4 THEN 'retrying' WHEN 5 THEN 'succeeded' "
                                           "WHEN 6 THEN 'failed'"
                                           "    WHEN 7 THEN 'skipped' WHEN 8 THEN 'cancelled' END "
                                           "AS kind,"
                                           "  " TIME("c.started_ms") " AS started, " TIME(
                                               "c.ended_ms") " AS ended,"
                                                             "  " TIME(
                                                                 "c.due_ms") " AS due, "
                                                                             "coalesce(c.output, "
                                                                             "'null') AS output, "
                                                                             "c.error, e.key"
                                                                             "  FROM checkpoint c "
                                                                             "JOIN execution e ON "
                                                                             "e.key = c.execution"
                                                                             "  LEFT JOIN "
                                                                             "definition d ON "
                                                                             "d.key = e.definition;"

                                                                             "CREATE VIEW messages "
                                                                             "AS SELECT " ID
                                                                             " AS id, i.seq,"
                                                                             "  CASE i.kind WHEN 1 "
                                                                             "THEN 'cancel' WHEN 2 "
                                                                             "THEN 'signal' WHEN 3 "
                                                                             "THEN 'child_ended'"
                                                                             "    WHEN 4 THEN "
                                                                             "'pause' END AS "
                                                                             "kind, " TIME(
                                                                                 "i.at_ms") " AS "
                                                                                            "at,"
                                                                                            "  "
                                                                                            "coales"
                                                                                            "ce(i."
                                                                                            "payloa"
                                                                                            "d, "
                                                                                            "'null'"
                                                                                            ") AS "
                                                                                            "payloa"
                                                                                            "d, "
                                                                                            "e.key"
                                                                                            "  "
                                                                                            "FROM "
                                                                                            "inbox "
                                                                                            "i "
                                                                                            "JOIN "
                                                                                            "execut"
                                                                                            "ion e "
                                                                                            "ON "
                                                                                            "e.key "
                                                                                            "= "
                                                                                            "i."
                                                                                            "execut"
                                                                                            "ion;",
};

static int migrate(conn *c, int version)
{
    static const char done[] = "PRAGMA application_id=" TEXT_OF(
        APPLICATION_ID) ";"
                        "PRAGMA user_version=" TEXT_OF(SCHEMA_VERSION) ";"
                                                                       "COMMIT";
    int rc = conn_exec(c, "BEGIN IMMEDIATE");

    for (; rc == SQLITE_OK && version < SCHEMA_VERSION; version++)
        rc = conn_exec(c, migrations[version]);
    if (rc == SQLITE_OK)
        rc = conn_exec(c, done);
    return rc;
}

static int read_identity(conn *c, int64_t *application, int64_t *version, int64_t *tables)
{
    int rc = conn_number(c, "PRAGMA application_id", application);

    if (rc == SQLITE_OK)
        rc = conn_number(c, "PRAGMA user_version", version);
    if (rc == SQLITE_OK)
        rc = conn_number(c, "SELECT count(*) FROM sqlite_master", tables);
    return rc;
}

static int use_wal(conn *c, bool *ok)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode=WAL", -1, &statement, NULL);

    if (rc != SQLITE_OK)
        return rc;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(statement, 0);

        *ok = mode && !strcmp(mode, "wal");
    }
    return sqlite3_finalize(statement);
}

int32_t schema_prepare(const sqlite_store *s, conn *c, orch_error **err)
{
    int64_t application = 0, version = 0, tables = 0;
    bool is_wal = false;
    int rc = read_identity(c, &application, &version, &tables);

    if (rc != SQLITE_OK)
        return conn_error(s, c, rc, "cannot be read", err);
    if (application != APPLICATION_ID && (application || version || tables))
        return error_set(
            err, ORCH_E_DATA_LOSS, s->path,
            "'%s' is a SQLite database but not a store of this library (application id "
            "0x%08x, ours is 0x%08x); it was not changed",
            s->path, (unsigned)application, (unsigned)APPLICATION_ID);
    if (version > SCHEMA_VERSION)
        return error_set(err, ORCH_E_FAILED_PRECONDITION, s->path,
                         "store '%s' has schema version %lld, this library knows up to %d; use a "
                         "newer library",
                         s->path, (long long)version, SCHEMA_VERSION);
    rc = use_wal(c, &is_wal);
    if (rc != SQLITE_OK)
        return conn_error(s, c, rc, "cannot be switched to a write-ahead log", err);
    if (!is_wal)
        return error_set(err, ORCH_E_FAILED_PRECONDITION, s->path,
                         "store '%s' lies on a file system without what a write-ahead log needs "
                         "(shared memory); use a local disk",
                         s->path);
    if (version == SCHEMA_VERSION)
        return 0;
    rc = migrate(c, (int)version);
    return rc == SQLITE_OK ? 0 : conn_error(s, c, rc, "its schema cannot be made", err);
}
