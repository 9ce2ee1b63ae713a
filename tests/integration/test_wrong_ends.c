/* Goal: what is wrong with a workflow and shows only when it runs ends it with a code and a message that name the thing. */
#include "support/api_host.h"

#include <string.h>

static const char *const definitions[] = {
    "{'id':'flow','version':'1.0.0','steps':[{'id':'a','executor':'echo','with':1},"
    "{'id':'b','executor':'echo','depends_on':['a'],'with':2}]}",
    "{'id':'flow','version':'2.0.0','steps':[{'id':'a','executor':'echo','with':1}]}",
    "{'id':'failing','version':'1.0.0','steps':[{'id':'a','executor':'echo','with':1},"
    "{'id':'b','executor':'broken','depends_on':['a']}]}",
    "{'id':'promises','version':'1.0.0','inputs':{'n':'any'},'outputs':{'total':'integer'},'steps':["
    "{'id':'a','executor':'noop'}],'output':{'total':'${input.n}'}}",
    "{'id':'parent','version':'1.0.0','steps':[{'id':'c','executor':'workflow','with':{'workflow':"
    "'failing'}}]}",
    "{'id':'orphan','version':'1.0.0','steps':[{'id':'c','executor':'workflow','with':{'workflow':"
    "'nowhere'}}]}",
    "{'id':'range','version':'1.0.0','steps':[{'id':'c','executor':'workflow','with':{'workflow':"
    "'flow','version':'^7'}}]}",
    "{'id':'large','version':'1.0.0','steps':[{'id':'big','executor':'big'}]}",
    "{'id':'unsaid','version':'1.0.0','steps':[{'id':'s','executor':'echo','with':'${secrets.TOKEN}'}]}",
    "{'id':'stranger','version':'1.0.0','steps':[{'id':'s','executor':'nobody_knows'}]}",
    "{'id':'list','version':'1.0.0','steps':[{'id':'each','executor':'noop','for_each':'${input.n}'}]}",
    "{'id':'sum','version':'1.0.0','steps':[{'id':'add','executor':'lua','with':{'code':"
    "'return input.n + 1'}}]}",
    "{'id':'late','version':'1.0.0','timeout':'20ms','steps':[{'id':'w','executor':'wait','with':{"
    "'duration':'1h'}}]}",
};

static void broken(void *user_data, orch_task *task)
{
    (void)user_data;
    orch_task_fail(task, ORCH_E_INTERNAL, 0, "broken on purpose");
}

/* More than MAX_OUTPUT_BYTES. */
static void big(void *user_data, orch_task *task)
{
    char text[2048];
    orch_error *error = NULL;
    int32_t rc;

    (void)user_data;
    memset(text, 'x', sizeof text);
    text[0] = text[sizeof text - 1] = '"';
    rc = orch_task_complete(task, text, sizeof text, &error);
    if (rc)
        orch_task_fail(task, rc, 0, orch_error_message(error));
    orch_error_free(error);
}

static const struct {
    const char *workflow, *inputs;
    int32_t state;
    const char *pieces[3];
} ends[] = {
    {"failing", NULL, ORCH_EXECUTION_FAILED, {"INTERNAL", "b", "broken on purpose"}},
    {"promises",
     "{\"n\":\"many\"}",
     ORCH_EXECUTION_FAILED,
     {"FAILED_PRECONDITION", "output: 'total' must be an integer, not a string"}},
    {"promises",
     "{\"n\":null}",
     ORCH_EXECUTION_FAILED,
     {"FAILED_PRECONDITION", "'total' must be an integer, not null"}},
    {"parent",
     NULL,
     ORCH_EXECUTION_FAILED,
     {"/1/c failed: broken on purpose", "\"path\":[", "\"step\":\"b\""}},
    {"orphan",
     NULL,
     ORCH_EXECUTION_FAILED,
     {"NOT_FOUND", "no workflow 'nowhere' is registered", "\"step\":\"c\""}},
    {"range",
     NULL,
     ORCH_EXECUTION_FAILED,
     {"NOT_FOUND", "'flow' has no version in the wanted range; its newest is 2.0.0"}},
    {"large",
     NULL,
     ORCH_EXECUTION_FAILED,
     {"INVALID_ARGUMENT", "the output of step big has 2048 bytes; 1024 are allowed"}},
    {"unsaid",
     NULL,
     ORCH_EXECUTION_FAILED,
     {"NOT_FOUND", "there is no secret 'TOKEN'", "\"step\":\"s\""}},
    {"stranger",
     NULL,
     ORCH_EXECUTION_FAILED,
     {"NOT_FOUND", "no executor is registered as 'nobody_knows'"}},
    {"list",
     "{\"n\":5}",
     ORCH_EXECUTION_FAILED,
     {"for_each of step 'each' gave a number; it must give a list"}},
    {"list",
     NULL,
     ORCH_EXECUTION_FAILED,
     {"for_each of step 'each' gave null; it must give a list"}},
    {"sum",
     "{\"n\":\"x\"}",
     ORCH_EXECUTION_FAILED,
     {"code:1: attempt to perform arithmetic on a string value", "\"step\":\"add\""}},
    {"late",
     NULL,
     ORCH_EXECUTION_TIMED_OUT,
     {"DEADLINE_EXCEEDED", "the execution passed its deadline"}},
};

static void ends_say_why(void **state)
{
    orch_v2 *orch = host_open("memory:", "MAX_OUTPUT_BYTES", "1024", "EXECUTOR_WAIT", "10ms", NULL);
    orch_engine *e = orch_v2_local_engine(orch);

    (void)state;
    HOST_OK(orch_engine_register_executor(e, "echo", host_echo, NULL, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "broken", broken, NULL, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "big", big, NULL, NULL, &err));
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++)
        host_define(orch, definitions[i]);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        orch_response *r = NULL;
        const char *error, *inputs = ends[i].inputs;

        HOST_OK(orch_v2_execute_workflow(orch, ends[i].workflow, inputs,
                                         inputs ? strlen(inputs) : 0, NULL, &r, &err));
        error = orch_response_error(r, NULL);
        assert_int_equal(orch_response_state(r), ends[i].state);
        for (size_t j = 0; j < 3 && ends[i].pieces[j]; j++)
            if (!error || !strstr(error, ends[i].pieces[j]))
                fail_msg("%s: no '%s' in %s", ends[i].workflow, ends[i].pieces[j], error);
        orch_response_free(r);
    }
    host_close(orch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_say_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
