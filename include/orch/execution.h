/**
 * @file execution.h
 * @brief Executions: their states, handles to wait on, results, lists and histories.
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

/** Runs now; not recorded. */
#define ORCH_STEP_RUNNING   1
/** Its `when` was true. */
#define ORCH_STEP_DECIDED   2
/** Its for_each has that many items. */
#define ORCH_STEP_EXPANDED  3
/** Waits until a time. */
#define ORCH_STEP_WAITING   4
/** An attempt failed; the next one comes. */
#define ORCH_STEP_RETRYING  5
/** Ended well. */
#define ORCH_STEP_SUCCEEDED 6
/** Failed for good. */
#define ORCH_STEP_FAILED    7
/** Not run, by its own `when`. */
#define ORCH_STEP_SKIPPED   8
/** Stopped by a cancel. */
#define ORCH_STEP_CANCELLED 9

/** A handle to one execution: wait for it, look at it. Freeing it does not touch the execution. */
typedef struct orch_execution orch_execution;
/** What is known of an execution: state, output, error, times. */
typedef struct orch_response orch_response;
/** How to start an execution. */
typedef struct orch_start_options orch_start_options;
/** Which executions to list. */
typedef struct orch_filter orch_filter;
/** A page of executions. */
typedef struct orch_execution_list orch_execution_list;
/** A page of the history of an execution. */
typedef struct orch_history orch_history;

/**
 * @brief Get the name of an execution's state, such as "succeeded".
 * @param state an ORCH_EXECUTION_ number
 * @return a static string; "unknown" for other numbers
 */
ORCH_API const char *orch_execution_state_name(int32_t state);

/**
 * @brief Get the name of a history entry's kind, such as "retrying".
 * @param kind an ORCH_STEP_ number
 * @return a static string; "unknown" for other numbers
 */
ORCH_API const char *orch_step_kind_name(int32_t kind);

/**
 * @brief Make start options: an id of the library's making, the newest version, no deadline but the definition's.
 * @return the options, freed by orch_start_options_free; NULL if there is no memory
 */
ORCH_API orch_start_options *orch_start_options_new(void);
/**
 * @brief Free start options.
 * @param options the options; NULL is harmless
 */
ORCH_API void orch_start_options_free(orch_start_options *options);
/**
 * @brief Choose the execution's id.
 * @param options the options; not NULL
 * @param id 1 to 128 of [A-Za-z0-9_.:/-], not in the form of the library's own ids (13 characters of
 *        Crockford's base 32 in lower case); NULL = let the library make one
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_start_options_set_id(orch_start_options *options, const char *id);
/**
 * @brief Choose the version.
 * @param options the options; not NULL
 * @param version an exact version or a range (^1.2, ~1.2.3, >=1 <2); the newest that fits is taken; NULL = the newest
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_start_options_set_version(orch_start_options *options, const char *version);
/**
 * @brief Limit the execution's whole time, from its acceptance.
 * @param options the options; not NULL
 * @param timeout_ms 1 ms to 100 years; 0 = the definition's timeout. The earlier of the two holds
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_start_options_set_timeout(orch_start_options *options, int64_t timeout_ms);

/**
 * @brief Get the execution's id.
 * @param execution the handle; NULL reads as ""
 * @return text owned by the handle
 * Any thread.
 */
ORCH_API const char *orch_execution_id(const orch_execution *execution);

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
 * @brief Free a response.
 * @param response the response; NULL is harmless
 */
ORCH_API void orch_response_free(orch_response *response);

/**
 * @brief Make a filter that lets everything pass, newest first, 100 a page.
 * @return the filter, freed by orch_filter_free; NULL if there is no memory
 */
ORCH_API orch_filter *orch_filter_new(void);
/**
 * @brief Free a filter.
 * @param filter the filter; NULL is harmless
 */
