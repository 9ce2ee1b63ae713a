#include "simulation/harness.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "simulation/mutation.h"
#include "simulation/runner.h"

#define PROMISE_ROOM 120

/* Of one mutation. */
typedef struct outcome {
    uint64_t seed; /* the first that caught it; 0 = none did */
    char promise[PROMISE_ROOM];
} outcome;

typedef struct shared {
    atomic_size_t next;
    outcome outcomes[];
} shared;

/* One process takes a mutation at a time, and its seeds in order: which one is the first depends on nothing else. */
static void work(const command *c, shared *s)
{
    sim_options o = c->options;
    size_t i;

    while ((i = atomic_fetch_add(&s->next, 1)) < mutation_count()) {
        outcome *out = &s->outcomes[i];

        o.mutation = mutation_name(i);
        mutation_select(o.mutation);
        for (o.seed = c->from; o.seed < c->from + c->seeds && !out->seed; o.seed++)
            if (!runner_holds(&o, out->promise, sizeof out->promise))
                out->seed = o.seed;
    }
    _exit(0);
}

static bool print(const command *c, const shared *s)
{
    size_t caught = 0;

    for (size_t i = 0; i < mutation_count(); i++) {
        const outcome *o = &s->outcomes[i];

        caught += o->seed != 0;
        if (o->seed)
            printf("  %5" PRIu64 "  %-24s %s\n", o->seed - c->from + 1, mutation_name(i),
                   o->promise);
        else
            printf("  NOT CAUGHT in %" PRIu64 " seeds: %s, %s\n", c->seeds, mutation_name(i),
                   mutation_what(i));
    }
    printf("%zu of %zu mutations caught; the first column says by which seed from %" PRIu64 "\n",
           caught, mutation_count(), c->from);
    return caught == mutation_count();
}

bool harness_run(const command *c)
{
    size_t size = sizeof(shared) + mutation_count() * sizeof(outcome);
    shared *s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bool all;

    if (s == MAP_FAILED)
        abort();
    fflush(NULL);
    for (uint32_t i = 0; i < c->jobs; i++)
        if (fork() == 0)
            work(c, s);
    while (wait(NULL) > 0)
        ;
    all = print(c, s);
    munmap(s, size);
    return all;
}
