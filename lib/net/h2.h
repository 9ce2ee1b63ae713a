/* HTTP/2, both ends of it, without sockets: bytes in, bytes out, over nghttp2 (RFC 9113). What is worth limiting is limited
 * here: resets, frames that bring nothing, acknowledgements, headers. Everything happens on the loop thread. */
#ifndef NET_H2_H
#define NET_H2_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "net/loop.h"
#include "base/unconst.h"

typedef struct h2 h2;

/* A piece of a body on its way out. */
typedef struct h2_chunk {
    struct h2_chunk *next;
    mem_pool *pool; /* that it is from */
    size_t len, off;
    uint8_t data[];
} h2_chunk;

/* Embedded in what its user keeps of a stream. Zero-initialise. */
typedef struct h2_stream {
    h2 *session; /* while it is open */
    int32_t id;
    bool is_closed;
    h2_chunk *first, *last;
    size_t queued; /* bytes in these that have not left */
    /* What left is kept here while `keep`, for a request that may have to be made again. */
    h2_chunk *kept_first, *kept_last;
    size_t kept;
    bool keep;
    bool request_left;
    bool finishing;    /* nothing is queued any more */
    bool has_trailers; /* ... but trailers follow: handler.trailers is asked for them */
    bool is_deferred;  /* nghttp2 waits for more to send */
    bool told_full;
    bool remote_ended, local_ended;
    bool remote_ending; /* the frame that is being received is the last one */
    bool paused;
    size_t unconsumed;  /* received and not yet given back to the window */
    size_t field_bytes; /* of the header block that is being received */
    list node;
} h2_stream;

typedef struct h2_handler {
    /* A server: a request begins. Its stream, or NULL to refuse it (REFUSED_STREAM). */
    h2_stream *(*begin)(void *ctx);
    /* A header field. False: the list is too long, or there is no memory; nothing more comes of this block but fields_done. */
    void (*field)(h2_stream *s, const uint8_t *name, size_t name_len, const uint8_t *value,
                  size_t value_len);
    /* A block of fields is complete: headers, 1xx headers, trailers. too_long: it was above max_header_bytes, and not all
     * fields were told. */
    void (*fields_done)(h2_stream *s, bool end, bool too_long);
    void (*data)(h2_stream *s, const uint8_t *data, size_t len);
    void (*ended)(h2_stream *s); /* END_STREAM came without fields */
    /* What was queued fell to nothing after h2_send said that it is much. */
    void (*drained)(h2_stream *s);
    /* All that was queued has left: the trailers are to be submitted, with h2_trailers. */
    void (*trailers)(h2_stream *s);
    /* Gone: nothing follows. error: HTTP/2's code, 0 if both ends had finished. unprocessed: the server has not begun it. */
    void (*closed)(h2_stream *s, uint32_t error, bool unprocessed);
    /* The other end's first SETTINGS came. */
    void (*settled)(void *ctx);
    void (*goaway)(void *ctx, uint32_t error, const uint8_t *text, size_t len);
    void (*ping)(void *ctx);                  /* a PING came, and is answered */
    void (*pong)(void *ctx, uint64_t number); /* the answer to h2_ping */
} h2_handler;

typedef struct h2_options {
    bool server;
    uint32_t max_streams;      /* a server: how many a client may have open */
    uint32_t max_header_bytes; /* of a list: names, values, and 32 for each */
    uint32_t
        window; /* bytes that may be under way on a stream at first; follows the bandwidth-delay product */
    bool fixed_window; /* ... unless this */
} h2_options;

/* The handler's ctx is told to those calls that are about no stream. NULL: no memory. */
h2 *h2_new(const h2_options *o, net_loop *loop, const h2_handler *handler, void *ctx);
/* Streams that are open are closed with error INTERNAL_ERROR. Not from within a handler. NULL is harmless. */
void h2_free(h2 *h);

