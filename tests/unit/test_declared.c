/* Goal: a workflow's inputs and outputs are what it declares: others are refused with name and reason, what is left out gets its
 * default. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above before it. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "workflow/definition.h"

static definition *parsed(const char *more)
{
    definition *d = NULL;
    orch_error *err = NULL;
    buf text = BUF_INIT;

    buf_printf(&text,
               "{\"id\":\"order\",\"version\":\"1.2.0\",\"steps\":[{\"id\":\"a\","
               "\"executor\":\"noop\"}]%s%s}",
               *more ? "," : "", more);
    if (definition_parse(text.data, text.len, NULL, &d, &err))
        fail_msg("%s: %s", text.data, orch_error_message(err));
    buf_free(&text);
    return d;
}

static json_t *json(const char *text)
{
    json_t *tree = json_loads(text, JSON_DECODE_ANY, NULL);

    if (!tree)
        fail_msg("%s", text);
    return tree;
}

#define TYPES                                                                               \
    "\"inputs\":{\"total\":\"number\",\"sku\":{\"type\":\"string\",\"description\":\"d\"}," \
    "\"count\":{\"type\":\"integer\",\"default\":1},\"note\":{\"type\":\"string\","         \
    "\"required\":false},\"lines\":{\"type\":\"array\",\"default\":[]},"                    \
    "\"fast\":{\"type\":\"boolean\",\"default\":false},\"to\":{\"type\":\"object\","        \
    "\"required\":false},\"extra\":{\"type\":\"any\",\"default\":{\"x\":1}}}"

static void what_is_declared_is_sorted(void **state)
{
    static const char *const names[] = {"count", "extra", "fast", "lines",
                                        "note",  "sku",   "to",   "total"};
    definition *d = parsed(TYPES);

    (void)state;
    assert_true(d->has_inputs);
    assert_false(d->has_outputs);
    assert_int_equal(d->input_count, 8);
    for (uint32_t i = 0; i < 8; i++)
        assert_string_equal(d->inputs[i].name, names[i]);
    assert_int_equal(d->inputs[0].type, FIELD_INTEGER);
    assert_true(d->inputs[0].optional);
    assert_int_equal(json_integer_value(d->inputs[0].fallback), 1);
    assert_true(d->inputs[4].optional);
    assert_null(d->inputs[4].fallback);
    assert_false(d->inputs[7].optional);
    definition_unref(d);
}

static void good_inputs(void **state)
{
    static const char *const inputs[] = {
        "{\"total\":1,\"sku\":\"\"}",
        "{\"total\":1.5,\"sku\":\"x\",\"count\":-9223372036854775808,\"note\":\"n\","
        "\"lines\":[1],\"fast\":true,\"to\":{},\"extra\":[null]}",
        "{\"total\":0,\"sku\":\"x\",\"count\":null,\"note\":null,\"lines\":null,\"fast\":null,"
        "\"to\":null,\"extra\":null}",
    };
    definition *d = parsed(TYPES);

    (void)state;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        json_t *input = json(inputs[i]);
        orch_error *err = NULL;

        if (definition_check_inputs(d, input, &err))
            fail_msg("%s: %s", inputs[i], orch_error_message(err));
        json_decref(input);
    }
    definition_unref(d);
}

#define OF "inputs of workflow 'order' 1.2.0: "

static void bad_inputs(void **state)
{
    static const struct {
        const char *input, *about, *message;
    } rows[] = {
        {"{}", "sku", OF "'sku' is missing; it must be a string"},
        {"{\"sku\":\"x\"}", "total", OF "'total' is missing; it must be a number"},
        {"{\"sku\":\"x\",\"total\":null}", "total", OF "'total' must be a number, not null"},
        {"{\"sku\":\"x\",\"total\":\"1\"}", "total", OF "'total' must be a number, not a string"},
        {"{\"sku\":[],\"total\":1}", "sku", OF "'sku' must be a string, not an array"},
        {"{\"sku\":\"x\",\"total\":1,\"count\":1.0}", "count",
         OF "'count' must be an integer, not a real number"},
        {"{\"sku\":\"x\",\"total\":1,\"fast\":0}", "fast",
         OF "'fast' must be a boolean, not an integer"},
        {"{\"sku\":\"x\",\"total\":1,\"lines\":{}}", "lines",
         OF "'lines' must be an array, not an object"},
        {"{\"sku\":\"x\",\"total\":1,\"to\":true}", "to",
         OF "'to' must be an object, not a boolean"},
        {"{\"sku\":\"x\",\"totl\":1}", "totl",
         OF "'totl' is not declared (did you mean 'total'?); declared are: count, extra, fast, "
            "lines, note, sku, to, total"},
        {"[]", "", OF "must be an object, not an array"},
        {"null", "", OF "must be an object, not null"},
    };
    definition *d = parsed(TYPES);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *input = json(rows[i].input);
        orch_error *err = NULL;

        assert_int_equal(definition_check_inputs(d, input, &err), ORCH_E_INVALID_ARGUMENT);
        assert_string_equal(orch_error_message(err), rows[i].message);
        assert_string_equal(orch_error_about(err), rows[i].about);
        orch_error_free(err);
        assert_int_equal(definition_check_inputs(d, input, NULL), ORCH_E_INVALID_ARGUMENT);
        json_decref(input);
    }
    definition_unref(d);
}

static void no_input_is_an_empty_one(void **state)
{
    definition *none = parsed("\"inputs\":{}"), *some = parsed("\"inputs\":{\"x\":\"any\"}");
    orch_error *err = NULL;
    json_t *filled;

    (void)state;
    assert_int_equal(definition_check_inputs(none, NULL, NULL), 0);
    assert_int_equal(definition_check_inputs(some, NULL, &err), ORCH_E_INVALID_ARGUMENT);
    assert_string_equal(orch_error_message(err), OF "'x' is missing; it must be any value");
    orch_error_free(err);
    filled = definition_fill_inputs(none, NULL);
    assert_int_equal(json_object_size(filled), 0);
    json_decref(filled);
    definition_unref(none);
    definition_unref(some);
}

static void what_is_not_declared_may_be_anything(void **state)
{
    definition *d = parsed("");
    json_t *input = json("{\"x\":1}"), *list = json("[1]");

    (void)state;
    assert_int_equal(definition_check_inputs(d, input, NULL), 0);
    assert_int_equal(definition_check_outputs(d, list, NULL), 0);
    assert_int_equal(definition_check_outputs(d, NULL, NULL), 0);
    json_decref(input);
    json_decref(list);
    definition_unref(d);
}

static void an_empty_declaration_allows_nothing(void **state)
{
    definition *d = parsed("\"inputs\":{}");
    json_t *input = json("{\"x\":1}");
    orch_error *err = NULL;

    (void)state;
    assert_int_equal(definition_check_inputs(d, input, &err), ORCH_E_INVALID_ARGUMENT);
    assert_string_equal(orch_error_message(err), OF "'x' is not declared; none are declared");
    orch_error_free(err);
    json_decref(input);
    definition_unref(d);
}

static void long_lists_are_cut(void **state)
{
    buf text = BUF_INIT;
    json_t *input = json("{\"x\":1}");
    orch_error *err = NULL;
    definition *d;

    (void)state;
    buf_puts(&text, "\"inputs\":{");
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "%s\"n%03d\":{\"type\":\"any\",\"required\":false}", i ? "," : "", i);
    buf_putc(&text, '}');
    d = parsed(text.data);
    assert_int_equal(definition_check_inputs(d, input, &err), ORCH_E_INVALID_ARGUMENT);
    assert_string_equal(orch_error_message(err),
                        OF "'x' is not declared; declared are: n000, n001, n002, n003, n004, n005, "
                           "n006, n007, n008, n009, n010, n011, n012, n013, n014, n015, n016, "
                           "n017, n018, n019 and 980 more");
    orch_error_free(err);
    json_decref(input);
    definition_unref(d);
    buf_free(&text);
}

static void assert_filled(const definition *d, const char *input, const char *expected)
{
    json_t *given = json(input), *copy = json_deep_copy(given), *wanted = json(expected);
    json_t *filled = definition_fill_inputs(d, given);

    if (!json_equal(filled, wanted))
        fail_msg("%s became %s", input, json_dumps(filled, 0));
    assert_true(json_equal(given, copy)); /* is not changed */
    json_decref(filled);
    json_decref(wanted);
    json_decref(copy);
    json_decref(given);
}

