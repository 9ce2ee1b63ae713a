/* New runs: retry, rerun, fork. What was done is read and sorted out on the io pool; one unit then begins the new run with
 * what it takes over. The old run's end stands. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"
#include "workflow/carry.h"

typedef struct renewal {
    pool_read base; /* first */
    control_request *request;
    execution_row row;
    version_entry *from, *onto; /* entries stay for the orchestrator's life */
    definition *from_definition, *onto_definition;
    carried carried;
} renewal;

typedef struct renew_job {
    unit_job job; /* first */
    renewal *renewal;
    execution_update update;
    execution_row row; /* of a fork */
    control_row control;
    char detail[EXECUTION_ID_MAX + 8];
} renew_job;

static void renewal_free(renewal *n)
{
    orch_error_free(n->base.error);
    execution_row_clear(&n->row);
    definition_unref(n->from_definition);
    definition_unref(n->onto_definition);
    carried_clear(&n->carried);
    mem_free(n);
}

/* The answer, and the end of the renewal. */
static void answer(renewal *n, int32_t code)
{
    control_request *r = n->request;

    renewal_free(n);
    r->code = code;
    r->done(r);
}

/* ---- on the pool ----------------------------------------------------------------------------------------- */

static int32_t load_definition(renewal *n, const version_entry *v, definition **out)
{
    orchestrator *o = n->base.o;
    store *s = &o->ports.store;
    definition_page page = {0};
    int32_t rc;

    if (*out)
        return 0;
    rc = s->ops->load_definitions(s->self, v->key, true, &page, &n->base.error);
    if (!rc && page.count != 1)
        rc = error_set(&n->base.error, ORCH_E_DATA_LOSS, v->workflow,
                       "workflow %s %s is not in the store", v->workflow, v->version);
    if (!rc)
        rc = definition_parse(page.rows[0].text->data, page.rows[0].text->len, &o->options.limits,
                              out, &n->base.error);
    definition_page_clear(&page);
    return rc;
}

static void sort_out(pool_read *base)
{
    renewal *n = (renewal *)base;
    store *s = &base->o->ports.store;
    checkpoint_page history = {0};
    int32_t rc = load_definition(n, n->from, &n->from_definition);

    if (!rc)
        rc = load_definition(n, n->onto, &n->onto_definition);
    if (!rc)
        rc = s->ops->load_checkpoints(s->self, n->row.key, n->row.run, 0, 0, &history,
                                      &base->error);
    if (!rc)
        rc = carry_over(n->from_definition, history.rows, (uint32_t)history.count,
                        n->onto_definition, n->request->step, &n->carried, &base->error);
    checkpoint_page_clear(&history);
    base->code = rc;
}

/* ---- on the loop ----------------------------------------------------------------------------------------- */

static void renewed(unit_job *j)
{
    renew_job *w = (renew_job *)j;
    renewal *n = w->renewal;
    control_request *r = n->request;
    orchestrator *o = j->o;
    int32_t code = j->unit.result;

    if (!code) {
        r->key = j->unit.key;
        o->stats.open++;
        queue_bring(o, j->unit.key);
    } else if (code == ORCH_E_FAILED_PRECONDITION) {
        error_set(&r->error, code, r->id, "execution '%s' has been started anew meanwhile", r->id);
    } else if (code == ORCH_E_ALREADY_EXISTS) {
        error_set(&r->error, code, r->new_id, "an execution '%s' exists already", r->new_id);
    } else {
        error_set(&r->error, code, r->id, "the %s could not be recorded: %s",
                  control_name(r->action), orch_code_name(code));
    }
    mem_free(w);
    answer(n, code);
}

/* Its time counts anew. */
static int64_t deadline(const renewal *n)
{
    int64_t timeout_ms = n->onto_definition->timeout_ms;

    return timeout_ms ? n->base.o->now_ms + timeout_ms : 0;
}

static void fill_run(renew_job *w)
{
    renewal *n = w->renewal;
    store_unit *u = &w->job.unit;

    unit_init(&w->job, n->base.o, n->row.key, renewed);
    u->run = n->row.run + 1;
    u->must_have_ended = true;
    w->update = (execution_update){.state = EXECUTION_OPEN, .deadline_ms = deadline(n)};
    u->update = &w->update;
    u->inbox_consumed = INT64_MAX;
}

