/* What happens to an execution. */
#include "store/sqlite/write_impl.h"

/* Two numbers (the second 0 = unused) of a statement that deletes. */
static int delete_by(writer *w, int n, uint64_t first, uint64_t second)
{
    sqlite3_stmt *st = writer_statement(w, n);

    if (!st)
        return writer_error(w);
    bind_key(st, 1, first);
    if (second)
        bind_key(st, 2, second);
    return writer_change(w, st, NULL);
}

/* The one number that a statement gives; 0 if it gives none. */
static int read_number(sqlite3_stmt *st, uint64_t *out)
{
    bool found = sqlite3_step(st) == SQLITE_ROW;

    *out = found ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    /* After an error a further step would run it anew, and perhaps with success. */
    return found ? conn_run(st) : sqlite3_reset(st);
}

/* ---- checkpoints ----------------------------------------------------------------------------------------- */

static int append_one(writer *w, sqlite3_stmt *st, const store_unit *u, const checkpoint *c)
{
    int rc;

    bind_key(st, 1, u->key);
    sqlite3_bind_int64(st, 2, u->run);
    bind_key(st, 3, c->seq);
    sqlite3_bind_int64(st, 4, c->step);
    if (c->index == INDEX_NONE)
        sqlite3_bind_null(st, 5);
    else
        sqlite3_bind_int64(st, 5, c->index);
    sqlite3_bind_int64(st, 6, c->attempt);
    sqlite3_bind_int(st, 7, c->kind);
    sqlite3_bind_int64(st, 8, c->started_ms);
    sqlite3_bind_int64(st, 9, c->ended_ms);
    sqlite3_bind_int64(st, 10, c->due_ms);
    rc = bind_value(w, st, 11, u->key, c->output, "null");
    if (rc == SQLITE_OK)
        rc = bind_value(w, st, 12, u->key, c->error, NULL);
    if (rc == SQLITE_OK)
        rc = writer_change(w, st, NULL);
    return rc == SQLITE_OK && c->inbox ? delete_by(w, W_CONSUME_ONE, u->key, c->inbox) : rc;
}

int append_checkpoints(writer *w, const store_unit *u)
{
    sqlite3_stmt *st = writer_statement(w, W_APPEND);
    int rc = st ? SQLITE_OK : writer_error(w);

    for (uint32_t i = 0; i < u->checkpoint_count && rc == SQLITE_OK; i++)
        rc = append_one(w, st, u, &u->checkpoints[i]);
    return rc;
}

/* ---- inbox ----------------------------------------------------------------------------------------------- */

int check_inbox_limit(writer *w, store_unit *u, const target *t)
{
    sqlite3_stmt *first = writer_statement(w, W_FIRST_ITEM);
    sqlite3_stmt *count = writer_statement(w, W_COUNT_ITEMS);
    uint64_t n;
    int rc;

    if (!first || !count)
        return writer_error(w);
    bind_key(first, 1, t->key);
    rc = read_number(first, &n);
    /* Items of any kind, and those that are gone from between: mostly that many are no trouble. */
    if (rc != SQLITE_OK || n == 0 || t->inbox_seq - n + 1 < u->inbox_limit)
        return rc;
    bind_key(count, 1, t->key);
    sqlite3_bind_int(count, 2, u->inbox_put->kind);
    sqlite3_bind_int64(count, 3, u->inbox_limit);
    rc = read_number(count, &n);
    if (rc == SQLITE_OK && n >= u->inbox_limit)
        u->result = ORCH_E_RESOURCE_EXHAUSTED;
    return rc;
}

static bool wakes(const target *t, uint64_t seq, uint8_t urgency)
{
    if (t->state != EXECUTION_SUSPENDED)
        return false;
    if (urgency == INBOX_FORCED)
        return true;
    if (t->wake_inbox == WAKE_NEVER)
        return false;
    return urgency == INBOX_URGENT || seq >= t->wake_inbox;
}

