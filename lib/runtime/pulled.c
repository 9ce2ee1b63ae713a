/* Pulled executors, by name: a thread that asks for the next task finds its executor without a turn of the loop. */
#include <semaphore.h>
#include <string.h>

#include "base/error.h"
#include "runtime/runtime_impl.h"
#include "runtime/thread_impl.h"

/* Registers an executor on the loop for a thread that waits. */
typedef struct add_command {
    command base; /* first */
    const char *name;
    executor executor;
    int32_t code;
    orch_error *error;
    sem_t done;
} add_command;

static void add(command *c, runtime *rt)
{
    add_command *a = (add_command *)c;

    a->code = engine_add_executor(rt->engine, a->name, a->executor, &a->error);
    sem_post(&a->done);
}

static int32_t add_to_engine(runtime *rt, const char *name, executor x, orch_error **err)
{
    add_command a = {.base.run = add, .name = name, .executor = x};
    int32_t rc;

    sem_init(&a.done, 0, 0);
    rc = runtime_post(rt, &a.base, err);
    if (rc) {
        x.ops->free(x.self);
    } else {
        while (sem_wait(&a.done))
            ;
        rc = a.code;
        if (rc && err)
            *err = a.error;
        else
            orch_error_free(a.error);
    }
    sem_destroy(&a.done);
    return rc;
}

/* Under the lock, which only threads of the host take. */
static int32_t find_or_add(runtime *rt, const char *name, executor *out, orch_error **err)
{
    size_t len = strlen(name);
    pulled *p;
    int32_t rc;

    HASH_FIND_STR(rt->pulled, name, p);
    if (p) {
        *out = p->executor;
        return 0;
    }
    if (rt->pulled_closed)
        return error_set(err, ORCH_E_CANCELLED, name, "the engine has stopped");
    p = mem_zalloc(sizeof *p + len + 1);
    if (!p)
        return error_no_memory(err);
    memcpy(p->name, name, len + 1);
    rc = executor_pull_new(&rt->env, name, 0, &p->executor, err);
    if (rc) {
        mem_free(p);
        return rc;
    }
    HASH_ADD_STR(rt->pulled, name, p);
    if (!map_added(p->hh)) {
        p->executor.ops->free(p->executor.self);
        mem_free(p);
        return error_no_memory(err);
    }
    rc = add_to_engine(rt, name, p->executor, err);
    if (rc) {
        HASH_DEL(rt->pulled, p);
        mem_free(p);
        return rc;
    }
    *out = p->executor;
    return 0;
}

int32_t runtime_next_task(runtime *rt, const char *name, int32_t timeout_ms, orch_task **out,
                          orch_error **err)
{
    executor
        x; /* a copy: the engine's goes when the runtime is closed, perhaps before this thread is out */
    int32_t rc;

    pthread_mutex_lock(&rt->pulled_lock);
    rc = find_or_add(rt, name, &x, err);
    if (!rc)
        executor_pull_ref(&x);
    pthread_mutex_unlock(&rt->pulled_lock);
    if (rc)
        return rc;
    rc = executor_pull_next(&x, timeout_ms, out, err);
    executor_pull_unref(&x);
    return rc;
}

void pulled_close_all(runtime *rt)
{
    pulled *p, *next;

    pthread_mutex_lock(&rt->pulled_lock);
    rt->pulled_closed = true;
    HASH_ITER(hh, rt->pulled, p, next)
    {
        executor_pull_close(&p->executor);
    }
    pthread_mutex_unlock(&rt->pulled_lock);
}

void pulled_free_all(runtime *rt)
{
    pulled *p, *next;

    pthread_mutex_lock(&rt->pulled_lock);
    HASH_ITER(hh, rt->pulled, p, next)
    {
        HASH_DEL(rt->pulled, p);
        mem_free(p);
    }
    pthread_mutex_unlock(&rt->pulled_lock);
}
