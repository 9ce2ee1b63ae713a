#include "support/h2_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OUT ((size_t)128 * 1024)

/* ---- what is told -------------------------------------------------------------------------------------------------- */

told_stream *told_stream_new(void)
{
    told_stream *s = calloc(1, sizeof *s);

    assert_non_null(s);
    return s;
}

void told_stream_free(told_stream *s)
{
    h2_abandon(&s->stream, NGHTTP2_CANCEL);
    h2_stream_clear(&s->stream);
    buf_free(&s->fields);
    buf_free(&s->body);
    free(s);
}

static h2_stream *begin(void *ctx)
{
    h2_end *e = ctx;

    if (e->refuse)
        return NULL;
    assert_true(e->begun < H2_TOLD);
    e->streams[e->begun] = told_stream_new();
    return &e->streams[e->begun++]->stream;
}

static void field(h2_stream *stream, const uint8_t *name, size_t name_len, const uint8_t *value,
                  size_t value_len)
{
    told_stream *s = (told_stream *)stream;

    buf_printf(&s->fields, "%.*s: %.*s\n", (int)name_len, (const char *)name, (int)value_len,
               (const char *)value);
}

static h2_end *end_of(const told_stream *s); /* the server whose stream it is, or NULL */

static void remote_ended(told_stream *s)
{
    h2_end *e = end_of(s);

    s->ends++;
    if (e && e->on_request)
        e->on_request(s);
}

static void fields_done(h2_stream *stream, bool end, bool too_long)
{
    told_stream *s = (told_stream *)stream;

    buf_puts(&s->fields, "--\n");
    s->blocks++;
    s->too_long |= too_long;
    if (end)
        remote_ended(s);
}

static void data(h2_stream *stream, const uint8_t *bytes, size_t len)
{
    buf_add(&((told_stream *)stream)->body, bytes, len);
}

static void ended(h2_stream *stream)
{
    remote_ended((told_stream *)stream);
}

static void drained(h2_stream *stream)
{
    ((told_stream *)stream)->drains++;
}

static nghttp2_nv text_field(const char *name, const char *value)
{
    return h2_field(name, strlen(name), value, strlen(value), NGHTTP2_NV_FLAG_NONE);
}

static void trailers(h2_stream *stream)
{
    nghttp2_nv fields[] = {text_field("grpc-status", "0")};

    ((told_stream *)stream)->trailers++;
    h2_trailers(stream, fields, 1);
}

static void closed(h2_stream *stream, uint32_t error, bool unprocessed)
{
    told_stream *s = (told_stream *)stream;

    s->closes++;
    s->error = error;
    s->unprocessed = unprocessed;
}

static void settled(void *ctx)
{
    ((h2_end *)ctx)->settled++;
}

static void goaway(void *ctx, uint32_t error, const uint8_t *text, size_t len)
{
    h2_end *e = ctx;

    e->goaways++;
    e->goaway_error = error;
    snprintf(e->goaway_text, sizeof e->goaway_text, "%.*s", (int)len, (const char *)text);
}

static void ping(void *ctx)
{
    ((h2_end *)ctx)->pings++;
}

static void pong(void *ctx, uint64_t number)
{
    assert_int_equal(number, 77);
    ((h2_end *)ctx)->pongs++;
}

static const h2_handler handler = {begin,    field,  fields_done, data,   ended, drained,
                                   trailers, closed, settled,     goaway, ping,  pong};

/* ---- a pair -------------------------------------------------------------------------------------------------------- */

static h2_pair *current; /* one at a time */

static h2_end *end_of(const told_stream *s)
{
    for (int i = 0; i < current->server.begun; i++)
        if (current->server.streams[i] == s)
            return &current->server;
    return NULL;
}

void h2_pair_begin(h2_pair *p, const h2_options *server)
{
    h2_options s = {.server = true, .max_streams = 100, .max_header_bytes = 8192, .window = 65535};
    h2_options c = {.max_header_bytes = 8192, .window = 65535};

    memset(p, 0, sizeof *p);
    current = p;
    if (server)
        s = *server;
    s.server = true;
    assert_true(net_loop_init(&p->loop, 1, 1));
    p->client.session = h2_new(&c, &p->loop, &handler, &p->client);
    p->server.session = h2_new(&s, &p->loop, &handler, &p->server);
    assert_non_null(p->client.session);
    assert_non_null(p->server.session);
}

void h2_pair_end(h2_pair *p)
{
    h2_free(p->client.session);
    h2_free(p->server.session);
    for (int i = 0; i < p->server.begun; i++)
        told_stream_free(p->server.streams[i]);
    net_loop_free(&p->loop);
}

static void feed(h2_pair *p, h2_end *to, const uint8_t *bytes, size_t len)
{
    const uint8_t *part;
    size_t left;

    for (size_t at = 0, n; at < len && !to->code; at += n) {
        n = p->piece && p->piece < len - at ? p->piece : len - at;
        part = bytes + at;
        left = n;
        while ((to->code = h2_feed(to->session, &part, &left)) == H2_RIPE)
            ;
    }
}

size_t h2_pair_move(h2_pair *p, h2_end *from, h2_end *to)
{
    uint8_t *out = malloc(OUT);
    size_t all = 0, n;

    assert_non_null(out);
    while (h2_wants_pull(from->session) && (n = h2_pull(from->session, out, OUT)) > 0) {
        all += n;
        feed(p, to, out, n);
    }
    free(out);
    p->moved[from == &p->server] += all;
    return all;
}

void h2_pair_settle(h2_pair *p)
{
    while (h2_pair_move(p, &p->client, &p->server) + h2_pair_move(p, &p->server, &p->client))
        ;
}

void h2_pair_inject(h2_pair *p, const void *bytes, size_t len)
{
    feed(p, &p->server, bytes, len);
}

void h2_pair_open(h2_pair *p, told_stream *s, const char *path)
{
    nghttp2_nv fields[] = {text_field(":method", "POST"), text_field(":scheme", "http"),
                           text_field(":path", path), text_field(":authority", "here")};

    assert_int_equal(h2_request(p->client.session, &s->stream, fields, 4), 0);
}

told_stream *h2_pair_request(h2_pair *p, const char *path)
{
    told_stream *s = told_stream_new();

    h2_pair_open(p, s, path);
    return s;
}

void h2_pair_send(told_stream *s, const void *bytes, size_t len)
{
    h2_chunk *c = h2_chunk_new(&current->loop, len);

    assert_non_null(c);
    if (len)
        memcpy(c->data, bytes, len);
    h2_send(&s->stream, c);
}

void h2_pair_answer(told_stream *s, const char *status, bool end)
{
    nghttp2_nv fields[] = {text_field(":status", status)};

    assert_int_equal(h2_respond(&s->stream, fields, 1, end), 0);
}
