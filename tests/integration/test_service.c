/* Goal: the management service does over gRPC what the public functions do, and its client tells what it was answered. */
#include "support/api_host.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"

static const char CHAIN[] =
    "{\"id\":\"chain\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"echo\",\"with\":{"
    "\"n\":\"${input.n}\"}},{\"id\":\"b\",\"executor\":\"noop\",\"depends_on\":[\"a\"],\"with\":{"
    "\"got\":\"${steps.a.output.n}\"}}],\"output\":{\"r\":\"${steps.b.output.got}\"}}";
static const char GATED[] = "id: gated\nversion: 2.1.0\nsteps:\n- id: held\n  executor: gate\n"
                            "- id: told\n  executor: wait\n  depends_on: [held]\n"
                            "  with: {signal: go, timeout: 1h}\n";

static const char CALLER[] = "{\"id\":\"caller\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"c\","
                             "\"executor\":\"workflow\",\"with\":{\"workflow\":\"leaf\","
                             "\"version\":\"^1.0.0\"}}]}";

typedef struct rig {
    orch_v2 *orch;
    orch_client *client;
    latch gate;
} rig;

static void rig_open(rig *r)
{
    char endpoint[64];
    uint16_t port = 0;
    orch_error *error = NULL;

    r->gate = (latch)LATCH_INIT;
    r->orch = host_open("memory:", NULL);
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(r->orch), "echo", host_echo, NULL,
                                          NULL, &err));
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(r->orch), "gate", host_gate,
                                          &r->gate, NULL, &err));
    HOST_OK(orch_v2_listen(r->orch, "127.0.0.1:0", &port, &err));
    snprintf(endpoint, sizeof endpoint, "grpc://127.0.0.1:%u", port);
    r->client = orch_client_new(NULL, endpoint, &error);
    assert_non_null(r->client);
}

static void rig_close(rig *r)
{
    orch_client_free(r->client);
    host_close(r->orch);
}

/* The answer, a new reference. The request has ' for ". */
static json_t *ask(const rig *r, const char *method, const char *request)
{
    char text[1000];
    orch_reply *reply = NULL;
    json_t *json;

    snprintf(text, sizeof text, "%s", request);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    HOST_OK(
        orch_client_call(r->client, method, text, strlen(text), HOST_PATIENCE_MS, &reply, &err));
    json = json_loads(orch_reply_json(reply, NULL), 0, NULL);
    assert_non_null(json);
    orch_reply_free(reply);
    return json;
}

#define ASK_FAILS(r, method, request, code, piece)                                 \
    do {                                                                           \
        orch_reply *reply = NULL;                                                  \
        HOST_FAILS(orch_client_call((r)->client, method, request, strlen(request), \
                                    HOST_PATIENCE_MS, &reply, &err),               \
                   code, piece);                                                   \
    } while (0)

static void expect(const rig *r, const char *method, const char *request, const char *expected)
{
    json_t *got = ask(r, method, request);
    char *text = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS);

    assert_string_equal(text, expected);
    free(text);
    json_decref(got);
}

static void define(const rig *r, const char *text)
{
    json_t *request = json_pack("{s:s}", "definition", text);
    char *json = json_dumps(request, 0);
    orch_reply *reply = NULL;

    HOST_OK(orch_client_call(r->client, "RegisterWorkflow", json, strlen(json), HOST_PATIENCE_MS,
                             &reply, &err));
    orch_reply_free(reply);
    free(json);
    json_decref(request);
}

static const char *text_of(const json_t *j, const char *key)
{
    const char *text = json_string_value(json_object_get(j, key));

    return text ? text : "";
}

/* ---- workflows ------------------------------------------------------------------------------------------- */

