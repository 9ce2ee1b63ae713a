#include "simulation/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/cores.h"
#include "simulation/trace.h"

node orchestrators[2];
node engines[ENGINES_MAX];

static void run_job(void *ctx, uint64_t number);
static void turn(void *ctx, uint64_t incarnation);

int64_t node_now_ms(const node *n)
{
    return sim_now_ms() + n->offset_ms;
}

int64_t node_clock(void *ctx)
{
    return node_now_ms(ctx);
}

int64_t node_steady_clock(void *ctx)
{
    (void)ctx;
    return sim.now_us / MS;
}

void node_init(node *n, const char *name, bool is_orchestrator, uint32_t place)
{
    free(n->jobs);
    memset(n, 0, sizeof *n);
    snprintf(n->name, sizeof n->name, "%s", name);
    n->is_orchestrator = is_orchestrator;
    n->place = place;
    n->timer_ms = INT64_MAX;
    n->jobs = calloc(JOBS_MAX, sizeof *n->jobs);
    if (!n->jobs)
        abort();
}

void node_born(node *n)
{
    n->up = true;
    n->incarnation++;
    n->timer_ms = INT64_MAX;
    n->timer_number++;
    n->pump_due = false;
    n->stalled_until_us = 0;
    n->slow_until_us = n->busy_until_us = 0;
    n->instance = draw(FOR_NODES);
}

void node_dead(node *n)
{
    n->up = false;
    n->incarnation++;
    n->timer_ms = INT64_MAX;
}

/* ---- its loop -------------------------------------------------------------------------------------------- */

void node_wake(node *n)
{
    if (!n->up || n->pump_due)
        return;
    n->pump_due = true;
    sim_after((int64_t)roll(FOR_NODES, 200), turn, n, n->incarnation);
}

static void turn(void *ctx, uint64_t incarnation)
{
    node *n = ctx;

    if (n->incarnation != incarnation)
        return;
    if (node_is_stalled(n)) {
        sim_at(n->stalled_until_us, turn, n, incarnation);
        return;
    }
    n->pump_due = false;
    if (cores_pump(n))
        node_wake(n);
    /* What was due and still is would turn a loop at once; a moment later will do here. */
    if (n->incarnation == incarnation && n->timer_ms <= node_now_ms(n)) {
        int64_t at_ms = n->timer_ms;

        n->timer_ms = INT64_MAX;
        node_set_timer(n, at_ms);
    }
}

static void timer(void *ctx, uint64_t number)
{
    node *n = ctx;

    if (number != ((uint64_t)n->incarnation << 32 | n->timer_number) || n->timer_ms == INT64_MAX)
        return;
    if (node_is_stalled(n))
        sim_at(n->stalled_until_us, timer, n, number);
    else if (node_now_ms(n) < n->timer_ms)
        node_set_timer(n, n->timer_ms);
    else
        node_wake(n);
}

void node_set_timer(void *ctx, int64_t at_ms)
{
    node *n = ctx;
    int64_t at_us;

    n->timer_ms = at_ms;
    n->timer_number++;
    if (at_ms == INT64_MAX)
        return;
    at_us = at_ms - SIM_EPOCH_MS - n->offset_ms > INT64_MAX / 2 / MS
                ? INT64_MAX / 2
                : (at_ms - SIM_EPOCH_MS - n->offset_ms) * MS;
    if (at_us <= sim.now_us)
        at_us = sim.now_us + MS;
    sim_at(at_us, timer, n, (uint64_t)n->incarnation << 32 | n->timer_number);
}

void node_jump_clock(node *n, int64_t by_ms)
{
    if (node_now_ms(n) > n->latest_ms)
        n->latest_ms = node_now_ms(n);
    n->offset_ms += by_ms;
    if (n->offset_ms > sim.clock_ahead_ms)
        sim.clock_ahead_ms = n->offset_ms;
    trace("%s: its clock jumps by %" PRId64 " ms", n->name, by_ms);
    if (n->up && n->timer_ms != INT64_MAX)
        node_set_timer(n, n->timer_ms);
}

void node_stall(node *n, int64_t until_us)
{
    n->stalled_until_us = until_us;
}

/* ---- its pool -------------------------------------------------------------------------------------------- */

static pool_job *find_job(node *n, uint64_t number)
{
    for (uint32_t i = 0; i < n->job_count; i++)
        if (n->jobs[i].number == number)
            return &n->jobs[i];
    return NULL;
}

static void job_back(void *ctx, uint64_t number)
{
    node *n = ctx;
    pool_job *j = find_job(n, number);
    work *w;

    if (!j)
        return;
    if (node_is_stalled(n)) {
        sim_at(n->stalled_until_us, job_back, n, number);
        return;
    }
    w = j->work;
    *j = n->jobs[--n->job_count];
    w->done(w);
    node_wake(n);
}

static void run_job(void *ctx, uint64_t number)
{
    node *n = ctx;
    pool_job *j = find_job(n, number);
    int64_t back_us;

    if (!j)
        return;
    if (node_is_stalled(n)) {
        sim_at(n->stalled_until_us, run_job, n, number);
        return;
    }
    j->ran = true;
    j->work->run(j->work);
    back_us = roll_span(FOR_NODES, 5, 2 * MS);
    if (n->slow_until_us > sim.now_us) {
        back_us = roll_span(FOR_NODES, 100 * MS, 10 * SECONDS);
        sim_fault_done(FAULT_OLD);
    }
    sim_after(back_us, job_back, n, number);
}

static int32_t submit(void *self, work *w)
{
    node *n = self;

    if (n->busy_until_us > sim.now_us || n->job_count == JOBS_MAX) {
        sim_fault_done(FAULT_POOL);
        return ORCH_E_RESOURCE_EXHAUSTED;
    }
    w->refused = 0;
    n->jobs[n->job_count++] = (pool_job){w, ++n->job_number, false};
    sim_after(roll_span(FOR_NODES, 5, 3 * MS), run_job, n, n->job_number);
    return 0;
}

work_pool node_pool(node *n)
{
    return (work_pool){n, submit};
}

void node_give_back_jobs(node *n)
{
    while (n->job_count) {
        pool_job j = n->jobs[0];

        memmove(n->jobs, n->jobs + 1, --n->job_count * sizeof j);
        j.work->refused = !j.ran;
        j.work->done(j.work);
    }
}
