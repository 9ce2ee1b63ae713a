#include "base/mem_pool.h"

#include <string.h>

#include "base/mem.h"

#define MOST_KEPT ((size_t)512 * 1024)

/* Those who use what they have given back are found out as with malloc. */
#if defined(__SANITIZE_ADDRESS__)
#    define CHECKED 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define CHECKED 1
#    endif
#endif
#ifdef CHECKED
#    include <sanitizer/asan_interface.h>
#else
#    define ASAN_POISON_MEMORY_REGION(block, size)   ((void)(block), (void)(size))
#    define ASAN_UNPOISON_MEMORY_REGION(block, size) ((void)(block), (void)(size))
#endif

static size_t class_of(size_t size)
{
    return size ? (size - 1) / MEM_POOL_STEP : 0;
}

static size_t size_of(size_t class)
{
    return (class + 1) * MEM_POOL_STEP;
}

void *mem_pool_alloc(mem_pool *p, size_t size)
{
    size_t class = class_of(size);
    void *block;

    if (class >= MEM_POOL_CLASSES)
        return mem_alloc(size);
    block = p->kept[class];
    if (!block)
        return mem_alloc(size_of(class));
    if (mem_refuse())
        return NULL;
    ASAN_UNPOISON_MEMORY_REGION(block, size_of(class));
    memcpy(&p->kept[class], block, sizeof(void *));
    p->kept_bytes -= size_of(class);
    return block;
}

void *mem_pool_zalloc(mem_pool *p, size_t size)
{
    void *block;

    if (class_of(size) >= MEM_POOL_CLASSES)
        return mem_zalloc(size);
    block = mem_pool_alloc(p, size);
    return block ? memset(block, 0, size) : NULL;
}

void mem_pool_free(mem_pool *p, void *block, size_t size)
{
    size_t class = class_of(size);

    if (!block)
        return;
    if (class >= MEM_POOL_CLASSES || p->kept_bytes >= MOST_KEPT) {
        mem_free(block);
        return;
    }
    memcpy(block, &p->kept[class], sizeof(void *));
    ASAN_POISON_MEMORY_REGION(block, size_of(class));
    p->kept[class] = block;
    p->kept_bytes += size_of(class);
}

void *mem_pool_resize(mem_pool *p, void *block, size_t size, size_t to)
{
    void *moved;

    if (class_of(size) >= MEM_POOL_CLASSES && class_of(to) >= MEM_POOL_CLASSES)
        return mem_realloc(block, to);
    moved = mem_pool_alloc(p, to);
    if (!moved)
        return NULL;
    memcpy(moved, block, size < to ? size : to);
    mem_pool_free(p, block, size);
    return moved;
}

void mem_pool_clear(mem_pool *p)
{
    for (size_t class = 0; class < MEM_POOL_CLASSES; class ++)
        while (p->kept[class]) {
            void *block = p->kept[class];

            ASAN_UNPOISON_MEMORY_REGION(block, size_of(class));
            memcpy(&p->kept[class], block, sizeof(void *));
            mem_free(block);
        }
    p->kept_bytes = 0;
}
