#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "support/store_conformance.h"

#define FIRST_MS INT64_C(1700000000000)

static void on_wake(void *ctx)
{
    store_fixture *f = ctx;

    pthread_mutex_lock(&f->lock);
    f->wakes++;
    pthread_cond_signal(&f->woken);
    pthread_mutex_unlock(&f->lock);
}

int32_t fixture_try_open(store_fixture *f, const char *url, orch_error **err)
{
    store_options o = {.url = url, .wake = on_wake, .wake_ctx = f};
    pthread_condattr_t monotonic;
    int32_t rc;

    memset(f, 0, sizeof *f);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->woken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    rc = store_open(&o, &f->s, err);
    if (rc != 0) {
        pthread_cond_destroy(&f->woken);
        pthread_mutex_destroy(&f->lock);
    }
    return rc;
}

void fixture_open(store_fixture *f, const char *url)
{
    orch_error *err = NULL;
    int32_t rc = fixture_try_open(f, url, &err);

    if (rc == 0)
        rc = f->s.ops->lease(f->s.self, "tests", FIRST_MS, &f->term, &err);
    if (rc != 0)
        fail_msg("open %s: %s", url, orch_error_message(err));
}

void fixture_abandon(store_fixture *f)
{
    f->s.ops->free(f->s.self);
    pthread_cond_destroy(&f->woken);
    pthread_mutex_destroy(&f->lock);
}

void fixture_close(store_fixture *f)
{
    orch_error *err = NULL;

    if (f->s.ops->stop(f->s.self, 10000, &err) != 0)
        fail_msg("stop: %s", orch_error_message(err));
    fixture_abandon(f);
}

void fixture_submit(store_fixture *f, store_unit *u)
{
    u->result = 1;
    f->s.ops->submit(f->s.self, u);
}

void fixture_flush(store_fixture *f)
{
    f->s.ops->flush(f->s.self);
}

store_unit *fixture_reap(store_fixture *f, int timeout_ms)
{
    store_unit *first = f->s.ops->reap(f->s.self);
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (timeout_ms + 999) / 1000;
    while (!first && rc == 0) {
        pthread_mutex_lock(&f->lock);
        while (f->wakes == 0 && rc == 0)
            rc = pthread_cond_timedwait(&f->woken, &f->lock, &until);
        f->wakes = 0;
        pthread_mutex_unlock(&f->lock);
        first = f->s.ops->reap(f->s.self);
    }
    return first;
}

void fixture_wait(store_fixture *f, int count)
{
    while (count > 0) {
        store_unit *u = fixture_reap(f, 10000);

        if (!u)
            fail_msg("%d units did not come back within ten seconds", count);
        for (; u; u = u->next)
            count--;
    }
    assert_int_equal(count, 0);
}

int32_t fixture_run(store_fixture *f, store_unit *u)
{
    fixture_submit(f, u);
    fixture_flush(f);
    fixture_wait(f, 1);
    return u->result;
}

store_unit fixture_unit(const store_fixture *f, uint64_t key)
{
    store_unit u = {.shard = execution_key_shard(key), .term = f->term, .key = key, .run = 1};

    return u;
}

execution_row fixture_row(uint32_t shard, uint32_t n)
{
    execution_row row = {.key = execution_key_make(FIRST_MS + n / 8, shard, n % 8),
                         .definition = 1,
                         .run = 1,
                         .state = EXECUTION_OPEN,
                         .priority = PRIORITY_DEFAULT,
                         .accepted_ms = FIRST_MS + n / 8};

    return row;
}

int32_t fixture_accept(store_fixture *f, execution_row *row)
{
    store_unit u = fixture_unit(f, 0);

    u.shard = execution_key_shard(row->key);
    u.accept = row;
    return fixture_run(f, &u);
}

checkpoint fixture_checkpoint(uint64_t seq)
{
    checkpoint c = {.seq = seq,
                    .step = (uint32_t)seq - 1,
                    .index = INDEX_NONE,
                    .attempt = 1,
                    .kind = CHECKPOINT_SUCCEEDED,
                    .started_ms = FIRST_MS,
                    .ended_ms = FIRST_MS + 1};

    return c;
}

/* ---- dump ------------------------------------------------------------------------------------ */

