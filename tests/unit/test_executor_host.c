/* Host callbacks: completed inside the call, later, from other threads, after a stop, after the engine is gone. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/executor_harness.h"

/* What a test's callback shares with the test. */
typedef struct shared {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    orch_task *kept; /* by a callback that returns without completing */
    int calls, frees;
    bool go; /* lets blocked callbacks on */
} shared;

static shared shared_new(void)
{
    return (shared){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
}

static void count_free(void *user_data)
{
    shared *s = user_data;

    pthread_mutex_lock(&s->lock);
    s->frees++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static int frees(shared *s)
{
    int n;

    pthread_mutex_lock(&s->lock);
    n = s->frees;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static orch_task *take_kept(shared *s)
{
    orch_task *t;

    pthread_mutex_lock(&s->lock);
    while (!s->kept)
        pthread_cond_wait(&s->changed, &s->lock);
    t = s->kept;
    s->kept = NULL;
    pthread_mutex_unlock(&s->lock);
    return t;
}

static void keep(void *user_data, orch_task *task)
{
    shared *s = user_data;

    pthread_mutex_lock(&s->lock);
    s->calls++;
    s->kept = task;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void let_go(shared *s)
{
    pthread_mutex_lock(&s->lock);
    s->go = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static executor make(harness *h, orch_task_fn fn, shared *s)
{
    executor e;

    assert_int_equal(executor_host_new(harness_env(h), "mine", fn, s, count_free, &e, NULL), 0);
    return e;
}

static void echo(void *user_data, orch_task *task)
{
    size_t len;
    const char *input = orch_task_input(task, &len);

    (void)user_data;
    assert_int_equal(len, strlen(input));
    assert_string_equal(orch_task_step(task), "step-a");
    assert_string_equal(orch_task_execution(task), "e-1");
    assert_string_equal(orch_task_workflow(task), "flow");
    assert_string_equal(orch_task_idempotency_key(task), "e-1/1/step-a/7");
    assert_int_equal(orch_task_index(task), 7);
    assert_int_equal(orch_task_attempt(task), 2);
    assert_int_equal(orch_task_stopping(task), 0);
    assert_int_equal(orch_task_wait_stopping(task, 1), 0);
    assert_int_equal(orch_task_complete(task, input, len, NULL), 0);
}

static void test_completed_inside_the_call(void **state)
{
    harness *h = harness_new(2);
    shared s = shared_new();
    executor e = make(h, echo, &s);
    test_attempt *t = harness_attempt(h, "{'a': 1}");
    test_attempt *none = harness_attempt(h, NULL);

    (void)state;
    harness_run(&e, t);
    assert_string_equal(t->a.result.output->data, "{\"a\":1}");
    harness_run(&e, none);
    assert_string_equal(none->a.result.output->data, "null");
    e.ops->free(e.self);
    harness_attempt_free(t);
    harness_attempt_free(none);
    harness_free(h);
    assert_int_equal(s.frees, 1);
}

static void test_completed_later_from_another_thread(void **state)
{
    harness *h = harness_new(1);
    shared s = shared_new();
    executor e = make(h, keep, &s);
    test_attempt *t = harness_attempt(h, NULL);
    orch_task *task;

    (void)state;
    harness_start(&e, t);
    task = take_kept(&s);
    harness_turn(h);
    assert_int_equal(t->completions, 0);
    assert_int_equal(orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "no\xff"), 0);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_UNAVAILABLE, true, "no\xef\xbf\xbd");
    e.ops->free(e.self);
    harness_attempt_free(t);
    harness_free(h);
    assert_int_equal(s.frees, 1);
}

static void test_bad_outputs_leave_the_task(void **state)
{
    harness *h = harness_new(1);
    shared s = shared_new();
    executor e;
    test_attempt *t = harness_attempt(h, NULL);
    orch_task *task;
    orch_error *err = NULL;

    (void)state;
    harness_env(h)->max_output_bytes = 10;
    e = make(h, keep, &s);
    harness_start(&e, t);
    task = take_kept(&s);
    assert_int_equal(orch_task_complete(task, "{nope", 5, &err), ORCH_E_INVALID_ARGUMENT);
    assert_non_null(strstr(orch_error_message(err), "not JSON"));
    assert_int_equal(orch_task_complete(task, "\"123456789\"", 11, &err), ORCH_E_INVALID_ARGUMENT);
    assert_string_equal(orch_error_message(err),
                        "the output of step step-a has 11 bytes; 10 are allowed");
    assert_int_equal(orch_task_complete(NULL, "1", 1, &err), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(orch_task_complete(task, "\"12345678\"", 10, &err), 0);
    orch_error_free(err);
    harness_wait(t);
    assert_string_equal(t->a.result.output->data, "\"12345678\"");
    e.ops->free(e.self);
    harness_attempt_free(t);
    harness_free(h);
}

static void test_failures(void **state)
{
    static const struct {
        int32_t code, expected, rc;
    } cases[] = {{ORCH_E_ABORTED, ORCH_E_ABORTED, 0},
                 {0, ORCH_E_UNKNOWN, ORCH_E_INVALID_ARGUMENT},
                 {5, ORCH_E_UNKNOWN, ORCH_E_INVALID_ARGUMENT},
                 {-17, ORCH_E_UNKNOWN, ORCH_E_INVALID_ARGUMENT}};
    harness *h = harness_new(1);
    shared s = shared_new();
    executor e = make(h, keep, &s);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_attempt *t = harness_attempt(h, NULL);

        harness_start(&e, t);
        assert_int_equal(orch_task_fail(take_kept(&s), cases[i].code, 0, NULL), cases[i].rc);
        harness_wait(t);
        harness_expect_failure(t, cases[i].expected, false, orch_code_name(cases[i].expected));
        harness_attempt_free(t);
    }
    assert_int_equal(orch_task_fail(NULL, ORCH_E_ABORTED, 0, NULL), ORCH_E_INVALID_ARGUMENT);
    e.ops->free(e.self);
    harness_free(h);
}

static void test_null_tasks(void **state)
{
    size_t len = 0;

    (void)state;
    assert_string_equal(orch_task_step(NULL), "");
    assert_string_equal(orch_task_execution(NULL), "");
    assert_string_equal(orch_task_workflow(NULL), "");
    assert_string_equal(orch_task_idempotency_key(NULL), "");
    assert_string_equal(orch_task_input(NULL, &len), "null");
    assert_int_equal(len, 4);
    assert_int_equal(orch_task_index(NULL), -1);
    assert_int_equal(orch_task_attempt(NULL), 0);
    assert_int_equal(orch_task_stopping(NULL), 0);
    assert_int_equal(orch_task_wait_stopping(NULL, -1), 0);
}

static void until_stopped(void *user_data, orch_task *task)
{
    int32_t code;

    keep(user_data, task);
    code = orch_task_wait_stopping(task, -1);
    orch_task_fail(task, code, 1, "as told");
}

static void test_a_call_waits_for_its_stop(void **state)
{
    harness *h = harness_new(2);
    shared s = shared_new();
    executor e = make(h, until_stopped, &s);
    test_attempt *t = harness_attempt(h, NULL), *other = harness_attempt(h, NULL);

    (void)state;
    harness_start(&e, t);
    take_kept(&s);
    harness_start(&e, other);
    take_kept(&s);
    harness_stop(&e, t, ORCH_E_DEADLINE_EXCEEDED);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_DEADLINE_EXCEEDED, true, "as told");
    assert_int_equal(other->completions, 0); /* it was not told */
    harness_stop(&e, other, ORCH_E_CANCELLED);
    harness_wait(other);
    harness_stop(&e, other, ORCH_E_CANCELLED); /* after its end: harmless */
    e.ops->free(e.self);
    harness_attempt_free(t);
    harness_attempt_free(other);
    harness_free(h);
}

static void test_stopped_before_the_call_began(void **state)
{
    harness *h = harness_new(1);
    shared s = shared_new();
    executor e = make(h, keep, &s);
    test_attempt *t = harness_attempt(h, NULL);

    (void)state;
    harness_hold_pool(h, true);
    harness_start(&e, t);
    harness_stop(&e, t, ORCH_E_DEADLINE_EXCEEDED);
    harness_hold_pool(h, false);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_DEADLINE_EXCEEDED, true, "before its call began");
    assert_int_equal(s.calls, 0);
    e.ops->free(e.self);
    harness_attempt_free(t);
    harness_free(h);
}

static void test_a_full_pool(void **state)
{
    harness *h = harness_new(1);
    shared s = shared_new();
    executor e = make(h, keep, &s);
    test_attempt *t = harness_attempt(h, NULL);

    (void)state;
    harness_refuse_submissions(h, 1);
    harness_start(&e, t);
    assert_int_equal(t->completions, 1); /* at once */
    harness_expect_failure(t, ORCH_E_RESOURCE_EXHAUSTED, true, "task pool is full");
    e.ops->free(e.self);
    assert_int_equal(s.frees, 1);
    harness_attempt_free(t);
    harness_free(h);
}

static void test_a_pool_that_stops(void **state)
{
    harness *h = harness_new(1);
    shared s = shared_new();
    executor e = make(h, keep, &s);
    test_attempt *t = harness_attempt(h, NULL);

    (void)state;
    harness_hold_pool(h, true);
    harness_start(&e, t);
    harness_stop_pool(h);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_CANCELLED, true, "before its call began");
    e.ops->free(e.self);
    assert_int_equal(s.frees, 1);
    harness_attempt_free(t);
    harness_free(h);
}

