#include "api/builder_impl.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

struct orch_step {
    list link; /* in orch_builder.made */
    orch_builder *builder;
    json_t *object; /* borrowed from the builder's tree */
};

struct orch_builder {
    json_t *root, *steps; /* steps is in root */
    list made;            /* the handles */
    orch_error *error;    /* the first one */
};

/* Every error is kept, so that a host may look at none. */
static int32_t fail(orch_builder *b, orch_error *error)
{
    int32_t code = orch_error_code(error);

    if (b->error)
        orch_error_free(error);
    else
        b->error = error;
    return code;
}

static int32_t refuse(orch_builder *b, const char *about, const char *what)
{
    orch_error *error = NULL;

    error_set(&error, ORCH_E_INVALID_ARGUMENT, about, "%s", what);
    return fail(b, error);
}

static int32_t no_memory(orch_builder *b)
{
    orch_error *error = NULL;

    error_no_memory(&error);
    return fail(b, error);
}

/* Takes the value over. */
static int32_t put(orch_builder *b, json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) ? no_memory(b) : 0;
}

static int32_t put_json(orch_builder *b, json_t *object, const char *owner, const char *key,
                        const char *text)
{
    json_error_t where;
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);
    orch_error *error = NULL;

    if (value)
        return put(b, object, key, value);
    if (json_lacked_memory(&where))
        return no_memory(b);
    error_set(&error, ORCH_E_INVALID_ARGUMENT, key, "%s: %s is not JSON: line %d column %d: %s",
              owner, key, where.line, where.column, where.text);
    return fail(b, error);
}

static bool is_one_of(const char *key, const char *a, const char *b, const char *c)
{
    return !strcmp(key, a) || !strcmp(key, b) || !strcmp(key, c);
}

static int32_t set_key(orch_builder *b, json_t *object, const char *owner, const char *key,
                       const char *value_json)
{
    if (!key || !*key || !text_is_utf8(key, strlen(key)))
        return refuse(b, "key", "key must be a word such as \"timeout\"");
    if (!value_json)
        return refuse(b, "value_json", "value_json must not be NULL; JSON's null is the text null");
    return put_json(b, object, owner, key, value_json);
}

int32_t orch_builder_set(orch_builder *builder, const char *key, const char *value_json)
{
    if (!builder)
        return ORCH_E_INVALID_ARGUMENT;
    if (key && is_one_of(key, "id", "version", "steps"))
        return refuse(builder, key,
                      "id and version are given at registration, steps by orch_builder_step");
    return set_key(builder, builder->root, "the workflow", key, value_json);
}

int32_t orch_step_set(orch_step *step, const char *key, const char *value_json)
{
    if (!step)
        return ORCH_E_INVALID_ARGUMENT;
    if (key && is_one_of(key, "id", "executor", "with"))
        return refuse(step->builder, key, "id, executor and with are given to orch_builder_step");
    return set_key(step->builder, step->object,
                   json_string_value(json_object_get(step->object, "id")), key, value_json);
}

int32_t orch_step_depends_on(orch_step *step, const char *id)
{
    json_t *on;

    if (!step)
        return ORCH_E_INVALID_ARGUMENT;
    if (!id || !text_is_name(id, NAME_MAX_LEN))
        return refuse(step->builder, "id",
                      "depends_on: the id must be a step's id, 1 to 128 of A-Z a-z 0-9 _ . -");
    on = json_object_get(step->object, "depends_on");
    if (!on) {
        on = json_array();
        if (!on || json_object_set_new(step->object, "depends_on", on))
            return no_memory(step->builder);
    }
    if (!json_is_array(on))
        return refuse(step->builder, "depends_on",
                      "depends_on was set to something that is no list");
    return json_array_append_new(on, json_string(id)) ? no_memory(step->builder) : 0;
}

static orch_step *step_new(orch_builder *b, const char *id, const char *executor)
{
    orch_step *s = mem_zalloc(sizeof *s);
    json_t *object = json_object();

    if (!s || !object || json_array_append(b->steps, object)) {
        json_decref(object);
        mem_free(s);
        no_memory(b);
        return NULL;
    }
    json_decref(object); /* the list has it */
    s->builder = b;
    s->object = object;
    list_push(&b->made, &s->link);
    if (put(b, object, "id", json_string(id)) || put(b, object, "executor", json_string(executor)))
        return NULL;
    return s;
}

orch_step *orch_builder_step(orch_builder *builder, const char *id, const char *executor,
                             const char *with_json)
{
    orch_step *s;

    if (!builder)
        return NULL;
    if (!id || !text_is_name(id, NAME_MAX_LEN)) {
        refuse(builder, "id", "a step's id must be 1 to 128 of A-Z a-z 0-9 _ . -");
        return NULL;
    }
    if (!executor || !text_is_name(executor, NAME_MAX_LEN)) {
        refuse(builder, "executor", "an executor's name must be 1 to 128 of A-Z a-z 0-9 _ . -");
        return NULL;
    }
    s = step_new(builder, id, executor);
    if (s && with_json && put_json(builder, s->object, id, "with", with_json))
        return NULL;
    return s;
}

/* ---- running one ------------------------------------------------------------------------------------------- */

static int32_t builder_init(orch_builder *b, const char *id, const char *version)
{
    list_init(&b->made);
    b->root = json_object();
    b->steps = json_array();
    if (!b->root || !b->steps || json_object_set(b->root, "steps", b->steps))
        return no_memory(b);
    if (put(b, b->root, "id", json_string(id)))
        return ORCH_E_RESOURCE_EXHAUSTED;
    return put(b, b->root, "version", json_string(version));
}

static void builder_clear(orch_builder *b)
{
    list *node;

    while ((node = list_pop(&b->made)))
        mem_free(LIST_ENTRY(node, orch_step, link));
    json_decref(b->steps);
    json_decref(b->root);
    orch_error_free(b->error);
}

/* What the function returned, with words if it gave none. */
static int32_t own_failure(const char *id, int32_t code, orch_error *error, orch_error **err)
{
    if (code >= 0 || code < ORCH_E_UNAUTHENTICATED)
        code = ORCH_E_UNKNOWN;
    if (error && orch_error_code(error) == code)
        return pass_error(code, error, err);
    orch_error_free(error);
    return error_set(err, code, id, "the builder of workflow '%s' failed with %s", id,
                     orch_code_name(code));
}

int32_t builder_run(const char *id, const char *version, orch_workflow_builder build,
                    void *user_data, const definition_limits *limits, definition **out,
                    orch_error **err)
{
    orch_builder b = {0};
    orch_error *error = NULL;
    int32_t rc = builder_init(&b, id, version);

    if (!rc) {
        rc = build(&b, user_data, &error);
        if (rc && !b.error)
            rc = own_failure(id, rc, error, err);
        else
            orch_error_free(error);
    }
    if (b.error) {
        rc = pass_error(orch_error_code(b.error), b.error, err);
        b.error = NULL;
    }
    if (!rc)
        rc = definition_from_json(b.root, limits, out, err);
    builder_clear(&b);
    return rc;
}
