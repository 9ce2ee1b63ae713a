/**
 * @file v2.h
 * @brief The orchestrator: register workflows, execute them, look at them.
 *
 * One orchestrator owns one store. Everything it accepted survives the process: orch_v2_new goes on with what
 * was in flight. All functions may be called from any thread unless they say otherwise; in a forked child they answer
 * ORCH_E_FAILED_PRECONDITION (freeing is allowed).
 */
#ifndef ORCH_V2_H
#define ORCH_V2_H

#include <orch/audit.h>
#include <orch/bulk.h>
#include <orch/config.h>
#include <orch/control.h>
#include <orch/engine.h>
#include <orch/error.h>
#include <orch/execution.h>
#include <orch/export.h>
#include <orch/history.h>
#include <orch/launcher.h>
#include <orch/list.h>
#include <orch/log.h>
#include <orch/settings.h>
#include <orch/start.h>
#include <orch/steps.h>
#include <orch/subworkflows.h>
#include <orch/transport.h>
#include <orch/types.h>
#include <orch/workflow.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Open the store, start the threads, and go on with every execution that was in flight.
 * @param config the configuration, copied; STORE_URL must be set; not NULL
 * @param err where to put an error; may be NULL
 * @return the orchestrator, ended by orch_v2_stop and orch_v2_free; NULL on failure: ORCH_E_INVALID_ARGUMENT (configuration),
 *         ORCH_E_UNAVAILABLE (another orchestrator has the store), ORCH_E_FAILED_PRECONDITION (the store is of a newer
 *         version), ORCH_E_DATA_LOSS (the store is damaged), ORCH_E_RESOURCE_EXHAUSTED
 * Blocks while the store opens.
 */
ORCH_API orch_v2 *orch_v2_new(const orch_config *config, orch_error **err);

/**
 * @brief Get the in-process engine, to register executors with.
 * @param orch the orchestrator
 * @return the engine, borrowed: valid until orch_v2_free; NULL for NULL, and for an orchestrator of v1.h, which has none of its own
 */
ORCH_API orch_engine *orch_v2_local_engine(orch_v2 *orch);

/**
 * @brief Have a transport of the host's own carry what goes to engines whose endpoints are NAME:ADDRESS.
 * @param orch the orchestrator; not NULL
 * @param name a letter and up to 31 more of [a-z0-9+.-]; not a name that means something already, such as grpc, unix or dns
 * @param ops what it does (transport.h), copied; not NULL
 * @param user_data handed to its functions; may be NULL
 * @param free_fn ends user_data once no function of it can be called any more, also if this call fails; may be NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT (name or ops: the error says which and why); ORCH_E_ALREADY_EXISTS for the name;
 *         ORCH_E_FAILED_PRECONDITION after stop or in a forked child; ORCH_E_RESOURCE_EXHAUSTED, also for a ninth one
 * Any thread; blocks for a turn of the loop. Register it before the engines that are reached by it are added: STATIC_ENGINES are added by
 * orch_v2_new, so those are for gRPC.
 */
ORCH_API int32_t orch_v2_register_transport(orch_v2 *orch, const char *name,
                                            const orch_transport_ops *ops, void *user_data,
                                            orch_free_fn free_fn, orch_error **err);

/**
 * @brief Know an engine of another process, and hand executions to it from now on.
 * @param orch the orchestrator; not NULL
 * @param name what balancers know it by: 1 to 256 bytes of UTF-8; NULL = the endpoint
 * @param endpoint where it listens: HOST:PORT, dns:///HOST:PORT, [::1]:PORT or unix:PATH, also with grpc:// before it; or NAME:ADDRESS of a
 *        transport that was registered before; not NULL
 * @param capacity how many executions it takes at a time, 1 to 1,000,000
 * @param err where to put an error; may be NULL
 * @return ORCH_OK, whether it can be reached or not; ORCH_E_INVALID_ARGUMENT (endpoint, TLS files); ORCH_E_ALREADY_EXISTS for the name;
 *         ORCH_E_FAILED_PRECONDITION after stop or in a forked child; ORCH_E_RESOURCE_EXHAUSTED
 * With TLS_CA or TLS_CERT set the connection has TLS, and the engine's certificate has to have the endpoint's host. Any thread; blocks for a turn of
 * the loop. DISCOVERY_TYPE=static does the same for each of STATIC_ENGINES.
 */
