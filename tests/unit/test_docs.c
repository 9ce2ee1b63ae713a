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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readme_has_the_quickstart),
        cmocka_unit_test(the_programs_of_both_ways_are_examples),
        cmocka_unit_test(definitions_are_good),
        cmocka_unit_test(links_lead_somewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
