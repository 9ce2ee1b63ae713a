/* Goal: stopping, freeing and forking at awkward moments, and calls from inside callbacks: each works or answers an error, nothing
 * hangs, every callback and every free function is called exactly once. */
#include "support/api_host.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char GATED[] =
    "{'id':'gated','version':'1.0.0','steps':[{'id':'stuck-step','executor':'gate'}]}";
static const char NOOP[] = "{'id':'noop','version':'1.0.0','steps':[{'id':'a','executor':'noop'}]}";
static const char INSIDE[] =
    "{'id':'inside','version':'1.0.0','steps':[{'id':'a','executor':'inside'}]}";
static const char SLEEPER[] =
    "{'id':'sleeper','version':'1.0.0','steps':[{'id':'s','executor':'wait','with':{'duration':'1h'}}]}";

typedef struct counts {
    latch events;
    atomic_int ended, cancelled, freed;
} counts;

static void on_ended(void *user_data, orch_response *response)
{
    counts *c = user_data;

    if (response)
        c->ended++;
    else
        c->cancelled++;
    orch_response_free(response);
    latch_add(&c->events);
}

static void on_freed(void *user_data)
{
    counts *c = user_data;

    c->freed++;
    latch_add(&c->events);
}

static void register_gate(orch_v2 *o, orch_task_fn fn, void *user_data, orch_free_fn free_fn)
{
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "gate", fn, user_data, free_fn,
                                          &err));
}

/* ---- stop ------------------------------------------------------------------------------------------------ */

typedef struct stuck { /* an executor that takes no hint */
    latch entered, release;
    atomic_int freed;
} stuck;

static void get_stuck(void *user_data, orch_task *task)
{
    stuck *s = user_data;

    latch_add(&s->entered);
    latch_pass(&s->release);
    orch_task_complete(task, NULL, 0, NULL);
}

static void stuck_freed(void *user_data)
{
    ((stuck *)user_data)->freed++;
}

static void a_stuck_executor_is_named(void **state)
{
    stuck s = {.entered = LATCH_INIT, .release = LATCH_INIT};
    orch_v2 *o = host_open("memory:", NULL);

    (void)state;
    register_gate(o, get_stuck, &s, stuck_freed);
    host_define(o, GATED);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, NULL, &err));
    latch_wait(&s.entered, 1);
    HOST_FAILS(orch_v2_stop(o, 10, &err), ORCH_E_DEADLINE_EXCEEDED, "stuck-step");
    HOST_FAILS(orch_v2_stop(o, 0, &err), ORCH_E_DEADLINE_EXCEEDED, "stuck-step");
    HOST_FAILS(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, NULL, &err),
               ORCH_E_FAILED_PRECONDITION, "stopped");
    assert_int_equal(s.freed, 0);
    latch_open(&s.release);
    HOST_OK(orch_v2_stop(o, HOST_PATIENCE_MS, &err));
    HOST_OK(orch_v2_stop(o, 0, &err));
    assert_int_equal(s.freed, 1);
    orch_v2_free(o);
}

static void *free_it(void *arg)
{
    orch_v2_free(arg);
    return NULL;
}

static void free_waits_for_a_stuck_executor(void **state)
{
    stuck s = {.entered = LATCH_INIT, .release = LATCH_INIT};
    orch_v2 *o = host_open("memory:", NULL);
    pthread_t thread;

    (void)state;
    register_gate(o, get_stuck, &s, stuck_freed);
    host_define(o, GATED);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, NULL, &err));
    latch_wait(&s.entered, 1);
    HOST_FAILS(orch_v2_stop(o, 0, &err), ORCH_E_DEADLINE_EXCEEDED, "stuck-step");
    assert_int_equal(pthread_create(&thread, NULL, free_it, o), 0);
    latch_open(&s.release);
    pthread_join(thread, NULL);
    assert_int_equal(s.freed, 1);
}

static void running_steps_are_told_to_stop(void **state)
{
    latch gate = LATCH_INIT;
    orch_v2 *o = host_open("memory:", NULL);

    (void)state;
    register_gate(o, host_gate, &gate, NULL);
    host_define(o, GATED);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, NULL, &err));
    latch_wait(&gate, 1);
    HOST_OK(orch_v2_stop(o, HOST_PATIENCE_MS, &err));
    orch_v2_free(o);
}

