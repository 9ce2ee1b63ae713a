/* A store under an orchestrator that refuses now and then, for a reason that passes: of what is to be written, of what is
 * to be read. What it takes it hands to the store of the world. */
#ifndef SUPPORT_POOR_STORE_H
#define SUPPORT_POOR_STORE_H

#include "support/world.h"

enum poor_read {
    POOR_DEFINITIONS,
    POOR_EXECUTION,
    POOR_CHECKPOINTS,
    POOR_INBOX,
    POOR_RUNNABLE,
    POOR_DUE,
    POOR_NEXT_WAKE,
    POOR_READS
};

typedef struct poor_store {
    int32_t code;                     /* of refusals; RESOURCE_EXHAUSTED after poor_reset */
    int pass;                         /* so many of the next units go through, and only then ... */
    int refuse;                       /* ... so many are refused */
    int fail[POOR_READS];             /* so many of the next reads of a kind */
    uint32_t (*roll)(uint32_t sides); /* where set: besides, one in `odds` of either */
    uint32_t odds;
    int refused, failed; /* how many were */
    int submitted;
    const store_ops *real;
    store_unit *first, **end; /* refused ones, until they are reaped */
} poor_store;

extern poor_store poor;

void poor_reset(void);
/* From here on, until the world's cores are started anew. */
void poor_put_under(world *w);

#endif
