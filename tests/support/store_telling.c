/* Conformance: what an execution is told, and whether that wakes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "support/store_cases.h"

#define T0 INT64_C(1700000000000)

static int32_t put(store_fixture *f, uint64_t key, inbox_item *item, uint8_t urgency,
                   uint32_t limit, bool *out_woke)
{
    store_unit u = fixture_unit(f, key);
    int32_t rc;

    u.inbox_put = item;
    u.inbox_urgency = urgency;
    u.inbox_limit = limit;
    u.inbox_woke = true;
    rc = fixture_run(f, &u);
    if (out_woke)
        *out_woke = u.inbox_woke;
    return rc;
}

static size_t count_items(store_fixture *f, uint64_t key)
{
    inbox_page page;
    size_t count;

    assert_int_equal(f->s.ops->load_inbox(f->s.self, key, &page, NULL), 0);
    count = page.count;
    inbox_page_clear(&page);
    return count;
}

static void an_item_is_read_as_written(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    char name[] = "approved";
    inbox_item items[2] = {{.kind = INBOX_SIGNAL, .at_ms = T0, .name = name},
                           {.kind = INBOX_CHILD_ENDED,
                            .state = EXECUTION_TIMED_OUT,
                            .step = 999999,
                            .index = INDEX_NONE,
                            .attempt = 3,
                            .at_ms = T0 + 1}};
    inbox_page page;

    items[0].correlation = case_json("{\"order\":17}");
    items[0].payload = case_json("[true]");
    for (int i = 0; i < 2; i++)
        assert_int_equal(put(f, key, &items[i], INBOX_URGENT, 0, NULL), 0);
    assert_int_equal(f->s.ops->load_inbox(f->s.self, key, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    assert_string_equal(page.rows[0].name, "approved");
    case_assert_payload(page.rows[0].correlation, "{\"order\":17}");
    case_assert_payload(page.rows[0].payload, "[true]");
    assert_int_equal(page.rows[0].state + page.rows[0].step + page.rows[0].attempt, 0);
    assert_int_equal(page.rows[1].state, EXECUTION_TIMED_OUT);
    assert_int_equal(page.rows[1].step, 999999);
    assert_int_equal(page.rows[1].index, INDEX_NONE);
    assert_int_equal(page.rows[1].attempt, 3);
    assert_null(page.rows[1].name);
    assert_null(page.rows[1].correlation);
    assert_null(page.rows[1].payload);
    inbox_page_clear(&page);
    bytes_unref(items[0].correlation);
    bytes_unref(items[0].payload);
}

/* ---- who is woken -------------------------------------------------------------------------------------------- */

static void an_item_wakes_whom_it_is_to_wake(void **state)
{
    /* By urgency: counted, urgent, forced. The item is the third. */
    static const struct {
        uint64_t wake_inbox;
        bool woken[3];
    } cases[] = {
        {0, {true, true, true}},  {2, {true, true, true}},    {3, {true, true, true}},
        {4, {false, true, true}}, {100, {false, true, true}}, {WAKE_NEVER, {false, false, true}},
    };
    store_fixture *f = *state;
    uint32_t n = 0;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int urgency = INBOX_COUNTED; urgency <= INBOX_FORCED; urgency++) {
            uint64_t key = case_accept(f, n++);
            inbox_item item = {.kind = INBOX_SIGNAL};
            execution_row row;
            bool woke;

            assert_int_equal(put(f, key, &item, INBOX_FORCED, 0, &woke), 0);
            assert_false(woke); /* it is awake */
            assert_int_equal(put(f, key, &item, INBOX_FORCED, 0, NULL), 0);
            case_suspend(f, key, T0 + 1000, cases[i].wake_inbox);
            assert_int_equal(put(f, key, &item, (uint8_t)urgency, 0, &woke), 0);
            assert_int_equal(item.seq, 3);
            assert_int_equal(woke, cases[i].woken[urgency]);
            row = case_load(f, key);
            assert_int_equal(row.state, woke ? EXECUTION_OPEN : EXECUTION_SUSPENDED);
            assert_int_equal(row.wake_ms, woke ? 0 : T0 + 1000);
            assert_true(row.wake_inbox == (woke ? 0 : cases[i].wake_inbox));
            assert_int_equal(row.inbox_seq, 3);
            execution_row_clear(&row);
            assert_int_equal(put(f, key, &item, INBOX_FORCED, 0, &woke), 0);
            assert_int_equal(woke, !cases[i].woken[urgency]); /* once */
            case_assert_state(f, key, EXECUTION_OPEN);
        }
    }
    case_assert_due(f, INT64_MAX, NULL, 0);
}

