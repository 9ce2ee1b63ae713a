/* Goal: what is sent on a stream arrives, in order, whatever the pieces; streams end once and for a reason; windows hold up the
 * stream that is not read, and no other; and what a peer may do without end is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <orch/error.h>

#include "base/mem.h"
#include "support/h2_pair.h"

static h2_pair pair;

static int begin(void **state)
{
    (void)state;
    h2_pair_begin(&pair, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    h2_pair_end(&pair);
    return 0;
}

static uint8_t *pattern(size_t len)
{
    uint8_t *bytes = malloc(len + 1);

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    return bytes;
}

static void echo(told_stream *s)
{
    h2_pair_answer(s, "200", false);
    h2_pair_send(s, s->body.data, s->body.len);
    h2_finish(&s->stream, true);
}

static void open_all(told_stream *s)
{
    (void)s; /* answers nothing */
}

static void expect_echo(size_t len)
{
    uint8_t *bytes = pattern(len);
    told_stream *s = h2_pair_request(&pair, "/echo");

    h2_pair_send(s, bytes, len / 3);
    h2_pair_send(s, bytes + len / 3, len - len / 3);
    h2_finish(&s->stream, false);
    h2_pair_settle(&pair);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->closes, 1);
    assert_int_equal(s->error, NGHTTP2_NO_ERROR);
    assert_string_equal(s->fields.data, ":status: 200\n--\ngrpc-status: 0\n--\n");
    assert_int_equal(s->body.len, len);
    if (len)
        assert_memory_equal(s->body.data, bytes, len);
    told_stream_free(s);
    free(bytes);
}

/* ---- bodies -------------------------------------------------------------------------------------------------------- */

static void test_bodies_of_all_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, 5, 16383, 16384, 16385, 65535, 65536, 300000, 5000000};

    (void)state;
    pair.server.on_request = echo;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        expect_echo(sizes[i]);
    assert_string_equal(pair.server.streams[0]->fields.data,
                        ":method: POST\n:scheme: http\n:path: /echo\n:authority: here\n--\n");
    assert_int_equal(pair.client.settled, 1);
    assert_int_equal(h2_open_streams(pair.client.session), 0);
    assert_int_equal(h2_open_streams(pair.server.session), 0);
}

static void test_pieces_of_all_sizes(void **state)
{
    (void)state;
    pair.server.on_request = echo;
    for (pair.piece = 1; pair.piece < 40; pair.piece += 2)
        expect_echo(40000);
}

/* What was queued before the stream is open goes out with it. */
static void test_what_is_queued_early(void **state)
{
    told_stream *s = told_stream_new();

    (void)state;
    pair.server.on_request = echo;
    h2_pair_send(s, "early", 5);
    h2_finish(&s->stream, false);
    h2_pair_open(&pair, s, "/");
    h2_pair_settle(&pair);
    assert_int_equal(s->closes, 1);
    assert_string_equal(s->body.data, "early");
    told_stream_free(s);
}

static void test_it_says_when_much_is_queued(void **state)
{
    uint8_t *bytes = pattern(200000);
    told_stream *s = h2_pair_request(&pair, "/");
    h2_chunk *c = h2_chunk_new(&pair.loop, 100);

    (void)state;
    memset(c->data, 0, 100);
    assert_true(h2_send(&s->stream, c));
    c = h2_chunk_new(&pair.loop, 200000);
    memcpy(c->data, bytes, 200000);
    assert_false(h2_send(&s->stream, c));
    assert_int_equal(s->drains, 0);
    h2_pair_settle(&pair);
    assert_int_equal(s->drains, 1);
    assert_int_equal(s->stream.queued, 0);
    assert_int_equal(pair.server.streams[0]->body.len, 200100);
    told_stream_free(s);
    free(bytes);
}

