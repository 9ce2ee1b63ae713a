/* exec with real processes: what they get, what they give, and that nothing of them stays behind. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/executor_harness.h"

static char folder[4096]; /* of this test program */

static executor make(harness *h)
{
    executor e;

    assert_int_equal(executor_exec_new(harness_env(h), &e, NULL), 0);
    return e;
}

static void end(harness *h, executor *e)
{
    e->ops->free(e->self);
    harness_free(h);
}

/* ---- What it gives --------------------------------------------------------------------------------- */

static void expect(const char *with, const char *stdout_json)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(h, "%s", with);
    json_t *got, *wanted = json_loads(stdout_json, JSON_DECODE_ANY, NULL);

    harness_run(&e, t);
    got = harness_output(t);
    assert_int_equal(json_integer_value(json_object_get(got, "exit_code")), 0);
    if (!json_equal(json_object_get(got, "stdout"), wanted))
        fail_msg("%s gave %s", with, t->a.result.output->data);
    json_decref(got);
    json_decref(wanted);
    harness_attempt_free(t);
    end(h, &e);
}

static void expect_failure(const char *with, int32_t code, bool retryable, const char *piece)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = with ? harness_attempt(h, "%s", with) : harness_attempt(h, NULL);

    harness_run(&e, t);
    harness_expect_failure(t, code, retryable, piece);
    harness_attempt_free(t);
    end(h, &e);
}

static void test_output_forms(void **state)
{
    (void)state;
    expect("{'argv': ['echo', '{\\\"a\\\": [1, 2]}']}", "{\"a\": [1, 2]}");
    expect("{'argv': ['echo', ' [1]']}", "[1]");
    expect("{'argv': ['echo', '1.10']}", "\"1.10\"");
    expect("{'argv': ['echo', '{no']}", "\"{no\"");
    expect("{'argv': ['printf', 'a\\\\r\\\\n\\\\n']}", "\"a\"");
    expect("{'argv': ['true']}", "\"\"");
    expect("{'argv': ['echo', '1.10'], 'output': 'json'}", "1.10");
    expect("{'argv': ['echo', '[1]'], 'output': 'text'}", "\"[1]\\n\"");
    expect("{'argv': ['printf', '\\\\377\\\\000'], 'output': 'base64'}", "\"/wA=\"");
    expect_failure("{'argv': ['printf', '\\\\377']}", ORCH_E_INVALID_ARGUMENT, false,
                   "stdout of 'printf' is not UTF-8 text");
    expect_failure("{'argv': ['printf', 'a\\\\000b'], 'output': 'text'}", ORCH_E_INVALID_ARGUMENT,
                   false, "not UTF-8 text");
    expect_failure("{'argv': ['echo', 'x'], 'output': 'json'}", ORCH_E_INVALID_ARGUMENT, false,
                   "stdout of 'echo' is not JSON");
}

static void test_stdin(void **state)
{
    (void)state;
    expect("{'argv': ['cat'], 'stdin': 'as it is'}", "\"as it is\"");
    expect("{'argv': ['cat'], 'stdin': {'a': [1, null]}}", "{\"a\": [1, null]}");
    expect("{'argv': ['cat'], 'stdin': 5, 'output': 'json'}", "5");
    expect("{'argv': ['cat'], 'stdin': ''}", "\"\"");
    expect("{'argv': ['cat'], 'stdin': null}", "\"\"");
    expect("{'argv': ['cat']}", "\"\"");
    expect("{'argv': ['cat', '/dev/stdin'], 'stdin': 'by name'}", "\"by name\"");
}

static void test_large_stdin_that_nobody_reads(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    size_t size = 3 << 20;
    char *text = calloc(1, size + 1);
    test_attempt *ignored, *counted;

    (void)state;
    memset(text, 'x', size);
    ignored = harness_attempt_json(h, json_pack("{s:[s],s:s}", "argv", "true", "stdin", text));
    counted = harness_attempt_json(h,
                                   json_pack("{s:[s,s],s:s}", "argv", "wc", "-c", "stdin", text));
    harness_run(&e, ignored);
    json_decref(harness_output(ignored));
    harness_run(&e, counted);
    assert_non_null(strstr(counted->a.result.output->data, "3145728"));
    free(text);
    harness_attempt_free(ignored);
    harness_attempt_free(counted);
    end(h, &e);
}

