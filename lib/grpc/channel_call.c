/* A client's end of a call. */
#include <string.h>

#include "base/mem.h"
#include "grpc/channel_impl.h"

#define KEPT_BYTES ((size_t)256 * 1024) /* of a request, to make it again if nobody has seen it */

static grpc_call *call_of(h2_stream *s)
{
    return (grpc_call *)(void *)s;
}

/* ---- what is sent ---------------------------------------------------------------------------------------------------------- */

static void add_head(grpc_call *c, fields *f)
{
    const grpc_channel *ch = c->channel;

    fields_static(f, ":method", "POST");
    if (ch->options.tls)
        fields_static(f, ":scheme", "https");
    else
        fields_static(f, ":scheme", "http");
    fields_add(f, ":path", 5, c->path, strlen(c->path), FIELD_STATIC);
    fields_add(f, ":authority", 10, ch->authority, strlen(ch->authority), FIELD_STATIC);
    fields_static(f, "te", "trailers");
    fields_static(f, "content-type", GRPC_TYPE);
    fields_add(f, "user-agent", 10, ch->user_agent, strlen(ch->user_agent), FIELD_STATIC);
}

bool channel_call_start(grpc_call *c, channel_conn *on)
{
    fields f;
    char timeout[GRPC_TIMEOUT_MAX], attempts[12];
    size_t len;
    int32_t rc;

    fields_begin(&f);
    add_head(c, &f);
    if (c->deadline_ns != INT64_MAX) {
        len = grpc_timeout_format(c->deadline_ns - c->loop->now_ns, timeout);
        fields_add(&f, "grpc-timeout", 12, timeout, len,
                   NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX);
    }
    if (c->announces_gzip)
        fields_static(&f, "grpc-encoding", "gzip");
    fields_static(&f, "grpc-accept-encoding", "identity,gzip");
    if (c->retries) {
        len = (size_t)snprintf(attempts, sizeof attempts, "%u", c->retries);
        fields_add(&f, "grpc-previous-rpc-attempts", 26, attempts, len,
                   NGHTTP2_NV_FLAG_NO_COPY_NAME);
    }
    fields_metadata(&f, &c->initial);
    c->link = &on->link;
    c->has_left = true;
    rc = h2_request(on->link.session, &c->stream, f.nv, f.count);
    call_wake(c);
    if (rc)
        c->link = NULL;
    if (rc == ORCH_E_RESOURCE_EXHAUSTED)
        call_end(c, rc, "there is no memory");
    return rc != ORCH_E_UNAVAILABLE;
}

void grpc_half_close(grpc_call *c)
{
    if (c->over || c->finished)
        return;
    c->finished = true;
    h2_finish(&c->stream, false);
    call_wake(c);
}

/* ---- what comes -------------------------------------------------------------------------------------------------------------- */

static int parse_http_status(const uint8_t *value, size_t len)
{
    int status = 0;

    for (size_t i = 0; i < len && i < 3; i++)
        status = status * 10 + (value[i] - '0');
    return status;
}

static void field(h2_stream *stream, const uint8_t *name, size_t name_len, const uint8_t *value,
                  size_t len)
{
    grpc_call *c = call_of(stream);

    if (FIELD_IS(name, name_len, ":status")) {
        c->http_status = parse_http_status(value, len);
    } else if (FIELD_IS(name, name_len, "grpc-status")) {
        c->has_status = true;
        c->status = grpc_status_parse((const char *)value, len);
    } else if (FIELD_IS(name, name_len, "grpc-message")) {
        buf_clear(&c->said);
        grpc_message_decode(&c->said, (const char *)value, len);
    } else if (!call_field(c, name, name_len, value, len)) {
        grpc_metadata_take(c->blocks ? &c->trailers : &c->metadata, name, name_len, value, len);
    }
}

static int32_t code_of_end(const grpc_call *c)
{
    if (c->has_status)
        return c->status;
    return c->http_status == 200 ? ORCH_E_UNKNOWN : grpc_status_of_http(c->http_status);
}

/* An answer that is not gRPC's, unless it says a status all the same. */
static void end_with_http(grpc_call *c)
{
    const char *why = "the answer is not gRPC's, by its content type";
    char words[64];

    if (c->has_status) {
        why = c->said.len ? c->said.data : "";
    } else if (c->http_status != 200) {
        snprintf(words, sizeof words, "the server answers with HTTP status %d", c->http_status);
        why = words;
    }
    call_break(c, NGHTTP2_CANCEL, code_of_end(c), why);
}

