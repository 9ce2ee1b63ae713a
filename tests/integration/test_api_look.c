/* Goal: what is known of executions can be found and read: by filter, run by run, and with who did what to them and why. */
#include "support/api_host.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const char GATED[] =
    "{'id':'gated','version':'1.0.0','steps':[{'id':'a','executor':'gate','with':{'x':1}}]}";
static const char BROKEN[] =
    "{'id':'broken','version':'1.0.0','steps':[{'id':'a','executor':'echo','with':{'n':1}},"
    "{'id':'b','executor':'fragile','depends_on':['a']}],'output':'${steps.a.output.n}'}";
static const char PARENT[] =
    "{'id':'parent','version':'1.0.0','steps':[{'id':'c','executor':'workflow',"
    "'with':{'workflow':'gated'}}]}";
static const char SLEEPER[] =
    "{'id':'sleeper','version':'1.0.0','steps':[{'id':'a','executor':'wait',"
    "'with':{'duration':'240h'}}]}";

static atomic_int repaired;

static void fragile(void *user_data, orch_task *task)
{
    (void)user_data;
    if (atomic_load(&repaired))
        orch_task_complete(task, NULL, 0, NULL);
    else
        orch_task_fail(task, ORCH_E_ABORTED, 0, "it broke");
}

static orch_v2 *open_all(const char *url, latch *gate)
{
    orch_v2 *o = host_open(url, "SUSPEND_AFTER", "1s", "SUSPEND_QUIET", "1ms", NULL);
    orch_engine *e = orch_v2_local_engine(o);

    atomic_store(&repaired, 0);
    HOST_OK(orch_engine_register_executor(e, "echo", host_echo, NULL, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "gate", host_gate, gate, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "fragile", fragile, NULL, NULL, &err));
    host_define(o, GATED);
    host_define(o, BROKEN);
    host_define(o, PARENT);
    host_define(o, SLEEPER);
    return o;
}

static const char *store_url(void **state, const char *name, char room[200])
{
    return *state ? host_sqlite(room, 200, name) : "memory:";
}

static void start(orch_v2 *o, const char *workflow, const char *id)
{
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    HOST_OK(orch_v2_start_workflow(o, workflow, NULL, 0, options, NULL, &err));
    orch_start_options_free(options);
}

static orch_response *get(orch_v2 *o, const char *id)
{
    orch_response *r = NULL;

    HOST_OK(orch_v2_get_execution(o, id, &r, &err));
    return r;
}

static orch_control *control_of(const char *who, const char *why)
{
    orch_control *c = orch_control_new();

    assert_int_equal(orch_control_set_who(c, who), 0);
    assert_int_equal(orch_control_set_why(c, why), 0);
    return c;
}

/* ---- lists ----------------------------------------------------------------------------------------------- */

/* The ids that pass a filter, oldest first, with a space behind each. */
static const char *ids(orch_v2 *o, const char *key, const char *value)
{
    static char text[2000];
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;

    HOST_OK(orch_filter_set(f, "order", "oldest", &err));
    HOST_OK(orch_filter_set(f, key, value, &err));
    HOST_OK(orch_v2_list_executions(o, f, &l, &err));
    text[0] = '\0';
    for (size_t i = 0; i < orch_execution_list_count(l); i++) {
        strcat(text, orch_response_id(orch_execution_list_get(l, i)));
        strcat(text, " ");
    }
    orch_execution_list_free(l);
    orch_filter_free(f);
    return text;
}

