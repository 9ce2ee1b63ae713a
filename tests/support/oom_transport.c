/* A transport of a host's own. */
#include "support/oom.h"

#include <string.h>

#include "support/mill.h"

/* An orchestrator and an engine that have nothing else between them. */
static mill *between;
static orch_v2 *near_one;
static orch_engine *far_one;

static void make_two(void)
{
    orch_config *c = orch_config_new();

    between = mill_new(1);
    HOST_OK(orch_config_set(c, "ENGINE_ID", "far", &err));
    far_one = orch_engine_new(c, NULL);
    assert_non_null(far_one);
    orch_config_free(c);
    near_one = host_open("memory:", "LOCAL_CAPACITY", "0", NULL);
    HOST_OK(orch_v2_register_definition(near_one, NOOP, strlen(NOOP), &err));
}

static int32_t connect_two(void)
{
    int32_t rc = orch_engine_register_transport(far_one, "mill", &mill_ops, mill_side_new(between),
                                                mill_side_free, NULL);

    if (!rc)
        rc = orch_engine_listen(far_one, "mill:far", NULL, NULL);
    if (!rc)
        rc = orch_v2_register_transport(near_one, "mill", &mill_ops, mill_side_new(between),
                                        mill_side_free, NULL);
    return rc ? rc : orch_v2_add_engine(near_one, "far", "mill:far", 1, NULL);
}

static int32_t call_two(void)
{
    orch_response *r = NULL;
    int32_t rc = connect_two();

    if (!rc)
        rc = orch_v2_execute_workflow(near_one, "noop", NULL, 0, NULL, &r, NULL);
    if (!rc && orch_response_state(r) != ORCH_EXECUTION_SUCCEEDED)
        rc = ORCH_E_RESOURCE_EXHAUSTED; /* the failure was the step's own */
    orch_response_free(r);
    orch_v2_free(near_one);
    orch_engine_free(far_one);
    mill_free(between);
    return rc;
}

static void *no_side(void *user_data, int32_t is_engine)
{
    (void)user_data;
    (void)is_engine;
    return NULL;
}

static int32_t call_subject(void)
{
    const orch_transport_subject s = {
        .size = sizeof s,
        .name = "mill",
        .ops = &mill_ops,
        .address = "x",
        .nobody = "y",
        .begin = no_side,
    };
    int32_t rc = orch_testing_transport(&s, NULL);

    return rc == ORCH_E_FAILED_PRECONDITION ? 0 : rc; /* it was not there to be looked at */
}

const oom_row oom_transport_rows[] = {
    {"orch_v2_register_transport orch_engine_register_transport orch_transport_accepted "
     "orch_channel_received orch_channel_ready orch_channel_closed",
     make_two, call_two, NULL, true},
    {"orch_testing_transport", NULL, call_subject, NULL, false},
    {0},
};