ORCH_API int32_t orch_v2_add_engine(orch_v2 *orch, const char *name, const char *endpoint,
                                    uint32_t capacity, orch_error **err);

/**
 * @brief Register a workflow that a function builds.
 * @param orch the orchestrator; not NULL
 * @param id the workflow's id: 1 to 128 of [A-Za-z0-9_.-]
 * @param version its semantic version, such as "1.2.0"
 * @param builder called once, inside this call; not NULL
 * @param user_data handed to the builder; may be NULL
 * @param free_fn ends user_data before this call returns, also if it fails; may be NULL
 * @param metadata_json kept with the version, JSON text; NULL = none
 * @param metadata_len its length in bytes
 * @param err where to put an error; may be NULL
 * @return ORCH_OK, also if this version with this digest is there already, or was deleted, and is back; ORCH_E_ALREADY_EXISTS if it is there, or was,
 *         with another digest;
 *         ORCH_E_FAILED_PRECONDITION if it is not newer than the newest registered version, or after stop;
 *         ORCH_E_INVALID_ARGUMENT with the place in the definition
 * Any thread but inside a callback of orch_v2_dispatch (ORCH_E_FAILED_PRECONDITION there); blocks until it is stored.
 */
ORCH_API int32_t orch_v2_register_workflow(orch_v2 *orch, const char *id, const char *version,
                                           orch_workflow_builder builder, void *user_data,
                                           orch_free_fn free_fn, const char *metadata_json,
                                           size_t metadata_len, orch_error **err);

/**
 * @brief Register a workflow from its definition.
 * @param orch the orchestrator; not NULL
 * @param text the definition, JSON or YAML (docs/definition.md)
 * @param len its length in bytes
 * @param err where to put an error; may be NULL
 * @return as orch_v2_register_workflow; ORCH_E_UNIMPLEMENTED for YAML where libyaml is not there
 * As orch_v2_register_workflow.
 */
ORCH_API int32_t orch_v2_register_definition(orch_v2 *orch, const char *text, size_t len,
                                             orch_error **err);

/**
 * @brief Check a definition without registering it.
 * @param text the definition, JSON or YAML
 * @param len its length in bytes
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT with the place; ORCH_E_UNIMPLEMENTED; ORCH_E_RESOURCE_EXHAUSTED
 * Any thread; needs no orchestrator.
 */
ORCH_API int32_t orch_v2_validate_definition(const char *text, size_t len, orch_error **err);

/**
 * @brief Start an execution and wait for its end.
 * @param orch the orchestrator; not NULL
 * @param id the workflow's id
 * @param inputs_json the input, a JSON object; NULL = {}
 * @param len its length in bytes
 * @param options how to start it: version, id, key, … (start.h); NULL = defaults
 * @param out_response the end, freed by orch_response_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK once it has ended, whichever the end; ORCH_E_NOT_FOUND (workflow, version); ORCH_E_ALREADY_EXISTS (the chosen id, or the start key);
 *         ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED (backlog, store full); ORCH_E_CANCELLED if the orchestrator stops before
 *         the end (an accepted execution goes on after the next start); ORCH_E_FAILED_PRECONDITION after stop, in a forked child, or inside a
 *         callback of orch_v2_dispatch
 * Inside an executor it may be called; it keeps a pool thread busy, and fails with ORCH_E_FAILED_PRECONDITION on the pool's last
 * free thread rather than hang.
 */
