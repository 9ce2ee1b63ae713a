/* What the tests of executors need: a uv loop on the test's thread, a task pool of real threads, and attempts whose
 * completion comes back through a queue, as in an engine. */
#ifndef TESTS_SUPPORT_EXECUTOR_HARNESS_H
#define TESTS_SUPPORT_EXECUTOR_HARNESS_H

#include "executor/executor.h"
#include "workflow/scope.h"

typedef struct harness harness;

typedef struct test_attempt {
    attempt a; /* first */
    harness *h;
    scope scope;
    char key[64];
    int completions;  /* seen by the loop */
    atomic_int beats; /* from any thread; none is taken by itself */
} test_attempt;

/* Every wait ends the test program after this long. */
#define HARNESS_PATIENCE_MS 30000

harness *harness_new(int threads);
void harness_free(
    harness *h); /* runs the loop until all handles are closed; fails the test if they do not */
executor_env *harness_env(harness *h);
/* The next n submissions fail as if the queue were full. */
void harness_refuse_submissions(harness *h, int n);
/* Jobs wait in the queue until it is released. */
void harness_hold_pool(harness *h, bool hold);
/* Jobs that no thread has begun come back refused. */
void harness_stop_pool(harness *h);

/* An attempt with `with` from JSON text, single quotes for double ones; NULL = none. Format as printf. */
test_attempt *harness_attempt(harness *h, const char *with, ...)
    __attribute__((format(printf, 2, 3)));
test_attempt *harness_attempt_json(harness *h, json_t *with); /* takes the reference */
void harness_attempt_free(test_attempt *t);

void harness_start(executor *e, test_attempt *t);
void harness_stop(executor *e, test_attempt *t, int32_t code); /* sets stop, then tells */
void harness_wait(test_attempt *t);                            /* until it is completed */
void harness_run(executor *e, test_attempt *t);                /* start and wait */
void harness_wait_until(harness *h, bool (*reached)(void *ctx), void *ctx);
void harness_turn(harness *h);         /* one turn of the loop, not waiting */
int harness_running_calls(harness *h); /* of jobs whose end the next turn does not know of */
bool harness_has_queued_job(harness *h);

/* Of a completed attempt. */
json_t *harness_output(
    test_attempt *t); /* new reference; NULL bytes read as null. Fails if it failed */
/* Fails unless the attempt failed with the code and retryability, and the message has the piece in it. */
void harness_expect_failure(test_attempt *t, int32_t code, bool retryable, const char *piece);
json_t *harness_error(test_attempt *t); /* new reference */
int harness_open_fds(void);

#endif
