#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "support/store_cases.h"

/* ---- accepting ------------------------------------------------------------------------------- */

static void accepted_is_read_back(void **state)
{
    store_fixture *f = *state;
    execution_row row = fixture_row(SHARD, 1), got;
    char id[EXECUTION_ID_LEN + 1];

    row.deadline_ms = 1700000100000;
    row.definition = 7;
    row.paused = true;
    row.input = case_json("{\"a\":1}");
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
    case_assert_payload(got.input, "{\"a\":1}");
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
    got = case_load(f, row.key);
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

/* ---- guards ---------------------------------------------------------------------------------- */

/* Everything that a unit can be made of, but for what one guard or one operation has against it. */
static void a_refused_unit_leaves_nothing(void **state)
{
    static const struct {
        const char *what;
        int32_t result;
    } faults[] = {
        {"a newer term", ORCH_E_ABORTED},
        {"an older term", ORCH_E_ABORTED},
        {"a shard that is none", ORCH_E_ABORTED},
        {"it has ended", ORCH_E_FAILED_PRECONDITION},
        {"must be open, and is not there", ORCH_E_FAILED_PRECONDITION},
        {"it is not there", ORCH_E_NOT_FOUND},
        {"another inbox", ORCH_E_ABORTED},
        {"the inbox of what is not there", ORCH_E_FAILED_PRECONDITION},
        {"it has not ended", ORCH_E_FAILED_PRECONDITION},
        {"must have ended, and is not there", ORCH_E_NOT_FOUND},
        {"it ended in another run", ORCH_E_FAILED_PRECONDITION},
        {"no such checkpoint before it", ORCH_E_OUT_OF_RANGE},
        {"a full inbox", ORCH_E_RESOURCE_EXHAUSTED},
        {"its key is there", ORCH_E_ALREADY_EXISTS},
        {"its id is there", ORCH_E_ALREADY_EXISTS},
        {"its definition is there", ORCH_E_ALREADY_EXISTS},
        {"its start key is taken", ORCH_E_ALREADY_EXISTS},
        {"attributes that are none", ORCH_E_INVALID_ARGUMENT},
        {"a purge of what has not ended", ORCH_E_FAILED_PRECONDITION},
    };
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1), ended = case_accept(f, 2), full_inbox = case_accept(f, 3);
    char workflow[] = "full", version[] = "1.0.0", other[] = "other", id[] = "taken";
    execution_row named = fixture_row(SHARD, 4);
    full_unit full;

    named.id = id;
    assert_int_equal(fixture_accept(f, &named), 0);
    assert_int_equal(case_define(f, 17, other, version), 0);
    assert_int_equal(case_set_state(f, ended, EXECUTION_SUCCEEDED, 0), 0);
    assert_int_equal(case_put_signal(f, full_inbox, NULL), 0);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        store_unit *u = &full.u;
        start_key holder = {.workflow = workflow, .key = other, .now_ms = 1};
        bytes *wrong = case_json("{\"a\":[]}");

        case_make_full(f, &full, key);
        u->must_be_open = i == 3 || i == 4;
        u->check_inbox = i == 6 || i == 7;
        u->must_have_ended = i >= 8 && i <= 10;
        switch (i) {
        case 0: u->term++; break;
        case 1: u->term--; break;
        case 2: u->shard = STORE_SHARDS; break;
        case 3: full.u.key = full.control.execution = ended; break;
        case 4:
        case 5:
        case 7:
        case 9: full.u.key = full.control.execution = 4711; break;
        case 6: u->inbox_seen = 3; break;
        case 8: u->run = 2; break;
        case 10:
            full.u.key = full.control.execution = ended;
            u->run = 3;
            break;
        case 11: u->after_seq = 1; break;
        case 12:
            full.u.key = full.control.execution = full_inbox;
            u->inbox_limit = 1;
            break;
        case 13: full.child.key = key; break;
        case 14: full.child.id = id; break;
        case 15: full.definition.key = 17; break;
        case 16: {
            execution_row row = fixture_row(SHARD, 5);
            store_unit start = fixture_unit(f, row.key);

            start.accept = &row;
            start.start_key = &holder;
            assert_int_equal(fixture_run(f, &start), 0);
            full.key.key = other;
            break;
        }
        case 17:
            bytes_unref(full.child.attributes);
            full.child.attributes = bytes_ref(wrong);
            break;
        default: u->purge = true;
        }
        case_assert_refused(f, u, faults[i].result);
        assert_int_equal(full.key.existing != 0, i == 16);
        case_free_full(&full);
        bytes_unref(wrong);
    }
    case_make_full(f, &full, key); /* and now all of it */
    full.u.must_be_open = full.u.check_inbox = true;
    full.u.inbox_limit = 1;
    assert_int_equal(fixture_run(f, &full.u), 0);
    assert_int_equal(full.item.seq, 1);
    assert_int_equal(full.notice.seq, 1);
    assert_int_equal(full.control.seq, 1);
    assert_int_equal(full.key.existing, 0);
    assert_int_equal(case_count_checkpoints(f, key, 1), 1);
    assert_int_equal(case_define(f, 91, workflow, version), ORCH_E_ALREADY_EXISTS);
    case_free_full(&full);
}

