/* Goal: a file of an older schema that is opened by a process which is killed with SIGKILL at a random moment is wholly of the old
 * schema or wholly of the new one, and has lost nothing when it is opened again. ROUNDS / 3 kills. */
#include <errno.h>
#include <orch/orch.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/crash_load.h"
#include "support/file.h"

#define COPIES 4000 /* of each execution that had ended */

/* How many there are; and of those that had ended in that file (others may go on now), what they say. */
#define OLD "(SELECT * FROM execution WHERE ended_ms BETWEEN 1 AND 1710000000000)"
static const char sums[] =
    "SELECT (SELECT count(*) FROM execution) || ' ' || (SELECT count(*) || '/' || total(state) || '/' || "
    "total(accepted_ms) || '/' || total(length(output)) FROM " OLD
    ") || ' ' || (SELECT count(*) || '/' || "
    "total(c.kind) || '/' || total(length(c.output)) FROM checkpoint c JOIN " OLD
    " e ON e.key = c.execution)";

static char base[4096], path[4096];

static sqlite3 *open_db(const char *file)
{
    sqlite3 *db;

    CHECK(sqlite3_open(file, &db) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    return db;
}

static void query(const char *file, const char *sql, char *out, size_t size)
{
    sqlite3 *db = open_db(file);
    sqlite3_stmt *st = NULL;

    CHECK(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW,
          "%s: %s", sql, sqlite3_errmsg(db));
    snprintf(out, size, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    sqlite3_close(db);
}

static void make_base(void)
{
    char *sql = file_text("tests/data/store_1.sql", NULL), more[1024];
    sqlite3 *db = open_db(base);

    snprintf(
        more, sizeof more,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
        "INSERT INTO execution(key, definition, run, state, paused, accepted_ms, deadline_ms, wake_ms, "
        "ended_ms, inbox_seq, input, output, error) SELECT key + (i << 21), definition, run, state, paused, "
        "accepted_ms + i, deadline_ms, wake_ms, ended_ms + i, inbox_seq, input, output, error FROM execution, n "
        "WHERE state BETWEEN 3 AND 6",
        COPIES);
    CHECK(sqlite3_exec(db, "PRAGMA synchronous=OFF", NULL, NULL, NULL) == SQLITE_OK &&
              sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK &&
              sqlite3_exec(db, more, NULL, NULL, NULL) == SQLITE_OK,
          "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    free(sql);
}

static void copy_base(void)
{
    static const char *const ends[] = {"-wal", "-shm", "-lock", "-journal"};
    char file[4200], command[9000];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(file, sizeof file, "%s%s", path, ends[i]);
        unlink(file);
    }
    snprintf(command, sizeof command, "cp '%s' '%s'", base, path);
    CHECK(system(command) == 0, "%s", command);
}

/* ---- the child ------------------------------------------------------------------------------------------- */

static int open_store(const char *file)
{
    orch_config *config = orch_config_new();
    orch_error *error = NULL;
    char url[5000];
    orch_v2 *orch;

    snprintf(url, sizeof url, "sqlite:%s", file);
    CHECK(orch_config_set(config, "STORE_URL", url, &error) == 0, "%s", orch_error_message(error));
    orch = orch_v2_new(config, &error);
    CHECK(orch, "%s", orch_error_message(error));
    orch_config_free(config);
    CHECK(orch_v2_stop(orch, 5000, NULL) == 0, "stop");
    orch_v2_free(orch);
    return 0;
}

/* ---- the parent ------------------------------------------------------------------------------------------ */

static pid_t spawn(void)
{
    pid_t pid = fork();

    CHECK(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0) {
        execl("/proc/self/exe", "migration", "open", path, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static bool ended_well(pid_t pid)
{
    int status;

    CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void expect_whole(const char *right)
{
    char text[200];

    query(path, "PRAGMA integrity_check", text, sizeof text);
    CHECK(!strcmp(text, "ok"), "integrity: %s", text);
    query(path, sums, text, sizeof text);
    CHECK(!strcmp(text, right), "the file has %s, not %s", text, right);
}

/* True if it was killed before it was of the new schema. */
static bool kill_at_random(int64_t takes_us, const char *version, const char *right)
{
    struct timespec t = {0, 0};
    int64_t after_us = rand() % takes_us;
    char text[200];
    pid_t pid;

    copy_base();
    pid = spawn();
    t.tv_sec = after_us / 1000000;
    t.tv_nsec = after_us % 1000000 * 1000;
    nanosleep(&t, NULL); /* the moment is the test */
    kill(pid, SIGKILL);
    ended_well(pid);
    query(path, "PRAGMA user_version", text, sizeof text);
    CHECK(!strcmp(text, "1") || !strcmp(text, version), "killed, the file is of version %s", text);
    expect_whole(right);
    CHECK(ended_well(spawn()), "it cannot be opened after the kill");
    expect_whole(right);
    return !strcmp(text, "1");
}

int main(int argc, char **argv)
{
    const char *rounds = getenv("ROUNDS"), *tmp = getenv("TMPDIR");
    int kills = (rounds && *rounds ? atoi(rounds) : 300) / 3, before = 0;
    char dir[3000], version[200], right[200], command[4200];
    int64_t from_us, takes_us;

    if (argc == 3 && !strcmp(argv[1], "open"))
        return open_store(argv[2]);
    srand((unsigned)time(NULL));
    snprintf(dir, sizeof dir, "%s/orch-migration-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(dir), "%s: %s", dir, strerror(errno));
    snprintf(base, sizeof base, "%s/base.db", dir);
    snprintf(path, sizeof path, "%s/store.db", dir);
    make_base();
    query(base, sums, right, sizeof right);
    copy_base();
    from_us = now_us();
    CHECK(ended_well(spawn()), "it cannot be opened");
    takes_us = now_us() - from_us;
    query(path, "PRAGMA user_version", version, sizeof version);
    CHECK(strcmp(version, "1") != 0, "the file is still of version 1");
    expect_whole(right);
    for (int i = 0; i < kills; i++)
        before += kill_at_random(takes_us, version, right);
    printf(
        "%d kills within %lld ms of a migration to version %s, %d of them before it was done; nothing was lost\n",
        kills, (long long)(takes_us / 1000), version, before);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 ? 0 : 1;
}
