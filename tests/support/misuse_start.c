/* Starts, and the handles that they give. */
#include "support/misuse.h"

#include <stdio.h>
#include <string.h>

static void on_end(void *user_data, orch_response *response)
{
    (void)user_data;
    orch_response_free(response);
}

/* ---- starts ---------------------------------------------------------------------------------------------- */

static void bad_options(void)
{
    orch_start_options *o = orch_start_options_new();

    REFUSES(orch_start_options_set_id(NULL, "a"));
    REFUSES(orch_start_options_set_id(o, ""));
    REFUSES(orch_start_options_set_id(o, "a b"));
    REFUSES(orch_start_options_set_id(o, huge));
    REFUSES(orch_start_options_set_id(o, "0000000000000")); /* of the library's form */
    REFUSES(orch_start_options_set_version(NULL, "1.0.0"));
    REFUSES(orch_start_options_set_version(o, ""));
    REFUSES(orch_start_options_set_version(o, "one"));
    REFUSES(orch_start_options_set_version(o, huge));
    REFUSES(orch_start_options_set_timeout(NULL, 1));
    REFUSES(orch_start_options_set_timeout(o, -1));
    REFUSES(orch_start_options_set_timeout(o, INT64_MAX));
    REFUSES(orch_start_options_set_start_key(NULL, "k", 0, 0));
    REFUSES(orch_start_options_set_start_key(o, "", 0, 0));
    REFUSES(orch_start_options_set_start_key(o, huge, 0, 0));
    REFUSES(orch_start_options_set_start_key(o, "a\nb", 0, 0));
    REFUSES(orch_start_options_set_start_key(o, "\xc3", 0, 0));
    REFUSES(orch_start_options_set_start_key(o, "k", -1, 0));
    REFUSES(orch_start_options_set_start_key(o, "k", 3, 0));
    REFUSES(orch_start_options_set_start_key(o, "k", 0, -1));
    REFUSES(orch_start_options_set_start_key(o, "k", 0, INT64_MAX));
    REFUSES(orch_start_options_set_start_at(NULL, 1));
    REFUSES(orch_start_options_set_start_at(o, -1));
    REFUSES(orch_start_options_set_start_at(o, INT64_MAX));
    REFUSES(orch_start_options_set_delay(NULL, 1));
    REFUSES(orch_start_options_set_delay(o, -1));
    REFUSES(orch_start_options_set_delay(o, INT64_MAX));
    REFUSES(orch_start_options_set_priority(NULL, 1));
    REFUSES(orch_start_options_set_priority(o, -1));
    REFUSES(orch_start_options_set_priority(o, 10));
    REFUSES(orch_start_options_set_affinity(NULL, "a"));
    REFUSES(orch_start_options_set_affinity(o, ""));
    REFUSES(orch_start_options_set_affinity(o, huge));
    REFUSES(orch_start_options_set_limit_key(NULL, "a"));
    REFUSES(orch_start_options_set_limit_key(o, "\x7f"));
    REFUSES(orch_start_options_set_limit_key(o, huge));
    assert_int_equal(orch_start_options_set_id(o, NULL), 0);
    assert_int_equal(orch_start_options_set_version(o, NULL), 0);
    assert_int_equal(orch_start_options_set_start_key(o, NULL, 0, 0), 0);
    assert_int_equal(orch_start_options_set_affinity(o, NULL), 0);
    assert_int_equal(orch_start_options_set_limit_key(o, NULL), 0);
    orch_start_options_free(o);
    orch_start_options_free(NULL);
}

