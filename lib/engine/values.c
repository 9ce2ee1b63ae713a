/* What expressions can see: input, the execution, values of steps that ended, the item. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
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

/* Borrowed; NULL if the step has not ended (or there is no memory). After values_scope. */
static json_t *step_value(slot *s, uint32_t step)
{
    run_value v;

    if (!s->values[step] && run_get_value(s->run, step, &v))
        s->values[step] = make_value(s, step, &v);
    return s->values[step];
}

static json_t *scope_step(void *ctx, uint32_t step)
{
    return step_value(ctx, step);
}

static json_t *item_of(slot *s, uint32_t step, uint32_t index)
{
    slot_items *items;

    if (index == INDEX_NONE)
        return NULL;
    HASH_FIND(hh, s->items, &step, sizeof step, items);
    return items ? json_array_get(items->list, index) : NULL;
}

bool values_scope(slot *s, uint32_t step, uint32_t index, scope *out)
{
    if (!s->values) /* here, where lack of memory is not taken for a step that has not ended */
        s->values = mem_calloc(s->known->definition->step_count, sizeof *s->values);
    *out = (scope){
        .input = values_input(s),
        .execution = execution_of(s),
        .item = item_of(s, step, index),
        .index = index == INDEX_NONE ? -1 : (int64_t)index,
        .ctx = s,
        .step = scope_step,
    };
    return s->values && out->input && out->execution;
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

/* The wanted steps, sorted and without doubles, as far as they have ended. False if there is no memory. */
static bool add_steps(slot *s, snapshot *v, size_t wanted)
{
    run_value ended;

    qsort(v->numbers, wanted, sizeof *v->numbers, by_number);
    for (size_t i = 0; i < wanted; i++) {
        uint32_t step = v->numbers[i];
        json_t *value = step_value(s, step);

        if (!value && run_get_value(s->run, step, &ended))
            return false;
        if (!value || (v->count && v->numbers[v->count - 1] == step))
            continue;
        v->values[v->count] = json_incref(value);
        v->numbers[v->count++] = step;
    }
    return true;
}

/* What `steps` as a whole stands for: the direct dependencies; for the workflow's output every step. */
static size_t add_direct(const slot *s, uint32_t step_number, uint32_t *numbers)
{
    const definition *d = s->known->definition;
    const step *self;

    if (step_number >= d->step_count) {
        for (uint32_t i = 0; numbers && i < d->step_count; i++)
            numbers[i] = i;
        return d->step_count;
    }
    self = &d->steps[step_number];
    if (numbers && self->dependency_count)
        memcpy(numbers, &d->edges[self->dependencies], self->dependency_count * sizeof *numbers);
    return self->dependency_count;
}

snapshot *values_snapshot(slot *s, uint32_t step_number, uint32_t index, const uint32_t *steps,
                          size_t count, bool direct)
{
    size_t most = count + (direct ? add_direct(s, step_number, NULL) : 0);
    snapshot *v = mem_zalloc(sizeof *v + most * (sizeof *v->values + sizeof *v->numbers));

    if (!v || !values_scope(s, step_number, index, &v->scope)) {
        mem_free(v);
        return NULL;
    }
    v->engine = s->engine;
    v->definition = s->known->definition;
    v->numbers = (uint32_t *)(void *)&v->values[most];
    json_incref(v->scope.input);
    json_incref(v->scope.execution);
    json_incref(v->scope.item);
    v->scope.ctx = v;
    v->scope.step = snapshot_step;
    v->scope.secret = s->engine->ports.secret ? snapshot_secret : NULL;
    if (count)
        memcpy(v->numbers, steps, count * sizeof *steps);
    if (direct)
        add_direct(s, step_number, v->numbers + count);
    if (!add_steps(s, v, most)) {
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
