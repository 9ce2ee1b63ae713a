/* Executions from text: read, checked against their workflow here, then stored in one unit. */
#include <orch/export.h>
#include <stdio.h>
#include <string.h>

#include "api/api_impl.h"
#include "api/exported.h"
#include "workflow/run.h"

#define KEY_TRIES 1000

/* ---- the workflow ---------------------------------------------------------------------------------------- */

static int32_t match(const definition_row *row, const exported *e, uint64_t *out_key,
                     orch_error **err)
{
    if (memcmp(row->digest, e->digest.b, sizeof row->digest) != 0)
        return error_set(err, ORCH_E_FAILED_PRECONDITION, e->workflow,
                         "workflow '%s' %s has another digest here than where the execution ran",
                         e->workflow, e->version);
    *out_key = row->key;
    return 0;
}

static int32_t find_definition(orch_v2 *o, const exported *e, uint64_t *out_key, orch_error **err)
{
    store *s = runtime_store(o->rt);
    definition_page page = {0};
    int32_t rc = s->ops->load_definitions(s->self, 0, false, &page, err);

    *out_key = 0;
    for (size_t i = 0; !rc && !*out_key && i < page.count; i++)
        if (!strcmp(page.rows[i].workflow, e->workflow) &&
            !strcmp(page.rows[i].version, e->version))
            rc = match(&page.rows[i], e, out_key, err);
    definition_page_clear(&page);
    if (!rc && !*out_key)
        rc = error_set(err, ORCH_E_NOT_FOUND, e->workflow, "workflow '%s' %s is not registered",
                       e->workflow, e->version);
    return rc;
}

/* ---- the history ----------------------------------------------------------------------------------------- */

static int32_t in_line(uint32_t number, int32_t code, orch_error **err)
{
    orch_error *why = NULL;
    char about[32];

    if (code == ORCH_E_RESOURCE_EXHAUSTED || !err)
        return code == ORCH_E_RESOURCE_EXHAUSTED ? code : ORCH_E_INVALID_ARGUMENT;
    why = *err;
    *err = NULL;
    snprintf(about, sizeof about, "line %u", number);
    code = error_set(err, ORCH_E_INVALID_ARGUMENT, about, "line %u: %s", number,
                     orch_error_message(why));
    orch_error_free(why);
    return code;
}

static int32_t find_step(exported_checkpoint *x, const definition *d, orch_error **err)
{
    if (!x->step || definition_find_step(d, x->step, strlen(x->step), &x->checkpoint.step))
        return 0;
    error_set(err, ORCH_E_NOT_FOUND, x->step, "workflow '%s' %s has no step '%s'", d->id,
              d->version, x->step);
    return in_line(x->line, ORCH_E_NOT_FOUND, err);
}

/* Whether a run could have written it. A payload that cannot be decoded here cannot be looked at: *unknown. */
static int32_t restore(orch_v2 *o, run *r, const checkpoint *c, bool *unknown, orch_error **err)
{
    checkpoint plain = *c;
    int32_t rc, status = 0;

    plain.output = bytes_ref(c->output);
    plain.error = bytes_ref(c->error);
    payload_decode(o, &plain.output, &status);
    payload_decode_error(o, &plain.error, &status);
    *unknown = status != 0;
    rc = *unknown ? 0 : run_restore(r, &plain, err);
    checkpoint_clear(&plain);
    return status == ORCH_E_RESOURCE_EXHAUSTED ? error_no_memory(err) : rc;
}

static int32_t check_run(orch_v2 *o, const exported_run *x, definition *d, orch_error **err)
{
    const run_options options = {0};
    run *r = run_new(d, &options);
    bool unknown = false;
    int32_t rc = r ? 0 : error_no_memory(err);

    for (size_t i = 0; !rc && !unknown && i < x->count; i++) {
        rc = restore(o, r, &x->rows[i].checkpoint, &unknown, err);
        if (rc)
            rc = in_line(x->rows[i].line, rc, err);
    }
    run_free(r);
    return rc;
}

static int32_t check_history(orch_v2 *o, exported *e, definition *d, orch_error **err)
{
    int32_t rc = 0;

    for (uint32_t run = 0; !rc && run < e->row.run; run++) {
        exported_run *r = &e->runs[run];

        for (size_t i = 0; !rc && i < r->count; i++)
            rc = find_step(&r->rows[i], d, err);
        if (!rc)
            rc = check_run(o, r, d, err);
    }
    return rc;
}

/* ---- storing it ------------------------------------------------------------------------------------------ */

typedef struct import_call {
    command command; /* first */
    import_request request;
    past_run *runs;
    checkpoint *checkpoints; /* borrow the payloads of what was read */
    sem_t done;
} import_call;

static void on_answer(import_request *r)
{
    sem_post(&LIST_ENTRY(r, import_call, request)->done);
}

