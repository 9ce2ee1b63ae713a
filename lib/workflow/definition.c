#include "workflow/definition_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/json.h"
#include "base/text.h"
#include "workflow/canonical_impl.h"
#include "workflow/wording_impl.h"

#define NESTING_LIMIT 1000 /* what a recursion over the document may rely on */

definition_limits definition_limits_or_defaults(const definition_limits *given)
{
    definition_limits l = given ? *given : (definition_limits){0};

    if (!l.max_bytes)
        l.max_bytes = (size_t)64 << 20;
    if (l.max_bytes > BYTES_MAX_LEN / 2)
        l.max_bytes = BYTES_MAX_LEN / 2;
    if (!l.max_steps)
        l.max_steps = 1000000;
    if (!l.max_edges)
        l.max_edges = 10000000;
    if (l.max_edges > UINT32_MAX / 2)
        l.max_edges = UINT32_MAX / 2;
    if (!l.max_nesting)
        l.max_nesting = 64;
    if (l.max_nesting > NESTING_LIMIT)
        l.max_nesting = NESTING_LIMIT;
    return l;
}

/* ---- Building -------------------------------------------------------------------------------- */

static void handler_clear(const handler *h)
{
    if (h)
        template_free(h->with);
}

static void box_free(definition_box *box)
{
    if (!box)
        return;
    for (uint32_t i = 0; box->steps && i < box->d.step_count; i++) {
        const step *s = &box->steps[i];

        template_free(s->with);
        if (s->extra) {
            template_free(s->extra->when);
            template_free(s->extra->for_each);
            handler_clear(s->extra->compensate);
        }
    }
    template_free(box->d.output);
    handler_clear(box->d.on_failure);
    definition_free_declared(&box->d);
    bytes_unref(box->d.text);
    names_free(&box->ids);
    mem_free(box->steps);
    mem_free(box->edges);
    mem_free(box->executors);
    arena_free(&box->arena);
    mem_free(box);
}

/* The text goes first: it bounds depth and size for everything that follows, and its digest
 * seeds the names. */
static int32_t measure(builder *b, json_t *tree, bool check_utf8)
{
    canonical_limits limits = {b->limits.max_bytes, b->limits.max_nesting, check_utf8};
    definition *d = &b->box->d;
    buf text = BUF_INIT;
    int32_t rc = canonical_write(&text, tree, &limits, b->r.err);

    if (rc) {
        buf_free(&text);
        return rc;
    }
    d->text = buf_bytes(&text);
    if (!d->text || digest_of(d->text->data, d->text->len, &d->digest) ||
        !names_init(&b->executor_names, &d->digest, 8))
        return error_no_memory(b->r.err);
    return 0;
}

static int32_t build(builder *b, json_t *tree, bool check_utf8)
{
    int32_t rc = measure(b, tree, check_utf8);

    if (!rc)
        rc = definition_read(b, tree);
    if (!rc)
        rc = definition_link(b);
    if (!rc)
        rc = graph_check_order(b);
    if (!rc)
        rc = definition_check_references(b);
    return rc;
}

static int32_t from_tree(json_t *tree, const definition_limits *limits, bool check_utf8,
                         definition **out, orch_error **err)
{
    builder b = {.r = {.err = err}, .limits = definition_limits_or_defaults(limits)};
    int32_t rc;

    b.box = mem_zalloc(sizeof *b.box);
    if (!b.box)
        return error_no_memory(err);
    rc = build(&b, tree, check_utf8);
    names_free(&b.executor_names);
    sandbox_checker_close(&b.checker);
    mem_free(b.builtins);
    mem_free(b.drafts);
    mem_free(b.handlers);
    mem_free(b.marks);
    mem_free(b.referrers);
    mem_free(b.order);
    if (rc) {
        box_free(b.box);
        return rc;
    }
    b.box->d.steps = b.box->steps;
    b.box->d.edges = b.box->edges;
    b.box->d.executors = b.box->executors;
    atomic_init(&b.box->d.refs, 1);
    *out = &b.box->d;
    return 0;
}

