/* Goal: who starts when: priorities, limits of keys, delayed starts; and that what has to wait stands in nobody's way, in memory or in
 * the store, and is forgotten in neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "orchestrator/orchestrator_impl.h"
#include "support/held_attempts.h"
#include "support/world.h"

#define STEP \
    "{\"id\":\"step\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"}]}"

static world *begin(const world_options *o)
{
    world *w;

    held_reset();
    w = world_new(o);
    world_register(w, STEP);
    return w;
}

static void answered(start_request *r)
{
    r->workflow = NULL;
}

/* Takes what `like` owns over. */
static uint64_t start(world *w, const char *id, start_request like)
{
    char *name = mem_strdup("step");
    start_request r = like;

    r.done = answered;
    r.workflow = name;
    r.id = id ? mem_strdup(id) : NULL;
    orchestrator_start(w->orchestrator, &r);
    world_settle(w);
    assert_null(r.workflow);
    assert_int_equal(r.code, 0);
    mem_free(name);
    mem_free(r.id);
    mem_free(r.limit_key);
    mem_free(r.affinity);
    return r.key;
}

static uint64_t start_limited(world *w, const char *id, const char *key)
{
    return start(w, id, (start_request){.limit_key = mem_strdup(key)});
}

static void finish_oldest(world *w)
{
    for (int i = 0; i < held.started; i++)
        if (held.open[i]) {
            held_end(i, (attempt_result){0});
            break;
        }
    world_settle(w);
}

static int running(void)
{
    int n = 0;

    for (int i = 0; i < held.started; i++)
        n += held.open[i] != NULL;
    return n;
}

/* The execution of the newest attempt. */
static const char *newest(void)
{
    return held.open[held.started - 1]->execution;
}

static void assert_nothing_is_left(world *w)
{
    orchestrator_stats stats;

    orchestrator_get_stats(w->orchestrator, &stats);
    assert_int_equal(stats.open, 0);
    assert_int_equal(stats.pending, 0);
    assert_int_equal(stats.running, 0);
    assert_int_equal(HASH_COUNT(w->orchestrator->lives), 0);
    assert_int_equal(w->orchestrator->blocked_count, 0);
}

/* ---- time ------------------------------------------------------------------------------------------------ */

/* Nothing was asked for hours, nor was there anything to do. */
static void a_start_after_a_rest_is_of_its_own_time(void **state)
{
    const world_options o = {.test_executor = &held_ops};
    world *w = begin(&o);
    execution_row row;
    uint64_t key;

    (void)state;
    w->now_ms += 7200 * 1000;
    key = start(w, "late", (start_request){.timeout_ms = 3600 * 1000});
    assert_int_equal(w->store.ops->load_execution(w->store.self, key, NULL, &row, NULL), 0);
    assert_int_equal(row.state, EXECUTION_OPEN);
    assert_int_equal(row.accepted_ms, w->now_ms);
    assert_int_equal(row.deadline_ms, w->now_ms + 3600 * 1000);
    execution_row_clear(&row);
    finish_oldest(w);
    assert_nothing_is_left(w);
    world_free(w);
}

/* ---- priorities ------------------------------------------------------------------------------------------ */

static const world_options one_slot = {.test_executor = &held_ops, .capacity = 1};

static void the_highest_priority_is_next(void **state)
{
    world *w = begin(&one_slot);
    static const char *const order[] = {"runs", "ninth", "plain", "plain-too", "low"};

    (void)state;
    start(w, "runs", (start_request){0});
    start(w, "low", (start_request){.has_priority = true, .priority = 0});
    start(w, "plain", (start_request){0});
    start(w, "ninth", (start_request){.has_priority = true, .priority = 9});
    start(w, "plain-too", (start_request){.has_priority = true, .priority = 5});
    for (int i = 0; i < 5; i++) {
        assert_int_equal(held.started, i + 1);
        assert_string_equal(newest(), order[i]);
        finish_oldest(w);
    }
    assert_nothing_is_left(w);
    world_free(w);
}

/* ---- limits ---------------------------------------------------------------------------------------------- */

