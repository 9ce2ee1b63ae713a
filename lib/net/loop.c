#include "net/loop.h"

#include <stddef.h>

#include "base/mem.h"

bool net_loop_init(net_loop *l, int64_t now_ns, uint64_t seed)
{
    *l = (net_loop){.now_ns = now_ns, .random = seed ? seed : 1};
    list_init(&l->tasks);
    l->scratch = mem_alloc(NET_SCRATCH);
    return l->scratch;
}

void net_loop_free(net_loop *l)
{
    while (list_pop(&l->tasks))
        ;
    heap_free(&l->timers);
    mem_free(l->scratch);
    mem_pool_clear(&l->pool);
}

static bool run_due(net_loop *l)
{
    heap_node *first = heap_first(&l->timers);
    net_timer *t;

    if (!first || first->at > l->now_ns)
        return false;
    heap_remove(&l->timers, first);
    t = (net_timer *)(void *)((char *)first - offsetof(net_timer, node));
    t->fn(t);
    return true;
}

static bool run_task(net_loop *l)
{
    list *node = list_pop(&l->tasks);
    net_task *t;

    if (!node)
        return false;
    t = LIST_ENTRY(node, net_task, node);
    t->fn(t);
    return true;
}

void net_loop_tick(net_loop *l, int64_t now_ns)
{
    if (now_ns > l->now_ns)
        l->now_ns = now_ns;
}

bool net_loop_turn(net_loop *l, int64_t now_ns)
{
    bool any = false;

    net_loop_tick(l, now_ns);
    while (run_due(l) || run_task(l))
        any = true;
    l->awake = false;
    return any;
}

int64_t net_loop_next(const net_loop *l)
{
    const heap_node *first = heap_first(&l->timers);

    return first ? first->at : INT64_MAX;
}

void net_timer_init(net_timer *t, void (*fn)(net_timer *t))
{
    *t = (net_timer){.fn = fn};
}

static void wake(net_loop *l)
{
    if (l->awake)
        return;
    l->awake = true;
    if (l->wake)
        l->wake(l);
}

bool net_timer_set(net_loop *l, net_timer *t, int64_t at_ns)
{
    wake(l);
    return heap_set(&l->timers, &t->node, at_ns);
}

void net_timer_stop(net_loop *l, net_timer *t)
{
    heap_remove(&l->timers, &t->node);
}

void net_task_init(net_task *t, void (*fn)(net_task *t))
{
    t->fn = fn;
    list_init(&t->node);
}

void net_defer(net_loop *l, net_task *t)
{
    wake(l);
    if (list_empty(&t->node))
        list_push(&l->tasks, &t->node);
}

void net_task_cancel(net_task *t)
{
    list_remove(&t->node);
}

uint64_t net_random(net_loop *l)
{
    l->random ^= l->random >> 12;
    l->random ^= l->random << 25;
    l->random ^= l->random >> 27;
    return l->random * UINT64_C(0x2545F4914F6CDD1D);
}

int64_t net_jitter(net_loop *l, int64_t value, unsigned percent)
{
    int64_t span = value / 100 * (int64_t)percent;

    if (span <= 0)
        return value;
    return value - span + (int64_t)(net_random(l) % ((uint64_t)span * 2 + 1));
}
