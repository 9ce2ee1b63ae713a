/* Goal: whatever a server sends, a client's call ends as gRPC's rules say, once, and the connection serves the calls that follow.
 * The server is played here, frame by frame. Source: gRPC's PROTOCOL-HTTP2, http-grpc-status-mapping, gRFC A6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "base/clock.h"
#include "grpc/grpc.h"
#include "support/grpc_told.h"
#include "support/net_rig.h"
#include "support/raw_frames.h"

#define SECOND INT64_C(1000000000)

static net_rig rig;
static grpc_channel *channel;
static net_end *peer; /* the server's end of the newest connection */

/* ---- the server ------------------------------------------------------------------------------------------ */

static void send_frame(uint8_t type, uint8_t flags, uint32_t stream, const void *body, size_t len)
{
    buf frame = BUF_INIT;

    raw_put_frame(&frame, type, flags, stream, body, len);
    net_end_send(peer, frame.data, frame.len);
    buf_free(&frame);
}

static void send_number(uint8_t type, uint32_t stream, uint32_t a, uint32_t b)
{
    uint8_t body[8] = {(uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a,
                       (uint8_t)(b >> 24), (uint8_t)(b >> 16), (uint8_t)(b >> 8), (uint8_t)b};

    send_frame(type, 0, stream, body, type == RAW_GOAWAY ? 8 : 4);
}

static void send_fields(uint32_t stream, uint8_t flags, const char *lines)
{
    buf frame = BUF_INIT;

    raw_put_fields(&frame, flags, stream, lines);
    net_end_send(peer, frame.data, frame.len);
    buf_free(&frame);
}

#define ANSWER ":status: 200\ncontent-type: application/grpc\n"
#define OK     "grpc-status: 0\n"

static void send_message(uint32_t stream, uint8_t flags, uint8_t flag, const char *text)
{
    char body[64] = {(char)flag, 0, 0, 0, (char)strlen(text)};

    memcpy(body + 5, text, strlen(text));
    send_frame(RAW_DATA, flags, stream, body, 5 + strlen(text));
}

/* ---- the client ------------------------------------------------------------------------------------------ */

/* A HEADERS frame of the client's, by its number on the newest connection. */
static const uint8_t *request(int n)
{
    return raw_frame(&peer->got, RAW_HEADERS, n);
}

static int count(uint8_t type)
{
    int n = 0;

    while (raw_frame(&peer->got, type, n))
        n++;
    return n;
}

static void begin_call(told *t, const grpc_call_options *o)
{
    told_call(t, channel, "/t.T/Ask", o);
}

static void arrives(told *t, int n)
{
    NET_UNTIL(&rig, request(n));
    t->stream = raw_number(request(n) + 5);
}

static void call(told *t, const grpc_call_options *o)
{
    int n = count(RAW_HEADERS);

    begin_call(t, o);
    arrives(t, n);
}

static void is_connected(int n)
{
    NET_UNTIL(&rig, rig.count == n && rig.accepted[n - 1].opened && grpc_channel_is_ready(channel));
    peer = &rig.accepted[n - 1];
}

static void connects(int n)
{
    is_connected(n);
    net_end_send(peer, RAW_SETTINGS, 9);
}

static void ends_as(told *t, int32_t code)
{
    NET_UNTIL(&rig, t->closed);
    assert_int_equal(t->closed, 1);
    assert_string_equal(orch_code_name(t->code), orch_code_name(code));
}

/* The last reset of the stream that the client sent. */
static void is_reset(const told *t, uint32_t error)
{
    const uint8_t *reset = NULL;
    int n = 0;

    NET_UNTIL(&rig, count(RAW_RST_STREAM) && raw_number(raw_frame(&peer->got, RAW_RST_STREAM,
                                                                  count(RAW_RST_STREAM) - 1) +
                                                        5) == t->stream);
    while (raw_frame(&peer->got, RAW_RST_STREAM, n))
        reset = raw_frame(&peer->got, RAW_RST_STREAM, n++);
    assert_int_equal(raw_number(reset + 9), error);
}

static int begin_with(const grpc_channel_options *o)
{
    char target[40];
    told first;

    net_rig_begin(&rig);
    net_rig_listen(&rig, "127.0.0.1:0", NULL);
    snprintf(target, sizeof target, "127.0.0.1:%u", (unsigned)rig.port);
    assert_int_equal(grpc_channel_new(rig.net, target, o, &channel, NULL), 0);
    begin_call(&first, NULL);
    connects(1);
    arrives(&first, 0);
    send_fields(first.stream, RAW_END_STREAM, ANSWER OK);
    ends_as(&first, 0);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    return begin_with(NULL);
}

static int end(void **state)
{
    told last;

    (void)state;
    call(&last, NULL); /* the connection is as good as before */
    send_fields(last.stream, RAW_END_STREAM, ANSWER OK);
    ends_as(&last, 0);
    grpc_channel_free(channel);
    net_rig_end(&rig);
    return 0;
}

/* ---- statuses -------------------------------------------------------------------------------------------- */

static void test_http_statuses(void **state)
{
    static const struct {
        const char *fields;
        int32_t code;
    } cases[] = {
        {":status: 400\n", ORCH_E_INTERNAL},
        {":status: 401\n", ORCH_E_UNAUTHENTICATED},
        {":status: 403\n", ORCH_E_PERMISSION_DENIED},
        {":status: 404\n", ORCH_E_UNIMPLEMENTED},
        {":status: 429\n", ORCH_E_UNAVAILABLE},
        {":status: 431\n", ORCH_E_INTERNAL},
        {":status: 502\n", ORCH_E_UNAVAILABLE},
        {":status: 503\n", ORCH_E_UNAVAILABLE},
        {":status: 504\n", ORCH_E_UNAVAILABLE},
        {":status: 500\n", ORCH_E_UNKNOWN},
        {":status: 302\n", ORCH_E_UNKNOWN},
        {":status: 200\n", ORCH_E_UNKNOWN},
        {ANSWER, ORCH_E_UNKNOWN},
        {":status: 200\ncontent-type: text/html\n", ORCH_E_UNKNOWN},
        /* gRPC's own wins. */
        {":status: 503\ncontent-type: application/grpc\ngrpc-status: 7\n",
         ORCH_E_PERMISSION_DENIED},
    };
    told t;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        call(&t, NULL);
        send_fields(t.stream, RAW_END_STREAM, cases[i].fields);
        ends_as(&t, cases[i].code);
        call(&t, NULL);
        send_fields(t.stream, 0, cases[i].fields); /* a page comes after it */
        send_frame(RAW_DATA, RAW_END_STREAM, t.stream, "", 0);
        ends_as(&t, cases[i].code);
    }
}

