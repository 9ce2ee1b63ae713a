#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "support/store_cases.h"

/* ---- lists ----------------------------------------------------------------------------------- */

/* 200 executions over 4 shards, 3 definitions, all states. */
static uint64_t fill(store_fixture *f, uint64_t keys[200])
{
    static execution_row rows[200];
    static store_unit units[200];
    char a[] = "alpha", b[] = "beta", one[] = "1.0.0", two[] = "2.0.0";

    assert_int_equal(case_define(f, 1, a, one), 0);
    assert_int_equal(case_define(f, 2, a, two), 0);
    assert_int_equal(case_define(f, 3, b, one), 0);
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
    static const uint32_t states[] = {0,
                                      1 << 1,
                                      1 << 2,
                                      1 << 3,
                                      1 << 4,
                                      1 << 6,
                                      1 << 1 | 1 << 2,
                                      1 << 3 | 1 << 4,
                                      1 << 4 | 1 << 5 | 1 << 6};
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

    row.input = case_json("[1]");
    assert_int_equal(fixture_accept(f, &row), 0);
    assert_int_equal(f->s.ops->list_executions(f->s.self, &filter, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    assert_null(page.rows[0].input);
    execution_page_clear(&page);
    filter.payloads = true;
    assert_int_equal(f->s.ops->list_executions(f->s.self, &filter, &page, NULL), 0);
    case_assert_payload(page.rows[0].input, "[1]");
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

/* ---- definitions ----------------------------------------------------------------------------- */

static void definitions_are_unique(void **state)
{
    store_fixture *f = *state;
    char a[] = "alpha", b[] = "beta", one[] = "1.0.0", two[] = "2.0.0";
    definition_row d = case_definition(2, a, two);
    store_unit u = fixture_unit(f, 0);
    definition_page page;

    assert_int_equal(case_define(f, 1, a, one), 0);
    assert_int_equal(case_define(f, 1, b, one), ORCH_E_ALREADY_EXISTS);
    assert_int_equal(case_define(f, 2, a, one), ORCH_E_ALREADY_EXISTS);
    d.metadata = case_json("{\"team\":\"x\"}");
    u.definition = &d;
    assert_int_equal(fixture_run(f, &u), 0);
    assert_int_equal(f->s.ops->load_definitions(f->s.self, 0, false, &page, NULL), 0);
    assert_int_equal(page.count, 2);
    assert_null(page.rows[0].text);
    assert_string_equal(page.rows[1].workflow, "alpha");
    assert_string_equal(page.rows[1].version, "2.0.0");
    assert_int_equal(page.rows[1].registered_ms, d.registered_ms);
    assert_memory_equal(page.rows[1].digest, d.digest, sizeof d.digest);
    case_assert_payload(page.rows[1].metadata, "{\"team\":\"x\"}");
    definition_page_clear(&page);
    assert_int_equal(f->s.ops->load_definitions(f->s.self, 1, true, &page, NULL), 0);
    assert_int_equal(page.count, 1);
    case_assert_payload(page.rows[0].text, "{\"steps\":[{\"id\":\"a\"}]}");
    definition_page_clear(&page);
    assert_int_equal(f->s.ops->load_definitions(f->s.self, 3, true, &page, NULL), ORCH_E_NOT_FOUND);
    bytes_unref(d.metadata);
}

/* ---- leases, marks, life --------------------------------------------------------------------- */

static void a_new_lease_fences_the_old(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1), term;
    execution_update update = {.state = EXECUTION_SUCCEEDED};
    store_unit u = fixture_unit(f, key);

    u.update = &update;
    assert_int_equal(f->s.ops->lease(f->s.self, "other", 1700000000000, &term, NULL), 0);
    assert_true(term > f->term);
    case_assert_refused(f, &u, ORCH_E_ABORTED);
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
    highest = case_accept(f, 9);
    case_accept(f, 3);
    assert_int_equal(case_define(f, 17, a, one), 0);
    assert_int_equal(f->s.ops->marks(f->s.self, &execution, &definition_key, NULL), 0);
    assert_int_equal(execution, highest);
    assert_int_equal(definition_key, 17);
}

static void what_was_committed_survives(void **state)
{
    store_fixture *f = *state;
    uint64_t keys[200], term = f->term, execution, definition_key;
    char *before, *after;

    fill(f, keys);
    assert_int_equal(case_put_signal(f, keys[5], NULL), 0);
    before = store_dump(&f->s);
    for (int how = 0; how < 2; how++) {
        if (how == 0)
            fixture_close(f);
        else
            fixture_abandon(f);
        fixture_open(f, case_target->url);
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
    uint64_t key = case_accept(f, 1);
    checkpoint rows[3] = {fixture_checkpoint(1), fixture_checkpoint(2), fixture_checkpoint(3)};
    store_stats before, after;

    f->s.ops->get_stats(f->s.self, &before);
    case_append(f, key, 1, rows, 3);
    f->s.ops->get_stats(f->s.self, &after);
    assert_int_equal(after.batches, before.batches + 1);
    assert_int_equal(after.units, before.units + 1);
    assert_int_equal(after.rows, before.rows + 3);
    assert_int_equal(after.queued, 0);
    assert_false(after.disk_full);
}

/* ---- many readers ---------------------------------------------------------------------------- */

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
    reading r = {.s = &f->s, .key = case_accept(f, 1)};
    pthread_t threads[6];

    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &r), 0);
    for (uint64_t seq = 1; seq <= 400; seq++) {
        checkpoint c = fixture_checkpoint(seq);

        case_append(f, r.key, 1, &c, 1);
        r.reaped = seq;
    }
    r.stop = true;
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(r.wrong, 0);
}

