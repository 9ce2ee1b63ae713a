/* Goal: calls of all four kinds between our server and our client over real sockets, plaintext: messages, metadata, statuses,
 * deadlines, cancels, sizes, compression, and every end exactly once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc/grpc.h"
#include "support/grpc_told.h"
#include "support/net_rig.h"

static net_rig rig;
static grpc_server *server;
static grpc_channel *channel;
static uint16_t port;

/* What the server's methods do; its ends are counted. */
static struct {
    int begun, halves, closed, messages;
    int32_t last_code;
    grpc_call *call; /* the last */
    const char *peer_metadata;
} seen;

/* ---- a server with a few methods ------------------------------------------------------------------------------------------ */

static void server_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)ctx;
    (void)message;
    seen.closed++;
    seen.last_code = code;
    if (seen.call == c)
        seen.call = NULL;
}

static void echo_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    seen.messages++;
    grpc_send(c, data, len);
}

static void echo_end(void *ctx, grpc_call *c)
{
    (void)ctx;
    seen.halves++;
    assert_int_equal(grpc_metadata_add(grpc_call_trailing(c), "x-end", "yes", 3, NULL), 0);
    grpc_finish(c, 0, NULL);
}

static void begin_echo(void *ctx, grpc_call *c)
{
    static const grpc_call_handler handler = {NULL, echo_message, echo_end, NULL, server_closed};
    const char *hello = grpc_metadata_get(grpc_call_metadata(c), "x-hello", NULL);

    (void)ctx;
    seen.begun++;
    seen.call = c;
    if (hello)
        assert_int_equal(
            grpc_metadata_add(grpc_call_initial(c), "x-hello", hello, strlen(hello), NULL), 0);
    grpc_call_compress(c, grpc_metadata_get(grpc_call_metadata(c), "x-compress", NULL) != NULL);
    grpc_call_set_handler(c, &handler, NULL);
}

static void count_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)c;
    (void)data;
    (void)len;
    seen.messages++;
}

/* Takes one message, then no more until it is told to. */
static void one_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    count_message(ctx, c, data, len);
    grpc_pause(c);
}

static void count_half(void *ctx, grpc_call *c)
{
    (void)ctx;
    (void)c;
    seen.halves++;
}

static void begin_one(void *ctx, grpc_call *c)
{
    static const grpc_call_handler handler = {NULL, one_message, count_half, NULL, server_closed};

    (void)ctx;
    seen.begun++;
    seen.call = c;
    grpc_call_set_handler(c, &handler, NULL);
}

static void begin_silent(void *ctx, grpc_call *c)
{
    static const grpc_call_handler handler = {NULL, count_message, NULL, NULL, server_closed};

    (void)ctx;
    seen.begun++;
    seen.call = c;
    grpc_call_set_handler(c, &handler, NULL);
}

/* A status as the first message says: "CODE text". */
static void fail_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    char text[300];

    (void)ctx;
    snprintf(text, sizeof text, "%.*s", (int)len, (const char *)data);
    grpc_finish(c, -atoi(text), strchr(text, ' ') + 1);
    grpc_finish(c, 0, "not this"); /* the first one stays */
}

static void begin_fail(void *ctx, grpc_call *c)
{
    static const grpc_call_handler handler = {NULL, fail_message, NULL, NULL, server_closed};

    (void)ctx;
    seen.begun++;
    grpc_call_set_handler(c, &handler, NULL);
}

static void many_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)data;
    for (size_t i = 0; i < len; i++)
        grpc_send(c, "0123456789", i % 11);
    grpc_finish(c, 0, "done");
}

static void begin_many(void *ctx, grpc_call *c)
{
    static const grpc_call_handler handler = {NULL, many_message, NULL, NULL, server_closed};

    (void)ctx;
    grpc_call_set_handler(c, &handler, NULL);
}

/* ---- a client --------------------------------------------------------------------------------------------------------------- */

static told *call_with(const char *path, const grpc_call_options *o)
{
    told *t = calloc(1, sizeof *t);

    assert_non_null(t);
    told_call(t, channel, path, o);
    t->keeps = true;
    return t;
}

static told *call(const char *path)
{
    return call_with(path, NULL);
}

static void forget(told *t)
{
    told_forget(t);
    free(t);
}

