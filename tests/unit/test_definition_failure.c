/* Goal: what a definition says about failures becomes what a run goes by: compensate, on_failure, continue_on_failure,
 * heartbeat_timeout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above before it. */
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "workflow/definition.h"

static definition *parsed(const char *text)
{
    definition *d = NULL;
    orch_error *err = NULL;

    if (definition_parse(text, strlen(text), NULL, &d, &err))
        fail_msg("%s: %s", text, orch_error_message(err));
    return d;
}

#define WORKFLOW(more, steps) "{\"id\":\"w\",\"version\":\"1.0.0\"" more ",\"steps\":[" steps "]}"

static const char saga[] = WORKFLOW(
    ",\"on_failure\":{\"executor\":\"tell\",\"timeout\":\"1m\",\"retry\":{},"
    "\"with\":{\"all\":\"${steps.c.error}\"}}",
    "{\"id\":\"a\",\"executor\":\"book\",\"compensate\":{\"executor\":\"cancel\","
    "\"with\":{\"id\":\"${steps.a.output.id}\",\"later\":\"${steps.c.status}\"},"
    "\"retry\":{\"max_attempts\":7,\"initial_interval\":\"5m\"},\"timeout\":\"3s\"}},"
    "{\"id\":\"b\",\"executor\":\"book\",\"depends_on\":[\"a\"],"
    "\"compensate\":{\"executor\":\"lua\",\"when_failed\":true,"
    "\"with\":{\"code\":\"return '${}'\"}}},"
    "{\"id\":\"c\",\"executor\":\"noop\",\"depends_on\":[\"b\"]}");

static void handlers_are_read(void **state)
{
    definition *d = parsed(saga);
    const handler *h = d->steps[0].extra->compensate;

    (void)state;
    assert_true(d->compensates);
    assert_string_equal(d->executors[h->executor], "cancel");
    assert_int_equal(h->timeout_ms, 3000);
    assert_int_equal(h->retry.max_attempts, 7);
    assert_int_equal(h->retry.max_interval_ms, 300000); /* the default gives way */
    assert_false(h->when_failed);
    assert_int_equal(d->steps[0].extra->retry.max_attempts, 1);
    assert_int_equal(d->steps[0].extra->timeout_ms, 0);
    h = d->steps[1].extra->compensate;
    assert_true(h->when_failed);
    assert_int_equal(h->retry.max_attempts, 1);
    assert_int_equal(h->timeout_ms, 0);
    assert_null(d->steps[2].extra);
    h = d->on_failure;
    assert_string_equal(d->executors[h->executor], "tell");
    assert_int_equal(h->timeout_ms, 60000);
    assert_int_equal(h->retry.max_attempts, 3);
    definition_unref(d);
}

static void assert_refers(const definition *d, const template *t, const char *ids)
{
    char got[64] = "";
    size_t count;
    bool all;
    const uint32_t *steps = template_steps(t, &count, &all);

    for (size_t i = 0; i < count; i++)
        strcat(strcat(got, i ? " " : ""), d->steps[steps[i]].id);
    assert_string_equal(got, ids);
    assert_false(all);
}

/* By then each step has ended or never will: its own, those after it, those beside it. */
static void handlers_may_refer_to_every_step(void **state)
{
    definition *d = parsed(saga);

    (void)state;
    assert_refers(d, d->steps[0].extra->compensate->with, "a c");
    assert_refers(d, d->on_failure->with, "c");
    definition_unref(d);
}

static void code_of_a_handler_is_not_a_template(void **state)
{
    definition *d = parsed(saga);
    json_t *with = template_constant(d->steps[1].extra->compensate->with);

    (void)state;
    assert_non_null(with);
    assert_string_equal(json_string_value(json_object_get(with, "code")), "return '${}'");
    definition_unref(d);
}

static void executors_of_handlers_are_listed(void **state)
{
    definition *d = parsed(saga);
    bool tell = false, cancel = false;

    (void)state;
    assert_int_equal(d->executor_count, 5); /* tell, book, cancel, lua, noop */
    for (uint32_t i = 0; i < d->executor_count; i++) {
        tell = tell || !strcmp(d->executors[i], "tell");
        cancel = cancel || !strcmp(d->executors[i], "cancel");
    }
    assert_true(tell && cancel);
    definition_unref(d);
}

static void without_any_there_is_none(void **state)
{
    definition *d = parsed(WORKFLOW("", "{\"id\":\"a\",\"executor\":\"x\",\"timeout\":\"1s\"}"));

    (void)state;
    assert_false(d->compensates);
    assert_null(d->on_failure);
    assert_null(d->steps[0].extra->compensate);
    assert_false(d->steps[0].extra->continue_on_failure);
    assert_int_equal(d->steps[0].extra->heartbeat_ms, 0);
    definition_unref(d);
}

static void a_handler_needs_no_with(void **state)
{
    definition *d = parsed(WORKFLOW(",\"on_failure\":{\"executor\":\"tell\",\"with\":null}",
                                    "{\"id\":\"a\",\"executor\":\"x\",\"compensate\":{"
                                    "\"executor\":\"y\",\"when_failed\":false}}"));

    (void)state;
    assert_null(d->on_failure->with);
    assert_null(d->steps[0].extra->compensate->with);
    definition_unref(d);
}

