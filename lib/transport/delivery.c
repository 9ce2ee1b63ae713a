#include "transport/delivery.h"

void delivery_init(delivery *d)
{
    list_init(&d->ready);
    d->now = NULL;
}

void delivery_end_init(delivery_end *e, delivery *d, const channel_ops *ops,
                       const delivery_hooks *hooks)
{
    e->base.ops = ops;
    e->of = d;
    e->hooks = hooks;
    list_init(&e->node);
}

void delivery_wake(delivery_end *e)
{
    if (list_empty(&e->node))
        list_push(&e->of->ready, &e->node);
}

void delivery_put(delivery_end *e, message *m)
{
    if (e->ending) {
        message_free(m);
        return;
    }
    m->next = NULL;
    if (e->last)
        e->last->next = m;
    else
        e->first = m;
    e->last = m;
    e->count++;
    delivery_wake(e);
}

void delivery_drop(delivery_end *e)
{
    while (e->first) {
        message *m = e->first;

        e->first = m->next;
        message_free(m);
    }
    e->last = NULL;
    e->count = 0;
}

void delivery_finish(delivery_end *e, int32_t code)
{
    if (e->ending)
        return;
    e->ending = true;
    e->code = code;
    delivery_wake(e);
}

void delivery_close(delivery_end *e)
{
    list_remove(&e->node);
    delivery_drop(e);
    if (e->of->now == e)
        e->of->now = NULL;
}

static message *take_first(delivery_end *e)
{
    message *m = e->first;

    e->first = m->next;
    if (!e->first)
        e->last = NULL;
    m->next = NULL;
    e->count--;
    return m;
}

/* Handlers may close the end, which then is gone. */
static uint32_t deliver(delivery *d, delivery_end *e, uint32_t budget)
{
    d->now = e;
    if (e->unaccepted) {
        e->unaccepted = false;
        if (!e->hooks->accept(e))
            return budget;
    }
    while (budget && d->now && e->first) {
        budget--;
        e->base.handler->message(e->base.ctx, &e->base, take_first(e));
    }
    if (d->now && e->hooks->taken)
        e->hooks->taken(e);
    if (!d->now)
        return budget;
    if (e->first) {
        delivery_wake(e);
    } else if (e->ending && !e->told) {
        e->told = true;
        e->base.handler->closed(e->base.ctx, &e->base, e->code);
    }
    return budget;
}

bool delivery_pump(delivery *d, uint32_t budget)
{
    bool any = !list_empty(&d->ready);
    list *node;

    while (budget && (node = list_pop(&d->ready)))
        budget = deliver(d, LIST_ENTRY(node, delivery_end, node), budget);
    d->now = NULL;
    return any;
}
