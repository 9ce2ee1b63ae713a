/* The registry of workflows, as the store has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/dependents.h"
#include "service/listed.h"
#include "service/service_impl.h"
#include "workflow/definition.h"
#include "workflow/semver.h"

#define PAGE     100
#define PAGE_MAX 1000

/* Key 0: all that are not deleted, without texts. */
static int32_t load(orch_v2 *o, uint64_t key, definition_page *out, orch_error **err)
{
    store *s = runtime_store(api_runtime(o));

    return key ? s->ops->load_definitions(s->self, key, true, out, err)
               : listed_load(s, false, out, err);
}

static int32_t not_there(const char *workflow, const char *version, orch_error **err)
{
    return error_set(err, ORCH_E_NOT_FOUND, workflow,
                     *version ? "workflow '%s' has no version in '%s'"
                              : "there is no workflow '%s'%s",
                     workflow, version);
}

/* ---- registering ----------------------------------------------------------------------------------------- */

static int32_t registered(const definition *d, buf *reply, orch_error **err)
{
    PB(RegisterWorkflowResponse) out;

    orch__v1__register_workflow_response__init(&out);
    out.workflow_id = reply_text(d->id);
    out.version = reply_text(d->version);
    return reply_pack(reply, &out.base, err);
}

static int32_t register_text(orch_v2 *o, const char *text, const definition *d, buf *reply,
                             orch_error **err)
{
    int32_t rc = orch_v2_register_definition(o, text, strlen(text), err);

    return rc ? rc : registered(d, reply, err);
}

static int32_t register_workflow(orch_v2 *o, const void *request, buf *reply, orch_error **err)
{
    const PB(RegisterWorkflowRequest) *in = request;
    definition *d = NULL;
    int32_t rc = definition_parse(in->definition, strlen(in->definition), NULL, &d, err);

    if (!rc)
        rc = register_text(o, in->definition, d, reply, err);
    definition_unref(d);
    return rc;
}

static int32_t update_workflow(orch_v2 *o, const void *request, buf *reply, orch_error **err)
{
    const PB(UpdateWorkflowRequest) *in = request;
    bool strict = in->policy == ORCH__V1__UPDATE_WORKFLOW_REQUEST__POLICY__STRICT;
    bool force = in->policy == ORCH__V1__UPDATE_WORKFLOW_REQUEST__POLICY__FORCE;
    definition *d = NULL;
    int32_t rc = definition_parse(in->definition, strlen(in->definition), NULL, &d, err);

    if (!rc)
        rc = dependents_check(runtime_store(api_runtime(o)), d->id, force ? NULL : d->version,
                              strict, err);
    if (!rc)
        rc = register_text(o, in->definition, d, reply, err);
    definition_unref(d);
    return rc;
}

static int32_t delete_workflow(orch_v2 *o, const void *request, buf *reply, orch_error **err)
{
    const PB(DeleteWorkflowRequest) *in = request;
    PB(DeleteWorkflowResponse) out;
    orch_control *c = NULL;
    int32_t rc = control_of(in->who, in->why, &c, err);

    orch__v1__delete_workflow_response__init(&out);
    if (!rc && !in->force)
        rc = dependents_check_delete(runtime_store(api_runtime(o)), in->workflow_id, in->version,
                                     err);
    if (!rc)
        rc = orch_v2_delete_workflow(o, in->workflow_id, in->version, c, err);
    orch_control_free(c);
    return rc ? rc : reply_pack(reply, &out.base, err);
}

/* ---- looking --------------------------------------------------------------------------------------------- */

/* By workflow, newest version first. */
static int by_name(const void *a, const void *b)
{
    const definition_row *x = a, *y = b;
    int order = strcmp(x->workflow, y->workflow);
    semver p, q;

    if (order)
        return order;
    if (semver_parse(x->version, &p, NULL) || semver_parse(y->version, &q, NULL))
        return 0;
    return semver_compare(&q, &p);
}

/* Where the page begins: behind "WORKFLOW VERSION". */
static bool is_behind(const definition_row *row, const char *token)
{
    size_t len = strlen(row->workflow);
    definition_row other = {.workflow = row->workflow};
    int order = strncmp(row->workflow, token, len);

    if (order || token[len] != ' ')
        return order ? order > 0 : strcmp(row->workflow, token) > 0;
    other.version = unconst(token + len + 1);
    return by_name(row, &other) > 0;
}

static bool is_wanted(const definition_page *p, size_t i, const PB(ListWorkflowsRequest) * in)
{
    const definition_row *row = &p->rows[i];

    if (*in->workflow_id)
        return !strcmp(row->workflow, in->workflow_id);
    return !i || strcmp(row->workflow, p->rows[i - 1].workflow) != 0;
}

