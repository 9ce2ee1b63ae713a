/* Goal: a history replayed against the definition that it was made with differs in nothing; against a changed one it differs in what was
 * changed, and in nothing else. */
#include "support/api_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define STEP_A "{'id':'a','executor':'noop','with':{'n':1}}"
#define STEP_B "{'id':'b','executor':'noop','depends_on':['a']}"
#define STEP_C "{'id':'c','executor':'noop','depends_on':['b'],'for_each':'${array{1,2}}'}"
#define STEP_D "{'id':'d','executor':'wait','with':{'duration':'3d'}}"
#define STEP_E "{'id':'e','executor':'noop','when':'input.never'}"
#define CHAIN(version, steps) \
    "{'id':'chain','version':'" version "','steps':[" steps "],'output':'${input}'}"
#define ALL STEP_A "," STEP_B "," STEP_C "," STEP_D "," STEP_E

static char *quoted(const char *text)
{
    char *out = strdup(text);

    assert_non_null(out);
    for (char *p = out; *p; p++)
        if (*p == '\'')
            *p = '"';
    return out;
}

/* ---- histories ------------------------------------------------------------------------------------------- */

typedef struct text {
    char *data;
    size_t len;
} text;

static int32_t add_line(void *user_data, const char *line, size_t len)
{
    text *t = user_data;

    t->data = realloc(t->data, t->len + len + 1);
    assert_non_null(t->data);
    memcpy(t->data + t->len, line, len);
    t->len += len;
    t->data[t->len] = '\0';
    return 0;
}

static void refuse(void *user_data, orch_task *task)
{
    (void)user_data;
    orch_task_fail(task, ORCH_E_ABORTED, 0, "no");
}

static orch_v2 *open_with(const char *definition)
{
    orch_v2 *o = orch_testing_new(NULL, 1800000000000, NULL);

    assert_non_null(o);
    HOST_OK(orch_testing_mock(o, "refuse", refuse, NULL, NULL, &err));
    host_define(o, definition);
    return o;
}

static text export_and_close(orch_v2 *o, const char *id)
{
    text t = {NULL, 0};

    HOST_OK(orch_v2_export_execution(o, id, add_line, &t, &err));
    host_close(o);
    return t;
}

static text history_of(const char *workflow, const char *definition)
{
    orch_v2 *o = open_with(definition);
    orch_response *r = NULL;
    char id[64];

    HOST_OK(orch_v2_execute_workflow(o, workflow, NULL, 0, NULL, &r, &err));
    snprintf(id, sizeof id, "%s", orch_response_id(r));
    orch_response_free(r);
    return export_and_close(o, id);
}

/* ---- replays --------------------------------------------------------------------------------------------- */

static orch_replay *replay(const text *t, const char *definition)
{
    char *json = quoted(definition);
    orch_replay *r = NULL;

    HOST_OK(orch_testing_replay(NULL, t->data, t->len, json, strlen(json), &r, &err));
    free(json);
    return r;
}

/* All differences, with a line each. */
static void assert_differs(const text *t, const char *definition, const char *expected)
{
    orch_replay *r = replay(t, definition);
    char all[2000] = "";

    for (size_t i = 0; i < orch_replay_count(r); i++) {
        strcat(all, orch_replay_message(r, i));
        strcat(all, "\n");
    }
    assert_string_equal(all, expected);
    orch_replay_free(r);
}

static void the_same_is_the_same(void **state)
{
    text t = history_of("chain", CHAIN("1.0.0", ALL));

    (void)state;
    assert_differs(&t, CHAIN("1.0.0", ALL), "");
    /* Neither a version, nor the order in which steps are written, nor what they are given, is the way that it goes. */
    assert_differs(&t, CHAIN("2.0.0", STEP_E "," STEP_D "," STEP_C "," STEP_B "," STEP_A), "");
    assert_differs(&t,
                   CHAIN("2.0.0", "{'id':'a','executor':'lua','with':{'code':'return "
                                  "1'}}," STEP_B "," STEP_C "," STEP_D "," STEP_E),
                   "");
    free(t.data);
}

