/* The transport of gRPC: a hand-over is a call of orch.v1.EngineService/Execute. */
#ifndef TRANSPORT_GRPC_GRPC_TRANSPORT_H
#define TRANSPORT_GRPC_GRPC_TRANSPORT_H

#include "grpc/grpc.h"
#include "transport/transport.h"

typedef struct grpc_transport_options {   /* borrowed, and they have to stay */
    tls_context *client_tls, *server_tls; /* NULL = no TLS */
    logger *log;                          /* NULL = none */
} grpc_transport_options;

/* Endpoints: those of net/endpoint.h, with "grpc:" or "grpc://" before them. Freeing the transport ends all calls; what is on `net` of
 * it is gone when that is closed. */
int32_t transport_grpc_new(net_uv *net, const grpc_transport_options *o, transport *out,
                           orch_error **err);
/* "grpc://HOST:PORT" and "grpc:HOST:PORT" as net/endpoint.h has it: what is behind the scheme. */
const char *transport_grpc_address(const char *endpoint);
/* What listens at `endpoint`, for who has other services to add; NULL if nothing does. */
grpc_server *transport_grpc_server(const transport *t, const char *endpoint);
uint16_t transport_grpc_port(const transport *t,
                             const char *endpoint); /* 0: nothing, or a Unix socket */

#endif
