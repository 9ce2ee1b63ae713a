/* The cores and the ports they are given. */
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/runtime_impl.h"

/* ---- ports ----------------------------------------------------------------------------------------------- */

static int64_t port_now(void *ctx)
{
    return ((runtime *)ctx)->now_ms;
}

/* The virtual clock of a test does not jump. */
int64_t runtime_steady_ms(const runtime *rt)
{
    return rt->is_virtual ? rt->now_ms : clock_steady_ms();
}

static int64_t port_steady(void *ctx)
{
    return runtime_steady_ms(ctx);
}

static void port_timer(void *ctx, int64_t at_ms)
{
    ((runtime *)ctx)->orchestrator_ms = at_ms;
}

static void port_wake(void *ctx)
{
    wake_up(&((runtime *)ctx)->wake);
}

static int32_t port_submit(void *self, work *w)
{
    return pool_submit(self, w);
}

/* ---- making them ----------------------------------------------------------------------------------------- */

static int32_t open_store(runtime *rt, const runtime_options *o, uint64_t *out_term,
                          orch_error **err)
{
    store_options options = {
        .url = o->store_url,
        .synchronous = o->synchronous,
        .wake = port_wake,
        .wake_ctx = rt,
        .log = rt->log,
    };
    char owner[300];
    int32_t rc = store_open(&options, &rt->store, err);

    if (rc)
        return rc;
    snprintf(owner, sizeof owner, "%.255s/%016llx", o->owner,
             (unsigned long long)random_next(&rt->random));
    return rt->store.ops->lease(rt->store.self, owner, rt->now_ms, out_term, err);
}

static int32_t make_orchestrator(runtime *rt, const runtime_options *o, uint64_t term,
                                 orch_error **err)
{
    orchestrator_ports ports = {
        .ctx = rt,
        .now_ms = port_now,
        .steady_ms = port_steady,
        .set_timer = port_timer,
        .io = {&rt->io, port_submit},
        .store = rt->store,
        .term = term,
        .log = rt->log,
        .events = &rt->events,
    };
    balancer b;
    int32_t rc = balancer_round_robin_new(&b, err);

    return rc ? rc : orchestrator_new(&o->orchestrator, &ports, b, &rt->orchestrator, err);
}

int32_t cores_new(runtime *rt, const runtime_options *o, orch_error **err)
{
    local_engine *first = NULL;
    uint64_t term = 0;
    int32_t rc;

    rt->now_ms = clock_wall_ms();
    events_init(&rt->events);
    random_seed(&rt->random);
    if (o->virtual_ms)
        virtual_init(rt, o->virtual_ms);
    rc = o->store_url ? open_store(rt, o, &term, err) : 0;
    if (!rc)
        rc = wires_init(rt, o, err);
    if (!rc)
        rc = transport_inproc_new(&rt->transport, err);
    if (!rc && o->engine)
        rc = locals_new(rt, o->engine, &first, err);
    if (!rc && o->store_url)
        rc = make_orchestrator(rt, o, term, err);
    if (!rc && first)
        rc = locals_admit(first, err);
    return rc;
}

void cores_stop(runtime *rt)
{
    rt->stopping = true;
    virtual_cancel(rt);
    locals_stop(rt);
    if (rt->orchestrator)
        orchestrator_stop(rt->orchestrator);
}

void cores_free(runtime *rt)
{
    orchestrator_free(rt->orchestrator);
    rt->orchestrator = NULL;
    locals_end(rt);
    if (rt->transport.ops)
        rt->transport.ops->free(rt->transport.self);
    rt->transport.ops = NULL;
    plugins_free(rt);
    wires_free(rt);
}
