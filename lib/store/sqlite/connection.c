#include "store/sqlite/sqlite_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define WRITER_CACHE_KIB 8192
#define READER_CACHE_KIB 1024
#define BUSY_MS          1000

static int configure(const sqlite_store *s, enum conn_kind kind, conn *c)
{
    char sql[160];

    sqlite3_extended_result_codes(c->db, 1);
    /* Closing must not write: after an I/O error the WAL is evidence. A clean stop says
     * otherwise. */
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_wal_autocheckpoint(c->db, 0);
    sqlite3_busy_timeout(c->db, BUSY_MS);
    if (kind == CONN_READER) {
        snprintf(sql, sizeof sql, "PRAGMA cache_size=-%d", READER_CACHE_KIB);
    } else {
        /* Some builds zero what is deleted, which makes each update write more. */
        snprintf(sql, sizeof sql,
                 "PRAGMA cache_size=-%d; PRAGMA synchronous=%d; PRAGMA secure_delete=OFF",
                 WRITER_CACHE_KIB, (int)s->sync);
    }
    return conn_exec(c, sql);
}

/* Who reads from outside may be the first after a crash, and have the file for itself until it has recovered it. Later on the
 * store waits in its own way. */
static int first_look(conn *c)
{
    int rc = conn_exec(c, "SELECT count(*) FROM sqlite_schema");

    sqlite3_busy_timeout(c->db, 0);
    return rc;
}

int conn_open(const sqlite_store *s, enum conn_kind kind, conn *c)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int rc;

    memset(c, 0, sizeof *c);
    flags |= kind == CONN_READER ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    rc = sqlite3_open_v2(s->path, &c->db, flags, s->vfs);
    if (rc == SQLITE_OK)
        rc = configure(s, kind, c);
    if (rc == SQLITE_OK && kind != CONN_READER)
        rc = first_look(c);
    return rc;
}

void conn_close(conn *c)
{
    for (int i = 0; i < CONN_STATEMENTS; i++)
        sqlite3_finalize(c->statements[i]);
    sqlite3_close(c->db);
    memset(c, 0, sizeof *c);
}

int conn_exec(conn *c, const char *sql)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

int conn_number(conn *c, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);

    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        *out = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    rc = sqlite3_finalize(statement);
    return rc;
}

sqlite3_stmt *conn_statement(conn *c, const char *const *texts, int n)
{
    if (!c->statements[n])
        sqlite3_prepare_v3(c->db, texts[n], -1, SQLITE_PREPARE_PERSISTENT, &c->statements[n], NULL);
    return c->statements[n];
}

int conn_run(sqlite3_stmt *statement)
{
    while (sqlite3_step(statement) == SQLITE_ROW)
        ;
    return sqlite3_reset(statement); /* the error that step met, if it met one */
}

enum trouble conn_trouble(const conn *c, int rc)
{
    int error;

    switch (rc & 0xff) {
    case SQLITE_OK: return TROUBLE_NONE;
    case SQLITE_FULL: return TROUBLE_FULL;
    case SQLITE_NOMEM: return TROUBLE_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return TROUBLE_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return TROUBLE_CORRUPT;
    case SQLITE_IOERR:
        /* A quota says "full" in another way. The write that failed came before the batch was
         * whole. */
        error = c->db ? sqlite3_system_errno(c->db) : 0;
        return rc == SQLITE_IOERR_WRITE && error == EDQUOT ? TROUBLE_FULL : TROUBLE_IO;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT: return TROUBLE_IO;
    default: return TROUBLE_OTHER;
    }
}

int32_t conn_error(const sqlite_store *s, const conn *c, int rc, const char *what, orch_error **err)
{
    const char *why = c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc);

    switch (conn_trouble(c, rc)) {
    case TROUBLE_FULL:
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, s->path, "store is full: '%s'", s->path);
    case TROUBLE_MEMORY: return error_no_memory(err);
    case TROUBLE_CORRUPT:
        return error_set(err, ORCH_E_DATA_LOSS, s->path,
                         "store '%s' is damaged or not a SQLite database: %s: %s", s->path, what,
                         why);
    case TROUBLE_OTHER:
        return error_set(err, ORCH_E_INTERNAL, s->path, "store '%s': %s: %s (%d)", s->path, what,
                         why, rc);
    default:
        return error_set(err, ORCH_E_UNAVAILABLE, s->path, "store '%s': %s: %s (%d)", s->path, what,
                         why, rc);
    }
}

bytes *column_bytes(sqlite3_stmt *statement, int column, int *rc)
{
    int type = sqlite3_column_type(statement, column);
    const void *data;
    bytes *b;

    if (type == SQLITE_NULL)
        return NULL;
    if (type == SQLITE_BLOB) { /* a digest that VALUE has found nothing for */
        *rc = SQLITE_CORRUPT;
        return NULL;
    }
    data = sqlite3_column_blob(statement, column);
    b = bytes_new(data, (size_t)sqlite3_column_bytes(statement, column));
    if (!b)
        *rc = SQLITE_NOMEM;
    return b;
}

char *column_text(sqlite3_stmt *statement, int column, int *rc)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    char *copy;

    if (!text)
        return NULL;
    copy = mem_strdup(text);
    if (!copy)
        *rc = SQLITE_NOMEM;
    return copy;
}
