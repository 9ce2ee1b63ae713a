/* Goal: what gRPC puts on the wire is read and written as its documents have it, whatever comes: statuses, messages of statuses, timeouts,
 * metadata, framing, gzip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "grpc/framing.h"
#include "grpc/metadata.h"
#include "grpc/status.h"

static void test_statuses(void **state)
{
    (void)state;
    assert_int_equal(grpc_status_parse("0", 1), 0);
    assert_int_equal(grpc_status_parse("16", 2), ORCH_E_UNAUTHENTICATED);
    assert_int_equal(grpc_status_parse("17", 2), ORCH_E_UNKNOWN);
    assert_int_equal(grpc_status_parse("", 0), ORCH_E_UNKNOWN);
    assert_int_equal(grpc_status_parse("-1", 2), ORCH_E_UNKNOWN);
    assert_int_equal(grpc_status_parse("x", 1), ORCH_E_UNKNOWN);
    assert_int_equal(grpc_status_of_http(400), ORCH_E_INTERNAL);
    assert_int_equal(grpc_status_of_http(401), ORCH_E_UNAUTHENTICATED);
    assert_int_equal(grpc_status_of_http(403), ORCH_E_PERMISSION_DENIED);
    assert_int_equal(grpc_status_of_http(404), ORCH_E_UNIMPLEMENTED);
    assert_int_equal(grpc_status_of_http(429), ORCH_E_UNAVAILABLE);
    assert_int_equal(grpc_status_of_http(431), ORCH_E_INTERNAL);
    assert_int_equal(grpc_status_of_http(503), ORCH_E_UNAVAILABLE);
    assert_int_equal(grpc_status_of_http(200), ORCH_E_UNKNOWN);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_REFUSED_STREAM), ORCH_E_UNAVAILABLE);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_CANCEL), ORCH_E_CANCELLED);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_ENHANCE_YOUR_CALM), ORCH_E_RESOURCE_EXHAUSTED);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_INADEQUATE_SECURITY), ORCH_E_PERMISSION_DENIED);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_NO_ERROR), ORCH_E_INTERNAL);
}

static void test_messages_of_statuses(void **state)
{
    static const char *const texts[] = {"", "plain", "100 %", "\n\t", "\xE2\x98\xBA", "%41"};
    static const struct {
        const char *text, *decoded;
    } bad[] = {{"%", "%"},       {"%4", "%4"},   {"%4x", "%4x"},
               {"%zz!", "%zz!"}, {"%%41", "%A"}, {"%e2%98%Ba", "\xE2\x98\xBA"}};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        buf wire = BUF_INIT, back = BUF_INIT;

        buf_puts(&wire, "");
        buf_puts(&back, "");
        grpc_message_encode(&wire, texts[i]);
        for (size_t j = 0; j < wire.len; j++)
            assert_in_range(wire.data[j], ' ', '~');
        grpc_message_decode(&back, wire.data, wire.len);
        assert_string_equal(back.len ? back.data : "", texts[i]);
        buf_free(&wire);
        buf_free(&back);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf back = BUF_INIT;

        grpc_message_decode(&back, bad[i].text, strlen(bad[i].text));
        assert_string_equal(back.data, bad[i].decoded);
        buf_free(&back);
    }
}

static void test_timeouts(void **state)
{
    static const struct {
        const char *text;
        int64_t ns; /* -1: refused */
    } rows[] = {
        {"1n", 1},
        {"5u", 5000},
        {"10m", 10000000},
        {"2S", 2000000000},
        {"1M", 60000000000},
        {"1H", 3600000000000},
        {"99999999H", INT64_MAX},
        {"123456789n", -1},
        {"n", -1},
        {"1", -1},
        {"1s", -1},
        {"-1S", -1},
        {"", -1},
        {"1.5S", -1},
    };
    static const int64_t spans[] = {
        -5, 0, 1, 99999999, 100000000, 123456789012, INT64_C(1) << 55, INT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ns = -7;
        bool ok = grpc_timeout_parse(rows[i].text, strlen(rows[i].text), &ns);

        assert_int_equal(ok, rows[i].ns >= 0);
        assert_int_equal(ns, ok ? rows[i].ns : -7);
    }
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        char text[GRPC_TIMEOUT_MAX];
        size_t len = grpc_timeout_format(spans[i], text);
        int64_t back;

        assert_in_range(len, 2, 9);
        assert_true(grpc_timeout_parse(text, len, &back));
        assert_true(back >= spans[i] && back >= 1);
        assert_true(spans[i] < 1000 || back / 100 * 99 <= spans[i]);
    }
}

