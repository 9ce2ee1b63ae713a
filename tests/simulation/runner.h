/* Many seeds, in processes beside each other. */
#ifndef SIMULATION_RUNNER_H
#define SIMULATION_RUNNER_H

#include "simulation/options.h"

/* Runs them; prints the sums, and what failed. The number of failed seeds, the first of them in *first. */
uint32_t runner_run(const command *c, uint64_t *first);
/* One seed in a process of its own, its output thrown away. False if it broke a promise. */
bool runner_try(const sim_options *o);
/* The same; the promise that it broke goes to `out_promise`. */
bool runner_holds(const sim_options *o, char *out_promise, size_t size);
void runner_show(const sim_options *o);            /* the same, with its output */
void runner_one(const sim_options *o, bool twice); /* in this process */

#endif
