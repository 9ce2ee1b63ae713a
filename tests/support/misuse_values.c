/* error.h, version.h, config.h, workflow.h: what needs no orchestrator, and registration. */
#include "support/misuse.h"

#include <string.h>

static int32_t build(orch_builder *b, void *user_data, orch_error **err)
{
    (void)user_data;
    (void)err;
    return orch_builder_step(b, "a", "noop", NULL) ? 0 : ORCH_E_INTERNAL;
}

/* ---- error.h, version.h, config.h ------------------------------------------------------------------------ */

static void bad_error(void)
{
    assert_int_equal(orch_error_code(NULL), 0);
    assert_string_equal(orch_error_message(NULL), "");
    assert_string_equal(orch_error_about(NULL), "");
    assert_int_equal(orch_error_retryable(NULL), 0);
    orch_error_free(NULL);
    assert_string_equal(orch_code_name(1000), "UNKNOWN");
    assert_string_equal(orch_code_name(INT32_MIN), "UNKNOWN");
    assert_string_equal(orch_code_name(INT32_MAX), "UNKNOWN");
}

static void bad_version(void)
{
    assert_non_null(orch_version());
    assert_int_equal(orch_has_feature(NULL), 0);
    assert_int_equal(orch_has_feature(""), 0);
    assert_int_equal(orch_has_feature(huge), 0);
}

static void bad_config(void)
{
    orch_config *c = orch_config_new();

    BAD("config must not be NULL", orch_config_set(NULL, "CAPACITY", "1", &err));
    BAD("key must not be NULL", orch_config_set(c, NULL, "1", &err));
    BAD("there is no key", orch_config_set(c, "", "1", &err));
    BAD("there is no key", orch_config_set(c, huge, "1", &err));
    BAD("CAPACITY is ''", orch_config_set(c, "CAPACITY", "", &err));
    BAD("CAPACITY", orch_config_set(c, "CAPACITY", huge, &err));
    BAD("SECRETS_DIR has 1048575 bytes", orch_config_set(c, "SECRETS_DIR", huge, &err));
    BAD("config must not be NULL", orch_config_load_env(NULL, &err));
    REFUSES(orch_config_set(NULL, NULL, NULL, NULL));
    assert_null(orch_config_get(NULL, "CAPACITY"));
    assert_null(orch_config_get(c, NULL));
    assert_null(orch_config_get(c, huge));
    orch_config_free(c);
    orch_config_free(NULL);
}

static int32_t no_code(void *user_data, const void *data, size_t len, void **out, size_t *out_len)
{
    (void)user_data;
    (void)data;
    (void)len;
    (void)out;
    (void)out_len;
    return ORCH_E_INTERNAL;
}

static void bad_codec(void)
{
    const orch_codec good = {sizeof good, "good", no_code, no_code, NULL};
    orch_codec bad[] = {good, good, good, good};
    orch_config *c = orch_config_new();

    bad[0].size = 4;
    bad[1].name = NULL;
    bad[2].encode = NULL;
    bad[3].decode = NULL;
    FREES(BAD("codec.size is 4", orch_config_set_codec(c, &bad[0], NULL, count_free, &err)));
    FREES(BAD("codec.name", orch_config_set_codec(c, &bad[1], NULL, count_free, &err)));
    FREES(BAD("codec.encode", orch_config_set_codec(c, &bad[2], NULL, count_free, &err)));
    FREES(BAD("codec.decode", orch_config_set_codec(c, &bad[3], NULL, count_free, &err)));
    FREES(
        BAD("config must not be NULL", orch_config_set_codec(NULL, &good, NULL, count_free, &err)));
    FREES(HOST_OK(orch_config_set_codec(c, NULL, NULL, count_free, &err)));
    FREES({
        HOST_OK(orch_config_set_codec(c, &good, NULL, count_free, &err));
        orch_config_free(c);
    });
}

static void bad_new(void)
{
    orch_config *c = orch_config_new();
    orch_error *error = NULL;

    assert_null(orch_v2_new(NULL, &error));
    assert_int_equal(orch_error_code(error), ORCH_E_INVALID_ARGUMENT);
    assert_null(orch_v2_new(c, &error)); /* an error that is there already is replaced */
    assert_string_equal(orch_error_about(error), "STORE_URL");
    orch_error_free(error);
    assert_null(orch_v2_new(NULL, NULL));
    orch_config_free(c);
}

/* ---- workflow.h ------------------------------------------------------------------------------------------ */