static int raise_inbox_seq(writer *w, const target *t, bool wake)
{
    sqlite3_stmt *st = writer_statement(w, wake ? W_WAKE : W_PUT);

    if (!st)
        return writer_error(w);
    bind_key(st, 1, t->key);
    bind_key(st, 2, t->inbox_seq);
    return writer_change(w, st, NULL);
}

static int insert_item(writer *w, const target *t, const inbox_item *item)
{
    sqlite3_stmt *st = writer_statement(w, W_ITEM);
    int rc;

    if (!st)
        return writer_error(w);
    bind_key(st, 1, t->key);
    bind_key(st, 2, item->seq);
    sqlite3_bind_int(st, 3, item->kind);
    sqlite3_bind_int64(st, 4, item->at_ms);
    bind_some(st, 6, item->state);
    bind_some(st, 7, item->step);
    bind_some(st, 8, item->index);
    bind_some(st, 9, item->attempt);
    bind_text(st, 10, item->name);
    rc = bind_value(w, st, 5, t->key, item->payload, "null");
    if (rc == SQLITE_OK)
        rc = bind_value(w, st, 11, t->key, item->correlation, NULL);
    return rc == SQLITE_OK ? writer_change(w, st, NULL) : rc;
}

int put_item(writer *w, target *t, inbox_item *item, uint8_t urgency, bool *out_woke)
{
    int rc;

    item->seq = ++t->inbox_seq;
    *out_woke = wakes(t, item->seq, urgency);
    if (*out_woke) {
        t->state = EXECUTION_OPEN;
        t->wake_inbox = 0;
    }
    rc = raise_inbox_seq(w, t, *out_woke);
    return rc == SQLITE_OK ? insert_item(w, t, item) : rc;
}

int consume_items(writer *w, const store_unit *u)
{
    return delete_by(w, W_CONSUME, u->key, u->inbox_consumed);
}

/* ---- the row --------------------------------------------------------------------------------------------- */

static void note_end(writer *w, uint64_t key, const execution_update *e)
{
    if (EXECUTION_STATE_IS_END(e->state))
        note_end_time(w, key, e->ended_ms);
}

int finish_plain(writer *w, const store_unit *u, bool *out_done)
{
    const execution_update *e = u->update;
    sqlite3_stmt *st = writer_statement(w, W_FINISH);
    int rc, changed = 0;

    if (!st)
        return writer_error(w);
    bind_key(st, 1, u->key);
    sqlite3_bind_int64(st, 2, e->ended_ms);
    sqlite3_bind_int64(st, 3, e->wake_ms);
    bind_bytes(st, 5, e->error);
    sqlite3_bind_int64(st, 6, u->inbox_consumed ? 0 : INT64_MAX);
    rc = bind_value(w, st, 4, u->key, e->output, "null");
    if (rc == SQLITE_OK)
        rc = writer_change(w, st, &changed);
    *out_done = changed != 0;
    if (*out_done)
        note_end(w, u->key, e);
    return rc;
}

static int keep_run(writer *w, const target *t)
{
    sqlite3_stmt *st = writer_statement(w, W_KEEP_RUN);

    if (!st)
        return writer_error(w);
    bind_key(st, 1, t->key);
    return writer_change(w, st, NULL);
}

int update_row(writer *w, const store_unit *u, target *t)
{
    const execution_update *e = u->update;
    sqlite3_stmt *st = writer_statement(w, W_UPDATE);
    int rc = st ? SQLITE_OK : writer_error(w);

    if (rc == SQLITE_OK && u->run > t->run && EXECUTION_STATE_IS_END(t->state))
        rc = keep_run(w, t);
    if (rc != SQLITE_OK)
        return rc;
    t->state = e->state;
    t->wake_inbox = e->wake_inbox;
    t->run = u->run > t->run ? u->run : t->run;
    note_end(w, t->key, e);
    bind_key(st, 1, t->key);
    sqlite3_bind_int(st, 2, e->state);
    sqlite3_bind_int64(st, 3, e->ended_ms);
    sqlite3_bind_int64(st, 4, e->wake_ms);
    bind_some(st, 5, e->wake_inbox);
    sqlite3_bind_int64(st, 8, t->run);
    sqlite3_bind_int64(st, 9, e->deadline_ms);
    rc = bind_value(w, st, 6, t->key, e->output, "null");
    if (rc == SQLITE_OK)
        rc = bind_value(w, st, 7, t->key, e->error, NULL);
    return rc == SQLITE_OK ? writer_change(w, st, NULL) : rc;
}