/* The same for each operation alone: the ways through an adapter differ. */
static void guards_hold_for_each_operation(void **state)
{
    enum { UPDATE, PUT, APPEND, CONSUME, ACCEPT, SET, NOTIFY, CONTROL, SETTING, SUCCEED, COUNT };
    store_fixture *f = *state;
    uint64_t ended = case_accept(f, 1), told = case_accept(f, 2);

    assert_int_equal(case_set_state(f, ended, EXECUTION_FAILED, 0), 0);
    for (uint32_t operation = 0; operation < COUNT; operation++) {
        uint64_t key = case_accept(f, 10 + operation);
        full_unit full;
        store_unit u;

        assert_int_equal(case_put_signal(f, key, NULL), 0);
        case_make_full(f, &full, ended);
        full.child.key += operation;
        full.u.notify_key = told;
        if (operation == SUCCEED)
            full.update = (execution_update){.state = EXECUTION_SUCCEEDED};
        u = fixture_unit(f, ended);
        u.update = operation == UPDATE || operation == SUCCEED ? &full.update : NULL;
        u.inbox_put = operation == PUT ? &full.item : NULL;
        u.checkpoints = operation == APPEND || operation == SUCCEED ? &full.checkpoint : NULL;
        u.checkpoint_count = u.checkpoints != NULL;
        u.inbox_consumed = operation == CONSUME ? 10 : 0;
        u.accept = operation == ACCEPT ? &full.child : NULL;
        u.setting = operation == SET ? &full.setting : NULL;
        u.notify = operation == NOTIFY ? &full.notice : NULL;
        u.notify_key = told;
        u.notify_run = 1;
        u.control = operation == CONTROL ? &full.control : NULL;
        u.put_setting = operation == SETTING ? &full.put : NULL;
        u.must_be_open = true;
        case_assert_refused(f, &u, ORCH_E_FAILED_PRECONDITION);
        u.key = full.control.execution = key;
        u.check_inbox = true;
        u.inbox_seen = 0;
        case_assert_refused(f, &u, ORCH_E_ABORTED);
        u.after_seq = 1;
        u.inbox_seen = 1;
        case_assert_refused(f, &u, ORCH_E_OUT_OF_RANGE);
        u.after_seq = 0;
        u.must_be_open = false;
        u.must_have_ended = true;
        u.run = 2;
        case_assert_refused(f, &u, ORCH_E_FAILED_PRECONDITION);
        u.must_have_ended = false;
        u.must_be_open = true;
        u.run = 1;
        assert_int_equal(fixture_run(f, &u), 0);
        case_free_full(&full);
    }
}

