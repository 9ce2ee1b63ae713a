/* Two ends of HTTP/2, back to back in memory: what one has to say is fed to the other, in pieces of any size. */
#ifndef SUPPORT_H2_PAIR_H
#define SUPPORT_H2_PAIR_H

#include "base/buf.h"
#include "net/h2.h"

typedef struct told_stream { /* of either end */
    h2_stream stream;        /* first */
    buf fields;              /* "name: value\n", and "--\n" behind each block */
    buf body;
    int blocks, ends, closes, drains, trailers;
    bool too_long, unprocessed;
    uint32_t error;
} told_stream;

#define H2_TOLD 4096

typedef struct h2_end {
    h2 *session;
    told_stream *streams[H2_TOLD]; /* a server's, in the order in which they began */
    int begun;
    bool refuse;                        /* what begins from here on */
    void (*on_request)(told_stream *s); /* a server: END_STREAM came */
    int settled, goaways, pings, pongs;
    uint32_t goaway_error;
    char goaway_text[64];
    int32_t code; /* of h2_feed that failed */
} h2_end;

typedef struct h2_pair {
    net_loop loop;
    h2_end client, server;
    size_t piece;      /* of what is fed at once, and pulled at once at least; 0 = all */
    uint64_t moved[2]; /* bytes, from the client, from the server */
} h2_pair;

void h2_pair_begin(h2_pair *p, const h2_options *server); /* NULL: defaults */
void h2_pair_end(h2_pair *p);
/* One way: what `from` has to say reaches `to`. How many bytes that was. */
size_t h2_pair_move(h2_pair *p, h2_end *from, h2_end *to);
void h2_pair_settle(h2_pair *p); /* both ways, until nothing moves */
/* Bytes that no honest client sends. */
void h2_pair_inject(h2_pair *p, const void *bytes, size_t len);

told_stream *told_stream_new(void);
void h2_pair_open(h2_pair *p, told_stream *s, const char *path);
told_stream *h2_pair_request(h2_pair *p, const char *path); /* both */
void h2_pair_send(told_stream *s, const void *bytes, size_t len);
void h2_pair_answer(told_stream *s, const char *status, bool end);
void told_stream_free(told_stream *s);

#endif
