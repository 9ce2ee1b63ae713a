/* Goal: kill -9 loses nothing that was accepted, ends nothing twice, and runs no checkpointed step again.
 *
 * A child process works under a mixed load (chains, wide maps, retries, waits, cancels) on one file, and is killed with
 * SIGKILL at a random moment; ROUNDS times. Between two rounds the parent looks into the file: what is stored there is
 * marked in the side log that the steps keep. At the end a last child works everything off, and the verdict is:
 *   - every execution whose start returned has one end, and the right output;
 *   - no step was started after the mark that says its checkpoint is stored;
 *   - within one process no attempt was started twice. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <orch/orch.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#define IN_FLIGHT 48

#define CHECK(condition, ...)                       \
    do {                                            \
        if (!(condition)) {                         \
            fprintf(stderr, "crash: " __VA_ARGS__); \
            fputc('\n', stderr);                    \
            exit(1);                                \
        }                                           \
    } while (0)

/* ---- what both sides know: the workflows and their right outputs ----------------------------------------- */

enum kind { CHAIN, MAP, RETRY, WAIT, CANCELLED, KINDS };

static const char *const names[KINDS] = {"chain", "map", "retry", "wait", "cancelled"};

static const char *const definitions[KINDS] = {
    "{\"id\":\"chain\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"add\",\"with\":{\"to\":\"${input.n}\"}},"
    "{\"id\":\"b\",\"executor\":\"add\",\"depends_on\":[\"a\"],\"with\":{\"to\":\"${steps.a.output}"
    "\"}},"
    "{\"id\":\"c\",\"executor\":\"noop\",\"depends_on\":[\"b\"],\"with\":\"${steps.b.output}\"},"
    "{\"id\":\"d\",\"executor\":\"add\",\"depends_on\":[\"c\"],\"with\":{\"to\":\"${steps.c.output "
    "+ 1}\"}}],"
    "\"output\":\"${steps.d.output}\"}",
    "{\"id\":\"map\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"list\",\"executor\":\"lua\",\"with\":{\"code\":\"local t = {} for i = 1, 40 do t[i] "
    "= input.n + i end "
    "return t\"}},"
    "{\"id\":\"each\",\"executor\":\"add\",\"depends_on\":[\"list\"],\"for_each\":\"${steps.list."
    "output}\","
    "\"max_parallel\":7,\"with\":{\"to\":\"${item}\"}},"
    "{\"id\":\"sum\",\"executor\":\"lua\",\"depends_on\":[\"each\"],\"with\":{\"code\":\"local s = "
    "0 for _, v in "
    "ipairs(steps.each.output) do s = s + v end return s\"}}],"
    "\"output\":\"${steps.sum.output}\"}",
    "{\"id\":\"retry\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"flaky\",\"with\":{\"to\":\"${input.n}\"},\"retry\":{\"max_"
    "attempts\":5,"
    "\"initial_interval\":\"3ms\",\"jitter\":0}},"
    "{\"id\":\"b\",\"executor\":\"add\",\"depends_on\":[\"a\"],\"when\":\"steps.a.output > "
    "0\",\"with\":{\"to\":\"${"
    "steps.a.output}\"}}],"
    "\"output\":\"${steps.b.output}\"}",
    "{\"id\":\"wait\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"add\",\"with\":{\"to\":\"${input.n}\"}},"
    "{\"id\":\"w\",\"executor\":\"wait\",\"depends_on\":[\"a\"],\"with\":{\"duration\":\"25ms\"}},"
    "{\"id\":\"b\",\"executor\":\"add\",\"depends_on\":[\"w\"],\"with\":{\"to\":\"${steps.a.output}"
    "\"}}],"
    "\"output\":\"${steps.b.output}\"}",
    "{\"id\":\"cancelled\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"a\",\"executor\":\"add\",\"with\":{\"to\":\"${input.n}\"}},"
    "{\"id\":\"w\",\"executor\":\"wait\",\"depends_on\":[\"a\"],\"with\":{\"duration\":\"1h\"}}]}",
};

static long expected(enum kind k, long n)
{
    switch (k) {
    case CHAIN: return n + 4;
    case MAP: return 40 * n + 40 * 41 / 2 + 40;
    default: return n + 2;
    }
}

/* ---- the side log: lines appended with one write each, which survive SIGKILL in the page cache ------------ */

static int side_log = -1;

static void say(const char *word, const char *key, long number)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s %s %ld %d\n", word, key, number, (int)getpid());

    CHECK(write(side_log, line, (size_t)n) == n, "side log: %s", strerror(errno));
}

