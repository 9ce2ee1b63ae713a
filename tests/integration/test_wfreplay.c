/* Goal: wfreplay runs what it can read, and its exit code tells when anything is wrong. */
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/example.h"

#define TASK(id, parents) "{\"id\":\"" id "\",\"children\":[],\"parents\":[" parents "]}"
#define TIME(id)          "{\"id\":\"" id "\",\"runtimeInSeconds\":1.5}"

static const char diamond[] = TASK("a", "") "," TASK("b b", "\"a\"") "," TASK(
    "c", "\"a\",\"a\"") "," TASK("d", "\"b b\",\"c\"");
static const char diamond_times[] = TIME("a") "," TIME("b b") "," TIME("c") "," TIME("d");

static char folder[512];

static int make_folder(void **state)
{
    (void)state;
    example_folder(folder, sizeof folder);
    return 0;
}

static void write_instance(const char *name, const char *tasks, const char *times, char *path)
{
    FILE *f;

    snprintf(path, 1024, "%s/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "{\"schemaVersion\":\"1.5\",\"workflow\":{\"specification\":{\"tasks\":[%s]},"
            "\"execution\":{\"tasks\":[%s]}}}\n",
            tasks, times);
    assert_int_equal(fclose(f), 0);
}

static int replay(const char *path, const char *store, example *e)
{
    const char *argv[] = {"--scale", "0.01", "--store", store, path, NULL};

    example_start(e, "wfreplay", argv);
    return example_end(e);
}

static void runs_a_diamond(void **state)
{
    char path[1024], store[1024];
    example e;

    (void)state;
    write_instance("di amond.json", diamond, diamond_times, path);
    snprintf(store, sizeof store, "sqlite:%s/store.db", folder);
    for (int i = 0; i < 2; i++) { /* the second time on the same store */
        assert_int_equal(replay(path, store, &e), 0);
        assert_non_null(strstr(e.text, "di_amond"));
        assert_non_null(strstr(e.text, "0.0450 s")); /* three tasks of 15 ms on the longest way */
        assert_non_null(strstr(e.line, "1 files, 4 tasks: all succeeded"));
    }
}

static void refuses_bad_instances(void **state)
{
    static const char *const bad[][2] = {
        {TASK("a", "\"b\"") "," TASK("b", "\"a\""), TIME("a") "," TIME("b")},
        {TASK("a", "\"nobody\""), TIME("a")},
        {TASK("a", "") "," TASK("a", ""), TIME("a")},
        {TASK("a", "") "," TASK("b", ""), TIME("a")},
        {TASK("a", ""), TIME("a") "," TIME("b")},
        {TASK("a", ""), "{\"id\":\"a\",\"runtimeInSeconds\":-1}"},
        {"", ""},
        {"}", ""},
    };
    char path[1024];
    example e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_instance("bad.json", bad[i][0], bad[i][1], path);
        assert_int_equal(replay(path, "memory:", &e), 1);
        assert_non_null(strstr(e.line, "1 of 1 files failed"));
    }
}

static void refuses_bad_options(void **state)
{
    static const char *const wrong[][3] = {{NULL}, {"--scale", "1", NULL}, {"--scale", "x", "f"}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const char *argv[] = {wrong[i][0], wrong[i][1], wrong[i][2], NULL};
        example e;

        example_start(&e, "wfreplay", argv);
        assert_int_equal(example_end(&e), 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_a_diamond),
        cmocka_unit_test(refuses_bad_instances),
        cmocka_unit_test(refuses_bad_options),
    };

    return cmocka_run_group_tests(tests, make_folder, NULL);
}
