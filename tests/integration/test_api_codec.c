/* Goal: with a codec, nothing of a payload is in the store, everything the host reads is plain, and what cannot be decoded is said to be so
 * instead of failing what can. */
#include "support/api_host.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "attack at dawn"
#define INPUT  "{\"plan\":\"" SECRET "\"}"

static const char PLAN[] =
    "{'id':'plan','version':'1.0.0','inputs':{'plan':'string'},'steps':["
    "{'id':'copy','executor':'lua','with':{'code':'return {plan=input.plan}'}},"
    "{'id':'listen','executor':'wait','depends_on':['copy'],'with':{'signal':'go','timeout':'1h'}},"
    "{'id':'each','executor':'noop','depends_on':['copy'],'for_each':'${array{input.plan}}','with':'${item}'}],"
    "'output':{'plan':'${steps.copy.output.plan}','order':'${steps.listen.output}'}}";
static const char FAILING[] =
    "{'id':'failing','version':'1.0.0','steps':[{'id':'bad','executor':'lua','with':{'code':"
    "'error{code=\\\"ABORTED\\\", message=\\\"it rains\\\", data={plan=input.plan}}'}}]}";

/* Turns every byte round; what `user_data` points to is what decode answers. */
static atomic_int held, freed;

static int32_t turn(const void *data, size_t len, void **out_data, size_t *out_len)
{
    unsigned char *out = malloc(len);

    if (!out)
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)~((const unsigned char *)data)[i];
    *out_data = out;
    *out_len = len;
    atomic_fetch_add(&held, 1);
    return 0;
}

static int32_t encode(void *user_data, const void *plain, size_t len, void **out_data,
                      size_t *out_len)
{
    (void)user_data;
    if (memmem(plain, len, "unspeakable", 11))
        return ORCH_E_PERMISSION_DENIED;
    return turn(plain, len, out_data, out_len);
}

static int32_t decode(void *user_data, const void *encoded, size_t len, void **out_data,
                      size_t *out_len)
{
    int32_t rc = atomic_load((atomic_int *)user_data);

    return rc ? rc : turn(encoded, len, out_data, out_len);
}

static void let_go(void *user_data, void *data)
{
    (void)user_data;
    free(data);
    atomic_fetch_sub(&held, 1);
}

static void count_free(void *user_data)
{
    (void)user_data;
    atomic_fetch_add(&freed, 1);
}

static const orch_codec turned = {sizeof(orch_codec), "turned", encode, decode, let_go};

static atomic_int answer; /* of decode */

static orch_v2 *open_with(const char *url, const orch_codec *codec)
{
    orch_config *c = orch_config_new();
    orch_error *why = NULL;
    orch_v2 *o;

    HOST_OK(orch_config_set(c, "STORE_URL", url, &err));
    HOST_OK(orch_config_set_codec(c, codec, &answer, count_free, &err));
    o = orch_v2_new(c, &why);
    if (!o)
        fail_msg("%s", orch_error_message(why));
    orch_config_free(c);
    return o;
}

static orch_execution *start(orch_v2 *o, const char *workflow)
{
    orch_start_options *options = orch_start_options_new();
    orch_execution *e = NULL;

    assert_int_equal(orch_start_options_set_id(options, workflow), 0);
    HOST_OK(orch_v2_start_workflow(o, workflow, INPUT, strlen(INPUT), options, &e, &err));
    orch_start_options_free(options);
    return e;
}

static orch_response *get(orch_v2 *o, const char *id)
{
    orch_response *r = NULL;

    HOST_OK(orch_v2_get_execution(o, id, &r, &err));
    return r;
}

