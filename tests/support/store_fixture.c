#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
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
    if (payload)
        buf_add(b, payload->data, payload->len);
    else
        buf_puts(b, nothing);
}

static void dump_history(buf *b, store *s, const execution_row *row)
{
    for (uint32_t run = 1; run <= row->run; run++) {
        checkpoint_page page;

        assert_int_equal(s->ops->load_checkpoints(s->self, row->key, run, 0, 0, &page, NULL), 0);
        for (size_t i = 0; i < page.count; i++) {
            const checkpoint *c = &page.rows[i];

            buf_printf(b, "  run %u seq %llu step %u index %u attempt %u kind %u %lld %lld %lld",
                       run, (unsigned long long)c->seq, c->step, c->index, c->attempt, c->kind,
                       (long long)c->started_ms, (long long)c->ended_ms, (long long)c->due_ms);
            dump_bytes(b, "output", c->output, "null");
            dump_bytes(b, "error", c->error, "-");
            buf_putc(b, '\n');
        }
        checkpoint_page_clear(&page);
    }
}

static void dump_inbox(buf *b, store *s, const execution_row *row)
{
    inbox_page page;

    assert_int_equal(s->ops->load_inbox(s->self, row->key, &page, NULL), 0);
    for (size_t i = 0; i < page.count; i++) {
        buf_printf(b, "  inbox %llu kind %u at %lld", (unsigned long long)page.rows[i].seq,
                   page.rows[i].kind, (long long)page.rows[i].at_ms);
        dump_bytes(b, "payload", page.rows[i].payload, "null");
        buf_putc(b, '\n');
    }
    inbox_page_clear(&page);
}

static void dump_execution(buf *b, store *s, const execution_row *row)
{
    buf_printf(b, "%llu id %s def %llu run %u state %u paused %d %lld %lld %lld %lld inbox %llu",
               (unsigned long long)row->key, row->id ? row->id : "-",
               (unsigned long long)row->definition, row->run, row->state, row->paused,
               (long long)row->accepted_ms, (long long)row->deadline_ms, (long long)row->wake_ms,
               (long long)row->ended_ms, (unsigned long long)row->inbox_seq);
    dump_bytes(b, "input", row->input, "{}");
    dump_bytes(b, "output", row->output, "null");
    dump_bytes(b, "error", row->error, "-");
    buf_putc(b, '\n');
    dump_history(b, s, row);
    dump_inbox(b, s, row);
}

static void dump_runnable(buf *b, store *s)
{
    execution_page page;
    uint64_t after = 0;

    buf_puts(b, "runnable");
    do {
        assert_int_equal(s->ops->load_runnable(s->self, 5, NULL, after, 7, &page, NULL), 0);
        for (size_t i = 0; i < page.count; i++)
            buf_printf(b, " %llu", (unsigned long long)page.rows[i].key);
        after = page.next_after;
        execution_page_clear(&page);
    } while (after);
    assert_int_equal(s->ops->load_due(s->self, FIRST_MS + 500, 0, &page, NULL), 0);
    buf_printf(b, " due %zu", page.count);
    execution_page_clear(&page);
}

char *store_dump(store *s)
{
    execution_filter filter = {.ascending = true, .payloads = true, .limit = 50};
    definition_page definitions;
    execution_page page;
    buf b = BUF_INIT;
    int64_t wake;
    uint64_t open;

    assert_int_equal(s->ops->load_definitions(s->self, 0, true, &definitions, NULL), 0);
    for (size_t i = 0; i < definitions.count; i++) {
        const definition_row *d = &definitions.rows[i];

        buf_printf(&b, "definition %llu %s %s %02x %lld", (unsigned long long)d->key, d->workflow,
                   d->version, d->digest[31], (long long)d->registered_ms);
        dump_bytes(&b, "text", d->text, "-");
        dump_bytes(&b, "metadata", d->metadata, "-");
        buf_putc(&b, '\n');
    }
    definition_page_clear(&definitions);
    do {
        assert_int_equal(s->ops->list_executions(s->self, &filter, &page, NULL), 0);
        for (size_t i = 0; i < page.count; i++)
            dump_execution(&b, s, &page.rows[i]);
        filter.after_key = page.next_after;
        execution_page_clear(&page);
    } while (filter.after_key);
    dump_runnable(&b, s);
    assert_int_equal(s->ops->next_wake(s->self, &wake, NULL), 0);
    assert_int_equal(s->ops->count_open(s->self, &open, NULL), 0);
    buf_printf(&b, "\nnext wake %lld open %llu\n", (long long)wake, (unsigned long long)open);
    return buf_take(&b);
}
