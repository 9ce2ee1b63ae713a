/* Goal: connections over real sockets: what is sent arrives, whole and in order, also what was sent last; who cannot be
 * reached is told why; and whatever is closed when, nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/net_rig.h"

static net_rig rig;
static net_end client;

static int begin(void **state)
{
    (void)state;
    memset(&client, 0, sizeof client);
    net_rig_begin(&rig);
    return 0;
}

static int end(void **state)
{
    (void)state;
    net_end_close(&client);
    net_rig_end(&rig);
    return 0;
}

static void expect_echo(const char *where)
{
    net_rig_dial(&rig, &client, where, NULL, NULL);
    NET_UNTIL(&rig, client.opened);
    net_end_send(&client, "hello", 5);
    NET_UNTIL(&rig, client.got.len == 5);
    assert_memory_equal(client.got.data, "hello", 5);
    assert_int_equal(client.opened, 1);
    assert_int_equal(rig.accepted[0].opened, 1);
}

static void test_tcp(void **state)
{
    (void)state;
    rig.echo = true;
    net_rig_listen(&rig, "127.0.0.1:0", NULL);
    expect_echo(NULL);
    assert_non_null(strstr(conn_peer(rig.accepted[0].conn), "127.0.0.1:"));
}

static void test_ipv6(void **state)
{
    (void)state;
    rig.echo = true;
    net_rig_listen(&rig, "[::1]:0", NULL);
    expect_echo("[::1]");
    assert_non_null(strstr(conn_peer(rig.accepted[0].conn), "[::1]:"));
}

/* A name with several addresses, of which the listener has one. */
static void test_one_of_several_addresses(void **state)
{
    (void)state;
    rig.echo = true;
    net_rig_listen(&rig, "127.0.0.1:0", NULL);
    expect_echo("localhost");
}

static void test_all_addresses_of_a_name_have_one_port(void **state)
{
    net_end second;

    (void)state;
    rig.echo = true;
    net_rig_listen(&rig, "localhost:0", NULL);
    expect_echo("127.0.0.1");
    net_rig_dial(&rig, &second, "localhost", NULL, NULL);
    NET_UNTIL(&rig, second.opened);
    net_end_close(&second);
}

static void test_unix(void **state)
{
    char where[128];

    (void)state;
    rig.echo = true;
    snprintf(where, sizeof where, "unix:%s/s", rig.folder);
    net_rig_listen(&rig, where, NULL);
    expect_echo(where);
    assert_string_equal(conn_peer(rig.accepted[0].conn), "unix:");
}

/* Of a process that was killed. */
static void test_a_socket_that_was_left_behind(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char where[128];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", rig.folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    snprintf(where, sizeof where, "unix:%s/s", rig.folder);
    rig.echo = true;
    net_rig_listen(&rig, where, NULL);
    expect_echo(where);
}

static void expect_refused(const char *where, const char *word)
{
    net_rig_dial(&rig, &client, where, NULL, NULL);
    assert_int_equal(client.closed, 0); /* not within the call */
    NET_UNTIL(&rig, client.closed);
    assert_int_equal(client.code, ORCH_E_UNAVAILABLE);
    assert_non_null(strstr(client.message, word));
    assert_int_equal(client.opened, 0);
    net_end_close(&client);
}

static void test_who_cannot_be_reached(void **state)
{
    char where[128];

    (void)state;
    net_rig_listen(&rig, "127.0.0.1:0", NULL);
    net_listener_close(rig.listener);
    rig.listener = NULL;
    snprintf(where, sizeof where, "127.0.0.1:%u", (unsigned)rig.port);
    expect_refused(where, "connection refused");
    expect_refused(where, where);
    snprintf(where, sizeof where, "unix:%s/none", rig.folder);
    expect_refused(where, "no such file");
    expect_refused("no-such-host.invalid:80", "cannot look up no-such-host.invalid");
}

static void test_an_address_that_is_taken(void **state)
{
    net_listener *second = NULL;
    orch_error *error = NULL;
    endpoint at = {.host = "127.0.0.1"};

    (void)state;
    net_rig_listen(&rig, "127.0.0.1:0", NULL);
    at.port = rig.port;
    assert_int_equal(net_uv_listen(rig.net, &at, NULL, NULL, NULL, &second, NULL, &error),
                     ORCH_E_ALREADY_EXISTS);
    assert_non_null(strstr(orch_error_message(error), "address already in use"));
    assert_null(second);
    orch_error_free(error);
}

