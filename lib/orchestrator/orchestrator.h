/* The orchestrator core: accepts executions, records them, hands them to engines through transports and sees each to
 * exactly one end. Owns the registry of workflows. Deterministic, like the engine: no I/O, clock, thread, lock or
 * random number of its own. Everything is called on the loop thread; nothing is answered inside the call that asks:
 * requests are answered from orchestrator_pump, through their `done`. */
#ifndef ORCHESTRATOR_ORCHESTRATOR_H
#define ORCHESTRATOR_ORCHESTRATOR_H

#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "balancer/balancer.h"
#include "base/list.h"
#include "base/log.h"
#include "base/work.h"
#include "monitor/events.h"
#include "store/store.h"
#include "transport/transport.h"
#include "workflow/definition.h"

typedef struct orchestrator orchestrator;

typedef struct orchestrator_ports {
    void *ctx;
    int64_t (*now_ms)(void *ctx);    /* UTC */
    int64_t (*steady_ms)(void *ctx); /* as in engine_ports: where there are such engines */
    void (*set_timer)(void *ctx, int64_t at_ms); /* as in engine_ports */
    work_pool io;                                /* for reads of the store, and parsing */
    store store;                                 /* leased already */
    uint64_t term;                               /* of that lease */
    logger *log;
    events *events; /* NULL: nobody listens */
} orchestrator_ports;

typedef struct orchestrator_options {
    uint64_t
        max_open; /* executions not ended; beyond it starts get RESOURCE_EXHAUSTED; 0 = 10,000,000 */
    uint32_t max_accepting; /* starts on their way into the store; 0 = 65,536 */
    uint32_t window;        /* pending executions held in memory; 0 = 8192 */
    uint64_t
        window_bytes; /* inputs held in memory, beyond which starts wait in the store; 0 = 64 MiB */
    int64_t
        attach_grace_ms; /* how long a broken channel may take to come back; 0 = 15,000 (longer than the engine's grace) */
    definition_limits limits;
    uint32_t max_signals;     /* that wait in one execution's inbox; 0 = 10,000 */
    int64_t retention_age_ms; /* ended executions are deleted after it; 0 = never */
    uint64_t retention_count; /* so many ended ones are kept; 0 = all */
} orchestrator_options;

/* Reads marks and registered workflows from the store (blocks), begins recovery. Takes over balancer, borrows the rest. */
int32_t orchestrator_new(const orchestrator_options *options, const orchestrator_ports *p,
                         balancer b, orchestrator **out, orch_error **err);
/* No more starts and dispatches; channels are closed; waiters are answered CANCELLED. Then pump until orchestrator_is_idle. */
void orchestrator_stop(orchestrator *o);
bool orchestrator_is_idle(
    const orchestrator *o); /* no unit in the store, no read under way, all requests answered */
void orchestrator_free(orchestrator *o);

/* An engine by hand: `name` is what balancers know it by. Borrows the transport. */
int32_t orchestrator_add_engine(orchestrator *o, const char *name, transport t,
                                const char *endpoint, uint32_t capacity, orch_error **err);

typedef struct engine_info { /* borrowed for the turn */
    const char *name, *endpoint;
    uint32_t capacity, active; /* executions of this orchestrator */
    bool available;            /* false: it refused, or was not reached, a moment ago */
} engine_info;
/* One after the other, from 0 on. False: there are no more. */
bool orchestrator_get_engine(const orchestrator *o, size_t i, engine_info *out);

/* Reap the store, dispatch, answer. True if there is more to do now. */
bool orchestrator_pump(orchestrator *o, uint32_t budget);

/* ---- requests -------------------------------------------------------------------------------------------- */

