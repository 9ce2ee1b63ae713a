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

void case_make_full(store_fixture *f, full_unit *full, uint64_t key)
{
    static char workflow[] = "full", version[] = "1.0.0";

    memset(full, 0, sizeof *full);
    full->u = fixture_unit(f, key);
    full->definition = case_definition(90, workflow, version);
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
    if (!target->survives)
        return failed;
    snprintf(name, sizeof name, "%s: surviving", target->name);
    return failed + store_surviving(name);
}
