/* What a client may send to a server, after its preface and first SETTINGS: frames of HTTP/2, and all of gRPC above. The server stays, its
 * connections do not; and nothing of them may be left. */
#include "base/clock.h"
#include "fuzz/fuzz.h"
#include "grpc/health.h"
#include "grpc/server_impl.h"

#define HELLO     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define HELLO_LEN 33

static grpc_server *server;
static net_loop *loop;

/* ---- a connection without a socket --------------------------------------------------------------------------------- */

static bool is_closed;

static bool discard(conn *c, const uint8_t *data, size_t len)
{
    (void)c;
    (void)data;
    (void)len;
    return true;
}

static void close_it(conn *c)
{
    (void)c;
    is_closed = true;
}

static const char *peer(conn *c)
{
    (void)c;
    return "fuzz";
}

static const conn_ops ops = {sizeof ops, discard, close_it, peer};

/* ---- a server ------------------------------------------------------------------------------------------------------- */

static void echo(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    grpc_call_compress(c, grpc_call_was_compressed(c));
    grpc_send(c, data, len);
    if (len % 3 == 1)
        grpc_pause(c);
}

static void finish(void *ctx, grpc_call *c)
{
    (void)ctx;
    grpc_finish(c, 0, NULL);
}

static void nothing_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)ctx;
    (void)c;
    HOLDS(code <= 0 && message);
}

static void begin(void *ctx, grpc_call *c)
{
    static const grpc_call_handler handler = {
        .message = echo, .half_closed = finish, .closed = nothing_closed};

    (void)ctx;
    grpc_call_set_handler(c, &handler, NULL);
}

static void make_server(void)
{
    static uv_loop_t uv;
    grpc_health *health;
    net_uv *net;

    HOLDS(uv_loop_init(&uv) == 0 && net_uv_new(&uv, &net, NULL) == 0);
    loop = net_uv_loop(net);
    server = grpc_server_new(net, NULL);
    HOLDS(server && grpc_server_add(server, "/t.T/E", begin, NULL, NULL) == 0);
    HOLDS(grpc_health_new(server, &health, NULL) == 0);
}

static void turn(void)
{
    net_loop_turn(loop, loop->now_ns + 1000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    conn c = {.ops = &ops};

    if (!server)
        make_server();
    is_closed = false;
    server_accept(server, &c);
    c.handler->opened(c.ctx);
    c.handler->read(c.ctx, (const uint8_t *)HELLO, HELLO_LEN);
    for (size_t at = 0, n; at < size && !is_closed; at += n) {
        n = size - at < 97 ? size - at : 97;
        c.handler->read(c.ctx, data + at, n);
        turn();
    }
    if (!is_closed)
        c.handler->closed(c.ctx, 0, "");
    turn();
    HOLDS(is_closed);
    HOLDS(server->conn_count == 0 && server->call_count == 0);
    mem_pool_clear(&loop->pool); /* so that nothing is reachable that should not be */
    return 0;
}
