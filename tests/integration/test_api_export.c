/* Goal: an execution goes out as text and comes back whole in another store; what is not whole, wrong, or does not belong there is refused with
 * its line, and nothing of it is stored. */
#include "support/api_host.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

static const char WORK[] =
    "{'id':'work','version':'1.0.0','steps':["
    "{'id':'a','executor':'echo','with':{'n':'${input.n}'}},"
    "{'id':'each','executor':'echo','for_each':'${array{1,2}}','with':'${item}'},"
    "{'id':'flaky','executor':'fragile','depends_on':['a'],'retry':{'max_attempts':2,'initial_interval':'1ms'}},"
    "{'id':'not','executor':'noop','when':'input.never'},"
    "{'id':'rest','executor':'wait','with':{'duration':'1ms'}},"
    "{'id':'told','executor':'wait','depends_on':['flaky'],'with':{'signal':'go','correlation':'x','timeout':'1h'}}],"
    "'output':{'n':'${steps.a.output.n}','told':'${steps.told.output}'}}";
static const char SAGA[] =
    "{'id':'saga','version':'1.0.0','steps':[{'id':'a','executor':'echo','compensate':{'executor':'noop','with':1}},"
    "{'id':'b','executor':'fragile','depends_on':['a']}],'on_failure':{'executor':'noop'}}";
static const char PARENT[] =
    "{'id':'parent','version':'1.0.0','steps':[{'id':'c','executor':'workflow','with':{'workflow':'saga'}}]}";
static const char GATED[] =
    "{'id':'gated','version':'1.0.0','steps':[{'id':'a','executor':'gate','with':{'x':1}}]}";

static atomic_int repaired;
static latch gate = LATCH_INIT;

static void fragile(void *user_data, orch_task *task)
{
    (void)user_data;
    if (atomic_load(&repaired))
        orch_task_complete(task, NULL, 0, NULL);
    else
        orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "it \"broke\"");
}

static orch_v2 *open_all(const char *url)
{
    orch_v2 *o = host_open(url, NULL);
    orch_engine *e = orch_v2_local_engine(o);

    atomic_store(&repaired, 0);
    HOST_OK(orch_engine_register_executor(e, "echo", host_echo, NULL, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "gate", host_gate, &gate, NULL, &err));
    HOST_OK(orch_engine_register_executor(e, "fragile", fragile, NULL, NULL, &err));
    host_define(o, WORK);
    host_define(o, SAGA);
    host_define(o, PARENT);
    host_define(o, GATED);
    return o;
}

/* ---- texts ----------------------------------------------------------------------------------------------- */

typedef struct text {
    char *data;
    size_t len;
    int lines, stop_at; /* 0 = do not */
} text;

static int32_t add_line(void *user_data, const char *line, size_t len)
{
    text *t = user_data;

    if (++t->lines == t->stop_at)
        return ORCH_E_ABORTED;
    assert_int_equal(line[len - 1], '\n');
    assert_null(memchr(line, '\n', len - 1));
    t->data = realloc(t->data, t->len + len + 1);
    assert_non_null(t->data);
    memcpy(t->data + t->len, line, len);
    t->len += len;
    t->data[t->len] = '\0';
    return 0;
}

static text export(orch_v2 *o, const char *id)
{
    text t = {0};

    HOST_OK(orch_v2_export_execution(o, id, add_line, &t, &err));
    return t;
}

static void import(orch_v2 *o, const text *t)
{
    HOST_OK(orch_v2_import_execution(o, t->data, t->len, &err));
}

/* A copy with the first `from` replaced. */
static text with(const text *t, const char *from, const char *to)
{
    const char *at = strstr(t->data, from);
    text out = {0};

    if (!at)
        fail_msg("there is no %s in %s", from, t->data);
    out.data = calloc(1, t->len + strlen(to) + 1);
    assert_non_null(out.data);
    memcpy(out.data, t->data, (size_t)(at - t->data));
    strcat(out.data, to);
    strcat(out.data, at + strlen(from));
    out.len = strlen(out.data);
    return out;
}

#define REFUSED(o, t, from, to, code, piece)                                                   \
    do {                                                                                       \
        text changed = with(t, from, to);                                                      \
        HOST_FAILS(orch_v2_import_execution(o, changed.data, changed.len, &err), code, piece); \
        free(changed.data);                                                                    \
    } while (0)
