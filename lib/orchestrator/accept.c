/* Starts: checked, recorded, then answered. */
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

typedef struct accept_job {
    unit_job job; /* first */
    execution_row row;
    start_key key;
    live *live;
    start_request *request;
} accept_job;

static int64_t earlier(int64_t a, int64_t b)
{
    return !a ? b : !b ? a : a < b ? a : b;
}

static void refuse(orchestrator *o, start_request *r, int32_t code)
{
    r->code = code;
    o->stats.refused++;
    r->done(r);
}

static void accepted(orchestrator *o, live *l, start_request *r, int64_t wake_ms)
{
    uint64_t key = l->key;

    r->key = key;
    r->code = 0;
    o->stats.started++;
    live_tell(l, ORCH_LOG_INFO, "execution_accepted", NULL, l->version->workflow);
    if (r->waiter) {
        list_init(&r->waiter->link);
        waiters_add(o, key, r->waiter);
    }
    if (wake_ms && !MUTATED(DELAY_IGNORED)) {
        live_free(l);
        wake_at(o, wake_ms);
    } else if (queue_takes_new(o, l)) {
        queue_add(l, false);
    } else {
        if (limit_waits_in_store(l->limit))
            limit_left_in_store(l->limit);
        else
            queue_overflow(o, l->priority, key);
        live_free(l);
    }
    r->done(r);
    if (o->stopping)
        waiters_tell(o, key, ORCH_E_CANCELLED, NULL);
}

/* The start key was used before. */
static void key_taken(orchestrator *o, uint64_t existing, start_request *r)
{
    char made[EXECUTION_ID_LEN + 1];

    r->existed = true;
    r->key = existing;
    if (r->start_key_policy == START_KEY_REFUSE) {
        execution_id_format(existing, made);
        error_set(&r->error, ORCH_E_ALREADY_EXISTS, r->start_key,
                  "the start key '%s' of workflow '%s' was used before, for the execution with the "
                  "key %s",
                  r->start_key, r->workflow, made);
        refuse(o, r, ORCH_E_ALREADY_EXISTS);
        return;
    }
    r->code = 0;
    if (r->waiter)
        orchestrator_wait(o, existing, r->waiter);
    r->done(r);
}

static void accept_done(unit_job *j)
{
    accept_job *a = (accept_job *)j;
    orchestrator *o = j->o;
    start_request *r = a->request;
    live *l = a->live;
    int32_t code = j->unit.result;
    int64_t wake_ms = a->row.wake_ms;
    uint64_t existing = a->key.existing;

    mem_free(a);
    o->accepting--;
    l->units--;
    if (!code || (MUTATED(REFUSED_START_ANSWERED) && refusal_passes(code))) {
        accepted(o, l, r, wake_ms);
        return;
    }
    o->stats.open--;
    if (code == ORCH_E_ALREADY_EXISTS && existing) {
        live_free(l);
        key_taken(o, existing, r);
        return;
    }
    if (code == ORCH_E_ALREADY_EXISTS)
        error_set(&r->error, code, l->id, "an execution '%s' exists already", l->id ? l->id : "");
    else if (code == ORCH_E_RESOURCE_EXHAUSTED)
        error_set(&r->error, code, r->workflow,
                  "the store is full: nothing is accepted until there "
                  "is room again");
    else if (code == ORCH_E_FAILED_PRECONDITION)
        error_set(&r->error, code, r->workflow, "the parent has ended: its child was not started");
    else
        error_set(&r->error, code, r->workflow, "the start could not be recorded: %s",
                  orch_code_name(code));
    live_free(l);
    refuse(o, r, code);
}

/* The definition's timeout is known once it is loaded; a version that is not is loaded first. */
static void fill_row(accept_job *a)
{
    live *l = a->live;
    const start_request *r = a->request;

    a->row = (execution_row){
        .key = l->key,
        .id = l->id,
        .definition = l->version->key,
        .run = 1,
        .state = EXECUTION_OPEN,
        .accepted_ms = l->accepted_ms,
        .deadline_ms = l->deadline_ms,
        .priority = l->priority,
        .limit_key = r->limit_key,
        .affinity = l->affinity,
        .attributes = r->attributes,
        .input = l->input,
    };
    if (r->start_at_ms > l->accepted_ms) {
        a->row.state = EXECUTION_SUSPENDED;
        a->row.wake_ms = r->start_at_ms;
        a->row.wake_inbox = WAKE_NEVER;
    }
    if (l->parent) {
        a->row.parent = l->parent->key;
        a->row.parent_run = l->parent->run;
        a->row.parent_step = l->parent->step;
        a->row.parent_index = l->parent->index;
        a->row.parent_attempt = l->parent->attempt;
        a->row.depth = l->parent->depth;
        a->row.abandoned = l->parent->abandoned;
        a->row.by_task = l->parent->by_task;
    }
}

static void fill_key(accept_job *a)
{
    const start_request *r = a->request;

    if (!r->start_key)
        return;
    a->key = (start_key){
        .workflow = r->workflow,
        .key = r->start_key,
        .policy = r->start_key_policy,
        .expires_ms = r->start_key_ttl_ms ? a->row.accepted_ms + r->start_key_ttl_ms : 0,
        .now_ms = a->row.accepted_ms,
    };
    a->job.unit.start_key = &a->key;
}

