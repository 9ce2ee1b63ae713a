/* Which bug of lib/base/mutation.h is in force: none, or one of them. */
#ifndef SIMULATION_MUTATION_H
#define SIMULATION_MUTATION_H

#include <stdbool.h>
#include <stddef.h>

size_t mutation_count(void);
/* 0 to mutation_count() - 1. */
const char *mutation_name(size_t i);
const char *mutation_what(size_t i);
/* False if there is none of that name. NULL: none is in force. */
bool mutation_select(const char *name);

#endif
