/* What expressions can see: input, the execution, values of steps that ended, the item. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mutation.h"
#include "engine/engine_impl.h"

static json_t *parse(const bytes *b)
{
    return b ? json_loadb(b->data, b->len, JSON_DECODE_ANY, NULL) : json_null();
}

static int add_to_buf(const char *data, size_t len, void *ctx)
{
    buf *b = ctx;

    buf_add(b, data, len);
    return b->failed ? -1 : 0;
}

bytes *json_to_bytes(const json_t *value)
{
    buf b = BUF_INIT;

    if (json_dump_callback(value, add_to_buf, &b, JSON_COMPACT | JSON_ENCODE_ANY))
        b.failed = true;
    return buf_bytes(&b);
}

json_t *values_input(slot *s)
{
    json_t *given;

    if (s->input)
        return s->input;
    given = s->start->input ? parse(s->start->input) : json_object();
    if (given)
        s->input = definition_fill_inputs(s->known->definition, given);
    json_decref(given);
    return s->input;
}

static json_t *execution_of(slot *s)
{
    const definition *d = s->known->definition;

    if (!s->execution)
        s->execution = json_pack("{s:s,s:s,s:s,s:I,s:I,s:s*}", "id", s->start->execution,
                                 "workflow", d->id, "version", d->version, "run",
                                 (json_int_t)s->start->run, "accepted_ms",
                                 (json_int_t)s->start->accepted_ms, "parent", s->start->parent);
    return s->execution;
}

static json_t *item_outputs(slot *s, uint32_t step, uint32_t count)
{
    json_t *list = json_array();

    for (uint32_t i = 0; list && i < count; i++) {
        if (json_array_append_new(list, parse(run_item_output(s->run, step, i)))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static const char *status_name(uint8_t kind)
{
    switch (kind) {
    case CHECKPOINT_SUCCEEDED: return "succeeded";
    case CHECKPOINT_FAILED: return "failed";
    case CHECKPOINT_CANCELLED: return "cancelled";
    default: return "skipped";
    }
}

/* What stands for a for_each as a whole: the list of its outputs, null for items that failed and were let go. */
static bool is_listed(const slot *s, uint32_t step, const run_value *v)
{
    const step_extra *extra = s->known->definition->steps[step].extra;

    return extra && extra->for_each &&
           (v->kind == CHECKPOINT_SUCCEEDED ||
            (v->kind == CHECKPOINT_FAILED && extra->continue_on_failure && v->items));
}

static json_t *pack_value(const run_value *v, json_t *output)
{
    return json_pack("{s:s,s:o,s:o}", "status", status_name(v->kind), "output", output, "error",
                     parse(v->error));
}

static json_t *make_value(slot *s, uint32_t step, const run_value *v)
{
    return pack_value(v,
                      is_listed(s, step, v) ? item_outputs(s, step, v->items) : parse(v->output));
}

/* Borrowed; NULL if the step has not ended (or there is no memory). After scope_of. */
static json_t *step_value(slot *s, uint32_t step)
{
    run_value v;

    if (!s->values[step] &&
        run_get_value(s->run, MUTATED(VALUE_OF_ANOTHER_STEP) && step ? step - 1 : step, &v))
        s->values[step] = make_value(s, step, &v);
    return s->values[step];
}

static json_t *scope_step(void *ctx, uint32_t step)
{
    return step_value(ctx, step);
}

static json_t *items_of(const slot *s, uint32_t step)
{
    slot_items *items;

    HASH_FIND(hh, s->items, &step, sizeof step, items);
    return items ? items->list : NULL;
}

static json_t *item_of(const slot *s, uint32_t step, uint32_t index)
{
    if (index == INDEX_NONE)
        return NULL;
    return json_array_get(items_of(s, step), MUTATED(ITEM_OF_ANOTHER) ? 0 : index);
}

bool values_has_items(const slot *s, uint32_t step)
{
    return items_of(s, step) != NULL;
}

/* What expressions of a step see now; borrowed from the slot. False if there is no memory. */
static bool scope_of(slot *s, viewer who, scope *out)
{
    if (!s->values) /* here, where lack of memory is not taken for a step that has not ended */
        s->values = mem_calloc(s->known->definition->step_count, sizeof *s->values);
    *out = (scope){
        .input = values_input(s),
        .execution = execution_of(s),
        .item = item_of(s, who.step, who.index),
        .index = who.index == INDEX_NONE ? -1 : (int64_t)who.index,
        .ctx = s,
        .step = scope_step,
    };
    return s->values && out->input && out->execution;
}

/* A scope that gives nothing for a step says that it has not ended: so all that is named is looked for before. */
static bool has_values(slot *s, const template *t)
{
    size_t count;
    bool direct;
    const uint32_t *steps = template_steps(t, &count, &direct);
    run_value ended;

    for (size_t i = 0; i < count; i++)
        if (!step_value(s, steps[i]) && run_get_value(s->run, steps[i], &ended))
            return false;
    return true;
}

int32_t values_evaluate(slot *s, viewer who, const template *t, json_t **out, orch_error **err)
{
    scope sc;

    if (!scope_of(s, who, &sc) || !has_values(s, t))
        return error_no_memory(err);
    return template_evaluate(t, &sc, NULL, out, err);
}

bool values_set_items(slot *s, uint32_t step, json_t *items)
{
    slot_items *entry;

    HASH_FIND(hh, s->items, &step, sizeof step, entry);
    if (!entry) {
        entry = mem_zalloc(sizeof *entry);
        if (entry) {
            entry->step = step;
            HASH_ADD(hh, s->items, step, sizeof step, entry);
        }
        if (!entry || !map_added(entry->hh)) {
            mem_free(entry);
            json_decref(items);
            return false;
        }
    }
    json_decref(entry->list);
    entry->list = items;
    s->items_total += json_array_size(items);
    return true;
}

