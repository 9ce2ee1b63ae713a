/* Goal: where jansson has no memory, nothing is taken for something else: what succeeds has the right output. (What fails may say INVALID_ARGUMENT: to
 * jansson's reader a string for which it has no memory is a syntax error.) */
#include "support/oom.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Values as a whole, of which a step that is taken for one that has not ended would be null. */
static const char WHOLE[] =
    "{'id':'whole','version':'1.0.0','steps':["
    "{'id':'each','executor':'give','for_each':'${input.items}','with':{'n':'${item}','all':'${input.items}'}},"
    "{'id':'sees','executor':'give','depends_on':['each'],'with':{'before':'${steps.each}'}},"
    "{'id':'late','executor':'give','depends_on':['sees'],'when':'#steps.sees.status == 9','with':'${steps.sees}'}],"
    "'output':{'each':'${steps.each}','late':'${steps.late}'}}";

static char expected[1000];

/* Its input. Where that is called no JSON the task is still its own. */
static void give(void *user_data, orch_task *t)
{
    size_t len;
    const char *input = orch_task_input(t, &len);

    (void)user_data;
    if (orch_task_complete(t, input, len, NULL) == ORCH_E_INVALID_ARGUMENT)
        orch_task_fail(t, ORCH_E_RESOURCE_EXHAUSTED, 0, "no memory to read it");
}

static const char *execute(char *output, size_t size)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_execute_workflow(orch, "whole", "{\"items\":[1,2]}", 15, NULL, &r, NULL);
    const char *state = rc ? "refused" : orch_execution_state_name(orch_response_state(r));

    if (!rc)
        snprintf(output, size, "%s", orch_response_output(r, NULL));
    orch_response_free(r);
    return state;
}

static void what_succeeds_is_right(void **state)
{
    char output[1000];
    long failures = 0;
    bool more = true;

    (void)state;
    oom_world("memory:");
    HOST_OK(orch_engine_register_executor(engine, "give", give, NULL, NULL, &err));
    host_define(orch, WHOLE);
    assert_string_equal(execute(expected, sizeof expected), "succeeded");
    assert_non_null(strstr(expected, "\"status\":\"succeeded\""));
    for (long n = 1; more; n++) { /* all of them, whatever EVERY says: it takes no time */
        const char *end;

        oom_begin(n);
        end = execute(output, sizeof output);
        more = oom_end();
        if (strcmp(end, "succeeded") != 0)
            failures++;
        else if (strcmp(output, expected) != 0)
            fail_msg("allocation %ld: %s", n, output);
    }
    assert_true(failures > 0);
    print_message("%ld failures\n", failures);
    oom_world_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_succeeds_is_right),
    };

    json_set_alloc_funcs(mem_alloc, mem_free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
