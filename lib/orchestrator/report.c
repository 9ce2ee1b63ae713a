/* What engines say: reports become units of the store; what is stored is acknowledged. */
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"
#include "workflow/run.h"

#define SPARE_REPORTS 64

typedef struct report_job {
    unit_job job; /* first */
    message *report;
    execution_update update;
    inbox_item *notice;  /* of a child's end, for its parent */
    children_mark *mark; /* of an end that leaves children behind */
} report_job;

/* The report itself goes back as its acknowledgement. */
static void acknowledge(report_job *r, live *l)
{
    message *m = r->report;

    if (!l->channel)
        return; /* a later one covers it, or the next hand-over */
    r->report = NULL;
    message_reuse(m, MESSAGE_ACK, l->epoch);
    m->ack.seq = l->stored_seq;
    channel_send(l->channel, m);
}

/* Each step makes one, so a few are kept. */
static report_job *take_job(orchestrator *o)
{
    unit_job *spare = o->spare_reports;

    if (!spare)
        return mem_zalloc(sizeof(report_job));
    o->spare_reports = (unit_job *)spare->unit.next;
    o->spare_report_count--;
    mem_clear(spare, sizeof(report_job));
    return (report_job *)spare;
}

static void give_back(orchestrator *o, report_job *r)
{
    if (r->notice)
        inbox_item_clear(r->notice);
    if (r->mark)
        children_mark_clear(r->mark);
    mem_free(r->notice);
    mem_free(r->mark);
    if (o->spare_report_count == SPARE_REPORTS) {
        mem_free(r);
        return;
    }
    r->job.unit.next = (store_unit *)o->spare_reports;
    o->spare_reports = &r->job;
    o->spare_report_count++;
}

void report_free_spares(orchestrator *o)
{
    unit_job *next;

    for (unit_job *j = o->spare_reports; j; j = next) {
        next = (unit_job *)j->unit.next;
        mem_free(j);
    }
}

static enum execution_state state_of(uint8_t run_state)
{
    switch (run_state) {
    case RUN_SUCCEEDED: return EXECUTION_SUCCEEDED;
    case RUN_CANCELLED: return EXECUTION_CANCELLED;
    case RUN_TIMED_OUT: return EXECUTION_TIMED_OUT;
    default: return EXECUTION_FAILED;
    }
}

static void suspended(live *l, const execution_update *u)
{
    orchestrator *o = l->o;
    uint64_t key = l->key;

    live_tell(l, ORCH_LOG_DEBUG, "execution_suspended", NULL, "");
    if (u->state == EXECUTION_OPEN && !live_is_paused(l))
        queue_overflow(o, l->priority, key); /* the pause ended while it was put down */
    live_free(l);
    if (o->stopping)
        waiters_tell(o, key, ORCH_E_CANCELLED, NULL);
    wake_at(o, u->wake_ms);
}

static void completed(report_job *r, live *l)
{
    orchestrator *o = l->o;
    uint64_t key = l->key;

    end_reached(l, r->update.state, r->update.ended_ms, r->update.output, r->update.error);
    child_told(o, &r->job.unit);
    if (r->mark)
        children_end(o, key, r->job.unit.run, CONTROL_CANCEL, "its parent has ended");
}

static void tell_rows(const live *l, const store_unit *u)
{
    const definition *d = l->version->definition;

    for (uint32_t i = 0; i < u->checkpoint_count; i++) {
        const checkpoint *c = &u->checkpoints[i];
        bool failed = c->kind == CHECKPOINT_FAILED || c->kind == CHECKPOINT_UNDO_FAILED ||
                      c->kind == CHECKPOINT_HANDLER_FAILED;

        live_tell(l, failed ? ORCH_LOG_WARNING : ORCH_LOG_INFO, "step",
                  d && c->step < d->step_count ? d->steps[c->step].id : NULL,
                  checkpoint_kind_name(c->kind));
    }
}

static void stored(report_job *r, live *l)
{
    store_unit *u = &r->job.unit;

    if (events_wanted(l->o->ports.events))
        tell_rows(l, u);
    if (u->checkpoint_count)
        l->stored_seq = u->checkpoints[u->checkpoint_count - 1].seq;
    if (r->report->report.end == REPORT_COMPLETED && u->update)
        completed(r, l);
    else if (r->report->report.end == REPORT_SUSPENDED && u->update)
        suspended(l, &r->update);
    else if (u->checkpoint_count)
        acknowledge(r, l);
}

