/* Which index serves a list, and the cursors over it. */
#include "store/sqlite/list_impl.h"

#include <stdlib.h>

#include "base/mem.h"

/* So many ends in a range of time are sorted by key; with more the range says little. */
#define ENDS_MOST 10000

/* Parameters of a cursor's statement, wherever they stand in it. */
enum {
    P_LOW = 1,
    P_HIGH = 2,
    P_FIRST = 3, /* what the cursor is of */
    P_SECOND = 4,
    P_STATES = 5,
    P_ACCEPTED_FROM = 6,
    P_ACCEPTED_TO = 7,
    P_ENDED_FROM = 8,
    P_ENDED_TO = 9,
    P_PARENT = 10,
    P_START_KEY = 11,
    P_LIMIT_KEY = 12,
    P_ATTRIBUTE = 13,
    P_VALUE = 14,
};

/* A source of keys in order. */
typedef struct source {
    const char *from, *key, *where;
    bool is_execution; /* `from` is the table itself, as e */
    bool is_list;      /* `from` is table listed, as x: it knows definitions */
} source;

/* clang-format off */
static const source by_parent = {"origin x", "x.execution", "x.parent = ?10", false, false};
static const source by_start_key = {"origin x", "x.execution", "x.start_key = ?11", false, false};
static const source by_limit_key = {"origin x", "x.execution", "x.limit_key = ?12", false, false};
static const source by_attribute = {"attribute x", "x.execution", "x.name = ?13 AND x.value = ?14",
                                    false, false};
static const source by_list = {"listed x", "x.execution", "x.list = ?3", false, true};
static const source by_list_and_definition = {"listed x", "x.execution",
                                              "x.list = ?3 AND x.definition = ?4", false, true};
static const source by_place = {"execution e INDEXED BY execution_place", "e.key", PLACE " = ?3",
                                true, false};
static const source by_definition = {"execution e INDEXED BY execution_definition", "e.key",
                                     "e.definition = ?3", true, false};
static const source by_key = {"execution e NOT INDEXED", "e.key", "1", true, false};
/* clang-format on */

/* ---- the rest of the filter ------------------------------------------------------------------------------ */

static void add_rest(listing *l, const char *condition)
{
    buf_printf(&l->rest, "%s%s", l->rest.len ? " AND " : "", condition);
}

static bool has_range_of_ends(const execution_filter *f)
{
    return f->ended_from_ms || f->ended_to_ms;
}

/* Conditions on the row itself. */
static void rest_of_row(listing *l, bool states, bool ends)
{
    const execution_filter *f = l->f;

    if (states)
        add_rest(l, "(?5 >> e.state & 1)");
    if (f->accepted_from_ms)
        add_rest(l, "e.accepted_ms >= ?6");
    if (f->accepted_to_ms)
        add_rest(l, "e.accepted_ms < ?7");
    if (ends)
        add_rest(l, "e.state > 2 AND e.ended_ms >= ?8 AND e.ended_ms < ?9");
    if (f->paused == 2)
        add_rest(l, "e.paused = 0");
}

/* Conditions on what is in other tables; `but` is what the cursors are of. */
static void rest_of_origin(listing *l, const source *but)
{
    const execution_filter *f = l->f;

    if (f->parent && but != &by_parent)
        add_rest(l, "o.parent = ?10");
    if (f->start_key && but != &by_start_key)
        add_rest(l, "o.start_key = ?11");
    if (f->limit_key && but != &by_limit_key)
        add_rest(l, "o.limit_key = ?12");
    l->needs_origin = l->rest.len != 0;
    if (l->value && but != &by_attribute)
        add_rest(l, "EXISTS(SELECT 1 FROM attribute a WHERE a.name = ?13 AND a.value = ?14"
                    " AND a.execution = e.key)");
    if (f->paused == 1 && but != &by_list)
        add_rest(l, "e.paused");
}

/* ---- cursors --------------------------------------------------------------------------------------------- */

