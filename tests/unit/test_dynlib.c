/* Optional libraries: the C library's own parts stand in for them, since they are always there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above before it. */
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base/dynlib.h"

static struct {
    double (*floor)(double);
    double (*nothing)(double);
} api;

static void test_loads_and_falls_back_to_the_next_name(void **state)
{
    static const dynlib_symbol symbols[] = {{"floor", &api.floor}, {NULL, NULL}};
    static dynlib lib = {.names = {"libabsent-of-test.so.7", "libm.so.6"}, .symbols = symbols};
    orch_error *err = NULL;

    (void)state;
    api.floor = NULL;
    assert_int_equal(dynlib_load(&lib, &err), 0);
    assert_null(err);
    assert_true(api.floor(2.5) < 2.1);
    api.floor = NULL; /* a second call has nothing to do */
    assert_int_equal(dynlib_load(&lib, &err), 0);
    assert_null(api.floor);
}

static void test_an_absent_library_is_named(void **state)
{
    static const dynlib_symbol symbols[] = {{NULL, NULL}};
    static dynlib lib = {.names = {"libabsent-of-test.so.7"}, .symbols = symbols};
    orch_error *err = NULL;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dynlib_load(&lib, &err), ORCH_E_UNIMPLEMENTED);
        assert_string_equal(orch_error_about(err), "libabsent-of-test.so.7");
        assert_non_null(strstr(orch_error_message(err), "libabsent-of-test.so.7 cannot be loaded"));
    }
    orch_error_free(err);
    assert_int_equal(dynlib_load(&lib, NULL), ORCH_E_UNIMPLEMENTED);
}

static void test_an_absent_symbol_is_named(void **state)
{
    static const dynlib_symbol symbols[] = {
        {"floor", &api.floor}, {"no_such_function", &api.nothing}, {NULL, NULL}};
    static dynlib lib = {.names = {"libm.so.6"}, .symbols = symbols};
    orch_error *err = NULL;

    (void)state;
    assert_int_equal(dynlib_load(&lib, &err), ORCH_E_UNIMPLEMENTED);
    assert_string_equal(orch_error_message(err),
                        "libm.so.6 has no no_such_function; a newer version is needed");
    assert_null(api.nothing);
    orch_error_free(err);
}

static struct {
    double (*ceil)(double);
} shared_api;
static const dynlib_symbol shared_symbols[] = {{"ceil", &shared_api.ceil}, {NULL, NULL}};
static dynlib shared_lib = {.names = {"libm.so.6"}, .symbols = shared_symbols};

static void *use(void *arg)
{
    double *out = arg;

    if (dynlib_load(&shared_lib, NULL) == 0)
        *out = shared_api.ceil(1.5);
    return NULL;
}

static void test_many_threads_load_at_once(void **state)
{
    pthread_t threads[8];
    double values[8] = {0};

    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, &values[i]), 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_true(values[i] > 1.9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads_and_falls_back_to_the_next_name),
        cmocka_unit_test(test_an_absent_library_is_named),
        cmocka_unit_test(test_an_absent_symbol_is_named),
        cmocka_unit_test(test_many_threads_load_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
