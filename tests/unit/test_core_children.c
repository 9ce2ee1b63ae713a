/* Goal: executions within executions, through orchestrator and engines together: outputs come up, failures say where they
 * began, cancels go down, and neither suspension nor a restart starts a child twice or loses its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/held_attempts.h"
#include "support/poor_store.h"
#include "support/world.h"

static const world_options plain = {.test_executor = &held_ops};

static world *begin(const world_options *o)
{
    held_reset();
    return world_new(o);
}

static void assert_text(char *text, const char *expected)
{
    assert_string_equal(text, expected);
    mem_free(text);
}

#define HEAD(id) "{\"id\":\"" id "\",\"version\":\"1.0.0\",\"steps\":["
#define CALL(workflow, more)                                                        \
    "{\"id\":\"call\",\"executor\":\"workflow\",\"with\":{\"workflow\":\"" workflow \
    "\",\"inputs\":{\"n\":\"${input.n}\"}" more "}"
#define BOX                                                                      \
    HEAD("box")                                                                  \
    "{\"id\":\"work\",\"executor\":\"test\",\"with\":\"${input}\"}],\"output\":" \
    "\"${steps.work.output}\"}"
#define SHIP  HEAD("ship") CALL("box", "") "}],\"output\":{\"box\":\"${steps.call.output}\"}}"
#define ORDER HEAD("order") CALL("ship", "") "}],\"output\":\"${steps.call.output}\"}"
#define MANY                                                                       \
    HEAD("many")                                                                   \
    "{\"id\":\"call\",\"executor\":\"workflow\",\"for_each\":\"${input}\","        \
    "\"with\":{\"workflow\":\"box\",\"inputs\":{\"n\":\"${item}\"}}}],\"output\":" \
    "\"${steps.call.output}\"}"

static void register_all(world *w)
{
    world_register(w, BOX);
    world_register(w, SHIP);
    world_register(w, ORDER);
    world_register(w, MANY);
}

/* ---- up and down ----------------------------------------------------------------------------------------- */

static void test_outputs_come_up(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    register_all(w);
    key = world_start(w, "order", "o", "{\"n\":3}");
    assert_int_equal(held.started, 1);
    assert_string_equal(held.with[0], "{\"n\":3}");
    assert_string_equal(held.keys[0], "o/1/call/1/call/1/work");
    held_succeed(0, "\"done\"");
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "{\"box\":\"done\"}");
    assert_int_equal(world_state(w, world_key(w, "o/1/call/1/call")), EXECUTION_SUCCEEDED);
    world_free(w);
}

static void test_a_failure_says_where_it_began(void **state)
{
    static const char own[] = "{\"code\":\"ABORTED\",\"message\":\"no\",\"data\":{\"card\":1}}";
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    register_all(w);
    key = world_start(w, "order", "o", "{\"n\":3}");
    held_end(0, (attempt_result){.code = ORCH_E_ABORTED, .error = bytes_new(own, sizeof own - 1)});
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    assert_text(
        world_error(w, key),
        "{\"code\":\"ABORTED\",\"message\":\"child o/1/call failed: child o/1/call/1/call failed: "
        "no\",\"step\":\"call\",\"data\":{\"execution\":\"o/1/call\",\"path\":[\"o/1/call\","
        "\"o/1/call/1/call\"],\"error\":{\"code\":\"ABORTED\",\"message\":\"child o/1/call/1/call "
        "failed: no\",\"step\":\"call\",\"data\":{\"execution\":\"o/1/call/1/call\",\"path\":["
        "\"o/1/call/1/call\"],\"error\":{\"code\":\"ABORTED\",\"message\":\"no\",\"step\":\"work\","
        "\"data\":{\"card\":1}}}}}}");
    world_free(w);
}

static void test_a_cancel_goes_all_the_way_down(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    register_all(w);
    key = world_start(w, "order", "o", "{\"n\":3}");
    assert_int_equal(world_cancel(w, "o", "\"enough\""), 0);
    assert_int_equal(held.stopped, 1);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, world_key(w, "o/1/call")), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, world_key(w, "o/1/call/1/call")), EXECUTION_CANCELLED);
    world_free(w);
}

static void test_time_that_runs_out_asleep_goes_down_too(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(
        w, HEAD("ask") "{\"id\":\"w\",\"executor\":\"wait\",\"with\":{\"signal\":\"go\"}}]}");
    world_register(w, "{\"id\":\"hour\",\"version\":\"1.0.0\",\"timeout\":\"1h\",\"steps\":[" CALL(
                          "ask", "") "}]}");
    key = world_start(w, "hour", "h", "{\"n\":3}");
    world_advance(w, 5000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    world_advance(w, 3600000);
    assert_int_equal(world_state(w, world_key(w, "h/1/call")), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, key), EXECUTION_TIMED_OUT);
    world_free(w);
}

