/* Semantic versions by the rules and with the lists of semver.org 2.0.0, and ranges by those of
 * node-semver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above before it. */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "workflow/semver.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* The list of the regular expression that semver.org recommends,
 * https://regex101.com/r/vkijKf/1/ */
static const char *const valid[] = {
    "0.0.4",
    "1.2.3",
    "10.20.30",
    "1.1.2-prerelease+meta",
    "1.1.2+meta",
    "1.1.2+meta-valid",
    "1.0.0-alpha",
    "1.0.0-beta",
    "1.0.0-alpha.beta",
    "1.0.0-alpha.beta.1",
    "1.0.0-alpha.1",
    "1.0.0-alpha0.valid",
    "1.0.0-alpha.0valid",
    "1.0.0-alpha-a.b-c-somethinglong+build.1-aef.1-its-okay",
    "1.0.0-rc.1+build.1",
    "2.0.0-rc.1+build.123",
    "1.2.3-beta",
    "10.2.3-DEV-SNAPSHOT",
    "1.2.3-SNAPSHOT-123",
    "1.0.0",
    "2.0.0",
    "1.1.7",
    "2.0.0+build.1848",
    "2.0.1-alpha.1227",
    "1.0.0-alpha+beta",
    "1.2.3----RC-SNAPSHOT.12.9.1--.12+788",
    "1.2.3----R-S.12.9.1--.12+meta",
    "1.2.3----RC-SNAPSHOT.12.9.1--.12",
    "1.0.0+0.build.1-rc.10000aaa-kk-0.1",
    "1.0.0-0A.is.legal",
    /* Ours: the largest number, and a number in a pre-release that is larger than any type. */
    "18446744073709551615.0.0",
    "1.0.0-99999999999999999999999",
};

static const char *const invalid[] = {
    "1",
    "1.2",
    "1.2.3-0123",
    "1.2.3-0123.0123",
    "1.1.2+.123",
    "+invalid",
    "-invalid",
    "-invalid+invalid",
    "-invalid.01",
    "alpha",
    "alpha.beta",
    "alpha.beta.1",
    "alpha.1",
    "alpha+beta",
    "alpha_beta",
    "alpha.",
    "alpha..",
    "beta",
    "1.0.0-alpha_beta",
    "-alpha.",
    "1.0.0-alpha..",
    "1.0.0-alpha..1",
    "1.0.0-alpha...1",
    "1.0.0-alpha....1",
    "1.0.0-alpha.....1",
    "1.0.0-alpha......1",
    "1.0.0-alpha.......1",
    "01.1.1",
    "1.01.1",
    "1.1.01",
    "1.2.3.DEV",
    "1.2-SNAPSHOT",
    "1.2.31.2.3----RC-SNAPSHOT.12.09.1--..12+788",
    "1.2-RC-SNAPSHOT",
    "-1.0.3-gamma+b7718",
    "+justmeta",
    "9.8.7+meta+meta",
    "9.8.7-whatever+meta+meta",
    ("99999999999999999999999.999999999999999999.99999999999999999----RC-SNAPSHOT.12.09.1--------"
     "------------------------..12"),
    /* Ours. The first stands among the valid ones there: it does not fit 64 bits, which is an
     * error here. */
    "99999999999999999999999.999999999999999999.99999999999999999",
    "18446744073709551616.0.0",
    "",
    " 1.2.3",
    "1.2.3 ",
    "v1.2.3",
    "1.2.3-",
    "1.2.3+",
    "1.2.3-a+",
    "1.2.3\xc3\xa9",
    "1..2",
};

/* Clause 11, and its consequences; each is lower than the next. */
static const char *const chain[] = {
    "0.0.0-0",
    "0.0.0",
    "0.0.1",
    "0.9.99999999999",
    "1.0.0-0.0",
    "1.0.0-99999999999999999999",
    "1.0.0--1",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-beta.99999999999999999998",
    "1.0.0-beta.99999999999999999999",
    "1.0.0-beta.100000000000000000000",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0",
    "2.1.0",
    "2.1.1",
    "18446744073709551615.0.0",
};

static semver parsed(const char *text)
{
    semver v;
    orch_error *err = NULL;

    if (semver_parse(text, &v, &err))
        fail_msg("%s: %s", text, orch_error_message(err));
    return v;
}

static void test_official_valid_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid); i++)
        parsed(valid[i]);
}

