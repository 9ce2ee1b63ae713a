/* Goal: whatever the disk does, the SQLite adapter answers only what is true: a unit that came
 * back with 0 is there, a unit that came back with an error is not, and no unit is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "support/fault_vfs.h"
#include "support/store_conformance.h"
#include "support/store_tables.h"

#define DB  "store.db"
#define WAL "store.db-wal"

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

static bool is_there(store_fixture *f, uint64_t key)
{
    execution_row row;
    int32_t rc = f->s.ops->load_execution(f->s.self, key, NULL, &row, NULL);

    if (rc == 0)
        execution_row_clear(&row);
    assert_true(rc == 0 || rc == ORCH_E_NOT_FOUND);
    return rc == 0;
}

static size_t history(store_fixture *f, uint64_t key)
{
    checkpoint_page page;
    size_t count;

    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, 0, 0, &page, NULL), 0);
    count = page.count;
    checkpoint_page_clear(&page);
    return count;
}

/* ---- an error at each call of a kind --------------------------------------------------------- */

enum { JOB_UNITS = 7, JOBS = 700 };

typedef struct job {
    execution_row row;
    start_key key;
    checkpoint c[2];
    inbox_item item, notice;
    execution_update updates[3];
    control_row control;
    setting_row setting;
    store_unit units[JOB_UNITS];
    char id[16];
} job;

static char workflow[] = "w", limit[] = "limit/a", action[] = "retry";

/* Accept, by a start with all that may come with it; a checkpoint and a signal; sleep; a signal that wakes; the end, of which
 * the parent hears, with a checkpoint that consumes the signal; a new run; and, of every other one, its end and its purge. */
static void make_job(store_fixture *f, job *j, uint32_t n, uint64_t parent)
{
    store_unit *u = j->units;

    memset(j, 0, sizeof *j);
    snprintf(j->id, sizeof j->id, "job/%u", n);
    j->row = fixture_row(1, n);
    j->row.id = j->row.limit_key = j->id;
    j->row.parent = parent;
    j->row.attributes = bytes_new("{\"a\":1}", 7);
    j->row.input = bytes_new(NULL, 40000); /* beside its row, and the same in all */
    memset(j->row.input->data, 'x', 40000);
    j->key = (start_key){.workflow = workflow, .key = j->id, .now_ms = 1};
    j->c[0] = fixture_checkpoint(1);
    j->c[1] = fixture_checkpoint(2);
    j->c[1].inbox = 1;
    j->c[1].output = j->row.input;
    j->item = (inbox_item){.kind = INBOX_SIGNAL, .name = j->id};
    j->notice = (inbox_item){.kind = INBOX_CHILD_ENDED, .state = EXECUTION_FAILED};
    j->updates[0] = (execution_update){.state = EXECUTION_SUSPENDED, .wake_ms = 1700000005000};
    j->updates[1] = (execution_update){.state = EXECUTION_FAILED, .ended_ms = 1700000001000};
    j->updates[1].output = j->row.input;
    j->updates[2] = (execution_update){.state = n % 2 ? EXECUTION_SUCCEEDED : EXECUTION_OPEN};
    j->control = (control_row){.execution = j->row.key, .action = action};
    j->setting = (setting_row){.name = limit, .value = j->row.attributes};
    for (int i = 0; i < JOB_UNITS; i++)
        u[i] = fixture_unit(f, j->row.key);
    u[0].key = 0;
    u[0].accept = &j->row;
    u[0].start_key = &j->key;
    u[1].checkpoints = &j->c[0];
    u[1].checkpoint_count = 1;
    u[1].inbox_put = &j->item;
    u[1].inbox_limit = 5;
    u[1].must_be_open = true;
    u[2].update = &j->updates[0];
    u[2].must_be_open = true;
    u[3].inbox_put = &j->item;
    u[4].checkpoints = &j->c[1];
    u[4].checkpoint_count = 1;
    u[4].update = &j->updates[1];
    u[4].must_be_open = true;
    u[4].notify = &j->notice;
    u[4].notify_key = parent;
    u[4].notify_run = 1;
    u[5].run = 2;
    u[5].must_have_ended = true;
    u[5].update = &j->updates[2];
    u[5].control = &j->control;
    u[5].put_setting = &j->setting;
    u[6].purge = n % 2;
}

