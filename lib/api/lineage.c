/* Trees of executions: what is below one, and what is above it. */
#include <string.h>

#include "api/api_impl.h"
#include "workflow/child.h"

/* ---- below ----------------------------------------------------------------------------------------------- */

static int32_t check_look(orch_subworkflows *sub, const char *id, const void *out,
                          const char *out_name, orch_error **err)
{
    int32_t rc = check_not_null(sub, "subworkflows", err);

    return rc ? rc : check_query(sub->orch, id, out, out_name, err);
}

int32_t orch_subworkflows_list(orch_subworkflows *subworkflows, const char *execution_id,
                               const orch_filter *filter, orch_execution_list **out_list,
                               orch_error **err)
{
    int32_t rc = check_look(subworkflows, execution_id, out_list, "out_list", err);
    orch_filter of_parent = filter ? *filter : (orch_filter){0};

    if (rc)
        return rc;
    of_parent.parent = mem_strdup(execution_id);
    if (!of_parent.parent)
        return error_no_memory(err);
    rc = orch_v2_list_executions(subworkflows->orch, &of_parent, out_list, err);
    mem_free(of_parent.parent);
    return rc;
}

/* *height: of what is below `level`, at least as high as it was. */
static int32_t measure(orch_v2 *o, uint64_t key, int32_t level, int32_t *height, orch_error **err)
{
    store *s = runtime_store(o->rt);
    execution_filter f = {.parent = key};
    int32_t rc;

    do {
        execution_page page = {0};

        rc = s->ops->list_executions(s->self, &f, &page, err);
        if (!rc && page.count && *height < level + 1)
            *height = level + 1;
        for (size_t i = 0; i < page.count && !rc && level + 1 < CHILD_DEPTH_MAX; i++)
            rc = measure(o, page.rows[i].key, level + 1, height, err);
        f.after_key = page.next_after;
        execution_page_clear(&page);
    } while (!rc && f.after_key);
    return rc;
}

int32_t orch_subworkflows_height(orch_subworkflows *subworkflows, const char *execution_id,
                                 orch_error **err)
{
    int32_t height = 0;
    int32_t rc = check_look(subworkflows, execution_id, &height, "", err);
    execution_row row = {0};

    if (!rc)
        rc = query_row(subworkflows->orch, execution_id, &row, err);
    if (!rc)
        rc = measure(subworkflows->orch, row.key, 0, &height, err);
    execution_row_clear(&row);
    return rc ? rc : height;
}

/* ---- above ----------------------------------------------------------------------------------------------- */

typedef struct generation {
    char *id;
    char *step; /* NULL: not known */
    uint32_t run, index, attempt;
    bool has_parent, by_task, abandoned;
} generation;

struct orch_lineage {
    uint32_t depth;
    size_t count;
    generation items[CHILD_DEPTH_MAX + 1]; /* the execution itself first */
};

static int32_t add(orch_lineage *l, const execution_row *row, orch_error **err)
{
    generation *g = &l->items[l->count];
    char made[EXECUTION_ID_LEN + 1];

    execution_id_format(row->key, made);
    *g = (generation){
        .id = mem_strdup(row->id ? row->id : made),
        .run = row->parent_run,
        .index = row->parent_index,
        .attempt = row->parent_attempt,
        .has_parent = row->parent != 0,
        .by_task = row->by_task,
        .abandoned = row->abandoned,
    };
    l->count++;
    return g->id ? 0 : error_no_memory(err);
}

static int32_t name_step(orch_v2 *o, generation *g, uint32_t step, uint64_t definition_key,
                         orch_error **err)
{
    definition *d;
    int32_t rc = versions_definition(o, definition_key, &d, err);

    if (rc)
        return rc;
    if (step < d->step_count) {
        g->step = mem_strdup(d->steps[step].id);
        rc = g->step ? 0 : error_no_memory(err);
    }
    definition_unref(d);
    return rc;
}

/* From the execution upwards, as long as there is something. */
static int32_t climb(orch_v2 *o, orch_lineage *l, const execution_row *from, orch_error **err)
{
    uint64_t parent = from->parent;
    uint32_t step = from->parent_step;
    int32_t rc = add(l, from, err);

    while (!rc && parent && l->count <= CHILD_DEPTH_MAX) {
        execution_page page = {0};

        rc = query_short(o, parent, &page, err);
        parent = 0;
        if (!rc && page.count) {
            rc = name_step(o, &l->items[l->count - 1], step, page.rows[0].definition, err);
            if (!rc)
                rc = add(l, &page.rows[0], err);
            parent = page.rows[0].parent;
            step = page.rows[0].parent_step;
        }
        execution_page_clear(&page);
    }
    return rc;
}

int32_t orch_subworkflows_get_lineage(orch_subworkflows *subworkflows, const char *execution_id,
                                      orch_lineage **out_lineage, orch_error **err)
{
    int32_t rc = check_look(subworkflows, execution_id, out_lineage, "out_lineage", err);
    execution_row row = {0};
    orch_lineage *l = NULL;

    if (!rc)
        rc = query_row(subworkflows->orch, execution_id, &row, err);
    if (!rc) {
        l = mem_zalloc(sizeof *l);
        rc = l ? climb(subworkflows->orch, l, &row, err) : error_no_memory(err);
    }
    if (!rc) {
        l->depth = row.depth;
        *out_lineage = l;
    } else {
        orch_lineage_free(l);
    }
    execution_row_clear(&row);
    return rc;
}

static const generation *generation_at(const orch_lineage *l, size_t i)
{
    return l && i < l->count ? &l->items[l->count - 1 - i] : NULL;
}

int32_t orch_lineage_depth(const orch_lineage *lineage)
{
    return lineage ? (int32_t)lineage->depth : 0;
}

size_t orch_lineage_count(const orch_lineage *lineage)
{
    return lineage ? lineage->count : 0;
}

const char *orch_lineage_id(const orch_lineage *lineage, size_t i)
{
    const generation *g = generation_at(lineage, i);

    return g ? g->id : "";
}

int32_t orch_lineage_parent_run(const orch_lineage *lineage, size_t i)
{
    const generation *g = generation_at(lineage, i);

    return g ? (int32_t)g->run : 0;
}

const char *orch_lineage_step(const orch_lineage *lineage, size_t i)
{
    const generation *g = generation_at(lineage, i);

    return g && g->step ? g->step : "";
}

int64_t orch_lineage_index(const orch_lineage *lineage, size_t i)
{
    const generation *g = generation_at(lineage, i);

    return g && g->has_parent && g->index != INDEX_NONE ? (int64_t)g->index : -1;
}

int32_t orch_lineage_attempt(const orch_lineage *lineage, size_t i)
{
    const generation *g = generation_at(lineage, i);

    return g ? (int32_t)g->attempt : 0;
}

int32_t orch_lineage_by_task(const orch_lineage *lineage, size_t i)
{
    const generation *g = generation_at(lineage, i);

    return g && g->by_task;
}

int32_t orch_lineage_on_parent_end(const orch_lineage *lineage, size_t i)
{
    const generation *g = generation_at(lineage, i);

    if (!g || !g->has_parent)
        return -1;
    return g->abandoned ? ORCH_CHILD_ABANDON : ORCH_CHILD_CANCEL;
}

void orch_lineage_free(orch_lineage *lineage)
{
    if (!lineage)
        return;
    for (size_t i = 0; i < lineage->count; i++) {
        mem_free(lineage->items[i].id);
        mem_free(lineage->items[i].step);
    }
    mem_free(lineage);
}