static void defaults_are_filled_in(void **state)
{
    definition *d = parsed(TYPES);

    (void)state;
    assert_filled(d, "{\"total\":1,\"sku\":\"x\"}",
                  "{\"total\":1,\"sku\":\"x\",\"count\":1,\"lines\":[],\"fast\":false,"
                  "\"extra\":{\"x\":1}}");
    /* A null is no text, list or number; but it is a value of any type. */
    assert_filled(d,
                  "{\"total\":1,\"sku\":\"x\",\"count\":null,\"lines\":null,\"fast\":true,"
                  "\"extra\":null,\"note\":null}",
                  "{\"total\":1,\"sku\":\"x\",\"count\":1,\"lines\":[],\"fast\":true,"
                  "\"extra\":null,\"note\":null}");
    definition_unref(d);
}

static void a_whole_input_is_not_copied(void **state)
{
    definition *d = parsed("\"inputs\":{\"x\":{\"type\":\"any\",\"default\":1},\"y\":\"any\"}");
    json_t *whole = json("{\"x\":null,\"y\":2}");
    json_t *filled = definition_fill_inputs(d, whole);

    (void)state;
    assert_ptr_equal(filled, whole);
    json_decref(filled);
    json_decref(whole);
    definition_unref(d);
}

static void a_default_outlives_its_document(void **state)
{
    definition *d = NULL;
    json_t *tree = json("{\"id\":\"w\",\"version\":\"1.0.0\",\"inputs\":{\"x\":{\"type\":"
                        "\"object\",\"default\":{\"deep\":[1]}}},\"steps\":[{\"id\":\"a\","
                        "\"executor\":\"noop\"}]}");

    (void)state;
    assert_int_equal(definition_from_json(tree, NULL, &d, NULL), 0);
    json_decref(tree);
    assert_filled(d, "{}", "{\"x\":{\"deep\":[1]}}");
    definition_unref(d);
}