/* So many children must succeed; one that does not wakes it at once. */
static void children_are_counted(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    inbox_item item = {.kind = INBOX_CHILD_ENDED, .state = EXECUTION_SUCCEEDED};
    bool woke;

    case_suspend(f, key, 0, 50);
    for (int i = 1; i <= 49; i++) {
        assert_int_equal(put(f, key, &item, INBOX_COUNTED, 0, &woke), 0);
        assert_false(woke);
    }
    case_assert_runnable(f, PRIORITY_DEFAULT, NULL, NULL, 0);
    assert_int_equal(put(f, key, &item, INBOX_COUNTED, 0, &woke), 0);
    assert_true(woke);
    case_assert_runnable(f, PRIORITY_DEFAULT, NULL, &key, 1);
    case_suspend(f, key, 0, 100);
    assert_int_equal(put(f, key, &item, INBOX_COUNTED, 0, &woke), 0);
    assert_false(woke);
    item.state = EXECUTION_FAILED;
    assert_int_equal(put(f, key, &item, INBOX_URGENT, 0, &woke), 0);
    assert_true(woke);
    assert_int_equal(count_items(f, key), 52);
}

static void the_ended_and_the_paused_are_told_and_not_run(void **state)
{
    store_fixture *f = *state;
    uint64_t ended = case_accept(f, 1), paused = case_accept(f, 2);
    inbox_item item = {.kind = INBOX_SIGNAL};
    bool woke;

    assert_int_equal(case_set_state(f, ended, EXECUTION_FAILED, 0), 0);
    assert_int_equal(put(f, ended, &item, INBOX_FORCED, 0, &woke), 0);
    assert_false(woke);
    case_assert_state(f, ended, EXECUTION_FAILED);
    assert_int_equal(case_set(f, paused, 1, -1), 0);
    case_suspend(f, paused, 0, 0);
    assert_int_equal(put(f, paused, &item, INBOX_URGENT, 0, &woke), 0);
    assert_true(woke); /* it is open, and to be run once it is no longer paused */
    case_assert_runnable(f, PRIORITY_DEFAULT, NULL, NULL, 0);
    assert_int_equal(case_set(f, paused, 0, -1), 0);
    case_assert_runnable(f, PRIORITY_DEFAULT, NULL, &paused, 1);
}

/* The update has the last word on the state. */
static void an_update_comes_after_the_item(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    inbox_item item = {.kind = INBOX_SIGNAL};
    execution_update update = {
        .state = EXECUTION_SUSPENDED, .wake_ms = T0 + 700, .wake_inbox = WAKE_NEVER};
    store_unit u = fixture_unit(f, key);
    execution_row row;

    case_suspend(f, key, T0 + 500, 0);
    u.inbox_put = &item;
    u.inbox_urgency = INBOX_FORCED;
    u.update = &update;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_true(u.inbox_woke);
    row = case_load(f, key);
    assert_int_equal(row.state, EXECUTION_SUSPENDED);
    assert_int_equal(row.wake_ms, T0 + 700);
    assert_true(row.wake_inbox == WAKE_NEVER);
    execution_row_clear(&row);
    case_assert_due(f, T0 + 700, &key, 1);
    case_assert_due(f, T0 + 699, NULL, 0);
}

/* ---- how many ------------------------------------------------------------------------------------------------ */

