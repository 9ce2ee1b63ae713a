/* Allocation. Everything of ours comes from here, so that tests can fail the n-th request. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
/* Zero it, by a call: what compilers put in its place for a size that they know is slower from 64 bytes on. */
void mem_clear(void *p, size_t size);
void *mem_calloc(size_t n, size_t size); /* NULL on overflow of n × size */
void *mem_realloc(void *p, size_t size);
/* Grow an array to hold at least `need` elements (doubling). Returns the new array or NULL, in which
 * case the old one and *cap are unchanged. */
void *mem_grow(void *array, size_t *cap, size_t need, size_t element_size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);
void mem_free(void *p);

#ifdef ORCH_TEST_HOOKS
/* Fail the n-th allocation from now (1 = the next), and all after it while `sticky`; 0 = never. */
void mem_fail_at(long n, int sticky);
long mem_count(void); /* allocations since the last mem_fail_at */
/* For who has memory of its own to give out: this request counts, and whether it is to fail. */
int mem_refuse(void);
#else
static inline int mem_refuse(void)
{
    return 0;
}
#endif

#endif