/* Answers to the first requests leave before the last ones are looked at, so that both ends have something to do. */
static void test_much_to_send_does_not_wait_for_the_rest(void **state)
{
    enum { REQUESTS = 30 };
    static uint8_t bytes[16384], answers[16384];
    told_stream *s[REQUESTS];
    const uint8_t *rest = bytes;
    size_t len;

    (void)state;
    h2_pair_settle(&pair);
    pair.server.on_request = echo;
    for (int i = 0; i < REQUESTS; i++) {
        s[i] = h2_pair_request(&pair, "/echo");
        h2_pair_send(s[i], "small", 5);
        h2_finish(&s[i]->stream, false);
    }
    assert_true(h2_is_ripe(pair.client.session));
    len = h2_pull(pair.client.session, bytes, sizeof bytes);
    assert_false(h2_is_ripe(pair.client.session));
    assert_int_equal(h2_feed(pair.server.session, &rest, &len), H2_RIPE);
    assert_int_equal(pair.server.streams[0]->ends, 1);
    assert_int_equal(pair.server.streams[REQUESTS - 1]->ends, 0);
    assert_true(len > 0 && rest < bytes + sizeof bytes);
    do {
        size_t n = h2_pull(pair.server.session, answers, sizeof answers);
        const uint8_t *at = answers;

        assert_false(h2_is_ripe(pair.server.session));
        assert_int_equal(h2_feed(pair.client.session, &at, &n), 0);
    } while (h2_feed(pair.server.session, &rest, &len) == H2_RIPE);
    assert_int_equal(len, 0);
    h2_pair_settle(&pair);
    for (int i = 0; i < REQUESTS; i++) {
        assert_int_equal(s[i]->closes, 1);
        assert_int_equal(s[i]->error, NGHTTP2_NO_ERROR);
        assert_string_equal(s[i]->body.data, "small");
        told_stream_free(s[i]);
    }
}

/* A server that has seen how many come at a time sends half of the answers at once, and not the first eight. */
static void test_as_many_as_come_at_a_time_answer_at_a_time(void **state)
{
    enum { REQUESTS = 80 };
    static uint8_t bytes[32768], answers[32768];
    told_stream *s[REQUESTS];
    unsigned batches[2] = {0};

    (void)state;
    h2_pair_settle(&pair);
    pair.server.on_request = echo;
    for (int turn = 0; turn < 2; turn++) {
        const uint8_t *rest = bytes;
        size_t len = 0;

        for (int i = 0; i < REQUESTS; i++) {
            s[i] = h2_pair_request(&pair, "/echo");
            h2_pair_send(s[i], "small", 5);
            h2_finish(&s[i]->stream, false);
            len += h2_pull(pair.client.session, bytes + len, sizeof bytes - len);
        }
        while (h2_feed(pair.server.session, &rest, &len) == H2_RIPE) {
            size_t n = h2_pull(pair.server.session, answers, sizeof answers);
            const uint8_t *at = answers;

            assert_int_equal(h2_feed(pair.client.session, &at, &n), 0);
            batches[turn]++;
        }
        h2_pair_settle(&pair);
        h2_turn_ended(pair.server.session);
        for (int i = 0; i < REQUESTS; i++) {
            assert_int_equal(s[i]->closes, 1);
            told_stream_free(s[i]);
        }
    }
    assert_int_equal(batches[0], 4); /* 8, 9, 18, 36, and the rest at the end of the turn */
    assert_int_equal(batches[1], 1); /* 40, and the rest */
}

/* ---- windows ------------------------------------------------------------------------------------------------------- */

