/* Pulled tasks: a bounded queue, threads that wait, stops while queued, and the end. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/executor_harness.h"

static executor make(harness *h, uint32_t max_queued)
{
    executor e;

    assert_int_equal(executor_pull_new(harness_env(h), "mine", max_queued, &e, NULL), 0);
    return e;
}

static void test_taken_in_order(void **state)
{
    harness *h = harness_new(0);
    executor e = make(h, 0);
    test_attempt *t[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        t[i] = harness_attempt(h, "%d", i);
        harness_start(&e, t[i]);
    }
    for (int i = 0; i < 3; i++) {
        orch_task *task = NULL;
        size_t len;

        assert_int_equal(executor_pull_next(&e, 0, &task, NULL), 0);
        assert_int_equal(atoi(orch_task_input(task, &len)), i);
        assert_int_equal(len, 1);
        assert_int_equal(orch_task_complete(task, "true", 4, NULL), 0);
        harness_wait(t[i]);
        assert_string_equal(t[i]->a.result.output->data, "true");
        harness_attempt_free(t[i]);
    }
    e.ops->free(e.self);
    harness_free(h);
}

static void test_no_task_in_time(void **state)
{
    harness *h = harness_new(0);
    executor e = make(h, 0);
    orch_task *task = (orch_task *)&h;
    orch_error *err = NULL;

    (void)state;
    assert_int_equal(executor_pull_next(&e, 0, &task, &err), ORCH_E_DEADLINE_EXCEEDED);
    assert_int_equal(executor_pull_next(&e, 2, &task, &err), ORCH_E_DEADLINE_EXCEEDED);
    assert_string_equal(orch_error_message(err), "executor mine: no task came within 2 ms");
    assert_ptr_equal(task, &h); /* unchanged */
    orch_error_free(err);
    e.ops->free(e.self);
    harness_free(h);
}

static void test_the_queue_is_bounded(void **state)
{
    harness *h = harness_new(0);
    executor e = make(h, 2);
    test_attempt *t[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        t[i] = harness_attempt(h, NULL);
        harness_start(&e, t[i]);
    }
    assert_int_equal(t[2]->completions, 1);
    harness_expect_failure(t[2], ORCH_E_RESOURCE_EXHAUSTED, true, "executor mine: 2 tasks wait");
    e.ops->free(e.self);
    for (int i = 0; i < 3; i++) {
        harness_wait(t[i]);
        if (i < 2)
            harness_expect_failure(t[i], ORCH_E_CANCELLED, true,
                                   "the engine stopped before the task was taken");
        harness_attempt_free(t[i]);
    }
    harness_free(h);
}

static void test_stopped_in_the_queue(void **state)
{
    harness *h = harness_new(0);
    executor e = make(h, 2);
    test_attempt *t = harness_attempt(h, NULL), *next = harness_attempt(h, NULL);
    orch_task *task = NULL;

    (void)state;
    harness_start(&e, t);
    harness_start(&e, next);
    harness_stop(&e, t, ORCH_E_DEADLINE_EXCEEDED);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_DEADLINE_EXCEEDED, true, "nobody took");
    assert_int_equal(executor_pull_next(&e, 0, &task, NULL), 0);
    assert_int_equal(executor_pull_next(&e, 0, &task, NULL), ORCH_E_DEADLINE_EXCEEDED);
    harness_stop(&e, next, ORCH_E_CANCELLED);
    assert_int_equal(orch_task_wait_stopping(task, -1), ORCH_E_CANCELLED);
    assert_int_equal(orch_task_complete(task, "1", 1, NULL), 0);
    harness_wait(next);
    assert_string_equal(next->a.result.output->data, "1"); /* it succeeded all the same */
    e.ops->free(e.self);
    harness_attempt_free(t);
    harness_attempt_free(next);
    harness_free(h);
}

typedef struct worker {
    pthread_t thread;
    executor *e;
    atomic_int taken, *waiting;
} worker;

static void *work_until_closed(void *arg)
{
    worker *w = arg;
    orch_task *task;
    int32_t rc;

    while ((rc = executor_pull_next(w->e, -1, &task, NULL)) == 0) {
        atomic_fetch_add(&w->taken, 1);
        assert_int_equal(orch_task_complete(task, "1", 1, NULL), 0);
    }
    assert_int_equal(rc, ORCH_E_CANCELLED);
    executor_pull_unref(w->e);
    return NULL;
}

static void test_many_threads_take_and_are_released(void **state)
{
    harness *h = harness_new(0);
    executor e = make(h, 200);
    worker workers[4];
    test_attempt *t[200];
    int taken = 0;

    (void)state;
    for (int i = 0; i < 4; i++) {
        workers[i] = (worker){.e = &e};
        executor_pull_ref(&e);
        pthread_create(&workers[i].thread, NULL, work_until_closed, &workers[i]);
    }
    for (int i = 0; i < 200; i++) {
        t[i] = harness_attempt(h, NULL);
        harness_start(&e, t[i]);
    }
    for (int i = 0; i < 200; i++)
        harness_wait(t[i]);
    e.ops->free(e.self);
    for (int i = 0; i < 4; i++) {
        pthread_join(workers[i].thread, NULL);
        taken += atomic_load(&workers[i].taken);
    }
    assert_int_equal(taken, 200);
    for (int i = 0; i < 200; i++)
        harness_attempt_free(t[i]);
    harness_free(h);
}

static void test_a_taken_task_outlives_the_executor(void **state)
{
    harness *h = harness_new(0);
    executor e = make(h, 0);
    test_attempt *t = harness_attempt(h, "'x'");
    orch_task *task = NULL;

    (void)state;
    harness_start(&e, t);
    assert_int_equal(executor_pull_next(&e, -1, &task, NULL), 0);
    e.ops->free(e.self);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_CANCELLED, true, "the engine stopped");
    harness_attempt_free(t);
    harness_free(h);
    assert_string_equal(orch_task_input(task, NULL), "\"x\"");
    assert_int_equal(orch_task_stopping(task), ORCH_E_CANCELLED);
    assert_int_equal(orch_task_fail(task, ORCH_E_ABORTED, 1, "late"), 0);
}

static void test_lack_of_memory(void **state)
{
    harness *h = harness_new(0);
    executor e;
    test_attempt *t = harness_attempt(h, "'x'");
    orch_task *task = NULL;
    orch_error *err = NULL;

    (void)state;
    for (long n = 1; n <= 3; n++) {
        mem_fail_at(n, 1);
        assert_int_equal(executor_pull_new(harness_env(h), "mine", 0, &e, &err),
                         ORCH_E_RESOURCE_EXHAUSTED);
        mem_fail_at(0, 0);
    }
    e = make(h, 0);
    harness_start(&e, t);
    mem_fail_at(1, 1); /* the input's text */
    assert_int_equal(executor_pull_next(&e, 0, &task, &err), ORCH_E_RESOURCE_EXHAUSTED);
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
        cmocka_unit_test(test_taken_in_order),
        cmocka_unit_test(test_no_task_in_time),
        cmocka_unit_test(test_the_queue_is_bounded),
        cmocka_unit_test(test_stopped_in_the_queue),
        cmocka_unit_test(test_many_threads_take_and_are_released),
        cmocka_unit_test(test_a_taken_task_outlives_the_executor),
        cmocka_unit_test(test_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
