#include "store/sqlite/sqlite.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/sqlite/sqlite_impl.h"

/* ---- the owner's thread ---------------------------------------------------------------------- */

static void sqlite_submit(void *self, store_unit *u)
{
    sqlite_store *s = self;

    units_push(&s->submitted, u);
}

static void sqlite_flush(void *self)
{
    sqlite_store *s = self;

    if (!s->submitted.first)
        return;
    pthread_mutex_lock(&s->lock);
    s->pending += s->submitted.count;
    units_append(&s->queue, &s->submitted);
    if (s->queue.count >= s->queue_wakes)
        pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

static store_unit *sqlite_reap(void *self)
{
    sqlite_store *s = self;
    store_unit *first;

    pthread_mutex_lock(&s->lock);
    first = s->done.first;
    s->done = (unit_list){0};
    pthread_mutex_unlock(&s->lock);
    return first;
}

static void sqlite_get_stats(void *self, store_stats *out)
{
    sqlite_store *s = self;

    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    out->queued = s->pending + s->done.count;
    pthread_mutex_unlock(&s->lock);
}

/* The term must not go back with power, whatever the mode: engines elsewhere have seen it. */
static int lease_synced(sqlite_store *s, const char *owner, uint64_t *out_term)
{
    int rc = conn_exec(&s->writer.conn, "PRAGMA synchronous=FULL");

    if (rc == SQLITE_OK)
        rc = writer_lease(&s->writer, owner, out_term);
    if (rc == SQLITE_OK && s->sync == STORE_SYNC_NORMAL)
        rc = conn_exec(&s->writer.conn, "PRAGMA synchronous=NORMAL");
    if (rc == SQLITE_OK && s->sync == STORE_SYNC_OFF)
        rc = conn_exec(&s->writer.conn, "PRAGMA synchronous=OFF");
    return rc;
}

static int32_t sqlite_lease(void *self, const char *owner, int64_t now_ms, uint64_t *out_term,
                            orch_error **err)
{
    sqlite_store *s = self;
    int32_t result = 0;
    uint64_t term = 0;
    int rc;

    (void)now_ms;
    writer_claim(s);
    rc = s->writer.suspect || s->writer.corrupt ? SQLITE_IOERR : lease_synced(s, owner, &term);
    if (rc == SQLITE_OK)
        *out_term = term;
    else
        result = conn_error(s, &s->writer.conn, rc, "taking the lease", err);
    if (conn_trouble(&s->writer.conn, rc) == TROUBLE_IO)
        s->writer.suspect = true;
    writer_release(s);
    return result;
}

/* ---- threads --------------------------------------------------------------------------------- */

static int start_threads(sqlite_store *s)
{
    sigset_t all, before;
    int rc;

    /* The host's signals are for the host's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&s->commit_thread, NULL, commit_main, s);
    if (rc == 0) {
        rc = pthread_create(&s->wal_thread, NULL, wal_main, s);
        s->threads = rc == 0;
        if (rc != 0) {
            pthread_mutex_lock(&s->lock);
            s->quitting = true;
            pthread_cond_broadcast(&s->work);
            pthread_mutex_unlock(&s->lock);
            pthread_join(s->commit_thread, NULL);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (s->threads) {
        pthread_setname_np(s->commit_thread, "orch-commit");
        pthread_setname_np(s->wal_thread, "orch-wal");
    }
    return rc;
}

static void quit_threads(sqlite_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->quitting = true;
    pthread_cond_broadcast(&s->work);
    pthread_cond_broadcast(&s->wal.work);
    pthread_mutex_unlock(&s->lock);
}

static void join_threads(sqlite_store *s)
{
    if (!s->threads)
        return;
    s->threads = false;
    pthread_join(s->commit_thread, NULL);
    pthread_join(s->wal_thread, NULL);
}

/* ---- stop ------------------------------------------------------------------------------------ */

/* False if the time ran out. */
static bool wait_for_commits(sqlite_store *s, int32_t timeout_ms, uint64_t *left)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&s->lock);
    while (s->pending && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&s->change, &s->lock, &until);
    *left = s->pending;
    pthread_mutex_unlock(&s->lock);
    return *left == 0;
}

/* The whole of the WAL into the database, so that the file stands alone; readers stay until
 * free. */