static void run_plan(orch_v2 *o)
{
    orch_execution *e;
    orch_response *r = NULL;

    host_define(o, PLAN);
    e = start(o, "plan");
    HOST_OK(
        orch_v2_signal(o, "plan", "go", "\"" SECRET "!\"", sizeof SECRET + 2, NULL, NULL, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_string_equal(orch_response_output(r, NULL),
                        "{\"plan\":\"" SECRET "\",\"order\":\"" SECRET "!\"}");
    assert_int_equal(orch_response_codec_status(r), 0);
    orch_response_free(r);
    orch_execution_free(e);
}

static void run_failing(orch_v2 *o)
{
    orch_execution *e;
    orch_response *r = NULL;

    host_define(o, FAILING);
    e = start(o, "failing");
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_FAILED);
    assert_non_null(strstr(orch_response_error(r, NULL), SECRET));
    orch_response_free(r);
    orch_execution_free(e);
}

/* Whether the secret is in a file of the store. */
static bool holds_secret(const char *url)
{
    static const char *const ends[] = {"", "-wal"};
    bool found = false;

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char path[300];
        FILE *f;
        char *data;
        size_t len;

        snprintf(path, sizeof path, "%s%s", url + strlen("sqlite:"), ends[i]);
        f = fopen(path, "rb");
        if (!f)
            continue;
        data = malloc(1 << 24);
        assert_non_null(data);
        len = fread(data, 1, 1 << 24, f);
        found = found || memmem(data, len, SECRET, strlen(SECRET));
        free(data);
        fclose(f);
    }
    return found;
}

static void the_store_holds_nothing_plain(void **state)
{
    char room[200];
    const char *url = host_sqlite(room, sizeof room, "plain.db");
    orch_v2 *o = open_with(url, NULL);

    (void)state;
    run_plan(o);
    host_close(o);
    assert_true(holds_secret(url)); /* so that the test can fail */
    url = host_sqlite(room, sizeof room, "encoded.db");
    o = open_with(url, &turned);
    run_plan(o);
    run_failing(o);
    host_close(o);
    assert_false(holds_secret(url));
    assert_int_equal(atomic_load(&held), 0);
}

static void whatever_is_read_is_plain(void **state)
{
    char room[200];
    orch_v2 *o = open_with(*state ? host_sqlite(room, sizeof room, "read.db") : "memory:", &turned);
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;
    orch_history *h = NULL;
    orch_steps *s = NULL;
    orch_response *r;

    run_plan(o);
    r = get(o, "plan");
    assert_string_equal(orch_response_input(r, NULL), INPUT);
    orch_response_free(r);
    HOST_OK(orch_filter_set(f, "payloads", "true", &err));
    HOST_OK(orch_v2_list_executions(o, f, &l, &err));
    assert_string_equal(orch_response_input(orch_execution_list_get(l, 0), NULL), INPUT);
    orch_execution_list_free(l);
    orch_filter_free(f);
    HOST_OK(orch_v2_get_history(o, "plan", 0, 0, &h, &err));
    assert_string_equal(orch_history_step(h, 0), "copy");
    assert_string_equal(orch_history_output(h, 0, NULL), "{\"plan\":\"" SECRET "\"}");
    assert_int_equal(orch_history_codec_status(h), 0);
    orch_history_free(h);
    HOST_OK(orch_v2_get_steps(o, "plan", 0, NULL, 0, 0, &s, &err));
    assert_string_equal(orch_steps_output(s, 1, NULL), "\"" SECRET "!\"");
    assert_int_equal(orch_steps_items(s, 2), 1);
    assert_int_equal(orch_steps_codec_status(s), 0);
    orch_steps_free(s);
    host_close(o);
}

static void declared_inputs_are_checked_before_they_are_encoded(void **state)
{
    orch_v2 *o = open_with("memory:", &turned);

    (void)state;
    host_define(o, PLAN);
    HOST_FAILS(orch_v2_start_workflow(o, "plan", "{\"plan\":7}", 10, NULL, NULL, &err),
               ORCH_E_INVALID_ARGUMENT, "plan");
    HOST_FAILS(orch_v2_start_workflow(o, "plan", NULL, 0, NULL, NULL, &err),
               ORCH_E_INVALID_ARGUMENT, "plan");
    host_close(o);
}

