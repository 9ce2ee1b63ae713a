/* How long a server's connection lives: keepalive, idleness, age, a goodbye in good order; and pings that are too many.
 * Source: gRPC's keepalive document, gRFC A8, A9. */
#include "grpc/server_impl.h"

#define PING_APART_IDLE INT64_C(7200000000000) /* a client's pings, without calls */
#define STRIKES         2
#define AGE_JITTER      10 /* percent: what connected together does not come back together */
#define LAST_PING       1  /* its answer: the client knows that it may begin no more calls */

/* ---- PINGs ----------------------------------------------------------------------------------------------- */

void server_conn_ping(void *ctx)
{
    server_conn *c = ctx;
    const grpc_server_options *o = &c->server->options;
    int64_t now = c->server->loop->now_ns;
    bool without_calls = list_empty(&c->calls) && !o->pings_without_calls;
    int64_t apart = without_calls ? PING_APART_IDLE : o->min_ping_ns;
    uint64_t sent = h2_frames_sent(c->link.session);

    if (sent != c->frames_at_ping || !c->last_ping_ns)
        c->strikes = 0;
    else if (now - c->last_ping_ns < apart && ++c->strikes > STRIKES)
        h2_terminate(c->link.session, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
    c->frames_at_ping = sent;
    c->last_ping_ns = now;
}

/* The client has seen that it is to begin no more calls: those that it has begun by now are the last ones. */
void server_conn_pong(void *ctx, uint64_t number)
{
    server_conn *c = ctx;

    if (number == LAST_PING)
        h2_goaway(c->link.session, NGHTTP2_NO_ERROR, c->goodbye, true);
}

/* ---- the end in good order ------------------------------------------------------------------------------- */

void server_say_goodbye(server_conn *c, const char *why)
{
    if (c->goodbye)
        return;
    c->goodbye = why;
    h2_goaway(c->link.session, NGHTTP2_NO_ERROR, why, false);
    h2_ping(c->link.session, LAST_PING);
    h2_link_wake(&c->link);
}

static void on_patience_over(net_timer *t)
{
    server_conn_close(LIST_ENTRY(t, server_conn, age));
}

/* ... and not in good order, if what it has does not end in time. */
static void let_go(server_conn *c, const char *why)
{
    int64_t grace_ns = c->server->options.age_grace_ns;

    server_say_goodbye(c, why);
    net_timer_stop(c->server->loop, &c->idle);
    net_timer_stop(c->server->loop, &c->age);
    net_timer_init(&c->age, on_patience_over);
    if (grace_ns)
        net_timer_set(c->server->loop, &c->age, c->server->loop->now_ns + grace_ns);
}

static void on_age(net_timer *t)
{
    let_go(LIST_ENTRY(t, server_conn, age), "max_age");
}

/* Looks now and then how long there was no call, so that calls need not set a timer. */
static void on_idle(net_timer *t)
{
    server_conn *c = LIST_ENTRY(t, server_conn, idle);
    net_loop *loop = c->server->loop;
    int64_t since_ns = list_empty(&c->calls) ? c->idle_since_ns : loop->now_ns;
    int64_t at_ns = since_ns + c->server->options.max_idle_ns;

    if (at_ns <= loop->now_ns)
        let_go(c, "max_idle");
    else
        net_timer_set(loop, &c->idle, at_ns);
}

static void on_dead(keepalive *k)
{
    server_conn_close(LIST_ENTRY(k, server_conn, keepalive));
}

/* ---- all of it ------------------------------------------------------------------------------------------- */

void server_life_start(server_conn *c)
{
    const grpc_server_options *o = &c->server->options;
    net_loop *loop = c->server->loop;

    c->idle_since_ns = loop->now_ns;
    net_timer_init(&c->idle, on_idle);
    net_timer_init(&c->age, on_age);
    if (o->max_idle_ns)
        net_timer_set(loop, &c->idle, loop->now_ns + o->max_idle_ns);
    if (o->max_age_ns)
        net_timer_set(loop, &c->age, loop->now_ns + net_jitter(loop, o->max_age_ns, AGE_JITTER));
    c->keepalive = (keepalive){
        .time_ns = o->keepalive_ns, .timeout_ns = o->keepalive_timeout_ns, .without_calls = true};
    keepalive_start(&c->keepalive, &c->link, on_dead);
}

void server_life_stop(server_conn *c)
{
    net_timer_stop(c->server->loop, &c->idle);
    net_timer_stop(c->server->loop, &c->age);
    keepalive_stop(&c->keepalive);
}
