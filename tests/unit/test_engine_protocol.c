/* Goal: the engine's side of the execution protocol, against an orchestrator that the test plays itself: definitions that do not
 * come or are others, hand-overs that cross, what it may not believe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine_impl.h"
#include "support/world.h"

/* ---- attempts that stay open ----------------------------------------------------------------------------- */

#define ATTEMPTS_MAX 16

static struct {
    attempt *open[ATTEMPTS_MAX];
    int started, stopped;
} bench;

static bool bench_start(void *self, attempt *a)
{
    (void)self;
    assert_true(bench.started < ATTEMPTS_MAX);
    bench.open[bench.started++] = a;
    return false;
}

static void bench_stop(void *self, attempt *a)
{
    (void)self;
    (void)a;
    bench.stopped++;
}

static void bench_free(void *self)
{
    (void)self;
}

static const executor_ops test_ops = {
    .size = sizeof(executor_ops),
    .name = "test",
    .start = bench_start,
    .stop = bench_stop,
    .free = bench_free,
};

static void finish(int i)
{
    attempt_complete(bench.open[i], (attempt_result){0});
    bench.open[i] = NULL;
}

/* ---- the orchestrator's end ------------------------------------------------------------------------------ */

#define SAID_MAX 16

typedef struct peer {
    world *w;
    channel *channel; /* NULL once it is closed */
    message *said[SAID_MAX];
    int count;
    epoch epoch;
    definition *definition;
} peer;

static void peer_message(void *ctx, channel *c, message *m)
{
    peer *p = ctx;

    (void)c;
    assert_true(p->count < SAID_MAX);
    p->said[p->count++] = m;
}

static void peer_closed(void *ctx, channel *c, int32_t code)
{
    (void)code;
    channel_close(c);
    ((peer *)ctx)->channel = NULL;
}

static const channel_handler peer_handler = {peer_message, peer_closed};

static void peer_open(peer *p, world *w)
{
    *p = (peer){.w = w};
    assert_int_equal(
        w->transport.ops->open(w->transport.self, "engine-0", &peer_handler, p, &p->channel, NULL),
        0);
}

static void peer_end(peer *p)
{
    channel_close(p->channel);
    for (int i = 0; i < p->count; i++)
        message_free(p->said[i]);
    definition_unref(p->definition);
    world_settle(p->w);
}

static void say(peer *p, message *m)
{
    channel_send(p->channel, m);
    world_settle(p->w);
}

#define TWO_STEPS(version)                                                               \
    "{\"id\":\"two\",\"version\":\"" version "\",\"steps\":[{\"id\":\"a\",\"executor\":" \
    "\"test\"},{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"]}]}"

static definition *parsed(const char *text)
{
    definition *d = NULL;

    assert_int_equal(definition_parse(text, strlen(text), NULL, &d, NULL), 0);
    return d;
}

/* Open a channel and hand execution `key` over on it, of a definition that the engine may not have. */
static void hand_over(peer *p, world *w, uint64_t key, uint64_t counter, const char *text)
{
    message *m;

    peer_open(p, w);
    p->epoch = (epoch){1, counter};
    p->definition = parsed(text);
    m = message_new(MESSAGE_START, p->epoch);
    m->start = mem_zalloc(sizeof *m->start);
    m->start->key = key;
    m->start->run = 1;
    m->start->execution = mem_strdup("order");
    m->start->definition = p->definition->digest;
    say(p, m);
}

static void define(peer *p)
{
    message *m = message_new(MESSAGE_DEFINITION, p->epoch);

    m->definition.digest = p->definition->digest;
    m->definition.text = bytes_ref(p->definition->text); /* as another process sends it */
    say(p, m);
}

static void note_cancel(peer *p)
{
    message *m = message_new(MESSAGE_INBOX, p->epoch);

    m->inbox = (inbox_note){.seq = 1, .kind = INBOX_CANCEL};
    say(p, m);
}

static void acknowledge(peer *p, uint64_t seq)
{
    message *m = message_new(MESSAGE_ACK, p->epoch);

    m->ack.seq = seq;
    say(p, m);
}

static const message *last_said(const peer *p)
{
    assert_true(p->count > 0);
    return p->said[p->count - 1];
}

static void assert_refused(const peer *p, int32_t code, const char *word)
{
    const message *m = last_said(p);

    assert_int_equal(m->kind, MESSAGE_REFUSED);
    assert_int_equal(m->refused.code, code);
    assert_non_null(strstr(m->refused.message->data, word));
    assert_null(p->channel);
}

static world *begin(uint32_t capacity)
{
    const world_options o = {.test_executor = &test_ops, .capacity = capacity};

    memset(&bench, 0, sizeof bench);
    return world_new(&o);
}

/* ---- definitions ----------------------------------------------------------------------------------------- */

