/* What an execution is told, in order and each once: of the start, and later. */
#include <string.h>

#include "base/error.h"
#include "engine/engine_impl.h"

/* Notes that may wait for a definition, beyond those of the start. The next hand-over brings the whole inbox. */
#define LATE_NOTES_MAX 4096

static void cancel(slot *s, const inbox_note *n)
{
    json_t *reason = n->payload
                         ? json_loadb(n->payload->data, n->payload->len, JSON_DECODE_ANY, NULL)
                         : NULL;

    run_cancel(s->run, json_is_string(reason) ? json_string_value(reason) : "", s->engine->now_ms);
    json_decref(reason);
}

static void tell_signal(slot *s, inbox_note *n)
{
    run_signal(s->run, n->seq, n->name ? n->name : "", n->correlation, n->payload,
               s->engine->now_ms);
    n->correlation = n->payload = NULL;
}

/* Takes what the note holds, as far as the run wants it. */
static void tell(slot *s, inbox_note *n)
{
    if (n->seq <= s->inbox_seen) /* sent again after a break */
        return;
    s->inbox_seen = n->seq;
    switch (n->kind) {
    case NOTE_CANCEL: cancel(s, n); break;
    case NOTE_SIGNAL: tell_signal(s, n); break;
    case NOTE_CHILD_ENDED: child_ended(s, n); break;
    default: break; /* WAKE, and what later versions may say */
    }
}

void inbox_begin(slot *s)
{
    message_start *start = s->start;

    for (uint32_t i = 0; i < start->inbox_count; i++) {
        tell(s, &start->inbox[i]);
        inbox_note_clear(&start->inbox[i]);
    }
    mem_free(start->inbox);
    start->inbox = NULL;
    start->inbox_count = 0;
    if (s->inbox_seen < start->inbox_seq)
        s->inbox_seen = start->inbox_seq;
}

/* It waits with those of the start. */
static bool keep(slot *s, inbox_note *n)
{
    message_start *start = s->start;
    inbox_note *grown;

    if (!s->inbox_capacity) {
        s->inbox_capacity = start->inbox_count;
        s->inbox_limit = start->inbox_count + LATE_NOTES_MAX;
    }
    if (start->inbox_count >= s->inbox_limit)
        return false;
    grown = mem_grow(start->inbox, &s->inbox_capacity, start->inbox_count + 1, sizeof *grown);
    if (!grown)
        return false;
    start->inbox = grown;
    grown[start->inbox_count++] = *n;
    *n = (inbox_note){0};
    return true;
}

void inbox_message(slot *s, inbox_note *n)
{
    orch_error *error = NULL;

    if (s->state == SLOT_NEEDS_DEFINITION) {
        if (!keep(s, n))
            slot_drop(s);
        return;
    }
    if (s->state != SLOT_RUNNING && s->state != SLOT_SUSPENDING)
        return; /* it is over */
    if (payloads_decode_note(&s->engine->options.codec, n, &error)) {
        log_write(s->engine->ports.log, ORCH_LOG_WARNING, "execution %s: %s", s->start->execution,
                  orch_error_message(error));
        orch_error_free(error);
        slot_drop(s); /* the next hand-over is refused with the reason */
        return;
    }
    tell(s, n);
    if (s->state == SLOT_SUSPENDING) /* which is refused, as the note is newer */
        s->state = SLOT_RUNNING;
    engine_touch(s);
}
