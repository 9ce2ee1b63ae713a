/**
 * @file log.h
 * @brief Log lines, handed to a callback of the host. Without one, nothing is written anywhere.
 */
#ifndef ORCH_LOG_H
#define ORCH_LOG_H

#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Details for someone who looks for a fault. */
#define ORCH_LOG_DEBUG    0
/** What happens, in few lines. */
#define ORCH_LOG_INFO     1
/** Something is odd; work goes on. */
#define ORCH_LOG_WARNING  2
/** Something failed. */
#define ORCH_LOG_ERROR    3
/** The library cannot do its work. */
#define ORCH_LOG_CRITICAL 4

/**
 * @brief Takes one log line.
 * @param user_data as given with the callback
 * @param level one of ORCH_LOG_DEBUG to ORCH_LOG_CRITICAL
 * @param message UTF-8 without a line end, valid during the call only; never holds payloads or secrets
 * Called on any thread of the library, one line at a time; it must return soon.
 */
typedef void (*orch_log_fn)(void *user_data, int32_t level, const char *message);

#ifdef __cplusplus
}
#endif
#endif
