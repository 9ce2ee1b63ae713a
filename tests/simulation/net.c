#include "simulation/net.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "simulation/cores.h"
#include "simulation/faults.h"
#include "simulation/model.h"
#include "simulation/net_message.h"
#include "simulation/trace.h"

enum item_kind { ITEM_ACCEPT, ITEM_MESSAGE, ITEM_CLOSED };

typedef struct item {
    struct item *next;
    int64_t due_us;
    message *message;
    uint8_t kind;
    int32_t code;
} item;

typedef struct pair pair;

/* One side of a connection, and what is on its way to it. */
typedef struct side {
    channel base; /* first */
    pair *pair;
    node *node;
    uint32_t incarnation; /* of the node: another one has nothing to do with it */
    item *first, **end;
    int64_t last_due_us;
    bool accepted;
    bool closed; /* by itself, or for one that died */
} side;

struct pair {
    list link;
    pair *next; /* of net.all */
    uint64_t number;
    uint64_t key;  /* of the execution that it is about, once that is known */
    unsigned refs; /* sides that are not closed, and events */
    bool lost;
    bool late;     /* what is on its way to the engine arrives */
    side sides[2]; /* of the orchestrator, of the engine */
};

static struct {
    list pairs;
    pair *all; /* freed together in the end: who lets go of one may still look at it */
    uint64_t numbers;
    struct {
        int64_t until_us[2]; /* from that engine; to it */
    } cuts[ENGINES_MAX];
    struct {
        void (*accepted)(void *ctx, channel *c);
        void *ctx;
    } listeners[ENGINES_MAX];
    uint8_t late_kind; /* of net_hold_back ... */
    int64_t late_us;   /* ... 0 = of nothing */
    bool repeat;       /* what is sent next comes twice, and is the last on its connection */
} net;

static void arrive(void *ctx, uint64_t which);
static void lose(pair *p, bool keep);

static side *other(side *s)
{
    return s == &s->pair->sides[0] ? &s->pair->sides[1] : &s->pair->sides[0];
}

static void unref(pair *p)
{
    if (--p->refs)
        return;
    list_remove(&p->link);
}

static void close_side(side *s)
{
    if (s->closed)
        return;
    s->closed = true;
    unref(s->pair);
}

static void item_drop(item *i)
{
    message_free(i->message);
    free(i);
}

/* What is under way to a side, but for the first `keep` of it. */
static void drop_items(side *s, uint32_t keep)
{
    item **at = &s->first;

    for (; *at && keep; keep--)
        at = &(*at)->next;
    s->end = at;
    for (item *i = *at, *next; i; i = next) {
        next = i->next;
        if (i->kind == ITEM_ACCEPT)
            close_side(s); /* nobody ever hears of it */
        item_drop(i);
    }
    *at = NULL;
}

static int64_t cut_until(const side *to)
{
    const pair *p = to->pair;
    uint32_t engine = p->sides[1].node->place;

    return net.cuts[engine].until_us[to == &p->sides[1]];
}

static void put_on_way(side *to, enum item_kind kind, message *m, int32_t code, int64_t delay_us)
{
    item *i = calloc(1, sizeof *i);
    int64_t due_us = sim.now_us + delay_us;

    if (!i)
        abort();
    if (kind == ITEM_MESSAGE && cut_until(to) > due_us) /* sent again once the way is free */
        due_us = cut_until(to) + delay_us;
    if (due_us < to->last_due_us)
        due_us = to->last_due_us;
    *i = (item){NULL, due_us, m, (uint8_t)kind, code};
    to->last_due_us = due_us;
    *to->end = i;
    to->end = &i->next;
    to->pair->refs++;
    sim_at(due_us, arrive, to->pair, to == &to->pair->sides[1]);
}

static int64_t latency(void)
{
    return one_in(FOR_NET, 50) ? roll_span(FOR_NET, 5 * MS, 400 * MS)
                               : roll_span(FOR_NET, 20, 3 * MS);
}

