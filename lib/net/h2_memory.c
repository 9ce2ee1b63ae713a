/* nghttp2's memory. Without any, 1.52 frees some of its own twice when its session is deleted (an item that its stream still has: of
 * session_ob_data_push). So a session for which an allocation failed is not called any more, and what it had is freed
 * here, block by block. */
#include "base/mem.h"
#include "net/h2_impl.h"

typedef struct block {
    list node;
    max_align_t data[];
} block;

static block *block_of(void *p)
{
    return (block *)(void *)((char *)p - offsetof(block, data));
}

static void *kept(h2 *h, block *b)
{
    if (!b) {
        h->starved = true;
        return NULL;
    }
    list_push(&h->blocks, &b->node);
    return b->data;
}

static void *allocate(size_t size, void *user)
{
    return kept(user, mem_alloc(sizeof(block) + size));
}

static void *allocate_zeroed(size_t n, size_t size, void *user)
{
    size_t all = n * size; /* nghttp2's own sizes: small */

    return kept(user, mem_zalloc(sizeof(block) + all));
}

static void release(void *p, void *user)
{
    (void)user;
    if (!p)
        return;
    list_remove(&block_of(p)->node);
    mem_free(block_of(p));
}

static void *resize(void *p, size_t size, void *user)
{
    h2 *h = user;
    block *b = p ? block_of(p) : NULL, *moved;

    if (!b)
        return allocate(size, user);
    list_remove(&b->node);
    moved = mem_realloc(b, sizeof *b + size);
    if (!moved) {
        list_push(&h->blocks, &b->node);
        h->starved = true;
        return NULL;
    }
    return kept(h, moved);
}

nghttp2_mem h2_memory(h2 *h)
{
    return (nghttp2_mem){h, allocate, release, allocate_zeroed, resize};
}

void h2_memory_free(h2 *h)
{
    list *node;

    while ((node = list_pop(&h->blocks)))
        mem_free(LIST_ENTRY(node, block, node));
}
