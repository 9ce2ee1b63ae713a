/* Goal: a file that cannot be read, is damaged or is changed by others while it is in use: reads and units say so, nothing is made
 * up, and what passes again is as if it had not been. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "support/fault_vfs.h"
#include "support/store_cases.h"

#define DB   "store.db"
#define WAL  "store.db-wal"
#define PAGE 4096

static char folder[64], path[128], url[160];

static int fresh(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock", "-journal"};
    char file[160];

    (void)state;
    fault_clear();
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(file, sizeof file, "%s%s", path, ends[i]);
        unlink(file);
    }
    return 0;
}

/* One execution with an id, a large history, an inbox and a definition; in the file, not in the WAL. */
static uint64_t fill(void)
{
    char workflow[] = "alpha", version[] = "1.0.0", id[] = "named";
    execution_row row = fixture_row(SHARD, 1);
    store_fixture f;

    fixture_open(&f, url);
    assert_int_equal(case_define(&f, 1, workflow, version), 0);
    row.id = id;
    row.input = case_json("{\"a\":1}");
    assert_int_equal(fixture_accept(&f, &row), 0);
    bytes_unref(row.input);
    assert_int_equal(case_put_signal(&f, row.key, NULL), 0);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        checkpoint c = fixture_checkpoint(seq);

        c.output = bytes_new(NULL, 5 * PAGE);
        memset(c.output->data, 'x', 5 * PAGE);
        case_append(&f, row.key, 1, &c, 1);
        bytes_unref(c.output);
    }
    fixture_close(&f);
    return row.key;
}

enum { READS = 9 };

/* One of the reads; what it has read is cleared, whether it failed or not. */
static int32_t read_one(store_fixture *f, uint64_t key, int which, orch_error **err)
{
    execution_filter filter = {.payloads = true, .workflow = "alpha"};
    execution_page executions = {0};
    checkpoint_page checkpoints = {0};
    definition_page definitions = {0};
    inbox_page inbox = {0};
    execution_row row = {0};
    const store_ops *ops = f->s.ops;
    void *self = f->s.self;
    uint64_t number, other;
    int64_t wake_ms;
    int32_t rc = 1;

    switch (which) {
    case 0: rc = ops->list_executions(self, &filter, &executions, err); break;
    case 1: rc = ops->load_runnable(self, 5, NULL, 0, 0, &executions, err); break;
    case 2: rc = ops->load_checkpoints(self, key, 1, 0, 0, &checkpoints, err); break;
    case 3: rc = ops->load_definitions(self, 0, true, &definitions, err); break;
    case 4: rc = ops->load_inbox(self, key, &inbox, err); break;
    case 5: rc = ops->load_execution(self, 0, "named", &row, err); break;
    case 6: rc = ops->marks(self, &number, &other, err); break;
    case 7: rc = ops->next_wake(self, &wake_ms, err); break;
    case 8: rc = ops->count_open(self, &number, err); break;
    }
    execution_page_clear(&executions);
    checkpoint_page_clear(&checkpoints);
    definition_page_clear(&definitions);
    inbox_page_clear(&inbox);
    execution_row_clear(&row);
    return rc;
}

static void expect_read(store_fixture *f, uint64_t key, int which, int32_t code)
{
    orch_error *err = NULL;

    if (read_one(f, key, which, &err) != code)
        fail_msg("read %d: %s", which, err ? orch_error_message(err) : "no error");
    if (code)
        assert_non_null(strstr(orch_error_message(err), path));
    orch_error_free(err);
}

/* ---- reads that fail for a while ------------------------------------------------------------------------- */

