/* What it costs a program to have liborch in it: bytes of the library and of those it loads, resident memory and threads of
 * a host that has opened a store and does nothing, and the time that opening takes. Beside them: a process that opens
 * the same file with SQLite alone.
 *
 * Each group of figures comes from a process of its own. The library is the one that was built
 * beside it, or ORCH_LIBRARY. Knobs: N (executions in the file that is opened again; 1000), REPEAT (9), BENCH_DIR. */
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <link.h>
#include <orch/orch.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

#define IDLE_US 200000 /* for threads to come to rest */

static void print(const char *name, const char *metric, double value, const char *unit)
{
    bench_result("footprint", name, metric, value, unit);
}

static double ms_since(int64_t from_ns)
{
    return (double)(bench_now_ns() - from_ns) / 1e6;
}

static void print_resident(const char *name)
{
    usleep(IDLE_US);
    print(name, "resident", (double)bench_status("VmRSS"), "KiB");
    print(name, "resident_anonymous", (double)bench_status("RssAnon"), "KiB");
    print(name, "threads", (double)bench_status("Threads"), "threads");
}

/* ---- sizes ------------------------------------------------------------------------------------------------- */

static double size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : (double)st.st_size;
}

static double stripped_size(const char *path)
{
    char copy[] = "/tmp/bench-stripped-XXXXXX", command[PATH_MAX + 64];
    int fd = mkstemp(copy);
    double size;

    if (fd < 0)
        bench_fail("a file for the stripped library", NULL);
    close(fd);
    snprintf(command, sizeof command, "strip -o %s '%s'", copy, path);
    size = system(command) ? 0 : size_of(copy);
    unlink(copy);
    return size;
}

static int print_object(struct dl_phdr_info *info, size_t size, void *user_data)
{
    char path[PATH_MAX], name[PATH_MAX + 8];
    double bytes, *sum = user_data;

    (void)size;
    if (!*info->dlpi_name || !realpath(info->dlpi_name, path))
        return 0; /* this program, the vdso */
    bytes = stripped_size(path);
    snprintf(name, sizeof name, "size/%s", basename(path));
    print(name, "stripped", bytes, "bytes");
    *sum += bytes;
    return 0;
}

/* ---- a host ------------------------------------------------------------------------------------------------ */

/* The library's functions; nothing of it is linked into this program. */
static struct {
    void *library;
    orch_config *(*config_new)(void);
    void (*config_free)(orch_config *config);
    int32_t (*config_set)(orch_config *config, const char *key, const char *value,
                          orch_error **err);
    orch_v2 *(*new)(const orch_config *config, orch_error **err);
    int32_t (*register_definition)(orch_v2 *orch, const char *text, size_t len, orch_error **err);
    int32_t (*execute)(orch_v2 *orch, const char *id, const char *inputs, size_t len,
                       const orch_start_options *options, orch_response **out, orch_error **err);
    void (*response_free)(orch_response *response);
    void (*free)(orch_v2 *orch);
} orch;

static void find(void *to, const char *name)
{
    *(void **)to = dlsym(orch.library, name);
    if (!*(void **)to)
        bench_fail(name, NULL);
}

static void load_library(void)
{
    const char *path = getenv("ORCH_LIBRARY");
    char self[PATH_MAX] = "", beside[PATH_MAX + 32];

    if (!path && readlink("/proc/self/exe", self, sizeof self - 1) > 0) {
        snprintf(beside, sizeof beside, "%s/../../liborch.so", dirname(self));
        path = beside;
    }
    orch.library = dlopen(path ? path : "liborch.so", RTLD_NOW);
    if (!orch.library)
        bench_fail(dlerror(), NULL);
    find(&orch.config_new, "orch_config_new");
    find(&orch.config_free, "orch_config_free");
    find(&orch.config_set, "orch_config_set");
    find(&orch.new, "orch_v2_new");
    find(&orch.register_definition, "orch_v2_register_definition");
    find(&orch.execute, "orch_v2_execute_workflow");
    find(&orch.response_free, "orch_response_free");
    find(&orch.free, "orch_v2_free");
}

static orch_v2 *open_store(const char *path, double *out_ms)
{
    orch_config *config = orch.config_new();
    orch_error *error = NULL;
    orch_v2 *o = NULL;
    char url[PATH_MAX + 16];
    int64_t from_ns = bench_now_ns();

    snprintf(url, sizeof url, "sqlite:%s", path);
    if (config && !orch.config_set(config, "STORE_URL", url, &error))
        o = orch.new(config, &error);
    *out_ms = ms_since(from_ns);
    if (!o)
        bench_fail("orch_v2_new", error);
    orch.config_free(config);
    return o;
}

