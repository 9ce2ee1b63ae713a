/* Lists over many executions of one SQLite file: what a page takes, for each filter that an index serves and for some that
 * none does, and what opening a file takes that is full of sleepers.
 *
 * Each list is walked from its start, page by page, for at most PAGES pages. "cpu max" is the processor time of the page
 * that took most, which a busy machine leaves alone. Where a filter lets few rows pass a page may be short: "rows" and
 * "pages" tell.
 *
 * Knobs: N (executions; 1,000,000), PAGES (of each list; 200), ROWS (of a page; 100), BENCH_DIR. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "store/store.h"

#define T0        INT64_C(1700000000000)
#define APART_MS  100 /* one is accepted so long after another */
#define SHARD     7
#define WORKFLOWS 10
#define CHUNK     4096

/* ---- a store ------------------------------------------------------------------------------------------------- */

typedef struct bench_store {
    store s;
    uint64_t term;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool awake;
} bench_store;

static void on_wake(void *ctx)
{
    bench_store *b = ctx;

    pthread_mutex_lock(&b->lock);
    b->awake = true;
    pthread_cond_signal(&b->woken);
    pthread_mutex_unlock(&b->lock);
}

static void open_store(bench_store *b, const char *path)
{
    char url[4200];
    store_options o = {.url = url, .synchronous = "off", .wake = on_wake, .wake_ctx = b};
    orch_error *error = NULL;

    snprintf(url, sizeof url, "sqlite:%s", path);
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->woken, NULL);
    if (store_open(&o, &b->s, &error) || b->s.ops->lease(b->s.self, "bench", T0, &b->term, &error))
        bench_fail("the store", error);
}

static void close_store(bench_store *b)
{
    orch_error *error = NULL;

    if (b->s.ops->stop(b->s.self, 60000, &error))
        bench_fail("stop", error);
    b->s.ops->free(b->s.self);
    pthread_cond_destroy(&b->woken);
    pthread_mutex_destroy(&b->lock);
}

static void run(bench_store *b, store_unit *units, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        units[i].term = b->term;
        units[i].shard = SHARD;
        b->s.ops->submit(b->s.self, &units[i]);
    }
    b->s.ops->flush(b->s.self);
    while (count) {
        pthread_mutex_lock(&b->lock);
        while (!b->awake)
            pthread_cond_wait(&b->woken, &b->lock);
        b->awake = false;
        pthread_mutex_unlock(&b->lock);
        for (store_unit *u = b->s.ops->reap(b->s.self); u; u = u->next, count--) {
            if (u->result)
                bench_fail("a unit was refused", NULL);
        }
    }
}

/* ---- what is in it ------------------------------------------------------------------------------------------- */

static uint64_t key_of(uint32_t i)
{
    return execution_key_make(T0 + (int64_t)i * APART_MS, SHARD, 0);
}

