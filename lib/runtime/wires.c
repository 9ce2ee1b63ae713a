/* What reaches other processes: the network on the loop, and the transport of gRPC on that. Made when it is first wanted, so that who
 * stays within one process has none of it. */
#include <string.h>

#include "base/error.h"
#include "grpc/health.h"
#include "grpc/reflection.h"
#include "runtime/engine_service_impl.h"
#include "runtime/runtime_impl.h"
#include "transport/grpc/grpc_transport.h"

#define MAX_SERVICES 8
#define MAX_SERVERS  32

/* The protos as protoc --descriptor_set_out has them; made in the build. */
extern const uint8_t proto_descriptors[];
extern const size_t proto_descriptors_len;

/* What every server has beside its own services. */
typedef struct companions {
    grpc_health *health;
    grpc_reflection *reflection; /* NULL: it is not to be told */
} companions;

typedef struct wires {
    net_uv *net;    /* NULL: not wanted yet */
    transport grpc; /* likewise: its ops */
    bool has_tls;   /* files were named */
    char *cert, *key, *ca;
    tls_context *client, *server;
    grpc_server *services[MAX_SERVICES];
    unsigned service_count;
    bool has_reflection;
    companions companions[MAX_SERVERS];
    unsigned server_count;
} wires;

/* ---- TLS ------------------------------------------------------------------------------------------------- */

static int32_t copy(const char *text, char **out, orch_error **err)
{
    *out = text ? mem_strdup(text) : NULL;
    return text && !*out ? error_no_memory(err) : 0;
}

int32_t wires_init(runtime *rt, const runtime_options *o, orch_error **err)
{
    wires *w = rt->wires = mem_zalloc(sizeof *w);
    int32_t rc;

    if (!w)
        return error_no_memory(err);
    w->has_tls = o->tls_cert || o->tls_ca;
    w->has_reflection = o->grpc_reflection;
    rc = copy(o->tls_cert, &w->cert, err);
    if (!rc)
        rc = copy(o->tls_key, &w->key, err);
    return rc ? rc : copy(o->tls_ca, &w->ca, err);
}

static int32_t context(runtime *rt, bool server, tls_context **out, orch_error **err)
{
    const wires *w = rt->wires;
    tls_files files = {.cert = w->cert, .key = w->key, .ca = w->ca};

    if (!w->has_tls || *out)
        return 0;
    if (server && !w->cert)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "TLS_CERT",
                         "TLS_CA is set and TLS_CERT is not: who listens with TLS has a "
                         "certificate");
    return tls_context_new(server, &files, rt->log, out, err);
}

/* ---- the network ----------------------------------------------------------------------------------------- */

static int32_t begin(runtime *rt, orch_error **err)
{
    wires *w = rt->wires;
    grpc_transport_options options;
    int32_t rc;

    if (w->grpc.ops)
        return 0;
    rc = context(rt, false, &w->client, err);
    if (!rc && w->cert)
        rc = context(rt, true, &w->server, err);
    if (!rc && !w->net)
        rc = net_uv_new(&rt->loop, &w->net, err);
    if (rc)
        return rc;
    options = (grpc_transport_options){w->client, w->server, rt->log};
    return transport_grpc_new(w->net, &options, &w->grpc, err);
}

static int32_t add_reflection(grpc_server *s, grpc_reflection **out, orch_error **err)
{
    int32_t rc = grpc_reflection_new(s, out, err);

    return rc ? rc : grpc_reflection_add_set(*out, proto_descriptors, proto_descriptors_len, err);
}

static void remove_companions(companions *c)
{
    grpc_reflection_free(c->reflection);
    grpc_health_free(c->health);
}

