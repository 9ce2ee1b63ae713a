/* A wait: until a time, for a signal, or for whichever comes first. */
#include "base/buf.h"
#include "base/mem.h"
#include "workflow/run_impl.h"

static void refuse(run *r, place at, bytes *error)
{
    checkpoint c = {.step = at.step, .index = at.index, .kind = CHECKPOINT_FAILED};

    c.started_ms = r->now_ms;
    c.error = error ? error : bytes_ref(r->no_memory);
    run_end_unit(r, at, &c);
}

/* Its `with` is evaluated: when it ends at the latest, and for what signal it waits. */
void run_due(run *r, place at, run_answer *a)
{
    checkpoint c = {.step = at.step, .index = at.index, .kind = CHECKPOINT_WAITING};
    int32_t code = 0;
    timing *t;

    if (a->code) {
        refuse(r, at, run_error_wrap(a->error, a->code, "", NULL));
        return;
    }
    t = run_timing(r, at);
    if (!t)
        return;
    if (a->value)
        code = run_listener_new(at, a->value, &t->listener);
    if (code == ORCH_E_RESOURCE_EXHAUSTED) {
        run_no_memory(r);
        return;
    }
    if (code) {
        refuse(r, at, run_error(ORCH_E_INTERNAL, "what it waits for cannot be read"));
        return;
    }
    t->began_ms = c.started_ms = r->now_ms;
    if (!t->listener || a->due_ms) /* 0 is never, which only a signal may take */
        t->due_ms = a->due_ms > 0 ? a->due_ms : 1;
    c.due_ms = t->due_ms;
    c.output = a->value;
    a->value = NULL;
    run_node(r, at)->phase = PHASE_HOLDING;
    run_record(r, &c);
}

static void end(run *r, place at, checkpoint *c)
{
    c->step = at.step;
    c->index = at.index;
    c->started_ms = run_node(r, at)->timing->began_ms;
    run_end_unit(r, at, c);
}

static void succeed(run *r, place at)
{
    listener *l = run_node(r, at)->timing->listener;
    checkpoint c = {.kind = CHECKPOINT_SUCCEEDED};

    if (l) {
        c.inbox = MUTATED(SIGNAL_NOT_CONSUMED) ? 0 : l->seq;
        c.output = l->payload;
        l->payload = NULL;
    }
    end(r, at, &c);
}

/* It is stored that it waits: from now on time passes for it, and signals reach it. */
void run_sleep(run *r, place at)
{
    node *n = run_node(r, at);
    timing *t = n->timing;

    n->phase = PHASE_SLEEPING;
    if (t->listener && !t->listener->topic && !t->listener->has_heard &&
        !run_listen(r, t->listener)) {
        run_no_memory(r);
        return;
    }
    if (t->listener && t->listener->has_heard)
        succeed(r, at);
    else if (t->due_ms)
        run_set_timer(r, t);
}

/* The signal is there. A wait that does not sleep yet will find it then. */
void run_heard(run *r, place at)
{
    if (run_node(r, at)->phase == PHASE_SLEEPING)
        succeed(r, at);
}

static bytes *late_error(const listener *l)
{
    buf text = BUF_INIT;
    bytes *error = NULL;

    buf_printf(&text, "the signal '%s' did not come in time", l->key);
    if (!text.failed)
        error = run_error_text(ORCH_E_DEADLINE_EXCEEDED, text.data);
    buf_free(&text);
    return error;
}

void run_sleep_over(run *r, place at)
{
    const listener *l = run_node(r, at)->timing->listener;
    checkpoint c = {.kind = CHECKPOINT_FAILED};

    if (!l) {
        succeed(r, at);
        return;
    }
    c.error = late_error(l);
    if (!c.error)
        c.error = bytes_ref(r->no_memory);
    end(r, at, &c);
}
