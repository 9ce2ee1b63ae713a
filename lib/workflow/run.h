/* The state machine of one run of one execution. Pure: it is told of events and asked for actions; it does no I/O,
 * reads no clock, starts no thread and draws random numbers only from the port it was given. Feeding the same
 * events in the same order gives the same actions.
 *
 * Cause before effect: a step is started only after run_stored() has covered the checkpoints of all it depends
 * on. The work for an event is proportional to what it makes ready, never to the size of the graph.
 *
 * How an engine drives it:
 *     run_new; run_restore × n (history, in order of seq); run_start; then until RUN_END was taken:
 *         while (run_next(r, now, &action)) do what it says;
 *         feed events: run_evaluated, run_attempt_ended, run_heartbeat, run_child_refused, run_stored, run_tick at
 *             run_deadline; what comes into the inbox: run_signal, run_child_ended, run_cancel; run_pause
 */
#ifndef WORKFLOW_RUN_H
#define WORKFLOW_RUN_H

#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "workflow/checkpoint.h"
#include "workflow/definition.h"

typedef struct run run;

enum run_state { RUN_RUNNING, RUN_SUCCEEDED, RUN_FAILED, RUN_CANCELLED, RUN_TIMED_OUT };

enum run_action_kind {
    RUN_EVALUATE, /* evaluate `what` of (step, index); answer with run_evaluated */
    RUN_ATTEMPT,  /* evaluate `with` and start an attempt; answer with run_attempt_ended */
    RUN_STOP, /* tell that attempt to stop (timeout, cancel); its run_attempt_ended is still awaited */
    RUN_CHECKPOINT, /* store it; answer with run_stored. The taker owns the checkpoint's bytes */
    RUN_CHILD, /* start the child execution that `spec` describes; answer with run_child_refused,
                     * or with run_child_ended one day */
    RUN_STOP_CHILD, /* cancel it (code as for RUN_STOP); its run_child_ended is still awaited. After a
                     * restart it may be one that was never started: then run_child_refused */
    RUN_END,        /* the last action: state, output, error */
};

/* Which of a place's attempts is meant. */
enum run_role {
    ROLE_STEP,       /* the step's own executor */
    ROLE_COMPENSATE, /* its `compensate` */
    ROLE_ON_FAILURE, /* the workflow's `on_failure`; step is STEP_NONE */
};

enum run_expression {
    RUN_WHEN,     /* of the step; with for_each once, before its list */
    RUN_FOR_EACH, /* the list of items */
    RUN_DUE,      /* of a wait: how long, or for what signal, from `with` */
    RUN_OUTPUT,   /* of the workflow */
    RUN_SPEC,     /* of a child: its `with` (workflow/child.h) */
};

typedef struct run_action {
    uint8_t kind;
    uint8_t what;
    uint8_t state; /* RUN_END: enum run_state */
    uint8_t role;  /* RUN_ATTEMPT, RUN_STOP: enum run_role */
    bool children; /* RUN_END: it may have children that have not ended (abandoned ones) */
    uint32_t step;
    uint32_t index; /* INDEX_NONE or the item */
    uint32_t attempt;
    int32_t code;         /* RUN_STOP: ORCH_E_CANCELLED or ORCH_E_DEADLINE_EXCEEDED */
    int64_t deadline_ms;  /* RUN_ATTEMPT: when it will be told to stop; 0 = never */
    int64_t heartbeat_ms; /* RUN_ATTEMPT: run_heartbeat must come within it; 0 = need not */
    bytes *
        details; /* RUN_ATTEMPT: of the last heartbeat of earlier attempts, borrowed; NULL = none */
    bytes *spec; /* RUN_CHILD: borrowed until the next call */
    checkpoint checkpoint;
    bytes *output; /* RUN_END: owned by the taker */
    /* RUN_END: {"code","message","step"?,"data"?}, owned by the taker; with what could not be compensated, up to 100 of
     * it: "compensation_failed":[{"step","index"?,"error"}], and "compensation_failed_more":N for the rest */
    bytes *error;
} run_action;

/* Whether a step's value can be asked for: run_value. */
typedef struct run_value {
    uint8_t kind;   /* enum checkpoint_kind, an end */
    bytes *output;  /* borrowed; NULL = null. For a for_each: NULL, see run_item_output */
    bytes *error;   /* borrowed */
    uint32_t items; /* of a for_each; 0 else */
} run_value;

typedef struct run_options {
    int64_t deadline_ms;           /* of the execution, absolute UTC; 0 = none */
    bool paused;                   /* nothing starts until run_pause(r, false, …) */
    uint32_t max_items;            /* of one for_each; 0 = 1,000,000 */
    uint64_t (*random)(void *ctx); /* for jitter */
    void *random_ctx;
} run_options;

/* Keeps a reference to the definition. NULL if there is no memory. */
run *run_new(definition *d, const run_options *options);
void run_free(run *r);

/* Replay one stored checkpoint (takes references; the checkpoint stays the caller's). Before run_start, in order of seq,
 * without gaps. Errors: DATA_LOSS if it contradicts the definition or the order. */
int32_t run_restore(run *r, const checkpoint *c, orch_error **err);
/* Begin, or go on after run_restore. `now_ms` is UTC. */
int32_t run_start(run *r, int64_t now_ms, orch_error **err);

