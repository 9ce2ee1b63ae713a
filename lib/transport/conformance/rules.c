/* The rules themselves. */
#include "base/error.h"
#include "transport/conformance/conformance_impl.h"

static bool is_well(rig *r, const tape *t)
{
    if (t->is_disorder)
        return rig_fail(r, "message %llu was not the next one, or not as it was sent",
                        (unsigned long long)t->count);
    if (t->is_late)
        return rig_fail(r, "something was told of a channel after its end");
    return t->ends <= 1 || rig_fail(r, "the end of a channel was told %u times", t->ends);
}

static bool all_are_well(rig *r)
{
    for (unsigned i = 0; i < r->opened_count; i++)
        if (!is_well(r, &r->opened[i]))
            return false;
    for (unsigned i = 0; i < r->accepted_count; i++)
        if (!is_well(r, &r->accepted[i]))
            return false;
    return true;
}

/* ---- messages -------------------------------------------------------------------------------------------- */

static bool messages_arrive(rig *r)
{
    static const size_t sizes[] = {0,      1,      7,       127,     128,    4000,
                                   4096,   4097,   16384,   65535,   65536,  65537,
                                   262144, 999999, 1048575, 1048577, 3000000};
    tape *o, *e;

    if (!rig_listen(r) || !rig_pair(r, &o, &e))
        return false;
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            tape_say(o, true, sizes[i]);
            tape_say(e, false, sizes[i]);
            rig_turn(r);
        }
    for (int i = 0; i < 1000; i++) {
        tape_say(o, true, (size_t)i % 300);
        tape_say(e, false, (size_t)i % 300);
    }
    UNTIL(r, e->count == o->sent && o->count == e->sent);
    EXPECT(r, !o->ends && !e->ends);
    return all_are_well(r);
}

static bool channels_are_apart(rig *r)
{
    tape *o[40], *e[40];
    unsigned long long down = 0, up = 0;

    if (!rig_listen(r))
        return false;
    for (int i = 0; i < 40; i++)
        if (!rig_pair(r, &o[i], &e[i]))
            return false;
    for (size_t round = 0; round < 50; round++)
        for (size_t i = 0; i < 40; i++) {
            tape_say(o[i], true, i * 10 + round);
            tape_say(e[i], false, i + round * 10);
        }
    for (int i = 0; i < 40; i++) {
        UNTIL(r, e[i]->count == o[i]->sent && o[i]->count == e[i]->sent);
        down += e[i]->count;
        up += o[i]->count;
    }
    EXPECT(r, down == 40 * 51 && up == 40 * 50);
    return all_are_well(r);
}

/* The engine does not look for a while. What the transport cannot keep waits on the other side. */
static bool nothing_is_lost_in_a_jam(rig *r)
{
    tape *o, *e;

    if (!rig_listen(r) || !rig_pair(r, &o, &e))
        return false;
    r->holds_engine = true;
    for (int i = 0; i < 10000; i++) {
        tape_say(o, true, 1000);
        if (i % 100 == 0)
            rig_turn(r);
    }
    for (int i = 0; i < 30; i++)
        tape_say(o, true, 1000000);
    r->holds_engine = false;
    UNTIL(r, e->count == o->sent);
    EXPECT(r, !o->ends && !e->ends);
    return all_are_well(r);
}

/* ---- ends ------------------------------------------------------------------------------------------------ */

static bool an_end_comes_after_all(rig *r)
{
    tape *o, *e;

    if (!rig_listen(r) || !rig_pair(r, &o, &e))
        return false;
    for (int i = 0; i < 300; i++)
        tape_say(o, true, 2000);
    tape_say(o, true, 2000000);
    tape_close(o);
    UNTIL(r, e->ends);
    EXPECT(r, e->count == o->sent);
    EXPECT(r, e->code == 0);
    if (!rig_pair(r, &o, &e))
        return false;
    for (int i = 0; i < 300; i++)
        tape_say(e, false, 2000);
    tape_say(e, false, 2000000);
    tape_close(e);
    UNTIL(r, o->ends);
    EXPECT(r, o->count == e->sent);
    EXPECT(r, o->code == 0);
    return all_are_well(r);
}