static void blocked(void *user_data, orch_task *task)
{
    shared *s = user_data;

    keep(user_data, task);
    pthread_mutex_lock(&s->lock);
    while (!s->go)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    assert_int_equal(orch_task_stopping(task), ORCH_E_CANCELLED);
    assert_string_equal(orch_task_step(task), "step-a"); /* still there */
    assert_string_equal(orch_task_input(task, NULL), "{\"a\":[1]}");
    assert_int_equal(orch_task_complete(task, "1", 1, NULL), 0);
}

static void test_a_stuck_call_outlives_its_executor(void **state)
{
    harness *h = harness_new(1);
    shared s = shared_new();
    executor e = make(h, blocked, &s);
    test_attempt *t = harness_attempt(h, "{'a': [1]}");

    (void)state;
    harness_start(&e, t);
    take_kept(&s);
    e.ops->free(e.self);
    harness_wait(t); /* ended for the engine … */
    harness_expect_failure(t, ORCH_E_CANCELLED, true, "the engine stopped");
    harness_attempt_free(t);        /* … which frees it … */
    assert_int_equal(frees(&s), 0); /* … but the call still uses the host's data */
    let_go(&s);
    harness_free(h);
    assert_int_equal(s.frees, 1);
}

static void test_an_open_task_outlives_its_executor(void **state)
{
    harness *h = harness_new(1);
    shared s = shared_new();
    executor e = make(h, keep, &s);
    test_attempt *t = harness_attempt(h, NULL);
    orch_task *task;

    (void)state;
    harness_start(&e, t);
    task = take_kept(&s);
    harness_stop_pool(h); /* the call has returned */
    e.ops->free(e.self);
    assert_int_equal(s.frees, 1); /* no call runs: an open task does not keep the host's data */
    harness_wait(t);
    harness_attempt_free(t);
    harness_free(h);
    assert_int_equal(orch_task_wait_stopping(task, -1), ORCH_E_CANCELLED);
    assert_int_equal(orch_task_complete(task, NULL, 0, NULL), 0);
}