/* ---- memory running out ---------------------------------------------------------------------- */

static void no_memory_leaves_nothing_behind(void **state)
{
    store_fixture *f = *state;
    uint64_t key = case_accept(f, 1);
    char *before = store_dump(&f->s), *after;
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;

    for (long n = 1; rc == ORCH_E_RESOURCE_EXHAUSTED; n++) {
        full_unit full;

        assert_true(n < 1000);
        case_make_full(f, &full, key);
        mem_fail_at(n, 0);
        rc = fixture_run(f, &full.u);
        mem_fail_at(0, 0);
        case_free_full(&full);
        if (rc != 0) {
            after = store_dump(&f->s);
            assert_string_equal(before, after);
            mem_free(after);
        }
    }
    assert_int_equal(rc, 0);
    mem_free(before);
}

enum {
    READ_LIST,
    READ_RUNNABLE,
    READ_CHECKPOINTS,
    READ_DEFINITIONS,
    READ_INBOX,
    READ_CONTROLS,
    READ_RUNS,
    READ_SETTINGS,
    READ_DUE,
    READ_BY_ID,
    READS
};

static int32_t read_all(store_fixture *f, uint64_t key, int which)
{
    execution_filter filter = {.payloads = true,
                               .workflow = "alpha",
                               .attribute = "a",
                               .attribute_value = "1",
                               .ended_to_ms = INT64_MAX / 2};
    const store_ops *ops = f->s.ops;
    execution_page executions = {0};
    checkpoint_page checkpoints = {0};
    definition_page definitions = {0};
    control_page controls = {0};
    setting_page settings = {0};
    inbox_page inbox = {0};
    run_page runs = {0};
    execution_row row = {0};
    int32_t rc = 0;

    switch (which) {
    case READ_LIST: rc = ops->list_executions(f->s.self, &filter, &executions, NULL); break;
    case READ_RUNNABLE:
        rc = ops->load_runnable(f->s.self, PRIORITY_DEFAULT, NULL, 0, 0, &executions, NULL);
        break;
    case READ_CHECKPOINTS:
        rc = ops->load_checkpoints(f->s.self, key, 1, 0, 0, &checkpoints, NULL);
        break;
    case READ_DEFINITIONS:
        rc = ops->load_definitions(f->s.self, 0, true, &definitions, NULL);
        break;
    case READ_INBOX: rc = ops->load_inbox(f->s.self, key, &inbox, NULL); break;
    case READ_CONTROLS: rc = ops->load_controls(f->s.self, key, 0, 0, &controls, NULL); break;
    case READ_RUNS: rc = ops->load_runs(f->s.self, key, &runs, NULL); break;
    case READ_SETTINGS: rc = ops->load_settings(f->s.self, "limit/", &settings, NULL); break;
    case READ_DUE: rc = ops->load_due(f->s.self, INT64_MAX, 0, &executions, NULL); break;
    default: rc = ops->load_execution(f->s.self, 0, "named", &row, NULL);
    }
    execution_page_clear(&executions);
    checkpoint_page_clear(&checkpoints);
    definition_page_clear(&definitions);
    control_page_clear(&controls);
    setting_page_clear(&settings);
    inbox_page_clear(&inbox);
    run_page_clear(&runs);
    execution_row_clear(&row);
    return rc;
}

