/* Goal: an execution that is under way keeps the version it was started with, whatever is registered meanwhile, and after a restart
 * too; the next one takes the newest. */
#include "support/api_host.h"

#include <stdio.h>
#include <string.h>

static const char ONE[] = "{'id':'flow','version':'1.0.0','steps':[{'id':'hold','executor':'gate'},"
                          "{'id':'say','executor':'noop','depends_on':['hold'],'with':'first'}],"
                          "'output':'${steps.say.output}'}";
static const char TWO[] = "{'id':'flow','version':'2.0.0','steps':[{'id':'say','executor':'noop',"
                          "'with':'second'}],'output':'${steps.say.output}'}";

static void add_gate(orch_v2 *o, latch *gate)
{
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "gate", host_gate, gate, NULL,
                                          &err));
}

static void check_end(orch_v2 *o, const char *id)
{
    orch_execution *e = NULL;
    orch_response *r = NULL;

    HOST_OK(orch_v2_find_execution(o, id, &e, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_string_equal(orch_response_version(r), "1.0.0");
    assert_string_equal(orch_response_output(r, NULL), "\"first\"");
    orch_response_free(r);
    orch_execution_free(e);
}

static void start_one(orch_v2 *o, char *id, size_t size)
{
    orch_execution *e = NULL;

    HOST_OK(orch_v2_start_workflow(o, "flow", NULL, 0, NULL, &e, &err));
    snprintf(id, size, "%s", orch_execution_id(e));
    orch_execution_free(e);
}

static void an_execution_keeps_its_version(void **state)
{
    char room[200], id[64], output[32];
    const char *url = host_sqlite(room, sizeof room, "versions.db");
    latch gate = LATCH_INIT;
    orch_v2 *o = host_open(url, NULL);

    (void)state;
    add_gate(o, &gate);
    host_define(o, ONE);
    start_one(o, id, sizeof id);
    latch_wait(&gate, 1);
    host_define(o, TWO);
    assert_string_equal(host_execute(o, "flow", "{}", output, sizeof output), "succeeded");
    assert_string_equal(output, "\"second\"");
    host_close(o);

    o = host_open(url, NULL);
    add_gate(o, &gate);
    latch_open(&gate);
    check_end(o, id);
    assert_string_equal(host_execute(o, "flow", "{}", output, sizeof output), "succeeded");
    assert_string_equal(output, "\"second\"");
    host_close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_execution_keeps_its_version)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