static void outputs(void **state)
{
    static const struct {
        const char *output, *message; /* NULL = good */
    } rows[] = {
        {"{\"id\":\"x\"}", NULL},
        {"{\"id\":\"x\",\"n\":2}", NULL},
        {"{\"id\":\"x\",\"n\":null}", NULL},
        {"{\"n\":2}", "'id' is missing; it must be a string"},
        {"{\"id\":null}", "'id' must be a string, not null"},
        {"{\"id\":\"x\",\"n\":\"2\"}", "'n' must be an integer, not a string"},
        {"{\"id\":\"x\",\"m\":2}", "'m' is not declared; declared are: id, n"},
        {"[]", "must be an object, not an array"},
        {"null", "must be an object, not null"},
    };
    definition *d = parsed("\"outputs\":{\"id\":\"string\",\"n\":{\"type\":\"integer\","
                           "\"required\":false}},\"output\":\"${input.answer}\"");

    (void)state;
    assert_true(d->has_outputs);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *output = json(rows[i].output);
        orch_error *err = NULL;
        int32_t rc = definition_check_outputs(d, output, &err);

        assert_int_equal(rc, rows[i].message ? ORCH_E_FAILED_PRECONDITION : 0);
        assert_string_equal(orch_error_message(err), rows[i].message ? rows[i].message : "");
        orch_error_free(err);
        json_decref(output);
    }
    definition_unref(d);
}

/* A workflow that gives nothing, and need not. */
static void outputs_without_output(void **state)
{
    definition *d = parsed("\"outputs\":{\"n\":{\"type\":\"integer\",\"required\":false}}");
    json_t *nothing = json_null();

    (void)state;
    assert_int_equal(definition_check_outputs(d, nothing, NULL), 0);
    assert_int_equal(definition_check_outputs(d, NULL, NULL), 0);
    definition_unref(d);
}

/* What a template will give is not known when the definition is read. */
static void templates_in_output_are_open(void **state)
{
    definition_unref(parsed("\"outputs\":{\"n\":\"integer\",\"s\":\"string\",\"o\":\"object\","
                            "\"x\":{\"type\":\"number\",\"required\":false}},\"output\":{"
                            "\"n\":\"${input.n}\",\"s\":\"n = ${input.n}\",\"o\":{\"a\":"
                            "\"${input.n}\"},\"x\":null}"));
    (void)state;
}

static void lack_of_memory(void **state)
{
    json_t *input, *wrong;
    definition *d;
    long n = 0;
    int32_t rc;

    (void)state;
    json_set_alloc_funcs(mem_alloc, mem_free);
    d = parsed(TYPES);
    input = json("{\"total\":1,\"sku\":\"x\"}");
    wrong = json("{\"totl\":1}");
    for (json_t *filled = NULL; !filled; json_decref(filled)) {
        mem_fail_at(++n, 0);
        filled = definition_fill_inputs(d, input);
        mem_fail_at(0, 0);
        if (filled)
            assert_int_equal(json_object_size(filled), 6);
    }
    assert_true(n > 1);
    do {
        orch_error *err = NULL;

        mem_fail_at(n, 0);
        rc = definition_check_inputs(d, wrong, &err);
        mem_fail_at(0, 0);
        assert_true(rc == ORCH_E_RESOURCE_EXHAUSTED || rc == ORCH_E_INVALID_ARGUMENT);
        assert_non_null(err);
        orch_error_free(err);
    } while (n-- > 1);
    assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED); /* without the first allocation */
    json_decref(input);
    json_decref(wrong);
    definition_unref(d);
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_declared_is_sorted),
        cmocka_unit_test(good_inputs),
        cmocka_unit_test(bad_inputs),
        cmocka_unit_test(no_input_is_an_empty_one),
        cmocka_unit_test(what_is_not_declared_may_be_anything),
        cmocka_unit_test(an_empty_declaration_allows_nothing),
        cmocka_unit_test(long_lists_are_cut),
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(a_whole_input_is_not_copied),
        cmocka_unit_test(a_default_outlives_its_document),
        cmocka_unit_test(outputs),
        cmocka_unit_test(outputs_without_output),
        cmocka_unit_test(templates_in_output_are_open),
        cmocka_unit_test(lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
