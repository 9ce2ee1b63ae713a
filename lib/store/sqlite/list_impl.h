/* A page of a list in the making: list.c and list_cursor.c. */
#ifndef STORE_SQLITE_LIST_IMPL_H
#define STORE_SQLITE_LIST_IMPL_H

#include "base/buf.h"
#include "store/attributes.h"
#include "store/sqlite/read_impl.h"

#define CURSORS_MAX 64

typedef struct cursor {
    sqlite3_stmt *st;
    uint64_t key;       /* 0 = at its end */
    bool meets;         /* the rest of the filter */
    bool by_definition; /* that is one of `definitions` */
} cursor;

typedef struct listing {
    reader *r;
    const execution_filter *f;
    bytes *value;          /* of f->attribute, as it is stored; NULL = that does not filter */
    int64_t skew_ms;       /* between a key's time and those in its row, at most */
    uint64_t low, high;    /* keys, inclusive */
    uint64_t *definitions; /* sorted; NULL = any */
    size_t definition_count, definition_cap;
    uint64_t *
        ends; /* keys of what ended in the range of time, in order; NULL = they are too many, or not looked for */
    size_t end_count, end_next;
    buf rest; /* what a row must meet beyond what its cursor is of, as SQL; empty = nothing */
    bool needs_origin; /* `rest` speaks of it */
    cursor cursors[CURSORS_MAX];
    int cursor_count;
} listing;

int list_open_cursors(listing *l);
int list_advance(listing *l, cursor *c);

#endif
