#include "grpc/keepalive.h"

static void look_at(keepalive *k, int64_t at_ns)
{
    net_timer_set(k->link->loop, &k->timer, at_ns);
}

static void ask(keepalive *k, int64_t now_ns)
{
    k->asks = true;
    k->bytes_when_asked = h2_bytes_read(k->link->session);
    h2_ping(k->link->session, KEEPALIVE_PING);
    h2_link_wake(k->link);
    look_at(k, now_ns + k->timeout_ns);
}

static void on_timer(net_timer *t)
{
    keepalive *k = LIST_ENTRY(t, keepalive, timer);
    int64_t now_ns = k->link->loop->now_ns, read_ns = h2_read_ns(k->link->session);

    if (k->asks && h2_bytes_read(k->link->session) == k->bytes_when_asked) {
        k->dead(k);
        return;
    }
    k->asks = false;
    if (now_ns - read_ns < k->time_ns)
        look_at(k, read_ns + k->time_ns);
    else if (!k->without_calls && !h2_open_streams(k->link->session))
        k->sleeps = true;
    else
        ask(k, now_ns);
}

void keepalive_start(keepalive *k, h2_link *link, void (*dead)(keepalive *k))
{
    k->link = link;
    k->dead = dead;
    k->asks = k->sleeps = false;
    net_timer_init(&k->timer, on_timer);
    if (k->time_ns < INT64_MAX - link->loop->now_ns)
        look_at(k, link->loop->now_ns + k->time_ns);
}

void keepalive_stop(keepalive *k)
{
    if (k->link)
        net_timer_stop(k->link->loop, &k->timer);
}

void keepalive_call(keepalive *k)
{
    if (!k->sleeps)
        return;
    k->sleeps = false;
    look_at(k, k->link->loop->now_ns);
}