/* Takes bytes that came; *data and *len become those that are left. 0: all were taken. H2_RIPE: what there is to send should
 * not wait for the rest to be worked on; pull it, and call again, even if no bytes are left. Else a negated ORCH_E code:
 * the connection is to be closed once what h2_pull still gives has left. */
int32_t h2_feed(h2 *h, const uint8_t **data, size_t *len);
#define H2_RIPE 1
/* So much was queued since the last pull that the other end had better begin with it. */
bool h2_is_ripe(const h2 *h);
/* All that came in this turn of the loop was fed, and what there was to send was pulled: what comes next is another batch. */
void h2_turn_ended(h2 *h);
/* Fills `out` with what is to be sent; how many bytes that was. */
size_t h2_pull(h2 *h, uint8_t *out, size_t size);
bool h2_wants_pull(h2 *h);         /* there is something to send */
bool h2_is_over(h2 *h);            /* neither reads nor writes any more: close the connection */
const char *h2_error(const h2 *h); /* what is wrong, in words; "" = nothing */

/* For a table of fields. The texts stay with the caller, and are not copied where `flags` has NGHTTP2_NV_FLAG_NO_COPY_…. */
static inline nghttp2_nv h2_field(const char *name, size_t name_len, const char *value,
                                  size_t value_len, uint8_t flags)
{
    return (nghttp2_nv){unconst(name), unconst(value), name_len, value_len, flags};
}

/* A client: open a stream, whose body is what was queued already and what will be. RESOURCE_EXHAUSTED: no memory;
 * UNAVAILABLE: this connection takes no new streams any more. */
int32_t h2_request(h2 *h, h2_stream *s, const nghttp2_nv *fields, size_t count);
/* A server: answer. With `end` these fields are all there is. */
int32_t h2_respond(h2_stream *s, const nghttp2_nv *fields, size_t count, bool end);
/* NULL: no memory. It belongs to the caller until h2_send. */
h2_chunk *h2_chunk_new(net_loop *loop, size_t len);
void h2_chunk_free(h2_chunk *c); /* not one that was sent */
/* Queue it; before the stream is open, too. False: more is queued than should be, wait for drained(). */
bool h2_send(h2_stream *s, h2_chunk *c);
/* Nothing more is queued; with `trailers`, they come last. */
void h2_finish(h2_stream *s, bool trailers);
void h2_trailers(h2_stream *s, const nghttp2_nv *fields, size_t count);
/* End it now, in both directions. closed() follows, later. */
void h2_reset(h2_stream *s, uint32_t error);
/* The same, and forget it: no closed() follows, it may be freed. Harmless if it is not open. */
void h2_abandon(h2_stream *s, uint32_t error);
/* Free what is queued and kept, of a stream that is not open. */
void h2_stream_clear(h2_stream *s);
void h2_drop_kept(h2_stream *s); /* and keep nothing any more */
/* A stream that is closed, all of whose body is kept or queued, becomes one that can be opened anew. */
void h2_rewind(h2_stream *s);
/* Hold back the window of this stream, so that soon nothing more comes; and give it back. */
void h2_pause(h2_stream *s);
void h2_resume(h2_stream *s);

void h2_ping(h2 *h, uint64_t number); /* number: not 0 */
/* Say that no more streams are taken. With `last`: those begun by now are the last ones, and without any the session is over;
 * else the other end is only warned (the id is 2^31-1, and there is neither error nor text), and is told the last one by a second
 * call. text: static. */
void h2_goaway(h2 *h, uint32_t error, const char *text, bool last);
/* Something is wrong: GOAWAY, and the end. text: static. */
void h2_terminate(h2 *h, uint32_t error, const char *text);
uint32_t h2_open_streams(const h2 *h);
uint64_t h2_bytes_read(const h2 *h);
int64_t h2_read_ns(const h2 *h);      /* when the last of them came; before that, when it began */
uint64_t h2_frames_sent(const h2 *h); /* HEADERS and DATA */
uint32_t h2_window(const h2 *h);      /* as the estimate has it now, for tests */

#endif
