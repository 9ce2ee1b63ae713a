/* Names to numbers: an open hash over an array of names that others own. Its keys come from the
 * digest of the document the names stand in, so nobody can choose names that collide: other
 * names are another document with other keys. */
#ifndef WORKFLOW_NAMES_IMPL_H
#define WORKFLOW_NAMES_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

#define NAMES_WORDS 17 /* of 8 bytes: a name of 128 bytes, and its length */

typedef struct name_table {
    uint64_t keys[NAMES_WORDS];
    uint32_t *slots; /* number + 1; 0 = free */
    uint32_t bits;   /* there are 2^bits slots */
    uint32_t count;
} name_table;

/* Gives the name of a number that was added. */
typedef const char *(*names_get_fn)(const void *ctx, uint32_t number);

bool names_init(name_table *n, const digest *seed, uint32_t expected); /* false: no memory */
/* Add the number under its name, which get(ctx, number) gives at once. Returns the number, or
 * the one that has the name already; UINT32_MAX if there is no memory. Names are at most 128
 * bytes long. */
uint32_t names_add(name_table *n, names_get_fn get, const void *ctx, const char *name, size_t len,
                   uint32_t number);
/* UINT32_MAX if there is none of that name. */
uint32_t names_find(const name_table *n, names_get_fn get, const void *ctx, const char *name,
                    size_t len);
void names_free(name_table *n);

#endif
