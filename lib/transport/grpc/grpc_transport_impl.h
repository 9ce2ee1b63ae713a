/* The inside of the transport of gRPC. */
#ifndef TRANSPORT_GRPC_GRPC_TRANSPORT_IMPL_H
#define TRANSPORT_GRPC_GRPC_TRANSPORT_IMPL_H

#include "transport/delivery.h"
#include "transport/grpc/grpc_transport.h"
#include "transport/wire.h"

typedef struct grpc_transport grpc_transport;

/* A way to one engine: its calls share a connection. */
typedef struct target {
    list node;
    grpc_channel *channel;
    char endpoint[];
} target;

typedef struct grpc_listener {
    list node;
    grpc_transport *transport;
    grpc_server *server;
    uint16_t port;
    void (*accepted)(void *ctx, channel *c);
    void *ctx;
    char endpoint[];
} grpc_listener;

struct grpc_transport {
    net_uv *net;
    grpc_transport_options options;
    delivery delivery;
    list targets, listeners;
    list
        lingering; /* calls of ends that were closed, and which the other side has still to end; oldest first */
    net_timer linger;
    wire_writer writer;
};

/* One end of a hand-over: a call, seen from either side. */
typedef struct grpc_end {
    delivery_end base; /* first */
    grpc_transport *transport;
    grpc_call *call;         /* NULL: it is over */
    grpc_listener *listener; /* of one that nobody has accepted yet */
    bool is_server, is_paused;
    wire_reader reader;
} grpc_end;

/* An end for a call that begins. NULL: no memory. */
grpc_end *grpc_end_new(grpc_transport *t, bool is_server);
void grpc_end_begin(void *ctx, grpc_call *c); /* a call came; ctx is the listener */
void grpc_end_on_linger(net_timer *timer);
void grpc_end_unlisten(grpc_transport *t, const grpc_listener *l);
void grpc_ends_free(grpc_transport *t);
extern const grpc_call_handler grpc_end_handler;

#endif
