/* Control from outside. */
#include "support/misuse.h"

/* ---- control.h --------------------------------------------------------------------------------------------- */

static void bad_control(void)
{
    orch_control *c = orch_control_new();

    orch_control_free(NULL);
    REFUSES(orch_control_set_who(NULL, "me"));
    REFUSES(orch_control_set_who(c, huge));
    REFUSES(orch_control_set_who(c, "\xc3"));
    REFUSES(orch_control_set_why(NULL, "so"));
    REFUSES(orch_control_set_why(c, huge));
    REFUSES(orch_control_set_why(c, "\xc3"));
    orch_control_free(c);
}

/* Those that take an id, who and why, and no more. */
static void bad_plain(void)
{
    static int32_t (*const calls[])(orch_v2 *, const char *, const orch_control *,
                                    orch_error **) = {
        orch_v2_cancel, orch_v2_terminate, orch_v2_pause, orch_v2_resume, orch_v2_retry,
    };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        BAD("orch must not be NULL", calls[i](NULL, "x", NULL, &err));
        BAD("execution_id must not be NULL", calls[i](orch, NULL, NULL, &err));
        BAD("execution id", calls[i](orch, "", NULL, &err));
        BAD("execution id", calls[i](orch, huge, NULL, &err));
    }
}

static int32_t good_cancel(void)
{
    return orch_v2_cancel(orch, "never-was", NULL, NULL);
}

static int32_t good_terminate(void)
{
    return orch_v2_terminate(orch, "never-was", NULL, NULL);
}

static int32_t good_pause(void)
{
    return orch_v2_pause(orch, "never-was", NULL, NULL);
}

static int32_t good_resume(void)
{
    return orch_v2_resume(orch, "never-was", NULL, NULL);
}

static int32_t good_retry(void)
{
    return orch_v2_retry(orch, "never-was", NULL, NULL);
}

static void bad_priority(void)
{
    BAD("orch must not be NULL", orch_v2_set_priority(NULL, "x", 1, NULL, &err));
    BAD("execution id", orch_v2_set_priority(orch, "", 1, NULL, &err));
    BAD("priority is -1", orch_v2_set_priority(orch, "x", -1, NULL, &err));
    BAD("priority is 10", orch_v2_set_priority(orch, "x", 10, NULL, &err));
}

static int32_t good_priority(void)
{
    return orch_v2_set_priority(orch, "never-was", 1, NULL, NULL);
}

static void bad_signal(void)
{
    BAD("orch must not be NULL", orch_v2_signal(NULL, "x", "s", NULL, 0, NULL, NULL, &err));
    BAD("execution id", orch_v2_signal(orch, "", "s", NULL, 0, NULL, NULL, &err));
    BAD("name must not be NULL", orch_v2_signal(orch, "x", NULL, NULL, 0, NULL, NULL, &err));
    BAD("name", orch_v2_signal(orch, "x", "a b", NULL, 0, NULL, NULL, &err));
    BAD("payload_json", orch_v2_signal(orch, "x", "s", "{", 1, NULL, NULL, &err));
    BAD("payload_json", orch_v2_signal(orch, "x", "s", huge, 1U << 30, NULL, NULL, &err));
    BAD("correlation_json", orch_v2_signal(orch, "x", "s", NULL, 0, "no", NULL, &err));
    BAD("correlation_json is an object", orch_v2_signal(orch, "x", "s", NULL, 0, "{}", NULL, &err));
    BAD("correlation_json is a list", orch_v2_signal(orch, "x", "s", NULL, 0, "[1]", NULL, &err));
}

static int32_t good_signal(void)
{
    return orch_v2_signal(orch, "never-was", "s", NULL, 0, NULL, NULL, NULL);
}

static void bad_rerun(void)
{
    BAD("orch must not be NULL", orch_v2_rerun(NULL, "x", "s", NULL, &err));
    BAD("execution id", orch_v2_rerun(orch, "", "s", NULL, &err));
    BAD("step must not be NULL", orch_v2_rerun(orch, "x", NULL, NULL, &err));
    BAD("step", orch_v2_rerun(orch, "x", "a/b", NULL, &err));
}

static int32_t good_rerun(void)
{
    return orch_v2_rerun(orch, "never-was", "s", NULL, NULL);
}

