/* Goal: pauses of workflows and limits of keys hold from the moment they are set until they are taken back, for what exists and for what comes,
 * and across restarts. */
#include "support/api_host.h"

#include <stdio.h>
#include <string.h>

static const char GATED[] =
    "{'id':'gated','version':'1.0.0','steps':[{'id':'a','executor':'gate','with':{'x':1}}]}";
static const char OTHER[] =
    "{'id':'other','version':'1.0.0','steps':[{'id':'a','executor':'gate','with':{'x':1}}]}";

static orch_v2 *open_gated(const char *url, latch *gate)
{
    orch_v2 *o = host_open(url, "TASK_THREADS", "8", NULL); /* each gate keeps one */

    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "gate", host_gate, gate, NULL,
                                          &err));
    host_define(o, GATED);
    host_define(o, OTHER);
    return o;
}

static const char *store_url(void **state, const char *name, char room[200])
{
    return *state ? host_sqlite(room, 200, name) : "memory:";
}

static void start(orch_v2 *o, const char *workflow, const char *id, const char *limit_key)
{
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    assert_int_equal(orch_start_options_set_limit_key(options, limit_key), 0);
    HOST_OK(orch_v2_start_workflow(o, workflow, NULL, 0, options, NULL, &err));
    orch_start_options_free(options);
}

/* ---- pauses ---------------------------------------------------------------------------------------------- */

static int is_paused(orch_v2 *o, const char *workflow)
{
    int32_t paused = -1;

    HOST_OK(orch_v2_get_workflow_paused(o, workflow, &paused, &err));
    return paused;
}

static void a_workflow_is_paused(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "paused.db", room), &gate);

    assert_int_equal(is_paused(o, "gated"), 0);
    HOST_OK(orch_v2_pause_workflow(o, "gated", NULL, &err));
    HOST_OK(orch_v2_pause_workflow(o, "gated", NULL, &err));
    assert_int_equal(is_paused(o, "gated"), 1);
    assert_int_equal(is_paused(o, "other"), 0);
    assert_int_equal(is_paused(o, NULL), 0);
    start(o, "gated", "held", NULL);
    start(o, "other", "free", NULL);
    latch_open(&gate);
    host_await_state(o, "free", ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(latch_count(&gate), 1);
    assert_true(host_state(o, "held") < ORCH_EXECUTION_SUCCEEDED);
    HOST_OK(orch_v2_resume_workflow(o, NULL, NULL, &err)); /* another pause: that of everything */
    assert_int_equal(is_paused(o, "gated"), 1);
    HOST_OK(orch_v2_resume_workflow(o, "gated", NULL, &err));
    host_await_state(o, "held", ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(is_paused(o, "gated"), 0);
    host_close(o);
}

static void a_pause_of_everything_outlives_the_process(void **state)
{
    char room[200];
    const char *url = host_sqlite(room, sizeof room, "everything.db");
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(url, &gate);

    (void)state;
    latch_open(&gate);
    HOST_OK(orch_v2_pause_workflow(o, NULL, NULL, &err));
    start(o, "gated", "held", NULL);
    host_close(o);
    o = open_gated(url, &gate);
    assert_int_equal(is_paused(o, NULL), 1);
    assert_int_equal(is_paused(o, "gated"), 1);
    start(o, "other", "held-too", NULL);
    HOST_OK(orch_v2_cancel(o, "held-too", NULL, &err)); /* what is paused can be cancelled */
    host_await_state(o, "held-too", ORCH_EXECUTION_CANCELLED);
    assert_int_equal(latch_count(&gate), 0);
    HOST_OK(orch_v2_resume_workflow(o, NULL, NULL, &err));
    host_await_state(o, "held", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

static void what_was_set_is_recorded(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "audit.db", room), &gate);
    orch_control *ann = orch_control_new();
    orch_controls *c = NULL;

    assert_int_equal(orch_control_set_who(ann, "ann"), 0);
    assert_int_equal(orch_control_set_why(ann, "a holiday"), 0);
    HOST_OK(orch_v2_pause_workflow(o, "gated", ann, &err));
    HOST_OK(orch_v2_resume_workflow(o, NULL, NULL, &err));
    HOST_OK(orch_v2_set_limit(o, "tenant/a", NULL, ann, &err));
    HOST_OK(orch_v2_delete_workflow(o, "other", "1.0.0", ann, &err));
    HOST_OK(orch_v2_get_controls(o, NULL, 0, 0, &c, &err));
    assert_int_equal(orch_controls_count(c), 4);
    assert_string_equal(orch_controls_action(c, 0), "pause");
    assert_string_equal(orch_controls_detail(c, 0), "gated");
    assert_string_equal(orch_controls_who(c, 0), "ann");
    assert_string_equal(orch_controls_why(c, 0), "a holiday");
    assert_string_equal(orch_controls_action(c, 1), "resume");
    assert_string_equal(orch_controls_detail(c, 1), "");
    assert_string_equal(orch_controls_action(c, 2), "set_limit");
    assert_string_equal(orch_controls_detail(c, 2), "tenant/a");
    assert_string_equal(orch_controls_action(c, 3), "delete_workflow");
    assert_string_equal(orch_controls_detail(c, 3), "other 1.0.0");
    orch_controls_free(c);
    orch_control_free(ann);
    host_close(o);
}

/* ---- deleted versions ------------------------------------------------------------------------------------ */

static void is_not_there(orch_v2 *o, const char *range, const char *piece)
{
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_version(options, range), 0);
    HOST_FAILS(orch_v2_start_workflow(o, "gated", NULL, 0, options, NULL, &err), ORCH_E_NOT_FOUND,
               piece);
    orch_start_options_free(options);
}