static void test_official_invalid_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(invalid); i++) {
        semver v = {.major = 77};
        orch_error *err = NULL;

        if (semver_parse(invalid[i], &v, &err) != ORCH_E_INVALID_ARGUMENT)
            fail_msg("'%s' passed", invalid[i]);
        assert_int_equal(v.major, 77);
        assert_non_null(strstr(orch_error_message(err), "is not a semantic version: "));
        orch_error_free(err);
    }
}

static void test_parts(void **state)
{
    semver v = parsed("1.20.300-rc.1+build.5");

    (void)state;
    assert_int_equal(v.major, 1);
    assert_int_equal(v.minor, 20);
    assert_int_equal(v.patch, 300);
    assert_string_equal(v.pre, "rc.1");
    assert_string_equal(parsed("1.0.0+build").pre, "");
}

static void test_messages_say_why(void **state)
{
    static const char *const cases[][2] = {
        {"1.2", "it takes three numbers, MAJOR.MINOR.PATCH"},
        {"v1.2.3", "leave out the 'v'"},
        {"1.02.3", "a number begins with 0"},
        {"1.2.3-01", "a number in the pre-release begins with 0"},
        {"1.2.3-a..b", "an identifier of the pre-release is empty"},
        {"1.2.3+", "an identifier of the build is empty"},
        {"18446744073709551616.0.0", "a number is larger than 18446744073709551615"},
        {"latest", "a number of MAJOR.MINOR.PATCH is missing"},
        {"1.2.3_4",
         "after MAJOR.MINOR.PATCH come only -pre-release and +build, of letters, digits, "
         "'-' and '.'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        orch_error *err = NULL;
        char expected[256];
        semver v;

        snprintf(expected, sizeof expected, "'%s' is not a semantic version: %s", cases[i][0],
                 cases[i][1]);
        assert_int_equal(semver_parse(cases[i][0], &v, &err), ORCH_E_INVALID_ARGUMENT);
        assert_string_equal(orch_error_message(err), expected);
        orch_error_free(err);
    }
}

static void test_length(void **state)
{
    char text[SEMVER_MAX_LEN + 2];
    semver v;

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "1.2.3-", 6);
    text[SEMVER_MAX_LEN] = '\0';
    assert_int_equal(semver_parse(text, &v, NULL), 0);
    assert_int_equal(strlen(v.pre), SEMVER_MAX_LEN - 6);
    text[SEMVER_MAX_LEN] = 'a';
    text[SEMVER_MAX_LEN + 1] = '\0';
    assert_int_equal(semver_parse(text, &v, NULL), ORCH_E_INVALID_ARGUMENT);
}

static void test_precedence(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(chain); i++)
        for (size_t j = 0; j < COUNT(chain); j++) {
            semver a = parsed(chain[i]), b = parsed(chain[j]);
            int order = semver_compare(&a, &b);

            if ((order > 0) - (order < 0) != (i > j) - (i < j))
                fail_msg("%s against %s: %d", chain[i], chain[j], order);
        }
}

