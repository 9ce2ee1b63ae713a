/* A process of the simulation: an orchestrator or an engine, with a clock of its own, one timer, a pool whose work takes time
 * and comes back in any order, and a loop that is turned when there is something to do. It can stand still, and die. */
#ifndef SIMULATION_NODE_H
#define SIMULATION_NODE_H

#include "base/work.h"
#include "engine/engine.h"
#include "orchestrator/orchestrator.h"
#include "simulation/sim.h"

#define ENGINES_MAX 4
#define JOBS_MAX    8192

typedef struct node node;

typedef struct pool_job {
    work *work;
    uint64_t number;
    bool ran;
} pool_job;

struct node {
    char name[16];
    bool is_orchestrator;
    uint32_t place; /* of an engine */
    bool up;
    uint32_t
        incarnation;   /* rises with each start and death: what is of an older one is passed over */
    int64_t latest_ms; /* that its clock ever said before it was set */
    int64_t offset_ms; /* of its clock */
    int64_t stalled_until_us;
    int64_t away_until_us; /* takes no connections */
    int64_t timer_ms;
    uint32_t timer_number;
    bool pump_due;
    pool_job *jobs;
    uint32_t job_count;
    uint64_t job_number;
    int64_t busy_until_us; /* the pool takes no work */
    int64_t slow_until_us; /* work comes back late */
    engine *engine;
    orchestrator *orchestrator;
    struct disk *disk;
    struct hands *hands; /* of an engine: the attempts that are out */
    uint64_t instance;
};

extern node orchestrators[2]; /* the second one: another that has taken the store */
extern node engines[ENGINES_MAX];

int64_t node_now_ms(const node *n);
void node_init(node *n, const char *name, bool is_orchestrator, uint32_t place);
void node_born(node *n);
/* What it had under way is given back: jobs that did not run are refused. Before its core is freed. */
void node_give_back_jobs(node *n);
void node_dead(node *n);
void node_wake(node *n); /* turn its loop soon */
void node_set_timer(void *ctx, int64_t at_ms);
int64_t node_clock(void *ctx);
int64_t node_steady_clock(void *ctx); /* which nothing sets */
work_pool node_pool(node *n);
void node_jump_clock(node *n, int64_t by_ms);
void node_stall(node *n, int64_t until_us);
static inline bool node_is_stalled(const node *n)
{
    return n->stalled_until_us > sim.now_us;
}

#endif
