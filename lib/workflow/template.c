#include "workflow/template.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "workflow/template_impl.h"

/* ---- places -------------------------------------------------------------------------------------------- */

static void add_pointer(buf *b, const place *at)
{
    if (!at || !at->up)
        return;
    add_pointer(b, at->up);
    buf_putc(b, '/');
    if (!at->key) {
        buf_printf(b, "%zu", at->index);
        return;
    }
    for (const char *p = at->key; *p; p++) {
        if (*p == '~' || *p == '/')
            buf_puts(b, *p == '~' ? "~0" : "~1");
        else
            buf_putc(b, *p);
    }
}

int32_t place_error(const place *at, int32_t code, const char *text, size_t len,
                    const char *message, orch_error **err)
{
    buf pointer = BUF_INIT;
    size_t shown = len < EXPRESSION_SHOWN ? len : EXPRESSION_SHOWN;

    if (!err)
        return code;
    while (shown < len && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--; /* no half characters */
    add_pointer(&pointer, at);
    if (pointer.failed)
        error_no_memory(err);
    else
        error_set(err, code, pointer.data ? pointer.data : "", "`%.*s%s`: %s", (int)shown, text,
                  shown < len ? "..." : "", message);
    buf_free(&pointer);
    return code;
}

/* ---- compiling ----------------------------------------------------------------------------------------- */

typedef struct compiler {
    template *t;
    const template_names *names;
    orch_error **err;
} compiler;

static int32_t compile_node(compiler *c, json_t *value, const place *at, int depth, node *out,
                            bool *changed);

void node_free(node *n)
{
    for (uint32_t i = 0; n->parts && i < n->count; i++) {
        expression_free(&n->parts[i].expression);
        mem_free(n->parts[i].text);
    }
    for (uint32_t i = 0; n->changes && i < n->count; i++)
        node_free(&n->changes[i].node);
    mem_free(n->parts);
    mem_free(n->changes);
    if (n->kind == NODE_LITERAL)
        json_decref(n->value);
    *n = (node){0};
}

static part *add_part(node *n)
{
    part *grown = mem_grow(n->parts, &n->cap, n->count + 1, sizeof *grown);

    if (!grown)
        return NULL;
    n->parts = grown;
    grown[n->count] = (part){0};
    return &grown[n->count++];
}

static int32_t add_text(compiler *c, node *n, const buf *text)
{
    part *p;

    if (text->failed)
        return error_no_memory(c->err);
    if (!text->len)
        return 0;
    p = add_part(n);
    if (p)
        p->text = mem_strndup(text->data, text->len);
    if (!p || !p->text)
        return error_no_memory(c->err);
    p->len = text->len;
    return 0;
}

/* At "${" of s[0..len). *used is how many bytes it takes. */
static int32_t add_expression(compiler *c, node *n, const char *s, size_t len, const place *at,
                              size_t *used)
{
    size_t inside = scan_closing_brace(s + 2, len - 2);
    part *p;

    if (inside == SIZE_MAX)
        return place_error(at, ORCH_E_INVALID_ARGUMENT, s, len, "the closing '}' is missing",
                           c->err);
    p = add_part(n);
    if (!p)
        return error_no_memory(c->err);
    *used = inside + 3;
    return expression_compile(c->t, c->names, s + 2, inside, at, &p->expression, c->err);
}

/* Split a string into text and expressions. */
static int32_t split(compiler *c, node *n, const char *s, size_t len, const place *at, buf *text)
{
    int32_t rc = 0;

    for (size_t i = 0; i < len && !rc;) {
        size_t used = 1;

        if (len - i >= 3 && !memcmp(s + i, "$${", 3)) {
            buf_puts(text, "${");
            used = 3;
        } else if (len - i >= 2 && !memcmp(s + i, "${", 2)) {
            rc = add_text(c, n, text);
            buf_clear(text);
            if (!rc)
                rc = add_expression(c, n, s + i, len - i, at, &used);
        } else {
            buf_putc(text, s[i]);
        }
        i += used;
    }
    return rc ? rc : add_text(c, n, text);
}

static int32_t compile_string(compiler *c, json_t *value, const place *at, node *out, bool *changed)
{
    const char *s = json_string_value(value);
    size_t len = json_string_length(value);
    buf text = BUF_INIT;
    int32_t rc;

    if (!memmem(s, len, "${", 2))
        return 0;
    *changed = true;
    out->kind = NODE_TEXT;
    rc = split(c, out, s, len, at, &text);
    buf_free(&text);
    if (rc)
        return rc;
    if (out->count == 1 && !out->parts[0].text) {
        out->kind = NODE_VALUE;
    } else if (out->count == 1) {
        json_t *literal = json_stringn_nocheck(out->parts[0].text, out->parts[0].len);

        node_free(out);
        if (!literal)
            return error_no_memory(c->err);
        out->kind = NODE_LITERAL;
        out->value = literal;
    }
    return 0;
}

static int32_t add_change(compiler *c, node *n, json_t *value, size_t index, const place *at,
                          int depth)
{
    node made = {0};
    bool changed = false;
    change *grown;
    int32_t rc = compile_node(c, value, at, depth, &made, &changed);

    if (rc || !changed) {
        node_free(&made);
        return rc;
    }
    grown = mem_grow(n->changes, &n->cap, n->count + 1, sizeof *grown);
    if (!grown) {
        node_free(&made);
        return error_no_memory(c->err);
    }
    n->changes = grown;
    grown[n->count++] = (change){index, made};
    return 0;
}

static int32_t compile_object(compiler *c, json_t *object, const place *at, int depth, node *out)
{
    size_t index = 0;
    int32_t rc = 0;

    for (void *it = json_object_iter(object); it && !rc; it = json_object_iter_next(object, it)) {
        place here = {at, json_object_iter_key(it), 0};

        rc = add_change(c, out, json_object_iter_value(it), index++, &here, depth);
    }
    return rc;
}

static int32_t compile_list(compiler *c, json_t *list, const place *at, int depth, node *out)
{
    int32_t rc = 0;

    for (size_t i = 0; i < json_array_size(list) && !rc; i++) {
        place here = {at, NULL, i};

        rc = add_change(c, out, json_array_get(list, i), i, &here, depth);
    }
    return rc;
}

static int32_t compile_node(compiler *c, json_t *value, const place *at, int depth, node *out,
                            bool *changed)
{
    int32_t rc;

    if (json_is_string(value))
        return compile_string(c, value, at, out, changed);
    if (!json_is_object(value) && !json_is_array(value))
        return 0;
    if (depth >= TEMPLATE_MAX_DEPTH)
        return place_error(at, ORCH_E_INVALID_ARGUMENT, "", 0, "nested too deep", c->err);
    out->kind = json_is_object(value) ? NODE_OBJECT : NODE_LIST;
    out->value = value;
    rc = json_is_object(value) ? compile_object(c, value, at, depth + 1, out)
                               : compile_list(c, value, at, depth + 1, out);
    *changed = out->count > 0;
    return rc;
}

static bool has_expression(const node *n)
{
    if (n->kind == NODE_VALUE || n->kind == NODE_TEXT)
        return true;
    for (uint32_t i = 0; n->changes && i < n->count; i++)
        if (has_expression(&n->changes[i].node))
            return true;
    return false;
}

/* Only `$${` to undo: done here once. */
static int32_t make_constant(template *t, orch_error **err)
{
    static const scope nothing = {0};
    json_t *value;
    int32_t rc = template_evaluate(t, &nothing, NULL, &value, err);

    if (rc)
        return rc;
    node_free(&t->root);
    json_decref(t->value);
    t->value = value;
    t->is_constant = true;
    return 0;
}

int32_t template_compile(json_t *value, const template_names *names, template **out,
                         orch_error **err)
{
    template *t = mem_zalloc(sizeof *t);
    compiler c = {t, names, err};
    place top = {NULL, NULL, 0};
    bool changed = false;
    int32_t rc;

    if (!t)
        return error_no_memory(err);
    t->value = json_incref(value);
    rc = compile_node(&c, value, &top, 0, &t->root, &changed);
    if (!rc && !changed) {
        node_free(&t->root);
        t->is_constant = true;
    } else if (!rc && !has_expression(&t->root)) {
        rc = make_constant(t, err);
    }
    if (rc) {
        template_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

static json_t *literal_value(const char *text)
{
    if (!strcmp(text, "true"))
        return json_true();
    if (!strcmp(text, "false"))
        return json_false();
    return !strcmp(text, "null") || !strcmp(text, "nil") ? json_null() : NULL;
}

int32_t template_compile_expression(const char *text, const template_names *names, template **out,
                                    orch_error **err)
{
    template *t = mem_zalloc(sizeof *t);
    place top = {NULL, NULL, 0};
    size_t len = strlen(text);
    part *p;
    int32_t rc;

    if (!t)
        return error_no_memory(err);
    if (len >= 3 && !memcmp(text, "${", 2) && scan_closing_brace(text + 2, len - 2) == len - 3) {
        text += 2;
        len -= 3;
    }
    t->root.kind = NODE_VALUE;
    p = add_part(&t->root);
    rc = p ? expression_compile(t, names, text, len, &top, &p->expression, err)
           : error_no_memory(err);
    if (rc) {
        template_free(t);
        return rc;
    }
    t->value = literal_value(p->expression.text);
    if (t->value) {
        t->is_constant = true;
        t->uses_lua = false;
    }
    *out = t;
    return 0;
}

/* ---- what it is ---------------------------------------------------------------------------------------- */

void template_free(template *t)
{
    if (!t)
        return;
    node_free(&t->root);
    json_decref(t->value);
    for (size_t i = 0; i < t->step_count; i++)
        mem_free(t->known[i].name);
    mem_free(t->known);
    mem_free(t->steps);
    mem_free(t);
}

json_t *template_constant(const template *t)
{
    return t->is_constant ? t->value : NULL;
}

bool template_is_inline(const template *t)
{
    return !t->uses_lua && !t->uses_secrets;
}

bool template_has_secrets(const template *t)
{
    return t->uses_secrets;
}

const uint32_t *template_steps(const template *t, size_t *count, bool *all_dependencies)
{
    *count = t->step_count;
    *all_dependencies = t->all_dependencies;
    return t->steps;
}
