/* Pulled executors, by name: a thread that asks for the next task finds its executor without a turn of the loop. */
#include <string.h>

#include "base/error.h"
#include "runtime/runtime_impl.h"
#include "runtime/thread_impl.h"

/* Under the lock, which only threads of the host take. */
static int32_t find_or_add(local_engine *e, const char *name, executor *out, orch_error **err)
{
    size_t len = strlen(name);
    pulled *p;
    int32_t rc;

    HASH_FIND_STR(e->pulled, name, p);
    if (p) {
        *out = p->executor;
        return 0;
    }
    if (e->pulled_closed)
        return error_set(err, ORCH_E_CANCELLED, name, "the engine has stopped");
    p = mem_zalloc(sizeof *p + len + 1);
    if (!p)
        return error_no_memory(err);
    memcpy(p->name, name, len + 1);
    rc = executor_pull_new(&e->env, name, 0, &p->executor, err);
    if (rc) {
        mem_free(p);
        return rc;
    }
    HASH_ADD_STR(e->pulled, name, p);
    if (!map_added(p->hh)) {
        p->executor.ops->free(p->executor.self);
        mem_free(p);
        return error_no_memory(err);
    }
    rc = runtime_add_executor(e, name, p->executor, err);
    if (rc) {
        HASH_DEL(e->pulled, p);
        mem_free(p);
        return rc;
    }
    *out = p->executor;
    return 0;
}

int32_t runtime_next_task(local_engine *e, const char *name, int32_t timeout_ms, orch_task **out,
                          orch_error **err)
{
    executor
        x; /* a copy: the engine's goes when the runtime is closed, perhaps before this thread is out */
    int32_t rc;

    pthread_mutex_lock(&e->pulled_lock);
    rc = find_or_add(e, name, &x, err);
    if (!rc)
        executor_pull_ref(&x);
    pthread_mutex_unlock(&e->pulled_lock);
    if (rc)
        return rc;
    rc = executor_pull_next(&x, timeout_ms, out, err);
    executor_pull_unref(&x);
    return rc;
}

bool pulled_has(const local_engine *e, const char *name)
{
    const pulled *p;

    HASH_FIND_STR(e->pulled, name, p);
    return p != NULL;
}

void pulled_close_all(local_engine *e)
{
    pulled *p, *next;

    pthread_mutex_lock(&e->pulled_lock);
    e->pulled_closed = true;
    HASH_ITER(hh, e->pulled, p, next)
    {
        executor_pull_close(&p->executor);
    }
    pthread_mutex_unlock(&e->pulled_lock);
}

void pulled_free_all(local_engine *e)
{
    pulled *p, *next;

    pthread_mutex_lock(&e->pulled_lock);
    HASH_ITER(hh, e->pulled, p, next)
    {
        HASH_DEL(e->pulled, p);
        mem_free(p);
    }
    pthread_mutex_unlock(&e->pulled_lock);
}
