/* Messages to bytes: protobuf-c's structs point at what the message owns, and are packed at once. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/unconst.h"
#include "transport/wire_impl.h"

/* All that one message can be made of. */
typedef struct encoding {
    PB(Epoch) epoch;
    PB(ToEngine) down;
    PB(ToOrchestrator) up;
    union {
        PB(Start) start;
        PB(Attach) attach;
        PB(Definition) definition;
        PB(Ack) ack;
        PB(InboxItem) inbox;
        PB(Stop) stop;
        PB(ChildRefused) child_refused;
        PB(Pause) pause;
        PB(Confirmation) confirmation;
        PB(Accepted) accepted;
        PB(Refused) refused;
        PB(NeedDefinition) need_definition;
        PB(NeedConfirmation) need_confirmation;
        PB(StepStarted) step_started;
        PB(Report) report;
        PB(StartChild) start_child;
        PB(CancelChild) cancel_child;
    };
    PB(Checkpoint) * rows;
    PB(Checkpoint) * *row_places;
    PB(InboxItem) * notes;
    PB(InboxItem) * *note_places;
    PB(Checkpoint) one; /* most reports carry one */
    PB(Checkpoint) * one_place;
} encoding;

static ProtobufCBinaryData binary(const bytes *b)
{
    return b ? (ProtobufCBinaryData){b->len, unconst(b->data)} : (ProtobufCBinaryData){0, NULL};
}

static ProtobufCBinaryData binary_digest(const digest *d)
{
    return (ProtobufCBinaryData){sizeof d->b, unconst(d->b)};
}

static char *text(const char *s)
{
    return unconst(s ? s : protobuf_c_empty_string);
}

/* A field of which 0 says something: given, or not. */
#define GIVE(to, Type, FIELD, field, value)                              \
    do {                                                                 \
        (to)->field##_given_case = PB_ENUM(Type##FIELD##_GIVEN_##FIELD); \
        (to)->field = (value);                                           \
    } while (0)
#define GIVE_INDEX(to, Type, value)                \
    do {                                           \
        if ((value) != INDEX_NONE)                 \
            GIVE(to, Type, INDEX, index, (value)); \
    } while (0)

static void fill_checkpoint(PB(Checkpoint) * to, const checkpoint *c)
{
    orch__v1__checkpoint__init(to);
    to->seq = c->seq;
    if (c->step != STEP_NONE)
        GIVE(to, CHECKPOINT__, STEP, step, c->step);
    GIVE_INDEX(to, CHECKPOINT__, c->index);
    to->attempt = c->attempt;
    to->kind = (PB(Checkpoint__Kind))c->kind;
    to->started_ms = c->started_ms;
    to->ended_ms = c->ended_ms;
    to->due_ms = c->due_ms;
    to->output = binary(c->output);
    to->error = binary(c->error);
    to->inbox_seq = c->inbox;
}

static bool fill_checkpoints(encoding *e, const checkpoint *rows, uint32_t count)
{
    if (count == 1) {
        fill_checkpoint(&e->one, rows);
        e->one_place = &e->one;
        e->row_places = &e->one_place;
        return true;
    }
    if (!count)
        return true;
    e->rows = mem_calloc(count, sizeof *e->rows);
    e->row_places = mem_calloc(count, sizeof *e->row_places);
    if (!e->rows || !e->row_places)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        fill_checkpoint(&e->rows[i], &rows[i]);
        e->row_places[i] = &e->rows[i];
    }
    return true;
}

static void fill_note(PB(InboxItem) * to, const inbox_note *n)
{
    orch__v1__inbox_item__init(to);
    to->seq = n->seq;
    to->kind = (PB(InboxItem__Kind))n->kind;
    to->state = (PB(InboxItem__State))n->state;
    to->step = n->step;
    if (n->kind == NOTE_CHILD_ENDED)
        GIVE_INDEX(to, INBOX_ITEM__, n->index);
    to->attempt = n->attempt;
    to->name = text(n->name);
    to->correlation = binary(n->correlation);
    to->payload = binary(n->payload);
}

