/* Whether the steps that a template refers to come before its own step. Most refer to what the
 * step depends on directly. For others there is an index: a spanning tree of the graph, in which
 * "comes before" is a comparison of two numbers. What the tree does not show is searched for
 * upwards, on a budget. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "workflow/definition_impl.h"

typedef struct ancestry {
    builder *b;
    uint32_t *position; /* in the topological order */
    uint32_t *first;    /* of a step: its number in a walk down the tree, */
    uint32_t *size;     /* and how many steps stand below it, itself included */
    uint32_t *stack;
    uint32_t *seen; /* by search */
    uint32_t searches;
    uint64_t budget; /* dependencies that searches may still look at */
} ancestry;

static uint32_t in_order(const builder *b, uint32_t i)
{
    return b->order ? b->order[i] : i;
}

/* The tree's parent: the dependency that comes last, so that the tree is deep and shows much. */
static uint32_t parent_of(const ancestry *a, uint32_t i)
{
    const definition_box *box = a->b->box;
    const step *s = &box->steps[i];
    uint32_t parent = UINT32_MAX;

    for (uint32_t j = 0; j < s->dependency_count; j++) {
        uint32_t d = box->edges[s->dependencies + j];

        if (parent == UINT32_MAX || a->position[d] > a->position[parent])
            parent = d;
    }
    return parent;
}

/* Sizes from the leaves up, then numbers from the roots down; `stack` holds each step's next
 * free number. */
static void number_tree(ancestry *a)
{
    uint32_t n = a->b->box->d.step_count, next = 0;

    for (uint32_t i = 0; i < n; i++) {
        a->position[in_order(a->b, i)] = i;
        a->size[i] = 1;
    }
    for (uint32_t i = n; i-- > 0;) {
        uint32_t at = in_order(a->b, i), parent = parent_of(a, at);

        a->seen[at] = parent;
        if (parent != UINT32_MAX)
            a->size[parent] += a->size[at];
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = in_order(a->b, i), parent = a->seen[at];
        uint32_t *number = parent == UINT32_MAX ? &next : &a->stack[parent];

        a->first[at] = *number;
        *number += a->size[at];
        a->stack[at] = a->first[at] + 1;
    }
    memset(a->seen, 0, n * sizeof *a->seen);
}

static bool ancestry_build(ancestry *a)
{
    uint64_t n = a->b->box->d.step_count;

    a->position = mem_alloc(n * sizeof *a->position * 5);
    if (!a->position)
        return false;
    a->first = a->position + n;
    a->size = a->first + n;
    a->stack = a->size + n;
    a->seen = a->stack + n;
    a->budget = 10000000 + 20 * (n + a->b->box->d.edge_count);
    number_tree(a);
    return true;
}

static bool tree_shows(const ancestry *a, uint32_t above, uint32_t below)
{
    return a->first[below] - a->first[above] < a->size[above];
}

/* True if `above` comes before `below`; also if the budget ran out, which a->budget tells. */
static bool comes_before(ancestry *a, uint32_t above, uint32_t below)
{
    const definition_box *box = a->b->box;
    uint32_t depth = 0;

    if (tree_shows(a, above, below))
        return true;
    a->searches++;
    a->stack[depth++] = below;
    while (depth) {
        const step *s = &box->steps[a->stack[--depth]];

        if (a->budget < s->dependency_count) {
            a->budget = 0;
            return true;
        }
        a->budget -= s->dependency_count;
        for (uint32_t j = 0; j < s->dependency_count; j++) {
            uint32_t d = box->edges[s->dependencies + j];

            if (tree_shows(a, above, d))
                return true;
            if (a->seen[d] == a->searches || a->position[d] < a->position[above])
                continue;
            a->seen[d] = a->searches;
            a->stack[depth++] = d;
        }
    }
    return false;
}

static int32_t check_reference(ancestry *a, uint32_t i, uint32_t to)
{
    builder *b = a->b;
    const char *name = b->box->steps[to].id;

    if (b->marks[to] == i + 1)
        return 0;
    if (to == i)
        return reader_fail(&b->r, "refers to its own step");
    if (!a->first && !ancestry_build(a))
        return error_no_memory(b->r.err);
    if (!comes_before(a, to, i))
        return reader_fail(
            &b->r, "refers to step '%s', which this step does not depend on; add it to depends_on",
            name);
    if (!a->budget)
        return reader_fail(
            &b->r,
            "refers to step '%s'; whether it comes before this one takes too long to find "
            "out; add it to depends_on",
            name);
    return 0;
}

static int32_t check_template(ancestry *a, uint32_t i, const template *t, const char *key)
{
    size_t count = 0;
    const uint32_t *steps;
    int32_t rc = 0;
    bool all;

    if (!t)
        return 0;
    steps = template_steps(t, &count, &all);
    place_key(&a->b->r, key);
    for (size_t k = 0; k < count && !rc; k++)
        rc = check_reference(a, i, steps[k]);
    place_up(&a->b->r);
    return rc;
}

static int32_t check_step(ancestry *a, uint32_t i)
{
    builder *b = a->b;
    const step *s = &b->box->steps[i];
    int32_t rc;

    for (uint32_t j = 0; j < s->dependency_count; j++)
        b->marks[b->box->edges[s->dependencies + j]] = i + 1;
    builder_enter_step(b, i);
    rc = check_template(a, i, s->with, "with");
    if (!rc && s->extra)
        rc = check_template(a, i, s->extra->when, "when");
    if (!rc && s->extra)
        rc = check_template(a, i, s->extra->for_each, "for_each");
    builder_leave_step(b);
    return rc;
}

int32_t definition_check_references(builder *b)
{
    ancestry a = {.b = b};
    int32_t rc = 0;

    memset(b->marks, 0, b->box->d.step_count * sizeof *b->marks);
    for (size_t k = 0; k < b->referrer_count && !rc; k++)
        rc = check_step(&a, b->referrers[k]);
    mem_free(a.position);
    return rc;
}