static int32_t add_companions(wires *w, grpc_server *s, const char *endpoint, orch_error **err)
{
    companions c = {0};
    int32_t rc = w->server_count < MAX_SERVERS
                     ? grpc_health_new(s, &c.health, err)
                     : error_set(err, ORCH_E_RESOURCE_EXHAUSTED, endpoint,
                                 "%d endpoints are served already, which is the limit",
                                 MAX_SERVERS);

    if (!rc && w->has_reflection)
        rc = add_reflection(s, &c.reflection, err);
    if (rc)
        remove_companions(&c);
    else
        w->companions[w->server_count++] = c;
    return rc;
}

void wires_drain(runtime *rt)
{
    const wires *w = rt->wires;

    for (unsigned i = 0; i < w->server_count; i++)
        grpc_health_set(w->companions[i].health, "", GRPC_NOT_SERVING);
}

bool wires_pump(runtime *rt, uint32_t budget)
{
    const transport *t = &rt->wires->grpc;

    return t->ops && t->ops->pump(t->self, budget);
}

bool wires_settle(runtime *rt)
{
    const wires *w = rt->wires;

    if (!w->net)
        return false;
    net_uv_settle(w->net);
    return w->grpc.ops && w->grpc.ops->pump(w->grpc.self, 0);
}

static void end(void *ctx)
{
    wires *w = ctx;

    tls_context_free(w->client);
    tls_context_free(w->server);
    mem_free(w->cert);
    mem_free(w->key);
    mem_free(w->ca);
    mem_free(w);
}

static void ignore(void *ctx)
{
    (void)ctx;
}

/* What ends on the loop's last turns may still look at the contexts. */
void wires_free(runtime *rt)
{
    wires *w = rt->wires;

    if (!w)
        return;
    rt->wires = NULL;
    for (unsigned i = 0; i < w->server_count; i++)
        remove_companions(&w->companions[i]);
    for (unsigned i = 0; i < w->service_count; i++)
        grpc_server_stop(w->services[i], 0, ignore, NULL);
    if (w->grpc.ops)
        w->grpc.ops->free(w->grpc.self);
    if (w->net)
        net_uv_close(w->net, end, w);
    else
        end(w);
}

/* ---- for threads of the host ----------------------------------------------------------------------------- */

typedef struct wire_command {
    asked base; /* first */
    local_engine *engine;
    const char *endpoint;
    const remote_engine *remote;
    int32_t (*add)(void *ctx, grpc_server *s, orch_error **err);
    void *ctx;
    uint16_t port;
} wire_command;

static int32_t begin_to_listen(runtime *rt, orch_error **err)
{
    wires *w = rt->wires;
    int32_t rc = runtime_check_going(rt, err);

    if (!rc)
        rc = begin(rt, err);
    return rc ? rc : context(rt, true, &w->server, err); /* which says what is missing */
}

/* Over gRPC an engine has its other services too. */
static int32_t listen_with_grpc(wire_command *c, runtime *rt)
{
    orch_error **err = &c->base.error;
    wires *w = rt->wires;
    int32_t rc = begin_to_listen(rt, err);
    grpc_server *server;

    if (!rc)
        rc = w->grpc.ops->listen(w->grpc.self, c->endpoint, engine_accept, c->engine->engine, err);
    if (rc)
        return rc;
    server = transport_grpc_server(&w->grpc, c->endpoint);
    rc = engine_service_add(c->engine, server, err);
    if (!rc)
        rc = add_companions(w, server, c->endpoint, err);
    if (rc)
        w->grpc.ops->unlisten(w->grpc.self, c->endpoint);
    else
        c->port = transport_grpc_port(&w->grpc, c->endpoint);
    return rc;
}

static int32_t listen_with(const transport *t, wire_command *c, runtime *rt)
{
    orch_error **err = &c->base.error;
    int32_t rc = runtime_check_going(rt, err);

    return rc ? rc : t->ops->listen(t->self, c->endpoint, engine_accept, c->engine->engine, err);
}

static void on_listen(command *c, runtime *rt)
{
    wire_command *w = (wire_command *)c;
    const transport *t = plugins_find(rt, w->endpoint);

    w->base.code = t ? listen_with(t, w, rt) : listen_with_grpc(w, rt);
    sem_post(&w->base.done);
}

