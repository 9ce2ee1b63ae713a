/* An HTTP/2 session on a connection: what came is fed to it, what it has to say leaves at the end of the turn, together. */
#ifndef NET_H2_LINK_H
#define NET_H2_LINK_H

#include "net/conn.h"
#include "net/h2.h"

typedef struct h2_link h2_link;

typedef struct h2_link_handler {
    void (*opened)(h2_link *l);
    /* The connection ended or the session has; nothing follows. h2_link_close is still to be called. */
    void (*ended)(h2_link *l, int32_t code, const char *message);
} h2_link_handler;

struct h2_link { /* embedded in its user's */
    net_loop *loop;
    const h2_link_handler *handler;
    conn *conn;
    h2 *session;
    net_task flush;
    net_timer stall; /* what was sent does not leave */
    bool is_open, is_blocked, is_over;
};

/* Takes over both, and sets the connection's handler. */
void h2_link_init(h2_link *l, net_loop *loop, conn *c, h2 *session, const h2_link_handler *h);
/* There may be something to send. */
static inline void h2_link_wake(h2_link *l)
{
    net_defer(l->loop, &l->flush);
}
/* Sends at once if much is queued. Not from within a handler of the session. */
void h2_link_send_ripe(h2_link *l);
/* Sends what there is, closes both; streams that are open are told. Not from within a handler of the session. */
void h2_link_close(h2_link *l);

#endif
