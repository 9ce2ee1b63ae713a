/* The execution protocol's messages as bytes: those of proto/orch/v1/engine.proto. For transports that cross processes. */
#ifndef TRANSPORT_WIRE_H
#define TRANSPORT_WIRE_H

#include "base/buf.h"
#include "transport/message.h"

#define WIRE_PART_BYTES    ((size_t)1 << 20) /* a longer message goes in parts of so many */
#define WIRE_PART_OVERHEAD 32                /* what a part adds to its bytes, at most */
#define WIRE_MESSAGE_BYTES ((size_t)1 << 30) /* of one message in all its parts, at most */

/* Of one direction: a message in the pieces that are sent: itself, or parts of it. All zero in the beginning. */
typedef struct wire_writer {
    buf whole, part;
    size_t at;
    bool to_engine;
} wire_writer;

/* Write a message, in place of the one before. RESOURCE_EXHAUSTED: no memory, or it is longer than any message may be; then there is no
 * piece of it. */
int32_t wire_write(wire_writer *w, const message *m, size_t part_bytes);
/* The next piece, there until the next call. False: there are no more. `part_bytes` as before. */
bool wire_next(wire_writer *w, size_t part_bytes, const void **data, size_t *len);
void wire_writer_free(wire_writer *w);

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
