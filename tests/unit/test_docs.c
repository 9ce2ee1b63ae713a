/* Goal: what the documents show is so: the README's program is the example, every definition of docs/definition.md is a good one, every
 * link leads somewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <orch/orch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/file.h"
#include "support/skip.h"

static const char *const documents[] = {
    "README.md",
    "docs/architecture.md",
    "docs/configuration.md",
    "docs/definition.md",
    "docs/executors.md",
    "docs/expressions.md",
    "docs/guarantees.md",
    "docs/store.md",
    "docs/cookbook.md",
    "docs/embedding.md",
    "docs/executions.md",
    "docs/export.md",
    "docs/migrating-from-v1.md",
    "docs/subworkflows.md",
    "docs/testing-workflows.md",
    "docs/testing.md",
    "docs/distributed.md",
    "docs/transports.md",
    "docs/performance.md",
    "docs/grpc.md",
};

/* The next block of a language at *at or after it, its end made a NUL; NULL if there is none. */
static char *next_block(char **at, const char *fence)
{
    char *start = strstr(*at, fence), *end;

    if (!start)
        return NULL;
    start += strlen(fence);
    end = strstr(start, "\n```\n");
    assert_non_null(end);
    end[1] = '\0';
    *at = end + 2;
    return start;
}

static void readme_has_the_quickstart(void **state)
{
    char *readme = file_text("README.md", NULL), *at = readme;
    char *program = file_text("examples/quickstart/quickstart.c", NULL);

    (void)state;
    assert_string_equal(next_block(&at, "\n```c\n"), program);
    free(program);
    free(readme);
}

static void the_programs_of_both_ways_are_examples(void **state)
{
    static const char *const paths[] = {"examples/hello-v1/hello-v1.c",
                                        "examples/hello-v2/hello-v2.c"};
    char *page = file_text("docs/migrating-from-v1.md", NULL), *at = page;

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char *program = file_text(paths[i], NULL);

        assert_string_equal(next_block(&at, "\n```c\n"), program);
        free(program);
    }
    free(page);
}

static void definitions_are_good(void **state)
{
    char *text, *at, *block;
    int count = 0;

    (void)state;
    if (!orch_has_feature("yaml"))
        skip_because("the examples are YAML, which this build is without");
    text = at = file_text("docs/definition.md", NULL);
    for (; (block = next_block(&at, "\n```yaml\n")); count++) {
        orch_error *err = NULL;

        if (orch_v2_validate_definition(block, strlen(block), &err))
            fail_msg("%s\n%s", orch_error_message(err), block);
    }
    assert_true(count >= 13);
    free(text);
}

static void check_link(const char *document, const char *target, size_t len)
{
    const char *slash = strrchr(document, '/');
    char path[512];

    if (memchr(target, '#', len))
        len = strcspn(target, "#");
    snprintf(path, sizeof path, "%.*s%.*s", slash ? (int)(slash + 1 - document) : 0, document,
             (int)len, target);
    if (access(path, R_OK))
        fail_msg("%s: no such file: %s", document, path);
}

static void links_lead_somewhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        char *text = file_text(documents[i], NULL);

        for (const char *p = strstr(text, "]("); p; p = strstr(p + 2, "](")) {
            const char *target = p + 2;

            if (strncmp(target, "http", 4) != 0 && *target != '#')
                check_link(documents[i], target, strcspn(target, ")"));
        }
        free(text);
    }
}

/* The text of folder/name and ending holds what is wanted; false where there is no such file. */
static bool file_has(const char *folder, const char *name, const char *ending, const char *wanted)
{
    char path[300];
    char *text;
    bool has;

    snprintf(path, sizeof path, "%s/%s%s", folder, name, ending);
    if (access(path, R_OK))
        return false;
    text = file_text(path, NULL);
    has = strstr(text, wanted) != NULL;
    free(text);
    return has;
}

static bool has_test(const char *program, const char *name)
{
    char function[300], word[300], macro[300];

    snprintf(function, sizeof function, "static void %s(void **state)", name);
    snprintf(word, sizeof word, "expect '%s", name);
    snprintf(macro, sizeof macro, "CASE(%s)", name);
    if (!strcmp(program, "interop"))
        return file_has("tests/interop/own", "client", ".c", macro);
    return file_has("tests/unit", program, ".c", function) ||
           file_has("tests/integration", program, ".c", function) ||
           file_has("tests/interop", program, ".sh", word);
}

static void each_rule_of_grpc_has_its_tests(void **state)
{
    char *page = file_text("docs/grpc.md", NULL), *line, *rest = page;
    int rules = 0, tests = 0;

    (void)state;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *at = line, *word, *end;
        int rule = 0, before = tests;

        if (sscanf(line, "| %d |", &rule) == 1)
            assert_int_equal(rule, ++rules);
        while ((word = strchr(at, '`')) != NULL && (end = strchr(word + 1, '`')) != NULL) {
            char program[100], name[200];

            *end = '\0';
            if (sscanf(word + 1, "%99[a-z0-9_]: %199[^\n]", program, name) == 2 &&
                strcmp(program, "program") != 0 && strcmp(program, "te") != 0) {
                if (!has_test(program, name))
                    fail_msg("docs/grpc.md names %s: %s, which is not there", program, name);
                tests++;
            }
            at = end + 1;
        }
        if (rule && tests == before)
            fail_msg("docs/grpc.md names no test of rule %d", rule);
    }
    assert_int_equal(rules, 43);
    assert_true(tests > rules);
    free(page);
}

/* Those that the simulator has to catch. */
static void each_mutation_is_told(void **state)
{
    char *page = file_text("docs/testing.md", NULL), *source, *line, *rest;
    int count = 0;

    (void)state;
    rest = source = file_text("lib/base/mutation.h", NULL);
    while ((line = strsep(&rest, "\n")) != NULL) {
        char name[100], what[300], row[420];

        if (sscanf(line, " X(%99[A-Z_], \"%299[^\"]\")", name, what) != 2)
            continue;
        snprintf(row, sizeof row, "| `%s` | %s |", name, what);
        if (!strstr(page, row))
            fail_msg("docs/testing.md has no row \"%s\"", row);
        count++;
    }
    assert_true(count > 40);
    free(source);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readme_has_the_quickstart),
        cmocka_unit_test(the_programs_of_both_ways_are_examples),
        cmocka_unit_test(definitions_are_good),
        cmocka_unit_test(links_lead_somewhere),
        cmocka_unit_test(each_rule_of_grpc_has_its_tests),
        cmocka_unit_test(each_mutation_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
