/* Goal: the engine's side of the execution protocol, against an orchestrator that the test plays itself: definitions that do not
 * come or are others, hand-overs that cross, what it may not believe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine_impl.h"
#include "support/peer.h"

#define TWO_STEPS(version)                                                               \
    "{\"id\":\"two\",\"version\":\"" version "\",\"steps\":[{\"id\":\"a\",\"executor\":" \
    "\"test\"},{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"]}]}"

/* Hand execution `key` over, of a definition that the engine may not have. */
static void hand_over(peer *p, world *w, uint64_t key, uint64_t counter, const char *text)
{
    message *m = peer_start(p, w, key, counter, text);

    peer_say(p, m);
}

static void note_cancel(peer *p)
{
    peer_note(p, (inbox_note){.seq = 1, .kind = NOTE_CANCEL});
}

static world *begin(uint32_t capacity)
{
    const world_options o = {.capacity = capacity};

    return peer_world(&o);
}

static definition *parsed(const char *text)
{
    definition *d = NULL;

    assert_int_equal(definition_parse(text, strlen(text), NULL, &d, NULL), 0);
    return d;
}

/* ---- definitions ----------------------------------------------------------------------------------------- */

static void test_a_definition_is_asked_for_once(void **state)
{
    world *w = begin(0);
    peer one, two;

    (void)state;
    hand_over(&one, w, 64, 1, TWO_STEPS("1.0.0"));
    assert_int_equal(one.said[0]->kind, MESSAGE_ACCEPTED);
    assert_int_equal(peer_last(&one)->kind, MESSAGE_NEED_DEFINITION);
    assert_memory_equal(&peer_last(&one)->definition.digest, &one.definition->digest,
                        sizeof(digest));
    assert_int_equal(held.started, 0);
    peer_define(&one);
    assert_int_equal(held.started, 1);
    peer_define(&one); /* again: nothing happens */
    assert_int_equal(held.started, 1);
    hand_over(&two, w, 128, 2, TWO_STEPS("1.0.0"));
    assert_int_equal(held.started, 2);
    peer_end(&one);
    peer_end(&two);
    world_free(w);
}

static void test_another_definition_is_refused(void **state)
{
    world *w = begin(0);
    definition *asked;
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    asked = p.definition;
    p.definition = parsed(TWO_STEPS("2.0.0"));
    peer_define(&p);
    peer_assert_refused(&p, ORCH_E_DATA_LOSS, "another definition");
    assert_int_equal(held.started, 0);
    definition_unref(asked);
    peer_end(&p);
    world_free(w);
}

static void test_what_is_no_definition_is_refused(void **state)
{
    static const char text[] = "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":7}";
    world *w = begin(0);
    message *m;
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    m = message_new(MESSAGE_DEFINITION, p.epoch);
    m->definition.text = bytes_new(text, sizeof text - 1);
    peer_say(&p, m);
    peer_assert_refused(&p, ORCH_E_INVALID_ARGUMENT, "steps");
    assert_int_equal(w->engines[0].engine->active, 0);
    peer_end(&p);
    world_free(w);
}

/* The oldest that nobody uses go, and come again when they are wanted; one in use stays. */
static void test_definitions_held_are_bounded(void **state)
{
    enum { MANY = KNOWN_DEFINITIONS_MAX + 20 };
    world *w = begin(0);
    char text[200];
    peer kept, p;

    (void)state;
    hand_over(&kept, w, 64, 1, TWO_STEPS("9.0.0"));
    peer_define(&kept);
    assert_int_equal(held.started, 1);
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(text, sizeof text,
                 "{\"id\":\"n%u\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":"
                 "\"noop\"}]}",
                 i);
        hand_over(&p, w, 128 + 64 * i, 2 + i, text);
        peer_define(&p);
        assert_int_equal(peer_last(&p)->kind, MESSAGE_REPORT);
        assert_int_equal(peer_last(&p)->report.end, REPORT_COMPLETED);
        peer_end(&p);
    }
    assert_true(w->engines[0].engine->known_count <= KNOWN_DEFINITIONS_MAX + 1);
    hand_over(&p, w, 128 + 64 * MANY, 2 + MANY, text); /* the newest: it is here */
    assert_int_equal(peer_last(&p)->kind, MESSAGE_REPORT);
    peer_end(&p);
    hand_over(&p, w, 192 + 64 * MANY, 3 + MANY,
              "{\"id\":\"n0\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":"
              "\"noop\"}]}");
    assert_int_equal(peer_last(&p)->kind, MESSAGE_NEED_DEFINITION);
    peer_end(&p);
    held_succeed(0, NULL);
    world_settle(w);
    peer_acknowledge(&kept, 1);
    assert_int_equal(held.started, 2); /* its definition has stayed */
    peer_end(&kept);
    world_free(w);
}

