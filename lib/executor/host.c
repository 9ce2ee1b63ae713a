/* Callbacks of the host, pushed: each attempt is one call on the pool. The call may leave the task open and complete
 * it later, so the end of a call and the end of its attempt are two things. */
#include "base/error.h"
#include "base/mem.h"
#include "executor/task_impl.h"

typedef struct host {
    atomic_uint uses; /* the engine, and each call that the pool has */
    work_pool pool;
    task_set *tasks;
    orch_task_fn fn;
    void *user_data;
    orch_free_fn free_fn;
} host;

static void host_unuse(host *h)
{
    if (atomic_fetch_sub(&h->uses, 1) != 1)
        return;
    if (h->free_fn)
        h->free_fn(h->user_data);
    task_set_unref(h->tasks);
    mem_free(h);
}

/* What must be true before the host sees the task. Else the attempt ends here. */
static bool begin(orch_task *t)
{
    int32_t stop = atomic_load(&t->stop);

    if (stop)
        task_finish(t, result_error(stop, false, NULL, "stopped before its call began"));
    else if (task_make_input(t))
        task_finish(t, result_no_memory());
    else
        return true;
    return false;
}

static void host_run(work *w)
{
    orch_task *t = LIST_ENTRY(w, orch_task, work);
    host *h = t->owner;

    if (begin(t))
        h->fn(h->user_data, t);
    host_unuse(h); /* here and not in done(): a loop that is gone calls no done() */
}

static void host_done(work *w)
{
    orch_task *t = LIST_ENTRY(w, orch_task, work);

    if (w->refused) {
        host_unuse(t->owner);
        task_finish(t, result_error(ORCH_E_CANCELLED, false, NULL,
                                    "the engine stopped before its call began"));
    }
    task_unref(t);
}

static bool host_start(void *self, attempt *a)
{
    host *h = self;
    orch_task *t = task_new(h->tasks, a);
    int32_t rc;

    if (!t)
        return attempt_ended(a, result_no_memory());
    t->owner = h;
    t->work = (work){.run = host_run, .done = host_done};
    atomic_fetch_add(&t->refs, 1);
    atomic_fetch_add(&h->uses, 1);
    rc = h->pool.submit(h->pool.self, &t->work);
    if (!rc)
        return false;
    host_unuse(h);
    task_take_attempt(t);
    task_unref(t);
    task_unref(t);
    return attempt_ended(a, result_error(rc, false, NULL, "the engine's task pool is full"));
}

static void host_stop(void *self, attempt *a)
{
    host *h = self;

    pthread_mutex_lock(&h->tasks->lock);
    task_tell_stop(h->tasks, a);
    pthread_mutex_unlock(&h->tasks->lock);
}

static bytes *host_take_beat(void *self, attempt *a)
{
    host *h = self;

    return task_take_beat(h->tasks, a);
}

static void host_free(void *self)
{
    host *h = self;

    task_set_detach(h->tasks);
    host_unuse(h);
}

int32_t executor_host_new(const executor_env *env, const char *name, orch_task_fn fn,
                          void *user_data, orch_free_fn free_fn, executor *out, orch_error **err)
{
    static const executor_ops ops = {.size = sizeof ops,
                                     .name = "host",
                                     .start = host_start,
                                     .stop = host_stop,
                                     .take_beat = host_take_beat,
                                     .free = host_free};
    host *h = NULL;
    int32_t rc;

    if (!fn) {
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                       "executor %s: the function must not be NULL", name);
        goto out;
    }
    h = mem_zalloc(sizeof *h);
    if (!h) {
        rc = error_no_memory(err);
        goto out;
    }
    rc = task_set_new(env, &h->tasks, err);
    if (rc)
        goto out;
    atomic_init(&h->uses, 1);
    h->pool = env->pool;
    h->fn = fn;
    h->user_data = user_data;
    h->free_fn = free_fn;
    *out = (executor){&ops, h};
    return 0;
out:
    mem_free(h);
    if (free_fn)
        free_fn(user_data);
    return rc;
}