static void a_deleted_version_is_for_those_that_have_it(void **state)
{
    static const char changed[] =
        "{\"id\":\"gated\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"b\","
        "\"executor\":\"noop\"}]}";
    static const char newer[] =
        "{'id':'gated','version':'0.9.0','steps':[{'id':'b','executor':'noop'}]}";
    char room[200];
    const char *url = store_url(state, "deleted.db", room);
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(url, &gate);

    start(o, "gated", "has-it", NULL);
    HOST_OK(orch_v2_delete_workflow(o, "gated", "1.0.0", NULL, &err));
    HOST_FAILS(orch_v2_delete_workflow(o, "gated", "1.0.0", NULL, &err), ORCH_E_NOT_FOUND,
               "'gated' 1.0.0");
    HOST_FAILS(orch_v2_delete_workflow(o, "other", "1.0.1", NULL, &err), ORCH_E_NOT_FOUND,
               "'other' 1.0.1");
    is_not_there(o, "1.0.0", "no workflow 'gated'");
    latch_open(&gate);
    host_await_state(o, "has-it", ORCH_EXECUTION_SUCCEEDED);
    HOST_OK(orch_v2_rerun(o, "has-it", "a", NULL, &err));
    host_await_state(o, "has-it", ORCH_EXECUTION_SUCCEEDED);
    HOST_FAILS(orch_v2_register_definition(o, changed, sizeof changed - 1, &err),
               ORCH_E_ALREADY_EXISTS, "was registered, and deleted");
    host_define(o, newer); /* than all that are there */
    is_not_there(o, "^1.0.0", "its newest is 0.9.0");
    host_define(o, GATED);
    start(o, "gated", "anew", NULL);
    host_await_state(o, "anew", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

static void a_deletion_outlives_the_process(void **state)
{
    char room[200];
    const char *url = host_sqlite(room, sizeof room, "deleted-2.db");
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(url, &gate);

    (void)state;
    start(o, "gated", "has-it", NULL);
    HOST_OK(orch_v2_delete_workflow(o, "gated", "1.0.0", NULL, &err));
    HOST_OK(orch_v2_delete_workflow(o, "other", "1.0.0", NULL, &err));
    host_define(o, OTHER);
    host_close(o);
    latch_open(&gate);
    o = host_open(url, "TASK_THREADS", "8", NULL);
    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "gate", host_gate, &gate, NULL,
                                          &err));
    host_await_state(o, "has-it", ORCH_EXECUTION_SUCCEEDED);
    is_not_there(o, NULL, "no workflow 'gated'");
    start(o, "other", "other", NULL);
    host_await_state(o, "other", ORCH_EXECUTION_SUCCEEDED);
    host_define(o, GATED);
    start(o, "gated", "anew", NULL);
    host_await_state(o, "anew", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

/* ---- limits ---------------------------------------------------------------------------------------------- */

static void set_concurrency(orch_v2 *o, const char *key, uint32_t executions)
{
    orch_limit *l = orch_limit_new();

    assert_int_equal(orch_limit_set_concurrency(l, executions), 0);
    HOST_OK(orch_v2_set_limit(o, key, l, NULL, &err));
    orch_limit_free(l);
}

/* Of a0 to a3. */
static int count_running(orch_v2 *o)
{
    char id[20];
    int count = 0;

    for (int i = 0; i < 4; i++) {
        snprintf(id, sizeof id, "a%d", i);
        count += host_state(o, id) == ORCH_EXECUTION_RUNNING;
    }
    return count;
}

static void a_limit_holds_back_its_own_only(void **state)
{
    char room[200], id[20];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "concurrency.db", room), &gate);

    set_concurrency(o, "tenant/a", 1);
    for (int i = 0; i < 4; i++) {
        snprintf(id, sizeof id, "a%d", i);
        start(o, "gated", id, "tenant/a");
    }
    start(o, "gated", "b", "tenant/b");
    start(o, "gated", "c", NULL);
    latch_wait(&gate, 3); /* one of a (of those of one millisecond any may be first), b and c */
    host_await_state(o, "b", ORCH_EXECUTION_RUNNING);
    host_await_state(o, "c", ORCH_EXECUTION_RUNNING);
    assert_int_equal(count_running(o), 1);
    set_concurrency(o, "tenant/a", 3);
    latch_wait(&gate, 5);
    assert_int_equal(count_running(o), 3);
    latch_open(&gate);
    for (int i = 0; i < 4; i++) {
        snprintf(id, sizeof id, "a%d", i);
        host_await_state(o, id, ORCH_EXECUTION_SUCCEEDED);
    }
    host_close(o);
}

