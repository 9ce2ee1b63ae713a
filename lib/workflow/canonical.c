#include "workflow/canonical_impl.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "workflow/definition.h"
#include "workflow/wording_impl.h"

/* Deeper than jansson itself reads. */
#define NESTING_LIMIT 2048

typedef struct member {
    const char *key;
    json_t *value;
} member;

typedef struct writer {
    buf *b;
    const canonical_limits *limits;
    size_t start;    /* of this document in b */
    member *members; /* a stack: the members of all objects that are being written */
    size_t len, cap;
    orch_error **err;
} writer;

static int32_t write_value(writer *w, json_t *value, const level *at);

/* buf_add for pieces of a few bytes: room is there nearly always, and looking is cheaper than
 * calling. */
static inline void put(buf *b, const char *s, size_t len)
{
    if (len < b->cap - b->len && !b->failed) {
        memcpy(b->data + b->len, s, len);
        b->len += len;
    } else {
        buf_add(b, s, len);
    }
}

static inline void put_char(buf *b, char c)
{
    put(b, &c, 1);
}

void pointer_add_key(buf *b, const char *key)
{
    buf_putc(b, '/');
    for (; *key; key++)
        if (*key == '~' || *key == '/')
            buf_puts(b, *key == '~' ? "~0" : "~1");
        else
            buf_putc(b, *key);
}

void pointer_add_level(buf *b, const level *at)
{
    const level *path[NESTING_LIMIT + 1];
    size_t n = 0;

    for (; at->up && n <= NESTING_LIMIT; at = at->up)
        path[n++] = at;
    while (n-- > 0)
        if (path[n]->key)
            pointer_add_key(b, path[n]->key);
        else
            buf_printf(b, "/%zu", path[n]->index);
}

static int32_t fail(writer *w, const level *at, const char *wrong, uint64_t limit)
{
    buf pointer = BUF_INIT;
    const char *place;
    int32_t rc;

    if (!w->err)
        return ORCH_E_INVALID_ARGUMENT;
    pointer_add_level(&pointer, at);
    place = pointer.len ? pointer.data : "";
    if (pointer.failed)
        rc = error_no_memory(w->err);
    else
        rc = error_set(w->err, ORCH_E_INVALID_ARGUMENT, pointer.data, "%.*s%s%s %" PRIu64,
                       wording_clip(place, 256), place, pointer.len ? ": " : "", wrong, limit);
    buf_free(&pointer);
    return rc;
}

/* ---- Scalars --------------------------------------------------------------------------------- */

