/* Evaluation copies only the way from the root to the places that change; all else is shared. */
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "workflow/definition.h"
#include "workflow/template_impl.h"

#define INSERTED_MAX_BYTES ((size_t)64 << 20) /* text made by one evaluation */

typedef struct evaluation {
    const template *t;
    const scope *scope;
    sandbox *lua;
    uint32_t *shown; /* steps of the template and direct dependencies; made when first needed */
    size_t shown_count;
    size_t inserted;
    orch_error **err;
} evaluation;

/* ---- Lua ----------------------------------------------------------------------------------------------- */

static const char *step_name(void *ctx, uint32_t number)
{
    const evaluation *v = ctx;
    size_t low = 0, high = v->t->step_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (v->t->steps[middle] == number)
            return v->t->known[middle].name;
        if (v->t->steps[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return v->scope->step_name(v->scope->ctx, number);
}

static bool is_named(const evaluation *v, uint32_t number)
{
    for (size_t i = 0; i < v->t->step_count; i++)
        if (v->t->steps[i] == number)
            return true;
    return false;
}

static bool show_steps(evaluation *v)
{
    size_t own = v->t->step_count, more = v->scope->dependency_count;

    if (v->shown)
        return true;
    v->shown = mem_calloc(own + more + 1, sizeof *v->shown);
    if (!v->shown)
        return false;
    for (size_t i = 0; i < own; i++)
        v->shown[v->shown_count++] = v->t->steps[i];
    for (size_t i = 0; i < more; i++)
        if (!is_named(v, v->scope->dependencies[i]))
            v->shown[v->shown_count++] = v->scope->dependencies[i];
    return true;
}

static int32_t run_lua(evaluation *v, const expression *e, const place *at, json_t **out)
{
    sandbox_names names = {v, v->t->steps, v->t->step_count, step_name};
    orch_error *wrong = NULL;
    int32_t rc;

    if (!v->lua)
        return place_error(at, ORCH_E_FAILED_PRECONDITION, e->text, e->len,
                           "it is Lua, and there is no sandbox here", v->err);
    if (e->dynamic_steps) {
        if (!show_steps(v))
            return error_no_memory(v->err);
        names.steps = v->shown;
        names.count = v->shown_count;
    }
    rc = sandbox_run(v->lua, e->text, e->len, true, v->scope, &names, NULL, out, &wrong);
    if (rc) {
        place_error(at, rc, e->text, e->len, orch_error_message(wrong), v->err);
        error_add_data(v->err, error_get_data(wrong));
    }
    orch_error_free(wrong);
    return rc;
}

/* ---- paths --------------------------------------------------------------------------------------------- */

static int32_t read_secret(evaluation *v, const expression *e, const place *at, json_t **out)
{
    const segment *s = &e->path.segments[0];
    orch_error *wrong = NULL;
    char name[256];
    int32_t rc;

    if (!v->scope->secret || s->len >= sizeof name)
        return place_error(at, ORCH_E_FAILED_PRECONDITION, e->text, e->len,
                           "the secret cannot be read here", v->err);
    memcpy(name, s->name, s->len);
    name[s->len] = '\0';
    *out = v->scope->secret(v->scope->ctx, name, &wrong);
    rc = *out ? 0 : orch_error_code(wrong);
    if (!*out)
        rc = place_error(at, rc ? rc : ORCH_E_NOT_FOUND, e->text, e->len,
                         wrong ? orch_error_message(wrong) : "no such secret", v->err);
    orch_error_free(wrong);
    return rc;
}

/* New reference to the value of the path's root. */
static int32_t read_root(evaluation *v, const expression *e, const place *at, json_t **out)
{
    const scope *s = v->scope;
    json_t *value = NULL;

    switch (e->path.root) {
    case ROOT_SECRETS: return read_secret(v, e, at, out);
    case ROOT_INPUT: value = s->input; break;
    case ROOT_STEPS: value = s->step(s->ctx, e->path.step); break;
    case ROOT_ITEM: value = s->item; break;
    case ROOT_EXECUTION: value = s->execution; break;
    default:
        *out = s->index < 0 ? json_null() : json_integer(s->index);
        return *out ? 0 : error_no_memory(v->err);
    }
    *out = value ? json_incref(value) : json_null();
    return 0;
}

static int32_t resolve(evaluation *v, const expression *e, const place *at, json_t **out)
{
    path p = e->path;
    json_t *root = NULL, *value;
    char wrong[160];
    int32_t rc = read_root(v, e, at, &root);

    if (rc)
        return rc;
    if (p.root == ROOT_SECRETS) {
        p.segments++;
        p.count--;
    }
    value = path_walk(&p, root, wrong, sizeof wrong);
    if (value)
        *out = json_incref(value);
    else
        rc = place_error(at, ORCH_E_INVALID_ARGUMENT, e->text, e->len, wrong, v->err);
    json_decref(root);
    return rc;
}

static int32_t evaluate_expression(evaluation *v, const expression *e, const place *at,
                                   json_t **out)
{
    return e->plain ? resolve(v, e, at, out) : run_lua(v, e, at, out);
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

static void add_value(buf *b, json_t *value)
{
    bytes *text;

    switch (json_typeof(value)) {
    case JSON_STRING: buf_add(b, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: buf_printf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_NULL: break;
    case JSON_TRUE: buf_puts(b, "true"); break;
    case JSON_FALSE: buf_puts(b, "false"); break;
    default:
        text = canonical_json(value);
        if (text)
            buf_add(b, text->data, text->len);
        else
            b->failed = true;
        bytes_unref(text);
    }
}

static int32_t evaluate_text(evaluation *v, const node *n, const place *at, json_t **out)
{
    buf text = BUF_INIT;
    int32_t rc = 0;

    for (uint32_t i = 0; i < n->count && !rc; i++) {
        const part *p = &n->parts[i];
        size_t before = text.len;
        json_t *value = NULL;

        if (p->text) {
            buf_add(&text, p->text, p->len);
        } else {
            rc = evaluate_expression(v, &p->expression, at, &value);
            if (value) {
                add_value(&text, value);
                json_decref(value);
            }
        }
        v->inserted += text.len - before;
        if (!rc && v->inserted > INSERTED_MAX_BYTES)
            rc = place_error(at, ORCH_E_RESOURCE_EXHAUSTED, p->expression.text, p->expression.len,
                             "the text becomes longer than 64 MiB", v->err);
    }
    if (!rc) {
        *out = text.failed ? NULL : json_stringn_nocheck(text.data ? text.data : "", text.len);
        rc = *out ? 0 : error_no_memory(v->err);
    }
    buf_free(&text);
    return rc;
}

static int32_t evaluate_node(evaluation *v, const node *n, const place *at, json_t **out);

static int32_t evaluate_object(evaluation *v, const node *n, const place *at, json_t **out)
{
    json_t *made = json_object();
    const change *next = n->changes, *end = next + n->count;
    size_t index = 0;
    int32_t rc = made ? 0 : error_no_memory(v->err);

    for (void *it = json_object_iter(n->value); it && !rc;
         it = json_object_iter_next(n->value, it), index++) {
        const char *key = json_object_iter_key(it);
        json_t *value = json_object_iter_value(it);

        if (next < end && next->at == index) {
            place here = {at, key, 0};

            rc = evaluate_node(v, &next->node, &here, &value);
            next++;
        } else {
            json_incref(value);
        }
        if (!rc && json_object_setn_new_nocheck(made, key, json_object_iter_key_len(it), value))
            rc = error_no_memory(v->err);
    }
    if (rc)
        json_decref(made);
    else
        *out = made;
    return rc;
}

static int32_t evaluate_list(evaluation *v, const node *n, const place *at, json_t **out)
{
    json_t *made = json_array();
    const change *next = n->changes, *end = next + n->count;
    int32_t rc = made ? 0 : error_no_memory(v->err);

    for (size_t i = 0; i < json_array_size(n->value) && !rc; i++) {
        json_t *value = json_array_get(n->value, i);

        if (next < end && next->at == i) {
            place here = {at, NULL, i};

            rc = evaluate_node(v, &next->node, &here, &value);
            next++;
        } else {
            json_incref(value);
        }
        if (!rc && json_array_append_new(made, value))
            rc = error_no_memory(v->err);
    }
    if (rc)
        json_decref(made);
    else
        *out = made;
    return rc;
}

static int32_t evaluate_node(evaluation *v, const node *n, const place *at, json_t **out)
{
    switch (n->kind) {
    case NODE_LITERAL: *out = json_incref(n->value); return 0;
    case NODE_VALUE: return evaluate_expression(v, &n->parts[0].expression, at, out);
    case NODE_TEXT: return evaluate_text(v, n, at, out);
    case NODE_OBJECT: return evaluate_object(v, n, at, out);
    default: return evaluate_list(v, n, at, out);
    }
}

int32_t template_evaluate(const template *t, const scope *s, sandbox *lua, json_t **out,
                          orch_error **err)
{
    evaluation v = {.t = t, .scope = s, .lua = lua, .err = err};
    place top = {NULL, NULL, 0};
    json_t *value = NULL;
    int32_t rc;

    if (t->is_constant) {
        *out = json_incref(t->value);
        return 0;
    }
    rc = evaluate_node(&v, &t->root, &top, &value);
    mem_free(v.shown);
    if (!rc)
        *out = value;
    return rc;
}
