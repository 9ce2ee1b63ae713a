/* Scalars by the core schema: https://yaml.org/spec/1.2.2/#103-core-schema */
#include "workflow/yaml_impl.h"

#if ORCH_WITH_YAML

#    include <string.h>

#    include "base/buf.h"
#    include "base/json.h"

static bool is_one_of(const char *s, size_t len, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == len && !memcmp(s, *words, len))
            return true;
    return false;
}

static bool is_null(const char *s, size_t len)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};

    return is_one_of(s, len, words);
}

static bool is_true(const char *s, size_t len)
{
    static const char *const words[] = {"true", "True", "TRUE", NULL};

    return is_one_of(s, len, words);
}

static bool is_false(const char *s, size_t len)
{
    static const char *const words[] = {"false", "False", "FALSE", NULL};

    return is_one_of(s, len, words);
}

static bool is_beyond_json(const char *s, size_t len)
{
    static const char *const words[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                        "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                                        ".NaN",  ".NAN",  NULL};

    return is_one_of(s, len, words);
}

/* ---- Integers -------------------------------------------------------------------------------- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+. False if it is none of these; *fits tells whether it
 * is in 64 bits. */
static bool scan_integer(const char *s, size_t len, json_int_t *out, bool *fits)
{
    const char *end = s + len;
    bool negative = len && *s == '-';
    unsigned base = 10;
    uint64_t n = 0, max = INT64_MAX;

    if (len > 2 && s[0] == '0' && (s[1] == 'o' || s[1] == 'x')) {
        base = s[1] == 'o' ? 8 : 16;
        s += 2;
    } else if (len && (*s == '-' || *s == '+')) {
        s++;
    }
    if (s == end)
        return false;
    max += negative;
    *fits = true;
    for (; s < end; s++) {
        unsigned digit = (unsigned)digit_of(*s);

        if (digit >= base)
            return false;
        *fits = *fits && n <= (max - digit) / base;
        n = n * base + digit;
    }
    *out = (json_int_t)(negative ? 0 - n : n);
    return true;
}

static const char *make_integer(const char *s, size_t len, json_t **out)
{
    json_int_t n = 0;
    bool fits = false;

    if (!scan_integer(s, len, &n, &fits))
        return "is tagged !!int and is no integer";
    if (!fits)
        return "is an integer of more than 64 bits";
    *out = json_integer(n);
    return NULL;
}

/* ---- Reals ----------------------------------------------------------------------------------- */

static size_t digits(const char *s, const char *end)
{
    const char *from = s;

    while (s < end && *s >= '0' && *s <= '9')
        s++;
    return (size_t)(s - from);
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? written the way JSON wants it. False if it
 * is none. */
static bool scan_real(const char *s, size_t len, buf *json)
{
    const char *end = s + len;
    size_t whole, part = 0, exponent;

    if (len && (*s == '-' || *s == '+'))
        buf_puts(json, *s++ == '-' ? "-" : "");
    whole = digits(s, end);
    for (; whole > 1 && *s == '0'; whole--)
        s++;
    buf_add(json, whole ? s : "0", whole ? whole : 1);
    s += whole;
    buf_putc(json, '.');
    if (s < end && *s == '.') {
        part = digits(++s, end);
        buf_add(json, s, part);
        s += part;
    }
    buf_puts(json, part ? "" : "0");
    if (!whole && !part)
        return false;
    if (s < end && (*s == 'e' || *s == 'E')) {
        buf_putc(json, 'e');
        if (++s < end && (*s == '-' || *s == '+'))
            buf_putc(json, *s++);
        exponent = digits(s, end);
        if (!exponent)
            return false;
        buf_add(json, s, exponent);
        s += exponent;
    }
    return s == end;
}

/* jansson reads it, as it reads the reals of JSON: whatever the locale's decimal point is. */
static const char *make_real(const char *s, size_t len, json_t **out)
{
    buf json = BUF_INIT;
    const char *wrong = NULL;
    json_error_t e;

    if (!scan_real(s, len, &json)) {
        wrong = "is tagged !!float and is no number";
    } else if (!json.failed) {
        *out = json_loadb(json.data, json.len, JSON_DECODE_ANY, &e);
        if (!*out && !json_lacked_memory(&e))
            wrong = "is a number out of range";
    }
    buf_free(&json);
    return wrong;
}

static bool is_real(const char *s, size_t len)
{
    buf json = BUF_INIT;
    bool is = scan_real(s, len, &json);

    buf_free(&json);
    return is;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static const char *resolve_plain(const char *s, size_t len, json_t **out)
{
    json_int_t n;
    bool fits;

    if (is_null(s, len))
        *out = json_null();
    else if (is_true(s, len) || is_false(s, len))
        *out = json_boolean(is_true(s, len));
    else if (is_beyond_json(s, len))
        return "is a number that JSON does not have";
    else if (!strchr("+-.0123456789", *s))
        *out = json_stringn_nocheck(s, len);
    else if (scan_integer(s, len, &n, &fits))
        return make_integer(s, len, out);
    else if (is_real(s, len))
        return make_real(s, len, out);
    else
        *out = json_stringn_nocheck(s, len);
    return NULL;
}

const char *yaml_scalar(const char *s, size_t len, const char *tag, bool plain, json_t **out)
{
    static const char prefix[] = "tag:yaml.org,2002:";

    *out = NULL;
    if (!tag && plain)
        return resolve_plain(s, len, out);
    if (tag && strncmp(tag, prefix, sizeof prefix - 1) != 0)
        return "has a tag of its own; allowed are !!str, !!int, !!float, !!bool, !!null, !!seq and "
               "!!map";
    tag = tag ? tag + sizeof prefix - 1 : "str";
    if (!strcmp(tag, "int"))
        return make_integer(s, len, out);
    if (!strcmp(tag, "float"))
        return make_real(s, len, out);
    if (!strcmp(tag, "bool")) {
        if (!is_true(s, len) && !is_false(s, len))
            return "is tagged !!bool and is neither true nor false";
        *out = json_boolean(is_true(s, len));
    } else if (!strcmp(tag, "null")) {
        if (!is_null(s, len))
            return "is tagged !!null and is not null";
        *out = json_null();
    } else if (!strcmp(tag, "str")) {
        *out = json_stringn_nocheck(s, len);
    } else {
        return "has a tag that no scalar can have; allowed are !!str, !!int, !!float, !!bool and "
               "!!null";
    }
    return NULL;
}

#endif
