/* The simulator's ground: one process, one seed, virtual time. Everything that happens is an event of one queue, in order of
 * time and, at the same time, of its making; every choice is a roll of a stream of numbers that the seed begins. So the same
 * seed and options give the same run, on every machine. */
#ifndef SIMULATION_SIM_H
#define SIMULATION_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what may go wrong, each by itself ------------------------------------------------------------------- */

/* clang-format off */
/* name, what is done, how often at least in a seed that has it */
#define FAULT_LIST(X) \
    X(BREAK,        "break",        "a connection is lost, with a part of what was under way", 6) \
    X(REPEAT,       "repeat",       "what came last on a lost connection comes twice", 2) \
    X(CUT,          "cut",          "an engine cannot be reached, in one direction or both", 2) \
    X(KILL,         "kill",         "the orchestrator is killed, and started on the same store", 2) \
    X(KILL_EARLY,   "kill-early",   "the orchestrator is killed while it recovers", 1) \
    X(STOP,         "stop",         "the orchestrator is stopped in good order", 1) \
    X(CRASH,        "crash",        "an engine is killed, and started anew", 2) \
    X(STALL,        "stall",        "an engine stands still, and comes back as a zombie", 2) \
    X(PAUSE,        "halt",         "the orchestrator stands still", 1) \
    X(AWAY,         "away",         "an engine takes no connections for a while", 1) \
    X(BALANCE,      "balance",      "the balancer sees no engine, or loads that are not so", 1) \
    X(FULL,         "full",         "the store is full: starts fail, others wait", 1) \
    X(REFUSE,       "refuse",       "the store refuses units for a while", 2) \
    X(READ,         "read",         "reads of the store fail for a while", 2) \
    X(OLD,          "old",          "reads take long, and what they say is old", 2) \
    X(SLOW,         "slow",         "commits take long", 2) \
    X(POOL,         "pool",         "the pool takes no work for a while", 1) \
    X(CLOCK,        "clock",        "a clock jumps, forward or back", 2) \
    X(USURP,        "usurp",        "another orchestrator takes the store, and the first does not know", 1) \
    X(LATE,         "late",         "what an orchestrator said last arrives when it is long dead", 3)
/* clang-format on */

enum fault {
#define FAULT_ENUM(name, word, what, least) FAULT_##name,
    FAULT_LIST(FAULT_ENUM)
#undef FAULT_ENUM
        FAULTS
};
const char *fault_word(enum fault f);
const char *fault_what(enum fault f);
uint32_t fault_least(enum fault f);

/* ---- options --------------------------------------------------------------------------------------------- */

typedef struct sim_options {
    uint64_t seed;
    uint32_t executions; /* started from outside, at most */
    uint32_t minutes;    /* of load and faults; then everything is to come to its end */
    uint32_t steps;      /* of a definition, at most */
    uint32_t engines;
    uint32_t features; /* bit n: enum feature n may be used in definitions */
    uint32_t faults;   /* bit n: enum fault n may happen */
    bool trace;        /* all of it on stdout; else the last of it, if a promise is broken */
    const char *mutation;
} sim_options;
void sim_default_options(sim_options *o);

typedef struct sim_counts {
    uint64_t events, virtual_ms, executions, attempts, messages, units, runs_ended;
    uint64_t faults[FAULTS];
} sim_counts;

/* ---- chance: streams of their own, so that what is left out of one leaves the others as they are ----------- */

enum stream {
    FOR_DEFINITIONS,
    FOR_LOAD,
    FOR_FAULTS,
    FOR_NET,
    FOR_DISK,
    FOR_NODES,
    FOR_WORK,
    STREAMS
};

uint64_t draw(enum stream s);
uint32_t roll(enum stream s, uint32_t sides); /* 0 to sides - 1 */
static inline bool one_in(enum stream s, uint32_t n)
{
    return roll(s, n) == 0;
}
/* Mostly near `least`, seldom near `most`. */
int64_t roll_span(enum stream s, int64_t least, int64_t most);

/* ---- the world ------------------------------------------------------------------------------------------- */

#define SIM_EPOCH_MS INT64_C(1700000000000)
#define MS           1000 /* in microseconds, the unit of virtual time */
#define SECONDS      (1000 * INT64_C(1000))

typedef void (*event_fn)(void *ctx, uint64_t arg);

struct sim {
    sim_options options;
    int64_t now_us;  /* virtual, since the begin */
    bool calm;       /* the faults are over */
    uint32_t faults; /* that this seed has: bits */
    bool
        in_process; /* the engines say that they are of the orchestrator's process: they start steps without proof */
    int64_t clock_ahead_ms; /* how much a clock was at most ahead of the true time … */
    sim_counts counts;
};
extern struct sim sim;

void sim_begin(const sim_options *o);
void sim_end(void);
void sim_at(int64_t at_us, event_fn fn, void *ctx, uint64_t arg);
void sim_after(int64_t delay_us, event_fn fn, void *ctx, uint64_t arg);
bool sim_step(void); /* the next event; false if there is none */
static inline int64_t sim_now_ms(void)
{
    return SIM_EPOCH_MS + sim.now_us / MS;
}
void sim_fault_done(enum fault f); /* it took effect */

/* The end of a seed that broke a promise: says which, and the last of the trace. Does not return. */
void broken(const char *promise, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

#endif