/* ---- snapshots ------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static json_t *snapshot_step(void *ctx, uint32_t step)
{
    const snapshot *v = ctx;
    const uint32_t *found = bsearch(&step, v->numbers, v->count, sizeof step, by_number);

    return found ? v->values[found - v->numbers] : NULL;
}

static const char *snapshot_step_name(void *ctx, uint32_t step)
{
    const snapshot *v = ctx;

    return v->definition->steps[step].id;
}

static json_t *snapshot_secret(void *ctx, const char *name, orch_error **err)
{
    snapshot *v = ctx;

    return v->engine->ports.secret(v->engine->ports.ctx, name, err);
}

/* Of the item that is compensated, what stands for its step is what it did itself. */
static json_t *item_value(slot *s, viewer who)
{
    run_value v;

    return run_get_item(s->run, who.step, who.index, &v) ? pack_value(&v, parse(v.output)) : NULL;
}

/* A new reference. NULL if the step has not ended, or (*failed) there is no memory. */
static json_t *shown_value(slot *s, viewer who, uint32_t step, bool *failed)
{
    bool own = who.role == ROLE_COMPENSATE && step == who.step && who.index != INDEX_NONE;
    json_t *value = own ? item_value(s, who) : json_incref(step_value(s, step));
    run_value ended;

    if (!value)
        *failed = own ? run_get_item(s->run, step, who.index, &ended)
                      : run_get_value(s->run, step, &ended);
    return value;
}

/* The wanted steps, sorted and without doubles, as far as they have ended. False if there is no memory. */
static bool add_steps(slot *s, snapshot *v, viewer who, size_t wanted)
{
    bool failed = false;

    qsort(v->numbers, wanted, sizeof *v->numbers, by_number);
    for (size_t i = 0; i < wanted && !failed; i++) {
        uint32_t step = v->numbers[i];

        if (v->count && v->numbers[v->count - 1] == step)
            continue;
        v->values[v->count] = shown_value(s, who, step, &failed);
        if (v->values[v->count])
            v->numbers[v->count++] = step;
    }
    return !failed;
}

/* What `steps` as a whole stands for: the direct dependencies, and what is compensated; for the workflow every step. */
static size_t add_direct(const slot *s, viewer who, uint32_t *numbers)
{
    const definition *d = s->known->definition;
    const step *self;

    if (who.step == STEP_NONE) {
        for (uint32_t i = 0; numbers && i < d->step_count; i++)
            numbers[i] = i;
        return d->step_count;
    }
    self = &d->steps[who.step];
    if (numbers && self->dependency_count)
        memcpy(numbers, &d->edges[self->dependencies], self->dependency_count * sizeof *numbers);
    if (who.role != ROLE_COMPENSATE)
        return self->dependency_count;
    if (numbers)
        numbers[self->dependency_count] = who.step;
    return self->dependency_count + 1;
}

static const char *end_name(enum run_state state)
{
    return state == RUN_CANCELLED ? "cancelled" : state == RUN_TIMED_OUT ? "timed_out" : "failed";
}

/* A new reference: the execution with how it ends. */
static json_t *ending_execution(slot *s)
{
    json_t *error = parse(run_closing_error(s->run));
    json_t *e = error ? json_object() : NULL;

    if (json_object_update(e, s->execution) ||
        json_object_set_new(e, "state", json_string(end_name(run_closing_state(s->run)))) ||
        json_object_set(e, "error", error)) {
        json_decref(e);
        e = NULL;
    }
    json_decref(error);
    return e;
}

/* References of its own, instead of those that the slot has. */
static bool hold_scope(slot *s, snapshot *v, viewer who)
{
    v->scope.execution = who.role == ROLE_STEP ? json_incref(v->scope.execution)
                                               : ending_execution(s);
    json_incref(v->scope.input);
    json_incref(v->scope.item);
    v->scope.ctx = v;
    v->scope.step = snapshot_step;
    v->scope.secret = s->engine->ports.secret ? snapshot_secret : NULL;
    return v->scope.execution != NULL;
}

snapshot *values_snapshot(slot *s, viewer who, const uint32_t *steps, size_t count, bool direct)
{
    size_t most = count + (direct ? add_direct(s, who, NULL) : 0);
    snapshot *v = mem_zalloc(sizeof *v + most * (sizeof *v->values + sizeof *v->numbers));

    if (!v || !scope_of(s, who, &v->scope)) {
        mem_free(v);
        return NULL;
    }
    v->engine = s->engine;
    v->definition = s->known->definition;
    v->numbers = (uint32_t *)(void *)&v->values[most];
    if (count)
        memcpy(v->numbers, steps, count * sizeof *steps);
    if (direct)
        add_direct(s, who, v->numbers + count);
    if (!hold_scope(s, v, who) || !add_steps(s, v, who, most)) {
        snapshot_free(v);
        return NULL;
    }
    if (direct) {
        v->scope.dependencies = v->numbers;
        v->scope.dependency_count = v->count;
        v->scope.step_name = snapshot_step_name;
    }
    return v;
}

void snapshot_free(snapshot *v)
{
    if (!v)
        return;
    for (uint32_t i = 0; i < v->count; i++)
        json_decref(v->values[i]);
    json_decref(v->scope.input);
    json_decref(v->scope.execution);
    json_decref(v->scope.item);
    mem_free(v);
}
