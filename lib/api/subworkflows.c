/* Children that tasks start. The loop finds out which attempt a task is of; what it starts then is a start like others (start.c). */
#include <string.h>
#include <time.h>

#include "api/api_impl.h"
#include "base/text.h"
#include "workflow/child.h"

orch_subworkflows *orch_v2_subworkflows(orch_v2 *orch)
{
    return orch ? &orch->subworkflows : NULL;
}

/* ---- options --------------------------------------------------------------------------------------------- */

struct orch_child_options {
    char *key; /* NULL = none */
    bool abandoned;
};

orch_child_options *orch_child_options_new(void)
{
    return mem_zalloc(sizeof(orch_child_options));
}

void orch_child_options_free(orch_child_options *options)
{
    if (!options)
        return;
    mem_free(options->key);
    mem_free(options);
}

int32_t orch_child_options_set_key(orch_child_options *options, const char *key)
{
    if (!options || (key && !text_is_name(key, NAME_MAX_LEN)))
        return ORCH_E_INVALID_ARGUMENT;
    return replace_text(&options->key, key);
}

int32_t orch_child_options_set_on_parent_end(orch_child_options *options, int32_t policy)
{
    if (!options || (policy != ORCH_CHILD_CANCEL && policy != ORCH_CHILD_ABANDON))
        return ORCH_E_INVALID_ARGUMENT;
    options->abandoned = policy == ORCH_CHILD_ABANDON;
    return 0;
}

/* ---- the attempt of a task ------------------------------------------------------------------------------- */

/* Loop thread. */
static int32_t find_attempt(const orch_task *task, attempt_place *out, orch_error **err)
{
    const attempt *a = task_attempt(task);
    const char *step = orch_task_step(task);

    if (!a || !engine_place_of(a, out))
        return error_set(err, ORCH_E_FAILED_PRECONDITION, step,
                         "the attempt of step '%s' is over: it was completed, or its engine has "
                         "given it up",
                         step);
    return 0;
}

int32_t child_find_attempt(const orch_task *task, attempt_place *out, orch_error **err)
{
    int32_t stop = orch_task_stopping(task);
    int32_t rc = find_attempt(task, out, err);

    if (rc)
        return rc;
    if (orch_task_role(task) != ORCH_TASK_STEP)
        return error_set(err, ORCH_E_FAILED_PRECONDITION, orch_task_step(task),
                         "the tasks of compensate and on_failure start no children");
    if (stop)
        return error_set(err, stop, orch_task_step(task),
                         "the task of step '%s' was told to stop: it starts no more children",
                         orch_task_step(task));
    return 0;
}

static int32_t check_task(orch_subworkflows *sub, const orch_task *task, orch_error **err)
{
    int32_t rc = check_not_null(sub, "subworkflows", err);

    if (!rc)
        rc = check_running(sub->orch, err);
    if (!rc)
        rc = check_not_null(task, "task", err);
    if (!rc && !runtime_has_task(sub->orch->rt, task))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "task",
                       "the task is of another orchestrator's engine");
    return rc;
}

/* ---- starts ---------------------------------------------------------------------------------------------- */

static int32_t check_start(const orch_start_options *start, orch_error **err)
{
    if (start && start->id)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "start",
                         "start has the id '%s'; a child's id follows from its task", start->id);
    if (start && start->start_key)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "start",
                         "start has a start key; of a child the task and its key in "
                         "orch_child_options are the key");
    return 0;
}

/* The rest of a start's arguments; a->child_id is the caller's to free. */
static int32_t fill_child(start_arguments *a, orch_subworkflows *sub, orch_task *task,
                          const orch_child_options *child, orch_error **err)
{
    int32_t rc = check_task(sub, task, err);

    if (!rc)
        rc = check_start(a->options, err);
    if (rc)
        return rc;
    a->task = task;
    a->abandoned = child && child->abandoned;
    a->child_id = child_id_of_task(orch_task_idempotency_key(task), child ? child->key : NULL);
    return a->child_id ? 0 : error_no_memory(err);
}

int32_t orch_subworkflows_start(orch_subworkflows *subworkflows, orch_task *task,
                                const char *workflow, const char *inputs_json, size_t len,
                                const orch_start_options *start, const orch_child_options *child,
                                orch_execution **out_execution, orch_error **err)
{
    start_arguments a = {workflow, inputs_json, len, start, NULL, NULL, false};
    int32_t rc = fill_child(&a, subworkflows, task, child, err);

    if (!rc)
        rc = check_may_block(subworkflows->orch, err);
    if (!rc)
        rc = start_blocking(subworkflows->orch, &a, out_execution, err);
    mem_free(a.child_id);
    return rc;
}

int32_t orch_subworkflows_start_async(orch_subworkflows *subworkflows, orch_task *task,
                                      const char *workflow, const char *inputs_json, size_t len,
                                      const orch_start_options *start,
                                      const orch_child_options *child, orch_start_fn accepted,
                                      orch_execution_fn ended, void *user_data,
                                      orch_free_fn free_fn, orch_error **err)
{
    start_arguments a = {workflow, inputs_json, len, start, NULL, NULL, false};
    const start_callbacks c = {accepted, ended, user_data, free_fn};
    int32_t rc = fill_child(&a, subworkflows, task, child, err);

    if (!rc)
        rc = start_async(subworkflows->orch, &a, &c, err);
    else if (free_fn)
        free_fn(user_data);
    mem_free(a.child_id);
    return rc;
}

