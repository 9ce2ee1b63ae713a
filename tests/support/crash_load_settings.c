/* The crash test's load: settings that change while everything runs: limits of keys, pauses of a workflow and of everything; and
 * versions of workflows, registered meanwhile. */
#include "support/crash_load.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define LIMITS     3
#define LIMIT_MOST 2 /* executions at a time; sometimes 1 */

static void limited_prepare(orch_start_options *o, long n, char *input)
{
    char key[16];

    (void)input;
    snprintf(key, sizeof key, "limit%ld", n % LIMITS);
    orch_start_options_set_limit_key(o, key);
}

static const load_kind kinds[] = {
    {.name = "limited",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 1,
     .prepare = limited_prepare,
     .definition = "{'id':'limited','version':'1.0.0','steps':["
                   "{'id':'a','executor':'few','with':{'to':'${input.n}'}}],"
                   "'output':'${steps.a.output}'}"},
};

static void few(void *user_data, orch_task *task)
{
    static atomic_int at_work[LIMITS];
    atomic_int *here = &at_work[load_number_after(orch_task_input(task, NULL), "\"to\":") % LIMITS];
    struct timespec work = {0, 1000000};

    (void)user_data;
    load_say_start(task);
    CHECK(atomic_fetch_add(here, 1) < LIMIT_MOST, "%s: more than %d of its key at a time",
          orch_task_execution(task), LIMIT_MOST);
    nanosleep(&work, NULL);
    atomic_fetch_sub(here, 1); /* before the end: then the next one may come */
    load_succeed(task);
}

/* ---- what was last acknowledged, of each setting ----------------------------------------------------------- */

enum { PAUSE_WAIT, PAUSE_ALL, LIMIT, SETTINGS = LIMIT + LIMITS };

static const char *const setting_names[SETTINGS] = {"wait", "*", "limit0", "limit1", "limit2"};

typedef struct setting {
    long value;
    bool unsure; /* something else was asked for since */
} setting;

static void set_from_line(void *ctx, const char *word, const char *key, long number, int pid)
{
    setting *settings = ctx;

    (void)pid;
    if (strcmp(word, "set") != 0 && strcmp(word, "set?") != 0)
        return;
    for (int i = 0; i < SETTINGS; i++) {
        if (strcmp(key, setting_names[i]) != 0)
            continue;
        settings[i].unsure = word[3] == '?';
        if (!word[3])
            settings[i].value = number;
    }
}

static long paused(orch_v2 *orch, const char *workflow)
{
    orch_error *error = NULL;
    int32_t is = 0;

    CHECK(orch_v2_get_workflow_paused(orch, workflow, &is, &error) == 0, "%s",
          orch_error_message(error));
    return is;
}

static long concurrency(orch_v2 *orch, const char *key)
{
    orch_limit *l = NULL;
    orch_error *error = NULL;
    long value;

    CHECK(orch_v2_get_limit(orch, key, &l, &error) == 0, "%s", orch_error_message(error));
    value = (long)orch_limit_get(l, "concurrency");
    orch_limit_free(l);
    return value;
}

static void check_settings(orch_v2 *orch)
{
    setting settings[SETTINGS] = {{0}};

    load_read_log(set_from_line, settings);
    for (int i = 0; i < SETTINGS; i++) {
        long is = i == PAUSE_WAIT  ? paused(orch, "wait")
                  : i == PAUSE_ALL ? paused(orch, NULL)
                                   : concurrency(orch, setting_names[i]);

        if (i == PAUSE_WAIT && !settings[i].unsure &&
            (settings[PAUSE_ALL].value || settings[PAUSE_ALL].unsure))
            continue; /* paused with everything */
        CHECK(settings[i].unsure || is == settings[i].value, "the setting '%s' was %ld and is %ld",
              setting_names[i], settings[i].value, is);
    }
}

static void set_limit(orch_v2 *orch, int number, uint32_t executions)
{
    const char *key = setting_names[LIMIT + number];
    orch_limit *l = orch_limit_new();
    orch_error *error = NULL;

    load_say("set?", key, executions);
    orch_limit_set_concurrency(l, executions);
    if (rand() % 2)
        orch_limit_set_rate(l, 500, 1000, 5);
    CHECK(orch_v2_set_limit(orch, key, l, NULL, &error) == 0, "%s", orch_error_message(error));
    load_say("set", key, executions);
    orch_limit_free(l);
}

