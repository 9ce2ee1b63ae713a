/* The client: gRPC's interop cases, each against a server that somebody else wrote, or we. */
#include <grpc/testing/messages.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interop/own/own.h"

#define LEN(array)     (sizeof(array) / sizeof *(array))
#define LARGE_REQUEST  271828
#define LARGE_RESPONSE 314159
#define SECOND         INT64_C(1000000000)

static const int32_t requests[] = {27182, 8, 1828, 45904}, responses[] = {31415, 9, 2653, 58979};
static uint8_t zeros[LARGE_REQUEST];
static uv_loop_t *loop;
static net_uv *net;
static grpc_channel *channel;
static const arguments *args;
static grpc_channel_options channel_options;

/* ---- a call, and what it was told ------------------------------------------------------------------------------------ */

typedef struct call {
    grpc_call *grpc;
    buf messages[8]; /* the last ones */
    bool compressed[8];
    unsigned count, closed;
    int32_t code;
    char message[400];
    buf initial, trailing; /* the values that are echoed */
} call;

static void on_headers(void *ctx, grpc_call *c)
{
    call *k = ctx;
    size_t len;
    const char *value = grpc_metadata_get(grpc_call_metadata(c), INITIAL, &len);

    if (value)
        buf_add(&k->initial, value, len);
}

static void on_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    call *k = ctx;
    unsigned at = k->count++ % LEN(k->messages);

    buf_clear(&k->messages[at]);
    buf_add(&k->messages[at], data, len);
    k->compressed[at] = grpc_call_was_compressed(c);
    uv_stop(loop); /* it does not wait for anything then */
}

static void on_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    call *k = ctx;

    grpc_metadata_get_bin(grpc_call_trailers(c), TRAILING, &k->trailing);
    uv_stop(loop);
    k->closed++;
    k->code = code;
    k->grpc = NULL;
    snprintf(k->message, sizeof k->message, "%s", message);
}

static const grpc_call_handler handler = {on_headers, on_message, NULL, NULL, on_closed};

static void begin_with(call *k, const char *path, const grpc_call_options *o)
{
    memset(k, 0, sizeof *k);
    k->grpc = grpc_channel_call(channel, path, o, &handler, k);
}

static void begin(call *k, const char *path)
{
    grpc_call_options o = {.timeout_ns = 60 * SECOND};

    begin_with(k, path, &o);
}

static void until_closed(call *k)
{
    while (!k->closed)
        uv_run(loop, UV_RUN_ONCE);
}

static void until_messages(call *k, unsigned count)
{
    while (k->count < count && !k->closed)
        uv_run(loop, UV_RUN_ONCE);
    if (k->count < count)
        own_fail("the call ended after %u messages: %d %s", k->count, -k->code, k->message);
}

static void clear(call *k)
{
    for (size_t i = 0; i < LEN(k->messages); i++)
        buf_free(&k->messages[i]);
    buf_free(&k->initial);
    buf_free(&k->trailing);
}

static void expect_end(call *k, int32_t code, const char *message)
{
    until_closed(k);
    if (k->code != code || (message && *message && strcmp(message, k->message) != 0))
        own_fail("status %d '%s' instead of %d '%s'", -k->code, k->message, -code,
                 message ? message : "");
    if (k->closed != 1)
        own_fail("the end was told %u times", k->closed);
}

static void expect_number(const char *what, int64_t is, int64_t should)
{
    if (is != should)
        own_fail("%s: %lld instead of %lld", what, (long long)is, (long long)should);
}

/* ---- messages -------------------------------------------------------------------------------------------------------------- */

static void send_packed(call *k, const ProtobufCMessage *m)
{
    size_t len = protobuf_c_message_get_packed_size(m);
    uint8_t *packed = malloc(len + 1);

    protobuf_c_message_pack(m, packed);
    grpc_send(k->grpc, packed, len);
    free(packed);
}

static Grpc__Testing__Payload payload(int32_t size)
{
    Grpc__Testing__Payload p = GRPC__TESTING__PAYLOAD__INIT;

    p.body.data = zeros;
    p.body.len = (size_t)size;
    return p;
}

static void send_simple(call *k, int32_t request, int32_t response,
                        const Grpc__Testing__SimpleRequest *more)
{
    Grpc__Testing__SimpleRequest r = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__Payload p = payload(request);

    if (more)
        r = *more;
    r.response_size = response;
    r.payload = &p;
    send_packed(k, &r.base);
}

