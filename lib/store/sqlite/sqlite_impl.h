/* The SQLite adapter's insides.
 *
 * Who may touch what: the writer's connection belongs to whoever claimed it (writer_claim),
 * mostly the commit thread; the checkpointer's is guarded by wal.lock; a reader's belongs to the
 * thread that took it. Order of locks: the claim, wal.lock, readers.lock, sqlite_store.lock. */
#ifndef STORE_SQLITE_SQLITE_IMPL_H
#define STORE_SQLITE_SQLITE_IMPL_H

#include <pthread.h>
#include <sqlite3.h>

#include "store/sqlite/sqlite.h"

/* ---- connection.c ---------------------------------------------------------------------------- */

#define CONN_STATEMENTS 52

enum conn_kind { CONN_WRITER, CONN_CHECKPOINTER, CONN_READER };

typedef struct conn {
    sqlite3 *db;
    sqlite3_stmt *statements[CONN_STATEMENTS]; /* prepared on first use */
} conn;

/* What an SQLite result code means for a batch. */
enum trouble {
    TROUBLE_NONE,
    TROUBLE_FULL,    /* certainly not committed; wait for space */
    TROUBLE_MEMORY,  /* the same, for memory */
    TROUBLE_BUSY,    /* a foreign writer; again soon */
    TROUBLE_IO,      /* ambiguous: reopen and look */
    TROUBLE_CORRUPT, /* nothing can be done */
    TROUBLE_OTHER,   /* certainly not committed, and would not be the next time */
};

struct sqlite_store;

/* An SQLite result code. On failure c->db may be there for its message; conn_close ends it in
 * any case. */
int conn_open(const struct sqlite_store *s, enum conn_kind kind, conn *c);
void conn_close(conn *c);
int conn_exec(conn *c, const char *sql);
/* The first column of the first row; 0 if there is no row. */
int conn_number(conn *c, const char *sql, int64_t *out);
/* Statement `n` of a table of texts; NULL on failure (the code is sqlite3_extended_errcode's). */
sqlite3_stmt *conn_statement(conn *c, const char *const *texts, int n);
int conn_run(sqlite3_stmt *statement); /* step to the end, reset */
enum trouble conn_trouble(const conn *c, int rc);
/* Set an error from a result code: "store 'PATH': WHAT: …". */
int32_t conn_error(const struct sqlite_store *s, const conn *c, int rc, const char *what,
                   orch_error **err);
/* NULL for a NULL column; *rc is set to SQLITE_NOMEM, or to SQLITE_CORRUPT where the column points to a payload that is
 * not there. */
bytes *column_bytes(sqlite3_stmt *statement, int column, int *rc);
char *column_text(sqlite3_stmt *statement, int column, int *rc);

/* ---- file.c ---------------------------------------------------------------------------------- */

/* The real path of the database (mem_free): links followed, its folder must exist. */
int32_t file_resolve(const char *path, char **out, orch_error **err);
/* Takes "<path>-lock" for as long as *out_fd is open. UNAVAILABLE names the file and the owner's
 * process. */
int32_t file_lock(const char *path, int *out_fd, orch_error **err);
/* Creates the empty database, mode 0600, unless it is there. */
int32_t file_create(const char *path, orch_error **err);
/* After a failed sync the kernel may hold pages that it takes for written. Write the WAL over
 * itself and sync it, so that what is read back from it is on the disk. No connection may be
 * open. SQLite result code. */
int file_rewrite_wal(const struct sqlite_store *s);
/* The same for a WAL that a process left behind, which may have died of such a sync; not while
 * others have the file open. */
int file_settle_wal(const struct sqlite_store *s);

/* ---- schema.c -------------------------------------------------------------------------------- */

#define SCHEMA_VERSION 3
#define APPLICATION_ID 0x6f726368 /* "orch" */

/* Where an execution is in the index execution_place, which serves whoever looks for what can run, what wakes and what
 * has ended. Runnable: its priority, 0 to 9. Open and paused: from PLACE_PAUSED on. Ended: PLACE_ENDED plus when.
 * Suspended: below 0, and the closer to it the sooner it wakes; -1 = of itself never. The text is the index's: it never
 * changes. */
/* clang-format off */
#define PLACE \
    "CASE WHEN state > 2 THEN 20 + ended_ms WHEN state = 1 THEN 10 * paused + ifnull(priority, 5)" \
    " WHEN paused THEN -1 - deadline_ms ELSE -1 - wake_ms END"
