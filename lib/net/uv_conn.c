/* A connection over a TCP or Unix socket, with TLS on it or not. */
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "net/net_uv_impl.h"
#include "base/unconst.h"

#define LINGER_NS \
    INT64_C(1000000000) /* for what was sent last to leave, and for the other end to close */

/* ---- the end ------------------------------------------------------------------------------------------------- */

void uv_conn_free(uv_conn *c)
{
    net_uv *n = c->net;

    tls_free(c->tls);
    buf_free(&c->writing);
    buf_free(&c->pending);
    mem_free(c);
    net_uv_child_gone(n);
}

static void on_closed(uv_handle_t *handle)
{
    uv_conn_free(handle->data);
}

static void destroy(uv_conn *c)
{
    net_task_cancel(&c->report);
    net_timer_stop(&c->net->loop, &c->linger);
    if (c->no_handle)
        uv_conn_free(c);
    else if (!uv_is_closing(&c->uv.handle))
        uv_close(&c->uv.handle, on_closed);
}

static void on_linger(net_timer *t)
{
    destroy((uv_conn *)(void *)((char *)t - offsetof(uv_conn, linger)));
}

/* Told from a turn of its own, never from within a call of the user's. */
static void report(net_task *t)
{
    uv_conn *c = (uv_conn *)(void *)((char *)t - offsetof(uv_conn, report));

    c->base.handler->closed(c->base.ctx, c->code, c->message);
}

void uv_conn_fail(uv_conn *c, int32_t code, const char *format, ...)
{
    va_list args;

    if (c->failed || c->closing)
        return;
    c->failed = true;
    c->code = code;
    va_start(args, format);
    vsnprintf(c->message, sizeof c->message, format, args);
    va_end(args);
    if (!c->no_handle)
        uv_read_stop(&c->uv.stream);
    net_defer(&c->net->loop, &c->report);
}

/* ---- sending --------------------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *write, int status);

static void write_pending(uv_conn *c)
{
    uv_buf_t data;
    buf swap = c->writing;
    int rc;

    c->writing = c->pending;
    c->pending = swap;
    buf_clear(&c->pending);
    data = uv_buf_init(c->writing.data, (unsigned)c->writing.len);
    rc = uv_write(&c->write, &c->uv.stream, &data, 1, on_written);
    if (rc)
        uv_conn_fail(c, ORCH_E_UNAVAILABLE, "%s", uv_strerror(rc));
    else
        c->is_writing = true;
}

static void on_shut(uv_shutdown_t *shutdown, int status)
{
    uv_conn *c = shutdown->data;

    if (status && status != UV_ECANCELED)
        destroy(c);
}

/* All that was to be sent has left: say that nothing follows. */
static void shut(uv_conn *c)
{
    c->shutdown.data = c;
    if (uv_shutdown(&c->shutdown, &c->uv.stream, on_shut) != 0)
        destroy(c);
}

static void on_written(uv_write_t *write, int status)
{
    uv_conn *c = write->data;

    net_uv_tick(c->net);
    c->is_writing = false;
    if (uv_is_closing(&c->uv.handle))
        return;
    if (status && c->closing) {
        destroy(c);
    } else if (status) {
        uv_conn_fail(c, ORCH_E_UNAVAILABLE, "%s", uv_strerror(status));
    } else if (c->pending.len) {
        write_pending(c);
    } else {
        buf_free(&c->writing);
        buf_free(&c->pending);
        if (c->closing) {
            shut(c);
        } else if (c->told_full && !c->failed) {
            c->told_full = false;
            c->base.handler->drained(c->base.ctx);
        }
    }
}

