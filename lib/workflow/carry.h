/* What a new run takes over from an older one: retry, rerun, fork. Pure. */
#ifndef WORKFLOW_CARRY_H
#define WORKFLOW_CARRY_H

#include <orch/error.h>
#include <stdint.h>

#include "workflow/checkpoint.h"
#include "workflow/definition.h"

typedef struct carried {
    checkpoint *rows; /* seq 1, 2, …; references of its own */
    uint32_t count;
    uint32_t kept_steps; /* ends that were taken over */
} carried;
void carried_clear(carried *c);

/* `from` and `onto` may be the same definition. `rows`: the whole history of one run, in order of seq; borrowed.
 *
 * Taken over is every step that succeeded, was skipped by its own `when`, or failed where that may be (continue_on_failure), if all it
 * depends on (in `onto`) was taken over, it was not compensated, and it neither is `step` nor comes after it; of a for_each that is
 * to be done again, the items that succeeded, if its list is written as it was. A step of `onto` is the same as one of `from` if
 * it has its id. `step` NULL: whatever failed or did not end is done again. A step without checkpoints holds nothing back.
 * NOT_FOUND if `onto` has no `step` (the message says which version lacks it). */
int32_t carry_over(const definition *from, const checkpoint *rows, uint32_t count,
                   const definition *onto, const char *step, carried *out, orch_error **err);

#endif