/* Each call of each read, from a store that has nothing in its caches. */
static void a_failed_read_says_so_and_passes(void **state)
{
    uint64_t key = fill();
    store_fixture f;

    (void)state;
    for (int which = 0; which < READS; which++) {
        long hits = 1, n;

        for (n = 1; hits; n++) {
            assert_true(n < 100);
            fixture_open(&f, url);
            fault_set(VFS_READ, DB, n, 1, SQLITE_IOERR_READ);
            if (read_one(&f, key, which, NULL) == 0)
                assert_int_equal(fault_hits(), 0);
            hits = fault_hits();
            fault_clear();
            expect_read(&f, key, which, 0);
            fixture_close(&f);
        }
        assert_true(n > 2); /* it did read the file */
    }
}

/* The writer reads, too. Its unit is not lost. */
static void a_unit_whose_reads_fail_is_done_later(void **state)
{
    uint64_t key = fill();
    long hits = 1;
    store_fixture f;

    (void)state;
    for (long n = 1; hits; n++) {
        uint64_t seq;

        assert_true(n < 100);
        fixture_open(&f, url);
        fault_set(VFS_READ, DB, n, 1, SQLITE_IOERR_READ);
        assert_int_equal(case_put_signal(&f, key, &seq), 0);
        assert_int_equal(seq, n + 1);
        hits = fault_hits();
        fault_clear();
        fixture_close(&f);
    }
}

/* ---- damage ---------------------------------------------------------------------------------------------- */

/* All but the first page: what is in somebody's cache is read all the same. */
static void damage(void)
{
    char junk[PAGE];
    int file = open(path, O_WRONLY);
    off_t size = lseek(file, 0, SEEK_END);

    memset(junk, 0x5a, sizeof junk);
    for (off_t at = PAGE; at < size; at += PAGE)
        assert_int_equal(pwrite(file, junk, PAGE, at), PAGE);
    close(file);
}

static void damage_met_by_a_read_is_data_loss(void **state)
{
    uint64_t key = fill();
    store_fixture f;

    (void)state;
    fixture_open(&f, url);
    damage();
    expect_read(&f, key, 2, ORCH_E_DATA_LOSS);
    expect_read(&f, key, 3, ORCH_E_DATA_LOSS);
    fixture_abandon(&f);
}

static void expect_nothing_is_taken(store_fixture *f, uint64_t key)
{
    execution_row row = fixture_row(SHARD, 9);

    assert_int_equal(case_put_signal(f, key, NULL), ORCH_E_DATA_LOSS);
    assert_int_equal(fixture_accept(f, &row), ORCH_E_DATA_LOSS);
    assert_int_equal(case_put_signal(f, key, NULL), ORCH_E_DATA_LOSS);
    assert_int_equal(f->s.ops->stop(f->s.self, 10000, NULL), 0); /* nothing waits for ever */
    fixture_abandon(f);
}

static void damage_met_by_a_unit_ends_writing(void **state)
{
    uint64_t key = fill();
    store_fixture f;

    (void)state;
    fixture_open(&f, url);
    damage();
    expect_nothing_is_taken(&f, key);
}

/* ---- between an I/O error and the opening that follows it ------------------------------------------------ */

static struct {
    atomic_bool failed, held, waits;
} disk;

/* While it is held the first sync fails, and from then on the file cannot be opened. */
static int hold_after_sync(const vfs_event *e, bool after)
{
    const char *name = strrchr(e->path, '/');

    if (after || !name || !disk.held)
        return SQLITE_OK;
    if (e->op == VFS_SYNC && !strcmp(name + 1, WAL) && !atomic_exchange(&disk.failed, true))
        return SQLITE_IOERR_FSYNC;
    if (e->op != VFS_OPEN || strcmp(name + 1, DB) != 0 || !disk.failed)
        return SQLITE_OK;
    disk.waits = true;
    return SQLITE_CANTOPEN;
}