static void open_log(const char *dir)
{
    char path[8192];

    snprintf(path, sizeof path, "%s/side.log", dir);
    side_log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    CHECK(side_log >= 0, "%s: %s", path, strerror(errno));
}

/* ---- the child ------------------------------------------------------------------------------------------- */

static long number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    CHECK(at, "no %s in %s", key, text);
    return strtol(at + strlen(key), NULL, 10);
}

static void succeed(orch_task *task)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld",
                     number_after(orch_task_input(task, NULL), "\"to\":") + 1);

    CHECK(orch_task_complete(task, text, (size_t)n, NULL) == ORCH_OK, "complete");
}

static void add(void *user_data, orch_task *task)
{
    (void)user_data;
    say("start", orch_task_idempotency_key(task), orch_task_attempt(task));
    succeed(task);
}

static void flaky(void *user_data, orch_task *task)
{
    (void)user_data;
    say("start", orch_task_idempotency_key(task), orch_task_attempt(task));
    if (orch_task_attempt(task) < 3)
        orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "not yet");
    else
        succeed(task);
}

typedef struct flight {
    char id[64];
    enum kind kind;
    long n;
} flight;

static orch_v2 *orch;
static int flying;

static void accepted(void *user_data, orch_execution *execution, orch_error *error)
{
    flight *f = user_data;

    CHECK(execution, "start of %s: %s", f->id, orch_error_message(error));
    say(names[f->kind], f->id, f->n);
    orch_execution_free(execution);
}

static void ended(void *user_data, orch_response *response)
{
    (void)user_data;
    flying--;
    orch_response_free(response);
}

static void launch(unsigned round, long number)
{
    flight *f = malloc(sizeof *f);
    orch_start_options *o = orch_start_options_new();
    orch_error *error = NULL;
    char input[64];

    CHECK(f && o, "memory");
    f->kind = (enum kind)(rand() % KINDS);
    f->n = rand() % 1000;
    snprintf(f->id, sizeof f->id, "r%u-%ld", round, number);
    snprintf(input, sizeof input, "{\"n\":%ld}", f->n);
    orch_start_options_set_id(o, f->id);
    CHECK(orch_v2_start_workflow_async(orch, names[f->kind], input, strlen(input), o, accepted,
                                       f->kind == CANCELLED ? NULL : ended, f, free, &error) == 0,
          "start: %s", orch_error_message(error));
    if (f->kind != CANCELLED)
        flying++;
    orch_start_options_free(o);
}

static void begin(const char *dir)
{
    char url[8192];
    orch_config *config = orch_config_new();
    orch_error *error = NULL;
    orch_engine *engine;

    snprintf(url, sizeof url, "sqlite:%s/crash.db", dir);
    CHECK(orch_config_set(config, "STORE_URL", url, &error) == 0, "%s", orch_error_message(error));
    orch = orch_v2_new(config, &error);
    CHECK(orch, "%s", orch_error_message(error));
    orch_config_free(config);
    engine = orch_v2_local_engine(orch);
    CHECK(orch_engine_register_executor(engine, "add", add, NULL, NULL, &error) == 0 &&
              orch_engine_register_executor(engine, "flaky", flaky, NULL, NULL, &error) == 0,
          "%s", orch_error_message(error));
    for (int i = 0; i < KINDS; i++)
        CHECK(orch_v2_register_definition(orch, definitions[i], strlen(definitions[i]), &error) ==
                  0,
              "%s: %s", names[i], orch_error_message(error));
}

/* Cancel what waits for it, of this round and of earlier ones: they would fill the engine's slots in the end. A cancel
 * that is recorded is noted. */
static void cancel_some(void)
{
    orch_filter *filter = orch_filter_new();
    orch_execution_list *list = NULL;
    orch_error *error = NULL;

    orch_filter_set(filter, "workflow", "cancelled", NULL);
    orch_filter_set(filter, "state", "pending", NULL);
    orch_filter_set(filter, "state", "running", NULL);
    orch_filter_set(filter, "limit", "20", NULL);
    CHECK(orch_v2_list_executions(orch, filter, &list, &error) == 0, "%s",
          orch_error_message(error));
    for (size_t i = 0; i < orch_execution_list_count(list); i++) {
        const char *id = orch_response_id(orch_execution_list_get(list, i));

        if (rand() % 4 && orch_v2_cancel(orch, id, NULL, NULL) == ORCH_OK)
            say("cancel", id, 0);
    }
    orch_execution_list_free(list);
    orch_filter_free(filter);
}

