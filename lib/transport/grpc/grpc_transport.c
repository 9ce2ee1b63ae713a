#include "transport/grpc/grpc_transport.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "transport/grpc/grpc_transport_impl.h"

#define EXECUTE              "/orch.v1.EngineService/Execute"
/* How many executions it takes is for the engine to say, one by one, and not for its streams. */
#define MAX_STREAMS          (1U << 20)
#define RECONNECT_NS         INT64_C(200000000)
#define MAX_RECONNECT_NS     INT64_C(5000000000)
/* A machine that is gone says nothing: its executions are to be detached, and go elsewhere. Ten seconds is the least that gRPC allows. */
#define KEEPALIVE_NS         INT64_C(10000000000)
#define KEEPALIVE_TIMEOUT_NS INT64_C(5000000000)

const char *transport_grpc_address(const char *endpoint)
{
    if (!strncmp(endpoint, "grpc:", 5))
        endpoint += 5;
    return strncmp(endpoint, "//", 2) ? endpoint : endpoint + 2;
}

/* ---- to engines ------------------------------------------------------------------------------------------ */

static target *find_target(const grpc_transport *t, const char *endpoint)
{
    LIST_EACH(it, &t->targets)
    {
        target *g = LIST_ENTRY(it, target, node);

        if (!strcmp(g->endpoint, endpoint))
            return g;
    }
    return NULL;
}

static int32_t target_new(grpc_transport *t, const char *endpoint, target **out, orch_error **err)
{
    /* The orchestrator has a patience of its own, and tries again all the time: it is not to wait for a backoff of minutes. */
    grpc_channel_options options = {
        .tls = t->options.client_tls,
        .backoff_ns = RECONNECT_NS,
        .max_backoff_ns = MAX_RECONNECT_NS,
        .keepalive_ns = KEEPALIVE_NS,
        .keepalive_timeout_ns = KEEPALIVE_TIMEOUT_NS,
        .log = t->options.log,
    };
    size_t size = strlen(endpoint) + 1;
    target *g = mem_zalloc(sizeof *g + size);
    int32_t rc;

    if (!g)
        return error_no_memory(err);
    memcpy(g->endpoint, endpoint, size);
    rc = grpc_channel_new(t->net, transport_grpc_address(endpoint), &options, &g->channel, err);
    if (rc) {
        mem_free(g);
        return rc;
    }
    list_push(&t->targets, &g->node);
    *out = g;
    return 0;
}

static int32_t grpc_open(void *self, const char *endpoint, const channel_handler *h, void *ctx,
                         channel **out, orch_error **err)
{
    grpc_transport *t = self;
    target *g = find_target(t, endpoint);
    int32_t rc = g ? 0 : target_new(t, endpoint, &g, err);
    grpc_end *e;

    if (rc)
        return rc;
    e = grpc_end_new(t, false);
    if (!e)
        return error_no_memory(err);
    e->call = grpc_channel_call(g->channel, EXECUTE, NULL, &grpc_end_handler, e);
    if (!e->call) {
        mem_free(e);
        return error_no_memory(err);
    }
    e->base.base.handler = h;
    e->base.base.ctx = ctx;
    *out = &e->base.base;
    return 0;
}

/* ---- of engines ------------------------------------------------------------------------------------------ */

static grpc_listener *find_listener(const grpc_transport *t, const char *endpoint)
{
    LIST_EACH(it, &t->listeners)
    {
        grpc_listener *l = LIST_ENTRY(it, grpc_listener, node);

        if (!strcmp(l->endpoint, endpoint))
            return l;
    }
    return NULL;
}

static void ignore(void *ctx)
{
    (void)ctx;
}

