/* What a step with the executor `workflow` asks for: its `with`, evaluated, as JSON text in a checkpoint. The engine reads it; the
 * orchestrator gets the parts. */
#ifndef WORKFLOW_CHILD_H
#define WORKFLOW_CHILD_H

#include <jansson.h>
#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define CHILD_DEPTH_MAX    32  /* parents above an execution, at most */
#define CHILD_PRIORITY_MAX 9   /* as of any execution */
#define CHILD_ID_MAX       128 /* as of any execution */

enum child_on_cancel {
    CHILD_CANCEL,  /* it is cancelled with its parent, who waits for its end */
    CHILD_ABANDON, /* it goes on by itself */
};

typedef struct child_spec {
    char *workflow;
    char *version;      /* a range; NULL = newest */
    bytes *inputs;      /* JSON object; NULL = {} */
    uint8_t on_cancel;  /* enum child_on_cancel */
    int32_t priority;   /* -1 = the parent's */
    int64_t timeout_ms; /* 0 = its definition's */
} child_spec;

/* Check an evaluated `with` (borrowed) and make the canonical text of it; a null counts as left out. INVALID_ARGUMENT names
 * the step and the key. */
int32_t child_spec_check(json_t *with, const char *step, bytes **out, orch_error **err);
/* From such a text. DATA_LOSS if it is none. */
int32_t child_spec_read(const bytes *text, child_spec *out, orch_error **err);
void child_spec_clear(child_spec *s);

/* The id of a child: the idempotency key of its step, "parent/run/step[/index]", and "~attempt" behind it from the second
 * attempt on; where that is too long, "~" and a digest of it. Resent, it starts nothing twice. */
char *child_id(const char *parent, uint32_t run, const char *step, uint32_t index,
               uint32_t attempt); /* NULL if there is no memory */
/* Likewise of a child that a task starts, whichever its attempt: the idempotency key of its step, and "~key" behind it if the
 * task gives one. */
char *child_id_of_task(const char *idempotency_key, const char *key);

#endif
