/* Callbacks of the host, pulled: attempts wait in a bounded queue for threads that ask for them. */
#include <errno.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "executor/task_impl.h"

#define DEFAULT_MAX_QUEUED 1024

typedef struct pull {
    atomic_uint refs;
    char *name;
    task_set *tasks;
    /* Under tasks->lock: */
    list queue;
    uint32_t queued, max_queued;
    bool closed;
} pull;

static void pull_unref(pull *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    task_set_unref(p->tasks);
    mem_free(p->name);
    mem_free(p);
}

/* Under the lock. NULL if the queue is empty. */
static orch_task *pop(pull *p)
{
    list *node = list_pop(&p->queue);

    if (!node)
        return NULL;
    p->queued--;
    return LIST_ENTRY(node, orch_task, queued);
}

/* True if it is in the queue now. */
static bool put(pull *p, orch_task *t)
{
    bool room;

    pthread_mutex_lock(&p->tasks->lock);
    room = !p->closed && p->queued < p->max_queued;
    if (room) {
        list_push(&p->queue, &t->queued);
        p->queued++;
        pthread_cond_signal(&p->tasks->queued);
    }
    pthread_mutex_unlock(&p->tasks->lock);
    return room;
}

static bool pull_start(void *self, attempt *a)
{
    pull *p = self;
    orch_task *t = task_new(p->tasks, a);

    if (!t)
        return attempt_ended(a, result_no_memory());
    if (put(p, t))
        return false;
    task_take_attempt(t);
    task_unref(t);
    return attempt_ended(a,
                         result_error(ORCH_E_RESOURCE_EXHAUSTED, false, NULL,
                                      "executor %s: %u tasks wait to be taken, which is the limit",
                                      p->name, p->max_queued));
}

static void pull_stop(void *self, attempt *a)
{
    pull *p = self;
    orch_task *t;

    pthread_mutex_lock(&p->tasks->lock);
    t = task_tell_stop(p->tasks, a);
    if (t && list_empty(&t->queued)) {
        t = NULL; /* somebody has it */
    } else if (t) {
        list_remove(&t->queued);
        p->queued--;
    }
    pthread_mutex_unlock(&p->tasks->lock);
    if (t)
        task_finish(t, result_stopped(a, "the task, which nobody took,"));
}

static orch_task *pop_locked(pull *p)
{
    orch_task *t;

    pthread_mutex_lock(&p->tasks->lock);
    t = pop(p);
    pthread_mutex_unlock(&p->tasks->lock);
    return t;
}

void executor_pull_close(executor *e)
{
    pull *p = e->self;
    orch_task *t;

    pthread_mutex_lock(&p->tasks->lock);
    p->closed = true;
    pthread_cond_broadcast(&p->tasks->queued);
    pthread_mutex_unlock(&p->tasks->lock);
    while ((t = pop_locked(p)))
        task_finish(t, result_error(ORCH_E_CANCELLED, false, NULL,
                                    "the engine stopped before the task was taken"));
}

static bytes *pull_take_beat(void *self, attempt *a)
{
    pull *p = self;

    return task_take_beat(p->tasks, a);
}

static void pull_free(void *self)
{
    pull *p = self;
    executor e = {NULL, p};

    executor_pull_close(&e);
    task_set_detach(p->tasks);
    pull_unref(p);
}

static int32_t wait_for_task(pull *p, int32_t timeout_ms, orch_task **out, orch_error **err)
{
    task_set *s = p->tasks;
    struct timespec until = {0};
    int32_t code = 0;
    bool late = timeout_ms == 0;

    if (timeout_ms > 0)
        task_deadline(timeout_ms, &until);
    pthread_mutex_lock(&s->lock);
    while (!(*out = pop(p)) && !p->closed && !late) {
        if (timeout_ms > 0)
            late = pthread_cond_timedwait(&s->queued, &s->lock, &until) == ETIMEDOUT;
        else
            pthread_cond_wait(&s->queued, &s->lock);
    }
    if (!*out)
        code = p->closed ? ORCH_E_CANCELLED : ORCH_E_DEADLINE_EXCEEDED;
    pthread_mutex_unlock(&s->lock);
    if (code == ORCH_E_CANCELLED)
        return error_set(err, code, p->name, "executor %s: the engine has stopped", p->name);
    if (code)
        return error_set(err, code, p->name, "executor %s: no task came within %d ms", p->name,
                         timeout_ms);
    return 0;
}

int32_t executor_pull_next(executor *e, int32_t timeout_ms, orch_task **out, orch_error **err)
{
    pull *p = e->self;
    orch_task *t = NULL;
    int32_t rc;

    executor_pull_ref(e);
    rc = wait_for_task(p, timeout_ms, &t, err);
    if (!rc && task_make_input(t)) {
        task_finish(t, result_no_memory());
        rc = error_no_memory(err);
    }
    if (!rc)
        *out = t;
    pull_unref(p);
    return rc;
}

void executor_pull_ref(executor *e)
{
    pull *p = e->self;

    atomic_fetch_add(&p->refs, 1);
}

void executor_pull_unref(executor *e)
{
    pull_unref(e->self);
}

int32_t executor_pull_new(const executor_env *env, const char *name, uint32_t max_queued,
                          executor *out, orch_error **err)
{
    static const executor_ops ops = {.size = sizeof ops,
                                     .name = "pull",
                                     .start = pull_start,
                                     .stop = pull_stop,
                                     .take_beat = pull_take_beat,
                                     .free = pull_free};
    pull *p = mem_zalloc(sizeof *p);
    int32_t rc;

    if (!p)
        return error_no_memory(err);
    atomic_init(&p->refs, 1);
    list_init(&p->queue);
    p->max_queued = max_queued ? max_queued : DEFAULT_MAX_QUEUED;
    p->name = mem_strdup(name);
    rc = p->name ? task_set_new(env, &p->tasks, err) : error_no_memory(err);
    if (rc) {
        pull_unref(p);
        return rc;
    }
    *out = (executor){&ops, p};
    return 0;
}
