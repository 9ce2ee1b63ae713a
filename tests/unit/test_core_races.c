/* Goal: what crosses on its way is neither lost nor taken for news: a cancel that meets a suspension or a hand-over, a row that
 * was read before its execution ended, more executions that wake at once than there is room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "orchestrator/orchestrator_impl.h"
#include "support/held_attempts.h"
#include "support/world.h"

static const world_options plain = {.test_executor = &held_ops};

#define STEP \
    "{\"id\":\"step\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"}]}"
#define SLEEPER                                                                                    \
    "{\"id\":\"sleeper\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"w\",\"executor\":\"wait\","    \
    "\"with\":{\"duration\":\"1h\"}},{\"id\":\"a\",\"executor\":\"test\",\"depends_on\":[\"w\"]}]" \
    "}"
#define WAIT_FOR_S "\"executor\":\"wait\",\"with\":{\"signal\":\"s\"}"
#define BETWEEN                                                                               \
    "{\"id\":\"between\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"w\"," WAIT_FOR_S          \
    "},{\"id\":\"a\",\"executor\":\"test\",\"depends_on\":[\"w\"]},{\"id\":\"x\"," WAIT_FOR_S \
    ",\"depends_on\":[\"a\"]},{\"id\":\"y\"," WAIT_FOR_S ",\"depends_on\":[\"x\"]}]}"
#define BRIEF                                                                                          \
    "{\"id\":\"brief\",\"version\":\"1.0.0\",\"timeout\":\"10m\",\"steps\":[{\"id\":\"w\"," WAIT_FOR_S \
    "},{\"id\":\"a\",\"executor\":\"test\",\"depends_on\":[\"w\"]},{\"id\":\"x\"," WAIT_FOR_S          \
    ",\"depends_on\":[\"a\"]}]}"
#define HOUR 3600000

static world *begin(const world_options *o)
{
    world *w;

    held_reset();
    w = world_new(o);
    world_register(w, STEP);
    world_register(w, SLEEPER);
    world_register(w, BETWEEN);
    world_register(w, BRIEF);
    return w;
}

static void turn_cores(world *w)
{
    orchestrator_pump(w->orchestrator, 1000);
    for (int i = 0; i < 4; i++) {
        engine_pump(w->engines[0].engine, 1000);
        w->transport.ops->pump(w->transport.self, 1000);
    }
}

static void flush(world *w)
{
    w->store.ops->flush(w->store.self);
    turn_cores(w);
}

/* ---- a cancel that is under way -------------------------------------------------------------------------- */

typedef struct canceller {
    control_request request;
    int answers;
} canceller;

static void cancelled(control_request *r)
{
    ((canceller *)r)->answers++;
}

static void cancel(world *w, canceller *c, const char *id)
{
    *c = (canceller){.request = {.done = cancelled, .id = mem_strdup(id)}};
    orchestrator_control(w->orchestrator, &c->request);
}

static void assert_cancelled(canceller *c)
{
    assert_int_equal(c->answers, 1);
    assert_int_equal(c->request.code, 0);
    mem_free(c->request.id);
}

/* ---- pool jobs that are held on their way back ----------------------------------------------------------- */

/* All jobs run; those after the first `pass` stay out until they are returned. */
static mpsc_node *hold_back(world *w, int pass)
{
    mpsc_node *node, *next;

    world_nudge(w, 4);
    node = mpsc_drain(&w->ran);
    for (; node && pass; pass--, node = next) {
        work *job = LIST_ENTRY(node, work, node);

        next = node->next;
        job->done(job);
    }
    return node;
}

static void give_back(mpsc_node *node)
{
    while (node) {
        work *job = LIST_ENTRY(node, work, node);

        node = node->next;
        job->done(job);
    }
}

/* ---- the tests ------------------------------------------------------------------------------------------- */

static void ignored(control_request *r)
{
    (void)r;
}

/* It says that it wants to sleep; a cancel is before that in the store's queue; and then the channel breaks. */
static void refuse_a_suspension(bool broken)
{
    world *w = begin(&plain);
    char id[EXECUTION_ID_LEN + 1];
    canceller c;
    uint64_t key = world_start(w, "sleeper", NULL, NULL);

    execution_id_format(key, id);
    w->now_ms += 1000; /* the quiet time */
    cancel(w, &c, id);
    turn_cores(w);
    if (broken) {
        transport_inproc_break(world_channel(w, key));
        w->transport.ops->pump(w->transport.self, 1000);
        assert_null(world_channel(w, key));
    }
    assert_int_equal(w->orchestrator->stats.units_in_store, 2);
    world_advance(w, 30000);
    assert_cancelled(&c);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    world_free(w);
}