/* Works until it is killed. */
static int work(const char *dir, unsigned round)
{
    struct pollfd fd = {.events = POLLIN};

    srand(round * 7919u + 13);
    open_log(dir);
    begin(dir);
    fd.fd = orch_v2_fd(orch);
    CHECK(fd.fd >= 0, "fd");
    for (long number = 0;; number++) {
        while (flying >= IN_FLIGHT || number % 4 == 3) {
            poll(&fd, 1, 10);
            orch_v2_dispatch(orch);
            if (flying < IN_FLIGHT)
                break;
        }
        launch(round, number);
        if (number % 30 == 10)
            cancel_some();
    }
}

/* ---- the end: everything is worked off, then judged ------------------------------------------------------- */

static size_t count_open(void)
{
    static const char *const open_states[] = {"pending", "running", "suspended"};
    orch_filter *filter = orch_filter_new();
    orch_execution_list *list = NULL;
    orch_error *error = NULL;
    size_t open_count = 0;

    for (int i = 0; i < 3; i++)
        orch_filter_set(filter, "state", open_states[i], NULL);
    orch_filter_set(filter, "limit", "10000", NULL);
    CHECK(orch_v2_list_executions(orch, filter, &list, &error) == 0, "%s",
          orch_error_message(error));
    for (size_t i = 0; i < orch_execution_list_count(list); i++) {
        const orch_response *r = orch_execution_list_get(list, i);

        if (!strcmp(orch_response_workflow(r), "cancelled"))
            orch_v2_cancel(orch, orch_response_id(r), NULL, NULL);
        open_count++;
    }
    orch_execution_list_free(list);
    orch_filter_free(filter);
    return open_count;
}

static void judge_one(enum kind k, const char *id, long n)
{
    orch_response *r = NULL;
    orch_error *error = NULL;
    char right[32];

    CHECK(orch_v2_get_execution(orch, id, &r, &error) == 0, "%s was accepted and is lost: %s", id,
          orch_error_message(error));
    if (k == CANCELLED) {
        CHECK(orch_response_state(r) == ORCH_EXECUTION_CANCELLED, "%s ended %s", id,
              orch_execution_state_name(orch_response_state(r)));
    } else {
        snprintf(right, sizeof right, "%ld", expected(k, n));
        CHECK(orch_response_state(r) == ORCH_EXECUTION_SUCCEEDED, "%s (%s) ended %s: %s", id,
              names[k], orch_execution_state_name(orch_response_state(r)),
              orch_response_error(r, NULL) ? orch_response_error(r, NULL) : "");
        CHECK(!strcmp(orch_response_output(r, NULL), right), "%s (%s): output %s, not %s", id,
              names[k], orch_response_output(r, NULL), right);
    }
    orch_response_free(r);
}

static int finish(const char *dir)
{
    struct pollfd none;
    char path[4096], word[32], key[128];
    long number, judged = 0;
    FILE *f;

    open_log(dir);
    begin(dir);
    for (int turns = 0; count_open(); turns++) {
        CHECK(turns < 6000, "something does not come to its end");
        poll(&none, 0, 10); /* until the next look; the condition is count_open */
    }
    snprintf(path, sizeof path, "%s/side.log", dir);
    f = fopen(path, "r");
    CHECK(f, "%s", path);
    while (fscanf(f, "%31s %127s %ld %*d", word, key, &number) == 3)
        for (int k = 0; k < KINDS; k++)
            if (!strcmp(word, names[k])) {
                judge_one((enum kind)k, key, number);
                judged++;
            }
    fclose(f);
    CHECK(orch_v2_stop(orch, 10000, NULL) == ORCH_OK, "stop");
    orch_v2_free(orch);
    printf("%ld executions accepted, each with one right end\n", judged);
    return judged > 0 ? 0 : 1;
}

/* ---- the parent ------------------------------------------------------------------------------------------ */

typedef struct stored_key {
    UT_hash_handle hh;
    char key[128];
} stored_key;

static stored_key *stored;
static long stored_count;

