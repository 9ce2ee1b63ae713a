/**
 * @file bulk.h
 * @brief Control over many executions at a time: all that a filter lets pass.
 */
#ifndef ORCH_BULK_H
#define ORCH_BULK_H

#include <orch/control.h>
#include <orch/error.h>
#include <orch/list.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Do the same to every execution that a filter lets pass, newest first. Each is done by itself, as the function of control.h would
 *        do it, and recorded with who and why; a bounded number is under way at a time. What is accepted meanwhile is not touched.
 * @param orch the orchestrator; not NULL
 * @param filter which. One that lets everything pass (or NULL) is refused, unless its "everything" is "true". Its order, limit, page and
 *        payloads are not looked at
 * @param action "cancel", "terminate", "pause", "resume", "retry", "rerun" or "set_priority". (A signal to many is not among them: after an
 *        error it could not be tried again without signalling some of them twice)
 * @param argument of "rerun" the step, of "set_priority" the number; else NULL
 * @param control who and why; NULL = not said
 * @param out_done how many it was done to; may be NULL; unchanged on failure
 * @param out_refused how many did not allow it, being in another state or gone meanwhile; may be NULL; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK once all are through; ORCH_E_INVALID_ARGUMENT; ORCH_E_NOT_FOUND (the filter's parent); ORCH_E_FAILED_PRECONDITION after stop,
 *         in a forked child, or inside a callback of orch_v2_dispatch; or the first error that would meet the others too (a full store, the
 *         stop): the message says how many were through by then. Trying again is harmless
 * Blocks until then. Any thread but inside a callback of orch_v2_dispatch and in a log callback.
 */
ORCH_API int32_t orch_v2_control_matching(orch_v2 *orch, const orch_filter *filter,
                                          const char *action, const char *argument,
                                          const orch_control *control, uint64_t *out_done,
                                          uint64_t *out_refused, orch_error **err);

#ifdef __cplusplus
}
#endif
#endif
