/* Goal: no public function can be called so wrongly that it crashes, hangs or half does something. Each has a row here: it is given
 * NULL, empty, oversized and malformed arguments, and is called rightly in the wrong place: after stop, in a forked child, inside a
 * callback of dispatch, inside a log callback. The headers are read, so that a function without a row fails the test. */
#include "support/api_host.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SENTINEL ((void *)(uintptr_t)0x5e47) /* what outputs hold before, and after a failure */

/* What the rows work on. */
static orch_v2 *orch;
static orch_engine *engine;
static orch_execution *execution; /* has not ended */
static orch_task *task;           /* of it */
static char huge[1 << 20];        /* a text longer than any may be */
static int freed;

static const char NOOP[] =
    "{\"id\":\"noop\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"noop\"}]}";

static void count_free(void *user_data)
{
    (void)user_data;
    freed++;
}

static void on_end(void *user_data, orch_response *response)
{
    (void)user_data;
    orch_response_free(response);
}

static int32_t build(orch_builder *b, void *user_data, orch_error **err)
{
    (void)user_data;
    (void)err;
    return orch_builder_step(b, "a", "noop", NULL) ? 0 : ORCH_E_INTERNAL;
}

static int64_t no_secret(void *user_data, const char *name, char *buffer, size_t capacity)
{
    (void)user_data;
    (void)name;
    (void)buffer;
    (void)capacity;
    return ORCH_E_NOT_FOUND;
}

static void no_log(void *user_data, int32_t level, const char *message)
{
    (void)user_data;
    (void)level;
    (void)message;
}

#define BAD(piece, call) HOST_FAILS(call, ORCH_E_INVALID_ARGUMENT, piece)
/* With an output called `out`, which keeps its value. */
#define BAD_OUT(type, piece, call)       \
    do {                                 \
        type *out = SENTINEL;            \
        BAD(piece, call);                \
        assert_ptr_equal(out, SENTINEL); \
    } while (0)
/* user_data is freed once by a call that fails. */
#define FREES(call)                          \
    do {                                     \
        int before = freed;                  \
        call;                                \
        assert_int_equal(freed, before + 1); \
    } while (0)
#define REFUSES(call) assert_int_equal(call, ORCH_E_INVALID_ARGUMENT)

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
    BAD("orch must not be NULL", orch_v2_register_definition(NULL, NOOP, sizeof NOOP - 1, &err));
    BAD("text must not be NULL", orch_v2_register_definition(orch, NULL, 5, &err));
    BAD("", orch_v2_register_definition(orch, "", 0, &err));
    BAD("", orch_v2_register_definition(orch, NOOP, sizeof NOOP - 2, &err));
    BAD("", orch_v2_register_definition(orch, NOOP, sizeof NOOP, &err)); /* with its NUL */
    BAD("", orch_v2_register_definition(orch, "{\"id\":\"\xff\"}", 10, &err));
    BAD("bytes", orch_v2_register_definition(orch, huge, (size_t)1 << 40, &err));
    BAD("text must not be NULL", orch_v2_validate_definition(NULL, 5, &err));
    BAD("", orch_v2_validate_definition("", 0, &err));
    BAD("", orch_v2_validate_definition("{}", 2, &err));
    BAD("bytes", orch_v2_validate_definition(huge, (size_t)1 << 40, &err));
}

static int32_t good_register_definition(void)
{
    return orch_v2_register_definition(orch, NOOP, sizeof NOOP - 1, NULL);
}

static int32_t good_validate(void)
{
    return orch_v2_validate_definition(NOOP, sizeof NOOP - 1, NULL);
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
    assert_int_equal(orch_start_options_set_id(o, NULL), 0);
    assert_int_equal(orch_start_options_set_version(o, NULL), 0);
    orch_start_options_free(o);
    orch_start_options_free(NULL);
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

/* ---- looking --------------------------------------------------------------------------------------------- */

static void bad_get(void)
{
    BAD_OUT(orch_response, "orch must not be NULL", orch_v2_get_execution(NULL, "x", &out, &err));
    BAD_OUT(orch_response, "execution_id must not be NULL",
            orch_v2_get_execution(orch, NULL, &out, &err));
    BAD_OUT(orch_response, "execution id", orch_v2_get_execution(orch, "", &out, &err));
    BAD_OUT(orch_response, "execution id", orch_v2_get_execution(orch, "a\nb", &out, &err));
    BAD_OUT(orch_response, "execution id", orch_v2_get_execution(orch, huge, &out, &err));
    BAD("out_response must not be NULL", orch_v2_get_execution(orch, "x", NULL, &err));
}

static int32_t good_get(void)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_get_execution(orch, orch_execution_id(execution), &r, NULL);

    orch_response_free(r);
    return rc;
}

