/* Looking at executions: what is got is read by all its functions, none of which may find less for it. */
#include "support/oom.h"

#include <stdio.h>
#include <string.h>

/* ---- execution.h ------------------------------------------------------------------------------------------- */

static void read_response(const orch_response *r)
{
    size_t len;

    assert_string_equal(orch_response_id(r), "done");
    assert_string_equal(orch_response_workflow(r), "list");
    assert_string_equal(orch_response_version(r), "1.0.0");
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    assert_string_equal(orch_response_output(r, &len), "[1,2]");
    assert_null(orch_response_error(r, NULL));
    assert_true(orch_response_accepted_ms(r) > 0);
    assert_true(orch_response_ended_ms(r) > 0);
    assert_int_equal(orch_response_run(r), 1);
    assert_int_equal(orch_response_priority(r), 5);
    assert_int_equal(orch_response_paused(r), 0);
    assert_string_equal(orch_response_parent(r), "");
    assert_string_equal(orch_response_attributes(r, &len), "{}");
    assert_string_equal(orch_response_limit_key(r), "");
    assert_int_equal(orch_response_wake_ms(r), 0);
    assert_int_equal(orch_response_deadline_ms(r), 0);
    assert_int_equal(orch_response_codec_status(r), 0);
    assert_string_equal(orch_execution_state_name(orch_response_state(r)), "succeeded");
}

static int32_t call_get(void)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_get_execution(orch, "done", &r, NULL);

    if (!rc) {
        read_response(r);
        assert_string_equal(orch_response_input(r, NULL), "{\"items\":[1,2]}");
    }
    orch_response_free(r);
    return rc;
}

static int32_t call_find(void)
{
    orch_execution *e = NULL;
    orch_response *r = NULL;
    int32_t rc = orch_v2_find_execution(orch, "done", &e, NULL);

    if (!rc)
        rc = orch_execution_wait(e, -1, &r, NULL);
    if (!rc) {
        assert_string_equal(orch_response_id(r), "done");
        assert_string_equal(orch_response_output(r, NULL), "[1,2]");
    }
    orch_response_free(r);
    orch_execution_free(e);
    return rc;
}

static int32_t call_progress(void)
{
    orch_progress *p = NULL;
    int32_t rc = orch_v2_get_progress(orch, "open", &p, NULL);

    if (!rc)
        assert_int_equal(orch_progress_get(p, "steps"), 1);
    orch_progress_free(p);
    return rc;
}

/* ---- list.h ------------------------------------------------------------------------------------------------ */

static int32_t set_filter(orch_filter *f)
{
    static const char *const pairs[][2] = {
        {"workflow", "list"}, {"state", "succeeded"}, {"limit", "1"}, {"order", "oldest"}};
    int32_t rc = 0;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && !rc; i++)
        rc = orch_filter_set(f, pairs[i][0], pairs[i][1], NULL);
    return rc;
}

static int32_t list_one(const orch_filter *f)
{
    orch_execution_list *l = NULL;
    int32_t rc = orch_v2_list_executions(orch, f, &l, NULL);

    if (!rc) {
        assert_int_equal(orch_execution_list_count(l), 1);
        assert_string_equal(orch_response_id(orch_execution_list_get(l, 0)), "done");
    }
    orch_execution_list_free(l);
    return rc;
}

static int32_t call_list(void)
{
    orch_filter *f = orch_filter_new();
    int32_t rc = f ? set_filter(f) : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = list_one(f);
    orch_filter_free(f);
    return rc;
}

/* All pages, of one execution each. */
static int32_t call_pages(void)
{
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;
    bool more = true;
    size_t count = 0;
    int32_t rc = f ? orch_filter_set(f, "limit", "2", NULL) : ORCH_E_RESOURCE_EXHAUSTED;

    while (!rc && more) {
        rc = orch_v2_list_executions(orch, f, &l, NULL);
        if (rc)
            break;
        count += orch_execution_list_count(l);
        more = orch_execution_list_next(l) != NULL;
        if (more)
            rc = orch_filter_set(f, "page", orch_execution_list_next(l), NULL);
        orch_execution_list_free(l);
        l = NULL;
    }
    if (!rc)
        assert_true(count >= 4); /* "done", "lost", "open" and its child */
    orch_filter_free(f);
    return rc;
}

/* ---- history.h, audit.h, steps.h --------------------------------------------------------------------------- */