static bool send_wire(uv_conn *c, const void *data, size_t len)
{
    uv_buf_t part = uv_buf_init(unconst(data), (unsigned)len);
    int done = 0;

    if (!c->is_writing) {
        done = uv_try_write(&c->uv.stream, &part, 1);
        if (done == UV_EAGAIN)
            done = 0;
        if (done < 0) {
            uv_conn_fail(c, ORCH_E_UNAVAILABLE, "%s", uv_strerror(done));
            return true;
        }
        if ((size_t)done == len)
            return true;
    }
    buf_add(&c->pending, (const char *)data + done, len - (size_t)done);
    if (c->pending.failed) {
        uv_conn_fail(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
        return true;
    }
    if (!c->is_writing)
        write_pending(c);
    c->told_full = true;
    return false;
}

static bool send_tls_wire(uv_conn *c)
{
    buf *wire = &c->net->wire;
    bool all = !wire->len || send_wire(c, wire->data, wire->len);

    buf_clear(wire);
    return all;
}

static bool conn_uv_send(conn *base, const uint8_t *data, size_t len)
{
    uv_conn *c = (uv_conn *)(void *)base;

    if (c->failed || !len)
        return true;
    if (!c->tls)
        return send_wire(c, data, len);
    if (!tls_write(c->tls, data, len, &c->net->wire)) {
        buf_clear(&c->net->wire);
        uv_conn_fail(c, ORCH_E_UNAVAILABLE, "%s", tls_error(c->tls));
        return true;
    }
    return send_tls_wire(c);
}

/* ---- receiving -------------------------------------------------------------------------------------------------- */

static void tell_opened(uv_conn *c)
{
    c->opened = true;
    c->base.handler->opened(c->base.ctx);
}

static void read_tls(uv_conn *c)
{
    for (;;) {
        int n = tls_read(c->tls, c->net->plain, NET_READ_BYTES, &c->net->wire);

        send_tls_wire(c);
        if (!c->opened && tls_ready(c->tls) && n != TLS_FAILED)
            tell_opened(c);
        if (c->failed || c->closing || n == TLS_AGAIN)
            return;
        if (n < 0) {
            uv_conn_fail(c, n == TLS_CLOSED ? 0 : ORCH_E_UNAVAILABLE, "%s",
                         n == TLS_CLOSED ? "the other end closed the connection"
                                         : tls_error(c->tls));
            return;
        }
        c->base.handler->read(c->base.ctx, c->net->plain, (size_t)n);
        if (c->failed || c->closing)
            return;
    }
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    const uv_conn *c = handle->data;

    (void)size;
    *out = uv_buf_init((char *)c->net->input, NET_READ_BYTES);
}

static void take(uv_conn *c, ssize_t n, const uv_buf_t *data)
{
    if (c->closing) {
        if (n < 0)
            destroy(c);
        return;
    }
    if (n == UV_EOF && c->tls && !c->opened)
        uv_conn_fail(c, ORCH_E_UNAVAILABLE,
                     "TLS: the other end closed the connection in the handshake");
    else if (n == UV_EOF)
        uv_conn_fail(c, 0, "the other end closed the connection");
    else if (n < 0)
        uv_conn_fail(c, ORCH_E_UNAVAILABLE, "%s", uv_strerror((int)n));
    else if (!c->tls)
        c->base.handler->read(c->base.ctx, (const uint8_t *)data->base, (size_t)n);
    else {
        tls_feed(c->tls, (const uint8_t *)data->base, (size_t)n);
        read_tls(c);
    }
}

/* libuv reads on while there is something: what came has a turn of its own, so that its answers leave before. */
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *data)
{
    uv_conn *c = stream->data;
    net_uv *net = c->net;

    if (n == 0)
        return;
    net_uv_tick(net);
    take(c, n, data);
    net_uv_turn(net);
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

static void conn_uv_close(conn *base)
{
    uv_conn *c = (uv_conn *)(void *)base;

    c->closing = true;
    net_task_cancel(&c->report);
    if (c->dial)
        dial_cancel(c->dial);
    c->dial = NULL;
    if (c->failed || c->no_handle || !c->opened) {
        destroy(c);
        return;
    }
    if (c->tls) {
        tls_goodbye(c->tls, &c->net->wire);
        send_tls_wire(c);
    }
    if (!net_timer_set(&c->net->loop, &c->linger, c->net->loop.now_ns + LINGER_NS))
        destroy(c);
    else if (!c->is_writing)
        shut(c);
}

static const char *conn_uv_peer(conn *base)
{
    return ((uv_conn *)(void *)base)->peer;
}

static const conn_ops ops = {sizeof ops, conn_uv_send, conn_uv_close, conn_uv_peer};

uv_conn *uv_conn_new(net_uv *n, tls_context *context, const char *server_name)
{
    uv_conn *c = mem_zalloc(sizeof *c);

    if (!c)
        return NULL;
    if (context && !(c->tls = tls_new(context, server_name, n->loop.now_ns))) {
        mem_free(c);
        return NULL;
    }
    c->base.ops = &ops;
    c->net = n;
    c->no_handle = true;
    c->write.data = c;
    c->uv.handle.data = c;
    net_task_init(&c->report, report);
    net_timer_init(&c->linger, on_linger);
    n->children++;
    return c;
}

static void name_peer(uv_conn *c)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    char ip[46] = "";

    if (c->uv.handle.type != UV_TCP) {
        snprintf(c->peer, sizeof c->peer, "unix:");
        return;
    }
    if (uv_tcp_getpeername(&c->uv.tcp, (struct sockaddr *)&address, &len) != 0)
        return;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)&address;

        uv_ip4_name(in, ip, sizeof ip);
        snprintf(c->peer, sizeof c->peer, "%s:%d", ip, ntohs(in->sin_port));
    } else {
        const struct sockaddr_in6 *in6 = (const void *)&address;

        uv_ip6_name(in6, ip, sizeof ip);
        snprintf(c->peer, sizeof c->peer, "[%s]:%d", ip, ntohs(in6->sin6_port));
    }
}

void uv_conn_start(uv_conn *c)
{
    int rc;

    if (c->uv.handle.type == UV_TCP)
        uv_tcp_nodelay(&c->uv.tcp, 1);
    name_peer(c);
    rc = uv_read_start(&c->uv.stream, on_alloc, on_read);
    if (rc)
        uv_conn_fail(c, ORCH_E_UNAVAILABLE, "%s", uv_strerror(rc));
    else if (!c->tls)
        tell_opened(c);
    else {
        tls_feed(c->tls, NULL, 0);
        read_tls(c);
    }
}
