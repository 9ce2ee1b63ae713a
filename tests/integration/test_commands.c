/* Goal: a command that is posted is run, however many stand before it and however they fall into turns of the loop. */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/log.h"
#include "runtime/runtime.h"

#define MANY 1500 /* more than a turn takes */

typedef struct gated {
    command base; /* first */
    sem_t entered, leave;
} gated;

static void wait_for(sem_t *s)
{
    while (sem_wait(s))
        ;
}

static void run_gated(command *c, runtime *rt)
{
    gated *g = (gated *)c;

    (void)rt;
    sem_post(&g->entered);
    wait_for(&g->leave);
}

static void gated_init(gated *g)
{
    g->base.run = run_gated;
    sem_init(&g->entered, 0, 0);
    sem_init(&g->leave, 0, 0);
}

static void gated_destroy(gated *g)
{
    sem_destroy(&g->entered);
    sem_destroy(&g->leave);
}

static void run_nothing(command *c, runtime *rt)
{
    (void)c;
    (void)rt;
}

static bool is_posted_within(sem_t *s, int seconds)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    return !sem_timedwait(s, &until);
}

/* The call for `last` comes in a turn that has commands of an earlier look left over. */
static void test_what_comes_behind_a_long_queue_is_run(void **state)
{
    static command many[MANY];
    logger *log = logger_new();
    const local_engine_options local = {.engine = {.name = "test", .capacity = 2},
                                        .max_processes = 1};
    runtime_options o = {.store_url = "memory:",
                         .task_threads = 2,
                         .engine = &local,
                         .owner = "test",
                         .max_commands = 65536,
                         .log = log};
    gated first, second, last;
    runtime *rt;

    (void)state;
    gated_init(&first);
    gated_init(&second);
    gated_init(&last);
    assert_int_equal(runtime_new(&o, &rt, NULL), 0);
    assert_int_equal(runtime_post(rt, &first.base, NULL), 0);
    wait_for(&first.entered);
    assert_int_equal(runtime_post(rt, &second.base, NULL), 0);
    for (int i = 0; i < MANY; i++) {
        many[i].run = run_nothing;
        assert_int_equal(runtime_post(rt, &many[i], NULL), 0);
    }
    sem_post(&first.leave);
    wait_for(&second.entered);
    assert_int_equal(runtime_post(rt, &last.base, NULL), 0);
    sem_post(&second.leave);
    assert_true(is_posted_within(&last.entered, 10));
    sem_post(&last.leave);
    runtime_close(rt);
    runtime_free(rt);
    logger_free(log);
    gated_destroy(&first);
    gated_destroy(&second);
    gated_destroy(&last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_comes_behind_a_long_queue_is_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
