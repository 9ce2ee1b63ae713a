/**
 * @file service.h
 * @brief The management service: an orchestrator that clients of other processes reach, in gRPC.
 */
#ifndef ORCH_SERVICE_H
#define ORCH_SERVICE_H

#include <orch/error.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Serve orch.v1.OrchestratorService (proto/orch/v1/orchestrator.proto) until the orchestrator stops.
 * @param orch the orchestrator; not NULL
 * @param endpoint where: HOST:PORT, [::1]:PORT or unix:PATH, also with grpc:// before it; port 0 = any free one; not NULL
 * @param out_port which port it became; 0 for unix:; may be NULL; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT (endpoint; TLS files, by name); ORCH_E_UNAVAILABLE if the address cannot be had;
 *         ORCH_E_ALREADY_EXISTS if something listens there already; ORCH_E_FAILED_PRECONDITION after stop or in a forked child;
 *         ORCH_E_RESOURCE_EXHAUSTED beyond eight of them, and without memory
 * With TLS_CERT and TLS_KEY set, connections have TLS; with TLS_CA too, clients have to show a certificate that it signed. Without, whoever reaches
 * the endpoint can do all that the host can. Any thread; blocks for a turn of the loop. May be called for several endpoints.
 */
ORCH_API int32_t orch_v2_listen(orch_v2 *orch, const char *endpoint, uint16_t *out_port,
                                orch_error **err);

#ifdef __cplusplus
}
#endif
#endif
