/* The loop of libuv under all of net: turns, sockets, listeners. Everything happens on the thread that runs the loop, which has
 * to have SIGPIPE blocked: libuv does not keep a write to a closed socket from raising it. */
#ifndef NET_UV_H
#define NET_UV_H

#include <orch/error.h>
#include <uv.h>

#include "net/conn.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "net/tls.h"

typedef struct net_uv net_uv;

/* It lives on `uv` until net_uv_close. RESOURCE_EXHAUSTED. */
int32_t net_uv_new(uv_loop_t *uv, net_uv **out, orch_error **err);
net_loop *net_uv_loop(net_uv *n);
/* Do now what was put off to the end of a turn of libuv's loop: for who looks once more at what came of it before the loop sleeps. */
void net_uv_settle(net_uv *n);
/* Connections and listeners are closed before. Frees itself in turns of the loop that follow, then calls `closed`. */
void net_uv_close(net_uv *n, void (*closed)(void *ctx), void *ctx);

/* Open a connection: names are looked up, then their addresses are tried one after the other. With `tls`, its handshake is
 * part of opening, for `server_name`. What fails is told to closed(), within timeout_ns. NULL: no memory. */
conn *net_uv_dial(net_uv *n, const endpoint *to, tls_context *tls, const char *server_name,
                  int64_t timeout_ns, const conn_handler *handler, void *ctx);

typedef struct net_listener net_listener;
/* Listen at all addresses of the endpoint's host. `accepted` is called with each connection that comes, and sets its
 * handler and ctx; opened() follows. `port` (may be NULL) is told which it became. UNAVAILABLE, with the address. */
int32_t net_uv_listen(net_uv *n, const endpoint *at, tls_context *tls,
                      void (*accepted)(void *ctx, conn *c), void *ctx, net_listener **out,
                      uint16_t *port, orch_error **err);
void net_listener_close(net_listener *l); /* no more come; NULL is harmless */

#endif