static void an_inbox_has_a_limit_for_a_kind(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    inbox_item signal = {.kind = INBOX_SIGNAL}, cancel = {.kind = INBOX_CANCEL};
    store_unit u = fixture_unit(f, key);

    for (int i = 0; i < 5; i++) {
        assert_int_equal(put(f, key, &signal, INBOX_URGENT, 5, NULL), 0);
        assert_int_equal(put(f, key, &cancel, INBOX_FORCED, 0, NULL), 0);
    }
    u.inbox_put = &signal;
    u.inbox_limit = 5;
    case_assert_refused(f, &u, ORCH_E_RESOURCE_EXHAUSTED);
    assert_int_equal(put(f, key, &signal, INBOX_URGENT, 6, NULL), 0);
    assert_int_equal(put(f, key, &cancel, INBOX_FORCED, 6, NULL), 0);
    assert_int_equal(put(f, key, &signal, INBOX_URGENT, 0, NULL), 0); /* any number */
    case_assert_refused(f, &u, ORCH_E_RESOURCE_EXHAUSTED);
    u = fixture_unit(f, key);
    u.inbox_consumed = 5; /* three signals of seven */
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(put(f, key, &signal, INBOX_URGENT, 5, NULL), 0);
    assert_int_equal(put(f, key, &signal, INBOX_URGENT, 5, NULL), ORCH_E_RESOURCE_EXHAUSTED);
    assert_int_equal(put(f, 4711, &signal, INBOX_URGENT, 5, NULL), ORCH_E_NOT_FOUND);
}

/* ---- what is acted upon -------------------------------------------------------------------------------------- */

static void assert_items(store_fixture *f, uint64_t key, const uint64_t *seqs, size_t n)
{
    inbox_page page;

    assert_int_equal(f->s.ops->load_inbox(f->s.self, key, &page, NULL), 0);
    assert_int_equal(page.count, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(page.rows[i].seq, seqs[i]);
    inbox_page_clear(&page);
}

static void a_checkpoint_consumes_what_it_acted_upon(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1), other = case_accept(f, 2);
    checkpoint rows[3] = {fixture_checkpoint(1), fixture_checkpoint(2), fixture_checkpoint(3)};
    execution_update update = {.state = EXECUTION_SUCCEEDED, .ended_ms = T0};
    store_unit u = fixture_unit(f, key);
    checkpoint_page history;

    for (int i = 0; i < 6; i++)
        assert_int_equal(case_put_signal(f, key, NULL), 0);
    assert_int_equal(case_put_signal(f, other, NULL), 0);
    rows[0].inbox = 4;
    rows[1].inbox = 1;
    case_append(f, key, 1, rows, 2);
    assert_items(f, key, (uint64_t[]){2, 3, 5, 6}, 4);
    rows[0].inbox = 2; /* that checkpoint is there already: the item is acted upon all the same */
    case_append(f, key, 1, rows, 1);
    assert_items(f, key, (uint64_t[]){3, 5, 6}, 3);
    rows[0].inbox = 4; /* and that item is gone */
    case_append(f, key, 1, rows, 1);
    assert_items(f, key, (uint64_t[]){3, 5, 6}, 3);
    rows[2].inbox = 6;
    u.checkpoints = &rows[2];
    u.checkpoint_count = 1;
    u.update = &update;
    u.must_be_open = true;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_items(f, key, (uint64_t[]){3, 5}, 2);
    u.checkpoint_count = 0; /* nothing of a unit that is refused */
    rows[2].seq = 4;
    rows[2].inbox = 3;
    u.checkpoint_count = 1;
    case_assert_refused(f, &u, ORCH_E_FAILED_PRECONDITION);
    assert_items(f, other, (uint64_t[]){1}, 1);
    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, 1, 0, 0, &history, NULL), 0);
    assert_int_equal(history.count, 3);
    for (size_t i = 0; i < history.count; i++)
        assert_int_equal(history.rows[i].inbox, 0); /* it was said to the store, and is not kept */
    checkpoint_page_clear(&history);
}

/* Items that are consumed one by one from within, many of them. */
static void a_long_inbox_is_consumed_in_any_order(void **state)
{
    enum { ITEMS = 300 };
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1), left[ITEMS];
    size_t n = 0;

    for (int i = 0; i < ITEMS; i++)
        assert_int_equal(case_put_signal(f, key, NULL), 0);
    for (uint64_t i = 0; i < ITEMS; i++) {
        checkpoint c = fixture_checkpoint(i + 1);

        c.inbox = i * 7 % ITEMS + 1; /* each once */
        if (c.inbox % 5 != 0)
            case_append(f, key, 1, &c, 1);
        if ((i + 1) % 5 == 0)
            left[n++] = i + 1;
    }
    assert_items(f, key, left, n);
}

/* ---- telling somebody else ----------------------------------------------------------------------------------- */

