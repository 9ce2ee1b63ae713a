/* Messages in the bytes of a stream: a flag, four bytes of length, the message; whatever the frames of HTTP/2 make of it. */
#ifndef GRPC_FRAMING_H
#define GRPC_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define GRPC_HEAD ((size_t)5)

typedef struct grpc_deframer { /* zero-initialise */
    uint8_t head[GRPC_HEAD];
    uint8_t head_len;
    size_t len;       /* of the message that is under way */
    buf parts;        /* of it, if it did not come at once */
    size_t max_bytes; /* of a message, also inflated; 0 = no limit */
    bool inflates;    /* grpc-encoding is gzip; else the flag may not be set */
} grpc_deframer;

/* Takes bytes; *taken: how many. Each message that is complete is told, until it answers false: then what follows it is not
 * taken. 0, or INTERNAL or RESOURCE_EXHAUSTED with what is wrong in *why (static). What was told is there during the call only. */
int32_t grpc_deframe(grpc_deframer *d, const uint8_t *data, size_t len, size_t *taken,
                     bool (*message)(void *ctx, const uint8_t *data, size_t len), void *ctx,
                     const char **why);
bool grpc_deframer_is_between(const grpc_deframer *d); /* no message has begun */
void grpc_deframer_clear(grpc_deframer *d);

void grpc_head_write(uint8_t out[GRPC_HEAD], bool compressed, size_t len);

/* gzip, by zlib. False: no memory, or (inflate) no gzip or above max_bytes, which *too_much tells. */
bool grpc_gzip(buf *out, const uint8_t *data, size_t len);
bool grpc_gunzip(buf *out, const uint8_t *data, size_t len, size_t max_bytes, bool *too_much);

#endif