static void bind_filter(const listing *l, sqlite3_stmt *st)
{
    const execution_filter *f = l->f;

    /* A parameter that the text does not have is passed over. */
    sqlite3_bind_int64(st, P_LOW, (sqlite3_int64)l->low);
    sqlite3_bind_int64(st, P_HIGH, (sqlite3_int64)l->high);
    sqlite3_bind_int64(st, P_STATES, f->states);
    sqlite3_bind_int64(st, P_ACCEPTED_FROM, f->accepted_from_ms);
    sqlite3_bind_int64(st, P_ACCEPTED_TO, f->accepted_to_ms);
    sqlite3_bind_int64(st, P_ENDED_FROM, f->ended_from_ms);
    sqlite3_bind_int64(st, P_ENDED_TO, f->ended_to_ms ? f->ended_to_ms : INT64_MAX);
    sqlite3_bind_int64(st, P_PARENT, (sqlite3_int64)f->parent);
    sqlite3_bind_text(st, P_START_KEY, f->start_key, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, P_LIMIT_KEY, f->limit_key, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, P_ATTRIBUTE, f->attribute, -1, SQLITE_STATIC);
    if (l->value)
        sqlite3_bind_text(st, P_VALUE, l->value->data, (int)l->value->len, SQLITE_STATIC);
}

/* Columns: key, whether it meets the rest, its definition. */
static void write_cursor(const listing *l, const source *s, bool asks_definition, buf *b)
{
    bool joins = l->rest.len || (asks_definition && !s->is_list);

    buf_printf(b, "SELECT %s, %s, %s FROM %s", s->key, l->rest.len ? l->rest.data : "1",
               !asks_definition ? "NULL"
               : s->is_list     ? "x.definition"
                                : "e.definition",
               s->from);
    if (joins && !s->is_execution)
        buf_printf(b, " CROSS JOIN execution e ON e.key = %s", s->key);
    if (l->needs_origin)
        buf_puts(b, " LEFT JOIN origin o ON o.execution = e.key");
    buf_printf(b, " WHERE %s AND %s BETWEEN ?1 AND ?2 ORDER BY %s%s", s->where, s->key, s->key,
               l->f->ascending ? "" : " DESC");
}

