/* What executions cost that only wait: memory while they sleep, the time until an orchestrator on their file is ready, the time
 * until a signal to one of them is its end, and how fast those are worked off whose time comes at the same moment, with what
 * others feel of it.
 *
 * Each group comes from a process of its own, on one file. Knobs: N (sleepers; 20,000 here, 1,000,000 is the case that is documented),
 * WAKES (100), EACH_MS (0.2: the time that one is given to fall asleep before all are due), BENCH_DIR. */
#include <orch/orch.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

#define IN_FLIGHT 4096
#define LOOK_MS   20

static const char *const definitions[] = {
    "{\"id\":\"signalled\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"w\",\"executor\":\"wait\","
    "\"with\":{\"signal\":\"go\"}}],\"output\":\"${steps.w.output}\"}",
    "{\"id\":\"timed\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"w\",\"executor\":\"wait\","
    "\"with\":{\"until\":\"${input.at}\"}}]}",
    "{\"id\":\"other\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"noop\"}]}",
};

static orch_v2 *orch;
static char *dir;
static long n;

static void print(const char *name, const char *metric, double value, const char *unit)
{
    bench_result("sleepers", name, metric, value, unit);
}

static double seconds_since(int64_t from_ns)
{
    return (double)(bench_now_ns() - from_ns) / 1e9;
}

static int64_t wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void open_orch(void)
{
    orch_config *c = orch_config_new();
    orch_error *err = NULL;
    char url[4200];

    snprintf(url, sizeof url, "sqlite:%s/sleepers.db", dir);
    if (orch_config_set(c, "STORE_URL", url, &err) || !(orch = orch_v2_new(c, &err)))
        bench_fail("open", err);
    orch_config_free(c);
}

static void define_all(void)
{
    orch_error *err = NULL;

    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++)
        if (orch_v2_register_definition(orch, definitions[i], strlen(definitions[i]), &err))
            bench_fail("register", err);
}

static void close_orch(void)
{
    orch_error *err = NULL;

    if (orch_v2_stop(orch, 10000, &err))
        bench_fail("stop", err);
    orch_v2_free(orch);
}

/* Rows of that workflow in that stored state (2: suspended; 3: succeeded), past the library. */
static long count(const char *workflow, int state)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    char path[4200];
    long found = -1;

    snprintf(path, sizeof path, "%s/sleepers.db", dir);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) ||
        sqlite3_prepare_v2(db,
                           "SELECT count(*) FROM execution e JOIN definition d ON d.key = "
                           "e.definition WHERE d.workflow = ?1 AND e.state = ?2",
                           -1, &st, NULL))
        bench_fail(sqlite3_errmsg(db), NULL);
    sqlite3_bind_text(st, 1, workflow, -1, SQLITE_STATIC);
    sqlite3_bind_int(st, 2, state);
    if (sqlite3_step(st) == SQLITE_ROW)
        found = (long)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return found;
}

/* Counts again and again, but most of the time not: a look at a million rows takes the processor for a while. */
static void wait_for(const char *workflow, int state, long wanted)
{
    int64_t from = bench_now_ns(), took;

    while (count(workflow, state) < wanted) {
        took = (bench_now_ns() - from) / 1000000;
        poll(NULL, 0, LOOK_MS + 20 * (int)took);
        from = bench_now_ns();
    }
}

/* ---- filling ----------------------------------------------------------------------------------------------- */

static long flying;

static void accepted(void *user_data, orch_execution *execution, orch_error *error)
{
    (void)user_data;
    if (!execution)
        bench_fail("start", error);
    flying--;
    orch_execution_free(execution);
}

static void start_all(const char *workflow, const char *input)
{
    struct pollfd fd = {.fd = orch_v2_fd(orch), .events = POLLIN};
    orch_error *err = NULL;

    for (long i = 0; i < n || flying; i++) {
        while (flying >= IN_FLIGHT || (i >= n && flying)) {
            poll(&fd, 1, 1000);
            orch_v2_dispatch(orch);
        }
        if (i >= n)
            break;
        if (orch_v2_start_workflow_async(orch, workflow, input, input ? strlen(input) : 0, NULL,
                                         accepted, NULL, NULL, NULL, &err))
            bench_fail("start", err);
        flying++;
    }
}

static void fill(void)
{
    double idle, then;
    int64_t from;

    open_orch();
    define_all();
    poll(NULL, 0, 500);
    idle = (double)bench_status("VmRSS");
    from = bench_now_ns();
    start_all("signalled", NULL);
    print("fall asleep", "accepted", (double)n / seconds_since(from), "executions/s");
    wait_for("signalled", 2, n);
    print("fall asleep", "asleep", (double)n / seconds_since(from), "executions/s");
    then = (double)bench_status("VmRSS");
    print("asleep", "resident_above_idle", (then - idle) / 1024, "MiB");
    close_orch();
}

