/* Goal: what an engine of another process may still start steps of is given to nobody else before that is over, and to everybody at once
 * where no such engine can have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/held_attempts.h"
#include "support/world.h"

#define WAIT_MS (CONFIRMED_MS + CONFIRMED_MARGIN_MS)
#define ONE                                                                                 \
    "{\"id\":\"one\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"}" \
    "]}"
#define SLEEPER                                                                                    \
    "{\"id\":\"sleeper\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"w\",\"executor\":\"wait\","    \
    "\"with\":{\"duration\":\"1h\"}},{\"id\":\"a\",\"executor\":\"test\",\"depends_on\":[\"w\"]}]" \
    "}"

static const world_options remote = {.test_executor = &held_ops, .remote = true};
static const world_options embedded = {.test_executor = &held_ops};

static world *begin(const world_options *o)
{
    world *w;

    held_reset();
    w = world_new(o);
    world_register(w, ONE);
    return w;
}

static void end(world *w)
{
    held_end_all();
    world_settle(w);
    world_free(w);
}

static void restart(world *w, const world_options *o)
{
    world_restart(w, o);
    world_settle(w);
}

static size_t notes(world *w)
{
    setting_page page = {0};
    size_t n;

    assert_int_equal(w->store.ops->load_settings(w->store.self, "engines/remote", &page, NULL), 0);
    n = page.count;
    setting_page_clear(&page);
    return n;
}

/* ---- openings -------------------------------------------------------------------------------------------- */

static void test_what_was_there_waits_and_what_is_new_does_not(void **state)
{
    world *w = begin(&remote);

    (void)state;
    world_start(w, "one", "old", NULL);
    assert_int_equal(held.started, 1);
    restart(w, &remote);
    assert_int_equal(held.started, 1);
    world_start(w, "one", "new", NULL);
    assert_int_equal(held.started, 2);
    assert_string_equal(held.keys[1], "new/1/a");
    world_advance(w, WAIT_MS - 1);
    assert_int_equal(held.started, 2);
    world_advance(w, 1);
    assert_int_equal(held.started, 3);
    assert_string_equal(held.keys[2], "old/1/a");
    end(w);
}

/* Also where something wakes it. */
static void test_who_is_told_something_waits_too(void **state)
{
    world *w = begin(&remote);

    (void)state;
    world_register(w, SLEEPER);
    world_start(w, "sleeper", "s", NULL);
    world_advance(w, 2000);
    assert_int_equal(world_state(w, world_key(w, "s")), EXECUTION_SUSPENDED);
    restart(w, &remote);
    assert_int_equal(world_cancel(w, "s", NULL), 0);
    world_advance(w, WAIT_MS - 1);
    assert_int_equal(world_state(w, world_key(w, "s")), EXECUTION_OPEN);
    world_advance(w, 1);
    assert_int_equal(world_state(w, world_key(w, "s")), EXECUTION_CANCELLED);
    end(w);
}

static void test_who_is_due_waits_too(void **state)
{
    world *w = begin(&remote);

    (void)state;
    world_register(w, SLEEPER);
    world_start(w, "sleeper", "s", NULL);
    world_advance(w, 3600000 - 1);
    restart(w, &remote);
    world_advance(w, WAIT_MS - 1);
    assert_int_equal(held.started, 0);
    world_advance(w, 1);
    assert_int_equal(held.started, 1);
    end(w);
}

static void test_engines_of_this_process_are_not_waited_for(void **state)
{
    world *w = begin(&embedded);

    (void)state;
    world_start(w, "one", NULL, NULL);
    assert_int_equal(notes(w), 0);
    restart(w, &embedded);
    assert_int_equal(held.started, 2);
    restart(w, &remote); /* the first time that there are others */
    assert_int_equal(held.started, 3);
    assert_int_equal(notes(w), 1);
    restart(w, &embedded);
    assert_int_equal(held.started, 3); /* these may have it */
    world_advance(w, WAIT_MS);
    assert_int_equal(held.started, 4);
    end(w);
}

/* ---- engines that are lost ------------------------------------------------------------------------------- */

static uint64_t lose(world *w)
{
    uint64_t key = world_start(w, "one", NULL, NULL);

    assert_int_equal(held.started, 1);
    transport_inproc_break(world_channel(w, key));
    world_restart_engine(w, 0, &remote);
    world_settle(w);
    return key;
}

/* The one that had it may live on somewhere. */
static void test_another_process_at_its_address_says_nothing_of_it(void **state)
{
    world *w = begin(&remote);

    (void)state;
    lose(w);
    world_advance(w, WAIT_MS - 1);
    assert_int_equal(held.started, 1);
    world_advance(w, 1);
    assert_int_equal(held.started, 2);
    end(w);
}

static void test_what_waits_can_be_cancelled(void **state)
{
    world *w = begin(&remote);
    uint64_t key = lose(w);
    char made[EXECUTION_ID_LEN + 1];

    (void)state;
    execution_id_format(key, made);
    assert_int_equal(world_cancel(w, made, NULL), 0);
    world_advance(w, WAIT_MS);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_int_equal(held.started, 1);
    end(w);
}

/* It says so itself: there is nothing to wait for. */
static void test_an_engine_that_lets_go_is_not_waited_for(void **state)
{
    world *w = begin(&remote);

    (void)state;
    world_start(w, "one", NULL, NULL);
    world_restart_engine(w, 0, &remote); /* it stops */
    world_advance(w, 200);
    assert_int_equal(held.started, 2);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_there_waits_and_what_is_new_does_not),
        cmocka_unit_test(test_who_is_told_something_waits_too),
        cmocka_unit_test(test_who_is_due_waits_too),
        cmocka_unit_test(test_engines_of_this_process_are_not_waited_for),
        cmocka_unit_test(test_another_process_at_its_address_says_nothing_of_it),
        cmocka_unit_test(test_what_waits_can_be_cancelled),
        cmocka_unit_test(test_an_engine_that_lets_go_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
