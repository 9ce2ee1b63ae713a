/* The recorded history of an execution. */
#include <string.h>

#include "api/api_impl.h"

#define PAGE_DEFAULT 10000
#define PAGE_MAX     100000

struct orch_history {
    definition *definition; /* names the steps */
    checkpoint_page page;
};

static int32_t read_history(orch_v2 *o, const char *id, uint64_t after_seq, uint32_t limit,
                            orch_history *h, orch_error **err)
{
    store *s = runtime_store(o->rt);
    execution_row row = {0};
    int32_t rc = query_row(o, id, &row, err);

    if (!rc)
        rc = versions_definition(o, row.definition, &h->definition, err);
    if (!rc)
        rc = s->ops->load_checkpoints(s->self, row.key, row.run, after_seq, limit, &h->page, err);
    execution_row_clear(&row);
    for (size_t i = 0; !rc && i < h->page.count; i++)
        if (h->page.rows[i].step >= h->definition->step_count)
            rc = error_set(err, ORCH_E_DATA_LOSS, id,
                           "execution '%s': its history names step %u, but its workflow has %u", id,
                           h->page.rows[i].step, h->definition->step_count);
    return rc;
}

int32_t orch_v2_get_history(orch_v2 *orch, const char *execution_id, uint64_t after_seq,
                            uint32_t limit, orch_history **out_history, orch_error **err)
{
    orch_history *h;
    int32_t rc = check_orch(orch, err);

    if (!rc)
        rc = check_execution_id(execution_id, err);
    if (!rc)
        rc = check_not_null(out_history, "out_history", err);
    if (!rc)
        rc = check_may_ask(orch, err);
    if (!rc && limit > PAGE_MAX)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "limit", "limit is %u; it must be 0 to %d",
                       limit, PAGE_MAX);
    if (rc)
        return rc;
    h = mem_zalloc(sizeof *h);
    if (!h)
        return error_no_memory(err);
    rc = read_history(orch, execution_id, after_seq, limit ? limit : PAGE_DEFAULT, h, err);
    if (rc)
        orch_history_free(h);
    else
        *out_history = h;
    return rc;
}

void orch_history_free(orch_history *history)
{
    if (!history)
        return;
    checkpoint_page_clear(&history->page);
    definition_unref(history->definition);
    mem_free(history);
}

size_t orch_history_count(const orch_history *history)
{
    return history ? history->page.count : 0;
}

/* NULL beyond the end. */
static const checkpoint *entry(const orch_history *history, size_t i)
{
    return history && i < history->page.count ? &history->page.rows[i] : NULL;
}

uint64_t orch_history_seq(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    return c ? c->seq : 0;
}

const char *orch_history_step(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    return c ? history->definition->steps[c->step].id : "";
}

int64_t orch_history_index(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    return c && c->index != INDEX_NONE ? (int64_t)c->index : -1;
}

/* The stored kinds and those of the API are the same list; the API's begins with one that is not stored. */
int32_t orch_history_kind(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    return c ? c->kind - CHECKPOINT_DECIDED + ORCH_STEP_DECIDED : 0;
}

int32_t orch_history_attempt(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    return c ? (int32_t)c->attempt : 0;
}

int64_t orch_history_started_ms(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    return c ? c->started_ms : 0;
}

int64_t orch_history_ended_ms(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    return c ? c->ended_ms : 0;
}

const char *orch_history_output(const orch_history *history, size_t i, size_t *out_len)
{
    const checkpoint *c = entry(history, i);
    const bytes *output = c ? c->output : NULL;

    if (out_len)
        *out_len = output ? output->len : 4;
    return output ? output->data : "null";
}

const char *orch_history_error(const orch_history *history, size_t i, size_t *out_len)
{
    const checkpoint *c = entry(history, i);
    const bytes *error = c ? c->error : NULL;

    if (out_len)
        *out_len = error ? error->len : 0;
    return error ? error->data : NULL;
}
