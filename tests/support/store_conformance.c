#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "support/store_conformance.h"

#define SHARD 5

static const conformance_target *target;

/* ---- a fresh store for each test ----------------------------------------------------------------------------- */

static int set_up(void **state)
{
    store_fixture *f = mem_zalloc(sizeof *f);

    if (target->clean)
        target->clean();
    fixture_open(f, target->url);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    mem_free(*state);
    return 0;
}

static bytes *json(const char *text)
{
    return bytes_new(text, strlen(text));
}

static void assert_payload(const bytes *b, const char *text)
{
    assert_non_null(b);
    assert_int_equal(b->len, strlen(text));
    assert_memory_equal(b->data, text, b->len);
}

static execution_row load(store_fixture *f, uint64_t key)
{
    execution_row row;

    assert_int_equal(f->s.ops->load_execution(f->s.self, key, NULL, &row, NULL), 0);
    return row;
}

static uint64_t accept_one(store_fixture *f, uint32_t n)
{
    execution_row row = fixture_row(SHARD, n);

    assert_int_equal(fixture_accept(f, &row), 0);
    return row.key;
}

static size_t count_checkpoints(store_fixture *f, uint64_t key, uint32_t run)
{
    checkpoint_page page;
    size_t count;

    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, run, 0, 0, &page, NULL), 0);
    count = page.count;
    checkpoint_page_clear(&page);
    return count;
}

static int32_t set_state(store_fixture *f, uint64_t key, uint8_t state, int64_t wake_ms)
{
    execution_update update = {.state = state,
                               .wake_ms = wake_ms,
                               .ended_ms = EXECUTION_STATE_IS_END(state) ? 1700000009000 : 0};
    store_unit u = fixture_unit(f, key);

    u.update = &update;
    return fixture_run(f, &u);
}

static int32_t put_signal(store_fixture *f, uint64_t key, uint64_t *out_seq)
{
    inbox_item item = {.kind = INBOX_SIGNAL, .at_ms = 1700000000000};
    store_unit u = fixture_unit(f, key);
    int32_t rc;

    u.inbox_put = &item;
    rc = fixture_run(f, &u);
    if (out_seq)
        *out_seq = item.seq;
    return rc;
}

static definition_row definition(uint64_t key, char *workflow, char *version)
{
    definition_row d = {.key = key,
                        .workflow = workflow,
                        .version = version,
                        .registered_ms = 1700000000000 + (int64_t)key};

    memset(d.digest, (int)key, sizeof d.digest);
    return d;
}

static int32_t define(store_fixture *f, uint64_t key, char *workflow, char *version)
{
    definition_row d = definition(key, workflow, version);
    store_unit u = fixture_unit(f, 0);

    d.text = json("{\"steps\":[{\"id\":\"a\"}]}");
    u.definition = &d;
    u.key = 0;
    fixture_run(f, &u);
    bytes_unref(d.text);
    return u.result;
}

/* ---- accepting --------------------------------------------------------------------------------------------------- */

static void accepted_is_read_back(void **state)
{
    store_fixture *f = *state;
    execution_row row = fixture_row(SHARD, 1), got;
    char id[EXECUTION_ID_LEN + 1];

    row.deadline_ms = 1700000100000;
    row.definition = 7;
    row.paused = true;
    row.input = json("{\"a\":1}");
    assert_int_equal(fixture_accept(f, &row), 0);
    execution_id_format(row.key, id);
    assert_int_equal(f->s.ops->load_execution(f->s.self, 0, id, &got, NULL), 0);
    assert_int_equal(got.key, row.key);
    assert_null(got.id);
    assert_int_equal(got.definition, 7);
    assert_int_equal(got.run, 1);
    assert_int_equal(got.state, EXECUTION_OPEN);
    assert_true(got.paused);
    assert_int_equal(got.accepted_ms, row.accepted_ms);
    assert_int_equal(got.deadline_ms, row.deadline_ms);
    assert_int_equal(got.wake_ms, 0);
    assert_int_equal(got.ended_ms, 0);
    assert_int_equal(got.inbox_seq, 0);
    assert_payload(got.input, "{\"a\":1}");
    assert_null(got.output);
    assert_null(got.error);
    execution_row_clear(&got);
    bytes_unref(row.input);
}

static void an_id_of_the_callers_is_found(void **state)
{
    store_fixture *f = *state;
    execution_row row = fixture_row(SHARD, 1), got;
    orch_error *err = NULL;
    char made[EXECUTION_ID_LEN + 1], id[] = "order/17";

    row.id = id;
    assert_int_equal(fixture_accept(f, &row), 0);
    assert_int_equal(f->s.ops->load_execution(f->s.self, 0, "order/17", &got, NULL), 0);
    assert_string_equal(got.id, "order/17");
    assert_int_equal(got.key, row.key);
    execution_row_clear(&got);
    got = load(f, row.key);
    assert_string_equal(got.id, "order/17");
    execution_row_clear(&got);
    execution_id_format(row.key, made); /* that is not its name */
    assert_int_equal(f->s.ops->load_execution(f->s.self, 0, made, &got, NULL), ORCH_E_NOT_FOUND);
    assert_int_equal(f->s.ops->load_execution(f->s.self, 0, "order/18", &got, &err),
                     ORCH_E_NOT_FOUND);
    assert_non_null(strstr(orch_error_message(err), "order/18"));
    orch_error_free(err);
    assert_int_equal(f->s.ops->load_execution(f->s.self, 12345, NULL, &got, NULL),
                     ORCH_E_NOT_FOUND);
}