static void test_a_cancel_refuses_a_suspension(void **state)
{
    (void)state;
    refuse_a_suspension(false);
}

static void test_a_cancel_refuses_a_suspension_of_a_broken_channel(void **state)
{
    (void)state;
    refuse_a_suspension(true);
}

static void test_a_cancel_after_the_inbox_was_read_is_told(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "step", "one", NULL);
    char id[EXECUTION_ID_LEN + 1];
    mpsc_node *history;
    canceller c;

    (void)state;
    execution_id_format(key, id);
    world_restart(w, &plain);
    turn_cores(w);
    give_back(hold_back(w, 0)); /* the page of what waits */
    turn_cores(w);
    assert_int_equal(live_find(w->orchestrator, key)->phase, PHASE_LOADING);
    history = hold_back(w, 0);
    cancel(w, &c, id);
    flush(w);
    assert_int_equal(c.answers, 1);
    give_back(history);
    world_settle(w);
    assert_cancelled(&c);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    world_free(w);
}

typedef struct told {
    end_waiter waiter;
    int32_t code;
    uint8_t state;
    int times;
} told;

static void tell(end_waiter *e, int32_t code, outcome *o)
{
    told *t = (told *)e;

    t->code = code;
    t->state = o ? o->state : 0;
    t->times++;
}

/* Two cancels bring it in; the second one's row is on its way until it has ended. */
static void test_an_old_row_does_not_revive_what_ended(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "sleeper", NULL, NULL);
    char id[EXECUTION_ID_LEN + 1];
    canceller first, second;
    told late = {.waiter = {.done = tell}};
    orchestrator_stats stats;
    mpsc_node *old;

    (void)state;
    execution_id_format(key, id);
    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    cancel(w, &first, id);
    cancel(w, &second, id);
    flush(w);
    old = hold_back(w, 1);
    assert_non_null(old);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    give_back(old);
    assert_non_null(live_find(w->orchestrator, key));
    orchestrator_wait(w->orchestrator, key, &late.waiter); /* it does not wait for nothing */
    world_settle(w);
    assert_null(live_find(w->orchestrator, key));
    assert_int_equal(late.times, 1);
    assert_int_equal(late.code, 0);
    assert_int_equal(late.state, EXECUTION_CANCELLED);
    world_advance(w, HOUR);
    assert_int_equal(held.started, 0);
    orchestrator_get_stats(w->orchestrator, &stats);
    assert_int_equal(stats.open, 0);
    assert_int_equal(stats.running, 0);
    assert_cancelled(&first);
    assert_cancelled(&second);
    world_free(w);
}

/* It is suspended, a signal wakes it, and the row that is read then is on its way. */
static mpsc_node *wake_with_old_row(world *w, uint64_t key, char id[EXECUTION_ID_LEN + 1])
{
    control_request signal = {
        .action = CONTROL_SIGNAL, .name = mem_strdup("s"), .code = -1, .done = ignored};
    mpsc_node *old;

    execution_id_format(key, id);
    signal.id = id;
    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    orchestrator_control(w->orchestrator, &signal);
    flush(w);
    assert_int_equal(signal.code, 0);
    mem_free(signal.name);
    old = hold_back(w, 0);
    assert_non_null(old);
    return old;
}

/* The row stays on its way until a resume has brought it in. */
static mpsc_node *old_row_of(world *w, uint64_t key, char id[EXECUTION_ID_LEN + 1])
{
    mpsc_node *old = wake_with_old_row(w, key, id);

    assert_int_equal(world_control(w, id, (control_request){.action = CONTROL_RESUME}), 0);
    assert_int_equal(held.started, 1);
    return old;
}

