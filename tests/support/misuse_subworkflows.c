/* Children of tasks, and trees of executions. */
#include "support/misuse.h"

static orch_subworkflows *sub(void)
{
    return orch_v2_subworkflows(orch);
}

static void on_end(void *user_data, orch_response *response)
{
    (void)user_data;
    orch_response_free(response);
}

static void bad_options(void)
{
    orch_child_options *o = orch_child_options_new();

    assert_null(orch_v2_subworkflows(NULL));
    REFUSES(orch_child_options_set_key(NULL, "a"));
    REFUSES(orch_child_options_set_key(o, ""));
    REFUSES(orch_child_options_set_key(o, ".a"));
    REFUSES(orch_child_options_set_key(o, "a/b"));
    REFUSES(orch_child_options_set_key(o, "a~2"));
    REFUSES(orch_child_options_set_key(o, huge));
    REFUSES(orch_child_options_set_on_parent_end(NULL, ORCH_CHILD_CANCEL));
    REFUSES(orch_child_options_set_on_parent_end(o, -1));
    REFUSES(orch_child_options_set_on_parent_end(o, 2));
    assert_int_equal(orch_child_options_set_key(o, NULL), 0);
    orch_child_options_free(o);
    orch_child_options_free(NULL);
}

/* ---- starts ---------------------------------------------------------------------------------------------- */

