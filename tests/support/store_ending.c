/* Conformance: new runs of what has ended, what was done from outside, settings, and what is deleted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "support/store_cases.h"

#define T0 INT64_C(1700000000000)

static void end(store_fixture *f, uint64_t key, uint32_t run, uint8_t state, int64_t ended_ms)
{
    execution_update update = {.state = state, .ended_ms = ended_ms};
    store_unit u = fixture_unit(f, key);

    u.run = run;
    u.update = &update;
    u.must_be_open = true;
    assert_int_equal(fixture_run(f, &u), 0);
}

/* ---- new runs ------------------------------------------------------------------------------------------------ */

/* It is not in its first run any more. */
static void assert_old_end_refused(store_fixture *f, uint64_t key, uint8_t state)
{
    execution_update update = {.state = state, .ended_ms = T0 + 70};
    store_unit u = fixture_unit(f, key);

    u.update = &update;
    u.must_be_open = true;
    case_assert_refused(f, &u, ORCH_E_FAILED_PRECONDITION);
}

static void a_new_run_keeps_the_end_of_the_old(void **state)
{
    store_fixture *f = *state;
    execution_row row = fixture_row(SHARD, 1), got;
    checkpoint first[2] = {fixture_checkpoint(1), fixture_checkpoint(2)};
    checkpoint carried = fixture_checkpoint(1);
    execution_update failed = {.state = EXECUTION_FAILED, .ended_ms = T0 + 50};
    execution_update open = {.state = EXECUTION_OPEN, .deadline_ms = T0 + 9000};
    store_unit u = fixture_unit(f, row.key);
    run_page runs;

    row.deadline_ms = T0 + 1000;
    failed.error = case_json("{\"code\":\"ABORTED\"}");
    failed.output = case_json("[1]");
    assert_int_equal(fixture_accept(f, &row), 0);
    case_append(f, row.key, 1, first, 2);
    u.update = &failed;
    u.must_be_open = true;
    assert_int_equal(fixture_run(f, &u), 0);
    u = fixture_unit(f, row.key);
    u.must_have_ended = true;
    u.run = 2;
    u.checkpoints = &carried;
    u.checkpoint_count = 1;
    u.update = &open;
    assert_int_equal(fixture_run(f, &u), 0);
    case_assert_refused(f, &u, ORCH_E_FAILED_PRECONDITION); /* it goes on already */
    assert_old_end_refused(f, row.key, EXECUTION_FAILED);
    assert_old_end_refused(f, row.key, EXECUTION_SUCCEEDED);
    got = case_load(f, row.key);
    assert_int_equal(got.run, 2);
    assert_int_equal(got.state, EXECUTION_OPEN);
    assert_int_equal(got.deadline_ms, T0 + 9000); /* counted anew */
    assert_int_equal(got.ended_ms, 0);
    assert_null(got.error);
    execution_row_clear(&got);
    assert_int_equal(case_count_checkpoints(f, row.key, 1), 2);
    assert_int_equal(case_count_checkpoints(f, row.key, 2), 1);
    end(f, row.key, 2, EXECUTION_CANCELLED, T0 + 60);
    u.run = 3;
    u.checkpoint_count = 0;
    open.deadline_ms = 0;
    assert_int_equal(fixture_run(f, &u), 0);
    got = case_load(f, row.key);
    assert_int_equal(got.deadline_ms, 0);
    execution_row_clear(&got);
    assert_int_equal(f->s.ops->load_runs(f->s.self, row.key, &runs, NULL), 0);
    assert_int_equal(runs.count, 2);
    assert_int_equal(runs.rows[0].run, 1);
    assert_int_equal(runs.rows[0].state, EXECUTION_FAILED);
    assert_int_equal(runs.rows[0].ended_ms, T0 + 50);
    case_assert_payload(runs.rows[0].output, "[1]");
    case_assert_payload(runs.rows[0].error, "{\"code\":\"ABORTED\"}");
    assert_int_equal(runs.rows[1].run, 2);
    assert_int_equal(runs.rows[1].state, EXECUTION_CANCELLED);
    assert_null(runs.rows[1].output);
    run_page_clear(&runs);
    bytes_unref(failed.output);
    bytes_unref(failed.error);
}

