/* `inputs` and `outputs`: which names a workflow's input and output have, and of which type each is. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "workflow/definition_impl.h"
#include "workflow/wording_impl.h"

#define NAMES_LISTED 20 /* in a message */

static const char *const type_words[] = {[FIELD_ANY] = "any",         [FIELD_STRING] = "string",
                                         [FIELD_INTEGER] = "integer", [FIELD_NUMBER] = "number",
                                         [FIELD_BOOLEAN] = "boolean", [FIELD_OBJECT] = "object",
                                         [FIELD_ARRAY] = "array",     NULL};

static const char *const type_phrases[] = {
    [FIELD_ANY] = "any value",   [FIELD_STRING] = "a string",   [FIELD_INTEGER] = "an integer",
    [FIELD_NUMBER] = "a number", [FIELD_BOOLEAN] = "a boolean", [FIELD_OBJECT] = "an object",
    [FIELD_ARRAY] = "an array"};

static const char *phrase_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_NULL: return "null";
    default: return "a boolean";
    }
}

static bool is_of_type(const json_t *value, uint8_t type)
{
    switch (type) {
    case FIELD_STRING: return json_is_string(value);
    case FIELD_INTEGER: return json_is_integer(value);
    case FIELD_NUMBER: return json_is_number(value);
    case FIELD_BOOLEAN: return json_is_boolean(value);
    case FIELD_OBJECT: return json_is_object(value);
    case FIELD_ARRAY: return json_is_array(value);
    default: return true;
    }
}

/* A null counts as left out where null is no value of its own. */
static bool is_left_out(const declared *f, const json_t *value)
{
    return !value || (json_is_null(value) && f->type != FIELD_ANY);
}

/* ---- Reading --------------------------------------------------------------------------------- */

typedef struct declared_fields {
    declared *into;
    json_t *required; /* NULL = not said */
} declared_fields;

static int32_t read_type(reader *r, void *into, json_t *value)
{
    return read_word(r, value, type_words, "any, string, integer, number, boolean, object, array",
                     &((declared_fields *)into)->into->type);
}

static int32_t read_required(reader *r, void *into, json_t *value)
{
    if (!json_is_boolean(value))
        return reader_expected(r, value, "true or false");
    ((declared_fields *)into)->required = value;
    return 0;
}

static int32_t read_default(reader *r, void *into, json_t *value)
{
    (void)r;
    ((declared_fields *)into)->into->fallback = json_incref(value);
    return 0;
}

static int32_t read_description(reader *r, void *into, json_t *value)
{
    const char *text;

    (void)into;
    return read_text(r, value, "a string", &text);
}

static const field input_rows[] = {
    {"type", read_type, true},
    {"required", read_required, false},
    {"default", read_default, false},
    {"description", read_description, false},
};
static const field output_rows[] = {
    {"type", read_type, true},
    {"required", read_required, false},
    {"description", read_description, false},
};
static const shape input_shape = SHAPE("an input", input_rows);
static const shape output_shape = SHAPE("an output", output_rows);

static int32_t check_default(reader *r, const declared_fields *f)
{
    const declared *d = f->into;

    if (!d->fallback)
        return 0;
    if (json_is_true(f->required))
        return reader_fail_at(r, "required",
                              "may not be true: what has a default is never missing");
    if (!is_of_type(d->fallback, d->type))
        return reader_fail_at(r, "default", "must be %s, not %s", type_phrases[d->type],
                              phrase_of(d->fallback));
    return 0;
}

static int32_t read_declared(builder *b, const shape *s, const char *name, json_t *value,
                             declared *into)
{
    declared_fields f = {into, NULL};
    size_t len = strlen(name);
    int32_t rc;

    if (!len || len > NAME_MAX_LEN)
        return reader_fail(&b->r, "the name of %s is 1 to %d bytes long", s->noun, NAME_MAX_LEN);
    into->name = arena_string(&b->box->arena, name, len);
    if (!into->name)
        return error_no_memory(b->r.err);
    if (json_is_string(value))
        return read_type(&b->r, &f, value);
    if (!json_is_object(value))
        return reader_expected(&b->r, value, "a type such as \"string\", or an object with one");
    rc = shape_read(&b->r, s, value, &f);
    if (rc)
        return rc;
    into->optional = json_is_false(f.required) || into->fallback;
    return check_default(&b->r, &f);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const declared *)a)->name, ((const declared *)b)->name);
}

