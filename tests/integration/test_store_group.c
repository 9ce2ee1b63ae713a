/* Goal: the commit thread waits for more exactly where that was found to be worth it, and no longer than it should;
 * what it takes at once is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/sqlite/sqlite_impl.h"
#include "support/store_conformance.h"

#define MS 1000000LL

static char folder[64], url[128];
static store_fixture f;
static uint64_t key;

static int set_up(void **state)
{
    execution_row row = fixture_row(1, 1);

    (void)state;
    strcpy(folder, "/tmp/orch-group-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(url, sizeof url, "sqlite:%s/store", folder);
    fixture_open(&f, url);
    assert_int_equal(fixture_accept(&f, &row), 0);
    key = row.key;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    char file[160];

    (void)state;
    fixture_close(&f);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(file, sizeof file, "%s/store%s", folder, ends[i]);
        unlink(file);
    }
    return rmdir(folder);
}

/* ---- the rule -------------------------------------------------------------------------------------------- */

static void test_one_at_a_time_is_not_held_up(void **state)
{
    group g = {0};

    (void)state;
    group_batch_done(&g, 1, 0, 8 * MS);
    assert_int_equal(g.wanted, 1); /* the first that comes is all */
}

static void test_as_many_as_were_under_way_are_awaited(void **state)
{
    group g = {0};

    (void)state;
    group_batch_done(&g, 8, 8, 8 * MS);
    assert_int_equal(g.wanted, 14);
}

static void test_the_wait_is_a_part_of_the_sync(void **state)
{
    group g = {0};
    int64_t from_ns = clock_monotonic_ns();

    (void)state;
    group_batch_done(&g, 8, 8, 8 * MS);
    assert_in_range(g.until_ns - from_ns, 4 * MS, clock_monotonic_ns() - from_ns + 4 * MS);
    from_ns = clock_monotonic_ns();
    group_batch_done(&g, 8, 8, 8000 * MS); /* however slow the disk */
    assert_in_range(g.until_ns - from_ns, 10 * MS, clock_monotonic_ns() - from_ns + 10 * MS);
    group_batch_done(&g, 8, 8, MS / 100); /* nor for a disk that is quick */
    assert_int_equal(g.until_ns, 0);
}

/* ---- the wait -------------------------------------------------------------------------------------------- */

static sqlite_store *inside(void)
{
    return f.s.self;
}

/* As after a batch. A minute, where only what is looked for is to end it. */
static void expect(uint64_t wanted, int64_t wait_ns)
{
    sqlite_store *s = inside();

    pthread_mutex_lock(&s->lock);
    s->group.wanted = wanted;
    s->group.until_ns = clock_monotonic_ns() + wait_ns;
    pthread_mutex_unlock(&s->lock);
}

static void await_wait(void)
{
    sqlite_store *s = inside();
    bool waits = false;

    while (!waits) {
        pthread_mutex_lock(&s->lock);
        waits = s->queue_wakes > 0;
        pthread_mutex_unlock(&s->lock);
        sched_yield();
    }
}

static void submit(store_unit *u, checkpoint *c, uint64_t seq)
{
    *c = fixture_checkpoint(seq);
    *u = fixture_unit(&f, key);
    u->checkpoints = c;
    u->checkpoint_count = 1;
    fixture_submit(&f, u);
    fixture_flush(&f);
}

static uint64_t batches(void)
{
    store_stats stats;

    f.s.ops->get_stats(f.s.self, &stats);
    return stats.batches;
}

static void test_what_comes_meanwhile_is_in_the_batch(void **state)
{
    uint64_t before = batches();
    checkpoint rows[3];
    store_unit units[3];

    (void)state;
    expect(3, 60000 * MS);
    submit(&units[0], &rows[0], 1);
    await_wait();
    submit(&units[1], &rows[1], 2);
    submit(&units[2], &rows[2], 3);
    fixture_wait(&f, 3); /* within ten seconds */
    assert_int_equal(batches(), before + 1);
    assert_int_equal(inside()->group.misses, 0);
}

static void test_a_wait_in_vain_ends_and_is_not_repeated(void **state)
{
    const group *g = &inside()->group;
    checkpoint rows[2];
    store_unit units[2];

    (void)state;
    expect(3, 5 * MS);
    submit(&units[0], &rows[0], 1);
    fixture_wait(&f, 1);
    assert_int_equal(g->misses, 1);
    assert_int_equal(g->pass, 1);
    expect(3, 60000 * MS);
    submit(&units[1], &rows[1], 2);
    fixture_wait(&f, 1); /* within ten seconds */
    assert_int_equal(g->pass, 0);
}

/* Who wants the writer for something else does not wait as well. */
static void test_the_lease_is_had_during_a_wait(void **state)
{
    checkpoint rows[2];
    store_unit units[2];
    uint64_t term = 0;

    (void)state;
    expect(2, 60000 * MS);
    submit(&units[0], &rows[0], 1);
    await_wait();
    assert_int_equal(f.s.ops->lease(f.s.self, "another", 0, &term, NULL), 0);
    assert_true(term > f.term);
    f.term = term;
    submit(&units[1], &rows[1], 2);
    fixture_wait(&f, 2);
    assert_int_equal(units[0].result, ORCH_E_ABORTED); /* it was of the lease before */
    assert_int_equal(units[1].result, 0);
}

/* ---- what a batch takes ---------------------------------------------------------------------------------- */

/* Checkpoints 1 to n with an output of so many bytes, all in the queue at once. */
static uint64_t batches_of(uint32_t n, size_t output_bytes)
{
    checkpoint *rows = calloc(n, sizeof *rows);
    store_unit *units = calloc(n, sizeof *units);
    bytes *output = bytes_new(NULL, output_bytes);
    uint64_t before = batches();

    assert_true(rows && units && output);
    memset(output->data, '1', output_bytes);
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = fixture_checkpoint(1 + i);
        rows[i].output = output;
        units[i] = fixture_unit(&f, key);
        units[i].checkpoints = &rows[i];
        units[i].checkpoint_count = 1;
        fixture_submit(&f, &units[i]);
    }
    fixture_flush(&f);
    fixture_wait(&f, (int)n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(units[i].result, 0);
    bytes_unref(output);
    free(rows);
    free(units);
    return batches() - before;
}

static void test_many_small_units_are_one_batch(void **state)
{
    (void)state;
    assert_int_equal(batches_of(10000, 1), 1);
}

static void test_a_batch_is_bounded_in_bytes(void **state)
{
    (void)state;
    assert_int_equal(batches_of(40, 1 << 20), 6); /* seven each, and five */
}

static void test_a_batch_has_one_unit_at_least(void **state)
{
    (void)state;
    assert_int_equal(batches_of(2, 9 << 20), 2);
}

static void test_a_batch_is_bounded_in_units(void **state)
{
    (void)state;
    assert_int_equal(batches_of(20000, 1), 2);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time_is_not_held_up),
        cmocka_unit_test(test_as_many_as_were_under_way_are_awaited),
        cmocka_unit_test(test_the_wait_is_a_part_of_the_sync),
        TEST(test_what_comes_meanwhile_is_in_the_batch),
        TEST(test_a_wait_in_vain_ends_and_is_not_repeated),
        TEST(test_the_lease_is_had_during_a_wait),
        TEST(test_many_small_units_are_one_batch),
        TEST(test_a_batch_is_bounded_in_bytes),
        TEST(test_a_batch_has_one_unit_at_least),
        TEST(test_a_batch_is_bounded_in_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
