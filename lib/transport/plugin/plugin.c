#include "transport/plugin/plugin_impl.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define MESSAGE_MIN     4096U
#define MESSAGE_DEFAULT (1U << 20)
#define MESSAGE_MAX     (1U << 24)

/* ---- what it may be -------------------------------------------------------------------------------------- */

/* Those of gRPC's endpoints, of transports of ours that are or will be, and what means something else to everyone. */
static const char *const RESERVED[] = {"grpc", "inproc", "unix", "dns",  "ipv4",     "ipv6",
                                       "http", "https",  "tls",  "nats", "rabbitmq", "vsock"};

static bool is_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= PLUGIN_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+.-") == len;
}

static int32_t check_name(const char *name, orch_error **err)
{
    if (!is_name(name))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "name",
                         "name is '%.64s'; a transport's is a letter and up to %d more of "
                         "[a-z0-9+.-]: it is the scheme of its endpoints",
                         name, PLUGIN_NAME_MAX - 1);
    for (size_t i = 0; i < sizeof RESERVED / sizeof RESERVED[0]; i++)
        if (!strcmp(name, RESERVED[i]))
            return error_set(err, ORCH_E_INVALID_ARGUMENT, "name",
                             "name is '%s', which has a meaning already", name);
    return 0;
}

static const char *missing(const orch_transport_ops *o)
{
    if (!o->open && !o->listen)
        return "open and listen must not both";
    if (o->listen && !o->unlisten)
        return "unlisten must not";
    if (!o->send)
        return "send must not";
    if (!o->resume)
        return "resume must not";
    return o->close ? NULL : "close must not";
}

int32_t transport_plugin_check(const char *name, const orch_transport_ops *ops, orch_error **err)
{
    int32_t rc = check_name(name, err);

    if (rc)
        return rc;
    if (ops->size < sizeof *ops)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "ops",
                         "ops.size is %u; it must be sizeof(orch_transport_ops), which is %zu",
                         ops->size, sizeof *ops);
    if (missing(ops))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "ops", "ops: %s be NULL", missing(ops));
    if (ops->max_message_bytes &&
        (ops->max_message_bytes < MESSAGE_MIN || ops->max_message_bytes > MESSAGE_MAX))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "ops",
                         "ops.max_message_bytes is %u; it must be 0 (%u) or %u to %u",
                         ops->max_message_bytes, MESSAGE_DEFAULT, MESSAGE_MIN, MESSAGE_MAX);
    return 0;
}

/* ---- endpoints ------------------------------------------------------------------------------------------- */

bool transport_plugin_has(const transport *t, const char *endpoint)
{
    size_t len = strlen(t->ops->name);

    return !strncmp(endpoint, t->ops->name, len) && endpoint[len] == ':';
}

static const char *address_of(const orch_transport *t, const char *endpoint)
{
    return endpoint + strlen(t->name) + 1;
}

static plugin_listener *find_listener(const orch_transport *t, const char *address)
{
    LIST_EACH(it, &t->listeners)
    {
        plugin_listener *l = LIST_ENTRY(it, plugin_listener, node);

        if (!strcmp(l->address, address))
            return l;
    }
    return NULL;
}

/* A code that the host's function gave, and its reason. */
static int32_t refused(const orch_transport *t, int32_t rc, const char *what, const char *endpoint,
                       char *why, orch_error **err)
{
    bool known = rc < 0 && rc >= ORCH_E_UNAUTHENTICATED;

    why[PLUGIN_WHY_SIZE - 1] = '\0';
    return error_set(err, known ? rc : ORCH_E_INTERNAL, endpoint, "transport %s cannot %s '%s': %s",
                     t->name, what, endpoint,
                     why[0]  ? why
                     : known ? orch_code_name(rc)
                             : "it answers a code that is none");
}

static int32_t plugin_open(void *self, const char *endpoint, const channel_handler *h, void *ctx,
                           channel **out, orch_error **err)
{
    orch_transport *t = self;
    char why[PLUGIN_WHY_SIZE] = "";
    orch_channel *c;
    bool added;
    int32_t rc;

    if (!t->ops.open)
        return error_set(err, ORCH_E_UNIMPLEMENTED, endpoint,
                         "transport %s cannot open channels: its open is NULL", t->name);
    c = plugin_channel_new(t, NULL, false);
    if (!c)
        return error_no_memory(err);
    pthread_mutex_lock(&t->lock);
    added = plugin_channel_add(c);
    pthread_mutex_unlock(&t->lock);
    rc = added ? t->ops.open(t->user_data, address_of(t, endpoint), c, &c->state, why, sizeof why)
               : error_set(err, ORCH_E_RESOURCE_EXHAUSTED, endpoint,
                           "transport %s has as many channels as it may have", t->name);
    if (rc) {
        plugin_channel_free(c);
        return added ? refused(t, rc, "open", endpoint, why, err) : rc;
    }
    c->base.base.handler = h;
    c->base.base.ctx = ctx;
    *out = &c->base.base;
    return 0;
}

