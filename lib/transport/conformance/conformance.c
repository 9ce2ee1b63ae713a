#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "transport/conformance/conformance_impl.h"

#define PATIENCE_NS INT64_C(30000000000)
#define BUDGET      256

bool rig_fail(rig *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
    return false;
}

int64_t rig_patience(const rig *r)
{
    int64_t ns = r->subject->patience_ns;

    return clock_monotonic_ns() + (ns ? ns : PATIENCE_NS);
}

bool rig_is_late(int64_t until_ns)
{
    return clock_monotonic_ns() > until_ns;
}

/* ---- messages -------------------------------------------------------------------------------------------- */

#define PERIOD ((size_t)26)

/* What message n of so many bytes has in it: text, as payloads are, which begins elsewhere in the alphabet with each n, and goes round. */
static bytes *pattern(uint64_t n, size_t len)
{
    bytes *b = bytes_new(NULL, len);

    for (size_t i = 0; b && i < len && i < PERIOD; i++)
        b->data[i] = (char)('a' + (n + i) % PERIOD);
    for (size_t done = PERIOD; b && done < len; done *= 2)
        memcpy(b->data + done, b->data, len - done < done ? len - done : done);
    return b;
}

static bool is_pattern(const bytes *b, uint64_t n)
{
    size_t len = b ? b->len : 0;

    for (size_t i = 0; i < len && i < PERIOD; i++)
        if (b->data[i] != (char)('a' + (n + i) % PERIOD))
            return false;
    return len <= PERIOD || !memcmp(b->data, b->data + PERIOD, len - PERIOD);
}

/* Down goes an inbox item, up a refusal: both have a number and as many bytes as one likes. */
static message *numbered(bool to_engine, uint64_t n, size_t len)
{
    message *m = message_new(to_engine ? MESSAGE_INBOX : MESSAGE_REFUSED,
                             (epoch){.term = 1, .counter = n});
    bytes *b = len ? pattern(n, len) : NULL;

    if (!m || (len && !b)) {
        message_free(m);
        bytes_unref(b);
        return NULL;
    }
    if (to_engine) {
        m->inbox = (inbox_note){.seq = n, .kind = NOTE_SIGNAL, .payload = b};
    } else {
        m->refused.code = ORCH_E_ABORTED;
        m->refused.instance = n;
        m->refused.message = b;
    }
    return m;
}

static bool is_numbered(const message *m, uint64_t n)
{
    if (m->epoch.counter != n)
        return false;
    if (m->kind == MESSAGE_INBOX)
        return m->inbox.seq == n && is_pattern(m->inbox.payload, n);
    return m->kind == MESSAGE_REFUSED && m->refused.instance == n &&
           is_pattern(m->refused.message, n);
}

void tape_say(tape *t, bool to_engine, size_t len)
{
    message *m = numbered(to_engine, t->sent + 1, len);

    if (m) { /* else the other end misses it */
        t->sent++;
        channel_send(t->c, m);
    }
}

void tape_close(tape *t)
{
    channel *c = t->c;

    t->c = NULL;
    channel_close(c);
}

static void on_message(void *ctx, channel *c, message *m)
{
    tape *t = ctx;

    (void)c;
    t->count++;
    t->is_late |= t->ends || !t->c;
    t->is_disorder |= !is_numbered(m, t->count);
    message_free(m);
}

static void on_closed(void *ctx, channel *c, int32_t code)
{
    tape *t = ctx;

    (void)c;
    t->is_late |= !t->c;
    t->ends++;
    t->code = code;
}

static const channel_handler tape_handler = {on_message, on_closed};

/* ---- sides ----------------------------------------------------------------------------------------------- */

static enum conformance_side side_of(const rig *r, enum conformance_side side)
{
    return r->subject->is_one ? SIDE_ORCHESTRATOR : side;
}

static const transport *transport_of(const rig *r, enum conformance_side side)
{
    return &r->sides[side_of(r, side)];
}

bool rig_begin(rig *r, enum conformance_side side)
{
    orch_error *error = NULL;

    if (r->subject->begin(r->subject->ctx, side, &r->sides[side], &error)) {
        rig_fail(r, "the transport cannot be made: %s", orch_error_message(error));
        orch_error_free(error);
        return false;
    }
    r->is_open[side] = true;
    return true;
}

