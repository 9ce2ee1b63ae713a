/* Results, errors as JSON, keys of `with`, and noop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "executor/executor_impl.h"
#include "support/executor_harness.h"

static void expect_text(bytes *b, const char *text)
{
    assert_non_null(b);
    assert_string_equal(b->data, text);
    assert_int_equal(b->len, strlen(text));
    bytes_unref(b);
}

static void test_error_json(void **state)
{
    json_t *data = json_pack("{s:i}", "exit_code", 3);

    (void)state;
    expect_text(error_json(ORCH_E_NOT_FOUND, "no \"x\"", data),
                "{\"code\":\"NOT_FOUND\",\"message\":\"no \\\"x\\\"\",\"data\":{\"exit_code\":3}}");
    expect_text(error_json(ORCH_E_ABORTED, NULL, NULL),
                "{\"code\":\"ABORTED\",\"message\":\"ABORTED\"}");
    expect_text(error_json(ORCH_E_UNKNOWN,
                           "a\xff"
                           "b\xc3\xa4",
                           NULL),
                "{\"code\":\"UNKNOWN\",\"message\":\"a\xef\xbf\xbd"
                "b\xc3\xa4\"}");
    json_decref(data);
}

static void test_error_json_without_memory(void **state)
{
    json_t *data = json_pack("{s:s}", "a", "b");
    bytes *b = NULL;

    (void)state;
    for (long n = 1; !b; n++) {
        mem_fail_at(n, 1);
        b = error_json(ORCH_E_UNKNOWN, "x\xff", data);
        mem_fail_at(0, 0);
        assert_true(n < 20);
    }
    expect_text(b, "{\"code\":\"UNKNOWN\",\"message\":\"x\xef\xbf\xbd\",\"data\":{\"a\":\"b\"}}");
    json_decref(data);
}

static void clean(const char *in, size_t len, const char *out)
{
    buf b = BUF_INIT;

    output_add_clean(&b, in, len);
    assert_string_equal(b.data, out);
    buf_free(&b);
}

#define BAD "\xef\xbf\xbd"
static void test_clean_text(void **state)
{
    (void)state;
    clean("plain", 5, "plain");
    clean("", 0, "");
    clean("a\0b", 3, "a" BAD "b");
    clean("\xf0\x9f\x98\x80!", 5, "\xf0\x9f\x98\x80!");
    clean("\xf0\x9f\x98", 3, BAD BAD BAD); /* cut off */
    clean("\xc0\xaf", 2, BAD BAD);         /* overlong */
    clean("\xff\xc3\xa4\x80", 4, BAD "\xc3\xa4" BAD);
}