static void a_new_step_would_run(void **state)
{
    text t = history_of("chain", CHAIN("1.0.0", ALL));
    orch_replay *r;

    (void)state;
    r = replay(&t, CHAIN("2.0.0", ALL ",{'id':'f','executor':'noop','depends_on':['c']}"));
    assert_int_equal(orch_replay_count(r), 1);
    assert_string_equal(orch_replay_message(r, 0), "step 'f' would run");
    assert_string_equal(orch_replay_step(r, 0), "f");
    assert_int_equal(orch_replay_seq(r, 0), 0);
    assert_string_equal(orch_replay_message(r, 1), "");
    orch_replay_free(r);
    /* One whose condition is still to be asked would at least ask. */
    assert_differs(&t, CHAIN("2.0.0", ALL ",{'id':'f','executor':'noop','when':'input.x'}"),
                   "step 'f' would run\n");
    free(t.data);
}

static void a_step_that_went_is_missed(void **state)
{
    text t = history_of("chain", CHAIN("1.0.0", ALL));
    orch_replay *r = replay(&t, CHAIN("2.0.0", STEP_A "," STEP_B "," STEP_D "," STEP_E));

    (void)state;
    assert_true(orch_replay_count(r) >= 1);
    assert_string_equal(orch_replay_message(r, 0), "step 'c' is not in the definition");
    assert_string_equal(orch_replay_step(r, 0), "c");
    assert_true(orch_replay_seq(r, 0) > 0);
    orch_replay_free(r);
    free(t.data);
}

static void another_order_is_seen(void **state)
{
    text t = history_of("chain", CHAIN("1.0.0", ALL));

    (void)state;
    assert_differs(&t,
                   CHAIN("2.0.0", "{'id':'a','executor':'noop','depends_on':['d']},"
                                  "{'id':'b','executor':'noop'},"
                                  "{'id':'c','executor':'noop','for_each':'${array{1,2}}'}," STEP_D
                                  "," STEP_E),
                   "step 'a' began before 'd' had ended, which it depends on\n");
    free(t.data);
}

static void another_kind_of_step_is_seen(void **state)
{
    text t = history_of("chain", CHAIN("1.0.0", ALL));
    orch_replay *r;

    (void)state;
    r = replay(&t, CHAIN("2.0.0", STEP_A "," STEP_B
                                         ",{'id':'c','executor':'noop','depends_on':['b']}," STEP_D
                                         "," STEP_E));
    assert_int_equal(orch_replay_count(r), 1);
    assert_string_equal(orch_replay_step(r, 0), "c");
    assert_non_null(
        strstr(orch_replay_message(r, 0), "step 'c': a list of items where none is due"));
    orch_replay_free(r);
    assert_differs(
        &t, CHAIN("2.0.0", STEP_A "," STEP_B "," STEP_C ",{'id':'d','executor':'noop'}," STEP_E),
        "step 'd': a wait where none is due\n");
    assert_differs(
        &t, CHAIN("2.0.0", STEP_A "," STEP_B "," STEP_C "," STEP_D ",{'id':'e','executor':'noop'}"),
        "step 'e': it has no `when` that could be false\n");
    free(t.data);
}

/* ---- failures -------------------------------------------------------------------------------------------- */

#define BAD(extra)                                                                               \
    "{'id':'w','version':'1.0.0','steps':[" STEP_A ",{'id':'bad','executor':'refuse'" extra "}," \
    "{'id':'z','executor':'noop','depends_on':['bad']}]}"

static void another_end_is_seen(void **state)
{
    text t = history_of("w", BAD(""));

    (void)state;
    assert_differs(&t, BAD(""), "");
    assert_differs(&t, BAD(",'continue_on_failure':true"), "step 'z' would run\n");
    assert_differs(&t,
                   "{'id':'w','version':'1.0.0','steps':[" STEP_A
                   ",{'id':'bad','executor':'refuse','continue_on_failure':true}]}",
                   "the execution ended as failed, and would end as succeeded\n");
    assert_differs(&t,
                   "{'id':'w','version':'1.0.0','steps':[" STEP_A
                   ",{'id':'bad','executor':'refuse'}],"
                   "'on_failure':{'executor':'noop'}}",
                   "on_failure would run\n");
    free(t.data);
}