ORCH_API int32_t orch_v2_execute_workflow(orch_v2 *orch, const char *id, const char *inputs_json,
                                          size_t len, const orch_start_options *options,
                                          orch_response **out_response, orch_error **err);

/**
 * @brief Start an execution; returns once it is accepted: from then on it survives whatever happens.
 * @param orch the orchestrator; not NULL
 * @param id the workflow's id
 * @param inputs_json the input, a JSON object; NULL = {}
 * @param len its length in bytes
 * @param options how to start it: version, id, key, … (start.h); NULL = defaults
 * @param out_execution a handle, freed by orch_execution_free; unchanged on failure; NULL if none is wanted
 * @param err where to put an error; may be NULL
 * @return as orch_v2_execute_workflow
 * Blocks until it is recorded. For a start that does not block: orch_v2_start_workflow_async.
 */
ORCH_API int32_t orch_v2_start_workflow(orch_v2 *orch, const char *id, const char *inputs_json,
                                        size_t len, const orch_start_options *options,
                                        orch_execution **out_execution, orch_error **err);

/**
 * @brief Start an execution without blocking.
 * @param orch the orchestrator; not NULL
 * @param id the workflow's id
 * @param inputs_json the input, a JSON object; NULL = {}
 * @param len its length in bytes
 * @param options how to start it: version, id, key, … (start.h); NULL = defaults
 * @param accepted told of acceptance or refusal; NULL = not wanted
 * @param ended told of the end, after `accepted`, unless refused; NULL = not wanted
 * @param user_data handed to both; may be NULL
 * @param free_fn ends user_data after the last of the callbacks, also if this call fails; may be NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK: the callbacks will come; else none will: ORCH_E_INVALID_ARGUMENT, ORCH_E_RESOURCE_EXHAUSTED,
 *         ORCH_E_FAILED_PRECONDITION
 * Any thread, inside callbacks too; does not block.
 */
ORCH_API int32_t orch_v2_start_workflow_async(orch_v2 *orch, const char *id,
                                              const char *inputs_json, size_t len,
                                              const orch_start_options *options,
                                              orch_start_fn accepted, orch_execution_fn ended,
                                              void *user_data, orch_free_fn free_fn,
                                              orch_error **err);

/**
 * @brief Get what is known of an execution, also after a restart.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param out_response state, input, output, error, times; freed by orch_response_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_NOT_FOUND; ORCH_E_INVALID_ARGUMENT; ORCH_E_FAILED_PRECONDITION in a forked child
 * Reads the store on the calling thread, and of an open execution asks the loop whether it runs; also after stop. Not in a log
 * callback (ORCH_E_FAILED_PRECONDITION).
 */
ORCH_API int32_t orch_v2_get_execution(orch_v2 *orch, const char *execution_id,
                                       orch_response **out_response, orch_error **err);

/**
 * @brief Get a handle to an execution by its id, to wait for its end, also after a restart.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param out_execution the handle, freed by orch_execution_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return as orch_v2_get_execution
 */
ORCH_API int32_t orch_v2_find_execution(orch_v2 *orch, const char *execution_id,
                                        orch_execution **out_execution, orch_error **err);

/**
 * @brief How far an execution is, as orch_v2_get_progress gives it.
 */
typedef struct orch_progress orch_progress;

/**
 * @brief Get how far an execution is: steps in all, ended, running.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param out_progress the numbers, freed by orch_progress_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_NOT_FOUND if it is not in this process now (ended, or waiting in the store)
 * Blocks for a turn of the loop.
 */
ORCH_API int32_t orch_v2_get_progress(orch_v2 *orch, const char *execution_id,
                                      orch_progress **out_progress, orch_error **err);
/**
 * @brief Get a number of a progress.
 * @param progress the progress
 * @param name "steps", "ended", "running", "failed", "skipped", "items", "items_ended" (of for_each steps that have begun)
 * @return the number; -1 for NULL or an unknown name
 */
ORCH_API int64_t orch_progress_get(const orch_progress *progress, const char *name);
/**
 * @brief Free a progress.
 * @param progress the progress; NULL is harmless
 */
