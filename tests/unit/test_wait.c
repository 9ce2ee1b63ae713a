/* Goal: an evaluated `with` of a wait becomes a moment or a signal, or an error that names step and key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above before it. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "workflow/wait.h"

#define NOW 1700000000000

static json_t *json(const char *text)
{
    json_t *tree = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(tree);
    return tree;
}

static wait_spec read_spec(const char *text)
{
    json_t *with = json(text);
    orch_error *err = NULL;
    wait_spec s = {-7, NULL};

    if (wait_spec_read(with, "w", NOW, &s, &err))
        fail_msg("%s: %s", text, orch_error_message(err));
    json_decref(with);
    return s;
}

static void times(void **state)
{
    static const struct {
        const char *with;
        int64_t due_ms;
    } rows[] = {
        {"{\"duration\":\"1h30m\"}", NOW + 5400000},
        {"{\"duration\":\"0\"}", NOW},
        {"{\"duration\":\"1ms\",\"until\":null,\"signal\":null,\"timeout\":null}", NOW + 1},
        {"{\"until\":\"2026-03-29T08:00:00.25+02:00\"}", 1774764000250},
        {"{\"until\":\"1969-12-31T00:00:00Z\"}", 1}, /* long ago; 0 would be never */
        {"{\"until\":1774764000250}", 1774764000250},
        {"{\"until\":1774764000249.5}", 1774764000250},
        {"{\"until\":0}", 1},
        {"{\"until\":-5}", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wait_spec s = read_spec(rows[i].with);

        assert_int_equal(s.due_ms, rows[i].due_ms);
        assert_null(s.signal);
    }
}

static void signals(void **state)
{
    static const struct {
        const char *with, *signal;
        int64_t due_ms;
    } rows[] = {
        {"{\"signal\":\"paid\"}", "{\"signal\":\"paid\"}", 0},
        {"{\"signal\":\"paid\",\"timeout\":\"3d\"}", "{\"signal\":\"paid\"}", NOW + 259200000},
        {"{\"signal\":\"paid\",\"correlation\":\"o/1\"}",
         "{\"correlation\":\"o/1\",\"signal\":\"paid\"}", 0},
        {"{\"signal\":\"paid\",\"correlation\":9007199254740993,\"timeout\":null}",
         "{\"correlation\":9007199254740993,\"signal\":\"paid\"}", 0},
        {"{\"signal\":\"a.b\",\"correlation\":false,\"timeout\":\"1ms\"}",
         "{\"correlation\":false,\"signal\":\"a.b\"}", NOW + 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wait_spec s = read_spec(rows[i].with);

        assert_string_equal(s.signal->data, rows[i].signal);
        assert_int_equal(s.due_ms, rows[i].due_ms);
        bytes_unref(s.signal);
    }
}

static void mistakes(void **state)
{
    static const struct {
        const char *with, *about, *message;
    } rows[] = {
        {"{}", "/with",
         "step 'w': /with: must have exactly one of duration, until and signal, not none"},
        {"[]", "/with", "step 'w': /with: must be an object, not a list"},
        {"{\"duration\":\"1s\",\"signal\":\"x\"}", "/with",
         "step 'w': /with: must have exactly one of duration, until and signal, not several"},
        {"{\"duration\":5}", "/with/duration",
         "step 'w': /with/duration: must be a duration such as \"200ms\", \"5s\", \"10m\", "
         "\"1h30m\" or \"3d\", not an integer"},
        {"{\"until\":\"today\"}", "/with/until",
         "step 'w': /with/until: 'today' is not a time with its offset such as "
         "\"2026-03-29T08:00:00+02:00\" or \"2026-03-29T06:00:00Z\", or a number: milliseconds "
         "since 1970"},
        {"{\"until\":1e300}", "/with/until",
         "step 'w': /with/until: lies beyond the year 9999; a number is milliseconds since 1970"},
        {"{\"signal\":\"${x}\"}", "/with/signal",
         "step 'w': /with/signal: '${x}' is not a name: 1 to 128 letters, digits, '_', '-' and "
         "'.', the first of them no '-' or '.'"},
        /* A template that found nothing must not make the wait take any signal. */
        {"{\"signal\":\"x\",\"correlation\":null}", "/with/correlation",
         "step 'w': /with/correlation: must be a string, a number or a boolean, not null; without "
         "it any signal of that name is taken"},
        {"{\"signal\":\"x\",\"correlation\":{}}", "/with/correlation",
         "step 'w': /with/correlation: must be a string, a number or a boolean, not an object"},
        {"{\"duration\":\"1s\",\"timeout\":\"1s\"}", "/with/timeout",
         "step 'w': /with/timeout: is of use only together with signal"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *with = json(rows[i].with);
        orch_error *err = NULL;
        wait_spec s = {-7, NULL};

        assert_int_equal(wait_spec_read(with, "w", NOW, &s, &err), ORCH_E_INVALID_ARGUMENT);
        assert_string_equal(orch_error_message(err), rows[i].message);
        assert_string_equal(orch_error_about(err), rows[i].about);
        assert_int_equal(s.due_ms, -7);
        orch_error_free(err);
        json_decref(with);
    }
}

static void what_was_stored_is_read(void **state)
{
    wait_spec with = read_spec("{\"signal\":\"paid\",\"correlation\":\"\\u00e9\"}");
    wait_spec without = read_spec("{\"signal\":\"paid\"}");
    bytes *bad = bytes_new("{\"signal\":7}", 12), *correlation = NULL;
    orch_error *err = NULL;
    char *name = NULL;

    (void)state;
    assert_int_equal(wait_signal_read(with.signal, &name, &correlation, NULL), 0);
    assert_string_equal(name, "paid");
    assert_string_equal(correlation->data, "\"\xc3\xa9\"");
    mem_free(name);
    bytes_unref(correlation);
    assert_int_equal(wait_signal_read(without.signal, &name, &correlation, NULL), 0);
    assert_string_equal(name, "paid");
    assert_null(correlation);
    mem_free(name);
    assert_int_equal(wait_signal_read(bad, &name, &correlation, &err), ORCH_E_DATA_LOSS);
    orch_error_free(err);
    bytes_unref(bad);
    bytes_unref(with.signal);
    bytes_unref(without.signal);
}

static void lack_of_memory(void **state)
{
    json_t *with;
    wait_spec s = {0};
    int32_t rc;

    (void)state;
    json_set_alloc_funcs(mem_alloc, mem_free);
    with = json("{\"signal\":\"paid\",\"correlation\":\"c\"}");
    for (long n = 1;; n++) {
        orch_error *err = NULL;

        mem_fail_at(n, 0);
        rc = wait_spec_read(with, "w", NOW, &s, &err);
        mem_fail_at(0, 0);
        if (!rc)
            break;
        assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED);
        assert_null(s.signal);
        orch_error_free(err);
    }
    for (long n = 1;; n++) {
        bytes *correlation = NULL;
        char *name = NULL;

        mem_fail_at(n, 0);
        rc = wait_signal_read(s.signal, &name, &correlation, NULL);
        mem_fail_at(0, 0);
        mem_free(name);
        bytes_unref(correlation);
        if (!rc)
            break;
        /* jansson takes some failures for wrong tokens. */
        assert_true(rc == ORCH_E_RESOURCE_EXHAUSTED || rc == ORCH_E_DATA_LOSS);
        assert_true(!name && !correlation);
    }
    bytes_unref(s.signal);
    json_decref(with);
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),          cmocka_unit_test(signals),
        cmocka_unit_test(mistakes),       cmocka_unit_test(what_was_stored_is_read),
        cmocka_unit_test(lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