static void test_a_definition_is_asked_for_once(void **state)
{
    world *w = begin(0);
    peer one, two;

    (void)state;
    hand_over(&one, w, 64, 1, TWO_STEPS("1.0.0"));
    assert_int_equal(one.said[0]->kind, MESSAGE_ACCEPTED);
    assert_int_equal(last_said(&one)->kind, MESSAGE_NEED_DEFINITION);
    assert_memory_equal(&last_said(&one)->definition.digest, &one.definition->digest,
                        sizeof(digest));
    assert_int_equal(bench.started, 0);
    define(&one);
    assert_int_equal(bench.started, 1);
    define(&one); /* again: nothing happens */
    assert_int_equal(bench.started, 1);
    hand_over(&two, w, 128, 2, TWO_STEPS("1.0.0"));
    assert_int_equal(bench.started, 2);
    peer_end(&one);
    peer_end(&two);
    world_free(w);
}

static void test_another_definition_is_refused(void **state)
{
    world *w = begin(0);
    definition *asked;
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    asked = p.definition;
    p.definition = parsed(TWO_STEPS("2.0.0"));
    define(&p);
    assert_refused(&p, ORCH_E_DATA_LOSS, "another definition");
    assert_int_equal(bench.started, 0);
    definition_unref(asked);
    peer_end(&p);
    world_free(w);
}

static void test_what_is_no_definition_is_refused(void **state)
{
    static const char text[] = "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":7}";
    world *w = begin(0);
    message *m;
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    m = message_new(MESSAGE_DEFINITION, p.epoch);
    m->definition.text = bytes_new(text, sizeof text - 1);
    say(&p, m);
    assert_refused(&p, ORCH_E_INVALID_ARGUMENT, "steps");
    assert_int_equal(w->engines[0].engine->active, 0);
    peer_end(&p);
    world_free(w);
}

/* The oldest that nobody uses go, and come again when they are wanted; one in use stays. */
static void test_definitions_held_are_bounded(void **state)
{
    enum { MANY = KNOWN_DEFINITIONS_MAX + 20 };
    world *w = begin(0);
    char text[200];
    peer kept, p;

    (void)state;
    hand_over(&kept, w, 64, 1, TWO_STEPS("9.0.0"));
    define(&kept);
    assert_int_equal(bench.started, 1);
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(text, sizeof text,
                 "{\"id\":\"n%u\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":"
                 "\"noop\"}]}",
                 i);
        hand_over(&p, w, 128 + 64 * i, 2 + i, text);
        define(&p);
        assert_int_equal(last_said(&p)->kind, MESSAGE_REPORT);
        assert_int_equal(last_said(&p)->report.end, REPORT_COMPLETED);
        peer_end(&p);
    }
    assert_true(w->engines[0].engine->known_count <= KNOWN_DEFINITIONS_MAX + 1);
    hand_over(&p, w, 128 + 64 * MANY, 2 + MANY, text); /* the newest: it is here */
    assert_int_equal(last_said(&p)->kind, MESSAGE_REPORT);
    peer_end(&p);
    hand_over(&p, w, 192 + 64 * MANY, 3 + MANY,
              "{\"id\":\"n0\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":"
              "\"noop\"}]}");
    assert_int_equal(last_said(&p)->kind, MESSAGE_NEED_DEFINITION);
    peer_end(&p);
    finish(0);
    world_settle(w);
    acknowledge(&kept, 1);
    assert_int_equal(bench.started, 2); /* its definition has stayed */
    peer_end(&kept);
    world_free(w);
}

/* ---- hand-overs that cross ------------------------------------------------------------------------------- */

static void test_the_newer_hand_over_stands(void **state)
{
    world *w = begin(0);
    peer old, newer, late;

    (void)state;
    hand_over(&old, w, 64, 1, TWO_STEPS("1.0.0"));
    define(&old);
    hand_over(&newer, w, 64, 2, TWO_STEPS("1.0.0"));
    assert_int_equal(bench.started, 2);
    assert_int_equal(bench.stopped, 1);
    assert_null(old.channel);
    hand_over(&late, w, 64, 1, TWO_STEPS("1.0.0"));
    assert_refused(&late, ORCH_E_ABORTED, "order");
    finish(0); /* the zombie's */
    world_settle(w);
    assert_int_not_equal(last_said(&newer)->kind, MESSAGE_REPORT);
    finish(1);
    world_settle(w);
    assert_int_equal(last_said(&newer)->kind, MESSAGE_REPORT);
    assert_int_equal(last_said(&newer)->report.count, 1);
    peer_end(&old);
    peer_end(&newer);
    peer_end(&late);
    world_free(w);
}

static void attach(peer *p, world *w, uint64_t key, uint64_t counter, uint64_t stored_seq)
{
    message *m;

    peer_open(p, w);
    p->epoch = (epoch){1, counter};
    m = message_new(MESSAGE_ATTACH, p->epoch);
    m->attach.key = key;
    m->attach.stored_seq = stored_seq;
    say(p, m);
}