static void settle_file(sqlite_store *s)
{
    writer *w = &s->writer;
    int rc;

    if (w->suspect || w->corrupt || !w->conn.db)
        return;
    rc = writer_lease(w, NULL, NULL);
    if (rc != SQLITE_OK)
        log_write(s->log, ORCH_LOG_WARNING, "store '%s': giving up the lease: %s (%d)", s->path,
                  sqlite3_errstr(rc), rc);
    sqlite3_wal_checkpoint_v2(w->conn.db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

static int32_t sqlite_stop(void *self, int32_t timeout_ms, orch_error **err)
{
    sqlite_store *s = self;
    uint64_t left;

    if (!s->threads)
        return 0;
    sqlite_flush(s);
    if (!wait_for_commits(s, timeout_ms, &left)) {
        quit_threads(s); /* free waits for them */
        return error_set(err, ORCH_E_DEADLINE_EXCEEDED, s->path,
                         "store '%s': %llu units could not be committed within %d ms", s->path,
                         (unsigned long long)left, (int)timeout_ms);
    }
    quit_threads(s);
    join_threads(s);
    settle_file(s);
    return 0;
}

static void sqlite_give_up(void *self)
{
    sqlite_store *s = self;

    quit_threads(s);
    join_threads(s);
    pthread_mutex_lock(&s->lock);
    s->pending = 0;
    units_append(&s->queue, &s->submitted);
    for (store_unit *u = s->queue.first; u; u = u->next)
        u->result = ORCH_E_CANCELLED;
    units_append(&s->done, &s->queue);
    pthread_mutex_unlock(&s->lock);
}

static void sqlite_free(void *self)
{
    sqlite_store *s = self;

    if (!s)
        return;
    quit_threads(s);
    join_threads(s);
    readers_close(s);
    conn_close(&s->wal.conn);
    /* The last one out, if the disk is in order, takes the WAL with it. */
    if (s->opened && s->writer.conn.db && !s->writer.suspect && !s->writer.corrupt)
        sqlite3_db_config(s->writer.conn.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    conn_close(&s->writer.conn);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    pthread_cond_destroy(&s->readers.changed);
    pthread_mutex_destroy(&s->readers.lock);
    pthread_cond_destroy(&s->wal.work);
    pthread_mutex_destroy(&s->wal.lock);
    pthread_cond_destroy(&s->change);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->path);
    mem_free(s->vfs);
    mem_free(s);
}

/* ---- open ------------------------------------------------------------------------------------ */

static const store_ops sqlite_ops = {
    .size = sizeof(store_ops),
    .name = "sqlite",
    .submit = sqlite_submit,
    .flush = sqlite_flush,
    .reap = sqlite_reap,
    .marks = sqlite_marks,
    .lease = sqlite_lease,
    .load_definitions = sqlite_load_definitions,
    .load_execution = sqlite_load_execution,
    .list_executions = sqlite_list_executions,
    .load_checkpoints = sqlite_load_checkpoints,
    .load_inbox = sqlite_load_inbox,
    .load_runnable = sqlite_load_runnable,
    .load_due = sqlite_load_due,
    .next_wake = sqlite_next_wake,
    .load_controls = sqlite_load_controls,
    .load_runs = sqlite_load_runs,
    .load_settings = sqlite_load_settings,
    .load_expired = sqlite_load_expired,
    .count_open = sqlite_count_open,
    .get_stats = sqlite_get_stats,
    .backup = sqlite_backup,
    .stop = sqlite_stop,
    .free = sqlite_free,
    .give_up = sqlite_give_up,
};

static sqlite_store *new_store(const sqlite_options *o)
{
    sqlite_store *s = mem_zalloc(sizeof *s);
    pthread_condattr_t monotonic;

    if (!s)
        return NULL;
    s->lock_fd = -1;
    s->sync = o->sync;
    s->log = o->log;
    s->wake = o->wake;
    s->wake_ctx = o->wake_ctx;
    wal_begin(s, 0);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, &monotonic);
    pthread_cond_init(&s->change, &monotonic);
    pthread_mutex_init(&s->wal.lock, NULL);
    pthread_cond_init(&s->wal.work, NULL);
    pthread_mutex_init(&s->readers.lock, NULL);
    pthread_cond_init(&s->readers.changed, NULL);
    pthread_condattr_destroy(&monotonic);
    return s;
}

static int32_t open_file(sqlite_store *s, const sqlite_options *o, orch_error **err)
{
    int32_t result = file_resolve(o->path, &s->path, err);
    int rc;

    if (result == 0 && o->vfs && !sqlite3_vfs_find(o->vfs))
        result = error_set(err, ORCH_E_INVALID_ARGUMENT, "vfs",
                           "store '%s': there is no SQLite VFS '%s' in this process", s->path,
                           o->vfs);
    if (result == 0)
        result = file_lock(s->path, &s->lock_fd, err);
    if (result == 0)
        result = file_create(s->path, err);
    if (result != 0)
        return result;
    rc = file_settle_wal(s);
    if (rc == SQLITE_OK)
        rc = writer_open(s, &s->writer);
    if (rc != SQLITE_OK)
        return conn_error(s, &s->writer.conn, rc, "cannot be opened", err);
    result = schema_prepare(s, &s->writer.conn, err);
    if (result != 0)
        return result;
    s->opened = true;
    rc = writer_read_batch(&s->writer, &s->writer.batch);
    return rc == SQLITE_OK ? 0 : conn_error(s, &s->writer.conn, rc, "cannot be read", err);
}

int32_t sqlite_store_open(const sqlite_options *o, store *out, orch_error **err)
{
    sqlite_store *s = new_store(o);
    int32_t rc;

    if (!s)
        return error_no_memory(err);
    if (o->vfs)
        s->vfs = mem_strdup(o->vfs);
    rc = o->vfs && !s->vfs ? error_no_memory(err) : open_file(s, o, err);
    if (rc == 0 && start_threads(s) != 0)
        rc = error_set(err, ORCH_E_RESOURCE_EXHAUSTED, s->path,
                       "store '%s': its threads cannot be started", s->path);
    if (rc != 0) {
        sqlite_free(s);
        return rc;
    }
    *out = (store){&sqlite_ops, s};
    return 0;
}
