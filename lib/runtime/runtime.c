#include "runtime/runtime.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>

#include "base/error.h"
#include "runtime/runtime_impl.h"
#include "runtime/thread_impl.h"

#define IO_THREADS       2
#define CALL_THREADS     8
#define MAX_QUEUED_CALLS 10000
#define MAX_QUEUED_TASKS 1000000

/* ---- making one ------------------------------------------------------------------------------------------ */

static void set_plain(runtime *rt, const runtime_options *o)
{
    rt->wake.fd = -1;
    rt->log = o->log;
    rt->max_commands = o->max_commands;
    rt->tasks.name = "task";
    rt->tasks.role_owner = rt;
    rt->tasks.max_threads = o->task_threads;
    rt->tasks.max_queued = MAX_QUEUED_TASKS;
    rt->tasks.wake = &rt->wake;
    rt->io.name = "io";
    rt->io.max_threads = IO_THREADS;
    rt->io.max_queued = MAX_QUEUED_TASKS;
    rt->io.wake = &rt->wake;
    rt->calls.name = "call";
    rt->calls.max_threads = CALL_THREADS;
    rt->calls.max_queued = MAX_QUEUED_CALLS;
    rt->calls.wake = &rt->wake;
    rt->callbacks.fd = -1;
}

/* What needs no undoing but runtime_free. */
static int32_t init_shell(runtime *rt, const runtime_options *o, orch_error **err)
{
    set_plain(rt, o);
    if (condition_init(&rt->changed)) {
        mem_free(rt);
        return error_no_memory(err);
    }
    pthread_mutex_init(&rt->lock, NULL);
    return 0;
}

static int32_t init_parts(runtime *rt, const runtime_options *o, orch_error **err)
{
    int32_t rc = wake_init(&rt->wake, err);

    if (!rc)
        rc = pool_init(&rt->tasks, err);
    if (!rc)
        rc = pool_init(&rt->io, err);
    if (!rc)
        rc = pool_init(&rt->calls, err);
    if (!rc)
        rc = callbacks_init(&rt->callbacks, &rt->tasks, err);
    if (!rc)
        rc = loop_init(rt, err);
    if (!rc)
        rc = cores_new(rt, o, err);
    return rc;
}

int32_t runtime_new(const runtime_options *o, runtime **out, orch_error **err)
{
    runtime *rt = mem_zalloc(sizeof *rt);
    int32_t rc = rt ? init_shell(rt, o, err) : error_no_memory(err);

    if (rc)
        return rc;
    rc = init_parts(rt, o, err);
    if (!rc)
        rc = loop_start(rt, err);
    if (rc) {
        runtime_close(rt);
        runtime_free(rt);
        return rc;
    }
    *out = rt;
    return 0;
}

/* ---- access ---------------------------------------------------------------------------------------------- */

bool runtime_is_stopped(runtime *rt)
{
    return atomic_load(&rt->phase) != PHASE_RUNNING;
}

orchestrator *runtime_orchestrator(runtime *rt)
{
    return rt->orchestrator;
}

events *runtime_events(runtime *rt)
{
    return &rt->events;
}

bool runtime_is_stopping(const runtime *rt)
{
    return rt->stopping;
}

int64_t runtime_now_ms(const runtime *rt)
{
    return rt->now_ms;
}

int32_t runtime_call(runtime *rt, work *w)
{
    return pool_submit(&rt->calls, w);
}

store *runtime_store(runtime *rt)
{
    return &rt->store;
}

/* One thread, and one slot of an engine, stay free for what the others wait for. */
static unsigned max_waiting(runtime *rt)
{
    unsigned capacity = atomic_load(&rt->capacity), threads = rt->tasks.max_threads;
    unsigned least = capacity < threads ? capacity : threads;

    return least ? least - 1 : 0;
}

