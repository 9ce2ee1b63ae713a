/* Control from outside: what is asked happens, or is refused and happens when it is asked again. */
#include "support/oom.h"

#include <stdio.h>
#include <string.h>

static int32_t call_words(void)
{
    orch_control *c = orch_control_new();
    int32_t rc = c ? orch_control_set_who(c, "me") : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_control_set_why(c, "so");
    orch_control_free(c);
    return rc;
}

/* ---- one that waits for a signal --------------------------------------------------------------------------- */

static orch_control *words;

static void start_gate(void)
{
    orch_control_free(words);
    words = orch_control_new();
    assert_int_equal(orch_control_set_who(words, "me"), 0);
    oom_start_quiet("gate");
}

static void forget_words(void)
{
    orch_control_free(words);
    words = NULL;
}

/* What it was asked came too late if the failure has ended it. */
static int32_t or_over(int32_t rc)
{
    return rc == ORCH_E_FAILED_PRECONDITION && oom_ran_out(oom_id) ? 0 : rc;
}

static int32_t call_cancel(void)
{
    return or_over(orch_v2_cancel(orch, oom_id, words, NULL));
}

static int32_t call_terminate(void)
{
    return or_over(orch_v2_terminate(orch, oom_id, words, NULL));
}

static void expect_cancelled(void)
{
    oom_expect(oom_id, ORCH_EXECUTION_CANCELLED);
    forget_words();
}

static int32_t call_signal(void)
{
    return or_over(orch_v2_signal(orch, oom_id, "go", "{\"by\":\"me\"}", 11, "\"c\"", words, NULL));
}

static void expect_succeeded(void)
{
    oom_expect(oom_id, ORCH_EXECUTION_SUCCEEDED);
    forget_words();
}

static int32_t call_pause(void)
{
    return or_over(orch_v2_pause(orch, oom_id, words, NULL));
}

static void pause_gate(void)
{
    start_gate();
    HOST_OK(orch_v2_pause(orch, oom_id, NULL, &err));
}

static int32_t call_resume(void)
{
    return or_over(orch_v2_resume(orch, oom_id, words, NULL));
}

static int32_t call_priority(void)
{
    return or_over(orch_v2_set_priority(orch, oom_id, 9, words, NULL));
}

static void end_gate(void)
{
    if (!oom_ran_out(oom_id)) {
        HOST_OK(orch_v2_resume(orch, oom_id, NULL, &err));
        HOST_OK(orch_v2_signal(orch, oom_id, "go", NULL, 0, NULL, NULL, &err));
    }
    expect_succeeded();
}

/* ---- new runs ---------------------------------------------------------------------------------------------- */

static void start_broken(void)
{
    oom_start("broken");
    oom_expect(oom_id, ORCH_EXECUTION_FAILED);
}

static int32_t call_retry(void)
{
    return orch_v2_retry(orch, oom_id, words, NULL);
}

static int32_t call_rerun(void)
{
    return orch_v2_rerun(orch, oom_id, "first", words, NULL);
}

static void expect_second_run(void)
{
    orch_response *r = NULL;

    oom_expect(oom_id, ORCH_EXECUTION_FAILED);
    HOST_OK(orch_v2_get_execution(orch, oom_id, &r, &err));
    assert_int_equal(orch_response_run(r), 2);
    orch_response_free(r);
    forget_words();
}

static int32_t call_fork(void)
{
    orch_execution *e = NULL;
    int32_t rc = orch_v2_fork(orch, "done", NULL, "^1.0.0", NULL, words, &e, NULL);

    if (!rc)
        snprintf(oom_id, sizeof oom_id, "%s", orch_execution_id(e));
    orch_execution_free(e);
    return rc;
}

/* ---- bulk.h ------------------------------------------------------------------------------------------------ */

static orch_filter *filter;

static void start_two(void)
{
    start_gate();
    start_gate();
    filter = orch_filter_new();
    HOST_OK(orch_filter_set(filter, "workflow", "gate", &err));
    HOST_OK(orch_filter_set(filter, "state", "running", &err));
}

static int32_t call_matching(void)
{
    return orch_v2_control_matching(orch, filter, "cancel", NULL, words, NULL, NULL, NULL);
}

static void expect_all_cancelled(void)
{
    expect_cancelled();
    orch_filter_free(filter);
    filter = NULL;
}

/* ---- the rows ---------------------------------------------------------------------------------------------- */

const oom_row oom_control_rows[] = {
    {"orch_control_new orch_control_free orch_control_set_who orch_control_set_why", NULL,
     call_words, NULL, false},
    {"orch_v2_cancel", start_gate, call_cancel, expect_cancelled, false},
    {"orch_v2_terminate", start_gate, call_terminate, expect_cancelled, false},
    {"orch_v2_signal", start_gate, call_signal, expect_succeeded, false},
    {"orch_v2_pause", start_gate, call_pause, end_gate, false},
    {"orch_v2_resume", pause_gate, call_resume, end_gate, false},
    {"orch_v2_set_priority", start_gate, call_priority, end_gate, false},
    {"orch_v2_retry", start_broken, call_retry, expect_second_run, false},
    {"orch_v2_rerun", start_broken, call_rerun, expect_second_run, false},
    {"orch_v2_fork", NULL, call_fork, expect_succeeded, false},
    {"orch_v2_control_matching", start_two, call_matching, expect_all_cancelled, false},
    {0},
};
