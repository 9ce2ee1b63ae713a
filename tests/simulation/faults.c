#include "simulation/faults.h"

#include <string.h>

#include "simulation/cores.h"
#include "simulation/disk.h"
#include "simulation/net.h"
#include "simulation/trace.h"

static bool kill_early; /* the next orchestrator that starts */

static void perform(void *ctx, uint64_t fault);

static node *any_engine(void)
{
    return &engines[roll(FOR_FAULTS, cores_engine_count())];
}

static int64_t until(int64_t least_us, int64_t most_us)
{
    return sim.now_us + roll_span(FOR_FAULTS, least_us, most_us);
}

static void cut(void)
{
    node *n = any_engine();
    uint32_t directions = 1 + roll(FOR_FAULTS, 3);

    trace("%s is cut off (%u)", n->name, directions);
    net_cut(n, directions, until(500 * MS, 40 * SECONDS));
    sim_fault_done(FAULT_CUT);
}

static void stall(void)
{
    node *n = any_engine();

    if (!n->up || node_is_stalled(n))
        return;
    trace("%s stands still", n->name);
    node_stall(n, until(SECONDS, 60 * SECONDS));
    sim_fault_done(FAULT_STALL);
}

static void crash(void)
{
    node *n = any_engine();

    if (!n->up)
        return;
    cores_kill_engine(n, roll_span(FOR_FAULTS, 10 * MS, 20 * SECONDS));
    sim_fault_done(FAULT_CRASH);
}

static void away(void)
{
    node *n = any_engine();

    trace("%s takes no connections", n->name);
    n->away_until_us = until(SECONDS, 20 * SECONDS);
}

static void halt(void)
{
    node *n = cores_primary();

    if (!n->up)
        return;
    trace("%s stands still", n->name);
    node_stall(n, until(500 * MS, 30 * SECONDS));
    sim_fault_done(FAULT_PAUSE);
}

static void end_orchestrator(enum fault f)
{
    node *n = cores_primary();
    int64_t back_us = roll_span(FOR_FAULTS, 10 * MS, 10 * SECONDS);

    if (!n->up)
        return;
    if (f == FAULT_STOP) {
        cores_stop_orchestrator(n, back_us);
        sim_fault_done(f);
    } else if (f == FAULT_KILL_EARLY) {
        kill_early = true;
        cores_kill_orchestrator(n, 10 * MS);
    } else {
        cores_kill_orchestrator(n, back_us);
        sim_fault_done(f);
    }
}

/* Of any of its executions. */
static void speak_last(void)
{
    static const uint8_t kinds[] = {MESSAGE_START, MESSAGE_START, MESSAGE_CONFIRMATION,
                                    MESSAGE_ACK};

    net_hold_back(kinds[roll(FOR_FAULTS, sizeof kinds)],
                  roll_span(FOR_FAULTS, SECONDS, 8 * SECONDS));
}

void faults_spoke_last(node *n)
{
    if (!n->up || n != cores_primary())
        return;
    sim_fault_done(FAULT_LATE);
    cores_kill_orchestrator(n, roll_span(FOR_FAULTS, 10 * MS, 500 * MS));
}

static void kill_now(void *ctx, uint64_t incarnation)
{
    node *n = ctx;

    if (sim.calm || n->incarnation != incarnation || !n->up)
        return;
    cores_kill_orchestrator(n, 100 * MS);
    sim_fault_done(FAULT_KILL_EARLY);
}

void faults_orchestrator_up(node *n)
{
    if (!kill_early)
        return;
    kill_early = false;
    sim_after(roll_span(FOR_FAULTS, 0, 100 * MS), kill_now, n, n->incarnation);
}

static void jump(void)
{
    uint32_t which = roll(FOR_FAULTS, cores_engine_count() + 1);
    node *n = which == cores_engine_count() ? cores_primary() : &engines[which];
    int64_t by_ms = roll_span(FOR_FAULTS, 1, 90000);

    node_jump_clock(n, one_in(FOR_FAULTS, 2) ? by_ms : -by_ms);
    sim_fault_done(FAULT_CLOCK);
}

