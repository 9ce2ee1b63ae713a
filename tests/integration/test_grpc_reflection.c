/* Goal: who asks a server by reflection is told its services and files, in both versions; what it asks wrongly is an error inside the
 * stream; and who asks without reading costs no more than a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc/pb.h"
#include "grpc/reflection.h"
#include "support/descriptors.h"
#include "support/grpc_told.h"
#include "support/net_rig.h"

#define V1      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define V1ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

enum { BY_NAME = 3, BY_SYMBOL = 4, BY_EXTENSION = 5, NUMBERS_OF_TYPE = 6, LIST_SERVICES = 7 };
enum { ORIGINAL = 2, FILES = 4, NUMBERS = 5, SERVICES = 6, FAILURE = 7 };

static net_rig rig;
static grpc_server *server;
static grpc_reflection *reflection;
static grpc_channel *channel;

/* ---- a client ------------------------------------------------------------------------------------------------ */

static void open_call(told *t, const char *path)
{
    told_call(t, channel, path, NULL);
    t->keeps = true;
}

/* Asks, and waits for the answer: its field `number`. */
static pb_field ask(told *t, uint32_t what, const char *text, size_t len, uint32_t number)
{
    int before = t->messages;
    buf request = BUF_INIT;
    pb_field f, original;

    pb_put_bytes(&request, what, text, len);
    grpc_send(t->call, request.data, request.len);
    NET_UNTIL(&rig, t->messages > before);
    assert_true(pb_find(pb_read((const uint8_t *)t->last.data, t->last.len), ORIGINAL, PB_BYTES,
                        &original));
    assert_int_equal(original.len, request.len);
    assert_memory_equal(original.data, request.data, request.len);
    assert_true(pb_find(pb_read((const uint8_t *)t->last.data, t->last.len), number, PB_BYTES, &f));
    buf_free(&request);
    return f;
}

/* The names (field 1) of the messages in field 1: files or services. */
static const char *names(const pb_field *answer)
{
    static char out[300];
    pb_reader r = pb_inside(answer);
    pb_field one, name;

    *out = '\0';
    while (pb_next(&r, &one) > 0) {
        assert_true(pb_find(pb_inside(&one), 1, PB_BYTES, &name));
        snprintf(out + strlen(out), sizeof out - strlen(out), "%.*s ", (int)name.len,
                 (const char *)name.data);
    }
    return out;
}

static void expect_failure(told *t, uint32_t what, const char *text, size_t len, int32_t code)
{
    pb_field failure = ask(t, what, text, len, FAILURE), number;

    assert_true(pb_find(pb_inside(&failure), 1, PB_VARINT, &number));
    assert_int_equal(number.value, -code);
}

static void finish(told *t)
{
    grpc_half_close(t->call);
    NET_UNTIL(&rig, t->closed);
    assert_int_equal(t->code, 0);
    told_forget(t);
}

/* ---- a server ------------------------------------------------------------------------------------------------- */

static void begin_nothing(void *ctx, grpc_call *c)
{
    (void)ctx;
    grpc_finish(c, 0, NULL);
}

static void add(void (*make)(buf *out))
{
    buf b = BUF_INIT;

    make(&b);
    assert_int_equal(grpc_reflection_add(reflection, (const uint8_t *)b.data, b.len, NULL), 0);
    buf_free(&b);
}

static int begin(void **state)
{
    char target[40];
    uint16_t port;

    (void)state;
    net_rig_begin(&rig);
    server = grpc_server_new(rig.net, NULL);
    assert_int_equal(grpc_server_add(server, "/t.S/One", begin_nothing, NULL, NULL), 0);
    assert_int_equal(grpc_server_add(server, "/t.S/Two", begin_nothing, NULL, NULL), 0);
    assert_int_equal(grpc_reflection_new(server, &reflection, NULL), 0);
    add(descriptors_main);
    add(descriptors_base);
    assert_int_equal(grpc_server_listen(server, "127.0.0.1:0", NULL, &port, NULL), 0);
    snprintf(target, sizeof target, "127.0.0.1:%u", port);
    assert_int_equal(grpc_channel_new(rig.net, target, NULL, &channel, NULL), 0);
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
    grpc_reflection_free(reflection);
    grpc_channel_free(channel);
    grpc_server_stop(server, 0, gone, &is_gone);
    NET_UNTIL(&rig, is_gone);
    net_rig_end(&rig);
    return 0;
}

/* ---- tests ---------------------------------------------------------------------------------------------------- */

