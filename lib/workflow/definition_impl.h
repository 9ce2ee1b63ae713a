/* How a definition is built from a tree, in passes over its steps:
 *   measure  canonical form, digest, limits (canonical.c)
 *   read     every field that stands by itself (definition_read.c, definition_retry.c, definition_with.c,
 *            definition_handler.c, definition_declared.c)
 *   link     names to numbers: dependencies, templates (definition_link.c, definition_handler.c)
 *   check    order, cycles (graph.c), what templates refer to (definition_references.c) */
#ifndef WORKFLOW_DEFINITION_IMPL_H
#define WORKFLOW_DEFINITION_IMPL_H

#include "workflow/arena_impl.h"
#include "workflow/checkpoint.h"
#include "workflow/definition.h"
#include "workflow/fields_impl.h"
#include "workflow/names_impl.h"

/* What the public struct is the first part of. */
typedef struct definition_box {
    definition d;
    name_table ids;
    arena arena; /* strings and extras */
    step *steps;
    uint32_t *edges;
    const char **executors;
} definition_box;

/* Executors whose `with` is known here. */
enum builtin {
    BUILTIN_NONE,
    BUILTIN_NOOP,
    BUILTIN_LUA,
    BUILTIN_EXEC,
    BUILTIN_HTTP,
    BUILTIN_WAIT,
    BUILTIN_WORKFLOW,
};

/* What of a step must wait until all ids are known. */
typedef struct step_draft {
    json_t *depends_on;
    json_t *with;
    const char *when;
    json_t *for_each;
    step_extra *extra;
} step_draft;

/* The same of a handler. */
typedef struct handler_draft {
    uint32_t step; /* STEP_NONE: on_failure */
    handler *h;
    json_t *with; /* not NULL */
} handler_draft;

typedef struct builder {
    reader r; /* first: field functions get it and find the builder */
    definition_limits limits;
    definition_box *box;
    json_t *tree_steps;
    step_draft *drafts;
    uint32_t steps_read;
    uint64_t edges_read;
    json_t *output;
    handler_draft *handlers; /* those with a `with` */
    size_t handler_count, handlers_cap;

    name_table executor_names;
    size_t executors_cap;
    uint8_t *builtins; /* by executor number */
    size_t builtins_cap;
    const step_extra *last_extra; /* alike ones are shared */
    sandbox_checker checker;

    bool forward;        /* a step depends on one that is written after it */
    uint32_t *marks;     /* by step: scratch of the linking and of the reference checks */
    uint32_t *referrers; /* steps whose templates refer to steps */
    size_t referrer_count, referrers_cap;
    uint32_t *order; /* topological; NULL: as written */
} builder;

/* Step i becomes what is being read: r.depth 2. */
void builder_enter_step(builder *b, uint32_t i);
void builder_leave_step(builder *b);
const char *step_name(const void *steps, uint32_t number); /* names_get_fn */

definition_limits definition_limits_or_defaults(const definition_limits *given);
int32_t definition_read(builder *b, json_t *tree);
/* The number of an executor's name, which is new or not. */
int32_t definition_read_executor(builder *b, json_t *value, uint16_t *out);
int32_t definition_read_retry(reader *r, json_t *value, retry_policy *p);
int32_t definition_read_compensate(builder *b, json_t *value, uint32_t step, const handler **out);
int32_t definition_read_on_failure(builder *b, json_t *value, const handler **out);
int32_t definition_read_inputs(builder *b, json_t *value);
int32_t definition_read_outputs(builder *b, json_t *value);
/* What of `output` is plain to see, against `outputs`. */
int32_t definition_check_declared_output(builder *b);
void definition_free_declared(definition *d);
/* That an input of that name is declared, or that none need be. No place before the message. */
int32_t definition_check_input_name(const definition *d, const char *name, size_t len,
                                    orch_error **err);
/* What can be seen of `with` before it is evaluated. */
int32_t definition_check_with(builder *b, enum builtin executor, json_t *with);
enum builtin builtin_by_name(const char *executor);
int32_t wait_check_with(reader *r, json_t *with);  /* wait.c */
int32_t child_check_with(reader *r, json_t *with); /* child.c */
/* No template of `value` begins with `item` or `index`, which only a for_each has. What Lua does
 * further in, the run finds out. */
int32_t definition_check_item(reader *r, json_t *value);
int32_t definition_check_item_expression(reader *r, const char *expression);
int32_t definition_link(builder *b);
int32_t definition_link_handlers(builder *b);
/* `with` of an executor; `item`: of a step with for_each. */
int32_t definition_compile_with(builder *b, uint16_t executor, json_t *with, bool item,
                                template **out);
int32_t definition_check_references(builder *b);

/* graph.c */
void graph_add_dependents(definition_box *box);
int32_t graph_check_order(builder *b); /* sets b->order; an error prints the cycle */

/* Where a value stands in a YAML text, by its JSON pointer. False if it cannot be found. */
bool yaml_locate(const char *text, size_t len, const char *pointer, size_t *line, size_t *column);

#endif