static void workflows_are_kept(void **state)
{
    rig r;
    json_t *got;

    (void)state;
    rig_open(&r);
    define(&r, CHAIN);
    define(&r, CHAIN);
    define(&r, GATED);
    expect(&r, "ListWorkflows", "{}",
           "{\"workflows\":[{\"id\":\"chain\",\"version\":\"1.0.0\"},"
           "{\"id\":\"gated\",\"version\":\"2.1.0\"}]}");
    expect(&r, "ListWorkflows", "{'page_size':1}",
           "{\"next_page_token\":\"chain 1.0.0\",\"workflows\":[{\"id\":\"chain\",\"version\":"
           "\"1.0.0\"}]}");
    expect(&r, "ListWorkflows", "{'page_size':1,'page_token':'chain 1.0.0'}",
           "{\"workflows\":[{\"id\":\"gated\",\"version\":\"2.1.0\"}]}");
    got = ask(&r, "GetWorkflow", "{'workflow_id':'gated','version':'^2.0.0'}");
    assert_string_equal(text_of(got, "version"), "2.1.0");
    assert_non_null(strstr(text_of(got, "definition"), "\"held\""));
    json_decref(got);
    ASK_FAILS(&r, "GetWorkflow", "{\"workflow_id\":\"gated\",\"version\":\"^3.0.0\"}",
              ORCH_E_NOT_FOUND, "^3.0.0");
    ASK_FAILS(&r, "GetWorkflow", "{\"workflow_id\":\"none\"}", ORCH_E_NOT_FOUND, "none");
    ASK_FAILS(&r, "RegisterWorkflow", "{\"definition\":\"{\"}", ORCH_E_INVALID_ARGUMENT, "");
    rig_close(&r);
}

static void updates_look_at_dependents(void **state)
{
    static const char *const policies[] = {"STRICT", "COMPATIBLE", "FORCE"};
    char request[300];
    rig r;

    (void)state;
    rig_open(&r);
    ASK_FAILS(
        &r, "UpdateWorkflow",
        "{\"definition\":\"{\\\"id\\\":\\\"leaf\\\",\\\"version\\\":\\\"1.0.0\\\",\\\"steps\\\":"
        "[{\\\"id\\\":\\\"a\\\",\\\"executor\\\":\\\"noop\\\"}]}\"}",
        ORCH_E_NOT_FOUND, "leaf");
    define(
        &r,
        "{\"id\":\"leaf\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"noop\"}]}");
    define(&r, CALLER);
    for (int version = 1; version <= 2; version++)
        for (int policy = 0; policy < 3; policy++) {
            bool allowed = policy == 2 || (policy == 1 && version == 1);
            orch_reply *answer = NULL;

            snprintf(
                request, sizeof request,
                "{\"policy\":\"%s\",\"definition\":\"{\\\"id\\\":\\\"leaf\\\",\\\"version\\\":"
                "\\\"%d.%d.0\\\",\\\"steps\\\":[{\\\"id\\\":\\\"a\\\",\\\"executor\\\":\\\"noop\\\"}]}\"}",
                policies[policy], version, policy + 1);
            if (allowed) {
                HOST_OK(orch_client_call(r.client, "UpdateWorkflow", request, strlen(request),
                                         HOST_PATIENCE_MS, &answer, &err));
                orch_reply_free(answer);
            } else {
                ASK_FAILS(&r, "UpdateWorkflow", request, ORCH_E_FAILED_PRECONDITION, "caller");
            }
        }
    rig_close(&r);
}

static void define_leaf(const rig *r, const char *version, const char *executor)
{
    char text[200];

    snprintf(text, sizeof text,
             "{\"id\":\"leaf\",\"version\":\"%s\",\"steps\":[{\"id\":\"a\",\"executor\":\"%s\"}]}",
             version, executor);
    define(r, text);
}

