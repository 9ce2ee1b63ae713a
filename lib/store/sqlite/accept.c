/* What is new: definitions and executions. */
#include "store/sqlite/write_impl.h"

/* Whether a statement whose parameters are bound has a row. */
static int has_row(sqlite3_stmt *st, bool *out)
{
    *out = sqlite3_step(st) == SQLITE_ROW;
    return sqlite3_reset(st);
}

/* ---- definitions ----------------------------------------------------------------------------------------- */

int check_define(writer *w, store_unit *u)
{
    const definition_row *d = u->definition;
    sqlite3_stmt *st = writer_statement(w, W_DEFINED);
    bool taken;
    int rc;

    if (!st)
        return writer_error(w);
    bind_key(st, 1, d->key);
    bind_text(st, 2, d->workflow);
    bind_text(st, 3, d->version);
    rc = has_row(st, &taken);
    if (rc == SQLITE_OK && taken)
        u->result = ORCH_E_ALREADY_EXISTS;
    return rc;
}

int define(writer *w, store_unit *u)
{
    const definition_row *d = u->definition;
    sqlite3_stmt *st = writer_statement(w, W_DEFINE);
    int rc, changed;

    if (!st)
        return writer_error(w);
    bind_key(st, 1, d->key);
    bind_text(st, 2, d->workflow);
    bind_text(st, 3, d->version);
    sqlite3_bind_blob(st, 4, d->digest, sizeof d->digest, SQLITE_STATIC);
    bind_bytes(st, 5, d->text);
    bind_bytes(st, 6, d->metadata);
    sqlite3_bind_int64(st, 7, d->registered_ms);
    rc = writer_change(w, st, &changed);
    if (rc == SQLITE_OK && changed == 0)
        u->result = ORCH_E_ALREADY_EXISTS;
    return rc;
}

/* ---- plain executions ------------------------------------------------------------------------------------ */

static bool has_origin(const store_unit *u)
{
    const execution_row *e = u->accept;

    return e->parent || e->depth || e->abandoned || e->by_task || e->limit_key || e->affinity ||
           e->attributes || u->start_key;
}

bool accept_is_plain(const store_unit *u)
{
    const execution_row *e = u->accept;

    return e->run == 1 && e->state == EXECUTION_OPEN && !e->paused &&
           e->priority == PRIORITY_DEFAULT && !e->wake_ms && !e->wake_inbox && !e->ended_ms &&
           !e->inbox_seq && !e->output && !e->error && !is_big(e->input) && !has_origin(u);
}

int accept_plain(writer *w, store_unit *u)
{
    const execution_row *e = u->accept;
    sqlite3_stmt *st = writer_statement(w, W_ACCEPT);
    int rc, changed;

    if (!st)
        return writer_error(w);
    bind_key(st, 1, e->key);
    bind_text(st, 2, e->id);
    bind_key(st, 3, e->definition);
    sqlite3_bind_int64(st, 4, e->accepted_ms);
    sqlite3_bind_int64(st, 5, e->deadline_ms);
    rc = bind_value(w, st, 6, e->key, e->input, "{}");
    if (rc == SQLITE_OK)
        rc = writer_change(w, st, &changed);
    if (rc != SQLITE_OK)
        return rc;
    if (changed == 0)
        u->result = ORCH_E_ALREADY_EXISTS;
    else
        note_accept_time(w, e->key, e->accepted_ms);
    return SQLITE_OK;
}

/* ---- any ------------------------------------------------------------------------------------------------- */

static bool is_free(const start_key *k, int64_t expires_ms, uint8_t state)
{
    if (expires_ms && expires_ms <= k->now_ms)
        return true;
    return k->policy == START_KEY_ANEW && EXECUTION_STATE_IS_END(state);
}

static int check_start_key(writer *w, store_unit *u)
{
    start_key *k = u->start_key;
    sqlite3_stmt *st = writer_statement(w, W_HOLDER);

    k->existing = 0;
    if (!st)
        return writer_error(w);
    bind_text(st, 1, k->workflow);
    bind_text(st, 2, k->key);
    if (sqlite3_step(st) == SQLITE_ROW &&
        !is_free(k, sqlite3_column_int64(st, 1), (uint8_t)sqlite3_column_int(st, 2))) {
        k->existing = (uint64_t)sqlite3_column_int64(st, 0);
        u->result = ORCH_E_ALREADY_EXISTS;
    }
    return sqlite3_reset(st);
}

static int check_taken(writer *w, store_unit *u)
{
    sqlite3_stmt *st = writer_statement(w, W_TAKEN);
    bool taken;
    int rc;

    if (!st)
        return writer_error(w);
    bind_key(st, 1, u->accept->key);
    bind_text(st, 2, u->accept->id);
    rc = has_row(st, &taken);
    if (rc == SQLITE_OK && taken)
        u->result = ORCH_E_ALREADY_EXISTS;
    return rc;
}

int check_accept(writer *w, store_unit *u)
{
    attribute_list l;
    int rc = SQLITE_OK;

    u->result = attributes_read(u->accept->attributes, &l, NULL);
    attributes_clear(&l);
    if (u->result == ORCH_E_RESOURCE_EXHAUSTED) {
        u->result = 0;
        return SQLITE_NOMEM;
    }
    if (u->result == 0 && u->start_key)
        rc = check_start_key(w, u);
    return rc == SQLITE_OK && u->result == 0 ? check_taken(w, u) : rc;
}

