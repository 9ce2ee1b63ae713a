/* Goal: what is asked of executions from outside happens, once, and survives a restart at any moment: signals, pause, terminate, new
 * runs; and parents and children know of each other's ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "orchestrator/orchestrator_impl.h"
#include "support/held_attempts.h"
#include "support/world.h"

#define HOUR 3600000

#define TWO                                                                                  \
    "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"}," \
    "{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"]}],"                          \
    "\"output\":\"${steps.b.output}\"}"
#define WAITER                                                                                 \
    "{\"id\":\"waiter\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"w\",\"executor\":\"wait\"," \
    "\"with\":{\"signal\":\"go\",\"timeout\":\"10h\"}}],\"output\":\"${steps.w.output}\"}"
#define PARENT                                                                                     \
    "{\"id\":\"parent\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"c\",\"executor\":\"workflow\"," \
    "\"for_each\":\"${input.list}\","                                                              \
    "\"with\":{\"workflow\":\"two\",\"version\":\"^1\",\"inputs\":{\"n\":\"${item}\"}}}],"         \
    "\"output\":\"${steps.c.output}\"}"

static const world_options plain = {.test_executor = &held_ops, .capacity = 100};

static world *begin(void)
{
    world *w;

    held_reset();
    w = world_new(&plain);
    world_register(w, TWO);
    world_register(w, WAITER);
    world_register(w, PARENT);
    return w;
}

static void answered(control_request *r)
{
    r->name = NULL;
}

/* `like` says which action and its arguments; what it owns is taken over. `name` is given as text. */
static int32_t control(world *w, const char *id, control_request like, const char *name,
                       const char *word)
{
    control_request r = like;
    char *text = mem_strdup(name ? name : "-");

    r.done = answered;
    r.id = mem_strdup(id);
    r.who = mem_strdup("tester");
    r.name = text;
    orchestrator_control(w->orchestrator, &r);
    world_settle(w);
    assert_null(r.name);
    if (word)
        assert_non_null(strstr(orch_error_message(r.error), word));
    else if (r.code)
        fail_msg("%s", orch_error_message(r.error));
    orch_error_free(r.error);
    mem_free(text);
    mem_free(r.id);
    mem_free(r.who);
    mem_free(r.step);
    mem_free(r.new_id);
    bytes_unref(r.payload);
    return r.code;
}

static int32_t act(world *w, const char *id, enum control_action action)
{
    return control(w, id, (control_request){.action = (uint8_t)action}, NULL, NULL);
}

static void refuses(world *w, const char *id, enum control_action action, int32_t code,
                    const char *word)
{
    assert_int_equal(control(w, id, (control_request){.action = (uint8_t)action}, NULL, word),
                     code);
}

static void send_signal(world *w, const char *id, const char *name, const char *payload)
{
    control_request r = {.action = CONTROL_SIGNAL, .payload = bytes_new(payload, strlen(payload))};

    assert_int_equal(control(w, id, r, name, NULL), 0);
}

static attempt_result output(const char *text)
{
    return (attempt_result){.output = bytes_new(text, strlen(text))};
}

static void assert_text(char *text, const char *expected)
{
    assert_string_equal(text, expected);
    mem_free(text);
}

static void assert_nothing_is_left(world *w)
{
    orchestrator_stats stats;

    orchestrator_get_stats(w->orchestrator, &stats);
    assert_int_equal(stats.open, 0);
    assert_int_equal(stats.running, 0);
    assert_int_equal(HASH_COUNT(w->orchestrator->lives), 0);
}

static uint64_t key_of(world *w, const char *id)
{
    execution_row row = {0};
    uint64_t key;

    assert_int_equal(w->store.ops->load_execution(w->store.self, 0, id, &row, NULL), 0);
    key = row.key;
    execution_row_clear(&row);
    return key;
}

/* ---- signals --------------------------------------------------------------------------------------------- */

static void a_signal_ends_a_wait(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "waiter", "x", NULL);

    (void)state;
    send_signal(w, "x", "other", "1");
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    send_signal(w, "x", "go", "{\"by\":\"ann\"}");
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "{\"by\":\"ann\"}");
    refuses(w, "x", CONTROL_SIGNAL, ORCH_E_FAILED_PRECONDITION, "succeeded");
    refuses(w, "nobody", CONTROL_SIGNAL, ORCH_E_NOT_FOUND, "nobody");
    assert_nothing_is_left(w);
    world_free(w);
}