/* ---- the port -------------------------------------------------------------------------------------------- */

static void note_first(side *from, const side *to, const message *m)
{
    if (m->kind == MESSAGE_START)
        model_handed_over(from->node, to->node, m);
    if (m->kind == MESSAGE_START || m->kind == MESSAGE_ATTACH) {
        from->pair->key = m->kind == MESSAGE_START ? m->start->key : m->attach.key;
        model_channel(from->pair->key, true);
    }
}

static void die(void *ctx, uint64_t incarnation)
{
    node *n = ctx;

    if (n->incarnation == incarnation && !sim.calm)
        faults_spoke_last(n);
}

static int64_t held_back(side *from, const message *m)
{
    int64_t by_us = net.late_us;

    if (!by_us || m->kind != net.late_kind || from != &from->pair->sides[0])
        return 0;
    trace("connection %" PRIu64 " (%s): that comes late", from->pair->number,
          from->pair->sides[1].node->name);
    net.late_us = 0;
    from->pair->late = true;
    sim_after(0, die, from->node, from->node->incarnation);
    return by_us;
}

static void net_send(channel *c, message *m)
{
    side *from = (side *)c, *to = other(from);

    if (from->pair->lost || to->closed || from->closed) {
        message_free(m);
        return;
    }
    sim.counts.messages++;
    note_first(from, to, m);
    put_on_way(to, ITEM_MESSAGE, m, 0, latency() + held_back(from, m));
    if (!net.repeat || !net_message_can_repeat(m))
        return;
    net.repeat = false;
    sim_fault_done(FAULT_REPEAT);
    trace("connection %" PRIu64 " (%s) is lost, and its last comes twice", from->pair->number,
          from->pair->sides[1].node->name);
    put_on_way(to, ITEM_MESSAGE, net_message_copy(m), 0, 0);
    lose(from->pair, true);
}

static void net_close(channel *c)
{
    side *s = (side *)c, *to = other(s);
    bool told = !s->pair->lost && !to->closed;

    if (s == &s->pair->sides[0] && s->node == cores_primary() && s->pair->key)
        model_channel(s->pair->key, false);
    drop_items(s, 0);
    if (told)
        put_on_way(to, ITEM_CLOSED, NULL, 0, latency());
    close_side(s);
}

static const channel_ops side_ops[2] = {{sizeof(channel_ops), net_send, net_close, false},
                                        {sizeof(channel_ops), net_send, net_close, true}};

static node *find_engine(const char *endpoint)
{
    for (uint32_t i = 0; i < ENGINES_MAX; i++)
        if (!strcmp(engines[i].name, endpoint))
            return &engines[i];
    return NULL;
}

static void side_init(side *s, pair *p, node *n)
{
    s->base.ops = &side_ops[sim.in_process];
    s->pair = p;
    s->node = n;
    s->incarnation = n->incarnation;
    s->end = &s->first;
}

/* One that cannot be reached may be found out at once, or later. */
static bool refuses(const node *from, const node *to)
{
    bool cut = net.cuts[to->place].until_us[1] > sim.now_us;

    if (from != cores_primary() || !from->up)
        return true;
    if (to->up && to->away_until_us <= sim.now_us && !cut)
        return false;
    if (to->up && to->away_until_us > sim.now_us)
        sim_fault_done(FAULT_AWAY);
    return !to->up || to->away_until_us > sim.now_us || one_in(FOR_NET, 2);
}

static int32_t net_open(void *self, const char *endpoint, const channel_handler *h, void *ctx,
                        channel **out, orch_error **err)
{
    node *from = self, *to = find_engine(endpoint);
    pair *p;

    if (!to || refuses(from, to))
        return error_set(err, ORCH_E_UNAVAILABLE, endpoint, "'%s' cannot be reached", endpoint);
    p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->next = net.all;
    net.all = p;
    p->number = ++net.numbers;
    p->refs = 2;
    side_init(&p->sides[0], p, from);
    side_init(&p->sides[1], p, to);
    p->sides[0].base.handler = h;
    p->sides[0].base.ctx = ctx;
    p->sides[0].accepted = true;
    list_push(&net.pairs, &p->link);
    put_on_way(&p->sides[1], ITEM_ACCEPT, NULL, 0, latency());
    *out = &p->sides[0].base;
    return 0;
}

