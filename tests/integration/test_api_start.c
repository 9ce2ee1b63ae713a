/* Goal: the options of a start do what they say: keys make several starts one, times put it off, priorities and attributes stay with it. */
#include "support/api_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char GATED[] =
    "{'id':'gated','version':'1.0.0','steps':[{'id':'a','executor':'gate','with':{'x':1}}]}";
static const char OTHER[] =
    "{'id':'other','version':'1.0.0','steps':[{'id':'a','executor':'gate','with':{'x':1}}]}";
static const char TYPED[] =
    "{'id':'typed','version':'1.0.0','timeout':'1h','inputs':{'n':'integer'},"
    "'steps':[{'id':'a','executor':'noop'}]}";

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

static orch_response *get(orch_v2 *o, const char *id)
{
    orch_response *r = NULL;

    HOST_OK(orch_v2_get_execution(o, id, &r, &err));
    return r;
}

/* ---- keys ------------------------------------------------------------------------------------------------ */

static orch_start_options *with_key(const char *id, const char *key, int32_t policy, int64_t ttl_ms)
{
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    assert_int_equal(orch_start_options_set_start_key(options, key, policy, ttl_ms), 0);
    return options;
}

/* Frees the options. */
static orch_execution *start(orch_v2 *o, const char *workflow, orch_start_options *options)
{
    orch_execution *e = NULL;

    HOST_OK(orch_v2_start_workflow(o, workflow, NULL, 0, options, &e, &err));
    orch_start_options_free(options);
    return e;
}

static void assert_handle(orch_execution *e, const char *id, int existed)
{
    assert_string_equal(orch_execution_id(e), id);
    assert_int_equal(orch_execution_existed(e), existed);
    orch_execution_free(e);
}

static void a_key_makes_two_starts_one(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "key.db", room), &gate);
    orch_start_options *options = with_key("second", "k", ORCH_START_KEY_RETURN, 0);
    orch_execution *e;
    orch_response *r = NULL;

    assert_handle(start(o, "gated", with_key("first", "k", ORCH_START_KEY_RETURN, 0)), "first", 0);
    e = start(o, "gated", with_key("second", "k", ORCH_START_KEY_RETURN, 0));
    HOST_FAILS(orch_execution_wait(e, 0, &r, &err), ORCH_E_DEADLINE_EXCEEDED, "'first'");
    latch_open(&gate);
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err)); /* it is that one's end */
    assert_string_equal(orch_response_id(r), "first");
    orch_response_free(r);
    assert_handle(e, "first", 1);
    /* Once it has ended too, by either way of starting. */
    assert_handle(start(o, "gated", with_key(NULL, "k", ORCH_START_KEY_RETURN, 0)), "first", 1);
    HOST_OK(orch_v2_execute_workflow(o, "gated", NULL, 0, options, &r, &err));
    assert_string_equal(orch_response_id(r), "first");
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    orch_response_free(r);
    orch_start_options_free(options);
    assert_int_equal(latch_count(&gate), 1);
    host_close(o);
}

