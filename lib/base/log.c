#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"

struct logger {
    pthread_mutex_t lock; /* guards fn, user_data, free_fn; recursive, so that a callback may log */
    atomic_int min_level; /* read without the lock: most lines are below it */
    orch_log_fn fn;
    void *user_data;
    orch_free_fn free_fn;
};

#define LEVEL_NONE (ORCH_LOG_CRITICAL + 1)

logger *logger_new(void)
{
    logger *l = mem_zalloc(sizeof *l);
    pthread_mutexattr_t attr;

    if (!l)
        return NULL;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&l->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    atomic_init(&l->min_level, LEVEL_NONE);
    return l;
}

void logger_free(logger *l)
{
    if (!l)
        return;
    logger_set(l, NULL, NULL, NULL, LEVEL_NONE);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}

void logger_set(logger *l, orch_log_fn fn, void *user_data, orch_free_fn free_fn, int32_t min_level)
{
    void *old_data;
    orch_free_fn old_free;

    pthread_mutex_lock(&l->lock);
    old_data = l->user_data;
    old_free = l->free_fn;
    l->fn = fn;
    l->user_data = user_data;
    l->free_fn = free_fn;
    atomic_store(&l->min_level, fn ? min_level : LEVEL_NONE);
    pthread_mutex_unlock(&l->lock);
    if (old_free)
        old_free(old_data);
}

void log_write(logger *l, int32_t level, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (!l || level < atomic_load_explicit(&l->min_level, memory_order_relaxed))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&l->lock);
    if (l->fn)
        l->fn(l->user_data, level, text);
    pthread_mutex_unlock(&l->lock);
}