static void duplicates_are_refused_alone(void **state)
{
    store_fixture *f = *state;
    char id[] = "same", other[] = "other";
    execution_row rows[5];
    store_unit units[5];
    static const int32_t expected[5] = {0, ORCH_E_ALREADY_EXISTS, ORCH_E_ALREADY_EXISTS, 0, 0};
    uint64_t open;

    for (int i = 0; i < 5; i++) {
        rows[i] = fixture_row(SHARD, (uint32_t)i);
        units[i] = fixture_unit(f, 0);
        units[i].shard = SHARD;
        units[i].accept = &rows[i];
    }
    rows[0].id = id;
    rows[1].id = id;           /* the id */
    rows[2].key = rows[0].key; /* the key */
    rows[3].id = other;
    for (int i = 0; i < 5; i++)
        fixture_submit(f, &units[i]);
    fixture_flush(f);
    fixture_wait(f, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(units[i].result, expected[i]);
    assert_int_equal(f->s.ops->count_open(f->s.self, &open, NULL), 0);
    assert_int_equal(open, 3);
    assert_int_equal(fixture_accept(f, &rows[3]), ORCH_E_ALREADY_EXISTS); /* in a later batch too */
}

/* ---- guards -------------------------------------------------------------------------------------------------------- */

/* A unit with everything in it, to see that a refused one leaves nothing. */
typedef struct full_unit {
    store_unit u;
    definition_row definition;
    execution_row child;
    checkpoint checkpoint;
    inbox_item item;
    execution_update update;
} full_unit;

static void make_full(store_fixture *f, full_unit *full, uint64_t key)
{
    static char workflow[] = "full", version[] = "1.0.0";

    memset(full, 0, sizeof *full);
    full->u = fixture_unit(f, key);
    full->definition = definition(90, workflow, version);
    full->child = fixture_row(SHARD, 700);
    full->checkpoint = fixture_checkpoint(1);
    full->item.kind = INBOX_CANCEL;
    full->update.state = EXECUTION_SUSPENDED;
    full->update.wake_ms = 1700000005000;
    full->u.definition = &full->definition;
    full->u.accept = &full->child;
    full->u.checkpoints = &full->checkpoint;
    full->u.checkpoint_count = 1;
    full->u.inbox_put = &full->item;
    full->u.update = &full->update;
}

static void assert_refused(store_fixture *f, store_unit *u, int32_t result)
{
    char *before = store_dump(&f->s), *after;

    assert_int_equal(fixture_run(f, u), result);
    after = store_dump(&f->s);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

static void a_refused_unit_leaves_nothing(void **state)
{
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1), ended = accept_one(f, 2);
    char workflow[] = "full", version[] = "1.0.0";
    full_unit full;

    assert_int_equal(set_state(f, ended, EXECUTION_SUCCEEDED, 0), 0);
    make_full(f, &full, key);
    full.u.term = f->term + 1;
    assert_refused(f, &full.u, ORCH_E_ABORTED);
    full.u.term = f->term - 1;
    assert_refused(f, &full.u, ORCH_E_ABORTED);
    full.u.term = f->term;
    full.u.shard = STORE_SHARDS;
    assert_refused(f, &full.u, ORCH_E_ABORTED);
    make_full(f, &full, ended);
    full.u.must_be_open = true;
    assert_refused(f, &full.u, ORCH_E_FAILED_PRECONDITION);
    make_full(f, &full, 4711);
    full.u.must_be_open = true;
    assert_refused(f, &full.u, ORCH_E_FAILED_PRECONDITION);
    make_full(f, &full, 4711);
    assert_refused(f, &full.u, ORCH_E_NOT_FOUND);
    make_full(f, &full, key);
    full.u.check_inbox = true;
    full.u.inbox_seen = 3;
    assert_refused(f, &full.u, ORCH_E_ABORTED);
    make_full(f, &full, key);
    full.child.key = key; /* a duplicate, after the definition */
    assert_refused(f, &full.u, ORCH_E_ALREADY_EXISTS);
    make_full(f, &full, key); /* and now all of it */
    full.u.must_be_open = full.u.check_inbox = true;
    assert_int_equal(fixture_run(f, &full.u), 0);
    assert_int_equal(full.item.seq, 1);
    assert_int_equal(count_checkpoints(f, key, 1), 1);
    assert_int_equal(define(f, 91, workflow, version), ORCH_E_ALREADY_EXISTS);
}

/* The same for each operation alone: the ways through an adapter differ. */
static void guards_hold_for_each_operation(void **state)
{
    store_fixture *f = *state;
    uint64_t ended = accept_one(f, 1), called = accept_one(f, 2);

    assert_int_equal(set_state(f, ended, EXECUTION_FAILED, 0), 0);
    assert_int_equal(put_signal(f, called, NULL), 0);
    for (int operation = 0; operation < 5; operation++) {
        full_unit full;
        store_unit u;

        make_full(f, &full, ended);
        u = fixture_unit(f, ended);
        u.update = operation == 0 ? &full.update : NULL;
        u.inbox_put = operation == 1 ? &full.item : NULL;
        u.checkpoints = operation == 2 ? &full.checkpoint : NULL;
        u.checkpoint_count = operation == 2;
        u.inbox_consumed = operation == 3 ? 10 : 0;
        u.accept = operation == 4 ? &full.child : NULL;
        u.must_be_open = true;
        assert_refused(f, &u, ORCH_E_FAILED_PRECONDITION);
        u.key = called;
        u.check_inbox = true;
        u.inbox_seen = 0;
        assert_refused(f, &u, ORCH_E_ABORTED);
        u.inbox_seen = operation >= 2 ? 1 : operation == 0 ? 1 : 2;
        assert_int_equal(fixture_run(f, &u), 0);
        if (operation == 0) /* it goes on as 2 for the put */
            assert_int_equal(put_signal(f, called, NULL), 0);
        if (operation == 1) {
            uint64_t next = accept_one(f, 3);

            called = next;
            assert_int_equal(put_signal(f, called, NULL), 0);
        }
    }
}

static void a_fenced_unit_spares_its_neighbours(void **state)
{
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1);
    checkpoint rows[50];
    store_unit units[50];

    for (int i = 0; i < 50; i++) {
        rows[i] = fixture_checkpoint((uint64_t)i + 1);
        units[i] = fixture_unit(f, key);
        units[i].checkpoints = &rows[i];
        units[i].checkpoint_count = 1;
        units[i].term += i % 3 == 1;
        fixture_submit(f, &units[i]);
    }
    fixture_flush(f);
    fixture_wait(f, 50);
    for (int i = 0; i < 50; i++)
        assert_int_equal(units[i].result, i % 3 == 1 ? ORCH_E_ABORTED : 0);
    assert_int_equal(count_checkpoints(f, key, 1), 33);
}

