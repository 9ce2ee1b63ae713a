/* What both ends of a call share: messages out and in, deadlines, and that it ends once. */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "grpc/call_impl.h"

/* ---- the end ------------------------------------------------------------------------------------------------------------ */

static void report(net_task *t)
{
    grpc_call *c = LIST_ENTRY(t, grpc_call, report);

    net_timer_stop(c->loop, &c->timer);
    if (c->handler)
        c->handler->closed(c->ctx, c, c->code, c->message.len ? c->message.data : "");
    c->release(c);
    call_free(c);
}

void call_free(grpc_call *c)
{
    net_timer_stop(c->loop, &c->retry_timer);
    net_timer_stop(c->loop, &c->timer);
    net_task_cancel(&c->report);
    net_task_cancel(&c->again);
    h2_abandon(&c->stream, NGHTTP2_NO_ERROR);
    h2_stream_clear(&c->stream);
    grpc_deframer_clear(&c->in);
    buf_free(&c->held);
    buf_free(&c->message);
    buf_free(&c->said);
    grpc_metadata_clear(&c->metadata);
    grpc_metadata_clear(&c->trailers);
    grpc_metadata_clear(&c->initial);
    grpc_metadata_clear(&c->trailing);
    mem_pool_free(&c->loop->pool, c, sizeof *c);
}

void call_end_with(grpc_call *c, int32_t code, const buf *message)
{
    if (c->over)
        return;
    c->over = true;
    buf_clear(&c->message);
    /* What comes from the server when the time is over is that. */
    if (code == ORCH_E_CANCELLED && c->deadline_ns <= c->loop->now_ns) {
        c->code = ORCH_E_DEADLINE_EXCEEDED;
    } else {
        c->code = code;
        if (message && message->len)
            buf_add(&c->message, message->data, message->len);
    }
    net_defer(c->loop, &c->report);
}

void call_end(grpc_call *c, int32_t code, const char *message)
{
    buf text = BUF_INIT;

    if (message)
        buf_puts(&text, message);
    call_end_with(c, code, &text);
    buf_free(&text);
}

void call_break(grpc_call *c, uint32_t h2_error, int32_t code, const char *message)
{
    if (c->over)
        return;
    h2_abandon(&c->stream, h2_error);
    call_wake(c);
    call_end(c, code, message);
}

static void on_deadline(net_timer *t)
{
    grpc_call *c = LIST_ENTRY(t, grpc_call, timer);

    if (!c->is_server || !server_expire(c))
        call_break(c, NGHTTP2_CANCEL, ORCH_E_DEADLINE_EXCEEDED, "the deadline is exceeded");
}