/* Before the row that it goes after is there, after it, and in one batch with it; each operation alone. */
static void a_unit_that_goes_after_a_refused_one_is_refused(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1), other = case_accept(f, 2);
    checkpoint first = fixture_checkpoint(1), second = fixture_checkpoint(2);
    store_unit units[3];
    full_unit full;

    case_append(f, other, 1, &first, 1); /* of another execution, and of another run */
    case_append(f, key, 2, &first, 1);
    for (int operation = 0; operation < 5; operation++) {
        store_unit u = fixture_unit(f, key);

        case_make_full(f, &full, key);
        u.update = operation == 0 ? &full.update : NULL;
        u.inbox_put = operation == 1 ? &full.item : NULL;
        u.checkpoints = operation == 2 ? &second : NULL;
        u.checkpoint_count = operation == 2;
        u.inbox_consumed = operation == 3 ? 10 : 0;
        u.accept = operation == 4 ? &full.child : NULL;
        u.after_seq = 1;
        case_assert_refused(f, &u, ORCH_E_OUT_OF_RANGE);
        case_free_full(&full);
    }
    for (int i = 0; i < 3; i++) {
        units[i] = fixture_unit(f, key);
        units[i].checkpoints = i ? &second : &first;
        units[i].checkpoint_count = i < 2;
        units[i].after_seq = (uint64_t)i;
    }
    case_make_full(f, &full, key);
    full.update.state = EXECUTION_SUCCEEDED;
    units[2].update = &full.update;
    units[0].term++; /* the first is refused, and so are all that go after it */
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < 3; i++)
            fixture_submit(f, &units[i]);
        fixture_flush(f);
        fixture_wait(f, 3);
        assert_int_equal(units[0].result, again ? 0 : ORCH_E_ABORTED);
        assert_int_equal(units[1].result, again ? 0 : ORCH_E_OUT_OF_RANGE);
        assert_int_equal(units[2].result, again ? 0 : ORCH_E_OUT_OF_RANGE);
        assert_int_equal(case_count_checkpoints(f, key, 1), again ? 2 : 0);
        units[0].term = f->term;
    }
    case_free_full(&full);
}

static void a_fenced_unit_spares_its_neighbours(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
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
    assert_int_equal(case_count_checkpoints(f, key, 1), 33);
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

/* ---- checkpoints ----------------------------------------------------------------------------- */

static void checkpoints_are_appended_once(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    checkpoint first = fixture_checkpoint(1), again = fixture_checkpoint(1);
    checkpoint twins[3] = {fixture_checkpoint(2), fixture_checkpoint(2), fixture_checkpoint(1)};
    checkpoint_page page;

    first.output = case_json("1");
    again.output = case_json("2");
    again.kind = CHECKPOINT_FAILED;
    case_append(f, key, 1, &first, 1);
    case_append(f, key, 1, &again, 1); /* the first word stands */
    case_append(f, key, 1, twins, 3);
    case_append(f, key, 2, &again, 1); /* another run */
    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, 0, 0, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.rows[0].kind, CHECKPOINT_SUCCEEDED);
    case_assert_payload(page.rows[0].output, "1");
    assert_null(page.rows[1].output);
    checkpoint_page_clear(&page);
    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 2, 0, 0, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    case_assert_payload(page.rows[0].output, "2");
    checkpoint_page_clear(&page);
    bytes_unref(first.output);
    bytes_unref(again.output);
}

static void a_checkpoint_is_read_as_written(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    checkpoint c = {.seq = 1,
                    .step = 999999,
                    .index = UINT32_MAX - 1,
                    .attempt = 4000000000u,
                    .kind = CHECKPOINT_RETRYING,
                    .started_ms = 1700000000001,
                    .ended_ms = 1700000000002,
                    .due_ms = 1700000000003};
    checkpoint_page page;

    c.error = case_json("{\"code\":\"UNAVAILABLE\"}");
    case_append(f, key, 1, &c, 1);
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
    case_assert_payload(page.rows[0].error, "{\"code\":\"UNAVAILABLE\"}");
    checkpoint_page_clear(&page);
    bytes_unref(c.error);
}

