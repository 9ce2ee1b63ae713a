/* Executions, looked at. */
#include <stdio.h>
#include <string.h>

#include "service/service_impl.h"

#define HISTORY_PAGE 1000
#define STEPS_PAGE   1000

static int32_t get_execution(orch_v2 *o, const void *request, buf *reply, orch_error **err)
{
    const PB(GetExecutionRequest) *in = request;
    PB(Execution) out;
    orch_response *r = NULL;
    int32_t rc = orch_v2_get_execution(o, in->execution_id, &r, err);

    if (rc)
        return rc;
    reply_execution(&out, r, true, true);
    rc = reply_pack(reply, &out.base, err);
    orch_response_free(r);
    return rc;
}

/* ---- lists ----------------------------------------------------------------------------------------------- */

static int32_t fill_filter(orch_filter *f, const PB(ListExecutionsRequest) * in, orch_error **err)
{
    char limit[16];
    int32_t rc = 0;

    for (size_t i = 0; i < in->n_conditions && !rc; i++) {
        const char *key = in->conditions[i]->key;

        if (!strcmp(key, "limit") || !strcmp(key, "page") || !strcmp(key, "everything"))
            rc = error_set(err, ORCH_E_INVALID_ARGUMENT, key, "'%s' is no condition of a list",
                           key);
        else
            rc = orch_filter_set(f, key, in->conditions[i]->value, err);
    }
    if (!rc && in->page_size) {
        snprintf(limit, sizeof limit, "%u", in->page_size);
        rc = orch_filter_set(f, "limit", limit, err);
    }
    return rc || !*in->page_token ? rc : orch_filter_set(f, "page", in->page_token, err);
}

static bool wants_payloads(const PB(ListExecutionsRequest) * in)
{
    for (size_t i = 0; i < in->n_conditions; i++)
        if (!strcmp(in->conditions[i]->key, "payloads"))
            return !strcmp(in->conditions[i]->value, "true");
    return false;
}

/* `payloads`: the list was asked for with them. */
static int32_t reply_list(const orch_execution_list *list, bool payloads, buf *reply,
                          orch_error **err)
{
    size_t count = orch_execution_list_count(list);
    PB(ListExecutionsResponse) out;
    int32_t rc;

    orch__v1__list_executions_response__init(&out);
    out.executions = reply_repeated(count, sizeof **out.executions, err);
    if (!out.executions)
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < count; i++)
        reply_execution(out.executions[i], orch_execution_list_get(list, i), payloads, payloads);
    out.n_executions = count;
    out.next_page_token = reply_text(orch_execution_list_next(list));
    rc = reply_pack(reply, &out.base, err);
    mem_free(out.executions);
    return rc;
}

static int32_t list_executions(orch_v2 *o, const void *request, buf *reply, orch_error **err)
{
    orch_filter *f = orch_filter_new();
    orch_execution_list *list = NULL;
    int32_t rc = f ? fill_filter(f, request, err) : error_no_memory(err);

    if (!rc)
        rc = orch_v2_list_executions(o, f, &list, err);
    if (!rc)
        rc = reply_list(list, wants_payloads(request), reply, err);
    orch_execution_list_free(list);
    orch_filter_free(f);
    return rc;
}

/* ---- histories ------------------------------------------------------------------------------------------- */

static void fill_entry(PB(HistoryEntry) * out, const orch_history *h, size_t i)
{
    int64_t index = orch_history_index(h, i);

    orch__v1__history_entry__init(out);
    out->seq = orch_history_seq(h, i);
    out->step = reply_text(orch_history_step(h, i));
    if (index >= 0) {
        out->index_given_case = ORCH__V1__HISTORY_ENTRY__INDEX_GIVEN_INDEX;
        out->index = index;
    }
    out->kind = reply_text(orch_step_kind_name(orch_history_kind(h, i)));
    out->attempt = orch_history_attempt(h, i);
    out->started_ms = orch_history_started_ms(h, i);
    out->ended_ms = orch_history_ended_ms(h, i);
    out->due_ms = orch_history_due_ms(h, i);
    out->output = reply_text(orch_history_output(h, i, NULL));
    out->error = reply_text(orch_history_error(h, i, NULL));
}

