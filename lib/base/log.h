/* Log lines on their way to the host's callback. Without a callback they go nowhere: a library does not
 * write to stderr. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <orch/log.h>

typedef struct logger logger;

logger *logger_new(void);
void logger_free(logger *l); /* frees the host's user_data */
/* Any thread. Replaces what was set; the old user_data is freed once no call uses it. */
void logger_set(logger *l, orch_log_fn fn, void *user_data, orch_free_fn free_fn,
                int32_t min_level);
/* Any thread; l may be NULL. */
void log_write(logger *l, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
