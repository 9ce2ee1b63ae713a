/* Durable executions on one SQLite file with synchronous=FULL, started and awaited through the public API by one host
 * thread, so many in flight. Beside them, in turns on files of the same schema: the floor (floor.h). Workflows of noop
 * steps: 1 step, 3 steps in a row, 100 steps side by side that nothing joins.
 *
 * Commits and rows are counted by a hook in SQLite itself, bytes by /proc/self/io, and processor time by getrusage; all
 * of them hold the host's thread too, and the copying into the database after a turn, which the time of the turn does not.
 *
 * Knobs: SECONDS (per case and side; 1), ROUNDS (turns that make them up; 4), LEAST and MOST (in flight; 1, 4096), ONLY (such as
 * 3-steps), BENCH_DIR. */
#include <orch/orch.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/floor.h"
#include "bench/graph.h"

#define ROW_BYTES 64 /* about what a row of an execution or a checkpoint takes with its key */
#define STILL_MS  50

/* ---- what a side did -------------------------------------------------------------------------------------- */

static atomic_uint_least64_t commits, rows;

typedef struct counter {
    sqlite3 *db;
    sqlite3_int64 changes;
} counter;

static int count_commit(void *ctx)
{
    counter *c = ctx;
    sqlite3_int64 changes = sqlite3_total_changes64(c->db);

    atomic_fetch_add(&commits, 1);
    atomic_fetch_add(&rows, (uint64_t)(changes - c->changes));
    c->changes = changes;
    return 0;
}

static int count_connection(sqlite3 *db, char **message, const struct sqlite3_api_routines *api)
{
    counter *c = calloc(1, sizeof *c); /* as long as the program: connections are few */

    (void)message;
    (void)api;
    if (!c)
        return SQLITE_NOMEM;
    c->db = db;
    sqlite3_commit_hook(db, count_commit, c);
    return SQLITE_OK;
}

typedef struct usage {
    uint64_t commits, rows, written;
    double cpu_us;
} usage;

typedef struct side {
    totals totals;
    usage usage;
} side;