/* Units come back in the order of submission, over many batches. */
static void units_come_back_in_order(void **state)
{
    store_fixture *f = *state;
    enum { UNITS = 300 };
    static execution_row rows[UNITS];
    static store_unit units[UNITS];
    int next = 0;

    for (int i = 0; i < UNITS; i++) {
        rows[i] = fixture_row(SHARD, (uint32_t)i);
        units[i] = fixture_unit(f, 0);
        units[i].shard = SHARD;
        units[i].accept = &rows[i];
        fixture_submit(f, &units[i]);
        if (i % 7 == 0)
            fixture_flush(f);
    }
    fixture_flush(f);
    while (next < UNITS) {
        store_unit *u = fixture_reap(f, 10000);

        assert_non_null(u);
        for (; u; u = u->next)
            assert_ptr_equal(u, &units[next++]);
    }
}

/* ---- checkpoints ----------------------------------------------------------------------------------------------------- */

static void append_rows(store_fixture *f, uint64_t key, uint32_t run, checkpoint *rows, uint32_t n)
{
    store_unit u = fixture_unit(f, key);

    u.run = run;
    u.checkpoints = rows;
    u.checkpoint_count = n;
    assert_int_equal(fixture_run(f, &u), 0);
}

static void checkpoints_are_appended_once(void **state)
{
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1);
    checkpoint first = fixture_checkpoint(1), again = fixture_checkpoint(1);
    checkpoint twins[3] = {fixture_checkpoint(2), fixture_checkpoint(2), fixture_checkpoint(1)};
    checkpoint_page page;

    first.output = json("1");
    again.output = json("2");
    again.kind = CHECKPOINT_FAILED;
    append_rows(f, key, 1, &first, 1);
    append_rows(f, key, 1, &again, 1); /* the first word stands */
    append_rows(f, key, 1, twins, 3);
    append_rows(f, key, 2, &again, 1); /* another run */
    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, 0, 0, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.rows[0].kind, CHECKPOINT_SUCCEEDED);
    assert_payload(page.rows[0].output, "1");
    assert_null(page.rows[1].output);
    checkpoint_page_clear(&page);
    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 2, 0, 0, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    assert_payload(page.rows[0].output, "2");
    checkpoint_page_clear(&page);
    bytes_unref(first.output);
    bytes_unref(again.output);
}

static void a_checkpoint_is_read_as_written(void **state)
{
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1);
    checkpoint c = {.seq = 1,
                    .step = 999999,
                    .index = UINT32_MAX - 1,
                    .attempt = 4000000000u,
                    .kind = CHECKPOINT_RETRYING,
                    .started_ms = 1700000000001,
                    .ended_ms = 1700000000002,
                    .due_ms = 1700000000003};
    checkpoint_page page;

    c.error = json("{\"code\":\"UNAVAILABLE\"}");
    append_rows(f, key, 1, &c, 1);
    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, 0, 0, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.rows[0].step, c.step);
    assert_int_equal(page.rows[0].index, c.index);
    assert_int_equal(page.rows[0].attempt, c.attempt);
    assert_int_equal(page.rows[0].kind, c.kind);
    assert_int_equal(page.rows[0].started_ms, c.started_ms);
    assert_int_equal(page.rows[0].ended_ms, c.ended_ms);
    assert_int_equal(page.rows[0].due_ms, c.due_ms);
    assert_null(page.rows[0].output);
    assert_payload(page.rows[0].error, "{\"code\":\"UNAVAILABLE\"}");
    checkpoint_page_clear(&page);
    bytes_unref(c.error);
}

