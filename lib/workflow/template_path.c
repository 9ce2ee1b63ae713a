/* Plain paths: input.a.b, steps["a.b-c"].output.x[1]. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "workflow/template_impl.h"

typedef struct reader {
    const char *p, *end;
} reader;

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_name(reader *r, segment *out)
{
    out->name = r->p;
    if (r->p == r->end || !is_letter(*r->p))
        return false;
    while (r->p < r->end && (is_letter(*r->p) || is_digit(*r->p)))
        r->p++;
    out->len = (size_t)(r->p - out->name);
    return true;
}

/* Behind a '['. A text with escapes is left to Lua. */
static bool read_bracket(reader *r, segment *out)
{
    const char *close;
    char quote = r->p < r->end ? *r->p : '\0';

    if (quote == '"' || quote == '\'') {
        out->name = ++r->p;
        close = memchr(r->p, quote, (size_t)(r->end - r->p));
        if (!close || memchr(r->p, '\\', (size_t)(close - r->p)) ||
            memchr(r->p, '\n', (size_t)(close - r->p)))
            return false;
        out->len = (size_t)(close - out->name);
        r->p = close + 1;
    } else {
        const char *from = r->p;

        for (out->name = NULL, out->index = 0; r->p < r->end && is_digit(*r->p); r->p++)
            out->index = out->index * 10 + (uint64_t)(*r->p - '0');
        if (r->p == from || r->p - from > 18)
            return false;
    }
    return r->p < r->end && *r->p++ == ']';
}

static bool read_segment(reader *r, segment *out)
{
    *out = (segment){NULL, 0, 0};
    if (*r->p == '.') {
        r->p++;
        return read_name(r, out);
    }
    return *r->p++ == '[' && read_bracket(r, out);
}

enum path_kind path_parse(const char *text, size_t len, path *out)
{
    reader r = {text, text + len};
    segment s;
    size_t cap = 0;
    int root;

    *out = (path){0};
    root = read_name(&r, &s) ? scan_root_of(s.name, s.len) : -1;
    if (root < 0)
        return PATH_NONE;
    out->root = (uint8_t)root;
    while (r.p < r.end) {
        segment *grown;

        if (!read_segment(&r, &s)) {
            path_free(out);
            return PATH_NONE;
        }
        grown = mem_grow(out->segments, &cap, out->count + 1, sizeof *grown);
        if (!grown) {
            path_free(out);
            return PATH_NO_MEMORY;
        }
        out->segments = grown;
        grown[out->count++] = s;
    }
    return PATH_PLAIN;
}

void path_free(path *p)
{
    mem_free(p->segments);
    *p = (path){0};
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a string";
    case JSON_NULL: return "null";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    default: return "a number";
    }
}

json_t *path_walk(const path *p, json_t *value, char *wrong, size_t wrong_size)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const segment *s = &p->segments[i];
        json_t *next;

        if (s->name && json_is_object(value)) {
            next = json_object_getn(value, s->name, s->len);
        } else if (!s->name && json_is_array(value)) {
            next = s->index ? json_array_get(value, (size_t)s->index - 1) : NULL;
        } else {
            if (s->name)
                snprintf(wrong, wrong_size, "%s has no member '%.*s'", type_name(value),
                         (int)(s->len < 64 ? s->len : 64), s->name);
            else
                snprintf(wrong, wrong_size, "%s has no element [%llu]", type_name(value),
                         (unsigned long long)s->index);
            return NULL;
        }
        value = next ? next : json_null();
    }
    return value;
}