/* ---- metadata ------------------------------------------------------------------------------------------------------ */

static void test_metadata(void **state)
{
    grpc_metadata m = {0};
    const char *name, *value;
    size_t len;
    buf bytes = BUF_INIT;

    (void)state;
    assert_int_equal(grpc_metadata_add(&m, "a", "1", 1, NULL), 0);
    assert_int_equal(grpc_metadata_add(&m, "b-bin", "\0\xff\x10", 3, NULL), 0);
    assert_int_equal(grpc_metadata_add(&m, "a", "2", 1, NULL), 0);
    assert_int_equal(m.count, 3);
    assert_string_equal(grpc_metadata_get(&m, "a", &len), "1");
    assert_true(grpc_metadata_at(&m, 2, &name, &value, &len));
    assert_string_equal(name, "a");
    assert_string_equal(value, "2");
    assert_false(grpc_metadata_at(&m, 3, &name, &value, &len));
    assert_string_equal(grpc_metadata_get(&m, "b-bin", &len), "AP8Q");
    assert_true(grpc_metadata_get_bin(&m, "b-bin", &bytes));
    assert_int_equal(bytes.len, 3);
    assert_memory_equal(bytes.data, "\0\xff\x10", 3);
    assert_null(grpc_metadata_get(&m, "c", NULL));
    buf_free(&bytes);
    grpc_metadata_clear(&m);
}