static const world_options many_slots = {.test_executor = &held_ops, .capacity = 100};

static void set_limit(world *w, const char *key, limit l)
{
    assert_int_equal(limit_set(w->orchestrator, key, &l, NULL), 0);
    world_settle(w);
}

static void a_limit_holds_for_its_key_only(void **state)
{
    world *w = begin(&many_slots);

    (void)state;
    set_limit(w, "tenant", (limit){.concurrency = 2});
    for (int i = 0; i < 5; i++)
        start_limited(w, NULL, "tenant");
    assert_int_equal(running(), 2);
    start_limited(w, NULL, "other");
    start(w, NULL, (start_request){0});
    assert_int_equal(running(), 4);
    for (int i = 0; i < 7; i++) {
        assert_true(running() > 0);
        finish_oldest(w);
    }
    assert_int_equal(held.started, 7);
    assert_nothing_is_left(w);
    world_free(w);
}

static void a_limit_changes_while_it_holds(void **state)
{
    world *w = begin(&many_slots);

    (void)state;
    set_limit(w, "tenant", (limit){.concurrency = 1});
    for (int i = 0; i < 6; i++)
        start_limited(w, NULL, "tenant");
    assert_int_equal(running(), 1);
    set_limit(w, "tenant", (limit){.concurrency = 3});
    assert_int_equal(running(), 3);
    set_limit(w, "tenant", (limit){.concurrency = 1});
    finish_oldest(w);
    finish_oldest(w);
    assert_int_equal(running(), 1);
    set_limit(w, "tenant", (limit){0});
    assert_int_equal(running(), 4);
    held_end_all();
    world_settle(w);
    assert_nothing_is_left(w);
    world_free(w);
}

static void a_rate_is_kept(void **state)
{
    world *w = begin(&many_slots);

    (void)state;
    set_limit(w, "api", (limit){.rate = 2, .per_ms = 1000});
    for (int i = 0; i < 6; i++)
        start_limited(w, NULL, "api");
    assert_int_equal(running(), 2);
    for (int i = 3; i <= 6; i++) {
        world_advance(w, 499);
        assert_int_equal(running(), i - 1);
        world_advance(w, 1);
        assert_int_equal(running(), i);
    }
    held_end_all();
    world_settle(w);
    world_advance(w, 10000); /* the bucket is full again, and no fuller */
    for (int i = 0; i < 3; i++)
        start_limited(w, NULL, "api");
    assert_int_equal(running(), 2);
    world_advance(w, 500);
    held_end_all();
    world_settle(w);
    assert_nothing_is_left(w);
    world_free(w);
}

static void a_burst_is_larger_than_the_rate(void **state)
{
    world *w = begin(&many_slots);

    (void)state;
    set_limit(w, "api", (limit){.rate = 1, .per_ms = 1000, .burst = 4});
    for (int i = 0; i < 6; i++)
        start_limited(w, NULL, "api");
    assert_int_equal(running(), 4);
    world_advance(w, 1000);
    assert_int_equal(running(), 5);
    world_advance(w, 1000);
    assert_int_equal(running(), 6);
    world_free(w);
}

/* More of one key than may wait in memory: others pass, and none is forgotten. */
static void many_of_a_key_wait_in_the_store(void **state)
{
    static const world_options small = {.test_executor = &held_ops, .capacity = 100, .window = 8};
    world *w = begin(&small);

    (void)state;
    set_limit(w, "tenant", (limit){.concurrency = 1});
    for (int i = 0; i < 60; i++)
        start_limited(w, NULL, "tenant");
    assert_int_equal(running(), 1);
    assert_true(w->orchestrator->blocked_count <= 4);
    for (int i = 0; i < 20; i++)
        start(w, NULL, (start_request){0});
    assert_int_equal(running(), 21);
    for (int i = 0; i < 80; i++) {
        assert_true(running() > 0);
        finish_oldest(w);
    }
    assert_int_equal(held.started, 80);
    assert_nothing_is_left(w);
    world_free(w);
}

