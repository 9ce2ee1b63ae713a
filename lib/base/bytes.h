/* Immutable, reference-counted bytes: payloads that pass through many hands and threads uncopied. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bytes {
    atomic_uint refs;
    uint32_t len;
    char data[]; /* followed by a NUL that len does not count */
} bytes;

#define BYTES_MAX_LEN UINT32_MAX

/* A copy of `data`; NULL if there is no memory or len > BYTES_MAX_LEN. `data` NULL leaves room to fill
 * before the bytes are shared. */
bytes *bytes_new(const void *data, size_t len);
bytes *bytes_ref(bytes *b); /* NULL passes through */
void bytes_unref(bytes *b); /* NULL is harmless */

#endif
