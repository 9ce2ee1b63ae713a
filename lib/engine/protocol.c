/* The engine's side of the execution protocol: what comes down a channel, and the reports that go up. */
#include <string.h>

#include "base/error.h"
#include "engine/engine_impl.h"

static const channel_handler slot_handler;

/* ---- up -------------------------------------------------------------------------------------------------- */

static void send_refusal(engine *e, channel *c, epoch ep, const orch_error *error)
{
    message *m = message_new(MESSAGE_REFUSED, ep);

    if (!m)
        return; /* the closed channel says it too */
    m->refused.code = orch_error_code(error);
    m->refused.instance = e->options.instance;
    m->refused.message = bytes_new(orch_error_message(error), strlen(orch_error_message(error)));
    channel_send(c, m);
}

void protocol_refuse(slot *s, const orch_error *error)
{
    send_refusal(s->engine, s->channel, s->epoch, error);
    slot_drop(s);
}

static bool send_accepted(slot *s)
{
    message *m = message_new(MESSAGE_ACCEPTED, s->epoch);

    if (!m)
        return false;
    m->accepted.instance = s->engine->options.instance;
    m->accepted.last_seq = s->run ? run_last_seq(s->run) : 0;
    m->accepted.inbox_seen = s->inbox_seen;
    m->accepted.number = proof_begin(s);
    channel_send(s->channel, m);
    return true;
}

static checkpoint *pending_row(const unacknowledged *u, uint32_t i)
{
    return &u->rows[(u->first_seq + i) & (u->capacity - 1)];
}

static bool pending_grow(unacknowledged *u)
{
    uint32_t capacity = u->capacity ? u->capacity * 2 : 4;
    checkpoint *rows = mem_alloc(capacity * sizeof *rows);

    if (!rows)
        return false;
    for (uint32_t i = 0; i < u->count; i++)
        rows[(u->first_seq + i) & (capacity - 1)] = *pending_row(u, i);
    mem_free(u->rows);
    u->rows = rows;
    u->capacity = capacity;
    return true;
}

static void pending_acknowledge(unacknowledged *u, uint64_t seq)
{
    while (u->count && u->first_seq <= seq) {
        checkpoint_clear(pending_row(u, 0));
        u->first_seq++;
        u->count--;
    }
}

void unacknowledged_free(unacknowledged *u)
{
    pending_acknowledge(u, UINT64_MAX);
    mem_free(u->rows);
}

static message *report_of(slot *s)
{
    if (s->report)
        return s->report;
    s->report = s->spare ? s->spare : message_new(MESSAGE_REPORT, s->epoch);
    if (s->spare)
        message_reuse(s->spare, MESSAGE_REPORT, s->epoch);
    s->spare = NULL;
    return s->report;
}

static void share(const checkpoint *c)
{
    bytes_ref(c->output);
    bytes_ref(c->error);
}

bool protocol_report(slot *s, checkpoint *c)
{
    const codec *codec = &s->engine->options.codec;
    unacknowledged *u = &s->pending;
    message *m = report_of(s);
    orch_error *error = NULL;

    if (codec->ops && payloads_encode_row(codec, c, &error)) {
        slot_fail(s, error);
        checkpoint_clear(c);
        return true;
    }
    if (!m || (u->count == u->capacity && !pending_grow(u)) || !message_report_reserve(m))
        return false;
    *pending_row(u, u->count++) = *c;
    share(c);
    message_report_add(m, c);
    return true;
}

void protocol_send_report(slot *s, enum report_end end)
{
    message *m = report_of(s);

    if (!m) {
        slot_drop(s);
        return;
    }
    s->report = NULL;
    m->report.end = (uint8_t)end;
    m->report.inbox_seen = s->inbox_seen;
    if (end == REPORT_COMPLETED) {
        m->report.state = s->end.state;
        m->report.children = s->end.children;
        m->report.output = bytes_ref(s->end.output);
        m->report.error = bytes_ref(s->end.error);
    } else if (end == REPORT_SUSPENDED) {
        m->report.wake_ms = run_deadline(s->run);
        m->report.wake_children = run_wanted_children(s->run);
        m->report.paused = s->start->paused;
        m->report.refusals = s->refusals;
    }
    channel_send(s->channel, m);
}

