/* Server reflection, v1 and v1alpha: tools like grpcurl ask a server what it serves and how its messages look.
 * Source: gRPC's server-reflection document and reflection.proto. */
#ifndef GRPC_REFLECTION_H
#define GRPC_REFLECTION_H

#include "grpc/grpc.h"

typedef struct grpc_reflection grpc_reflection;

/* Adds both services to a server. The services of all methods that the server has when it is asked are listed; what they look like is
 * told of the files that were added. It has to stay as long as the server. RESOURCE_EXHAUSTED; ALREADY_EXISTS. */
int32_t grpc_reflection_new(grpc_server *s, grpc_reflection **out, orch_error **err);
/* A file, as protoc --descriptor_set_out has it: a FileDescriptorProto, which is copied. Files that it imports are told with it if they
 * were added, before or after. The same bytes again are harmless. INVALID_ARGUMENT: this is no such file; ALREADY_EXISTS: another
 * file has its name, or declares a name that it declares; RESOURCE_EXHAUSTED: no memory, or 1024 files are there. */
int32_t grpc_reflection_add(grpc_reflection *r, const uint8_t *file, size_t len, orch_error **err);
/* The same with each file of a FileDescriptorSet. Those before one that fails stay. */
int32_t grpc_reflection_add_set(grpc_reflection *r, const uint8_t *set, size_t len,
                                orch_error **err);
/* Calls that are open are ended, before the server goes or with it. NULL is harmless. */
void grpc_reflection_free(grpc_reflection *r);

#endif
