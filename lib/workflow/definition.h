/* A workflow's definition, parsed and checked: immutable, reference-counted, read by any thread. */
#ifndef WORKFLOW_DEFINITION_H
#define WORKFLOW_DEFINITION_H

#include <jansson.h>
#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "workflow/semver.h"
#include "workflow/template.h"

#define NAME_MAX_LEN 128

enum step_kind {
    STEP_TASK,     /* an executor runs it */
    STEP_WAIT,     /* the run itself keeps the time */
    STEP_WORKFLOW, /* a child execution */
};

enum run_if { RUN_IF_ALL_SUCCEEDED, RUN_IF_ALL_DONE, RUN_IF_ANY_FAILED, RUN_IF_ANY_SUCCEEDED };

typedef struct retry_policy {
    uint32_t max_attempts; /* 1 = no retry */
    int64_t initial_interval_ms;
    int64_t max_interval_ms;
    int64_t max_elapsed_ms; /* from the first attempt's start; 0 = no limit */
    uint32_t backoff_milli; /* factor × 1000, 1000 to 100,000: an integer, so machines agree */
    uint32_t jitter_milli;  /* part of the interval that is random, × 1000, 0 to 1000 */
    uint32_t non_retryable; /* bit n: canonical code n ends the step at once */
} retry_policy;

/* What is done about a step or a workflow that failed: `compensate`, `on_failure`. */
typedef struct handler {
    template *with;     /* NULL = no input */
    int64_t timeout_ms; /* per attempt; 0 = none */
    retry_policy retry;
    uint16_t executor; /* index into definition.executors; of a task, not wait or workflow */
    bool when_failed;  /* compensate: also if the step failed or was cancelled, so that what it did
                        * is not known */
} handler;

/* A declared input or output. */
enum field_type {
    FIELD_ANY,
    FIELD_STRING,
    FIELD_INTEGER,
    FIELD_NUMBER, /* an integer too */
    FIELD_BOOLEAN,
    FIELD_OBJECT,
    FIELD_ARRAY,
};

typedef struct declared {
    const char *name;
    uint8_t type;     /* enum field_type */
    bool optional;    /* `required: false`, or has a default */
    json_t *fallback; /* of an input: the default; NULL = none. Never changed, read by any thread */
} declared;

/* What most steps do not have. */
typedef struct step_extra {
    template *when;            /* NULL = always */
    template *for_each;        /* NULL = once */
    uint32_t max_parallel;     /* of a for_each; 0 = no limit of its own */
    int64_t timeout_ms;        /* per attempt; 0 = none */
    int64_t heartbeat_ms;      /* an attempt that says nothing for so long has failed; 0 = none */
    const handler *compensate; /* NULL = none */
    bool
        continue_on_failure; /* its failure neither fails the run nor holds back what depends on it */
    retry_policy retry;
} step_extra;

typedef struct step {
    const char *id;
    template *with;          /* NULL = no input */
    const step_extra *extra; /* NULL if it has nothing of that kind */
    uint32_t dependencies;   /* offset into definition.edges */
    uint32_t dependency_count;
    uint32_t dependents; /* offset into definition.edges */
    uint32_t dependent_count;
    uint16_t executor; /* index into definition.executors */
    uint8_t kind;      /* enum step_kind */
    uint8_t run_if;    /* enum run_if */
    bool checkpoint;   /* false: `"checkpoint": false` */
} step;

typedef struct definition {
    atomic_uint refs;
    const char *id;
    const char *version;
    semver semver;
    digest digest;                    /* of `text` */
    bytes *text;                      /* canonical JSON of what was written */
    int64_t timeout_ms;               /* of an execution, from its acceptance; 0 = none */
    template *output;                 /* NULL: the output is null */
    const handler *on_failure;        /* NULL = none */
    const declared *inputs, *outputs; /* sorted by name */
    uint32_t input_count, output_count;
    bool has_inputs, has_outputs; /* declared, be it as {}: others are refused then */
    bool compensates;             /* some step has `compensate` */
    const step *steps;
    uint32_t step_count;
    uint32_t edge_count; /* dependencies in all; edges holds twice as many entries */
    const uint32_t *edges;
    const char *const *executors; /* names used, each once */
    uint32_t executor_count;
} definition;

/* Whether a step of it starts a child, with the executor `workflow`. */
bool definition_has_children(const definition *d);
/* Whether it names an executor that is not built in: a function of the host. */
bool definition_calls_back(const definition *d);

typedef struct definition_limits {
    size_t max_bytes;     /* of the text; 0 = 64 MiB */
    uint32_t max_steps;   /* 0 = 1,000,000 */
    uint32_t max_edges;   /* 0 = 10,000,000 */
    uint32_t max_nesting; /* of the document; 0 = 64 */
} definition_limits;

/* Parse JSON (first byte that is not white space is '{') or YAML, check all, and build. `limits`
 * may be NULL. Errors: INVALID_ARGUMENT with the place: "line L column C" for syntax, a JSON
 * pointer ("/steps/3/depends_on/0") for the rest, in `about` and at the message's start.
 * RESOURCE_EXHAUSTED for no memory; UNIMPLEMENTED for YAML without libyaml. */
int32_t definition_parse(const char *text, size_t len, const definition_limits *limits,
                         definition **out, orch_error **err);
/* The same from a tree (builder, YAML). Borrows `tree`. */
int32_t definition_from_json(json_t *tree, const definition_limits *limits, definition **out,
                             orch_error **err);
definition *definition_ref(definition *d);
void definition_unref(definition *d);

/* Whether a value is what the definition declares: an object that has every required name and no name but the declared ones,
 * each of its type; a null counts as left out, except for `any`. Always so if nothing is declared. NULL stands for {}. Both say the
 * name, what it is and what is allowed; inputs: INVALID_ARGUMENT, which names the workflow too; outputs: FAILED_PRECONDITION,
 * to be read behind "output: ". Any thread. */
int32_t definition_check_inputs(const definition *d, json_t *input, orch_error **err);
int32_t definition_check_outputs(const definition *d, json_t *output, orch_error **err);
/* The input (NULL stands for {}) with defaults for what it leaves out: a new reference, maybe to `input` itself. NULL if
 * there is no memory. */
json_t *definition_fill_inputs(const definition *d, json_t *input);

/* The number of a step by its id. False if there is none. */
bool definition_find_step(const definition *d, const char *id, size_t len, uint32_t *out);

/* The YAML text as a JSON tree (core schema of YAML 1.2: no timestamps, no "yes", 0o17 is octal and
 * 017 is not; no merge keys); anchors and aliases are allowed within max_nesting and as long as the
 * document with its aliases replaced fits max_bytes; doubled keys are an error with line and
 * column. */
int32_t yaml_to_json(const char *text, size_t len, const definition_limits *limits, json_t **out,
                     orch_error **err);

/* Canonical JSON of a tree: keys sorted by bytes, no white space, shortest numbers that read
 * back the same. */
bytes *canonical_json(const json_t *tree); /* NULL: no memory, or nested deeper than 2,048 */

#endif
