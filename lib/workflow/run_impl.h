/* The inside of a run. Words used here:
 *
 * A node is a step, or one item of a step's for_each. A place says which. A unit is a node that
 * does work itself: a step without for_each, or an item. Each node is in one phase; what an event
 * means depends on it.
 *
 *     step:   WAITING → READY → [WHEN → DECIDING → DECIDED →]
 *             as a unit, or LISTING → EXPANDING → ITEMS → ENDED
 *     a task: RUNNING [→ OVERDUE → STOPPING] [→ RETRYING → BACKOFF → AGAIN → RUNNING …] → ENDED
 *     a wait: DUE → HOLDING → SLEEPING → ENDED
 *     a child: SPEC → HOLDING → CALL → RUNNING, and on as a task
 *
 * run.c         lifecycle, the order in which actions are given
 * run_close.c   how a run ends
 * run_undo.c    what follows then: compensation and on_failure
 * run_step.c    the graph: what becomes ready, run_if, `when`, what a stored checkpoint sets free
 * run_unit.c    one unit: attempts, their timeouts
 * run_beat.c    heartbeats of an attempt
 * run_wait.c    a unit that waits
 * run_signal.c  which of those that wait a signal is for
 * run_child.c   a unit that is a child execution
 * run_items.c   for_each
 * run_retry.c   whether and when the next attempt starts
 * run_record.c  checkpoints on their way to the store, and the errors in them
 * run_restore.c a run from its history; run_restore_undo.c: what follows its steps */
#ifndef WORKFLOW_RUN_IMPL_H
#define WORKFLOW_RUN_IMPL_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mutation.h"
#include "workflow/run.h"

enum phase {
    PHASE_WAITING,   /* for its dependencies; an item: for its turn */
    PHASE_READY,     /* in a ready ring: run_if decides when it leaves */
    PHASE_WHEN,      /* `when` is being evaluated */
    PHASE_DECIDING,  /* that it was true is being stored */
    PHASE_DECIDED,   /* in a ready ring: begins when it leaves */
    PHASE_LISTING,   /* for_each is being evaluated */
    PHASE_EXPANDING, /* how many items there are is being stored */
    PHASE_ITEMS,     /* its items run */
    PHASE_DUE,       /* when the wait ends is being evaluated */
    PHASE_SPEC,      /* what child is to be started is being evaluated */
    PHASE_HOLDING,   /* that is being stored */
    PHASE_CALL,      /* in a ready ring: RUN_CHILD is still to be given */
    PHASE_SLEEPING,  /* the timer stands at the end of the wait */
    PHASE_RUNNING,   /* an attempt or child is out; the timer stands at its timeout */
    PHASE_OVERDUE,   /* the timeout has passed, its stop is still to be given */
    PHASE_STOPPING,  /* it was, for the timeout */
    PHASE_RETRYING,  /* that the attempt failed is being stored */
    PHASE_BACKOFF,   /* the timer stands at the next attempt */
    PHASE_AGAIN,     /* in a ready ring for its next attempt */
    PHASE_ENDED,
};

enum {
    NODE_DEPENDENCY_SUCCEEDED = 1,
    NODE_DEPENDENCY_FAILED = 2,
    NODE_DEPENDENCY_NOT_DONE = 4, /* failed, cancelled, or skipped because of a failure */
    NODE_DECIDED = 8,             /* `when` was true, and that is stored */
    NODE_BEGAN = 16,              /* restored: the history shows that it had begun */
    NODE_SKIPPED_BY_FAILURE = 32,
};

typedef struct place {
    uint32_t step;
    uint32_t index; /* item, or INDEX_NONE */
} place;

typedef struct topic topic;
typedef struct child child;

/* A unit that waits for a signal. */
typedef struct listener {
    list queue;   /* in its topic */
    topic *topic; /* NULL: in none, since that it waits is not stored, or it has its signal */
    place at;
    bool has_heard;
    uint64_t seq; /* of its signal, as is the payload */
    bytes *payload;
    uint32_t len;
    char key[]; /* as of the topic, and a NUL behind it */
} listener;

/* Of a task with heartbeats. */
typedef struct beat {
    int64_t timeout_at, silent_at; /* when the attempt is overdue; INT64_MAX = never */
    int64_t save_at;               /* when the details are to be stored; INT64_MAX = they are */
    int64_t saved_ms;              /* when some were; 0 = never */
    bytes *details;                /* the newest */
    uint32_t attempt;              /* that they came from */
    bool was_silent;               /* why it is overdue */
} beat;

