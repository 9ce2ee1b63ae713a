/* v1.h: an orchestrator with engines by hand. */
#include "support/misuse.h"

#include <stdio.h>

static int32_t build(orch_builder *b, void *user_data, orch_error **err)
{
    (void)user_data;
    (void)err;
    return orch_builder_step(b, "a", "noop", NULL) ? 0 : ORCH_E_INTERNAL;
}

static void bad_new(void)
{
    orch_config *c = orch_config_new();
    orch_error *error = NULL;

    assert_null(orch_new(NULL, &error));
    assert_int_equal(orch_error_code(error), ORCH_E_INVALID_ARGUMENT);
    assert_null(orch_new(c, &error));
    assert_string_equal(orch_error_about(error), "STORE_URL");
    orch_error_free(error);
    assert_null(orch_new(NULL, NULL));
    assert_null(orch_as_v2(NULL));
    assert_null(orch_launcher_of(NULL));
    orch_free(NULL);
    orch_config_free(c);
}

static void bad_engine(void)
{
    orch_error *error = NULL;

    assert_null(orch_engine_new(NULL, &error));
    assert_int_equal(orch_error_code(error), ORCH_E_INVALID_ARGUMENT);
    orch_error_free(error);
    assert_null(orch_engine_new(NULL, NULL));
    orch_engine_free(NULL);
    BAD("orch must not be NULL", orch_register_engine(NULL, engine, &err));
    if (v1)
        BAD("engine must not be NULL", orch_register_engine(v1, NULL, &err));
}

static int32_t good_engine(void)
{
    static int number;
    orch_config *c = orch_config_new();
    char name[20];
    orch_engine *e;
    int32_t rc;

    snprintf(name, sizeof name, "engine-%d", number++);
    rc = orch_config_set(c, "ENGINE_ID", name, NULL);
    e = orch_engine_new(c, NULL);
    if (!rc)
        rc = orch_register_engine(v1, e, NULL);
    orch_engine_free(e);
    orch_config_free(c);
    return rc;
}

static void bad_register(void)
{
    FREES(BAD("orch must not be NULL",
              orch_register_workflow(NULL, "w", "1.0.0", build, NULL, count_free, NULL, 0, &err)));
    if (v1)
        FREES(BAD("builder must not be NULL",
                  orch_register_workflow(v1, "w", "1.0.0", NULL, NULL, count_free, NULL, 0, &err)));
}

static int32_t good_register(void)
{
    return orch_register_workflow(v1, "w", "1.0.0", build, NULL, NULL, NULL, 0, NULL);
}

static void bad_execute(void)
{
    BAD_OUT(orch_response, "orch must not be NULL",
            orch_execute_workflow(NULL, "noop", NULL, 0, NULL, &out, &err));
    if (v1)
        BAD_OUT(orch_response, "not JSON",
                orch_execute_workflow(v1, "noop", "{", 1, NULL, &out, &err));
}

static int32_t good_execute(void)
{
    orch_response *r = NULL;
    int32_t rc = orch_execute_workflow(v1, "noop", NULL, 0, NULL, &r, NULL);

    orch_response_free(r);
    return rc;
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

const misuse_row misuse_v1_rows[] = {
    {"orch_new orch_free orch_as_v2 orch_launcher_of", bad_new, NULL, 0, 0, 0, 0},
    {"orch_engine_new orch_engine_free orch_register_engine", bad_engine, good_engine, FP, FP, 0,
     FP},
    {"orch_register_workflow", bad_register, good_register, FP, FP, FP, FP},
    {"orch_execute_workflow", bad_execute, good_execute, FP, FP, FP, FP},
    {0},
};
