#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wfreplay.h"

#define TICK_MS 100

typedef struct options {
    double scale;
    const char *store; /* NULL: a file in a temporary folder that is gone afterwards */
    char **files;
    int file_count;
} options;

typedef struct replay {
    orch_v2 *orch;
    timers *timers;
    double scale;
    bool live; /* stdout is a terminal */
} replay;

static const char usage[] =
    "usage: wfreplay [--scale F] [--store URL] FILE...\n"
    "\n"
    "Runs recorded workflows (WfFormat 1.5) again, each task lasting as long as it did, times F, "
    "and\n"
    "checks from the history that no task began before its parents' checkpoints were stored.\n"
    "\n"
    "  --scale F    0 to 1000 (default: 0.0001)\n"
    "  --store URL  sqlite:PATH or memory: (default: an SQLite file that is removed afterwards)\n";

bool complain(const char *what, const char *why)
{
    fprintf(stderr, "wfreplay: %s: %s\n", what, why);
    return false;
}

static bool read_scale(const char *text, double *out)
{
    char *end;

    *out = strtod(text, &end);
    return *text && !*end && *out >= 0 && *out <= 1000;
}

static bool read_options(int argc, char **argv, options *o)
{
    int i = 1;

    *o = (options){.scale = 0.0001};
    for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
        if (!strcmp(argv[i], "--store"))
            o->store = argv[i + 1];
        else if (strcmp(argv[i], "--scale") != 0 || !read_scale(argv[i + 1], &o->scale))
            return false;
    }
    o->files = argv + i;
    o->file_count = argc - i;
    return o->file_count > 0 && o->files[0][0] != '-';
}

/* ---- One execution ------------------------------------------------------------------------------------- */

static void show_progress(const replay *r, const instance *in, const char *id)
{
    orch_progress *p = NULL;
    int64_t ended;
    int filled;

    if (!r->live || orch_v2_get_progress(r->orch, id, &p, NULL))
        return;
    ended = orch_progress_get(p, "ended");
    filled = (int)(ended * 30 / in->count);
    printf("\r%-41.41s [", in->name);
    for (int i = 0; i < 30; i++)
        putchar(i < filled ? '#' : '.');
    printf("] %lld of %u\033[K", (long long)ended, in->count);
    fflush(stdout);
    orch_progress_free(p);
}

static bool follow(const replay *r, const instance *in, orch_execution *execution,
                   orch_response **end, orch_error **err)
{
    int32_t rc;

    while ((rc = orch_execution_wait(execution, TICK_MS, end, err)) == ORCH_E_DEADLINE_EXCEEDED) {
        orch_error_free(*err);
        *err = NULL;
        show_progress(r, in, orch_execution_id(execution));
    }
    if (r->live)
        fputs("\r\033[K", stdout);
    return !rc;
}

/* False if it could not be run; how it ended is for the caller to judge. */
static bool execute(const replay *r, const instance *in, const char *id, orch_response **end,
                    orch_error **err)
{
    orch_start_options *options = orch_start_options_new();
    orch_execution *execution = NULL;
    bool ok = !orch_start_options_set_id(options, id) &&
              !orch_v2_start_workflow(r->orch, in->name, NULL, 0, options, &execution, err) &&
              follow(r, in, execution, end, err);

    orch_execution_free(execution);
    orch_start_options_free(options);
    return ok;
}

static bool judge(const replay *r, const instance *in, const orch_response *end,
                  const trace *traces)
{
    const char *error = orch_response_error(end, NULL);

    if (orch_response_state(end) != ORCH_EXECUTION_SUCCEEDED)
        return complain(in->name,
                        error ? error : orch_execution_state_name(orch_response_state(end)));
    return check_execution(r->orch, orch_response_id(end), in, traces);
}

static void report(const replay *r, const instance *in, int64_t took_ns, bool ok)
{
    double makespan = (double)took_ns / 1e9, critical = in->critical_seconds * r->scale;
    char ratio[16] = "-";

    if (critical > 0)
        snprintf(ratio, sizeof ratio, "%.2f", makespan / critical);
    printf("%-41.41s %6u %6u %9.4f s %9.4f s %7s %9.0f  %s\n", in->name, in->count, in->edges,
           makespan, critical, ratio, in->count / makespan, ok ? "ok" : "FAILED");
    fflush(stdout);
}

