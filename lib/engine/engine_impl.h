/* The inside of the engine. */
#ifndef ENGINE_ENGINE_IMPL_H
#define ENGINE_ENGINE_IMPL_H

#include <jansson.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mpsc.h"
#include "base/mutation.h"
#include "engine/engine.h"
#include "executor/sandboxes.h"
#include "workflow/scope.h"

typedef struct slot slot;
typedef struct attempt_job attempt_job;
typedef struct slot_child slot_child;

/* An executor under its name. Stays in place until the engine is freed. */
typedef struct executor_entry {
    UT_hash_handle hh;
    executor executor;
    char name[];
} executor_entry;

/* A definition that the engine holds, and the executors of its steps as far as they are registered. */
typedef struct known_definition {
    UT_hash_handle hh; /* by digest */
    list lru;          /* in engine.known_lru, oldest first */
    definition *definition;
    uint32_t users; /* slots */
    executor_entry *executors[];
} known_definition;

#define KNOWN_DEFINITIONS_MAX 256 /* unused ones beyond it are dropped */

struct engine {
    engine_ports ports;
    engine_options options;
    char *name;
    bool stopped, draining;
    sandboxes *sandboxes;
    executor_entry *executors;
    known_definition *known;
    list known_lru;
    uint32_t known_count;
    slot *slots;            /* by execution key: those that are not dropped */
    uint32_t active;        /* how many those are */
    list all;               /* every slot, dropped ones with work under way too */
    list ready;             /* slots with something to do */
    list parked;            /* attempts whose executor is not registered, by time */
    heap timers;            /* of slots */
    uint32_t under_way;     /* attempts and evaluations not yet back */
    mpsc finished;          /* attempts that came back, from any thread */
    mpsc beats;             /* attempts that said that they are alive, likewise */
    atomic_int beats_rest;  /* beats are looked at by themselves only at beats_until_ms */
    int64_t beats_until_ms; /* loop thread */
    attempt at_once;        /* of immediate executors, one after the other */
    int64_t now_ms;         /* as of this pump */
    int64_t timer_ms;       /* what the timer port was last set to */
};

enum slot_state {
    SLOT_NEEDS_DEFINITION,
    SLOT_RUNNING,
    SLOT_SUSPENDING, /* told the orchestrator so; waits for the channel to close */
    SLOT_COMPLETED,  /* likewise */
    SLOT_DROPPED,    /* nobody wants it any more; waits for its work to come back */
};

/* The list that a for_each goes over. */
typedef struct slot_items {
    UT_hash_handle hh; /* by step */
    uint32_t step;
    json_t *list;
} slot_items;

/* A ring of checkpoints that were reported and not acknowledged: sent again after a reattachment. */
typedef struct unacknowledged {
    checkpoint *rows;
    uint32_t capacity; /* a power of two */
    uint32_t count;
    uint64_t first_seq; /* of the oldest */
} unacknowledged;

/* That steps may start: proof.c. */
typedef struct proof {
    bool needed; /* the orchestrator is another process */
    bool asking; /* the question `number` went at asked_ms, and was not answered */
    uint64_t number;
    int64_t asked_ms;
    uint64_t told_seq; /* a checkpoint that went at told_ms, and was not acknowledged; 0 = none */
    int64_t told_ms;
    int64_t until_ms; /* it holds */
    list held;        /* attempts that could start and lacked it, by .parked */
} proof;

