#include "runtime/pool_impl.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "runtime/role.h"
#include "runtime/thread_impl.h"

static work *work_of(mpsc_node *node)
{
    return (work *)(void *)((char *)node - offsetof(work, node));
}

int32_t pool_init(pool *p, orch_error **err)
{
    p->threads = mem_calloc(p->max_threads, sizeof *p->threads);
    if (!p->threads)
        return error_no_memory(err);
    if (condition_init(&p->more)) {
        mem_free(p->threads);
        p->threads = NULL;
        return error_no_memory(err);
    }
    pthread_mutex_init(&p->lock, NULL); /* cannot fail without attributes */
    return 0;
}

/* Under the lock. NULL if there is none. */
static work *take(pool *p)
{
    mpsc_node *node = p->first;

    if (!node)
        return NULL;
    p->first = node->next;
    if (!p->first)
        p->last = NULL;
    p->queued--;
    return work_of(node);
}

/* Under the lock. NULL: the pool is closed. */
static work *wait_for_work(pool *p)
{
    work *w;

    while (!(w = take(p)) && !p->closed) {
        p->idle++;
        pthread_cond_wait(&p->more, &p->lock);
        p->idle--;
    }
    return w;
}

static void finish(pool *p, work *w)
{
    if (mpsc_push(&p->finished, &w->node))
        wake_up(p->wake);
}

static void *thread_main(void *arg)
{
    pool *p = arg;
    role_mark role;
    work *w;

    role_enter(&role, ROLE_POOL, p->role_owner);
    pthread_mutex_lock(&p->lock);
    while ((w = wait_for_work(p))) {
        pthread_mutex_unlock(&p->lock);
        w->run(w);
        finish(p, w);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    role_leave(&role);
    return NULL;
}

/* Under the lock. */
static void add_thread(pool *p)
{
    char name[16];

    snprintf(name, sizeof name, "orch-%.5s-%u", p->name, p->thread_count % 1000);
    if (!thread_start(&p->threads[p->thread_count], name, thread_main, p, NULL))
        p->thread_count++;
}

static int32_t submit(pool *p, work *w, uint32_t max_queued)
{
    int32_t rc = 0;

    w->refused = 0;
    w->node.next = NULL;
    pthread_mutex_lock(&p->lock);
    if (!p->closed && p->queued >= p->idle && p->thread_count < p->max_threads)
        add_thread(p);
    if (p->closed || !p->thread_count || p->queued >= max_queued) {
        rc = ORCH_E_RESOURCE_EXHAUSTED;
    } else {
        if (p->last)
            p->last->next = &w->node;
        else
            p->first = &w->node;
        p->last = &w->node;
        p->queued++;
        atomic_fetch_add(&p->under_way, 1);
        if (p->idle)
            pthread_cond_signal(&p->more);
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

int32_t pool_submit(pool *p, work *w)
{
    return submit(p, w, p->max_queued);
}

int32_t pool_submit_always(pool *p, work *w)
{
    return submit(p, w, UINT32_MAX);
}

bool pool_reap(pool *p)
{
    mpsc_node *node = mpsc_empty(&p->finished) ? NULL : mpsc_drain(&p->finished);
    bool any = node != NULL;

    while (node) {
        mpsc_node *next = node->next;
        work *w = work_of(node);

        w->done(w);
        atomic_fetch_sub(&p->under_way, 1);
        node = next;
    }
    return any;
}

bool pool_is_quiet(const pool *p)
{
    return atomic_load(&p->under_way) == 0;
}

void pool_close(pool *p)
{
    work *w;

    pthread_mutex_lock(&p->lock);
    p->closed = true;
    while ((w = take(p))) {
        pthread_mutex_unlock(&p->lock);
        w->refused = 1;
        finish(p, w);
        pthread_mutex_lock(&p->lock);
    }
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->thread_count; i++) /* no thread is added to a closed pool */
        pthread_join(p->threads[i], NULL);
    p->thread_count = 0;
}

void pool_destroy(pool *p)
{
    if (!p->threads)
        return;
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->threads);
    p->threads = NULL;
}
