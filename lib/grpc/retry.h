/* Whether a call that failed is made again, and when. Source: gRFC A6. */
#ifndef GRPC_RETRY_H
#define GRPC_RETRY_H

#include "grpc/grpc.h"
#include "net/loop.h"

#define RETRY_NEVER ((int64_t)-1)

/* Retries of a channel stop while too many calls fail: each failure takes a token, each success gives back a part of one. */
typedef struct retry_throttle {
    int64_t most, left; /* in hundredths; 0 = no throttle */
    uint32_t ratio;     /* what a success gives back */
} retry_throttle;

void retry_throttle_init(retry_throttle *t, uint32_t tokens, uint32_t ratio_percent);
/* Below what is sensible is made sensible; and 5 attempts at most. */
void retry_policy_check(grpc_retry *policy);

/* An attempt of a call ended with `code`, the `made`-th; `pushback`: the server's grpc-retry-pushback-ms, NULL = none. The throttle is
 * told. In so many nanoseconds the next one is to begin, or RETRY_NEVER. *backoffs: how many of the call's delays grew; a
 * pushback begins anew. */
int64_t retry_after(const grpc_retry *policy, retry_throttle *t, net_loop *loop, int32_t code,
                    const char *pushback, uint32_t made, uint32_t *backoffs);

#endif