static void bad_fork(void)
{
    BAD("orch must not be NULL", orch_v2_fork(NULL, "x", NULL, NULL, NULL, NULL, NULL, &err));
    BAD_OUT(orch_execution, "execution id",
            orch_v2_fork(orch, "", NULL, NULL, NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "execution id",
            orch_v2_fork(orch, "x", "a b", NULL, NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "version",
            orch_v2_fork(orch, "x", NULL, "latest", NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "step", orch_v2_fork(orch, "x", NULL, NULL, "a/b", NULL, &out, &err));
}

static int32_t good_fork(void)
{
    return orch_v2_fork(orch, "never-was", NULL, NULL, NULL, NULL, NULL, NULL);
}

/* ---- bulk.h ---------------------------------------------------------------------------------------------- */

static void bad_matching(void)
{
    orch_filter *f = orch_filter_new();
    uint64_t n = 77;

    BAD("orch must not be NULL",
        orch_v2_control_matching(NULL, f, "cancel", NULL, NULL, &n, &n, &err));
    BAD("lets every execution pass",
        orch_v2_control_matching(orch, NULL, "cancel", NULL, NULL, &n, &n, &err));
    BAD("lets every execution pass",
        orch_v2_control_matching(orch, f, "cancel", NULL, NULL, &n, &n, &err));
    HOST_OK(orch_filter_set(f, "workflow", "never-was", &err));
    BAD("action must not be NULL",
        orch_v2_control_matching(orch, f, NULL, NULL, NULL, &n, &n, &err));
    BAD("action is ''", orch_v2_control_matching(orch, f, "", NULL, NULL, &n, &n, &err));
    BAD("action is 'signal'", orch_v2_control_matching(orch, f, "signal", "s", NULL, &n, &n, &err));
    BAD("argument is 'x'", orch_v2_control_matching(orch, f, "pause", "x", NULL, &n, &n, &err));
    BAD("argument must not be NULL",
        orch_v2_control_matching(orch, f, "rerun", NULL, NULL, &n, &n, &err));
    BAD("argument is 'a/b'", orch_v2_control_matching(orch, f, "rerun", "a/b", NULL, &n, &n, &err));
    BAD("argument must not be NULL",
        orch_v2_control_matching(orch, f, "set_priority", NULL, NULL, &n, &n, &err));
    BAD("argument is ''",
        orch_v2_control_matching(orch, f, "set_priority", "", NULL, &n, &n, &err));
    BAD("argument is '10'",
        orch_v2_control_matching(orch, f, "set_priority", "10", NULL, &n, &n, &err));
    BAD("argument is", orch_v2_control_matching(orch, f, "set_priority", huge, NULL, &n, &n, &err));
    assert_int_equal(n, 77);
    orch_filter_free(f);
}

static int32_t good_matching(void)
{
    orch_filter *f = orch_filter_new();
    int32_t rc = orch_filter_set(f, "workflow", "never-was", NULL);

    if (!rc)
        rc = orch_v2_control_matching(orch, f, "cancel", NULL, NULL, NULL, NULL, NULL);
    orch_filter_free(f);
    return rc;
}

/* ---- settings.h ------------------------------------------------------------------------------------------ */

static void bad_paused(void)
{
    int32_t paused = 77;

    BAD("orch must not be NULL", orch_v2_pause_workflow(NULL, NULL, NULL, &err));
    BAD("workflow is ''", orch_v2_pause_workflow(orch, "", NULL, &err));
    BAD("workflow is", orch_v2_pause_workflow(orch, huge, NULL, &err));
    BAD("orch must not be NULL", orch_v2_resume_workflow(NULL, NULL, NULL, &err));
    BAD("workflow is 'a b'", orch_v2_resume_workflow(orch, "a b", NULL, &err));
    BAD("orch must not be NULL", orch_v2_get_workflow_paused(NULL, NULL, &paused, &err));
    BAD("workflow is ''", orch_v2_get_workflow_paused(orch, "", &paused, &err));
    BAD("out_paused must not be NULL", orch_v2_get_workflow_paused(orch, "w", NULL, &err));
    assert_int_equal(paused, 77);
}

static void bad_delete(void)
{
    BAD("orch must not be NULL", orch_v2_delete_workflow(NULL, "w", "1.0.0", NULL, &err));
    BAD("workflow must not be NULL", orch_v2_delete_workflow(orch, NULL, "1.0.0", NULL, &err));
    BAD("workflow is 'a b'", orch_v2_delete_workflow(orch, "a b", "1.0.0", NULL, &err));
    BAD("version must not be NULL", orch_v2_delete_workflow(orch, "w", NULL, NULL, &err));
    BAD("'^1.0.0'", orch_v2_delete_workflow(orch, "w", "^1.0.0", NULL, &err));
    BAD("", orch_v2_delete_workflow(orch, "w", huge, NULL, &err));
}

static int32_t good_delete(void)
{
    return orch_v2_delete_workflow(orch, "never-was", "1.0.0", NULL, NULL);
}

static int32_t good_pause_workflow(void)
{
    return orch_v2_pause_workflow(orch, "never-was", NULL, NULL);
}

static int32_t good_resume_workflow(void)
{
    return orch_v2_resume_workflow(orch, "never-was", NULL, NULL);
}

static int32_t good_get_paused(void)
{
    int32_t paused;

    return orch_v2_get_workflow_paused(orch, NULL, &paused, NULL);
}

static void bad_limit_values(void)
{
    orch_limit *l = orch_limit_new();

    REFUSES(orch_limit_set_concurrency(NULL, 1));
    REFUSES(orch_limit_set_concurrency(l, 10000001));
    REFUSES(orch_limit_set_rate(NULL, 1, 1, 1));
    REFUSES(orch_limit_set_rate(l, 1000001, 1, 1));
    REFUSES(orch_limit_set_rate(l, 1, 0, 1));
    REFUSES(orch_limit_set_rate(l, 1, -1, 1));
    REFUSES(orch_limit_set_rate(l, 1, INT64_MAX, 1));
    REFUSES(orch_limit_set_rate(l, 1, 1, 1000001));
    REFUSES(orch_limit_set_rate(l, 0, 1, 0));
    REFUSES(orch_limit_set_rate(l, 0, 0, 1));
    assert_int_equal(orch_limit_get(NULL, "rate"), -1);
    assert_int_equal(orch_limit_get(l, NULL), -1);
    assert_int_equal(orch_limit_get(l, ""), -1);
    assert_int_equal(orch_limit_get(l, "rate"), 0);
    orch_limit_free(l);
    orch_limit_free(NULL);
}

static void bad_limit(void)
{
    BAD("orch must not be NULL", orch_v2_set_limit(NULL, "k", NULL, NULL, &err));
    BAD("key must not be NULL", orch_v2_set_limit(orch, NULL, NULL, NULL, &err));
    BAD("key must be 1 to 256 bytes", orch_v2_set_limit(orch, "", NULL, NULL, &err));
    BAD("key must be 1 to 256 bytes", orch_v2_set_limit(orch, huge, NULL, NULL, &err));
    BAD("key must be 1 to 256 bytes", orch_v2_set_limit(orch, "\xff", NULL, NULL, &err));
    BAD_OUT(orch_limit, "orch must not be NULL", orch_v2_get_limit(NULL, "k", &out, &err));
    BAD_OUT(orch_limit, "key must not be NULL", orch_v2_get_limit(orch, NULL, &out, &err));
    BAD_OUT(orch_limit, "key must be 1 to 256 bytes", orch_v2_get_limit(orch, "", &out, &err));
    BAD("out_limit must not be NULL", orch_v2_get_limit(orch, "k", NULL, &err));
}

static int32_t good_set_limit(void)
{
    return orch_v2_set_limit(orch, "never-was", NULL, NULL, NULL);
}

static int32_t good_get_limit(void)
{
    orch_limit *l = NULL;
    int32_t rc = orch_v2_get_limit(orch, "never-was", &l, NULL);

    orch_limit_free(l);
    return rc;
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

const misuse_row misuse_control_rows[] = {
    {"orch_control_new orch_control_free orch_control_set_who orch_control_set_why", bad_control,
     NULL, 0, 0, 0, 0},
    {"orch_v2_cancel", bad_plain, good_cancel, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_terminate", bad_plain, good_terminate, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_pause", bad_plain, good_pause, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_resume", bad_plain, good_resume, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_retry", bad_plain, good_retry, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_set_priority", bad_priority, good_priority, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_signal", bad_signal, good_signal, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_rerun", bad_rerun, good_rerun, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_fork", bad_fork, good_fork, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_control_matching", bad_matching, good_matching, FP, FP, FP, FP},
    {"orch_v2_pause_workflow", bad_paused, good_pause_workflow, FP, FP, 0, FP},
    {"orch_v2_resume_workflow", bad_paused, good_resume_workflow, FP, FP, 0, FP},
    {"orch_v2_delete_workflow", bad_delete, good_delete, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_get_workflow_paused", bad_paused, good_get_paused, FP, FP, 0, FP},
    {"orch_limit_new orch_limit_free orch_limit_set_concurrency orch_limit_set_rate orch_limit_get",
     bad_limit_values, NULL, 0, 0, 0, 0},
    {"orch_v2_set_limit", bad_limit, good_set_limit, FP, FP, 0, FP},
    {"orch_v2_get_limit", bad_limit, good_get_limit, FP, FP, 0, FP},
    {0},
};
