/* uthash, set up so that lack of memory is an answer and not an exit: after HASH_ADD…, map_added() tells whether
 * the element went in. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

/* Most keys are numbers of our own making: one multiplication spreads them (Knuth's, by the golden ratio). */
static inline unsigned map_hash_number(const void *key)
{
    uint64_t number;

    memcpy(&number, key, sizeof number);
    return (unsigned)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

#define HASH_NONFATAL_OOM    1
#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) mem_free(p)
#define HASH_FUNCTION(key, len, hash)      \
    do {                                   \
        if ((len) == sizeof(uint64_t))     \
            (hash) = map_hash_number(key); \
        else                               \
            HASH_JEN(key, len, hash);      \
    } while (0)
#include <uthash.h>

#define map_added(hh) ((hh).tbl != NULL)

#endif
