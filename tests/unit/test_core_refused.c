/* Goal: a store or an engine that has no room for a moment costs time and nothing else. Whatever the orchestrator has to record or
 * to read goes again until it is done, in its order, less and less often, and no step runs twice for it; who asked for
 * something hears that it was refused, and may ask again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "orchestrator/orchestrator_impl.h"
#include "support/held_attempts.h"
#include "support/poor_store.h"

#define STEP \
    "{\"id\":\"step\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"}]}"
#define SLEEPER                                                                                    \
    "{\"id\":\"sleeper\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"w\",\"executor\":\"wait\","    \
    "\"with\":{\"duration\":\"1h\"}},{\"id\":\"a\",\"executor\":\"test\",\"depends_on\":[\"w\"]}]" \
    "}"
/* a and b side by side, then c. */
#define JOIN                                                    \
    "{\"id\":\"join\",\"version\":\"1.0.0\",\"steps\":["        \
    "{\"id\":\"a\",\"executor\":\"test\"},"                     \
    "{\"id\":\"b\",\"executor\":\"test\"},"                     \
    "{\"id\":\"c\",\"executor\":\"test\",\"depends_on\":[\"a\"" \
    ",\"b\"]}]}"
#define PAIR                                             \
    "{\"id\":\"pair\",\"version\":\"1.0.0\",\"steps\":[" \
    "{\"id\":\"a\",\"executor\":\"test\"},"              \
    "{\"id\":\"b\",\"executor\":\"test\"}]}"
#define HOUR 3600000

static const world_options plain = {.test_executor = &held_ops};

static world *begin(const world_options *o)
{
    world *w;

    held_reset();
    poor_reset();
    w = world_new(o);
    world_register(w, STEP);
    world_register(w, SLEEPER);
    world_register(w, JOIN);
    world_register(w, PAIR);
    poor_put_under(w);
    return w;
}

static void restart(world *w, const world_options *o)
{
    world_restart(w, o);
    poor_put_under(w);
}

static void assert_nothing_is_open(world *w)
{
    orchestrator_stats stats;

    orchestrator_get_stats(w->orchestrator, &stats);
    assert_int_equal(stats.open, 0);
    assert_int_equal(stats.running, 0);
    assert_int_equal(HASH_COUNT(w->orchestrator->lives), 0);
}

/* The attempt ends, and what the engine has to say of it is on its way into the store. */
static void end_and_report(world *w, int i)
{
    held_end(i, (attempt_result){0});
    engine_pump(w->engines[0].engine, 1000);
    w->transport.ops->pump(w->transport.self, 1000);
}

static void end_refused(world *w, int i)
{
    poor.refuse = 1;
    end_and_report(w, i);
    assert_int_equal(poor.refuse, 0);
}

/* ---- reports --------------------------------------------------------------------------------------------- */

static void test_a_report_that_was_refused_goes_again(void **state)
{
    const int32_t codes[] = {ORCH_E_RESOURCE_EXHAUSTED, ORCH_E_UNAVAILABLE};

    (void)state;
    for (int i = 0; i < 2; i++) {
        world *w = begin(&plain);
        uint64_t key = world_start(w, "join", NULL, NULL);

        poor.code = codes[i];
        end_refused(w, 0);
        world_settle(w);
        assert_int_equal(world_checkpoints(w, key, 0), 0);
        world_advance(w, 1000);
        assert_int_equal(world_checkpoints(w, key, 0), 1);
        world_advance(w, 1000);
        end_and_report(w, 1);
        world_settle(w);
        assert_int_equal(held.started, 3);
        end_refused(w, 2); /* the end */
        world_settle(w);
        assert_int_equal(world_state(w, key), EXECUTION_OPEN);
        world_advance(w, 1000);
        assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
        assert_int_equal(world_checkpoints(w, key, 0), 3);
        assert_int_equal(held.started, 3);
        assert_nothing_is_open(w);
        world_free(w);
    }
}

