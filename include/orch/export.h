/**
 * @file export.h
 * @brief Executions as text: all that is stored of one as JSON Lines, for archives, for other stores, and for orch_testing_replay.
 *
 * docs/export.md describes the format. Payloads are exported as they are stored: with a codec they stay encoded.
 */
#ifndef ORCH_EXPORT_H
#define ORCH_EXPORT_H

#include <orch/error.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Takes a piece of an export: one whole line, its line end included.
 * @param user_data as given
 * @param text the line, UTF-8, not NUL-terminated, valid during the call
 * @param len its length in bytes
 * @return ORCH_OK; any other value ends the export, which then returns it
 * Called inside orch_v2_export_execution, on its thread.
 */
typedef int32_t (*orch_export_fn)(void *user_data, const char *text, size_t len);

/**
 * @brief Export an execution: its row, all of its runs with their histories, and what was done to it. Of one that has not ended, what is
 *        stored so far.
 * @param orch the orchestrator; not NULL
 * @param execution_id its id
 * @param fn takes the lines, in order; not NULL
 * @param user_data handed to it; may be NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_NOT_FOUND; ORCH_E_INVALID_ARGUMENT; ORCH_E_FAILED_PRECONDITION in a forked child; what `fn` returned
 * As orch_v2_get_execution; it holds a page of the history in memory at a time. An export is whole if its last line is the "end" record.
 */
ORCH_API int32_t orch_v2_export_execution(orch_v2 *orch, const char *execution_id,
                                          orch_export_fn fn, void *user_data, orch_error **err);

/**
 * @brief Import an execution that has ended, with its id, its times and its whole history, from the text of its export. Its workflow must be
 *        registered, in the same version with the same digest. Start keys are not imported; the parent is known if it is here.
 * @param orch the orchestrator; not NULL
 * @param text the export, whole
 * @param len its length in bytes
 * @param err where to put an error; may be NULL
 * @return ORCH_OK: all of it is stored, else nothing is; ORCH_E_INVALID_ARGUMENT with the line where it is wrong;
 *         ORCH_E_FAILED_PRECONDITION if it has not ended, if the workflow has another digest here, if it is of a time that has not come
 *         here, after stop, in a forked child, or inside a callback of orch_v2_dispatch; ORCH_E_NOT_FOUND if its workflow is not registered;
 *         ORCH_E_ALREADY_EXISTS if there is an execution with its id; ORCH_E_RESOURCE_EXHAUSTED
 * Any thread but inside a callback of orch_v2_dispatch and in a log callback; blocks until it is stored.
 */
ORCH_API int32_t orch_v2_import_execution(orch_v2 *orch, const char *text, size_t len,
                                          orch_error **err);

#ifdef __cplusplus
}
#endif
#endif