static bool both_may_close(rig *r)
{
    tape *o, *e;

    if (!rig_listen(r))
        return false;
    for (int i = 0; i < 20; i++) {
        if (!rig_pair(r, &o, &e))
            return false;
        tape_say(o, true, 100);
        tape_say(e, false, 100);
        tape_close(i % 2 ? o : e);
        tape_close(i % 2 ? e : o);
        rig_turn(r);
    }
    if (!rig_pair(r, &o, &e)) /* and others go on */
        return false;
    tape_say(e, false, 100);
    UNTIL(r, o->count == 1 && e->count == 1);
    return all_are_well(r);
}

static bool a_closed_end_hears_nothing(rig *r)
{
    tape *o, *e;

    if (!rig_listen(r) || !rig_pair(r, &o, &e))
        return false;
    UNTIL(r, e->count == 1);
    tape_close(o);
    for (int i = 0; i < 100; i++)
        tape_say(e, false, 1000); /* on its way, or too late */
    UNTIL(r, e->ends);
    EXPECT(r, e->code == 0);
    for (int i = 0; i < 100; i++)
        tape_say(e, false, 1000);
    EXPECT(r, o->count == 0);
    return all_are_well(r);
}

static bool opened_and_closed_at_once(rig *r)
{
    tape *o, *e;

    if (!rig_listen(r))
        return false;
    for (int i = 0; i < 20; i++) {
        if (!rig_open(r, &o))
            return false;
        tape_close(o);
        if (i % 3 == 0)
            rig_turn(r);
    }
    if (!rig_open(r, &o))
        return false;
    tape_say(o, true, 5);
    e = NULL;
    for (int64_t until = rig_patience(r);
         !e;) { /* whether the others were ever seen is the transport's affair */
        for (unsigned i = 0; i < r->accepted_count; i++)
            if (r->accepted[i].count)
                e = &r->accepted[i];
        if (rig_is_late(until))
            return rig_fail(r, "a channel after some that were closed at once was never accepted");
        rig_turn(r);
    }
    tape_say(e, false, 5);
    UNTIL(r, o->count == 1);
    return all_are_well(r);
}

/* ---- listening ------------------------------------------------------------------------------------------- */

static bool nobody_listens(rig *r)
{
    const transport *t = &r->sides[SIDE_ORCHESTRATOR];
    tape *o = &r->opened[0];
    const channel_handler *handler;
    tape *other, *e;
    orch_error *error = NULL;
    int32_t rc;

    if (!rig_listen(r) || !rig_pair(r, &other, &e)) /* for a handler, and it is to go on */
        return false;
    handler = other->c->handler;
    o = &r->opened[r->opened_count];
    rc = t->ops->open(t->self, r->subject->nobody, handler, o, &o->c, &error);
    orch_error_free(error);
    if (!rc) {
        r->opened_count++;
        tape_say(o, true, 10);
        UNTIL(r, o->ends);
        rc = o->code;
    }
    if (rc != ORCH_E_NOT_FOUND)
        return rig_fail(r, "where nobody listens it says %s, and not NOT_FOUND",
                        orch_code_name(rc));
    tape_say(e, false, 10);
    UNTIL(r, other->count == 1);
    return all_are_well(r);
}

static bool one_listens(rig *r)
{
    bool again;

    if (!rig_listen(r))
        return false;
    again = rig_listen(r);
    r->why[0] = '\0';
    EXPECT(r, !again);
    return true;
}

static bool listening_ends(rig *r)
{
    const transport *t = &r->sides[r->subject->is_one ? SIDE_ORCHESTRATOR : SIDE_ENGINE];
    tape *o, *e;

    for (int round = 0; round < 3; round++) {
        if (!rig_listen(r) || !rig_pair(r, &o, &e))
            return false;
        tape_close(o);
        UNTIL(r, e->ends);
        tape_close(e);
        t->ops->unlisten(t->self, r->subject->endpoint);
        if (rig_open(r, &o))
            UNTIL(r, o->ends);
        r->why[0] = '\0';
        EXPECT(r, r->accepted_count == (unsigned)round + 1);
    }
    return all_are_well(r);
}

