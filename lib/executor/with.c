#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "executor/executor_impl.h"

static int32_t refuse(orch_error **err, const char *key, const char *allowed)
{
    return error_set(err, ORCH_E_INVALID_ARGUMENT, key, "with.%s: %s", key, allowed);
}

static int32_t refuse_key(orch_error **err, const char *owner, const char *key,
                          const char *const *known)
{
    buf names = BUF_INIT;

    for (; *known; known++)
        buf_printf(&names, "%s%s", names.len ? ", " : "", *known);
    error_set(err, ORCH_E_INVALID_ARGUMENT, key, "with.%s: %s has no such key; it knows %s", key,
              owner, names.failed ? "others" : names.data);
    buf_free(&names);
    return ORCH_E_INVALID_ARGUMENT;
}

int32_t with_check(json_t *with, const char *owner, const char *const *known, orch_error **err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(with))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "with", "%s needs `with`, an object", owner);
    json_object_foreach(with, key, value)
    {
        const char *const *k = known;

        while (*k && strcmp(*k, key) != 0)
            k++;
        if (!*k)
            return refuse_key(err, owner, key, known);
    }
    return 0;
}

/* NULL also for an explicit null, so that `${…}` can leave a key away. */
static const json_t *get(const json_t *with, const char *key)
{
    const json_t *value = json_object_get(with, key);

    return json_is_null(value) ? NULL : value;
}

int32_t with_text(const json_t *with, const char *key, const char **out, orch_error **err)
{
    const json_t *value = get(with, key);

    if (!value)
        return 0;
    if (!json_is_string(value))
        return refuse(err, key, "it must be a string");
    if (strlen(json_string_value(value)) != json_string_length(value))
        return refuse(err, key, "it must not hold a NUL");
    *out = json_string_value(value);
    return 0;
}

int32_t with_bool(const json_t *with, const char *key, bool *out, orch_error **err)
{
    const json_t *value = get(with, key);

    if (!value)
        return 0;
    if (!json_is_boolean(value))
        return refuse(err, key, "it must be true or false");
    *out = json_is_true(value);
    return 0;
}

int32_t with_count(const json_t *with, const char *key, uint32_t min, uint32_t max, uint32_t *out,
                   orch_error **err)
{
    const json_t *value = get(with, key);
    json_int_t n;

    if (!value)
        return 0;
    n = json_is_integer(value) ? json_integer_value(value) : -1;
    if (n < (json_int_t)min || n > (json_int_t)max)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, key,
                         "with.%s: it must be a whole number from %u to %u", key, min, max);
    *out = (uint32_t)n;
    return 0;
}

int32_t with_duration_ms(const json_t *with, const char *key, int64_t *out, orch_error **err)
{
    const json_t *value = get(with, key);
    int64_t ms;

    if (!value)
        return 0;
    if (!json_is_string(value) || !text_duration_ms(json_string_value(value), &ms) || ms <= 0)
        return refuse(err, key,
                      "it must be a duration above zero such as \"200ms\", \"5s\" or \"10m\"");
    *out = ms;
    return 0;
}

int32_t with_codes(const json_t *with, const char *key, int min, int max, const json_t **out,
                   orch_error **err)
{
    const json_t *value = get(with, key);

    if (!value) {
        *out = NULL;
        return 0;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);

        if (!json_is_integer(item) || json_integer_value(item) < min ||
            json_integer_value(item) > max)
            return error_set(err, ORCH_E_INVALID_ARGUMENT, key,
                             "with.%s: entry %zu must be a whole number from %d to %d", key, i, min,
                             max);
    }
    if (!json_array_size(value))
        return refuse(err, key, "it must be a list of at least one number");
    *out = value;
    return 0;
}

bool with_codes_have(const json_t *codes, int code)
{
    for (size_t i = 0; i < json_array_size(codes); i++)
        if (json_integer_value(json_array_get(codes, i)) == code)
            return true;
    return false;
}

/* The fewest digits that read back the same, with a point whatever the host's locale is. */
static const char *real_text(double value, char room[SCALAR_SIZE])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(room, SCALAR_SIZE, "%.*g", digits, value);
        if (strtod(room, NULL) == value)
            break;
    }
    for (char *p = room; *p; p++)
        if (*p == ',')
            *p = '.';
    return room;
}

const char *with_scalar(const json_t *value, char room[SCALAR_SIZE])
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        return strlen(json_string_value(value)) == json_string_length(value)
                   ? json_string_value(value)
                   : NULL;
    case JSON_INTEGER:
        snprintf(room, SCALAR_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return room;
    case JSON_REAL: return real_text(json_real_value(value), room);
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    default: return NULL;
    }
}
