/* Goal: children are asked for once they are stored, again after a break, and cancelled with their parent; what comes back of
 * them is what their steps see. Against an orchestrator that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine_impl.h"
#include "support/peer.h"
#include "support/scrambler.h"

#define PARENT(more)                                                                      \
    "{\"id\":\"parent\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"pack\",\"executor\":"  \
    "\"workflow\",\"with\":{\"workflow\":\"box\",\"inputs\":{\"n\":\"${input.n}\"}}" more \
    "}],\"output\":\"${steps.pack.output}\"}"
#define PLAIN PARENT("")

static void begin(peer *p, world *w, const char *definition)
{
    message *m = peer_start(p, w, 64, 1, definition);

    m->start->input = bytes_new("{\"n\":7,\"list\":[1,2,3]}", 22);
    p->acknowledges = true;
    peer_say(p, m);
    if (peer_last(p)->kind == MESSAGE_NEED_DEFINITION)
        peer_define(p);
}

static void child_ends(peer *p, uint64_t seq, uint32_t index, uint32_t attempt, uint8_t state,
                       const char *payload)
{
    bytes *b = payload ? bytes_new(payload, strlen(payload)) : NULL;

    peer_note(p, (inbox_note){.seq = seq,
                              .kind = NOTE_CHILD_ENDED,
                              .state = state,
                              .index = index,
                              .attempt = attempt,
                              .payload = b});
    bytes_unref(b);
}

static void refuse(peer *p, const message_child *asked, int32_t code, const char *error)
{
    message *m = message_new(MESSAGE_CHILD_REFUSED, p->epoch);

    m->child = mem_zalloc(sizeof *m->child);
    m->child->step = asked->step;
    m->child->index = asked->index;
    m->child->attempt = asked->attempt;
    m->child->code = code;
    m->child->error = bytes_new(error, strlen(error));
    peer_say(p, m);
}

/* The next START_CHILD. */
static const message_child *asked(peer *p, const char *id)
{
    const message *m = peer_next(p, MESSAGE_START_CHILD);

    assert_string_equal(m->child->id, id);
    assert_int_equal(epoch_compare(m->epoch, p->epoch), 0);
    return m->child;
}

static const message_child *cancelled(peer *p, const char *id)
{
    const message *m = peer_next(p, MESSAGE_CANCEL_CHILD);

    assert_string_equal(m->child->id, id);
    return m->child;
}

/* ---- started --------------------------------------------------------------------------------------------- */

static void test_a_child_is_asked_for_once_it_is_stored(void **state)
{
    world *w = peer_world(NULL);
    const message_child *c;
    message *m;
    peer p;

    (void)state;
    m = peer_start(&p, w, 64, 1,
                   PARENT(",\"timeout\":\"1h\"") /* of the step: not the child's business */);
    peer_say(&p, m);
    peer_define(&p);
    assert_int_equal(peer_row(&p, 1)->kind, CHECKPOINT_CHILD);
    assert_false(peer_has(&p, MESSAGE_START_CHILD));
    peer_acknowledge(&p, 1);
    c = asked(&p, "order/1/pack");
    assert_int_equal(c->step, 0);
    assert_int_equal(c->index, INDEX_NONE);
    assert_int_equal(c->attempt, 1);
    assert_string_equal(c->spec.workflow, "box");
    assert_null(c->spec.version);
    assert_string_equal(c->spec.inputs->data, "{\"n\":null}");
    assert_int_equal(c->spec.on_cancel, CHILD_CANCEL);
    assert_int_equal(c->spec.priority, -1);
    assert_int_equal(c->spec.timeout_ms, 0);
    peer_end(&p);
    world_free(w);
}

static void test_all_that_a_child_is_started_with(void **state)
{
    world *w = peer_world(NULL);
    const message_child *c;
    peer p;

    (void)state;
    begin(&p, w,
          "{\"id\":\"parent\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"pack\",\"executor\":"
          "\"workflow\",\"for_each\":\"${input.list}\",\"max_parallel\":2,\"with\":{\"workflow\":"
          "\"box\",\"version\":\"^2.0.0\",\"inputs\":{\"item\":\"${item}\"},\"on_cancel\":"
          "\"abandon\",\"priority\":7,\"timeout\":\"5m\"}}]}");
    asked(&p, "order/1/pack/0");
    c = asked(&p, "order/1/pack/1");
    assert_int_equal(c->index, 1);
    assert_string_equal(c->spec.version, "^2.0.0");
    assert_string_equal(c->spec.inputs->data, "{\"item\":2}");
    assert_int_equal(c->spec.on_cancel, CHILD_ABANDON);
    assert_int_equal(c->spec.priority, 7);
    assert_int_equal(c->spec.timeout_ms, 300000);
    assert_false(peer_has(&p, MESSAGE_START_CHILD));
    peer_end(&p);
    world_free(w);
}

