#include "support/wire_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- what a message says, as text ------------------------------------------------------------------------ */

static void tell_bytes(buf *b, const bytes *x)
{
    if (!x) {
        buf_add(b, "none;", 5);
        return;
    }
    buf_printf(b, "%zu:", (size_t)x->len);
    buf_add(b, x->data, x->len);
    buf_add(b, ";", 1);
}

static void tell_row(buf *b, const checkpoint *c)
{
    buf_printf(b, "row %" PRIu64 " %u %u %u %u %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 ";",
               c->seq, c->step, c->index, c->attempt, c->kind, c->started_ms, c->ended_ms,
               c->due_ms, c->inbox);
    tell_bytes(b, c->output);
    tell_bytes(b, c->error);
}

static void tell_note(buf *b, const inbox_note *n)
{
    buf_printf(b, "note %" PRIu64 " %u %u %u %u %u %s;", n->seq, n->kind, n->state, n->step,
               n->index, n->attempt, n->name ? n->name : "none");
    tell_bytes(b, n->correlation);
    tell_bytes(b, n->payload);
}

static void tell_start(buf *b, const message_start *s)
{
    buf_printf(b, "%s %" PRIu64 " %u %" PRIu64 " %" PRId64 " %" PRId64 " %d %s;", s->execution,
               s->key, s->run, s->inbox_seq, s->accepted_ms, s->deadline_ms, s->paused,
               s->parent ? s->parent : "none");
    buf_add(b, s->definition.b, sizeof s->definition.b);
    tell_bytes(b, s->input);
    for (uint32_t i = 0; i < s->checkpoint_count; i++)
        tell_row(b, &s->checkpoints[i]);
    for (uint32_t i = 0; i < s->inbox_count; i++)
        tell_note(b, &s->inbox[i]);
}

static void tell_child(buf *b, const message_child *c)
{
    buf_printf(b, "%u %u %u %s %d %d;%s %s %u %d %" PRId64 ";", c->step, c->index, c->attempt,
               c->id ? c->id : "none", c->code, c->no_retry,
               c->spec.workflow ? c->spec.workflow : "none",
               c->spec.version ? c->spec.version : "none", c->spec.on_cancel, c->spec.priority,
               c->spec.timeout_ms);
    tell_bytes(b, c->spec.inputs);
    tell_bytes(b, c->error);
}

static void tell_report(buf *b, const message *m)
{
    buf_printf(b, "%u %u %" PRIu64 " %" PRId64 " %u %u %d %d;", m->report.end, m->report.state,
               m->report.inbox_seen, m->report.wake_ms, m->report.wake_children, m->report.refusals,
               m->report.paused, m->report.children);
    tell_bytes(b, m->report.output);
    tell_bytes(b, m->report.error);
    for (uint32_t i = 0; i < m->report.count; i++)
        tell_row(b, &m->rows[i]);
}

void wire_tell(buf *b, const message *m)
{
    buf_printf(b, "%u %" PRIu64 " %" PRIu64 ":", m->kind, m->epoch.term, m->epoch.counter);
    switch (m->kind) {
    case MESSAGE_START: tell_start(b, m->start); break;
    case MESSAGE_ATTACH:
        buf_printf(b, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %u", m->attach.key, m->attach.stored_seq,
                   m->attach.instance, m->attach.number);
        break;
    case MESSAGE_DEFINITION: tell_bytes(b, m->definition.text); /* fall through */
    case MESSAGE_NEED_DEFINITION:
        buf_add(b, m->definition.digest.b, sizeof m->definition.digest.b);
        break;
    case MESSAGE_ACK: buf_printf(b, "%" PRIu64, m->ack.seq); break;
    case MESSAGE_INBOX: tell_note(b, &m->inbox); break;
    case MESSAGE_PAUSE: buf_printf(b, "%d", m->pause.paused); break;
    case MESSAGE_ACCEPTED:
        buf_printf(b, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, m->accepted.instance,
                   m->accepted.last_seq, m->accepted.inbox_seen, m->accepted.number);
        break;
    case MESSAGE_CONFIRMATION:
    case MESSAGE_NEED_CONFIRMATION: buf_printf(b, "%" PRIu64, m->confirmation.number); break;
    case MESSAGE_REFUSED:
        buf_printf(b, "%d %" PRIu64 ";", m->refused.code, m->refused.instance);
        tell_bytes(b, m->refused.message);
        break;
    case MESSAGE_STEP_STARTED:
        buf_printf(b, "%u %u %u %u %" PRId64, m->step_started.step, m->step_started.index,
                   m->step_started.attempt, m->step_started.role, m->step_started.at_ms);
        break;
    case MESSAGE_REPORT: tell_report(b, m); break;
    case MESSAGE_STOP: break;
    default: tell_child(b, m->child); break;
    }
}

