/* Goal: an evaluated `with` of a child becomes a text that says the same later, or an error that names step and key; its id
 * is the same each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above before it. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "workflow/checkpoint.h"
#include "workflow/child.h"

static json_t *json(const char *text)
{
    json_t *tree = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(tree);
    return tree;
}

static bytes *checked(const char *text)
{
    json_t *with = json(text);
    orch_error *err = NULL;
    bytes *out = NULL;

    if (child_spec_check(with, "pack", &out, &err))
        fail_msg("%s: %s", text, orch_error_message(err));
    json_decref(with);
    return out;
}

static void the_text_is_canonical(void **state)
{
    bytes *text = checked("{\"workflow\":\"w\",\"version\":null,\"on_cancel\":\"abandon\","
                          "\"inputs\":{\"b\":[1.0,null],\"a\":\"${literal}\"}}");

    (void)state;
    assert_string_equal(text->data, "{\"inputs\":{\"a\":\"${literal}\",\"b\":[1.0,null]},"
                                    "\"on_cancel\":\"abandon\",\"workflow\":\"w\"}");
    bytes_unref(text);
}

static void everything_is_read_back(void **state)
{
    bytes *text = checked("{\"workflow\":\"w\",\"version\":\"^2.0.0\",\"inputs\":{\"x\":1},"
                          "\"on_cancel\":\"abandon\",\"priority\":0,\"timeout\":\"1m\"}");
    child_spec s;

    (void)state;
    assert_int_equal(child_spec_read(text, &s, NULL), 0);
    assert_string_equal(s.workflow, "w");
    assert_string_equal(s.version, "^2.0.0");
    assert_string_equal(s.inputs->data, "{\"x\":1}");
    assert_int_equal(s.on_cancel, CHILD_ABANDON);
    assert_int_equal(s.priority, 0);
    assert_int_equal(s.timeout_ms, 60000);
    child_spec_clear(&s);
    bytes_unref(text);
}

static void defaults(void **state)
{
    bytes *text = checked("{\"workflow\":\"w\"}");
    child_spec s;

    (void)state;
    assert_int_equal(child_spec_read(text, &s, NULL), 0);
    assert_null(s.version);
    assert_null(s.inputs);
    assert_int_equal(s.on_cancel, CHILD_CANCEL);
    assert_int_equal(s.priority, -1);
    assert_int_equal(s.timeout_ms, 0);
    child_spec_clear(&s);
    bytes_unref(text);
}

static void mistakes(void **state)
{
    static const struct {
        const char *with, *about, *message;
    } rows[] = {
        {"[]", "/with", "step 'pack': /with: must be an object, not a list"},
        {"{\"workflow\":null}", "/with/workflow",
         "step 'pack': /with/workflow: 'workflow' is missing; the `with` of workflow must have it"},
        {"{\"workflow\":7}", "/with/workflow",
         "step 'pack': /with/workflow: must be a name, not an integer"},
        {"{\"workflow\":\"w\",\"version\":\"new\"}", "/with/version",
         "step 'pack': /with/version: 'new' is not a range of versions: a number of "
         "MAJOR.MINOR.PATCH is missing (such as ^1.2.0, ~1.2, \">=1.0.0 <3\", 1.x || 2.x)"},
        {"{\"workflow\":\"w\",\"inputs\":[]}", "/with/inputs",
         "step 'pack': /with/inputs: must be an object, not a list"},
        {"{\"workflow\":\"w\",\"priority\":2.0}", "/with/priority",
         "step 'pack': /with/priority: must be an integer, not a real number"},
        {"{\"workflow\":\"w\",\"priority\":-1}", "/with/priority",
         "step 'pack': /with/priority: is -1; allowed are 0 to 9"},
        {"{\"workflow\":\"w\",\"on_cancel\":\"keep\"}", "/with/on_cancel",
         "step 'pack': /with/on_cancel: 'keep' is unknown; allowed are: cancel, abandon"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *with = json(rows[i].with);
        orch_error *err = NULL;
        bytes *out = NULL;

        assert_int_equal(child_spec_check(with, "pack", &out, &err), ORCH_E_INVALID_ARGUMENT);
        assert_string_equal(orch_error_message(err), rows[i].message);
        assert_string_equal(orch_error_about(err), rows[i].about);
        assert_null(out);
        orch_error_free(err);
        json_decref(with);
    }
}

static void inputs_nested_too_deep(void **state)
{
    json_t *deep = json_object(), *with;
    orch_error *err = NULL;
    bytes *out = NULL;

    (void)state;
    for (int i = 0; i < 1100; i++)
        deep = json_pack("[o]", deep);
    with = json_pack("{s:s,s:{s:o}}", "workflow", "w", "inputs", "x", deep);
    assert_int_equal(child_spec_check(with, "pack", &out, &err), ORCH_E_INVALID_ARGUMENT);
    assert_non_null(strstr(orch_error_message(err), "deeper than the limit of 1000"));
    assert_null(out);
    orch_error_free(err);
    json_decref(with);
}

static void what_is_damaged_is_said_to_be(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "{}", "{\"workflow\":\"w\",\"x\":1}"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bytes *text = bytes_new(texts[i], strlen(texts[i]));
        orch_error *err = NULL;
        child_spec s;

        assert_int_equal(child_spec_read(text, &s, &err), ORCH_E_DATA_LOSS);
        assert_int_equal(orch_error_code(err), ORCH_E_DATA_LOSS);
        orch_error_free(err);
        bytes_unref(text);
    }
}

static void assert_id(const char *expected, const char *parent, const char *step, uint32_t index,
                      uint32_t attempt)
{
    char *id = child_id(parent, 2, step, index, attempt);

    assert_string_equal(id, expected);
    mem_free(id);
}

static void ids(void **state)
{
    char parent[CHILD_ID_MAX + 1], *fits, *last, *longer, *again, *other;

    (void)state;
    assert_id("p/2/s", "p", "s", INDEX_NONE, 1);
    assert_id("p/2/s/0", "p", "s", 0, 1);
    assert_id("p/2/s~2", "p", "s", INDEX_NONE, 2);
    assert_id("p/2/s/7~3", "p", "s", 7, 3);
    assert_id("p/2/s/7~3/2/t", "p/2/s/7~3", "t", INDEX_NONE, 1);

    memset(parent, 'p', CHILD_ID_MAX);
    parent[CHILD_ID_MAX - strlen("/2/s/10")] = '\0';
    fits = child_id(parent, 2, "s", 10, 1);
    last = child_id(parent, 2, "s", 9, 1);
    assert_int_equal(strlen(fits), CHILD_ID_MAX);
    assert_int_equal(strlen(last), CHILD_ID_MAX - 1);
    longer = child_id(parent, 2, "s", 100, 1);
    again = child_id(parent, 2, "s", 100, 1);
    other = child_id(parent, 2, "s", 100, 2);
    assert_int_equal(strlen(longer), 65);
    assert_int_equal(longer[0], '~'); /* which no caller's id begins with */
    assert_string_equal(longer, again);
    assert_string_not_equal(longer, other);
    mem_free(fits);
    mem_free(last);
    mem_free(longer);
    mem_free(again);
    mem_free(other);
}

