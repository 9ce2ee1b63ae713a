/* Units in a transaction. What nearly all units are, an execution that is accepted, checkpoints of its steps and its
 * success, is applied by one statement each: nothing is read before a write, a guard rides on the UPDATE that it guards,
 * and a duplicate is an INSERT that changes nothing. All other units are looked at first: once everything that can be
 * wrong with one was checked nothing of it can fail, so that a unit that is refused has left nothing behind. */
#include "store/sqlite/write_impl.h"

#include "base/clock.h"

/* ---- guards ---------------------------------------------------------------------------------------------- */

/* One read a shard and transaction. */
static int read_term(writer *w, uint32_t shard, uint64_t *out)
{
    sqlite3_stmt *st;

    if (!(w->checked >> shard & 1)) {
        st = writer_statement(w, W_TERM);
        if (!st)
            return writer_error(w);
        sqlite3_bind_int(st, 1, (int)shard);
        w->terms[shard] = 0;
        if (sqlite3_step(st) == SQLITE_ROW)
            w->terms[shard] = (uint64_t)sqlite3_column_int64(st, 0);
        if (sqlite3_reset(st) != SQLITE_OK)
            return writer_error(w);
        w->checked |= UINT64_C(1) << shard;
    }
    *out = w->terms[shard];
    return SQLITE_OK;
}

static int check_lease(writer *w, store_unit *u)
{
    uint64_t term = 0;
    int rc;

    if (u->shard >= STORE_SHARDS) {
        u->result = ORCH_E_ABORTED;
        return SQLITE_OK;
    }
    rc = read_term(w, u->shard, &term);
    if (rc == SQLITE_OK && term != u->term)
        u->result = ORCH_E_ABORTED;
    return rc;
}

/* Mostly what the unit before it wrote: the page is at hand. */
static int check_before(writer *w, store_unit *u)
{
    sqlite3_stmt *st = writer_statement(w, W_BEFORE);

    if (!st)
        return writer_error(w);
    bind_key(st, 1, u->key);
    sqlite3_bind_int64(st, 2, u->run);
    bind_key(st, 3, u->after_seq);
    if (sqlite3_step(st) != SQLITE_ROW)
        u->result = ORCH_E_OUT_OF_RANGE;
    return sqlite3_reset(st);
}

static void check_row(store_unit *u, const target *t)
{
    bool found = t->state != 0, ended = EXECUTION_STATE_IS_END(t->state);
    bool is_old = u->update && u->run && u->run < t->run;

    if ((u->must_be_open && (!found || ended || is_old)) || (u->check_inbox && !found))
        u->result = ORCH_E_FAILED_PRECONDITION;
    else if (u->check_inbox && t->inbox_seq != u->inbox_seen)
        u->result = ORCH_E_ABORTED;
    else if (u->must_have_ended && !found)
        u->result = ORCH_E_NOT_FOUND;
    else if (u->must_have_ended && (!ended || t->run + 1 != u->run))
        u->result = ORCH_E_FAILED_PRECONDITION;
}

/* ---- units of any kind ----------------------------------------------------------------------------------- */

static bool needs_execution(const store_unit *u)
{
    return u->checkpoint_count || u->inbox_put || u->inbox_consumed || u->update || u->setting ||
           u->purge || (u->control && u->control->execution);
}

/* Whether there is an execution to work on, and an ended one where it is to be deleted. */
static void check_target(store_unit *u, const target *t)
{
    uint8_t state = u->update && t->state ? u->update->state : t->state;

    if (u->accept && u->accept->key == u->key)
        state = u->update ? u->update->state : u->accept->state;
    if (state == 0)
        u->result = ORCH_E_NOT_FOUND;
    else if (u->purge && !EXECUTION_STATE_IS_END(state))
        u->result = ORCH_E_FAILED_PRECONDITION;
}

static int check_unit(writer *w, store_unit *u, const target *t)
{
    int rc = SQLITE_OK;

    check_row(u, t);
    if (u->result == 0 && u->inbox_put && u->inbox_limit && t->state)
        rc = check_inbox_limit(w, u, t);
    if (rc == SQLITE_OK && u->result == 0 && u->definition)
        rc = check_define(w, u);
    if (rc == SQLITE_OK && u->result == 0 && u->accept)
        rc = check_accept(w, u);
    if (rc == SQLITE_OK && u->result == 0 && needs_execution(u))
        check_target(u, t);
    return rc;
}

