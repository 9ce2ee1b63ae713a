/* error.h, version.h, config.h, workflow.h: what needs no orchestrator, and registration. */
#include "support/oom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- error.h, version.h ------------------------------------------------------------------------------------ */

/* Where there is no memory for the error's words the code alone says what it is, and the error that there is none. */
static int32_t call_error(void)
{
    orch_error *err = NULL;
    int32_t rc = orch_v2_validate_definition("{}", 2, &err);

    if (rc != ORCH_E_RESOURCE_EXHAUSTED)
        assert_int_equal(rc, ORCH_E_INVALID_ARGUMENT);
    if (err) {
        int32_t code = orch_error_code(err);

        assert_true(code == rc || code == ORCH_E_RESOURCE_EXHAUSTED);
        assert_string_not_equal(orch_error_message(err), "");
        assert_non_null(orch_error_about(err));
        assert_int_equal(orch_error_retryable(err), code == ORCH_E_RESOURCE_EXHAUSTED);
    }
    assert_string_equal(orch_code_name(rc),
                        rc == ORCH_E_INVALID_ARGUMENT ? "INVALID_ARGUMENT" : "RESOURCE_EXHAUSTED");
    orch_error_free(err);
    return rc == ORCH_E_INVALID_ARGUMENT ? 0 : rc;
}

static int32_t call_version(void)
{
    return orch_version() && orch_has_feature("no such") == 0 ? 0 : ORCH_E_INTERNAL;
}

/* ---- config.h ---------------------------------------------------------------------------------------------- */

static int32_t call_config(void)
{
    orch_config *c = orch_config_new();
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;

    if (!c)
        return rc;
    rc = orch_config_set(c, "SECRETS_DIR", "/run/secrets", NULL);
    if (!rc)
        rc = orch_config_set(c, "CAPACITY", "7", NULL);
    if (!rc)
        rc = orch_config_load_env(c, NULL);
    if (!rc) {
        assert_string_equal(orch_config_get(c, "SECRETS_DIR"), "/run/secrets");
        assert_string_equal(orch_config_get(c, "CAPACITY"), "8");
    }
    orch_config_free(c);
    return rc;
}

static void set_environment(void)
{
    setenv("CAPACITY", "8", 1);
}

static void clear_environment(void)
{
    unsetenv("CAPACITY");
}

static int32_t same(void *user_data, const void *data, size_t len, void **out, size_t *out_len)
{
    (void)user_data;
    *out = malloc(len ? len : 1);
    if (!*out)
        return ORCH_E_RESOURCE_EXHAUSTED;
    memcpy(*out, data, len);
    *out_len = len;
    return 0;
}

static void release(void *user_data, void *data)
{
    (void)user_data;
    free(data);
}

static int32_t call_codec(void)
{
    const orch_codec codec = {sizeof codec, "same", same, same, release};
    orch_config *c = orch_config_new();
    int before = freed;
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;

    if (!c)
        return rc;
    rc = orch_config_set_codec(c, &codec, NULL, count_free, NULL);
    assert_int_equal(freed, rc ? before + 1 : before);
    orch_config_free(c);
    assert_int_equal(freed, before + 1);
    return rc;
}

/* ---- workflow.h -------------------------------------------------------------------------------------------- */

static int32_t build(orch_builder *b, void *user_data, orch_error **err)
{
    orch_step *a = orch_builder_step(b, "a", "noop", "{\"n\":1}");
    orch_step *z = orch_builder_step(b, "z", "noop", NULL);
    int32_t rc = a && z ? 0 : ORCH_E_RESOURCE_EXHAUSTED;

    (void)user_data;
    (void)err;
    if (!rc)
        rc = orch_step_depends_on(z, "a");
    if (!rc)
        rc = orch_step_set(z, "timeout", "\"5s\"");
    if (!rc)
        rc = orch_builder_set(b, "output", "\"${steps.a.output}\"");
    return rc;
}

static int32_t call_workflow(void)
{
    int before = freed;
    int32_t rc = orch_v2_register_workflow(orch, "built", "1.0.0", build, NULL, count_free,
                                           "{\"team\":\"a\"}", 12, NULL);

    assert_int_equal(freed, before + 1);
    return rc;
}

static void expect_built(void)
{
    char output[40];

    assert_string_equal(host_execute(orch, "built", NULL, output, sizeof output), "succeeded");
    assert_string_equal(output, "{\"n\":1}");
}

static int version;
static char text[400];

/* One that is not there yet: of what is there, registering again changes nothing. */
static void make_definition(void)
{
    snprintf(
        text, sizeof text,
        "{\"id\":\"new\",\"version\":\"1.%d.0\",\"inputs\":{\"n\":{\"type\":\"integer\",\"default\":1}},"
        "\"steps\":[{\"id\":\"a\",\"executor\":\"noop\",\"when\":\"input.n > 0\"}]}",
        ++version);
}

static int32_t call_definition(void)
{
    return orch_v2_register_definition(orch, text, strlen(text), NULL);
}

static void expect_new(void)
{
    assert_string_equal(host_execute(orch, "new", NULL, NULL, 0), "succeeded");
}

static int32_t call_validate(void)
{
    return orch_v2_validate_definition(text, strlen(text), NULL);
}

/* ---- the rows ---------------------------------------------------------------------------------------------- */

const oom_row oom_values_rows[] = {
    {"orch_error_code orch_error_message orch_error_about orch_error_retryable orch_error_free "
     "orch_code_name",
     NULL, call_error, NULL, false},
    {"orch_version orch_has_feature", NULL, call_version, NULL, false},
    {"orch_config_new orch_config_free orch_config_load_env orch_config_set orch_config_get",
     set_environment, call_config, clear_environment, false},
    {"orch_config_set_codec", NULL, call_codec, NULL, false},
    {"orch_v2_register_workflow orch_builder_step orch_builder_set orch_step_depends_on "
     "orch_step_set",
     NULL, call_workflow, expect_built, false},
    {"orch_v2_register_definition", make_definition, call_definition, expect_new, false},
    {"orch_v2_validate_definition", make_definition, call_validate, NULL, false},
    {0},
};