static void bad_find(void)
{
    BAD_OUT(orch_execution, "orch must not be NULL", orch_v2_find_execution(NULL, "x", &out, &err));
    BAD_OUT(orch_execution, "execution_id must not be NULL",
            orch_v2_find_execution(orch, NULL, &out, &err));
    BAD_OUT(orch_execution, "execution id", orch_v2_find_execution(orch, huge, &out, &err));
    BAD("out_execution must not be NULL", orch_v2_find_execution(orch, "x", NULL, &err));
}

static int32_t good_find(void)
{
    orch_execution *e = NULL;
    int32_t rc = orch_v2_find_execution(orch, orch_execution_id(execution), &e, NULL);

    orch_execution_free(e);
    return rc;
}

static void bad_list(void)
{
    BAD_OUT(orch_execution_list, "orch must not be NULL",
            orch_v2_list_executions(NULL, NULL, &out, &err));
    BAD("out_list must not be NULL", orch_v2_list_executions(orch, NULL, NULL, &err));
    assert_int_equal(orch_execution_list_count(NULL), 0);
    assert_null(orch_execution_list_get(NULL, 0));
    assert_null(orch_execution_list_next(NULL));
    orch_execution_list_free(NULL);
}

static int32_t good_list(void)
{
    orch_execution_list *l = NULL;
    int32_t rc = orch_v2_list_executions(orch, NULL, &l, NULL);

    if (!rc)
        assert_null(orch_execution_list_get(l, orch_execution_list_count(l)));
    orch_execution_list_free(l);
    return rc;
}