/* Something came into its inbox while it was being put down: the engine is to hear of it. */
static void come_back(live *l)
{
    if (!l->channel) { /* it broke meanwhile */
        dispatch_again(l);
        return;
    }
    l->phase = PHASE_HANDED;
    inbox_catch_up(l);
}

static void not_stored(report_job *r, live *l)
{
    orchestrator *o = l->o;
    int32_t code = r->job.unit.result;
    char made[EXECUTION_ID_LEN + 1];

    if (code == ORCH_E_ABORTED && l->inbox_seq > r->job.unit.inbox_seen &&
        r->report->report.end == REPORT_SUSPENDED && !o->stopping) {
        if (MUTATED(SUSPENSION_LET_GO))
            end_let_go(l);
        else
            come_back(l);
        return;
    }
    if (code !=
        ORCH_E_CANCELLED) /* given up with the store: the next opening goes on from before it */
        log_write(o->ports.log, ORCH_LOG_CRITICAL, "execution %s: its report was not stored: %s",
                  live_id(l, made), orch_code_name(code));
    if (code == ORCH_E_ABORTED)
        o->fenced = true;
    end_let_go(l);
}

/* Not where it was forgotten meanwhile, and even came again. */
static live *live_of(report_job *r)
{
    live *l = live_find(r->job.o, r->job.unit.key);

    return l && (epoch_compare(l->epoch, r->report->epoch) == 0 || MUTATED(EPOCH_NOT_CHECKED))
               ? l
               : NULL;
}

static void report_done(unit_job *j)
{
    report_job *r = (report_job *)j;
    live *l = live_of(r);

    if (l) {
        l->units--;
        if (j->unit.result)
            not_stored(r, l);
        else if (l->units == 0 && l->phase == PHASE_SETTLING)
            dispatch_settled(l);
        else
            stored(r, l);
    }
    message_free(r->report);
    give_back(j->o, r);
}

/* The number of the item from which on it is woken: as many children as it wants to hear of must have ended. */
static uint64_t wake_inbox(const live *l, const message *m)
{
    return l->inbox_seq + (m->report.wake_children ? m->report.wake_children : 1);
}

/* One whose workflow is paused, or was when its engine said so, stays open: the end of that pause brings it in, and nothing in
 * the store would. */
static void put_down(const live *l, const message *m, execution_update *out)
{
    if (!l->paused && (m->report.paused || live_is_paused(l)))
        *out = (execution_update){.state = EXECUTION_OPEN};
    else
        *out = (execution_update){
            .state = EXECUTION_SUSPENDED,
            .wake_ms = m->report.wake_ms == INT64_MAX ? 0 : m->report.wake_ms,
            .wake_inbox = wake_inbox(l, m),
        };
}

/* Executions that succeed have awaited all children but those of tasks. False if there is no memory. */
static bool fill_mark(const live *l, report_job *r)
{
    const message *m = r->report;

    if (!l->may_have_children && (!m->report.children || r->update.state == EXECUTION_SUCCEEDED))
        return true;
    r->mark = mem_zalloc(sizeof *r->mark);
    return r->mark && children_mark_set(r->mark, &r->job.unit, CONTROL_CANCEL);
}

/* What the unit does to the execution's row, if anything. False if there is no memory. */
static bool fill_update(live *l, report_job *r)
{
    message *m = r->report;
    store_unit *u = &r->job.unit;

    if (m->report.end == REPORT_COMPLETED) {
        r->update = (execution_update){
            .state = (uint8_t)state_of(m->report.state),
            .ended_ms = l->o->now_ms,
            .output = m->report.output,
            .error = m->report.error,
        };
        u->inbox_consumed = INT64_MAX;
        if (l->parent) {
            r->notice = mem_zalloc(sizeof *r->notice);
            if (!r->notice)
                return false;
            child_notice(l, &r->update, r->notice, u);
        }
        if (!fill_mark(l, r))
            return false;
    } else if (m->report.end == REPORT_SUSPENDED && m->report.inbox_seen >= l->inbox_seq &&
               m->report.refusals == l->refusals) {
        put_down(l, m, &r->update);
        u->check_inbox = !MUTATED(SUSPENDED_UNSEEN);
        u->inbox_seen = l->inbox_seq;
    } else {
        return true;
    }
    u->must_be_open = true;
    u->update = &r->update;
    l->phase = PHASE_ENDING;
    return true;
}

/* Drop what came before (after a reattachment); false if something is missing between. */
static bool only_new(live *l, message *m, uint32_t *skip)
{
    const checkpoint *rows = m->rows;
    uint32_t n = m->report.count, i = 0;

    while (i < n && rows[i].seq <= l->received_seq)
        i++;
    *skip = i;
    for (uint64_t seq = l->received_seq; i < n; i++)
        if (rows[i].seq != ++seq)
            return false;
    return true;
}

