#include "net/net_uv.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/net_uv_impl.h"

static void on_timer(uv_timer_t *timer)
{
    net_uv *n = timer->data;

    n->timer_at = INT64_MAX;
}

void net_uv_tick(net_uv *n)
{
    net_loop_tick(&n->loop, clock_monotonic_ns());
}

bool net_uv_turn(net_uv *n)
{
    return net_loop_turn(&n->loop, clock_monotonic_ns());
}

void net_uv_settle(net_uv *n)
{
    if (n->loop.awake)
        net_uv_turn(n);
}

static void on_check(uv_check_t *check)
{
    net_uv_turn(check->data);
}

static void free_if_done(net_uv *n)
{
    if (n->handles || n->children)
        return;
    net_loop_free(&n->loop);
    mem_free(n->input);
    buf_free(&n->wire);
    if (n->closed)
        n->closed(n->closed_ctx);
    mem_free(n);
}

static void on_handle_closed(uv_handle_t *handle)
{
    net_uv *n = handle->data;

    n->handles--;
    free_if_done(n);
}

static void close_handles(net_uv *n)
{
    uv_close((uv_handle_t *)&n->check, on_handle_closed);
    uv_close((uv_handle_t *)&n->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&n->timer, on_handle_closed);
}

/* libuv would call a loop without an active handle one that is over, and not turn at all. */
static void on_wake(net_loop *l)
{
    net_uv *n = (net_uv *)(void *)((char *)l - offsetof(net_uv, loop));

    uv_ref((uv_handle_t *)&n->prepare);
}

/* The loop has to turn once more: for what was put off, and to find that nothing is left. */
static void turn_again(net_uv *n)
{
    n->timer_at = n->loop.now_ns;
    uv_timer_start(&n->timer, on_timer, 0, 0);
}

/* Before the loop sleeps: nothing is left to do now, and the timer knows when there will be. */
static void on_prepare(uv_prepare_t *prepare)
{
    net_uv *n = prepare->data;
    bool any = net_uv_turn(n);
    int64_t next;

    uv_unref((uv_handle_t *)&n->prepare);
    if (n->closing && !n->children) {
        close_handles(n);
        return;
    }
    if (any) { /* who was told of something may have something to do */
        turn_again(n);
        return;
    }
    next = net_loop_next(&n->loop);
    if (next == n->timer_at)
        return;
    n->timer_at = next;
    if (next == INT64_MAX) {
        uv_timer_stop(&n->timer);
        return;
    }
    uv_update_time(n->uv);
    uv_timer_start(&n->timer, on_timer,
                   next > n->loop.now_ns ? (uint64_t)(next - n->loop.now_ns + 999999) / 1000000 : 0,
                   0);
}

/* The handles stay while connections linger, whose timers they drive. */
void net_uv_child_gone(net_uv *n)
{
    n->children--;
    if (n->closing)
        turn_again(n);
}

void net_uv_close(net_uv *n, void (*closed)(void *ctx), void *ctx)
{
    n->closing = true;
    n->closed = closed;
    n->closed_ctx = ctx;
    turn_again(n);
}

int32_t net_uv_new(uv_loop_t *uv, net_uv **out, orch_error **err)
{
    net_uv *n = mem_zalloc(sizeof *n);
    int64_t now = clock_monotonic_ns();
    uint64_t seed = 0;

    if (!n)
        return error_no_memory(err);
    if (uv_random(NULL, NULL, &seed, sizeof seed, 0, NULL) != 0)
        seed = (uint64_t)now;
    n->input = mem_alloc(2 * NET_READ_BYTES);
    if (!n->input || !net_loop_init(&n->loop, now, seed)) {
        mem_free(n->input);
        mem_free(n);
        return error_no_memory(err);
    }
    n->plain = n->input + NET_READ_BYTES;
    n->uv = uv;
    n->timer_at = INT64_MAX;
    n->loop.wake = on_wake;
    uv_check_init(uv, &n->check);
    uv_prepare_init(uv, &n->prepare);
    uv_timer_init(uv, &n->timer);
    n->check.data = n->prepare.data = n->timer.data = n;
    n->handles = 3;
    uv_check_start(&n->check, on_check);
    uv_prepare_start(&n->prepare, on_prepare);
    /* They are no reason for the loop to go on; connections are, and timers. */
    uv_unref((uv_handle_t *)&n->check);
    uv_unref((uv_handle_t *)&n->prepare);
    *out = n;
    return 0;
}

net_loop *net_uv_loop(net_uv *n)
{
    return &n->loop;
}