/* A unit whose batch is ambiguous; `meanwhile` takes place while nobody has the file open. */
static void expect_unknown_is_refused(void (*meanwhile)(void))
{
    uint64_t key = fill();
    inbox_item item = {.kind = INBOX_SIGNAL};
    store_fixture f;
    store_unit u;

    disk.failed = disk.waits = disk.held = false;
    fault_vfs_hook(hold_after_sync);
    fixture_open(&f, url);
    u = fixture_unit(&f, key);
    u.inbox_put = &item;
    disk.held = true;
    fixture_submit(&f, &u);
    fixture_flush(&f);
    while (!disk.waits)
        usleep(1000);
    meanwhile();
    disk.held = false;
    fixture_wait(&f, 1);
    assert_int_equal(u.result, ORCH_E_DATA_LOSS);
    expect_nothing_is_taken(&f, key);
    fault_vfs_hook(NULL);
}

static void damage_met_while_it_reopens_ends_writing(void **state)
{
    (void)state;
    expect_unknown_is_refused(damage);
}

/* ---- others ---------------------------------------------------------------------------------------------- */

static void from_outside(const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void raise_batch(void)
{
    from_outside("UPDATE store SET batch = batch + 7");
}

/* The batch number in the file decides whether an ambiguous batch took place: with another one than could be, nobody knows, and
 * nobody is told that it did. */
static void a_batch_number_from_outside_ends_writing(void **state)
{
    (void)state;
    expect_unknown_is_refused(raise_batch);
}

/* Somebody in a long transaction of their own: waited for, not failed. */
static void a_writer_from_outside_is_waited_for(void **state)
{
    uint64_t key = fill();
    store_fixture f;
    store_unit u;
    inbox_item item = {.kind = INBOX_SIGNAL};
    sqlite3 *db;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    u = fixture_unit(&f, key);
    u.inbox_put = &item;
    fixture_submit(&f, &u);
    fixture_flush(&f);
    assert_int_equal(f.s.ops->stop(f.s.self, 50, NULL), ORCH_E_DEADLINE_EXCEEDED);
    assert_null(f.s.ops->reap(f.s.self));
    sqlite3_close(db);
    fixture_abandon(&f);
    assert_int_equal(u.result, 1); /* nobody said that it was done */
    fixture_open(&f, url);
    assert_int_equal(case_put_signal(&f, key, NULL), 0);
    fixture_close(&f);
}

/* A statement that cannot be: an operation is gone from the schema. Only the batch fails. */
static void what_does_not_fit_the_schema_fails_alone(void **state)
{
    uint64_t key = fill();
    store_fixture f;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(case_put_signal(&f, key, NULL), 0);
    from_outside("ALTER TABLE inbox RENAME TO elsewhere");
    assert_int_equal(case_put_signal(&f, key, NULL), ORCH_E_INTERNAL);
    expect_read(&f, key, 4, ORCH_E_INTERNAL);
    expect_read(&f, key, 5, 0);
    from_outside("ALTER TABLE elsewhere RENAME TO inbox");
    assert_int_equal(case_put_signal(&f, key, NULL), 0);
    expect_read(&f, key, 4, 0);
    fixture_close(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_failed_read_says_so_and_passes, fresh),
        cmocka_unit_test_setup(a_unit_whose_reads_fail_is_done_later, fresh),
        cmocka_unit_test_setup(damage_met_by_a_read_is_data_loss, fresh),
        cmocka_unit_test_setup(damage_met_by_a_unit_ends_writing, fresh),
        cmocka_unit_test_setup(damage_met_while_it_reopens_ends_writing, fresh),
        cmocka_unit_test_setup(a_batch_number_from_outside_ends_writing, fresh),
        cmocka_unit_test_setup(a_writer_from_outside_is_waited_for, fresh),
        cmocka_unit_test_setup(what_does_not_fit_the_schema_fails_alone, fresh),
    };
    const char *tmp = getenv("TMPDIR");
    int failed;

    snprintf(folder, sizeof folder, "%.40s/store-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/" DB, folder);
    snprintf(url, sizeof url, "sqlite:%s?vfs=" FAULT_VFS, path);
    fault_vfs_register();
    failed = cmocka_run_group_tests_name("store: damage", tests, NULL, NULL);
    fresh(NULL);
    rmdir(folder);
    return failed;
}
