/* What the benches share: knobs, clocks, and results as one JSON object a line. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <orch/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* {"bench":…,"case":…,"metric":…,"value":…,"unit":…} */
void bench_result(const char *bench, const char *name, const char *metric, double value,
                  const char *unit);
/* A number from the environment, or the default. Ends the program if it is none. */
double bench_knob(const char *name, double fallback);
/* The program cannot go on: says why and ends it. `error` may be NULL; it is freed. */
void bench_fail(const char *what, orch_error *error) __attribute__((noreturn));

int64_t bench_now_ns(void);
/* Bytes that malloc has given out, over all threads. */
size_t bench_heap_bytes(void);
/* What this process had written to disks: /proc/self/io. */
uint64_t bench_written_bytes(void);
/* A line of /proc/self/status, such as "VmRSS". */
uint64_t bench_status(const char *key);
/* The same of a file that looks like that one. */
uint64_t bench_status_in(const char *path, const char *key);

/* An empty folder beside the program, or in BENCH_DIR; the caller removes it by bench_remove_dir. */
char *bench_make_dir(void);
void bench_remove_dir(char *dir); /* with its files; frees the name */

/* A growing list of measurements. */
typedef struct bench_samples {
    double *values;
    size_t count, capacity;
} bench_samples;

void bench_add(bench_samples *s, double value);
double bench_percentile(bench_samples *s, double percent); /* sorts; 0 if there are none */
void bench_clear(bench_samples *s);

#ifdef __cplusplus
}
#endif
#endif