static int32_t serve(grpc_transport *t, grpc_listener *l, orch_error **err)
{
    grpc_server_options options = {
        .max_streams = MAX_STREAMS,
        .max_calls = MAX_STREAMS,
        .keepalive_ns = KEEPALIVE_NS,
        .keepalive_timeout_ns = KEEPALIVE_TIMEOUT_NS,
        .min_ping_ns = KEEPALIVE_NS / 2,
        .log = t->options.log,
    };
    int32_t rc;

    l->server = grpc_server_new(t->net, &options);
    if (!l->server)
        return error_no_memory(err);
    rc = grpc_server_add(l->server, EXECUTE, grpc_end_begin, l, err);
    if (!rc)
        rc = grpc_server_listen(l->server, transport_grpc_address(l->endpoint),
                                t->options.server_tls, &l->port, err);
    if (rc)
        grpc_server_stop(l->server, 0, ignore, NULL);
    return rc;
}

static int32_t grpc_listen(void *self, const char *endpoint,
                           void (*accepted)(void *ctx, channel *c), void *ctx, orch_error **err)
{
    grpc_transport *t = self;
    size_t size = strlen(endpoint) + 1;
    grpc_listener *l;
    int32_t rc;

    if (find_listener(t, endpoint))
        return error_set(err, ORCH_E_ALREADY_EXISTS, endpoint,
                         "an engine serves '%s' in this process already", endpoint);
    l = mem_zalloc(sizeof *l + size);
    if (!l)
        return error_no_memory(err);
    memcpy(l->endpoint, endpoint, size);
    l->transport = t;
    l->accepted = accepted;
    l->ctx = ctx;
    rc = serve(t, l, err);
    if (rc)
        mem_free(l);
    else
        list_push(&t->listeners, &l->node);
    return rc;
}

static void listener_free(grpc_listener *l)
{
    grpc_end_unlisten(l->transport, l);
    list_remove(&l->node);
    if (l->server)
        grpc_server_stop(l->server, 0, ignore, NULL);
    mem_free(l);
}

static void grpc_unlisten(void *self, const char *endpoint)
{
    grpc_listener *l = find_listener(self, endpoint);

    if (l)
        listener_free(l);
}

grpc_server *transport_grpc_server(const transport *t, const char *endpoint)
{
    grpc_listener *l = find_listener(t->self, endpoint);

    return l ? l->server : NULL;
}

uint16_t transport_grpc_port(const transport *t, const char *endpoint)
{
    grpc_listener *l = find_listener(t->self, endpoint);

    return l ? l->port : 0;
}

/* ---- the rest -------------------------------------------------------------------------------------------- */

static bool grpc_pump(void *self, uint32_t budget)
{
    return delivery_pump(&((grpc_transport *)self)->delivery, budget);
}

static void grpc_free(void *self)
{
    grpc_transport *t = self;
    list *node;

    grpc_ends_free(t);
    while (!list_empty(&t->listeners))
        listener_free(LIST_ENTRY(t->listeners.next, grpc_listener, node));
    while ((node = list_pop(&t->targets))) {
        target *g = LIST_ENTRY(node, target, node);

        grpc_channel_free(g->channel);
        mem_free(g);
    }
    wire_writer_free(&t->writer);
    mem_free(t);
}

static const transport_ops grpc_ops = {
    .size = sizeof(transport_ops),
    .name = "grpc",
    .max_message_bytes = WIRE_PART_BYTES,
    .open = grpc_open,
    .listen = grpc_listen,
    .unlisten = grpc_unlisten,
    .pump = grpc_pump,
    .free = grpc_free,
};

int32_t transport_grpc_new(net_uv *net, const grpc_transport_options *o, transport *out,
                           orch_error **err)
{
    grpc_transport *t = mem_zalloc(sizeof *t);

    if (!t)
        return error_no_memory(err);
    t->net = net;
    if (o)
        t->options = *o;
    delivery_init(&t->delivery);
    list_init(&t->targets);
    list_init(&t->listeners);
    list_init(&t->lingering);
    net_timer_init(&t->linger, grpc_end_on_linger);
    out->ops = &grpc_ops;
    out->self = t;
    return 0;
}
