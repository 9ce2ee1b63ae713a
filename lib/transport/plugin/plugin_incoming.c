/* What a host's transport says, on whatever thread: it is put down at the channel, which then stands in the transport's list until the loop
 * comes to it. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "transport/plugin/plugin_impl.h"

#define QUEUE_MAX 64 /* messages of one channel that the loop has not taken */

/* ---- threads of the transport ---------------------------------------------------------------------------- */

/* With the lock held. */
static void touch(orch_channel *c)
{
    if (list_empty(&c->touched))
        list_push(&c->transport->touched, &c->touched);
}

/* What the channel has to say to this message; is told again where it was only asked. */
static int32_t check(orch_channel *c, size_t len)
{
    if (c->is_refusing)
        return ORCH_E_CANCELLED;
    if (!len || len > c->transport->port.max_message_bytes) {
        c->is_bad = true;
        touch(c);
        return ORCH_E_INVALID_ARGUMENT;
    }
    if (c->in_count < QUEUE_MAX)
        return 0;
    c->wants_resume = true;
    return ORCH_E_RESOURCE_EXHAUSTED;
}

static void put(orch_channel *c, incoming *in)
{
    if (c->in_last)
        c->in_last->next = in;
    else
        c->in_first = in;
    c->in_last = in;
    c->in_count++;
    touch(c);
}

static incoming *copy_of(const void *data, size_t len)
{
    incoming *in = mem_alloc(sizeof *in + len);

    if (!in)
        return NULL;
    in->next = NULL;
    in->len = len;
    memcpy(in->data, data, len);
    return in;
}

int32_t orch_channel_received(orch_channel *channel, const void *data, size_t len)
{
    orch_transport *t;
    incoming *in = NULL;
    int32_t rc;

    if (!channel || (!data && len))
        return ORCH_E_INVALID_ARGUMENT;
    t = channel->transport;
    pthread_mutex_lock(&t->lock);
    rc = check(channel, len);
    pthread_mutex_unlock(&t->lock);
    if (!rc) { /* outside of the lock, which all channels share */
        in = copy_of(data, len);
        pthread_mutex_lock(&t->lock);
        if (!in || channel->is_refusing) {
            rc = ORCH_E_CANCELLED;
            channel->is_bad = !channel->is_refusing;
            touch(channel);
        } else {
            put(channel, in);
        }
        pthread_mutex_unlock(&t->lock);
    }
    if (rc == ORCH_E_CANCELLED)
        mem_free(in);
    if (rc != ORCH_E_RESOURCE_EXHAUSTED)
        t->wake(t->ctx);
    return rc;
}

void orch_channel_ready(orch_channel *channel)
{
    orch_transport *t;

    if (!channel)
        return;
    t = channel->transport;
    pthread_mutex_lock(&t->lock);
    channel->is_ready = true;
    touch(channel);
    pthread_mutex_unlock(&t->lock);
    t->wake(t->ctx);
}

void orch_channel_closed(orch_channel *channel, int32_t code)
{
    orch_transport *t;

    if (!channel)
        return;
    t = channel->transport;
    pthread_mutex_lock(&t->lock);
    channel->is_over = true;
    channel->code = code;
    touch(channel);
    pthread_mutex_unlock(&t->lock);
    t->wake(t->ctx); /* `t` lasts at least until stop() has returned */
}

/* ---- the loop -------------------------------------------------------------------------------------------- */

void plugin_drop_incoming(orch_channel *c)
{
    while (c->in_first) {
        incoming *in = c->in_first;

        c->in_first = in->next;
        mem_free(in);
    }
    c->in_last = NULL;
    c->in_count = 0;
}

typedef struct said { /* of a channel, since the loop looked last */
    incoming *messages;
    bool is_ready, is_bad, is_over, resume;
    int32_t code;
} said;

/* At most `budget` messages; what comes after them has to wait for its turn. */
static uint32_t listen_to(orch_channel *c, uint32_t budget, said *s)
{
    incoming **end = &s->messages;
    uint32_t taken = 0;

    *end = c->in_first;
    for (; *end && taken < budget; taken++)
        end = &(*end)->next;
    c->in_first = *end;
    *end = NULL;
    if (!c->in_first)
        c->in_last = NULL;
    c->in_count -= taken;
    s->is_ready = c->is_ready;
    c->is_ready = false;
    s->resume = c->wants_resume && c->in_count <= QUEUE_MAX / 2;
    if (s->resume)
        c->wants_resume = false;
    s->is_bad = c->is_bad && !c->in_first;
    s->is_over = c->is_over && !c->in_first;
    s->code = c->code;
    if (c->in_first)
        touch(c);
    return taken;
}

static void take_message(orch_channel *c, const incoming *in)
{
    const orch_transport *t = c->transport;
    orch_error *error = NULL;
    message *m = NULL;

    if (c->is_closed || c->is_left)
        return;
    if (wire_receive(&c->reader, in->data, in->len, &m, &error)) {
        log_write(t->log, ORCH_LOG_ERROR, "transport %s: %s", t->name, orch_error_message(error));
        plugin_channel_break(c);
    } else if (m) {
        delivery_put(&c->base, m);
    }
    orch_error_free(error);
}

static int32_t code_of_end(const orch_channel *c, int32_t code)
{
    bool is_opener = !c->reader.to_engine;

    return code == 0 || (code == ORCH_E_NOT_FOUND && is_opener) ? code : ORCH_E_UNAVAILABLE;
}

static void act_on(orch_channel *c, said *s)
{
    if (c->base.unaccepted)
        delivery_wake(&c->base);
    while (s->messages) {
        incoming *in = s->messages;

        s->messages = in->next;
        take_message(c, in);
        mem_free(in);
    }
    if (s->is_bad && !c->is_closed) {
        log_write(
            c->transport->log, ORCH_LOG_ERROR,
            "transport %s: a message was empty or longer than it may be, or there was no memory",
            c->transport->name);
        plugin_channel_break(c);
    }
    if (s->is_over) {
        c->is_gone = true;
        plugin_channel_finish(c, code_of_end(c, s->code));
    }
    if (s->resume && !c->is_closed && !c->is_gone)
        c->transport->ops.resume(c->state);
    if (s->is_ready) {
        c->is_blocked = false;
        plugin_channel_flush(c);
    }
    if (c->is_left && c->is_gone)
        plugin_channel_end(c, 0);
    plugin_channel_release(c);
}

void plugin_take(orch_transport *t, uint32_t budget)
{
    list *node;

    do {
        said s = {0};
        orch_channel *c = NULL;

        pthread_mutex_lock(&t->lock);
        node = budget ? list_pop(&t->touched) : NULL;
        if (node) {
            c = LIST_ENTRY(node, orch_channel, touched);
            budget -= listen_to(c, budget, &s);
            if (budget)
                budget--; /* also those who have said nothing cost something */
        }
        pthread_mutex_unlock(&t->lock);
        if (c)
            act_on(c, &s);
    } while (node);
}
