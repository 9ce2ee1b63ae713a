/* Goal: the public functions do what their headers say, on both stores: from a definition to a durable result, looked at from all
 * sides, also by the next process. */
#include "support/api_host.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char CHAIN[] =
    "{'id':'chain','version':'1.0.0','steps':[{'id':'a','executor':'echo','with':{'n':'${input.n}'}},"
    "{'id':'b','executor':'lua','depends_on':['a'],'with':{'code':'return steps.a.output.n * 2'}},"
    "{'id':'c','executor':'noop','depends_on':['b'],'with':{'got':'${steps.b.output}'}}],"
    "'output':{'r':'${steps.c.output.got}'}}";
static const char GATED[] =
    "{'id':'gated','version':'1.0.0','steps':[{'id':'wait-here','executor':'gate','with':{'x':1}},"
    "{'id':'after','executor':'noop','depends_on':['wait-here']}]}";
static const char FAILING[] =
    "{'id':'failing','version':'1.0.0','steps':[{'id':'bad','executor':'lua','with':{'code':"
    "'error{code=\\\"NOT_FOUND\\\", message=\\\"no such thing\\\"}'}}]}";

static orch_v2 *open_with_echo(const char *url)
{
    orch_v2 *o = host_open(url, NULL);

    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "echo", host_echo, NULL, NULL,
                                          &err));
    host_define(o, CHAIN);
    return o;
}

static orch_v2 *open_with_gate(const char *url, latch *gate)
{
    orch_v2 *o = host_open(url, NULL);

    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "gate", host_gate, gate, NULL,
                                          &err));
    host_define(o, GATED);
    return o;
}

static const char *store_url(void **state, const char *name, char room[200])
{
    return *state ? host_sqlite(room, 200, name) : "memory:";
}

/* ---- the main road --------------------------------------------------------------------------------------- */

static void a_workflow_is_executed(void **state)
{
    char room[200], output[100];
    orch_v2 *o = open_with_echo(store_url(state, "flow.db", room));

    assert_string_equal(host_execute(o, "chain", "{\"n\": 21}", output, sizeof output),
                        "succeeded");
    assert_string_equal(output, "{\"r\":42}");
    host_define(o, FAILING);
    assert_string_equal(host_execute(o, "failing", NULL, output, sizeof output), "failed");
    assert_non_null(strstr(output, "no such thing"));
    assert_non_null(strstr(output, "\"NOT_FOUND\""));
    host_close(o);
}

