/* What is known, for people: tables and a few lines; with -o json, what the service answered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "orchctl.h"

static const char *time_of(const json_t *o, const char *key, char room[32])
{
    int64_t ms = number_of(o, key);
    time_t s = (time_t)(ms / 1000);
    struct tm utc;

    if (!ms)
        return "-";
    gmtime_r(&s, &utc);
    strftime(room, 32, "%Y-%m-%d %H:%M:%S", &utc);
    return room;
}

/* ---- one execution --------------------------------------------------------------------------------------- */

static void line(const char *name, const char *value)
{
    if (*value)
        printf("%-10s %s\n", name, value);
}

int show_execution(ctl *c)
{
    json_t *e = ctl_call(c, "GetExecution", json_pack("{s:s}", "execution_id", c->args[0]));
    char room[32];

    if (c->json) {
        put_json(e);
        json_decref(e);
        return EXIT_SUCCESS;
    }
    line("id", text_of(e, "id"));
    line("workflow", text_of(e, "workflow_id"));
    line("version", text_of(e, "version"));
    line("state", text_of(e, "state"));
    line("paused", json_is_true(json_object_get(e, "paused")) ? "yes" : "");
    line("accepted", time_of(e, "accepted_ms", room));
    line("ended", time_of(e, "ended_ms", room));
    line("parent", text_of(e, "parent_id"));
    line("input", text_of(e, "input"));
    line("output", text_of(e, "output"));
    line("error", text_of(e, "error"));
    json_decref(e);
    return EXIT_SUCCESS;
}

int show_end(const ctl *c, const json_t *execution)
{
    int succeeded = !strcmp(text_of(execution, "state"), "SUCCEEDED");

    if (c->json)
        put_json(execution);
    else if (succeeded)
        printf("%s\n", text_of(execution, "output"));
    else
        fprintf(stderr, "orchctl: %s %s: %s\n", text_of(execution, "id"),
                text_of(execution, "state"), text_of(execution, "error"));
    return succeeded ? EXIT_SUCCESS : EXIT_NOT_SUCCEEDED;
}

int show_history(ctl *c)
{
    int64_t after = 0;
    size_t n;

    do {
        json_t *page = ctl_call(
            c, "GetHistory",
            json_pack("{s:s,s:I}", "execution_id", c->args[0], "after_seq", (json_int_t)after));
        json_t *entry;
        char room[32];
        size_t i;

        n = json_array_size(json_object_get(page, "entries"));
        json_array_foreach(json_object_get(page, "entries"), i, entry)
        {
            after = number_of(entry, "seq");
            if (c->json)
                put_json(entry);
            else
                printf("%6lld  %s  %-16s %-24s %s%s\n", (long long)after,
                       time_of(entry, "ended_ms", room), text_of(entry, "kind"),
                       text_of(entry, "step"), text_of(entry, "output"), text_of(entry, "error"));
        }
        json_decref(page);
    } while (n);
    return EXIT_SUCCESS;
}

int show_steps(ctl *c)
{
    int64_t first = 0, total;

    do {
        json_t *page = ctl_call(
            c, "GetSteps",
            json_pack("{s:s,s:I}", "execution_id", c->args[0], "first", (json_int_t)first));
        json_t *step;
        size_t i;

        total = number_of(page, "total");
        json_array_foreach(json_object_get(page, "steps"), i, step)
        {
            first++;
            if (c->json)
                put_json(step);
            else
                printf("%-24s %-12s %-14s %lld %s\n", text_of(step, "id"),
                       text_of(step, "executor"), text_of(step, "state"),
                       (long long)number_of(step, "attempts"), text_of(step, "error"));
        }
        if (!i)
            total = 0;
        json_decref(page);
    } while (first < total);
    return EXIT_SUCCESS;
}

/* ---- lists ----------------------------------------------------------------------------------------------- */

static void add_condition(json_t *list, const char *key, const char *value)
{
    if (value)
        json_array_append_new(list, json_pack("{s:s,s:s}", "key", key, "value", value));
}

static int put_executions(const ctl *c, const json_t *page)
{
    json_t *e;
    char room[32];
    size_t i;

    json_array_foreach(json_object_get(page, "executions"), i, e)
    {
        if (c->json)
            put_json(e);
        else
            printf("%-28s %-24s %-10s %-10s %s\n", text_of(e, "id"), text_of(e, "workflow_id"),
                   text_of(e, "version"), text_of(e, "state"), time_of(e, "accepted_ms", room));
    }
    return (int)i;
}

int list_executions(ctl *c)
{
    json_t *conditions = json_array();
    char *token = strdup("");

    add_condition(conditions, "state", c->state);
    add_condition(conditions, "workflow", c->workflow);
    do {
        json_t *page = ctl_call(c, "ListExecutions",
                                json_pack("{s:O,s:i,s:s}", "conditions", conditions, "page_size",
                                          c->limit, "page_token", token));

        put_executions(c, page);
        free(token);
        token = strdup(text_of(page, "next_page_token"));
        json_decref(page);
    } while (c->all && token && *token);
    free(token);
    json_decref(conditions);
    return EXIT_SUCCESS;
}

int list_workflows(ctl *c)
{
    char *token = strdup("");

    do {
        json_t *page = ctl_call(
            c, "ListWorkflows",
            json_pack("{s:s,s:s}", "workflow_id", c->count ? c->args[0] : "", "page_token", token));
        json_t *w;
        size_t i;

        json_array_foreach(json_object_get(page, "workflows"), i, w)
        {
            if (c->json)
                put_json(w);
            else
                printf("%-32s %-12s%s\n", text_of(w, "id"), text_of(w, "version"),
                       json_is_true(json_object_get(w, "paused")) ? " paused" : "");
        }
        free(token);
        token = strdup(text_of(page, "next_page_token"));
        json_decref(page);
    } while (token && *token);
    free(token);
    return EXIT_SUCCESS;
}

int list_engines(ctl *c)
{
    json_t *answer = ctl_call(c, "ListEngines", json_object()), *e;
    size_t i;

    json_array_foreach(json_object_get(answer, "engines"), i, e)
    {
        if (c->json)
            put_json(e);
        else
            printf("%-24s %-32s %lld/%lld %s\n", text_of(e, "name"), text_of(e, "endpoint"),
                   (long long)number_of(e, "active"), (long long)number_of(e, "capacity"),
                   json_is_true(json_object_get(e, "available")) ? "available" : "resting");
    }
    json_decref(answer);
    return EXIT_SUCCESS;
}
