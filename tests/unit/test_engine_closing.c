/* Goal: when an execution ends badly, compensations and on_failure run with what they need to know, under keys of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine_impl.h"
#include "support/peer.h"
#include "workflow/run.h"

static void begin(peer *p, world *w, const char *input, const char *definition)
{
    message *m = peer_start(p, w, 64, 1, definition);

    m->start->input = input ? bytes_new(input, strlen(input)) : NULL;
    p->acknowledges = true;
    peer_say(p, m);
    if (peer_last(p)->kind == MESSAGE_NEED_DEFINITION)
        peer_define(p);
}

static void succeed(world *w, int i, const char *output)
{
    held_succeed(i, output);
    world_settle(w);
}

static void fail_at(world *w, int i, int32_t code)
{
    held_fail(i, code, true);
    world_settle(w);
}

/* The attempt i was started for that. */
static void assert_started(int i, uint8_t role, const char *key, const char *with)
{
    assert_true(i < held.started);
    assert_string_equal(held.keys[i], key);
    assert_string_equal(held.with[i] ? held.with[i] : "null", with);
    assert_int_equal(held.roles[i], role);
}

#define HEAD    "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":["
#define UNDO(w) ",\"compensate\":{\"executor\":\"test\",\"with\":" w "}"
#define A(more) "{\"id\":\"a\",\"executor\":\"test\"" more "}"
#define B       ",{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"]}"

static void test_a_compensation_sees_what_it_is_for(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, "{\"x\":1}",
          HEAD A(UNDO("{\"id\":\"${steps.a.output.id}\",\"x\":\"${input.x}\",\"state\":"
                      "\"${execution.state}\",\"code\":\"${execution.error.code}\",\"step\":"
                      "\"${execution.error.step}\"}")) B "]}");
    succeed(w, 0, "{\"id\":7}");
    assert_started(1, ROLE_STEP, "order/1/b", "null");
    fail_at(w, 1, ORCH_E_ABORTED);
    assert_started(2, ROLE_COMPENSATE, "order/1/a/compensate",
                   "{\"code\":\"ABORTED\",\"id\":7,\"state\":\"failed\",\"step\":\"b\",\"x\":1}");
    assert_string_equal(held.open[2]->step, "a");
    succeed(w, 2, NULL);
    assert_int_equal(peer_last(&p)->report.state, RUN_FAILED);
    peer_end(&p);
    world_free(w);
}

static void test_a_compensation_by_lua(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, NULL,
          HEAD A(UNDO("[\"${steps.a.output.n + 1}\",\"${execution.state .. 1}\","
                      "\"${steps['a'].status .. 2}\"]")) B "]}");
    succeed(w, 0, "{\"n\":1}");
    fail_at(w, 1, ORCH_E_ABORTED);
    assert_started(2, ROLE_COMPENSATE, "order/1/a/compensate", "[2,\"failed1\",\"succeeded2\"]");
    peer_end(&p);
    world_free(w);
}

static void test_items_see_their_own(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, "[\"x\",\"y\"]",
          HEAD A(",\"for_each\":\"${input}\"" UNDO(
              "[\"${steps.a.output}\",\"${steps.a.status}\",\"${item}\",\"${index}\"]")) B "]}");
    succeed(w, 0, "\"X\"");
    succeed(w, 1, "\"Y\"");
    assert_started(2, ROLE_STEP, "order/1/b", "null");
    fail_at(w, 2, ORCH_E_ABORTED);
    assert_started(3, ROLE_COMPENSATE, "order/1/a/1/compensate", "[\"Y\",\"succeeded\",\"y\",1]");
    succeed(w, 3, NULL);
    assert_started(4, ROLE_COMPENSATE, "order/1/a/0/compensate", "[\"X\",\"succeeded\",\"x\",0]");
    succeed(w, 4, NULL);
    assert_int_equal(peer_last(&p)->report.state, RUN_FAILED);
    peer_end(&p);
    world_free(w);
}

static void test_on_failure(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, "{\"x\":1}",
          HEAD A("") "],\"on_failure\":{\"executor\":\"test\",\"with\":{\"x\":\"${input.x}\","
                     "\"error\":\"${execution.error}\",\"state\":\"${execution.state}\",\"a\":"
                     "\"${steps.a.status}\"}}}");
    fail_at(w, 0, ORCH_E_ABORTED);
    assert_started(
        1, ROLE_ON_FAILURE, "order/1/on_failure",
        "{\"a\":\"failed\",\"error\":{\"code\":\"ABORTED\",\"message\":\"ABORTED\",\"step\":\"a\"},\"state\":\"failed\",\"x\":1}");
    assert_string_equal(held.open[1]->step, "");
    assert_int_equal(held.open[1]->index, INDEX_NONE);
    succeed(w, 1, "1");
    peer_assert_end(&p, RUN_FAILED, "null",
                    "{\"code\":\"ABORTED\",\"message\":\"ABORTED\",\"step\":\"a\"}");
    peer_end(&p);
    world_free(w);
}

