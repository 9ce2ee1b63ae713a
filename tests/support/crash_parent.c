#include "support/crash_parent.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "support/crash_load.h"

/* ---- what is stored, and what was started ---------------------------------------------------------------- */

typedef struct stored_key {
    UT_hash_handle hh;
    char key[128];
} stored_key;

static stored_key *stored;
static long stored_count;

/* Mark what is stored by now. The file is opened beside the orchestrator's back, and left as it was found. */
void crash_mark_stored(const char *dir, const char *file)
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

    snprintf(path, sizeof path, "%s/%s", dir, file);
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

void crash_mark_dying(void)
{
    load_say("dying", "-", 0);
}

typedef struct started_key {
    UT_hash_handle hh;
    char key[160]; /* with attempt and pid */
} started_key;

typedef struct started_log {
    started_key *started;
    stored_key *marked;
    long starts, twice;
    bool dying; /* crash_mark_dying */
    enum crash_verdict verdict;
} started_log;

static void judge_line(void *ctx, const char *word, const char *key, long number, int pid)
{
    started_log *l = ctx;
    char place[224];
    started_key *s;
    stored_key *m;

    l->dying |= !strcmp(word, "dying");
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
        CHECK(!s || l->dying || l->verdict != CRASH_NONE_TWICE,
              "%s: attempt %ld was started twice in process %d", key, number, pid);
        if (s) {
            l->twice++;
            return;
        }
        s = calloc(1, sizeof *s);
        CHECK(s, "memory");
        snprintf(s->key, sizeof s->key, "%.159s", place);
        HASH_ADD_STR(l->started, key, s);
    }
}

void crash_judge_log(enum crash_verdict verdict)
{
    started_log l = {.verdict = verdict};
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
    printf("%ld attempts, %ld of them again in one process; %ld checkpointed steps seen between "
           "kills, none ran again\n",
           l.starts, l.twice, stored_count);
}

/* ---- children -------------------------------------------------------------------------------------------- */

pid_t crash_spawn(const char *role, const char *dir, int round)
{
    char number[16];
    pid_t pid;

    snprintf(number, sizeof number, "%d", round);
    pid = fork();
    CHECK(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* none is left behind, whatever becomes of the test */
        execl("/proc/self/exe", "/proc/self/exe", role, dir, number, (char *)NULL);
        _exit(127);
    }
    return pid;
}

void crash_kill_at_random(pid_t pid)
{
    struct timespec t = {0, 0};

    t.tv_nsec = (long)(2 + rand() % (rand() % 4 ? 120 : 400)) *
                1000000; /* the moment is the test */
    nanosleep(&t, NULL);
    crash_kill(pid);
}

void crash_kill(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
          "the child ended by itself: status %x", (unsigned)status);
}

void crash_run_to_end(const char *role, const char *dir)
{
    pid_t pid = crash_spawn(role, dir, 0);
    int status;

    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "the last child (%s) failed; its files are in %s", role, dir);
}

int crash_number(const char *name, int otherwise)
{
    const char *text = getenv(name);

    return text && *text ? atoi(text) : otherwise;
}