static void bad_builder(void)
{
    assert_null(orch_builder_step(NULL, "a", "noop", NULL));
    REFUSES(orch_builder_set(NULL, "output", "1"));
    REFUSES(orch_step_set(NULL, "when", "1"));
    REFUSES(orch_step_depends_on(NULL, "a"));
}

static void bad_register_workflow(void)
{
    FREES(BAD("orch must not be NULL", orch_v2_register_workflow(NULL, "w", "1.0.0", build, NULL,
                                                                 count_free, NULL, 0, &err)));
    FREES(BAD("id must not be NULL", orch_v2_register_workflow(orch, NULL, "1.0.0", build, NULL,
                                                               count_free, NULL, 0, &err)));
    FREES(BAD("id is ''", orch_v2_register_workflow(orch, "", "1.0.0", build, NULL, count_free,
                                                    NULL, 0, &err)));
    FREES(BAD("id is", orch_v2_register_workflow(orch, huge, "1.0.0", build, NULL, count_free, NULL,
                                                 0, &err)));
    FREES(BAD("version must not be NULL",
              orch_v2_register_workflow(orch, "w", NULL, build, NULL, count_free, NULL, 0, &err)));
    FREES(BAD("version",
              orch_v2_register_workflow(orch, "w", "1.0", build, NULL, count_free, NULL, 0, &err)));
    FREES(BAD("version",
              orch_v2_register_workflow(orch, "w", huge, build, NULL, count_free, NULL, 0, &err)));
    FREES(BAD("builder must not be NULL", orch_v2_register_workflow(orch, "w", "1.0.0", NULL, NULL,
                                                                    count_free, NULL, 0, &err)));
    FREES(
        BAD("metadata_json is not JSON",
            orch_v2_register_workflow(orch, "w", "1.0.0", build, NULL, count_free, "{", 1, &err)));
    FREES(BAD("metadata_json has", orch_v2_register_workflow(orch, "w", "1.0.0", build, NULL,
                                                             count_free, huge, 1U << 30, &err)));
}

static int32_t good_register_workflow(void)
{
    return orch_v2_register_workflow(orch, "w", "1.0.0", build, NULL, NULL, NULL, 0, NULL);
}

static void bad_definition(void)
{
    BAD("orch must not be NULL", orch_v2_register_definition(NULL, NOOP, strlen(NOOP), &err));
    BAD("text must not be NULL", orch_v2_register_definition(orch, NULL, 5, &err));
    BAD("", orch_v2_register_definition(orch, "", 0, &err));
    BAD("", orch_v2_register_definition(orch, NOOP, strlen(NOOP) - 1, &err));
    BAD("", orch_v2_register_definition(orch, NOOP, strlen(NOOP) + 1, &err)); /* with its NUL */
    BAD("", orch_v2_register_definition(orch, "{\"id\":\"\xff\"}", 10, &err));
    BAD("bytes", orch_v2_register_definition(orch, huge, (size_t)1 << 40, &err));
    BAD("text must not be NULL", orch_v2_validate_definition(NULL, 5, &err));
    BAD("", orch_v2_validate_definition("", 0, &err));
    BAD("", orch_v2_validate_definition("{}", 2, &err));
    BAD("bytes", orch_v2_validate_definition(huge, (size_t)1 << 40, &err));
}

static int32_t good_register_definition(void)
{
    return orch_v2_register_definition(orch, NOOP, strlen(NOOP), NULL);
}

static int32_t good_validate(void)
{
    return orch_v2_validate_definition(NOOP, strlen(NOOP), NULL);
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

const misuse_row misuse_values_rows[] = {
    {"orch_error_code orch_error_message orch_error_about orch_error_retryable orch_error_free "
     "orch_code_name",
     bad_error, NULL, 0, 0, 0, 0},
    {"orch_version orch_has_feature", bad_version, NULL, 0, 0, 0, 0},
    {"orch_config_new orch_config_free orch_config_load_env orch_config_set orch_config_get",
     bad_config, NULL, 0, 0, 0, 0},
    {"orch_config_set_codec", bad_codec, NULL, 0, 0, 0, 0},
    {"orch_v2_new", bad_new, NULL, 0, 0, 0, 0},
    {"orch_builder_step orch_builder_set orch_step_depends_on orch_step_set", bad_builder, NULL, 0,
     0, 0, 0},
    {"orch_v2_register_workflow", bad_register_workflow, good_register_workflow, FP, FP, FP, FP},
    {"orch_v2_register_definition", bad_definition, good_register_definition, FP, FP, FP, FP},
    {"orch_v2_validate_definition", bad_definition, good_validate, 0, 0, 0, 0},
    {0},
};
