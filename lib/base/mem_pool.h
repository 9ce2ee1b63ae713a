/* Small blocks that come and go all the time: what is given back is kept for the next request of its size, up to a limit.
 * One thread's. */
#ifndef BASE_MEM_POOL_H
#define BASE_MEM_POOL_H

#include <stddef.h>

#define MEM_POOL_STEP    64 /* sizes are rounded up to a multiple */
#define MEM_POOL_CLASSES 20 /* what is larger is not kept: a message of 1 KiB with its heads is */

typedef struct mem_pool { /* zero-initialise */
    void *kept[MEM_POOL_CLASSES];
    size_t kept_bytes;
} mem_pool;

void *mem_pool_alloc(mem_pool *p, size_t size); /* NULL: no memory */
void *mem_pool_zalloc(mem_pool *p, size_t size);
/* NULL is harmless. size: that of the request. */
void mem_pool_free(mem_pool *p, void *block, size_t size);
void *mem_pool_resize(mem_pool *p, void *block, size_t size,
                      size_t to); /* NULL: no memory, it is as it was */
void mem_pool_clear(mem_pool *p); /* free what is kept */

#endif
