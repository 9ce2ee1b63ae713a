/* Goal: with a codec, no payload leaves an engine plainly, the engine itself works on plain ones, and a payload that cannot be
 * encoded or decoded ends or refuses the execution with the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/peer.h"
#include "support/scrambler.h"

#define CHAIN                                                                                  \
    "{\"id\":\"chain\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"}," \
    "{\"id\":\"b\",\"executor\":\"test\",\"depends_on\":[\"a\"],\"with\":{\"of_a\":"           \
    "\"${steps.a.output.v}\",\"of_input\":\"${input.i}\"}}],\"output\":\"${steps.b.output}\"}"

static scrambler secret;

static world *begin(void)
{
    const world_options o = {.codec = scrambler_codec(&secret)};

    secret = (scrambler){0};
    return peer_world(&o);
}

static void finish(world *w)
{
    world_free(w);
    assert_int_equal(secret.held, 0);
}

static void hand_over(peer *p, world *w, bytes *input, checkpoint *history, uint32_t count)
{
    message *m = peer_start(p, w, 64, 1, CHAIN);

    m->start->input = input;
    m->start->checkpoints = history;
    m->start->checkpoint_count = count;
    peer_say(p, m);
    if (peer_last(p)->kind == MESSAGE_NEED_DEFINITION)
        peer_define(p);
}

static void assert_encoded(const bytes *b, const char *plain)
{
    bytes *expected = scrambler_encoded(plain);

    assert_string_equal(peer_text(b), expected->data);
    bytes_unref(expected);
}

static void test_payloads_leave_encoded(void **state)
{
    world *w = begin();
    peer p;

    (void)state;
    hand_over(&p, w, scrambler_encoded("{\"i\":7}"), NULL, 0);
    p.acknowledges = true;
    held_succeed(0, "{\"v\":\"secret\"}");
    world_settle(w);
    assert_encoded(peer_row(&p, 1)->output, "{\"v\":\"secret\"}");
    assert_string_equal(held.with[1], "{\"of_a\":\"secret\",\"of_input\":7}");
    held_succeed(1, "[true]");
    world_settle(w);
    assert_encoded(peer_row(&p, 2)->output, "[true]");
    assert_int_equal(peer_last(&p)->report.state, RUN_SUCCEEDED);
    assert_encoded(peer_last(&p)->report.output, "[true]");
    peer_end(&p);
    finish(w);
}

static void test_errors_leave_readable_but_for_their_data(void **state)
{
    static const char data[] = "{\"code\":\"ABORTED\",\"message\":\"no\",\"data\":{\"card\":1}}";
    world *w = begin();
    const message *m;
    peer p;

    (void)state;
    hand_over(&p, w, NULL, NULL, 0);
    held_end(0,
             (attempt_result){.code = ORCH_E_ABORTED, .error = bytes_new(data, sizeof data - 1)});
    world_settle(w);
    m = peer_last(&p);
    assert_int_equal(m->report.state, RUN_FAILED);
    assert_null(strstr(m->report.error->data, "card"));
    assert_non_null(strstr(m->report.error->data, "\"message\":\"no\""));
    assert_non_null(strstr(m->report.error->data, "\"step\":\"a\""));
    assert_null(strstr(peer_row(&p, 1)->error->data, "card"));
    assert_non_null(strstr(peer_row(&p, 1)->error->data, "\"code\":\"ABORTED\""));
    peer_end(&p);
    finish(w);
}

static void test_data_that_cannot_be_encoded_is_not_told(void **state)
{
    static const char data[] = "{\"code\":\"ABORTED\",\"message\":\"no\",\"data\":{\"card\":1}}";
    world *w = begin();
    peer p;

    (void)state;
    secret.last = 1; /* the checkpoint's */
    hand_over(&p, w, NULL, NULL, 0);
    held_end(0,
             (attempt_result){.code = ORCH_E_ABORTED, .error = bytes_new(data, sizeof data - 1)});
    world_settle(w);
    peer_assert_end(&p, RUN_FAILED, "null",
                    "{\"code\":\"ABORTED\",\"message\":\"no\",\"step\":\"a\"}");
    peer_end(&p);
    finish(w);
}

/* What is resent is what was sent: a codec that encrypts gives something else each time. */
static void test_what_is_resent_is_encoded_once(void **state)
{
    world *w = begin();
    peer p, again;
    long encoded;

    (void)state;
    hand_over(&p, w, NULL, NULL, 0);
    held_succeed(0, "{\"v\":1}");
    world_settle(w);
    encoded = secret.encoded;
    assert_int_equal(encoded, 1);
    peer_attach(&again, w, 64, 1, 0);
    assert_encoded(peer_row(&again, 1)->output, "{\"v\":1}");
    assert_int_equal(secret.encoded, encoded);
    peer_end(&p);
    peer_end(&again);
    finish(w);
}

