#include "grpc/retry.h"

#include <stdlib.h>

#define MOST_ATTEMPTS 5
#define TOKEN         100 /* in the throttle's unit */
#define JITTER        20  /* percent */
#define MS            INT64_C(1000000)
#define MOST_PUSHBACK INT64_C(86400000) /* in ms: a day, above it is no time */

void retry_throttle_init(retry_throttle *t, uint32_t tokens, uint32_t ratio_percent)
{
    t->most = t->left = (int64_t)tokens * TOKEN;
    t->ratio = ratio_percent;
}

static void count(retry_throttle *t, int64_t change)
{
    t->left += change;
    if (t->left > t->most)
        t->left = t->most;
    if (t->left < 0)
        t->left = 0;
}

void retry_policy_check(grpc_retry *policy)
{
    if (policy->max_attempts > MOST_ATTEMPTS)
        policy->max_attempts = MOST_ATTEMPTS;
    if (policy->backoff_ns <= 0)
        policy->backoff_ns = 1000 * MS;
    if (policy->max_backoff_ns < policy->backoff_ns)
        policy->max_backoff_ns = policy->backoff_ns;
    if (policy->growth_percent < 100)
        policy->growth_percent = 100;
}

/* Milliseconds; RETRY_NEVER: negative, or no number, which is to say: not again. */
static int64_t parse_pushback(const char *text)
{
    char *end;
    long long ms = strtoll(text, &end, 10);

    return *text < '0' || *text > '9' || *end || ms > MOST_PUSHBACK ? RETRY_NEVER : ms;
}

static int64_t delay(const grpc_retry *policy, uint32_t backoffs)
{
    int64_t ns = policy->backoff_ns;

    for (uint32_t i = 0; i < backoffs && ns < policy->max_backoff_ns; i++)
        ns = ns / 100 * policy->growth_percent;
    return ns < policy->max_backoff_ns ? ns : policy->max_backoff_ns;
}

int64_t retry_after(const grpc_retry *policy, retry_throttle *t, net_loop *loop, int32_t code,
                    const char *pushback, uint32_t made, uint32_t *backoffs)
{
    bool may = code < 0 && code > -32 && (policy->codes >> -code & 1);
    int64_t pushback_ms = pushback ? parse_pushback(pushback) : 0;

    if (!code)
        count(t, t->ratio);
    else if (may || pushback_ms == RETRY_NEVER)
        count(t, -TOKEN);
    if (!may || pushback_ms == RETRY_NEVER || made >= policy->max_attempts ||
        (t->most && t->left <= t->most / 2))
        return RETRY_NEVER;
    if (!pushback)
        return net_jitter(loop, delay(policy, (*backoffs)++), JITTER);
    *backoffs = 0;
    return pushback_ms * MS;
}
