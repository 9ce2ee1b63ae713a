/* Names become numbers: what a step depends on, and what its templates refer to. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "workflow/definition_impl.h"
#include "workflow/wording_impl.h"

#define NAMES_COMPARED 100000 /* in search of the one that was meant */

void builder_enter_step(builder *b, uint32_t i)
{
    b->r.step = json_array_get(b->tree_steps, i);
    place_key(&b->r, "steps");
    place_index(&b->r, i);
}

void builder_leave_step(builder *b)
{
    place_up(&b->r);
    place_up(&b->r);
    b->r.step = NULL;
}

static const char *nearest_step(const builder *b, const char *id, char room[NEAREST_ROOM])
{
    nearest near = nearest_to(id);

    for (uint32_t i = 0; i < b->box->d.step_count && i < NAMES_COMPARED; i++)
        nearest_try(&near, b->box->steps[i].id);
    return nearest_words(&near, room);
}

/* ---- Dependencies ---------------------------------------------------------------------------- */

static int32_t link_dependency(builder *b, uint32_t i, json_t *value)
{
    definition_box *box = b->box;
    char room[NEAREST_ROOM];
    uint32_t found;
    const char *id;
    int32_t rc = read_text(&b->r, value, "a step's id", &id);

    if (rc)
        return rc;
    found = names_find(&box->ids, step_name, box->steps, id, strlen(id));
    if (found == UINT32_MAX)
        return reader_fail(&b->r, "there is no step '%.*s'%s", WORDING(id),
                           nearest_step(b, id, room));
    if (found == i)
        return reader_fail(&b->r, "a step cannot depend on itself");
    if (b->marks[found] == i + 1)
        return reader_fail(&b->r, "'%s' stands twice in this list", id);
    b->marks[found] = i + 1;
    b->forward = b->forward || found > i;
    box->steps[found].dependent_count++;
    box->edges[box->d.edge_count++] = found;
    return 0;
}

static int32_t link_dependencies(builder *b, uint32_t i, json_t *list)
{
    step *s = &b->box->steps[i];

    s->dependencies = b->box->d.edge_count;
    s->dependency_count = (uint32_t)json_array_size(list);
    place_key(&b->r, "depends_on");
    for (uint32_t j = 0; j < s->dependency_count; j++) {
        int32_t rc;

        place_index(&b->r, j);
        rc = link_dependency(b, i, json_array_get(list, j));
        if (rc)
            return rc;
        place_up(&b->r);
    }
    place_up(&b->r);
    return 0;
}

/* ---- Templates ------------------------------------------------------------------------------- */

static int32_t find_step(void *ctx, const char *name, size_t len, uint32_t *out, orch_error **err)
{
    builder *b = ctx;
    definition_box *box = b->box;
    uint32_t found = names_find(&box->ids, step_name, box->steps, name, len);
    char room[NEAREST_ROOM];
    char *id;

    if (found != UINT32_MAX) {
        *out = found;
        return 0;
    }
    id = mem_strndup(name, len);
    if (!id)
        return error_no_memory(err);
    error_set(err, ORCH_E_INVALID_ARGUMENT, NULL, "there is no step '%.*s'%s", WORDING(id),
              nearest_step(b, id, room));
    mem_free(id);
    return ORCH_E_INVALID_ARGUMENT;
}

static int32_t find_input(void *ctx, const char *name, size_t len, orch_error **err)
{
    return definition_check_input_name(&((builder *)ctx)->box->d, name, len, err);
}

/* Secrets are never stored, so they may go only where nothing that is stored comes from. */
static int32_t check_secrets(builder *b, const template *t, bool allowed)
{
    if (allowed || !template_has_secrets(t))
        return 0;
    return reader_fail(
        &b->r, "secrets may be used only in the `with` of lua, exec, http and host callbacks: "
               "this value would be stored");
}

/* What a value may use besides input, steps and execution. */
typedef struct scope_rules {
    bool item, secrets;
} scope_rules;

static int32_t compile(builder *b, json_t *value, scope_rules rules, template **out)
{
    const template_names lookup = {b, find_step, &b->checker, find_input};
    int32_t rc = template_compile(value, &lookup, out, b->r.err);

    if (rc)
        return reader_pass_on(&b->r, rc, true);
    if (!rules.item && !template_constant(*out))
        rc = definition_check_item(&b->r, value);
    return rc ? rc : check_secrets(b, *out, rules.secrets);
}

