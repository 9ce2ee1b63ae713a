#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "runtime/thread_impl.h"

int32_t thread_start(pthread_t *out, const char *name, void *(*main)(void *arg), void *arg,
                     orch_error **err)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(out, NULL, main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, name, "no thread %s: %s", name,
                         strerror(rc));
    pthread_setname_np(*out, name);
    return 0;
}

int condition_init(pthread_cond_t *c)
{
    pthread_condattr_t attributes;
    int rc = pthread_condattr_init(&attributes);

    if (rc)
        return rc;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    rc = pthread_cond_init(c, &attributes);
    pthread_condattr_destroy(&attributes);
    return rc;
}

struct timespec deadline_in(int32_t timeout_ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

int32_t deadline_left_ms(const struct timespec *until)
{
    struct timespec now;
    int64_t left;

    clock_gettime(CLOCK_MONOTONIC, &now);
    left = (int64_t)(until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec) / 1000000;
    return left > 0 ? (int32_t)left : 0;
}
