/* A server: methods, listeners, connections, and its end. */
#include "grpc/call_impl.h"

#include "base/error.h"
#include "grpc/server_impl.h"

#define SECOND INT64_C(1000000000)

/* ---- methods ------------------------------------------------------------------------------------------------------------- */

method *server_find(const grpc_server *s, const char *path, size_t len)
{
    method *m;

    HASH_FIND(hh, s->methods, path, len, m);
    return m;
}

int32_t grpc_server_add(grpc_server *s, const char *path, void (*begin)(void *ctx, grpc_call *c),
                        void *ctx, orch_error **err)
{
    size_t len = strlen(path);
    method *m;

    if (server_find(s, path, len))
        return error_set(err, ORCH_E_ALREADY_EXISTS, path, "method '%s' is there already", path);
    m = mem_zalloc(sizeof *m + len + 1);
    if (!m)
        return error_no_memory(err);
    m->begin = begin;
    m->ctx = ctx;
    m->len = len;
    memcpy(m->path, path, len + 1);
    HASH_ADD(hh, s->methods, path, len, m);
    if (map_added(m->hh))
        return 0;
    mem_free(m);
    return error_no_memory(err);
}

/* ---- the end ---------------------------------------------------------------------------------------------------------------- */

static void gone(net_task *t)
{
    grpc_server *s = LIST_ENTRY(t, grpc_server, gone);
    method *m, *next;

    net_timer_stop(s->loop, &s->grace);
    HASH_ITER(hh, s->methods, m, next)
    {
        HASH_DELETE(hh, s->methods, m);
        mem_free(m);
    }
    if (s->done)
        s->done(s->done_ctx);
    mem_free(s);
}

static void look_for_end(grpc_server *s)
{
    if (s->stopping && !s->conn_count)
        net_defer(s->loop, &s->gone);
}

/* ---- connections -------------------------------------------------------------------------------------------------------------- */

static void conn_free_if_done(server_conn *c)
{
    grpc_server *s = c->server;

    if (!c->closed || !list_empty(&c->calls))
        return;
    list_remove(&c->node);
    s->conn_count--;
    mem_free(c);
    look_for_end(s);
}

void server_call_released(server_conn *c)
{
    grpc_server *s = c->server;

    s->call_count--;
    if (list_empty(&c->calls))
        c->idle_since_ns = s->loop->now_ns;
    if (!c->closed && c->goodbye && list_empty(&c->calls))
        h2_link_wake(&c->link); /* whose session may be over now */
    conn_free_if_done(c);
}

void server_conn_close(server_conn *c)
{
    if (c->closed)
        return;
    net_timer_stop(c->server->loop, &c->handshake);
    server_life_stop(c);
    h2_link_close(&c->link);
    c->closed = true;
    conn_free_if_done(c);
}

static void on_handshake(net_timer *t)
{
    server_conn *c = LIST_ENTRY(t, server_conn, handshake);

    grpc_note(&c->server->notes, "connection from %s: it was not one of HTTP/2 after %d s",
              conn_peer(c->link.conn), (int)(c->server->options.handshake_ns / SECOND));
    server_conn_close(c);
}

static void on_opened(h2_link *l)
{
    (void)l;
}

/* That a client is gone is nothing to be told. */
static void on_ended(h2_link *l, int32_t code, const char *message)
{
    server_conn *c = (server_conn *)(void *)l;

    if (code && (code == ORCH_E_INTERNAL || !c->settled))
        grpc_note(&c->server->notes, "connection from %s: %s", conn_peer(l->conn), message);
    server_conn_close(c);
}

void server_conn_settled(void *ctx)
{
    server_conn *c = ctx;

    c->settled = true;
    net_timer_stop(c->server->loop, &c->handshake);
}

