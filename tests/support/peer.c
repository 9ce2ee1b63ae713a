#include "support/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine_impl.h"

/* ---- memory ---------------------------------------------------------------------------------------------- */

static long fail_at; /* what is left of it; 0 = none is to fail */
static bool failed;

static void note_failed(void)
{
    failed |= fail_at && mem_count() >= fail_at;
}

void peer_fail_at(long n)
{
    if (n)
        failed = false;
    fail_at = n;
    mem_fail_at(n, 0);
}

bool peer_failed(void)
{
    note_failed();
    return failed;
}

void peer_hold(void)
{
    note_failed();
    if (fail_at)
        fail_at = failed ? 0 : fail_at - mem_count();
    mem_fail_at(0, 0);
}

void peer_let_go(void)
{
    if (fail_at)
        mem_fail_at(fail_at, 0);
}

static message *new_message(enum message_kind kind, epoch e)
{
    message *m;

    peer_hold();
    m = message_new(kind, e);
    peer_let_go();
    assert_non_null(m);
    return m;
}

/* ---- the channel ----------------------------------------------------------------------------------------- */

world *peer_world(const world_options *o)
{
    world_options own = o ? *o : (world_options){0};

    own.test_executor = &held_ops;
    own.engines = 1;
    held_reset();
    held.ignores_stop = true;
    return world_new(&own);
}

static void note_report(peer *p, const message *m)
{
    message *answer;

    if (m->report.count)
        p->last_seq = m->rows[m->report.count - 1].seq;
    if (!p->acknowledges || !m->report.count)
        return;
    answer = new_message(MESSAGE_ACK, p->epoch);
    answer->ack.seq = p->last_seq;
    channel_send(p->channel, answer);
}

static void peer_message(void *ctx, channel *c, message *m)
{
    peer *p = ctx;

    (void)c;
    p->said = realloc(p->said, (size_t)(p->count + 1) * sizeof(message *));
    assert_non_null(p->said);
    p->said[p->count++] = m;
    if (m->kind == MESSAGE_REPORT)
        note_report(p, m);
}

static void peer_closed(void *ctx, channel *c, int32_t code)
{
    (void)code;
    channel_close(c);
    ((peer *)ctx)->channel = NULL;
}

static const channel_handler peer_handler = {peer_message, peer_closed};

void peer_open(peer *p, world *w)
{
    *p = (peer){.w = w};
    assert_int_equal(
        w->transport.ops->open(w->transport.self, "engine-0", &peer_handler, p, &p->channel, NULL),
        0);
}

void peer_end(peer *p)
{
    channel_close(p->channel);
    for (int i = 0; i < p->count; i++)
        message_free(p->said[i]);
    free(p->said);
    definition_unref(p->definition);
    world_settle(p->w);
}

void peer_say(peer *p, message *m)
{
    if (!p->channel) {
        message_free(m);
        return;
    }
    channel_send(p->channel, m);
    world_settle(p->w);
}

/* ---- what it says ---------------------------------------------------------------------------------------- */

static definition *parsed(const char *text)
{
    orch_error *error = NULL;
    definition *d = NULL;

    if (definition_parse(text, strlen(text), NULL, &d, &error))
        fail_msg("%s", orch_error_message(error));
    return d;
}

message *peer_start(peer *p, world *w, uint64_t key, uint64_t counter, const char *text)
{
    message *m;

    peer_open(p, w);
    p->epoch = (epoch){1, counter};
    p->definition = parsed(text);
    m = new_message(MESSAGE_START, p->epoch);
    m->start = mem_zalloc(sizeof *m->start);
    m->start->key = key;
    m->start->run = 1;
    m->start->execution = mem_strdup("order");
    m->start->definition = p->definition->digest;
    m->start->accepted_ms = w->now_ms;
    return m;
}

void peer_define(peer *p)
{
    message *m = new_message(MESSAGE_DEFINITION, p->epoch);

    m->definition.digest = p->definition->digest;
    m->definition.text = bytes_ref(p->definition->text);
    peer_say(p, m);
}

void peer_hand_over(peer *p, world *w, uint64_t key, const char *definition)
{
    message *m = peer_start(p, w, key, 1, definition);

    p->acknowledges = true;
    peer_say(p, m);
    if (p->channel && peer_last(p)->kind == MESSAGE_NEED_DEFINITION)
        peer_define(p);
}

void peer_attach(peer *p, world *w, uint64_t key, uint64_t counter, uint64_t stored_seq)
{
    message *m;

    peer_open(p, w);
    p->epoch = (epoch){1, counter};
    m = new_message(MESSAGE_ATTACH, p->epoch);
    m->attach.key = key;
    m->attach.stored_seq = stored_seq;
    peer_say(p, m);
}

void peer_acknowledge(peer *p, uint64_t seq)
{
    message *m = new_message(MESSAGE_ACK, p->epoch);

    m->ack.seq = seq;
    peer_say(p, m);
}

void peer_note(peer *p, inbox_note n)
{
    message *m = new_message(MESSAGE_INBOX, p->epoch);

    m->inbox = n;
    peer_hold();
    m->inbox.name = n.name ? mem_strdup(n.name) : NULL;
    peer_let_go();
    bytes_ref(n.correlation);
    bytes_ref(n.payload);
    peer_say(p, m);
}

/* ---- what it was told ------------------------------------------------------------------------------------ */

const message *peer_last(const peer *p)
{
    assert_true(p->count > 0);
    return p->said[p->count - 1];
}

static int find_next(const peer *p, enum message_kind kind)
{
    int i = p->taken;

    while (i < p->count && p->said[i]->kind != kind)
        i++;
    return i;
}

bool peer_has(const peer *p, enum message_kind kind)
{
    return find_next(p, kind) < p->count;
}

const message *peer_next(peer *p, enum message_kind kind)
{
    int i = find_next(p, kind);

    if (i == p->count)
        fail_msg("no message of kind %d has come", (int)kind);
    p->taken = i + 1;
    return p->said[i];
}

const checkpoint *peer_row(const peer *p, uint64_t seq)
{
    for (int i = 0; i < p->count; i++)
        for (uint32_t k = 0; p->said[i]->kind == MESSAGE_REPORT && k < p->said[i]->report.count;
             k++)
            if (p->said[i]->rows[k].seq == seq)
                return &p->said[i]->rows[k];
    fail_msg("no checkpoint %llu has come", (unsigned long long)seq);
    return NULL;
}

void peer_assert_end(const peer *p, uint8_t state, const char *output, const char *error)
{
    const message *m = peer_last(p);

    assert_int_equal(m->kind, MESSAGE_REPORT);
    assert_int_equal(m->report.end, REPORT_COMPLETED);
    assert_string_equal(peer_text(m->report.error), error);
    assert_string_equal(peer_text(m->report.output), output);
    assert_int_equal(m->report.state, state);
}

void peer_assert_refused(const peer *p, int32_t code, const char *word)
{
    const message *m = peer_last(p);

    assert_int_equal(m->kind, MESSAGE_REFUSED);
    assert_int_equal(m->refused.code, code);
    if (!strstr(m->refused.message->data, word))
        fail_msg("'%s' has no '%s' in it", m->refused.message->data, word);
    assert_null(p->channel);
}

const char *peer_text(const bytes *b)
{
    static char room[16][4096];
    static unsigned next;
    char *text = room[next++ % 16];

    snprintf(text, sizeof *room, "%s", b ? b->data : "null");
    return text;
}