static void test_arguments_of_other_types(void **state)
{
    (void)state;
    expect("{'argv': ['echo', 1, 2.5, true, '']}", "\"1 2.5 true \"");
}

static void test_exit_codes(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(
        h, "{'argv': ['sh', '-c', 'echo lost; echo \\\"no luck\\\" >&2; exit 3']}");
    json_t *error, *data;

    (void)state;
    harness_run(&e, t);
    harness_expect_failure(t, ORCH_E_UNKNOWN, true, "'sh' ended with exit code 3: no luck");
    error = harness_error(t);
    data = json_object_get(error, "data");
    assert_int_equal(json_integer_value(json_object_get(data, "exit_code")), 3);
    assert_string_equal(json_string_value(json_object_get(data, "stderr")), "no luck\n");
    json_decref(error);
    harness_attempt_free(t);

    t = harness_attempt(h, "{'argv': ['sh', '-c', 'echo why >&2; exit 3'], 'ok_codes': [0, 3]}");
    harness_run(&e, t);
    assert_string_equal(t->a.result.output->data,
                        "{\"exit_code\":3,\"stdout\":\"\",\"stderr\":\"why\\n\"}");
    harness_attempt_free(t);
    end(h, &e);

    expect_failure("{'argv': ['true'], 'ok_codes': [1]}", ORCH_E_UNKNOWN, true, "exit code 0");
    expect_failure("{'argv': ['sh', '-c', 'kill -SEGV $$']}", ORCH_E_UNKNOWN, true,
                   "'sh' was killed by SIGSEGV");
}

static void test_the_tail_of_stderr(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(
        h, "{'argv': ['sh', '-c', 'seq 100000 >&2; printf \\\"\\\\\\\\377end\\\" >&2; exit 1']}");
    json_t *error;
    const char *text;

    (void)state;
    harness_run(&e, t);
    harness_expect_failure(t, ORCH_E_UNKNOWN, true,
                           "\n100000\n\xef\xbf\xbd"
                           "end");
    error = harness_error(t);
    text = json_string_value(json_object_get(json_object_get(error, "data"), "stderr"));
    assert_in_range(strlen(text), 8000, 8200);
    json_decref(error);
    harness_attempt_free(t);
    end(h, &e);
}

/* ---- What it gets ---------------------------------------------------------------------------------- */

