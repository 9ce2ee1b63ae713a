/* Goal: calls that failed are made again as their policy says, over real sockets: all of the request comes again, nothing of the failed
 * answer is told, and what may not be made again is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc/grpc.h"
#include "support/grpc_told.h"
#include "support/net_rig.h"

#define MS INT64_C(1000000)

static net_rig rig;
static grpc_server *server;
static grpc_channel *channel;
static const grpc_retry thrice = {.max_attempts = 3, .codes = 1 << 14, .backoff_ns = MS};

/* ---- a server that fails first ----------------------------------------------------------------------------------- */

static struct {
    int failures; /* that are still to come */
    int32_t code; /* of these */
    bool late;    /* after its first metadata */
    int begun;
    char attempts[4][8]; /* what each call said of those before it */
    size_t bytes;        /* of the last request */
} flaky;

static void count_bytes(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)c;
    (void)data;
    flaky.bytes += len;
}

static void end_flaky(void *ctx, grpc_call *c)
{
    (void)ctx;
    if (flaky.failures-- <= 0) {
        grpc_send(c, "ok", 2);
        grpc_finish(c, 0, NULL);
        return;
    }
    if (flaky.late)
        grpc_send_initial(c);
    grpc_finish(c, flaky.code, "not yet");
}

static void nothing_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)ctx;
    (void)c;
    (void)code;
    (void)message;
}

static void begin_flaky(void *ctx, grpc_call *c)
{
    static const grpc_call_handler handler = {
        .message = count_bytes, .half_closed = end_flaky, .closed = nothing_closed};
    const char *before = grpc_metadata_get(grpc_call_metadata(c), "grpc-previous-rpc-attempts",
                                           NULL);

    (void)ctx;
    flaky.bytes = 0;
    snprintf(flaky.attempts[flaky.begun % 4], 8, "%s", before ? before : "");
    flaky.begun++;
    grpc_call_set_handler(c, &handler, NULL);
}

/* ---- a client ---------------------------------------------------------------------------------------------------- */

static void call_with(told *t, const grpc_call_options *o, size_t len)
{
    static const uint8_t zeros[1 << 20];

    told_call(t, channel, "/t.T/Flaky", o);
    grpc_send(t->call, zeros, len);
    grpc_half_close(t->call);
}

static void call(told *t, const grpc_retry *retry)
{
    grpc_call_options o = {.retry = retry, .timeout_ns = 10000 * MS};

    call_with(t, &o, 1000);
    NET_UNTIL(&rig, t->closed);
}

static void dial(const grpc_channel_options *o)
{
    char target[40];

    grpc_channel_free(channel);
    snprintf(target, sizeof target, "127.0.0.1:%u", (unsigned)rig.port);
    assert_int_equal(grpc_channel_new(rig.net, target, o, &channel, NULL), 0);
}

static int begin(void **state)
{
    (void)state;
    memset(&flaky, 0, sizeof flaky);
    flaky.code = ORCH_E_UNAVAILABLE;
    net_rig_begin(&rig);
    server = grpc_server_new(rig.net, NULL);
    assert_int_equal(grpc_server_add(server, "/t.T/Flaky", begin_flaky, NULL, NULL), 0);
    assert_int_equal(grpc_server_listen(server, "127.0.0.1:0", NULL, &rig.port, NULL), 0);
    channel = NULL;
    dial(NULL);
    return 0;
}

static void gone(void *ctx)
{
    *(bool *)ctx = true;
}

static int end(void **state)
{
    bool is_gone = false;

    (void)state;
    grpc_channel_free(channel);
    grpc_server_stop(server, 0, gone, &is_gone);
    NET_UNTIL(&rig, is_gone);
    net_rig_end(&rig);
    return 0;
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */

static void test_the_third_one_succeeds(void **state)
{
    told t;

    (void)state;
    flaky.failures = 2;
    call(&t, &thrice);
    assert_int_equal(t.code, 0);
    assert_int_equal(t.headers, 1);
    assert_int_equal(t.messages, 1);
    assert_int_equal(t.closed, 1);
    assert_int_equal(flaky.begun, 3);
    assert_int_equal(flaky.bytes, 1000); /* all of the request */
    assert_string_equal(flaky.attempts[0], "");
    assert_string_equal(flaky.attempts[1], "1");
    assert_string_equal(flaky.attempts[2], "2");
}

static void test_three_are_all(void **state)
{
    told t;

    (void)state;
    flaky.failures = 100;
    call(&t, &thrice);
    assert_int_equal(t.code, ORCH_E_UNAVAILABLE);
    assert_int_equal(flaky.begun, 3);
}

static void test_without_a_policy(void **state)
{
    told t;

    (void)state;
    flaky.failures = 1;
    call(&t, NULL);
    assert_int_equal(t.code, ORCH_E_UNAVAILABLE);
    assert_int_equal(flaky.begun, 1);
}

static void test_another_code(void **state)
{
    told t;

    (void)state;
    flaky.failures = 1;
    flaky.code = ORCH_E_INTERNAL;
    call(&t, &thrice);
    assert_int_equal(t.code, ORCH_E_INTERNAL);
    assert_int_equal(flaky.begun, 1);
}

static void test_after_metadata_it_is_too_late(void **state)
{
    told t;

    (void)state;
    flaky.failures = 1;
    flaky.late = true;
    call(&t, &thrice);
    assert_int_equal(t.code, ORCH_E_UNAVAILABLE);
    assert_int_equal(flaky.begun, 1);
    assert_int_equal(t.headers, 1);
}

static void test_a_request_that_is_too_much_to_keep(void **state)
{
    grpc_call_options o = {.retry = &thrice};
    told t;

    (void)state;
    flaky.failures = 1;
    call_with(&t, &o, 1 << 20);
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, ORCH_E_UNAVAILABLE);
    assert_int_equal(flaky.begun, 1);
}