void call_set_deadline(grpc_call *c, int64_t at_ns)
{
    c->deadline_ns = at_ns;
    if (at_ns != INT64_MAX && !net_timer_set(c->loop, &c->timer, at_ns))
        call_break(c, NGHTTP2_INTERNAL_ERROR, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
}

void grpc_cancel(grpc_call *c)
{
    call_break(c, NGHTTP2_CANCEL, ORCH_E_CANCELLED, "the call was cancelled");
}

/* ---- messages that come --------------------------------------------------------------------------------------------------- */

static bool message(void *ctx, const uint8_t *data, size_t len)
{
    grpc_call *c = ctx;

    if (c->handler && c->handler->message)
        c->handler->message(c->ctx, c, data, len);
    return !c->paused && !c->over && !(c->is_server && c->finished);
}

static void break_for(grpc_call *c, int32_t code, const char *why)
{
    if (c->is_server)
        grpc_finish(c, code, why);
    else
        call_break(c, NGHTTP2_CANCEL, code, why);
}

/* How many bytes were taken: not all, once a message's handler has paused the call. */
static size_t deframe(grpc_call *c, const uint8_t *data, size_t len)
{
    const char *why = "";
    size_t taken;
    int32_t code = grpc_deframe(&c->in, data, len, &taken, message, c, &why);

    if (code)
        break_for(c, code, why);
    return taken;
}

static bool takes_no_more(const grpc_call *c)
{
    return c->over || (c->is_server && c->finished);
}

static void hold(grpc_call *c, const uint8_t *data, size_t len)
{
    buf_add(&c->held, data, len);
    if (c->held.failed)
        break_for(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
}

void call_data(grpc_call *c, const uint8_t *data, size_t len)
{
    size_t taken = 0;

    if (takes_no_more(c))
        return;
    if (!c->paused && !c->held.len)
        taken = deframe(c, data, len);
    if (taken < len && !takes_no_more(c))
        hold(c, data + taken, len - taken);
}

static void tell_end(grpc_call *c)
{
    if (takes_no_more(c) || c->told_end)
        return;
    c->told_end = true;
    if (!c->is_server) {
        client_ended(c);
        return;
    }
    if (!grpc_deframer_is_between(&c->in))
        grpc_finish(c, ORCH_E_INTERNAL, "the stream ended within a message");
    else if (c->handler && c->handler->half_closed)
        c->handler->half_closed(c->ctx, c);
}

void call_remote_ended(grpc_call *c)
{
    c->in_ended = true;
    if (!c->paused && !c->held.len)
        tell_end(c);
}

static void tell_held(net_task *t)
{
    grpc_call *c = LIST_ENTRY(t, grpc_call, again);

    if (c->paused || c->over)
        return;
    if (c->held.len)
        c->held_told += deframe(c, (const uint8_t *)c->held.data + c->held_told,
                                c->held.len - c->held_told);
    if (c->paused && !takes_no_more(c))
        return; /* the rest stays */
    c->held_told = 0;
    buf_free(&c->held);
    h2_resume(&c->stream);
    call_wake(c);
    if (c->in_ended)
        tell_end(c);
}

void grpc_pause(grpc_call *c)
{
    c->paused = true;
    h2_pause(&c->stream);
}

void grpc_resume(grpc_call *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    net_defer(c->loop, &c->again);
}

/* ---- messages that go ------------------------------------------------------------------------------------------------------ */

static bool queue(grpc_call *c, h2_chunk *chunk, bool compressed)
{
    bool more;

    if (!chunk) {
        call_break(c, NGHTTP2_INTERNAL_ERROR, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
        return true;
    }
    grpc_head_write(chunk->data, compressed, chunk->len - GRPC_HEAD);
    if (c->is_server)
        server_send_initial(c);
    more = h2_send(&c->stream, chunk);
    call_wake(c);
    return more;
}

static bool send_gzip(grpc_call *c, const void *data, size_t len)
{
    buf packed = BUF_INIT;
    h2_chunk *chunk = NULL;

    if (grpc_gzip(&packed, data, len))
        chunk = h2_chunk_new(c->loop, GRPC_HEAD + packed.len);
    if (chunk)
        memcpy(chunk->data + GRPC_HEAD, packed.data, packed.len);
    buf_free(&packed);
    return queue(c, chunk, true);
}

bool grpc_send(grpc_call *c, const void *data, size_t len)
{
    h2_chunk *chunk;

    if (c->over || c->finished)
        return true;
    if (c->compress && c->accepts_gzip)
        return send_gzip(c, data, len);
    chunk = h2_chunk_new(c->loop, GRPC_HEAD + len);
    if (chunk && len)
        memcpy(chunk->data + GRPC_HEAD, data, len);
    return queue(c, chunk, false);
}

bool grpc_send_written(grpc_call *c, size_t len, void (*write)(void *arg, uint8_t *out), void *arg)
{
    h2_chunk *chunk;
    bool more;

    if (c->over || c->finished)
        return true;
    chunk = h2_chunk_new(c->loop, GRPC_HEAD + len);
    if (chunk)
        write(arg, chunk->data + GRPC_HEAD);
    if (!chunk || !c->compress || !c->accepts_gzip)
        return queue(c, chunk, false);
    more = send_gzip(c, chunk->data + GRPC_HEAD, len);
    h2_chunk_free(chunk);
    return more;
}

void grpc_call_compress(grpc_call *c, bool on)
{
    c->compress = on;
}

bool grpc_call_was_compressed(const grpc_call *c)
{
    return c->in.head[0];
}

/* ---- fields ---------------------------------------------------------------------------------------------------------------- */

void fields_add(fields *f, const char *name, size_t name_len, const char *value, size_t len,
                uint8_t flags)
{
    if (f->count < GRPC_FIELDS)
        f->nv[f->count++] = h2_field(name, name_len, value, len, flags);
}

void fields_metadata(fields *f, const grpc_metadata *m)
{
    const char *name, *value;
    size_t len;

    for (uint32_t i = 0; grpc_metadata_at(m, i, &name, &value, &len); i++)
        fields_add(f, name, strlen(name), value, len, NGHTTP2_NV_FLAG_NONE);
}

static bool has_word(const char *list, size_t len, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= len; i++)
        if (memcmp(list + i, word, n) == 0)
            return true;
    return false;
}

/* "application/grpc", and more of it behind '+' or ';': application/grpc-web is something else. */
static bool is_grpc_type(const char *text, size_t len)
{
    size_t own = sizeof GRPC_TYPE - 1;

    return len >= own && !memcmp(text, GRPC_TYPE, own) &&
           (len == own || text[own] == '+' || text[own] == ';');
}

bool call_field(grpc_call *c, const uint8_t *name, size_t name_len, const uint8_t *value,
                size_t len)
{
    const char *text = (const char *)value;

    if (FIELD_IS(name, name_len, "content-type")) {
        c->has_type = true;
        c->is_grpc = is_grpc_type(text, len);
    } else if (FIELD_IS(name, name_len, "grpc-encoding")) {
        c->in.inflates = FIELD_IS(text, len, "gzip");
        c->bad_encoding = !c->in.inflates && !FIELD_IS(text, len, "identity");
    } else if (FIELD_IS(name, name_len, "grpc-accept-encoding")) {
        c->accepts_gzip = has_word(text, len, "gzip");
    } else {
        return false;
    }
    return true;
}

/* ---- what is known of it ------------------------------------------------------------------------------------------------------ */

grpc_call *call_new(net_loop *loop, bool is_server)
{
    grpc_call *c = mem_pool_zalloc(&loop->pool, sizeof *c);

    if (!c)
        return NULL;
    c->loop = loop;
    c->is_server = is_server;
    c->deadline_ns = INT64_MAX;
    c->path = "";
    net_timer_init(&c->timer, on_deadline);
    net_timer_init(&c->retry_timer, client_retry_due);
    net_task_init(&c->report, report);
    net_task_init(&c->again, tell_held);
    list_init(&c->node);
    return c;
}

void grpc_call_set_handler(grpc_call *c, const grpc_call_handler *handler, void *ctx)
{
    c->handler = handler;
    c->ctx = ctx;
}

grpc_metadata *grpc_call_initial(grpc_call *c)
{
    return &c->initial;
}

grpc_metadata *grpc_call_trailing(grpc_call *c)
{
    return &c->trailing;
}

const grpc_metadata *grpc_call_metadata(const grpc_call *c)
{
    return &c->metadata;
}

const grpc_metadata *grpc_call_trailers(const grpc_call *c)
{
    return &c->trailers;
}

int64_t grpc_call_deadline(const grpc_call *c)
{
    return c->deadline_ns;
}

const char *grpc_call_path(const grpc_call *c)
{
    return c->path;
}

bool grpc_call_has_left(const grpc_call *c)
{
    return c->has_left;
}

const char *grpc_call_peer(const grpc_call *c)
{
    return c->link && c->link->conn ? conn_peer(c->link->conn) : "";
}