static void a_long_history_is_read_in_pages(void **state)
{
    enum { ROWS = 5000 };
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1), after = 0, seen = 0;
    checkpoint *rows = mem_calloc(ROWS, sizeof *rows);
    checkpoint_page page;

    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = fixture_checkpoint(i + 1);
    rows[100].seq = 4001; /* out of order, and no gap in the end */
    rows[4000].seq = 101;
    append_rows(f, key, 1, rows, 2500);
    append_rows(f, key, 1, rows + 2500, 2500);
    do {
        assert_int_equal(
            f->s.ops->load_checkpoints(f->s.self, key, 1, after, 999, &page, NULL), 0);
        assert_true(page.count <= 999);
        for (size_t i = 0; i < page.count; i++)
            assert_int_equal(page.rows[i].seq, ++seen);
        after = seen;
        checkpoint_page_clear(&page);
    } while (seen < ROWS);
    assert_int_equal(count_checkpoints(f, key, 1), ROWS);
    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, ROWS, 0, &page, NULL), 0);
    assert_int_equal(page.count, 0);
    checkpoint_page_clear(&page);
    assert_int_equal(count_checkpoints(f, key, 3), 0);
    assert_int_equal(count_checkpoints(f, 4711, 1), 0);
    mem_free(rows);
}

static void payloads_of_any_size_and_content(void **state)
{
    static const size_t sizes[] = {0, 1, 999, 4096, 70000, 5u << 20};
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1);
    checkpoint_page page;

    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        checkpoint c = fixture_checkpoint(i + 1);

        c.output = bytes_new(NULL, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            c.output->data[at] = (char)(at * 7 + i); /* no text: a codec may have been at it */
        append_rows(f, key, 1, &c, 1);
        assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, i, 0, &page, NULL), 0);
        assert_int_equal(page.count, 1);
        assert_non_null(page.rows[0].output);
        assert_int_equal(page.rows[0].output->len, sizes[i]);
        assert_memory_equal(page.rows[0].output->data, c.output->data, sizes[i]);
        checkpoint_page_clear(&page);
        bytes_unref(c.output);
    }
}

/* ---- inbox and suspension ---------------------------------------------------------------------------------------------- */

static void the_inbox_counts_and_is_consumed(void **state)
{
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1), seq;
    inbox_item item = {.kind = INBOX_SIGNAL, .at_ms = 1700000000005};
    store_unit u = fixture_unit(f, key);
    execution_row row;
    inbox_page page;

    item.payload = json("{\"name\":\"approved\"}");
    u.inbox_put = &item;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(item.seq, 1);
    assert_int_equal(put_signal(f, key, &seq), 0);
    assert_int_equal(seq, 2);
    assert_int_equal(f->s.ops->load_inbox(f->s.self, key, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.rows[0].seq, 1);
    assert_int_equal(page.rows[0].kind, INBOX_SIGNAL);
    assert_int_equal(page.rows[0].at_ms, 1700000000005);
    assert_payload(page.rows[0].payload, "{\"name\":\"approved\"}");
    assert_null(page.rows[1].payload);
    inbox_page_clear(&page);
    u = fixture_unit(f, key);
    u.inbox_consumed = 1;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(put_signal(f, key, &seq), 0);
    assert_int_equal(seq, 3); /* numbers are not used again */
    assert_int_equal(f->s.ops->load_inbox(f->s.self, key, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.rows[0].seq, 2);
    inbox_page_clear(&page);
    row = load(f, key);
    assert_int_equal(row.inbox_seq, 3);
    execution_row_clear(&row);
    assert_int_equal(put_signal(f, 4711, NULL), ORCH_E_NOT_FOUND);
    bytes_unref(item.payload);
}

/* Suspended is refused while there is something that the engine has not seen. */
static void a_suspension_that_missed_a_signal_is_refused(void **state)
{
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1);
    execution_update update = {.state = EXECUTION_SUSPENDED, .wake_ms = 1700000003000};
    store_unit u = fixture_unit(f, key);

    assert_int_equal(put_signal(f, key, NULL), 0);
    u.update = &update;
    u.must_be_open = u.check_inbox = true;
    assert_refused(f, &u, ORCH_E_ABORTED);
    u.inbox_seen = 1;
    u.inbox_consumed = 1;
    assert_int_equal(fixture_run(f, &u), 0);
}

static void assert_due(store_fixture *f, int64_t wake_by_ms, const uint64_t *keys, size_t n)
{
    execution_page page;
    size_t found = 0;

    assert_int_equal(f->s.ops->load_due(f->s.self, wake_by_ms, 100, &page, NULL), 0);
    assert_int_equal(page.count, n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < page.count; j++)
            found += page.rows[j].key == keys[i];
    assert_int_equal(found, n);
    execution_page_clear(&page);
    assert_int_equal(f->s.ops->load_due(f->s.self, wake_by_ms, 1, &page, NULL), 0);
    assert_int_equal(page.count, n ? 1 : 0);
    execution_page_clear(&page);
}

static void assert_runnable(store_fixture *f, const uint64_t *keys, size_t n)
{
    execution_page page;
    uint64_t after = 0;
    size_t seen = 0;

    do {
        assert_int_equal(f->s.ops->load_runnable(f->s.self, after, 3, &page, NULL), 0);
        assert_true(page.count <= 3);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(seen < n);
            assert_int_equal(page.rows[i].key, keys[seen++]);
        }
        assert_true(page.next_after == 0 || page.next_after > after);
        after = page.next_after;
        execution_page_clear(&page);
    } while (after);
    assert_int_equal(seen, n);
}

