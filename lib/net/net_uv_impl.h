#ifndef NET_UV_IMPL_H
#define NET_UV_IMPL_H

#include "base/buf.h"
#include "net/net_uv.h"

#define NET_READ_BYTES ((size_t)64 * 1024)

struct net_uv {
    net_loop loop;
    uv_loop_t *uv;
    uv_check_t check;
    uv_prepare_t prepare;
    uv_timer_t timer;
    int64_t timer_at;  /* what `timer` is set to */
    unsigned handles;  /* of the three, open */
    unsigned children; /* connections and listeners that libuv still holds */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
    /* Shared by all connections, since each is done with them before the loop goes on. */
    uint8_t *input; /* NET_READ_BYTES */
    uint8_t *plain; /* NET_READ_BYTES */
    buf wire;
};

typedef struct uv_conn {
    conn base;
    net_uv *net;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    tls *tls;
    uv_write_t write;
    buf writing, pending; /* what libuv has, and what comes after it */
    bool is_writing, told_full, opened, failed, closing, no_handle;
    struct dial *dial; /* while it is being opened */
    net_task report;   /* tells handler->closed */
    net_timer linger;
    uv_shutdown_t shutdown;
    int32_t code;
    char message[320];
    char peer[64];
} uv_conn;

uv_conn *uv_conn_new(net_uv *n, tls_context *context, const char *server_name);
void uv_conn_start(uv_conn *c); /* the socket is connected: read, shake hands */
void uv_conn_fail(uv_conn *c, int32_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void uv_conn_free(uv_conn *c); /* libuv has nothing of it any more */
/* libuv tells of sockets before the turn that follows its sleep: whoever is told reckons deadlines from the present. */
void net_uv_tick(net_uv *n);
bool net_uv_turn(net_uv *n); /* time, timers, tasks; false: there was nothing */
void net_uv_child_gone(net_uv *n);
void dial_cancel(struct dial *d);

#endif
