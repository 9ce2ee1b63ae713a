/* Templates: what stays, what is replaced, what is shared, and what the errors say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above before it. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "workflow/template.h"

/* ---- a scope with the steps a, b-c, waiting, late ------------------------------------------------------ */

static const char *const step_ids[] = {"a", "b-c", "waiting", "late"};
static json_t *values[4];
static sandbox *lua;

static int32_t find_step(void *ctx, const char *name, size_t len, uint32_t *out, orch_error **err)
{
    (void)ctx;
    for (uint32_t i = 0; i < 4; i++) {
        if (strlen(step_ids[i]) == len && !memcmp(step_ids[i], name, len)) {
            *out = i;
            return 0;
        }
    }
    return error_set(err, ORCH_E_INVALID_ARGUMENT, NULL, "there is no step '%.*s'", (int)len, name);
}

static sandbox_checker checker;
static const template_names names = {.step = find_step, .checker = &checker};

static json_t *step_value(void *ctx, uint32_t step)
{
    (void)ctx;
    return values[step];
}

static json_t *secret(void *ctx, const char *name, orch_error **err)
{
    (void)ctx;
    if (!strcmp(name, "TOKEN"))
        return json_string("s3cret");
    error_set(err, ORCH_E_NOT_FOUND, name, "secret '%s' does not exist", name);
    return NULL;
}

static const char *step_name(void *ctx, uint32_t step)
{
    (void)ctx;
    return step_ids[step];
}

static const uint32_t direct[] = {1, 3};

static scope the_scope;

static int set_up(void **state)
{
    (void)state;
    the_scope = (scope){
        .input = json_loads(
            "{\"s\":\"text\",\"i\":7,\"r\":1.5,\"t\":true,\"n\":null,\"l\":[10,20,[30]],\"o\":{"
            "\"x\":{\"y\":1}},"
            "\"a.b\":{\"c d\":2},\"e\":[],\"f\":{},\"end\":3,\"u\":\"\\u00e9\\\"\",\"one\":0.1}",
            0, NULL),
        .execution = json_pack("{s:s}", "id", "e-1"),
        .index = -1,
        .step = step_value,
        .secret = secret,
        .dependencies = direct,
        .dependency_count = 2,
        .step_name = step_name,
    };
    values[0] = json_loads("{\"status\":\"succeeded\",\"output\":{\"id\":5,\"l\":[1]}}", 0, NULL);
    values[1] = json_loads("{\"status\":\"succeeded\",\"output\":\"B\"}", 0, NULL);
    values[3] = json_loads("{\"output\":9}", 0, NULL);
    return the_scope.input && values[0] && values[1] ? sandbox_new(NULL, &lua, NULL) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        json_decref(values[i]);
        values[i] = NULL;
    }
    json_decref(the_scope.input);
    json_decref(the_scope.execution);
    json_decref(the_scope.item);
    sandbox_free(lua);
    sandbox_checker_close(&checker);
    return 0;
}

static template *compile(const char *json)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    orch_error *err = NULL;
    template *t = NULL;

    assert_non_null(value);
    if (template_compile(value, &names, &t, &err))
        fail_msg("%s: %s at %s", json, orch_error_message(err), orch_error_about(err));
    json_decref(value);
    return t;
}

static void expect_result(const template *t, const char *what, const char *want)
{
    orch_error *err = NULL;
    json_t *out = NULL, *wanted = json_loads(want, JSON_DECODE_ANY, NULL);
    char *got;

    assert_non_null(wanted);
    if (template_evaluate(t, &the_scope, lua, &out, &err))
        fail_msg("%s: %s", what, orch_error_message(err));
    got = json_dumps(out, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!json_equal(out, wanted))
        fail_msg("%s\n  gave   %s\n  wanted %s", what, got, want);
    free(got);
    json_decref(out);
    json_decref(wanted);
}

