/**
 * @file engine.h
 * @brief Engines: they run whole workflows and ask executors to do the steps.
 *
 * An executor is a host's function, registered under the name that definitions use. It gets a task: one attempt of one
 * step. The task is completed exactly once, from any thread, inside the function or later.
 */
#ifndef ORCH_ENGINE_H
#define ORCH_ENGINE_H

#include <orch/config.h>
#include <orch/error.h>
#include <orch/log.h>
#include <orch/transport.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Runs workflows: the in-process engine of an orchestrator (orch_v2_local_engine). */
typedef struct orch_engine orch_engine;

/** One attempt of one step (or of one item of a for_each), to be completed exactly once. */
typedef struct orch_task orch_task;

/** What a task is for: what the step is there for. */
#define ORCH_TASK_STEP         0
/** To undo what the step did: its `compensate`. */
#define ORCH_TASK_COMPENSATION 1
/** To act on the workflow's failure: its `on_failure`. */
#define ORCH_TASK_ON_FAILURE   2

/**
 * @brief Does the work of a step, or starts it and returns.
 * @param user_data as registered
 * @param task the attempt; owned by the callee, who ends it by orch_task_complete or orch_task_fail, inside
 *        the call or later, on any thread
 * Called on a thread of the engine's task pool, several at a time. It may block; that keeps one pool thread busy.
 * It may call every function of this library that does not say otherwise.
 */
typedef void (*orch_task_fn)(void *user_data, orch_task *task);

/**
 * @brief Gives the value of a secret.
 * @param user_data as registered
 * @param name what stands behind `secrets.` in a definition
 * @param buffer where to put the value, UTF-8, not NUL-terminated
 * @param capacity bytes of room in `buffer`
 * @return length of the value in bytes, which may be larger than `capacity` (nothing is used then, and the call comes again
 *         with more room, up to 64 KiB); negative: an ORCH_E_ code, such as ORCH_E_NOT_FOUND
 * Called on a thread of the task pool; it may block. Values are never stored or logged.
 */
typedef int64_t (*orch_secret_fn)(void *user_data, const char *name, char *buffer, size_t capacity);

/**
 * @brief Make an engine. It does nothing until an orchestrator of this process has it (orch_register_engine), or it listens (orch_engine_listen).
 * @param config the configuration, copied; not NULL. Of it are read: ENGINE_ID (the name), CAPACITY (executions at a time), EXECUTOR_WAIT,
 *        SUSPEND_AFTER, SUSPEND_QUIET, EXEC_ENABLED, EXEC_MAX_PROCESSES, SECRETS_DIR, LUA_INSTRUCTIONS, LUA_MEMORY, MAX_OUTPUT_BYTES,
 *        MAX_UNSTORED_CHECKPOINTS; of one that listens also PORT, TASK_THREADS, DETACH_GRACE, TLS_CERT, TLS_KEY, TLS_CA, GRPC_REFLECTION
 * @param err where to put an error; may be NULL
 * @return the engine, freed by orch_engine_free; NULL on failure: ORCH_E_INVALID_ARGUMENT, ORCH_E_RESOURCE_EXHAUSTED
 * Executors and secrets can be registered with it at once (engine.h).
 */
ORCH_API orch_engine *orch_engine_new(const orch_config *config, orch_error **err);
/**
 * @brief Free an engine. One that is registered goes on without this handle until its orchestrator is freed; one that listens by itself is
 *        stopped first if need be (with a timeout of 0).
 * @param engine the engine; NULL is harmless, and so is the engine of orch_v2_local_engine, which is not freed. No other thread may use it
 *        any more
 * Any thread, also in a forked child; not inside executors of one that listens (nothing is freed then).
 */
ORCH_API void orch_engine_free(orch_engine *engine);

/**
 * @brief Register a function as an executor; the engine's pool calls it for each attempt.
 * @param engine the engine; not NULL
 * @param name 1 to 128 of [A-Za-z0-9_.-]; not a built-in name (lua, exec, http, wait, workflow, noop)
 * @param fn the function; not NULL
 * @param user_data handed to each call; may be NULL
 * @param free_fn ends user_data once no call can come any more, also if this call fails; may be NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT for a bad name; ORCH_E_ALREADY_EXISTS if the name is taken;
 *         ORCH_E_FAILED_PRECONDITION after stop or in a forked child; ORCH_E_RESOURCE_EXHAUSTED
 * Any thread, also inside callbacks; blocks for a turn of the loop. Executions whose steps name an executor that is not
 * registered yet wait for it for `EXECUTOR_WAIT` (default 30 s), then the step fails with NOT_FOUND.
 */
