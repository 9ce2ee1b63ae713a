/* Goal: the health service answers Check, Watch and List as gRPC's document has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc/health.h"
#include "support/grpc_told.h"
#include "support/net_rig.h"

static net_rig rig;
static grpc_server *server;
static grpc_health *health;
static grpc_channel *channel;

static void ask(told *t, const char *path, const char *request, size_t len)
{
    told_forget(t);
    told_call(t, channel, path, NULL);
    t->keeps = true;
    grpc_send(t->call, request, len);
    grpc_half_close(t->call);
}

#define CHECK "/grpc.health.v1.Health/Check"
#define WATCH "/grpc.health.v1.Health/Watch"
#define LIST  "/grpc.health.v1.Health/List"

static void open_rig(void)
{
    char target[40];
    uint16_t port;

    net_rig_begin(&rig);
    server = grpc_server_new(rig.net, NULL);
    assert_int_equal(grpc_health_new(server, &health, NULL), 0);
    assert_int_equal(grpc_server_listen(server, "127.0.0.1:0", NULL, &port, NULL), 0);
    snprintf(target, sizeof target, "127.0.0.1:%u", port);
    assert_int_equal(grpc_channel_new(rig.net, target, NULL, &channel, NULL), 0);
}

static void gone(void *ctx)
{
    *(bool *)ctx = true;
}

static void close_rig(void)
{
    bool is_gone = false;

    grpc_health_free(health);
    grpc_channel_free(channel);
    grpc_server_stop(server, 0, gone, &is_gone);
    NET_UNTIL(&rig, is_gone);
    net_rig_end(&rig);
}

static void check_tells_the_state(void **state)
{
    told t = {0};

    (void)state;
    open_rig();
    assert_true(grpc_health_set(health, "orch.v1.X", GRPC_NOT_SERVING));
    ask(&t, CHECK, "", 0);
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, 0);
    assert_memory_equal(t.last.data, "\x08\x01", 2);
    ask(&t, CHECK, "\x0a\x09orch.v1.X", 11);
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, 0);
    assert_memory_equal(t.last.data, "\x08\x02", 2);
    ask(&t, CHECK, "\x0a\x04none", 6);
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, ORCH_E_NOT_FOUND);
    ask(&t, CHECK, "\x0a\x09short", 7);
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, ORCH_E_INTERNAL);
    told_forget(&t);
    close_rig();
}

static void watches_tell_of_changes(void **state)
{
    told all = {0}, later = {0};

    (void)state;
    open_rig();
    ask(&all, WATCH, "", 0);
    ask(&later, WATCH, "\x0a\x05later", 7);
    NET_UNTIL(&rig, all.messages == 1 && later.messages == 1);
    assert_memory_equal(all.last.data, "\x08\x01", 2);
    assert_memory_equal(later.last.data, "\x08\x03",
                        2); /* SERVICE_UNKNOWN, and the watch goes on */
    grpc_health_set(health, "later", GRPC_SERVING);
    grpc_health_set(health, "", GRPC_SERVING); /* no change */
    NET_UNTIL(&rig, later.messages == 2);
    assert_memory_equal(later.last.data, "\x08\x01", 2);
    grpc_health_set(health, "", GRPC_NOT_SERVING);
    NET_UNTIL(&rig, all.messages == 2);
    assert_memory_equal(all.last.data, "\x08\x02", 2);
    grpc_cancel(later.call);
    NET_UNTIL(&rig, later.closed);
    grpc_health_free(health);
    health = NULL;
    NET_UNTIL(&rig, all.closed);
    assert_int_equal(all.code, ORCH_E_UNAVAILABLE);
    told_forget(&all);
    told_forget(&later);
    close_rig();
}

static void list_has_them_all(void **state)
{
    char name[16];
    told t = {0};

    (void)state;
    open_rig();
    grpc_health_set(health, "a", GRPC_NOT_SERVING);
    ask(&t, LIST, "", 0);
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, 0);
    assert_int_equal(t.last.len, 17);
    assert_memory_equal(t.last.data,
                        "\x0a\x06\x0a\x00\x12\x02\x08\x01\x0a\x07\x0a\x01"
                        "a\x12\x02\x08\x02",
                        17);
    for (int i = 0; i < 98; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_true(grpc_health_set(health, name, GRPC_SERVING));
    }
    assert_false(grpc_health_set(health, "one more", GRPC_SERVING));
    told_forget(&t);
    close_rig();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_tells_the_state),
        cmocka_unit_test(watches_tell_of_changes),
        cmocka_unit_test(list_has_them_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