static void test_environment(void **state)
{
    (void)state;
    setenv("EXEC_TEST_OLD", "old", 1);
    setenv("EXEC_TEST_GONE", "gone", 1);
    expect("{'argv': ['sh', '-c', 'echo $ORCH_EXECUTION $ORCH_STEP $ORCH_ATTEMPT "
           "$ORCH_IDEMPOTENCY_KEY']}",
           "\"e-1 step-a 2 e-1/1/step-a/7\"");
    expect("{'argv': ['sh', '-c', 'echo $EXEC_TEST_OLD $EXEC_TEST_NEW ${EXEC_TEST_GONE-none}'],"
           " 'env': {'EXEC_TEST_NEW': 5, 'EXEC_TEST_GONE': null}}",
           "\"old 5 none\"");
    expect("{'argv': ['sh', '-c', 'echo $EXEC_TEST_OLD $ORCH_ATTEMPT'],"
           " 'env': {'EXEC_TEST_OLD': 'new', 'ORCH_ATTEMPT': '99'}}",
           "\"new 2\"");
    expect("{'argv': ['/usr/bin/env'], 'clear_env': true, 'env': {'A': 'b'}}",
           "\"A=b\\nORCH_EXECUTION=e-1\\nORCH_STEP=step-a\\nORCH_ATTEMPT=2\\nORCH_IDEMPOTENCY_KEY="
           "e-1/1/step-a/7\"");
    expect("{'argv': ['env', 'true'], 'clear_env': true}", "\"\""); /* found in the usual places */
    expect_failure("{'argv': ['cat'], 'env': {'PATH': '/nowhere:relative:'}}", ORCH_E_NOT_FOUND,
                   false, "no program 'cat' in PATH");
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[5000];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

__attribute__((format(printf, 1, 2))) static char *format(const char *text, ...)
{
    char *out;
    va_list args;

    va_start(args, text);
    assert_true(vasprintf(&out, text, args) >= 0);
    va_end(args);
    return out;
}

static void test_working_folder(void **state)
{
    char *with = format("{'argv': ['./here', 'x'], 'cwd': '%s'}", folder);
    char *file = format("{'argv': ['true'], 'cwd': '%s/here'}", folder);

    (void)state;
    write_file("here", "#!/bin/sh\necho \"[\\\"$1\\\", \\\"$(basename \"$PWD\")\\\"]\"\n", 0755);
    {
        char *wanted = format("[\"x\", \"%s\"]", strrchr(folder, '/') + 1);

        expect(with, wanted);
        free(wanted);
    }
    expect_failure("{'argv': ['true'], 'cwd': '/no/such/folder'}", ORCH_E_NOT_FOUND, false,
                   "with.cwd: '/no/such/folder' does not exist");
    expect_failure(file, ORCH_E_NOT_FOUND, false, "is no folder");
    free(with);
    free(file);
}

static void test_programs_that_cannot_run(void **state)
{
    static const struct {
        const char *name, *text;
        mode_t mode;
        int32_t code;
        const char *piece;
    } files[] = {
        {"plain", "#!/bin/sh\n", 0644, ORCH_E_PERMISSION_DENIED, "may not be executed"},
        {"orphan", "#!/no/such/shell\n", 0755, ORCH_E_NOT_FOUND, "the interpreter that it names"},
        {"noise", "no program\n", 0755, ORCH_E_FAILED_PRECONDITION, "must begin with #!"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *with;
        char path[5000];

        write_file(files[i].name, files[i].text, files[i].mode);
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        with = format("{'argv': ['%s']}", path);
        expect_failure(with, files[i].code, false, files[i].piece);
        free(with);
    }
    expect_failure("{'argv': ['no-such-program-here']}", ORCH_E_NOT_FOUND, false,
                   "no program 'no-such-program-here' in PATH");
    expect_failure("{'argv': ['/no/such/program']}", ORCH_E_NOT_FOUND, false, "'/no/such/program'");
}

/* As after a build that has not closed its output yet: a later attempt may do. */
static void test_a_program_that_is_being_written(void **state)
{
    char path[5000], *with;
    int fd;

    (void)state;
    write_file("unfinished", "#!/bin/sh\n", 0755);
    snprintf(path, sizeof path, "%s/unfinished", folder);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    with = format("{'argv': ['%s']}", path);
    expect_failure(with, ORCH_E_UNAVAILABLE, true, "is being written");
    close(fd);
    expect(with, "\"\"");
    free(with);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* One descriptor more each time, until it runs: what was opened before the one that was missing is closed, a process that was
 * started already is ended, and the step may be tried again. */
static void test_lack_of_descriptors(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    struct rlimit kept, little;
    int before, failures = 0;
    bool ran = false;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &kept), 0);
    before = open_descriptors();
    little = kept;
    for (little.rlim_cur = 3; !ran; little.rlim_cur++) {
        test_attempt *t = harness_attempt(h, "{'argv': ['true'], 'stdin': 'x'}");

        assert_true(little.rlim_cur < (rlim_t)before + 20);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &little), 0);
        harness_run(&e, t);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &kept), 0);
        ran = t->a.result.code == 0;
        if (!ran) {
            harness_expect_failure(t, ORCH_E_RESOURCE_EXHAUSTED, true, "");
            failures++;
        }
        harness_attempt_free(t);
        assert_int_equal(open_descriptors(), before);
    }
    assert_true(failures > 3);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* and no process is left */
    end(h, &e);
}

