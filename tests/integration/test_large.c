/* Goal: what has ten thousand parts ends when the last of them has, once: a step behind 10,000 others, and one behind a for_each of
 * 10,000; with each of them done once. */
#include "support/api_host.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 10000

static atomic_int parts, joins, early;

static void part(void *user_data, orch_task *task)
{
    (void)user_data;
    atomic_fetch_add(&parts, 1);
    orch_task_complete(task, "1", 1, NULL);
}

static void join(void *user_data, orch_task *task)
{
    (void)user_data;
    atomic_fetch_add(&joins, 1);
    if (atomic_load(&parts) != MANY)
        atomic_fetch_add(&early, 1);
    orch_task_complete(task, "2", 1, NULL);
}

static const char *store_url(void **state, char room[200])
{
    static int count;
    char name[24];

    snprintf(name, sizeof name, "large-%d.db", ++count);
    return *state ? host_sqlite(room, 200, name) : "memory:";
}

static void expect_once(void **state, const char *text)
{
    char room[200], output[16];
    orch_v2 *o = host_open(store_url(state, room), "TASK_THREADS", "2", NULL);
    orch_engine *e = orch_v2_local_engine(o);

    atomic_store(&parts, 0);
    atomic_store(&joins, 0);
    HOST_OK(orch_engine_register_executor(e, "part", part, NULL, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "join", join, NULL, NULL, &err));
    host_define(o, text);
    assert_string_equal(host_execute(o, "large", NULL, output, sizeof output), "succeeded");
    assert_string_equal(output, "2");
    assert_int_equal(atomic_load(&parts), MANY);
    assert_int_equal(atomic_load(&joins), 1);
    assert_int_equal(atomic_load(&early), 0);
    host_close(o);
}

static void a_fan_in_fires_once(void **state)
{
    size_t room = MANY * 64, len;
    char *text = malloc(room), *depends = malloc(room);

    assert_true(text && depends);
    len = (size_t)snprintf(text, room, "{'id':'large','version':'1.0.0','steps':[");
    *depends = '\0';
    for (int i = 0, at = 0; i < MANY; i++) {
        len += (size_t)snprintf(text + len, room - len, "{'id':'s%d','executor':'part'},", i);
        at += snprintf(depends + at, room - (size_t)at, "%s's%d'", i ? "," : "", i);
    }
    snprintf(text + len, room - len,
             "{'id':'join','executor':'join','depends_on':[%s]}],'output':'${steps.join.output}'}",
             depends);
    expect_once(state, text);
    free(text);
    free(depends);
}

static void a_long_list_ends_once(void **state)
{
    expect_once(
        state,
        "{'id':'large','version':'1.0.0','steps':["
        "{'id':'list','executor':'lua','with':{'code':"
        "'local t = {} for i = 1, 10000 do t[i] = i end return t'}},"
        "{'id':'each','executor':'part','depends_on':['list'],'for_each':'${steps.list.output}',"
        "'max_parallel':100,'with':'${item}'},"
        "{'id':'join','executor':'join','depends_on':['each']}],"
        "'output':'${steps.join.output}'}");
}

static char sqlite[] = "sqlite";

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"a_fan_in_fires_once (memory)", a_fan_in_fires_once, NULL, NULL, NULL},
        {"a_fan_in_fires_once (sqlite)", a_fan_in_fires_once, NULL, NULL, sqlite},
        {"a_long_list_ends_once (memory)", a_long_list_ends_once, NULL, NULL, NULL},
        {"a_long_list_ends_once (sqlite)", a_long_list_ends_once, NULL, NULL, sqlite},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