void server_accept(grpc_server *s, conn *connection)
{
    static const h2_link_handler handler = {on_opened, on_ended};
    static const conn_handler nobody;
    h2_options o = {.server = true,
                    .max_streams = s->options.max_streams,
                    .max_header_bytes = s->options.max_header_bytes,
                    .window = 256 * 1024};
    server_conn *c = s->conn_count < s->options.max_connections ? mem_zalloc(sizeof *c) : NULL;
    h2 *session = c ? h2_new(&o, s->loop, &server_call_handler, c) : NULL;

    if (!session) {
        grpc_note(&s->notes, "connection from %s: refused, %s", conn_peer(connection),
                  c || s->conn_count < s->options.max_connections
                      ? "there is no memory"
                      : "there are as many as there may be");
        mem_free(c);
        connection->handler = &nobody;
        conn_close(connection);
        return;
    }
    c->server = s;
    list_init(&c->calls);
    net_timer_init(&c->handshake, on_handshake);
    net_timer_set(s->loop, &c->handshake, s->loop->now_ns + s->options.handshake_ns);
    h2_link_init(&c->link, s->loop, connection, session, &handler);
    server_life_start(c);
    list_push(&s->conns, &c->node);
    s->conn_count++;
}

static void accepted(void *ctx, conn *connection)
{
    const listening *l = ctx;

    server_accept(l->server, connection);
}

/* ---- a server ------------------------------------------------------------------------------------------------------------------- */

static void on_grace(net_timer *t)
{
    grpc_server *s = LIST_ENTRY(t, grpc_server, grace);

    for (list *it = s->conns.next, *next; it != &s->conns; it = next) {
        next = it->next;
        server_conn_close(LIST_ENTRY(it, server_conn, node));
    }
}

static void set_defaults(grpc_server_options *o)
{
    if (!o->max_message_bytes)
        o->max_message_bytes = GRPC_MAX_MESSAGE;
    if (!o->max_header_bytes)
        o->max_header_bytes = GRPC_MAX_HEADERS;
    if (!o->max_streams)
        o->max_streams = 1024;
    if (!o->max_connections)
        o->max_connections = 10000;
    if (!o->max_calls)
        o->max_calls = 100000;
    if (!o->handshake_ns)
        o->handshake_ns = 20 * SECOND;
    if (!o->keepalive_ns)
        o->keepalive_ns = 7200 * SECOND;
    if (!o->keepalive_timeout_ns)
        o->keepalive_timeout_ns = 20 * SECOND;
    if (!o->min_ping_ns)
        o->min_ping_ns = 300 * SECOND;
}

grpc_server *grpc_server_new(net_uv *net, const grpc_server_options *o)
{
    grpc_server *s = mem_zalloc(sizeof *s);

    if (!s)
        return NULL;
    s->net = net;
    s->loop = net_uv_loop(net);
    if (o)
        s->options = *o;
    set_defaults(&s->options);
    s->notes = (grpc_notes){.log = s->options.log, .loop = s->loop};
    list_init(&s->conns);
    net_timer_init(&s->grace, on_grace);
    net_task_init(&s->gone, gone);
    return s;
}

int32_t grpc_server_listen(grpc_server *s, const char *at, tls_context *tls, uint16_t *port,
                           orch_error **err)
{
    listening *l = &s->listeners[s->listener_count];
    endpoint e;
    int32_t rc = endpoint_parse(at, -1, &e, err);

    if (rc)
        return rc;
    if (s->listener_count == MAX_LISTENERS)
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, at,
                         "a server listens at no more than %d endpoints", MAX_LISTENERS);
    l->server = s;
    rc = net_uv_listen(s->net, &e, tls, accepted, l, &l->listener, port, err);
    if (!rc)
        s->listener_count++;
    return rc;
}

void grpc_server_stop(grpc_server *s, int64_t grace_ns, void (*done)(void *ctx), void *ctx)
{
    s->stopping = true;
    s->done = done;
    s->done_ctx = ctx;
    for (unsigned i = 0; i < s->listener_count; i++)
        net_listener_close(s->listeners[i].listener);
    for (list *it = s->conns.next; it != &s->conns; it = it->next)
        if (!LIST_ENTRY(it, server_conn, node)->closed)
            server_say_goodbye(LIST_ENTRY(it, server_conn, node), "stopping");
    net_timer_set(s->loop, &s->grace, s->loop->now_ns + grace_ns);
    look_for_end(s);
}