static void dump_bytes(buf *b, const char *name, const bytes *payload, const char *nothing)
{
    buf_printf(b, " %s=", name);
    if (payload && payload->len > 1000) /* known by its ends */
        buf_printf(b, "%u:%.8s…%s", payload->len, payload->data, payload->data + payload->len - 8);
    else if (payload)
        buf_add(b, payload->data, payload->len);
    else
        buf_puts(b, nothing);
}

static const char *text_of(const char *text)
{
    return text ? text : "-";
}

static void dump_history(buf *b, store *s, const execution_row *row)
{
    for (uint32_t run = 1; run <= row->run; run++) {
        checkpoint_page page;

        assert_int_equal(s->ops->load_checkpoints(s->self, row->key, run, 0, 0, &page, NULL), 0);
        for (size_t i = 0; i < page.count; i++) {
            const checkpoint *c = &page.rows[i];

            buf_printf(b,
                       "  run %u seq %llu step %u index %u attempt %u kind %u %lld %lld %lld %llu",
                       run, (unsigned long long)c->seq, c->step, c->index, c->attempt, c->kind,
                       (long long)c->started_ms, (long long)c->ended_ms, (long long)c->due_ms,
                       (unsigned long long)c->inbox);
            dump_bytes(b, "output", c->output, "null");
            dump_bytes(b, "error", c->error, "-");
            buf_putc(b, '\n');
        }
        checkpoint_page_clear(&page);
    }
}

static void dump_runs(buf *b, store *s, uint64_t key)
{
    run_page page;

    assert_int_equal(s->ops->load_runs(s->self, key, &page, NULL), 0);
    for (size_t i = 0; i < page.count; i++) {
        const run_row *r = &page.rows[i];

        buf_printf(b, "  run %u ended %u %lld", r->run, r->state, (long long)r->ended_ms);
        dump_bytes(b, "output", r->output, "null");
        dump_bytes(b, "error", r->error, "-");
        buf_putc(b, '\n');
    }
    run_page_clear(&page);
}

static void dump_inbox(buf *b, store *s, uint64_t key)
{
    inbox_page page;

    assert_int_equal(s->ops->load_inbox(s->self, key, &page, NULL), 0);
    for (size_t i = 0; i < page.count; i++) {
        const inbox_item *it = &page.rows[i];

        buf_printf(b, "  inbox %llu kind %u state %u step %u index %u attempt %u at %lld name %s",
                   (unsigned long long)it->seq, it->kind, it->state, it->step, it->index,
                   it->attempt, (long long)it->at_ms, text_of(it->name));
        dump_bytes(b, "correlation", it->correlation, "-");
        dump_bytes(b, "payload", it->payload, "null");
        buf_putc(b, '\n');
    }
    inbox_page_clear(&page);
}

static void dump_controls(buf *b, store *s, uint64_t key)
{
    control_page page;

    assert_int_equal(s->ops->load_controls(s->self, key, 0, 0, &page, NULL), 0);
    for (size_t i = 0; i < page.count; i++) {
        const control_row *c = &page.rows[i];

        assert_int_equal(c->execution, key);
        buf_printf(b, "  control %llu %lld %s %s %s %s\n", (unsigned long long)c->seq,
                   (long long)c->at_ms, text_of(c->action), text_of(c->who), text_of(c->why),
                   text_of(c->detail));
    }
    control_page_clear(&page);
}

static void dump_settings(buf *b, store *s)
{
    setting_page page;

    assert_int_equal(s->ops->load_settings(s->self, "", &page, NULL), 0);
    for (size_t i = 0; i < page.count; i++) {
        buf_printf(b, "setting %s", page.rows[i].name);
        dump_bytes(b, "value", page.rows[i].value, "-");
        buf_putc(b, '\n');
    }
    setting_page_clear(&page);
}

static void dump_row(buf *b, const execution_row *row)
{
    buf_printf(b, "%llu id %s def %llu run %u state %u paused %d priority %u",
               (unsigned long long)row->key, text_of(row->id), (unsigned long long)row->definition,
               row->run, row->state, row->paused, row->priority);
    buf_printf(b, " parent %llu %u %u %u %u depth %u abandoned %d by_task %d limit %s affinity %s",
               (unsigned long long)row->parent, row->parent_run, row->parent_step,
               row->parent_index, row->parent_attempt, row->depth, row->abandoned, row->by_task,
               text_of(row->limit_key), text_of(row->affinity));
    buf_printf(b, " %lld %lld %lld %llu %lld inbox %llu", (long long)row->accepted_ms,
               (long long)row->deadline_ms, (long long)row->wake_ms,
               (unsigned long long)row->wake_inbox, (long long)row->ended_ms,
               (unsigned long long)row->inbox_seq);
    dump_bytes(b, "attributes", row->attributes, "{}");
    dump_bytes(b, "input", row->input, "{}");
    dump_bytes(b, "output", row->output, "null");
    dump_bytes(b, "error", row->error, "-");
    buf_putc(b, '\n');
}

