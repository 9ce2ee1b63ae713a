/* Goal: killed with SIGKILL again and again and started again each time, the inventory goes on from its checkpoints, says so, and
 * writes the report that it would have written undisturbed. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/example.h"

#define FILES 150
#define TRIES 5

static char folder[512];

static void make_file(const char *name, const char *text, int times)
{
    char path[1024];
    FILE *f;

    snprintf(path, sizeof path, "%s/tree/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < times; i++)
        fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int make_tree(void **state)
{
    char path[1024], name[64];

    (void)state;
    example_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/tree", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    snprintf(path, sizeof path, "%s/tree/a b", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%s/file-%03d.%s", i % 3 ? "." : "a b", i, i % 2 ? "c" : "txt");
        make_file(name, name, i);
        make_file(name, "one line\n", i + 1);
    }
    make_file("a b/new\nline", "same\n", 2);
    make_file("-n", "same\n", 2);
    make_file("$(touch x)'\"", "same\n", 2);
    return 0;
}

static void start(example *e, const char *state)
{
    char tree[1024], store[1024];
    const char *argv[] = {"--state", store, tree, NULL};

    snprintf(tree, sizeof tree, "%s/tree", folder);
    snprintf(store, sizeof store, "%s/%s", folder, state);
    example_start(e, "inventory", argv);
}

/* The last line names it. To be freed. */
static char *read_report(const example *e)
{
    char path[1024], *text = calloc(1, 65536);
    FILE *f;

    assert_non_null(text);
    snprintf(path, sizeof path, "%s", e->line + strspn(e->line, " "));
    path[strcspn(path, "\n")] = '\0';
    f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, 65535, f) > 0);
    fclose(f);
    return text;
}

/* How many of how many it says it goes on after. */
static bool read_going_on(const example *e, int *done, int *all)
{
    const char *at = strstr(e->line, "going on after ");

    return at && sscanf(at, "going on after %d of %d", done, all) == 2;
}

static void check_report(const example *e)
{
    char *report = read_report(e), *expected;
    example whole;

    start(&whole, "undisturbed");
    assert_int_equal(example_end(&whole), 0);
    assert_null(strstr(whole.text, "going on"));
    expected = read_report(&whole);
    assert_string_equal(report, expected);
    assert_non_null(strstr(report, "\"files\": 153"));
    assert_non_null(strstr(report, "\"copies\": 3"));
    free(expected);
    free(report);
}

/* Killed right after the start, and then twice while it counts. False if it was quicker than the killer. */
static bool disturb(const char *state, int *done)
{
    example e;
    int all = 0;

    start(&e, state);
    assert_true(example_read_until(&e, "started"));
    example_kill(&e);
    for (int i = 0; i < 2; i++) {
        start(&e, state);
        if (!example_read_until(&e, "going on") || !example_read_until(&e, "counted")) {
            example_end(&e);
            return false;
        }
        example_kill(&e);
    }
    start(&e, state);
    assert_true(example_read_until(&e, "inventory/"));
    if (!read_going_on(&e, done, &all) || all <= *done) {
        example_end(&e);
        return false;
    }
    assert_true(*done > 0);
    assert_int_equal(all, FILES + 3);
    assert_true(example_read_until(&e, "succeeded"));
    assert_int_equal(example_end(&e), 0);
    check_report(&e);
    return true;
}

static void goes_on_after_kill(void **state)
{
    char name[32];
    int done = 0;

    (void)state;
    for (int i = 0; i < TRIES; i++) {
        snprintf(name, sizeof name, "killed-%d", i);
        if (disturb(name, &done))
            return;
    }
    fail_msg("in %d tries it always ended before it could be killed", TRIES);
}

static void refuses_what_it_does_not_know(void **state)
{
    static const char *const wrong[][3] = {
        {"--stat", "x", NULL}, {"/none/such", NULL}, {"a", "b", NULL}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        example e;

        example_start(&e, "inventory", wrong[i]);
        assert_true(example_end(&e) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_after_kill),
        cmocka_unit_test(refuses_what_it_does_not_know),
    };

    return cmocka_run_group_tests(tests, make_tree, NULL);
}
