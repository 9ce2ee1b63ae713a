/* Goal: tasks through the public API, with real threads: heartbeats as fast as a thread can, silence that is noticed, details and
 * data that arrive, compensation and on_failure that know what they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/api_host.h"

static const char *output_of(orch_v2 *orch, const char *workflow, const char *state)
{
    static char output[512];

    assert_string_equal(host_execute(orch, workflow, "{\"n\":1}", output, sizeof output), state);
    return output;
}

/* ---- heartbeats ------------------------------------------------------------------------------------------ */

#define BEATS 200000

/* The first attempt says how far it is, as fast as it can, and fails; the next goes on from there. */
static void beat_and_fail(void *user_data, orch_task *task)
{
    const char *before = orch_task_heartbeat_details(task, NULL);
    char text[24];

    if (before) {
        assert_int_equal(orch_task_attempt(task), 2);
        orch_task_complete(task, before, strlen(before), NULL);
        return;
    }
    for (int i = 1; i <= BEATS; i++) {
        int len = snprintf(text, sizeof text, "%d", i);

        if (orch_task_heartbeat(task, text, (size_t)len, NULL) || orch_task_stopping(task))
            break;
    }
    latch_add(user_data);
    orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "lost it");
}

static void test_beats_without_end(void **state)
{
    orch_v2 *orch = host_open("memory:", NULL);
    latch failed = LATCH_INIT;

    (void)state;
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(orch), "count", beat_and_fail,
                                          &failed, NULL, &err));
    host_define(orch, "{'id':'w','version':'1.0.0','steps':[{'id':'a','executor':'count',"
                      "'heartbeat_timeout':'10s','retry':{'max_attempts':2,'initial_interval':"
                      "'1ms'}}],'output':'${steps.a.output}'}");
    assert_string_equal(output_of(orch, "w", "succeeded"), "200000");
    assert_int_equal(latch_count(&failed), 1);
    host_close(orch);
}

/* It beats for longer than it may be silent, then is silent. */
static void beat_then_hang(void *user_data, orch_task *task)
{
    latch *stopped = user_data;
    int beats = 0;

    while (beats < 10 && orch_task_wait_stopping(task, 20) == 0) {
        assert_int_equal(orch_task_heartbeat(task, NULL, 0, NULL), 0);
        beats++;
    }
    if (beats == 10 && orch_task_wait_stopping(task, HOST_PATIENCE_MS) == ORCH_E_DEADLINE_EXCEEDED)
        latch_add(stopped);
    orch_task_fail(task, ORCH_E_CANCELLED, 1, "told to stop");
}

static void test_silence_is_noticed(void **state)
{
    orch_v2 *orch = host_open("memory:", NULL);
    latch stopped = LATCH_INIT;

    (void)state;
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(orch), "hang", beat_then_hang,
                                          &stopped, NULL, &err));
    /* Long against the beats, so that a busy machine does not make a silence of one. */
    host_define(orch, "{'id':'w','version':'1.0.0','steps':[{'id':'a','executor':'hang',"
                      "'heartbeat_timeout':'1s'}]}");
    assert_non_null(strstr(output_of(orch, "w", "failed"), "DEADLINE_EXCEEDED"));
    assert_int_equal(latch_count(&stopped), 1);
    host_close(orch);
}

/* ---- errors with data ------------------------------------------------------------------------------------ */

static void fail_with_data(void *user_data, orch_task *task)
{
    (void)user_data;
    assert_int_equal(orch_task_fail_data(task, ORCH_E_FAILED_PRECONDITION, 0, "no money",
                                         "{\"missing\":[3,4]}", 17, NULL),
                     0);
}

static void test_data_of_an_error_is_seen(void **state)
{
    orch_v2 *orch = host_open("memory:", NULL);
    char *error;

    (void)state;
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(orch), "pay", fail_with_data, NULL,
                                          NULL, &err));
    host_define(orch, "{'id':'on','version':'1.0.0','steps':[{'id':'a','executor':'pay',"
                      "'continue_on_failure':true},{'id':'b','executor':'noop','depends_on':['a'],"
                      "'with':'${steps.a.error.data.missing}'}],'output':'${steps.b.output}'}");
    host_define(orch, "{'id':'off','version':'1.0.0','steps':[{'id':'a','executor':'pay'}]}");
    assert_string_equal(output_of(orch, "on", "succeeded"), "[3,4]");
    error = strdup(output_of(orch, "off", "failed"));
    assert_non_null(strstr(error, "\"data\":{\"missing\":[3,4]}"));
    free(error);
    host_close(orch);
}

/* ---- roles ----------------------------------------------------------------------------------------------- */

/* One function does all three, and fails where it stands for the step "b" itself. */
static void by_role(void *user_data, orch_task *task)
{
    static const char *const names[] = {"do", "undo", "tell"};
    char text[64];
    int len = snprintf(text, sizeof text, "%s %s;", names[orch_task_role(task)],
                       orch_task_step(task));

    strncat(user_data, text, (size_t)len);
    if (orch_task_role(task) == ORCH_TASK_STEP && !strcmp(orch_task_step(task), "b"))
        orch_task_fail(task, ORCH_E_ABORTED, 0, NULL);
    else
        orch_task_complete(task, NULL, 0, NULL);
}

static void test_a_task_knows_what_it_is_for(void **state)
{
    orch_v2 *orch = host_open("memory:", NULL);
    char log[256] = ""; /* of one task at a time */

    (void)state;
    HOST_OK(
        orch_engine_register_executor(orch_v2_local_engine(orch), "any", by_role, log, NULL, &err));
    host_define(orch, "{'id':'w','version':'1.0.0','steps':[{'id':'a','executor':'any',"
                      "'compensate':{'executor':'any'}},{'id':'b','executor':'any','depends_on':"
                      "['a'],'compensate':{'executor':'any','when_failed':true}}],'on_failure':{"
                      "'executor':'any'}}");
    output_of(orch, "w", "failed");
    assert_string_equal(log, "do a;do b;undo b;undo a;tell ;");
    host_close(orch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beats_without_end),
        cmocka_unit_test(test_silence_is_noticed),
        cmocka_unit_test(test_data_of_an_error_is_seen),
        cmocka_unit_test(test_a_task_knows_what_it_is_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
