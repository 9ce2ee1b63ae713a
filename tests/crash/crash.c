/* Goal: kill -9 loses nothing that was accepted, ends nothing twice, and runs no checkpointed step again.
 *
 * A child process works under a mixed load (chains, wide maps, retries, waits, cancels, signals, pauses, children, also of tasks, sagas, new runs) on
 * one file, and is killed with SIGKILL at a random moment; ROUNDS times. Between two rounds the parent looks into the file: what is stored there is
 * marked in the side log that the steps keep. At the end a last child works everything off, and the verdict is:
 *   - every execution whose start returned has one end, and the right output;
 *   - no step was started after the mark that says its checkpoint is stored;
 *   - within one process no attempt was started twice;
 *   - of a saga exactly what was done is undone, the last first; of a new run nothing is done that was taken over. */
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
    load_say(load_names[f->kind], f->id, f->n);
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
    CHECK(orch_v2_start_workflow_async(orch, load_names[f->kind], input, strlen(input), o, accepted,
                                       load_ends_by_itself(f->kind) ? ended : NULL, f, free,
                                       &error) == 0,
          "start: %s", orch_error_message(error));
    if (load_ends_by_itself(f->kind))
        flying++;
    orch_start_options_free(o);
}

static void begin(const char *dir)
{
    char url[8192];
    orch_config *config = orch_config_new();
    orch_error *error = NULL;

    snprintf(url, sizeof url, "sqlite:%s/crash.db", dir);
    CHECK(orch_config_set(config, "STORE_URL", url, &error) == 0, "%s", orch_error_message(error));
    orch = orch_v2_new(config, &error);
    CHECK(orch, "%s", orch_error_message(error));
    orch_config_free(config);
    load_define(orch);
}

/* Works until it is killed. */
static int work(const char *dir, unsigned round)
{
    struct pollfd fd = {.events = POLLIN};

    srand(round * 7919u + 13);
    load_open_log(dir);
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
            load_help(orch, 0);
    }
}

/* ---- the end: everything is worked off, then judged ------------------------------------------------------- */

static int finish(const char *dir)
{
    struct pollfd none;
    char path[4096], word[32], key[128];
    long number, judged = 0;
    FILE *f;

    load_open_log(dir);
    begin(dir);
    for (int turns = 0; load_count_open(orch); turns++) {
        CHECK(turns < 6000, "something does not come to its end");
        if (turns % 20 == 0)
            load_help(orch, 1);
        poll(&none, 0, 10); /* until the next look; the condition is load_count_open */
    }
    snprintf(path, sizeof path, "%s/side.log", dir);
    f = fopen(path, "r");
    CHECK(f, "%s", path);
    while (fscanf(f, "%31s %127s %ld %*d", word, key, &number) == 3)
        for (int k = 0; k < KINDS; k++)
            if (!strcmp(word, load_names[k])) {
                load_judge(orch, (enum kind)k, key, number);
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
        "|| CASE WHEN c.kind IN (13, 14) THEN '/compensate' ELSE '' END "
        "FROM checkpoint c JOIN execution e ON e.key = c.execution JOIN definition d ON d.key = "
        "e.definition WHERE c.kind IN (5, 6, 7, 8, 13, 14) AND e.accepted_ms >= ?1";
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

/* Of each saga: which step was undone last, in the order of the log. Its compensations may be started again after a kill, until
 * they are stored, but never out of order. */
typedef struct undoing {
    UT_hash_handle hh;
    char id[64];
    char last; /* 'b', then 'a' */
} undoing;

static undoing *undoings;

static void judge_undo(const char *key)
{
    const char *run = strchr(key, '/');
    char id[64], step = run[3];
    undoing *u;

    snprintf(id, sizeof id, "%.*s", (int)(run - key), key);
    CHECK(!strncmp(run, "/1/", 3) && (step == 'a' || step == 'b'), "%s was never done", key);
    HASH_FIND_STR(undoings, id, u);
    if (!u) {
        u = calloc(1, sizeof *u);
        CHECK(u, "memory");
        snprintf(u->id, sizeof u->id, "%s", id);
        HASH_ADD_STR(undoings, id, u);
        CHECK(step == 'b', "%s was undone before what came after it", key);
    }
    CHECK(u->last != 'a' || step == 'a', "%s was undone after what came before it", key);
    u->last = step;
}

static void judge_saga(const char *id)
{
    undoing *u;

    HASH_FIND_STR(undoings, id, u);
    CHECK(u && u->last == 'a', "%s was not undone to its beginning", id);
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
            if (strstr(key, "/compensate"))
                judge_undo(key);
            CHECK(!strstr(key, "/2/a"), "%s was taken over from run 1", key);
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
    rewind(f);
    while (fscanf(f, "%31s %127s %ld %d", word, key, &number, &pid) == 4)
        if (!strcmp(word, load_names[SAGA]))
            judge_saga(key);
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
    load_open_log(dir);
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