static int32_t run_job(store_fixture *f, job *j, uint32_t n, uint64_t parent)
{
    int32_t rc = 0;

    make_job(f, j, n, parent);
    for (int i = 0; i < JOB_UNITS && rc == 0; i++)
        rc = fixture_run(f, &j->units[i]);
    bytes_unref(j->row.input);
    bytes_unref(j->row.attributes);
    return rc;
}

static void assert_kept(store_fixture *f, uint64_t key)
{
    execution_row row;
    inbox_page inbox;
    run_page runs;

    assert_int_equal(f->s.ops->load_execution(f->s.self, key, NULL, &row, NULL), 0);
    assert_int_equal(row.inbox_seq, 2);
    assert_int_equal(row.state, EXECUTION_OPEN);
    assert_int_equal(row.run, 2);
    assert_int_equal(row.input->len, 40000);
    assert_int_equal(history(f, key), 2);
    assert_int_equal(f->s.ops->load_inbox(f->s.self, key, &inbox, NULL), 0);
    assert_int_equal(inbox.count, 1);
    assert_int_equal(inbox.rows[0].seq, 2);
    assert_int_equal(f->s.ops->load_runs(f->s.self, key, &runs, NULL), 0);
    assert_int_equal(runs.count, 1);
    assert_int_equal(runs.rows[0].output->len, 40000);
    execution_row_clear(&row);
    inbox_page_clear(&inbox);
    run_page_clear(&runs);
}

static void assert_jobs(store_fixture *f, uint64_t parent, uint32_t n)
{
    inbox_page told;
    const char *found = store_contradiction(path);

    if (found)
        fail_msg("%s", found);
    for (uint32_t i = 1; i <= n; i++) {
        uint64_t key = fixture_row(1, i).key;

        if (i % 2)
            assert_false(is_there(f, key));
        else
            assert_kept(f, key);
    }
    assert_int_equal(f->s.ops->load_inbox(f->s.self, parent, &told, NULL), 0);
    assert_int_equal(told.count, n);
    inbox_page_clear(&told);
}

/* `times` errors in a row from the n-th call on, for n = 1, 2, … until the job does not come so
 * far. */
static void each_call(enum vfs_op op, const char *suffix, int code, long times)
{
    execution_row parent = fixture_row(2, 1);
    store_fixture f;
    static job j;
    uint32_t n = 0;

    fixture_open(&f, url);
    assert_int_equal(fixture_accept(&f, &parent), 0);
    do {
        assert_true(++n < JOBS);
        fault_set(op, suffix, n, times, code);
        assert_int_equal(run_job(&f, &j, n, parent.key), 0); /* what is accepted is waited for */
    } while (fault_hits() > 0);
    assert_true(n > JOB_UNITS);
    fault_clear();
    assert_jobs(&f, parent.key, n);
    fixture_close(&f);
    fixture_open(&f, url);
    assert_jobs(&f, parent.key, n);
    fixture_close(&f);
}

static void a_failed_write_is_found_out(void **state)
{
    (void)state;
    each_call(VFS_WRITE, WAL, SQLITE_IOERR_WRITE, 1);
}

static void failed_writes_are_found_out(void **state)
{
    (void)state;
    each_call(VFS_WRITE, WAL, SQLITE_IOERR_WRITE, 2);
}

static void a_failed_sync_is_found_out(void **state)
{
    (void)state;
    each_call(VFS_SYNC, WAL, SQLITE_IOERR_FSYNC, 1);
}

