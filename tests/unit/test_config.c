/* Goal: every key takes what it should and refuses what it should not, with words that help; the environment is taken whole or
 * not at all; and the table of docs/configuration.md says what the code does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/config_impl.h"
#include "base/mem.h"

static void expect(int32_t rc, orch_error *err, int32_t code, const char *const *pieces)
{
    if (rc != code || orch_error_code(err) != code)
        fail_msg("%s: %s", orch_code_name(rc), orch_error_message(err));
    for (; *pieces; pieces++)
        if (!strstr(orch_error_message(err), *pieces))
            fail_msg("'%s' is not in: %s", *pieces, orch_error_message(err));
    orch_error_free(err);
}

#define EXPECT(call, ...)                                                                        \
    do {                                                                                         \
        orch_error *err = NULL;                                                                  \
        int32_t call_rc = (call);                                                                \
        expect(call_rc, err, ORCH_E_INVALID_ARGUMENT, (const char *const[]){__VA_ARGS__, NULL}); \
    } while (0)

static orch_config *config;

static int set_up(void **state)
{
    (void)state;
    config = orch_config_new();
    return config ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    orch_config_free(config);
    return 0;
}

static void every_default_is_allowed(void **state)
{
    int64_t n;

    (void)state;
    for (int32_t k = 0; k < KEY_COUNT; k++) {
        const char *name = config_rows[k].name;

        assert_int_equal(config_find(name), k);
        assert_false(config_is_set(config, k));
        if (orch_config_get(config, name))
            assert_int_equal(config_parse(k, orch_config_get(config, name), &n, NULL), 0);
    }
    assert_null(orch_config_get(config, "STORE_URL"));
    assert_null(orch_config_get(config, "NO_SUCH_KEY"));
    assert_true(config_number(config, KEY_TASK_THREADS) >= 4);
    assert_true(strlen(orch_config_get(config, "ENGINE_ID")) > 0);
}

static void values_are_set_and_reset(void **state)
{
    (void)state;
    assert_int_equal(orch_config_set(config, "CAPACITY", "77", NULL), 0);
    assert_string_equal(orch_config_get(config, "CAPACITY"), "77");
    assert_int_equal(config_number(config, KEY_CAPACITY), 77);
    assert_int_equal(orch_config_set(config, "CAPACITY", NULL, NULL), 0);
    assert_string_equal(orch_config_get(config, "CAPACITY"), "10");
    assert_int_equal(orch_config_set(config, "EXECUTOR_WAIT", "1m30s", NULL), 0);
    assert_int_equal(config_number(config, KEY_EXECUTOR_WAIT), 90000);
    assert_int_equal(orch_config_set(config, "EXEC_ENABLED", "false", NULL), 0);
    assert_int_equal(config_number(config, KEY_EXEC_ENABLED), 0);
    assert_int_equal(orch_config_set(config, "STORE_SYNCHRONOUS", "off", NULL), 0);
}

static void bounds_are_held(void **state)
{
    char value[40];
    int64_t n;

    (void)state;
    for (int32_t k = 0; k < KEY_COUNT; k++) {
        const config_row *r = &config_rows[k];
        const char *unit = r->kind == CONFIG_DURATION ? "ms" : "";

        if (r->kind != CONFIG_INTEGER && r->kind != CONFIG_DURATION)
            continue;
        snprintf(value, sizeof value, "%lld%s", (long long)r->min, unit);
        assert_int_equal(config_parse(k, value, &n, NULL), 0);
        assert_int_equal(n, r->min);
        snprintf(value, sizeof value, "%lld%s", (long long)r->max, unit);
        assert_int_equal(config_parse(k, value, &n, NULL), 0);
        assert_int_equal(n, r->max);
        snprintf(value, sizeof value, "%lld%s", (long long)r->max + 1, unit);
        EXPECT(config_parse(k, value, &n, &err), r->name, value);
        snprintf(value, sizeof value, "%lld%s", (long long)r->min - 1, unit);
        EXPECT(config_parse(k, value, &n, &err), r->name, value);
    }
}

static void bad_values_are_refused(void **state)
{
    static const struct {
        const char *key, *value, *allowed;
    } bad[] = {
        {"CAPACITY", "", "from 1 to 1000000"},
        {"CAPACITY", "ten", "from 1 to 1000000"},
        {"CAPACITY", " 10", "from 1"},
        {"CAPACITY", "10 ", "from 1"},
        {"CAPACITY", "-1", "from 1"},
        {"CAPACITY", "+1", "from 1"},
        {"CAPACITY", "0x10", "from 1"},
        {"CAPACITY", "1e3", "from 1"},
        {"CAPACITY", "99999999999999999999999999", "from 1"},
        {"EXECUTOR_WAIT", "30", "duration"},
        {"EXECUTOR_WAIT", "forever", "duration"},
        {"EXECUTOR_WAIT", "0", "duration"},
        {"STORE_SYNCHRONOUS", "maybe", "full normal off"},
        {"STORE_SYNCHRONOUS", "ful", "full normal off"},
        {"STORE_SYNCHRONOUS", "", "full normal off"},
        {"STORE_SYNCHRONOUS", "full normal", "full normal off"},
        {"LOAD_BALANCER_TYPE", "random", "consistent-hash round-robin"},
        {"EXEC_ENABLED", "yes", "true or false"},
        {"STORE_URL", "", "1 to 4096 bytes"},
        {"ENGINE_ID", "\xff\xfe", "UTF-8"},
        {"GRPC_PORT", "tcp://10.0.0.7:50051", "enableServiceLinks: false"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *before = orch_config_get(config, bad[i].key);

        EXPECT(orch_config_set(config, bad[i].key, bad[i].value, &err), bad[i].key, bad[i].allowed);
        assert_ptr_equal(orch_config_get(config, bad[i].key), before);
    }
}

static void unknown_keys_are_refused_with_a_guess(void **state)
{
    (void)state;
    EXPECT(orch_config_set(config, "STORE_ULR", "memory:", &err), "STORE_ULR",
           "did you mean STORE_URL?");
    EXPECT(orch_config_set(config, "TASK_THREAD", "1", &err), "did you mean TASK_THREADS?");
    EXPECT(orch_config_set(config, "store_url", "memory:", &err), "store_url",
           "docs/configuration.md");
    EXPECT(orch_config_set(config, "", "memory:", &err), "there is no key");
    EXPECT(orch_config_set(config, "COMPLETELY_DIFFERENT", "1", &err), "docs/configuration.md");
    EXPECT(orch_config_set(NULL, "CAPACITY", "1", &err), "config must not be NULL");
    EXPECT(orch_config_set(config, NULL, "1", &err), "key must not be NULL");
    assert_null(config_nearest("A_NAME_THAT_IS_LONGER_THAN_ALL_THE_NAMES_THAT_THERE_ARE_HERE"));
}

/* ---- the environment ------------------------------------------------------------------------------------- */

