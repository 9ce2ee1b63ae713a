/* Conformance: how executions start, who is next, and what is asleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "support/store_cases.h"

#define T0 INT64_C(1700000000000)

static char orders[] = "orders", returns[] = "returns";

static int32_t start(store_fixture *f, execution_row *row, start_key *k)
{
    store_unit u = fixture_unit(f, 0);

    u.shard = execution_key_shard(row->key);
    u.accept = row;
    u.start_key = k;
    return fixture_run(f, &u);
}

static start_key key_of(char *workflow, char *key, uint8_t policy)
{
    start_key k = {
        .workflow = workflow, .key = key, .policy = policy, .now_ms = T0, .existing = 77};

    return k;
}

/* ---- origin -------------------------------------------------------------------------------------------------- */

static void where_it_came_from_is_read_back(void **state)
{
    store_fixture *f = *state;
    char limit[] = "tenant/7", affinity[] = "customer-1";
    execution_row row = fixture_row(SHARD, 1), got;
    execution_filter filter = {0};
    execution_page page;

    row.priority = 9;
    row.abandoned = true;
    row.by_task = true;
    row.depth = 31;
    row.parent = 4711;
    row.parent_run = 2;
    row.parent_step = STEP_NONE;
    row.parent_index = INDEX_NONE;
    row.parent_attempt = 3;
    row.limit_key = limit;
    row.affinity = affinity;
    row.attributes = case_json("{\"region\":\"eu\",\"n\":1.50}");
    assert_int_equal(fixture_accept(f, &row), 0);
    for (int i = 0; i < 3; i++) {
        if (i == 0)
            got = case_load(f, row.key);
        else if (i == 1)
            assert_int_equal(f->s.ops->list_executions(f->s.self, &filter, &page, NULL), 0);
        else
            assert_int_equal(f->s.ops->load_runnable(f->s.self, 9, NULL, 0, 0, &page, NULL), 0);
        if (i > 0)
            got = page.rows[0];
        assert_int_equal(got.priority, 9);
        assert_true(got.abandoned);
        assert_true(got.by_task);
        assert_int_equal(got.depth, 31);
        assert_int_equal(got.parent, 4711);
        assert_int_equal(got.parent_run, 2);
        assert_int_equal(got.parent_step, STEP_NONE);
        assert_int_equal(got.parent_index, INDEX_NONE);
        assert_int_equal(got.parent_attempt, 3);
        assert_string_equal(got.limit_key, "tenant/7");
        assert_string_equal(got.affinity, "customer-1");
        case_assert_payload(got.attributes, "{\"region\":\"eu\",\"n\":1.50}"); /* as it was given */
        if (i == 0)
            execution_row_clear(&got);
        else
            execution_page_clear(&page);
    }
    bytes_unref(row.attributes);
}

/* A child is accepted while its parent is open, and not after. */
static void a_child_needs_an_open_parent(void **state)
{
    store_fixture *f = *state;
    execution_row parent = fixture_row(SHARD, 1);
    store_unit u = {.term = f->term, .shard = SHARD, .must_be_open = true};

    for (uint32_t i = 0; i < 3; i++) { /* before there is one, while it is open, after its end */
        execution_row child = fixture_row(SHARD, 10 + i), got;

        child.parent = u.key = parent.key;
        child.by_task = true;
        u.accept = &child;
        assert_int_equal(fixture_run(f, &u), i == 1 ? 0 : ORCH_E_FAILED_PRECONDITION);
        if (i == 0)
            assert_int_equal(fixture_accept(f, &parent), 0);
        if (i != 1) {
            assert_int_equal(f->s.ops->load_execution(f->s.self, child.key, NULL, &got, NULL),
                             ORCH_E_NOT_FOUND);
            continue;
        }
        got = case_load(f, child.key);
        assert_true(got.parent == parent.key && got.by_task);
        execution_row_clear(&got);
        got = case_load(f, parent.key);
        assert_true(got.state == EXECUTION_OPEN && !got.parent);
        execution_row_clear(&got);
        assert_int_equal(case_set_state(f, parent.key, EXECUTION_FAILED, 0), 0);
    }
}