static void test_check_json(void **state)
{
    orch_error *err = NULL;
    char deep[2 * JSON_MAX_DEPTH + 3] = {0};

    (void)state;
    assert_int_equal(output_check_json("x", "{\"a\":[1,\"]]}\"]}", 15, &err), 0);
    assert_int_equal(output_check_json("the output", "{\"a\":", 5, &err), ORCH_E_INVALID_ARGUMENT);
    assert_non_null(strstr(orch_error_message(err), "the output is not JSON"));
    assert_int_equal(output_check_json("x", "1, 2", 4, &err), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(output_check_json("x", "", 0, &err), ORCH_E_INVALID_ARGUMENT);
    memset(deep, '[', JSON_MAX_DEPTH);
    memset(deep + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
    assert_int_equal(output_check_json("x", deep, strlen(deep), &err), 0);
    memset(deep, '[', JSON_MAX_DEPTH + 1);
    memset(deep + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
    assert_int_equal(output_check_json("x", deep, strlen(deep), &err), ORCH_E_INVALID_ARGUMENT);
    assert_non_null(strstr(orch_error_message(err), "512 levels"));
    orch_error_free(err);
}

static void test_scalars(void **state)
{
    char room[SCALAR_SIZE];
    json_t *v = json_loads(
        "[\"s\", 12, -9223372036854775808, 0.1, 1e300, true, false, null, [], \"\\u0001\"]", 0,
        NULL);
    json_t *nul = json_stringn("a\0b", 3);
    const char *const expected[] = {
        "s", "12", "-9223372036854775808", "0.1", "1e+300", "true", "false", NULL, NULL, "\x01"};

    (void)state;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const char *text = with_scalar(json_array_get(v, i), room);

        if (expected[i])
            assert_string_equal(text, expected[i]);
        else
            assert_null(text);
    }
    assert_null(with_scalar(nul, room));
    assert_null(with_scalar(NULL, room));
    json_decref(nul);
    json_decref(v);
}

static void refused(int32_t rc, orch_error **err, const char *message)
{
    assert_int_equal(rc, ORCH_E_INVALID_ARGUMENT);
    assert_string_equal(orch_error_message(*err), message);
    orch_error_free(*err);
    *err = NULL;
}

static void test_keys_of_with(void **state)
{
    static const char *const known[] = {"t", "b", "n", "d", "c", NULL};
    json_t *w = json_loads("{\"t\":\"x\",\"b\":true,\"n\":5,\"d\":\"2s\",\"c\":[1,2]}", 0, NULL);
    json_t *bad = json_loads("{\"t\":1,\"b\":0,\"n\":11,\"d\":\"soon\",\"c\":[1,\"2\"],\"zz\":1}",
                             0, NULL);
    json_t *null = json_loads("{\"t\":null,\"c\":null}", 0, NULL);
    const char *text = "kept";
    bool flag = false;
    uint32_t n = 0;
    int64_t ms = 0;
    const json_t *codes = NULL;
    orch_error *err = NULL;

    (void)state;
    assert_int_equal(with_check(w, "exec", known, &err), 0);
    assert_int_equal(with_text(null, "t", &text, &err), 0);
    assert_string_equal(text, "kept");
    assert_int_equal(with_text(w, "t", &text, &err), 0);
    assert_string_equal(text, "x");
    assert_int_equal(with_bool(w, "b", &flag, &err), 0);
    assert_true(flag);
    assert_int_equal(with_count(w, "n", 1, 10, &n, &err), 0);
    assert_int_equal(n, 5);
    assert_int_equal(with_duration_ms(w, "d", &ms, &err), 0);
    assert_int_equal(ms, 2000);
    assert_int_equal(with_codes(w, "c", 0, 9, &codes, &err), 0);
    assert_true(with_codes_have(codes, 2));
    assert_false(with_codes_have(codes, 3));
    assert_int_equal(with_codes(null, "c", 0, 9, &codes, &err), 0);
    assert_null(codes);

    refused(with_check(NULL, "exec", known, &err), &err, "exec needs `with`, an object");
    refused(with_check(bad, "exec", known, &err), &err,
            "with.zz: exec has no such key; it knows t, b, n, d, c");
    refused(with_text(bad, "t", &text, &err), &err, "with.t: it must be a string");
    refused(with_bool(bad, "b", &flag, &err), &err, "with.b: it must be true or false");
    refused(with_count(bad, "n", 1, 10, &n, &err), &err,
            "with.n: it must be a whole number from 1 to 10");
    refused(with_duration_ms(bad, "d", &ms, &err), &err,
            "with.d: it must be a duration above zero such as \"200ms\", \"5s\" or \"10m\"");
    refused(with_codes(bad, "c", 0, 9, &codes, &err), &err,
            "with.c: entry 1 must be a whole number from 0 to 9");
    refused(with_codes(bad, "t", 0, 9, &codes, &err), &err,
            "with.t: it must be a list of at least one number");
    json_decref(w);
    json_decref(bad);
    json_decref(null);
}

static void captured(enum capture_as as, const char *data, size_t len, const char *out)
{
    orch_error *err = NULL;
    buf b = BUF_INIT;
    int32_t rc = capture_add(&b, as, "stdout", data, len, &err);

    if (out) {
        assert_int_equal(rc, 0);
        assert_string_equal(b.data, out);
    } else {
        assert_int_equal(rc, ORCH_E_INVALID_ARGUMENT);
    }
    orch_error_free(err);
    buf_free(&b);
}

static void test_captured_output(void **state)
{
    (void)state;
    captured(CAPTURE_TEXT, "a\n", 2, "\"a\\n\"");
    captured(CAPTURE_TEXT, "", 0, "\"\"");
    captured(CAPTURE_TEXT, "\xff", 1, NULL);
    captured(CAPTURE_TEXT, "a\0b", 3, NULL);
    captured(CAPTURE_JSON, " {\"a\": 1}\n", 10, " {\"a\": 1}\n");
    captured(CAPTURE_JSON, "{", 1, NULL);
    captured(CAPTURE_BASE64, "\xff\0b", 3, "\"/wBi\"");
    captured(CAPTURE_BASE64, "", 0, "\"\"");
    captured(CAPTURE_BASE64, "ab", 2, "\"YWI=\"");
}

static void test_noop_gives_back_its_input(void **state)
{
    harness *h = harness_new(0);
    test_attempt *with = harness_attempt(h, "{'a': [1, null, 'x'], 'n': 9007199254740993}");
    test_attempt *without = harness_attempt(h, NULL);
    test_attempt *large;
    char text[5000];
    executor e;

    (void)state;
    assert_int_equal(executor_noop_new(&e, NULL), 0);
    assert_true(e.ops->immediate);
    harness_run(&e, with);
    assert_string_equal(with->a.result.output->data,
                        "{\"a\":[1,null,\"x\"],\"n\":9007199254740993}");
    harness_run(&e, without);
    assert_null(without->a.result.output);
    assert_int_equal(without->a.result.code, 0);

    memset(text, 'x', sizeof text);
    large = harness_attempt_json(h, json_stringn(text, sizeof text));
    harness_run(&e, large);
    assert_int_equal(large->a.result.output->len, sizeof text + 2);

    e.ops->free(e.self);
    harness_attempt_free(with);
    harness_attempt_free(without);
    harness_attempt_free(large);
    harness_free(h);
}

static void test_noop_without_memory(void **state)
{
    harness *h = harness_new(0);
    test_attempt *t = harness_attempt(h, "1");
    executor e;

    (void)state;
    executor_noop_new(&e, NULL);
    mem_fail_at(1, 1);
    harness_start(&e, t);
    mem_fail_at(0, 0);
    assert_int_equal(t->a.result.code, ORCH_E_RESOURCE_EXHAUSTED);
    assert_false(t->a.result.no_retry);
    assert_null(t->a.result.error);
    harness_attempt_free(t);
    harness_free(h);
}

static void test_attempt_fail(void **state)
{
    harness *h = harness_new(0);
    test_attempt *t = harness_attempt(h, NULL);

    (void)state;
    attempt_fail(&t->a, ORCH_E_ABORTED, true, "item %d of %s", 3, "four");
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_ABORTED, false, "item 3 of four");
    harness_attempt_free(t);
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_json),
        cmocka_unit_test(test_error_json_without_memory),
        cmocka_unit_test(test_clean_text),
        cmocka_unit_test(test_check_json),
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_keys_of_with),
        cmocka_unit_test(test_captured_output),
        cmocka_unit_test(test_noop_gives_back_its_input),
        cmocka_unit_test(test_noop_without_memory),
        cmocka_unit_test(test_attempt_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
