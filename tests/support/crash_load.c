#include "support/crash_load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const load_family *const families[] = {
    &load_steps, &load_failures, &load_controls, &load_starts, &load_settings, &load_payloads,
};

#define FAMILIES (sizeof families / sizeof *families)

/* ---- the side log ---------------------------------------------------------------------------------------- */

static int side_log = -1;
static char log_dir[4096];

void load_open_log(const char *dir)
{
    char path[8192];

    snprintf(log_dir, sizeof log_dir, "%s", dir);
    snprintf(path, sizeof path, "%s/side.log", dir);
    side_log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    CHECK(side_log >= 0, "%s: %s", path, strerror(errno));
}

const char *load_dir(void)
{
    return log_dir;
}

void load_say(const char *word, const char *key, long number)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s %s %ld %d\n", word, key, number, (int)getpid());

    CHECK(n < (int)sizeof line && write(side_log, line, (size_t)n) == n, "side log: %s",
          strerror(errno));
}

void load_read_log(load_line_fn fn, void *ctx)
{
    char path[8192], word[32], key[160];
    long number;
    int pid;
    FILE *f;

    snprintf(path, sizeof path, "%s/side.log", log_dir);
    f = fopen(path, "r");
    CHECK(f, "%s", path);
    while (fscanf(f, "%31s %159s %ld %d", word, key, &number, &pid) == 4)
        fn(ctx, word, key, number, pid);
    fclose(f);
}

/* ---- kinds ----------------------------------------------------------------------------------------------- */

const load_kind *load_any(void)
{
    size_t count = 0, pick;

    for (size_t i = 0; i < FAMILIES; i++)
        count += families[i]->kind_count;
    pick = (size_t)rand() % count;
    for (size_t i = 0;; pick -= families[i++]->kind_count)
        if (pick < families[i]->kind_count)
            return &families[i]->kinds[pick];
}

const load_kind *load_named(const char *name)
{
    for (size_t i = 0; i < FAMILIES; i++)
        for (size_t j = 0; j < families[i]->kind_count; j++)
            if (!strcmp(families[i]->kinds[j].name, name))
                return &families[i]->kinds[j];
    return NULL;
}

void load_register(orch_v2 *orch, const char *text)
{
    char *json = strdup(text);
    orch_error *error = NULL;

    CHECK(json, "memory");
    for (char *c = json; (c = strchr(c, '\''));)
        *c = '"';
    CHECK(orch_v2_register_definition(orch, json, strlen(json), &error) == 0, "%s",
          orch_error_message(error));
    free(json);
}

void load_serve(orch_engine *engine, const char *name, orch_task_fn fn, void *user_data)
{
    orch_error *error = NULL;

    CHECK(orch_engine_register_executor(engine, name, fn, user_data, NULL, &error) == 0, "%s",
          orch_error_message(error));
}

void load_executor(orch_v2 *orch, const char *name, orch_task_fn fn, void *user_data)
{
    load_serve(orch_v2_local_engine(orch), name, fn, user_data);
}

void load_define(orch_v2 *orch)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        for (size_t j = 0; j < families[i]->kind_count; j++)
            load_register(orch, families[i]->kinds[j].definition);
        if (families[i]->define)
            families[i]->define(orch);
    }
}

/* ---- help from outside ----------------------------------------------------------------------------------- */

static void set(orch_filter *filter, const char *key, const char *value)
{
    orch_error *error = NULL;

    CHECK(orch_filter_set(filter, key, value, &error) == 0, "%s", orch_error_message(error));
}

static orch_execution_list *list(orch_v2 *orch, const char *workflow, const char *state,
                                 const char *limit)
{
    orch_filter *filter = orch_filter_new();
    orch_execution_list *found = NULL;
    orch_error *error = NULL;

    if (workflow)
        set(filter, "workflow", workflow);
    if (strcmp(state, "open") != 0) {
        set(filter, "state", state);
    } else {
        set(filter, "state", "pending");
        set(filter, "state", "running");
        set(filter, "state", "suspended");
    }
    set(filter, "limit", limit);
    set(filter, "payloads", "true");
    CHECK(orch_v2_list_executions(orch, filter, &found, &error) == 0, "%s",
          orch_error_message(error));
    orch_filter_free(filter);
    return found;
}

void load_apply(orch_v2 *orch, const char *workflow, const char *state, bool all, load_help_fn fn)
{
    orch_execution_list *found = list(orch, workflow, state, all ? "10000" : "20");

    for (size_t i = 0; i < orch_execution_list_count(found); i++)
        if (all || rand() % 3)
            fn(orch, orch_execution_list_get(found, i));
    orch_execution_list_free(found);
}