static void test_wrong_input(void **state)
{
    static const struct {
        const char *with, *piece;
    } cases[] = {
        {NULL, "exec needs `with`, an object"},
        {"{}", "with.argv: exec needs it"},
        {"{'argv': []}", "with.argv: exec needs it"},
        {"{'argv': 'ls'}", "with.argv: exec needs it"},
        {"{'argv': ['']}", "entry 0 must be a string"},
        {"{'argv': ['a', null]}", "entry 1 must be a string"},
        {"{'argv': ['a', ['b']]}", "entry 1 must be a string"},
        {"{'argv': ['a'], 'shell': true}",
         "with.shell: exec has no such key; it knows argv, stdin"},
        {"{'argv': ['a'], 'env': []}", "with.env: it must be an object"},
        {"{'argv': ['a'], 'env': {'A=B': 'x'}}", "\"A=B\" cannot be a variable's name"},
        {"{'argv': ['a'], 'env': {'': 'x'}}", "\"\" cannot be a variable's name"},
        {"{'argv': ['a'], 'env': {'A': {}}}", "with.env: A must be a string"},
        {"{'argv': ['a'], 'clear_env': 1}", "with.clear_env: it must be true or false"},
        {"{'argv': ['a'], 'cwd': 1}", "with.cwd: it must be a string"},
        {"{'argv': ['a'], 'output': 'xml'}",
         "with.output: \"xml\" is not one of auto, json, text, base64"},
        {"{'argv': ['a'], 'ok_codes': [256]}", "with.ok_codes: entry 0"},
        {"{'argv': ['a'], 'max_output_bytes': 0}",
         "with.max_output_bytes: it must be a whole number from 1 to 4194304"},
        {"{'argv': ['a'], 'max_output_bytes': 4194305}", "from 1 to 4194304"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_failure(cases[i].with, ORCH_E_INVALID_ARGUMENT, false, cases[i].piece);
}

static void test_arguments_too_long(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    size_t size = 3 << 20;
    char *text = calloc(1, size + 1);
    test_attempt *t;

    (void)state;
    memset(text, 'x', size);
    t = harness_attempt_json(h, json_pack("{s:[s,s]}", "argv", "true", text));
    free(text);
    harness_run(&e, t);
    harness_expect_failure(t, ORCH_E_INVALID_ARGUMENT, false, "longer than the system allows");
    harness_attempt_free(t);
    end(h, &e);
}

static void test_a_clean_start(void **state)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    sigset_t block, before;
    int stray = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    int high = dup2(stray, 700);

    (void)state;
    sigaction(SIGPIPE, &ignore, &old);
    sigfillset(&block);
    pthread_sigmask(SIG_BLOCK, &block, &before); /* the pool's threads inherit it */
    /* 3 is the shell's own. glibc leaves two signals of its own ignored: 32 and 33. */
    expect("{'argv': ['sh', '-c', 'cd /proc/$$/fd; echo *']}", "\"0 1 2 3\"");
    expect("{'argv': ['grep', '-cE', '^(SigBlk:.0{16}|SigIgn:.0{7}[01][08]0{7})$', "
           "'/proc/self/status']}",
           "\"2\"");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sigaction(SIGPIPE, &old, NULL);
    close(stray);
    close(high);
}

/* ---- Limits ---------------------------------------------------------------------------------------- */

static void test_output_limit(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(h, "{'argv': ['yes']}");

    (void)state;
    expect("{'argv': ['printf', '12345'], 'max_output_bytes': 5}", "\"12345\"");
    expect_failure("{'argv': ['printf', '123456'], 'max_output_bytes': 5}",
                   ORCH_E_RESOURCE_EXHAUSTED, false,
                   "'printf' wrote more than max_output_bytes (5) to stdout");
    harness_run(&e, t);
    harness_expect_failure(t, ORCH_E_RESOURCE_EXHAUSTED, false, "max_output_bytes (4194304)");
    harness_attempt_free(t);
    end(h, &e);
}

static void large_output(bool pool_is_full)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(h, "{'argv': ['seq', 200000]}");
    json_t *output;

    harness_start(&e, t);
    harness_refuse_submissions(h, pool_is_full); /* the one for the result */
    harness_wait(t);
    output = harness_output(t);
    assert_int_equal(json_string_length(json_object_get(output, "stdout")), 1288894);
    json_decref(output);
    harness_attempt_free(t);
    end(h, &e);
}

static void test_large_output(void **state)
{
    (void)state;
    large_output(false);
    large_output(true);
}