static void test_what_is_said_on_the_way_is_passed_over(void **state)
{
    size_t len;
    told t;

    (void)state;
    call(&t, NULL);
    send_fields(t.stream, 0, ":status: 103\nx-hint: a\n");
    send_fields(t.stream, 0, ":status: 100\n");
    send_fields(t.stream, 0, ANSWER "x-real: b\n");
    NET_UNTIL(&rig, t.headers);
    assert_null(grpc_metadata_get(grpc_call_metadata(t.call), "x-hint", &len));
    assert_non_null(grpc_metadata_get(grpc_call_metadata(t.call), "x-real", &len));
    send_fields(t.stream, RAW_END_STREAM, OK);
    ends_as(&t, 0);
    assert_int_equal(t.headers, 1);
}

/* Legal in HTTP, if not in gRPC. */
static void test_odd_values_of_metadata(void **state)
{
    const char *value;
    size_t len;
    told t;

    (void)state;
    call(&t, NULL);
    send_fields(t.stream, 0, ANSWER "x-odd:  \x80\xff\t \n");
    NET_UNTIL(&rig, t.headers);
    value = grpc_metadata_get(grpc_call_metadata(t.call), "x-odd", &len);
    assert_non_null(value);
    assert_non_null(strstr(value, "\x80\xff"));
    send_fields(t.stream, RAW_END_STREAM, OK);
    ends_as(&t, 0);
}

