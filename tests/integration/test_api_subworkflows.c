/* Goal: a host's function starts children from within its step and decides what their ends mean; each is started once, whatever dies or
 * asks again; and trees of executions can be looked at. */
#include "support/api_host.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/file.h"

#define BOSS(id, more) \
    "{'id':'" id "','version':'1.0.0','steps':[{'id':'hire','executor':'boss'" more "}]}"

static const char *const definitions[] = {
    BOSS("boss", ""),
    BOSS("stubborn", ",'retry':{'max_attempts':5,'initial_interval':'1ms'}"),
    BOSS("each", ",'for_each':'${array{1,2}}'"),
    BOSS("undone", ",'compensate':{'executor':'boss'}"),
    "{'id':'hurry','version':'1.0.0','timeout':'1h','steps':[{'id':'hire','executor':'boss'}]}",
    "{'id':'caller','version':'1.0.0','steps':[{'id':'call','executor':'workflow','with':{"
    "'workflow':'boss'}}]}",
    "{'id':'box','version':'1.0.0','steps':[{'id':'work','executor':'box','with':'${input}'}],"
    "'output':'${steps.work.output}'}",
    "{'id':'box','version':'2.0.0','steps':[{'id':'work','executor':'box','with':2}],"
    "'output':'${steps.work.output}'}",
    "{'id':'quick','version':'1.0.0','steps':[{'id':'work','executor':'noop','with':'${input}'}],"
    "'output':'${steps.work.output}'}",
    "{'id':'crowd','version':'1.0.0','steps':[{'id':'all','executor':'delegate','for_each':"
    "'${input.list}','max_parallel':20,'with':{'n':'${item}'}}],'output':'${steps.all.output}'}",
};

static const char TWICE[] =
    "{'id':'twice','version':'1.0.0','steps':[{'id':'call','executor':'workflow','with':{"
    "'workflow':'boss'},'retry':{'max_attempts':2,'initial_interval':'1ms'}}]}";

static orch_v2 *define_all(orch_v2 *o)
{
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++)
        host_define(o, definitions[i]);
    return o;
}

static orch_v2 *open_all(const char *url)
{
    return define_all(host_open(url, NULL));
}

static const char *store_url(void **state, const char *name, char room[200])
{
    return *state ? host_sqlite(room, 200, name) : "memory:";
}

static void start(orch_v2 *o, const char *workflow, const char *id)
{
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    HOST_OK(orch_v2_start_workflow(o, workflow, NULL, 0, options, NULL, &err));
    orch_start_options_free(options);
}

static orch_task *next(orch_v2 *o, const char *executor)
{
    orch_task *task = NULL;

    HOST_OK(
        orch_engine_next_task(orch_v2_local_engine(o), executor, HOST_PATIENCE_MS, &task, &err));
    return task;
}

static orch_child_options *keyed(const char *key, int32_t policy)
{
    orch_child_options *c = orch_child_options_new();

    assert_int_equal(orch_child_options_set_key(c, key), 0);
    assert_int_equal(orch_child_options_set_on_parent_end(c, policy), 0);
    return c;
}

/* NULL: none is to be had. */
static orch_execution *hire_with(orch_v2 *o, orch_task *task, const char *workflow,
                                 const char *inputs, const char *key, int32_t policy)
{
    orch_child_options *c = keyed(key, policy);
    orch_execution *e = NULL;

    HOST_OK(orch_subworkflows_start(orch_v2_subworkflows(o), task, workflow, inputs, strlen(inputs),
                                    NULL, c, &e, &err));
    orch_child_options_free(c);
    return e;
}

static orch_execution *hire(orch_v2 *o, orch_task *task)
{
    return hire_with(o, task, "box", "{\"n\":1,\"m\":[2]}", NULL, ORCH_CHILD_CANCEL);
}

static int32_t hire_again(orch_v2 *o, orch_task *task, const char *workflow, const char *inputs,
                          orch_error **err)
{
    return orch_subworkflows_start(orch_v2_subworkflows(o), task, workflow, inputs, strlen(inputs),
                                   NULL, NULL, NULL, err);
}

static void complete(orch_task *task, const char *output)
{
    HOST_OK(orch_task_complete(task, output, output ? strlen(output) : 0, &err));
}

static void await_end(orch_execution *e, int32_t state, const char *output)
{
    orch_response *r = NULL;

    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), state);
    if (output)
        assert_string_equal(orch_response_output(r, NULL), output);
    orch_response_free(r);
    orch_execution_free(e);
}

/* ---- one child ------------------------------------------------------------------------------------------- */

