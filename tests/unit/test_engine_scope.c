/* Goal: what expressions see of the execution they run in. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/peer.h"
#include "support/scrambler.h"

#define STEP_WITH(with)                                                                   \
    "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"," \
    "\"with\":" with "}]}"

static void begin(peer *p, world *w, const char *parent, const char *input, const char *definition)
{
    message *m = peer_start(p, w, 64, 1, definition);

    m->start->parent = parent ? mem_strdup(parent) : NULL;
    m->start->input = input ? bytes_new(input, strlen(input)) : NULL;
    p->acknowledges = true;
    peer_say(p, m);
    if (peer_last(p)->kind == MESSAGE_NEED_DEFINITION)
        peer_define(p);
}

static void test_the_parent(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, "shop/1/pack", NULL, STEP_WITH("\"${execution.parent}\""));
    assert_string_equal(held.with[0], "\"shop/1/pack\"");
    peer_end(&p);
    begin(&p, w, NULL, NULL, STEP_WITH("[\"${execution.parent}\",\"${execution.id}\"]"));
    assert_string_equal(held.with[1], "[null,\"order\"]");
    peer_end(&p);
    world_free(w);
}

#define DECLARED                                                                                     \
    "{\"id\":\"w\",\"version\":\"1.0.0\",\"inputs\":{\"n\":\"integer\",\"of\":{\"type\":\"string\"," \
    "\"default\":\"eur\"}},\"outputs\":{\"sum\":\"number\"},\"steps\":[{\"id\":\"a\",\"executor\":"  \
    "\"test\",\"with\":\"${input}\"}],\"output\":{\"sum\":\"${steps.a.output}\"}}"

static void test_defaults_are_part_of_the_input(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, NULL, "{\"n\":1}", DECLARED);
    assert_string_equal(held.with[0], "{\"n\":1,\"of\":\"eur\"}");
    held_succeed(0, "1.5");
    world_settle(w);
    peer_assert_end(&p, RUN_SUCCEEDED, "{\"sum\":1.5}", "null");
    peer_end(&p);
    world_free(w);
}

static void test_outputs_are_checked_at_the_end(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, NULL, "{\"n\":1}", DECLARED);
    held_succeed(0, "\"much\"");
    world_settle(w);
    peer_assert_end(&p, RUN_FAILED, "null",
                    "{\"code\":\"FAILED_PRECONDITION\",\"message\":\"output: 'sum' must be a "
                    "number, not a string\"}");
    peer_end(&p);
    world_free(w);
}

/* The orchestrator cannot look into them. */
static void test_encoded_inputs_are_checked_by_the_engine(void **state)
{
    scrambler secret = {0};
    world_options o = {.codec = scrambler_codec(&secret)};
    world *w = peer_world(&o);
    bytes *bad = scrambler_encoded("{\"n\":\"one\"}"), *good = scrambler_encoded("{\"n\":1}");
    peer p;

    (void)state;
    begin(&p, w, NULL, bad->data, DECLARED);
    peer_assert_refused(&p, ORCH_E_INVALID_ARGUMENT,
                        "inputs of workflow 'w' 1.0.0: 'n' must be an integer, not a string");
    peer_end(&p);
    begin(&p, w, NULL, good->data, DECLARED);
    assert_string_equal(held.with[0], "{\"n\":1,\"of\":\"eur\"}");
    peer_end(&p);
    bytes_unref(bad);
    bytes_unref(good);
    world_free(w);
}

/* What a for_each gives if its items may fail: null for those that did. */
static void test_outputs_of_items_that_may_fail(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, NULL, "[1,2]",
          "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\","
          "\"for_each\":\"${input}\",\"continue_on_failure\":true}],\"output\":"
          "\"${steps.a.output}\"}");
    held_fail(0, ORCH_E_ABORTED, true);
    held_succeed(1, "\"two\"");
    world_settle(w);
    peer_assert_end(&p, RUN_SUCCEEDED, "[null,\"two\"]", "null");
    peer_end(&p);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parent),
        cmocka_unit_test(test_outputs_of_items_that_may_fail),
        cmocka_unit_test(test_defaults_are_part_of_the_input),
        cmocka_unit_test(test_outputs_are_checked_at_the_end),
        cmocka_unit_test(test_encoded_inputs_are_checked_by_the_engine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
