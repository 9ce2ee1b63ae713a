/* A channel: its connection, and what waits for one. */
#include <orch/version.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "grpc/channel_impl.h"

#define SECOND        INT64_C(1000000000)
#define JITTER        20            /* percent */
#define MIN_KEEPALIVE (10 * SECOND) /* gRFC A8: servers have to be spared */

static void connect_now(grpc_channel *ch);

/* ---- its end --------------------------------------------------------------------------------------------------------------- */

static void free_if_done(grpc_channel *ch)
{
    if (!ch->is_freed || ch->call_count || !list_empty(&ch->conns))
        return;
    net_task_cancel(&ch->start);
    net_task_cancel(&ch->close);
    net_timer_stop(ch->loop, &ch->retry);
    mem_free(ch);
}

/* ---- calls that wait --------------------------------------------------------------------------------------------------------- */

static void wait(grpc_channel *ch, grpc_call *c)
{
    list_remove(&c->node);
    list_push(&ch->waiting, &c->node);
    c->waits = true;
    ch->waiting_count++;
}

static void stop_waiting(grpc_channel *ch, grpc_call *c)
{
    list_remove(&c->node);
    if (c->waits)
        ch->waiting_count--;
    c->waits = false;
}

static void fail_waiting(grpc_channel *ch)
{
    for (list *it = ch->waiting.next, *next; it != &ch->waiting; it = next) {
        grpc_call *c = LIST_ENTRY(it, grpc_call, node);

        next = it->next;
        if (!c->wait_for_ready)
            call_end(c, ORCH_E_UNAVAILABLE, ch->last_error);
    }
}

static void start_waiting(grpc_channel *ch)
{
    while (!list_empty(&ch->waiting) && ch->current) {
        grpc_call *c = LIST_ENTRY(ch->waiting.next, grpc_call, node);

        stop_waiting(ch, c);
        list_push(&ch->calls, &c->node);
        if (!c->over && !channel_call_start(c, ch->current)) {
            wait(ch, c);
            ch->current->draining = true; /* it has no numbers left for streams */
            ch->current = NULL;
        } else {
            keepalive_call(&ch->current->keepalive);
            h2_link_send_ripe(&ch->current->link);
        }
    }
}

static void start(net_task *t)
{
    grpc_channel *ch = LIST_ENTRY(t, grpc_channel, start);

    if (ch->current && ch->current->opened)
        start_waiting(ch);
    if (list_empty(&ch->waiting) || ch->is_freed)
        return;
    if (ch->is_backing_off)
        fail_waiting(ch);
    else if (!ch->current)
        connect_now(ch);
}

void channel_call_again(grpc_call *c)
{
    h2_rewind(&c->stream);
    wait(c->channel, c);
    net_defer(c->loop, &c->channel->start);
}

/* ---- the connection -------------------------------------------------------------------------------------------------------------- */

static void conn_end(channel_conn *conn, int32_t code, const char *reason)
{
    grpc_channel *ch = conn->channel;

    conn->closing = true;
    conn->code = code;
    conn->reason = reason;
    if (ch->current == conn)
        ch->current = NULL;
    list_remove(&conn->node);
    keepalive_stop(&conn->keepalive);
    net_timer_stop(ch->loop, &conn->silence);
    h2_link_close(&conn->link);
    mem_free(conn);
}

static void on_retry(net_timer *t)
{
    grpc_channel *ch = LIST_ENTRY(t, grpc_channel, retry);

    ch->is_backing_off = false;
    net_defer(ch->loop, &ch->start);
}

/* Not to be tried again for a while; who does not want to wait for it is told. */
static void back_off(grpc_channel *ch)
{
    int64_t most = ch->options.max_backoff_ns;

    ch->backoff_ns = ch->backoff_ns ? ch->backoff_ns / 10 * 16 : ch->options.backoff_ns;
    if (ch->backoff_ns > most)
        ch->backoff_ns = most;
    ch->is_backing_off = net_timer_set(
        ch->loop, &ch->retry, ch->loop->now_ns + net_jitter(ch->loop, ch->backoff_ns, JITTER));
    fail_waiting(ch);
}

