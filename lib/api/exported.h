/* What an export says, read and checked, before it meets a definition. */
#ifndef API_EXPORTED_H
#define API_EXPORTED_H

#include <orch/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "store/store.h"

#define EXPORT_FORMAT 1

typedef struct exported_checkpoint {
    checkpoint checkpoint; /* without the number of its step */
    char *step;            /* its id; NULL = of the execution */
    uint32_t line;
} exported_checkpoint;

typedef struct exported_run {
    run_row end; /* of all but the newest */
    exported_checkpoint *rows;
    size_t count, cap;
} exported_run;

typedef struct exported {
    char *workflow, *version;
    digest digest;
    char *parent; /* its id; NULL = none */
    execution_row
        row; /* without the keys of definition and parent; of an open one the state is OPEN or SUSPENDED */
    exported_run *runs; /* 1 to row.run */
    control_row *controls;
    size_t control_count, control_cap;
} exported;

/* INVALID_ARGUMENT with the line; RESOURCE_EXHAUSTED. *out is zeros, or what exported_clear ends, also on failure. */
int32_t exported_read(const char *text, size_t len, exported *out, orch_error **err);
void exported_clear(exported *e);

/* The names of states in an export; NULL = none. */
const char *exported_state_name(uint8_t state);
/* enum run_state of what a run that is closing will be. */
const char *exported_closing_name(uint32_t state);

#endif
