/* Work that may block or take long, done away from the loop thread. The port; runtime/ has the pool. */
#ifndef BASE_WORK_H
#define BASE_WORK_H

#include <stdint.h>

#include "base/mpsc.h"

typedef struct work work;

/* Embed in a job. `run` is called on a pool thread, then `done` on the loop thread. If the pool stops
 * before `run` was called, only `done` is called, with `refused` set. */
struct work {
    mpsc_node node;
    void (*run)(work *w);
    void (*done)(work *w);
    int refused;
};

typedef struct work_pool {
    void *self;
    /* Queue a job. Loop thread; does not block. ORCH_E_RESOURCE_EXHAUSTED if the queue is full: the job
     * was then not taken and neither callback comes. */
    int32_t (*submit)(void *self, work *w);
} work_pool;

#endif
