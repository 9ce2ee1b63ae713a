/**
 * @file start.h
 * @brief How to start an execution: id, version, key, time, priority, limits, attributes.
 *
 * Options are filled once and may be used for any number of starts. Not for use by several threads at a time while they are changed.
 */
#ifndef ORCH_START_H
#define ORCH_START_H

#include <orch/error.h>
#include <orch/execution.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A start whose key was used before gives the execution that has the key (orch_execution_existed). */
#define ORCH_START_KEY_RETURN 0
/** It is refused: ORCH_E_ALREADY_EXISTS. */
#define ORCH_START_KEY_REFUSE 1
/** If the execution that has the key has ended it starts a new one, which has the key then; else as ORCH_START_KEY_RETURN. */
#define ORCH_START_KEY_ANEW   2

/**
 * @brief Is told that a start was accepted or refused.
 * @param user_data as given
 * @param execution a handle, owned by the callee (orch_execution_free); NULL if refused
 * @param error why it was refused, owned by the callee (orch_error_free); NULL if accepted
 * Called exactly once, where orch_execution_fn is called.
 */
typedef void (*orch_start_fn)(void *user_data, orch_execution *execution, orch_error *error);

/** How to start an execution. */
typedef struct orch_start_options orch_start_options;

/**
 * @brief Make start options: an id of the library's making, the newest version, no deadline but the definition's, at once, priority 5.
 * @return the options, freed by orch_start_options_free; NULL if there is no memory
 */
ORCH_API orch_start_options *orch_start_options_new(void);
/**
 * @brief Free start options.
 * @param options the options; NULL is harmless
 */
ORCH_API void orch_start_options_free(orch_start_options *options);
/**
 * @brief Choose the execution's id.
 * @param options the options; not NULL
 * @param id 1 to 128 of [A-Za-z0-9_.:/-], not in the form of the library's own ids (13 characters of
 *        Crockford's base 32 in lower case); NULL = let the library make one
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_start_options_set_id(orch_start_options *options, const char *id);
/**
 * @brief Choose the version.
 * @param options the options; not NULL
 * @param version an exact version or a range (^1.2, ~1.2.3, >=1 <2); the newest that fits is taken; NULL = the newest
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_start_options_set_version(orch_start_options *options, const char *version);
/**
 * @brief Limit the execution's whole time, from its acceptance, or from the time it is to start at.
 * @param options the options; not NULL
 * @param timeout_ms 1 ms to 100 years; 0 = the definition's timeout. The earlier of the two holds
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_start_options_set_timeout(orch_start_options *options, int64_t timeout_ms);

/**
 * @brief Give the start a key (an idempotency key): of several starts of a workflow with the same key, be they resent, repeated or meant to be
 *        one, one starts something. Keys of different workflows do not meet.
 * @param options the options; not NULL
 * @param key 1 to 256 bytes of UTF-8 without control characters; NULL = none
 * @param policy an ORCH_START_KEY_ number: what a start does whose key was used before
 * @param ttl_ms for how long the key counts, from this start on: 1 ms to 100 years; 0 = as long as its execution is in the store
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_start_options_set_start_key(orch_start_options *options, const char *key,
                                                  int32_t policy, int64_t ttl_ms);
/**
 * @brief Start at a time: the execution is accepted and recorded now, and waits in the store until then.
 * @param options the options; not NULL
 * @param start_at_ms UTC in milliseconds since 1970; what is past already starts at once; 0 = at once. It replaces a delay
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT (negative, or more than 200 years after 1970)
 */
ORCH_API int32_t orch_start_options_set_start_at(orch_start_options *options, int64_t start_at_ms);
/**
 * @brief Start later: as orch_start_options_set_start_at, counted from the acceptance.
 * @param options the options; not NULL
 * @param delay_ms 0 (at once) to 100 years in milliseconds. It replaces a time
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_start_options_set_delay(orch_start_options *options, int64_t delay_ms);
/**
 * @brief Set the priority: of those that wait for an engine, the ones with a higher one are handed over first. Children have it too.
 * @param options the options; not NULL
 * @param priority 0 to 9; 5 is what executions have by themselves
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT
 */
ORCH_API int32_t orch_start_options_set_priority(orch_start_options *options, int32_t priority);
/**
 * @brief Say what keeps together: executions with the same affinity go to the same engine where the balancer can do so.
 * @param options the options; not NULL
 * @param affinity 1 to 256 bytes of UTF-8 without control characters; NULL = the workflow's id
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_start_options_set_affinity(orch_start_options *options, const char *affinity);
/**
 * @brief Put the execution under the limit of a key (orch_v2_set_limit), such as a tenant or a service that it uses.
 * @param options the options; not NULL
 * @param limit_key 1 to 256 bytes of UTF-8 without control characters; NULL = none. There need be no such limit yet
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_start_options_set_limit_key(orch_start_options *options,
                                                  const char *limit_key);
/**
 * @brief Attach attributes, to find the execution by (orch_filter_set). They are kept readable, whatever the codec.
 * @param options the options; not NULL; unchanged on failure
 * @param attributes_json a JSON object of at most 64 members and 16 KiB: names of 1 to 128 of [A-Za-z0-9_.-], values that are strings,
 *        numbers or booleans; NULL = none
 * @param len its length in bytes
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT with the attribute; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_start_options_set_attributes(orch_start_options *options,
                                                   const char *attributes_json, size_t len,
                                                   orch_error **err);

#ifdef __cplusplus
}
#endif
#endif
