/* Bytes to messages. They come from another process, which may be of another version, or mean harm: whatever is used as a number of
 * ours is looked at here. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "transport/wire_impl.h"

/* ---- parts of messages ----------------------------------------------------------------------------------- */

/* False if there is no memory. */
static bool take_bytes(const ProtobufCBinaryData *in, bytes **out)
{
    *out = in->len ? bytes_new(in->data, in->len) : NULL;
    return *out || !in->len;
}

static bool take_text(const char *in, char **out)
{
    *out = in && *in ? mem_strdup(in) : NULL;
    return *out || !in || !*in;
}

static int32_t wrong(orch_error **err, const char *what)
{
    return error_set(err, ORCH_E_INVALID_ARGUMENT, what,
                     "what came is no message of the execution protocol: %s is wrong", what);
}

static int32_t take_digest(const ProtobufCBinaryData *in, digest *out, orch_error **err)
{
    if (in->len != sizeof out->b)
        return wrong(err, "a digest");
    memcpy(out->b, in->data, sizeof out->b);
    return 0;
}

static int32_t take_code(int32_t in, int32_t *out, orch_error **err)
{
    if (in < 1 || in > 16)
        return wrong(err, "a code");
    *out = -in;
    return 0;
}

#define INDEX_OF(m, TYPE) \
    ((m)->index_given_case == PB_ENUM(TYPE##__INDEX_GIVEN_INDEX) ? (m)->index : INDEX_NONE)

static int32_t take_checkpoint(const PB(Checkpoint) * in, checkpoint *out, orch_error **err)
{
    bool of_step = in->step_given_case == ORCH__V1__CHECKPOINT__STEP_GIVEN_STEP;

    if ((uint32_t)in->kind < CHECKPOINT_DECIDED || (uint32_t)in->kind > CHECKPOINT_HANDLER_FAILED)
        return wrong(err, "a checkpoint's kind");
    if (!in->seq)
        return wrong(err, "a checkpoint's seq");
    *out = (checkpoint){
        .seq = in->seq,
        .step = of_step ? in->step : STEP_NONE,
        .index = INDEX_OF(in, CHECKPOINT),
        .attempt = in->attempt,
        .kind = (uint8_t)in->kind,
        .started_ms = in->started_ms,
        .ended_ms = in->ended_ms,
        .due_ms = in->due_ms,
        .inbox = in->inbox_seq,
    };
    return take_bytes(&in->output, &out->output) && take_bytes(&in->error, &out->error)
               ? 0
               : error_no_memory(err);
}

static int32_t take_note(const PB(InboxItem) * in, inbox_note *out, orch_error **err)
{
    bool child = in->kind == ORCH__V1__INBOX_ITEM__KIND__CHILD_ENDED;

    if ((uint32_t)in->kind < NOTE_CANCEL || (uint32_t)in->kind > NOTE_WAKE)
        return wrong(err, "an inbox item's kind");
    if (child && ((uint32_t)in->state < NOTE_SUCCEEDED || (uint32_t)in->state > NOTE_TIMED_OUT))
        return wrong(err, "an inbox item's state");
    *out = (inbox_note){
        .seq = in->seq,
        .kind = (uint8_t)in->kind,
        .state = (uint8_t)in->state,
        .step = in->step,
        .index = INDEX_OF(in, INBOX_ITEM),
        .attempt = in->attempt,
    };
    return take_text(in->name, &out->name) && take_bytes(&in->correlation, &out->correlation) &&
                   take_bytes(&in->payload, &out->payload)
               ? 0
               : error_no_memory(err);
}

static message_child *child_new(uint32_t step, uint32_t index, uint32_t attempt)
{
    message_child *c = mem_zalloc(sizeof *c);

    if (!c)
        return NULL;
    c->step = step;
    c->index = index;
    c->attempt = attempt;
    return c;
}

/* ---- down ------------------------------------------------------------------------------------------------ */

static int32_t take_history(const PB(Start) * in, message_start *s, orch_error **err)
{
    if (!in->n_checkpoints)
        return 0;
    s->checkpoints = mem_calloc(in->n_checkpoints, sizeof *s->checkpoints);
    if (!s->checkpoints)
        return error_no_memory(err);
    for (size_t i = 0; i < in->n_checkpoints; i++) {
        int32_t rc;

        s->checkpoint_count++;
        rc = take_checkpoint(in->checkpoints[i], &s->checkpoints[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

static int32_t take_inbox(const PB(Start) * in, message_start *s, orch_error **err)
{
    if (!in->n_inbox)
        return 0;
    s->inbox = mem_calloc(in->n_inbox, sizeof *s->inbox);
    if (!s->inbox)
        return error_no_memory(err);
    for (size_t i = 0; i < in->n_inbox; i++) {
        int32_t rc;

        s->inbox_count++;
        rc = take_note(in->inbox[i], &s->inbox[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

static int32_t take_start(const PB(Start) * in, message *m, orch_error **err)
{
    message_start *s = m->start = mem_zalloc(sizeof *s);
    int32_t rc;

    if (!s)
        return error_no_memory(err);
    if (!*in->execution_id)
        return wrong(err, "an execution's id");
    s->key = in->execution_key;
    s->run = in->run;
    s->inbox_seq = in->inbox_seq;
    s->accepted_ms = in->accepted_ms;
    s->deadline_ms = in->deadline_ms;
    s->paused = in->paused;
    if (!take_text(in->execution_id, &s->execution) || !take_text(in->parent_id, &s->parent) ||
        !take_bytes(&in->input, &s->input))
        return error_no_memory(err);
    rc = take_digest(&in->definition_digest, &s->definition, err);
    if (!rc)
        rc = take_history(in, s, err);
    return rc ? rc : take_inbox(in, s, err);
}

static int32_t take_definition(const PB(Definition) * in, message *m, orch_error **err)
{
    int32_t rc = take_digest(&in->digest, &m->definition.digest, err);

    if (!rc && !in->text.len)
        rc = wrong(err, "a definition");
    return rc || take_bytes(&in->text, &m->definition.text) ? rc : error_no_memory(err);
}

static int32_t take_child_refused(const PB(ChildRefused) * in, message *m, orch_error **err)
{
    message_child *c = m->child = child_new(in->step, INDEX_OF(in, CHILD_REFUSED), in->attempt);

    if (!c || !take_bytes(&in->error, &c->error))
        return error_no_memory(err);
    c->no_retry = in->no_retry;
    return take_code(in->code, &c->code, err);
}

/* MESSAGE_ kinds by the number of their field, less 2. */
static int32_t down_kind(const PB(ToEngine) * in)
{
    static const uint8_t kinds[] = {MESSAGE_START,         MESSAGE_ATTACH, MESSAGE_DEFINITION,
                                    MESSAGE_ACK,           MESSAGE_INBOX,  MESSAGE_STOP,
                                    MESSAGE_CHILD_REFUSED, MESSAGE_PAUSE,  MESSAGE_CONFIRMATION};
    unsigned i = (unsigned)in->kind_case - ORCH__V1__TO_ENGINE__KIND_START;

    return i < sizeof kinds ? kinds[i] : -1;
}

static int32_t fill_down(const PB(ToEngine) * in, message *m, orch_error **err)
{
    switch (m->kind) {
    case MESSAGE_START: return take_start(in->start, m, err);
    case MESSAGE_DEFINITION: return take_definition(in->definition, m, err);
    case MESSAGE_CHILD_REFUSED: return take_child_refused(in->child_refused, m, err);
    case MESSAGE_INBOX: return take_note(in->inbox, &m->inbox, err);
    case MESSAGE_ATTACH:
        m->attach.key = in->attach->execution_key;
        m->attach.stored_seq = in->attach->stored_seq;
        m->attach.instance = in->attach->engine_instance;
        m->attach.number = in->attach->number;
        break;
    case MESSAGE_ACK: m->ack.seq = in->ack->seq; break;
    case MESSAGE_PAUSE: m->pause.paused = in->pause->paused; break;
    case MESSAGE_CONFIRMATION: m->confirmation.number = in->confirmation->number; break;
    default: break; /* STOP says no more */
    }
    return 0;
}

/* ---- up -------------------------------------------------------------------------------------------------- */

static int32_t take_rows(const PB(Report) * in, message *m, orch_error **err)
{
    for (size_t i = 0; i < in->n_checkpoints; i++) {
        checkpoint c = {0};
        int32_t rc = message_report_reserve(m) ? take_checkpoint(in->checkpoints[i], &c, err)
                                               : error_no_memory(err);

        if (rc) {
            checkpoint_clear(&c);
            return rc;
        }
        message_report_add(m, &c);
    }
    return 0;
}

static int32_t take_report(const PB(Report) * in, message *m, orch_error **err)
{
    if ((uint32_t)in->end > REPORT_SUSPENDED)
        return wrong(err, "a report's end");
    if (in->end == ORCH__V1__REPORT__END__COMPLETED && (in->state < 1 || in->state > 4))
        return wrong(err, "a report's state");
    m->report.end = (uint8_t)in->end;
    m->report.state = (uint8_t)in->state;
    m->report.inbox_seen = in->inbox_seen;
    m->report.children = in->children;
    m->report.wake_ms = in->wake_ms > 0 ? in->wake_ms : INT64_MAX;
    m->report.wake_children = in->wake_children;
    m->report.refusals = in->child_refusals;
    m->report.paused = in->paused;
    if (!take_bytes(&in->output, &m->report.output) || !take_bytes(&in->error, &m->report.error))
        return error_no_memory(err);
    return take_rows(in, m, err);
}

static int32_t take_start_child(const PB(StartChild) * in, message *m, orch_error **err)
{
    message_child *c = m->child = child_new(in->step, INDEX_OF(in, START_CHILD), in->attempt);
    bool given = in->priority_given_case == ORCH__V1__START_CHILD__PRIORITY_GIVEN_PRIORITY;

    if (!c)
        return error_no_memory(err);
    if (!*in->id || strlen(in->id) > CHILD_ID_MAX)
        return wrong(err, "a child's id");
    if (!*in->workflow)
        return wrong(err, "a child's workflow");
    if (in->timeout_ms < 0)
        return wrong(err, "a child's timeout");
    c->spec.priority = given ? in->priority : -1;
    if (given && (in->priority < 0 || in->priority > CHILD_PRIORITY_MAX))
        return wrong(err, "a child's priority");
    c->spec.on_cancel = in->abandon ? CHILD_ABANDON : CHILD_CANCEL;
    c->spec.timeout_ms = in->timeout_ms;
    return take_text(in->id, &c->id) && take_text(in->workflow, &c->spec.workflow) &&
                   take_text(in->version, &c->spec.version) &&
                   take_bytes(&in->inputs, &c->spec.inputs)
               ? 0
               : error_no_memory(err);
}

static int32_t take_cancel_child(const PB(CancelChild) * in, message *m, orch_error **err)
{
    message_child *c = m->child = child_new(in->step, INDEX_OF(in, CANCEL_CHILD), in->attempt);

    if (!c)
        return error_no_memory(err);
    if (!*in->id)
        return wrong(err, "a child's id");
    return take_text(in->id, &c->id) && take_bytes(&in->reason, &c->error) ? 0
                                                                           : error_no_memory(err);
}

static int32_t take_refused(const PB(Refused) * in, message *m, orch_error **err)
{
    m->refused.instance = in->instance;
    if (*in->message) {
        m->refused.message = bytes_new(in->message, strlen(in->message));
        if (!m->refused.message)
            return error_no_memory(err);
    }
    return take_code(in->code, &m->refused.code, err);
}

static int32_t take_step_started(const PB(StepStarted) * in, message *m, orch_error **err)
{
    bool of_step = in->step_given_case == ORCH__V1__STEP_STARTED__STEP_GIVEN_STEP;

    if ((uint32_t)in->role > 2)
        return wrong(err, "a role");
    m->step_started.step = of_step ? in->step : STEP_NONE;
    m->step_started.index = INDEX_OF(in, STEP_STARTED);
    m->step_started.attempt = in->attempt;
    m->step_started.role = (uint8_t)in->role;
    m->step_started.at_ms = in->at_ms;
    return 0;
}

static int32_t up_kind(const PB(ToOrchestrator) * in)
{
    static const uint8_t kinds[] = {
        MESSAGE_ACCEPTED, MESSAGE_REFUSED,     MESSAGE_NEED_DEFINITION, MESSAGE_STEP_STARTED,
        MESSAGE_REPORT,   MESSAGE_START_CHILD, MESSAGE_CANCEL_CHILD,    MESSAGE_NEED_CONFIRMATION};
    unsigned i = (unsigned)in->kind_case - ORCH__V1__TO_ORCHESTRATOR__KIND_ACCEPTED;

    return i < sizeof kinds ? kinds[i] : -1;
}

static int32_t fill_up(const PB(ToOrchestrator) * in, message *m, orch_error **err)
{
    switch (m->kind) {
    case MESSAGE_REPORT: return take_report(in->report, m, err);
    case MESSAGE_START_CHILD: return take_start_child(in->start_child, m, err);
    case MESSAGE_CANCEL_CHILD: return take_cancel_child(in->cancel_child, m, err);
    case MESSAGE_REFUSED: return take_refused(in->refused, m, err);
    case MESSAGE_STEP_STARTED: return take_step_started(in->step_started, m, err);
    case MESSAGE_NEED_DEFINITION:
        return take_digest(&in->need_definition->digest, &m->definition.digest, err);
    case MESSAGE_NEED_CONFIRMATION:
        m->confirmation.number = in->need_confirmation->number;
        return 0;
    default: /* ACCEPTED */
        m->accepted.instance = in->accepted->instance;
        m->accepted.last_seq = in->accepted->last_seq;
        m->accepted.inbox_seen = in->accepted->inbox_seen;
        m->accepted.number = in->accepted->confirmation;
        return 0;
    }
}

/* ---- all of it ------------------------------------------------------------------------------------------- */

static message *begin(int32_t kind, const PB(Epoch) * e, orch_error **err)
{
    message *m = message_new((enum message_kind)kind,
                             e ? (epoch){e->term, e->counter} : (epoch){0, 0});

    if (!m)
        error_no_memory(err);
    return m;
}

static int32_t finish(int32_t rc, message *m, message **out)
{
    if (rc) {
        message_free(m);
        return rc;
    }
    *out = m;
    return 0;
}

int32_t wire_decode_down(const PB(ToEngine) * in, message **out, orch_error **err)
{
    int32_t kind = down_kind(in);
    message *m;

    *out = NULL;
    if (kind < 0)
        return 0;
    m = begin(kind, in->epoch, err);
    return m ? finish(fill_down(in, m, err), m, out) : ORCH_E_RESOURCE_EXHAUSTED;
}

int32_t wire_decode_up(const PB(ToOrchestrator) * in, message **out, orch_error **err)
{
    int32_t kind = up_kind(in);
    message *m;

    *out = NULL;
    if (kind < 0)
        return 0;
    m = begin(kind, in->epoch, err);
    return m ? finish(fill_up(in, m, err), m, out) : ORCH_E_RESOURCE_EXHAUSTED;
}
