/* Goal: the programs that docs/migrating-from-v1.md shows do the same, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "support/example.h"

static void says_hello(const char *name)
{
    static const char *const none[] = {NULL};
    example e;

    example_start(&e, name, none);
    assert_int_equal(example_end(&e), 0);
    assert_string_equal(e.text, "Hello \"world\"\nsucceeded\n");
}

static void by_v1(void **state)
{
    (void)state;
    says_hello("hello-v1");
}

static void by_v2(void **state)
{
    (void)state;
    says_hello("hello-v2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_v1),
        cmocka_unit_test(by_v2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
