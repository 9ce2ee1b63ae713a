/* An engine that other processes reach. Alone, it lives on a runtime of its own, which has no store. */
#include <stdio.h>
#include <string.h>

#include "api/api_impl.h"

static int32_t begin_alone(orch_engine *e, orch_error **err)
{
    orch_v2 *host = v2_new_host(e->config, err);
    int32_t rc;

    if (!host)
        return err && *err ? orch_error_code(*err) : ORCH_E_RESOURCE_EXHAUSTED;
    if (e->log_fn || e->log_free)
        orch_v2_set_log(host, e->log_fn, e->log_data, e->log_free, e->log_level);
    e->log_data = NULL;
    e->log_free = NULL;
    rc = engine_attach(e, host, err);
    if (rc)
        v2_free(host);
    else
        e->is_host = true;
    return rc;
}

static const char *default_endpoint(const orch_engine *e, char *buffer, size_t size)
{
    snprintf(buffer, size, "0.0.0.0:%d",
             e->config ? (int)config_number(e->config, KEY_PORT) : 50051);
    return buffer;
}

/* It is reached from outside, whoever has it. */
static int32_t check_reachable(orch_engine *e, orch_error **err)
{
    int32_t rc = check_not_null(e, "engine", err);

    if (!rc)
        rc = engine_check_process(e, err);
    if (!rc && !engine_is_attached(e))
        rc = begin_alone(e, err);
    if (!rc)
        rc = check_running(e->orch, err);
    return rc ? rc : check_may_ask(e->orch, err);
}

int32_t orch_engine_listen(orch_engine *engine, const char *endpoint, uint16_t *out_port,
                           orch_error **err)
{
    orch_error *error = NULL;
    char buffer[32];
    int32_t rc = check_reachable(engine, &error);

    if (!rc)
        rc = runtime_listen(engine->core,
                            endpoint ? endpoint : default_endpoint(engine, buffer, sizeof buffer),
                            out_port, &error);
    return pass_error(rc, error, err);
}

int32_t orch_engine_register_transport(orch_engine *engine, const char *name,
                                       const orch_transport_ops *ops, void *user_data,
                                       orch_free_fn free_fn, orch_error **err)
{
    int32_t rc = check_transport(name, ops, err);

    if (!rc)
        rc = check_reachable(engine, err);
    if (!rc)
        return runtime_add_transport(engine->orch->rt, name, ops, user_data, free_fn, err);
    if (free_fn)
        free_fn(user_data);
    return rc;
}

static int32_t check_host(const orch_engine *e, orch_error **err)
{
    int32_t rc = check_not_null(e, "engine", err);

    if (!rc && e->orch)
        rc = check_orch(e->orch, err);
    if (!rc && !e->is_host)
        rc = error_set(err, ORCH_E_FAILED_PRECONDITION, "engine",
                       e->orch ? "the engine is an orchestrator's, and stops with it"
                               : "the engine does not listen");
    return rc;
}

int32_t orch_engine_stop(orch_engine *engine, int32_t timeout_ms, orch_error **err)
{
    int32_t rc = check_host(engine, err);
    bool drained = true;

    if (!rc && (timeout_ms < 0 || timeout_ms > STOP_MAX_MS))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "timeout_ms",
                       "timeout_ms is %d; it must be 0 to %d", timeout_ms, STOP_MAX_MS);
    if (!rc)
        rc = check_may_block(engine->orch, err);
    if (rc)
        return rc;
    if (timeout_ms && !runtime_is_stopped(engine->orch->rt))
        drained = runtime_drain(engine->orch->rt, timeout_ms);
    return runtime_stop(engine->orch->rt, drained ? timeout_ms : 0, err);
}

int32_t orch_engine_set_log(orch_engine *engine, orch_log_fn fn, void *user_data,
                            orch_free_fn free_fn, int32_t min_level)
{
    int32_t rc = check_not_null(engine, "engine", NULL);

    if (!rc && engine->is_host)
        return orch_v2_set_log(engine->orch, fn, user_data, free_fn, min_level);
    if (!rc && (engine->orch || min_level < ORCH_LOG_DEBUG || min_level > ORCH_LOG_CRITICAL))
        rc = engine->orch ? ORCH_E_FAILED_PRECONDITION : ORCH_E_INVALID_ARGUMENT;
    if (rc) {
        if (free_fn)
            free_fn(user_data);
        return rc;
    }
    if (engine->log_free)
        engine->log_free(engine->log_data);
    engine->log_fn = fn;
    engine->log_data = user_data;
    engine->log_free = free_fn;
    engine->log_level = min_level;
    return 0;
}
