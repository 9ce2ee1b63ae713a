#include "bench/floor.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* As in lib/store/sqlite/wal.c. */
#define PASS_FRAMES    512
#define RESTART_FRAMES 2048

enum { BEGIN, COMMIT, ACCEPT, APPEND, UPDATE, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ACCEPT] =
        "INSERT INTO execution(key, definition, run, state, paused, accepted_ms, deadline_ms,"
        " wake_ms, ended_ms, inbox_seq) VALUES(?1, 1, 1, 1, 0, ?2, 0, 0, 0, 0)",
    [APPEND] = "INSERT INTO checkpoint(execution, run, seq, step, attempt, kind, started_ms,"
               " ended_ms, due_ms) VALUES(?1, 1, ?2, ?3, 1, 5, ?4, ?4, 0)",
    [UPDATE] = "UPDATE execution SET state = 3, ended_ms = ?2 WHERE key = ?1",
};

struct floor_loop {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    char *path;
    uint64_t last_ms, sequence; /* of the last key */
    pthread_t thread;           /* moves the WAL into the database, beside the commits */
    pthread_mutex_t lock;       /* guards the rest */
    pthread_cond_t changed;
    int frames, next_pass;
    bool hold; /* the WAL is being copied to its end: nothing is committed */
    bool held;
    bool ended;
};

/* An execution in flight. */
typedef struct flight {
    uint64_t key;
    uint32_t done; /* checkpoints */
    bool accepted;
    int64_t from_ns;
} flight;

static void check(floor_loop *f, int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return;
    fprintf(stderr, "floor: %s\n", sqlite3_errmsg(f->db));
    exit(1);
}

static sqlite3 *open_database(const char *path)
{
    sqlite3 *db;

    if (sqlite3_open(path, &db) ||
        sqlite3_exec(db,
                     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8192;"
                     "PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=0",
                     NULL, NULL, NULL))
        bench_fail(sqlite3_errmsg(db), NULL);
    return db;
}

/* ---- the WAL -------------------------------------------------------------------------------------------- */

static int count_frames(void *ctx, sqlite3 *db, const char *name, int frames)
{
    floor_loop *f = ctx;

    (void)db;
    (void)name;
    pthread_mutex_lock(&f->lock);
    if (frames < f->frames)
        f->next_pass = PASS_FRAMES;
    f->frames = frames;
    if (frames >= f->next_pass)
        pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    return SQLITE_OK;
}

static void restart(floor_loop *f, sqlite3 *db)
{
    f->hold = true;
    while (!f->held && !f->ended)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
    sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    pthread_mutex_lock(&f->lock);
    f->hold = false;
    f->frames = 0;
    pthread_cond_broadcast(&f->changed);
}

static void *checkpointer(void *arg)
{
    floor_loop *f = arg;
    sqlite3 *db = open_database(f->path);

    pthread_mutex_lock(&f->lock);
    while (!f->ended) {
        if (f->frames < f->next_pass) {
            pthread_cond_wait(&f->changed, &f->lock);
            continue;
        }
        pthread_mutex_unlock(&f->lock);
        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        pthread_mutex_lock(&f->lock);
        if (f->frames >= RESTART_FRAMES)
            restart(f, db);
        f->next_pass = f->frames + PASS_FRAMES;
    }
    pthread_mutex_unlock(&f->lock);
    sqlite3_close(db);
    return NULL;
}

static void let_restart(floor_loop *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->hold) {
        f->held = true;
        pthread_cond_broadcast(&f->changed);
        while (f->hold)
            pthread_cond_wait(&f->changed, &f->lock);
        f->held = false;
    }
    pthread_mutex_unlock(&f->lock);
}

floor_loop *floor_open(const char *path)
{
    floor_loop *f = calloc(1, sizeof *f);

    if (!f)
        bench_fail("the floor", NULL);
    f->db = open_database(path);
    f->path = strdup(path);
    for (int i = 0; i < STATEMENTS; i++)
        check(f, sqlite3_prepare_v3(f->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &f->statements[i], NULL));
    f->next_pass = PASS_FRAMES;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    sqlite3_wal_hook(f->db, count_frames, f);
    if (pthread_create(&f->thread, NULL, checkpointer, f))
        bench_fail("a thread", NULL);
    return f;
}

void floor_close(floor_loop *f)
{
    pthread_mutex_lock(&f->lock);
    f->ended = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(f->statements[i]);
    sqlite3_close(f->db);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f->path);
    free(f);
}

/* ---- rows ----------------------------------------------------------------------------------------------- */

static void run(floor_loop *f, int n)
{
    check(f, sqlite3_step(f->statements[n]));
    check(f, sqlite3_reset(f->statements[n]));
}

