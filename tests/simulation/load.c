#include "simulation/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "simulation/cores.h"
#include "simulation/requests.h"
#include "simulation/trace.h"

#define FIRST_WORKFLOWS 5

static struct {
    uint32_t started, forks;
    bool over;
} load;

static void next_action(void *ctx, uint64_t arg);

/* Whom one asks: who has the store, or now and then one that lost it and does not know. */
static node *someone(void)
{
    node *n = cores_primary(), *other = n == &orchestrators[0] ? &orchestrators[1] : n - 1;

    return other->up && one_in(FOR_LOAD, 3) ? other : n;
}

static execution *anyone(bool ended)
{
    uint32_t count = model_execution_count();

    for (int tries = 0; count && tries < 8; tries++) {
        execution *e = model_execution(roll(FOR_LOAD, count));

        if (execution_has_ended(e) == ended)
            return e;
    }
    return NULL;
}

/* ---- workflows ------------------------------------------------------------------------------------------- */

static void register_all(node *n, bool again)
{
    uint32_t count;
    described *d = model_definitions(&count);

    for (uint32_t i = 0; i < count; i++) {
        bool has_turn = d[i].version == 0;

        for (uint32_t j = 0; j < i; j++) /* versions are registered in their order */
            has_turn |= d[j].workflow == d[i].workflow && d[j].version + 1 == d[i].version &&
                        d[j].key;
        if (has_turn && (again || !d[i].key))
            request_register(n, &d[i]);
    }
}

void load_orchestrator_up(node *n)
{
    if (!load.over)
        register_all(n, true);
}

static void new_version(node *n)
{
    if (model_definition_new((int)roll(FOR_LOAD, FIRST_WORKFLOWS)))
        register_all(n, false);
}

/* ---- starts ---------------------------------------------------------------------------------------------- */

static void start_one(node *n)
{
    static char id[32], workflow[8], key[16], limit_key[4];
    start_wish w = {.workflow = workflow, .input = "{\"n\":5}"};

    snprintf(workflow, sizeof workflow, "w%u", roll(FOR_LOAD, FIRST_WORKFLOWS));
    snprintf(id, sizeof id, "x-%u", load.started++);
    snprintf(key, sizeof key, "once-%u", roll(FOR_LOAD, 6));
    snprintf(limit_key, sizeof limit_key, "k%u", roll(FOR_LOAD, 3));
    if (!one_in(FOR_LOAD, 4))
        w.id = id;
    if (one_in(FOR_LOAD, 6)) {
        w.start_key = key;
        w.key_policy = (uint8_t)roll(FOR_LOAD, 3);
    }
    if (one_in(FOR_LOAD, 3))
        w.limit_key = limit_key;
    if (one_in(FOR_LOAD, 6))
        w.start_at_ms = sim_now_ms() + (int64_t)roll(FOR_LOAD, 60000);
    if (one_in(FOR_LOAD, 8))
        w.timeout_ms = 2000 + (int64_t)roll(FOR_LOAD, 90000);
    if (one_in(FOR_LOAD, 4)) {
        w.has_priority = true;
        w.priority = (uint8_t)roll(FOR_LOAD, 10);
    }
    if (one_in(FOR_LOAD, 8))
        w.range = "~1.0.0";
    w.waits = one_in(FOR_LOAD, 2);
    request_start(n, &w);
    if (one_in(FOR_LOAD, 12)) /* sent twice */
        request_start(n, &w);
}

/* ---- the rest -------------------------------------------------------------------------------------------- */

static void renew(node *n)
{
    execution *e = anyone(true);
    control_request r = {.action = (uint8_t)(CONTROL_RETRY + roll(FOR_LOAD, 3))};
    char step[8], id[16];

    if (!e)
        return;
    snprintf(step, sizeof step, "s%u", roll(FOR_LOAD, execution_description(e)->steps));
    snprintf(id, sizeof id, "fork-%u", load.forks++);
    request_control(n, e, r,
                    r.action == CONTROL_RERUN || (r.action == CONTROL_FORK && one_in(FOR_LOAD, 2))
                        ? step
                        : NULL,
                    r.action == CONTROL_FORK ? id : NULL);
}

static void signal_one(node *n)
{
    execution *e = anyone(false);
    uint8_t signal = (uint8_t)roll(FOR_LOAD, SIGNALS);
    bool correlated = one_in(FOR_LOAD, 2);

    if (!e)
        return;
    if (!one_in(FOR_LOAD, 3))
        execution_wants_signal(e, &signal, &correlated);
    request_signal(n, e, signal, correlated);
    if (one_in(FOR_LOAD, 5))
        request_signal(n, e, signal, correlated);
}