static void what_can_run_is_found(void **state)
{
    store_fixture *f = *state;
    uint64_t keys[10];
    int64_t wake;

    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_true(wake == INT64_MAX);
    for (uint32_t i = 0; i < 10; i++)
        keys[i] = accept_one(f, i);
    assert_int_equal(set_state(f, keys[1], EXECUTION_SUCCEEDED, 0), 0);
    assert_int_equal(set_state(f, keys[2], EXECUTION_SUSPENDED, 5000), 0);
    assert_int_equal(set_state(f, keys[3], EXECUTION_SUSPENDED, 6000), 0);
    assert_int_equal(set_state(f, keys[4], EXECUTION_SUSPENDED, 0), 0);
    assert_int_equal(set_state(f, keys[5], EXECUTION_SUSPENDED, 0), 0);
    assert_int_equal(set_state(f, keys[6], EXECUTION_CANCELLED, 0), 0);
    assert_int_equal(set_state(f, keys[9], EXECUTION_SUSPENDED, 4000), 0);
    assert_int_equal(put_signal(f, keys[5], NULL), 0);
    assert_int_equal(put_signal(f, keys[9], NULL), 0);
    assert_int_equal(put_signal(f, keys[6], NULL), 0); /* ended: it will never run */
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_int_equal(wake, 4000);
    assert_runnable(f, (uint64_t[]){keys[0], keys[5], keys[7], keys[8], keys[9]}, 5);
    assert_due(f, 3999, NULL, 0);
    assert_due(f, 5000, (uint64_t[]){keys[2], keys[9]}, 2);
    assert_due(f, INT64_MAX, (uint64_t[]){keys[2], keys[3], keys[9]}, 3);
    assert_int_equal(set_state(f, keys[2], EXECUTION_OPEN, 0), 0);
    assert_int_equal(set_state(f, keys[9], EXECUTION_TIMED_OUT, 0), 0);
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_int_equal(wake, 6000);
    assert_int_equal(set_state(f, keys[3], EXECUTION_SUSPENDED, 7000), 0);
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_int_equal(wake, 7000);
}

static void an_update_changes_the_row(void **state)
{
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1);
    execution_update update = {.state = EXECUTION_FAILED, .ended_ms = 1700000009000};
    store_unit u = fixture_unit(f, key);
    execution_row row;

    update.output = json("[1,2]");
    update.error = json("{\"code\":\"ABORTED\"}");
    u.update = &update;
    u.must_be_open = true;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(fixture_run(f, &u), ORCH_E_FAILED_PRECONDITION); /* an end stands */
    row = load(f, key);
    assert_int_equal(row.state, EXECUTION_FAILED);
    assert_int_equal(row.ended_ms, 1700000009000);
    assert_int_equal(row.run, 1);
    assert_payload(row.output, "[1,2]");
    assert_payload(row.error, "{\"code\":\"ABORTED\"}");
    execution_row_clear(&row);
    bytes_unref(update.output);
    bytes_unref(update.error);
    update = (execution_update){.state = EXECUTION_OPEN};
    u.must_be_open = false;
    u.run = 2; /* a retry */
    assert_int_equal(fixture_run(f, &u), 0);
    u.run = 1; /* and a straggler */
    assert_int_equal(fixture_run(f, &u), 0);
    row = load(f, key);
    assert_int_equal(row.state, EXECUTION_OPEN);
    assert_int_equal(row.run, 2);
    assert_int_equal(row.ended_ms, 0);
    assert_null(row.output);
    assert_null(row.error);
    execution_row_clear(&row);
}

/* ---- lists -------------------------------------------------------------------------------------------------------------- */

/* 200 executions over 4 shards, 3 definitions, all states. */
static uint64_t fill(store_fixture *f, uint64_t keys[200])
{
    static execution_row rows[200];
    static store_unit units[200];
    char a[] = "alpha", b[] = "beta", one[] = "1.0.0", two[] = "2.0.0";

    assert_int_equal(define(f, 1, a, one), 0);
    assert_int_equal(define(f, 2, a, two), 0);
    assert_int_equal(define(f, 3, b, one), 0);
    for (uint32_t i = 0; i < 200; i++) {
        rows[i] = fixture_row(i * 7 % 4, i);
        rows[i].definition = i % 3 + 1;
        rows[i].state = (uint8_t)(i % 6 + 1);
        units[i] = fixture_unit(f, 0);
        units[i].shard = execution_key_shard(rows[i].key);
        units[i].accept = &rows[i];
        keys[i] = rows[i].key;
        fixture_submit(f, &units[i]);
    }
    fixture_flush(f);
    fixture_wait(f, 200);
    return rows[0].key;
}

static bool expected_in(const execution_filter *f, uint32_t i, const execution_row *row)
{
    static const char *const workflows[] = {"alpha", "alpha", "beta"};
    static const char *const versions[] = {"1.0.0", "2.0.0", "1.0.0"};

    if (f->states && !(f->states & 1u << (i % 6 + 1)))
        return false;
    if (f->workflow && strcmp(f->workflow, workflows[i % 3]) != 0)
        return false;
    if (f->version && strcmp(f->version, versions[i % 3]) != 0)
        return false;
    if (f->accepted_from_ms && row->accepted_ms < f->accepted_from_ms)
        return false;
    return !f->accepted_to_ms || row->accepted_ms < f->accepted_to_ms;
}

static uint32_t count_expected(const execution_filter *f)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < 200; i++) {
        execution_row row = fixture_row(i * 7 % 4, i);

        count += expected_in(f, i, &row);
    }
    return count;
}

