/* A server's end of a call. */
#include <string.h>

#include "base/mem.h"
#include "grpc/server_impl.h"

#define EXPIRY_NS        INT64_C(1000000000) /* for the status of what has expired to leave */
/* A request that is none of gRPC is answered then: while it goes on, and once it has ended. */
#define REFUSED_NS       INT64_C(1000000000)
#define REFUSED_ENDED_NS INT64_C(50000000)

static grpc_call *call_of(h2_stream *s)
{
    return (grpc_call *)(void *)s;
}

/* ---- what is sent ---------------------------------------------------------------------------------------------------------- */

void server_send_initial(grpc_call *c)
{
    fields f;

    if (c->initial_sent)
        return;
    c->initial_sent = true;
    fields_begin(&f);
    fields_static(&f, ":status", "200");
    fields_static(&f, "content-type", GRPC_TYPE);
    if (c->accepts_gzip && c->compress)
        fields_static(&f, "grpc-encoding", "gzip");
    else
        c->accepts_gzip = false; /* it was not announced */
    fields_static(&f, "grpc-accept-encoding", "identity,gzip");
    fields_metadata(&f, &c->initial);
    if (h2_respond(&c->stream, f.nv, f.count, false) == ORCH_E_RESOURCE_EXHAUSTED)
        call_break(c, NGHTTP2_INTERNAL_ERROR, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
    call_wake(c);
}

void grpc_send_initial(grpc_call *c)
{
    if (!c->over && !c->finished)
        server_send_initial(c);
}

static void add_status(grpc_call *c, fields *f, char number[4], buf *message)
{
    if (!c->code)
        fields_static(f, "grpc-status", "0");
    else
        fields_add(f, "grpc-status", 11, number, (size_t)snprintf(number, 4, "%d", (int)-c->code),
                   NGHTTP2_NV_FLAG_NO_COPY_NAME);
    if (c->message.len)
        grpc_message_encode(message, c->message.data);
    if (message->len)
        fields_add(f, "grpc-message", 12, message->data, message->len,
                   NGHTTP2_NV_FLAG_NO_COPY_NAME);
    fields_metadata(f, &c->trailing);
}

static void send_trailers(h2_stream *stream)
{
    grpc_call *c = call_of(stream);
    fields f;
    buf message = BUF_INIT;
    char number[4];

    fields_begin(&f);
    add_status(c, &f, number, &message);
    h2_trailers(stream, f.nv, f.count);
    buf_free(&message);
}

/* All there is of an answer in one block. */
static void send_trailers_only(grpc_call *c, const char *http_status)
{
    fields f;
    buf message = BUF_INIT;
    char number[4];

    c->initial_sent = true;
    fields_begin(&f);
    fields_add(&f, ":status", 7, http_status, 3, FIELD_STATIC);
    fields_static(&f, "content-type", GRPC_TYPE);
    if (c->bad_encoding)
        fields_static(&f, "grpc-accept-encoding", "identity,gzip");
    fields_metadata(&f, &c->initial);
    add_status(c, &f, number, &message);
    if (h2_respond(&c->stream, f.nv, f.count, true) == ORCH_E_RESOURCE_EXHAUSTED)
        call_break(c, NGHTTP2_INTERNAL_ERROR, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
    buf_free(&message);
}

static void finish(grpc_call *c, int32_t code, const char *message, const char *http_status)
{
    if (c->over || c->finished)
        return;
    c->finished = true;
    c->code = code;
    if (message && *message)
        buf_puts(&c->message, message);
    if (c->initial_sent)
        h2_finish(&c->stream, true);
    else
        send_trailers_only(c, http_status);
    call_wake(c);
}

void grpc_finish(grpc_call *c, int32_t code, const char *message)
{
    finish(c, code, message, "200");
}

/* Not before the request is whole, and a moment more: what is wrong with the rest of it, or with what comes behind it, is for HTTP/2 to say;
 * who is still at sending may not look at an answer; and who tries out what is here is in no hurry. */
static void answer_refused(grpc_call *c)
{
    c->is_refused = false;
    if (c->http_status == 405)
        finish(c, ORCH_E_UNIMPLEMENTED, "the method of HTTP has to be POST", "405");
    else
        finish(c, ORCH_E_UNKNOWN, "the content type has to be " GRPC_TYPE, "415");
}

static void refuse(grpc_call *c, bool ended)
{
    c->is_refused = true;
    c->deadline_ns = INT64_MAX;
    if (!net_timer_set(c->loop, &c->timer,
                       c->loop->now_ns + (ended ? REFUSED_ENDED_NS : REFUSED_NS)))
        answer_refused(c);
}

/* A client whose clock is behind would take a bare reset for a cancel: so it is told the status, if that can leave soon. */
bool server_expire(grpc_call *c)
{
    if (c->is_refused) {
        answer_refused(c);
        return true;
    }
    if (c->expired || c->stream.queued ||
        !net_timer_set(c->loop, &c->timer, c->loop->now_ns + EXPIRY_NS))
        return false;
    c->expired = true;
    grpc_finish(c, ORCH_E_DEADLINE_EXCEEDED, "the deadline is exceeded");
    return true;
}

/* ---- what comes -------------------------------------------------------------------------------------------------------------- */

static void released(grpc_call *c)
{
    list_remove(&c->node);
    server_call_released(c->conn);
}

static h2_stream *begin(void *ctx)
{
    server_conn *conn = ctx;
    grpc_call *c = call_new(conn->server->loop, true);

    if (!c)
        return NULL;
    c->conn = conn;
    c->link = &conn->link;
    c->release = released;
    c->in.max_bytes = conn->server->options.max_message_bytes;
    list_push(&conn->calls, &c->node);
    conn->server->call_count++;
    return &c->stream;
}

/* What is wrong with the request is kept in http_status until all fields are there. */
static void field(h2_stream *stream, const uint8_t *name, size_t name_len, const uint8_t *value,
                  size_t len)
{
    grpc_call *c = call_of(stream);
    int64_t timeout;
    method *m;

    if (c->blocks)
        return; /* trailers of a client mean nothing */
    if (FIELD_IS(name, name_len, ":path")) {
        m = server_find(c->conn->server, (const char *)value, len);
        if (m) {
            c->path = m->path;
            c->ctx = m;
        } else {
            buf_printf(&c->held, "method '%.*s' is not here", (int)len, (const char *)value);
        }
    } else if (FIELD_IS(name, name_len, ":method")) {
        if (!FIELD_IS(value, len, "POST"))
            c->http_status = 405;
    } else if (FIELD_IS(name, name_len, "grpc-timeout")) {
        if (!grpc_timeout_parse((const char *)value, len, &timeout))
            c->http_status = 400;
        else if (timeout < INT64_MAX - c->loop->now_ns)
            call_set_deadline(c, c->loop->now_ns + timeout);
    } else if (!call_field(c, name, name_len, value, len) && *name != ':' &&
               !FIELD_IS(name, name_len, "te") &&
               !grpc_metadata_take(&c->metadata, name, name_len, value, len)) {
        c->metadata.entries.failed = true;
    }
}

/* False, and an answer: it is not taken. */
static bool is_well(grpc_call *c, bool too_long, bool ended)
{
    const grpc_server *s = c->conn->server;

    if (too_long)
        finish(c, ORCH_E_RESOURCE_EXHAUSTED, "the header list is too long", "431");
    else if (c->http_status == 405 || !c->is_grpc)
        refuse(c, ended);
    else if (c->http_status == 400)
        finish(c, ORCH_E_INTERNAL, "grpc-timeout is not a timeout", "200");
    else if (c->metadata.entries.failed)
        finish(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory", "200");
    else if (s->stopping)
        finish(c, ORCH_E_UNAVAILABLE, "the server stops", "200");
    else if (s->call_count > s->options.max_calls)
        finish(c, ORCH_E_RESOURCE_EXHAUSTED, "the server has too many calls", "200");
    else if (!c->ctx)
        finish(c, ORCH_E_UNIMPLEMENTED, c->held.data, "200");
    else if (c->bad_encoding)
        finish(c, ORCH_E_UNIMPLEMENTED, "the encoding of the messages is not known here", "200");
    buf_free(&c->held);
    return !c->finished && !c->over && !c->is_refused;
}

static void remote_ended(grpc_call *c)
{
    if (c->is_refused)
        refuse(c, true);
    call_remote_ended(c);
}

static void fields_done(h2_stream *stream, bool end, bool too_long)
{
    grpc_call *c = call_of(stream);
    method *m = c->blocks ? NULL : c->ctx;

    if (!c->blocks++ && is_well(c, too_long, end)) {
        c->ctx = NULL;
        m->begin(m->ctx, c);
    }
    if (end)
        remote_ended(c);
}

static void data(h2_stream *stream, const uint8_t *bytes, size_t len)
{
    grpc_call *c = call_of(stream);

    if (!c->is_refused)
        call_data(c, bytes, len);
}

static void ended(h2_stream *stream)
{
    remote_ended(call_of(stream));
}

static void drained(h2_stream *stream)
{
    grpc_call *c = call_of(stream);

    if (!c->over && c->handler && c->handler->drained)
        c->handler->drained(c->ctx, c);
}

static void closed(h2_stream *stream, uint32_t error, bool unprocessed)
{
    grpc_call *c = call_of(stream);

    (void)unprocessed;
    c->link = NULL;
    if (c->expired)
        call_end(c, ORCH_E_DEADLINE_EXCEEDED, "the deadline is exceeded");
    else if (c->finished && stream->local_ended)
        call_end(c, 0, NULL);
    else if (error == NGHTTP2_NO_ERROR || error == NGHTTP2_CANCEL)
        call_end(c, ORCH_E_CANCELLED, "the client cancelled the call");
    else
        call_end(c, ORCH_E_CANCELLED, "the connection to the client was lost");
}

static void goaway(void *ctx, uint32_t error, const uint8_t *text, size_t len)
{
    (void)ctx;
    (void)error;
    (void)text;
    (void)len;
}

const h2_handler server_call_handler = {begin,
                                        field,
                                        fields_done,
                                        data,
                                        ended,
                                        drained,
                                        send_trailers,
                                        closed,
                                        server_conn_settled,
                                        goaway,
                                        server_conn_ping,
                                        server_conn_pong};