static void test_a_stream_that_is_not_read_holds_up_itself_alone(void **state)
{
    h2_options fixed = {
        .max_streams = 10, .max_header_bytes = 8192, .window = 65535, .fixed_window = true};
    uint8_t *bytes = pattern(400000);
    told_stream *slow, *quick;

    (void)state;
    h2_pair_end(&pair);
    h2_pair_begin(&pair, &fixed);
    slow = h2_pair_request(&pair, "/slow");
    h2_pair_settle(&pair);
    h2_pause(&pair.server.streams[0]->stream);
    h2_pair_send(slow, bytes, 400000);
    quick = h2_pair_request(&pair, "/quick");
    h2_pair_send(quick, bytes, 400000);
    h2_pair_settle(&pair);
    assert_int_equal(pair.server.streams[0]->body.len, 65535);
    assert_int_equal(pair.server.streams[1]->body.len, 400000);
    h2_resume(&pair.server.streams[0]->stream);
    h2_pair_settle(&pair);
    assert_int_equal(pair.server.streams[0]->body.len, 400000);
    assert_memory_equal(pair.server.streams[0]->body.data, bytes, 400000);
    told_stream_free(slow);
    told_stream_free(quick);
    free(bytes);
}

/* All of what is under way comes within one round trip here: the window doubles until it is no limit. */
static void test_the_window_follows_what_comes(void **state)
{
    uint8_t *bytes = pattern(8000000);
    told_stream *s = h2_pair_request(&pair, "/");

    (void)state;
    assert_int_equal(h2_window(pair.server.session), 65535);
    h2_pair_send(s, bytes, 8000000);
    h2_pair_settle(&pair);
    assert_int_equal(pair.server.streams[0]->body.len, 8000000);
    assert_true(h2_window(pair.server.session) > 500000);
    assert_true(h2_window(pair.server.session) <= 16 << 20);
    told_stream_free(s);
    free(bytes);
}

/* ---- ends ---------------------------------------------------------------------------------------------------------- */

static void test_a_reset_is_told(void **state)
{
    told_stream *s = h2_pair_request(&pair, "/"), *other = h2_pair_request(&pair, "/");

    (void)state;
    h2_pair_settle(&pair);
    h2_reset(&s->stream, NGHTTP2_CANCEL);
    h2_reset(&pair.server.streams[1]->stream, NGHTTP2_INTERNAL_ERROR);
    h2_pair_settle(&pair);
    assert_int_equal(pair.server.streams[0]->closes, 1);
    assert_int_equal(pair.server.streams[0]->error, NGHTTP2_CANCEL);
    assert_int_equal(other->closes, 1);
    assert_int_equal(other->error, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(s->closes, 1);
    assert_int_equal(h2_open_streams(pair.server.session), 0);
    told_stream_free(s);
    told_stream_free(other);
}

static void test_who_abandons_is_told_nothing(void **state)
{
    told_stream *s = h2_pair_request(&pair, "/");

    (void)state;
    h2_pair_settle(&pair);
    h2_abandon(&s->stream, NGHTTP2_CANCEL);
    h2_abandon(&s->stream, NGHTTP2_CANCEL);
    h2_pair_settle(&pair);
    assert_int_equal(s->closes, 0);
    assert_int_equal(pair.server.streams[0]->closes, 1);
    told_stream_free(s);
}

static void answer_early(told_stream *s)
{
    h2_pair_answer(s, "200", true);
}

/* The answer is complete while the request still goes on: the rest of that is not wanted. */
static void test_an_answer_before_the_end_of_the_request(void **state)
{
    told_stream *s = h2_pair_request(&pair, "/");

    (void)state;
    h2_pair_settle(&pair);
    answer_early(pair.server.streams[0]);
    h2_pair_settle(&pair);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->closes, 1);
    assert_int_equal(s->error, NGHTTP2_NO_ERROR);
    told_stream_free(s);
}

static void test_a_refused_stream_can_be_made_again(void **state)
{
    told_stream *s = h2_pair_request(&pair, "/");

    (void)state;
    s->stream.keep = true;
    pair.server.on_request = echo;
    pair.server.refuse = true;
    h2_pair_send(s, "once ", 5);
    h2_pair_send(s, "more", 4);
    h2_finish(&s->stream, false);
    h2_pair_settle(&pair);
    assert_int_equal(s->closes, 1);
    assert_true(s->unprocessed);
    pair.server.refuse = false;
    h2_rewind(&s->stream);
    h2_pair_open(&pair, s, "/");
    h2_drop_kept(&s->stream);
    h2_pair_settle(&pair);
    assert_int_equal(s->closes, 2);
    assert_false(s->unprocessed);
    assert_string_equal(s->body.data, "once more");
    told_stream_free(s);
}