static void an_item_is_there_to_be_undone(void **state)
{
    definition *d = parsed(WORKFLOW("", "{\"id\":\"a\",\"executor\":\"x\",\"for_each\":[1,2],"
                                        "\"compensate\":{\"executor\":\"y\",\"with\":{"
                                        "\"item\":\"${item}\",\"i\":\"${index}\"}}}"));

    (void)state;
    assert_non_null(d->steps[0].extra->for_each);
    assert_refers(d, d->steps[0].extra->compensate->with, "");
    assert_null(template_constant(d->steps[0].extra->compensate->with));
    definition_unref(d);
}

static void secrets_may_go_where_they_are_not_stored(void **state)
{
    definition *d = parsed(WORKFLOW(
        ",\"on_failure\":{\"executor\":\"http\",\"with\":{\"url\":\"http://a\",\"headers\":{"
        "\"K\":\"${secrets.K}\"}}}",
        "{\"id\":\"a\",\"executor\":\"x\",\"compensate\":{\"executor\":\"y\","
        "\"with\":\"${secrets.K}\"}}"));

    (void)state;
    assert_true(template_has_secrets(d->on_failure->with));
    assert_true(template_has_secrets(d->steps[0].extra->compensate->with));
    definition_unref(d);
}

static void a_sub_workflow_and_a_wait_can_be_undone(void **state)
{
    definition *d = parsed(WORKFLOW(
        "", "{\"id\":\"a\",\"executor\":\"workflow\",\"with\":{\"workflow\":\"${input.which}\"},"
            "\"compensate\":{\"executor\":\"y\"}},"
            "{\"id\":\"b\",\"executor\":\"wait\",\"with\":{\"signal\":\"s\"},"
            "\"compensate\":{\"executor\":\"y\"},\"continue_on_failure\":true}"));

    (void)state;
    assert_int_equal(d->steps[0].kind, STEP_WORKFLOW);
    assert_non_null(d->steps[0].extra->compensate);
    assert_int_equal(d->steps[1].kind, STEP_WAIT);
    assert_non_null(d->steps[1].extra->compensate);
    assert_true(d->steps[1].extra->continue_on_failure);
    definition_unref(d);
}

static void extras_are_shared_by_steps_that_are_alike(void **state)
{
    definition *d = parsed(
        WORKFLOW("", "{\"id\":\"a\",\"executor\":\"x\",\"heartbeat_timeout\":\"5s\"},"
                     "{\"id\":\"b\",\"executor\":\"x\",\"heartbeat_timeout\":\"5000ms\"},"
                     "{\"id\":\"c\",\"executor\":\"x\",\"heartbeat_timeout\":\"6s\"},"
                     "{\"id\":\"d\",\"executor\":\"x\",\"heartbeat_timeout\":\"6s\","
                     "\"continue_on_failure\":true},"
                     "{\"id\":\"e\",\"executor\":\"x\",\"heartbeat_timeout\":\"6s\","
                     "\"continue_on_failure\":true,\"compensate\":{\"executor\":\"y\"}},"
                     "{\"id\":\"f\",\"executor\":\"x\",\"heartbeat_timeout\":\"6s\","
                     "\"continue_on_failure\":true},"
                     "{\"id\":\"g\",\"executor\":\"x\",\"continue_on_failure\":false}"));
    const step *s = d->steps;

    (void)state;
    assert_int_equal(s[0].extra->heartbeat_ms, 5000);
    assert_ptr_equal(s[0].extra, s[1].extra);
    assert_ptr_not_equal(s[1].extra, s[2].extra);
    assert_ptr_not_equal(s[2].extra, s[3].extra);
    assert_true(s[3].extra->continue_on_failure);
    assert_ptr_not_equal(s[3].extra, s[4].extra);
    assert_ptr_equal(s[3].extra, s[5].extra);
    assert_null(s[5].extra->compensate);
    assert_null(s[6].extra);
    definition_unref(d);
}

static void lack_of_memory(void **state)
{
    definition *d = NULL;
    orch_error *err = NULL;
    long n = 0, asked_for;

    (void)state;
    do {
        int32_t rc;

        mem_fail_at(++n, 0);
        rc = definition_parse(saga, strlen(saga), NULL, &d, &err);
        asked_for = mem_count();
        mem_fail_at(0, 0);
        assert_true(rc == 0 || rc == ORCH_E_RESOURCE_EXHAUSTED);
        assert_true((rc == 0) == (d != NULL) && (rc != 0) == (err != NULL));
        definition_unref(d);
        orch_error_free(err);
        d = NULL;
        err = NULL;
    } while (asked_for >= n);
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_are_read),
        cmocka_unit_test(handlers_may_refer_to_every_step),
        cmocka_unit_test(code_of_a_handler_is_not_a_template),
        cmocka_unit_test(executors_of_handlers_are_listed),
        cmocka_unit_test(without_any_there_is_none),
        cmocka_unit_test(a_handler_needs_no_with),
        cmocka_unit_test(an_item_is_there_to_be_undone),
        cmocka_unit_test(secrets_may_go_where_they_are_not_stored),
        cmocka_unit_test(a_sub_workflow_and_a_wait_can_be_undone),
        cmocka_unit_test(extras_are_shared_by_steps_that_are_alike),
        cmocka_unit_test(lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
