/* The balancer port: which engine is next. Adapters: round robin. */
#ifndef BALANCER_BALANCER_H
#define BALANCER_BALANCER_H

#include <orch/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct balancer_engine { /* what a balancer sees of an engine */
    const char *name;
    uint32_t capacity, active; /* executions */
    bool available;            /* up, not draining, not ejected */
} balancer_engine;

typedef struct balancer_ops {
    uint32_t size;
    const char *name; /* of LOAD_BALANCER_TYPE */
    /* The place in `engines` of the engine to take the next execution, or -1 if all are full or unavailable. `key` is the hash of
     * the affinity key, else of the workflow's id. Loop thread; does not block. */
    int32_t (*pick)(void *self, const balancer_engine *engines, size_t count, uint64_t key);
    void (*free)(void *self);
} balancer_ops;

typedef struct balancer {
    const balancer_ops *ops;
    void *self;
} balancer;

static inline bool balancer_engine_has_room(const balancer_engine *e)
{
    return e->available && e->active < e->capacity;
}

int32_t balancer_round_robin_new(balancer *out, orch_error **err);

#endif
