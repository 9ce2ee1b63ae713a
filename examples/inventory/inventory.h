/* inventory: lists a source tree, counts and digests its files in parallel, and writes a report. */
#ifndef INVENTORY_H
#define INVENTORY_H

#include <jansson.h>
#include <orch/orch.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_FILES 20000 /* of a tree: what is beyond is left out, and the report says so */

/* The workflow of this program: list, plan, count (for each batch of files), reduce, report. */
extern const char workflow_id[];
int32_t workflow_register(orch_v2 *orch, orch_error **err);

/* Steps that are functions of this program. */
void plan_batches(void *user_data, orch_task *task); /* names of files, base64 → batches */
void write_report(void *user_data,
                  orch_task *task); /* what `reduce` found → a JSON and an HTML file */

/* The step's input as a tree, or NULL: then the task has failed. */
json_t *task_input(orch_task *task);
/* Complete the task with `output`, which passes over; NULL fails it. */
void task_done(orch_task *task, json_t *output);

/* The report as a web page that needs nothing else. */
void html_write(FILE *f, const json_t *summary, const char *root, int64_t taken_ms);

#define STEP_COUNT 5
extern const char *const step_names[STEP_COUNT];

/* What the history knows of one step. */
typedef struct step_times {
    int64_t start_ms, end_ms; /* UTC; 0 while it has not begun */
    uint32_t attempts, retries;
} step_times;

/* One attempt that ended. */
typedef struct span {
    int step;
    int64_t start_ms, end_ms;
} span;

/* The history of an execution. */
typedef struct history {
    step_times steps[STEP_COUNT];
    span *spans;
    size_t span_count, span_cap;
    int64_t batches, batches_done; /* of `count`; 0 before it has begun */
    int steps_done;
} history;

/* What was recorded before a moment; INT64_MAX = all. */
bool history_read(orch_v2 *orch, const char *id, int64_t before_ms, history *out, orch_error **err);
void history_free(history *h);

/* The terminal: what is going on, and what went on. */
bool follow(orch_v2 *orch, orch_execution *execution, orch_response **end, orch_error **err);
void timeline_print(const history *h);

#endif
