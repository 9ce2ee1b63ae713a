/**
 * @file control.h
 * @brief Control over executions from outside: cancel, terminate, signal, pause, retry, rerun, fork, priority.
 *
 * Each of these is durable once it returns ORCH_OK, and is recorded with who wanted it and why (orch_v2_get_controls). They block until
 * that is stored, may be called from any thread but a log callback (ORCH_E_FAILED_PRECONDITION), and answer ORCH_E_NOT_FOUND for
 * an id that does not exist, ORCH_E_FAILED_PRECONDITION where the execution's state does not allow it (the message says which it is)
 * and after stop, ORCH_E_INVALID_ARGUMENT for a bad argument, ORCH_E_RESOURCE_EXHAUSTED if the store is full.
 */
#ifndef ORCH_CONTROL_H
#define ORCH_CONTROL_H

#include <orch/error.h>
#include <orch/execution.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Who asks for something, and why: for the record. Not for use by several threads at a time. */
typedef struct orch_control orch_control;

/**
 * @brief Make one that says neither.
 * @return freed by orch_control_free; NULL if there is no memory
 */
ORCH_API orch_control *orch_control_new(void);
/**
 * @brief Free one.
 * @param control it; NULL is harmless
 */
ORCH_API void orch_control_free(orch_control *control);
/**
 * @brief Say who asks.
 * @param control not NULL
 * @param who a name, UTF-8, at most 256 bytes; NULL = not said
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_control_set_who(orch_control *control, const char *who);
/**
 * @brief Say why.
 * @param control not NULL
 * @param why the reason, UTF-8, at most 4096 bytes; NULL = not said
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_control_set_why(orch_control *control, const char *why);

/**
 * @brief Ask an execution to stop: running steps are told to, children are cancelled, what was done is compensated where the definition says
 *        so, then it ends as cancelled, unless it ends otherwise first. It ends a pause.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param control who and why; NULL = not said. Why becomes the message of the execution's error
 * @param err where to put an error; may be NULL
 * @return ORCH_OK once the request is recorded; errors as above
 */
ORCH_API int32_t orch_v2_cancel(orch_v2 *orch, const char *execution_id,
                                const orch_control *control, orch_error **err);

/**
 * @brief End an execution at once, as cancelled with the error code ABORTED. Nothing is compensated; attempts that run are told to stop,
 *        and nobody waits for them; its children are terminated too, but for abandoned ones.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param control who and why; NULL = not said
 * @param err where to put an error; may be NULL
 * @return ORCH_OK once it has ended; errors as above
 */
ORCH_API int32_t orch_v2_terminate(orch_v2 *orch, const char *execution_id,
                                   const orch_control *control, orch_error **err);

/**
 * @brief Send an execution a signal, which a `wait` for it consumes, now or when it comes to it. Each is consumed once, the oldest first.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param name the signal's name: 1 to 128 of [A-Za-z0-9_.-]
 * @param payload_json what it says, JSON text: the output of the `wait`; NULL = null
 * @param len its length in bytes
 * @param correlation_json a JSON string, number or boolean: a `wait` that gives a correlation takes only signals with the same one; NULL = none
 * @param control who and why; NULL = not said: then nothing is recorded but the signal
 * @param err where to put an error; may be NULL
 * @return ORCH_OK once it is recorded; ORCH_E_RESOURCE_EXHAUSTED also if too many signals wait in that execution; errors as above
 */
ORCH_API int32_t orch_v2_signal(orch_v2 *orch, const char *execution_id, const char *name,
                                const char *payload_json, size_t len, const char *correlation_json,
                                const orch_control *control, orch_error **err);

/**
 * @brief Pause an execution: nothing more starts, what runs finishes. It can be cancelled meanwhile, and its deadline holds.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param control who and why; NULL = not said
 * @param err where to put an error; may be NULL
 * @return ORCH_OK, also if it is paused already; errors as above
 */
ORCH_API int32_t orch_v2_pause(orch_v2 *orch, const char *execution_id, const orch_control *control,
                               orch_error **err);
/**
 * @brief End the pause of an execution.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param control who and why; NULL = not said
 * @param err where to put an error; may be NULL
 * @return ORCH_OK, also if it is not paused; errors as above
 */
ORCH_API int32_t orch_v2_resume(orch_v2 *orch, const char *execution_id,
                                const orch_control *control, orch_error **err);
/**
 * @brief Change an execution's priority: those that wait with a higher one are handed to engines first.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param priority 0 to 9
 * @param control who and why; NULL = not said
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; errors as above
 */
ORCH_API int32_t orch_v2_set_priority(orch_v2 *orch, const char *execution_id, int32_t priority,
                                      const orch_control *control, orch_error **err);

/**
 * @brief Start a new run of an execution that failed, was cancelled or timed out: what succeeded is taken over, the rest is done again. The
 *        end of the old run stands; the execution's timeout counts anew.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param control who and why; NULL = not said
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_FAILED_PRECONDITION also if it succeeded, has not ended, or is the child of a step that was told of its
 *         end, or of a task that may have acted on it (retry the parent); errors as above
 */
ORCH_API int32_t orch_v2_retry(orch_v2 *orch, const char *execution_id, const orch_control *control,
                               orch_error **err);
/**
 * @brief Start a new run of an execution that has ended, from a step on: that step and all that comes after it are done again.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param step the step's id
 * @param control who and why; NULL = not said
 * @param err where to put an error; may be NULL
 * @return as orch_v2_retry, but what succeeded can be rerun too; ORCH_E_NOT_FOUND also if there is no such step
 */
ORCH_API int32_t orch_v2_rerun(orch_v2 *orch, const char *execution_id, const char *step,
                               const orch_control *control, orch_error **err);
/**
 * @brief Start a new execution from what another one has done so far, be it on a newer version of its workflow. A step of the new version
 *        is the same if it has the same id.
 * @param orch the orchestrator; not NULL
 * @param execution_id the id of the one to begin from; it may still be open
 * @param new_id the id of the new one, as orch_start_options_set_id; NULL = let the library make one
 * @param version a version or range; NULL = the same version
 * @param step that step and all that comes after it are done again; NULL = all that was done is taken over
 * @param control who and why; NULL = not said
 * @param out_execution a handle to the new one, freed by orch_execution_free; may be NULL; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_NOT_FOUND also for a version or a step that is not there (the message says which version lacks it);
 *         ORCH_E_ALREADY_EXISTS (new_id); errors as above
 */
ORCH_API int32_t orch_v2_fork(orch_v2 *orch, const char *execution_id, const char *new_id,
                              const char *version, const char *step, const orch_control *control,
                              orch_execution **out_execution, orch_error **err);

#ifdef __cplusplus
}
#endif
#endif