static void bad_start(void)
{
    BAD_OUT(orch_execution, "subworkflows must not be NULL",
            orch_subworkflows_start(NULL, task, "noop", NULL, 0, NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "task must not be NULL",
            orch_subworkflows_start(sub(), NULL, "noop", NULL, 0, NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "id must not be NULL",
            orch_subworkflows_start(sub(), task, NULL, NULL, 0, NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "id is",
            orch_subworkflows_start(sub(), task, huge, NULL, 0, NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "not JSON",
            orch_subworkflows_start(sub(), task, "noop", "{", 1, NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "must be a JSON object",
            orch_subworkflows_start(sub(), task, "noop", "[]", 2, NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "inputs_json has",
            orch_subworkflows_start(sub(), task, "noop", huge, (size_t)1 << 40, NULL, NULL, &out,
                                    &err));
}

static int32_t good_start(void)
{
    return orch_subworkflows_start(sub(), task, "noop", NULL, 0, NULL, NULL, NULL, NULL);
}

static void bad_start_async(void)
{
    FREES(BAD("subworkflows must not be NULL",
              orch_subworkflows_start_async(NULL, task, "noop", NULL, 0, NULL, NULL, NULL, on_end,
                                            NULL, count_free, &err)));
    FREES(BAD("task must not be NULL",
              orch_subworkflows_start_async(sub(), NULL, "noop", NULL, 0, NULL, NULL, NULL, on_end,
                                            NULL, count_free, &err)));
    FREES(BAD("not JSON", orch_subworkflows_start_async(sub(), task, "noop", "x", 1, NULL, NULL,
                                                        NULL, on_end, NULL, count_free, &err)));
}

static int32_t good_start_async(void)
{
    return orch_subworkflows_start_async(sub(), task, "noop", NULL, 0, NULL, NULL, NULL, NULL, NULL,
                                         NULL, NULL);
}

static void bad_wait(void)
{
    BAD("subworkflows must not be NULL", orch_subworkflows_wait(NULL, task, 0, &err));
    BAD("task must not be NULL", orch_subworkflows_wait(sub(), NULL, 0, &err));
    BAD("timeout_ms is -2", orch_subworkflows_wait(sub(), task, -2, &err));
}

static int32_t good_wait(void)
{
    return orch_subworkflows_wait(sub(), task, HOST_PATIENCE_MS, NULL);
}

/* ---- looks ----------------------------------------------------------------------------------------------- */

static const char *id(void)
{
    return orch_execution_id(execution);
}

static void bad_list(void)
{
    BAD_OUT(orch_execution_list, "subworkflows must not be NULL",
            orch_subworkflows_list(NULL, id(), NULL, &out, &err));
    BAD_OUT(orch_execution_list, "execution_id must not be NULL",
            orch_subworkflows_list(sub(), NULL, NULL, &out, &err));
    BAD_OUT(orch_execution_list, "id is empty",
            orch_subworkflows_list(sub(), "", NULL, &out, &err));
    BAD("out_list must not be NULL", orch_subworkflows_list(sub(), id(), NULL, NULL, &err));
}

static int32_t good_list(void)
{
    orch_execution_list *l = NULL;
    int32_t rc = orch_subworkflows_list(sub(), id(), NULL, &l, NULL);

    orch_execution_list_free(l);
    return rc;
}

static void bad_height(void)
{
    BAD("subworkflows must not be NULL", orch_subworkflows_height(NULL, id(), &err));
    BAD("execution_id must not be NULL", orch_subworkflows_height(sub(), NULL, &err));
    BAD("longer than 128", orch_subworkflows_height(sub(), huge, &err));
    HOST_FAILS(orch_subworkflows_height(sub(), "none", &err), ORCH_E_NOT_FOUND, "none");
}

static int32_t good_height(void)
{
    int32_t rc = orch_subworkflows_height(sub(), id(), NULL);

    return rc > 0 ? 0 : rc;
}

static void bad_lineage(void)
{
    BAD_OUT(orch_lineage, "subworkflows must not be NULL",
            orch_subworkflows_get_lineage(NULL, id(), &out, &err));
    BAD_OUT(orch_lineage, "execution_id must not be NULL",
            orch_subworkflows_get_lineage(sub(), NULL, &out, &err));
    BAD("out_lineage must not be NULL", orch_subworkflows_get_lineage(sub(), id(), NULL, &err));
    assert_int_equal(orch_lineage_depth(NULL), 0);
    assert_int_equal(orch_lineage_count(NULL), 0);
    assert_string_equal(orch_lineage_id(NULL, 0), "");
    assert_int_equal(orch_lineage_parent_run(NULL, 0), 0);
    assert_string_equal(orch_lineage_step(NULL, 0), "");
    assert_int_equal(orch_lineage_index(NULL, 0), -1);
    assert_int_equal(orch_lineage_attempt(NULL, 0), 0);
    assert_int_equal(orch_lineage_by_task(NULL, 0), 0);
    assert_int_equal(orch_lineage_on_parent_end(NULL, 0), -1);
    orch_lineage_free(NULL);
}

static int32_t good_lineage(void)
{
    orch_lineage *l = NULL;
    int32_t rc = orch_subworkflows_get_lineage(sub(), id(), &l, NULL);

    assert_string_equal(orch_lineage_step(l, 9), "");
    orch_lineage_free(l);
    return rc;
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

const misuse_row misuse_subworkflows_rows[] = {
    {"orch_v2_subworkflows orch_child_options_new orch_child_options_free "
     "orch_child_options_set_key orch_child_options_set_on_parent_end",
     bad_options, NULL, 0, 0, 0, 0},
    {"orch_subworkflows_start", bad_start, good_start, FP, FP, FP, FP},
    {"orch_subworkflows_start_async", bad_start_async, good_start_async, FP, FP, 0, 0},
    {"orch_subworkflows_wait", bad_wait, good_wait, FP, FP, FP, FP},
    {"orch_subworkflows_list", bad_list, good_list, 0, FP, 0, FP},
    {"orch_subworkflows_height", bad_height, good_height, 0, FP, 0, FP},
    {"orch_subworkflows_get_lineage orch_lineage_depth orch_lineage_count orch_lineage_id "
     "orch_lineage_parent_run orch_lineage_step orch_lineage_index orch_lineage_attempt "
     "orch_lineage_by_task orch_lineage_on_parent_end orch_lineage_free",
     bad_lineage, good_lineage, 0, FP, 0, FP},
    {0},
};