/* ---- hand-overs that cross ------------------------------------------------------------------------------- */

static void test_the_newer_hand_over_stands(void **state)
{
    world *w = begin(0);
    peer old, newer, late;

    (void)state;
    hand_over(&old, w, 64, 1, TWO_STEPS("1.0.0"));
    peer_define(&old);
    hand_over(&newer, w, 64, 2, TWO_STEPS("1.0.0"));
    assert_int_equal(held.started, 2);
    assert_int_equal(held.stopped, 1);
    assert_null(old.channel);
    hand_over(&late, w, 64, 1, TWO_STEPS("1.0.0"));
    peer_assert_refused(&late, ORCH_E_ABORTED, "order");
    held_succeed(0, NULL); /* the zombie's */
    world_settle(w);
    assert_int_not_equal(peer_last(&newer)->kind, MESSAGE_REPORT);
    held_succeed(1, NULL);
    world_settle(w);
    assert_int_equal(peer_last(&newer)->kind, MESSAGE_REPORT);
    assert_int_equal(peer_last(&newer)->report.count, 1);
    peer_end(&old);
    peer_end(&newer);
    peer_end(&late);
    world_free(w);
}

static void test_only_the_same_hand_over_is_attached_to(void **state)
{
    world *w = begin(0);
    peer p, other;

    (void)state;
    hand_over(&p, w, 64, 2, TWO_STEPS("1.0.0"));
    peer_attach(&other, w, 64, 2, 0); /* it has no definition yet: nothing to go on with */
    peer_assert_refused(&other, ORCH_E_NOT_FOUND, "engine-0");
    peer_end(&other);
    peer_define(&p);
    peer_attach(&other, w, 64, 1, 0);
    peer_assert_refused(&other, ORCH_E_NOT_FOUND, "engine-0");
    peer_end(&other);
    peer_attach(&other, w, 128, 2, 0);
    peer_assert_refused(&other, ORCH_E_NOT_FOUND, "engine-0");
    peer_end(&other);
    assert_int_equal(held.stopped, 0);
    held_succeed(0, NULL);
    world_settle(w);
    peer_attach(&other, w, 64, 2, 0); /* the break was noticed at one end only */
    assert_null(p.channel);
    assert_int_equal(other.said[0]->kind, MESSAGE_ACCEPTED);
    assert_int_equal(peer_last(&other)->kind, MESSAGE_REPORT); /* what was not acknowledged */
    assert_int_equal(peer_last(&other)->report.count, 1);
    assert_int_equal(held.started, 1);
    peer_acknowledge(&other, 1);
    assert_int_equal(held.started, 2);
    peer_end(&p);
    peer_end(&other);
    world_free(w);
}

static void test_a_full_or_stopping_engine_takes_nothing(void **state)
{
    world *w = begin(1);
    peer first, second, third;

    (void)state;
    hand_over(&first, w, 64, 1, TWO_STEPS("1.0.0"));
    hand_over(&second, w, 128, 2, TWO_STEPS("1.0.0"));
    peer_assert_refused(&second, ORCH_E_RESOURCE_EXHAUSTED, "full");
    engine_stop(w->engines[0].engine);
    hand_over(&third, w, 192, 3, TWO_STEPS("1.0.0"));
    peer_assert_refused(&third, ORCH_E_UNAVAILABLE, "stopping");
    peer_end(&first);
    peer_end(&second);
    peer_end(&third);
    world_free(w);
}

/* ---- what it may not believe ----------------------------------------------------------------------------- */

static void test_a_channel_begins_with_a_hand_over(void **state)
{
    world *w = begin(0);
    peer p;

    (void)state;
    peer_open(&p, w);
    peer_acknowledge(&p, 1);
    assert_null(p.channel);
    assert_int_equal(p.count, 0);
    peer_end(&p);
    world_free(w);
}

static void test_nothing_goes_on_for_a_wrong_acknowledgement(void **state)
{
    world *w = begin(0);
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    peer_acknowledge(&p, 1); /* before there is anything */
    peer_define(&p);
    held_succeed(0, NULL);
    world_settle(w);
    peer_acknowledge(&p, 2);
    peer_acknowledge(&p, UINT64_MAX);
    peer_acknowledge(&p, 0);
    assert_int_equal(held.started, 1);
    peer_acknowledge(&p, 1);
    assert_int_equal(held.started, 2);
    peer_end(&p);
    world_free(w);
}

