/* How an attempt starts: what its executor is given is evaluated, here or on the pool, and then the executor has it. */
#include <string.h>

#include "base/error.h"
#include "engine/attempt_impl.h"

static const char *step_name(void *ctx, uint32_t step)
{
    const definition *d = ctx;

    return d->steps[step].id;
}

static viewer viewer_of(const attempt_job *j)
{
    return (viewer){j->base.role, j->step, j->base.index};
}

static bool show_scope(attempt_job *j)
{
    slot *s = j->slot;

    j->view = values_snapshot(s, viewer_of(j), NULL, 0, true);
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

    events_tell(s->engine->ports.events, s->engine->now_ms, ORCH_LOG_DEBUG, "step_started",
                s->start->execution, attempt_step_id(j), "attempt %u", j->base.number);
    if (!m)
        return; /* it is news, not state */
    m->step_started.step = j->step;
    m->step_started.role = j->base.role;
    m->step_started.index = j->base.index;
    m->step_started.attempt = j->base.number;
    m->step_started.at_ms = j->started_ms;
    channel_send(s->channel, m);
}

void attempt_start(attempt_job *j)
{
    executor *x = &j->executor->executor;
    slot *s = j->slot;
    orch_error *error = NULL;

    if (!atomic_load(&j->base.stop) && !proof_holds(s)) { /* it took long to get here */
        list_push(&s->proof.held, &j->parked);
        proof_ask(s);
        return;
    }
    if (atomic_load(&j->base.stop)) {
        error_set(&error, atomic_load(&j->base.stop), NULL, "stopped before it started");
    } else {
        j->base.input = json_incref(values_input(s));
        if (!j->base.input || (x->ops->wants_scope && !show_scope(j)))
            error_no_memory(&error);
    }
    if (error) {
        attempt_finish_with(j, error);
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
        attempt_finish_with(j, v->error);
    } else {
        j->base.with = json_incref(v->value);
        attempt_start(j);
    }
    evaluation_free(v);
}

static void evaluate_on_pool(attempt_job *j, const template *t, viewer who,
                             void (*done)(evaluation *v))
{
    evaluation *v = evaluation_new(j->slot, t, who);
    orch_error *error = NULL;

    if (v) {
        v->attempt = j;
        v->done = done;
        if (!evaluation_start(v, &error)) {
            j->evaluating = v;
            return;
        }
    } else {
        error_no_memory(&error);
    }
    evaluation_free(v);
    attempt_finish_with(j, error);
    orch_error_free(error);
}

static int32_t evaluate_with(attempt_job *j, orch_error **err)
{
    return values_evaluate(j->slot, viewer_of(j), j->with, &j->base.with, err);
}

/* What compensates sees more than the slot's own scope has. */
static int32_t evaluate_with_view(attempt_job *j, orch_error **err)
{
    size_t count;
    bool direct;
    const uint32_t *steps = template_steps(j->with, &count, &direct);
    snapshot *v = values_snapshot(j->slot, viewer_of(j), steps, count, direct);
    int32_t rc = v ? template_evaluate(j->with, &v->scope, NULL, &j->base.with, err)
                   : error_no_memory(err);

    snapshot_free(v);
    return rc;
}

static void begin_with(attempt_job *j)
{
    orch_error *error = NULL;
    int32_t rc;

    if (!j->with || template_constant(j->with)) {
        j->base.with = j->with ? json_incref(template_constant(j->with)) : NULL;
        attempt_start(j);
        return;
    }
    if (!template_is_inline(j->with)) {
        evaluate_on_pool(j, j->with, viewer_of(j), with_evaluated);
        return;
    }
    rc = j->base.role == ROLE_STEP ? evaluate_with(j, &error) : evaluate_with_view(j, &error);
    if (rc) {
        attempt_finish_with(j, error);
        orch_error_free(error);
        return;
    }
    attempt_start(j);
}

/* ---- the list of a for_each, once more ------------------------------------------------------------------- */

/* A run that only has to be compensated does not ask for lists when it goes on from its history. */
static bool lacks_item(const attempt_job *j)
{
    return j->base.role == ROLE_COMPENSATE && j->base.index != INDEX_NONE &&
           !values_has_items(j->slot, j->step);
}

/* To undo something else than what was done is worse than to undo nothing. */
static int32_t take_list(attempt_job *j, json_t *value, orch_error **err)
{
    const digest *was = run_items_digest(j->slot->run, j->step);
    run_answer a = {0};
    int32_t rc = evaluate_take_items(j->slot, j->step, value, &a, err);

    if (rc || !was || !memcmp(was, &a.items_digest, sizeof *was))
        return rc;
    return error_set(err, ORCH_E_FAILED_PRECONDITION, j->base.step,
                     "for_each of step '%s' gives another list than the one whose items are to be "
                     "compensated",
                     j->base.step);
}

static void list_came(attempt_job *j, json_t *value, const orch_error *error)
{
    orch_error *own = NULL;

    if (!error)
        take_list(j, value, &own);
    if (error || own)
        attempt_finish_with(j, error ? error : own);
    else
        begin_with(j);
    orch_error_free(own);
}

static void list_evaluated(evaluation *v)
{
    v->attempt->evaluating = NULL;
    list_came(v->attempt, v->value, v->error);
    evaluation_free(v);
}

static void fetch_list(attempt_job *j)
{
    const template *t = j->slot->known->definition->steps[j->step].extra->for_each;
    const viewer who = {ROLE_STEP, j->step, INDEX_NONE};
    orch_error *error = NULL;
    json_t *value = NULL;

    if (template_constant(t)) {
        list_came(j, template_constant(t), NULL);
        return;
    }
    if (!template_is_inline(t)) {
        evaluate_on_pool(j, t, who, list_evaluated);
        return;
    }
    values_evaluate(j->slot, who, t, &value, &error);
    list_came(j, value, error);
    json_decref(value);
    orch_error_free(error);
}

void attempt_prepare(attempt_job *j)
{
    if (lacks_item(j))
        fetch_list(j);
    else
        begin_with(j);
}
