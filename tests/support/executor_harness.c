#include "support/executor_harness.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "workflow/checkpoint.h"

#define THREADS_MAX 16

struct harness {
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t watchdog;
    executor_env env;
    mpsc completed, done;
    pthread_t threads[THREADS_MAX];
    int thread_count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    mpsc_node *first, *last; /* queued jobs */
    int refuse, running;
    bool held, stopping;
};

/* ---- The pool -------------------------------------------------------------------------------------- */

static mpsc_node *next_job(harness *h)
{
    mpsc_node *node;

    pthread_mutex_lock(&h->lock);
    while (!h->stopping && (h->held || !h->first))
        pthread_cond_wait(&h->changed, &h->lock);
    node = h->stopping ? NULL : h->first;
    if (node) {
        h->first = node->next;
        h->running++;
    }
    pthread_mutex_unlock(&h->lock);
    return node;
}

static void *pool_thread(void *arg)
{
    harness *h = arg;
    mpsc_node *node;

    while ((node = next_job(h))) {
        work *w = (work *)node;

        w->run(w);
        mpsc_push(&h->done, node);
        uv_async_send(&h->wake);
        pthread_mutex_lock(&h->lock);
        h->running--;
        pthread_mutex_unlock(&h->lock);
    }
    return NULL;
}

static int32_t submit(void *self, work *w)
{
    harness *h = self;

    if (h->refuse) {
        h->refuse--;
        return ORCH_E_RESOURCE_EXHAUSTED;
    }
    w->refused = 0;
    w->node.next = NULL;
    pthread_mutex_lock(&h->lock);
    if (h->first)
        h->last->next = &w->node;
    else
        h->first = &w->node;
    h->last = &w->node;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
    return 0;
}

void harness_refuse_submissions(harness *h, int n)
{
    h->refuse = n;
}

void harness_hold_pool(harness *h, bool hold)
{
    pthread_mutex_lock(&h->lock);
    h->held = hold;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

void harness_stop_pool(harness *h)
{
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    for (int i = 0; i < h->thread_count; i++)
        pthread_join(h->threads[i], NULL);
    h->thread_count = 0;
    for (mpsc_node *n = h->first, *next; n; n = next) {
        next = n->next;
        ((work *)n)->refused = 1;
        mpsc_push(&h->done, n);
    }
    h->first = NULL;
    uv_async_send(&h->wake);
}

int harness_running_calls(harness *h)
{
    int n;

    pthread_mutex_lock(&h->lock);
    n = h->running;
    pthread_mutex_unlock(&h->lock);
    return n;
}

bool harness_has_queued_job(harness *h)
{
    bool has;

    pthread_mutex_lock(&h->lock);
    has = h->first != NULL;
    pthread_mutex_unlock(&h->lock);
    return has;
}

/* ---- The loop -------------------------------------------------------------------------------------- */

static void on_wake(uv_async_t *handle)
{
    harness *h = handle->data;
    mpsc_node *next;

    for (mpsc_node *n = mpsc_drain(&h->done); n; n = next) {
        next = n->next;
        ((work *)n)->done((work *)n);
    }
    for (mpsc_node *n = mpsc_drain(&h->completed); n; n = next) {
        next = n->next;
        ((test_attempt *)n)->completions++;
    }
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened for %d ms", HARNESS_PATIENCE_MS);
}

harness *harness_new(int threads)
{
    harness *h = calloc(1, sizeof *h);

    assert_non_null(h);
    assert_true(threads <= THREADS_MAX);
    uv_loop_init(&h->loop);
    uv_async_init(&h->loop, &h->wake, on_wake);
    uv_timer_init(&h->loop, &h->watchdog);
    h->wake.data = h;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    h->env = (executor_env){.loop = &h->loop, .pool = {h, submit}};
    for (; h->thread_count < threads; h->thread_count++)
        assert_int_equal(pthread_create(&h->threads[h->thread_count], NULL, pool_thread, h), 0);
    return h;
}

executor_env *harness_env(harness *h)
{
    return &h->env;
}

void harness_turn(harness *h)
{
    uv_run(&h->loop, UV_RUN_NOWAIT);
    on_wake(&h->wake);
}

void harness_wait_until(harness *h, bool (*reached)(void *ctx), void *ctx)
{
    uv_timer_start(&h->watchdog, on_watchdog, HARNESS_PATIENCE_MS, 0);
    on_wake(&h->wake);
    while (!reached(ctx))
        uv_run(&h->loop, UV_RUN_ONCE);
    uv_timer_stop(&h->watchdog);
}

void harness_free(harness *h)
{
    int64_t until = clock_monotonic_ns() + (int64_t)HARNESS_PATIENCE_MS * 1000000;

    harness_stop_pool(h);
    on_wake(&h->wake);
    uv_close((uv_handle_t *)&h->wake, NULL);
    uv_close((uv_handle_t *)&h->watchdog, NULL);
    while (uv_run(&h->loop, UV_RUN_NOWAIT))
        if (clock_monotonic_ns() > until)
            fail_msg("handles stay open");
    assert_int_equal(uv_loop_close(&h->loop), 0);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->changed);
    free(h);
}

