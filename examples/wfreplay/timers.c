#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wfreplay.h"

typedef struct timer {
    int64_t due_ns;
    orch_task *task;
    int64_t number; /* of the task in what is followed; -1 = in something else */
} timer;

struct timers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    double scale;
    timer *heap; /* the earliest first */
    size_t count, cap;
    bool stopped;
    const char *execution;
    trace *traces;
    uint32_t trace_count;
};

int64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- The heap, under the lock -------------------------------------------------------------------------- */

static bool heap_add(timers *t, timer added)
{
    size_t at = t->count;

    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 256;
        timer *grown = realloc(t->heap, cap * sizeof *grown);

        if (!grown)
            return false;
        t->heap = grown;
        t->cap = cap;
    }
    t->count++;
    for (; at && t->heap[(at - 1) / 2].due_ns > added.due_ns; at = (at - 1) / 2)
        t->heap[at] = t->heap[(at - 1) / 2];
    t->heap[at] = added;
    return true;
}

static timer heap_take(timers *t)
{
    timer first = t->heap[0], last = t->heap[--t->count];
    size_t at = 0;

    for (size_t child = 1; child < t->count; child = 2 * at + 1) {
        if (child + 1 < t->count && t->heap[child + 1].due_ns < t->heap[child].due_ns)
            child++;
        if (t->heap[child].due_ns >= last.due_ns)
            break;
        t->heap[at] = t->heap[child];
        at = child;
    }
    t->heap[at] = last;
    return first;
}

/* ---- The thread ---------------------------------------------------------------------------------------- */

static void wait_until(timers *t, int64_t due_ns)
{
    struct timespec at = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};

    pthread_cond_timedwait(&t->changed, &t->lock, &at);
}

/* The end is noted before anyone can hear of it. */
static void finish(timers *t, timer due)
{
    if (due.number >= 0) {
        t->traces[due.number].end_ns = clock_ns();
        t->traces[due.number].runs++;
    }
    pthread_mutex_unlock(&t->lock);
    orch_task_complete(due.task, NULL, 0, NULL);
    pthread_mutex_lock(&t->lock);
}

static void *run(void *arg)
{
    timers *t = arg;

    pthread_mutex_lock(&t->lock);
    while (!t->stopped) {
        if (!t->count)
            pthread_cond_wait(&t->changed, &t->lock);
        else if (t->heap[0].due_ns > clock_ns())
            wait_until(t, t->heap[0].due_ns);
        else
            finish(t, heap_take(t));
    }
    while (t->count)
        orch_task_fail(heap_take(t).task, ORCH_E_CANCELLED, 1, "the replay ends");
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* ---- Tasks --------------------------------------------------------------------------------------------- */

void timers_executor(void *user_data, orch_task *task)
{
    int64_t start_ns = clock_ns();
    timers *t = user_data;
    size_t len;
    const char *text = orch_task_input(task, &len);
    json_t *input = json_loadb(text, len, 0, NULL);
    double seconds = json_number_value(json_object_get(input, "seconds")) * t->scale;
    timer added = {start_ns + (int64_t)(seconds * 1e9), task,
                   json_integer_value(json_object_get(input, "task"))};
    bool taken;

    pthread_mutex_lock(&t->lock);
    if (!t->execution || strcmp(orch_task_execution(task), t->execution) != 0 ||
        added.number >= t->trace_count)
        added.number = -1;
    else
        t->traces[added.number].start_ns = start_ns;
    taken = input && !t->stopped && heap_add(t, added);
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    json_decref(input);
    if (!taken)
        orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "the replay ends, or has no memory");
}

/* ---- Beginning and end --------------------------------------------------------------------------------- */

timers *timers_new(double scale)
{
    timers *t = calloc(1, sizeof *t);
    pthread_condattr_t attr;

    if (!t)
        return NULL;
    t->scale = scale;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (!pthread_create(&t->thread, NULL, run, t))
        return t;
    free(t);
    return NULL;
}

void timers_follow(timers *t, const char *execution, trace *traces, uint32_t count)
{
    pthread_mutex_lock(&t->lock);
    t->execution = execution;
    t->traces = traces;
    t->trace_count = count;
    pthread_mutex_unlock(&t->lock);
}

void timers_stop(timers *t)
{
    pthread_mutex_lock(&t->lock);
    t->stopped = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
}

void timers_free(timers *t)
{
    if (!t)
        return;
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t->heap);
    free(t);
}
