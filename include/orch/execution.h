/**
 * @file execution.h
 * @brief Executions: their states, handles to wait on, and what is known of one.
 */
#ifndef ORCH_EXECUTION_H
#define ORCH_EXECUTION_H

#include <orch/error.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Accepted and recorded; no engine has it yet. */
#define ORCH_EXECUTION_PENDING   0
/** An engine runs it. */
#define ORCH_EXECUTION_RUNNING   1
/** Put down in the store until something wakes it. */
#define ORCH_EXECUTION_SUSPENDED 2
/** Ended well; has an output. From here on states are ends. */
#define ORCH_EXECUTION_SUCCEEDED 3
/** A step failed; has an error. */
#define ORCH_EXECUTION_FAILED    4
/** Cancelled on request. */
#define ORCH_EXECUTION_CANCELLED 5
/** Its time ran out. */
#define ORCH_EXECUTION_TIMED_OUT 6

/** A handle to one execution: wait for it, look at it. Freeing it does not touch the execution. */
typedef struct orch_execution orch_execution;
/** What is known of an execution: state, output, error, times. */
typedef struct orch_response orch_response;

/**
 * @brief Get the name of an execution's state, such as "succeeded".
 * @param state an ORCH_EXECUTION_ number
 * @return a static string; "unknown" for other numbers
 */
ORCH_API const char *orch_execution_state_name(int32_t state);

/**
 * @brief Get the execution's id.
 * @param execution the handle; NULL reads as ""
 * @return text owned by the handle
 * Any thread.
 */
ORCH_API const char *orch_execution_id(const orch_execution *execution);

/**
 * @brief Tell whether the start that gave the handle started nothing, since the execution was there already (orch_start_options_set_start_key,
 *        orch_subworkflows_start).
 * @param execution the handle; NULL reads as 0
 * @return 1 if the start key, or the place of a child, gave an existing execution, else 0
 * Any thread.
 */
ORCH_API int32_t orch_execution_existed(const orch_execution *execution);

/**
 * @brief Wait for the end.
 * @param execution the handle; not NULL
 * @param timeout_ms how long; 0 = only look (poll), -1 = for ever
 * @param out_response the end, freed by orch_response_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK once it has ended, whichever the end (look at orch_response_state); ORCH_E_DEADLINE_EXCEEDED if it
 *         has not ended in time; ORCH_E_CANCELLED if the orchestrator stops first (the execution goes on after the next start);
 *         ORCH_E_FAILED_PRECONDITION on a thread that must not block (a callback of orch_v2_dispatch) with a timeout that is not 0, or in a
 *         forked child
 * Any thread, several at a time.
 */
ORCH_API int32_t orch_execution_wait(orch_execution *execution, int32_t timeout_ms,
                                     orch_response **out_response, orch_error **err);

/**
 * @brief Is told of the end of an execution.
 * @param user_data as given
 * @param response the end, owned by the callee (orch_response_free); NULL if the orchestrator stops before the end came
 * Called exactly once: inside orch_v2_dispatch where the host took the descriptor (orch_v2_fd), else on a thread of the pool.
 */
typedef void (*orch_execution_fn)(void *user_data, orch_response *response);

/**
 * @brief Ask to be told of the end.
 * @param execution the handle; not NULL; may be freed before the callback comes
 * @param fn the function; not NULL; never called inside this call
 * @param user_data handed to it; may be NULL
 * @param free_fn ends user_data after the callback, also if this call fails; may be NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED; ORCH_E_FAILED_PRECONDITION in a forked child
 * Any thread.
 */
ORCH_API int32_t orch_execution_on_end(orch_execution *execution, orch_execution_fn fn,
                                       void *user_data, orch_free_fn free_fn, orch_error **err);

/**
 * @brief Free a handle. The execution goes on.
 * @param execution the handle; NULL is harmless
 * Any thread, also in a forked child.
 */
ORCH_API void orch_execution_free(orch_execution *execution);

/**
 * @brief Get the execution's id.
 * @param response the response; NULL reads as ""
 * @return text owned by the response
 */
ORCH_API const char *orch_response_id(const orch_response *response);
/**
 * @brief Get the workflow's id.
 * @param response the response; NULL reads as ""
 * @return text owned by the response
 */
