/* A few read-only connections, opened when first needed. A read never waits for the writer, nor
 * the writer for it. */
#include "store/sqlite/sqlite_impl.h"

#include <string.h>

#include "base/error.h"

static int32_t closed_error(const sqlite_store *s, orch_error **err)
{
    return error_set(err, ORCH_E_UNAVAILABLE, s->path,
                     "store '%s' is being reopened after an I/O error; try again", s->path);
}

/* Under the lock: one that nobody uses, rather one that is open; NULL if all are in use. */
static reader *find_idle(readers *pool)
{
    reader *found = NULL;

    for (int i = 0; i < READERS_MAX; i++) {
        reader *r = &pool->all[i];

        if (!r->used && (!found || r->conn.db))
            found = r;
        if (found && found->conn.db)
            break;
    }
    return found;
}

static void set_idle(readers *pool, reader *r)
{
    r->used = false;
    pthread_cond_broadcast(&pool->changed);
}

static int32_t open_reader(sqlite_store *s, reader *r, orch_error **err)
{
    conn c;
    int rc = conn_open(s, CONN_READER, &c);
    int32_t result = 0;

    if (rc != SQLITE_OK) {
        result = conn_error(s, &c, rc, "cannot be opened for reading", err);
        conn_close(&c);
    }
    pthread_mutex_lock(&s->readers.lock);
    r->conn = c;
    if (result != 0)
        set_idle(&s->readers, r);
    pthread_mutex_unlock(&s->readers.lock);
    return result;
}

int32_t reader_take(sqlite_store *s, reader **out, orch_error **err)
{
    readers *pool = &s->readers;
    reader *r = NULL;
    bool open;

    pthread_mutex_lock(&pool->lock);
    while (!pool->closed && !(r = find_idle(pool)))
        pthread_cond_wait(&pool->changed, &pool->lock);
    if (pool->closed) {
        pthread_mutex_unlock(&pool->lock);
        return closed_error(s, err);
    }
    r->used = true;
    open = r->conn.db != NULL;
    pthread_mutex_unlock(&pool->lock);
    if (!open) {
        int32_t rc = open_reader(s, r, err);

        if (rc != 0)
            return rc;
    }
    *out = r;
    return 0;
}

void reader_give(sqlite_store *s, reader *r, int rc)
{
    readers *pool = &s->readers;
    bool broken = conn_trouble(&r->conn, rc) == TROUBLE_IO;
    conn gone = {0};

    if (!broken && !sqlite3_get_autocommit(r->conn.db)) {
        conn_exec(&r->conn, "ROLLBACK");
        /* There was no memory even for that: closing ends the transaction, which the next reader could not begin. */
        broken = !sqlite3_get_autocommit(r->conn.db);
    }
    pthread_mutex_lock(&pool->lock);
    if (broken) {
        gone = r->conn;
        memset(&r->conn, 0, sizeof r->conn);
    }
    /* Closed while it is still in use, for readers_close waits for that. */
    pthread_mutex_unlock(&pool->lock);
    conn_close(&gone);
    pthread_mutex_lock(&pool->lock);
    set_idle(pool, r);
    pthread_mutex_unlock(&pool->lock);
}

void readers_close(sqlite_store *s)
{
    readers *pool = &s->readers;

    pthread_mutex_lock(&pool->lock);
    pool->closed = true;
    pthread_cond_broadcast(&pool->changed);
    for (int i = 0; i < READERS_MAX; i++) {
        reader *r = &pool->all[i];

        while (r->used) {
            if (r->conn.db)
                sqlite3_interrupt(r->conn.db);
            pthread_cond_wait(&pool->changed, &pool->lock);
        }
        conn_close(&r->conn);
    }
    pthread_mutex_unlock(&pool->lock);
}

void readers_reopen(sqlite_store *s)
{
    pthread_mutex_lock(&s->readers.lock);
    s->readers.closed = false;
    pthread_mutex_unlock(&s->readers.lock);
}
