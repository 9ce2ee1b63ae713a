/* A locale that differs from C in all that can hurt, made on the spot: few machines have one. */
#ifndef TESTS_LOCALE_H
#define TESTS_LOCALE_H

/* Takes it for all of the process; fails the test if it cannot. setlocale(LC_ALL, "C") ends it. */
void locale_contrary(void);

#endif
