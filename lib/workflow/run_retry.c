/* When the next attempt starts. In integers, so that every machine agrees. */
#include "workflow/run_impl.h"

#define LONGEST_MS (INT64_C(100) * 365 * 24 * 3600 * 1000)

/* initial × backoff^(attempt - 1), at most the cap. In microseconds on the way, or small factors
 * would be lost. */
static int64_t interval_of(const retry_policy *p, uint32_t attempt)
{
    int64_t cap_ms = p->max_interval_ms > 0 && p->max_interval_ms < LONGEST_MS ? p->max_interval_ms
                                                                               : LONGEST_MS;
    int64_t cap_us = cap_ms * 1000;
    int64_t factor = p->backoff_milli > 1000 ? p->backoff_milli : 1000;
    int64_t us;

    if (p->initial_interval_ms >= cap_ms)
        return cap_ms;
    us = p->initial_interval_ms > 0 ? p->initial_interval_ms * 1000 : 0;
    for (uint32_t n = 1; n < attempt; n++) {
        int64_t next;

        if (us >= cap_us / factor * 1000)
            return cap_ms;
        next = us * factor / 1000;
        if (next == us)
            break;
        us = next;
    }
    return us < cap_us ? us / 1000 : cap_ms;
}

static int64_t with_jitter(int64_t interval_ms, const retry_policy *p, const run_options *options)
{
    uint32_t share = p->jitter_milli < 1000 ? p->jitter_milli : 1000;
    int64_t span_ms = interval_ms / 1000 * share + interval_ms % 1000 * share / 1000;

    if (!span_ms || !options->random)
        return interval_ms;
    return interval_ms - span_ms +
           (int64_t)(options->random(options->random_ctx) % (uint64_t)span_ms);
}

static bool is_retryable(const retry_policy *p, uint32_t attempt, int32_t code)
{
    uint32_t number = 0 - (uint32_t)code; /* 1 to 16 */

    return attempt < p->max_attempts && !(number < 32 && p->non_retryable >> number & 1);
}

int64_t run_retry_at(const retry_policy *p, uint32_t attempt, int32_t code, int64_t began_ms,
                     int64_t now_ms, const run_options *options)
{
    int64_t at;

    if (!is_retryable(p, attempt, code))
        return 0;
    at = now_ms + with_jitter(interval_of(p, attempt), p, options);
    if (p->max_elapsed_ms > 0 && at - began_ms > p->max_elapsed_ms)
        return 0;
    return at > 0 ? at : 1;
}
