/* The runs of an execution: the earlier ones, whose ends are kept, and the newest, which the row tells of. */
#include "api/api_impl.h"

struct orch_runs {
    run_page earlier;
    run_row newest;
    int32_t codec_status;
};

static void decode(orch_runs *r, orch_v2 *o, run_row *row)
{
    payload_decode(o, &row->output, &r->codec_status);
    payload_decode_error(o, &row->error, &r->codec_status);
}

static int32_t read_runs(orch_v2 *o, const char *id, orch_runs *r, orch_error **err)
{
    store *s = runtime_store(o->rt);
    execution_row row = {0};
    bool running = false;
    int32_t rc = query_row(o, id, &row, err);

    if (!rc)
        rc = query_running(o, &row, 1, &running, err);
    if (!rc)
        rc = s->ops->load_runs(s->self, row.key, &r->earlier, err);
    /* a run that began between the two reads is not the newest of the row that was read */
    while (!rc && r->earlier.count && r->earlier.rows[r->earlier.count - 1].run >= row.run)
        run_row_clear(&r->earlier.rows[--r->earlier.count]);
    r->newest = (run_row){.run = row.run,
                          .state = (uint8_t)response_state(&row, running),
                          .ended_ms = row.ended_ms,
                          .output = bytes_ref(row.output),
                          .error = bytes_ref(row.error)};
    execution_row_clear(&row);
    for (size_t i = 0; i < r->earlier.count; i++)
        decode(r, o, &r->earlier.rows[i]);
    decode(r, o, &r->newest);
    return rc;
}

int32_t orch_v2_get_runs(orch_v2 *orch, const char *execution_id, orch_runs **out_runs,
                         orch_error **err)
{
    int32_t rc = check_query(orch, execution_id, out_runs, "out_runs", err);
    orch_runs *r;

    if (rc)
        return rc;
    r = mem_zalloc(sizeof *r);
    if (!r)
        return error_no_memory(err);
    rc = read_runs(orch, execution_id, r, err);
    if (rc)
        orch_runs_free(r);
    else
        *out_runs = r;
    return rc;
}

void orch_runs_free(orch_runs *runs)
{
    if (!runs)
        return;
    run_page_clear(&runs->earlier);
    run_row_clear(&runs->newest);
    mem_free(runs);
}

int32_t orch_runs_codec_status(const orch_runs *runs)
{
    return runs ? runs->codec_status : 0;
}

size_t orch_runs_count(const orch_runs *runs)
{
    return runs ? runs->earlier.count + 1 : 0;
}

/* NULL beyond the end. */
static const run_row *entry(const orch_runs *runs, size_t i)
{
    if (!runs || i > runs->earlier.count)
        return NULL;
    return i < runs->earlier.count ? &runs->earlier.rows[i] : &runs->newest;
}

int32_t orch_runs_run(const orch_runs *runs, size_t i)
{
    const run_row *r = entry(runs, i);

    return r ? (int32_t)r->run : 0;
}

int32_t orch_runs_state(const orch_runs *runs, size_t i)
{
    const run_row *r = entry(runs, i);

    return r ? r->state : -1;
}

int64_t orch_runs_ended_ms(const orch_runs *runs, size_t i)
{
    const run_row *r = entry(runs, i);

    return r ? r->ended_ms : 0;
}

const char *orch_runs_output(const orch_runs *runs, size_t i, size_t *out_len)
{
    const run_row *r = entry(runs, i);

    return text_or(r ? r->output : NULL, "null", out_len);
}

const char *orch_runs_error(const orch_runs *runs, size_t i, size_t *out_len)
{
    const run_row *r = entry(runs, i);

    return text_or(r ? r->error : NULL, NULL, out_len);
}
