/* Starts: checked here, then one command; what waits is told by the loop without a thread between. */
#include <string.h>

#include "api/start_impl.h"

void start_free(start *s)
{
    orch_error_free(s->request.error);
    semver_range_free(s->request.range);
    bytes_unref(s->request.input);
    bytes_unref(s->request.plain_input);
    bytes_unref(s->request.attributes);
    mem_free(s->request.id);
    mem_free(s->request.start_key);
    mem_free(s->request.affinity);
    mem_free(s->request.limit_key);
    outcome_unref(s->outcome);
    if (s->task)
        task_unref(s->task);
    orch_unref(s->orch);
    mem_free(s);
}

/* ---- checks ---------------------------------------------------------------------------------------------- */

static int32_t copy(char **field, const char *text, orch_error **err)
{
    return replace_text(field, text) ? error_no_memory(err) : 0;
}

static int32_t fill_options(start *s, const orch_start_options *options, orch_error **err)
{
    start_request *r = &s->request;
    int32_t rc = options->version ? semver_range_parse(options->version, &r->range, err) : 0;

    if (!rc)
        rc = copy(&r->id, options->id, err);
    if (!rc)
        rc = copy(&r->start_key, options->start_key, err);
    if (!rc)
        rc = copy(&r->affinity, options->affinity, err);
    if (!rc)
        rc = copy(&r->limit_key, options->limit_key, err);
    r->timeout_ms = options->timeout_ms;
    r->start_at_ms = options->start_at_ms;
    s->delay_ms = options->delay_ms;
    r->has_priority = options->priority >= 0;
    r->priority = r->has_priority ? (uint8_t)options->priority : 0;
    r->attributes = bytes_ref(options->attributes);
    r->start_key_policy = options->start_key_policy;
    r->start_key_ttl_ms = options->start_key_ttl_ms;
    return rc;
}

static int32_t fill_request(start *s, const start_arguments *a, orch_error **err)
{
    int32_t rc = check_json(a->inputs_json, a->len, "inputs_json", s->orch->max_input_bytes, true,
                            &s->request.input, err);

    if (!rc && s->orch->codec.ops) {
        s->request.plain_input = bytes_ref(s->request.input);
        rc = payload_encode(s->orch, &s->request.input, err);
    }
    return rc || !a->options ? rc : fill_options(s, a->options, err);
}

static void start_child(start *s, runtime *rt)
{
    start_request *r = &s->request;
    attempt_place from;

    r->code = child_find_attempt(s->task, &from, &r->error);
    if (r->code)
        r->done(r);
    else
        orchestrator_start_child(runtime_orchestrator(rt), r, &from, s->abandoned);
}

static void run_command(command *c, runtime *rt)
{
    start *s = (start *)c;

    if (s->delay_ms)
        s->request.start_at_ms = runtime_now_ms(rt) + s->delay_ms;
    if (s->task)
        start_child(s, rt);
    else
        orchestrator_start(runtime_orchestrator(rt), &s->request);
}

static int32_t set_task(start *s, const start_arguments *a, orch_error **err)
{
    task_ref(a->task);
    s->task = a->task;
    s->abandoned = a->abandoned;
    return copy(&s->request.id, a->child_id, err);
}