/* *count is what was begun, so that what an error leaves is freed. */
static int32_t read_all(builder *b, const shape *s, json_t *value, const declared **out,
                        uint32_t *count)
{
    size_t n = json_object_size(value);
    declared *all;

    if (!json_is_object(value))
        return reader_expected(&b->r, value, "an object: names, each with a type");
    all = arena_alloc(&b->box->arena, (n + !n) * sizeof *all); /* NULL is no memory */
    if (!all)
        return error_no_memory(b->r.err);
    *out = all;
    for (void *it = json_object_iter(value); it; it = json_object_iter_next(value, it)) {
        const char *name = json_object_iter_key(it);
        declared *d = &all[(*count)++];
        int32_t rc;

        *d = (declared){0};
        place_key(&b->r, name);
        rc = read_declared(b, s, name, json_object_iter_value(it), d);
        if (rc)
            return rc;
        place_up(&b->r);
    }
    qsort(all, *count, sizeof *all, by_name);
    return 0;
}

int32_t definition_read_inputs(builder *b, json_t *value)
{
    definition *d = &b->box->d;

    d->has_inputs = true;
    return read_all(b, &input_shape, value, &d->inputs, &d->input_count);
}

int32_t definition_read_outputs(builder *b, json_t *value)
{
    definition *d = &b->box->d;

    d->has_outputs = true;
    return read_all(b, &output_shape, value, &d->outputs, &d->output_count);
}

void definition_free_declared(definition *d)
{
    for (uint32_t i = 0; i < d->input_count; i++)
        json_decref(d->inputs[i].fallback);
}

/* ---- Checking -------------------------------------------------------------------------------- */

/* The first thing that is wrong with an object. */
typedef struct mistake {
    const char *name;      /* NULL: nothing is wrong */
    const declared *field; /* NULL: there is none of that name */
    const json_t *value;   /* NULL: it is missing */
} mistake;

static const declared *find_field(const declared *fields, uint32_t count, const char *name)
{
    const declared key = {.name = name};

    return count ? bsearch(&key, fields, count, sizeof key, by_name) : NULL;
}

/* `templates`: not evaluated yet, so that a string which is one template may become anything. */
static bool is_good(const declared *f, const json_t *value, bool templates)
{
    if (templates && json_is_string(value) && text_is_one_template(json_string_value(value)))
        return true;
    return is_left_out(f, value) ? f->optional : is_of_type(value, f->type);
}

static mistake find_mistake(const declared *fields, uint32_t count, json_t *object, bool templates)
{
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *name = json_object_iter_key(it);
        const json_t *value = json_object_iter_value(it);
        const declared *f = find_field(fields, count, name);

        if (!f || !is_good(f, value, templates))
            return (mistake){name, f, value};
    }
    for (uint32_t i = 0; i < count; i++)
        if (!fields[i].optional && !json_object_get(object, fields[i].name))
            return (mistake){fields[i].name, &fields[i], NULL};
    return (mistake){0};
}

static void add_names(buf *b, const declared *fields, uint32_t count)
{
    buf_puts(b, count ? "; declared are: " : "; none are declared");
    for (uint32_t i = 0; i < count && i < NAMES_LISTED; i++)
        buf_printf(b, "%s%.*s", i ? ", " : "", WORDING(fields[i].name));
    if (count > NAMES_LISTED)
        buf_printf(b, " and %u more", count - NAMES_LISTED);
}

/* What stands behind the name. */
static void add_words(buf *b, const declared *fields, uint32_t count, const mistake *m)
{
    nearest near = nearest_to(m->name);
    char room[NEAREST_ROOM];

    if (m->field && m->value) {
        buf_printf(b, "must be %s, not %s", type_phrases[m->field->type], phrase_of(m->value));
    } else if (m->field) {
        buf_printf(b, "is missing; it must be %s", type_phrases[m->field->type]);
    } else {
        for (uint32_t i = 0; i < count; i++)
            nearest_try(&near, fields[i].name);
        buf_printf(b, "is not declared%s", nearest_words(&near, room));
        add_names(b, fields, count);
    }
}