static void send_output(call *k, int32_t request, const int32_t *sizes, size_t count,
                        Grpc__Testing__EchoStatus *status, const bool *compressed)
{
    Grpc__Testing__StreamingOutputCallRequest r =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    Grpc__Testing__ResponseParameters parameters[LEN(responses)], *pointers[LEN(responses)];
    Grpc__Testing__BoolValue yes = GRPC__TESTING__BOOL_VALUE__INIT, no = yes;
    Grpc__Testing__Payload p = payload(request);

    yes.value = 1;
    for (size_t i = 0; i < count; i++) {
        grpc__testing__response_parameters__init(&parameters[i]);
        parameters[i].size = sizes[i];
        if (compressed)
            parameters[i].compressed = compressed[i] ? &yes : &no;
        pointers[i] = &parameters[i];
    }
    r.n_response_parameters = count;
    r.response_parameters = pointers;
    r.response_status = status;
    if (request)
        r.payload = &p;
    send_packed(k, &r.base);
}

static void check_body(const ProtobufCBinaryData *body, int64_t size)
{
    expect_number("bytes of an answer", (int64_t)body->len, size);
    for (size_t i = 0; i < body->len; i++)
        if (body->data[i])
            own_fail("byte %zu of an answer is not 0", i);
}

static void check_simple(const call *k, int32_t size)
{
    const buf *b = &k->messages[0];
    Grpc__Testing__SimpleResponse *r = grpc__testing__simple_response__unpack(
        NULL, b->len, (const uint8_t *)b->data);

    expect_number("messages", k->count, 1);
    if (!r || !r->payload)
        own_fail("the answer has no payload");
    check_body(&r->payload->body, size);
    grpc__testing__simple_response__free_unpacked(r, NULL);
}

static void check_output(const call *k, unsigned i, int32_t size)
{
    const buf *b = &k->messages[i % LEN(k->messages)];
    Grpc__Testing__StreamingOutputCallResponse *r =
        grpc__testing__streaming_output_call_response__unpack(NULL, b->len,
                                                              (const uint8_t *)b->data);

    if (!r || !r->payload)
        own_fail("an answer has no payload");
    check_body(&r->payload->body, size);
    grpc__testing__streaming_output_call_response__free_unpacked(r, NULL);
}

/* ---- the cases --------------------------------------------------------------------------------------------------------------- */

static void empty_unary(void)
{
    call k;

    begin(&k, SERVICE "EmptyCall");
    grpc_send(k.grpc, "", 0);
    grpc_half_close(k.grpc);
    expect_end(&k, 0, "");
    expect_number("messages", k.count, 1);
    expect_number("bytes", (int64_t)k.messages[0].len, 0);
    clear(&k);
}

static void large_unary(void)
{
    call k;

    begin(&k, SERVICE "UnaryCall");
    send_simple(&k, LARGE_REQUEST, LARGE_RESPONSE, NULL);
    grpc_half_close(k.grpc);
    expect_end(&k, 0, "");
    check_simple(&k, LARGE_RESPONSE);
    clear(&k);
}

static void check_sum(const call *k, int32_t sum)
{
    Grpc__Testing__StreamingInputCallResponse *r =
        grpc__testing__streaming_input_call_response__unpack(NULL, k->messages[0].len,
                                                             (const uint8_t *)k->messages[0].data);

    expect_number("messages", k->count, 1);
    expect_number("sum", r ? r->aggregated_payload_size : -1, sum);
    grpc__testing__streaming_input_call_response__free_unpacked(r, NULL);
}

static void send_input(call *k, int32_t size, Grpc__Testing__BoolValue *compressed)
{
    Grpc__Testing__StreamingInputCallRequest r = GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__INIT;
    Grpc__Testing__Payload p = payload(size);

    r.payload = &p;
    r.expect_compressed = compressed;
    grpc_call_compress(k->grpc, compressed && compressed->value);
    send_packed(k, &r.base);
}

static void client_streaming(void)
{
    call k;

    begin(&k, SERVICE "StreamingInputCall");
    for (size_t i = 0; i < LEN(requests); i++)
        send_input(&k, requests[i], NULL);
    grpc_half_close(k.grpc);
    expect_end(&k, 0, "");
    check_sum(&k, 74922);
    clear(&k);
}

static void server_streaming(void)
{
    call k;

    begin(&k, SERVICE "StreamingOutputCall");
    send_output(&k, 0, responses, LEN(responses), NULL, NULL);
    grpc_half_close(k.grpc);
    expect_end(&k, 0, "");
    expect_number("messages", k.count, LEN(responses));
    for (unsigned i = 0; i < LEN(responses); i++)
        check_output(&k, i, responses[i]);
    clear(&k);
}