static usage usage_now(void)
{
    usage u = {atomic_load(&commits), atomic_load(&rows), bench_written_bytes(), 0};
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    u.cpu_us = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
               (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    return u;
}

/* What a side has committed is moved into its database by a thread that is not waited for: until it rests, it would be
 * counted as the other side's. */
static void settle(void)
{
    uint64_t before = bench_written_bytes();

    for (int still = 0; still < STILL_MS; still++) {
        uint64_t now;

        usleep(1000);
        now = bench_written_bytes();
        if (now != before)
            still = 0;
        before = now;
    }
}

static void usage_add(usage *sum, const usage *from)
{
    usage now;

    settle();
    now = usage_now();
    sum->commits += now.commits - from->commits;
    sum->rows += now.rows - from->rows;
    sum->written += now.written - from->written;
    sum->cpu_us += now.cpu_us - from->cpu_us;
}

static double rate(const side *s)
{
    return (double)s->totals.executions / ((double)s->totals.ns / 1e9);
}

static void print_side(const char *name, side *s, bool counts_batches)
{
    double n = (double)s->totals.executions;
    uint64_t own_rows = s->usage.rows - (counts_batches ? s->usage.commits : 0);

    bench_result("durable", name, "executions", rate(s), "1/s");
    bench_result("durable", name, "p50", bench_percentile(&s->totals.latencies_ms, 50), "ms");
    bench_result("durable", name, "p99", bench_percentile(&s->totals.latencies_ms, 99), "ms");
    bench_result("durable", name, "commits",
                 (double)s->usage.commits / ((double)s->totals.ns / 1e9), "1/s");
    bench_result("durable", name, "rows", (double)own_rows / n, "rows/execution");
    bench_result("durable", name, "written", (double)s->usage.written / n, "bytes/execution");
    bench_result("durable", name, "cpu", s->usage.cpu_us / n, "us/execution");
}

/* ---- ours -------------------------------------------------------------------------------------------------- */

typedef struct client {
    orch_v2 *orch;
    totals *totals;
    int64_t until_ns;
    uint32_t in_flight;
} client;

typedef struct request {
    client *client;
    int64_t from_ns;
} request;

static orch_v2 *open_orchestrator(const char *path, const char *text, size_t len)
{
    orch_config *config = orch_config_new();
    orch_error *error = NULL;
    orch_v2 *orch = NULL;
    char url[4096];

    snprintf(url, sizeof url, "sqlite:%s", path);
    if (config && !orch_config_set(config, "STORE_URL", url, &error) &&
        !orch_config_set(config, "STORE_SYNCHRONOUS", "full", &error) &&
        !orch_config_set(config, "LOCAL_CAPACITY", "100000", &error))
        orch = orch_v2_new(config, &error);
    if (!orch || orch_v2_register_definition(orch, text, len, &error))
        bench_fail("the orchestrator", error);
    orch_config_free(config);
    return orch;
}

static void check_end(orch_response *response)
{
    if (orch_response_state(response) != ORCH_EXECUTION_SUCCEEDED)
        bench_fail(response ? orch_response_error(response, NULL) : "no end", NULL);
    orch_response_free(response);
}

static void ended(void *user_data, orch_response *response);

static void start(request *r)
{
    orch_error *error = NULL;

    r->from_ns = bench_now_ns();
    r->client->in_flight++;
    if (orch_v2_start_workflow_async(r->client->orch, "bench", NULL, 0, NULL, NULL, ended, r, NULL,
                                     &error))
        bench_fail("orch_v2_start_workflow_async", error);
}

static void ended(void *user_data, orch_response *response)
{
    request *r = user_data;
    client *c = r->client;
    int64_t now_ns = bench_now_ns();

    check_end(response);
    bench_add(&c->totals->latencies_ms, (double)(now_ns - r->from_ns) / 1e6);
    c->totals->executions++;
    c->in_flight--;
    if (now_ns < c->until_ns)
        start(r);
}

static void run_ours(orch_v2 *orch, uint32_t in_flight, double seconds, totals *t)
{
    int64_t from_ns = bench_now_ns();
    client c = {.orch = orch, .totals = t, .until_ns = from_ns + (int64_t)(seconds * 1e9)};
    request *requests = calloc(in_flight, sizeof *requests);
    struct pollfd p = {.fd = orch_v2_fd(orch), .events = POLLIN};

    if (!requests || p.fd < 0)
        bench_fail("the client", NULL);
    for (uint32_t i = 0; i < in_flight; i++) {
        requests[i].client = &c;
        start(&requests[i]);
    }
    while (c.in_flight) {
        poll(&p, 1, -1);
        orch_v2_dispatch(orch);
    }
    t->ns += bench_now_ns() - from_ns;
    free(requests);
}

static void run_blocking(orch_v2 *orch, double seconds, totals *t)
{
    int64_t from_ns = bench_now_ns();
    int64_t until_ns = from_ns + (int64_t)(seconds * 1e9);
    orch_error *error = NULL;
    int64_t now_ns;

    for (int64_t at = from_ns; at < until_ns; at = now_ns) {
        orch_response *response = NULL;

        if (orch_v2_execute_workflow(orch, "bench", NULL, 0, NULL, &response, &error))
            bench_fail("orch_v2_execute_workflow", error);
        check_end(response);
        now_ns = bench_now_ns();
        bench_add(&t->latencies_ms, (double)(now_ns - at) / 1e6);
        t->executions++;
    }
    t->ns += bench_now_ns() - from_ns;
}

/* ---- in turns ---------------------------------------------------------------------------------------------- */

typedef struct contest {
    const char *workflow;
    load load;
    orch_v2 *orch;
    floor_loop *floor;
    side ours, blocking, floor_side;
} contest;

static void play(contest *c, double seconds, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        usage from = usage_now();

        run_ours(c->orch, c->load.in_flight, seconds / rounds, &c->ours.totals);
        usage_add(&c->ours.usage, &from);
        from = usage_now();
        floor_run(c->floor, &c->load, seconds / rounds, &c->floor_side.totals);
        usage_add(&c->floor_side.usage, &from);
        if (c->load.in_flight > 1)
            continue;
        from = usage_now();
        run_blocking(c->orch, seconds / rounds, &c->blocking.totals);
        usage_add(&c->blocking.usage, &from);
    }
}

