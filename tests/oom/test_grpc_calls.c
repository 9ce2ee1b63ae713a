/* Goal: whichever allocation fails while a channel connects and a call is made, at either end, the call ends soon, with a success or with a
 * failure that says so; nothing leaks; and the same server then answers the next call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc/health.h"
#include "grpc/reflection.h"
#include "support/net_rig.h"
#include "support/oom.h"

#define SECOND INT64_C(1000000000)

static net_rig rig;
static grpc_server *server;
static grpc_health *health;
static grpc_reflection *reflection;

typedef struct told {
    int messages, closed;
    int32_t code;
} told;

static void on_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)c;
    (void)data;
    (void)len;
    ((told *)ctx)->messages++;
}

static void on_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    told *t = ctx;

    (void)c;
    (void)message;
    t->closed++;
    t->code = code;
}

/* A call over a connection of its own. */
static int32_t call(const char *path, const void *request, size_t len)
{
    static const grpc_call_handler handler = {.message = on_message, .closed = on_closed};
    grpc_call_options o = {.timeout_ns = 10 * SECOND, .compress = true};
    grpc_channel *channel = NULL;
    told t = {0};
    char target[40];
    grpc_call *c;

    snprintf(target, sizeof target, "127.0.0.1:%u", (unsigned)rig.port);
    if (grpc_channel_new(rig.net, target, NULL, &channel, NULL))
        return ORCH_E_RESOURCE_EXHAUSTED;
    c = grpc_channel_call(channel, path, &o, &handler, &t);
    if (c) {
        grpc_metadata_add(grpc_call_initial(c), "x-some-bin", "\1\2\3", 3, NULL);
        grpc_send(c, request, len);
        grpc_half_close(c);
        NET_UNTIL(&rig, t.closed);
        assert_int_equal(t.closed, 1);
    } else {
        t.code = ORCH_E_RESOURCE_EXHAUSTED;
    }
    grpc_channel_free(channel);
    if (!t.code)
        assert_int_equal(t.messages, 1);
    return t.code;
}

static void gone(void *ctx)
{
    *(bool *)ctx = true;
}

static bool fail_once(const char *path, const char *request, size_t len, long n)
{
    bool is_gone = false, reached;
    int32_t code;

    net_rig_begin(&rig);
    server = grpc_server_new(rig.net, NULL);
    assert_int_equal(grpc_health_new(server, &health, NULL), 0);
    assert_int_equal(grpc_reflection_new(server, &reflection, NULL), 0);
    assert_int_equal(grpc_server_listen(server, "127.0.0.1:0", NULL, &rig.port, NULL), 0);
    oom_begin(n);
    code = call(path, request, len);
    reached = oom_end();
    if (code == ORCH_E_DEADLINE_EXCEEDED)
        fail_msg("%s: allocation %ld: it hung", path, n);
    if (!reached)
        assert_int_equal(code, 0);
    assert_int_equal(call(path, request, len), 0);
    grpc_health_free(health);
    grpc_reflection_free(reflection);
    grpc_server_stop(server, 0, gone, &is_gone);
    NET_UNTIL(&rig, is_gone);
    net_rig_end(&rig);
    return reached;
}

static void fail_each(const char *path, const char *request, size_t len)
{
    long n = oom_from(), count = 0;

    while (fail_once(path, request, len, n)) {
        n += oom_every();
        count++;
    }
    print_message("%4ld failures: %s\n", count, path);
}

static void test_a_unary_call(void **state)
{
    (void)state;
    fail_each("/grpc.health.v1.Health/Check", "", 0);
    fail_each("/grpc.health.v1.Health/List", "", 0);
}

static void test_a_stream(void **state)
{
    (void)state;
    fail_each("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "\x3a\x00", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_unary_call),
        cmocka_unit_test(test_a_stream),
    };

    oom_of_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
