/* Threads that do work which may block; made when there is work for them. */
#ifndef RUNTIME_POOL_IMPL_H
#define RUNTIME_POOL_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <orch/error.h>

#include "base/work.h"
#include "runtime/wake_impl.h"

typedef struct pool {
    const char *name;
    const void *role_owner; /* its threads have ROLE_POOL of it; NULL = no role */
    wake *wake;             /* the loop's */
    uint32_t max_threads, max_queued;
    mpsc finished;         /* for pool_reap */
    atomic_uint under_way; /* submitted and not reaped */
    pthread_mutex_t lock;  /* guards the rest */
    pthread_cond_t more;   /* there is something in the queue, or it was closed */
    pthread_t *threads;
    uint32_t thread_count, idle;
    mpsc_node *first, *last;
    uint32_t queued;
    bool closed;
} pool;

/* Name, role_owner, wake, max_threads and max_queued are set before; the rest is zero. */
int32_t pool_init(pool *p, orch_error **err);
/* Any thread. RESOURCE_EXHAUSTED if the queue is full or there is no thread at all; also once it is closed. */
int32_t pool_submit(pool *p, work *w);
/* The same past the queue's limit, for what is bounded otherwise. */
int32_t pool_submit_always(pool *p, work *w);
bool pool_reap(
    pool *p); /* loop thread: call `done` of what is finished; false if there was nothing */
bool pool_is_quiet(const pool *p); /* nothing is queued or running, all is reaped */
/* What was not begun is finished as refused; waits for what runs. Once. */
void pool_close(pool *p);
void pool_destroy(pool *p); /* closed before */

#endif
