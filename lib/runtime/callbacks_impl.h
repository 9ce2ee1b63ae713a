/* The way back to the host: callbacks wait in one list for pool threads, or for runtime_dispatch. */
#ifndef RUNTIME_CALLBACKS_IMPL_H
#define RUNTIME_CALLBACKS_IMPL_H

#include "base/list.h"
#include "runtime/pool_impl.h"
#include "runtime/runtime.h"

typedef struct callback_list {
    callback *first, *last;
    uint32_t count;
} callback_list;

typedef struct deliverer { /* a piece of work that makes callbacks until there are none */
    work work;
    list free;
    struct callbacks *callbacks;
} deliverer;

typedef struct callbacks {
    pool *pool;
    atomic_bool dispatching;
    callback_list gathered; /* the loop's, until the end of its turn */
    pthread_mutex_t lock;   /* guards the rest */
    callback_list due;
    deliverer *deliverers;
    list free; /* of them */
    int fd;    /* -1 = the pool makes the callbacks */
    bool ended;
} callbacks;

int32_t callbacks_init(callbacks *c, pool *p, orch_error **err);
void callbacks_destroy(callbacks *c);
int32_t callbacks_add(callbacks *c, callback *cb, orch_error **err); /* any thread */
void callbacks_gather(callbacks *c, callback *cb);                   /* the loop thread */
void callbacks_publish(callbacks *c);   /* likewise, at the end of a turn */
bool callbacks_are_quiet(callbacks *c); /* none waits for the pool */
int32_t callbacks_fd(callbacks *c);
int32_t callbacks_dispatch(callbacks *c);
/* The pool and the loop have ended: make what is left here, and take no more. */
void callbacks_end(callbacks *c);

#endif