/* What ended, for those who wait. Reference-counted; immutable; any thread. */
typedef struct outcome {
    atomic_uint refs;
    uint64_t key;
    char *id;
    char *workflow, *version;
    uint8_t state; /* enum execution_state, an end */
    int64_t accepted_ms, ended_ms;
    bytes *output, *error;
} outcome;
void outcome_unref(outcome *o);
outcome *outcome_ref(outcome *o);
/* From a row that has ended; takes references. Any thread. NULL if there is no memory. */
outcome *outcome_of_row(const execution_row *row, const char *workflow, const char *version);

/* Asks to be told of one execution's end. Embedded by the asker; stays in place until `done`. */
typedef struct end_waiter {
    list link;
    uint64_t key; /* of the execution, while it waits */
    /* `o` NULL: stopping (code CANCELLED), or code NOT_FOUND. Borrowed. */
    void (*done)(struct end_waiter *w, int32_t code, outcome *o);
} end_waiter;

struct parent_link;

typedef struct start_request {
    /* in */
    char *workflow;      /* owned by the request, like all else in it */
    semver_range *range; /* NULL = newest */
    char *id;            /* NULL = make one */
    bytes *input;        /* JSON object, as it is stored; NULL = {} */
    bytes *
        plain_input; /* the same before a codec; NULL = `input` is plain. Checked against what the definition declares */
    int64_t timeout_ms;  /* 0 = the definition's; from the acceptance, or from start_at_ms */
    int64_t start_at_ms; /* not handed over before; 0 = at once */
    int64_t latest_ms;   /* whatever its timeout, it must have ended by then; 0 = any time */
    bool has_priority;
    uint8_t priority;         /* 0 to 9, with has_priority; else 5 */
    char *affinity;           /* NULL = the workflow's id */
    char *limit_key;          /* NULL = none */
    bytes *attributes;        /* JSON object, checked; NULL = {} */
    char *start_key;          /* NULL = none */
    uint8_t start_key_policy; /* enum start_key_policy */
    int64_t start_key_ttl_ms; /* 0 = as long as its execution is in the store */
    struct parent_link *
        parent; /* the orchestrator's own starts: whose child it is; taken over. Backlog limits do not hold then */
    end_waiter *
        waiter; /* NULL, or registered in the same turn as the acceptance is decided, so that no end is missed; if the
                         * start is refused, its done is not called */
    /* out */
    int32_t code;
    orch_error *error; /* owned by the request */
    uint64_t key;
    bool existed; /* the start key was taken: `key` is of the execution that has it */
    void (*done)(struct start_request *r); /* once; the request is the callee's again */
    list link;                             /* the orchestrator's */
} start_request;
void orchestrator_start(orchestrator *o, start_request *r);
/* Start a child from within an attempt. r->id, of the asker's choice, follows from the attempt's step, so that a child is started once:
 * one that is there already, of the same step and workflow, is the answer (`existed`; whether its input is the same, which may
 * be encoded, the asker finds out). Errors besides those of a start: FAILED_PRECONDITION: the attempt is of an old hand-over, its execution
 * has ended, or there are too many above each other; ALREADY_EXISTS: the id is of another execution, or of another workflow's. */
void orchestrator_start_child(orchestrator *o, start_request *r, const attempt_place *from,
                              bool abandoned);

typedef struct register_request {
    definition *definition; /* reference owned by the request */
    bytes *metadata;
    int32_t code;
    orch_error *error;
    void (*done)(struct register_request *r);
    list link;
} register_request;
void orchestrator_register(orchestrator *o, register_request *r);

/* ---- control: each leaves a control_row with who and why, in the unit that does it ---------------------------- */

enum control_action {
    CONTROL_CANCEL,
    CONTROL_TERMINATE,
    CONTROL_SIGNAL,
    CONTROL_PAUSE,
    CONTROL_RESUME,
    CONTROL_PRIORITY,
    CONTROL_RETRY, /* a new run, from what failed */
    CONTROL_RERUN, /* a new run, from `step` on */
    CONTROL_FORK,  /* a new execution, from what `id` has done */
};

