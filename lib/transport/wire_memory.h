/* All of protobuf's memory is ours. */
#ifndef TRANSPORT_WIRE_MEMORY_H
#define TRANSPORT_WIRE_MEMORY_H

#include <protobuf-c/protobuf-c.h>

extern ProtobufCAllocator wire_allocator;

#endif
