/* Executions as text: docs/export.md. Payloads go out byte for byte, but for line ends between their tokens. */
#include <orch/export.h>
#include <string.h>

#include "api/api_impl.h"
#include "api/exported.h"
#include "base/buf.h"
#include "workflow/definition.h"
#include "workflow/run.h"

#define HISTORY_AT_A_TIME 1000

typedef struct exporter {
    orch_v2 *orch;
    orch_export_fn fn;
    void *user_data;
    buf line;
    uint64_t lines; /* written */
} exporter;

/* ---- one line -------------------------------------------------------------------------------------------- */

static void begin(exporter *x, const char *record)
{
    buf_clear(&x->line);
    buf_printf(&x->line, "{\"record\":\"%s\"", record);
}

static void add_text(exporter *x, const char *name, const char *text)
{
    if (!text)
        return;
    buf_printf(&x->line, ",\"%s\":", name);
    buf_json_string(&x->line, text, strlen(text));
}

/* 0 is left out. */
static void add_number(exporter *x, const char *name, int64_t n)
{
    if (n)
        buf_printf(&x->line, ",\"%s\":%lld", name, (long long)n);
}

/* `plain` is what it is without, and may stand in a store or not. */
static void add_payload(exporter *x, const char *name, const bytes *payload, const char *plain)
{
    if (!payload || !strcmp(payload->data, plain))
        return;
    buf_printf(&x->line, ",\"%s\":", name);
    for (uint32_t i = 0, next; i < payload->len; i = next) {
        uint32_t span = (uint32_t)strcspn(payload->data + i, "\r\n");

        buf_add(&x->line, payload->data + i, span);
        next = i + span;
        if (next < payload->len) {
            buf_putc(&x->line, ' ');
            next++;
        }
    }
}

static int32_t end(exporter *x, orch_error **err)
{
    int32_t rc;

    buf_puts(&x->line, "}\n");
    if (x->line.failed)
        return error_no_memory(err);
    x->lines++;
    rc = x->fn(x->user_data, x->line.data, x->line.len);
    return rc ? error_set(err, rc, NULL, "the export was ended by its function: %s",
                          orch_code_name(rc))
              : 0;
}

/* ---- the records ----------------------------------------------------------------------------------------- */

static int32_t add_parent(exporter *x, const execution_row *row, orch_error **err)
{
    char id[EXECUTION_ID_MAX + 1];
    int32_t rc = row->parent ? query_id(x->orch, row->parent, id, err) : 0;

    if (rc || !row->parent)
        return rc;
    add_text(x, "parent", id);
    add_number(x, "parent_run", row->parent_run);
    if (row->parent_step != STEP_NONE)
        buf_printf(&x->line, ",\"parent_step\":%u", row->parent_step);
    if (row->parent_index != INDEX_NONE)
        buf_printf(&x->line, ",\"parent_index\":%u", row->parent_index);
    add_number(x, "parent_attempt", row->parent_attempt);
    add_number(x, "depth", row->depth);
    if (row->abandoned)
        buf_puts(&x->line, ",\"abandoned\":true");
    if (row->by_task)
        buf_puts(&x->line, ",\"by_task\":true");
    return 0;
}

static void add_definition(exporter *x, const definition *d)
{
    char hex[DIGEST_HEX_SIZE];

    add_text(x, "workflow", d->id);
    add_text(x, "version", d->version);
    digest_hex(&d->digest, hex);
    add_text(x, "digest", hex);
}

static int32_t export_row(exporter *x, const execution_row *row, const definition *d,
                          orch_error **err)
{
    char key[EXECUTION_ID_LEN + 1];
    int32_t rc;

    execution_id_format(row->key, key);
    begin(x, "execution");
    add_number(x, "format", EXPORT_FORMAT);
    add_text(x, "id", row->id ? row->id : key);
    add_text(x, "key", key);
    add_definition(x, d);
    add_text(x, "state", exported_state_name(row->state));
    add_number(x, "run", row->run);
    buf_printf(&x->line, ",\"priority\":%u", row->priority);
    add_text(x, "limit_key", row->limit_key);
    add_text(x, "affinity", row->affinity);
    rc = add_parent(x, row, err);
    if (rc)
        return rc;
    add_number(x, "accepted_ms", row->accepted_ms);
    add_number(x, "deadline_ms", row->deadline_ms);
    add_number(x, "ended_ms", row->ended_ms);
    add_payload(x, "attributes", row->attributes, "{}");
    add_payload(x, "input", row->input, "{}");
    add_payload(x, "output", row->output, "null");
    add_payload(x, "error", row->error, "null");
    return end(x, err);
}

