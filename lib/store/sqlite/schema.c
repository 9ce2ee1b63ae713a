/* The schema: a table of steps from each version to the next. A step that was released never
 * changes. */
#include "store/sqlite/sqlite_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define TEXT_OF(number)  TEXT_OF_(number)
#define TEXT_OF_(number) #number

/* SQL reads as SQL here: clang-format would break it where a string ends. */
/* clang-format off */

/* For people who look with the sqlite3 program: times, states and ids as text. */
#define TIME(column) \
    "CASE WHEN " column " THEN strftime('%Y-%m-%dT%H:%M:%fZ', " column " / 1000.0, 'unixepoch') END"
#define DIGIT(row, shift) \
    "substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + (" row ".key >> " #shift " & 31), 1)"
#define ID(row) \
    "coalesce(" row ".id, " DIGIT(row, 60) "||" DIGIT(row, 55) "||" DIGIT(row, 50) "||" \
    DIGIT(row, 45) "||" DIGIT(row, 40) "||" DIGIT(row, 35) "||" DIGIT(row, 30) "||" \
    DIGIT(row, 25) "||" DIGIT(row, 20) "||" DIGIT(row, 15) "||" DIGIT(row, 10) "||" \
    DIGIT(row, 5) "||" DIGIT(row, 0) ")"
#define STATE(column) \
    "CASE " column " WHEN 1 THEN 'open' WHEN 2 THEN 'suspended' WHEN 3 THEN 'succeeded'" \
    "    WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled' WHEN 6 THEN 'timed_out' END"