ORCH_API void orch_progress_free(orch_progress *progress);

/**
 * @brief Get a descriptor for the host's own event loop.
 * @param orch the orchestrator; not NULL
 * @return a descriptor that is readable when orch_v2_dispatch has callbacks to make, owned by the orchestrator: watch it (poll, epoll,
 *         libuv, …), never read or close it; or a negative ORCH_E_ code
 * From the first call on, callbacks of executions come from orch_v2_dispatch and no longer on pool threads.
 */
ORCH_API int32_t orch_v2_fd(orch_v2 *orch);

/**
 * @brief Make the callbacks that are due.
 * @param orch the orchestrator; not NULL
 * @return how many were made; or a negative ORCH_E_ code: ORCH_E_FAILED_PRECONDITION inside a callback of its own
 * One thread at a time; does not block but for what the callbacks do.
 */
ORCH_API int32_t orch_v2_dispatch(orch_v2 *orch);

/**
 * @brief Get the launcher that triggers call: start executions through it.
 * @param orch the orchestrator
 * @return the launcher, borrowed: valid until orch_v2_free; NULL for NULL
 */
ORCH_API orch_launcher *orch_v2_launcher(orch_v2 *orch);

/**
 * @brief Get the coordinator of sub-workflows: tasks start children through it, and trees of executions are looked up.
 * @param orch the orchestrator
 * @return the coordinator, borrowed: valid until orch_v2_free; NULL for NULL
 */
ORCH_API orch_subworkflows *orch_v2_subworkflows(orch_v2 *orch);

/**
 * @brief Take log lines.
 * @param orch the orchestrator; not NULL
 * @param fn the function; NULL = no more lines
 * @param user_data handed to it; may be NULL
 * @param free_fn ends user_data when it is replaced or the orchestrator freed, also if this call fails; may be NULL
 * @param min_level ORCH_LOG_DEBUG to ORCH_LOG_CRITICAL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_v2_set_log(orch_v2 *orch, orch_log_fn fn, void *user_data,
                                 orch_free_fn free_fn, int32_t min_level);

/**
 * @brief Copy the store, consistently, while it works.
 * @param orch the orchestrator; not NULL
 * @param path where to; must not exist
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_UNIMPLEMENTED for `memory:`; ORCH_E_ALREADY_EXISTS; ORCH_E_UNAVAILABLE; ORCH_E_FAILED_PRECONDITION
 * Blocks the calling thread only.
 */
ORCH_API int32_t orch_v2_backup(orch_v2 *orch, const char *path, orch_error **err);

/**
 * @brief Stop: nothing more is accepted, running steps are told to stop and given the time, blocked waiters get ORCH_E_CANCELLED. What has
 *        not ended goes on at the next orch_v2_new on the same store. What is stored can still be read.
 * @param orch the orchestrator; not NULL
 * @param timeout_ms how long to wait for running steps; 0 to 3,600,000
 * @param err where to put an error; may be NULL
 * @return ORCH_OK, also if it is stopped already; ORCH_E_DEADLINE_EXCEEDED if a callback is still running (the error names its step):
 *         free may be called all the same, and waits for it; ORCH_E_FAILED_PRECONDITION inside a callback or an executor, or in a
 *         forked child
 */
ORCH_API int32_t orch_v2_stop(orch_v2 *orch, int32_t timeout_ms, orch_error **err);

/**
 * @brief Free an orchestrator, stopping it first if need be (with a timeout of 0).
 * @param orch the orchestrator; NULL is harmless. No other thread may use it any more, nor its engine, launcher and coordinator; execution handles may be
 *        freed later
 * Not inside callbacks or executors (nothing is freed then). Blocks while a callback is running, and makes those that were not made yet.
 * In a forked child it frees memory only.
 */
ORCH_API void orch_v2_free(orch_v2 *orch);

#ifdef __cplusplus
}
#endif
#endif
