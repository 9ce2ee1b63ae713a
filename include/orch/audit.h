/**
 * @file audit.h
 * @brief Who did what to executions from outside, when and why: a record of all calls of control.h and settings.h.
 */
#ifndef ORCH_AUDIT_H
#define ORCH_AUDIT_H

#include <orch/error.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A page of what was done. */
typedef struct orch_controls orch_controls;

/**
 * @brief Get what was done to an execution from outside, in order, a page at a time. The newest 10,000 of each execution are kept.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id; NULL = what was done to workflows, limits and everything (settings.h)
 * @param after_seq entries after this sequence number; 0 = from the first
 * @param limit how many at most, 1 to 100,000; 0 = 10,000
 * @param out_controls the page, freed by orch_controls_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_NOT_FOUND; ORCH_E_INVALID_ARGUMENT; ORCH_E_FAILED_PRECONDITION in a forked child
 * As orch_v2_get_execution.
 */
ORCH_API int32_t orch_v2_get_controls(orch_v2 *orch, const char *execution_id, uint64_t after_seq,
                                      uint32_t limit, orch_controls **out_controls,
                                      orch_error **err);
/**
 * @brief Get the number of entries.
 * @param controls the page; NULL reads as 0
 * @return how many
 */
ORCH_API size_t orch_controls_count(const orch_controls *controls);
/**
 * @brief Get an entry's sequence number.
 * @param controls the page
 * @param i 0 to count - 1
 * @return 1, 2, … within the execution; 0 beyond the end
 */
ORCH_API uint64_t orch_controls_seq(const orch_controls *controls, size_t i);
/**
 * @brief Get when it was done.
 * @param controls the page
 * @param i 0 to count - 1
 * @return UTC in milliseconds since 1970; 0 beyond the end
 */
ORCH_API int64_t orch_controls_at_ms(const orch_controls *controls, size_t i);
/**
 * @brief Get what was done.
 * @param controls the page
 * @param i 0 to count - 1
 * @return "cancel", "terminate", "signal", "pause", "resume", "set_priority", "retry", "rerun", "fork", "set_limit" or "delete_workflow", owned by the page;
 *         "" beyond the end
 */
ORCH_API const char *orch_controls_action(const orch_controls *controls, size_t i);
/**
 * @brief Get who did it.
 * @param controls the page
 * @param i 0 to count - 1
 * @return what orch_control_set_who was told, owned by the page; "" if it was not said
 */
ORCH_API const char *orch_controls_who(const orch_controls *controls, size_t i);
/**
 * @brief Get why.
 * @param controls the page
 * @param i 0 to count - 1
 * @return what orch_control_set_why was told, owned by the page; "" if it was not said
 */
ORCH_API const char *orch_controls_why(const orch_controls *controls, size_t i);
/**
 * @brief Get what it was done with: the name of a signal, the step of a rerun, a workflow, the key of a limit.
 * @param controls the page
 * @param i 0 to count - 1
 * @return text owned by the page; "" if there is nothing of that kind
 */
ORCH_API const char *orch_controls_detail(const orch_controls *controls, size_t i);
/**
 * @brief Free a page.
 * @param controls the page; NULL is harmless
 */
ORCH_API void orch_controls_free(orch_controls *controls);

#ifdef __cplusplus
}
#endif
#endif