static int clear_environment(void **state)
{
    char name[80];

    for (int32_t k = 0; k < KEY_COUNT; k++) {
        snprintf(name, sizeof name, "ORCH_%s", config_rows[k].name);
        unsetenv(name);
        unsetenv(config_rows[k].name);
    }
    unsetenv("ORCH_STORE_ULR");
    unsetenv("ORCH_SERVICE_HOST");
    unsetenv("ORCH_PORT_50051_TCP");
    return tear_down(state);
}

static void the_environment_is_taken_over(void **state)
{
    (void)state;
    setenv("ORCH_STORE_URL", "memory:", 1);
    setenv("CAPACITY", "11", 1);
    setenv("PORT", "8080", 1);
    setenv("ORCH_PORT", "9090", 1);
    setenv("TASK_THREADS", "none of ours", 1);
    assert_int_equal(orch_config_set(config, "LOCAL_CAPACITY", "5", NULL), 0);
    assert_int_equal(orch_config_load_env(config, NULL), 0);
    assert_string_equal(orch_config_get(config, "STORE_URL"), "memory:");
    assert_string_equal(orch_config_get(config, "CAPACITY"), "11");
    assert_string_equal(orch_config_get(config, "PORT"), "9090");
    assert_string_equal(orch_config_get(config, "LOCAL_CAPACITY"), "5");
    assert_false(config_is_set(config, KEY_TASK_THREADS));
}