static void bad_filter(void)
{
    static const char *const bad[][2] = {
        {"state", "done"},
        {"state", ""},
        {"workflow", ""},
        {"workflow", "a b"},
        {"version", "^1.0.0"},
        {"version", ""},
        {"accepted_from_ms", "-1"},
        {"accepted_to_ms", "soon"},
        {"accepted_to_ms", "99999999999999999999"},
        {"order", "random"},
        {"limit", "0"},
        {"limit", "10001"},
        {"limit", " 1"},
        {"payloads", "yes"},
        {"page", "2"},
        {"page", ""},
        {"nonsense", "1"},
        {"", ""},
    };
    orch_filter *f = orch_filter_new();

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        BAD(bad[i][0], orch_filter_set(f, bad[i][0], bad[i][1], &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        BAD(bad[i][0], orch_filter_set(f, bad[i][0], huge, &err));
    BAD("filter must not be NULL", orch_filter_set(NULL, "limit", "1", &err));
    BAD("key must not be NULL", orch_filter_set(f, NULL, "1", &err));
    BAD("value must not be NULL", orch_filter_set(f, "limit", NULL, &err));
    BAD("is not known", orch_filter_set(f, huge, "1", &err));
    orch_filter_free(f);
    orch_filter_free(NULL);
}

static void bad_history(void)
{
    size_t len = 77;

    BAD_OUT(orch_history, "orch must not be NULL",
            orch_v2_get_history(NULL, "x", 0, 0, &out, &err));
    BAD_OUT(orch_history, "execution_id must not be NULL",
            orch_v2_get_history(orch, NULL, 0, 0, &out, &err));
    BAD_OUT(orch_history, "execution id", orch_v2_get_history(orch, "?", 0, 0, &out, &err));
    BAD_OUT(orch_history, "limit is 100001", orch_v2_get_history(orch, "x", 0, 100001, &out, &err));
    BAD("out_history must not be NULL", orch_v2_get_history(orch, "x", 0, 0, NULL, &err));
    assert_int_equal(orch_history_count(NULL), 0);
    assert_int_equal(orch_history_seq(NULL, 0), 0);
    assert_string_equal(orch_history_step(NULL, 0), "");
    assert_int_equal(orch_history_index(NULL, 0), -1);
    assert_int_equal(orch_history_kind(NULL, 0), 0);
    assert_int_equal(orch_history_attempt(NULL, 0), 0);
    assert_int_equal(orch_history_started_ms(NULL, 0), 0);
    assert_int_equal(orch_history_ended_ms(NULL, 0), 0);
    assert_string_equal(orch_history_output(NULL, 0, &len), "null");
    assert_int_equal(len, 4);
    assert_null(orch_history_error(NULL, 0, &len));
    assert_int_equal(len, 0);
    orch_history_free(NULL);
}

static int32_t good_history(void)
{
    orch_history *h = NULL;
    int32_t rc = orch_v2_get_history(orch, orch_execution_id(execution), 0, 0, &h, NULL);

    if (!rc)
        assert_string_equal(orch_history_step(h, SIZE_MAX), "");
    orch_history_free(h);
    return rc;
}

static void bad_progress(void)
{
    BAD_OUT(orch_progress, "orch must not be NULL", orch_v2_get_progress(NULL, "x", &out, &err));
    BAD_OUT(orch_progress, "execution_id must not be NULL",
            orch_v2_get_progress(orch, NULL, &out, &err));
    BAD_OUT(orch_progress, "execution id", orch_v2_get_progress(orch, huge, &out, &err));
    BAD("out_progress must not be NULL", orch_v2_get_progress(orch, "x", NULL, &err));
    assert_int_equal(orch_progress_get(NULL, "steps"), -1);
    orch_progress_free(NULL);
}

static int32_t good_progress(void)
{
    orch_progress *p = NULL;
    int32_t rc = orch_v2_get_progress(orch, orch_execution_id(execution), &p, NULL);

    if (!rc) {
        assert_int_equal(orch_progress_get(p, NULL), -1);
        assert_int_equal(orch_progress_get(p, ""), -1);
    }
    orch_progress_free(p);
    return rc;
}

static void bad_response(void)
{
    size_t len = 77;

    assert_string_equal(orch_response_id(NULL), "");
    assert_string_equal(orch_response_workflow(NULL), "");
    assert_string_equal(orch_response_version(NULL), "");
    assert_int_equal(orch_response_state(NULL), -1);
    assert_string_equal(orch_response_output(NULL, &len), "null");
    assert_int_equal(len, 4);
    assert_string_equal(orch_response_input(NULL, NULL), "{}");
    assert_null(orch_response_error(NULL, &len));
    assert_int_equal(len, 0);
    assert_int_equal(orch_response_accepted_ms(NULL), 0);
    assert_int_equal(orch_response_ended_ms(NULL), 0);
    orch_response_free(NULL);
}

static void bad_names(void)
{
    assert_string_equal(orch_execution_state_name(INT32_MIN), "unknown");
    assert_string_equal(orch_execution_state_name(INT32_MAX), "unknown");
    assert_string_equal(orch_step_kind_name(INT32_MIN), "unknown");
    assert_string_equal(orch_step_kind_name(INT32_MAX), "unknown");
}

static void bad_control(void)
{
    orch_control *c = orch_control_new();

    orch_control_free(NULL);
    REFUSES(orch_control_set_who(NULL, "me"));
    REFUSES(orch_control_set_who(c, huge));
    REFUSES(orch_control_set_who(c, "\xc3"));
    REFUSES(orch_control_set_why(NULL, "so"));
    REFUSES(orch_control_set_why(c, huge));
    REFUSES(orch_control_set_why(c, "\xc3"));
    orch_control_free(c);
}

/* Those that take an id, who and why, and no more. */
static void bad_plain(void)
{
    static int32_t (*const calls[])(orch_v2 *, const char *, const orch_control *,
                                    orch_error **) = {
        orch_v2_cancel, orch_v2_terminate, orch_v2_pause, orch_v2_resume, orch_v2_retry,
    };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        BAD("orch must not be NULL", calls[i](NULL, "x", NULL, &err));
        BAD("execution_id must not be NULL", calls[i](orch, NULL, NULL, &err));
        BAD("execution id", calls[i](orch, "", NULL, &err));
        BAD("execution id", calls[i](orch, huge, NULL, &err));
    }
}

static int32_t good_cancel(void)
{
    return orch_v2_cancel(orch, "never-was", NULL, NULL);
}

static int32_t good_terminate(void)
{
    return orch_v2_terminate(orch, "never-was", NULL, NULL);
}

static int32_t good_pause(void)
{
    return orch_v2_pause(orch, "never-was", NULL, NULL);
}

static int32_t good_resume(void)
{
    return orch_v2_resume(orch, "never-was", NULL, NULL);
}

static int32_t good_retry(void)
{
    return orch_v2_retry(orch, "never-was", NULL, NULL);
}

static void bad_priority(void)
{
    BAD("orch must not be NULL", orch_v2_set_priority(NULL, "x", 1, NULL, &err));
    BAD("execution id", orch_v2_set_priority(orch, "", 1, NULL, &err));
    BAD("priority is -1", orch_v2_set_priority(orch, "x", -1, NULL, &err));
    BAD("priority is 10", orch_v2_set_priority(orch, "x", 10, NULL, &err));
}

static int32_t good_priority(void)
{
    return orch_v2_set_priority(orch, "never-was", 1, NULL, NULL);
}

static void bad_signal(void)
{
    BAD("orch must not be NULL", orch_v2_signal(NULL, "x", "s", NULL, 0, NULL, NULL, &err));
    BAD("execution id", orch_v2_signal(orch, "", "s", NULL, 0, NULL, NULL, &err));
    BAD("name must not be NULL", orch_v2_signal(orch, "x", NULL, NULL, 0, NULL, NULL, &err));
    BAD("name", orch_v2_signal(orch, "x", "a b", NULL, 0, NULL, NULL, &err));
    BAD("payload_json", orch_v2_signal(orch, "x", "s", "{", 1, NULL, NULL, &err));
    BAD("payload_json", orch_v2_signal(orch, "x", "s", huge, 1U << 30, NULL, NULL, &err));
    BAD("correlation_json", orch_v2_signal(orch, "x", "s", NULL, 0, "no", NULL, &err));
    BAD("correlation_json is an object", orch_v2_signal(orch, "x", "s", NULL, 0, "{}", NULL, &err));
    BAD("correlation_json is a list", orch_v2_signal(orch, "x", "s", NULL, 0, "[1]", NULL, &err));
}

static int32_t good_signal(void)
{
    return orch_v2_signal(orch, "never-was", "s", NULL, 0, NULL, NULL, NULL);
}

static void bad_rerun(void)
{
    BAD("orch must not be NULL", orch_v2_rerun(NULL, "x", "s", NULL, &err));
    BAD("execution id", orch_v2_rerun(orch, "", "s", NULL, &err));
    BAD("step must not be NULL", orch_v2_rerun(orch, "x", NULL, NULL, &err));
    BAD("step", orch_v2_rerun(orch, "x", "a/b", NULL, &err));
}

static int32_t good_rerun(void)
{
    return orch_v2_rerun(orch, "never-was", "s", NULL, NULL);
}

static void bad_fork(void)
{
    BAD("orch must not be NULL", orch_v2_fork(NULL, "x", NULL, NULL, NULL, NULL, NULL, &err));
    BAD_OUT(orch_execution, "execution id",
            orch_v2_fork(orch, "", NULL, NULL, NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "execution id",
            orch_v2_fork(orch, "x", "a b", NULL, NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "version",
            orch_v2_fork(orch, "x", NULL, "latest", NULL, NULL, &out, &err));
    BAD_OUT(orch_execution, "step", orch_v2_fork(orch, "x", NULL, NULL, "a/b", NULL, &out, &err));
}

static int32_t good_fork(void)
{
    return orch_v2_fork(orch, "never-was", NULL, NULL, NULL, NULL, NULL, NULL);
}

/* ---- handles --------------------------------------------------------------------------------------------- */

static void bad_wait(void)
{
    BAD_OUT(orch_response, "execution must not be NULL", orch_execution_wait(NULL, 0, &out, &err));
    BAD("out_response must not be NULL", orch_execution_wait(execution, 0, NULL, &err));
    BAD_OUT(orch_response, "timeout_ms is -2", orch_execution_wait(execution, -2, &out, &err));
    assert_string_equal(orch_execution_id(NULL), "");
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

/* ---- engines and tasks ----------------------------------------------------------------------------------- */

static void bad_executor(void)
{
    FREES(BAD("engine must not be NULL",
              orch_engine_register_executor(NULL, "x", host_echo, NULL, count_free, &err)));
    FREES(BAD("name must not be NULL",
              orch_engine_register_executor(engine, NULL, host_echo, NULL, count_free, &err)));
    FREES(BAD("name is ''",
              orch_engine_register_executor(engine, "", host_echo, NULL, count_free, &err)));
    FREES(BAD("name is",
              orch_engine_register_executor(engine, huge, host_echo, NULL, count_free, &err)));
    FREES(BAD("built-in",
              orch_engine_register_executor(engine, "lua", host_echo, NULL, count_free, &err)));
    FREES(BAD("built-in", orch_engine_register_executor(engine, "workflow", host_echo, NULL,
                                                        count_free, &err)));
    FREES(BAD("fn must not be NULL",
              orch_engine_register_executor(engine, "x", NULL, NULL, count_free, &err)));
    assert_null(orch_v2_local_engine(NULL));
}

static int32_t good_executor(void)
{
    static int number;
    char name[20];

    snprintf(name, sizeof name, "x-%d", number++);
    return orch_engine_register_executor(engine, name, host_echo, NULL, NULL, NULL);
}

static void bad_next_task(void)
{
    BAD_OUT(orch_task, "engine must not be NULL", orch_engine_next_task(NULL, "p", 0, &out, &err));
    BAD_OUT(orch_task, "name must not be NULL", orch_engine_next_task(engine, NULL, 0, &out, &err));
    BAD_OUT(orch_task, "name is", orch_engine_next_task(engine, huge, 0, &out, &err));
    BAD_OUT(orch_task, "built-in", orch_engine_next_task(engine, "noop", 0, &out, &err));
    BAD_OUT(orch_task, "timeout_ms is -2", orch_engine_next_task(engine, "p", -2, &out, &err));
    BAD("out_task must not be NULL", orch_engine_next_task(engine, "p", 0, NULL, &err));
}

static int32_t good_next_task(void)
{
    orch_task *t = NULL;

    return orch_engine_next_task(engine, "p", 0, &t, NULL);
}

static void bad_secrets(void)
{
    FREES(BAD("engine must not be NULL",
              orch_engine_set_secrets(NULL, no_secret, NULL, count_free, &err)));
    FREES(HOST_OK(orch_engine_set_secrets(engine, NULL, NULL, count_free, &err)));
}

static int32_t good_secrets(void)
{
    return orch_engine_set_secrets(engine, no_secret, NULL, NULL, NULL);
}

static void bad_task(void)
{
    size_t len = 77;

    BAD("task must not be NULL", orch_task_complete(NULL, "1", 1, &err));
    BAD("output_json", orch_task_complete(task, "", 0, &err));
    BAD("output_json", orch_task_complete(task, "{", 1, &err));
    BAD("output_json", orch_task_complete(task, "\"\xff\"", 3, &err));
    BAD("bytes", orch_task_complete(task, huge, (size_t)1 << 40, &err));
    REFUSES(orch_task_fail(NULL, ORCH_E_INTERNAL, 0, "x"));
    assert_string_equal(orch_task_step(NULL), "");
    assert_string_equal(orch_task_execution(NULL), "");
    assert_string_equal(orch_task_workflow(NULL), "");
    assert_int_equal(orch_task_index(NULL), -1);
    assert_int_equal(orch_task_attempt(NULL), 0);
    assert_string_equal(orch_task_idempotency_key(NULL), "");
    assert_string_equal(orch_task_input(NULL, &len), "null");
    assert_int_equal(len, 4);
    assert_int_equal(orch_task_stopping(NULL), 0);
    assert_int_equal(orch_task_wait_stopping(NULL, -1), 0);
}

/* ---- the orchestrator itself ----------------------------------------------------------------------------- */

static void bad_loop(void)
{
    REFUSES(orch_v2_fd(NULL));
    REFUSES(orch_v2_dispatch(NULL));
}

static int32_t good_fd(void)
{
    int32_t fd = orch_v2_fd(orch);

    return fd < 0 ? fd : 0;
}

static int32_t good_dispatch(void)
{
    int32_t count = orch_v2_dispatch(orch);

    return count < 0 ? count : 0;
}

static void bad_log(void)
{
    FREES(REFUSES(orch_v2_set_log(NULL, no_log, NULL, count_free, ORCH_LOG_INFO)));
    FREES(REFUSES(orch_v2_set_log(orch, no_log, NULL, count_free, -1)));
    FREES(REFUSES(orch_v2_set_log(orch, no_log, NULL, count_free, 5)));
    FREES(assert_int_equal(orch_v2_set_log(orch, NULL, NULL, count_free, ORCH_LOG_INFO), 0));
}

static int32_t good_log(void)
{
    return orch_v2_set_log(orch, no_log, NULL, NULL, ORCH_LOG_CRITICAL);
}

static void bad_backup(void)
{
    BAD("orch must not be NULL", orch_v2_backup(NULL, "x", &err));
    BAD("path must not be NULL", orch_v2_backup(orch, NULL, &err));
    BAD("path must not be empty", orch_v2_backup(orch, "", &err));
}

static int32_t good_backup(void)
{
    return orch_v2_backup(orch, "x", NULL);
}

static void bad_stop(void)
{
    BAD("orch must not be NULL", orch_v2_stop(NULL, 0, &err));
    BAD("timeout_ms is -1", orch_v2_stop(orch, -1, &err));
    BAD("timeout_ms is 3600001", orch_v2_stop(orch, 3600001, &err));
    orch_v2_free(NULL);
}

static int32_t good_stop(void)
{
    return orch_v2_stop(orch, 0, NULL);
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

#define FP ORCH_E_FAILED_PRECONDITION

static const struct row {
    const char *names; /* of the functions, with a space between */
    void (*bad)(void);
    int32_t (*good)(void);                  /* NULL: it looks at nothing but its arguments */
    int32_t stopped, forked, dispatch, log; /* what good() answers there */
} rows[] = {
    {"orch_error_code orch_error_message orch_error_about orch_error_retryable orch_error_free "
     "orch_code_name",
     bad_error, NULL, 0, 0, 0, 0},
    {"orch_version orch_has_feature", bad_version, NULL, 0, 0, 0, 0},
    {"orch_config_new orch_config_free orch_config_load_env orch_config_set orch_config_get",
     bad_config, NULL, 0, 0, 0, 0},
    {"orch_v2_new", bad_new, NULL, 0, 0, 0, 0},
    {"orch_builder_step orch_builder_set orch_step_depends_on orch_step_set", bad_builder, NULL, 0,
     0, 0, 0},
    {"orch_v2_register_workflow", bad_register_workflow, good_register_workflow, FP, FP, FP, FP},
    {"orch_v2_register_definition", bad_definition, good_register_definition, FP, FP, FP, FP},
    {"orch_v2_validate_definition", bad_definition, good_validate, 0, 0, 0, 0},
    {"orch_start_options_new orch_start_options_free orch_start_options_set_id "
     "orch_start_options_set_version orch_start_options_set_timeout",
     bad_options, NULL, 0, 0, 0, 0},
    {"orch_v2_execute_workflow", bad_execute, good_execute, FP, FP, FP, FP},
    {"orch_v2_start_workflow", bad_start, good_start, FP, FP, FP, FP},
    {"orch_v2_start_workflow_async", bad_start_async, good_start_async, FP, FP, 0, 0},
    {"orch_v2_launcher orch_launcher_start", bad_launcher, good_launcher, FP, FP, FP, FP},
    {"orch_v2_get_execution", bad_get, good_get, 0, FP, 0, FP},
    {"orch_v2_find_execution", bad_find, good_find, 0, FP, 0, FP},
    {"orch_v2_list_executions orch_execution_list_count orch_execution_list_get "
     "orch_execution_list_next orch_execution_list_free",
     bad_list, good_list, 0, FP, 0, FP},
    {"orch_filter_new orch_filter_free orch_filter_set", bad_filter, NULL, 0, 0, 0, 0},
    {"orch_v2_get_history orch_history_count orch_history_seq orch_history_step orch_history_index "
     "orch_history_kind orch_history_attempt orch_history_started_ms orch_history_ended_ms "
     "orch_history_output orch_history_error orch_history_free",
     bad_history, good_history, 0, FP, 0, FP},
    {"orch_v2_get_progress orch_progress_get orch_progress_free", bad_progress, good_progress, FP,
     FP, 0, FP},
    {"orch_response_id orch_response_workflow orch_response_version orch_response_state "
     "orch_response_output orch_response_error orch_response_input orch_response_accepted_ms "
     "orch_response_ended_ms orch_response_free",
     bad_response, NULL, 0, 0, 0, 0},
    {"orch_execution_state_name orch_step_kind_name", bad_names, NULL, 0, 0, 0, 0},
    {"orch_control_new orch_control_free orch_control_set_who orch_control_set_why", bad_control,
     NULL, 0, 0, 0, 0},
    {"orch_v2_cancel", bad_plain, good_cancel, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_terminate", bad_plain, good_terminate, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_pause", bad_plain, good_pause, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_resume", bad_plain, good_resume, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_retry", bad_plain, good_retry, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_set_priority", bad_priority, good_priority, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_signal", bad_signal, good_signal, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_rerun", bad_rerun, good_rerun, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_v2_fork", bad_fork, good_fork, FP, FP, ORCH_E_NOT_FOUND, FP},
    {"orch_execution_wait orch_execution_id orch_execution_free", bad_wait, good_wait,
     ORCH_E_CANCELLED, FP, ORCH_E_DEADLINE_EXCEEDED, ORCH_E_DEADLINE_EXCEEDED},
    {"orch_execution_on_end", bad_on_end, good_on_end, 0, FP, 0, 0},
    {"orch_v2_local_engine orch_engine_register_executor", bad_executor, good_executor, FP, FP, 0,
     FP},
    {"orch_engine_next_task", bad_next_task, good_next_task, ORCH_E_CANCELLED, FP,
     ORCH_E_DEADLINE_EXCEEDED, FP},
    {"orch_engine_set_secrets", bad_secrets, good_secrets, FP, FP, 0, 0},
    {"orch_task_step orch_task_execution orch_task_workflow orch_task_index orch_task_attempt "
     "orch_task_idempotency_key orch_task_input orch_task_stopping orch_task_wait_stopping "
     "orch_task_complete orch_task_fail",
     bad_task, NULL, 0, 0, 0, 0},
    {"orch_v2_fd", bad_loop, good_fd, 0, FP, 0, 0},
    {"orch_v2_dispatch", bad_loop, good_dispatch, 0, FP, FP, 0},
    {"orch_v2_backup", bad_backup, good_backup, FP, FP, ORCH_E_UNIMPLEMENTED, FP},
    {"orch_v2_stop orch_v2_free", bad_stop, good_stop, 0, FP, FP, FP},
    /* Last: in the log callback it takes its place. */
    {"orch_v2_set_log", bad_log, good_log, 0, FP, 0, 0},
};

#define ROWS (sizeof rows / sizeof *rows)

static bool has_row(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < ROWS; i++)
        for (const char *p = rows[i].names; (p = strstr(p, name)); p += len)
            if ((p == rows[i].names || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
                return true;
    return false;
}

/* ---- the tests ------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    memset(huge, 'x', sizeof huge - 1);
    orch = host_open("memory:", NULL);
    engine = orch_v2_local_engine(orch);
    host_define(orch, NOOP);
    host_define(orch, "{'id':'kept','version':'1.0.0','steps':[{'id':'a','executor':'kept'}]}");
    HOST_OK(orch_v2_start_workflow(orch, "kept", NULL, 0, NULL, &execution, &err));
    HOST_OK(orch_engine_next_task(engine, "kept", HOST_PATIENCE_MS, &task, &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    orch_task_complete(task, NULL, 0, NULL);
    orch_execution_free(execution);
    orch_v2_free(orch);
    return 0;
}

/* The names of the functions in a header, whose declarations may go over several lines. */
static int check_header(const char *path)
{
    static char text[1 << 18];
    FILE *f = fopen(path, "r");
    size_t len = f ? fread(text, 1, sizeof text - 1, f) : 0;
    int count = 0;

    assert_true(len > 0 && len < sizeof text - 1);
    fclose(f);
    text[len] = '\0';
    for (char *p = text; (p = strstr(p, "\nORCH_API ")); p++) {
        char *end = strchr(p, '('), *name = end, last;

        while (name[-1] != ' ' && name[-1] != '*' && name[-1] != '\n')
            name--;
        last = *end;
        *end = '\0';
        if (!has_row(name))
            fail_msg("%s: %s has no row in this test", path, name);
        *end = last;
        count++;
    }
    return count;
}

static void every_function_has_a_row(void **state)
{
    DIR *d = opendir("include/orch");
    const struct dirent *entry;
    int count = 0;

    (void)state;
    if (!d) {
        fail_msg("include/orch cannot be read: run this at the top of the tree");
        return;
    }
    while ((entry = readdir(d))) {
        char path[300];

        if (!strstr(entry->d_name, ".h"))
            continue;
        snprintf(path, sizeof path, "include/orch/%s", entry->d_name);
        count += check_header(path);
    }
    closedir(d);
    assert_true(count > 90);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++)
        rows[i].bad();
    assert_string_equal(host_execute(orch, "noop", NULL, NULL, 0),
                        "succeeded"); /* nothing is broken */
}

enum place { IN_STOPPED, IN_FORKED, IN_DISPATCH, IN_LOG };

static int32_t answer_in(const struct row *row, enum place place)
{
    switch (place) {
    case IN_STOPPED: return row->stopped;
    case IN_FORKED: return row->forked;
    case IN_DISPATCH: return row->dispatch;
    default: return row->log;
    }
}

/* The number of the first row that answers otherwise than it says, from 1; 0 = none. */
static int call_rightly(enum place place)
{
    for (size_t i = 0; i < ROWS; i++) {
        int32_t expected = answer_in(&rows[i], place), rc;

        if (!rows[i].good)
            continue;
        rc = rows[i].good();
        if (rc == expected)
            continue;
        fprintf(stderr, "%s: %s; expected %s\n", rows[i].names, orch_code_name(rc),
                orch_code_name(expected));
        return (int)i + 1;
    }
    return 0;
}

static void after_stop(void **state)
{
    (void)state;
    assert_true(orch_v2_fd(orch) >= 0);
    HOST_FAILS(orch_v2_stop(orch, 0, &err), ORCH_E_DEADLINE_EXCEEDED,
               "/a is"); /* the task is open */
    HOST_OK(orch_task_complete(task, NULL, 0, &err));
    HOST_OK(orch_v2_stop(orch, HOST_PATIENCE_MS, &err));
    assert_int_equal(call_rightly(IN_STOPPED), 0);
    orch_execution_free(execution);
    orch_v2_free(orch);
}

static void in_a_forked_child(void **state)
{
    int status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(call_rightly(IN_FORKED));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int found;
static latch called = LATCH_INIT;

static void call_in_dispatch(void *user_data, orch_response *response)
{
    (void)user_data;
    orch_response_free(response);
    found = call_rightly(IN_DISPATCH);
    latch_add(&called);
}

static void inside_a_callback_of_dispatch(void **state)
{
    struct pollfd p = {.fd = orch_v2_fd(orch), .events = POLLIN};
    int before = latch_count(&called);

    (void)state;
    HOST_OK(orch_v2_start_workflow_async(orch, "noop", NULL, 0, NULL, NULL, call_in_dispatch, NULL,
                                         NULL, &err));
    while (latch_count(&called) == before) {
        assert_int_equal(poll(&p, 1, HOST_PATIENCE_MS), 1);
        assert_true(orch_v2_dispatch(orch) >= 0);
    }
    assert_int_equal(found, 0);
}

static void call_in_log(void *user_data, int32_t level, const char *message)
{
    (void)user_data;
    (void)level;
    (void)message;
    found = call_rightly(IN_LOG);
    latch_add(&called);
}

/* A step whose executor is not there is worth a line, on the loop thread. */
static void inside_a_log_callback(void **state)
{
    int before = latch_count(&called);

    (void)state;
    assert_true(orch_v2_fd(orch) >= 0);
    host_define(orch, "{'id':'lost','version':'1.0.0','steps':[{'id':'a','executor':'lost'}]}");
    assert_int_equal(orch_v2_set_log(orch, call_in_log, NULL, NULL, ORCH_LOG_WARNING), 0);
    HOST_OK(orch_v2_start_workflow(orch, "lost", NULL, 0, NULL, NULL, &err));
    latch_wait(&called, before + 1);
    assert_int_equal(found, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_has_a_row),
        cmocka_unit_test_setup_teardown(bad_arguments_are_refused, set_up, tear_down),
        cmocka_unit_test_setup(after_stop, set_up),
        cmocka_unit_test_setup_teardown(in_a_forked_child, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inside_a_callback_of_dispatch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inside_a_log_callback, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
