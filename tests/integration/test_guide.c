/* Goal: the definitions of docs/definition.md and docs/cookbook.md do what stands beside them, and the C of the cookbook is what
 * runs here. */
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
static orch_v2 *the_host;

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

/* ---- The C of the cookbook, as it stands there, and the services that it calls ------------------ */

/* They tell one order from the next by what is in it. */
static bool carrier_ship(void *service, const char *key, const char *order)
{
    assert_non_null(strstr(key, "/1/parcel"));
    note(service, order, strlen(order));
    return !strstr(order, "nowhere");
}

static void ship(void *user_data, orch_task *task)
{
    const char *order = orch_task_input(task, NULL);

    if (carrier_ship(user_data, orch_task_idempotency_key(task), order))
        orch_task_complete(task, NULL, 0, NULL);
    else
        orch_task_fail(task, ORCH_E_FAILED_PRECONDITION, 0, "the carrier does not go there");
}

enum { FARM_DONE, FARM_RUNS, FARM_FAILED };

static int farm_ask(void *service, const char *job, const char **out_picture)
{
    int polls;

    note(service, job, strlen(job));
    polls = noted(service);
    *out_picture = "\"a picture\"";
    if (strstr(job, "broken"))
        return polls < 2 ? FARM_RUNS : FARM_FAILED;
    return polls < 3 ? FARM_RUNS : FARM_DONE;
}

static void job_result(void *user_data, orch_task *task)
{
    const char *picture = NULL;

    switch (farm_ask(user_data, orch_task_input(task, NULL), &picture)) {
    case FARM_DONE: orch_task_complete(task, picture, strlen(picture), NULL); break;
    case FARM_RUNS: orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "not done yet"); break;
    default: orch_task_fail(task, ORCH_E_ABORTED, 0, "the job failed"); break;
    }
}

static int32_t decide(orch_v2 *orch, const char *execution, bool ok, const char *who,
                      orch_error **err)
{
    const char *payload = ok ? "{\"ok\":true}" : "{\"ok\":false}";
    orch_control *control = orch_control_new();
    int32_t rc = control ? orch_control_set_who(control, who) : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_v2_signal(orch, execution, "decision", payload, strlen(payload), NULL, control,
                            err);
    orch_control_free(control);
    return rc;
}

static int32_t failed_children(orch_v2 *orch, const char *parent, orch_execution_list **out_list,
                               orch_error **err)
{
    orch_filter *filter = orch_filter_new();
    int32_t rc = filter ? orch_filter_set(filter, "parent", parent, err)
                        : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_filter_set(filter, "state", "failed", err);
    if (!rc)
        rc = orch_v2_list_executions(orch, filter, out_list, err);
    orch_filter_free(filter);
    return rc;
}

static int32_t start_night(orch_v2 *orch, const char *night, const char *input,
                           orch_execution **out_execution, orch_error **err)
{
    orch_start_options *options = orch_start_options_new();
    int32_t rc = options
                     ? orch_start_options_set_start_key(options, night, ORCH_START_KEY_RETURN, 0)
                     : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_v2_start_workflow(orch, "nightly-load", input, strlen(input), options,
                                    out_execution, err);
    orch_start_options_free(options);
    return rc;
}

static int32_t go_on(orch_v2 *orch, const char *execution, const char *who, const char *why,
                     orch_error **err)
{
    orch_control *control = orch_control_new();
    int32_t rc = control ? orch_control_set_who(control, who) : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_control_set_why(control, why);
    if (!rc)
        rc = orch_v2_retry(orch, execution, control, err);
    orch_control_free(control);
    return rc;
}

/* Of order o3 nobody hears whether it was paid. */
static void charge_card(void *user_data, orch_task *task)
{
    size_t len;
    const char *input = orch_task_input(task, &len);

    note(user_data, input, len);
    if (strstr(input, "\"o3\""))
        orch_task_fail(task, ORCH_E_DEADLINE_EXCEEDED, 0, "no answer from the bank");
    else
        HOST_OK(orch_task_complete(task, NULL, 0, &err));
}

