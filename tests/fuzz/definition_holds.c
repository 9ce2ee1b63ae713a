#include "fuzz/definition_holds.h"

#include <string.h>

#include "fuzz/fuzz.h"
#include "workflow/definition.h"
#include "workflow/run.h"

static const definition_limits limits = {.max_bytes = 1 << 16, .max_steps = 200, .max_edges = 2000};

static uint64_t random_of(void *ctx)
{
    (void)ctx;
    return 7;
}

/* Nothing is answered: what it asks for first is taken, and then it is dropped. */
static void begin(definition *d)
{
    run_options options = {.random = random_of};
    run *r = run_new(d, &options);
    orch_error *error = NULL;
    run_action a;

    HOLDS(r);
    HOLDS(run_start(r, 1000, &error) == 0);
    for (int i = 0; i < 1000 && run_next(r, 1000, &a); i++) {
        if (a.kind == RUN_CHECKPOINT)
            checkpoint_clear(&a.checkpoint);
        if (a.kind == RUN_END) {
            bytes_unref(a.output);
            bytes_unref(a.error);
        }
    }
    run_free(r);
}

void definition_holds(const char *text, size_t len)
{
    definition *d = NULL, *again = NULL;
    orch_error *error = NULL;
    int32_t rc = definition_parse(text, len, &limits, &d, &error);

    if (rc) {
        HOLDS(rc == ORCH_E_INVALID_ARGUMENT || rc == ORCH_E_RESOURCE_EXHAUSTED ||
              rc == ORCH_E_UNIMPLEMENTED);
        HOLDS(orch_error_code(error) == rc && *orch_error_message(error));
        orch_error_free(error);
        return;
    }
    HOLDS(definition_parse((const char *)d->text->data, d->text->len, NULL, &again, &error) == 0);
    HOLDS(!memcmp(&d->digest, &again->digest, sizeof d->digest));
    HOLDS(d->step_count == again->step_count && d->edge_count == again->edge_count);
    begin(d);
    definition_unref(again);
    definition_unref(d);
}