static void a_long_history_is_read_in_pages(void **state)
{
    enum { ROWS = 5000 };
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1), after = 0, seen = 0;
    checkpoint *rows = mem_calloc(ROWS, sizeof *rows);
    checkpoint_page page;

    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = fixture_checkpoint(i + 1);
    rows[100].seq = 4001; /* out of order, and no gap in the end */
    rows[4000].seq = 101;
    case_append(f, key, 1, rows, 2500);
    case_append(f, key, 1, rows + 2500, 2500);
    do {
        assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, after, 999, &page, NULL), 0);
        assert_true(page.count <= 999);
        for (size_t i = 0; i < page.count; i++)
            assert_int_equal(page.rows[i].seq, ++seen);
        after = seen;
        checkpoint_page_clear(&page);
    } while (seen < ROWS);
    assert_int_equal(case_count_checkpoints(f, key, 1), ROWS);
    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, ROWS, 0, &page, NULL), 0);
    assert_int_equal(page.count, 0);
    checkpoint_page_clear(&page);
    assert_int_equal(case_count_checkpoints(f, key, 3), 0);
    assert_int_equal(case_count_checkpoints(f, 4711, 1), 0);
    mem_free(rows);
}

static void payloads_of_any_size_and_content(void **state)
{
    static const size_t sizes[] = {0, 1, 999, 4096, 70000, 5u << 20};
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    checkpoint_page page;

    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        checkpoint c = fixture_checkpoint(i + 1);

        c.output = bytes_new(NULL, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            c.output->data[at] = (char)(at * 7 + i); /* no text: a codec may have been at it */
        case_append(f, key, 1, &c, 1);
        assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, i, 0, &page, NULL), 0);
        assert_int_equal(page.count, 1);
        assert_non_null(page.rows[0].output);
        assert_int_equal(page.rows[0].output->len, sizes[i]);
        assert_memory_equal(page.rows[0].output->data, c.output->data, sizes[i]);
        checkpoint_page_clear(&page);
        bytes_unref(c.output);
    }
}

/* ---- inbox and suspension -------------------------------------------------------------------- */