static void print(contest *c)
{
    char name[64], beside[80];

    snprintf(name, sizeof name, "%s/%u", c->workflow, c->load.in_flight);
    print_side(name, &c->ours, true);
    snprintf(beside, sizeof beside, "%s/floor", name);
    print_side(beside, &c->floor_side, false);
    bench_result("durable", name, "to_floor", rate(&c->ours) / rate(&c->floor_side), "ratio");
    bench_result(
        "durable", name, "written_to_floor",
        (double)c->ours.usage.written / (double)c->ours.totals.executions /
            ((double)c->floor_side.usage.written / (double)c->floor_side.totals.executions),
        "ratio");
    if (c->load.in_flight == 1) {
        snprintf(beside, sizeof beside, "%s/blocking", name);
        print_side(beside, &c->blocking, true);
        bench_result("durable", beside, "to_floor", rate(&c->blocking) / rate(&c->floor_side),
                     "ratio");
    }
}

/* A pair of fresh files, both made by the library. */
static void compete(const char *workflow, const graph *g, bool in_a_row, uint32_t in_flight)
{
    contest c = {.workflow = workflow, .load = {g->nodes, in_a_row, in_flight}};
    char *dir = bench_make_dir(), ours[4096], floor[4096];
    size_t len;
    char *text = graph_definition(g, "bench", &len);

    snprintf(ours, sizeof ours, "%s/ours", dir);
    snprintf(floor, sizeof floor, "%s/floor", dir);
    orch_v2_free(open_orchestrator(floor, text, len));
    c.orch = open_orchestrator(ours, text, len);
    c.floor = floor_open(floor);
    play(&c, bench_knob("SECONDS", 1), (int)bench_knob("ROUNDS", 4));
    print(&c);
    floor_close(c.floor);
    orch_v2_free(c.orch);
    bench_clear(&c.ours.totals.latencies_ms);
    bench_clear(&c.blocking.totals.latencies_ms);
    bench_clear(&c.floor_side.totals.latencies_ms);
    bench_remove_dir(dir);
    free(text);
}

static void compete_all(const char *workflow, graph g, bool in_a_row)
{
    static const uint32_t in_flight[] = {1, 16, 128, 4096};
    const char *only = getenv("ONLY");
    double least = bench_knob("LEAST", 1), most = bench_knob("MOST", 4096);

    for (size_t i = 0; i < sizeof in_flight / sizeof *in_flight; i++) {
        if ((!only || !strcmp(only, workflow)) && in_flight[i] >= least && in_flight[i] <= most)
            compete(workflow, &g, in_a_row, in_flight[i]);
    }
    graph_free(&g);
}

static void insert_raw(uint32_t a_commit)
{
    char *dir = bench_make_dir(), path[4096], name[64];

    snprintf(path, sizeof path, "%s/raw", dir);
    snprintf(name, sizeof name, "raw-sqlite/%u-a-commit", a_commit);
    bench_result("durable", name, "rows",
                 floor_raw_inserts(path, ROW_BYTES, a_commit, bench_knob("SECONDS", 1)), "1/s");
    bench_remove_dir(dir);
}

int main(void)
{
    insert_raw(1);
    insert_raw(100);
    sqlite3_auto_extension((void (*)(void))count_connection);
    compete_all("1-step", graph_chain(1), true);
    compete_all("3-steps", graph_chain(3), true);
    compete_all("100-wide", graph_wide(100), false);
    return 0;
}
