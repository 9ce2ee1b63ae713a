/* One seed from its begin to its end. */
#ifndef SIMULATION_SEED_H
#define SIMULATION_SEED_H

#include "simulation/sim.h"

/* Does not return if a promise is broken. The hash of its trace. */
uint64_t seed_run(const sim_options *o);

#endif
