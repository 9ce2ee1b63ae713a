/* Goal: what a host does with a task beside completing it: heartbeats that cost next to nothing, details that reach the next
 * attempt, errors that carry data, and what the task is for. */
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
#include "workflow/run.h"

typedef struct bench {
    harness *h;
    executor e;
    test_attempt *t;
    orch_task *task;
} bench;

static bench bench_new(void)
{
    bench b = {.h = harness_new(0)};

    assert_int_equal(executor_pull_new(harness_env(b.h), "mine", 0, &b.e, NULL), 0);
    b.t = harness_attempt(b.h, NULL);
    return b;
}

static void bench_take(bench *b)
{
    harness_start(&b->e, b->t);
    assert_int_equal(executor_pull_next(&b->e, 0, &b->task, NULL), 0);
}

static void bench_free(bench *b)
{
    b->e.ops->free(b->e.self);
    harness_turn(b->h);
    harness_attempt_free(b->t);
    harness_free(b->h);
}

static void beat(bench *b, const char *details)
{
    assert_int_equal(orch_task_heartbeat(b->task, details, details ? strlen(details) : 0, NULL), 0);
}

/* What the engine does when it looks. */
static void assert_taken(bench *b, const char *details)
{
    bytes *taken = b->e.ops->take_beat(b->e.self, &b->t->a);

    assert_string_equal(taken ? taken->data : "nothing", details);
    bytes_unref(taken);
}

/* ---- heartbeats ------------------------------------------------------------------------------------------ */

static void test_beats_are_gathered(void **state)
{
    bench b = bench_new();

    (void)state;
    bench_take(&b);
    assert_int_equal(atomic_load(&b.t->beats), 0);
    beat(&b, NULL);
    assert_int_equal(atomic_load(&b.t->beats), 1);
    assert_taken(&b, "nothing");
    beat(&b, "{\"at\":1}");
    beat(&b, NULL); /* alive, and as far as before */
    beat(&b, "{\"at\":2}");
    assert_int_equal(atomic_load(&b.t->beats), 2); /* one is on its way */
    assert_taken(&b, "{\"at\":2}");
    beat(&b, NULL);
    assert_int_equal(atomic_load(&b.t->beats), 3);
    assert_taken(&b, "nothing");
    assert_int_equal(orch_task_complete(b.task, NULL, 0, NULL), 0);
    harness_wait(b.t);
    assert_null(b.t->a.result.details);
    bench_free(&b);
}

/* The next attempt shall know them. */
static void test_the_last_details_come_with_the_end(void **state)
{
    bench b = bench_new();

    (void)state;
    bench_take(&b);
    beat(&b, "1");
    assert_taken(&b, "1");
    beat(&b, "2");
    assert_int_equal(orch_task_fail(b.task, ORCH_E_ABORTED, 1, NULL), 0);
    assert_taken(&b, "nothing"); /* the engine looks at the beat only now */
    harness_wait(b.t);
    assert_string_equal(b.t->a.result.details->data, "2");
    bench_free(&b);
}