static void a_start_returns_a_handle(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_with_gate(store_url(state, "handle.db", room), &gate);
    orch_start_options *options = orch_start_options_new();
    orch_execution *e = NULL, *twin = NULL, *found = NULL;
    orch_response *r = NULL;

    assert_int_equal(orch_start_options_set_id(options, "order/17"), 0);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, options, &e, &err));
    assert_string_equal(orch_execution_id(e), "order/17");
    HOST_FAILS(orch_v2_start_workflow(o, "gated", NULL, 0, options, &twin, &err),
               ORCH_E_ALREADY_EXISTS, "order/17");
    assert_null(twin);
    latch_wait(&gate, 1);
    HOST_FAILS(orch_execution_wait(e, 0, &r, &err), ORCH_E_DEADLINE_EXCEEDED, "order/17");
    HOST_FAILS(orch_execution_wait(e, 5, &r, &err), ORCH_E_DEADLINE_EXCEEDED, "within 5 ms");
    assert_null(r);
    assert_int_equal(host_state(o, "order/17"), ORCH_EXECUTION_RUNNING);
    HOST_OK(orch_v2_find_execution(o, "order/17", &found, &err));
    latch_open(&gate);
    HOST_OK(orch_execution_wait(e, -1, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    assert_string_equal(orch_response_id(r), "order/17");
    assert_string_equal(orch_response_workflow(r), "gated");
    assert_string_equal(orch_response_version(r), "1.0.0");
    assert_true(orch_response_ended_ms(r) >= orch_response_accepted_ms(r));
    orch_response_free(r);
    HOST_OK(orch_execution_wait(found, HOST_PATIENCE_MS, &r, &err));
    orch_response_free(r);
    orch_execution_free(found);
    orch_execution_free(e);
    orch_start_options_free(options);
    host_close(o);
}

static void the_launcher_starts_too(void **state)
{
    orch_v2 *o = open_with_echo("memory:");
    orch_execution *e = NULL;
    orch_response *r = NULL;

    (void)state;
    HOST_OK(orch_launcher_start(orch_v2_launcher(o), "chain", "{\"n\":1}", 7, NULL, &e, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_string_equal(orch_response_output(r, NULL), "{\"r\":2}");
    orch_response_free(r);
    orch_execution_free(e);
    HOST_OK(orch_launcher_start(orch_v2_launcher(o), "chain", "{\"n\":1}", 7, NULL, NULL, &err));
    host_close(o);
}

/* ---- versions -------------------------------------------------------------------------------------------- */

static int32_t build_two(orch_builder *b, void *user_data, orch_error **err)
{
    (void)err;
    orch_builder_step(b, "only", "noop", user_data);
    orch_builder_set(b, "output", "\"${steps.only.output.v}\"");
    return 0;
}

static int freed;

static void count_free(void *user_data)
{
    (void)user_data;
    freed++;
}

static int32_t register_version(orch_v2 *o, const char *version, char *with, orch_error **err)
{
    return orch_v2_register_workflow(o, "built", version, build_two, with, count_free,
                                     "{\"team\":\"x\"}", 12, err);
}

static void versions_are_chosen(void **state)
{
    char one[] = "{\"v\":1}", two[] = "{\"v\":2}", output[20], room[200];
    orch_v2 *o = host_open(store_url(state, "versions.db", room), NULL);
    orch_start_options *options = orch_start_options_new();
    orch_response *r = NULL;

    freed = 0;
    HOST_OK(register_version(o, "1.0.0", one, &err));
    HOST_OK(register_version(o, "1.0.0", one, &err));
    HOST_FAILS(register_version(o, "1.0.0", two, &err), ORCH_E_ALREADY_EXISTS, "1.0.0");
    HOST_OK(register_version(o, "2.0.0", two, &err));
    HOST_FAILS(register_version(o, "1.5.0", two, &err), ORCH_E_FAILED_PRECONDITION, "2.0.0");
    assert_int_equal(freed, 5);
    host_execute(o, "built", NULL, output, sizeof output);
    assert_string_equal(output, "2");
    assert_int_equal(orch_start_options_set_version(options, "^1.0.0"), 0);
    HOST_OK(orch_v2_execute_workflow(o, "built", NULL, 0, options, &r, &err));
    assert_string_equal(orch_response_output(r, NULL), "1");
    assert_string_equal(orch_response_version(r), "1.0.0");
    orch_response_free(r);
    assert_int_equal(orch_start_options_set_version(options, ">=3"), 0);
    HOST_FAILS(orch_v2_execute_workflow(o, "built", NULL, 0, options, &r, &err), ORCH_E_NOT_FOUND,
               "built");
    HOST_FAILS(orch_v2_execute_workflow(o, "nobody", NULL, 0, NULL, &r, &err), ORCH_E_NOT_FOUND,
               "nobody");
    orch_start_options_free(options);
    host_close(o);
}

static void an_execution_has_a_deadline(void **state)
{
    latch gate = LATCH_INIT;
    orch_v2 *o = open_with_gate("memory:", &gate);
    orch_start_options *options = orch_start_options_new();
    orch_response *r = NULL;

    (void)state;
    assert_int_equal(orch_start_options_set_timeout(options, 20), 0);
    HOST_OK(orch_v2_execute_workflow(o, "gated", NULL, 0, options, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_TIMED_OUT);
    assert_non_null(strstr(orch_response_error(r, NULL), "DEADLINE_EXCEEDED"));
    orch_response_free(r);
    orch_start_options_free(options);
    host_close(o);
}

/* ---- after a restart ------------------------------------------------------------------------------------- */

static void results_outlive_the_process(void **state)
{
    char room[200], id[2][64];
    const char *url = host_sqlite(room, sizeof room, "restart.db");
    orch_v2 *o = open_with_echo(url);
    orch_execution *e = NULL;
    orch_response *r = NULL;
    orch_history *h = NULL;

    (void)state;
    for (int i = 0; i < 2; i++) {
        HOST_OK(orch_v2_start_workflow(o, "chain", "{\"n\":4}", 7, NULL, &e, &err));
        snprintf(id[i], sizeof id[i], "%s", orch_execution_id(e));
        HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
        orch_response_free(r);
        orch_execution_free(e);
    }
    host_close(o);
    o = host_open(url, NULL);
    HOST_OK(orch_v2_get_execution(o, id[0], &r, &err));
    assert_string_equal(orch_response_output(r, NULL), "{\"r\":8}");
    assert_string_equal(orch_response_input(r, NULL), "{\"n\":4}");
    assert_string_equal(orch_response_workflow(r), "chain");
    orch_response_free(r);
    HOST_OK(orch_v2_find_execution(o, id[1], &e, &err));
    assert_string_equal(orch_execution_id(e), id[1]);
    HOST_OK(orch_execution_wait(e, 0, &r, &err));
    assert_string_equal(orch_response_output(r, NULL), "{\"r\":8}");
    assert_string_equal(orch_response_version(r), "1.0.0");
    orch_response_free(r);
    orch_execution_free(e);
    HOST_OK(orch_v2_get_history(o, id[0], 0, 0, &h, &err));
    assert_int_equal(orch_history_count(h), 3);
    assert_string_equal(orch_history_step(h, 1), "b");
    orch_history_free(h);
    HOST_FAILS(orch_v2_get_execution(o, "never-was", &r, &err), ORCH_E_NOT_FOUND, "never-was");
    host_close(o);
}

/* Registered, accepted and begun in one life; ended in the next, whose executor comes late. */
static void what_was_in_flight_goes_on(void **state)
{
    char room[200], id[64];
    const char *url = host_sqlite(room, sizeof room, "inflight.db");
    latch gate = LATCH_INIT;
    orch_v2 *o = open_with_gate(url, &gate);
    orch_execution *e = NULL;
    orch_response *r = NULL;

    (void)state;
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &e, &err));
    snprintf(id, sizeof id, "%s", orch_execution_id(e));
    latch_wait(&gate, 1);
    host_close(o);
    HOST_FAILS(orch_execution_wait(e, -1, &r, &err), ORCH_E_CANCELLED, "after the next start");
    orch_execution_free(e);
    o = host_open(url, NULL);
    HOST_OK(orch_v2_find_execution(o, id, &e, &err));
    HOST_FAILS(orch_execution_wait(e, 20, &r, &err), ORCH_E_DEADLINE_EXCEEDED, id);
    latch_open(&gate);
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "gate", host_gate, &gate, NULL,
                                          &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    orch_response_free(r);
    orch_execution_free(e);
    assert_int_equal(latch_count(&gate), 2);
    host_close(o);
}

static void an_executor_that_never_comes_fails_the_step(void **state)
{
    orch_v2 *o = host_open("memory:", "EXECUTOR_WAIT", "20ms", NULL);
    char output[200];

    (void)state;
    host_define(o, GATED);
    assert_string_equal(host_execute(o, "gated", NULL, output, sizeof output), "failed");
    assert_non_null(strstr(output, "NOT_FOUND"));
    assert_non_null(strstr(output, "gate"));
    host_close(o);
}

/* ---- cancel ---------------------------------------------------------------------------------------------- */

static void it_is_cancelled_while_it_runs(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_with_gate(store_url(state, "cancel.db", room), &gate);
    orch_execution *e = NULL;
    orch_response *r = NULL;
    orch_control *control = orch_control_new();

    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &e, &err));
    latch_wait(&gate, 1);
    orch_control_set_why(control, "not \"wanted\"");
    HOST_OK(orch_v2_cancel(o, orch_execution_id(e), control, &err));
    orch_control_free(control);
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_CANCELLED);
    orch_response_free(r);
    HOST_FAILS(orch_v2_cancel(o, orch_execution_id(e), NULL, &err), ORCH_E_FAILED_PRECONDITION,
               "ended");
    HOST_FAILS(orch_v2_cancel(o, "never-was", NULL, &err), ORCH_E_NOT_FOUND, "never-was");
    HOST_FAILS(orch_v2_cancel(o, "0000000000000", NULL, &err), ORCH_E_NOT_FOUND, "0000000000000");
    orch_execution_free(e);
    host_close(o);
}