/* Mark what is stored by now. The file is opened beside the orchestrator's back, and left as it was found. */
static void mark_stored(const char *dir)
{
    static const char sql[] =
        "SELECT e.id || '/' || c.run || '/' || json_extract(d.text, '$.steps[' || c.step || "
        "'].id') || "
        "CASE WHEN c.idx IS NULL OR c.idx < 0 OR c.idx = 4294967295 THEN '' ELSE '/' || c.idx END "
        "FROM checkpoint c JOIN execution e ON e.key = c.execution JOIN definition d ON d.key = "
        "e.definition WHERE c.kind >= 5 AND e.accepted_ms >= ?1";
    static int64_t since_ms;
    char path[4096];
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    struct timespec now;

    snprintf(path, sizeof path, "%s/crash.db", dir);
    if (access(path, F_OK))
        return;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) {
        CHECK(strstr(sqlite3_errmsg(db), "no such table"), "%s", sqlite3_errmsg(db));
        sqlite3_close(db); /* killed before the schema was there */
        return;
    }
    sqlite3_bind_int64(s, 1, since_ms);
    while (sqlite3_step(s) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(s, 0);
        stored_key *k;

        HASH_FIND_STR(stored, key, k);
        if (k)
            continue;
        k = calloc(1, sizeof *k);
        CHECK(k, "memory");
        snprintf(k->key, sizeof k->key, "%s", key);
        HASH_ADD_STR(stored, key, k);
        say("stored", key, 0);
        stored_count++;
    }
    CHECK(sqlite3_finalize(s) == SQLITE_OK, "reading what is stored: %s", sqlite3_errmsg(db));
    sqlite3_close(db);
    clock_gettime(CLOCK_REALTIME, &now);
    since_ms = (int64_t)now.tv_sec * 1000 -
               60000; /* open ones are not older than that: looked at again */
}

typedef struct started_key {
    UT_hash_handle hh;
    char key[160]; /* with attempt and pid */
} started_key;

static void judge_log(const char *dir)
{
    char path[4096], word[32], key[128], place[192];
    started_key *started = NULL, *s;
    stored_key *marked = NULL, *m;
    long number, starts = 0;
    int pid;
    FILE *f;

    snprintf(path, sizeof path, "%s/side.log", dir);
    f = fopen(path, "r");
    CHECK(f, "%s", path);
    while (fscanf(f, "%31s %127s %ld %d", word, key, &number, &pid) == 4) {
        if (!strcmp(word, "stored")) {
            m = calloc(1, sizeof *m);
            CHECK(m, "memory");
            snprintf(m->key, sizeof m->key, "%s", key);
            HASH_ADD_STR(marked, key, m);
        } else if (!strcmp(word, "start")) {
            starts++;
            HASH_FIND_STR(marked, key, m);
            CHECK(!m, "%s ran again after its checkpoint was stored", key);
            snprintf(place, sizeof place, "%s#%ld@%d", key, number, pid);
            HASH_FIND_STR(started, place, s);
            CHECK(!s, "%s: attempt %ld was started twice in process %d", key, number, pid);
            s = calloc(1, sizeof *s);
            CHECK(s, "memory");
            snprintf(s->key, sizeof s->key, "%.150s", place);
            HASH_ADD_STR(started, key, s);
        }
    }
    fclose(f);
    while ((s = started)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see through uthash's tables */
        HASH_DEL(started, s);
        free(s);
    }
    while ((m = marked)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see through uthash's tables */
        HASH_DEL(marked, m);
        free(m);
    }
    CHECK(starts > 0 && stored_count > 0, "the load did nothing");
    printf("%ld attempts, %ld checkpointed steps seen between kills, none ran again\n", starts,
           stored_count);
}

static pid_t spawn(const char *self, const char *role, const char *dir, int round)
{
    char number[16];
    pid_t pid;

    snprintf(number, sizeof number, "%d", round);
    pid = fork();
    CHECK(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0) {
        execl(self, self, role, dir, number, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void kill_at_random(pid_t pid)
{
    struct timespec t = {0, 0};
    int status;

    t.tv_nsec = (long)(2 + rand() % (rand() % 4 ? 120 : 400)) *
                1000000; /* the moment is the test */
    nanosleep(&t, NULL);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
          "the child ended by itself: status %x", (unsigned)status);
}

static int number_from(const char *name, int otherwise)
{
    const char *text = getenv(name);

    return text && *text ? atoi(text) : otherwise;
}

int main(int argc, char **argv)
{
    int rounds = number_from("ROUNDS", 300);
    const char *tmp = getenv("TMPDIR");
    char dir[3000], command[4200];
    int status;
    pid_t last;

    if (argc == 4 && !strcmp(argv[1], "work"))
        return work(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 4 && !strcmp(argv[1], "finish"))
        return finish(argv[2]);
    srand((unsigned)number_from("SEED", (int)time(NULL)));
    snprintf(dir, sizeof dir, "%s/orch-crash-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(dir), "%s: %s", dir, strerror(errno));
    open_log(dir);
    for (int i = 1; i <= rounds; i++) {
        kill_at_random(spawn("/proc/self/exe", "work", dir, i));
        mark_stored(dir);
    }
    last = spawn("/proc/self/exe", "finish", dir, 0);
    CHECK(waitpid(last, &status, 0) == last && WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "the last child failed; its files are in %s", dir);
    judge_log(dir);
    printf("%d kills\n", rounds);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 ? 0 : 1;
}
