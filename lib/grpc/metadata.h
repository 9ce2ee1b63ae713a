/* Metadata of calls: names and values, in order, names more than once. Names that end in -bin have bytes for values, which travel as
 * base64; others printable ASCII. */
#ifndef GRPC_METADATA_H
#define GRPC_METADATA_H

#include <orch/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

typedef struct grpc_metadata { /* zero-initialise */
    buf entries;
    uint32_t count;
} grpc_metadata;

/* Both are copied. INVALID_ARGUMENT: a name that is not lower-case letters, digits, "-", "_", ".", that is reserved ("grpc-…",
 * ":…"), or a value that may not travel; RESOURCE_EXHAUSTED: no memory. */
int32_t grpc_metadata_add(grpc_metadata *m, const char *name, const void *value, size_t len,
                          orch_error **err);
/* One that came: as it is on the wire. False: no memory. */
bool grpc_metadata_take(grpc_metadata *m, const uint8_t *name, size_t name_len,
                        const uint8_t *value, size_t value_len);
/* The i-th; false if there are not so many. Borrowed, with a NUL behind each, as on the wire. */
bool grpc_metadata_at(const grpc_metadata *m, uint32_t i, const char **name, const char **value,
                      size_t *len);
/* The first of that name, NULL if there is none. */
const char *grpc_metadata_get(const grpc_metadata *m, const char *name, size_t *len);
/* The first of a -bin name, decoded: of what was joined with commas, the first. False: none, no base64, or no memory. */
bool grpc_metadata_get_bin(const grpc_metadata *m, const char *name, buf *out);
void grpc_metadata_clear(grpc_metadata *m);

#endif
