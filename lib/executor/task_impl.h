/* Tasks: what a host holds of an attempt. A task outlives its attempt: the engine may take the attempt back at any
 * time (executor_ops.free), and the host's handle stays valid until the host completes it. */
#ifndef EXECUTOR_TASK_IMPL_H
#define EXECUTOR_TASK_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/list.h"
#include "executor/executor_impl.h"

/* The tasks of one executor that are not completed. Lives as long as one of them. */
typedef struct task_set {
    atomic_uint refs;
    pid_t pid;             /* a forked child must not touch the lock */
    const uv_loop_t *loop; /* of the engine */
    uint32_t max_output_bytes;
    pthread_mutex_t lock;
    pthread_cond_t stopping; /* some task was told to stop */
    pthread_cond_t queued;   /* pull: there is a task to take, or the queue was closed */
    list open;               /* tasks that have their attempt */
} task_set;

struct orch_task {
    work work;   /* host: of the call */
    list open;   /* in set->open while it has its attempt */
    list queued; /* pull: until it is taken */
    void *owner; /* host: the executor, during the call */
    task_set *set;
    attempt *attempt; /* under set->lock; NULL: completed, or taken back */
    atomic_int stop;
    atomic_uint refs; /* the holder, and the pool during a call */
    /* Heartbeats take no lock but for the first of those that the engine has not seen yet. */
    _Atomic(bytes *) said; /* details that the engine has not taken; NULL = none */
    atomic_bool beating;   /* the engine was told and has not looked yet */
    uint32_t index, number;
    uint8_t role;
    bytes *before; /* details of attempts before this one; NULL = none */
    json_t *with;
    bytes *input; /* `with` as text, made off the loop; NULL = null */
    const char *execution, *workflow, *step, *key;
    char text[]; /* those four */
};

int32_t task_set_new(const executor_env *env, task_set **out, orch_error **err);
void task_set_unref(task_set *s);
/* Take back all attempts: they end as cancelled. */
void task_set_detach(task_set *s);

orch_task *task_new(task_set *s, attempt *a); /* with one reference; NULL if there is no memory */
/* The attempt's stop was set: tell its task. Under the lock. NULL if the attempt was completed already. */
orch_task *task_tell_stop(task_set *s, attempt *a);
/* Make the input's text, which orch_task_input shows. Off the loop, before the host has the task. */
int32_t task_make_input(orch_task *t);
bytes *task_take_beat(task_set *s, attempt *a); /* executor_ops.take_beat */
attempt *task_take_attempt(orch_task *t);       /* NULL: completed, or taken back */
void task_finish(
    orch_task *t,
    attempt_result r); /* ends the attempt if it is still there; takes the holder's reference */
void task_deadline(int32_t timeout_ms,
                   struct timespec *out); /* for waits on the conditions above */

#endif
