/* The transports that the host gave: endpoints with their names go over them. */
#include <string.h>

#include "base/error.h"
#include "runtime/runtime_impl.h"
#include "transport/plugin/plugin.h"

const transport *plugins_find(const runtime *rt, const char *endpoint)
{
    for (unsigned i = 0; i < rt->plugin_count; i++)
        if (transport_plugin_has(&rt->plugins[i], endpoint))
            return &rt->plugins[i];
    return NULL;
}

bool plugins_pump(runtime *rt, uint32_t budget)
{
    bool any = false;

    for (unsigned i = 0; i < rt->plugin_count; i++)
        any |= rt->plugins[i].ops->pump(rt->plugins[i].self, budget);
    return any;
}

void plugins_free(runtime *rt)
{
    while (rt->plugin_count) {
        const transport *t = &rt->plugins[--rt->plugin_count];

        t->ops->free(t->self);
    }
}

/* ---- for threads of the host ----------------------------------------------------------------------------- */

typedef struct add_command {
    asked base; /* first */
    plugin_options options;
    bool taken; /* user_data is no more the asker's */
} add_command;

static void wake_loop(void *ctx)
{
    wake_up(&((runtime *)ctx)->wake);
}

static int32_t add(runtime *rt, add_command *c)
{
    orch_error **err = &c->base.error;
    int32_t rc = runtime_check_going(rt, err);

    if (rc)
        return rc;
    for (unsigned i = 0; i < rt->plugin_count; i++)
        if (!strcmp(rt->plugins[i].ops->name, c->options.name))
            return error_set(err, ORCH_E_ALREADY_EXISTS, c->options.name,
                             "a transport '%s' is registered already", c->options.name);
    if (rt->plugin_count == MAX_PLUGINS)
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, c->options.name,
                         "%d transports are registered already, which is the limit", MAX_PLUGINS);
    c->taken = true;
    rc = transport_plugin_new(&c->options, &rt->plugins[rt->plugin_count], err);
    if (!rc)
        rt->plugin_count++;
    return rc;
}

static void on_add(command *c, runtime *rt)
{
    add_command *a = (add_command *)c;

    a->base.code = add(rt, a);
    sem_post(&a->base.done);
}

int32_t runtime_add_transport(runtime *rt, const char *name, const orch_transport_ops *ops,
                              void *user_data, orch_free_fn free_fn, orch_error **err)
{
    add_command c = {.options = {.name = name,
                                 .ops = ops,
                                 .user_data = user_data,
                                 .free_fn = free_fn,
                                 .wake = wake_loop,
                                 .ctx = rt,
                                 .log = rt->log}};
    int32_t rc = runtime_ask(rt, &c.base, on_add, err);

    if (rc && !c.taken && free_fn)
        free_fn(user_data);
    return rc;
}
