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
void bytes_free(bytes *b); /* once nobody holds it: for bytes_unref alone */

/* Here, not behind a call: most outputs and errors are NULL, and each checkpoint passes through many hands. */
static inline bytes *bytes_ref(bytes *b) /* NULL passes through */
{
    if (b)
        atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

static inline void bytes_unref(bytes *b) /* NULL is harmless */
{
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        bytes_free(b);
}

#endif