static void expect_end(told *t, int32_t code, const char *message)
{
    NET_UNTIL(&rig, t->closed);
    if (t->code != code || strcmp(t->message, message) != 0)
        fail_msg("%d '%s', not %d '%s'", t->code, t->message, code, message);
    assert_int_equal(t->closed, 1);
    forget(t);
}

/* ---- around each test ------------------------------------------------------------------------------------------------------ */

static void listen_with(const grpc_server_options *o)
{
    server = grpc_server_new(rig.net, o);
    assert_non_null(server);
    assert_int_equal(grpc_server_add(server, "/t.T/Echo", begin_echo, NULL, NULL), 0);
    assert_int_equal(grpc_server_add(server, "/t.T/Silent", begin_silent, NULL, NULL), 0);
    assert_int_equal(grpc_server_add(server, "/t.T/One", begin_one, NULL, NULL), 0);
    assert_int_equal(grpc_server_add(server, "/t.T/Fail", begin_fail, NULL, NULL), 0);
    assert_int_equal(grpc_server_add(server, "/t.T/Many", begin_many, NULL, NULL), 0);
    assert_int_equal(grpc_server_add(server, "/t.T/Many", begin_many, NULL, NULL),
                     ORCH_E_ALREADY_EXISTS);
    assert_int_equal(grpc_server_listen(server, "127.0.0.1:0", NULL, &port, NULL), 0);
}

static void dial_with(const grpc_channel_options *o)
{
    char target[40];

    snprintf(target, sizeof target, "127.0.0.1:%u", (unsigned)port);
    assert_int_equal(grpc_channel_new(rig.net, target, o, &channel, NULL), 0);
}

static int begin(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    net_rig_begin(&rig);
    listen_with(NULL);
    dial_with(NULL);
    return 0;
}

static void stopped(void *ctx)
{
    *(bool *)ctx = true;
}

static void stop_server(int64_t grace_ns)
{
    bool is_stopped = false;

    grpc_server_stop(server, grace_ns, stopped, &is_stopped);
    NET_UNTIL(&rig, is_stopped);
    server = NULL;
}

static int end(void **state)
{
    (void)state;
    grpc_channel_free(channel);
    if (server)
        stop_server(INT64_C(10000000000));
    net_rig_end(&rig);
    return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------------------------------- */

static void test_a_message_there_and_back(void **state)
{
    told *t = call("/t.T/Echo");

    (void)state;
    assert_int_equal(grpc_metadata_add(grpc_call_initial(t->call), "x-hello", "world", 5, NULL), 0);
    grpc_send(t->call, "hello", 5);
    grpc_half_close(t->call);
    assert_int_equal(t->closed, 0);
    NET_UNTIL(&rig, t->closed);
    assert_int_equal(t->code, 0);
    assert_string_equal(t->message, "");
    assert_int_equal(t->messages, 1);
    assert_int_equal(t->headers, 1);
    assert_memory_equal(t->last.data, "hello", 5);
    assert_string_equal(t->trailer, "yes");
    forget(t);
    NET_UNTIL(&rig, seen.closed == 1);
    assert_int_equal(seen.last_code, 0);
    assert_int_equal(seen.halves, 1);
}

static void test_messages_of_all_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 16379, 16384, 70000, 1 << 20, 4 << 20};
    uint8_t *bytes = malloc(4 << 20);

    (void)state;
    for (size_t i = 0; i < 4 << 20; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 8191);
    for (int compressed = 0; compressed < 2; compressed++) {
        grpc_call_options o = {.compress = compressed};

        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            told *t = call_with("/t.T/Echo", &o);

            if (compressed)
                grpc_metadata_add(grpc_call_initial(t->call), "x-compress", "1", 1, NULL);
            grpc_send(t->call, bytes, sizes[i]);
            grpc_half_close(t->call);
            NET_UNTIL(&rig, t->closed);
            assert_int_equal(t->code, 0);
            assert_int_equal(t->last.len, sizes[i]);
            if (sizes[i])
                assert_memory_equal(t->last.data, bytes, sizes[i]);
            forget(t);
        }
    }
    free(bytes);
}

