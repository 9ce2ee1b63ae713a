/* Goal: many threads at once on one orchestrator, each doing whatever it likes: every start has one end, every callback is made once,
 * nothing is lost, and ThreadSanitizer has nothing to say. */
#include "support/api_host.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define THREADS 8
#define ROUNDS  60

static const char NOOP[] =
    "{'id':'noop','version':'1.0.0','steps':[{'id':'a','executor':'noop'},{'id':'b','executor':'noop',"
    "'depends_on':['a']}]}";
static const char ECHO[] =
    "{'id':'echo','version':'1.0.0','steps':[{'id':'a','executor':'echo','for_each':'${input.items}',"
    "'with':'${item}'}],'output':'${steps.a.output}'}";
static const char NAP[] =
    "{'id':'nap','version':'1.0.0','steps':[{'id':'a','executor':'wait','with':{'duration':'20ms'}}]}";

typedef struct shared {
    orch_v2 *orch;
    latch freed;
    atomic_int started, accepted, ended, refused, unexpected, stopping;
} shared;

static void on_accepted(void *user_data, orch_execution *execution, orch_error *error)
{
    shared *s = user_data;

    if (execution)
        s->accepted++;
    else
        s->refused++;
    orch_error_free(error);
    orch_execution_free(execution);
}

static void on_ended(void *user_data, orch_response *response)
{
    shared *s = user_data;

    s->ended++;
    if (!response && !s->stopping)
        s->unexpected++;
    orch_response_free(response);
}

static void on_freed(void *user_data)
{
    latch_add(&((shared *)user_data)->freed);
}

/* The number of what went wrong, but for what a stop explains. */
static void expect(shared *s, int32_t rc, int32_t also)
{
    bool stopped = rc == ORCH_E_CANCELLED || rc == ORCH_E_FAILED_PRECONDITION;

    if (rc && rc != also && !(stopped && s->stopping))
        s->unexpected++;
}

static void execute_one(shared *s)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_execute_workflow(s->orch, "echo", "{\"items\":[1,2,3]}", 17, NULL, &r,
                                          NULL);

    expect(s, rc, 0);
    if (!rc && strcmp(orch_response_output(r, NULL), "[1,2,3]") != 0)
        s->unexpected++;
    orch_response_free(r);
}

static void start_and_wait(shared *s, int round)
{
    orch_execution *e = NULL, *found = NULL;
    orch_response *r = NULL;
    int32_t rc = orch_v2_start_workflow(s->orch, "nap", NULL, 0, NULL, &e, NULL);

    expect(s, rc, 0);
    if (rc)
        return;
    if (round % 2)
        expect(s, orch_v2_cancel(s->orch, orch_execution_id(e), NULL, NULL),
               ORCH_E_FAILED_PRECONDITION);
    expect(s, orch_v2_find_execution(s->orch, orch_execution_id(e), &found, NULL), 0);
    if (found && round % 3)
        expect(s, orch_execution_wait(found, -1, &r, NULL), 0);
    orch_response_free(r);
    orch_execution_free(found);
    r = NULL;
    expect(s, orch_execution_wait(e, 1, &r, NULL), ORCH_E_DEADLINE_EXCEEDED);
    orch_response_free(r);
    orch_execution_free(e);
}

static void start_async(shared *s)
{
    int32_t rc = orch_v2_start_workflow_async(s->orch, "noop", NULL, 0, NULL, on_accepted, on_ended,
                                              s, on_freed, NULL);

    s->started++; /* free_fn comes in any case */
    expect(s, rc, ORCH_E_RESOURCE_EXHAUSTED);
}

static void look(shared *s)
{
    orch_execution_list *l = NULL;
    orch_history *h = NULL;
    int32_t rc = orch_v2_list_executions(s->orch, NULL, &l, NULL);

    expect(s, rc, 0);
    if (!rc && orch_execution_list_count(l))
        expect(s,
               orch_v2_get_history(s->orch, orch_response_id(orch_execution_list_get(l, 0)), 0, 0,
                                   &h, NULL),
               0);
    orch_history_free(h);
    orch_execution_list_free(l);
}

static void *hammer(void *arg)
{
    shared *s = arg;

    for (int i = 0; i < ROUNDS; i++) {
        execute_one(s);
        start_async(s);
        if (i % 4 == 0)
            start_and_wait(s, i / 4);
        if (i % 8 == 0)
            look(s);
    }
    return NULL;
}

static void open_shared(shared *s, const char *url)
{
    s->orch = host_open(url, NULL);
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(s->orch), "echo", host_echo, NULL,
                                          NULL, &err));
    host_define(s->orch, NOOP);
    host_define(s->orch, ECHO);
    host_define(s->orch, NAP);
}