/* One execution on this engine. */
struct slot {
    UT_hash_handle hh;
    list all;
    list ready;
    heap_node timer; /* of the run, of a detachment, or of a quiet time */
    engine *engine;
    channel *channel; /* NULL: detached */
    uint8_t state;    /* enum slot_state */
    bool end_taken;   /* RUN_END came; it is in `end` */
    epoch epoch;
    uint32_t attached; /* the highest number of ATTACH that came */
    uint64_t key;
    message_start *start;
    known_definition *known;
    run *run;
    json_t *input;     /* parsed when first needed */
    json_t *execution; /* likewise: what expressions see of it */
    json_t **values;   /* per step: what expressions see of it; allocated when first needed */
    slot_items *items;
    attempt_job *attempts; /* under way, by step and index */
    slot_child *children;  /* that were asked for and have not ended, likewise */
    uint32_t under_way;    /* attempts and evaluations that refer to this slot */
    message *report;       /* being filled */
    message *spare;        /* an acknowledgement that was read: the next report is made of it */
    unacknowledged pending;
    run_action end;                /* COMPLETED: kept for a reattachment */
    uint32_t refusals;             /* of children, that came on this channel */
    uint64_t inbox_seen;           /* of the inbox: the newest that the run was told */
    size_t inbox_capacity;         /* of start->inbox, once some came behind it … */
    uint32_t inbox_limit;          /* … and how many it may hold */
    int64_t detached_ms, quiet_ms; /* since when; 0 = not */
    uint64_t items_total, items_ended;
    proof proof;
};

/* On whose behalf something is evaluated. */
typedef struct viewer {
    uint8_t role;         /* enum run_role */
    uint32_t step, index; /* STEP_NONE: the workflow */
} viewer;

/* What an expression can see, held by reference, so that it can go to another thread. */
typedef struct snapshot {
    scope scope;
    engine *engine;
    const definition *definition;
    uint32_t count;
    uint32_t *numbers; /* of the steps, sorted */
    json_t *values[];  /* in the same order */
} snapshot;

/* ---- engine.c -------------------------------------------------------------------------------------------- */

executor_entry *engine_executor_of(engine *e, known_definition *k, uint16_t executor);
void engine_touch(slot *s); /* it has something to do */

/* ---- known.c --------------------------------------------------------------------------------------------- */

known_definition *known_find(engine *e, const digest *d);
known_definition *known_add(engine *e,
                            definition *d); /* takes a reference; NULL if there is no memory */
void known_use(engine *e, known_definition *k);
void known_release(engine *e, known_definition *k);
void known_free_all(engine *e);

/* ---- slot.c ---------------------------------------------------------------------------------------------- */

/* Take an execution over (with the message's start). NULL with *err; the message stays the caller's then. */
slot *slot_new(engine *e, channel *c, message *m, orch_error **err);
int32_t slot_begin(slot *s, known_definition *k, orch_error **err);
/* While the engine drains: it starts nothing any more, and is handed back once it has nothing under way. */
void slot_drain(slot *s);
uint32_t slot_work(slot *s, uint32_t most); /* takes at most so many actions; returns how many */
void slot_on_timer(slot *s);
void slot_set_timer(slot *s);
/* The engine cannot go on with it, and no other could: it ends FAILED. Takes the error over. */
void slot_fail(slot *s, orch_error *error);
void slot_drop(slot *s);       /* forget it; freed once its work is back */
void slot_unref_work(slot *s); /* a piece of work came back */

/* ---- protocol.c ------------------------------------------------------------------------------------------ */

extern const channel_handler protocol_fresh_handler; /* ctx: the engine; until the first message */
void protocol_refuse(slot *s, const orch_error *error);
bool protocol_report(
    slot *s, checkpoint *c); /* takes it over; false if there is no memory: still the caller's */
void protocol_send_report(slot *s, enum report_end end);
static inline bool protocol_has_credit(const slot *s)
{
    return s->pending.count < s->engine->options.credit;
}
void unacknowledged_free(unacknowledged *u);

/* ---- proof.c --------------------------------------------------------------------------------------------- */

/* A channel came, and what was proven before holds no more. The number of the question that ACCEPTED asks; 0 = none. */
uint64_t proof_begin(slot *s);
bool proof_holds(const slot *s); /* steps may start now */
void proof_ask(slot *s);         /* something could start; s may be dropped afterwards */
void proof_came(slot *s, uint64_t number);
void proof_told(slot *s, uint64_t seq); /* checkpoints up to seq go for the first time */
void proof_stored(slot *s, uint64_t seq);