static void expect(const char *json, const char *want)
{
    template *t = compile(json);

    expect_result(t, json, want);
    template_free(t);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static void test_one_expression_keeps_its_type(void **state)
{
    static const struct {
        const char *path, *want;
    } cases[] = {
        {"input.s", "\"text\""},
        {"input.i", "7"},
        {"input.r", "1.5"},
        {"input.t", "true"},
        {"input.n", "null"},
        {"input.l", "[10,20,[30]]"},
        {"input.e", "[]"},
        {"input.f", "{}"},
        {"input.l[1]", "10"},
        {"input.l[3][1]", "30"},
        {"input.l[4]", "null"},
        {"input.l[0]", "null"},
        {"input.l[999999999999]", "null"},
        {"input.absent", "null"},
        {"input.o.x.y", "1"},
        {"input['a.b']['c d']", "2"},
        {"input[\\\"a.b\\\"][\\\"c d\\\"]", "2"},
        {"input.end", "3"},
        {" input.i ", "7"},
        {"steps.a.output.id", "5"},
        {"steps['b-c'].output", "\"B\""},
        {"steps[\\\"b-c\\\"].status", "\"succeeded\""},
        {"steps.waiting", "null"},
        {"execution.id", "\"e-1\""},
        {"item", "null"},
        {"index", "null"},
        {"secrets.TOKEN", "\"s3cret\""},
        /* Lua */
        {"input.i + 1", "8"},
        {"input.l[1] + input.l[2]", "30"},
        {"#input.l", "3"},
        {"{1, 2}", "[1,2]"},
        {"{a = {b = '}'}}", "{\"a\":{\"b\":\"}\"}}"},
        {"input.s .. '}'", "\"text}\""},
        {"[[}]]", "\"}\""},
        {"input.e", "[]"},
        {"(input.e)", "[]"},
        {"nil", "null"},
        {"steps.a.output.id * 2", "10"},
        {"steps['b-c'].output .. '!'", "\"B!\""},
        {"steps.waiting == null", "true"},
        {"#secrets.TOKEN", "6"},
        {"(function() local n = 0 for k in pairs(steps) do n = n + 1 end return n end)()", "2"},
        {"steps[({'b-c'})[1]].output", "\"B\""},
        {"steps.a.output.id + (steps['la' .. 'te'].output)", "14"},
        {"input.i > 5 and input.s or 'no'", "\"text\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[256];

        snprintf(json, sizeof json, "\"${%s}\"", cases[i].path);
        expect(json, cases[i].want);
    }
}

static void test_text_around_expressions(void **state)
{
    (void)state;
    expect("\"<${input.s}>\"", "\"<text>\"");
    expect("\"${input.s}${input.i}\"", "\"text7\"");
    expect("\"a${input.n}b\"", "\"ab\"");
    expect("\" ${input.s}\"", "\" text\"");
    expect("\"${input.t} ${input.r} ${input.one}\"", "\"true 1.5 0.1\"");
    expect("\"=${input.l}\"", "\"=[10,20,[30]]\"");
    expect("\"=${input.o}\"", "\"={\\\"x\\\":{\\\"y\\\":1}}\"");
    expect("\"=${input.u}\"", "\"=é\\\"\"");
    expect("\"${input.s} and ${input.i + 1}\"", "\"text and 8\"");
    expect("\"${execution.id}/${steps.a.output.id}\"", "\"e-1/5\"");
}

static void test_literals(void **state)
{
    (void)state;
    expect("\"$${x}\"", "\"${x}\"");
    expect("\"$$${x}\"", "\"$${x}\"");
    expect("\"$${${input.i}}\"", "\"${7}\"");
    expect("\"$ $$ {} $x } ${'$'}\"", "\"$ $$ {} $x } $\"");
    expect("{\"${input.s}\":1}", "{\"${input.s}\":1}"); /* keys are not templates */
    expect("[1,2.5,null,true,\"\",{}]", "[1,2.5,null,true,\"\",{}]");
}

static void test_nested(void **state)
{
    (void)state;
    expect("{\"a\":1,\"b\":{\"c\":[0,{\"d\":\"${input.i}\"},\"x\"],\"e\":[1]},\"f\":\"-${input.s}-"
           "\",\"g\":null}",
           "{\"a\":1,\"b\":{\"c\":[0,{\"d\":7},\"x\"],\"e\":[1]},\"f\":\"-text-\",\"g\":null}");
    expect("[\"${input.l}\",\"$${\",[\"${input.o}\"]]",
           "[[10,20,[30]],\"${\",[{\"x\":{\"y\":1}}]]");
}

static void test_item_and_index(void **state)
{
    (void)state;
    the_scope.item = json_loads("{\"name\":\"n\"}", 0, NULL);
    the_scope.index = 3;
    expect("\"${item.name}${index}\"", "\"n3\"");
    expect("\"${index}\"", "3");
    expect("\"${index + 1}\"", "4");
    expect("\"${item.name .. index}\"", "\"n3\"");
}

/* ---- what is shared ------------------------------------------------------------------------------------ */

static void test_constants_are_shared(void **state)
{
    template *t = compile("{\"a\":[1,2],\"b\":\"x\"}"),
             *escaped = compile("{\"a\":\"$${x}\",\"b\":[\"$${\"]}"),
             *changing = compile(
                 "{\"keep\":{\"big\":[1,2,3]},\"change\":{\"x\":\"${input.l}\",\"same\":[4]}}");
    json_t *first, *second;

    (void)state;
    assert_non_null(template_constant(t));
    assert_int_equal(template_evaluate(t, &the_scope, NULL, &first, NULL), 0);
    assert_ptr_equal(first, template_constant(t));
    json_decref(first);
    assert_non_null(template_constant(escaped));
    assert_string_equal(json_string_value(json_object_get(template_constant(escaped), "a")),
                        "${x}");
    assert_null(template_constant(changing));
    assert_int_equal(template_evaluate(changing, &the_scope, NULL, &first, NULL), 0);
    assert_int_equal(template_evaluate(changing, &the_scope, NULL, &second, NULL), 0);
    assert_ptr_not_equal(first, second);
    assert_ptr_equal(json_object_get(first, "keep"), json_object_get(second, "keep"));
    assert_ptr_equal(json_object_get(json_object_get(first, "change"), "same"),
                     json_object_get(json_object_get(second, "change"), "same"));
    assert_ptr_equal(json_object_get(json_object_get(first, "change"), "x"),
                     json_object_get(the_scope.input, "l"));
    json_decref(first);
    json_decref(second);
    template_free(t);
    template_free(escaped);
    template_free(changing);
}

static void check_steps(const char *json, size_t want_count, uint32_t first, uint32_t second,
                        bool want_all, bool want_inline, bool want_secrets)
{
    template *t = compile(json);
    size_t count;
    bool all;
    const uint32_t *steps = template_steps(t, &count, &all);

    assert_int_equal(count, want_count);
    if (count > 0)
        assert_int_equal(steps[0], first);
    if (count > 1)
        assert_int_equal(steps[1], second);
    assert_int_equal(all, want_all);
    assert_int_equal(template_is_inline(t), want_inline);
    assert_int_equal(template_has_secrets(t), want_secrets);
    template_free(t);
}

static void test_what_it_reaches(void **state)
{
    (void)state;
    check_steps("{\"a\":1}", 0, 0, 0, false, true, false);
    check_steps("{\"a\":\"${input.s}\"}", 0, 0, 0, false, true, false);
    check_steps("[\"${steps['b-c'].x}\",\"${steps.a}\",\"${steps.a.y}\"]", 2, 0, 1, false, true,
                false);
    check_steps("\"${steps.late.output + steps.a.output}\"", 2, 0, 3, false, false, false);
    check_steps("\"${'steps.nobody' .. [[steps.x]] --steps.y\\n}\"", 0, 0, 0, false, false, false);
    check_steps("\"${steps[input.s]}\"", 0, 0, 0, true, false, false);
    check_steps("\"${steps}\"", 0, 0, 0, true, false, false);
    check_steps("\"${steps[1]}\"", 0, 0, 0, true, false, false);
    check_steps("\"${secrets.X}\"", 0, 0, 0, false, false, true);
    check_steps("\"${'a' .. secrets.X}\"", 0, 0, 0, false, false, true);
    check_steps("\"${input.secrets}\"", 0, 0, 0, false, true, false);
    check_steps("\"${input.steps.x .. ''}\"", 0, 0, 0, false, false, false);
}

/* ---- errors -------------------------------------------------------------------------------------------- */

static void expect_compile_error(const char *json, const char *about, const char *word)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    orch_error *err = NULL;
    template *t = NULL;

    assert_non_null(value);
    assert_int_equal(template_compile(value, &names, &t, &err), ORCH_E_INVALID_ARGUMENT);
    assert_null(t);
    assert_string_equal(orch_error_about(err), about);
    if (!strstr(orch_error_message(err), word))
        fail_msg("%s: '%s' lacks '%s'", json, orch_error_message(err), word);
    orch_error_free(err);
    json_decref(value);
}

static void test_errors_of_compiling(void **state)
{
    (void)state;
    expect_compile_error("\"${input.x\"", "", "'}' is missing");
    expect_compile_error("\"a ${\"", "", "'}' is missing");
    expect_compile_error("\"${'x}\"", "", "'}' is missing");
    expect_compile_error("\"${}\"", "", "missing");
    expect_compile_error("\"${  }\"", "", "missing");
    expect_compile_error("{\"body\":{\"sku\":\"${1 +}\"}}", "/body/sku", "`1 +`");
    expect_compile_error("{\"l\":[0,\"${a b}\"]}", "/l/1", "expression:1:");
    expect_compile_error("{\"a/b~c\":\"${a b}\"}", "/a~1b~0c", "`a b`");
    expect_compile_error("{\"x\":\"${steps.nobody.output}\"}", "/x", "no step 'nobody'");
    expect_compile_error("\"${steps['no body'].output .. ''}\"", "", "no step 'no body'");
    expect_compile_error("\"${steps.b-c.output}\"", "", "steps[\"name\"]");
    expect_compile_error("\"${return 1}\"", "", "return");
    expect_compile_error("\"${1, 2}\"", "", "','");
    expect_compile_error("\"${1) + (2}\"", "", "bracket");
    expect_compile_error("\"${input[}\"", "", "`input[`");
}

static void expect_evaluation_error(const char *json, int32_t code, const char *about,
                                    const char *word)
{
    template *t = compile(json);
    orch_error *err = NULL;
    json_t *out = NULL;
    int32_t rc = template_evaluate(t, &the_scope, lua, &out, &err);

    if (rc != code || strcmp(orch_error_about(err), about) != 0 ||
        !strstr(orch_error_message(err), word))
        fail_msg("%s\n  gave   %d at '%s': %s\n  wanted %d at '%s': %s", json, rc,
                 orch_error_about(err), orch_error_message(err), code, about, word);
    assert_null(out);
    orch_error_free(err);
    template_free(t);
}

static void test_errors_of_evaluating(void **state)
{
    char long_one[400] = "\"${input.", *p = long_one + strlen(long_one);

    (void)state;
    expect_evaluation_error("\"${input.s.x}\"", ORCH_E_INVALID_ARGUMENT, "",
                            "a string has no member 'x'");
    expect_evaluation_error("{\"a\":[\"${input.n.x}\"]}", ORCH_E_INVALID_ARGUMENT, "/a/0",
                            "null has no member 'x'");
    expect_evaluation_error("\"${input.l.x}\"", ORCH_E_INVALID_ARGUMENT, "",
                            "a list has no member 'x'");
    expect_evaluation_error("\"${input.o[1]}\"", ORCH_E_INVALID_ARGUMENT, "",
                            "an object has no element [1]");
    expect_evaluation_error("\"${steps.waiting.output}\"", ORCH_E_INVALID_ARGUMENT, "",
                            "`steps.waiting.output`");
    expect_evaluation_error("\"${index.x}\"", ORCH_E_INVALID_ARGUMENT, "", "null");
    expect_evaluation_error("{\"b\":\"x${input.absent.y + 1}\"}", ORCH_E_INVALID_ARGUMENT, "/b",
                            "nil value");
    expect_evaluation_error("\"${error{code='NOT_FOUND', message='gone'}}\"", ORCH_E_NOT_FOUND, "",
                            "gone");
    expect_evaluation_error("\"${('x'):rep(1e12)}\"", ORCH_E_RESOURCE_EXHAUSTED, "", "memory");
    expect_evaluation_error("{\"k\":\"${secrets.NONE}\"}", ORCH_E_NOT_FOUND, "/k", "secret 'NONE'");
    expect_evaluation_error("\"${secrets.TOKEN.x}\"", ORCH_E_INVALID_ARGUMENT, "",
                            "a string has no member");
    expect_evaluation_error("\"${'a' .. secrets.NONE}\"", ORCH_E_NOT_FOUND, "", "secret 'NONE'");
    expect_evaluation_error("\"${secrets}\"", ORCH_E_INVALID_ARGUMENT, "", "library");
    for (int i = 0; i < 200; i++)
        *p++ = 'x';
    strcpy(p, ".y}\"");
    expect_evaluation_error(long_one, ORCH_E_INVALID_ARGUMENT, "", "xxx...`");
}

static void test_errors_keep_their_data(void **state)
{
    template *t = compile("[\"${error{code='ABORTED', message='late', data={n=1}}}\"]");
    orch_error *err = NULL;
    json_t *out = NULL;

    (void)state;
    assert_int_equal(template_evaluate(t, &the_scope, lua, &out, &err), ORCH_E_ABORTED);
    assert_string_equal(error_get_data(err), "{\"n\":1}");
    assert_string_equal(orch_error_about(err), "/0");
    orch_error_free(err);
    template_free(t);
}

static void test_without_a_sandbox(void **state)
{
    template *t = compile("\"${1 + 1}\"");
    orch_error *err = NULL;
    json_t *out = NULL;

    (void)state;
    assert_int_equal(template_evaluate(t, &the_scope, NULL, &out, &err),
                     ORCH_E_FAILED_PRECONDITION);
    orch_error_free(err);
    template_free(t);
    t = compile("\"${secrets.TOKEN}\"");
    the_scope.secret = NULL;
    err = NULL;
    assert_int_equal(template_evaluate(t, &the_scope, NULL, &out, &err),
                     ORCH_E_FAILED_PRECONDITION);
    orch_error_free(err);
    template_free(t);
}

/* ---- bare expressions ---------------------------------------------------------------------------------- */

static void expect_expression(const char *text, const char *want, bool constant)
{
    template *t;

    assert_int_equal(template_compile_expression(text, &names, &t, NULL), 0);
    assert_int_equal(template_constant(t) != NULL, constant);
    expect_result(t, text, want);
    template_free(t);
}

static void test_bare_expressions(void **state)
{
    orch_error *err = NULL;
    template *t;

    (void)state;
    expect_expression("input.i > 5", "true", false);
    expect_expression("${input.i > 5}", "true", false);
    expect_expression(" input.t ", "true", false);
    expect_expression("${ input.l }", "[10,20,[30]]", false);
    expect_expression("true", "true", true);
    expect_expression(" false ", "false", true);
    expect_expression("null", "null", true);
    expect_expression("{} == nil", "false", false);
    expect_expression("not steps.waiting", "false", false); /* null is not nil */
    template_free(NULL);
    assert_int_equal(template_compile_expression("", &names, &t, &err), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(template_compile_expression("${a} ${b}", &names, &t, &err),
                     ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(template_compile_expression("steps.x == 1", &names, &t, &err),
                     ORCH_E_INVALID_ARGUMENT);
    assert_string_equal(orch_error_about(err), "");
    orch_error_free(err);
}

/* ---- limits -------------------------------------------------------------------------------------------- */

static void test_text_is_bounded(void **state)
{
    enum { LEN = 1 << 20 };
    char *big = malloc(LEN + 1), *json = malloc(2000);
    json_t *items = json_array();

    (void)state;
    assert_true(big && json && items);
    memset(big, 'x', LEN);
    big[LEN] = '\0';
    json_object_set_new(the_scope.input, "big", json_string(big));
    strcpy(json, "\"");
    for (int i = 0; i < 70; i++)
        strcat(json, "${input.big}");
    strcat(json, "\"");
    expect_evaluation_error(json, ORCH_E_RESOURCE_EXHAUSTED, "", "64 MiB");
    json_decref(items);
    free(big);
    free(json);
}

static int32_t everything(orch_error **err)
{
    json_t *value = json_loads(
        "{\"a\":\"x ${input.s} ${steps.a.output.id}\",\"b\":[\"${input.i + "
        "steps['b-c'].n}\",\"$${\"],"
        "\"c\":\"${steps[input.s]}\",\"d\":{\"e\":\"${input.l}\",\"f\":\"${secrets.TOKEN}\"}}",
        0, NULL);
    template *t = NULL;
    json_t *out = NULL;
    int32_t rc = template_compile(value, &names, &t, err);

    if (!rc)
        rc = template_evaluate(t, &the_scope, lua, &out, err);
    json_decref(out);
    json_decref(value);
    template_free(t);
    sandbox_checker_close(&checker);
    return rc;
}

static void test_no_memory(void **state)
{
    json_t *old = values[1];
    bool done = false;

    (void)state;
    values[1] = json_pack("{s:i}", "n", 1);
    for (long n = 1; !done; n++) {
        for (int sticky = 0; sticky <= 1; sticky++) {
            orch_error *err = NULL;
            int32_t rc;

            mem_fail_at(n, sticky);
            rc = everything(&err);
            done = sticky && !rc && mem_count() < n;
            mem_fail_at(0, 0);
            if (rc)
                assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED);
            assert_int_equal(orch_error_code(err), rc);
            orch_error_free(err);
        }
    }
    json_decref(values[1]);
    values[1] = old;
}

static void test_deep_values(void **state)
{
    json_t *deep = json_string("${input.i}");
    orch_error *err = NULL;
    template *t = NULL;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        json_t *outer = json_array();

        json_array_append_new(outer, deep);
        deep = outer;
    }
    assert_int_equal(template_compile(deep, &names, &t, &err), ORCH_E_INVALID_ARGUMENT);
    orch_error_free(err);
    json_decref(deep);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_one_expression_keeps_its_type),
        TEST(test_text_around_expressions),
        TEST(test_literals),
        TEST(test_nested),
        TEST(test_item_and_index),
        TEST(test_constants_are_shared),
        TEST(test_what_it_reaches),
        TEST(test_errors_of_compiling),
        TEST(test_errors_of_evaluating),
        TEST(test_errors_keep_their_data),
        TEST(test_without_a_sandbox),
        TEST(test_bare_expressions),
        TEST(test_text_is_bounded),
        TEST(test_no_memory),
        TEST(test_deep_values),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