static void measure_sizes(const char *dir)
{
    double sum = 0;

    (void)dir;
    load_library();
    dl_iterate_phdr(print_object, &sum);
    print("size/all", "stripped", sum, "bytes");
}

static void measure_host(const char *dir)
{
    char path[PATH_MAX];
    double ms;
    orch_v2 *o;

    snprintf(path, sizeof path, "%s/host", dir);
    print("bare-process", "resident", (double)bench_status("VmRSS"), "KiB");
    load_library();
    print("library-loaded", "resident", (double)bench_status("VmRSS"), "KiB");
    o = open_store(path, &ms);
    print_resident("idle-host");
    orch.free(o);
}

static void execute_some(orch_v2 *o, int n)
{
    static const char text[] = "{\"id\":\"bench\",\"version\":\"1.0.0\",\"steps\":["
                               "{\"id\":\"one\",\"executor\":\"noop\"}]}";
    orch_error *error = NULL;

    if (orch.register_definition(o, text, sizeof text - 1, &error))
        bench_fail("orch_v2_register_definition", error);
    for (int i = 0; i < n; i++) {
        orch_response *response = NULL;

        if (orch.execute(o, "bench", NULL, 0, NULL, &response, &error))
            bench_fail("orch_v2_execute_workflow", error);
        orch.response_free(response);
    }
}

static void measure_ready(const char *dir)
{
    bench_samples empty = {0}, again = {0};
    int repeat = (int)bench_knob("REPEAT", 9), n = (int)bench_knob("N", 1000);
    char path[PATH_MAX];
    double ms;

    load_library();
    for (int i = 0; i < repeat; i++) {
        snprintf(path, sizeof path, "%s/ready-%d", dir, i);
        orch.free(open_store(path, &ms));
        bench_add(&empty, ms);
    }
    orch_v2 *o = open_store(path, &ms);
    execute_some(o, n);
    orch.free(o);
    for (int i = 0; i < repeat; i++) {
        orch.free(open_store(path, &ms));
        bench_add(&again, ms);
    }
    print("ready/empty-file", "median", bench_percentile(&empty, 50), "ms");
    print("ready/existing-file", "median", bench_percentile(&again, 50), "ms");
    bench_clear(&empty);
    bench_clear(&again);
}

/* ---- SQLite alone -------------------------------------------------------------------------------------------- */

static sqlite3 *open_database(const char *path, const char *sql, double *out_ms)
{
    int64_t from_ns = bench_now_ns();
    sqlite3 *db;

    if (sqlite3_open(path, &db) || sqlite3_exec(db, sql, NULL, NULL, NULL))
        bench_fail(sqlite3_errmsg(db), NULL);
    *out_ms = ms_since(from_ns);
    return db;
}

static void measure_sqlite_ready(const char *dir)
{
    static const char create[] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE one(key INTEGER PRIMARY KEY)";
    static const char look[] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; SELECT count(*) FROM one";
    bench_samples empty = {0}, again = {0};
    int repeat = (int)bench_knob("REPEAT", 9);
    char path[PATH_MAX];
    double ms;

    for (int i = 0; i < repeat; i++) {
        snprintf(path, sizeof path, "%s/sqlite-%d", dir, i);
        sqlite3_close(open_database(path, create, &ms));
        bench_add(&empty, ms);
        sqlite3_close(open_database(path, look, &ms));
        bench_add(&again, ms);
    }
    print("ready/empty-file/sqlite-alone", "median", bench_percentile(&empty, 50), "ms");
    print("ready/existing-file/sqlite-alone", "median", bench_percentile(&again, 50), "ms");
    bench_clear(&empty);
    bench_clear(&again);
}

static void measure_sqlite_host(const char *dir)
{
    char path[PATH_MAX];
    double ms;
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/sqlite", dir);
    db = open_database(path, "PRAGMA journal_mode=WAL; CREATE TABLE one(key INTEGER PRIMARY KEY)",
                       &ms);
    print_resident("idle-host/sqlite-alone");
    sqlite3_close(db);
}

/* ---- one process each ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    void (*measure)(const char *dir);
} parts[] = {
    {"sizes", measure_sizes},
    {"host", measure_host},
    {"sqlite-host", measure_sqlite_host},
    {"ready", measure_ready},
    {"sqlite-ready", measure_sqlite_ready},
};

#define PARTS (sizeof parts / sizeof *parts)

/* Started anew and not only forked: what its parent had touched would not count. */
static void in_a_process(const char *name)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        execl("/proc/self/exe", "bench_footprint", name, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || status)
        bench_fail(name, NULL);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (argc == 1) {
            in_a_process(parts[i].name);
        } else if (!strcmp(argv[1], parts[i].name)) {
            char *dir = bench_make_dir();

            parts[i].measure(dir);
            bench_remove_dir(dir);
        }
    }
    return 0;
}
