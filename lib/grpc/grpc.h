/* gRPC over HTTP/2: calls, a server, channels to servers. Knows nothing of what is in the messages. Everything happens on the
 * loop thread; handlers are called from the loop, never inside the call that causes it. Codes are ORCH_E_…, 0 = OK.
 * Source: gRPC's PROTOCOL-HTTP2, statuscodes, wait-for-ready, connection-backoff, compression. */
#ifndef GRPC_GRPC_H
#define GRPC_GRPC_H

#include <orch/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "grpc/metadata.h"
#include "net/net_uv.h"

/* ---- calls ------------------------------------------------------------------------------------------------------- */

/* A call, seen from either end. It is there until closed() returns. */
typedef struct grpc_call grpc_call;

typedef struct grpc_call_handler {
    /* A client: the server's first metadata came. May be NULL. */
    void (*headers)(void *ctx, grpc_call *c);
    /* A message came. Its bytes are there during the call only. */
    void (*message)(void *ctx, grpc_call *c, const uint8_t *data, size_t len);
    /* A server: the client sends no more messages. May be NULL. */
    void (*half_closed)(void *ctx, grpc_call *c);
    /* All that was queued has left, after grpc_send answered false. May be NULL. */
    void (*drained)(void *ctx, grpc_call *c);
    /* The end, exactly once, and last. A client: the call's status. A server: 0 if what it finished with has left; else why not
     * (CANCELLED, DEADLINE_EXCEEDED, …). message: there during the call only. */
    void (*closed)(void *ctx, grpc_call *c, int32_t code, const char *message);
} grpc_call_handler;

/* NULL: nobody is told of it any more. */
void grpc_call_set_handler(grpc_call *c, const grpc_call_handler *handler, void *ctx);
/* Send a copy of a message. False: much is queued, wait for drained(). A server's first one sends its metadata before. */
bool grpc_send(grpc_call *c, const void *data, size_t len);
/* The same without a copy in between: `write` fills exactly `len` bytes. */
bool grpc_send_written(grpc_call *c, size_t len, void (*write)(void *arg, uint8_t *out), void *arg);
/* Compress the messages that follow, or not. Without effect where the other end does not take gzip. */
void grpc_call_compress(grpc_call *c, bool on);
/* Of the message that is being told: whether it came compressed. */
bool grpc_call_was_compressed(const grpc_call *c);
void grpc_half_close(grpc_call *c); /* a client: no more messages follow */
/* A server: end it. message may be NULL. What is queued leaves before. Once; what follows has no effect. */
void grpc_finish(grpc_call *c, int32_t code, const char *message);
void grpc_cancel(grpc_call *c); /* either end; closed() follows with CANCELLED */
/* Take no more messages for now: soon the other end has to wait. And go on. */
void grpc_pause(grpc_call *c);
void grpc_resume(grpc_call *c);

/* What to send: before the first message, or before the end. */
grpc_metadata *grpc_call_initial(grpc_call *c);
grpc_metadata *grpc_call_trailing(grpc_call *c); /* servers */
void grpc_send_initial(grpc_call *c);            /* a server: now, and not with the first message */
/* What came. */
const grpc_metadata *grpc_call_metadata(const grpc_call *c);
const grpc_metadata *grpc_call_trailers(const grpc_call *c); /* clients, in closed() */
int64_t grpc_call_deadline(const grpc_call *c); /* on the loop's clock; INT64_MAX = none */
const char *grpc_call_path(const grpc_call *c); /* "/package.Service/Method" */
/* A client: it was on a connection, so that something of it may have arrived. */
bool grpc_call_has_left(const grpc_call *c);
const char *grpc_call_peer(const grpc_call *c); /* address; "" = not connected */

/* ---- servers ------------------------------------------------------------------------------------------------------- */

typedef struct grpc_server grpc_server;

typedef struct grpc_server_options { /* zeros: the defaults in brackets */
    size_t max_message_bytes;        /* received [4 MiB] */
    uint32_t max_header_bytes;       /* [8 KiB] */
    uint32_t max_streams;            /* of a connection [1024] */
    uint32_t max_connections;        /* [10,000] */
    uint32_t max_calls;   /* of all connections, running [100,000]; above it RESOURCE_EXHAUSTED */
    int64_t handshake_ns; /* for a connection to show that it speaks HTTP/2 [20 s] */
    /* Keepalive: after so long without a byte from a client a PING goes [2 h]; who answers nothing in time is gone [20 s]. */
    int64_t keepalive_ns, keepalive_timeout_ns;
    /* Clients that ping more often, with calls [5 min] or without [2 h, or as with calls], end with "too_many_pings". */
    int64_t min_ping_ns;
    bool pings_without_calls;
    /* A connection that has had no call for so long, or is so old (give or take a tenth), takes no more of them [for ever]; what
     * it has then may take so long to end [for ever]. */
    int64_t max_idle_ns, max_age_ns, age_grace_ns;
    logger *log; /* why connections were refused or ended [none] */
} grpc_server_options;

