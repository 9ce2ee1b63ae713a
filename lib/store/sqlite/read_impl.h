/* What the files share that read: the readers' statements and rows. */
#ifndef STORE_SQLITE_READ_IMPL_H
#define STORE_SQLITE_READ_IMPL_H

#include "store/sqlite/sqlite_impl.h"

enum {
    R_BEGIN,
    R_DEFINITIONS,
    R_DEFINITION,
    R_VERSIONS_OF,
    R_VERSIONS,
    R_BY_KEY,       /* an execution with payloads */
    R_BY_KEY_SHORT, /* and without */
    R_BY_ID,
    R_CHECKPOINTS,
    R_INBOX,
    R_CONTROLS,
    R_RUNS,
    R_SETTINGS,
    R_SKEW,
    R_COUNT_OPEN,
    R_NEXT_WAKE,
    R_DUE, /* these three: ?4 is how many rows at most */
    R_RUNNABLE,
    R_RUNNABLE_LIMITED,
    R_NEWEST_ENDS,
    R_ENDS,
    R_ENDED_BETWEEN,
    R_STATEMENTS
};

sqlite3_stmt *read_statement(reader *r, int n, int *rc); /* NULL and *rc on failure */
int32_t read_failed(const sqlite_store *s, const reader *r, int rc, orch_error **err);
/* The number that a statement without parameters gives; `none` if it gives none or NULL. */
int32_t read_number(sqlite_store *s, int n, int64_t none, int64_t *out, orch_error **err);
/* By key with R_BY_KEY or R_BY_KEY_SHORT. SQLITE_ROW; SQLITE_DONE if it is not there;
 * SQLITE_NOMEM; … */
int read_by_key(reader *r, int n, uint64_t key, execution_row *out);
/* How many rows a page has at most, where that many were asked for (0 = not said). */
uint32_t page_limit(uint32_t limit);
/* Hand a page over, or clear it and set the error that rc is; gives the reader back. */
int32_t page_finish(sqlite_store *s, reader *r, int rc, execution_page *page, execution_page *out,
                    orch_error **err);

#define PAGE_ROWS 100   /* where the caller sets no limit */
#define PAGE_MOST 10000 /* rows a page has at most */

#endif
