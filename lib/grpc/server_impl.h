/* The inside of a server. */
#ifndef GRPC_SERVER_IMPL_H
#define GRPC_SERVER_IMPL_H

#include "base/map.h"
#include "grpc/call_impl.h"
#include "grpc/keepalive.h"
#include "grpc/notes.h"

#define MAX_LISTENERS 8

typedef struct method {
    UT_hash_handle hh;
    void (*begin)(void *ctx, grpc_call *c);
    void *ctx;
    size_t len;
    char path[];
} method;

typedef struct listening {
    grpc_server *server;
    net_listener *listener;
} listening;

struct grpc_server {
    net_uv *net;
    net_loop *loop;
    grpc_server_options options;
    grpc_notes notes;
    method *methods;
    listening listeners[MAX_LISTENERS];
    unsigned listener_count;
    list conns;
    uint32_t conn_count, call_count;
    bool stopping;
    net_timer grace;
    net_task gone;
    void (*done)(void *ctx);
    void *done_ctx;
};

typedef struct server_conn {
    h2_link link; /* first */
    grpc_server *server;
    list node, calls;
    net_timer handshake; /* until the client's SETTINGS came */
    bool settled;        /* they came */
    bool closed;         /* only its calls keep it */
    keepalive keepalive;
    net_timer idle, age; /* `age`: first its own, then what is left to end */
    int64_t idle_since_ns;
    const char *goodbye; /* why it takes no more calls; NULL: it does */
    /* PINGs of the client (gRFC A8) */
    uint64_t frames_at_ping;
    int64_t last_ping_ns;
    unsigned strikes;
} server_conn;

extern const h2_handler server_call_handler; /* its ctx: a server_conn */
method *server_find(const grpc_server *s, const char *path, size_t len);
void server_conn_settled(void *ctx);
void server_conn_ping(void *ctx);
void server_conn_pong(void *ctx, uint64_t number);
void server_call_released(server_conn *c);
void server_accept(grpc_server *s, conn *connection); /* which is its from here on */
void server_conn_close(server_conn *c);               /* at once; calls end with it */

/* server_life.c */
void server_life_start(server_conn *c);
void server_life_stop(server_conn *c);
void server_say_goodbye(server_conn *c, const char *why); /* static */

#endif
