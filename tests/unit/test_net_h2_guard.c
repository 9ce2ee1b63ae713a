/* Goal: each thing that a peer may do without end has a bound; honest work stays below it, and what is above it costs the
 * peer its own connection. And lack of memory, or bytes that are no HTTP/2, end a session, never the process. */
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
    h2_pair_settle(&pair);
    return 0;
}

static int end(void **state)
{
    (void)state;
    h2_pair_end(&pair);
    return 0;
}

/* The server has ended the session: it says why, and takes nothing more. */
static void expect_over(uint32_t error, const char *word)
{
    h2_pair_move(&pair, &pair.server, &pair.client);
    assert_true(pair.client.goaways > 0);
    assert_int_equal(pair.client.goaway_error, error);
    if (word)
        assert_non_null(strstr(h2_error(pair.server.session), word));
    assert_true(h2_is_over(pair.server.session) || pair.server.code);
}

static void expect_well(void)
{
    told_stream *s = h2_pair_request(&pair, "/after");

    h2_finish(&s->stream, false);
    h2_pair_settle(&pair);
    h2_pair_answer(pair.server.streams[pair.server.begun - 1], "200", true);
    h2_pair_settle(&pair);
    assert_int_equal(s->closes, 1);
    assert_int_equal(s->error, NGHTTP2_NO_ERROR);
    assert_int_equal(pair.client.goaways, 0);
    told_stream_free(s);
}

/* ---- resets -------------------------------------------------------------------------------------------------------- */

/* So many streams begin and are reset at once, a hundred at a time. */
static void cancel_many(int count)
{
    for (int done = 0; done < count && !pair.client.goaways; done += 50) {
        told_stream *s[50];

        for (int i = 0; i < 50; i++)
            s[i] = h2_pair_request(&pair, "/cancelled");
        h2_pair_move(&pair, &pair.client, &pair.server);
        for (int i = 0; i < 50; i++)
            told_stream_free(s[i]); /* abandons it */
        h2_pair_settle(&pair);
        for (int i = 0; i < pair.server.begun; i++)
            told_stream_free(pair.server.streams[i]);
        pair.server.begun = 0;
    }
}

static void test_thousands_of_honest_cancels(void **state)
{
    (void)state;
    cancel_many(2500);
    expect_well();
    assert_int_equal(h2_open_streams(pair.server.session), 0);
}

static void test_resets_without_end(void **state)
{
    (void)state;
    cancel_many(20000);
    expect_over(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_resets");
}

/* What was used up comes back with time. */
static void test_the_account_fills_again(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        cancel_many(2500);
        pair.loop.now_ns += INT64_C(20000000000);
    }
    expect_well();
}

/* ---- frames that bring nothing ------------------------------------------------------------------------------------- */

static void inject_many(const char *frame, size_t len, int count)
{
    for (int i = 0; i < count && !pair.server.code && !h2_is_over(pair.server.session); i++) {
        h2_pair_inject(&pair, frame, len);
        /* Somebody who reads nothing: what is to be acknowledged piles up. */
    }
}

static void test_pings_without_end(void **state)
{
    static const char ping[] = "\0\0\10\6\0\0\0\0\0abcdefgh";

    (void)state;
    inject_many(ping, 17, 100);
    assert_int_equal(pair.server.code, 0);
    inject_many(ping, 17, 20000);
    assert_int_not_equal(pair.server.code, 0);
}

static void test_settings_without_end(void **state)
{
    static const char settings[] = "\0\0\0\4\0\0\0\0\0";

    (void)state;
    inject_many(settings, 9, 20000);
    assert_int_not_equal(pair.server.code, 0);
}

