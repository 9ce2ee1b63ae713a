#include "workflow/wait.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/json.h"
#include "base/text.h"
#include "workflow/definition_impl.h"
#include "workflow/wording_impl.h"

#define LAST_MS 253402300799999.0 /* of the year 9999, the last that RFC 3339 can write */

/* Borrowed from the tree. */
typedef struct wait_fields {
    int64_t duration_ms, until_ms, timeout_ms; /* -1 = not given */
    const char *signal;
    json_t *correlation;
} wait_fields;

static int32_t read_wait_duration(reader *r, void *into, json_t *value)
{
    return read_duration(r, value, 0, &((wait_fields *)into)->duration_ms);
}

/* What has passed is due at once; 0 would be never. */
static int32_t read_until(reader *r, void *into, json_t *value)
{
    static const char wanted[] = "a time with its offset such as \"2026-03-29T08:00:00+02:00\" or "
                                 "\"2026-03-29T06:00:00Z\", or a number: milliseconds since 1970";
    wait_fields *f = into;
    const char *s = "";
    int64_t ms = 0;
    int32_t rc;

    if (json_is_number(value)) {
        double n = ceil(json_number_value(value));

        if (!(n >= -LAST_MS && n <= LAST_MS))
            return reader_fail(r, "lies beyond the year 9999; a number is milliseconds since 1970");
        ms = (int64_t)n;
    } else {
        rc = read_text(r, value, wanted, &s);
        if (rc)
            return rc;
        if (!text_time_ms(s, &ms))
            return reader_fail(r, "'%.*s' is not %s", WORDING(s), wanted);
    }
    f->until_ms = ms > 0 ? ms : 1;
    return 0;
}

static int32_t read_signal(reader *r, void *into, json_t *value)
{
    return read_name(r, value, &((wait_fields *)into)->signal);
}

static int32_t read_correlation(reader *r, void *into, json_t *value)
{
    if (json_is_object(value) || json_is_array(value) || json_is_null(value))
        return reader_expected(r, value, "a string, a number or a boolean");
    ((wait_fields *)into)->correlation = value;
    return 0;
}

static int32_t read_signal_timeout(reader *r, void *into, json_t *value)
{
    return read_duration(r, value, 1, &((wait_fields *)into)->timeout_ms);
}

static const field rows[] = {
    {"duration", read_wait_duration, false}, {"until", read_until, false},
    {"signal", read_signal, false},          {"correlation", read_correlation, false},
    {"timeout", read_signal_timeout, false},
};
static const shape wait_shape = SHAPE("the `with` of wait", rows);

static bool has(const json_t *with, const char *key)
{
    const json_t *value = json_object_get(with, key);

    return value && !json_is_null(value);
}

/* That there is one thing to wait for. */
static int32_t check_one(reader *r, const json_t *with)
{
    static const char *const of_signals[] = {"correlation", "timeout"};
    int things = has(with, "duration") + has(with, "until") + has(with, "signal");

    if (things != 1)
        return reader_fail(r, "must have exactly one of duration, until and signal, not %s",
                           things ? "several" : "none");
    for (size_t i = 0; i < 2 && !has(with, "signal"); i++)
        if (has(with, of_signals[i]))
            return reader_fail_at(r, of_signals[i], "is of use only together with signal");
    return 0;
}

static int32_t check_correlation(reader *r, const json_t *with)
{
    return json_is_null(json_object_get(with, "correlation"))
               ? reader_fail_at(r, "correlation",
                                "must be a string, a number or a boolean, not null; without it any "
                                "signal of that name is taken")
               : 0;
}

static int32_t read_fields(reader *r, json_t *with, wait_fields *f, bool templates)
{
    int32_t rc;

    *f = (wait_fields){.duration_ms = -1, .until_ms = -1, .timeout_ms = -1};
    rc = shape_read_with(r, &wait_shape, with, f, templates);
    if (!rc)
        rc = check_correlation(r, with);
    return rc ? rc : check_one(r, with);
}

int32_t wait_check_with(reader *r, json_t *with)
{
    wait_fields f;

    return read_fields(r, with, &f, true);
}

/* ---- Evaluated ------------------------------------------------------------------------------- */

static int32_t write_signal(const wait_fields *f, bytes **out, orch_error **err)
{
    json_t *signal = json_pack("{s:s,s:O*}", "signal", f->signal, "correlation", f->correlation);

    *out = signal ? canonical_json(signal) : NULL;
    json_decref(signal);
    return *out ? 0 : error_no_memory(err);
}

int32_t wait_spec_read(json_t *with, const char *step, int64_t now_ms, wait_spec *out,
                       orch_error **err)
{
    reader r = {.err = err};
    wait_spec s = {0};
    wait_fields f;
    int32_t rc;

    place_key(&r, "with");
    rc = read_fields(&r, with, &f, false);
    if (rc) {
        error_prefix(err, "step '%s': ", step);
        return rc;
    }
    if (f.signal)
        rc = write_signal(&f, &s.signal, err);
    if (rc)
        return rc;
    if (f.until_ms >= 0)
        s.due_ms = f.until_ms;
    else if (f.duration_ms >= 0)
        s.due_ms = now_ms + f.duration_ms;
    else if (f.timeout_ms >= 0)
        s.due_ms = now_ms + f.timeout_ms;
    *out = s;
    return 0;
}

int32_t wait_signal_read(const bytes *signal, char **out_name, bytes **out_correlation,
                         orch_error **err)
{
    json_error_t where;
    json_t *tree = json_loadb(signal->data, signal->len, 0, &where);
    const char *name = json_string_value(json_object_get(tree, "signal"));
    const json_t *correlation = json_object_get(tree, "correlation");
    char *copy = NULL;
    bytes *text = NULL;
    int32_t rc = 0;

    if (!name && (tree || !json_lacked_memory(&where))) {
        rc = error_set(err, ORCH_E_DATA_LOSS, NULL,
                       "what a step was to wait for is stored, but cannot be read");
        goto out;
    }
    copy = name ? mem_strdup(name) : NULL;
    text = correlation ? canonical_json(correlation) : NULL;
    if (!copy || (correlation && !text)) {
        rc = error_no_memory(err);
        goto out;
    }
    *out_name = copy;
    *out_correlation = text;
    copy = NULL;
    text = NULL;
out:
    json_decref(tree);
    mem_free(copy);
    bytes_unref(text);
    return rc;
}