/* A child that is refused gives the engine something to do, so the suspension waits until all are decided upon. */
static bool keep_suspension(live *l, message *m)
{
    if (m->report.end != REPORT_SUSPENDED || l->phase != PHASE_HANDED)
        return false;
    if (l->children_asked) {
        message_free(l->suspension);
        l->suspension = m;
        return true;
    }
    return false;
}

/* Takes the message over. */
static void on_report(live *l, message *m)
{
    report_job *r;
    uint32_t skip;

    if (l->phase != PHASE_HANDED || !only_new(l, m, &skip)) {
        message_free(m);
        if (l->phase == PHASE_HANDED)
            dispatch_again(l);
        return;
    }
    r = take_job(l->o);
    if (!r) {
        message_free(m);
        dispatch_later(l);
        return;
    }
    r->report = m;
    unit_init(&r->job, l->o, l->key, report_done);
    r->job.unit.run = l->run;
    r->job.unit.checkpoints = m->rows ? m->rows + skip : NULL; /* an end alone has none */
    r->job.unit.checkpoint_count = m->report.count - skip;
    if (l->units) /* in the store's queue or kept: no row without those before it */
        r->job.unit.after_seq = l->received_seq;
    if (!fill_update(l, r)) {
        message_free(m);
        give_back(l->o, r);
        dispatch_later(l);
        return;
    }
    if (!r->job.unit.update && !r->job.unit.checkpoint_count) {
        message_free(m);
        give_back(l->o, r);
        return;
    }
    if (m->rows && m->report.count > skip)
        l->received_seq = m->rows[m->report.count - 1].seq;
    unit_submit_patiently(&r->job, l);
}

void report_suspension_void(live *l)
{
    if (!l->suspension)
        return;
    message_free(l->suspension);
    l->suspension = NULL;
}

void report_suspension_again(live *l)
{
    message *m = l->suspension;

    if (!m || l->children_asked || l->phase != PHASE_HANDED)
        return;
    l->suspension = NULL;
    on_report(l, m);
}

/* Who hears from this channel is the newest hand-over's engine. */
static void confirm(live *l, uint64_t number)
{
    message *m = message_new(MESSAGE_CONFIRMATION, l->epoch);

    if (!m) {
        if (l->phase == PHASE_HANDED)
            dispatch_later(l);
        return;
    }
    m->confirmation.number = number;
    channel_send(l->channel, m);
}

static void on_accepted(live *l, const message *m)
{
    l->told_seq = m->accepted.inbox_seen;
    l->refusals = 0;
    engines_well(l->o, l->engine);
    l->o->engines[l->engine].instance = m->accepted.instance;
    if (engines_are_remote(l->o, l->engine))
        l->instance = m->accepted.instance;
    dispatch_attached(l);
    if (m->accepted.number && l->channel)
        confirm(l, m->accepted.number);
}

static void tell_started(const live *l, const message *m)
{
    const definition *d = l->version->definition;
    uint32_t step = m->step_started.step;

    live_tell(l, ORCH_LOG_DEBUG, "step", d && step < d->step_count ? d->steps[step].id : NULL,
              "running");
}

static void on_message(void *ctx, channel *c, message *m)
{
    live *l = ctx;
    message *stop;

    if (epoch_compare(m->epoch, l->epoch) != 0 && !MUTATED(EPOCH_NOT_CHECKED)) { /* a zombie */
        stop = message_new(MESSAGE_STOP, m->epoch);
        if (stop)
            channel_send(c, stop);
        message_free(m);
        return;
    }
    switch (m->kind) {
    case MESSAGE_REPORT:
        if (!keep_suspension(l, m))
            on_report(l, m);
        return;
    case MESSAGE_START_CHILD: child_start_asked(l, m); break;
    case MESSAGE_CANCEL_CHILD: child_cancel_asked(l, m); break;
    case MESSAGE_ACCEPTED: on_accepted(l, m); break;
    case MESSAGE_REFUSED: dispatch_refused(l, m); break;
    case MESSAGE_NEED_DEFINITION: dispatch_definition(l); break;
    case MESSAGE_NEED_CONFIRMATION: confirm(l, m->confirmation.number); break;
    case MESSAGE_STEP_STARTED: tell_started(l, m); break;
    default: break;
    }
    message_free(m);
}

static void on_closed(void *ctx, channel *c, int32_t code)
{
    (void)c;
    dispatch_on_lost(ctx, code);
}

const channel_handler report_handler = {on_message, on_closed};