static void started(start_request *r)
{
    r->done = NULL;
}

/* Its row is stored and nothing more when the orchestrator dies; after the restart its time is over. The cancel finds that it was
 * never started, while its parent lies down to wait for its end. */
static void test_a_child_that_never_began_holds_up_nobody(void **state)
{
    world_options tight = plain;

    (void)state;
    tight.capacity = 1;
    for (uint32_t point = 1; point < 60; point++) {
        world *w = begin(&tight);
        start_request r = {.done = started, .workflow = mem_strdup("brief"), .id = mem_strdup("b")};
        char *name = r.workflow;

        world_register(w, BOX);
        world_register(
            w, "{\"id\":\"brief\",\"version\":\"1.0.0\",\"timeout\":\"30s\",\"steps\":[" CALL(
                   "box", "") "}]}");
        orchestrator_start(w->orchestrator, &r);
        for (uint32_t i = 0; r.done || i < point; i++)
            world_nudge(w, i);
        w->now_ms += 60000;
        world_restart(w, &tight);
        world_advance(w, 20000);
        held_end_all(); /* where the child began after all, it has the only place */
        world_advance(w, 20000);
        assert_int_equal(world_state(w, r.key), EXECUTION_TIMED_OUT);
        mem_free(name);
        world_free(w);
    }
}

/* The store refuses the child; that its parent lay down meanwhile, and did not know, does not count. */
static void test_no_refusal_of_a_child_is_lost_on_the_way_to_sleep(void **state)
{
    world_options tight = plain;

    (void)state;
    tight.capacity = 1;
    for (uint32_t point = 0; point < 60; point++) {
        world *w = begin(&tight);
        start_request r = {.done = started, .workflow = mem_strdup("ship"), .id = mem_strdup("s")};
        char *name = r.workflow;

        register_all(w);
        poor_reset();
        poor_put_under(w);
        poor.pass = 2; /* its parent, and the row that says so */
        poor.refuse = 1;
        orchestrator_start(w->orchestrator, &r);
        for (uint32_t i = 0; i < 200; i++)
            world_nudge(w, i * 3 + point);
        world_advance(w, 20000);
        assert_int_equal(poor.refused, 1);
        assert_int_equal(world_state(w, r.key), EXECUTION_FAILED);
        mem_free(name);
        world_free(w);
    }
}

/* After a restart it is asked for again. The store refuses that, and cannot say at first whether it is there. */
static void test_a_child_that_is_there_is_not_refused(void **state)
{
    (void)state;
    for (int unreadable = 0; unreadable < 2; unreadable++) {
        world *w = begin(&plain);
        uint64_t key;

        register_all(w);
        key = world_start(w, "ship", "s", "{\"n\":3}");
        assert_int_equal(held.started, 1);
        world_restart(w, &plain);
        poor_reset();
        poor_put_under(w);
        poor.refuse = 1;
        for (uint32_t i = 0; poor.refuse; i++)
            world_nudge(w, i);
        poor.fail[POOR_EXECUTION] = unreadable;
        world_advance(w, 5000);
        assert_int_equal(poor.failed, unreadable);
        assert_int_equal(world_checkpoints(w, key, CHECKPOINT_FAILED), 0);
        held_end_all();
        world_advance(w, 5000);
        assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
        world_free(w);
    }
}

static void test_a_workflow_that_is_not_there(void **state)
{
    world *w = begin(&plain);
    uint64_t key;
    char *error;

    (void)state;
    world_register(w, ORDER);
    key = world_start(w, "order", NULL, "{\"n\":3}");
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    error = world_error(w, key);
    assert_non_null(strstr(error, "\"NOT_FOUND\""));
    assert_non_null(strstr(error, "ship"));
    mem_free(error);
    world_free(w);
}

static void test_a_late_child_is_cancelled_and_awaited(void **state)
{
    world *w = begin(&plain);
    uint64_t key;
    char *error;

    (void)state;
    world_register(w, BOX);
    world_register(w, HEAD("hurry") CALL("box", "") ",\"timeout\":\"5s\"}]}");
    held.ignores_stop = true;
    key = world_start(w, "hurry", "h", "{\"n\":1}");
    world_advance(w, 5000);
    assert_int_equal(held.stopped, 1);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    held_fail(0, ORCH_E_CANCELLED, false);
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    error = world_error(w, key);
    assert_non_null(strstr(error, "\"DEADLINE_EXCEEDED\""));
    mem_free(error);
    assert_int_equal(world_state(w, world_key(w, "h/1/call")), EXECUTION_CANCELLED);
    world_free(w);
}

