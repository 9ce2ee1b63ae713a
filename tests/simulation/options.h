/* The command line: a seed, and what it is to be smaller by. */
#ifndef SIMULATION_OPTIONS_H
#define SIMULATION_OPTIONS_H

#include "simulation/sim.h"

typedef struct command {
    sim_options options;
    uint64_t from, seeds; /* many; seeds 0: the one of `options` */
    uint32_t jobs;
    bool mutations; /* each of them in turn, until it is caught */
    bool shrink;    /* the first that fails */
    bool twice;     /* each is run twice, and has to leave the same trace */
} command;

bool options_read(command *c, int argc, char **argv); /* false: it said why not */
/* As one command line, behind the program's name. */
void options_write(const sim_options *o, char *out, size_t size);

#endif
