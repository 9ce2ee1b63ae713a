/* Goal: wherever memory runs out, in whichever thread, the answer is an error and not a crash, a hang or a leak, and what comes after
 * works. */
#include "support/api_host.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const char WORK[] =
    "{'id':'work','version':'1.0.0','steps':[{'id':'list','executor':'echo','for_each':'${input.items}',"
    "'with':'${item}'},{'id':'sum','executor':'lua','depends_on':['list'],'with':{'code':"
    "'local n = 0 for _, x in ipairs(steps.list.output) do n = n + x end return n'}}],"
    "'output':'${steps.sum.output}'}";

static void opening(void **state)
{
    char room[200];
    const char *url = *state ? host_sqlite(room, sizeof room, "open.db") : "memory:";
    orch_config *config = orch_config_new();
    orch_v2 *o = NULL;

    HOST_OK(orch_config_set(config, "STORE_URL", url, &err));
    HOST_OK(orch_config_set(config, "SECRETS_DIR", "/tmp", &err));
    for (long n = 1; !o; n++) {
        orch_error *error = NULL;
        bool reached;

        mem_fail_at(n, 0);
        o = orch_v2_new(config, &error);
        reached = mem_count() >= n;
        mem_fail_at(0, 0);
        if (!o && orch_error_code(error) != ORCH_E_RESOURCE_EXHAUSTED)
            fail_msg("allocation %ld: %s", n, orch_error_message(error));
        orch_error_free(error);
        if (o && reached) { /* it could do without */
            orch_v2_free(o);
            o = NULL;
        }
    }
    orch_v2_free(o);
    orch_config_free(config);
}

/* One execution, while the n-th allocation fails. True if that one was asked for. */
static bool execute(orch_v2 *o, long n)
{
    orch_response *r = NULL;
    orch_error *error = NULL;
    bool reached;
    int32_t rc;

    mem_fail_at(n, 0);
    rc = orch_v2_execute_workflow(o, "work", "{\"items\":[1,2,3,4]}", 19, NULL, &r, &error);
    reached = mem_count() >= n;
    mem_fail_at(0, 0);
    if (rc && rc != ORCH_E_RESOURCE_EXHAUSTED)
        fail_msg("allocation %ld: %s: %s", n, orch_code_name(rc), orch_error_message(error));
    if (!rc && orch_response_state(r) == ORCH_EXECUTION_FAILED) {
        const char *failure = orch_response_error(r, NULL);

        if (failure && !strstr(failure, "RESOURCE_EXHAUSTED"))
            fail_msg("allocation %ld: %s", n, failure);
    } else if (!rc)
        assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    orch_error_free(error);
    orch_response_free(r);
    return reached;
}

static void executing(void **state)
{
    orch_v2 *o = host_open("memory:", NULL);
    char output[40];

    (void)state;
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "echo", host_echo, NULL, NULL,
                                          &err));
    host_define(o, WORK);
    host_execute(o, "work", "{\"items\":[1]}", NULL, 0); /* threads and sandboxes are there */
    for (long n = 1; execute(o, n); n++)
        ;
    assert_string_equal(host_execute(o, "work", "{\"items\":[1,2,3,4]}", output, sizeof output),
                        "succeeded");
    assert_string_equal(output, "10");
    host_close(o);
}

/* ---- every call that allocates, each allocation of it ---------------------------------------------------- */

typedef int32_t (*call_fn)(orch_v2 *o);

static void nothing(void *user_data, orch_response *response)
{
    (void)user_data;
    orch_response_free(response);
}

static int32_t call_async(orch_v2 *o)
{
    return orch_v2_start_workflow_async(o, "work", "{\"items\":[]}", 12, NULL, NULL, nothing, NULL,
                                        NULL, NULL);
}

static int32_t call_start(orch_v2 *o)
{
    orch_execution *e = NULL;
    int32_t rc = orch_v2_start_workflow(o, "work", "{\"items\":[]}", 12, NULL, &e, NULL);

    if (!rc)
        rc = orch_execution_on_end(e, nothing, NULL, NULL, NULL);
    orch_execution_free(e);
    return rc;
}

static int32_t call_list(orch_v2 *o)
{
    orch_execution_list *l = NULL;
    int32_t rc = orch_v2_list_executions(o, NULL, &l, NULL);

    orch_execution_list_free(l);
    return rc;
}

static int32_t call_history(orch_v2 *o)
{
    orch_history *h = NULL;
    int32_t rc = orch_v2_get_history(o, "fixed", 0, 0, &h, NULL);

    orch_history_free(h);
    return rc;
}

static int32_t call_find(orch_v2 *o)
{
    orch_execution *e = NULL;
    orch_response *r = NULL;
    int32_t rc = orch_v2_find_execution(o, "fixed", &e, NULL);

    if (!rc)
        rc = orch_execution_wait(e, -1, &r, NULL);
    orch_response_free(r);
    orch_execution_free(e);
    return rc;
}

static int32_t call_get(orch_v2 *o)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_get_execution(o, "fixed", &r, NULL);

    orch_response_free(r);
    return rc;
}

