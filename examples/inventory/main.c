#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "inventory.h"

typedef struct options {
    const char *tree;
    const char *state;
    char root[PATH_MAX];   /* of the tree, absolute */
    char folder[PATH_MAX]; /* for store and reports, absolute */
} options;

static const char usage[] =
    "usage: inventory [--state DIR] [TREE]\n"
    "\n"
    "Counts and digests the files of a source tree (default: .) and writes a report. Killed at "
    "any\n"
    "moment and started again, it goes on from where it was.\n"
    "\n"
    "  --state DIR  where to keep the store and the reports\n"
    "               (default: $XDG_STATE_HOME/inventory, else ~/.local/state/inventory)\n";

/* ---- Where things are ---------------------------------------------------------------------------------- */

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "inventory: %s: %s\n", what, why);
    return false;
}

/* With all that leads to it. */
static bool make_folder(const char *path)
{
    char part[PATH_MAX];

    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(part, 0777) && errno != EEXIST)
            return complain(part, strerror(errno));
        *p = '/';
    }
    if (mkdir(part, 0777) && errno != EEXIST)
        return complain(part, strerror(errno));
    return true;
}

static bool find_places(options *o)
{
    const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char state[PATH_MAX];

    if (o->state)
        snprintf(state, sizeof state, "%s", o->state);
    else if (base && *base)
        snprintf(state, sizeof state, "%s/inventory", base);
    else if (home && *home)
        snprintf(state, sizeof state, "%s/.local/state/inventory", home);
    else
        return complain("--state", "say where to keep the store: there is no HOME");
    if (!realpath(o->tree, o->root))
        return complain(o->tree, strerror(errno));
    return make_folder(state) && (realpath(state, o->folder) || complain(state, strerror(errno)));
}

/* Where the state lies inside the tree, it is no part of it: "" or a path with a '/' at its end. */
static void inside_tree(const options *o, char *out, size_t size)
{
    size_t len = strlen(o->root);

    *out = '\0';
    if (!strncmp(o->folder, o->root, len) && o->folder[len] == '/')
        snprintf(out, size, "%s/", o->folder + len + 1);
}

static int read_options(int argc, char **argv, options *o)
{
    o->tree = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help")) {
            fputs(usage, stdout);
            return 0;
        }
        if (!strcmp(argv[i], "--state") && i + 1 < argc) {
            o->state = argv[++i];
        } else if (argv[i][0] == '-' || o->tree) {
            fputs(usage, stderr);
            return 2;
        } else {
            o->tree = argv[i];
        }
    }
    o->tree = o->tree ? o->tree : ".";
    return find_places(o) ? -1 : 1;
}

/* ---- The orchestrator ---------------------------------------------------------------------------------- */

/* In a store's URL '%' and '?' have a meaning. */
static void escape(const char *path, char *out)
{
    for (; *path; path++) {
        if (*path == '%' || *path == '?')
            out += sprintf(out, "%%%02X", (unsigned char)*path);
        else
            *out++ = *path;
    }
    *out = '\0';
}

/* A process that was killed a moment ago may still hold the store: the last program that it was about to start has a copy of the
 * lock until it runs. */
static orch_v2 *open_patiently(const orch_config *config, orch_error **err)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    orch_v2 *orch = orch_v2_new(config, err);

    for (int i = 0; i < 40 && orch_error_code(*err) == ORCH_E_UNAVAILABLE; i++) {
        orch_error_free(*err);
        *err = NULL;
        nanosleep(&pause, NULL);
        orch = orch_v2_new(config, err);
    }
    return orch;
}

static orch_v2 *open_store(const options *o, orch_error **err)
{
    char folder[3 * PATH_MAX], url[3 * PATH_MAX + 32];
    orch_config *config = orch_config_new();
    orch_v2 *orch = NULL;

    escape(o->folder, folder);
    snprintf(url, sizeof url, "sqlite:%s/inventory.db", folder);
    if (!orch_config_set(config, "STORE_URL", url, err))
        orch = open_patiently(config, err);
    orch_config_free(config);
    return orch;
}

static bool prepare(orch_v2 *orch, orch_error **err)
{
    orch_engine *engine = orch_v2_local_engine(orch);

    return !orch_engine_register_executor(engine, "plan_batches", plan_batches, NULL, NULL, err) &&
           !orch_engine_register_executor(engine, "write_report", write_report, NULL, NULL, err) &&
           !workflow_register(orch, err);
}

/* The id of this tree's execution that has not ended, if there is one. A page may be empty and have a next one. */
static bool find_open(orch_v2 *orch, const char *root, char *id, size_t size, orch_error **err)
{
    orch_filter *filter = orch_filter_new();
    const char *next = "";

    *id = '\0';
    if (orch_filter_set(filter, "workflow", workflow_id, err) ||
        orch_filter_set(filter, "payloads", "true", err) ||
        orch_filter_set(filter, "state", "pending", err) ||
        orch_filter_set(filter, "state", "running", err) ||
        orch_filter_set(filter, "state", "suspended", err))
        next = NULL;
    while (next && !*id) {
        orch_execution_list *list = NULL;

        if (orch_v2_list_executions(orch, filter, &list, err))
            break;
        for (size_t i = 0; i < orch_execution_list_count(list) && !*id; i++) {
            const orch_response *r = orch_execution_list_get(list, i);
            json_t *input = json_loads(orch_response_input(r, NULL), 0, NULL);
            const char *its_root = json_string_value(json_object_get(input, "root"));

            if (its_root && !strcmp(its_root, root))
                snprintf(id, size, "%s", orch_response_id(r));
            json_decref(input);
        }
        next = orch_execution_list_next(list);
        if (next && orch_filter_set(filter, "page", next, err))
            next = NULL;
        orch_execution_list_free(list);
    }
    orch_filter_free(filter);
    return !*err;
}

