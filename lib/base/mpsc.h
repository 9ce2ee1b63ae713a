/* Many producers, one consumer: an intrusive stack that the consumer takes whole and turns round, so a
 * push is one compare-and-swap and a drain one exchange. */
#ifndef BASE_MPSC_H
#define BASE_MPSC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct mpsc_node {
    struct mpsc_node *next;
} mpsc_node;

typedef struct mpsc {
    _Atomic(mpsc_node *) top;
} mpsc;

/* True if the queue was empty before: then, and only then, the consumer must be woken. */
static inline bool mpsc_push(mpsc *q, mpsc_node *node)
{
    mpsc_node *top = atomic_load_explicit(&q->top, memory_order_relaxed);

    do
        node->next = top;
    while (!atomic_compare_exchange_weak_explicit(&q->top, &top, node, memory_order_release,
                                                  memory_order_relaxed));
    return top == NULL;
}

/* All that was pushed, oldest first, linked by next; NULL if none. Consumer only. */
static inline mpsc_node *mpsc_drain(mpsc *q)
{
    mpsc_node *top = atomic_exchange_explicit(&q->top, NULL, memory_order_acquire);
    mpsc_node *first = NULL;

    while (top) {
        mpsc_node *next = top->next;

        top->next = first;
        first = top;
        top = next;
    }
    return first;
}

static inline bool mpsc_empty(mpsc *q)
{
    return atomic_load_explicit(&q->top, memory_order_acquire) == NULL;
}

#endif