/* It sleeps in the store, for hours and through a restart; the signal wakes it and no timer does. */
static void a_signal_wakes_what_sleeps(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "waiter", "x", NULL);

    (void)state;
    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(HASH_COUNT(w->orchestrator->lives), 0);
    world_restart(w, &plain);
    world_advance(w, 2 * HOUR);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    send_signal(w, "x", "go", "7");
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "7");
    assert_nothing_is_left(w);
    world_free(w);
}

static void a_wait_for_a_signal_times_out(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "waiter", "x", NULL);
    char *error;

    (void)state;
    world_advance(w, 60000);
    world_restart(w, &plain);
    world_advance(w, 10 * HOUR);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    error = world_error(w, key);
    assert_non_null(strstr(error, "DEADLINE_EXCEEDED"));
    mem_free(error);
    world_free(w);
}

/* A signal that comes before its wait is there when that begins, also if the process died in between. */
static void an_early_signal_is_kept(void **state)
{
    world *w = begin();
    uint64_t key;

    (void)state;
    world_register(w, "{\"id\":\"late\",\"version\":\"1.0.0\",\"steps\":["
                      "{\"id\":\"a\",\"executor\":\"test\"},"
                      "{\"id\":\"w\",\"executor\":\"wait\",\"depends_on\":[\"a\"],"
                      "\"with\":{\"signal\":\"go\"}},"
                      "{\"id\":\"v\",\"executor\":\"wait\",\"depends_on\":[\"w\"],"
                      "\"with\":{\"signal\":\"go\"}}],"
                      "\"output\":[\"${steps.w.output}\",\"${steps.v.output}\"]}");
    key = world_start(w, "late", "x", NULL);
    send_signal(w, "x", "go", "1");
    world_restart(w, &plain);
    world_settle(w);
    held_end_all();
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    send_signal(w, "x", "go", "2");
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "[1,2]");
    world_free(w);
}

/* ---- pause ----------------------------------------------------------------------------------------------- */

static void nothing_starts_while_it_is_paused(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "two", "x", NULL);

    (void)state;
    assert_int_equal(act(w, "x", CONTROL_PAUSE), 0);
    assert_int_equal(act(w, "x", CONTROL_PAUSE), 0);
    held_end(0, output("1"));
    world_settle(w);
    assert_int_equal(held.started, 1);
    world_advance(w, HOUR); /* it is put down meanwhile */
    assert_int_equal(HASH_COUNT(w->orchestrator->lives), 0);
    world_restart(w, &plain);
    world_advance(w, HOUR);
    assert_int_equal(held.started, 1);
    assert_int_equal(act(w, "x", CONTROL_RESUME), 0);
    assert_int_equal(held.started, 2);
    held_end(1, output("2"));
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_left(w);
    world_free(w);
}

static void what_is_paused_can_be_cancelled(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "two", "x", NULL);

    (void)state;
    assert_int_equal(act(w, "x", CONTROL_PAUSE), 0);
    held_end(0, output("1"));
    world_settle(w);
    world_advance(w, HOUR);
    assert_int_equal(act(w, "x", CONTROL_CANCEL), 0);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_nothing_is_left(w);
    world_free(w);
}

static void one_that_waits_for_an_engine_can_be_paused(void **state)
{
    static const world_options one_slot = {.test_executor = &held_ops, .capacity = 1};
    world *w;
    uint64_t key;

    (void)state;
    held_reset();
    w = world_new(&one_slot);
    world_register(w, TWO);
    world_start(w, "two", "first", NULL);
    key = world_start(w, "two", "x", NULL);
    assert_int_equal(act(w, "x", CONTROL_PAUSE), 0);
    assert_int_equal(act(w, "first", CONTROL_TERMINATE), 0);
    world_advance(w, 1000);
    assert_int_equal(held.started, 1);
    assert_int_equal(act(w, "x", CONTROL_RESUME), 0);
    assert_int_equal(held.started, 2);
    held_end(1, output("1"));
    world_settle(w);
    held_end(2, output("2"));
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* ---- terminate ------------------------------------------------------------------------------------------- */

static void terminate_ends_at_once(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "two", "x", NULL);
    char *error;

    (void)state;
    assert_int_equal(act(w, "x", CONTROL_TERMINATE), 0);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    error = world_error(w, key);
    assert_non_null(strstr(error, "ABORTED"));
    mem_free(error);
    held_end_all(); /* too late */
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    refuses(w, "x", CONTROL_TERMINATE, ORCH_E_FAILED_PRECONDITION, "cancelled");
    assert_nothing_is_left(w);
    world_free(w);
}

