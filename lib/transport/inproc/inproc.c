/* The transport within one process: a message is an entry in a queue of the loop. A channel is a pair of
 * ends; an end with something to deliver stands in the transport's list until pump() comes to it. */
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "transport/transport.h"

typedef struct inproc inproc;
typedef struct pair pair;

typedef struct end {
    channel base; /* first */
    pair *pair;
    list ready; /* in inproc.ready while there is something to deliver */
    message *first, *last;
    bool unaccepted; /* the listener has not seen it yet */
    bool closed;     /* by its own side */
    bool ending;     /* tell it closed(code) once the messages are delivered */
    bool told;
    int32_t code;
} end;

struct pair {
    inproc *transport;
    struct listener *listener; /* NULL once accepted or gone */
    unsigned refs;             /* open ends, and pump() while it delivers */
    end opener, server;
};

typedef struct listener {
    list link;
    char *endpoint;
    void (*accepted)(void *ctx, channel *c);
    void *ctx;
} listener;

struct inproc {
    list ready;
    list listeners;
};

static end *peer_of(end *e)
{
    return e == &e->pair->opener ? &e->pair->server : &e->pair->opener;
}

static void pair_unref(pair *p)
{
    if (--p->refs == 0)
        mem_free(p);
}

static void make_ready(end *e)
{
    if (list_empty(&e->ready))
        list_push(&e->pair->transport->ready, &e->ready);
}

static void drop_messages(end *e)
{
    while (e->first) {
        message *m = e->first;

        e->first = m->next;
        message_free(m);
    }
    e->last = NULL;
}

static void inproc_send(channel *c, message *m)
{
    end *to = peer_of((end *)c);

    if (to->closed || to->ending) {
        message_free(m);
        return;
    }
    m->next = NULL;
    if (to->last)
        to->last->next = m;
    else
        to->first = m;
    to->last = m;
    make_ready(to);
}

static void end_peer(end *e, int32_t code)
{
    if (e->closed || e->ending)
        return;
    e->ending = true;
    e->code = code;
    make_ready(e);
}

static void inproc_close(channel *c)
{
    end *e = (end *)c;

    e->closed = true;
    list_remove(&e->ready);
    drop_messages(e);
    end_peer(peer_of(e), 0);
    pair_unref(e->pair);
}

static const channel_ops ends_ops = {sizeof(channel_ops), inproc_send, inproc_close};

static listener *find_listener(inproc *t, const char *endpoint)
{
    LIST_EACH(it, &t->listeners)
    {
        listener *l = LIST_ENTRY(it, listener, link);

        if (!strcmp(l->endpoint, endpoint))
            return l;
    }
    return NULL;
}

static void end_init(end *e, pair *p)
{
    e->base.ops = &ends_ops;
    e->pair = p;
    list_init(&e->ready);
}

static int32_t inproc_open(void *self, const char *endpoint, const channel_handler *h, void *ctx,
                           channel **out, orch_error **err)
{
    inproc *t = self;
    listener *l = find_listener(t, endpoint);
    pair *p;

    if (!l)
        return error_set(err, ORCH_E_NOT_FOUND, endpoint, "no engine serves '%s' in this process",
                         endpoint);
    p = mem_zalloc(sizeof *p);
    if (!p)
        return error_no_memory(err);
    p->transport = t;
    p->listener = l;
    p->refs = 2;
    end_init(&p->opener, p);
    end_init(&p->server, p);
    p->opener.base.handler = h;
    p->opener.base.ctx = ctx;
    p->server.unaccepted = true;
    make_ready(&p->server);
    *out = &p->opener.base;
    return 0;
}