static void fill_fork(renew_job *w)
{
    renewal *n = w->renewal;
    control_request *r = n->request;
    orchestrator *o = n->base.o;
    uint64_t key = live_next_key(o, r->new_id);

    unit_init(&w->job, o, key, renewed);
    w->job.unit.run = 1;
    w->row = (execution_row){
        .key = key,
        .id = r->new_id,
        .definition = n->onto->key,
        .run = 1,
        .state = EXECUTION_OPEN,
        .priority = n->row.priority,
        .limit_key = n->row.limit_key,
        .affinity = n->row.affinity,
        .attributes = n->row.attributes,
        .input = n->row.input,
        .accepted_ms = o->now_ms,
        .deadline_ms = deadline(n),
    };
    w->job.unit.accept = &w->row;
}

static int32_t submit(renewal *n)
{
    control_request *r = n->request;
    renew_job *w = mem_zalloc(sizeof *w);
    char *detail = r->step;

    if (!w)
        return error_no_memory(&r->error);
    w->renewal = n;
    if (r->action == CONTROL_FORK) {
        fill_fork(w);
        snprintf(w->detail, sizeof w->detail, "from %s", r->id);
        detail = w->detail;
    } else {
        fill_run(w);
    }
    w->job.unit.checkpoints = n->carried.rows;
    w->job.unit.checkpoint_count = n->carried.count;
    w->control = control_record(n->base.o, control_name(r->action), r->who, r->why, detail);
    w->control.execution = w->job.unit.key;
    w->job.unit.control = &w->control;
    unit_submit(&w->job);
    return 0;
}

static void sorted_out(pool_read *base)
{
    renewal *n = (renewal *)base;
    control_request *r = n->request;
    int32_t code = base->code;

    if (code) {
        r->error = base->error;
        base->error = NULL;
    } else if (base->o->stopping) {
        code = error_set(&r->error, ORCH_E_CANCELLED, r->id,
                         "the orchestrator stops: the %s was not recorded",
                         control_name(r->action));
    } else {
        code = submit(n);
    }
    if (code)
        answer(n, code);
}

/* ---- what may be renewed --------------------------------------------------------------------------------- */

static int32_t check(const execution_row *row, control_request *r)
{
    const char *name = control_name(r->action);

    if (r->action == CONTROL_FORK)
        return 0;
    if (!EXECUTION_STATE_IS_END(row->state))
        return error_set(&r->error, ORCH_E_FAILED_PRECONDITION, r->id,
                         "execution '%s' has not ended: it cannot take a %s", r->id, name);
    if (row->state == EXECUTION_SUCCEEDED && r->action == CONTROL_RETRY)
        return error_set(&r->error, ORCH_E_FAILED_PRECONDITION, r->id,
                         "execution '%s' has succeeded: there is nothing to retry; rerun it from a "
                         "step",
                         r->id);
    if (row->parent && !row->by_task)
        return error_set(&r->error, ORCH_E_FAILED_PRECONDITION, r->id,
                         "execution '%s' is a child whose parent was told of its end: it cannot "
                         "take a %s; retry the parent",
                         r->id, name);
    if (row->parent && !row->abandoned)
        return error_set(&r->error, ORCH_E_FAILED_PRECONDITION, r->id,
                         "execution '%s' is the child of a task, which may have acted on its end: "
                         "it cannot take a %s; retry the parent",
                         r->id, name);
    return 0;
}

static int32_t find_versions(renewal *n)
{
    orchestrator *o = n->base.o;
    control_request *r = n->request;

    n->from = registry_by_key(o, n->row.definition);
    if (!n->from)
        return error_set(&r->error, ORCH_E_DATA_LOSS, r->id,
                         "the workflow of execution '%s' is not in the store", r->id);
    n->onto = n->from;
    if (r->action == CONTROL_FORK && r->range) {
        int32_t rc = registry_resolve(o, n->from->workflow, r->range, &n->onto, &r->error);

        if (rc)
            return rc;
    }
    n->from_definition = definition_ref(n->from->definition);
    n->onto_definition = definition_ref(n->onto->definition);
    return 0;
}

void renew(orchestrator *o, execution_row *row, control_request *r)
{
    renewal *n;
    int32_t code = check(row, r);

    n = code ? NULL : mem_zalloc(sizeof *n);
    if (!n) {
        r->code = code ? code : error_no_memory(&r->error);
        r->done(r);
        return;
    }
    n->base.o = o;
    n->base.read = sort_out;
    n->base.back = sorted_out;
    n->request = r;
    n->row = *row;
    *row = (execution_row){0};
    code = find_versions(n);
    if (!code && !reads_submit(o, &n->base))
        code = error_no_memory(&r->error);
    if (code)
        answer(n, code);
}