static void test_many_messages_of_a_server(void **state)
{
    uint8_t bytes[5000] = {0};
    told *t = call("/t.T/Many");

    (void)state;
    grpc_send(t->call, bytes, sizeof bytes);
    grpc_half_close(t->call);
    NET_UNTIL(&rig, t->closed);
    assert_int_equal(t->messages, 5000);
    expect_end(t, 0, "done");
}

static void test_a_conversation(void **state)
{
    told *t = call("/t.T/Echo");

    (void)state;
    for (int i = 0; i < 100; i++) {
        char text[20];

        snprintf(text, sizeof text, "number %d", i);
        grpc_send(t->call, text, strlen(text));
        NET_UNTIL(&rig, t->messages == i + 1);
        assert_memory_equal(t->last.data, text, strlen(text));
    }
    grpc_half_close(t->call);
    expect_end(t, 0, "");
}

static void test_many_calls_at_once(void **state)
{
    told *t[500];

    (void)state;
    for (int i = 0; i < 500; i++) {
        t[i] = call("/t.T/Echo");
        grpc_send(t[i]->call, &i, sizeof i);
        grpc_half_close(t[i]->call);
    }
    for (int i = 0; i < 500; i++) {
        NET_UNTIL(&rig, t[i]->closed);
        assert_memory_equal(t[i]->last.data, &i, sizeof i);
        expect_end(t[i], 0, "");
    }
    assert_int_equal(seen.begun, 500);
}

/* ---- statuses ------------------------------------------------------------------------------------------------------------------ */

static void test_statuses(void **state)
{
    static const char *const messages[] = {"2 plain", "3 100 % sure\n\t",
                                           "16 \xF0\x9F\x98\x88 and more", "5 "};

    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        told *t = call("/t.T/Fail");

        grpc_send(t->call, messages[i], strlen(messages[i]));
        grpc_half_close(t->call);
        expect_end(t, -atoi(messages[i]), strchr(messages[i], ' ') + 1);
    }
}

static void test_a_method_that_is_not_there(void **state)
{
    told *t = call("/t.T/None");

    (void)state;
    grpc_send(t->call, "x", 1);
    expect_end(t, ORCH_E_UNIMPLEMENTED, "method '/t.T/None' is not here");
}

static void test_a_message_that_is_too_large(void **state)
{
    uint8_t *bytes = calloc(1, (4 << 20) + 1);
    told *t = call("/t.T/Echo");

    (void)state;
    grpc_send(t->call, bytes, (4 << 20) + 1);
    grpc_half_close(t->call);
    expect_end(t, ORCH_E_RESOURCE_EXHAUSTED, "a message is larger than is allowed");
    assert_int_equal(seen.messages, 0);
    free(bytes);
}

/* ---- deadlines, cancels ----------------------------------------------------------------------------------------------------------- */

static void test_a_deadline(void **state)
{
    grpc_call_options o = {.timeout_ns = 20000000};
    told *t = call_with("/t.T/Silent", &o);

    (void)state;
    grpc_send(t->call, "x", 1);
    NET_UNTIL(&rig, seen.call);
    assert_in_range(grpc_call_deadline(seen.call) - net_uv_loop(rig.net)->now_ns, 1, 20000000);
    expect_end(t, ORCH_E_DEADLINE_EXCEEDED, "the deadline is exceeded");
    NET_UNTIL(&rig, seen.closed);
    assert_true(seen.last_code == ORCH_E_DEADLINE_EXCEEDED || seen.last_code == ORCH_E_CANCELLED);
}

static void test_a_cancel_of_the_client(void **state)
{
    told *t = call("/t.T/Silent");

    (void)state;
    grpc_send(t->call, "x", 1);
    NET_UNTIL(&rig, seen.messages);
    grpc_cancel(t->call);
    assert_int_equal(t->closed, 0); /* not within the call */
    expect_end(t, ORCH_E_CANCELLED, "the call was cancelled");
    NET_UNTIL(&rig, seen.closed);
    assert_int_equal(seen.last_code, ORCH_E_CANCELLED);
}

static void test_a_cancel_before_there_is_a_connection(void **state)
{
    told *t = call("/t.T/Silent");

    (void)state;
    grpc_cancel(t->call);
    expect_end(t, ORCH_E_CANCELLED, "the call was cancelled");
    assert_int_equal(seen.begun, 0);
}

