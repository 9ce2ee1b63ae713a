/* Goal: engines made by hand run what one orchestrator accepts: several of them on its one loop, each with executors and secrets of its own,
 * whichever is made, registered and freed first. */
#include "support/api_host.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define MANY 40

static const char WHO[] = "{'id':'who','version':'1.0.0','steps':[{'id':'a','executor':'who'}],"
                          "'output':'${steps.a.output}'}";
static const char SECRET[] =
    "{'id':'secret','version':'1.0.0','steps':[{'id':'a','executor':'who','with':'${secrets.s}'}],"
    "'output':'${steps.a.output}'}";

static orch_v1 *open_v1(const char *url)
{
    orch_config *c = orch_config_new();
    orch_error *why = NULL;
    orch_v1 *o;

    HOST_OK(orch_config_set(c, "STORE_URL", url, &err));
    o = orch_new(c, &why);
    if (!o)
        fail_msg("%s", orch_error_message(why));
    orch_config_free(c);
    return o;
}

static orch_engine *engine_named(const char *name)
{
    orch_config *c = orch_config_new();
    orch_engine *e;

    HOST_OK(orch_config_set(c, "ENGINE_ID", name, &err));
    e = orch_engine_new(c, NULL);
    assert_non_null(e);
    orch_config_free(c);
    return e;
}

/* Answers with the engine's name, which is its user_data. */
static void who(void *user_data, orch_task *task)
{
    char output[40];

    snprintf(output, sizeof output, "\"%s\"", (const char *)user_data);
    orch_task_complete(task, output, strlen(output), NULL);
}

static atomic_int freed;

static void count_free(void *user_data)
{
    (void)user_data;
    atomic_fetch_add(&freed, 1);
}

static orch_engine *engine_who(char *name)
{
    orch_engine *e = engine_named(name);

    HOST_OK(orch_engine_register_executor(e, "who", who, name, count_free, &err));
    return e;
}

static void execute_who(orch_v1 *o, char output[40])
{
    orch_response *r = NULL;

    HOST_OK(orch_execute_workflow(o, "who", NULL, 0, NULL, &r, &err));
    snprintf(output, 40, "%s", orch_response_output(r, NULL));
    orch_response_free(r);
}

static int32_t build_who(orch_builder *b, void *user_data, orch_error **err)
{
    (void)user_data;
    (void)err;
    orch_builder_step(b, "a", "who", NULL);
    return orch_builder_set(b, "output", "\"${steps.a.output}\"");
}

static const char *store_url(void **state, const char *name, char room[200])
{
    return *state ? host_sqlite(room, 200, name) : "memory:";
}

static void several_engines_share_the_work(void **state)
{
    char room[200], one[] = "one", two[] = "two", output[40];
    orch_v1 *o = open_v1(store_url(state, "share.db", room));
    orch_engine *first = engine_who(one), *second = engine_who(two);
    int ones = 0, twos = 0;

    HOST_OK(orch_register_engine(o, first, &err));
    HOST_OK(orch_register_engine(o, second, &err));
    HOST_OK(orch_register_workflow(o, "who", "1.0.0", build_who, NULL, NULL, NULL, 0, &err));
    for (int i = 0; i < MANY; i++) {
        execute_who(o, output);
        ones += !strcmp(output, "\"one\"");
        twos += !strcmp(output, "\"two\"");
    }
    assert_int_equal(ones + twos, MANY);
    assert_true(ones > 0);
    assert_true(twos > 0);
    orch_engine_free(first); /* the engine itself goes on */
    execute_who(o, output);
    execute_who(o, output);
    orch_free(o);
    orch_engine_free(second);
}

