/* A connection: bytes both ways, in order, until it ends. Who uses one does not see whether it is TCP, a Unix socket,
 * has TLS on it, or exists in a test alone. Everything happens on the loop thread. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct conn conn;

typedef struct conn_handler {
    /* It can be used now. Comes before any other call, at most once. */
    void (*opened)(void *ctx);
    /* Bytes came. They are there during the call only. */
    void (*read)(void *ctx, const uint8_t *data, size_t len);
    /* All that was sent has left: more may be sent. Comes after a conn_send that answered false. */
    void (*drained)(void *ctx);
    /* It ended, or could not be opened. code 0: the other end closed it in good order; else a negated ORCH_E code, and
     * what is wrong in words. Nothing comes after it; conn_close still has to be called. */
    void (*closed)(void *ctx, int32_t code, const char *message);
} conn_handler;

typedef struct conn_ops {
    uint32_t size;
    bool (*send)(conn *c, const uint8_t *data, size_t len);
    void (*close)(conn *c);
    /* Address of the other end as text, "unix:" for a Unix socket; borrowed. */
    const char *(*peer)(conn *c);
} conn_ops;

struct conn { /* an adapter embeds it first */
    const conn_ops *ops;
    const conn_handler *handler;
    void *ctx;
};

/* Send a copy of these bytes, always all. False: not all has left, so send nothing more until drained() comes; what
 * is sent nevertheless is kept in memory. */
static inline bool conn_send(conn *c, const uint8_t *data, size_t len)
{
    return c->ops->send(c, data, len);
}

/* End it: what was sent still leaves, for a short time. No handler is called any more, `c` is gone. NULL is harmless. */
static inline void conn_close(conn *c)
{
    if (c)
        c->ops->close(c);
}

static inline const char *conn_peer(conn *c)
{
    return c->ops->peer(c);
}

#endif
