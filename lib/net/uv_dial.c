/* Opening a connection: the name is looked up, then its addresses are tried one after the other, each for its share of
 * the time that is left. */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "net/net_uv_impl.h"

/* Outlives the connection if that is closed while libuv still has a request. */
typedef struct dial {
    uv_conn *conn; /* NULL: closed */
    net_uv *net;
    endpoint to;
    uv_getaddrinfo_t lookup;
    uv_connect_t connect;
    struct addrinfo *found, *next;
    net_timer timer;
    int64_t deadline_ns;
    bool timed_out; /* the attempt that is under way */
    unsigned requests;
    int last;
} dial;

static void try_next(dial *d);

static void finish(dial *d)
{
    net_timer_stop(&d->net->loop, &d->timer);
    if (d->conn)
        d->conn->dial = NULL;
    d->conn = NULL;
    if (d->requests)
        return;
    if (d->found)
        uv_freeaddrinfo(d->found);
    net_uv_child_gone(d->net);
    mem_free(d);
}

void dial_cancel(dial *d)
{
    d->conn = NULL;
    if (d->lookup.data)
        uv_cancel((uv_req_t *)&d->lookup);
    finish(d);
}

static void fail(dial *d, const char *what, const char *why)
{
    char where[300];

    endpoint_authority(&d->to, where, sizeof where);
    uv_conn_fail(d->conn, ORCH_E_UNAVAILABLE, "%s %s: %s", what, d->to.path[0] ? d->to.path : where,
                 why);
    finish(d);
}

static void fail_connect(dial *d)
{
    if (d->net->loop.now_ns >= d->deadline_ns)
        fail(d, "cannot connect to", "it took too long");
    else
        fail(d, "cannot connect to", uv_strerror(d->last));
}

/* ---- one attempt ------------------------------------------------------------------------------------------------ */

static void on_handle_closed(uv_handle_t *handle)
{
    uv_conn *c = handle->data;
    dial *d = c->dial;

    c->no_handle = true;
    if (c->closing)
        uv_conn_free(c);
    else
        try_next(d);
}

static void on_connect(uv_connect_t *request, int status)
{
    dial *d = request->data;
    uv_conn *c = d->conn;

    net_uv_tick(d->net);
    d->requests--;
    if (!c) {
        finish(d);
        return;
    }
    if (status && d->timed_out)
        return; /* on_timer closes the socket, and goes on */
    net_timer_stop(&d->net->loop, &d->timer);
    if (status) {
        d->last = status;
        uv_close(&c->uv.handle, on_handle_closed);
        return;
    }
    finish(d);
    uv_conn_start(c);
}

static void on_timer(net_timer *t)
{
    dial *d = (dial *)(void *)((char *)t - offsetof(dial, timer));

    d->last = UV_ETIMEDOUT;
    if (d->conn->no_handle) { /* the name is still looked up */
        fail(d, "cannot look up", "it took too long");
        return;
    }
    d->timed_out = true;
    uv_close(&d->conn->uv.handle, on_handle_closed);
}

static unsigned addresses_left(const dial *d)
{
    unsigned count = 1;

    for (const struct addrinfo *a = d->next; a; a = a->ai_next)
        count++;
    return count;
}

static bool arm(dial *d)
{
    int64_t now = d->net->loop.now_ns;
    int64_t left = d->deadline_ns - now;

    d->timed_out = false;
    return left > 0 && net_timer_set(&d->net->loop, &d->timer, now + left / addresses_left(d));
}

static void started(dial *d, int rc)
{
    uv_conn *c = d->conn;

    c->no_handle = false;
    c->uv.handle.data = c;
    if (rc) {
        d->last = rc;
        uv_close(&c->uv.handle, on_handle_closed);
        return;
    }
    d->requests++;
}

static void try_path(dial *d)
{
    uv_conn *c = d->conn;

    if (!arm(d) || uv_pipe_init(d->net->uv, &c->uv.pipe, 0) != 0) {
        fail_connect(d);
        return;
    }
    d->connect.data = d;
    uv_pipe_connect(&d->connect, &c->uv.pipe, d->to.path, on_connect); /* tells errors later */
    started(d, 0);
}

static void try_next(dial *d)
{
    uv_conn *c = d->conn;
    const struct addrinfo *address = d->next;

    if (!address || uv_tcp_init(d->net->uv, &c->uv.tcp) != 0) {
        fail_connect(d);
        return;
    }
    d->next = address->ai_next;
    if (!arm(d)) {
        d->last = UV_ETIMEDOUT;
        started(d, UV_ETIMEDOUT);
        d->next = NULL;
        return;
    }
    d->connect.data = d;
    started(d, uv_tcp_connect(&d->connect, &c->uv.tcp, address->ai_addr, on_connect));
}

/* ---- the name --------------------------------------------------------------------------------------------------- */

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    dial *d = request->data;

    net_uv_tick(d->net);
    d->requests--;
    d->lookup.data = NULL;
    if (!status)
        d->found = d->next = found;
    if (!d->conn) {
        finish(d);
        return;
    }
    net_timer_stop(&d->net->loop, &d->timer);
    if (status)
        fail(d, "cannot look up", uv_strerror(status));
    else
        try_next(d);
}

static void look_up(dial *d)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    int rc;

    snprintf(port, sizeof port, "%u", (unsigned)d->to.port);
    d->lookup.data = d;
    rc = arm(d) ? uv_getaddrinfo(d->net->uv, &d->lookup, on_found, d->to.host, port, &hints)
                : UV_ETIMEDOUT;
    if (rc) {
        d->lookup.data = NULL;
        fail(d, "cannot look up", uv_strerror(rc));
        return;
    }
    d->requests++;
}

conn *net_uv_dial(net_uv *n, const endpoint *to, tls_context *tls, const char *server_name,
                  int64_t timeout_ns, const conn_handler *handler, void *ctx)
{
    dial *d = mem_zalloc(sizeof *d);
    uv_conn *c = d ? uv_conn_new(n, tls, server_name) : NULL;

    if (!c) {
        mem_free(d);
        return NULL;
    }
    c->base.handler = handler;
    c->base.ctx = ctx;
    c->dial = d;
    d->conn = c;
    d->net = n;
    d->to = *to;
    d->deadline_ns = n->loop.now_ns + timeout_ns;
    d->last = UV_EADDRNOTAVAIL;
    net_timer_init(&d->timer, on_timer);
    n->children++;
    if (to->path[0])
        try_path(d);
    else
        look_up(d);
    return &c->base;
}
