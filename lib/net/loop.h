/* Time and turns for what lives on one loop thread: deadlines, and work put off to the end of a turn. Reads no clock and
 * waits for nothing: something else drives it (net/net_uv.h does with libuv; a test or the simulator by hand). */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/mem_pool.h"

typedef struct net_timer {
    heap_node node;
    void (*fn)(struct net_timer *t); /* the timer is unset by then */
} net_timer;

typedef struct net_task {
    list node;
    void (*fn)(struct net_task *t);
} net_task;

typedef struct net_loop {
    int64_t now_ns;  /* monotonic; as of the last turn or net_loop_tick */
    uint64_t random; /* state of net_random: seed it */
    heap timers;
    list tasks;
    /* Set by who drives it: there is something to do in a turn, or a turn to wait for, and there was not. May be NULL. */
    void (*wake)(struct net_loop *l);
    bool awake;
    mem_pool pool;    /* for what comes and goes with every call */
    uint8_t *scratch; /* NET_SCRATCH bytes for whoever runs, until it returns */
} net_loop;

#define NET_SCRATCH ((size_t)256 * 1024)

/* False if there is no memory. */
bool net_loop_init(net_loop *l, int64_t now_ns, uint64_t seed);
void net_loop_free(net_loop *l); /* timers and tasks that are left never come */

/* Something comes from outside between two turns: the time may be long past since the last. Runs nothing. */
void net_loop_tick(net_loop *l, int64_t now_ns);
/* Runs what is due and what was put off, also by what is run, until nothing of that is left. False: there was nothing. */
bool net_loop_turn(net_loop *l, int64_t now_ns);
/* When the next timer is due; INT64_MAX = never. */
int64_t net_loop_next(const net_loop *l);

void net_timer_init(net_timer *t, void (*fn)(net_timer *t));
/* Set or move. False if there is no memory; it is then as it was. */
bool net_timer_set(net_loop *l, net_timer *t, int64_t at_ns);
void net_timer_stop(net_loop *l, net_timer *t); /* harmless if it is not set */

void net_task_init(net_task *t, void (*fn)(net_task *t));
/* Run it at the end of this turn, once, however often it is asked for. */
void net_defer(net_loop *l, net_task *t);
void net_task_cancel(net_task *t); /* harmless if it does not wait */

/* xorshift64*: for jitter, not for secrets. */
uint64_t net_random(net_loop *l);
/* `value` times a number between 1 - part and 1 + part, part in percent. */
int64_t net_jitter(net_loop *l, int64_t value, unsigned percent);

#endif
