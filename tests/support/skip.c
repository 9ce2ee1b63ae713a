#include "support/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

_Noreturn void skip_because(const char *why)
{
    print_message("skipped: %s\n", why);
    skip();
    abort(); /* skip() does not say that it does not return */
}

static void all_of_it(void **state)
{
    skip_because(*state);
}

int skip_program(const char *why)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(all_of_it, (void *)(uintptr_t)why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