/* An update of the same run, and one of what has not ended, keep nothing; the deadline stays. */
static void only_an_end_before_a_new_run_is_kept(void **state)
{
    store_fixture *f = *state;
    execution_row row = fixture_row(SHARD, 1), got;
    execution_update open = {.state = EXECUTION_OPEN, .deadline_ms = T0 + 9000};
    store_unit u = fixture_unit(f, row.key);
    run_page runs;

    row.deadline_ms = T0 + 1000;
    assert_int_equal(fixture_accept(f, &row), 0);
    u.update = &open;
    assert_int_equal(fixture_run(f, &u), 0);
    got = case_load(f, row.key);
    assert_int_equal(got.deadline_ms, T0 + 1000);
    execution_row_clear(&got);
    u.run = 2; /* without an end */
    assert_int_equal(fixture_run(f, &u), 0);
    end(f, row.key, 2, EXECUTION_SUCCEEDED, T0 + 50);
    assert_int_equal(f->s.ops->load_runs(f->s.self, row.key, &runs, NULL), 0);
    assert_int_equal(runs.count, 0);
    run_page_clear(&runs);
    assert_int_equal(f->s.ops->load_runs(f->s.self, 4711, &runs, NULL), 0);
    assert_int_equal(runs.count, 0);
    run_page_clear(&runs);
}

/* It is where its new state says, whatever it was before. */
static void a_new_run_is_found_like_a_first(void **state)
{
    static const uint8_t ends[] = {EXECUTION_SUCCEEDED, EXECUTION_FAILED, EXECUTION_CANCELLED,
                                   EXECUTION_TIMED_OUT};
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1), open_count;

    for (uint32_t i = 0; i < 8; i++) {
        execution_update open = {.state = EXECUTION_OPEN};
        execution_filter filter = {.states = 1u << ends[i % 4]};
        store_unit u = fixture_unit(f, key);

        end(f, key, i + 1, ends[i % 4], T0 + 10 + i);
        case_assert_listed(f, filter, &key, 1);
        filter.ended_from_ms = T0 + 10 + i;
        case_assert_listed(f, filter, &key, 1);
        assert_int_equal(f->s.ops->count_open(f->s.self, &open_count, NULL), 0);
        assert_int_equal(open_count, 0);
        u.must_have_ended = true;
        u.run = i + 2;
        u.update = &open;
        assert_int_equal(fixture_run(f, &u), 0);
        case_assert_listed(f, filter, NULL, 0);
        case_assert_runnable(f, PRIORITY_DEFAULT, NULL, &key, 1);
        assert_int_equal(f->s.ops->count_open(f->s.self, &open_count, NULL), 0);
        assert_int_equal(open_count, 1);
    }
}

/* ---- controls ------------------------------------------------------------------------------------------------ */

static uint64_t add_control(store_fixture *f, uint64_t execution, const char *why)
{
    char action[] = "pause", who[] = "ann", text[20];
    control_row row = {.execution = execution, .at_ms = T0, .action = action, .who = who};
    store_unit u = fixture_unit(f, execution);

    snprintf(text, sizeof text, "%s", why);
    row.why = text;
    u.control = &row;
    assert_int_equal(fixture_run(f, &u), 0);
    return row.seq;
}