typedef struct waiting {
    orch_v2 *orch;
    orch_execution *execution;
    latch *about;
    int32_t code;
} waiting;

static void *wait_for_handle(void *arg)
{
    waiting *w = arg;
    orch_response *r = NULL;

    latch_add(w->about);
    w->code = orch_execution_wait(w->execution, -1, &r, NULL);
    return NULL;
}

static void *execute_and_wait(void *arg)
{
    waiting *w = arg;
    orch_response *r = NULL;

    latch_add(w->about);
    w->code = orch_v2_execute_workflow(w->orch, "gated", NULL, 0, NULL, &r, NULL);
    return NULL;
}

static void *pull_and_wait(void *arg)
{
    waiting *w = arg;
    orch_task *t = NULL;

    latch_add(w->about);
    w->code = orch_engine_next_task(orch_v2_local_engine(w->orch), "pulled", -1, &t, NULL);
    return NULL;
}

/* Threads that are told so may return after everything is gone. */
static void waiters_are_cancelled(void **state)
{
    void *(*const mains[])(void *) = {wait_for_handle, execute_and_wait, pull_and_wait,
                                      wait_for_handle};
    latch gate = LATCH_INIT, about = LATCH_INIT;
    orch_v2 *o = host_open("memory:", "SUSPEND_AFTER", "1ms", NULL);
    orch_execution *running = NULL, *asleep = NULL;
    waiting w[4];
    pthread_t threads[4];

    (void)state;
    register_gate(o, host_gate, &gate, NULL);
    host_define(o, GATED);
    host_define(o, SLEEPER);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &running, &err));
    HOST_OK(orch_v2_start_workflow(o, "sleeper", NULL, 0, NULL, &asleep, &err));
    host_await_state(o, orch_execution_id(asleep), ORCH_EXECUTION_SUSPENDED);
    for (int i = 0; i < 4; i++) {
        w[i] = (waiting){o, i == 3 ? asleep : running, &about, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, mains[i], &w[i]), 0);
    }
    latch_wait(&about, 4);
    latch_wait(&gate, 2);
    {
        orch_task *t = NULL; /* the pulling thread has registered its executor */
        int32_t rc = orch_engine_next_task(orch_v2_local_engine(o), "pulled", 0, &t, NULL);

        assert_int_equal(rc, ORCH_E_DEADLINE_EXCEEDED);
    }
    HOST_OK(orch_v2_stop(o, HOST_PATIENCE_MS, &err));
    orch_v2_free(o);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(w[i].code, ORCH_E_CANCELLED);
    }
    orch_execution_free(running);
    orch_execution_free(asleep);
}

static void callbacks_are_made_at_the_latest_when_it_is_freed(void **state)
{
    bool dispatching = *state != NULL;
    latch gate = LATCH_INIT;
    counts c = {.events = LATCH_INIT};
    orch_v2 *o = host_open("memory:", "SUSPEND_AFTER", "1ms", NULL);
    orch_execution *asleep = NULL;

    if (dispatching)
        assert_true(orch_v2_fd(o) >= 0);
    register_gate(o, host_gate, &gate, NULL);
    host_define(o, GATED);
    host_define(o, SLEEPER);
    for (int i = 0; i < 10; i++)
        HOST_OK(orch_v2_start_workflow_async(o, "gated", NULL, 0, NULL, NULL, on_ended, &c,
                                             on_freed, &err));
    latch_wait(&gate, 1);
    HOST_OK(orch_v2_start_workflow(o, "sleeper", NULL, 0, NULL, &asleep, &err));
    HOST_OK(orch_execution_on_end(asleep, on_ended, &c, on_freed, &err));
    orch_execution_free(asleep);
    HOST_OK(orch_v2_stop(o, HOST_PATIENCE_MS, &err));
    if (!dispatching)
        latch_wait(&c.events, 22);
    orch_v2_free(o);
    assert_int_equal(c.ended, 0);
    assert_int_equal(c.cancelled, 11);
    assert_int_equal(c.freed, 11);
}

