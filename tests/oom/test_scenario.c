/* Goal: whichever allocation fails, in a life of an orchestrator with nearly all that there is in it, each call answers RESOURCE_EXHAUSTED at the
 * most, and succeeds when it is made again; all that was accepted comes to its end, by itself or, where the failure has ended it, by a
 * retry; and what is stored is whole for the next opening. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/oom.h"

#define HOUR (3600 * 1000LL)

static const char *const definitions[] = {
    "{'id':'child','version':'1.0.0','steps':[{'id':'a','executor':'noop','with':'${input.n}'}]}",
    "{'id':'order','version':'1.0.0','steps':["
    "{'id':'each','executor':'flaky','for_each':'${input.items}','with':'${item}',"
    "'retry':{'max_attempts':4,'initial_interval':'10s'}},"
    "{'id':'sum','executor':'lua','depends_on':['each'],'when':'#steps.each.output > 0','with':{'code':"
    "'local n = 0 for _, x in ipairs(steps.each.output) do n = n + x end return n'}},"
    "{'id':'nap','executor':'wait','depends_on':['sum'],'with':{'duration':'1h'}},"
    "{'id':'sub','executor':'workflow','depends_on':['nap'],'with':{'workflow':'child','inputs':{'n':1}}},"
    "{'id':'ok','executor':'wait','depends_on':['sub'],'with':{'signal':'go','timeout':'9h'}}],"
    "'output':'${steps.sum.output}'}",
    "{'id':'saga','version':'1.0.0','steps':["
    "{'id':'book','executor':'echo','with':{'room':7},'compensate':{'executor':'echo','with':'${output}'}},"
    "{'id':'pay','executor':'breaks','depends_on':['book']}]}",
};

/* With memory it has to succeed, now as before. */
#define AGAIN(call)                                                                      \
    do {                                                                                 \
        int32_t host_rc = (call);                                                        \
        for (int tried = 1; oom_again(host_rc, tried); tried++)                          \
            host_rc = (call);                                                            \
        if (host_rc)                                                                     \
            fail_msg("allocation %ld: %s: %s", failing, #call, orch_code_name(host_rc)); \
    } while (0)

static long failing;
static char path[200], copy[220];

/* ---- codec and executors ----------------------------------------------------------------------------------- */

static int32_t turn(void *user_data, const void *data, size_t len, void **out, size_t *out_len)
{
    char *turned = malloc(len ? len : 1);

    (void)user_data;
    if (!turned)
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < len; i++)
        turned[i] = (char)(((const char *)data)[i] ^ 0x55);
    *out = turned;
    *out_len = len;
    return 0;
}

static void release(void *user_data, void *data)
{
    (void)user_data;
    free(data);
}

static const orch_codec codec = {sizeof codec, "turned", turn, turn, release};

static void flaky(void *user_data, orch_task *t)
{
    if (orch_task_attempt(t) == 1)
        orch_task_fail(t, ORCH_E_UNAVAILABLE, 1, "not yet");
    else
        host_echo(user_data, t);
}

static void breaks(void *user_data, orch_task *t)
{
    (void)user_data;
    orch_task_fail(t, ORCH_E_ABORTED, 0, "it does");
}

/* ---- opening ----------------------------------------------------------------------------------------------- */

static int32_t configure(orch_config *c, const char *url)
{
    int32_t rc = orch_config_set(c, "STORE_URL", url, NULL);

    if (!rc)
        rc = orch_config_set(c, "RETENTION_AGE", "6h", NULL);
    if (!rc)
        rc = orch_config_set(c, "SUSPEND_AFTER", "10ms", NULL);
    return rc ? rc : orch_config_set_codec(c, &codec, NULL, NULL, NULL);
}

static int32_t try_open(const char *url, int64_t start_ms, orch_v2 **out)
{
    orch_config *c = orch_config_new();
    orch_error *error = NULL;
    int32_t rc = c ? configure(c, url) : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc) {
        *out = orch_testing_new(c, start_ms, &error);
        rc = *out ? 0 : orch_error_code(error);
    }
    orch_error_free(error);
    orch_config_free(c);
    return rc;
}

static void define_all(orch_v2 *o)
{
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++) {
        char text[1200];

        snprintf(text, sizeof text, "%s", definitions[i]);
        for (char *p = text; *p; p++)
            *p = *p == '\'' ? '"' : *p;
        AGAIN(orch_v2_register_definition(o, text, strlen(text), NULL));
    }
}