/* The second is on its way when the first one's refusal is not known yet: it is stored after it, and not alone. */
static void test_no_report_is_stored_without_the_one_before_it(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "join", NULL, NULL);

    (void)state;
    end_refused(w, 0);
    end_and_report(w, 1);
    assert_int_equal(w->orchestrator->stats.units_in_store, 2);
    world_settle(w);
    assert_int_equal(world_checkpoints(w, key, 0), 0);
    assert_int_equal(held.started, 2); /* its cause is not stored */
    world_advance(w, 1000);
    assert_int_equal(world_checkpoints(w, key, 0), 2);
    assert_int_equal(held.started, 3);
    end_and_report(w, 2);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_open(w);
    world_free(w);
}

/* One that comes while another is kept waits behind it. */
static void test_reports_keep_their_order(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "join", NULL, NULL);
    int submitted;

    (void)state;
    end_refused(w, 0);
    world_settle(w);
    submitted = poor.submitted;
    end_and_report(w, 1);
    world_settle(w);
    assert_int_equal(poor.submitted, submitted);
    poor.refuse = 1; /* the first, once more: the second was sent right after it */
    world_advance(w, 2000);
    assert_int_equal(poor.refuse, 0);
    assert_int_equal(world_checkpoints(w, key, 0), 2);
    end_and_report(w, 2);
    world_settle(w);
    assert_int_equal(held.started, 3);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_open(w);
    world_free(w);
}

static void test_an_end_after_a_refused_report_is_the_end(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "pair", NULL, NULL);

    (void)state;
    end_refused(w, 0);
    end_and_report(w, 1);
    assert_int_equal(w->orchestrator->stats.units_in_store, 2);
    world_advance(w, 5000);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_int_equal(world_checkpoints(w, key, 0), 2);
    assert_int_equal(held.started, 2);
    assert_nothing_is_open(w);
    world_free(w);
}

/* An hour without room: asked less and less often, and done soon after there is some. */
static void test_the_store_is_asked_less_and_less_often(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "step", NULL, NULL);
    int at_first, in_an_hour;

    (void)state;
    poor.refuse = 1000000;
    end_and_report(w, 0);
    at_first = poor.submitted;
    world_advance(w, 1000);
    assert_true(poor.submitted - at_first >= 2);
    world_advance(w, HOUR);
    in_an_hour = poor.submitted - at_first;
    assert_in_range(in_an_hour, HOUR / REFUSED_PAUSE_MOST_MS, HOUR / REFUSED_PAUSE_MOST_MS + 10);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    poor.refuse = 0;
    world_advance(w, REFUSED_PAUSE_MOST_MS);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_int_equal(held.started, 1);
    assert_nothing_is_open(w);
    world_free(w);
}

/* What the engine sends again after an attachment is known already. */
static void test_a_kept_report_survives_a_broken_channel(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "join", NULL, NULL);

    (void)state;
    end_refused(w, 0);
    world_settle(w);
    transport_inproc_break(world_channel(w, key));
    world_settle(w);
    world_advance(w, 2000);
    assert_int_equal(world_checkpoints(w, key, 0), 1);
    end_and_report(w, 1);
    world_settle(w);
    end_and_report(w, 2);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_int_equal(held.started, 3);
    assert_nothing_is_open(w);
    world_free(w);
}

/* It is handed over again only once what its engine had reported is stored. */
static void test_a_kept_report_survives_its_engine(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "pair", NULL, NULL);

    (void)state;
    end_refused(w, 0);
    world_settle(w);
    world_restart_engine(w, 0, &plain);
    world_settle(w);
    assert_int_equal(held.started, 2);
    world_advance(w, 2000);
    assert_int_equal(world_checkpoints(w, key, 0), 1);
    assert_int_equal(held.started, 3); /* b again, and not a */
    end_and_report(w, 2);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_open(w);
    world_free(w);
}

/* ---- ends and suspensions -------------------------------------------------------------------------------- */

