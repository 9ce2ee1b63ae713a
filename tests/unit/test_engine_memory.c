/* Goal: memory may run out in an engine at any allocation: an execution then ends with that as its reason, or is given back to
 * be handed over again; none is stuck, and nothing is lost or freed twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine_impl.h"
#include "support/peer.h"
#include "support/scrambler.h"

/* All that the language has, in one execution that fails in the end. */
static const char everything[] =
    "{\"id\":\"w\",\"version\":\"1.0.0\",\"inputs\":{\"n\":{\"type\":\"integer\",\"default\":3}},"
    "\"steps\":["
    "{\"id\":\"a\",\"executor\":\"test\",\"heartbeat_timeout\":\"1m\",\"with\":{\"n\":"
    "\"${input.n}\"},\"retry\":{\"max_attempts\":5,\"initial_interval\":\"1ms\"},\"compensate\":"
    "{\"executor\":\"test\",\"with\":[\"${steps.a.output}\",\"${execution.error.code}\"]}},"
    "{\"id\":\"each\",\"executor\":\"test\",\"depends_on\":[\"a\"],\"for_each\":\"${{1, 2}}\","
    "\"with\":\"${item}\",\"compensate\":{\"executor\":\"test\",\"with\":\"${item + 1}\"}},"
    "{\"id\":\"sig\",\"executor\":\"wait\",\"depends_on\":[\"each\"],\"with\":{\"signal\":\"go\","
    "\"correlation\":\"${input.n}\"}},"
    "{\"id\":\"call\",\"executor\":\"workflow\",\"depends_on\":[\"sig\"],\"with\":{\"workflow\":"
    "\"box\",\"inputs\":{\"n\":\"${input.n}\"}}},"
    "{\"id\":\"fails\",\"executor\":\"workflow\",\"depends_on\":[\"call\"],\"with\":{\"workflow\":"
    "\"box\"}}],"
    "\"on_failure\":{\"executor\":\"test\",\"with\":\"${execution.error}\"}}";

static void end_attempts(world *w)
{
    for (int i = 0; i < held.started; i++) {
        if (!held.open[i])
            continue;
        peer_hold();
        if (i < 2)
            held_beat(i, "{\"at\":1}");
        peer_let_go();
        world_settle(w);
        if (!held.open[i]) /* its execution was dropped meanwhile */
            continue;
        peer_hold();
        if (i == 0)
            held_fail(i, ORCH_E_UNAVAILABLE, false);
        else
            held_succeed(i, "{\"id\":1}");
        peer_let_go();
    }
}

static void answer_children(peer *p, uint64_t *seq)
{
    while (p->channel && peer_has(p, MESSAGE_START_CHILD)) {
        const message_child *c = peer_next(p, MESSAGE_START_CHILD)->child;
        bool fails = c->step == 4;
        bytes *payload;

        peer_hold();
        payload = fails ? bytes_new("{\"code\":\"ABORTED\",\"message\":\"no\"}", 33)
                        : bytes_new("1", 1);
        peer_let_go();
        peer_note(p, (inbox_note){.seq = ++*seq,
                                  .kind = NOTE_CHILD_ENDED,
                                  .state = fails ? NOTE_FAILED : NOTE_SUCCEEDED,
                                  .step = c->step,
                                  .index = c->index,
                                  .attempt = c->attempt,
                                  .payload = payload});
        bytes_unref(payload);
    }
}

static bool has_ended(const peer *p)
{
    return p->count && peer_last(p)->kind == MESSAGE_REPORT &&
           peer_last(p)->report.end == REPORT_COMPLETED;
}

/* Until it ends or is given back. */
static void drive(peer *p, bytes *three, bytes *payload)
{
    static char name[] = "go";
    uint64_t seq = 1;

    if (p->channel && p->count && peer_last(p)->kind == MESSAGE_NEED_DEFINITION)
        peer_define(p);
    peer_note(
        p,
        (inbox_note){
            .seq = 1, .kind = NOTE_SIGNAL, .name = name, .correlation = three, .payload = payload});
    for (int rounds = 0; rounds < 40 && p->channel && !has_ended(p); rounds++) {
        world_advance(p->w, 100);
        end_attempts(p->w);
        world_settle(p->w);
        answer_children(p, &seq);
    }
}

/* False if fewer than n allocations were made. */
static bool runs_out_at(long n, codec c, int *failed, int *given_back)
{
    const world_options o = {.codec = c};
    world *w = peer_world(&o);
    bytes *three = bytes_new("3", 1), *payload = bytes_new("7", 1);
    message *m;
    bool reached;
    peer p;

    held.ignores_stop = false;
    m = peer_start(&p, w, 64, 1, everything);
    p.acknowledges = true;
    peer_fail_at(n);
    peer_say(&p, m);
    drive(&p, three, payload);
    reached = peer_failed();
    peer_fail_at(0);
    if (has_ended(&p)) {
        assert_int_equal(peer_last(&p)->report.state, RUN_FAILED);
        *failed += strstr(peer_text(peer_last(&p)->report.error), "RESOURCE_EXHAUSTED") != NULL;
    } else {
        assert_null(p.channel); /* it is not stuck */
        ++*given_back;
    }
    peer_end(&p);
    held_end_all();
    world_settle(w);
    assert_true(engine_is_idle(w->engines[0].engine));
    assert_int_equal(w->engines[0].engine->active, 0);
    world_free(w);
    bytes_unref(three);
    bytes_unref(payload);
    return reached;
}

static void run_out(codec c)
{
    int failed = 0, given_back = 0;
    long n = 1;

    while (runs_out_at(n, c, &failed, &given_back))
        n++;
    assert_true(n > 300); /* it was a good deal of work */
    assert_true(failed > 20);
    assert_true(given_back > 20);
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    run_out((codec){0});
}

static void test_memory_runs_out_with_a_codec(void **state)
{
    scrambler secret = {0};

    (void)state;
    run_out(scrambler_codec(&secret));
    assert_int_equal(secret.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_memory_runs_out_with_a_codec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