static void versions_are_deleted(void **state)
{
    rig r;

    (void)state;
    rig_open(&r);
    define_leaf(&r, "1.0.0", "noop");
    define_leaf(&r, "1.1.0", "noop");
    define(&r, CALLER);
    expect(&r, "DeleteWorkflow", "{'workflow_id':'leaf','version':'1.0.0','why':'old'}", "{}");
    ASK_FAILS(&r, "DeleteWorkflow", "{\"workflow_id\":\"leaf\",\"version\":\"1.0.0\"}",
              ORCH_E_NOT_FOUND, "leaf");
    ASK_FAILS(&r, "DeleteWorkflow", "{\"workflow_id\":\"leaf\",\"version\":\"1.1.0\"}",
              ORCH_E_FAILED_PRECONDITION, "'caller' 1.0.0 calls 'leaf'");
    expect(&r, "ListWorkflows", "{'workflow_id':'leaf'}",
           "{\"workflows\":[{\"id\":\"leaf\",\"version\":\"1.1.0\"}]}");
    expect(&r, "DeleteWorkflow", "{'workflow_id':'leaf','version':'1.1.0','force':true}", "{}");
    expect(&r, "ListWorkflows", "{}",
           "{\"workflows\":[{\"id\":\"caller\",\"version\":\"1.0.0\"}]}");
    ASK_FAILS(&r, "GetWorkflow", "{\"workflow_id\":\"leaf\"}", ORCH_E_NOT_FOUND, "leaf");
    ASK_FAILS(&r, "StartExecution", "{\"workflow_id\":\"leaf\"}", ORCH_E_NOT_FOUND, "leaf");
    define_leaf(&r, "1.0.0", "noop");
    expect(&r, "ListWorkflows", "{'workflow_id':'leaf'}",
           "{\"workflows\":[{\"id\":\"leaf\",\"version\":\"1.0.0\"}]}");
    expect(&r, "DeleteWorkflow", "{'workflow_id':'caller','version':'1.0.0'}", "{}");
    expect(&r, "DeleteWorkflow", "{'workflow_id':'leaf','version':'1.0.0'}", "{}"); /* nobody's */
    rig_close(&r);
}

/* ---- executions ------------------------------------------------------------------------------------------ */

static void executions_are_made(void **state)
{
    rig r;
    json_t *got;

    (void)state;
    rig_open(&r);
    define(&r, CHAIN);
    got = ask(&r, "ExecuteWorkflow",
              "{'workflow_id':'chain','inputs':'{\\'n\\':5}','execution_id':'x-1','priority':0}");
    assert_string_equal(text_of(got, "id"), "x-1");
    assert_string_equal(text_of(got, "state"), "SUCCEEDED");
    assert_string_equal(text_of(got, "output"), "{\"r\":5}");
    json_decref(got);
    got = ask(&r, "StartExecution", "{'workflow_id':'chain','start_key':'once'}");
    assert_int_equal(strlen(text_of(got, "execution_id")) > 0, 1);
    json_decref(got);
    got = ask(&r, "StartExecution",
              "{'workflow_id':'chain','start_key':'named','execution_id':'n-1'}");
    json_decref(got);
    expect(&r, "StartExecution", "{'workflow_id':'chain','start_key':'named'}",
           "{\"execution_id\":\"n-1\",\"existed\":true}");
    ASK_FAILS(&r, "StartExecution", "{\"workflow_id\":\"chain\",\"execution_id\":\"x-1\"}",
              ORCH_E_ALREADY_EXISTS, "x-1");
    ASK_FAILS(&r, "StartExecution", "{\"workflow_id\":\"none\"}", ORCH_E_NOT_FOUND, "none");
    ASK_FAILS(&r, "StartExecution", "{\"workflow_id\":\"chain\",\"inputs\":\"[\"}",
              ORCH_E_INVALID_ARGUMENT, "inputs");
    ASK_FAILS(&r, "StartExecution", "{\"workflow_id\":\"chain\",\"priority\":10}",
              ORCH_E_INVALID_ARGUMENT, "priority");
    got = ask(&r, "GetExecution", "{'execution_id':'x-1'}");
    assert_string_equal(text_of(got, "input"), "{\"n\":5}");
    assert_string_equal(text_of(got, "workflow_id"), "chain");
    json_decref(got);
    got = ask(&r, "GetHistory", "{'execution_id':'x-1'}");
    assert_int_equal(json_array_size(json_object_get(got, "entries")), 2);
    assert_string_equal(text_of(json_array_get(json_object_get(got, "entries"), 1), "step"), "b");
    json_decref(got);
    got = ask(&r, "GetSteps", "{'execution_id':'x-1'}");
    assert_int_equal(json_integer_value(json_object_get(got, "total")), 2);
    assert_string_equal(text_of(json_array_get(json_object_get(got, "steps"), 0), "state"),
                        "succeeded");
    json_decref(got);
    got = ask(&r, "ListExecutions",
              "{'conditions':[{'key':'workflow','value':'chain'}],'page_size':2}");
    assert_int_equal(json_array_size(json_object_get(got, "executions")), 2);
    assert_true(*text_of(got, "next_page_token"));
    json_decref(got);
    ASK_FAILS(&r, "ListExecutions", "{\"conditions\":[{\"key\":\"page\",\"value\":\"1\"}]}",
              ORCH_E_INVALID_ARGUMENT, "page");
    ASK_FAILS(&r, "GetExecution", "{\"execution_id\":\"none\"}", ORCH_E_NOT_FOUND, "none");
    rig_close(&r);
}

