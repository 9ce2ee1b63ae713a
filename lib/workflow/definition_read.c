/* The fields of a definition, as tables: to add a key to the language is to add a row. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "workflow/definition_impl.h"
#include "workflow/wording_impl.h"

#define MAX_PARALLEL  1000000
#define MAX_EXECUTORS 65535

/* ---- A step ---------------------------------------------------------------------------------- */

typedef struct step_fields {
    builder *b;
    step *s;
    step_draft *d;
    step_extra extra;
    bool has_extra, has_retry, has_dependencies;
} step_fields;

static int32_t read_description(reader *r, void *into, json_t *value)
{
    const char *text;

    (void)into;
    return read_text(r, value, "a string", &text);
}

static int32_t read_id(reader *r, void *into, json_t *value)
{
    step_fields *f = into;
    definition_box *box = f->b->box;
    uint32_t number = (uint32_t)(f->s - box->steps), found;
    const char *id;
    int32_t rc = read_name(r, value, &id);
    size_t len;

    if (rc)
        return rc;
    if (!strcmp(id, "on_failure"))
        return reader_fail(
            r,
            "'on_failure' is not for steps: idempotency keys have it in the place of a step's id");
    len = strlen(id);
    f->s->id = arena_string(&box->arena, id, len);
    if (!f->s->id)
        return error_no_memory(r->err);
    found = names_add(&box->ids, step_name, box->steps, id, len, number);
    if (found == number)
        return 0;
    if (found == UINT32_MAX)
        return error_no_memory(r->err);
    return reader_fail(r, "'%s' is the id of two steps; the first is /steps/%" PRIu32, id, found);
}

static const char *executor_name(const void *executors, uint32_t number)
{
    return ((const char *const *)executors)[number];
}

/* A new name in the list of those that are used, or UINT32_MAX. */
static uint32_t add_executor(builder *b, const char *name)
{
    definition_box *box = b->box;
    uint32_t n = box->d.executor_count;
    const char **grown = mem_grow(box->executors, &b->executors_cap, (size_t)n + 1, sizeof *grown);
    uint8_t *builtins;

    if (!grown)
        return UINT32_MAX;
    box->executors = grown;
    builtins = mem_grow(b->builtins, &b->builtins_cap, (size_t)n + 1, 1);
    if (!builtins)
        return UINT32_MAX;
    b->builtins = builtins;
    builtins[n] = (uint8_t)builtin_by_name(name);
    grown[n] = arena_string(&box->arena, name, strlen(name));
    if (!grown[n])
        return UINT32_MAX;
    box->d.executor_count++;
    return names_add(&b->executor_names, executor_name, grown, name, strlen(name), n);
}

int32_t definition_read_executor(builder *b, json_t *value, uint16_t *out)
{
    definition_box *box = b->box;
    const char *name;
    int32_t rc = read_name(&b->r, value, &name);
    uint32_t number;

    if (rc)
        return rc;
    number = names_find(&b->executor_names, executor_name, box->executors, name, strlen(name));
    if (number == UINT32_MAX) {
        if (box->d.executor_count == MAX_EXECUTORS)
            return reader_fail(&b->r,
                               "is one more than the %d different executors that are allowed",
                               MAX_EXECUTORS);
        number = add_executor(b, name);
        if (number == UINT32_MAX)
            return error_no_memory(b->r.err);
    }
    *out = (uint16_t)number;
    return 0;
}

static int32_t read_executor(reader *r, void *into, json_t *value)
{
    step_fields *f = into;

    (void)r;
    return definition_read_executor(f->b, value, &f->s->executor);
}

static int32_t read_with(reader *r, void *into, json_t *value)
{
    (void)r;
    if (!json_is_null(value))
        ((step_fields *)into)->d->with = value;
    return 0;
}

static int32_t read_depends_on(reader *r, void *into, json_t *value)
{
    step_fields *f = into;
    builder *b = f->b;

    if (!json_is_array(value))
        return reader_expected(r, value, "a list of step ids");
    b->edges_read += json_array_size(value);
    if (b->edges_read > b->limits.max_edges)
        return reader_fail(r, "passes the limit of %" PRIu32 " dependencies in all",
                           b->limits.max_edges);
    f->d->depends_on = value;
    f->has_dependencies = json_array_size(value) > 0;
    return 0;
}