static void after_stop_what_is_stored_can_be_read(void **state)
{
    orch_v2 *o = host_open("memory:", NULL);
    orch_execution *e = NULL, *found = NULL;
    orch_response *r = NULL;
    orch_task *t = NULL;
    counts c = {.events = LATCH_INIT};

    (void)state;
    host_define(o, NOOP);
    host_define(o, GATED);
    HOST_OK(orch_v2_start_workflow(o, "noop", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    orch_response_free(r);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &found, &err));
    orch_execution_free(e);
    HOST_OK(orch_v2_stop(o, HOST_PATIENCE_MS, &err));
    assert_int_equal(host_state(o, orch_execution_id(found)), ORCH_EXECUTION_PENDING);
    orch_execution_free(found);
    HOST_FAILS(orch_v2_execute_workflow(o, "noop", NULL, 0, NULL, &r, &err),
               ORCH_E_FAILED_PRECONDITION, "stopped");
    HOST_FAILS(orch_v2_cancel(o, "x", NULL, &err), ORCH_E_FAILED_PRECONDITION, "stopped");
    HOST_FAILS(orch_v2_backup(o, "x", &err), ORCH_E_FAILED_PRECONDITION, "stopped");
    HOST_FAILS(orch_engine_next_task(orch_v2_local_engine(o), "p", 0, &t, &err), ORCH_E_CANCELLED,
               "stopped");
    HOST_FAILS(
        orch_engine_register_executor(orch_v2_local_engine(o), "p", host_echo, &c, on_freed, &err),
        ORCH_E_FAILED_PRECONDITION, "stopped");
    HOST_FAILS(
        orch_v2_start_workflow_async(o, "noop", NULL, 0, NULL, NULL, on_ended, &c, on_freed, &err),
        ORCH_E_FAILED_PRECONDITION, "stopped");
    assert_int_equal(c.freed, 2);
    assert_int_equal(orch_v2_dispatch(o), 0);
    orch_v2_free(o);
}

/* ---- handles and tasks that outlive it ------------------------------------------------------------------- */

static void handles_outlive_the_orchestrator(void **state)
{
    orch_v2 *o = host_open("memory:", NULL);
    orch_execution *ended = NULL, *open = NULL;
    orch_response *r = NULL;
    counts c = {.events = LATCH_INIT};

    (void)state;
    host_define(o, NOOP);
    host_define(o, GATED); /* nobody registers the executor */
    HOST_OK(orch_v2_start_workflow(o, "noop", NULL, 0, NULL, &ended, &err));
    HOST_OK(orch_execution_wait(ended, HOST_PATIENCE_MS, &r, &err));
    orch_response_free(r);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &open, &err));
    orch_v2_free(o); /* stops it */
    HOST_OK(orch_execution_wait(ended, -1, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    orch_response_free(r);
    HOST_FAILS(orch_execution_wait(open, -1, &r, &err), ORCH_E_CANCELLED, orch_execution_id(open));
    HOST_FAILS(orch_execution_on_end(ended, on_ended, &c, on_freed, &err),
               ORCH_E_FAILED_PRECONDITION, "freed");
    assert_int_equal(c.freed, 1);
    assert_int_equal(c.ended + c.cancelled, 0);
    orch_execution_free(ended);
    orch_execution_free(open);
}

typedef struct keeper { /* leaves its task open */
    latch has;
    orch_task *task;
} keeper;

static void keep_task(void *user_data, orch_task *task)
{
    keeper *k = user_data;

    k->task = task;
    latch_add(&k->has);
}

static void tasks_outlive_the_orchestrator(void **state)
{
    keeper kept = {.has = LATCH_INIT};
    orch_task *pulled = NULL;
    orch_v2 *o = host_open("memory:", NULL);

    (void)state;
    register_gate(o, keep_task, &kept, NULL);
    host_define(o, GATED);
    host_define(o, INSIDE);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, NULL, &err));
    HOST_OK(orch_v2_start_workflow(o, "inside", NULL, 0, NULL, NULL, &err));
    HOST_OK(
        orch_engine_next_task(orch_v2_local_engine(o), "inside", HOST_PATIENCE_MS, &pulled, &err));
    latch_wait(&kept.has, 1);
    HOST_FAILS(orch_v2_stop(o, 10, &err), ORCH_E_DEADLINE_EXCEEDED, "still running");
    orch_v2_free(o);
    assert_int_equal(orch_task_stopping(kept.task), ORCH_E_CANCELLED);
    HOST_OK(orch_task_complete(kept.task, "1", 1, &err));
    assert_string_equal(orch_task_step(pulled), "a");
    assert_int_equal(orch_task_fail(pulled, ORCH_E_INTERNAL, 0, "too late"), 0);
}