/* Much more than the sockets take: who sends is told when it has left. */
static void test_much(void **state)
{
    size_t len = 30 << 20;
    uint8_t *bytes = malloc(len);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 4093);
    net_rig_listen(&rig, "127.0.0.1:0", NULL);
    net_rig_dial(&rig, &client, NULL, NULL, NULL);
    NET_UNTIL(&rig, client.opened);
    assert_false(conn_send(client.conn, bytes, len / 2));
    assert_false(conn_send(client.conn, bytes + len / 2, len - len / 2));
    NET_UNTIL(&rig, rig.accepted[0].len == len);
    assert_memory_equal(rig.accepted[0].got.data, bytes, len);
    NET_UNTIL(&rig, client.drained);
    assert_int_equal(client.drained, 1);
    free(bytes);
}

/* What was sent last arrives, and then the end. */
static void test_a_close_behind_much(void **state)
{
    size_t len = 3 << 20;
    uint8_t *bytes = calloc(1, len);

    (void)state;
    net_rig_listen(&rig, "127.0.0.1:0", NULL);
    net_rig_dial(&rig, &client, NULL, NULL, NULL);
    NET_UNTIL(&rig, client.opened);
    net_end_send(&client, bytes, len);
    net_end_close(&client);
    NET_UNTIL(&rig, rig.count && rig.accepted[0].closed);
    assert_int_equal(rig.accepted[0].len, len);
    assert_int_equal(rig.accepted[0].code, 0);
    free(bytes);
}

/* At each turn of the loop there may be an end, of either side. */
static void test_a_close_at_any_time(void **state)
{
    (void)state;
    rig.echo = true;
    net_rig_listen(&rig, "127.0.0.1:0", NULL);
    for (int turns = 0; turns < 12; turns++) {
        net_rig_dial(&rig, &client, turns % 2 ? "localhost" : NULL, NULL, NULL);
        for (int i = 0; i < turns; i++) {
            uv_run(&rig.uv, UV_RUN_NOWAIT);
            if (client.opened)
                net_end_send(&client, "x", 1);
        }
        net_end_close(&client);
    }
}

/* libuv tells of sockets before the turn that follows the loop's sleep: nothing may be reckoned from the turn before it, or
 * what is given twenty seconds after a minute of sleep has none. */
static void test_who_has_slept_knows_the_time(void **state)
{
    const int64_t minute_ns = INT64_C(60000000000);
    size_t len = 8 << 20;
    uint8_t *bytes = calloc(1, len);

    (void)state;
    rig.slept_ns = minute_ns;
    net_rig_listen(&rig, "127.0.0.1:0", NULL);
    net_rig_dial(&rig, &client, "localhost", NULL, NULL);
    NET_UNTIL(&rig, client.opened && rig.count);
    assert_false(conn_send(client.conn, bytes, len));
    NET_UNTIL(&rig, client.drained && rig.accepted[0].len == len);
    assert_true(client.behind_ns < minute_ns / 2);
    assert_true(rig.accepted[0].behind_ns < minute_ns / 2);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tcp, begin, end),
        cmocka_unit_test_setup_teardown(test_ipv6, begin, end),
        cmocka_unit_test_setup_teardown(test_one_of_several_addresses, begin, end),
        cmocka_unit_test_setup_teardown(test_all_addresses_of_a_name_have_one_port, begin, end),
        cmocka_unit_test_setup_teardown(test_unix, begin, end),
        cmocka_unit_test_setup_teardown(test_a_socket_that_was_left_behind, begin, end),
        cmocka_unit_test_setup_teardown(test_who_cannot_be_reached, begin, end),
        cmocka_unit_test_setup_teardown(test_who_has_slept_knows_the_time, begin, end),
        cmocka_unit_test_setup_teardown(test_an_address_that_is_taken, begin, end),
        cmocka_unit_test_setup_teardown(test_much, begin, end),
        cmocka_unit_test_setup_teardown(test_a_close_behind_much, begin, end),
        cmocka_unit_test_setup_teardown(test_a_close_at_any_time, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
