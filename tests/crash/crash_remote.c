/* Goal: what holds within one process holds between several: whoever of them dies, and whatever the network does to what they say.
 *
 * An orchestrator with a file, and two engines, are processes; between them stand proxies (support/bad_proxy.h). There are three scenes of ROUNDS in
 * all: in `killed` one of the three is killed with SIGKILL at a random moment and started again, while the proxies cut connections and pass
 * halves; in `stalled` they also hold back what passes, for longer than the graces; in `cut` nobody dies, and the graces are long. While no
 * orchestrator has the file the parent marks in the side log what is stored. In the end all is worked off, and the verdict is:
 *   - every execution whose start returned has one end, and the right output, which is made of the outputs of all its steps and children: none
 *     is lost, none counts twice, and nothing is taken of an engine that was given up;
 *   - no step was started after the mark that says its checkpoint is stored;
 *   - in `cut` no attempt was started twice before its orchestrator is killed in the end: its engine has it, whatever becomes of the
 *     connections. Else those are counted that were started twice in one process, each by a later hand-over.
 * SEED=n draws the same moments; what falls into them is up to the machine. */
#include <arpa/inet.h>
#include <errno.h>
#include <orch/orch.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/bad_proxy.h"
#include "support/crash_load.h"
#include "support/crash_parent.h"

#define ENGINES   2
#define IN_FLIGHT 24
#define LONG_MS \
    5000 /* an orchestrator that lives so long has handed over what the one before it had */
#define FILE_NAME "remote.db"

static const char *const loads[] = {"chain", "map", "retry", "wait", "family", "approval"};

#define LOADS (sizeof loads / sizeof *loads)

static const char approval[] =
    "{'id':'approval','version':'1.0.0','steps':["
    "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
    "{'id':'w','executor':'wait','depends_on':['a'],'with':{'signal':'go'}},"
    "{'id':'b','executor':'add','depends_on':['w'],'with':{'to':'${steps.a.output + steps.w.output}'}}],"
    "'output':'${steps.b.output}'}";
#define APPROVAL_PLUS 12 /* a and b add one each, the signal says 10 */

/* ---- settings -------------------------------------------------------------------------------------------- */

static void set(orch_config *config, const char *key, const char *value)
{
    orch_error *error = NULL;

    CHECK(orch_config_set(config, key, value, &error) == 0, "%s", orch_error_message(error));
}

/* The ports that the parent chose: its proxies', and the engines'. */
static int port_of(const char *word, int number)
{
    char name[32];
    int port;

    snprintf(name, sizeof name, "CRASH_%s_%d", word, number);
    port = crash_number(name, 0);
    CHECK(port, "%s is not set", name);
    return port;
}

static orch_v2 *open_orchestrator(const char *dir)
{
    orch_config *config = orch_config_new();
    orch_error *error = NULL;
    char url[5000], engines[200];
    orch_v2 *orch;

    snprintf(url, sizeof url, "sqlite:%s/%s", dir, FILE_NAME);
    snprintf(engines, sizeof engines,
             "grpc://127.0.0.1:%d?name=a&capacity=20,grpc://127.0.0.1:%d?name=b&capacity=20",
             port_of("PROXY", 0), port_of("PROXY", 1));
    set(config, "STORE_URL", url);
    set(config, "STORE_SYNCHRONOUS", "full");
    set(config, "DISCOVERY_TYPE", "static");
    set(config, "STATIC_ENGINES", engines);
    if (!crash_number("CRASH_LONG", 0))
        set(config, "ATTACH_GRACE", "300ms");
    orch = orch_v2_new(config, &error);
    CHECK(orch, "%s", orch_error_message(error));
    orch_config_free(config);
    for (size_t i = 0; i < LOADS - 1; i++)
        load_register(orch, load_named(loads[i])->definition);
    load_register(orch, approval);
    return orch;
}

/* ---- an engine: works until it is killed ----------------------------------------------------------------- */

static _Noreturn void serve(const char *dir, int number)
{
    orch_config *config = orch_config_new();
    orch_error *error = NULL;
    orch_engine *engine;
    char endpoint[64];

    load_open_log(dir);
    set(config, "ENGINE_ID", number ? "b" : "a");
    set(config, "CAPACITY", "20");
    if (!crash_number("CRASH_LONG", 0))
        set(config, "DETACH_GRACE", "200ms");
    engine = orch_engine_new(config, &error);
    CHECK(engine, "%s", orch_error_message(error));
    orch_config_free(config);
    load_serve_steps(engine);
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", port_of("ENGINE", number));
    CHECK(orch_engine_listen(engine, endpoint, NULL, &error) == 0, "%s", orch_error_message(error));
    for (;;)
        pause();
}