static int change_target(writer *w, store_unit *u, target *t)
{
    int rc = u->checkpoint_count ? append_checkpoints(w, u) : SQLITE_OK;

    if (rc == SQLITE_OK && u->inbox_put)
        rc = put_item(w, t, u->inbox_put, u->inbox_urgency, &u->inbox_woke);
    if (rc == SQLITE_OK && u->inbox_consumed)
        rc = consume_items(w, u);
    if (rc == SQLITE_OK && u->update)
        rc = update_row(w, u, t);
    if (rc == SQLITE_OK && u->setting)
        rc = set_row(w, u->setting, t);
    return rc;
}

static int notify(writer *w, store_unit *u)
{
    target was, is;
    int rc = target_read(w, u->notify_key, &was);

    u->notify->seq = 0;
    u->notify_woke = false;
    if (rc != SQLITE_OK || was.state == 0 || EXECUTION_STATE_IS_END(was.state) ||
        was.run != u->notify_run)
        return rc;
    is = was;
    rc = put_item(w, &is, u->notify, u->notify_urgency, &u->notify_woke);
    return rc == SQLITE_OK ? target_move(w, &was, &is) : rc;
}

static int write_beside(writer *w, store_unit *u)
{
    int rc = u->notify ? notify(w, u) : SQLITE_OK;

    if (rc == SQLITE_OK && u->control)
        rc = add_control(w, u->control);
    if (rc == SQLITE_OK && u->put_setting)
        rc = put_setting(w, u->put_setting);
    return rc;
}

static int write_unit(writer *w, store_unit *u, target *t)
{
    target was;
    int rc = u->definition ? define(w, u) : SQLITE_OK;

    if (rc == SQLITE_OK && u->accept)
        rc = accept_any(w, u);
    if (u->accept && u->accept->key == u->key)
        target_of_row(u->accept, t);
    was = *t;
    if (rc == SQLITE_OK)
        rc = change_target(w, u, t);
    if (rc == SQLITE_OK)
        rc = target_move(w, &was, t);
    if (rc == SQLITE_OK)
        rc = write_beside(w, u);
    if (rc == SQLITE_OK && u->purge)
        rc = target_read(w, u->key, t);
    return rc == SQLITE_OK && u->purge ? purge_execution(w, t) : rc;
}

static int apply_any(writer *w, store_unit *u)
{
    target t = {0};
    int rc = u->key ? target_read(w, u->key, &t) : SQLITE_OK;

    u->inbox_woke = false;
    if (rc == SQLITE_OK)
        rc = check_unit(w, u, &t);
    return rc == SQLITE_OK && u->result == 0 ? write_unit(w, u, &t) : rc;
}

/* ---- what nearly all are --------------------------------------------------------------------------------- */

static bool has_rare(const store_unit *u)
{
    return u->definition || u->start_key || u->past || u->check_inbox || u->must_have_ended ||
           u->inbox_put || u->setting || u->notify || u->control || u->put_setting || u->purge;
}

/* The success of an execution in its first run, perhaps with its last checkpoints. */
static bool is_finish(const store_unit *u)
{
    const execution_update *e = u->update;

    return e->state == EXECUTION_SUCCEEDED && u->run == 1 && !e->wake_inbox && !is_big(e->output) &&
           !is_big(e->error);
}

static int apply_finish(writer *w, store_unit *u)
{
    bool done;
    int rc = finish_plain(w, u, &done);

    if (rc == SQLITE_OK && !done)
        return apply_any(w, u);
    return rc == SQLITE_OK ? append_checkpoints(w, u) : rc;
}