static void failed_syncs_are_found_out(void **state)
{
    (void)state;
    each_call(VFS_SYNC, WAL, SQLITE_IOERR_FSYNC, 3);
}

/* A failed sync whose batch did reach the file: it must be found there, and not be applied
 * twice. */
static void a_batch_that_was_written_is_not_written_again(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1);
    inbox_item item = {.kind = INBOX_SIGNAL};
    store_unit u;
    inbox_page page;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(fixture_accept(&f, &row), 0);
    u = fixture_unit(&f, row.key);
    u.inbox_put = &item;
    fault_set(VFS_SYNC, WAL, 1, 1, SQLITE_IOERR_FSYNC);
    assert_int_equal(fixture_run(&f, &u), 0);
    assert_int_equal(fault_hits(), 1);
    assert_int_equal(item.seq, 1);
    assert_int_equal(f.s.ops->load_inbox(f.s.self, row.key, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    inbox_page_clear(&page);
    fixture_close(&f);
}

/* ---- nobody is answered while it is not known ------------------------------------------------ */

static void an_ambiguous_batch_waits(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1), other = fixture_row(1, 2);
    store_unit u, v;
    orch_error *err = NULL;

    (void)state;
    fixture_open(&f, url);
    u = fixture_unit(&f, 0);
    v = fixture_unit(&f, 0);
    u.shard = v.shard = 1;
    u.accept = &row;
    v.accept = &other;
    fault_set(VFS_SYNC, WAL, 1, -1, SQLITE_IOERR_FSYNC);
    fixture_submit(&f, &u);
    fixture_flush(&f);
    while (fault_hits() < 3) /* it has tried to reopen */
        usleep(1000);
    fixture_submit(&f, &v);
    fixture_flush(&f);
    assert_null(f.s.ops->reap(f.s.self));
    assert_int_equal(f.s.ops->stop(f.s.self, 20, &err), ORCH_E_DEADLINE_EXCEEDED);
    assert_non_null(strstr(orch_error_message(err), "2 units"));
    orch_error_free(err);
    assert_null(f.s.ops->reap(f.s.self));
    fault_clear();
    fixture_abandon(&f);
    fixture_open(&f, url);
    assert_false(is_there(&f, other.key));
    fixture_close(&f);
}

static void reads_say_unavailable_while_it_reopens(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1), got;
    store_unit u;
    int32_t rc;

    (void)state;
    fixture_open(&f, url);
    u = fixture_unit(&f, 0);
    u.shard = 1;
    u.accept = &row;
    fault_set(VFS_SYNC, WAL, 1, -1, SQLITE_IOERR_FSYNC);
    fixture_submit(&f, &u);
    fixture_flush(&f);
    while (fault_hits() < 2)
        usleep(1000);
    rc = f.s.ops->load_execution(f.s.self, 99, NULL, &got, NULL);
    assert_int_equal(rc, ORCH_E_UNAVAILABLE);
    fault_clear();
    fixture_wait(&f, 1);
    assert_int_equal(u.result, 0);
    assert_true(is_there(&f, row.key));
    fixture_close(&f);
}

static void it_waits_until_the_file_can_be_opened(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1);
    store_unit u;

    (void)state;
    fixture_open(&f, url);
    u = fixture_unit(&f, 0);
    u.shard = 1;
    u.accept = &row;
    fault_set(VFS_SYNC, WAL, 1, -1, SQLITE_IOERR_FSYNC);
    fixture_submit(&f, &u);
    fixture_flush(&f);
    while (fault_hits() < 2)
        usleep(1000);
    fault_set(VFS_OPEN, DB, 1, 3, SQLITE_CANTOPEN);
    fixture_wait(&f, 1);
    assert_int_equal(u.result, 0);
    assert_int_equal(fault_hits(), 3);
    assert_true(is_there(&f, row.key));
    fixture_close(&f);
}

/* ---- a full disk ----------------------------------------------------------------------------- */

