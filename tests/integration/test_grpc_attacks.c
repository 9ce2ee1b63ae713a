/* Goal: who attacks a server over real sockets meets a bound, and everybody else's calls go on; and who only cancels much is no
 * attacker. Each attacker is a connection of raw frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "grpc/grpc.h"
#include "support/grpc_told.h"
#include "support/net_rig.h"
#include "support/raw_frames.h"

static net_rig rig;
static grpc_server *server;
static grpc_channel *channel; /* an honest client's */
static uint16_t port;
static net_end attacker;

/* ---- a server -------------------------------------------------------------------------------------------------------------- */

static struct {
    int begun, closed;
    size_t flooded; /* bytes that the method was let send */
} seen;

static void echo_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    grpc_send(c, data, len);
}

static void echo_end(void *ctx, grpc_call *c)
{
    (void)ctx;
    grpc_finish(c, 0, NULL);
}

static void on_server_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)ctx;
    (void)c;
    (void)code;
    (void)message;
    seen.closed++;
}

static void begin_echo(void *ctx, grpc_call *c)
{
    static const grpc_call_handler handler = {NULL, echo_message, echo_end, NULL, on_server_closed};

    (void)ctx;
    seen.begun++;
    grpc_call_set_handler(c, &handler, NULL);
}

/* Sends as long as it is let. */
static void flood(void *ctx, grpc_call *c)
{
    static char block[16384];

    (void)ctx;
    do
        seen.flooded += sizeof block;
    while (grpc_send(c, block, sizeof block));
}

static void begin_flood(void *ctx, grpc_call *c)
{
    static const grpc_call_handler handler = {NULL, echo_message, flood, flood, on_server_closed};

    (void)ctx;
    seen.begun++;
    grpc_call_set_handler(c, &handler, NULL);
}

static void listen_with(const grpc_server_options *o)
{
    char target[40];

    memset(&seen, 0, sizeof seen);
    net_rig_begin(&rig);
    server = grpc_server_new(rig.net, o);
    assert_int_equal(grpc_server_add(server, "/t.T/Echo", begin_echo, NULL, NULL), 0);
    assert_int_equal(grpc_server_add(server, "/t.T/Flood", begin_flood, NULL, NULL), 0);
    assert_int_equal(grpc_server_listen(server, "127.0.0.1:0", NULL, &port, NULL), 0);
    rig.port = port;
    snprintf(target, sizeof target, "127.0.0.1:%u", (unsigned)port);
    assert_int_equal(grpc_channel_new(rig.net, target, NULL, &channel, NULL), 0);
}

static void gone(void *ctx)
{
    *(bool *)ctx = true;
}

static void end(void)
{
    bool is_gone = false;

    grpc_channel_free(channel);
    grpc_server_stop(server, 0, gone, &is_gone);
    NET_UNTIL(&rig, is_gone);
    net_rig_end(&rig);
}

/* ---- an honest client ------------------------------------------------------------------------------------------------------ */

static void begin_call(told *t, grpc_channel *on)
{
    told_call(t, on, "/t.T/Echo", NULL);
}

static void calls_work(int count)
{
    for (int i = 0; i < count; i++) {
        told t;

        begin_call(&t, channel);
        grpc_send(t.call, "hello", 5);
        grpc_half_close(t.call);
        NET_UNTIL(&rig, t.closed);
        assert_int_equal(t.code, 0);
        assert_int_equal(t.messages, 1);
    }
}

/* ---- frames ---------------------------------------------------------------------------------------------------------------- */

static buf frames;

static void put_frame(uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t len)
{
    raw_put_frame(&frames, type, flags, stream, payload, len);
}

static void put_preface(void)
{
    buf_clear(&frames);
    buf_puts(&frames, RAW_PREFACE);
    put_frame(4, 0, 0, "", 0);
}

