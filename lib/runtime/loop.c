/* The loop thread: it alone touches the cores. A turn does all that there is to do, within a budget; then it sleeps in
 * libuv until a descriptor, the timer or another thread has something for it. */
#include <limits.h>
#include <sched.h>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/runtime_impl.h"
#include "runtime/thread_impl.h"

#define BUDGET     1024U /* of one thing in a turn */
#define ROUNDS     32U   /* of the cores in a turn */
#define POLL_EVERY 4U    /* turns between two looks at libuv while there is work */
#define RECHECK_MS 3000  /* the wall clock may jump: no timer is set for longer */
#define CLOSE_MS   10000 /* for executors to end what they have on the loop */

/* ---- commands -------------------------------------------------------------------------------------------- */

static void run_commands(runtime *rt, uint32_t budget)
{
    unsigned done = 0;

    if (!rt->taken && !mpsc_empty(&rt->commands))
        rt->taken = mpsc_drain(&rt->commands);
    while (rt->taken && done < budget) {
        command *c = (command *)(void *)rt->taken;

        rt->taken = rt->taken->next;
        c->run(c, rt);
        done++;
    }
    if (done)
        atomic_fetch_sub(&rt->gate, done);
}

static int32_t post(runtime *rt, command *c, uint32_t limit, orch_error **err)
{
    unsigned before = atomic_fetch_add(&rt->gate, 1);

    if (before & GATE_CLOSED) {
        atomic_fetch_sub(&rt->gate, 1);
        return error_set(err, ORCH_E_FAILED_PRECONDITION, NULL, "the orchestrator is stopped");
    }
    if (before >= limit) {
        atomic_fetch_sub(&rt->gate, 1);
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, "MAX_QUEUED_COMMANDS",
                         "%u calls wait for the orchestrator, which is the limit "
                         "(MAX_QUEUED_COMMANDS)",
                         limit);
    }
    if (mpsc_push(&rt->commands, &c->node))
        wake_up(&rt->wake);
    return 0;
}

int32_t runtime_post(runtime *rt, command *c, orch_error **err)
{
    return post(rt, c, rt->max_commands, err);
}

bool runtime_post_always(runtime *rt, command *c)
{
    return !post(rt, c, GATE_CLOSED - 1, NULL);
}

/* ---- a turn ---------------------------------------------------------------------------------------------- */

/* What the stopper waits for: nothing runs any more, and nothing is on its way. */
static void tell_quiet(runtime *rt)
{
    bool quiet = locals_are_idle(rt) &&
                 (!rt->orchestrator || orchestrator_is_idle(rt->orchestrator)) &&
                 pool_is_quiet(&rt->tasks) && pool_is_quiet(&rt->io) && pool_is_quiet(&rt->calls) &&
                 callbacks_are_quiet(&rt->callbacks);

    pthread_mutex_lock(&rt->lock);
    if (quiet != rt->quiet) {
        rt->quiet = quiet;
        pthread_cond_broadcast(&rt->changed);
    }
    pthread_mutex_unlock(&rt->lock);
}

static void tell_drained(runtime *rt)
{
    bool drained = locals_are_empty(rt);

    pthread_mutex_lock(&rt->lock);
    if (drained != rt->drained) {
        rt->drained = drained;
        pthread_cond_broadcast(&rt->changed);
    }
    pthread_mutex_unlock(&rt->lock);
}

/* True if something was submitted, so that there may be something to reap at once. */
static bool flush(runtime *rt)
{
    uint64_t submitted = rt->orchestrator ? orchestrator_units_submitted(rt->orchestrator) : 0;

    if (submitted == rt->flushed)
        return false;
    rt->flushed = submitted;
    rt->store.ops->flush(rt->store.self);
    return true;
}

/* True if something was delivered: to a core that may have had its turn in this round already. */
static bool deliver(runtime *rt)
{
    bool any = rt->transport.ops->pump(rt->transport.self, BUDGET);

    any |= plugins_pump(rt, BUDGET);
    return any | wires_pump(rt, BUDGET);
}

/* True if there is more to do now. */
static bool round_of_cores(runtime *rt)
{
    bool more = rt->orchestrator && orchestrator_pump(rt->orchestrator, BUDGET);

    more |= deliver(rt);
    more |= locals_pump(rt, BUDGET);
    more |= deliver(rt);
    more |= flush(rt);
    return more;
}

/* Likewise. What waits for the next step of one execution has many rounds in a turn, for one look at the clock and at
 * what other threads want; where a round has much to do, few are enough. */
static bool turn(runtime *rt)
{
    uint64_t enough = rt->flushed + BUDGET;
    uint32_t round = 0;
    bool more;

    wake_begin(&rt->wake);
    if (!rt->is_virtual)
        rt->now_ms = clock_wall_ms();
    run_commands(rt, BUDGET);
    pool_reap(&rt->tasks);
    pool_reap(&rt->io);
    pool_reap(&rt->calls);
    do
        more = round_of_cores(rt);
    while (more && ++round < ROUNDS && rt->flushed < enough);
    more |= wires_settle(rt);
    callbacks_publish(&rt->callbacks);
    if (rt->draining)
        tell_drained(rt);
    if (rt->stopping)
        tell_quiet(rt);
    return more || rt->taken || !mpsc_empty(&rt->commands); /* they called before this turn began */
}

