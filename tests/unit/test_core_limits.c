/* Goal: everything that an orchestrator takes is bounded, and who comes too late, while it stops or after another has taken the
 * store over, is told so: once, and not inside the call that asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "orchestrator/orchestrator_impl.h"
#include "support/held_attempts.h"
#include "support/world.h"

#define ONE_STEP \
    "{\"id\":\"one\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"}]}"

static world *begin(world_options o)
{
    world *w;

    held_reset();
    o.test_executor = &held_ops;
    w = world_new(&o);
    world_register(w, ONE_STEP);
    return w;
}

static void finish(world *w, int i)
{
    held_end(i, (attempt_result){0});
    world_settle(w);
}

/* ---- requests that are not waited for -------------------------------------------------------------------- */

typedef struct asked {
    start_request r;
    int answers;
} asked;

static void answered(start_request *r)
{
    ((asked *)r)->answers++;
}

static void ask(world *w, asked *a, const char *input)
{
    *a = (asked){.r = {.done = answered, .workflow = mem_strdup("one")}};
    a->r.input = input ? bytes_new(input, strlen(input)) : NULL;
    orchestrator_start(w->orchestrator, &a->r);
    assert_int_equal(a->answers, 0);
}

static void expect(asked *a, int32_t code, const char *word)
{
    assert_int_equal(a->answers, 1);
    assert_int_equal(a->r.code, code);
    if (code)
        assert_non_null(strstr(orch_error_message(a->r.error), word));
    mem_free(a->r.workflow);
    bytes_unref(a->r.input);
    orch_error_free(a->r.error);
}

/* ---- limits ---------------------------------------------------------------------------------------------- */

static void test_open_executions_are_bounded(void **state)
{
    const world_options o = {.max_open = 2, .test_executor = &held_ops};
    world *w = begin(o);
    uint64_t key;
    asked a;

    (void)state;
    world_start(w, "one", NULL, NULL);
    world_start(w, "one", NULL, NULL);
    ask(w, &a, NULL);
    world_settle(w);
    expect(&a, ORCH_E_RESOURCE_EXHAUSTED, "2 executions are open");
    world_restart(w, &o); /* those in the store count */
    world_settle(w);
    assert_int_equal(world_start_code(w, "one", NULL, NULL, &key), ORCH_E_RESOURCE_EXHAUSTED);
    finish(w, 2);
    assert_int_equal(world_start_code(w, "one", NULL, NULL, &key), 0);
    assert_int_equal(world_start_code(w, "one", NULL, NULL, &key), ORCH_E_RESOURCE_EXHAUSTED);
    world_free(w);
}

static void test_starts_on_their_way_into_the_store_are_bounded(void **state)
{
    world *w = begin((world_options){.max_accepting = 2});
    asked a[3], later;

    (void)state;
    for (int i = 0; i < 3; i++)
        ask(w, &a[i], NULL);
    world_settle(w);
    expect(&a[0], 0, NULL);
    expect(&a[1], 0, NULL);
    expect(&a[2], ORCH_E_RESOURCE_EXHAUSTED, "2 starts are waiting");
    ask(w, &later, NULL);
    world_settle(w);
    expect(&later, 0, NULL);
    world_free(w);
}

/* One large input is taken, however large; a second one not while the first is on its way. */
static void test_inputs_in_memory_are_bounded(void **state)
{
    world *w = begin((world_options){.window_bytes = 100});
    char input[300];
    asked large, small, later;

    (void)state;
    snprintf(input, sizeof input, "{\"x\":\"%0250d\"}", 0);
    ask(w, &large, input);
    ask(w, &small, NULL);
    world_settle(w);
    expect(&large, 0, NULL);
    expect(&small, ORCH_E_RESOURCE_EXHAUSTED, "bytes are in memory");
    ask(w, &later, NULL);
    world_settle(w);
    expect(&later, 0, NULL);
    world_free(w);
}

/* More starts in one millisecond than it has keys for: the keys run ahead of the clock, and none is given twice. */
static void test_keys_of_one_millisecond_do_not_run_out(void **state)
{
    enum { MANY = 100000 };
    world *w = begin((world_options){0});
    const char *ids[2] = {NULL, "order-1"};

    (void)state;
    for (int which = 0; which < 2; which++) {
        uint64_t last = 0;

        for (int i = 0; i < MANY; i++) {
            uint64_t key = live_next_key(w->orchestrator, ids[which]);

            assert_true(key > last);
            assert_int_equal(execution_key_shard(key), ids[which]
                                                           ? execution_id_shard(ids[which])
                                                           : execution_key_ms(key) % STORE_SHARDS);
            last = key;
        }
        assert_true(execution_key_ms(last) > w->now_ms);
        assert_true(execution_key_ms(last) < w->now_ms + 100);
    }
    world_free(w);
}

static void test_an_engine_is_added_once(void **state)
{
    world *w = begin((world_options){0});
    orch_error *err = NULL;

    (void)state;
    assert_int_equal(
        orchestrator_add_engine(w->orchestrator, "engine-0", w->transport, "engine-9", 1, &err),
        ORCH_E_ALREADY_EXISTS);
    assert_non_null(strstr(orch_error_message(err), "'engine-0'"));
    orch_error_free(err);
    world_free(w);
}

/* ---- registrations --------------------------------------------------------------------------------------- */

static int ends;

static void registered(register_request *r)
{
    (void)r;
    ends++;
}

static void ask_register(world *w, register_request *r, const char *text)
{
    *r = (register_request){.done = registered};
    assert_int_equal(definition_parse(text, strlen(text), NULL, &r->definition, NULL), 0);
    orchestrator_register(w->orchestrator, r);
}

