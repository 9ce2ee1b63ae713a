/* Goal: when a failed call is made again is as gRFC A6 has it: codes, attempts, growing delays, what the server says, and the throttle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "grpc/retry.h"

#define MS INT64_C(1000000)

static const grpc_retry policy = {.max_attempts = 4,
                                  .codes = 1 << 14 | 1 << 8,
                                  .backoff_ns = 100 * MS,
                                  .max_backoff_ns = 300 * MS,
                                  .growth_percent = 200};
static net_loop loop;
static retry_throttle none;

static int begin(void **state)
{
    (void)state;
    return net_loop_init(&loop, 0, 7) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    net_loop_free(&loop);
    return 0;
}

static int64_t after(int32_t code, const char *pushback, uint32_t made, uint32_t *backoffs)
{
    return retry_after(&policy, &none, &loop, code, pushback, made, backoffs);
}

static void test_codes_and_attempts(void **state)
{
    uint32_t b = 0;

    (void)state;
    assert_true(after(ORCH_E_UNAVAILABLE, NULL, 1, &b) > 0);
    assert_true(after(ORCH_E_RESOURCE_EXHAUSTED, NULL, 3, &b) > 0);
    assert_true(after(ORCH_E_UNAVAILABLE, NULL, 4, &b) == RETRY_NEVER);
    assert_true(after(ORCH_E_INTERNAL, NULL, 1, &b) == RETRY_NEVER);
    assert_true(after(0, NULL, 1, &b) == RETRY_NEVER);
}

static void test_delays_grow(void **state)
{
    static const int64_t expected[] = {100, 200, 300, 300};

    (void)state;
    for (int round = 0; round < 100; round++) {
        uint32_t b = 0;

        for (uint32_t i = 0; i < 4; i++) {
            int64_t ns = after(ORCH_E_UNAVAILABLE, NULL, 1, &b);

            assert_in_range(ns, expected[i] * MS * 8 / 10, expected[i] * MS * 12 / 10);
        }
    }
}

static void test_what_the_server_says(void **state)
{
    static const char *const never[] = {"-1", "", "soon", "1x", " 1", "99999999999999999999"};
    uint32_t b = 2;

    (void)state;
    assert_true(after(ORCH_E_UNAVAILABLE, "1234", 1, &b) == 1234 * MS);
    assert_int_equal(b, 0); /* the delays begin anew */
    assert_true(after(ORCH_E_UNAVAILABLE, "0", 1, &b) == 0);
    assert_true(after(ORCH_E_UNAVAILABLE, "5", 4, &b) == RETRY_NEVER);
    assert_true(after(ORCH_E_INTERNAL, "5", 1, &b) == RETRY_NEVER);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_true(after(ORCH_E_UNAVAILABLE, never[i], 1, &b) == RETRY_NEVER);
}

static void test_a_throttle(void **state)
{
    retry_throttle t;
    uint32_t b = 0;

    (void)state;
    retry_throttle_init(&t, 10, 50);
    for (int i = 0; i < 4; i++)
        assert_true(retry_after(&policy, &t, &loop, ORCH_E_UNAVAILABLE, NULL, 1, &b) > 0);
    for (int i = 0; i < 3; i++) /* half of them are gone */
        assert_true(retry_after(&policy, &t, &loop, ORCH_E_UNAVAILABLE, NULL, 1, &b) ==
                    RETRY_NEVER);
    for (int i = 0; i < 7; i++) /* 3 + 3.5 */
        retry_after(&policy, &t, &loop, 0, NULL, 1, &b);
    assert_true(retry_after(&policy, &t, &loop, ORCH_E_UNAVAILABLE, NULL, 1, &b) > 0);
    assert_true(retry_after(&policy, &t, &loop, ORCH_E_UNAVAILABLE, NULL, 1, &b) == RETRY_NEVER);
    for (int i = 0; i < 100; i++)
        retry_after(&policy, &t, &loop, ORCH_E_INTERNAL, NULL, 1, &b); /* counts as neither */
    for (int i = 0; i < 100; i++)
        retry_after(&policy, &t, &loop, 0, NULL, 1, &b);
    assert_int_equal(t.left, t.most);
    for (int i = 0; i < 100; i++) /* the server wants none: that is a failure, too */
        retry_after(&policy, &t, &loop, ORCH_E_INTERNAL, "-1", 1, &b);
    assert_int_equal(t.left, 0);
}

static void test_policies_are_made_sensible(void **state)
{
    grpc_retry p = {.max_attempts = 100, .max_backoff_ns = 1};

    (void)state;
    retry_policy_check(&p);
    assert_int_equal(p.max_attempts, 5);
    assert_true(p.backoff_ns == 1000 * MS);
    assert_true(p.max_backoff_ns == p.backoff_ns);
    assert_int_equal(p.growth_percent, 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_codes_and_attempts),         TEST(test_delays_grow),
        TEST(test_what_the_server_says),       TEST(test_a_throttle),
        TEST(test_policies_are_made_sensible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
