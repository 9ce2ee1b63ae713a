/* Attempts: from the run's wish through `with` and the executor to the result. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "engine/engine_impl.h"

struct attempt_job {
    attempt base; /* first */
    UT_hash_handle hh;
    uint64_t place; /* step and index */
    slot *slot;
    executor_entry *executor; /* NULL: not registered yet */
    evaluation *evaluating;   /* of its `with`, on the pool */
    snapshot *view;           /* for executors that show it */
    sandbox_names names;
    list parked; /* in engine.parked until parked_until_ms */
    int64_t parked_until_ms;
    int64_t started_ms;
    bool started; /* the executor has it */
    char key[];   /* idempotency key */
};

static uint64_t place_of(uint32_t step, uint32_t index)
{
    return (uint64_t)step << 32 | index;
}

static const step *step_of(const attempt_job *j)
{
    return &j->slot->known->definition->steps[j->place >> 32];
}

attempt_job *attempt_of_node(mpsc_node *node)
{
    return (attempt_job *)LIST_ENTRY(node, attempt, node);
}

attempt_job *attempt_first(const slot *s)
{
    return s->attempts;
}

const char *attempt_step_id(const attempt_job *j)
{
    return step_of(j)->id;
}

/* ---- the end --------------------------------------------------------------------------------------------- */

static void tell_run(slot *s, uint32_t step, uint32_t index, uint32_t number, int64_t started_ms,
                     attempt_result *r)
{
    run_result result = {
        .code = r->code,
        .no_retry = r->no_retry,
        .started_ms = started_ms,
        .output = r->output,
        .error = r->error,
    };

    if (r->code && !r->error)
        result.error = error_json(r->code, orch_code_name(r->code), NULL);
    run_attempt_ended(s->run, ROLE_STEP, step, index, number, &result, s->engine->now_ms);
}

void attempt_finished(attempt_job *j)
{
    slot *s = j->slot;

    HASH_DEL(s->attempts, j);
    list_remove(&j->parked);
    if (s->state == SLOT_DROPPED) {
        bytes_unref(j->base.result.output);
        bytes_unref(j->base.result.error);
    } else {
        tell_run(s, (uint32_t)(j->place >> 32), j->base.index, j->base.number, j->started_ms,
                 &j->base.result);
        engine_touch(s);
    }
    json_decref(j->base.with);
    json_decref(j->base.input);
    snapshot_free(j->view);
    mem_free(j);
    slot_unref_work(s);
}

static void finish_with_error(attempt_job *j, const orch_error *error)
{
    j->base.result = (attempt_result){
        .code = orch_error_code(error),
        .no_retry = !orch_error_retryable(error),
        .error = error_json_of(error),
    };
    attempt_finished(j);
}

/* Any thread. */
static void complete(attempt *a)
{
    engine *e = ((attempt_job *)a)->slot->engine;

    if (mpsc_push(&e->finished, &a->node))
        e->ports.wake(e->ports.ctx);
}

/* ---- the start ------------------------------------------------------------------------------------------- */

static const char *step_name(void *ctx, uint32_t step)
{
    const definition *d = ctx;

    return d->steps[step].id;
}

static bool show_scope(attempt_job *j)
{
    slot *s = j->slot;

    j->view = values_snapshot(s, (uint32_t)(j->place >> 32), j->base.index, NULL, 0, true);
    if (!j->view)
        return false;
    j->names = (sandbox_names){
        .ctx = s->known->definition,
        .steps = j->view->numbers,
        .count = j->view->count,
        .name = step_name,
    };
    j->base.scope = &j->view->scope;
    j->base.names = &j->names;
    return true;
}

static void tell_started(const attempt_job *j)
{
    slot *s = j->slot;
    message *m = s->channel ? message_new(MESSAGE_STEP_STARTED, s->epoch) : NULL;

    if (!m)
        return; /* it is news, not state */
    m->step_started.step = (uint32_t)(j->place >> 32);
    m->step_started.index = j->base.index;
    m->step_started.attempt = j->base.number;
    m->step_started.at_ms = j->started_ms;
    channel_send(s->channel, m);
}

static void start(attempt_job *j)
{
    executor *x = &j->executor->executor;
    slot *s = j->slot;
    orch_error *error = NULL;

    if (atomic_load(&j->base.stop)) {
        error_set(&error, atomic_load(&j->base.stop), NULL, "stopped before it started");
    } else {
        j->base.input = json_incref(values_input(s));
        if (!j->base.input || (x->ops->wants_scope && !show_scope(j)))
            error_no_memory(&error);
    }
    if (error) {
        finish_with_error(j, error);
        orch_error_free(error);
        return;
    }
    j->started = true;
    j->started_ms = s->engine->now_ms;
    tell_started(j); /* before: afterwards it may be gone */
    if (x->ops->start(x->self, &j->base))
        attempt_finished(j);
}

static void with_evaluated(evaluation *v)
{
    attempt_job *j = v->attempt;

    j->evaluating = NULL;
    if (v->error) {
        finish_with_error(j, v->error);
    } else {
        j->base.with = json_incref(v->value);
        start(j);
    }
    evaluation_free(v);
}

static void evaluate_with_on_pool(attempt_job *j, const template *t)
{
    evaluation *v = evaluation_new(j->slot, t, (uint32_t)(j->place >> 32), j->base.index);
    orch_error *error = NULL;

    if (v) {
        v->attempt = j;
        v->done = with_evaluated;
        if (!evaluation_start(v, &error)) {
            j->evaluating = v;
            return;
        }
    } else {
        error_no_memory(&error);
    }
    evaluation_free(v);
    finish_with_error(j, error);
    orch_error_free(error);
}