/* NULL options: defaults. NULL: no memory. */
grpc_server *grpc_server_new(net_uv *net, const grpc_server_options *o);
/* `begin` is called with each new call, and sets its handler. The path is copied. ALREADY_EXISTS. */
int32_t grpc_server_add(grpc_server *s, const char *path, void (*begin)(void *ctx, grpc_call *c),
                        void *ctx, orch_error **err);
/* May be called more than once, with different endpoints. tls may be NULL, and has to stay. `port` (may be NULL) is told which it became. */
int32_t grpc_server_listen(grpc_server *s, const char *at, tls_context *tls, uint16_t *port,
                           orch_error **err);
/* Takes no more connections and calls; what runs has `grace_ns` to end. Then `done`, and the server is gone. */
void grpc_server_stop(grpc_server *s, int64_t grace_ns, void (*done)(void *ctx), void *ctx);

/* ---- channels ------------------------------------------------------------------------------------------------------- */

/* A client's way to a server: connects when a call wants it, and again after a connection is lost, with a backoff. */
typedef struct grpc_channel grpc_channel;

/* When calls that failed are made again, if nothing came of the answer but a failure, and what was sent of the request is not too
 * much to be kept (256 KiB). A server may say when, or that it does not want it (grpc-retry-pushback-ms). What a server has not begun is
 * made again in any case, and is not counted. Zeros: the defaults in brackets. Source: gRFC A6. */
typedef struct grpc_retry {
    uint32_t max_attempts; /* with the first one; 5 at most [no retries] */
    uint32_t
        codes; /* of which failures: 1 << n for the canonical code n, 1 << 14 for UNAVAILABLE say */
    int64_t backoff_ns, max_backoff_ns; /* before the first one [1 s], and at most [the same] */
    uint32_t
        growth_percent; /* of the delay each time: 160 = times 1.6 [100]; and a fifth of jitter */
} grpc_retry;

typedef struct grpc_channel_options { /* zeros: the defaults in brackets */
    tls_context *tls;                 /* has to stay; NULL = none */
    const char *server_name;          /* for TLS and :authority; NULL = the target's host */
    const char *user_agent;           /* goes before our own; NULL = none */
    size_t max_message_bytes;         /* received [4 MiB] */
    uint32_t max_header_bytes;        /* [8 KiB] */
    uint32_t
        max_waiting;    /* calls that wait for a connection [10,000]; above it RESOURCE_EXHAUSTED */
    int64_t connect_ns; /* for a connection, until the server has said SETTINGS, at least [20 s] */
    int64_t backoff_ns, max_backoff_ns; /* [1 s, 120 s]; times 1.6 each, with a jitter of a fifth */
    /* Keepalive: after so long without a byte from the server a PING goes [never; at least 10 s]; a server that answers nothing
     * in time is gone, its calls end with UNAVAILABLE [20 s]. Servers have to permit it. Also without calls? [no] */
    int64_t keepalive_ns, keepalive_timeout_ns;
    bool keepalive_without_calls;
    grpc_retry retry;
    /* Each failure that could be retried takes one of these tokens, each success gives back so much of one; with half of them or
     * less there are no retries [no such limit]. */
    uint32_t retry_tokens, retry_ratio_percent;
    logger *log; /* what a server has complained of [none] */
} grpc_channel_options;

/* INVALID_ARGUMENT: the target is no endpoint. */
int32_t grpc_channel_new(net_uv *net, const char *target, const grpc_channel_options *o,
                         grpc_channel **out, orch_error **err);
/* Calls that are open end with CANCELLED, later; the channel is gone for its user. NULL is harmless. */
void grpc_channel_free(grpc_channel *ch);

typedef struct grpc_call_options {
    int64_t timeout_ns;      /* 0 = none */
    bool wait_for_ready;     /* a channel that cannot connect is no reason to fail */
    bool compress;           /* messages, with gzip */
    const grpc_retry *retry; /* copied; NULL: the channel's */
} grpc_call_options;

/* Begin a call; messages may be sent at once. options may be NULL. closed() always comes, also where it cannot begin. NULL: no
 * memory. `path` has to stay. */
grpc_call *grpc_channel_call(grpc_channel *ch, const char *path, const grpc_call_options *o,
                             const grpc_call_handler *handler, void *ctx);
bool grpc_channel_is_ready(const grpc_channel *ch);

#endif