static void test_build_metadata_takes_no_part(void **state)
{
    semver a = parsed("1.0.0+a"), b = parsed("1.0.0+b"), c = parsed("1.0.0-x+a"),
           d = parsed("1.0.0-x");

    (void)state;
    assert_int_equal(semver_compare(&a, &b), 0);
    assert_int_equal(semver_compare(&c, &d), 0);
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

static const struct {
    const char *range, *version;
    bool in;
} ranges[] = {
    /* Exact. */
    {"1.2.3", "1.2.3", true},
    {"=1.2.3", "1.2.3", true},
    {"= 1.2.3", "1.2.3", true},
    {"1.2.3", "1.2.4", false},
    {"1.2.3", "1.2.3+build", true},
    {"1.2.3+build", "1.2.3", true},
    {"1.2.3-beta", "1.2.3-beta", true},
    {"1.2.3-beta", "1.2.3", false},
    /* Everything, and parts that are left open. */
    {"*", "0.0.0", true},
    {"*", "99.0.0", true},
    {"x", "1.2.3", true},
    {"*", "1.2.3-beta", false},
    {"1", "1.0.0", true},
    {"1", "1.9.9", true},
    {"1", "2.0.0", false},
    {"1", "0.9.9", false},
    {"1.x", "1.2.3", true},
    {"1.X.x", "1.2.3", true},
    {"1.2", "1.2.9", true},
    {"1.2", "1.3.0", false},
    {"1.2.x", "1.2.3", true},
    {"1.2.*", "1.3.3", false},
    {"0", "0.9.9", true},
    {"0", "1.0.0", false},
    {"1", "2.0.0-0", false},
    /* Caret. */
    {"^1.2.3", "1.2.3", true},
    {"^1.2.3", "1.8.1", true},
    {"^1.2.3", "1.2.2", false},
    {"^1.2.3", "2.0.0", false},
    {"^1.2.3", "2.0.0-alpha", false},
    {"^0.1.2", "0.1.2", true},
    {"^0.1.2", "0.1.9", true},
    {"^0.1.2", "0.2.0", false},
    {"^0.0.1", "0.0.1", true},
    {"^0.0.1", "0.0.2", false},
    {"^0.0.0", "0.0.0", true},
    {"^0.0.0", "0.0.1", false},
    {"^0.1", "0.1.2", true},
    {"^0.1", "0.2.0", false},
    {"^0.0", "0.0.9", true},
    {"^0.0", "0.1.0", false},
    {"^0", "0.9.9", true},
    {"^0", "1.0.0", false},
    {"^1", "1.9.9", true},
    {"^1", "2.0.0", false},
    {"^1.2", "1.4.2", true},
    {"^1.2", "1.1.9", false},
    {"^1.x", "1.4.2", true},
    {"^*", "3.4.5", true},
    {"^1.2.3-alpha", "1.2.3-pre", true},
    {"^1.2.3-alpha", "1.2.3-alp", false},
    {"^1.2.3-alpha", "1.2.4-alpha", false},
    {"^1.2.3-alpha", "1.2.4", true},
    {"^1.2.0-alpha", "1.2.0-pre", true},
    {"^0.0.1-beta", "0.0.1-gamma", true},
    {"^0.0.1-beta", "0.0.1", true},
    {"^0.0.1-beta", "0.0.2", false},
    /* Tilde. */
    {"~1", "1.9.9", true},
    {"~1", "2.0.0", false},
    {"~1.2", "1.2.9", true},
    {"~1.2", "1.3.0", false},
    {"~1.2.3", "1.2.9", true},
    {"~1.2.3", "1.2.2", false},
    {"~1.2.3", "1.3.0", false},
    {"~ 1.2.3", "1.2.4", true},
    {"~0.0.1", "0.0.9", true},
    {"~0.0.1", "0.1.0-alpha", false},
    {"~1.2.1-pre", "1.2.1-pre.2", true},
    {"~1.2.1-pre", "1.2.2-pre", false},
    /* Comparisons. */
    {">=1.0.0", "1.0.0", true},
    {">=1.0.0", "0.9.9", false},
    {">= 1.0.0", "1.1.0", true},
    {">1.0.0", "1.0.0", false},
    {">1.0.0", "1.0.1", true},
    {"<2.0.0", "1.9.9", true},
    {"<2.0.0", "2.0.0", false},
    {"<=2.0.0", "2.0.0", true},
    {"<=2.0.0", "2.0.1", false},
    {">1", "1.9.9", false},
    {">1", "2.0.0", true},
    {">1.2", "1.2.9", false},
    {">1.2", "1.3.0", true},
    {">=1.2", "1.2.0", true},
    {"<1.2", "1.1.9", true},
    {"<1.2", "1.2.0", false},
    {"<=1.2", "1.2.9", true},
    {"<=1.2", "1.3.0", false},
    {"<2.0.0", "2.0.0-alpha", false},
    {"<2.0.0-beta", "2.0.0-alpha", true},
    {"<2.0.0-beta", "1.0.0-alpha", false},
    {">=1.0.0-rc.1", "1.0.0-rc.2", true},
    {">=1.0.0-rc.1", "1.0.1-rc.2", false},
    {">=1.0.0-rc.1", "1.0.0", true},
    /* All of an alternative, one of the alternatives. */
    {">=1.2.0 <1.5.0", "1.4.9", true},
    {">=1.2.0 <1.5.0", "1.5.0", false},
    {"  >=1.2.0   <1.5.0  ", "1.2.0", true},
    {"1.2.3 || 2.x", "2.7.0", true},
    {"1.2.3||2.x", "1.2.3", true},
    {"1.2.3 || 2.x", "1.2.4", false},
    {">=1.0.0-a <1.0.0 || 3", "1.0.0-b", true},
    {">=1.0.0-a || 3", "3.0.0-b", false},
    {"^1.0.0 >=1.2.0", "1.1.0", false},
    {"<1.0.0 || >=2.0.0", "1.5.0", false},
    /* The end of the numbers. */
    {"^18446744073709551615.0.0", "18446744073709551615.9.0", true},
    {">18446744073709551615", "18446744073709551615.9.0", false},
    {"1.2.18446744073709551615", "1.2.18446744073709551615", true},
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ranges); i++) {
        semver v = parsed(ranges[i].version);
        semver_range *r = NULL;
        orch_error *err = NULL;

        if (semver_range_parse(ranges[i].range, &r, &err))
            fail_msg("%s: %s", ranges[i].range, orch_error_message(err));
        if (semver_range_has(r, &v) != ranges[i].in)
            fail_msg("'%s' and %s: not %d", ranges[i].range, ranges[i].version, ranges[i].in);
        semver_range_free(r);
    }
}