static void read_history(const orch_history *h)
{
    size_t len;

    for (size_t i = 0; i < orch_history_count(h); i++) {
        assert_int_equal(orch_history_seq(h, i), i + 1);
        assert_non_null(orch_history_step(h, i));
        assert_true(orch_history_index(h, i) >= -1);
        assert_string_not_equal(orch_step_kind_name(orch_history_kind(h, i)), "unknown");
        assert_true(orch_history_attempt(h, i) >= 0);
        assert_true(orch_history_started_ms(h, i) <= orch_history_ended_ms(h, i));
        assert_true(orch_history_due_ms(h, i) >= 0);
        assert_non_null(orch_history_output(h, i, &len));
        assert_null(orch_history_error(h, i, &len));
    }
    assert_true(orch_history_count(h) >= 3);
    assert_int_equal(orch_history_codec_status(h), 0);
}

static int32_t call_history(void)
{
    orch_history *h = NULL;
    int32_t rc = orch_v2_get_history(orch, "done", 0, 0, &h, NULL);

    if (!rc)
        read_history(h);
    orch_history_free(h);
    return rc;
}

static int32_t call_run_history(void)
{
    orch_history *h = NULL;
    int32_t rc = orch_v2_get_run_history(orch, "done", 1, 0, 0, &h, NULL);

    if (!rc)
        read_history(h);
    orch_history_free(h);
    return rc;
}

static int32_t call_runs(void)
{
    orch_runs *r = NULL;
    size_t len;
    int32_t rc = orch_v2_get_runs(orch, "done", &r, NULL);

    if (!rc) {
        assert_int_equal(orch_runs_count(r), 1);
        assert_int_equal(orch_runs_run(r, 0), 1);
        assert_int_equal(orch_runs_state(r, 0), ORCH_EXECUTION_SUCCEEDED);
        assert_true(orch_runs_ended_ms(r, 0) > 0);
        assert_string_equal(orch_runs_output(r, 0, &len), "[1,2]");
        assert_null(orch_runs_error(r, 0, &len));
        assert_int_equal(orch_runs_codec_status(r), 0);
    }
    orch_runs_free(r);
    return rc;
}

static void set_priority(void)
{
    orch_control *c = orch_control_new();

    assert_int_equal(orch_control_set_who(c, "me"), 0);
    assert_int_equal(orch_control_set_why(c, "so"), 0);
    HOST_OK(orch_v2_set_priority(orch, "open", 6, c, &err));
    orch_control_free(c);
}

/* Once: with each one more there would be more to get. */
static void record_a_control(void)
{
    orch_controls *have = NULL;
    bool there;

    HOST_OK(orch_v2_get_controls(orch, "open", 0, 0, &have, &err));
    there = orch_controls_count(have) > 0;
    orch_controls_free(have);
    if (!there)
        set_priority();
}

static int32_t call_controls(void)
{
    orch_controls *c = NULL;
    int32_t rc = orch_v2_get_controls(orch, "open", 0, 0, &c, NULL);

    if (!rc) {
        assert_true(orch_controls_count(c) > 0);
        assert_true(orch_controls_seq(c, 0) > 0);
        assert_true(orch_controls_at_ms(c, 0) > 0);
        assert_string_equal(orch_controls_action(c, 0), "set_priority");
        assert_string_equal(orch_controls_who(c, 0), "me");
        assert_string_equal(orch_controls_why(c, 0), "so");
        assert_non_null(orch_controls_detail(c, 0));
    }
    orch_controls_free(c);
    return rc;
}

static void read_steps(const orch_steps *s)
{
    size_t len;

    assert_int_equal(orch_steps_count(s), 1);
    assert_int_equal(orch_steps_total(s), 1);
    assert_string_equal(orch_steps_id(s, 0), "each");
    assert_int_equal(orch_steps_index(s, 0), -1);
    assert_string_equal(orch_steps_executor(s, 0), "echo");
    assert_int_equal(orch_steps_state(s, 0), ORCH_STEP_SUCCEEDED);
    assert_true(orch_steps_attempts(s, 0) >= 0);
    assert_true(orch_steps_started_ms(s, 0) <= orch_steps_ended_ms(s, 0));
    assert_int_equal(orch_steps_due_ms(s, 0), 0);
    assert_int_equal(orch_steps_items(s, 0), 2);
    assert_int_equal(orch_steps_items_ended(s, 0), 2);
    assert_string_equal(orch_steps_output(s, 0, &len), "null"); /* its items have it */
    assert_null(orch_steps_error(s, 0, &len));
    assert_int_equal(orch_steps_codec_status(s), 0);
}

