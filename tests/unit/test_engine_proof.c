/* Goal: an engine whose orchestrator is another process starts steps only with fresh proof that the hand-over stands, whatever the network
 * holds back, and an attempt that has begun is not begun again by what came too late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine_impl.h"
#include "support/peer.h"

#define TWO_STEPS                                                                  \
    "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":" \
    "\"test\"},{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"]}]}"
#define SCRIPTED                                                                   \
    "{\"id\":\"lua\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":" \
    "\"test\",\"with\":{\"x\":\"${1 + 1}\"},\"timeout\":\"10s\"}]}"

#define KEY 64

static world *begin(bool remote)
{
    const world_options o = {.remote = remote};

    return peer_world(&o);
}

/* Without a confirmation. */
static void hand_over(peer *p, world *w, uint64_t counter, const char *text)
{
    peer_say(p, peer_start(p, w, KEY, counter, text));
    if (peer_last(p)->kind == MESSAGE_NEED_DEFINITION)
        peer_define(p);
}

static void confirm(peer *p, uint64_t number)
{
    message *m = message_new(MESSAGE_CONFIRMATION, p->epoch);

    m->confirmation.number = number;
    peer_say(p, m);
}

/* The number of the question that came. */
static uint64_t accepted(peer *p)
{
    return peer_next(p, MESSAGE_ACCEPTED)->accepted.number;
}

static uint64_t asked(peer *p)
{
    return peer_next(p, MESSAGE_NEED_CONFIRMATION)->confirmation.number;
}

static void attach(peer *p, world *w, uint64_t stored_seq, uint32_t number)
{
    message *m;

    peer_open(p, w);
    p->epoch = (epoch){1, 1};
    m = message_new(MESSAGE_ATTACH, p->epoch);
    m->attach.key = KEY;
    m->attach.stored_seq = stored_seq;
    m->attach.number = number;
    peer_say(p, m);
}

static void finish(world *w)
{
    held_end_all();
    world_settle(w);
    world_free(w);
}

/* ---- the first step -------------------------------------------------------------------------------------- */

static void test_nothing_starts_before_it_is_confirmed(void **state)
{
    world *w = begin(true);
    uint64_t number;
    peer p;

    (void)state;
    hand_over(&p, w, 1, TWO_STEPS);
    number = accepted(&p);
    assert_true(number > 0);
    world_advance(w, CONFIRMED_MS - 1);
    assert_int_equal(held.started, 0);
    confirm(&p, number + 1); /* of nothing that was asked */
    assert_int_equal(held.started, 0);
    confirm(&p, number);
    assert_int_equal(held.started, 1);
    assert_false(peer_has(&p, MESSAGE_NEED_CONFIRMATION));
    peer_end(&p);
    finish(w);
}

static void test_one_that_comes_late_counts_for_nothing(void **state)
{
    world *w = begin(true);
    uint64_t first, second;
    peer p;

    (void)state;
    hand_over(&p, w, 1, TWO_STEPS);
    first = accepted(&p);
    world_advance(w, CONFIRMED_MS);
    confirm(&p, first);
    assert_int_equal(held.started, 0);
    second = asked(&p);
    assert_true(second > first);
    confirm(&p, first); /* once more */
    assert_int_equal(held.started, 0);
    confirm(&p, second);
    assert_int_equal(held.started, 1);
    peer_end(&p);
    finish(w);
}

static void test_in_one_process_nobody_asks(void **state)
{
    world *w = begin(false);
    peer p;

    (void)state;
    hand_over(&p, w, 1, TWO_STEPS);
    assert_int_equal(accepted(&p), 0);
    assert_int_equal(held.started, 1);
    peer_end(&p);
    finish(w);
}

/* ---- later ones ------------------------------------------------------------------------------------------ */

static void start_first(peer *p, world *w)
{
    hand_over(p, w, 1, TWO_STEPS);
    confirm(p, accepted(p));
    assert_int_equal(held.started, 1);
}

static void test_an_acknowledgement_is_proof_from_when_its_report_went(void **state)
{
    world *w = begin(true);
    peer p;

    (void)state;
    start_first(&p, w);
    world_advance(w, 10 * CONFIRMED_MS); /* it runs for longer than any proof holds */
    held_succeed(0, NULL);
    world_settle(w);
    assert_int_equal(peer_next(&p, MESSAGE_REPORT)->report.count, 1);
    world_advance(w, CONFIRMED_MS - 1);
    assert_int_equal(held.started, 1);
    peer_acknowledge(&p, 1);
    assert_int_equal(held.started, 2);
    assert_false(peer_has(&p, MESSAGE_NEED_CONFIRMATION));
    peer_end(&p);
    finish(w);
}

static void test_an_old_acknowledgement_is_none(void **state)
{
    world *w = begin(true);
    peer p;

    (void)state;
    start_first(&p, w);
    held_succeed(0, NULL);
    world_advance(w, CONFIRMED_MS);
    peer_acknowledge(&p, 1);
    assert_int_equal(held.started, 1);
    confirm(&p, asked(&p));
    assert_int_equal(held.started, 2);
    peer_end(&p);
    finish(w);
}