static void *finish_all(void *arg)
{
    orch_task **tasks = arg;

    for (int i = 0; i < 100; i++)
        assert_int_equal(orch_task_complete(tasks[i], "1", 1, NULL), 0);
    return NULL;
}

typedef struct many {
    pthread_mutex_t lock;
    orch_task *tasks[100];
    int count;
} many;

static void collect(void *user_data, orch_task *task)
{
    many *m = user_data;

    pthread_mutex_lock(&m->lock);
    m->tasks[m->count++] = task;
    pthread_mutex_unlock(&m->lock);
}

/* Completion by one thread races with stops, then with the end of the executor. */
static void race(bool with_free)
{
    harness *h = harness_new(2);
    many m = {.lock = PTHREAD_MUTEX_INITIALIZER};
    test_attempt *t[100];
    pthread_t thread;
    executor e;

    assert_int_equal(executor_host_new(harness_env(h), "mine", collect, &m, NULL, &e, NULL), 0);
    for (int i = 0; i < 100; i++) {
        t[i] = harness_attempt(h, NULL);
        harness_start(&e, t[i]);
    }
    harness_hold_pool(h, false);
    while (harness_turn(h), pthread_mutex_lock(&m.lock), m.count < 100)
        pthread_mutex_unlock(&m.lock);
    pthread_mutex_unlock(&m.lock);
    pthread_create(&thread, NULL, finish_all, m.tasks);
    if (!with_free)
        for (int i = 0; i < 100; i++)
            harness_stop(&e, t[i], ORCH_E_CANCELLED);
    e.ops->free(e.self);
    harness_turn(h);
    for (int i = 0; i < 100; i++) /* whoever did it, nobody is still at it */
        assert_int_equal(t[i]->completions, 1);
    for (int i = 0; i < 100; i++)
        harness_attempt_free(t[i]);
    pthread_join(thread, NULL);
    harness_free(h);
}