/* "inventory/NAME-20260131-235959": what a person recognises, and not taken yet. */
static void choose_id(const options *o, char *id, size_t size, char *report, size_t report_size)
{
    const char *slash = strrchr(o->root, '/'), *name = slash[1] ? slash + 1 : "root";
    time_t now = time(NULL);
    char when[32], clean[65];
    struct tm tm;
    size_t len = 0;

    strftime(when, sizeof when, "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
    for (; *name && len < sizeof clean - 1; name++)
        clean[len++] = (char)(strchr("._-", *name) || (*name >= '0' && *name <= '9') ||
                                      (*name >= 'a' && *name <= 'z') ||
                                      (*name >= 'A' && *name <= 'Z')
                                  ? *name
                                  : '_');
    clean[len] = '\0';
    snprintf(id, size, "inventory/%s-%s", clean, when);
    snprintf(report, report_size, "%s/%s-%s", o->folder, clean, when);
}

static bool start(orch_v2 *orch, const options *o, char *id, size_t size, orch_error **err)
{
    char report[PATH_MAX * 2], leave_out[PATH_MAX];
    orch_start_options *options;
    json_t *input;
    char *text;
    int32_t rc;

    inside_tree(o, leave_out, sizeof leave_out);
    choose_id(o, id, size, report, sizeof report);
    input = json_pack("{s:s, s:s, s:s}", "root", o->root, "report", report, "leave_out", leave_out);
    text = json_dumps(input, JSON_COMPACT);
    if (!text) {
        json_decref(input);
        return complain(o->root, "a path must be UTF-8");
    }
    options = orch_start_options_new();
    orch_start_options_set_id(options, id);
    rc = orch_v2_start_workflow(orch, workflow_id, text, strlen(text), options, NULL, err);
    orch_start_options_free(options);
    json_decref(input);
    free(text);
    return !rc;
}

/* ---- What is said -------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool say_going_on(orch_v2 *orch, const char *id, int64_t opened_ms, orch_error **err)
{
    history h;

    if (!history_read(orch, id, opened_ms, &h, err))
        return false;
    if (h.batches)
        printf("%s: going on after %lld of %lld batches, from the checkpoints\n", id,
               (long long)h.batches_done, (long long)h.batches);
    else
        printf("%s: going on after %d of %d steps, from the checkpoints\n", id, h.steps_done,
               STEP_COUNT);
    history_free(&h);
    return true;
}

static void say_result(const orch_response *end)
{
    json_t *output = json_loads(orch_response_output(end, NULL), 0, NULL);
    json_t *total = json_object_get(output, "total");

    printf("\n  %lld files, %lld lines, %lld bytes\n",
           (long long)json_integer_value(json_object_get(total, "files")),
           (long long)json_integer_value(json_object_get(total, "lines")),
           (long long)json_integer_value(json_object_get(total, "bytes")));
    printf("  %s\n  %s\n", json_string_value(json_object_get(output, "html")),
           json_string_value(json_object_get(output, "json")));
    json_decref(output);
}

static bool say_end(orch_v2 *orch, const orch_response *end, orch_error **err)
{
    bool ok = orch_response_state(end) == ORCH_EXECUTION_SUCCEEDED;
    const char *why = orch_response_error(end, NULL);
    history h;

    if (!history_read(orch, orch_response_id(end), INT64_MAX, &h, err))
        return false;
    printf("%s: %s after %.3f s\n", orch_response_id(end),
           orch_execution_state_name(orch_response_state(end)),
           (double)(orch_response_ended_ms(end) - orch_response_accepted_ms(end)) / 1000);
    timeline_print(&h);
    history_free(&h);
    if (ok)
        say_result(end);
    else
        complain(orch_response_id(end), why ? why : "no reason is known");
    return ok;
}

static bool run(orch_v2 *orch, const options *o, int64_t opened_ms, orch_error **err)
{
    orch_execution *execution = NULL;
    orch_response *end = NULL;
    char id[160];
    bool ok;

    /* In this order: what goes on cannot end before its executors are there, so that it is found open. */
    if (!find_open(orch, o->root, id, sizeof id, err) || !prepare(orch, err))
        return false;
    if (*id) {
        ok = say_going_on(orch, id, opened_ms, err);
    } else {
        ok = start(orch, o, id, sizeof id, err);
        if (ok)
            printf("%s: started on %s\n", id, o->root);
    }
    fflush(stdout);
    ok = ok && !orch_v2_find_execution(orch, id, &execution, err) &&
         follow(orch, execution, &end, err) && say_end(orch, end, err);
    orch_response_free(end);
    orch_execution_free(execution);
    return ok;
}

int main(int argc, char **argv)
{
    static options o;
    int64_t opened_ms = now_ms();
    orch_error *err = NULL;
    orch_v2 *orch;
    bool ok;
    int code;

    setlocale(LC_CTYPE, "");
    code = read_options(argc, argv, &o);
    if (code >= 0)
        return code;
    orch = open_store(&o, &err);
    ok = orch && run(orch, &o, opened_ms, &err);
    if (err)
        complain(*orch_error_about(err) ? orch_error_about(err) : o.folder,
                 orch_error_message(err));
    orch_error_free(err);
    orch_v2_free(orch);
    return ok ? 0 : 1;
}
