/* Goal: what an execution is told, it is told in order and once; what a wait is for; and who only waits is put down without
 * missing anything. Against an orchestrator that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine_impl.h"
#include "support/peer.h"
#include "support/scrambler.h"

#define WAIT(with)                                                                            \
    "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"wait\","     \
    "\"with\":" with "},{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"],\"with\":" \
    "\"${steps.a.output}\"}]}"
#define APPROVED WAIT("{\"signal\":\"approved\"}")

static bytes *text(const char *s)
{
    return s ? bytes_new(s, strlen(s)) : NULL;
}

static void signal_with(peer *p, uint64_t seq, const char *name, const char *correlation,
                        const char *payload)
{
    bytes *c = text(correlation), *data = text(payload);
    char room[64];

    snprintf(room, sizeof room, "%s", name);
    peer_note(
        p, (inbox_note){
               .seq = seq, .kind = NOTE_SIGNAL, .name = room, .correlation = c, .payload = data});
    bytes_unref(c);
    bytes_unref(data);
}

static void begin(peer *p, world *w, const char *definition, const char *input)
{
    message *m = peer_start(p, w, 64, 1, definition);

    m->start->input = text(input);
    p->acknowledges = true;
    peer_say(p, m);
    if (peer_last(p)->kind == MESSAGE_NEED_DEFINITION)
        peer_define(p);
}

static engine *engine_of(world *w)
{
    return w->engines[0].engine;
}

/* ---- what a wait is for ---------------------------------------------------------------------------------- */

static void test_times(void **state)
{
    static const struct {
        const char *definition;
        int64_t due_ms; /* from now on */
    } rows[] = {
        {WAIT("{\"duration\":\"90s\"}"), 90000},
        {WAIT("{\"duration\":\"${input.d}\"}"), 300000},
        {WAIT("{\"until\":\"2023-11-14T22:15:20Z\"}"), 120000},
        {WAIT("{\"until\":\"${input.u}\"}"), 180000},
        {WAIT("{\"until\":1700000060000}"), 60000},
    };
    world *w = peer_world(NULL);

    (void)state;
    assert_int_equal(w->now_ms, 1700000000000);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const checkpoint *c;
        peer p;

        begin(&p, w, rows[i].definition, "{\"d\":\"5m\",\"u\":\"2023-11-14T23:16:20+01:00\"}");
        c = peer_row(&p, 1);
        assert_int_equal(c->kind, CHECKPOINT_WAITING);
        assert_int_equal(c->due_ms, w->now_ms + rows[i].due_ms);
        assert_null(c->output);
        peer_end(&p);
    }
    world_free(w);
}

static void test_what_is_no_time_fails_the_step(void **state)
{
    world *w = peer_world(NULL);
    const char *error;
    peer p;

    (void)state;
    begin(&p, w, WAIT("{\"until\":\"${input.u}\"}"), "{\"u\":\"tomorrow\"}");
    assert_int_equal(peer_last(&p)->report.state, RUN_FAILED);
    error = peer_text(peer_last(&p)->report.error);
    assert_non_null(strstr(error, "\"INVALID_ARGUMENT\""));
    assert_non_null(strstr(error, "step 'a'"));
    assert_non_null(strstr(error, "tomorrow"));
    peer_end(&p);
    world_free(w);
}

static void test_a_signal_ends_its_wait(void **state)
{
    world *w = peer_world(NULL);
    const checkpoint *c;
    peer p;

    (void)state;
    begin(&p, w, APPROVED, NULL);
    c = peer_row(&p, 1);
    assert_int_equal(c->kind, CHECKPOINT_WAITING);
    assert_int_equal(c->due_ms, 0);
    assert_string_equal(peer_text(c->output), "{\"signal\":\"approved\"}");
    signal_with(&p, 3, "approved", NULL, "{\"by\":\"me\"}");
    c = peer_row(&p, 2);
    assert_int_equal(c->kind, CHECKPOINT_SUCCEEDED);
    assert_int_equal(c->inbox, 3);
    assert_string_equal(held.with[0], "{\"by\":\"me\"}");
    assert_int_equal(peer_next(&p, MESSAGE_REPORT)->report.inbox_seen, 0);
    assert_int_equal(peer_next(&p, MESSAGE_REPORT)->report.inbox_seen, 3);
    peer_end(&p);
    world_free(w);
}

static void test_a_correlation_is_a_template(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w,
          WAIT("{\"signal\":\"paid\",\"correlation\":\"${input.order}\",\"timeout\":\"1h\"}"),
          "{\"order\":17}");
    assert_string_equal(peer_text(peer_row(&p, 1)->output),
                        "{\"correlation\":17,\"signal\":\"paid\"}");
    assert_int_equal(peer_row(&p, 1)->due_ms, w->now_ms + 3600000);
    signal_with(&p, 1, "paid", "18", "1");
    signal_with(&p, 2, "paid", NULL, "2");
    signal_with(&p, 3, "payed", "17", "3");
    assert_int_equal(held.started, 0);
    signal_with(&p, 4, "paid", "17", "4");
    assert_string_equal(held.with[0], "4");
    peer_end(&p);
    world_free(w);
}

