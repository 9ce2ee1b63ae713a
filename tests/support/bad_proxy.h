/* A TCP proxy that misbehaves at random: it cuts connections, passes half of what it has and then cuts, stalls, and delays. A thread of its own. */
#ifndef SUPPORT_BAD_PROXY_H
#define SUPPORT_BAD_PROXY_H

#include <stdint.h>

typedef struct bad_proxy bad_proxy;

typedef struct bad_proxy_counts {
    long connections, cuts, halves, stalls, delays;
} bad_proxy_counts;

/* Listens at a port of 127.0.0.1 of its choice, and passes on to `to`; what it does is drawn from the seed. Dies if it cannot. */
bad_proxy *bad_proxy_new(uint16_t to, unsigned seed);
uint16_t bad_proxy_port(const bad_proxy *p);
/* Misbehave, at about each `every`-th piece that passes; 0 = no more. A stall is at most that long; 0: none, and no delays. Any thread. */
void bad_proxy_set(bad_proxy *p, unsigned every, unsigned stall_max_ms);
/* Cut all connections now. Any thread. */
void bad_proxy_cut(bad_proxy *p);
/* Stops it, closes its connections, and says what it did. */
bad_proxy_counts bad_proxy_free(bad_proxy *p);

#endif
