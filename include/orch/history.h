/**
 * @file history.h
 * @brief What an execution has done: its runs, and the recorded history of each.
 */
#ifndef ORCH_HISTORY_H
#define ORCH_HISTORY_H

#include <orch/error.h>
#include <orch/execution.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Runs now; not recorded, so in no history: orch_v2_get_steps says so. */
#define ORCH_STEP_RUNNING          1
/** Its `when` was true. */
#define ORCH_STEP_DECIDED          2
/** Its for_each has that many items. */
#define ORCH_STEP_EXPANDED         3
/** Waits until a time, or for a signal: its output is {"signal","correlation"?} then. */
#define ORCH_STEP_WAITING          4
/** An attempt failed; the next one comes. */
#define ORCH_STEP_RETRYING         5
/** Ended well. */
#define ORCH_STEP_SUCCEEDED        6
/** Failed for good. */
#define ORCH_STEP_FAILED           7
/** Not run, by its own `when`. */
#define ORCH_STEP_SKIPPED          8
/** Stopped by a cancel. */
#define ORCH_STEP_CANCELLED        9
/** A child is to be started; its output says which: {"workflow","version"?,"inputs"?,…}. */
#define ORCH_STEP_CHILD            10
/** A running attempt said how far it is: its details are in the output. */
#define ORCH_STEP_HEARTBEAT        11
/** Of the execution, not of a step: how it ends is decided, and compensation or on_failure begins. */
#define ORCH_STEP_CLOSING          12
/** An attempt to compensate it failed; the next one comes. */
#define ORCH_STEP_UNDO_RETRYING    13
/** It was compensated. */
#define ORCH_STEP_UNDONE           14
/** It could not be compensated. */
#define ORCH_STEP_UNDO_FAILED      15
/** Of the execution: an attempt of its on_failure failed; the next one comes. */
#define ORCH_STEP_HANDLER_RETRYING 16
/** Of the execution: its on_failure is done. */
#define ORCH_STEP_HANDLED          17
/** Of the execution: its on_failure failed. */
#define ORCH_STEP_HANDLER_FAILED   18

/** A page of the history of an execution. */
typedef struct orch_history orch_history;
/** The runs of an execution. */
typedef struct orch_runs orch_runs;

/**
 * @brief Get the name of a history entry's kind, such as "retrying".
 * @param kind an ORCH_STEP_ number
 * @return a static string; "unknown" for other numbers
 */
ORCH_API const char *orch_step_kind_name(int32_t kind);

/**
 * @brief Get the recorded history of an execution's newest run, a page at a time.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param after_seq entries after this sequence number; 0 = from the first
 * @param limit how many at most, 1 to 100,000; 0 = 10,000
 * @param out_history the page, freed by orch_history_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_NOT_FOUND; ORCH_E_INVALID_ARGUMENT; ORCH_E_FAILED_PRECONDITION in a forked child
 * As orch_v2_get_execution.
 */
ORCH_API int32_t orch_v2_get_history(orch_v2 *orch, const char *execution_id, uint64_t after_seq,
                                     uint32_t limit, orch_history **out_history, orch_error **err);
/**
 * @brief Get the recorded history of one run of an execution, a page at a time.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param run 1, 2, …; 0 = the newest
 * @param after_seq entries after this sequence number; 0 = from the first
 * @param limit how many at most, 1 to 100,000; 0 = 10,000
 * @param out_history the page, freed by orch_history_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_NOT_FOUND (the execution, or the run); ORCH_E_INVALID_ARGUMENT; ORCH_E_FAILED_PRECONDITION in a forked child
 * As orch_v2_get_execution.
 */
ORCH_API int32_t orch_v2_get_run_history(orch_v2 *orch, const char *execution_id, uint32_t run,
                                         uint64_t after_seq, uint32_t limit,
                                         orch_history **out_history, orch_error **err);

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
 * @return the step's id, owned by the page; "" for what is of the execution and not of a step, and beyond the end
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
 * @brief Get when what an entry waits for is due: the end of a wait, the next attempt.
 * @param history the page
 * @param i 0 to count - 1
 * @return UTC in milliseconds since 1970; 0 = never, or it waits for nothing
 */
ORCH_API int64_t orch_history_due_ms(const orch_history *history, size_t i);
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
 * @brief Tell whether its payloads could be decoded (orch_config_set_codec). What could not is left as it is stored: {"$encoded":…}, and an
 *        error without its data.
 * @param history the page
 * @return ORCH_OK; ORCH_E_UNAVAILABLE: not now, or not without a codec; ORCH_E_DATA_LOSS; ORCH_E_RESOURCE_EXHAUSTED; ORCH_OK for NULL
 */
ORCH_API int32_t orch_history_codec_status(const orch_history *history);
/**
 * @brief Free a page of history.
 * @param history the page; NULL is harmless
 */
ORCH_API void orch_history_free(orch_history *history);

/**
 * @brief Get all runs of an execution: the first one, and those that a retry or a rerun started.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param out_runs the runs, freed by orch_runs_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return as orch_v2_get_history
 */
ORCH_API int32_t orch_v2_get_runs(orch_v2 *orch, const char *execution_id, orch_runs **out_runs,
                                  orch_error **err);
/**
 * @brief Get the number of runs.
 * @param runs the runs; NULL reads as 0
 * @return how many
 */
ORCH_API size_t orch_runs_count(const orch_runs *runs);
/**
 * @brief Get a run's number.
 * @param runs the runs
 * @param i 0 (the oldest) to count - 1 (the newest)
 * @return 1, 2, …; 0 beyond the end
 */
ORCH_API int32_t orch_runs_run(const orch_runs *runs, size_t i);
/**
 * @brief Get a run's state.
 * @param runs the runs
 * @param i 0 to count - 1
 * @return an ORCH_EXECUTION_ number, of all but the newest an end; -1 beyond the end
 */
ORCH_API int32_t orch_runs_state(const orch_runs *runs, size_t i);
/**
 * @brief Get when a run ended.
 * @param runs the runs
 * @param i 0 to count - 1
 * @return UTC in milliseconds since 1970; 0 while it has not, and beyond the end
 */
ORCH_API int64_t orch_runs_ended_ms(const orch_runs *runs, size_t i);
/**
 * @brief Get a run's output.
 * @param runs the runs
 * @param i 0 to count - 1
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the runs; "null" unless it succeeded
 */
ORCH_API const char *orch_runs_output(const orch_runs *runs, size_t i, size_t *out_len);
/**
 * @brief Get the error of a run that did not succeed.
 * @param runs the runs
 * @param i 0 to count - 1
 * @param out_len length in bytes; may be NULL
 * @return JSON text as orch_response_error, owned by the runs; NULL if there is none
 */
ORCH_API const char *orch_runs_error(const orch_runs *runs, size_t i, size_t *out_len);
/**
 * @brief Tell whether its payloads could be decoded (orch_config_set_codec). What could not is left as it is stored: {"$encoded":…}, and an
 *        error without its data.
 * @param runs the runs
 * @return ORCH_OK; ORCH_E_UNAVAILABLE: not now, or not without a codec; ORCH_E_DATA_LOSS; ORCH_E_RESOURCE_EXHAUSTED; ORCH_OK for NULL
 */
ORCH_API int32_t orch_runs_codec_status(const orch_runs *runs);
/**
 * @brief Free the runs.
 * @param runs the runs; NULL is harmless
 */
ORCH_API void orch_runs_free(orch_runs *runs);

#ifdef __cplusplus
}
#endif
#endif