static orch_v2 *open_it(int64_t start_ms)
{
    orch_v2 *o = NULL;
    char url[220];

    snprintf(url, sizeof url, "sqlite:%s", path);
    AGAIN(try_open(url, start_ms, &o));
    orch_engine *e = orch_v2_local_engine(o);

    AGAIN(orch_engine_register_executor(e, "echo", host_echo, NULL, NULL, NULL));
    AGAIN(orch_engine_register_executor(e, "flaky", flaky, NULL, NULL, NULL));
    AGAIN(orch_engine_register_executor(e, "breaks", breaks, NULL, NULL, NULL));
    define_all(o);
    return o;
}

/* ---- executions -------------------------------------------------------------------------------------------- */

static int32_t try_start(orch_v2 *o, const char *workflow, const char *inputs)
{
    orch_start_options *s = orch_start_options_new();
    int32_t rc = s ? orch_start_options_set_id(s, workflow) : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_start_options_set_start_key(s, workflow, ORCH_START_KEY_RETURN, 0);
    if (!rc)
        rc = orch_start_options_set_attributes(s, "{\"kind\":\"test\"}", 15, NULL);
    if (!rc)
        rc = orch_v2_start_workflow(o, workflow, inputs, strlen(inputs), s, NULL, NULL);
    orch_start_options_free(s);
    return rc;
}

static int32_t try_wait(orch_v2 *o, const char *id, orch_response **out)
{
    orch_execution *e = NULL;
    int32_t rc = orch_v2_find_execution(o, id, &e, NULL);

    if (!rc)
        rc = orch_execution_wait(e, HOST_PATIENCE_MS, out, NULL);
    if (!rc && orch_response_codec_status(*out)) { /* what it says could not be decoded */
        rc = orch_response_codec_status(*out);
        orch_response_free(*out);
    }
    orch_execution_free(e);
    return rc;
}

static bool ran_out(const orch_response *r)
{
    const char *error = orch_response_error(r, NULL);

    return orch_response_state(r) == ORCH_EXECUTION_FAILED && error &&
           strstr(error, "RESOURCE_EXHAUSTED");
}

static int32_t send_go(orch_v2 *o)
{
    int32_t rc = orch_v2_signal(o, "order", "go", "{\"by\":\"me\"}", 11, NULL, NULL, NULL);

    return rc == ORCH_E_FAILED_PRECONDITION ? 0 : rc; /* it has run out */
}

/* The end of an execution; where it ran out of memory, that of its retry. */
static void expect_end(orch_v2 *o, const char *id, int32_t state, const char *piece)
{
    orch_response *r = NULL;
    const char *text;

    AGAIN(try_wait(o, id, &r));
    if (ran_out(r)) {
        orch_response_free(r);
        AGAIN(orch_v2_retry(o, id, NULL, NULL));
        AGAIN(send_go(o));
        AGAIN(try_wait(o, id, &r));
    }
    text = state == ORCH_EXECUTION_SUCCEEDED ? orch_response_output(r, NULL)
                                             : orch_response_error(r, NULL);
    if (orch_response_state(r) != state || !text || !strstr(text, piece))
        fail_msg("allocation %ld: %s has %s: %s", failing, id,
                 orch_execution_state_name(orch_response_state(r)), text);
    orch_response_free(r);
}

/* ---- looking ----------------------------------------------------------------------------------------------- */

static int32_t try_export(orch_v2 *o, oom_text *t)
{
    oom_text_clear(t);
    return orch_v2_export_execution(o, "order", oom_add_line, t, NULL);
}

static int32_t try_import(orch_v2 *o, const oom_text *t)
{
    orch_error *error = NULL;
    int32_t rc = orch_v2_import_execution(o, t->data, t->len, &error);

    if (rc && rc != ORCH_E_RESOURCE_EXHAUSTED)
        print_error("%s\n%.*s", orch_error_message(error), (int)t->len, t->data);
    orch_error_free(error);
    return rc;
}