static void the_inbox_counts_and_is_consumed(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1), seq;
    inbox_item item = {.kind = INBOX_SIGNAL, .at_ms = 1700000000005};
    store_unit u = fixture_unit(f, key);
    execution_row row;
    inbox_page page;

    item.payload = case_json("{\"name\":\"approved\"}");
    u.inbox_put = &item;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(item.seq, 1);
    assert_int_equal(case_put_signal(f, key, &seq), 0);
    assert_int_equal(seq, 2);
    assert_int_equal(f->s.ops->load_inbox(f->s.self, key, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.rows[0].seq, 1);
    assert_int_equal(page.rows[0].kind, INBOX_SIGNAL);
    assert_int_equal(page.rows[0].at_ms, 1700000000005);
    case_assert_payload(page.rows[0].payload, "{\"name\":\"approved\"}");
    assert_null(page.rows[1].payload);
    inbox_page_clear(&page);
    u = fixture_unit(f, key);
    u.inbox_consumed = 1;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(case_put_signal(f, key, &seq), 0);
    assert_int_equal(seq, 3); /* numbers are not used again */
    assert_int_equal(f->s.ops->load_inbox(f->s.self, key, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.rows[0].seq, 2);
    inbox_page_clear(&page);
    row = case_load(f, key);
    assert_int_equal(row.inbox_seq, 3);
    execution_row_clear(&row);
    assert_int_equal(case_put_signal(f, 4711, NULL), ORCH_E_NOT_FOUND);
    bytes_unref(item.payload);
}

/* Suspended is refused while there is something that the engine has not seen. */
static void a_suspension_that_missed_a_signal_is_refused(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    execution_update update = {.state = EXECUTION_SUSPENDED, .wake_ms = 1700000003000};
    store_unit u = fixture_unit(f, key);

    assert_int_equal(case_put_signal(f, key, NULL), 0);
    u.update = &update;
    u.must_be_open = u.check_inbox = true;
    case_assert_refused(f, &u, ORCH_E_ABORTED);
    u.inbox_seen = 1;
    u.inbox_consumed = 1;
    assert_int_equal(fixture_run(f, &u), 0);
}

static void what_can_run_is_found(void **state)
{
    store_fixture *f = *state;
    uint64_t keys[10];
    int64_t wake;

    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_true(wake == INT64_MAX);
    for (uint32_t i = 0; i < 10; i++)
        keys[i] = case_accept(f, i);
    assert_int_equal(case_set_state(f, keys[1], EXECUTION_SUCCEEDED, 0), 0);
    assert_int_equal(case_set_state(f, keys[2], EXECUTION_SUSPENDED, 5000), 0);
    assert_int_equal(case_set_state(f, keys[3], EXECUTION_SUSPENDED, 6000), 0);
    assert_int_equal(case_set_state(f, keys[4], EXECUTION_SUSPENDED, 0), 0);
    assert_int_equal(case_set_state(f, keys[5], EXECUTION_SUSPENDED, 0), 0);
    assert_int_equal(case_set_state(f, keys[6], EXECUTION_CANCELLED, 0), 0);
    assert_int_equal(case_set_state(f, keys[9], EXECUTION_SUSPENDED, 4000), 0);
    assert_int_equal(case_put_signal(f, keys[5], NULL), 0);
    assert_int_equal(case_put_signal(f, keys[9], NULL), 0);
    assert_int_equal(case_put_signal(f, keys[6], NULL), 0); /* ended: it will never run */
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_int_equal(wake, 5000); /* keys[9] is awake */
    case_assert_runnable(f, PRIORITY_DEFAULT, NULL,
                         (uint64_t[]){keys[0], keys[5], keys[7], keys[8], keys[9]}, 5);
    case_assert_due(f, 4999, NULL, 0);
    case_assert_due(f, 5000, (uint64_t[]){keys[2]}, 1);
    case_assert_due(f, INT64_MAX, (uint64_t[]){keys[2], keys[3]}, 2);
    assert_int_equal(case_set_state(f, keys[2], EXECUTION_OPEN, 0), 0);
    assert_int_equal(case_set_state(f, keys[9], EXECUTION_TIMED_OUT, 0), 0);
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_int_equal(wake, 6000);
    assert_int_equal(case_set_state(f, keys[3], EXECUTION_SUSPENDED, 7000), 0);
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_int_equal(wake, 7000);
}

static void an_update_changes_the_row(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    execution_update update = {.state = EXECUTION_FAILED, .ended_ms = 1700000009000};
    store_unit u = fixture_unit(f, key);
    execution_row row;

    update.output = case_json("[1,2]");
    update.error = case_json("{\"code\":\"ABORTED\"}");
    u.update = &update;
    u.must_be_open = true;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(fixture_run(f, &u), ORCH_E_FAILED_PRECONDITION); /* an end stands */
    row = case_load(f, key);
    assert_int_equal(row.state, EXECUTION_FAILED);
    assert_int_equal(row.ended_ms, 1700000009000);
    assert_int_equal(row.run, 1);
    case_assert_payload(row.output, "[1,2]");
    case_assert_payload(row.error, "{\"code\":\"ABORTED\"}");
    execution_row_clear(&row);
    bytes_unref(update.output);
    bytes_unref(update.error);
    update = (execution_update){.state = EXECUTION_OPEN};
    u.must_be_open = false;
    u.run = 2; /* a retry */
    assert_int_equal(fixture_run(f, &u), 0);
    u.run = 1; /* and a straggler */
    assert_int_equal(fixture_run(f, &u), 0);
    row = case_load(f, key);
    assert_int_equal(row.state, EXECUTION_OPEN);
    assert_int_equal(row.run, 2);
    assert_int_equal(row.ended_ms, 0);
    assert_null(row.output);
    assert_null(row.error);
    execution_row_clear(&row);
}

int store_writing(const char *name)
{
    static const struct CMUnitTest tests[] = {
        CASE(accepted_is_read_back),
        CASE(an_id_of_the_callers_is_found),
        CASE(duplicates_are_refused_alone),
        CASE(a_refused_unit_leaves_nothing),
        CASE(guards_hold_for_each_operation),
        CASE(a_unit_that_goes_after_a_refused_one_is_refused),
        CASE(a_fenced_unit_spares_its_neighbours),
        CASE(units_come_back_in_order),
        CASE(checkpoints_are_appended_once),
        CASE(a_checkpoint_is_read_as_written),
        CASE(a_long_history_is_read_in_pages),
        CASE(payloads_of_any_size_and_content),
        CASE(the_inbox_counts_and_is_consumed),
        CASE(a_suspension_that_missed_a_signal_is_refused),
        CASE(what_can_run_is_found),
        CASE(an_update_changes_the_row),
    };

    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
