/* The management service: calls come in on the loop thread; what may block is done on threads of the runtime, by the public functions. */
#include <orch/service.h>

#include <string.h>

#include "runtime/event_stream.h"
#include "service/service_impl.h"
#include "transport/protobuf.h"

#define QUICK_BYTES 16384

/* ---- a call ---------------------------------------------------------------------------------------------- */

static void rpc_free(rpc *r)
{
    protobuf_free(r->parsed);
    bytes_unref(r->request);
    if (r->prepared)
        loop_start_free(r->prepared);
    outcome_unref(r->outcome);
    buf_free(&r->reply);
    orch_error_free(r->error);
    mem_free(r);
}

static void free_if_over(rpc *r)
{
    if (!r->call && !r->is_busy)
        rpc_free(r);
}

void rpc_reply(rpc *r)
{
    r->is_busy = false;
    if (r->call && r->reply.failed) {
        grpc_finish(r->call, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
    } else if (r->call) {
        grpc_send(r->call, r->reply.data, r->reply.len);
        grpc_finish(r->call, 0, NULL);
    }
    free_if_over(r);
}

void rpc_fail(rpc *r, int32_t code, const char *message)
{
    r->is_busy = false;
    if (r->call)
        grpc_finish(r->call, code, message);
    free_if_over(r);
}

void rpc_answer(rpc *r)
{
    if (r->code)
        rpc_fail(r, r->code, orch_error_message(r->error));
    else
        rpc_reply(r);
}

/* ---- calls that may block -------------------------------------------------------------------------------- */

static int32_t parse(rpc *r, orch_error **err)
{
    return protobuf_unpack(r->row->request, r->request->data, r->request->len, &r->parsed, err);
}

static void run_call(work *w)
{
    rpc *r = (rpc *)w;

    r->code = parse(r, &r->error);
    if (!r->code)
        r->code = r->row->call(r->orch, r->parsed, &r->reply, &r->error);
}

void rpc_done(work *w)
{
    rpc *r = (rpc *)w;

    if (w->refused)
        rpc_fail(r, ORCH_E_UNAVAILABLE, "the orchestrator stops");
    else
        rpc_answer(r);
}

void rpc_hop(rpc *r, void (*run_it)(work *w), void (*done_with)(work *w))
{
    r->work.run = run_it;
    r->work.done = done_with;
    if (runtime_call(api_runtime(r->orch), &r->work))
        rpc_fail(r, ORCH_E_RESOURCE_EXHAUSTED, "too many calls wait for the orchestrator");
}

/* ---- calls that the loop answers ------------------------------------------------------------------------- */

/* What takes long before, a long request or a codec of the host's, is for another thread. */
static bool is_quick(const rpc *r)
{
    return r->request->len <= QUICK_BYTES && !api_has_codec(r->orch);
}

static void prepare(rpc *r)
{
    r->code = parse(r, &r->error);
    if (!r->code && r->row->prepare)
        r->code = r->row->prepare(r, &r->error);
}

static void run_prepare(work *w)
{
    prepare((rpc *)w);
}

/* Where nobody would hear of it any more, nothing is begun. */
static void begin_prepared(rpc *r)
{
    if (r->code || !r->call)
        rpc_answer(r);
    else
        r->row->begin(r);
}

static void prepared(work *w)
{
    if (w->refused)
        rpc_done(w);
    else
        begin_prepared((rpc *)w);
}

static void begin(rpc *r)
{
    r->is_busy = true;
    if (r->row->call) {
        rpc_hop(r, run_call, rpc_done);
    } else if (is_quick(r)) {
        prepare(r);
        begin_prepared(r);
    } else {
        rpc_hop(r, run_prepare, prepared);
    }
}

/* ---- what gRPC tells ------------------------------------------------------------------------------------- */

static void on_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    rpc *r = ctx;

    if (r->request || r->is_busy) {
        grpc_finish(c, ORCH_E_INTERNAL, "a unary call has one message");
        return;
    }
    r->request = bytes_new(data, len);
    if (!r->request)
        grpc_finish(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
}

static void on_half_closed(void *ctx, grpc_call *c)
{
    rpc *r = ctx;

    if (!r->request)
        grpc_finish(c, ORCH_E_INTERNAL, "a unary call has one message");
    else
        begin(r);
}

static void on_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    rpc *r = ctx;

    (void)c;
    (void)code;
    (void)message;
    r->call = NULL;
    if (r->start) {
        loop_start_forget(r->start);
        r->start = NULL;
        r->is_busy = false;
    }
    free_if_over(r);
}

static const grpc_call_handler rpc_handler = {
    .message = on_message,
    .half_closed = on_half_closed,
    .closed = on_closed,
};

static void call_came(grpc_call *c, orch_v2 *orch, const method_row *row)
{
    rpc *r = mem_zalloc(sizeof *r);

    if (!r) {
        grpc_finish(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
        return;
    }
    r->orch = orch;
    r->call = c;
    r->row = row;
    grpc_call_set_handler(c, &rpc_handler, r);
}

/* ---- the server ------------------------------------------------------------------------------------------ */

static const method_row *const tables[] = {service_workflow_rows, service_execution_rows,
                                           service_control_rows, service_start_rows,
                                           service_engine_rows};

/* The server knows paths alone, so that the row is looked for by the call's. */
static const method_row *find_row(const char *path)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const method_row *row = tables[i]; row->path; row++)
            if (!strcmp(row->path, path))
                return row;
    return NULL;
}

static void on_call(void *ctx, grpc_call *c)
{
    call_came(c, ctx, find_row(grpc_call_path(c)));
}

static void begin_events(void *ctx, grpc_call *c)
{
    event_stream_begin(runtime_events(api_runtime(ctx)), c);
}

static int32_t add(void *ctx, grpc_server *s, orch_error **err)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const method_row *row = tables[i]; row->path; row++) {
            int32_t rc = grpc_server_add(s, row->path, on_call, ctx, err);

            if (rc)
                return rc;
        }
    return grpc_server_add(s, SERVICE "SubscribeEvents", begin_events, ctx, err);
}

int32_t orch_v2_listen(orch_v2 *orch, const char *endpoint, uint16_t *out_port, orch_error **err)
{
    return api_serve(orch, endpoint, add, orch, out_port, err);
}
