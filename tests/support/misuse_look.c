/* Looking at executions. */
#include "support/misuse.h"

/* ---- looking --------------------------------------------------------------------------------------------- */

static void bad_get(void)
{
    BAD_OUT(orch_response, "orch must not be NULL", orch_v2_get_execution(NULL, "x", &out, &err));
    BAD_OUT(orch_response, "execution_id must not be NULL",
            orch_v2_get_execution(orch, NULL, &out, &err));
    BAD_OUT(orch_response, "execution id", orch_v2_get_execution(orch, "", &out, &err));
    BAD_OUT(orch_response, "execution id", orch_v2_get_execution(orch, "a\nb", &out, &err));
    BAD_OUT(orch_response, "execution id", orch_v2_get_execution(orch, huge, &out, &err));
    BAD("out_response must not be NULL", orch_v2_get_execution(orch, "x", NULL, &err));
}

static int32_t good_get(void)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_get_execution(orch, orch_execution_id(execution), &r, NULL);

    orch_response_free(r);
    return rc;
}

static void bad_find(void)
{
    BAD_OUT(orch_execution, "orch must not be NULL", orch_v2_find_execution(NULL, "x", &out, &err));
    BAD_OUT(orch_execution, "execution_id must not be NULL",
            orch_v2_find_execution(orch, NULL, &out, &err));
    BAD_OUT(orch_execution, "execution id", orch_v2_find_execution(orch, huge, &out, &err));
    BAD("out_execution must not be NULL", orch_v2_find_execution(orch, "x", NULL, &err));
}

static int32_t good_find(void)
{
    orch_execution *e = NULL;
    int32_t rc = orch_v2_find_execution(orch, orch_execution_id(execution), &e, NULL);

    orch_execution_free(e);
    return rc;
}

static void bad_list(void)
{
    BAD_OUT(orch_execution_list, "orch must not be NULL",
            orch_v2_list_executions(NULL, NULL, &out, &err));
    BAD("out_list must not be NULL", orch_v2_list_executions(orch, NULL, NULL, &err));
    assert_int_equal(orch_execution_list_count(NULL), 0);
    assert_null(orch_execution_list_get(NULL, 0));
    assert_null(orch_execution_list_next(NULL));
    orch_execution_list_free(NULL);
}

static int32_t good_list(void)
{
    orch_execution_list *l = NULL;
    int32_t rc = orch_v2_list_executions(orch, NULL, &l, NULL);

    if (!rc)
        assert_null(orch_execution_list_get(l, orch_execution_list_count(l)));
    orch_execution_list_free(l);
    return rc;
}