/* Fails for files that hold "bad", until somebody mends them. */
static bool mended;

static void load_file(void *user_data, orch_task *task)
{
    size_t len;
    const char *input = orch_task_input(task, &len);

    note(user_data, input, len);
    if (strstr(input, "bad") && !mended)
        orch_task_fail(task, ORCH_E_DATA_LOSS, 1, "line 7 is torn");
    else
        HOST_OK(orch_task_complete(task, NULL, 0, &err));
}

/* Of one account nothing can be read. */
static void read_bookings(void *user_data, orch_task *task)
{
    static const char bookings[] = "[{\"cents\":3},{\"cents\":4}]";

    (void)user_data;
    if (!strcmp(orch_task_input(task, NULL), "\"lost\""))
        orch_task_fail(task, ORCH_E_NOT_FOUND, 0, "no such account");
    else
        HOST_OK(orch_task_complete(task, bookings, sizeof bookings - 1, &err));
}

static void submit_job(void *user_data, orch_task *task)
{
    size_t len;
    const char *input = orch_task_input(task, &len);
    char job[128];

    note(user_data, input, len);
    snprintf(job, sizeof job, "{\"job\":{\"of\":%s}}", input);
    HOST_OK(orch_task_complete(task, job, strlen(job), &err));
}

static char *cookbook;

/* All that a document defines; it must be so many. */
static void define_all(const char *text, int count)
{
    for (const char *at = text; (at = strstr(at, "\n```yaml\n")); count--) {
        const char *end = strstr(at, "\n```\n");

        at += strlen("\n```yaml\n");
        HOST_OK(orch_v2_register_definition(the_host, at, (size_t)(end + 1 - at), &err));
    }
    assert_true(count <= 0);
}

