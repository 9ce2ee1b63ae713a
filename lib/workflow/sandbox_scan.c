#include "workflow/sandbox_scan.h"

#include <string.h>

#include "base/mem.h"

const char *const scan_root_names[ROOTS] = {"input", "steps",     "item",
                                            "index", "execution", "secrets"};

typedef struct cursor {
    const char *p, *end;
} cursor;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The level of a long bracket `[==[` at p, or -1. */
static int long_level(const cursor *c, const char *p)
{
    int level = 0;

    for (p++; p < c->end && *p == '='; p++)
        level++;
    return p < c->end && *p == '[' ? level : -1;
}

/* From the opening bracket to behind the closing one. */
static void skip_long(cursor *c, int level)
{
    c->p += level + 2;
    for (; c->p < c->end; c->p++) {
        const char *q = c->p + 1;

        if (*c->p != ']' || c->end - c->p < level + 2)
            continue;
        while (q < c->end && *q == '=')
            q++;
        if (q < c->end && *q == ']' && q - c->p == level + 1) {
            c->p = q + 1;
            return;
        }
    }
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_escape(cursor *c)
{
    char kind = ++c->p < c->end ? *c->p++ : '\0';

    if (kind == 'z')
        while (c->p < c->end && is_space(*c->p))
            c->p++;
    else if ((kind == '\r' || kind == '\n') && c->p < c->end &&
             *c->p == (kind == '\r' ? '\n' : '\r'))
        c->p++;
}

static void skip_quoted(cursor *c)
{
    char quote = *c->p++;

    while (c->p < c->end && *c->p != quote && *c->p != '\n' && *c->p != '\r') {
        if (*c->p == '\\')
            skip_escape(c);
        else
            c->p++;
    }
    if (c->p < c->end)
        c->p++;
}

static void skip_number(cursor *c)
{
    bool hex = c->end - c->p > 1 && c->p[0] == '0' && (c->p[1] | 0x20) == 'x';

    while (c->p < c->end && (is_digit(*c->p) || is_letter(*c->p) || *c->p == '.')) {
        bool exponent = (*c->p | 0x20) == (hex ? 'p' : 'e');

        c->p++;
        if (exponent && c->p < c->end && (*c->p == '+' || *c->p == '-'))
            c->p++;
    }
}

/* A comment at "--". */
static void skip_comment(cursor *c)
{
    int level;

    c->p += 2;
    level = c->p < c->end && *c->p == '[' ? long_level(c, c->p) : -1;
    if (level >= 0)
        skip_long(c, level);
    else
        while (c->p < c->end && *c->p != '\n' && *c->p != '\r')
            c->p++;
}

static bool starts_comment(const cursor *c)
{
    return c->end - c->p >= 2 && c->p[0] == '-' && c->p[1] == '-';
}

static void skip_space(cursor *c)
{
    while (c->p < c->end) {
        if (starts_comment(c))
            skip_comment(c);
        else if (is_space(*c->p))
            c->p++;
        else
            return;
    }
}

static const char *take_name(cursor *c)
{
    const char *from = c->p;

    while (c->p < c->end && (is_letter(*c->p) || is_digit(*c->p)))
        c->p++;
    return from;
}

/* Anything that is not a name; an opening bracket adds one to *depth, a closing one takes one. */
static void skip_other(cursor *c, int *depth)
{
    int level = *c->p == '[' ? long_level(c, c->p) : -1;

    if (level >= 0)
        skip_long(c, level);
    else if (*c->p == '"' || *c->p == '\'')
        skip_quoted(c);
    else if (is_digit(*c->p))
        skip_number(c);
    else {
        if (*c->p && strchr("([{", *c->p))
            ++*depth;
        else if (*c->p && strchr(")]}", *c->p))
            --*depth;
        c->p++;
    }
}

int scan_root_of(const char *name, size_t len)
{
    for (int i = 0; i < ROOTS; i++)
        if (strlen(scan_root_names[i]) == len && !memcmp(scan_root_names[i], name, len))
            return i;
    return -1;
}

static bool add_member(scan *s, int root, const char *name, size_t len)
{
    scan_member *grown;
    char *copy;

    for (size_t i = 0; i < s->count; i++)
        if (s->members[i].root == root && s->members[i].len == len &&
            !memcmp(s->members[i].name, name, len))
            return true;
    grown = mem_grow(s->members, &s->cap, s->count + 1, sizeof *s->members);
    if (!grown)
        return false;
    s->members = grown;
    copy = mem_strndup(name, len);
    if (!copy)
        return false;
    s->members[s->count++] = (scan_member){copy, len, (uint8_t)root};
    return true;
}

/* What follows a root's name: `.name` or `["name"]` without escapes, else NULL. */
static const char *literal_member(cursor c, size_t *len)
{
    const char *from;

    skip_space(&c);
    if (c.p < c.end && *c.p == '.' && !(c.end - c.p > 1 && c.p[1] == '.')) {
        c.p++;
        skip_space(&c);
        from = take_name(&c);
        *len = (size_t)(c.p - from);
        return *len ? from : NULL;
    }
    if (c.p >= c.end || *c.p != '[' || long_level(&c, c.p) >= 0)
        return NULL;
    c.p++;
    skip_space(&c);
    if (c.p >= c.end || (*c.p != '"' && *c.p != '\''))
        return NULL;
    from = c.p + 1;
    skip_quoted(&c);
    *len = (size_t)(c.p - from - 1);
    skip_space(&c);
    if (c.p >= c.end || *c.p != ']' || memchr(from, '\\', *len))
        return NULL;
    return from;
}

static bool note_name(scan *s, const cursor *c, const char *name, size_t len)
{
    int root = scan_root_of(name, len);
    const char *member;
    size_t member_len;

    if (len == 4 && !memcmp(name, "_ENV", 4))
        s->environment = true;
    if (root < 0)
        return true;
    s->used[root] = true;
    member = literal_member(*c, &member_len);
    if (member)
        return add_member(s, root, member, member_len);
    s->whole[root] = true;
    return true;
}

bool scan_code(scan *out, const char *code, size_t len)
{
    cursor c = {code, code + len};
    bool member = false; /* the token before was '.' or ':' */
    int depth = 0;

    memset(out, 0, sizeof *out);
    for (skip_space(&c); c.p < c.end; skip_space(&c)) {
        const char *name;

        if (!is_letter(*c.p)) {
            /* Of `a..b` the second dot is no member's; `::label::` does no harm. */
            member = (*c.p == '.' && !(c.p > code && c.p[-1] == '.') &&
                      !(c.end - c.p > 1 && c.p[1] == '.')) ||
                     *c.p == ':';
            skip_other(&c, &depth);
            out->unbalanced |= depth < 0;
            continue;
        }
        name = take_name(&c);
        if (!member && !note_name(out, &c, name, (size_t)(c.p - name))) {
            scan_free(out);
            return false;
        }
        member = false;
    }
    return true;
}

void scan_free(scan *s)
{
    for (size_t i = 0; i < s->count; i++)
        mem_free(s->members[i].name);
    mem_free(s->members);
    memset(s, 0, sizeof *s);
}

size_t scan_closing_brace(const char *code, size_t len)
{
    cursor c = {code, code + len};
    int depth = 0;

    for (skip_space(&c); c.p < c.end; skip_space(&c)) {
        if (*c.p == '}' && depth == 0)
            return (size_t)(c.p - code);
        if (is_letter(*c.p))
            take_name(&c);
        else if (*c.p == '{' || *c.p == '}') {
            depth += *c.p == '{' ? 1 : -1;
            c.p++;
        } else {
            int ignored = 0;

            skip_other(&c, &ignored);
        }
    }
    return SIZE_MAX;
}