static int32_t call_cancel(orch_v2 *o)
{
    int32_t rc = orch_v2_cancel(o, "fixed", NULL, NULL);

    return rc == ORCH_E_FAILED_PRECONDITION ? 0 : rc; /* it has ended, of course */
}

static int32_t call_register(orch_v2 *o)
{
    static const char text[] =
        "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"noop\"}]}";

    return orch_v2_register_definition(o, text, sizeof text - 1, NULL);
}

static int32_t call_executor(orch_v2 *o)
{
    int32_t rc = orch_engine_register_executor(orch_v2_local_engine(o), "another", host_echo, NULL,
                                               NULL, NULL);

    return rc == ORCH_E_ALREADY_EXISTS ? 0 : rc;
}

static int32_t call_pull(orch_v2 *o)
{
    orch_task *t = NULL;
    int32_t rc = orch_engine_next_task(orch_v2_local_engine(o), "pulled", 0, &t, NULL);

    return rc == ORCH_E_DEADLINE_EXCEEDED ? 0 : rc;
}

static orch_task *held; /* of the execution "open" */

static int32_t call_child(orch_v2 *o)
{
    orch_execution *e = NULL;
    int32_t rc = orch_subworkflows_start(orch_v2_subworkflows(o), held, "work", "{\"items\":[]}",
                                         12, NULL, NULL, &e, NULL);

    orch_execution_free(e);
    return rc;
}

static int32_t call_child_async(orch_v2 *o)
{
    return orch_subworkflows_start_async(orch_v2_subworkflows(o), held, "work", "{\"items\":[]}",
                                         12, NULL, NULL, NULL, nothing, NULL, NULL, NULL);
}

static int32_t call_children(orch_v2 *o)
{
    return orch_subworkflows_wait(orch_v2_subworkflows(o), held, -1, NULL);
}

static int32_t call_lineage(orch_v2 *o)
{
    orch_lineage *l = NULL;
    int32_t rc = orch_subworkflows_get_lineage(orch_v2_subworkflows(o), "open/1/a~first", &l, NULL);

    orch_lineage_free(l);
    return rc;
}

static int32_t call_height(orch_v2 *o)
{
    int32_t rc = orch_subworkflows_height(orch_v2_subworkflows(o), "open", NULL);

    return rc > 0 ? 0 : rc;
}

static int32_t call_list_children(orch_v2 *o)
{
    orch_execution_list *l = NULL;
    int32_t rc = orch_subworkflows_list(orch_v2_subworkflows(o), "open", NULL, &l, NULL);

    orch_execution_list_free(l);
    return rc;
}

/* With a child that its task has started. */
static void hold_one_open(orch_v2 *o)
{
    orch_start_options *options = orch_start_options_new();
    orch_child_options *child = orch_child_options_new();

    host_define(o, "{'id':'held','version':'1.0.0','steps':[{'id':'a','executor':'held'}]}");
    assert_int_equal(orch_start_options_set_id(options, "open"), 0);
    HOST_OK(orch_v2_start_workflow(o, "held", NULL, 0, options, NULL, &err));
    HOST_OK(orch_engine_next_task(orch_v2_local_engine(o), "held", HOST_PATIENCE_MS, &held, &err));
    assert_int_equal(orch_child_options_set_key(child, "first"), 0);
    HOST_OK(orch_subworkflows_start(orch_v2_subworkflows(o), held, "work", "{\"items\":[]}", 12,
                                    NULL, child, NULL, &err));
    HOST_OK(orch_subworkflows_wait(orch_v2_subworkflows(o), held, -1, &err));
    orch_child_options_free(child);
    orch_start_options_free(options);
}

static orch_v2 *open_with_one_that_ended(void)
{
    orch_v2 *o = host_open("memory:", NULL);
    orch_start_options *options = orch_start_options_new();
    orch_response *r = NULL;

    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "echo", host_echo, NULL, NULL,
                                          &err));
    host_define(o, WORK);
    assert_int_equal(orch_start_options_set_id(options, "fixed"), 0);
    HOST_OK(orch_v2_execute_workflow(o, "work", "{\"items\":[1]}", 13, options, &r, &err));
    orch_response_free(r);
    orch_start_options_free(options);
    hold_one_open(o);
    return o;
}

static void calling(void **state)
{
    static const call_fn calls[] = {call_async,    call_start,   call_list,   call_history,
                                    call_find,     call_get,     call_cancel, call_register,
                                    call_executor, call_pull,    call_child,  call_child_async,
                                    call_children, call_lineage, call_height, call_list_children};

    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        orch_v2 *o = open_with_one_that_ended();
        int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;

        for (long n = 1; rc; n++) {
            mem_fail_at(n, 0);
            rc = calls[i](o);
            mem_fail_at(0, 0);
            if (rc && rc != ORCH_E_RESOURCE_EXHAUSTED)
                fail_msg("call %zu, allocation %ld: %s", i, n, orch_code_name(rc));
        }
        assert_int_equal(calls[i](o), 0);
        HOST_OK(orch_task_complete(held, NULL, 0, &err));
        host_close(o);
    }
}

static char yes;

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening),
        cmocka_unit_test_prestate(opening, &yes),
        cmocka_unit_test(executing),
        cmocka_unit_test(calling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