static void test_bad_ranges(void **state)
{
    static const char *const cases[][2] = {
        {"", "an alternative is empty; * stands for every version"},
        {"  ", "an alternative is empty; * stands for every version"},
        {"||", "an alternative is empty; * stands for every version"},
        {"1.2.3 ||", "an alternative is empty; * stands for every version"},
        {"|| 1", "an alternative is empty; * stands for every version"},
        {"1 | 2", "a number of MAJOR.MINOR.PATCH is missing"},
        {"^", "a number of MAJOR.MINOR.PATCH is missing"},
        {">", "a number of MAJOR.MINOR.PATCH is missing"},
        {"1.2.3.4", "comparators are joined by spaces, alternatives by ||"},
        {"1.2.3,2", "comparators are joined by spaces, alternatives by ||"},
        {"1.0 - 2.0", "a number of MAJOR.MINOR.PATCH is missing"},
        {"~>1.2", "a number of MAJOR.MINOR.PATCH is missing"},
        {"1.x.3", "a number stands behind an x"},
        {"1.2-beta", "a pre-release or build needs all three numbers"},
        {"01", "a number begins with 0"},
        {"1.2.3-", "an identifier of the pre-release is empty"},
        {">*", "< and > need a version"},
        {"<x", "< and > need a version"},
        {"latest", "a number of MAJOR.MINOR.PATCH is missing"},
        {"^18446744073709551616", "a number is larger than 18446744073709551615"},
    };
    char text[1026];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        semver_range *r = NULL;
        orch_error *err = NULL;
        char expected[256];

        snprintf(expected, sizeof expected, "'%s' is not a range of versions: %s (", cases[i][0],
                 cases[i][1]);
        if (!semver_range_parse(cases[i][0], &r, &err))
            fail_msg("'%s' passed", cases[i][0]);
        assert_null(r);
        if (strncmp(orch_error_message(err), expected, strlen(expected)) != 0)
            fail_msg("%s\nexpected %s", orch_error_message(err), expected);
        orch_error_free(err);
    }
    memset(text, ' ', sizeof text);
    text[1025] = '\0';
    assert_int_equal(semver_range_parse(text, &(semver_range *){NULL}, NULL),
                     ORCH_E_INVALID_ARGUMENT);
}

/* Found by a fuzzer. A range may be longer than a version, but none of its pre-releases. */
static void test_long_pre_releases(void **state)
{
    char text[600] = ">=1.0.0-";
    semver_range *r = NULL;
    orch_error *err = NULL;

    (void)state;
    memset(text + strlen(text), 'a', 255);
    assert_int_equal(semver_range_parse(text, &r, NULL), 0);
    semver_range_free(r);
    text[strlen(text)] = 'a';
    assert_int_equal(semver_range_parse(text, &r, &err), ORCH_E_INVALID_ARGUMENT);
    assert_non_null(strstr(orch_error_message(err), "a pre-release is longer than 255 bytes"));
    orch_error_free(err);
}

static void test_no_memory(void **state)
{
    static const char text[] = "1 || 2 || 3 || 4 || 5 || 6 || 7 || 8 || 9";
    long n = 0;
    int32_t rc;

    (void)state;
    do {
        semver_range *r = NULL;
        orch_error *err = NULL;

        mem_fail_at(++n, 0);
        rc = semver_range_parse(text, &r, &err);
        mem_fail_at(0, 0);
        assert_true(rc == 0 || rc == ORCH_E_RESOURCE_EXHAUSTED);
        semver_range_free(r);
        orch_error_free(err);
    } while (rc);
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_official_valid_list),
        cmocka_unit_test(test_official_invalid_list),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_messages_say_why),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_build_metadata_takes_no_part),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_bad_ranges),
        cmocka_unit_test(test_long_pre_releases),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