/* clang-format on */
#define PLACE_PAUSED 10
#define PLACE_ENDED  20

/* Tables that a column with a payload may point into: values above PAYLOAD_INLINE bytes are stored once, and columns
 * hold their SHA-256 as a BLOB, where a value is TEXT. */
#define PAYLOAD_INLINE 32768
/* clang-format off */
#define VALUE(column) \
    "CASE typeof(" column ") WHEN 'blob' THEN coalesce(" \
    "(SELECT data FROM payload WHERE digest = " column "), " column ") ELSE " column " END"
/* clang-format on */

/* The lists of table `listed`: an execution is in that of its state, but for open and succeeded ones, and in that of
 * paused ones. */
#define LIST_PAUSED 7

/* Check that the file is ours, or new; switch it to WAL; bring the schema up to date. */
int32_t schema_prepare(const struct sqlite_store *s, conn *c, orch_error **err);

/* ---- apply.c: units in a transaction --------------------------------------------------------- */

typedef struct writer {
    conn conn;
    uint64_t batch;   /* number of the last batch that is known to be committed */
    uint64_t checked; /* bit n: terms[n] was read in this transaction */
    uint64_t terms[STORE_SHARDS];
    uint64_t rows;   /* changed in this transaction */
    int64_t sync_ns; /* what the last COMMIT took: writing and syncing */
    int64_t skew_ms; /* the most that one of its keys and one of its times differ by */
    int wal_frames;  /* in the WAL after the last commit */
    bool suspect;    /* an outcome is not known: to be reopened before it is used */
    bool corrupt;
} writer;

/* One transaction with all units from `first` on, each with its result set. SQLite result code;
 * after a failure nothing is committed, unless it is TROUBLE_IO. */
int writer_commit(writer *w, store_unit *first);
int writer_lease(writer *w, const char *owner, uint64_t *out_term); /* owner NULL: release */
int writer_read_batch(writer *w, uint64_t *out);

/* Opens w->conn; w->wal_frames follows each commit from then on. */
int writer_open(const struct sqlite_store *s, writer *w);

/* ---- wal.c: the checkpointer ----------------------------------------------------------------- */

typedef struct wal_state {
    pthread_mutex_t lock;
    conn conn;
    pthread_cond_t work; /* with sqlite_store.lock */
    int frames;          /* in the WAL; guarded by sqlite_store.lock, as are the rest */
    int next_pass;       /* at so many frames */
    int next_restart;
} wal_state;

/* ---- readers.c ------------------------------------------------------------------------------- */

#define READERS_MAX 4

typedef struct reader {
    conn conn;
    bool used;
} reader;

typedef struct readers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    reader all[READERS_MAX];
    bool closed; /* while the file is reopened */
} readers;

/* A connection for this thread, waiting while all are in use. UNAVAILABLE while the file is
 * being reopened. */
int32_t reader_take(struct sqlite_store *s, reader **out, orch_error **err);
/* Give it back; rc is the last result code: after an I/O error the connection is closed. */
void reader_give(struct sqlite_store *s, reader *r, int rc);
/* Interrupts reads and waits for them; none is opened until readers_reopen. */
void readers_close(struct sqlite_store *s);
void readers_reopen(struct sqlite_store *s);

/* ---- units.c --------------------------------------------------------------------------------- */

typedef struct unit_list {
    store_unit *first, *last;
    uint64_t count;
    uint64_t bytes; /* about what they write */
} unit_list;

void units_push(unit_list *l, store_unit *u);
void units_append(unit_list *l, unit_list *tail); /* tail is empty afterwards */
/* Moves the units that are refused on a full disk, new executions and definitions, to `out` with
 * that result. */
void units_take_new(unit_list *l, unit_list *out);
/* The first ones: at most so many, and bytes, but one in any case. */
void units_take(unit_list *l, uint64_t most, uint64_t most_bytes, unit_list *out);

/* ---- group.c: whether a batch waits for more; under sqlite_store.lock ------------------------ */

typedef struct group {
    uint64_t wanted;  /* units that the next batch waits for, ... */
    int64_t until_ns; /* ... until then, by the monotonic clock; 0 = not at all */
    uint32_t misses;  /* waits in a row that brought little */
    uint32_t pass;    /* batches that do not wait for that */
} group;

/* A batch of `done` units goes back while `queued` wait. */
void group_batch_done(group *g, uint64_t done, uint64_t queued, int64_t sync_ns);
/* By the commit thread, with something in the queue. True if it waited: then all is to be looked at
 * again. */
