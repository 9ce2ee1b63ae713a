/* An attempt under way, for the two files that move it on. */
#ifndef ENGINE_ATTEMPT_IMPL_H
#define ENGINE_ATTEMPT_IMPL_H

#include "engine/engine_impl.h"

struct attempt_job {
    attempt base; /* first */
    UT_hash_handle hh;
    uint64_t place; /* step and index: of one place, one attempt runs at a time */
    uint32_t step;  /* STEP_NONE: of the workflow */
    slot *slot;
    const template *with;     /* NULL = no input */
    uint16_t executor_number; /* in the definition */
    executor_entry *executor; /* NULL: not registered yet */
    evaluation *evaluating;   /* of its `with`, on the pool */
    snapshot *view;           /* for executors that show it */
    sandbox_names names;
    list parked; /* in engine.parked until parked_until_ms, or in slot.proof.held */
    int64_t parked_until_ms;
    int64_t started_ms;
    bool started; /* the executor has it */
    char key[];   /* idempotency key */
};

/* attempt_job.c: it is gone afterwards. */
void attempt_finish_with(attempt_job *j, const orch_error *error);
/* attempt_start.c: its executor is known: evaluates its input, then starts it. It may be gone afterwards. */
void attempt_prepare(attempt_job *j);
/* Its input is evaluated: likewise. */
void attempt_start(attempt_job *j);

#endif