/* Name of step `step` of definition d. */
#define STEP(step) "json_extract(d.text, '$.steps[' || " step " || '].id')"

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

    "CREATE VIEW executions AS SELECT " ID("e") " AS id, d.workflow, d.version, e.run,"
    "  " STATE("e.state") " AS state,"
    "  e.paused, " TIME("e.accepted_ms") " AS accepted, " TIME("e.ended_ms") " AS ended,"
    "  " TIME("e.wake_ms") " AS wake, " TIME("e.deadline_ms") " AS deadline,"
    "  coalesce(e.input, '{}') AS input, coalesce(e.output, 'null') AS output, e.error,"
    "  e.key, e.shard"
    "  FROM execution e LEFT JOIN definition d ON d.key = e.definition;"

    "CREATE VIEW history AS SELECT " ID("e") " AS id, c.run, c.seq,"
    "  " STEP("c.step") " AS step, c.idx AS item, c.attempt,"
    "  CASE c.kind WHEN 1 THEN 'decided' WHEN 2 THEN 'expanded' WHEN 3 THEN 'waiting'"
    "    WHEN 4 THEN 'retrying' WHEN 5 THEN 'succeeded' WHEN 6 THEN 'failed'"
    "    WHEN 7 THEN 'skipped' WHEN 8 THEN 'cancelled' END AS kind,"
    "  " TIME("c.started_ms") " AS started, " TIME("c.ended_ms") " AS ended,"
    "  " TIME("c.due_ms") " AS due, coalesce(c.output, 'null') AS output, c.error, e.key"
    "  FROM checkpoint c JOIN execution e ON e.key = c.execution"
    "  LEFT JOIN definition d ON d.key = e.definition;"

    "CREATE VIEW messages AS SELECT " ID("e") " AS id, i.seq,"
    "  CASE i.kind WHEN 1 THEN 'cancel' WHEN 2 THEN 'signal' WHEN 3 THEN 'child_ended'"
    "    WHEN 4 THEN 'pause' END AS kind, " TIME("i.at_ms") " AS at,"
    "  coalesce(i.payload, 'null') AS payload, e.key"
    "  FROM inbox i JOIN execution e ON e.key = i.execution;",

    /* 1 to 2 */
    "DROP VIEW executions; DROP VIEW history; DROP VIEW messages;"

    /* A clock that is set back parts the time in a key from the times in its row: by how much at
     * most. */
    "ALTER TABLE store ADD COLUMN skew_ms INTEGER NOT NULL DEFAULT 0;"
    "UPDATE store SET skew_ms = coalesce((SELECT max(max(abs((key >> 21) - accepted_ms),"
    "  CASE WHEN state > 2 THEN (key >> 21) - ended_ms ELSE 0 END)) FROM execution), 0);"

    /* What is in few rows is in tables of its own, and so is what would be an index over few rows:
     * each index of `execution` costs every change of every row. */
    "DROP INDEX execution_state; DROP INDEX execution_wake;"
    "ALTER TABLE execution DROP COLUMN shard;"
    "ALTER TABLE execution ADD COLUMN priority INTEGER;"
    "ALTER TABLE execution ADD COLUMN wake_inbox INTEGER;"

    /* What has something in its inbox can run; that was looked up in the inbox until now. */
    "UPDATE execution SET state = 1, wake_ms = 0"
    "  WHERE state = 2 AND EXISTS(SELECT 1 FROM inbox i WHERE i.execution = execution.key);"
    "CREATE INDEX execution_place ON execution(" PLACE ");"

    "CREATE TABLE origin("
    "  execution INTEGER PRIMARY KEY, parent INTEGER, parent_run INTEGER, parent_step INTEGER,"
    "  parent_idx INTEGER, parent_attempt INTEGER, depth INTEGER, abandoned INTEGER,"
    "  limit_key TEXT, affinity TEXT, attributes TEXT, start_key TEXT);"
    "CREATE INDEX origin_parent ON origin(parent) WHERE parent IS NOT NULL;"
    "CREATE INDEX origin_limit_key ON origin(limit_key) WHERE limit_key IS NOT NULL;"
    "CREATE INDEX origin_start_key ON origin(start_key) WHERE start_key IS NOT NULL;"

    "CREATE TABLE attribute("
    "  name TEXT NOT NULL, value TEXT NOT NULL, execution INTEGER NOT NULL,"
    "  PRIMARY KEY(name, value, execution)) WITHOUT ROWID;"

    "CREATE TABLE start_key("
    "  workflow TEXT NOT NULL, key TEXT NOT NULL, execution INTEGER NOT NULL,"
    "  expires_ms INTEGER NOT NULL, PRIMARY KEY(workflow, key)) WITHOUT ROWID;"
    "CREATE INDEX start_key_execution ON start_key(execution);"

    "CREATE TABLE listed("
    "  list INTEGER NOT NULL, definition INTEGER NOT NULL, execution INTEGER NOT NULL,"
    "  PRIMARY KEY(list, definition, execution)) WITHOUT ROWID;"
    "CREATE INDEX listed_execution ON listed(list, execution);"
    "INSERT INTO listed SELECT state, definition, key FROM execution WHERE state IN (2, 4, 5, 6);"
    "INSERT INTO listed SELECT 7, definition, key FROM execution WHERE paused;"

    "CREATE TABLE limited("
    "  limit_key TEXT NOT NULL, priority INTEGER NOT NULL, execution INTEGER NOT NULL,"
    "  PRIMARY KEY(limit_key, priority, execution)) WITHOUT ROWID;"

    "CREATE TABLE run("
    "  execution INTEGER NOT NULL, run INTEGER NOT NULL, state INTEGER NOT NULL,"
    "  ended_ms INTEGER NOT NULL, output TEXT, error TEXT, PRIMARY KEY(execution, run))"
    "  WITHOUT ROWID;"

    "CREATE TABLE control("
    "  execution INTEGER NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    "  action TEXT NOT NULL, who TEXT, why TEXT, detail TEXT, PRIMARY KEY(execution, seq))"
    "  WITHOUT ROWID;"

    "CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE payload(key INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, data TEXT NOT NULL);"
    "CREATE TABLE payload_use("
    "  execution INTEGER NOT NULL, payload INTEGER NOT NULL, PRIMARY KEY(execution, payload))"
    "  WITHOUT ROWID;"
    "CREATE INDEX payload_use_payload ON payload_use(payload);"

    "ALTER TABLE inbox ADD COLUMN state INTEGER;"
    "ALTER TABLE inbox ADD COLUMN step INTEGER;"
    "ALTER TABLE inbox ADD COLUMN idx INTEGER;"
    "ALTER TABLE inbox ADD COLUMN attempt INTEGER;"
    "ALTER TABLE inbox ADD COLUMN name TEXT;"
    "ALTER TABLE inbox ADD COLUMN correlation TEXT;"

    "CREATE VIEW executions AS SELECT " ID("e") " AS id, d.workflow, d.version, e.run,"
    "  " STATE("e.state") " AS state, e.paused, coalesce(e.priority, 5) AS priority,"
    "  " TIME("e.accepted_ms") " AS accepted, " TIME("e.ended_ms") " AS ended,"
    "  " TIME("nullif(e.wake_ms, 9223372036854775807)") " AS wake,"
    "  " TIME("e.deadline_ms") " AS deadline,"
    "  coalesce(" VALUE("e.input") ", '{}') AS input,"
    "  coalesce(" VALUE("e.output") ", 'null') AS output, " VALUE("e.error") " AS error,"
    "  CASE WHEN p.key THEN " ID("p") " END AS parent, o.limit_key, o.start_key,"
    "  coalesce(o.attributes, '{}') AS attributes, e.key, e.key >> 15 & 63 AS shard"
    "  FROM execution e LEFT JOIN definition d ON d.key = e.definition"
    "  LEFT JOIN origin o ON o.execution = e.key LEFT JOIN execution p ON p.key = o.parent;"

    "CREATE VIEW runs AS SELECT " ID("e") " AS id, r.run, " STATE("r.state") " AS state,"
    "  " TIME("r.ended_ms") " AS ended, coalesce(" VALUE("r.output") ", 'null') AS output,"
    "  " VALUE("r.error") " AS error, e.key"
    "  FROM run r JOIN execution e ON e.key = r.execution;"

    "CREATE VIEW history AS SELECT " ID("e") " AS id, c.run, c.seq,"
    "  " STEP("c.step") " AS step, c.idx AS item, c.attempt,"
    "  CASE c.kind WHEN 1 THEN 'decided' WHEN 2 THEN 'expanded' WHEN 3 THEN 'waiting'"
    "    WHEN 4 THEN 'retrying' WHEN 5 THEN 'succeeded' WHEN 6 THEN 'failed'"
    "    WHEN 7 THEN 'skipped' WHEN 8 THEN 'cancelled' WHEN 9 THEN 'child'"
    "    WHEN 10 THEN 'heartbeat' WHEN 11 THEN 'closing' WHEN 12 THEN 'undo_retrying'"
    "    WHEN 13 THEN 'undone' WHEN 14 THEN 'undo_failed' WHEN 15 THEN 'handler_retrying'"
    "    WHEN 16 THEN 'handled' WHEN 17 THEN 'handler_failed' END AS kind,"
    "  " TIME("c.started_ms") " AS started, " TIME("c.ended_ms") " AS ended,"
    "  " TIME("c.due_ms") " AS due, coalesce(" VALUE("c.output") ", 'null') AS output,"
    "  " VALUE("c.error") " AS error, e.key"
    "  FROM checkpoint c JOIN execution e ON e.key = c.execution"
    "  LEFT JOIN definition d ON d.key = e.definition;"

    "CREATE VIEW messages AS SELECT " ID("e") " AS id, i.seq,"
    "  CASE i.kind WHEN 1 THEN 'cancel' WHEN 2 THEN 'signal' WHEN 3 THEN 'child_ended'"
    "    WHEN 4 THEN 'wake' END AS kind, " TIME("i.at_ms") " AS at, i.name,"
    "  " VALUE("i.correlation") " AS correlation,"
    "  CASE i.kind WHEN 3 THEN " STEP("coalesce(i.step, 0)") " END AS step,"
    "  CASE i.kind WHEN 3 THEN nullif(coalesce(i.idx, 0), 4294967295) END AS item,"
    "  CASE i.kind WHEN 3 THEN coalesce(i.attempt, 0) END AS attempt,"
    "  CASE i.kind WHEN 3 THEN " STATE("i.state") " END AS state,"
    "  coalesce(" VALUE("i.payload") ", 'null') AS payload, e.key"
    "  FROM inbox i JOIN execution e ON e.key = i.execution"
    "  LEFT JOIN definition d ON d.key = e.definition;"

    "CREATE VIEW controls AS SELECT CASE WHEN e.key THEN " ID("e") " END AS id, c.seq,"
    "  " TIME("c.at_ms") " AS at, c.action, c.who, c.why, c.detail, e.key"
    "  FROM control c LEFT JOIN execution e ON e.key = c.execution;",

    /* 2 to 3 */
    "ALTER TABLE origin ADD COLUMN by_task INTEGER;",
};
/* clang-format on */

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
    if (version < 0)
        return error_set(
            err, ORCH_E_DATA_LOSS, s->path,
            "store '%s' has schema version %lld, which never was one: the file is damaged; "
            "it was not changed",
            s->path, (long long)version);
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