static int64_t wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* As ours: time, shard, sequence. */
static uint64_t next_key(floor_loop *f, uint64_t now_ms)
{
    if (now_ms > f->last_ms || f->sequence >> 15) {
        f->last_ms = now_ms > f->last_ms ? now_ms : f->last_ms + 1;
        f->sequence = 0;
    }
    return f->last_ms << 21 | (f->last_ms & 63) << 15 | f->sequence++;
}

static void accept(floor_loop *f, flight *x, int64_t now_ms)
{
    x->key = next_key(f, (uint64_t)now_ms);
    x->accepted = true;
    sqlite3_bind_int64(f->statements[ACCEPT], 1, (sqlite3_int64)x->key);
    sqlite3_bind_int64(f->statements[ACCEPT], 2, now_ms);
    run(f, ACCEPT);
}

static void append(floor_loop *f, flight *x, int64_t now_ms)
{
    sqlite3_stmt *st = f->statements[APPEND];

    sqlite3_bind_int64(st, 1, (sqlite3_int64)x->key);
    sqlite3_bind_int64(st, 2, x->done + 1);
    sqlite3_bind_int64(st, 3, x->done);
    sqlite3_bind_int64(st, 4, now_ms);
    run(f, APPEND);
    x->done++;
}

static void write_next(floor_loop *f, const load *l, flight *x, int64_t now_ms)
{
    if (!x->accepted) {
        accept(f, x, now_ms);
        return;
    }
    do
        append(f, x, now_ms);
    while (!l->in_a_row && x->done < l->steps);
    if (x->done < l->steps)
        return;
    sqlite3_bind_int64(f->statements[UPDATE], 1, (sqlite3_int64)x->key);
    sqlite3_bind_int64(f->statements[UPDATE], 2, now_ms);
    run(f, UPDATE);
}

/* ---- the loop ------------------------------------------------------------------------------------------- */

/* Those that ended make room for new ones, or leave. */
static uint32_t turn_over(const load *l, flight *all, uint32_t count, bool more, totals *t)
{
    int64_t now_ns = bench_now_ns();
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        flight *x = &all[i];

        if (x->accepted && x->done == l->steps) {
            bench_add(&t->latencies_ms, (double)(now_ns - x->from_ns) / 1e6);
            t->executions++;
            if (!more)
                continue;
            *x = (flight){.from_ns = now_ns};
        }
        all[kept++] = *x;
    }
    return kept;
}

void floor_run(floor_loop *f, const load *l, double seconds, totals *t)
{
    flight *all = calloc(l->in_flight, sizeof *all);
    int64_t from_ns = bench_now_ns();
    int64_t until_ns = from_ns + (int64_t)(seconds * 1e9);
    uint32_t count = l->in_flight;

    if (!all)
        bench_fail("the floor", NULL);
    for (uint32_t i = 0; i < count; i++)
        all[i].from_ns = from_ns;
    while (count) {
        int64_t now_ms = wall_ms();

        let_restart(f);
        run(f, BEGIN);
        for (uint32_t i = 0; i < count; i++)
            write_next(f, l, &all[i], now_ms);
        run(f, COMMIT);
        count = turn_over(l, all, count, bench_now_ns() < until_ns, t);
    }
    t->ns += bench_now_ns() - from_ns;
    free(all);
}

/* ---- raw inserts ---------------------------------------------------------------------------------------- */

double floor_raw_inserts(const char *path, uint32_t bytes, uint32_t a_commit, double seconds)
{
    floor_loop f = {.db = open_database(path)};
    int64_t from_ns = bench_now_ns();
    int64_t until_ns = from_ns + (int64_t)(seconds * 1e9);
    sqlite3_stmt *insert;
    uint64_t rows = 0;

    check(&f, sqlite3_exec(f.db,
                           "PRAGMA wal_autocheckpoint=2048;"
                           "CREATE TABLE IF NOT EXISTS raw(key INTEGER PRIMARY KEY, row BLOB)",
                           NULL, NULL, NULL));
    check(&f,
          sqlite3_prepare_v2(f.db, "INSERT INTO raw(row) VALUES(zeroblob(?1))", -1, &insert, NULL));
    sqlite3_bind_int64(insert, 1, bytes);
    from_ns = bench_now_ns();
    while (bench_now_ns() < until_ns) {
        check(&f, sqlite3_exec(f.db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        for (uint32_t i = 0; i < a_commit; i++, rows++) {
            check(&f, sqlite3_step(insert));
            sqlite3_reset(insert);
        }
        check(&f, sqlite3_exec(f.db, "COMMIT", NULL, NULL, NULL));
    }
    seconds = (double)(bench_now_ns() - from_ns) / 1e9;
    sqlite3_finalize(insert);
    sqlite3_close(f.db);
    return (double)rows / seconds;
}