static json_t *parse_input(const bytes *input)
{
    return input ? json_loadb(input->data, input->len, 0, NULL) : json_object();
}

/* What is stored may be spelled otherwise, and still say the same. */
static int32_t check_same(const char *id, const bytes *was, const bytes *is, orch_error **err)
{
    json_t *a = parse_input(was), *b = parse_input(is);
    int32_t rc = a && b ? 0 : error_no_memory(err); /* both were JSON */

    if (!rc && !json_equal(a, b))
        rc = error_set(err, ORCH_E_ALREADY_EXISTS, id,
                       "child '%s' was started before with other inputs; give the second child of "
                       "a step a key of its own",
                       id);
    json_decref(a);
    json_decref(b);
    return rc;
}

int32_t child_check_input(orch_v2 *o, uint64_t key, const bytes *input, orch_error **err)
{
    store *s = runtime_store(o->rt);
    execution_row row = {0};
    int32_t status = 0;
    int32_t rc = s->ops->load_execution(s->self, key, NULL, &row, err);

    if (rc)
        return rc;
    payload_decode(o, &row.input, &status);
    if (status)
        rc = error_set(err, status, row.id,
                       "the inputs of child '%s' cannot be decoded, and so not be compared",
                       row.id);
    else
        rc = check_same(row.id, row.input, input, err);
    execution_row_clear(&row);
    return rc;
}

/* ---- waiting for all of them ----------------------------------------------------------------------------- */

typedef struct find_command {
    command base; /* first */
    const orch_task *task;
    attempt_place place;
    int32_t code;
    orch_error *error;
    sem_t done;
} find_command;

static void find(command *c, runtime *rt)
{
    find_command *f = (find_command *)c;

    (void)rt;
    f->code = find_attempt(f->task, &f->place, &f->error);
    sem_post(&f->done);
}

static int32_t ask_attempt(orch_v2 *o, const orch_task *task, attempt_place *out, orch_error **err)
{
    find_command f = {.base.run = find, .task = task};
    int32_t rc;

    sem_init(&f.done, 0, 0);
    rc = runtime_post(o->rt, &f.base, err);
    while (!rc && sem_wait(&f.done))
        ;
    sem_destroy(&f.done);
    if (!rc)
        rc = pass_error(f.code, f.error, err);
    *out = f.place;
    return rc;
}

static bool is_child_of(const execution_row *row, const attempt_place *at)
{
    return row->by_task && row->parent_run == at->run && row->parent_step == at->step &&
           row->parent_index == at->index;
}

/* One that is open; *out NULL: there is none. */
static int32_t find_open(orch_v2 *o, const attempt_place *at, char **out, orch_error **err)
{
    store *s = runtime_store(o->rt);
    execution_filter f = {.parent = at->execution,
                          .states = 1U << EXECUTION_OPEN | 1U << EXECUTION_SUSPENDED};
    int32_t rc;

    *out = NULL;
    do {
        execution_page page = {0};

        rc = s->ops->list_executions(s->self, &f, &page, err);
        for (size_t i = 0; i < page.count && !*out; i++) {
            if (is_child_of(&page.rows[i], at)) {
                *out = page.rows[i].id;
                page.rows[i].id = NULL;
            }
        }
        f.after_key = page.next_after;
        execution_page_clear(&page);
    } while (!rc && !*out && f.after_key);
    return rc;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int32_t wait_for(orch_v2 *o, const char *id, int32_t timeout_ms, orch_error **err)
{
    orch_execution *e = NULL;
    orch_response *r = NULL;
    int32_t rc = orch_v2_find_execution(o, id, &e, err);

    if (!rc)
        rc = orch_execution_wait(e, timeout_ms, &r, err);
    orch_response_free(r);
    orch_execution_free(e);
    return rc;
}

static int32_t check_wait(orch_subworkflows *sub, const orch_task *task, int32_t timeout_ms,
                          orch_error **err)
{
    int32_t rc = check_task(sub, task, err);

    if (!rc && timeout_ms < -1)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "timeout_ms",
                       "timeout_ms is %d; it must be -1 (for ever), 0 (only look) or more",
                       timeout_ms);
    if (!rc)
        rc = timeout_ms ? check_may_block(sub->orch, err) : check_may_ask(sub->orch, err);
    return rc;
}

int32_t orch_subworkflows_wait(orch_subworkflows *subworkflows, orch_task *task, int32_t timeout_ms,
                               orch_error **err)
{
    int32_t rc = check_wait(subworkflows, task, timeout_ms, err);
    int64_t until = now_ms() + timeout_ms;
    attempt_place at;
    char *open = NULL;

    if (!rc)
        rc = ask_attempt(subworkflows->orch, task, &at, err);
    if (!rc)
        rc = find_open(subworkflows->orch, &at, &open, err);
    while (!rc && open) {
        int64_t left = timeout_ms < 0 ? -1 : until - now_ms();

        rc = wait_for(subworkflows->orch, open, left < 0 && timeout_ms >= 0 ? 0 : (int32_t)left,
                      err);
        mem_free(open);
        open = NULL;
        if (!rc)
            rc = find_open(subworkflows->orch, &at, &open, err);
    }
    mem_free(open);
    return rc;
}