static void made_ids_are_given_too(void **state)
{
    char room[200], id[40];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "made.db", room), &gate);
    orch_execution *e = start(o, "gated", with_key(NULL, "k", ORCH_START_KEY_RETURN, 0));

    snprintf(id, sizeof id, "%s", orch_execution_id(e));
    assert_handle(start(o, "gated", with_key("chosen", "k", ORCH_START_KEY_RETURN, 0)), id, 1);
    orch_execution_free(e);
    latch_open(&gate);
    host_await_state(o, id, ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

static void a_key_may_refuse(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "refuse.db", room), &gate);
    orch_start_options *options = with_key("second", "k", ORCH_START_KEY_REFUSE, 0);
    orch_execution *e = NULL;

    assert_handle(start(o, "gated", with_key("first", "k", ORCH_START_KEY_REFUSE, 0)), "first", 0);
    HOST_FAILS(orch_v2_start_workflow(o, "gated", NULL, 0, options, &e, &err),
               ORCH_E_ALREADY_EXISTS, "the start key 'k' of workflow 'gated' was used before");
    assert_null(e);
    assert_handle(start(o, "other", options), "second", 0); /* keys of workflows do not meet */
    latch_open(&gate);
    host_await_state(o, "first", ORCH_EXECUTION_SUCCEEDED);
    host_await_state(o, "second", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

static void a_key_may_start_anew(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "anew.db", room), &gate);

    assert_handle(start(o, "gated", with_key("one", "k", ORCH_START_KEY_ANEW, 0)), "one", 0);
    assert_handle(start(o, "gated", with_key("two", "k", ORCH_START_KEY_ANEW, 0)), "one", 1);
    latch_open(&gate);
    host_await_state(o, "one", ORCH_EXECUTION_SUCCEEDED);
    assert_handle(start(o, "gated", with_key("two", "k", ORCH_START_KEY_ANEW, 0)), "two", 0);
    assert_handle(start(o, "gated", with_key("three", "k", ORCH_START_KEY_RETURN, 0)), "two", 1);
    host_await_state(o, "two", ORCH_EXECUTION_SUCCEEDED);
    host_close(o);
}

static void a_key_expires(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "expires.db", room), &gate);
    bool existed = true;

    latch_open(&gate);
    assert_handle(start(o, "gated", with_key("one", "k", ORCH_START_KEY_RETURN, 5)), "one", 0);
    while (existed) {
        orch_execution *e = start(o, "gated", with_key(NULL, "k", ORCH_START_KEY_RETURN, 5));

        existed = orch_execution_existed(e);
        orch_execution_free(e);
    }
    host_close(o);
}

typedef struct told {
    latch called;
    char id[40];
    int existed;
} told;

static void on_start(void *user_data, orch_execution *execution, orch_error *error)
{
    told *t = user_data;

    assert_null(error);
    snprintf(t->id, sizeof t->id, "%s", orch_execution_id(execution));
    t->existed = orch_execution_existed(execution);
    orch_execution_free(execution);
    latch_add(&t->called);
}

static void on_end(void *user_data, orch_response *response)
{
    told *t = user_data;

    assert_string_equal(orch_response_id(response), t->id);
    orch_response_free(response);
    latch_add(&t->called);
}

static void who_does_not_block_is_told_too(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "async.db", room), &gate);
    orch_start_options *options = with_key("second", "k", ORCH_START_KEY_RETURN, 0);
    told t = {LATCH_INIT, "", 0};

    assert_handle(start(o, "gated", with_key("first", "k", ORCH_START_KEY_RETURN, 0)), "first", 0);
    HOST_OK(orch_v2_start_workflow_async(o, "gated", NULL, 0, options, on_start, on_end, &t, NULL,
                                         &err));
    orch_start_options_free(options);
    latch_wait(&t.called, 1);
    assert_string_equal(t.id, "first");
    assert_int_equal(t.existed, 1);
    latch_open(&gate);
    latch_wait(&t.called, 2);
    host_close(o);
}

static void keys_are_found(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "found.db", room), &gate);
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;

    latch_open(&gate);
    assert_handle(start(o, "gated", with_key("one", "k", ORCH_START_KEY_RETURN, 0)), "one", 0);
    assert_handle(start(o, "gated", with_key("two", "l", ORCH_START_KEY_RETURN, 0)), "two", 0);
    HOST_OK(orch_filter_set(f, "workflow", "gated", &err));
    HOST_OK(orch_filter_set(f, "start_key", "l", &err));
    HOST_OK(orch_v2_list_executions(o, f, &l, &err));
    assert_int_equal(orch_execution_list_count(l), 1);
    assert_string_equal(orch_response_id(orch_execution_list_get(l, 0)), "two");
    orch_execution_list_free(l);
    orch_filter_free(f);
    host_close(o);
}

/* ---- later ----------------------------------------------------------------------------------------------- */

#define HOUR_MS (3600LL * 1000)

