#include "executor/sandboxes.h"

#include <pthread.h>

#include "base/error.h"
#include "base/mem.h"

#define IDLE_MAX 16 /* more than any pool has threads busy with Lua at a time, mostly */

struct sandboxes {
    pthread_mutex_t lock; /* guards the rest */
    sandbox_limits limits;
    sandbox *idle[IDLE_MAX];
    unsigned count;
};

int32_t sandboxes_new(const sandbox_limits *limits, sandboxes **out, orch_error **err)
{
    sandboxes *s = mem_zalloc(sizeof *s);

    if (!s)
        return error_no_memory(err);
    pthread_mutex_init(&s->lock, NULL);
    s->limits = *limits;
    *out = s;
    return 0;
}

void sandboxes_free(sandboxes *s)
{
    if (!s)
        return;
    while (s->count)
        sandbox_free(s->idle[--s->count]);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

int32_t sandboxes_take(sandboxes *s, sandbox **out, orch_error **err)
{
    sandbox *b = NULL;

    pthread_mutex_lock(&s->lock);
    if (s->count)
        b = s->idle[--s->count];
    pthread_mutex_unlock(&s->lock);
    if (!b)
        return sandbox_new(&s->limits, out, err);
    *out = b;
    return 0;
}

void sandboxes_give(sandboxes *s, sandbox *b)
{
    pthread_mutex_lock(&s->lock);
    if (s->count < IDLE_MAX) {
        s->idle[s->count++] = b;
        b = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    sandbox_free(b);
}