static void test_statuses_that_are_none(void **state)
{
    static const char *const bad[] = {"grpc-status: \n", "grpc-status: x\n", "grpc-status: 17\n",
                                      "grpc-status: -1\n", "grpc-status: 100\n"};
    told t;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        call(&t, NULL);
        send_fields(t.stream, 0, ANSWER);
        send_fields(t.stream, RAW_END_STREAM, bad[i]);
        ends_as(&t, ORCH_E_UNKNOWN);
    }
}

static void test_messages_with_bad_escapes(void **state)
{
    told t;

    (void)state;
    call(&t, NULL);
    send_fields(t.stream, 0, ANSWER);
    send_fields(t.stream, RAW_END_STREAM, "grpc-status: 9\ngrpc-message: a%20b%zz%4%\n");
    ends_as(&t, ORCH_E_FAILED_PRECONDITION);
    assert_string_equal(t.message, "a b%zz%4%");
}

/* ---- ends ------------------------------------------------------------------------------------------------ */

static void test_resets(void **state)
{
    static const struct {
        uint32_t error;
        int32_t code;
    } cases[] = {
        {NGHTTP2_NO_ERROR, ORCH_E_INTERNAL},
        {NGHTTP2_PROTOCOL_ERROR, ORCH_E_INTERNAL},
        {NGHTTP2_INTERNAL_ERROR, ORCH_E_INTERNAL},
        {NGHTTP2_FLOW_CONTROL_ERROR, ORCH_E_INTERNAL},
        {NGHTTP2_STREAM_CLOSED, ORCH_E_INTERNAL},
        {NGHTTP2_CANCEL, ORCH_E_CANCELLED},
        {NGHTTP2_ENHANCE_YOUR_CALM, ORCH_E_RESOURCE_EXHAUSTED},
        {NGHTTP2_INADEQUATE_SECURITY, ORCH_E_PERMISSION_DENIED},
        {NGHTTP2_HTTP_1_1_REQUIRED, ORCH_E_INTERNAL},
        {12345, ORCH_E_INTERNAL},
    };
    told t;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        call(&t, NULL);
        send_fields(t.stream, 0, ANSWER);
        send_number(RAW_RST_STREAM, t.stream, cases[i].error, 0);
        ends_as(&t, cases[i].code);
    }
    call(&t, NULL); /* one that the server has begun is not made again */
    send_fields(t.stream, 0, ANSWER);
    send_number(RAW_RST_STREAM, t.stream, NGHTTP2_REFUSED_STREAM, 0);
    ends_as(&t, ORCH_E_UNAVAILABLE);
}

/* What a server says that it has not begun is made again, once. */
static void test_a_refused_stream_is_made_again_once(void **state)
{
    int n = count(RAW_HEADERS);
    told t;

    (void)state;
    begin_call(&t, NULL);
    arrives(&t, n);
    send_number(RAW_RST_STREAM, t.stream, NGHTTP2_REFUSED_STREAM, 0);
    arrives(&t, n + 1);
    assert_int_equal(t.closed, 0);
    send_number(RAW_RST_STREAM, t.stream, NGHTTP2_REFUSED_STREAM, 0);
    ends_as(&t, ORCH_E_UNAVAILABLE);
    assert_int_equal(count(RAW_HEADERS), n + 2);
}

/* Those above the last id go to a new connection, the others end where they are. */
static void test_goaway(void **state)
{
    told old, new;

    (void)state;
    call(&old, NULL);
    call(&new, NULL);
    send_number(RAW_GOAWAY, 0, old.stream, NGHTTP2_NO_ERROR);
    NET_UNTIL(&rig, rig.count == 2);
    send_fields(old.stream, 0, ANSWER);
    send_fields(old.stream, RAW_END_STREAM, OK);
    ends_as(&old, 0);
    connects(2);
    arrives(&new, 0);
    send_fields(new.stream, RAW_END_STREAM, ANSWER OK);
    ends_as(&new, 0);
}