static void executions_are_controlled(void **state)
{
    rig r;
    json_t *got;

    (void)state;
    rig_open(&r);
    define(&r, GATED);
    json_decref(ask(&r, "StartExecution", "{'workflow_id':'gated','execution_id':'g-1'}"));
    latch_wait(&r.gate, 1);
    got = ask(&r, "ListEngines", "{}");
    assert_int_equal(json_array_size(json_object_get(got, "engines")), 1);
    assert_int_equal(json_integer_value(json_object_get(
                         json_array_get(json_object_get(got, "engines"), 0), "active")),
                     1);
    json_decref(got);
    expect(&r, "Pause", "{'execution_id':'g-1','who':'me','why':'lunch'}", "{}");
    got = ask(&r, "GetExecution", "{'execution_id':'g-1'}");
    assert_true(json_is_true(json_object_get(got, "paused")));
    assert_string_equal(text_of(got, "state"), "RUNNING");
    json_decref(got);
    expect(&r, "Resume", "{'execution_id':'g-1'}", "{}");
    expect(&r, "Signal", "{'execution_id':'g-1','name':'go','payload':'[1,2]'}", "{}");
    latch_open(&r.gate);
    host_await_state(r.orch, "g-1", ORCH_EXECUTION_SUCCEEDED);
    ASK_FAILS(&r, "Cancel", "{\"execution_id\":\"g-1\"}", ORCH_E_FAILED_PRECONDITION, "succeeded");
    json_decref(ask(&r, "StartExecution", "{'workflow_id':'gated','execution_id':'g-2'}"));
    latch_wait(&r.gate, 2);
    expect(&r, "Cancel", "{'execution_id':'g-2'}", "{}");
    host_await_state(r.orch, "g-2", ORCH_EXECUTION_CANCELLED);
    expect(&r, "Retry", "{'execution_id':'g-2'}", "{}");
    latch_wait(&r.gate, 2);
    expect(&r, "Terminate", "{'execution_id':'g-2'}", "{}");
    host_await_state(r.orch, "g-2", ORCH_EXECUTION_CANCELLED);
    rig_close(&r);
}

/* What takes a while to be looked at is not for the loop. */
static void large_starts_are_taken(void **state)
{
    static char request[100000];
    orch_reply *answer = NULL;
    rig r;

    (void)state;
    rig_open(&r);
    define(&r, CHAIN);
    snprintf(
        request, sizeof request,
        "{\"workflow_id\":\"chain\",\"execution_id\":\"l-1\",\"inputs\":\"{\\\"n\\\":7,\\\"t\\\":\\\"%080000d\\\"}\"}",
        0);
    HOST_OK(orch_client_call(r.client, "ExecuteWorkflow", request, strlen(request),
                             HOST_PATIENCE_MS, &answer, &err));
    assert_non_null(strstr(orch_reply_json(answer, NULL), "\"output\":\"{\\\"r\\\":7}\""));
    orch_reply_free(answer);
    memcpy(strstr(request, "l-1"), "l-2", 3);
    request[strlen(request) - 3] = 'x'; /* where the inputs end */
    ASK_FAILS(&r, "StartExecution", request, ORCH_E_INVALID_ARGUMENT, "inputs");
    rig_close(&r);
}