static void on_ended(h2_link *l, int32_t code, const char *message)
{
    channel_conn *conn = (channel_conn *)(void *)l;
    grpc_channel *ch = conn->channel;
    bool was_current = ch->current == conn, had_settled = conn->settled;

    (void)code;
    snprintf(ch->last_error, sizeof ch->last_error, "%s",
             *message ? message : "the server closed the connection");
    conn_end(conn, ORCH_E_UNAVAILABLE, ch->last_error);
    if (was_current && !had_settled)
        back_off(ch);
    if (!list_empty(&ch->waiting))
        net_defer(ch->loop, &ch->start);
    free_if_done(ch);
}

static void on_dead(keepalive *k)
{
    on_ended(k->link, ORCH_E_UNAVAILABLE, "the server did not answer a PING in time");
}

static void on_silence(net_timer *t)
{
    on_ended(&LIST_ENTRY(t, channel_conn, silence)->link, ORCH_E_UNAVAILABLE,
             "the server sent no SETTINGS in time: it may not speak HTTP/2");
}

static void on_opened(h2_link *l)
{
    channel_conn *conn = (channel_conn *)(void *)l;
    const grpc_channel_options *o = &conn->channel->options;

    conn->opened = true;
    if (!conn->settled)
        net_timer_set(l->loop, &conn->silence, conn->begun_ns + o->connect_ns);
    conn->keepalive = (keepalive){.time_ns = o->keepalive_ns,
                                  .timeout_ns = o->keepalive_timeout_ns,
                                  .without_calls = o->keepalive_without_calls};
    keepalive_start(&conn->keepalive, l, on_dead);
    net_defer(l->loop, &conn->channel->start);
}

void channel_conn_settled(void *ctx)
{
    channel_conn *conn = ctx;

    conn->settled = true;
    conn->channel->backoff_ns = 0;
    net_timer_stop(conn->channel->loop, &conn->silence);
}

/* What it has goes on; what is new goes to another. */
void channel_conn_goaway(void *ctx, uint32_t error, const uint8_t *text, size_t len)
{
    channel_conn *conn = ctx;
    grpc_channel_options *o = &conn->channel->options;

    if (error == NGHTTP2_ENHANCE_YOUR_CALM && FIELD_IS(text, len, "too_many_pings") &&
        o->keepalive_ns < INT64_MAX / 2) {
        o->keepalive_ns *= 2;
        grpc_note(&conn->channel->notes,
                  "server %s: too_many_pings; new connections have keepalive each %lld s",
                  conn_peer(conn->link.conn), (long long)(o->keepalive_ns / SECOND));
    }
    conn->draining = true;
    if (conn->channel->current == conn)
        conn->channel->current = NULL;
    h2_link_wake(&conn->link);
}

static void connect_now(grpc_channel *ch)
{
    static const h2_link_handler handler = {on_opened, on_ended};
    h2_options o = {.max_header_bytes = ch->options.max_header_bytes, .window = 256 * 1024};
    channel_conn *conn = mem_zalloc(sizeof *conn);
    h2 *session = conn ? h2_new(&o, ch->loop, &channel_call_handler, conn) : NULL;
    conn_handler none = {0};
    struct conn *c = session ? net_uv_dial(ch->net, &ch->to, ch->options.tls, ch->name,
                                           ch->options.connect_ns, &none, NULL)
                             : NULL;

    if (!c) {
        h2_free(session);
        mem_free(conn);
        snprintf(ch->last_error, sizeof ch->last_error, "there is no memory for a connection");
        back_off(ch);
        return;
    }
    conn->channel = ch;
    conn->begun_ns = ch->loop->now_ns;
    net_timer_init(&conn->silence, on_silence);
    h2_link_init(&conn->link, ch->loop, c, session, &handler);
    list_push(&ch->conns, &conn->node);
    ch->current = conn;
}

/* ---- calls ------------------------------------------------------------------------------------------------------------------------- */

static void released(grpc_call *c)
{
    grpc_channel *ch = c->channel;

    stop_waiting(ch, c);
    ch->call_count--;
    free_if_done(ch);
}

