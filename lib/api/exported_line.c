#include "api/exported_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

#define TIME_MAX (400LL * 366 * 24 * 3600 * 1000)

/* ---- a line ---------------------------------------------------------------------------------------------- */

int32_t line_wrong(const line *l, const char *name, const char *what)
{
    char about[32];

    snprintf(about, sizeof about, "line %u", l->number);
    if (name)
        return error_set(l->err, ORCH_E_INVALID_ARGUMENT, about, "line %u: %s %s", l->number, name,
                         what);
    return error_set(l->err, ORCH_E_INVALID_ARGUMENT, about, "line %u: %s", l->number, what);
}

/* Just behind a string that begins at p; text is JSON. */
static const char *behind_string(const char *p)
{
    for (p++; *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p + 1;
}

static const char *behind_value(const char *p)
{
    int depth = 0;

    do {
        if (*p == '"') {
            p = behind_string(p);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']')
            depth--;
        p++;
    } while (depth > 0 || (*p != ',' && *p != '}' && *p != ']' && *p != '"'));
    return p;
}

/* No function of strings: the text need not end with a NUL. */
static const char *behind_space(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r')
        p++;
    return p;
}

/* The text of a member's value. The line is an object of JSON; false if its key is written in another way (with escapes). */
static bool line_find(const line *l, const char *name, const char **out, size_t *out_len)
{
    size_t name_len = strlen(name);
    const char *p = behind_space(behind_space(l->text) + 1);

    while (*p == '"') {
        const char *key = p + 1, *value;
        size_t key_len = (size_t)(behind_string(p) - key) - 1;

        value = behind_space(behind_space(behind_string(p)) + 1);
        p = behind_value(value);
        if (key_len == name_len && !memcmp(key, name, name_len)) {
            while (strchr(" \t\r", p[-1]))
                p--;
            *out = value;
            *out_len = (size_t)(p - value);
            return true;
        }
        p = behind_space(p);
        if (*p == ',')
            p = behind_space(p + 1);
    }
    return false;
}

/* ---- members --------------------------------------------------------------------------------------------- */

/* `min` is what one that is left out counts as; with `required` it must be there. */
int32_t line_number(const line *l, const char *name, bool required, int64_t min, int64_t max,
                    int64_t *out)
{
    const json_t *value = json_object_get(l->tree, name);
    char allowed[80];

    *out = min;
    if (!value && !required)
        return 0;
    *out = json_integer_value(value);
    if (json_is_integer(value) && *out >= min && *out <= max)
        return 0;
    snprintf(allowed, sizeof allowed, "must be a whole number from %" PRId64 " to %" PRId64, min,
             max);
    return line_wrong(l, name, allowed);
}

int32_t line_u32(const line *l, const char *name, bool required, uint32_t min, uint32_t max,
                 uint32_t *out)
{
    int64_t n;
    int32_t rc = line_number(l, name, required, min, max, &n);

    *out = (uint32_t)n;
    return rc;
}

int32_t line_time(const line *l, const char *name, int64_t *out)
{
    return line_number(l, name, false, 0, TIME_MAX, out);
}

/* Borrowed; NULL if it is left out. */
int32_t line_look_text(const line *l, const char *name, bool required, size_t max_bytes,
                       const char **out)
{
    const json_t *value = json_object_get(l->tree, name);
    char allowed[80];

    *out = json_string_value(value);
    if (!value && !required)
        return 0;
    if (*out && json_string_length(value) <= max_bytes)
        return 0;
    snprintf(allowed, sizeof allowed, "must be a string of up to %zu bytes", max_bytes);
    return line_wrong(l, name, allowed);
}

int32_t line_text(const line *l, const char *name, bool required, size_t max_bytes, char **out)
{
    const char *text;
    int32_t rc = line_look_text(l, name, required, max_bytes, &text);

    if (rc || !text)
        return rc;
    *out = mem_strdup(text);
    return *out ? 0 : error_no_memory(l->err);
}

int32_t line_payload(const line *l, const char *name, bytes **out)
{
    const json_t *value = json_object_get(l->tree, name);
    const char *text;
    size_t len;

    if (!value || json_is_null(value))
        return 0;
    if (!line_find(l, name, &text, &len))
        return line_wrong(l, name, "must not be written with escapes");
    *out = bytes_new(text, len);
    return *out ? 0 : error_no_memory(l->err);
}

/* {"code","message",…} */
int32_t line_error(const line *l, bytes **out)
{
    const json_t *value = json_object_get(l->tree, "error");

    if (value && !json_is_null(value) &&
        (!json_is_string(json_object_get(value, "code")) ||
         !json_is_string(json_object_get(value, "message"))))
        return line_wrong(l, "error", "must be an object with a code and a message");
    return line_payload(l, "error", out);
}

/* `known`: names with a space before and behind each. */
int32_t line_members(const line *l, const char *known)
{
    const char *name;
    json_t *value;

    json_object_foreach(l->tree, name, value)
    {
        size_t len = strlen(name);
        const char *at = len && !strchr(name, ' ') ? known : NULL;

        while (at && (at = strstr(at, name)) && (at[-1] != ' ' || at[len] != ' '))
            at++;
        if (!at)
            return error_set(l->err, ORCH_E_INVALID_ARGUMENT, "record",
                             "line %u: there is no member '%.60s'; there are%s", l->number, name,
                             known);
    }
    return 0;
}
