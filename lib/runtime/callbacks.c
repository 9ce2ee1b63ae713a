#include "runtime/callbacks_impl.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

static void append(callback_list *l, callback_list *tail)
{
    if (!tail->first)
        return;
    if (l->last)
        l->last->next = tail->first;
    else
        l->first = tail->first;
    l->last = tail->last;
    l->count += tail->count;
    *tail = (callback_list){0};
}

static callback_list list_of(callback *cb)
{
    cb->next = NULL;
    return (callback_list){cb, cb, 1};
}

static callback *pop(callback_list *l)
{
    callback *cb = l->first;

    if (!cb)
        return NULL;
    l->first = cb->next;
    if (!l->first)
        l->last = NULL;
    l->count--;
    return cb;
}

/* ---- on the pool ----------------------------------------------------------------------------------------- */

/* Under the lock: let go of the deliverer if there is nothing for it. */
static callback *next_for(deliverer *d)
{
    callbacks *c = d->callbacks;
    callback *cb;

    pthread_mutex_lock(&c->lock);
    cb = c->fd < 0 ? pop(&c->due) : NULL;
    pthread_mutex_unlock(&c->lock);
    return cb;
}

static void deliver(work *w)
{
    deliverer *d = LIST_ENTRY(w, deliverer, work);
    callback *cb;

    while ((cb = next_for(d)))
        cb->make(cb);
}

static void send_deliverers(callbacks *c);

/* On the loop. What came between its last look and now gets another one. */
static void delivered(work *w)
{
    deliverer *d = LIST_ENTRY(w, deliverer, work);
    callbacks *c = d->callbacks;

    pthread_mutex_lock(&c->lock);
    list_push(&c->free, &d->free);
    send_deliverers(c);
    pthread_mutex_unlock(&c->lock);
}

/* Under the lock. One for each callback, as far as there are threads: one that blocks must not hold up the others. */
static void send_deliverers(callbacks *c)
{
    for (uint32_t n = c->due.count; n && !list_empty(&c->free); n--) {
        deliverer *d = LIST_ENTRY(c->free.next, deliverer, free);

        list_remove(&d->free);
        if (!pool_submit_always(c->pool, &d->work))
            continue;
        list_push(&c->free, &d->free);
        return; /* no thread can be made: callbacks_end makes them */
    }
}

/* ---- the host's own loop --------------------------------------------------------------------------------- */

static void signal_host(const callbacks *c)
{
    uint64_t one = 1;

    while (write(c->fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

int32_t callbacks_fd(callbacks *c)
{
    int32_t fd;

    pthread_mutex_lock(&c->lock);
    if (c->fd < 0) {
        c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (c->fd >= 0 && c->due.first)
            signal_host(c);
    }
    fd = c->fd >= 0 ? c->fd : ORCH_E_RESOURCE_EXHAUSTED;
    pthread_mutex_unlock(&c->lock);
    return fd;
}

static callback_list take_due(callbacks *c)
{
    callback_list due;
    uint64_t count;

    pthread_mutex_lock(&c->lock);
    due = c->due;
    c->due = (callback_list){0};
    if (due.first)
        while (read(c->fd, &count, sizeof count) < 0 && errno == EINTR)
            ;
    pthread_mutex_unlock(&c->lock);
    return due;
}

int32_t callbacks_dispatch(callbacks *c)
{
    callback_list due = {0};
    int32_t count = 0;
    callback *cb;

    if (atomic_exchange(&c->dispatching, true))
        return ORCH_E_FAILED_PRECONDITION;
    pthread_mutex_lock(&c->lock);
    count = c->fd;
    pthread_mutex_unlock(&c->lock);
    if (count >= 0)
        due = take_due(c);
    count = 0;
    while ((cb = pop(&due))) {
        cb->make(cb);
        count++;
    }
    atomic_store(&c->dispatching, false);
    return count;
}

/* ---- adding ---------------------------------------------------------------------------------------------- */

/* Under the lock. */
static void publish(callbacks *c, callback_list *added)
{
    bool first = !c->due.first;

    append(&c->due, added);
    if (c->fd < 0)
        send_deliverers(c);
    else if (first)
        signal_host(c);
}

void callbacks_gather(callbacks *c, callback *cb)
{
    callback_list one = list_of(cb);

    append(&c->gathered, &one);
}

void callbacks_publish(callbacks *c)
{
    if (!c->gathered.first)
        return;
    pthread_mutex_lock(&c->lock);
    publish(c, &c->gathered);
    pthread_mutex_unlock(&c->lock);
}

int32_t callbacks_add(callbacks *c, callback *cb, orch_error **err)
{
    callback_list one = list_of(cb);
    bool nobody;

    pthread_mutex_lock(&c->lock);
    nobody = c->ended;
    if (!nobody)
        publish(c, &one);
    pthread_mutex_unlock(&c->lock);
    if (nobody)
        return error_set(err, ORCH_E_FAILED_PRECONDITION, NULL,
                         "the orchestrator was freed: nobody is left to make the callback");
    return 0;
}

bool callbacks_are_quiet(callbacks *c)
{
    bool quiet;

    pthread_mutex_lock(&c->lock);
    quiet = c->fd >= 0 || !c->due.first;
    pthread_mutex_unlock(&c->lock);
    return quiet;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

int32_t callbacks_init(callbacks *c, pool *p, orch_error **err)
{
    c->pool = p;
    c->fd = -1;
    list_init(&c->free);
    atomic_init(&c->dispatching, false);
    c->deliverers = mem_calloc(p->max_threads, sizeof *c->deliverers);
    if (!c->deliverers)
        return error_no_memory(err);
    for (uint32_t i = 0; i < p->max_threads; i++) {
        deliverer *d = &c->deliverers[i];

        d->callbacks = c;
        d->work.run = deliver;
        d->work.done = delivered;
        list_push(&c->free, &d->free);
    }
    pthread_mutex_init(&c->lock, NULL);
    return 0;
}

void callbacks_end(callbacks *c)
{
    callback_list left;
    callback *cb;

    callbacks_publish(c);
    do {
        pthread_mutex_lock(&c->lock);
        left = c->due;
        c->due = (callback_list){0};
        c->ended = !left.first;
        pthread_mutex_unlock(&c->lock);
        while ((cb = pop(&left)))
            cb->make(cb);
    } while (!c->ended);
}

void callbacks_destroy(callbacks *c)
{
    if (!c->deliverers)
        return;
    mem_free(c->deliverers);
    c->deliverers = NULL;
    pthread_mutex_destroy(&c->lock);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}