static void a_freed_handle_frees_nothing_else(void **state)
{
    latch gate = LATCH_INIT;
    counts c = {.events = LATCH_INIT};
    orch_v2 *o = host_open("memory:", NULL);
    orch_execution *e = NULL, *other = NULL;
    orch_response *r = NULL;

    (void)state;
    register_gate(o, host_gate, &gate, NULL);
    host_define(o, GATED);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_v2_find_execution(o, orch_execution_id(e), &other, &err));
    orch_execution_free(other);
    HOST_OK(orch_v2_find_execution(o, orch_execution_id(e), &other, &err));
    HOST_OK(orch_execution_on_end(e, on_ended, &c, on_freed, &err));
    orch_execution_free(e);
    latch_open(&gate);
    HOST_OK(orch_execution_wait(other, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    latch_wait(&c.events, 2);
    assert_int_equal(c.ended, 1);
    orch_response_free(r);
    orch_execution_free(other);
    host_close(o);
}

/* ---- a forked child -------------------------------------------------------------------------------------- */

typedef struct parent {
    orch_v2 *orch;
    orch_execution *execution;
    orch_task *task;
} parent;

#define REFUSED(call)                             \
    do {                                          \
        if ((call) != ORCH_E_FAILED_PRECONDITION) \
            return __LINE__ & 127;                \
    } while (0)

static int child_main(const parent *p)
{
    orch_engine *engine = orch_v2_local_engine(p->orch);
    orch_execution_list *l = NULL;
    orch_execution *e = NULL;
    orch_progress *progress = NULL;
    orch_history *h = NULL;
    orch_response *r = NULL;
    orch_task *t = NULL;
    counts c = {.events = LATCH_INIT};

    REFUSED(orch_v2_register_definition(p->orch, "{}", 2, NULL));
    REFUSED(orch_v2_register_workflow(p->orch, "w", "1.0.0", NULL, &c, on_freed, NULL, 0, NULL));
    REFUSED(orch_v2_execute_workflow(p->orch, "noop", NULL, 0, NULL, &r, NULL));
    REFUSED(orch_v2_start_workflow(p->orch, "noop", NULL, 0, NULL, &e, NULL));
    REFUSED(orch_v2_start_workflow_async(p->orch, "noop", NULL, 0, NULL, NULL, on_ended, &c,
                                         on_freed, NULL));
    REFUSED(orch_launcher_start(orch_v2_launcher(p->orch), "noop", NULL, 0, NULL, &e, NULL));
    REFUSED(orch_v2_get_execution(p->orch, "x", &r, NULL));
    REFUSED(orch_v2_find_execution(p->orch, "x", &e, NULL));
    REFUSED(orch_v2_list_executions(p->orch, NULL, &l, NULL));
    REFUSED(orch_v2_get_history(p->orch, "x", 0, 0, &h, NULL));
    REFUSED(orch_v2_get_progress(p->orch, "x", &progress, NULL));
    REFUSED(orch_v2_cancel(p->orch, "x", NULL, NULL));
    REFUSED(orch_v2_backup(p->orch, "x", NULL));
    REFUSED(orch_v2_fd(p->orch));
    REFUSED(orch_v2_dispatch(p->orch));
    REFUSED(orch_v2_set_log(p->orch, NULL, &c, on_freed, ORCH_LOG_INFO));
    REFUSED(orch_v2_stop(p->orch, 100, NULL));
    REFUSED(orch_engine_register_executor(engine, "x", host_echo, &c, on_freed, NULL));
    REFUSED(orch_engine_set_secrets(engine, NULL, &c, on_freed, NULL));
    REFUSED(orch_engine_next_task(engine, "x", -1, &t, NULL));
    REFUSED(orch_execution_wait(p->execution, -1, &r, NULL));
    REFUSED(orch_execution_on_end(p->execution, on_ended, &c, on_freed, NULL));
    REFUSED(orch_task_complete(p->task, NULL, 0, NULL));
    REFUSED(orch_task_fail(p->task, ORCH_E_INTERNAL, 0, NULL));
    if (c.freed != 6 || c.ended || c.cancelled)
        return 126;
    orch_execution_free(p->execution);
    orch_v2_free(p->orch);
    return 0;
}

static void a_forked_child_is_refused(void **state)
{
    char room[200];
    parent p = {.orch = host_open(host_sqlite(room, sizeof room, "fork.db"), NULL)};
    orch_response *r = NULL;
    int status = 0;
    pid_t pid;

    (void)state;
    host_define(p.orch, GATED);
    HOST_OK(orch_v2_start_workflow(p.orch, "gated", NULL, 0, NULL, &p.execution, &err));
    HOST_OK(orch_engine_next_task(orch_v2_local_engine(p.orch), "gate", HOST_PATIENCE_MS, &p.task,
                                  &err));
    pid = fork();
    if (pid == 0)
        _exit(child_main(&p));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        fail_msg("the child ended with status %x (line %d mod 128)", status, WEXITSTATUS(status));
    HOST_OK(orch_task_complete(p.task, "1", 1, &err)); /* the parent has noticed nothing */
    HOST_OK(orch_execution_wait(p.execution, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    orch_response_free(r);
    orch_execution_free(p.execution);
    host_close(p.orch);
}

/* Not under a sanitizer: the one cannot start threads in a forked child, the other may have forked while another thread
 * held a lock of its allocator, which then stays locked in the child. */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
/* A child that goes on by itself can have an orchestrator of its own. */
static void a_forked_child_may_open_its_own(void **state)
{
    orch_v2 *o = host_open("memory:", NULL);
    int status = 0;
    pid_t pid;

    (void)state;
    host_define(o, NOOP);
    pid = fork();
    if (pid == 0) {
        orch_v2 *own;

        orch_v2_free(o);
        own = host_open("memory:", NULL);
        host_define(own, NOOP);
        status = strcmp(host_execute(own, "noop", NULL, NULL, 0), "succeeded") != 0;
        host_close(own);
        _exit(status);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    host_close(o);
}
#endif

/* ---- calls from inside callbacks ------------------------------------------------------------------------- */

typedef struct inside {
    orch_v2 *orch;
    latch done;
    int32_t executed, started, async, cancelled, got, registered, stopped, waited, dispatched;
    int32_t defined;
    orch_execution *gated; /* has not ended */
} inside;

static void call_everything(inside *i)
{
    orch_v2 *o = i->orch;
    orch_response *r = NULL;
    orch_execution *e = NULL;

    i->executed = orch_v2_execute_workflow(o, "noop", NULL, 0, NULL, &r, NULL);
    orch_response_free(r);
    r = NULL;
    i->started = orch_v2_start_workflow(o, "noop", NULL, 0, NULL, &e, NULL);
    orch_execution_free(e);
    i->async = orch_v2_start_workflow_async(o, "noop", NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL);
    i->cancelled = orch_v2_cancel(o, "never-was", NULL, NULL);
    i->got = orch_v2_get_execution(o, orch_execution_id(i->gated), &r, NULL);
    orch_response_free(r);
    r = NULL;
    i->registered = orch_engine_register_executor(orch_v2_local_engine(o), "another", host_echo,
                                                  NULL, NULL, NULL);
    i->defined = orch_v2_register_definition(
        o, "{\"id\":\"i\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"noop\"}]}",
        67, NULL);
    i->stopped = orch_v2_stop(o, 1000, NULL);
    i->waited = orch_execution_wait(i->gated, 1, &r, NULL);
    i->dispatched = orch_v2_dispatch(o);
    orch_v2_free(o); /* refused, without a word but in the log */
}

static void call_from_executor(void *user_data, orch_task *task)
{
    inside *i = user_data;

    call_everything(i);
    orch_task_complete(task, NULL, 0, NULL);
    latch_add(&i->done);
}

static void call_from_callback(void *user_data, orch_response *response)
{
    inside *i = user_data;

    orch_response_free(response);
    call_everything(i);
    latch_add(&i->done);
}

static void call_from_log(void *user_data, int32_t level, const char *message)
{
    inside *i = user_data;

    (void)level;
    if (!strstr(message, "no executor 'inside'") || latch_count(&i->done))
        return;
    call_everything(i);
    latch_add(&i->done);
}

static void open_inside(inside *i, keeper *gate, const char *threads)
{
    i->orch = host_open("memory:", "TASK_THREADS", threads, NULL);
    register_gate(i->orch, keep_task, gate, NULL);
    host_define(i->orch, NOOP);
    host_define(i->orch, GATED);
    host_define(i->orch, INSIDE);
}

static void expect_works(const inside *i)
{
    assert_int_equal(i->executed, 0);
    assert_int_equal(i->started, 0);
    assert_int_equal(i->async, 0);
    assert_int_equal(i->cancelled, ORCH_E_NOT_FOUND);
    assert_int_equal(i->got, 0);
    assert_int_equal(i->registered, 0);
    assert_int_equal(i->defined, 0);
    assert_int_equal(i->stopped, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i->waited, ORCH_E_DEADLINE_EXCEEDED);
    assert_true(i->dispatched >= 0);
}

static void end_inside(inside *i, keeper *gate)
{
    orch_response *r = NULL;

    HOST_OK(orch_task_complete(gate->task, NULL, 0, &err));
    HOST_OK(orch_execution_wait(i->gated, HOST_PATIENCE_MS, &r, &err));
    orch_response_free(r);
    orch_execution_free(i->gated);
    host_close(i->orch);
}

/* Its task is kept open, so that it does not end. */
static void start_gated(inside *i, keeper *gate)
{
    HOST_OK(orch_v2_start_workflow(i->orch, "gated", NULL, 0, NULL, &i->gated, &err));
    latch_wait(&gate->has, 1);
}

static void everything_can_be_called_in_an_executor(void **state)
{
    inside i = {.done = LATCH_INIT};
    keeper k = {.has = LATCH_INIT};

    (void)state;
    open_inside(&i, &k, "4");
    start_gated(&i, &k);
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(i.orch), "inside",
                                          call_from_executor, &i, NULL, &err));
    host_execute(i.orch, "inside", NULL, NULL, 0);
    latch_wait(&i.done, 1);
    expect_works(&i);
    end_inside(&i, &k);
}

static void everything_can_be_called_in_a_callback(void **state)
{
    inside i = {.done = LATCH_INIT};
    keeper k = {.has = LATCH_INIT};

    (void)state;
    open_inside(&i, &k, "4");
    start_gated(&i, &k);
    HOST_OK(orch_v2_start_workflow_async(i.orch, "noop", NULL, 0, NULL, NULL, call_from_callback,
                                         &i, NULL, &err));
    latch_wait(&i.done, 1);
    expect_works(&i);
    end_inside(&i, &k);
}

static void the_last_free_thread_does_not_wait(void **state)
{
    inside i = {.done = LATCH_INIT};
    keeper k = {.has = LATCH_INIT};

    (void)state;
    open_inside(&i, &k, "1");
    start_gated(&i, &k);
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(i.orch), "inside",
                                          call_from_executor, &i, NULL, &err));
    host_execute(i.orch, "inside", NULL, NULL, 0);
    latch_wait(&i.done, 1);
    assert_int_equal(i.executed, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.waited, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.started, 0);
    end_inside(&i, &k);
}

