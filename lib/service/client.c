/* A client of the management service. Its calls are made on the loop of a runtime that has nothing else. */
#include <stdio.h>
#include <string.h>

#include "service/client_impl.h"
#include "service/transcode.h"
#include "transport/protobuf.h"

/* Something that the loop does for a thread that waits. */
typedef struct client_call {
    asked base; /* first */
    orch_client *client;
    char path[CLIENT_PATH];
    buf request;
    int64_t timeout_ns;
    bytes *reply;
} client_call;

/* ---- its life -------------------------------------------------------------------------------------------- */

static void open_channel(command *base, runtime *rt)
{
    client_call *c = (client_call *)base;

    c->base.code = runtime_dial(rt, c->client->endpoint, &c->client->channel, &c->base.error);
    sem_post(&c->base.done);
}

static void close_channel(command *base, runtime *rt)
{
    client_call *c = (client_call *)base;

    (void)rt;
    grpc_channel_free(c->client->channel);
    sem_post(&c->base.done);
}

static int32_t begin(orch_client *c, const orch_config *config, orch_error **err)
{
    orch_config *defaults = config ? NULL : orch_config_new();
    client_call open = {.client = c};
    int32_t rc;

    if (config || defaults)
        c->host = api_host_new(config ? config : defaults, err);
    orch_config_free(defaults);
    if (!c->host)
        return err && *err ? orch_error_code(*err) : error_no_memory(err);
    rc = runtime_ask(api_runtime(c->host), &open.base, open_channel, err);
    if (rc)
        orch_v2_free(c->host);
    return rc;
}

orch_client *orch_client_new(const orch_config *config, const char *endpoint, orch_error **err)
{
    orch_error *error = NULL;
    orch_client *c = NULL;
    int32_t rc = endpoint ? 0
                          : error_set(&error, ORCH_E_INVALID_ARGUMENT, "endpoint",
                                      "endpoint must not be NULL");

    if (!rc) {
        c = mem_zalloc(sizeof *c);
        if (c)
            c->endpoint = mem_strdup(endpoint);
        rc = c && c->endpoint ? begin(c, config, &error) : error_no_memory(&error);
    }
    if (rc && c) {
        mem_free(c->endpoint);
        mem_free(c);
        c = NULL;
    }
    if (err && error)
        *err = error;
    else
        orch_error_free(error);
    return rc ? NULL : c;
}

void orch_client_free(orch_client *client)
{
    client_call close = {.client = client};

    if (!client)
        return;
    if (!api_check(client->host, NULL)) /* in a forked child there is no loop to do it */
        runtime_ask(api_runtime(client->host), &close.base, close_channel, NULL);
    orch_v2_free(client->host);
    mem_free(client->endpoint);
    mem_free(client);
}

/* ---- calls ----------------------------------------------------------------------------------------------- */

static void on_message(void *ctx, grpc_call *call, const uint8_t *data, size_t len)
{
    client_call *c = ctx;

    (void)call;
    bytes_unref(c->reply);
    c->reply = bytes_new(data, len);
}

void client_error(int32_t code, const char *message, orch_error **err)
{
    error_set_text(err, code, "", "%s", *message ? message : orch_code_name(code));
}

static void on_closed(void *ctx, grpc_call *call, int32_t code, const char *message)
{
    client_call *c = ctx;

    (void)call;
    c->base.code = code;
    if (code)
        client_error(code, message, &c->base.error);
    else if (!c->reply)
        c->base.code = error_set(&c->base.error, ORCH_E_INTERNAL, "",
                                 "there is no answer in the answer");
    sem_post(&c->base.done);
}

static const grpc_call_handler handler_of_calls = {.message = on_message, .closed = on_closed};

static void make_call(command *base, runtime *rt)
{
    client_call *c = (client_call *)base;
    const grpc_call_options options = {.timeout_ns = c->timeout_ns};
    grpc_call *call = grpc_channel_call(c->client->channel, c->path, &options, &handler_of_calls,
                                        c);

    (void)rt;
    if (!call) {
        c->base.code = error_no_memory(&c->base.error);
        sem_post(&c->base.done);
        return;
    }
    grpc_send(call, c->request.data, c->request.len);
    grpc_half_close(call);
}

