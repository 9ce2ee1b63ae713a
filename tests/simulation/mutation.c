#include "simulation/mutation.h"

#include <string.h>

#include "base/mutation.h"

enum mutation mutation_chosen;

static const struct {
    const char *name, *what;
} mutations[] = {
#define MUTATION_ROW(name, what) {#name, what},
    MUTATION_LIST(MUTATION_ROW)
#undef MUTATION_ROW
};

size_t mutation_count(void)
{
    return sizeof mutations / sizeof *mutations;
}

const char *mutation_name(size_t i)
{
    return mutations[i].name;
}

const char *mutation_what(size_t i)
{
    return mutations[i].what;
}

bool mutation_select(const char *name)
{
    mutation_chosen = MUTATION_NONE;
    if (!name)
        return true;
    for (size_t i = 0; i < mutation_count(); i++) {
        if (strcmp(mutations[i].name, name) != 0)
            continue;
        mutation_chosen = (enum mutation)(i + 1);
        return true;
    }
    return false;
}
