/* The inside of a call: what both ends of it share. */
#ifndef GRPC_CALL_IMPL_H
#define GRPC_CALL_IMPL_H

#include "grpc/framing.h"
#include "grpc/grpc.h"
#include "grpc/status.h"
#include "net/h2_link.h"

#define GRPC_FIELDS      72 /* of a header block that we send */
#define GRPC_TYPE        "application/grpc"
#define GRPC_MAX_MESSAGE ((size_t)4 << 20)
#define GRPC_MAX_HEADERS 8192

/* Who has it: its server or its channel, whose part of freeing it `release` is. */
struct grpc_call {
    h2_stream stream; /* first */
    const grpc_call_handler *handler;
    void *ctx;
    net_loop *loop;
    h2_link *link; /* NULL: on no connection */
    const char *path;
    bool is_server;
    /* received */
    grpc_deframer in;
    buf held;         /* while it is paused, as it came ... */
    size_t held_told; /* ... of which so much is done with */
    bool paused, in_ended, told_end, has_type, is_grpc;
    int http_status;
    uint32_t blocks; /* of fields, complete */
    grpc_metadata metadata, trailers;
    bool has_status;
    /* sent */
    grpc_metadata initial, trailing;
    bool initial_sent, finished, accepts_gzip, compress, bad_encoding;
    /* ends */
    bool over; /* the status is known, and is told soon */
    int32_t code;
    buf message;
    int64_t deadline_ns;
    net_timer timer;
    net_task report; /* tells closed() */
    net_task again;  /* what was held is told */
    list node;       /* of its server or channel */
    void (*release)(grpc_call *c);
    /* servers */
    struct server_conn *conn;
    bool expired; /* the client is being told */
    bool
        is_refused; /* it is no request of gRPC: answered with http_status once it has ended, or soon */
    /* clients */
    struct grpc_channel *channel;
    bool wait_for_ready;
    bool waits;     /* for a connection */
    bool has_left;  /* it was on one */
    int32_t status; /* grpc-status, if it came */
    buf said;       /* grpc-message */
    bool announces_gzip;
    bool was_refused; /* and was made again for it */
    grpc_retry retry;
    uint32_t retries, backoffs; /* that the policy made */
    bool retry_waits;           /* for the stream to close, or for its time */
    int64_t retry_ns;
    net_timer retry_timer;
};

grpc_call *call_new(net_loop *loop, bool is_server); /* NULL: no memory */
void call_free(grpc_call *c);
/* The status is decided: the first one stays. `message` may be NULL. */
void call_end(grpc_call *c, int32_t code, const char *message);
void call_end_with(grpc_call *c, int32_t code, const buf *message);
/* Reset the stream, and end. */
void call_break(grpc_call *c, uint32_t h2_error, int32_t code, const char *message);
/* Bytes of messages came; the end of them. */
void call_data(grpc_call *c, const uint8_t *data, size_t len);
void call_remote_ended(grpc_call *c);
void call_set_deadline(grpc_call *c, int64_t at_ns);
static inline void call_wake(grpc_call *c)
{
    if (c->link)
        h2_link_wake(c->link);
}

/* A header block under construction. Its table is not cleared: that would cost more than to fill it. */
typedef struct fields {
    size_t count;
    nghttp2_nv nv[GRPC_FIELDS];
} fields;
static inline void fields_begin(fields *f)
{
    f->count = 0;
}
void fields_add(fields *f, const char *name, size_t name_len, const char *value, size_t len,
                uint8_t flags);
#define FIELD_STATIC (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)
#define fields_static(f, name, value) \
    fields_add((f), (name), sizeof(name) - 1, (value), sizeof(value) - 1, FIELD_STATIC)
void fields_metadata(fields *f, const grpc_metadata *m);

/* A field that both ends know. True: it was one. */
bool call_field(grpc_call *c, const uint8_t *name, size_t name_len, const uint8_t *value,
                size_t len);
#define FIELD_IS(name, len, literal) \
    ((len) == sizeof(literal) - 1 && memcmp((name), (literal), sizeof(literal) - 1) == 0)

/* server_call.c */
void server_send_initial(grpc_call *c);
bool server_expire(grpc_call *c); /* the deadline: true if it will end by itself, for now */
void client_ended(grpc_call *c);  /* channel_call.c: all that came was told */
void client_retry_due(net_timer *t);

#endif
