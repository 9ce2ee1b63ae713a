/* Goal: a file that an older library wrote is brought up to date when it is opened, whole or not at all, and is then no
 * different from a new one. tests/data/store_N.sql is such a file of schema version N. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "support/file.h"
#include "support/fault_vfs.h"
#include "support/store_conformance.h"

#define T0 INT64_C(1700000000000)

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

static void make_version_1(void)
{
    char *sql = file_text("tests/data/store_1.sql", NULL);
    sqlite3 *db;

    fresh(NULL);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, "PRAGMA synchronous=OFF", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    free(sql);
}

/* All that a query gives, as text. */
static char *query(const char *sql)
{
    buf b = BUF_INIT;
    sqlite3_stmt *st;
    sqlite3 *db;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while (sqlite3_step(st) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            const char *text = (const char *)sqlite3_column_text(st, i);

            buf_printf(&b, "%s%s", i ? "|" : "", text ? text : "");
        }
        buf_putc(&b, '\n');
    }
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    sqlite3_close(db);
    return buf_take(&b);
}

static void assert_query(const char *sql, const char *expected)
{
    char *got = query(sql);

    assert_string_equal(got ? got : "", expected);
    mem_free(got);
}

static execution_row load(store_fixture *f, const char *id)
{
    execution_row row;

    assert_int_equal(f->s.ops->load_execution(f->s.self, 0, id, &row, NULL), 0);
    return row;
}

/* ---- the schema ---------------------------------------------------------------------------------------------- */

#define SCHEMA "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"

static void an_old_file_gets_the_schema_of_a_new_one(void **state)
{
    store_fixture f;
    char *expected, *got;

    (void)state;
    fixture_open(&f, url);
    fixture_close(&f);
    expected = query(SCHEMA);
    make_version_1();
    fixture_open(&f, url);
    fixture_close(&f);
    got = query(SCHEMA);
    assert_string_equal(expected, got);
    mem_free(expected);
    mem_free(got);
    assert_query("PRAGMA user_version", "3\n");
    assert_query("PRAGMA integrity_check", "ok\n");
}

/* ---- what is in it ------------------------------------------------------------------------------------------- */

static void assert_runnable(store_fixture *f, const char *const *ids, size_t n)
{
    execution_page page;

    assert_int_equal(f->s.ops->load_runnable(f->s.self, PRIORITY_DEFAULT, NULL, 0, 0, &page, NULL),
                     0);
    assert_int_equal(page.count, n);
    for (size_t i = 0; i < n; i++) {
        execution_row row = load(f, ids[i]);

        assert_int_equal(page.rows[i].key, row.key);
        execution_row_clear(&row);
    }
    execution_page_clear(&page);
}

static size_t count(store_fixture *f, uint32_t states, const char *workflow)
{
    execution_filter filter = {.states = states, .workflow = workflow};
    execution_page page;
    size_t n;

    assert_int_equal(f->s.ops->list_executions(f->s.self, &filter, &page, NULL), 0);
    assert_int_equal(page.next_after, 0);
    n = page.count;
    execution_page_clear(&page);
    return n;
}

static void what_was_there_still_is(void **state)
{
    /* The last but one was asleep with something in its inbox; another such one and the newest are paused. */
    static const char *const runnable[] = {"order/0", "32yfwnqx02002", "32yfwp1ng3007"};
    store_fixture f;
    execution_row row;
    checkpoint_page history;
    inbox_page inbox;
    run_page runs;
    uint64_t open;
    int64_t wake;

    (void)state;
    make_version_1();
    fixture_open(&f, url);
    assert_int_equal(f.s.ops->count_open(f.s.self, &open, NULL), 0);
    assert_int_equal(open, 7);
    assert_runnable(&f, runnable, 3);
    assert_int_equal(f.s.ops->next_wake(f.s.self, &wake, NULL), 0);
    assert_int_equal(wake, T0 + 10000);
    for (int i = 1; i <= 6; i++) {
        static const size_t expected[] = {0, 5, 2, 2, 1, 1, 1};

        assert_int_equal(count(&f, 1u << i, NULL), expected[i]);
    }
    assert_int_equal(count(&f, 0, "order"), 8);
    assert_int_equal(count(&f, 1u << EXECUTION_FAILED | 1u << EXECUTION_CANCELLED, "order"), 1);
    row = load(&f, "order/3");
    assert_int_equal(row.priority, PRIORITY_DEFAULT);
    assert_int_equal(row.output->len, 40015); /* as it was: within its row */
    assert_string_equal(row.input->data, "{\"total\":12}");
    execution_row_clear(&row);
    row = load(&f, "32yfwnvt00004");
    assert_int_equal(row.run, 2);
    assert_int_equal(row.ended_ms, T0 + 99000);
    assert_int_equal(f.s.ops->load_checkpoints(f.s.self, row.key, 2, 0, 0, &history, NULL), 0);
    assert_int_equal(history.count, 1);
    assert_string_equal(history.rows[0].output->data, "2");
    checkpoint_page_clear(&history);
    assert_int_equal(f.s.ops->load_runs(f.s.self, row.key, &runs, NULL), 0);
    assert_int_equal(runs.count, 0); /* it was not kept then */
    run_page_clear(&runs);
    execution_row_clear(&row);
    row = load(&f, "order/0");
    assert_int_equal(f.s.ops->load_inbox(f.s.self, row.key, &inbox, NULL), 0);
    assert_int_equal(inbox.count, 2);
    assert_int_equal(inbox.rows[1].kind, INBOX_CANCEL);
    assert_string_equal(inbox.rows[0].payload->data, "{\"name\":\"approved\"}");
    assert_null(inbox.rows[0].name);
    inbox_page_clear(&inbox);
    execution_row_clear(&row);
    fixture_close(&f);
}