ORCH_API void orch_filter_free(orch_filter *filter);
/**
 * @brief Narrow a filter. Several calls with "state" add up; other keys replace.
 * @param filter the filter; not NULL
 * @param key "state" (a name such as "failed"), "workflow", "version", "accepted_from_ms", "accepted_to_ms" (UTC, half open), "order"
 *        ("newest" or "oldest"), "limit" (1 to 10,000), "payloads" ("true" or "false"), "page" (what orch_execution_list_next gave)
 * @param value the value as text
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT with what is allowed
 */
ORCH_API int32_t orch_filter_set(orch_filter *filter, const char *key, const char *value,
                                 orch_error **err);

/**
 * @brief Get the number of executions on a page.
 * @param list the page; NULL reads as 0
 * @return how many
 */
ORCH_API size_t orch_execution_list_count(const orch_execution_list *list);
/**
 * @brief Get one of them.
 * @param list the page
 * @param i 0 to count - 1
 * @return the execution, owned by the page; NULL beyond its end
 */
ORCH_API const orch_response *orch_execution_list_get(const orch_execution_list *list, size_t i);
/**
 * @brief Get where the next page begins: the value for the filter's key "page".
 * @param list the page
 * @return text owned by the page; NULL if there is no further page. A page may hold fewer than the limit, even none, and have a next one:
 *         the search for a rare match is done in bounded parts
 */
ORCH_API const char *orch_execution_list_next(const orch_execution_list *list);
/**
 * @brief Free a page.
 * @param list the page; NULL is harmless
 */
ORCH_API void orch_execution_list_free(orch_execution_list *list);

/**
 * @brief Get the number of entries.
 * @param history the page; NULL reads as 0
 * @return how many
 */
ORCH_API size_t orch_history_count(const orch_history *history);
/**
 * @brief Get an entry's sequence number.
 * @param history the page
 * @param i 0 to count - 1
 * @return 1, 2, … within the run; 0 beyond the end
 */
ORCH_API uint64_t orch_history_seq(const orch_history *history, size_t i);
/**
 * @brief Get the step that an entry is about.
 * @param history the page
 * @param i 0 to count - 1
 * @return the step's id, owned by the page; "" beyond the end
 */
ORCH_API const char *orch_history_step(const orch_history *history, size_t i);
/**
 * @brief Get the item of the step's for_each.
 * @param history the page
 * @param i 0 to count - 1
 * @return 0, 1, …; -1 for the step itself
 */
ORCH_API int64_t orch_history_index(const orch_history *history, size_t i);
/**
 * @brief Get what an entry says.
 * @param history the page
 * @param i 0 to count - 1
 * @return an ORCH_STEP_ number; 0 beyond the end
 */
ORCH_API int32_t orch_history_kind(const orch_history *history, size_t i);
/**
 * @brief Get the attempt's number.
 * @param history the page
 * @param i 0 to count - 1
 * @return 1, 2, …; 0 where none was started
 */
ORCH_API int32_t orch_history_attempt(const orch_history *history, size_t i);
/**
 * @brief Get when the attempt started.
 * @param history the page
 * @param i 0 to count - 1
 * @return UTC in milliseconds since 1970; 0 where none was started
 */
ORCH_API int64_t orch_history_started_ms(const orch_history *history, size_t i);
/**
 * @brief Get when the entry was made.
 * @param history the page
 * @param i 0 to count - 1
 * @return UTC in milliseconds since 1970
 */
ORCH_API int64_t orch_history_ended_ms(const orch_history *history, size_t i);
/**
 * @brief Get an entry's output.
 * @param history the page
 * @param i 0 to count - 1
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the page; "null" if there is none
 */
ORCH_API const char *orch_history_output(const orch_history *history, size_t i, size_t *out_len);
/**
 * @brief Get an entry's error.
 * @param history the page
 * @param i 0 to count - 1
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the page; NULL if there is none
 */
ORCH_API const char *orch_history_error(const orch_history *history, size_t i, size_t *out_len);
/**
 * @brief Free a page of history.
 * @param history the page; NULL is harmless
 */
ORCH_API void orch_history_free(orch_history *history);

#ifdef __cplusplus
}
#endif
#endif
