/**
 * @file client.h
 * @brief A client of an orchestrator in another process: its management service, in JSON.
 *
 * The calls are those of proto/orch/v1/orchestrator.proto. Requests and replies are JSON objects with the names that the proto has: enums by name,
 * 64-bit integers as numbers, bytes in base64; in replies, what has its default is left out.
 */
#ifndef ORCH_CLIENT_H
#define ORCH_CLIENT_H

#include <orch/config.h>
#include <orch/error.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A connection to an orchestrator, made when a call wants it, and again when it is lost. */
typedef struct orch_client orch_client;
/** What a call was answered. */
typedef struct orch_reply orch_reply;

/**
 * @brief Make a client. It connects with its first call.
 * @param config of it are read TLS_CA, TLS_CERT and TLS_KEY; NULL = defaults: no TLS
 * @param endpoint of the orchestrator: HOST:PORT, dns:///HOST:PORT, [::1]:PORT or unix:PATH, also with grpc:// before it; not NULL
 * @param err where to put an error; may be NULL
 * @return the client, freed by orch_client_free; NULL on failure: ORCH_E_INVALID_ARGUMENT (endpoint; TLS files, by name),
 *         ORCH_E_RESOURCE_EXHAUSTED
 * It has a thread of its own.
 */
ORCH_API orch_client *orch_client_new(const orch_config *config, const char *endpoint,
                                      orch_error **err);

/**
 * @brief Make a call and wait for its answer.
 * @param client the client; not NULL
 * @param method a method of OrchestratorService, such as "GetExecution"; "EngineService/GetEngineStatus" and "EngineService/StopWorkflow" ask an engine,
 *        if that is what is at the endpoint
 * @param request_json the request, a JSON object; NULL = {}
 * @param len its length in bytes
 * @param timeout_ms 1 to 2,147,483,647; 0 = no limit of time
 * @param out_reply the answer, freed by orch_reply_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; what the orchestrator answers (NOT_FOUND, …); ORCH_E_INVALID_ARGUMENT with the field that is wrong; ORCH_E_UNIMPLEMENTED for a
 *         method that this version does not know; ORCH_E_UNAVAILABLE if it cannot be reached; ORCH_E_DEADLINE_EXCEEDED; ORCH_E_RESOURCE_EXHAUSTED;
 *         ORCH_E_FAILED_PRECONDITION in a forked child
 * Any thread, several at a time; blocks. Whether a call that failed with UNAVAILABLE or DEADLINE_EXCEEDED was done is not known; starts with an
 * execution_id or a start_key may simply be repeated.
 */
ORCH_API int32_t orch_client_call(orch_client *client, const char *method, const char *request_json,
                                  size_t len, int32_t timeout_ms, orch_reply **out_reply,
                                  orch_error **err);

/**
 * @brief Takes one answer of a stream.
 * @param user_data as given
 * @param json the answer, a JSON object, valid during the call
 * @param len its length in bytes
 * @return 0: go on; else the stream is cancelled, and orch_client_stream returns ORCH_OK
 * Called on the thread that called orch_client_stream.
 */
typedef int32_t (*orch_stream_fn)(void *user_data, const char *json, size_t len);

/**
 * @brief Make a call that is answered by a stream, and take its answers until it ends.
 * @param client the client; not NULL
 * @param method "SubscribeEvents"; or "EngineService/StreamEvents", which an engine answers
 * @param request_json the request, a JSON object; NULL = {}
 * @param len its length in bytes
 * @param timeout_ms 1 to 2,147,483,647; 0 = no limit of time
 * @param fn takes the answers; not NULL
 * @param user_data handed to it; may be NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK once fn wants no more, or the other side has ended the stream well; else as orch_client_call
 * Any thread; blocks. While fn is at work the other side waits; of events it keeps some, and counts what is missed.
 */
ORCH_API int32_t orch_client_stream(orch_client *client, const char *method,
                                    const char *request_json, size_t len, int32_t timeout_ms,
                                    orch_stream_fn fn, void *user_data, orch_error **err);

/**
 * @brief Get an answer.
 * @param reply the reply; NULL reads as {}
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the reply, NUL-terminated
 */
ORCH_API const char *orch_reply_json(const orch_reply *reply, size_t *out_len);
/**
 * @brief Free an answer.
 * @param reply the reply; NULL is harmless
 */
ORCH_API void orch_reply_free(orch_reply *reply);

/**
 * @brief Free a client.
 * @param client the client; NULL is harmless. No other thread may use it any more
 * Also in a forked child, where it frees memory only.
 */
ORCH_API void orch_client_free(orch_client *client);

#ifdef __cplusplus
}
#endif
#endif
