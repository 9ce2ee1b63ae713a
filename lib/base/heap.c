#include "base/heap.h"

#include "base/mem.h"

static bool before(const heap_node *a, const heap_node *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(heap *h, size_t i, heap_node *node)
{
    h->nodes[i] = node;
    node->place = i + 1;
}

static void sift_up(heap *h, size_t i, heap_node *node)
{
    while (i > 0 && before(node, h->nodes[(i - 1) / 2])) {
        put(h, i, h->nodes[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(h, i, node);
}

static void sift_down(heap *h, size_t i, heap_node *node)
{
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= h->len)
            break;
        if (child + 1 < h->len && before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (!before(h->nodes[child], node))
            break;
        put(h, i, h->nodes[child]);
        i = child;
    }
    put(h, i, node);
}

bool heap_set(heap *h, heap_node *node, int64_t at)
{
    size_t i;

    if (!node->place) {
        heap_node **grown = mem_grow(h->nodes, &h->cap, h->len + 1, sizeof *grown);

        if (!grown)
            return false;
        h->nodes = grown;
        i = h->len++;
    } else {
        i = node->place - 1;
    }
    node->at = at;
    node->order = h->next_order++;
    sift_up(h, i, node);
    sift_down(h, node->place - 1, node);
    return true;
}

void heap_remove(heap *h, heap_node *node)
{
    size_t i = node->place - 1;
    heap_node *last;

    if (!node->place)
        return;
    node->place = 0;
    last = h->nodes[--h->len];
    if (last == node)
        return;
    sift_up(h, i, last);
    sift_down(h, last->place - 1, last);
}

void heap_free(heap *h)
{
    mem_free(h->nodes);
    *h = (heap)HEAP_INIT;
}