static void test_a_wrong_specification_fails_the_step(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w,
          "{\"id\":\"parent\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"pack\",\"executor\":"
          "\"workflow\",\"with\":{\"workflow\":\"box\",\"inputs\":\"${input.list}\"}}]}");
    assert_false(peer_has(&p, MESSAGE_START_CHILD));
    assert_int_equal(peer_last(&p)->report.state, RUN_FAILED);
    assert_non_null(strstr(peer_last(&p)->report.error->data, "step 'pack': "));
    assert_non_null(strstr(peer_last(&p)->report.error->data, "INVALID_ARGUMENT"));
    peer_end(&p);
    world_free(w);
}

static void test_a_refused_child_is_a_failed_attempt(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w,
          PARENT(",\"retry\":{\"max_attempts\":2,\"initial_interval\":\"1s\",\"jitter\":0}"));
    refuse(&p, asked(&p, "order/1/pack"), ORCH_E_UNAVAILABLE,
           "{\"code\":\"UNAVAILABLE\",\"message\":\"not now\"}");
    assert_int_equal(peer_row(&p, 2)->kind, CHECKPOINT_RETRYING);
    assert_int_equal(peer_row(&p, 2)->inbox, 0);
    world_advance(w, 1000);
    refuse(&p, asked(&p, "order/1/pack~2"), ORCH_E_NOT_FOUND,
           "{\"code\":\"NOT_FOUND\",\"message\":\"no workflow 'box'\"}");
    peer_assert_end(&p, RUN_FAILED, "null",
                    "{\"code\":\"NOT_FOUND\",\"message\":\"no workflow 'box'\",\"step\":\"pack\"}");
    peer_end(&p);
    world_free(w);
}

/* ---- ended ----------------------------------------------------------------------------------------------- */

static void test_its_output_is_the_steps(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, PLAIN);
    asked(&p, "order/1/pack");
    child_ends(&p, 3, INDEX_NONE, 1, NOTE_SUCCEEDED, "{\"box\":1}");
    assert_int_equal(peer_row(&p, 2)->kind, CHECKPOINT_SUCCEEDED);
    assert_int_equal(peer_row(&p, 2)->inbox, 3);
    peer_assert_end(&p, RUN_SUCCEEDED, "{\"box\":1}", "null");
    peer_end(&p);
    world_free(w);
}

static void test_how_it_failed_is_told(void **state)
{
    static const struct {
        uint8_t state;
        const char *payload, *error;
    } rows[] = {
        {NOTE_FAILED,
         "{\"code\":\"ABORTED\",\"message\":\"no\",\"step\":\"x\",\"data\":{\"card\":1}}",
         "{\"code\":\"ABORTED\",\"message\":\"child order/1/pack failed: no\",\"step\":\"pack\",\"data\":{\"execution\":\"order/1/pack\",\"path\":[\"order/1/pack\"],\"error\":{\"code\":\"ABORTED\",\"message\":\"no\",\"step\":\"x\",\"data\":{\"card\":1}}}}"},
        {NOTE_CANCELLED, "{\"code\":\"CANCELLED\",\"message\":\"enough\"}",
         "{\"code\":\"CANCELLED\",\"message\":\"child order/1/pack was cancelled: enough\",\"step\":\"pack\",\"data\":{\"execution\":\"order/1/pack\",\"path\":[\"order/1/pack\"],\"error\":{\"code\":\"CANCELLED\",\"message\":\"enough\"}}}"},
        {NOTE_TIMED_OUT, NULL,
         "{\"code\":\"DEADLINE_EXCEEDED\",\"message\":\"child order/1/pack timed out: \",\"step\":\"pack\",\"data\":{\"execution\":\"order/1/pack\",\"path\":[\"order/1/pack\"],\"error\":{}}}"},
        /* A child that failed for a child of its own. */
        {NOTE_FAILED,
         "{\"code\":\"INTERNAL\",\"message\":\"child b failed: child c failed: no\",\"step\":\"x\",\"data\":{\"execution\":\"b\",\"path\":[\"b\",\"c\"],\"error\":{\"code\":\"INTERNAL\"}}}",
         "{\"code\":\"INTERNAL\",\"message\":\"child order/1/pack failed: child b failed: child c failed: no\",\"step\":\"pack\",\"data\":{\"execution\":\"order/1/pack\",\"path\":[\"order/1/pack\",\"b\",\"c\"],\"error\":{\"code\":\"INTERNAL\",\"message\":\"child b failed: child c failed: no\",\"step\":\"x\",\"data\":{\"execution\":\"b\",\"path\":[\"b\",\"c\"],\"error\":{\"code\":\"INTERNAL\"}}}}}"},
    };
    world *w = peer_world(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        peer p;

        begin(&p, w, PLAIN);
        child_ends(&p, 1, INDEX_NONE, 1, rows[i].state, rows[i].payload);
        peer_assert_end(&p, RUN_FAILED, "null", rows[i].error);
        peer_end(&p);
    }
    world_free(w);
}

