/**
 * @file config.h
 * @brief Configuration: the same keys from code and from the environment.
 *
 * In the environment each key is read as `ORCH_<KEY>`; docs/configuration.md lists all keys with
 * defaults and ranges. An unknown key, or a value out of range, is an error that names the key, the value and what
 * is allowed.
 */
#ifndef ORCH_CONFIG_H
#define ORCH_CONFIG_H

#include <orch/codec.h>
#include <orch/error.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A set of keys and values. Not for use by several threads at a time. */
typedef struct orch_config orch_config;

/**
 * @brief Make a configuration that holds the defaults.
 * @return the configuration, freed by orch_config_free; NULL if there is no memory
 * Any thread.
 */
ORCH_API orch_config *orch_config_new(void);

/**
 * @brief Free a configuration. Orchestrators made from it are not touched.
 * @param config the configuration; NULL is harmless
 */
ORCH_API void orch_config_free(orch_config *config);

/**
 * @brief Take over what the environment sets: every `ORCH_<KEY>`.
 * @param config the configuration; not NULL; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT for an unknown ORCH_ variable or a bad value, which the error names
 * No other thread may change the environment meanwhile.
 */
ORCH_API int32_t orch_config_load_env(orch_config *config, orch_error **err);

/**
 * @brief Set one key.
 * @param config the configuration; not NULL; unchanged on failure
 * @param key a key such as "STORE_URL", without the ORCH_ of the environment
 * @param value the value as text; NULL = back to the default
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT with the key, the value and what is allowed
 */
ORCH_API int32_t orch_config_set(orch_config *config, const char *key, const char *value,
                                 orch_error **err);

/**
 * @brief Get the value of a key, set or default.
 * @param config the configuration; not NULL
 * @param key the key
 * @return text owned by the configuration until the key is set anew; NULL for an unknown key, or one
 *         that is not set and has no default
 */
ORCH_API const char *orch_config_get(const orch_config *config, const char *key);

/**
 * @brief Set the codec of the orchestrators that are made from this configuration, and of their engines: the payloads of what they accept are
 *        encoded before they are stored, and decoded where they are used and where the host reads them. It is part of the configuration
 *        since executions go on as soon as an orchestrator is made.
 * @param config the configuration; not NULL; unchanged on failure
 * @param codec its functions, copied; NULL = none
 * @param user_data handed to them; may be NULL
 * @param free_fn ends user_data once neither this configuration nor an orchestrator that was made from it, or a handle of one, is left, also if
 *        this call fails; may be NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_RESOURCE_EXHAUSTED
 */
ORCH_API int32_t orch_config_set_codec(orch_config *config, const orch_codec *codec,
                                       void *user_data, orch_free_fn free_fn, orch_error **err);

#ifdef __cplusplus
}
#endif
#endif