static void a_bad_environment_changes_nothing(void **state)
{
    (void)state;
    setenv("ORCH_STORE_URL", "memory:", 1);
    setenv("ORCH_CAPACITY", "0", 1);
    assert_int_equal(orch_config_set(config, "LOCAL_CAPACITY", "5", NULL), 0);
    EXPECT(orch_config_load_env(config, &err), "ORCH_CAPACITY", "'0'", "from 1 to 1000000");
    assert_null(orch_config_get(config, "STORE_URL"));
    setenv("ORCH_CAPACITY", "1", 1);
    setenv("ORCH_STORE_ULR", "memory:", 1);
    EXPECT(orch_config_load_env(config, &err), "ORCH_STORE_ULR", "did you mean ORCH_STORE_URL?");
    assert_null(orch_config_get(config, "STORE_URL"));
    assert_string_equal(orch_config_get(config, "LOCAL_CAPACITY"), "5");
    EXPECT(orch_config_load_env(NULL, &err), "config must not be NULL");
}

static void service_links_of_kubernetes_are_explained(void **state)
{
    (void)state;
    setenv("GRPC_PORT", "tcp://10.0.0.7:50051", 1);
    EXPECT(orch_config_load_env(config, &err), "environment variable GRPC_PORT",
           "enableServiceLinks: false", "ORCH_GRPC_PORT");
    setenv("ORCH_GRPC_PORT", "50051", 1);
    assert_int_equal(orch_config_load_env(config, NULL), 0);
    setenv("ORCH_SERVICE_HOST", "10.0.0.7", 1);
    EXPECT(orch_config_load_env(config, &err), "ORCH_SERVICE_HOST", "enableServiceLinks: false");
    unsetenv("ORCH_SERVICE_HOST");
    setenv("ORCH_PORT_50051_TCP", "tcp://10.0.0.7:50051", 1);
    EXPECT(orch_config_load_env(config, &err), "Service called orch");
}

static void lack_of_memory_changes_nothing(void **state)
{
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;
    long n;

    (void)state;
    setenv("ORCH_STORE_URL", "memory:", 1);
    setenv("ORCH_CAPACITY", "3", 1);
    for (n = 1; rc; n++) {
        mem_fail_at(n, 0);
        rc = orch_config_load_env(config, NULL);
        mem_fail_at(0, 0);
        assert_true(rc == 0 || rc == ORCH_E_RESOURCE_EXHAUSTED);
        assert_true(rc == 0 || !orch_config_get(config, "STORE_URL"));
    }
    assert_true(n > 2);
    mem_fail_at(1, 0);
    assert_int_equal(orch_config_set(config, "CAPACITY", "4", NULL), ORCH_E_RESOURCE_EXHAUSTED);
    mem_fail_at(1, 0);
    assert_null(orch_config_new());
    mem_fail_at(0, 0);
    assert_string_equal(orch_config_get(config, "CAPACITY"), "3");
}

/* ---- the document ---------------------------------------------------------------------------------------- */

static FILE *open_document(void)
{
    FILE *f = fopen("docs/configuration.md", "r");

    if (!f)
        fail_msg("docs/configuration.md cannot be read: run this at the top of the tree");
    return f;
}

