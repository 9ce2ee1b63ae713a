/* Engines as the host sees them: the one that an orchestrator brings, and those that are made by hand, which keep what the host gives
 * them until they are registered. */
#include <string.h>
#include <unistd.h>

#include "api/api_impl.h"
#include "api/config_impl.h"

/* An executor of the host's that waits for its engine to be registered. */
typedef struct waiting_executor {
    list link;
    orch_task_fn fn;
    void *user_data;
    orch_free_fn free_fn;
    char name[];
} waiting_executor;

static void waiting_free(waiting_executor *w)
{
    list_remove(&w->link);
    mem_free(w);
}

static void give_back(void *user_data, orch_free_fn free_fn)
{
    if (free_fn)
        free_fn(user_data);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

void engine_init_own(orch_engine *e, orch_v2 *o)
{
    pthread_mutex_init(&e->lock, NULL);
    list_init(&e->executors);
    e->pid = o->pid;
    e->orch = o;
    e->core = runtime_first_engine(o->rt);
    e->state = ENGINE_ATTACHED;
}

void engine_destroy_own(orch_engine *e)
{
    pthread_mutex_destroy(&e->lock);
}

orch_engine *orch_engine_new(const orch_config *config, orch_error **err)
{
    orch_engine *e;

    if (check_not_null(config, "config", err))
        return NULL;
    e = mem_zalloc(sizeof *e);
    if (e)
        e->config = config_copy(config);
    if (!e || !e->config) {
        mem_free(e);
        error_no_memory(err);
        return NULL;
    }
    pthread_mutex_init(&e->lock, NULL);
    list_init(&e->executors);
    e->pid = getpid();
    return e;
}

/* What it was given goes with it, unless an orchestrator has it. */
static void drop_waiting(orch_engine *e)
{
    give_back(e->log_data, e->log_free);
    while (!list_empty(&e->executors)) {
        waiting_executor *w = LIST_ENTRY(e->executors.next, waiting_executor, link);

        give_back(w->user_data, w->free_fn);
        waiting_free(w);
    }
    give_back(e->secret_data, e->secret_free);
}

void orch_engine_free(orch_engine *engine)
{
    if (!engine || !engine->config) /* an orchestrator's own has none */
        return;
    if (engine->pid == getpid()) {
        drop_waiting(engine);
        pthread_mutex_destroy(&engine->lock);
    }
    if (engine->is_host && !v2_free(engine->orch))
        return; /* inside a callback of its own */
    if (engine->orch)
        orch_unref(engine->orch);
    orch_config_free(engine->config);
    mem_free(engine);
}

/* ---- registering it -------------------------------------------------------------------------------------- */

static int32_t add_host(local_engine *core, const char *name, orch_task_fn fn, void *user_data,
                        orch_free_fn free_fn, orch_error **err)
{
    executor x;
    int32_t rc = executor_host_new(runtime_executor_env(core), name, fn, user_data, free_fn, &x,
                                   err);

    return rc ? rc : runtime_add_executor(core, name, x, err);
}

static int32_t make_core(orch_engine *e, orch_v2 *o, orch_error **err)
{
    local_engine_options options = config_local_engine(e->config);

    options.engine.capacity = (uint32_t)config_number(e->config, KEY_CAPACITY);
    options.engine.codec = o->codec;
    return runtime_new_engine(o->rt, &options, &e->core, err);
}

static int32_t hand_over(orch_engine *e, orch_error **err)
{
    int32_t rc = 0;

    if (e->secret_fn)
        rc = runtime_set_secrets(e->core, e->secret_fn, e->secret_data, e->secret_free, err);
    e->secret_data = NULL;
    e->secret_free = NULL;
    while (!rc && !list_empty(&e->executors)) {
        waiting_executor *w = LIST_ENTRY(e->executors.next, waiting_executor, link);

        rc = add_host(e->core, w->name, w->fn, w->user_data, w->free_fn, err);
        waiting_free(w);
    }
    return rc ? rc : runtime_admit_engine(e->core, err);
}

static int32_t begin(orch_engine *e, orch_error **err)
{
    enum engine_state state;

    pthread_mutex_lock(&e->lock);
    state = e->state;
    if (state == ENGINE_ALONE)
        e->state = ENGINE_ATTACHING;
    pthread_mutex_unlock(&e->lock);
    if (state == ENGINE_FAILED)
        return error_set(err, ORCH_E_FAILED_PRECONDITION, "engine",
                         "the engine could not be registered before; free it and make another");
    return state == ENGINE_ALONE ? 0
                                 : error_set(err, ORCH_E_FAILED_PRECONDITION, "engine",
                                             "the engine is registered already");
}

static void end(orch_engine *e, orch_v2 *o, enum engine_state state)
{
    pthread_mutex_lock(&e->lock);
    e->state = state;
    if (state == ENGINE_ATTACHED)
        e->orch = orch_ref(o);
    pthread_mutex_unlock(&e->lock);
}

int32_t engine_check_process(const orch_engine *e, orch_error **err)
{
    return e->pid == getpid()
               ? 0
               : error_set(err, ORCH_E_FAILED_PRECONDITION, "engine",
                           "a forked child cannot use the engine of its parent, only free it");
}

int32_t engine_attach(orch_engine *e, orch_v2 *o, orch_error **err)
{
    int32_t rc = engine_check_process(e, err);

    if (!rc)
        rc = begin(e, err);
    if (rc)
        return rc;
    rc = make_core(e, o, err);
    if (rc) { /* it is as it was */
        end(e, o, ENGINE_ALONE);
        return rc;
    }
    rc = hand_over(e, err);
    end(e, o, rc ? ENGINE_FAILED : ENGINE_ATTACHED);
    return rc;
}

bool engine_is_attached(orch_engine *e)
{
    bool attached;

    pthread_mutex_lock(&e->lock);
    attached = e->state == ENGINE_ATTACHED;
    pthread_mutex_unlock(&e->lock);
    return attached;
}

/* ---- what the host registers with it --------------------------------------------------------------------- */

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

/* *attached: an orchestrator has it, which is in this process, though perhaps stopped. */
static int32_t check_engine(orch_engine *e, bool *attached, orch_error **err)
{
    enum engine_state state;
    int32_t rc = check_not_null(e, "engine", err);

    if (!rc)
        rc = engine_check_process(e, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&e->lock);
    state = e->state;
    pthread_mutex_unlock(&e->lock);
    *attached = state == ENGINE_ATTACHED;
    if (state == ENGINE_ATTACHING)
        return error_set(err, ORCH_E_FAILED_PRECONDITION, "engine",
                         "another thread is registering the engine");
    if (state == ENGINE_FAILED)
        return error_set(err, ORCH_E_FAILED_PRECONDITION, "engine",
                         "the engine could not be registered; free it and make another");
    return 0;
}

static int32_t check_loop(const orch_engine *e, bool attached, orch_error **err)
{
    int32_t rc = attached ? check_running(e->orch, err) : 0;

    return rc || !attached ? rc : check_may_ask(e->orch, err);
}

static bool has_waiting(const orch_engine *e, const char *name)
{
    LIST_EACH(it, &e->executors)
    {
        if (!strcmp(LIST_ENTRY(it, waiting_executor, link)->name, name))
            return true;
    }
    return false;
}

/* It is not registered yet: what it is given waits. */
static int32_t keep_executor(orch_engine *e, const char *name, orch_task_fn fn, void *user_data,
                             orch_free_fn free_fn, orch_error **err)
{
    size_t size = strlen(name) + 1;
    waiting_executor *w = mem_zalloc(sizeof *w + size);
    bool taken;

    if (!w)
        return error_no_memory(err);
    memcpy(w->name, name, size);
    w->fn = fn;
    w->user_data = user_data;
    w->free_fn = free_fn;
    list_init(&w->link);
    pthread_mutex_lock(&e->lock);
    taken = has_waiting(e, name);
    if (!taken)
        list_push(&e->executors, &w->link);
    pthread_mutex_unlock(&e->lock);
    if (!taken)
        return 0;
    mem_free(w);
    return error_set(err, ORCH_E_ALREADY_EXISTS, name, "there is an executor '%s' already", name);
}

int32_t orch_engine_register_executor(orch_engine *engine, const char *name, orch_task_fn fn,
                                      void *user_data, orch_free_fn free_fn, orch_error **err)
{
    bool attached = false;
    int32_t rc = check_engine(engine, &attached, err);

    if (!rc)
        rc = check_executor_name(name, err);
    if (!rc)
        rc = check_given(fn != NULL, "fn", err);
    if (!rc)
        rc = check_loop(engine, attached, err);
    if (!rc && attached)
        return add_host(engine->core, name, fn, user_data, free_fn, err);
    if (!rc)
        rc = keep_executor(engine, name, fn, user_data, free_fn, err);
    if (rc)
        give_back(user_data, free_fn);
    return rc;
}

static int32_t check_next_task(orch_engine *e, const char *name, int32_t timeout_ms,
                               orch_task **out_task, orch_error **err)
{
    bool attached = false;
    int32_t rc = check_engine(e, &attached, err);

    if (!rc)
        rc = check_executor_name(name, err);
    if (!rc)
        rc = check_not_null(out_task, "out_task", err);
    if (!rc && timeout_ms < -1)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "timeout_ms",
                       "timeout_ms is %d; it must be -1 (for ever), 0 (not at all) or more",
                       timeout_ms);
    if (!rc && !attached)
        rc = error_set(err, ORCH_E_FAILED_PRECONDITION, "engine",
                       "the engine has no tasks yet: it is not registered with an orchestrator");
    return rc ? rc : check_may_ask(e->orch, err);
}

