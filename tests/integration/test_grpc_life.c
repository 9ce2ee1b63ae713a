/* Goal: connections end when they should and only then: keepalive at both ends, idleness, age and its grace, pings that are too many.
 * Time passes by turning the loop as of later; what happens then goes over real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "grpc/grpc.h"
#include "support/grpc_told.h"
#include "support/net_rig.h"
#include "support/raw_frames.h"

#define SECOND INT64_C(1000000000)

static net_rig rig;
static grpc_server *server;
static grpc_channel *channel;
static uint16_t port;
static logger *log_of_test;

/* The loop's time is so much later than that of the clock, from here on: it never goes back. */
static void pass(int64_t ns)
{
    net_loop_turn(net_uv_loop(rig.net), clock_monotonic_ns() + ns);
}

/* ---- a server whose calls stay open --------------------------------------------------------------------------- */

static struct {
    grpc_call *call;
    int begun, closed;
    int32_t code;
} seen;

static void server_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)ctx;
    (void)c;
    (void)message;
    seen.call = NULL;
    seen.closed++;
    seen.code = code;
}

static void begin_open(void *ctx, grpc_call *c)
{
    static const grpc_call_handler handler = {.closed = server_closed};

    (void)ctx;
    seen.begun++;
    seen.call = c;
    grpc_call_set_handler(c, &handler, NULL);
    grpc_send_initial(c);
}

static void serve(const grpc_server_options *o)
{
    memset(&seen, 0, sizeof seen);
    server = grpc_server_new(rig.net, o);
    assert_int_equal(grpc_server_add(server, "/t.T/Open", begin_open, NULL, NULL), 0);
    assert_int_equal(grpc_server_listen(server, "127.0.0.1:0", NULL, &port, NULL), 0);
    rig.port = port;
}

static void dial(const grpc_channel_options *o)
{
    char target[40];

    snprintf(target, sizeof target, "127.0.0.1:%u", (unsigned)rig.port);
    assert_int_equal(grpc_channel_new(rig.net, target, o, &channel, NULL), 0);
}

static void gone(void *ctx)
{
    *(bool *)ctx = true;
}

static int begin(void **state)
{
    (void)state;
    net_rig_begin(&rig);
    server = NULL;
    channel = NULL;
    return 0;
}

static int end(void **state)
{
    bool is_gone = !server;

    (void)state;
    grpc_channel_free(channel);
    if (server)
        grpc_server_stop(server, 0, gone, &is_gone);
    NET_UNTIL(&rig, is_gone);
    net_rig_end(&rig);
    logger_free(log_of_test);
    log_of_test = NULL;
    return 0;
}

/* ---- a client's calls -------------------------------------------------------------------------------------------- */

static void call(told *t)
{
    told_call(t, channel, "/t.T/Open", NULL);
}

static void call_that_is_open(told *t)
{
    call(t);
    NET_UNTIL(&rig, t->headers);
}

static void finish(told *t)
{
    grpc_half_close(t->call);
    grpc_finish(seen.call, 0, NULL);
    NET_UNTIL(&rig, t->closed && seen.closed);
    assert_int_equal(t->code, 0);
}

/* ---- another end of raw frames ----------------------------------------------------------------------------------- */

#define ENHANCE_CALM 11

static const uint8_t *frame(const net_end *e, uint8_t type, int n)
{
    return raw_frame(&e->got, type, n);
}

static void expect_goaway(const uint8_t *goaway, uint32_t last, uint32_t error, const char *text)
{
    size_t len = (size_t)goaway[1] << 8 | goaway[2];

    assert_int_equal(raw_number(goaway + 9), last);
    assert_int_equal(raw_number(goaway + 13), error);
    assert_int_equal(len - 8, strlen(text));
    assert_memory_equal(goaway + 17, text, strlen(text));
}

static void dial_raw(net_end *e)
{
    net_rig_dial(&rig, e, NULL, NULL, NULL);
    NET_UNTIL(&rig, e->opened);
    net_end_send(e, RAW_PREFACE, sizeof RAW_PREFACE - 1);
    net_end_send(e, RAW_SETTINGS, 9);
    NET_UNTIL(&rig, frame(e, 4, 1)); /* its SETTINGS, and the answer to ours */
}

/* ---- a client's keepalive ------------------------------------------------------------------------------------------ */

