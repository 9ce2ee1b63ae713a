/* The execution protocol's messages between an orchestrator and an engine: one channel per hand-over. As C structs
 * here; an adapter that crosses processes carries the same fields. A message is owned by whoever holds it;
 * sending gives it away. */
#ifndef TRANSPORT_MESSAGE_H
#define TRANSPORT_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "workflow/checkpoint.h"
#include "workflow/child.h"
#include "workflow/definition.h"

/* A hand-over's number. A higher one overrules; engines and the orchestrator refuse what comes from a lower one. */
typedef struct epoch {
    uint64_t term; /* of the orchestrator's lease */
    uint64_t counter;
} epoch;

static inline int epoch_compare(epoch a, epoch b)
{
    if (a.term != b.term)
        return a.term < b.term ? -1 : 1;
    return a.counter < b.counter ? -1 : a.counter > b.counter;
}

/* An attempt of a step, and the hand-over that makes it. */
typedef struct attempt_place {
    uint64_t execution; /* key */
    epoch epoch;
    uint32_t run, step, index, attempt;
} attempt_place;

enum message_kind {
    /* Orchestrator to engine. */
    MESSAGE_START,      /* take this execution */
    MESSAGE_ATTACH,     /* go on after a broken channel */
    MESSAGE_DEFINITION, /* the answer to NEED_DEFINITION */
    MESSAGE_ACK,        /* stored up to seq */
    MESSAGE_INBOX,      /* something to be told to the execution */
    MESSAGE_STOP,       /* your epoch is old: drop it, tell nobody */
    MESSAGE_CHILD_REFUSED, /* the answer to START_CHILD, if it could not be started. It voids a suspension that crosses it,
                            * which therefore waits until the children of the same channel are accepted */
    MESSAGE_PAUSE,        /* start nothing more, or go on; beside an inbox item WAKE */
    MESSAGE_CONFIRMATION, /* the answer to NEED_CONFIRMATION and ACCEPTED, where that has a number */
    /* Engine to orchestrator. */
    MESSAGE_ACCEPTED, /* answer to START and ATTACH: instance, last_seq it has made, inbox_seen */
    MESSAGE_REFUSED,  /* answer to START and ATTACH: code and message */
    MESSAGE_NEED_DEFINITION, /* by digest */
    MESSAGE_STEP_STARTED,    /* an attempt that did not end at once runs; not stored */
    MESSAGE_REPORT, /* checkpoints, in order of seq; with `end` or `suspend`, the last ones */
    MESSAGE_START_CHILD, /* start the child of a step, whose CHECKPOINT_CHILD is stored; again does nothing */
    MESSAGE_CANCEL_CHILD,      /* put a cancel into its inbox */
    MESSAGE_NEED_CONFIRMATION, /* that it may go on starting steps */
};

/* How long a hand-over's engine may start steps after it asked for the confirmation that came, or sent the report that is
 * acknowledged: by a steady clock of its own. Who may have said so to one engine, or comes after somebody who may, gives the
 * execution to no other before that is over, and some more for clocks that do not run alike. */
#define CONFIRMED_MS        2000
#define CONFIRMED_MARGIN_MS 500

enum report_end { REPORT_GOES_ON, REPORT_COMPLETED, REPORT_SUSPENDED };

typedef struct message_start {
    char *execution; /* id */
    uint64_t key;
    uint32_t run;
    digest definition;
    bytes *input; /* NULL = {} */
    checkpoint *checkpoints;
    uint32_t checkpoint_count;
    struct inbox_note *inbox; /* what waits in the inbox */
    uint32_t inbox_count;
    uint64_t inbox_seq; /* all up to it is among these, or was consumed */
    int64_t accepted_ms;
    int64_t deadline_ms; /* 0 = none */
    bool paused;
    char *parent; /* id of the parent execution; NULL = none */
} message_start;

/* Numbers of the protocol, which the store keeps too (inbox_kind, execution_state): never change one. */
enum note_kind {
    NOTE_CANCEL = 1,
    NOTE_SIGNAL = 2,
    NOTE_CHILD_ENDED = 3,
    NOTE_WAKE = 4, /* says nothing: with it, a suspension that crosses a PAUSE is refused */
};
enum note_state {
    NOTE_SUCCEEDED = 3,
    NOTE_FAILED = 4,
    NOTE_CANCELLED = 5,
    NOTE_TIMED_OUT = 6,
};

