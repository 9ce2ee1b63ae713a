/* Goal: a control over all that a filter lets pass reaches each of them once, and no other; what cannot be done is counted, and what would take
 * everything is refused unless it is asked for. */
#include "support/api_host.h"

#include <stdio.h>
#include <string.h>

#define MANY 200

static const char GATED[] =
    "{'id':'gated','version':'1.0.0','steps':[{'id':'a','executor':'gate'}]}";
static const char OTHER[] =
    "{'id':'other','version':'1.0.0','steps':[{'id':'a','executor':'gate'}]}";

static orch_v2 *open_gated(const char *url, latch *gate)
{
    orch_v2 *o = host_open(url, NULL);

    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "gate", host_gate, gate, NULL,
                                          &err));
    host_define(o, GATED);
    host_define(o, OTHER);
    return o;
}

static const char *store_url(void **state, const char *name, char room[200])
{
    return *state ? host_sqlite(room, 200, name) : "memory:";
}

static void start(orch_v2 *o, const char *workflow, int number)
{
    orch_start_options *options = orch_start_options_new();
    char id[40];

    snprintf(id, sizeof id, "%s/%d", workflow, number);
    assert_int_equal(orch_start_options_set_id(options, id), 0);
    HOST_OK(orch_v2_start_workflow(o, workflow, NULL, 0, options, NULL, &err));
    orch_start_options_free(options);
}

static int count_states(orch_v2 *o, const char *workflow, int32_t state)
{
    int count = 0;

    for (int i = 0; i < MANY; i++) {
        char id[40];

        snprintf(id, sizeof id, "%s/%d", workflow, i);
        count += host_state(o, id) == state;
    }
    return count;
}

static orch_filter *of_workflow(const char *workflow)
{
    orch_filter *f = orch_filter_new();

    HOST_OK(orch_filter_set(f, "workflow", workflow, &err));
    return f;
}

static void all_that_pass_are_cancelled_and_no_other(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "cancel.db", room), &gate);
    orch_filter *f = of_workflow("gated");
    uint64_t done = 0, refused = 77;

    for (int i = 0; i < MANY; i++)
        start(o, "gated", i);
    start(o, "other", 0);
    /* A page of its own choosing changes nothing about who is meant. */
    HOST_OK(orch_filter_set(f, "limit", "7", &err));
    HOST_OK(orch_filter_set(f, "order", "oldest", &err));
    HOST_OK(orch_v2_control_matching(o, f, "cancel", NULL, NULL, &done, &refused, &err));
    assert_int_equal(done, MANY);
    assert_int_equal(refused, 0);
    for (int i = 0; i < MANY; i++) {
        char id[40];

        snprintf(id, sizeof id, "gated/%d", i);
        host_await_state(o, id, ORCH_EXECUTION_CANCELLED);
    }
    assert_true(host_state(o, "other/0") < ORCH_EXECUTION_SUCCEEDED);
    HOST_OK(orch_v2_control_matching(o, f, "cancel", NULL, NULL, &done, &refused, &err));
    assert_int_equal(done, 0);
    assert_int_equal(refused, MANY);
    orch_filter_free(f);
    latch_open(&gate);
    host_await_state(o, "other/0", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

static void what_failed_is_retried(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "retry.db", room), &gate);
    orch_filter *f = of_workflow("gated");
    uint64_t done = 0, refused = 77;

    for (int i = 0; i < MANY; i++)
        start(o, "gated", i);
    HOST_OK(orch_v2_control_matching(o, f, "terminate", NULL, NULL, &done, NULL, &err));
    assert_int_equal(done, MANY);
    assert_int_equal(count_states(o, "gated", ORCH_EXECUTION_CANCELLED), MANY);
    latch_open(&gate);
    HOST_OK(orch_filter_set(f, "state", "cancelled", &err));
    HOST_OK(orch_v2_control_matching(o, f, "retry", NULL, NULL, &done, &refused, &err));
    assert_int_equal(done, MANY);
    assert_int_equal(refused, 0);
    for (int i = 0; i < MANY; i++) {
        char id[40];

        snprintf(id, sizeof id, "gated/%d", i);
        host_await_state(o, id, ORCH_EXECUTION_SUCCEEDED);
    }
    orch_filter_free(f);
    host_close(o);
}

static void everything_is_asked_for(void **state)
{
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated("memory:", &gate);
    orch_filter *f = orch_filter_new();
    uint64_t done = 77;

    (void)state;
    start(o, "gated", 0);
    start(o, "other", 0);
    HOST_FAILS(orch_v2_control_matching(o, NULL, "terminate", NULL, NULL, &done, NULL, &err),
               ORCH_E_INVALID_ARGUMENT, "lets every execution pass");
    HOST_OK(orch_filter_set(f, "limit", "5", &err));
    HOST_FAILS(orch_v2_control_matching(o, f, "terminate", NULL, NULL, &done, NULL, &err),
               ORCH_E_INVALID_ARGUMENT, "lets every execution pass");
    assert_int_equal(done, 77);
    HOST_OK(orch_filter_set(f, "everything", "true", &err));
    HOST_OK(orch_v2_control_matching(o, f, "terminate", NULL, NULL, &done, NULL, &err));
    assert_int_equal(done, 2);
    orch_filter_free(f);
    host_close(o);
}

static void priorities_are_set(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "priority.db", room), &gate);
    orch_filter *f = of_workflow("gated");
    orch_response *r = NULL;
    uint64_t done = 0;

    start(o, "gated", 0);
    HOST_OK(orch_v2_control_matching(o, f, "set_priority", "9", NULL, &done, NULL, &err));
    assert_int_equal(done, 1);
    HOST_OK(orch_v2_get_execution(o, "gated/0", &r, &err));
    assert_int_equal(orch_response_priority(r), 9);
    orch_response_free(r);
    orch_filter_free(f);
    latch_open(&gate);
    host_await_state(o, "gated/0", ORCH_EXECUTION_SUCCEEDED);
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
        ON_BOTH(all_that_pass_are_cancelled_and_no_other),
        ON_BOTH(what_failed_is_retried),
        cmocka_unit_test(everything_is_asked_for),
        ON_BOTH(priorities_are_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