/* ---- Attempts -------------------------------------------------------------------------------------- */

static void complete(attempt *a)
{
    harness *h = ((test_attempt *)a)->h;

    mpsc_push(&h->completed, &a->node);
    uv_async_send(&h->wake);
}

static void beat(attempt *a)
{
    atomic_fetch_add(&((test_attempt *)a)->beats, 1);
}

test_attempt *harness_attempt_json(harness *h, json_t *with)
{
    test_attempt *t = calloc(1, sizeof *t);

    assert_non_null(t);
    t->h = h;
    snprintf(t->key, sizeof t->key, "e-1/1/step-a/7");
    t->a.execution = "e-1";
    t->a.workflow = "flow";
    t->a.step = "step-a";
    t->a.idempotency_key = t->key;
    t->a.run = 1;
    t->a.index = 7;
    t->a.number = 2;
    t->a.with = with;
    t->a.input = json_pack("{s:i}", "n", 41);
    t->scope = (scope){
        .input = t->a.input, .execution = json_pack("{s:s}", "id", "e-1"), .index = -1};
    t->a.scope = &t->scope;
    t->a.complete = complete;
    t->a.beat = beat;
    return t;
}

test_attempt *harness_attempt(harness *h, const char *with, ...)
{
    json_error_t error;
    json_t *value = NULL;

    if (with) {
        char *text;
        va_list args;

        va_start(args, with);
        assert_true(vasprintf(&text, with, args) >= 0);
        va_end(args);
        for (char *p = text; *p; p++)
            if (*p == '\'')
                *p = '"';
        value = json_loads(text, JSON_DECODE_ANY, &error);
        if (!value)
            fail_msg("%s in %s", error.text, text);
        free(text);
    }
    return harness_attempt_json(h, value);
}

void harness_attempt_free(test_attempt *t)
{
    bytes_unref(t->a.result.output);
    bytes_unref(t->a.result.error);
    bytes_unref(t->a.result.details);
    bytes_unref(t->a.details);
    json_decref(t->a.with);
    json_decref(t->a.input);
    json_decref(t->scope.execution);
    free(t);
}

static bool is_completed(void *ctx)
{
    return ((test_attempt *)ctx)->completions > 0;
}

void harness_start(executor *e, test_attempt *t)
{
    if (e->ops->start(e->self, &t->a))
        t->completions = 1;
}

void harness_stop(executor *e, test_attempt *t, int32_t code)
{
    atomic_store(&t->a.stop, code);
    if (e->ops->stop)
        e->ops->stop(e->self, &t->a);
}

void harness_wait(test_attempt *t)
{
    harness_wait_until(t->h, is_completed, t);
    assert_int_equal(t->completions, 1);
}

void harness_run(executor *e, test_attempt *t)
{
    harness_start(e, t);
    harness_wait(t);
}

static json_t *parse(const bytes *b)
{
    json_error_t error;
    json_t *value = b ? json_loadb(b->data, b->len, JSON_DECODE_ANY, &error) : json_null();

    if (!value)
        fail_msg("%s in %.200s", error.text, b->data);
    return value;
}

json_t *harness_output(test_attempt *t)
{
    if (t->a.result.code)
        fail_msg("failed with %d: %s", t->a.result.code,
                 t->a.result.error ? t->a.result.error->data : "");
    assert_null(t->a.result.error);
    return parse(t->a.result.output);
}

json_t *harness_error(test_attempt *t)
{
    assert_non_null(t->a.result.error);
    return parse(t->a.result.error);
}

void harness_expect_failure(test_attempt *t, int32_t code, bool retryable, const char *piece)
{
    json_t *error;
    const char *message;

    if (t->a.result.code != code)
        fail_msg("code %d instead of %d: %s", t->a.result.code, code,
                 t->a.result.error ? t->a.result.error->data : "");
    assert_null(t->a.result.output);
    assert_int_equal(t->a.result.no_retry, !retryable);
    error = harness_error(t);
    assert_string_equal(json_string_value(json_object_get(error, "code")), orch_code_name(code));
    message = json_string_value(json_object_get(error, "message"));
    if (!message || !strstr(message, piece))
        fail_msg("\"%s\" does not have \"%s\"", message ? message : "(none)", piece);
    json_decref(error);
}

int harness_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 3; /* ".", ".." and the folder itself */
}