static void test_another_attempt_is_another_child(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w,
          PARENT(",\"retry\":{\"max_attempts\":2,\"initial_interval\":\"1s\",\"jitter\":0}"));
    asked(&p, "order/1/pack");
    child_ends(&p, 1, INDEX_NONE, 1, NOTE_FAILED, "{\"code\":\"UNAVAILABLE\",\"message\":\"\"}");
    assert_int_equal(peer_row(&p, 2)->kind, CHECKPOINT_RETRYING);
    assert_int_equal(peer_row(&p, 2)->inbox, 1);
    world_advance(w, 1000);
    asked(&p, "order/1/pack~2");
    child_ends(&p, 2, INDEX_NONE, 1, NOTE_SUCCEEDED, "1"); /* of the first: nobody's */
    assert_int_equal(p.last_seq, 3);
    child_ends(&p, 3, INDEX_NONE, 2, NOTE_SUCCEEDED, "2");
    peer_assert_end(&p, RUN_SUCCEEDED, "2", "null");
    peer_end(&p);
    world_free(w);
}

static void test_what_is_no_child_is_passed_over(void **state)
{
    world *w = peer_world(NULL);
    message_child none = {.step = 9, .index = 3, .attempt = 1};
    peer p;

    (void)state;
    begin(&p, w, PLAIN);
    peer_note(&p, (inbox_note){.seq = 1,
                               .kind = NOTE_CHILD_ENDED,
                               .state = NOTE_FAILED,
                               .step = 9,
                               .index = 3,
                               .attempt = 1});
    child_ends(&p, 2, 5, 1, NOTE_SUCCEEDED, "1");
    refuse(&p, &none, ORCH_E_NOT_FOUND, "{}");
    assert_int_equal(p.last_seq, 1);
    assert_non_null(p.channel);
    peer_end(&p);
    world_free(w);
}

/* ---- stopped --------------------------------------------------------------------------------------------- */

static void test_a_cancel_goes_down_and_the_end_is_awaited(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, PLAIN);
    asked(&p, "order/1/pack");
    peer_note(&p, (inbox_note){.seq = 1, .kind = NOTE_CANCEL});
    assert_string_equal(cancelled(&p, "order/1/pack")->error->data,
                        "\"the execution that started it has ended\"");
    assert_int_equal(p.last_seq, 1);
    child_ends(&p, 2, INDEX_NONE, 1, NOTE_CANCELLED, "{\"code\":\"CANCELLED\",\"message\":\"\"}");
    assert_int_equal(peer_row(&p, 2)->kind, CHECKPOINT_CANCELLED);
    assert_int_equal(peer_last(&p)->report.state, RUN_CANCELLED);
    assert_false(peer_last(&p)->report.children);
    peer_end(&p);
    world_free(w);
}

static void test_a_timeout_goes_down(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, PARENT(",\"timeout\":\"5s\""));
    world_advance(w, 5000);
    assert_string_equal(cancelled(&p, "order/1/pack")->error->data,
                        "\"the step that started it has passed its timeout\"");
    child_ends(&p, 1, INDEX_NONE, 1, NOTE_CANCELLED, "{\"code\":\"CANCELLED\",\"message\":\"\"}");
    assert_int_equal(peer_last(&p)->report.state, RUN_FAILED);
    assert_non_null(strstr(peer_last(&p)->report.error->data, "DEADLINE_EXCEEDED"));
    peer_end(&p);
    world_free(w);
}

static void test_who_is_let_go_is_told_of(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w,
          "{\"id\":\"parent\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"pack\",\"executor\":"
          "\"workflow\",\"with\":{\"workflow\":\"box\",\"on_cancel\":\"abandon\"}}]}");
    asked(&p, "order/1/pack");
    peer_note(&p, (inbox_note){.seq = 1, .kind = NOTE_CANCEL});
    assert_false(peer_has(&p, MESSAGE_CANCEL_CHILD));
    assert_int_equal(peer_last(&p)->report.state, RUN_CANCELLED);
    assert_true(peer_last(&p)->report.children);
    peer_end(&p);
    world_free(w);
}