static void test_base64(void **state)
{
    static const struct {
        const char *text, *bytes; /* NULL: refused */
    } rows[] = {{"", ""},           {"YQ", "a"},     {"YQ==", "a"}, {"YWI=", "ab"}, {"YWJj", "abc"},
                {"YWJjZA", "abcd"}, {"YQ,YWI", "a"}, {"Y", NULL},   {"Y!Q=", NULL}, {"Y=Q=", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        grpc_metadata m = {0};
        buf bytes = BUF_INIT;
        bool ok;

        assert_true(grpc_metadata_take(&m, (const uint8_t *)"x-bin", 5,
                                       (const uint8_t *)rows[i].text, strlen(rows[i].text)));
        ok = grpc_metadata_get_bin(&m, "x-bin", &bytes);
        assert_int_equal(ok, rows[i].bytes != NULL);
        if (ok) {
            assert_int_equal(bytes.len, strlen(rows[i].bytes));
            if (bytes.len)
                assert_memory_equal(bytes.data, rows[i].bytes, bytes.len);
        }
        buf_free(&bytes);
        grpc_metadata_clear(&m);
    }
}

static void test_metadata_that_may_not_travel(void **state)
{
    static const struct {
        const char *name, *value, *word;
    } rows[] = {{"", "x", "a name has"},       {"A", "x", "a name has"},
                {"a b", "x", "a name has"},    {":path", "x", "a name has"},
                {"grpc-x", "x", "gRPC's own"}, {"a", "\n", "not printable"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        grpc_metadata m = {0};
        orch_error *error = NULL;

        assert_int_equal(grpc_metadata_add(&m, rows[i].name, rows[i].value, 1, &error),
                         ORCH_E_INVALID_ARGUMENT);
        assert_non_null(strstr(orch_error_message(error), rows[i].word));
        assert_int_equal(m.count, 0);
        orch_error_free(error);
    }
}

/* ---- framing --------------------------------------------------------------------------------------------------------- */

typedef struct taken {
    int count;
    buf all; /* of all messages, each with a '|' behind */
    int stop_after;
} taken;

static bool take(void *ctx, const uint8_t *data, size_t len)
{
    taken *t = ctx;

    t->count++;
    buf_add(&t->all, data, len);
    buf_putc(&t->all, '|');
    return t->count != t->stop_after;
}

static void add_frame(buf *out, bool compressed, const char *data, size_t len)
{
    uint8_t head[GRPC_HEAD];

    grpc_head_write(head, compressed, len);
    buf_add(out, head, sizeof head);
    buf_add(out, data, len);
}

/* Cut anywhere: the messages are the same. */
static void test_frames_in_pieces(void **state)
{
    buf wire = BUF_INIT, packed = BUF_INIT;

    (void)state;
    assert_true(grpc_gzip(&packed, (const uint8_t *)"pressed", 7));
    add_frame(&wire, false, "one", 3);
    add_frame(&wire, false, "", 0);
    add_frame(&wire, true, packed.data, packed.len);
    add_frame(&wire, false, "", 0);
    for (size_t piece = 1; piece <= wire.len; piece++) {
        grpc_deframer d = {.max_bytes = 100, .inflates = true};
        taken t = {0};
        const char *why = "";

        for (size_t at = 0; at < wire.len; at += piece) {
            size_t n = wire.len - at < piece ? wire.len - at : piece;
            uint8_t *own = malloc(n); /* so that a sanitizer sees its ends */
            size_t done;

            memcpy(own, wire.data + at, n);
            assert_int_equal(grpc_deframe(&d, own, n, &done, take, &t, &why), 0);
            assert_int_equal(done, n);
            free(own);
        }
        assert_int_equal(t.count, 4);
        assert_string_equal(t.all.data, "one||pressed||");
        assert_true(grpc_deframer_is_between(&d));
        grpc_deframer_clear(&d);
        buf_free(&t.all);
    }
    buf_free(&wire);
    buf_free(&packed);
}

static void expect_refused(grpc_deframer d, const char *data, size_t len, int32_t code,
                           const char *word)
{
    taken t = {0};
    const char *why = "";
    size_t done;

    assert_int_equal(grpc_deframe(&d, (const uint8_t *)data, len, &done, take, &t, &why), code);
    assert_non_null(strstr(why, word));
    assert_int_equal(t.count, 0);
    grpc_deframer_clear(&d);
}

static void test_bad_frames(void **state)
{
    grpc_deframer plain = {.max_bytes = 1000}, gzip = {.max_bytes = 1000, .inflates = true};
    static const uint8_t zeros[100000];
    buf bomb = BUF_INIT, wire = BUF_INIT;

    (void)state;
    expect_refused(plain, "\2\0\0\0\1x", 6, ORCH_E_INTERNAL, "unknown flag");
    expect_refused(plain, "\1\0\0\0\1x", 6, ORCH_E_INTERNAL, "no grpc-encoding");
    expect_refused(plain, "\0\0\0\3\351x", 6, ORCH_E_RESOURCE_EXHAUSTED, "larger than is allowed");
    expect_refused(plain, "\0\xff\xff\xff\xffx", 6, ORCH_E_RESOURCE_EXHAUSTED,
                   "larger than is allowed");
    expect_refused(gzip, "\1\0\0\0\1x", 6, ORCH_E_INTERNAL, "cannot be decompressed");
    expect_refused(gzip, "\1\0\0\0\0", 5, ORCH_E_INTERNAL, "cannot be decompressed");
    assert_true(grpc_gzip(&bomb, zeros, sizeof zeros));
    assert_true(bomb.len < 1000);
    add_frame(&wire, true, bomb.data, bomb.len);
    expect_refused(gzip, wire.data, wire.len, ORCH_E_RESOURCE_EXHAUSTED, "larger than is allowed");
    buf_free(&bomb);
    buf_free(&wire);
}

static void test_who_has_enough_is_told_no_more(void **state)
{
    grpc_deframer d = {0};
    taken t = {.stop_after = 2};
    static const uint8_t wire[] = "\0\0\0\0\1a\0\0\0\0\1b\0\0\0\0\1c";
    const char *why = "";
    size_t done;

    (void)state;
    assert_int_equal(grpc_deframe(&d, wire, 18, &done, take, &t, &why), 0);
    assert_int_equal(done, 12);
    assert_string_equal(t.all.data, "a|b|");
    buf_free(&t.all);
    grpc_deframer_clear(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_messages_of_statuses),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_metadata_that_may_not_travel),
        cmocka_unit_test(test_frames_in_pieces),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_who_has_enough_is_told_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