static void test_an_end_without_a_status(void **state)
{
    told t;

    (void)state;
    call(&t, NULL);
    t.keeps = true;
    send_fields(t.stream, 0, ANSWER);
    send_message(t.stream, RAW_END_STREAM, 0, "hello");
    ends_as(&t, ORCH_E_UNKNOWN);
    assert_string_equal(t.last.data, "hello");
    told_forget(&t);
}

static void test_a_status_before_the_request_has_ended(void **state)
{
    told t;

    (void)state;
    call(&t, NULL);
    send_fields(t.stream, 0, ANSWER);
    send_fields(t.stream, RAW_END_STREAM, OK);
    ends_as(&t, 0);
    is_reset(&t, NGHTTP2_NO_ERROR);
}

static void test_a_cancel(void **state)
{
    told t;

    (void)state;
    call(&t, NULL);
    grpc_cancel(t.call);
    ends_as(&t, ORCH_E_CANCELLED);
    is_reset(&t, NGHTTP2_CANCEL);
    send_fields(t.stream, RAW_END_STREAM, ANSWER OK); /* was on its way */
}

static void test_a_deadline(void **state)
{
    const grpc_call_options minute = {.timeout_ns = 60 * SECOND};
    told t;

    (void)state;
    call(&t, &minute);
    net_loop_turn(net_uv_loop(rig.net), clock_monotonic_ns() + 61 * SECOND);
    ends_as(&t, ORCH_E_DEADLINE_EXCEEDED);
    is_reset(&t, NGHTTP2_CANCEL);
}

/* The server knew first. */
static void test_a_cancel_when_the_time_is_over(void **state)
{
    const grpc_call_options minute = {.timeout_ns = 60 * SECOND};
    told t;

    (void)state;
    call(&t, &minute);
    net_loop_tick(net_uv_loop(rig.net), clock_monotonic_ns() + 61 * SECOND);
    send_number(RAW_RST_STREAM, t.stream, NGHTTP2_CANCEL, 0);
    ends_as(&t, ORCH_E_DEADLINE_EXCEEDED);
}

