/* Goal: the SQLite adapter does what the port asks, and treats its files as docs/store.md says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "support/store_conformance.h"

static char folder[64], path[128], url[160];

static void clean(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock", "-copy", "-copy-lock"};
    char file[160];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(file, sizeof file, "%s%s", path, ends[i]);
        unlink(file);
    }
}

static int fresh(void **state)
{
    (void)state;
    clean();
    return 0;
}

/* What somebody sees who opens the file with SQLite beside the store. */
static void query(const char *file, const char *sql, char *out, size_t size)
{
    sqlite3 *db;
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    out[0] = '\0';
    while (sqlite3_step(st) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            const char *text = (const char *)sqlite3_column_text(st, i);

            snprintf(out + strlen(out), size - strlen(out), "%s%s", i ? "|" : "", text ? text : "");
        }
        snprintf(out + strlen(out), size - strlen(out), "\n");
    }
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    sqlite3_close(db);
}

static void execute(const char *file, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void assert_refused(const char *at, int32_t code, const char *word)
{
    store_fixture f;
    orch_error *err = NULL;

    assert_int_equal(fixture_try_open(&f, at, &err), code);
    if (!strstr(orch_error_message(err), word))
        fail_msg("'%s' is not in: %s", word, orch_error_message(err));
    orch_error_free(err);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void it_is_private_and_leaves_one_file(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1);
    struct stat st;
    char file[160];

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(fixture_accept(&f, &row), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(file, sizeof file, "%s-wal", path);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    fixture_close(&f);
    assert_int_not_equal(stat(file, &st), 0); /* a clean stop leaves no WAL */
}

static void a_second_owner_is_refused(void **state)
{
    store_fixture f;
    char link[160], other[200], word[64];
    int status;
    pid_t pid;

    (void)state;
    snprintf(link, sizeof link, "%s/link.db", folder);
    snprintf(other, sizeof other, "sqlite:%s", link);
    fixture_open(&f, url);
    snprintf(word, sizeof word, "process %ld", (long)getpid());
    assert_refused(url, ORCH_E_UNAVAILABLE, word);
    assert_refused(url, ORCH_E_UNAVAILABLE, path);
    assert_int_equal(symlink(path, link), 0);
    assert_refused(other, ORCH_E_UNAVAILABLE, word); /* by another name too */
    unlink(link);
    pid = fork();
    if (pid == 0) {
        store_options o = {.url = url};
        store s;

        _exit(store_open(&o, &s, NULL) == ORCH_E_UNAVAILABLE ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fixture_close(&f);
    fixture_open(&f, url);
    fixture_close(&f);
}

static void odd_paths_work_or_say_why(void **state)
{
    store_fixture f;
    char odd[240], file[200], before[PATH_MAX];
    struct stat st;

    (void)state;
    snprintf(odd, sizeof odd, "sqlite:%s/what%%3Fa=b%%25%%20file:x.db?synchronous=normal", folder);
    fixture_open(&f, odd);
    snprintf(file, sizeof file, "%s/what?a=b%% file:x.db", folder);
    assert_int_equal(stat(file, &st), 0);
    fixture_close(&f);
    unlink(file);
    snprintf(file, sizeof file, "%s/what?a=b%% file:x.db-lock", folder);
    unlink(file);

    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    fixture_open(&f, "sqlite:store.db"); /* relative, and a name that SQLite would take for a URI */
    assert_int_equal(stat(path, &st), 0);
    fixture_close(&f);
    fixture_open(&f, "sqlite:file:store.db");
    fixture_close(&f);
    assert_int_equal(unlink("file:store.db"), 0);
    unlink("file:store.db-lock");
    assert_int_equal(chdir(before), 0);

    snprintf(odd, sizeof odd, "sqlite:%s/none/x.db", folder);
    assert_refused(odd, ORCH_E_NOT_FOUND, "folder");
    snprintf(odd, sizeof odd, "sqlite:%s", folder);
    assert_refused(odd, ORCH_E_INVALID_ARGUMENT, "regular file");
    snprintf(odd, sizeof odd, "sqlite:%s/x/", folder);
    assert_refused(odd, ORCH_E_INVALID_ARGUMENT, "folder");
    snprintf(file, sizeof file, "%s/dangling.db", folder);
    assert_int_equal(symlink("nowhere/x.db", file), 0);
    snprintf(odd, sizeof odd, "sqlite:%s", file);
    assert_refused(odd, ORCH_E_NOT_FOUND, "symbolic link");
    unlink(file);
}

static char *contents(const char *file, size_t *len)
{
    FILE *in = fopen(file, "rb");
    char *data;

    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    *len = (size_t)ftell(in);
    rewind(in);
    data = mem_alloc(*len + 1);
    assert_int_equal(fread(data, 1, *len, in), *len);
    fclose(in);
    return data;
}

static void assert_unchanged_by_open(int32_t code, const char *word)
{
    size_t len, len_after;
    char *before = contents(path, &len), *after;

    assert_refused(url, code, word);
    after = contents(path, &len_after);
    assert_int_equal(len, len_after);
    assert_memory_equal(before, after, len);
    mem_free(before);
    mem_free(after);
}

static void foreign_files_are_left_alone(void **state)
{
    store_fixture f;
    FILE *out;

    (void)state;
    execute(path, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    assert_unchanged_by_open(ORCH_E_DATA_LOSS, "not a store of this library");
    clean();
    execute(path, "PRAGMA journal_mode=WAL; PRAGMA user_version=3; CREATE TABLE t(a)");
    assert_unchanged_by_open(ORCH_E_DATA_LOSS, "not a store of this library");
    clean();
    out = fopen(path, "w");
    for (int i = 0; i < 500; i++)
        fputs("this is no database, ", out);
    fclose(out);
    assert_unchanged_by_open(ORCH_E_DATA_LOSS, "not a SQLite database");
    clean();
    fixture_open(&f, url);
    fixture_close(&f);
    execute(path, "PRAGMA user_version=99");
    assert_unchanged_by_open(ORCH_E_FAILED_PRECONDITION,
                             "schema version 99, this library knows up to 3");
    execute(path, "PRAGMA user_version=-5");
    assert_unchanged_by_open(ORCH_E_DATA_LOSS, "schema version -5, which never was one");
}

static void a_damaged_file_is_data_loss(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1);
    store_unit u;
    FILE *file;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(fixture_accept(&f, &row), 0);
    fixture_close(&f);
    file = fopen(path, "r+");
    fseek(file, 4096, SEEK_SET);
    for (int i = 0; i < 4096 * 30; i++)
        fputc(0x5a, file);
    fclose(file);
    if (fixture_try_open(&f, url, NULL) == 0) { /* the damage may be found at once or later */
        f.term = 1;
        u = fixture_unit(&f, 0);
        u.shard = 1;
        row.key++;
        u.accept = &row;
        assert_int_equal(fixture_run(&f, &u), ORCH_E_DATA_LOSS);
        assert_int_equal(fixture_run(&f, &u), ORCH_E_DATA_LOSS);
        fixture_abandon(&f);
    }
}

/* ---- people ---------------------------------------------------------------------------------- */

static void people_read_it_while_it_is_used(void **state)
{
    store_fixture f;
    char workflow[] = "order", version[] = "1.2.0", id[] = "order/17", made[EXECUTION_ID_LEN + 1];
    char out[2000], expected[200];
    definition_row d = {.key = 1, .workflow = workflow, .version = version};
    execution_row rows[2] = {fixture_row(1, 0), fixture_row(2, 1)};
    checkpoint c = fixture_checkpoint(1);
    execution_update update = {.state = EXECUTION_SUCCEEDED, .ended_ms = 1700000000250};
    inbox_item item = {.kind = INBOX_SIGNAL, .at_ms = 1700000000000};
    store_unit u;

    (void)state;
    fixture_open(&f, url);
    d.text = bytes_new("{\"steps\":[{\"id\":\"reserve\"}]}", 28);
    u = fixture_unit(&f, 0);
    u.definition = &d;
    assert_int_equal(fixture_run(&f, &u), 0);
    rows[0].id = id;
    assert_int_equal(fixture_accept(&f, &rows[0]), 0);
    assert_int_equal(fixture_accept(&f, &rows[1]), 0);
    u = fixture_unit(&f, rows[0].key);
    u.checkpoints = &c;
    u.checkpoint_count = 1;
    u.update = &update;
    assert_int_equal(fixture_run(&f, &u), 0);
    u = fixture_unit(&f, rows[1].key);
    u.inbox_put = &item;
    assert_int_equal(fixture_run(&f, &u), 0);

    query(path,
          "SELECT id, workflow, version, state, accepted, ended, input, output, shard"
          " FROM executions ORDER BY key",
          out, sizeof out);
    execution_id_format(rows[1].key, made);
    snprintf(
        expected, sizeof expected,
        "order/"
        "17|order|1.2.0|succeeded|2023-11-14T22:13:20.000Z|2023-11-14T22:13:20.250Z|{}|null|1\n"
        "%s|order|1.2.0|open|2023-11-14T22:13:20.000Z||{}|null|2\n",
        made);
    assert_string_equal(out, expected);
    query(path, "SELECT id, run, seq, step, item, attempt, kind, started FROM history", out,
          sizeof out);
    assert_string_equal(out, "order/17|1|1|reserve||1|succeeded|2023-11-14T22:13:20.000Z\n");
    query(path, "SELECT id, seq, kind, payload FROM messages", out, sizeof out);
    snprintf(expected, sizeof expected, "%s|1|signal|null\n", made);
    assert_string_equal(out, expected);
    fixture_close(&f);
    bytes_unref(d.text);
}

/* A child, how its first run ended, what its parent was told, and who did it. */
static void people_see_where_things_came_from(void **state)
{
    store_fixture f;
    char workflow[] = "order", version[] = "1.2.0", id[] = "order/17",
         child_id[] = "order/17/1/pack";
    char limit[] = "tenant/7", name[] = "approved", action[] = "retry", who[] = "ann", why[] = "?";
    char out[2000];
    definition_row d = {.key = 1, .workflow = workflow, .version = version};
    execution_row parent = fixture_row(1, 0), child = fixture_row(2, 1);
    execution_update failed = {.state = EXECUTION_FAILED, .ended_ms = 1700000000250};
    execution_update open = {.state = EXECUTION_OPEN};
    inbox_item told = {.kind = INBOX_CHILD_ENDED,
                       .state = EXECUTION_FAILED,
                       .index = INDEX_NONE,
                       .attempt = 1,
                       .at_ms = 1700000000250};
    inbox_item signal = {.kind = INBOX_SIGNAL, .name = name, .at_ms = 1700000000300};
    checkpoint c = fixture_checkpoint(1);
    control_row control = {.action = action, .who = who, .why = why, .at_ms = 1700000000400};
    store_unit u;

    (void)state;
    fixture_open(&f, url);
    d.text = bytes_new("{\"steps\":[{\"id\":\"pack\"}]}", 25);
    u = fixture_unit(&f, 0);
    u.definition = &d;
    assert_int_equal(fixture_run(&f, &u), 0);
    parent.id = id;
    child.id = child_id;
    child.parent = parent.key;
    child.priority = 7;
    child.limit_key = limit;
    child.attributes = bytes_new("{\"region\":\"eu\"}", 15);
    assert_int_equal(fixture_accept(&f, &parent), 0);
    assert_int_equal(fixture_accept(&f, &child), 0);
    u = fixture_unit(&f, parent.key);
    c.kind = CHECKPOINT_CHILD;
    u.checkpoints = &c;
    u.checkpoint_count = 1;
    u.inbox_put = &signal;
    assert_int_equal(fixture_run(&f, &u), 0);
    u = fixture_unit(&f, child.key);
    u.update = &failed;
    u.notify = &told;
    u.notify_key = parent.key;
    u.notify_run = 1;
    assert_int_equal(fixture_run(&f, &u), 0);
    u = fixture_unit(&f, child.key);
    u.run = 2;
    u.update = &open;
    u.control = &control;
    control.execution = child.key;
    assert_int_equal(fixture_run(&f, &u), 0);

    query(path,
          "SELECT id, state, run, priority, parent, limit_key, attributes FROM executions"
          " ORDER BY key",
          out, sizeof out);
    assert_string_equal(out, "order/17|open|1|5|||{}\n"
                             "order/17/1/pack|open|2|7|order/17|tenant/7|{\"region\":\"eu\"}\n");
    query(path, "SELECT id, step, kind FROM history", out, sizeof out);
    assert_string_equal(out, "order/17|pack|child\n");
    query(path, "SELECT id, run, state, ended, output, error FROM runs", out, sizeof out);
    assert_string_equal(out, "order/17/1/pack|1|failed|2023-11-14T22:13:20.250Z|null|\n");
    query(path, "SELECT id, seq, kind, name, step, item, attempt, state FROM messages", out,
          sizeof out);
    assert_string_equal(out, "order/17|1|signal|approved||||\n"
                             "order/17|2|child_ended||pack||1|failed\n");
    query(path, "SELECT id, seq, at, action, who, why, detail FROM controls", out, sizeof out);
    assert_string_equal(out, "order/17/1/pack|1|2023-11-14T22:13:20.400Z|retry|ann|?|\n");
    fixture_close(&f);
    bytes_unref(d.text);
    bytes_unref(child.attributes);
}

/* A person who writes, or holds the file: units wait, none is lost. */
static void a_foreign_writer_is_waited_out(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1);
    store_unit u;
    sqlite3 *db;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    u = fixture_unit(&f, 0);
    u.shard = 1;
    u.accept = &row;
    fixture_submit(&f, &u);
    fixture_flush(&f);
    assert_int_equal(f.s.ops->stop(f.s.self, 30, NULL), ORCH_E_DEADLINE_EXCEEDED);
    assert_null(f.s.ops->reap(f.s.self));
    fixture_abandon(&f);
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    fixture_open(&f, url);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    u.term = f.term;
    fixture_submit(&f, &u);
    fixture_flush(&f);
    assert_null(f.s.ops->reap(f.s.self));
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    fixture_wait(&f, 1);
    assert_int_equal(u.result, 0);
    sqlite3_close(db);
    fixture_close(&f);
}

/* ---- backup ---------------------------------------------------------------------------------- */

static void a_backup_is_whole(void **state)
{
    store_fixture f, g;
    char copy[160], copy_url[200];
    orch_error *err = NULL;
    execution_row row;
    uint64_t open = 0;

    (void)state;
    snprintf(copy, sizeof copy, "%s-copy", path);
    snprintf(copy_url, sizeof copy_url, "sqlite:%s", copy);
    fixture_open(&f, url);
    for (uint32_t i = 0; i < 50; i++) {
        row = fixture_row(1, i);
        assert_int_equal(fixture_accept(&f, &row), 0);
    }
    assert_int_equal(f.s.ops->backup(f.s.self, copy, &err), 0);
    assert_int_equal(f.s.ops->backup(f.s.self, copy, &err), ORCH_E_ALREADY_EXISTS);
    assert_non_null(strstr(orch_error_message(err), copy));
    assert_int_equal(f.s.ops->backup(f.s.self, "/nonexistent/x", &err), ORCH_E_NOT_FOUND);
    orch_error_free(err);
    row = fixture_row(1, 60);
    assert_int_equal(fixture_accept(&f, &row), 0); /* not in the copy */
    fixture_open(&g, copy_url);
    assert_int_equal(g.s.ops->count_open(g.s.self, &open, NULL), 0);
    assert_int_equal(open, 50);
    fixture_close(&g);
    fixture_close(&f);
}

/* ---- the WAL --------------------------------------------------------------------------------- */

static void *list_on(void *arg)
{
    store_fixture *f = arg;
    execution_filter filter = {.limit = 100};
    execution_page page;

    while (f->s.ops->list_executions(f->s.self, &filter, &page, NULL) == 0) {
        bool stop = page.count && page.rows[0].state == EXECUTION_CANCELLED;

        execution_page_clear(&page);
        if (stop)
            return f;
    }
    return NULL;
}

/* With readers all the time the WAL begins anew again and again. How large it grows between is the machine's: a reader that gets
 * no processor in the middle of its snapshot is in the way. So: until four times as much was written as the file ever held. */
static void the_wal_stays_small(void **state)
{
    enum { LEAST = 200, MOST = 2000, EACH = 500000 };
    store_fixture f;
    pthread_t threads[2];
    execution_row row = fixture_row(1, 0);
    char file[160];
    struct stat st;
    off_t most = 0, written = 0;
    void *ok;

    (void)state;
    snprintf(file, sizeof file, "%s-wal", path);
    fixture_open(&f, url);
    assert_int_equal(fixture_accept(&f, &row), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, list_on, &f), 0);
    for (uint64_t seq = 1; seq <= MOST && (seq <= LEAST || written < 4 * most); seq++) {
        checkpoint c = fixture_checkpoint(seq);
        store_unit u = fixture_unit(&f, row.key);

        c.output = bytes_new(NULL, EACH);
        memset(c.output->data, 'x', EACH);
        memcpy(c.output->data, &seq, sizeof seq); /* the same value would be stored once */
        u.checkpoints = &c;
        u.checkpoint_count = 1;
        assert_int_equal(fixture_run(&f, &u), 0);
        bytes_unref(c.output);
        written += EACH;
        if (stat(file, &st) == 0 && st.st_size > most)
            most = st.st_size;
    }
    row = fixture_row(1, 1);
    row.state = EXECUTION_CANCELLED;
    assert_int_equal(fixture_accept(&f, &row), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &ok);
        assert_non_null(ok);
    }
    if (written < 4 * most)
        fail_msg("the WAL grew to %lld of %lld bytes", (long long)most, (long long)written);
    fixture_close(&f);
}

static int64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Once all of a long WAL is copied, no thread has anything to do. */
static void the_checkpointer_rests(void **state)
{
    const struct timespec window = {0, 20 * 1000000};
    store_fixture f;
    execution_row row = fixture_row(1, 0);
    checkpoint c = fixture_checkpoint(1);
    store_unit u;
    bool rested = false;

    (void)state;
    fixture_open(&f, url);
    assert_int_equal(fixture_accept(&f, &row), 0);
    u = fixture_unit(&f, row.key);
    c.output = bytes_new(NULL,
                         3000000); /* more than the checkpointer waits for, less than a restart */
    memset(c.output->data, 'x', 3000000);
    u.checkpoints = &c;
    u.checkpoint_count = 1;
    assert_int_equal(fixture_run(&f, &u), 0);
    bytes_unref(c.output);
    for (int i = 0; i < 250 && !rested; i++) {
        int64_t from_ns = cpu_ns();

        nanosleep(&window, NULL);
        rested = cpu_ns() - from_ns < 1000000;
    }
    assert_true(rested);
    fixture_close(&f);
}

/* At most five rows for an execution of three steps. */
static void three_steps_are_five_rows(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1);
    execution_update update = {.state = EXECUTION_SUCCEEDED, .ended_ms = 1700000000250};
    store_stats before, after;

    (void)state;
    fixture_open(&f, url);
    f.s.ops->get_stats(f.s.self, &before);
    assert_int_equal(fixture_accept(&f, &row), 0);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        checkpoint c = fixture_checkpoint(seq);
        store_unit u = fixture_unit(&f, row.key);

        u.checkpoints = &c;
        u.checkpoint_count = 1;
        u.update = seq == 3 ? &update : NULL;
        u.must_be_open = true;
        assert_int_equal(fixture_run(&f, &u), 0);
    }
    f.s.ops->get_stats(f.s.self, &after);
    assert_int_equal(after.rows - before.rows, 5);
    assert_true(after.bytes_written > before.bytes_written);
    fixture_close(&f);
}