#define BAD_LINE(o, t, from, to, piece) REFUSED(o, t, from, to, ORCH_E_INVALID_ARGUMENT, piece)

/* ---- something to export --------------------------------------------------------------------------------- */

static void start(orch_v2 *o, const char *workflow, const char *id, const char *input)
{
    static const char attributes[] = "{\"tenant\":\"acme\",\"n\":1.5}";
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    assert_int_equal(orch_start_options_set_priority(options, 7), 0);
    assert_int_equal(orch_start_options_set_affinity(options, "near"), 0);
    assert_int_equal(orch_start_options_set_limit_key(options, "tenant/acme"), 0);
    assert_int_equal(orch_start_options_set_timeout(options, 3600 * 1000), 0);
    HOST_OK(orch_start_options_set_attributes(options, attributes, strlen(attributes), &err));
    HOST_OK(orch_v2_start_workflow(o, workflow, input, strlen(input), options, NULL, &err));
    orch_start_options_free(options);
}

/* Of two runs: it fails, is retried by somebody, and succeeds. */
static void make_work(orch_v2 *o, const char *id)
{
    orch_control *ann = orch_control_new();

    assert_int_equal(orch_control_set_who(ann, "ann"), 0);
    assert_int_equal(orch_control_set_why(ann, "the bank is back"), 0);
    start(o, "work", id, "{\"n\":\n 1.50,\"text\":\"a\\nb\"}");
    host_await_state(o, id, ORCH_EXECUTION_FAILED);
    atomic_store(&repaired, 1);
    HOST_OK(orch_v2_retry(o, id, ann, &err));
    HOST_OK(orch_v2_signal(o, id, "go", "[1]", 3, "\"x\"", ann, &err));
    host_await_state(o, id, ORCH_EXECUTION_SUCCEEDED);
    orch_control_free(ann);
}

static const char *store_url(void **state, const char *name, char room[200])
{
    return *state ? host_sqlite(room, 200, name) : "memory:";
}

/* ---- there and back -------------------------------------------------------------------------------------- */

