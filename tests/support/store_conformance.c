#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "support/store_cases.h"

const conformance_target *case_target;

/* ---- a fresh store for each test ------------------------------------------------------------- */

int case_set_up(void **state)
{
    store_fixture *f = mem_zalloc(sizeof *f);

    if (case_target->clean)
        case_target->clean();
    fixture_open(f, case_target->url);
    *state = f;
    return 0;
}

int case_tear_down(void **state)
{
    fixture_close(*state);
    mem_free(*state);
    return 0;
}

bytes *case_json(const char *text)
{
    return bytes_new(text, strlen(text));
}

void case_assert_payload(const bytes *b, const char *text)
{
    assert_non_null(b);
    assert_int_equal(b->len, strlen(text));
    assert_memory_equal(b->data, text, b->len);
}

execution_row case_load(store_fixture *f, uint64_t key)
{
    execution_row row;

    assert_int_equal(f->s.ops->load_execution(f->s.self, key, NULL, &row, NULL), 0);
    return row;
}

uint64_t case_accept(store_fixture *f, uint32_t n)
{
    execution_row row = fixture_row(SHARD, n);

    assert_int_equal(fixture_accept(f, &row), 0);
    return row.key;
}

size_t case_count_checkpoints(store_fixture *f, uint64_t key, uint32_t run)
{
    checkpoint_page page;
    size_t count;

    assert_int_equal(f->s.ops->load_checkpoints(f->s.self, key, run, 0, 0, &page, NULL), 0);
    count = page.count;
    checkpoint_page_clear(&page);
    return count;
}

int32_t case_set_state(store_fixture *f, uint64_t key, uint8_t state, int64_t wake_ms)
{
    execution_update update = {.state = state,
                               .wake_ms = wake_ms,
                               .ended_ms = EXECUTION_STATE_IS_END(state) ? 1700000009000 : 0};
    store_unit u = fixture_unit(f, key);

    u.update = &update;
    return fixture_run(f, &u);
}

int32_t case_put_signal(store_fixture *f, uint64_t key, uint64_t *out_seq)
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

definition_row case_definition(uint64_t key, char *workflow, char *version)
{
    definition_row d = {.key = key,
                        .workflow = workflow,
                        .version = version,
                        .registered_ms = 1700000000000 + (int64_t)key};

    memset(d.digest, (int)key, sizeof d.digest);
    return d;
}

int32_t case_define(store_fixture *f, uint64_t key, char *workflow, char *version)
{
    definition_row d = case_definition(key, workflow, version);
    store_unit u = fixture_unit(f, 0);

    d.text = case_json("{\"steps\":[{\"id\":\"a\"}]}");
    u.definition = &d;
    u.key = 0;
    fixture_run(f, &u);
    bytes_unref(d.text);
    return u.result;
}

void case_suspend(store_fixture *f, uint64_t key, int64_t wake_ms, uint64_t wake_inbox)
{
    execution_update update = {
        .state = EXECUTION_SUSPENDED, .wake_ms = wake_ms, .wake_inbox = wake_inbox};
    store_unit u = fixture_unit(f, key);

    u.run = 0; /* whichever it is in */
    u.update = &update;
    u.must_be_open = true;
    assert_int_equal(fixture_run(f, &u), 0);
}

int32_t case_set(store_fixture *f, uint64_t key, int8_t paused, int8_t priority)
{
    execution_setting setting = {paused, priority};
    store_unit u = fixture_unit(f, key);

    u.setting = &setting;
    return fixture_run(f, &u);
}

int32_t case_purge(store_fixture *f, uint64_t key)
{
    store_unit u = fixture_unit(f, key);

    u.purge = true;
    return fixture_run(f, &u);
}

void case_assert_state(store_fixture *f, uint64_t key, uint8_t state)
{
    execution_row row = case_load(f, key);

    assert_int_equal(row.state, state);
    execution_row_clear(&row);
}