/* ---- connections ----------------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    return net_uv_loop(rig.net)->now_ns;
}

static void is_let_go(void)
{
    net_end_close(peer);
    NET_UNTIL(&rig, !grpc_channel_is_ready(channel));
}

static const grpc_call_options patient = {.wait_for_ready = true};

/* The connection is lost, with the call on it. The next one comes after that, give or take a fifth. */
static void is_tried_again_after(told *t, int64_t ns)
{
    int64_t from_ns;
    int count = rig.count;

    is_let_go();
    from_ns = now_ns();
    ends_as(t, ORCH_E_UNAVAILABLE);
    begin_call(t, &patient);
    net_loop_turn(net_uv_loop(rig.net), from_ns + ns / 100 * 75);
    for (int i = 0; i < 20; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    assert_int_equal(rig.count, count);
    net_loop_turn(net_uv_loop(rig.net), from_ns + ns / 100 * 121);
    is_connected(count + 1);
}

static void test_the_pause_before_each_connection_grows(void **state)
{
    int64_t pause_ns = SECOND;
    told t;

    (void)state;
    is_let_go();
    begin_call(&t, &patient);
    is_connected(2); /* at once: the one before was a good one */
    for (int i = 0; i < 12; i++) {
        is_tried_again_after(&t, pause_ns);
        pause_ns = pause_ns / 10 * 16 < 120 * SECOND ? pause_ns / 10 * 16 : 120 * SECOND;
    }
    assert_int_equal(pause_ns, 120 * SECOND);
    net_end_send(peer, RAW_SETTINGS, 9);
    arrives(&t, 0);
    NET_UNTIL(&rig, count(RAW_SETTINGS_FRAME) == 2);
    is_let_go();
    ends_as(&t, ORCH_E_UNAVAILABLE);
    begin_call(&t, &patient);
    is_connected(15);
    is_tried_again_after(&t, SECOND);
    net_end_send(peer, RAW_SETTINGS, 9);
    arrives(&t, 0);
    send_fields(t.stream, RAW_END_STREAM, ANSWER OK);
    ends_as(&t, 0);
}

static void test_a_server_that_says_nothing(void **state)
{
    told t;

    (void)state;
    is_let_go();
    begin_call(&t, NULL);
    is_connected(2);
    arrives(&t, 0);
    net_loop_turn(net_uv_loop(rig.net), clock_monotonic_ns() + 19 * SECOND);
    assert_int_equal(t.closed, 0);
    net_loop_turn(net_uv_loop(rig.net), clock_monotonic_ns() + 21 * SECOND);
    ends_as(&t, ORCH_E_UNAVAILABLE);
    assert_non_null(strstr(t.message, "SETTINGS"));
    begin_call(&t, &patient);
    net_loop_turn(net_uv_loop(rig.net), now_ns() + 2 * SECOND);
    connects(3);
    arrives(&t, 0);
    send_fields(t.stream, RAW_END_STREAM, ANSWER OK);
    ends_as(&t, 0);
}

/* ---- messages -------------------------------------------------------------------------------------------- */

static void test_bad_messages(void **state)
{
    static const uint8_t large[] = {0, 0x40, 0, 0, 1};
    told t;

    (void)state;
    call(&t, NULL); /* compressed, and by what was not said */
    send_fields(t.stream, 0, ANSWER);
    send_message(t.stream, 0, 1, "x");
    ends_as(&t, ORCH_E_INTERNAL);
    is_reset(&t, NGHTTP2_CANCEL);
    call(&t, NULL); /* not compressed at all */
    send_fields(t.stream, 0, ANSWER "grpc-encoding: gzip\n");
    send_message(t.stream, 0, 1, "x");
    ends_as(&t, ORCH_E_INTERNAL);
    call(&t, NULL);
    send_fields(t.stream, 0, ANSWER);
    send_message(t.stream, 0, 2, "x"); /* a flag that does not exist */
    ends_as(&t, ORCH_E_INTERNAL);
    call(&t, NULL);
    send_fields(t.stream, 0, ANSWER "grpc-encoding: snappy\n");
    ends_as(&t, ORCH_E_INTERNAL);
    call(&t, NULL); /* of 1 GiB and a byte: it is not waited for */
    send_fields(t.stream, 0, ANSWER);
    send_frame(RAW_DATA, 0, t.stream, large, sizeof large);
    ends_as(&t, ORCH_E_RESOURCE_EXHAUSTED);
    is_reset(&t, NGHTTP2_CANCEL);
    call(&t, NULL); /* it ends within one */
    send_fields(t.stream, 0, ANSWER);
    send_frame(RAW_DATA, 0, t.stream, large, 3);
    send_fields(t.stream, RAW_END_STREAM, OK);
    ends_as(&t, ORCH_E_INTERNAL);
    assert_int_equal(t.messages, 0);
}

static void test_a_header_list_that_is_too_long(void **state)
{
    char line[128];
    buf lines = BUF_INIT;
    told t;

    (void)state;
    buf_puts(&lines, ANSWER);
    snprintf(line, sizeof line, "x-filler: %090d\n", 1);
    while (lines.len < 9000)
        buf_puts(&lines, line);
    call(&t, NULL);
    send_fields(t.stream, 0, lines.data);
    ends_as(&t, ORCH_E_RESOURCE_EXHAUSTED);
    buf_free(&lines);
}

/* ---- what the client sends ------------------------------------------------------------------------------- */

/* The fields of the client's n-th request, as "name: value" in lines. All before it on the connection are read too: they share
 * a table. */
static void read_request(int n, buf *out)
{
    nghttp2_hd_inflater *inflater;

    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    for (int i = 0; i <= n; i++) {
        const uint8_t *head = request(i), *at = head + 9;
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        int flags = 0;

        while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
            nghttp2_nv nv;
            ssize_t used = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, at, len, 1);

            assert_true(used >= 0);
            at += used;
            len -= (size_t)used;
            if (i == n && flags & NGHTTP2_HD_INFLATE_EMIT)
                buf_printf(out, "%s: %s\n", (const char *)nv.name, (const char *)nv.value);
        }
        nghttp2_hd_inflate_end_headers(inflater);
    }
    nghttp2_hd_inflate_del(inflater);
}

