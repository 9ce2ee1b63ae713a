/* Goal: what users write as an address is read as gRPC's naming document has it, or refused with what is wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/endpoint.h"

static void test_good_ones(void **state)
{
    static const struct {
        const char *text;
        int default_port;
        const char *host;
        unsigned port;
        const char *path, *authority;
    } rows[] = {
        {"example.org:50051", -1, "example.org", 50051, "", "example.org:50051"},
        {"example.org", 443, "example.org", 443, "", "example.org:443"},
        {"dns:example.org:1", -1, "example.org", 1, "", "example.org:1"},
        {"dns:///example.org:65535", -1, "example.org", 65535, "", "example.org:65535"},
        {"127.0.0.1:0", -1, "127.0.0.1", 0, "", "127.0.0.1:0"},
        {"ipv4:127.0.0.1:80", -1, "127.0.0.1", 80, "", "127.0.0.1:80"},
        {"ipv4:127.0.0.1", 80, "127.0.0.1", 80, "", "127.0.0.1:80"},
        {"[::1]:80", -1, "::1", 80, "", "[::1]:80"},
        {"[fe80::1%lo]", 80, "fe80::1%lo", 80, "", "[fe80::1%lo]:80"},
        {"ipv6:[2001:db8::7]:80", -1, "2001:db8::7", 80, "", "[2001:db8::7]:80"},
        {"unix:/run/orch", -1, "", 0, "/run/orch", "localhost"},
        {"unix:orch.sock", -1, "", 0, "orch.sock", "localhost"},
        {"unix:///run/orch", -1, "", 0, "/run/orch", "localhost"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char authority[300];
        endpoint e;

        assert_int_equal(endpoint_parse(rows[i].text, rows[i].default_port, &e, NULL), 0);
        assert_string_equal(e.host, rows[i].host);
        assert_string_equal(e.path, rows[i].path);
        assert_int_equal(e.port, rows[i].port);
        endpoint_authority(&e, authority, sizeof authority);
        assert_string_equal(authority, rows[i].authority);
    }
}

static void test_bad_ones(void **state)
{
    static char long_host[300], long_path[200];
    const struct {
        const char *text, *word;
    } rows[] = {
        {"", "the host is empty"},
        {":80", "the host is empty"},
        {"example.org", "the port is missing"},
        {"example.org:", "the port is missing"},
        {"example.org:8o", "not a number"},
        {"example.org:-1", "not a number"},
        {"example.org:65536", "above 65535"},
        {"example.org:99999999999999999999", "above 65535"},
        {"::1", "in brackets"},
        {"::1:80", "in brackets"},
        {"[::1", "']' is missing"},
        {"[::1]80", "the port is missing"},
        {"[]:80", "the host is empty"},
        {"[example.org]:80", "no address of IPv6"},
        {"ipv4:example.org:80", "an address of IPv4"},
        {"ipv6:::1", "in brackets"},
        {"dns://8.8.8.8/example.org:80", "a name server cannot be chosen"},
        {"unix:", "the path is empty"},
        {"unix://run/orch", "an absolute path"},
        {long_host, "longer than 255"},
        {long_path, "longer than 107"},
    };

    (void)state;
    memset(long_host, 'h', 256);
    memcpy(long_host + 256, ":80", 4);
    snprintf(long_path, sizeof long_path, "unix:%.*s", 108, long_host);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        endpoint e = {.port = 7};
        orch_error *error = NULL;

        assert_int_equal(endpoint_parse(rows[i].text, -1, &e, &error), ORCH_E_INVALID_ARGUMENT);
        assert_non_null(strstr(orch_error_message(error), rows[i].word));
        assert_non_null(strstr(orch_error_message(error), rows[i].text));
        assert_int_equal(e.port, 7); /* untouched */
        orch_error_free(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ones),
        cmocka_unit_test(test_bad_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
