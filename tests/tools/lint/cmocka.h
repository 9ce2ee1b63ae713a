/* For the linters, which find it before the real one: a check of cmocka's that fails does not come back, which the real
 * one keeps to itself. */
#ifndef LINT_CMOCKA_H
#define LINT_CMOCKA_H

#ifdef __clang__ /* cppcheck is shown no header of the system */
#    include_next <cmocka.h>
#endif

void _fail(const char *file, int line) __attribute__((noreturn));

#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), _fail(__FILE__, __LINE__))
#undef assert_true
#define assert_true(c) ((c) ? (void)0 : _fail(__FILE__, __LINE__))
#undef assert_non_null
#define assert_non_null(c) assert_true((c) != NULL)

#endif