static void expect_register(register_request *r, int32_t code)
{
    assert_int_equal(r->code, code);
    orch_error_free(r->error);
    definition_unref(r->definition);
}

/* Several register the same while the first one's is on its way into the store; and one something else by that name. */
static void test_a_version_is_stored_once(void **state)
{
    static const char same[] = "{\"id\":\"new\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\","
                               "\"executor\":\"noop\"}]}";
    static const char other[] = "{\"id\":\"new\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"b\","
                                "\"executor\":\"noop\"}]}";
    world *w = begin((world_options){0});
    register_request first, second, third, late;
    definition_page page;

    (void)state;
    ends = 0;
    ask_register(w, &first, same);
    ask_register(w, &second, same);
    ask_register(w, &third, other);
    world_settle(w);
    assert_int_equal(ends, 3);
    expect_register(&first, 0);
    expect_register(&second, 0);
    expect_register(&third, ORCH_E_ALREADY_EXISTS);
    ask_register(w, &late, same);
    world_settle(w);
    expect_register(&late, 0);
    assert_int_equal(w->store.ops->load_definitions(w->store.self, 0, false, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    definition_page_clear(&page);
    world_free(w);
}

/* ---- too late -------------------------------------------------------------------------------------------- */

static void cancel_answered(control_request *r)
{
    (void)r;
    ends++;
}

static void expect_cancel(world *w, const char *id, int32_t code, const char *word)
{
    control_request r = {.done = cancel_answered, .id = mem_strdup(id)};

    ends = 0;
    orchestrator_control(w->orchestrator, &r);
    assert_int_equal(ends, 0);
    world_settle(w);
    assert_int_equal(ends, 1);
    assert_int_equal(r.code, code);
    assert_non_null(strstr(orch_error_message(r.error), word));
    orch_error_free(r.error);
    mem_free(r.id);
}

static void test_a_stopped_orchestrator_says_so(void **state)
{
    world *w = begin((world_options){0});
    register_request r = {.done = registered};
    asked a;

    (void)state;
    assert_int_equal(definition_parse(ONE_STEP, strlen(ONE_STEP), NULL, &r.definition, NULL), 0);
    orchestrator_stop(w->orchestrator);
    ask(w, &a, NULL);
    world_settle(w);
    expect(&a, ORCH_E_FAILED_PRECONDITION, "stopped");
    expect_cancel(w, "order-1", ORCH_E_FAILED_PRECONDITION, "stopped");
    ends = 0;
    orchestrator_register(w->orchestrator, &r);
    assert_int_equal(ends, 0);
    world_settle(w);
    assert_int_equal(ends, 1);
    assert_int_equal(r.code, ORCH_E_FAILED_PRECONDITION);
    assert_non_null(strstr(orch_error_message(r.error), "stopped"));
    orch_error_free(r.error);
    definition_unref(r.definition);
    world_free(w);
}

/* Its own end of what runs is not recorded any more: whoever has the store now sees to that. */
static void test_who_has_lost_the_store_records_nothing(void **state)
{
    world *w = begin((world_options){0});
    uint64_t key = world_start(w, "one", "order-1", NULL), term;
    asked a;

    (void)state;
    assert_int_equal(w->store.ops->lease(w->store.self, "another", w->now_ms, &term, NULL), 0);
    expect_cancel(w, "order-1", ORCH_E_ABORTED, "could not be recorded");
    ask(w, &a, NULL);
    world_settle(w);
    expect(&a, ORCH_E_ABORTED, "could not be recorded");
    finish(w, 0);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    assert_int_equal(world_checkpoints(w, key, 0), 0);
    ask(w, &a, NULL);
    world_settle(w);
    expect(&a, ORCH_E_UNAVAILABLE, "taken the store over");
    world_restart(w, &(world_options){.test_executor = &held_ops}); /* it takes it back */
    world_settle(w);
    assert_int_equal(held.started, 2);
    finish(w, 1);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    world_free(w);
}

/* Whoever has the store now gives away the same number: an execution of that would be loaded with a version that is about to
 * be forgotten. */
static void test_a_version_that_is_not_stored_is_no_executions(void **state)
{
    static const char text[] = "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":"
                               "[{\"id\":\"a\",\"executor\":\"test\"}]}";
    world *w = begin((world_options){0});
    register_request r = {.done = registered};
    execution_row row = {.key = 99};
    uint64_t term;

    (void)state;
    assert_int_equal(definition_parse(text, strlen(text), NULL, &r.definition, NULL), 0);
    assert_int_equal(w->store.ops->lease(w->store.self, "another", w->now_ms, &term, NULL), 0);
    ends = 0;
    orchestrator_register(w->orchestrator, &r);
    row.definition = w->orchestrator->last_definition;
    assert_null(live_from_row(w->orchestrator, &row));
    world_settle(w);
    assert_int_equal(ends, 1);
    assert_int_equal(r.code, ORCH_E_ABORTED);
    assert_null(live_from_row(w->orchestrator, &row));
    orch_error_free(r.error);
    definition_unref(r.definition);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_executions_are_bounded),
        cmocka_unit_test(test_starts_on_their_way_into_the_store_are_bounded),
        cmocka_unit_test(test_inputs_in_memory_are_bounded),
        cmocka_unit_test(test_keys_of_one_millisecond_do_not_run_out),
        cmocka_unit_test(test_an_engine_is_added_once),
        cmocka_unit_test(test_a_version_is_stored_once),
        cmocka_unit_test(test_a_stopped_orchestrator_says_so),
        cmocka_unit_test(test_who_has_lost_the_store_records_nothing),
        cmocka_unit_test(test_a_version_that_is_not_stored_is_no_executions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