/* ---- after a break --------------------------------------------------------------------------------------- */

#define THREE                                                                                   \
    "{\"id\":\"parent\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"pack\",\"executor\":"        \
    "\"workflow\",\"for_each\":\"${input.list}\",\"with\":{\"workflow\":\"box\"}}],\"output\":" \
    "\"${steps.pack.output}\"}"

static void test_a_new_channel_is_told_all_of_it(void **state)
{
    world *w = peer_world(NULL);
    peer p, again, third;

    (void)state;
    begin(&p, w, THREE);
    child_ends(&p, 1, 1, 1, NOTE_SUCCEEDED, "1");
    refuse(&p, &(message_child){.step = 0, .index = 2, .attempt = 1}, ORCH_E_NOT_FOUND,
           "{\"code\":\"NOT_FOUND\",\"message\":\"no\"}");
    peer_attach(&again, w, 64, 1, p.last_seq);
    again.acknowledges = true;
    asked(&again, "order/1/pack/0");
    assert_false(peer_has(&again, MESSAGE_START_CHILD)); /* the others were answered */
    peer_note(&again, (inbox_note){.seq = 2, .kind = NOTE_CANCEL});
    cancelled(&again, "order/1/pack/0");
    peer_attach(&third, w, 64, 1, again.last_seq);
    asked(&third, "order/1/pack/0"); /* before its cancel */
    cancelled(&third, "order/1/pack/0");
    peer_end(&p);
    peer_end(&again);
    peer_end(&third);
    world_free(w);
}

/* What was asked for before the engine died is asked for again, under the same id; what ended meanwhile is not. */
static void test_a_new_hand_over_asks_again(void **state)
{
    world *w = peer_world(NULL);
    message *m;
    peer p, back;

    (void)state;
    begin(&p, w, THREE);
    assert_int_equal(p.last_seq, 4); /* how many, and three children */
    m = peer_start(&back, w, 64, 2, THREE);
    m->start->input = bytes_new("{\"list\":[1,2,3]}", 16);
    m->start->checkpoint_count = 4;
    m->start->checkpoints = mem_calloc(4, sizeof(checkpoint));
    for (uint64_t i = 0; i < 4; i++) {
        m->start->checkpoints[i] = *peer_row(&p, i + 1);
        bytes_ref(m->start->checkpoints[i].output);
    }
    m->start->inbox_count = 1;
    m->start->inbox = mem_calloc(1, sizeof *m->start->inbox);
    m->start->inbox[0] = (inbox_note){.seq = 1,
                                      .kind = NOTE_CHILD_ENDED,
                                      .state = NOTE_SUCCEEDED,
                                      .index = 0,
                                      .attempt = 1,
                                      .payload = bytes_new("\"zero\"", 6)};
    back.acknowledges = true;
    peer_say(&back, m);
    asked(&back, "order/1/pack/1");
    asked(&back, "order/1/pack/2");
    assert_false(peer_has(&back, MESSAGE_START_CHILD));
    child_ends(&back, 2, 2, 1, NOTE_SUCCEEDED, "\"two\"");
    child_ends(&back, 3, 1, 1, NOTE_SUCCEEDED, "\"one\"");
    peer_assert_end(&back, RUN_SUCCEEDED, "[\"zero\",\"one\",\"two\"]", "null");
    peer_end(&p);
    peer_end(&back);
    world_free(w);
}

/* ---- put down -------------------------------------------------------------------------------------------- */

static void test_who_waits_for_children_is_put_down(void **state)
{
    world *w = peer_world(NULL);
    const message *m;
    peer p;

    (void)state;
    begin(&p, w, THREE);
    child_ends(&p, 1, 0, 1, NOTE_SUCCEEDED, "1");
    world_advance(w, 1000);
    m = peer_last(&p);
    assert_int_equal(m->report.end, REPORT_SUSPENDED);
    assert_int_equal(m->report.wake_ms, INT64_MAX);
    assert_int_equal(m->report.wake_children, 2); /* both of those that are out */
    assert_int_equal(m->report.inbox_seen, 1);
    peer_end(&p);
    world_free(w);
}

