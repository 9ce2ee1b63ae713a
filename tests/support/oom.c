#include "support/oom.h"

#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"

/* ---- which failures ---------------------------------------------------------------------------------------- */

static long number(const char *name)
{
    const char *text = getenv(name);
    long n = text && *text ? strtol(text, NULL, 10) : 1;

    return n > 0 ? n : 1;
}

long oom_every(void)
{
    return number("OOM_EVERY");
}

long oom_from(void)
{
    return (number("OOM_FROM") - 1) % oom_every() + 1;
}

static long failing;

void oom_begin(long n)
{
    failing = n;
    mem_fail_at(n, 0);
}

bool oom_end(void)
{
    bool reached = mem_count() >= failing;

    mem_fail_at(0, 0);
    return reached;
}

#define PAUSE_US 10000
#define TRIES    300

bool oom_again(int32_t rc, int tried)
{
    if (rc != ORCH_E_RESOURCE_EXHAUSTED || tried == TRIES)
        return false;
    if (tried > 1)
        usleep(PAUSE_US);
    return true;
}

/* ---- of libraries ------------------------------------------------------------------------------------------ */

static void *sqlite_alloc(int size)
{
    size_t *p = size > 0 ? mem_alloc(sizeof(size_t) * 2 + (size_t)size) : NULL;

    if (!p)
        return NULL;
    *p = (size_t)size;
    return p + 2;
}

static void sqlite_free(void *p)
{
    if (p)
        mem_free((size_t *)p - 2);
}

static int sqlite_size(void *p)
{
    return p ? (int)*((size_t *)p - 2) : 0;
}

static void *sqlite_realloc(void *p, int size)
{
    size_t *more = mem_realloc((size_t *)p - 2, sizeof(size_t) * 2 + (size_t)size);

    if (!more)
        return NULL;
    *more = (size_t)size;
    return more + 2;
}

static int sqlite_round(int size)
{
    return (size + 7) & ~7;
}

static int sqlite_begin(void *data)
{
    (void)data;
    return SQLITE_OK;
}

static void sqlite_end(void *data)
{
    (void)data;
}

void oom_of_libraries(void)
{
    static const sqlite3_mem_methods of_sqlite = {sqlite_alloc, sqlite_free,  sqlite_realloc,
                                                  sqlite_size,  sqlite_round, sqlite_begin,
                                                  sqlite_end,   NULL};
    const char *of = getenv("OOM_OF");

    if (!of)
        return;
    if (strstr(of, "jansson"))
        json_set_alloc_funcs(mem_alloc, mem_free);
    if (strstr(of, "sqlite"))
        assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &of_sqlite), SQLITE_OK);
    if (strstr(of, "libuv"))
        assert_int_equal(uv_replace_allocator(mem_alloc, mem_realloc, mem_calloc, mem_free), 0);
}

/* ---- the world --------------------------------------------------------------------------------------------- */

static const char LIST[] =
    "{'id':'list','version':'1.0.0','steps':[{'id':'each','executor':'echo','for_each':'${input.items}',"
    "'with':'${item}','retry':{'max_attempts':3,'initial_interval':'1ms'}}],'output':'${steps.each.output}'}";
static const char GATE[] =
    "{'id':'gate','version':'1.0.0','steps':[{'id':'go','executor':'wait','with':{'signal':'go','timeout':'24h'}}]}";
static const char BROKEN[] =
    "{'id':'broken','version':'1.0.0','steps':[{'id':'first','executor':'noop'},"
    "{'id':'fails','executor':'breaks','depends_on':['first']}]}";
static const char HELD[] = "{'id':'held','version':'1.0.0','steps':[{'id':'a','executor':'held'}]}";

char oom_id[80];
static const char *world_url;

static void breaks(void *user_data, orch_task *t)
{
    (void)user_data;
    orch_task_fail(t, ORCH_E_ABORTED, 0, "it does");
}

static void start_as(const char *workflow, const char *id, orch_execution **out)
{
    orch_start_options *options = orch_start_options_new();

    assert_int_equal(orch_start_options_set_id(options, id), 0);
    HOST_OK(orch_v2_start_workflow(orch, workflow, "{\"items\":[1,2]}", 15, options, out, &err));
    orch_start_options_free(options);
}

