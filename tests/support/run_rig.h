/* A rig for one run: it does what an engine does with the run's actions, keeps the history, and
 * checks with every action what must always hold. Time, storage and the ends of attempts move when
 * the test says so. */
#ifndef TESTS_RUN_RIG_H
#define TESTS_RUN_RIG_H

#include "workflow/run.h"

#define ANY UINT32_MAX /* as attempt: whichever is out */

typedef struct outstanding { /* an attempt, evaluation or child that was not answered */
    uint8_t kind;            /* RUN_ATTEMPT, RUN_EVALUATE, RUN_CHILD */
    uint8_t what;
    uint8_t role; /* of an attempt: enum run_role */
    uint32_t step, index, attempt;
    int64_t given_ms, deadline_ms, heartbeat_ms;
    int32_t stopped; /* code of its RUN_STOP */
} outstanding;

typedef struct rig_child { /* one that exists: it lives on over restarts of its parent */
    uint32_t step, index, attempt;
    bool has_ended;
} rig_child;

typedef struct told {              /* an item of the inbox */
    char *name;                    /* of a signal; NULL: a child ended */
    uint32_t step, index, attempt; /* of a child, as is the code */
    int32_t code;
    bytes *correlation, *payload;
    uint64_t consumed_by; /* seq of the checkpoint that did; 0 = none */
} told;

typedef struct rig {
    definition *definition;
    run_options options;
    run *run;
    int64_t now_ms;
    outstanding *out; /* oldest first */
    uint32_t out_count, out_max;
    checkpoint *history; /* all that was made; the first `stored` survive a restart */
    uint32_t made, history_max;
    uint32_t stored;
    uint32_t starts; /* attempts given in all */
    told *inbox;     /* item n has seq n + 1 */
    uint32_t told_count, told_max;
    rig_child *children;
    uint32_t child_count, child_max;
    bool ended;
    uint8_t state; /* of RUN_END */
    bytes *output, *error;
} rig;

/* `json` has ' for ". Fails the test if the definition is refused. */
void rig_open(rig *w, const char *json, const run_options *options);
void rig_open_definition(rig *w, definition *d,
                         const run_options *options); /* takes the reference */
void rig_close(rig *w);
/* The process dies: only what is stored is left, and (if keep is less) not even all of that. The
 * inbox is told again, except for what that has consumed. */
void rig_restart(rig *w, uint32_t keep);

void rig_pump(rig *w);                     /* take all actions there are */
bool rig_step(rig *w);                     /* take one; false if there was none */
void rig_store(rig *w);                    /* all that was made is stored now; then pump */
void rig_store_to(rig *w, uint32_t count); /* no pump */
void rig_sleep(rig *w);                    /* to the next deadline, and pump */

outstanding *rig_find(rig *w, uint8_t kind, const char *step, uint32_t index); /* NULL if not out */
outstanding *rig_find_number(rig *w, uint8_t kind, uint32_t step, uint32_t index);
outstanding *rig_find_undo(rig *w); /* the compensation or on_failure that is out */
/* Answer it (it must be out). No pump. */
void rig_end(rig *w, const char *step, uint32_t index, int32_t code);
void rig_end_with(rig *w, outstanding *o, int32_t code, const char *output, bool no_retry);
void rig_answer(rig *w, outstanding *o, run_answer answer);
/* A heartbeat of the attempt that is out. No pump. */
void rig_beat(rig *w, const char *step, uint32_t index, const char *details);
/* End the compensation or on_failure that is out; pump, store. */
void rig_undo(rig *w, int32_t code);
/* The child ends, whether the run has asked for it in this life or not: its end goes into the inbox. No pump. */
void rig_end_child(rig *w, const char *step, uint32_t index, int32_t code, const char *output);
void rig_end_child_number(rig *w, uint32_t step, uint32_t index, int32_t code, const char *output);
/* It is not there, or could not be started (it must be out). No pump. */
void rig_refuse_child(rig *w, outstanding *o, int32_t code, bool no_retry);
rig_child *rig_child_of(rig *w, uint32_t step, uint32_t index); /* that has not ended; NULL */
/* Answer, store, pump. */
void rig_ok(rig *w, const char *step);
void rig_fail(rig *w, const char *step);

/* Tell a new run what is in the inbox. */
void rig_tell_all(rig *w);
/* Put a signal into the inbox and tell of it; its seq. No pump. */
uint64_t rig_signal(rig *w, const char *name, const char *correlation, const char *payload);

uint32_t rig_number(const rig *w, const char *step);
/* What is out, oldest first, with commas: attempts as "a" or "a[3]", evaluations as "?a", children
 * as "+a", compensations as "-a", on_failure as "-"; those that were told to stop with a "!" behind. */
const char *rig_doing(rig *w);
/* The history, "S a, F b, R c[2]#3": kind, place, attempt above 1. Kinds: DEWRSFC, K skipped, P a child, B a heartbeat;
 * X closing, r undo retrying, U undone, u undo failed; on_failure: h retrying, H handled, g failed. */
const char *rig_history(rig *w);

#endif
