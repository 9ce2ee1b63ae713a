/* Goal: secrets come from the host's function, then from files; what is none of either, or too long, is said by name. */
#include "support/api_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int freed;

static void count_free(void *user_data)
{
    (void)user_data;
    freed++;
}

static int64_t give_secret(void *user_data, const char *name, char *buffer, size_t capacity)
{
    size_t len = *(size_t *)user_data;

    if (strcmp(name, "LONG") != 0)
        return strcmp(name, "BAD") ? ORCH_E_NOT_FOUND : -99;
    if (len <= capacity)
        memset(buffer, 'x', len);
    return (int64_t)len;
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[400];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
}

static void define_secret(orch_v2 *o, const char *name)
{
    char text[300];

    snprintf(
        text, sizeof text,
        "{'id':'secret-%s','version':'1.0.0','steps':[{'id':'s','executor':'lua','with':{'code':"
        "'return #input', 'input':'${secrets.%s}'}}],'output':'${steps.s.output}'}",
        name, name);
    host_define(o, text);
}

static void secrets_come_from_function_and_files(void **state)
{
    char room[200], dir[200], folder[300], output[300], *path, *large;
    size_t len = 5000;
    orch_v2 *o;

    (void)state;
    host_sqlite(room, sizeof room, "secrets"); /* a name in the test's folder */
    path = room + strlen("sqlite:");
    snprintf(dir, sizeof dir, "%s", path);
    assert_int_equal(mkdir(dir, 0700), 0);
    write_file(dir, "FROM_FILE", "three\n");
    write_file(dir, "EMPTY", "");
    write_file(dir, "BINARY", "\xff\xfe");
    large = calloc(1, 65536 + 2);
    memset(large, 'x', 65536);
    write_file(dir, "LARGEST", large);
    memset(large, 'x', 65536 + 1);
    write_file(dir, "TOO_LARGE", large);
    free(large);
    snprintf(folder, sizeof folder, "%s/FOLDER", dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    o = host_open("memory:", "SECRETS_DIR", dir, NULL);
    define_secret(o, "FROM_FILE");
    define_secret(o, "EMPTY");
    define_secret(o, "BINARY");
    define_secret(o, "LARGEST");
    define_secret(o, "TOO_LARGE");
    define_secret(o, "FOLDER");
    define_secret(o, "MISSING");
    define_secret(o, "LONG");
    define_secret(o, "BAD");
    host_execute(o, "secret-FROM_FILE", NULL, output, sizeof output);
    assert_string_equal(output, "5");
    host_execute(o, "secret-EMPTY", NULL, output, sizeof output);
    assert_string_equal(output, "0");
    assert_string_equal(host_execute(o, "secret-BINARY", NULL, output, sizeof output), "failed");
    assert_non_null(strstr(output, "not UTF-8"));
    host_execute(o, "secret-LARGEST", NULL, output, sizeof output);
    assert_string_equal(output, "65536");
    assert_string_equal(host_execute(o, "secret-TOO_LARGE", NULL, output, sizeof output), "failed");
    assert_non_null(strstr(output, "more than 65536 bytes"));
    assert_string_equal(host_execute(o, "secret-FOLDER", NULL, output, sizeof output), "failed");
    assert_non_null(strstr(output, "not a regular file"));
    assert_string_equal(host_execute(o, "secret-MISSING", NULL, output, sizeof output), "failed");
    assert_non_null(strstr(output, "MISSING"));
    freed = 0;
    HOST_OK(orch_engine_set_secrets(orch_v2_local_engine(o), give_secret, &len, count_free, &err));
    host_execute(o, "secret-FROM_FILE", NULL, output, sizeof output);
    assert_string_equal(output, "5");
    host_execute(o, "secret-LONG", NULL, output, sizeof output);
    assert_string_equal(output, "5000");
    len = 65537;
    assert_string_equal(host_execute(o, "secret-LONG", NULL, output, sizeof output), "failed");
    assert_non_null(strstr(output, "65536 are allowed"));
    assert_string_equal(host_execute(o, "secret-BAD", NULL, output, sizeof output), "failed");
    assert_non_null(strstr(output, "answered UNKNOWN"));
    assert_int_equal(freed, 0);
    HOST_OK(orch_engine_set_secrets(orch_v2_local_engine(o), NULL, NULL, NULL, &err));
    assert_int_equal(freed, 1);
    assert_string_equal(host_execute(o, "secret-LONG", NULL, output, sizeof output), "failed");
    host_close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_come_from_function_and_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
