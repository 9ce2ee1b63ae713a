/* A test that this build has no use for says why; the runner shows it. */
#ifndef TESTS_SKIP_H
#define TESTS_SKIP_H

/* Ends the test. */
_Noreturn void skip_because(const char *why);
/* A program of which no test can run: one test, skipped. Returns 0. */
int skip_program(const char *why);

#endif