/* Its server is one that takes everything and says nothing more than SETTINGS. */
static net_end *dial_silent(const grpc_channel_options *o, told *t)
{
    net_end *e = &rig.accepted[0];

    net_rig_listen(&rig, "127.0.0.1:0", NULL);
    dial(o);
    if (t)
        call(t);
    NET_UNTIL(&rig, rig.count == 1 && e->opened);
    net_end_send(e, RAW_SETTINGS, 9);
    NET_UNTIL(&rig, frame(e, 4, 1) && frame(e, 1, 0)); /* the answer to it, and the call */
    return e;
}

/* PINGs of ours whose number is that of keepalive: others measure the window. */
static int keepalive_pings(const net_end *e)
{
    int count = 0;
    const uint8_t *ping;

    for (int i = 0; (ping = frame(e, 6, i)) != NULL; i++)
        count += !(ping[4] & 1) && ping[9] == 2;
    return count;
}

static void test_a_server_that_is_gone(void **state)
{
    grpc_channel_options o = {.keepalive_ns = 30 * SECOND, .keepalive_timeout_ns = 5 * SECOND};
    told t;
    net_end *e;

    (void)state;
    e = dial_silent(&o, &t);
    pass(29 * SECOND);
    pass(31 * SECOND);
    NET_UNTIL(&rig, keepalive_pings(e) == 1);
    assert_int_equal(t.closed, 0);
    pass(35 * SECOND);
    assert_int_equal(t.closed, 0);
    pass(37 * SECOND);
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, ORCH_E_UNAVAILABLE);
    assert_non_null(strstr(t.message, "did not answer a PING"));
}

static void test_any_byte_is_an_answer(void **state)
{
    grpc_channel_options o = {.keepalive_ns = 30 * SECOND, .keepalive_timeout_ns = 5 * SECOND};
    told t;
    net_end *e;

    (void)state;
    e = dial_silent(&o, &t);
    pass(31 * SECOND);
    NET_UNTIL(&rig, keepalive_pings(e) == 1);
    net_end_send(e, RAW_PING "12345678", RAW_PING_LEN);
    NET_UNTIL(&rig, frame(e, 6, 1)); /* which is answered */
    pass(37 * SECOND);
    assert_int_equal(t.closed, 0);
    pass(62 * SECOND); /* and half a minute after that byte ... */
    NET_UNTIL(&rig, keepalive_pings(e) == 2);
    assert_int_equal(t.closed, 0);
    grpc_cancel(t.call);
    NET_UNTIL(&rig, t.closed);
}

