/* The execution protocol's messages as bytes: those of proto/orch/v1/engine.proto. For transports that cross processes. */
#ifndef TRANSPORT_WIRE_H
#define TRANSPORT_WIRE_H

#include "base/buf.h"
#include "transport/message.h"

#define WIRE_PART_BYTES    ((size_t)1 << 20) /* a longer message goes in parts of so many */
#define WIRE_MESSAGE_BYTES ((size_t)1 << 30) /* of one message in all its parts, at most */

/* Write a message, then hand it to `put`: as it is, or in parts. `scratch` is overwritten. RESOURCE_EXHAUSTED: no memory, or it
 * is longer than any message may be; nothing was put. */
int32_t wire_send(const message *m, buf *scratch,
                  void (*put)(void *ctx, const void *data, size_t len), void *ctx);

/* Of one direction of a channel: the parts that came. */
typedef struct wire_reader {
    bool to_engine; /* what it reads; else what engines say */
    bool in_parts;
    buf parts;
} wire_reader;

/* Read what came. *out: the message; NULL with success where more parts are to come, or where a later version says what need not be
 * understood. INVALID_ARGUMENT says what is wrong; RESOURCE_EXHAUSTED. */
int32_t wire_receive(wire_reader *r, const void *data, size_t len, message **out, orch_error **err);
void wire_reader_free(wire_reader *r);

#endif
