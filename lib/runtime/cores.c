/* The cores and the ports they are given. */
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/runtime_impl.h"

#define ENDPOINT "local"

/* ---- ports ----------------------------------------------------------------------------------------------- */

static int64_t port_now(void *ctx)
{
    return ((runtime *)ctx)->now_ms;
}

static void port_engine_timer(void *ctx, int64_t at_ms)
{
    ((runtime *)ctx)->engine_ms = at_ms;
}

static void port_orchestrator_timer(void *ctx, int64_t at_ms)
{
    ((runtime *)ctx)->orchestrator_ms = at_ms;
}

static uint64_t port_random(void *ctx)
{
    return random_next(&((runtime *)ctx)->random);
}

static void port_wake(void *ctx)
{
    wake_up(&((runtime *)ctx)->wake);
}

static json_t *port_secret(void *ctx, const char *name, orch_error **err)
{
    return secrets_get(&((runtime *)ctx)->secrets, name, err);
}

static int32_t port_submit(void *self, work *w)
{
    return pool_submit(self, w);
}

/* ---- exec where it is not allowed ------------------------------------------------------------------------ */

static bool denied_start(void *self, attempt *a)
{
    static const char message[] = "exec is not allowed here: EXEC_ENABLED is false";

    (void)self;
    a->result = (attempt_result){.code = ORCH_E_PERMISSION_DENIED,
                                 .no_retry = true,
                                 .error = error_json(ORCH_E_PERMISSION_DENIED, message, NULL)};
    return true;
}

static void denied_free(void *self)
{
    (void)self;
}

static const executor_ops denied_ops = {
    .size = sizeof(executor_ops), .name = "exec", .start = denied_start, .free = denied_free};

static int32_t denied_new(const executor_env *env, executor *out, orch_error **err)
{
    (void)env;
    (void)err;
    *out = (executor){&denied_ops, NULL};
    return 0;
}

static int32_t noop_new(const executor_env *env, executor *out, orch_error **err)
{
    (void)env;
    return executor_noop_new(out, err);
}

/* ---- making them ----------------------------------------------------------------------------------------- */

static int32_t add_executors(runtime *rt, const runtime_options *o, orch_error **err)
{
    const struct {
        const char *name;
        int32_t (*make)(const executor_env *env, executor *out, orch_error **err);
    } all[] = {
        {"noop", noop_new},
        {"lua", executor_lua_new},
        {"exec", o->exec_enabled ? executor_exec_new : denied_new},
        {"http", executor_http_new},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        executor x;
        int32_t rc = all[i].make(&rt->env, &x, err);

        if (!rc)
            rc = engine_add_executor(rt->engine, all[i].name, x, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int32_t make_engine(runtime *rt, const runtime_options *o, orch_error **err)
{
    engine_options options = o->engine;
    engine_ports ports = {
        .ctx = rt,
        .now_ms = port_now,
        .set_timer = port_engine_timer,
        .random = port_random,
        .wake = port_wake,
        .secret = port_secret,
        .pool = rt->env.pool,
        .log = rt->log,
    };
    int32_t rc;

    options.instance = random_next(&rt->random);
    rc = engine_new(&options, &ports, &rt->engine, err);
    if (!rc)
        rc = add_executors(rt, o, err);
    if (!rc)
        rc = rt->transport.ops->listen(rt->transport.self, ENDPOINT, engine_accept, rt->engine,
                                       err);
    return rc;
}

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
    snprintf(owner, sizeof owner, "%.255s/%016llx", o->engine.name,
             (unsigned long long)random_next(&rt->random));
    return rt->store.ops->lease(rt->store.self, owner, rt->now_ms, out_term, err);
}

static int32_t make_orchestrator(runtime *rt, const runtime_options *o, uint64_t term,
                                 orch_error **err)
{
    orchestrator_ports ports = {
        .ctx = rt,
        .now_ms = port_now,
        .set_timer = port_orchestrator_timer,
        .io = {&rt->io, port_submit},
        .store = rt->store,
        .term = term,
        .log = rt->log,
    };
    balancer b;
    int32_t rc = balancer_round_robin_new(&b, err);

    if (!rc)
        rc = orchestrator_new(&o->orchestrator, &ports, b, &rt->orchestrator, err);
    if (!rc)
        rc = orchestrator_add_engine(rt->orchestrator, o->engine.name, rt->transport, ENDPOINT,
                                     o->engine.capacity, err);
    return rc;
}

int32_t cores_new(runtime *rt, const runtime_options *o, orch_error **err)
{
    uint64_t term = 0;
    int32_t rc;

    rt->now_ms = clock_wall_ms();
    random_seed(&rt->random);
    rt->env = (executor_env){
        .loop = &rt->loop,
        .pool = {&rt->tasks, port_submit},
        .log = rt->log,
        .lua_instructions = o->engine.lua_instructions,
        .lua_memory_bytes = o->engine.lua_memory_bytes,
        .max_output_bytes = o->max_output_bytes,
        .max_processes = o->max_processes,
    };
    rc = open_store(rt, o, &term, err);
    if (!rc)
        rc = transport_inproc_new(&rt->transport, err);
    if (!rc)
        rc = make_engine(rt, o, err);
    if (!rc)
        rc = make_orchestrator(rt, o, term, err);
    return rc;
}

void cores_stop(runtime *rt)
{
    rt->stopping = true;
    engine_stop(rt->engine);
    orchestrator_stop(rt->orchestrator);
}

void cores_free(runtime *rt)
{
    orchestrator_free(rt->orchestrator);
    rt->orchestrator = NULL;
    engine_free(rt->engine);
    rt->engine = NULL;
    if (rt->transport.ops)
        rt->transport.ops->free(rt->transport.self);
    rt->transport.ops = NULL;
}
