#include "support/store_tables.h"

#include <sqlite3.h>
#include <stddef.h>

/* Queries that find nothing while the tables agree. */
static const char *const contradictions[] = {
    "SELECT * FROM (SELECT state, definition, key FROM execution WHERE state IN (2, 4, 5, 6)"
    " UNION ALL SELECT 7, definition, key FROM execution WHERE paused)"
    " EXCEPT SELECT list, definition, execution FROM listed",
    "SELECT list, definition, execution FROM listed EXCEPT"
    " SELECT * FROM (SELECT state, definition, key FROM execution WHERE state IN (2, 4, 5, 6)"
    " UNION ALL SELECT 7, definition, key FROM execution WHERE paused)",
    "SELECT o.limit_key, ifnull(e.priority, 5), e.key FROM execution e JOIN origin o"
    " ON o.execution = e.key WHERE o.limit_key IS NOT NULL AND e.state = 1 AND NOT e.paused"
    " EXCEPT SELECT * FROM limited",
    "SELECT * FROM limited EXCEPT SELECT o.limit_key, ifnull(e.priority, 5), e.key"
    " FROM execution e JOIN origin o ON o.execution = e.key"
    " WHERE e.state = 1 AND NOT e.paused",
    "SELECT execution FROM origin WHERE execution NOT IN (SELECT key FROM execution)",
    "SELECT name, value, execution FROM attribute EXCEPT SELECT j.key, json_quote(j.value),"
    " o.execution FROM origin o, json_each(o.attributes) j WHERE j.type NOT IN ('true', 'false')"
    " EXCEPT SELECT 'b', 'true', execution FROM origin",
    "SELECT execution FROM start_key WHERE execution NOT IN (SELECT execution FROM origin)",
    "SELECT execution FROM run WHERE execution NOT IN (SELECT key FROM execution)",
    "SELECT execution FROM inbox WHERE execution NOT IN (SELECT key FROM execution)",
    "SELECT execution FROM checkpoint WHERE execution NOT IN (SELECT key FROM execution)",
    "SELECT execution FROM control WHERE execution NOT IN (SELECT key FROM execution)"
    " AND execution <> 0",
    "SELECT execution FROM payload_use WHERE execution NOT IN (SELECT key FROM execution)",
    "SELECT key FROM payload WHERE key NOT IN (SELECT payload FROM payload_use)",
    "SELECT payload FROM payload_use WHERE payload NOT IN (SELECT key FROM payload)",
    "SELECT key FROM execution WHERE typeof(input) = 'blob'"
    " AND input NOT IN (SELECT digest FROM payload)",
    "SELECT key FROM execution, store WHERE abs((key >> 21) - accepted_ms) > skew_ms"
    " OR (state > 2 AND (key >> 21) - ended_ms > skew_ms)",
};

/* Whether a query that must find nothing does. */
static int finds_nothing(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    sqlite3_finalize(st);
    return rc == SQLITE_DONE;
}

const char *store_contradiction(const char *path)
{
    const char *found = NULL;
    sqlite3 *db;

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        found = "the file cannot be opened";
    for (size_t i = 0; !found && i < sizeof contradictions / sizeof *contradictions; i++) {
        if (!finds_nothing(db, contradictions[i]))
            found = contradictions[i];
    }
    sqlite3_close(db);
    return found;
}