static void write_string(buf *b, const char *s, size_t len)
{
    size_t i = 0;

    while (i < len && (unsigned char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')
        i++;
    if (i < len) {
        buf_json_string(b, s, len);
        return;
    }
    put_char(b, '"');
    put(b, s, len);
    put_char(b, '"');
}

static void write_integer(buf *b, json_int_t value)
{
    char text[24], *p = text + sizeof text;
    uint64_t n = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    if (value < 0)
        *--p = '-';
    put(b, p, (size_t)(text + sizeof text - p));
}

/* The fewest digits that read back the same, and the decimal exponent of the first of them. What
 * is neither digit nor exponent in printf's text is the locale's decimal point. */
static int shortest_digits(double value, char digits[32], int *count)
{
    int precision = fabs(value) < DBL_MIN ? 1 : DBL_DIG; /* subnormal numbers have fewer digits */
    char text[64];
    const char *p = text;

    do
        snprintf(text, sizeof text, "%.*e", precision - 1, fabs(value));
    while (strtod(text, NULL) != fabs(value) && ++precision <= DBL_DECIMAL_DIG);
    for (*count = 0; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9')
            digits[(*count)++] = *p;
    while (*count > 1 && digits[*count - 1] == '0')
        --*count;
    return atoi(p + 1);
}

/* With a point or an exponent always, so that a real stays one when it is read again. */
static void write_real(buf *b, double value)
{
    char digits[32];
    int count, exponent = shortest_digits(value, digits, &count);

    if (signbit(value))
        put_char(b, '-');
    if (exponent < -5 || exponent > 16) {
        put(b, digits, 1);
        if (count > 1)
            put_char(b, '.');
        put(b, digits + 1, (size_t)count - 1);
        buf_printf(b, "e%d", exponent);
        return;
    }
    for (int i = exponent < 0 ? exponent : 0; i <= exponent || i < count; i++) {
        if (i == exponent + 1)
            put_char(b, '.');
        put_char(b, i >= 0 && i < count ? digits[i] : '0');
    }
    if (count <= exponent + 1)
        put(b, ".0", 2);
}

/* ---- Objects and lists ----------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    return strcmp(((const member *)a)->key, ((const member *)b)->key);
}

static void sort_members(member *m, size_t n)
{
    if (n > 16) {
        qsort(m, n, sizeof *m, by_key);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        member moved = m[i];
        size_t j = i;

        for (; j > 0 && strcmp(moved.key, m[j - 1].key) < 0; j--)
            m[j] = m[j - 1];
        m[j] = moved;
    }
}

static bool push_members(writer *w, json_t *object)
{
    size_t n = json_object_size(object);
    member *grown = mem_grow(w->members, &w->cap, w->len + n, sizeof *grown);
    void *it;

    if (!grown)
        return false;
    w->members = grown;
    for (it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        grown[w->len].key = json_object_iter_key(it);
        grown[w->len++].value = json_object_iter_value(it);
    }
    return true;
}

static int32_t write_object(writer *w, json_t *object, const level *at)
{
    level below = {at, NULL, 0, at->depth + 1};
    size_t from = w->len, to;

    if (!push_members(w, object))
        return error_no_memory(w->err);
    to = w->len;
    sort_members(w->members + from, to - from);
    put_char(w->b, '{');
    for (size_t i = from; i < to; i++) {
        int32_t rc;

        below.key = w->members[i].key;
        if (i > from)
            put_char(w->b, ',');
        if (w->limits->check_utf8 && !text_is_utf8(below.key, strlen(below.key)))
            return fail(w, at, "holds a key that is not UTF-8, member", i - from);
        write_string(w->b, below.key, strlen(below.key));
        put_char(w->b, ':');
        rc = write_value(w, w->members[i].value, &below);
        if (rc)
            return rc;
    }
    put_char(w->b, '}');
    w->len = from;
    return 0;
}

static int32_t write_array(writer *w, json_t *array, const level *at)
{
    level below = {at, NULL, 0, at->depth + 1};
    size_t n = json_array_size(array);

    put_char(w->b, '[');
    for (; below.index < n; below.index++) {
        int32_t rc;

        if (below.index)
            put_char(w->b, ',');
        rc = write_value(w, json_array_get(array, below.index), &below);
        if (rc)
            return rc;
    }
    put_char(w->b, ']');
    return 0;
}

static int32_t write_value(writer *w, json_t *value, const level *at)
{
    if (w->b->len - w->start > w->limits->max_bytes)
        return fail(w, at, "the document passes here the largest size allowed, in bytes:",
                    w->limits->max_bytes);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        if (at->depth >= w->limits->max_nesting)
            return fail(w, at, "lists and objects are nested deeper than the limit of",
                        w->limits->max_nesting);
        return json_is_array(value) ? write_array(w, value, at) : write_object(w, value, at);
    case JSON_STRING:
        if (w->limits->check_utf8 &&
            !text_is_utf8(json_string_value(value), json_string_length(value)))
            return fail(w, at, "is not UTF-8; its length in bytes:", json_string_length(value));
        write_string(w->b, json_string_value(value), json_string_length(value));
        return 0;
    case JSON_INTEGER: write_integer(w->b, json_integer_value(value)); return 0;
    case JSON_REAL: write_real(w->b, json_real_value(value)); return 0;
    case JSON_TRUE: put(w->b, "true", 4); return 0;
    case JSON_FALSE: put(w->b, "false", 5); return 0;
    default: put(w->b, "null", 4); return 0;
    }
}

int32_t canonical_write(buf *b, json_t *tree, const canonical_limits *limits, orch_error **err)
{
    writer w = {b, limits, b->len, NULL, 0, 0, err};
    level root = {NULL, NULL, 0, 0};
    int32_t rc = write_value(&w, tree, &root);

    mem_free(w.members);
    buf_add(b, "", 0);
    if (!rc && b->failed)
        rc = error_no_memory(err);
    return rc;
}

bytes *canonical_json(const json_t *tree)
{
    const canonical_limits limits = {BYTES_MAX_LEN, NESTING_LIMIT, false};
    buf b = BUF_INIT;
    json_t *walked;

    memcpy(&walked, &tree, sizeof walked); /* jansson iterates only over what it may change */
    if (canonical_write(&b, walked, &limits, NULL)) {
        buf_free(&b);
        return NULL;
    }
    return buf_bytes(&b);
}
