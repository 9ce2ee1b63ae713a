/* The executor of the simulation, "work": attempts take virtual time, end well or badly, beat, hang until they are told to
 * stop, and answer late. */
#ifndef SIMULATION_HANDS_H
#define SIMULATION_HANDS_H

#include "executor/executor.h"
#include "simulation/node.h"

typedef struct hands hands;
hands *hands_new(node *engine);
executor hands_executor(hands *h); /* owns it: freed with the engine */

#endif