static void test_the_order_of_a_requests_fields(void **state)
{
    static const char *const order[] = {":method: POST\n",
                                        ":scheme: http\n",
                                        ":path: /t.T/Ask\n",
                                        ":authority: 127.0",
                                        "te: trailers\n",
                                        "content-type: application/grpc",
                                        "user-agent: grpc-c-liborch/",
                                        "grpc-timeout: ",
                                        "grpc-accept-encoding: identity,gzip\n",
                                        "x-first: 1\n",
                                        "x-second: 2\n",
                                        "x-first: 3\n"};
    const grpc_call_options minute = {.timeout_ns = 60 * SECOND};
    const char *at;
    buf fields = BUF_INIT;
    int n = count(RAW_HEADERS);
    told t;

    (void)state;
    begin_call(&t, &minute);
    grpc_metadata_add(grpc_call_initial(t.call), "x-first", "1", 1, NULL);
    grpc_metadata_add(grpc_call_initial(t.call), "x-second", "2", 1, NULL);
    grpc_metadata_add(grpc_call_initial(t.call), "x-first", "3", 1, NULL);
    arrives(&t, n);
    read_request(n, &fields);
    assert_false(fields.failed);
    at = fields.data ? fields.data : "";
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const char *found = strstr(at, order[i]);

        if (!found)
            fail_msg("no %s behind what comes before it in\n%s", order[i], fields.data);
        at = found + 1;
    }
    buf_free(&fields);
    send_fields(t.stream, RAW_END_STREAM, ANSWER OK);
    ends_as(&t, 0);
}

/* By an empty DATA frame, if all messages have left before. */
static void test_the_end_of_a_request(void **state)
{
    const uint8_t *last;
    told t;
    int n, resets;

    (void)state;
    call(&t, NULL);
    resets = count(RAW_RST_STREAM);
    grpc_send(t.call, "x", 1);
    NET_UNTIL(&rig, count(RAW_DATA) == 1);
    assert_int_equal(raw_frame(&peer->got, RAW_DATA, 0)[4], 0);
    grpc_half_close(t.call);
    NET_UNTIL(&rig, (n = count(RAW_DATA)) == 2);
    last = raw_frame(&peer->got, RAW_DATA, n - 1);
    assert_memory_equal(last, "\0\0\0", 3);
    assert_int_equal(last[4], RAW_END_STREAM);
    assert_int_equal(raw_number(last + 5), t.stream);
    send_fields(t.stream, RAW_END_STREAM, ANSWER OK);
    ends_as(&t, 0);
    assert_int_equal(count(RAW_RST_STREAM), resets);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_http_statuses),
        TEST(test_what_is_said_on_the_way_is_passed_over),
        TEST(test_odd_values_of_metadata),
        TEST(test_statuses_that_are_none),
        TEST(test_messages_with_bad_escapes),
        TEST(test_resets),
        TEST(test_a_refused_stream_is_made_again_once),
        TEST(test_goaway),
        TEST(test_an_end_without_a_status),
        TEST(test_a_status_before_the_request_has_ended),
        TEST(test_a_cancel),
        TEST(test_a_deadline),
        TEST(test_a_cancel_when_the_time_is_over),
        TEST(test_the_pause_before_each_connection_grows),
        TEST(test_a_server_that_says_nothing),
        TEST(test_bad_messages),
        TEST(test_a_header_list_that_is_too_long),
        TEST(test_the_order_of_a_requests_fields),
        TEST(test_the_end_of_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