static const world_options one = {.test_executor = &held_ops, .capacity = 1, .window = 1};

static void test_an_end_that_was_refused_comes_again(void **state)
{
    world *w = begin(&one);
    uint64_t key;

    (void)state;
    world_start(w, "step", "runs", NULL);
    key = world_start(w, "step", "waits", NULL);
    poor.pass = 1; /* the inbox, then the end */
    poor.refuse = 1;
    assert_int_equal(world_cancel(w, "waits", NULL), 0);
    assert_int_equal(poor.refuse, 0);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    held_end(0, (attempt_result){0});
    world_advance(w, 1000);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_int_equal(held.started, 1);
    assert_nothing_is_open(w);
    world_free(w);
}

static void test_a_suspension_that_was_refused_comes_again(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "sleeper", NULL, NULL);

    (void)state;
    poor.refuse = 3;
    world_advance(w, 1500);
    assert_true(poor.refused > 0);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    world_advance(w, 10000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(HASH_COUNT(w->orchestrator->lives), 0);
    world_advance(w, HOUR);
    end_and_report(w, 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_open(w);
    world_free(w);
}

/* It comes while the suspension is kept, and makes it void. */
static void test_a_cancel_overtakes_a_kept_suspension(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "sleeper", "one", NULL);

    (void)state;
    poor.refuse = 1;
    world_advance(w, 1000);
    assert_int_equal(poor.refused, 1);
    assert_int_equal(world_cancel(w, "one", NULL), 0);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    world_advance(w, 1000);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_nothing_is_open(w);
    world_free(w);
}

/* There is room for it in memory, or none. */
static void wake_refused(const world_options *o)
{
    world *w = begin(o);
    uint64_t key = world_start(w, "sleeper", NULL, NULL);
    int submitted;

    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    if (o == &one) {
        world_start(w, "step", NULL, NULL);
        world_start(w, "step", NULL, NULL);
    }
    world_advance(w, HOUR - 70000);
    submitted = poor.submitted;
    poor.refuse = 1000000;
    world_advance(w, 60000);
    assert_true(poor.refused > 0);
    assert_in_range(poor.submitted - submitted, 1, 100);
    poor.refuse = 0;
    for (int i = 0; i < 4; i++) {
        held_end_all();
        world_advance(w, 6000);
    }
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_open(w);
    world_free(w);
}

static void test_a_wake_that_was_refused_comes_again(void **state)
{
    (void)state;
    wake_refused(&plain);
    wake_refused(&one);
}

/* ---- what somebody asked for ----------------------------------------------------------------------------- */

static void test_who_asks_is_told_of_a_refusal(void **state)
{
    world *w = begin(&plain);
    uint64_t key = 0;

    (void)state;
    poor.refuse = 1;
    assert_int_equal(world_start_code(w, "step", "one", NULL, &key), ORCH_E_RESOURCE_EXHAUSTED);
    assert_nothing_is_open(w);
    key = world_start(w, "step", "one", NULL); /* its id was not taken */
    poor.refuse = 1;
    assert_int_equal(world_cancel(w, "one", NULL), ORCH_E_RESOURCE_EXHAUSTED);
    world_advance(w, 5000);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    poor.fail[POOR_EXECUTION] = 1; /* its key is looked up */
    assert_int_equal(world_cancel(w, "one", NULL), ORCH_E_RESOURCE_EXHAUSTED);
    assert_int_equal(world_cancel(w, "one", NULL), 0);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_nothing_is_open(w);
    world_free(w);
}

typedef struct told {
    end_waiter waiter;
    int32_t code;
    int times;
} told;

static void tell(end_waiter *e, int32_t code, outcome *o)
{
    told *t = (told *)e;

    (void)o;
    t->code = code;
    t->times++;
}

