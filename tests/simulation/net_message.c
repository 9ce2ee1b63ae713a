#include "simulation/net_message.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "simulation/trace.h"

static void copy_report(message *to, const message *from)
{
    to->report = from->report;
    to->report.count = 0;
    bytes_ref(to->report.output);
    bytes_ref(to->report.error);
    for (uint32_t i = 0; i < from->report.count; i++) {
        if (!message_report_reserve(to))
            abort();
        bytes_ref(from->rows[i].output);
        bytes_ref(from->rows[i].error);
        message_report_add(to, &from->rows[i]);
    }
}

static void copy_note(inbox_note *to, const inbox_note *from)
{
    *to = *from;
    to->name = from->name ? mem_strdup(from->name) : NULL;
    bytes_ref(to->correlation);
    bytes_ref(to->payload);
}

bool net_message_can_repeat(const message *m)
{
    return m->kind == MESSAGE_REPORT || m->kind == MESSAGE_INBOX || m->kind == MESSAGE_ACK ||
           m->kind == MESSAGE_PAUSE || m->kind == MESSAGE_ACCEPTED ||
           m->kind == MESSAGE_STEP_STARTED || m->kind == MESSAGE_CONFIRMATION ||
           m->kind == MESSAGE_NEED_CONFIRMATION;
}

message *net_message_copy(const message *m)
{
    message *copy = message_new((enum message_kind)m->kind, m->epoch);

    switch (m->kind) {
    case MESSAGE_REPORT: copy_report(copy, m); break;
    case MESSAGE_INBOX: copy_note(&copy->inbox, &m->inbox); break;
    case MESSAGE_ACK: copy->ack = m->ack; break;
    case MESSAGE_PAUSE: copy->pause = m->pause; break;
    case MESSAGE_ACCEPTED: copy->accepted = m->accepted; break;
    case MESSAGE_CONFIRMATION:
    case MESSAGE_NEED_CONFIRMATION: copy->confirmation = m->confirmation; break;
    default: copy->step_started = m->step_started; break;
    }
    return copy;
}

static const char *const kinds[] = {
    [MESSAGE_START] = "START",
    [MESSAGE_ATTACH] = "ATTACH",
    [MESSAGE_DEFINITION] = "DEFINITION",
    [MESSAGE_ACK] = "ACK",
    [MESSAGE_INBOX] = "INBOX",
    [MESSAGE_STOP] = "STOP",
    [MESSAGE_CHILD_REFUSED] = "CHILD_REFUSED",
    [MESSAGE_PAUSE] = "PAUSE",
    [MESSAGE_CONFIRMATION] = "CONFIRMATION",
    [MESSAGE_ACCEPTED] = "ACCEPTED",
    [MESSAGE_REFUSED] = "REFUSED",
    [MESSAGE_NEED_DEFINITION] = "NEED_DEFINITION",
    [MESSAGE_STEP_STARTED] = "STEP_STARTED",
    [MESSAGE_REPORT] = "REPORT",
    [MESSAGE_START_CHILD] = "START_CHILD",
    [MESSAGE_CANCEL_CHILD] = "CANCEL_CHILD",
    [MESSAGE_NEED_CONFIRMATION] = "NEED_CONFIRMATION",
};

static void trace_report(const char *from, const char *to, const message *m)
{
    static const char *const ends[] = {"", ", completed", ", suspended"};
    const checkpoint *first = m->rows;
    uint32_t n = m->report.count;

    if (n)
        trace("%s > %s %" PRIu64 ".%" PRIu64 " REPORT %" PRIu64 " to %" PRIu64
              " (kind %u of step %d)%s",
              from, to, m->epoch.term, m->epoch.counter, first->seq, m->rows[n - 1].seq,
              (unsigned)first->kind, (int)first->step, ends[m->report.end]);
    else
        trace("%s > %s %" PRIu64 ".%" PRIu64 " REPORT%s", from, to, m->epoch.term, m->epoch.counter,
              ends[m->report.end]);
}

void net_message_trace(const char *from, const char *to, const message *m)
{
    const char *what = "";
    uint64_t number = 0;

    switch (m->kind) {
    case MESSAGE_REPORT: trace_report(from, to, m); return;
    case MESSAGE_START:
        what = m->start->execution;
        number = m->start->checkpoint_count;
        break;
    case MESSAGE_ATTACH: number = m->attach.stored_seq; break;
    case MESSAGE_ACK: number = m->ack.seq; break;
    case MESSAGE_INBOX:
        what = m->inbox.name ? m->inbox.name : "";
        number = m->inbox.seq;
        break;
    case MESSAGE_PAUSE: number = m->pause.paused; break;
    case MESSAGE_ACCEPTED: number = m->accepted.last_seq; break;
    case MESSAGE_CONFIRMATION:
    case MESSAGE_NEED_CONFIRMATION: number = m->confirmation.number; break;
    case MESSAGE_START_CHILD:
    case MESSAGE_CANCEL_CHILD:
    case MESSAGE_CHILD_REFUSED: what = m->child->id; break;
    default: break;
    }
    trace("%s > %s %" PRIu64 ".%" PRIu64 " %s %s %" PRIu64, from, to, m->epoch.term,
          m->epoch.counter, kinds[m->kind], what, number);
}
