/* settings.h: what holds for many executions. */
#include "support/oom.h"

static int32_t call_pause(void)
{
    return orch_v2_pause_workflow(orch, "gate", NULL, NULL);
}

static int32_t call_paused(void)
{
    int32_t paused = 0;
    int32_t rc = orch_v2_get_workflow_paused(orch, "gate", &paused, NULL);

    if (!rc)
        assert_int_equal(paused, 1);
    return rc;
}

static int32_t call_resume(void)
{
    return orch_v2_resume_workflow(orch, "gate", NULL, NULL);
}

static void pause(void)
{
    HOST_OK(orch_v2_pause_workflow(orch, "gate", NULL, &err));
}

static void expect_paused(int32_t expected)
{
    int32_t paused = -1;

    HOST_OK(orch_v2_get_workflow_paused(orch, "gate", &paused, &err));
    assert_int_equal(paused, expected);
}

static void resume(void)
{
    expect_paused(1);
    HOST_OK(orch_v2_resume_workflow(orch, "gate", NULL, &err));
}

static void expect_resumed(void)
{
    expect_paused(0);
}

static const char LEAVES[] = "{\"id\":\"leaves\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\","
                             "\"executor\":\"noop\"}]}";

/* And back; where that failed, it is deleted already when this is tried again. */
static int32_t call_delete(void)
{
    int32_t rc = orch_v2_delete_workflow(orch, "leaves", "1.0.0", NULL, NULL);

    return rc && rc != ORCH_E_NOT_FOUND
               ? rc
               : orch_v2_register_definition(orch, LEAVES, sizeof LEAVES - 1, NULL);
}

static void define_leaves(void)
{
    HOST_OK(orch_v2_register_definition(orch, LEAVES, sizeof LEAVES - 1, &err));
}

static void expect_leaves(void)
{
    HOST_OK(orch_v2_delete_workflow(orch, "leaves", "1.0.0", NULL, &err));
}

static int32_t call_limit(void)
{
    orch_limit *l = orch_limit_new();
    int32_t rc = l ? orch_limit_set_concurrency(l, 3) : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_limit_set_rate(l, 100, 1000, 10);
    if (!rc)
        rc = orch_v2_set_limit(orch, "lane-2", l, NULL, NULL);
    orch_limit_free(l);
    return rc;
}

static int32_t call_get_limit(void)
{
    orch_limit *l = NULL;
    int32_t rc = orch_v2_get_limit(orch, "lane-2", &l, NULL);

    if (!rc)
        assert_int_equal(orch_limit_get(l, "concurrency"), 3);
    orch_limit_free(l);
    return rc;
}

static void set_limit(void)
{
    assert_int_equal(call_limit(), 0);
}

static void expect_limit(void)
{
    assert_int_equal(call_get_limit(), 0);
}

const oom_row oom_settings_rows[] = {
    {"orch_v2_pause_workflow", NULL, call_pause, resume, false},
    {"orch_v2_get_workflow_paused", pause, call_paused, resume, false},
    {"orch_v2_resume_workflow", pause, call_resume, expect_resumed, false},
    {"orch_v2_delete_workflow", define_leaves, call_delete, expect_leaves, false},
    {"orch_limit_new orch_limit_free orch_limit_set_concurrency orch_limit_set_rate "
     "orch_v2_set_limit",
     NULL, call_limit, expect_limit, false},
    {"orch_v2_get_limit orch_limit_get", set_limit, call_get_limit, NULL, false},
    {0},
};