static void a_task_starts_a_child_and_waits(void **state)
{
    char room[200];
    orch_v2 *o = open_all(store_url(state, "one.db", room));
    orch_subworkflows *sub = orch_v2_subworkflows(o);
    orch_execution_list *list = NULL;
    orch_steps *steps = NULL;
    orch_task *task, *work;
    orch_execution *e;

    start(o, "boss", "b");
    task = next(o, "boss");
    e = hire(o, task);
    assert_string_equal(orch_execution_id(e), "b/1/hire");
    assert_int_equal(orch_execution_existed(e), 0);
    work = next(o, "box");
    assert_string_equal(orch_task_execution(work), "b/1/hire");
    assert_int_equal(orch_subworkflows_height(sub, "b", NULL), 1);
    assert_int_equal(orch_subworkflows_height(sub, "b/1/hire", NULL), 0);
    HOST_OK(orch_v2_get_steps(o, "b", 0, NULL, 0, 0, &steps, &err));
    assert_int_equal(orch_steps_state(steps, 0), ORCH_STEP_RUNNING);
    orch_steps_free(steps);
    complete(work, "\"done\"");
    await_end(e, ORCH_EXECUTION_SUCCEEDED, "\"done\"");
    complete(task, NULL);
    host_await_state(o, "b", ORCH_EXECUTION_SUCCEEDED);
    HOST_OK(orch_subworkflows_list(sub, "b", NULL, &list, &err));
    assert_int_equal(orch_execution_list_count(list), 1);
    assert_string_equal(orch_response_id(orch_execution_list_get(list, 0)), "b/1/hire");
    assert_string_equal(orch_response_parent(orch_execution_list_get(list, 0)), "b");
    assert_string_equal(orch_response_version(orch_execution_list_get(list, 0)), "2.0.0");
    orch_execution_list_free(list);
    host_close(o);
}

/* Whatever else may be said of a start may be said of a child. */
static void it_is_started_as_any_execution(void **state)
{
    char room[200];
    orch_v2 *o = open_all(store_url(state, "options.db", room));
    orch_start_options *s = orch_start_options_new();
    orch_response *r = NULL;
    orch_execution *e = NULL;
    orch_task *task;

    start(o, "boss", "b");
    HOST_OK(orch_v2_set_priority(o, "b", 8, NULL, &err));
    task = next(o, "boss");
    orch_start_options_set_version(s, "^1");
    orch_start_options_set_limit_key(s, "k");
    HOST_OK(orch_start_options_set_attributes(s, "{\"a\":1}", 7, &err));
    HOST_OK(
        orch_subworkflows_start(orch_v2_subworkflows(o), task, "box", NULL, 0, s, NULL, &e, &err));
    HOST_OK(orch_v2_get_execution(o, orch_execution_id(e), &r, &err));
    assert_string_equal(orch_response_version(r), "1.0.0");
    assert_string_equal(orch_response_limit_key(r), "k");
    assert_string_equal(orch_response_attributes(r, NULL), "{\"a\":1}");
    assert_int_equal(orch_response_priority(r), 8); /* its parent's */
    orch_response_free(r);
    orch_execution_free(e);
    orch_start_options_set_id(s, "mine");
    HOST_FAILS(
        orch_subworkflows_start(orch_v2_subworkflows(o), task, "box", NULL, 0, s, NULL, NULL, &err),
        ORCH_E_INVALID_ARGUMENT, "start has the id 'mine'");
    orch_start_options_set_id(s, NULL);
    orch_start_options_set_start_key(s, "k", ORCH_START_KEY_RETURN, 0);
    HOST_FAILS(
        orch_subworkflows_start(orch_v2_subworkflows(o), task, "box", NULL, 0, s, NULL, NULL, &err),
        ORCH_E_INVALID_ARGUMENT, "start has a start key");
    orch_start_options_free(s);
    complete(next(o, "box"), NULL);
    complete(task, NULL);
    host_close(o);
}

/* ---- started once ---------------------------------------------------------------------------------------- */

