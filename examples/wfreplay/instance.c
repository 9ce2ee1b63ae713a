/* WfFormat 1.5 (https://wfcommons.org/format): workflow.specification.tasks has the graph, workflow.execution.tasks the
 * run times. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wfreplay.h"

#define MAX_TASKS       1000000
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

typedef struct reading {
    const char *path;
    instance *in;
    json_t *numbers; /* recorded id → number of the task */
} reading;

static bool wrong(const reading *r, const char *what, const char *id)
{
    fprintf(stderr, "wfreplay: %s: %s%s%s\n", r->path, what, id ? ": " : "", id ? id : "");
    return false;
}

/* ---- Names --------------------------------------------------------------------------------------------- */

static bool is_step_id(const char *s)
{
    size_t len = strspn(s, NAME_CHARACTERS);

    return len > 0 && len <= 128 && !s[len] && *s != '.' && *s != '-';
}

static void name_instance(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t len = strlen(name);

    if (len > 5 && !strcmp(name + len - 5, ".json"))
        len -= 5;
    snprintf(out, size, "%.*s", (int)len, name);
    for (char *p = out; *p; p++)
        if (!strchr(NAME_CHARACTERS, *p))
            *p = '_';
    if (!is_step_id(out))
        snprintf(out, size, "instance");
}

/* ---- Reading ------------------------------------------------------------------------------------------- */

static bool read_ids(reading *r, const json_t *tasks)
{
    json_t *entry;
    size_t i;

    json_array_foreach(tasks, i, entry)
    {
        const char *id = json_string_value(json_object_get(entry, "id"));
        task *t = &r->in->tasks[i];

        if (!id)
            return wrong(r, "a task has no id", NULL);
        if (json_object_get(r->numbers, id))
            return wrong(r, "two tasks have one id", id);
        json_object_set_new(r->numbers, id, json_integer((json_int_t)i));
        t->seconds = -1;
        if (is_step_id(id))
            snprintf(t->id, sizeof t->id, "%s", id);
        else
            snprintf(t->id, sizeof t->id, "task.%zu", i);
    }
    return true;
}

/* Once each: `seen` holds for every task the last child that named it as a parent. */
static bool add_parents(reading *r, task *t, const json_t *parents, uint32_t *seen)
{
    uint32_t child = (uint32_t)(t - r->in->tasks) + 1;
    json_t *parent;
    size_t i;

    t->parents = calloc(json_array_size(parents) + 1, sizeof *t->parents);
    if (!t->parents)
        return wrong(r, "no memory", NULL);
    json_array_foreach(parents, i, parent)
    {
        const char *id = json_string_value(parent);
        const json_t *entry = json_object_get(r->numbers, id);
        uint32_t number = (uint32_t)json_integer_value(entry);

        if (!entry)
            return wrong(r, "a parent is no task of this file", id);
        if (seen[number] == child)
            continue;
        seen[number] = child;
        t->parents[t->parent_count++] = number;
        r->in->tasks[number].children++;
        r->in->edges++;
    }
    return true;
}

static bool read_parents(reading *r, const json_t *tasks)
{
    uint32_t *seen = calloc(r->in->count, sizeof *seen);
    bool ok = seen || wrong(r, "no memory", NULL);

    for (uint32_t i = 0; i < r->in->count && ok; i++)
        ok = add_parents(r, &r->in->tasks[i], json_object_get(json_array_get(tasks, i), "parents"),
                         seen);
    free(seen);
    return ok;
}

static bool read_times(reading *r, const json_t *tasks)
{
    json_t *entry;
    size_t i;

    json_array_foreach(tasks, i, entry)
    {
        const char *id = json_string_value(json_object_get(entry, "id"));
        const json_t *number = json_object_get(r->numbers, id), *seconds;

        seconds = json_object_get(entry, "runtimeInSeconds");
        if (!number)
            return wrong(r, "a run time belongs to no task of this file", id);
        if (!json_is_number(seconds) || !(json_number_value(seconds) >= 0))
            return wrong(r, "runtimeInSeconds must be a number from 0 up", id);
        r->in->tasks[json_integer_value(number)].seconds = json_number_value(seconds);
    }
    for (i = 0; i < r->in->count; i++)
        if (r->in->tasks[i].seconds < 0)
            return wrong(r, "a task has no run time", r->in->tasks[i].id);
    return true;
}

/* ---- The critical path --------------------------------------------------------------------------------- */

/* Each task's children, so that the graph can be walked from above. */
static uint32_t **make_children(const instance *in, uint32_t *block)
{
    uint32_t **children = calloc(in->count + 1, sizeof(uint32_t *)), *used;

    used = calloc(in->count + 1, sizeof *used);
    if (children && used) {
        for (uint32_t i = 0; i < in->count; i++) {
            children[i] = block;
            block += in->tasks[i].children;
        }
        for (uint32_t i = 0; i < in->count; i++)
            for (uint32_t k = 0; k < in->tasks[i].parent_count; k++) {
                uint32_t parent = in->tasks[i].parents[k];

                children[parent][used[parent]++] = i;
            }
    }
    free(used);
    return children;
}

