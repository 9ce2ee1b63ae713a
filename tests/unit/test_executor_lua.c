/* Lua steps: values, errors, budgets, stops, and the end while code runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/executor_harness.h"

static executor make(harness *h)
{
    executor e;

    assert_int_equal(executor_lua_new(harness_env(h), &e, NULL), 0);
    assert_true(e.ops->wants_scope);
    return e;
}

static void end(harness *h, executor *e, test_attempt *t)
{
    e->ops->free(e->self);
    harness_attempt_free(t);
    harness_free(h);
}

static void expect(const char *with, const char *output)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(h, "%s", with);
    json_t *got, *wanted = json_loads(output, JSON_DECODE_ANY, NULL);

    harness_run(&e, t);
    got = harness_output(t);
    if (!json_equal(got, wanted))
        fail_msg("%s gave %s", with, t->a.result.output ? t->a.result.output->data : "null");
    json_decref(got);
    json_decref(wanted);
    end(h, &e, t);
}

static void expect_failure(const char *with, int32_t code, bool retryable, const char *piece)
{
    harness *h = harness_new(1);
    executor e;
    test_attempt *t = with ? harness_attempt(h, "%s", with) : harness_attempt(h, NULL);

    harness_env(h)->lua_instructions = 100000;
    harness_env(h)->lua_memory_bytes = 1 << 20;
    e = make(h);
    harness_run(&e, t);
    harness_expect_failure(t, code, retryable, piece);
    end(h, &e, t);
}

static void test_values(void **state)
{
    (void)state;
    expect("{'code': 'return {n = input.n + 1, list = {1, 2}}'}", "{\"n\": 42, \"list\": [1, 2]}");
    expect("{'code': 'local x = 1'}", "null");
    expect("{'code': 'return execution.id'}", "\"e-1\"");
    expect("{'code': 'return input.x * 2', 'input': {'x': 4}}", "8");
}

static void test_wrong_input(void **state)
{
    (void)state;
    expect_failure(NULL, ORCH_E_INVALID_ARGUMENT, false, "lua needs `with`, an object");
    expect_failure("{}", ORCH_E_INVALID_ARGUMENT, false, "with.code: lua needs it");
    expect_failure("{'code': 1}", ORCH_E_INVALID_ARGUMENT, false, "with.code: it must be a string");
    expect_failure("{'code': '', 'args': 1}", ORCH_E_INVALID_ARGUMENT, false,
                   "with.args: lua has no such key");
}

static void test_errors(void **state)
{
    (void)state;
    expect_failure("{'code': 'return ]'}", ORCH_E_INVALID_ARGUMENT, false, "]");
    expect_failure("{'code': 'local a; return a.b'}", ORCH_E_INVALID_ARGUMENT, false, "nil");
    expect_failure("{'code': 'error{code=[[UNAVAILABLE]], message=[[try later]]}'}",
                   ORCH_E_UNAVAILABLE, true, "try later");
    expect_failure("{'code': 'error{code=[[NOT_FOUND]], message=[[no such sku]]}'}",
                   ORCH_E_NOT_FOUND, true, "no such sku");
    expect_failure("{'code': 'while true do end'}", ORCH_E_RESOURCE_EXHAUSTED, false,
                   "instruction");
    expect_failure("{'code': 'local t = {} for i = 1, 1e6 do t[i] = {i} end'}",
                   ORCH_E_RESOURCE_EXHAUSTED, false, "");
}

static void test_an_error_carries_data(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(
        h, "{'code': 'error{code=[[ABORTED]], message=[[late]], data={by=[[3 s]], n=2}}'}");

    (void)state;
    harness_run(&e, t);
    assert_string_equal(t->a.result.error->data, "{\"code\":\"ABORTED\",\"message\":\"late\","
                                                 "\"data\":{\"by\":\"3 s\",\"n\":2}}");
    end(h, &e, t);
}

/* Code that says that it runs, by asking for a secret, and goes on for ever. */
static json_t *note(void *ctx, const char *name, orch_error **err)
{
    (void)name;
    (void)err;
    atomic_store((atomic_int *)ctx, 1);
    return json_string("");
}

static test_attempt *start_endless(harness *h, executor *e)
{
    atomic_int running = 0;
    test_attempt *t = harness_attempt(h, "{'code': 'local s = secrets.S while true do end'}");

    t->scope.secret = note;
    t->scope.ctx = &running;
    harness_start(e, t);
    while (!atomic_load(&running))
        harness_turn(h);
    return t;
}