int32_t definition_check_input_name(const definition *d, const char *name, size_t len,
                                    orch_error **err)
{
    char text[NAME_MAX_LEN + 1];
    mistake m = {.name = text};
    buf words = BUF_INIT;
    int32_t rc;

    if (!d->has_inputs)
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : NAME_MAX_LEN), name);
    if (len < sizeof text && find_field(d->inputs, d->input_count, text))
        return 0;
    add_words(&words, d->inputs, d->input_count, &m);
    rc = words.failed ? error_no_memory(err)
                      : error_set(err, ORCH_E_INVALID_ARGUMENT, NULL, "input '%.*s' %s",
                                  WORDING(text), words.data);
    buf_free(&words);
    return rc;
}

static int32_t check_values(int32_t code, const char *of, const declared *fields, uint32_t count,
                            json_t *object, orch_error **err)
{
    mistake m = find_mistake(fields, count, object, false);
    buf words = BUF_INIT;

    if (!m.name)
        return 0;
    add_words(&words, fields, count, &m);
    code = words.failed
               ? error_no_memory(err)
               : error_set(err, code, m.name, "%s'%.*s' %s", of, WORDING(m.name), words.data);
    buf_free(&words);
    return code;
}

int32_t definition_check_inputs(const definition *d, json_t *input, orch_error **err)
{
    char of[2 * NAME_MAX_LEN + SEMVER_MAX_LEN];

    if (!d->has_inputs)
        return 0;
    snprintf(of, sizeof of, "inputs of workflow '%s' %s: ", d->id, d->version);
    if (input && !json_is_object(input))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, NULL, "%smust be an object, not %s", of,
                         phrase_of(input));
    return check_values(ORCH_E_INVALID_ARGUMENT, of, d->inputs, d->input_count, input, err);
}

int32_t definition_check_outputs(const definition *d, json_t *output, orch_error **err)
{
    if (!d->has_outputs)
        return 0;
    if (output && !json_is_object(output) && !(json_is_null(output) && !d->output))
        return error_set(err, ORCH_E_FAILED_PRECONDITION, NULL, "must be an object, not %s",
                         phrase_of(output));
    return check_values(ORCH_E_FAILED_PRECONDITION, "", d->outputs, d->output_count, output, err);
}

/* jansson's own copy leaves members out when there is no memory, and does not say so. */
static json_t *copy_of(json_t *object)
{
    json_t *copy = json_object();

    if (object && json_object_update(copy, object)) {
        json_decref(copy);
        copy = NULL;
    }
    return copy;
}

json_t *definition_fill_inputs(const definition *d, json_t *input)
{
    json_t *filled = NULL;

    for (uint32_t i = 0; i < d->input_count; i++) {
        const declared *f = &d->inputs[i];

        if (!f->fallback || !is_left_out(f, json_object_get(input, f->name)))
            continue;
        if (!filled)
            filled = copy_of(input);
        if (!filled || json_object_set_nocheck(filled, f->name, f->fallback)) {
            json_decref(filled);
            return NULL;
        }
    }
    if (filled)
        return filled;
    return input ? json_incref(input) : json_object();
}

/* ---- `output` against `outputs` -------------------------------------------------------------- */

int32_t definition_check_declared_output(builder *b)
{
    const definition *d = &b->box->d;
    buf words = BUF_INIT;
    int32_t rc = 0;
    mistake m;

    if (!d->has_outputs)
        return 0;
    if (json_is_string(b->output) && text_is_one_template(json_string_value(b->output)))
        return 0;
    if (b->output && !json_is_object(b->output))
        return reader_fail_at(&b->r, "output", "must be an object, since there is outputs; not %s",
                              phrase_of(b->output));
    m = find_mistake(d->outputs, d->output_count, b->output, true);
    if (!m.name)
        return 0;
    add_words(&words, d->outputs, d->output_count, &m);
    place_key(&b->r, "output");
    rc = words.failed ? error_no_memory(b->r.err) : reader_fail_at(&b->r, m.name, "%s", words.data);
    place_up(&b->r);
    buf_free(&words);
    return rc;
}