static void ping_pong(void)
{
    call k;

    begin(&k, SERVICE "FullDuplexCall");
    for (unsigned i = 0; i < LEN(requests); i++) {
        send_output(&k, requests[i], &responses[i], 1, NULL, NULL);
        until_messages(&k, i + 1);
        check_output(&k, i, responses[i]);
    }
    grpc_half_close(k.grpc);
    expect_end(&k, 0, "");
    expect_number("messages", k.count, LEN(requests));
    clear(&k);
}

static void empty_stream(void)
{
    call k;

    begin(&k, SERVICE "FullDuplexCall");
    grpc_half_close(k.grpc);
    expect_end(&k, 0, "");
    expect_number("messages", k.count, 0);
    clear(&k);
}

static void timeout_on_sleeping_server(void)
{
    grpc_call_options o = {.timeout_ns = SECOND / 1000};
    call k;

    begin_with(&k, SERVICE "FullDuplexCall", &o);
    send_output(&k, 27182, NULL, 0, NULL, NULL);
    expect_end(&k, ORCH_E_DEADLINE_EXCEEDED, NULL);
    clear(&k);
}

static void cancel_after_begin(void)
{
    call k;

    begin(&k, SERVICE "StreamingInputCall");
    grpc_cancel(k.grpc);
    expect_end(&k, ORCH_E_CANCELLED, NULL);
    clear(&k);
}

static void cancel_after_first_response(void)
{
    call k;

    begin(&k, SERVICE "FullDuplexCall");
    send_output(&k, requests[0], &responses[0], 1, NULL, NULL);
    until_messages(&k, 1);
    check_output(&k, 0, responses[0]);
    grpc_cancel(k.grpc);
    expect_end(&k, ORCH_E_CANCELLED, NULL);
    clear(&k);
}

static void check_status(char *message, bool stream)
{
    Grpc__Testing__EchoStatus status = GRPC__TESTING__ECHO_STATUS__INIT;
    Grpc__Testing__SimpleRequest more = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    call k;

    status.code = 2;
    status.message = message;
    more.response_status = &status;
    begin(&k, stream ? SERVICE "FullDuplexCall" : SERVICE "UnaryCall");
    if (stream)
        send_output(&k, 0, NULL, 0, &status, NULL);
    else
        send_simple(&k, 0, 0, &more);
    grpc_half_close(k.grpc);
    expect_end(&k, ORCH_E_UNKNOWN, message);
    clear(&k);
}

static void status_code_and_message(void)
{
    char message[] = "test status message";

    check_status(message, false);
    check_status(message, true);
}

static void special_status_message(void)
{
    char message[] =
        "\t\ntest with whitespace\r\nand Unicode BMP \xE2\x98\xBA and non-BMP \xF0\x9F\x98\x88\t\n";

    check_status(message, false);
}

static void check_metadata(bool stream)
{
    static const char bytes[] = {(char)0xab, (char)0xab, (char)0xab};
    int32_t size = LARGE_RESPONSE;
    call k;

    begin(&k, stream ? SERVICE "FullDuplexCall" : SERVICE "UnaryCall");
    grpc_metadata_add(grpc_call_initial(k.grpc), INITIAL, "test_initial_metadata_value", 27, NULL);
    grpc_metadata_add(grpc_call_initial(k.grpc), TRAILING, bytes, sizeof bytes, NULL);
    if (stream)
        send_output(&k, LARGE_REQUEST, &size, 1, NULL, NULL);
    else
        send_simple(&k, LARGE_REQUEST, LARGE_RESPONSE, NULL);
    grpc_half_close(k.grpc);
    expect_end(&k, 0, "");
    if (!k.initial.data || strcmp(k.initial.data, "test_initial_metadata_value") != 0)
        own_fail("initial metadata: %s", k.initial.data ? k.initial.data : "none");
    if (k.trailing.len != sizeof bytes || memcmp(k.trailing.data, bytes, sizeof bytes) != 0)
        own_fail("trailing metadata: %zu bytes", k.trailing.len);
    clear(&k);
}

static void custom_metadata(void)
{
    check_metadata(false);
    check_metadata(true);
}

static void unimplemented(const char *path)
{
    call k;

    begin(&k, path);
    grpc_send(k.grpc, "", 0);
    grpc_half_close(k.grpc);
    expect_end(&k, ORCH_E_UNIMPLEMENTED, NULL);
    clear(&k);
}

static void unimplemented_method(void)
{
    unimplemented(SERVICE "UnimplementedCall");
}

static void unimplemented_service(void)
{
    unimplemented("/grpc.testing.UnimplementedService/UnimplementedCall");
}

/* ---- compression ----------------------------------------------------------------------------------------------------------------- */