int32_t orch_engine_next_task(orch_engine *engine, const char *name, int32_t timeout_ms,
                              orch_task **out_task, orch_error **err)
{
    int32_t rc = check_next_task(engine, name, timeout_ms, out_task, err);
    orch_v2 *o;

    if (!rc && timeout_ms)
        rc = runtime_begin_wait(engine->orch->rt, err);
    if (rc)
        return rc;
    o = orch_ref(engine->orch); /* it may be freed as soon as this thread is told that it stops */
    if (timeout_ms)
        runtime_watch(o->rt);
    rc = runtime_next_task(engine->core, name, timeout_ms, out_task, err);
    if (timeout_ms)
        runtime_unwatch(o->rt);
    if (timeout_ms)
        runtime_end_wait(o->rt);
    orch_unref(o);
    return rc;
}

static void keep_secrets(orch_engine *e, orch_secret_fn fn, void *user_data, orch_free_fn free_fn)
{
    void *old_data;
    orch_free_fn old_free;

    pthread_mutex_lock(&e->lock);
    old_data = e->secret_data;
    old_free = e->secret_free;
    e->secret_fn = fn;
    e->secret_data = user_data;
    e->secret_free = free_fn;
    pthread_mutex_unlock(&e->lock);
    give_back(old_data, old_free);
}

int32_t orch_engine_set_secrets(orch_engine *engine, orch_secret_fn fn, void *user_data,
                                orch_free_fn free_fn, orch_error **err)
{
    bool attached = false;
    int32_t rc = check_engine(engine, &attached, err);

    if (!rc && attached)
        rc = check_running(engine->orch, err);
    if (rc) {
        give_back(user_data, free_fn);
        return rc;
    }
    if (attached)
        return runtime_set_secrets(engine->core, fn, user_data, free_fn, err);
    keep_secrets(engine, fn, user_data, free_fn);
    return 0;
}