static atomic_int selects;

static int count_select(unsigned kind, void *ctx, void *statement, void *text)
{
    const char *sql = sqlite3_sql(statement);

    (void)kind;
    (void)ctx;
    (void)text;
    /* Terms are read once a batch. */
    if (sql && !strncmp(sql, "SELECT", 6) && !strstr(sql, "shard_lease"))
        atomic_fetch_add(&selects, 1);
    return 0;
}

static int trace_connection(sqlite3 *db, char **message, const struct sqlite3_api_routines *api)
{
    (void)message;
    (void)api;
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_select, NULL);
}

/* Nothing is read before a write for what nearly all executions are, in the units that an orchestrator makes of them. */
static void a_plain_execution_reads_nothing(void **state)
{
    store_fixture f;
    execution_row row = fixture_row(1, 1);
    execution_update update = {.state = EXECUTION_SUCCEEDED, .ended_ms = 1700000000250};
    inbox_item item = {.kind = INBOX_SIGNAL};
    store_unit u;

    (void)state;
    assert_int_equal(sqlite3_auto_extension((void (*)(void))trace_connection), SQLITE_OK);
    fixture_open(&f, url);
    atomic_store(&selects, 0);
    assert_int_equal(fixture_accept(&f, &row), 0);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        checkpoint c = fixture_checkpoint(seq);

        u = fixture_unit(&f, row.key);
        u.checkpoints = &c;
        u.checkpoint_count = 1;
        if (seq == 3) {
            u.update = &update;
            u.must_be_open = true;
            u.inbox_consumed = INT64_MAX; /* though there is nothing */
        }
        assert_int_equal(fixture_run(&f, &u), 0);
    }
    assert_int_equal(atomic_load(&selects), 0);
    u = fixture_unit(&f, row.key); /* what is not plain is looked at */
    u.inbox_put = &item;
    assert_int_equal(fixture_run(&f, &u), 0);
    assert_true(atomic_load(&selects) > 0);
    fixture_close(&f);
    sqlite3_cancel_auto_extension((void (*)(void))trace_connection);
}

