/**
 * @file subworkflows.h
 * @brief Child executions: started by a step's own task, and looked up whoever started them.
 *
 * A step with the executor `workflow` starts one child and ends with it (docs/definition.md). Here is what a host's function needs to do so by
 * itself: start as many children as it likes, of whichever workflow, and decide what their ends mean.
 *
 * **Started once.** A child's id follows from the step and not from the attempt: it is orch_task_idempotency_key, with `~KEY` behind it if a key is
 * given (a digest where that would be longer than 128 characters). So a second attempt of the step, also in another process after a crash, gets the child
 * that the first one started, which may even have ended (orch_execution_existed). A step that is to start another child in each attempt
 * puts the attempt's number into the key. A retry, a rerun or a fork of the parent starts children of its own for the steps that it does again.
 *
 * **Whose it is.** A child belongs to the run of its parent in which it was started, not to the attempt and not to the step: it goes on when the attempt fails, when the
 * step's or the attempt's time runs out, and when the step has ended. What ends it is the end of that run:
 *  - ORCH_CHILD_CANCEL (as long as nothing else is said): it never outlives its parent's run by more than it takes to cancel it. A cancel of the parent
 *    goes down as soon as it is recorded, so that a task that waits for its child need not look at orch_task_stopping; a child of a parent with a
 *    timeout must have ended by the same time, and times out with it; when the parent is terminated the child is; and whichever way the parent ends
 *    otherwise, well or not, what is still open of its children is cancelled then, also if the process dies in between.
 *  - ORCH_CHILD_ABANDON: it goes on by itself, whatever becomes of its parent. Only such a child can be retried or rerun by itself; for the others retry the parent.
 *
 * **Its end** is told to those who wait on its handle, and to nobody else: the parent's run is neither woken nor disturbed, and its history does not
 * show the child; orch_subworkflows_list does, and while the task runs orch_steps_state of its step is ORCH_STEP_RUNNING. A pause of the parent does not hold its
 * children. Children pass by the limit of open executions (MAX_OPEN_EXECUTIONS), lest parents wait for a place that they hold; but a limit key
 * that parent and child share can make them wait for each other.
 */
#ifndef ORCH_SUBWORKFLOWS_H
#define ORCH_SUBWORKFLOWS_H

#include <orch/engine.h>
#include <orch/error.h>
#include <orch/execution.h>
#include <orch/list.h>
#include <orch/start.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** It ends with its parent's run. */
#define ORCH_CHILD_CANCEL  0
/** It goes on by itself. */
#define ORCH_CHILD_ABANDON 1

/** The sub-workflow coordinator of an orchestrator. */
typedef struct orch_subworkflows orch_subworkflows;
/** What binds a child to its task. */
typedef struct orch_child_options orch_child_options;
/** Where an execution stands in its tree: the path from the root down to it. */
typedef struct orch_lineage orch_lineage;

/**
 * @brief Make child options: no key, ORCH_CHILD_CANCEL.
 * @return the options, freed by orch_child_options_free; NULL if there is no memory
 */
ORCH_API orch_child_options *orch_child_options_new(void);
/**
 * @brief Free child options.
 * @param options the options; NULL is harmless
 */
