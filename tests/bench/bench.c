#include "bench/bench.h"

#include <dirent.h>
#include <libgen.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void bench_result(const char *bench, const char *name, const char *metric, double value,
                  const char *unit)
{
    printf("{\"bench\":\"%s\",\"case\":\"%s\",\"metric\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n",
           bench, name, metric, value, unit);
    fflush(stdout);
}

double bench_knob(const char *name, double fallback)
{
    const char *text = getenv(name);
    char *end;
    double value;

    if (!text || !*text)
        return fallback;
    value = strtod(text, &end);
    if (*end || !(value > 0)) {
        fprintf(stderr, "%s is '%s': it must be a number above 0\n", name, text);
        exit(2);
    }
    return value;
}

void bench_fail(const char *what, orch_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error ? orch_error_message(error) : "failed");
    orch_error_free(error);
    exit(1);
}

int64_t bench_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

size_t bench_heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

uint64_t bench_status_in(const char *path, const char *key)
{
    FILE *f = fopen(path, "r");
    size_t len = strlen(key);
    char line[256];
    uint64_t value = 0;

    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, key, len) && line[len] == ':')
            value = strtoull(line + len + 1, NULL, 10);
    }
    if (f)
        fclose(f);
    return value;
}

uint64_t bench_written_bytes(void)
{
    return bench_status_in("/proc/self/io", "write_bytes");
}

uint64_t bench_status(const char *key)
{
    return bench_status_in("/proc/self/status", key);
}

char *bench_make_dir(void)
{
    const char *parent = getenv("BENCH_DIR");
    char self[PATH_MAX] = "";
    char *dir = NULL;

    if (!parent && readlink("/proc/self/exe", self, sizeof self - 1) > 0)
        parent = dirname(self);
    if (asprintf(&dir, "%s/bench-XXXXXX", parent ? parent : ".") < 0 || !mkdtemp(dir)) {
        perror("a folder for the bench");
        exit(1);
    }
    return dir;
}

void bench_remove_dir(char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    char path[PATH_MAX];

    while (d && (e = readdir(d))) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
    free(dir);
}

void bench_add(bench_samples *s, double value)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 1024;
        s->values = realloc(s->values, s->capacity * sizeof *s->values);
        if (!s->values)
            bench_fail("measurements", NULL);
    }
    s->values[s->count++] = value;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_percentile(bench_samples *s, double percent)
{
    size_t at = (size_t)(percent / 100 * (double)s->count);

    if (!s->count)
        return 0;
    qsort(s->values, s->count, sizeof *s->values, by_value);
    return s->values[at < s->count ? at : s->count - 1];
}

void bench_clear(bench_samples *s)
{
    free(s->values);
    *s = (bench_samples){0};
}