static int32_t net_listen_op(void *self, const char *endpoint,
                             void (*accepted)(void *ctx, channel *c), void *ctx, orch_error **err)
{
    (void)self, (void)accepted, (void)ctx;
    return error_set(err, ORCH_E_UNIMPLEMENTED, endpoint, "engines listen by net_listen");
}

static void net_unlisten(void *self, const char *endpoint)
{
    (void)self, (void)endpoint;
}

static bool net_pump(void *self, uint32_t budget)
{
    (void)self, (void)budget;
    return false; /* what arrives is an event of the simulation */
}

static void net_free(void *self)
{
    (void)self;
}

transport net_transport(node *from)
{
#define OPS(is_in_process)                                                                       \
    {                                                                                            \
        .size = sizeof(transport_ops), .name = "sim", .open = net_open, .listen = net_listen_op, \
        .unlisten = net_unlisten, .pump = net_pump, .free = net_free,                            \
        .in_process = (is_in_process)                                                            \
    }
    static const transport_ops ops[2] = {OPS(false), OPS(true)};
#undef OPS

    return (transport){&ops[sim.in_process], from};
}

void net_listen(node *engine, void (*accepted)(void *ctx, channel *c), void *ctx)
{
    net.listeners[engine->place].accepted = accepted;
    net.listeners[engine->place].ctx = ctx;
}

/* ---- losing connections ---------------------------------------------------------------------------------- */

static uint32_t count_items(const side *s)
{
    uint32_t n = 0;

    for (const item *i = s->first; i; i = i->next)
        n++;
    return n;
}

/* A part of what was under way still comes, or all of it, and then, perhaps much later, this side finds out. */
static void lose_side(side *s, bool keep)
{
    int64_t after_us = 0;

    if (s->closed)
        return;
    drop_items(s, keep ? UINT32_MAX : roll(FOR_NET, count_items(s) + 1));
    if (s->closed)
        return;
    s->last_due_us = sim.now_us;
    for (const item *i = s->first; i; i = i->next)
        s->last_due_us = i->due_us;
    if (s->pair->late)
        after_us = s->last_due_us - sim.now_us;
    put_on_way(s, ITEM_CLOSED, NULL, ORCH_E_UNAVAILABLE,
               after_us + (one_in(FOR_NET, 3) ? roll_span(FOR_NET, 0, 20 * SECONDS)
                                              : roll_span(FOR_NET, 0, 20 * MS)));
}

static void lose(pair *p, bool keep)
{
    if (p->lost)
        return;
    p->lost = true;
    p->refs++;
    lose_side(&p->sides[0], keep);
    lose_side(&p->sides[1], keep);
    unref(p);
}

static bool qualifies(const pair *p, bool busy)
{
    return !p->lost && (!busy || p->sides[0].first || p->sides[1].first);
}

static pair *choose(bool busy)
{
    uint32_t n = 0, chosen;

    LIST_EACH(it, &net.pairs)
    n += qualifies(LIST_ENTRY(it, pair, link), busy);
    if (!n)
        return NULL;
    chosen = roll(FOR_NET, n);
    LIST_EACH(it, &net.pairs)
    {
        pair *p = LIST_ENTRY(it, pair, link);

        if (qualifies(p, busy) && chosen-- == 0)
            return p;
    }
    return NULL;
}

bool net_break_one(void)
{
    pair *p = choose(!one_in(FOR_NET, 3));

    if (!p)
        p = choose(false);
    if (!p)
        return false;
    trace("connection %" PRIu64 " (%s) is lost", p->number, p->sides[1].node->name);
    lose(p, false);
    return true;
}

void net_repeat_one(void)
{
    net.repeat = true;
}

