/* Cancels: a durable item in the inbox, answered once it is stored, then delivered to whoever has the execution. */
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

typedef struct cancel_job {
    unit_job job; /* first */
    inbox_item item;
    cancel_request *request;
} cancel_job;

static void answer(cancel_request *r, int32_t code)
{
    r->code = code;
    r->done(r);
}

static void not_cancelled_read(void *ctx, int32_t code, execution_row *row, orch_error *error)
{
    cancel_request *r = ctx;

    (void)row;
    if (code) {
        r->error = error_copy(error);
    } else {
        code = error_set(&r->error, ORCH_E_FAILED_PRECONDITION, r->id,
                         "execution '%s' has ended already", r->id);
    }
    answer(r, code);
}

static void deliver(orchestrator *o, uint64_t key, inbox_item *item)
{
    live *l = live_find(o, key);

    if (!l) {
        reads_live(o, key);
        return;
    }
    l->inbox_seq = item->seq;
    if (!l->cancel_seq) {
        l->cancel_seq = item->seq;
        l->cancel = bytes_ref(item->payload);
    }
    if (l->phase == PHASE_HANDED)
        dispatch_inbox(l, item->seq, item->kind, item->payload);
    else if (l->phase == PHASE_PENDING)
        dispatch_on_timer(l);
    /* loading, detached: seen when that is over; ending: too late */
}

static void cancel_done(unit_job *j)
{
    cancel_job *c = (cancel_job *)j;
    cancel_request *r = c->request;
    orchestrator *o = j->o;
    int32_t code = j->unit.result;
    uint64_t key = j->unit.key;

    if (!code)
        deliver(o, key, &c->item);
    inbox_item_clear(&c->item);
    mem_free(c);
    if (code == ORCH_E_FAILED_PRECONDITION) {
        reads_row(o, key, NULL, not_cancelled_read, r);
        return;
    }
    if (code)
        error_set(&r->error, code, r->id, "the cancel could not be recorded: %s",
                  orch_code_name(code));
    answer(r, code);
}

static void submit(orchestrator *o, uint64_t key, cancel_request *r)
{
    cancel_job *c = mem_zalloc(sizeof *c);

    if (!c) {
        r->code = error_no_memory(&r->error);
        list_push(&o->answered_cancels, &r->link);
        return;
    }
    c->request = r;
    c->item.kind = INBOX_CANCEL;
    c->item.at_ms = o->now_ms;
    c->item.payload = bytes_ref(r->reason);
    unit_init(&c->job, o, key, cancel_done);
    c->job.unit.must_be_open = true;
    c->job.unit.inbox_put = &c->item;
    unit_submit(&c->job);
}

typedef struct find_job {
    orchestrator *o;
    cancel_request *request;
} find_job;

static void found(void *ctx, int32_t code, execution_row *row, orch_error *error)
{
    find_job f = *(find_job *)ctx;

    mem_free(ctx);
    if (code) {
        f.request->error = error_copy(error);
        answer(f.request, code);
    } else if (f.o->stopping) { /* the store may take nothing any more */
        code = error_set(&f.request->error, ORCH_E_CANCELLED, f.request->id,
                         "the orchestrator stops: the cancel was not recorded");
        answer(f.request, code);
    } else {
        submit(f.o, row->key, f.request);
    }
}

void orchestrator_cancel(orchestrator *o, cancel_request *r)
{
    uint64_t key;
    find_job *f;

    list_init(&r->link);
    if (o->stopping) {
        r->code = error_set(&r->error, ORCH_E_FAILED_PRECONDITION, NULL,
                            "the orchestrator is stopped");
        list_push(&o->answered_cancels, &r->link);
        return;
    }
    if (execution_id_parse(r->id, &key)) {
        submit(o, key, r);
        return;
    }
    f = mem_alloc(sizeof *f);
    if (!f) {
        r->code = error_no_memory(&r->error);
        list_push(&o->answered_cancels, &r->link);
        return;
    }
    *f = (find_job){o, r};
    reads_row(o, 0, r->id, found, f);
}

void cancel_answer_all(orchestrator *o)
{
    list *node;

    while ((node = list_pop(&o->answered_cancels))) {
        cancel_request *r = LIST_ENTRY(node, cancel_request, link);

        r->done(r);
    }
}
