/* YAML as definitions use it: the core schema, anchors, what is refused and where, and twins of
 * JSON documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above before it. */
#include <cmocka.h>

#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "support/file.h"
#include "support/skip.h"
#include "workflow/definition.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define SAMPLES  "tests/data/definitions/"

/* ---- Helpers --------------------------------------------------------------------------------- */

static void assert_json(const char *yaml, const char *json)
{
    json_t *tree = NULL;
    orch_error *err = NULL;
    bytes *text;

    if (yaml_to_json(yaml, strlen(yaml), NULL, &tree, &err))
        fail_msg("%s\n%s", yaml, orch_error_message(err));
    text = canonical_json(tree);
    assert_string_equal(text->data, json);
    bytes_unref(text);
    json_decref(tree);
}

static void assert_refused_within(const char *yaml, size_t len, const definition_limits *l,
                                  const char *place, const char *wrong)
{
    json_t *tree = NULL;
    orch_error *err = NULL;
    char expected[512];

    snprintf(expected, sizeof expected, "%s: %s", place, wrong);
    if (yaml_to_json(yaml, len, l, &tree, &err) != ORCH_E_INVALID_ARGUMENT)
        fail_msg("not refused: %s", yaml);
    assert_null(tree);
    assert_string_equal(orch_error_about(err), place);
    assert_string_equal(orch_error_message(err), expected);
    orch_error_free(err);
    assert_int_equal(yaml_to_json(yaml, len, l, &tree, NULL), ORCH_E_INVALID_ARGUMENT);
}

static void assert_refused(const char *yaml, const char *place, const char *wrong)
{
    assert_refused_within(yaml, strlen(yaml), NULL, place, wrong);
}

/* ---- Scalars --------------------------------------------------------------------------------- */

static void test_core_schema(void **state)
{
    static const char *const cases[][2] = {
        {"null", "null"},
        {"Null", "null"},
        {"NULL", "null"},
        {"~", "null"},
        {"nULL", "\"nULL\""},
        {"true", "true"},
        {"True", "true"},
        {"TRUE", "true"},
        {"tRue", "\"tRue\""},
        {"false", "false"},
        {"False", "false"},
        {"FALSE", "false"},
        {"yes", "\"yes\""},
        {"No", "\"No\""},
        {"on", "\"on\""},
        {"off", "\"off\""},
        {"y", "\"y\""},
        {"0", "0"},
        {"-0", "0"},
        {"+12", "12"},
        {"-12", "-12"},
        {"007", "7"},
        {"0777", "777"},
        {"0o17", "15"},
        {"0o18", "\"0o18\""},
        {"0x1f", "31"},
        {"0xFF", "255"},
        {"0xG", "\"0xG\""},
        {"-0x1", "\"-0x1\""},
        {"0b11", "\"0b11\""},
        {"1_000", "\"1_000\""},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"0x7fffffffffffffff", "9223372036854775807"},
        {"0o777777777777777777777", "9223372036854775807"},
        {"1.5", "1.5"},
        {"+1.5", "1.5"},
        {"-.5", "-0.5"},
        {"1.", "1.0"},
        {".5e1", "5.0"},
        {"1e3", "1000.0"},
        {"1E+3", "1000.0"},
        {"1e-3", "0.001"},
        {"00012.50", "12.5"},
        {"1e", "\"1e\""},
        {"1e+", "\"1e+\""},
        {".", "\".\""},
        {"-", "[null]"}, /* a list of nothing */
        {"+", "\"+\""},
        {"..5", "\"..5\""},
        {"1.2.3", "\"1.2.3\""},
        {"12:30", "\"12:30\""},
        {"2001-12-14", "\"2001-12-14\""},
        {"2001-12-14t21:59:43.10-05:00", "\"2001-12-14t21:59:43.10-05:00\""},
        {"1e-9999", "0.0"},
        {"=", "\"=\""},
        {"'12'", "\"12\""},
        {"\"12\"", "\"12\""},
        {"|\n 12", "\"12\""},
        {">\n 12", "\"12\""},
        {"!!str 12", "\"12\""},
        {"!!str", "\"\""},
        {"!!int \"12\"", "12"},
        {"!!float 12", "12.0"},
        {"!!float '-1.5'", "-1.5"},
        {"!!bool 'true'", "true"},
        {"!!null ''", "null"},
        {"!!seq [1]", "[1]"},
        {"!!map {a: 1}", "{\"a\":1}"},
        {"!<tag:yaml.org,2002:str> 1", "\"1\""},
        {"", "null"},
        {"\"\\0\\x41\\u00e9\\U0001F600\\n\"", "\"\\u0000A\xc3\xa9\xf0\x9f\x98\x80\\n\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char yaml[128], json[128];

        snprintf(yaml, sizeof yaml, "key: %s%s",
                 cases[i][0][0] == '-' && !cases[i][0][1] ? "\n " : "", cases[i][0]);
        snprintf(json, sizeof json, "{\"key\":%s}", cases[i][1]);
        assert_json(yaml, json);
    }
}