static int32_t export_end(exporter *x, const run_row *r, orch_error **err)
{
    begin(x, "run");
    add_number(x, "run", r->run);
    add_text(x, "state", exported_state_name(r->state));
    add_number(x, "ended_ms", r->ended_ms);
    add_payload(x, "output", r->output, "null");
    add_payload(x, "error", r->error, "null");
    return end(x, err);
}

static int32_t export_checkpoint(exporter *x, const definition *d, uint32_t run,
                                 const checkpoint *c, orch_error **err)
{
    begin(x, "checkpoint");
    add_number(x, "run", run);
    add_number(x, "seq", (int64_t)c->seq);
    if (c->step != STEP_NONE)
        add_text(x, "step", d->steps[c->step].id);
    if (c->index != INDEX_NONE)
        buf_printf(&x->line, ",\"index\":%u", c->index);
    add_text(x, "kind", orch_step_kind_name(record_kind(c->kind)));
    if (c->kind == CHECKPOINT_CLOSING)
        add_text(x, "state", exported_closing_name(c->attempt));
    else
        add_number(x, "attempt", c->attempt);
    add_number(x, "started_ms", c->started_ms);
    add_number(x, "ended_ms", c->ended_ms);
    add_number(x, "due_ms", c->due_ms);
    add_payload(x, "output", c->output, "null");
    add_payload(x, "error", c->error, "null");
    return end(x, err);
}

static int32_t export_history(exporter *x, const execution_row *row, uint32_t run,
                              const definition *d, orch_error **err)
{
    uint64_t after = 0;
    size_t count;
    int32_t rc;

    do {
        checkpoint_page page = {0};

        rc = record_load(x->orch, row, run, after, HISTORY_AT_A_TIME, d, &page, err);
        for (size_t i = 0; !rc && i < page.count; i++) {
            after = page.rows[i].seq;
            rc = export_checkpoint(x, d, run, &page.rows[i], err);
        }
        count = page.count;
        checkpoint_page_clear(&page);
    } while (!rc && count == HISTORY_AT_A_TIME);
    return rc;
}

static int32_t export_runs(exporter *x, const execution_row *row, const definition *d,
                           orch_error **err)
{
    store *s = runtime_store(x->orch->rt);
    run_page page = {0};
    int32_t rc = s->ops->load_runs(s->self, row->key, &page, err);

    for (size_t i = 0; !rc && i < page.count && page.rows[i].run < row->run; i++)
        rc = export_end(x, &page.rows[i], err);
    run_page_clear(&page);
    for (uint32_t run = 1; !rc && run <= row->run; run++)
        rc = export_history(x, row, run, d, err);
    return rc;
}

static int32_t export_controls(exporter *x, uint64_t key, orch_error **err)
{
    store *s = runtime_store(x->orch->rt);
    control_page page = {0};
    int32_t rc = s->ops->load_controls(s->self, key, 0, 0, &page, err);

    for (size_t i = 0; !rc && i < page.count; i++) {
        begin(x, "control");
        add_number(x, "at_ms", page.rows[i].at_ms);
        add_text(x, "action", page.rows[i].action);
        add_text(x, "who", page.rows[i].who);
        add_text(x, "why", page.rows[i].why);
        add_text(x, "detail", page.rows[i].detail);
        rc = end(x, err);
    }
    control_page_clear(&page);
    return rc;
}

static int32_t export_all(exporter *x, const execution_row *row, const definition *d,
                          orch_error **err)
{
    int32_t rc = export_row(x, row, d, err);

    if (!rc)
        rc = export_runs(x, row, d, err);
    if (!rc)
        rc = export_controls(x, row->key, err);
    if (rc)
        return rc;
    begin(x, "end");
    add_number(x, "lines", (int64_t)x->lines + 1);
    return end(x, err);
}

int32_t orch_v2_export_execution(orch_v2 *orch, const char *execution_id, orch_export_fn fn,
                                 void *user_data, orch_error **err)
{
    exporter x = {.orch = orch, .fn = fn, .user_data = user_data, .line = BUF_INIT};
    execution_row row = {0};
    definition *d = NULL;
    int32_t rc = check_orch(orch, err);

    if (!rc)
        rc = check_execution_id(execution_id, err);
    if (!rc)
        rc = check_given(fn != NULL, "fn", err);
    if (!rc)
        rc = check_may_ask(orch, err);
    if (!rc)
        rc = query_row(orch, execution_id, &row, err);
    if (!rc)
        rc = versions_definition(orch, row.definition, &d, err);
    if (!rc)
        rc = export_all(&x, &row, d, err);
    execution_row_clear(&row);
    definition_unref(d);
    buf_free(&x.line);
    return rc;
}