/* The orchestrator does not take a suspension while it decides about a child. */
static void test_a_refusal_that_crosses_a_suspension(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, PLAIN);
    world_advance(w, 1000);
    assert_int_equal(peer_last(&p)->report.end, REPORT_SUSPENDED);
    refuse(&p, asked(&p, "order/1/pack"), ORCH_E_NOT_FOUND,
           "{\"code\":\"NOT_FOUND\",\"message\":\"no\"}");
    peer_assert_end(&p, RUN_FAILED, "null",
                    "{\"code\":\"NOT_FOUND\",\"message\":\"no\",\"step\":\"pack\"}");
    peer_end(&p);
    world_free(w);
}

/* ---- encoded --------------------------------------------------------------------------------------------- */

static scrambler secret;

static world *secret_world(void)
{
    const world_options o = {.codec = scrambler_codec(&secret)};

    secret = (scrambler){0};
    return peer_world(&o);
}

static void test_inputs_and_ends_of_children_are_encoded(void **state)
{
    world *w = secret_world();
    bytes *inputs = scrambler_encoded("{\"n\":7}"), *output = scrambler_encoded("[1]");
    peer p;

    (void)state;
    begin(&p, w, PLAIN);
    assert_memory_equal(peer_row(&p, 1)->output->data, "{\"$encoded\":\"", 13);
    assert_string_equal(asked(&p, "order/1/pack")->spec.inputs->data, inputs->data);
    child_ends(&p, 1, INDEX_NONE, 1, NOTE_SUCCEEDED, output->data);
    peer_assert_end(&p, RUN_SUCCEEDED, output->data, "null");
    peer_end(&p);
    bytes_unref(inputs);
    bytes_unref(output);
    world_free(w);
}

static void test_what_a_failed_child_says_is_decoded(void **state)
{
    static const char plain[] = "{\"code\":\"ABORTED\",\"message\":\"no\",\"data\":{\"card\":1}}";
    world *w = secret_world();
    codec c = scrambler_codec(&secret);
    bytes *error = bytes_new(plain, sizeof plain - 1), *end;
    peer p;

    (void)state;
    assert_int_equal(codec_encode_error(&c, &error, NULL), 0);
    begin(&p, w, PLAIN);
    child_ends(&p, 1, INDEX_NONE, 1, NOTE_FAILED, error->data);
    end = bytes_ref(peer_last(&p)->report.error);
    assert_non_null(end);
    assert_null(strstr(end->data, "card"));
    assert_int_equal(codec_decode_error(&c, &end, NULL), 0);
    assert_non_null(strstr(end->data,
                           "\"error\":{\"code\":\"ABORTED\",\"message\":\"no\",\"data\":{"
                           "\"card\":1}}"));
    bytes_unref(end);
    bytes_unref(error);
    peer_end(&p);
    world_free(w);
}

static void test_inputs_that_cannot_be_encoded(void **state)
{
    world *w = secret_world();
    peer p;

    (void)state;
    secret.last = 1; /* the checkpoint's */
    begin(&p, w, PLAIN);
    assert_false(peer_has(&p, MESSAGE_START_CHILD));
    assert_int_equal(peer_last(&p)->report.state, RUN_FAILED);
    assert_non_null(strstr(peer_last(&p)->report.error->data, "codec scrambler: "));
    assert_non_null(strstr(peer_last(&p)->report.error->data, "\"step\":\"pack\""));
    assert_int_equal(peer_row(&p, 2)->kind, CHECKPOINT_FAILED);
    peer_end(&p);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_child_is_asked_for_once_it_is_stored),
        cmocka_unit_test(test_all_that_a_child_is_started_with),
        cmocka_unit_test(test_a_wrong_specification_fails_the_step),
        cmocka_unit_test(test_a_refused_child_is_a_failed_attempt),
        cmocka_unit_test(test_its_output_is_the_steps),
        cmocka_unit_test(test_how_it_failed_is_told),
        cmocka_unit_test(test_another_attempt_is_another_child),
        cmocka_unit_test(test_what_is_no_child_is_passed_over),
        cmocka_unit_test(test_a_cancel_goes_down_and_the_end_is_awaited),
        cmocka_unit_test(test_a_timeout_goes_down),
        cmocka_unit_test(test_who_is_let_go_is_told_of),
        cmocka_unit_test(test_a_new_channel_is_told_all_of_it),
        cmocka_unit_test(test_a_new_hand_over_asks_again),
        cmocka_unit_test(test_who_waits_for_children_is_put_down),
        cmocka_unit_test(test_a_refusal_that_crosses_a_suspension),
        cmocka_unit_test(test_inputs_and_ends_of_children_are_encoded),
        cmocka_unit_test(test_what_a_failed_child_says_is_decoded),
        cmocka_unit_test(test_inputs_that_cannot_be_encoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