static void test_details_that_are_none(void **state)
{
    bench b = bench_new();
    orch_error *err = NULL;

    (void)state;
    harness_env(b.h)->max_output_bytes = 10;
    b.e.ops->free(b.e.self);
    assert_int_equal(executor_pull_new(harness_env(b.h), "mine", 0, &b.e, NULL), 0);
    bench_take(&b);
    assert_int_equal(orch_task_heartbeat(b.task, "{nope", 5, &err), ORCH_E_INVALID_ARGUMENT);
    assert_non_null(strstr(orch_error_message(err), "details_json"));
    assert_int_equal(orch_task_heartbeat(b.task, "", 0, &err), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(orch_task_heartbeat(b.task, "\"123456789\"", 11, &err),
                     ORCH_E_INVALID_ARGUMENT);
    assert_string_equal(orch_error_message(err),
                        "the heartbeat text of step step-a has 11 bytes; 10 are allowed");
    assert_int_equal(orch_task_heartbeat(NULL, NULL, 0, &err), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(atomic_load(&b.t->beats), 0);
    mem_fail_at(1, 1);
    assert_int_equal(orch_task_heartbeat(b.task, "1", 1, &err), ORCH_E_RESOURCE_EXHAUSTED);
    mem_fail_at(0, 0);
    assert_int_equal(atomic_load(&b.t->beats), 0);
    orch_error_free(err);
    assert_int_equal(orch_task_complete(b.task, NULL, 0, NULL), 0);
    bench_free(&b);
}

static void test_details_of_the_attempt_before(void **state)
{
    bench b = bench_new();
    size_t len = 77;

    (void)state;
    b.t->a.details = bytes_new("{\"at\":7}", 8);
    bench_take(&b);
    assert_string_equal(orch_task_heartbeat_details(b.task, &len), "{\"at\":7}");
    assert_int_equal(len, 8);
    beat(&b, "{\"at\":8}"); /* its own are for the next one */
    assert_string_equal(orch_task_heartbeat_details(b.task, NULL), "{\"at\":7}");
    assert_int_equal(orch_task_complete(b.task, NULL, 0, NULL), 0);
    harness_wait(b.t);
    harness_attempt_free(b.t);
    b.t = harness_attempt(b.h, NULL);
    bench_take(&b);
    assert_null(orch_task_heartbeat_details(b.task, &len));
    assert_int_equal(len, 0);
    assert_null(orch_task_heartbeat_details(NULL, NULL));
    assert_int_equal(orch_task_complete(b.task, NULL, 0, NULL), 0);
    bench_free(&b);
}

static void test_beats_of_a_task_that_was_taken_back(void **state)
{
    bench b = bench_new();
    orch_task *task;

    (void)state;
    bench_take(&b);
    task = b.task;
    bench_free(&b); /* the engine is gone, and the attempt */
    assert_int_equal(orch_task_heartbeat(task, "1", 1, NULL), 0);
    assert_int_equal(orch_task_heartbeat(task, "2", 1, NULL), 0);
    assert_int_equal(orch_task_stopping(task), ORCH_E_CANCELLED);
    assert_int_equal(orch_task_complete(task, NULL, 0, NULL), 0);
}

static void test_a_forked_child_does_not_beat(void **state)
{
    bench b = bench_new();
    int status;
    pid_t pid;

    (void)state;
    bench_take(&b);
    pid = fork();
    if (pid == 0)
        _exit(orch_task_heartbeat(b.task, "1", 1, NULL) == ORCH_E_FAILED_PRECONDITION &&
                      orch_task_fail_data(b.task, ORCH_E_ABORTED, 0, NULL, "1", 1, NULL) ==
                          ORCH_E_FAILED_PRECONDITION
                  ? 0
                  : 1);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(orch_task_complete(b.task, NULL, 0, NULL), 0);
    bench_free(&b);
}

typedef struct beater {
    orch_task *task;
    atomic_int stop;
    long beats;
} beater;

/* One says how far it is, all the time, for as long as the other looks. */
static void *beat_until_stopped(void *arg)
{
    beater *b = arg;
    char text[24];

    while (!atomic_load(&b->stop)) {
        int len = snprintf(text, sizeof text, "%ld", ++b->beats);

        assert_int_equal(orch_task_heartbeat(b->task, text, (size_t)len, NULL), 0);
    }
    assert_int_equal(orch_task_fail(b->task, ORCH_E_ABORTED, 1, NULL), 0);
    return NULL;
}

static void test_beats_race_with_the_engine(void **state)
{
    bench b = bench_new();
    beater other = {0};
    pthread_t thread;
    long seen = 0;

    (void)state;
    bench_take(&b);
    other.task = b.task;
    pthread_create(&thread, NULL, beat_until_stopped, &other);
    for (int looks = 0; looks < 200;) {
        bytes *taken;
        long at;

        if (atomic_load(&b.t->beats) == looks) /* none is on its way */
            continue;
        looks++;
        taken = b.e.ops->take_beat(b.e.self, &b.t->a);
        at = taken ? strtol(taken->data, NULL, 10) : seen; /* taken by the look before */
        assert_true(at >= seen);
        seen = at;
        bytes_unref(taken);
        assert_true(atomic_load(&b.t->beats) <= looks + 1);
    }
    atomic_store(&other.stop, 1);
    pthread_join(thread, NULL);
    harness_wait(b.t);
    if (b.t->a.result.details) /* else it was taken */
        seen = strtol(b.t->a.result.details->data, NULL, 10);
    assert_int_equal(seen, other.beats); /* nothing newer was lost */
    bench_free(&b);
}

/* ---- errors with data ------------------------------------------------------------------------------------ */

static void test_errors_carry_data(void **state)
{
    bench b = bench_new();
    orch_error *err = NULL;

    (void)state;
    bench_take(&b);
    assert_int_equal(
        orch_task_fail_data(b.task, ORCH_E_ABORTED, 1, "no", "{\"card\":[1, 2]}", 15, &err), 0);
    harness_wait(b.t);
    harness_expect_failure(b.t, ORCH_E_ABORTED, true, "no");
    assert_string_equal(b.t->a.result.error->data,
                        "{\"code\":\"ABORTED\",\"message\":\"no\",\"data\":{\"card\":[1, 2]}}");
    assert_null(err);
    bench_free(&b);
}

static void test_errors_without_data(void **state)
{
    bench b = bench_new();

    (void)state;
    bench_take(&b);
    assert_int_equal(orch_task_fail_data(b.task, ORCH_E_NOT_FOUND, 0, NULL, NULL, 0, NULL), 0);
    harness_wait(b.t);
    harness_expect_failure(b.t, ORCH_E_NOT_FOUND, false, "NOT_FOUND");
    assert_string_equal(b.t->a.result.error->data,
                        "{\"code\":\"NOT_FOUND\",\"message\":\"NOT_FOUND\"}");
    bench_free(&b);
}

static void test_bad_data_leaves_the_task(void **state)
{
    static const int32_t codes[] = {0, 5, -17};
    bench b = bench_new();
    orch_error *err = NULL;

    (void)state;
    bench_take(&b);
    assert_int_equal(orch_task_fail_data(b.task, ORCH_E_ABORTED, 1, "no", "{", 1, &err),
                     ORCH_E_INVALID_ARGUMENT);
    assert_non_null(strstr(orch_error_message(err), "data_json"));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(orch_task_fail_data(b.task, codes[i], 1, "no", "1", 1, &err),
                         ORCH_E_INVALID_ARGUMENT);
        assert_string_equal(orch_error_about(err), "code");
    }
    assert_int_equal(orch_task_fail_data(NULL, ORCH_E_ABORTED, 1, "no", "1", 1, &err),
                     ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(b.t->completions, 0);
    mem_fail_at(1, 1);
    assert_int_equal(orch_task_fail_data(b.task, ORCH_E_ABORTED, 1, "no", "1", 1, &err),
                     ORCH_E_RESOURCE_EXHAUSTED);
    mem_fail_at(0, 0);
    harness_wait(b.t);
    assert_int_equal(b.t->a.result.code, ORCH_E_ABORTED);
    assert_null(b.t->a.result.error);
    orch_error_free(err);
    bench_free(&b);
}

/* ---- what it is for -------------------------------------------------------------------------------------- */

static void test_roles(void **state)
{
    static const struct {
        uint8_t role;
        int32_t expected;
    } rows[] = {{ROLE_STEP, ORCH_TASK_STEP},
                {ROLE_COMPENSATE, ORCH_TASK_COMPENSATION},
                {ROLE_ON_FAILURE, ORCH_TASK_ON_FAILURE}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        bench b = bench_new();

        b.t->a.role = rows[i].role;
        bench_take(&b);
        assert_int_equal(orch_task_role(b.task), rows[i].expected);
        assert_int_equal(orch_task_complete(b.task, NULL, 0, NULL), 0);
        bench_free(&b);
    }
    assert_int_equal(orch_task_role(NULL), ORCH_TASK_STEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beats_are_gathered),
        cmocka_unit_test(test_the_last_details_come_with_the_end),
        cmocka_unit_test(test_details_that_are_none),
        cmocka_unit_test(test_details_of_the_attempt_before),
        cmocka_unit_test(test_beats_of_a_task_that_was_taken_back),
        cmocka_unit_test(test_a_forked_child_does_not_beat),
        cmocka_unit_test(test_beats_race_with_the_engine),
        cmocka_unit_test(test_errors_carry_data),
        cmocka_unit_test(test_errors_without_data),
        cmocka_unit_test(test_bad_data_leaves_the_task),
        cmocka_unit_test(test_roles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
