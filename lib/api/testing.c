/* Orchestrators for tests of workflows: virtual time, and mocks. */
#include <orch/testing.h>
#include <string.h>

#include "api/api_impl.h"
#include "base/clock.h"

#define START_MAX_MS   4000000000000LL
#define ADVANCE_MAX_MS (100LL * 366 * 24 * 3600 * 1000)

static orch_config *config_of(const orch_config *config, orch_error **err)
{
    orch_config *c = config ? config_copy(config) : orch_config_new();

    if (!c) {
        error_no_memory(err);
        return NULL;
    }
    if (config_is_set(c, KEY_STORE_URL) || !orch_config_set(c, "STORE_URL", "memory:", err))
        return c;
    orch_config_free(c);
    return NULL;
}

orch_v2 *orch_testing_new(const orch_config *config, int64_t start_ms, orch_error **err)
{
    v2_options options = {.virtual_ms = start_ms ? start_ms : clock_wall_ms()};
    orch_config *c;
    orch_v2 *o;

    if (start_ms < 0 || start_ms > START_MAX_MS) {
        error_set(err, ORCH_E_INVALID_ARGUMENT, "start_ms",
                  "start_ms is %lld; it must be 0 (now) to %lld", (long long)start_ms,
                  START_MAX_MS);
        return NULL;
    }
    c = config_of(config, err);
    o = c ? v2_new(c, &options, err) : NULL;
    orch_config_free(c);
    return o;
}

int64_t orch_testing_now(const orch_v2 *orch)
{
    return orch ? runtime_virtual_now(orch->rt) : -1;
}

static int32_t check_testing(orch_v2 *o, orch_error **err)
{
    int32_t rc = check_running(o, err);

    if (!rc && runtime_virtual_now(o->rt) < 0)
        rc = error_set(err, ORCH_E_FAILED_PRECONDITION, "orch",
                       "the orchestrator was not made by orch_testing_new: its time is real");
    return rc;
}

/* What runs on the pool would hold up itself. */
static int32_t check_may_advance(const orch_v2 *o, orch_error **err)
{
    if (role_is(ROLE_POOL, o->rt))
        return error_set(err, ORCH_E_FAILED_PRECONDITION, NULL,
                         "time stands still while an executor or a callback runs: it cannot let it "
                         "pass");
    return check_may_block(o, err);
}

int32_t orch_testing_advance(orch_v2 *orch, int64_t ms, orch_error **err)
{
    int32_t rc = check_testing(orch, err);

    if (!rc && (ms < 0 || ms > ADVANCE_MAX_MS))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "ms", "ms is %lld; it must be 0 to %lld",
                       (long long)ms, ADVANCE_MAX_MS);
    if (!rc)
        rc = check_may_advance(orch, err);
    if (rc)
        return rc;
    orch_ref(orch);
    rc = runtime_advance(orch->rt, ms, err);
    orch_unref(orch);
    return rc;
}

static int32_t check_mock(orch_v2 *o, const char *name, bool has_fn, orch_error **err)
{
    int32_t rc = check_testing(o, err);

    if (!rc)
        rc = check_name(name, "name", err);
    if (!rc && (!strcmp(name, "wait") || !strcmp(name, "workflow")))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "name",
                       "'%s' is no executor: time is virtual, and children are mocked by "
                       "registering another workflow in their place",
                       name);
    if (!rc)
        rc = check_given(has_fn, "fn", err);
    return rc ? rc : check_may_ask(o, err);
}

int32_t orch_testing_mock(orch_v2 *orch, const char *name, orch_task_fn fn, void *user_data,
                          orch_free_fn free_fn, orch_error **err)
{
    int32_t rc = check_mock(orch, name, fn != NULL, err);
    local_engine *core;
    executor x;

    if (rc) {
        if (free_fn)
            free_fn(user_data);
        return rc;
    }
    core = orch->engine.core;
    rc = executor_host_new(runtime_executor_env(core), name, fn, user_data, free_fn, &x, err);
    return rc ? rc : runtime_put_executor(core, name, x, err);
}
