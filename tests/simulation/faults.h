/* What goes wrong, and when: each kind of fault that the seed has comes at least as often as is promised. */
#ifndef SIMULATION_FAULTS_H
#define SIMULATION_FAULTS_H

#include "simulation/node.h"

void faults_begin(void);
bool faults_all_done(void); /* each as often as it is to be */
void faults_orchestrator_up(node *n);
/* net_hold_back had something to hold back, of that orchestrator's. */
void faults_spoke_last(node *n);
void faults_end(void); /* from here on all is well */
/* The kind that could not be done often enough; FAULTS: none. */
enum fault faults_missing(void);

#endif
