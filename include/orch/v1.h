/**
 * @file v1.h
 * @brief The orchestrator whose engines are made and registered by hand, in this process.
 *
 * It is the orchestrator of v2.h without an engine of its own: what it accepts waits until engines are registered, and all that v2.h has
 * holds for it too (orch_as_v2). docs/migrating-from-v1.md shows the same program both ways. All functions may be called from any
 * thread unless they say otherwise; in a forked child they answer ORCH_E_FAILED_PRECONDITION (freeing is allowed).
 */
#ifndef ORCH_V1_H
#define ORCH_V1_H

#include <orch/config.h>
#include <orch/engine.h>
#include <orch/error.h>
#include <orch/execution.h>
#include <orch/launcher.h>
#include <orch/start.h>
#include <orch/types.h>
#include <orch/v2.h>
#include <orch/workflow.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An orchestrator whose engines are registered by hand. */
typedef struct orch_v1 orch_v1;

/**
 * @brief Open the store and start the threads, without an engine.
 * @param config the configuration, copied; STORE_URL must be set; not NULL
 * @param err where to put an error; may be NULL
 * @return the orchestrator, freed by orch_free; NULL on failure, as orch_v2_new
 * Blocks while the store opens.
 */
ORCH_API orch_v1 *orch_new(const orch_config *config, orch_error **err);
/**
 * @brief Stop and free an orchestrator, as orch_v2_free.
 * @param orch the orchestrator; NULL is harmless. Its engines may be freed before or after it
 */
ORCH_API void orch_free(orch_v1 *orch);

/**
 * @brief Register an engine: from now on it gets executions. Several share the thread of the orchestrator; executors of all of them run on
 *        its pool (TASK_THREADS).
 * @param orch the orchestrator; not NULL
 * @param engine the engine; not NULL; of orch_engine_new
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_ALREADY_EXISTS if the orchestrator has an engine of that name (ENGINE_ID); ORCH_E_FAILED_PRECONDITION if it is
 *         registered already, or after stop; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED: then it may be tried again
 * Any thread but in a log callback; blocks for some turns of the loop.
 */
ORCH_API int32_t orch_register_engine(orch_v1 *orch, orch_engine *engine, orch_error **err);

/**
 * @brief Register a workflow that a function builds.
 * @param orch the orchestrator; not NULL
 * @param id the workflow's id
 * @param version its semantic version
 * @param builder called once, inside this call; not NULL
 * @param user_data handed to the builder; may be NULL
 * @param free_fn ends user_data before this call returns, also if it fails; may be NULL
 * @param metadata_json kept with the version, JSON text; NULL = none
 * @param metadata_len its length in bytes
 * @param err where to put an error; may be NULL
 * @return as orch_v2_register_workflow
 */
ORCH_API int32_t orch_register_workflow(orch_v1 *orch, const char *id, const char *version,
                                        orch_workflow_builder builder, void *user_data,
                                        orch_free_fn free_fn, const char *metadata_json,
                                        size_t metadata_len, orch_error **err);
/**
 * @brief Start an execution and wait for its end.
 * @param orch the orchestrator; not NULL
 * @param id the workflow's id
 * @param inputs_json the input, a JSON object; NULL = {}
 * @param len its length in bytes
 * @param options how to start it (start.h); NULL = defaults
 * @param out_response the end, freed by orch_response_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return as orch_v2_execute_workflow. Without an engine it waits until one is registered
 */
ORCH_API int32_t orch_execute_workflow(orch_v1 *orch, const char *id, const char *inputs_json,
                                       size_t len, const orch_start_options *options,
                                       orch_response **out_response, orch_error **err);

/**
 * @brief Get the launcher that triggers call: start executions through it.
 * @param orch the orchestrator
 * @return the launcher, borrowed: valid until orch_free; NULL for NULL
 */
ORCH_API orch_launcher *orch_launcher_of(orch_v1 *orch);
/**
 * @brief Get the orchestrator as v2.h knows it, for all that has no function here: looking, control, settings, callbacks, stop.
 * @param orch the orchestrator
 * @return it, borrowed: not for orch_v2_free; NULL for NULL. orch_v2_local_engine gives NULL for it
 */
ORCH_API orch_v2 *orch_as_v2(orch_v1 *orch);

#ifdef __cplusplus
}
#endif
#endif