/* With room for one, the second waits; a third waits by the clock, out of memory. */
static void it_is_cancelled_before_it_runs(void **state)
{
    static const char SLEEPER[] =
        "{'id':'sleeper','version':'1.0.0','steps':[{'id':'s','executor':'wait','with':"
        "{'duration':'1h'}}]}";
    latch gate = LATCH_INIT;
    orch_v2 *o = host_open("memory:", "LOCAL_CAPACITY", "1", "SUSPEND_AFTER", "1ms", NULL);
    orch_execution *first = NULL, *second = NULL, *asleep = NULL;
    orch_response *r = NULL;

    (void)state;
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "gate", host_gate, &gate, NULL,
                                          &err));
    host_define(o, GATED);
    host_define(o, SLEEPER);
    HOST_OK(orch_v2_start_workflow(o, "sleeper", NULL, 0, NULL, &asleep, &err));
    host_await_state(o, orch_execution_id(asleep), ORCH_EXECUTION_SUSPENDED);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &first, &err));
    latch_wait(&gate, 1);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &second, &err));
    assert_int_equal(host_state(o, orch_execution_id(second)), ORCH_EXECUTION_PENDING);
    HOST_OK(orch_v2_cancel(o, orch_execution_id(second), NULL, &err));
    latch_open(&gate);
    HOST_OK(orch_execution_wait(second, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_CANCELLED);
    orch_response_free(r);
    HOST_OK(orch_execution_wait(first, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    orch_response_free(r);
    HOST_OK(orch_v2_cancel(o, orch_execution_id(asleep), NULL, &err));
    HOST_OK(orch_execution_wait(asleep, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_CANCELLED);
    orch_response_free(r);
    assert_int_equal(latch_count(&gate), 1);
    orch_execution_free(first);
    orch_execution_free(second);
    orch_execution_free(asleep);
    host_close(o);
}

/* ---- looking --------------------------------------------------------------------------------------------- */

static size_t count_listed(orch_v2 *o, const char *keys[][2], size_t n)
{
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;
    size_t count;

    for (size_t i = 0; i < n; i++)
        HOST_OK(orch_filter_set(f, keys[i][0], keys[i][1], &err));
    HOST_OK(orch_v2_list_executions(o, f, &l, &err));
    count = orch_execution_list_count(l);
    orch_execution_list_free(l);
    orch_filter_free(f);
    return count;
}

#define COUNT(o, ...)                                 \
    count_listed(o, (const char *[][2]){__VA_ARGS__}, \
                 sizeof((const char *[][2]){__VA_ARGS__}) / sizeof(const char *[2]))

static void executions_are_listed_by_state(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = host_open(store_url(state, "list.db", room), "LOCAL_CAPACITY", "2", NULL);
    const orch_response *first;
    orch_execution_list *l = NULL;
    orch_filter *f;

    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "gate", host_gate, &gate, NULL,
                                          &err));
    host_define(o, FAILING);
    host_define(o, GATED);
    for (int i = 0; i < 3; i++)
        host_execute(o, "failing", "{\"k\":1}", NULL, 0);
    for (int i = 0; i < 5; i++)
        HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, NULL, &err));
    latch_wait(&gate, 2);
    assert_int_equal(COUNT(o, {"limit", "100"}), 8);
    assert_int_equal(COUNT(o, {"state", "failed"}), 3);
    assert_int_equal(COUNT(o, {"state", "running"}), 2);
    assert_int_equal(COUNT(o, {"state", "pending"}), 3);
    assert_int_equal(COUNT(o, {"state", "pending"}, {"state", "running"}), 5);
    assert_int_equal(COUNT(o, {"workflow", "failing"}), 3);
    assert_int_equal(COUNT(o, {"workflow", "failing"}, {"version", "2.0.0"}), 0);
    assert_int_equal(COUNT(o, {"accepted_from_ms", "1"}, {"accepted_to_ms", "2"}), 0);
    f = orch_filter_new();
    HOST_OK(orch_filter_set(f, "order", "oldest", &err));
    HOST_OK(orch_filter_set(f, "payloads", "true", &err));
    HOST_OK(orch_filter_set(f, "limit", "1", &err));
    HOST_OK(orch_v2_list_executions(o, f, &l, &err));
    first = orch_execution_list_get(l, 0);
    assert_string_equal(orch_response_workflow(first), "failing");
    assert_string_equal(orch_response_input(first, NULL), "{\"k\":1}");
    assert_null(orch_execution_list_get(l, 1));
    orch_execution_list_free(l);
    orch_filter_free(f);
    latch_open(&gate);
    host_close(o);
}