int32_t start_new(orch_v2 *o, const start_arguments *a, void (*done)(struct start_request *r),
                  start **out, orch_error **err)
{
    int32_t rc = check_name(a->workflow, "id", err);
    size_t size;
    start *s;

    if (rc)
        return rc;
    size = strlen(a->workflow) + 1;
    s = mem_zalloc(sizeof *s + size);
    if (!s)
        return error_no_memory(err);
    s->orch = orch_ref(o);
    memcpy(s->workflow, a->workflow, size);
    s->command.run = run_command;
    s->request.workflow = s->workflow;
    s->request.done = done;
    rc = fill_request(s, a, err);
    if (!rc && a->task)
        rc = set_task(s, a, err);
    if (rc) {
        start_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

int32_t start_add_handle(start *s, const start_arguments *a, orch_error **err)
{
    const char *id = a->task ? a->child_id : a->options ? a->options->id : NULL;
    orch_execution *e = handle_new(s->orch, id);

    if (!e)
        return error_no_memory(err);
    atomic_fetch_add(&e->refs, 1);
    e->waiting = true;
    s->request.waiter = &e->waiter;
    s->execution = e;
    return 0;
}

void start_drop_handle(start *s)
{
    orch_execution *e = s->execution;

    if (!e)
        return;
    e->waiting = false;
    handle_unref(e); /* the loop's */
    handle_unref(e); /* the host's, which it never saw */
    s->execution = NULL;
}

int32_t start_take_existing(start *s, orch_error **err)
{
    start_request *r = &s->request;
    int32_t rc = 0;

    if (s->task)
        rc = child_check_input(s->orch, r->key, r->plain_input ? r->plain_input : r->input, err);
    else if (s->execution)
        handle_set_existing(s->execution);
    if (!s->execution)
        return rc;
    s->execution->existed = true;
    if (rc) {
        handle_unwant(s->execution);
        s->execution = NULL;
    }
    return rc;
}

/* ---- callers that block ---------------------------------------------------------------------------------- */

start *start_of(start_request *r)
{
    return LIST_ENTRY(r, start, request);
}

/* Time is not to go on until that thread has a processor. Afterwards it may have freed s. */
static void let_go(start *s)
{
    if (s->wants_end)
        runtime_unwatch(s->orch->rt);
    sem_post(&s->done);
}

/* Loop thread. */
static void on_answer(start_request *r)
{
    start *s = start_of(r);

    s->accepted = r->code == 0;
    if (s->accepted && s->execution)
        handle_set_key(s->execution, r->key);
    if (!s->accepted || !s->wants_end || s->ended)
        let_go(s);
}

static void on_end(end_waiter *w, int32_t code, outcome *out)
{
    start *s = LIST_ENTRY(w, start, waiter);

    s->code = code;
    s->outcome = outcome_ref(out);
    s->ended = true;
    if (s->accepted)
        let_go(s);
}

/* Post it and wait for the answer. */
static int32_t ask(start *s, orch_error **err)
{
    int32_t rc;

    sem_init(&s->done, 0, 0);
    rc = runtime_post(s->orch->rt, &s->command, err);
    if (!rc) {
        if (s->wants_end) /* before it is posted, time would go on without it */
            runtime_watch(s->orch->rt);
        while (sem_wait(&s->done))
            ;
        rc = s->request.code;
        if (rc) {
            pass_error(rc, s->request.error, err);
            s->request.error = NULL;
        }
    }
    sem_destroy(&s->done);
    return rc;
}

int32_t start_blocking(orch_v2 *o, const start_arguments *a, orch_execution **out, orch_error **err)
{
    start *s;
    int32_t rc = start_new(o, a, on_answer, &s, err);

    if (rc)
        return rc;
    if (out)
        rc = start_add_handle(s, a, err);
    if (!rc)
        rc = ask(s, err);
    if (rc)
        start_drop_handle(s);
    else if (s->request.existed)
        rc = start_take_existing(s, err);
    if (!rc && out)
        *out = s->execution;
    start_free(s);
    return rc;
}

static int32_t end_of(const start *s, orch_response *r, orch_error **err)
{
    char id[EXECUTION_ID_LEN + 1];

    if (!s->code) {
        response_set_outcome(r, s->orch, s->outcome);
        return 0;
    }
    if (s->code == ORCH_E_RESOURCE_EXHAUSTED)
        return error_no_memory(err);
    execution_id_format(s->request.key, id);
    return error_set(
        err, s->code, id,
        "the orchestrator stopped before execution '%s' ended; it goes on after the next "
        "start",
        id);
}

static int32_t execute(orch_v2 *o, const start_arguments *a, orch_response *r, orch_error **err)
{
    start *s;
    int32_t rc = start_new(o, a, on_answer, &s, err);

    if (rc)
        return rc;
    s->wants_end = true;
    s->waiter.done = on_end;
    s->request.waiter = &s->waiter;
    rc = ask(s, err);
    if (!rc)
        rc = end_of(s, r, err);
    start_free(s);
    return rc;
}

int32_t orch_v2_execute_workflow(orch_v2 *orch, const char *id, const char *inputs_json, size_t len,
                                 const orch_start_options *options, orch_response **out_response,
                                 orch_error **err)
{
    const start_arguments a = {id, inputs_json, len, options, NULL, NULL, false};
    int32_t rc = check_running(orch, err);
    orch_response *r;

    if (!rc)
        rc = check_not_null(out_response, "out_response", err);
    if (!rc)
        rc = check_may_block(orch, err);
    if (rc)
        return rc;
    r = response_new();
    if (!r)
        return error_no_memory(err);
    rc = runtime_begin_wait(orch->rt, err);
    if (!rc) {
        orch_ref(orch);
        rc = execute(orch, &a, r, err);
        runtime_end_wait(orch->rt);
        orch_unref(orch);
    }
    if (rc)
        orch_response_free(r);
    else
        *out_response = r;
    return rc;
}

int32_t orch_v2_start_workflow(orch_v2 *orch, const char *id, const char *inputs_json, size_t len,
                               const orch_start_options *options, orch_execution **out_execution,
                               orch_error **err)
{
    const start_arguments a = {id, inputs_json, len, options, NULL, NULL, false};
    int32_t rc = check_running(orch, err);

    if (!rc)
        rc = check_may_block(orch, err);
    return rc ? rc : start_blocking(orch, &a, out_execution, err);
}

int32_t orch_launcher_start(orch_launcher *launcher, const char *workflow, const char *inputs_json,
                            size_t len, const orch_start_options *options,
                            orch_execution **out_execution, orch_error **err)
{
    int32_t rc = check_not_null(launcher, "launcher", err);

    return rc ? rc
              : orch_v2_start_workflow(launcher->orch, workflow, inputs_json, len, options,
                                       out_execution, err);
}
