/* Those who use the orchestrator: they start, cancel, signal, pause, and so on, and note what they are told. */
#ifndef SIMULATION_LOAD_H
#define SIMULATION_LOAD_H

#include "simulation/node.h"

void load_begin(void);
void load_orchestrator_up(node *n); /* a program registers its workflows at each start */
/* The faults are over: what waits for somebody is given it, from here on. */
void load_calm(void);
bool load_is_answered(void); /* nobody waits for an answer or an end */
void load_over(void);

#endif