static void lists_come_in_pages(void **state)
{
    char room[200];
    orch_v2 *o = open_with_echo(store_url(state, "pages.db", room));
    orch_filter *f = orch_filter_new();
    char last[40] = "~";
    size_t seen = 0;

    for (int i = 0; i < 25; i++)
        host_execute(o, "chain", "{\"n\":1}", NULL, 0);
    HOST_OK(orch_filter_set(f, "limit", "10", &err));
    for (bool more = true; more;) {
        orch_execution_list *l = NULL;

        HOST_OK(orch_v2_list_executions(o, f, &l, &err));
        for (size_t i = 0; i < orch_execution_list_count(l); i++) {
            const char *id = orch_response_id(orch_execution_list_get(l, i));

            assert_true(strcmp(id, last) < 0); /* newest first, each once */
            snprintf(last, sizeof last, "%s", id);
            seen++;
        }
        more = orch_execution_list_next(l) != NULL;
        if (more)
            HOST_OK(orch_filter_set(f, "page", orch_execution_list_next(l), &err));
        orch_execution_list_free(l);
    }
    assert_int_equal(seen, 25);
    orch_filter_free(f);
    host_close(o);
}

static void a_history_tells_what_happened(void **state)
{
    static const char RETRIED[] =
        "{'id':'retried','version':'1.0.0','steps':[{'id':'list','executor':'noop','for_each':"
        "'${input.items}','with':'${item}'},{'id':'sometimes','executor':'lua','depends_on':['list'],"
        "'when':'input.no','with':{'code':'return 1'}},{'id':'bad','executor':'lua','depends_on':['list'],"
        "'retry':{'max_attempts':2,'initial_interval':'1ms'},'with':{'code':"
        "'error{code=\\\"UNAVAILABLE\\\",message=\\\"later\\\"}'}}]}";
    static const char *const expected[] = {
        "list -1 expanded",     "list 0 succeeded", "list 1 succeeded", "list -1 succeeded",
        "sometimes -1 skipped", "bad -1 retrying",  "bad -1 failed"};
    char room[200], id[64], entry[100];
    orch_v2 *o = host_open(store_url(state, "history.db", room), NULL);
    orch_history *h = NULL, *rest = NULL;
    orch_response *r = NULL;

    host_define(o, RETRIED);
    HOST_OK(orch_v2_execute_workflow(o, "retried", "{\"items\":[5,6]}", 15, NULL, &r, &err));
    snprintf(id, sizeof id, "%s", orch_response_id(r));
    orch_response_free(r);
    HOST_OK(orch_v2_get_history(o, id, 0, 0, &h, &err));
    assert_int_equal(orch_history_count(h), 7);
    for (size_t i = 0; i < 7; i++) {
        bool found = false;

        assert_int_equal(orch_history_seq(h, i), i + 1);
        snprintf(entry, sizeof entry, "%s %lld %s", orch_history_step(h, i),
                 (long long)orch_history_index(h, i), orch_step_kind_name(orch_history_kind(h, i)));
        for (size_t k = 0; k < 7; k++)
            found |= !strcmp(entry, expected[k]);
        if (!found)
            fail_msg("entry %zu: %s", i, entry);
        assert_true(orch_history_ended_ms(h, i) >= orch_history_started_ms(h, i));
        if (!strcmp(entry, "list 1 succeeded"))
            assert_string_equal(orch_history_output(h, i, NULL), "6");
        if (!strcmp(entry, "bad -1 retrying"))
            assert_non_null(strstr(orch_history_error(h, i, NULL), "later"));
        if (!strcmp(entry, "bad -1 failed"))
            assert_int_equal(orch_history_attempt(h, i), 2);
    }
    HOST_OK(orch_v2_get_history(o, id, 5, 1, &rest, &err));
    assert_int_equal(orch_history_count(rest), 1);
    assert_int_equal(orch_history_seq(rest, 0), 6);
    orch_history_free(rest);
    orch_history_free(h);
    host_close(o);
}