static int32_t plugin_listen(void *self, const char *endpoint,
                             void (*accepted)(void *ctx, channel *c), void *ctx, orch_error **err)
{
    orch_transport *t = self;
    const char *address = address_of(t, endpoint);
    size_t size = strlen(address) + 1;
    char why[PLUGIN_WHY_SIZE] = "";
    plugin_listener *l;
    int32_t rc;

    if (!t->ops.listen)
        return error_set(err, ORCH_E_UNIMPLEMENTED, endpoint,
                         "transport %s cannot listen: its listen is NULL", t->name);
    if (find_listener(t, address))
        return error_set(err, ORCH_E_ALREADY_EXISTS, endpoint,
                         "an engine serves '%s' in this process already", endpoint);
    l = mem_zalloc(sizeof *l + size);
    if (!l)
        return error_no_memory(err);
    memcpy(l->address, address, size);
    l->accepted = accepted;
    l->ctx = ctx;
    pthread_mutex_lock(&t->lock);
    list_push(&t->listeners, &l->node);
    pthread_mutex_unlock(&t->lock);
    rc = t->ops.listen(t->user_data, t, address, why, sizeof why);
    if (!rc)
        return 0;
    pthread_mutex_lock(&t->lock);
    list_remove(&l->node);
    pthread_mutex_unlock(&t->lock);
    mem_free(l);
    return refused(t, rc, "listen at", endpoint, why, err);
}

static void listener_free(orch_transport *t, plugin_listener *l)
{
    pthread_mutex_lock(&t->lock);
    list_remove(&l->node);
    LIST_EACH(it, &t->channels)
    {
        orch_channel *c = LIST_ENTRY(it, orch_channel, node);

        if (c->listener == l)
            c->listener = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    t->ops.unlisten(t->user_data, l->address);
    mem_free(l);
}

static void plugin_unlisten(void *self, const char *endpoint)
{
    plugin_listener *l = find_listener(self, address_of(self, endpoint));

    if (l)
        listener_free(self, l);
}

orch_channel *orch_transport_accepted(orch_transport *transport, const char *address, void *state)
{
    orch_channel *c = transport && address ? plugin_channel_new(transport, state, true) : NULL;
    bool taken = false;

    if (!c)
        return NULL;
    pthread_mutex_lock(&transport->lock);
    c->listener = find_listener(transport, address);
    if (c->listener)
        taken = plugin_channel_add(c);
    pthread_mutex_unlock(&transport->lock);
    if (taken) {
        transport->wake(transport->ctx);
        return c;
    }
    plugin_channel_free(c);
    return NULL;
}

/* ---- the rest -------------------------------------------------------------------------------------------- */

static bool plugin_pump(void *self, uint32_t budget)
{
    orch_transport *t = self;
    bool any;

    pthread_mutex_lock(&t->lock);
    any = !list_empty(&t->touched);
    pthread_mutex_unlock(&t->lock);
    if (any)
        plugin_take(t, budget);
    return delivery_pump(&t->delivery, budget) || any;
}

/* Whoever has a channel has closed it; what is left waits for the plug-in, or for somebody who would have accepted it. */
static void end_channels(orch_transport *t)
{
    while (!list_empty(&t->listeners))
        listener_free(t, LIST_ENTRY(t->listeners.next, plugin_listener, node));
    LIST_EACH(it, &t->channels)
    {
        orch_channel *c = LIST_ENTRY(it, orch_channel, node);

        plugin_channel_end(c, c->is_left && !c->first && !c->piece ? 0 : ORCH_E_UNAVAILABLE);
    }
    if (t->ops.stop)
        t->ops.stop(t->user_data);
    while (!list_empty(&t->channels))
        plugin_channel_free(LIST_ENTRY(t->channels.next, orch_channel, node));
}

static void plugin_free(void *self)
{
    orch_transport *t = self;

    end_channels(t);
    if (t->free_fn)
        t->free_fn(t->user_data);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

int32_t transport_plugin_new(const plugin_options *o, transport *out, orch_error **err)
{
    orch_transport *t = mem_zalloc(sizeof *t);
    uint32_t max = o->ops->max_message_bytes ? o->ops->max_message_bytes : MESSAGE_DEFAULT;

    if (!t) {
        if (o->free_fn)
            o->free_fn(o->user_data);
        return error_no_memory(err);
    }
    memcpy(t->name, o->name, strlen(o->name) + 1);
    t->port = (transport_ops){
        .size = sizeof t->port,
        .name = t->name,
        .max_message_bytes = max,
        .open = plugin_open,
        .listen = plugin_listen,
        .unlisten = plugin_unlisten,
        .pump = plugin_pump,
        .free = plugin_free,
    };
    t->ops = *o->ops;
    t->user_data = o->user_data;
    t->free_fn = o->free_fn;
    t->wake = o->wake;
    t->ctx = o->ctx;
    t->log = o->log;
    delivery_init(&t->delivery);
    list_init(&t->channels);
    list_init(&t->listeners);
    list_init(&t->touched);
    pthread_mutex_init(&t->lock, NULL);
    out->ops = &t->port;
    out->self = t;
    return 0;
}