static int apply_leased(writer *w, store_unit *u)
{
    bool alone = !u->accept != !(u->checkpoint_count || u->update);

    if (has_rare(u) || !alone)
        return apply_any(w, u);
    if (u->update)
        return is_finish(u) ? apply_finish(w, u) : apply_any(w, u);
    if (u->must_be_open || u->inbox_consumed || (u->accept && !accept_is_plain(u)))
        return apply_any(w, u);
    return u->accept ? accept_plain(w, u) : append_checkpoints(w, u);
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static bool item_is_too_big(const inbox_item *item)
{
    return item && (is_too_big(item->payload) || is_too_big(item->correlation));
}

static bool are_too_big(const checkpoint *rows, uint32_t count)
{
    bool big = false;

    for (uint32_t i = 0; i < count; i++)
        big |= is_too_big(rows[i].output) || is_too_big(rows[i].error);
    return big;
}

static bool is_too_big_behind(const store_past *past)
{
    bool big = false;

    for (uint32_t i = 0; i < past->run_count; i++) {
        const past_run *r = &past->runs[i];

        big |= are_too_big(r->checkpoints, r->checkpoint_count);
        if (r->end)
            big |= is_too_big(r->end->output) || is_too_big(r->end->error);
    }
    return big;
}

static bool is_too_big_for(const store_unit *u)
{
    bool big = item_is_too_big(u->inbox_put) || item_is_too_big(u->notify);

    if (u->definition)
        big |= is_too_big(u->definition->text) || is_too_big(u->definition->metadata);
    if (u->accept)
        big |= is_too_big(u->accept->input) || is_too_big(u->accept->output) ||
               is_too_big(u->accept->error) || is_too_big(u->accept->attributes);
    if (u->past)
        big |= is_too_big_behind(u->past);
    if (u->update)
        big |= is_too_big(u->update->output) || is_too_big(u->update->error);
    if (u->put_setting)
        big |= is_too_big(u->put_setting->value);
    return big || are_too_big(u->checkpoints, u->checkpoint_count);
}

static int apply(writer *w, store_unit *u)
{
    int rc;

    u->result = is_too_big_for(u) ? ORCH_E_INVALID_ARGUMENT : 0;
    if (u->result != 0)
        return SQLITE_OK;
    rc = check_lease(w, u);
    if (rc == SQLITE_OK && u->result == 0 && u->after_seq)
        rc = check_before(w, u);
    return rc == SQLITE_OK && u->result == 0 ? apply_leased(w, u) : rc;
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void roll_back(writer *w)
{
    if (!sqlite3_get_autocommit(w->conn.db))
        conn_exec(&w->conn, "ROLLBACK");
}

int writer_commit(writer *w, store_unit *first)
{
    sqlite3_stmt *st = writer_statement(w, W_BATCH);
    int rc = st ? writer_run(w, W_BEGIN) : writer_error(w);

    w->checked = 0;
    w->rows = 0;
    w->skew_ms = 0;
    for (store_unit *u = first; u && rc == SQLITE_OK; u = u->next)
        rc = apply(w, u);
    if (rc == SQLITE_OK && w->rows == 0) {
        roll_back(w); /* each unit was refused, or was there already */
        return SQLITE_OK;
    }
    if (rc == SQLITE_OK) {
        bind_key(st, 1, w->batch + 1);
        sqlite3_bind_int64(st, 2, w->skew_ms);
        rc = conn_run(st);
    }
    if (rc == SQLITE_OK) {
        int64_t from_ns = clock_monotonic_ns();

        rc = writer_run(w, W_COMMIT);
        w->sync_ns = clock_monotonic_ns() - from_ns;
        if (rc == SQLITE_NOMEM) /* perhaps after it was written: ambiguous */
            rc = SQLITE_IOERR_NOMEM;
    }
    if (rc == SQLITE_OK)
        w->batch++;
    else
        roll_back(w);
    return rc;
}

static int raise_term(writer *w, const char *owner, uint64_t *out_term)
{
    sqlite3_stmt *st;
    int64_t term = 0;
    int rc = conn_number(&w->conn, "SELECT max(term) FROM shard_lease", &term);

    if (rc != SQLITE_OK)
        return rc;
    if (owner)
        term++;
    /* No expiry: the lease lasts as long as the lock on the lock file. */
    rc = sqlite3_prepare_v2(w->conn.db,
                            "UPDATE shard_lease SET owner = ?1, term = ?2, expiry_ms = NULL", -1,
                            &st, NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_bind_text(st, 1, owner, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, term);
    sqlite3_step(st);
    rc = sqlite3_finalize(st);
    if (out_term)
        *out_term = (uint64_t)term;
    return rc;
}

int writer_lease(writer *w, const char *owner, uint64_t *out_term)
{
    int rc = writer_run(w, W_BEGIN);

    if (rc == SQLITE_OK)
        rc = raise_term(w, owner, out_term);
    if (rc == SQLITE_OK)
        rc = writer_run(w, W_COMMIT);
    if (rc != SQLITE_OK)
        roll_back(w);
    return rc;
}

int writer_read_batch(writer *w, uint64_t *out)
{
    int64_t batch = 0;
    int rc = conn_number(&w->conn, "SELECT batch FROM store WHERE id = 1", &batch);

    *out = (uint64_t)batch;
    return rc;
}