static void bad_filter(void)
{
    static const char *const bad[][2] = {
        {"state", "done"},
        {"state", ""},
        {"workflow", ""},
        {"workflow", "a b"},
        {"version", "^1.0.0"},
        {"version", ""},
        {"accepted_from_ms", "-1"},
        {"accepted_to_ms", "soon"},
        {"accepted_to_ms", "99999999999999999999"},
        {"ended_from_ms", "-1"},
        {"ended_to_ms", ""},
        {"parent", ""},
        {"parent", "a b"},
        {"start_key", ""},
        {"start_key", "a\nb"},
        {"limit_key", ""},
        {"limit_key", "\xff"},
        {"attribute", ""},
        {"attribute", "a"},
        {"attribute", "=1"},
        {"attribute", "a="},
        {"attribute", "a=b"},
        {"attribute", "a b=1"},
        {"attribute", "a=null"},
        {"attribute", "a=[1]"},
        {"attribute", "a=1 2"},
        {"paused", "maybe"},
        {"everything", "yes"},
        {"order", "random"},
        {"limit", "0"},
        {"limit", "10001"},
        {"limit", " 1"},
        {"payloads", "yes"},
        {"page", "2"},
        {"page", ""},
        {"nonsense", "1"},
        {"", ""},
    };
    orch_filter *f = orch_filter_new();

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        BAD(bad[i][0], orch_filter_set(f, bad[i][0], bad[i][1], &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        BAD(bad[i][0], orch_filter_set(f, bad[i][0], huge, &err));
    BAD("filter must not be NULL", orch_filter_set(NULL, "limit", "1", &err));
    BAD("key must not be NULL", orch_filter_set(f, NULL, "1", &err));
    BAD("value must not be NULL", orch_filter_set(f, "limit", NULL, &err));
    BAD("is not known", orch_filter_set(f, huge, "1", &err));
    orch_filter_free(f);
    orch_filter_free(NULL);
}

static void bad_history(void)
{
    size_t len = 77;

    BAD_OUT(orch_history, "orch must not be NULL",
            orch_v2_get_history(NULL, "x", 0, 0, &out, &err));
    BAD_OUT(orch_history, "execution_id must not be NULL",
            orch_v2_get_history(orch, NULL, 0, 0, &out, &err));
    BAD_OUT(orch_history, "execution id", orch_v2_get_history(orch, "?", 0, 0, &out, &err));
    BAD_OUT(orch_history, "limit is 100001", orch_v2_get_history(orch, "x", 0, 100001, &out, &err));
    BAD("out_history must not be NULL", orch_v2_get_history(orch, "x", 0, 0, NULL, &err));
    assert_int_equal(orch_history_count(NULL), 0);
    assert_int_equal(orch_history_seq(NULL, 0), 0);
    assert_string_equal(orch_history_step(NULL, 0), "");
    assert_int_equal(orch_history_index(NULL, 0), -1);
    assert_int_equal(orch_history_kind(NULL, 0), 0);
    assert_int_equal(orch_history_attempt(NULL, 0), 0);
    assert_int_equal(orch_history_started_ms(NULL, 0), 0);
    assert_int_equal(orch_history_ended_ms(NULL, 0), 0);
    assert_string_equal(orch_history_output(NULL, 0, &len), "null");
    assert_int_equal(len, 4);
    assert_null(orch_history_error(NULL, 0, &len));
    assert_int_equal(len, 0);
    orch_history_free(NULL);
}

static int32_t good_history(void)
{
    orch_history *h = NULL;
    int32_t rc = orch_v2_get_history(orch, orch_execution_id(execution), 0, 0, &h, NULL);

    if (!rc)
        assert_string_equal(orch_history_step(h, SIZE_MAX), "");
    orch_history_free(h);
    return rc;
}

static void bad_run_history(void)
{
    BAD_OUT(orch_history, "orch must not be NULL",
            orch_v2_get_run_history(NULL, "x", 1, 0, 0, &out, &err));
    BAD_OUT(orch_history, "execution_id must not be NULL",
            orch_v2_get_run_history(orch, NULL, 1, 0, 0, &out, &err));
    BAD_OUT(orch_history, "execution id", orch_v2_get_run_history(orch, huge, 1, 0, 0, &out, &err));
    BAD_OUT(orch_history, "limit is 100001",
            orch_v2_get_run_history(orch, "x", 1, 0, 100001, &out, &err));
    BAD("out_history must not be NULL", orch_v2_get_run_history(orch, "x", 1, 0, 0, NULL, &err));
    assert_int_equal(orch_history_due_ms(NULL, 0), 0);
    assert_int_equal(orch_history_codec_status(NULL), 0);
}

static int32_t good_run_history(void)
{
    orch_history *h = NULL;
    int32_t rc = orch_v2_get_run_history(orch, orch_execution_id(execution), 1, 0, 0, &h, NULL);

    orch_history_free(h);
    return rc;
}

static void bad_runs(void)
{
    size_t len = 77;

    BAD_OUT(orch_runs, "orch must not be NULL", orch_v2_get_runs(NULL, "x", &out, &err));
    BAD_OUT(orch_runs, "execution_id must not be NULL", orch_v2_get_runs(orch, NULL, &out, &err));
    BAD_OUT(orch_runs, "execution id", orch_v2_get_runs(orch, "", &out, &err));
    BAD("out_runs must not be NULL", orch_v2_get_runs(orch, "x", NULL, &err));
    assert_int_equal(orch_runs_count(NULL), 0);
    assert_int_equal(orch_runs_run(NULL, 0), 0);
    assert_int_equal(orch_runs_state(NULL, 0), -1);
    assert_int_equal(orch_runs_ended_ms(NULL, 0), 0);
    assert_string_equal(orch_runs_output(NULL, 0, &len), "null");
    assert_int_equal(len, 4);
    assert_null(orch_runs_error(NULL, 0, &len));
    assert_int_equal(len, 0);
    assert_int_equal(orch_runs_codec_status(NULL), 0);
    orch_runs_free(NULL);
}

static int32_t good_runs(void)
{
    orch_runs *r = NULL;
    int32_t rc = orch_v2_get_runs(orch, orch_execution_id(execution), &r, NULL);

    if (!rc) {
        assert_int_equal(orch_runs_count(r), 1);
        assert_int_equal(orch_runs_run(r, SIZE_MAX), 0);
    }
    orch_runs_free(r);
    return rc;
}

static void bad_controls(void)
{
    BAD_OUT(orch_controls, "orch must not be NULL",
            orch_v2_get_controls(NULL, NULL, 0, 0, &out, &err));
    BAD_OUT(orch_controls, "execution id", orch_v2_get_controls(orch, "", 0, 0, &out, &err));
    BAD_OUT(orch_controls, "limit is 100001",
            orch_v2_get_controls(orch, NULL, 0, 100001, &out, &err));
    BAD("out_controls must not be NULL", orch_v2_get_controls(orch, NULL, 0, 0, NULL, &err));
    assert_int_equal(orch_controls_count(NULL), 0);
    assert_int_equal(orch_controls_seq(NULL, 0), 0);
    assert_int_equal(orch_controls_at_ms(NULL, 0), 0);
    assert_string_equal(orch_controls_action(NULL, 0), "");
    assert_string_equal(orch_controls_who(NULL, 0), "");
    assert_string_equal(orch_controls_why(NULL, 0), "");
    assert_string_equal(orch_controls_detail(NULL, 0), "");
    orch_controls_free(NULL);
}

static int32_t good_controls(void)
{
    orch_controls *c = NULL;
    int32_t rc = orch_v2_get_controls(orch, orch_execution_id(execution), 0, 0, &c, NULL);

    if (!rc)
        assert_string_equal(orch_controls_action(c, SIZE_MAX), "");
    orch_controls_free(c);
    return rc;
}

static void bad_steps(void)
{
    size_t len = 77;

    BAD_OUT(orch_steps, "orch must not be NULL",
            orch_v2_get_steps(NULL, "x", 0, NULL, 0, 0, &out, &err));
    BAD_OUT(orch_steps, "execution_id must not be NULL",
            orch_v2_get_steps(orch, NULL, 0, NULL, 0, 0, &out, &err));
    BAD_OUT(orch_steps, "execution id", orch_v2_get_steps(orch, huge, 0, NULL, 0, 0, &out, &err));
    BAD_OUT(orch_steps, "step is ''", orch_v2_get_steps(orch, "x", 0, "", 0, 0, &out, &err));
    BAD_OUT(orch_steps, "step is", orch_v2_get_steps(orch, "x", 0, huge, 0, 0, &out, &err));
    BAD_OUT(orch_steps, "limit is 10001",
            orch_v2_get_steps(orch, "x", 0, NULL, 0, 10001, &out, &err));
    BAD("out_steps must not be NULL", orch_v2_get_steps(orch, "x", 0, NULL, 0, 0, NULL, &err));
    assert_int_equal(orch_steps_count(NULL), 0);
    assert_int_equal(orch_steps_total(NULL), 0);
    assert_string_equal(orch_steps_id(NULL, 0), "");
    assert_int_equal(orch_steps_index(NULL, 0), -1);
    assert_string_equal(orch_steps_executor(NULL, 0), "");
    assert_int_equal(orch_steps_state(NULL, 0), ORCH_STEP_NONE);
    assert_int_equal(orch_steps_attempts(NULL, 0), 0);
    assert_int_equal(orch_steps_started_ms(NULL, 0), 0);
    assert_int_equal(orch_steps_ended_ms(NULL, 0), 0);
    assert_int_equal(orch_steps_due_ms(NULL, 0), 0);
    assert_int_equal(orch_steps_items(NULL, 0), 0);
    assert_int_equal(orch_steps_items_ended(NULL, 0), 0);
    assert_string_equal(orch_steps_output(NULL, 0, &len), "null");
    assert_int_equal(len, 4);
    assert_null(orch_steps_error(NULL, 0, &len));
    assert_int_equal(len, 0);
    assert_int_equal(orch_steps_codec_status(NULL), 0);
    orch_steps_free(NULL);
}

static int32_t good_steps(void)
{
    orch_steps *s = NULL;
    int32_t rc = orch_v2_get_steps(orch, orch_execution_id(execution), 0, NULL, 0, 0, &s, NULL);

    if (!rc) {
        assert_string_equal(orch_steps_id(s, SIZE_MAX), "");
        assert_string_equal(orch_steps_executor(s, SIZE_MAX), "");
    }
    orch_steps_free(s);
    return rc;
}

static int32_t no_line(void *user_data, const char *text, size_t len)
{
    (void)user_data;
    (void)text;
    (void)len;
    return 0;
}

static void bad_export(void)
{
    BAD("orch must not be NULL", orch_v2_export_execution(NULL, "x", no_line, NULL, &err));
    BAD("execution_id must not be NULL", orch_v2_export_execution(orch, NULL, no_line, NULL, &err));
    BAD("execution id", orch_v2_export_execution(orch, huge, no_line, NULL, &err));
    BAD("fn must not be NULL", orch_v2_export_execution(orch, "x", NULL, NULL, &err));
}

static int32_t good_export(void)
{
    return orch_v2_export_execution(orch, orch_execution_id(execution), no_line, NULL, NULL);
}

static void bad_import(void)
{
    BAD("orch must not be NULL", orch_v2_import_execution(NULL, "{}", 2, &err));
    BAD("text must not be NULL", orch_v2_import_execution(orch, NULL, 2, &err));
    BAD("not whole", orch_v2_import_execution(orch, "", 0, &err));
    BAD("line 1: record", orch_v2_import_execution(orch, "{}", 2, &err));
    BAD("line 1: it must be a JSON object", orch_v2_import_execution(orch, "[]", 2, &err));
    BAD("line 1: not JSON", orch_v2_import_execution(orch, huge, sizeof huge, &err));
}

static int32_t good_import(void)
{
    int32_t rc = orch_v2_import_execution(orch, "{}", 2, NULL);

    return rc == ORCH_E_INVALID_ARGUMENT ? 0 : rc;
}

static void bad_progress(void)
{
    BAD_OUT(orch_progress, "orch must not be NULL", orch_v2_get_progress(NULL, "x", &out, &err));
    BAD_OUT(orch_progress, "execution_id must not be NULL",
            orch_v2_get_progress(orch, NULL, &out, &err));
    BAD_OUT(orch_progress, "execution id", orch_v2_get_progress(orch, huge, &out, &err));
    BAD("out_progress must not be NULL", orch_v2_get_progress(orch, "x", NULL, &err));
    assert_int_equal(orch_progress_get(NULL, "steps"), -1);
    orch_progress_free(NULL);
}

static int32_t good_progress(void)
{
    orch_progress *p = NULL;
    int32_t rc = orch_v2_get_progress(orch, orch_execution_id(execution), &p, NULL);

    if (!rc) {
        assert_int_equal(orch_progress_get(p, NULL), -1);
        assert_int_equal(orch_progress_get(p, ""), -1);
    }
    orch_progress_free(p);
    return rc;
}

static void bad_response(void)
{
    size_t len = 77;

    assert_string_equal(orch_response_id(NULL), "");
    assert_string_equal(orch_response_workflow(NULL), "");
    assert_string_equal(orch_response_version(NULL), "");
    assert_int_equal(orch_response_state(NULL), -1);
    assert_string_equal(orch_response_output(NULL, &len), "null");
    assert_int_equal(len, 4);
    assert_string_equal(orch_response_input(NULL, NULL), "{}");
    assert_null(orch_response_error(NULL, &len));
    assert_int_equal(len, 0);
    assert_int_equal(orch_response_accepted_ms(NULL), 0);
    assert_int_equal(orch_response_ended_ms(NULL), 0);
    assert_int_equal(orch_response_run(NULL), 0);
    assert_int_equal(orch_response_priority(NULL), -1);
    assert_int_equal(orch_response_paused(NULL), 0);
    assert_string_equal(orch_response_parent(NULL), "");
    assert_string_equal(orch_response_attributes(NULL, &len), "{}");
    assert_int_equal(len, 2);
    assert_string_equal(orch_response_limit_key(NULL), "");
    assert_int_equal(orch_response_wake_ms(NULL), 0);
    assert_int_equal(orch_response_deadline_ms(NULL), 0);
    assert_int_equal(orch_response_codec_status(NULL), 0);
    orch_response_free(NULL);
}

static void bad_names(void)
{
    assert_string_equal(orch_execution_state_name(INT32_MIN), "unknown");
    assert_string_equal(orch_execution_state_name(INT32_MAX), "unknown");
    assert_string_equal(orch_step_kind_name(INT32_MIN), "unknown");
    assert_string_equal(orch_step_kind_name(INT32_MAX), "unknown");
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

const misuse_row misuse_look_rows[] = {
    {"orch_v2_get_execution", bad_get, good_get, 0, FP, 0, FP},
    {"orch_v2_find_execution", bad_find, good_find, 0, FP, 0, FP},
    {"orch_v2_list_executions orch_execution_list_count orch_execution_list_get "
     "orch_execution_list_next orch_execution_list_free",
     bad_list, good_list, 0, FP, 0, FP},
    {"orch_filter_new orch_filter_free orch_filter_set", bad_filter, NULL, 0, 0, 0, 0},
    {"orch_v2_get_history orch_history_count orch_history_seq orch_history_step orch_history_index "
     "orch_history_kind orch_history_attempt orch_history_started_ms orch_history_ended_ms "
     "orch_history_output orch_history_error orch_history_free",
     bad_history, good_history, 0, FP, 0, FP},
    {"orch_v2_get_run_history orch_history_due_ms orch_history_codec_status", bad_run_history,
     good_run_history, 0, FP, 0, FP},
    {"orch_v2_get_runs orch_runs_count orch_runs_run orch_runs_state orch_runs_ended_ms "
     "orch_runs_output orch_runs_error orch_runs_codec_status orch_runs_free",
     bad_runs, good_runs, 0, FP, 0, FP},
    {"orch_v2_get_controls orch_controls_count orch_controls_seq orch_controls_at_ms "
     "orch_controls_action orch_controls_who orch_controls_why orch_controls_detail "
     "orch_controls_free",
     bad_controls, good_controls, 0, FP, 0, FP},
    {"orch_v2_get_steps orch_steps_count orch_steps_total orch_steps_id orch_steps_index "
     "orch_steps_executor orch_steps_state orch_steps_attempts orch_steps_started_ms "
     "orch_steps_ended_ms orch_steps_due_ms orch_steps_items orch_steps_items_ended "
     "orch_steps_output orch_steps_error orch_steps_codec_status orch_steps_free",
     bad_steps, good_steps, 0, FP, 0, FP},
    {"orch_v2_export_execution", bad_export, good_export, 0, FP, 0, FP},
    {"orch_v2_import_execution", bad_import, good_import, FP, FP, FP, FP},
    {"orch_v2_get_progress orch_progress_get orch_progress_free", bad_progress, good_progress, FP,
     FP, 0, FP},
    {"orch_response_id orch_response_workflow orch_response_version orch_response_state "
     "orch_response_output orch_response_error orch_response_input orch_response_accepted_ms "
     "orch_response_ended_ms orch_response_run orch_response_priority orch_response_paused "
     "orch_response_parent orch_response_attributes orch_response_limit_key orch_response_wake_ms "
     "orch_response_deadline_ms orch_response_codec_status orch_response_free",
     bad_response, NULL, 0, 0, 0, 0},
    {"orch_execution_state_name orch_step_kind_name", bad_names, NULL, 0, 0, 0, 0},
    {0},
};
