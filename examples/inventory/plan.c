/* The step `plan`: names of files become batches, so many that the work spreads well and so few that a large
 * tree does not drown in processes. */
#include <stdlib.h>
#include <string.h>

#include "inventory.h"

#define BATCHES   400 /* aimed at */
#define BATCH_MAX 64  /* files in one */

json_t *task_input(orch_task *task)
{
    size_t len;
    const char *text = orch_task_input(task, &len);
    json_t *input = json_loadb(text, len, JSON_DECODE_ANY, NULL);

    if (!input)
        orch_task_fail(task, ORCH_E_RESOURCE_EXHAUSTED, 1, "no memory for the input");
    return input;
}

void task_done(orch_task *task, json_t *output)
{
    char *text = output ? json_dumps(output, JSON_COMPACT) : NULL;
    orch_error *err = NULL;

    if (!text)
        orch_task_fail(task, ORCH_E_RESOURCE_EXHAUSTED, 1, "no memory for the output");
    else if (orch_task_complete(task, text, strlen(text), &err) == ORCH_E_INVALID_ARGUMENT)
        orch_task_fail(task, ORCH_E_INVALID_ARGUMENT, 0, orch_error_message(err));
    orch_error_free(err);
    free(text);
    json_decref(output);
}

/* Six bits of a character of base64; 64 for any other. */
static uint32_t sextet(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (uint32_t)(at - alphabet) : 64;
}

/* In place; what it returns is the length. */
static size_t decode_base64(char *text)
{
    uint32_t bits = 0;
    size_t len = 0;
    int have = 0;

    for (const char *p = text; sextet(*p) < 64; p++) {
        bits = bits << 6 | sextet(*p);
        have += 6;
        if (have >= 8) {
            have -= 8;
            text[len++] = (char)(bits >> have);
        }
    }
    return len;
}

/* The names that JSON can carry (UTF-8), outside the folder that is left out. */
static json_t *usable_names(const char *list, size_t len, const char *leave_out,
                            json_int_t *skipped)
{
    json_t *names = json_array();
    size_t out_len = strlen(leave_out);

    for (const char *p = list; names && p < list + len; p += strlen(p) + 1) {
        json_t *name = json_string(p);

        if (!name)
            ++*skipped;
        else if ((!out_len || strncmp(p, leave_out, out_len) != 0) &&
                 json_array_size(names) < MAX_FILES)
            json_array_append(names, name);
        json_decref(name);
    }
    return names;
}

static json_t *make_batches(const json_t *names)
{
    size_t count = json_array_size(names), size = (count + BATCHES - 1) / BATCHES;
    json_t *batches = json_array(), *batch = NULL;

    if (size > BATCH_MAX)
        size = BATCH_MAX;
    for (size_t i = 0; i < count; i++) {
        if (i % size == 0) {
            batch = json_array();
            json_array_append_new(batches, batch);
        }
        json_array_append(batch, json_array_get(names, i));
    }
    return batches;
}

static size_t count_names(const char *list, size_t len)
{
    size_t count = 0;

    for (const char *p = list; p < list + len; p += strlen(p) + 1)
        count++;
    return count;
}

void plan_batches(void *user_data, orch_task *task)
{
    json_t *input = task_input(task), *names = NULL, *output = NULL;
    json_int_t skipped = 0;
    char *list = NULL;
    size_t len;

    (void)user_data;
    if (!input)
        return;
    list = strdup(json_string_value(json_object_get(input, "names")));
    if (list) {
        len = decode_base64(list);
        names = usable_names(list, len, json_string_value(json_object_get(input, "leave_out")),
                             &skipped);
        output = json_pack("{s:I, s:I, s:b, s:o}", "files", (json_int_t)json_array_size(names),
                           "skipped", skipped, "over_limit", count_names(list, len) > MAX_FILES,
                           "batches", make_batches(names));
    }
    if (output && !json_array_size(names)) {
        orch_task_fail(task, ORCH_E_NOT_FOUND, 0, "there are no files in this tree");
        json_decref(output);
    } else {
        task_done(task, output);
    }
    json_decref(names);
    json_decref(input);
    free(list);
}