/* ---- inbox.c --------------------------------------------------------------------------------------------- */

void inbox_message(slot *s, inbox_note *n); /* one that came by itself; takes what it holds */
/* Tell a run that has not begun all that came before. */
void inbox_begin(slot *s);

/* ---- child.c --------------------------------------------------------------------------------------------- */

void child_start(slot *s, const run_action *a);
void child_stop(slot *s, const run_action *a);
bool children_resend(slot *s); /* false if there is no memory */
void child_refused(slot *s, message_child *child);
void child_ended(slot *s, inbox_note *n); /* takes the payload */
void children_free(slot *s);

/* ---- payloads.c: encoded outside, plain inside. On failure what was not reached is as it was. --------------- */

int32_t payloads_decode_start(const codec *c, message_start *s, orch_error **err);
int32_t payloads_decode_note(const codec *c, inbox_note *n, orch_error **err);
int32_t payloads_encode_row(const codec *c, checkpoint *row, orch_error **err);
/* What an error says beside code and message is lost rather than told plainly. */
void payloads_encode_error(slot *s, bytes **error);

/* ---- values.c -------------------------------------------------------------------------------------------- */

/* The value of a template that is inline, by what expressions of a step see now. A new reference; 0, or its code. */
int32_t values_evaluate(slot *s, viewer who, const template *t, json_t **out, orch_error **err);
/* What they see, held by reference, with the named steps and, if `direct`, the step's direct dependencies. What is evaluated for a
 * compensation or on_failure also sees how the execution ends, and a compensation what it is for, of an item the item's own. */
snapshot *values_snapshot(slot *s, viewer who, const uint32_t *steps, size_t count, bool direct);
void snapshot_free(snapshot *v);
bool values_set_items(slot *s, uint32_t step, json_t *items); /* takes the reference */
bool values_has_items(const slot *s, uint32_t step);
json_t *values_input(slot *s);             /* borrowed; NULL if there is no memory */
bytes *json_to_bytes(const json_t *value); /* compact; NULL if there is no memory */

/* ---- evaluate.c ------------------------------------------------------------------------------------------ */

void evaluate_action(slot *s, const run_action *a);
/* What a for_each gave: the answer's count and digest, and the list is kept. */
int32_t evaluate_take_items(slot *s, uint32_t step, json_t *value, run_answer *a, orch_error **err);
/* Evaluate a template off the loop: `done` gets a new reference or an error, on the loop thread. False if it could not be started (*err). */
typedef struct evaluation evaluation;
struct evaluation {
    work work;
    engine *engine;
    definition *definition;
    const template *template;
    snapshot *view;
    json_t *value;
    orch_error *error;
    void (*done)(evaluation *v); /* frees v by evaluation_free */
    slot *slot;
    run_action action;    /* of RUN_EVALUATE */
    attempt_job *attempt; /* of a `with` */
};
evaluation *evaluation_new(slot *s, const template *t, viewer who);
int32_t evaluation_start(evaluation *v, orch_error **err);
void evaluation_free(evaluation *v);

/* ---- attempt_job.c --------------------------------------------------------------------------------------- */

void attempt_begin(slot *s, const run_action *a);
void attempt_stop(slot *s, const run_action *a);
void attempt_stop_all(slot *s, int32_t code);
void attempt_finished(attempt_job *j); /* drained from engine.finished */
attempt_job *attempt_of_node(mpsc_node *node);
void attempt_heard(attempt_job *j); /* drained from engine.beats */
attempt_job *attempt_of_beat(mpsc_node *node);
void attempt_retry_parked(
    engine *e); /* start those whose executor is there now, fail those that waited too long */
int64_t attempt_parked_deadline(const engine *e);
attempt_job *attempt_first(const slot *s);
const char *attempt_step_id(const attempt_job *j);

#endif
