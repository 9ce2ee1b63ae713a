/* Goal: payloads go through a codec unharmed, errors stay readable where they should, and what a codec or a store does
 * wrong is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "support/scrambler.h"

static bytes *text(const char *s)
{
    return bytes_new(s, strlen(s));
}

static void test_there_and_back(void **state)
{
    static const char *const rows[] = {
        "null",        "0",     "\"\"",   "{}",      "{\"a\":[1,2,3]}",
        "\"\\u00e9\"", "[1,2]", "[12,3]", "[12,34]", "{\"code\":\"x\"}",
    };
    scrambler s = {0};
    codec c = scrambler_codec(&s);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bytes *b = text(rows[i]);

        assert_int_equal(codec_encode(&c, &b, NULL), 0);
        assert_memory_equal(b->data, "{\"$encoded\":\"", 13);
        assert_int_equal(codec_decode(&c, &b, NULL), 0);
        assert_string_equal(b->data, rows[i]);
        assert_int_equal(b->len, strlen(rows[i]));
        bytes_unref(b);
    }
    assert_int_equal(s.held, 0);
}

static void test_nothing_stays_nothing(void **state)
{
    scrambler s = {0};
    codec c = scrambler_codec(&s);
    bytes *b = NULL;

    (void)state;
    assert_int_equal(codec_encode(&c, &b, NULL), 0);
    assert_int_equal(codec_encode_error(&c, &b, NULL), 0);
    assert_int_equal(codec_decode(&c, &b, NULL), 0);
    assert_int_equal(codec_decode_error(&c, &b, NULL), 0);
    assert_null(b);
    assert_int_equal(s.encoded + s.decoded, 0);
}

/* Without a codec nothing is touched; what others encoded is not taken for a value. */
static void test_no_codec(void **state)
{
    codec none = {NULL, NULL};
    bytes *plain = text("{\"a\":1}"), *same = plain;
    bytes *encoded = scrambler_encoded("1");
    orch_error *error = NULL;

    (void)state;
    assert_int_equal(codec_encode(&none, &plain, NULL), 0);
    assert_int_equal(codec_encode_error(&none, &plain, NULL), 0);
    assert_int_equal(codec_decode(&none, &plain, NULL), 0);
    assert_int_equal(codec_decode_error(&none, &plain, NULL), 0);
    assert_ptr_equal(plain, same);
    assert_int_equal(codec_decode(&none, &encoded, &error), ORCH_E_UNAVAILABLE);
    assert_string_equal(orch_error_message(error),
                        "a payload is encoded, and no codec is set here");
    orch_error_free(error);
    bytes_unref(plain);
    bytes_unref(encoded);
}

static void test_what_is_plain_passes(void **state)
{
    static const char *const rows[] = {"{\"$encoded\":1}", "{\"$encoded\":\"", "{\"a\":1}",
                                       "[{\"$encoded\":\"x\"}]"};
    scrambler s = {0};
    codec c = scrambler_codec(&s);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bytes *b = text(rows[i]);

        assert_int_equal(codec_decode(&c, &b, NULL), 0);
        assert_string_equal(b->data, rows[i]);
        bytes_unref(b);
    }
    assert_int_equal(s.decoded, 0);
}

static void test_errors(void **state)
{
    static const char plain[] = "{\"code\":\"ABORTED\",\"message\":\"no\",\"step\":\"a\",\"data\":"
                                "{\"card\":4711},\"compensation_failed\":[{\"step\":\"b\"}]}";
    static const char readable[] =
        "{\"code\":\"ABORTED\",\"message\":\"no\",\"step\":\"a\",\"$encoded\":\"";
    static const char no_data[] = "{\"code\":\"ABORTED\",\"message\":\"no\"}";
    scrambler s = {0};
    codec c = scrambler_codec(&s);
    bytes *b = text(plain);

    (void)state;
    assert_int_equal(codec_encode_error(&c, &b, NULL), 0);
    assert_memory_equal(b->data, readable, sizeof readable - 1);
    assert_null(strstr(b->data, "4711"));
    assert_null(strstr(b->data, "compensation"));
    assert_int_equal(codec_decode_error(&c, &b, NULL), 0);
    assert_string_equal(b->data, plain);
    bytes_unref(b);
    b = text(no_data); /* nothing to hide */
    s.encoded = 0;
    assert_int_equal(codec_encode_error(&c, &b, NULL), 0);
    assert_int_equal(codec_decode_error(&c, &b, NULL), 0);
    assert_string_equal(b->data, no_data);
    assert_int_equal(s.encoded, 0);
    assert_int_equal(s.held, 0);
    bytes_unref(b);
}