static void it_comes_back_whole(void **state)
{
    char room[200];
    orch_v2 *from = open_all(store_url(state, "from.db", room)), *to;
    orch_filter *f = orch_filter_new();
    orch_execution_list *l = NULL;
    orch_execution *e = NULL;
    orch_response *r = NULL;
    text out, again;

    make_work(from, "order/17");
    out = export(from, "order/17");
    host_close(from);
    to = open_all(store_url(state, "to.db", room));
    import(to, &out);
    again = export(to, "order/17");
    assert_string_equal(again.data, out.data);
    HOST_OK(orch_v2_get_execution(to, "order/17", &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_SUCCEEDED);
    assert_int_equal(orch_response_run(r), 2);
    assert_int_equal(orch_response_priority(r), 7);
    assert_string_equal(orch_response_input(r, NULL), "{\"n\":  1.50,\"text\":\"a\\nb\"}");
    assert_string_equal(orch_response_output(r, NULL), "{\"n\":1.5,\"told\":[1]}");
    orch_response_free(r);
    HOST_OK(orch_filter_set(f, "attribute", "tenant=\"acme\"", &err));
    HOST_OK(orch_v2_list_executions(to, f, &l, &err));
    assert_int_equal(orch_execution_list_count(l), 1);
    orch_execution_list_free(l);
    orch_filter_free(f);
    /* It is one like others: it can have a further run. */
    HOST_OK(orch_v2_rerun(to, "order/17", "a", NULL, &err));
    HOST_OK(orch_v2_find_execution(to, "order/17", &e, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    orch_response_free(r);
    HOST_OK(orch_v2_get_execution(to, "order/17", &r, &err));
    assert_int_equal(orch_response_run(r), 3);
    orch_response_free(r);
    orch_execution_free(e);
    free(out.data);
    free(again.data);
    host_close(to);
}

static void made_ids_and_children_come_back(void **state)
{
    char room[200], mother[40], child[80];
    orch_v2 *from = open_all(store_url(state, "family.db", room)), *to;
    orch_execution *e = NULL;
    orch_response *r = NULL;
    text out[2], again[2];

    HOST_OK(orch_v2_start_workflow(from, "parent", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    assert_int_equal(orch_response_state(r), ORCH_EXECUTION_FAILED);
    orch_response_free(r);
    snprintf(mother, sizeof mother, "%s", orch_execution_id(e));
    snprintf(child, sizeof child, "%s/1/c", mother);
    orch_execution_free(e);
    out[0] = export(from, mother);
    out[1] = export(from, child);
    host_close(from);
    to = open_all(store_url(state, "adopted.db", room));
    for (int i = 0; i < 2; i++)
        import(to, &out[i]);
    again[0] = export(to, mother);
    again[1] = export(to, child);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(again[i].data, out[i].data);
        free(again[i].data);
        free(out[i].data);
    }
    HOST_OK(orch_v2_get_execution(to, child, &r, &err));
    assert_string_equal(orch_response_parent(r), mother);
    orch_response_free(r);
    host_close(to);
}

/* Its mother is not there, and another execution has her key. */
static void a_child_comes_alone(void **state)
{
    orch_v2 *from = open_all("memory:"), *to = open_all("memory:");
    orch_response *r = NULL;
    text out;

    (void)state;
    start(from, "parent", "mother", "{}");
    host_await_state(from, "mother", ORCH_EXECUTION_FAILED);
    out = export(from, "mother/1/c");
    import(to, &out);
    HOST_OK(orch_v2_get_execution(to, "mother/1/c", &r, &err));
    assert_string_equal(orch_response_parent(r), "");
    orch_response_free(r);
    free(out.data);
    host_close(from);
    host_close(to);
}

static void two_stores_may_have_given_one_key(void **state)
{
    char room[200];
    orch_v2 *from = open_all("memory:");
    orch_v2 *to = open_all(store_url(state, "collide.db", room));
    text out, other;

    make_work(from, "one");
    out = export(from, "one");
    import(to, &out);
    /* Of the same shard, so that the key may be its own. */
    for (int i = 0;; i++) {
        char id[40], quoted[60];
        orch_error *why = NULL;
        int32_t rc;

        snprintf(id, sizeof id, "other/%d", i);
        snprintf(quoted, sizeof quoted, "\"id\":\"%s\"", id);
        other = with(&out, "\"id\":\"one\"", quoted);
        rc = orch_v2_import_execution(to, other.data, other.len, &why);
        free(other.data);
        if (!rc) {
            orch_response *r = NULL;

            HOST_OK(orch_v2_get_execution(to, id, &r, &err));
            assert_string_equal(orch_response_id(r), id);
            orch_response_free(r);
            break;
        }
        assert_non_null(strstr(orch_error_message(why), "key does not belong to the id"));
        orch_error_free(why);
    }
    free(out.data);
    host_close(from);
    host_close(to);
}

/* The clock of the other machine may be ahead a little. */
static text of_time(const text *t, const char *id, int64_t ms)
{
    char made[EXECUTION_ID_LEN + 1];
    text one, both;

    execution_id_format(execution_key_make(ms, 7, 0), made);
    one = with(t, id, made);
    both = with(&one, id, made);
    free(one.data);
    return both;
}

static void keys_that_are_to_come_stay_free(void **state)
{
    char room[200];
    orch_v2 *from = open_all("memory:");
    orch_v2 *to = open_all(store_url(state, "ahead.db", room));
    orch_execution *e = NULL;
    orch_response *r = NULL;
    text out, ahead;
    int64_t now_ms;

    HOST_OK(orch_v2_start_workflow(from, "saga", NULL, 0, NULL, &e, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    now_ms = orch_response_ended_ms(r);
    orch_response_free(r);
    out = export(from, orch_execution_id(e));
    ahead = of_time(&out, orch_execution_id(e), now_ms + 120 * 1000);
    HOST_FAILS(orch_v2_import_execution(to, ahead.data, ahead.len, &err),
               ORCH_E_FAILED_PRECONDITION, "has not reached");
    free(ahead.data);
    ahead = of_time(&out, orch_execution_id(e), now_ms + 30 * 1000);
    import(to, &ahead);
    for (int i = 0; i < 200; i++) /* each has a key behind it, on whatever shard */
        HOST_OK(orch_v2_start_workflow(to, "saga", NULL, 0, NULL, NULL, &err));
    free(ahead.data);
    free(out.data);
    orch_execution_free(e);
    host_close(from);
    host_close(to);
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static void a_second_import_is_refused(void **state)
{
    char room[200];
    orch_v2 *from = open_all("memory:");
    orch_v2 *to = open_all(store_url(state, "second.db", room));
    text out, again;

    make_work(from, "one");
    out = export(from, "one");
    import(to, &out);
    HOST_FAILS(orch_v2_import_execution(to, out.data, out.len, &err), ORCH_E_ALREADY_EXISTS,
               "'one'");
    HOST_FAILS(orch_v2_import_execution(from, out.data, out.len, &err), ORCH_E_ALREADY_EXISTS,
               "'one'");
    again = export(to, "one");
    assert_string_equal(again.data, out.data);
    free(out.data);
    free(again.data);
    host_close(from);
    host_close(to);
}

static void open_ones_are_exported_only(void **state)
{
    orch_v2 *from = open_all("memory:"), *to = open_all("memory:");
    text out, piece = {.stop_at = 1};

    (void)state;
    start(from, "gated", "open", "{}");
    latch_wait(&gate, 1);
    out = export(from, "open");
    assert_non_null(strstr(out.data, "\"state\":\"open\""));
    HOST_FAILS(orch_v2_import_execution(to, out.data, out.len, &err), ORCH_E_FAILED_PRECONDITION,
               "had not ended");
    HOST_FAILS(orch_v2_export_execution(from, "open", add_line, &piece, &err), ORCH_E_ABORTED,
               "ended by its function");
    HOST_FAILS(orch_v2_export_execution(from, "nobody", add_line, &piece, &err), ORCH_E_NOT_FOUND,
               "'nobody'");
    free(out.data);
    HOST_OK(orch_v2_terminate(from, "open", NULL, &err));
    host_close(from);
    host_close(to);
}

static void the_workflow_must_be_the_same(void **state)
{
    orch_v2 *from = open_all("memory:"), *to = host_open("memory:", NULL);
    text out;

    (void)state;
    make_work(from, "one");
    out = export(from, "one");
    HOST_FAILS(orch_v2_import_execution(to, out.data, out.len, &err), ORCH_E_NOT_FOUND,
               "workflow 'work' 1.0.0 is not registered");
    host_define(to, "{'id':'work','version':'1.0.0','steps':[{'id':'a','executor':'noop'}]}");
    HOST_FAILS(orch_v2_import_execution(to, out.data, out.len, &err), ORCH_E_FAILED_PRECONDITION,
               "another digest");
    free(out.data);
    host_close(from);
    host_close(to);
}

static void wrong_lines_are_named(void **state)
{
    orch_v2 *from = open_all("memory:"), *to = open_all("memory:");
    orch_execution_list *l = NULL;
    text out;

    (void)state;
    make_work(from, "one");
    out = export(from, "one");
    BAD_LINE(to, &out, "{\"record\":\"execution\"", "{\"record\":\"exec\"",
             "line 1: the first record");
    BAD_LINE(to, &out, "\"format\":1", "\"format\":2", "line 1: format must be");
    BAD_LINE(to, &out, "\"state\":\"succeeded\"", "\"state\":\"done\"", "line 1: state must be");
    BAD_LINE(to, &out, "\"priority\":7", "\"priority\":10", "line 1: priority must be");
    BAD_LINE(to, &out, "\"priority\":7", "\"priority\":7,\"colour\":1", "no member 'colour'");
    BAD_LINE(to, &out, "\"priority\":7", "\"priority\":7,\" id\":1", "no member ' id'");
    BAD_LINE(to, &out, "\"priority\":7", "\"priority\":7,\"\":1", "no member ''");
    BAD_LINE(to, &out, "\"priority\":7", "\"priority\":7,\"priority\":7", "line 1: not JSON");
    BAD_LINE(to, &out, "\"digest\":\"", "\"digest\":\"x", "line 1: digest must be");
    BAD_LINE(to, &out, "\"id\":\"one\"", "\"id\":\"o n e\"", "line 1: id must be");
    BAD_LINE(to, &out, "\"run\":2", "\"run\":0", "line 1: run must be");
    BAD_LINE(to, &out, "\"run\":2", "\"run\":3", "it is not said how run 2 ended");
    BAD_LINE(to, &out, "\"tenant\":\"acme\"", "\"tenant\":null", "attribute 'tenant' is null");
    BAD_LINE(to, &out, "\"input\":{", "\"input\":[{", "line 1: not JSON");
    BAD_LINE(to, &out, "{\"record\":\"run\",\"run\":1", "{\"record\":\"run\",\"run\":2",
             "line 2: run is the newest");
    BAD_LINE(to, &out, "\"seq\":1", "\"seq\":2", "line 3: seq does not follow");
    BAD_LINE(to, &out, "\"seq\":1,\"step\":\"", "\"seq\":1,\"step\":\"un",
             "line 3: workflow 'work'");
    BAD_LINE(to, &out, "\"kind\":\"retrying\"", "\"kind\":\"tired\"", "kind is none");
    BAD_LINE(to, &out, "\"kind\":\"expanded\"", "\"kind\":\"waiting\"", "a wait where none is due");
    BAD_LINE(to, &out, "{\"record\":\"control\"", "{\"record\":\"control\",\"at_ms\":-1",
             "not JSON");
    BAD_LINE(to, &out, "{\"record\":\"end\"", "{\"record\":\"end\",\"lines\":1", "not JSON");
    BAD_LINE(to, &out, "\n{\"record\":\"end\"", "\n\n{\"record\":\"end\"", "not JSON");
    BAD_LINE(to, &out, "{\"record\":\"end\"", "{\"record\":\"fin\"", "record must be");
    HOST_OK(orch_v2_list_executions(to, NULL, &l, &err));
    assert_int_equal(orch_execution_list_count(l), 0);
    orch_execution_list_free(l);
    import(to, &out); /* only what was changed was wrong */
    free(out.data);
    host_close(from);
    host_close(to);
}

static void what_is_not_whole_is_refused(void **state)
{
    orch_v2 *from = open_all("memory:"), *to = open_all("memory:");
    orch_execution_list *l = NULL;
    text out;
    size_t len;

    (void)state;
    make_work(from, "one");
    out = export(from, "one");
    for (len = 0; len < out.len - 1; len++) {
        orch_error *why = NULL;

        if (orch_v2_import_execution(to, out.data, len, &why) != ORCH_E_INVALID_ARGUMENT)
            fail_msg("%zu of %zu bytes: %s", len, out.len, orch_error_message(why));
        orch_error_free(why);
    }
    HOST_OK(orch_v2_list_executions(to, NULL, &l, &err));
    assert_int_equal(orch_execution_list_count(l), 0);
    orch_execution_list_free(l);
    out.len--; /* the last line end alone is not missed */
    import(to, &out);
    free(out.data);
    host_close(from);
    host_close(to);
}

/* A line that is left out, and lines in another order. */
static void every_line_counts(void **state)
{
    orch_v2 *from = open_all("memory:"), *to = open_all("memory:");
    text out;

    (void)state;
    make_work(from, "one");
    out = export(from, "one");
    for (char *line = out.data; *line;) {
        char *next = strchr(line, '\n') + 1;
        size_t len = (size_t)(next - line);
        text less = {.len = out.len - len};

        less.data = calloc(1, out.len);
        assert_non_null(less.data);
        memcpy(less.data, out.data, (size_t)(line - out.data));
        strcat(less.data, next);
        HOST_FAILS(orch_v2_import_execution(to, less.data, less.len, &err), ORCH_E_INVALID_ARGUMENT,
                   "line ");
        free(less.data);
        line = next;
    }
    free(out.data);
    host_close(from);
    host_close(to);
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
        ON_BOTH(it_comes_back_whole),
        ON_BOTH(made_ids_and_children_come_back),
        cmocka_unit_test(a_child_comes_alone),
        ON_BOTH(two_stores_may_have_given_one_key),
        ON_BOTH(keys_that_are_to_come_stay_free),
        ON_BOTH(a_second_import_is_refused),
        cmocka_unit_test(open_ones_are_exported_only),
        cmocka_unit_test(the_workflow_must_be_the_same),
        cmocka_unit_test(wrong_lines_are_named),
        cmocka_unit_test(what_is_not_whole_is_refused),
        cmocka_unit_test(every_line_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