/* ---- the orchestrator: likewise -------------------------------------------------------------------------- */

static void start_one(orch_v2 *orch, unsigned round, long number)
{
    orch_start_options *o = orch_start_options_new();
    const char *workflow = loads[(size_t)rand() % LOADS];
    long n = rand() % 1000;
    char id[LOAD_ID_ROOM], input[40];
    orch_execution *e = NULL;
    orch_error *error = NULL;

    snprintf(id, sizeof id, "r%u-%ld", round, number);
    snprintf(input, sizeof input, "{\"n\":%ld}", n);
    orch_start_options_set_id(o, id);
    CHECK(orch_v2_start_workflow(orch, workflow, input, strlen(input), o, &e, &error) == 0,
          "start of %s: %s", id, orch_error_message(error));
    load_say(workflow, id, n);
    orch_execution_free(e);
    orch_start_options_free(o);
}

/* Until one came through; a second is not consumed. */
static void approve(orch_v2 *orch, const orch_response *r)
{
    orch_error *error = NULL;
    int32_t rc = orch_v2_signal(orch, orch_response_id(r), "go", "10", 2, NULL, NULL, &error);

    CHECK(rc == 0 || rc == ORCH_E_FAILED_PRECONDITION, "signal: %s", orch_error_message(error));
    orch_error_free(error);
}

static _Noreturn void work(const char *dir, unsigned round)
{
    orch_v2 *orch;
    struct pollfd none;

    srand(round * 7919u + 13);
    load_open_log(dir);
    orch = open_orchestrator(dir);
    for (long number = 0;; number++) {
        while (load_count(orch, NULL, "open") >= IN_FLIGHT) {
            load_apply(orch, "approval", "open", false, approve);
            poll(&none, 0, 5); /* until the next look, or the kill */
        }
        start_one(orch, round, number);
    }
}

/* ---- the end --------------------------------------------------------------------------------------------- */

typedef struct verdict {
    orch_v2 *orch;
    long judged;
} verdict;

static void judge_line(void *ctx, const char *word, const char *key, long n, int pid)
{
    verdict *v = ctx;
    const load_kind *k = load_named(word);

    (void)pid;
    if (!strcmp(word, "approval"))
        load_expect_output(v->orch, key, n + APPROVAL_PLUS);
    else if (k)
        load_expect_output(v->orch, key, k->factor * n + k->plus);
    else
        return;
    v->judged++;
}

static int finish(const char *dir)
{
    verdict v = {0};
    struct pollfd none;

    load_open_log(dir);
    v.orch = open_orchestrator(dir);
    for (int turns = 0; load_count(v.orch, NULL, "open"); turns++) {
        CHECK(turns < 12000, "%zu executions do not come to their end",
              load_count(v.orch, NULL, "open"));
        load_apply(v.orch, "approval", "open", true, approve);
        poll(&none, 0, 10); /* until the next look; the condition is load_count */
    }
    load_read_log(judge_line, &v);
    CHECK(orch_v2_stop(v.orch, 10000, NULL) == ORCH_OK, "stop");
    orch_v2_free(v.orch);
    printf("%ld executions accepted, each with one right end\n", v.judged);
    return v.judged > 0 ? 0 : 1;
}

/* ---- the parent ------------------------------------------------------------------------------------------ */

typedef struct scene_kind {
    const char *name;
    bool kills;
    unsigned stall_max_ms;
    enum crash_verdict verdict;
} scene_kind;

static const scene_kind kinds[] = {
    {"killed", true, 0, CRASH_NONE_AGAIN},
    {"stalled", true, 4000, CRASH_NONE_AGAIN},
    {"cut", false, 0, CRASH_NONE_TWICE},
};

#define SCENES ((int)(sizeof kinds / sizeof *kinds))

typedef struct scene {
    const scene_kind *kind;
    const char *dir;
    int first_round;
    pid_t orchestrator, engines[ENGINES];
    bad_proxy *proxies[ENGINES];
    long killed_orchestrators, killed_engines, cuts;
} scene;

