/* What the present thread is doing for which runtime, so that a call which could never return is refused instead. */
#ifndef RUNTIME_ROLE_H
#define RUNTIME_ROLE_H

#include <stdbool.h>

enum role {
    ROLE_LOOP,     /* it is the loop thread */
    ROLE_POOL,     /* it is a thread of the task pool */
    ROLE_DISPATCH, /* inside a callback of runtime_dispatch */
    ROLE_LOG,      /* inside the host's log callback, on whichever thread */
};

typedef struct role_mark { /* on the stack of the thread */
    const struct role_mark *outer;
    const void *owner;
    enum role role;
} role_mark;

void role_enter(role_mark *m, enum role role, const void *owner);
void role_leave(const role_mark *m);
bool role_is(enum role role, const void *owner);

#endif