static void paused_ones_are_found(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_all(store_url(state, "paused.db", room), &gate);
    orch_response *r;

    start(o, "gated", "one");
    start(o, "gated", "two");
    HOST_OK(orch_v2_pause(o, "two", NULL, &err));
    assert_string_equal(ids(o, "paused", "true"), "two ");
    assert_string_equal(ids(o, "paused", "false"), "one ");
    r = get(o, "two");
    assert_int_equal(orch_response_paused(r), 1);
    orch_response_free(r);
    HOST_OK(orch_v2_resume(o, "two", NULL, &err));
    assert_string_equal(ids(o, "paused", "true"), "");
    r = get(o, "two");
    assert_int_equal(orch_response_paused(r), 0);
    assert_int_equal(orch_response_priority(r), 5);
    assert_int_equal(orch_response_run(r), 1);
    assert_string_equal(orch_response_parent(r), "");
    assert_string_equal(orch_response_attributes(r, NULL), "{}");
    assert_string_equal(orch_response_limit_key(r), "");
    assert_int_equal(orch_response_deadline_ms(r), 0);
    assert_int_equal(orch_response_wake_ms(r), 0);
    orch_response_free(r);
    latch_open(&gate);
    host_await_state(o, "one", ORCH_EXECUTION_SUCCEEDED);
    host_await_state(o, "two", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

static void ends_are_found_by_their_time(void **state)
{
    char room[200], when[30];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_all(store_url(state, "ended.db", room), &gate);
    orch_response *r;

    start(o, "gated", "open");
    latch_wait(&gate, 1);
    start(o, "broken", "done");
    host_await_state(o, "done", ORCH_EXECUTION_FAILED);
    r = get(o, "done");
    snprintf(when, sizeof when, "%lld", (long long)orch_response_ended_ms(r));
    assert_string_equal(ids(o, "ended_from_ms", when), "done ");
    assert_string_equal(ids(o, "ended_to_ms", when), "");
    snprintf(when, sizeof when, "%lld", (long long)orch_response_ended_ms(r) + 1);
    assert_string_equal(ids(o, "ended_from_ms", when), "");
    assert_string_equal(ids(o, "ended_to_ms", when), "done ");
    orch_response_free(r);
    latch_open(&gate);
    host_await_state(o, "open", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

static void children_are_found_by_their_parent(void **state)
{
    char room[200], id[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_all(store_url(state, "parent.db", room), &gate);
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;
    orch_response *r;

    start(o, "parent", "mother");
    latch_wait(&gate, 1);
    snprintf(id, sizeof id, "%s", ids(o, "parent", "mother"));
    assert_string_equal(id, "mother/1/c ");
    id[strlen(id) - 1] = '\0';
    r = get(o, id);
    assert_string_equal(orch_response_parent(r), "mother");
    assert_string_equal(orch_response_workflow(r), "gated");
    orch_response_free(r);
    HOST_OK(orch_v2_list_executions(o, NULL, &l, &err));
    assert_string_equal(orch_response_parent(orch_execution_list_get(l, 0)), "mother");
    assert_string_equal(orch_response_parent(orch_execution_list_get(l, 1)), "");
    orch_execution_list_free(l);
    HOST_OK(orch_filter_set(f, "parent", "nobody", &err));
    HOST_FAILS(orch_v2_list_executions(o, f, &l, &err), ORCH_E_NOT_FOUND, "'nobody'");
    orch_filter_free(f);
    latch_open(&gate);
    host_await_state(o, "mother", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

static void a_start_key_goes_with_a_workflow(void **state)
{
    latch gate = LATCH_INIT;
    orch_v2 *o = open_all("memory:", &gate);
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;

    (void)state;
    HOST_OK(orch_filter_set(f, "start_key", "k", &err));
    HOST_FAILS(orch_v2_list_executions(o, f, &l, &err), ORCH_E_INVALID_ARGUMENT,
               "start_key needs a workflow");
    HOST_OK(orch_filter_set(f, "workflow", "gated", &err));
    HOST_OK(orch_v2_list_executions(o, f, &l, &err));
    assert_int_equal(orch_execution_list_count(l), 0);
    orch_execution_list_free(l);
    orch_filter_free(f);
    host_close(o);
}

static void a_suspended_one_says_when_it_wakes(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_all(store_url(state, "wakes.db", room), &gate);
    orch_start_options *options = orch_start_options_new();
    orch_response *r;

    assert_int_equal(orch_start_options_set_id(options, "zz"), 0);
    assert_int_equal(orch_start_options_set_timeout(options, 300LL * 3600 * 1000), 0);
    HOST_OK(orch_v2_start_workflow(o, "sleeper", NULL, 0, options, NULL, &err));
    orch_start_options_free(options);
    host_await_state(o, "zz", ORCH_EXECUTION_SUSPENDED);
    r = get(o, "zz");
    assert_in_range(orch_response_wake_ms(r) - orch_response_accepted_ms(r), 240LL * 3600 * 1000,
                    240LL * 3600 * 1000 + HOST_PATIENCE_MS);
    assert_int_equal(orch_response_deadline_ms(r) - orch_response_accepted_ms(r),
                     300LL * 3600 * 1000);
    orch_response_free(r);
    host_close(o);
}

/* ---- runs ------------------------------------------------------------------------------------------------ */

static void runs_are_kept(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_all(store_url(state, "runs.db", room), &gate);
    orch_history *h = NULL;
    orch_runs *runs = NULL;
    orch_response *r;

    start(o, "broken", "one");
    host_await_state(o, "one", ORCH_EXECUTION_FAILED);
    HOST_OK(orch_v2_get_runs(o, "one", &runs, &err));
    assert_int_equal(orch_runs_count(runs), 1);
    orch_runs_free(runs);
    atomic_store(&repaired, 1);
    HOST_OK(orch_v2_retry(o, "one", NULL, &err));
    host_await_state(o, "one", ORCH_EXECUTION_SUCCEEDED);
    HOST_OK(orch_v2_get_runs(o, "one", &runs, &err));
    assert_int_equal(orch_runs_count(runs), 2);
    assert_int_equal(orch_runs_run(runs, 0), 1);
    assert_int_equal(orch_runs_state(runs, 0), ORCH_EXECUTION_FAILED);
    assert_true(orch_runs_ended_ms(runs, 0) > 0);
    assert_string_equal(orch_runs_output(runs, 0, NULL), "null");
    assert_non_null(strstr(orch_runs_error(runs, 0, NULL), "it broke"));
    assert_int_equal(orch_runs_run(runs, 1), 2);
    assert_int_equal(orch_runs_state(runs, 1), ORCH_EXECUTION_SUCCEEDED);
    assert_string_equal(orch_runs_output(runs, 1, NULL), "1");
    assert_null(orch_runs_error(runs, 1, NULL));
    assert_int_equal(orch_runs_state(runs, 2), -1);
    orch_runs_free(runs);
    HOST_OK(orch_v2_get_run_history(o, "one", 1, 0, 0, &h, &err));
    assert_int_equal(orch_history_count(h), 2);
    assert_int_equal(orch_history_kind(h, 1), ORCH_STEP_FAILED);
    orch_history_free(h);
    HOST_OK(orch_v2_get_history(o, "one", 0, 0, &h, &err));
    assert_int_equal(orch_history_count(h), 2);
    assert_int_equal(orch_history_kind(h, 1), ORCH_STEP_SUCCEEDED);
    assert_int_equal(orch_history_due_ms(h, 1), 0);
    orch_history_free(h);
    h = NULL;
    HOST_FAILS(orch_v2_get_run_history(o, "one", 3, 0, 0, &h, &err), ORCH_E_NOT_FOUND,
               "execution 'one' has 2 runs; there is no run 3");
    r = get(o, "one");
    assert_int_equal(orch_response_run(r), 2);
    orch_response_free(r);
    host_close(o);
}

/* ---- who did what ---------------------------------------------------------------------------------------- */

static void what_was_done_is_kept_with_who_and_why(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_all(store_url(state, "audit.db", room), &gate);
    orch_control *ann = control_of("ann", "the shop is closed"), *bob = control_of("bob", NULL);
    orch_controls *c = NULL;

    start(o, "gated", "one");
    HOST_OK(orch_v2_pause(o, "one", ann, &err));
    HOST_OK(orch_v2_set_priority(o, "one", 7, bob, &err));
    HOST_OK(orch_v2_resume(o, "one", NULL, &err));
    HOST_OK(orch_v2_signal(o, "one", "go", NULL, 0, NULL, NULL, &err)); /* not worth a record */
    HOST_OK(orch_v2_signal(o, "one", "go", NULL, 0, NULL, bob, &err));
    HOST_OK(orch_v2_terminate(o, "one", ann, &err));
    HOST_OK(orch_v2_get_controls(o, "one", 0, 0, &c, &err));
    assert_int_equal(orch_controls_count(c), 5);
    assert_int_equal(orch_controls_seq(c, 0), 1);
    assert_true(orch_controls_at_ms(c, 0) > 0);
    assert_string_equal(orch_controls_action(c, 0), "pause");
    assert_string_equal(orch_controls_who(c, 0), "ann");
    assert_string_equal(orch_controls_why(c, 0), "the shop is closed");
    assert_string_equal(orch_controls_detail(c, 0), "");
    assert_string_equal(orch_controls_action(c, 1), "set_priority");
    assert_string_equal(orch_controls_who(c, 1), "bob");
    assert_string_equal(orch_controls_why(c, 1), "");
    assert_string_equal(orch_controls_action(c, 2), "resume");
    assert_string_equal(orch_controls_who(c, 2), "");
    assert_string_equal(orch_controls_action(c, 3), "signal");
    assert_string_equal(orch_controls_detail(c, 3), "go");
    assert_string_equal(orch_controls_action(c, 4), "terminate");
    orch_controls_free(c);
    HOST_OK(orch_v2_get_controls(o, "one", 3, 1, &c, &err));
    assert_int_equal(orch_controls_count(c), 1);
    assert_string_equal(orch_controls_action(c, 0), "signal");
    orch_controls_free(c);
    HOST_OK(orch_v2_fork(o, "one", "two", NULL, NULL, ann, NULL, &err));
    HOST_OK(orch_v2_get_controls(o, "two", 0, 0, &c, &err));
    assert_int_equal(orch_controls_count(c), 1);
    assert_string_equal(orch_controls_action(c, 0), "fork");
    assert_string_equal(orch_controls_who(c, 0), "ann");
    assert_string_equal(orch_controls_detail(c, 0), "from one");
    orch_controls_free(c);
    HOST_OK(orch_v2_terminate(o, "two", NULL, &err));
    HOST_OK(orch_v2_get_controls(o, NULL, 0, 0, &c, &err));
    assert_int_equal(orch_controls_count(c), 0);
    orch_controls_free(c);
    c = NULL;
    HOST_FAILS(orch_v2_get_controls(o, "nobody", 0, 0, &c, &err), ORCH_E_NOT_FOUND, "'nobody'");
    assert_null(c);
    orch_control_free(ann);
    orch_control_free(bob);
    host_close(o);
}

static char yes; /* a state that is not NULL */

#define ON_BOTH(test)                             \
    {#test " (memory)", test, NULL, NULL, NULL},  \
    {                                             \
#        test " (sqlite)", test, NULL, NULL, &yes \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(paused_ones_are_found),
        ON_BOTH(ends_are_found_by_their_time),
        ON_BOTH(children_are_found_by_their_parent),
        cmocka_unit_test(a_start_key_goes_with_a_workflow),
        ON_BOTH(a_suspended_one_says_when_it_wakes),
        ON_BOTH(runs_are_kept),
        ON_BOTH(what_was_done_is_kept_with_who_and_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
