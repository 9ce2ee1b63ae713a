/* The transport port: channels that carry messages between an orchestrator and engines. Everything happens on the
 * loop thread. Handlers are never called from inside a call into the transport: what arrives is delivered from
 * pump(). A transport may lose or repeat messages when a channel breaks; within a channel it keeps their order. */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H

#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "transport/message.h"

typedef struct channel channel;

typedef struct channel_handler {
    /* A message came; the handler owns it now. */
    void (*message)(void *ctx, channel *c, message *m);
    /* The other end closed (code 0), the connection broke (UNAVAILABLE), or there never was one (NOT_FOUND: nothing of what
     * was sent has left). Nothing comes after it; the handler still has to call channel_close. */
    void (*closed)(void *ctx, channel *c, int32_t code);
} channel_handler;

typedef struct channel_ops {
    uint32_t size;
    /* Takes the message over, always. On a broken channel it is dropped. */
    void (*send)(channel *c, message *m);
    /* End this side: no handler call follows, `c` is gone. The other end gets closed() after what was sent before. */
    void (*close)(channel *c);
    bool in_process; /* both ends live and die together: nothing that was sent arrives after that */
} channel_ops;

struct channel { /* an adapter embeds it first */
    const channel_ops *ops;
    const channel_handler *handler;
    void *ctx; /* the handler's; may be changed at any time by the handler's owner */
};

static inline void channel_send(channel *c, message *m)
{
    c->ops->send(c, m);
}

static inline void channel_close(channel *c)
{
    if (c)
        c->ops->close(c);
}

typedef struct transport_ops {
    uint32_t size;
    const char *name;           /* also the scheme of its endpoints: "inproc" */
    uint32_t max_message_bytes; /* larger starts and definitions go in parts; 0 = no limit */
    /* Open a channel to the engine at `endpoint`. The channel may turn out broken later. NOT_FOUND, UNAVAILABLE. */
    int32_t (*open)(void *self, const char *endpoint, const channel_handler *h, void *ctx,
                    channel **out, orch_error **err);
    /* Serve an engine at `endpoint`: `accepted` is called from pump() with the new channel, whose handler and ctx the
     * callee sets before it returns. ALREADY_EXISTS. */
    int32_t (*listen)(void *self, const char *endpoint, void (*accepted)(void *ctx, channel *c),
                      void *ctx, orch_error **err);
    void (*unlisten)(void *self, const char *endpoint);
    /* Deliver at most `budget` of what has arrived; true if there was anything to deliver, which may have brought more,
     * or, with a budget of 0, if there is. */
    bool (*pump)(void *self, uint32_t budget);
    void (*free)(void *self); /* all channels are closed before */
    bool in_process;          /* as its channels */
} transport_ops;

typedef struct transport {
    const transport_ops *ops;
    void *self;
} transport;

/* Engines in the same process: a message is an entry in a queue of the loop. */
int32_t transport_inproc_new(transport *out, orch_error **err);
#ifdef ORCH_TEST_HOOKS
/* Break a channel of the inproc transport as a lost connection would: both ends get closed(UNAVAILABLE), what is on its way is lost. */
void transport_inproc_break(channel *c);
#endif

#endif
