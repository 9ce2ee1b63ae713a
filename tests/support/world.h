/* The cores in one thread, on a clock that only the test moves: a store, the inproc transport, an orchestrator, engines,
 * and a pool that runs its jobs between turns. Nothing here sleeps. */
#ifndef SUPPORT_WORLD_H
#define SUPPORT_WORLD_H

#include "engine/engine.h"
#include "orchestrator/orchestrator.h"

#define WORLD_ENGINES 4

typedef struct world_engine {
    struct world *world;
    engine *engine;
    char name[16];
    int64_t timer_ms;
    long wakes; /* how often it asked to be pumped from another thread */
} world_engine;

typedef struct world {
    int64_t now_ms;
    store store;
    uint64_t term;
    transport transport;
    transport_ops remote_ops; /* of world_options.remote: the same, and */
    channel_ops remote_channel_ops;
    orchestrator *orchestrator;
    int64_t timer_ms;
    world_engine engines[WORLD_ENGINES];
    uint32_t engine_count;
    mpsc pool;      /* jobs that wait */
    mpsc ran;       /* jobs that ran and are not back on the loop */
    bool pool_held; /* keep them waiting */
    uint64_t instance;
    uint64_t random;
} world;

typedef struct world_options {
    uint32_t engines, capacity, credit, window;
    uint32_t max_accepting;
    uint64_t max_open, window_bytes;
    const executor_ops *test_executor; /* registered as "test" on each engine, with `test_self` */
    void *test_self;
    codec codec; /* of the engines */
    bool remote; /* the engines are as of other processes: their transport says so */
    /* Instead of engines: the test itself answers at "engine-0". */
    void (*raw_accept)(void *ctx, channel *c);
    void *raw_ctx;
} world_options;

/* An empty world on a memory store. Fails the test if anything does not work. */
world *world_new(const world_options *o);
void world_free(world *w);
/* Kill the cores without any goodbye, and start anew on the same store. */
void world_restart(world *w, const world_options *o);
/* Kill one engine and start another in its place. */
void world_restart_engine(world *w, uint32_t i, const world_options *o);
/* Turn until nothing is left to do now. */
void world_settle(world *w);
/* A little of it only: one message, one action, or one turn of something, by `which`. */
void world_nudge(world *w, uint32_t which);
/* Move the clock, timer by timer, and settle after each. */
void world_advance(world *w, int64_t ms);

void world_register(world *w, const char *text);
/* Start, settle, and return the key. `id` may be NULL. */
uint64_t world_start(world *w, const char *workflow, const char *id, const char *input);
int32_t world_start_code(world *w, const char *workflow, const char *id, const char *input,
                         uint64_t *key);
int32_t world_cancel(world *w, const char *id, const char *reason);
/* Another control of `id`; its texts and bytes are copied. */
int32_t world_control(world *w, const char *id, control_request r);
int32_t world_signal(world *w, const char *id, const char *name, const char *correlation,
                     const char *payload);
uint64_t world_key(world *w,
                   const char *id); /* of a stored execution; fails the test if there is none */
/* The stored row; the caller clears it. */
execution_row world_row(world *w, uint64_t key);
uint8_t world_state(world *w, uint64_t key);
char *world_output(world *w, uint64_t key); /* text, freed by mem_free; "null" if none */
char *world_error(world *w, uint64_t key);
uint32_t world_checkpoints(world *w, uint64_t key,
                           uint8_t kind);       /* how many of that kind; 0 = all */
channel *world_channel(world *w, uint64_t key); /* the orchestrator's end; NULL */

#endif
