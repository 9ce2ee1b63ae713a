/* What the files share that apply units: the writer's statements, and the row that operations are about. Everything
 * that returns int returns an SQLite result code; whether a unit's operation took place is in its `result`. */
#ifndef STORE_SQLITE_WRITE_IMPL_H
#define STORE_SQLITE_WRITE_IMPL_H

#include "store/attributes.h"
#include "store/sqlite/sqlite_impl.h"

enum {
    W_BEGIN,
    W_COMMIT,
    W_BATCH,
    W_TERM,
    W_BEFORE,
    W_ROW,
    W_DEFINE,
    W_DEFINED,
    W_ACCEPT,
    W_ACCEPT_ANY,
    W_TAKEN,
    W_ORIGIN,
    W_ATTRIBUTE,
    W_HOLDER,
    W_HOLD,
    W_APPEND,
    W_FINISH,
    W_UPDATE,
    W_KEEP_RUN,
    W_RUN,
    W_SET,
    W_PUT,
    W_WAKE,
    W_ITEM,
    W_FIRST_ITEM,
    W_COUNT_ITEMS,
    W_CONSUME,
    W_CONSUME_ONE,
    W_LIST,
    W_UNLIST,
    W_LIMIT,
    W_UNLIMIT,
    W_CONTROL,
    W_CONTROL_TRIM,
    W_SETTING,
    W_SETTING_GONE,
    W_PAYLOAD,
    W_USE,
    W_PURGE_ORIGIN, /* read, for what is filed under it */
    W_PURGE_ATTRIBUTE,
    W_PURGE_PAYLOAD, /* and so on, each for one table: ?1 is the execution */
    W_PURGE_USE,
    W_PURGE_START_KEY,
    W_PURGE_CHECKPOINT,
    W_PURGE_INBOX,
    W_PURGE_CONTROL,
    W_PURGE_RUN,
    W_PURGE_OWN,
    W_PURGE_EXECUTION,
    W_STATEMENTS
};

/* ---- write.c: statements and parameters ------------------------------------------------------------------ */

sqlite3_stmt *writer_statement(writer *w, int n); /* NULL on failure: the code is writer_error's */
int writer_error(const writer *w);
int writer_run(writer *w, int n); /* without parameters */
/* Step to the end, reset, count the rows that changed. `out_changed` may be NULL. */
int writer_change(writer *w, sqlite3_stmt *st, int *out_changed);

/* Bindings cannot fail: text without conversion, borrowed for the statement's run, its size checked before. */
void bind_key(sqlite3_stmt *st, int place, uint64_t value);
void bind_some(sqlite3_stmt *st, int place, uint64_t value); /* 0: NULL */
void bind_text(sqlite3_stmt *st, int place, const char *text);
void bind_bytes(sqlite3_stmt *st, int place, const bytes *b);
/* A value, or, where it is big, what stands for it; `nothing` is the text that NULL stands for. */
int bind_value(writer *w, sqlite3_stmt *st, int place, uint64_t execution, const bytes *b,
               const char *nothing);
bool is_big(const bytes *b);     /* it is stored beside the rows that have it */
bool is_too_big(const bytes *b); /* for SQLite */

/* Lists by time are ranges of keys, as wide as the times in a key and in its row may differ: the clock was set back, or the
 * execution comes from elsewhere. An end is later than its key: only one before it counts. */
void note_accept_time(writer *w, uint64_t key, int64_t accepted_ms);
void note_end_time(writer *w, uint64_t key, int64_t ended_ms);

/* ---- target.c: an execution's row, and where it is filed ------------------------------------------------- */

typedef struct target {
    uint64_t key, definition;
    uint64_t inbox_seq, wake_inbox;
    uint32_t run;
    uint8_t state; /* 0: it is not there */
    bool paused;
    int8_t priority; /* -1: the default, and no limit_key */
} target;

int target_read(writer *w, uint64_t key, target *out);
void target_of_row(const execution_row *row, target *out);
/* File the execution under what it is, and no longer under what it was; either may be a target that is not there. */
int target_move(writer *w, const target *was, const target *is);

/* ---- accept.c -------------------------------------------------------------------------------------------- */

int check_define(writer *w, store_unit *u); /* sets u->result if it cannot take place */
int define(writer *w, store_unit *u);
/* Nothing of the row is rare: it goes in by one statement, which also finds a duplicate. */
bool accept_is_plain(const store_unit *u);
int accept_plain(writer *w, store_unit *u);
int check_accept(writer *w, store_unit *u);
int accept_any(writer *w, const store_unit *u);

/* ---- change.c: operations on an execution ---------------------------------------------------------------- */

int append_checkpoints(writer *w, const store_unit *u);
/* The end of an open execution of default priority, without a limit key, that succeeded: it is in no list that it would
 * have to leave; nor was it ever told anything, if what it was told is to be consumed. In one statement; *out_done false: it
 * is not that. */
int finish_plain(writer *w, const store_unit *u, bool *out_done);
int check_inbox_limit(writer *w, store_unit *u, const target *t);
int put_item(writer *w, target *t, inbox_item *item, uint8_t urgency, bool *out_woke);
int consume_items(writer *w, const store_unit *u);
int update_row(writer *w, const store_unit *u, target *t);
int set_row(writer *w, const execution_setting *s, target *t);
int add_control(writer *w, control_row *row);
int put_setting(writer *w, const setting_row *row);
int purge_execution(writer *w, const target *t);

#endif