static int32_t read_when(reader *r, void *into, json_t *value)
{
    step_fields *f = into;
    int32_t rc = read_text(r, value, "a string with an expression such as \"input.total > 100\"",
                           &f->d->when);

    if (rc)
        return rc;
    f->has_extra = true;
    return 0;
}

static int32_t read_for_each(reader *r, void *into, json_t *value)
{
    step_fields *f = into;

    if (json_is_string(value) && !text_is_one_template(json_string_value(value)))
        return reader_fail(
            r, "must be a list, or one template and nothing else, such as \"${input.parcels}\"");
    if (!json_is_array(value) && !json_is_string(value))
        return reader_expected(r, value, "a list, or a template that gives one");
    f->d->for_each = value;
    f->has_extra = true;
    return 0;
}

static int32_t read_max_parallel(reader *r, void *into, json_t *value)
{
    step_fields *f = into;
    int64_t n;
    int32_t rc = read_integer(r, value, 1, MAX_PARALLEL, &n);

    f->extra.max_parallel = rc ? 0 : (uint32_t)n;
    f->has_extra = true;
    return rc;
}

static int32_t read_retry(reader *r, void *into, json_t *value)
{
    step_fields *f = into;

    f->has_extra = f->has_retry = true;
    return definition_read_retry(r, value, &f->extra.retry);
}

static int32_t read_step_timeout(reader *r, void *into, json_t *value)
{
    step_fields *f = into;

    f->has_extra = true;
    return read_duration(r, value, 1, &f->extra.timeout_ms);
}

static int32_t read_heartbeat_timeout(reader *r, void *into, json_t *value)
{
    step_fields *f = into;

    f->has_extra = true;
    return read_duration(r, value, 1, &f->extra.heartbeat_ms);
}

static int32_t read_continue_on_failure(reader *r, void *into, json_t *value)
{
    step_fields *f = into;

    if (!json_is_boolean(value))
        return reader_expected(r, value, "true or false");
    f->extra.continue_on_failure = json_is_true(value);
    f->has_extra = f->has_extra || json_is_true(value);
    return 0;
}

static int32_t read_compensate(reader *r, void *into, json_t *value)
{
    step_fields *f = into;
    definition_box *box = f->b->box;

    (void)r;
    f->has_extra = true;
    box->d.compensates = true;
    return definition_read_compensate(f->b, value, (uint32_t)(f->s - box->steps),
                                      &f->extra.compensate);
}

static int32_t read_run_if(reader *r, void *into, json_t *value)
{
    static const char *const words[] = {"all_succeeded", "all_done", "any_failed", "any_succeeded",
                                        NULL};

    return read_word(r, value, words, "all_succeeded, all_done, any_failed, any_succeeded",
                     &((step_fields *)into)->s->run_if);
}

static int32_t read_checkpoint(reader *r, void *into, json_t *value)
{
    if (!json_is_boolean(value))
        return reader_expected(r, value, "true or false");
    ((step_fields *)into)->s->checkpoint = json_is_true(value);
    return 0;
}

static const field step_rows[] = {
    {"id", read_id, true},
    {"executor", read_executor, true},
    {"with", read_with, false},
    {"depends_on", read_depends_on, false},
    {"when", read_when, false},
    {"for_each", read_for_each, false},
    {"max_parallel", read_max_parallel, false},
    {"retry", read_retry, false},
    {"timeout", read_step_timeout, false},
    {"heartbeat_timeout", read_heartbeat_timeout, false},
    {"run_if", read_run_if, false},
    {"continue_on_failure", read_continue_on_failure, false},
    {"compensate", read_compensate, false},
    {"checkpoint", read_checkpoint, false},
    {"description", read_description, false},
};
static const shape step_shape = SHAPE("a step", step_rows);