static void progress_is_told(void **state)
{
    static const char WIDE[] =
        "{'id':'wide','version':'1.0.0','steps':[{'id':'first','executor':'noop'},{'id':'g','executor':"
        "'gate','depends_on':['first','never'],'for_each':'${input.items}','with':'${item}'},"
        "{'id':'never','executor':'noop','when':'#input.items > 9'}]}";
    latch gate = LATCH_INIT;
    orch_v2 *o = open_with_gate("memory:", &gate);
    orch_start_options *options = orch_start_options_new();
    orch_progress *p = NULL;
    orch_execution *e = NULL;
    orch_response *r = NULL;

    (void)state;
    host_define(o, WIDE);
    assert_int_equal(orch_start_options_set_id(options, "my-own"), 0);
    HOST_OK(orch_v2_start_workflow(o, "wide", "{\"items\":[1,2,3]}", 17, options, &e, &err));
    latch_wait(&gate, 3);
    HOST_OK(orch_v2_get_progress(o, "my-own", &p, &err));
    assert_int_equal(orch_progress_get(p, "steps"), 3);
    assert_int_equal(orch_progress_get(p, "ended"), 2);
    assert_int_equal(orch_progress_get(p, "running"), 1);
    assert_int_equal(orch_progress_get(p, "skipped"), 1);
    assert_int_equal(orch_progress_get(p, "items"), 3);
    assert_int_equal(orch_progress_get(p, "items_ended"), 0);
    assert_int_equal(orch_progress_get(p, "failed"), 0);
    assert_int_equal(orch_progress_get(p, "nonsense"), -1);
    orch_progress_free(p);
    latch_open(&gate);
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    orch_response_free(r);
    HOST_FAILS(orch_v2_get_progress(o, "my-own", &p, &err), ORCH_E_NOT_FOUND, "my-own");
    HOST_FAILS(orch_v2_get_progress(o, "0000000000000", &p, &err), ORCH_E_NOT_FOUND,
               "0000000000000");
    orch_execution_free(e);
    orch_start_options_free(options);
    host_close(o);
}

/* ---- callbacks ------------------------------------------------------------------------------------------- */

typedef struct asked {
    latch events;
    atomic_int accepted, refused, ended, freed, out_of_order, code;
    bool keep; /* the handle */
    orch_execution *handle;
} asked;

static void on_accepted(void *user_data, orch_execution *execution, orch_error *error)
{
    asked *a = user_data;

    if (execution)
        a->accepted++;
    else
        a->refused++;
    a->out_of_order += a->ended;
    a->code = orch_error_code(error);
    orch_error_free(error);
    if (a->keep)
        a->handle = execution;
    else
        orch_execution_free(execution);
    latch_add(&a->events);
}

static void on_ended(void *user_data, orch_response *response)
{
    asked *a = user_data;

    a->ended++;
    a->code = response ? 0 : ORCH_E_CANCELLED;
    orch_response_free(response);
    latch_add(&a->events);
}

static void on_freed(void *user_data)
{
    asked *a = user_data;

    a->freed++;
    latch_add(&a->events);
}

