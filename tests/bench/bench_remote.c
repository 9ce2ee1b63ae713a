/* Durable executions whose engine is another process, reached in gRPC over loopback, beside the same with the engine in the
 * orchestrator's process: two files, in turns, synchronous=FULL. */
#include <orch/orch.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/graph.h"

typedef struct side {
    orch_v2 *orch;
    uint64_t executions;
    int64_t ns;
    bench_samples latencies_ms;
} side;

typedef struct client {
    side *side;
    int64_t until_ns;
    uint32_t in_flight;
} client;

typedef struct request {
    client *client;
    int64_t from_ns;
} request;

/* ---- the engine's process ---------------------------------------------------------------------------------- */

static pid_t engine_pid;
static int engine_stop; /* closed: it ends */

/* Says its port, and lives until the pipe is closed. */
static _Noreturn void be_engine(int said, int end)
{
    orch_config *config = orch_config_new();
    orch_engine *engine;
    uint16_t port = 0;
    char byte;

    orch_config_set(config, "CAPACITY", "4096", NULL);
    engine = orch_engine_new(config, NULL);
    if (!engine || orch_engine_listen(engine, "127.0.0.1:0", &port, NULL) ||
        write(said, &port, sizeof port) != sizeof port)
        _exit(1);
    while (read(end, &byte, 1) > 0)
        ;
    orch_engine_stop(engine, 1000, NULL);
    orch_engine_free(engine);
    orch_config_free(config);
    _exit(0);
}

/* Before there are threads. */
static uint16_t start_engine(void)
{
    int said[2], end[2];
    uint16_t port;

    if (pipe(said) || pipe(end) || (engine_pid = fork()) < 0)
        bench_fail("an engine's process", NULL);
    if (!engine_pid) {
        close(end[1]);
        be_engine(said[1], end[0]);
    }
    close(end[0]);
    close(said[1]);
    engine_stop = end[1];
    if (read(said[0], &port, sizeof port) != sizeof port)
        bench_fail("the engine does not say its port", NULL);
    close(said[0]);
    return port;
}

/* ---- one side ---------------------------------------------------------------------------------------------- */

static orch_v2 *open_orchestrator(const char *path, uint16_t port, const char *text, size_t len)
{
    orch_config *config = orch_config_new();
    orch_error *error = NULL;
    char value[4200];
    orch_v2 *orch;

    snprintf(value, sizeof value, "sqlite:%s", path);
    orch_config_set(config, "STORE_URL", value, NULL);
    orch_config_set(config, "STORE_SYNCHRONOUS", "full", NULL);
    if (port) {
        snprintf(value, sizeof value, "grpc://127.0.0.1:%u?capacity=4096", port);
        orch_config_set(config, "STATIC_ENGINES", value, NULL);
        orch_config_set(config, "DISCOVERY_TYPE", "static", NULL);
    } else {
        orch_config_set(config, "LOCAL_CAPACITY", "4096", NULL);
    }
    orch = orch_v2_new(config, &error);
    if (!orch || orch_v2_register_definition(orch, text, len, &error))
        bench_fail("an orchestrator", error);
    orch_config_free(config);
    return orch;
}

static void ended(void *user_data, orch_response *response);

static void start(request *r)
{
    orch_error *error = NULL;

    r->from_ns = bench_now_ns();
    r->client->in_flight++;
    if (orch_v2_start_workflow_async(r->client->side->orch, "bench", NULL, 0, NULL, NULL, ended, r,
                                     NULL, &error))
        bench_fail("a start", error);
}

static void ended(void *user_data, orch_response *response)
{
    request *r = user_data;
    client *c = r->client;
    int64_t now_ns = bench_now_ns();

    if (orch_response_state(response) != ORCH_EXECUTION_SUCCEEDED)
        bench_fail("an execution did not succeed", NULL);
    orch_response_free(response);
    bench_add(&c->side->latencies_ms, (double)(now_ns - r->from_ns) / 1e6);
    c->side->executions++;
    c->in_flight--;
    if (now_ns < c->until_ns)
        start(r);
}

static void run(side *s, uint32_t in_flight, double seconds)
{
    int64_t from_ns = bench_now_ns();
    client c = {.side = s, .until_ns = from_ns + (int64_t)(seconds * 1e9)};
    request *requests = calloc(in_flight, sizeof *requests);
    struct pollfd p = {.fd = orch_v2_fd(s->orch), .events = POLLIN};

    if (!requests || p.fd < 0)
        bench_fail("the client", NULL);
    for (uint32_t i = 0; i < in_flight; i++) {
        requests[i].client = &c;
        start(&requests[i]);
    }
    while (c.in_flight) {
        poll(&p, 1, -1);
        orch_v2_dispatch(s->orch);
    }
    s->ns += bench_now_ns() - from_ns;
    free(requests);
}

/* ---- in turns ---------------------------------------------------------------------------------------------- */

static double rate(const side *s)
{
    return (double)s->executions / ((double)s->ns / 1e9);
}

static void print(const char *name, const char *which, side *s)
{
    char full[80];

    snprintf(full, sizeof full, "%s/%s", name, which);
    bench_result("remote", full, "executions", rate(s), "1/s");
    bench_result("remote", full, "p50", bench_percentile(&s->latencies_ms, 50), "ms");
    bench_result("remote", full, "p99", bench_percentile(&s->latencies_ms, 99), "ms");
}

static void compete(const char *workflow, const graph *g, uint16_t port, uint32_t in_flight)
{
    side embedded = {0}, remote = {0};
    char *dir = bench_make_dir(), path[4096], name[64];
    int rounds = (int)bench_knob("ROUNDS", 4);
    double seconds = bench_knob("SECONDS", 1);
    size_t len;
    char *text = graph_definition(g, "bench", &len);

    snprintf(path, sizeof path, "%s/embedded", dir);
    embedded.orch = open_orchestrator(path, 0, text, len);
    snprintf(path, sizeof path, "%s/remote", dir);
    remote.orch = open_orchestrator(path, port, text, len);
    for (int i = 0; i < rounds; i++) {
        run(&embedded, in_flight, seconds / rounds);
        run(&remote, in_flight, seconds / rounds);
    }
    snprintf(name, sizeof name, "%s/%u", workflow, in_flight);
    print(name, "embedded", &embedded);
    print(name, "grpc", &remote);
    bench_result("remote", name, "to_embedded", rate(&remote) / rate(&embedded), "ratio");
    orch_v2_free(embedded.orch);
    orch_v2_free(remote.orch);
    bench_clear(&embedded.latencies_ms);
    bench_clear(&remote.latencies_ms);
    bench_remove_dir(dir);
    free(text);
}

int main(void)
{
    static const uint32_t in_flight[] = {1, 16, 128, 1024};
    uint16_t port = start_engine();
    graph one = graph_chain(1), three = graph_chain(3);

    for (size_t i = 0; i < sizeof in_flight / sizeof *in_flight; i++) {
        compete("1-step", &one, port, in_flight[i]);
        compete("3-steps", &three, port, in_flight[i]);
    }
    graph_free(&one);
    graph_free(&three);
    close(engine_stop);
    waitpid(engine_pid, NULL, 0);
    return 0;
}
