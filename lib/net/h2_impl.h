#ifndef NET_H2_IMPL_H
#define NET_H2_IMPL_H

#include "net/h2.h"

#define H2_QUEUE_MARK ((size_t)64 * 1024) /* of a stream: more is much */

struct h2 {
    nghttp2_session *session;
    const h2_handler *handler;
    void *ctx;
    net_loop *loop;
    h2_options options;
    list streams;
    uint32_t open;
    uint64_t bytes_read, frames_sent;
    h2_stream *receiving; /* whose header block comes */
    int64_t read_ns;
    bool settled, terminated;
    bool paused;  /* in what it was fed */
    bool starved; /* nghttp2 had no memory for something: it is not to be called again */
    list blocks;  /* its memory (h2_memory.c) */
    char error[160];
    /* queued since the last pull */
    size_t fresh_bytes;
    uint32_t fresh_calls; /* requests; answers that are complete */
    /* A server: requests that came in this turn, and in the last one that brought any. */
    uint32_t came, came_before;
    /* pull */
    uint8_t *out;
    size_t out_size, out_len;
    const uint8_t *rest; /* what nghttp2 gave and `out` had no room for */
    size_t rest_len;
    /* flow (h2_flow.c) */
    uint32_t window;
    uint32_t sampled; /* bytes since the PING of the estimate left */
    bool sampling;
    /* guard (h2_guard.c) */
    int64_t refilled_ns;
    int32_t resets, idles; /* that may still come */
};

bool h2_make_session(h2 *h);
nghttp2_mem h2_memory(h2 *h);
void h2_memory_free(h2 *h);
void h2_remove_stream(h2 *h, h2_stream *s);
void h2_chunk_left(h2_stream *s); /* the first one is done with */

/* Bytes of bodies came: the window follows what arrives within a round trip. */
void h2_flow_received(h2 *h, size_t len);
bool h2_flow_pong(h2 *h, const uint8_t *opaque); /* true: it was the estimate's */
void h2_flow_consume(h2_stream *s, size_t len);

enum h2_event { H2_RESET, H2_COMPLETED, H2_IDLE, H2_USEFUL };
void h2_guard_init(h2 *h);
/* Ends the session, politely, if it is too much. */
void h2_guard_note(h2 *h, enum h2_event e);

#endif
