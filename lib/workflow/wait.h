/* What a step with the executor `wait` waits for: its `with`, evaluated. */
#ifndef WORKFLOW_WAIT_H
#define WORKFLOW_WAIT_H

#include <jansson.h>
#include <orch/error.h>
#include <stdint.h>

#include "base/bytes.h"

typedef struct wait_spec {
    int64_t due_ms; /* absolute, UTC: when it ends, or for a signal is given up; 0 = never */
    bytes *signal;  /* {"signal":NAME,"correlation"?:SCALAR}; NULL: only for the time */
} wait_spec;

/* Read an evaluated `with` (borrowed): `duration`, `until` or `signal`; a null counts as left out, but not as a
 * correlation. INVALID_ARGUMENT names the step and the key. */
int32_t wait_spec_read(json_t *with, const char *step, int64_t now_ms, wait_spec *out,
                       orch_error **err);
/* From `signal` of one: its name (mem_free), and the canonical JSON text of its correlation, NULL if it has none. DATA_LOSS if it
 * is no such text. */
int32_t wait_signal_read(const bytes *signal, char **out_name, bytes **out_correlation,
                         orch_error **err);

#endif