/* An engine asks on behalf of a step that runs: here the first hand-over of the first term of its store. */
static void steps_start_children(void **state)
{
    char request[400], id[64];
    uint64_t key;
    json_t *got;
    rig r;

    (void)state;
    rig_open(&r);
    define(&r, CHAIN);
    define(&r, GATED);
    got = ask(&r, "StartExecution", "{'workflow_id':'gated'}");
    snprintf(id, sizeof id, "%s", text_of(got, "execution_id"));
    json_decref(got);
    assert_true(execution_id_parse(id, &key));
    latch_wait(&r.gate, 1);
    for (int counter = 0; counter < 2; counter++) {
        snprintf(
            request, sizeof request,
            "{\"execution_key\":%llu,\"epoch\":{\"term\":1,\"counter\":%d},\"run\":1,\"step\":0,"
            "\"attempt\":1,\"child_id\":\"%s/1/held\",\"workflow_id\":\"chain\",\"wait\":true}",
            (unsigned long long)key, counter, id);
        if (!counter) /* of no hand-over */
            ASK_FAILS(&r, "ExecuteSubWorkflow", request, ORCH_E_FAILED_PRECONDITION, "");
    }
    got = ask(&r, "ExecuteSubWorkflow", request);
    assert_string_equal(text_of(json_object_get(got, "execution"), "state"), "SUCCEEDED");
    assert_null(json_object_get(got, "existed"));
    json_decref(got);
    got = ask(&r, "ExecuteSubWorkflow", request); /* said again */
    assert_true(json_is_true(json_object_get(got, "existed")));
    json_decref(got);
    latch_open(&r.gate);
    rig_close(&r);
}

static void a_forked_child_is_refused(void **state)
{
    pid_t pid;
    rig r;
    int status;

    (void)state;
    rig_open(&r);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        orch_reply *reply = NULL;
        int32_t code = orch_client_call(r.client, "ListEngines", NULL, 0, 0, &reply, NULL);

        orch_client_free(r.client);
        _exit(code == ORCH_E_FAILED_PRECONDITION ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    json_decref(ask(&r, "ListEngines", "{}"));
    rig_close(&r);
}

static void calls_that_are_wrong_are_told(void **state)
{
    rig r;

    (void)state;
    rig_open(&r);
    ASK_FAILS(&r, "NoSuchMethod", "{}", ORCH_E_UNIMPLEMENTED, "NoSuchMethod");
    ASK_FAILS(&r, "EngineService/Execute", "{}", ORCH_E_UNIMPLEMENTED, "Execute");
    ASK_FAILS(&r, "EngineService/GetEngineStatus", "{}", ORCH_E_UNIMPLEMENTED, "");
    ASK_FAILS(&r, "GetExecution", "{\"id\":1}", ORCH_E_INVALID_ARGUMENT, "no field 'id'");
    ASK_FAILS(&r, "GetExecution", "{\"execution_id\":1}", ORCH_E_INVALID_ARGUMENT, "takes a text");
    ASK_FAILS(&r, "GetExecution", "[", ORCH_E_INVALID_ARGUMENT, "request_json");
    ASK_FAILS(&r, "GetHistory", "{\"run\":-1}", ORCH_E_INVALID_ARGUMENT, "32 bits");
    ASK_FAILS(&r, "DeleteWorkflow", "{}", ORCH_E_INVALID_ARGUMENT, "workflow");
    rig_close(&r);
}

/* ---- events ---------------------------------------------------------------------------------------------- */

typedef struct listener {
    const rig *rig;
    latch heard;
    char kinds[2000];
    int64_t missed;
    int32_t code;
} listener;

static int32_t hear(void *user_data, const char *json, size_t len)
{
    listener *l = user_data;
    json_t *e = json_loadb(json, len, 0, NULL);
    size_t at = strlen(l->kinds);

    if (!strcmp(text_of(e, "execution_id"), "ev-1"))
        snprintf(l->kinds + at, sizeof l->kinds - at, "%s %s %s\n", text_of(e, "kind"),
                 text_of(e, "step"),
                 strcmp(text_of(e, "kind"), "execution_handed_over") ? text_of(e, "text") : "");
    l->missed += json_integer_value(json_object_get(e, "missed"));
    latch_add(&l->heard);
    json_decref(e);
    return strstr(l->kinds, "execution_ended") != NULL;
}

static void *listen_to_all(void *arg)
{
    static const char request[] = "{\"min_severity\":\"DEBUG\"}";
    listener *l = arg;

    l->code = orch_client_stream(l->rig->client, "SubscribeEvents", request, strlen(request),
                                 HOST_PATIENCE_MS, hear, l, NULL);
    return NULL;
}

static void events_are_streamed(void **state)
{
    rig r;
    listener l = {.rig = &r, .heard = LATCH_INIT};
    pthread_t thread;

    (void)state;
    rig_open(&r);
    define(&r, CHAIN);
    assert_int_equal(pthread_create(&thread, NULL, listen_to_all, &l), 0);
    while (!latch_count(&l.heard)) /* who does not listen yet hears nothing */
        json_decref(ask(&r, "ExecuteWorkflow", "{'workflow_id':'chain'}"));
    json_decref(ask(&r, "ExecuteWorkflow", "{'workflow_id':'chain','execution_id':'ev-1'}"));
    pthread_join(thread, NULL);
    assert_int_equal(l.code, 0);
    assert_string_equal(
        l.kinds,
        "execution_accepted  chain\nexecution_handed_over  \nstep a running\n"
        "step a succeeded\nstep b running\nstep b succeeded\nexecution_ended  succeeded\n");
    assert_int_equal(l.missed, 0);
    rig_close(&r);
}

/* ---- what goes wrong ------------------------------------------------------------------------------------- */

static void nobody_is_there(void **state)
{
    orch_reply *reply = NULL;
    orch_client *c = orch_client_new(NULL, "unix:/nowhere/at/all", NULL);
    orch_error *error = NULL;

    (void)state;
    HOST_FAILS(orch_client_call(c, "ListEngines", NULL, 0, 0, &reply, &err), ORCH_E_UNAVAILABLE,
               "nowhere");
    orch_client_free(c);
    assert_null(orch_client_new(NULL, "nowhere", &error));
    assert_int_equal(orch_error_code(error), ORCH_E_INVALID_ARGUMENT);
    assert_non_null(strstr(orch_error_message(error), "nowhere"));
    orch_error_free(error);
}

typedef struct waiter {
    const rig *rig;
    int32_t code;
} waiter;

static void *wait_for_end(void *arg)
{
    waiter *w = arg;
    orch_reply *reply = NULL;
    static const char request[] = "{\"workflow_id\":\"gated\",\"execution_id\":\"w-1\"}";

    w->code = orch_client_call(w->rig->client, "ExecuteWorkflow", request, strlen(request), 0,
                               &reply, NULL);
    orch_reply_free(reply);
    return NULL;
}

static void a_stop_answers_who_waits(void **state)
{
    rig r;
    waiter w = {&r, 0};
    pthread_t thread;

    (void)state;
    rig_open(&r);
    define(&r, GATED);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_end, &w), 0);
    latch_wait(&r.gate, 1);
    host_close(r.orch);
    pthread_join(thread, NULL);
    assert_int_equal(w.code, ORCH_E_UNAVAILABLE);
    orch_client_free(r.client);
}

