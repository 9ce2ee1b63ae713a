/* xoshiro256** (https://prng.di.unimi.it), for jitter and the like: quick, not secret. */
#ifndef RUNTIME_RANDOM_IMPL_H
#define RUNTIME_RANDOM_IMPL_H

#include <stdint.h>

typedef struct random_state {
    uint64_t s[4];
} random_state;

void random_seed(random_state *r);               /* from the system */
void random_set(random_state *r, uint64_t seed); /* the same numbers each time */
uint64_t random_next(random_state *r);

#endif