/* What may not stand beside `"checkpoint": false`. */
static int32_t check_without_checkpoint(reader *r, const step_fields *f, enum builtin executor)
{
    if (executor >= BUILTIN_EXEC)
        return reader_fail_at(
            r, "checkpoint",
            "may be false only for lua, noop and host callbacks, which can be repeated "
            "without harm");
    if (f->d->for_each)
        return reader_fail_at(r, "checkpoint", "may not be false on a step with for_each");
    if (f->extra.compensate)
        return reader_fail_at(r, "checkpoint",
                              "may not be false on a step with compensate, which goes by what is "
                              "stored");
    if (f->extra.heartbeat_ms)
        return reader_fail_at(r, "checkpoint",
                              "may not be false on a step with heartbeat_timeout, whose details "
                              "are stored");
    return 0;
}

/* What one field demands of another. */
static int32_t check_fields(reader *r, const step_fields *f, enum builtin executor)
{
    if (f->extra.max_parallel && !f->d->for_each)
        return reader_fail_at(r, "max_parallel", "is of use only together with for_each");
    if (f->s->run_if >= RUN_IF_ANY_FAILED && !f->has_dependencies)
        return reader_fail_at(r, "run_if",
                              "can never be met without depends_on, so the step could never run");
    if (executor == BUILTIN_WAIT && f->has_retry)
        return reader_fail_at(r, "retry", "has no meaning for a wait: it makes no attempts");
    if (executor == BUILTIN_WAIT && f->extra.timeout_ms)
        return reader_fail_at(r, "timeout",
                              "has no meaning for a wait: it makes no attempts; how long to wait "
                              "for a signal is the timeout in `with`");
    if (executor != BUILTIN_NONE && f->extra.heartbeat_ms)
        return reader_fail_at(r, "heartbeat_timeout",
                              "is only for host callbacks: no other executor sends heartbeats");
    return f->s->checkpoint ? 0 : check_without_checkpoint(r, f, executor);
}

static bool is_alike(const step_extra *a, const step_extra *b)
{
    const retry_policy *p = &a->retry, *q = &b->retry;

    return a->max_parallel == b->max_parallel && a->timeout_ms == b->timeout_ms &&
           a->heartbeat_ms == b->heartbeat_ms && a->continue_on_failure == b->continue_on_failure &&
           p->max_attempts == q->max_attempts && p->initial_interval_ms == q->initial_interval_ms &&
           p->max_interval_ms == q->max_interval_ms && p->max_elapsed_ms == q->max_elapsed_ms &&
           p->backoff_milli == q->backoff_milli && p->jitter_milli == q->jitter_milli &&
           p->non_retryable == q->non_retryable;
}

static bool store_extra(step_fields *f)
{
    builder *b = f->b;
    bool own = f->d->when || f->d->for_each || f->extra.compensate;
    step_extra *kept;

    if (!f->has_extra)
        return true;
    if (!f->has_retry)
        f->extra.retry.max_attempts = 1;
    if (!own && b->last_extra && is_alike(b->last_extra, &f->extra)) {
        f->s->extra = b->last_extra;
        return true;
    }
    kept = arena_alloc(&b->box->arena, sizeof *kept);
    if (!kept)
        return false;
    *kept = f->extra;
    f->s->extra = kept;
    if (own)
        f->d->extra = kept;
    else
        b->last_extra = kept;
    return true;
}

static int32_t read_step(builder *b, json_t *tree, uint32_t i)
{
    step_fields f = {.b = b, .s = &b->box->steps[i], .d = &b->drafts[i]};
    enum builtin executor;
    int32_t rc;

    f.s->checkpoint = true;
    rc = shape_read(&b->r, &step_shape, tree, &f);
    if (rc)
        return rc;
    executor = (enum builtin)b->builtins[f.s->executor];
    f.s->kind = executor == BUILTIN_WAIT       ? STEP_WAIT
                : executor == BUILTIN_WORKFLOW ? STEP_WORKFLOW
                                               : STEP_TASK;
    rc = check_fields(&b->r, &f, executor);
    if (!rc && executor != BUILTIN_NONE)
        rc = definition_check_with(b, executor, f.d->with);
    if (!rc && !store_extra(&f))
        rc = error_no_memory(b->r.err);
    return rc;
}

