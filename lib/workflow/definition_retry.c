/* `retry`, of a step and of what is done about its failure. */
#include <string.h>

#include "base/error.h"
#include "workflow/definition_impl.h"
#include "workflow/wording_impl.h"

#define MAX_ATTEMPTS 1000000

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

int32_t definition_read_retry(reader *r, json_t *value, retry_policy *p)
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