/* What a unit needs only with a timeout, a retry, a wait or a child. */
typedef struct timing {
    heap_node timer;
    place at;
    uint32_t attempt; /* current or, between attempts, the next */
    int64_t began_ms; /* first attempt, or the wait; 0 = not known */
    int64_t due_ms;   /* of wait, next attempt or child, while it is not in the heap; 0 = none */
    union {
        listener *listener; /* of a wait for a signal */
        child *child;       /* of a workflow, from its checkpoint to its end */
        beat *beat;         /* of a task; NULL until it has heartbeats */
    };
} timing;

typedef struct each each;

typedef struct node {
    bytes *value; /* output, or the error if it did not succeed */
    union {
        timing *timing; /* of a unit */
        each *each;     /* of a step with for_each */
    };
    uint32_t waits_for; /* dependencies that have not ended, or are not stored */
    uint8_t phase;
    uint8_t end; /* enum checkpoint_kind, once ended */
    uint8_t flags;
} node;

struct each {
    digest digest;
    uint32_t count;
    uint32_t next; /* no item before it waits for its turn */
    uint32_t in_flight;
    uint32_t ended;
    uint32_t failed_index; /* first that failed; INDEX_NONE = none */
    bytes *error;          /* the list is wrong: what it has begun goes on, then it fails */
    bool queued;           /* the step is in a ready ring */
    bool goes_on;          /* continue_on_failure: an item that failed does not stop the others */
    node items[];
};

/* A queue in an array. */
typedef struct ring {
    char *data;
    uint32_t head, len, cap; /* cap is a power of two */
} ring;

typedef struct unstored {
    place at;
    uint8_t kind; /* enum checkpoint_kind */
} unstored;

enum run_phase {
    RUN_LOADING, /* before run_start */
    RUN_GOING,
    RUN_ASKING,    /* all steps ended, the output is being evaluated */
    RUN_CLOSING,   /* nothing starts, what runs is told to stop and awaited; `state` is decided */
    RUN_AFTERMATH, /* nothing runs, `state` is decided: what was done is compensated */
    RUN_ENDING,    /* RUN_END is the next action after the checkpoints */
    RUN_OVER,
};

enum stage {
    STAGE_DECIDED,  /* how it ends is written down once all before it is stored */
    STAGE_STORING,  /* that, or an outcome, is on its way */
    STAGE_READY,    /* the next attempt may start */
    STAGE_RUNNING,  /* it is out; the timer stands at its timeout */
    STAGE_OVERDUE,  /* the timeout has passed, RUN_STOP is still to be given */
    STAGE_STOPPING, /* it was */
    STAGE_BACKOFF,  /* the timer stands at the next attempt */
};

typedef struct failure {
    place at;
    bytes *error;
} failure;

/* Of a run whose definition has something to do after its steps. */
typedef struct aftermath {
    place *done; /* what is to be compensated, in the order of its ends: the last is next */
    size_t count, cap, reserved;
    uint8_t stage;     /* enum stage */
    bool is_stored;    /* restored: how it ends is */
    bool is_handled;   /* on_failure has come to an end */
    uint32_t attempt;  /* current or, between attempts, the next */
    int64_t began_ms;  /* the first attempt; 0 = not known */
    int64_t due_ms;    /* of the next attempt, while that is being stored; 0 = none */
    int64_t timer_ms;  /* INT64_MAX = none */
    failure *failures; /* as many as are told */
    uint32_t failed;
} aftermath;

struct run {
    definition *definition;
    run_options options;
    int64_t now_ms; /* of the last event */
    uint8_t phase;  /* enum run_phase */
    uint8_t state;  /* enum run_state */
    bool failed;    /* some step failed (not continue_on_failure): only handlers start */
    bool output_asked;
    bool held;
    bool was_stopped;  /* the history shows that it was being cancelled, or had timed out */
    int32_t stop_code; /* CLOSING: why */
    uint32_t failed_step;
    uint64_t failed_seq; /* of that step's checkpoint: nothing starts before it is stored */
    uint64_t last_seq, stored_seq;
    ring made;     /* checkpoint: to be given */
    ring unstored; /* struct unstored: those after stored_seq */
    ring begun;    /* place: it had begun before a restart and goes on */
    ring asks;     /* place: ready, an evaluation comes first */
    ring starts;   /* place: ready, an attempt comes first */
    ring overdue;  /* place */
    heap timers;
    uint32_t awaited;       /* attempts and evaluations without an answer */
    uint32_t children;      /* without an end, also those not started yet */
    bool has_left_children; /* abandoned ones */
    bytes *lent;            /* the last spec that was given */
    uint32_t handlers;      /* steps with another run_if than all_succeeded that have not ended */
    run_counts counts;
    aftermath *aftermath; /* NULL if nothing can follow */
    topic *topics;
    uint64_t *consumed; /* inbox items that the history says were */
    size_t consumed_len, consumed_cap;
    uint64_t told_seq; /* of the newest signal */
    bool consumed_sorted;
    place stopped;         /* CLOSING: how far the search for running attempts has come */
    bytes *output, *error; /* of the end */
    bytes *no_memory;      /* the error for that, made while there was some */
    node nodes[];
};