static void what_is_accepted_waits_for_an_engine(void **state)
{
    char room[200], one[] = "one";
    orch_v1 *o = open_v1(store_url(state, "waits.db", room));
    orch_v2 *v2 = orch_as_v2(o);
    orch_engine *e = engine_who(one);
    orch_execution *x = NULL;
    orch_response *r = NULL;

    assert_null(orch_v2_local_engine(v2));
    host_define(v2, WHO);
    HOST_OK(orch_launcher_start(orch_launcher_of(o), "who", NULL, 0, NULL, &x, &err));
    HOST_FAILS(orch_execution_wait(x, 20, &r, &err), ORCH_E_DEADLINE_EXCEEDED, "20 ms");
    assert_int_equal(host_state(v2, orch_execution_id(x)), ORCH_EXECUTION_PENDING);
    HOST_OK(orch_register_engine(o, e, &err));
    HOST_OK(orch_execution_wait(x, HOST_PATIENCE_MS, &r, &err));
    assert_string_equal(orch_response_output(r, NULL), "\"one\"");
    orch_response_free(r);
    orch_execution_free(x);
    HOST_OK(orch_v2_stop(v2, HOST_PATIENCE_MS, &err));
    HOST_FAILS(orch_engine_register_executor(e, "late", who, one, NULL, &err),
               ORCH_E_FAILED_PRECONDITION, "stopped");
    orch_free(o);
    HOST_FAILS(orch_engine_register_executor(e, "later", who, one, NULL, &err),
               ORCH_E_FAILED_PRECONDITION, "stopped");
    orch_engine_free(e);
}

static void an_engine_is_registered_once(void **state)
{
    char one[] = "one";
    orch_v1 *o = open_v1("memory:"), *other = open_v1("memory:");
    orch_engine *e = engine_who(one), *twin = engine_who(one);

    (void)state;
    HOST_OK(orch_register_engine(o, e, &err));
    HOST_FAILS(orch_register_engine(o, e, &err), ORCH_E_FAILED_PRECONDITION, "registered already");
    HOST_FAILS(orch_register_engine(other, e, &err), ORCH_E_FAILED_PRECONDITION,
               "registered already");
    HOST_FAILS(orch_register_engine(o, twin, &err), ORCH_E_ALREADY_EXISTS, "'one'");
    HOST_OK(orch_register_engine(other, twin, &err)); /* it is as it was */
    HOST_FAILS(orch_engine_register_executor(twin, "who", who, one, NULL, &err),
               ORCH_E_ALREADY_EXISTS, "who");
    orch_free(o);
    orch_free(other);
    orch_engine_free(e);
    orch_engine_free(twin);
}

static void what_an_engine_was_given_goes_with_it(void **state)
{
    char one[] = "one";
    orch_engine *e = engine_who(one);
    orch_task *t = NULL;
    int before = atomic_load(&freed);

    (void)state;
    HOST_FAILS(orch_engine_register_executor(e, "who", who, one, count_free, &err),
               ORCH_E_ALREADY_EXISTS, "'who'");
    assert_int_equal(atomic_load(&freed), before + 1);
    HOST_FAILS(orch_engine_next_task(e, "pulled", 0, &t, &err), ORCH_E_FAILED_PRECONDITION,
               "not registered with an orchestrator");
    HOST_OK(orch_engine_set_secrets(e, NULL, one, count_free, &err));
    HOST_OK(orch_engine_set_secrets(e, NULL, one, count_free, &err)); /* the first one goes */
    assert_int_equal(atomic_load(&freed), before + 2);
    orch_engine_free(e);
    assert_int_equal(atomic_load(&freed), before + 4);
}

static int64_t secret_of(void *user_data, const char *name, char *buffer, size_t capacity)
{
    const char *value = user_data;

    if (strcmp(name, "s") != 0 || strlen(value) > capacity)
        return ORCH_E_NOT_FOUND;
    memcpy(buffer, value, strlen(value));
    return (int64_t)strlen(value);
}

/* "name:secret" */
static void who_knows(void *user_data, orch_task *task)
{
    char output[80];

    snprintf(output, sizeof output, "{\"%s\":%s}", (const char *)user_data,
             orch_task_input(task, NULL));
    orch_task_complete(task, output, strlen(output), NULL);
}

