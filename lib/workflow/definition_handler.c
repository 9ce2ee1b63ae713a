/* What is done about a failure: `compensate` of a step, `on_failure` of the workflow. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "workflow/definition_impl.h"

typedef struct handler_fields {
    builder *b;
    handler h;
    json_t *with; /* NULL = none */
} handler_fields;

static int32_t read_handler_executor(reader *r, void *into, json_t *value)
{
    handler_fields *f = into;
    int32_t rc = definition_read_executor(f->b, value, &f->h.executor);

    if (!rc && f->b->builtins[f->h.executor] >= BUILTIN_WAIT)
        rc = reader_fail(r, "may not be %s: it must be lua, exec, http, noop or a host callback",
                         json_string_value(value));
    return rc;
}

static int32_t read_handler_with(reader *r, void *into, json_t *value)
{
    (void)r;
    ((handler_fields *)into)->with = json_is_null(value) ? NULL : value;
    return 0;
}

static int32_t read_handler_retry(reader *r, void *into, json_t *value)
{
    return definition_read_retry(r, value, &((handler_fields *)into)->h.retry);
}

static int32_t read_handler_timeout(reader *r, void *into, json_t *value)
{
    return read_duration(r, value, 1, &((handler_fields *)into)->h.timeout_ms);
}

static int32_t read_when_failed(reader *r, void *into, json_t *value)
{
    if (!json_is_boolean(value))
        return reader_expected(r, value, "true or false");
    ((handler_fields *)into)->h.when_failed = json_is_true(value);
    return 0;
}

#define COMMON_ROWS                                                                \
    {"executor", read_handler_executor, true}, {"with", read_handler_with, false}, \
        {"retry", read_handler_retry, false},                                      \
    {                                                                              \
        "timeout", read_handler_timeout, false                                     \
    }

static const field compensate_rows[] = {COMMON_ROWS, {"when_failed", read_when_failed, false}};
static const field on_failure_rows[] = {COMMON_ROWS};
static const shape compensate_shape = SHAPE("compensate", compensate_rows);
static const shape on_failure_shape = SHAPE("on_failure", on_failure_rows);

/* Kept until the ids of all steps are known. */
static bool add_draft(builder *b, const handler_draft *d)
{
    handler_draft *grown = mem_grow(b->handlers, &b->handlers_cap, b->handler_count + 1,
                                    sizeof *grown);

    if (!grown)
        return false;
    b->handlers = grown;
    grown[b->handler_count++] = *d;
    return true;
}

static int32_t read_handler(builder *b, const shape *s, json_t *value, uint32_t step,
                            const handler **out)
{
    handler_fields f = {.b = b, .h.retry.max_attempts = 1};
    handler_draft d = {.step = step};
    enum builtin executor;
    int32_t rc = shape_read(&b->r, s, value, &f);

    if (rc)
        return rc;
    executor = (enum builtin)b->builtins[f.h.executor];
    rc = executor == BUILTIN_NONE ? 0 : definition_check_with(b, executor, f.with);
    if (rc)
        return rc;
    d.h = arena_alloc(&b->box->arena, sizeof *d.h);
    if (!d.h)
        return error_no_memory(b->r.err);
    *d.h = f.h;
    *out = d.h;
    d.with = f.with;
    return !d.with || add_draft(b, &d) ? 0 : error_no_memory(b->r.err);
}

int32_t definition_read_compensate(builder *b, json_t *value, uint32_t step, const handler **out)
{
    return read_handler(b, &compensate_shape, value, step, out);
}

int32_t definition_read_on_failure(builder *b, json_t *value, const handler **out)
{
    return read_handler(b, &on_failure_shape, value, STEP_NONE, out);
}

/* By then all steps have ended or never will: each may be referred to. */
static int32_t link_handler(builder *b, const handler_draft *d)
{
    bool of_step = d->step != STEP_NONE;
    const step_extra *extra = of_step ? b->box->steps[d->step].extra : NULL;
    int32_t rc;

    if (of_step)
        builder_enter_step(b, d->step);
    place_key(&b->r, of_step ? "compensate" : "on_failure");
    place_key(&b->r, "with");
    rc = definition_compile_with(b, d->h->executor, d->with, extra && extra->for_each, &d->h->with);
    place_up(&b->r);
    place_up(&b->r);
    if (of_step)
        builder_leave_step(b);
    return rc;
}

int32_t definition_link_handlers(builder *b)
{
    int32_t rc = 0;

    for (size_t i = 0; i < b->handler_count && !rc; i++)
        rc = link_handler(b, &b->handlers[i]);
    return rc;
}
