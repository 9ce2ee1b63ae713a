#include "net/h2_link.h"

#include <orch/error.h>

#define STALL_NS INT64_C(60000000000) /* for the other end to take something of what it asked for */

static void end(h2_link *l, int32_t code, const char *message)
{
    if (l->is_over)
        return;
    l->is_over = true;
    net_task_cancel(&l->flush);
    net_timer_stop(l->loop, &l->stall);
    l->handler->ended(l, code, message);
}

static void send_all(h2_link *l)
{
    while (!l->is_blocked && h2_wants_pull(l->session)) {
        size_t n = h2_pull(l->session, l->loop->scratch, NET_SCRATCH);

        if (!n)
            break;
        if (!conn_send(l->conn, l->loop->scratch, n)) {
            l->is_blocked = true;
            net_timer_set(l->loop, &l->stall, l->loop->now_ns + STALL_NS);
        }
    }
}

void h2_link_send_ripe(h2_link *l)
{
    if (l->is_open && !l->is_over && h2_is_ripe(l->session))
        send_all(l);
}

static void flush(net_task *t)
{
    h2_link *l = LIST_ENTRY(t, h2_link, flush);

    if (!l->is_open || l->is_over)
        return;
    send_all(l);
    h2_turn_ended(l->session);
    if (h2_is_over(l->session))
        end(l, h2_error(l->session)[0] ? ORCH_E_INTERNAL : 0, h2_error(l->session));
}

static void on_stall(net_timer *t)
{
    end(LIST_ENTRY(t, h2_link, stall), ORCH_E_UNAVAILABLE,
        "the other end has read nothing for a minute");
}

static void on_opened(void *ctx)
{
    h2_link *l = ctx;

    l->is_open = true;
    l->handler->opened(l);
    h2_link_wake(l);
}

static void on_read(void *ctx, const uint8_t *data, size_t len)
{
    h2_link *l = ctx;

    int32_t rc;

    if (l->is_over)
        return;
    while ((rc = h2_feed(l->session, &data, &len)) == H2_RIPE)
        send_all(l);
    if (rc) {
        send_all(l);
        end(l, ORCH_E_INTERNAL, h2_error(l->session));
        return;
    }
    h2_link_wake(l);
}

static void on_drained(void *ctx)
{
    h2_link *l = ctx;

    l->is_blocked = false;
    net_timer_stop(l->loop, &l->stall);
    h2_link_wake(l);
}

static void on_closed(void *ctx, int32_t code, const char *message)
{
    h2_link *l = ctx;

    l->is_open = false;
    end(l, code, message);
}

static const conn_handler handler = {on_opened, on_read, on_drained, on_closed};

void h2_link_init(h2_link *l, net_loop *loop, conn *c, h2 *session, const h2_link_handler *h)
{
    *l = (h2_link){.loop = loop, .handler = h, .conn = c, .session = session};
    net_task_init(&l->flush, flush);
    net_timer_init(&l->stall, on_stall);
    c->handler = &handler;
    c->ctx = l;
}

void h2_link_close(h2_link *l)
{
    l->is_over = true;
    net_task_cancel(&l->flush);
    net_timer_stop(l->loop, &l->stall);
    if (l->is_open)
        send_all(l);
    conn_close(l->conn);
    l->conn = NULL;
    h2_free(l->session);
    l->session = NULL;
}
