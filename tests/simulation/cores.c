#include "simulation/cores.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/disk.h"
#include "simulation/faults.h"
#include "simulation/hands.h"
#include "simulation/load.h"
#include "simulation/model.h"
#include "simulation/net.h"
#include "simulation/trace.h"

static struct {
    uint32_t primary; /* of orchestrators */
    uint32_t engine_count;
    engine_options engines[ENGINES_MAX];
    uint32_t claimed[ENGINES_MAX]; /* the capacity that the orchestrator is told */
    orchestrator_options orchestrator;
    int64_t confused_until_us;
    bool stopping[2];
    int64_t back_after_us[2];
} cores;

static void start_orchestrator(void *ctx, uint64_t incarnation);

node *cores_primary(void)
{
    return &orchestrators[cores.primary];
}

uint32_t cores_engine_count(void)
{
    return cores.engine_count;
}

/* ---- the balancer: the real one, but for when it is confused ----------------------------------------------- */

static int32_t pick(void *self, const balancer_engine *views, size_t count, uint64_t key)
{
    const balancer *real = self;

    if (cores.confused_until_us <= sim.now_us)
        return real->ops->pick(real->self, views, count, key);
    sim_fault_done(FAULT_BALANCE);
    return one_in(FOR_NODES, 2) ? -1 : (int32_t)roll(FOR_NODES, (uint32_t)count);
}

static void free_balancer(void *self)
{
    balancer *real = self;

    real->ops->free(real->self);
    free(real);
}

static balancer new_balancer(void)
{
    static const balancer_ops ops = {sizeof ops, "sim", pick, free_balancer};
    balancer *real = calloc(1, sizeof *real);

    if (!real || balancer_round_robin_new(real, NULL))
        abort();
    return (balancer){&ops, real};
}

static void no_longer_confused(void *ctx, uint64_t arg)
{
    (void)ctx, (void)arg;
    node_wake(cores_primary());
}

void cores_confuse_balancer(int64_t until_us)
{
    cores.confused_until_us = until_us;
    sim_at(until_us, no_longer_confused, NULL, 0);
}

/* ---- engines --------------------------------------------------------------------------------------------- */

static uint64_t engine_random(void *ctx)
{
    (void)ctx;
    return draw(FOR_NODES);
}

static void engine_woken(void *ctx)
{
    node_wake(ctx);
}

static void add_executor(node *n, const char *name, executor x)
{
    if (engine_add_executor(n->engine, name, x, NULL))
        abort();
}

static void start_engine(void *ctx, uint64_t incarnation)
{
    node *n = ctx;
    engine_options options = cores.engines[n->place];
    engine_ports ports = {
        .ctx = n,
        .now_ms = node_clock,
        .steady_ms = node_steady_clock,
        .set_timer = node_set_timer,
        .random = engine_random,
        .wake = engine_woken,
        .pool = node_pool(n),
    };
    executor_env env = {.pool = node_pool(n)};
    executor noop, lua;

    if (n->up || n->incarnation != incarnation)
        return;
    node_born(n);
    trace("%s starts", n->name);
    options.name = n->name;
    options.instance = n->instance;
    if (engine_new(&options, &ports, &n->engine, NULL) || executor_noop_new(&noop, NULL) ||
        executor_lua_new(&env, &lua, NULL))
        abort();
    n->hands = hands_new(n);
    add_executor(n, "noop", noop);
    add_executor(n, "lua", lua);
    add_executor(n, "work", hands_executor(n->hands));
    net_listen(n, engine_accept, n->engine);
    node_wake(n);
}

void cores_kill_engine(node *n, int64_t back_after_us)
{
    if (!n->up)
        return;
    trace("%s is killed", n->name);
    net_killed(n);
    node_dead(n);
    engine_stop(n->engine);
    node_give_back_jobs(n);
    engine_free(n->engine);
    n->engine = NULL;
    model_engine_died(n);
    if (back_after_us >= 0)
        sim_after(back_after_us, start_engine, n, n->incarnation);
}

/* ---- orchestrators --------------------------------------------------------------------------------------- */

static void admit_engines(node *n)
{
    for (uint32_t i = 0; i < cores.engine_count; i++)
        if (orchestrator_add_engine(n->orchestrator, engines[i].name, net_transport(n),
                                    engines[i].name, cores.claimed[i], NULL))
            abort();
}

static void let_go(node *n)
{
    orchestrator_free(n->orchestrator);
    n->orchestrator = NULL;
    disk_free(n->disk);
    n->disk = NULL;
}

static void start_orchestrator(void *ctx, uint64_t incarnation)
{
    node *n = ctx;
    orchestrator_ports ports = {.ctx = n,
                                .now_ms = node_clock,
                                .steady_ms = node_steady_clock,
                                .set_timer = node_set_timer};
    orch_error *error = NULL;
    int32_t rc;

    if (n->up || n->incarnation != incarnation || n != cores_primary())
        return;
    node_born(n);
    n->disk = disk_open(n);
    ports.store = disk_store(n->disk);
    ports.io = node_pool(n);
    if (ports.store.ops->lease(ports.store.self, n->name, node_now_ms(n), &ports.term, NULL))
        abort();
    model_leased(ports.term);
    rc = orchestrator_new(&cores.orchestrator, &ports, new_balancer(), &n->orchestrator, &error);
    trace("%s starts, term %" PRIu64 "%s", n->name, ports.term, rc ? ": in vain" : "");
    if (rc) { /* the store could not be read */
        orch_error_free(error);
        disk_free(n->disk);
        n->disk = NULL;
        node_dead(n);
        sim_after(500 * MS, start_orchestrator, n, n->incarnation);
        return;
    }
    admit_engines(n);
    model_orchestrator_up(n);
    load_orchestrator_up(n);
    faults_orchestrator_up(n);
    node_wake(n);
}

