/* Goal: what a file declares is found by its full name, and a file that cannot be added leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "grpc/reflection_files.h"
#include "support/descriptors.h"

static proto_files files;

static int32_t add(buf *b)
{
    int32_t rc = proto_files_add(&files, (const uint8_t *)b->data, b->len, NULL);

    buf_free(b);
    return rc;
}

static int32_t add_message(const char *file, const char *package, const char *message)
{
    buf b = BUF_INIT;

    descriptors_message(&b, file, package, message);
    return add(&b);
}

static const char *with(const char *symbol)
{
    const proto_file *f = proto_files_with(&files, (const uint8_t *)symbol, strlen(symbol));

    return f ? f->name : "";
}

static const char *extending(const char *type, int32_t number)
{
    const proto_file *f = proto_files_extending(&files, (const uint8_t *)type, strlen(type),
                                                number);

    return f ? f->name : "";
}

static int clear(void **state)
{
    (void)state;
    proto_files_clear(&files);
    return 0;
}

static void add_both(void)
{
    buf base = BUF_INIT, main_file = BUF_INIT;

    descriptors_base(&base);
    descriptors_main(&main_file);
    assert_int_equal(add(&base), 0);
    assert_int_equal(add(&main_file), 0);
}

static void test_names(void **state)
{
    (void)state;
    add_both();
    assert_string_equal(with("t.Base"), "base.proto");
    assert_string_equal(with("t.Base.Inner"), "base.proto");
    assert_string_equal(with("t.Base.Inner.Kind"), "base.proto");
    assert_string_equal(with("t.Base.Inner.NONE"), "base.proto"); /* beside its enum */
    assert_string_equal(with("t.S"), "main.proto");
    assert_string_equal(with("t.S.One"), "main.proto");
    assert_string_equal(with("t.S.Two"), "main.proto");
    assert_string_equal(with("t.extra"), "main.proto");
    assert_string_equal(extending("t.Base", 100), "main.proto");
    assert_string_equal(extending("t.Base", 101), "");
    assert_string_equal(extending("t.Bas", 100), "");
    assert_string_equal(with("t"), "");
    assert_string_equal(with(""), "");
    assert_string_equal(with("t.S.Three"), "");
    assert_string_equal(with("t.Base.Inner.Kind.NONE"), "");
    assert_non_null(proto_files_named(&files, (const uint8_t *)"base.proto", 10));
    assert_null(proto_files_named(&files, (const uint8_t *)"base.prot", 9));
}

static void test_no_package(void **state)
{
    (void)state;
    assert_int_equal(add_message("bare.proto", "", "Bare"), 0);
    assert_string_equal(with("Bare"), "bare.proto");
}

static void test_twice(void **state)
{
    (void)state;
    add_both();
    assert_int_equal(files.count, 2);
    add_both(); /* the same bytes */
    assert_int_equal(files.count, 2);
    assert_int_equal(add_message("base.proto", "t", "Other"), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(add_message("other.proto", "t", "Base"), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(files.count, 2);
    assert_string_equal(with("t.Other"), "");
}

/* Whatever byte a file is cut behind: it is refused, or has no more than was there, and nothing is left of it. */
static void test_every_cut(void **state)
{
    buf whole = BUF_INIT;

    (void)state;
    descriptors_main(&whole);
    for (size_t len = 0; len < whole.len; len++) {
        uint8_t *own = malloc(len + 1);
        int32_t rc;

        memcpy(own, whole.data, len);
        rc = proto_files_add(&files, own, len, NULL);
        free(own);
        assert_true(rc == 0 || rc == ORCH_E_INVALID_ARGUMENT);
        if (rc) {
            assert_int_equal(files.count, 0);
            assert_null(files.symbols);
            assert_int_equal(files.extension_count, 0);
        }
        proto_files_clear(&files);
    }
    buf_free(&whole);
}

/* A name that a string cannot hold would be kept as another one. */
static void test_names_with_a_zero(void **state)
{
    buf b = BUF_INIT;

    (void)state;
    pb_put_bytes(&b, 1, "a\0b", 3);
    assert_int_equal(add(&b), ORCH_E_INVALID_ARGUMENT);
    pb_put_bytes(&b, 1, "a", 1);
    pb_put_bytes(&b, 2, "p\0q", 3);
    assert_int_equal(add(&b), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(files.count, 0);
}

static void test_too_deep(void **state)
{
    buf inner = BUF_INIT, file = BUF_INIT;

    (void)state;
    pb_put_bytes(&inner, 1, "M", 1);
    for (int i = 0; i < 40; i++) {
        buf outer = BUF_INIT;

        pb_put_bytes(&outer, 1, "M", 1);
        pb_put_bytes(&outer, 3, inner.data, inner.len);
        buf_free(&inner);
        inner = outer;
    }
    pb_put_bytes(&file, 1, "deep", 4);
    pb_put_bytes(&file, 4, inner.data, inner.len);
    buf_free(&inner);
    assert_int_equal(add(&file), ORCH_E_INVALID_ARGUMENT);
    assert_null(files.symbols);
}

static void test_no_memory(void **state)
{
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;
    buf main_file = BUF_INIT;
    int failed = 0;

    (void)state;
    descriptors_main(&main_file);
    for (long n = 1; rc == ORCH_E_RESOURCE_EXHAUSTED; n++) {
        mem_fail_at(n, 0);
        rc = proto_files_add(&files, (const uint8_t *)main_file.data, main_file.len, NULL);
        mem_fail_at(0, 0);
        if (rc) {
            failed++;
            assert_int_equal(files.count, 0);
            assert_null(files.symbols);
        }
    }
    assert_int_equal(rc, 0);
    assert_true(failed > 5);
    assert_string_equal(with("t.S.Two"), "main.proto");
    buf_free(&main_file);
}

#define TEST(name) cmocka_unit_test_teardown(name, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names),     TEST(test_no_package), TEST(test_twice),
        TEST(test_every_cut), TEST(test_too_deep),   TEST(test_names_with_a_zero),
        TEST(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
