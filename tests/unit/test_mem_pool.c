/* Goal: a block that is given back is given out again, for a request of about its size and with nothing of what was in it where
 * that is asked for; no more is kept than the limit; and a request that is to fail does, also where a block is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/mem_pool.h"

static mem_pool pool;

static int end(void **state)
{
    (void)state;
    mem_fail_at(0, 0);
    mem_pool_clear(&pool);
    assert_int_equal(pool.kept_bytes, 0);
    return 0;
}

static void test_what_is_given_back_comes_again(void **state)
{
    void *small = mem_pool_alloc(&pool, 1), *other = mem_pool_alloc(&pool, 65);

    (void)state;
    mem_pool_free(&pool, small, 1);
    mem_pool_free(&pool, other, 65);
    assert_int_equal(pool.kept_bytes, 64 + 128);
    assert_ptr_equal(mem_pool_alloc(&pool, 64), small);
    assert_ptr_equal(mem_pool_alloc(&pool, 128), other);
    assert_int_equal(pool.kept_bytes, 0);
    mem_pool_free(&pool, small, 64);
    mem_pool_free(&pool, other, 128);
    mem_pool_free(&pool, NULL, 128);
    assert_int_equal(pool.kept_bytes, 64 + 128);
}

static void test_zeroed(void **state)
{
    static const char zeros[200];
    char *block = mem_pool_alloc(&pool, 200);

    (void)state;
    memset(block, 'x', 200);
    mem_pool_free(&pool, block, 200);
    assert_ptr_equal(mem_pool_zalloc(&pool, 200), block);
    assert_memory_equal(block, zeros, 200);
    mem_pool_free(&pool, block, 200);
    block = mem_pool_zalloc(&pool, 5000);
    assert_memory_equal(block, zeros, 200);
    mem_pool_free(&pool, block, 5000);
}

static void test_resized(void **state)
{
    static const size_t sizes[] = {10, 60, 200, 3000, 9000, 2000, 100, 20};
    char *block = mem_pool_alloc(&pool, 10);
    size_t size = 10;

    (void)state;
    memcpy(block, "0123456789", 10);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        block = mem_pool_resize(&pool, block, size, sizes[i]);
        size = sizes[i];
        assert_memory_equal(block, "0123456789", 10);
    }
    mem_pool_free(&pool, block, size);
}

static void test_not_everything_is_kept(void **state)
{
    static void *blocks[2000];
    size_t most;

    (void)state;
    for (size_t i = 0; i < 2000; i++)
        blocks[i] = mem_pool_alloc(&pool, 1024);
    for (size_t i = 0; i < 1000; i++)
        mem_pool_free(&pool, blocks[i], 1024);
    most = pool.kept_bytes;
    assert_true(most > 0 && most < (size_t)1000 * 1024);
    for (size_t i = 1000; i < 2000; i++)
        mem_pool_free(&pool, blocks[i], 1024);
    assert_int_equal(pool.kept_bytes, most);
    blocks[0] = mem_pool_alloc(&pool, 100000);
    mem_pool_free(&pool, blocks[0], 100000);
    assert_int_equal(pool.kept_bytes, most);
}

static void test_without_memory(void **state)
{
    char *block = mem_pool_alloc(&pool, 100);

    (void)state;
    mem_pool_free(&pool, block, 100);
    mem_fail_at(1, 1);
    assert_null(mem_pool_alloc(&pool, 100));
    assert_null(mem_pool_zalloc(&pool, 100));
    assert_null(mem_pool_zalloc(&pool, 5000));
    mem_fail_at(0, 0);
    block = mem_pool_alloc(&pool, 100);
    memcpy(block, "kept", 5);
    mem_fail_at(1, 1);
    assert_null(mem_pool_resize(&pool, block, 100, 200));
    mem_fail_at(0, 0);
    assert_string_equal(block, "kept");
    mem_pool_free(&pool, block, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_what_is_given_back_comes_again, end),
        cmocka_unit_test_teardown(test_zeroed, end),
        cmocka_unit_test_teardown(test_resized, end),
        cmocka_unit_test_teardown(test_not_everything_is_kept, end),
        cmocka_unit_test_teardown(test_without_memory, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
