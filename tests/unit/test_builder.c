/* Goal: what a builder function builds is what the document that says the same gives, to the digest; and whatever is wrong is kept
 * until registration, whether or not the function looked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/builder_impl.h"

static int32_t build(orch_workflow_builder fn, void *user_data, definition **out, orch_error **err)
{
    return builder_run("w", "1.2.3", fn, user_data, NULL, out, err);
}

static int32_t whole_language(orch_builder *b, void *user_data, orch_error **err)
{
    orch_step *a, *c;

    (void)user_data;
    (void)err;
    a = orch_builder_step(b, "a", "noop", NULL);
    c = orch_builder_step(b, "c", "host",
                          "{\"x\": \"${steps.a.output}\", \"n\": 9007199254740993}");
    orch_step_depends_on(c, "a");
    orch_step_depends_on(c, "late");
    orch_step_set(c, "retry", "{\"max_attempts\": 3}");
    orch_step_set(c, "timeout", "\"5s\"");
    orch_step_set(c, "checkpoint", "true");
    orch_step_set(a, "when", "\"input.go\"");
    orch_builder_step(b, "late", "lua", "{\"code\": \"return 1\"}");
    orch_step_set(c, "heartbeat_timeout", "\"2s\"");
    orch_step_set(c, "continue_on_failure", "true");
    orch_step_set(a, "compensate",
                  "{\"executor\": \"undo\", \"with\": {\"was\": \"${steps.a.output}\"}}");
    orch_step_depends_on(orch_builder_step(b, "paid", "wait", "{\"signal\": \"paid\"}"), "c");
    orch_builder_step(b, "child", "workflow",
                      "{\"workflow\": \"pack\", \"version\": \"^1\", \"inputs\": {\"n\": 1}}");
    orch_builder_set(b, "inputs", "{\"go\": {\"type\": \"boolean\", \"default\": true}}");
    orch_builder_set(b, "outputs", "{\"r\": \"any\"}");
    orch_builder_set(b, "on_failure", "{\"executor\": \"tell\", \"with\": \"${execution.error}\"}");
    orch_builder_set(b, "timeout", "\"10m\"");
    orch_builder_set(b, "output", "{\"r\": \"${steps.c.output}\"}");
    return 0;
}

static void it_says_what_the_document_says(void **state)
{
    static const char text[] =
        "{\"version\":\"1.2.3\",\"id\":\"w\",\"timeout\":\"10m\",\"output\":{\"r\":\"${steps.c.output}\"},"
        "\"inputs\":{\"go\":{\"type\":\"boolean\",\"default\":true}},\"outputs\":{\"r\":\"any\"},"
        "\"on_failure\":{\"executor\":\"tell\",\"with\":\"${execution.error}\"},"
        "\"steps\":[{\"id\":\"a\",\"executor\":\"noop\",\"when\":\"input.go\","
        "\"compensate\":{\"executor\":\"undo\",\"with\":{\"was\":\"${steps.a.output}\"}}},"
        "{\"id\":\"c\",\"executor\":\"host\",\"with\":{\"n\":9007199254740993,\"x\":\"${steps.a.output}\"},"
        "\"depends_on\":[\"a\",\"late\"],\"retry\":{\"max_attempts\":3},\"timeout\":\"5s\","
        "\"checkpoint\":true,\"heartbeat_timeout\":\"2s\",\"continue_on_failure\":true},"
        "{\"id\":\"late\",\"executor\":\"lua\",\"with\":{\"code\":\"return 1\"}},"
        "{\"id\":\"paid\",\"executor\":\"wait\",\"with\":{\"signal\":\"paid\"},\"depends_on\":["
        "\"c\"]},{\"id\":\"child\",\"executor\":\"workflow\",\"with\":{\"workflow\":\"pack\","
        "\"version\":\"^1\",\"inputs\":{\"n\":1}}}]}";
    definition *built = NULL, *parsed = NULL;

    (void)state;
    assert_int_equal(build(whole_language, NULL, &built, NULL), 0);
    assert_int_equal(definition_parse(text, sizeof text - 1, NULL, &parsed, NULL), 0);
    assert_string_equal(built->text->data, parsed->text->data);
    assert_memory_equal(&built->digest, &parsed->digest, sizeof built->digest);
    definition_unref(built);
    definition_unref(parsed);
}

/* ---- what is wrong --------------------------------------------------------------------------------------- */