static void close_all(tape *tapes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        tape_close(&tapes[i]);
}

void rig_end(rig *r, enum conformance_side side)
{
    const transport *t = &r->sides[side];

    if (!r->is_open[side])
        return;
    r->is_open[side] = false;
    if (side == SIDE_ORCHESTRATOR)
        close_all(r->opened, r->opened_count);
    if (side == SIDE_ENGINE || r->subject->is_one)
        close_all(r->accepted, r->accepted_count);
    t->ops->free(t->self);
    if (r->subject->ended)
        r->subject->ended(r->subject->ctx, side);
}

static void on_accepted(void *ctx, channel *c)
{
    rig *r = ctx;
    tape *t = &r->accepted[r->accepted_count < TAPES_MAX ? r->accepted_count++ : TAPES_MAX - 1];

    t->c = c;
    c->handler = &tape_handler;
    c->ctx = t;
}

bool rig_listen(rig *r)
{
    const transport *t = transport_of(r, SIDE_ENGINE);
    orch_error *error = NULL;
    int32_t rc = t->ops->listen(t->self, r->subject->endpoint, on_accepted, r, &error);

    if (rc)
        rig_fail(r, "it does not listen: %s", orch_error_message(error));
    orch_error_free(error);
    return rc == 0;
}

bool rig_open(rig *r, tape **out)
{
    const transport *t = transport_of(r, SIDE_ORCHESTRATOR);
    const conformance_subject *s = r->subject;
    tape *tape = &r->opened[r->opened_count];
    orch_error *error = NULL;
    int32_t rc = t->ops->open(t->self, s->dial ? s->dial : s->endpoint, &tape_handler, tape,
                              &tape->c, &error);

    if (rc)
        rig_fail(r, "it does not open: %s", orch_error_message(error));
    else
        r->opened_count++;
    *out = tape;
    orch_error_free(error);
    return rc == 0;
}

bool rig_pair(rig *r, tape **o, tape **e)
{
    unsigned before = r->accepted_count;

    if (!rig_open(r, o))
        return false;
    tape_say(*o, true, 1); /* a transport may let an end wait for its first message */
    UNTIL(r, r->accepted_count > before);
    *e = &r->accepted[before];
    return true;
}

void rig_turn(rig *r)
{
    bool any = false;

    for (int side = 0; side < 2; side++)
        if (r->is_open[side] && !(side == SIDE_ENGINE && r->holds_engine))
            any |= r->sides[side].ops->pump(r->sides[side].self, BUDGET);
    if (!any)
        r->subject->wait(r->subject->ctx);
}

/* ---- all of it ------------------------------------------------------------------------------------------- */

static bool run(rig *r, const conformance_rule *rule)
{
    bool holds = rig_begin(r, SIDE_ORCHESTRATOR);

    if (holds && !r->subject->is_one)
        holds = rig_begin(r, SIDE_ENGINE);
    holds = holds && rule->holds(r);
    close_all(r->opened, r->opened_count);
    close_all(r->accepted, r->accepted_count);
    r->holds_engine = false;
    for (int i = 0; i < 3; i++) /* a transport need not wait for what the other side will not do */
        rig_turn(r);
    rig_end(r, SIDE_ORCHESTRATOR);
    rig_end(r, SIDE_ENGINE);
    return holds;
}

unsigned transport_conformance(const conformance_subject *s)
{
    unsigned failed = 0;

    for (const conformance_rule *rule = conformance_rules; rule->name; rule++) {
        rig *r;

        if ((rule->two_sides && s->is_one) || (rule->cuts && !s->cut)) {
            s->report(s->ctx, rule->name, NULL);
            continue;
        }
        r = mem_zalloc(sizeof *r);
        if (r)
            r->subject = s;
        if (!r || !run(r, rule)) {
            failed++;
            s->report(s->ctx, rule->name, r ? r->why : "there is no memory");
        } else {
            s->report(s->ctx, rule->name, "");
        }
        mem_free(r);
    }
    return failed;
}
