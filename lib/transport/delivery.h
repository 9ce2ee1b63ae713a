/* What adapters share: one end of a channel with what has arrived for it. An end with something to deliver stands in the transport's
 * list until pump() comes to it. Loop thread. */
#ifndef TRANSPORT_DELIVERY_H
#define TRANSPORT_DELIVERY_H

#include "base/list.h"
#include "transport/transport.h"

typedef struct delivery_end delivery_end;

typedef struct delivery { /* of a transport */
    list ready;
    delivery_end *now; /* the one that is being told; NULL: it closed meanwhile */
} delivery;

typedef struct delivery_hooks {
    /* Before anything is delivered to an end that was made with `unaccepted`: somebody has to take it. False: nobody did, and the end is
     * gone. */
    bool (*accept)(delivery_end *e);
    /* Messages were delivered: there is room for more. May be NULL. */
    void (*taken)(delivery_end *e);
} delivery_hooks;

struct delivery_end { /* an adapter embeds it first */
    channel base;
    delivery *of;
    const delivery_hooks *hooks;
    list node; /* in of->ready */
    message *first, *last;
    uint32_t count;  /* of those */
    bool unaccepted; /* the listener has not seen it yet */
    bool ending;     /* tell it closed(code) once the messages are delivered */
    bool told;
    int32_t code;
};

void delivery_init(delivery *d);
void delivery_end_init(delivery_end *e, delivery *d, const channel_ops *ops,
                       const delivery_hooks *hooks);
void delivery_wake(delivery_end *e);                 /* look at it, though nothing has come */
void delivery_put(delivery_end *e, message *m);      /* takes it over; dropped if it is ending */
void delivery_drop(delivery_end *e);                 /* what has come and was not delivered */
void delivery_finish(delivery_end *e, int32_t code); /* the first code stays */
/* Its own side has closed it: nothing is told any more. It can be freed. */
void delivery_close(delivery_end *e);
/* As the port's. */
bool delivery_pump(delivery *d, uint32_t budget);

#endif
