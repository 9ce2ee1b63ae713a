/* The inside of a channel. */
#ifndef GRPC_CHANNEL_IMPL_H
#define GRPC_CHANNEL_IMPL_H

#include "grpc/call_impl.h"
#include "grpc/keepalive.h"
#include "grpc/notes.h"
#include "grpc/retry.h"

typedef struct channel_conn {
    h2_link link; /* first */
    grpc_channel *channel;
    list node;
    keepalive keepalive;
    int64_t begun_ns;
    net_timer silence; /* for the server's SETTINGS to come: before that it may be anything */
    bool opened, settled;
    bool draining; /* the server takes no more calls on it */
    bool closing;  /* its streams end with it ... */
    int32_t code;  /* ... for this reason */
    const char *reason;
} channel_conn;

struct grpc_channel {
    net_uv *net;
    net_loop *loop;
    endpoint to;
    grpc_channel_options options;
    grpc_notes notes;
    char authority[320], name[256], user_agent[200];
    list waiting, calls; /* for a connection; on one */
    uint32_t waiting_count, call_count;
    list conns;
    channel_conn *current; /* NULL: none that new calls could go to, or will */
    net_task start, close;
    net_timer retry; /* of connecting; set: what failed is not tried before */
    int64_t backoff_ns;
    retry_throttle throttle;
    bool is_backing_off, is_freed;
    char last_error[400];
};

extern const h2_handler channel_call_handler; /* its ctx: a channel_conn */
/* On the connection that is there. False: it takes no more. */
bool channel_call_start(grpc_call *c, channel_conn *on);
void channel_call_again(grpc_call *c); /* from its beginning: to the waiting */
/* channel_retry.c: an attempt ended like this. True: there will be another one, it is no end of the call. */
bool channel_retry(grpc_call *c, int32_t code);
void channel_retry_closed(grpc_call *c); /* and its stream has closed */
void channel_conn_settled(void *ctx);
void channel_conn_goaway(void *ctx, uint32_t error, const uint8_t *text, size_t len);

#endif