static int32_t call_steps(void)
{
    orch_steps *s = NULL;
    int32_t rc = orch_v2_get_steps(orch, "done", 0, NULL, 0, 0, &s, NULL);

    if (!rc)
        read_steps(s);
    orch_steps_free(s);
    return rc;
}

/* ---- export.h ---------------------------------------------------------------------------------------------- */

static oom_text exported;

static void forget_export(void)
{
    oom_text_clear(&exported);
}

static int32_t call_export(void)
{
    int32_t rc;

    forget_export();
    rc = orch_v2_export_execution(orch, "done", oom_add_line, &exported, NULL);
    if (!rc)
        assert_true(exported.len > 100);
    return rc;
}

/* One of another orchestrator, with an id that is not there: those that the library makes are different in one store only. */
static void export_one(void)
{
    static int count;
    orch_v2 *other = host_open("memory:", NULL);
    orch_start_options *options = orch_start_options_new();
    orch_response *r = NULL;
    char id[24];

    forget_export();
    host_define(other, NOOP);
    snprintf(id, sizeof id, "import-%d", ++count);
    assert_int_equal(orch_start_options_set_id(options, id), 0);
    HOST_OK(orch_v2_execute_workflow(other, "noop", NULL, 0, options, &r, &err));
    orch_start_options_free(options);
    HOST_OK(orch_v2_export_execution(other, orch_response_id(r), oom_add_line, &exported, &err));
    orch_response_free(r);
    host_close(other);
}

static int32_t call_import(void)
{
    return orch_v2_import_execution(orch, exported.data, exported.len, NULL);
}

/* ---- the rows ---------------------------------------------------------------------------------------------- */

const oom_row oom_look_rows[] = {
    {"orch_v2_get_execution orch_response_id orch_response_workflow orch_response_version "
     "orch_response_state orch_response_output orch_response_error orch_response_input "
     "orch_response_accepted_ms orch_response_ended_ms orch_response_run orch_response_priority "
     "orch_response_paused orch_response_parent orch_response_attributes orch_response_limit_key "
     "orch_response_wake_ms orch_response_deadline_ms orch_response_codec_status "
     "orch_response_free orch_execution_state_name",
     NULL, call_get, NULL, false},
    {"orch_v2_find_execution", NULL, call_find, NULL, false},
    {"orch_v2_get_progress orch_progress_get orch_progress_free", NULL, call_progress, NULL, false},
    {"orch_v2_list_executions orch_execution_list_count orch_execution_list_get "
     "orch_execution_list_free orch_filter_new orch_filter_free orch_filter_set",
     NULL, call_list, NULL, false},
    {"orch_execution_list_next", NULL, call_pages, NULL, false},
    {"orch_v2_get_history orch_history_count orch_history_seq orch_history_step orch_history_index "
     "orch_history_kind orch_history_attempt orch_history_started_ms orch_history_ended_ms "
     "orch_history_due_ms orch_history_output orch_history_error orch_history_codec_status "
     "orch_history_free orch_step_kind_name",
     NULL, call_history, NULL, false},
    {"orch_v2_get_run_history", NULL, call_run_history, NULL, false},
    {"orch_v2_get_runs orch_runs_count orch_runs_run orch_runs_state orch_runs_ended_ms "
     "orch_runs_output orch_runs_error orch_runs_codec_status orch_runs_free",
     NULL, call_runs, NULL, false},
    {"orch_v2_get_controls orch_controls_count orch_controls_seq orch_controls_at_ms "
     "orch_controls_action orch_controls_who orch_controls_why orch_controls_detail "
     "orch_controls_free",
     record_a_control, call_controls, NULL, false},
    {"orch_v2_get_steps orch_steps_count orch_steps_total orch_steps_id orch_steps_index "
     "orch_steps_executor orch_steps_state orch_steps_attempts orch_steps_started_ms "
     "orch_steps_ended_ms orch_steps_due_ms orch_steps_items orch_steps_items_ended "
     "orch_steps_output orch_steps_error orch_steps_codec_status orch_steps_free",
     NULL, call_steps, NULL, false},
    {"orch_v2_export_execution", NULL, call_export, forget_export, false},
    {"orch_v2_import_execution", export_one, call_import, forget_export, false},
    {0},
};