void case_assert_runnable(store_fixture *f, uint8_t priority, const char *limit_key,
                          const uint64_t *keys, size_t n)
{
    execution_page page;
    uint64_t after = 0;
    size_t seen = 0;

    do {
        assert_int_equal(
            f->s.ops->load_runnable(f->s.self, priority, limit_key, after, 3, &page, NULL), 0);
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

void case_assert_due(store_fixture *f, int64_t wake_by_ms, const uint64_t *keys, size_t n)
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

void case_assert_listed(store_fixture *f, execution_filter filter, const uint64_t *keys, size_t n)
{
    execution_page page;
    size_t seen = 0;

    do {
        assert_int_equal(f->s.ops->list_executions(f->s.self, &filter, &page, NULL), 0);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(seen < n);
            assert_int_equal(page.rows[i].key, keys[seen++]);
        }
        filter.after_key = page.next_after;
        execution_page_clear(&page);
    } while (filter.after_key);
    assert_int_equal(seen, n);
}

/* But for a purge. */
void case_make_full(store_fixture *f, full_unit *full, uint64_t key)
{
    static char workflow[] = "full", version[] = "1.0.0", name[] = "go", action[] = "cancel",
                who[] = "ann", setting[] = "limit/full";

    memset(full, 0, sizeof *full);
    full->u = fixture_unit(f, key);
    full->definition = case_definition(90, workflow, version);
    full->child = fixture_row(SHARD, 700);
    full->child.limit_key = name;
    full->child.attributes = case_json("{\"a\":1,\"b\":\"c\"}");
    full->key = (start_key){.workflow = workflow, .key = name, .now_ms = 1};
    full->checkpoint = fixture_checkpoint(1);
    full->item = (inbox_item){.kind = INBOX_SIGNAL, .name = name};
    full->update.state = EXECUTION_SUSPENDED;
    full->update.wake_ms = 1700000005000;
    full->setting = (execution_setting){.paused = 0, .priority = 7};
    full->notice = (inbox_item){.kind = INBOX_CHILD_ENDED, .state = EXECUTION_FAILED, .step = 1};
    full->control = (control_row){.execution = key, .action = action, .who = who};
    full->put = (setting_row){.name = setting, .value = case_json("{\"rate\":1}")};
    full->u.definition = &full->definition;
    full->u.accept = &full->child;
    full->u.start_key = &full->key;
    full->u.checkpoints = &full->checkpoint;
    full->u.checkpoint_count = 1;
    full->u.inbox_put = &full->item;
    full->u.update = &full->update;
    full->u.setting = &full->setting;
    full->u.notify = &full->notice;
    full->u.notify_key = full->child.key;
    full->u.notify_run = 1;
    full->u.control = &full->control;
    full->u.put_setting = &full->put;
}

void case_free_full(full_unit *full)
{
    bytes_unref(full->child.attributes);
    bytes_unref(full->put.value);
}

void case_assert_refused(store_fixture *f, store_unit *u, int32_t result)
{
    char *before = store_dump(&f->s), *after;

    assert_int_equal(fixture_run(f, u), result);
    after = store_dump(&f->s);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

void case_append(store_fixture *f, uint64_t key, uint32_t run, checkpoint *rows, uint32_t n)
{
    store_unit u = fixture_unit(f, key);

    u.run = run;
    u.checkpoints = rows;
    u.checkpoint_count = n;
    assert_int_equal(fixture_run(f, &u), 0);
}

int store_conformance(const conformance_target *target)
{
    char name[80];
    int failed;

    case_target = target;
    snprintf(name, sizeof name, "%s: writing", target->name);
    failed = store_writing(name);
    snprintf(name, sizeof name, "%s: reading", target->name);
    failed += store_reading(name);
    snprintf(name, sizeof name, "%s: telling", target->name);
    failed += store_telling(name);
    snprintf(name, sizeof name, "%s: starting", target->name);
    failed += store_starting(name);
    snprintf(name, sizeof name, "%s: ending", target->name);
    failed += store_ending(name);
    if (!target->survives)
        return failed;
    snprintf(name, sizeof name, "%s: surviving", target->name);
    return failed + store_surviving(name);
}