static void check_version(const char *path)
{
    told t;
    pb_field f;

    open_call(&t, path);
    f = ask(&t, LIST_SERVICES, "", 0, SERVICES);
    assert_string_equal(names(&f), "t.S grpc.reflection.v1.ServerReflection "
                                   "grpc.reflection.v1alpha.ServerReflection ");
    f = ask(&t, BY_SYMBOL, "t.S.Two", 7, FILES);
    assert_string_equal(names(&f), "main.proto base.proto ");
    f = ask(&t, BY_NAME, "main.proto", 10, FILES);
    assert_string_equal(names(&f), "main.proto "); /* the other one it has */
    finish(&t);
}

static void test_both_versions(void **state)
{
    (void)state;
    check_version(V1);
    check_version(V1ALPHA);
}

static void test_extensions(void **state)
{
    told t;
    pb_field f, number;

    (void)state;
    open_call(&t, V1);
    f = ask(&t, BY_EXTENSION, "\x0a\x06t.Base\x10\x64", 10, FILES);
    assert_string_equal(names(&f), "main.proto base.proto ");
    f = ask(&t, NUMBERS_OF_TYPE, "t.Base", 6, NUMBERS);
    assert_true(pb_find(pb_inside(&f), 2, PB_VARINT, &number));
    assert_int_equal(number.value, 100);
    finish(&t);
}

static void test_failures_are_inside_the_stream(void **state)
{
    told t;
    pb_field f;

    (void)state;
    open_call(&t, V1);
    expect_failure(&t, BY_SYMBOL, "no.such.Symbol", 14, ORCH_E_NOT_FOUND);
    expect_failure(&t, BY_SYMBOL, "", 0, ORCH_E_NOT_FOUND);
    expect_failure(&t, BY_NAME, "none.proto", 10, ORCH_E_NOT_FOUND);
    expect_failure(&t, BY_EXTENSION, "\x0a\x06t.Base\x10\x65", 10, ORCH_E_NOT_FOUND);
    expect_failure(&t, BY_EXTENSION, "\x0a\x06t.Base", 8, ORCH_E_INVALID_ARGUMENT);
    expect_failure(&t, NUMBERS_OF_TYPE, "t.None", 6, ORCH_E_NOT_FOUND);
    expect_failure(&t, 1, "host", 4, ORCH_E_INVALID_ARGUMENT); /* and nothing asked */
    f = ask(&t, BY_NAME, "base.proto", 10, FILES);
    assert_string_equal(names(&f), "base.proto ");
    finish(&t);
    open_call(&t, V1);
    grpc_send(t.call, "\x0a\x05x", 3);
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, ORCH_E_INTERNAL);
    told_forget(&t);
}

static void test_what_may_not_be_added(void **state)
{
    static const uint8_t none[] = "\x0a\x05x", set[] = "\x0a\x07\x0a\x05x.pro";
    buf other = BUF_INIT;

    (void)state;
    assert_int_equal(grpc_reflection_add(reflection, none, 3, NULL), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(grpc_reflection_add_set(reflection, none, 3, NULL), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(grpc_reflection_add_set(reflection, set, sizeof set - 1, NULL), 0);
    descriptors_message(&other, "other.proto", "t", "Base");
    assert_int_equal(grpc_reflection_add(reflection, (const uint8_t *)other.data, other.len, NULL),
                     ORCH_E_ALREADY_EXISTS);
    buf_free(&other);
}

/* Each answer is some bytes; a client that reads none of a million is not answered a million times. */
static void test_who_does_not_read(void **state)
{
    told t, other;
    pb_field f;
    int before;

    (void)state;
    open_call(&t, V1);
    f = ask(&t, LIST_SERVICES, "", 0, SERVICES);
    assert_true(f.len > 0);
    grpc_pause(t.call);
    for (int i = 0; i < 20000; i++)
        grpc_send(t.call, "\x3a\x00", 2);
    before = t.messages;
    open_call(&other, V1);
    ask(&other, LIST_SERVICES, "", 0, SERVICES); /* others are answered */
    finish(&other);
    assert_int_equal(t.messages, before);
    grpc_resume(t.call); /* and in the end all are */
    NET_UNTIL(&rig, t.messages == before + 20000);
    finish(&t);
}

static void test_open_calls_end_with_it(void **state)
{
    told t;

    (void)state;
    open_call(&t, V1);
    ask(&t, LIST_SERVICES, "", 0, SERVICES);
    grpc_reflection_free(reflection);
    reflection = NULL;
    NET_UNTIL(&rig, t.closed);
    assert_int_equal(t.code, ORCH_E_UNAVAILABLE);
    told_forget(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_versions),
        TEST(test_extensions),
        TEST(test_failures_are_inside_the_stream),
        TEST(test_what_may_not_be_added),
        TEST(test_who_does_not_read),
        TEST(test_open_calls_end_with_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