static void test_attempts_wait_for_their_turn(void **state)
{
    harness *h = harness_new(2);
    executor e;
    test_attempt *t[20], *stopped;
    char path[5000], line[16];
    FILE *f;

    (void)state;
    harness_env(h)->max_processes = 1;
    e = make(h);
    snprintf(path, sizeof path, "%s/order", folder);
    for (int i = 0; i < 20; i++) {
        t[i] = harness_attempt(h, "{'argv': ['sh', '-c', 'echo %d >>%s'] }", i, path);
        harness_start(&e, t[i]);
    }
    stopped = harness_attempt(h, "{'argv': ['sh', '-c', 'echo never >>%s']}", path);
    harness_start(&e, stopped);
    harness_stop(&e, stopped, ORCH_E_DEADLINE_EXCEEDED);
    harness_wait(stopped);
    harness_expect_failure(stopped, ORCH_E_DEADLINE_EXCEEDED, true, "sh did not end in time");
    assert_int_equal(t[19]->completions, 0);
    for (int i = 0; i < 20; i++)
        harness_wait(t[i]);
    f = fopen(path, "r");
    for (int i = 0; i < 20; i++) {
        assert_non_null(fgets(line, sizeof line, f));
        assert_int_equal(atoi(line), i);
        harness_attempt_free(t[i]);
    }
    assert_null(fgets(line, sizeof line, f));
    fclose(f);
    harness_attempt_free(stopped);
    end(h, &e);
}

static void test_two_hundred_at_once(void **state)
{
    harness *h = harness_new(2);
    executor e = make(h);
    test_attempt *t[200];
    int before;

    (void)state;
    t[0] = harness_attempt(h, "{'argv': ['true']}"); /* libuv opens what it needs */
    harness_run(&e, t[0]);
    harness_attempt_free(t[0]);
    before = harness_open_fds();
    for (int i = 0; i < 200; i++) {
        t[i] = harness_attempt(h, "{'argv': ['echo', %d], 'output': 'json'}", i);
        harness_start(&e, t[i]);
    }
    for (int i = 0; i < 200; i++) {
        json_t *output;

        harness_wait(t[i]);
        output = harness_output(t[i]);
        assert_int_equal(json_integer_value(json_object_get(output, "stdout")), i);
        json_decref(output);
        harness_attempt_free(t[i]);
    }
    assert_int_equal(harness_open_fds(), before);
    end(h, &e);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
}

/* ---- Stops, and what stays behind ------------------------------------------------------------------ */

typedef struct fifo {
    char path[5000];
    int fd;
} fifo;

static fifo open_fifo(void)
{
    fifo f;

    snprintf(f.path, sizeof f.path, "%s/fifo", folder);
    unlink(f.path);
    assert_int_equal(mkfifo(f.path, 0600), 0);
    f.fd = open(f.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(f.fd >= 0);
    return f;
}

static bool has_word(void *ctx)
{
    struct pollfd p = {.fd = ((fifo *)ctx)->fd, .events = POLLIN};

    return poll(&p, 1, 5) == 1 && (p.revents & POLLIN);
}

/* Everything that wrote to the FIFO has ended when its other end is closed. */
static void expect_all_gone(fifo *f)
{
    char room[256];
    struct pollfd p = {.fd = f->fd, .events = POLLIN};

    for (;;) {
        assert_int_equal(poll(&p, 1, HARNESS_PATIENCE_MS), 1);
        if (read(f->fd, room, sizeof room) <= 0 && (p.revents & POLLHUP))
            break;
    }
    close(f->fd);
    unlink(f->path);
}

/* A shell with a child of its own that sleeps; both hold the FIFO open. */
static test_attempt *family(harness *h, const fifo *f, const char *before, const char *after)
{
    return harness_attempt(h,
                           "{'argv': ['sh', '-c', '%s exec 9>\\\"$1\\\"; sleep 1000 & echo started "
                           ">&9; %s', 'sh', '%s']}",
                           before, after, f->path);
}

/* The family is there, and the executor knows it. */
static void wait_for_start(harness *h, fifo *f)
{
    for (int i = 0; !has_word(f); i++) {
        assert_true(i < HARNESS_PATIENCE_MS / 5);
        harness_turn(h);
    }
    while (harness_running_calls(h))
        harness_turn(h);
    harness_turn(h);
}

static void test_nothing_outlives_the_leader(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    fifo f = open_fifo();
    test_attempt *t = family(h, &f, "", "echo out"); /* the sleeper holds stdout open, too */
    json_t *output;

    (void)state;
    harness_run(&e, t);
    output = harness_output(t);
    assert_string_equal(json_string_value(json_object_get(output, "stdout")), "out");
    json_decref(output);
    expect_all_gone(&f);
    harness_attempt_free(t);
    end(h, &e);
}

static void test_stop_ends_the_group(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    fifo f = open_fifo();
    test_attempt *t = family(h, &f, "", "wait");

    (void)state;
    harness_start(&e, t);
    wait_for_start(h, &f);
    harness_stop(&e, t, ORCH_E_CANCELLED);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_CANCELLED, true, "sh was cancelled");
    expect_all_gone(&f);
    harness_stop(&e, t, ORCH_E_CANCELLED); /* after its end: harmless */
    harness_attempt_free(t);
    end(h, &e);
}

