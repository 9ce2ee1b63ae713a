/* Goal: the wire of Protocol Buffers is written as its document has it, and what is no message is told as such, wherever it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc/pb.h"

static void test_what_is_written(void **state)
{
    buf out = BUF_INIT;

    (void)state;
    pb_put_number(&out, 1, 150);
    pb_put_bytes(&out, 2, "testing", 7);
    pb_put_bytes(&out, 3, NULL, 0);
    pb_put_number(&out, 16, (uint64_t)-1);
    assert_int_equal(out.len, 3 + 9 + 2 + 12);
    assert_memory_equal(
        out.data,
        "\x08\x96\x01\x12\x07testing\x1a\x00\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        out.len);
    buf_free(&out);
}

static const uint8_t all[] =
    "\x08\x96\x01\x12\x03one\x19\x01\x02\x03\x04\x05\x06\x07\x08\x25\x01\x00\x00\x80";

static void test_what_is_read(void **state)
{
    pb_reader r = pb_read(all, sizeof all - 1);
    pb_field f;

    (void)state;
    assert_int_equal(pb_next(&r, &f), 1);
    assert_int_equal(f.number, 1);
    assert_int_equal(f.type, PB_VARINT);
    assert_int_equal(f.value, 150);
    assert_int_equal(pb_next(&r, &f), 1);
    assert_int_equal(f.type, PB_BYTES);
    assert_int_equal(f.len, 3);
    assert_memory_equal(f.data, "one", 3);
    assert_int_equal(pb_next(&r, &f), 1);
    assert_int_equal(f.type, PB_FIXED64);
    assert_true(f.value == UINT64_C(0x0807060504030201));
    assert_int_equal(pb_next(&r, &f), 1);
    assert_int_equal(f.number, 4);
    assert_int_equal(f.value, 0x80000001);
    assert_int_equal(pb_next(&r, &f), 0);
    assert_int_equal(pb_next(&r, &f), 0);
}

/* Cut within a field, it is no message; cut between two, it is a shorter one. */
static void test_every_cut(void **state)
{
    static const size_t between[] = {0, 3, 8, 17, 22};
    size_t next = 0;

    (void)state;
    for (size_t len = 0; len < sizeof all; len++) {
        uint8_t *own = malloc(len + 1); /* so that a sanitizer sees its end */
        pb_reader r = pb_read(own, len);
        pb_field f;
        int rc;

        memcpy(own, all, len);
        while ((rc = pb_next(&r, &f)) > 0)
            ;
        assert_int_equal(rc, len == between[next] ? 0 : -1);
        next += len == between[next];
        assert_int_equal(pb_next(&r, &f), 0); /* reading it is over */
        free(own);
    }
    assert_int_equal(next, 5);
}

static void test_what_is_no_message(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x00\x01", 2},                                          /* number 0 */
        {"\x0b", 1},                                              /* a group */
        {"\x0e\x01", 2},                                          /* type 6 */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* 11 bytes */
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},     /* of 2^64-1 bytes */
        {"\x88\x80\x80\x80\x80\x01\x01", 7},                      /* number above 2^29 */
    };
    pb_field f;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pb_reader r = pb_read((const uint8_t *)bad[i].bytes, bad[i].len);

        assert_int_equal(pb_next(&r, &f), -1);
    }
}

static void test_the_last_of_a_number_counts(void **state)
{
    static const uint8_t twice[] = "\x0a\x01"
                                   "a\x08\x07\x0a\x01"
                                   "b";
    pb_field f;

    (void)state;
    assert_true(pb_find(pb_read(twice, 8), 1, PB_BYTES, &f));
    assert_memory_equal(f.data, "b", 1);
    assert_true(pb_find(pb_read(twice, 8), 1, PB_VARINT, &f));
    assert_int_equal(f.value, 7);
    assert_false(pb_find(pb_read(twice, 8), 2, PB_BYTES, &f));
    assert_false(pb_find(pb_read(twice, 7), 1, PB_BYTES, &f)); /* its end is missing */
    assert_false(pb_find(pb_read(NULL, 0), 1, PB_BYTES, &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written),
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_what_is_no_message),
        cmocka_unit_test(test_the_last_of_a_number_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
