/* The inside of a host's transport. */
#ifndef TRANSPORT_PLUGIN_PLUGIN_IMPL_H
#define TRANSPORT_PLUGIN_PLUGIN_IMPL_H

#include <pthread.h>

#include "transport/delivery.h"
#include "transport/plugin/plugin.h"
#include "transport/wire.h"

#define PLUGIN_NAME_MAX 32
#define PLUGIN_WHY_SIZE 256 /* of a reason that it gives */

typedef struct plugin_listener {
    list node;
    void (*accepted)(void *ctx, channel *c);
    void *ctx;
    char address[];
} plugin_listener;

typedef struct incoming { /* a message that came */
    struct incoming *next;
    size_t len;
    uint8_t data[];
} incoming;

struct orch_transport {
    transport_ops port;
    orch_transport_ops ops;
    void *user_data;
    orch_free_fn free_fn;
    void (*wake)(void *ctx);
    void *ctx;
    logger *log;
    delivery delivery; /* the loop thread's */
    pthread_mutex_t lock;
    /* Guarded by it; the first two, and what is taken out of the third, are changed by the loop thread alone. */
    list listeners, touched; /* touched: channels that the loop has to look at */
    list channels;           /* all that the plug-in knows of */
    uint32_t count;          /* of those */
    char name[PLUGIN_NAME_MAX + 1];
};

struct orch_channel {
    delivery_end base; /* first */
    orch_transport *transport;
    void *state;
    plugin_listener *listener; /* of one that nobody has accepted yet */
    /* The loop thread's. */
    wire_reader reader;
    wire_writer writer;
    const void *piece; /* what is to be sent next; NULL: the writer has the next one */
    size_t piece_len;
    message *first, *last; /* to be sent after that */
    uint32_t waiting;      /* of those */
    bool is_blocked;       /* send has said: not now */
    bool is_closed;        /* the plug-in's close was called */
    bool is_left;          /* nobody here has it any more */
    bool is_gone;          /* the plug-in is done with it */
    /* Guarded by the transport's lock. */
    list node;    /* in transport->channels */
    list touched; /* in transport->touched */
    incoming *in_first, *in_last;
    uint32_t in_count;
    bool is_refusing; /* is_closed, for other threads */
    bool is_ready, is_bad, wants_resume, is_over;
    int32_t code; /* of is_over */
};

extern const channel_ops plugin_channel_ops;
extern const delivery_hooks plugin_channel_hooks;
/* plugin_channel.c. Any thread; NULL: no memory. */
orch_channel *plugin_channel_new(orch_transport *t, void *state, bool is_server);
/* With the lock held: the transport has it from now on. False: it has too many. */
bool plugin_channel_add(orch_channel *c);
/* The loop thread; of one that was never added, the thread that made it. */
void plugin_channel_free(orch_channel *c);
/* The loop thread. */
void plugin_channel_end(orch_channel *c, int32_t code);    /* the plug-in's close, once */
void plugin_channel_finish(orch_channel *c, int32_t code); /* tell who has it */
void plugin_channel_break(orch_channel *c);                /* both */
void plugin_channel_flush(orch_channel *c);                /* send what waits */
void plugin_channel_release(orch_channel *c); /* free it, if both sides are done with it */

/* plugin_incoming.c: the loop thread. Look at what the plug-in's threads have said. */
void plugin_take(orch_transport *t, uint32_t budget);
void plugin_drop_incoming(orch_channel *c);

#endif