static void take_initial(grpc_call *c, bool end)
{
    if (!end)
        h2_drop_kept(&c->stream); /* from here on it is the server's */
    if (end) {
        grpc_metadata_clear(&c->trailers);
        c->trailers = c->metadata; /* Trailers-Only */
        c->metadata = (grpc_metadata){0};
    } else if (c->http_status != 200 || !c->is_grpc) {
        end_with_http(c);
    } else if (c->bad_encoding) {
        call_break(c, NGHTTP2_CANCEL, ORCH_E_INTERNAL,
                   "the encoding of the answer is not known here");
    } else if (c->handler && c->handler->headers) {
        c->handler->headers(c->ctx, c);
    }
}

static void fields_done(h2_stream *stream, bool end, bool too_long)
{
    grpc_call *c = call_of(stream);

    if (c->over)
        return;
    if (too_long) {
        call_break(c, NGHTTP2_CANCEL, ORCH_E_RESOURCE_EXHAUSTED,
                   "the header list of the answer is too long");
        return;
    }
    if (!c->blocks && !end && c->http_status / 100 == 1) {
        grpc_metadata_clear(&c->metadata);
        return;
    }
    if (!c->blocks++)
        take_initial(c, end);
    if (end && !c->over)
        call_remote_ended(c);
}

void client_ended(grpc_call *c)
{
    if (channel_retry(c, code_of_end(c)))
        return;
    if (!c->has_status && c->http_status != 200)
        end_with_http(c);
    else if (!c->has_status)
        call_end(c, ORCH_E_UNKNOWN, "the answer ends without a status");
    else if (!c->status && !grpc_deframer_is_between(&c->in))
        call_end(c, ORCH_E_INTERNAL, "the answer ends within a message");
    else
        call_end_with(c, c->status, &c->said);
    if (!c->stream.local_ended) {
        h2_abandon(&c->stream, NGHTTP2_NO_ERROR);
        call_wake(c);
    }
}

static void data(h2_stream *stream, const uint8_t *bytes, size_t len)
{
    call_data(call_of(stream), bytes, len);
}

static void ended(h2_stream *stream)
{
    call_remote_ended(call_of(stream));
}

static void drained(h2_stream *stream)
{
    grpc_call *c = call_of(stream);

    if (stream->kept > KEPT_BYTES)
        h2_drop_kept(stream);
    if (!c->over && c->handler && c->handler->drained)
        c->handler->drained(c->ctx, c);
}

static void trailers(h2_stream *stream)
{
    (void)stream; /* a client has none */
}

/* Without limit if it never left, and once if the server says that it has not begun it (gRFC A6). */
static bool may_go_again(const grpc_call *c, bool unprocessed)
{
    return unprocessed && c->stream.keep && !c->blocks &&
           (!c->stream.request_left || !c->was_refused) && !c->channel->is_freed;
}

static void end_attempt(grpc_call *c, int32_t code, const char *message)
{
    if (!channel_retry(c, code))
        call_end(c, code, message);
}

static void closed(h2_stream *stream, uint32_t error, bool unprocessed)
{
    grpc_call *c = call_of(stream);
    const channel_conn *conn = (const channel_conn *)(const void *)c->link;
    char words[100];

    c->link = NULL;
    if (c->over)
        return;
    if (c->retry_waits) {
        channel_retry_closed(c);
    } else if (c->in_ended) {
        return; /* what came is still being told */
    } else if (may_go_again(c, unprocessed)) {
        c->was_refused |= c->stream.request_left;
        channel_call_again(c);
    } else if (conn->closing) {
        end_attempt(c, conn->code, conn->reason);
    } else if (error == NGHTTP2_NO_ERROR) {
        end_attempt(c, ORCH_E_INTERNAL, "the server ended the stream without a status");
    } else {
        snprintf(words, sizeof words, "the server reset the stream: %s",
                 nghttp2_http2_strerror(error));
        end_attempt(c, grpc_status_of_reset(error), words);
    }
}

static h2_stream *begin(void *ctx)
{
    (void)ctx;
    return NULL; /* servers open none */
}

static void ping(void *ctx)
{
    (void)ctx;
}

static void pong(void *ctx, uint64_t number)
{
    (void)ctx;
    (void)number;
}

const h2_handler channel_call_handler = {begin,
                                         field,
                                         fields_done,
                                         data,
                                         ended,
                                         drained,
                                         trailers,
                                         closed,
                                         channel_conn_settled,
                                         channel_conn_goaway,
                                         ping,
                                         pong};
