/* Whether the other end of a connection is still there: after some time without a byte from it a PING goes, and what answers nothing
 * to that is gone. Source: gRPC's keepalive document, gRFC A8. */
#ifndef GRPC_KEEPALIVE_H
#define GRPC_KEEPALIVE_H

#include "net/h2_link.h"

#define KEEPALIVE_PING 2 /* the number of its PINGs */

typedef struct keepalive {
    h2_link *link;
    int64_t time_ns, timeout_ns;
    bool without_calls; /* also while there are none */
    bool asks;          /* a PING is on its way */
    bool sleeps;        /* there are no calls */
    uint64_t bytes_when_asked;
    net_timer timer;
    void (*dead)(
        struct keepalive *k); /* not within a handler of the session; it is stopped by then */
} keepalive;

/* From now on, as the fields before say. INT64_MAX for time_ns: never. */
void keepalive_start(keepalive *k, h2_link *link, void (*dead)(keepalive *k));
void keepalive_stop(keepalive *k); /* harmless if it was not started */
void keepalive_call(keepalive *k); /* a call begins */

#endif