grpc_call *grpc_channel_call(grpc_channel *ch, const char *path, const grpc_call_options *o,
                             const grpc_call_handler *handler, void *ctx)
{
    static const grpc_call_options none;
    grpc_call *c = call_new(ch->loop, false);

    if (!c)
        return NULL;
    if (!o)
        o = &none;
    c->channel = ch;
    c->release = released;
    c->path = path;
    c->handler = handler;
    c->ctx = ctx;
    c->compress = c->accepts_gzip = c->announces_gzip = o->compress;
    c->retry = o->retry ? *o->retry : ch->options.retry;
    retry_policy_check(&c->retry);
    c->wait_for_ready = o->wait_for_ready;
    c->in.max_bytes = ch->options.max_message_bytes;
    c->stream.keep = true;
    ch->call_count++;
    wait(ch, c);
    if (ch->waiting_count > ch->options.max_waiting)
        call_end(c, ORCH_E_RESOURCE_EXHAUSTED, "too many calls wait for a connection");
    if (o->timeout_ns)
        call_set_deadline(c, ch->loop->now_ns + o->timeout_ns);
    net_defer(ch->loop, &ch->start);
    return c;
}

static void cancel_all(list *calls)
{
    for (list *it = calls->next; it != calls; it = it->next)
        call_break(LIST_ENTRY(it, grpc_call, node), NGHTTP2_CANCEL, ORCH_E_CANCELLED,
                   "the channel was closed");
}

/* Not within a handler, which a session may have called. */
static void close_conns(net_task *t)
{
    grpc_channel *ch = LIST_ENTRY(t, grpc_channel, close);

    while (!list_empty(&ch->conns))
        conn_end(LIST_ENTRY(ch->conns.next, channel_conn, node), ORCH_E_CANCELLED,
                 "the channel was closed");
    free_if_done(ch);
}

void grpc_channel_free(grpc_channel *ch)
{
    if (!ch)
        return;
    ch->is_freed = true;
    cancel_all(&ch->waiting);
    cancel_all(&ch->calls);
    net_defer(ch->loop, &ch->close);
}

/* ---- a channel ------------------------------------------------------------------------------------------------------------------------ */

static void set_defaults(grpc_channel_options *o)
{
    if (!o->max_message_bytes)
        o->max_message_bytes = GRPC_MAX_MESSAGE;
    if (!o->max_header_bytes)
        o->max_header_bytes = GRPC_MAX_HEADERS;
    if (!o->max_waiting)
        o->max_waiting = 10000;
    if (!o->connect_ns)
        o->connect_ns = 20 * SECOND;
    if (!o->backoff_ns)
        o->backoff_ns = SECOND;
    if (!o->max_backoff_ns)
        o->max_backoff_ns = 120 * SECOND;
    if (!o->keepalive_ns)
        o->keepalive_ns = INT64_MAX;
    if (o->keepalive_ns < MIN_KEEPALIVE)
        o->keepalive_ns = MIN_KEEPALIVE;
    if (!o->keepalive_timeout_ns)
        o->keepalive_timeout_ns = 20 * SECOND;
}

int32_t grpc_channel_new(net_uv *net, const char *target, const grpc_channel_options *o,
                         grpc_channel **out, orch_error **err)
{
    grpc_channel *ch = mem_zalloc(sizeof *ch);
    int32_t rc;

    if (!ch)
        return error_no_memory(err);
    rc = endpoint_parse(target, o && o->tls ? 443 : 80, &ch->to, err);
    if (rc) {
        mem_free(ch);
        return rc;
    }
    ch->net = net;
    ch->loop = net_uv_loop(net);
    if (o)
        ch->options = *o;
    ch->notes = (grpc_notes){.log = ch->options.log, .loop = ch->loop};
    set_defaults(&ch->options);
    retry_throttle_init(&ch->throttle, ch->options.retry_tokens, ch->options.retry_ratio_percent);
    endpoint_authority(&ch->to, ch->authority, sizeof ch->authority);
    snprintf(ch->name, sizeof ch->name, "%s", ch->to.path[0] ? "localhost" : ch->to.host);
    if (o && o->server_name) {
        snprintf(ch->name, sizeof ch->name, "%s", o->server_name);
        snprintf(ch->authority, sizeof ch->authority, "%s", o->server_name);
    }
    snprintf(ch->user_agent, sizeof ch->user_agent, "%s%sgrpc-c-liborch/" ORCH_VERSION,
             o && o->user_agent ? o->user_agent : "", o && o->user_agent ? " " : "");
    list_init(&ch->waiting);
    list_init(&ch->calls);
    list_init(&ch->conns);
    net_task_init(&ch->start, start);
    net_task_init(&ch->close, close_conns);
    net_timer_init(&ch->retry, on_retry);
    *out = ch;
    return 0;
}

bool grpc_channel_is_ready(const grpc_channel *ch)
{
    return ch->current && ch->current->opened;
}