static void the_next_attempt_gets_the_same(void **state)
{
    char room[200];
    orch_v2 *o = open_all(store_url(state, "again.db", room));
    orch_execution *e;
    orch_task *task;

    start(o, "stubborn", "b");
    task = next(o, "boss");
    orch_execution_free(hire(o, task));
    assert_int_equal(orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "try again"), 0);
    task = next(o, "boss");
    assert_int_equal(orch_task_attempt(task), 2);
    e = hire_with(o, task, "box", "{ \"m\": [2], \"n\": 1 }", NULL, ORCH_CHILD_CANCEL);
    assert_int_equal(orch_execution_existed(e), 1);
    assert_string_equal(orch_execution_id(e), "b/1/hire");
    HOST_FAILS(hire_again(o, task, "box", "{\"n\":2}", &err), ORCH_E_ALREADY_EXISTS,
               "child 'b/1/hire' was started before with other inputs");
    HOST_FAILS(hire_again(o, task, "quick", "{\"n\":1,\"m\":[2]}", &err), ORCH_E_ALREADY_EXISTS,
               "of workflow 'box' and not 'quick'");
    complete(next(o, "box"), "1");
    await_end(e, ORCH_EXECUTION_SUCCEEDED, "1");
    e = hire(o, task); /* it has ended */
    assert_int_equal(orch_execution_existed(e), 1);
    await_end(e, ORCH_EXECUTION_SUCCEEDED, "1");
    complete(task, NULL);
    host_await_state(o, "b", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

typedef struct heard {
    latch latch; /* counts callbacks, and the free function */
    bool existed;
    int32_t code, state;
} heard;

static void on_accepted(void *user_data, orch_execution *execution, orch_error *error)
{
    heard *h = user_data;

    h->existed = orch_execution_existed(execution);
    h->code = orch_error_code(error);
    orch_execution_free(execution);
    orch_error_free(error);
    latch_add(&h->latch);
}

static void on_end(void *user_data, orch_response *response)
{
    heard *h = user_data;

    h->state = orch_response_state(response);
    orch_response_free(response);
    latch_add(&h->latch);
}

static void on_free(void *user_data)
{
    latch_add(&((heard *)user_data)->latch);
}

static void hire_async(orch_v2 *o, orch_task *task, const char *inputs, orch_start_fn accepted,
                       heard *h)
{
    *h = (heard){.latch = LATCH_INIT, .state = -1};
    HOST_OK(orch_subworkflows_start_async(orch_v2_subworkflows(o), task, "box", inputs,
                                          strlen(inputs), NULL, NULL, accepted, on_end, h, on_free,
                                          &err));
}

static void without_blocking_it_is_the_same(void **state)
{
    char room[200];
    orch_v2 *o = open_all(store_url(state, "async.db", room));
    heard first, same, other, unheard;
    orch_task *task;

    start(o, "boss", "b");
    task = next(o, "boss");
    hire_async(o, task, "{\"n\":1}", on_accepted, &first);
    latch_wait(&first.latch, 1);
    assert_true(!first.existed && !first.code);
    hire_async(o, task, "{\"n\":1}", on_accepted, &same);
    latch_wait(&same.latch, 1);
    assert_true(same.existed && !same.code);
    hire_async(o, task, "{\"n\":2}", on_accepted, &other);
    latch_wait(&other.latch, 2); /* and no end comes */
    assert_int_equal(other.code, ORCH_E_ALREADY_EXISTS);
    assert_int_equal(other.state, -1);
    hire_async(o, task, "{\"n\":2}", NULL, &unheard);
    latch_wait(&unheard.latch, 1);
    assert_int_equal(unheard.state, -1);
    complete(next(o, "box"), NULL);
    latch_wait(&first.latch, 3);
    latch_wait(&same.latch, 3);
    assert_int_equal(first.state, ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(same.state, ORCH_EXECUTION_SUCCEEDED);
    complete(task, NULL);
    host_close(o);
}

/* The task is completed by the end of its child, and no thread waits meanwhile. */
static void pass_on(void *user_data, orch_response *response)
{
    size_t len;
    const char *output = orch_response_output(response, &len);

    orch_task_complete(user_data, output, len, NULL);
    orch_response_free(response);
}

static void delegate(void *user_data, orch_task *task)
{
    orch_subworkflows *sub = user_data;
    size_t len;
    const char *input = orch_task_input(task, &len);
    orch_error *err = NULL;

    if (orch_subworkflows_start_async(sub, task, "quick", input, len, NULL, NULL, NULL, pass_on,
                                      task, NULL, &err))
        orch_task_fail(task, orch_error_code(err), 0, orch_error_message(err));
    orch_error_free(err);
}

static void a_task_ends_with_its_child(void **state)
{
    char room[200], output[200], list[600] = "{\"list\":[";
    orch_v2 *o = open_all(store_url(state, "crowd.db", room));
    orch_execution_list *children = NULL;
    orch_filter *f = orch_filter_new();

    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "delegate", delegate,
                                          orch_v2_subworkflows(o), NULL, &err));
    assert_string_equal(host_execute(o, "crowd", "{\"list\":[1,2,3]}", output, sizeof output),
                        "succeeded");
    assert_string_equal(output, "[{\"n\":1},{\"n\":2},{\"n\":3}]");
    for (int i = 0; i < 100; i++)
        sprintf(list + strlen(list), "%s%d", i ? "," : "", i);
    strcat(list, "]}");
    assert_string_equal(host_execute(o, "crowd", list, output, sizeof output), "succeeded");
    HOST_OK(orch_filter_set(f, "workflow", "crowd", &err));
    HOST_OK(orch_filter_set(f, "limit", "1", &err));
    HOST_OK(orch_v2_list_executions(o, f, &children, &err));
    snprintf(room, sizeof room, "%s", orch_response_id(orch_execution_list_get(children, 0)));
    orch_execution_list_free(children);
    orch_filter_free(f);
    f = orch_filter_new();
    HOST_OK(orch_filter_set(f, "limit", "1000", &err));
    HOST_OK(orch_filter_set(f, "state", "succeeded", &err));
    HOST_OK(orch_subworkflows_list(orch_v2_subworkflows(o), room, f, &children, &err));
    assert_int_equal(orch_execution_list_count(children), 100);
    orch_execution_list_free(children);
    HOST_OK(orch_filter_set(f, "state", "failed", &err)); /* several add up */
    HOST_OK(orch_filter_set(f, "order", "oldest", &err));
    HOST_OK(orch_filter_set(f, "limit", "60", &err));
    HOST_OK(orch_subworkflows_list(orch_v2_subworkflows(o), room, f, &children, &err));
    assert_int_equal(orch_execution_list_count(children), 60);
    HOST_OK(orch_filter_set(f, "page", orch_execution_list_next(children), &err));
    orch_execution_list_free(children);
    HOST_OK(orch_subworkflows_list(orch_v2_subworkflows(o), room, f, &children, &err));
    assert_int_equal(orch_execution_list_count(children), 40);
    orch_execution_list_free(children);
    orch_filter_free(f);
    host_close(o);
}