static void test_stop_of_one_that_does_not_listen(void **state)
{
    harness *h = harness_new(1);
    executor e;
    fifo f = open_fifo();
    test_attempt *t = family(h, &f, "trap \\\"\\\" TERM;", "wait; wait; sleep 1000");

    (void)state;
    harness_env(h)->stop_grace_ms = 50;
    e = make(h);
    harness_start(&e, t);
    wait_for_start(h, &f);
    harness_stop(&e, t, ORCH_E_DEADLINE_EXCEEDED);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_DEADLINE_EXCEEDED, true, "sh did not end in time");
    expect_all_gone(&f);
    harness_attempt_free(t);
    end(h, &e);
}

static void test_one_that_ends_well_after_its_stop_did_not_succeed(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    fifo f = open_fifo();
    test_attempt *t = family(h, &f, "trap \\\"exit 0\\\" TERM;", "wait");

    (void)state;
    harness_start(&e, t);
    wait_for_start(h, &f);
    harness_stop(&e, t, ORCH_E_CANCELLED);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_CANCELLED, true, "was cancelled");
    expect_all_gone(&f);
    harness_attempt_free(t);
    end(h, &e);
}

static void test_a_stopped_process_can_be_stopped(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    fifo f = open_fifo();
    test_attempt *t = family(h, &f, "", "kill -STOP $$; wait");

    (void)state;
    harness_start(&e, t);
    wait_for_start(h, &f);
    harness_stop(&e, t, ORCH_E_CANCELLED);
    harness_wait(t);
    expect_all_gone(&f);
    harness_attempt_free(t);
    end(h, &e);
}

static void test_the_limit_ends_the_group(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    fifo f = open_fifo();
    test_attempt *t = family(h, &f, "", "yes");

    (void)state;
    harness_run(&e, t);
    harness_expect_failure(t, ORCH_E_RESOURCE_EXHAUSTED, false, "max_output_bytes");
    expect_all_gone(&f);
    harness_attempt_free(t);
    end(h, &e);
}

static void test_one_that_leaves_the_group_does_not_hold_the_step(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(
        h, "{'argv': ['sh', '-c', 'setsid sleep 1000 & echo $!'], 'output': 'json'}");
    json_t *output;
    pid_t pid;

    (void)state;
    harness_run(&e, t);
    output = harness_output(t);
    pid = (pid_t)json_integer_value(json_object_get(output, "stdout"));
    assert_true(pid > 1);
    kill(pid, SIGKILL); /* of our own making; it may be gone before it called setsid */
    json_decref(output);
    harness_attempt_free(t);
    end(h, &e);
}

static void test_stopped_while_it_is_spawned(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(h, "{'argv': ['sleep', '1000']}");

    (void)state;
    harness_hold_pool(h, true);
    harness_start(&e, t);
    harness_stop(&e, t, ORCH_E_CANCELLED);
    harness_hold_pool(h, false);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_CANCELLED, true, "sleep was cancelled");
    harness_attempt_free(t);
    end(h, &e);
}