static uint32_t mix(uint32_t i)
{
    return (uint32_t)((i * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

/* Of a hundred: 93 succeeded, 3 failed, 1 each cancelled, timed out, open, suspended. The last workflow is one that fails. */
static uint8_t state_of(uint32_t i)
{
    static const uint8_t rare[] = {EXECUTION_FAILED,    EXECUTION_FAILED,    EXECUTION_FAILED,
                                   EXECUTION_CANCELLED, EXECUTION_TIMED_OUT, EXECUTION_OPEN,
                                   EXECUTION_SUSPENDED};
    uint32_t at = mix(i) % 100;

    if (i % WORKFLOWS == WORKFLOWS - 1)
        return mix(i) % 20000 == 0 ? EXECUTION_SUCCEEDED : EXECUTION_FAILED;
    return at < sizeof rare ? rare[at] : EXECUTION_SUCCEEDED;
}

static void define(bench_store *b)
{
    for (uint32_t i = 0; i < 2 * WORKFLOWS; i++) {
        char workflow[16], version[16];
        definition_row d = {.key = i + 1, .workflow = workflow, .version = version};
        store_unit u = {.definition = &d};

        snprintf(workflow, sizeof workflow, "workflow-%u", i % WORKFLOWS);
        snprintf(version, sizeof version, "%u.0.0", i / WORKFLOWS + 1);
        run(b, &u, 1);
    }
}

typedef struct text {
    char limit[16], key[16], attributes[64];
} text;

static void make(uint32_t i, execution_row *row, start_key *k, store_unit *u, text *t)
{
    static char workflow[] = "workflow-0";
    int64_t accepted_ms = T0 + (int64_t)i * APART_MS;

    *row = (execution_row){.key = key_of(i),
                           .definition = i % WORKFLOWS + 1 + (i / WORKFLOWS % 2) * WORKFLOWS,
                           .run = 1,
                           .state = state_of(i),
                           .priority = PRIORITY_DEFAULT,
                           .accepted_ms = accepted_ms};
    *u = (store_unit){.accept = row};
    if (EXECUTION_STATE_IS_END(row->state))
        row->ended_ms = accepted_ms + mix(i) % 60000;
    if (row->state == EXECUTION_SUSPENDED)
        row->wake_ms = accepted_ms + 86400000;
    row->paused = row->state == EXECUTION_SUSPENDED && i % 3 == 0;
    if (mix(i) % 10 == 1) {
        snprintf(t->attributes, sizeof t->attributes, "{\"region\":\"r%u\",\"customer\":\"c%u\"}",
                 mix(i) % 4, mix(i) / 10 % 1000);
        row->attributes = bytes_new(t->attributes, strlen(t->attributes));
    }
    if (mix(i) % 10 == 2) {
        snprintf(t->limit, sizeof t->limit, "limit-%u", mix(i) / 10 % 100);
        row->limit_key = t->limit;
    }
    if (mix(i) % 20 == 3 && i > 1000)
        row->parent = key_of(i / 100000 * 100000); /* thousands each */
    if (mix(i) % 20 == 4) {
        snprintf(t->key, sizeof t->key, "key-%u", i);
        *k = (start_key){.workflow = workflow, .key = t->key, .now_ms = 1};
        u->start_key = k;
    }
}

static void fill(bench_store *b, uint32_t n)
{
    store_unit *units = calloc(CHUNK, sizeof *units);
    execution_row *rows = calloc(CHUNK, sizeof *rows);
    start_key *keys = calloc(CHUNK, sizeof *keys);
    text *texts = calloc(CHUNK, sizeof *texts);

    if (!units || !rows || !keys || !texts)
        bench_fail("memory", NULL);
    for (uint32_t at = 0; at < n; at += CHUNK) {
        uint32_t count = n - at < CHUNK ? n - at : CHUNK;

        for (uint32_t i = 0; i < count; i++)
            make(at + i, &rows[i], &keys[i], &units[i], &texts[i]);
        run(b, units, count);
        for (uint32_t i = 0; i < count; i++)
            bytes_unref(rows[i].attributes);
    }
    free(units);
    free(rows);
    free(keys);
    free(texts);
}

/* ---- lists --------------------------------------------------------------------------------------------------- */

static int64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void walk(bench_store *b, const char *name, execution_filter f)
{
    uint32_t pages = (uint32_t)bench_knob("PAGES", 200), rows = 0, walked = 0;
    bench_samples samples = {0}, cpu = {0};

    f.limit = (uint32_t)bench_knob("ROWS", 100);
    do {
        int64_t from_ns = bench_now_ns(), cpu_from_ns = cpu_ns();
        orch_error *error = NULL;
        execution_page page;

        if (b->s.ops->list_executions(b->s.self, &f, &page, &error))
            bench_fail(name, error);
        bench_add(&samples, (double)(bench_now_ns() - from_ns) / 1e6);
        bench_add(&cpu, (double)(cpu_ns() - cpu_from_ns) / 1e6);
        rows += (uint32_t)page.count;
        f.after_key = page.next_after;
        execution_page_clear(&page);
    } while (f.after_key && ++walked < pages);
    bench_result("lists", name, "p50", bench_percentile(&samples, 50), "ms/page");
    bench_result("lists", name, "p99", bench_percentile(&samples, 99), "ms/page");
    bench_result("lists", name, "cpu max", bench_percentile(&cpu, 100), "ms/page");
    bench_result("lists", name, "pages", (double)samples.count, "pages");
    bench_result("lists", name, "rows", rows, "rows");
    bench_clear(&samples);
    bench_clear(&cpu);
}

static void walk_all(bench_store *b, uint32_t n)
{
    char key[16];
    uint32_t keyed = n / 2;
    const int64_t middle_ms = T0 + (int64_t)n / 2 * APART_MS, hour_ms = 3600000;
    const uint32_t succeeded = 1u << EXECUTION_SUCCEEDED, failed = 1u << EXECUTION_FAILED;
    const uint32_t open = 1u << EXECUTION_OPEN, suspended = 1u << EXECUTION_SUSPENDED;
    const uint32_t stopped = 1u << EXECUTION_CANCELLED | 1u << EXECUTION_TIMED_OUT;

    while (mix(keyed) % 20 != 4)
        keyed++;
    snprintf(key, sizeof key, "key-%u", keyed);
    walk(b, "all", (execution_filter){0});
    walk(b, "all, oldest first", (execution_filter){.ascending = true});
    walk(b, "all, with payloads", (execution_filter){.payloads = true});
    walk(b, "open", (execution_filter){.states = open});
    walk(b, "suspended", (execution_filter){.states = suspended});
    walk(b, "failed", (execution_filter){.states = failed});
    walk(b, "succeeded", (execution_filter){.states = succeeded});
    walk(b, "cancelled or timed out", (execution_filter){.states = stopped});
    walk(b, "workflow", (execution_filter){.workflow = "workflow-3"});
    walk(b, "workflow and version",
         (execution_filter){.workflow = "workflow-3", .version = "2.0.0"});
    walk(b, "workflow and open", (execution_filter){.workflow = "workflow-3", .states = open});
    walk(b, "workflow and failed", (execution_filter){.workflow = "workflow-3", .states = failed});
    walk(b, "workflow and succeeded",
         (execution_filter){.workflow = "workflow-3", .states = succeeded});
    walk(b, "parent", (execution_filter){.parent = key_of(n / 200000 * 100000)});
    walk(b, "attribute, one in 40",
         (execution_filter){.attribute = "region", .attribute_value = "\"r1\""});
    walk(b, "attribute, one in 10,000",
         (execution_filter){.attribute = "customer", .attribute_value = "\"c77\""});
    walk(b, "start key", (execution_filter){.start_key = key});
    walk(b, "limit key", (execution_filter){.limit_key = "limit-7"});
    walk(b, "paused", (execution_filter){.paused = 1});
    walk(b, "accepted in an hour",
         (execution_filter){.accepted_from_ms = middle_ms, .accepted_to_ms = middle_ms + hour_ms});
    walk(b, "ended in ten minutes",
         (execution_filter){.ended_from_ms = middle_ms, .ended_to_ms = middle_ms + hour_ms / 6});
    walk(b, "ended in three hours",
         (execution_filter){.ended_from_ms = middle_ms, .ended_to_ms = middle_ms + 3 * hour_ms});
    /* No index serves these whole. */
    walk(b, "rare: succeeded, of a workflow that fails",
         (execution_filter){.workflow = "workflow-9", .states = succeeded});
    walk(b, "rare: attribute and timed out",
         (execution_filter){.attribute = "region",
                            .attribute_value = "\"r1\"",
                            .states = 1u << EXECUTION_TIMED_OUT});
    walk(b, "rare: ended in three hours, oldest first",
         (execution_filter){.ended_from_ms = middle_ms,
                            .ended_to_ms = middle_ms + 3 * hour_ms,
                            .ascending = true});
}

static void time_queues(bench_store *b, uint32_t n)
{
    static uint64_t keys[1000];
    orch_error *error = NULL;
    execution_page page;
    uint32_t count = 0;
    int64_t from_ns = bench_now_ns();

    if (b->s.ops->load_runnable(b->s.self, PRIORITY_DEFAULT, NULL, 0, 1000, &page, &error))
        bench_fail("load_runnable", error);
    bench_result("lists", "runnable, 1000", "time", (double)(bench_now_ns() - from_ns) / 1e6, "ms");
    execution_page_clear(&page);
    from_ns = bench_now_ns();
    if (b->s.ops->load_expired(b->s.self, T0 + (int64_t)n * APART_MS, 0, 1000, keys, &count,
                               &error))
        bench_fail("load_expired", error);
    bench_result("lists", "expired by age, 1000", "time", (double)(bench_now_ns() - from_ns) / 1e6,
                 "ms");
    from_ns = bench_now_ns();
    if (b->s.ops->load_expired(b->s.self, 0, n / 2, 1000, keys, &count, &error))
        bench_fail("load_expired", error);
    bench_result("lists", "expired but for the newest half, 1000", "time",
                 (double)(bench_now_ns() - from_ns) / 1e6, "ms");
}

static void bench_lists(uint32_t n)
{
    char *dir = bench_make_dir(), path[4096];
    bench_store b;
    int64_t from_ns;

    snprintf(path, sizeof path, "%s/lists", dir);
    open_store(&b, path);
    define(&b);
    from_ns = bench_now_ns();
    fill(&b, n);
    bench_result("lists", "fill", "executions", n / ((double)(bench_now_ns() - from_ns) / 1e9),
                 "1/s");
    close_store(&b);
    open_store(&b, path);
    walk_all(&b, n);
    time_queues(&b, n);
    close_store(&b);
    bench_remove_dir(dir);
}

/* ---- sleepers ------------------------------------------------------------------------------------------------ */

static void put_to_sleep(bench_store *b, uint32_t n)
{
    store_unit *units = calloc(CHUNK, sizeof *units);
    execution_row *rows = calloc(CHUNK, sizeof *rows);

    if (!units || !rows)
        bench_fail("memory", NULL);
    for (uint32_t at = 0; at < n; at += CHUNK) {
        uint32_t count = n - at < CHUNK ? n - at : CHUNK;

        for (uint32_t i = 0; i < count; i++) {
            rows[i] = (execution_row){.key = key_of(at + i),
                                      .definition = 1,
                                      .run = 1,
                                      .state = EXECUTION_SUSPENDED,
                                      .priority = PRIORITY_DEFAULT,
                                      .accepted_ms = T0,
                                      .wake_ms = T0 + mix(at + i)};
            units[i] = (store_unit){.accept = &rows[i]};
        }
        run(b, units, count);
    }
    free(units);
    free(rows);
}

/* What an orchestrator asks before it is ready. */
static void wake_up(const char *path)
{
    int64_t from_ns = bench_now_ns(), at_ns, next_ms;
    uint64_t open, execution, definition;
    orch_error *error = NULL;
    execution_page page;
    bench_store b;

    open_store(&b, path);
    at_ns = bench_now_ns();
    if (b.s.ops->marks(b.s.self, &execution, &definition, &error) ||
        b.s.ops->count_open(b.s.self, &open, &error))
        bench_fail("count_open", error);
    bench_result("lists", "sleepers", "count_open", (double)(bench_now_ns() - at_ns) / 1e6, "ms");
    at_ns = bench_now_ns();
    if (b.s.ops->next_wake(b.s.self, &next_ms, &error))
        bench_fail("next_wake", error);
    bench_result("lists", "sleepers", "next_wake", (double)(bench_now_ns() - at_ns) / 1e6, "ms");
    bench_result("lists", "sleepers", "until ready", (double)(bench_now_ns() - from_ns) / 1e6,
                 "ms");
    at_ns = bench_now_ns();
    if (b.s.ops->load_due(b.s.self, next_ms + 10000, 1000, &page, &error))
        bench_fail("load_due", error);
    bench_result("lists", "sleepers", "due, 1000", (double)(bench_now_ns() - at_ns) / 1e6, "ms");
    execution_page_clear(&page);
    close_store(&b);
}

static void bench_sleepers(uint32_t n)
{
    char *dir = bench_make_dir(), path[4096];
    bench_store b;

    snprintf(path, sizeof path, "%s/sleepers", dir);
    open_store(&b, path);
    put_to_sleep(&b, n);
    close_store(&b);
    wake_up(path);
    bench_remove_dir(dir);
}

int main(void)
{
    uint32_t n = (uint32_t)bench_knob("N", 1000000);

    bench_lists(n);
    bench_sleepers(n);
    return 0;
}