/* It has left those that wait for a place, and ends before an engine has room for it. */
static void what_ends_on_its_way_to_a_place_makes_room_for_the_next(void **state)
{
    static const world_options tight = {.test_executor = &held_ops, .capacity = 1, .window = 2};
    world *w = begin(&tight);
    uint64_t hasty, last;

    (void)state;
    set_limit(w, "tenant", (limit){.concurrency = 1});
    start_limited(w, "first", "tenant");
    hasty = start(w, "hasty",
                  (start_request){.limit_key = mem_strdup("tenant"), .timeout_ms = 10000});
    last = start_limited(w, "last", "tenant");
    start(w, "other", (start_request){.has_priority = true, .priority = 9});
    finish_oldest(w);
    assert_string_equal(newest(), "other");
    world_advance(w, 11000);
    assert_int_equal(world_state(w, hasty), EXECUTION_TIMED_OUT);
    finish_oldest(w);
    world_advance(w, 5000);
    assert_string_equal(newest(), "last");
    finish_oldest(w);
    assert_int_equal(world_state(w, last), EXECUTION_SUCCEEDED);
    assert_nothing_is_left(w);
    world_free(w);
}

/* Those that run are open in the store as well, and more than a page of them. */
static void what_waits_in_the_store_is_found_behind_what_runs(void **state)
{
    static const world_options small = {.test_executor = &held_ops, .capacity = 200, .window = 8};
    world *w = begin(&small);

    (void)state;
    set_limit(w, "tenant", (limit){.concurrency = 100});
    for (int i = 0; i < 150; i++)
        start_limited(w, NULL, "tenant");
    assert_int_equal(running(), 100);
    for (int i = 0; i < 150; i++) {
        assert_int_equal(running(), i < 50 ? 100 : 150 - i);
        finish_oldest(w);
    }
    assert_int_equal(held.started, 150);
    assert_nothing_is_left(w);
    world_free(w);
}

/* A deadline and a cancel end what waits for a place. */
static void what_waits_for_a_place_can_end(void **state)
{
    world *w = begin(&many_slots);
    uint64_t late, cancelled;

    (void)state;
    set_limit(w, "tenant", (limit){.concurrency = 1});
    start_limited(w, NULL, "tenant");
    late = start(w, NULL, (start_request){.limit_key = mem_strdup("tenant"), .timeout_ms = 500});
    cancelled = start_limited(w, "gone", "tenant");
    assert_int_equal(world_cancel(w, "gone", NULL), 0);
    assert_int_equal(world_state(w, cancelled), EXECUTION_CANCELLED);
    world_advance(w, 600);
    assert_int_equal(world_state(w, late), EXECUTION_TIMED_OUT);
    finish_oldest(w);
    assert_nothing_is_left(w);
    world_free(w);
}

/* ---- delayed starts -------------------------------------------------------------------------------------- */