static void test_an_abandoned_child_goes_on(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    world_register(w, BOX);
    world_register(w, HEAD("loose") CALL("box", ",\"on_cancel\":\"abandon\"") "}]}");
    key = world_start(w, "loose", "l", "{\"n\":1}");
    assert_int_equal(world_cancel(w, "l", NULL), 0);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_int_equal(held.stopped, 0);
    held_succeed(0, "1");
    world_settle(w);
    assert_int_equal(world_state(w, world_key(w, "l/1/call")), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* ---- many ------------------------------------------------------------------------------------------------ */

static char *list_of(int n)
{
    static char text[4096];
    int len = 0;

    for (int i = 0; i < n; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s%d", i ? "," : "[", i);
    snprintf(text + len, sizeof text - (size_t)len, "]");
    return text;
}

/* Fewer places than children: the parent makes room for them, and is not brought back for each. */
static void test_a_parent_is_woken_once(void **state)
{
    enum { N = 200 };
    world_options o = plain;
    orchestrator_stats stats;
    uint64_t key;
    world *w;
    int ended = 0;

    (void)state;
    o.capacity = 2;
    w = begin(&o);
    register_all(w);
    key = world_start(w, "many", "m", list_of(N));
    while (ended < held.started) {
        held_succeed(ended++, "1");
        world_settle(w);
    }
    assert_int_equal(ended, N);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    orchestrator_get_stats(w->orchestrator, &stats);
    assert_in_range(stats.dispatched, N + 2, N + 3); /* itself: once at first, once at the end */
    world_free(w);
}

/* ---- put down, killed ------------------------------------------------------------------------------------ */

static void test_a_child_ends_while_its_parent_sleeps(void **state)
{
    world *w = begin(&plain);
    uint64_t key;

    (void)state;
    register_all(w);
    key = world_start(w, "order", "o", "{\"n\":3}");
    world_advance(w, 2000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(world_state(w, world_key(w, "o/1/call")), EXECUTION_SUSPENDED);
    held_succeed(0, "1");
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "{\"box\":1}");
    world_free(w);
}

static void test_a_restart_starts_no_child_twice(void **state)
{
    world *w = begin(&plain);
    orchestrator_stats stats;
    uint64_t key;

    (void)state;
    register_all(w);
    key = world_start(w, "many", "m", "[1,2,3]");
    assert_int_equal(held.started, 3);
    held_succeed(1, "\"two\"");
    world_settle(w);
    world_restart(w, &plain);
    world_settle(w);
    assert_int_equal(held.started, 5); /* steps of the two that were out */
    held_succeed(3, "\"a\"");
    held_succeed(4, "\"b\"");
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_int_equal(world_checkpoints(w, key, CHECKPOINT_CHILD), 3);
    orchestrator_get_stats(w->orchestrator, &stats);
    assert_int_equal(stats.open, 0);
    world_free(w);
}

/* What the parent's engine said last is lost with the channel, at any point between the step before and the child. */
static void test_a_broken_channel_loses_no_child(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 40; point++) {
        world *w = begin(&plain);
        uint64_t key;

        register_all(w);
        world_register(w, HEAD("then") "{\"id\":\"a\",\"executor\":\"test\"},"
                                       "{\"id\":\"call\",\"executor\":\"workflow\","
                                       "\"depends_on\":[\"a\"],\"with\":{\"workflow\":\"box\"}}]"
                                       ",\"output\":\"${steps.call.output}\"}");
        key = world_start(w, "then", "t", NULL);
        held_succeed(0, NULL);
        for (uint32_t i = 0; i < point; i++)
            world_nudge(w, i + i / 5 * 5);
        transport_inproc_break(world_channel(w, key));
        world_advance(w, 1000);
        assert_int_equal(held.started, 2);
        held_succeed(1, "2");
        for (uint32_t i = 0; i < point; i++)
            world_nudge(w, i + i / 5 * 5);
        if (world_channel(w, key))
            transport_inproc_break(world_channel(w, key));
        world_advance(w, 1000);
        assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
        assert_text(world_output(w, key), "2");
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_come_up),
        cmocka_unit_test(test_a_failure_says_where_it_began),
        cmocka_unit_test(test_a_cancel_goes_all_the_way_down),
        cmocka_unit_test(test_time_that_runs_out_asleep_goes_down_too),
        cmocka_unit_test(test_a_child_that_never_began_holds_up_nobody),
        cmocka_unit_test(test_no_refusal_of_a_child_is_lost_on_the_way_to_sleep),
        cmocka_unit_test(test_a_child_that_is_there_is_not_refused),
        cmocka_unit_test(test_a_workflow_that_is_not_there),
        cmocka_unit_test(test_a_late_child_is_cancelled_and_awaited),
        cmocka_unit_test(test_an_abandoned_child_goes_on),
        cmocka_unit_test(test_a_parent_is_woken_once),
        cmocka_unit_test(test_a_child_ends_while_its_parent_sleeps),
        cmocka_unit_test(test_a_restart_starts_no_child_twice),
        cmocka_unit_test(test_a_broken_channel_loses_no_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