static void dump_execution(buf *b, store *s, const execution_row *row)
{
    dump_row(b, row);
    dump_history(b, s, row);
    dump_runs(b, s, row->key);
    dump_inbox(b, s, row->key);
    dump_controls(b, s, row->key);
}

static void dump_keys(buf *b, const execution_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        buf_printf(b, " %llu", (unsigned long long)page->rows[i].key);
}

static void dump_runnable_of(buf *b, store *s, uint8_t priority, const char *limit_key)
{
    execution_page page;
    uint64_t after = 0;

    buf_printf(b, "runnable %u %s", priority, text_of(limit_key));
    do {
        assert_int_equal(s->ops->load_runnable(s->self, priority, limit_key, after, 7, &page, NULL),
                         0);
        dump_keys(b, &page);
        after = page.next_after;
        execution_page_clear(&page);
    } while (after);
    buf_putc(b, '\n');
}

static int by_key(const void *x, const void *y)
{
    uint64_t a = ((const execution_row *)x)->key, b = ((const execution_row *)y)->key;

    return a < b ? -1 : a > b;
}

static void dump_queues(buf *b, store *s)
{
    execution_page page;
    int64_t wake;
    uint64_t open;

    for (uint8_t priority = 0; priority < PRIORITIES; priority++) {
        dump_runnable_of(b, s, priority, NULL);
        dump_runnable_of(b, s, priority, "a");
        dump_runnable_of(b, s, priority, "b");
    }
    assert_int_equal(s->ops->load_due(s->self, FIRST_MS + 500, 10000, &page, NULL), 0);
    qsort(page.rows, page.count, sizeof *page.rows, by_key); /* in no order */
    buf_puts(b, "due");
    dump_keys(b, &page);
    execution_page_clear(&page);
    assert_int_equal(s->ops->next_wake(s->self, &wake, NULL), 0);
    assert_int_equal(s->ops->count_open(s->self, &open, NULL), 0);
    buf_printf(b, "\nnext wake %lld open %llu\n", (long long)wake, (unsigned long long)open);
}

static void dump_expired(buf *b, store *s, int64_t ended_before_ms, uint64_t keep)
{
    static uint64_t keys[10000];
    uint32_t count = 0;

    assert_int_equal(
        s->ops->load_expired(s->self, ended_before_ms, keep, 10000, keys, &count, NULL), 0);
    buf_printf(b, "expired %lld %llu", (long long)ended_before_ms, (unsigned long long)keep);
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, " %llu", (unsigned long long)keys[i]);
    buf_putc(b, '\n');
}

static void dump_definitions(buf *b, store *s)
{
    definition_page definitions;

    assert_int_equal(s->ops->load_definitions(s->self, 0, true, &definitions, NULL), 0);
    for (size_t i = 0; i < definitions.count; i++) {
        const definition_row *d = &definitions.rows[i];

        buf_printf(b, "definition %llu %s %s %02x %lld", (unsigned long long)d->key, d->workflow,
                   d->version, d->digest[31], (long long)d->registered_ms);
        dump_bytes(b, "text", d->text, "-");
        dump_bytes(b, "metadata", d->metadata, "-");
        buf_putc(b, '\n');
    }
    definition_page_clear(&definitions);
}

char *store_dump(store *s)
{
    execution_filter filter = {.ascending = true, .payloads = true, .limit = 50};
    execution_page page;
    buf b = BUF_INIT;

    dump_definitions(&b, s);
    dump_settings(&b, s);
    dump_controls(&b, s, 0);
    do {
        assert_int_equal(s->ops->list_executions(s->self, &filter, &page, NULL), 0);
        for (size_t i = 0; i < page.count; i++)
            dump_execution(&b, s, &page.rows[i]);
        filter.after_key = page.next_after;
        execution_page_clear(&page);
    } while (filter.after_key);
    dump_queues(&b, s);
    dump_expired(&b, s, FIRST_MS + 400, 0);
    dump_expired(&b, s, 0, 20);
    dump_expired(&b, s, FIRST_MS + 100, 50);
    return buf_take(&b);
}