/* ---- waking ------------------------------------------------------------------------------------------------ */

static void wake_one(const char *id, bench_samples *times)
{
    orch_execution *e = NULL;
    orch_response *r = NULL;
    orch_error *err = NULL;
    int64_t from;

    if (orch_v2_find_execution(orch, id, &e, &err))
        bench_fail("find", err);
    from = bench_now_ns();
    if (orch_v2_signal(orch, id, "go", "1", 1, NULL, NULL, &err))
        bench_fail("signal", err);
    if (orch_execution_wait(e, 60000, &r, &err))
        bench_fail("wait", err);
    bench_add(times, (double)(bench_now_ns() - from) / 1e6);
    orch_response_free(r);
    orch_execution_free(e);
}

static void reopen(void)
{
    bench_samples times = {0};
    orch_filter *f = orch_filter_new();
    orch_execution_list *list = NULL;
    orch_error *err = NULL;
    int64_t from = bench_now_ns();
    char limit[16];

    open_orch();
    print("open", "ready", seconds_since(from) * 1e3, "ms");
    poll(NULL, 0, 500);
    print("open", "resident", (double)bench_status("VmRSS") / 1024, "MiB");
    snprintf(limit, sizeof limit, "%d", (int)bench_knob("WAKES", 100));
    orch_filter_set(f, "workflow", "signalled", NULL);
    orch_filter_set(f, "state", "suspended", NULL);
    orch_filter_set(f, "limit", limit, NULL);
    if (orch_v2_list_executions(orch, f, &list, &err))
        bench_fail("list", err);
    for (size_t i = 0; i < orch_execution_list_count(list); i++)
        wake_one(orch_response_id(orch_execution_list_get(list, i)), &times);
    print("one is signalled", "ended_p50", bench_percentile(&times, 50), "ms");
    print("one is signalled", "ended_p99", bench_percentile(&times, 99), "ms");
    orch_execution_list_free(list);
    orch_filter_free(f);
    bench_clear(&times);
    close_orch();
}

/* ---- all at once ------------------------------------------------------------------------------------------- */

/* Executions of others, one after the other, until all timers are worked off. */
static void be_another(bench_samples *times)
{
    for (;;) {
        int64_t from_ns = bench_now_ns(), until;

        if (count("timed", 3) >= n)
            break;
        until = bench_now_ns() + INT64_C(200000000) + 20 * (bench_now_ns() - from_ns);
        do {
            orch_response *r = NULL;
            orch_error *err = NULL;
            int64_t from = bench_now_ns();

            if (orch_v2_execute_workflow(orch, "other", NULL, 0, NULL, &r, &err))
                bench_fail("execute", err);
            bench_add(times, (double)(bench_now_ns() - from) / 1e6);
            orch_response_free(r);
        } while (bench_now_ns() < until);
    }
}

static void all_at_once(void)
{
    bench_samples times = {0};
    char input[64];
    int64_t due_ms = wall_ms() + 10000 + (int64_t)(n * bench_knob("EACH_MS", 0.2));

    open_orch();
    snprintf(input, sizeof input, "{\"at\":%lld}", (long long)due_ms);
    start_all("timed", input);
    while (count("timed", 2) < n) {
        if (wall_ms() >= due_ms)
            bench_fail("they fall asleep too slowly to be due at one moment: raise EACH_MS", NULL);
        poll(NULL, 0, LOOK_MS);
    }
    poll(NULL, 0, (int)(due_ms - wall_ms()));
    be_another(&times);
    print("due at one moment", "worked_off", (double)n * 1e3 / (double)(wall_ms() - due_ms),
          "executions/s");
    print("due at one moment", "others_p50", bench_percentile(&times, 50), "ms");
    print("due at one moment", "others_p99", bench_percentile(&times, 99), "ms");
    print("due at one moment", "others_most", bench_percentile(&times, 100), "ms");
    bench_clear(&times);
    close_orch();
}

static void in_a_process(void (*part)(void))
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        part();
        fflush(stdout);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
        bench_fail("a part did not end well", NULL);
}

int main(void)
{
    n = (long)bench_knob("N", 20000);
    dir = bench_make_dir();
    in_a_process(fill);
    in_a_process(reopen);
    in_a_process(all_at_once);
    bench_remove_dir(dir);
    return 0;
}