static void dispatch_does_not_block(void **state)
{
    inside i = {.done = LATCH_INIT};
    keeper k = {.has = LATCH_INIT};
    struct pollfd p = {.events = POLLIN};

    (void)state;
    open_inside(&i, &k, "4");
    p.fd = orch_v2_fd(i.orch);
    start_gated(&i, &k);
    HOST_OK(orch_v2_start_workflow_async(i.orch, "noop", NULL, 0, NULL, NULL, call_from_callback,
                                         &i, NULL, &err));
    while (!latch_count(&i.done)) {
        assert_int_equal(poll(&p, 1, HOST_PATIENCE_MS), 1);
        orch_v2_dispatch(i.orch);
    }
    assert_int_equal(i.executed, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.started, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.waited, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.defined, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.stopped, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.dispatched, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.async, 0);
    assert_int_equal(i.cancelled, ORCH_E_NOT_FOUND);
    assert_int_equal(i.got, 0);
    assert_int_equal(i.registered, 0);
    end_inside(&i, &k);
}

/* The log is called on the loop thread: nothing that waits for the loop may be called there. */
static void a_log_callback_does_not_wait(void **state)
{
    inside i = {.done = LATCH_INIT};
    keeper k = {.has = LATCH_INIT};
    orch_execution *e = NULL;
    orch_response *r = NULL;

    (void)state;
    open_inside(&i, &k, "4");
    start_gated(&i, &k);
    assert_int_equal(orch_v2_set_log(i.orch, call_from_log, &i, NULL, ORCH_LOG_DEBUG), 0);
    HOST_OK(orch_v2_start_workflow(i.orch, "inside", NULL, 0, NULL, &e, &err));
    latch_wait(&i.done, 1);
    assert_int_equal(i.async, 0);
    assert_int_equal(i.executed, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.started, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.cancelled, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.got, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.registered, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.defined, ORCH_E_FAILED_PRECONDITION);
    assert_int_equal(i.stopped, ORCH_E_FAILED_PRECONDITION);
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(i.orch), "inside", host_echo, NULL,
                                          NULL, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    orch_response_free(r);
    orch_execution_free(e);
    end_inside(&i, &k);
}

