/**
 * @file version.h
 * @brief The library's version and what this build can do.
 */
#ifndef ORCH_VERSION_H
#define ORCH_VERSION_H

#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The version of these headers. */
#define ORCH_VERSION "0.1.0"

/**
 * @brief Get the version of the library that runs, which may be newer than ORCH_VERSION.
 * @return a static string such as "0.1.0" (https://semver.org)
 * Any thread; does not block.
 */
ORCH_API const char *orch_version(void);

/**
 * @brief Tell whether this build has a feature.
 * @param name "yaml", "http", "sqlite", "memory", "lua", "exec"; NULL or an unknown name is not there
 * @return 1 if the feature is built in and its library, where it needs one, can be loaded; else 0
 * Any thread; may load a shared library on first use.
 */
ORCH_API int32_t orch_has_feature(const char *name);

#ifdef __cplusplus
}
#endif
#endif