static void test_keys_are_texts(void **state)
{
    (void)state;
    assert_json(
        "1: a\ntrue: b\n~: c\n'': d\n\"e\\nf\": e\n2.50: f",
        "{\"\":\"d\",\"1\":\"a\",\"2.50\":\"f\",\"e\\nf\":\"e\",\"true\":\"b\",\"~\":\"c\"}");
    assert_json("'<<': 1", "{\"<<\":1}");
    assert_json("{}", "{}");
    assert_json("%YAML 1.2\n---\na: [1, {b: 2}]\n...\n", "{\"a\":[1,{\"b\":2}]}");
}

static void test_bad_scalars(void **state)
{
    static const char beyond[] = "is a number that JSON does not have";
    static const char large[] = "is an integer of more than 64 bits";
    static const struct {
        const char *text, *shown, *wrong;
    } cases[] = {
        {".inf", ".inf", beyond},
        {"-.INF", "-.INF", beyond},
        {"+.Inf", "+.Inf", beyond},
        {".NaN", ".NaN", beyond},
        {"9223372036854775808", "9223372036854775808", large},
        {"-9223372036854775809", "-9223372036854775809", large},
        {"0x8000000000000000", "0x8000000000000000", large},
        {"99999999999999999999999", "99999999999999999999999", large},
        {"1e999", "1e999", "is a number out of range"},
        {"!!int x", "x", "is tagged !!int and is no integer"},
        {"!!int 1.5", "1.5", "is tagged !!int and is no integer"},
        {"!!float x", "x", "is tagged !!float and is no number"},
        {"!!float ''", "", "is tagged !!float and is no number"},
        {"!!bool yes", "yes", "is tagged !!bool and is neither true nor false"},
        {"!!null x", "x", "is tagged !!null and is not null"},
        {"!!binary aGk=", "aGk=",
         "has a tag that no scalar can have; allowed are !!str, !!int, !!float, !!bool and !!null"},
        {"!mine x", "x",
         "has a tag of its own; allowed are !!str, !!int, !!float, !!bool, !!null, !!seq and "
         "!!map"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char yaml[128], wrong[256];

        snprintf(yaml, sizeof yaml, "a: 1\nkey: %s", cases[i].text);
        snprintf(wrong, sizeof wrong, "%s%s%s%s", *cases[i].shown ? "'" : "", cases[i].shown,
                 *cases[i].shown ? "' " : "", cases[i].wrong);
        assert_refused(yaml, "line 2 column 6", wrong);
    }
}

/* ---- Structure ------------------------------------------------------------------------------- */

static void test_refused_with_line_and_column(void **state)
{
    static const char *const cases[][3] = {
        {"a: 1\nb: 2\na: 3", "line 3 column 1", "'a' stands twice in this mapping"},
        {"x: {a: 1, \"a\": 2}", "line 1 column 11", "'a' stands twice in this mapping"},
        {"? [a]\n: 1", "line 1 column 3", "a key must be a plain or a quoted string"},
        {"x: &a b\n*a : 1", "line 2 column 1", "a key must be a plain or a quoted string"},
        {"a: 1\n<<: {b: 2}", "line 2 column 1",
         "'<<' merges mappings, which YAML 1.2 does not have; use an alias as a value"},
        {"\"a\\0\": 1", "line 1 column 1", "'a' is a key with the character U+0000 in it"},
        {"a: !!omap [b: 1]", "line 1 column 4",
         "'tag:yaml.org,2002:omap' is no tag of a list or mapping here"},
        {"a: !!set {b}", "line 1 column 4",
         "'tag:yaml.org,2002:set' is no tag of a list or mapping here"},
        {"a: 1\n---\nb: 2", "line 2 column 1", "a second document begins; only one is allowed"},
        {"# nothing", "line 2 column 1", "there is nothing in the document"},
        {"a: [1,\nb: 2", "line 3 column 1",
         "did not find expected ',' or ']', while parsing a flow sequence"},
        {"a: \"b", "line 1 column 6",
         "found unexpected end of stream, while scanning a quoted scalar"},
        {"a:\n  - b\n c", "line 3 column 2",
         "did not find expected key, while parsing a block mapping"},
        {"a: b: c", "line 1 column 5", "mapping values are not allowed in this context"},
        {"a:\n\t- b", "line 2 column 1",
         "found character that cannot start any token, while scanning for the next token"},
        {"a: @b", "line 1 column 4",
         "found character that cannot start any token, while scanning for the next token"},
        {"a: 1\nb: \xff", "line 2 column 4", "invalid leading UTF-8 octet"},
        {"a: \"\xc3\xa9\"\n\xc3\xa9: \xc3", "line 2 column 4", "incomplete UTF-8 octet sequence"},
        {"a: \x01", "line 1 column 4", "control characters are not allowed"},
        {"a: \"\\ud800\"", "line 1 column 7",
         "found invalid Unicode character escape code, while parsing a quoted scalar"},
        {"a: *b", "line 1 column 4", "'b' is an alias of no anchor before it"},
        {"a: &b [1, {c: *b}]", "line 1 column 15", "'b' is an alias inside its own anchor"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i][0], cases[i][1], cases[i][2]);
}

static void test_anchors(void **state)
{
    (void)state;
    assert_json("a: &x {b: &y [1, 2]}\nc: *x\nd: [*y, *y]\ne: &y 3\nf: *y\ng: [&z 4, *z, &z 5, *z]",
                "{\"a\":{\"b\":[1,2]},\"c\":{\"b\":[1,2]},\"d\":[[1,2],[1,2]],\"e\":3,\"f\":3,"
                "\"g\":[4,4,5,5]}");
}

static void test_many_anchors(void **state)
{
    buf yaml = BUF_INIT;
    json_t *tree = NULL;
    char name[160];

    (void)state;
    for (int i = 0; i < 5000; i++)
        buf_printf(&yaml, "a%d: &n%d %d\nb%d: *n%d\n", i, i, i, i, i / 2);
    assert_int_equal(yaml_to_json(yaml.data, yaml.len, NULL, &tree, NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(tree, "b4999")), 2499);
    json_decref(tree);
    buf_clear(&yaml);
    memset(name, 'n', sizeof name);
    buf_printf(&yaml, "a: &%.128s 1\nb: *%.128s", name, name);
    assert_int_equal(yaml_to_json(yaml.data, yaml.len, NULL, &tree, NULL), 0);
    json_decref(tree);
    buf_clear(&yaml);
    buf_printf(&yaml, "a: &%.129s 1", name);
    assert_int_equal(yaml_to_json(yaml.data, yaml.len, NULL, &tree, NULL), ORCH_E_INVALID_ARGUMENT);
    buf_free(&yaml);
}

/* "A billion laughs": small in memory, since values are shared, but whoever walks it walks for
 * ever. */
static void test_expansion_is_bounded(void **state)
{
    buf yaml = BUF_INIT;
    json_t *tree = NULL;
    orch_error *err = NULL;

    (void)state;
    buf_puts(&yaml, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (int i = 1; i < 20; i++) {
        buf_printf(&yaml, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            buf_printf(&yaml, "%s*a%d", j ? ", " : "", i - 1);
        buf_puts(&yaml, "]\n");
    }
    assert_int_equal(yaml_to_json(yaml.data, yaml.len, NULL, &tree, &err), ORCH_E_INVALID_ARGUMENT);
    assert_non_null(strstr(orch_error_message(err),
                           "with its aliases replaced the document is larger than allowed"));
    orch_error_free(err);
    buf_free(&yaml);
}

static void test_nesting_is_bounded(void **state)
{
    static const char wrong[] = "lists and mappings are nested deeper than allowed";
    definition_limits l = {.max_nesting = 3};
    char deep[4000];
    json_t *tree = NULL;

    (void)state;
    assert_int_equal(yaml_to_json("a: [[1]]", 8, &l, &tree, NULL), 0);
    json_decref(tree);
    tree = NULL;
    assert_refused_within("a: [[[1]]]", 10, &l, "line 1 column 6", wrong);
    assert_refused_within("a: [[{}]]", 9, &l, "line 1 column 6", wrong);
    assert_refused_within("a: &x [1]\nb: [[*x]]", 19, &l, "line 2 column 6",
                          "'x' is an alias that nests lists and mappings deeper than allowed");
    memset(deep, '[', sizeof deep);
    assert_refused_within(deep, sizeof deep, NULL, "line 1 column 65", wrong);
    l.max_nesting = UINT32_MAX; /* there is an end all the same */
    assert_int_equal(yaml_to_json(deep, sizeof deep, &l, &tree, NULL), ORCH_E_INVALID_ARGUMENT);
    for (size_t i = 0; i + 1 < sizeof deep; i += 2)
        memcpy(deep + i, "- ", 2);
    assert_int_equal(yaml_to_json(deep, sizeof deep, &l, &tree, NULL), ORCH_E_INVALID_ARGUMENT);
}

/* ---- Definitions ----------------------------------------------------------------------------- */

static void test_twins(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob(SAMPLES "*.yaml", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char json_path[256];
        digest digests[2];

        snprintf(json_path, sizeof json_path, "%.*s.json", (int)strlen(found.gl_pathv[i]) - 5,
                 found.gl_pathv[i]);
        for (int k = 0; k < 2; k++) {
            size_t len;
            char *text = file_text(k ? json_path : found.gl_pathv[i], &len);
            definition *d = NULL;
            orch_error *err = NULL;

            if (definition_parse(text, len, NULL, &d, &err))
                fail_msg("%s: %s", found.gl_pathv[i], orch_error_message(err));
            digests[k] = d->digest;
            definition_unref(d);
            free(text);
        }
        assert_memory_equal(&digests[0], &digests[1], sizeof *digests);
    }
    assert_in_range(found.gl_pathc, 7, 1000);
    globfree(&found);
}

static void test_definition_errors_carry_the_line(void **state)
{
    static const char *const cases[][2] = {
        {"id: w\nversion: 1.0.0\nsteps:\n  - id: a\n    executor: noop\n    depends_on:\n      - "
         "b\n",
         "/steps/0/depends_on/0: step 'a': there is no step 'b' (line 7 column 9)"},
        {"id: w\nversion: 1.0.0\nsteps:\n  - id: a\n    executor: noop\n    a/b~c: 1\n",
         "/steps/0/a~1b~0c: step 'a': 'a/b~c' is no key of a step; allowed are: id, executor, "
         "with, depends_on, "
         "when, for_each, max_parallel, retry, timeout, heartbeat_timeout, run_if, "
         "continue_on_failure, compensate, checkpoint, description (line 6 column 5)"},
        {"id: w\nversion: 1.0\nsteps: []\n", "/version: must be a semantic version in quotes, such "
                                             "as \"1.2.0\", not a real number (line 2 column 1)"},
        {"id: w\nsteps:\n- {id: a, executor: noop}\n",
         "/version: 'version' is missing; a definition must have it (line 1 column 1)"},
        {"id: w\nversion: 1.0.0\nsteps:\n- {id: a, executor: noop}\n- {id: b,\n   executor: lua}\n",
         "/steps/1/with: step 'b': 'with' is missing; executor lua needs it (line 5 column 3)"},
        {"id: w\nversion: 1.0.0\nsteps:\n- {id: a, executor: x, with: &w [1, \"${item}\"]}\n- {id: "
         "b, executor: x, with: *w}\n",
         "/steps/0/with/1: step 'a': uses 'item', which only a step with for_each has (line 4 "
         "column 37)"},
        {"version: 1.0.0\nsteps:\n- {id: a, executor: x, retry: {backoff: &b 0}}\n- &s {id: b, "
         "executor: x}\n- *s\nid: w\n",
         "/steps/0/retry/backoff: step 'a': is out of range; allowed are 1 to 100 (line 3 column "
         "32)"},
        {"id: w\nversion: 1.0.0\nsteps:\n- &s {id: b, executor: x}\n- *s\n",
         "/steps/1/id: 'b' is the id of two steps; the first is /steps/0 (line 5 column 3)"},
        {"- a\n- b\n", "must be a definition: an object with id, version and steps, not a list "
                       "(line 1 column 1)"},
        {"just text", "must be a definition: an object with id, version and steps, not a string "
                      "(line 1 column 1)"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        definition *d = NULL;
        orch_error *err = NULL;

        assert_int_equal(definition_parse(cases[i][0], strlen(cases[i][0]), NULL, &d, &err),
                         ORCH_E_INVALID_ARGUMENT);
        assert_string_equal(orch_error_message(err), cases[i][1]);
        orch_error_free(err);
    }
}

/* ---- Harm ------------------------------------------------------------------------------------ */

static void try_text(const char *text, size_t len)
{
    char *exact = malloc(len ? len : 1); /* so that a byte read too far is seen */
    definition *d = NULL;
    orch_error *err = NULL;
    int32_t rc;

    memcpy(exact, text, len);
    rc = definition_parse(exact, len, NULL, &d, &err);
    assert_true(rc == 0 || rc == ORCH_E_INVALID_ARGUMENT);
    assert_true((rc == 0) == (d != NULL) && (rc != 0) == (err != NULL));
    definition_unref(d);
    orch_error_free(err);
    free(exact);
}

static void test_cut_and_changed_at_every_byte(void **state)
{
    static const char *const names[] = {"aliases.yaml", "texts.yaml", "order-fulfilment.yaml",
                                        "shapes.yaml"};

    (void)state;
    for (size_t k = 0; k < COUNT(names); k++) {
        char path[256];
        size_t len;
        char *text;

        snprintf(path, sizeof path, SAMPLES "%s", names[k]);
        text = file_text(path, &len);
        for (size_t i = 0; i < len; i++) {
            char kept = text[i];

            try_text(text, i);
            text[i] = "\"&*!:[{ \n\t#|\xff"[i % 13];
            try_text(text, len);
            text[i] = kept;
        }
        free(text);
    }
}

static void test_no_memory(void **state)
{
    size_t len;
    char *text = file_text(SAMPLES "aliases.yaml", &len);
    long n = 0, asked_for;

    (void)state;
    json_set_alloc_funcs(mem_alloc, mem_free);
    do {
        json_t *tree = NULL;
        orch_error *err = NULL;
        int32_t rc;

        mem_fail_at(++n, 0);
        rc = yaml_to_json(text, len, NULL, &tree, &err);
        asked_for = mem_count();
        mem_fail_at(0, 0);
        assert_true(rc == 0 || rc == ORCH_E_RESOURCE_EXHAUSTED);
        assert_true((rc == 0) == (tree != NULL));
        json_decref(tree);
        orch_error_free(err);
    } while (asked_for >= n);
    json_set_alloc_funcs(malloc, free);
    assert_true(n > 20);
    free(text);
}

static void *convert(void *arg)
{
    json_t *tree = NULL;

    for (int i = 0; i < 50; i++) {
        if (yaml_to_json("a: &x [1, b]\nc: *x", 18, NULL, &tree, NULL))
            return arg;
        json_decref(tree);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, convert, threads), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *failed = NULL;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

/* A build without libyaml says so; one whose machine has none, too. */
static bool has_yaml(void)
{
    json_t *tree = NULL;
    orch_error *err = NULL;
    int32_t rc = yaml_to_json("a: 1", 4, NULL, &tree, &err);
    bool unimplemented = rc == ORCH_E_UNIMPLEMENTED;

    if (unimplemented && !strstr(orch_error_message(err), "libyaml"))
        unimplemented = false;
    json_decref(tree);
    orch_error_free(err);
    return !unimplemented;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_core_schema),
        cmocka_unit_test(test_keys_are_texts),
        cmocka_unit_test(test_bad_scalars),
        cmocka_unit_test(test_refused_with_line_and_column),
        cmocka_unit_test(test_anchors),
        cmocka_unit_test(test_many_anchors),
        cmocka_unit_test(test_expansion_is_bounded),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_definition_errors_carry_the_line),
        cmocka_unit_test(test_cut_and_changed_at_every_byte),
        cmocka_unit_test(test_no_memory),
    };

    if (!has_yaml())
        return skip_program("this build is without YAML");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