/* ---- samples: of each kind, from nothing in it to the most ----------------------------------------------- */

static const uint64_t NUMBER[WIRE_LEVELS] = {0, 7, UINT64_MAX};
static const uint32_t SMALL[WIRE_LEVELS] = {0, 7, UINT32_MAX - 1};
static const int64_t TIME[WIRE_LEVELS] = {0, 1700000000000, INT64_MAX};

static bytes *payload(int level)
{
    return level == WIRE_LEAST
               ? NULL
               : bytes_new(level == WIRE_USUAL ? "{}" : "[\"a\0b\"]", level == WIRE_USUAL ? 2 : 7);
}

static char *name(int level)
{
    char longest[CHILD_ID_MAX + 1];

    memset(longest, 'n', CHILD_ID_MAX);
    longest[CHILD_ID_MAX] = '\0';
    return level == WIRE_LEAST ? NULL : mem_strdup(level == WIRE_USUAL ? "x" : longest);
}

static char *name_always(int level)
{
    return name(level == WIRE_LEAST ? WIRE_USUAL : level);
}

static digest digest_at(int level)
{
    digest d;

    memset(d.b, level == WIRE_MOST ? 255 : level, sizeof d.b);
    return d;
}

static checkpoint row(int level, uint8_t kind)
{
    return (checkpoint){
        .seq = NUMBER[level] ? NUMBER[level] : 1,
        .step = level == WIRE_USUAL ? STEP_NONE : SMALL[level],
        .index = level == WIRE_USUAL ? INDEX_NONE : SMALL[level],
        .attempt = level == WIRE_MOST ? UINT32_MAX : SMALL[level],
        .kind = kind,
        .started_ms = TIME[level],
        .ended_ms = -TIME[level],
        .due_ms = TIME[level],
        .output = payload(level),
        .error = payload(level),
        .inbox = NUMBER[level],
    };
}

static inbox_note note(int level, uint8_t kind, uint8_t state)
{
    return (inbox_note){
        .seq = NUMBER[level],
        .kind = kind,
        .state = state,
        .step = SMALL[level],
        .index = state && level != WIRE_USUAL ? SMALL[level] : INDEX_NONE,
        .attempt = SMALL[level],
        .name = name(level),
        .correlation = payload(level),
        .payload = payload(level),
    };
}

static message_start *start(int level)
{
    message_start *s = mem_zalloc(sizeof *s);

    assert_non_null(s);
    s->execution = name_always(level);
    s->key = NUMBER[level];
    s->run = SMALL[level];
    s->definition = digest_at(level);
    s->input = payload(level);
    s->inbox_seq = NUMBER[level];
    s->accepted_ms = TIME[level];
    s->deadline_ms = -TIME[level];
    s->paused = level == WIRE_MOST;
    s->parent = name(level);
    if (level == WIRE_LEAST)
        return s;
    s->checkpoints = mem_calloc(17, sizeof *s->checkpoints);
    s->inbox = mem_calloc(7, sizeof *s->inbox);
    assert_non_null(s->checkpoints);
    assert_non_null(s->inbox);
    for (int kind = CHECKPOINT_DECIDED; kind <= (level == WIRE_MOST ? 17 : 1); kind++)
        s->checkpoints[s->checkpoint_count++] = row(kind % WIRE_LEVELS, kind);
    for (int kind = NOTE_CANCEL; kind <= NOTE_WAKE; kind++)
        if (kind != NOTE_CHILD_ENDED)
            s->inbox[s->inbox_count++] = note(kind % WIRE_LEVELS, kind, 0);
    for (int state = NOTE_SUCCEEDED; state <= NOTE_TIMED_OUT; state++)
        s->inbox[s->inbox_count++] = note(state % WIRE_LEVELS, NOTE_CHILD_ENDED, state);
    return s;
}

