/* What nghttp2 tells: frames that came and went, told on to the handler. */
#include <string.h>

#include "base/mem.h"
#include "net/h2_impl.h"

#define SMALL_FRAME   16384 /* that buffer's size in any case */
#define STREAM(h, id) ((h2_stream *)nghttp2_session_get_stream_user_data((h)->session, (id)))

/* ---- streams begin and end ------------------------------------------------------------------------------------- */

static void add_stream(h2 *h, h2_stream *s, int32_t id)
{
    s->session = h;
    s->id = id;
    list_push(&h->streams, &s->node);
    h->open++;
    h->came++;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
    h2 *h = data;
    h2_stream *s = STREAM(h, frame->hd.stream_id);

    if (!s && h->options.server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        s = h->handler->begin(h->ctx);
        if (!s) {
            h->receiving = NULL;
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                      NGHTTP2_REFUSED_STREAM);
            return 0;
        }
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
        add_stream(h, s, frame->hd.stream_id);
    }
    h->receiving = s;
    if (s)
        s->field_bytes = 0;
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *data)
{
    h2 *h = data;
    h2_stream *s = h->receiving;

    (void)session;
    (void)frame;
    (void)flags;
    if (!s)
        return 0;
    s->field_bytes += name_len + value_len + 32;
    if (s->field_bytes <= h->options.max_header_bytes)
        h->handler->field(s, name, name_len, value, value_len);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *data)
{
    h2 *h = data;
    h2_stream *s = STREAM(h, id);

    (void)session;
    if (error == NGHTTP2_NO_ERROR)
        h2_guard_note(h, H2_COMPLETED);
    if (!s)
        return 0;
    h2_remove_stream(h, s);
    h->handler->closed(s, error, error == NGHTTP2_REFUSED_STREAM);
    return 0;
}

/* A request that could not be sent any more: nghttp2 does not call that a stream that closed. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int why, void *data)
{
    h2 *h = data;
    h2_stream *s;

    (void)session;
    (void)why;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    s = frame->hd.stream_id ? STREAM(h, frame->hd.stream_id) : NULL;
    if (s && s->session) {
        nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
        h2_remove_stream(h, s);
        h->handler->closed(s, NGHTTP2_REFUSED_STREAM, true);
    }
    return 0;
}

/* ---- frames that came ------------------------------------------------------------------------------------------ */

static void end_remote(h2_stream *s, const nghttp2_frame *frame)
{
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        s->remote_ended = true;
}

static void on_headers(h2 *h, const nghttp2_frame *frame)
{
    h2_stream *s = STREAM(h, frame->hd.stream_id);

    h2_guard_note(h, H2_USEFUL);
    if (!s)
        return;
    end_remote(s, frame);
    h->handler->fields_done(s, s->remote_ended, s->field_bytes > h->options.max_header_bytes);
}

