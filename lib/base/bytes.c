#include "base/bytes.h"

#include <string.h>

#include "base/mem.h"

bytes *bytes_new(const void *data, size_t len)
{
    bytes *b;

    if (len > BYTES_MAX_LEN - 1)
        return NULL;
    b = mem_alloc(sizeof *b + len + 1);
    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    b->len = (uint32_t)len;
    if (data && len)
        memcpy(b->data, data, len);
    b->data[len] = '\0';
    return b;
}

void bytes_free(bytes *b)
{
    mem_free(b);
}
