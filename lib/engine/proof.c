/* Whether steps may start. A hand-over that a network held back looks like any other; its orchestrator may be dead by then, and another
 * engine have gone on. So where the two ends are of different processes, a slot starts nothing without proof that its hand-over
 * was the newest a moment ago: an answer to what it asked or told on the same channel. What went later than the
 * orchestrator knew it proves nothing, so the time that counts is that of the question. */
#include "base/error.h"
#include "engine/attempt_impl.h"

static int64_t steady_ms(const slot *s)
{
    return s->engine->ports.steady_ms(s->engine->ports.ctx);
}

uint64_t proof_begin(slot *s)
{
    proof *p = &s->proof;

    p->needed = !s->channel->ops->in_process;
    p->until_ms = 0;
    p->told_seq = 0;
    if (!p->needed)
        return 0;
    p->asking = true;
    p->asked_ms = steady_ms(s);
    return ++p->number;
}

bool proof_holds(const slot *s)
{
    return !s->proof.needed ||
           (s->channel && (s->proof.until_ms > steady_ms(s) || MUTATED(CONFIRMATION_NOT_AWAITED)));
}

void proof_ask(slot *s)
{
    proof *p = &s->proof;
    message *m;

    if (p->asking || !s->channel)
        return;
    m = message_new(MESSAGE_NEED_CONFIRMATION, s->epoch);
    if (!m) {
        slot_drop(s); /* the orchestrator goes on from what is stored */
        return;
    }
    p->asking = true;
    p->asked_ms = steady_ms(s);
    m->confirmation.number = ++p->number;
    channel_send(s->channel, m);
}

static void extend(slot *s, int64_t since_ms)
{
    proof *p = &s->proof;

    if (MUTATED(OLD_CONFIRMATION_COUNTS))
        since_ms = steady_ms(s);
    if (since_ms + CONFIRMED_MS > p->until_ms)
        p->until_ms = since_ms + CONFIRMED_MS;
}

void proof_came(slot *s, uint64_t number)
{
    proof *p = &s->proof;
    list waiting;
    list *node;

    if (!p->asking || number != p->number)
        return;
    p->asking = false;
    extend(s, p->asked_ms);
    list_init(&waiting);
    while ((node = list_pop(&p->held)))
        list_push(&waiting, node);
    s->under_way++; /* it may be dropped */
    s->engine->under_way++;
    while ((node = list_pop(&waiting)))
        attempt_start(LIST_ENTRY(node, attempt_job, parked)); /* or it is held again */
    if (s->state != SLOT_DROPPED)
        engine_touch(s);
    slot_unref_work(s);
}

void proof_told(slot *s, uint64_t seq)
{
    proof *p = &s->proof;

    if (!p->needed || p->told_seq)
        return;
    p->told_seq = seq;
    p->told_ms = steady_ms(s);
}

void proof_stored(slot *s, uint64_t seq)
{
    proof *p = &s->proof;

    if (!p->told_seq || seq < p->told_seq)
        return;
    p->told_seq = 0;
    extend(s, p->told_ms);
}