/* Lists by time are ranges of keys: how far those may lie from the times is known of old rows too. */
static void old_rows_are_listed_by_time(void **state)
{
    execution_filter filter = {.accepted_from_ms = T0 + 6500, .accepted_to_ms = T0 + 6501};
    store_fixture f;
    execution_page page;

    (void)state;
    make_version_1();
    fixture_open(&f, url);
    assert_int_equal(f.s.ops->list_executions(f.s.self, &filter, &page, NULL), 0);
    assert_int_equal(page.count, 1); /* its key says T0 + 7000 */
    execution_page_clear(&page);
    filter = (execution_filter){.ended_from_ms = T0 + 3250, .ended_to_ms = T0 + 5251};
    assert_int_equal(f.s.ops->list_executions(f.s.self, &filter, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    execution_page_clear(&page);
    fixture_close(&f);
}

static void an_old_execution_goes_on(void **state)
{
    store_fixture f;
    execution_row row;
    execution_update update = {.state = EXECUTION_SUCCEEDED, .ended_ms = T0 + 100000};
    store_unit u;
    run_page runs;

    (void)state;
    make_version_1();
    fixture_open(&f, url);
    row = load(&f, "order/6");
    u = fixture_unit(&f, row.key); /* a new run of what timed out */
    update.state = EXECUTION_OPEN;
    u.must_have_ended = true;
    u.run = 2;
    u.update = &update;
    assert_int_equal(fixture_run(&f, &u), 0);
    assert_int_equal(f.s.ops->load_runs(f.s.self, row.key, &runs, NULL), 0);
    assert_int_equal(runs.count, 1);
    assert_int_equal(runs.rows[0].state, EXECUTION_TIMED_OUT);
    run_page_clear(&runs);
    assert_int_equal(count(&f, 1u << EXECUTION_TIMED_OUT, NULL), 0);
    u = fixture_unit(&f, row.key);
    u.must_be_open = true;
    u.run = 2;
    update.state = EXECUTION_SUCCEEDED;
    u.update = &update;
    assert_int_equal(fixture_run(&f, &u), 0);
    u = fixture_unit(&f, row.key);
    u.purge = true;
    assert_int_equal(fixture_run(&f, &u), 0);
    execution_row_clear(&row);
    fixture_close(&f);
}

/* ---- whole or not at all ------------------------------------------------------------------------------------- */

/* An error at each call of a kind: the file is then as it was, and the next opening brings it up to date. */
static void it_is_whole_or_not_at_all(void **state)
{
    static const struct {
        enum vfs_op op;
        int code;
    } kinds[] = {
        {VFS_WRITE, SQLITE_FULL}, {VFS_WRITE, SQLITE_IOERR_WRITE}, {VFS_SYNC, SQLITE_IOERR_FSYNC}};
    char with[200], unsynced[200];

    (void)state;
    snprintf(unsynced, sizeof unsynced, "%s?synchronous=off", url);
    snprintf(with, sizeof with, "%s?vfs=" FAULT_VFS, url);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        long n = 0, hits;

        do {
            store_fixture f;

            assert_true(++n < 300);
            make_version_1();
            fault_set(kinds[i].op, "", n, 1, kinds[i].code);
            if (fixture_try_open(&f, with, NULL) == 0)
                fixture_abandon(&f);
            hits = fault_hits();
            fault_clear();
            fixture_open(&f, unsynced);
            assert_int_equal(count(&f, 0, NULL), 12);
            assert_int_equal(count(&f, 1u << EXECUTION_SUSPENDED, NULL), 2);
            fixture_close(&f);
        } while (hits > 0);
        assert_true(n > 1);
    }
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_old_file_gets_the_schema_of_a_new_one, fresh),
        cmocka_unit_test_setup(what_was_there_still_is, fresh),
        cmocka_unit_test_setup(old_rows_are_listed_by_time, fresh),
        cmocka_unit_test_setup(an_old_execution_goes_on, fresh),
        cmocka_unit_test_setup(it_is_whole_or_not_at_all, fresh),
    };
    int failed;

    snprintf(folder, sizeof folder, "%.40s/store-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/store.db", folder);
    snprintf(url, sizeof url, "sqlite:%s", path);
    fault_vfs_register();
    failed = cmocka_run_group_tests_name("store: files of older schemas", tests, NULL, NULL);
    fresh(NULL);
    rmdir(folder);
    return failed;
}