static int32_t reply_history(const orch_history *h, buf *reply, orch_error **err)
{
    size_t count = orch_history_count(h);
    PB(GetHistoryResponse) out;
    int32_t rc;

    orch__v1__get_history_response__init(&out);
    out.entries = reply_repeated(count, sizeof **out.entries, err);
    if (!out.entries)
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < count; i++)
        fill_entry(out.entries[i], h, i);
    out.n_entries = count;
    rc = reply_pack(reply, &out.base, err);
    mem_free(out.entries);
    return rc;
}

static int32_t get_history(orch_v2 *o, const void *request, buf *reply, orch_error **err)
{
    const PB(GetHistoryRequest) *in = request;
    uint32_t limit = in->page_size ? in->page_size : HISTORY_PAGE;
    orch_history *h = NULL;
    int32_t rc = in->run ? orch_v2_get_run_history(o, in->execution_id, in->run, in->after_seq,
                                                   limit, &h, err)
                         : orch_v2_get_history(o, in->execution_id, in->after_seq, limit, &h, err);

    if (!rc)
        rc = reply_history(h, reply, err);
    orch_history_free(h);
    return rc;
}

/* ---- steps ----------------------------------------------------------------------------------------------- */

static void fill_step(PB(StepState) * out, const orch_steps *s, size_t i)
{
    int32_t state = orch_steps_state(s, i);

    orch__v1__step_state__init(out);
    out->id = reply_text(orch_steps_id(s, i));
    out->executor = reply_text(orch_steps_executor(s, i));
    out->state = reply_text(state ? orch_step_kind_name(state) : "none");
    out->attempts = orch_steps_attempts(s, i);
    out->started_ms = orch_steps_started_ms(s, i);
    out->ended_ms = orch_steps_ended_ms(s, i);
    out->due_ms = orch_steps_due_ms(s, i);
    out->items = orch_steps_items(s, i);
    out->items_ended = orch_steps_items_ended(s, i);
    out->error = reply_text(orch_steps_error(s, i, NULL));
}

static int32_t reply_steps(const orch_steps *s, buf *reply, orch_error **err)
{
    size_t count = orch_steps_count(s);
    PB(GetStepsResponse) out;
    int32_t rc;

    orch__v1__get_steps_response__init(&out);
    out.steps = reply_repeated(count, sizeof **out.steps, err);
    if (!out.steps)
        return ORCH_E_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < count; i++)
        fill_step(out.steps[i], s, i);
    out.n_steps = count;
    out.total = orch_steps_total(s);
    rc = reply_pack(reply, &out.base, err);
    mem_free(out.steps);
    return rc;
}

static int32_t get_steps(orch_v2 *o, const void *request, buf *reply, orch_error **err)
{
    const PB(GetStepsRequest) *in = request;
    orch_steps *s = NULL;
    int32_t rc = orch_v2_get_steps(o, in->execution_id, in->run, NULL, in->first,
                                   in->page_size ? in->page_size : STEPS_PAGE, &s, err);

    if (!rc)
        rc = reply_steps(s, reply, err);
    orch_steps_free(s);
    return rc;
}

const method_row service_execution_rows[] = {
    {SERVICE "GetExecution", &orch__v1__get_execution_request__descriptor, .call = get_execution},
    {SERVICE "ListExecutions", &orch__v1__list_executions_request__descriptor,
     .call = list_executions},
    {SERVICE "GetHistory", &orch__v1__get_history_request__descriptor, .call = get_history},
    {SERVICE "GetSteps", &orch__v1__get_steps_request__descriptor, .call = get_steps},
    {0},
};