/* Parents wait in their steps for children, as deep as there are threads, and a little deeper. */
static void recurse(void *user_data, orch_task *task)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_execute_workflow(user_data, "inside", NULL, 0, NULL, &r, NULL);

    orch_response_free(r);
    if (rc)
        orch_task_fail(task, rc, 0, NULL);
    else
        orch_task_complete(task, NULL, 0, NULL);
}

static void nested_executions_end(void **state)
{
    static const char *const capacities[] = {"256", "2"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        orch_v2 *o = host_open("memory:", "TASK_THREADS", "5", "LOCAL_CAPACITY", capacities[i],
                               NULL);

        HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "inside", recurse, o, NULL,
                                              &err));
        host_define(o, INSIDE);
        assert_string_equal(host_execute(o, "inside", NULL, NULL, 0), "succeeded");
        host_close(o);
    }
}

static char yes;

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stuck_executor_is_named),
        cmocka_unit_test(free_waits_for_a_stuck_executor),
        cmocka_unit_test(running_steps_are_told_to_stop),
        cmocka_unit_test(waiters_are_cancelled),
        cmocka_unit_test(callbacks_are_made_at_the_latest_when_it_is_freed),
        cmocka_unit_test_prestate(callbacks_are_made_at_the_latest_when_it_is_freed, &yes),
        cmocka_unit_test(after_stop_what_is_stored_can_be_read),
        cmocka_unit_test(handles_outlive_the_orchestrator),
        cmocka_unit_test(tasks_outlive_the_orchestrator),
        cmocka_unit_test(a_freed_handle_frees_nothing_else),
        cmocka_unit_test(a_forked_child_is_refused),
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(a_forked_child_may_open_its_own),
#endif
        cmocka_unit_test(everything_can_be_called_in_an_executor),
        cmocka_unit_test(everything_can_be_called_in_a_callback),
        cmocka_unit_test(the_last_free_thread_does_not_wait),
        cmocka_unit_test(dispatch_does_not_block),
        cmocka_unit_test(a_log_callback_does_not_wait),
        cmocka_unit_test(nested_executions_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