/* What the column "allowed" begins with. */
static void allowed_text(const config_row *r, char *out, size_t size)
{
    switch (r->kind) {
    case CONFIG_INTEGER:
        snprintf(out, size, "%lld to %lld", (long long)r->min, (long long)r->max);
        break;
    case CONFIG_DURATION:
        snprintf(out, size, "duration, %lldms to %lldms", (long long)r->min, (long long)r->max);
        break;
    case CONFIG_WORD: snprintf(out, size, "%s", r->words); break;
    case CONFIG_WORDS: snprintf(out, size, "some of %s, or none", r->words); break;
    case CONFIG_BOOL: snprintf(out, size, "true, false"); break;
    default: snprintf(out, size, "text, up to %lld bytes", (long long)r->max); break;
    }
}

/* "| `KEY` | default | allowed | …": the default in backticks is the code's; one made at run time, or none, is in words. */
static void check_row(int32_t key, char *rest)
{
    const config_row *r = &config_rows[key];
    char allowed[200], expected[220];
    const char *fallback = strtok(rest, "|");
    const char *documented = strtok(NULL, "|");

    assert_non_null(documented);
    snprintf(expected, sizeof expected, " `%s` ", r->fallback ? r->fallback : "");
    if (r->fallback)
        assert_string_equal(fallback, expected);
    else
        assert_null(strchr(fallback, '`'));
    allowed_text(r, allowed, sizeof allowed);
    snprintf(expected, sizeof expected, " %s ", allowed);
    assert_string_equal(documented, expected);
    if (r->bare != (strstr(strtok(NULL, "\n"), "also bare") != NULL))
        fail_msg("%s: whether it is read bare is not as documented", r->name);
}

static void the_document_has_every_key(void **state)
{
    bool seen[KEY_COUNT] = {false};
    FILE *f = open_document();
    char line[2000];

    (void)state;
    while (fgets(line, sizeof line, f)) {
        char *end = strncmp(line, "| `", 3) ? NULL : strchr(line + 3, '`');
        int32_t key;

        if (!end || end[2] != '|')
            continue;
        *end = '\0';
        key = config_find(line + 3);
        if (key < 0)
            fail_msg("docs/configuration.md has a key %s, which is none", line + 3);
        assert_false(seen[key]);
        seen[key] = true;
        check_row(key, end + 3);
    }
    fclose(f);
    for (int32_t k = 0; k < KEY_COUNT; k++)
        if (!seen[k])
            fail_msg("docs/configuration.md has no row for %s", config_rows[k].name);
}

/* A program that the exec executor started may use the library too. */
static void test_what_exec_tells_is_no_configuration(void **state)
{
    orch_config *c = orch_config_new();

    (void)state;
    setenv("ORCH_EXECUTION", "x", 1);
    setenv("ORCH_STEP", "s", 1);
    setenv("ORCH_ATTEMPT", "1", 1);
    setenv("ORCH_IDEMPOTENCY_KEY", "x/1/s", 1);
    assert_int_equal(orch_config_load_env(c, NULL), ORCH_OK);
    unsetenv("ORCH_EXECUTION");
    unsetenv("ORCH_STEP");
    unsetenv("ORCH_ATTEMPT");
    unsetenv("ORCH_IDEMPOTENCY_KEY");
    orch_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_exec_tells_is_no_configuration),
        cmocka_unit_test_setup_teardown(every_default_is_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_are_set_and_reset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounds_are_held, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_values_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_keys_are_refused_with_a_guess, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_environment_is_taken_over, set_up, clear_environment),
        cmocka_unit_test_setup_teardown(a_bad_environment_changes_nothing, set_up,
                                        clear_environment),
        cmocka_unit_test_setup_teardown(service_links_of_kubernetes_are_explained, set_up,
                                        clear_environment),
        cmocka_unit_test_setup_teardown(lack_of_memory_changes_nothing, set_up, clear_environment),
        cmocka_unit_test(the_document_has_every_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
