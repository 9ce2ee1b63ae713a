/* The disk under an orchestrator: the real store in memory is what is on the platter and survives; the way there takes time.
 * What was not acknowledged when its orchestrator dies is there, or not. */
#ifndef SIMULATION_DISK_H
#define SIMULATION_DISK_H

#include "simulation/node.h"
#include "store/store.h"

/* What is wrong with it now, each until then; of the platter, for whoever uses it. */
typedef struct disk_troubles {
    int64_t full_until_us, refusing_until_us, unreadable_until_us, slow_until_us;
    int32_t code; /* of refusals */
} disk_troubles;
extern disk_troubles disk_trouble;

void platter_new(void);
void platter_free(void);
store platter(void); /* for the model, at the end */

typedef struct disk disk;
disk *disk_open(node *of);
store disk_store(disk *d);
void disk_flush(disk *d);
/* The orchestrator is dead: a part of what was on its way reaches the platter, and nothing after that. From here on all that
 * comes is given back at once. */
void disk_cut(disk *d);
bool disk_is_idle(const disk *d);
void disk_free(disk *d); /* nothing is on its way */

#endif