/* ---- timers ---------------------------------------------------------------------------------------------- */

/* Whether anything is due is for the cores to find, by the wall clock, in the turn that follows. It has to follow: libuv
 * before 1.45 runs timers before it polls, and would go on to sleep, now without a timer. */
static void on_timer(uv_timer_t *timer)
{
    runtime *rt = timer->data;

    rt->timer_ms = INT64_MAX;
    uv_stop(timer->loop);
}

static void set_timer(runtime *rt)
{
    int64_t engines_ms = locals_deadline(rt);
    int64_t at = engines_ms < rt->orchestrator_ms ? engines_ms : rt->orchestrator_ms;
    int64_t delay;

    if (at == rt->timer_ms || rt->is_virtual)
        return;
    rt->timer_ms = at;
    if (at == INT64_MAX) {
        uv_timer_stop(&rt->timer);
        return;
    }
    delay = at - clock_wall_ms();
    if (delay < 1)
        delay = 1; /* it was not due a moment ago */
    if (delay > RECHECK_MS)
        delay = RECHECK_MS;
    uv_update_time(&rt->loop);
    uv_timer_start(&rt->timer, on_timer, (uint64_t)delay, 0);
}

/* ---- the thread ------------------------------------------------------------------------------------------ */

static void on_wake(uv_poll_t *handle, int status, int events)
{
    runtime *rt = handle->data;

    (void)status;
    (void)events;
    wake_clear(&rt->wake);
}

/* Nobody can post any more; what was posted is answered. */
static void close_gate(runtime *rt)
{
    atomic_fetch_or(&rt->gate, GATE_CLOSED);
    do {
        turn(rt);
        sched_yield(); /* somebody may be between counting and pushing */
    } while (atomic_load(&rt->gate) != GATE_CLOSED || turn(rt));
}

/* Who ends it without waiting for its stop does not wait for the store either: what is not committed by now comes back, and
 * who asked for it hears of that. */
static void give_up_units(runtime *rt)
{
    while (rt->orchestrator && orchestrator_has_units(rt->orchestrator)) {
        if (rt->store.ops->give_up)
            rt->store.ops->give_up(rt->store.self);
        turn(rt);
    }
}

static void on_late(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Executors have closed what they had on the loop, or will in a moment (a killed process is to be waited for). */
static void drain_loop(runtime *rt)
{
    uv_close((uv_handle_t *)&rt->waker, NULL);
    uv_update_time(&rt->loop);
    uv_timer_start(&rt->timer, on_late, CLOSE_MS, 0);
    uv_unref((uv_handle_t *)&rt->timer);
    uv_run(&rt->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&rt->timer, NULL);
    uv_run(&rt->loop, UV_RUN_NOWAIT);
    if (uv_loop_close(&rt->loop))
        log_write(rt->log, ORCH_LOG_ERROR, "an executor left something open on the loop");
}

static void *thread_main(void *arg)
{
    runtime *rt = arg;
    role_mark role;

    role_enter(&role, ROLE_LOOP, rt);
    while (!rt->ending) {
        if (turn(rt) || rt->ending || !wake_may_sleep(&rt->wake)) {
            if (++rt->turns < POLL_EVERY)
                continue;
            uv_run(&rt->loop, UV_RUN_NOWAIT);
        } else if (virtual_skip(rt)) {
            uv_run(&rt->loop, UV_RUN_NOWAIT);
        } else {
            set_timer(rt);
            uv_run(&rt->loop, UV_RUN_ONCE);
        }
        rt->turns = 0;
    }
    close_gate(rt);
    give_up_units(rt);
    cores_free(rt);
    callbacks_publish(&rt->callbacks);
    drain_loop(rt);
    role_leave(&role);
    return NULL;
}

int32_t loop_init(runtime *rt, orch_error **err)
{
    int rc = uv_loop_init(&rt->loop);

    if (rc)
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, NULL, "no event loop: %s",
                         uv_strerror(rc));
    rt->loop.data = rt;
    rt->timer_ms = rt->orchestrator_ms = INT64_MAX;
    uv_timer_init(&rt->loop, &rt->timer);
    rt->timer.data = rt;
    rc = uv_poll_init(&rt->loop, &rt->waker, rt->wake.fd);
    if (rc) {
        uv_close((uv_handle_t *)&rt->timer, NULL);
        uv_run(&rt->loop, UV_RUN_NOWAIT);
        uv_loop_close(&rt->loop);
        rt->loop.data = NULL;
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, NULL, "no event loop: %s",
                         uv_strerror(rc));
    }
    rt->waker.data = rt;
    uv_poll_start(&rt->waker, UV_READABLE, on_wake);
    return 0;
}

int32_t loop_start(runtime *rt, orch_error **err)
{
    int32_t rc = thread_start(&rt->thread, "orch-loop", thread_main, rt, err);

    rt->has_thread = rc == 0;
    return rc;
}

void loop_destroy(runtime *rt)
{
    if (rt->loop.data)
        drain_loop(rt);
}