static int32_t try_list(orch_v2 *o)
{
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;
    int32_t rc = f ? orch_filter_set(f, "attribute", "kind=\"test\"", NULL)
                   : ORCH_E_RESOURCE_EXHAUSTED;

    if (!rc)
        rc = orch_v2_list_executions(o, f, &l, NULL);
    if (!rc)
        for (size_t i = 0; i < orch_execution_list_count(l) || i < 2; i++)
            if (!orch_execution_list_get(l, i) || i >= 2)
                fail_msg("allocation %ld: %zu executions are there", failing,
                         orch_execution_list_count(l));
    orch_execution_list_free(l);
    orch_filter_free(f);
    return rc;
}

static int32_t try_history(orch_v2 *o)
{
    orch_history *h = NULL;
    int32_t rc = orch_v2_get_history(o, "order", 0, 0, &h, NULL);

    if (!rc)
        assert_true(orch_history_count(h) >= 7);
    orch_history_free(h);
    return rc;
}

static int32_t try_backup(orch_v2 *o)
{
    unlink(copy);
    return orch_v2_backup(o, copy, NULL);
}

/* It says the same in another orchestrator. */
static void move_elsewhere(orch_v2 *o)
{
    oom_text t = {0};
    orch_v2 *other = NULL;

    AGAIN(try_export(o, &t));
    AGAIN(try_open("memory:", 1800000000000 + 3 * HOUR, &other));
    define_all(other);
    AGAIN(try_import(other, &t));
    expect_end(other, "order", ORCH_EXECUTION_SUCCEEDED, "6");
    AGAIN(orch_v2_stop(other, HOST_PATIENCE_MS, NULL));
    orch_v2_free(other);
    oom_text_clear(&t);
}

static int32_t look_for(orch_v2 *o, const char *id)
{
    orch_response *r = NULL;
    int32_t rc = orch_v2_get_execution(o, id, &r, NULL);

    orch_response_free(r);
    return rc;
}

/* Retention takes it, at the latest with the look after the one that failed. */
static int32_t try_gone(orch_v2 *o, const char *id)
{
    int32_t rc = look_for(o, id);

    return rc == ORCH_E_NOT_FOUND ? 0 : rc ? rc : ORCH_E_INTERNAL;
}

/* ---- the life ---------------------------------------------------------------------------------------------- */

static void close_it(orch_v2 *o)
{
    AGAIN(orch_v2_stop(o, HOST_PATIENCE_MS, NULL));
    orch_v2_free(o);
}

/* Nothing that is to wake it waits for a later time that would do so too, such as a timeout. */
static void expect_at_most(orch_v2 *o, int64_t ms)
{
    if (orch_testing_now(o) > 1800000000000 + ms)
        fail_msg("allocation %ld: it took %lld s", failing,
                 (long long)(orch_testing_now(o) - 1800000000000) / 1000);
}

static void live_through(void)
{
    orch_v2 *o = open_it(1800000000000);

    AGAIN(try_start(o, "order", "{\"items\":[1,2,3]}"));
    AGAIN(try_start(o, "saga", "{}"));
    expect_end(o, "saga", ORCH_EXECUTION_FAILED, "ABORTED");
    AGAIN(orch_testing_advance(o, HOUR / 2, NULL));
    close_it(o);

    o = open_it(1800000000000 + 2 * HOUR);
    AGAIN(send_go(o));
    expect_end(o, "order", ORCH_EXECUTION_SUCCEEDED, "6");
    expect_at_most(o, 3 * HOUR + HOUR / 4); /* where its nap is slept again */
    AGAIN(try_list(o));
    AGAIN(try_history(o));
    AGAIN(try_backup(o));
    move_elsewhere(o);
    AGAIN(orch_testing_advance(o, 8 * HOUR, NULL));
    AGAIN(try_gone(o, "order"));
    AGAIN(try_gone(o, "saga"));
    close_it(o);
}

static void forget_files(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    char file[240];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(file, sizeof file, "%s%s", path, ends[i]);
        unlink(file);
    }
    unlink(copy);
}

static void a_life_survives_each_failure(void **state)
{
    char room[200];
    bool more = true;
    long count = 0;

    (void)state;
    snprintf(path, sizeof path, "%s",
             host_sqlite(room, sizeof room, "life.db") + strlen("sqlite:"));
    snprintf(copy, sizeof copy, "%s.copy", path);
    for (failing = oom_from(); more; failing += oom_every(), count++) {
        forget_files();
        oom_begin(failing);
        live_through();
        more = oom_end();
    }
    print_message("%ld failures\n", count - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life_survives_each_failure),
    };

    oom_of_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