/* An execution that has something of everything. */
static uint64_t make_rich(store_fixture *f)
{
    char name[] = "named", limit[] = "limit/a", action[] = "retry", who[] = "ann";
    execution_row row = fixture_row(SHARD, 1);
    execution_update update = {.state = EXECUTION_OPEN};
    inbox_item item = {.kind = INBOX_SIGNAL, .name = name};
    setting_row setting = {.name = limit};
    control_row control = {.execution = row.key, .action = action, .who = who};
    checkpoint c = fixture_checkpoint(1);
    store_unit u;

    row.id = row.limit_key = row.affinity = name;
    row.input = case_json("{\"a\":1}");
    row.attributes = case_json("{\"a\":1}");
    c.output = item.payload = item.correlation = setting.value = row.input;
    assert_int_equal(fixture_accept(f, &row), 0);
    case_append(f, row.key, 1, &c, 1);
    assert_int_equal(case_set_state(f, row.key, EXECUTION_FAILED, 0), 0);
    u = fixture_unit(f, row.key);
    u.run = 2;
    u.update = &update;
    u.inbox_put = &item;
    u.control = &control;
    u.put_setting = &setting;
    assert_int_equal(fixture_run(f, &u), 0);
    bytes_unref(row.input);
    bytes_unref(row.attributes);
    return row.key;
}

static void reads_without_memory_fail_cleanly(void **state)
{
    store_fixture *f = *state;
    char a[] = "alpha", one[] = "1.0.0";
    uint64_t key, asleep;

    assert_int_equal(case_define(f, 1, a, one), 0);
    key = make_rich(f);
    asleep = case_accept(f, 2);
    case_suspend(f, asleep, 1700000000500, 0);
    for (int which = 0; which < READS; which++) {
        int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;

        for (long n = 1; rc == ORCH_E_RESOURCE_EXHAUSTED; n++) {
            assert_true(n < 1000);
            mem_fail_at(n, 0);
            rc = read_all(f, key, which);
            mem_fail_at(0, 0);
        }
        assert_int_equal(rc, 0);
    }
}

int store_reading(const char *name)
{
    static const struct CMUnitTest tests[] = {
        CASE(lists_follow_filter_and_order),     CASE(payloads_are_listed_on_request),
        CASE(a_page_looks_at_few_rows),          CASE(definitions_are_unique),
        CASE(a_new_lease_fences_the_old),        CASE(marks_are_the_highest_keys),
        CASE(stop_commits_what_is_queued),       CASE(stats_count),
        CASE(readers_see_what_was_reaped),       CASE(no_memory_leaves_nothing_behind),
        CASE(reads_without_memory_fail_cleanly),
    };

    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int store_surviving(const char *name)
{
    static const struct CMUnitTest tests[] = {
        CASE(what_was_committed_survives),
    };

    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