static void a_full_disk_is_waited_out(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1), refused = fixture_row(1, 2), late = fixture_row(1, 3);
    char version[] = "1.0.0";
    definition_row d = {.key = 1, .workflow = workflow, .version = version};
    checkpoint c = fixture_checkpoint(1);
    store_unit append, accept, define, again;
    store_stats stats;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(fixture_accept(&f, &row), 0);
    append = fixture_unit(&f, row.key);
    append.checkpoints = &c;
    append.checkpoint_count = 1;
    accept = again = define = fixture_unit(&f, 0);
    accept.shard = again.shard = 1;
    accept.accept = &refused;
    again.accept = &late;
    define.definition = &d;
    fault_set(VFS_WRITE, WAL, 1, -1, SQLITE_FULL);
    fixture_submit(&f, &append);
    fixture_submit(&f, &accept);
    fixture_submit(&f, &define);
    fixture_flush(&f);
    fixture_wait(&f, 2);
    assert_int_equal(accept.result, ORCH_E_RESOURCE_EXHAUSTED);
    assert_int_equal(define.result, ORCH_E_RESOURCE_EXHAUSTED);
    f.s.ops->get_stats(f.s.self, &stats);
    assert_true(stats.disk_full);
    assert_int_equal(stats.queued, 1);
    /* At once, while the other waits. */
    assert_int_equal(fixture_run(&f, &again), ORCH_E_RESOURCE_EXHAUSTED);
    assert_false(is_there(&f, refused.key));
    assert_int_equal(history(&f, row.key), 0);
    fault_clear();
    fixture_wait(&f, 1);
    assert_int_equal(append.result, 0);
    assert_int_equal(history(&f, row.key), 1);
    f.s.ops->get_stats(f.s.self, &stats);
    assert_false(stats.disk_full);
    assert_int_equal(fixture_run(&f, &again), 0);
    assert_false(is_there(&f, refused.key));
    fixture_close(&f);
}

static void a_disk_that_stays_full_stops_in_time(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1);
    checkpoint c = fixture_checkpoint(1);
    store_unit append;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(fixture_accept(&f, &row), 0);
    append = fixture_unit(&f, row.key);
    append.checkpoints = &c;
    append.checkpoint_count = 1;
    fault_set(VFS_WRITE, WAL, 1, -1, SQLITE_FULL);
    fixture_submit(&f, &append);
    assert_int_equal(f.s.ops->stop(f.s.self, 20, NULL), ORCH_E_DEADLINE_EXCEEDED);
    fault_clear();
    fixture_abandon(&f);
    fixture_open(&f, url);
    assert_int_equal(history(&f, row.key), 0);
    fixture_close(&f);
}

/* ---- the checkpointer ------------------------------------------------------------------------ */

static void append_much(store_fixture *f, uint64_t key, uint64_t first, uint64_t count)
{
    for (uint64_t seq = first; seq < first + count; seq++) {
        checkpoint c = fixture_checkpoint(seq);
        store_unit u = fixture_unit(f, key);

        c.output = bytes_new(NULL, 100000);
        memset(c.output->data, 'x', 100000);
        memcpy(c.output->data, &seq, sizeof seq); /* the same value would be stored once */
        u.checkpoints = &c;
        u.checkpoint_count = 1;
        assert_int_equal(fixture_run(f, &u), 0);
        bytes_unref(c.output);
    }
}

/* Commits go on while the WAL cannot be moved into the database, and it is moved once it can. The
 * checkpointer is a thread of its own and need not have come to try before the commits are done. */