static void bad_attributes(void)
{
    static const char *const bad[][2] = {
        {"not JSON", ""},
        {"not JSON", "{"},
        {"not JSON", "{\"a\":1,\"a\":2}"},
        {"must be a JSON object", "[]"},
        {"name of an attribute is ''", "{\"\":1}"},
        {"name of an attribute is 'a b'", "{\"a b\":1}"},
        {"attribute 'a' is null", "{\"a\":null}"},
        {"attribute 'a' is a list", "{\"b\":true,\"a\":[]}"},
        {"attribute 'a' is an object", "{\"a\":{}}"},
    };
    orch_start_options *o = orch_start_options_new();
    char many[2000] = "{", *end = many + 1;

    BAD("options must not be NULL", orch_start_options_set_attributes(NULL, "{}", 2, &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        BAD(bad[i][0], orch_start_options_set_attributes(o, bad[i][1], strlen(bad[i][1]), &err));
    BAD("attributes_json has", orch_start_options_set_attributes(o, huge, sizeof huge, &err));
    for (int i = 0; i < 65; i++)
        end += sprintf(end, "%s\"a%d\":%d", i ? "," : "", i, i);
    strcpy(end, "}");
    BAD("attributes_json has 65 members; 64 are allowed",
        orch_start_options_set_attributes(o, many, strlen(many), &err));
    HOST_OK(orch_start_options_set_attributes(o, NULL, 0, &err));
    orch_start_options_free(o);
}

static void bad_execute(void)
{
    BAD_OUT(orch_response, "orch must not be NULL",
            orch_v2_execute_workflow(NULL, "noop", NULL, 0, NULL, &out, &err));
    BAD_OUT(orch_response, "id must not be NULL",
            orch_v2_execute_workflow(orch, NULL, NULL, 0, NULL, &out, &err));
    BAD("out_response must not be NULL",
        orch_v2_execute_workflow(orch, "noop", NULL, 0, NULL, NULL, &err));
    BAD_OUT(orch_response, "inputs_json is not JSON",
            orch_v2_execute_workflow(orch, "noop", "{", 1, NULL, &out, &err));
}

static int32_t good_execute(void)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_execute_workflow(orch, "noop", NULL, 0, NULL, &r, NULL);

    orch_response_free(r);
    return rc;
}

static void bad_start(void)
{
    static char deep[4096];

    memset(deep, '[', sizeof deep);
    BAD_OUT(orch_execution, "orch must not be NULL",
            orch_v2_start_workflow(NULL, "noop", NULL, 0, NULL, &out, &err));
    BAD_OUT(orch_execution, "id must not be NULL",
            orch_v2_start_workflow(orch, NULL, NULL, 0, NULL, &out, &err));
    BAD_OUT(orch_execution, "id is ''",
            orch_v2_start_workflow(orch, "", NULL, 0, NULL, &out, &err));
    BAD_OUT(orch_execution, "id is", orch_v2_start_workflow(orch, huge, NULL, 0, NULL, &out, &err));
    BAD_OUT(orch_execution, "not JSON",
            orch_v2_start_workflow(orch, "noop", "", 0, NULL, &out, &err));
    BAD_OUT(orch_execution, "not JSON",
            orch_v2_start_workflow(orch, "noop", "{}}", 3, NULL, &out, &err));
    BAD_OUT(orch_execution, "must be a JSON object",
            orch_v2_start_workflow(orch, "noop", "[]", 2, NULL, &out, &err));
    BAD_OUT(orch_execution, "must be a JSON object",
            orch_v2_start_workflow(orch, "noop", "null", 4, NULL, &out, &err));
    BAD_OUT(orch_execution, "not JSON",
            orch_v2_start_workflow(orch, "noop", "{\"a\":\"\xff\"}", 9, NULL, &out, &err));
    BAD_OUT(orch_execution, "not JSON",
            orch_v2_start_workflow(orch, "noop", "{\"a\":1,\"a\":2}", 13, NULL, &out, &err));
    BAD_OUT(orch_execution, "not JSON",
            orch_v2_start_workflow(orch, "noop", deep, sizeof deep, NULL, &out, &err));
    BAD_OUT(orch_execution, "inputs_json has",
            orch_v2_start_workflow(orch, "noop", huge, (size_t)1 << 40, NULL, &out, &err));
}

static int32_t good_start(void)
{
    return orch_v2_start_workflow(orch, "noop", NULL, 0, NULL, NULL, NULL);
}

static void bad_start_async(void)
{
    FREES(
        BAD("orch must not be NULL", orch_v2_start_workflow_async(NULL, "noop", NULL, 0, NULL, NULL,
                                                                  on_end, NULL, count_free, &err)));
    FREES(BAD("id must not be NULL", orch_v2_start_workflow_async(orch, NULL, NULL, 0, NULL, NULL,
                                                                  on_end, NULL, count_free, &err)));
    FREES(BAD("not JSON", orch_v2_start_workflow_async(orch, "noop", "x", 1, NULL, NULL, on_end,
                                                       NULL, count_free, &err)));
}

static int32_t good_start_async(void)
{
    return orch_v2_start_workflow_async(orch, "noop", NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL);
}

static void bad_launcher(void)
{
    assert_null(orch_v2_launcher(NULL));
    BAD_OUT(orch_execution, "launcher must not be NULL",
            orch_launcher_start(NULL, "noop", NULL, 0, NULL, &out, &err));
    BAD_OUT(orch_execution, "id must not be NULL",
            orch_launcher_start(orch_v2_launcher(orch), NULL, NULL, 0, NULL, &out, &err));
}

static int32_t good_launcher(void)
{
    return orch_launcher_start(orch_v2_launcher(orch), "noop", NULL, 0, NULL, NULL, NULL);
}

/* ---- handles --------------------------------------------------------------------------------------------- */

static void bad_wait(void)
{
    BAD_OUT(orch_response, "execution must not be NULL", orch_execution_wait(NULL, 0, &out, &err));
    BAD("out_response must not be NULL", orch_execution_wait(execution, 0, NULL, &err));
    BAD_OUT(orch_response, "timeout_ms is -2", orch_execution_wait(execution, -2, &out, &err));
    assert_string_equal(orch_execution_id(NULL), "");
    assert_int_equal(orch_execution_existed(NULL), 0);
    orch_execution_free(NULL);
}

static int32_t good_wait(void)
{
    orch_response *r = NULL;
    int32_t rc = orch_execution_wait(execution, 0, &r, NULL);

    orch_response_free(r);
    return rc;
}

static void bad_on_end(void)
{
    FREES(BAD("execution must not be NULL",
              orch_execution_on_end(NULL, on_end, NULL, count_free, &err)));
    FREES(
        BAD("fn must not be NULL", orch_execution_on_end(execution, NULL, NULL, count_free, &err)));
}

static int32_t good_on_end(void)
{
    return orch_execution_on_end(execution, on_end, NULL, NULL, NULL);
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

const misuse_row misuse_start_rows[] = {
    {"orch_start_options_new orch_start_options_free orch_start_options_set_id "
     "orch_start_options_set_version orch_start_options_set_timeout "
     "orch_start_options_set_start_key orch_start_options_set_start_at "
     "orch_start_options_set_delay orch_start_options_set_priority "
     "orch_start_options_set_affinity orch_start_options_set_limit_key",
     bad_options, NULL, 0, 0, 0, 0},
    {"orch_start_options_set_attributes", bad_attributes, NULL, 0, 0, 0, 0},
    {"orch_v2_execute_workflow", bad_execute, good_execute, FP, FP, FP, FP},
    {"orch_v2_start_workflow", bad_start, good_start, FP, FP, FP, FP},
    {"orch_v2_start_workflow_async", bad_start_async, good_start_async, FP, FP, 0, 0},
    {"orch_v2_launcher orch_launcher_start", bad_launcher, good_launcher, FP, FP, FP, FP},
    {"orch_execution_wait orch_execution_id orch_execution_existed orch_execution_free", bad_wait,
     good_wait, ORCH_E_CANCELLED, FP, ORCH_E_DEADLINE_EXCEEDED, ORCH_E_DEADLINE_EXCEEDED},
    {"orch_execution_on_end", bad_on_end, good_on_end, 0, FP, 0, 0},
    {0},
};
