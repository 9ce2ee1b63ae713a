/* Suspended executions whose time has come: made open in the store, and brought in. */
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

#define DUE_PAGE 256

typedef struct due_read {
    pool_read base; /* first */
    int64_t wake_by_ms;
    execution_page page;
    int64_t wake_ms;
} due_read;

static void due_free(due_read *r)
{
    execution_page_clear(&r->page);
    orch_error_free(r->base.error);
    mem_free(r);
}

static due_read *due_new(void (*read)(pool_read *r), void (*back)(pool_read *r))
{
    due_read *r = mem_zalloc(sizeof *r);

    if (r) {
        r->base.read = read;
        r->base.back = back;
    }
    return r;
}

/* Takes r over. False if it could not be queued. */
static bool submit(orchestrator *o, due_read *r)
{
    if (r && reads_submit(o, &r->base))
        return true;
    if (r)
        due_free(r);
    return false;
}

typedef struct wake_job {
    unit_job job; /* first */
    execution_update update;
} wake_job;

static void wake_known(pool_read *base)
{
    due_read *r = (due_read *)base;
    orchestrator *o = base->o;

    o->reading_due = false;
    wake_at(o, base->code ? o->now_ms + READ_RETRY_MS : r->wake_ms);
    due_free(r);
}

static void read_next_wake(pool_read *base)
{
    due_read *r = (due_read *)base;
    store *s = &base->o->ports.store;

    base->code = s->ops->next_wake(s->self, &r->wake_ms, &base->error);
}

/* Once all that were woken are no longer suspended in the store: when is the next one due? */
static void ask_next_wake(orchestrator *o)
{
    due_read *r = due_new(read_next_wake, wake_known);

    o->reading_due = submit(o, r);
    if (!o->reading_due)
        wake_at(o, o->now_ms + READ_RETRY_MS);
}

/* Those that could not be woken are still suspended in the store, and due. */
static void due_is_over(orchestrator *o)
{
    if (!o->wake_failed) {
        ask_next_wake(o);
        return;
    }
    o->wake_failed = false;
    o->reading_due = false;
    wake_at(o, o->now_ms + READ_RETRY_MS);
}

static void woken(unit_job *j)
{
    orchestrator *o = j->o;

    if (j->unit.result && j->unit.result != ORCH_E_FAILED_PRECONDITION) /* that: it has ended */
        o->wake_failed = true;
    else if (!j->unit.result && !live_find(o, j->unit.key)) /* there was no room for it; */
        queue_overflow_any(o, j->unit.key); /* its priority may have changed since it was read */
    mem_free(j);
    if (--o->waking == 0)
        due_is_over(o);
}

static void wake(orchestrator *o, execution_row *row)
{
    wake_job *w = mem_zalloc(sizeof *w);

    if (!w) {
        o->wake_failed = true;
        return;
    }
    w->update.state = EXECUTION_OPEN;
    unit_init(&w->job, o, row->key, woken);
    w->job.unit.must_be_open = true;
    w->job.unit.update = &w->update;
    o->waking++;
    if (queue_has_room(o))
        queue_bring_in(o, row, false);
    unit_submit(&w->job);
}

static void read_due(pool_read *base)
{
    due_read *r = (due_read *)base;
    store *s = &base->o->ports.store;

    base->code = s->ops->load_due(s->self, r->wake_by_ms, DUE_PAGE, &r->page, &base->error);
}

static void due_back(pool_read *base)
{
    due_read *r = (due_read *)base;
    orchestrator *o = base->o;

    if (base->code) {
        log_write(o->ports.log, ORCH_LOG_ERROR, "reading who is due: %s",
                  orch_error_message(base->error));
        o->reading_due = false;
        wake_at(o, o->now_ms + READ_RETRY_MS);
        due_free(r);
        return;
    }
    for (size_t i = 0; i < r->page.count && !o->stopping; i++)
        wake(o, &r->page.rows[i]);
    if (!o->waking)
        due_is_over(o);
    due_free(r);
}

void wake_look(orchestrator *o)
{
    due_read *r;

    if (o->reading_due || o->stopping || o->wake_ms > o->now_ms || doubt_at_opening(o))
        return;
    o->wake_ms = INT64_MAX;
    r = due_new(read_due, due_back);
    if (r)
        r->wake_by_ms = o->now_ms;
    o->reading_due = submit(o, r);
    if (!o->reading_due)
        wake_at(o, o->now_ms + READ_RETRY_MS);
}

void wake_at(orchestrator *o, int64_t wake_ms)
{
    if (wake_ms && wake_ms < o->wake_ms)
        o->wake_ms = wake_ms;
}
