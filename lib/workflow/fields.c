#include "workflow/fields_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "workflow/canonical_impl.h"
#include "workflow/definition.h"
#include "workflow/sandbox_scan.h"
#include "workflow/wording_impl.h"

#define POINTER_SHOWN 256

/* ---- Places ---------------------------------------------------------------------------------- */

static void enter(reader *r, const char *key, uint32_t index)
{
    assert(r->depth < PLACE_MAX);
    r->places[r->depth].key = key;
    r->places[r->depth++].index = index;
}

void place_key(reader *r, const char *key)
{
    enter(r, key, 0);
}

void place_index(reader *r, uint32_t index)
{
    enter(r, NULL, index);
}

void place_up(reader *r)
{
    assert(r->depth > 0);
    r->depth--;
}

static void add_pointer(const reader *r, buf *b)
{
    for (uint32_t i = 0; i < r->depth; i++)
        if (r->places[i].key)
            pointer_add_key(b, r->places[i].key);
        else
            buf_printf(b, "/%" PRIu32, r->places[i].index);
    buf_add(b, "", 0);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

/* The id of the step that is being read, if it has a good one and the message is not about the
 * id itself. */
static const char *step_id(const reader *r)
{
    const char *id = json_string_value(json_object_get(r->step, "id"));

    if (!id || !text_is_name(id, NAME_MAX_LEN))
        return NULL;
    return r->depth > 2 && r->places[2].key && !strcmp(r->places[2].key, "id") ? NULL : id;
}

static int32_t fail(reader *r, int32_t code, const char *below, const char *message)
{
    buf pointer = BUF_INIT;
    const char *id = step_id(r);

    if (!r->err)
        return code;
    add_pointer(r, &pointer);
    buf_puts(&pointer, below);
    if (pointer.failed) {
        error_no_memory(r->err);
        code = ORCH_E_RESOURCE_EXHAUSTED;
    } else {
        error_set(r->err, code, pointer.data, "%.*s%s%s%s%s%s",
                  wording_clip(pointer.data, POINTER_SHOWN), pointer.data, pointer.len ? ": " : "",
                  id ? "step '" : "", id ? id : "", id ? "': " : "", message);
    }
    buf_free(&pointer);
    return code;
}

__attribute__((format(printf, 2, 0))) static int32_t fail_with(reader *r, const char *format,
                                                               va_list args)
{
    orch_error *told = NULL;
    int32_t code = ORCH_E_INVALID_ARGUMENT;

    if (!r->err)
        return code;
    error_set_va(&told, code, NULL, format, args);
    if (orch_error_code(told) == ORCH_E_RESOURCE_EXHAUSTED)
        code = ORCH_E_RESOURCE_EXHAUSTED;
    code = fail(r, code, "", orch_error_message(told));
    orch_error_free(told);
    return code;
}

int32_t reader_fail(reader *r, const char *format, ...)
{
    va_list args;
    int32_t rc;

    va_start(args, format);
    rc = fail_with(r, format, args);
    va_end(args);
    return rc;
}

int32_t reader_fail_at(reader *r, const char *key, const char *format, ...)
{
    va_list args;
    int32_t rc;

    va_start(args, format);
    place_key(r, key);
    rc = fail_with(r, format, args);
    place_up(r);
    va_end(args);
    return rc;
}

int32_t reader_pass_on(reader *r, int32_t rc, bool relative)
{
    orch_error *told;

    if (!r->err || !*r->err)
        return rc;
    told = *r->err;
    *r->err = NULL;
    if (rc != ORCH_E_RESOURCE_EXHAUSTED)
        rc = ORCH_E_INVALID_ARGUMENT;
    rc = fail(r, rc, relative ? orch_error_about(told) : "", orch_error_message(told));
    orch_error_free(told);
    return rc;
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    default: return "null";
    }
}

int32_t reader_expected(reader *r, const json_t *value, const char *wanted)
{
    return reader_fail(r, "must be %s, not %s", wanted, type_name(value));
}

/* ---- Objects by tables ----------------------------------------------------------------------- */

static int32_t unknown_key(reader *r, const shape *s, const char *key)
{
    nearest near = nearest_to(key);
    char room[NEAREST_ROOM];
    buf allowed = BUF_INIT;
    int32_t rc;

    for (uint32_t i = 0; i < s->count; i++) {
        nearest_try(&near, s->fields[i].name);
        buf_puts(&allowed, i ? ", " : "");
        buf_puts(&allowed, s->fields[i].name);
    }
    if (allowed.failed)
        rc = error_no_memory(r->err);
    else
        rc = reader_fail(r, "'%.*s' is no key of %s%s; allowed are: %s", WORDING(key), s->noun,
                         nearest_words(&near, room), allowed.data);
    buf_free(&allowed);
    return rc;
}

static const field *find_field(const shape *s, const char *key)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (*s->fields[i].name == *key && !strcmp(s->fields[i].name, key))
            return &s->fields[i];
    return NULL;
}

/* What of a shape's members is passed over. */
enum passing { PASS_NONE, PASS_NULLS, PASS_TEMPLATES_TOO };

static bool is_passed_over(const json_t *value, enum passing passing)
{
    return json_is_null(value) || (passing == PASS_TEMPLATES_TOO && json_is_string(value) &&
                                   text_is_template(json_string_value(value)));
}

