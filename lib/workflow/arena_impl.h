/* Memory that is given out piece by piece and freed all at once. */
#ifndef WORKFLOW_ARENA_IMPL_H
#define WORKFLOW_ARENA_IMPL_H

#include <stddef.h>

typedef struct arena {
    struct arena_block *blocks;
    char *next;
    size_t left;
} arena;

void *arena_alloc(arena *a, size_t size);                /* aligned for anything; NULL: no memory */
char *arena_string(arena *a, const char *s, size_t len); /* a copy with a NUL behind it */
void arena_free(arena *a);

#endif