static bool fill_notes(encoding *e, const inbox_note *notes, uint32_t count)
{
    if (!count)
        return true;
    e->notes = mem_calloc(count, sizeof *e->notes);
    e->note_places = mem_calloc(count, sizeof *e->note_places);
    if (!e->notes || !e->note_places)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        fill_note(&e->notes[i], &notes[i]);
        e->note_places[i] = &e->notes[i];
    }
    return true;
}

/* ---- down ------------------------------------------------------------------------------------------------ */

static bool fill_start(encoding *e, const message_start *s)
{
    PB(Start) *to = &e->start;

    orch__v1__start__init(to);
    to->execution_id = text(s->execution);
    to->execution_key = s->key;
    to->run = s->run;
    to->definition_digest = binary_digest(&s->definition);
    to->input = binary(s->input);
    to->inbox_seq = s->inbox_seq;
    to->accepted_ms = s->accepted_ms;
    to->deadline_ms = s->deadline_ms;
    to->paused = s->paused;
    to->parent_id = text(s->parent);
    if (!fill_checkpoints(e, s->checkpoints, s->checkpoint_count) ||
        !fill_notes(e, s->inbox, s->inbox_count))
        return false;
    to->n_checkpoints = s->checkpoint_count;
    to->checkpoints = e->row_places;
    to->n_inbox = s->inbox_count;
    to->inbox = e->note_places;
    return true;
}

static void fill_child_refused(PB(ChildRefused) * to, const message_child *c)
{
    orch__v1__child_refused__init(to);
    to->step = c->step;
    GIVE_INDEX(to, CHILD_REFUSED__, c->index);
    to->attempt = c->attempt;
    to->code = -c->code;
    to->no_retry = c->no_retry;
    to->error = binary(c->error);
}

