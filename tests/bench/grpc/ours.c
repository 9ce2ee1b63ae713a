/* liborch's gRPC as a peer of bench_grpc: one thread, one loop. */
#include <orch/error.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/grpc/peer.h"
#include "grpc/grpc.h"

static peer_args args;
static net_uv *net;
static uint8_t *payload;

static tls_context *make_tls(bool server)
{
    tls_files files = {.ca = server ? NULL : args.cert,
                       .cert = server ? args.cert : NULL,
                       .key = server ? args.key : NULL};
    tls_context *tls = NULL;
    orch_error *error = NULL;

    if (args.cert[0] && tls_context_new(server, &files, NULL, &tls, &error))
        bench_fail("certificates", error);
    return tls;
}

/* ---- the server ------------------------------------------------------------------------------------------------ */

static void on_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)ctx;
    (void)c;
    (void)code;
    (void)message;
}

static void on_unary(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    grpc_send(c, data, len);
    grpc_finish(c, 0, NULL);
}

static void on_chat(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    grpc_send(c, data, len);
}

static void on_chat_end(void *ctx, grpc_call *c)
{
    (void)ctx;
    grpc_finish(c, 0, NULL);
}

static const grpc_call_handler unary = {.message = on_unary, .closed = on_closed};
static const grpc_call_handler chat = {
    .message = on_chat, .half_closed = on_chat_end, .closed = on_closed};

static void begin(void *ctx, grpc_call *c)
{
    grpc_call_set_handler(c, ctx, NULL);
}

static void add(grpc_server *s, const char *path, grpc_call_handler *handler)
{
    orch_error *error = NULL;

    if (grpc_server_add(s, path, begin, handler, &error))
        bench_fail(path, error);
}

static void serve(void)
{
    static grpc_call_handler handlers[2];
    grpc_server *s = grpc_server_new(net, NULL);
    orch_error *error = NULL;
    uint16_t port;

    handlers[0] = unary;
    handlers[1] = chat;
    add(s, PEER_ECHO, &handlers[0]);
    add(s, PEER_CHAT, &handlers[1]);
    if (grpc_server_listen(s, "127.0.0.1:0", make_tls(true), &port, &error))
        bench_fail("the server", error);
    peer_print_port(port);
}

/* ---- the client ------------------------------------------------------------------------------------------------- */

static peer_round progress;
static grpc_channel *channel;

static grpc_channel *dial(tls_context *tls)
{
    grpc_channel_options o = {.tls = tls, .server_name = PEER_NAME};
    char target[32];
    grpc_channel *ch;
    orch_error *error = NULL;

    snprintf(target, sizeof target, "127.0.0.1:%u", (unsigned)args.port);
    if (grpc_channel_new(net, target, &o, &ch, &error))
        bench_fail(target, error);
    return ch;
}

static void check(int32_t code, const char *message)
{
    if (!code)
        return;
    fprintf(stderr, "a call ended with %d: %s\n", (int)code, message);
    exit(1);
}

static void call(grpc_channel *ch, const grpc_call_handler *handler)
{
    grpc_call *c = grpc_channel_call(ch, PEER_ECHO, NULL, handler, ch);

    grpc_send(c, payload, args.size);
    grpc_half_close(c);
}

static void on_answer(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)c;
    (void)data;
    if (len != args.size)
        bench_fail("an answer of another size", NULL);
}

static void on_unary_closed(void *ctx, grpc_call *c, int32_t code, const char *message);
static const grpc_call_handler asking = {.message = on_answer, .closed = on_unary_closed};

static void on_unary_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)c;
    check(code, message);
    peer_round_count(&progress);
    call(ctx, &asking);
}

static void on_echo(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    on_answer(ctx, c, data, len);
    peer_round_count(&progress);
    grpc_send(c, payload, args.size);
}

static void on_stream_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)ctx;
    (void)c;
    check(code, message);
    bench_fail("the stream ended", NULL);
}

static void ask(void)
{
    static const grpc_call_handler talking = {.message = on_echo, .closed = on_stream_closed};
    grpc_call *c;

    channel = dial(make_tls(false));
    peer_round_begin(&progress, &args);
    if (!args.is_stream) {
        for (unsigned i = 0; i < args.in_flight; i++)
            call(channel, &asking);
        return;
    }
    c = grpc_channel_call(channel, PEER_CHAT, NULL, &talking, NULL);
    for (unsigned i = 0; i < args.in_flight; i++)
        grpc_send(c, payload, args.size);
}

/* ---- many connections -------------------------------------------------------------------------------------------- */

static unsigned idle;
static tls_context *idle_tls;

static void dial_next(void);

static void on_first_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)ctx;
    (void)c;
    check(code, message);
    if (++idle < args.connections)
        dial_next();
    else
        peer_print_port(args.port);
}

static void dial_next(void)
{
    static const grpc_call_handler once = {.message = on_answer, .closed = on_first_closed};

    call(dial(idle_tls), &once);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    orch_error *error = NULL;

    signal(SIGPIPE, SIG_IGN);
    peer_parse(&args, argc, argv);
    payload = calloc(1, args.size + 1);
    if (!payload || net_uv_new(loop, &net, &error))
        bench_fail("a loop", error);
    if (peer_is(&args, "server")) {
        serve();
    } else if (peer_is(&args, "client")) {
        ask();
    } else {
        idle_tls = make_tls(false);
        dial_next();
    }
    return uv_run(loop, UV_RUN_DEFAULT);
}
