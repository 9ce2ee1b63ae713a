/* Goal: the orchestrator's side of the execution protocol, against an engine that the test plays itself: old epochs, repeated and
 * missing reports, refusals, a suspension that crosses a cancel, definitions on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/world.h"
#include "workflow/run.h"

#define SAID_MAX 64

static struct {
    channel *channel; /* the newest that was opened */
    int opened, closed;
    int32_t closed_code;
    message *said[SAID_MAX]; /* all that came down, in order */
    int count;
    epoch epoch; /* of the newest START */
} peer;

static void raw_message(void *ctx, channel *c, message *m)
{
    (void)ctx;
    (void)c;
    assert_true(peer.count < SAID_MAX);
    if (m->kind == MESSAGE_START)
        peer.epoch = m->epoch;
    peer.said[peer.count++] = m;
}

static void raw_closed(void *ctx, channel *c, int32_t code)
{
    (void)ctx;
    peer.closed++;
    peer.closed_code = code;
    if (peer.channel == c)
        peer.channel = NULL;
    channel_close(c);
}

static const channel_handler raw_handler = {raw_message, raw_closed};

static void raw_accept(void *ctx, channel *c)
{
    (void)ctx;
    c->handler = &raw_handler;
    peer.channel = c;
    peer.opened++;
}

static const world_options options = {.raw_accept = raw_accept};

#define ONE                                                                               \
    "{\"id\":\"one\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"x\"}," \
    "{\"id\":\"b\",\"executor\":\"x\"}]}"

static world *begin(uint64_t *key, const char *id)
{
    world *w;

    memset(&peer, 0, sizeof peer);
    w = world_new(&options);
    world_register(w, ONE);
    *key = world_start(w, "one", id, NULL);
    assert_int_equal(peer.opened, 1);
    assert_int_equal(peer.said[0]->kind, MESSAGE_START);
    return w;
}

static void end(world *w)
{
    channel_close(peer.channel);
    peer.channel = NULL;
    world_free(w);
    for (int i = 0; i < peer.count; i++)
        message_free(peer.said[i]);
}

static message *report(uint64_t first, uint64_t last)
{
    message *m = message_new(MESSAGE_REPORT, peer.epoch);

    for (uint64_t seq = first; seq <= last; seq++) {
        checkpoint c = {
            .seq = seq, .index = INDEX_NONE, .attempt = 1, .kind = CHECKPOINT_SUCCEEDED};

        c.step = (uint32_t)(seq - 1) % 2;
        assert_true(message_report_reserve(m));
        message_report_add(m, &c);
    }
    return m;
}

static void say(world *w, message *m)
{
    channel_send(peer.channel, m);
    world_settle(w);
}

static message *last_said(void)
{
    return peer.said[peer.count - 1];
}

static void test_what_is_stored_is_acknowledged(void **state)
{
    uint64_t key;
    world *w = begin(&key, NULL);
    message *m;

    (void)state;
    say(w, report(1, 1));
    assert_int_equal(last_said()->kind, MESSAGE_ACK);
    assert_int_equal(last_said()->ack.seq, 1);
    m = report(2, 2);
    m->report.end = REPORT_COMPLETED;
    m->report.state = RUN_SUCCEEDED;
    m->report.output = bytes_new("7", 1);
    say(w, m);
    assert_int_equal(peer.closed, 1);
    assert_int_equal(peer.closed_code, 0);
    assert_int_equal(world_state(w, key), EXECUTION_SUCCEEDED);
    assert_int_equal(world_checkpoints(w, key, 0), 2);
    end(w);
}

static void test_an_old_epoch_is_told_to_stop(void **state)
{
    uint64_t key;
    world *w = begin(&key, NULL);
    message *m = report(1, 2);

    (void)state;
    m->epoch.counter--;
    m->report.end = REPORT_COMPLETED;
    m->report.state = RUN_SUCCEEDED;
    say(w, m);
    assert_int_equal(last_said()->kind, MESSAGE_STOP);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    assert_int_equal(world_checkpoints(w, key, 0), 0);
    end(w);
}

static void test_repeated_checkpoints_count_once(void **state)
{
    uint64_t key;
    world *w = begin(&key, NULL);

    (void)state;
    say(w, report(1, 1));
    say(w, report(1, 1));
    say(w, report(1, 2));
    assert_int_equal(world_checkpoints(w, key, 0), 2);
    assert_int_equal(last_said()->ack.seq, 2);
    end(w);
}

static void test_a_gap_takes_the_execution_away(void **state)
{
    uint64_t key;
    world *w = begin(&key, NULL);
    epoch first = peer.epoch;

    (void)state;
    say(w, report(2, 2));
    assert_int_equal(world_checkpoints(w, key, 0), 0);
    assert_int_equal(peer.opened, 2);
    assert_int_equal(last_said()->kind, MESSAGE_START);
    assert_true(epoch_compare(peer.epoch, first) > 0);
    end(w);
}

static void refuse(world *w, int32_t code)
{
    message *m = message_new(MESSAGE_REFUSED, peer.epoch);

    m->refused.code = code;
    m->refused.message = bytes_new("no", 2);
    say(w, m);
}

static void test_a_full_engine_is_left_alone_for_a_while(void **state)
{
    uint64_t key;
    world *w = begin(&key, NULL);

    (void)state;
    refuse(w, ORCH_E_RESOURCE_EXHAUSTED);
    assert_int_equal(peer.opened, 1);
    world_advance(w, 1000);
    assert_int_equal(peer.opened, 2);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    end(w);
}