size_t load_count(orch_v2 *orch, const char *workflow, const char *state)
{
    orch_execution_list *found = list(orch, workflow, state, "10000");
    size_t count = orch_execution_list_count(found);

    orch_execution_list_free(found);
    return count;
}

void load_help(orch_v2 *orch, bool all)
{
    for (size_t i = 0; i < FAMILIES; i++)
        if (families[i]->help)
            families[i]->help(orch, all);
}

size_t load_count_open(orch_v2 *orch)
{
    return load_count(orch, NULL, "open") + load_count(orch, "retried", "failed");
}

/* ---- right ends ------------------------------------------------------------------------------------------ */

static orch_response *get(orch_v2 *orch, const char *id)
{
    orch_response *r = NULL;
    orch_error *error = NULL;

    CHECK(orch_v2_get_execution(orch, id, &r, &error) == 0, "%s was accepted and is lost: %s", id,
          orch_error_message(error));
    return r;
}

static void expect_state(const orch_response *r, int32_t right)
{
    const char *error = orch_response_error(r, NULL);

    CHECK(orch_response_state(r) == right, "%s (%s) ended %s: %s", orch_response_id(r),
          orch_response_workflow(r), orch_execution_state_name(orch_response_state(r)),
          error ? error : "");
}

static void expect_number(const orch_response *r, long right)
{
    char text[32];

    snprintf(text, sizeof text, "%ld", right);
    CHECK(!strcmp(orch_response_output(r, NULL), text), "%s (%s): output %.80s, not %s",
          orch_response_id(r), orch_response_workflow(r), orch_response_output(r, NULL), text);
}

void load_expect_output(orch_v2 *orch, const char *id, long right)
{
    orch_response *r = get(orch, id);

    expect_state(r, ORCH_EXECUTION_SUCCEEDED);
    expect_number(r, right);
    orch_response_free(r);
}

static void judge(orch_v2 *orch, const load_kind *k, const char *id, long n)
{
    orch_response *r = get(orch, id);

    expect_state(r, k->end);
    if (k->factor)
        expect_number(r, k->factor * n + k->plus);
    if (k->judge)
        k->judge(r, n);
    orch_response_free(r);
}

typedef struct verdict {
    orch_v2 *orch;
    long judged;
} verdict;

static void judge_line(void *ctx, const char *word, const char *key, long number, int pid)
{
    verdict *v = ctx;
    const load_kind *k = load_named(word);

    (void)pid;
    if (k) {
        judge(v->orch, k, key, number);
        v->judged++;
    }
    for (size_t i = 0; i < FAMILIES; i++)
        if (families[i]->line)
            families[i]->line(v->orch, word, key, number);
}

long load_judge(orch_v2 *orch)
{
    verdict v = {orch, 0};

    load_read_log(judge_line, &v);
    for (size_t i = 0; i < FAMILIES; i++)
        if (families[i]->over)
            families[i]->over(orch);
    return v.judged;
}

/* Children of ended parents go with them, so that fewer may be left. */
static const char *const ends[] = {"succeeded", "failed", "cancelled", "timed_out"};

size_t load_count_kept(orch_v2 *orch)
{
    size_t count = 0;

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        count += load_count(orch, NULL, ends[i]);
    return count;
}

static void judge_kept(orch_v2 *orch, const orch_response *r)
{
    const load_kind *k = load_named(orch_response_workflow(r));

    if (k && k->end == orch_response_state(r)) /* not a fork, nor a child */
        judge(orch, k, orch_response_id(r), load_input_number(r));
}

void load_judge_kept(orch_v2 *orch)
{
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        load_apply(orch, NULL, ends[i], true, judge_kept);
}

/* ---- for the families ------------------------------------------------------------------------------------ */

long load_number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    CHECK(at, "no %s in %.80s", key, text);
    return strtol(at + strlen(key), NULL, 10);
}

long load_input_number(const orch_response *r)
{
    return load_number_after(orch_response_input(r, NULL), "\"n\":");
}

int64_t load_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void load_say_start(const orch_task *task)
{
    load_say("start", orch_task_idempotency_key(task), orch_task_attempt(task));
}

void load_succeed(orch_task *task)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld",
                     load_number_after(orch_task_input(task, NULL), "\"to\":") + 1);

    CHECK(orch_task_complete(task, text, (size_t)n, NULL) == ORCH_OK, "complete");
}

void load_add(void *user_data, orch_task *task)
{
    (void)user_data;
    load_say_start(task);
    load_succeed(task);
}

bool load_is_first_run(const orch_task *task)
{
    const char *key = orch_task_idempotency_key(task);

    return !strncmp(key + strlen(orch_task_execution(task)), "/1/", 3);
}