static bool run_traced(const replay *r, const instance *in, trace *traces)
{
    orch_response *end = NULL;
    orch_error *err = NULL;
    struct timespec now;
    int64_t began_ns;
    char id[128];
    bool ok;

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(id, sizeof id, "wfreplay/%.80s/%lld.%09ld", in->name, (long long)now.tv_sec,
             now.tv_nsec);
    timers_follow(r->timers, id, traces, in->count);
    began_ns = clock_ns();
    ok = execute(r, in, id, &end, &err);
    if (!ok)
        complain(in->name, orch_error_message(err));
    began_ns = clock_ns() - began_ns;
    timers_follow(r->timers, NULL, NULL, 0);
    ok = ok && judge(r, in, end, traces);
    report(r, in, began_ns, ok);
    orch_error_free(err);
    orch_response_free(end);
    return ok;
}

/* ---- The files ----------------------------------------------------------------------------------------- */

static bool run_instance(const replay *r, const instance *in)
{
    char *definition = instance_definition(in);
    trace *traces = calloc(in->count, sizeof *traces);
    orch_error *err = NULL;
    bool ok = definition && traces;

    if (!ok)
        complain(in->name, "no memory");
    else if (orch_v2_register_definition(r->orch, definition, strlen(definition), &err))
        ok = complain(in->name, orch_error_message(err));
    ok = ok && run_traced(r, in, traces);
    orch_error_free(err);
    free(traces);
    free(definition);
    return ok;
}

static int run_files(const replay *r, const options *o)
{
    int failed = 0;
    uint64_t tasks = 0;

    printf("%-41s %6s %6s %11s %11s %7s %9s\n", "instance", "tasks", "edges", "makespan",
           "crit. path", "ratio", "steps/s");
    for (int i = 0; i < o->file_count; i++) {
        instance in = {0};

        if (!instance_read(o->files[i], &in)) {
            failed++;
            continue;
        }
        failed += !run_instance(r, &in);
        tasks += in.count;
        instance_free(&in);
    }
    if (failed)
        printf("%d of %d files failed\n", failed, o->file_count);
    else
        printf("%d files, %llu tasks: all succeeded, each task once, none before its parents' "
               "checkpoints\n",
               o->file_count, (unsigned long long)tasks);
    return failed;
}

/* ---- The orchestrator ---------------------------------------------------------------------------------- */

static bool open_orch(replay *r, const char *url, orch_error **err)
{
    orch_config *config = orch_config_new();

    if (!orch_config_set(config, "STORE_URL", url, err))
        r->orch = orch_v2_new(config, err);
    orch_config_free(config);
    return r->orch && !orch_engine_register_executor(orch_v2_local_engine(r->orch), "task",
                                                     timers_executor, r->timers, NULL, err);
}

static bool replay_all(const options *o, const char *url)
{
    replay r = {.timers = timers_new(o->scale), .scale = o->scale, .live = isatty(STDOUT_FILENO)};
    orch_error *err = NULL;
    bool ok;

    if (!r.timers)
        return complain("timers", "no memory");
    ok = open_orch(&r, url, &err);
    if (!ok)
        complain(url, orch_error_message(err));
    else
        printf("run times x %g, store %s\n", o->scale,
               o->store ? o->store : "sqlite, in a temporary file");
    ok = ok && !run_files(&r, o);
    timers_stop(r.timers);
    orch_v2_free(r.orch);
    timers_free(r.timers);
    orch_error_free(err);
    return ok;
}

/* The store's file and what lies beside it. */
static void remove_store(const char *folder)
{
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm",
                                        "store.db-lock"};
    char path[512];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    char folder[256], url[300];
    options o;
    bool ok;

    if (!read_options(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    if (o.store)
        return replay_all(&o, o.store) ? 0 : 1;
    snprintf(folder, sizeof folder, "%.200s/wfreplay-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        complain(folder, "cannot be made");
        return 1;
    }
    snprintf(url, sizeof url, "sqlite:%s/store.db", folder);
    ok = replay_all(&o, url);
    remove_store(folder);
    return ok ? 0 : 1;
}
