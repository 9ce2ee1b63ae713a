#include "simulation/shrink.h"

#include <stdio.h>

#include "simulation/grammar.h"
#include "simulation/options.h"
#include "simulation/runner.h"

static uint32_t tries;

static bool still_fails(const sim_options *o)
{
    tries++;
    return !runner_try(o);
}

static bool take_if_it_fails(sim_options *best, const sim_options *smaller)
{
    if (!still_fails(smaller))
        return false;
    *best = *smaller;
    return true;
}

/* By halves, then by one. */
static bool lower(sim_options *best, uint32_t *number)
{
    sim_options smaller = *best;
    uint32_t *own = (uint32_t *)((char *)&smaller + ((char *)number - (char *)best));
    bool any = false;

    for (uint32_t by = *number / 2; by; by /= 2) {
        while (*number > by) {
            smaller = *best;
            *own = *number - by;
            if (!take_if_it_fails(best, &smaller))
                break;
            any = true;
        }
    }
    return any;
}

static bool drop_bits(sim_options *best, uint32_t *bits, int count)
{
    sim_options smaller = *best;
    uint32_t *own = (uint32_t *)((char *)&smaller + ((char *)bits - (char *)best));
    bool any = false;

    for (int i = 0; i < count; i++) {
        smaller = *best;
        *own &= ~(UINT32_C(1) << i);
        if (*own != *bits)
            any |= take_if_it_fails(best, &smaller);
    }
    return any;
}

void shrink(const sim_options *o)
{
    sim_options best = *o;
    char line[1024];
    bool any = true;

    options_write(o, line, sizeof line);
    printf("shrinking %s\n", line);
    best.trace = false;
    for (int rounds = 0; any && rounds < 3; rounds++) {
        any = drop_bits(&best, &best.faults, FAULTS);
        any |= lower(&best, &best.executions);
        any |= lower(&best, &best.minutes);
        any |= drop_bits(&best, &best.features, FEATURES);
        any |= lower(&best, &best.steps);
        any |= lower(&best, &best.engines);
    }
    options_write(&best, line, sizeof line);
    printf("after %u tries, the smallest that fails:\n  sim %s --trace\n", tries, line);
    fflush(stdout);
    runner_show(&best);
}
