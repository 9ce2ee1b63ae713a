/* The floor: the state changes of executions and nothing else. One thread, hand-written SQL, the rows of our schema with
 * group commit; no parsing, templates, timers, retries, handlers, messages or answers. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>

#include "bench/bench.h"

typedef struct load {
    uint32_t steps; /* of an execution */
    bool in_a_row;  /* each after the one before; else all at once */
    uint32_t in_flight;
} load;

typedef struct totals {
    uint64_t executions;
    int64_t ns;
    bench_samples latencies_ms;
} totals;

typedef struct floor_loop floor_loop;

/* `path` is a store of ours with the definition 1. */
floor_loop *floor_open(const char *path);
void floor_close(floor_loop *f);
/* A closed loop: start as many executions as are to be in flight, and another one for each that ends; after `seconds`
 * those in flight are seen to their end. Adds to `t`. */
void floor_run(floor_loop *f, const load *l, double seconds, totals *t);

/* Rows of `bytes` into a table of their own, so many a commit: rows in a second. */
double floor_raw_inserts(const char *path, uint32_t bytes, uint32_t a_commit, double seconds);

#endif
