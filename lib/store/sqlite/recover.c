/* After an I/O error nobody knows what is on the disk. All connections are closed, the WAL is
 * made durable as it now reads, the file is opened again, and the batch number in it says what
 * happened. */
#include "store/sqlite/sqlite_impl.h"

#include "base/log.h"

#define PAUSE_MS      20
#define PAUSE_MOST_MS 2000

static int count_frames(void *writer_, sqlite3 *db, const char *name, int frames)
{
    writer *w = writer_;

    (void)db;
    (void)name;
    w->wal_frames = frames;
    return SQLITE_OK;
}

int writer_open(const sqlite_store *s, writer *w)
{
    int rc = conn_open(s, CONN_WRITER, &w->conn);

    if (rc == SQLITE_OK)
        sqlite3_wal_hook(w->conn.db, count_frames, w);
    w->wal_frames = 0; /* not known before the next commit */
    return rc;
}

/* SQLite result code. */
static int reopen(sqlite_store *s, uint64_t *out_batch)
{
    int rc = file_rewrite_wal(s);

    if (rc == SQLITE_OK)
        rc = writer_open(s, &s->writer);
    if (rc == SQLITE_OK)
        rc = writer_read_batch(&s->writer, out_batch);
    if (rc != SQLITE_OK)
        conn_close(&s->writer.conn);
    return rc;
}

static bool settle(sqlite_store *s, uint64_t batch)
{
    writer *w = &s->writer;
    bool committed = batch == w->batch + 1;

    if (!committed && batch != w->batch) {
        log_write(s->log, ORCH_LOG_CRITICAL,
                  "store '%s' has batch %llu after an I/O error, expected %llu or the next: it was "
                  "changed from outside",
                  s->path, (unsigned long long)batch, (unsigned long long)w->batch);
        w->corrupt = true;
        return false;
    }
    w->batch = batch;
    w->suspect = false;
    log_write(s->log, ORCH_LOG_WARNING, "store '%s' was reopened; the batch in hand %s", s->path,
              committed ? "had been committed" : "had not been committed");
    return committed;
}

bool writer_recover(sqlite_store *s)
{
    writer *w = &s->writer;
    int64_t pause_ms = PAUSE_MS;
    bool committed = false;
    uint64_t batch = 0;

    w->suspect = true;
    conn_close(&w->conn);
    readers_close(s);
    pthread_mutex_lock(&s->wal.lock);
    conn_close(&s->wal.conn);
    while (!commit_quitting(s)) {
        int rc = reopen(s, &batch);

        if (rc == SQLITE_OK) {
            committed = settle(s, batch);
            break;
        }
        if (conn_trouble(&w->conn, rc) == TROUBLE_CORRUPT) {
            log_write(s->log, ORCH_LOG_CRITICAL, "store '%s' is damaged: %s (%d)", s->path,
                      sqlite3_errstr(rc), rc);
            w->corrupt = true;
            break;
        }
        commit_pause(s, pause_ms, false);
        pause_ms = pause_ms * 2 < PAUSE_MOST_MS ? pause_ms * 2 : PAUSE_MOST_MS;
    }
    pthread_mutex_unlock(&s->wal.lock);
    readers_reopen(s);
    return committed;
}
