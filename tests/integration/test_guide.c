/* Goal: the definitions of docs/definition.md do what stands beside them. */
#include "support/api_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/file.h"
#include "support/http_server.h"
#include "support/skip.h"

/* ---- What is seen of it: each call of an executor and each request, a line -------------------- */

static struct journal {
    pthread_mutex_t lock;
    char text[16384];
    size_t len;
} journal = {PTHREAD_MUTEX_INITIALIZER, "", 0};

static void note(const char *what, const char *text, size_t len)
{
    pthread_mutex_lock(&journal.lock);
    journal.len += (size_t)snprintf(journal.text + journal.len, sizeof journal.text - journal.len,
                                    "%s %.*s\n", what, (int)len, text);
    assert_true(journal.len < sizeof journal.text);
    pthread_mutex_unlock(&journal.lock);
}

static void forget(void)
{
    pthread_mutex_lock(&journal.lock);
    journal.text[journal.len = 0] = '\0';
    pthread_mutex_unlock(&journal.lock);
}

/* How many lines begin like that. */
static int noted(const char *line)
{
    int count = 0;

    pthread_mutex_lock(&journal.lock);
    for (const char *p = journal.text; *p; p = strchr(p, '\n') + 1)
        count += !strncmp(p, line, strlen(line));
    pthread_mutex_unlock(&journal.lock);
    return count;
}

/* Where the first line that begins like that stands. */
static size_t place(const char *line)
{
    const char *p = journal.text;

    while (*p && strncmp(p, line, strlen(line)) != 0)
        p = strchr(p, '\n') + 1;
    if (!*p)
        fail_msg("no line '%s' in\n%s", line, journal.text);
    return (size_t)(p - journal.text);
}

#define ASSERT_NOTED(line)                               \
    do {                                                 \
        if (noted(line) != 1)                            \
            fail_msg("'%s' in\n%s", line, journal.text); \
    } while (0)

/* ---- The host -------------------------------------------------------------------------------- */

static latch calls = LATCH_INIT;
static http_server *server;
static orch_v2 *orch;
static char *guide;

/* An executor that does what its name says, and gives back what it got; with charge something is wrong. */
static void act(void *user_data, orch_task *task)
{
    size_t len;
    const char *input = orch_task_input(task, &len);

    note(user_data, input, len);
    if (!strcmp(user_data, "charge"))
        assert_int_equal(orch_task_fail(task, ORCH_E_PERMISSION_DENIED, 0, "card refused"), 0);
    else
        HOST_OK(orch_task_complete(task, input, len, &err));
    latch_add(&calls);
}

static bool answer(void *ctx, const http_server_request *r)
{
    static const char body[] = "{\"id\":\"f1\",\"rate\":2}";
    char line[256];

    (void)ctx;
    snprintf(line, sizeof line, "%s %s", r->method, r->target);
    note(line, r->body, r->body_len);
    return http_server_reply(r, strstr(r->target, "missing") ? 404 : 200,
                             "Content-Type: application/json\r\n", body, sizeof body - 1);
}

