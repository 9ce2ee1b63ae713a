/* Binary min-heap of deadlines, intrusive: a node knows its place, so removal needs no search. Equal
 * times leave in the order in which they came, which keeps runs repeatable. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct heap_node {
    int64_t at;
    uint64_t order;
    size_t place; /* index + 1; 0 = in no heap. Zero-initialise. */
} heap_node;

typedef struct heap {
    heap_node **nodes;
    size_t len, cap;
    uint64_t next_order;
} heap;

#define HEAP_INIT     \
    {                 \
        NULL, 0, 0, 0 \
    }

/* Insert, or move a node that is in the heap already. False if there is no memory (node unchanged). */
bool heap_set(heap *h, heap_node *node, int64_t at);
void heap_remove(heap *h, heap_node *node); /* harmless if not in the heap */
void heap_free(heap *h);                    /* the array only */

static inline heap_node *heap_first(const heap *h) /* NULL if empty */
{
    return h->len ? h->nodes[0] : NULL;
}

#endif
