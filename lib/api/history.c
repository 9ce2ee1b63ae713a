/* The recorded history of an execution. */
#include <string.h>

#include "api/api_impl.h"

#define PAGE_DEFAULT 10000
#define PAGE_MAX     100000

struct orch_history {
    definition *definition; /* names the steps */
    checkpoint_page page;
    int32_t codec_status;
};

/* Of what the definition does not have; what is the execution's own says no step. */
static bool names_no_step(const definition *d, const checkpoint *c)
{
    return c->step >= d->step_count && !(c->step == STEP_NONE && c->kind >= CHECKPOINT_CLOSING);
}

int32_t record_load(orch_v2 *o, const execution_row *row, uint32_t run, uint64_t after_seq,
                    uint32_t limit, const definition *d, checkpoint_page *out, orch_error **err)
{
    store *s = runtime_store(o->rt);
    int32_t rc = s->ops->load_checkpoints(s->self, row->key, run, after_seq, limit, out, err);
    char made[EXECUTION_ID_LEN + 1];

    for (size_t i = 0; !rc && i < out->count; i++) {
        if (!names_no_step(d, &out->rows[i]))
            continue;
        execution_id_format(row->key, made);
        rc = error_set(err, ORCH_E_DATA_LOSS, row->id ? row->id : made,
                       "execution '%s': its history names step %u, but its workflow has %u",
                       row->id ? row->id : made, out->rows[i].step, d->step_count);
    }
    return rc;
}

int32_t record_read(orch_v2 *o, const execution_row *row, uint32_t run, uint64_t after_seq,
                    uint32_t limit, const definition *d, checkpoint_page *out,
                    int32_t *codec_status, orch_error **err)
{
    int32_t rc = record_load(o, row, run, after_seq, limit, d, out, err);

    for (size_t i = 0; !rc && i < out->count; i++) {
        payload_decode(o, &out->rows[i].output, codec_status);
        payload_decode_error(o, &out->rows[i].error, codec_status);
    }
    return rc;
}

int32_t record_find_run(const execution_row *row, const char *id, uint32_t *run, orch_error **err)
{
    if (!*run)
        *run = row->run;
    return *run <= row->run ? 0
                            : error_set(err, ORCH_E_NOT_FOUND, id,
                                        "execution '%s' has %u run%s; there is no run %u", id,
                                        row->run, row->run == 1 ? "" : "s", *run);
}

static int32_t read_page(orch_v2 *o, const char *id, uint32_t run, uint64_t after_seq,
                         uint32_t limit, orch_history *h, orch_error **err)
{
    execution_row row = {0};
    int32_t rc = query_row(o, id, &row, err);

    if (!rc)
        rc = record_find_run(&row, id, &run, err);
    if (!rc)
        rc = versions_definition(o, row.definition, &h->definition, err);
    if (!rc)
        rc = record_read(o, &row, run, after_seq, limit, h->definition, &h->page, &h->codec_status,
                         err);
    execution_row_clear(&row);
    return rc;
}

int32_t orch_v2_get_run_history(orch_v2 *orch, const char *execution_id, uint32_t run,
                                uint64_t after_seq, uint32_t limit, orch_history **out_history,
                                orch_error **err)
{
    orch_history *h;
    int32_t rc = check_query(orch, execution_id, out_history, "out_history", err);

    if (!rc)
        rc = check_limit(limit, PAGE_MAX, err);
    if (rc)
        return rc;
    h = mem_zalloc(sizeof *h);
    if (!h)
        return error_no_memory(err);
    rc = read_page(orch, execution_id, run, after_seq, limit ? limit : PAGE_DEFAULT, h, err);
    if (rc)
        orch_history_free(h);
    else
        *out_history = h;
    return rc;
}

int32_t orch_v2_get_history(orch_v2 *orch, const char *execution_id, uint64_t after_seq,
                            uint32_t limit, orch_history **out_history, orch_error **err)
{
    return orch_v2_get_run_history(orch, execution_id, 0, after_seq, limit, out_history, err);
}

void orch_history_free(orch_history *history)
{
    if (!history)
        return;
    checkpoint_page_clear(&history->page);
    definition_unref(history->definition);
    mem_free(history);
}

int32_t orch_history_codec_status(const orch_history *history)
{
    return history ? history->codec_status : 0;
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

    return c && c->step != STEP_NONE ? history->definition->steps[c->step].id : "";
}

int64_t orch_history_index(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    return c && c->index != INDEX_NONE ? (int64_t)c->index : -1;
}

/* The stored kinds and those of the API are the same list; the API's begins with one that is not stored. */
int32_t record_kind(uint8_t stored)
{
    return stored - CHECKPOINT_DECIDED + ORCH_STEP_DECIDED;
}

int32_t orch_history_kind(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    return c ? record_kind(c->kind) : 0;
}

int32_t orch_history_attempt(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    /* of what ends an execution it is the state of that end */
    return c && c->kind != CHECKPOINT_CLOSING ? (int32_t)c->attempt : 0;
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

int64_t orch_history_due_ms(const orch_history *history, size_t i)
{
    const checkpoint *c = entry(history, i);

    return c ? c->due_ms : 0;
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

const char *orch_step_kind_name(int32_t kind)
{
    if (kind == ORCH_STEP_RUNNING)
        return "running";
    return checkpoint_kind_name(kind > ORCH_STEP_RUNNING ? kind - ORCH_STEP_RUNNING : 0);
}