/* In run_record.c. */
void *ring_grow(ring *q, size_t size);

/* Room for one element, which the caller writes; NULL if there is no memory. */
static inline void *ring_push(ring *q, size_t size)
{
    if (q->len == q->cap && !ring_grow(q, size))
        return NULL;
    return q->data + (size_t)((q->head + q->len++) & (q->cap - 1)) * size;
}

static inline void *ring_pop(ring *q, size_t size) /* valid until the next push; not empty */
{
    void *element = q->data + (size_t)q->head * size;

    q->head = (q->head + 1) & (q->cap - 1);
    q->len--;
    return element;
}

static inline const step *run_step(const run *r, uint32_t number)
{
    return &r->definition->steps[number];
}

static inline bool run_has_items(const step *s)
{
    return s->extra && s->extra->for_each;
}

/* Whether an attempt or child of it is. */
static inline bool run_is_out(const node *n)
{
    return n->phase == PHASE_RUNNING || n->phase == PHASE_OVERDUE || n->phase == PHASE_STOPPING;
}

/* Whether no more of its items start. */
static inline bool run_stops(const each *e)
{
    return (e->failed_index != INDEX_NONE && !e->goes_on) || e->error;
}

/* Whether its failure is none of the run's. */
static inline bool run_continues(const step *s)
{
    return s->extra && s->extra->continue_on_failure;
}

static inline node *run_node(run *r, place at) /* at is known to be good */
{
    node *n = &r->nodes[at.step];

    return at.index == INDEX_NONE ? n : &n->each->items[at.index];
}

/* Nothing runs, and nothing that could still start would change how it ends. */
static inline bool run_all_done(const run *r)
{
    if (r->phase != RUN_GOING || r->counts.running || r->was_stopped)
        return false;
    return r->failed ? !r->handlers : r->counts.ended == r->counts.steps;
}

/* Restored: the history says how it ends. */
static inline bool run_is_closed(const run *r)
{
    return r->aftermath && r->aftermath->is_stored;
}

/* Field by field: to clear the whole action, checkpoint and all, takes longer. What only one kind has is set where that
 * is given. */
static inline void run_give(run_action *out, enum run_action_kind kind, place at)
{
    out->kind = (uint8_t)kind;
    out->what = out->state = 0;
    out->step = at.step;
    out->index = at.index;
    out->attempt = 0;
    out->code = 0;
    out->deadline_ms = 0;
    out->checkpoint.output = out->checkpoint.error = NULL;
    out->output = out->error = NULL;
}

/* run.c */
node *run_find(run *r, place at); /* NULL if there is none */
bool run_ask(run *r, place at, enum run_expression what, enum phase phase, run_action *out);

/* run_close.c */
bool run_next_done(run *r, run_action *out);
void run_output(run *r, run_answer *a);
void run_close(run *r, enum run_state state, int32_t code, bytes *error); /* takes the error over */
void run_no_memory(run *r);
bool run_next_closing(run *r, run_action *out);
bool run_has_closed(const run *r); /* all that ran was told to stop */

/* run_step.c. A function that takes `out` is true if it gave an action there. */
void run_ready(run *r, uint32_t number); /* all it depends on has ended: into a ready ring */
void run_push(run *r, place at);         /* likewise, to go on */
bool run_advance(run *r, place at, run_action *out);
void run_decided(run *r, uint32_t number, run_answer *a);
void run_end_step(run *r, checkpoint *c);
void run_fail_step(run *r, uint32_t number, bytes *error);
void run_count_end(run *r, uint32_t number);
void run_release(run *r, uint32_t number); /* its dependents; it ended and is stored */
void run_settle(run *r, place at, enum checkpoint_kind kind);

/* run_unit.c */
timing *run_timing(run *r, place at); /* made if there is none; NULL: no memory, the run closes */
void run_drop_timing(run *r, node *n);
bool run_begin_unit(run *r, place at, run_action *out);
bool run_first_action(run *r, place at, run_action *out); /* of an attempt or wait */
void run_timing_free(run *r, timing *t);
void run_set_timer(run *r, timing *t);              /* at its due_ms */
void run_end_unit(run *r, place at, checkpoint *c); /* takes its bytes over */
bool run_attempt(run *r, place at, run_action *out);
/* It ended; takes over what it uses of the result. `late`: after its timeout. */
void run_attempt_over(run *r, place at, bool late, run_result *result, checkpoint *c);
/* Of an attempt that failed; takes the result's over. Never NULL. */
bytes *run_attempt_error(const run *r, run_result *result, bool late, uint32_t attempt,
                         int64_t timeout_ms);