ORCH_API int32_t orch_engine_register_executor(orch_engine *engine, const char *name,
                                               orch_task_fn fn, void *user_data,
                                               orch_free_fn free_fn, orch_error **err);

/**
 * @brief Take the next task of a pulled executor; the first call with a name registers it.
 * @param engine the engine; not NULL
 * @param name the executor's name, as for orch_engine_register_executor
 * @param timeout_ms how long to wait; 0 = not at all, -1 = for ever
 * @param out_task the task, owned by the caller; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_DEADLINE_EXCEEDED if there was none in time; ORCH_E_CANCELLED once the engine stops;
 *         ORCH_E_ALREADY_EXISTS if the name has a registered function; ORCH_E_INVALID_ARGUMENT;
 *         ORCH_E_FAILED_PRECONDITION in a forked child, in a log callback, and with a timeout on the last free thread of the pool
 * Any thread, any number of them; inside callbacks too (it then keeps a pool thread busy). For bindings
 * whose language cannot be called from a foreign thread.
 */
ORCH_API int32_t orch_engine_next_task(orch_engine *engine, const char *name, int32_t timeout_ms,
                                       orch_task **out_task, orch_error **err);

/**
 * @brief Set where `secrets.NAME` comes from.
 * @param engine the engine; not NULL
 * @param fn the function, or NULL to use only the files of SECRETS_DIR
 * @param user_data handed to each call; may be NULL
 * @param free_fn ends user_data, also if this call fails; may be NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_FAILED_PRECONDITION after stop or in a forked child
 * Any thread. Where both are there, the function is asked first and NOT_FOUND falls back to the files.
 */
ORCH_API int32_t orch_engine_set_secrets(orch_engine *engine, orch_secret_fn fn, void *user_data,
                                         orch_free_fn free_fn, orch_error **err);

/**
 * @brief Have a transport of the host's own carry what comes from orchestrators to endpoints NAME:ADDRESS.
 * @param engine the engine; not NULL. One of orch_engine_new that no orchestrator of this process has lives by itself from now on, as by
 *        orch_engine_listen; the transport of an orchestrator's engine is the orchestrator's too
 * @param name as for orch_v2_register_transport, and the other parameters too
 * @param ops what it does (transport.h), copied; not NULL
 * @param user_data handed to its functions; may be NULL
 * @param free_fn ends user_data once no function of it can be called any more, also if this call fails; may be NULL
 * @param err where to put an error; may be NULL
 * @return as orch_v2_register_transport
 * Any thread; blocks for a turn of the loop. Then orch_engine_listen takes its endpoints.
 */
ORCH_API int32_t orch_engine_register_transport(orch_engine *engine, const char *name,
                                                const orch_transport_ops *ops, void *user_data,
                                                orch_free_fn free_fn, orch_error **err);

/**
 * @brief Let orchestrators of other processes reach an engine, in gRPC (proto/orch/v1/engine.proto).
 * @param engine the engine; not NULL. One of orch_engine_new that no orchestrator of this process has lives by itself from now on: it has
 *        threads, but no store
 * @param endpoint where: HOST:PORT, [::1]:PORT or unix:PATH, also with grpc:// before it; port 0 = any free one; NULL = 0.0.0.0 and the port
 *        that PORT says; or NAME:ADDRESS of a transport that was registered before, in place of gRPC
 * @param out_port which port it became; 0 for unix: and NAME:; may be NULL; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT (endpoint; TLS files, by name); ORCH_E_UNAVAILABLE if the address cannot be had;
 *         ORCH_E_ALREADY_EXISTS if something listens there already; ORCH_E_FAILED_PRECONDITION after stop or in a forked child;
 *         ORCH_E_RESOURCE_EXHAUSTED
 * With TLS_CERT and TLS_KEY set, connections have TLS; with TLS_CA too, clients have to show a certificate that it signed. Without, whoever reaches
 * the endpoint can have steps executed: it belongs into a network of one's own. Blocks for a turn of the loop.
 */
