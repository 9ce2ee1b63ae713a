/* The commit thread: takes all that waits, commits it as one batch, gives it back; commits at
 * once when idle, and nearly so when busy (group.c). */
#include "store/sqlite/sqlite_impl.h"

#include <errno.h>
#include <time.h>

#include "base/log.h"

/* Bounds a transaction, which is to fit into the page cache (connection.c), and the delay of its first unit. */
#define BATCH_MOST       16384               /* units */
#define BATCH_MOST_BYTES ((uint64_t)8 << 20) /* but a single unit may be larger */

#define FULL_PAUSE_MS      100
#define FULL_PAUSE_MOST_MS 1000
#define IO_PAUSE_MS        20
#define IO_PAUSE_MOST_MS   2000
#define BUSY_PAUSE_MS      1
#define BUSY_PAUSE_MOST_MS 50

/* ---- the claim on the writer ----------------------------------------------------------------- */

void writer_claim(sqlite_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->claimants++;
    while (s->claimed)
        pthread_cond_wait(&s->change, &s->lock);
    s->claimants--;
    s->claimed = true;
    pthread_mutex_unlock(&s->lock);
}

void writer_release(sqlite_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->claimed = false;
    pthread_cond_broadcast(&s->change);
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

bool commit_quitting(sqlite_store *s)
{
    bool quitting;

    pthread_mutex_lock(&s->lock);
    quitting = s->quitting;
    pthread_mutex_unlock(&s->lock);
    return quitting;
}

/* ---- giving back ----------------------------------------------------------------------------- */

/* Under the lock. True if reap had nothing, so that the owner is to be woken; it has not come
 * yet for what is older. */
static bool give_back(sqlite_store *s, unit_list *units)
{
    bool wake = units->first && !s->done.first;

    s->pending -= units->count;
    units_append(&s->done, units);
    if (s->pending == 0)
        pthread_cond_broadcast(&s->change);
    return wake;
}

static uint64_t frame_bytes(int before, int after)
{
    /* Fewer than before: the WAL was begun anew. */
    return (uint64_t)(after >= before ? after - before : after) * (4096 + 24);
}

static void batch_done(sqlite_store *s, unit_list *batch, int frames_before)
{
    bool wake;

    pthread_mutex_lock(&s->lock);
    s->stats.batches++;
    s->stats.units += batch->count;
    s->stats.rows += s->writer.rows;
    s->stats.bytes_written += frame_bytes(frames_before, s->writer.wal_frames);
    s->stats.disk_full = false;
    wal_grew(s, s->writer.wal_frames);
    group_batch_done(&s->group, batch->count, s->queue.count, s->writer.sync_ns);
    wake = give_back(s, batch);
    pthread_mutex_unlock(&s->lock);
    if (wake && s->wake)
        s->wake(s->wake_ctx);
}

static void batch_failed(sqlite_store *s, unit_list *batch, int32_t result)
{
    bool wake;

    for (store_unit *u = batch->first; u; u = u->next)
        u->result = result;
    pthread_mutex_lock(&s->lock);
    wake = give_back(s, batch);
    pthread_mutex_unlock(&s->lock);
    if (wake && s->wake)
        s->wake(s->wake_ctx);
}

/* What is new in `list`, or in the queue (NULL), is refused. Under the lock, which it leaves to
 * wake the owner. */
static void refuse_new(sqlite_store *s, unit_list *list)
{
    unit_list refused = {0};

    units_take_new(list ? list : &s->queue, &refused);
    if (give_back(s, &refused) && s->wake) {
        pthread_mutex_unlock(&s->lock);
        s->wake(s->wake_ctx);
        pthread_mutex_lock(&s->lock);
    }
}

static struct timespec time_after(int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

void commit_pause(sqlite_store *s, int64_t pause_ms, bool refuse)
{
    struct timespec until = time_after(pause_ms);
    int rc = 0;

    pthread_mutex_lock(&s->lock);
    while (!s->quitting && rc != ETIMEDOUT) {
        if (refuse)
            refuse_new(s, NULL);
        rc = pthread_cond_timedwait(&s->work, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- committing ------------------------------------------------------------------------------ */

static int64_t longer(int64_t pause_ms, int64_t first_ms, int64_t most_ms)
{
    if (pause_ms == 0)
        return first_ms;
    return pause_ms * 2 < most_ms ? pause_ms * 2 : most_ms;
}

static enum trouble try_batch(sqlite_store *s, const unit_list *batch, bool quiet)
{
    writer *w = &s->writer;
    enum trouble t;
    int rc;

    if (w->corrupt)
        return TROUBLE_CORRUPT;
    if (w->suspect)
        return TROUBLE_IO;
    rc = writer_commit(w, batch->first);
    t = conn_trouble(&w->conn, rc);
    if (t != TROUBLE_NONE && t != TROUBLE_BUSY && !quiet)
        log_write(s->log, ORCH_LOG_ERROR, "store '%s': a batch of %llu units: %s (%d)", s->path,
                  (unsigned long long)batch->count, sqlite3_errstr(rc), rc);
    return t;
}

/* Full disk, or no memory: what is new is refused, the rest waits. */
static void wait_for_room(sqlite_store *s, unit_list *batch, bool disk, int64_t pause_ms)
{
    pthread_mutex_lock(&s->lock);
    s->stats.disk_full |= disk;
    refuse_new(s, batch);
    s->wal.next_pass = 0; /* a WAL that is wholly in the database is written anew from its start */
    pthread_cond_signal(&s->wal.work);
    pthread_mutex_unlock(&s->lock);
    if (batch->first)
        commit_pause(s, pause_ms, true);
}

static void commit_batch(sqlite_store *s, unit_list *batch)
{
    int64_t pause_ms = 0;

    while (batch->first && !commit_quitting(s)) {
        int frames = s->writer.wal_frames;
        enum trouble t = try_batch(s, batch, pause_ms > 0);

        switch (t) {
        case TROUBLE_NONE: batch_done(s, batch, frames); break;
        case TROUBLE_CORRUPT:
            s->writer.corrupt = true;
            batch_failed(s, batch, ORCH_E_DATA_LOSS);
            break;
        case TROUBLE_OTHER: batch_failed(s, batch, ORCH_E_INTERNAL); break;
        case TROUBLE_FULL:
        case TROUBLE_MEMORY:
            pause_ms = longer(pause_ms, FULL_PAUSE_MS, FULL_PAUSE_MOST_MS);
            wait_for_room(s, batch, t == TROUBLE_FULL, pause_ms);
            break;
        case TROUBLE_BUSY:
            pause_ms = longer(pause_ms, BUSY_PAUSE_MS, BUSY_PAUSE_MOST_MS);
            commit_pause(s, pause_ms, false);
            break;
        case TROUBLE_IO:
            if (pause_ms)
                commit_pause(s, pause_ms, false);
            pause_ms = longer(pause_ms, IO_PAUSE_MS, IO_PAUSE_MOST_MS);
            if (writer_recover(s))
                batch_done(s, batch, s->writer.wal_frames);
            break;
        }
    }
}

static bool take_batch(sqlite_store *s, unit_list *out)
{
    bool got;

    pthread_mutex_lock(&s->lock);
    s->claimed = false;
    if (s->claimants)
        pthread_cond_broadcast(&s->change);
    do
        while (!s->quitting && (!s->queue.first || s->claimed || s->claimants))
            pthread_cond_wait(&s->work, &s->lock);
    while (!s->quitting && group_wait(s));
    got = !s->quitting;
    if (got) {
        s->claimed = true;
        units_take(&s->queue, BATCH_MOST, BATCH_MOST_BYTES, out);
    }
    pthread_mutex_unlock(&s->lock);
    return got;
}

void *commit_main(void *arg)
{
    sqlite_store *s = arg;
    unit_list batch = {0};

    while (take_batch(s, &batch))
        commit_batch(s, &batch);
    pthread_mutex_lock(&s->lock);
    units_append(&batch, &s->queue); /* it quits over it */
    s->queue = batch;
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
