#include "simulation/runner.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "simulation/seed.h"
#include "simulation/trace.h"

#define SEED_SECONDS 120 /* of real time; then it hangs */
#define FAILED_MOST  16

/* Between the processes. */
typedef struct shared {
    atomic_ullong next, done, hash;
    atomic_ullong counts[sizeof(sim_counts) / sizeof(uint64_t)];
    atomic_ullong busy_ns;
    atomic_uint failed;
    uint64_t failed_seeds[FAILED_MOST];
} shared;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- one ------------------------------------------------------------------------------------------------- */

static void died(int number)
{
    /* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c): it only writes what is there */
    trace_dump_raw(number == SIGALRM   ? "The simulation goes on: it hangs"
                   : number == SIGABRT ? "an assertion failed"
                                       : "the program crashed");
    _exit(2);
}

static uint64_t run(const sim_options *o, bool twice)
{
    uint64_t hash;

    signal(SIGALRM, died);
    signal(SIGABRT, died);
    signal(SIGSEGV, died);
    signal(SIGBUS, died);
    signal(SIGFPE, died);
    alarm(SEED_SECONDS);
    hash = seed_run(o);
    if (twice && seed_run(o) != hash)
        broken("The same seed gives the same trace",
               "the second run's hash is %016" PRIx64 ", the first one's %016" PRIx64, trace_hash(),
               hash);
    alarm(0);
    return hash;
}

void runner_one(const sim_options *o, bool twice)
{
    uint64_t began_ns = now_ns(), hash = run(o, twice);
    double seconds = (double)(now_ns() - began_ns) / 1e9;

    printf("seed %" PRIu64 ": all promises held; %" PRIu64 " events, %.1f virtual hours, %" PRIu64
           " executions, %" PRIu64 " attempts; trace %016" PRIx64 "; %.2f s\n",
           o->seed, sim.counts.events, (double)sim.counts.virtual_ms / 3.6e6, sim.counts.executions,
           sim.counts.attempts, hash, seconds);
}

/* In a process of its own, whose words go to `to`. */
static bool run_apart(const sim_options *o, int to)
{
    pid_t child;
    int status = 0;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        if (to >= 0)
            dup2(to, STDOUT_FILENO);
        run(o, false);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool runner_try(const sim_options *o)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    bool held = run_apart(o, nowhere);

    close(nowhere);
    return held;
}

void runner_show(const sim_options *o)
{
    run_apart(o, -1);
}

static void find_promise(FILE *words, char *out, size_t size)
{
    static const char mark[] = "BROKEN: ";
    char line[1024];

    snprintf(out, size, "it ended without a word");
    while (fgets(line, sizeof line, words)) {
        const char *at = strstr(line, mark);

        if (at)
            snprintf(out, size, "%.*s", (int)strcspn(at + strlen(mark), ":\n"), at + strlen(mark));
    }
}

bool runner_holds(const sim_options *o, char *out_promise, size_t size)
{
    FILE *words = tmpfile();
    bool held;

    if (!words)
        abort();
    held = run_apart(o, fileno(words));
    rewind(words);
    if (!held)
        find_promise(words, out_promise, size);
    fclose(words);
    return held;
}

/* ---- many ------------------------------------------------------------------------------------------------ */

static void add(shared *s, uint64_t hash, uint64_t ns)
{
    uint64_t counts[sizeof(sim_counts) / sizeof(uint64_t)];

    memcpy(counts, &sim.counts, sizeof counts);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        atomic_fetch_add(&s->counts[i], counts[i]);
    atomic_fetch_add(&s->hash, hash); /* a sum: the order does not matter */
    atomic_fetch_add(&s->busy_ns, ns);
    atomic_fetch_add(&s->done, 1);
}

static void work(const command *c, shared *s, uint64_t *mine)
{
    sim_options o = c->options;

    for (;;) {
        uint64_t n = atomic_fetch_add(&s->next, 1), began_ns = now_ns(), hash;

        if (n >= c->from + c->seeds)
            _exit(0);
        *mine = o.seed = n;
        hash = run(&o, c->twice);
        add(s, hash, now_ns() - began_ns);
        *mine = 0;
    }
}

static pid_t begin(const command *c, shared *s, uint64_t *mine)
{
    pid_t child;

    fflush(NULL);
    *mine = 0;
    child = fork();
    if (child == 0)
        work(c, s, mine);
    return child;
}

static void note_failure(shared *s, uint64_t seed)
{
    unsigned n = atomic_fetch_add(&s->failed, 1);

    if (n < FAILED_MOST)
        s->failed_seeds[n] = seed;
}

static void run_all(const command *c, shared *s, uint64_t *seeds)
{
    pid_t *children = calloc(c->jobs, sizeof *children);
    uint32_t running = c->jobs;

    if (!children)
        abort();
    for (uint32_t i = 0; i < c->jobs; i++)
        children[i] = begin(c, s, &seeds[i]);
    while (running) {
        int status;
        pid_t child = wait(&status);

        for (uint32_t i = 0; i < c->jobs; i++) {
            if (children[i] != child)
                continue;
            children[i] = 0;
            running--;
            if (!seeds[i])
                continue;
            note_failure(s, seeds[i]);
            if (atomic_load(&s->failed) < FAILED_MOST) {
                children[i] = begin(c, s, &seeds[i]);
                running++;
            }
        }
    }
    free(children);
}

static void report(const command *c, const shared *s, uint64_t ns)
{
    sim_counts sum;
    uint64_t counts[sizeof(sim_counts) / sizeof(uint64_t)] = {0};
    double busy = (double)atomic_load(&s->busy_ns) / 1e9;

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        counts[i] = atomic_load(&s->counts[i]);
    memcpy(&sum, counts, sizeof sum);
    for (int f = 0; f < FAULTS; f++)
        printf("  %9" PRIu64 "  %-12s %s\n", sum.faults[f], fault_word((enum fault)f),
               fault_what((enum fault)f));
    printf("%" PRIu64 " seeds from %" PRIu64 ": %" PRIu64 " executions, %" PRIu64
           " runs ended, %" PRIu64 " attempts, %" PRIu64 " messages, %" PRIu64 " units\n",
           (uint64_t)atomic_load(&s->done), c->from, sum.executions, sum.runs_ended, sum.attempts,
           sum.messages, sum.units);
    printf("%" PRIu64
           " events in %.0f virtual hours; %.0f events/s of one processor; %.1f s; all traces "
           "%016" PRIx64 "\n",
           sum.events, (double)sum.virtual_ms / 3.6e6, busy > 0 ? (double)sum.events / busy : 0,
           (double)ns / 1e9, (uint64_t)atomic_load(&s->hash));
}

uint32_t runner_run(const command *c, uint64_t *first)
{
    size_t size = sizeof(shared) + c->jobs * sizeof(uint64_t);
    shared *s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t began_ns = now_ns();
    uint32_t failed;

    if (s == MAP_FAILED)
        abort();
    atomic_store(&s->next, c->from);
    run_all(c, s, (uint64_t *)(s + 1));
    report(c, s, now_ns() - began_ns);
    failed = atomic_load(&s->failed);
    for (uint32_t i = 0; i < failed && i < FAILED_MOST; i++) {
        printf("FAILED: seed %" PRIu64 "\n", s->failed_seeds[i]);
        if (!i || s->failed_seeds[i] < *first)
            *first = s->failed_seeds[i];
    }
    munmap(s, size);
    return failed;
}