int32_t runtime_listen(local_engine *e, const char *endpoint, uint16_t *port, orch_error **err)
{
    wire_command c = {.engine = e, .endpoint = endpoint};
    int32_t rc = runtime_ask(e->rt, &c.base, on_listen, err);

    if (!rc && port)
        *port = c.port;
    return rc;
}

static int32_t begin_with_grpc(runtime *rt, const char *to, orch_error **err)
{
    endpoint checked;
    int32_t rc = begin(rt, err);

    return rc ? rc : endpoint_parse(transport_grpc_address(to), -1, &checked, err);
}

static int32_t add_remote(runtime *rt, const remote_engine *r, orch_error **err)
{
    int32_t rc = runtime_check_going(rt, err);
    const transport *t = plugins_find(rt, r->endpoint);

    if (!rc && !t)
        rc = begin_with_grpc(rt, r->endpoint, err);
    if (!rc)
        rc = orchestrator_add_engine(rt->orchestrator, r->name, t ? *t : rt->wires->grpc,
                                     r->endpoint, r->capacity, err);
    if (!rc)
        atomic_fetch_add(&rt->capacity, r->capacity);
    return rc;
}

static void on_add(command *c, runtime *rt)
{
    wire_command *w = (wire_command *)c;

    w->base.code = add_remote(rt, w->remote, &w->base.error);
    sem_post(&w->base.done);
}

int32_t runtime_add_remote(runtime *rt, const remote_engine *r, orch_error **err)
{
    wire_command c = {.remote = r};

    return runtime_ask(rt, &c.base, on_add, err);
}

static int32_t serve(wire_command *c, runtime *rt)
{
    orch_error **err = &c->base.error;
    wires *w = rt->wires;
    int32_t rc = begin_to_listen(rt, err);
    const grpc_server_options options = {.log = rt->log};
    unsigned servers = w->server_count;
    grpc_server *s;

    if (!rc && w->service_count == MAX_SERVICES)
        rc = error_set(err, ORCH_E_RESOURCE_EXHAUSTED, c->endpoint,
                       "%d services listen already, which is the limit", MAX_SERVICES);
    if (rc)
        return rc;
    s = grpc_server_new(w->net, &options);
    if (!s)
        return error_no_memory(err);
    rc = c->add(c->ctx, s, err);
    if (!rc)
        rc = add_companions(w, s, c->endpoint, err);
    if (!rc)
        rc = grpc_server_listen(s, transport_grpc_address(c->endpoint), w->server, &c->port, err);
    if (!rc) {
        w->services[w->service_count++] = s;
        return 0;
    }
    while (w->server_count > servers)
        remove_companions(&w->companions[--w->server_count]);
    grpc_server_stop(s, 0, ignore, NULL);
    return rc;
}

static void on_serve(command *c, runtime *rt)
{
    wire_command *w = (wire_command *)c;

    w->base.code = serve(w, rt);
    sem_post(&w->base.done);
}

int32_t runtime_serve(runtime *rt, const char *endpoint,
                      int32_t (*add)(void *ctx, grpc_server *s, orch_error **err), void *ctx,
                      uint16_t *port, orch_error **err)
{
    wire_command c = {.endpoint = endpoint, .add = add, .ctx = ctx};
    int32_t rc = runtime_ask(rt, &c.base, on_serve, err);

    if (!rc && port)
        *port = c.port;
    return rc;
}

int32_t runtime_dial(runtime *rt, const char *to, grpc_channel **out, orch_error **err)
{
    grpc_channel_options options = {0};
    endpoint checked;
    int32_t rc = begin(rt, err);

    if (!rc) /* with a port, which gRPC would not ask for */
        rc = endpoint_parse(transport_grpc_address(to), -1, &checked, err);
    if (rc)
        return rc;
    options.tls = rt->wires->client;
    options.log = rt->log;
    return grpc_channel_new(rt->wires->net, transport_grpc_address(to), &options, out, err);
}
