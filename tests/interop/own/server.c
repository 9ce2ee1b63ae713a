/* The server: grpc.testing.TestService. */
#include <grpc/testing/messages.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/health.h"
#include "grpc/reflection.h"
#include "interop/own/own.h"

#define LEN(array) (sizeof(array) / sizeof *(array))

static const char *const cases[] = {
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
    "client_compressed_unary",
    "server_compressed_unary",
    "client_compressed_streaming",
    "server_compressed_streaming",
    "rpc_soak",
    "channel_soak",
    "concurrent_large_unary",
    "health_check",
    "health_watch",
    "reflection_v1",
    "reflection_v1alpha",
};

void own_list_server(void)
{
    for (size_t i = 0; i < LEN(cases); i++)
        puts(cases[i]);
}

/* ---- what the methods share -------------------------------------------------------------------------------------- */

static uint8_t zeros[1 << 20];

static void pack(void *message, uint8_t *out)
{
    protobuf_c_message_pack(message, out);
}

static void send_packed(grpc_call *c, const ProtobufCMessage *m)
{
    union {
        const ProtobufCMessage *in;
        void *out;
    } u = {m};

    grpc_send_written(c, protobuf_c_message_get_packed_size(m), pack, u.out);
}

static Grpc__Testing__Payload payload(int32_t size)
{
    Grpc__Testing__Payload p = GRPC__TESTING__PAYLOAD__INIT;

    p.body.data = zeros;
    p.body.len = size < 0 ? 0 : (size_t)size < sizeof zeros ? (size_t)size : sizeof zeros;
    return p;
}

static void echo_metadata(grpc_call *c)
{
    const grpc_metadata *m = grpc_call_metadata(c);
    size_t len;
    const char *initial = grpc_metadata_get(m, INITIAL, &len);
    buf bytes = BUF_INIT;

    if (initial)
        grpc_metadata_add(grpc_call_initial(c), INITIAL, initial, len, NULL);
    if (grpc_metadata_get_bin(m, TRAILING, &bytes))
        grpc_metadata_add(grpc_call_trailing(c), TRAILING, bytes.data, bytes.len, NULL);
    buf_free(&bytes);
}

static bool ends_as_asked(grpc_call *c, const Grpc__Testing__EchoStatus *s)
{
    if (!s || !s->code)
        return false;
    grpc_finish(c, -s->code, s->message);
    return true;
}

static bool is_as_expected(grpc_call *c, const Grpc__Testing__BoolValue *compressed)
{
    if (!compressed || !compressed->value || grpc_call_was_compressed(c))
        return true;
    grpc_finish(c, ORCH_E_INVALID_ARGUMENT, "the message is not compressed");
    return false;
}

/* A message that cannot be read is an error of whoever packed it. */
static void *unpack(grpc_call *c, const ProtobufCMessageDescriptor *d, const uint8_t *data,
                    size_t len)
{
    void *m = protobuf_c_message_unpack(d, NULL, len, data);

    if (!m)
        grpc_finish(c, ORCH_E_INTERNAL, "the request cannot be read");
    return m;
}

static void nothing_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)ctx;
    (void)c;
    (void)code;
    (void)message;
}

/* ---- unary ------------------------------------------------------------------------------------------------------------- */

/* Who has answered has finished, and is not disturbed by this. */
static void no_message(void *ctx, grpc_call *c)
{
    (void)ctx;
    grpc_finish(c, ORCH_E_INTERNAL, "a unary call has one message");
}

static void empty_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    grpc_send(c, "", 0);
    grpc_finish(c, 0, NULL);
}

static void unary_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    Grpc__Testing__SimpleRequest *r = unpack(c, &grpc__testing__simple_request__descriptor, data,
                                             len);
    Grpc__Testing__SimpleResponse answer = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
    Grpc__Testing__Payload p;

    (void)ctx;
    if (!r)
        return;
    echo_metadata(c);
    if (!ends_as_asked(c, r->response_status) && is_as_expected(c, r->expect_compressed)) {
        p = payload(r->response_size);
        answer.payload = &p;
        grpc_call_compress(c, r->response_compressed && r->response_compressed->value);
        send_packed(c, &answer.base);
        grpc_finish(c, 0, NULL);
    }
    protobuf_c_message_free_unpacked(&r->base, NULL);
}

/* ---- streams -------------------------------------------------------------------------------------------------------------- */

static void answer_all(grpc_call *c, const Grpc__Testing__StreamingOutputCallRequest *r)
{
    for (size_t i = 0; i < r->n_response_parameters; i++) {
        const Grpc__Testing__ResponseParameters *one = r->response_parameters[i];
        Grpc__Testing__StreamingOutputCallResponse answer =
            GRPC__TESTING__STREAMING_OUTPUT_CALL_RESPONSE__INIT;
        Grpc__Testing__Payload p = payload(one->size);

        answer.payload = &p;
        grpc_call_compress(c, one->compressed && one->compressed->value);
        send_packed(c, &answer.base);
    }
}

static bool any_compressed(const Grpc__Testing__StreamingOutputCallRequest *r)
{
    for (size_t i = 0; i < r->n_response_parameters; i++)
        if (r->response_parameters[i]->compressed && r->response_parameters[i]->compressed->value)
            return true;
    return false;
}