static uint32_t number_of(const uint64_t keys[200], uint64_t key)
{
    uint32_t i = 0;

    while (i < 200 && keys[i] != key)
        i++;
    assert_true(i < 200);
    return i;
}

static void check_list(store_fixture *f, const uint64_t keys[200], execution_filter filter)
{
    execution_page page;
    uint32_t seen = 0;
    uint64_t last = 0;

    do {
        assert_int_equal(f->s.ops->list_executions(f->s.self, &filter, &page, NULL), 0);
        assert_true(page.count <= (filter.limit ? filter.limit : 100));
        for (size_t i = 0; i < page.count; i++, seen++) {
            const execution_row *row = &page.rows[i];

            assert_true(expected_in(&filter, number_of(keys, row->key), row));
            if (last)
                assert_true(filter.ascending ? row->key > last : row->key < last);
            last = row->key;
        }
        filter.after_key = page.next_after;
        execution_page_clear(&page);
    } while (filter.after_key);
    assert_int_equal(seen, count_expected(&filter));
}

static void lists_follow_filter_and_order(void **state)
{
    static const uint32_t states[] = {0,        1 << 1,          1 << 2,         1 << 3, 1 << 4,
                                      1 << 6,   1 << 1 | 1 << 2, 1 << 3 | 1 << 4, 1 << 4 | 1 << 5 | 1 << 6};
    static const char *const workflows[] = {NULL, "alpha", "beta", "none"};
    static const char *const versions[] = {NULL, "1.0.0", "2.0.0"};
    store_fixture *f = *state;
    uint64_t keys[200];

    fill(f, keys);
    for (size_t s = 0; s < sizeof states / sizeof *states; s++) {
        for (int w = 0; w < 4; w++) {
            for (int v = 0; v < 3; v++) {
                for (int variant = 0; variant < 8; variant++) {
                    execution_filter filter = {.states = states[s],
                                               .workflow = workflows[w],
                                               .version = versions[v],
                                               .ascending = variant & 1,
                                               .limit = variant & 2 ? 7 : 0};

                    if (variant & 4) {
                        filter.accepted_from_ms = 1700000000003;
                        filter.accepted_to_ms = 1700000000017;
                    }
                    check_list(f, keys, filter);
                }
            }
        }
    }
}