static void test_empty_data_without_end(void **state)
{
    static const char empty[] = "\0\0\0\0\0\0\0\0\1";
    told_stream *s = h2_pair_request(&pair, "/");

    (void)state;
    h2_pair_settle(&pair);
    inject_many(empty, 9, 20000);
    expect_over(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_empty_frames");
    told_stream_free(s);
}

static void test_window_updates_without_end(void **state)
{
    static const char update[] = "\0\0\4\10\0\0\0\0\0\0\0\0\1";

    (void)state;
    inject_many(update, 13, 20000);
    expect_over(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_empty_frames");
}

/* ---- headers ------------------------------------------------------------------------------------------------------- */

static void test_a_header_list_that_is_too_long(void **state)
{
    static char value[4000];
    told_stream *s = told_stream_new();
    nghttp2_nv fields[7] = {
        h2_field(":method", 7, "POST", 4, 0),
        h2_field(":scheme", 7, "http", 4, 0),
        h2_field(":path", 5, "/", 1, 0),
        h2_field(":authority", 10, "here", 4, 0),
    };

    (void)state;
    memset(value, 'v', sizeof value);
    for (int i = 4; i < 7; i++)
        fields[i] = h2_field("x-long", 6, value, sizeof value, 0);
    assert_int_equal(h2_request(pair.client.session, &s->stream, fields, 7), 0);
    h2_pair_settle(&pair);
    assert_int_equal(pair.server.begun, 1);
    assert_int_equal(pair.server.streams[0]->blocks, 1);
    assert_true(pair.server.streams[0]->too_long);
    assert_true(pair.server.streams[0]->fields.len < 8192);
    h2_pair_answer(pair.server.streams[0], "431", true);
    h2_pair_settle(&pair);
    assert_string_equal(s->fields.data, ":status: 431\n--\n");
    told_stream_free(s);
    expect_well();
}

static void test_continuations_without_end(void **state)
{
    static const char headers[] = "\0\0\1\1\0\0\0\0\1\x83"; /* no END_HEADERS */
    static const char more[] = "\0\0\1\11\0\0\0\0\1\x86";

    (void)state;
    h2_pair_inject(&pair, headers, 10);
    inject_many(more, 10, 1000);
    assert_int_not_equal(pair.server.code, 0);
}

/* ---- what is no HTTP/2, and no memory -------------------------------------------------------------------------------- */

static void test_garbage(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed < 2000; seed++) {
        uint8_t bytes[200];

        h2_pair_end(&pair);
        h2_pair_begin(&pair, NULL);
        pair.loop.random = seed;
        if (seed % 2)
            h2_pair_settle(&pair);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)net_random(&pair.loop);
        if (seed % 4 == 1) /* frames, of a kind that there is */
            for (size_t i = 0; i + 9 < sizeof bytes; i += 9 + bytes[i + 2])
                bytes[i] = bytes[i + 1] = 0, bytes[i + 2] %= 32, bytes[i + 3] %= 10;
        h2_pair_inject(&pair, bytes, sizeof bytes);
        h2_pair_move(&pair, &pair.server, &pair.client);
    }
}

static void answer(told_stream *s)
{
    nghttp2_nv fields[] = {h2_field(":status", 7, "200", 3, 0)};
    h2_chunk *c;

    if (h2_respond(&s->stream, fields, 1, false) != 0) {
        h2_reset(&s->stream, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    c = h2_chunk_new(&pair.loop, 5);
    if (c) {
        memcpy(c->data, "hello", 5);
        h2_send(&s->stream, c);
    }
    h2_finish(&s->stream, false);
}

/* Each allocation fails in turn: the call ends, well or not, and nothing is left. */
static void test_without_memory(void **state)
{
    bool failed = true;

    (void)state;
    for (long n = 1; failed; n++) {
        h2_options server = {
            .server = true, .max_streams = 10, .max_header_bytes = 8192, .window = 65535};
        told_stream *s;

        h2_pair_end(&pair);
        h2_pair_begin(&pair, &server);
        h2_pair_settle(&pair);
        pair.server.on_request = answer;
        s = h2_pair_request(&pair, "/");
        h2_finish(&s->stream, false);
        mem_fail_at(n, 0);
        h2_pair_settle(&pair);
        failed = mem_count() >= n;
        mem_fail_at(0, 0);
        if (!failed) {
            assert_int_equal(s->closes, 1);
            assert_string_equal(s->body.data, "hello");
        }
        told_stream_free(s);
    }
}

static void test_a_session_without_memory(void **state)
{
    static const h2_handler none;
    h2_options o = {.server = true, .max_streams = 10, .max_header_bytes = 8192, .window = 65535};
    h2 *h = NULL;

    (void)state;
    for (long n = 1; !h; n++) {
        assert_true(n < 100);
        mem_fail_at(n, 0);
        h = h2_new(&o, &pair.loop, &none, NULL);
        mem_fail_at(0, 0);
    }
    h2_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_thousands_of_honest_cancels, begin, end),
        cmocka_unit_test_setup_teardown(test_resets_without_end, begin, end),
        cmocka_unit_test_setup_teardown(test_the_account_fills_again, begin, end),
        cmocka_unit_test_setup_teardown(test_pings_without_end, begin, end),
        cmocka_unit_test_setup_teardown(test_settings_without_end, begin, end),
        cmocka_unit_test_setup_teardown(test_empty_data_without_end, begin, end),
        cmocka_unit_test_setup_teardown(test_window_updates_without_end, begin, end),
        cmocka_unit_test_setup_teardown(test_a_header_list_that_is_too_long, begin, end),
        cmocka_unit_test_setup_teardown(test_continuations_without_end, begin, end),
        cmocka_unit_test_setup_teardown(test_garbage, begin, end),
        cmocka_unit_test_setup_teardown(test_without_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_a_session_without_memory, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