static void test_a_signal_that_does_not_come(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, WAIT("{\"signal\":\"approved\",\"timeout\":\"5s\"}"), NULL);
    world_advance(w, 4999);
    assert_int_equal(p.last_seq, 1);
    world_advance(w, 1);
    assert_int_equal(peer_row(&p, 2)->kind, CHECKPOINT_FAILED);
    assert_non_null(strstr(peer_text(peer_last(&p)->report.error), "DEADLINE_EXCEEDED"));
    peer_end(&p);
    world_free(w);
}

static void test_payloads_of_signals_are_decoded(void **state)
{
    scrambler secret = {0};
    world_options o = {.codec = scrambler_codec(&secret)};
    world *w = peer_world(&o);
    bytes *encoded = scrambler_encoded("{\"pin\":1}"), *row = scrambler_encoded("{\"pin\":1}");
    peer p;

    (void)state;
    begin(&p, w, APPROVED, NULL);
    signal_with(&p, 1, "approved", NULL, encoded->data);
    assert_string_equal(held.with[0], "{\"pin\":1}");
    assert_string_equal(peer_text(peer_row(&p, 2)->output), row->data);
    signal_with(&p, 2, "more", NULL, encoded->data); /* for nobody yet */
    secret.decode_code = ORCH_E_NOT_FOUND;
    signal_with(&p, 3, "bad", NULL, encoded->data);
    assert_null(p.channel); /* given up: the next hand-over says why */
    assert_int_equal(engine_of(w)->active, 0);
    held_succeed(0, NULL);
    peer_end(&p);
    bytes_unref(encoded);
    bytes_unref(row);
    world_free(w);
}

/* ---- in order and once ----------------------------------------------------------------------------------- */

static void test_a_note_is_told_once(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w,
          "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"wait\","
          "\"with\":{\"signal\":\"s\"}},{\"id\":\"b\",\"executor\":\"wait\",\"with\":{\"signal\":"
          "\"s\"},\"depends_on\":[\"a\"]}]}",
          NULL);
    signal_with(&p, 5, "s", NULL, "1");
    assert_int_equal(peer_row(&p, 2)->inbox, 5);
    signal_with(&p, 5, "s", NULL, "1");
    signal_with(&p, 4, "s", NULL, "1"); /* older than what was told: consumed long ago */
    assert_int_equal(p.last_seq, 3);
    assert_int_equal(peer_row(&p, 3)->kind, CHECKPOINT_WAITING);
    signal_with(&p, 6, "s", NULL, "2");
    peer_assert_end(&p, RUN_SUCCEEDED, "null", "null");
    signal_with(&p, 7, "s", NULL, "3"); /* after the end */
    peer_assert_end(&p, RUN_SUCCEEDED, "null", "null");
    peer_end(&p);
    world_free(w);
}

static message *start_with_signals(peer *p, world *w, uint32_t count)
{
    message *m = peer_start(p, w, 64, 1, APPROVED);

    m->start->inbox = mem_calloc(count, sizeof *m->start->inbox);
    m->start->inbox_count = count;
    for (uint32_t i = 0; i < count; i++)
        m->start->inbox[i] = (inbox_note){.seq = i + 1,
                                          .kind = NOTE_SIGNAL,
                                          .name = mem_strdup("approved"),
                                          .payload = text(i ? "\"later\"" : "\"first\"")};
    p->acknowledges = true;
    return m;
}

static void test_what_came_before_the_start(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    peer_say(&p, start_with_signals(&p, w, 2));
    signal_with(&p, 3, "approved", NULL, "\"third\""); /* before the definition */
    peer_define(&p);
    assert_string_equal(held.with[0], "\"first\"");
    assert_int_equal(peer_row(&p, 2)->inbox, 1);
    assert_int_equal(peer_next(&p, MESSAGE_REPORT)->report.inbox_seen, 3);
    peer_end(&p);
    world_free(w);
}

static void test_what_waits_for_a_definition_is_bounded(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    peer_say(&p, start_with_signals(&p, w, 10));
    for (uint64_t i = 0; i < 4096; i++)
        signal_with(&p, 11 + i, "x", NULL, NULL);
    assert_non_null(p.channel);
    signal_with(&p, 5000, "x", NULL, NULL);
    assert_null(p.channel);
    assert_int_equal(engine_of(w)->active, 0);
    peer_end(&p);
    world_free(w);
}