ORCH_API int32_t orch_engine_listen(orch_engine *engine, const char *endpoint, uint16_t *out_port,
                                    orch_error **err);

/**
 * @brief Stop an engine that listens by itself: it takes nothing more, lets running steps end, hands executions back to their orchestrators
 *        at the next step boundary, and ends its threads.
 * @param engine the engine, of orch_engine_new and orch_engine_listen; not NULL
 * @param timeout_ms how long that may take, 0 to 3,600,000; then steps that still run are told to stop, and what they give is dropped: their
 *        executions go on elsewhere
 * @param err where to put an error; may be NULL
 * @return ORCH_OK, also if it is stopped already; ORCH_E_DEADLINE_EXCEEDED if a step still runs (the error names it); ORCH_E_FAILED_PRECONDITION
 *         if it does not listen, or is an orchestrator's; inside a callback or executor; in a forked child
 * Blocks. What other threads may still call afterwards answers ORCH_E_FAILED_PRECONDITION.
 */
ORCH_API int32_t orch_engine_stop(orch_engine *engine, int32_t timeout_ms, orch_error **err);

/**
 * @brief Take the log lines of an engine that listens by itself, or will.
 * @param engine the engine, of orch_engine_new; not NULL
 * @param fn the function; NULL = no more lines
 * @param user_data handed to it; may be NULL
 * @param free_fn ends user_data when it is replaced or the engine freed, also if this call fails; may be NULL
 * @param min_level ORCH_LOG_DEBUG to ORCH_LOG_CRITICAL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_FAILED_PRECONDITION if it is an orchestrator's, whose log has its lines
 * Any thread, but before orch_engine_listen one at a time.
 */
ORCH_API int32_t orch_engine_set_log(orch_engine *engine, orch_log_fn fn, void *user_data,
                                     orch_free_fn free_fn, int32_t min_level);

/**
 * @brief Get the step's id; "" for on_failure, which is of no step.
 * @param task the task; NULL reads as ""
 * @return text owned by the task
 * Any thread; does not block.
 */
ORCH_API const char *orch_task_step(const orch_task *task);

/**
 * @brief Get the id of the execution.
 * @param task the task; NULL reads as ""
 * @return text owned by the task
 * Any thread; does not block.
 */
ORCH_API const char *orch_task_execution(const orch_task *task);

/**
 * @brief Get the id of the workflow.
 * @param task the task; NULL reads as ""
 * @return text owned by the task
 * Any thread; does not block.
 */
ORCH_API const char *orch_task_workflow(const orch_task *task);

/**
 * @brief Get the item's place in its for_each.
 * @param task the task
 * @return 0, 1, …; -1 outside a for_each and for NULL
 * Any thread; does not block.
 */
ORCH_API int64_t orch_task_index(const orch_task *task);

/**
 * @brief Get the attempt's number.
 * @param task the task
 * @return 1 for the first attempt, 2 for its first retry, …; 0 for NULL
 * Any thread; does not block.
 */
ORCH_API int32_t orch_task_attempt(const orch_task *task);

/**
 * @brief Tell what the task is for: the step itself, or to undo it, or to act on the workflow's failure.
 * @param task the task
 * @return ORCH_TASK_STEP (also for NULL), ORCH_TASK_COMPENSATION or ORCH_TASK_ON_FAILURE
 * Of use where one executor serves several. Any thread; does not block.
 */
ORCH_API int32_t orch_task_role(const orch_task *task);

/**
 * @brief Get the key that all attempts of this step share: `execution/run/step[/index]`; for a compensation
 *        `execution/run/step[/index]/compensate`, for on_failure `execution/run/on_failure`.
 * @param task the task; NULL reads as ""
 * @return text owned by the task; hand it to services that deduplicate
 * Any thread; does not block.
 */
ORCH_API const char *orch_task_idempotency_key(const orch_task *task);

/**
 * @brief Get the step's input: its `with`, evaluated.
 * @param task the task; NULL reads as "null"
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the task, NUL-terminated; "null" where the step has no `with`
 * Any thread; does not block.
 */
ORCH_API const char *orch_task_input(const orch_task *task, size_t *out_len);

/**
 * @brief Tell whether the task should stop.
 * @param task the task
 * @return 0: go on; ORCH_E_CANCELLED or ORCH_E_DEADLINE_EXCEEDED: end it soon. It still must be completed;
 *         a task that succeeds all the same counts as succeeded
 * Any thread; does not block; meant to be polled.
 */