static int32_t inproc_listen(void *self, const char *endpoint,
                             void (*accepted)(void *ctx, channel *c), void *ctx, orch_error **err)
{
    inproc *t = self;
    listener *l;

    if (find_listener(t, endpoint))
        return error_set(err, ORCH_E_ALREADY_EXISTS, endpoint,
                         "an engine serves '%s' in this process already", endpoint);
    l = mem_zalloc(sizeof *l);
    if (l)
        l->endpoint = mem_strdup(endpoint);
    if (!l || !l->endpoint) {
        mem_free(l);
        return error_no_memory(err);
    }
    l->accepted = accepted;
    l->ctx = ctx;
    list_push(&t->listeners, &l->link);
    return 0;
}

static void listener_free(listener *l)
{
    list_remove(&l->link);
    mem_free(l->endpoint);
    mem_free(l);
}

static void inproc_unlisten(void *self, const char *endpoint)
{
    inproc *t = self;
    listener *l = find_listener(t, endpoint);

    if (!l)
        return;
    LIST_EACH(it, &t->ready)
    {
        pair *p = LIST_ENTRY(it, end, ready)->pair;

        if (p->listener == l)
            p->listener = NULL;
    }
    listener_free(l);
}

/* An end that nobody accepted: closed on behalf of the listener that is gone. */
static bool accept_end(end *e)
{
    listener *l = e->pair->listener;

    e->unaccepted = false;
    e->pair->listener = NULL;
    if (l) {
        l->accepted(l->ctx, &e->base);
        return true;
    }
    end_peer(peer_of(e), ORCH_E_UNAVAILABLE);
    inproc_close(&e->base);
    return false;
}

static uint32_t deliver(end *e, uint32_t budget)
{
    if (e->unaccepted && !accept_end(e))
        return budget;
    while (budget && !e->closed && e->first) {
        message *m = e->first;

        e->first = m->next;
        if (!e->first)
            e->last = NULL;
        m->next = NULL;
        budget--;
        e->base.handler->message(e->base.ctx, &e->base, m);
    }
    if (e->closed)
        return budget;
    if (e->first) {
        make_ready(e);
    } else if (e->ending && !e->told) {
        e->told = true;
        e->base.handler->closed(e->base.ctx, &e->base, e->code);
    }
    return budget;
}

static void deliver_ready(inproc *t, uint32_t budget)
{
    list *node;

    while (budget && (node = list_pop(&t->ready))) {
        end *e = LIST_ENTRY(node, end, ready);
        pair *p = e->pair;

        p->refs++;
        budget = deliver(e, budget);
        pair_unref(p);
    }
}

static bool inproc_pump(void *self, uint32_t budget)
{
    inproc *t = self;
    bool any = !list_empty(&t->ready);

    if (any && budget)
        deliver_ready(t, budget);
    return any;
}

static void inproc_free(void *self)
{
    inproc *t = self;

    while (!list_empty(&t->listeners))
        listener_free(LIST_ENTRY(t->listeners.next, listener, link));
    while (!list_empty(&t->ready)) { /* only ends that nobody has accepted can be left */
        end *e = LIST_ENTRY(list_pop(&t->ready), end, ready);

        inproc_close(&e->base);
    }
    mem_free(t);
}

#ifdef ORCH_TEST_HOOKS
void transport_inproc_break(channel *c)
{
    end *e = (end *)c, *peer = peer_of(e);

    drop_messages(e);
    drop_messages(peer);
    end_peer(peer, ORCH_E_UNAVAILABLE);
    end_peer(e, ORCH_E_UNAVAILABLE);
}
#endif

static const transport_ops inproc_ops = {
    .size = sizeof(transport_ops),
    .name = "inproc",
    .open = inproc_open,
    .listen = inproc_listen,
    .unlisten = inproc_unlisten,
    .pump = inproc_pump,
    .free = inproc_free,
};

int32_t transport_inproc_new(transport *out, orch_error **err)
{
    inproc *t = mem_zalloc(sizeof *t);

    if (!t)
        return error_no_memory(err);
    list_init(&t->ready);
    list_init(&t->listeners);
    out->ops = &inproc_ops;
    out->self = t;
    return 0;
}
