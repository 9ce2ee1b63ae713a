/* The transport within one process: a message is an entry in a queue of the loop. A channel is a pair of ends. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "transport/delivery.h"

typedef struct inproc inproc;
typedef struct pair pair;

typedef struct end {
    delivery_end base; /* first */
    pair *pair;
    bool closed; /* by its own side */
} end;

struct pair {
    struct listener *listener; /* NULL once accepted or gone */
    unsigned open;             /* ends */
    end opener, server;
};

typedef struct listener {
    list link;
    char *endpoint;
    void (*accepted)(void *ctx, channel *c);
    void *ctx;
} listener;

struct inproc {
    delivery delivery;
    list listeners;
};

static end *peer_of(end *e)
{
    return e == &e->pair->opener ? &e->pair->server : &e->pair->opener;
}

static void inproc_send(channel *c, message *m)
{
    end *to = peer_of((end *)c);

    if (to->closed)
        message_free(m);
    else
        delivery_put(&to->base, m);
}

static void inproc_close(channel *c)
{
    end *e = (end *)c, *peer = peer_of(e);
    pair *p = e->pair;

    e->closed = true;
    delivery_close(&e->base);
    if (!peer->closed)
        delivery_finish(&peer->base, 0);
    if (--p->open == 0)
        mem_free(p);
}

static const channel_ops ends_ops = {sizeof(channel_ops), inproc_send, inproc_close, true};

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

/* An end that nobody accepts is closed on behalf of the listener that is gone. */
static bool accept_end(delivery_end *d)
{
    end *e = (end *)d;
    listener *l = e->pair->listener;

    e->pair->listener = NULL;
    if (l) {
        l->accepted(l->ctx, &d->base);
        return true;
    }
    delivery_finish(&peer_of(e)->base, ORCH_E_UNAVAILABLE);
    inproc_close(&d->base);
    return false;
}

static const delivery_hooks ends_hooks = {accept_end, NULL};

static void end_init(end *e, pair *p, inproc *t)
{
    delivery_end_init(&e->base, &t->delivery, &ends_ops, &ends_hooks);
    e->pair = p;
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
    p->listener = l;
    p->open = 2;
    end_init(&p->opener, p, t);
    end_init(&p->server, p, t);
    p->opener.base.base.handler = h;
    p->opener.base.base.ctx = ctx;
    p->server.base.unaccepted = true;
    delivery_wake(&p->server.base);
    *out = &p->opener.base.base;
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
    LIST_EACH(it, &t->delivery.ready)
    {
        pair *p = ((end *)LIST_ENTRY(it, delivery_end, node))->pair;

        if (p->listener == l)
            p->listener = NULL;
    }
    listener_free(l);
}

static bool inproc_pump(void *self, uint32_t budget)
{
    return delivery_pump(&((inproc *)self)->delivery, budget);
}

static void inproc_free(void *self)
{
    inproc *t = self;

    while (!list_empty(&t->listeners))
        listener_free(LIST_ENTRY(t->listeners.next, listener, link));
    while (!list_empty(&t->delivery.ready)) /* only ends that nobody has accepted can be left */
        inproc_close(&LIST_ENTRY(t->delivery.ready.next, delivery_end, node)->base);
    mem_free(t);
}

#ifdef ORCH_TEST_HOOKS
void transport_inproc_break(channel *c)
{
    end *ends[] = {(end *)c, peer_of((end *)c)};

    for (size_t i = 0; i < 2; i++) {
        delivery_drop(&ends[i]->base);
        if (!ends[i]->closed)
            delivery_finish(&ends[i]->base, ORCH_E_UNAVAILABLE);
    }
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
    .in_process = true,
};

int32_t transport_inproc_new(transport *out, orch_error **err)
{
    inproc *t = mem_zalloc(sizeof *t);

    if (!t)
        return error_no_memory(err);
    delivery_init(&t->delivery);
    list_init(&t->listeners);
    out->ops = &inproc_ops;
    out->self = t;
    return 0;
}