static int32_t reply_page(orch_v2 *o, const definition_page *p, const PB(ListWorkflowsRequest) * in,
                          PB(Workflow) * *all, buf *reply, orch_error **err)
{
    PB(ListWorkflowsResponse) out;
    size_t limit = in->page_size ? in->page_size : PAGE, n = 0;
    char next[600] = "";
    int32_t rc = 0;

    orch__v1__list_workflows_response__init(&out);
    if (limit > PAGE_MAX)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "page_size", "page_size is %zu; at most %d",
                         limit, PAGE_MAX);
    for (size_t i = 0; i < p->count && !rc; i++) {
        const definition_row *row = &p->rows[i];
        int32_t paused = 0;

        if (!is_wanted(p, i, in) || (*in->page_token && !is_behind(row, in->page_token)))
            continue;
        if (n == limit) {
            snprintf(next, sizeof next, "%s %s", all[n - 1]->id, all[n - 1]->version);
            break;
        }
        rc = orch_v2_get_workflow_paused(o, row->workflow, &paused, err);
        orch__v1__workflow__init(all[n]);
        all[n]->id = row->workflow;
        all[n]->version = row->version;
        all[n]->paused = paused != 0;
        n++;
    }
    out.n_workflows = n;
    out.workflows = all;
    out.next_page_token = next;
    return rc ? rc : reply_pack(reply, &out.base, err);
}

static int32_t list_workflows(orch_v2 *o, const void *request, buf *reply, orch_error **err)
{
    definition_page p = {0};
    int32_t rc = load(o, 0, &p, err);
    PB(Workflow) **all = NULL;

    if (!rc) {
        all = reply_repeated(p.count, sizeof **all, err);
        if (p.count)
            qsort(p.rows, p.count, sizeof *p.rows, by_name);
        rc = all ? reply_page(o, &p, request, all, reply, err) : ORCH_E_RESOURCE_EXHAUSTED;
    }
    mem_free(all);
    definition_page_clear(&p);
    return rc;
}

/* The newest one in the range. */
static int32_t resolve(const definition_page *p, const PB(GetWorkflowRequest) * in, uint64_t *out,
                       orch_error **err)
{
    semver_range *range = NULL;
    int32_t rc = *in->version ? semver_range_parse(in->version, &range, err) : 0;
    semver best, v;

    *out = 0;
    for (size_t i = 0; i < p->count && !rc; i++) {
        const definition_row *row = &p->rows[i];

        if (strcmp(row->workflow, in->workflow_id) != 0 || semver_parse(row->version, &v, NULL) ||
            (range && !semver_range_has(range, &v)) || (*out && semver_compare(&v, &best) < 0))
            continue;
        best = v;
        *out = row->key;
    }
    semver_range_free(range);
    return rc || *out ? rc : not_there(in->workflow_id, in->version, err);
}

static int32_t get_workflow(orch_v2 *o, const void *request, buf *reply, orch_error **err)
{
    PB(Workflow) out;
    definition_page names = {0}, one = {0};
    uint64_t key = 0;
    int32_t paused = 0, rc = load(o, 0, &names, err);

    orch__v1__workflow__init(&out);
    if (!rc)
        rc = resolve(&names, request, &key, err);
    if (!rc)
        rc = load(o, key, &one, err);
    if (!rc)
        rc = orch_v2_get_workflow_paused(o, one.rows[0].workflow, &paused, err);
    if (!rc) {
        out.id = one.rows[0].workflow;
        out.version = one.rows[0].version;
        out.definition = one.rows[0].text->data;
        out.paused = paused != 0;
        rc = reply_pack(reply, &out.base, err);
    }
    definition_page_clear(&names);
    definition_page_clear(&one);
    return rc;
}

const method_row service_workflow_rows[] = {
    {SERVICE "RegisterWorkflow", &orch__v1__register_workflow_request__descriptor,
     .call = register_workflow},
    {SERVICE "UpdateWorkflow", &orch__v1__update_workflow_request__descriptor,
     .call = update_workflow},
    {SERVICE "DeleteWorkflow", &orch__v1__delete_workflow_request__descriptor,
     .call = delete_workflow},
    {SERVICE "ListWorkflows", &orch__v1__list_workflows_request__descriptor,
     .call = list_workflows},
    {SERVICE "GetWorkflow", &orch__v1__get_workflow_request__descriptor, .call = get_workflow},
    {0},
};
