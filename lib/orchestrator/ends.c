/* Ends that need no engine: of executions that were cancelled, or ran out of time, while they waited. */
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

typedef struct end_job {
    unit_job job; /* first */
    execution_update update;
    inbox_item notice;  /* for its parent */
    children_mark mark; /* for its children */
} end_job;

bytes *end_error(int32_t code, const char *message)
{
    buf b = BUF_INIT;

    buf_printf(&b, "{\"code\":\"%s\",\"message\":", orch_code_name(code));
    buf_json_string(&b, message, strlen(message));
    buf_putc(&b, '}');
    return buf_bytes(&b);
}

void end_let_go(live *l)
{
    orchestrator *o = l->o;
    uint64_t key = l->key;

    live_free(l);
    if (o->stopping)
        waiters_tell(o, key, ORCH_E_CANCELLED, NULL);
    else
        waiters_look(o, key);
}

void end_look_again(live *l)
{
    orchestrator *o = l->o;
    uint64_t key = l->key;

    end_let_go(l);
    queue_overflow_any(o, key);
}

static void end_done(unit_job *j)
{
    end_job *e = (end_job *)j;
    live *l = live_find(j->o, j->unit.key);

    if (l && !j->unit.result) {
        end_reached(l, e->update.state, e->update.ended_ms, NULL, e->update.error);
        child_told(j->o, &j->unit);
        if (j->unit.put_setting)
            children_end(j->o, j->unit.key, j->unit.run, CONTROL_CANCEL, "its parent has ended");
    } else if (l && j->unit.result == ORCH_E_FAILED_PRECONDITION) {
        end_look_again(l); /* it had ended, or its row was of an old run */
    } else if (l) {
        end_let_go(l); /* the store is no longer ours, or we stop */
    }
    bytes_unref(e->update.error);
    inbox_item_clear(&e->notice);
    children_mark_clear(&e->mark);
    mem_free(e);
}

/* NULL if there is no memory. */
static end_job *end_new(live *l, enum execution_state state, bytes *error)
{
    end_job *e = error ? mem_zalloc(sizeof *e) : NULL;
    store_unit *u = e ? &e->job.unit : NULL;

    if (!e)
        return NULL;
    e->update = (execution_update){
        .state = (uint8_t)state, .ended_ms = l->o->now_ms, .error = error};
    unit_init(&e->job, l->o, l->key, end_done);
    u->must_be_open = true;
    u->update = &e->update;
    u->run = l->run;
    u->inbox_consumed = INT64_MAX;
    child_notice(l, &e->update, &e->notice, u);
    if (l->fresh || children_mark_set(&e->mark, u, CONTROL_CANCEL))
        return e;
    inbox_item_clear(&e->notice);
    mem_free(e);
    return NULL;
}

void end_now(live *l, enum execution_state state, bytes *error)
{
    orchestrator *o = l->o;
    end_job *e = end_new(l, state, error);

    queue_remove(l);
    if (!e) { /* it stays open in the store, and comes back from there */
        bytes_unref(error);
        queue_later(o, l->key);
        live_free(l);
        return;
    }
    l->phase = PHASE_ENDING;
    unit_submit_patiently(&e->job, l);
}