static void test_what_is_not_understood_is_passed_over(void **state)
{
    world *w = begin(0);
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    peer_define(&p);
    peer_say(&p, message_new(250, p.epoch));
    assert_non_null(p.channel);
    assert_int_equal(held.stopped, 0);
    peer_say(&p, message_new(MESSAGE_STOP, p.epoch));
    assert_int_equal(held.stopped, 1);
    assert_int_equal(w->engines[0].engine->active, 0);
    peer_end(&p);
    world_free(w);
}

static void test_a_cancel_may_come_before_the_definition(void **state)
{
    world *w = begin(0);
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    note_cancel(&p);
    peer_define(&p);
    assert_int_equal(held.started, 0);
    assert_int_equal(peer_last(&p)->kind, MESSAGE_REPORT);
    assert_int_equal(peer_last(&p)->report.end, REPORT_COMPLETED);
    assert_int_equal(peer_last(&p)->report.state, RUN_CANCELLED);
    peer_end(&p);
    world_free(w);
}

static void test_without_its_definition_a_broken_channel_ends_it(void **state)
{
    world *w = begin(0);
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    assert_int_equal(w->engines[0].engine->active, 1);
    transport_inproc_break(p.channel);
    world_settle(w);
    assert_int_equal(w->engines[0].engine->active, 0);
    peer_end(&p);
    world_free(w);
}

/* ---- turns ----------------------------------------------------------------------------------------------- */

#define STEP(id) "{\"id\":\"" id "\",\"executor\":\"noop\"}"
#define FOUR_STEPS                                                                         \
    "{\"id\":\"four\",\"version\":\"1.0.0\",\"steps\":[" STEP("a") "," STEP("b") "," STEP( \
        "c") "," STEP("d") "]}"

/* The START is on its way. */
static void begin_hand_over(peer *p, world *w, uint64_t key, uint64_t counter)
{
    message *m = peer_start(p, w, key, counter, FOUR_STEPS);

    channel_send(p->channel, m);
}

/* What one execution reports in parts, with all others between them, lies in parts in the store. */
static void test_no_execution_is_cut_short_by_the_others_share(void **state)
{
    world *w = begin(0);
    transport *t = &w->transport;
    peer one, two, three;

    (void)state;
    peer_hand_over(&one, w, 64, FOUR_STEPS); /* the definition is known from here on */
    begin_hand_over(&two, w, 128, 2);
    begin_hand_over(&three, w, 192, 3);
    t->ops->pump(t->self, 10);
    engine_pump(w->engines[0].engine, 10); /* nine actions are one, so one is left for the other */
    t->ops->pump(t->self, 10);
    assert_int_equal(peer_next(&two, MESSAGE_REPORT)->report.count, 4);
    assert_int_equal(peer_next(&three, MESSAGE_REPORT)->report.count, 4);
    peer_end(&one);
    peer_end(&two);
    peer_end(&three);
    world_free(w);
}

/* But neither does one take all that there is. */
static void test_an_execution_takes_no_more_than_a_share(void **state)
{
    world *w = begin(0);
    transport *t = &w->transport;
    peer one, two;

    (void)state;
    peer_hand_over(&one, w, 64, FOUR_STEPS);
    begin_hand_over(&two, w, 128, 2);
    t->ops->pump(t->self, 10);
    assert_true(engine_pump(w->engines[0].engine, 5)); /* there is more to do */
    t->ops->pump(t->self, 10);
    assert_true(peer_next(&two, MESSAGE_REPORT)->report.count < 4);
    world_settle(w);
    assert_int_equal(two.last_seq, 4);
    peer_end(&one);
    peer_end(&two);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_definition_is_asked_for_once),
        cmocka_unit_test(test_another_definition_is_refused),
        cmocka_unit_test(test_what_is_no_definition_is_refused),
        cmocka_unit_test(test_definitions_held_are_bounded),
        cmocka_unit_test(test_the_newer_hand_over_stands),
        cmocka_unit_test(test_only_the_same_hand_over_is_attached_to),
        cmocka_unit_test(test_a_full_or_stopping_engine_takes_nothing),
        cmocka_unit_test(test_a_channel_begins_with_a_hand_over),
        cmocka_unit_test(test_nothing_goes_on_for_a_wrong_acknowledgement),
        cmocka_unit_test(test_what_is_not_understood_is_passed_over),
        cmocka_unit_test(test_a_cancel_may_come_before_the_definition),
        cmocka_unit_test(test_without_its_definition_a_broken_channel_ends_it),
        cmocka_unit_test(test_no_execution_is_cut_short_by_the_others_share),
        cmocka_unit_test(test_an_execution_takes_no_more_than_a_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