static void start_threads(shared *s, pthread_t *threads)
{
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, s), 0);
}

static void everything_at_once(void **state)
{
    char room[200];
    const char *url = *state ? host_sqlite(room, sizeof room, "threads.db") : "memory:";
    shared s = {.freed = LATCH_INIT};
    pthread_t threads[THREADS];

    open_shared(&s, url);
    start_threads(&s, threads);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    latch_wait(&s.freed, THREADS * ROUNDS);
    assert_int_equal(s.unexpected, 0);
    assert_int_equal(s.accepted, THREADS * ROUNDS);
    assert_int_equal(s.ended, THREADS * ROUNDS);
    host_close(s.orch);
}

/* The same, stopped in the middle. */
static void stopped_under_load(void **state)
{
    bool dispatching = *state != NULL;
    shared s = {.freed = LATCH_INIT};
    pthread_t threads[THREADS];

    open_shared(&s, "memory:");
    if (dispatching)
        assert_true(orch_v2_fd(s.orch) >= 0);
    start_threads(&s, threads);
    if (dispatching)
        while (latch_count(&s.freed) < THREADS)
            orch_v2_dispatch(s.orch);
    else
        latch_wait(&s.freed, THREADS);
    s.stopping = 1;
    HOST_OK(orch_v2_stop(s.orch, HOST_PATIENCE_MS, &err));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    orch_v2_free(s.orch);
    assert_int_equal(s.unexpected, 0);
    assert_int_equal(s.ended, s.accepted);
    assert_int_equal(latch_count(&s.freed), s.started);
}

/* Pulling threads share the tasks of one executor. */
static void *pull(void *arg)
{
    shared *s = arg;
    orch_task *t = NULL;
    int32_t rc;

    while (!(rc = orch_engine_next_task(orch_v2_local_engine(s->orch), "echo", -1, &t, NULL))) {
        host_echo(NULL, t);
        s->ended++;
    }
    if (rc != ORCH_E_CANCELLED)
        s->unexpected++;
    return NULL;
}

static void many_threads_pull(void **state)
{
    shared s = {.orch = host_open("memory:", NULL), .freed = LATCH_INIT};
    pthread_t threads[4];

    (void)state;
    host_define(s.orch, ECHO);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pull, &s), 0);
    for (int i = 0; i < 50; i++)
        execute_one(&s);
    s.stopping = 1;
    HOST_OK(orch_v2_stop(s.orch, HOST_PATIENCE_MS, &err));
    for (int i = 0; i < 4; i++) /* a thread on its way back for the next task still uses it */
        pthread_join(threads[i], NULL);
    orch_v2_free(s.orch);
    assert_int_equal(s.unexpected, 0);
    assert_int_equal(s.ended, 150);
}

/* Tasks that threads of the host complete while everything is taken down. */
typedef struct late_tasks {
    latch taken, go;
    orch_task *tasks[16];
} late_tasks;

static void take_task(void *user_data, orch_task *task)
{
    late_tasks *l = user_data;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    l->tasks[latch_count(&l->taken)] = task;
    latch_add(&l->taken);
    pthread_mutex_unlock(&lock);
}

static void *complete_all(void *arg)
{
    late_tasks *l = arg;

    latch_pass(&l->go);
    for (int i = 0; i < 16; i++)
        orch_task_complete(l->tasks[i], "1", 1, NULL);
    return NULL;
}

static void tasks_end_while_it_is_freed(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        orch_v2 *o = host_open("memory:", NULL);
        late_tasks l = {.taken = LATCH_INIT, .go = LATCH_INIT};
        pthread_t thread;

        HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "echo", take_task, &l, NULL,
                                              &err));
        host_define(o, ECHO);
        HOST_OK(orch_v2_start_workflow(o, "echo",
                                       "{\"items\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}", 50,
                                       NULL, NULL, &err));
        latch_wait(&l.taken, 16);
        assert_int_equal(pthread_create(&thread, NULL, complete_all, &l), 0);
        latch_open(&l.go);
        orch_v2_free(o);
        pthread_join(thread, NULL);
    }
}

/* Opening and closing, with and without work left behind. */
static void lives_are_short(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        shared s = {.freed = LATCH_INIT, .stopping = 1};

        open_shared(&s, "memory:");
        for (int k = 0; k < i; k++)
            start_async(&s);
        orch_v2_free(s.orch);
        assert_int_equal(latch_count(&s.freed), i);
    }
}

static char yes;

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_at_once), cmocka_unit_test_prestate(everything_at_once, &yes),
        cmocka_unit_test(stopped_under_load), cmocka_unit_test_prestate(stopped_under_load, &yes),
        cmocka_unit_test(many_threads_pull),  cmocka_unit_test(tasks_end_while_it_is_freed),
        cmocka_unit_test(lives_are_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
