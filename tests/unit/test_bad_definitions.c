/* Every definition of tests/data/bad_definitions.txt is refused, at its place and in its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above before it. */
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workflow/definition.h"

#define FILE_NAME "tests/data/bad_definitions.txt"
#define ENOUGH    100

typedef struct bad_case {
    char name[128], at[512], says[768];
    char *document;
    size_t len;
} bad_case;

static char *line; /* of the file, without its end */
static size_t line_cap;
static FILE *file;

static bool next_line(void)
{
    ssize_t n = getline(&line, &line_cap, file);

    if (n > 0 && line[n - 1] == '\n')
        line[n - 1] = '\0';
    return n > 0;
}

static bool key_is(const char *key, char *out, size_t size)
{
    size_t len = strlen(key);

    if (strncmp(line, key, len) != 0)
        return false;
    snprintf(out, size, "%s", line + len);
    return true;
}

static void read_document(bad_case *c, bool steps_only)
{
    FILE *out = open_memstream(&c->document, &c->len);

    fputs(steps_only ? "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":[\n" : "", out);
    for (bool first = true; next_line() && *line; first = false)
        fprintf(out, "%s%s", first ? "" : "\n", line);
    fputs(steps_only ? "\n]}" : "", out);
    fclose(out);
}

static bool next_case(bad_case *c)
{
    memset(c, 0, sizeof *c);
    while (next_line()) {
        if (key_is("== ", c->name, sizeof c->name) || key_is("at: ", c->at, sizeof c->at) ||
            key_is("says: ", c->says, sizeof c->says))
            continue;
        if (!strncmp(line, "---", 3)) {
            read_document(c, !strcmp(line, "--- steps"));
            return true;
        }
    }
    return false;
}

static bool message_is(const bad_case *c, const char *message)
{
    char expected[2048];
    size_t len;

    snprintf(expected, sizeof expected, "%s%s%s", c->at, *c->at ? ": " : "", c->says);
    len = strlen(expected);
    if (len > 3 && !strcmp(expected + len - 3, "..."))
        return !strncmp(message, expected, len - 3);
    return !strcmp(message, expected);
}

static void check_case(const bad_case *c)
{
    definition *d = NULL;
    orch_error *err = NULL;
    int32_t rc = definition_parse(c->document, c->len, NULL, &d, &err);

    if (rc != ORCH_E_INVALID_ARGUMENT || d)
        fail_msg("%s: %d, not refused", c->name, rc);
    if (strcmp(orch_error_about(err), c->at) != 0 || !message_is(c, orch_error_message(err)))
        fail_msg("%s:\n  [%s] %s\nnot\n  [%s] %s", c->name, orch_error_about(err),
                 orch_error_message(err), c->at, c->says);
    orch_error_free(err);
    assert_int_equal(definition_parse(c->document, c->len, NULL, &d, NULL),
                     ORCH_E_INVALID_ARGUMENT);
}

static void test_each_is_refused_in_its_words(void **state)
{
    bad_case c;
    int count = 0;

    (void)state;
    file = fopen(FILE_NAME, "r");
    if (!file)
        fail_msg("%s: run from the project's folder", FILE_NAME);
    for (; next_case(&c); count++) {
        check_case(&c);
        free(c.document);
    }
    fclose(file);
    free(line);
    assert_true(count >= ENOUGH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_refused_in_its_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