static void set_paused(orch_v2 *orch, int which, bool pause)
{
    const char *workflow = which == PAUSE_ALL ? NULL : setting_names[which];
    orch_error *error = NULL;

    load_say("set?", setting_names[which], pause);
    CHECK((pause ? orch_v2_pause_workflow : orch_v2_resume_workflow)(orch, workflow, NULL,
                                                                     &error) == 0,
          "%s", orch_error_message(error));
    load_say("set", setting_names[which], pause);
}

/* ---- versions -------------------------------------------------------------------------------------------- */

static void version_definition(char *text, size_t size, long number)
{
    snprintf(text, size,
             "{'id':'evolving','version':'1.0.%ld','steps':["
             "{'id':'a','executor':'noop','with':{'v':%ld}}],"
             "'output':'${steps.a.output.v}'}",
             number, number);
}

static void register_version(orch_v2 *orch)
{
    static long last;
    char text[256];
    long number = (long)load_now_ms();

    if (number <= last)
        number = last + 1; /* each is newer than those before */
    last = number;
    version_definition(text, sizeof text, number);
    load_register(orch, text);
    load_say("version", "evolving", number);
}

static void judge_version(orch_v2 *orch, long number)
{
    orch_start_options *o = orch_start_options_new();
    orch_response *r = NULL;
    orch_error *error = NULL;
    char version[32], right[32];

    snprintf(version, sizeof version, "1.0.%ld", number);
    snprintf(right, sizeof right, "%ld", number);
    orch_start_options_set_version(o, version);
    CHECK(orch_v2_execute_workflow(orch, "evolving", NULL, 0, o, &r, &error) == 0,
          "version %s was registered and is lost: %s", version, orch_error_message(error));
    CHECK(!strcmp(orch_response_output(r, NULL), right), "version %s is another: %s", version,
          orch_response_output(r, NULL));
    orch_response_free(r);
    orch_start_options_free(o);
}

/* ---- the family ------------------------------------------------------------------------------------------ */

static void define(orch_v2 *orch)
{
    load_executor(orch, "few", few, NULL);
    check_settings(orch);
    for (int i = 0; i < LIMITS; i++)
        set_limit(orch, i, LIMIT_MOST);
    set_paused(orch, PAUSE_ALL, false);
}

/* More than may go at a time. */
static void start_limited(orch_v2 *orch)
{
    long n = rand() % 1000;
    char input[32];

    snprintf(input, sizeof input, "{\"n\":%ld}", n);
    for (int i = 0; i < 3 * LIMIT_MOST; i++) {
        orch_start_options *o = orch_start_options_new();
        orch_execution *x = NULL;
        orch_error *error = NULL;

        limited_prepare(o, n, input);
        CHECK(orch_v2_start_workflow(orch, "limited", input, strlen(input), o, &x, &error) == 0,
              "%s", orch_error_message(error));
        load_say("limited", orch_execution_id(x), n);
        orch_execution_free(x);
        orch_start_options_free(o);
    }
}

static void help(orch_v2 *orch, bool all)
{
    if (all) {
        set_paused(orch, PAUSE_WAIT, false);
        set_paused(orch, PAUSE_ALL, false);
        return;
    }
    set_limit(orch, rand() % LIMITS, (uint32_t)(1 + rand() % LIMIT_MOST));
    set_paused(orch, PAUSE_WAIT, rand() % 2);
    set_paused(orch, PAUSE_ALL, rand() % 3 == 0);
    if (rand() % 2)
        register_version(orch);
    set_paused(orch, PAUSE_ALL, false);
    start_limited(orch);
}

static void line(orch_v2 *orch, const char *word, const char *key, long number)
{
    (void)key;
    if (!strcmp(word, "version"))
        judge_version(orch, number);
}

const load_family load_settings = {
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof *kinds,
    .define = define,
    .help = help,
    .line = line,
};
