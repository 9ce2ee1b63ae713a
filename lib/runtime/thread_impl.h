#ifndef RUNTIME_THREAD_IMPL_H
#define RUNTIME_THREAD_IMPL_H

#include <pthread.h>

#include <orch/error.h>
#include <stdint.h>
#include <time.h>

/* A thread that takes no signal: those are for the host's threads. RESOURCE_EXHAUSTED. */
int32_t thread_start(pthread_t *out, const char *name, void *(*main)(void *arg), void *arg,
                     orch_error **err);
/* A condition whose timed waits are by the monotonic clock. Non-zero on failure. */
int condition_init(pthread_cond_t *c);
/* On that clock, timeout_ms from now. */
struct timespec deadline_in(int32_t timeout_ms);
int32_t deadline_left_ms(const struct timespec *until); /* 0 once it has passed */

#endif