/* What is kept at a stop is left for the next orchestrator, and nobody waits for it any longer. */
static void test_a_stop_does_not_wait_for_the_store(void **state)
{
    (void)state;
    for (int given_back = 0; given_back < 2; given_back++) {
        world *w = begin(&plain);
        uint64_t key = world_start(w, "pair", NULL, NULL);
        told t = {.waiter = {.done = tell}};

        orchestrator_wait(w->orchestrator, key, &t.waiter);
        end_refused(w, 0);
        end_and_report(w, 1);
        poor.refuse = 100;
        if (given_back) /* else the refusal comes only after the stop began */
            orchestrator_pump(w->orchestrator, 1000);
        restart(w, &plain);
        assert_int_equal(t.times, 1);
        assert_int_equal(t.code, ORCH_E_CANCELLED);
        poor.refuse = 0;
        world_settle(w);
        assert_int_equal(world_state(w, key), EXECUTION_OPEN);
        held_end_all();
        world_advance(w, 1000);
        assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
        assert_nothing_is_open(w);
        world_free(w);
    }
}

/* ---- reads ----------------------------------------------------------------------------------------------- */

static void test_what_could_not_be_read_is_read_again(void **state)
{
    (void)state;
    for (int kind = 0; kind < POOR_READS; kind++) {
        world *w = begin(&plain);
        uint64_t step = world_start(w, "step", NULL, NULL);
        uint64_t sleeper = world_start(w, "sleeper", NULL, NULL);

        world_advance(w, 60000);
        restart(w, &plain);
        poor.fail[kind] = 3;
        world_advance(w, 10000);
        held_end_all();
        world_advance(w, HOUR);
        held_end_all();
        world_settle(w);
        assert_int_equal(poor.failed, 3);
        assert_int_equal(world_state(w, step), EXECUTION_SUCCEEDED);
        assert_int_equal(world_state(w, sleeper), EXECUTION_SUCCEEDED);
        assert_nothing_is_open(w);
        world_free(w);
    }
}

/* For an hour: its engine waits, those that would start it are told, and reads become rare. */
static void test_a_definition_that_cannot_be_read_is_waited_for(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "step", NULL, NULL), next = 0;

    (void)state;
    restart(w, &plain);
    poor.fail[POOR_DEFINITIONS] = 1000000;
    world_advance(w, HOUR);
    assert_in_range(poor.failed, HOUR / REFUSED_PAUSE_MOST_MS, HOUR / REFUSED_PAUSE_MOST_MS + 10);
    assert_int_equal(world_start_code(w, "step", NULL, NULL, &next), ORCH_E_RESOURCE_EXHAUSTED);
    assert_int_equal(held.started, 1);
    poor.fail[POOR_DEFINITIONS] = 0;
    next = world_start(w, "step", NULL, NULL); /* reads it for both */
    assert_int_equal(held.started, 3);
    held_end_all();
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_int_equal(world_state(w, next), EXECUTION_SUCCEEDED);
    assert_nothing_is_open(w);
    world_free(w);
}

/* An engine dies at each point of a recovery, and what the pool has is given back undone. */
static void test_what_the_pool_gives_back_is_read_again(void **state)
{
    (void)state;
    for (uint32_t turns = 0; turns < 40; turns++) {
        world *w = begin(&plain);
        uint64_t key = world_start(w, "step", NULL, NULL);

        restart(w, &plain);
        for (uint32_t i = 0; i < turns; i++)
            world_nudge(w, 5 + i % 5);
        world_restart_engine(w, 0, &plain);
        world_advance(w, 20000);
        held_end_all();
        world_settle(w);
        assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
        assert_nothing_is_open(w);
        world_free(w);
    }
}

/* A registration brings it while it cannot be read. */
static void test_a_registration_brings_what_cannot_be_read(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "step", NULL, NULL);

    (void)state;
    restart(w, &plain);
    poor.fail[POOR_DEFINITIONS] = 1000000;
    world_advance(w, 60000);
    world_register(w, STEP);
    world_advance(w, REFUSED_PAUSE_MOST_MS);
    assert_int_equal(held.started, 2);
    held_end_all();
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_open(w);
    world_free(w);
}

