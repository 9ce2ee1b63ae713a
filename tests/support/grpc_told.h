/* What a client is told of a call of gRPC, for the test to look at. */
#ifndef SUPPORT_GRPC_TOLD_H
#define SUPPORT_GRPC_TOLD_H

#include "base/buf.h"
#include "grpc/grpc.h"

typedef struct told {
    grpc_call *call; /* NULL once it has ended */
    int headers, messages, drained, closed;
    size_t bytes; /* of all messages */
    bool keeps;   /* set by the test, before one comes: the last message, ... */
    buf last;     /* ... freed by told_forget */
    int32_t code;
    char message[400];
    char trailer[40]; /* "x-end" */
    uint32_t stream;  /* for tests that play the server: its number */
} told;

/* Begin a call, whatever *t was; fails the test without memory. `o` may be NULL. */
void told_call(told *t, grpc_channel *on, const char *path, const grpc_call_options *o);
void told_forget(told *t);

#endif
