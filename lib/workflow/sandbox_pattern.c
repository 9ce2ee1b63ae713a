#include "workflow/sandbox_pattern.h"

#include <string.h>

#include "workflow/sandbox_impl.h"

#define CAPTURE_OPEN     (-1)
#define CAPTURE_POSITION (-2)
#define DEPTH_MAX        200
#define STEPS_AT_ONCE    1024 /* are charged together */

void pattern_init(pattern *m, lua_State *L, const char *subject, size_t subject_len,
                  const char *text, size_t len)
{
    m->L = L;
    m->subject = subject;
    m->subject_end = subject + subject_len;
    m->end = text + len;
    m->steps = 0;
    m->depth = 0;
    m->count = 0;
}

static void step(pattern *m, size_t n)
{
    m->steps += n;
    if (m->steps >= STEPS_AT_ONCE) {
        budget_charge(m->L, m->steps);
        m->steps = 0;
    }
}

/* ---- single characters --------------------------------------------------------------------------------- */

/* Letters are ASCII's, whatever the locale. */
static bool in_class(unsigned char c, char class)
{
    unsigned char lower = c | 0x20;
    bool alpha = lower >= 'a' && lower <= 'z', digit = c >= '0' && c <= '9', is;

    switch (class | 0x20) {
    case 'a': is = alpha; break;
    case 'c': is = c < 0x20 || c == 0x7f; break;
    case 'd': is = digit; break;
    case 'g': is = c > 0x20 && c < 0x7f; break;
    case 'l': is = alpha && c == lower; break;
    case 'p': is = c > 0x20 && c < 0x7f && !alpha && !digit; break;
    case 's': is = c == ' ' || (c >= '\t' && c <= '\r'); break;
    case 'u': is = alpha && c != lower; break;
    case 'w': is = alpha || digit; break;
    case 'x': is = digit || (lower >= 'a' && lower <= 'f'); break;
    default: return (unsigned char)class == c; /* an escaped character */
    }
    if ((class >= 'A' && class <= 'Z'))
        is = !is;
    return is;
}

/* Behind the single item (character, class or set) that begins at p. */
static const char *item_end(pattern *m, const char *p)
{
    if (*p == '%') {
        if (p + 1 >= m->end)
            luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 2;
    }
    if (*p++ != '[')
        return p;
    if (p < m->end && *p == '^')
        p++;
    do { /* a ']' in the first place stands for itself */
        if (p >= m->end)
            luaL_error(m->L, "malformed pattern (missing ']')");
        step(m, 1);
        p += *p == '%' && p + 1 < m->end ? 2 : 1;
    } while (p >= m->end || *p != ']');
    return p + 1;
}

/* The set between p ('[') and last (its ']'). */
static bool in_set(pattern *m, unsigned char c, const char *p, const char *last)
{
    bool found = true;

    if (*++p == '^') {
        found = false;
        p++;
    }
    for (; p < last; p++) {
        step(m, 1);
        if (*p == '%') {
            p++;
            if (in_class(c, *p))
                return found;
        } else if (p + 2 < last && p[1] == '-') {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
                return found;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return found;
        }
    }
    return !found;
}

static bool single(pattern *m, const char *s, const char *p, const char *item)
{
    unsigned char c;

    step(m, 1);
    if (s >= m->subject_end)
        return false;
    c = (unsigned char)*s;
    switch (*p) {
    case '.': return true;
    case '%': return in_class(c, p[1]);
    case '[': return in_set(m, c, p, item - 1);
    default: return (unsigned char)*p == c;
    }
}

/* ---- repetition ---------------------------------------------------------------------------------------- */

static const char *at_most(pattern *m, const char *s, const char *p, const char *item)
{
    ptrdiff_t n = 0;

    while (single(m, s + n, p, item))
        n++;
    for (; n >= 0; n--) {
        const char *e = pattern_at(m, s + n, item + 1);

        if (e)
            return e;
    }
    return NULL;
}

static const char *at_least(pattern *m, const char *s, const char *p, const char *item)
{
    for (;;) {
        const char *e = pattern_at(m, s, item + 1);

        if (e || !single(m, s, p, item))
            return e;
        s++;
    }
}

/* ---- captures and the like ----------------------------------------------------------------------------- */

static const char *open_capture(pattern *m, const char *s, const char *p)
{
    bool position = p < m->end && *p == ')';
    const char *e;

    if (m->count >= PATTERN_CAPTURES)
        luaL_error(m->L, "too many captures (%d are allowed)", PATTERN_CAPTURES);
    m->captures[m->count].start = s;
    m->captures[m->count].len = position ? CAPTURE_POSITION : CAPTURE_OPEN;
    m->count++;
    e = pattern_at(m, s, p + position);
    if (!e)
        m->count--;
    return e;
}

static const char *close_capture(pattern *m, const char *s, const char *p)
{
    int i = m->count - 1;
    const char *e;

    while (i >= 0 && m->captures[i].len != CAPTURE_OPEN)
        i--;
    if (i < 0)
        luaL_error(m->L, "invalid pattern capture");
    m->captures[i].len = s - m->captures[i].start;
    e = pattern_at(m, s, p);
    if (!e)
        m->captures[i].len = CAPTURE_OPEN;
    return e;
}