static void dispatch_until(orch_v2 *o, latch *l, int count)
{
    struct pollfd p = {.fd = orch_v2_fd(o), .events = POLLIN};

    while (latch_count(l) < count) {
        assert_int_equal(poll(&p, 1, HOST_PATIENCE_MS), 1);
        assert_true(orch_v2_dispatch(o) >= 0);
    }
}

static void callbacks_come_once_and_in_order(void **state)
{
    bool dispatching = *state != NULL;
    orch_v2 *o = open_with_echo("memory:");

    if (dispatching)
        assert_true(orch_v2_fd(o) >= 0);
    for (int which = 1; which < 4; which++) { /* both, only the first, only the second */
        asked a = {.events = LATCH_INIT};
        int events = which == 3 ? 2 : which == 1 ? 3 : 2;

        HOST_OK(orch_v2_start_workflow_async(o, "chain", "{\"n\":1}", 7, NULL,
                                             which != 3 ? on_accepted : NULL,
                                             which != 2 ? on_ended : NULL, &a, on_freed, &err));
        if (dispatching)
            dispatch_until(o, &a.events, events);
        else
            latch_wait(&a.events, events);
        assert_int_equal(a.accepted, which != 3);
        assert_int_equal(a.ended, which != 2);
        assert_int_equal(a.freed, 1);
        assert_int_equal(a.out_of_order, 0);
        assert_int_equal(a.code, 0);
    }
    host_close(o);
}

static void a_refusal_is_told(void **state)
{
    bool dispatching = *state != NULL;
    orch_v2 *o = open_with_echo("memory:");
    asked a = {.events = LATCH_INIT}, b = {.events = LATCH_INIT};

    if (dispatching)
        assert_true(orch_v2_fd(o) >= 0);
    HOST_OK(orch_v2_start_workflow_async(o, "nobody", NULL, 0, NULL, on_accepted, on_ended, &a,
                                         on_freed, &err));
    HOST_OK(orch_v2_start_workflow_async(o, "nobody", NULL, 0, NULL, NULL, on_ended, &b, on_freed,
                                         &err));
    if (dispatching) {
        dispatch_until(o, &a.events, 2);
        dispatch_until(o, &b.events, 1);
    } else {
        latch_wait(&a.events, 2);
        latch_wait(&b.events, 1);
    }
    assert_int_equal(a.refused, 1);
    assert_int_equal(a.code, ORCH_E_NOT_FOUND);
    assert_int_equal(a.ended + b.ended, 0);
    assert_int_equal(a.freed, 1);
    assert_int_equal(b.freed, 1);
    HOST_FAILS(orch_v2_start_workflow_async(o, "chain", "[]", 2, NULL, on_accepted, NULL, &a,
                                            on_freed, &err),
               ORCH_E_INVALID_ARGUMENT, "inputs_json must be a JSON object");
    assert_int_equal(a.freed, 2);
    assert_int_equal(a.refused, 1);
    host_close(o);
}

static void an_end_is_told_to_who_asks_late(void **state)
{
    bool dispatching = *state != NULL;
    latch gate = LATCH_INIT;
    orch_v2 *o = open_with_gate("memory:", &gate);
    asked early = {.events = LATCH_INIT}, late = {.events = LATCH_INIT};
    orch_execution *e = NULL;
    orch_response *r = NULL;

    if (dispatching)
        assert_true(orch_v2_fd(o) >= 0);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_execution_on_end(e, on_ended, &early, on_freed, &err));
    latch_open(&gate);
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    orch_response_free(r);
    HOST_OK(orch_execution_on_end(e, on_ended, &late, on_freed, &err));
    orch_execution_free(e);
    if (dispatching) {
        dispatch_until(o, &early.events, 2);
        dispatch_until(o, &late.events, 2);
    } else {
        latch_wait(&early.events, 2);
        latch_wait(&late.events, 2);
    }
    assert_int_equal(early.ended + late.ended, 2);
    assert_int_equal(early.freed + late.freed, 2);
    host_close(o);
}

/* ---- pulled executors ------------------------------------------------------------------------------------ */