static void a_delayed_start_costs_no_memory_until_it_is_due(void **state)
{
    world *w = begin(&many_slots);
    uint64_t key = start(w, NULL,
                         (start_request){.start_at_ms = w->now_ms + 3600000, .timeout_ms = 1000});

    (void)state;
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(HASH_COUNT(w->orchestrator->lives), 0);
    world_advance(w, 1800000);
    world_restart(w, &many_slots);
    world_settle(w);
    world_advance(w, 1799000);
    assert_int_equal(held.started, 0);
    world_advance(w, 1000);
    assert_int_equal(held.started, 1);
    world_advance(w, 900); /* its timeout counts from there */
    finish_oldest(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_left(w);
    world_free(w);
}

static void a_resumed_start_still_waits_for_its_time(void **state)
{
    world *w = begin(&many_slots);
    uint64_t key = start(w, "later", (start_request){.start_at_ms = w->now_ms + 3600000});

    (void)state;
    assert_int_equal(world_control(w, "later", (control_request){.action = CONTROL_PAUSE}), 0);
    assert_int_equal(world_control(w, "later", (control_request){.action = CONTROL_RESUME}), 0);
    world_advance(w, 1800000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(held.started, 0);
    world_advance(w, 1800000);
    assert_int_equal(held.started, 1);
    finish_oldest(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_left(w);
    world_free(w);
}

static void what_waits_in_the_store_is_found_under_its_new_priority(void **state)
{
    world_options o = {.capacity = 1, .window = 2, .test_executor = &held_ops};
    control_request highest = {.action = CONTROL_PRIORITY, .priority = 9};
    world *w = begin(&o);
    uint64_t keys[6];
    char id[16];

    (void)state;
    for (int i = 0; i < 6; i++) {
        snprintf(id, sizeof id, "x-%d", i);
        keys[i] = start(w, id, (start_request){0});
    }
    assert_int_equal(world_control(w, "x-5", highest), 0);
    for (int i = 0; i < 6; i++)
        finish_oldest(w);
    for (int i = 0; i < 6; i++)
        assert_int_equal(world_state(w, keys[i]), EXECUTION_SUCCEEDED);
    assert_nothing_is_left(w);
    world_free(w);
}

/* ---- start keys ------------------------------------------------------------------------------------------ */

typedef struct keyed {
    int32_t code;
    uint64_t key;
    bool existed;
} keyed;

static keyed start_keyed(world *w, const char *key, enum start_key_policy policy, int64_t ttl_ms)
{
    char *name = mem_strdup("step");
    start_request r = {.done = answered,
                       .workflow = name,
                       .start_key = mem_strdup(key),
                       .start_key_policy = (uint8_t)policy,
                       .start_key_ttl_ms = ttl_ms};

    orchestrator_start(w->orchestrator, &r);
    world_settle(w);
    assert_null(r.workflow);
    mem_free(name);
    mem_free(r.start_key);
    orch_error_free(r.error);
    return (keyed){r.code, r.key, r.existed};
}

static void a_start_key_starts_once(void **state)
{
    world *w = begin(&many_slots);
    keyed first = start_keyed(w, "order-1", START_KEY_RETURN, 0), again;

    (void)state;
    assert_int_equal(first.code, 0);
    assert_false(first.existed);
    world_restart(w, &many_slots);
    world_settle(w);
    again = start_keyed(w, "order-1", START_KEY_RETURN, 0);
    assert_int_equal(again.code, 0);
    assert_true(again.existed);
    assert_int_equal(again.key, first.key);
    assert_int_equal(start_keyed(w, "order-1", START_KEY_REFUSE, 0).code, ORCH_E_ALREADY_EXISTS);
    assert_int_equal(start_keyed(w, "order-1", START_KEY_ANEW, 0).key, first.key);
    assert_false(start_keyed(w, "order-2", START_KEY_RETURN, 0).existed);
    held_end_all();
    world_settle(w);
    assert_int_equal(start_keyed(w, "order-1", START_KEY_RETURN, 0).key, first.key);
    again = start_keyed(w, "order-1", START_KEY_ANEW, 0);
    assert_int_equal(again.code, 0);
    assert_false(again.existed);
    assert_int_not_equal(again.key, first.key);
    held_end_all();
    world_settle(w);
    assert_nothing_is_left(w);
    world_free(w);
}

static void a_start_key_expires(void **state)
{
    world *w = begin(&many_slots);
    keyed first = start_keyed(w, "k", START_KEY_RETURN, 1000);

    (void)state;
    world_advance(w, 999);
    assert_int_equal(start_keyed(w, "k", START_KEY_RETURN, 1000).key, first.key);
    world_advance(w, 1);
    assert_false(start_keyed(w, "k", START_KEY_RETURN, 1000).existed);
    world_free(w);
}

/* ---- settings -------------------------------------------------------------------------------------------- */

static void set_answered(setting_request *r)
{
    r->who = NULL;
}

/* Takes what `like` owns over. */
static void set(world *w, setting_request like)
{
    char *who = mem_strdup("tester");
    setting_request r = like;

    r.done = set_answered;
    r.who = who;
    orchestrator_set(w->orchestrator, &r);
    world_settle(w);
    assert_null(r.who);
    assert_int_equal(r.code, 0);
    mem_free(who);
    mem_free(r.workflow);
    mem_free(r.limit_key);
}

static void a_limit_survives_a_restart(void **state)
{
    world *w = begin(&many_slots);

    (void)state;
    set(w, (setting_request){.limit_key = mem_strdup("tenant"), .limit = {.concurrency = 1}});
    start_limited(w, NULL, "tenant");
    start_limited(w, NULL, "tenant");
    assert_int_equal(running(), 1);
    held_reset();
    world_restart(w, &many_slots);
    world_settle(w);
    assert_int_equal(running(), 1);
    set(w, (setting_request){.limit_key = mem_strdup("tenant")});
    assert_int_equal(running(), 2);
    world_free(w);
}

static void a_paused_workflow_starts_nothing(void **state)
{
    world *w = begin(&many_slots);
    uint64_t before = start(w, "before", (start_request){0}), key;

    (void)state;
    world_register(w, "{\"id\":\"other\",\"version\":\"1.0.0\",\"steps\":["
                      "{\"id\":\"a\",\"executor\":\"noop\"}]}");
    set(w, (setting_request){.workflow = mem_strdup("step"), .paused = true});
    key = start(w, "x", (start_request){0});
    assert_int_equal(held.started, 1);
    assert_int_equal(world_state(w, world_start(w, "other", NULL, NULL)), EXECUTION_SUCCEEDED);
    held_end_all(); /* what runs, finishes */
    world_settle(w);
    assert_int_equal(world_state(w, before), EXECUTION_SUCCEEDED);
    world_restart(w, &many_slots);
    world_advance(w, 3600000);
    assert_int_equal(held.started, 1);
    set(w, (setting_request){.workflow = mem_strdup("step"), .paused = false});
    assert_int_equal(held.started, 2);
    held_end_all();
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_left(w);
    world_free(w);
}

/* One that is in the middle is put down meanwhile, and goes on where it was. */
static void everything_can_be_paused(void **state)
{
    world *w = begin(&many_slots);
    uint64_t key;

    (void)state;
    world_register(w, "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":["
                      "{\"id\":\"a\",\"executor\":\"test\"},"
                      "{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"]}]}");
    key = world_start(w, "two", "x", NULL);
    set(w, (setting_request){.paused = true});
    held_end_all();
    world_settle(w);
    world_advance(w, 3600000);
    assert_int_equal(held.started, 1);
    assert_int_equal(HASH_COUNT(w->orchestrator->lives), 0);
    assert_int_equal(world_cancel(w, "x", NULL), 0); /* which works all the same */
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    key = world_start(w, "two", "y", NULL);
    set(w, (setting_request){.paused = false});
    assert_int_equal(held.started, 2);
    held_end_all();
    world_settle(w);
    held_end_all();
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_left(w);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_after_a_rest_is_of_its_own_time),
        cmocka_unit_test(the_highest_priority_is_next),
        cmocka_unit_test(a_limit_holds_for_its_key_only),
        cmocka_unit_test(a_limit_changes_while_it_holds),
        cmocka_unit_test(a_rate_is_kept),
        cmocka_unit_test(a_burst_is_larger_than_the_rate),
        cmocka_unit_test(many_of_a_key_wait_in_the_store),
        cmocka_unit_test(what_ends_on_its_way_to_a_place_makes_room_for_the_next),
        cmocka_unit_test(what_waits_in_the_store_is_found_behind_what_runs),
        cmocka_unit_test(what_waits_for_a_place_can_end),
        cmocka_unit_test(a_delayed_start_costs_no_memory_until_it_is_due),
        cmocka_unit_test(a_resumed_start_still_waits_for_its_time),
        cmocka_unit_test(what_waits_in_the_store_is_found_under_its_new_priority),
        cmocka_unit_test(a_start_key_starts_once),
        cmocka_unit_test(a_start_key_expires),
        cmocka_unit_test(a_limit_survives_a_restart),
        cmocka_unit_test(a_paused_workflow_starts_nothing),
        cmocka_unit_test(everything_can_be_paused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