static void controls_are_numbered_by_execution(void **state)
{
    store_fixture *f = *state;
    uint64_t a = case_accept(f, 1), b = case_accept(f, 2);
    control_page page;

    assert_int_equal(add_control(f, a, "1"), 1);
    assert_int_equal(add_control(f, a, "2"), 2);
    assert_int_equal(add_control(f, b, "1"), 1);
    assert_int_equal(add_control(f, 0, "1"), 1); /* of a workflow, or of everything */
    assert_int_equal(add_control(f, a, "3"), 3);
    assert_int_equal(add_control(f, 0, "2"), 2);
    assert_int_equal(f->s.ops->load_controls(f->s.self, a, 0, 0, &page, NULL), 0);
    assert_int_equal(page.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(page.rows[i].seq, i + 1);
        assert_int_equal(page.rows[i].execution, a);
        assert_int_equal(page.rows[i].at_ms, T0);
        assert_string_equal(page.rows[i].action, "pause");
        assert_string_equal(page.rows[i].who, "ann");
        assert_int_equal(page.rows[i].why[0], '1' + (int)i);
        assert_null(page.rows[i].detail);
    }
    control_page_clear(&page);
    assert_int_equal(f->s.ops->load_controls(f->s.self, a, 1, 1, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.rows[0].seq, 2);
    control_page_clear(&page);
    assert_int_equal(f->s.ops->load_controls(f->s.self, 0, 1, 0, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    control_page_clear(&page);
    assert_int_equal(f->s.ops->load_controls(f->s.self, 4711, 0, 0, &page, NULL), 0);
    assert_int_equal(page.count, 0);
    control_page_clear(&page);
}

static void the_newest_controls_are_kept(void **state)
{
    enum { MORE = 25, ALL = 2 * CONTROLS_KEPT + MORE };
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    char action[] = "signal";
    control_row *rows = mem_calloc(ALL, sizeof *rows);
    store_unit *units = mem_calloc(ALL, sizeof *units);
    control_page page;

    for (int i = 0; i < ALL; i++) {
        rows[i] = (control_row){.execution = key, .at_ms = i, .action = action};
        units[i] = fixture_unit(f, key);
        units[i].control = &rows[i];
        fixture_submit(f, &units[i]);
    }
    fixture_flush(f);
    fixture_wait(f, ALL);
    assert_int_equal(f->s.ops->load_controls(f->s.self, key, 0, 0, &page, NULL), 0);
    assert_int_equal(page.count, CONTROLS_KEPT);
    for (size_t i = 0; i < page.count; i++)
        assert_int_equal(page.rows[i].seq, CONTROLS_KEPT + MORE + 1 + i);
    control_page_clear(&page);
    mem_free(rows);
    mem_free(units);
}

/* ---- settings ------------------------------------------------------------------------------------------------ */

static void put_setting(store_fixture *f, const char *name, const char *value)
{
    char text[32];
    setting_row row = {.name = text, .value = value ? case_json(value) : NULL};
    store_unit u = fixture_unit(f, 0);

    snprintf(text, sizeof text, "%s", name);
    u.put_setting = &row;
    assert_int_equal(fixture_run(f, &u), 0);
    bytes_unref(row.value);
}

static void assert_settings(store_fixture *f, const char *prefix, const char *const *rows, size_t n)
{
    setting_page page;

    assert_int_equal(f->s.ops->load_settings(f->s.self, prefix, &page, NULL), 0);
    assert_int_equal(page.count, n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(page.rows[i].name, rows[2 * i]);
        case_assert_payload(page.rows[i].value, rows[2 * i + 1]);
    }
    setting_page_clear(&page);
}

static void settings_are_put_and_taken_away(void **state)
{
    static const char *const all[] = {"limit/",         "0", "limit/a", "1", "limit/b", "2",
                                      "limit/\xc3\xbc", "3", "limit0",  "4", "pause/",  "5"};
    static const char *const fewer[] = {"limit/", "0", "limit/b", "7", "limit/\xc3\xbc", "3"};
    store_fixture *f = *state;

    assert_settings(f, "", NULL, 0);
    for (int i = 5; i >= 0; i--)
        put_setting(f, all[2 * i], all[2 * i + 1]);
    assert_settings(f, "", all, 6);
    assert_settings(f, "limit/", all, 4);
    assert_settings(f, "limit/\xc3", all + 6, 1);
    assert_settings(f, "pause/", all + 10, 1);
    assert_settings(f, "pause/x", NULL, 0);
    put_setting(f, "limit/b", "7");
    put_setting(f, "limit/a", NULL);
    put_setting(f, "limit/a", NULL); /* again is harmless */
    assert_settings(f, "limit/", fewer, 3);
}

/* ---- what is deleted ----------------------------------------------------------------------------------------- */

/* Something of everything that may belong to an execution. */
static uint64_t make_whole(store_fixture *f, uint32_t n, char *id)
{
    char workflow[] = "w", limit[] = "a", action[] = "retry";
    execution_row row = fixture_row(SHARD, n);
    start_key k = {.workflow = workflow, .key = id, .now_ms = T0};
    control_row control = {.execution = row.key, .action = action};
    checkpoint c = fixture_checkpoint(1);
    execution_update open = {.state = EXECUTION_OPEN};
    store_unit u = fixture_unit(f, 0);

    row.id = id;
    row.limit_key = limit;
    row.parent = 4711;
    row.attributes = case_json("{\"region\":\"eu\"}");
    u.shard = SHARD;
    u.accept = &row;
    u.start_key = &k;
    assert_int_equal(fixture_run(f, &u), 0);
    case_append(f, row.key, 1, &c, 1);
    assert_int_equal(case_put_signal(f, row.key, NULL), 0);
    end(f, row.key, 1, EXECUTION_FAILED, T0 + 5);
    u = fixture_unit(f, row.key);
    u.must_have_ended = true;
    u.run = 2;
    u.update = &open;
    u.checkpoints = &c;
    u.checkpoint_count = 1;
    u.control = &control;
    assert_int_equal(fixture_run(f, &u), 0);
    bytes_unref(row.attributes);
    return row.key;
}

static void what_is_purged_is_gone(void **state)
{
    store_fixture *f = *state;
    char id[] = "order/17", other_id[] = "order/18";
    uint64_t other = make_whole(f, 1, other_id), key;
    char *before = store_dump(&f->s), *after;
    execution_row row;

    key = make_whole(f, 2, id);
    assert_int_equal(case_purge(f, key), ORCH_E_FAILED_PRECONDITION); /* it is open */
    assert_int_equal(case_set(f, key, 1, -1), 0);
    case_suspend(f, key, T0 + 100, 0);
    assert_int_equal(case_purge(f, key), ORCH_E_FAILED_PRECONDITION);
    end(f, key, 2, EXECUTION_TIMED_OUT, T0 + 9);
    assert_int_equal(case_purge(f, key), 0);
    assert_int_equal(case_purge(f, key), ORCH_E_NOT_FOUND);
    after = store_dump(&f->s);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
    assert_int_equal(f->s.ops->load_execution(f->s.self, 0, id, &row, NULL), ORCH_E_NOT_FOUND);
    assert_int_equal(case_count_checkpoints(f, key, 1) + case_count_checkpoints(f, key, 2), 0);
    assert_int_equal(make_whole(f, 2, id), key); /* its key, id and start key are free again */
    case_assert_listed(f, (execution_filter){.parent = 4711, .ascending = true},
                       (uint64_t[]){other, key}, 2);
    case_assert_listed(f, (execution_filter){.attribute = "region", .attribute_value = " \"eu\" "},
                       (uint64_t[]){key, other}, 2);
}

static void an_end_and_a_purge_are_one_unit_too(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1), open;
    execution_update update = {.state = EXECUTION_SUCCEEDED};
    store_unit u = fixture_unit(f, key);
    execution_row row;

    u.update = &update;
    u.purge = true;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(f->s.ops->load_execution(f->s.self, key, NULL, &row, NULL), ORCH_E_NOT_FOUND);
    assert_int_equal(f->s.ops->count_open(f->s.self, &open, NULL), 0);
    assert_int_equal(open, 0);
}

/* Many of both ends of the table: what is left is found and in order. */
static void purges_leave_the_rest_in_order(void **state)
{
    enum { ROWS = 400 };
    store_fixture *f = *state;
    uint64_t keys[ROWS], left[ROWS];
    size_t n = 0;

    for (uint32_t i = 0; i < ROWS; i++) {
        keys[i] = case_accept(f, i);
        if (i % 7 != 3)
            assert_int_equal(case_set_state(f, keys[i], EXECUTION_SUCCEEDED, 0), 0);
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t at = i % 2 ? ROWS - 1 - i / 2 : i / 2;

        if (at % 7 != 3 && at % 5 != 0)
            assert_int_equal(case_purge(f, keys[at]), 0);
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        if (i % 7 == 3 || i % 5 == 0)
            left[n++] = keys[i];
    }
    case_assert_listed(f, (execution_filter){.ascending = true, .limit = 50}, left, n);
    for (size_t i = 0; i < n; i++) {
        execution_row row = case_load(f, left[i]);

        execution_row_clear(&row);
    }
    keys[0] = case_accept(f, ROWS); /* and it grows again */
    left[n++] = keys[0];
    case_assert_listed(f, (execution_filter){.ascending = true, .limit = 50}, left, n);
}

/* ---- what is to be deleted ----------------------------------------------------------------------------------- */

static void assert_expired(store_fixture *f, int64_t ended_before_ms, uint64_t keep, uint32_t limit,
                           const uint64_t *keys, size_t n)
{
    uint64_t got[50];
    uint32_t count = 99;

    assert_int_equal(
        f->s.ops->load_expired(f->s.self, ended_before_ms, keep, limit, got, &count, NULL), 0);
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got[i], keys[i]);
}

static void the_oldest_ends_expire_first(void **state)
{
    static const int64_t ended[] = {50, 10, 40, 0, 30, 20, 20};
    store_fixture *f = *state;
    uint64_t k[7];

    for (uint32_t i = 0; i < 7; i++) {
        k[i] = case_accept(f, i);
        if (ended[i])
            end(f, k[i], 1, i % 2 ? EXECUTION_SUCCEEDED : EXECUTION_FAILED, T0 + ended[i]);
    }
    assert_expired(f, 0, 0, 50, NULL, 0);
    assert_expired(f, T0 + 20, 0, 50, &k[1], 1);
    assert_expired(f, T0 + 21, 0, 50, (uint64_t[]){k[1], k[5], k[6]}, 3);
    assert_expired(f, T0 + 1000, 0, 2, (uint64_t[]){k[1], k[5]}, 2);
    assert_expired(f, T0 + 1000, 0, 2, (uint64_t[]){k[1], k[5]}, 2); /* they are still there */
    assert_expired(f, 0, 4, 50, (uint64_t[]){k[1], k[5]}, 2);
    assert_expired(f, 0, 6, 50, NULL, 0);
    assert_expired(f, 0, 100, 50, NULL, 0);
    assert_expired(f, T0 + 21, 5, 50, (uint64_t[]){k[1], k[5], k[6]}, 3); /* by either */
    assert_expired(f, T0 + 11, 3, 50, (uint64_t[]){k[1], k[5], k[6]}, 3);
    assert_int_equal(case_purge(f, k[1]), 0);
    assert_int_equal(case_purge(f, k[5]), 0);
    assert_expired(f, 0, 3, 50, &k[6], 1);
    assert_expired(f, T0 + 1000, 0, 50, (uint64_t[]){k[6], k[4], k[2], k[0]}, 4);
}

static void a_child_stays_while_its_parent_is_open(void **state)
{
    store_fixture *f = *state;
    uint64_t parent = case_accept(f, 0), children[3];

    for (uint32_t i = 0; i < 3; i++) {
        execution_row row = fixture_row(SHARD, 1 + i);

        row.parent = i < 2 ? parent : 4711; /* the last one's is no longer there */
        assert_int_equal(fixture_accept(f, &row), 0);
        children[i] = row.key;
        end(f, row.key, 1, EXECUTION_SUCCEEDED, T0 + 1 + i);
    }
    assert_expired(f, T0 + 100, 0, 50, &children[2], 1);
    assert_expired(f, T0 + 100, 1, 50, &children[2], 1);
    case_suspend(f, parent, 0, 0); /* asleep is open too */
    assert_expired(f, T0 + 100, 0, 50, &children[2], 1);
    end(f, parent, 1, EXECUTION_FAILED, T0 + 200);
    assert_expired(f, T0 + 100, 0, 50, children, 3);
    assert_expired(f, T0 + 100, 0, 1, children, 1);
}

/* More of them than one call looks at: what lies behind is reached all the same, and they are not forgotten. */
static void what_stays_does_not_hide_the_rest(void **state)
{
    enum { CHILDREN = 25000 };
    store_fixture *f = *state;
    uint64_t parent = case_accept(f, 0), last, got[10];
    uint64_t *keys = mem_calloc(CHILDREN, sizeof *keys);
    execution_row *rows = mem_calloc(CHILDREN, sizeof *rows);
    store_unit *units = mem_calloc(CHILDREN, sizeof *units);
    uint32_t count = 0;

    for (uint32_t i = 0; i < CHILDREN; i++) {
        rows[i] = fixture_row(SHARD, 10 + i);
        rows[i].state = EXECUTION_SUCCEEDED;
        rows[i].ended_ms = T0 + i / 10;
        rows[i].parent = parent;
        units[i] = fixture_unit(f, 0);
        units[i].shard = SHARD;
        units[i].accept = &rows[i];
        fixture_submit(f, &units[i]);
    }
    fixture_flush(f);
    fixture_wait(f, CHILDREN);
    for (uint32_t i = 0; i < CHILDREN; i++)
        keys[i] = rows[i].key;
    /* By a range of time that says little, either way, and by one that says much. */
    case_assert_listed(f, (execution_filter){.ended_from_ms = T0, .ascending = true, .limit = 700},
                       keys, CHILDREN);
    case_assert_listed(
        f,
        (execution_filter){
            .ended_from_ms = T0 + 1000, .ended_to_ms = T0 + 2001, .ascending = true, .limit = 700},
        keys + 10000, 10010);
    case_assert_listed(
        f,
        (execution_filter){
            .ended_from_ms = T0 + 1000, .ended_to_ms = T0 + 2000, .ascending = true, .limit = 700},
        keys + 10000, 10000);
    last = case_accept(f, CHILDREN + 20);
    end(f, last, 1, EXECUTION_SUCCEEDED, T0 + CHILDREN);
    for (int calls = 0; count == 0; calls++) {
        assert_true(calls < 10);
        assert_int_equal(
            f->s.ops->load_expired(f->s.self, T0 + 2 * CHILDREN, 0, 10, got, &count, NULL), 0);
    }
    assert_int_equal(count, 1);
    assert_int_equal(got[0], last);
    assert_int_equal(case_purge(f, last), 0);
    end(f, parent, 1, EXECUTION_SUCCEEDED, T0 + 3 * CHILDREN);
    count = 0;
    for (int calls = 0; count == 0 || got[0] != rows[0].key; calls++) {
        assert_true(calls < 10);
        assert_int_equal(
            f->s.ops->load_expired(f->s.self, T0 + 2 * CHILDREN, 0, 10, got, &count, NULL), 0);
    }
    assert_int_equal(count, 10);
    mem_free(keys);
    mem_free(rows);
    mem_free(units);
}

int store_ending(const char *name)
{
    static const struct CMUnitTest tests[] = {
        CASE(a_new_run_keeps_the_end_of_the_old),
        CASE(only_an_end_before_a_new_run_is_kept),
        CASE(a_new_run_is_found_like_a_first),
        CASE(controls_are_numbered_by_execution),
        CASE(the_newest_controls_are_kept),
        CASE(settings_are_put_and_taken_away),
        CASE(what_is_purged_is_gone),
        CASE(an_end_and_a_purge_are_one_unit_too),
        CASE(purges_leave_the_rest_in_order),
        CASE(the_oldest_ends_expire_first),
        CASE(a_child_stays_while_its_parent_is_open),
        CASE(what_stays_does_not_hide_the_rest),
    };

    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
