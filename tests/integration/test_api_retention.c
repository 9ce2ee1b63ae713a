/* Goal: what has ended is kept for as long as the configuration says, and no longer; what has not ended is kept. */
#include "support/api_host.h"

#include <stdio.h>
#include <string.h>

#define MINUTE (60 * 1000LL)
#define DAY    (24 * 60 * MINUTE)

static orch_v2 *open_with(void **state, const char *name, const char *key, const char *value)
{
    orch_config *c = orch_config_new();
    orch_v2 *o;
    char room[200];

    HOST_OK(orch_config_set(c, "STORE_URL",
                            *state ? host_sqlite(room, sizeof room, name) : "memory:", &err));
    HOST_OK(orch_config_set(c, key, value, &err));
    o = orch_testing_new(c, 1800000000000, NULL);
    assert_non_null(o);
    orch_config_free(c);
    host_define(o, "{'id':'short','version':'1.0.0','steps':[{'id':'a','executor':'noop'}]}");
    host_define(o, "{'id':'long','version':'1.0.0','steps':[{'id':'a','executor':'wait','with':"
                   "{'signal':'go','timeout':'300d'}}]}");
    return o;
}

static void start(orch_v2 *o, const char *workflow, const char *id)
{
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    HOST_OK(orch_v2_start_workflow(o, workflow, NULL, 0, options, NULL, &err));
    orch_start_options_free(options);
    HOST_OK(orch_testing_advance(o, 0, &err));
}

static bool is_there(orch_v2 *o, const char *id)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_get_execution(o, id, &r, NULL);

    orch_response_free(r);
    assert_true(rc == 0 || rc == ORCH_E_NOT_FOUND);
    return rc == 0;
}

static void ended_ones_go_after_their_time(void **state)
{
    orch_v2 *o = open_with(state, "age.db", "RETENTION_AGE", "10d");

    start(o, "long", "open");
    start(o, "short", "first");
    HOST_OK(orch_testing_advance(o, 5 * DAY, &err));
    start(o, "short", "second");
    HOST_OK(orch_testing_advance(o, 5 * DAY - MINUTE, &err));
    assert_true(is_there(o, "first"));
    HOST_OK(orch_testing_advance(o, 3 * MINUTE, &err));
    assert_false(is_there(o, "first"));
    assert_true(is_there(o, "second"));
    HOST_OK(orch_testing_advance(o, 6 * DAY, &err));
    assert_false(is_there(o, "second"));
    assert_true(is_there(o, "open"));
    host_close(o);
}

static void so_many_are_kept(void **state)
{
    orch_v2 *o = open_with(state, "count.db", "RETENTION_COUNT", "2");
    char id[20];

    start(o, "long", "open");
    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof id, "short/%d", i);
        start(o, "short", id);
        HOST_OK(orch_testing_advance(o, 1, &err));
    }
    HOST_OK(orch_testing_advance(o, 2 * MINUTE, &err));
    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof id, "short/%d", i);
        assert_int_equal(is_there(o, id), i >= 3);
    }
    assert_true(is_there(o, "open"));
    host_close(o);
}

static void so_many_signals_wait(void **state)
{
    orch_v2 *o = open_with(state, "signals.db", "MAX_SIGNALS", "2");

    start(o, "long", "deaf");
    for (int i = 0; i < 2; i++)
        HOST_OK(orch_v2_signal(o, "deaf", "other", NULL, 0, NULL, NULL, &err));
    HOST_FAILS(orch_v2_signal(o, "deaf", "other", NULL, 0, NULL, NULL, &err),
               ORCH_E_RESOURCE_EXHAUSTED, "has 2 signals waiting");
    host_close(o);
}

static orch_execution *hire(orch_v2 *o, orch_task *task)
{
    orch_execution *e = NULL;

    HOST_OK(orch_subworkflows_start(orch_v2_subworkflows(o), task, "short", NULL, 0, NULL, NULL, &e,
                                    &err));
    return e;
}

/* However long its task takes, the child is there for the next attempt; it goes after its parent has ended, and the path
 * to one whose parent went first begins with itself. */
static void children_of_tasks_stay_for_their_parent(void **state)
{
    orch_v2 *o = open_with(state, "task.db", "RETENTION_AGE", "10d");
    orch_subworkflows *sub = orch_v2_subworkflows(o);
    orch_child_options *loose = orch_child_options_new();
    orch_lineage *l = NULL;
    orch_execution *e;
    orch_task *task = NULL;

    host_define(o, "{'id':'boss','version':'1.0.0','steps':[{'id':'a','executor':'boss'}]}");
    start(o, "boss", "b");
    HOST_OK(orch_engine_next_task(orch_v2_local_engine(o), "boss", HOST_PATIENCE_MS, &task, &err));
    orch_execution_free(hire(o, task));
    assert_int_equal(orch_child_options_set_key(loose, "loose"), 0);
    assert_int_equal(orch_child_options_set_on_parent_end(loose, ORCH_CHILD_ABANDON), 0);
    HOST_OK(orch_subworkflows_start(sub, task, "long", NULL, 0, NULL, loose, NULL, &err));
    HOST_OK(orch_testing_advance(o, 30 * DAY, &err));
    e = hire(o, task);
    assert_int_equal(orch_execution_existed(e), 1);
    orch_execution_free(e);
    HOST_OK(orch_task_complete(task, NULL, 0, &err));
    host_await_state(o, "b", ORCH_EXECUTION_SUCCEEDED);
    HOST_OK(orch_testing_advance(o, 11 * DAY, &err));
    assert_false(is_there(o, "b/1/a"));
    assert_false(is_there(o, "b"));
    HOST_OK(orch_subworkflows_get_lineage(sub, "b/1/a~loose", &l, &err));
    assert_int_equal(orch_lineage_depth(l), 1);
    assert_int_equal(orch_lineage_count(l), 1);
    assert_int_equal(orch_lineage_parent_run(l, 0), 1);
    assert_string_equal(orch_lineage_step(l, 0), "");
    orch_lineage_free(l);
    orch_child_options_free(loose);
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
        ON_BOTH(ended_ones_go_after_their_time),
        ON_BOTH(so_many_are_kept),
        ON_BOTH(so_many_signals_wait),
        ON_BOTH(children_of_tasks_stay_for_their_parent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
