/* The two ends of a hand-over's call. The orchestrator is the client; it has half-closed when it is done with the hand-over, and the
 * engine finishes the call when it is. Whatever else ends the call is a break. */
#include "base/error.h"
#include "base/mem.h"
#include "transport/grpc/grpc_transport_impl.h"

#define QUEUE_MAX 64 /* messages of one channel that were not delivered: the other end waits */
#define LINGER_NS INT64_C(10000000000)

/* ---- what comes ------------------------------------------------------------------------------------------ */

static void broken(grpc_end *e)
{
    delivery_finish(&e->base, ORCH_E_UNAVAILABLE);
}

static void on_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    grpc_end *e = ctx;
    orch_error *error = NULL;
    message *m = NULL;

    if (wire_receive(&e->reader, data, len, &m, &error)) {
        if (e->transport->options.log)
            log_write(e->transport->options.log, ORCH_LOG_ERROR, "%s: %s", grpc_call_peer(c),
                      orch_error_message(error));
        if (e->is_server)
            grpc_finish(c, orch_error_code(error), orch_error_message(error));
        else
            grpc_cancel(c);
        broken(e);
    } else if (m) {
        delivery_put(&e->base, m);
    }
    orch_error_free(error);
    if (e->base.count >= QUEUE_MAX && !e->is_paused) {
        e->is_paused = true;
        grpc_pause(c);
    }
}

static void on_half_closed(void *ctx, grpc_call *c)
{
    (void)c;
    delivery_finish(&((grpc_end *)ctx)->base, 0);
}

/* A client: the engine let go of it, or the connection broke. A server is told of the former by half_closed. */
static void on_closed(void *ctx, grpc_call *c, int32_t code, const char *text)
{
    grpc_end *e = ctx;

    (void)text;
    e->call = NULL;
    if (!e->is_server && code == 0)
        delivery_finish(&e->base, 0);
    else if (!e->is_server && !grpc_call_has_left(c))
        delivery_finish(&e->base, ORCH_E_NOT_FOUND);
    else
        broken(e);
}

const grpc_call_handler grpc_end_handler = {
    .message = on_message,
    .half_closed = on_half_closed,
    .closed = on_closed,
};

static void taken(delivery_end *d)
{
    grpc_end *e = (grpc_end *)d;

    if (!e->is_paused || e->base.count > QUEUE_MAX / 2)
        return;
    e->is_paused = false;
    if (e->call)
        grpc_resume(e->call);
}

/* ---- what goes ------------------------------------------------------------------------------------------- */

/* Without memory the channel breaks: what was to be said is said again once it is there. */
static void end_send(channel *c, message *m)
{
    grpc_end *e = (grpc_end *)c;
    wire_writer *w = &e->transport->writer;
    const void *data;
    size_t len;

    if (e->call && wire_write(w, m, WIRE_PART_BYTES)) {
        grpc_cancel(e->call);
        broken(e);
    } else if (e->call) {
        while (wire_next(w, WIRE_PART_BYTES, &data, &len))
            grpc_send(e->call, data, len);
    }
    message_free(m);
}

/* ---- ends that are closed, and whose calls are not ------------------------------------------------------- */

typedef struct lingering {
    list node;
    grpc_transport *transport;
    grpc_call *call;
    int64_t until_ns;
} lingering;

static void linger_closed(void *ctx, grpc_call *c, int32_t code, const char *text)
{
    lingering *l = ctx;

    (void)c;
    (void)code;
    (void)text;
    list_remove(&l->node);
    mem_free(l);
}

static const grpc_call_handler linger_handler = {.closed = linger_closed};

void grpc_end_on_linger(net_timer *timer)
{
    grpc_transport *t = LIST_ENTRY(timer, grpc_transport, linger);
    net_loop *loop = net_uv_loop(t->net);

    for (list *it = t->lingering.next; it != &t->lingering; it = it->next) {
        lingering *l = LIST_ENTRY(it, lingering, node);

        if (l->until_ns > loop->now_ns) {
            net_timer_set(loop, &t->linger, l->until_ns);
            return;
        }
        grpc_cancel(l->call); /* closed() takes it out, later */
    }
}

/* The other end has a while to end the call. */
static void linger(grpc_transport *t, grpc_call *c)
{
    net_loop *loop = net_uv_loop(t->net);
    lingering *l = mem_alloc(sizeof *l);

    grpc_call_set_handler(c, l ? &linger_handler : NULL, l);
    if (!l) {
        grpc_cancel(c);
        return;
    }
    *l = (lingering){.transport = t, .call = c, .until_ns = loop->now_ns + LINGER_NS};
    if (list_empty(&t->lingering))
        net_timer_set(loop, &t->linger, l->until_ns);
    list_push(&t->lingering, &l->node);
}

/* The transport goes before them: they end with their channels and servers. */
void grpc_ends_free(grpc_transport *t)
{
    list *node;

    net_timer_stop(net_uv_loop(t->net), &t->linger);
    while ((node = list_pop(&t->lingering))) {
        lingering *l = LIST_ENTRY(node, lingering, node);

        grpc_call_set_handler(l->call, NULL, NULL);
        mem_free(l);
    }
    while (!list_empty(&t->delivery.ready)) /* only ends that nobody has accepted can be left */
        channel_close(&LIST_ENTRY(t->delivery.ready.next, delivery_end, node)->base);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void end_close(channel *c)
{
    grpc_end *e = (grpc_end *)c;
    grpc_call *call = e->call;

    delivery_close(&e->base);
    if (call) {
        if (e->is_server)
            grpc_finish(call, 0, NULL);
        else
            grpc_half_close(call);
        if (e->is_paused)
            grpc_resume(call);
        linger(e->transport, call);
    }
    wire_reader_free(&e->reader);
    mem_free(e);
}

static bool accept_end(delivery_end *d)
{
    grpc_end *e = (grpc_end *)d;
    grpc_listener *l = e->listener;

    e->listener = NULL;
    if (l) {
        l->accepted(l->ctx, &d->base);
        return true;
    }
    if (e->call)
        grpc_finish(e->call, ORCH_E_UNAVAILABLE, "the engine is gone");
    end_close(&d->base);
    return false;
}

static const channel_ops ends_ops = {sizeof(channel_ops), end_send, end_close, false};
static const delivery_hooks ends_hooks = {accept_end, taken};

grpc_end *grpc_end_new(grpc_transport *t, bool is_server)
{
    grpc_end *e = mem_zalloc(sizeof *e);

    if (!e)
        return NULL;
    delivery_end_init(&e->base, &t->delivery, &ends_ops, &ends_hooks);
    e->transport = t;
    e->is_server = is_server;
    e->reader.to_engine = is_server;
    return e;
}

/* A call came to an engine. */
void grpc_end_begin(void *ctx, grpc_call *c)
{
    grpc_listener *l = ctx;
    grpc_end *e = grpc_end_new(l->transport, true);

    if (!e) {
        grpc_finish(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
        return;
    }
    e->call = c;
    e->listener = l;
    e->base.unaccepted = true;
    grpc_call_set_handler(c, &grpc_end_handler, e);
    delivery_wake(&e->base);
}

void grpc_end_unlisten(grpc_transport *t, const grpc_listener *l)
{
    LIST_EACH(it, &t->delivery.ready)
    {
        grpc_end *e = (grpc_end *)LIST_ENTRY(it, delivery_end, node);

        if (e->listener == l)
            e->listener = NULL;
    }
}
