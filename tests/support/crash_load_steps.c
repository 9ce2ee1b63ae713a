/* The crash test's load: steps, lists, retries, waits, children. */
#include "support/crash_load.h"

#include <string.h>

static const load_kind kinds[] = {
    {.name = "chain",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 4,
     .definition =
         "{'id':'chain','version':'1.0.0','steps':["
         "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
         "{'id':'b','executor':'add','depends_on':['a'],'with':{'to':'${steps.a.output}'}},"
         "{'id':'c','executor':'noop','depends_on':['b'],'with':'${steps.b.output}'},"
         "{'id':'d','executor':'add','depends_on':['c'],'with':{'to':'${steps.c.output + 1}'}}],"
         "'output':'${steps.d.output}'}"},
    {.name = "map",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 40,
     .plus = 40 * 41 / 2 + 40,
     .definition =
         "{'id':'map','version':'1.0.0','steps':["
         "{'id':'list','executor':'lua','with':{'code':"
         "'local t = {} for i = 1, 40 do t[i] = input.n + i end return t'}},"
         "{'id':'each','executor':'add','depends_on':['list'],'for_each':'${steps.list.output}',"
         "'max_parallel':7,'with':{'to':'${item}'}},"
         "{'id':'sum','executor':'lua','depends_on':['each'],'with':{'code':"
         "'local s = 0 for _, v in ipairs(steps.each.output) do s = s + v end return s'}}],"
         "'output':'${steps.sum.output}'}"},
    {.name = "retry",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 2,
     .definition = "{'id':'retry','version':'1.0.0','steps':["
                   "{'id':'a','executor':'flaky','with':{'to':'${input.n}'},"
                   "'retry':{'max_attempts':5,'initial_interval':'3ms','jitter':0}},"
                   "{'id':'b','executor':'add','depends_on':['a'],'when':'steps.a.output > 0',"
                   "'with':{'to':'${steps.a.output}'}}],"
                   "'output':'${steps.b.output}'}"},
    {.name = "wait",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 2,
     .definition =
         "{'id':'wait','version':'1.0.0','steps':["
         "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
         "{'id':'w','executor':'wait','depends_on':['a'],'with':{'duration':'25ms'}},"
         "{'id':'b','executor':'add','depends_on':['w'],'with':{'to':'${steps.a.output}'}}],"
         "'output':'${steps.b.output}'}"},
    {.name = "family",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 3,
     .plus = 3 + 3 * 4,
     .definition =
         "{'id':'family','version':'1.0.0','steps':["
         "{'id':'each','executor':'workflow','for_each':[0,1,2],'with':{"
         "'workflow':'chain','version':'^1','inputs':{'n':'${input.n + item}'}}},"
         "{'id':'sum','executor':'lua','depends_on':['each'],'with':{'code':"
         "'local s = 0 for _, v in ipairs(steps.each.output) do s = s + v end return s'}}],"
         "'output':'${steps.sum.output}'}"},
    /* Its task starts a chain and passes on what comes of it, and another child that only its end ends. */
    {.name = "errand",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 4,
     .definition =
         "{'id':'errand','version':'1.0.0','steps':["
         "{'id':'a','executor':'errand','with':{'n':'${input.n}'},'retry':{'max_attempts':9}},"
         "{'id':'w','executor':'wait','depends_on':['a'],'with':{'duration':'9ms'}}],"
         "'output':'${steps.a.output}'}"},
};

static const char leftover[] = "{'id':'leftover','version':'1.0.0','steps':["
                               "{'id':'w','executor':'wait','with':{'signal':'never'}}]}";

/* ---- executors ------------------------------------------------------------------------------------------- */

static void flaky(void *user_data, orch_task *task)
{
    (void)user_data;
    load_say_start(task);
    if (orch_task_attempt(task) < 3)
        orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "not yet");
    else
        load_succeed(task);
}

static void child_accepted(void *task, orch_execution *child, orch_error *error)
{
    if (error)
        orch_task_fail(task, orch_error_code(error), 1, orch_error_message(error));
    orch_execution_free(child);
    orch_error_free(error);
}

static void child_ended(void *task, orch_response *end)
{
    size_t len;
    const char *output = orch_response_output(end, &len);

    if (orch_response_state(end) == ORCH_EXECUTION_SUCCEEDED)
        orch_task_complete(task, output, len, NULL);
    else
        orch_task_fail(task, ORCH_E_INTERNAL, 0, "its chain did not succeed");
    orch_response_free(end);
}

static void errand(void *subworkflows, orch_task *task)
{
    orch_child_options *left = orch_child_options_new();
    orch_error *error = NULL;
    size_t len;
    const char *input = orch_task_input(task, &len);
    int32_t rc;

    load_say_start(task);
    orch_child_options_set_key(left, "left");
    rc = orch_subworkflows_start(subworkflows, task, "leftover", NULL, 0, NULL, left, NULL, &error);
    orch_child_options_free(left);
    if (!rc)
        rc = orch_subworkflows_start_async(subworkflows, task, "chain", input, len, NULL, NULL,
                                           child_accepted, child_ended, task, NULL, &error);
    if (rc)
        orch_task_fail(task, rc, 1, orch_error_message(error));
    orch_error_free(error);
}

void load_serve_steps(orch_engine *engine)
{
    load_serve(engine, "add", load_add, NULL);
    load_serve(engine, "flaky", flaky, NULL);
}

static void define(orch_v2 *orch)
{
    load_serve_steps(orch_v2_local_engine(orch));
    load_executor(orch, "errand", errand, orch_v2_subworkflows(orch));
    load_register(orch, leftover);
}

const load_family load_steps = {
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof *kinds,
    .define = define,
};