static void what_cannot_be_encoded_is_refused(void **state)
{
    static const char input[] = "{\"plan\":\"unspeakable\"}";
    orch_v2 *o = open_with("memory:", &turned);

    (void)state;
    host_define(o, PLAN);
    HOST_FAILS(orch_v2_start_workflow(o, "plan", input, strlen(input), NULL, NULL, &err),
               ORCH_E_PERMISSION_DENIED, "codec turned: a payload cannot be encoded");
    orch_execution_free(start(o, "plan"));
    HOST_FAILS(orch_v2_signal(o, "plan", "go", "\"unspeakable\"", 13, NULL, NULL, &err),
               ORCH_E_PERMISSION_DENIED, "codec turned");
    HOST_OK(orch_v2_terminate(o, "plan", NULL, &err));
    host_close(o);
}

static void assert_undecoded(orch_v2 *o, int32_t status)
{
    orch_history *h = NULL;
    orch_response *r = get(o, "plan");

    assert_int_equal(orch_response_codec_status(r), status);
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    assert_non_null(strstr(orch_response_output(r, NULL), "{\"$encoded\":\""));
    orch_response_free(r);
    r = get(o, "failing");
    assert_int_equal(orch_response_codec_status(r), status);
    assert_non_null(strstr(orch_response_error(r, NULL), "it rains"));
    assert_null(strstr(orch_response_error(r, NULL), SECRET));
    orch_response_free(r);
    HOST_OK(orch_v2_get_history(o, "plan", 0, 0, &h, &err));
    assert_int_equal(orch_history_codec_status(h), status);
    assert_non_null(strstr(orch_history_output(h, 0, NULL), "{\"$encoded\":\""));
    orch_history_free(h);
}

static void what_cannot_be_decoded_is_left_and_said(void **state)
{
    char room[200];
    const char *url = host_sqlite(room, sizeof room, "lost.db");
    orch_v2 *o = open_with(url, &turned);
    orch_steps *s = NULL;

    (void)state;
    run_plan(o);
    run_failing(o);
    atomic_store(&answer, ORCH_E_UNAVAILABLE);
    assert_undecoded(o, ORCH_E_UNAVAILABLE);
    atomic_store(&answer, ORCH_E_DATA_LOSS);
    assert_undecoded(o, ORCH_E_DATA_LOSS);
    atomic_store(&answer, 0);
    host_close(o);
    o = open_with(url, NULL);
    assert_undecoded(o, ORCH_E_UNAVAILABLE);
    HOST_OK(orch_v2_get_steps(o, "plan", 0, NULL, 0, 0, &s, &err));
    assert_int_equal(orch_steps_codec_status(s), ORCH_E_UNAVAILABLE);
    assert_int_equal(orch_steps_state(s, 2), ORCH_STEP_SUCCEEDED);
    assert_int_equal(orch_steps_items(s, 2), 0);
    orch_steps_free(s);
    host_close(o);
}

static void it_is_freed_after_its_last_user(void **state)
{
    orch_config *c = orch_config_new();
    orch_execution *e;
    orch_v2 *o;
    int before = atomic_load(&freed);

    (void)state;
    HOST_OK(orch_config_set_codec(c, &turned, &answer, count_free, &err));
    HOST_OK(orch_config_set_codec(c, &turned, &answer, count_free, &err)); /* the first one goes */
    assert_int_equal(atomic_load(&freed), before + 1);
    orch_config_free(c);
    assert_int_equal(atomic_load(&freed), before + 2);
    o = open_with("memory:", &turned);
    assert_int_equal(atomic_load(&freed), before + 2);
    host_define(o, FAILING);
    e = start(o, "failing");
    host_close(o);
    assert_int_equal(atomic_load(&freed), before + 2); /* the handle may have something to decode */
    orch_execution_free(e);
    assert_int_equal(atomic_load(&freed), before + 3);
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
        cmocka_unit_test(the_store_holds_nothing_plain),
        ON_BOTH(whatever_is_read_is_plain),
        cmocka_unit_test(declared_inputs_are_checked_before_they_are_encoded),
        cmocka_unit_test(what_cannot_be_encoded_is_refused),
        cmocka_unit_test(what_cannot_be_decoded_is_left_and_said),
        cmocka_unit_test(it_is_freed_after_its_last_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