static void test_an_old_row_knows_less_of_the_inbox(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "between", NULL, NULL);
    char id[EXECUTION_ID_LEN + 1];
    mpsc_node *old = old_row_of(w, key, id);

    (void)state;
    held_succeed(0, NULL);
    assert_int_equal(world_signal(w, id, "s", NULL, NULL), 0); /* and is used up */
    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_null(live_find(w->orchestrator, key));
    give_back(old);
    assert_non_null(live_find(w->orchestrator, key));
    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_null(live_find(w->orchestrator, key));
    assert_false(w->orchestrator->fenced); /* nobody else has the store */
    assert_int_equal(world_signal(w, id, "s", NULL, NULL), 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* The same, and that run has failed, and the one after it sleeps. So much passes in the first, and then in the second. */
static mpsc_node *old_row_of_old_run(world *w, uint64_t key, char id[EXECUTION_ID_LEN + 1],
                                     int64_t first_ms, int64_t second_ms)
{
    mpsc_node *old = old_row_of(w, key, id);

    held_fail(0, ORCH_E_INTERNAL, true);
    world_advance(w, first_ms);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    assert_int_equal(world_control(w, id, (control_request){.action = CONTROL_RETRY}), 0);
    held_succeed(1, NULL);
    world_advance(w, second_ms);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_null(live_find(w->orchestrator, key));
    return old;
}

static void test_an_old_row_does_not_revive_an_old_run(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "between", NULL, NULL);
    char id[EXECUTION_ID_LEN + 1];

    (void)state;
    give_back(old_row_of_old_run(w, key, id, 0, 60000));
    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(world_signal(w, id, "s", NULL, NULL), 0);
    assert_int_equal(world_signal(w, id, "s", NULL, NULL), 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_int_equal(held.started, 2);
    world_free(w);
}

/* By its row the time of the old run is over. */
static void test_an_old_row_does_not_end_a_new_run(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "brief", NULL, NULL);
    char id[EXECUTION_ID_LEN + 1];

    (void)state;
    give_back(old_row_of_old_run(w, key, id, 8 * 60000, 4 * 60000));
    assert_non_null(live_find(w->orchestrator, key));
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_null(live_find(w->orchestrator, key));
    assert_int_equal(world_signal(w, id, "s", NULL, NULL), 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* It is decided upon by a row of the first run, and stored in the second. */
static void test_a_terminate_that_meets_a_retry(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "step", NULL, NULL);
    char id[EXECUTION_ID_LEN + 1];
    control_request terminate = {.action = CONTROL_TERMINATE, .code = -1, .done = ignored};
    execution_row row;
    mpsc_node *old;

    (void)state;
    execution_id_format(key, id);
    terminate.id = id;
    orchestrator_control(w->orchestrator, &terminate);
    old = hold_back(w, 0);
    assert_non_null(old);
    held_fail(0, ORCH_E_INTERNAL, true);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    assert_int_equal(world_control(w, id, (control_request){.action = CONTROL_RETRY}), 0);
    assert_int_equal(held.started, 2);
    give_back(old);
    world_settle(w);
    assert_int_equal(terminate.code, 0);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    row = world_row(w, key);
    assert_int_equal(row.run, 2);
    execution_row_clear(&row);
    held_end_all();
    world_settle(w);
    world_free(w);
}

static void test_an_old_row_has_an_old_priority(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "between", NULL, NULL);
    char id[EXECUTION_ID_LEN + 1];
    control_request priority = {.action = CONTROL_PRIORITY, .priority = 9, .done = ignored};
    mpsc_node *old;

    (void)state;
    old = wake_with_old_row(w, key, id);
    priority.id = id;
    orchestrator_control(w->orchestrator, &priority);
    flush(w);
    give_back(old);
    assert_non_null(live_find(w->orchestrator, key));
    world_settle(w);
    assert_int_equal(held.started, 1);
    assert_int_equal(live_find(w->orchestrator, key)->priority, 9); /* where it is found again */
    held_end_all();
    world_free(w);
}

