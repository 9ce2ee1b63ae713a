/* Goal: who frees an orchestrator without having stopped it, in the middle of what the store is at, loses nothing that was accepted and leaks
 * nothing (make check-asan), and every callback comes once. */
#include "support/api_host.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char NOOP[] =
    "{'id':'noop','version':'1.0.0','steps':[{'id':'a','executor':'noop'},{'id':'b','executor':'noop','depends_on':['a']}]}";

enum { STARTS = 20, ROUNDS = 60 };

static char ids[ROUNDS * STARTS][40];
static atomic_int accepted, refused, ended, freed;

static void on_answer(void *user_data, orch_execution *execution, orch_error *error)
{
    (void)user_data;
    if (execution) {
        snprintf(ids[accepted++], sizeof *ids, "%s", orch_execution_id(execution));
    } else {
        assert_int_equal(orch_error_code(error), ORCH_E_CANCELLED);
        refused++;
    }
    orch_execution_free(execution);
    orch_error_free(error);
}

static void on_end(void *user_data, orch_response *response)
{
    (void)user_data;
    ended++;
    orch_response_free(response);
}

static void on_freed(void *user_data)
{
    (void)user_data;
    freed++;
}

/* The later the round, the later it is freed. */
static void start_and_free(const char *url, int round)
{
    orch_v2 *o = host_open(url, NULL);

    assert_true(orch_v2_fd(o) >= 0); /* all callbacks on this thread */
    host_define(o, NOOP);
    for (int i = 0; i < STARTS; i++)
        HOST_OK(orch_v2_start_workflow_async(o, "noop", NULL, 0, NULL, on_answer, on_end, NULL,
                                             on_freed, &err));
    usleep((useconds_t)round * 50);
    orch_v2_free(o);
}

static void nothing_is_lost_or_left(void **state)
{
    char room[200];
    const char *url = host_sqlite(room, sizeof room, "free.db");
    orch_v2 *o;

    (void)state;
    for (int round = 0; round < ROUNDS; round++)
        start_and_free(url, round);
    assert_int_equal(accepted + refused, ROUNDS * STARTS);
    assert_int_equal(ended, accepted);
    assert_int_equal(freed, ROUNDS * STARTS);
    o = host_open(url, NULL);
    for (int i = 0; i < accepted; i++)
        host_await_state(o, ids[i], ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