static int add_cursor(listing *l, const source *s, bool asks_definition, uint64_t first,
                      uint64_t second)
{
    cursor *c = &l->cursors[l->cursor_count];
    buf b = BUF_INIT;
    int rc = SQLITE_NOMEM;

    write_cursor(l, s, asks_definition, &b);
    if (!b.failed && !l->rest.failed)
        rc = sqlite3_prepare_v2(l->r->conn.db, b.data, (int)b.len, &c->st, NULL);
    buf_free(&b);
    if (rc != SQLITE_OK)
        return rc;
    l->cursor_count++;
    c->by_definition = asks_definition;
    bind_filter(l, c->st);
    sqlite3_bind_int64(c->st, P_FIRST, (sqlite3_int64)first);
    sqlite3_bind_int64(c->st, P_SECOND, (sqlite3_int64)second);
    return l->ends ? SQLITE_OK : list_advance(l, c);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int step(listing *l, cursor *c)
{
    int rc = sqlite3_step(c->st);
    uint64_t definition;

    c->key = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(c->st, 0) : 0;
    c->meets = rc == SQLITE_ROW && sqlite3_column_int(c->st, 1) != 0;
    if (c->meets && c->by_definition) {
        definition = (uint64_t)sqlite3_column_int64(c->st, 2);
        c->meets = bsearch(&definition, l->definitions, l->definition_count, sizeof definition,
                           by_number) != NULL;
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The next of the keys that were sorted. */
static int step_ends(listing *l, cursor *c)
{
    int rc;

    c->key = 0;
    if (l->end_next == l->end_count)
        return SQLITE_OK;
    sqlite3_reset(c->st);
    c->key = l->ends[l->f->ascending ? l->end_next : l->end_count - 1 - l->end_next];
    sqlite3_bind_int64(c->st, P_LOW, (sqlite3_int64)c->key);
    sqlite3_bind_int64(c->st, P_HIGH, (sqlite3_int64)c->key);
    l->end_next++;
    rc = step(l, c);
    return rc;
}

int list_advance(listing *l, cursor *c)
{
    return l->ends ? step_ends(l, c) : step(l, c);
}

/* ---- which index ----------------------------------------------------------------------------------------- */

static int add_open(listing *l)
{
    int rc = SQLITE_OK;

    for (uint64_t place = 0; place < PLACE_ENDED && rc == SQLITE_OK; place++)
        rc = add_cursor(l, &by_place, l->definitions != NULL, place, 0);
    return rc;
}

/* One for each version of the workflow, or one for the list. */
static int add_list(listing *l, uint64_t list, bool each_version)
{
    int rc = SQLITE_OK;

    if (!each_version)
        return add_cursor(l, &by_list, l->definitions != NULL, list, 0);
    for (size_t i = 0; i < l->definition_count && rc == SQLITE_OK; i++)
        rc = add_cursor(l, &by_list_and_definition, false, list, l->definitions[i]);
    return rc;
}

static int add_states(listing *l)
{
    size_t most = (CURSORS_MAX - PLACE_ENDED) / (EXECUTION_TIMED_OUT - EXECUTION_OPEN);
    bool each_version = l->definitions && l->definition_count <= most;
    int rc = SQLITE_OK;

    if (l->f->states & 1u << EXECUTION_OPEN)
        rc = add_open(l);
    for (int i = EXECUTION_SUSPENDED; i <= EXECUTION_TIMED_OUT && rc == SQLITE_OK; i++) {
        if (l->f->states & 1u << i)
            rc = add_list(l, (uint64_t)i, each_version);
    }
    return rc;
}

static int add_definitions(listing *l)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; i < l->definition_count && rc == SQLITE_OK; i++)
        rc = add_cursor(l, &by_definition, false, l->definitions[i], 0);
    return rc;
}

/* Keys of what ended in the range, unless they are too many. */
static int find_ends(listing *l)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *st = read_statement(l->r, R_ENDED_BETWEEN, &rc);
    uint64_t *keys = st ? mem_alloc((ENDS_MOST + 1) * sizeof *keys) : NULL;
    const execution_filter *f = l->f;
    size_t seen = 0, count = 0;

    if (!keys)
        return st ? SQLITE_NOMEM : rc;
    sqlite3_bind_int64(st, 1, PLACE_ENDED + f->ended_from_ms);
    sqlite3_bind_int64(st, 2, f->ended_to_ms ? PLACE_ENDED - 1 + f->ended_to_ms : INT64_MAX);
    while (seen <= ENDS_MOST && sqlite3_step(st) == SQLITE_ROW) {
        uint64_t key = (uint64_t)sqlite3_column_int64(st, 0);

        seen++;
        if (key >= l->low && key <= l->high)
            keys[count++] = key;
    }
    rc = sqlite3_reset(st);
    if (rc != SQLITE_OK || seen > ENDS_MOST) {
        mem_free(keys);
        return rc;
    }
    qsort(keys, count, sizeof *keys, by_number);
    l->ends = keys;
    l->end_count = count;
    return SQLITE_OK;
}

static int add_ends(listing *l)
{
    int rc = add_cursor(l, &by_key, l->definitions != NULL, 0, 0);

    return rc == SQLITE_OK ? list_advance(l, &l->cursors[0]) : rc;
}

/* The one index that most rows of it are likely to pass, by what it is of. */
static const source *exact_source(const listing *l)
{
    const execution_filter *f = l->f;

    if (f->parent)
        return &by_parent;
    if (f->start_key)
        return &by_start_key;
    if (l->value)
        return &by_attribute;
    if (f->limit_key)
        return &by_limit_key;
    return f->paused == 1 ? &by_list : NULL;
}

int list_open_cursors(listing *l)
{
    const execution_filter *f = l->f;
    const source *exact = exact_source(l);
    bool by_states = f->states && !(f->states & 1u << EXECUTION_SUCCEEDED);
    bool each_version = l->definitions && l->definition_count <= CURSORS_MAX;
    int rc = !exact && has_range_of_ends(f) ? find_ends(l) : SQLITE_OK;

    if (rc != SQLITE_OK)
        return rc;
    rest_of_origin(l, exact);
    rest_of_row(l, f->states && (exact || l->ends || !by_states), has_range_of_ends(f) && !l->ends);
    if (exact)
        return add_cursor(l, exact, l->definitions != NULL, LIST_PAUSED, 0);
    if (l->ends)
        return add_ends(l);
    if (by_states)
        return add_states(l);
    /* Most of what there is has succeeded: of those there is no list. */
    return each_version ? add_definitions(l) : add_cursor(l, &by_key, l->definitions != NULL, 0, 0);
}