static int insert_row(writer *w, const execution_row *e, const target *t)
{
    sqlite3_stmt *st = writer_statement(w, W_ACCEPT_ANY);
    int rc;

    if (!st)
        return writer_error(w);
    bind_key(st, 1, e->key);
    bind_text(st, 2, e->id);
    bind_key(st, 3, e->definition);
    sqlite3_bind_int64(st, 4, e->run);
    sqlite3_bind_int(st, 5, e->state);
    sqlite3_bind_int(st, 6, e->paused);
    sqlite3_bind_int64(st, 7, e->accepted_ms);
    sqlite3_bind_int64(st, 8, e->deadline_ms);
    sqlite3_bind_int64(st, 9, e->wake_ms);
    sqlite3_bind_int64(st, 10, e->ended_ms);
    bind_key(st, 11, e->inbox_seq);
    if (t->priority < 0)
        sqlite3_bind_null(st, 15);
    else
        sqlite3_bind_int(st, 15, t->priority);
    bind_some(st, 16, e->wake_inbox);
    rc = bind_value(w, st, 12, e->key, e->input, "{}");
    if (rc == SQLITE_OK)
        rc = bind_value(w, st, 13, e->key, e->output, "null");
    if (rc == SQLITE_OK)
        rc = bind_value(w, st, 14, e->key, e->error, NULL);
    return rc == SQLITE_OK ? writer_change(w, st, NULL) : rc;
}

static int insert_origin(writer *w, const store_unit *u)
{
    const execution_row *e = u->accept;
    sqlite3_stmt *st = writer_statement(w, W_ORIGIN);

    if (!st)
        return writer_error(w);
    bind_key(st, 1, e->key);
    bind_some(st, 2, e->parent);
    bind_some(st, 3, e->parent_run);
    bind_some(st, 4, e->parent_step);
    bind_some(st, 5, e->parent_index);
    bind_some(st, 6, e->parent_attempt);
    bind_some(st, 7, e->depth);
    bind_some(st, 8, e->abandoned);
    bind_text(st, 9, e->limit_key);
    bind_text(st, 10, e->affinity);
    bind_bytes(st, 11, e->attributes);
    bind_text(st, 12, u->start_key ? u->start_key->key : NULL);
    bind_some(st, 13, e->by_task);
    return writer_change(w, st, NULL);
}

static int insert_attributes(writer *w, const execution_row *e)
{
    sqlite3_stmt *st = writer_statement(w, W_ATTRIBUTE);
    attribute_list l;
    int rc = SQLITE_OK;

    if (!st)
        return writer_error(w);
    if (attributes_read(e->attributes, &l, NULL) != 0)
        return SQLITE_NOMEM; /* anything else was found out by the check */
    for (uint32_t i = 0; i < l.count && rc == SQLITE_OK; i++) {
        bind_text(st, 1, l.rows[i].name);
        bind_bytes(st, 2, l.rows[i].value);
        bind_key(st, 3, e->key);
        rc = writer_change(w, st, NULL);
    }
    attributes_clear(&l);
    return rc;
}

static int hold_start_key(writer *w, const store_unit *u)
{
    sqlite3_stmt *st = writer_statement(w, W_HOLD);

    if (!st)
        return writer_error(w);
    bind_text(st, 1, u->start_key->workflow);
    bind_text(st, 2, u->start_key->key);
    bind_key(st, 3, u->accept->key);
    sqlite3_bind_int64(st, 4, u->start_key->expires_ms);
    return writer_change(w, st, NULL);
}

/* ---- what is behind it ----------------------------------------------------------------------------------- */

static int insert_end(writer *w, uint64_t key, const run_row *r)
{
    sqlite3_stmt *st = writer_statement(w, W_RUN);
    int rc;

    if (!st)
        return writer_error(w);
    bind_key(st, 1, key);
    sqlite3_bind_int64(st, 2, r->run);
    sqlite3_bind_int(st, 3, r->state);
    sqlite3_bind_int64(st, 4, r->ended_ms);
    rc = bind_value(w, st, 5, key, r->output, "null");
    if (rc == SQLITE_OK)
        rc = bind_value(w, st, 6, key, r->error, NULL);
    return rc == SQLITE_OK ? writer_change(w, st, NULL) : rc;
}

static int insert_past_run(writer *w, uint64_t key, const past_run *r)
{
    const store_unit history = {.key = key,
                                .run = r->run,
                                .checkpoints = r->checkpoints,
                                .checkpoint_count = r->checkpoint_count};
    int rc = append_checkpoints(w, &history);

    return rc == SQLITE_OK && r->end ? insert_end(w, key, r->end) : rc;
}

static int insert_past(writer *w, uint64_t key, store_past *past)
{
    int rc = SQLITE_OK;

    for (uint32_t i = 0; i < past->run_count && rc == SQLITE_OK; i++)
        rc = insert_past_run(w, key, &past->runs[i]);
    for (uint32_t i = 0; i < past->control_count && rc == SQLITE_OK; i++)
        rc = add_control(w, &past->controls[i]);
    return rc;
}

int accept_any(writer *w, const store_unit *u)
{
    const execution_row *e = u->accept;
    target none = {0}, t;
    int rc;

    target_of_row(e, &t);
    note_accept_time(w, e->key, e->accepted_ms);
    if (EXECUTION_STATE_IS_END(e->state))
        note_end_time(w, e->key, e->ended_ms);
    rc = insert_row(w, e, &t);
    if (rc == SQLITE_OK && has_origin(u))
        rc = insert_origin(w, u);
    if (rc == SQLITE_OK && e->attributes)
        rc = insert_attributes(w, e);
    if (rc == SQLITE_OK && u->start_key)
        rc = hold_start_key(w, u);
    if (rc == SQLITE_OK && u->past)
        rc = insert_past(w, e->key, u->past);
    return rc == SQLITE_OK ? target_move(w, &none, &t) : rc;
}