static void tasks_are_pulled(void **state)
{
    orch_v2 *o = host_open("memory:", NULL);
    orch_engine *engine = orch_v2_local_engine(o);
    orch_execution *e = NULL;
    orch_response *r = NULL;
    orch_task *t = NULL;

    (void)state;
    HOST_FAILS(orch_engine_next_task(engine, "gate", 0, &t, &err), ORCH_E_DEADLINE_EXCEEDED,
               "gate");
    host_define(o, GATED);
    HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_engine_next_task(engine, "gate", HOST_PATIENCE_MS, &t, &err));
    assert_string_equal(orch_task_input(t, NULL), "{\"x\":1}");
    HOST_OK(orch_task_complete(t, "1", 1, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    orch_response_free(r);
    orch_execution_free(e);
    HOST_FAILS(orch_engine_register_executor(engine, "gate", host_echo, NULL, NULL, &err),
               ORCH_E_ALREADY_EXISTS, "gate");
    HOST_OK(orch_engine_register_executor(engine, "pushed", host_echo, NULL, NULL, &err));
    HOST_FAILS(orch_engine_next_task(engine, "pushed", 0, &t, &err), ORCH_E_ALREADY_EXISTS,
               "pushed");
    host_close(o);
}

/* ---- limits ---------------------------------------------------------------------------------------------- */

static void the_backlog_has_a_limit(void **state)
{
    latch gate = LATCH_INIT;
    orch_v2 *o = host_open("memory:", "MAX_OPEN_EXECUTIONS", "3", NULL);
    orch_execution *e = NULL;

    (void)state;
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "gate", host_gate, &gate, NULL,
                                          &err));
    host_define(o, GATED);
    for (int i = 0; i < 3; i++)
        HOST_OK(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, NULL, &err));
    HOST_FAILS(orch_v2_start_workflow(o, "gated", NULL, 0, NULL, &e, &err),
               ORCH_E_RESOURCE_EXHAUSTED, "3 executions are open");
    assert_null(e);
    latch_open(&gate);
    host_close(o);
}

static void stop_here(void *user_data, int32_t level, const char *message)
{
    (void)level;
    (void)message;
    latch_add(user_data);
    latch_pass(user_data);
}

/* The loop is held in a log callback, so that calls pile up. */
static void calls_that_wait_have_a_limit(void **state)
{
    latch held = LATCH_INIT;
    asked a = {.events = LATCH_INIT};
    orch_v2 *o = host_open("memory:", "MAX_QUEUED_COMMANDS", "4", NULL);
    int32_t rc = 0;
    int posted = 0;

    (void)state;
    assert_int_equal(orch_v2_set_log(o, stop_here, &held, NULL, ORCH_LOG_DEBUG), 0);
    host_define(o, GATED);
    HOST_OK(orch_v2_start_workflow_async(o, "gated", NULL, 0, NULL, NULL, NULL, NULL, NULL, &err));
    latch_wait(&held, 1); /* "no executor 'gate' is registered" */
    while (!rc && posted < 100) {
        rc = orch_v2_start_workflow_async(o, "gated", NULL, 0, NULL, NULL, NULL, &a, on_freed,
                                          NULL);
        posted += rc == 0;
    }
    assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED);
    assert_in_range(posted, 3, 4);
    HOST_FAILS(orch_v2_cancel(o, "x", NULL, &err), ORCH_E_RESOURCE_EXHAUSTED,
               "MAX_QUEUED_COMMANDS");
    latch_open(&held);
    latch_wait(&a.events, posted + 1);
    host_close(o);
}

static void exec_can_be_forbidden(void **state)
{
    static const char RUN[] =
        "{'id':'run','version':'1.0.0','steps':[{'id':'s','executor':'exec','with':{'argv':['true']}}]}";
    char output[200];
    orch_v2 *o = host_open("memory:", "EXEC_ENABLED", "false", NULL);

    (void)state;
    host_define(o, RUN);
    assert_string_equal(host_execute(o, "run", NULL, output, sizeof output), "failed");
    assert_non_null(strstr(output, "EXEC_ENABLED"));
    host_close(o);
    o = host_open("memory:", NULL);
    host_define(o, RUN);
    assert_string_equal(host_execute(o, "run", NULL, output, sizeof output), "succeeded");
    host_close(o);
}

/* ---- opening, logs, backups, features -------------------------------------------------------------------- */

static void a_store_has_one_owner(void **state)
{
    char room[200];
    orch_config *config = orch_config_new();
    orch_v2 *o = host_open(host_sqlite(room, sizeof room, "owner.db"), NULL);
    orch_error *error = NULL;

    (void)state;
    HOST_OK(orch_config_set(config, "STORE_URL", room, &err));
    assert_null(orch_v2_new(config, &error));
    assert_int_equal(orch_error_code(error), ORCH_E_UNAVAILABLE);
    orch_error_free(error);
    orch_config_free(config);
    host_close(o);
    o = host_open(room, NULL);
    host_close(o);
}