static void test_a_cancelled_one_that_could_not_be_read_is_cancelled_later(void **state)
{
    world *w = begin(&plain);
    uint64_t key = world_start(w, "sleeper", NULL, NULL);
    char id[EXECUTION_ID_LEN + 1];

    (void)state;
    execution_id_format(key, id);
    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    poor.fail[POOR_EXECUTION] = 1; /* to bring it into memory */
    poor.fail[POOR_RUNNABLE] = 1;
    assert_int_equal(world_cancel(w, id, NULL), 0);
    world_advance(w, 5000);
    assert_int_equal(poor.failed, 2);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_nothing_is_open(w);
    world_free(w);
}

/* ---- engines --------------------------------------------------------------------------------------------- */

static struct {
    int opened;
    int32_t code; /* of its word; 0: it closes without one */
} engine_that_refuses;

static void deny(void *ctx, channel *c, message *m)
{
    message *no = engine_that_refuses.code ? message_new(MESSAGE_REFUSED, m->epoch) : NULL;

    (void)ctx;
    engine_that_refuses.opened++;
    message_free(m);
    if (no) {
        no->refused.code = engine_that_refuses.code;
        channel_send(c, no);
    }
    channel_close(c);
}

static void denied(void *ctx, channel *c, int32_t code)
{
    (void)ctx;
    (void)code;
    channel_close(c);
}

static const channel_handler deny_handler = {deny, denied};

static void accept_and_deny(void *ctx, channel *c)
{
    (void)ctx;
    c->handler = &deny_handler;
}

/* A minute long an engine has no memory even for a start, or does not know how to run it: it is asked a few times a second. */
static void test_an_engine_that_refuses_is_not_pressed(void **state)
{
    const world_options raw = {.raw_accept = accept_and_deny};

    static const int32_t codes[] = {0, ORCH_E_RESOURCE_EXHAUSTED, ORCH_E_UNIMPLEMENTED};

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        world *w = begin(&raw);
        uint64_t key;

        engine_that_refuses.opened = 0;
        engine_that_refuses.code = codes[i];
        key = world_start(w, "step", NULL, NULL);
        world_advance(w, 60000);
        assert_in_range(engine_that_refuses.opened, 30, 60000 / ENGINE_RETRY_MS + 1);
        restart(w, &plain);
        world_settle(w);
        held_end_all();
        world_settle(w);
        assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
        assert_nothing_is_open(w);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_report_that_was_refused_goes_again),
        cmocka_unit_test(test_no_report_is_stored_without_the_one_before_it),
        cmocka_unit_test(test_reports_keep_their_order),
        cmocka_unit_test(test_an_end_after_a_refused_report_is_the_end),
        cmocka_unit_test(test_the_store_is_asked_less_and_less_often),
        cmocka_unit_test(test_a_kept_report_survives_a_broken_channel),
        cmocka_unit_test(test_a_kept_report_survives_its_engine),
        cmocka_unit_test(test_an_end_that_was_refused_comes_again),
        cmocka_unit_test(test_a_suspension_that_was_refused_comes_again),
        cmocka_unit_test(test_a_cancel_overtakes_a_kept_suspension),
        cmocka_unit_test(test_a_wake_that_was_refused_comes_again),
        cmocka_unit_test(test_who_asks_is_told_of_a_refusal),
        cmocka_unit_test(test_a_stop_does_not_wait_for_the_store),
        cmocka_unit_test(test_what_could_not_be_read_is_read_again),
        cmocka_unit_test(test_a_definition_that_cannot_be_read_is_waited_for),
        cmocka_unit_test(test_what_the_pool_gives_back_is_read_again),
        cmocka_unit_test(test_a_registration_brings_what_cannot_be_read),
        cmocka_unit_test(test_a_cancelled_one_that_could_not_be_read_is_cancelled_later),
        cmocka_unit_test(test_an_engine_that_refuses_is_not_pressed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
