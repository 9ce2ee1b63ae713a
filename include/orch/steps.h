/**
 * @file steps.h
 * @brief Where each step of an execution is: its state, its attempts and its output so far, of an execution that runs or has ended.
 *
 * It is put together from the recorded history, and for an execution that this process's engine has, from what runs there now. A step that
 * makes no checkpoints ("checkpoint": false) leaves no record: once it has ended, its state is ORCH_STEP_NONE unless it failed.
 */
#ifndef ORCH_STEPS_H
#define ORCH_STEPS_H

#include <orch/error.h>
#include <orch/history.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Nothing is recorded of it, and it does not run. */
#define ORCH_STEP_NONE 0

/** A page of the steps of an execution, or of the items of a for_each. */
typedef struct orch_steps orch_steps;

/**
 * @brief Get where the steps of an execution are, in the order of the definition, a page at a time; or where the items of a for_each are.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param run 1, 2, …; 0 = the newest
 * @param step NULL = the steps; the id of a step with for_each = its items
 * @param first the first step or item of the page: 0, 1, …
 * @param limit how many at most, 1 to 10,000; 0 = 1,000
 * @param out_steps the page, freed by orch_steps_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_NOT_FOUND (the execution, the run or the step); ORCH_E_INVALID_ARGUMENT (a step without for_each);
 *         ORCH_E_FAILED_PRECONDITION in a forked child
 * As orch_v2_get_execution. It reads the whole history of the run.
 */
ORCH_API int32_t orch_v2_get_steps(orch_v2 *orch, const char *execution_id, uint32_t run,
                                   const char *step, uint32_t first, uint32_t limit,
                                   orch_steps **out_steps, orch_error **err);
/**
 * @brief Get the number of entries.
 * @param steps the page; NULL reads as 0
 * @return how many
 */
ORCH_API size_t orch_steps_count(const orch_steps *steps);
/**
 * @brief Get how many steps the workflow has, or items the for_each.
 * @param steps the page; NULL reads as 0
 * @return how many on all pages; of items 0 as long as it is not known
 */
ORCH_API uint32_t orch_steps_total(const orch_steps *steps);
/**
 * @brief Get a step's id.
 * @param steps the page
 * @param i 0 to count - 1
 * @return the id, owned by the page; "" beyond the end
 */
ORCH_API const char *orch_steps_id(const orch_steps *steps, size_t i);
/**
 * @brief Get which item of the step it is.
 * @param steps the page
 * @param i 0 to count - 1
 * @return 0, 1, …; -1 for the step itself and beyond the end
 */
ORCH_API int64_t orch_steps_index(const orch_steps *steps, size_t i);
/**
 * @brief Get what runs it.
 * @param steps the page
 * @param i 0 to count - 1
 * @return the executor's name, owned by the page; "" beyond the end
 */
ORCH_API const char *orch_steps_executor(const orch_steps *steps, size_t i);
/**
 * @brief Get the state.
 * @param steps the page
 * @param i 0 to count - 1
 * @return an ORCH_STEP_ number: RUNNING (an attempt, a child or items), WAITING, RETRYING (until orch_steps_due_ms), CHILD (its child is
 *         open, or about to be started), SUCCEEDED, FAILED, SKIPPED, CANCELLED, of what was compensated UNDONE, UNDO_RETRYING or UNDO_FAILED,
 *         else the last thing that is recorded. Once the run has ended, what had begun and not ended is CANCELLED; ORCH_STEP_NONE also beyond the end
 */
ORCH_API int32_t orch_steps_state(const orch_steps *steps, size_t i);
/**
 * @brief Get how many attempts have ended.
 * @param steps the page
 * @param i 0 to count - 1
 * @return how many are recorded
 */
ORCH_API int32_t orch_steps_attempts(const orch_steps *steps, size_t i);
/**
 * @brief Get when it started.
 * @param steps the page
 * @param i 0 to count - 1
 * @return UTC in milliseconds since 1970, of the first attempt that is recorded; 0 if there is none
 */
ORCH_API int64_t orch_steps_started_ms(const orch_steps *steps, size_t i);
/**
 * @brief Get when it ended.
 * @param steps the page
 * @param i 0 to count - 1
 * @return UTC in milliseconds since 1970; 0 as long as it has not
 */
ORCH_API int64_t orch_steps_ended_ms(const orch_steps *steps, size_t i);
/**
 * @brief Get when what it waits for is due: the end of a wait, the next attempt.
 * @param steps the page
 * @param i 0 to count - 1
 * @return UTC in milliseconds since 1970; 0 if it waits for no time
 */
ORCH_API int64_t orch_steps_due_ms(const orch_steps *steps, size_t i);
/**
 * @brief Get how many items it has.
 * @param steps the page
 * @param i 0 to count - 1
 * @return of a for_each that has begun, how many; else 0
 */
ORCH_API uint32_t orch_steps_items(const orch_steps *steps, size_t i);
/**
 * @brief Get how many of its items have ended.
 * @param steps the page
 * @param i 0 to count - 1
 * @return how many
 */
ORCH_API uint32_t orch_steps_items_ended(const orch_steps *steps, size_t i);
/**
 * @brief Get its output; while it runs, the details of its last heartbeat. That of a for_each is that of its items.
 * @param steps the page
 * @param i 0 to count - 1
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the page; "null" if there is none
 */
ORCH_API const char *orch_steps_output(const orch_steps *steps, size_t i, size_t *out_len);
/**
 * @brief Get its error: of the failure, or of the last attempt that failed.
 * @param steps the page
 * @param i 0 to count - 1
 * @param out_len length in bytes; may be NULL
 * @return JSON text owned by the page; NULL if there is none
 */
ORCH_API const char *orch_steps_error(const orch_steps *steps, size_t i, size_t *out_len);
/**
 * @brief Tell whether its payloads could be decoded (orch_config_set_codec). What could not is left as it is stored: {"$encoded":…}, and an
 *        error without its data.
 * @param steps the page
 * @return ORCH_OK; ORCH_E_UNAVAILABLE: not now, or not without a codec; ORCH_E_DATA_LOSS; ORCH_E_RESOURCE_EXHAUSTED; ORCH_OK for NULL
 */
ORCH_API int32_t orch_steps_codec_status(const orch_steps *steps);
/**
 * @brief Free a page.
 * @param steps the page; NULL is harmless
 */
ORCH_API void orch_steps_free(orch_steps *steps);

#ifdef __cplusplus
}
#endif
#endif