static void all_of_a_step_are_waited_for(void **state)
{
    char room[200];
    orch_v2 *o = open_all(store_url(state, "all.db", room));
    orch_subworkflows *sub = orch_v2_subworkflows(o);
    orch_task *tasks[2];

    start(o, "each", "b");
    for (int i = 0; i < 2; i++)
        tasks[i] = next(o, "boss");
    HOST_OK(orch_subworkflows_wait(sub, tasks[0], -1, &err)); /* it has none */
    orch_execution_free(hire_with(o, tasks[0], "box", "{}", "one", ORCH_CHILD_CANCEL));
    orch_execution_free(hire_with(o, tasks[0], "box", "{}", "two", ORCH_CHILD_ABANDON));
    HOST_OK(orch_subworkflows_wait(sub, tasks[1], 0, &err)); /* nor has the other item */
    HOST_FAILS(orch_subworkflows_wait(sub, tasks[0], 0, &err), ORCH_E_DEADLINE_EXCEEDED,
               "has not ended");
    complete(next(o, "box"), NULL);
    HOST_FAILS(orch_subworkflows_wait(sub, tasks[0], 1, &err), ORCH_E_DEADLINE_EXCEEDED,
               "has not ended");
    complete(next(o, "box"), NULL);
    HOST_OK(orch_subworkflows_wait(sub, tasks[0], HOST_PATIENCE_MS, &err));
    for (int i = 0; i < 2; i++)
        complete(tasks[i], NULL);
    host_await_state(o, "b", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

/* ---- the parent's end ------------------------------------------------------------------------------------ */

static void a_cancel_goes_down(void **state)
{
    char room[200];
    orch_v2 *o = open_all(store_url(state, "cancel.db", room));
    orch_execution *bound, *loose;
    orch_task *task, *works[2];

    start(o, "boss", "b");
    task = next(o, "boss");
    bound = hire(o, task);
    works[0] = next(o, "box");
    loose = hire_with(o, task, "box", "{}", "loose", ORCH_CHILD_ABANDON);
    works[1] = next(o, "box");
    HOST_OK(orch_v2_cancel(o, "b", NULL, &err));
    assert_int_equal(orch_task_wait_stopping(works[0], HOST_PATIENCE_MS), ORCH_E_CANCELLED);
    assert_int_equal(orch_task_wait_stopping(task, HOST_PATIENCE_MS), ORCH_E_CANCELLED);
    HOST_FAILS(hire_again(o, task, "box", "{\"n\":1,\"m\":[2]}", &err), ORCH_E_CANCELLED,
               "was told to stop");
    orch_task_fail(works[0], ORCH_E_CANCELLED, 0, "stopped");
    await_end(bound, ORCH_EXECUTION_CANCELLED, NULL); /* and the parent still waits for its task */
    assert_int_equal(host_state(o, "b"), ORCH_EXECUTION_RUNNING);
    orch_task_fail(task, ORCH_E_CANCELLED, 0, "stopped");
    host_await_state(o, "b", ORCH_EXECUTION_CANCELLED);
    assert_int_equal(orch_task_stopping(works[1]), 0);
    complete(works[1], "\"free\"");
    await_end(loose, ORCH_EXECUTION_SUCCEEDED, "\"free\"");
    host_close(o);
}

static void an_end_takes_what_is_open_along(void **state)
{
    char room[200];
    orch_v2 *o = open_all(store_url(state, "end.db", room));
    orch_response *r = NULL, *p = NULL;
    orch_execution *e;
    orch_task *task, *work;

    start(o, "hurry", "b");
    task = next(o, "boss");
    e = hire(o, task);
    work = next(o, "box");
    HOST_OK(orch_v2_get_execution(o, "b", &p, &err));
    HOST_OK(orch_v2_get_execution(o, "b/1/hire", &r, &err));
    assert_true(orch_response_deadline_ms(p) > 0);
    assert_int_equal(orch_response_deadline_ms(r), orch_response_deadline_ms(p));
    orch_response_free(p);
    orch_response_free(r);
    complete(task, NULL);
    host_await_state(o, "b", ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(orch_task_wait_stopping(work, HOST_PATIENCE_MS), ORCH_E_CANCELLED);
    orch_task_fail(work, ORCH_E_CANCELLED, 0, "stopped");
    await_end(e, ORCH_EXECUTION_CANCELLED, NULL);
    host_close(o);
}

static size_t count_children(orch_v2 *o, const char *id)
{
    orch_execution_list *list = NULL;
    size_t count;

    HOST_OK(orch_subworkflows_list(orch_v2_subworkflows(o), id, NULL, &list, &err));
    count = orch_execution_list_count(list);
    orch_execution_list_free(list);
    return count;
}

/* What is taken over starts nothing again; what is done again has children of its own. */
static void new_runs_have_children_of_their_own(void **state)
{
    char room[200];
    orch_v2 *o = open_all(store_url(state, "anew.db", room));
    orch_lineage *l = NULL;
    orch_execution *e;
    orch_task *task;

    start(o, "boss", "b");
    task = next(o, "boss");
    await_end(hire_with(o, task, "quick", "{}", NULL, ORCH_CHILD_CANCEL), ORCH_EXECUTION_SUCCEEDED,
              NULL);
    complete(task, NULL);
    host_await_state(o, "b", ORCH_EXECUTION_SUCCEEDED);
    HOST_OK(orch_v2_fork(o, "b", "f", NULL, NULL, NULL, NULL, &err));
    host_await_state(o, "f", ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(count_children(o, "f"), 0);
    HOST_OK(orch_v2_fork(o, "b", "g", NULL, "hire", NULL, NULL, &err));
    task = next(o, "boss");
    e = hire_with(o, task, "quick", "{\"other\":1}", NULL, ORCH_CHILD_CANCEL);
    assert_string_equal(orch_execution_id(e), "g/1/hire");
    assert_int_equal(orch_execution_existed(e), 0);
    await_end(e, ORCH_EXECUTION_SUCCEEDED, NULL);
    complete(task, NULL);
    HOST_OK(orch_v2_rerun(o, "b", "hire", NULL, &err));
    task = next(o, "boss");
    e = hire_with(o, task, "quick", "{\"other\":1}", NULL, ORCH_CHILD_CANCEL);
    assert_string_equal(orch_execution_id(e), "b/2/hire");
    await_end(e, ORCH_EXECUTION_SUCCEEDED, NULL);
    complete(task, NULL);
    HOST_OK(orch_subworkflows_get_lineage(orch_v2_subworkflows(o), "b/2/hire", &l, &err));
    assert_int_equal(orch_lineage_parent_run(l, 1), 2);
    orch_lineage_free(l);
    assert_int_equal(count_children(o, "b"), 2);
    HOST_FAILS(orch_v2_rerun(o, "b/2/hire", "work", NULL, &err), ORCH_E_FAILED_PRECONDITION,
               "is the child of a task");
    host_await_state(o, "b", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

/* ---- when none may be started ---------------------------------------------------------------------------- */

static void what_is_over_starts_none(void **state)
{
    char room[200];
    orch_v2 *o = open_all(store_url(state, "over.db", room)), *other = open_all("memory:");
    orch_task *task;

    start(o, "boss", "b");
    task = next(o, "boss");
    HOST_FAILS(hire_again(other, task, "box", "{}", &err), ORCH_E_INVALID_ARGUMENT,
               "the task is of another orchestrator's engine");
    HOST_FAILS(hire_again(o, task, "nowhere", "{}", &err), ORCH_E_NOT_FOUND, "nowhere");
    HOST_OK(orch_v2_terminate(o, "b", NULL, &err));
    assert_int_equal(orch_task_wait_stopping(task, HOST_PATIENCE_MS), ORCH_E_CANCELLED);
    HOST_FAILS(hire_again(o, task, "box", "{}", &err), ORCH_E_FAILED_PRECONDITION,
               "the attempt of step 'hire' is over");
    HOST_FAILS(orch_subworkflows_wait(orch_v2_subworkflows(o), task, 0, &err),
               ORCH_E_FAILED_PRECONDITION, "the attempt of step 'hire' is over");
    complete(task, NULL);
    start(o, "undone", "u");
    complete(next(o, "boss"), NULL);
    host_await_state(o, "u", ORCH_EXECUTION_SUCCEEDED);
    host_define(o, "{'id':'sorry','version':'1.0.0','steps':[{'id':'hire','executor':'boss',"
                   "'compensate':{'executor':'boss'}},{'id':'bad','executor':'lua','depends_on':"
                   "['hire'],'with':{'code':'error()'}}]}");
    start(o, "sorry", "s");
    complete(next(o, "boss"), NULL);
    task = next(o, "boss");
    assert_int_equal(orch_task_role(task), ORCH_TASK_COMPENSATION);
    HOST_FAILS(hire_again(o, task, "box", "{}", &err), ORCH_E_FAILED_PRECONDITION,
               "start no children");
    complete(task, NULL);
    host_await_state(o, "s", ORCH_EXECUTION_FAILED);
    host_close(other);
    host_close(o);
}

/* ---- trees ----------------------------------------------------------------------------------------------- */

/* From a step with the executor `workflow` down to the child of an item's second attempt. */
static void a_lineage_says_who_started_whom(void **state)
{
    char room[200];
    orch_v2 *o = open_all(store_url(state, "tree.db", room));
    orch_subworkflows *sub = orch_v2_subworkflows(o);
    orch_lineage *l = NULL;
    orch_task *top, *low;

    start(o, "caller", "c");
    top = next(o, "boss");
    assert_string_equal(orch_task_execution(top), "c/1/call");
    orch_execution_free(hire_with(o, top, "each", "{}", "x", ORCH_CHILD_ABANDON));
    low = next(o, "boss");
    orch_execution_free(hire_with(o, low, "box", "{}", NULL, ORCH_CHILD_CANCEL));
    HOST_OK(orch_subworkflows_get_lineage(
        sub, orch_task_index(low) ? "c/1/call/1/hire~x/1/hire/1" : "c/1/call/1/hire~x/1/hire/0", &l,
        &err));
    assert_int_equal(orch_lineage_depth(l), 3);
    assert_int_equal(orch_lineage_count(l), 4);
    assert_string_equal(orch_lineage_id(l, 0), "c");
    assert_string_equal(orch_lineage_step(l, 0), "");
    assert_int_equal(orch_lineage_parent_run(l, 0), 0);
    assert_int_equal(orch_lineage_on_parent_end(l, 0), -1);
    assert_string_equal(orch_lineage_id(l, 1), "c/1/call");
    assert_string_equal(orch_lineage_step(l, 1), "call");
    assert_int_equal(orch_lineage_parent_run(l, 1), 1);
    assert_int_equal(orch_lineage_by_task(l, 1), 0);
    assert_int_equal(orch_lineage_attempt(l, 1), 1);
    assert_int_equal(orch_lineage_on_parent_end(l, 1), ORCH_CHILD_CANCEL);
    assert_string_equal(orch_lineage_id(l, 2), "c/1/call/1/hire~x");
    assert_int_equal(orch_lineage_by_task(l, 2), 1);
    assert_int_equal(orch_lineage_index(l, 2), -1);
    assert_int_equal(orch_lineage_on_parent_end(l, 2), ORCH_CHILD_ABANDON);
    assert_int_equal(orch_lineage_index(l, 3), orch_task_index(low));
    assert_string_equal(orch_lineage_step(l, 3), "hire");
    assert_string_equal(orch_lineage_id(l, 4), "");
    orch_lineage_free(l);
    assert_int_equal(orch_subworkflows_height(sub, "c", NULL), 3);
    HOST_OK(orch_subworkflows_get_lineage(sub, "c", &l, &err));
    assert_int_equal(orch_lineage_count(l), 1);
    assert_int_equal(orch_lineage_depth(l), 0);
    orch_lineage_free(l);
    HOST_OK(orch_v2_terminate(o, "c/1/call/1/hire~x", NULL, &err));
    HOST_OK(orch_v2_terminate(o, "c", NULL, &err));
    host_await_state(o, "c/1/call", ORCH_EXECUTION_CANCELLED);
    orch_task_fail(low, ORCH_E_CANCELLED, 0, NULL);
    orch_task_fail(top, ORCH_E_CANCELLED, 0, NULL);
    host_close(o);
}

typedef struct text {
    char data[8192];
} text;

static int32_t add_line(void *user_data, const char *line, size_t len)
{
    text *t = user_data;

    assert_true(strlen(t->data) + len < sizeof t->data);
    strncat(t->data, line, len);
    return 0;
}

static void a_family_moves(void **state)
{
    static const char *const ids[] = {"b", "b/1/hire"};
    char room[200];
    orch_v2 *from = open_all("memory:"), *to = open_all(store_url(state, "moved.db", room));
    orch_lineage *l = NULL;
    orch_task *task;

    start(from, "boss", "b");
    task = next(from, "boss");
    orch_execution_free(hire_with(from, task, "quick", "{}", NULL, ORCH_CHILD_ABANDON));
    host_await_state(from, "b/1/hire", ORCH_EXECUTION_SUCCEEDED);
    complete(task, NULL);
    host_await_state(from, "b", ORCH_EXECUTION_SUCCEEDED);
    for (int i = 0; i < 2; i++) {
        text out = {""}, again = {""};

        HOST_OK(orch_v2_export_execution(from, ids[i], add_line, &out, &err));
        HOST_OK(orch_v2_import_execution(to, out.data, strlen(out.data), &err));
        HOST_OK(orch_v2_export_execution(to, ids[i], add_line, &again, &err));
        assert_string_equal(again.data, out.data);
    }
    HOST_OK(orch_subworkflows_get_lineage(orch_v2_subworkflows(to), "b/1/hire", &l, &err));
    assert_int_equal(orch_lineage_count(l), 2);
    assert_int_equal(orch_lineage_by_task(l, 1), 1);
    assert_int_equal(orch_lineage_on_parent_end(l, 1), ORCH_CHILD_ABANDON);
    orch_lineage_free(l);
    host_close(from);
    host_close(to);
}

/* The id of the second attempt's child has what no host may choose in one; it is found, controlled, listed and moved all the same. */
static void a_second_child_of_a_step_is_found(void **state)
{
    char room[200];
    orch_v2 *from = open_all("memory:"), *to = open_all(store_url(state, "second.db", room));
    orch_execution_list *list = NULL;
    orch_filter *f = orch_filter_new();
    text out = {""}, again = {""};
    orch_task *task;

    host_define(from, TWICE);
    host_define(to, TWICE);
    start(from, "twice", "t");
    orch_task_fail(next(from, "boss"), ORCH_E_UNAVAILABLE, 1, NULL);
    task = next(from, "boss");
    assert_string_equal(orch_task_execution(task), "t/1/call~2");
    assert_int_equal(host_state(from, "t/1/call~2"), ORCH_EXECUTION_RUNNING);
    HOST_OK(orch_filter_set(f, "parent", "t/1/call~2", &err));
    HOST_OK(orch_v2_list_executions(from, f, &list, &err));
    assert_int_equal(orch_execution_list_count(list), 0);
    orch_execution_list_free(list);
    orch_filter_free(f);
    HOST_OK(orch_v2_cancel(from, "t/1/call~2", NULL, &err));
    assert_int_equal(orch_task_wait_stopping(task, HOST_PATIENCE_MS), ORCH_E_CANCELLED);
    orch_task_fail(task, ORCH_E_CANCELLED, 0, NULL);
    host_await_state(from, "t/1/call~2", ORCH_EXECUTION_CANCELLED);
    HOST_OK(orch_v2_export_execution(from, "t/1/call~2", add_line, &out, &err));
    HOST_OK(orch_v2_import_execution(to, out.data, strlen(out.data), &err));
    HOST_OK(orch_v2_export_execution(to, "t/1/call~2", add_line, &again, &err));
    assert_non_null(strstr(out.data, "\"parent\":\"t\"")); /* who did not come along */
    assert_null(strstr(again.data, "\"parent\""));
    host_close(from);
    host_close(to);
}

/* ---- the C of docs/subworkflows.md, as it stands there ---------------------------------------------------- */

static void child_ended(void *task, orch_response *end)
{
    size_t len;
    const char *text = orch_response_output(end, &len);

    if (orch_response_state(end) == ORCH_EXECUTION_SUCCEEDED)
        orch_task_complete(task, text, len, NULL);
    else
        orch_task_fail(task, ORCH_E_ABORTED, 0, orch_response_id(end));
    orch_response_free(end);
}

static void child_accepted(void *task, orch_execution *child, orch_error *error)
{
    orch_execution_free(child);
    if (error)
        orch_task_fail(task, orch_error_code(error), orch_error_retryable(error),
                       orch_error_message(error));
    orch_error_free(error);
}

static void convert(void *subworkflows, orch_task *task)
{
    const char *file = orch_task_input(task, NULL);
    const char *workflow = strstr(file, ".tif") ? "convert-image" : "convert-text";
    orch_error *error = NULL;

    if (orch_subworkflows_start_async(subworkflows, task, workflow, file, strlen(file), NULL, NULL,
                                      child_accepted, child_ended, task, NULL, &error))
        orch_task_fail(task, orch_error_code(error), 1, orch_error_message(error));
    orch_error_free(error);
}

static int32_t ask_all(orch_subworkflows *subworkflows, orch_task *task, const char *const *banks,
                       size_t count, orch_error **err)
{
    orch_child_options *child = orch_child_options_new();
    int32_t rc = child ? 0 : ORCH_E_RESOURCE_EXHAUSTED;

    for (size_t i = 0; i < count && !rc; i++) {
        rc = orch_child_options_set_key(child, banks[i]);
        if (!rc)
            rc = orch_subworkflows_start(subworkflows, task, "ask-bank", NULL, 0, NULL, child, NULL,
                                         err);
    }
    orch_child_options_free(child);
    return rc ? rc : orch_subworkflows_wait(subworkflows, task, -1, err);
}

static void show_path(orch_subworkflows *subworkflows, const char *id, FILE *out)
{
    orch_lineage *path = NULL;

    if (orch_subworkflows_get_lineage(subworkflows, id, &path, NULL))
        return;
    for (size_t i = 0; i < orch_lineage_count(path); i++)
        fprintf(out, "%s %s\n", orch_lineage_step(path, i), orch_lineage_id(path, i));
    orch_lineage_free(path);
}

static void the_page_is_what_runs_here(void **state)
{
    (void)state;
    assert_int_equal(
        file_check_blocks("docs/subworkflows.md", "tests/integration/test_api_subworkflows.c"), 3);
}

static void ask_banks(void *subworkflows, orch_task *task)
{
    static const char *const banks[] = {"north", "south"};
    int32_t rc = ask_all(subworkflows, task, banks, 2, NULL);

    if (rc)
        orch_task_fail(task, rc, 0, NULL);
    else
        orch_task_complete(task, NULL, 0, NULL);
}

static const char *run(orch_v2 *o, const char *id, const char *inputs)
{
    orch_start_options *options = orch_start_options_new();
    orch_response *r = NULL;
    const char *state;

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    HOST_OK(orch_v2_execute_workflow(o, id, inputs, strlen(inputs), options, &r, &err));
    state = orch_execution_state_name(orch_response_state(r));
    orch_response_free(r);
    orch_start_options_free(options);
    return state;
}

static void what_the_page_shows_works(void **state)
{
    char room[200], path[200] = "";
    orch_v2 *o = open_all(store_url(state, "page.db", room));
    orch_subworkflows *sub = orch_v2_subworkflows(o);
    orch_engine *e = orch_v2_local_engine(o);
    orch_execution_list *list = NULL;
    FILE *out;

    HOST_OK(orch_engine_register_executor(e, "convert", convert, sub, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "ask", ask_banks, sub, NULL, &err));
    host_define(o, "{'id':'convert-image','version':'1.0.0','steps':[{'id':'a','executor':'noop',"
                   "'with':'${input.file}'}],'output':'${steps.a.output}'}");
    host_define(o, "{'id':'ask-bank','version':'1.0.0','steps':[{'id':'a','executor':'noop'}]}");
    host_define(o, "{'id':'one','version':'1.0.0','steps':[{'id':'c','executor':'convert',"
                   "'with':'${input}'}]}");
    host_define(o, "{'id':'rates','version':'1.0.0','steps':[{'id':'a','executor':'ask'}]}");
    assert_string_equal(run(o, "one", "{\"file\":\"a.tif\"}"), "succeeded");
    out = fmemopen(path, sizeof path, "w");
    show_path(sub, "one/1/c", out);
    fclose(out);
    assert_string_equal(path, " one\nc one/1/c\n");
    assert_string_equal(run(o, "rates", "{}"), "succeeded");
    HOST_OK(orch_subworkflows_list(sub, "rates", NULL, &list, &err));
    assert_int_equal(orch_execution_list_count(list), 2);
    orch_execution_list_free(list);
    host_define(o, "{'id':'text','version':'1.0.0','steps':[{'id':'c','executor':'convert',"
                   "'with':'${input}'}]}");
    assert_string_equal(run(o, "text", "{\"file\":\"a.txt\"}"), "failed"); /* no such workflow */
    host_close(o);
}

/* ---- codecs ---------------------------------------------------------------------------------------------- */

static atomic_uchar salt; /* no text is encoded twice alike */

static int32_t encode(void *user_data, const void *plain, size_t len, void **out_data,
                      size_t *out_len)
{
    unsigned char *out = malloc(len + 1);

    (void)user_data;
    out[0] = atomic_fetch_add(&salt, 1);
    for (size_t i = 0; i < len; i++)
        out[i + 1] = ((const unsigned char *)plain)[i] ^ out[0];
    *out_data = out;
    *out_len = len + 1;
    return 0;
}

static int32_t decode(void *user_data, const void *encoded, size_t len, void **out_data,
                      size_t *out_len)
{
    const unsigned char *in = encoded;
    unsigned char *out = malloc(len);

    (void)user_data;
    for (size_t i = 1; i < len; i++)
        out[i - 1] = in[i] ^ in[0];
    *out_data = out;
    *out_len = len - 1;
    return 0;
}

static void let_go(void *user_data, void *data)
{
    (void)user_data;
    free(data);
}

static void inputs_are_compared_plain(void **state)
{
    static const orch_codec salted = {sizeof(orch_codec), "salted", encode, decode, let_go};
    orch_config *c = orch_config_new();
    orch_execution *e;
    orch_task *task;
    char room[200];
    orch_v2 *o;

    HOST_OK(orch_config_set(c, "STORE_URL", store_url(state, "codec.db", room), &err));
    HOST_OK(orch_config_set_codec(c, &salted, NULL, NULL, &err));
    o = orch_v2_new(c, NULL);
    orch_config_free(c);
    assert_non_null(o);
    define_all(o);
    start(o, "boss", "b");
    task = next(o, "boss");
    orch_execution_free(hire_with(o, task, "quick", "{\"n\":1}", NULL, ORCH_CHILD_CANCEL));
    e = hire_with(o, task, "quick", "{\"n\":1}", NULL, ORCH_CHILD_CANCEL);
    assert_int_equal(orch_execution_existed(e), 1);
    await_end(e, ORCH_EXECUTION_SUCCEEDED, "{\"n\":1}");
    HOST_FAILS(hire_again(o, task, "quick", "{}", &err), ORCH_E_ALREADY_EXISTS, "other inputs");
    complete(task, NULL);
    host_close(o);
}

/* ---- a process that dies --------------------------------------------------------------------------------- */

/* Starts two children, says so, and waits to be killed. */
static int victim(const char *url)
{
    orch_v2 *o = open_all(url);
    orch_task *task;

    start(o, "boss", "b");
    task = next(o, "boss");
    orch_execution_free(hire(o, task));
    orch_execution_free(hire_with(o, task, "box", "{}", "loose", ORCH_CHILD_ABANDON));
    if (write(STDOUT_FILENO, "!", 1) != 1)
        return 1;
    for (;;)
        pause();
}

static void kill_in_the_middle(const char *url)
{
    int ends[2], status;
    char said = 0;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "victim", url, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    while (said != '!' && read(ends[0], &said, 1) == 1)
        ;
    assert_int_equal(said, '!');
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(ends[0]);
}

static void a_killed_process_started_each_once(void **state)
{
    char room[200];
    const char *url = host_sqlite(room, sizeof room, "killed.db");
    orch_execution_list *list = NULL;
    orch_execution *e, *loose;
    orch_task *task, *works[2];
    orch_v2 *o;

    (void)state;
    kill_in_the_middle(url);
    o = open_all(url);
    task = next(o, "boss");
    assert_string_equal(orch_task_execution(task), "b");
    e = hire(o, task);
    assert_int_equal(orch_execution_existed(e), 1);
    loose = hire_with(o, task, "box", "{}", "loose", ORCH_CHILD_ABANDON);
    assert_int_equal(orch_execution_existed(loose), 1);
    for (int i = 0; i < 2; i++)
        works[i] = next(o, "box");
    if (!strcmp(orch_task_execution(works[0]), "b/1/hire~loose")) {
        orch_task *first = works[0];

        works[0] = works[1];
        works[1] = first;
    }
    assert_string_equal(orch_task_execution(works[0]), "b/1/hire");
    complete(task, NULL); /* without waiting for either */
    host_await_state(o, "b", ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(orch_task_wait_stopping(works[0], HOST_PATIENCE_MS), ORCH_E_CANCELLED);
    orch_task_fail(works[0], ORCH_E_CANCELLED, 0, NULL);
    complete(works[1], NULL);
    await_end(e, ORCH_EXECUTION_CANCELLED, NULL);
    await_end(loose, ORCH_EXECUTION_SUCCEEDED, NULL);
    HOST_OK(orch_subworkflows_list(orch_v2_subworkflows(o), "b", NULL, &list, &err));
    assert_int_equal(orch_execution_list_count(list), 2);
    orch_execution_list_free(list);
    host_close(o);
}

#define ON_BOTH(test)                                \
    {#test " (memory)", test, NULL, NULL, NULL},     \
    {                                                \
#        test " (file)", test, NULL, NULL, (void *)1 \
    }

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_process_started_each_once),
        ON_BOTH(a_task_starts_a_child_and_waits),
        ON_BOTH(it_is_started_as_any_execution),
        ON_BOTH(the_next_attempt_gets_the_same),
        ON_BOTH(without_blocking_it_is_the_same),
        ON_BOTH(a_task_ends_with_its_child),
        ON_BOTH(all_of_a_step_are_waited_for),
        ON_BOTH(a_cancel_goes_down),
        ON_BOTH(an_end_takes_what_is_open_along),
        ON_BOTH(new_runs_have_children_of_their_own),
        ON_BOTH(what_is_over_starts_none),
        ON_BOTH(a_lineage_says_who_started_whom),
        ON_BOTH(a_family_moves),
        ON_BOTH(a_second_child_of_a_step_is_found),
        cmocka_unit_test(the_page_is_what_runs_here),
        ON_BOTH(what_the_page_shows_works),
        ON_BOTH(inputs_are_compared_plain),
    };

    if (!strcmp(argv[0], "victim") && argc == 2)
        return victim(argv[1]);
    return cmocka_run_group_tests_name("api: sub-workflows", tests, NULL, NULL);
}
