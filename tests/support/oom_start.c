/* Starts, and the handles that they give. */
#include "support/oom.h"

#include <stdio.h>
#include <string.h>

static const char ITEMS[] = "{\"items\":[1,2]}";

static int32_t code_of(const orch_response *r)
{
    const char *failure = orch_response_error(r, NULL);

    if (orch_response_state(r) == ORCH_EXECUTION_SUCCEEDED)
        return 0;
    return failure && strstr(failure, "RESOURCE_EXHAUSTED") ? ORCH_E_RESOURCE_EXHAUSTED
                                                            : ORCH_E_INTERNAL;
}

/* ---- options ----------------------------------------------------------------------------------------------- */

static int number;
static char start_id[40], start_key[40];

static void name_one(void)
{
    snprintf(start_id, sizeof start_id, "start-%d", ++number);
    snprintf(start_key, sizeof start_key, "key-%d", number);
}

static int32_t set_all(orch_start_options *o)
{
    int32_t rc = orch_start_options_set_id(o, start_id);

    if (!rc)
        rc = orch_start_options_set_version(o, "^1.0.0");
    if (!rc)
        rc = orch_start_options_set_timeout(o, 3600000);
    if (!rc)
        rc = orch_start_options_set_start_key(o, start_key, ORCH_START_KEY_RETURN, 0);
    if (!rc)
        rc = orch_start_options_set_start_at(o, 1);
    if (!rc)
        rc = orch_start_options_set_delay(o, 0);
    if (!rc)
        rc = orch_start_options_set_priority(o, 7);
    if (!rc)
        rc = orch_start_options_set_affinity(o, "here");
    if (!rc)
        rc = orch_start_options_set_limit_key(o, "lane");
    return rc ? rc : orch_start_options_set_attributes(o, "{\"customer\":\"c-1\"}", 18, NULL);
}

/* All options, the start with them, and the wait for its end. */
static int32_t call_options(void)
{
    orch_start_options *o = orch_start_options_new();
    orch_execution *e = NULL;
    orch_response *r = NULL;
    int32_t rc = o ? set_all(o) : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_v2_start_workflow(orch, "list", ITEMS, strlen(ITEMS), o, &e, NULL);
    if (!rc) {
        assert_string_equal(orch_execution_id(e), start_id);
        assert_true(orch_execution_existed(e) >= 0);
        rc = orch_execution_wait(e, -1, &r, NULL);
    }
    if (!rc)
        rc = code_of(r);
    orch_response_free(r);
    orch_execution_free(e);
    orch_start_options_free(o);
    return rc;
}

/* ---- starts ------------------------------------------------------------------------------------------------ */

static int32_t call_execute(void)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_execute_workflow(orch, "list", ITEMS, strlen(ITEMS), NULL, &r, NULL);

    if (!rc)
        rc = code_of(r);
    orch_response_free(r);
    return rc;
}

static int32_t call_launcher(void)
{
    orch_execution *e = NULL;
    orch_response *r = NULL;
    int32_t rc = orch_launcher_start(orch_v2_launcher(orch), "list", ITEMS, strlen(ITEMS), NULL, &e,
                                     NULL);

    if (!rc)
        rc = orch_execution_wait(e, -1, &r, NULL);
    if (!rc)
        rc = code_of(r);
    orch_response_free(r);
    orch_execution_free(e);
    return rc;
}

static latch answers = LATCH_INIT, ends = LATCH_INIT;
static int32_t answer, end_code;

static void on_answer(void *user_data, orch_execution *e, orch_error *error)
{
    (void)user_data;
    answer = e ? 0 : orch_error_code(error);
    if (!e && !error)
        answer = ORCH_E_RESOURCE_EXHAUSTED; /* not even that could be had */
    orch_execution_free(e);
    orch_error_free(error);
    latch_add(&answers);
}

static void on_end(void *user_data, orch_response *response)
{
    (void)user_data;
    end_code = response ? code_of(response) : ORCH_E_RESOURCE_EXHAUSTED;
    orch_response_free(response);
    latch_add(&ends);
}

/* Each callback comes exactly once, and user_data is freed once. */
static int32_t call_async(void)
{
    int answered = latch_count(&answers), ended = latch_count(&ends);
    int32_t rc = orch_v2_start_workflow_async(orch, "list", ITEMS, strlen(ITEMS), NULL, on_answer,
                                              on_end, NULL, NULL, NULL);

    if (rc)
        return rc;
    latch_wait(&answers, answered + 1);
    if (answer)
        return answer;
    latch_wait(&ends, ended + 1);
    return end_code;
}

/* ---- handles ----------------------------------------------------------------------------------------------- */

static int32_t call_wait(void)
{
    orch_response *r = NULL;
    int32_t rc = orch_execution_wait(execution, 0, &r, NULL);

    assert_string_equal(orch_execution_id(execution), "open");
    assert_int_equal(orch_execution_existed(execution), 0);
    return rc == ORCH_E_DEADLINE_EXCEEDED ? 0 : rc;
}

static orch_execution *found;

static void find_done(void)
{
    HOST_OK(orch_v2_find_execution(orch, "done", &found, &err));
}

static void free_found(void)
{
    orch_execution_free(found);
    found = NULL;
}

static int32_t call_on_end(void)
{
    int ended = latch_count(&ends), before = freed;
    int32_t rc = orch_execution_on_end(found, on_end, NULL, count_free, NULL);

    if (rc) {
        assert_int_equal(freed, before + 1);
        return rc;
    }
    latch_wait(&ends, ended + 1);
    return end_code;
}

/* ---- the rows ---------------------------------------------------------------------------------------------- */

const oom_row oom_start_rows[] = {
    {"orch_start_options_new orch_start_options_free orch_start_options_set_id "
     "orch_start_options_set_version orch_start_options_set_timeout "
     "orch_start_options_set_start_key orch_start_options_set_start_at "
     "orch_start_options_set_delay orch_start_options_set_priority "
     "orch_start_options_set_affinity orch_start_options_set_limit_key "
     "orch_start_options_set_attributes orch_v2_start_workflow",
     name_one, call_options, NULL, true},
    {"orch_v2_execute_workflow", NULL, call_execute, NULL, false},
    {"orch_v2_start_workflow_async", NULL, call_async, NULL, false},
    {"orch_v2_launcher orch_launcher_start", NULL, call_launcher, NULL, false},
    {"orch_execution_wait orch_execution_id orch_execution_existed orch_execution_free", NULL,
     call_wait, NULL, false},
    {"orch_execution_on_end", find_done, call_on_end, free_found, false},
    {0},
};