static void output_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    Grpc__Testing__StreamingOutputCallRequest *r = unpack(
        c, &grpc__testing__streaming_output_call_request__descriptor, data, len);

    (void)ctx;
    if (!r)
        return;
    if (!ends_as_asked(c, r->response_status)) {
        if (any_compressed(r)) { /* that a stream may compress is said once */
            grpc_call_compress(c, true);
            grpc_send_initial(c);
        }
        answer_all(c, r);
    }
    protobuf_c_message_free_unpacked(&r->base, NULL);
}

static void finish_ok(void *ctx, grpc_call *c)
{
    (void)ctx;
    grpc_finish(c, 0, NULL);
}

typedef struct sum {
    int64_t bytes;
} sum;

static void input_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    Grpc__Testing__StreamingInputCallRequest *r = unpack(
        c, &grpc__testing__streaming_input_call_request__descriptor, data, len);

    if (!r)
        return;
    if (is_as_expected(c, r->expect_compressed) && r->payload)
        ((sum *)ctx)->bytes += (int64_t)r->payload->body.len;
    protobuf_c_message_free_unpacked(&r->base, NULL);
}

static void input_end(void *ctx, grpc_call *c)
{
    Grpc__Testing__StreamingInputCallResponse answer =
        GRPC__TESTING__STREAMING_INPUT_CALL_RESPONSE__INIT;

    answer.aggregated_payload_size = (int32_t)((sum *)ctx)->bytes;
    send_packed(c, &answer.base);
    grpc_finish(c, 0, NULL);
}

static void input_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)c;
    (void)code;
    (void)message;
    free(ctx);
}

/* ---- grpc.testing.XdsUpdateHealthService: what the health service says ------------------------------------------------- */

static grpc_health *health;

static void set_health(grpc_call *c, enum grpc_serving state)
{
    grpc_health_set(health, "", state);
    grpc_send(c, "", 0);
    grpc_finish(c, 0, NULL);
}

static void serving_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    set_health(c, GRPC_SERVING);
}

static void not_serving_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    set_health(c, GRPC_NOT_SERVING);
}

/* ---- methods -------------------------------------------------------------------------------------------------------------- */

static void begin(void *handler, grpc_call *c)
{
    grpc_call_set_handler(c, handler, NULL);
}

static void begin_duplex(void *handler, grpc_call *c)
{
    echo_metadata(c);
    grpc_send_initial(c);
    begin(handler, c);
}

static void begin_input(void *handler, grpc_call *c)
{
    grpc_call_set_handler(c, handler, calloc(1, sizeof(sum)));
}

static grpc_call_handler empty = {NULL, empty_message, no_message, NULL, nothing_closed};
static grpc_call_handler unary = {NULL, unary_message, no_message, NULL, nothing_closed};
static grpc_call_handler serving = {NULL, serving_message, no_message, NULL, nothing_closed};
static grpc_call_handler not_serving = {NULL, not_serving_message, no_message, NULL,
                                        nothing_closed};
static grpc_call_handler output = {NULL, output_message, finish_ok, NULL, nothing_closed};
static grpc_call_handler input = {NULL, input_message, input_end, NULL, input_closed};

/* ---- reflection ----------------------------------------------------------------------------------------------------------- */

/* The files of the build, which has what protoc makes of them. */
static void add_files(grpc_reflection *r)
{
    static uint8_t set[1 << 20];
    orch_error *error = NULL;
    FILE *file = fopen(OWN_DESCRIPTORS, "rb");
    size_t len = file ? fread(set, 1, sizeof set, file) : 0;

    if (!len)
        own_fail("cannot read %s", OWN_DESCRIPTORS);
    fclose(file);
    if (grpc_reflection_add_set(r, set, len, &error))
        own_fail("%s", orch_error_message(error));
}

static void on_signal(uv_signal_t *s, int number)
{
    (void)number;
    uv_stop(s->loop);
}

int own_serve(const arguments *a)
{
    static const struct {
        const char *path;
        void (*begin)(void *ctx, grpc_call *c);
        grpc_call_handler *handler;
    } methods[] = {
        {SERVICE "EmptyCall", begin, &empty},
        {SERVICE "UnaryCall", begin, &unary},
        {SERVICE "StreamingOutputCall", begin, &output},
        {SERVICE "StreamingInputCall", begin_input, &input},
        {SERVICE "FullDuplexCall", begin_duplex, &output},
        {"/grpc.testing.XdsUpdateHealthService/SetServing", begin, &serving},
        {"/grpc.testing.XdsUpdateHealthService/SetNotServing", begin, &not_serving},
    };
    orch_error *error = NULL;
    grpc_reflection *reflection;
    grpc_server *server;
    net_uv *net = NULL;
    uv_signal_t term;
    uint16_t port;
    uv_loop_t *loop = uv_default_loop();

    if (net_uv_new(loop, &net, &error) || !(server = grpc_server_new(net, NULL)))
        own_fail("no server: %s", orch_error_message(error));
    for (size_t i = 0; i < LEN(methods); i++)
        grpc_server_add(server, methods[i].path, methods[i].begin, methods[i].handler, NULL);
    if (grpc_health_new(server, &health, &error))
        own_fail("%s", orch_error_message(error));
    grpc_health_set(health, "grpc.testing.TestService", GRPC_SERVING);
    if (grpc_reflection_new(server, &reflection, &error))
        own_fail("%s", orch_error_message(error));
    add_files(reflection);
    if (grpc_server_listen(server, "127.0.0.1:0", own_tls(true, a), &port, &error))
        own_fail("%s", orch_error_message(error));
    uv_signal_init(loop, &term);
    uv_signal_start(&term, on_signal, SIGTERM);
    printf("listening %u\n", (unsigned)port);
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    return 0;
}
