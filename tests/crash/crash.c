/* Goal: kill -9 loses nothing that was accepted, ends nothing twice, and runs no checkpointed step again.
 *
 * A child process works under a mixed load that uses the whole language and all control (support/crash_load.h) on one file, and is
 * killed with SIGKILL at a random moment; ROUNDS times. Between two rounds the parent looks into the file: what is stored there is
 * marked in the side log that the steps keep. At the end a last child works everything off, and the verdict is:
 *   - every execution whose start returned has one end, and the right output;
 *   - no step was started after the mark that says its checkpoint is stored;
 *   - within one process no attempt was started twice;
 *   - what each family of the load says of its own: what was undone, started with a key, set, forked, copied.
 * Then ended executions are deleted, also under kills, until few are left, and those are whole. */
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

#include "support/crash_load.h"

#define IN_FLIGHT 48

/* ---- the child ------------------------------------------------------------------------------------------- */

typedef struct flight {
    char id[LOAD_ID_ROOM];
    const load_kind *kind;
    long n;
} flight;

static orch_v2 *orch;
static int flying;

static void accepted(void *user_data, orch_execution *execution, orch_error *error)
{
    flight *f = user_data;

    CHECK(execution, "start of %s: %s", f->id, orch_error_message(error));
    load_say(f->kind->name, f->id, f->n);
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
    static char input[LOAD_INPUT_ROOM];
    flight *f = malloc(sizeof *f);
    orch_start_options *o = orch_start_options_new();
    orch_error *error = NULL;

    CHECK(f && o, "memory");
    f->kind = load_any();
    f->n = rand() % 1000;
    snprintf(f->id, sizeof f->id, "r%u-%ld", round, number);
    snprintf(input, sizeof input, "{\"n\":%ld}", f->n);
    orch_start_options_set_id(o, f->id);
    if (f->kind->prepare)
        f->kind->prepare(o, f->n, input);
    CHECK(orch_v2_start_workflow_async(orch, f->kind->name, input, strlen(input), o, accepted,
                                       f->kind->needs_help ? NULL : ended, f, free, &error) == 0,
          "start: %s", orch_error_message(error));
    flying += !f->kind->needs_help;
    orch_start_options_free(o);
}

/* Works until it is killed. */
static int work(const char *dir, unsigned round)
{
    struct pollfd fd = {.events = POLLIN};

    srand(round * 7919u + 13);
    load_open_log(dir);
    orch = load_open("crash.db", NULL, NULL);
    load_define(orch);
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
            load_help(orch, false);
    }
}

static void close_all(void)
{
    CHECK(orch_v2_stop(orch, 10000, NULL) == ORCH_OK, "stop");
    orch_v2_free(orch);
}

/* ---- the end: everything is worked off, then judged ------------------------------------------------------- */

static int finish(const char *dir)
{
    struct pollfd none;
    long judged;

    load_open_log(dir);
    orch = load_open("crash.db", NULL, NULL);
    load_define(orch);
    for (int turns = 0; load_count_open(orch); turns++) {
        CHECK(turns < 6000, "something does not come to its end");
        if (turns % 20 == 0)
            load_help(orch, true);
        poll(&none, 0, 10); /* until the next look; the condition is load_count_open */
    }
    judged = load_judge(orch);
    close_all();
    printf("%ld executions accepted, each with one right end\n", judged);
    return judged > 0 ? 0 : 1;
}

/* ---- and then: few are kept -------------------------------------------------------------------------------- */

#define KEPT "200"

static int prune(const char *dir, bool to_its_end)
{
    struct pollfd none;

    load_open_log(dir);
    orch = load_open("crash.db", "RETENTION_COUNT", KEPT);
    load_define(orch);
    for (int turns = 0; load_count_kept(orch) > (size_t)atoi(KEPT) || !to_its_end; turns++) {
        CHECK(turns < 6000, "what is to go does not go");
        poll(&none, 0, 10); /* until the next look, or the kill */
    }
    load_judge_kept(orch);
    close_all();
    return 0;
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
        "SELECT e.id || '/' || c.run || '/' || CASE WHEN c.kind IN (16, 17) THEN 'on_failure' ELSE "
        "json_extract(d.text, '$.steps[' || c.step || '].id') END || "
        "CASE WHEN c.idx IS NULL OR c.idx < 0 OR c.idx = 4294967295 THEN '' ELSE '/' || c.idx END "
        "|| CASE WHEN c.kind IN (13, 14) THEN '/compensate' ELSE '' END "
        "FROM checkpoint c JOIN execution e ON e.key = c.execution JOIN definition d ON d.key = "
        "e.definition WHERE c.kind IN (5, 6, 7, 8, 13, 14, 16, 17) AND e.id IS NOT NULL AND e.accepted_ms >= ?1";
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
        load_say("stored", key, 0);
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

typedef struct started_log {
    started_key *started;
    stored_key *marked;
    long starts;
} started_log;

static void judge_line(void *ctx, const char *word, const char *key, long number, int pid)
{
    started_log *l = ctx;
    char place[224];
    started_key *s;
    stored_key *m;

    if (!strcmp(word, "stored")) {
        m = calloc(1, sizeof *m);
        CHECK(m, "memory");
        snprintf(m->key, sizeof m->key, "%.127s", key);
        HASH_ADD_STR(l->marked, key, m);
    } else if (!strcmp(word, "start")) {
        l->starts++;
        HASH_FIND_STR(l->marked, key, m);
        CHECK(!m, "%s ran again after its checkpoint was stored", key);
        snprintf(place, sizeof place, "%s#%ld@%d", key, number, pid);
        HASH_FIND_STR(l->started, place, s);
        CHECK(!s, "%s: attempt %ld was started twice in process %d", key, number, pid);
        s = calloc(1, sizeof *s);
        CHECK(s, "memory");
        snprintf(s->key, sizeof s->key, "%.159s", place);
        HASH_ADD_STR(l->started, key, s);
    }
}

static void judge_log(void)
{
    started_log l = {0};
    started_key *s;
    stored_key *m;

    load_read_log(judge_line, &l);
    while ((s = l.started)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see through uthash's tables */
        HASH_DEL(l.started, s);
        free(s);
    }
    while ((m = l.marked)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see through uthash's tables */
        HASH_DEL(l.marked, m);
        free(m);
    }
    CHECK(l.starts > 0 && stored_count > 0, "the load did nothing");
    printf("%ld attempts, %ld checkpointed steps seen between kills, none ran again\n", l.starts,
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

static void run_to_end(const char *role, const char *dir)
{
    pid_t pid = spawn("/proc/self/exe", role, dir, 0);
    int status;

    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "the last child (%s) failed; its files are in %s", role, dir);
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

    if (argc == 4 && !strcmp(argv[1], "work"))
        return work(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 4 && !strcmp(argv[1], "finish"))
        return finish(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "prune"))
        return prune(argv[2], !strcmp(argv[3], "0"));
    srand((unsigned)number_from("SEED", (int)time(NULL)));
    snprintf(dir, sizeof dir, "%s/orch-crash-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(dir), "%s: %s", dir, strerror(errno));
    load_open_log(dir);
    for (int i = 1; i <= rounds; i++) {
        kill_at_random(spawn("/proc/self/exe", "work", dir, i));
        mark_stored(dir);
    }
    run_to_end("finish", dir);
    judge_log();
    for (int i = 1; i <= rounds / 10; i++)
        kill_at_random(spawn("/proc/self/exe", "prune", dir, i));
    run_to_end("prune", dir);
    printf("%d kills\n", rounds);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 ? 0 : 1;
}
