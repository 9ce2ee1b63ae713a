/* One expression: a plain path, or Lua with the names it mentions. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "workflow/template_impl.h"

static int32_t add_step(template *t, uint32_t number, const char *name, size_t len)
{
    size_t at = 0;
    uint32_t *steps;
    known_step *known;
    char *copy;

    while (at < t->step_count && t->steps[at] < number)
        at++;
    if (at < t->step_count && t->steps[at] == number)
        return 0;
    steps = mem_grow(t->steps, &t->step_cap, t->step_count + 1, sizeof *steps);
    if (steps)
        t->steps = steps;
    known = mem_grow(t->known, &t->known_cap, t->step_count + 1, sizeof *known);
    if (known)
        t->known = known;
    copy = steps && known ? mem_strndup(name, len) : NULL;
    if (!copy)
        return ORCH_E_RESOURCE_EXHAUSTED;
    memmove(steps + at + 1, steps + at, (t->step_count - at) * sizeof *steps);
    memmove(known + at + 1, known + at, (t->step_count - at) * sizeof *known);
    steps[at] = number;
    known[at] = (known_step){number, copy};
    t->step_count++;
    return 0;
}

/* `steps.a-b` is a subtraction, which few mean. */
static bool looks_subtracted(const expression *e, const char *name, size_t len)
{
    const char *at = memmem(e->text, e->len, name, len);

    return at && at + len < e->text + e->len && at[len] == '-';
}

static int32_t find_step(template *t, const template_names *names, const expression *e,
                         const char *name, size_t len, uint32_t *number, const place *at,
                         orch_error **err)
{
    orch_error *wrong = NULL;
    char message[512];
    int32_t rc = names->step(names->ctx, name, len, number, &wrong);

    if (rc) {
        snprintf(message, sizeof message, "%s%s", orch_error_message(wrong),
                 looks_subtracted(e, name, len) ? " (a name with '-' is written steps[\"name\"])"
                                                : "");
        orch_error_free(wrong);
        return place_error(at, rc, e->text, e->len, message, err);
    }
    return add_step(t, *number, name, len) ? error_no_memory(err) : 0;
}

static int32_t check_input(const template_names *names, const expression *e, const char *name,
                           size_t len, const place *at, orch_error **err)
{
    orch_error *wrong = NULL;
    int32_t rc = names->input ? names->input(names->ctx, name, len, &wrong) : 0;

    if (rc)
        rc = place_error(at, rc, e->text, e->len, orch_error_message(wrong), err);
    orch_error_free(wrong);
    return rc;
}

static int32_t compile_path(template *t, const template_names *names, expression *e,
                            const place *at, orch_error **err)
{
    path *p = &e->path;
    int32_t rc;

    if (p->root == ROOT_SECRETS)
        t->uses_secrets = true;
    if (p->root == ROOT_INPUT && p->count && p->segments[0].name)
        return check_input(names, e, p->segments[0].name, p->segments[0].len, at, err);
    if (p->root != ROOT_STEPS)
        return 0;
    rc = find_step(t, names, e, p->segments[0].name, p->segments[0].len, &p->step, at, err);
    if (rc)
        return rc;
    p->count--;
    memmove(p->segments, p->segments + 1, p->count * sizeof *p->segments);
    return 0;
}

static int32_t compile_lua(template *t, const template_names *names, expression *e, const place *at,
                           orch_error **err)
{
    orch_error *wrong = NULL;
    scan sc;
    int32_t rc = sandbox_check(names->checker, e->text, e->len, true, &sc, &wrong);

    if (rc) {
        rc = place_error(at, rc, e->text, e->len, orch_error_message(wrong), err);
        orch_error_free(wrong);
        return rc;
    }
    t->uses_lua = true;
    t->uses_secrets |= sc.used[ROOT_SECRETS];
    e->dynamic_steps = sc.whole[ROOT_STEPS];
    t->all_dependencies |= e->dynamic_steps;
    for (size_t i = 0; i < sc.count && !rc; i++) {
        const scan_member *m = &sc.members[i];
        uint32_t number;

        if (m->root == ROOT_STEPS)
            rc = find_step(t, names, e, m->name, m->len, &number, at, err);
        else if (m->root == ROOT_INPUT)
            rc = check_input(names, e, m->name, m->len, at, err);
    }
    scan_free(&sc);
    return rc;
}

/* `steps` and `secrets` are nothing as a whole for a path: Lua can walk the one and refuses the other. */
static bool is_usable(const path *p)
{
    return (p->root != ROOT_STEPS && p->root != ROOT_SECRETS) ||
           (p->count > 0 && p->segments[0].name);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

int32_t expression_compile(template *t, const template_names *names, const char *text, size_t len,
                           const place *at, expression *out, orch_error **err)
{
    enum path_kind kind;
    int32_t rc;

    while (len && is_space(*text)) {
        text++;
        len--;
    }
    while (len && is_space(text[len - 1]))
        len--;
    *out = (expression){0};
    if (!len)
        return place_error(at, ORCH_E_INVALID_ARGUMENT, text, len, "an expression is missing", err);
    out->text = mem_strndup(text, len);
    if (!out->text)
        return error_no_memory(err);
    out->len = len;
    kind = path_parse(out->text, len, &out->path);
    if (kind == PATH_NO_MEMORY) {
        rc = error_no_memory(err);
    } else if (kind == PATH_PLAIN && is_usable(&out->path)) {
        out->plain = true;
        rc = compile_path(t, names, out, at, err);
    } else {
        path_free(&out->path);
        rc = compile_lua(t, names, out, at, err);
    }
    if (rc)
        expression_free(out);
    return rc;
}

void expression_free(expression *e)
{
    path_free(&e->path);
    mem_free(e->text);
    *e = (expression){0};
}