bool group_wait(struct sqlite_store *s);

/* ---- the store ------------------------------------------------------------------------------- */

/* In the order of ends. */
typedef struct ended_place {
    int64_t place; /* PLACE */
    int64_t key;
} ended_place;

typedef struct sqlite_store {
    char *path;
    char *vfs;
    enum store_sync sync;
    logger *log;
    void (*wake)(void *ctx);
    void *wake_ctx;
    int lock_fd;
    pthread_t commit_thread, wal_thread;
    bool threads; /* are running: the owner thread's */
    bool opened;  /* the file is ours */

    /* The owner thread's, until flush. */
    unit_list submitted;

    pthread_mutex_t lock;  /* guards the rest but for writer, wal and readers */
    pthread_cond_t work;   /* the commit thread waits: queue, claim, quitting */
    pthread_cond_t change; /* others wait: claim, pending */
    unit_list queue, done;
    uint64_t queue_wakes; /* the commit thread is woken only for a queue as long as this */
    group group;
    uint64_t pending; /* flushed, not done */
    bool claimed;
    unsigned claimants; /* waiting for the claim, before the commit thread */
    bool quitting;
    store_stats stats;
    ended_place expired_from; /* where load_expired goes on, behind those that have to stay */

    writer writer;
    wal_state wal;
    readers readers;
} sqlite_store;

/* ---- commit.c: the commit thread ------------------------------------------------------------- */

void *commit_main(void *arg); /* the sqlite_store */
void *wal_main(void *arg);    /* wal.c */
/* Under the lock: how many frames the WAL has, at first and after each commit. */
void wal_begin(sqlite_store *s, int frames);
void wal_grew(sqlite_store *s, int frames);
/* By any thread but the commit thread; waits for the batch in hand. */
void writer_claim(sqlite_store *s);
void writer_release(sqlite_store *s);

/* recover.c: reopens everything after an ambiguous failure. True if the batch after writer.batch
 * was committed. Tries until it succeeds; false with `quitting` or writer.corrupt set if that
 * cannot be. */
bool writer_recover(sqlite_store *s);
/* Waits, or until quitting. `refuse`: units that come meanwhile and are refused on a full disk
 * are given back. */
void commit_pause(sqlite_store *s, int64_t pause_ms, bool refuse);
bool commit_quitting(sqlite_store *s);

/* ---- read.c, pages.c, list.c, queue.c, backup.c: the slots of store_ops ---------------------------------------- */

int32_t sqlite_marks(void *self, uint64_t *out_execution_key, uint64_t *out_definition_key,
                     orch_error **err);
int32_t sqlite_load_definitions(void *self, uint64_t definition, bool with_texts,
                                definition_page *out, orch_error **err);
int32_t sqlite_load_execution(void *self, uint64_t key, const char *id, execution_row *out,
                              orch_error **err);
int32_t sqlite_list_executions(void *self, const execution_filter *f, execution_page *out,
                               orch_error **err);
int32_t sqlite_load_checkpoints(void *self, uint64_t key, uint32_t run, uint64_t after_seq,
                                uint32_t limit, checkpoint_page *out, orch_error **err);
int32_t sqlite_load_inbox(void *self, uint64_t key, inbox_page *out, orch_error **err);
int32_t sqlite_load_controls(void *self, uint64_t key, uint64_t after_seq, uint32_t limit,
                             control_page *out, orch_error **err);
int32_t sqlite_load_runs(void *self, uint64_t key, run_page *out, orch_error **err);
int32_t sqlite_load_settings(void *self, const char *prefix, setting_page *out, orch_error **err);
int32_t sqlite_load_expired(void *self, int64_t ended_before_ms, uint64_t keep, uint32_t limit,
                            uint64_t *out_keys, uint32_t *out_count, orch_error **err);
int32_t sqlite_load_runnable(void *self, uint8_t priority, const char *limit_key,
                             uint64_t after_key, uint32_t limit, execution_page *out,
                             orch_error **err);
int32_t sqlite_load_due(void *self, int64_t wake_by_ms, uint32_t limit, execution_page *out,
                        orch_error **err);
int32_t sqlite_next_wake(void *self, int64_t *out_ms, orch_error **err);
int32_t sqlite_count_open(void *self, uint64_t *out, orch_error **err);
int32_t sqlite_backup(void *self, const char *path, orch_error **err);

#endif