/* Everything that the orchestrator has not acknowledged, once more. */
static bool resend(slot *s)
{
    unacknowledged *u = &s->pending;
    message *m;

    message_free(s->report); /* its rows are all among the pending ones */
    s->report = NULL;
    m = report_of(s);
    for (uint32_t i = 0; m && i < u->count; i++) {
        if (!message_report_reserve(m))
            return false;
        share(pending_row(u, i));
        message_report_add(m, pending_row(u, i));
    }
    if (!m)
        return false;
    if (s->state == SLOT_COMPLETED)
        protocol_send_report(s, REPORT_COMPLETED);
    else if (u->count)
        protocol_send_report(s, REPORT_GOES_ON);
    return true;
}

/* ---- down: the first message ----------------------------------------------------------------------------- */

static void begin(slot *s, known_definition *k)
{
    orch_error *error = NULL;

    if (slot_begin(s, k, &error)) {
        protocol_refuse(s, error);
        orch_error_free(error);
    }
}

static void need_definition(slot *s)
{
    message *m = message_new(MESSAGE_NEED_DEFINITION, s->epoch);

    if (!m) {
        slot_drop(s);
        return;
    }
    m->definition.digest = s->start->definition;
    channel_send(s->channel, m);
}

/* An older hand-over of the same execution makes room; a newer one stands. */
static bool older_makes_room(engine *e, const message *m, orch_error **err)
{
    uint64_t key = m->start->key;
    slot *old;

    HASH_FIND(hh, e->slots, &key, sizeof key, old);
    if (!old)
        return true;
    if (epoch_compare(old->epoch, m->epoch) >= 0) {
        error_set(err, ORCH_E_ABORTED, m->start->execution,
                  "execution %s: a newer hand-over is here already", m->start->execution);
        return false;
    }
    slot_drop(old);
    return true;
}

static void on_start(engine *e, channel *c, message *m)
{
    orch_error *error = NULL;
    epoch ep = m->epoch;
    slot *s = NULL;
    known_definition *k;

    if (e->stopped || e->draining)
        error_set(&error, ORCH_E_UNAVAILABLE, e->name, "engine %s is stopping", e->name);
    else if (older_makes_room(e, m, &error) && e->active >= e->options.capacity)
        error_set(&error, ORCH_E_RESOURCE_EXHAUSTED, e->name, "engine %s is full: %u executions",
                  e->name, e->active);
    if (!error)
        s = slot_new(e, c, m, &error);
    if (!s) {
        send_refusal(e, c, ep, error);
        orch_error_free(error);
        channel_close(c);
        return;
    }
    c->handler = &slot_handler;
    c->ctx = s;
    k = known_find(e, &s->start->definition);
    if (!send_accepted(s))
        slot_drop(s);
    else if (k)
        begin(s, k);
    else
        need_definition(s);
}

/* Why an attachment is not taken; false: it is. What an older channel held back comes when the newer one is there. */
static bool refuse_attach(const engine *e, const slot *s, const message *m, orch_error **err)
{
    if (!s || (epoch_compare(s->epoch, m->epoch) != 0 && !MUTATED(EPOCH_NOT_CHECKED)) ||
        s->state == SLOT_NEEDS_DEFINITION)
        return error_set(err, ORCH_E_NOT_FOUND, e->name, "engine %s does not have that hand-over",
                         e->name) != 0;
    return m->attach.number < s->attached &&
           error_set(err, ORCH_E_ABORTED, e->name, "a newer attachment is here already") != 0;
}

static void on_attach(engine *e, channel *c, const message *m)
{
    uint64_t key = m->attach.key;
    orch_error *error = NULL;
    slot *s;

    HASH_FIND(hh, e->slots, &key, sizeof key, s);
    if (refuse_attach(e, s, m, &error)) {
        send_refusal(e, c, m->epoch, error);
        orch_error_free(error);
        channel_close(c);
        return;
    }
    s->attached = m->attach.number;
    channel_close(s->channel); /* of a break that only the orchestrator has noticed */
    s->channel = c;
    s->detached_ms = 0;
    s->refusals = 0;
    c->handler = &slot_handler;
    c->ctx = s;
    if (s->state == SLOT_SUSPENDING)
        s->state = SLOT_RUNNING; /* it will become quiet again */
    pending_acknowledge(&s->pending, m->attach.stored_seq);
    if (!send_accepted(s) || !resend(s) || !children_resend(s)) {
        slot_drop(s);
        return;
    }
    run_stored(s->run, m->attach.stored_seq);
    engine_touch(s);
}