static void each_mode_keeps_what_was_committed(void **state)
{
    static const char *const modes[] = {"full", "normal", "off"};
    char with[200];

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        store_fixture f;
        execution_row row = fixture_row(1, i);
        uint64_t open;

        snprintf(with, sizeof with, "%s?synchronous=%s", url, modes[i]);
        fixture_open(&f, with);
        assert_int_equal(fixture_accept(&f, &row), 0);
        assert_int_equal(f.s.ops->count_open(f.s.self, &open, NULL), 0);
        assert_int_equal(open, i + 1);
        fixture_close(&f);
    }
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    char unsynced[200];
    conformance_target sqlite = {.name = "store: sqlite", .survives = true, .clean = clean};
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_is_private_and_leaves_one_file, fresh),
        cmocka_unit_test_setup(a_second_owner_is_refused, fresh),
        cmocka_unit_test_setup(odd_paths_work_or_say_why, fresh),
        cmocka_unit_test_setup(foreign_files_are_left_alone, fresh),
        cmocka_unit_test_setup(a_damaged_file_is_data_loss, fresh),
        cmocka_unit_test_setup(people_read_it_while_it_is_used, fresh),
        cmocka_unit_test_setup(people_see_where_things_came_from, fresh),
        cmocka_unit_test_setup(a_foreign_writer_is_waited_out, fresh),
        cmocka_unit_test_setup(a_backup_is_whole, fresh),
        cmocka_unit_test_setup(the_wal_stays_small, fresh),
        cmocka_unit_test_setup(the_checkpointer_rests, fresh),
        cmocka_unit_test_setup(three_steps_are_five_rows, fresh),
        cmocka_unit_test_setup(a_plain_execution_reads_nothing, fresh),
        cmocka_unit_test_setup(each_mode_keeps_what_was_committed, fresh),
    };
    int failed;

    snprintf(folder, sizeof folder, "%.40s/store-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/store.db", folder);
    snprintf(url, sizeof url, "sqlite:%s", path);
    /* What the disk keeps is test_store_power's matter; a sync for each unit takes half a minute. */
    snprintf(unsynced, sizeof unsynced, "%s?synchronous=off", url);
    sqlite.url = unsynced;
    failed = store_conformance(&sqlite);
    failed += cmocka_run_group_tests_name("store: sqlite's files", tests, NULL, NULL);
    clean();
    rmdir(folder);
    return failed;
}
