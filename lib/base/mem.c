#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef ORCH_TEST_HOOKS
#    include <stdatomic.h>

static atomic_long fail_at;
static atomic_long count;
static atomic_int fail_sticky;

void mem_fail_at(long n, int sticky)
{
    atomic_store(&count, 0);
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_at, n);
}

long mem_count(void)
{
    return atomic_load(&count);
}

int mem_refuse(void)
{
    long n = atomic_fetch_add(&count, 1) + 1;
    long at = atomic_load(&fail_at);

    return at != 0 && (n == at || (n > at && atomic_load(&fail_sticky)));
}
#endif

void *mem_alloc(size_t size)
{
    return mem_refuse() ? NULL : malloc(size ? size : 1);
}

/* glibc's calloc passes its per-thread cache by, and what is freed then passes it by too: small things, which come
 * and go with every message, are faster by malloc. Large ones want calloc's untouched pages. */
#define SMALL 1024

void *mem_zalloc(size_t size)
{
    void *p;

    if (size > SMALL)
        return mem_calloc(1, size);
    p = mem_alloc(size);
    return p ? memset(p, 0, size) : NULL;
}

void mem_clear(void *p, size_t size)
{
    memset(p, 0, size);
}

void *mem_calloc(size_t n, size_t size)
{
    return mem_refuse() ? NULL : calloc(n ? n : 1, size ? size : 1);
}

void *mem_realloc(void *p, size_t size)
{
    return mem_refuse() ? NULL : realloc(p, size ? size : 1);
}

void *mem_grow(void *array, size_t *cap, size_t need, size_t element_size)
{
    size_t next = *cap ? *cap : 8;

    if (need <= *cap && array)
        return array;
    while (next < need) {
        if (next > SIZE_MAX / 2)
            return NULL;
        next *= 2;
    }
    if (next > SIZE_MAX / element_size)
        return NULL;
    array = mem_realloc(array, next * element_size);
    if (array)
        *cap = next;
    return array;
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy = mem_alloc(len + 1);

    if (copy) {
        if (len)
            memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

void mem_free(void *p)
{
    free(p);
}