int32_t definition_from_json(json_t *tree, const definition_limits *limits, definition **out,
                             orch_error **err)
{
    return from_tree(tree, limits, true, out, err);
}

/* ---- Texts ----------------------------------------------------------------------------------- */

static int32_t json_syntax_error(const json_error_t *e, orch_error **err)
{
    char place[64];

    if (json_lacked_memory(e))
        return error_no_memory(err);
    snprintf(place, sizeof place, "line %d column %d", e->line, e->column);
    return error_set(err, ORCH_E_INVALID_ARGUMENT, place, "%s: %.*s", place,
                     wording_clip(e->text, 300), e->text);
}

static int32_t parse_json(const char *text, size_t len, const definition_limits *limits,
                          definition **out, orch_error **err)
{
    json_error_t e;
    json_t *tree = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
    int32_t rc;

    if (!tree)
        return json_syntax_error(&e, err);
    rc = from_tree(tree, limits, false, out, err);
    json_decref(tree);
    return rc;
}

/* Put line and column behind a message whose place is a JSON pointer. */
static void add_line(const char *text, size_t len, orch_error **err)
{
    orch_error *told = *err;
    size_t line, column;

    if (orch_error_code(told) != ORCH_E_INVALID_ARGUMENT ||
        !yaml_locate(text, len, orch_error_about(told), &line, &column))
        return;
    *err = NULL;
    error_set(err, ORCH_E_INVALID_ARGUMENT, orch_error_about(told), "%s (line %zu column %zu)",
              orch_error_message(told), line, column);
    orch_error_free(told);
}

static int32_t parse_yaml(const char *text, size_t len, const definition_limits *limits,
                          definition **out, orch_error **err)
{
    json_t *tree;
    int32_t rc = yaml_to_json(text, len, limits, &tree, err);

    if (rc)
        return rc;
    rc = from_tree(tree, limits, false, out, err);
    json_decref(tree);
    if (rc && err)
        add_line(text, len, err);
    return rc;
}

int32_t definition_parse(const char *text, size_t len, const definition_limits *limits,
                         definition **out, orch_error **err)
{
    definition_limits l = definition_limits_or_defaults(limits);
    size_t start = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0; /* a byte order mark */

    while (start < len && strchr(" \t\r\n", text[start]) && text[start])
        start++;
    if (start == len)
        return error_set(
            err, ORCH_E_INVALID_ARGUMENT, "line 1 column 1",
            "line 1 column 1: the definition is empty; it is a JSON object or a YAML mapping");
    if (len > l.max_bytes)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, NULL,
                         "the definition is %zu bytes long; at most %zu are allowed", len,
                         l.max_bytes);
    if (text[start] != '{')
        return parse_yaml(text, len, &l, out, err);
    start = *text == '{' ? 0 : start >= 3 && *text == '\xef' ? 3 : 0;
    return parse_json(text + start, len - start, &l, out, err);
}

/* ---- Holding --------------------------------------------------------------------------------- */

definition *definition_ref(definition *d)
{
    if (d)
        atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void definition_unref(definition *d)
{
    if (d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1)
        box_free((definition_box *)d);
}

const char *step_name(const void *steps, uint32_t number)
{
    return ((const step *)steps)[number].id;
}

bool definition_find_step(const definition *d, const char *id, size_t len, uint32_t *out)
{
    const definition_box *box = (const definition_box *)d;
    uint32_t found = names_find(&box->ids, step_name, box->steps, id, len);

    if (found == UINT32_MAX)
        return false;
    *out = found;
    return true;
}

bool definition_has_children(const definition *d)
{
    for (uint32_t i = 0; i < d->step_count; i++)
        if (d->steps[i].kind == STEP_WORKFLOW)
            return true;
    return false;
}

bool definition_calls_back(const definition *d)
{
    for (uint32_t i = 0; i < d->executor_count; i++)
        if (builtin_by_name(d->executors[i]) == BUILTIN_NONE)
            return true;
    return false;
}
