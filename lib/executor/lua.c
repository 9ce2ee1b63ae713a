/* Lua code on the pool, in a sandbox. */
#include <pthread.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "executor/executor_impl.h"
#include "executor/sandboxes.h"

typedef struct lua {
    work_pool pool;
    sandboxes *sandboxes;
    list jobs; /* that the pool has; loop thread */
    pthread_mutex_t lock;
    pthread_cond_t idle; /* no job is running */
    unsigned running;    /* under the lock */
    bool freed;          /* likewise */
} lua;

typedef struct lua_job {
    work work;
    list jobs;
    lua *lua;
    attempt *attempt; /* NULL: completed by lua_free */
    bool ran;
    attempt_result result;
} lua_job;

/* What the code sees: the step's scope, with an `input` of its own if `with` has one. */
static scope scope_of(const attempt *a)
{
    scope s = *a->scope;
    json_t *input = json_object_get(a->with, "input");

    if (input)
        s.input = input;
    return s;
}

/* Lua does the same each time, so that what it says of itself is final; codes that code raised are for the policy. */
static attempt_result failure(const attempt *a, orch_error *error)
{
    int32_t code = orch_error_code(error);

    if (code == ORCH_E_CANCELLED && atomic_load(&a->stop)) {
        orch_error_free(error);
        return result_stopped(a, "the code");
    }
    return result_from_error(error,
                             code == ORCH_E_INVALID_ARGUMENT || code == ORCH_E_RESOURCE_EXHAUSTED);
}

static attempt_result evaluate(lua *l, attempt *a)
{
    const json_t *code = json_object_get(a->with, "code");
    const volatile void *stop = &a->stop;
    scope sc = scope_of(a);
    sandbox *s = NULL;
    json_t *value = NULL;
    orch_error *error = NULL;
    attempt_result r = {0};
    int32_t rc;

    if (atomic_load(&a->stop))
        return result_stopped(a, "the code, which had not begun,");
    if (sandboxes_take(l->sandboxes, &s, &error)) {
        orch_error_free(error);
        return result_no_memory();
    }
    rc = sandbox_run(s, json_string_value(code), json_string_length(code), false, &sc, a->names,
                     stop, &value, &error);
    sandboxes_give(l->sandboxes, s);
    if (rc)
        return failure(a, error);
    r.output = json_is_null(value) ? NULL : output_of_json(value);
    if (!r.output && !json_is_null(value))
        r = result_no_memory();
    json_decref(value);
    return r;
}

static void lua_run(work *w)
{
    lua_job *j = LIST_ENTRY(w, lua_job, work);
    lua *l = j->lua;
    bool freed;

    pthread_mutex_lock(&l->lock);
    freed = l->freed;
    if (!freed)
        l->running++;
    pthread_mutex_unlock(&l->lock);
    if (freed)
        return;

    j->result = evaluate(l, j->attempt);
    j->ran = true;

    pthread_mutex_lock(&l->lock);
    if (--l->running == 0)
        pthread_cond_signal(&l->idle);
    pthread_mutex_unlock(&l->lock);
}

static void destroy(lua *l)
{
    sandboxes_free(l->sandboxes);
    pthread_cond_destroy(&l->idle);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}

static void complete(lua_job *j)
{
    attempt *a = j->attempt;

    if (!a)
        return;
    j->attempt = NULL;
    if (!j->ran)
        j->result = result_error(ORCH_E_CANCELLED, false, NULL,
                                 "the engine stopped before the code began");
    attempt_complete(a, j->result);
}

static void lua_done(work *w)
{
    lua_job *j = LIST_ENTRY(w, lua_job, work);
    lua *l = j->lua;

    complete(j);
    list_remove(&j->jobs);
    mem_free(j);
    if (l->freed && list_empty(&l->jobs))
        destroy(l);
}

static int32_t check(const attempt *a, orch_error **err)
{
    static const char *const known[] = {"code", "input", NULL};
    const char *code = NULL;
    int32_t rc = with_check(a->with, "lua", known, err);

    if (!rc)
        rc = with_text(a->with, "code", &code, err);
    if (!rc && !code)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "code", "with.code: lua needs it, a string");
    return rc;
}

static bool lua_start(void *self, attempt *a)
{
    lua *l = self;
    orch_error *error = NULL;
    lua_job *j;
    int32_t rc;

    if (check(a, &error))
        return attempt_ended(a, result_from_error(error, true));
    j = mem_zalloc(sizeof *j);
    if (!j)
        return attempt_ended(a, result_no_memory());
    j->work = (work){.run = lua_run, .done = lua_done};
    j->lua = l;
    j->attempt = a;
    rc = l->pool.submit(l->pool.self, &j->work);
    if (!rc) {
        list_push(&l->jobs, &j->jobs);
        return false;
    }
    mem_free(j);
    return attempt_ended(a, result_error(rc, false, NULL, "the engine's task pool is full"));
}

/* Code that runs reads its attempt, so it is waited for: it has been told to stop and looks at that all the time. */
static void lua_free(void *self)
{
    lua *l = self;

    pthread_mutex_lock(&l->lock);
    l->freed = true;
    while (l->running)
        pthread_cond_wait(&l->idle, &l->lock);
    pthread_mutex_unlock(&l->lock);
    LIST_EACH(node, &l->jobs)
    complete(LIST_ENTRY(node, lua_job, jobs));
    if (list_empty(&l->jobs))
        destroy(l);
}

int32_t executor_lua_new(const executor_env *env, executor *out, orch_error **err)
{
    static const executor_ops ops = {.size = sizeof ops,
                                     .name = "lua",
                                     .wants_scope = true,
                                     .start = lua_start,
                                     .free = lua_free};
    sandbox_limits limits = {env->lua_instructions, env->lua_memory_bytes};
    lua *l = mem_zalloc(sizeof *l);
    int32_t rc;

    if (!l)
        return error_no_memory(err);
    rc = sandboxes_new(&limits, &l->sandboxes, err);
    if (rc) {
        mem_free(l);
        return rc;
    }
    l->pool = env->pool;
    list_init(&l->jobs);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->idle, NULL);
    *out = (executor){&ops, l};
    return 0;
}
