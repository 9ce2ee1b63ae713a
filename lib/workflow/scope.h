/* What an expression can see. Values are borrowed and never changed; a scope that goes to another thread
 * holds references of its own. */
#ifndef WORKFLOW_SCOPE_H
#define WORKFLOW_SCOPE_H

#include <jansson.h>
#include <orch/error.h>
#include <stddef.h>
#include <stdint.h>

typedef struct scope {
    json_t *input; /* never NULL */
    json_t *
        execution; /* {"id","workflow","version","run","accepted_ms","parent"?}, and where it ends "state","error" */
    json_t *item;  /* NULL outside a for_each */
    int64_t index; /* -1 outside a for_each */
    void *ctx;
    /* {"status","output","error"} of a step that ended; NULL if it did not. Borrowed. */
    json_t *(*step)(void *ctx, uint32_t step);
    /* New reference to a secret's value (a JSON string), or NULL with *err. May block: a scope that is evaluated
     * on the loop has NULL here. */
    json_t *(*secret)(void *ctx, const char *name, orch_error **err);
    /* What `steps` as a whole shows besides the steps an expression names (template_steps: all_dependencies).
     * step_name is asked for these only; without any it may be NULL. */
    const uint32_t *dependencies;
    size_t dependency_count;
    const char *(*step_name)(void *ctx, uint32_t step);
} scope;

#endif
