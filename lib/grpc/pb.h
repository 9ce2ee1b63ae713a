/* The wire of Protocol Buffers, by hand: for the few small messages of gRPC's own services, and to look into files of descriptors.
 * Source: protobuf.dev's Encoding. */
#ifndef GRPC_PB_H
#define GRPC_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 }; /* groups are gone */

typedef struct pb_reader {
    const uint8_t *at, *end;
} pb_reader;

typedef struct pb_field {
    uint32_t number;
    enum pb_type type;
    uint64_t value;      /* of a number */
    const uint8_t *data; /* of PB_BYTES: within what is read */
    size_t len;
} pb_field;

static inline pb_reader pb_read(const uint8_t *data, size_t len)
{
    return (pb_reader){data, data ? data + len : NULL};
}
/* What PB_BYTES has inside, if that is a message. */
static inline pb_reader pb_inside(const pb_field *f)
{
    return pb_read(f->data, f->len);
}
/* 1: `f` is the next field. 0: there is none any more. -1: this is no message, and reading it is over. */
int pb_next(pb_reader *r, pb_field *f);
/* The last one of that number and type; false: there is none, or it is no message. */
bool pb_find(pb_reader r, uint32_t number, enum pb_type type, pb_field *f);

/* A lack of memory is in the buffer. */
void pb_put_number(buf *out, uint32_t number, uint64_t value);
void pb_put_bytes(buf *out, uint32_t number, const void *data, size_t len);

#endif