static void test_a_handler_that_is_late_is_stopped(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, NULL, HEAD A("") "],\"on_failure\":{\"executor\":\"test\",\"timeout\":\"3s\"}}");
    fail_at(w, 0, ORCH_E_ABORTED);
    assert_int_equal(held.open[1]->deadline_ms, w->now_ms + 3000);
    world_advance(w, 3000);
    assert_int_equal(held.stopped, 1);
    assert_int_equal(atomic_load(&held.open[1]->stop), ORCH_E_DEADLINE_EXCEEDED);
    fail_at(w, 1, ORCH_E_CANCELLED);
    assert_int_equal(peer_last(&p)->report.state, RUN_FAILED);
    peer_end(&p);
    world_free(w);
}

static void test_it_is_told_what_runs(void **state)
{
    world *w = peer_world(NULL);
    const message *m;
    peer p;

    (void)state;
    begin(&p, w, NULL, HEAD A(UNDO("1")) B "],\"on_failure\":{\"executor\":\"test\"}}");
    succeed(w, 0, NULL);
    fail_at(w, 1, ORCH_E_ABORTED);
    succeed(w, 2, NULL);
    assert_int_equal(peer_next(&p, MESSAGE_STEP_STARTED)->step_started.role, ROLE_STEP);
    assert_int_equal(peer_next(&p, MESSAGE_STEP_STARTED)->step_started.role, ROLE_STEP);
    m = peer_next(&p, MESSAGE_STEP_STARTED);
    assert_int_equal(m->step_started.role, ROLE_COMPENSATE);
    assert_int_equal(m->step_started.step, 0);
    m = peer_next(&p, MESSAGE_STEP_STARTED);
    assert_int_equal(m->step_started.role, ROLE_ON_FAILURE);
    assert_int_equal(m->step_started.step, STEP_NONE);
    peer_end(&p);
    world_free(w);
}

/* ---- after a restart ------------------------------------------------------------------------------------- */

/* Hand the execution over again with all that p was told. */
static void again(peer *back, peer *p, const char *input, const char *definition)
{
    message *m = peer_start(back, p->w, 64, 2, definition);

    m->start->input = input ? bytes_new(input, strlen(input)) : NULL;
    m->start->checkpoint_count = (uint32_t)p->last_seq;
    m->start->checkpoints = mem_calloc((size_t)p->last_seq, sizeof(checkpoint));
    for (uint64_t seq = 1; seq <= p->last_seq; seq++) {
        checkpoint *c = &m->start->checkpoints[seq - 1];

        *c = *peer_row(p, seq);
        bytes_ref(c->output);
        bytes_ref(c->error);
    }
    back->acknowledges = true;
    peer_say(back, m);
}

#define EACH(list)                 \
    HEAD A(",\"for_each\":\"" list \
           "\"" UNDO("[\"${steps.a.output}\",\"${item}\",\"${execution.error.code}\"]")) B "]}"

/* Two items are done, b fails; the second item is undone, and that is stored. */
static void begin_two(peer *p, world *w, const char *definition)
{
    begin(p, w, "[\"x\",\"y\"]", definition);
    succeed(w, 0, "\"X\"");
    succeed(w, 1, "\"Y\"");
    fail_at(w, 2, ORCH_E_ABORTED);
    assert_started(3, ROLE_COMPENSATE, "order/1/a/1/compensate", "[\"Y\",\"y\",\"ABORTED\"]");
    succeed(w, 3, NULL);
    assert_int_equal(held.started, 5);
}

/* The items are in no checkpoint: the list is evaluated once more. */
static void compensate_after_a_restart(const char *definition)
{
    world *w = peer_world(NULL);
    peer p, back;

    begin_two(&p, w, definition);
    again(&back, &p, "[\"x\",\"y\"]", definition);
    assert_started(5, ROLE_COMPENSATE, "order/1/a/0/compensate", "[\"X\",\"x\",\"ABORTED\"]");
    succeed(w, 5, NULL);
    assert_int_equal(peer_last(&back)->report.state, RUN_FAILED);
    assert_null(strstr(peer_last(&back)->report.error->data, "compensation_failed"));
    peer_end(&p);
    peer_end(&back);
    world_free(w);
}

static void test_compensation_goes_on_after_a_restart(void **state)
{
    (void)state;
    compensate_after_a_restart(EACH("${input}"));
    compensate_after_a_restart(EACH("${{input[1], input[2]}}"));
}

/* It cannot be, but for a host that changes what was stored; or a definition that asks a secret for its list. */
static void test_another_list_is_not_compensated(void **state)
{
    world *w = peer_world(NULL);
    peer p, back;

    (void)state;
    begin_two(&p, w, EACH("${input}"));
    again(&back, &p, "[\"x\",\"z\"]", EACH("${input}"));
    assert_int_equal(held.started, 5);
    assert_int_equal(peer_last(&back)->report.state, RUN_FAILED);
    assert_non_null(strstr(peer_last(&back)->report.error->data,
                           "for_each of step 'a' gives another list than the one whose items are "
                           "to be compensated"));
    peer_end(&p);
    peer_end(&back);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_compensation_sees_what_it_is_for),
        cmocka_unit_test(test_a_compensation_by_lua),
        cmocka_unit_test(test_items_see_their_own),
        cmocka_unit_test(test_on_failure),
        cmocka_unit_test(test_a_handler_that_is_late_is_stopped),
        cmocka_unit_test(test_it_is_told_what_runs),
        cmocka_unit_test(test_compensation_goes_on_after_a_restart),
        cmocka_unit_test(test_another_list_is_not_compensated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
