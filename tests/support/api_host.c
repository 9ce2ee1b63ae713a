#include "support/api_host.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
ORCH_API const char *__tsan_default_suppressions(void);

/* jansson looks at a counter plainly before it counts down atomically. */
const char *__tsan_default_suppressions(void)
{
    return "race_top:json_decref\nrace_top:json_incref\n";
}
#endif

void host_check(int32_t rc, orch_error *err, const char *call, const char *file, int line)
{
    if (rc != ORCH_OK || err) {
        print_error("%s:%d: %s: %s: %s\n", file, line, call, orch_code_name(rc),
                    orch_error_message(err));
        orch_error_free(err);
        _fail(file, line);
    }
}

void host_check_failure(int32_t rc, orch_error *err, int32_t code, const char *piece,
                        const char *call, const char *file, int line)
{
    bool good = rc == code && orch_error_code(err) == code &&
                strstr(orch_error_message(err), piece);

    if (!good)
        print_error("%s:%d: %s: %s, \"%s\"; expected %s with \"%s\"\n", file, line, call,
                    orch_code_name(rc), orch_error_message(err), orch_code_name(code), piece);
    orch_error_free(err);
    if (!good)
        _fail(file, line);
}

orch_v2 *host_open(const char *url, ...)
{
    orch_config *config = orch_config_new();
    orch_error *error = NULL;
    orch_v2 *orch;
    const char *key;
    va_list args;

    assert_non_null(config);
    HOST_OK(orch_config_set(config, "STORE_URL", url, &err));
    va_start(args, url);
    while ((key = va_arg(args, const char *))) {
        const char *value = va_arg(args, const char *);

        HOST_OK(orch_config_set(config, key, value, &err));
    }
    va_end(args);
    orch = orch_v2_new(config, &error);
    orch_config_free(config);
    if (!orch)
        print_error("orch_v2_new: %s\n", orch_error_message(error));
    orch_error_free(error);
    assert_non_null(orch);
    return orch;
}

void host_close(orch_v2 *orch)
{
    HOST_OK(orch_v2_stop(orch, HOST_PATIENCE_MS, &err));
    orch_v2_free(orch);
}

void host_define(orch_v2 *orch, const char *text)
{
    char *json = strdup(text);

    assert_non_null(json);
    for (char *p = json; *p; p++)
        if (*p == '\'')
            *p = '"';
    HOST_OK(orch_v2_register_definition(orch, json, strlen(json), &err));
    free(json);
}

const char *host_execute(orch_v2 *orch, const char *workflow, const char *inputs, char *out_output,
                         size_t size)
{
    orch_response *r = NULL;
    int32_t state;

    HOST_OK(orch_v2_execute_workflow(orch, workflow, inputs, inputs ? strlen(inputs) : 0, NULL, &r,
                                     &err));
    state = orch_response_state(r);
    if (out_output)
        snprintf(out_output, size, "%s",
                 state == ORCH_EXECUTION_SUCCEEDED ? orch_response_output(r, NULL)
                                                   : orch_response_error(r, NULL));
    orch_response_free(r);
    return orch_execution_state_name(state);
}

int32_t host_state(orch_v2 *orch, const char *id)
{
    orch_response *r = NULL;
    int32_t state;

    HOST_OK(orch_v2_get_execution(orch, id, &r, &err));
    state = orch_response_state(r);
    orch_response_free(r);
    return state;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void host_await_state(orch_v2 *orch, const char *id, int32_t state)
{
    int64_t until = now_ms() + HOST_PATIENCE_MS;

    while (host_state(orch, id) != state)
        assert_true(now_ms() < until);
}

/* ---- a folder -------------------------------------------------------------------------------------------- */

static char folder[100];

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static pid_t folder_owner;

static void remove_folder(void)
{
    if (getpid() == folder_owner)
        nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *host_sqlite(char *room, size_t size, const char *name)
{
    if (!folder[0]) {
        const char *parent = getenv("TMPDIR");

        snprintf(folder, sizeof folder, "%.60s/orch-api-XXXXXX", parent ? parent : "/tmp");
        assert_non_null(mkdtemp(folder));
        folder_owner = getpid();
        atexit(remove_folder);
    }
    snprintf(room, size, "sqlite:%s/%s", folder, name);
    return room;
}

/* ---- latches --------------------------------------------------------------------------------------------- */

void latch_add(latch *l)
{
    pthread_mutex_lock(&l->lock);
    l->count++;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void latch_wait(latch *l, int count)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HOST_PATIENCE_MS / 1000;
    pthread_mutex_lock(&l->lock);
    while (l->count < count && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&l->changed, &l->lock, &until);
    rc = l->count;
    pthread_mutex_unlock(&l->lock);
    if (rc < count)
        fail_msg("waited for a count of %d, which is %d", count, rc);
}

int latch_count(latch *l)
{
    int count;

    pthread_mutex_lock(&l->lock);
    count = l->count;
    pthread_mutex_unlock(&l->lock);
    return count;
}

void latch_open(latch *l)
{
    pthread_mutex_lock(&l->lock);
    l->open = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void latch_pass(latch *l)
{
    pthread_mutex_lock(&l->lock);
    while (!l->open)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

/* ---- executors ------------------------------------------------------------------------------------------- */

void host_echo(void *user_data, orch_task *task)
{
    size_t len;
    const char *input = orch_task_input(task, &len);

    (void)user_data;
    orch_task_complete(task, input, len, NULL);
}

void host_gate(void *user_data, orch_task *task)
{
    latch *l = user_data;
    bool open = false;

    latch_add(l);
    while (!open && !orch_task_stopping(task)) {
        orch_task_wait_stopping(task, 1);
        pthread_mutex_lock(&l->lock);
        open = l->open;
        pthread_mutex_unlock(&l->lock);
    }
    host_echo(NULL, task);
}