/* The longest way, in the order of the graph; false if there is a cycle. */
static bool walk(instance *in, uint32_t *const *children, uint32_t *waiting, double *begin,
                 uint32_t *queue)
{
    uint32_t head = 0, tail = 0;

    for (uint32_t i = 0; i < in->count; i++) {
        waiting[i] = in->tasks[i].parent_count;
        if (!waiting[i])
            queue[tail++] = i;
    }
    for (; head < tail; head++) {
        uint32_t n = queue[head];
        double end = begin[n] + in->tasks[n].seconds;

        in->critical_seconds = end > in->critical_seconds ? end : in->critical_seconds;
        for (uint32_t k = 0; k < in->tasks[n].children; k++) {
            uint32_t child = children[n][k];

            begin[child] = end > begin[child] ? end : begin[child];
            if (!--waiting[child])
                queue[tail++] = child;
        }
    }
    return tail == in->count;
}

static bool find_critical_path(reading *r)
{
    instance *in = r->in;
    uint32_t *block = calloc(in->edges + 1, sizeof *block);
    uint32_t *waiting = calloc(in->count + 1, sizeof *waiting);
    uint32_t *queue = calloc(in->count + 1, sizeof *queue);
    double *begin = calloc(in->count + 1, sizeof *begin);
    uint32_t **children = block ? make_children(in, block) : NULL;
    bool ok = waiting && queue && begin && children;

    if (!ok)
        wrong(r, "no memory", NULL);
    else if (!walk(in, children, waiting, begin, queue))
        ok = wrong(r, "the tasks depend on each other in a circle", NULL);
    free(children);
    free(begin);
    free(queue);
    free(waiting);
    free(block);
    return ok;
}

/* ---- The file ------------------------------------------------------------------------------------------ */

static bool read_workflow(reading *r, const json_t *workflow)
{
    const json_t *specified = json_object_get(json_object_get(workflow, "specification"), "tasks");
    const json_t *executed = json_object_get(json_object_get(workflow, "execution"), "tasks");
    size_t count = json_array_size(specified);

    if (!count || count > MAX_TASKS || !json_is_array(executed))
        return wrong(r, "not WfFormat 1.5: workflow.specification.tasks and .execution.tasks",
                     NULL);
    r->in->tasks = calloc(count, sizeof *r->in->tasks);
    r->numbers = json_object();
    if (!r->in->tasks || !r->numbers)
        return wrong(r, "no memory", NULL);
    r->in->count = (uint32_t)count;
    return read_ids(r, specified) && read_parents(r, specified) && read_times(r, executed) &&
           find_critical_path(r);
}

bool instance_read(const char *path, instance *out)
{
    reading r = {path, out, NULL};
    json_error_t error;
    json_t *file = json_load_file(path, 0, &error);
    char place[256];
    bool ok;

    *out = (instance){0};
    if (!file) {
        snprintf(place, sizeof place, "line %d", error.line);
        return wrong(&r, error.text, error.line > 0 ? place : NULL);
    }
    name_instance(path, out->name, sizeof out->name);
    ok = read_workflow(&r, json_object_get(file, "workflow"));
    if (!ok)
        instance_free(out);
    json_decref(r.numbers);
    json_decref(file);
    return ok;
}

void instance_free(instance *in)
{
    for (uint32_t i = 0; i < in->count; i++)
        free(in->tasks[i].parents);
    free(in->tasks);
    *in = (instance){0};
}

/* ---- As a definition ----------------------------------------------------------------------------------- */

char *instance_definition(const instance *in)
{
    json_t *steps = json_array(), *definition;
    char *text;

    for (uint32_t i = 0; i < in->count; i++) {
        const task *t = &in->tasks[i];
        json_t *parents = json_array();

        for (uint32_t k = 0; k < t->parent_count; k++)
            json_array_append_new(parents, json_string(in->tasks[t->parents[k]].id));
        json_array_append_new(steps, json_pack("{s:s, s:s, s:o, s:{s:I, s:f}}", "id", t->id,
                                               "executor", "task", "depends_on", parents, "with",
                                               "task", (json_int_t)i, "seconds", t->seconds));
    }
    definition = json_pack("{s:s, s:s, s:o}", "id", in->name, "version", "1.0.0", "steps", steps);
    text = definition && json_array_size(steps) == in->count ? json_dumps(definition, JSON_COMPACT)
                                                             : NULL;
    json_decref(definition);
    return text;
}