/* All definitions of the guide and the cookbook, and what they use. */
static int set_up(void **state)
{
    static char names[][16] = {"send_mail",    "place_order", "print_labels", "book_night",
                               "cancel_night", "charge",      "save_words",   "transcode",
                               "reserve",      "release",     "refund",       "pay_out",
                               "open_batch",   "close_batch"};
    static struct {
        char name[16];
        orch_task_fn fn;
    } services[] = {{"ship", ship},
                    {"charge_card", charge_card},
                    {"read_bookings", read_bookings},
                    {"submit_job", submit_job},
                    {"job_result", job_result},
                    {"load_file", load_file}};
    char *guide;

    (void)state;
    the_host = host_open("memory:", "EXEC_ENABLED", "false", "SUSPEND_AFTER", "1ms", NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        HOST_OK(orch_engine_register_executor(orch_v2_local_engine(the_host), names[i], act,
                                              names[i], NULL, &err));
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        HOST_OK(orch_engine_register_executor(orch_v2_local_engine(the_host), services[i].name,
                                              services[i].fn, services[i].name, NULL, &err));
    host_define(the_host,
                "{'id':'pack-parcel','version':'2.0.1','steps':[{'id':'p','executor':'lua',"
                "'with':{'code':'if input.parcel == [[torn]] then error{code = "
                "[[DATA_LOSS]], message = [[it is torn]], data = {side = 2}} end'}}],"
                "'output':'${input.parcel} is ${input.number}'}");
    host_define(the_host, "{'id':'pack-parcel','version':'3.0.0','steps':[{'id':'p','executor':"
                          "'noop'}],'output':'not for ^2'}");
    guide = file_text("docs/definition.md", NULL);
    define_all(guide, 13);
    free(guide);
    cookbook = file_text("docs/cookbook.md", NULL);
    define_all(cookbook, 6);
    server = http_server_start(answer, NULL);
    return server ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    host_close(the_host);
    http_server_stop(server);
    free(cookbook);
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
    const char *got = host_execute(the_host, workflow, inputs(room, sizeof room, input), out,
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
    HOST_OK(orch_v2_start_workflow(the_host, workflow, room, strlen(room), options, &e, &err));
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
    HOST_FAILS(orch_v2_execute_workflow(the_host, "invoice", "{\"customer\":\"c\",\"lines\":{}}",
                                        27, NULL, &(orch_response *){NULL}, &err),
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
    HOST_OK(orch_v2_signal(the_host, "approve-7", "approved", "{\"ok\":true,\"by\":\"x\"}", 20, "8",
                           NULL, &err)); /* of another order */
    HOST_OK(orch_v2_signal(the_host, "approve-7", "approved", "{\"ok\":true,\"by\":\"b\"}", 20, "7",
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
    HOST_OK(
        orch_v2_signal(the_host, "approve-9", "approved", "{\"ok\":false}", 12, "9", NULL, &err));
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
    assert_int_equal(host_state(the_host, "torn/1/pack/0"), ORCH_EXECUTION_FAILED);
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

/* ---- The cookbook ---------------------------------------------------------------------------- */

static void the_c_of_the_cookbook_is_what_runs_here(void **state)
{
    (void)state;
    assert_int_equal(file_check_blocks("docs/cookbook.md", "tests/integration/test_guide.c"), 6);
}

static void a_saga_does_all_or_undoes_it(void **state)
{
    (void)state;
    forget();
    expect("purchase", "{'order':'o1','sku':'s','cents':5,'to':'Rome'}", "succeeded", "null");
    assert_int_equal(noted("refund") + noted("release") + noted("send_mail"), 0);
    forget();
    expect("purchase", "{'order':'o2','sku':'s','cents':5,'to':'nowhere'}", "failed",
           "the carrier does not go there");
    ASSERT_NOTED("ship ");
    ASSERT_NOTED("refund {\"order\":\"o2\",\"why\":\"");
    ASSERT_NOTED("release {\"order\":\"o2\",\"reserved\":{\"order\":\"o2\",\"sku\":\"s\"}}");
    ASSERT_NOTED("send_mail {\"order\":\"o2\",\"subject\":\"We could not deliver: ");
    assert_true(place("ship ") < place("refund") && place("refund") < place("release"));
    assert_true(place("charge_card") < place("ship ") && place("release") < place("send_mail"));
    forget();
    expect("purchase", "{'order':'o3','sku':'s','cents':5,'to':'Rome'}", "failed", "no answer");
    assert_true(place("refund") < place("release"));
    assert_int_equal(noted("ship "), 0);
}

static void a_decision_is_waited_for(void **state)
{
    orch_execution *e = start("expense", "travel", "{'report':'r','lead':'l','head':'h'}");
    orch_controls *controls = NULL;

    (void)state;
    forget();
    HOST_OK(decide(the_host, "travel", true, "l@example.org", &err));
    expect_end(e, "succeeded");
    ASSERT_NOTED("pay_out {\"report\":\"r\"}");
    assert_int_equal(noted("send_mail {\"to\":\"h\""), 0);
    HOST_OK(orch_v2_get_controls(the_host, "travel", 0, 0, &controls, &err));
    assert_int_equal(orch_controls_count(controls), 1);
    assert_string_equal(orch_controls_who(controls, 0), "l@example.org");
    orch_controls_free(controls);
    e = start("expense", "dinner", "{'report':'r','lead':'l','head':'h'}");
    forget();
    HOST_OK(decide(the_host, "dinner", false, "l@example.org", &err));
    expect_end(e, "succeeded");
    assert_int_equal(noted("pay_out"), 0);
}

static void who_says_nothing_is_passed_over(void **state)
{
    orch_execution *e;

    (void)state;
    forget();
    expect("expense", "{'report':'r','lead':'l','head':'h','patience':'5ms','last_call':'5ms'}",
           "failed", "DEADLINE_EXCEEDED");
    ASSERT_NOTED("send_mail {\"to\":\"h\"");
    assert_int_equal(noted("pay_out"), 0);
    forget();
    e = start("expense", "hotel", "{'report':'r','lead':'l','head':'h','patience':'5ms'}");
    for (int before = latch_count(&calls); !noted("send_mail {\"to\":\"h\""); before++)
        latch_wait(&calls, before + 1); /* until the first one's time is up */
    HOST_OK(decide(the_host, "hotel", true, "h@example.org", &err));
    expect_end(e, "succeeded");
    ASSERT_NOTED("pay_out {\"report\":\"r\"}");
}

static void each_has_an_execution_of_its_own(void **state)
{
    orch_execution_list *failed = NULL;

    (void)state;
    expect_end(start("statements", "may", "{'accounts':['a','lost','b']}"), "succeeded");
    HOST_OK(failed_children(the_host, "may", &failed, &err));
    assert_int_equal(orch_execution_list_count(failed), 1);
    assert_string_equal(orch_response_id(orch_execution_list_get(failed, 0)), "may/1/each/1");
    orch_execution_list_free(failed);
    expect("statements", "{'accounts':['a','lost','b']}", "succeeded",
           "{\"cents\":14,\"missing\":[\"lost\"]}");
}

static void a_job_is_polled_until_it_is_done(void **state)
{
    (void)state;
    forget();
    expect("render", "{'scene':'sea'}", "succeeded", "\"a picture\"");
    ASSERT_NOTED("submit_job {\"scene\":\"sea\"}");
    assert_int_equal(noted("job_result {\"of\":{\"scene\":\"sea\"}}"), 3);
    forget();
    expect("render", "{'scene':'broken'}", "failed", "the job failed");
    assert_int_equal(noted("job_result"), 2);
}

static void a_batch_goes_on_from_where_it_failed(void **state)
{
    static const char input[] = "{\"night\":\"05-01\",\"files\":[\"a\",\"bad\",\"c\"]}";
    orch_execution *e = NULL, *again = NULL;
    orch_runs *runs = NULL;
    char id[130];

    (void)state;
    forget();
    HOST_OK(start_night(the_host, "05-01", input, &e, &err));
    snprintf(id, sizeof id, "%s", orch_execution_id(e));
    expect_end(e, "failed");
    assert_int_equal(noted("load_file {\"file\":\"bad\"}"), 2);
    ASSERT_NOTED("send_mail {\"subject\":\"Night 05-01: ");
    assert_int_equal(noted("close_batch"), 0);
    HOST_OK(
        start_night(the_host, "05-01", input, &again, &err)); /* it is that one, though it failed */
    assert_int_equal(orch_execution_existed(again), 1);
    assert_string_equal(orch_execution_id(again), id);
    mended = true;
    HOST_OK(go_on(the_host, id, "j@example.org", "line 7 is mended", &err));
    orch_execution_free(again);
    HOST_OK(orch_v2_find_execution(the_host, id, &again, &err));
    expect_end(again, "succeeded");
    ASSERT_NOTED("open_batch {\"night\":\"05-01\"}");
    ASSERT_NOTED("load_file {\"file\":\"a\"}");
    ASSERT_NOTED("load_file {\"file\":\"c\"}");
    assert_int_equal(noted("load_file {\"file\":\"bad\"}"), 3);
    ASSERT_NOTED("close_batch {\"night\":\"05-01\"}");
    HOST_OK(orch_v2_get_runs(the_host, id, &runs, &err));
    assert_int_equal(orch_runs_state(runs, 0), ORCH_EXECUTION_FAILED);
    orch_runs_free(runs);
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
        cmocka_unit_test(the_c_of_the_cookbook_is_what_runs_here),
        cmocka_unit_test(a_saga_does_all_or_undoes_it),
        cmocka_unit_test(a_decision_is_waited_for),
        cmocka_unit_test(who_says_nothing_is_passed_over),
        cmocka_unit_test(each_has_an_execution_of_its_own),
        cmocka_unit_test(a_job_is_polled_until_it_is_done),
        cmocka_unit_test(a_batch_goes_on_from_where_it_failed),
    };

    if (!orch_has_feature("yaml") || !orch_has_feature("http"))
        return skip_program("the guide's definitions are YAML and use http, one of which this "
                            "build is without");
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