/* Something from the inbox. An engine is told in order of seq and each once; what it was told and has not consumed
 * by a checkpoint comes again with the next START. */
typedef struct inbox_note {
    uint64_t seq;
    uint8_t kind;                  /* enum note_kind */
    uint8_t state;                 /* CHILD_ENDED: enum note_state */
    uint32_t step, index, attempt; /* CHILD_ENDED: whose child */
    char *name;                    /* SIGNAL */
    bytes *correlation;            /* SIGNAL: JSON; NULL = none */
    bytes *
        payload; /* SIGNAL: JSON; CANCEL: the reason, a JSON string; CHILD_ENDED: output, or error if it did not succeed */
} inbox_note;
void inbox_note_clear(inbox_note *n);

/* About the child execution of (step, index, attempt). */
typedef struct message_child {
    uint32_t step, index, attempt;
    char *id;        /* of the child: child_id */
    child_spec spec; /* START_CHILD */
    int32_t code;    /* CHILD_REFUSED */
    bool no_retry;   /* CHILD_REFUSED */
    bytes *error;    /* CHILD_REFUSED: JSON; CANCEL_CHILD: the reason, a JSON string */
} message_child;
void message_child_free(message_child *c); /* NULL is harmless */

typedef struct message {
    struct message *next;
    uint8_t kind;
    epoch epoch;
    checkpoint *rows; /* REPORT: report.count of them */
    uint32_t row_capacity;
    union {
        message_start *start;
        struct {
            uint64_t key; /* of the execution */
            uint64_t stored_seq;
            uint64_t instance; /* the engine process that the orchestrator means */
            uint32_t number;   /* of the hand-over's: one that another has overtaken is not taken */
        } attach;
        struct {
            digest digest;
            bytes *text;        /* canonical JSON, where the receiver is another process */
            definition *parsed; /* the same in this process */
        } definition;
        struct {
            uint64_t seq;
        } ack;
        inbox_note inbox;
        struct {
            uint64_t instance;
            uint64_t last_seq;
            uint64_t inbox_seen; /* what is newer in the inbox is to be sent (again) */
            uint64_t number;     /* it waits for the confirmation of it; 0 = it does not wait */
        } accepted;
        struct {
            int32_t code;
            uint64_t instance;
            bytes *message;
        } refused;
        struct {
            uint32_t step, index, attempt;
            uint8_t role; /* enum run_role */
            int64_t at_ms;
        } step_started;
        struct message_child *child; /* START_CHILD, CANCEL_CHILD, CHILD_REFUSED */
        struct {
            bool paused;
        } pause;
        struct {
            uint64_t number; /* of the one that asks, which rises */
        } confirmation;      /* CONFIRMATION, NEED_CONFIRMATION */
        struct message_report {
            uint8_t end;         /* enum report_end */
            uint8_t state;       /* COMPLETED: enum run_state */
            uint32_t count;      /* checkpoints, in `rows` */
            uint64_t inbox_seen; /* newest inbox item that the run was told */
            int64_t wake_ms;     /* SUSPENDED: INT64_MAX = only its inbox wakes it */
            uint32_t
                wake_children; /* SUSPENDED: that many children must have succeeded before it is woken for one; 0 = at once */
            uint32_t refusals;     /* SUSPENDED: CHILD_REFUSED that came on this channel */
            bool paused;           /* SUSPENDED: it may wait for the end of a pause alone */
            bool children;         /* COMPLETED: it may have left children behind */
            bytes *output, *error; /* COMPLETED */
        } report;
    };
} message;

message *message_new(enum message_kind kind,
                     epoch e); /* zeroed; NULL if there is no memory. Any thread */
void message_free(message *m); /* and all it owns */
/* Make another message of one that was read, instead of a free and a new: what it said is dropped, room for a few
 * rows is kept. */
void message_reuse(message *m, enum message_kind kind, epoch e);
void message_start_free(message_start *s); /* NULL is harmless */
/* Make room in a report for one more checkpoint. False if there is no memory. */
bool message_report_reserve(message *m);
/* Append to a report where there is room; takes the checkpoint's bytes over. */
void message_report_add(message *m, const checkpoint *c);

#endif