static int32_t compile_when(builder *b, const step_draft *d, template **out)
{
    const template_names lookup = {b, find_step, &b->checker, find_input};
    int32_t rc = template_compile_expression(d->when, &lookup, out, b->r.err);
    const json_t *constant;

    if (rc)
        return reader_pass_on(&b->r, rc, true);
    constant = template_constant(*out);
    if (constant && (json_is_false(constant) || json_is_null(constant)))
        return reader_fail(&b->r, "is never true, so the step could never run");
    if (!d->for_each)
        rc = definition_check_item_expression(&b->r, d->when);
    return rc ? rc : check_secrets(b, *out, false);
}

/* A lua step's code is not a template, whatever "${" it may hold: those are escaped in a copy. */
static json_t *with_code_escaped(json_t *with)
{
    const char *code = json_string_value(json_object_get(with, "code"));
    const char *end = code + json_string_length(json_object_get(with, "code"));
    json_t *copy = json_object();
    buf escaped = BUF_INIT;

    for (; code < end; code++) {
        if (code[0] == '$' && code[1] == '{')
            buf_putc(&escaped, '$');
        buf_putc(&escaped, *code);
    }
    if (!copy || escaped.failed || json_object_update(copy, with) ||
        json_object_set_new_nocheck(copy, "code",
                                    json_stringn_nocheck(escaped.data, escaped.len))) {
        json_decref(copy);
        copy = NULL;
    }
    buf_free(&escaped);
    return copy;
}

int32_t definition_compile_with(builder *b, uint16_t executor, json_t *with, bool item,
                                template **out)
{
    enum builtin known = (enum builtin)b->builtins[executor];
    bool stored = known == BUILTIN_NOOP || known == BUILTIN_WAIT || known == BUILTIN_WORKFLOW;
    scope_rules rules = {item, !stored};
    json_t *escaped = NULL;
    int32_t rc;

    if (known == BUILTIN_LUA && strstr(json_string_value(json_object_get(with, "code")), "${")) {
        with = escaped = with_code_escaped(with);
        if (!escaped)
            return error_no_memory(b->r.err);
    }
    rc = compile(b, with, rules, out);
    json_decref(escaped);
    return rc;
}

static bool refers(const template *t)
{
    size_t count = 0;
    bool all;

    if (t)
        template_steps(t, &count, &all);
    return count > 0;
}

static int32_t note_references(builder *b, uint32_t i)
{
    const step *s = &b->box->steps[i];
    uint32_t *grown;

    if (!refers(s->with) && !(s->extra && (refers(s->extra->when) || refers(s->extra->for_each))))
        return 0;
    grown = mem_grow(b->referrers, &b->referrers_cap, b->referrer_count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(b->r.err);
    b->referrers = grown;
    grown[b->referrer_count++] = i;
    return 0;
}

static int32_t link_templates(builder *b, uint32_t i, const step_draft *d)
{
    int32_t rc = 0;

    if (d->with) {
        step *s = &b->box->steps[i];

        place_key(&b->r, "with");
        rc = definition_compile_with(b, s->executor, d->with, d->for_each != NULL, &s->with);
        place_up(&b->r);
    }
    if (!rc && d->when) {
        place_key(&b->r, "when");
        rc = compile_when(b, d, &d->extra->when);
        place_up(&b->r);
    }
    if (!rc && d->for_each) {
        place_key(&b->r, "for_each");
        rc = compile(b, d->for_each, (scope_rules){false, false}, &d->extra->for_each);
        place_up(&b->r);
    }
    return rc ? rc : note_references(b, i);
}

int32_t definition_link(builder *b)
{
    definition_box *box = b->box;
    int32_t rc = 0;

    box->edges = mem_alloc(2 * (size_t)b->edges_read * sizeof *box->edges);
    if (!box->edges)
        return error_no_memory(b->r.err);
    for (uint32_t i = 0; i < box->d.step_count && !rc; i++) {
        const step_draft *d = &b->drafts[i];

        if (!d->depends_on && !d->with && !d->when && !d->for_each)
            continue;
        builder_enter_step(b, i);
        if (d->depends_on)
            rc = link_dependencies(b, i, d->depends_on);
        if (!rc)
            rc = link_templates(b, i, d);
        builder_leave_step(b);
    }
    if (!rc)
        rc = definition_link_handlers(b);
    if (rc || !b->output)
        return rc;
    place_key(&b->r, "output");
    rc = compile(b, b->output, (scope_rules){false, false}, &box->d.output);
    place_up(&b->r);
    return rc;
}
