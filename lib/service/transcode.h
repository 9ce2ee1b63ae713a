/* Messages of protobuf as JSON, by their descriptors. Names are those of the proto; enums go by name (numbers are taken too), 64-bit
 * integers as numbers, bytes in base64; what has its default is left out. */
#ifndef SERVICE_TRANSCODE_H
#define SERVICE_TRANSCODE_H

#include <jansson.h>
#include <orch/error.h>
#include <protobuf-c/protobuf-c.h>

/* NULL if there is no memory. */
json_t *transcode_to_json(const ProtobufCMessage *m);
/* *out is freed by protobuf_free. INVALID_ARGUMENT names the field and says what it takes. */
int32_t transcode_from_json(const json_t *in, const ProtobufCMessageDescriptor *d,
                            ProtobufCMessage **out, orch_error **err);
#endif