/* All texts and bytes are owned by the request; those that an action does not use are NULL. */
typedef struct control_request {
    /* in */
    uint8_t action;
    char *id;
    char *who, *why;              /* NULL = not said */
    char *name;                   /* SIGNAL */
    bytes *correlation, *payload; /* SIGNAL */
    uint8_t priority;             /* PRIORITY */
    char *step;                   /* RERUN, FORK (NULL: all that was done is taken over) */
    char *new_id;                 /* FORK; NULL = make one */
    semver_range *range;          /* FORK: onto the newest version in it; NULL = the same version */
    /* out */
    int32_t code;
    orch_error *error;
    uint64_t key; /* FORK: of the new execution */
    void (*done)(struct control_request *r);
    list link;
} control_request;
/* Errors: NOT_FOUND; FAILED_PRECONDITION where the state of the execution does not allow it (the message says which state it is in);
 * RESOURCE_EXHAUSTED (signals that wait, store full); ABORTED if another orchestrator has the store. Repeating one that
 * holds already (pausing what is paused) succeeds. */
void orchestrator_control(orchestrator *o, control_request *r);

/* Settings that hold for many executions, durable, in force once answered. */
typedef struct limit {
    uint32_t concurrency; /* executions of the key that engines have at a time; 0 = no limit */
    uint32_t rate;        /* hand-overs … */
    int64_t per_ms;       /* … in each such time; 0 = no limit */
    uint32_t burst;       /* at most so many at once; 0 = rate */
} limit;

typedef struct setting_request {
    char *workflow;  /* pause or resume: its id, or NULL with no `limit_key` = everything */
    char *version;   /* delete that version of the workflow; exact */
    char *limit_key; /* set a limit */
    bool paused;
    limit limit;
    char *who, *why;
    int32_t code;
    orch_error *error;
    void (*done)(struct setting_request *r);
    list link;
} setting_request;
void orchestrator_set(orchestrator *o, setting_request *r);
/* A version that was deleted keeps its definition, for the executions that it has; a setting "deleted/WORKFLOW VERSION" says so. */
#define DELETED_PREFIX "deleted/"
char *orchestrator_deleted_name(const char *workflow, const char *version); /* NULL: no memory */
limit orchestrator_get_limit(const orchestrator *o, const char *key);       /* zeros: none */
/* A workflow, by itself or with everything; NULL = everything. */
bool orchestrator_is_paused(const orchestrator *o, const char *workflow);

/* ---- imports --------------------------------------------------------------------------------------------- */

typedef struct import_request {
    execution_row row; /* it has ended; its definition is registered */
    store_past past;
    int32_t code; /* ALREADY_EXISTS: its id or its key */
    orch_error *error;
    void (*done)(struct import_request *r);
    list link;
} import_request;
void orchestrator_import(orchestrator *o, import_request *r);

/* Wait for the end of an execution that was accepted before; one that has ended already is read from the store. */
void orchestrator_wait(orchestrator *o, uint64_t key, end_waiter *w);
/* Take a waiter back: its done will not be called. False if it was called already. */
bool orchestrator_unwait(orchestrator *o, end_waiter *w);

enum live_state { LIVE_NONE, LIVE_PENDING, LIVE_RUNNING }; /* NONE: not in memory */
enum live_state orchestrator_live_state(const orchestrator *o, uint64_t key);

typedef struct orchestrator_stats {
    uint64_t open;                                              /* executions not ended */
    uint64_t pending, running;                                  /* in memory */
    uint64_t started, ended, dispatched, redispatched, refused; /* since the start */
    uint64_t units_submitted;                                   /* since the start */
    uint64_t units_in_store;                                    /* submitted, not reaped */
} orchestrator_stats;
void orchestrator_get_stats(const orchestrator *o, orchestrator_stats *out);
uint64_t orchestrator_units_submitted(const orchestrator *o); /* that one alone, for each turn */
bool orchestrator_has_units(const orchestrator *o);           /* in the store, not reaped */

#endif