static void fresh_message(void *ctx, channel *c, message *m)
{
    if (m->kind == MESSAGE_START) {
        on_start(ctx, c, m);
    } else if (m->kind == MESSAGE_ATTACH) {
        on_attach(ctx, c, m);
    } else {
        channel_close(c);
    }
    message_free(m);
}

static void fresh_closed(void *ctx, channel *c, int32_t code)
{
    (void)ctx;
    (void)code;
    channel_close(c);
}

const channel_handler protocol_fresh_handler = {fresh_message, fresh_closed};

/* ---- down: the rest -------------------------------------------------------------------------------------- */

static void on_definition(slot *s, message *m)
{
    engine *e = s->engine;
    definition *d = definition_ref(m->definition.parsed);
    orch_error *error = NULL;
    known_definition *k;

    if (s->state != SLOT_NEEDS_DEFINITION)
        goto out;
    if (!d && m->definition.text)
        definition_parse(m->definition.text->data, m->definition.text->len, NULL, &d, &error);
    if (d && memcmp(&d->digest, &s->start->definition, sizeof d->digest) != 0)
        error_set(&error, ORCH_E_DATA_LOSS, d->id, "another definition came than was asked for");
    k = d && !error ? known_add(e, d) : NULL;
    if (!k) {
        if (!error)
            error_no_memory(&error);
        protocol_refuse(s, error);
    } else {
        begin(s, k);
    }
out:
    orch_error_free(error);
    definition_unref(d);
}

static void on_ack(slot *s, uint64_t seq)
{
    if (!s->run || seq >= s->pending.first_seq + s->pending.count)
        return; /* nothing was reported under that number */
    pending_acknowledge(&s->pending, seq);
    proof_stored(s, seq);
    run_stored(s->run, seq);
    engine_touch(s);
}

/* It does not undo a suspension: the inbox item beside it does, if it is to be undone. */
static void on_pause(slot *s, bool paused)
{
    s->start->paused = paused;
    if (!s->run)
        return;
    run_pause(s->run, paused || s->engine->draining, s->engine->now_ms);
    engine_touch(s);
}

/* Who says so has not taken the suspension that may be on its way. */
static void on_child_refused(slot *s, message_child *child)
{
    if (s->state != SLOT_RUNNING && s->state != SLOT_SUSPENDING)
        return;
    s->state = SLOT_RUNNING;
    s->refusals++;
    child_refused(s, child);
    engine_touch(s);
}

static void slot_message(void *ctx, channel *c, message *m)
{
    slot *s = ctx;

    (void)c;
    switch (m->kind) {
    case MESSAGE_ACK:
        on_ack(s, m->ack.seq);
        message_free(s->spare);
        s->spare = m;
        return;
    case MESSAGE_DEFINITION: on_definition(s, m); break;
    case MESSAGE_INBOX: inbox_message(s, &m->inbox); break;
    case MESSAGE_PAUSE: on_pause(s, m->pause.paused); break;
    case MESSAGE_CHILD_REFUSED: on_child_refused(s, m->child); break;
    case MESSAGE_CONFIRMATION: proof_came(s, m->confirmation.number); break;
    case MESSAGE_STOP: slot_drop(s); break;
    default: /* what an orchestrator of a later version may say and need not be understood */ break;
    }
    message_free(m);
}

/* Code 0: the orchestrator is done with it. Else detached: running steps go on for the grace time, none starts. */
static void slot_closed(void *ctx, channel *c, int32_t code)
{
    slot *s = ctx;

    if (code == 0 || s->state == SLOT_NEEDS_DEFINITION) {
        slot_drop(s);
        return;
    }
    channel_close(c);
    s->channel = NULL;
    s->detached_ms = s->engine->now_ms;
    slot_set_timer(s);
}

static const channel_handler slot_handler = {slot_message, slot_closed};