/* A request of gRPC, whose fields are written out so that each block is the same. */
static size_t request(uint8_t *out, size_t size, const char *path)
{
    const struct {
        const char *name, *value;
    } fields[] = {{":method", "POST"}, {":scheme", "http"},
                  {":path", path},     {":authority", "test"},
                  {"te", "trailers"},  {"content-type", "application/grpc"}};
    size_t n = 0;

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *texts[] = {fields[i].name, fields[i].value};

        out[n++] = 0; /* literal, not indexed, new name */
        for (int k = 0; k < 2; k++) {
            size_t len = strlen(texts[k]);

            assert_true(len < 127 && n + len + 1 < size);
            out[n++] = (uint8_t)len;
            memcpy(out + n, texts[k], len);
            n += len;
        }
    }
    return n;
}

static void send_frames(void)
{
    net_end_send(&attacker, frames.data, frames.len);
    buf_clear(&frames);
}

static void attack_with(void (*put)(int i), int count)
{
    attacker = (net_end){0};
    net_rig_dial(&rig, &attacker, NULL, NULL, NULL);
    NET_UNTIL(&rig, attacker.opened);
    put_preface();
    for (int i = 0; i < count; i++)
        put(i);
    send_frames();
}

/* The server has ended the connection, and said why. */
static void expect_thrown_out(const char *word)
{
    NET_UNTIL(&rig, attacker.closed);
    assert_non_null(memmem(attacker.got.data, attacker.got.len, word, strlen(word)));
}

static void leave(void)
{
    net_end_close(&attacker);
    calls_work(20);
    end();
    buf_free(&frames);
}

/* ---- attacks --------------------------------------------------------------------------------------------------------------- */

static void put_reset_request(int i)
{
    uint8_t block[256];
    uint32_t stream = 2 * (uint32_t)i + 1;

    put_frame(1, 4, stream, block, request(block, sizeof block, "/t.T/Echo"));
    put_frame(3, 0, stream, "\0\0\0\x08", 4);
}

static void rapid_resets(void **state)
{
    (void)state;
    listen_with(NULL);
    calls_work(1);
    attack_with(put_reset_request, 6000);
    expect_thrown_out("too_many_resets");
    assert_in_range(seen.begun, 1, 5200); /* and no handler runs for what came behind */
    leave();
}

static void put_ping(int i)
{
    (void)i;
    put_frame(6, 0, 0, "12345678", 8);
}

static void pings(void **state)
{
    (void)state;
    listen_with(NULL);
    attack_with(put_ping, 20000);
    NET_UNTIL(&rig, attacker.closed);
    leave();
}

static void put_settings(int i)
{
    (void)i;
    put_frame(4, 0, 0, "", 0);
}

static void settings(void **state)
{
    (void)state;
    listen_with(NULL);
    attack_with(put_settings, 20000);
    NET_UNTIL(&rig, attacker.closed);
    leave();
}

static void put_empty_data(int i)
{
    uint8_t block[256];

    if (!i)
        put_frame(1, 4, 1, block, request(block, sizeof block, "/t.T/Echo"));
    put_frame(0, 0, 1, "", 0);
}

static void empty_frames(void **state)
{
    (void)state;
    listen_with(NULL);
    attack_with(put_empty_data, 20000);
    expect_thrown_out("too_many_empty_frames");
    leave();
}

static void put_continuation(int i)
{
    uint8_t block[256];
    size_t len = request(block, sizeof block, "/t.T/Echo");

    put_frame(i ? 9 : 1, 0, 1, block, i ? 0 : len); /* never the end of the block */
}

static void continuations(void **state)
{
    (void)state;
    listen_with(NULL);
    attack_with(put_continuation, 10000);
    NET_UNTIL(&rig, attacker.closed);
    assert_int_equal(seen.begun, 0);
    leave();
}

static void put_long_header(int i)
{
    static uint8_t block[16000];
    size_t len = request(block, sizeof block, "/t.T/Echo");

    for (int k = 0; k < 120; k++) {
        block[len++] = 0;
        block[len++] = 1;
        block[len++] = 'x';
        block[len++] = 100;
        memset(block + len, 'y', 100);
        len += 100;
    }
    put_frame(1, 5, 2 * (uint32_t)i + 1, block, len);
}

static void header_lists(void **state)
{
    (void)state;
    listen_with(NULL);
    attack_with(put_long_header, 10);
    NET_UNTIL(&rig, attacker.len > 200);
    calls_work(1);
    assert_int_equal(seen.begun, 1); /* the honest one alone */
    leave();
}