static void test_what_no_engine_can_run_fails(void **state)
{
    uint64_t key;
    world *w = begin(&key, NULL);
    char *error;

    (void)state;
    refuse(w, ORCH_E_DATA_LOSS);
    assert_int_equal(world_state(w, key), EXECUTION_FAILED);
    error = world_error(w, key);
    assert_string_equal(error, "{\"code\":\"DATA_LOSS\",\"message\":\"no\"}");
    mem_free(error);
    end(w);
}

static void test_a_definition_comes_on_demand(void **state)
{
    uint64_t key;
    world *w = begin(&key, NULL);
    message *m = message_new(MESSAGE_NEED_DEFINITION, peer.epoch);

    (void)state;
    m->definition.digest = peer.said[0]->start->definition;
    say(w, m);
    m = last_said();
    assert_int_equal(m->kind, MESSAGE_DEFINITION);
    assert_memory_equal(&m->definition.digest, &peer.said[0]->start->definition, sizeof(digest));
    assert_string_equal(m->definition.parsed->id, "one");
    assert_non_null(strstr(m->definition.text->data, "\"executor\":\"x\""));
    end(w);
}

static message *suspension(const world *w)
{
    message *m = message_new(MESSAGE_REPORT, peer.epoch);

    m->report.end = REPORT_SUSPENDED;
    m->report.wake_ms = w->now_ms + 3600000;
    return m;
}

/* The engine says it sleeps while a cancel is on its way to it. */
static void test_a_suspension_that_crosses_a_cancel_is_refused(void **state)
{
    uint64_t key;
    world *w = begin(&key, "c");
    message *m;

    (void)state;
    assert_int_equal(world_cancel(w, "c", "\"enough\""), 0);
    assert_int_equal(last_said()->kind, MESSAGE_INBOX);
    assert_int_equal(last_said()->inbox.seq, 1);
    say(w, suspension(w));
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    assert_int_equal(peer.closed, 0);
    m = message_new(MESSAGE_REPORT, peer.epoch);
    m->report.end = REPORT_COMPLETED;
    m->report.state = RUN_CANCELLED;
    m->report.inbox_seen = 1;
    say(w, m);
    assert_int_equal(world_state(w, key), EXECUTION_CANCELLED);
    end(w);
}

/* The cancel is in the store's queue when the engine's word comes, so that only the store can tell. */
static void test_a_suspension_is_checked_inside_the_store(void **state)
{
    char id[EXECUTION_ID_LEN + 1];
    uint64_t key;
    world *w = begin(&key, NULL);

    (void)state;
    execution_id_format(key, id);
    channel_send(peer.channel, suspension(w));
    assert_int_equal(world_cancel(w, id, NULL), 0);
    assert_int_equal(world_state(w, key), EXECUTION_OPEN);
    assert_int_equal(last_said()->kind, MESSAGE_INBOX);
    assert_int_equal(peer.closed, 0);
    end(w);
}

static void test_a_cancel_brings_a_suspended_execution_back(void **state)
{
    uint64_t key;
    world *w = begin(&key, "c");

    (void)state;
    say(w, suspension(w));
    assert_int_equal(world_state(w, key), EXECUTION_SUSPENDED);
    assert_int_equal(peer.closed, 1);
    assert_int_equal(world_cancel(w, "c", NULL), 0);
    assert_int_equal(last_said()->kind, MESSAGE_START);
    assert_int_equal(last_said()->start->inbox_count, 1);
    end(w);
}

static void test_attach_names_what_has_come(void **state)
{
    uint64_t key;
    world *w = begin(&key, NULL);
    message *m;

    (void)state;
    m = message_new(MESSAGE_ACCEPTED, peer.epoch);
    m->accepted.instance = 77;
    say(w, m);
    say(w, report(1, 1));
    transport_inproc_break(peer.channel);
    world_settle(w);
    assert_int_equal(peer.opened, 2);
    m = last_said();
    assert_int_equal(m->kind, MESSAGE_ATTACH);
    assert_int_equal(m->attach.key, key);
    assert_int_equal(m->attach.stored_seq, 1);
    assert_int_equal(m->attach.instance, 77);
    say(w, message_new(MESSAGE_ACCEPTED, peer.epoch));
    say(w, report(1, 2)); /* resent, and more */
    assert_int_equal(world_checkpoints(w, key, 0), 2);
    assert_int_equal(last_said()->kind, MESSAGE_ACK);
    assert_int_equal(last_said()->ack.seq, 2);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_stored_is_acknowledged),
        cmocka_unit_test(test_an_old_epoch_is_told_to_stop),
        cmocka_unit_test(test_repeated_checkpoints_count_once),
        cmocka_unit_test(test_a_gap_takes_the_execution_away),
        cmocka_unit_test(test_a_full_engine_is_left_alone_for_a_while),
        cmocka_unit_test(test_what_no_engine_can_run_fails),
        cmocka_unit_test(test_a_definition_comes_on_demand),
        cmocka_unit_test(test_a_suspension_that_crosses_a_cancel_is_refused),
        cmocka_unit_test(test_a_suspension_is_checked_inside_the_store),
        cmocka_unit_test(test_a_cancel_brings_a_suspended_execution_back),
        cmocka_unit_test(test_attach_names_what_has_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
