/* The checkpointer: moves what was committed from the WAL into the database, beside the commits.
 *
 * A pass copies what is there while commits go on. It never quite catches up under load, and
 * only a WAL that is wholly copied is written anew from its start; so, once the WAL has grown,
 * the rest is copied between two batches: by then it is little. The WAL's file thus stays at one
 * size and is overwritten, which makes the commits' syncs cheaper than growing a file would. A
 * reader in the middle of an old snapshot (ours are short, a person's need not be) can prevent
 * that for a time. */
#include "store/sqlite/sqlite_impl.h"

#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#define PASS_FRAMES      512   /* 2 MiB */
#define RESTART_FRAMES   2048  /* 8 MiB */
#define TRUNCATE_FRAMES  16384 /* 64 MiB: also give the space back, and wait longer for readers */
#define RESTART_WAIT_NS  (20 * 1000000LL)
#define TRUNCATE_WAIT_NS (200 * 1000000LL)
#define READER_POLL_NS   100000

/* Waits for readers of the old WAL, which tell nobody when they end. */
static int wait_for_readers(void *until_ns, int count)
{
    struct timespec pause = {0, READER_POLL_NS};

    (void)count;
    if (clock_monotonic_ns() >= *(const int64_t *)until_ns)
        return 0;
    nanosleep(&pause, NULL);
    return 1;
}

/* Under wal.lock. SQLite result code. */
static int checkpoint_wal(sqlite_store *s, int mode, int64_t wait_ns, int *frames, int *copied)
{
    int64_t until_ns = clock_monotonic_ns() + wait_ns;
    conn *c = &s->wal.conn;
    int rc = c->db ? SQLITE_OK : conn_open(s, CONN_CHECKPOINTER, c);

    if (rc == SQLITE_OK) {
        sqlite3_busy_handler(c->db, wait_for_readers, &until_ns);
        rc = sqlite3_wal_checkpoint_v2(c->db, "main", mode, frames, copied);
        sqlite3_busy_handler(c->db, NULL, NULL);
    }
    if (rc != SQLITE_OK && conn_trouble(c, rc) != TROUBLE_BUSY) {
        log_write(s->log, ORCH_LOG_ERROR, "store '%s': moving the WAL into the database: %s (%d)",
                  s->path, sqlite3_errstr(rc), rc);
        conn_close(c);
    }
    return rc;
}

static void pass(sqlite_store *s)
{
    int frames = 0, copied = 0, rc;

    pthread_mutex_lock(&s->wal.lock);
    rc = checkpoint_wal(s, SQLITE_CHECKPOINT_PASSIVE, 0, &frames, &copied);
    pthread_mutex_unlock(&s->wal.lock);
    pthread_mutex_lock(&s->lock);
    s->wal.next_pass = s->wal.frames + PASS_FRAMES;
    if (rc == SQLITE_OK && frames == copied && s->wal.frames <= frames)
        wal_begin(s, 0); /* all of it: the next commit begins anew */
    pthread_mutex_unlock(&s->lock);
}

/* With the commits held up. */
static void restart(sqlite_store *s, int frames)
{
    bool truncate = frames >= TRUNCATE_FRAMES;
    int all = 0, copied = 0, rc;

    writer_claim(s);
    pthread_mutex_lock(&s->wal.lock);
    rc = checkpoint_wal(s, truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_RESTART,
                        truncate ? TRUNCATE_WAIT_NS : RESTART_WAIT_NS, &all, &copied);
    pthread_mutex_unlock(&s->wal.lock);
    pthread_mutex_lock(&s->lock);
    if (rc == SQLITE_OK)
        frames = s->wal.frames = 0;
    /* A reader is in the way: not again before it has grown by as much. */
    s->wal.next_pass = frames + PASS_FRAMES;
    s->wal.next_restart = frames + RESTART_FRAMES;
    pthread_mutex_unlock(&s->lock);
    writer_release(s);
}

void wal_begin(sqlite_store *s, int frames)
{
    s->wal.frames = frames;
    s->wal.next_pass = PASS_FRAMES;
    s->wal.next_restart = RESTART_FRAMES;
}

void wal_grew(sqlite_store *s, int frames)
{
    if (frames < s->wal.frames)
        wal_begin(s, frames);
    s->wal.frames = frames;
    if (frames >= s->wal.next_pass)
        pthread_cond_signal(&s->wal.work);
}

void *wal_main(void *arg)
{
    sqlite_store *s = arg;
    int frames;

    pthread_mutex_lock(&s->lock);
    while (!s->quitting) {
        if (s->wal.frames < s->wal.next_pass) {
            pthread_cond_wait(&s->wal.work, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        pass(s);
        pthread_mutex_lock(&s->lock);
        frames = s->wal.frames;
        if (frames >= s->wal.next_restart && !s->quitting) {
            pthread_mutex_unlock(&s->lock);
            restart(s, frames);
            pthread_mutex_lock(&s->lock);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