void run_stop(const run *r, place at, int32_t code, run_action *out);
bool run_next_overdue(run *r, run_action *out);
void run_resume(run *r, place at); /* the history, or what was just stored, says how far it came */
void run_timer(run *r, timing *t);

node *run_find_attempt(run *r, place at, uint32_t attempt); /* NULL if it is not out */

/* run_beat.c */
beat *run_beat(timing *t);   /* made if there is none; NULL: no memory */
void run_beat_free(beat *b); /* NULL is harmless */
bool run_beat_begin(run *r, timing *t, int64_t timeout_at, int64_t heartbeat_ms);
bool run_beat_over(run *r, timing *t);

/* run_wait.c */
void run_due(run *r, place at, run_answer *a);
void run_sleep(run *r, place at);
void run_sleep_over(run *r, place at); /* its time has come */
void run_heard(run *r, place at);

/* run_child.c */
child *run_child_of(const run *r, place at); /* NULL if there is none */
/* Into t->child; takes a reference to the spec. DATA_LOSS if it is none. */
int32_t run_child_new(run *r, timing *t, bytes *spec, bool may_exist, int64_t started_ms,
                      orch_error **err);
void run_child_free(run *r, child *c); /* NULL is harmless */
void run_specified(run *r, place at, run_answer *a);
void run_child_resume(run *r, place at);
bool run_call(run *r, place at, run_action *out);
bool run_child_late(run *r, place at); /* true if it must be told to stop */
bool run_close_child(run *r, place at, run_action *out);

/* run_undo.c */
bool run_prepare_aftermath(run *r); /* of a new run; false: no memory */
bool run_reserve_undo(run *r, uint32_t number, uint32_t count);
void run_free_aftermath(run *r);
void run_note_end(run *r, const checkpoint *c); /* if there is an aftermath */
bool run_end_uncertain(run *r, place at, enum checkpoint_kind kind);
bool run_has_aftermath(const run *r); /* `state` is decided */
void run_leave(run *r);               /* likewise: to what follows, or to the end */
bool run_next_aftermath(run *r, run_action *out);
void run_aftermath_timer(run *r);
void run_aftermath_stored(run *r);
bool run_aftermath_could_start(const run *r); /* if it is not held */
bool run_aftermath_waits(const run *r);
void run_aftermath_ended(run *r, enum run_role role, place at, uint32_t attempt,
                         run_result *result);
place run_undo_target(const aftermath *a); /* STEP_NONE: on_failure */
const handler *run_undo_handler(const run *r);
void run_note_failure(aftermath *a, place at, bytes *error); /* takes a reference */
void run_next_undo(aftermath *a);
int32_t run_restore_aftermath(run *r, const checkpoint *c, orch_error **err);

/* run_signal.c */
/* From {"signal","correlation"?}. INVALID_ARGUMENT if it is not that. */
int32_t run_listener_new(place at, const bytes *wanted, listener **out);
void run_listener_free(run *r, listener *l); /* NULL is harmless */
bool run_listen(run *r, listener *l); /* it has a signal, or is in its topic; false: no memory */
bool run_note_consumed(run *r, uint64_t seq); /* false if there is no memory */
void run_free_signals(run *r);

/* run_items.c */
each *run_each_new(const step *s, uint32_t count, const digest *d);
bool run_begin_items(run *r, uint32_t number, run_action *out);
void run_listed(run *r, uint32_t number, run_answer *a);
void run_expanded(run *r, uint32_t number);
bool run_next_item(run *r, uint32_t number, run_action *out);
void run_item_ended(run *r, place at);

/* run_retry.c: when attempt `attempt` + 1 may start, or 0 if it may not. */
int64_t run_retry_at(const retry_policy *p, uint32_t attempt, int32_t code, int64_t began_ms,
                     int64_t now_ms, const run_options *options);

/* run_record.c */
/* Queue the checkpoint (takes its bytes over), or, for a step that makes none, act at once as if it
 * were stored. False if there was no memory: the run closes. */
bool run_record(run *r, checkpoint *c);
bytes *run_error_text(int32_t code, const char *message);
/* For words and numbers of our own: at most 255 bytes. */
bytes *run_error(int32_t code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The error with words before its message and, unless NULL, the step. `error` may be NULL or not
 * what it should be: then code and message come from `code`. */
bytes *run_error_wrap(const bytes *error, int32_t code, const char *prefix, const char *step_id);

#endif
