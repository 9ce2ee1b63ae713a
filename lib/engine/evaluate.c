/* Expressions: plain paths at once, all else on the pool, with what they can see held by reference. */
#include <string.h>

#include "base/error.h"
#include "engine/engine_impl.h"
#include "workflow/wait.h"

evaluation *evaluation_new(slot *s, const template *t, viewer who)
{
    evaluation *v = mem_zalloc(sizeof *v);
    bool direct;
    size_t count;
    const uint32_t *steps = template_steps(t, &count, &direct);

    if (!v)
        return NULL;
    v->view = values_snapshot(s, who, steps, count, direct);
    if (!v->view) {
        mem_free(v);
        return NULL;
    }
    v->engine = s->engine;
    v->slot = s;
    v->definition = definition_ref(s->known->definition);
    v->template = t;
    return v;
}

void evaluation_free(evaluation *v)
{
    if (!v)
        return;
    json_decref(v->value);
    orch_error_free(v->error);
    snapshot_free(v->view);
    definition_unref(v->definition);
    mem_free(v);
}

static void run_on_pool(work *w)
{
    evaluation *v = LIST_ENTRY(w, evaluation, work);
    sandbox *lua = NULL;

    if (sandboxes_take(v->engine->sandboxes, &lua, &v->error))
        return;
    template_evaluate(v->template, &v->view->scope, lua, &v->value, &v->error);
    sandboxes_give(v->engine->sandboxes, lua);
}

static void back_on_loop(work *w)
{
    evaluation *v = LIST_ENTRY(w, evaluation, work);

    if (w->refused)
        error_set(&v->error, ORCH_E_CANCELLED, NULL, "the engine stops");
    v->done(v);
}

int32_t evaluation_start(evaluation *v, orch_error **err)
{
    v->work.run = run_on_pool;
    v->work.done = back_on_loop;
    if (v->engine->ports.pool.submit(v->engine->ports.pool.self, &v->work))
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, NULL, "the task pool's queue is full");
    return 0;
}

/* ---- answers to RUN_EVALUATE ----------------------------------------------------------------------------- */

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {"an object", "a list", "a string", "a number",
                                        "a number",  "true",   "false",    "null"};

    return value ? names[json_typeof(value)] : "nothing";
}

int32_t evaluate_take_items(slot *s, uint32_t step, json_t *value, run_answer *a, orch_error **err)
{
    const char *id = s->known->definition->steps[step].id;
    bytes *text;
    int32_t rc;

    if (!json_is_array(value))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, id,
                         "for_each of step '%s' gave %s; it must give a list", id,
                         type_name(value));
    text = canonical_json(value);
    if (!text)
        return error_no_memory(err);
    rc = digest_of(text->data, text->len, &a->items_digest);
    bytes_unref(text);
    a->count = json_array_size(value);
    if (rc || !values_set_items(s, step, json_incref(value)))
        return error_no_memory(err);
    return 0;
}

static int32_t answer_due(slot *s, uint32_t step, json_t *value, run_answer *a, orch_error **err)
{
    wait_spec spec = {0};
    int32_t rc = wait_spec_read(value, s->known->definition->steps[step].id, s->engine->now_ms,
                                &spec, err);

    a->due_ms = spec.due_ms;
    a->value = spec.signal;
    return rc;
}

static int32_t answer_output(const slot *s, json_t *value, run_answer *a, orch_error **err)
{
    int32_t rc = definition_check_outputs(s->known->definition, value, err);

    if (rc)
        return rc;
    a->value = json_to_bytes(value);
    return a->value ? 0 : error_no_memory(err);
}

/* Takes neither value nor error over. */
static void answer(slot *s, const run_action *act, json_t *value, const orch_error *error)
{
    orch_error *own = NULL;
    run_answer a = {0};

    if (error) {
        a.code = orch_error_code(error);
    } else if (act->what == RUN_WHEN) {
        a.truth = !json_is_null(value) && !json_is_false(value);
    } else if (act->what == RUN_FOR_EACH) {
        a.code = evaluate_take_items(s, act->step, value, &a, &own);
    } else if (act->what == RUN_DUE) {
        a.code = answer_due(s, act->step, value, &a, &own);
    } else if (act->what == RUN_SPEC) {
        a.code = child_spec_check(value, s->known->definition->steps[act->step].id, &a.value, &own);
    } else {
        a.code = answer_output(s, value, &a, &own);
    }
    if (a.code)
        a.error = error_json_of(own ? own : error);
    orch_error_free(own);
    run_evaluated(s->run, act->what, act->step, act->index, &a, s->engine->now_ms);
}

static const template *template_of(const slot *s, const run_action *a)
{
    const definition *d = s->known->definition;

    switch (a->what) {
    case RUN_WHEN: return d->steps[a->step].extra->when;
    case RUN_FOR_EACH: return d->steps[a->step].extra->for_each;
    case RUN_DUE:
    case RUN_SPEC: return d->steps[a->step].with;
    default: return d->output;
    }
}

static void evaluated_on_pool(evaluation *v)
{
    slot *s = v->slot;

    if (s->state != SLOT_DROPPED) {
        answer(s, &v->action, v->value, v->error);
        engine_touch(s);
    }
    evaluation_free(v);
    slot_unref_work(s);
}

static void evaluate_on_pool(slot *s, const run_action *a, const template *t, viewer who)
{
    evaluation *v = evaluation_new(s, t, who);
    orch_error *error = NULL;

    if (v) {
        v->action = *a;
        v->done = evaluated_on_pool;
        if (!evaluation_start(v, &error)) {
            s->under_way++;
            s->engine->under_way++;
            return;
        }
    } else {
        error_no_memory(&error);
    }
    evaluation_free(v);
    answer(s, a, NULL, error);
    orch_error_free(error);
}

void evaluate_action(slot *s, const run_action *a)
{
    const template *t = template_of(s, a);
    viewer who = {ROLE_STEP, a->what == RUN_OUTPUT ? STEP_NONE : a->step, a->index};
    orch_error *error = NULL;
    json_t *value = NULL;

    if (template_constant(t)) {
        answer(s, a, template_constant(t), NULL);
        return;
    }
    if (!template_is_inline(t)) {
        evaluate_on_pool(s, a, t, who);
        return;
    }
    values_evaluate(s, who, t, &value, &error);
    answer(s, a, value, error);
    json_decref(value);
    orch_error_free(error);
}
