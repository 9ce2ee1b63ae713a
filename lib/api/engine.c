/* The in-process engine, as the host sees it. */
#include <string.h>

#include "api/api_impl.h"

static int32_t check_executor_name(const char *name, orch_error **err)
{
    static const char *const built_in[] = {"lua", "exec", "http", "wait", "workflow", "noop"};
    int32_t rc = check_name(name, "name", err);

    for (size_t i = 0; !rc && i < sizeof built_in / sizeof *built_in; i++)
        if (!strcmp(name, built_in[i]))
            rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "name",
                           "'%s' is a built-in executor (lua, exec, http, wait, workflow, noop); "
                           "choose another name",
                           name);
    return rc;
}

static int32_t check_engine(orch_engine *engine, const char *name, orch_error **err)
{
    int32_t rc = check_not_null(engine, "engine", err);

    if (!rc)
        rc = check_orch(engine->orch, err);
    return rc ? rc : check_executor_name(name, err);
}

int32_t orch_engine_register_executor(orch_engine *engine, const char *name, orch_task_fn fn,
                                      void *user_data, orch_free_fn free_fn, orch_error **err)
{
    int32_t rc = check_engine(engine, name, err);
    executor x;

    if (!rc)
        rc = check_given(fn != NULL, "fn", err);
    if (!rc)
        rc = check_running(engine->orch, err);
    if (!rc)
        rc = check_may_ask(engine->orch, err);
    if (rc) {
        if (free_fn)
            free_fn(user_data);
        return rc;
    }
    rc = executor_host_new(runtime_executor_env(engine->core), name, fn, user_data, free_fn, &x,
                           err);
    return rc ? rc : runtime_add_executor(engine->core, name, x, err);
}

int32_t orch_engine_next_task(orch_engine *engine, const char *name, int32_t timeout_ms,
                              orch_task **out_task, orch_error **err)
{
    int32_t rc = check_engine(engine, name, err);
    orch_v2 *o;

    if (!rc)
        rc = check_not_null(out_task, "out_task", err);
    if (!rc && timeout_ms < -1)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "timeout_ms",
                       "timeout_ms is %d; it must be -1 (for ever), 0 (not at all) or more",
                       timeout_ms);
    if (!rc)
        rc = check_may_ask(engine->orch, err);
    if (!rc && timeout_ms)
        rc = runtime_begin_wait(engine->orch->rt, err);
    if (rc)
        return rc;
    o = orch_ref(engine->orch); /* it may be freed as soon as this thread is told that it stops */
    rc = runtime_next_task(engine->core, name, timeout_ms, out_task, err);
    if (timeout_ms)
        runtime_end_wait(o->rt);
    orch_unref(o);
    return rc;
}

int32_t orch_engine_set_secrets(orch_engine *engine, orch_secret_fn fn, void *user_data,
                                orch_free_fn free_fn, orch_error **err)
{
    int32_t rc = check_not_null(engine, "engine", err);

    if (!rc)
        rc = check_running(engine->orch, err);
    if (!rc)
        return runtime_set_secrets(engine->core, fn, user_data, free_fn, err);
    if (free_fn)
        free_fn(user_data);
    return rc;
}