/* An acknowledgement of what went on an older channel may have been said before it went again. */
static void test_a_new_channel_has_to_prove_anew(void **state)
{
    world *w = begin(true);
    peer p, q;

    (void)state;
    start_first(&p, w);
    held_succeed(0, NULL);
    world_settle(w);
    attach(&q, w, 0, 1);
    assert_int_equal(peer_next(&q, MESSAGE_ACCEPTED)->accepted.number, 2);
    assert_int_equal(peer_next(&q, MESSAGE_REPORT)->report.count, 1);
    peer_acknowledge(&q, 1);
    assert_int_equal(held.started, 1);
    confirm(&q, 2);
    assert_int_equal(held.started, 2);
    peer_end(&p);
    peer_end(&q);
    finish(w);
}

/* ---- what was on its way to its executor ------------------------------------------------------------------- */

static void hold_one(peer *p, world *w)
{
    w->pool_held = true;
    hand_over(p, w, 1, SCRIPTED);
    confirm(p, accepted(p));
    world_advance(w, CONFIRMED_MS);
    w->pool_held = false;
    world_settle(w);
    assert_int_equal(held.started, 0);
}

static void test_what_took_long_to_evaluate_is_held(void **state)
{
    world *w = begin(true);
    peer p;

    (void)state;
    hold_one(&p, w);
    confirm(&p, asked(&p));
    assert_int_equal(held.started, 1);
    assert_string_equal(held.with[0], "{\"x\":2}");
    peer_end(&p);
    finish(w);
}

static void test_what_is_held_can_be_stopped(void **state)
{
    world *w = begin(true);
    peer p;

    (void)state;
    hold_one(&p, w);
    peer_note(&p, (inbox_note){.seq = 1, .kind = NOTE_CANCEL});
    assert_int_equal(peer_row(&p, 1)->kind, CHECKPOINT_CANCELLED);
    confirm(&p, asked(&p));
    assert_int_equal(held.started, 0);
    peer_end(&p);
    finish(w);
}

static void test_what_is_held_goes_with_its_slot(void **state)
{
    world *w = begin(true);
    peer p, q;

    (void)state;
    hold_one(&p, w);
    hand_over(&q, w, 2, SCRIPTED);
    assert_int_equal(w->engines[0].engine->active, 1);
    confirm(&q, accepted(&q));
    assert_int_equal(held.started, 1);
    peer_end(&p);
    peer_end(&q);
    finish(w);
}

/* ---- what overtakes -------------------------------------------------------------------------------------- */

/* A connection is cut; what it still had comes after what went on the next one. */
static void test_a_start_that_an_attachment_has_overtaken_starts_nothing(void **state)
{
    world *w = begin(true);
    peer old, attached, new;

    (void)state;
    attach(&attached, w, 0, 1);
    peer_assert_refused(&attached, ORCH_E_NOT_FOUND, "does not have");
    hand_over(&old, w, 1, TWO_STEPS);
    assert_int_equal(held.started, 0);
    hand_over(&new, w, 2, TWO_STEPS);
    confirm(&new, accepted(&new));
    assert_int_equal(held.started, 1);
    peer_end(&old);
    peer_end(&attached);
    peer_end(&new);
    finish(w);
}

static void test_an_attachment_that_another_has_overtaken_is_refused(void **state)
{
    world *w = begin(true);
    peer first, third, second;

    (void)state;
    start_first(&first, w);
    attach(&third, w, 0, 2);
    confirm(&third, accepted(&third));
    attach(&second, w, 0, 1);
    peer_assert_refused(&second, ORCH_E_ABORTED, "newer");
    assert_non_null(third.channel);
    held_succeed(0, NULL);
    world_settle(w);
    peer_acknowledge(&third, 1);
    assert_int_equal(held.started, 2);
    peer_end(&first);
    peer_end(&second);
    peer_end(&third);
    finish(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_starts_before_it_is_confirmed),
        cmocka_unit_test(test_one_that_comes_late_counts_for_nothing),
        cmocka_unit_test(test_in_one_process_nobody_asks),
        cmocka_unit_test(test_an_acknowledgement_is_proof_from_when_its_report_went),
        cmocka_unit_test(test_an_old_acknowledgement_is_none),
        cmocka_unit_test(test_a_new_channel_has_to_prove_anew),
        cmocka_unit_test(test_what_took_long_to_evaluate_is_held),
        cmocka_unit_test(test_what_is_held_can_be_stopped),
        cmocka_unit_test(test_what_is_held_goes_with_its_slot),
        cmocka_unit_test(test_a_start_that_an_attachment_has_overtaken_starts_nothing),
        cmocka_unit_test(test_an_attachment_that_another_has_overtaken_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