static void test_servers_are_spared(void **state)
{
    grpc_channel_options o = {.keepalive_ns = SECOND};
    told t;
    net_end *e;

    (void)state;
    e = dial_silent(&o, &t);
    pass(9 * SECOND);
    for (int i = 0; i < 10; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    assert_int_equal(keepalive_pings(e), 0);
    pass(11 * SECOND);
    NET_UNTIL(&rig, keepalive_pings(e) == 1);
    grpc_cancel(t.call);
    NET_UNTIL(&rig, t.closed);
}

static void test_no_pings_without_calls(void **state)
{
    grpc_channel_options o = {.keepalive_ns = 10 * SECOND};
    told t;
    net_end *e;

    (void)state;
    e = dial_silent(&o, &t);
    grpc_cancel(t.call);
    NET_UNTIL(&rig, t.closed && frame(e, 3, 0));
    pass(11 * SECOND);
    pass(31 * SECOND);
    pass(51 * SECOND);
    for (int i = 0; i < 10; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    assert_int_equal(keepalive_pings(e), 0);
    call(&t); /* and with the next call it goes on */
    NET_UNTIL(&rig, frame(e, 1, 1));
    pass(62 * SECOND);
    NET_UNTIL(&rig, keepalive_pings(e) == 1);
    grpc_cancel(t.call);
    NET_UNTIL(&rig, t.closed);
}

/* ---- what the log is told -------------------------------------------------------------------------------------------- */

static struct {
    int count;
    char last[300];
} lines;

static void on_line(void *user_data, int32_t level, const char *message)
{
    (void)user_data;
    assert_int_equal(level, ORCH_LOG_WARNING);
    lines.count++;
    snprintf(lines.last, sizeof lines.last, "%s", message);
}

static logger *listen_to_log(void)
{
    log_of_test = logger_new();
    logger_set(log_of_test, on_line, NULL, NULL, ORCH_LOG_DEBUG);
    lines.count = 0;
    return log_of_test;
}

static void ends_after(const char *bytes, size_t len)
{
    net_end e;

    net_rig_dial(&rig, &e, NULL, NULL, NULL);
    NET_UNTIL(&rig, e.opened);
    net_end_send(&e, bytes, len);
    NET_UNTIL(&rig, e.closed);
    net_end_close(&e);
}

/* Once a second, and then how often it would have been. */
static void test_the_log_knows_why(void **state)
{
    const grpc_server_options o = {.log = listen_to_log()};

    (void)state;
    serve(&o);
    ends_after("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "connection from 127.0.0.1"));
    for (int i = 0; i < 5; i++)
        ends_after("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    assert_int_equal(lines.count, 1);
    pass(2 * SECOND);
    ends_after("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    assert_int_equal(lines.count, 2);
    assert_non_null(strstr(lines.last, "(and 5 like it before)"));
}

/* A server that has enough of pings is left alone for twice as long, on the next connection. */
static void test_too_many_pings(void **state)
{
    static const char goaway[] = "\0\0\x16\7\0\0\0\0\0\0\0\0\1\0\0\0\x0b"
                                 "too_many_pings";
    const grpc_channel_options o = {.keepalive_ns = 10 * SECOND, .log = listen_to_log()};
    told first, second;
    net_end *e;

    (void)state;
    e = dial_silent(&o, &first);
    net_end_send(e, goaway, sizeof goaway - 1);
    for (int i = 0; i < 100; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    call(&second);
    NET_UNTIL(&rig, rig.count == 2 && rig.accepted[1].opened);
    e = &rig.accepted[1];
    net_end_send(e, RAW_SETTINGS, 9);
    NET_UNTIL(&rig, frame(e, 4, 1) && frame(e, 1, 0));
    pass(11 * SECOND);
    for (int i = 0; i < 10; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    assert_int_equal(keepalive_pings(e), 0);
    pass(21 * SECOND);
    NET_UNTIL(&rig, keepalive_pings(e) == 1);
    if (!first.closed)
        grpc_cancel(first.call);
    grpc_cancel(second.call);
    NET_UNTIL(&rig, first.closed && second.closed);
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "too_many_pings; new connections have keepalive each 20 s"));
}

/* ---- a server's connections ------------------------------------------------------------------------------------------ */

static void test_a_client_that_is_gone(void **state)
{
    net_end e;

    (void)state;
    serve(NULL);
    dial_raw(&e);
    pass(7201 * SECOND);
    NET_UNTIL(&rig, keepalive_pings(&e) == 1);
    assert_int_equal(e.closed, 0);
    pass(7222 * SECOND);
    NET_UNTIL(&rig, e.closed);
    net_end_close(&e);
}

static void test_a_client_that_is_there(void **state)
{
    grpc_server_options o = {.keepalive_ns = 10 * SECOND};
    told t;

    (void)state;
    serve(&o);
    dial(NULL);
    call_that_is_open(&t);
    pass(11 * SECOND);
    for (int i = 0; i < 50; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT); /* PING and answer */
    pass(32 * SECOND);
    for (int i = 0; i < 50; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    assert_int_equal(t.closed, 0);
    finish(&t);
}

static void test_a_client_that_pings_too_often(void **state)
{
    const grpc_server_options o = {.log = listen_to_log()};
    net_end e;

    (void)state;
    serve(&o);
    dial_raw(&e);
    for (int i = 0; i < 3; i++) {
        net_end_send(&e, RAW_PING "12345678", RAW_PING_LEN);
        NET_UNTIL(&rig, frame(&e, 6, i));
    }
    assert_null(frame(&e, 7, 0));
    net_end_send(&e, RAW_PING "12345678", RAW_PING_LEN);
    NET_UNTIL(&rig, frame(&e, 7, 0) && e.closed);
    expect_goaway(frame(&e, 7, 0), 0, ENHANCE_CALM, "too_many_pings");
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "too_many_pings"));
    net_end_close(&e);
}

/* Of which the client says nothing any more: the server keeps the time by itself, and tells a client that still listens. */
static void test_a_call_whose_time_is_over(void **state)
{
    const grpc_server_options o = {0};
    buf frames = BUF_INIT;
    net_end e;

    (void)state;
    serve(&o);
    dial_raw(&e);
    raw_put_fields(&frames, 0, 1,
                   ":method: POST\n:scheme: http\n:path: /t.T/Open\n:authority: t\nte: trailers\n"
                   "content-type: application/grpc\ngrpc-timeout: 60S\n");
    net_end_send(&e, frames.data, frames.len);
    NET_UNTIL(&rig, frame(&e, RAW_HEADERS, 0) && seen.begun);
    pass(59 * SECOND);
    assert_int_equal(seen.closed, 0);
    pass(61 * SECOND);
    NET_UNTIL(&rig, seen.closed && frame(&e, RAW_HEADERS, 1));
    assert_int_equal(seen.code, ORCH_E_DEADLINE_EXCEEDED);
    assert_int_equal(frame(&e, RAW_HEADERS, 1)[4], RAW_END_STREAM | RAW_END_HEADERS);
    net_end_close(&e);
    buf_free(&frames);
}

static void test_pings_that_are_permitted(void **state)
{
    grpc_server_options o = {.min_ping_ns = 1, .pings_without_calls = true};
    net_end e;

    (void)state;
    serve(&o);
    dial_raw(&e);
    for (int i = 0; i < 20; i++) {
        net_end_send(&e, RAW_PING "12345678", RAW_PING_LEN);
        NET_UNTIL(&rig, frame(&e, 6, i));
    }
    assert_null(frame(&e, 7, 0));
    net_end_close(&e);
}

static void test_who_is_idle_has_to_go(void **state)
{
    grpc_server_options o = {.max_idle_ns = 60 * SECOND};
    net_end e;

    (void)state;
    serve(&o);
    dial_raw(&e);
    pass(59 * SECOND);
    pass(61 * SECOND);
    NET_UNTIL(&rig, frame(&e, 7, 0) && frame(&e, 6, 0));
    expect_goaway(frame(&e, 7, 0), INT32_MAX, 0, "");
    assert_int_equal(e.closed, 0); /* a call that crosses it is still taken */
    net_end_send(&e, "\0\0\x08\6\1\0\0\0\0\1\0\0\0\0\0\0\0", RAW_PING_LEN);
    NET_UNTIL(&rig, e.closed);
    expect_goaway(frame(&e, 7, 1), 0, 0, "max_idle");
    net_end_close(&e);
}

static void test_who_has_calls_is_not_idle(void **state)
{
    grpc_server_options o = {.max_idle_ns = 60 * SECOND};
    told t, next;

    (void)state;
    serve(&o);
    dial(NULL);
    call_that_is_open(&t);
    for (int i = 1; i < 10; i++)
        pass(61 * i * SECOND);
    for (int i = 0; i < 50; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    assert_true(grpc_channel_is_ready(channel));
    finish(&t);
    pass(1200 * SECOND);
    NET_UNTIL(&rig, !grpc_channel_is_ready(channel));
    call_that_is_open(&next); /* on another connection */
    finish(&next);
}

static void test_the_old_go_when_their_calls_have_ended(void **state)
{
    grpc_server_options o = {.max_age_ns = 100 * SECOND};
    told old, next;

    (void)state;
    serve(&o);
    dial(NULL);
    call_that_is_open(&old);
    pass(89 * SECOND);
    for (int i = 0; i < 50; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    assert_true(grpc_channel_is_ready(channel));
    pass(111 * SECOND);
    NET_UNTIL(&rig, !grpc_channel_is_ready(channel));
    assert_int_equal(old.closed, 0);
    finish(&old);
    call_that_is_open(&next);
    assert_int_equal(seen.begun, 2);
    finish(&next);
}

static void test_grace_ends(void **state)
{
    grpc_server_options o = {.max_age_ns = 100 * SECOND, .age_grace_ns = 10 * SECOND};
    told t;

    (void)state;
    serve(&o);
    dial(NULL);
    call_that_is_open(&t);
    pass(111 * SECOND);
    NET_UNTIL(&rig, !grpc_channel_is_ready(channel));
    pass(120 * SECOND);
    assert_int_equal(t.closed, 0);
    pass(122 * SECOND);
    NET_UNTIL(&rig, t.closed && seen.closed);
    assert_int_equal(t.code, ORCH_E_UNAVAILABLE);
    assert_int_equal(seen.code, ORCH_E_CANCELLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_server_that_is_gone),
        TEST(test_any_byte_is_an_answer),
        TEST(test_servers_are_spared),
        TEST(test_no_pings_without_calls),
        TEST(test_the_log_knows_why),
        TEST(test_too_many_pings),
        TEST(test_a_client_that_is_gone),
        TEST(test_a_client_that_is_there),
        TEST(test_a_client_that_pings_too_often),
        TEST(test_a_call_whose_time_is_over),
        TEST(test_pings_that_are_permitted),
        TEST(test_who_is_idle_has_to_go),
        TEST(test_who_has_calls_is_not_idle),
        TEST(test_the_old_go_when_their_calls_have_ended),
        TEST(test_grace_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
