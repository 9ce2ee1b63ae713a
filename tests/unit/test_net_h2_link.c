/* Goal: a session on a connection: what it has to say leaves together at the end of a turn, waits for who does not read, and the end is told
 * once, whichever of the two has ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <orch/error.h>

#include "net/h2_link.h"

#define SECOND INT64_C(1000000000)

static net_loop loop;
static h2_link link_under_test;

/* ---- a connection that notes what is done with it ----------------------------------------------------------------- */

static struct {
    conn base;
    int sends, closes;
    size_t bytes;
    bool is_full;
} fake;

static bool send_noted(conn *c, const uint8_t *data, size_t len)
{
    (void)c;
    (void)data;
    fake.sends++;
    fake.bytes += len;
    return !fake.is_full;
}

static void close_noted(conn *c)
{
    (void)c;
    fake.closes++;
}

static const char *peer(conn *c)
{
    (void)c;
    return "fake";
}

/* ---- who has the link ------------------------------------------------------------------------------------------------ */

static struct {
    int opened, ended, settled;
    int32_t code;
    char message[200];
} told;

static void on_opened(h2_link *l)
{
    (void)l;
    told.opened++;
}

static void on_ended(h2_link *l, int32_t code, const char *message)
{
    (void)l;
    told.ended++;
    told.code = code;
    snprintf(told.message, sizeof told.message, "%s", message);
}

static void on_settled(void *ctx)
{
    (void)ctx;
    told.settled++;
}

static void on_ping(void *ctx)
{
    (void)ctx;
}

static int begin(void **state)
{
    static const conn_ops ops = {sizeof ops, send_noted, close_noted, peer};
    static const h2_handler streams = {.settled = on_settled, .ping = on_ping};
    static const h2_link_handler handler = {on_opened, on_ended};
    h2_options o = {.max_header_bytes = 8192, .window = 65536};

    (void)state;
    memset(&fake, 0, sizeof fake);
    memset(&told, 0, sizeof told);
    fake.base.ops = &ops;
    assert_true(net_loop_init(&loop, 0, 1));
    h2_link_init(&link_under_test, &loop, &fake.base, h2_new(&o, &loop, &streams, NULL), &handler);
    return 0;
}

static int end(void **state)
{
    (void)state;
    h2_link_close(&link_under_test);
    assert_int_equal(fake.closes, 1);
    net_loop_free(&loop);
    return 0;
}

static void open_it(void)
{
    fake.base.handler->opened(fake.base.ctx);
    net_loop_turn(&loop, 0);
}

static void ping(void)
{
    h2_ping(link_under_test.session, 5);
    h2_link_wake(&link_under_test);
}

/* ---- tests ------------------------------------------------------------------------------------------------------------ */

static void test_nothing_leaves_before_it_is_open(void **state)
{
    (void)state;
    ping();
    net_loop_turn(&loop, 0);
    assert_int_equal(fake.sends, 0);
    open_it();
    assert_int_equal(told.opened, 1);
    assert_int_equal(fake.sends, 1); /* preface, SETTINGS and PING together */
}

static void test_a_turn_is_one_write(void **state)
{
    (void)state;
    open_it();
    for (int i = 0; i < 10; i++)
        ping();
    assert_int_equal(fake.sends, 1);
    net_loop_turn(&loop, 0);
    assert_int_equal(fake.sends, 2);
    net_loop_turn(&loop, 0); /* and nothing to say is no write */
    assert_int_equal(fake.sends, 2);
}

static void test_who_does_not_read_is_waited_for(void **state)
{
    (void)state;
    fake.is_full = true;
    open_it();
    ping();
    net_loop_turn(&loop, 59 * SECOND);
    assert_int_equal(fake.sends, 1);
    fake.is_full = false;
    fake.base.handler->drained(fake.base.ctx);
    net_loop_turn(&loop, 61 * SECOND);
    assert_int_equal(fake.sends, 2);
    assert_int_equal(told.ended, 0);
}

static void test_but_not_for_ever(void **state)
{
    (void)state;
    fake.is_full = true;
    open_it();
    net_loop_turn(&loop, 61 * SECOND);
    assert_int_equal(told.ended, 1);
    assert_int_equal(told.code, ORCH_E_UNAVAILABLE);
    assert_non_null(strstr(told.message, "read nothing"));
}

static void test_bytes_that_are_no_http2(void **state)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

    (void)state;
    open_it();
    for (int i = 0; i < 3 && !told.ended; i++) {
        fake.base.handler->read(fake.base.ctx, (const uint8_t *)text, sizeof text - 1);
        net_loop_turn(&loop, 0);
    }
    assert_int_equal(told.ended, 1);
    assert_int_equal(fake.sends, 2); /* a GOAWAY says why */
    fake.base.handler->read(fake.base.ctx, (const uint8_t *)text, sizeof text - 1);
    fake.base.handler->closed(fake.base.ctx, 0, "");
    net_loop_turn(&loop, 0);
    assert_int_equal(told.ended, 1); /* once */
}

static void test_a_connection_that_ends(void **state)
{
    (void)state;
    open_it();
    fake.base.handler->read(fake.base.ctx, (const uint8_t *)"\0\0\0\4\0\0\0\0\0", 9);
    assert_int_equal(told.settled, 1);
    fake.base.handler->closed(fake.base.ctx, ORCH_E_UNAVAILABLE, "connection reset");
    assert_int_equal(told.ended, 1);
    assert_int_equal(told.code, ORCH_E_UNAVAILABLE);
    assert_string_equal(told.message, "connection reset");
    ping();
    net_loop_turn(&loop, 0);
    assert_int_equal(fake.sends, 1); /* nothing is sent into it */
}

static void test_closing_sends_what_is_left(void **state)
{
    (void)state;
    open_it();
    ping();
    h2_link_close(&link_under_test);
    assert_int_equal(fake.sends, 2);
    assert_int_equal(fake.closes, 1);
    assert_int_equal(told.ended, 0); /* who closes need not be told */
    net_loop_free(&loop);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_leaves_before_it_is_open),
        TEST(test_a_turn_is_one_write),
        TEST(test_who_does_not_read_is_waited_for),
        TEST(test_but_not_for_ever),
        TEST(test_bytes_that_are_no_http2),
        TEST(test_a_connection_that_ends),
        cmocka_unit_test_setup(test_closing_sends_what_is_left, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