static void payloads_are_listed_on_request(void **state)
{
    store_fixture *f = *state;
    execution_row row = fixture_row(SHARD, 1);
    execution_filter filter = {0};
    execution_page page;

    row.input = json("[1]");
    assert_int_equal(fixture_accept(f, &row), 0);
    assert_int_equal(f->s.ops->list_executions(f->s.self, &filter, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    assert_null(page.rows[0].input);
    execution_page_clear(&page);
    filter.payloads = true;
    assert_int_equal(f->s.ops->list_executions(f->s.self, &filter, &page, NULL), 0);
    assert_payload(page.rows[0].input, "[1]");
    execution_page_clear(&page);
    bytes_unref(row.input);
}

/* A filter that matches nothing must not cost the whole table in one page. */
static void a_page_looks_at_few_rows(void **state)
{
    enum { ROWS = 12000 };
    store_fixture *f = *state;
    execution_row *rows = mem_calloc(ROWS, sizeof *rows);
    store_unit *units = mem_calloc(ROWS, sizeof *units);
    execution_filter filter = {.states = 1u << EXECUTION_SUCCEEDED | 1u << EXECUTION_FAILED};
    execution_page page;
    int pages = 0;

    for (uint32_t i = 0; i < ROWS; i++) {
        rows[i] = fixture_row(SHARD, i);
        units[i] = fixture_unit(f, 0);
        units[i].shard = SHARD;
        units[i].accept = &rows[i];
        fixture_submit(f, &units[i]);
    }
    rows[0].state = EXECUTION_SUCCEEDED; /* the oldest: at the end of the last page */
    fixture_flush(f);
    fixture_wait(f, ROWS);
    do {
        assert_int_equal(f->s.ops->list_executions(f->s.self, &filter, &page, NULL), 0);
        pages++;
        filter.after_key = page.next_after;
        if (filter.after_key)
            execution_page_clear(&page);
    } while (filter.after_key);
    assert_int_equal(page.count, 1);
    assert_true(pages > 1);
    execution_page_clear(&page);
    mem_free(rows);
    mem_free(units);
}

/* ---- definitions ---------------------------------------------------------------------------------------------------------- */

static void definitions_are_unique(void **state)
{
    store_fixture *f = *state;
    char a[] = "alpha", b[] = "beta", one[] = "1.0.0", two[] = "2.0.0";
    definition_row d = definition(2, a, two);
    store_unit u = fixture_unit(f, 0);
    definition_page page;

    assert_int_equal(define(f, 1, a, one), 0);
    assert_int_equal(define(f, 1, b, one), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(define(f, 2, a, one), ORCH_E_ALREADY_EXISTS);
    d.metadata = json("{\"team\":\"x\"}");
    u.definition = &d;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(f->s.ops->load_definitions(f->s.self, 0, false, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    assert_null(page.rows[0].text);
    assert_string_equal(page.rows[1].workflow, "alpha");
    assert_string_equal(page.rows[1].version, "2.0.0");
    assert_int_equal(page.rows[1].registered_ms, d.registered_ms);
    assert_memory_equal(page.rows[1].digest, d.digest, sizeof d.digest);
    assert_payload(page.rows[1].metadata, "{\"team\":\"x\"}");
    definition_page_clear(&page);
    assert_int_equal(f->s.ops->load_definitions(f->s.self, 1, true, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    assert_payload(page.rows[0].text, "{\"steps\":[{\"id\":\"a\"}]}");
    definition_page_clear(&page);
    assert_int_equal(f->s.ops->load_definitions(f->s.self, 3, true, &page, NULL), ORCH_E_NOT_FOUND);
    bytes_unref(d.metadata);
}

/* ---- leases, marks, life ------------------------------------------------------------------------------------------------------ */

static void a_new_lease_fences_the_old(void **state)
{
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1), term;
    execution_update update = {.state = EXECUTION_SUCCEEDED};
    store_unit u = fixture_unit(f, key);

    u.update = &update;
    assert_int_equal(f->s.ops->lease(f->s.self, "other", 1700000000000, &term, NULL), 0);
    assert_true(term > f->term);
    assert_refused(f, &u, ORCH_E_ABORTED);
    u.term = f->term = term;
    assert_int_equal(fixture_run(f, &u), 0);
}

static void marks_are_the_highest_keys(void **state)
{
    store_fixture *f = *state;
    uint64_t execution = 1, definition_key = 1, highest;
    char a[] = "alpha", one[] = "1.0.0";

    assert_int_equal(f->s.ops->marks(f->s.self, &execution, &definition_key, NULL), 0);
    assert_int_equal(execution, 0);
    assert_int_equal(definition_key, 0);
    highest = accept_one(f, 9);
    accept_one(f, 3);
    assert_int_equal(define(f, 17, a, one), 0);
    assert_int_equal(f->s.ops->marks(f->s.self, &execution, &definition_key, NULL), 0);
    assert_int_equal(execution, highest);
    assert_int_equal(definition_key, 17);
}

static void what_was_committed_survives(void **state)
{
    store_fixture *f = *state;
    uint64_t keys[200], term = f->term, execution, definition_key;
    char *before, *after;

    if (!target->survives)
        skip();
    fill(f, keys);
    assert_int_equal(put_signal(f, keys[5], NULL), 0);
    before = store_dump(&f->s);
    for (int how = 0; how < 2; how++) {
        if (how == 0)
            fixture_close(f);
        else
            fixture_abandon(f);
        fixture_open(f, target->url);
        assert_true(f->term > term);
        term = f->term;
        after = store_dump(&f->s);
        assert_string_equal(before, after);
        mem_free(after);
        assert_int_equal(f->s.ops->marks(f->s.self, &execution, &definition_key, NULL), 0);
        assert_int_equal(definition_key, 3);
        assert_true(execution >= keys[199]);
    }
    mem_free(before);
}

static void stop_commits_what_is_queued(void **state)
{
    enum { UNITS = 500 };
    store_fixture *f = *state;
    static execution_row rows[UNITS];
    static store_unit units[UNITS];
    int came = 0;
    uint64_t open;

    for (uint32_t i = 0; i < UNITS; i++) {
        rows[i] = fixture_row(SHARD, i);
        units[i] = fixture_unit(f, 0);
        units[i].shard = SHARD;
        units[i].accept = &rows[i];
        fixture_submit(f, &units[i]);
    }
    assert_int_equal(f->s.ops->stop(f->s.self, 10000, NULL), 0);
    for (store_unit *u = f->s.ops->reap(f->s.self); u; u = u->next, came++)
        assert_int_equal(u->result, 0);
    assert_int_equal(came, UNITS);
    assert_null(f->s.ops->reap(f->s.self));
    assert_int_equal(f->s.ops->count_open(f->s.self, &open, NULL), 0);
    assert_int_equal(open, UNITS);
    assert_int_equal(f->s.ops->stop(f->s.self, 0, NULL), 0); /* again is harmless */
}

static void stats_count(void **state)
{
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1);
    checkpoint rows[3] = {fixture_checkpoint(1), fixture_checkpoint(2), fixture_checkpoint(3)};
    store_stats before, after;

    f->s.ops->get_stats(f->s.self, &before);
    append_rows(f, key, 1, rows, 3);
    f->s.ops->get_stats(f->s.self, &after);
    assert_int_equal(after.batches, before.batches + 1);
    assert_int_equal(after.units, before.units + 1);
    assert_int_equal(after.rows, before.rows + 3);
    assert_int_equal(after.queued, 0);
    assert_false(after.disk_full);
}

/* ---- many readers --------------------------------------------------------------------------------------------------------------- */

typedef struct reading {
    store *s;
    uint64_t key;
    _Atomic uint64_t reaped; /* checkpoints that came back */
    _Atomic bool stop;
    _Atomic int wrong;
} reading;

/* Each read sees at least what was reaped before it, and the history without a gap. */
static void *read_on(void *arg)
{
    reading *r = arg;
    execution_filter filter = {.limit = 20};

    while (!r->stop) {
        uint64_t least = r->reaped;
        checkpoint_page page;
        execution_page executions;

        if (r->s->ops->load_checkpoints(r->s->self, r->key, 1, 0, 0, &page, NULL) != 0) {
            r->wrong++;
            break;
        }
        if (page.count < least)
            r->wrong++;
        for (size_t i = 0; i < page.count; i++)
            r->wrong += page.rows[i].seq != i + 1;
        checkpoint_page_clear(&page);
        if (r->s->ops->list_executions(r->s->self, &filter, &executions, NULL) != 0) {
            r->wrong++;
            break;
        }
        r->wrong += executions.count == 0;
        execution_page_clear(&executions);
    }
    return NULL;
}

static void readers_see_what_was_reaped(void **state)
{
    store_fixture *f = *state;
    reading r = {.s = &f->s, .key = accept_one(f, 1)};
    pthread_t threads[6];

    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &r), 0);
    for (uint64_t seq = 1; seq <= 400; seq++) {
        checkpoint c = fixture_checkpoint(seq);

        append_rows(f, r.key, 1, &c, 1);
        r.reaped = seq;
    }
    r.stop = true;
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(r.wrong, 0);
}

/* ---- memory running out -------------------------------------------------------------------------------------------------------------- */

static void no_memory_leaves_nothing_behind(void **state)
{
    store_fixture *f = *state;
    uint64_t key = accept_one(f, 1);
    char *before = store_dump(&f->s), *after;
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;

    for (long n = 1; rc == ORCH_E_RESOURCE_EXHAUSTED; n++) {
        full_unit full;

        assert_true(n < 1000);
        make_full(f, &full, key);
        mem_fail_at(n, 0);
        rc = fixture_run(f, &full.u);
        mem_fail_at(0, 0);
        if (rc != 0) {
            after = store_dump(&f->s);
            assert_string_equal(before, after);
            mem_free(after);
        }
    }
    assert_int_equal(rc, 0);
    mem_free(before);
}

static int32_t read_all(store_fixture *f, uint64_t key, int which)
{
    execution_filter filter = {.payloads = true, .workflow = "alpha"};
    execution_page executions = {0};
    checkpoint_page checkpoints = {0};
    definition_page definitions = {0};
    inbox_page inbox = {0};
    execution_row row = {0};
    int32_t rc = 0;

    switch (which) {
    case 0: rc = f->s.ops->list_executions(f->s.self, &filter, &executions, NULL); break;
    case 1: rc = f->s.ops->load_runnable(f->s.self, 0, 0, &executions, NULL); break;
    case 2: rc = f->s.ops->load_checkpoints(f->s.self, key, 1, 0, 0, &checkpoints, NULL); break;
    case 3: rc = f->s.ops->load_definitions(f->s.self, 0, true, &definitions, NULL); break;
    case 4: rc = f->s.ops->load_inbox(f->s.self, key, &inbox, NULL); break;
    default: rc = f->s.ops->load_execution(f->s.self, 0, "named", &row, NULL);
    }
    execution_page_clear(&executions);
    checkpoint_page_clear(&checkpoints);
    definition_page_clear(&definitions);
    inbox_page_clear(&inbox);
    execution_row_clear(&row);
    return rc;
}

static void reads_without_memory_fail_cleanly(void **state)
{
    store_fixture *f = *state;
    char a[] = "alpha", one[] = "1.0.0", name[] = "named";
    execution_row row = fixture_row(SHARD, 1);
    checkpoint c = fixture_checkpoint(1);

    row.id = name;
    row.input = json("{\"a\":1}");
    c.output = json("[1]");
    assert_int_equal(define(f, 1, a, one), 0);
    assert_int_equal(fixture_accept(f, &row), 0);
    assert_int_equal(put_signal(f, row.key, NULL), 0);
    append_rows(f, row.key, 1, &c, 1);
    for (int which = 0; which < 6; which++) {
        int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;

        for (long n = 1; rc == ORCH_E_RESOURCE_EXHAUSTED; n++) {
            assert_true(n < 1000);
            mem_fail_at(n, 0);
            rc = read_all(f, row.key, which);
            mem_fail_at(0, 0);
        }
        assert_int_equal(rc, 0);
    }
    bytes_unref(row.input);
    bytes_unref(c.output);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int store_conformance(const conformance_target *t)
{
    static const struct CMUnitTest tests[] = {
        TEST(accepted_is_read_back),
        TEST(an_id_of_the_callers_is_found),
        TEST(duplicates_are_refused_alone),
        TEST(a_refused_unit_leaves_nothing),
        TEST(guards_hold_for_each_operation),
        TEST(a_fenced_unit_spares_its_neighbours),
        TEST(units_come_back_in_order),
        TEST(checkpoints_are_appended_once),
        TEST(a_checkpoint_is_read_as_written),
        TEST(a_long_history_is_read_in_pages),
        TEST(payloads_of_any_size_and_content),
        TEST(the_inbox_counts_and_is_consumed),
        TEST(a_suspension_that_missed_a_signal_is_refused),
        TEST(what_can_run_is_found),
        TEST(an_update_changes_the_row),
        TEST(lists_follow_filter_and_order),
        TEST(payloads_are_listed_on_request),
        TEST(a_page_looks_at_few_rows),
        TEST(definitions_are_unique),
        TEST(a_new_lease_fences_the_old),
        TEST(marks_are_the_highest_keys),
        TEST(what_was_committed_survives),
        TEST(stop_commits_what_is_queued),
        TEST(stats_count),
        TEST(readers_see_what_was_reaped),
        TEST(no_memory_leaves_nothing_behind),
        TEST(reads_without_memory_fail_cleanly),
    };

    target = t;
    return cmocka_run_group_tests_name(t->name, tests, NULL, NULL);
}
