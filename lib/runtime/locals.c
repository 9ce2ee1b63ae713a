/* The engines of this process: each with executors, secrets and a name of its own, all on the one loop. */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/unconst.h"
#include "runtime/runtime_impl.h"

#define ENDPOINT "local:"

/* ---- ports ----------------------------------------------------------------------------------------------- */

static int64_t port_now(void *ctx)
{
    return ((local_engine *)ctx)->rt->now_ms;
}

static int64_t port_steady(void *ctx)
{
    return runtime_steady_ms(((local_engine *)ctx)->rt);
}

static void port_timer(void *ctx, int64_t at_ms)
{
    ((local_engine *)ctx)->timer_ms = at_ms;
}

static uint64_t port_random(void *ctx)
{
    return random_next(&((local_engine *)ctx)->rt->random);
}

static void port_wake(void *ctx)
{
    wake_up(&((local_engine *)ctx)->rt->wake);
}

static json_t *port_secret(void *ctx, const char *name, orch_error **err)
{
    return secrets_get(&((local_engine *)ctx)->secrets, name, err);
}

static int32_t port_submit(void *self, work *w)
{
    return pool_submit(self, w);
}

/* ---- executors that are not allowed ---------------------------------------------------------------------- */

static bool denied_start(void *self, attempt *a)
{
    const char *message = self;

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
    .size = sizeof(executor_ops), .name = "denied", .start = denied_start, .free = denied_free};

/* Why not; NULL: it is allowed. */
static const char *denial_of(const local_engine_options *o, const char *name)
{
    if (!strcmp(name, "noop"))
        return NULL;
    if (!strcmp(name, "exec") && !o->exec_enabled)
        return "exec is not allowed here: EXEC_ENABLED is false";
    if (!o->executors || strstr(o->executors, name)) /* none of the names is a part of another */
        return NULL;
    return !strcmp(name, "lua")    ? "lua is not allowed here: EXECUTORS does not have it"
           : !strcmp(name, "http") ? "http is not allowed here: EXECUTORS does not have it"
                                   : "exec is not allowed here: EXECUTORS does not have it";
}

static int32_t noop_new(const executor_env *env, executor *out, orch_error **err)
{
    (void)env;
    return executor_noop_new(out, err);
}

/* ---- making one ------------------------------------------------------------------------------------------ */