static void wrong_attributes_start_nothing(void **state)
{
    static const char *const wrong[] = {"[]",           "1",          "{",
                                        "{\"a\":null}", "{\"a\":{}}", "{\"a\":1,\"a\":2}"};
    static const char *const right[] = {"{}", "{\"a\":true}", "{\"\":\"\"}"};
    store_fixture *f = *state;

    for (uint32_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        execution_row row = fixture_row(SHARD, i);

        row.attributes = case_json(wrong[i]);
        assert_int_equal(fixture_accept(f, &row), ORCH_E_INVALID_ARGUMENT);
        bytes_unref(row.attributes);
    }
    for (uint32_t i = 0; i < sizeof right / sizeof *right; i++) {
        execution_row row = fixture_row(SHARD, i);

        row.attributes = case_json(right[i]);
        assert_int_equal(fixture_accept(f, &row), 0);
        bytes_unref(row.attributes);
    }
}

/* ---- start keys ---------------------------------------------------------------------------------------------- */

static void a_start_key_is_taken_once(void **state)
{
    store_fixture *f = *state;
    char one[] = "one", two[] = "two", id[] = "named";
    execution_row row = fixture_row(SHARD, 1), next = fixture_row(SHARD, 2);
    start_key k = key_of(orders, one, START_KEY_RETURN);

    assert_int_equal(start(f, &row, &k), 0);
    assert_int_equal(k.existing, 0);
    for (int policy = START_KEY_RETURN; policy <= START_KEY_ANEW; policy++) {
        k = key_of(orders, one, (uint8_t)policy);
        assert_int_equal(start(f, &next, &k), ORCH_E_ALREADY_EXISTS);
        assert_int_equal(k.existing, row.key);
    }
    k = key_of(returns, one, START_KEY_REFUSE); /* of another workflow */
    assert_int_equal(start(f, &next, &k), 0);
    assert_int_equal(k.existing, 0);
    next = fixture_row(SHARD, 3);
    next.id = id;
    k = key_of(orders, two, START_KEY_RETURN);
    assert_int_equal(start(f, &next, &k), 0);
    k = key_of(orders, two,
               START_KEY_RETURN); /* the same start again: its key is looked at first */
    assert_int_equal(start(f, &next, &k), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(k.existing, next.key);
    one[0] = 'x'; /* a new key, but the id is taken */
    k = key_of(orders, one, START_KEY_RETURN);
    assert_int_equal(start(f, &next, &k), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(k.existing, 0);
    next = fixture_row(SHARD, 4); /* so that key was not taken by it */
    assert_int_equal(start(f, &next, &k), 0);
}

static void a_key_is_free_anew_once_its_execution_has_ended(void **state)
{
    store_fixture *f = *state;
    char one[] = "one";
    execution_row rows[3] = {fixture_row(SHARD, 1), fixture_row(SHARD, 2), fixture_row(SHARD, 3)};
    start_key k = key_of(orders, one, START_KEY_ANEW);
    execution_filter filter = {.start_key = one, .ascending = true};

    assert_int_equal(start(f, &rows[0], &k), 0);
    assert_int_equal(case_set_state(f, rows[0].key, EXECUTION_FAILED, 0), 0);
    k = key_of(orders, one, START_KEY_RETURN); /* ended or not, it is the answer */
    assert_int_equal(start(f, &rows[1], &k), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(k.existing, rows[0].key);
    k = key_of(orders, one, START_KEY_ANEW);
    assert_int_equal(start(f, &rows[1], &k), 0);
    k = key_of(orders, one, START_KEY_ANEW);
    assert_int_equal(start(f, &rows[2], &k), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(k.existing, rows[1].key);
    case_assert_listed(f, filter, (uint64_t[]){rows[0].key, rows[1].key}, 2); /* both were */
    assert_int_equal(case_purge(f, rows[0].key), 0); /* who no longer has it */
    k = key_of(orders, one, START_KEY_RETURN);
    assert_int_equal(start(f, &rows[2], &k), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(case_set_state(f, rows[1].key, EXECUTION_SUCCEEDED, 0), 0);
    assert_int_equal(case_purge(f, rows[1].key), 0); /* who has */
    k = key_of(orders, one, START_KEY_RETURN);
    assert_int_equal(start(f, &rows[2], &k), 0);
    case_assert_listed(f, filter, (uint64_t[]){rows[2].key}, 1);
}

static void a_key_expires(void **state)
{
    store_fixture *f = *state;
    char one[] = "one";
    execution_row rows[2] = {fixture_row(SHARD, 1), fixture_row(SHARD, 2)};
    start_key k = key_of(orders, one, START_KEY_RETURN);

    k.expires_ms = T0 + 100;
    assert_int_equal(start(f, &rows[0], &k), 0);
    k.now_ms = T0 + 99;
    assert_int_equal(start(f, &rows[1], &k), ORCH_E_ALREADY_EXISTS);
    k.now_ms = T0 + 100;
    k.expires_ms = 0;
    assert_int_equal(start(f, &rows[1], &k), 0); /* though the first is open */
    k.now_ms = T0 + 100000000;
    rows[0] = fixture_row(SHARD, 3);
    assert_int_equal(start(f, &rows[0], &k), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(k.existing, rows[1].key);
}

/* Of many that come at once one starts. */
static void of_one_batch_one_start_has_the_key(void **state)
{
    store_fixture *f = *state;
    char one[] = "one";
    execution_row rows[30];
    start_key keys[30];
    store_unit units[30];

    for (uint32_t i = 0; i < 30; i++) {
        rows[i] = fixture_row(SHARD, i);
        keys[i] = key_of(orders, one, START_KEY_RETURN);
        units[i] = fixture_unit(f, 0);
        units[i].shard = SHARD;
        units[i].accept = &rows[i];
        units[i].start_key = &keys[i];
        fixture_submit(f, &units[i]);
    }
    fixture_flush(f);
    fixture_wait(f, 30);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(units[i].result, i ? ORCH_E_ALREADY_EXISTS : 0);
        assert_int_equal(keys[i].existing, i ? rows[0].key : 0);
    }
}

/* ---- a start with a history ---------------------------------------------------------------------------------- */

static void a_fork_starts_with_what_was_done(void **state)
{
    store_fixture *f = *state;
    execution_row row = fixture_row(SHARD, 1);
    checkpoint rows[3] = {fixture_checkpoint(1), fixture_checkpoint(2), fixture_checkpoint(3)};
    char action[] = "fork", who[] = "ann";
    control_row control = {.execution = row.key, .at_ms = T0, .action = action, .who = who};
    store_unit u = fixture_unit(f, row.key);
    control_page controls;

    u.accept = &row;
    u.checkpoints = rows;
    u.checkpoint_count = 3;
    u.control = &control;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(control.seq, 1);
    assert_int_equal(case_count_checkpoints(f, row.key, 1), 3);
    assert_int_equal(f->s.ops->load_controls(f->s.self, row.key, 0, 0, &controls, NULL), 0);
    assert_int_equal(controls.count, 1);
    control_page_clear(&controls);
    case_assert_runnable(f, PRIORITY_DEFAULT, NULL, &row.key, 1);
    case_assert_refused(f, &u, ORCH_E_ALREADY_EXISTS);
}

/* ---- who is next --------------------------------------------------------------------------------------------- */

static uint64_t accept_with(store_fixture *f, uint32_t n, uint8_t priority, char *limit_key,
                            bool paused)
{
    execution_row row = fixture_row(SHARD, n);

    row.priority = priority;
    row.limit_key = limit_key;
    row.paused = paused;
    assert_int_equal(fixture_accept(f, &row), 0);
    return row.key;
}

static void who_is_next_is_found_by_priority_and_limit(void **state)
{
    store_fixture *f = *state;
    char a[] = "a", b[] = "b";
    uint64_t k[9];

    k[0] = accept_with(f, 0, 5, NULL, false);
    k[1] = accept_with(f, 1, 5, a, false);
    k[2] = accept_with(f, 2, 0, a, false);
    k[3] = accept_with(f, 3, 9, b, false);
    k[4] = accept_with(f, 4, 5, a, true);
    k[5] = accept_with(f, 5, 9, NULL, false);
    k[6] = accept_with(f, 6, 5, b, false);
    k[7] = accept_with(f, 7, 5, a, false);
    k[8] = accept_with(f, 8, 5, NULL, true);
    case_assert_runnable(f, 5, NULL, (uint64_t[]){k[0], k[1], k[6], k[7]}, 4);
    case_assert_runnable(f, 9, NULL, (uint64_t[]){k[3], k[5]}, 2);
    case_assert_runnable(f, 0, NULL, &k[2], 1);
    case_assert_runnable(f, 3, NULL, NULL, 0);
    case_assert_runnable(f, 5, "a", (uint64_t[]){k[1], k[7]}, 2);
    case_assert_runnable(f, 0, "a", &k[2], 1);
    case_assert_runnable(f, 5, "c", NULL, 0);
    assert_int_equal(case_set(f, k[1], -1, 0), 0);  /* another priority */
    assert_int_equal(case_set(f, k[4], 0, -1), 0);  /* goes on */
    assert_int_equal(case_set(f, k[7], 1, -1), 0);  /* is paused */
    assert_int_equal(case_set(f, k[8], 0, 9), 0);   /* both at once */
    assert_int_equal(case_set(f, k[6], -1, -1), 0); /* nothing */
    case_assert_runnable(f, 5, NULL, (uint64_t[]){k[0], k[4], k[6]}, 3);
    case_assert_runnable(f, 5, "a", &k[4], 1);
    case_assert_runnable(f, 0, "a", (uint64_t[]){k[1], k[2]}, 2);
    case_assert_runnable(f, 9, NULL, (uint64_t[]){k[3], k[5], k[8]}, 3);
    assert_int_equal(case_set_state(f, k[1], EXECUTION_SUCCEEDED, 0), 0);
    case_suspend(f, k[2], T0 + 1, 0);
    assert_int_equal(case_set_state(f, k[4], EXECUTION_FAILED, 0), 0);
    assert_int_equal(case_set_state(f, k[0], EXECUTION_SUCCEEDED, 0), 0);
    case_assert_runnable(f, 0, "a", NULL, 0);
    case_assert_runnable(f, 5, "a", NULL, 0);
    case_assert_runnable(f, 5, NULL, &k[6], 1);
    assert_int_equal(case_put_signal(f, k[2], NULL), 0);
    case_assert_runnable(f, 0, "a", &k[2], 1); /* awake again */
    assert_int_equal(case_set(f, 4711, 1, 1), ORCH_E_NOT_FOUND);
}

/* ---- what is asleep ------------------------------------------------------------------------------------------ */

static void a_delayed_start_waits_for_its_time(void **state)
{
    store_fixture *f = *state;
    execution_row row = fixture_row(SHARD, 1);
    inbox_item signal = {.kind = INBOX_SIGNAL}, cancel = {.kind = INBOX_CANCEL};
    store_unit u;
    int64_t wake;

    row.state = EXECUTION_SUSPENDED;
    row.wake_ms = T0 + 5000;
    row.wake_inbox = WAKE_NEVER;
    assert_int_equal(fixture_accept(f, &row), 0);
    case_assert_runnable(f, PRIORITY_DEFAULT, NULL, NULL, 0);
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_int_equal(wake, T0 + 5000);
    u = fixture_unit(f, row.key);
    u.inbox_put = &signal;
    u.inbox_urgency = INBOX_URGENT;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_false(u.inbox_woke);
    case_assert_due(f, T0 + 5000, &row.key, 1);
    u.inbox_put = &cancel;
    u.inbox_urgency = INBOX_FORCED;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_true(u.inbox_woke);
    case_assert_runnable(f, PRIORITY_DEFAULT, NULL, &row.key, 1);
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_true(wake == INT64_MAX);
}

/* What waits is not woken for its wait while it is paused, but its deadline holds. */
static void the_paused_wake_for_their_deadline_only(void **state)
{
    store_fixture *f = *state;
    execution_row rows[3] = {fixture_row(SHARD, 1), fixture_row(SHARD, 2), fixture_row(SHARD, 3)};
    int64_t wake;

    rows[0].deadline_ms = T0 + 9000;
    rows[1].deadline_ms = 0;
    rows[2].deadline_ms = T0 + 7000;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fixture_accept(f, &rows[i]), 0);
        case_suspend(f, rows[i].key, T0 + 1000 + i, 0);
        if (i < 2)
            assert_int_equal(case_set(f, rows[i].key, 1, -1), 0);
    }
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_int_equal(wake, T0 + 1002);
    case_assert_due(f, T0 + 8999, &rows[2].key, 1);
    case_assert_due(f, T0 + 9000, (uint64_t[]){rows[0].key, rows[2].key}, 2);
    case_assert_due(f, INT64_MAX, (uint64_t[]){rows[0].key, rows[2].key}, 2);
    assert_int_equal(case_set_state(f, rows[2].key, EXECUTION_SUCCEEDED, 0), 0);
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_int_equal(wake, T0 + 9000);
    assert_int_equal(case_set(f, rows[1].key, 0, -1),
                     0); /* it goes on: its wait is over long ago */
    assert_int_equal(f->s.ops->next_wake(f->s.self, &wake, NULL), 0);
    assert_int_equal(wake, T0 + 1001);
    assert_int_equal(case_set(f, rows[2].key, 1, -1), 0); /* ended: nothing wakes it */
    case_assert_due(f, INT64_MAX, (uint64_t[]){rows[0].key, rows[1].key}, 2);
}

/* ---- imports --------------------------------------------------------------------------------------------- */

static char act[] = "retry", ann[] = "ann";

/* Of an execution that failed and then succeeded, with what was done to it. */
typedef struct imported {
    execution_row row;
    checkpoint first[2], second[1];
    run_row end;
    past_run runs[2];
    control_row controls[2];
    store_past past;
} imported;

static void make_import(imported *i, uint32_t n)
{
    memset(i, 0, sizeof *i);
    i->row = fixture_row(SHARD, n);
    i->row.run = 2;
    i->row.state = EXECUTION_SUCCEEDED;
    i->row.ended_ms = T0 + 900;
    i->row.output = case_json("{\"r\":2}");
    i->first[0] = fixture_checkpoint(1);
    i->first[1] = fixture_checkpoint(2);
    i->second[0] = fixture_checkpoint(1);
    i->second[0].output = case_json("\"of the second\"");
    i->end = (run_row){.run = 1,
                       .state = EXECUTION_FAILED,
                       .ended_ms = T0 + 500,
                       .error = case_json("{\"code\":\"ABORTED\",\"message\":\"no\"}")};
    i->runs[0] = (past_run){1, i->first, 2, &i->end};
    i->runs[1] = (past_run){2, i->second, 1, NULL};
    for (int c = 0; c < 2; c++)
        i->controls[c] = (control_row){
            .execution = i->row.key, .at_ms = T0 + 600 + c, .action = act, .who = c ? ann : NULL};
    i->past = (store_past){i->runs, 2, i->controls, 2};
}

static void free_import(imported *i)
{
    bytes_unref(i->row.output);
    bytes_unref(i->second[0].output);
    bytes_unref(i->end.error);
}

static int32_t import(store_fixture *f, imported *i)
{
    store_unit u = fixture_unit(f, 0);

    u.shard = execution_key_shard(i->row.key);
    u.accept = &i->row;
    u.past = &i->past;
    return fixture_run(f, &u);
}

static void assert_past(store_fixture *f, uint64_t key)
{
    checkpoint_page history = {0};
    control_page controls = {0};
    run_page runs = {0};

    assert_int_equal(case_count_checkpoints(f, key, 1), 2);
    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 2, 0, 0, &history, NULL), 0);
    assert_int_equal(history.count, 1);
    case_assert_payload(history.rows[0].output, "\"of the second\"");
    checkpoint_page_clear(&history);
    assert_int_equal(f->s.ops->load_runs(f->s.self, key, &runs, NULL), 0);
    assert_int_equal(runs.count, 1);
    assert_int_equal(runs.rows[0].run, 1);
    assert_int_equal(runs.rows[0].state, EXECUTION_FAILED);
    assert_int_equal(runs.rows[0].ended_ms, T0 + 500);
    case_assert_payload(runs.rows[0].error, "{\"code\":\"ABORTED\",\"message\":\"no\"}");
    run_page_clear(&runs);
    assert_int_equal(f->s.ops->load_controls(f->s.self, key, 0, 0, &controls, NULL), 0);
    assert_int_equal(controls.count, 2);
    assert_int_equal(controls.rows[1].seq, 2);
    assert_int_equal(controls.rows[1].at_ms, T0 + 601);
    assert_string_equal(controls.rows[1].who, "ann");
    control_page_clear(&controls);
}

static void an_ended_one_is_accepted_with_its_past(void **state)
{
    store_fixture *f = *state;
    imported one, twin;
    execution_row got;
    uint64_t open;

    make_import(&one, 1);
    make_import(&twin, 1);
    assert_int_equal(import(f, &one), 0);
    got = case_load(f, one.row.key);
    assert_int_equal(got.run, 2);
    assert_int_equal(got.state, EXECUTION_SUCCEEDED);
    assert_int_equal(got.ended_ms, T0 + 900);
    case_assert_payload(got.output, "{\"r\":2}");
    execution_row_clear(&got);
    assert_past(f, one.row.key);
    assert_int_equal(f->s.ops->count_open(f->s.self, &open, NULL), 0);
    assert_int_equal(open, 0);
    case_assert_runnable(f, PRIORITY_DEFAULT, NULL, NULL, 0);
    case_assert_listed(f, (execution_filter){.ended_from_ms = T0 + 900}, &one.row.key, 1);
    assert_int_equal(import(f, &twin), ORCH_E_ALREADY_EXISTS);
    assert_past(f, one.row.key); /* nothing was added to it */
    /* It can have a further run, and go with all that it has. */
    assert_int_equal(case_purge(f, one.row.key), 0);
    assert_int_equal(case_count_checkpoints(f, one.row.key, 1), 0);
    assert_int_equal(import(f, &twin), 0);
    assert_past(f, one.row.key);
    free_import(&one);
    free_import(&twin);
}

int store_starting(const char *name)
{
    static const struct CMUnitTest tests[] = {
        CASE(where_it_came_from_is_read_back),
        CASE(a_child_needs_an_open_parent),
        CASE(wrong_attributes_start_nothing),
        CASE(a_start_key_is_taken_once),
        CASE(a_key_is_free_anew_once_its_execution_has_ended),
        CASE(a_key_expires),
        CASE(of_one_batch_one_start_has_the_key),
        CASE(a_fork_starts_with_what_was_done),
        CASE(who_is_next_is_found_by_priority_and_limit),
        CASE(a_delayed_start_waits_for_its_time),
        CASE(the_paused_wake_for_their_deadline_only),
        CASE(an_ended_one_is_accepted_with_its_past),
    };

    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
