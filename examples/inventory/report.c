/* The step `report`: writes the files beside their place and moves them there, so that it can be done again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inventory.h"

typedef void (*write_fn)(FILE *f, const json_t *input);

static void write_json(FILE *f, const json_t *input)
{
    json_dumpf(json_object_get(input, "summary"), f, JSON_INDENT(2));
    fputc('\n', f);
}

static void write_html(FILE *f, const json_t *input)
{
    html_write(f, json_object_get(input, "summary"),
               json_string_value(json_object_get(input, "root")),
               json_integer_value(json_object_get(input, "taken_ms")));
}

/* 0 or errno. */
static int write_file(const char *path, write_fn write, const json_t *input)
{
    char name[4096];
    FILE *f;
    int bad;

    if (snprintf(name, sizeof name, "%s.new", path) >= (int)sizeof name)
        return ENAMETOOLONG;
    f = fopen(name, "w");
    if (!f)
        return errno;
    write(f, input);
    bad = ferror(f);
    if (fclose(f) || bad || rename(name, path))
        return errno ? errno : EIO;
    return 0;
}

static void fail(orch_task *task, const char *path, int error)
{
    char message[4352];

    snprintf(message, sizeof message, "%s: %s", path, strerror(error));
    orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, message);
}

void write_report(void *user_data, orch_task *task)
{
    json_t *input = task_input(task);
    char json_path[4096], html_path[4096];
    const char *path;
    int error;

    (void)user_data;
    if (!input)
        return;
    path = json_string_value(json_object_get(input, "path"));
    snprintf(json_path, sizeof json_path, "%s.json", path);
    snprintf(html_path, sizeof html_path, "%s.html", path);
    error = write_file(json_path, write_json, input);
    if (error) {
        fail(task, json_path, error);
    } else {
        error = write_file(html_path, write_html, input);
        if (error)
            fail(task, html_path, error);
        else
            task_done(task,
                      json_pack("{s:s, s:s, s:O}", "json", json_path, "html", html_path, "total",
                                json_object_get(json_object_get(input, "summary"), "total")));
    }
    json_decref(input);
}
