/* nghttp2's memory: a dozen small blocks with each stream, so they come from the loop's pool. Without any, 1.52 frees some
 * of its own twice when its session is deleted (an item that its stream still has: of session_ob_data_push). So a session
 * for which an allocation failed is not called any more, and what it had is freed here, block by block. */
#include "net/h2_impl.h"

typedef struct block {
    list node;
    size_t size; /* of all of it */
    max_align_t data[];
} block;

static block *block_of(void *p)
{
    return (block *)(void *)((char *)p - offsetof(block, data));
}

static void *kept(h2 *h, block *b, size_t size)
{
    if (!b) {
        h->starved = true;
        return NULL;
    }
    b->size = size;
    list_push(&h->blocks, &b->node);
    return b->data;
}

static void *allocate(size_t size, void *user)
{
    h2 *h = user;
    size_t all = sizeof(block) + size;

    return kept(h, mem_pool_alloc(&h->loop->pool, all), all);
}

static void *allocate_zeroed(size_t n, size_t size, void *user)
{
    h2 *h = user;
    size_t all = sizeof(block) + n * size; /* nghttp2's own sizes: small */

    return kept(h, mem_pool_zalloc(&h->loop->pool, all), all);
}

static void release(void *p, void *user)
{
    h2 *h = user;

    if (!p)
        return;
    list_remove(&block_of(p)->node);
    mem_pool_free(&h->loop->pool, block_of(p), block_of(p)->size);
}

static void *resize(void *p, size_t size, void *user)
{
    h2 *h = user;
    block *b = p ? block_of(p) : NULL, *moved;

    if (!b)
        return allocate(size, user);
    list_remove(&b->node);
    moved = mem_pool_resize(&h->loop->pool, b, b->size, sizeof *b + size);
    if (!moved)
        list_push(&h->blocks, &b->node);
    return kept(h, moved, sizeof *b + size);
}

nghttp2_mem h2_memory(h2 *h)
{
    return (nghttp2_mem){h, allocate, release, allocate_zeroed, resize};
}

void h2_memory_free(h2 *h)
{
    list *node;

    while ((node = list_pop(&h->blocks))) {
        block *b = LIST_ENTRY(node, block, node);

        mem_pool_free(&h->loop->pool, b, b->size);
    }
}