ORCH_API const char *orch_response_workflow(const orch_response *response);
/**
 * @brief Get the workflow's version.
 * @param response the response; NULL reads as ""
 * @return text owned by the response
 */
ORCH_API const char *orch_response_version(const orch_response *response);
/**
 * @brief Get the state.
 * @param response the response
 * @return an ORCH_EXECUTION_ number; -1 for NULL
 */
ORCH_API int32_t orch_response_state(const orch_response *response);
/**
 * @brief Get the output.
 * @param response the response; NULL reads as "null"
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the response, NUL-terminated; "null" unless it succeeded
 */
ORCH_API const char *orch_response_output(const orch_response *response, size_t *out_len);
/**
 * @brief Get the error of an execution that did not succeed.
 * @param response the response
 * @param out_len length in bytes; may be NULL
 * @return JSON text {"code","message","step"?,"data"?} owned by the response; NULL if there is none
 */
ORCH_API const char *orch_response_error(const orch_response *response, size_t *out_len);
/**
 * @brief Get the input that it was started with.
 * @param response the response; NULL reads as "{}"
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the response; "{}" also where the response came without it (a wait, a list without payloads)
 */
ORCH_API const char *orch_response_input(const orch_response *response, size_t *out_len);
/**
 * @brief Get the time of acceptance.
 * @param response the response
 * @return UTC in milliseconds since 1970; 0 for NULL
 */
ORCH_API int64_t orch_response_accepted_ms(const orch_response *response);
/**
 * @brief Get the time of the end.
 * @param response the response
 * @return UTC in milliseconds since 1970; 0 while it has not ended and for NULL
 */
ORCH_API int64_t orch_response_ended_ms(const orch_response *response);
/**
 * @brief Get the number of the run.
 * @param response the response
 * @return 1, 2, … (a retry or rerun starts the next one); 0 for NULL, and in the response of a wait
 */
ORCH_API int32_t orch_response_run(const orch_response *response);
/**
 * @brief Get the priority.
 * @param response the response
 * @return 0 to 9; -1 for NULL, and in the response of a wait
 */
ORCH_API int32_t orch_response_priority(const orch_response *response);
/**
 * @brief Tell whether it is paused by orch_v2_pause. A pause of its workflow, or of everything, does not show here.
 * @param response the response
 * @return 1 if it is, else 0; 0 for NULL
 */
ORCH_API int32_t orch_response_paused(const orch_response *response);
/**
 * @brief Get the id of the execution whose step started it.
 * @param response the response; NULL reads as ""
 * @return text owned by the response; "" if there is none, and in the response of a wait
 */
ORCH_API const char *orch_response_parent(const orch_response *response);
/**
 * @brief Get the attributes that it was started with.
 * @param response the response; NULL reads as "{}"
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the response; "{}" also in the response of a wait
 */
ORCH_API const char *orch_response_attributes(const orch_response *response, size_t *out_len);
/**
 * @brief Get the key of the limit that it is under.
 * @param response the response; NULL reads as ""
 * @return text owned by the response; "" if there is none, and in the response of a wait
 */
ORCH_API const char *orch_response_limit_key(const orch_response *response);
/**
 * @brief Get when it will be woken, while it is suspended.
 * @param response the response
 * @return UTC in milliseconds since 1970; 0 if only a signal, the end of a child or a control can wake it, if it is not suspended, and for NULL
 */
ORCH_API int64_t orch_response_wake_ms(const orch_response *response);
/**
 * @brief Get by when it must have ended.
 * @param response the response
 * @return UTC in milliseconds since 1970; 0 if there is no such time, for NULL, and in the response of a wait
 */
ORCH_API int64_t orch_response_deadline_ms(const orch_response *response);
/**
 * @brief Tell whether its payloads could be decoded (orch_config_set_codec). What could not is left as it is stored: {"$encoded":…}, and an
 *        error without its data.
 * @param response the response
 * @return ORCH_OK; ORCH_E_UNAVAILABLE: not now, or not without a codec; ORCH_E_DATA_LOSS; ORCH_E_RESOURCE_EXHAUSTED; ORCH_OK for NULL
 */
ORCH_API int32_t orch_response_codec_status(const orch_response *response);
/**
 * @brief Free a response.
 * @param response the response; NULL is harmless
 */
ORCH_API void orch_response_free(orch_response *response);

#ifdef __cplusplus
}
#endif
#endif