/* Take the next action. False if there is none now. On lack of memory it ends the run FAILED with
 * RESOURCE_EXHAUSTED rather than lose an action. */
bool run_next(run *r, int64_t now_ms, run_action *out);

/* The answer to RUN_EVALUATE. `code` 0: WHEN `truth`; FOR_EACH `count` and `items_digest`; DUE `due_ms`, absolute, 0 = never, and for a
 * signal `value` {"signal","correlation"?}; OUTPUT and SPEC `value` (taken over). Else `error` (JSON, taken over) fails the step (OUTPUT: the execution); it is not retried. */
typedef struct run_answer {
    int32_t code;
    bool truth;
    uint64_t count;
    digest items_digest;
    int64_t due_ms;
    bytes *value;
    bytes *error;
} run_answer;
void run_evaluated(run *r, enum run_expression what, uint32_t number, uint32_t index, run_answer *a,
                   int64_t now_ms);

/* An attempt ended. code 0: `output` (taken over; NULL = null). Else `error` (taken over, JSON) and whether it may be
 * retried at all. An answer for an attempt that is not running is ignored (its bytes are freed). */
typedef struct run_result {
    int32_t code;
    bool no_retry;
    int64_t started_ms;
    bytes *output;
    bytes *error;
} run_result;
void run_attempt_ended(run *r, enum run_role role, uint32_t number, uint32_t index,
                       uint32_t attempt, run_result *result, int64_t now_ms);
/* A running attempt is alive. `details` (JSON, taken over; NULL = as before) are there for the next attempt, also
 * after a restart: they become a checkpoint, but not more often than it takes. */
void run_heartbeat(run *r, uint32_t number, uint32_t index, uint32_t attempt, bytes *details,
                   int64_t now_ms);

/* ---- What an execution is told: items of its inbox, in order of `seq`, before run_start or later. Each is consumed by the
 * checkpoint that acts on it, which carries its seq. Bytes are taken over. ------------------------------------ */

/* A signal waits for a `wait` of that name and, if that gives one, correlation (JSON text; NULL = none). Of several
 * that wait, one that gives the correlation has it before one that gives none, and then the first; of several
 * signals a `wait` has the oldest. Said twice (by its seq) it counts once. */
void run_signal(run *r, uint64_t seq, const char *name, bytes *correlation, bytes *payload,
                int64_t now_ms);
/* A child ended. result->code 0: output. One that nobody awaits any more is ignored. */
void run_child_ended(run *r, uint64_t seq, uint32_t number, uint32_t index, uint32_t attempt,
                     run_result *result, int64_t now_ms);
/* It could not be started, or is to be stopped and is not there; no inbox item. */
void run_child_refused(run *r, uint32_t number, uint32_t index, uint32_t attempt,
                       run_result *result, int64_t now_ms);
/* While paused nothing starts; what runs, finishes; waits and children go on; a cancel and the deadline still end it. */
void run_pause(run *r, bool paused, int64_t now_ms);
/* While held nothing starts either, for a moment: it counts as ready all the same. */
void run_hold(run *r, bool held);
bool run_is_held_up(const run *r); /* something would start now if it were not held */

/* All checkpoints up to and including seq are stored. */
void run_stored(run *r, uint64_t seq);
/* Cancel: nothing more starts, running attempts and children are told to stop, what was done is compensated, then RUN_END with
 * RUN_CANCELLED. `reason` is copied. A run that has already decided its end ignores it, but for a pause, which it ends. */
void run_cancel(run *r, const char *reason, int64_t now_ms);
/* Work off what is due: timeouts, retries, waits, the execution's deadline. */
void run_tick(run *r, int64_t now_ms);
int64_t run_deadline(const run *r); /* next time for run_tick; INT64_MAX = none */

/* True if nothing runs, is being evaluated or awaits storing: only time (run_deadline) or its inbox can move it on. */
bool run_is_waiting(const run *r);
/* While it is waiting: how many children must succeed until there is something to do; 0 = whatever comes into the inbox
 * is to be told at once. */
uint32_t run_wanted_children(const run *r);
uint64_t run_last_seq(const run *r); /* of the last checkpoint made; 0 = none */
bool run_get_value(const run *r, uint32_t number,
                   run_value *out); /* false if the step has not ended */
/* The same of one item of a for_each. */
bool run_get_item(const run *r, uint32_t number, uint32_t index, run_value *out);
/* Of the list that a for_each went over; NULL if it has not begun. Borrowed. */
const digest *run_items_digest(const run *r, uint32_t number);
bytes *run_item_output(const run *r, uint32_t number, uint32_t index); /* borrowed; NULL = null */

/* Why it is ending, while it is being compensated and in on_failure: {"code","message",…}; NULL before. Borrowed. */
const bytes *run_closing_error(const run *r);
enum run_state run_closing_state(const run *r); /* RUN_RUNNING before */

/* Whether an attempt or a child of it is out, or items of it are under way. */
bool run_is_running(const run *r, uint32_t number, uint32_t index);

typedef struct run_counts { /* for progress; kept up to date, O(1) */
    uint32_t steps, ended, running, failed, skipped;
} run_counts;
run_counts run_get_counts(const run *r);

#endif
