/**
 * @file settings.h
 * @brief What holds for many executions at a time: pauses of workflows, deleted versions, and limits of keys. Durable, and changed while executions run.
 *
 * Each call is recorded with who and why (orch_v2_get_controls without an execution), holds once it returns ORCH_OK, and survives the
 * process. Those that change something block until it is stored, may be called from any thread but a log callback
 * (ORCH_E_FAILED_PRECONDITION), and answer ORCH_E_FAILED_PRECONDITION after stop and in a forked child, ORCH_E_INVALID_ARGUMENT for a bad
 * argument, ORCH_E_RESOURCE_EXHAUSTED if the store is full.
 */
#ifndef ORCH_SETTINGS_H
#define ORCH_SETTINGS_H

#include <orch/control.h>
#include <orch/error.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Pause a workflow, all its versions, or everything: nothing more starts in its executions, what runs finishes; what is accepted
 *        meanwhile waits. They can be cancelled, and their deadlines hold.
 * @param orch the orchestrator; not NULL
 * @param workflow the workflow's id, which need not be registered; NULL = everything
 * @param control who and why; NULL = not said
 * @param err where to put an error; may be NULL
 * @return ORCH_OK, also if it is paused already; errors as above
 */
ORCH_API int32_t orch_v2_pause_workflow(orch_v2 *orch, const char *workflow,
                                        const orch_control *control, orch_error **err);
/**
 * @brief End the pause of a workflow, or that of everything. An execution goes on once neither it, nor its workflow, nor everything is paused.
 * @param orch the orchestrator; not NULL
 * @param workflow the workflow's id; NULL = everything
 * @param control who and why; NULL = not said
 * @param err where to put an error; may be NULL
 * @return ORCH_OK, also if it is not paused; errors as above
 */
ORCH_API int32_t orch_v2_resume_workflow(orch_v2 *orch, const char *workflow,
                                         const orch_control *control, orch_error **err);
/**
 * @brief Tell whether a workflow is paused.
 * @param orch the orchestrator; not NULL
 * @param workflow the workflow's id; NULL = everything
 * @param out_paused 1 if it is, by itself or with everything, else 0; not NULL; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; errors as above. Blocks for a turn of the loop
 */
ORCH_API int32_t orch_v2_get_workflow_paused(orch_v2 *orch, const char *workflow,
                                             int32_t *out_paused, orch_error **err);

/**
 * @brief Delete a version of a workflow: from then on nothing starts it, no range finds it, no sub-workflow is it, and it is not listed. The
 *        executions that have it go on, and can be looked at and tried again. Others may call it: who cares asks the management service,
 *        whose DeleteWorkflow refuses that (service.h). To register the same definition again brings it back; another definition
 *        under that version is refused as ever.
 * @param orch the orchestrator; not NULL
 * @param workflow the workflow's id; not NULL
 * @param version the version, exactly; not NULL
 * @param control who and why; NULL = not said
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_NOT_FOUND if it is not registered, or deleted already; errors as above
 */
ORCH_API int32_t orch_v2_delete_workflow(orch_v2 *orch, const char *workflow, const char *version,
                                         const orch_control *control, orch_error **err);

/** How many executions of a key may be with engines, and how many may be handed to them in a time. Not for use by several threads at a time. */
typedef struct orch_limit orch_limit;

/**
 * @brief Make a limit that limits nothing.
 * @return freed by orch_limit_free; NULL if there is no memory
 */
ORCH_API orch_limit *orch_limit_new(void);
/**
 * @brief Free a limit. What was set is not touched.
 * @param limit the limit; NULL is harmless
 */
ORCH_API void orch_limit_free(orch_limit *limit);
/**
 * @brief Limit how many executions are with engines at a time. One that is suspended does not count.
 * @param limit the limit; not NULL
 * @param executions 1 to 10,000,000; 0 = any number
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_limit_set_concurrency(orch_limit *limit, uint32_t executions);
/**
 * @brief Limit how many executions are handed to engines in a time.
 * @param limit the limit; not NULL
 * @param executions 1 to 1,000,000; 0 = any number
 * @param per_ms … in each time of 1 ms to 30 days; 0 with 0 executions
 * @param burst at most so many at once after a time of rest, 1 to 1,000,000; 0 = as many as `executions`
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_limit_set_rate(orch_limit *limit, uint32_t executions, int64_t per_ms,
                                     uint32_t burst);
/**
 * @brief Get a number of a limit.
 * @param limit the limit
 * @param name "concurrency", "rate", "per_ms", "burst"
 * @return the number, 0 where there is no limit; -1 for NULL or an unknown name
 */
ORCH_API int64_t orch_limit_get(const orch_limit *limit, const char *name);

/**
 * @brief Set the limit of a key: it holds for all executions that were started with that key (orch_start_options_set_limit_key), also for those
 *        that exist already. What it holds back stands in nobody else's way.
 * @param orch the orchestrator; not NULL
 * @param key 1 to 256 bytes of UTF-8 without control characters
 * @param limit the limit; NULL = none any more
 * @param control who and why; NULL = not said
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; errors as above. What is with engines already stays there when a limit becomes lower
 */
ORCH_API int32_t orch_v2_set_limit(orch_v2 *orch, const char *key, const orch_limit *limit,
                                   const orch_control *control, orch_error **err);
/**
 * @brief Get the limit of a key.
 * @param orch the orchestrator; not NULL
 * @param key the key
 * @param out_limit the limit, freed by orch_limit_free, all 0 if there is none; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; errors as above. Blocks for a turn of the loop
 */
ORCH_API int32_t orch_v2_get_limit(orch_v2 *orch, const char *key, orch_limit **out_limit,
                                   orch_error **err);

#ifdef __cplusplus
}
#endif
#endif