static void test_only_the_same_hand_over_is_attached_to(void **state)
{
    world *w = begin(0);
    peer p, other;

    (void)state;
    hand_over(&p, w, 64, 2, TWO_STEPS("1.0.0"));
    attach(&other, w, 64, 2, 0); /* it has no definition yet: nothing to go on with */
    assert_refused(&other, ORCH_E_NOT_FOUND, "engine-0");
    peer_end(&other);
    define(&p);
    attach(&other, w, 64, 1, 0);
    assert_refused(&other, ORCH_E_NOT_FOUND, "engine-0");
    peer_end(&other);
    attach(&other, w, 128, 2, 0);
    assert_refused(&other, ORCH_E_NOT_FOUND, "engine-0");
    peer_end(&other);
    assert_int_equal(bench.stopped, 0);
    finish(0);
    world_settle(w);
    attach(&other, w, 64, 2, 0); /* the break was noticed at one end only */
    assert_null(p.channel);
    assert_int_equal(other.said[0]->kind, MESSAGE_ACCEPTED);
    assert_int_equal(last_said(&other)->kind, MESSAGE_REPORT); /* what was not acknowledged */
    assert_int_equal(last_said(&other)->report.count, 1);
    assert_int_equal(bench.started, 1);
    acknowledge(&other, 1);
    assert_int_equal(bench.started, 2);
    peer_end(&p);
    peer_end(&other);
    world_free(w);
}

static void test_a_full_or_stopping_engine_takes_nothing(void **state)
{
    world *w = begin(1);
    peer first, second, third;

    (void)state;
    hand_over(&first, w, 64, 1, TWO_STEPS("1.0.0"));
    hand_over(&second, w, 128, 2, TWO_STEPS("1.0.0"));
    assert_refused(&second, ORCH_E_RESOURCE_EXHAUSTED, "full");
    engine_stop(w->engines[0].engine);
    hand_over(&third, w, 192, 3, TWO_STEPS("1.0.0"));
    assert_refused(&third, ORCH_E_UNAVAILABLE, "stopping");
    peer_end(&first);
    peer_end(&second);
    peer_end(&third);
    world_free(w);
}

/* ---- what it may not believe ----------------------------------------------------------------------------- */

static void test_a_channel_begins_with_a_hand_over(void **state)
{
    world *w = begin(0);
    peer p;

    (void)state;
    peer_open(&p, w);
    acknowledge(&p, 1);
    assert_null(p.channel);
    assert_int_equal(p.count, 0);
    peer_end(&p);
    world_free(w);
}

static void test_nothing_goes_on_for_a_wrong_acknowledgement(void **state)
{
    world *w = begin(0);
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    acknowledge(&p, 1); /* before there is anything */
    define(&p);
    finish(0);
    world_settle(w);
    acknowledge(&p, 2);
    acknowledge(&p, UINT64_MAX);
    acknowledge(&p, 0);
    assert_int_equal(bench.started, 1);
    acknowledge(&p, 1);
    assert_int_equal(bench.started, 2);
    peer_end(&p);
    world_free(w);
}

static void test_what_is_not_understood_is_passed_over(void **state)
{
    world *w = begin(0);
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    define(&p);
    say(&p, message_new(250, p.epoch));
    assert_non_null(p.channel);
    assert_int_equal(bench.stopped, 0);
    say(&p, message_new(MESSAGE_STOP, p.epoch));
    assert_int_equal(bench.stopped, 1);
    assert_int_equal(w->engines[0].engine->active, 0);
    peer_end(&p);
    world_free(w);
}

static void test_a_cancel_may_come_before_the_definition(void **state)
{
    world *w = begin(0);
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    note_cancel(&p);
    define(&p);
    assert_int_equal(bench.started, 0);
    assert_int_equal(last_said(&p)->kind, MESSAGE_REPORT);
    assert_int_equal(last_said(&p)->report.end, REPORT_COMPLETED);
    assert_int_equal(last_said(&p)->report.state, RUN_CANCELLED);
    peer_end(&p);
    world_free(w);
}

static void test_without_its_definition_a_broken_channel_ends_it(void **state)
{
    world *w = begin(0);
    peer p;

    (void)state;
    hand_over(&p, w, 64, 1, TWO_STEPS("1.0.0"));
    assert_int_equal(w->engines[0].engine->active, 1);
    transport_inproc_break(p.channel);
    world_settle(w);
    assert_int_equal(w->engines[0].engine->active, 0);
    peer_end(&p);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_definition_is_asked_for_once),
        cmocka_unit_test(test_another_definition_is_refused),
        cmocka_unit_test(test_what_is_no_definition_is_refused),
        cmocka_unit_test(test_definitions_held_are_bounded),
        cmocka_unit_test(test_the_newer_hand_over_stands),
        cmocka_unit_test(test_only_the_same_hand_over_is_attached_to),
        cmocka_unit_test(test_a_full_or_stopping_engine_takes_nothing),
        cmocka_unit_test(test_a_channel_begins_with_a_hand_over),
        cmocka_unit_test(test_nothing_goes_on_for_a_wrong_acknowledgement),
        cmocka_unit_test(test_what_is_not_understood_is_passed_over),
        cmocka_unit_test(test_a_cancel_may_come_before_the_definition),
        cmocka_unit_test(test_without_its_definition_a_broken_channel_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