static store_unit end_of(store_fixture *f, uint64_t child, execution_update *update,
                         inbox_item *notice, uint64_t parent)
{
    store_unit u = fixture_unit(f, child);

    *update = (execution_update){.state = EXECUTION_SUCCEEDED, .ended_ms = T0 + 9};
    *notice = (inbox_item){.kind = INBOX_CHILD_ENDED, .state = EXECUTION_SUCCEEDED, .seq = 77};
    u.must_be_open = true;
    u.update = update;
    u.notify = notice;
    u.notify_key = parent;
    u.notify_run = 1;
    u.notify_urgency = INBOX_COUNTED;
    u.notify_woke = true;
    return u;
}

static void an_end_tells_its_parent(void **state)
{
    store_fixture *f = *state;
    uint64_t parent = case_accept(f, 1), child;
    execution_update update;
    inbox_item notice;
    store_unit u;

    child = case_accept(f, 10);
    u = end_of(f, child, &update, &notice, parent);
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(notice.seq, 1);
    assert_false(u.notify_woke);                                      /* it is awake */
    assert_int_equal(fixture_run(f, &u), ORCH_E_FAILED_PRECONDITION); /* and only once */
    assert_int_equal(count_items(f, parent), 1);
    case_suspend(f, parent, T0 + 100, 3);
    for (uint32_t i = 0; i < 2; i++) {
        child = case_accept(f, 20 + i);
        u = end_of(f, child, &update, &notice, parent);
        assert_int_equal(fixture_run(f, &u), 0);
        assert_int_equal(notice.seq, i + 2);
        assert_int_equal(u.notify_woke, i == 1);
    }
    case_assert_state(f, parent, EXECUTION_OPEN);
    assert_int_equal(count_items(f, parent), 3);
}

static void nobody_is_told_who_is_not_there_to_hear(void **state)
{
    store_fixture *f = *state;
    uint64_t ended = case_accept(f, 1), again = case_accept(f, 2);
    execution_update update, open = {.state = EXECUTION_OPEN};
    inbox_item notice;
    store_unit u = fixture_unit(f, again);

    assert_int_equal(case_set_state(f, ended, EXECUTION_CANCELLED, 0), 0);
    u.run = 2; /* that parent was begun anew */
    u.update = &open;
    assert_int_equal(fixture_run(f, &u), 0);
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t child = case_accept(f, 10 + i);

        u = end_of(f, child, &update, &notice, i == 0 ? ended : i == 1 ? again : 4711);
        assert_int_equal(fixture_run(f, &u), 0);
        assert_int_equal(notice.seq, 0);
        assert_false(u.notify_woke);
        case_assert_state(f, child, EXECUTION_SUCCEEDED);
    }
    assert_int_equal(count_items(f, ended) + count_items(f, again), 0);
}

/* Two ends of one batch, and a unit that tells the execution that it ends. */
static void ends_of_one_batch_are_told_in_order(void **state)
{
    store_fixture *f = *state;
    uint64_t parent = case_accept(f, 1), children[40];
    execution_update updates[40], self;
    inbox_item notices[40], last;
    store_unit units[40], u;

    case_suspend(f, parent, 0, 40);
    for (uint32_t i = 0; i < 40; i++)
        children[i] = case_accept(f, 10 + i);
    for (int i = 0; i < 40; i++) {
        units[i] = end_of(f, children[i], &updates[i], &notices[i], parent);
        fixture_submit(f, &units[i]);
    }
    fixture_flush(f);
    fixture_wait(f, 40);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(units[i].result, 0);
        assert_int_equal(notices[i].seq, i + 1);
        assert_int_equal(units[i].notify_woke, i == 39);
    }
    u = end_of(f, parent, &self, &last, parent);
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(last.seq, 0); /* it has ended by then */
    case_assert_state(f, parent, EXECUTION_SUCCEEDED);
}

int store_telling(const char *name)
{
    static const struct CMUnitTest tests[] = {
        CASE(an_item_is_read_as_written),
        CASE(an_item_wakes_whom_it_is_to_wake),
        CASE(children_are_counted),
        CASE(the_ended_and_the_paused_are_told_and_not_run),
        CASE(an_update_comes_after_the_item),
        CASE(an_inbox_has_a_limit_for_a_kind),
        CASE(a_checkpoint_consumes_what_it_acted_upon),
        CASE(a_long_inbox_is_consumed_in_any_order),
        CASE(an_end_tells_its_parent),
        CASE(nobody_is_told_who_is_not_there_to_hear),
        CASE(ends_of_one_batch_are_told_in_order),
    };

    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
