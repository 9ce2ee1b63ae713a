/* Our gRPC beside Debian's official C++ stack, as pairs of two processes, a client and a server, on loopback: calls a second,
 * latency, processor time a call, messages a second on one stream, memory. The stacks take turns round by round, so
 * that what else the machine does meets both; read the ratios. For the memory of idle connections, bare nghttp2 and OpenSSL
 * too.
 *
 * Knobs: ROUNDS (5), SECONDS (of a round; 0.5), CONNECTIONS (1000), CASES (1 calls + 2 one processor + 4 streams + 8 idle; 15). */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

#define CALLS   1U
#define ONE_CPU 2U
#define STREAMS 4U
#define IDLE    8U

enum stack { OURS, THEIRS, BARE, STACKS };
static const char *const programs[STACKS] = {"ours", "theirs", "bare"};
static const char *const names[STACKS] = {"liborch", "c++", "bare"};

static char here[PATH_MAX]; /* the folder of the peers */
static const char *certs;
static unsigned rounds;

/* ---- processes ------------------------------------------------------------------------------------------------ */

typedef struct peer {
    pid_t pid;
    FILE *out;
    unsigned port; /* of a server */
} peer;

static void pin(void)
{
    cpu_set_t first;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof first, &first);
}

static void become(enum stack stack, bool pinned, int out, char **args) __attribute__((noreturn));
static void become(enum stack stack, bool pinned, int out, char **args)
{
    char program[PATH_MAX + 16];

    snprintf(program, sizeof program, "%s/%s", here, programs[stack]);
    if (pinned)
        pin();
    dup2(out, STDOUT_FILENO);
    args[0] = program;
    execv(program, args);
    _exit(127);
}

/* args[0] is set here. */
static peer start(enum stack stack, bool pinned, char **args)
{
    peer p = {0};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        bench_fail("pipe", NULL);
    p.pid = fork();
    if (p.pid == 0)
        become(stack, pinned, ends[1], args);
    close(ends[1]);
    p.out = fdopen(ends[0], "r");
    if (p.pid < 0 || !p.out)
        bench_fail(programs[stack], NULL);
    return p;
}

static void stop(peer *p)
{
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    fclose(p->out);
}

static peer start_server(enum stack stack, bool tls, bool pinned)
{
    char mode[] = "server", none[] = "-", folder[PATH_MAX];
    char *args[] = {NULL, mode, tls ? folder : none, NULL};
    peer p;

    snprintf(folder, sizeof folder, "%s", certs);
    p = start(stack, pinned, args);
    if (fscanf(p.out, "%u", &p.port) != 1)
        bench_fail("a server", NULL);
    return p;
}

/* ---- closed loops ----------------------------------------------------------------------------------------------- */

typedef struct load {
    const char *kind;
    bool tls, pinned;
    unsigned in_flight;
    size_t size;
} load;

enum figure { RATE, CLIENT_CPU, SERVER_CPU, P50, P99, RESIDENT, LIBRARIES, FIGURES };

static void run_client(enum stack stack, const load *l, const peer *server, bench_samples *into)
{
    char text[6][32], mode[] = "client", none[] = "-", folder[PATH_MAX];
    char *args[] = {
        NULL,    mode, l->tls ? folder : none, text[0], text[1], text[2], text[3], text[4],
        text[5], NULL};
    double value;
    peer p;

    snprintf(folder, sizeof folder, "%s", certs);
    snprintf(text[0], sizeof text[0], "%u", server->port);
    snprintf(text[1], sizeof text[1], "%d", (int)server->pid);
    snprintf(text[2], sizeof text[2], "%s", l->kind);
    snprintf(text[3], sizeof text[3], "%u", l->in_flight);
    snprintf(text[4], sizeof text[4], "%zu", l->size);
    snprintf(text[5], sizeof text[5], "%g", bench_knob("SECONDS", 0.5));
    p = start(stack, l->pinned, args);
    for (int f = 0; f < FIGURES; f++) {
        if (fscanf(p.out, "%lf", &value) != 1)
            bench_fail("a client", NULL);
        bench_add(&into[f], value);
    }
    stop(&p);
}

static void print(const char *name, const char *suffix, const char *metric, double value,
                  const char *unit)
{
    char whole[160];

    snprintf(whole, sizeof whole, "%s%s%s", name, suffix ? "/" : "", suffix ? suffix : "");
    bench_result("grpc", whole, metric, value, unit);
}

static void print_load(const char *name, const load *l, double medians[STACKS][FIGURES])
{
    bool p50 = l->pinned && l->in_flight == 1;
    enum figure compared = p50 ? P50 : RATE;

    for (int s = OURS; s <= THEIRS; s++) {
        const double *m = medians[s];

        print(name, names[s], "rate", m[RATE], "1/s");
        print(name, names[s], "client_cpu", m[CLIENT_CPU] / 1e3, "us");
        print(name, names[s], "server_cpu", m[SERVER_CPU] / 1e3, "us");
        if (l->in_flight > 1)
            continue;
        print(name, names[s], "p50", m[P50] / 1e3, "us");
        print(name, names[s], "p99", m[P99] / 1e3, "us");
    }
    print(name, NULL, p50 ? "p50_to_c++" : "rate_to_c++",
          medians[OURS][compared] / medians[THEIRS][compared], "ratio");
}

