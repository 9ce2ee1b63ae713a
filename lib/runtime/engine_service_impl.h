/* The unary calls of orch.v1.EngineService. */
#ifndef RUNTIME_ENGINE_SERVICE_H
#define RUNTIME_ENGINE_SERVICE_H

#include "grpc/grpc.h"
#include "runtime/runtime_impl.h"

/* To the server that takes its hand-overs. Loop thread. */
int32_t engine_service_add(local_engine *e, grpc_server *s, orch_error **err);

#endif