/* One that is free now; the engine takes it soon. */
static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&a, len) &&
              !getsockname(fd, (struct sockaddr *)&a, &len),
          "a port: %s", strerror(errno));
    close(fd);
    return ntohs(a.sin_port);
}

static void tell_port(const char *word, int number, int port)
{
    char name[32], value[16];

    snprintf(name, sizeof name, "CRASH_%s_%d", word, number);
    snprintf(value, sizeof value, "%d", port);
    CHECK(!setenv(name, value, 1), "memory");
}

static void open_scene(scene *s, unsigned seed)
{
    for (int i = 0; i < ENGINES; i++) {
        uint16_t port = free_port();

        s->proxies[i] = bad_proxy_new(port, seed + (unsigned)i);
        bad_proxy_set(s->proxies[i], 150, s->kind->stall_max_ms);
        tell_port("ENGINE", i, port);
        tell_port("PROXY", i, bad_proxy_port(s->proxies[i]));
        s->engines[i] = crash_spawn("engine", s->dir, i);
    }
    s->orchestrator = crash_spawn("work", s->dir, s->first_round);
}

static void play_round(scene *s, int round)
{
    long most_ms = rand() % 4 ? 150 : rand() % 3 ? 600 : LONG_MS, ms = 20 + rand() % most_ms;
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    int what = s->kind->kills ? rand() % 6 : 5, which = rand() % ENGINES;

    nanosleep(&t, NULL); /* the moment is the test */
    if (what < 3) {
        crash_kill(s->orchestrator);
        crash_mark_stored(s->dir, FILE_NAME);
        s->orchestrator = crash_spawn("work", s->dir, round);
        s->killed_orchestrators++;
    } else if (what < 5) {
        crash_kill(s->engines[which]);
        s->engines[which] = crash_spawn("engine", s->dir, which);
        s->killed_engines++;
    } else {
        bad_proxy_cut(s->proxies[which]);
        s->cuts++;
    }
}

static void close_scene(scene *s)
{
    bad_proxy_counts sum = {0};

    for (int i = 0; i < ENGINES; i++) {
        bad_proxy_counts c = bad_proxy_free(s->proxies[i]);

        crash_kill(s->engines[i]);
        sum.connections += c.connections;
        sum.cuts += c.cuts;
        sum.halves += c.halves;
        sum.stalls += c.stalls;
        sum.delays += c.delays;
    }
    printf(
        "%ld orchestrators and %ld engines killed, all connections cut %ld times; of %ld connections %ld were cut, %ld "
        "passed a half first; %ld stalls, %ld delays\n",
        s->killed_orchestrators, s->killed_engines, s->cuts, sum.connections, sum.cuts, sum.halves,
        sum.stalls, sum.delays);
}

static void play(const scene_kind *kind, int number, int rounds, unsigned seed)
{
    const char *tmp = getenv("TMPDIR");
    char dir[3000], command[4200];
    scene s = {.kind = kind, .dir = dir, .first_round = number * 100000};

    snprintf(dir, sizeof dir, "%s/orch-crash-remote-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(dir), "%s: %s", dir, strerror(errno));
    CHECK(!setenv("CRASH_LONG", kind->kills ? "0" : "1", 1), "memory");
    printf("%s:\n", kind->name);
    fflush(stdout);
    load_open_log(dir);
    open_scene(&s, seed);
    for (int i = 1; i <= rounds; i++)
        play_round(&s, s.first_round + i);
    crash_mark_dying();
    crash_kill(s.orchestrator);
    crash_mark_stored(dir, FILE_NAME);
    for (int i = 0; i < ENGINES; i++)
        bad_proxy_set(s.proxies[i], 0, 0);
    crash_run_to_end("finish", dir);
    close_scene(&s);
    crash_judge_log(kind->verdict);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    CHECK(system(command) == 0, "%s", command);
}

int main(int argc, char **argv)
{
    int rounds = crash_number("ROUNDS", 200), seed = crash_number("SEED", (int)time(NULL));

    if (argc == 4 && !strcmp(argv[1], "work"))
        work(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 4 && !strcmp(argv[1], "engine"))
        serve(argv[2], atoi(argv[3]));
    if (argc == 4 && !strcmp(argv[1], "finish"))
        return finish(argv[2]);
    printf("SEED=%d\n", seed);
    srand((unsigned)seed);
    for (int i = 0; i < SCENES; i++)
        play(&kinds[i], i, (rounds + SCENES - 1) / SCENES, (unsigned)seed);
    return 0;
}
