/* The health service of gRPC: grpc.health.v1.Health, with Check, Watch and List. Source: gRPC's health-checking document and health.proto. */
#ifndef GRPC_HEALTH_H
#define GRPC_HEALTH_H

#include "grpc/grpc.h"

typedef struct grpc_health grpc_health;

enum grpc_serving { /* the numbers of health.proto */
                    GRPC_SERVING = 1,
                    GRPC_NOT_SERVING = 2,
};

/* Adds the service to a server, with "" (all of it) SERVING. It has to stay as long as the server. RESOURCE_EXHAUSTED; ALREADY_EXISTS. */
int32_t grpc_health_new(grpc_server *s, grpc_health **out, orch_error **err);
/* Set, or change, the state of a service; who watches it is told. False if there is no memory, or no room: 100 services at most. */
bool grpc_health_set(grpc_health *h, const char *service, enum grpc_serving state);
/* Calls that watch are ended, before the server goes or with it. NULL is harmless. */
void grpc_health_free(grpc_health *h);

#endif