static void test_a_cancel_of_the_server(void **state)
{
    told *t = call("/t.T/Silent");

    (void)state;
    grpc_send(t->call, "x", 1);
    NET_UNTIL(&rig, seen.call);
    grpc_cancel(seen.call);
    NET_UNTIL(&rig, t->closed);
    assert_int_equal(t->code, ORCH_E_CANCELLED);
    forget(t);
    assert_int_equal(seen.closed, 1);
}

/* ---- flow --------------------------------------------------------------------------------------------------------------------- */

/* Who takes no messages holds up who sends them; what was held comes, in order, and then the rest. */
static void test_a_pause(void **state)
{
    uint8_t part[10000] = {0};
    told *t = call("/t.T/Silent");
    int before;

    (void)state;
    grpc_send(t->call, "x", 1);
    NET_UNTIL(&rig, seen.call && seen.messages == 1);
    grpc_pause(seen.call);
    for (int i = 0; i < 1000; i++)
        grpc_send(t->call, part, sizeof part);
    grpc_half_close(t->call);
    for (int i = 0; i < 50; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    before = seen.messages;
    assert_int_equal(before, 1);
    assert_int_equal(t->drained, 0);
    grpc_resume(seen.call);
    NET_UNTIL(&rig, seen.messages == 1001);
    assert_int_equal(t->drained, 1);
    grpc_finish(seen.call, 0, NULL);
    expect_end(t, 0, "");
}

/* Messages that came together are told one by one, if the handler of each wants no more. */
static void test_a_pause_after_each_message(void **state)
{
    told *t = call("/t.T/One");

    (void)state;
    for (int i = 0; i < 100; i++)
        grpc_send(t->call, "x", i % 2);
    grpc_half_close(t->call);
    for (int i = 1; i <= 100; i++) {
        for (int turn = 0; turn < 3; turn++)
            uv_run(&rig.uv, UV_RUN_NOWAIT);
        NET_UNTIL(&rig, seen.messages == i);
        assert_int_equal(seen.messages, i);
        assert_int_equal(seen.halves, 0);
        grpc_resume(seen.call);
    }
    NET_UNTIL(&rig, seen.halves == 1);
    grpc_finish(seen.call, 0, NULL);
    expect_end(t, 0, "");
}

/* ---- connections ------------------------------------------------------------------------------------------------------------------ */

static void test_nobody_is_there(void **state)
{
    grpc_call_options patient = {.wait_for_ready = true, .timeout_ns = 100000000};
    grpc_channel_options o = {.backoff_ns = 10000000};
    told *quick, *waits;

    (void)state;
    stop_server(0);
    grpc_channel_free(channel);
    dial_with(&o);
    quick = call("/t.T/Echo");
    waits = call_with("/t.T/Echo", &patient);
    NET_UNTIL(&rig, quick->closed);
    assert_int_equal(quick->code, ORCH_E_UNAVAILABLE);
    assert_non_null(strstr(quick->message, "connection refused"));
    forget(quick);
    expect_end(waits, ORCH_E_DEADLINE_EXCEEDED, "the deadline is exceeded");
}

static void test_who_waits_is_served_later(void **state)
{
    grpc_call_options patient = {.wait_for_ready = true};
    grpc_channel_options o = {.backoff_ns = 10000000};
    char at[40];
    told *t;

    (void)state;
    stop_server(0);
    grpc_channel_free(channel);
    dial_with(&o);
    t = call_with("/t.T/Echo", &patient);
    grpc_send(t->call, "late", 4);
    grpc_half_close(t->call);
    for (int i = 0; i < 3; i++)
        uv_run(&rig.uv, UV_RUN_ONCE);
    server = grpc_server_new(rig.net, NULL);
    assert_int_equal(grpc_server_add(server, "/t.T/Echo", begin_echo, NULL, NULL), 0);
    snprintf(at, sizeof at, "127.0.0.1:%u", (unsigned)port);
    assert_int_equal(grpc_server_listen(server, at, NULL, NULL, NULL), 0);
    NET_UNTIL(&rig, t->closed);
    assert_memory_equal(t->last.data, "late", 4);
    expect_end(t, 0, "");
}

static void test_a_server_that_stops(void **state)
{
    bool is_stopped = false;
    told *t = call("/t.T/Echo"), *late;

    (void)state;
    grpc_send(t->call, "x", 1);
    NET_UNTIL(&rig, t->messages == 1);
    grpc_server_stop(server, INT64_C(20000000000), stopped, &is_stopped);
    server = NULL;
    for (int i = 0; i < 20; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    assert_false(is_stopped); /* what runs may end */
    late = call("/t.T/Echo");
    NET_UNTIL(&rig, late->closed);
    assert_int_equal(late->code, ORCH_E_UNAVAILABLE);
    forget(late);
    grpc_send(t->call, "y", 1);
    grpc_half_close(t->call);
    NET_UNTIL(&rig, t->closed);
    assert_int_equal(t->messages, 2);
    expect_end(t, 0, "");
    NET_UNTIL(&rig, is_stopped);
}

static void test_a_server_that_loses_patience(void **state)
{
    told *t = call("/t.T/Silent");

    (void)state;
    grpc_send(t->call, "x", 1);
    NET_UNTIL(&rig, seen.call);
    stop_server(10000000);
    NET_UNTIL(&rig, t->closed);
    assert_int_equal(t->code, ORCH_E_UNAVAILABLE);
    assert_int_equal(seen.closed, 1);
    forget(t);
}

static void test_a_channel_that_is_closed(void **state)
{
    told *t = call("/t.T/Silent"), *waits;

    (void)state;
    grpc_send(t->call, "x", 1);
    NET_UNTIL(&rig, seen.call);
    waits = call("/t.T/Echo");
    grpc_channel_free(channel);
    channel = NULL;
    expect_end(t, ORCH_E_CANCELLED, "the channel was closed");
    expect_end(waits, ORCH_E_CANCELLED, "the channel was closed");
    NET_UNTIL(&rig, seen.closed);
}

static void test_a_limit_of_calls(void **state)
{
    grpc_server_options two = {.max_calls = 2};
    told *t[3];

    (void)state;
    stop_server(0);
    grpc_channel_free(channel);
    listen_with(&two);
    dial_with(NULL);
    for (int i = 0; i < 3; i++) {
        t[i] = call("/t.T/Silent");
        grpc_send(t[i]->call, "x", 1);
    }
    expect_end(t[2], ORCH_E_RESOURCE_EXHAUSTED, "the server has too many calls");
    grpc_cancel(t[0]->call);
    grpc_cancel(t[1]->call);
    expect_end(t[0], ORCH_E_CANCELLED, "the call was cancelled");
    expect_end(t[1], ORCH_E_CANCELLED, "the call was cancelled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_message_there_and_back, begin, end),
        cmocka_unit_test_setup_teardown(test_messages_of_all_sizes, begin, end),
        cmocka_unit_test_setup_teardown(test_many_messages_of_a_server, begin, end),
        cmocka_unit_test_setup_teardown(test_a_conversation, begin, end),
        cmocka_unit_test_setup_teardown(test_many_calls_at_once, begin, end),
        cmocka_unit_test_setup_teardown(test_statuses, begin, end),
        cmocka_unit_test_setup_teardown(test_a_method_that_is_not_there, begin, end),
        cmocka_unit_test_setup_teardown(test_a_message_that_is_too_large, begin, end),
        cmocka_unit_test_setup_teardown(test_a_deadline, begin, end),
        cmocka_unit_test_setup_teardown(test_a_cancel_of_the_client, begin, end),
        cmocka_unit_test_setup_teardown(test_a_cancel_before_there_is_a_connection, begin, end),
        cmocka_unit_test_setup_teardown(test_a_cancel_of_the_server, begin, end),
        cmocka_unit_test_setup_teardown(test_a_pause, begin, end),
        cmocka_unit_test_setup_teardown(test_a_pause_after_each_message, begin, end),
        cmocka_unit_test_setup_teardown(test_nobody_is_there, begin, end),
        cmocka_unit_test_setup_teardown(test_who_waits_is_served_later, begin, end),
        cmocka_unit_test_setup_teardown(test_a_server_that_stops, begin, end),
        cmocka_unit_test_setup_teardown(test_a_server_that_loses_patience, begin, end),
        cmocka_unit_test_setup_teardown(test_a_channel_that_is_closed, begin, end),
        cmocka_unit_test_setup_teardown(test_a_limit_of_calls, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
