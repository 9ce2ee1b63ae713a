/**
 * @file launcher.h
 * @brief The one interface that triggers (cron, http, event) use to start executions, whoever implements it.
 */
#ifndef ORCH_LAUNCHER_H
#define ORCH_LAUNCHER_H

#include <orch/error.h>
#include <orch/execution.h>
#include <orch/start.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Starts executions. */
typedef struct orch_launcher orch_launcher;

/**
 * @brief Start an execution; returns once it is accepted.
 * @param launcher the launcher; not NULL
 * @param workflow the workflow's id
 * @param inputs_json the input, a JSON object; NULL = {}
 * @param len its length in bytes
 * @param options how to start it; NULL = defaults
 * @param out_execution a handle, freed by orch_execution_free; NULL if none is wanted; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return as orch_v2_start_workflow
 */
ORCH_API int32_t orch_launcher_start(orch_launcher *launcher, const char *workflow,
                                     const char *inputs_json, size_t len,
                                     const orch_start_options *options,
                                     orch_execution **out_execution, orch_error **err);

#ifdef __cplusplus
}
#endif
#endif
