/* Goal: big values are stored once, however many rows have them, look from above as any other, are there for as long as
 * an execution that had them is, and no longer; and where one is lost that is said. */
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

#include "base/mem.h"
#include "support/store_conformance.h"
#include "support/store_tables.h"

#define INLINE 32768 /* the longest value that is in its row */

static char folder[64], path[128], url[160];

static int fresh(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    char file[160];

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(file, sizeof file, "%s%s", path, ends[i]);
        unlink(file);
    }
    return 0;
}

static int64_t number(const char *sql)
{
    sqlite3_stmt *st;
    sqlite3 *db;
    int64_t n;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static void assert_sound(int64_t payloads)
{
    const char *found = store_contradiction(path);

    if (found)
        fail_msg("%s", found);
    assert_int_equal(number("SELECT count(*) FROM payload"), payloads);
}

static bytes *big(size_t len, char c)
{
    bytes *b = bytes_new(NULL, len);

    assert_non_null(b);
    memset(b->data, c, len);
    return b;
}

static void assert_same(const bytes *got, const bytes *expected)
{
    assert_non_null(got);
    assert_int_equal(got->len, expected->len);
    assert_memory_equal(got->data, expected->data, got->len);
}

static int32_t accept_with(store_fixture *f, uint32_t n, bytes *input)
{
    execution_row row = fixture_row(1, n);

    row.input = input;
    return fixture_accept(f, &row);
}

static int32_t end(store_fixture *f, uint32_t n, bytes *output)
{
    execution_update update = {
        .state = EXECUTION_SUCCEEDED, .ended_ms = 1700000009000, .output = output};
    store_unit u = fixture_unit(f, fixture_row(1, n).key);

    u.update = &update;
    u.must_be_open = true;
    return fixture_run(f, &u);
}

static void purge(store_fixture *f, uint32_t n)
{
    store_unit u = fixture_unit(f, fixture_row(1, n).key);

    u.purge = true;
    assert_int_equal(fixture_run(f, &u), 0);
}

/* ---- once ---------------------------------------------------------------------------------------------------- */

static void a_value_is_beside_its_row_above_a_size(void **state)
{
    store_fixture f;
    bytes *most = big(INLINE, 'x'), *more = big(INLINE + 1, 'x');

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(accept_with(&f, 1, most), 0);
    assert_sound(0);
    assert_int_equal(accept_with(&f, 2, more), 0);
    assert_sound(1);
    assert_int_equal(number("SELECT count(*) FROM execution WHERE typeof(input) = 'blob'"), 1);
    for (uint32_t i = 1; i <= 2; i++) {
        execution_row row;

        assert_int_equal(f.s.ops->load_execution(f.s.self, fixture_row(1, i).key, NULL, &row, NULL),
                         0);
        assert_same(row.input, i == 1 ? most : more);
        execution_row_clear(&row);
    }
    fixture_close(&f);
    bytes_unref(most);
    bytes_unref(more);
}

static void the_same_value_is_stored_once(void **state)
{
    enum { EXECUTIONS = 50 };
    bytes *value = big(200000, 'x');
    store_fixture f;

    (void)state;
    fixture_open(&f, url);
    for (uint32_t i = 0; i < EXECUTIONS; i++) {
        checkpoint c = fixture_checkpoint(1);
        store_unit u = fixture_unit(&f, fixture_row(1, i).key);

        assert_int_equal(accept_with(&f, i, value), 0);
        c.output = value;
        u.checkpoints = &c;
        u.checkpoint_count = 1;
        assert_int_equal(fixture_run(&f, &u), 0);
        assert_int_equal(end(&f, i, value), 0);
    }
    assert_sound(1);
    assert_int_equal(number("SELECT count(*) FROM payload_use"), EXECUTIONS);
    assert_true(number("PRAGMA page_count") < 200); /* of 4096: 30 MB went in */
    for (uint32_t i = 0; i < EXECUTIONS; i++) {
        execution_row row;

        assert_int_equal(f.s.ops->load_execution(f.s.self, fixture_row(1, i).key, NULL, &row, NULL),
                         0);
        assert_same(row.input, value);
        assert_same(row.output, value);
        execution_row_clear(&row);
    }
    for (uint32_t i = 0; i < EXECUTIONS; i++) {
        assert_sound(1);
        purge(&f, i);
    }
    assert_sound(0);
    fixture_close(&f);
    bytes_unref(value);
}

/* ---- everywhere ---------------------------------------------------------------------------------------------- */

static void load_all(store_fixture *f, uint64_t key, const bytes *const values[8])
{
    execution_filter filter = {.payloads = true};
    execution_page page;
    checkpoint_page history;
    inbox_page inbox;
    run_page runs;

    assert_int_equal(f->s.ops->list_executions(f->s.self, &filter, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    assert_same(page.rows[0].input, values[0]);
    execution_page_clear(&page);
    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, 0, 0, &history, NULL), 0);
    assert_same(history.rows[0].output, values[1]);
    assert_same(history.rows[0].error, values[2]);
    checkpoint_page_clear(&history);
    assert_int_equal(f->s.ops->load_inbox(f->s.self, key, &inbox, NULL), 0);
    assert_same(inbox.rows[0].payload, values[3]);
    assert_same(inbox.rows[0].correlation, values[4]);
    inbox_page_clear(&inbox);
    assert_int_equal(f->s.ops->load_runs(f->s.self, key, &runs, NULL), 0);
    assert_same(runs.rows[0].output, values[5]);
    assert_same(runs.rows[0].error, values[6]);
    run_page_clear(&runs);
}

static void any_column_may_be_big(void **state)
{
    execution_row row = fixture_row(1, 1);
    bytes *values[8];
    checkpoint c = fixture_checkpoint(1);
    inbox_item item = {.kind = INBOX_SIGNAL};
    execution_update failed = {.state = EXECUTION_FAILED, .ended_ms = 1700000009000};
    execution_update open = {.state = EXECUTION_OPEN};
    store_unit u;
    store_fixture f;

    (void)state;
    fixture_open(&f, url);
    for (int i = 0; i < 8; i++)
        values[i] = big(INLINE + 100, (char)('a' + i));
    row.input = values[0];
    c.output = values[1];
    c.error = values[2];
    item.payload = values[3];
    item.correlation = values[4];
    failed.output = values[5];
    failed.error = values[6];
    assert_int_equal(fixture_accept(&f, &row), 0);
    u = fixture_unit(&f, row.key);
    u.checkpoints = &c;
    u.checkpoint_count = 1;
    u.inbox_put = &item;
    u.update = &failed;
    assert_int_equal(fixture_run(&f, &u), 0);
    u = fixture_unit(&f, row.key);
    u.must_have_ended = true;
    u.run = 2;
    u.update = &open;
    assert_int_equal(fixture_run(&f, &u), 0);
    assert_sound(7);
    load_all(&f, row.key, (const bytes *const *)values);
    fixture_close(&f);
    fixture_open(&f, url);
    load_all(&f, row.key, (const bytes *const *)values);
    u = fixture_unit(&f, row.key); /* an item that is consumed, a checkpoint that says it again */
    u.inbox_consumed = 1;
    u.checkpoints = &c;
    u.checkpoint_count = 1;
    c.seq = 2;
    c.output = values[3];
    assert_int_equal(fixture_run(&f, &u), 0);
    assert_sound(7);
    u = fixture_unit(&f, row.key);
    u.update = &failed;
    u.run = 2;
    u.purge = true;
    assert_int_equal(fixture_run(&f, &u), 0);
    assert_sound(0);
    fixture_close(&f);
    for (int i = 0; i < 8; i++)
        bytes_unref(values[i]);
}

/* ---- none too many, none too few ----------------------------------------------------------------------------- */

static void what_is_refused_leaves_no_payload(void **state)
{
    bytes *first = big(100000, 'a'), *second = big(100000, 'b');
    execution_update update = {.state = EXECUTION_SUCCEEDED, .output = second};
    checkpoint c = fixture_checkpoint(1);
    store_unit u;
    store_fixture f;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(accept_with(&f, 1, first), 0);
    assert_int_equal(accept_with(&f, 1, second), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(end(&f, 2, second), ORCH_E_FAILED_PRECONDITION);
    u = fixture_unit(&f, 4711);
    u.update = &update; /* of what is not there */
    assert_int_equal(fixture_run(&f, &u), ORCH_E_NOT_FOUND);
    u = fixture_unit(&f, fixture_row(1, 1).key);
    u.checkpoints = &c;
    u.checkpoint_count = 1;
    u.check_inbox = true;
    u.inbox_seen = 5;
    c.output = second;
    assert_int_equal(fixture_run(&f, &u), ORCH_E_ABORTED);
    assert_sound(1);
    fixture_close(&f);
    bytes_unref(first);
    bytes_unref(second);
}

/* The file is somebody else's to damage: that is told from a value of null. */
static void a_lost_payload_is_data_loss(void **state)
{
    bytes *value = big(100000, 'a');
    execution_filter filter = {.payloads = true};
    execution_row row;
    execution_page page;
    orch_error *err = NULL;
    store_fixture f;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(accept_with(&f, 1, value), 0);
    number("DELETE FROM payload RETURNING 1");
    assert_int_equal(f.s.ops->load_execution(f.s.self, fixture_row(1, 1).key, NULL, &row, &err),
                     ORCH_E_DATA_LOSS);
    assert_non_null(strstr(orch_error_message(err), path));
    orch_error_free(err);
    assert_int_equal(f.s.ops->list_executions(f.s.self, &filter, &page, NULL), ORCH_E_DATA_LOSS);
    filter.payloads = false;
    assert_int_equal(f.s.ops->list_executions(f.s.self, &filter, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    execution_page_clear(&page);
    fixture_close(&f);
    bytes_unref(value);
}

/* Somebody who opens the file sees the value, not what stands for it. */
static void people_see_the_value(void **state)
{
    bytes *value = big(100000, 'a');
    store_fixture f;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(accept_with(&f, 1, value), 0);
    assert_int_equal(end(&f, 1, value), 0);
    assert_int_equal(number("SELECT length(input) + length(output) FROM executions"), 200000);
    assert_int_equal(number("SELECT count(*) FROM executions WHERE input = output"), 1);
    fixture_close(&f);
    bytes_unref(value);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_value_is_beside_its_row_above_a_size, fresh),
        cmocka_unit_test_setup(the_same_value_is_stored_once, fresh),
        cmocka_unit_test_setup(any_column_may_be_big, fresh),
        cmocka_unit_test_setup(what_is_refused_leaves_no_payload, fresh),
        cmocka_unit_test_setup(a_lost_payload_is_data_loss, fresh),
        cmocka_unit_test_setup(people_see_the_value, fresh),
    };
    int failed;

    snprintf(folder, sizeof folder, "%.40s/store-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/store.db", folder);
    snprintf(url, sizeof url, "sqlite:%s?synchronous=off", path);
    failed = cmocka_run_group_tests_name("store: big values", tests, NULL, NULL);
    fresh(NULL);
    rmdir(folder);
    return failed;
}
