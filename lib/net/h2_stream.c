/* One stream: what is queued on it, and how it ends. */
#include <orch/error.h>

#include "net/h2_impl.h"

/* ---- what is queued ------------------------------------------------------------------------------------------------ */

h2_chunk *h2_chunk_new(net_loop *loop, size_t len)
{
    h2_chunk *c = mem_pool_alloc(&loop->pool, sizeof *c + len);

    if (c)
        *c = (h2_chunk){.pool = &loop->pool, .len = len};
    return c;
}

void h2_chunk_free(h2_chunk *c)
{
    mem_pool_free(c->pool, c, sizeof *c + c->len);
}

static void append(h2_chunk **first, h2_chunk **last, h2_chunk *c)
{
    c->next = NULL;
    if (*last)
        (*last)->next = c;
    else
        *first = c;
    *last = c;
}

static void free_all(h2_chunk **first, h2_chunk **last)
{
    while (*first) {
        h2_chunk *next = (*first)->next;

        h2_chunk_free(*first);
        *first = next;
    }
    *last = NULL;
}

void h2_chunk_left(h2_stream *s)
{
    h2_chunk *c = s->first;

    s->first = c->next;
    if (!s->first)
        s->last = NULL;
    if (!s->keep) {
        h2_chunk_free(c);
        return;
    }
    append(&s->kept_first, &s->kept_last, c);
    s->kept += c->len;
}

void h2_drop_kept(h2_stream *s)
{
    free_all(&s->kept_first, &s->kept_last);
    s->kept = 0;
    s->keep = false;
}

void h2_stream_clear(h2_stream *s)
{
    h2_drop_kept(s);
    free_all(&s->first, &s->last);
    s->queued = 0;
}

void h2_rewind(h2_stream *s)
{
    if (s->first)
        s->first->off = 0;
    while (s->first)
        h2_chunk_left(s);
    s->first = s->kept_first;
    s->last = s->kept_last;
    s->queued = s->kept;
    s->kept_first = s->kept_last = NULL;
    s->kept = 0;
    for (h2_chunk *c = s->first; c; c = c->next)
        c->off = 0;
    s->is_closed = s->is_deferred = s->told_full = s->request_left = false;
    s->remote_ended = s->remote_ending = s->local_ended = false;
    s->unconsumed = 0;
    s->id = 0;
}

static void go_on(h2_stream *s)
{
    if (!s->session || s->session->starved || !s->is_deferred)
        return;
    s->is_deferred = false;
    nghttp2_session_resume_data(s->session->session, s->id);
}

bool h2_send(h2_stream *s, h2_chunk *c)
{
    if (s->is_closed || s->finishing) {
        h2_chunk_free(c);
        return true;
    }
    append(&s->first, &s->last, c);
    s->queued += c->len;
    if (s->session)
        s->session->fresh_bytes += c->len;
    go_on(s);
    s->told_full = s->queued >= H2_QUEUE_MARK;
    return !s->told_full;
}

void h2_finish(h2_stream *s, bool trailers)
{
    if (s->finishing)
        return;
    s->finishing = true;
    s->has_trailers = trailers;
    if (s->session)
        s->session->fresh_calls += trailers;
    go_on(s);
}

static ssize_t read_chunks(nghttp2_session *session, int32_t id, uint8_t *out, size_t size,
                           uint32_t *flags, nghttp2_data_source *source, void *data)
{
    h2_stream *s = source->ptr;
    size_t n = s->queued < size ? s->queued : size;

    (void)session;
    (void)id;
    (void)out;
    (void)data;
    if (!n && !s->finishing) {
        s->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n < s->queued || !s->finishing)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->has_trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        s->session->handler->trailers(s);
    }
    return (ssize_t)n;
}

/* ---- its beginning and its end --------------------------------------------------------------------------------------- */

static int32_t code_of(int rc)
{
    if (rc == NGHTTP2_ERR_NOMEM)
        return ORCH_E_RESOURCE_EXHAUSTED;
    return rc < 0 ? ORCH_E_UNAVAILABLE : 0;
}

int32_t h2_request(h2 *h, h2_stream *s, const nghttp2_nv *fields, size_t count)
{
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_chunks};
    int32_t id;

    if (h->starved)
        return ORCH_E_RESOURCE_EXHAUSTED;
    if (h->terminated)
        return ORCH_E_UNAVAILABLE;
    id = nghttp2_submit_request(h->session, NULL, fields, count, &body, s);
    if (id < 0)
        return code_of(id);
    s->session = h;
    s->id = id;
    list_push(&h->streams, &s->node);
    h->open++;
    h->fresh_bytes += s->queued;
    h->fresh_calls++;
    return 0;
}

int32_t h2_respond(h2_stream *s, const nghttp2_nv *fields, size_t count, bool end)
{
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_chunks};

    if (!s->session)
        return ORCH_E_UNAVAILABLE;
    if (s->session->starved)
        return ORCH_E_RESOURCE_EXHAUSTED;
    s->finishing = end;
    return code_of(
        nghttp2_submit_response(s->session->session, s->id, fields, count, end ? NULL : &body));
}

void h2_trailers(h2_stream *s, const nghttp2_nv *fields, size_t count)
{
    if (!s->session->starved)
        nghttp2_submit_trailer(s->session->session, s->id, fields, count);
}

void h2_remove_stream(h2 *h, h2_stream *s)
{
    if (!h->starved)
        nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
    if (h->receiving == s)
        h->receiving = NULL;
    list_remove(&s->node);
    h->open--;
    s->session = NULL;
    s->is_closed = true;
}

void h2_abandon(h2_stream *s, uint32_t error)
{
    h2 *h = s->session;

    if (!h)
        return;
    if (!h->starved)
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, error);
    h2_remove_stream(h, s);
}

void h2_reset(h2_stream *s, uint32_t error)
{
    if (s->session && !s->session->starved)
        nghttp2_submit_rst_stream(s->session->session, NGHTTP2_FLAG_NONE, s->id, error);
}