static void a_start_waits_for_its_time(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "later.db", room), &gate);
    orch_start_options *options = orch_start_options_new();
    orch_response *r;

    host_define(o, TYPED);
    assert_int_equal(orch_start_options_set_id(options, "later"), 0);
    assert_int_equal(orch_start_options_set_start_at(options, 5), 0);
    assert_int_equal(orch_start_options_set_delay(options, 2 * HOUR_MS), 0); /* replaces it */
    HOST_OK(orch_v2_start_workflow(o, "typed", "{\"n\":1}", 7, options, NULL, &err));
    r = get(o, "later");
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUSPENDED);
    assert_int_equal(orch_response_wake_ms(r), orch_response_accepted_ms(r) + 2 * HOUR_MS);
    /* The hour that it has counts from then. */
    assert_int_equal(orch_response_deadline_ms(r), orch_response_accepted_ms(r) + 3 * HOUR_MS);
    orch_response_free(r);
    HOST_OK(orch_v2_cancel(o, "later", NULL, &err));
    host_await_state(o, "later", ORCH_EXECUTION_CANCELLED);
    assert_int_equal(orch_start_options_set_id(options, "passed"), 0);
    assert_int_equal(orch_start_options_set_start_at(options, 5), 0);
    HOST_OK(orch_v2_start_workflow(o, "typed", "{\"n\":1}", 7, options, NULL, &err));
    host_await_state(o, "passed", ORCH_EXECUTION_SUCCEEDED);
    orch_start_options_free(options);
    host_close(o);
}

static void a_delay_passes(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "delay.db", room), &gate);
    orch_start_options *options = orch_start_options_new();
    orch_response *r = NULL;

    latch_open(&gate);
    assert_int_equal(orch_start_options_set_delay(options, 30), 0);
    HOST_OK(orch_v2_execute_workflow(o, "gated", NULL, 0, options, &r, &err));
    assert_true(orch_response_ended_ms(r) - orch_response_accepted_ms(r) >= 30);
    orch_response_free(r);
    orch_start_options_free(options);
    host_close(o);
}

/* ---- order ----------------------------------------------------------------------------------------------- */

typedef struct order {
    latch gate;
    char text[200];
} order;

/* One at a time. */
static void note(void *user_data, orch_task *task)
{
    order *n = user_data;

    latch_add(&n->gate);
    latch_pass(&n->gate);
    strcat(n->text, orch_task_execution(task));
    strcat(n->text, " ");
    orch_task_complete(task, NULL, 0, NULL);
}

static void start_with(orch_v2 *o, const char *id, int32_t priority)
{
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    if (priority >= 0)
        assert_int_equal(orch_start_options_set_priority(options, priority), 0);
    orch_execution_free(start(o, "noted", options));
}

static void higher_priorities_go_first(void **state)
{
    char room[200];
    order n = {LATCH_INIT, ""};
    orch_v2 *o = host_open(store_url(state, "priority.db", room), "LOCAL_CAPACITY", "1", NULL);
    orch_response *r;

    HOST_OK(orch_engine_register_executor(orch_v2_local_engine(o), "note", note, &n, NULL, &err));
    host_define(o, "{'id':'noted','version':'1.0.0','steps':[{'id':'a','executor':'note'}]}");
    start_with(o, "first", -1);
    latch_wait(&n.gate, 1);
    start_with(o, "low", 0);
    start_with(o, "plain", -1);
    start_with(o, "high", 9);
    r = get(o, "high");
    assert_int_equal(orch_response_priority(r), 9);
    orch_response_free(r);
    r = get(o, "low");
    assert_int_equal(orch_response_priority(r), 0);
    orch_response_free(r);
    latch_open(&n.gate);
    host_await_state(o, "low", ORCH_EXECUTION_SUCCEEDED);
    assert_string_equal(n.text, "first high plain low ");
    host_close(o);
}

/* ---- attributes ------------------------------------------------------------------------------------------ */

