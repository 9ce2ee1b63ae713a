/* Messages of protobuf, in memory that is ours. */
#ifndef TRANSPORT_PROTOBUF_H
#define TRANSPORT_PROTOBUF_H

#include <orch/error.h>
#include <protobuf-c/protobuf-c.h>

/* INVALID_ARGUMENT: these bytes are no such message. RESOURCE_EXHAUSTED. */
int32_t protobuf_unpack(const ProtobufCMessageDescriptor *d, const void *data, size_t len,
                        ProtobufCMessage **out, orch_error **err);
void protobuf_free(ProtobufCMessage *m); /* NULL is harmless */

#endif
