#include "bench/grpc/peer.h"

#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void usage(void)
{
    fprintf(stderr, "this is a part of bench_grpc: run that\n");
    exit(2);
}

static void use_all_files(void)
{
    struct rlimit files;

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

void peer_parse(peer_args *a, int argc, char **argv)
{
    *a = (peer_args){.mode = argc > 1 ? argv[1] : ""};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    use_all_files();
    if (argc != (peer_is(a, "server") ? 3 : peer_is(a, "client") ? 9 : peer_is(a, "idle") ? 5 : 0))
        usage();
    if (strcmp(argv[2], "-") != 0) {
        snprintf(a->cert, sizeof a->cert, "%s/cert.pem", argv[2]);
        snprintf(a->key, sizeof a->key, "%s/key.pem", argv[2]);
    }
    if (argc > 3)
        a->port = (uint16_t)atoi(argv[3]);
    if (argc == 5)
        a->connections = (unsigned)atoi(argv[4]);
    if (argc < 9)
        return;
    a->server = atoi(argv[4]);
    a->is_stream = !strcmp(argv[5], "stream");
    a->in_flight = (unsigned)atoi(argv[6]);
    a->size = (size_t)atol(argv[7]);
    a->seconds = atof(argv[8]);
}

bool peer_is(const peer_args *a, const char *mode)
{
    return !strcmp(a->mode, mode);
}

void peer_print_port(int port)
{
    printf("%d\n", port);
    fflush(stdout);
}

/* ---- a round ------------------------------------------------------------------------------------------------- */

static int64_t cpu_ns(pid_t of)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(of, &clock) || clock_gettime(clock, &t))
        bench_fail("the processor's time of the server", NULL);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void take_cpu(peer_round *r)
{
    r->own_cpu_ns = cpu_ns(0) - r->own_cpu_ns;
    r->server_cpu_ns = cpu_ns(r->args->server) - r->server_cpu_ns;
}

void peer_round_begin(peer_round *r, const peer_args *a)
{
    *r = (peer_round){.args = a};
    r->from_ns = bench_now_ns();
    r->until_ns = r->from_ns + (int64_t)(a->seconds / 3 * 1e9);
}

static int count_library(struct dl_phdr_info *info, size_t size, void *count)
{
    (void)size;
    if (*info->dlpi_name) /* not this program */
        ++*(int *)count;
    return 0;
}

static void end(peer_round *r, int64_t now)
{
    double count = (double)r->count;
    int libraries = 0;

    take_cpu(r);
    dl_iterate_phdr(count_library, &libraries);
    printf("%f %f %f %f %f %f %d\n", count * 1e9 / (double)(now - r->from_ns),
           (double)r->own_cpu_ns / count, (double)r->server_cpu_ns / count,
           bench_percentile(&r->latency, 50), bench_percentile(&r->latency, 99),
           (double)bench_status("VmRSS"), libraries - 1 /* the vdso */);
    fflush(stdout);
    _exit(0);
}

void peer_round_count(peer_round *r)
{
    int64_t now = bench_now_ns();

    if (r->args->in_flight == 1 && r->is_warm)
        bench_add(&r->latency, (double)(now - r->last_ns));
    r->last_ns = now;
    r->count++;
    if (now < r->until_ns)
        return;
    if (r->is_warm)
        end(r, now);
    r->is_warm = true;
    r->count = 0;
    r->from_ns = now;
    r->until_ns = now + (int64_t)(r->args->seconds * 1e9);
    take_cpu(r);
}