static void what_ran_after_a_failure_is_asked(void **state)
{
    static const char handled[] =
        "{'id':'w','version':'1.0.0','steps':[" STEP_A ",{'id':'bad','executor':'refuse'},"
        "{'id':'alarm','executor':'noop','depends_on':['a','bad'],'run_if':'any_failed'}]}";
    text t = history_of("w", handled);

    (void)state;
    assert_differs(&t, handled, "");
    assert_differs(&t,
                   "{'id':'w','version':'1.0.0','steps':[" STEP_A
                   ",{'id':'bad','executor':'refuse'},"
                   "{'id':'alarm','executor':'noop','depends_on':['a','bad']}]}",
                   "step 'alarm' would not run: of what it depends on, not all has succeeded\n");
    assert_differs(&t,
                   "{'id':'w','version':'1.0.0','steps':[" STEP_A
                   ",{'id':'bad','executor':'refuse'},"
                   "{'id':'alarm','executor':'noop','depends_on':['a'],'run_if':'any_failed'}]}",
                   "step 'alarm' would not run: of what it depends on, nothing has failed\n");
    free(t.data);
}

#define SAGA(extra)                                                               \
    "{'id':'w','version':'1.0.0','steps':[{'id':'a','executor':'noop'" extra "}," \
    "{'id':'bad','executor':'refuse','depends_on':['a']}]}"

static void compensations_are_compared(void **state)
{
    text with = history_of("w", SAGA(",'compensate':{'executor':'noop'}"));
    text without = history_of("w", SAGA(""));
    orch_replay *r;

    (void)state;
    assert_differs(&with, SAGA(",'compensate':{'executor':'noop'}"), "");
    assert_differs(&without, SAGA(",'compensate':{'executor':'noop'}"),
                   "step 'a' would be compensated\n");
    r = replay(&with, SAGA(""));
    assert_true(orch_replay_count(r) > 0);
    orch_replay_free(r);
    free(with.data);
    free(without.data);
}

/* ---- what has not ended by itself ------------------------------------------------------------------------ */