/* The descriptors do not tell. */
static bool is_stream(const char *method)
{
    return !strcmp(method, "StreamEvents") || !strcmp(method, "SubscribeEvents");
}

const ProtobufCMethodDescriptor *client_method(const char *name, bool stream,
                                               char path[CLIENT_PATH])
{
    static const char engine[] = "EngineService/";
    bool of_engine = !strncmp(name, engine, sizeof engine - 1);
    const ProtobufCServiceDescriptor *s = of_engine ? &orch__v1__engine_service__descriptor
                                                    : &orch__v1__orchestrator_service__descriptor;
    const char *method = of_engine ? name + sizeof engine - 1 : name;

    if (!strcmp(method, "Execute")) /* both ways: engines and orchestrators speak that */
        return NULL;
    snprintf(path, CLIENT_PATH, "/%s/%.64s", s->name, method);
    return is_stream(method) != stream
               ? NULL
               : protobuf_c_service_descriptor_get_method_by_name(s, method);
}

int32_t client_pack(const char *json, size_t len, const ProtobufCMessageDescriptor *d, buf *out,
                    orch_error **err)
{
    json_error_t where;
    json_t *in = json ? json_loadb(json, len, 0, &where) : json_object();
    ProtobufCMessage *m = NULL;
    int32_t rc;

    if (!in)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "request_json", "request_json: %s",
                         json ? where.text : "no memory");
    rc = transcode_from_json(in, d, &m, err);
    if (!rc)
        rc = reply_pack(out, m, err);
    protobuf_free(m);
    json_decref(in);
    return rc;
}

int32_t client_read(const bytes *data, const ProtobufCMessageDescriptor *d, orch_reply **out,
                    orch_error **err)
{
    ProtobufCMessage *m = NULL;
    int32_t rc = protobuf_unpack(d, data->data, data->len, &m, err);
    json_t *json = rc ? NULL : transcode_to_json(m);
    size_t size = json ? json_dumpb(json, NULL, 0, JSON_COMPACT) : 0;
    orch_reply *r = size ? mem_zalloc(sizeof *r) : NULL;

    if (r)
        r->json = mem_alloc(size + 1);
    if (r && r->json) {
        r->len = json_dumpb(json, r->json, size, JSON_COMPACT);
        r->json[r->len] = '\0';
        *out = r;
    } else {
        mem_free(r);
        if (!rc)
            rc = error_no_memory(err);
    }
    json_decref(json);
    protobuf_free(m);
    return rc;
}

int32_t client_check(const orch_client *client, const char *method, int32_t timeout_ms,
                     orch_error **err)
{
    const char *what = !client ? "client" : !method ? "method" : NULL;

    if (what)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, what, "%s must not be NULL", what);
    if (timeout_ms < 0)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "timeout_ms",
                         "timeout_ms is %d; it must be 0 (no limit) or more", timeout_ms);
    return api_check(client->host, err);
}

int32_t orch_client_call(orch_client *client, const char *method, const char *request_json,
                         size_t len, int32_t timeout_ms, orch_reply **out_reply, orch_error **err)
{
    client_call c = {.client = client, .timeout_ns = timeout_ms * INT64_C(1000000)};
    int32_t rc = client_check(client, method, timeout_ms, err);
    const ProtobufCMethodDescriptor *m = rc ? NULL : client_method(method, false, c.path);

    if (!rc && !out_reply)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "out_reply", "out_reply must not be NULL");
    if (!rc && !m)
        rc = error_set(err, ORCH_E_UNIMPLEMENTED, method, "there is no unary method '%s'", method);
    if (!rc)
        rc = client_pack(request_json, len, m->input, &c.request, err);
    if (!rc)
        rc = runtime_ask(api_runtime(client->host), &c.base, make_call, err);
    if (!rc)
        rc = client_read(c.reply, m->output, out_reply, err);
    bytes_unref(c.reply);
    buf_free(&c.request);
    return rc;
}

const char *orch_reply_json(const orch_reply *reply, size_t *out_len)
{
    if (out_len)
        *out_len = reply ? reply->len : 2;
    return reply ? reply->json : "{}";
}

void orch_reply_free(orch_reply *reply)
{
    if (!reply)
        return;
    mem_free(reply->json);
    mem_free(reply);
}
