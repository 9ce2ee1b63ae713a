/* What an engine answers beside hand-overs: who it is, and that one of them is to be stopped. */
#include <orch/version.h>

#include "base/unconst.h"
#include "orch/v1/engine.pb-c.h"
#include "runtime/engine_service_impl.h"
#include "runtime/event_stream.h"
#include "transport/protobuf.h"

#define STATUS_MAX_EXECUTORS 256

typedef struct unary {
    local_engine *engine;
    void (*answer)(local_engine *e, grpc_call *c, const uint8_t *data, size_t len);
    bool answered;
} unary;

static void answer_with(grpc_call *c, const ProtobufCMessage *m)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *data = mem_alloc(size + 1);

    if (!data) {
        grpc_finish(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
        return;
    }
    protobuf_c_message_pack(m, data);
    grpc_send(c, data, size);
    grpc_finish(c, 0, NULL);
    mem_free(data);
}

/* ---- the calls ------------------------------------------------------------------------------------------- */

static void get_status(local_engine *e, grpc_call *c, const uint8_t *data, size_t len)
{
    Orch__V1__EngineStatus out;
    const char *executors[STATUS_MAX_EXECUTORS];

    orch__v1__engine_status__init(&out);
    (void)data;
    (void)len;
    out.name = e->name;
    out.instance = e->instance;
    out.capacity = e->capacity;
    out.active = engine_active(e->engine);
    out.draining = e->rt->draining || e->rt->stopping;
    out.n_executors = engine_executor_names(e->engine, executors, STATUS_MAX_EXECUTORS);
    out.executors = unconst(executors);
    out.version = unconst(ORCH_VERSION);
    out.started_ms = e->started_ms;
    out.utilisation = e->capacity ? (double)out.active / e->capacity : 1;
    answer_with(c, &out.base);
}

static void stop_workflow(local_engine *e, grpc_call *c, const uint8_t *data, size_t len)
{
    ProtobufCMessage *read = NULL;
    int32_t rc = protobuf_unpack(&orch__v1__stop_workflow_request__descriptor, data, len, &read,
                                 NULL);
    const Orch__V1__StopWorkflowRequest *in = (Orch__V1__StopWorkflowRequest *)read;
    Orch__V1__StopWorkflowResponse out = ORCH__V1__STOP_WORKFLOW_RESPONSE__INIT;

    if (rc || !in->epoch) {
        grpc_finish(c, rc ? rc : ORCH_E_INVALID_ARGUMENT, "it takes execution_key and epoch");
    } else {
        out.stopped = engine_forget(e->engine, in->execution_key,
                                    (epoch){in->epoch->term, in->epoch->counter});
        answer_with(c, &out.base);
    }
    protobuf_free(read);
}

/* ---- what gRPC tells ------------------------------------------------------------------------------------- */

static void on_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    unary *u = ctx;

    if (u->answered)
        return;
    u->answered = true;
    if (u->engine->engine)
        u->answer(u->engine, c, data, len);
    else
        grpc_finish(c, ORCH_E_UNAVAILABLE, "the engine has stopped");
}

static void on_half_closed(void *ctx, grpc_call *c)
{
    unary *u = ctx;

    if (!u->answered)
        grpc_finish(c, ORCH_E_INTERNAL, "a unary call has one message");
    u->answered = true;
}

static void on_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    (void)c;
    (void)code;
    (void)message;
    mem_free(ctx);
}

static const grpc_call_handler unary_handler = {
    .message = on_message,
    .half_closed = on_half_closed,
    .closed = on_closed,
};

static void begin(local_engine *e, grpc_call *c,
                  void (*answer)(local_engine *e, grpc_call *c, const uint8_t *data, size_t len))
{
    unary *u = mem_zalloc(sizeof *u);

    if (!u) {
        grpc_finish(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
        return;
    }
    grpc_call_set_handler(c, &unary_handler, u);
    u->engine = e;
    u->answer = answer;
}

static void begin_status(void *ctx, grpc_call *c)
{
    begin(ctx, c, get_status);
}

static void begin_stop(void *ctx, grpc_call *c)
{
    begin(ctx, c, stop_workflow);
}

static void begin_events(void *ctx, grpc_call *c)
{
    event_stream_begin(&((local_engine *)ctx)->rt->events, c);
}

int32_t engine_service_add(local_engine *e, grpc_server *s, orch_error **err)
{
    int32_t rc = grpc_server_add(s, "/orch.v1.EngineService/GetEngineStatus", begin_status, e, err);

    if (!rc)
        rc = grpc_server_add(s, "/orch.v1.EngineService/StopWorkflow", begin_stop, e, err);
    return rc ? rc
              : grpc_server_add(s, "/orch.v1.EngineService/StreamEvents", begin_events, e, err);
}
