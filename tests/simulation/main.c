/* The simulator. One seed: `sim --seed N [--trace]`; many: `sim --seeds N [--from N]`;
 * whether it finds what it should: `sim --mutations --seeds N`. A seed that breaks a promise is made
 * smaller, as long as it still does, and printed as one command line. */
#include <jansson.h>
#include <stdio.h>

#include "simulation/harness.h"
#include "simulation/runner.h"
#include "simulation/shrink.h"

int main(int argc, char **argv)
{
    command c;
    uint64_t first = 0;

    json_object_seed(1);
    if (!options_read(&c, argc, argv))
        return 2;
    if (c.mutations)
        return harness_run(&c) ? 0 : 1;
    if (!c.seeds) {
        runner_one(&c.options, c.twice);
        return 0;
    }
    if (!runner_run(&c, &first))
        return 0;
    if (c.shrink) {
        c.options.seed = first;
        shrink(&c.options);
    }
    return 1;
}
