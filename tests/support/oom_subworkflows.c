/* Children of tasks, and trees of executions. */
#include "support/oom.h"

#include <stdio.h>
#include <string.h>

static int number;
static char key[20], child_id[40];

static void name_one(void)
{
    snprintf(key, sizeof key, "k%d", ++number);
    snprintf(child_id, sizeof child_id, "open/1/a~%s", key);
}

static int32_t set_options(orch_child_options *o)
{
    int32_t rc = orch_child_options_set_key(o, key);

    return rc ? rc : orch_child_options_set_on_parent_end(o, ORCH_CHILD_CANCEL);
}

static int32_t call_start(void)
{
    orch_child_options *o = orch_child_options_new();
    orch_execution *e = NULL;
    int32_t rc = o ? set_options(o) : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_subworkflows_start(orch_v2_subworkflows(orch), task, "noop", "{\"n\":1}", 7, NULL,
                                     o, &e, NULL);
    orch_execution_free(e);
    orch_child_options_free(o);
    return rc;
}

static void expect_child(void)
{
    oom_expect(child_id, ORCH_EXECUTION_SUCCEEDED);
}

static latch answers = LATCH_INIT;
static int32_t answer;

static void on_answer(void *user_data, orch_execution *e, orch_error *error)
{
    (void)user_data;
    answer = e ? 0 : error ? orch_error_code(error) : ORCH_E_RESOURCE_EXHAUSTED;
    if (e)
        snprintf(child_id, sizeof child_id, "%s", orch_execution_id(e));
    orch_execution_free(e);
    orch_error_free(error);
    latch_add(&answers);
}

static int32_t call_start_async(void)
{
    int answered = latch_count(&answers);
    int32_t rc = orch_subworkflows_start_async(orch_v2_subworkflows(orch), task, "noop",
                                               "{\"n\":1}", 7, NULL, NULL, on_answer, NULL, NULL,
                                               NULL, NULL);

    if (rc)
        return rc;
    latch_wait(&answers, answered + 1);
    return answer;
}

static int32_t call_wait(void)
{
    return orch_subworkflows_wait(orch_v2_subworkflows(orch), task, -1, NULL);
}

static int32_t call_list(void)
{
    orch_execution_list *l = NULL;
    int32_t rc = orch_subworkflows_list(orch_v2_subworkflows(orch), "open", NULL, &l, NULL);

    if (!rc)
        assert_true(orch_execution_list_count(l) > 0);
    orch_execution_list_free(l);
    return rc;
}

static int32_t call_height(void)
{
    int32_t rc = orch_subworkflows_height(orch_v2_subworkflows(orch), "open", NULL);

    return rc > 0 ? 0 : rc;
}

static int32_t call_lineage(void)
{
    orch_lineage *l = NULL;
    int32_t rc = orch_subworkflows_get_lineage(orch_v2_subworkflows(orch), "open/1/a~first", &l,
                                               NULL);

    if (!rc) {
        assert_int_equal(orch_lineage_depth(l), 1);
        assert_int_equal(orch_lineage_count(l), 2);
        assert_string_equal(orch_lineage_id(l, 0), "open");
        assert_string_equal(orch_lineage_id(l, 1), "open/1/a~first");
        assert_int_equal(orch_lineage_parent_run(l, 1), 1);
        assert_string_equal(orch_lineage_step(l, 1), "a");
        assert_int_equal(orch_lineage_index(l, 1), -1);
        assert_int_equal(orch_lineage_attempt(l, 1), 1);
        assert_int_equal(orch_lineage_by_task(l, 1), 1);
        assert_int_equal(orch_lineage_on_parent_end(l, 1), ORCH_CHILD_CANCEL);
    }
    orch_lineage_free(l);
    return rc;
}

const oom_row oom_subworkflows_rows[] = {
    {"orch_v2_subworkflows orch_child_options_new orch_child_options_free "
     "orch_child_options_set_key orch_child_options_set_on_parent_end orch_subworkflows_start",
     name_one, call_start, expect_child, false},
    {"orch_subworkflows_start_async", NULL, call_start_async, expect_child, false},
    {"orch_subworkflows_wait", NULL, call_wait, NULL, false},
    {"orch_subworkflows_list", NULL, call_list, NULL, false},
    {"orch_subworkflows_height", NULL, call_height, NULL, false},
    {"orch_subworkflows_get_lineage orch_lineage_depth orch_lineage_count orch_lineage_id "
     "orch_lineage_parent_run orch_lineage_step orch_lineage_index orch_lineage_attempt "
     "orch_lineage_by_task orch_lineage_on_parent_end orch_lineage_free",
     NULL, call_lineage, NULL, false},
    {0},
};