ORCH_API void orch_child_options_free(orch_child_options *options);
/**
 * @brief Name the child among those of its step, which may have one without a key and one for each key.
 * @param options the options; not NULL
 * @param key 1 to 128 of [A-Za-z0-9_.-], not beginning with . or -; NULL = none
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_child_options_set_key(orch_child_options *options, const char *key);
/**
 * @brief Say what becomes of the child when its parent's run ends.
 * @param options the options; not NULL
 * @param policy ORCH_CHILD_CANCEL or ORCH_CHILD_ABANDON
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_child_options_set_on_parent_end(orch_child_options *options, int32_t policy);

/**
 * @brief Start a child of the task's step, or get the one that was started before; returns once it is recorded.
 * @param subworkflows the coordinator of the orchestrator whose engine gave the task; not NULL
 * @param task the task, not yet completed, and not completed by another thread during the call; not NULL
 * @param workflow the workflow's id
 * @param inputs_json the input, a JSON object; NULL = {}
 * @param len its length in bytes
 * @param start how to start it, without id and start key: version, timeout, priority (else the parent's), delay, limit key, affinity,
 *        attributes; NULL = defaults. Of a child that is there already it changes nothing
 * @param child key and policy; NULL = defaults
 * @param out_execution a handle, to wait on (orch_execution_wait, orch_execution_on_end); freed by orch_execution_free; NULL if
 *        none is wanted; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_ALREADY_EXISTS if the step has a child with that key already, but of another workflow or with other inputs, or
 *         if an execution that is none of its children has the id; ORCH_E_FAILED_PRECONDITION if the attempt is over (its engine has given it up, another one has the
 *         execution, or the parent has ended), if the task is one of `compensate` or `on_failure`, which start none, if it would be more than 32 executions deep, and after stop,
 *         in a forked child, inside a callback of orch_v2_dispatch; ORCH_E_CANCELLED or ORCH_E_DEADLINE_EXCEEDED if the task was told to stop;
 *         ORCH_E_NOT_FOUND (workflow, version); ORCH_E_INVALID_ARGUMENT, also for a task of another orchestrator; ORCH_E_RESOURCE_EXHAUSTED. Whatever the error, this
 *         call has started nothing
 * Any thread that holds the task. Blocks until it is recorded; orch_subworkflows_start_async does not.
 */
ORCH_API int32_t orch_subworkflows_start(orch_subworkflows *subworkflows, orch_task *task,
                                         const char *workflow, const char *inputs_json, size_t len,
                                         const orch_start_options *start,
                                         const orch_child_options *child,
                                         orch_execution **out_execution, orch_error **err);
/**
 * @brief The same without blocking.
 * @param subworkflows the coordinator; not NULL
 * @param task the task, not yet completed; not NULL. It may be completed before `accepted` comes: then no child may have been started
 * @param workflow the workflow's id
 * @param inputs_json the input, a JSON object; NULL = {}
 * @param len its length in bytes
 * @param start how to start it; NULL = defaults
 * @param child key and policy; NULL = defaults
 * @param accepted told of acceptance or refusal; NULL = not wanted
 * @param ended told of the end, after `accepted`, unless refused; NULL = not wanted. A good place to complete the task
 * @param user_data handed to both; may be NULL
 * @param free_fn ends user_data after the last of the callbacks, also if this call fails; may be NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK: the callbacks will come, `accepted` with the errors of orch_subworkflows_start; else none will: ORCH_E_INVALID_ARGUMENT,
 *         ORCH_E_RESOURCE_EXHAUSTED, ORCH_E_FAILED_PRECONDITION
 * Any thread that holds the task, inside callbacks too; does not block.
 */
ORCH_API int32_t orch_subworkflows_start_async(orch_subworkflows *subworkflows, orch_task *task,
                                               const char *workflow, const char *inputs_json,
                                               size_t len, const orch_start_options *start,
                                               const orch_child_options *child,
                                               orch_start_fn accepted, orch_execution_fn ended,
                                               void *user_data, orch_free_fn free_fn,
                                               orch_error **err);
/**
 * @brief Wait until all children of the task's step have ended: those that this attempt has started, and those of the attempts before it.
 * @param subworkflows the coordinator; not NULL
 * @param task the task, not yet completed, and not completed by another thread during the call; not NULL
 * @param timeout_ms how long; 0 = only look, -1 = for ever
 * @param err where to put an error; may be NULL
 * @return ORCH_OK once none is open, whichever their ends (orch_subworkflows_list); ORCH_E_DEADLINE_EXCEEDED; ORCH_E_FAILED_PRECONDITION if the
 *         attempt is over, and where orch_execution_wait answers so; ORCH_E_CANCELLED if the orchestrator stops first; ORCH_E_INVALID_ARGUMENT
 * It does not end when the task is told to stop: a cancel of the parent goes down to the children, whose ends end it, except for abandoned ones. As
 * orch_execution_wait.
 */
ORCH_API int32_t orch_subworkflows_wait(orch_subworkflows *subworkflows, orch_task *task,
                                        int32_t timeout_ms, orch_error **err);

/**
 * @brief List the children of an execution, of tasks and of steps with the executor `workflow`, of all its runs, a page at a time.
 * @param subworkflows the coordinator; not NULL
 * @param execution_id the parent's id
 * @param filter which of them (list.h); its own "parent" is not looked at; NULL = all, newest first
 * @param out_list the page, freed by orch_execution_list_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return as orch_v2_list_executions
 */
