#include "simulation/hands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/model.h"
#include "simulation/trace.h"

#define OUT_MAX 1024

typedef struct task {
    attempt *attempt;
    uint64_t serial;
    int32_t code; /* how it will end */
    bool no_retry, hangs, stubborn;
    bool beating; /* the engine has not looked yet */
    bool said;    /* it beat, and has details */
    bool stopped;
} task;

struct hands {
    node *engine;
    task tasks[OUT_MAX];
    uint32_t count;
};

static task *find(hands *h, uint64_t serial)
{
    for (uint32_t i = 0; i < h->count; i++)
        if (h->tasks[i].serial == serial)
            return &h->tasks[i];
    return NULL;
}

static bytes *number(uint64_t serial)
{
    char text[40];
    int len = snprintf(text, sizeof text, "{\"n\":%" PRIu64 "}", serial);

    return bytes_new(text, (size_t)len);
}

static attempt_result result_of(const task *t)
{
    return (attempt_result){
        .code = t->code,
        .no_retry = t->no_retry,
        .output = t->code ? NULL : number(t->serial),
    };
}

static void end(hands *h, task *t)
{
    attempt *a = t->attempt;
    attempt_result r = result_of(t);

    trace("%s: %s #%" PRIu64 " ends: %s", h->engine->name, a->idempotency_key, t->serial,
          t->code ? orch_code_name(t->code) : "well");
    model_attempt_ends(t->serial, t->code);
    *t = h->tasks[--h->count];
    attempt_complete(a, r);
    node_wake(h->engine);
}

/* Events know an engine and a serial: what died meanwhile is not found. */
static void due(void *ctx, uint64_t serial)
{
    node *n = ctx;
    task *t = n->up ? find(n->hands, serial) : NULL;

    if (!t)
        return;
    if (node_is_stalled(n))
        sim_at(n->stalled_until_us, due, n, serial);
    else
        end(n->hands, t);
}

static void beat(void *ctx, uint64_t serial)
{
    node *n = ctx;
    task *t = n->up ? find(n->hands, serial) : NULL;

    if (!t || (t->hangs && one_in(FOR_WORK, 2)))
        return;
    if (node_is_stalled(n)) {
        sim_at(n->stalled_until_us, beat, n, serial);
        return;
    }
    t->said = true;
    if (!t->beating) {
        t->beating = true;
        t->attempt->beat(t->attempt);
    }
    sim_after(t->attempt->heartbeat_ms * MS / 3, beat, n, serial);
}

static void choose_end(task *t, const attempt *a)
{
    uint32_t r = roll(FOR_WORK, 100);

    t->stubborn = one_in(FOR_WORK, 3);
    if (a->role != ROLE_STEP)
        r += 8;
    if (sim.calm)
        r += 4;
    if (r < 6 && (a->deadline_ms || a->heartbeat_ms))
        t->hangs = true;
    else if (r < 16)
        t->code = one_in(FOR_WORK, 2) ? ORCH_E_UNAVAILABLE : ORCH_E_INTERNAL;
    else if (r < 19) {
        t->code = ORCH_E_INVALID_ARGUMENT;
        t->no_retry = true;
    }
}

static bool start(void *self, attempt *a)
{
    hands *h = self;
    task t = {.attempt = a};

    sim.counts.attempts++;
    t.serial = model_attempt_starts(h->engine, a);
    choose_end(&t, a);
    if (!t.hangs && one_in(FOR_WORK, t.code ? 2 : 5)) { /* what fails often fails at once */
        model_attempt_ends(t.serial, t.code);
        a->result = result_of(&t);
        return true;
    }
    if (h->count == OUT_MAX)
        abort();
    h->tasks[h->count++] = t;
    if (!t.hangs)
        sim_after(roll_span(FOR_WORK, MS, 15 * SECONDS), due, h->engine, t.serial);
    if (a->heartbeat_ms)
        sim_after(a->heartbeat_ms * MS / 3, beat, h->engine, t.serial);
    return false;
}

static void stop(void *self, attempt *a)
{
    hands *h = self;

    for (uint32_t i = 0; i < h->count; i++) {
        task *t = &h->tasks[i];

        if (t->attempt != a || t->stopped)
            continue;
        t->stopped = true;
        if (t->hangs)
            t->code = ORCH_E_CANCELLED;
        if (t->hangs || !t->stubborn)
            sim_after(roll_span(FOR_WORK, 0, t->stubborn ? 20 * SECONDS : 500 * MS), due, h->engine,
                      t->serial);
        if (!t->stubborn)
            t->code = ORCH_E_CANCELLED;
        return;
    }
}

static bytes *take_beat(void *self, attempt *a)
{
    hands *h = self;

    for (uint32_t i = 0; i < h->count; i++) {
        if (h->tasks[i].attempt != a)
            continue;
        h->tasks[i].beating = false;
        if (!h->tasks[i].said)
            return NULL;
        h->tasks[i].said = false;
        return number(h->tasks[i].serial);
    }
    return NULL;
}

/* What is out is cut off, as when a process dies. */
static void hands_free(void *self)
{
    hands *h = self;

    h->engine->hands = NULL;
    free(h);
}

hands *hands_new(node *engine)
{
    hands *h = calloc(1, sizeof *h);

    if (!h)
        abort();
    h->engine = engine;
    return h;
}

executor hands_executor(hands *h)
{
    static const executor_ops ops = {
        .size = sizeof ops,
        .name = "work",
        .start = start,
        .stop = stop,
        .take_beat = take_beat,
        .free = hands_free,
    };

    return (executor){&ops, h};
}
