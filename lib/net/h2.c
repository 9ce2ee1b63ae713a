#include "net/h2.h"

#include <orch/error.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/h2_impl.h"

#define MAX_FRAME  ((uint32_t)64 * 1024)
/* What is worth a write, and waking the other end, of its own: then both ends work at the same time, and not by turns. */
#define RIPE_BYTES ((size_t)64 * 1024)
#define RIPE_CALLS 8

/* ---- the session ------------------------------------------------------------------------------------------------- */

static bool submit_settings(h2 *h)
{
    const h2_options *o = &h->options;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->window},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, MAX_FRAME},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o->max_header_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {o->server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         o->server ? o->max_streams : 0},
    };

    return nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, entries,
                                   sizeof entries / sizeof *entries) == 0 &&
           nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)o->window) == 0;
}

h2 *h2_new(const h2_options *o, net_loop *loop, const h2_handler *handler, void *ctx)
{
    h2 *h = mem_zalloc(sizeof *h);

    if (!h)
        return NULL;
    *h = (h2){.handler = handler,
              .ctx = ctx,
              .loop = loop,
              .options = *o,
              .window = o->window,
              .read_ns = loop->now_ns};
    list_init(&h->streams);
    list_init(&h->blocks);
    h2_guard_init(h);
    if (h2_make_session(h) && submit_settings(h))
        return h;
    h2_free(h);
    return NULL;
}

static void close_streams(h2 *h)
{
    while (!list_empty(&h->streams)) {
        h2_stream *s = LIST_ENTRY(h->streams.next, h2_stream, node);

        h2_remove_stream(h, s);
        h->handler->closed(s, NGHTTP2_INTERNAL_ERROR, !h->options.server && !s->request_left);
    }
}

void h2_free(h2 *h)
{
    if (!h)
        return;
    close_streams(h);
    if (!h->starved)
        nghttp2_session_del(h->session);
    h2_memory_free(h);
    mem_free(h);
}

static int32_t fail(h2 *h, int code)
{
    if (!h->error[0])
        snprintf(h->error, sizeof h->error, "HTTP/2: %s", nghttp2_strerror(code));
    h->terminated = true;
    return code == NGHTTP2_ERR_NOMEM ? ORCH_E_RESOURCE_EXHAUSTED : ORCH_E_INTERNAL;
}

static int32_t fail_for_memory(h2 *h)
{
    return fail(h, NGHTTP2_ERR_NOMEM);
}

int32_t h2_feed(h2 *h, const uint8_t **data, size_t *len)
{
    ssize_t n;

    if (h->starved)
        return fail_for_memory(h);
    h->paused = false;
    n = nghttp2_session_mem_recv(h->session, *data, *len);
    if (h->starved)
        return fail_for_memory(h);
    if (n < 0)
        return fail(h, (int)n);
    h->bytes_read += (size_t)n;
    h->read_ns = h->loop->now_ns;
    *data += n;
    *len -= (size_t)n;
    return h->paused ? H2_RIPE : 0;
}

/* A client knows how many calls are under way. A server that answers at once does not: they have left before the next one
 * comes. It goes by how many come at a time, of which half is for the other end to work on. */
static uint32_t ripe_calls(const h2 *h)
{
    uint32_t calls = (h->came > h->came_before ? h->came : h->came_before) / 2;

    if (calls < h->open / 4)
        calls = h->open / 4;
    return calls > RIPE_CALLS ? calls : RIPE_CALLS;
}

bool h2_is_ripe(const h2 *h)
{
    return h->fresh_bytes >= RIPE_BYTES || h->fresh_calls >= ripe_calls(h);
}

void h2_turn_ended(h2 *h)
{
    if (!h->came)
        return;
    h->came_before = h->came;
    h->came = 0;
}

static bool put_rest(h2 *h)
{
    size_t room = h->out_size - h->out_len;
    size_t n = h->rest_len < room ? h->rest_len : room;

    memcpy(h->out + h->out_len, h->rest, n);
    h->out_len += n;
    h->rest += n;
    h->rest_len -= n;
    return !h->rest_len;
}

size_t h2_pull(h2 *h, uint8_t *out, size_t size)
{
    ssize_t n;

    h->fresh_bytes = h->fresh_calls = 0;
    h->out = out;
    h->out_size = size;
    h->out_len = 0;
    while (!h->starved && (!h->rest_len || put_rest(h))) {
        n = nghttp2_session_mem_send(h->session, &h->rest);
        if (n < 0 || h->starved)
            fail(h, n < 0 ? (int)n : NGHTTP2_ERR_NOMEM);
        if (n <= 0)
            break;
        h->rest_len = (size_t)n;
    }
    h->out = NULL;
    return h->out_len;
}

bool h2_wants_pull(h2 *h)
{
    return !h->starved && (h->rest_len || nghttp2_session_want_write(h->session));
}

bool h2_is_over(h2 *h)
{
    return h->starved || (!h->rest_len && !nghttp2_session_want_read(h->session) &&
                          !nghttp2_session_want_write(h->session));
}

const char *h2_error(const h2 *h)
{
    return h->error;
}

void h2_ping(h2 *h, uint64_t number)
{
    uint8_t opaque[8];

    memcpy(opaque, &number, sizeof opaque);
    if (h->starved)
        return;
    nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, opaque);
}

void h2_goaway(h2 *h, uint32_t error, const char *text, bool last)
{
    if (h->starved)
        return;
    if (last)
        nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h->session), error,
                              (const uint8_t *)text, strlen(text));
    else /* not a GOAWAY of our own: after one, nghttp2 takes a session without streams for over */
        nghttp2_submit_shutdown_notice(h->session);
}

void h2_terminate(h2 *h, uint32_t error, const char *text)
{
    if (h->terminated || h->starved)
        return;
    h->terminated = true;
    snprintf(h->error, sizeof h->error, "HTTP/2: %s: %s", nghttp2_http2_strerror(error), text);
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h->session), error,
                          (const uint8_t *)text, strlen(text));
    nghttp2_session_terminate_session(h->session, error);
}

uint32_t h2_open_streams(const h2 *h)
{
    return h->open;
}

uint64_t h2_bytes_read(const h2 *h)
{
    return h->bytes_read;
}

int64_t h2_read_ns(const h2 *h)
{
    return h->read_ns;
}

uint64_t h2_frames_sent(const h2 *h)
{
    return h->frames_sent;
}

uint32_t h2_window(const h2 *h)
{
    return h->window;
}
