/* The shape that dependencies make: who depends on a step, an order to run in, and circles. */
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "workflow/definition_impl.h"

#define CYCLE_SHOWN 12 /* steps of a circle that a message names */

/* The second half of the edges: for each step the steps that depend on it, in the order of the
 * document. */
void graph_add_dependents(definition_box *box)
{
    uint32_t next = box->d.edge_count;

    for (uint32_t i = 0; i < box->d.step_count; i++) {
        box->steps[i].dependents = next;
        next += box->steps[i].dependent_count;
        box->steps[i].dependent_count = 0;
    }
    for (uint32_t i = 0; i < box->d.step_count; i++) {
        const step *s = &box->steps[i];

        for (uint32_t j = 0; j < s->dependency_count; j++) {
            step *d = &box->steps[box->edges[s->dependencies + j]];

            box->edges[d->dependents + d->dependent_count++] = i;
        }
    }
}

/* Kahn (1962): take what waits for nothing, until nothing is left to take. Fills b->order;
 * waits[i] of a step that is left over stays above 0. Returns how many were taken. */
static uint32_t sort(const builder *b, uint32_t *waits)
{
    const definition_box *box = b->box;
    uint32_t taken = 0, added = 0;

    for (uint32_t i = 0; i < box->d.step_count; i++) {
        waits[i] = box->steps[i].dependency_count;
        if (!waits[i])
            b->order[added++] = i;
    }
    for (; taken < added; taken++) {
        const step *s = &box->steps[b->order[taken]];

        for (uint32_t j = 0; j < s->dependent_count; j++) {
            uint32_t next = box->edges[s->dependents + j];

            if (!--waits[next])
                b->order[added++] = next;
        }
    }
    return taken;
}

/* A dependency that is left over too: every step that is left over has one. */
static uint32_t next_in_circle(const definition_box *box, const uint32_t *waits, uint32_t i)
{
    const uint32_t *dependency = &box->edges[box->steps[i].dependencies];

    while (!waits[*dependency])
        dependency++;
    return *dependency;
}

/* Returns the first step (as written) of some circle, and how many it has. Walking from
 * dependency to dependency must come by a step again; `order` notes who was seen. */
static uint32_t find_circle(const builder *b, const uint32_t *waits, uint32_t *out_len)
{
    const definition_box *box = b->box;
    uint32_t at = 0, first, len = 0;

    memset(b->order, 0, box->d.step_count * sizeof *b->order);
    while (!waits[at])
        at++;
    for (; !b->order[at]; at = next_in_circle(box, waits, at))
        b->order[at] = 1;
    first = at;
    for (uint32_t i = next_in_circle(box, waits, at);; i = next_in_circle(box, waits, i)) {
        len++;
        if (i == at)
            break;
        if (i < first)
            first = i;
    }
    *out_len = len;
    return first;
}

static int32_t refuse_circle(builder *b, const uint32_t *waits)
{
    uint32_t len, first = find_circle(b, waits, &len), at = first;
    buf names = BUF_INIT;
    int32_t rc;

    for (uint32_t i = 0; i < len; i++, at = next_in_circle(b->box, waits, at))
        if (len <= CYCLE_SHOWN || i + 1 < CYCLE_SHOWN || i + 1 == len)
            buf_printf(&names, "%s -> ", b->box->steps[at].id);
        else if (i + 1 == CYCLE_SHOWN)
            buf_printf(&names, "(%u more) -> ", (unsigned)(len - CYCLE_SHOWN));
    buf_puts(&names, b->box->steps[first].id);
    if (names.failed) {
        rc = error_no_memory(b->r.err);
    } else {
        builder_enter_step(b, first);
        b->r.step = NULL;
        rc = reader_fail_at(&b->r, "depends_on",
                            "a cycle, in which each step depends on the next: %s", names.data);
        builder_leave_step(b);
    }
    buf_free(&names);
    return rc;
}

int32_t graph_check_order(builder *b)
{
    uint32_t *waits;
    int32_t rc = 0;

    graph_add_dependents(b->box);
    if (!b->forward)
        return 0; /* as written is an order already */
    waits = mem_alloc(b->box->d.step_count * sizeof *waits);
    b->order = mem_alloc(b->box->d.step_count * sizeof *b->order);
    if (!waits || !b->order)
        rc = error_no_memory(b->r.err);
    else if (sort(b, waits) < b->box->d.step_count)
        rc = refuse_circle(b, waits);
    mem_free(waits);
    return rc;
}
