#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "workflow/semver_impl.h"
#include "workflow/wording_impl.h"

#define RANGE_MAX_LEN 1024

enum comparator_op { BELOW, AT_MOST, EQUAL, AT_LEAST, ABOVE };

typedef struct comparator {
    semver version;
    uint8_t op;
    bool names_pre; /* a pre-release was written: it opens its major.minor.patch to pre-releases */
    bool ends;      /* the last of its alternative */
} comparator;

struct semver_range {
    comparator *all;
    size_t len, cap;
};

/* A version of which later parts may be missing or "x". */
typedef struct partial {
    uint64_t numbers[3];
    unsigned count;
    char pre[SEMVER_MAX_LEN + 1];
} partial;

static bool is_any(char c)
{
    return c == 'x' || c == 'X' || c == '*';
}

static const char *scan_partial(const char **p, partial *out)
{
    const char *s = *p;
    bool open = false;

    memset(out, 0, sizeof *out);
    for (int i = 0; i < 3; i++) {
        if (i && *s != '.')
            break;
        s += i > 0;
        if (is_any(*s)) {
            open = true;
            s++;
        } else if (open) {
            return "a number stands behind an x";
        } else {
            const char *wrong = semver_scan_number(&s, &out->numbers[i]);

            if (wrong)
                return wrong;
            out->count++;
        }
    }
    *p = s;
    if (out->count < 3)
        return *s == '-' || *s == '+' ? "a pre-release or build needs all three numbers" : NULL;
    return semver_scan_suffix(p, out->pre);
}

static bool add(semver_range *r, enum comparator_op op, const partial *v)
{
    comparator *grown = mem_grow(r->all, &r->cap, r->len + 1, sizeof *grown), *c;

    if (!grown)
        return false;
    r->all = grown;
    c = &grown[r->len++];
    c->version.major = v->numbers[0];
    c->version.minor = v->numbers[1];
    c->version.patch = v->numbers[2];
    memcpy(c->version.pre, v->pre, sizeof v->pre);
    c->op = (uint8_t)op;
    c->names_pre = v->pre[0] != '\0';
    c->ends = false;
    return true;
}

/* The lowest version of all whose part at `place` is one higher; false if there is no higher
 * number. */
static bool bump(const partial *v, unsigned place, partial *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->numbers, v->numbers, (place + 1) * sizeof *v->numbers);
    return ++out->numbers[place] != 0;
}

/* Below the bumped version, and below its pre-releases. */
static bool add_below(semver_range *r, const partial *v, unsigned place)
{
    partial upper;

    if (!bump(v, place, &upper))
        return true;
    strcpy(upper.pre, "0");
    if (!add(r, BELOW, &upper))
        return false;
    r->all[r->len - 1].names_pre = false;
    return true;
}

/* The part that ^ lets nothing change: the first that is not 0, or the last that was written. */
static unsigned caret_place(const partial *v)
{
    unsigned place = 0;

    while (place + 1 < v->count && v->numbers[place] == 0)
        place++;
    return place;
}

static bool add_operator(semver_range *r, const char *op, const partial *v)
{
    partial next;
    unsigned last = v->count ? v->count - 1 : 0;

    if (!v->count)
        return add(r, AT_LEAST, v);
    if (*op == '^')
        return add(r, AT_LEAST, v) && add_below(r, v, caret_place(v));
    if (*op == '~')
        return add(r, AT_LEAST, v) && add_below(r, v, last ? 1 : 0);
    if (!strcmp(op, ">="))
        return add(r, AT_LEAST, v);
    if (*op == '<' && !op[1])
        return add(r, BELOW, v);
    if (v->count == 3)
        return add(r, *op == '>' ? ABOVE : *op == '<' ? AT_MOST : EQUAL, v);
    if (*op == '>')
        return bump(v, last, &next) ? add(r, AT_LEAST, &next) : add(r, BELOW, &(partial){0});
    if (*op == '<')
        return add_below(r, v, last);
    return add(r, AT_LEAST, v) && add_below(r, v, last);
}

static const char *scan_operator(const char **p)
{
    static const char *const operators[] = {">=", "<=", ">", "<", "=", "^", "~"};

    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        size_t len = strlen(operators[i]);

        if (!strncmp(*p, operators[i], len)) {
            *p += len;
            *p += strspn(*p, " ");
            return operators[i];
        }
    }
    return "";
}

static const char *scan_comparator(const char **p, semver_range *r, bool *no_memory)
{
    const char *op = scan_operator(p), *wrong;
    partial v;

    wrong = scan_partial(p, &v);
    if (wrong)
        return wrong;
    if (**p && **p != ' ' && **p != '|')
        return "comparators are joined by spaces, alternatives by ||";
    if (!v.count && (*op == '<' || *op == '>'))
        return "< and > need a version";
    *no_memory = !add_operator(r, op, &v);
    return NULL;
}

static const char *scan(const char *s, semver_range *r, bool *no_memory)
{
    size_t begun = 0; /* where the alternative began */

    if (strnlen(s, RANGE_MAX_LEN + 1) > RANGE_MAX_LEN)
        return "it is longer than 1024 bytes";
    for (;;) {
        s += strspn(s, " ");
        if (!*s || (s[0] == '|' && s[1] == '|')) {
            if (r->len == begun)
                return "an alternative is empty; * stands for every version";
            r->all[r->len - 1].ends = true;
            begun = r->len;
            if (!*s)
                return NULL;
            s += 2;
        } else {
            const char *wrong = scan_comparator(&s, r, no_memory);

            if (wrong || *no_memory)
                return wrong;
        }
    }
}

int32_t semver_range_parse(const char *text, semver_range **out, orch_error **err)
{
    semver_range *r = mem_zalloc(sizeof *r);
    bool no_memory = false;
    const char *wrong;

    if (!r)
        return error_no_memory(err);
    wrong = scan(text, r, &no_memory);
    if (!wrong && !no_memory) {
        *out = r;
        return 0;
    }
    semver_range_free(r);
    if (no_memory)
        return error_no_memory(err);
    return error_set(
        err, ORCH_E_INVALID_ARGUMENT, text,
        "'%.*s' is not a range of versions: %s (such as ^1.2.0, ~1.2, \">=1.0.0 <3\", 1.x || 2.x)",
        WORDING(text), wrong);
}

static bool holds(const comparator *c, const semver *v)
{
    int order = semver_compare(v, &c->version);

    switch (c->op) {
    case BELOW: return order < 0;
    case AT_MOST: return order <= 0;
    case EQUAL: return order == 0;
    case AT_LEAST: return order >= 0;
    default: return order > 0;
    }
}

static bool opens(const comparator *c, const semver *v)
{
    return c->names_pre && c->version.major == v->major && c->version.minor == v->minor &&
           c->version.patch == v->patch;
}

bool semver_range_has(const semver_range *r, const semver *v)
{
    bool all = true, open = !v->pre[0];

    for (size_t i = 0; i < r->len; i++) {
        const comparator *c = &r->all[i];

        all = all && holds(c, v);
        open = open || opens(c, v);
        if (!c->ends)
            continue;
        if (all && open)
            return true;
        all = true;
        open = !v->pre[0];
    }
    return false;
}

void semver_range_free(semver_range *r)
{
    if (!r)
        return;
    mem_free(r->all);
    mem_free(r);
}
