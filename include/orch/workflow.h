/**
 * @file workflow.h
 * @brief Building a definition from code: the same language as JSON and YAML.
 *
 * A builder function is called once by orch_v2_register_workflow; it adds steps. The result is checked as a
 * document would be, and gives the same digest as the document that says the same. Errors of the functions below are kept by the
 * builder too: registration fails with the first one, so that a builder function may ignore what they return.
 */
#ifndef ORCH_WORKFLOW_H
#define ORCH_WORKFLOW_H

#include <orch/error.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A definition in the making. Valid during the builder function only; not for use by several threads at a time. */
typedef struct orch_builder orch_builder;

/** A step in the making; owned by its builder, valid as long as it. */
typedef struct orch_step orch_step;

/**
 * @brief Describes a workflow by calling the functions of this file.
 * @param builder where to add steps
 * @param user_data as given at registration
 * @param err set it when returning an error code of its own; may be left alone
 * @return ORCH_OK, or an ORCH_E_ code: registration fails with it
 * Called inside orch_v2_register_workflow, on its thread.
 */
typedef int32_t (*orch_workflow_builder)(orch_builder *builder, void *user_data, orch_error **err);

/**
 * @brief Add a step.
 * @param builder the builder; not NULL
 * @param id the step's id: 1 to 128 of [A-Za-z0-9_.-]
 * @param executor a built-in executor's name (lua, exec, http, noop, wait, workflow) or a host callback's
 * @param with_json the step's input, JSON text with ${…} templates in its strings, as under `with`; NULL = none
 * @return the step; NULL if something is wrong (the builder keeps the error; the functions below ignore a NULL step)
 */
ORCH_API orch_step *orch_builder_step(orch_builder *builder, const char *id, const char *executor,
                                      const char *with_json);

/**
 * @brief Set any key of the workflow, as in a document: "inputs", "outputs", "output", "on_failure", "timeout", "description", "labels".
 * @param builder the builder; not NULL
 * @param key the key; set twice, the last value holds
 * @param value_json its value, JSON text: a duration is "\"10m\"", on_failure is an object
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_builder_set(orch_builder *builder, const char *key, const char *value_json);

/**
 * @brief Make a step depend on another, which may be added later.
 * @param step the step; NULL is ignored
 * @param id the id of the step that must end before
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_step_depends_on(orch_step *step, const char *id);

/**
 * @brief Set any key of a step, as in a document: "when", "for_each", "max_parallel", "retry", "timeout", "heartbeat_timeout", "run_if",
 * "continue_on_failure", "compensate", "checkpoint", "description"; "depends_on" as a whole list.
 * @param step the step; NULL is ignored
 * @param key the key; set twice, the last value holds
 * @param value_json its value, JSON text: compensate is an object with its own executor and with
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_step_set(orch_step *step, const char *key, const char *value_json);

#ifdef __cplusplus
}
#endif
#endif