#define DOWN(KIND, field)                                    \
    do {                                                     \
        e->down.kind_case = PB_ENUM(TO_ENGINE__KIND_##KIND); \
        e->down.field = &e->field;                           \
    } while (0)

static bool fill_down(encoding *e, const message *m)
{
    orch__v1__to_engine__init(&e->down);
    e->down.epoch = &e->epoch;
    switch (m->kind) {
    case MESSAGE_START: DOWN(START, start); return fill_start(e, m->start);
    case MESSAGE_ATTACH:
        orch__v1__attach__init(&e->attach);
        e->attach.execution_key = m->attach.key;
        e->attach.stored_seq = m->attach.stored_seq;
        e->attach.engine_instance = m->attach.instance;
        e->attach.number = m->attach.number;
        DOWN(ATTACH, attach);
        break;
    case MESSAGE_DEFINITION:
        orch__v1__definition__init(&e->definition);
        e->definition.digest = binary_digest(&m->definition.digest);
        e->definition.text = binary(m->definition.text);
        DOWN(DEFINITION, definition);
        break;
    case MESSAGE_ACK:
        orch__v1__ack__init(&e->ack);
        e->ack.seq = m->ack.seq;
        DOWN(ACK, ack);
        break;
    case MESSAGE_INBOX:
        fill_note(&e->inbox, &m->inbox);
        DOWN(INBOX, inbox);
        break;
    case MESSAGE_STOP:
        orch__v1__stop__init(&e->stop);
        DOWN(STOP, stop);
        break;
    case MESSAGE_CHILD_REFUSED:
        fill_child_refused(&e->child_refused, m->child);
        DOWN(CHILD_REFUSED, child_refused);
        break;
    case MESSAGE_CONFIRMATION:
        orch__v1__confirmation__init(&e->confirmation);
        e->confirmation.number = m->confirmation.number;
        DOWN(CONFIRMATION, confirmation);
        break;
    default: /* PAUSE */
        orch__v1__pause__init(&e->pause);
        e->pause.paused = m->pause.paused;
        DOWN(PAUSE, pause);
        break;
    }
    return true;
}

/* ---- up -------------------------------------------------------------------------------------------------- */

static bool fill_report(encoding *e, const message *m)
{
    PB(Report) *to = &e->report;

    orch__v1__report__init(to);
    to->end = (PB(Report__End))m->report.end;
    to->inbox_seen = m->report.inbox_seen;
    to->state = (PB(Report__State))m->report.state;
    to->output = binary(m->report.output);
    to->error = binary(m->report.error);
    to->children = m->report.children;
    to->wake_ms = m->report.wake_ms == INT64_MAX ? 0 : m->report.wake_ms;
    to->wake_children = m->report.wake_children;
    to->child_refusals = m->report.refusals;
    to->paused = m->report.paused;
    if (!fill_checkpoints(e, m->rows, m->report.count))
        return false;
    to->n_checkpoints = m->report.count;
    to->checkpoints = e->row_places;
    return true;
}

static void fill_start_child(PB(StartChild) * to, const message_child *c)
{
    orch__v1__start_child__init(to);
    to->step = c->step;
    GIVE_INDEX(to, START_CHILD__, c->index);
    to->attempt = c->attempt;
    to->id = text(c->id);
    to->workflow = text(c->spec.workflow);
    to->version = text(c->spec.version);
    to->inputs = binary(c->spec.inputs);
    to->abandon = c->spec.on_cancel == CHILD_ABANDON;
    if (c->spec.priority >= 0)
        GIVE(to, START_CHILD__, PRIORITY, priority, c->spec.priority);
    to->timeout_ms = c->spec.timeout_ms;
}

static void fill_cancel_child(PB(CancelChild) * to, const message_child *c)
{
    orch__v1__cancel_child__init(to);
    to->step = c->step;
    GIVE_INDEX(to, CANCEL_CHILD__, c->index);
    to->attempt = c->attempt;
    to->id = text(c->id);
    to->reason = binary(c->error);
}

static void fill_step_started(PB(StepStarted) * to, const message *m)
{
    orch__v1__step_started__init(to);
    if (m->step_started.step != STEP_NONE)
        GIVE(to, STEP_STARTED__, STEP, step, m->step_started.step);
    GIVE_INDEX(to, STEP_STARTED__, m->step_started.index);
    to->attempt = m->step_started.attempt;
    to->role = (PB(StepStarted__Role))m->step_started.role;
    to->at_ms = m->step_started.at_ms;
}

#define UP(KIND, field)                                          \
    do {                                                         \
        e->up.kind_case = PB_ENUM(TO_ORCHESTRATOR__KIND_##KIND); \
        e->up.field = &e->field;                                 \
    } while (0)

static bool fill_up(encoding *e, const message *m)
{
    orch__v1__to_orchestrator__init(&e->up);
    e->up.epoch = &e->epoch;
    switch (m->kind) {
    case MESSAGE_ACCEPTED:
        orch__v1__accepted__init(&e->accepted);
        e->accepted.instance = m->accepted.instance;
        e->accepted.last_seq = m->accepted.last_seq;
        e->accepted.inbox_seen = m->accepted.inbox_seen;
        e->accepted.confirmation = m->accepted.number;
        UP(ACCEPTED, accepted);
        break;
    case MESSAGE_REFUSED:
        orch__v1__refused__init(&e->refused);
        e->refused.code = -m->refused.code;
        e->refused.instance = m->refused.instance;
        e->refused.message = text(m->refused.message ? m->refused.message->data : NULL);
        UP(REFUSED, refused);
        break;
    case MESSAGE_NEED_DEFINITION:
        orch__v1__need_definition__init(&e->need_definition);
        e->need_definition.digest = binary_digest(&m->definition.digest);
        UP(NEED_DEFINITION, need_definition);
        break;
    case MESSAGE_NEED_CONFIRMATION:
        orch__v1__need_confirmation__init(&e->need_confirmation);
        e->need_confirmation.number = m->confirmation.number;
        UP(NEED_CONFIRMATION, need_confirmation);
        break;
    case MESSAGE_STEP_STARTED:
        fill_step_started(&e->step_started, m);
        UP(STEP_STARTED, step_started);
        break;
    case MESSAGE_START_CHILD:
        fill_start_child(&e->start_child, m->child);
        UP(START_CHILD, start_child);
        break;
    case MESSAGE_CANCEL_CHILD:
        fill_cancel_child(&e->cancel_child, m->child);
        UP(CANCEL_CHILD, cancel_child);
        break;
    default: UP(REPORT, report); return fill_report(e, m);
    }
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------------------- */

static bool pack(const ProtobufCMessage *m, buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(m);

    buf_clear(out);
    if (size > WIRE_MESSAGE_BYTES || !buf_room(out, size))
        return false;
    out->len = protobuf_c_message_pack(m, (uint8_t *)out->data);
    return true;
}

static bool encode(const message *m, buf *out)
{
    encoding e;
    bool down = wire_is_to_engine(m->kind), ok;

    e.rows = NULL;
    e.row_places = NULL;
    e.notes = NULL;
    e.note_places = NULL;
    orch__v1__epoch__init(&e.epoch);
    e.epoch.term = m->epoch.term;
    e.epoch.counter = m->epoch.counter;
    ok = (down ? fill_down(&e, m) : fill_up(&e, m)) && pack(down ? &e.down.base : &e.up.base, out);
    if (e.row_places != &e.one_place)
        mem_free(e.row_places);
    mem_free(e.rows);
    mem_free(e.notes);
    mem_free(e.note_places);
    return ok;
}

/* One part, with what it is packed into behind the bytes that it is of. */
static void pack_part(wire_writer *w, size_t size)
{
    PB(Part) part = ORCH__V1__PART__INIT;
    PB(ToEngine) d = ORCH__V1__TO_ENGINE__INIT;
    PB(ToOrchestrator) u = ORCH__V1__TO_ORCHESTRATOR__INIT;

    part.data = (ProtobufCBinaryData){size, (uint8_t *)w->whole.data + w->at};
    part.more = w->at + size < w->whole.len;
    if (w->to_engine) {
        d.kind_case = ORCH__V1__TO_ENGINE__KIND_PART;
        d.part = &part;
    } else {
        u.kind_case = ORCH__V1__TO_ORCHESTRATOR__KIND_PART;
        u.part = &part;
    }
    pack(w->to_engine ? &d.base : &u.base, &w->part);
}

int32_t wire_write(wire_writer *w, const message *m, size_t part_bytes)
{
    w->at = 0;
    w->to_engine = wire_is_to_engine(m->kind);
    if (encode(m, &w->whole) &&
        (w->whole.len <= part_bytes || buf_room(&w->part, part_bytes + WIRE_PART_OVERHEAD)))
        return 0; /* no part can fail */
    wire_writer_free(w);
    return ORCH_E_RESOURCE_EXHAUSTED;
}

bool wire_next(wire_writer *w, size_t part_bytes, const void **data, size_t *len)
{
    size_t left = w->whole.len - w->at, size = left < part_bytes ? left : part_bytes;

    if (!left) {
        if (w->whole.cap > WIRE_PART_BYTES || w->part.cap)
            wire_writer_free(w); /* long ones are rare */
        return false;
    }
    if (w->whole.len <= part_bytes) {
        *data = w->whole.data;
        *len = size;
    } else {
        pack_part(w, size);
        *data = w->part.data;
        *len = w->part.len;
    }
    w->at += size;
    return true;
}

void wire_writer_free(wire_writer *w)
{
    buf_free(&w->whole);
    buf_free(&w->part);
    w->at = 0;
}