static void lack_of_memory(void **state)
{
    json_t *with;
    bytes *text = NULL;
    child_spec s;
    int32_t rc;

    (void)state;
    json_set_alloc_funcs(mem_alloc, mem_free);
    with = json("{\"workflow\":\"w\",\"version\":\"1\",\"inputs\":{\"x\":1}}");
    for (long n = 1;; n++) {
        orch_error *err = NULL;

        mem_fail_at(n, 0);
        rc = child_spec_check(with, "pack", &text, &err);
        mem_fail_at(0, 0);
        if (!rc)
            break;
        assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED);
        assert_null(text);
        orch_error_free(err);
    }
    for (long n = 1;; n++) {
        orch_error *err = NULL;

        mem_fail_at(n, 0);
        rc = child_spec_read(text, &s, &err);
        mem_fail_at(0, 0);
        if (!rc)
            break;
        /* jansson takes some failures for wrong tokens. */
        assert_true(rc == ORCH_E_RESOURCE_EXHAUSTED || rc == ORCH_E_DATA_LOSS);
        orch_error_free(err);
    }
    child_spec_clear(&s);
    bytes_unref(text);
    json_decref(with);
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_canonical),
        cmocka_unit_test(everything_is_read_back),
        cmocka_unit_test(defaults),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(inputs_nested_too_deep),
        cmocka_unit_test(what_is_damaged_is_said_to_be),
        cmocka_unit_test(ids),
        cmocka_unit_test(lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