/* Above the server's limit nghttp2 queues; what never left when the connection goes was not processed. */
static void test_streams_above_the_limit_wait(void **state)
{
    h2_options two = {.max_streams = 2, .max_header_bytes = 8192, .window = 65535};
    told_stream *s[5];
    int closed = 0, unprocessed = 0;

    (void)state;
    h2_pair_end(&pair);
    h2_pair_begin(&pair, &two);
    h2_pair_settle(&pair);
    for (int i = 0; i < 5; i++)
        s[i] = h2_pair_request(&pair, "/");
    h2_pair_settle(&pair);
    assert_int_equal(pair.server.begun, 2);
    h2_pair_answer(pair.server.streams[0], "200", true);
    h2_pair_settle(&pair);
    assert_int_equal(pair.server.begun, 3);
    h2_free(pair.client.session);
    pair.client.session = NULL;
    for (int i = 0; i < 5; i++) {
        closed += s[i]->closes;
        unprocessed += s[i]->unprocessed;
        told_stream_free(s[i]);
    }
    assert_int_equal(closed, 5);
    assert_int_equal(unprocessed, 2);
}

static void test_goaway(void **state)
{
    told_stream *before = h2_pair_request(&pair, "/"), *after;

    (void)state;
    pair.server.on_request = open_all;
    h2_pair_settle(&pair);
    h2_goaway(pair.server.session, NGHTTP2_NO_ERROR, "max_age", false);
    h2_pair_settle(&pair);
    assert_int_equal(pair.client.goaways, 1);
    assert_string_equal(pair.client.goaway_text, "");
    h2_goaway(pair.server.session, NGHTTP2_NO_ERROR, "max_age", true);
    after = h2_pair_request(&pair, "/"); /* crosses it */
    h2_pair_settle(&pair);
    assert_int_equal(before->closes, 0);
    assert_int_equal(after->closes, 1);
    assert_true(after->unprocessed);
    h2_pair_answer(pair.server.streams[0], "200", true);
    h2_finish(&before->stream, false);
    h2_pair_settle(&pair);
    assert_int_equal(before->closes, 1);
    told_stream_free(before);
    told_stream_free(after);
}

static void test_pings(void **state)
{
    (void)state;
    h2_ping(pair.client.session, 77);
    h2_pair_settle(&pair);
    assert_int_equal(pair.server.pings, 1);
    assert_int_equal(pair.client.pongs, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bodies_of_all_sizes, begin, end),
        cmocka_unit_test_setup_teardown(test_pieces_of_all_sizes, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_queued_early, begin, end),
        cmocka_unit_test_setup_teardown(test_it_says_when_much_is_queued, begin, end),
        cmocka_unit_test_setup_teardown(test_much_to_send_does_not_wait_for_the_rest, begin, end),
        cmocka_unit_test_setup_teardown(test_as_many_as_come_at_a_time_answer_at_a_time, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_stream_that_is_not_read_holds_up_itself_alone, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_the_window_follows_what_comes, begin, end),
        cmocka_unit_test_setup_teardown(test_a_reset_is_told, begin, end),
        cmocka_unit_test_setup_teardown(test_who_abandons_is_told_nothing, begin, end),
        cmocka_unit_test_setup_teardown(test_an_answer_before_the_end_of_the_request, begin, end),
        cmocka_unit_test_setup_teardown(test_a_refused_stream_can_be_made_again, begin, end),
        cmocka_unit_test_setup_teardown(test_streams_above_the_limit_wait, begin, end),
        cmocka_unit_test_setup_teardown(test_goaway, begin, end),
        cmocka_unit_test_setup_teardown(test_pings, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