static void control_one(node *n, enum control_action action)
{
    execution *e = anyone(false);
    control_request r = {.action = (uint8_t)action, .priority = (uint8_t)roll(FOR_LOAD, 10)};

    if (e)
        request_control(n, e, r, NULL, NULL);
}

static void pause_one(node *n)
{
    control_one(n, one_in(FOR_LOAD, 2) ? CONTROL_PAUSE : CONTROL_RESUME);
}

static void pause_many(node *n)
{
    char workflow[8];
    bool all = one_in(FOR_LOAD, 3);

    snprintf(workflow, sizeof workflow, "w%u", roll(FOR_LOAD, FIRST_WORKFLOWS));
    request_setting(n, all ? NULL : workflow, NULL, one_in(FOR_LOAD, 2), (limit){0});
}

static void limit_one(node *n)
{
    char key[4];
    limit l = {.concurrency = roll(FOR_LOAD, 4)};

    if (one_in(FOR_LOAD, 3)) {
        l.rate = 1 + roll(FOR_LOAD, 5);
        l.per_ms = 1000 + (int64_t)roll(FOR_LOAD, 5000);
    }
    snprintf(key, sizeof key, "k%u", roll(FOR_LOAD, 3));
    request_setting(n, NULL, key, false, l);
}

static void wait_for_one(node *n)
{
    execution *e = anyone(one_in(FOR_LOAD, 2));

    if (e)
        request_wait(n, e);
}

static void act(node *n)
{
    uint32_t r = roll(FOR_LOAD, 100);

    if (r < 36) {
        if (load.started < sim.options.executions || !one_in(FOR_LOAD, 3))
            start_one(n);
    } else if (r < 52) {
        signal_one(n);
    } else if (r < 58) {
        control_one(n, CONTROL_CANCEL);
    } else if (r < 61) {
        control_one(n, CONTROL_TERMINATE);
    } else if (r < 71) {
        pause_one(n);
    } else if (r < 79) {
        renew(n);
    } else if (r < 83) {
        control_one(n, CONTROL_PRIORITY);
    } else if (r < 87) {
        limit_one(n);
    } else if (r < 91) {
        pause_many(n);
    } else if (r < 93) {
        new_version(n);
    } else if (r < 96) {
        wait_for_one(n);
    } else {
        register_all(n, false);
    }
}

static void next_action(void *ctx, uint64_t arg)
{
    int64_t span_us = sim.options.minutes * 60 * SECONDS;
    node *n = someone();
    uint32_t times = one_in(FOR_LOAD, 15) ? 8 : 1; /* in bulk */

    if (load.over || sim.calm)
        return;
    for (uint32_t i = 0; i < times && n->up; i++)
        act(n);
    sim_after(
        (int64_t)(draw(FOR_LOAD) % (uint64_t)(2 * span_us / (3 * sim.options.executions) + 1)),
        next_action, ctx, arg);
}

void load_begin(void)
{
    memset(&load, 0, sizeof load);
    requests_begin();
    for (int i = 0; i < FIRST_WORKFLOWS; i++)
        model_definition_new(-1);
    sim_after(100 * MS, next_action, NULL, 0);
}

/* ---- calm ------------------------------------------------------------------------------------------------ */

static void resume_all(node *n)
{
    char workflow[8];

    if (model_is_paused(-1))
        request_setting(n, NULL, NULL, false, (limit){0});
    for (int i = 0; i < FIRST_WORKFLOWS; i++) {
        snprintf(workflow, sizeof workflow, "w%u", (unsigned)(uint8_t)i);
        if (model_is_paused(i))
            request_setting(n, workflow, NULL, false, (limit){0});
    }
}

static void give(node *n, execution *e, uint64_t turn)
{
    control_request resume = {.action = CONTROL_RESUME}, cancel = {.action = CONTROL_CANCEL};
    uint8_t signal;
    bool correlated;

    if (execution_is_paused(e))
        request_control(n, e, resume, NULL, NULL);
    if (!execution_wants_signal(e, &signal, &correlated))
        return;
    if (turn > 60) /* its inbox is full of others */
        request_control(n, e, cancel, NULL, NULL);
    else
        request_signal(n, e, signal, correlated);
}

static void care(void *ctx, uint64_t turn)
{
    node *n = cores_primary();

    if (load.over)
        return;
    if (n->up)
        resume_all(n);
    for (uint32_t i = 0; i < model_execution_count() && n->up; i++)
        if (!execution_has_ended(model_execution(i)))
            give(n, model_execution(i), turn);
    sim_after(10 * SECONDS, care, ctx, turn + 1);
}

void load_calm(void)
{
    care(NULL, 0);
}

bool load_is_answered(void)
{
    return requests_open() == 0;
}

void load_over(void)
{
    load.over = true;
}