static void a_deadline_ends_the_call_alone(void **state)
{
    rig r;
    orch_reply *reply = NULL;
    static const char request[] = "{\"workflow_id\":\"gated\",\"execution_id\":\"d-1\"}";

    (void)state;
    rig_open(&r);
    define(&r, GATED);
    HOST_FAILS(
        orch_client_call(r.client, "ExecuteWorkflow", request, strlen(request), 300, &reply, &err),
        ORCH_E_DEADLINE_EXCEEDED, "deadline");
    latch_wait(&r.gate, 1);
    latch_open(&r.gate);
    json_decref(ask(&r, "Signal", "{'execution_id':'d-1','name':'go'}"));
    host_await_state(r.orch, "d-1", ORCH_EXECUTION_SUCCEEDED);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workflows_are_kept),
        cmocka_unit_test(updates_look_at_dependents),
        cmocka_unit_test(versions_are_deleted),
        cmocka_unit_test(executions_are_made),
        cmocka_unit_test(executions_are_controlled),
        cmocka_unit_test(large_starts_are_taken),
        cmocka_unit_test(steps_start_children),
        cmocka_unit_test(a_forked_child_is_refused),
        cmocka_unit_test(calls_that_are_wrong_are_told),
        cmocka_unit_test(events_are_streamed),
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(a_stop_answers_who_waits),
        cmocka_unit_test(a_deadline_ends_the_call_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