/* ---- new runs -------------------------------------------------------------------------------------------- */

static void a_retry_goes_on_from_what_failed(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "two", "x", NULL);
    execution_row row;

    (void)state;
    refuses(w, "x", CONTROL_RETRY, ORCH_E_FAILED_PRECONDITION, "has not ended");
    held_end(0, output("1"));
    world_settle(w);
    held_end(1, (attempt_result){.code = ORCH_E_INTERNAL});
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    assert_int_equal(act(w, "x", CONTROL_RETRY), 0);
    assert_int_equal(held.started, 3);
    assert_string_equal(held.open[2]->step, "b");
    row = world_row(w, key);
    assert_int_equal(row.run, 2);
    execution_row_clear(&row);
    world_restart(w, &plain);
    world_settle(w);
    held_end_all();
    world_settle(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    refuses(w, "x", CONTROL_RETRY, ORCH_E_FAILED_PRECONDITION, "has succeeded");
    assert_nothing_is_left(w);
    world_free(w);
}

static void a_rerun_begins_at_a_step(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "two", "x", NULL);

    (void)state;
    held_end(0, output("1"));
    world_settle(w);
    held_end(1, output("2"));
    world_settle(w);
    assert_int_equal(control(w, "x",
                             (control_request){.action = CONTROL_RERUN, .step = mem_strdup("c")},
                             NULL, "no step 'c'"),
                     ORCH_E_NOT_FOUND);
    assert_int_equal(control(w, "x",
                             (control_request){.action = CONTROL_RERUN, .step = mem_strdup("b")},
                             NULL, NULL),
                     0);
    assert_int_equal(held.started, 3);
    held_end(2, output("3"));
    world_settle(w);
    assert_text(world_output(w, key), "3");
    world_free(w);
}

static void a_fork_is_another_execution(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "two", "x", NULL);

    (void)state;
    held_end(0, output("1"));
    world_settle(w);
    assert_int_equal(control(w, "x",
                             (control_request){.action = CONTROL_FORK, .new_id = mem_strdup("y")},
                             NULL, NULL),
                     0);
    assert_int_equal(held.started, 3);
    assert_string_equal(held.open[2]->execution, "y");
    assert_string_equal(held.open[2]->step, "b");
    held_end(2, output("3"));
    world_settle(w);
    assert_int_equal(world_state(w, key_of(w, "y")), EXECUTION_SUCCEEDED);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    assert_int_equal(control(w, "x",
                             (control_request){.action = CONTROL_FORK, .new_id = mem_strdup("y")},
                             NULL, "exists already"),
                     ORCH_E_ALREADY_EXISTS);
    world_free(w);
}

/* ---- parents and children -------------------------------------------------------------------------------- */

/* Steps a and b of every child that runs. */
static void let_children_run(world *w)
{
    for (int i = 0; i < 20; i++) {
        held_end_all();
        world_settle(w);
    }
}

static void a_parent_has_its_childrens_outputs(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "parent", "p", "{\"list\":[1,2,3]}");

    (void)state;
    assert_int_equal(held.started, 3);
    assert_string_equal(held.open[1]->execution, "p/1/c/1");
    let_children_run(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_text(world_output(w, key), "[null,null,null]");
    refuses(w, "p/1/c/1", CONTROL_RETRY, ORCH_E_FAILED_PRECONDITION, "succeeded");
    assert_nothing_is_left(w);
    world_free(w);
}

/* The parent sleeps while they run, wakes once for all of them, and through restarts. */
static void a_parent_sleeps_while_its_children_run(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "parent", "p", "{\"list\":[1,2,3]}");

    (void)state;
    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    held_end(0, output("1"));
    world_settle(w);
    held_end(3, output("1"));
    world_settle(w);
    assert_int_equal(world_state(w, key_of(w, "p/1/c/0")), EXECUTION_SUCCEEDED);
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    world_restart(w, &plain);
    world_settle(w);
    let_children_run(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_left(w);
    world_free(w);
}