static void nothing_comes_after_a_cancel(void **state)
{
    orch_v2 *o = open_with(CHAIN("1.0.0", ALL));
    orch_execution *e = NULL;
    orch_response *r = NULL;
    char id[64];
    text t;

    (void)state;
    HOST_OK(orch_v2_start_workflow(o, "chain", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_testing_advance(o, 0, &err));
    HOST_OK(orch_v2_cancel(o, orch_execution_id(e), NULL, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_CANCELLED);
    snprintf(id, sizeof id, "%s", orch_execution_id(e));
    orch_response_free(r);
    orch_execution_free(e);
    t = export_and_close(o, id);
    assert_differs(&t, CHAIN("1.0.0", ALL), "");
    assert_differs(&t, CHAIN("2.0.0", ALL ",{'id':'f','executor':'noop'}"), "");
    assert_differs(&t, CHAIN("2.0.0", STEP_A "," STEP_B "," STEP_C "," STEP_D),
                   "step 'e' is not in the definition\n");
    free(t.data);
}

static void an_open_one_is_looked_at_as_far_as_it_is(void **state)
{
    orch_v2 *o = open_with(CHAIN("1.0.0", ALL));
    orch_execution *e = NULL;
    char id[64];
    text t;

    (void)state;
    HOST_OK(orch_v2_start_workflow(o, "chain", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_testing_advance(o, 0, &err));
    snprintf(id, sizeof id, "%s", orch_execution_id(e));
    orch_execution_free(e);
    t = export_and_close(o, id);
    assert_differs(&t, CHAIN("1.0.0", ALL), "");
    assert_differs(&t, CHAIN("2.0.0", ALL ",{'id':'f','executor':'noop','depends_on':['d']}"), "");
    assert_differs(
        &t, CHAIN("2.0.0", STEP_A "," STEP_B "," STEP_C ",{'id':'d','executor':'noop'}," STEP_E),
        "step 'd': a wait where none is due\n");
    free(t.data);
}

/* The newest run alone is looked at. */
static void runs_that_were_retried_are_not_looked_at(void **state)
{
    orch_v2 *o = open_with(BAD(""));
    orch_response *r = NULL;
    orch_execution *e = NULL;
    char id[64];
    text t;

    (void)state;
    HOST_OK(orch_v2_execute_workflow(o, "w", NULL, 0, NULL, &r, &err));
    snprintf(id, sizeof id, "%s", orch_response_id(r));
    orch_response_free(r);
    HOST_OK(orch_testing_mock(o, "refuse", host_echo, NULL, NULL, &err));
    HOST_OK(orch_v2_retry(o, id, NULL, &err));
    HOST_OK(orch_v2_find_execution(o, id, &e, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    orch_response_free(r);
    orch_execution_free(e);
    t = export_and_close(o, id);
    assert_differs(&t, BAD(""), "");
    free(t.data);
}

/* ---- payloads -------------------------------------------------------------------------------------------- */

static int32_t turn(void *user_data, const void *data, size_t len, void **out_data, size_t *out_len)
{
    unsigned char *out = malloc(len);

    (void)user_data;
    if (!out)
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)~((const unsigned char *)data)[i];
    *out_data = out;
    *out_len = len;
    return 0;
}

static void let_go(void *user_data, void *data)
{
    (void)user_data;
    free(data);
}

static void encoded_histories_need_their_codec(void **state)
{
    const orch_codec turned = {sizeof turned, "turned", turn, turn, let_go};
    orch_config *c = orch_config_new();
    char *json = quoted(CHAIN("1.0.0", ALL));
    orch_replay *replayed = NULL;
    orch_response *r = NULL;
    orch_v2 *o;
    char id[64];
    text t;

    (void)state;
    HOST_OK(orch_config_set_codec(c, &turned, NULL, NULL, &err));
    o = orch_testing_new(c, 0, NULL);
    host_define(o, CHAIN("1.0.0", ALL));
    HOST_OK(orch_v2_execute_workflow(o, "chain", NULL, 0, NULL, &r, &err));
    snprintf(id, sizeof id, "%s", orch_response_id(r));
    orch_response_free(r);
    t = export_and_close(o, id);
    HOST_FAILS(orch_testing_replay(NULL, t.data, t.len, json, strlen(json), &replayed, &err),
               ORCH_E_UNAVAILABLE, "no codec is set");
    assert_null(replayed);
    HOST_OK(orch_testing_replay(c, t.data, t.len, json, strlen(json), &replayed, &err));
    assert_int_equal(orch_replay_count(replayed), 0);
    orch_replay_free(replayed);
    free(t.data);
    free(json);
    orch_config_free(c);
}

static void what_is_wrong_is_said(void **state)
{
    text t = history_of("chain", CHAIN("1.0.0", ALL));
    orch_replay *r = NULL;

    (void)state;
    HOST_FAILS(orch_testing_replay(NULL, t.data, t.len / 2, "{}", 2, &r, &err),
               ORCH_E_INVALID_ARGUMENT, "line ");
    HOST_FAILS(orch_testing_replay(NULL, t.data, t.len, "{}", 2, &r, &err), ORCH_E_INVALID_ARGUMENT,
               "");
    assert_null(r);
    free(t.data);
}

static void a_lack_of_memory_is_said(void **state)
{
    text t = history_of("w", SAGA(",'compensate':{'executor':'noop'}"));
    char *json = quoted(SAGA(""));
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;
    long n = 0;

    (void)state;
    while (rc == ORCH_E_RESOURCE_EXHAUSTED) {
        orch_replay *r = NULL;

        mem_fail_at(++n, 0);
        rc = orch_testing_replay(NULL, t.data, t.len, json, strlen(json), &r, NULL);
        mem_fail_at(0, 0);
        assert_true((r == NULL) == (rc != 0));
        orch_replay_free(r);
    }
    assert_int_equal(rc, 0);
    assert_true(n > 20);
    free(t.data);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_is_the_same),
        cmocka_unit_test(a_new_step_would_run),
        cmocka_unit_test(a_step_that_went_is_missed),
        cmocka_unit_test(another_order_is_seen),
        cmocka_unit_test(another_kind_of_step_is_seen),
        cmocka_unit_test(another_end_is_seen),
        cmocka_unit_test(what_ran_after_a_failure_is_asked),
        cmocka_unit_test(compensations_are_compared),
        cmocka_unit_test(nothing_comes_after_a_cancel),
        cmocka_unit_test(an_open_one_is_looked_at_as_far_as_it_is),
        cmocka_unit_test(runs_that_were_retried_are_not_looked_at),
        cmocka_unit_test(encoded_histories_need_their_codec),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(a_lack_of_memory_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
