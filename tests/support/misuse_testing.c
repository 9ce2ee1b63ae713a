/* testing.h. */
#include "support/misuse.h"

#include <string.h>

static void bad_testing_new(void)
{
    orch_error *error = NULL;

    assert_null(orch_testing_new(NULL, -1, &error));
    assert_int_equal(orch_error_code(error), ORCH_E_INVALID_ARGUMENT);
    orch_error_free(error);
    assert_null(orch_testing_new(NULL, 4000000000001, NULL));
    assert_int_equal(orch_testing_now(NULL), -1);
    assert_int_equal(orch_testing_now(orch), -1);
}

static void bad_advance(void)
{
    orch_v2 *o = orch_testing_new(NULL, 0, NULL);

    BAD("orch must not be NULL", orch_testing_advance(NULL, 1, &err));
    HOST_FAILS(orch_testing_advance(orch, 1, &err), FP, "its time is real");
    BAD("ms is -1", orch_testing_advance(o, -1, &err));
    BAD("ms is 9223372036854775807", orch_testing_advance(o, INT64_MAX, &err));
    orch_v2_free(o);
}

/* On one of real time. */
static int32_t good_advance(void)
{
    return orch_testing_advance(orch, 1, NULL);
}

static void bad_mock(void)
{
    orch_v2 *o = orch_testing_new(NULL, 0, NULL);

    FREES(BAD("orch must not be NULL",
              orch_testing_mock(NULL, "x", host_echo, NULL, count_free, &err)));
    FREES(HOST_FAILS(orch_testing_mock(orch, "x", host_echo, NULL, count_free, &err), FP,
                     "its time is real"));
    FREES(BAD("name must not be NULL",
              orch_testing_mock(o, NULL, host_echo, NULL, count_free, &err)));
    FREES(BAD("name is ''", orch_testing_mock(o, "", host_echo, NULL, count_free, &err)));
    FREES(BAD("name is", orch_testing_mock(o, huge, host_echo, NULL, count_free, &err)));
    FREES(BAD("'wait' is no executor",
              orch_testing_mock(o, "wait", host_echo, NULL, count_free, &err)));
    FREES(BAD("'workflow' is no executor",
              orch_testing_mock(o, "workflow", host_echo, NULL, count_free, &err)));
    FREES(BAD("fn must not be NULL", orch_testing_mock(o, "x", NULL, NULL, count_free, &err)));
    orch_v2_free(o);
}

static int32_t good_mock(void)
{
    return orch_testing_mock(orch, "x", host_echo, NULL, NULL, NULL);
}

static void bad_replay(void)
{
    BAD_OUT(orch_replay, "export_text must not be NULL",
            orch_testing_replay(NULL, NULL, 0, NOOP, strlen(NOOP), &out, &err));
    BAD_OUT(orch_replay, "definition_text must not be NULL",
            orch_testing_replay(NULL, "{}", 2, NULL, 0, &out, &err));
    BAD_OUT(orch_replay, "line 1",
            orch_testing_replay(NULL, "{}", 2, NOOP, strlen(NOOP), &out, &err));
    BAD_OUT(orch_replay, "line 1",
            orch_testing_replay(NULL, huge, sizeof huge, NOOP, strlen(NOOP), &out, &err));
    BAD("out_replay must not be NULL",
        orch_testing_replay(NULL, "{}", 2, NOOP, strlen(NOOP), NULL, &err));
    assert_int_equal(orch_replay_count(NULL), 0);
    assert_string_equal(orch_replay_message(NULL, 0), "");
    assert_string_equal(orch_replay_step(NULL, 0), "");
    assert_int_equal(orch_replay_seq(NULL, 0), 0);
    orch_replay_free(NULL);
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

const misuse_row misuse_testing_rows[] = {
    {"orch_testing_new orch_testing_now", bad_testing_new, NULL, 0, 0, 0, 0},
    {"orch_testing_advance", bad_advance, good_advance, FP, FP, FP, FP},
    {"orch_testing_mock", bad_mock, good_mock, FP, FP, FP, FP},
    {"orch_testing_replay orch_replay_count orch_replay_message orch_replay_step orch_replay_seq "
     "orch_replay_free",
     bad_replay, NULL, 0, 0, 0, 0},
    {0},
};