static void what_cannot_be_opened_is_named(void **state)
{
    static const struct {
        const char *key, *value;
        int32_t code;
        const char *message;
    } cases[] = {
        {"STORE_URL", NULL, ORCH_E_INVALID_ARGUMENT, "STORE_URL is not set"},
        {"STORE_URL", "oracle:x", ORCH_E_INVALID_ARGUMENT, "oracle"},
        {"STORE_URL", "sqlite:/no/such/folder/x.db", 0, "/no/such/folder"},
        {"DISCOVERY_TYPE", "kubernetes", ORCH_E_UNIMPLEMENTED, "DISCOVERY_TYPE"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        orch_config *config = orch_config_new();
        orch_error *error = NULL;

        HOST_OK(orch_config_set(config, "STORE_URL", "memory:", &err));
        HOST_OK(orch_config_set(config, cases[i].key, cases[i].value, &err));
        assert_null(orch_v2_new(config, &error));
        assert_true(orch_error_code(error) == cases[i].code || !cases[i].code);
        if (!strstr(orch_error_message(error), cases[i].message))
            fail_msg("'%s' is not in: %s", cases[i].message, orch_error_message(error));
        orch_error_free(error);
        orch_config_free(config);
    }
}

static void a_backup_is_a_store(void **state)
{
    char room[200], copy[200], output[40];
    orch_v2 *o = open_with_echo(host_sqlite(room, sizeof room, "origin.db"));
    orch_execution_list *l = NULL;

    (void)state;
    host_execute(o, "chain", "{\"n\":3}", NULL, 0);
    host_sqlite(copy, sizeof copy, "copy.db");
    HOST_OK(orch_v2_backup(o, copy + strlen("sqlite:"), &err));
    HOST_FAILS(orch_v2_backup(o, copy + strlen("sqlite:"), &err), ORCH_E_ALREADY_EXISTS, "copy.db");
    host_close(o);
    o = open_with_echo(copy);
    HOST_OK(orch_v2_list_executions(o, NULL, &l, &err));
    assert_int_equal(orch_execution_list_count(l), 1);
    orch_execution_list_free(l);
    host_execute(o, "chain", "{\"n\":4}", output, sizeof output);
    assert_string_equal(output, "{\"r\":8}");
    host_close(o);
    o = host_open("memory:", NULL);
    HOST_FAILS(orch_v2_backup(o, "x", &err), ORCH_E_UNIMPLEMENTED, "memory:");
    host_close(o);
}

static void features_are_told(void **state)
{
    static const char *const built_in[] = {"sqlite", "memory", "lua", "exec"};

    (void)state;
    assert_string_equal(orch_version(), ORCH_VERSION);
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
        assert_int_equal(orch_has_feature(built_in[i]), 1);
    assert_int_equal(orch_has_feature("telepathy"), 0);
    assert_in_range(orch_has_feature("yaml"), 0, 1);
    assert_in_range(orch_has_feature("http"), 0, 1);
}

static void names_are_told(void **state)
{
    (void)state;
    assert_string_equal(orch_execution_state_name(ORCH_EXECUTION_TIMED_OUT), "timed_out");
    assert_string_equal(orch_execution_state_name(7), "unknown");
    assert_string_equal(orch_execution_state_name(-1), "unknown");
    assert_string_equal(orch_step_kind_name(ORCH_STEP_CANCELLED), "cancelled");
    assert_string_equal(orch_step_kind_name(ORCH_STEP_HANDLER_FAILED), "handler_failed");
    assert_string_equal(orch_step_kind_name(0), "unknown");
    assert_string_equal(orch_step_kind_name(19), "unknown");
}

static char yes; /* a state that is not NULL */

#define ON_BOTH(test)                             \
    {#test " (memory)", test, NULL, NULL, NULL},  \
    {                                             \
#        test " (sqlite)", test, NULL, NULL, &yes \
    }
#define BOTH_WAYS(test)                             \
    {#test " (pool)", test, NULL, NULL, NULL},      \
    {                                               \
#        test " (dispatch)", test, NULL, NULL, &yes \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_workflow_is_executed),
        ON_BOTH(a_start_returns_a_handle),
        cmocka_unit_test(the_launcher_starts_too),
        ON_BOTH(versions_are_chosen),
        cmocka_unit_test(an_execution_has_a_deadline),
        cmocka_unit_test(results_outlive_the_process),
        cmocka_unit_test(what_was_in_flight_goes_on),
        cmocka_unit_test(an_executor_that_never_comes_fails_the_step),
        ON_BOTH(it_is_cancelled_while_it_runs),
        cmocka_unit_test(it_is_cancelled_before_it_runs),
        ON_BOTH(executions_are_listed_by_state),
        ON_BOTH(lists_come_in_pages),
        ON_BOTH(a_history_tells_what_happened),
        cmocka_unit_test(progress_is_told),
        BOTH_WAYS(callbacks_come_once_and_in_order),
        BOTH_WAYS(a_refusal_is_told),
        BOTH_WAYS(an_end_is_told_to_who_asks_late),
        cmocka_unit_test(tasks_are_pulled),
        cmocka_unit_test(the_backlog_has_a_limit),
        cmocka_unit_test(calls_that_wait_have_a_limit),
        cmocka_unit_test(exec_can_be_forbidden),
        cmocka_unit_test(a_store_has_one_owner),
        cmocka_unit_test(what_cannot_be_opened_is_named),
        cmocka_unit_test(a_backup_is_a_store),
        cmocka_unit_test(features_are_told),
        cmocka_unit_test(names_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
