/* What happened, told to whoever subscribed: each has a bounded queue of its own, and a count of what it missed. Loop thread. Without a
 * subscriber an event costs a look at a list. */
#ifndef MONITOR_EVENTS_H
#define MONITOR_EVENTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define EVENTS_QUEUE       1024 /* events of one subscriber that it has not taken */
#define EVENTS_NAME_MAX    128
#define EVENTS_SUBSCRIBERS 1000 /* at a time */

typedef struct events { /* who tells, and who listens */
    list subscribers;
    unsigned count;
} events;

/* Immutable; the texts are behind it in the same block. */
typedef struct event {
    unsigned refs;
    uint8_t severity; /* ORCH_LOG_ */
    int64_t time_ms;
    const char *kind, *execution, *step, *text; /* "" = none; kind is static */
} event;

typedef struct subscriber {
    list node; /* of events */
    events *of;
    uint8_t min_severity;
    char execution[EVENTS_NAME_MAX + 1]; /* of that one alone; "" = all */
    /* Something is there to be taken, where there was nothing. It must not subscribe or leave. */
    void (*ready)(struct subscriber *s);
    event **queue; /* a ring of EVENTS_QUEUE */
    uint32_t first, count;
    uint64_t missed; /* since one was taken last */
} subscriber;

void events_init(events *e);
static inline bool events_wanted(const events *e) /* NULL: nobody can listen */
{
    return e && !list_empty(&e->subscribers);
}
/* `execution` and `step` may be NULL. */
void events_tell(events *e, int64_t now_ms, int32_t severity, const char *kind,
                 const char *execution, const char *step, const char *format, ...)
    __attribute__((format(printf, 7, 8)));

/* min_severity, execution and ready are set before; the rest is zero. False if there is no memory, or there are EVENTS_SUBSCRIBERS. */
bool events_subscribe(events *e, subscriber *s);
void events_leave(subscriber *s);
/* The oldest one, with a reference; NULL if there is none. *missed: how many were dropped before it. */
event *events_take(subscriber *s, uint64_t *missed);
void event_unref(event *e);

#endif