static const grpc_call_options gzip = {.timeout_ns = 60 * SECOND, .compress = true};

static void compressed_unary(bool is_compressed, int32_t code)
{
    Grpc__Testing__SimpleRequest more = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__BoolValue expect = GRPC__TESTING__BOOL_VALUE__INIT;
    call k;

    expect.value = is_compressed || code;
    more.expect_compressed = &expect;
    begin_with(&k, SERVICE "UnaryCall", &gzip);
    grpc_call_compress(k.grpc, is_compressed);
    send_simple(&k, LARGE_REQUEST, LARGE_RESPONSE, &more);
    grpc_half_close(k.grpc);
    expect_end(&k, code, NULL);
    if (!code)
        check_simple(&k, LARGE_RESPONSE);
    clear(&k);
}

static void client_compressed_unary(void)
{
    compressed_unary(false, ORCH_E_INVALID_ARGUMENT); /* the server looks */
    compressed_unary(true, 0);
    compressed_unary(false, 0);
}

static void client_compressed_streaming(void)
{
    Grpc__Testing__BoolValue yes = GRPC__TESTING__BOOL_VALUE__INIT, no = yes;
    call k;

    yes.value = 1;
    begin_with(&k, SERVICE "StreamingInputCall", &gzip);
    send_input(&k, 27182, &yes);
    send_input(&k, 45904, &no);
    grpc_half_close(k.grpc);
    expect_end(&k, 0, "");
    check_sum(&k, 73086);
    clear(&k);
}

static void server_compressed_unary(void)
{
    for (int wanted = 1; wanted >= 0; wanted--) {
        Grpc__Testing__SimpleRequest more = GRPC__TESTING__SIMPLE_REQUEST__INIT;
        Grpc__Testing__BoolValue compressed = GRPC__TESTING__BOOL_VALUE__INIT;
        call k;

        compressed.value = wanted;
        more.response_compressed = &compressed;
        begin(&k, SERVICE "UnaryCall");
        send_simple(&k, LARGE_REQUEST, LARGE_RESPONSE, &more);
        grpc_half_close(k.grpc);
        expect_end(&k, 0, "");
        expect_number("compressed", k.compressed[0], wanted);
        check_simple(&k, LARGE_RESPONSE);
        clear(&k);
    }
}

static void server_compressed_streaming(void)
{
    static const int32_t sizes[] = {31415, 92653};
    static const bool compressed[] = {true, false};
    call k;

    begin(&k, SERVICE "StreamingOutputCall");
    send_output(&k, 0, sizes, 2, NULL, compressed);
    grpc_half_close(k.grpc);
    expect_end(&k, 0, "");
    expect_number("messages", k.count, 2);
    for (unsigned i = 0; i < 2; i++) {
        expect_number("compressed", k.compressed[i], compressed[i]);
        check_output(&k, i, sizes[i]);
    }
    clear(&k);
}

/* ---- many --------------------------------------------------------------------------------------------------------------------------- */

static void connect_channel(void)
{
    orch_error *error = NULL;

    if (grpc_channel_new(net, args->address, &channel_options, &channel, &error))
        own_fail("%s", orch_error_message(error));
}

static void rpc_soak(void)
{
    for (int i = 0; i < 10; i++)
        large_unary();
}

static void channel_soak(void)
{
    for (int i = 0; i < 10; i++) {
        grpc_channel_free(channel);
        connect_channel();
        large_unary();
    }
}

static void concurrent_large_unary(void)
{
    static call all[1000];

    for (size_t i = 0; i < LEN(all); i++) {
        begin(&all[i], SERVICE "UnaryCall");
        send_simple(&all[i], LARGE_REQUEST, LARGE_RESPONSE, NULL);
        grpc_half_close(all[i].grpc);
    }
    for (size_t i = 0; i < LEN(all); i++) {
        expect_end(&all[i], 0, "");
        check_simple(&all[i], LARGE_RESPONSE);
        clear(&all[i]);
    }
}

/* ---- the health service ----------------------------------------------------------------------------------------------------------------- */

#define HEALTH  "/grpc.health.v1.Health/"
#define CONTROL "/grpc.testing.XdsUpdateHealthService/"

static void ask_health(call *k, const char *path, const char *request)
{
    begin(k, path);
    grpc_send(k->grpc, request, strlen(request));
    grpc_half_close(k->grpc);
}

static void expect_state(call *k, unsigned count, char state)
{
    const buf *b = &k->messages[(count - 1) % LEN(k->messages)];

    until_messages(k, count);
    if (b->len != 2 || b->data[0] != 8 || b->data[1] != state)
        own_fail("message %u is not the state %d", count, state);
}