/* It asks for much, and reads nothing: a socket that the loop does not know of. */
static void a_reader_that_does_not_read(void **state)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    uint8_t block[256];
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;

    (void)state;
    listen_with(NULL);
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    put_preface();
    put_frame(8, 0, 0, "\x7f\0\0\0", 4); /* its windows are as wide as can be */
    put_frame(1, 5, 1, block, request(block, sizeof block, "/t.T/Flood"));
    put_frame(8, 0, 1, "\x7f\0\0\0", 4);
    assert_int_equal(write(fd, frames.data, frames.len), frames.len);
    NET_UNTIL(&rig, seen.flooded);
    calls_work(200);
    assert_in_range(seen.flooded, 1, 16 << 20); /* what sockets hold, and a bound of ours */
    close(fd);
    NET_UNTIL(&rig, seen.closed == 201);
    end();
    buf_free(&frames);
}

static void half_open_connections(void **state)
{
    const grpc_server_options options = {.handshake_ns = INT64_C(100000000)};

    (void)state;
    listen_with(&options);
    attacker = (net_end){0};
    net_rig_dial(&rig, &attacker, NULL, NULL, NULL);
    calls_work(1);
    NET_UNTIL(&rig, attacker.closed);
    leave();
}

static void too_many_connections(void **state)
{
    const grpc_server_options options = {.max_connections = 4};
    net_end more[6] = {0};

    (void)state;
    listen_with(&options);
    calls_work(1);
    for (int i = 0; i < 6; i++)
        net_rig_dial(&rig, &more[i], NULL, NULL, NULL);
    NET_UNTIL(&rig, more[0].closed + more[1].closed + more[2].closed + more[3].closed +
                            more[4].closed + more[5].closed ==
                        3);
    calls_work(5);
    for (int i = 0; i < 6; i++)
        net_end_close(&more[i]);
    end();
}

/* ---- no attack ------------------------------------------------------------------------------------------------------------- */

#define CANCELS 2500

static void many_cancels(void **state)
{
    static told all[CANCELS];
    told stream, other;
    grpc_channel *second;
    char target[40];

    (void)state;
    listen_with(NULL);
    snprintf(target, sizeof target, "127.0.0.1:%u", (unsigned)port);
    assert_int_equal(grpc_channel_new(rig.net, target, NULL, &second, NULL), 0);
    begin_call(&stream, channel); /* of the same client */
    begin_call(&other, second);
    grpc_send(stream.call, "one", 3);
    grpc_send(other.call, "one", 3);
    NET_UNTIL(&rig, stream.messages == 1 && other.messages == 1);
    for (int i = 0; i < CANCELS; i++) {
        begin_call(&all[i], channel);
        grpc_send(all[i].call, "never", 5);
    }
    NET_UNTIL(&rig, seen.begun > 500); /* some run by now, others wait for a stream */
    for (int i = 0; i < CANCELS; i++)
        grpc_cancel(all[i].call);
    for (int i = 0; i < CANCELS; i++) {
        NET_UNTIL(&rig, all[i].closed);
        assert_int_equal(all[i].code, ORCH_E_CANCELLED);
    }
    grpc_send(stream.call, "two", 3);
    grpc_send(other.call, "two", 3);
    NET_UNTIL(&rig, stream.messages == 2 && other.messages == 2);
    grpc_half_close(stream.call);
    grpc_half_close(other.call);
    NET_UNTIL(&rig, stream.closed && other.closed);
    assert_int_equal(stream.code, 0);
    assert_int_equal(other.code, 0);
    calls_work(20);
    grpc_channel_free(second);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rapid_resets),
        cmocka_unit_test(pings),
        cmocka_unit_test(settings),
        cmocka_unit_test(empty_frames),
        cmocka_unit_test(continuations),
        cmocka_unit_test(header_lists),
        cmocka_unit_test(a_reader_that_does_not_read),
        cmocka_unit_test(half_open_connections),
        cmocka_unit_test(too_many_connections),
        cmocka_unit_test(many_cancels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