/* Whatever was on its way when the channel broke is sent again; the orchestrator has to know what was. */
static void test_a_new_channel_begins_with_what_was_told(void **state)
{
    world *w = peer_world(NULL);
    peer p, again;

    (void)state;
    begin(&p, w, APPROVED, NULL);
    signal_with(&p, 4, "other", NULL, NULL);
    peer_attach(&again, w, 64, 1, 1);
    assert_int_equal(peer_next(&again, MESSAGE_ACCEPTED)->accepted.inbox_seen, 4);
    assert_int_equal(again.said[0]->accepted.last_seq, 1);
    peer_end(&p);
    peer_end(&again);
    world_free(w);
}

/* ---- paused ---------------------------------------------------------------------------------------------- */

static void say_paused(peer *p, bool paused, uint64_t seq)
{
    message *m = message_new(MESSAGE_PAUSE, p->epoch);

    m->pause.paused = paused;
    channel_send(p->channel, m);
    peer_note(p, (inbox_note){.seq = seq, .kind = NOTE_WAKE});
}

#define TWO                                                                                  \
    "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"}," \
    "{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"]}]}"

static void test_what_is_paused_starts_nothing(void **state)
{
    world *w = peer_world(NULL);
    message *m;
    peer p;

    (void)state;
    m = peer_start(&p, w, 64, 1, TWO);
    m->start->paused = true;
    p.acknowledges = true;
    peer_say(&p, m);
    peer_define(&p);
    assert_int_equal(held.started, 0);
    say_paused(&p, false, 1);
    assert_int_equal(held.started, 1);
    say_paused(&p, true, 2);
    assert_int_equal(held.stopped, 0); /* what runs, finishes */
    held_succeed(0, NULL);
    world_settle(w);
    assert_int_equal(peer_row(&p, 1)->kind, CHECKPOINT_SUCCEEDED);
    assert_int_equal(held.started, 1);
    say_paused(&p, false, 3);
    assert_int_equal(held.started, 2);
    peer_end(&p);
    world_free(w);
}

static void test_a_pause_may_come_before_the_definition(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    peer_say(&p, peer_start(&p, w, 64, 1, TWO));
    say_paused(&p, true, 1);
    peer_define(&p);
    assert_int_equal(held.started, 0);
    say_paused(&p, false, 2);
    assert_int_equal(held.started, 1);
    peer_end(&p);
    world_free(w);
}

/* Only the note beside it says whether the suspension on its way was taken. */
static void test_who_is_paused_is_put_down(void **state)
{
    world *w = peer_world(NULL);
    message *m;
    peer p;

    (void)state;
    m = peer_start(&p, w, 64, 1, TWO);
    m->start->paused = true;
    peer_say(&p, m);
    peer_define(&p);
    world_advance(w, 1000);
    assert_int_equal(peer_last(&p)->report.end, REPORT_SUSPENDED);
    assert_int_equal(peer_last(&p)->report.wake_ms, INT64_MAX);
    m = message_new(MESSAGE_PAUSE, p.epoch);
    peer_say(&p, m);
    assert_int_equal(held.started, 0);
    peer_note(&p, (inbox_note){.seq = 1, .kind = NOTE_WAKE});
    assert_int_equal(held.started, 1);
    peer_end(&p);
    world_free(w);
}

/* ---- put down -------------------------------------------------------------------------------------------- */

static const message *suspension(peer *p)
{
    const message *m = peer_last(p);

    assert_int_equal(m->kind, MESSAGE_REPORT);
    return m->report.end == REPORT_SUSPENDED ? m : NULL;
}

static void test_who_waits_for_a_signal_is_put_down_when_it_is_quiet(void **state)
{
    world *w = peer_world(NULL);
    const message *m;
    peer p;

    (void)state;
    begin(&p, w, APPROVED, NULL);
    signal_with(&p, 1, "other", NULL, NULL);
    world_advance(w, 900);
    signal_with(&p, 2, "other", NULL, NULL); /* that was not quiet */
    world_advance(w, 999);
    assert_null(suspension(&p));
    world_advance(w, 1);
    m = suspension(&p);
    assert_non_null(m);
    assert_int_equal(m->report.wake_ms, INT64_MAX);
    assert_int_equal(m->report.wake_children, 0);
    assert_int_equal(m->report.inbox_seen, 2);
    channel_close(p.channel); /* it is stored */
    p.channel = NULL;
    world_settle(w);
    assert_int_equal(engine_of(w)->active, 0);
    peer_end(&p);
    world_free(w);
}

static void test_a_wait_that_ends_soon_is_kept(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, WAIT("{\"duration\":\"9s\"}"), NULL);
    world_advance(w, 8999);
    assert_null(suspension(&p));
    world_advance(w, 1);
    assert_int_equal(held.started, 1);
    peer_end(&p);
    begin(&p, w, WAIT("{\"signal\":\"x\",\"timeout\":\"10m\"}"), NULL);
    world_advance(w, 1000);
    assert_int_equal(suspension(&p)->report.wake_ms, w->now_ms + 599000);
    peer_end(&p);
    world_free(w);
}