/* While it is read as due its priority changes, and when it wakes there is no room for it. */
static void test_who_wakes_is_found_under_a_new_priority(void **state)
{
    world_options one = {.test_executor = &held_ops, .capacity = 1, .window = 1};
    world *w = begin(&one);
    uint64_t key = world_start(w, "sleeper", NULL, NULL);
    char id[EXECUTION_ID_LEN + 1];
    control_request priority = {.action = CONTROL_PRIORITY, .priority = 9, .done = ignored};
    mpsc_node *due;

    (void)state;
    execution_id_format(key, id);
    priority.id = id;
    world_advance(w, 60000);
    world_start(w, "step", "runs", NULL);
    world_advance(w, HOUR - 60000 - 1);
    w->now_ms += 1;
    turn_cores(w);
    due = hold_back(w, 0);
    assert_non_null(due);
    orchestrator_control(w->orchestrator, &priority);
    flush(w);
    world_settle(w); /* it is looked for under the new one, and not open yet */
    world_start(w, "step", "waits", NULL);
    give_back(due);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    assert_null(live_find(w->orchestrator, key));
    for (int i = 0; i < 3; i++) {
        held_end_all();
        world_settle(w);
    }
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

#define SLEEPERS 200

/* As many as wait on an engine that is full, no more. */
static void test_who_wakes_waits_in_the_store(void **state)
{
    world_options small = {.test_executor = &held_ops, .capacity = 2, .window = 4};
    world *w = begin(&small);
    uint64_t keys[SLEEPERS];
    size_t most = 0;

    (void)state;
    for (int i = 0; i < SLEEPERS; i++)
        keys[i] = world_start(w, "sleeper", NULL, NULL);
    for (int i = 0; i < SLEEPERS; i++) /* two at a time get so far */
        world_advance(w, 2000);
    assert_int_equal(HASH_COUNT(w->orchestrator->lives), 0);
    world_advance(w, HOUR);
    for (int i = 0; i < SLEEPERS; i++) {
        if (HASH_COUNT(w->orchestrator->lives) > most)
            most = HASH_COUNT(w->orchestrator->lives);
        held_end_all();
        world_settle(w);
    }
    for (int i = 0; i < SLEEPERS; i++)
        assert_int_equal(world_state(w, keys[i]), EXECUTION_SUCCEEDED);
    assert_true(most <= small.capacity + small.window);
    world_free(w);
}

/* Nothing stands before it but a queue that does not move. */
static void test_a_cancel_overtakes_the_queue(void **state)
{
    world_options one = {.test_executor = &held_ops, .capacity = 1};
    world *w = begin(&one);
    uint64_t key;

    (void)state;
    world_start(w, "step", "runs", NULL);
    world_start(w, "step", "first", NULL);
    key = world_start(w, "step", "second", NULL);
    assert_int_equal(world_cancel(w, "second", NULL), 0);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    world_free(w);
}

/* A million sleepers that nobody waits for any more cost nothing. */
static void test_who_waits_no_more_leaves_nothing(void **state)
{
    world *w = begin(&plain);
    orchestrator *o = w->orchestrator;
    uint64_t key = world_start(w, "sleeper", NULL, NULL);
    told one = {.waiter = {.done = tell}}, two = one;

    (void)state;
    world_advance(w, 60000);
    assert_false(waiters_any(o, key));
    orchestrator_wait(o, key, &one.waiter);
    orchestrator_wait(o, key, &two.waiter);
    assert_true(orchestrator_unwait(o, &one.waiter));
    assert_true(waiters_any(o, key));
    assert_true(orchestrator_unwait(o, &two.waiter));
    assert_false(waiters_any(o, key));
    world_settle(w); /* the row that the first had asked for comes: nobody wants it */
    assert_false(orchestrator_unwait(o, &one.waiter));
    assert_int_equal(one.times + two.times, 0);
    orchestrator_wait(o, key, &one.waiter);
    world_advance(w, HOUR);
    held_end_all();
    world_settle(w);
    assert_int_equal(one.times, 1);
    assert_int_equal(one.state, EXECUTION_SUCCEEDED);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cancel_refuses_a_suspension),
        cmocka_unit_test(test_a_cancel_refuses_a_suspension_of_a_broken_channel),
        cmocka_unit_test(test_a_cancel_after_the_inbox_was_read_is_told),
        cmocka_unit_test(test_an_old_row_does_not_revive_what_ended),
        cmocka_unit_test(test_an_old_row_knows_less_of_the_inbox),
        cmocka_unit_test(test_an_old_row_does_not_revive_an_old_run),
        cmocka_unit_test(test_an_old_row_does_not_end_a_new_run),
        cmocka_unit_test(test_a_terminate_that_meets_a_retry),
        cmocka_unit_test(test_an_old_row_has_an_old_priority),
        cmocka_unit_test(test_who_wakes_is_found_under_a_new_priority),
        cmocka_unit_test(test_who_wakes_waits_in_the_store),
        cmocka_unit_test(test_a_cancel_overtakes_the_queue),
        cmocka_unit_test(test_who_waits_no_more_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
