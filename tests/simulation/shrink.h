/* A smaller case of the same kind. */
#ifndef SIMULATION_SHRINK_H
#define SIMULATION_SHRINK_H

#include "simulation/sim.h"

/* The seed fails with these options. Tries smaller ones, and prints the smallest that still fails as one command line. */
void shrink(const sim_options *o);

#endif