static void test_a_codec_that_fails(void **state)
{
    static const struct {
        int32_t given, encode, decode;
    } rows[] = {
        {ORCH_E_UNAVAILABLE, ORCH_E_UNAVAILABLE, ORCH_E_UNAVAILABLE},
        {ORCH_E_RESOURCE_EXHAUSTED, ORCH_E_RESOURCE_EXHAUSTED, ORCH_E_RESOURCE_EXHAUSTED},
        {ORCH_E_NOT_FOUND, ORCH_E_NOT_FOUND, ORCH_E_DATA_LOSS},
        {7, ORCH_E_INTERNAL, ORCH_E_DATA_LOSS},
        {-99, ORCH_E_INTERNAL, ORCH_E_DATA_LOSS},
        {0, ORCH_E_INTERNAL, ORCH_E_DATA_LOSS}, /* it gives nothing */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scrambler s = {.encode_code = rows[i].given,
                       .decode_code = rows[i].given,
                       .gives_nothing = !rows[i].given};
        codec c = scrambler_codec(&s);
        bytes *b = text("[1]"), *e = scrambler_encoded("[1]"), *was = e;
        bytes *error = text("{\"code\":\"ABORTED\",\"message\":\"\",\"data\":1}");
        orch_error *err = NULL;

        assert_int_equal(codec_encode(&c, &b, &err), rows[i].encode);
        assert_string_equal(b->data, "[1]");
        assert_non_null(strstr(orch_error_message(err), "codec scrambler: a payload cannot be "));
        assert_int_equal(codec_encode_error(&c, &error, &err), rows[i].encode);
        assert_non_null(strstr(error->data, "\"data\":1"));
        assert_int_equal(codec_decode(&c, &e, &err), rows[i].decode);
        assert_ptr_equal(e, was);
        assert_int_equal(s.held, 0);
        orch_error_free(err);
        bytes_unref(b);
        bytes_unref(e);
        bytes_unref(error);
    }
}

/* A store that was tampered with, or a codec that is another one. */
static void test_what_cannot_be_decoded(void **state)
{
    static const char *const rows[] = {
        "{\"$encoded\":\"\"}",     "{\"$encoded\":\"abc\"}",      "{\"$encoded\":\"====\"}",
        "{\"$encoded\":\"YWJ!\"}", "{\"$encoded\":\"YQ==YQ==\"}", "{\"$encoded\":\"YWJj\"}",
    };
    static const char *const errors[] = {
        "{\"code\":\"ABORTED\",\"message\":\"\",\"$encoded\":\"YWJj\"}",
        "{\"code\":\"ABORTED\",\"message\":\"\",\"$encoded\":\"\"}",
        "{\"code\":\"ABORTED\",\"message\":\"\",\"$encoded\":\"U86i\"}",     /* of "1]" */
        "{\"code\":\"ABORTED\",\"message\":\"\",\"$encoded\":\"U6TOog==\"}", /* of "[1]" */
    };
    scrambler s = {0};
    codec c = scrambler_codec(&s);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bytes *b = text(rows[i]);

        assert_int_equal(codec_decode(&c, &b, NULL), ORCH_E_DATA_LOSS);
        assert_string_equal(b->data, rows[i]);
        bytes_unref(b);
    }
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        bytes *b = text(errors[i]);

        assert_int_equal(codec_decode_error(&c, &b, NULL), ORCH_E_DATA_LOSS);
        assert_string_equal(b->data, errors[i]);
        bytes_unref(b);
    }
    assert_int_equal(s.held, 0);
}

static void test_lack_of_memory(void **state)
{
    static const char plain[] = "{\"code\":\"ABORTED\",\"message\":\"\",\"data\":1}";
    scrambler s = {0};
    codec c = scrambler_codec(&s);
    int failed = 0;

    (void)state;
    json_set_alloc_funcs(mem_alloc, mem_free);
    for (long n = 1;; n++) {
        bytes *b = text("[1]"), *e = text(plain);
        bool reached;

        mem_fail_at(n, 0);
        if (codec_encode(&c, &b, NULL) || codec_decode(&c, &b, NULL) ||
            codec_encode_error(&c, &e, NULL) || codec_decode_error(&c, &e, NULL))
            failed++;
        reached = mem_count() < n;
        mem_fail_at(0, 0);
        codec_decode(&c, &b, NULL);
        codec_decode_error(&c, &e, NULL);
        assert_string_equal(b->data, "[1]");
        assert_string_equal(e->data, plain);
        bytes_unref(b);
        bytes_unref(e);
        if (reached)
            break;
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(failed >= 20);
    assert_int_equal(s.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_nothing_stays_nothing),
        cmocka_unit_test(test_no_codec),
        cmocka_unit_test(test_what_is_plain_passes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_a_codec_that_fails),
        cmocka_unit_test(test_what_cannot_be_decoded),
        cmocka_unit_test(test_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
