/* What read.c and list.c share: the readers' statements and rows. */
#ifndef STORE_SQLITE_READ_IMPL_H
#define STORE_SQLITE_READ_IMPL_H

#include "store/sqlite/sqlite_impl.h"

enum {
    R_BEGIN,
    R_DEFINITIONS,
    R_DEFINITION,
    R_BY_KEY,       /* an execution with payloads */
    R_BY_KEY_SHORT, /* and without */
    R_BY_ID,
    R_CHECKPOINTS,
    R_INBOX,
    R_NEXT_WAKE,
    R_COUNT_OPEN,
    R_RUNNABLE,
    R_DUE,
    R_VERSIONS_OF,
    R_VERSIONS,
    R_STATEMENTS
};

sqlite3_stmt *read_statement(reader *r, int n, int *rc); /* NULL and *rc on failure */
/* The row that a statement with the columns of R_BY_KEY stands on. False if there is no memory. */
bool read_execution(sqlite3_stmt *st, execution_row *out);
/* By key with R_BY_KEY or R_BY_KEY_SHORT. SQLITE_ROW; SQLITE_DONE if it is not there;
 * SQLITE_NOMEM; … */
int read_by_key(reader *r, int n, uint64_t key, execution_row *out);

#endif