/* What it is started with is what the definition declares. */
static int32_t check_input(const start_request *r, const definition *d, orch_error **err)
{
    const bytes *text = r->plain_input ? r->plain_input : r->input;
    json_t *tree;
    int32_t rc;

    if (!d->has_inputs)
        return 0;
    tree = text ? json_loadb(text->data, text->len, 0, NULL) : NULL;
    if (text && !tree)
        return error_no_memory(err); /* it was checked to be JSON */
    rc = definition_check_inputs(d, tree, err);
    json_decref(tree);
    return rc;
}

static int32_t check(orchestrator *o, start_request *r, version_entry **v)
{
    if (o->stopping)
        return error_set(&r->error, ORCH_E_FAILED_PRECONDITION, NULL,
                         "the orchestrator is stopped");
    if (o->fenced)
        return error_set(&r->error, ORCH_E_UNAVAILABLE, NULL,
                         "another orchestrator has taken the store over");
    if (r->parent && !child_is_wanted(o, r->parent))
        return error_set(&r->error, ORCH_E_FAILED_PRECONDITION, r->workflow,
                         "the parent has ended: its child was not started");
    if (r->parent && !r->parent->by_task) /* an engine's credit bounds them */
        return registry_resolve(o, r->workflow, r->range, v, &r->error);
    /* Children pass, or the system would wait for itself. */
    if (!r->parent && o->stats.open >= o->options.max_open)
        return error_set(&r->error, ORCH_E_RESOURCE_EXHAUSTED, r->workflow,
                         "%llu executions are open, which is the limit",
                         (unsigned long long)o->stats.open);
    if (o->accepting >= o->options.max_accepting)
        return error_set(&r->error, ORCH_E_RESOURCE_EXHAUSTED, r->workflow,
                         "%u starts are waiting to be recorded, which is the limit", o->accepting);
    if (o->accepting && o->input_bytes > 2 * o->options.window_bytes)
        return error_set(&r->error, ORCH_E_RESOURCE_EXHAUSTED, r->workflow,
                         "inputs of %llu bytes are in memory, which is the limit",
                         (unsigned long long)o->input_bytes);
    return registry_resolve(o, r->workflow, r->range, v, &r->error);
}

static int32_t submit(orchestrator *o, start_request *r, version_entry *v)
{
    accept_job *a = mem_zalloc(sizeof *a);
    live *l = a ? live_new(o, live_next_key(o, r->id)) : NULL;
    int64_t timeout_ms = earlier(r->timeout_ms, v->definition->timeout_ms);
    int64_t begin_ms = r->start_at_ms > o->now_ms ? r->start_at_ms : o->now_ms;

    if (l && !limit_attach(l, r->limit_key)) {
        live_free(l);
        l = NULL;
    }
    if (!l) {
        mem_free(a);
        return error_no_memory(&r->error);
    }
    l->phase = PHASE_ACCEPTING;
    l->fresh = true;
    l->run = 1;
    l->parent = r->parent;
    r->parent = NULL;
    if (r->has_priority)
        l->priority = r->priority;
    l->version = v;
    l->id = r->id;
    r->id = NULL;
    live_set_input(l, bytes_ref(r->input));
    l->accepted_ms = o->now_ms;
    l->deadline_ms = earlier(timeout_ms ? begin_ms + timeout_ms : 0, r->latest_ms);
    l->affinity = r->affinity;
    r->affinity = NULL;
    l->units++;
    a->live = l;
    a->request = r;
    fill_row(a);
    unit_init(&a->job, o, l->key, accept_done);
    a->job.unit.accept = &a->row;
    if (l->parent) { /* else its end has looked for children already */
        a->job.unit.key = l->parent->key;
        a->job.unit.must_be_open = true;
    }
    fill_key(a);
    o->accepting++;
    o->stats.open++;
    unit_submit(&a->job);
    return 0;
}

void orchestrator_start(orchestrator *o, start_request *r)
{
    version_entry *v = NULL;
    int32_t rc;

    look_at_clock(o);
    list_init(&r->link);
    rc = check(o, r, &v);
    if (!rc && !v->definition) { /* its timeout counts from the acceptance */
        list_push(&v->starting, &r->link);
        reads_definition(o, v);
        return;
    }
    if (!rc)
        rc = check_input(r, v->definition, &r->error);
    if (!rc)
        rc = submit(o, r, v);
    if (rc) {
        r->code = rc;
        list_push(&o->answered_starts, &r->link);
    }
}

void accept_answer_all(orchestrator *o)
{
    list *node;

    while ((node = list_pop(&o->answered_starts))) {
        start_request *r = LIST_ENTRY(node, start_request, link);

        refuse(o, r, r->code);
    }
}

void accept_definition_loaded(orchestrator *o, version_entry *v, int32_t code,
                              const orch_error *error)
{
    list *node;

    while ((node = list_pop(&v->starting))) {
        start_request *r = LIST_ENTRY(node, start_request, link);

        if (code) { /* answered later: this may be inside the call that asks */
            r->error = error_copy(error);
            r->code = code;
            list_push(&o->answered_starts, &r->link);
        } else {
            orchestrator_start(o, r);
        }
    }
}