static void measure(const load *l, double medians[STACKS][FIGURES])
{
    bench_samples samples[STACKS][FIGURES] = {0};
    peer servers[] = {start_server(OURS, l->tls, l->pinned),
                      start_server(THEIRS, l->tls, l->pinned)};
    char name[80];

    for (unsigned r = 0; r < rounds; r++)
        for (int s = OURS; s <= THEIRS; s++)
            run_client(s, l, &servers[s], samples[s]);
    for (int s = OURS; s <= THEIRS; s++) {
        stop(&servers[s]);
        for (int f = 0; f < FIGURES; f++) {
            medians[s][f] = bench_percentile(&samples[s][f], 50);
            bench_clear(&samples[s][f]);
        }
    }
    snprintf(name, sizeof name, "%s/%s/%zu/%u%s", l->kind, l->tls ? "tls" : "plain", l->size,
             l->in_flight, l->pinned ? "/one-cpu" : "");
    print_load(name, l, medians);
}

static void print_footprint(double medians[STACKS][FIGURES])
{
    for (int s = OURS; s <= THEIRS; s++) {
        print("client", names[s], "resident", medians[s][RESIDENT], "KiB");
        print("client", names[s], "libraries", medians[s][LIBRARIES], "libraries");
    }
}

static void measure_calls(bool tls)
{
    static const size_t sizes[] = {0, 1024, 65536};
    static const unsigned depths[] = {1, 16, 100, 1000};
    double medians[STACKS][FIGURES];

    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 4; k++) {
            load l = {"unary", tls, false, depths[k], sizes[i]};

            measure(&l, medians);
            if (!tls && i == 0 && k == 0)
                print_footprint(medians);
        }
}

/* Here a call's processor time is its own: beside each other, the two ends slow each other down. */
static void measure_on_one(bool tls)
{
    static const load loads[] = {{"unary", false, true, 1, 0},
                                 {"unary", false, true, 16, 0},
                                 {"unary", false, true, 100, 1024}};
    double medians[STACKS][FIGURES];

    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        load l = loads[i];

        l.tls = tls;
        measure(&l, medians);
    }
}

/* ---- idle connections ---------------------------------------------------------------------------------------------- */

static double resident_kb(const peer *p)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    return (double)bench_status_in(path, "VmRSS");
}

/* The same client for all three: ours. It makes one call on each connection. */
static peer dial(const peer *server, bool tls, unsigned count)
{
    char mode[] = "idle", none[] = "-", folder[PATH_MAX], port[16], number[16];
    char *args[] = {NULL, mode, tls ? folder : none, port, number, NULL};
    unsigned answer;
    peer p;

    snprintf(folder, sizeof folder, "%s", certs);
    snprintf(port, sizeof port, "%u", server->port);
    snprintf(number, sizeof number, "%u", count);
    p = start(OURS, false, args);
    if (fscanf(p.out, "%u", &answer) != 1)
        bench_fail("idle connections", NULL);
    return p;
}

static double measure_idle_of(enum stack stack, bool tls)
{
    unsigned count = (unsigned)bench_knob("CONNECTIONS", 1000);
    peer server = start_server(stack, tls, false);
    peer first = dial(&server, tls, 1), rest;
    double before = resident_kb(&server), each;

    rest = dial(&server, tls, count);
    each = (resident_kb(&server) - before) / count;
    stop(&rest);
    stop(&first);
    stop(&server);
    return each;
}

static void measure_idle(bool tls)
{
    const char *name = tls ? "idle/tls" : "idle/plain";
    double each[STACKS];

    for (int s = 0; s < STACKS; s++) {
        each[s] = measure_idle_of(s, tls);
        print(name, names[s], "resident", each[s], "KiB/connection");
    }
    print(name, NULL, "above_bare", each[OURS] - each[BARE], "KiB/connection");
}

/* -------------------------------------------------------------------------------------------------------------------- */

static void make_certificate(void)
{
    char command[2 * PATH_MAX + 300];

    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
             "-subj /CN=bench.test -addext subjectAltName=DNS:bench.test -keyout '%s/key.pem' "
             "-out '%s/cert.pem' 2>/dev/null",
             certs, certs);
    if (system(command))
        bench_fail("openssl req", NULL);
}

static void find_peers(void)
{
    char self[PATH_MAX - 16] = "";

    if (readlink("/proc/self/exe", self, sizeof self - 1) <= 0)
        bench_fail("/proc/self/exe", NULL);
    snprintf(here, sizeof here, "%s/grpc", dirname(self));
}

int main(void)
{
    unsigned cases = (unsigned)bench_knob("CASES", CALLS | ONE_CPU | STREAMS | IDLE);
    char *dir = bench_make_dir();
    double medians[STACKS][FIGURES];

    certs = dir;
    rounds = (unsigned)bench_knob("ROUNDS", 5);
    find_peers();
    make_certificate();
    for (int tls = 0; tls < 2; tls++) {
        if (cases & CALLS)
            measure_calls(tls);
        if (cases & ONE_CPU)
            measure_on_one(tls);
        if (cases & STREAMS)
            measure(&(load){"stream", tls, false, 64, 1024}, medians);
        if (cases & IDLE)
            measure_idle(tls);
    }
    bench_remove_dir(dir);
    return 0;
}