/* A small engine lets any number of sleepers pass. */
static void test_a_crowded_engine_puts_down_at_once(void **state)
{
    world_options o = {.capacity = 4};
    world *w = peer_world(&o);
    peer p[5];

    (void)state;
    for (int i = 0; i < 3; i++) {
        message *m = peer_start(&p[i], w, 64 * (uint64_t)(i + 1), 1, APPROVED);

        p[i].acknowledges = true;
        peer_say(&p[i], m);
        if (!i)
            peer_define(&p[i]);
    }
    assert_null(suspension(&p[0]));
    assert_null(suspension(&p[1]));
    assert_non_null(suspension(&p[2])); /* more than half of it is in use */
    signal_with(&p[0], 1, "other", NULL, NULL);
    assert_non_null(suspension(&p[0])); /* it looks again whenever something has happened */
    assert_int_equal(engine_of(w)->active, 3);
    for (int i = 0; i < 3; i++)
        peer_end(&p[i]);
    world_free(w);
}

/* The note is newer than what the suspension says was seen, so that it is refused, and the engine goes on. */
static void test_a_note_that_crosses_a_suspension(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, APPROVED, NULL);
    world_advance(w, 1000);
    assert_int_equal(suspension(&p)->report.inbox_seen, 0);
    signal_with(&p, 1, "approved", NULL, "1");
    assert_int_equal(held.started, 1);
    held_succeed(0, NULL);
    world_settle(w);
    peer_assert_end(&p, RUN_SUCCEEDED, "null", "null");
    peer_end(&p);
    world_free(w);
}

/* Put down and brought back, with what came meanwhile and what it had not taken before. */
static void test_nothing_is_lost_by_a_suspension(void **state)
{
    world *w = peer_world(NULL);
    message *m;
    peer p, back;

    (void)state;
    begin(&p, w,
          "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"wait\","
          "\"with\":{\"signal\":\"one\"}},{\"id\":\"b\",\"executor\":\"wait\",\"with\":{\"signal\":"
          "\"two\"},\"depends_on\":[\"a\"]}],\"output\":[\"${steps.a.output}\","
          "\"${steps.b.output}\"]}",
          NULL);
    signal_with(&p, 1, "two", NULL, "2"); /* early: it stays in the store */
    world_advance(w, 1000);
    assert_non_null(suspension(&p));
    m = peer_start(&back, w, 64, 2, APPROVED);
    m->start->definition = p.definition->digest;
    m->start->checkpoints = mem_zalloc(sizeof(checkpoint));
    m->start->checkpoints[0] = *peer_row(&p, 1);
    bytes_ref(m->start->checkpoints[0].output);
    m->start->checkpoint_count = 1;
    m->start->inbox = mem_calloc(2, sizeof *m->start->inbox);
    m->start->inbox_count = 2;
    m->start->inbox[0] = (inbox_note){
        .seq = 1, .kind = NOTE_SIGNAL, .name = mem_strdup("two"), .payload = text("2")};
    m->start->inbox[1] = (inbox_note){
        .seq = 2, .kind = NOTE_SIGNAL, .name = mem_strdup("one"), .payload = text("1")};
    back.acknowledges = true;
    peer_say(&back, m);
    peer_assert_end(&back, RUN_SUCCEEDED, "[1,2]", "null");
    assert_int_equal(peer_row(&back, 2)->inbox, 2);
    peer_end(&p);
    peer_end(&back);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_what_is_no_time_fails_the_step),
        cmocka_unit_test(test_a_signal_ends_its_wait),
        cmocka_unit_test(test_a_correlation_is_a_template),
        cmocka_unit_test(test_a_signal_that_does_not_come),
        cmocka_unit_test(test_payloads_of_signals_are_decoded),
        cmocka_unit_test(test_a_note_is_told_once),
        cmocka_unit_test(test_what_came_before_the_start),
        cmocka_unit_test(test_what_waits_for_a_definition_is_bounded),
        cmocka_unit_test(test_a_new_channel_begins_with_what_was_told),
        cmocka_unit_test(test_what_is_paused_starts_nothing),
        cmocka_unit_test(test_a_pause_may_come_before_the_definition),
        cmocka_unit_test(test_who_is_paused_is_put_down),
        cmocka_unit_test(test_who_waits_for_a_signal_is_put_down_when_it_is_quiet),
        cmocka_unit_test(test_a_wait_that_ends_soon_is_kept),
        cmocka_unit_test(test_a_crowded_engine_puts_down_at_once),
        cmocka_unit_test(test_a_note_that_crosses_a_suspension),
        cmocka_unit_test(test_nothing_is_lost_by_a_suspension),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
