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
 * Taken over is every step that succeeded or was skipped by its own `when`, if all it depends on (in `onto`) was taken over, it
 * was not compensated, and it neither is `step` nor comes after it; of a for_each that is to be done again, the items that
 * succeeded. A step of `onto` is the same as one of `from` if it has its id. `step` NULL: whatever failed is done again.
 * Errors: NOT_FOUND if `step` is in neither or not in `onto` (the message says which version lacks it);
 * FAILED_PRECONDITION if there is nothing to do again (retry of what succeeded). */
int32_t carry_over(const definition *from, const checkpoint *rows, uint32_t count,
                   const definition *onto, const char *step, carried *out, orch_error **err);

#endif