static orch_execution *start_with_attributes(orch_v2 *o, const char *id, const char *attributes)
{
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    HOST_OK(orch_start_options_set_attributes(options, attributes, strlen(attributes), &err));
    return start(o, "gated", options);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The ids that pass, in the order of the alphabet (in one millisecond of acceptance they have none), with a space behind each. */
static const char *ids(orch_v2 *o, const char *value)
{
    static char text[200];
    const char *found[10];
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;
    size_t count;

    HOST_OK(orch_filter_set(f, "attribute", value, &err));
    HOST_OK(orch_v2_list_executions(o, f, &l, &err));
    count = orch_execution_list_count(l);
    assert_true(count <= 10);
    for (size_t i = 0; i < count; i++)
        found[i] = orch_response_id(orch_execution_list_get(l, i));
    qsort(found, count, sizeof *found, by_text);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        strcat(text, found[i]);
        strcat(text, " ");
    }
    orch_execution_list_free(l);
    orch_filter_free(f);
    return text;
}

static void attributes_are_found(void **state)
{
    char room[200];
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated(store_url(state, "attributes.db", room), &gate);
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;
    orch_response *r;

    latch_open(&gate);
    orch_execution_free(
        start_with_attributes(o, "one", "{ \"tenant\" : \"acme\", \"n\": 1.50, \"eu\": true}"));
    orch_execution_free(start_with_attributes(o, "two", "{\"tenant\":\"acme\",\"n\":2}"));
    orch_execution_free(start_with_attributes(o, "three", "{\"tenant\":\"a=b\",\"eu\":false}"));
    assert_string_equal(ids(o, "tenant=\"acme\""), "one two ");
    assert_string_equal(ids(o, "tenant=\"a=b\""), "three ");
    assert_string_equal(ids(o, "tenant=1"), "");
    assert_string_equal(ids(o, "n=1.5"), "one ");
    assert_string_equal(ids(o, "n= 2 "), "two ");
    assert_string_equal(ids(o, "eu=true"), "one ");
    r = get(o, "one");
    assert_string_equal(orch_response_attributes(r, NULL),
                        "{\"eu\":true,\"n\":1.5,\"tenant\":\"acme\"}");
    orch_response_free(r);
    HOST_OK(orch_filter_set(f, "attribute", "n=2", &err));
    HOST_OK(orch_v2_list_executions(o, f, &l, &err)); /* in lists without payloads too */
    assert_string_equal(orch_response_attributes(orch_execution_list_get(l, 0), NULL),
                        "{\"n\":2,\"tenant\":\"acme\"}");
    orch_execution_list_free(l);
    orch_filter_free(f);
    host_close(o);
}

/* ---- declared inputs ------------------------------------------------------------------------------------- */

static void inputs_are_what_is_declared(void **state)
{
    latch gate = LATCH_INIT;
    orch_v2 *o = open_gated("memory:", &gate);

    (void)state;
    host_define(o, TYPED);
    HOST_FAILS(orch_v2_start_workflow(o, "typed", "{\"n\":\"x\"}", 9, NULL, NULL, &err),
               ORCH_E_INVALID_ARGUMENT, "n");
    HOST_FAILS(orch_v2_start_workflow(o, "typed", NULL, 0, NULL, NULL, &err),
               ORCH_E_INVALID_ARGUMENT, "n");
    HOST_OK(orch_v2_start_workflow(o, "typed", "{\"n\":3}", 7, NULL, NULL, &err));
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
        ON_BOTH(a_key_makes_two_starts_one),
        ON_BOTH(made_ids_are_given_too),
        ON_BOTH(a_key_may_refuse),
        ON_BOTH(a_key_may_start_anew),
        ON_BOTH(a_key_expires),
        ON_BOTH(who_does_not_block_is_told_too),
        ON_BOTH(keys_are_found),
        ON_BOTH(a_start_waits_for_its_time),
        ON_BOTH(a_delay_passes),
        ON_BOTH(higher_priorities_go_first),
        ON_BOTH(attributes_are_found),
        cmocka_unit_test(inputs_are_what_is_declared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
