/* Whether the simulator finds what it should: each mutation is switched on in turn, until a seed catches it. */
#ifndef SIMULATION_HARNESS_H
#define SIMULATION_HARNESS_H

#include "simulation/options.h"

/* Prints a table. True if each was caught, within c->seeds. */
bool harness_run(const command *c);

#endif
