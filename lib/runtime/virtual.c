/* Virtual time, for tests of workflows: it stands still while anything runs, and jumps to what is next when all is quiet and
 * somebody waits for what is to come. The loop's thread owns it; others read the time. */
#include <semaphore.h>

#include "base/error.h"
#include "runtime/runtime_impl.h"

/* Somebody who lets time pass. */
struct advance {
    command base; /* first */
    struct advance *next;
    int64_t by_ms, until_ms;
    int32_t code;
    sem_t done;
};

static void set_now(runtime *rt, int64_t now_ms)
{
    rt->now_ms = now_ms;
    atomic_store(&rt->virtual_ms, now_ms);
}

void virtual_init(runtime *rt, int64_t start_ms)
{
    rt->is_virtual = true;
    set_now(rt, start_ms);
    random_set(&rt->random, 1); /* a test is to go the same way each time */
}

/* ---- those who wait -------------------------------------------------------------------------------------- */

void runtime_watch(runtime *rt)
{
    if (!rt->is_virtual)
        return;
    atomic_fetch_add(&rt->watchers, 1);
    wake_up(&rt->wake);
}

void runtime_unwatch(runtime *rt)
{
    if (rt->is_virtual)
        atomic_fetch_sub(&rt->watchers, 1);
}

static void answer(struct advance *a, int32_t code)
{
    a->code = code;
    sem_post(&a->done);
}

static void begin_advance(command *c, runtime *rt)
{
    struct advance *a = (struct advance *)c;

    if (rt->stopping) {
        answer(a, ORCH_E_CANCELLED);
        return;
    }
    a->until_ms = rt->now_ms + a->by_ms;
    a->next = rt->advances;
    rt->advances = a;
}

int32_t runtime_advance(runtime *rt, int64_t by_ms, orch_error **err)
{
    struct advance a = {.base.run = begin_advance, .by_ms = by_ms};
    int32_t rc;

    sem_init(&a.done, 0, 0);
    rc = runtime_post(rt, &a.base, err);
    if (!rc) {
        while (sem_wait(&a.done))
            ;
        rc = a.code ? error_set(err, a.code, NULL, "the orchestrator is stopped") : 0;
    }
    sem_destroy(&a.done);
    return rc;
}

int64_t runtime_virtual_now(runtime *rt)
{
    return rt->is_virtual ? atomic_load(&rt->virtual_ms) : -1;
}

void virtual_cancel(runtime *rt)
{
    while (rt->advances) {
        struct advance *a = rt->advances;

        rt->advances = a->next;
        answer(a, ORCH_E_CANCELLED);
    }
}

/* ---- letting it pass ------------------------------------------------------------------------------------- */

/* Nothing is on its way, but for attempts that executors have. */
static bool is_quiet(runtime *rt)
{
    return orchestrator_is_idle(rt->orchestrator) && pool_is_quiet(&rt->tasks) &&
           pool_is_quiet(&rt->io) && callbacks_are_quiet(&rt->callbacks);
}

static int64_t next_timer_ms(const runtime *rt)
{
    int64_t engines_ms = locals_deadline(rt);
    int64_t at_ms = engines_ms < rt->orchestrator_ms ? engines_ms : rt->orchestrator_ms;

    return at_ms > rt->now_ms ? at_ms : rt->now_ms + 1; /* it was not due a moment ago */
}

/* How far time may go at most, for those who let it pass. */
static int64_t nearest_end(const runtime *rt)
{
    int64_t at_ms = INT64_MAX;

    for (const struct advance *a = rt->advances; a; a = a->next)
        if (a->until_ms < at_ms)
            at_ms = a->until_ms;
    return at_ms;
}

static void answer_until(runtime *rt, int64_t now_ms)
{
    struct advance **at = &rt->advances;

    while (*at) {
        struct advance *a = *at;

        if (a->until_ms > now_ms) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        answer(a, 0);
    }
}

/* What is due at their end is done before they return. */
static bool advance(runtime *rt)
{
    int64_t end_ms = nearest_end(rt), next_ms = next_timer_ms(rt);

    if (next_ms <= end_ms) {
        set_now(rt, next_ms);
        return true;
    }
    if (end_ms > rt->now_ms)
        set_now(rt, end_ms);
    answer_until(rt, end_ms);
    return true;
}

bool virtual_skip(runtime *rt)
{
    int64_t next_ms;

    if (!rt->is_virtual || rt->stopping || !is_quiet(rt))
        return false;
    if (rt->advances)
        return advance(rt);
    next_ms = next_timer_ms(rt);
    if (atomic_load(&rt->watchers) <= 0 || !locals_are_idle(rt) || next_ms == INT64_MAX)
        return false;
    set_now(rt, next_ms);
    return true;
}
