#include "support/example.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define WORDS 12

/* build/…/tests/integration/test_x → build/…/examples/name */
static void find(const char *name, char *out, size_t size)
{
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    assert_true(len > 0);
    self[len] = '\0';
    for (int i = 0; i < 3; i++) {
        char *slash = strrchr(self, '/');

        assert_non_null(slash);
        *slash = '\0';
    }
    assert_true(snprintf(out, size, "%s/examples/%s", self, name) < (int)size);
}

/* jansson looks at a counter plainly before it counts down atomically; a program of its own has to be told by a file. */
static void tell_sanitizer(void)
{
    const char *mode = getenv("TEST_MODE"), *options = getenv("TSAN_OPTIONS");
    char folder[512], path[600], value[1200];
    FILE *f;

    if (!mode || strcmp(mode, "tsan") != 0 || (options && strstr(options, "suppressions=")))
        return;
    example_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/suppressions", folder);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("race_top:json_decref\nrace_top:json_incref\n", f);
    fclose(f);
    snprintf(value, sizeof value, "%s:suppressions=%s", options ? options : "", path);
    setenv("TSAN_OPTIONS", value, 1);
}

void example_start(example *e, const char *name, const char *const *argv)
{
    char *words[WORDS + 2] = {strdup(name)};
    char path[4200];
    int fds[2];

    tell_sanitizer();
    find(name, path, sizeof path);
    for (size_t i = 0; i < WORDS && argv[i]; i++)
        words[i + 1] = strdup(argv[i]);
    assert_int_equal(pipe(fds), 0);
    *e = (example){.pid = fork()};
    assert_true(e->pid >= 0);
    if (!e->pid) {
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        execv(path, words);
        _exit(127);
    }
    for (size_t i = 0; i < WORDS + 2; i++)
        free(words[i]);
    close(fds[1]);
    e->out = fdopen(fds[0], "r");
    assert_non_null(e->out);
}

static bool read_line(example *e)
{
    size_t len = strlen(e->text);

    if (!fgets(e->line, sizeof e->line, e->out))
        return false;
    snprintf(e->text + len, sizeof e->text - len, "%s", e->line);
    return true;
}

bool example_read_until(example *e, const char *text)
{
    while (read_line(e))
        if (strstr(e->line, text))
            return true;
    return false;
}

static int reap(example *e)
{
    int status = 0;

    fclose(e->out);
    assert_int_equal(waitpid(e->pid, &status, 0), e->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void example_kill(example *e)
{
    kill(e->pid, SIGKILL);
    reap(e);
}

int example_end(example *e)
{
    while (read_line(e))
        ;
    return reap(e);
}

void example_folder(char *out, size_t size)
{
    const char *tmp = getenv("TMPDIR");

    assert_true(snprintf(out, size, "%s/example-XXXXXX", tmp && *tmp ? tmp : "/tmp") < (int)size);
    assert_non_null(mkdtemp(out));
}