int32_t runtime_begin_wait(runtime *rt, orch_error **err)
{
    unsigned waiting = atomic_load(&rt->waiting);

    if (!role_is(ROLE_POOL, rt))
        return 0;
    do
        if (waiting >= max_waiting(rt))
            return error_set(
                err, ORCH_E_FAILED_PRECONDITION, "TASK_THREADS",
                "%u threads of the task pool wait for executions already; the last one "
                "must not, since what they wait for may need it (TASK_THREADS, "
                "LOCAL_CAPACITY)",
                waiting);
    while (!atomic_compare_exchange_weak(&rt->waiting, &waiting, waiting + 1));
    return 0;
}

void runtime_end_wait(runtime *rt)
{
    if (role_is(ROLE_POOL, rt))
        atomic_fetch_sub(&rt->waiting, 1);
}

/* ---- callbacks ------------------------------------------------------------------------------------------- */

int32_t runtime_call_back(runtime *rt, callback *c, orch_error **err)
{
    if (!role_is(ROLE_LOOP, rt))
        return callbacks_add(&rt->callbacks, c, err);
    callbacks_gather(&rt->callbacks, c);
    return 0;
}

int32_t runtime_fd(runtime *rt)
{
    return callbacks_fd(&rt->callbacks);
}

int32_t runtime_dispatch(runtime *rt)
{
    role_mark role;
    int32_t count;

    role_enter(&role, ROLE_DISPATCH, rt);
    count = callbacks_dispatch(&rt->callbacks);
    role_leave(&role);
    return count;
}

/* ---- stopping -------------------------------------------------------------------------------------------- */

/* Something that the loop does for the thread that stops. */
typedef struct stop_command {
    command base; /* first */
    int32_t timeout_ms;
    int32_t code;
    orch_error *error;
    char running[300];
    sem_t done;
} stop_command;

static void begin(command *c, runtime *rt)
{
    cores_stop(rt);
    sem_post(&((stop_command *)c)->done);
}

static void name_running(command *c, runtime *rt)
{
    stop_command *s = (stop_command *)c;

    locals_first_running(rt, s->running, sizeof s->running);
    sem_post(&s->done);
}

static void stop_store(command *c, runtime *rt)
{
    stop_command *s = (stop_command *)c;

    s->code = rt->store.ops->stop(rt->store.self, s->timeout_ms, &s->error);
    sem_post(&s->done);
}

static void end(command *c, runtime *rt)
{
    rt->ending = true;
    sem_post(&((stop_command *)c)->done);
}

/* The loop runs until PHASE_STOPPED, so that it can always be asked. */
static void on_loop(runtime *rt, stop_command *s, void (*run)(command *c, runtime *rt))
{
    s->base.run = run;
    sem_init(&s->done, 0, 0);
    runtime_post_always(rt, &s->base);
    while (sem_wait(&s->done))
        ;
    sem_destroy(&s->done);
}

/* One stopper at a time. False if the time ran out. */
static bool claim(runtime *rt, const struct timespec *until)
{
    bool claimed;
    int rc = 0;

    pthread_mutex_lock(&rt->lock);
    while (rt->busy && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&rt->changed, &rt->lock, until);
    claimed = !rt->busy;
    rt->busy = true;
    pthread_mutex_unlock(&rt->lock);
    return claimed;
}

static void release(runtime *rt)
{
    pthread_mutex_lock(&rt->lock);
    rt->busy = false;
    pthread_cond_broadcast(&rt->changed);
    pthread_mutex_unlock(&rt->lock);
}

/* For one of those that the lock guards. False if the time ran out. */
static bool wait_until(runtime *rt, const bool *holds, const struct timespec *until)
{
    bool held;
    int rc = 0;

    pthread_mutex_lock(&rt->lock);
    while (!*holds && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&rt->changed, &rt->lock, until);
    held = *holds;
    pthread_mutex_unlock(&rt->lock);
    return held;
}

static void begin_draining(command *c, runtime *rt)
{
    rt->draining = true;
    locals_drain(rt);
    wires_drain(rt);
    sem_post(&((asked *)c)->done);
}

bool runtime_drain(runtime *rt, int32_t timeout_ms)
{
    struct timespec until = deadline_in(timeout_ms);
    asked c = {0};

    return runtime_ask(rt, &c, begin_draining, NULL) || wait_until(rt, &rt->drained, &until);
}

