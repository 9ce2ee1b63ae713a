/* Templates: JSON values in which strings may hold `${expression}`, and bare expressions (`when`).
 *
 * `$${` is a literal "${". A string that is one `${…}` and nothing else keeps the type of its value; elsewhere a
 * string is inserted as it is, other values as compact JSON, null as "". A plain path (`input.a.b`,
 * `steps["a.b-c"].output.x[0]`, `item.name`, `index`, `execution.id`, `secrets.NAME`) is resolved here, without
 * Lua; anything else is a Lua expression. In a plain path a missing member of an object, or an index past the
 * end of a list (lists count from 1, as in Lua), is null; a member of something that is neither is an error. */
#ifndef WORKFLOW_TEMPLATE_H
#define WORKFLOW_TEMPLATE_H

#include <jansson.h>
#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "workflow/sandbox.h"
#include "workflow/scope.h"

typedef struct template template;

/* What compiling asks: how `steps.NAME` becomes a number (0 and *out, or an error code with *err: unknown step), and
 * whether Lua is well written. */
typedef struct template_names {
    void *ctx;
    int32_t (*step)(void *ctx, const char *name, size_t len, uint32_t *out, orch_error **err);
    sandbox_checker *checker;
    /* Whether `input.NAME` can be: 0, or an error code with *err. NULL: whatever it says. */
    int32_t (*input)(void *ctx, const char *name, size_t len, orch_error **err);
} template_names;

/* Compile a value. Lua expressions are compiled once here to find syntax errors. `value` is shared (increfs).
 * Any thread. Errors: INVALID_ARGUMENT with the place inside the value as a JSON pointer relative to it
 * in the error's `about` ("" for the value itself, "/body/sku" below it). */
int32_t template_compile(json_t *value, const template_names *names, template **out,
                         orch_error **err);
/* Compile one expression, as in `when`: no `${}` around it (one pair around the whole is accepted). */
int32_t template_compile_expression(const char *text, const template_names *names, template **out,
                                    orch_error **err);
void template_free(template *t);

json_t *template_constant(const template *t); /* borrowed; NULL if anything is to be evaluated */
bool template_is_inline(
    const template *t); /* plain paths only, no Lua, no secrets: may run on the loop */
bool template_has_secrets(const template *t);
/* The steps whose values it can reach, by number, sorted, without doubles. `*all_dependencies` is set if it also uses
 * `steps` in a way that only shows at run time (`steps[name]`, pairs(steps)): then it sees the step's own
 * direct dependencies besides; as `compensate` its step too, as `output` and `on_failure` every step. */
const uint32_t *template_steps(const template *t, size_t *count, bool *all_dependencies);

/* Evaluate. `lua` may be NULL if template_is_inline. New reference in *out. Errors: INVALID_ARGUMENT
 * (expression failed; message names it), RESOURCE_EXHAUSTED (budget), or what `secret` gave. */
int32_t template_evaluate(const template *t, const scope *s, sandbox *lua, json_t **out,
                          orch_error **err);

#endif