static orch_step *any_step(orch_builder *b)
{
    return orch_builder_step(b, "a", "noop", NULL);
}

static void bad_id(orch_builder *b)
{
    assert_null(orch_builder_step(b, "a b", "noop", NULL));
}
static void no_id(orch_builder *b)
{
    assert_null(orch_builder_step(b, NULL, "noop", NULL));
}
static void bad_executor(orch_builder *b)
{
    assert_null(orch_builder_step(b, "a", "", NULL));
}
static void bad_with(orch_builder *b)
{
    assert_null(orch_builder_step(b, "a", "noop", "{\"x\":"));
}
static void doubled_key(orch_builder *b)
{
    assert_null(orch_builder_step(b, "a", "noop", "{\"x\":1,\"x\":2}"));
}
static void bad_value(orch_builder *b)
{
    assert_int_equal(orch_step_set(any_step(b), "timeout", "5s"), ORCH_E_INVALID_ARGUMENT);
}
static void no_value(orch_builder *b)
{
    assert_int_equal(orch_step_set(any_step(b), "timeout", NULL), ORCH_E_INVALID_ARGUMENT);
}
static void no_key(orch_builder *b)
{
    assert_int_equal(orch_step_set(any_step(b), NULL, "1"), ORCH_E_INVALID_ARGUMENT);
}
static void own_key(orch_builder *b)
{
    assert_int_equal(orch_step_set(any_step(b), "executor", "\"lua\""), ORCH_E_INVALID_ARGUMENT);
}
static void own_key_of_workflow(orch_builder *b)
{
    assert_int_equal(orch_builder_set(b, "version", "\"2.0.0\""), ORCH_E_INVALID_ARGUMENT);
}
static void bad_dependency(orch_builder *b)
{
    assert_int_equal(orch_step_depends_on(any_step(b), ""), ORCH_E_INVALID_ARGUMENT);
}
static void no_dependency(orch_builder *b)
{
    assert_int_equal(orch_step_depends_on(any_step(b), NULL), ORCH_E_INVALID_ARGUMENT);
}
static void dependency_on_no_list(orch_builder *b)
{
    orch_step *s = any_step(b);

    assert_int_equal(orch_step_set(s, "depends_on", "7"), 0);
    assert_int_equal(orch_step_depends_on(s, "b"), ORCH_E_INVALID_ARGUMENT);
}
/* Only the check of the whole finds these. */
static void unknown_key(orch_builder *b)
{
    assert_int_equal(orch_step_set(any_step(b), "retires", "{}"), 0);
}
static void unknown_step(orch_builder *b)
{
    assert_int_equal(orch_step_depends_on(any_step(b), "b"), 0);
}
static void doubled_step(orch_builder *b)
{
    any_step(b);
    assert_non_null(any_step(b));
}
static void no_step(orch_builder *b)
{
    (void)b;
}

static const struct mistake {
    const char *message;
    void (*make)(orch_builder *b);
} mistakes[] = {
    {"a step's id must be", bad_id},
    {"a step's id must be", no_id},
    {"an executor's name must be", bad_executor},
    {"a: with is not JSON: line 1", bad_with},
    {"a: with is not JSON", doubled_key},
    {"a: timeout is not JSON", bad_value},
    {"value_json must not be NULL", no_value},
    {"key must be a word", no_key},
    {"given to orch_builder_step", own_key},
    {"given at registration", own_key_of_workflow},
    {"depends_on: the id must be", bad_dependency},
    {"depends_on: the id must be", no_dependency},
    {"no list", dependency_on_no_list},
    {"retires", unknown_key},
    {"/steps/0/depends_on/0", unknown_step},
    {"/steps/1/id", doubled_step},
    {"steps", no_step},
};

static int32_t make_mistake(orch_builder *b, void *user_data, orch_error **err)
{
    const struct mistake *m = user_data;

    (void)err;
    m->make(b);
    return 0; /* it looked at nothing */
}

static void mistakes_are_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct mistake m = mistakes[i];
        definition *d = NULL;
        orch_error *error = NULL;

        assert_int_equal(build(make_mistake, &m, &d, &error), ORCH_E_INVALID_ARGUMENT);
        assert_null(d);
        if (!strstr(orch_error_message(error), m.message))
            fail_msg("'%s' is not in: %s", m.message, orch_error_message(error));
        orch_error_free(error);
    }
}