int set_row(writer *w, const execution_setting *s, target *t)
{
    sqlite3_stmt *st = writer_statement(w, W_SET);

    if (!st)
        return writer_error(w);
    if (s->paused >= 0)
        t->paused = s->paused != 0;
    if (s->priority >= 0)
        t->priority = s->priority;
    bind_key(st, 1, t->key);
    sqlite3_bind_int(st, 2, t->paused);
    if (t->priority < 0)
        sqlite3_bind_null(st, 3);
    else
        sqlite3_bind_int(st, 3, t->priority);
    return writer_change(w, st, NULL);
}

/* ---- beside it ------------------------------------------------------------------------------------------- */

int add_control(writer *w, control_row *row)
{
    sqlite3_stmt *st = writer_statement(w, W_CONTROL);
    int rc;

    if (!st)
        return writer_error(w);
    bind_key(st, 1, row->execution);
    sqlite3_bind_int64(st, 2, row->at_ms);
    bind_text(st, 3, row->action);
    bind_text(st, 4, row->who);
    bind_text(st, 5, row->why);
    bind_text(st, 6, row->detail);
    rc = read_number(st, &row->seq);
    if (rc != SQLITE_OK)
        return rc;
    w->rows++;
    if (row->seq <= CONTROLS_KEPT)
        return SQLITE_OK;
    return delete_by(w, W_CONTROL_TRIM, row->execution, row->seq - CONTROLS_KEPT);
}

int put_setting(writer *w, const setting_row *row)
{
    sqlite3_stmt *st = writer_statement(w, row->value ? W_SETTING : W_SETTING_GONE);

    if (!st)
        return writer_error(w);
    bind_text(st, 1, row->name);
    if (row->value)
        bind_bytes(st, 2, row->value);
    return writer_change(w, st, NULL);
}

static int purge_attribute(writer *w, uint64_t key, const attribute *a)
{
    sqlite3_stmt *st = writer_statement(w, W_PURGE_ATTRIBUTE);

    if (!st)
        return writer_error(w);
    bind_text(st, 1, a->name);
    bind_bytes(st, 2, a->value);
    bind_key(st, 3, key);
    return writer_change(w, st, NULL);
}

static int purge_attributes(writer *w, uint64_t key)
{
    sqlite3_stmt *st = writer_statement(w, W_PURGE_ORIGIN);
    attribute_list l = {0};
    bytes *text = NULL;
    int rc = SQLITE_OK, error;

    if (!st)
        return writer_error(w);
    bind_key(st, 1, key);
    if (sqlite3_step(st) == SQLITE_ROW)
        text = column_bytes(st, 0, &rc);
    error = sqlite3_reset(st);
    if (error == SQLITE_OK && rc == SQLITE_OK && attributes_read(text, &l, NULL) != 0)
        rc = SQLITE_NOMEM; /* it was read when it came */
    for (uint32_t i = 0; i < l.count && rc == SQLITE_OK && error == SQLITE_OK; i++)
        rc = purge_attribute(w, key, &l.rows[i]);
    attributes_clear(&l);
    bytes_unref(text);
    return error == SQLITE_OK ? rc : error;
}

int purge_execution(writer *w, const target *t)
{
    target none = {0};
    int rc = target_move(w, t, &none);

    if (rc == SQLITE_OK)
        rc = purge_attributes(w, t->key);
    for (int n = W_PURGE_PAYLOAD; n <= W_PURGE_EXECUTION && rc == SQLITE_OK; n++)
        rc = delete_by(w, n, t->key, 0);
    return rc;
}
