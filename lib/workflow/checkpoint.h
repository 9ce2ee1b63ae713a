/* One entry of an execution's history: the record that a step (or one item of a for_each) ended, or a
 * decision that must not be made twice. Passes from the run to the engine, over the transport to the
 * orchestrator and into the store; nobody on the way reads output or error. */
#ifndef WORKFLOW_CHECKPOINT_H
#define WORKFLOW_CHECKPOINT_H

#include <stdint.h>

#include "base/bytes.h"

#define INDEX_NONE UINT32_MAX /* the step itself, not an item of its for_each */
#define STEP_NONE  UINT32_MAX /* the workflow itself, not one of its steps */

/* Numbers are stored and on the wire: never change one. */
enum checkpoint_kind {
    CHECKPOINT_DECIDED = 1,   /* `when` was true; output NULL */
    CHECKPOINT_EXPANDED = 2,  /* for_each: output {"count":N,"digest":"hex"} */
    CHECKPOINT_WAITING = 3,   /* wait: due_ms is when it ends, 0 = never; for a signal, output is
                              * {"signal":…,"correlation"?:…} */
    CHECKPOINT_RETRYING = 4,  /* an attempt failed: error says why, due_ms when the next may start;
                              * output: details of its last heartbeat */
    CHECKPOINT_SUCCEEDED = 5, /* 5 to 8: the end of step or item */
    CHECKPOINT_FAILED = 6,
    CHECKPOINT_SKIPPED = 7, /* by its own `when` */
    CHECKPOINT_CANCELLED = 8,
    CHECKPOINT_CHILD = 9, /* a child is to be started: output is what its `with` said (child.h) */
    CHECKPOINT_HEARTBEAT = 10, /* details of a running attempt, in output */
    /* After the steps. */
    CHECKPOINT_CLOSING = 11, /* of STEP_NONE: how the run ends is decided (attempt: enum run_state,
                               * error: why), and compensation or on_failure begins */
    CHECKPOINT_UNDO_RETRYING = 12,    /* an attempt to compensate failed: as RETRYING */
    CHECKPOINT_UNDONE = 13,           /* compensated; output is what the compensation gave */
    CHECKPOINT_UNDO_FAILED = 14,      /* it could not be compensated; error */
    CHECKPOINT_HANDLER_RETRYING = 15, /* on_failure, of STEP_NONE: as RETRYING */
    CHECKPOINT_HANDLED = 16,
    CHECKPOINT_HANDLER_FAILED = 17,
};

/* Such as "retrying"; "unknown" for what is none. */
const char *checkpoint_kind_name(int kind);

typedef struct checkpoint {
    uint64_t seq;     /* 1, 2, … within one run of the execution, without gaps */
    uint32_t step;    /* place of the step in the definition */
    uint32_t index;   /* item of the for_each, or INDEX_NONE */
    uint32_t attempt; /* 1, 2, …; 0 where none was started */
    uint8_t kind;
    int64_t started_ms; /* UTC; of the attempt; 0 where none was started */
    int64_t ended_ms;
    int64_t due_ms; /* 0 = none */
    bytes *output;  /* JSON, NULL = null */
    bytes *error;   /* JSON {"code","message","data"?}, NULL = none */
    uint64_t inbox; /* the inbox item that it acted upon, which its storing consumes; 0 = none */
} checkpoint;

static inline void checkpoint_clear(checkpoint *c)
{
    bytes_unref(c->output);
    bytes_unref(c->error);
    c->output = c->error = NULL;
}

static inline int checkpoint_is_end(const checkpoint *c)
{
    return c->kind >= CHECKPOINT_SUCCEEDED && c->kind <= CHECKPOINT_CANCELLED;
}

#endif
