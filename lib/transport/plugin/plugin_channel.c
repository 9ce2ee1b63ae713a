/* The library's end of a channel of a host's transport. Both sides end it once: the library by the transport's close, the transport by
 * orch_channel_closed. It is freed after both, and after whoever has it here has let it go. */
#include "base/error.h"
#include "base/mem.h"
#include "transport/plugin/plugin_impl.h"

#define CHANNELS_MAX (1U << 20)
/* Messages that the transport does not take: an end that is not heard for so long is as good as lost. */
#define WAITING_MAX  65536

/* ---- life ------------------------------------------------------------------------------------------------ */

orch_channel *plugin_channel_new(orch_transport *t, void *state, bool is_server)
{
    orch_channel *c = mem_zalloc(sizeof *c);

    if (!c)
        return NULL;
    delivery_end_init(&c->base, &t->delivery, &plugin_channel_ops, &plugin_channel_hooks);
    c->base.unaccepted = is_server;
    c->reader.to_engine = is_server;
    c->transport = t;
    c->state = state;
    list_init(&c->node);
    list_init(&c->touched);
    return c;
}

bool plugin_channel_add(orch_channel *c)
{
    orch_transport *t = c->transport;

    if (t->count >= CHANNELS_MAX)
        return false;
    t->count++;
    list_push(&t->channels, &c->node);
    if (c->base.unaccepted)
        list_push(&t->touched, &c->touched);
    return true;
}

static void drop_waiting(orch_channel *c)
{
    while (c->first) {
        message *m = c->first;

        c->first = m->next;
        message_free(m);
    }
    c->last = NULL;
    c->waiting = 0;
    c->piece = NULL;
    wire_writer_free(&c->writer);
}

void plugin_channel_free(orch_channel *c)
{
    orch_transport *t = c->transport;

    pthread_mutex_lock(&t->lock);
    if (!list_empty(&c->node))
        t->count--;
    list_remove(&c->node);
    list_remove(&c->touched);
    plugin_drop_incoming(c);
    pthread_mutex_unlock(&t->lock);
    delivery_close(&c->base);
    drop_waiting(c);
    wire_reader_free(&c->reader);
    mem_free(c);
}

void plugin_channel_release(orch_channel *c)
{
    if (c->is_left && c->is_closed && c->is_gone)
        plugin_channel_free(c);
}

void plugin_channel_end(orch_channel *c, int32_t code)
{
    orch_transport *t = c->transport;

    if (c->is_closed)
        return;
    c->is_closed = true;
    drop_waiting(c);
    pthread_mutex_lock(&t->lock);
    c->is_refusing = true;
    plugin_drop_incoming(c);
    pthread_mutex_unlock(&t->lock);
    t->ops.close(c->state, code);
}

void plugin_channel_finish(orch_channel *c, int32_t code)
{
    if (!c->is_left)
        delivery_finish(&c->base, code);
}

void plugin_channel_break(orch_channel *c)
{
    plugin_channel_end(c, ORCH_E_UNAVAILABLE);
    plugin_channel_finish(c, ORCH_E_UNAVAILABLE);
}

/* ---- what goes ------------------------------------------------------------------------------------------- */

static size_t part_bytes(const orch_transport *t)
{
    return t->port.max_message_bytes - WIRE_PART_OVERHEAD;
}

static message *take_first(orch_channel *c)
{
    message *m = c->first;

    c->first = m->next;
    if (!c->first)
        c->last = NULL;
    c->waiting--;
    return m;
}

/* False: there is nothing to send, or it broke: without memory what was to be said is said again once it is there. */
static bool next_piece(orch_channel *c)
{
    size_t bytes = part_bytes(c->transport);

    while (!c->piece && !wire_next(&c->writer, bytes, &c->piece, &c->piece_len)) {
        message *m = c->first ? take_first(c) : NULL;
        int32_t rc = m ? wire_write(&c->writer, m, bytes) : 0;

        message_free(m);
        if (rc)
            plugin_channel_break(c);
        if (!m || rc)
            return false;
    }
    return true;
}

void plugin_channel_flush(orch_channel *c)
{
    const orch_transport *t = c->transport;

    while (!c->is_blocked && !c->is_closed && !c->is_gone && next_piece(c)) {
        int32_t rc = t->ops.send(c->state, c->piece, c->piece_len);

        if (!rc)
            c->piece = NULL;
        else if (rc == ORCH_E_RESOURCE_EXHAUSTED)
            c->is_blocked = true;
        else
            plugin_channel_break(c);
    }
    if (c->is_left && !c->piece && !c->first)
        plugin_channel_end(c, 0);
}

static void channel_send_one(channel *base, message *m)
{
    orch_channel *c = (orch_channel *)base;

    if (c->is_closed || c->is_gone) {
        message_free(m);
        return;
    }
    m->next = NULL;
    if (c->last)
        c->last->next = m;
    else
        c->first = m;
    c->last = m;
    if (++c->waiting > WAITING_MAX)
        plugin_channel_break(c);
    else
        plugin_channel_flush(c);
}

/* ---- its handler's side ---------------------------------------------------------------------------------- */

static void channel_leave(channel *base)
{
    orch_channel *c = (orch_channel *)base;

    delivery_close(&c->base);
    c->is_left = true;
    if (c->is_gone)
        plugin_channel_end(c, 0);
    else
        plugin_channel_flush(c); /* and ends it, now or once the transport takes what waits */
    plugin_channel_release(c);
}

static bool accept_channel(delivery_end *e)
{
    orch_channel *c = (orch_channel *)e;
    plugin_listener *l = c->listener;

    c->listener = NULL;
    if (l) {
        l->accepted(l->ctx, &e->base);
        return true;
    }
    plugin_channel_end(c, ORCH_E_UNAVAILABLE);
    channel_leave(&e->base);
    return false;
}

/* What is behind it may be another process. */
const channel_ops plugin_channel_ops = {sizeof(channel_ops), channel_send_one, channel_leave,
                                        false};
const delivery_hooks plugin_channel_hooks = {accept_channel, NULL};
