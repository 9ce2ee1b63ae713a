#include "support/locale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA "tests/data/locale/"

/* localedef warns of each category that is not described, and exits with 1 for a warning: whether
 * the locale is good is seen when it is taken. */
static void compile(const char *folder)
{
    char log[4200], said[2000] = "";
    FILE *f;

    if (system("localedef --no-archive -c -f " DATA "latin1.charmap -i " DATA "contrary.locale"
               " \"$LOCPATH/contrary\" >\"$LOCPATH/log\" 2>&1") != -1 &&
        setlocale(LC_ALL, "contrary"))
        return;
    snprintf(log, sizeof log, "%s/log", folder);
    if ((f = fopen(log, "r"))) {
        said[fread(said, 1, sizeof said - 1, f)] = '\0';
        fclose(f);
    }
    fail_msg("localedef made no locale: %s", said);
}

void locale_contrary(void)
{
    const char *tmp = getenv("TMPDIR");
    char folder[4096], number[8];

    assert_true(snprintf(folder, sizeof folder, "%s/locale-XXXXXX", tmp && *tmp ? tmp : "/tmp") <
                4096);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(setenv("LOCPATH", folder, 1), 0);
    compile(folder);
    snprintf(number, sizeof number, "%.1f", 1.5);
    assert_string_equal(number, "1,5");
    assert_true(strcoll("b", "a") < 0);
    assert_int_equal(tolower(0xc4), 0xe4);
}