static void test_stopped_while_it_runs(void **state)
{
    harness *h = harness_new(1);
    executor e;
    test_attempt *t;

    (void)state;
    harness_env(h)->lua_instructions = (uint64_t)1 << 50;
    e = make(h);
    t = start_endless(h, &e);
    harness_stop(&e, t, ORCH_E_DEADLINE_EXCEEDED);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_DEADLINE_EXCEEDED, true, "did not end in time");
    end(h, &e, t);
}

static void test_stopped_before_it_began(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(h, "{'code': 'return 1'}");

    (void)state;
    harness_hold_pool(h, true);
    harness_start(&e, t);
    harness_stop(&e, t, ORCH_E_CANCELLED);
    harness_hold_pool(h, false);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_CANCELLED, true, "had not begun, was cancelled");
    end(h, &e, t);
}

static void test_freed_while_code_runs_and_waits(void **state)
{
    harness *h = harness_new(1);
    executor e;
    test_attempt *t;
    test_attempt *queued = harness_attempt(h, "{'code': 'return 1'}");

    (void)state;
    harness_env(h)->lua_instructions = (uint64_t)1 << 50;
    e = make(h);
    t = start_endless(h, &e);
    harness_start(&e, queued);
    harness_stop(&e, t, ORCH_E_CANCELLED);
    harness_stop(&e, queued, ORCH_E_CANCELLED);
    e.ops->free(e.self);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_CANCELLED, true, "was cancelled");
    harness_wait(queued);
    harness_expect_failure(queued, ORCH_E_CANCELLED, true, "before the code began");
    harness_attempt_free(t); /* no code looks at it any more */
    harness_attempt_free(queued);
    harness_free(h);
}

static void test_a_full_and_a_stopping_pool(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(h, "{'code': 'return 1'}");
    test_attempt *queued = harness_attempt(h, "{'code': 'return 1'}");

    (void)state;
    harness_refuse_submissions(h, 1);
    harness_start(&e, t);
    assert_int_equal(t->completions, 1);
    harness_expect_failure(t, ORCH_E_RESOURCE_EXHAUSTED, true, "task pool is full");
    harness_hold_pool(h, true);
    harness_start(&e, queued);
    harness_stop_pool(h);
    harness_wait(queued);
    harness_expect_failure(queued, ORCH_E_CANCELLED, true, "before the code began");
    harness_attempt_free(queued);
    end(h, &e, t);
}

static void test_many_at_once(void **state)
{
    harness *h = harness_new(4);
    executor e = make(h);
    test_attempt *t[100];

    (void)state;
    for (int i = 0; i < 100; i++) {
        t[i] = harness_attempt(h, "{'code': 'local s = 0 for i = 1, %d do s = s + i end return s'}",
                               i);
        harness_start(&e, t[i]);
    }
    for (int i = 0; i < 100; i++) {
        harness_wait(t[i]);
        assert_int_equal(atoi(t[i]->a.result.output->data), i * (i + 1) / 2);
        harness_attempt_free(t[i]);
    }
    e.ops->free(e.self);
    harness_free(h);
}

static void test_lack_of_memory(void **state)
{
    int32_t rc = 1;

    (void)state;
    for (long n = 1; rc; n++) {
        harness *h = harness_new(1);
        executor e = {0};

        mem_fail_at(n, 1);
        rc = executor_lua_new(harness_env(h), &e, NULL);
        mem_fail_at(0, 0);
        assert_true(rc == 0 || rc == ORCH_E_RESOURCE_EXHAUSTED);
        if (!rc)
            e.ops->free(e.self);
        harness_free(h);
    }
    rc = 1;
    for (long n = 1; rc; n++) {
        harness *h = harness_new(1);
        executor e = make(h);
        test_attempt *t = harness_attempt(h, "{'code': 'return {1}'}");

        mem_fail_at(n, 1);
        harness_run(&e, t);
        mem_fail_at(0, 0);
        rc = t->a.result.code;
        if (rc)
            assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED);
        end(h, &e, t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_wrong_input),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_an_error_carries_data),
        cmocka_unit_test(test_stopped_while_it_runs),
        cmocka_unit_test(test_stopped_before_it_began),
        cmocka_unit_test(test_freed_while_code_runs_and_waits),
        cmocka_unit_test(test_a_full_and_a_stopping_pool),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