ORCH_API int32_t orch_task_stopping(const orch_task *task);

/**
 * @brief Wait until the task should stop.
 * @param task the task
 * @param timeout_ms how long to wait; 0 = only look, -1 = for ever
 * @return as orch_task_stopping; 0 if the time ran out
 * Any thread; blocks. Of use instead of a sleep inside a task.
 */
ORCH_API int32_t orch_task_wait_stopping(const orch_task *task, int32_t timeout_ms);

/**
 * @brief Say that the task is alive, and how far it is.
 * @param task the task; not NULL
 * @param details_json what the next attempt should know if this one is lost (orch_task_heartbeat_details), JSON text; NULL =
 *        as said before
 * @param len its length in bytes
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT if it is not JSON, or larger than an output may be; ORCH_E_RESOURCE_EXHAUSTED
 *         without memory; ORCH_E_FAILED_PRECONDITION in a forked child. Nothing was said then
 * A step with `heartbeat_timeout` fails, retryably, once its task has not called this for so long. Calls may come as often as
 * one likes: they are gathered, and of the details only the newest count. They are stored now and then, not with each call, so that
 * the next attempt may see somewhat older ones if the process dies; if the attempt fails, it sees the last.
 * Any thread; does not block. Whether to stop is told by orch_task_stopping.
 */
ORCH_API int32_t orch_task_heartbeat(orch_task *task, const char *details_json, size_t len,
                                     orch_error **err);

/**
 * @brief Get what an earlier attempt of the same step last said by orch_task_heartbeat, to go on from there.
 * @param task the task
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the task, NUL-terminated; NULL if there is none, and for NULL
 * Any thread; does not block.
 */
ORCH_API const char *orch_task_heartbeat_details(const orch_task *task, size_t *out_len);

/**
 * @brief Complete the task with success.
 * @param task the task; gone afterwards, also on failure of this call, except for ORCH_E_INVALID_ARGUMENT
 * @param output_json the output, JSON text; NULL = null
 * @param len its length in bytes
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT if it is not JSON, or larger than the limit: the task is still the caller's, who may complete or fail
 *         it otherwise; ORCH_E_RESOURCE_EXHAUSTED without memory: the task has failed with that code; ORCH_E_FAILED_PRECONDITION in a
 *         forked child, which has no part in the task
 * Any thread; does not block. Where the engine has given the task up meanwhile (it stopped), the result is dropped.
 */
ORCH_API int32_t orch_task_complete(orch_task *task, const char *output_json, size_t len,
                                    orch_error **err);

/**
 * @brief Complete the task with failure.
 * @param task the task; gone afterwards
 * @param code an ORCH_E_ code; what the step's retry policy looks at
 * @param retryable 0: no further attempt whatever the policy says
 * @param message what went wrong, UTF-8; NULL = the code's name
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT if task is NULL or the code is none (then the task fails with UNKNOWN);
 *         ORCH_E_FAILED_PRECONDITION in a forked child, which has no part in the task
 * Any thread; does not block.
 */
ORCH_API int32_t orch_task_fail(orch_task *task, int32_t code, int32_t retryable,
                                const char *message);

/**
 * @brief Complete the task with failure, and say more of it than a code and words.
 * @param task the task; gone afterwards, also on failure of this call, except for ORCH_E_INVALID_ARGUMENT
 * @param code an ORCH_E_ code; what the step's retry policy looks at
 * @param retryable 0: no further attempt whatever the policy says
 * @param message what went wrong, UTF-8; NULL = the code's name
 * @param data_json JSON text: what expressions see as `steps.NAME.error.data`, and who asks for the execution as `data` of its
 *        error; NULL = none
 * @param len its length in bytes
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT for a code that is none, and for data that is not JSON or larger than an output may be:
 *         the task is still the caller's; ORCH_E_RESOURCE_EXHAUSTED without memory: the task has failed with `code` and no data;
 *         ORCH_E_FAILED_PRECONDITION in a forked child, which has no part in the task
 * Any thread; does not block.
 */
ORCH_API int32_t orch_task_fail_data(orch_task *task, int32_t code, int32_t retryable,
                                     const char *message, const char *data_json, size_t len,
                                     orch_error **err);

#ifdef __cplusplus
}
#endif
#endif