static void end_threads(runtime *rt)
{
    stop_command s = {0};

    if (!rt->has_thread)
        return;
    pool_close(&rt->tasks);
    pool_close(&rt->io);
    pool_close(&rt->calls);
    on_loop(rt, &s, end);
    pthread_join(rt->thread, NULL);
    rt->has_thread = false;
    atomic_store(&rt->phase, PHASE_STOPPED);
}

static int32_t finish_store(runtime *rt, const struct timespec *until, orch_error **err)
{
    stop_command s = {.timeout_ms = deadline_left_ms(until)};

    if (rt->store_stopped || !rt->store.ops)
        return 0;
    rt->store_stopped = true;
    on_loop(rt, &s, stop_store);
    if (s.code && err)
        *err = s.error;
    else
        orch_error_free(s.error);
    return s.code;
}

static int32_t still_running(runtime *rt, orch_error **err)
{
    stop_command s = {0};

    on_loop(rt, &s, name_running);
    if (s.running[0])
        return error_set(err, ORCH_E_DEADLINE_EXCEEDED, s.running,
                         "step %s is still running; what it gives will be dropped", s.running);
    return error_set(err, ORCH_E_DEADLINE_EXCEEDED, NULL,
                     "a callback of the host, or a read of the store, is still running");
}

static int32_t stop_claimed(runtime *rt, const struct timespec *until, orch_error **err)
{
    stop_command s = {0};
    int32_t rc;
    bool quiet;

    if (atomic_load(&rt->phase) == PHASE_STOPPED)
        return 0;
    if (atomic_exchange(&rt->phase, PHASE_STOPPING) == PHASE_RUNNING) {
        on_loop(rt, &s, begin);
        for (local_engine *e = rt->engines; e; e = e->next) /* none is added any more */
            pulled_close_all(e);
    }
    quiet = wait_until(rt, &rt->quiet, until);
    rc = finish_store(rt, until, err);
    if (!quiet)
        return rc ? rc : still_running(rt, err);
    end_threads(rt);
    return rc;
}

int32_t runtime_stop(runtime *rt, int32_t timeout_ms, orch_error **err)
{
    struct timespec until = deadline_in(timeout_ms);
    int32_t rc;

    if (role_is(ROLE_LOOP, rt) || role_is(ROLE_POOL, rt) || role_is(ROLE_DISPATCH, rt) ||
        role_is(ROLE_LOG, rt))
        return error_set(err, ORCH_E_FAILED_PRECONDITION, NULL,
                         "a callback or an executor cannot stop its own orchestrator");
    if (!claim(rt, &until))
        return error_set(err, ORCH_E_DEADLINE_EXCEEDED, NULL, "another thread is stopping it");
    rc = stop_claimed(rt, &until, err);
    release(rt);
    return rc;
}

void runtime_close(runtime *rt)
{
    role_mark role;

    if (rt->has_thread) {
        runtime_stop(rt, 0, NULL);
        end_threads(rt);
    } else if (rt->loop.data && !runtime_is_stopped(rt)) { /* it was never started */
        cores_free(rt);
        loop_destroy(rt);
    }
    if (rt->callbacks.deliverers) {
        role_enter(&role, ROLE_DISPATCH, rt);
        callbacks_end(&rt->callbacks);
        role_leave(&role);
    }
    if (rt->store.ops)
        rt->store.ops->free(rt->store.self);
    rt->store.ops = NULL;
    locals_close(rt);
    pool_destroy(&rt->tasks);
    pool_destroy(&rt->io);
    pool_destroy(&rt->calls);
    atomic_fetch_or(&rt->gate, GATE_CLOSED);
    atomic_store(&rt->phase, PHASE_STOPPED);
}

void runtime_free(runtime *rt)
{
    if (!rt)
        return;
    callbacks_destroy(&rt->callbacks);
    wake_close(&rt->wake);
    pthread_cond_destroy(&rt->changed);
    locals_free(rt);
    pthread_mutex_destroy(&rt->lock);
    mem_free(rt);
}