static void test_completion_races_with_stop_and_free(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        race(i % 2);
}

static void test_a_forked_child_leaves_tasks_alone(void **state)
{
    harness *h = harness_new(1);
    shared s = shared_new();
    executor e = make(h, keep, &s);
    test_attempt *t = harness_attempt(h, NULL);
    orch_task *task;
    int status;
    pid_t pid;

    (void)state;
    harness_start(&e, t);
    task = take_kept(&s);
    pid = fork();
    if (pid == 0)
        _exit(orch_task_complete(task, NULL, 0, NULL) == ORCH_E_FAILED_PRECONDITION &&
                      orch_task_fail(task, ORCH_E_ABORTED, 0, NULL) == ORCH_E_FAILED_PRECONDITION &&
                      orch_task_wait_stopping(task, -1) == 0
                  ? 0
                  : 1);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(orch_task_complete(task, NULL, 0, NULL), 0);
    harness_wait(t);
    e.ops->free(e.self);
    harness_attempt_free(t);
    harness_free(h);
}

static void test_registration_that_fails_frees_the_data(void **state)
{
    harness *h = harness_new(0);
    shared s = shared_new();
    executor e = {0};
    orch_error *err = NULL;

    (void)state;
    assert_int_equal(executor_host_new(harness_env(h), "mine", NULL, &s, count_free, &e, &err),
                     ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(s.frees, 1);
    for (long n = 1; n <= 2; n++) {
        mem_fail_at(n, 1);
        assert_int_equal(executor_host_new(harness_env(h), "mine", keep, &s, count_free, &e, &err),
                         ORCH_E_RESOURCE_EXHAUSTED);
        mem_fail_at(0, 0);
        assert_int_equal(s.frees, 1 + n);
    }
    assert_null(e.ops);
    orch_error_free(err);
    harness_free(h);
}

static void test_lack_of_memory(void **state)
{
    harness *h = harness_new(0);
    shared s = shared_new();
    executor e = make(h, keep, &s);
    test_attempt *t = harness_attempt(h, "1");
    orch_task *task;
    orch_error *err = NULL;

    (void)state;
    mem_fail_at(1, 1); /* the task */
    harness_start(&e, t);
    mem_fail_at(0, 0);
    assert_int_equal(t->completions, 1);
    assert_int_equal(t->a.result.code, ORCH_E_RESOURCE_EXHAUSTED);
    e.ops->free(e.self);
    harness_attempt_free(t);
    harness_free(h);

    h = harness_new(1);
    s = shared_new();
    e = make(h, keep, &s);
    t = harness_attempt(h, NULL);
    harness_start(&e, t);
    task = take_kept(&s);
    harness_stop_pool(h);
    mem_fail_at(1, 1); /* the output */
    assert_int_equal(orch_task_complete(task, "1", 1, &err), ORCH_E_RESOURCE_EXHAUSTED);
    mem_fail_at(0, 0);
    harness_wait(t);
    assert_int_equal(t->a.result.code, ORCH_E_RESOURCE_EXHAUSTED);
    orch_error_free(err);
    e.ops->free(e.self);
    harness_attempt_free(t);
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completed_inside_the_call),
        cmocka_unit_test(test_completed_later_from_another_thread),
        cmocka_unit_test(test_bad_outputs_leave_the_task),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_null_tasks),
        cmocka_unit_test(test_a_call_waits_for_its_stop),
        cmocka_unit_test(test_stopped_before_the_call_began),
        cmocka_unit_test(test_a_full_pool),
        cmocka_unit_test(test_a_pool_that_stops),
        cmocka_unit_test(test_a_stuck_call_outlives_its_executor),
        cmocka_unit_test(test_an_open_task_outlives_its_executor),
        cmocka_unit_test(test_completion_races_with_stop_and_free),
        cmocka_unit_test(test_a_forked_child_leaves_tasks_alone),
        cmocka_unit_test(test_registration_that_fails_frees_the_data),
        cmocka_unit_test(test_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