void net_hold_back(uint8_t kind, int64_t by_us)
{
    net.late_kind = kind;
    net.late_us = by_us;
}

/* A connection that is silent for so long is given up by its ends. */
static void give_up(void *ctx, uint64_t engine)
{
    (void)ctx;
    for (list *it = net.pairs.next, *next; it != &net.pairs; it = next) {
        pair *p = LIST_ENTRY(it, pair, link);

        next = it->next;
        if (p->sides[1].node->place == engine && !p->lost &&
            (cut_until(&p->sides[0]) > sim.now_us || cut_until(&p->sides[1]) > sim.now_us) &&
            !one_in(FOR_NET, 4))
            lose(p, false);
    }
}

void net_cut(node *a, uint32_t directions, int64_t until_us)
{
    for (uint32_t d = 0; d < 2; d++)
        if (directions >> d & 1)
            net.cuts[a->place].until_us[d] = until_us;
    sim_after(roll_span(FOR_NET, 100 * MS, 12 * SECONDS), give_up, NULL, a->place);
}

void net_killed(node *n)
{
    for (list *it = net.pairs.next, *next; it != &net.pairs; it = next) {
        pair *p = LIST_ENTRY(it, pair, link);
        side *own = n->is_orchestrator ? &p->sides[0] : &p->sides[1];

        next = it->next;
        if (own->node != n)
            continue;
        p->refs++;
        if (!own->closed) {
            bool unknown = !own->accepted;

            drop_items(own, 0);
            if (unknown)
                close_side(own);
        }
        if (!p->lost) {
            p->lost = true;
            if (sim.in_process) /* which ends with it */
                drop_items(other(own), 0);
            lose_side(other(own), p->late && n->is_orchestrator);
        }
        if (p->refs == 1) /* only ours is left */
            next = it->next;
        unref(p);
    }
}

/* ---- arriving -------------------------------------------------------------------------------------------- */

static void take_up(side *s)
{
    node *n = s->node;

    if (!n->up || n->incarnation != s->incarnation || n->away_until_us > sim.now_us) {
        close_side(s);
        lose(s->pair, false);
        return;
    }
    s->accepted = true;
    net.listeners[n->place].accepted(net.listeners[n->place].ctx, &s->base);
}

static void deliver(side *s, const item *i)
{
    if (s->closed)
        message_free(i->message);
    else if (i->kind == ITEM_MESSAGE) {
        if (s == &s->pair->sides[1])
            model_engine_hears(s->node, i->message);
        net_message_trace(other(s)->node->name, s->node->name, i->message);
        s->base.handler->message(s->base.ctx, &s->base, i->message);
    } else if (i->kind == ITEM_ACCEPT) {
        take_up(s);
    } else {
        trace("%s: connection %" PRIu64 " is %s", s->node->name, s->pair->number,
              i->code ? "lost" : "closed");
        s->base.handler->closed(s->base.ctx, &s->base, i->code);
    }
}

static void arrive(void *ctx, uint64_t which)
{
    pair *p = ctx;
    side *s = &p->sides[which];
    item *i = s->first;

    if (i && i->due_us <= sim.now_us && node_is_stalled(s->node)) {
        sim_at(s->node->stalled_until_us, arrive, ctx, which);
        return;
    }
    if (i && i->due_us <= sim.now_us) {
        s->first = i->next;
        if (!s->first)
            s->end = &s->first;
        deliver(s, i);
        free(i);
        node_wake(s->node);
    }
    unref(p);
}

/* ---- a seed ---------------------------------------------------------------------------------------------- */

void net_begin(void)
{
    memset(&net, 0, sizeof net);
    list_init(&net.pairs);
}

void net_end(void)
{
    while (net.all) {
        pair *p = net.all;

        drop_items(&p->sides[0], 0);
        drop_items(&p->sides[1], 0);
        net.all = p->next;
        free(p);
    }
}

void net_heal(void)
{
    net.late_us = 0;
    memset(net.cuts, 0, sizeof net.cuts);
}
