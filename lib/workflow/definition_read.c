/* The fields of a definition, as tables: to add a key to the language is to add a row. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "workflow/definition_impl.h"
#include "workflow/wording_impl.h"

#define MAX_ATTEMPTS  1000000
#define MAX_PARALLEL  1000000
#define MAX_EXECUTORS 65535

/* ---- retry ----------------------------------------------------------------------------------- */

typedef struct retry_fields {
    retry_policy *p;
    bool has_max_interval;
} retry_fields;

static int32_t read_max_attempts(reader *r, void *into, json_t *value)
{
    int64_t n;
    int32_t rc = read_integer(r, value, 1, MAX_ATTEMPTS, &n);

    if (!rc)
        ((retry_fields *)into)->p->max_attempts = (uint32_t)n;
    return rc;
}

static int32_t read_initial_interval(reader *r, void *into, json_t *value)
{
    return read_duration(r, value, 0, &((retry_fields *)into)->p->initial_interval_ms);
}

static int32_t read_backoff(reader *r, void *into, json_t *value)
{
    return read_milli(r, value, 1000, 100000, &((retry_fields *)into)->p->backoff_milli);
}

static int32_t read_max_interval(reader *r, void *into, json_t *value)
{
    ((retry_fields *)into)->has_max_interval = true;
    return read_duration(r, value, 0, &((retry_fields *)into)->p->max_interval_ms);
}

static int32_t read_max_elapsed(reader *r, void *into, json_t *value)
{
    return read_duration(r, value, 1, &((retry_fields *)into)->p->max_elapsed_ms);
}

static int32_t read_jitter(reader *r, void *into, json_t *value)
{
    return read_milli(r, value, 0, 1000, &((retry_fields *)into)->p->jitter_milli);
}

static int32_t unknown_code(reader *r, const char *name)
{
    nearest near = nearest_to(name);
    char room[NEAREST_ROOM];

    for (int32_t code = ORCH_E_CANCELLED; code >= ORCH_E_UNAUTHENTICATED; code--)
        nearest_try(&near, orch_code_name(code));
    return reader_fail(
        r,
        "'%.*s' is not a status code%s; allowed are the canonical ones from CANCELLED to "
        "UNAUTHENTICATED",
        WORDING(name), nearest_words(&near, room));
}

static int32_t read_non_retryable(reader *r, void *into, json_t *value)
{
    retry_policy *p = ((retry_fields *)into)->p;

    if (!json_is_array(value))
        return reader_expected(r, value, "a list of status codes such as [INVALID_ARGUMENT]");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *name;
        int32_t code, rc;

        place_index(r, (uint32_t)i);
        rc = read_text(r, json_array_get(value, i), "the name of a status code", &name);
        if (rc)
            return rc;
        code = error_code_by_name(name);
        if (!code)
            return unknown_code(r, name);
        p->non_retryable |= UINT32_C(1) << -code;
        place_up(r);
    }
    return 0;
}

static const field retry_rows[] = {
    {"max_attempts", read_max_attempts, false},
    {"initial_interval", read_initial_interval, false},
    {"backoff", read_backoff, false},
    {"max_interval", read_max_interval, false},
    {"max_elapsed", read_max_elapsed, false},
    {"jitter", read_jitter, false},
    {"non_retryable", read_non_retryable, false},
};
static const shape retry_shape = SHAPE("retry", retry_rows);

static int32_t read_retry_policy(reader *r, json_t *value, retry_policy *p)
{
    retry_fields f = {p, false};
    int32_t rc;

    p->max_attempts = 3;
    p->initial_interval_ms = 1000;
    p->max_interval_ms = 60000;
    p->backoff_milli = 2000;
    p->jitter_milli = 200;
    rc = shape_read(r, &retry_shape, value, &f);
    if (rc || p->max_interval_ms >= p->initial_interval_ms)
        return rc;
    if (f.has_max_interval)
        return reader_fail_at(r, "max_interval", "must not be shorter than initial_interval");
    p->max_interval_ms = p->initial_interval_ms; /* the default gives way */
    return 0;
}

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

