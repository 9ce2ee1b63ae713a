/* The real cores on the ports of the simulation, and their lives. */
#ifndef SIMULATION_CORES_H
#define SIMULATION_CORES_H

#include "simulation/node.h"

#include <stdbool.h>

void cores_begin(void); /* all are started */
void cores_end(void);   /* all are killed */
bool cores_pump(node *n);
node *cores_primary(void); /* who has the store; may be down */
uint32_t cores_engine_count(void);

void cores_kill_orchestrator(node *n, int64_t back_after_us); /* -1: it does not come back */
void cores_stop_orchestrator(node *n, int64_t back_after_us); /* in good order */
void cores_kill_engine(node *n, int64_t back_after_us);
/* Another one takes the store; the one that had it can reach no engine any more, and does not know why. */
void cores_usurp(int64_t kill_after_us);
/* The balancer sees what is not so until then. */
void cores_confuse_balancer(int64_t until_us);

#endif