/* ---- The definition -------------------------------------------------------------------------- */

static int32_t read_definition_id(reader *r, void *into, json_t *value)
{
    definition_box *box = ((builder *)into)->box;
    const char *id;
    int32_t rc = read_name(r, value, &id);

    if (rc)
        return rc;
    box->d.id = arena_string(&box->arena, id, strlen(id));
    return box->d.id ? 0 : error_no_memory(r->err);
}

static int32_t read_version(reader *r, void *into, json_t *value)
{
    definition_box *box = ((builder *)into)->box;
    const char *text;
    int32_t rc = read_text(r, value, "a semantic version in quotes, such as \"1.2.0\"", &text);

    if (rc)
        return rc;
    rc = semver_parse(text, &box->d.semver, r->err);
    if (rc)
        return reader_pass_on(r, rc, false);
    box->d.version = arena_string(&box->arena, text, strlen(text));
    return box->d.version ? 0 : error_no_memory(r->err);
}

static int32_t read_timeout(reader *r, void *into, json_t *value)
{
    return read_duration(r, value, 1, &((builder *)into)->box->d.timeout_ms);
}

static int32_t read_output(reader *r, void *into, json_t *value)
{
    (void)r;
    if (!json_is_null(value))
        ((builder *)into)->output = value;
    return 0;
}

static int32_t read_on_failure(reader *r, void *into, json_t *value)
{
    builder *b = into;

    (void)r;
    return definition_read_on_failure(b, value, &b->box->d.on_failure);
}

static int32_t read_inputs(reader *r, void *into, json_t *value)
{
    (void)r;
    return definition_read_inputs(into, value);
}

static int32_t read_outputs(reader *r, void *into, json_t *value)
{
    (void)r;
    return definition_read_outputs(into, value);
}

static int32_t read_labels(reader *r, void *into, json_t *value)
{
    (void)into;
    return read_strings(r, value);
}

static bool make_room(builder *b, uint32_t n)
{
    definition_box *box = b->box;

    box->steps = mem_calloc(n, sizeof *box->steps);
    b->drafts = mem_calloc(n, sizeof *b->drafts);
    b->marks = mem_calloc(n, sizeof *b->marks);
    return box->steps && b->drafts && b->marks && names_init(&box->ids, &box->d.digest, n);
}

static int32_t read_steps(reader *r, void *into, json_t *value)
{
    builder *b = into;
    size_t n = json_array_size(value);

    if (!json_is_array(value))
        return reader_expected(r, value, "a list of steps");
    if (!n)
        return reader_fail(r, "is empty; a definition needs at least one step");
    if (n > b->limits.max_steps)
        return reader_fail(r, "holds %zu steps; at most %" PRIu32 " are allowed", n,
                           b->limits.max_steps);
    if (!make_room(b, (uint32_t)n))
        return error_no_memory(r->err);
    b->tree_steps = value;
    b->box->d.step_count = (uint32_t)n;
    for (uint32_t i = 0; i < n; i++) {
        int32_t rc;

        r->step = json_array_get(value, i);
        place_index(r, i);
        rc = read_step(b, json_array_get(value, i), i);
        if (rc)
            return rc;
        place_up(r);
    }
    r->step = NULL;
    return 0;
}

static const field definition_rows[] = {
    {"id", read_definition_id, true},         {"version", read_version, true},
    {"description", read_description, false}, {"labels", read_labels, false},
    {"timeout", read_timeout, false},         {"inputs", read_inputs, false},
    {"outputs", read_outputs, false},         {"steps", read_steps, true},
    {"output", read_output, false},           {"on_failure", read_on_failure, false},
};
static const shape definition_shape = SHAPE("a definition", definition_rows);

int32_t definition_read(builder *b, json_t *tree)
{
    int32_t rc;

    if (!json_is_object(tree))
        return reader_expected(&b->r, tree, "a definition: an object with id, version and steps");
    rc = shape_read(&b->r, &definition_shape, tree, b);
    return rc ? rc : definition_check_declared_output(b);
}
