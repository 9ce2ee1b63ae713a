/* uthash, set up so that lack of memory is an answer and not an exit: after HASH_ADD…, map_added() tells whether
 * the element went in. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/mem.h"

#define HASH_NONFATAL_OOM    1
#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) mem_free(p)
#include <uthash.h>

#define map_added(hh) ((hh).tbl != NULL)

#endif
