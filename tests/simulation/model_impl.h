/* The inside of the model. */
#ifndef SIMULATION_MODEL_IMPL_H
#define SIMULATION_MODEL_IMPL_H

#include "base/map.h"
#include "simulation/model.h"

#define LIMIT_KEYS  3
#define SERIAL_NONE 0
/* A hand-over may have been decided upon so long before, and its history be read since: it does not know what came then. */
#define ON_ITS_WAY  (15 * SECONDS)

/* A step, or an item of it, as the platter has it. */
typedef struct stand {
    bool begun;  /* there is a row of it */
    uint8_t end; /* enum checkpoint_kind; 0 = none */
    uint32_t end_attempt;
    uint64_t end_seq;
    uint64_t output;  /* whose it is, of work that succeeded */
    uint32_t failed;  /* attempts, by their RETRYING */
    int64_t due_ms;   /* of the next */
    bool waiting;     /* WAITING is stored … */
    int64_t wait_ms;  /* … until then; 0 = for a signal alone */
    uint64_t details; /* of the last heartbeat */
    uint8_t undo;     /* UNDONE or UNDO_FAILED */
    uint32_t undo_failed;
    int64_t undo_due_ms;
    /* Of attempts that were started under the newest hand-over. */
    epoch tried_epoch[2]; /* step, compensation */
    uint32_t tried[2];
} stand;

typedef struct run_record {
    uint64_t last_seq;
    stand stands[STEPS_MAX][ITEMS_MAX + 1]; /* the step itself, and its items */
    bool closing, failed, any_failed, handled;
    uint64_t undone_seq; /* of the end that was undone last; 0 = none yet */
} run_record;

typedef struct told {
    uint64_t seq, serial; /* of a signal */
    uint8_t kind;
    char name[16];
    bool correlated;
} told;

typedef struct hold { /* what an engine knows of it */
    epoch epoch;
    uint32_t incarnation;
    bool paused, cancelled;
    uint32_t running[STEPS_MAX]; /* attempts */
} hold;

struct execution {
    UT_hash_handle hh_key, hh_id;
    uint64_t key;
    char id[EXECUTION_ID_MAX + 1];
    const described *d;
    uint32_t run;
    uint8_t state;
    bool paused, abandoned, terminated, cancel_stored, accepted_told;
    bool must_be_cancelled;
    int64_t cancelled_us;
    uint32_t cancels, pauses[2];
    uint32_t pause_requests; /* of pauses and resumes: not answered */
    bool pause_settled;      /* it is paused, was answered so, and nothing else is on its way */
    int64_t accepted_ms, deadline_ms, start_ms;
    uint64_t parent;
    uint32_t parent_run, parent_step, parent_index;
    char start_key[16];
    uint8_t limit; /* number of its key + 1; 0 = none */
    bool attached; /* the orchestrator has a channel open about it */
    epoch epoch;   /* of the newest hand-over */
    run_record *now;
    told *inbox;
    uint32_t inbox_count, inbox_capacity;
    hold holds[ENGINES_MAX];
};

typedef struct attempt_record {
    execution *e;
    uint32_t run, step, index, number;
    uint8_t role;
    epoch epoch;
    uint8_t engine;
    uint32_t incarnation;
    bool open;
} attempt_record;

typedef struct limit_record { /* UINT32_MAX: none */
    uint32_t stored, larger;
    int64_t larger_until_us;
} limit_record;

struct model {
    execution *by_key, *by_id;
    execution **all;
    uint32_t count, capacity;
    described definitions[DEFINITIONS_MAX];
    uint32_t definition_count;
    attempt_record *attempts; /* by serial - 1 */
    uint64_t attempt_count, attempt_capacity;
    uint64_t term;
    limit_record limits[LIMIT_KEYS];
    struct {
        uint64_t key;
        uint8_t signal;
        bool correlated, stored, consumed;
    } * signals;
    uint64_t signal_count, signal_capacity;
    uint32_t paused; /* bit 0: everything; bit n + 1: workflow n */
};
extern struct model model;

static inline uint32_t stand_place(uint32_t index)
{
    return index == INDEX_NONE ? 0 : index + 1;
}
execution *model_find_id(const char *id);
attempt_record *model_attempt(uint64_t serial); /* NULL: none */
uint32_t model_limit(const limit_record *l);    /* that holds for a hand-over now */
uint64_t serial_of(const bytes *json);          /* of {"n":SERIAL}, or a bare number; 0: none */
void model_check_run_end(execution *e, const store_unit *u); /* model_end.c */
/* model_values.c: what a step sees of others, and a caller of the last. */
void model_check_input(const execution *e, const attempt *a, uint32_t number);
void model_check_output(const execution *e, const bytes *output);
void model_row(execution *e, const checkpoint *c, bool carried); /* model_rows.c */
void model_check_carried(const execution *e, const run_record *old, const run_record *new);
bool step_is_settled(const execution *e, uint32_t number); /* nothing more comes of it */
const char *place_name(const execution *e, uint32_t step, uint32_t index);

#endif