static int32_t read_executor(reader *r, void *into, json_t *value)
{
    step_fields *f = into;
    definition_box *box = f->b->box;
    const char *name;
    int32_t rc = read_name(r, value, &name);
    uint32_t number;

    if (rc)
        return rc;
    number = names_find(&f->b->executor_names, executor_name, box->executors, name, strlen(name));
    if (number == UINT32_MAX) {
        if (box->d.executor_count == MAX_EXECUTORS)
            return reader_fail(r, "is one more than the %d different executors that are allowed",
                               MAX_EXECUTORS);
        number = add_executor(f->b, name);
        if (number == UINT32_MAX)
            return error_no_memory(r->err);
    }
    f->s->executor = (uint16_t)number;
    return 0;
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
    return read_retry_policy(r, value, &f->extra.retry);
}

static int32_t read_step_timeout(reader *r, void *into, json_t *value)
{
    step_fields *f = into;

    f->has_extra = true;
    return read_duration(r, value, 1, &f->extra.timeout_ms);
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
    {"run_if", read_run_if, false},
    {"checkpoint", read_checkpoint, false},
    {"description", read_description, false},
};
static const shape step_shape = SHAPE("a step", step_rows);

/* What one field demands of another. */
static int32_t check_fields(reader *r, const step_fields *f, enum builtin executor)
{
    if (f->extra.max_parallel && !f->d->for_each)
        return reader_fail_at(r, "max_parallel", "is of use only together with for_each");
    if (f->s->run_if >= RUN_IF_ANY_FAILED && !f->has_dependencies)
        return reader_fail_at(r, "run_if",
                              "can never be met without depends_on, so the step could never run");
    if (!f->s->checkpoint && executor >= BUILTIN_EXEC)
        return reader_fail_at(
            r, "checkpoint",
            "may be false only for lua, noop and host callbacks, which can be repeated "
            "without harm");
    if (!f->s->checkpoint && f->d->for_each)
        return reader_fail_at(r, "checkpoint", "may not be false on a step with for_each");
    if (executor == BUILTIN_WAIT && f->has_retry)
        return reader_fail_at(r, "retry", "has no meaning for a wait: it makes no attempts");
    if (executor == BUILTIN_WAIT && f->extra.timeout_ms)
        return reader_fail_at(r, "timeout",
                              "has no meaning for a wait: it makes no attempts; how long to wait "
                              "for a signal is the timeout in `with`");
    return 0;
}

static bool is_alike(const step_extra *a, const step_extra *b)
{
    const retry_policy *p = &a->retry, *q = &b->retry;

    return a->max_parallel == b->max_parallel && a->timeout_ms == b->timeout_ms &&
           p->max_attempts == q->max_attempts && p->initial_interval_ms == q->initial_interval_ms &&
           p->max_interval_ms == q->max_interval_ms && p->max_elapsed_ms == q->max_elapsed_ms &&
           p->backoff_milli == q->backoff_milli && p->jitter_milli == q->jitter_milli &&
           p->non_retryable == q->non_retryable;
}

static bool store_extra(step_fields *f)
{
    builder *b = f->b;
    step_extra *kept;

    if (!f->has_extra)
        return true;
    if (!f->has_retry)
        f->extra.retry.max_attempts = 1;
    if (!f->d->when && !f->d->for_each && b->last_extra && is_alike(b->last_extra, &f->extra)) {
        f->s->extra = b->last_extra;
        return true;
    }
    kept = arena_alloc(&b->box->arena, sizeof *kept);
    if (!kept)
        return false;
    *kept = f->extra;
    f->s->extra = kept;
    if (f->d->when || f->d->for_each)
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
    {"timeout", read_timeout, false},         {"steps", read_steps, true},
    {"output", read_output, false},
};
static const shape definition_shape = SHAPE("a definition", definition_rows);

int32_t definition_read(builder *b, json_t *tree)
{
    if (!json_is_object(tree))
        return reader_expected(&b->r, tree, "a definition: an object with id, version and steps");
    return shape_read(&b->r, &definition_shape, tree, b);
}