static void each_has_its_own_secrets(void **state)
{
    char one[] = "one", two[] = "two";
    orch_v1 *o = open_v1("memory:");
    orch_engine *first = engine_named(one), *second = engine_named(two);
    int ones = 0, twos = 0;

    (void)state;
    HOST_OK(orch_engine_register_executor(first, "who", who_knows, one, NULL, &err));
    HOST_OK(orch_engine_set_secrets(first, secret_of, one, NULL, &err));
    HOST_OK(orch_register_engine(o, first, &err));
    HOST_OK(orch_register_engine(o, second, &err));
    HOST_OK(orch_engine_register_executor(second, "who", who_knows, two, NULL, &err));
    HOST_OK(orch_engine_set_secrets(second, secret_of, two, NULL, &err));
    host_define(orch_as_v2(o), SECRET);
    for (int i = 0; i < MANY; i++) {
        orch_response *r = NULL;

        HOST_OK(orch_execute_workflow(o, "secret", NULL, 0, NULL, &r, &err));
        ones += !strcmp(orch_response_output(r, NULL), "{\"one\":\"one\"}");
        twos += !strcmp(orch_response_output(r, NULL), "{\"two\":\"two\"}");
        orch_response_free(r);
    }
    assert_int_equal(ones + twos, MANY);
    assert_true(ones > 0 && twos > 0);
    orch_free(o);
    orch_engine_free(first);
    orch_engine_free(second);
}

static void tasks_are_pulled_from_an_engine(void **state)
{
    orch_v1 *o = open_v1("memory:");
    orch_v2 *v2 = orch_as_v2(o);
    orch_engine *e = engine_named("puller");
    orch_progress *p = NULL;
    orch_execution *x = NULL;
    orch_response *r = NULL;
    orch_task *t = NULL;

    (void)state;
    HOST_OK(orch_register_engine(o, e, &err));
    host_define(v2, WHO);
    HOST_OK(orch_v2_start_workflow(v2, "who", NULL, 0, NULL, &x, &err));
    HOST_OK(orch_engine_next_task(e, "who", HOST_PATIENCE_MS, &t, &err));
    HOST_OK(orch_v2_get_progress(v2, orch_execution_id(x), &p, &err));
    assert_int_equal(orch_progress_get(p, "running"), 1);
    orch_progress_free(p);
    HOST_OK(orch_task_complete(t, "7", 1, &err));
    HOST_OK(orch_execution_wait(x, HOST_PATIENCE_MS, &r, &err));
    assert_string_equal(orch_response_output(r, NULL), "7");
    orch_response_free(r);
    orch_execution_free(x);
    orch_free(o);
    HOST_FAILS(orch_engine_next_task(e, "who", 0, &t, &err), ORCH_E_CANCELLED, "stopped");
    orch_engine_free(e);
}

typedef struct inside {
    orch_v1 *orch;
    latch called;
} inside;

static void free_inside(void *user_data, orch_task *task)
{
    inside *i = user_data;

    orch_free(i->orch); /* frees nothing here */
    orch_task_complete(task, NULL, 0, NULL);
    latch_add(&i->called);
}

static void it_is_not_freed_inside_an_executor(void **state)
{
    inside i = {open_v1("memory:"), LATCH_INIT};
    orch_engine *e = engine_named("one");
    char output[40];

    (void)state;
    HOST_OK(orch_engine_register_executor(e, "who", free_inside, &i, NULL, &err));
    HOST_OK(orch_register_engine(i.orch, e, &err));
    host_define(orch_as_v2(i.orch), WHO);
    execute_who(i.orch, output);
    latch_wait(&i.called, 1);
    assert_string_equal(output, "null");
    orch_free(i.orch);
    orch_engine_free(e);
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
        ON_BOTH(several_engines_share_the_work),
        ON_BOTH(what_is_accepted_waits_for_an_engine),
        cmocka_unit_test(an_engine_is_registered_once),
        cmocka_unit_test(what_an_engine_was_given_goes_with_it),
        cmocka_unit_test(each_has_its_own_secrets),
        cmocka_unit_test(tasks_are_pulled_from_an_engine),
        cmocka_unit_test(it_is_not_freed_inside_an_executor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