static void test_freed_in_every_state(void **state)
{
    harness *h = harness_new(1);
    executor e;
    fifo f = open_fifo();
    test_attempt *running = family(h, &f, "trap \\\"\\\" TERM;", "wait; sleep 1000");
    test_attempt *spawning = harness_attempt(h, "{'argv': ['sleep', '1000']}");
    test_attempt *waiting = harness_attempt(h, "{'argv': ['sleep', '1000']}");
    test_attempt *all[3] = {running, spawning, waiting};

    (void)state;
    harness_env(h)->max_processes = 2;
    e = make(h);
    harness_start(&e, running);
    wait_for_start(h, &f);
    harness_hold_pool(h, true);
    harness_start(&e, spawning);
    harness_start(&e, waiting);
    e.ops->free(e.self);
    for (int i = 0; i < 3; i++) {
        harness_wait(all[i]);
        harness_expect_failure(all[i], ORCH_E_CANCELLED, true, "the engine stopped before");
        harness_attempt_free(all[i]);
    }
    harness_hold_pool(h, false);
    harness_free(h); /* what was being spawned is killed on the loop */
    expect_all_gone(&f);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_freed_before_the_pool_began(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(h, "{'argv': ['true']}");

    (void)state;
    harness_hold_pool(h, true);
    harness_start(&e, t);
    harness_stop_pool(h);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_CANCELLED, true,
                           "the engine stopped before 'true' was started");
    harness_attempt_free(t);
    end(h, &e);
}

static void test_a_full_pool(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(h, "{'argv': ['true']}"),
                 *next = harness_attempt(h, "{'argv': ['true']}");

    (void)state;
    harness_refuse_submissions(h, 1);
    harness_run(&e, t);
    harness_expect_failure(t, ORCH_E_RESOURCE_EXHAUSTED, true, "task pool is full");
    harness_run(&e, next);
    json_decref(harness_output(next));
    harness_attempt_free(t);
    harness_attempt_free(next);
    end(h, &e);
}

static void test_a_host_that_ignores_its_children(void **state)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;

    (void)state;
    sigaction(SIGCHLD, &ignore, &old);
    expect_failure("{'argv': ['sh', '-c', 'echo x']}", ORCH_E_UNKNOWN, true, "how is unknown");
    sigaction(SIGCHLD, &old, NULL);
}

static void test_lack_of_memory(void **state)
{
    int32_t rc = 1;
    long n;

    (void)state;
    for (n = 1; rc; n++) {
        harness *h = harness_new(1);
        executor e;
        test_attempt *t = harness_attempt(
            h, "{'argv': ['cat'], 'stdin': {'a': 1}, 'env': {'A': 'b'}}");

        mem_fail_at(n, 1);
        rc = executor_exec_new(harness_env(h), &e, NULL);
        if (!rc) {
            harness_run(&e, t);
            rc = t->a.result.code;
            e.ops->free(e.self);
        }
        mem_fail_at(0, 0);
        if (rc)
            assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED);
        assert_false(t->a.result.no_retry);
        harness_attempt_free(t);
        harness_free(h);
    }
    assert_in_range(n, 10, 500);
}

static int make_folder(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(folder, sizeof folder, "%s/exec-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[5000];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_forms),
        cmocka_unit_test(test_stdin),
        cmocka_unit_test(test_large_stdin_that_nobody_reads),
        cmocka_unit_test(test_arguments_of_other_types),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_the_tail_of_stderr),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_working_folder),
        cmocka_unit_test(test_programs_that_cannot_run),
        cmocka_unit_test(test_a_program_that_is_being_written),
        cmocka_unit_test(test_lack_of_descriptors),
        cmocka_unit_test(test_wrong_input),
        cmocka_unit_test(test_arguments_too_long),
        cmocka_unit_test(test_a_clean_start),
        cmocka_unit_test(test_output_limit),
        cmocka_unit_test(test_large_output),
        cmocka_unit_test(test_attempts_wait_for_their_turn),
        cmocka_unit_test(test_two_hundred_at_once),
        cmocka_unit_test(test_nothing_outlives_the_leader),
        cmocka_unit_test(test_stop_ends_the_group),
        cmocka_unit_test(test_stop_of_one_that_does_not_listen),
        cmocka_unit_test(test_one_that_ends_well_after_its_stop_did_not_succeed),
        cmocka_unit_test(test_a_stopped_process_can_be_stopped),
        cmocka_unit_test(test_the_limit_ends_the_group),
        cmocka_unit_test(test_one_that_leaves_the_group_does_not_hold_the_step),
        cmocka_unit_test(test_stopped_while_it_is_spawned),
        cmocka_unit_test(test_freed_in_every_state),
        cmocka_unit_test(test_freed_before_the_pool_began),
        cmocka_unit_test(test_a_full_pool),
        cmocka_unit_test(test_a_host_that_ignores_its_children),
        cmocka_unit_test(test_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
