/* The row that a unit is about, as it is while the unit's operations go over it, and where it is filed beside its table:
 * the lists of what is neither open nor has succeeded (table `listed`), and of what can run under a limit key (`limited`).
 * An index would do it too, but its upkeep is part of every change of every row, and these are of few. */
#include "store/sqlite/write_impl.h"

int target_read(writer *w, uint64_t key, target *out)
{
    sqlite3_stmt *st = writer_statement(w, W_ROW);

    *out = (target){.key = key};
    if (!st)
        return writer_error(w);
    bind_key(st, 1, key);
    if (sqlite3_step(st) == SQLITE_ROW) {
        out->state = (uint8_t)sqlite3_column_int(st, 0);
        out->paused = sqlite3_column_int(st, 1) != 0;
        out->run = (uint32_t)sqlite3_column_int64(st, 2);
        out->inbox_seq = (uint64_t)sqlite3_column_int64(st, 3);
        out->wake_inbox = (uint64_t)sqlite3_column_int64(st, 4);
        out->definition = (uint64_t)sqlite3_column_int64(st, 5);
        out->priority = sqlite3_column_type(st, 6) == SQLITE_NULL
                            ? -1
                            : (int8_t)sqlite3_column_int(st, 6);
    }
    return sqlite3_reset(st);
}

void target_of_row(const execution_row *row, target *out)
{
    bool plain = row->priority == PRIORITY_DEFAULT && !row->limit_key;

    *out = (target){.key = row->key,
                    .definition = row->definition,
                    .inbox_seq = row->inbox_seq,
                    .wake_inbox = row->wake_inbox,
                    .run = row->run,
                    .state = row->state,
                    .paused = row->paused,
                    .priority = plain ? -1 : (int8_t)row->priority};
}

static int list_change(writer *w, int n, int list, const target *t)
{
    sqlite3_stmt *st = writer_statement(w, n);

    if (!st)
        return writer_error(w);
    sqlite3_bind_int(st, 1, list);
    bind_key(st, 2, t->definition);
    bind_key(st, 3, t->key);
    return writer_change(w, st, NULL);
}

/* 0: none. */
static int list_of_state(const target *t)
{
    return t->state == EXECUTION_OPEN || t->state == EXECUTION_SUCCEEDED ? 0 : t->state;
}

static int list_paused(const target *t)
{
    return t->state && t->paused ? LIST_PAUSED : 0;
}

static int move_list(writer *w, int from, int to, const target *was, const target *is)
{
    int rc = SQLITE_OK;

    if (from == to)
        return SQLITE_OK;
    if (from)
        rc = list_change(w, W_UNLIST, from, was);
    if (rc == SQLITE_OK && to)
        rc = list_change(w, W_LIST, to, is);
    return rc;
}

/* Whether a limit key may hold it back; the key itself is in table `origin`. */
static bool may_be_limited(const target *t)
{
    return t->state == EXECUTION_OPEN && !t->paused && t->priority >= 0;
}

static int limit_change(writer *w, int n, const target *t)
{
    sqlite3_stmt *st = writer_statement(w, n);

    if (!st)
        return writer_error(w);
    bind_key(st, 1, t->key);
    sqlite3_bind_int(st, 2, t->priority);
    return writer_change(w, st, NULL);
}

static int move_limited(writer *w, const target *was, const target *is)
{
    bool from = may_be_limited(was), to = may_be_limited(is);
    int rc = SQLITE_OK;

    if (from && to && was->priority == is->priority)
        return SQLITE_OK;
    if (from)
        rc = limit_change(w, W_UNLIMIT, was);
    if (rc == SQLITE_OK && to)
        rc = limit_change(w, W_LIMIT, is);
    return rc;
}

int target_move(writer *w, const target *was, const target *is)
{
    int rc = move_list(w, list_of_state(was), list_of_state(is), was, is);

    if (rc == SQLITE_OK)
        rc = move_list(w, list_paused(was), list_paused(is), was, is);
    return rc == SQLITE_OK ? move_limited(w, was, is) : rc;
}