static void a_failing_checkpoint_stops_nobody(void **state)
{
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_FULL};
    static const enum vfs_op ops[] = {VFS_WRITE, VFS_SYNC};
    store_fixture f;
    execution_row row = fixture_row(1, 1);
    uint64_t seq = 1;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(fixture_accept(&f, &row), 0);
    for (int i = 0; i < 2; i++) {
        fault_set(ops[i], DB, 1, -1, codes[i]);
        append_much(&f, row.key, seq, 120);
        assert_true(fault_wait_hit(60000));
        append_much(&f, row.key, seq + 120, 30);
        fault_clear();
        append_much(&f, row.key, seq + 150, 60);
        seq += 210;
    }
    assert_int_equal(history(&f, row.key), seq - 1);
    fixture_close(&f);
    fixture_open(&f, url);
    assert_int_equal(history(&f, row.key), seq - 1);
    fixture_close(&f);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* An error at each call of a kind while the file is made: an error is returned, and the next
 * opening makes it. */
static void opening_fails_cleanly(void **state)
{
    static const struct {
        enum vfs_op op;
        int code;
        int32_t result;
    } kinds[] = {
        {VFS_OPEN, SQLITE_CANTOPEN, ORCH_E_UNAVAILABLE},
        {VFS_WRITE, SQLITE_FULL, ORCH_E_RESOURCE_EXHAUSTED},
        {VFS_WRITE, SQLITE_IOERR_WRITE, ORCH_E_UNAVAILABLE},
        {VFS_SYNC, SQLITE_IOERR_FSYNC, ORCH_E_UNAVAILABLE},
        {VFS_READ, SQLITE_IOERR_READ, ORCH_E_UNAVAILABLE},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        long n = 0, hits;

        do {
            store_fixture f;
            int32_t rc;

            assert_true(++n < 300);
            fresh(state);
            fault_set(kinds[i].op, "", n, 1, kinds[i].code);
            rc = fixture_try_open(&f, url, NULL);
            hits = fault_hits();
            fault_clear();
            if (rc == 0)
                fixture_abandon(&f);
            else
                assert_int_equal(rc, kinds[i].result);
            assert_true(rc == 0 || hits == 1);
            fixture_open(&f, url);
            fixture_close(&f);
        } while (hits > 0);
        assert_true(n > 1);
    }
}

static void opening_without_memory_fails_cleanly(void **state)
{
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;

    for (long n = 1; rc == ORCH_E_RESOURCE_EXHAUSTED; n++) {
        store_fixture f;

        assert_true(n < 200);
        fresh(state);
        mem_fail_at(n, 0);
        rc = fixture_try_open(&f, url, NULL);
        mem_fail_at(0, 0);
        if (rc == 0)
            fixture_close(&f);
    }
    assert_int_equal(rc, 0);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_failed_write_is_found_out, fresh),
        cmocka_unit_test_setup(failed_writes_are_found_out, fresh),
        cmocka_unit_test_setup(a_failed_sync_is_found_out, fresh),
        cmocka_unit_test_setup(failed_syncs_are_found_out, fresh),
        cmocka_unit_test_setup(a_batch_that_was_written_is_not_written_again, fresh),
        cmocka_unit_test_setup(an_ambiguous_batch_waits, fresh),
        cmocka_unit_test_setup(reads_say_unavailable_while_it_reopens, fresh),
        cmocka_unit_test_setup(it_waits_until_the_file_can_be_opened, fresh),
        cmocka_unit_test_setup(a_full_disk_is_waited_out, fresh),
        cmocka_unit_test_setup(a_disk_that_stays_full_stops_in_time, fresh),
        cmocka_unit_test_setup(a_failing_checkpoint_stops_nobody, fresh),
        cmocka_unit_test_setup(opening_fails_cleanly, fresh),
        cmocka_unit_test_setup(opening_without_memory_fails_cleanly, fresh),
    };
    int failed;

    snprintf(folder, sizeof folder, "%.40s/store-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/" DB, folder);
    snprintf(url, sizeof url, "sqlite:%s?vfs=" FAULT_VFS, path);
    fault_vfs_register();
    failed = cmocka_run_group_tests_name("store: faults", tests, NULL, NULL);
    fresh(NULL);
    rmdir(folder);
    return failed;
}