static int32_t check_seen(reader *r, const shape *s, uint32_t seen)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->fields[i].required && !(seen & UINT32_C(1) << i))
            return reader_fail_at(r, s->fields[i].name, "'%s' is missing; %s must have it",
                                  s->fields[i].name, s->noun);
    return 0;
}

static int32_t read_shape(reader *r, const shape *s, json_t *object, void *into,
                          enum passing passing)
{
    uint32_t seen = 0;

    if (!json_is_object(object))
        return reader_expected(r, object, "an object");
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        json_t *value = json_object_iter_value(it);
        const field *f = find_field(s, key);
        bool passed = f && passing && is_passed_over(value, passing);
        int32_t rc = 0;

        place_key(r, key);
        if (!passed)
            rc = f ? f->read(r, into, value) : unknown_key(r, s, key);
        if (rc)
            return rc;
        place_up(r);
        if (!passed || !json_is_null(value))
            seen |= UINT32_C(1) << (f - s->fields);
    }
    return check_seen(r, s, seen);
}

int32_t shape_read(reader *r, const shape *s, json_t *object, void *into)
{
    return read_shape(r, s, object, into, PASS_NONE);
}

int32_t shape_read_with(reader *r, const shape *s, json_t *object, void *into, bool templates)
{
    return read_shape(r, s, object, into, templates ? PASS_TEMPLATES_TOO : PASS_NULLS);
}

/* ---- Values ---------------------------------------------------------------------------------- */

bool text_is_template(const char *s)
{
    for (const char *p = strstr(s, "${"); p; p = strstr(p + 2, "${"))
        if (p == s || p[-1] != '$')
            return true;
    return false;
}

bool text_is_one_template(const char *s)
{
    size_t len = strlen(s);

    return len > 3 && s[0] == '$' && s[1] == '{' && scan_closing_brace(s + 2, len - 2) == len - 3;
}

int32_t read_text(reader *r, json_t *value, const char *wanted, const char **out)
{
    if (!json_is_string(value))
        return reader_expected(r, value, wanted);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return reader_fail(r, "must be %s, without the character U+0000", wanted);
    *out = json_string_value(value);
    return 0;
}

int32_t read_name(reader *r, json_t *value, const char **out)
{
    const char *name = "";
    int32_t rc = read_text(r, value, "a name", &name);

    if (rc)
        return rc;
    if (!text_is_name(name, NAME_MAX_LEN))
        return reader_fail(r,
                           "'%.*s' is not a name: 1 to %d letters, digits, '_', '-' and '.', the "
                           "first of them no '-' or '.'",
                           WORDING(name), NAME_MAX_LEN);
    *out = name;
    return 0;
}

int32_t read_duration(reader *r, json_t *value, int64_t min_ms, int64_t *out_ms)
{
    static const char wanted[] =
        "a duration such as \"200ms\", \"5s\", \"10m\", \"1h30m\" or \"3d\"";
    const char *s = "";
    int32_t rc = read_text(r, value, wanted, &s);
    int64_t ms;

    if (rc)
        return rc;
    if (!text_duration_ms(s, &ms))
        return reader_fail(r, "'%.*s' is not %s (units ms, s, m, h, d; at most 100 years)",
                           WORDING(s), wanted);
    if (ms < min_ms)
        return reader_fail(r, "must be at least %" PRId64 "ms; leave it out for none", min_ms);
    *out_ms = ms;
    return 0;
}

int32_t read_integer(reader *r, json_t *value, int64_t min, int64_t max, int64_t *out)
{
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value))
        return reader_expected(r, value, "an integer");
    if (n < min || n > max)
        return reader_fail(r, "is %" JSON_INTEGER_FORMAT "; allowed are %" PRId64 " to %" PRId64, n,
                           min, max);
    *out = n;
    return 0;
}

int32_t read_milli(reader *r, json_t *value, uint32_t min, uint32_t max, uint32_t *out_milli)
{
    double n = json_number_value(value) * 1000;

    if (!json_is_number(value))
        return reader_expected(r, value, "a number");
    if (!(n >= min && n <= max))
        return reader_fail(r, "is out of range; allowed are %" PRIu32 " to %" PRIu32, min / 1000,
                           max / 1000);
    *out_milli = (uint32_t)(n + 0.5);
    return 0;
}

int32_t read_strings(reader *r, json_t *object)
{
    if (!json_is_object(object))
        return reader_expected(r, object, "an object of strings");
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        json_t *value = json_object_iter_value(it);

        if (json_is_string(value))
            continue;
        place_key(r, json_object_iter_key(it));
        return reader_expected(r, value, "a string");
    }
    return 0;
}

int32_t read_word(reader *r, json_t *value, const char *const *words, const char *allowed,
                  uint8_t *out)
{
    char room[NEAREST_ROOM];
    const char *text = "";
    nearest near;
    int32_t rc = read_text(r, value, "a string", &text);

    if (rc)
        return rc;
    near = nearest_to(text);
    for (uint8_t i = 0; words[i]; i++) {
        if (!strcmp(words[i], text)) {
            *out = i;
            return 0;
        }
        nearest_try(&near, words[i]);
    }
    return reader_fail(r, "'%.*s' is unknown%s; allowed are: %s", WORDING(text),
                       nearest_words(&near, room), allowed);
}
