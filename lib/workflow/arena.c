#include "workflow/arena_impl.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#define FIRST_BLOCK   1024
#define LARGEST_BLOCK (256 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t size;
    alignas(max_align_t) char data[];
};

/* Blocks double, so that a small definition takes little and a large one few of them. */
static char *add_block(arena *a, size_t need)
{
    size_t size = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK;
    struct arena_block *block;

    if (size > LARGEST_BLOCK)
        size = LARGEST_BLOCK;
    if (size < need)
        size = need;
    if (size > SIZE_MAX - sizeof *block)
        return NULL;
    block = mem_alloc(sizeof *block + size);
    if (!block)
        return NULL;
    block->next = a->blocks;
    block->size = size;
    a->blocks = block;
    a->next = block->data;
    a->left = size;
    return block->data;
}

static void *take(arena *a, size_t size, size_t align)
{
    size_t pad = (size_t)(-(uintptr_t)a->next & (align - 1));
    char *p;

    if (size > a->left || pad > a->left - size) {
        if (!add_block(a, size))
            return NULL;
        pad = 0;
    }
    p = a->next + pad;
    a->next = p + size;
    a->left -= pad + size;
    return p;
}

void *arena_alloc(arena *a, size_t size)
{
    return take(a, size, alignof(max_align_t));
}

char *arena_string(arena *a, const char *s, size_t len)
{
    char *copy = take(a, len + 1, 1);

    if (copy) {
        memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

void arena_free(arena *a)
{
    while (a->blocks) {
        struct arena_block *next = a->blocks->next;

        mem_free(a->blocks);
        a->blocks = next;
    }
    *a = (arena){NULL, NULL, 0};
}