ORCH_API int32_t orch_subworkflows_list(orch_subworkflows *subworkflows, const char *execution_id,
                                        const orch_filter *filter, orch_execution_list **out_list,
                                        orch_error **err);
/**
 * @brief Tell how many levels of children are below an execution.
 * @param subworkflows the coordinator; not NULL
 * @param execution_id its id
 * @param err where to put an error; may be NULL
 * @return 0 if it has no children, 1 if none of them has, … up to 32; or a negative code, as orch_v2_list_executions
 * It reads all that is below, a query for each.
 */
ORCH_API int32_t orch_subworkflows_height(orch_subworkflows *subworkflows, const char *execution_id,
                                          orch_error **err);
/**
 * @brief Get where an execution stands: its parent, the parent's parent, and so on up to the root.
 * @param subworkflows the coordinator; not NULL
 * @param execution_id its id
 * @param out_lineage the path, freed by orch_lineage_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return as orch_v2_get_execution
 */
ORCH_API int32_t orch_subworkflows_get_lineage(orch_subworkflows *subworkflows,
                                               const char *execution_id, orch_lineage **out_lineage,
                                               orch_error **err);
/**
 * @brief Get how many executions are above it.
 * @param lineage the path; NULL reads as 0
 * @return 0 for a root, 1 for its children, …
 */
ORCH_API int32_t orch_lineage_depth(const orch_lineage *lineage);
/**
 * @brief Get how many executions the path has.
 * @param lineage the path; NULL reads as 0
 * @return depth + 1, or fewer if one above was deleted: then the path begins below it
 */
ORCH_API size_t orch_lineage_count(const orch_lineage *lineage);
/**
 * @brief Get the id of one of them.
 * @param lineage the path
 * @param i 0 (the root) to count - 1 (the execution itself; its parent is before it)
 * @return the id, owned by the path; "" beyond the end
 */
ORCH_API const char *orch_lineage_id(const orch_lineage *lineage, size_t i);
/**
 * @brief Get which run of its parent started it.
 * @param lineage the path
 * @param i 0 to count - 1
 * @return 1, 2, …; 0 for a root, and beyond the end
 */
ORCH_API int32_t orch_lineage_parent_run(const orch_lineage *lineage, size_t i);
/**
 * @brief Get which step of its parent started it.
 * @param lineage the path
 * @param i 0 to count - 1
 * @return the step's id, owned by the path; "" for a root, if the parent was deleted, and beyond the end
 */
ORCH_API const char *orch_lineage_step(const orch_lineage *lineage, size_t i);
/**
 * @brief Get which item of that step's for_each started it.
 * @param lineage the path
 * @param i 0 to count - 1
 * @return 0, 1, …; -1 outside a for_each, for a root, and beyond the end
 */
ORCH_API int64_t orch_lineage_index(const orch_lineage *lineage, size_t i);
/**
 * @brief Get which attempt of that step started it.
 * @param lineage the path
 * @param i 0 to count - 1
 * @return 1, 2, …; 0 for a root, and beyond the end
 */
ORCH_API int32_t orch_lineage_attempt(const orch_lineage *lineage, size_t i);
/**
 * @brief Tell whether a task started it (orch_subworkflows_start), and not a step with the executor `workflow`.
 * @param lineage the path
 * @param i 0 to count - 1
 * @return 1 or 0; 0 for a root, and beyond the end
 */
ORCH_API int32_t orch_lineage_by_task(const orch_lineage *lineage, size_t i);
/**
 * @brief Tell what becomes of it when its parent ends.
 * @param lineage the path
 * @param i 0 to count - 1
 * @return ORCH_CHILD_CANCEL or ORCH_CHILD_ABANDON; -1 for a root, and beyond the end
 */
ORCH_API int32_t orch_lineage_on_parent_end(const orch_lineage *lineage, size_t i);
/**
 * @brief Free a path.
 * @param lineage the path; NULL is harmless
 */
ORCH_API void orch_lineage_free(orch_lineage *lineage);

#ifdef __cplusplus
}
#endif
#endif