static void a_childs_failure_comes_up(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "parent", "p", "{\"list\":[1,2]}");
    char *error;

    (void)state;
    world_advance(w, 60000);
    held_end(0, (attempt_result){.code = ORCH_E_NOT_FOUND});
    world_settle(w);
    let_children_run(w);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    error = world_error(w, key);
    assert_non_null(strstr(error, "p/1/c/0"));
    assert_non_null(strstr(error, "NOT_FOUND"));
    mem_free(error);
    refuses(w, "p/1/c/0", CONTROL_RETRY, ORCH_E_FAILED_PRECONDITION, "retry the parent");
    assert_int_equal(act(w, "p", CONTROL_RETRY), 0);
    let_children_run(w);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_nothing_is_left(w);
    world_free(w);
}

static void a_cancel_goes_down(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "parent", "p", "{\"list\":[1,2]}");

    (void)state;
    world_advance(w, 60000); /* it sleeps */
    assert_int_equal(act(w, "p", CONTROL_CANCEL), 0);
    assert_int_equal(world_state(w, key_of(w, "p/1/c/0")), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, key_of(w, "p/1/c/1")), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_nothing_is_left(w);
    world_free(w);
}

static void terminate_goes_down(void **state)
{
    world *w = begin();
    uint64_t key = world_start(w, "parent", "p", "{\"list\":[1,2]}");

    (void)state;
    world_advance(w, 60000);
    assert_int_equal(act(w, "p", CONTROL_TERMINATE), 0);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, key_of(w, "p/1/c/0")), EXECUTION_CANCELLED);
    assert_int_equal(world_state(w, key_of(w, "p/1/c/1")), EXECUTION_CANCELLED);
    assert_nothing_is_left(w);
    world_free(w);
}

static void a_child_that_cannot_be_started_fails_its_step(void **state)
{
    world *w = begin();
    uint64_t key;
    char *error;

    (void)state;
    world_register(w, "{\"id\":\"orphan\",\"version\":\"1.0.0\",\"steps\":["
                      "{\"id\":\"c\",\"executor\":\"workflow\","
                      "\"with\":{\"workflow\":\"missing\"}}]}");
    key = world_start(w, "orphan", NULL, NULL);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    error = world_error(w, key);
    assert_non_null(strstr(error, "NOT_FOUND"));
    assert_non_null(strstr(error, "missing"));
    mem_free(error);
    assert_nothing_is_left(w);
    world_free(w);
}

/* Each is the child of the one before it, until that is deep enough. */
static void depth_is_limited(void **state)
{
    world *w = begin();
    uint64_t key;
    char *error;

    (void)state;
    world_register(w, "{\"id\":\"deep\",\"version\":\"1.0.0\",\"steps\":["
                      "{\"id\":\"c\",\"executor\":\"workflow\","
                      "\"with\":{\"workflow\":\"deep\"}}]}");
    key = world_start(w, "deep", NULL, NULL);
    world_advance(w, 60000);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    error = world_error(w, key);
    assert_non_null(strstr(error, "at most 32"));
    mem_free(error);
    assert_nothing_is_left(w);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_ends_a_wait),
        cmocka_unit_test(a_signal_wakes_what_sleeps),
        cmocka_unit_test(a_wait_for_a_signal_times_out),
        cmocka_unit_test(an_early_signal_is_kept),
        cmocka_unit_test(nothing_starts_while_it_is_paused),
        cmocka_unit_test(what_is_paused_can_be_cancelled),
        cmocka_unit_test(one_that_waits_for_an_engine_can_be_paused),
        cmocka_unit_test(terminate_ends_at_once),
        cmocka_unit_test(a_retry_goes_on_from_what_failed),
        cmocka_unit_test(a_rerun_begins_at_a_step),
        cmocka_unit_test(a_fork_is_another_execution),
        cmocka_unit_test(a_parent_has_its_childrens_outputs),
        cmocka_unit_test(a_parent_sleeps_while_its_children_run),
        cmocka_unit_test(a_childs_failure_comes_up),
        cmocka_unit_test(a_cancel_goes_down),
        cmocka_unit_test(terminate_goes_down),
        cmocka_unit_test(a_child_that_cannot_be_started_fails_its_step),
        cmocka_unit_test(depth_is_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