static checkpoint *history_of_a(bytes *output)
{
    checkpoint *rows = mem_zalloc(sizeof *rows);

    rows[0] = (checkpoint){.seq = 1,
                           .index = INDEX_NONE,
                           .attempt = 1,
                           .kind = CHECKPOINT_SUCCEEDED,
                           .output = output};
    return rows;
}

static void test_a_history_is_decoded(void **state)
{
    world *w = begin();
    peer p;

    (void)state;
    hand_over(&p, w, NULL, history_of_a(scrambler_encoded("{\"v\":[1]}")), 1);
    assert_int_equal(held.started, 1);
    assert_string_equal(held.with[0], "{\"of_a\":[1],\"of_input\":null}");
    peer_end(&p);
    finish(w);
}

/* A codec came only after the execution had begun. */
static void test_what_was_plain_is_read(void **state)
{
    world *w = begin();
    peer p;

    (void)state;
    hand_over(&p, w, bytes_new("{\"i\":1}", 7), history_of_a(bytes_new("{\"v\":2}", 7)), 1);
    assert_string_equal(held.with[0], "{\"of_a\":2,\"of_input\":1}");
    peer_end(&p);
    finish(w);
}

static void test_what_cannot_be_decoded_is_refused(void **state)
{
    static const struct {
        int32_t given, refused;
    } rows[] = {{ORCH_E_UNAVAILABLE, ORCH_E_UNAVAILABLE}, {ORCH_E_NOT_FOUND, ORCH_E_DATA_LOSS}};
    peer p;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        world *w = begin();

        secret.decode_code = rows[i].given;
        hand_over(&p, w, scrambler_encoded("{}"), NULL, 0);
        peer_assert_refused(&p, rows[i].refused, "execution order: codec scrambler: ");
        peer_end(&p);
        hand_over(&p, w, NULL, history_of_a(scrambler_encoded("{}")), 1);
        peer_assert_refused(&p, rows[i].refused, "execution order: codec scrambler: ");
        peer_end(&p);
        assert_int_equal(held.started, 0);
        finish(w);
    }
}

static void test_an_engine_without_the_codec_refuses(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    hand_over(&p, w, scrambler_encoded("{}"), NULL, 0);
    peer_assert_refused(&p, ORCH_E_UNAVAILABLE, "no codec is set");
    peer_end(&p);
    world_free(w);
}

#define TWO                                                                                  \
    "{\"id\":\"two\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"}," \
    "{\"id\":\"b\",\"executor\":\"test\"}]}"

static void test_an_output_that_cannot_be_encoded_fails_it(void **state)
{
    static const char error[] =
        "{\"code\":\"OUT_OF_RANGE\",\"message\":\"codec scrambler: a payload cannot be encoded: "
        "OUT_OF_RANGE\"}";
    world *w = begin();
    peer p;

    (void)state;
    secret.refuses = "huge";
    peer_hand_over(&p, w, 64, TWO);
    assert_int_equal(held.started, 2);
    held_succeed(0, "\"huge\"");
    world_settle(w);
    peer_assert_end(&p, RUN_FAILED, "null", error);
    assert_true(peer_last(&p)->report.children); /* it may have some */
    assert_int_equal(p.last_seq, 0);
    assert_int_equal(held.stopped, 1);
    held_fail(1, ORCH_E_CANCELLED, false); /* nobody's any more */
    world_settle(w);
    peer_assert_end(&p, RUN_FAILED, "null", error);
    peer_end(&p);
    finish(w);
}

static void test_an_end_that_cannot_be_encoded(void **state)
{
    world *w = begin();
    peer p;

    (void)state;
    peer_hand_over(&p, w, 64,
                   "{\"id\":\"o\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":"
                   "\"test\"}],\"output\":[\"${steps.a.output}\"]}");
    secret.refuses = "[\"huge\"]";
    held_succeed(0, "\"huge\"");
    world_settle(w);
    peer_assert_end(&p, RUN_FAILED, "null",
                    "{\"code\":\"OUT_OF_RANGE\",\"message\":\"codec scrambler: a payload cannot be "
                    "encoded: OUT_OF_RANGE\"}");
    assert_int_equal(p.last_seq, 1); /* the step's own could be */
    peer_end(&p);
    finish(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payloads_leave_encoded),
        cmocka_unit_test(test_errors_leave_readable_but_for_their_data),
        cmocka_unit_test(test_data_that_cannot_be_encoded_is_not_told),
        cmocka_unit_test(test_what_is_resent_is_encoded_once),
        cmocka_unit_test(test_a_history_is_decoded),
        cmocka_unit_test(test_what_was_plain_is_read),
        cmocka_unit_test(test_what_cannot_be_decoded_is_refused),
        cmocka_unit_test(test_an_engine_without_the_codec_refuses),
        cmocka_unit_test(test_an_output_that_cannot_be_encoded_fails_it),
        cmocka_unit_test(test_an_end_that_cannot_be_encoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