/* ---- breaks ---------------------------------------------------------------------------------------------- */

static bool a_cut_is_told(rig *r)
{
    tape *o, *e;

    if (!rig_listen(r))
        return false;
    for (int round = 0; round < 3; round++) {
        if (!rig_pair(r, &o, &e))
            return false;
        UNTIL(r, e->count == 1);
        for (int i = 0; i < 200; i++) {
            tape_say(o, true, 5000);
            tape_say(e, false, 5000);
        }
        r->subject->cut(r->subject->ctx, o->c);
        UNTIL(r, o->ends && e->ends);
        EXPECT(r, o->code != 0 && o->code != ORCH_E_NOT_FOUND);
        EXPECT(r, e->code != 0);
        EXPECT(r, e->count <= o->sent && o->count <= e->sent);
        tape_say(o, true, 10); /* into the void */
        tape_say(e, false, 10);
        tape_close(o);
        tape_close(e);
    }
    return all_are_well(r);
}

/* The engine's process ends, and comes again. */
static bool an_engine_may_go(rig *r)
{
    tape *o, *e, *next;

    if (!rig_listen(r) || !rig_pair(r, &o, &e))
        return false;
    tape_say(e, false, 10);
    UNTIL(r, o->count == 1);
    rig_end(r, SIDE_ENGINE);
    UNTIL(r, o->ends);
    if (!rig_begin(r, SIDE_ENGINE) || !rig_listen(r) || !rig_pair(r, &next, &e))
        return false;
    tape_say(e, false, 10);
    UNTIL(r, next->count == 1 && e->count == 1);
    return all_are_well(r);
}

static bool an_orchestrator_may_go(rig *r)
{
    tape *o[10], *e[10], *next, *after;

    if (!rig_listen(r))
        return false;
    for (int i = 0; i < 10; i++)
        if (!rig_pair(r, &o[i], &e[i]))
            return false;
    for (int i = 0; i < 10; i++)
        tape_say(o[i], true, 100000);
    rig_end(r, SIDE_ORCHESTRATOR);
    for (int i = 0; i < 10; i++)
        UNTIL(r, e[i]->ends);
    for (int i = 0; i < 10; i++)
        EXPECT(r, e[i]->code != 0 || e[i]->count == o[i]->sent);
    if (!rig_begin(r, SIDE_ORCHESTRATOR) || !rig_pair(r, &next, &after))
        return false;
    tape_say(after, false, 10);
    UNTIL(r, next->count == 1 && after->count == 1);
    return all_are_well(r);
}

const conformance_rule conformance_rules[] = {
    {"messages arrive whole, once and in order, however long they are", messages_arrive, 0, 0},
    {"what goes over one channel does not come over another", channels_are_apart, 0, 0},
    {"nothing is lost where one side does not look for a while", nothing_is_lost_in_a_jam, 0, 0},
    {"a channel's end is told after all that was sent before", an_end_comes_after_all, 0, 0},
    {"both sides may close", both_may_close, 0, 0},
    {"a side that has closed is told nothing more", a_closed_end_hears_nothing, 0, 0},
    {"a channel may be closed as soon as it was opened", opened_and_closed_at_once, 0, 0},
    {"where nobody listens the answer is NOT_FOUND", nobody_listens, 0, 0},
    {"only one listens at an address", one_listens, 0, 0},
    {"an address that is listened at no more is free again", listening_ends, 0, 0},
    {"both sides are told of a connection that is cut", a_cut_is_told, 0, 1},
    {"an engine may go and come again", an_engine_may_go, 1, 0},
    {"an orchestrator may go and come again", an_orchestrator_may_go, 1, 0},
    {NULL, NULL, 0, 0},
};