static const char *balanced(pattern *m, const char *s, const char *p)
{
    int64_t depth = 1;

    if (p + 1 >= m->end)
        luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    if (s >= m->subject_end || *s != p[0])
        return NULL;
    while (++s < m->subject_end) {
        step(m, 1);
        if (*s == p[1]) {
            if (--depth == 0)
                return s + 1;
        } else if (*s == p[0]) {
            depth++;
        }
    }
    return NULL;
}

/* True if a frontier `%f[set]` lies before s; *after is behind the set. */
static bool frontier(pattern *m, const char *s, const char *p, const char **after)
{
    unsigned char before, here;

    if (p >= m->end || *p != '[')
        luaL_error(m->L, "missing '[' after '%%f' in pattern");
    *after = item_end(m, p);
    before = s > m->subject ? (unsigned char)s[-1] : 0;
    here = s < m->subject_end ? (unsigned char)*s : 0;
    return !in_set(m, before, p, *after - 1) && in_set(m, here, p, *after - 1);
}

static const char *repeated_capture(pattern *m, const char *s, char digit)
{
    int i = digit - '1';
    size_t len;

    if (i < 0 || i >= m->count || m->captures[i].len == CAPTURE_OPEN)
        luaL_error(m->L, "invalid capture index %%%d in pattern", i + 1);
    if (m->captures[i].len < 0)
        return NULL;
    len = (size_t)m->captures[i].len;
    step(m, 1 + len / 16);
    if ((size_t)(m->subject_end - s) < len || memcmp(m->captures[i].start, s, len) != 0)
        return NULL;
    return s + len;
}

/* ---- the matcher --------------------------------------------------------------------------------------- */

enum outcome { FAILED, MATCHED, GO_ON };

/* An item with what follows it. GO_ON moves *s and *p behind both. */
static enum outcome match_item(pattern *m, const char **s, const char **p)
{
    const char *item = item_end(m, *p), *e;
    char suffix = item < m->end ? *item : '\0';

    switch (suffix) {
    case '*': e = at_most(m, *s, *p, item); break;
    case '-': e = at_least(m, *s, *p, item); break;
    case '+': e = single(m, *s, *p, item) ? at_most(m, *s + 1, *p, item) : NULL; break;
    case '?':
        e = single(m, *s, *p, item) ? pattern_at(m, *s + 1, item + 1) : NULL;
        if (e)
            break;
        *p = item + 1;
        return GO_ON;
    default:
        if (!single(m, *s, *p, item))
            return FAILED;
        ++*s;
        *p = item;
        return GO_ON;
    }
    if (!e)
        return FAILED;
    *s = e;
    return MATCHED;
}

/* `%b`, `%f` and `%1`; anything else after '%' is an item. */
static enum outcome match_special(pattern *m, const char **s, const char **p)
{
    char kind = *p + 1 < m->end ? (*p)[1] : '\0';
    const char *after = *p + 2, *e;

    if (kind == 'f') {
        if (!frontier(m, *s, after, &after))
            return FAILED;
        *p = after;
        return GO_ON;
    }
    if (kind == 'b') {
        e = balanced(m, *s, after);
        after += 2;
    } else if (kind >= '0' && kind <= '9') {
        e = repeated_capture(m, *s, kind);
    } else {
        return match_item(m, s, p);
    }
    if (!e)
        return FAILED;
    *s = e;
    *p = after;
    return GO_ON;
}

const char *pattern_at(pattern *m, const char *s, const char *p)
{
    enum outcome now = GO_ON;

    if (++m->depth > DEPTH_MAX)
        luaL_error(m->L, "pattern too complex");
    while (now == GO_ON && p < m->end) {
        step(m, 1);
        if (*p == '(' || *p == ')') {
            const char *e = *p == '(' ? open_capture(m, s, p + 1) : close_capture(m, s, p + 1);

            now = e ? MATCHED : FAILED;
            s = e ? e : s;
        } else if (*p == '$' && p + 1 == m->end) {
            now = s == m->subject_end ? MATCHED : FAILED;
        } else {
            now = *p == '%' ? match_special(m, &s, &p) : match_item(m, &s, &p);
        }
    }
    m->depth--;
    return now == FAILED ? NULL : s;
}

void pattern_push(pattern *m, int i, const char *s, const char *e)
{
    const pattern_capture *c;

    if (i >= m->count) {
        if (i > 0)
            luaL_error(m->L, "invalid capture index %%%d", i + 1);
        lua_pushlstring(m->L, s, (size_t)(e - s));
        return;
    }
    c = &m->captures[i];
    if (c->len == CAPTURE_OPEN)
        luaL_error(m->L, "unfinished capture");
    if (c->len == CAPTURE_POSITION)
        lua_pushinteger(m->L, c->start - m->subject + 1);
    else
        lua_pushlstring(m->L, c->start, (size_t)c->len);
}

int pattern_push_all(pattern *m, const char *s, const char *e)
{
    int n = m->count == 0 && s ? 1 : m->count;

    budget_charge(m->L, m->steps);
    m->steps = 0;
    budget_stack(m->L, n);
    for (int i = 0; i < n; i++)
        pattern_push(m, i, s, e);
    return n;
}

bool pattern_is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] && strchr("^$*+?.([%-", text[i]))
            return false;
    return true;
}