/* Nobody hears any more what it says; it only has to let go of what it holds. */
void cores_kill_orchestrator(node *n, int64_t back_after_us)
{
    if (!n->up)
        return;
    trace("%s is killed", n->name);
    net_killed(n);
    node_dead(n);
    disk_cut(n->disk);
    orchestrator_stop(n->orchestrator);
    node_give_back_jobs(n);
    for (int turns = 0; !orchestrator_is_idle(n->orchestrator); turns++) {
        orchestrator_pump(n->orchestrator, 1000);
        node_give_back_jobs(n);
        if (turns > 1000)
            broken("stop ends", "%s does not become idle", n->name);
    }
    cores.stopping[n->place] = false;
    let_go(n);
    if (back_after_us >= 0)
        sim_after(back_after_us, start_orchestrator, n, n->incarnation);
}

void cores_stop_orchestrator(node *n, int64_t back_after_us)
{
    if (!n->up || cores.stopping[n->place])
        return;
    trace("%s stops", n->name);
    cores.stopping[n->place] = true;
    cores.back_after_us[n->place] = back_after_us;
    orchestrator_stop(n->orchestrator);
    node_wake(n);
}

static void stopped(node *n)
{
    trace("%s has stopped", n->name);
    cores.stopping[n->place] = false;
    net_killed(n);
    node_dead(n);
    let_go(n);
    sim_after(cores.back_after_us[n->place], start_orchestrator, n, n->incarnation);
}

static void kill_usurped(void *ctx, uint64_t incarnation)
{
    node *n = ctx;

    if (n->incarnation == incarnation && n != cores_primary())
        cores_kill_orchestrator(n, -1);
}

void cores_usurp(int64_t kill_after_us)
{
    node *old = cores_primary();
    node *new = &orchestrators[1 - cores.primary];

    if (!old->up || cores.stopping[old->place] || new->up)
        return;
    trace("%s loses its engines, and the store", old->name);
    sim_fault_done(FAULT_USURP);
    net_killed(old);
    cores.primary = 1 - cores.primary;
    start_orchestrator(new, new->incarnation);
    sim_after(kill_after_us, kill_usurped, old, old->incarnation);
}

/* ---- all of them ----------------------------------------------------------------------------------------- */

bool cores_pump(node *n)
{
    uint32_t budget = one_in(FOR_NODES, 4) ? 1 + roll(FOR_NODES, 4) : 1000;
    bool more;

    if (!n->is_orchestrator)
        return engine_pump(n->engine, budget);
    more = orchestrator_pump(n->orchestrator, budget);
    disk_flush(n->disk);
    if (cores.stopping[n->place] && orchestrator_is_idle(n->orchestrator) &&
        disk_is_idle(n->disk)) {
        stopped(n);
        return false;
    }
    return more;
}

static void choose_engines(void)
{
    for (uint32_t i = 0; i < cores.engine_count; i++) {
        char name[16];
        engine_options *o = &cores.engines[i];

        snprintf(name, sizeof name, "engine-%u", (unsigned)(uint8_t)i);
        node_init(&engines[i], name, false, i);
        o->capacity = 2 + roll(FOR_NODES, 8);
        o->credit = one_in(FOR_NODES, 2) ? 1 + roll(FOR_NODES, 6) : 0;
        o->suspend_after_ms = one_in(FOR_NODES, 2) ? 2000 : 0;
        o->detach_grace_ms = 3000 + roll(FOR_NODES, 7) * 1000;
        cores.claimed[i] = o->capacity + (one_in(FOR_NODES, 3) ? 1 + roll(FOR_NODES, 3) : 0);
    }
}

static void choose_orchestrator(void)
{
    orchestrator_options *o = &cores.orchestrator;

    o->window = one_in(FOR_NODES, 2) ? 2 + roll(FOR_NODES, 12) : 0;
    o->max_accepting = one_in(FOR_NODES, 4) ? 2 + roll(FOR_NODES, 6) : 0;
    o->max_open = one_in(FOR_NODES, 4) ? 8 + roll(FOR_NODES, 30) : 0;
    o->window_bytes = one_in(FOR_NODES, 4) ? 200 : 0;
    o->max_signals = one_in(FOR_NODES, 3) ? 3 : 0;
}

void cores_begin(void)
{
    memset(&cores, 0, sizeof cores);
    cores.engine_count = sim.options.engines < ENGINES_MAX ? sim.options.engines : ENGINES_MAX;
    node_init(&orchestrators[0], "orch-a", true, 0);
    node_init(&orchestrators[1], "orch-b", true, 1);
    choose_engines();
    choose_orchestrator();
    for (uint32_t i = 0; i < cores.engine_count; i++)
        start_engine(&engines[i], engines[i].incarnation);
    start_orchestrator(cores_primary(), 0);
}

void cores_end(void)
{
    for (uint32_t i = 0; i < 2; i++)
        cores_kill_orchestrator(&orchestrators[i], -1);
    for (uint32_t i = 0; i < cores.engine_count; i++)
        cores_kill_engine(&engines[i], -1);
}