static void hold_one_with_a_child(void)
{
    orch_child_options *child = orch_child_options_new();
    orch_subworkflows *sub = orch_v2_subworkflows(orch);

    start_as("held", "open", &execution);
    HOST_OK(orch_engine_next_task(engine, "held", HOST_PATIENCE_MS, &task, &err));
    assert_int_equal(orch_child_options_set_key(child, "first"), 0);
    HOST_OK(orch_subworkflows_start(sub, task, "noop", NULL, 0, NULL, child, NULL, &err));
    HOST_OK(orch_subworkflows_wait(sub, task, HOST_PATIENCE_MS, &err));
    orch_child_options_free(child);
}

void oom_world(const char *url)
{
    v1 = NULL;
    world_url = url;
    orch = host_open(url, NULL);
    engine = orch_v2_local_engine(orch);
    HOST_OK(orch_engine_register_executor(engine, "echo", host_echo, NULL, NULL, &err));
    HOST_OK(orch_engine_register_executor(engine, "breaks", breaks, NULL, NULL, &err));
    host_define(orch, NOOP);
    host_define(orch, LIST);
    host_define(orch, GATE);
    host_define(orch, BROKEN);
    host_define(orch, HELD);
    start_as("list", "done", NULL);
    start_as("broken", "lost", NULL);
    oom_expect("done", ORCH_EXECUTION_SUCCEEDED);
    oom_expect("lost", ORCH_EXECUTION_FAILED);
    hold_one_with_a_child();
}

/* All that was accepted and has no reason to be open has ended. */
void oom_world_end(void)
{
    HOST_OK(orch_task_complete(task, NULL, 0, &err));
    oom_expect("open", ORCH_EXECUTION_SUCCEEDED);
    oom_expect("done", ORCH_EXECUTION_SUCCEEDED);
    assert_string_equal(host_execute(orch, "list", "{\"items\":[1,2,3]}", NULL, 0), "succeeded");
    orch_execution_free(execution);
    host_close(orch);
}

const char *oom_url(void)
{
    return world_url;
}

void oom_start(const char *workflow)
{
    orch_execution *e = NULL;

    HOST_OK(orch_v2_start_workflow(orch, workflow, "{\"items\":[1,2]}", 15, NULL, &e, &err));
    snprintf(oom_id, sizeof oom_id, "%s", orch_execution_id(e));
    orch_execution_free(e);
}

bool oom_ran_out(const char *id)
{
    orch_response *r = NULL;
    const char *error;
    bool out;

    if (orch_v2_get_execution(orch, id, &r, NULL))
        return false;
    error = orch_response_error(r, NULL);
    out = orch_response_state(r) == ORCH_EXECUTION_FAILED && error &&
          strstr(error, "RESOURCE_EXHAUSTED");
    orch_response_free(r);
    return out;
}

void oom_expect(const char *id, int32_t state)
{
    orch_execution *e = NULL;
    orch_response *r = NULL;

    HOST_OK(orch_v2_find_execution(orch, id, &e, &err));
    HOST_OK(orch_execution_wait(e, HOST_PATIENCE_MS, &r, &err));
    if (orch_response_state(r) != state && !oom_ran_out(id))
        fail_msg("%s has %s: %s", id, orch_execution_state_name(orch_response_state(r)),
                 orch_response_error(r, NULL));
    orch_response_free(r);
    orch_execution_free(e);
}

void oom_start_quiet(const char *workflow)
{
    size_t entries = 0;

    oom_start(workflow);
    while (!entries) {
        orch_history *h = NULL;

        HOST_OK(orch_v2_get_history(orch, oom_id, 0, 0, &h, &err));
        entries = orch_history_count(h);
        orch_history_free(h);
    }
}

int32_t oom_add_line(void *user_data, const char *line, size_t len)
{
    oom_text *t = user_data;
    char *more = realloc(t->data, t->len + len);

    assert_non_null(more);
    t->data = more;
    memcpy(t->data + t->len, line, len);
    t->len += len;
    return 0;
}

void oom_text_clear(oom_text *t)
{
    free(t->data);
    *t = (oom_text){0};
}