/* All definitions of the guide, and what they use. */
static int set_up(void **state)
{
    static char names[][16] = {"send_mail",    "place_order", "print_labels", "book_night",
                               "cancel_night", "charge",      "save_words",   "transcode"};
    char *at;

    (void)state;
    orch = host_open("memory:", "EXEC_ENABLED", "false", "SUSPEND_AFTER", "1ms", NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        HOST_OK(orch_engine_register_executor(orch_v2_local_engine(orch), names[i], act, names[i],
                                              NULL, &err));
    host_define(orch, "{'id':'pack-parcel','version':'2.0.1','steps':[{'id':'p','executor':'lua',"
                      "'with':{'code':'if input.parcel == [[torn]] then error{code = "
                      "[[DATA_LOSS]], message = [[it is torn]], data = {side = 2}} end'}}],"
                      "'output':'${input.parcel} is ${input.number}'}");
    host_define(orch, "{'id':'pack-parcel','version':'3.0.0','steps':[{'id':'p','executor':"
                      "'noop'}],'output':'not for ^2'}");
    at = guide = file_text("docs/definition.md", NULL);
    while ((at = strstr(at, "\n```yaml\n"))) {
        char *end = strstr(at, "\n```\n");

        at += strlen("\n```yaml\n");
        HOST_OK(orch_v2_register_definition(orch, at, (size_t)(end + 1 - at), &err));
    }
    server = http_server_start(answer, NULL);
    return server ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    host_close(orch);
    http_server_stop(server);
    free(guide);
    return 0;
}

/* A text, ' for ", with what stands for the server, SERVER, filled in. */
static const char *inputs(char *room, size_t size, const char *text)
{
    const char *at = strstr(text, "SERVER");
    int before = at ? (int)(at - text) : (int)strlen(text);

    snprintf(room, size, "%.*s", before, text);
    if (at)
        snprintf(room + before, size - (size_t)before, "http://127.0.0.1:%d%s",
                 http_server_port(server), at + strlen("SERVER"));
    for (char *p = room; *p; p++)
        if (*p == '\'')
            *p = '"';
    return room;
}

static void expect(const char *workflow, const char *input, const char *state, const char *result)
{
    char room[512], out[2048];
    const char *got = host_execute(orch, workflow, inputs(room, sizeof room, input), out,
                                   sizeof out);

    if (strcmp(got, state) != 0 || !strstr(out, result))
        fail_msg("%s of %s: %s %s\n%s", workflow, input, got, out, journal.text);
}

static orch_execution *start(const char *workflow, const char *id, const char *input)
{
    orch_start_options *options = orch_start_options_new();
    orch_execution *e = NULL;
    char room[512];

    inputs(room, sizeof room, input);
    HOST_OK(orch_start_options_set_id(options, id));
    HOST_OK(orch_v2_start_workflow(orch, workflow, room, strlen(room), options, &e, &err));
    orch_start_options_free(options);
    return e;
}

static void expect_end(orch_execution *e, const char *state)
{
    orch_response *r = NULL;

    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_string_equal(orch_execution_state_name(orch_response_state(r)), state);
    orch_response_free(r);
    orch_execution_free(e);
}

/* ---- The examples ---------------------------------------------------------------------------- */

static void what_was_there_before(void **state)
{
    (void)state;
    forget();
    expect("price", "{'rates_url':'SERVER/','currency':'EUR','lines':[{'cents':5,'count':3}]}",
           "succeeded", "{\"total\":30}");
    expect("discount", "{'total':250}", "succeeded", "2");
    expect("discount", "{'total':50}", "succeeded", "0");
    expect("quick", "{'text':'to be or'}", "succeeded", "null");
    ASSERT_NOTED("save_words [\"to\",\"be\",\"or\"]");
}

static void inputs_and_outputs_are_what_is_declared(void **state)
{
    (void)state;
    forget();
    expect("invoice", "{'customer':'c','lines':[{'cents':5,'count':3}]}", "succeeded",
           "{\"cents\":15,\"note\":null}");
    expect("invoice", "{'customer':'c','lines':[{'cents':0.5,'count':1}]}", "failed",
           "{\"code\":\"FAILED_PRECONDITION\",\"message\":\"output: 'cents' must be an integer, "
           "not a real number\"");
    HOST_FAILS(orch_v2_execute_workflow(orch, "invoice", "{\"customer\":\"c\",\"lines\":{}}", 27,
                                        NULL, &(orch_response *){NULL}, &err),
               ORCH_E_INVALID_ARGUMENT,
               "inputs of workflow 'invoice' 1.0.0: 'lines' must be an array, not an object");
}

static void a_failure_is_gone_on_after(void **state)
{
    (void)state;
    forget();
    expect("order-mail", "{'pictures':'SERVER/missing','sku':'s','to':'t'}", "succeeded", "null");
    ASSERT_NOTED("GET /missing/s");
    ASSERT_NOTED("send_mail {\"to\":\"t\",\"picture\":null}");
}

static void a_wait_ends_in_time(void **state)
{
    (void)state;
    forget();
    expect("reminder", "{'to':'t','after':'5ms'}", "succeeded", "null");
    ASSERT_NOTED("send_mail {\"to\":\"t\"}");
}

static void a_signal_is_waited_for(void **state)
{
    int before = latch_count(&calls);
    orch_execution *e = start("approval", "approve-7", "{'boss':'b','order':7}");

    (void)state;
    forget();
    latch_wait(&calls, before + 1);
    HOST_OK(orch_v2_signal(orch, "approve-7", "approved", "{\"ok\":true,\"by\":\"x\"}", 20, "8",
                           NULL, &err)); /* of another order */
    HOST_OK(orch_v2_signal(orch, "approve-7", "approved", "{\"ok\":true,\"by\":\"b\"}", 20, "7",
                           NULL, &err));
    expect_end(e, "succeeded");
    ASSERT_NOTED("place_order {\"order\":7,\"by\":\"b\"}");
    assert_int_equal(noted("place_order"), 1);
}

/* As it may: the execution has hardly begun. */
static void a_signal_may_come_early(void **state)
{
    orch_execution *e = start("approval", "approve-9", "{'boss':'b','order':9}");

    (void)state;
    forget();
    HOST_OK(orch_v2_signal(orch, "approve-9", "approved", "{\"ok\":false}", 12, "9", NULL, &err));
    expect_end(e, "succeeded");
    assert_int_equal(noted("place_order"), 0);
}

static void children_are_executed(void **state)
{
    (void)state;
    forget();
    expect("parcels", "{'parcels':['a','b']}", "succeeded", "null");
    ASSERT_NOTED("print_labels [\"a is 0\",\"b is 1\"]");
}

static void a_child_that_fails_says_where(void **state)
{
    orch_execution *e = start("parcels", "torn", "{'parcels':['torn']}");
    orch_response *r = NULL;
    const char *error;

    (void)state;
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    error = orch_response_error(r, NULL);
    if (!strstr(error, "\"code\":\"DATA_LOSS\"") || !strstr(error, "it is torn") ||
        !strstr(error,
                "\"execution\":\"torn/1/pack/0~2\",\"path\":[\"torn/1/pack/0~2\"],\"error\":{"
                "\"code\":\"DATA_LOSS\"") ||
        !strstr(error, "\"data\":{\"side\":2}"))
        fail_msg("%s", error);
    assert_int_equal(host_state(orch, "torn/1/pack/0"), ORCH_EXECUTION_FAILED);
    orch_response_free(r);
    orch_execution_free(e);
}

static void what_was_done_is_undone(void **state)
{
    static const char monday[] = "cancel_night {\"night\":\"mo\",\"booking\":{\"night\":\"mo\"},"
                                 "\"why\":\"";
    static const char tuesday[] = "cancel_night {\"night\":\"tu\",\"booking\":{\"night\":\"tu\"},"
                                  "\"why\":\"";

    (void)state;
    forget();
    expect("journey", "{'air':'SERVER','to':'Rome','nights':['mo','tu'],'cents':5}", "failed",
           "card refused");
    ASSERT_NOTED("POST /bookings {\"to\":\"Rome\"}");
    ASSERT_NOTED(monday);
    ASSERT_NOTED(tuesday);
    ASSERT_NOTED("DELETE /bookings/f1");
    assert_true(place("charge") < place(monday) && place("charge") < place(tuesday));
    assert_true(place(monday) < place("DELETE") && place(tuesday) < place("DELETE"));
    if (!strstr(journal.text, "card refused"))
        fail_msg("%s", journal.text);
}

static void nothing_is_undone_if_nothing_failed(void **state)
{
    (void)state;
    forget();
    expect("journey", "{'air':'SERVER/missing','to':'Rome','nights':[],'cents':5}", "failed",
           "404");
    assert_int_equal(noted("DELETE"),
                     0); /* the only step that ran has failed, and may not have done anything */
}

static void a_failed_workflow_is_told_of(void **state)
{
    (void)state;
    forget();
    expect("import", "{'source':'s','table':'t','alarm_url':'SERVER/alarm'}", "failed",
           "PERMISSION_DENIED"); /* exec is off here */
    ASSERT_NOTED("POST /alarm {\"state\":\"failed\",\"error\":{\"code\":\"PERMISSION_DENIED\"");
    if (!strstr(journal.text, "\"fetched\":\"failed\"}"))
        fail_msg("%s", journal.text);
    forget();
    expect("nightly", "{'from':'f','to':'t','alarm_url':'SERVER/alarm'}", "failed",
           "PERMISSION_DENIED");
    ASSERT_NOTED("POST /alarm {\"code\":\"PERMISSION_DENIED\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_there_before),
        cmocka_unit_test(inputs_and_outputs_are_what_is_declared),
        cmocka_unit_test(a_failure_is_gone_on_after),
        cmocka_unit_test(a_wait_ends_in_time),
        cmocka_unit_test(a_signal_is_waited_for),
        cmocka_unit_test(a_signal_may_come_early),
        cmocka_unit_test(children_are_executed),
        cmocka_unit_test(a_child_that_fails_says_where),
        cmocka_unit_test(what_was_done_is_undone),
        cmocka_unit_test(nothing_is_undone_if_nothing_failed),
        cmocka_unit_test(a_failed_workflow_is_told_of),
    };

    if (!orch_has_feature("yaml") || !orch_has_feature("http"))
        return skip_program("the guide's definitions are YAML and use http, one of which this "
                            "build is without");
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