static void a_rate_is_kept(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "rate.db", room), &gate);
    orch_limit *l = orch_limit_new();

    latch_open(&gate);
    assert_int_equal(orch_limit_set_rate(l, 2, 3600 * 1000, 1), 0);
    HOST_OK(orch_v2_set_limit(o, "slow", l, NULL, &err));
    orch_limit_free(l);
    start(o, "gated", "one", "slow");
    host_await_state(o, "one", ORCH_EXECUTION_SUCCEEDED);
    start(o, "gated", "two", "slow");
    start(o, "gated", "free", NULL);
    host_await_state(o, "free", ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(host_state(o, "two"), ORCH_EXECUTION_PENDING);
    HOST_OK(orch_v2_set_limit(o, "slow", NULL, NULL, &err));
    host_await_state(o, "two", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

static void limits_are_told_and_outlive_the_process(void **state)
{
    char room[200];
    const char *url = host_sqlite(room, sizeof room, "limits.db");
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(url, &gate);
    orch_limit *l = orch_limit_new();

    (void)state;
    assert_int_equal(orch_limit_set_concurrency(l, 7), 0);
    assert_int_equal(orch_limit_set_rate(l, 10, 1000, 3), 0);
    HOST_OK(orch_v2_set_limit(o, "k", l, NULL, &err));
    orch_limit_free(l);
    for (int i = 0; i < 2; i++) {
        l = NULL;
        HOST_OK(orch_v2_get_limit(o, "k", &l, &err));
        assert_int_equal(orch_limit_get(l, "concurrency"), 7);
        assert_int_equal(orch_limit_get(l, "rate"), 10);
        assert_int_equal(orch_limit_get(l, "per_ms"), 1000);
        assert_int_equal(orch_limit_get(l, "burst"), 3);
        assert_int_equal(orch_limit_get(l, "nonsense"), -1);
        orch_limit_free(l);
        host_close(o);
        o = open_gated(url, &gate);
    }
    HOST_OK(orch_v2_set_limit(o, "k", NULL, NULL, &err));
    HOST_OK(orch_v2_get_limit(o, "k", &l, &err));
    assert_int_equal(orch_limit_get(l, "concurrency"), 0);
    assert_int_equal(orch_limit_get(l, "rate"), 0);
    orch_limit_free(l);
    host_close(o);
}

static void limited_ones_are_found(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "found.db", room), &gate);
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;

    latch_open(&gate);
    start(o, "gated", "a", "tenant/a");
    start(o, "gated", "b", "tenant/b");
    HOST_OK(orch_filter_set(f, "limit_key", "tenant/b", &err));
    HOST_OK(orch_v2_list_executions(o, f, &l, &err));
    assert_int_equal(orch_execution_list_count(l), 1);
    assert_string_equal(orch_response_id(orch_execution_list_get(l, 0)), "b");
    assert_string_equal(orch_response_limit_key(orch_execution_list_get(l, 0)), "tenant/b");
    orch_execution_list_free(l);
    orch_filter_free(f);
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
        ON_BOTH(a_workflow_is_paused),
        cmocka_unit_test(a_pause_of_everything_outlives_the_process),
        ON_BOTH(what_was_set_is_recorded),
        ON_BOTH(a_deleted_version_is_for_those_that_have_it),
        cmocka_unit_test(a_deletion_outlives_the_process),
        ON_BOTH(a_limit_holds_back_its_own_only),
        ON_BOTH(a_rate_is_kept),
        cmocka_unit_test(limits_are_told_and_outlive_the_process),
        ON_BOTH(limited_ones_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