static void run_command(command *c, runtime *rt)
{
    orchestrator_import(runtime_orchestrator(rt), &((import_call *)c)->request);
}

static int32_t ask(orch_v2 *o, import_call *c, orch_error **err)
{
    int32_t rc;

    c->command.run = run_command;
    c->request.done = on_answer;
    c->request.code = 0;
    c->request.error = NULL;
    sem_init(&c->done, 0, 0);
    rc = runtime_post(o->rt, &c->command, err);
    if (!rc) {
        while (sem_wait(&c->done))
            ;
        rc = pass_error(c->request.code, c->request.error, err);
    }
    sem_destroy(&c->done);
    return rc;
}

static int32_t make_past(import_call *c, exported *e, orch_error **err)
{
    checkpoint *next;
    size_t count = 0;

    for (uint32_t run = 0; run < e->row.run; run++)
        count += e->runs[run].count;
    c->runs = mem_calloc(e->row.run, sizeof *c->runs);
    c->checkpoints = mem_calloc(count + 1, sizeof *c->checkpoints);
    if (!c->runs || !c->checkpoints)
        return error_no_memory(err);
    next = c->checkpoints;
    for (uint32_t run = 0; run < e->row.run; run++) {
        exported_run *r = &e->runs[run];

        c->runs[run] = (past_run){run + 1, next, (uint32_t)r->count, r->end.run ? &r->end : NULL};
        for (size_t i = 0; i < r->count; i++)
            *next++ = r->rows[i].checkpoint;
    }
    c->request.row = e->row;
    c->request.past = (store_past){c->runs, e->row.run, e->controls, (uint32_t)e->control_count};
    return 0;
}

static bool exists(orch_v2 *o, uint64_t key, const char *id)
{
    store *s = runtime_store(o->rt);
    execution_row row = {0};
    int32_t rc = s->ops->load_execution(s->self, key, id, &row, NULL);

    execution_row_clear(&row);
    return rc == 0;
}

static void set_key(import_call *c, uint64_t key)
{
    c->request.row.key = key;
    for (uint32_t i = 0; i < c->request.past.control_count; i++)
        c->request.past.controls[i].execution = key;
}

/* Two stores may have given one key, to different ids of their callers: then it is the next. */
static bool may_have_next_key(orch_v2 *o, const execution_row *row)
{
    uint64_t next = row->key + 1;

    return row->id && execution_key_shard(next) == execution_key_shard(row->key) &&
           !exists(o, 0, row->id);
}

static int32_t store_it(orch_v2 *o, import_call *c, orch_error **err)
{
    const execution_row *row = &c->request.row;
    char made[EXECUTION_ID_LEN + 1];
    orch_error *why = NULL;
    int32_t rc = ask(o, c, &why);

    for (int i = 0; rc == ORCH_E_ALREADY_EXISTS && i < KEY_TRIES && may_have_next_key(o, row);
         i++) {
        orch_error_free(why);
        why = NULL;
        set_key(c, row->key + 1);
        rc = ask(o, c, &why);
    }
    if (rc != ORCH_E_ALREADY_EXISTS)
        return pass_error(rc, why, err);
    orch_error_free(why);
    execution_id_format(row->key, made);
    return error_set(err, rc, row->id ? row->id : made, "there is an execution '%s' already",
                     row->id ? row->id : made);
}

static int32_t import(orch_v2 *o, exported *e, orch_error **err)
{
    import_call c = {0};
    definition *d = NULL;
    int32_t rc = find_definition(o, e, &e->row.definition, err);

    if (!rc)
        rc = versions_definition(o, e->row.definition, &d, err);
    if (!rc)
        rc = check_history(o, e, d, err);
    if (!rc && e->parent && query_key(o, e->parent, &e->row.parent, NULL))
        e->row.parent = 0; /* not here, or not yet */
    if (!rc && e->row.parent && !exists(o, e->row.parent, NULL))
        e->row.parent = 0;
    if (!rc)
        rc = make_past(&c, e, err);
    if (!rc)
        rc = store_it(o, &c, err);
    definition_unref(d);
    mem_free(c.runs);
    mem_free(c.checkpoints);
    return rc;
}

int32_t orch_v2_import_execution(orch_v2 *orch, const char *text, size_t len, orch_error **err)
{
    exported e = {0};
    int32_t rc = check_running(orch, err);

    if (!rc)
        rc = check_not_null(text, "text", err);
    if (!rc)
        rc = check_may_block(orch, err);
    if (rc)
        return rc;
    orch_ref(orch);
    rc = exported_read(text, len, &e, err);
    if (!rc && !EXECUTION_STATE_IS_END(e.row.state))
        rc = error_set(err, ORCH_E_FAILED_PRECONDITION, NULL,
                       "the execution had not ended when it was exported: only ended ones can be "
                       "imported");
    if (!rc)
        rc = import(orch, &e, err);
    exported_clear(&e);
    orch_unref(orch);
    return rc;
}