static int32_t first_of_two(orch_builder *b, void *user_data, orch_error **err)
{
    orch_step *s = orch_builder_step(b, "?", "noop", NULL);

    (void)user_data;
    assert_int_equal(orch_step_set(s, "timeout", "1"),
                     ORCH_E_INVALID_ARGUMENT); /* NULL is ignored */
    assert_int_equal(orch_step_depends_on(s, "b"), ORCH_E_INVALID_ARGUMENT);
    orch_builder_set(b, "output", "not JSON");
    return error_set(err, ORCH_E_ABORTED, NULL, "and a failure of its own");
}

static void the_first_mistake_is_told(void **state)
{
    orch_error *error = NULL;
    definition *d = NULL;

    (void)state;
    assert_int_equal(build(first_of_two, NULL, &d, &error), ORCH_E_INVALID_ARGUMENT);
    assert_non_null(strstr(orch_error_message(error), "a step's id must be"));
    orch_error_free(error);
}

static int32_t own_words(orch_builder *b, void *user_data, orch_error **err)
{
    (void)b;
    (void)user_data;
    return error_set(err, ORCH_E_NOT_FOUND, "file", "the file is not there");
}

static int32_t no_words(orch_builder *b, void *user_data, orch_error **err)
{
    (void)b;
    (void)err;
    return *(int32_t *)user_data;
}

static void a_builder_may_fail_by_itself(void **state)
{
    int32_t odd = 17;
    int32_t plain = ORCH_E_UNAVAILABLE;
    orch_error *error = NULL;
    definition *d = NULL;

    (void)state;
    assert_int_equal(build(own_words, NULL, &d, &error), ORCH_E_NOT_FOUND);
    assert_string_equal(orch_error_message(error), "the file is not there");
    orch_error_free(error);
    error = NULL;
    assert_int_equal(build(no_words, &plain, &d, &error), ORCH_E_UNAVAILABLE);
    assert_non_null(strstr(orch_error_message(error), "'w' failed with UNAVAILABLE"));
    orch_error_free(error);
    assert_int_equal(build(no_words, &odd, &d, NULL), ORCH_E_UNKNOWN);
}

static void nothing_is_taken_without_a_builder(void **state)
{
    (void)state;
    assert_null(orch_builder_step(NULL, "a", "noop", NULL));
    assert_int_equal(orch_builder_set(NULL, "output", "1"), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(orch_step_set(NULL, "when", "1"), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(orch_step_depends_on(NULL, "a"), ORCH_E_INVALID_ARGUMENT);
}

static void lack_of_memory_is_an_answer(void **state)
{
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;
    definition *d = NULL;

    (void)state;
    for (long n = 1; rc; n++) {
        orch_error *error = NULL;

        mem_fail_at(n, 1);
        rc = build(whole_language, NULL, &d, &error);
        mem_fail_at(0, 0);
        assert_true(rc == 0 || rc == ORCH_E_RESOURCE_EXHAUSTED);
        orch_error_free(error);
    }
    definition_unref(d);
}

static int32_t starve(orch_builder *b, void *user_data, orch_error **err)
{
    orch_step *step = orch_builder_step(b, "a", "noop", NULL);

    (void)err;
    mem_fail_at(*(long *)user_data, 0);
    orch_step_set(step, "for_each", "[1]");
    mem_fail_at(0, 0);
    return 0;
}

/* JSON that could not be looked at is not wrong. */
static void lack_of_memory_is_no_mistake(void **state)
{
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;
    definition *d = NULL;
    long n;

    (void)state;
    json_set_alloc_funcs(mem_alloc, mem_free);
    for (n = 1; rc; n++) {
        assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED);
        rc = build(starve, &n, &d, NULL);
    }
    assert_true(n > 3);
    definition_unref(d);
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_the_document_says),
        cmocka_unit_test(mistakes_are_kept),
        cmocka_unit_test(the_first_mistake_is_told),
        cmocka_unit_test(a_builder_may_fail_by_itself),
        cmocka_unit_test(nothing_is_taken_without_a_builder),
        cmocka_unit_test(lack_of_memory_is_an_answer),
        cmocka_unit_test(lack_of_memory_is_no_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
