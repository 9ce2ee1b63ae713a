#include "workflow/semver.h"

#include <string.h>

#include "base/error.h"
#include "workflow/semver_impl.h"
#include "workflow/wording_impl.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

const char *semver_scan_number(const char **p, uint64_t *out)
{
    const char *s = *p;
    uint64_t n = 0;

    if (!is_digit(*s))
        return "a number of MAJOR.MINOR.PATCH is missing";
    if (*s == '0' && is_digit(s[1]))
        return "a number begins with 0";
    for (; is_digit(*s); s++) {
        unsigned digit = (unsigned)(*s - '0');

        if (n > (UINT64_MAX - digit) / 10)
            return "a number is larger than 18446744073709551615";
        n = n * 10 + digit;
    }
    *p = s;
    *out = n;
    return NULL;
}

/* Clauses 9 and 10. Numbers without leading zeros are demanded of pre-releases only. */
static const char *scan_identifiers(const char **p, bool pre)
{
    const char *s = *p;

    do {
        const char *from = s + 1;
        bool number = true;

        for (s = from; is_identifier(*s); s++)
            number = number && is_digit(*s);
        if (s == from)
            return pre ? "an identifier of the pre-release is empty"
                       : "an identifier of the build is empty";
        if (pre && number && *from == '0' && s - from > 1)
            return "a number in the pre-release begins with 0";
    } while (*s == '.');
    *p = s;
    return NULL;
}

const char *semver_scan_suffix(const char **p, char *pre)
{
    const char *wrong = NULL;

    *pre = '\0';
    if (**p == '-') {
        const char *from = *p + 1;
        size_t len;

        wrong = scan_identifiers(p, true);
        if (wrong)
            return wrong;
        len = (size_t)(*p - from);
        if (len > SEMVER_MAX_LEN) /* of a version it is not, but of a range it may be */
            return "a pre-release is longer than 255 bytes";
        memcpy(pre, from, len);
        pre[len] = '\0';
    }
    if (**p == '+')
        wrong = scan_identifiers(p, false);
    return wrong;
}

static const char *scan(const char *s, semver *out)
{
    uint64_t *numbers[] = {&out->major, &out->minor, &out->patch};
    const char *wrong;

    if (strnlen(s, SEMVER_MAX_LEN + 1) > SEMVER_MAX_LEN)
        return "it is longer than 255 bytes";
    if ((*s == 'v' || *s == 'V') && is_digit(s[1]))
        return "leave out the 'v'";
    for (int i = 0; i < 3; i++) {
        if (i && *s++ != '.')
            return "it takes three numbers, MAJOR.MINOR.PATCH";
        wrong = semver_scan_number(&s, numbers[i]);
        if (wrong)
            return wrong;
    }
    wrong = semver_scan_suffix(&s, out->pre);
    if (!wrong && *s)
        wrong = "after MAJOR.MINOR.PATCH come only -pre-release and +build, of letters, digits, "
                "'-' and '.'";
    return wrong;
}

int32_t semver_parse(const char *text, semver *out, orch_error **err)
{
    semver parsed;
    const char *wrong = scan(text, &parsed);

    if (wrong)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, text, "'%.*s' is not a semantic version: %s",
                         WORDING(text), wrong);
    *out = parsed;
    return 0;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Clause 11.4, one identifier. Numbers have no leading zeros, so the longer one is the larger:
 * no limit on their size. */
static int compare_identifiers(const char *a, size_t a_len, const char *b, size_t b_len)
{
    bool a_number = strspn(a, "0123456789") >= a_len, b_number = strspn(b, "0123456789") >= b_len;
    int order;

    if (a_number != b_number)
        return a_number ? -1 : 1;
    if (a_number && a_len != b_len)
        return a_len < b_len ? -1 : 1;
    order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_pre(const char *a, const char *b)
{
    if (!*a || !*b)
        return (*b != '\0') - (*a != '\0');
    for (;;) {
        size_t a_len = strcspn(a, "."), b_len = strcspn(b, ".");
        int order = compare_identifiers(a, a_len, b, b_len);

        if (order)
            return order;
        if (!a[a_len] || !b[b_len])
            return (a[a_len] != '\0') - (b[b_len] != '\0');
        a += a_len + 1;
        b += b_len + 1;
    }
}

int semver_compare(const semver *a, const semver *b)
{
    int order = compare_numbers(a->major, b->major);

    if (!order)
        order = compare_numbers(a->minor, b->minor);
    if (!order)
        order = compare_numbers(a->patch, b->patch);
    return order ? order : compare_pre(a->pre, b->pre);
}