static message_child *child(int level, uint8_t kind)
{
    message_child *c = mem_zalloc(sizeof *c);

    assert_non_null(c);
    c->step = SMALL[level];
    c->index = level == WIRE_USUAL ? INDEX_NONE : SMALL[level];
    c->attempt = SMALL[level];
    if (kind != MESSAGE_START_CHILD)
        c->error = payload(level);
    if (kind == MESSAGE_CHILD_REFUSED) {
        c->code = level == WIRE_MOST ? -16 : -1;
        c->no_retry = level == WIRE_MOST;
        return c;
    }
    c->id = name_always(level);
    if (kind == MESSAGE_CANCEL_CHILD)
        return c;
    c->spec.workflow = name_always(level);
    c->spec.version = name(level);
    c->spec.inputs = payload(level);
    c->spec.on_cancel = level == WIRE_MOST ? CHILD_ABANDON : CHILD_CANCEL;
    c->spec.priority = level == WIRE_LEAST ? 0 : level == WIRE_USUAL ? -1 : CHILD_PRIORITY_MAX;
    c->spec.timeout_ms = TIME[level];
    return c;
}

static void fill_report(message *m, int level)
{
    m->report.end = (uint8_t)(level == WIRE_LEAST   ? REPORT_GOES_ON
                              : level == WIRE_USUAL ? REPORT_SUSPENDED
                                                    : REPORT_COMPLETED);
    m->report.state = level == WIRE_MOST ? 4 : 0;
    m->report.inbox_seen = NUMBER[level];
    m->report.wake_ms = level == WIRE_LEAST ? INT64_MAX : level == WIRE_MOST ? INT64_MAX - 1 : 1;
    m->report.wake_children = m->report.refusals = SMALL[level];
    m->report.paused = m->report.children = level == WIRE_MOST;
    m->report.output = payload(level);
    m->report.error = payload(level);
    for (int kind = 1; kind <= (level == WIRE_MOST ? 17 : level); kind++) {
        checkpoint c = row(kind % WIRE_LEVELS, (uint8_t)kind);

        assert_true(message_report_reserve(m));
        message_report_add(m, &c);
    }
}

static void fill_flat(message *m, int level)
{
    switch (m->kind) {
    case MESSAGE_ATTACH:
        m->attach.key = NUMBER[level];
        m->attach.stored_seq = NUMBER[WIRE_MOST - level];
        m->attach.instance = NUMBER[level];
        m->attach.number = SMALL[level];
        break;
    case MESSAGE_DEFINITION:
        m->definition.text = payload(level ? level : WIRE_USUAL); /* fall through */
    case MESSAGE_NEED_DEFINITION: m->definition.digest = digest_at(level); break;
    case MESSAGE_ACK: m->ack.seq = NUMBER[level]; break;
    case MESSAGE_PAUSE: m->pause.paused = level == WIRE_MOST; break;
    case MESSAGE_ACCEPTED:
        m->accepted.instance = NUMBER[level];
        m->accepted.last_seq = NUMBER[WIRE_MOST - level];
        m->accepted.inbox_seen = NUMBER[level];
        m->accepted.number = NUMBER[WIRE_MOST - level];
        break;
    case MESSAGE_CONFIRMATION:
    case MESSAGE_NEED_CONFIRMATION: m->confirmation.number = NUMBER[level]; break;
    case MESSAGE_REFUSED:
        m->refused.code = level == WIRE_MOST ? -16 : -1;
        m->refused.instance = NUMBER[level];
        m->refused.message = level == WIRE_LEAST ? NULL : bytes_new("draining", 8);
        break;
    case MESSAGE_STEP_STARTED:
        m->step_started.step = level == WIRE_USUAL ? STEP_NONE : SMALL[level];
        m->step_started.index = level == WIRE_USUAL ? INDEX_NONE : SMALL[level];
        m->step_started.attempt = SMALL[level];
        m->step_started.role = (uint8_t)level;
        m->step_started.at_ms = TIME[level];
        break;
    default: break; /* STOP */
    }
}

message *wire_sample(uint8_t kind, int level)
{
    message *m = message_new(kind, (epoch){NUMBER[level], NUMBER[WIRE_MOST - level]});

    assert_non_null(m);
    switch (kind) {
    case MESSAGE_START: m->start = start(level); break;
    case MESSAGE_INBOX: m->inbox = note(level, NOTE_CHILD_ENDED, NOTE_FAILED); break;
    case MESSAGE_REPORT: fill_report(m, level); break;
    case MESSAGE_START_CHILD:
    case MESSAGE_CANCEL_CHILD:
    case MESSAGE_CHILD_REFUSED: m->child = child(level, kind); break;
    default: fill_flat(m, level); break;
    }
    return m;
}