static void on_data(h2 *h, const nghttp2_frame *frame)
{
    h2_stream *s = STREAM(h, frame->hd.stream_id);

    if (frame->hd.length == 0 && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        h2_guard_note(h, H2_IDLE);
    else
        h2_guard_note(h, H2_USEFUL);
    if (!s)
        return;
    end_remote(s, frame);
    if (s->remote_ended)
        h->handler->ended(s);
}

static void on_settings(h2 *h, const nghttp2_frame *frame)
{
    if (frame->hd.flags & NGHTTP2_FLAG_ACK)
        return;
    h2_guard_note(h, H2_IDLE);
    if (!h->settled) {
        h->settled = true;
        h->handler->settled(h->ctx);
    }
}

static void on_ping(h2 *h, const nghttp2_frame *frame)
{
    uint64_t number;

    if (!(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        h2_guard_note(h, H2_IDLE);
        h->handler->ping(h->ctx);
        return;
    }
    if (h2_flow_pong(h, frame->ping.opaque_data))
        return;
    memcpy(&number, frame->ping.opaque_data, sizeof number);
    h->handler->pong(h->ctx, number);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
    h2 *h = data;

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS: on_headers(h, frame); break;
    case NGHTTP2_DATA: on_data(h, frame); break;
    case NGHTTP2_SETTINGS: on_settings(h, frame); break;
    case NGHTTP2_PING: on_ping(h, frame); break;
    case NGHTTP2_RST_STREAM: h2_guard_note(h, H2_RESET); break;
    case NGHTTP2_GOAWAY:
        h->handler->goaway(h->ctx, frame->goaway.error_code, frame->goaway.opaque_data,
                           frame->goaway.opaque_data_len);
        break;
    default: h2_guard_note(h, H2_IDLE); /* PRIORITY, WINDOW_UPDATE, what nobody knows */
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *ctx)
{
    h2 *h = ctx;
    h2_stream *s = STREAM(h, id);

    h2_flow_received(h, len);
    if (s) {
        s->remote_ending = flags & NGHTTP2_FLAG_END_STREAM;
        h->handler->data(s, data, len);
        if (h->starved)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        if (STREAM(h, id) != s) /* the handler has let go of it */
            s = NULL;
    }
    if (s)
        h2_flow_consume(s, len);
    else
        nghttp2_session_consume(session, id, len);
    h->paused = h2_is_ripe(h);
    return h->paused ? NGHTTP2_ERR_PAUSE : 0;
}

/* ---- frames that left -------------------------------------------------------------------------------------------- */

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
    h2 *h = data;
    h2_stream *s;

    /* A server that is made to reset pays as one that resets: what for, its own error says. */
    if (frame->hd.type == NGHTTP2_RST_STREAM && h->options.server &&
        frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
        frame->rst_stream.error_code != NGHTTP2_CANCEL)
        h2_guard_note(h, H2_RESET);
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    h->frames_sent++;
    if (frame->hd.type == NGHTTP2_DATA)
        h2_guard_note(h, H2_USEFUL);
    s = STREAM(h, frame->hd.stream_id);
    if (!s)
        return 0;
    s->request_left = true;
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    s->local_ended = true;
    /* An answer that is complete before its request: what is left of that is not wanted (RFC 9113, 8.1). */
    if (h->options.server && !s->remote_ended && !s->remote_ending)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    return 0;
}

/* nghttp2 makes its frame buffer as large as this says and keeps it: so no more than there is to send. */
static ssize_t most_of_a_frame(nghttp2_session *session, uint8_t type, int32_t id,
                               int32_t session_window, int32_t stream_window, uint32_t max_frame,
                               void *data)
{
    const h2_stream *s = STREAM((h2 *)data, id);
    int64_t most = s && s->queued > SMALL_FRAME ? (int64_t)s->queued : SMALL_FRAME;

    (void)session;
    (void)type;
    if (max_frame < most)
        most = max_frame;
    if (most > (int64_t)H2_QUEUE_MARK)
        most = (int64_t)H2_QUEUE_MARK;
    if (session_window < most)
        most = session_window;
    return (ssize_t)(stream_window < most ? stream_window : most);
}

/* The frame's body goes from the stream's chunks into what is sent, with one copy. */
static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                     size_t len, nghttp2_data_source *source, void *data)
{
    h2 *h = data;
    h2_stream *s = source->ptr;

    (void)session;
    (void)frame;
    if (h->out_size - h->out_len < 9 + len)
        return NGHTTP2_ERR_WOULDBLOCK;
    memcpy(h->out + h->out_len, head, 9);
    h->out_len += 9;
    while (len) {
        h2_chunk *c = s->first;
        size_t n = c->len - c->off < len ? c->len - c->off : len;

        memcpy(h->out + h->out_len, c->data + c->off, n);
        h->out_len += n;
        c->off += n;
        len -= n;
        s->queued -= n;
        if (c->off == c->len)
            h2_chunk_left(s);
    }
    if (!s->queued && s->told_full) {
        s->told_full = false;
        h->handler->drained(s);
    }
    return 0;
}

/* ---- the session --------------------------------------------------------------------------------------------------- */

static void set_callbacks(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_not_sent);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
    nghttp2_session_callbacks_set_send_data_callback(c, send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(c, most_of_a_frame);
}

static void set_options(nghttp2_option *o)
{
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    /* gRPC's metadata may have what RFC 9113 does not like at the ends of a value. */
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(o, 1);
    /* It counts every reset, honest ones too: the account is ours (h2_guard.c). */
    nghttp2_option_set_stream_reset_rate_limit(o, UINT64_C(1) << 40, UINT64_C(1) << 40);
    nghttp2_option_set_max_continuations(o, 8);
    nghttp2_option_set_max_settings(o, 32);
    nghttp2_option_set_max_outbound_ack(o, 1000);
}

bool h2_make_session(h2 *h)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    nghttp2_mem memory = h2_memory(h);
    int rc = -1;

    if (nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0) {
        set_callbacks(callbacks);
        set_options(option);
        rc = h->options.server
                 ? nghttp2_session_server_new3(&h->session, callbacks, h, option, &memory)
                 : nghttp2_session_client_new3(&h->session, callbacks, h, option, &memory);
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return rc == 0;
}