static void open_window(int64_t *until_us)
{
    *until_us = until(300 * MS, 15 * SECONDS);
    disk_trouble.code = one_in(FOR_FAULTS, 2) ? ORCH_E_RESOURCE_EXHAUSTED : ORCH_E_UNAVAILABLE;
}

static void do_it(enum fault f)
{
    switch (f) {
    case FAULT_BREAK:
        if (net_break_one())
            sim_fault_done(f);
        break;
    case FAULT_REPEAT: net_repeat_one(); break;
    case FAULT_LATE: speak_last(); break;
    case FAULT_CUT: cut(); break;
    case FAULT_KILL:
    case FAULT_KILL_EARLY:
    case FAULT_STOP: end_orchestrator(f); break;
    case FAULT_CRASH: crash(); break;
    case FAULT_STALL: stall(); break;
    case FAULT_PAUSE: halt(); break;
    case FAULT_AWAY: away(); break;
    case FAULT_BALANCE: cores_confuse_balancer(until(SECONDS, 20 * SECONDS)); break;
    case FAULT_FULL: open_window(&disk_trouble.full_until_us); break;
    case FAULT_REFUSE: open_window(&disk_trouble.refusing_until_us); break;
    case FAULT_READ: open_window(&disk_trouble.unreadable_until_us); break;
    case FAULT_SLOW: open_window(&disk_trouble.slow_until_us); break;
    case FAULT_OLD: open_window(&cores_primary()->slow_until_us); break;
    case FAULT_POOL: open_window(&cores_primary()->busy_until_us); break;
    case FAULT_CLOCK: jump(); break;
    case FAULT_USURP: cores_usurp(roll_span(FOR_FAULTS, 100 * MS, 30 * SECONDS)); break;
    default: break;
    }
}

static bool is_done(enum fault f)
{
    return !(sim.faults >> f & 1) || sim.counts.faults[f] >= fault_least(f);
}

static void perform(void *ctx, uint64_t fault)
{
    (void)ctx;
    if (sim.calm)
        return;
    do_it((enum fault)fault);
}

/* What had no effect is done again. */
static void look(void *ctx, uint64_t fault)
{
    enum fault f = (enum fault)fault;

    if (sim.calm || is_done(f))
        return;
    do_it(f);
    sim_after(roll_span(FOR_FAULTS, 500 * MS, 10 * SECONDS), look, ctx, fault);
}

bool faults_all_done(void)
{
    return faults_missing() == FAULTS;
}

enum fault faults_missing(void)
{
    for (int f = 0; f < FAULTS; f++)
        if (!is_done((enum fault)f))
            return (enum fault)f;
    return FAULTS;
}

void faults_begin(void)
{
    int64_t span_us = sim.options.minutes * 60 * SECONDS;

    kill_early = false;
    for (uint32_t f = 0; f < FAULTS; f++) {
        uint32_t times = fault_least((enum fault)f) + roll(FOR_FAULTS, 4);
        int64_t at_us;

        if (!(sim.faults >> f & 1))
            continue;
        for (uint32_t i = 0; i < times; i++) {
            at_us = SECONDS + (int64_t)(draw(FOR_FAULTS) % (uint64_t)span_us);
            sim_at(at_us, perform, NULL, f);
        }
        sim_at(span_us * 3 / 4, look, NULL, f);
    }
    if (sim.faults >> FAULT_CLOCK & 1)
        for (uint32_t i = 0; i < cores_engine_count(); i++)
            node_jump_clock(&engines[i], (int64_t)roll(FOR_FAULTS, 4000) - 2000);
}

void faults_end(void)
{
    sim.calm = true;
    memset(&disk_trouble, 0, sizeof disk_trouble);
    net_heal();
    cores_confuse_balancer(0);
    for (uint32_t i = 0; i < cores_engine_count(); i++) {
        engines[i].stalled_until_us = engines[i].away_until_us = 0;
        node_wake(&engines[i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        orchestrators[i].stalled_until_us = 0;
        orchestrators[i].slow_until_us = orchestrators[i].busy_until_us = 0;
        node_wake(&orchestrators[i]);
    }
}
