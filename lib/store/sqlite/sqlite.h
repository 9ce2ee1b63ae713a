/* The store in one SQLite file: docs/store.md has its schema and files.
 *
 * Threads: one commits (writer.c), one moves what was committed from the WAL into the database
 * (wal.c); readers use connections of their own on the callers' threads (readers.c). Nothing of
 * SQLite's process-wide settings is touched: the host may use SQLite too. */
#ifndef STORE_SQLITE_SQLITE_H
#define STORE_SQLITE_SQLITE_H

#include "store/store.h"

/* What SQLite's `synchronous` is set to. FULL: a unit that came back survives power loss.
 * NORMAL: the newest may be lost with power, never with the process. OFF: power loss may damage
 * the file. */
enum store_sync { STORE_SYNC_OFF = 0, STORE_SYNC_NORMAL = 1, STORE_SYNC_FULL = 2 };

typedef struct sqlite_options {
    const char *path;
    const char *vfs; /* NULL = SQLite's default */
    enum store_sync sync;
    void (*wake)(void *ctx);
    void *wake_ctx;
    logger *log;
} sqlite_options;

int32_t sqlite_store_open(const sqlite_options *o, store *out, orch_error **err);

#endif