static void health_check(void)
{
    static const char *const names[] = {"", "\x0a\x18grpc.testing.TestService"};
    call k;

    for (size_t i = 0; i < LEN(names); i++) {
        ask_health(&k, HEALTH "Check", names[i]);
        expect_end(&k, 0, "");
        expect_state(&k, 1, 1);
        clear(&k);
    }
    ask_health(&k, HEALTH "Check", "\x0a\x0fno.such.Service");
    expect_end(&k, ORCH_E_NOT_FOUND, NULL);
    clear(&k);
}

static void set_health(const char *path)
{
    call k;

    ask_health(&k, path, "");
    expect_end(&k, 0, "");
    clear(&k);
}

static void health_watch(void)
{
    call known, unknown;

    ask_health(&known, HEALTH "Watch", "");
    expect_state(&known, 1, 1);
    set_health(CONTROL "SetNotServing");
    expect_state(&known, 2, 2);
    set_health(CONTROL "SetServing");
    expect_state(&known, 3, 1);
    ask_health(&unknown, HEALTH "Watch", "\x0a\x0fno.such.Service");
    expect_state(&unknown, 1, 3);
    grpc_cancel(known.grpc);
    grpc_cancel(unknown.grpc);
    until_closed(&known);
    until_closed(&unknown);
    health_check(); /* the server has heard of the cancels by the time it answers */
    clear(&known);
    clear(&unknown);
}

/* ---- against bad_server.py, which says what has to come of each --------------------------------------------------------------------------- */

#define SEVERAL 10

static void begin_large(call *k)
{
    begin(k, SERVICE "UnaryCall");
    send_simple(k, LARGE_REQUEST, LARGE_RESPONSE, NULL);
    grpc_half_close(k->grpc);
}

static void goaway(void)
{
    large_unary();
    large_unary();
}

static void expect_internal(void)
{
    call k;

    begin_large(&k);
    expect_end(&k, ORCH_E_INTERNAL, NULL);
    clear(&k);
}

static void rst_after_header(void)
{
    expect_internal();
}

static void rst_during_data(void)
{
    expect_internal();
}

static void rst_after_data(void)
{
    expect_internal();
}

static void ping(void)
{
    large_unary();
}

static void max_streams(void)
{
    call all[SEVERAL];

    large_unary();
    for (size_t i = 0; i < SEVERAL; i++)
        begin_large(&all[i]);
    for (size_t i = 0; i < SEVERAL; i++) {
        expect_end(&all[i], 0, "");
        check_simple(&all[i], LARGE_RESPONSE);
        clear(&all[i]);
    }
}

static void data_frame_padding(void)
{
    for (int i = 0; i < SEVERAL; i++)
        large_unary();
}

static void no_df_padding(void)
{
    data_frame_padding();
}

/* ---- choosing -------------------------------------------------------------------------------------------------------------------------- */

#define CASE(name)  \
    {               \
#        name, name \
    }
static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    CASE(empty_unary),
    CASE(large_unary),
    CASE(client_streaming),
    CASE(server_streaming),
    CASE(ping_pong),
    CASE(empty_stream),
    CASE(timeout_on_sleeping_server),
    CASE(cancel_after_begin),
    CASE(cancel_after_first_response),
    CASE(status_code_and_message),
    CASE(special_status_message),
    CASE(custom_metadata),
    CASE(unimplemented_method),
    CASE(unimplemented_service),
    CASE(client_compressed_unary),
    CASE(server_compressed_unary),
    CASE(client_compressed_streaming),
    CASE(server_compressed_streaming),
    CASE(rpc_soak),
    CASE(channel_soak),
    CASE(concurrent_large_unary),
    CASE(health_check),
    CASE(health_watch),
    CASE(goaway),
    CASE(rst_after_header),
    CASE(rst_during_data),
    CASE(rst_after_data),
    CASE(ping),
    CASE(max_streams),
    CASE(data_frame_padding),
    CASE(no_df_padding),
};

void own_list_client(void)
{
    for (size_t i = 0; i < LEN(cases); i++)
        puts(cases[i].name);
}

int own_call(const arguments *a)
{
    orch_error *error = NULL;

    args = a;
    loop = uv_default_loop();
    channel_options = (grpc_channel_options){.tls = own_tls(false, a), .server_name = a->name};
    if (net_uv_new(loop, &net, &error))
        own_fail("%s", orch_error_message(error));
    connect_channel();
    for (size_t i = 0; i < LEN(cases); i++)
        if (!strcmp(cases[i].name, a->test)) {
            cases[i].run();
            return 0;
        }
    own_fail("no case '%s'", a->test);
}