static int32_t add_executors(local_engine *e, const local_engine_options *o, orch_error **err)
{
    const struct {
        const char *name;
        int32_t (*make)(const executor_env *env, executor *out, orch_error **err);
    } all[] = {
        {"noop", noop_new},
        {"lua", executor_lua_new},
        {"exec", executor_exec_new},
        {"http", executor_http_new},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *denial = denial_of(o, all[i].name);
        executor x = {&denied_ops, unconst(denial)};
        int32_t rc = denial ? 0 : all[i].make(&e->env, &x, err);

        if (!rc)
            rc = engine_add_executor(e->engine, all[i].name, x, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int32_t make_core(local_engine *e, const local_engine_options *o, orch_error **err)
{
    runtime *rt = e->rt;
    engine_options options = o->engine;
    engine_ports ports = {
        .ctx = e,
        .now_ms = port_now,
        .steady_ms = port_steady,
        .set_timer = port_timer,
        .random = port_random,
        .wake = port_wake,
        .secret = port_secret,
        .pool = e->env.pool,
        .log = rt->log,
        .events = rt->store.ops ? NULL : &rt->events, /* the orchestrator's say it all */
    };
    int32_t rc;

    options.instance = e->instance = random_next(&rt->random) | 1; /* 0: not known */
    e->started_ms = rt->now_ms;
    rc = engine_new(&options, &ports, &e->engine, err);
    if (!rc)
        rc = add_executors(e, o, err);
    if (!rc)
        rc = rt->transport.ops->listen(rt->transport.self, e->endpoint, engine_accept, e->engine,
                                       err);
    return rc;
}

static int32_t set_names(local_engine *e, const char *name, orch_error **err)
{
    size_t size = sizeof ENDPOINT + strlen(name);

    e->name = mem_strdup(name);
    e->endpoint = mem_alloc(size);
    if (!e->name || !e->endpoint)
        return error_no_memory(err);
    snprintf(e->endpoint, size, ENDPOINT "%s", name);
    return 0;
}

static local_engine *shell_new(runtime *rt, const local_engine_options *o)
{
    local_engine *e = mem_zalloc(sizeof *e);

    if (!e)
        return NULL;
    e->rt = rt;
    e->timer_ms = INT64_MAX;
    e->capacity = o->engine.capacity;
    e->env = (executor_env){
        .loop = &rt->loop,
        .pool = {&rt->tasks, port_submit},
        .log = rt->log,
        .lua_instructions = o->engine.lua_instructions,
        .lua_memory_bytes = o->engine.lua_memory_bytes,
        .max_output_bytes = o->max_output_bytes,
        .max_processes = o->max_processes,
    };
    pthread_mutex_init(&e->pulled_lock, NULL);
    return e;
}

static void shell_free(local_engine *e)
{
    pthread_mutex_destroy(&e->pulled_lock);
    mem_free(e->name);
    mem_free(e->endpoint);
    mem_free(e);
}

static bool has_name(const runtime *rt, const char *name)
{
    for (const local_engine *e = rt->engines; e; e = e->next)
        if (!strcmp(e->name, name))
            return true;
    return false;
}

static void append(runtime *rt, local_engine *e)
{
    local_engine **end = &rt->engines;

    while (*end)
        end = &(*end)->next;
    *end = e;
}

/* What cannot be made whole is left for locals_free. */
static int32_t make_parts(local_engine *e, const local_engine_options *o, orch_error **err)
{
    int32_t rc = set_names(e, o->engine.name, err);

    return rc ? rc : make_core(e, o, err);
}

int32_t locals_new(runtime *rt, const local_engine_options *o, local_engine **out, orch_error **err)
{
    local_engine *e;
    int32_t rc;

    if (has_name(rt, o->engine.name))
        return error_set(err, ORCH_E_ALREADY_EXISTS, o->engine.name,
                         "there is an engine '%s' already; ENGINE_ID says its name",
                         o->engine.name);
    e = shell_new(rt, o);
    rc = e ? secrets_init(&e->secrets, o->secrets_dir, err) : error_no_memory(err);
    if (!rc)
        rc = make_parts(e, o, err);
    if (!rc) {
        append(rt, e);
        *out = e;
        return 0;
    }
    if (e) {
        engine_free(e->engine);
        secrets_destroy(&e->secrets);
        shell_free(e);
    }
    return rc;
}

int32_t locals_admit(local_engine *e, orch_error **err)
{
    int32_t rc = 0;

    if (e->rt->orchestrator)
        rc = orchestrator_add_engine(e->rt->orchestrator, e->name, e->rt->transport, e->endpoint,
                                     e->capacity, err);
    if (!rc)
        atomic_fetch_add(&e->rt->capacity, e->capacity);
    return rc;
}

/* ---- from threads of the host ---------------------------------------------------------------------------- */

typedef struct engine_command {
    asked base; /* first */
    const local_engine_options *options;
    local_engine *engine;
    const char *name;
    executor executor;
    bool taken; /* the executor */
} engine_command;

int32_t runtime_ask(runtime *rt, asked *c, void (*run)(command *c, runtime *rt), orch_error **err)
{
    int32_t rc;

    c->base.run = run;
    sem_init(&c->done, 0, 0);
    rc = runtime_post(rt, &c->base, err);
    if (!rc) {
        while (sem_wait(&c->done))
            ;
        rc = c->code;
        if (rc && err)
            *err = c->error;
        else
            orch_error_free(c->error);
    }
    sem_destroy(&c->done);
    return rc;
}

int32_t runtime_check_going(const runtime *rt, orch_error **err)
{
    return rt->stopping
               ? error_set(err, ORCH_E_FAILED_PRECONDITION, NULL, "the orchestrator is stopped")
               : 0;
}

static void make(command *c, runtime *rt)
{
    engine_command *e = (engine_command *)c;

    e->base.code = runtime_check_going(rt, &e->base.error);
    if (!e->base.code)
        e->base.code = locals_new(rt, e->options, &e->engine, &e->base.error);
    sem_post(&e->base.done);
}

int32_t runtime_new_engine(runtime *rt, const local_engine_options *o, local_engine **out,
                           orch_error **err)
{
    engine_command c = {.options = o};
    int32_t rc = runtime_ask(rt, &c.base, make, err);

    if (!rc)
        *out = c.engine;
    return rc;
}

static void admit(command *c, runtime *rt)
{
    engine_command *e = (engine_command *)c;

    e->base.code = runtime_check_going(rt, &e->base.error);
    if (!e->base.code)
        e->base.code = locals_admit(e->engine, &e->base.error);
    sem_post(&e->base.done);
}

int32_t runtime_admit_engine(local_engine *e, orch_error **err)
{
    engine_command c = {.engine = e};

    return runtime_ask(e->rt, &c.base, admit, err);
}

static void add(command *c, runtime *rt)
{
    engine_command *e = (engine_command *)c;

    (void)rt;
    e->taken = true;
    e->base.code = engine_add_executor(e->engine->engine, e->name, e->executor, &e->base.error);
    sem_post(&e->base.done);
}

static void put(command *c, runtime *rt)
{
    engine_command *e = (engine_command *)c;

    (void)rt;
    e->taken = true;
    e->base.code = engine_put_executor(e->engine->engine, e->name, e->executor, &e->base.error);
    sem_post(&e->base.done);
}

static int32_t hand_over(local_engine *e, const char *name, executor x,
                         void (*run)(command *c, runtime *rt), orch_error **err)
{
    engine_command c = {.engine = e, .name = name, .executor = x};
    int32_t rc = runtime_ask(e->rt, &c.base, run, err);

    if (!c.taken)
        x.ops->free(x.self);
    return rc;
}

int32_t runtime_add_executor(local_engine *e, const char *name, executor x, orch_error **err)
{
    return hand_over(e, name, x, add, err);
}

/* A pulled one is known to the threads that pull. */
int32_t runtime_put_executor(local_engine *e, const char *name, executor x, orch_error **err)
{
    int32_t rc;

    pthread_mutex_lock(&e->pulled_lock);
    if (pulled_has(e, name)) {
        x.ops->free(x.self);
        rc = error_set(err, ORCH_E_FAILED_PRECONDITION, name,
                       "tasks of executor '%s' are pulled: it cannot be replaced", name);
    } else {
        rc = hand_over(e, name, x, put, err);
    }
    pthread_mutex_unlock(&e->pulled_lock);
    return rc;
}

const executor_env *runtime_executor_env(const local_engine *e)
{
    return &e->env;
}

int32_t runtime_set_secrets(local_engine *e, orch_secret_fn fn, void *user_data,
                            orch_free_fn free_fn, orch_error **err)
{
    return secrets_set(&e->secrets, fn, user_data, free_fn, err);
}

local_engine *runtime_first_engine(const runtime *rt)
{
    return rt->engines;
}

/* ---- all of them ----------------------------------------------------------------------------------------- */

bool locals_pump(runtime *rt, uint32_t budget)
{
    bool more = false;

    for (local_engine *e = rt->engines; e; e = e->next)
        more |= engine_pump(e->engine, budget);
    return more;
}

bool locals_are_empty(const runtime *rt)
{
    for (const local_engine *e = rt->engines; e; e = e->next)
        if (engine_active(e->engine))
            return false;
    return true;
}

bool locals_are_idle(const runtime *rt)
{
    for (const local_engine *e = rt->engines; e; e = e->next)
        if (!engine_is_idle(e->engine))
            return false;
    return true;
}

int64_t locals_deadline(const runtime *rt)
{
    int64_t at_ms = INT64_MAX;

    for (const local_engine *e = rt->engines; e; e = e->next)
        if (e->timer_ms < at_ms)
            at_ms = e->timer_ms;
    return at_ms;
}

bool runtime_get_progress(const runtime *rt, uint64_t execution_key, engine_progress *out)
{
    for (const local_engine *e = rt->engines; e; e = e->next)
        if (engine_get_progress(e->engine, execution_key, out))
            return true;
    return false;
}

bool runtime_is_running(const runtime *rt, uint64_t execution_key, uint32_t step, uint32_t index)
{
    for (const local_engine *e = rt->engines; e; e = e->next)
        if (engine_is_running(e->engine, execution_key, step, index))
            return true;
    return false;
}

const char *locals_first_running(const runtime *rt, char *buffer, size_t size)
{
    *buffer = '\0';
    for (const local_engine *e = rt->engines; e && !*buffer; e = e->next)
        engine_first_running(e->engine, buffer, size);
    return buffer;
}

bool runtime_has_task(const runtime *rt, const orch_task *task)
{
    return task_is_of(task, &rt->loop);
}

void locals_drain(runtime *rt)
{
    for (local_engine *e = rt->engines; e; e = e->next)
        engine_drain(e->engine);
}

void locals_stop(runtime *rt)
{
    for (local_engine *e = rt->engines; e; e = e->next)
        engine_stop(e->engine);
}

void locals_end(runtime *rt)
{
    for (local_engine *e = rt->engines; e; e = e->next) {
        engine_free(e->engine);
        e->engine = NULL;
    }
}

void locals_close(runtime *rt)
{
    for (local_engine *e = rt->engines; e; e = e->next) {
        pulled_free_all(e);
        secrets_destroy(&e->secrets);
    }
}

void locals_free(runtime *rt)
{
    local_engine *e;

    while ((e = rt->engines)) {
        rt->engines = e->next;
        shell_free(e);
    }
}