static void test_compressed_ones(void **state)
{
    grpc_call_options o = {.retry = &thrice, .compress = true};
    told t;

    (void)state;
    flaky.failures = 2;
    call_with(&t, &o, 5000);
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, 0);
    assert_int_equal(flaky.bytes, 5000);
}

static void test_the_channels_policy_and_throttle(void **state)
{
    grpc_channel_options o = {.retry = thrice, .retry_tokens = 4, .retry_ratio_percent = 100};
    told t;

    (void)state;
    dial(&o);
    flaky.failures = 100;
    call(&t, NULL); /* the second failure leaves half of the tokens */
    assert_int_equal(flaky.begun, 2);
    call(&t, NULL);
    assert_int_equal(flaky.begun, 3);
    flaky.failures = 0;
    for (int i = 0; i < 3; i++)
        call(&t, NULL);
    assert_int_equal(t.code, 0);
    flaky.failures = 1;
    flaky.begun = 0;
    call(&t, NULL);
    assert_int_equal(t.code, 0);
    assert_int_equal(flaky.begun, 2);
}

static void test_ends_while_it_waits(void **state)
{
    static const grpc_retry slow = {
        .max_attempts = 3, .codes = 1 << 14, .backoff_ns = 3600000 * MS};
    grpc_call_options o = {.retry = &slow}, hurried = {.retry = &slow, .timeout_ns = 50 * MS};
    told cancelled, expired, freed;

    (void)state;
    flaky.failures = 100;
    call_with(&cancelled, &o, 10);
    call_with(&freed, &o, 10);
    NET_UNTIL(&rig, flaky.failures == 98);
    for (int i = 0; i < 50; i++)
        uv_run(&rig.uv, UV_RUN_NOWAIT);
    assert_int_equal(cancelled.closed, 0);
    grpc_cancel(cancelled.call);
    NET_UNTIL(&rig, cancelled.closed);
    assert_int_equal(cancelled.code, ORCH_E_CANCELLED);
    call_with(&expired, &hurried, 10);
    NET_UNTIL(&rig, expired.closed);
    assert_int_equal(expired.code, ORCH_E_DEADLINE_EXCEEDED);
    grpc_channel_free(channel);
    channel = NULL;
    NET_UNTIL(&rig, freed.closed);
    assert_int_equal(freed.code, ORCH_E_CANCELLED);
}

/* The server is lost with the call, and comes back. */
static void test_a_lost_connection(void **state)
{
    static const grpc_retry patient = {.max_attempts = 5, .codes = 1 << 14, .backoff_ns = 20 * MS};
    grpc_call_options o = {.retry = &patient, .timeout_ns = 10000 * MS, .wait_for_ready = true};
    grpc_channel_options quick = {.backoff_ns = 5 * MS};
    bool is_gone = false;
    char where[40];
    told t;

    (void)state;
    dial(&quick);
    told_call(&t, channel, "/t.T/Flaky", &o);
    grpc_send(t.call, "abc", 3);
    NET_UNTIL(&rig, flaky.bytes == 3);
    grpc_server_stop(server, 0, gone, &is_gone);
    NET_UNTIL(&rig, is_gone);
    grpc_send(t.call, "defg", 4); /* in between */
    grpc_half_close(t.call);
    server = grpc_server_new(rig.net, NULL);
    assert_int_equal(grpc_server_add(server, "/t.T/Flaky", begin_flaky, NULL, NULL), 0);
    snprintf(where, sizeof where, "127.0.0.1:%u", (unsigned)rig.port);
    assert_int_equal(grpc_server_listen(server, where, NULL, NULL, NULL), 0);
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, 0);
    assert_int_equal(flaky.bytes, 7);
    assert_int_equal(flaky.begun, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_third_one_succeeds),
        TEST(test_three_are_all),
        TEST(test_without_a_policy),
        TEST(test_another_code),
        TEST(test_after_metadata_it_is_too_late),
        TEST(test_a_request_that_is_too_much_to_keep),
        TEST(test_compressed_ones),
        TEST(test_the_channels_policy_and_throttle),
        TEST(test_ends_while_it_waits),
        TEST(test_a_lost_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