/* The executor is known: evaluate its input, then start it. */
static void prepare(attempt_job *j)
{
    const template *t = step_of(j)->with;
    orch_error *error = NULL;
    scope sc;

    if (!t || template_constant(t)) {
        j->base.with = t ? json_incref(template_constant(t)) : NULL;
        start(j);
        return;
    }
    if (!template_is_inline(t)) {
        evaluate_with_on_pool(j, t);
        return;
    }
    if (!values_scope(j->slot, (uint32_t)(j->place >> 32), j->base.index, &sc))
        error_no_memory(&error);
    else
        template_evaluate(t, &sc, NULL, &j->base.with, &error);
    if (error) {
        finish_with_error(j, error);
        orch_error_free(error);
        return;
    }
    start(j);
}

static attempt_job *job_new(slot *s, const run_action *a)
{
    const definition *d = s->known->definition;
    const char *step_id = d->steps[a->step].id;
    size_t room = strlen(s->start->execution) + strlen(step_id) + 32;
    attempt_job *j = mem_zalloc(sizeof *j + room);

    if (!j)
        return NULL;
    j->place = place_of(a->step, a->index);
    HASH_ADD(hh, s->attempts, place, sizeof j->place, j);
    if (!map_added(j->hh)) {
        mem_free(j);
        return NULL;
    }
    snprintf(j->key, room, a->index == INDEX_NONE ? "%s/%u/%s" : "%s/%u/%s/%u", s->start->execution,
             s->start->run, step_id, a->index);
    j->slot = s;
    list_init(&j->parked);
    j->started_ms = s->engine->now_ms;
    j->base.execution = s->start->execution;
    j->base.workflow = d->id;
    j->base.step = step_id;
    j->base.idempotency_key = j->key;
    j->base.run = s->start->run;
    j->base.index = a->index;
    j->base.number = a->attempt;
    j->base.deadline_ms = a->deadline_ms;
    j->base.complete = complete;
    s->under_way++;
    s->engine->under_way++;
    return j;
}

/* noop: no object, no queue. */
static void run_immediately(slot *s, const run_action *a, executor *x)
{
    attempt *at_once = &s->engine->at_once;

    at_once->index = a->index;
    at_once->number = a->attempt;
    x->ops->start(x->self, at_once);
    tell_run(s, a->step, a->index, a->attempt, s->engine->now_ms, &at_once->result);
}

static void park(attempt_job *j)
{
    engine *e = j->slot->engine;

    j->parked_until_ms = e->now_ms + e->options.executor_wait_ms;
    list_push(&e->parked, &j->parked);
    log_write(e->ports.log, ORCH_LOG_WARNING,
              "execution %s, step %s: no executor '%s' is registered; waiting for it",
              j->base.execution, j->base.step,
              j->slot->known->definition->executors[step_of(j)->executor]);
}

void attempt_begin(slot *s, const run_action *a)
{
    const step *st = &s->known->definition->steps[a->step];
    executor_entry *x = engine_executor_of(s->engine, s->known, st->executor);
    attempt_job *j;

    if (x && x->executor.ops->immediate && !st->with) {
        run_immediately(s, a, &x->executor);
        return;
    }
    j = job_new(s, a);
    if (!j) {
        attempt_result r = {.code = ORCH_E_RESOURCE_EXHAUSTED};

        tell_run(s, a->step, a->index, a->attempt, s->engine->now_ms, &r);
    } else if (x) {
        j->executor = x;
        prepare(j);
    } else {
        park(j);
    }
}

/* ---- stopping, and waiting for an executor --------------------------------------------------------------- */

static void stop_job(attempt_job *j, int32_t code)
{
    orch_error *error = NULL;

    if (atomic_exchange(&j->base.stop, code))
        return; /* told before */
    if (j->started) {
        if (j->executor->executor.ops->stop)
            j->executor->executor.ops->stop(j->executor->executor.self, &j->base);
    } else if (!j->evaluating) { /* parked */
        error_set(&error, code, NULL, "stopped while it waited for its executor");
        finish_with_error(j, error);
        orch_error_free(error);
    }
}

void attempt_stop(slot *s, const run_action *a)
{
    uint64_t place = place_of(a->step, a->index);
    attempt_job *j;

    HASH_FIND(hh, s->attempts, &place, sizeof place, j);
    if (j && j->base.number == a->attempt)
        stop_job(j, a->code);
}

void attempt_stop_all(slot *s, int32_t code)
{
    attempt_job *j, *next;

    HASH_ITER(hh, s->attempts, j, next)
    {
        stop_job(j, code);
    }
}

int64_t attempt_parked_deadline(const engine *e)
{
    return list_empty(&e->parked)
               ? INT64_MAX
               : LIST_ENTRY(e->parked.next, attempt_job, parked)->parked_until_ms;
}

void attempt_retry_parked(engine *e)
{
    list waiting;
    list *node;

    list_init(&waiting);
    while ((node = list_pop(&e->parked)))
        list_push(&waiting, node);
    while ((node = list_pop(&waiting))) {
        attempt_job *j = LIST_ENTRY(node, attempt_job, parked);
        uint16_t number = step_of(j)->executor;
        orch_error *error = NULL;

        j->executor = engine_executor_of(e, j->slot->known, number);
        if (j->executor) {
            prepare(j);
        } else if (j->parked_until_ms > e->now_ms) {
            list_push(&e->parked, &j->parked);
        } else {
            error_set(&error, ORCH_E_NOT_FOUND, NULL, "no executor is registered as '%s'",
                      j->slot->known->definition->executors[number]);
            finish_with_error(j, error);
            orch_error_free(error);
        }
    }
}
