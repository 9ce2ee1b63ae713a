/* What is known of an execution, and the names of states. */
#include <string.h>

#include "api/api_impl.h"

orch_response *response_new(void)
{
    return mem_zalloc(sizeof(orch_response));
}

void response_set_outcome(orch_response *r, outcome *o)
{
    r->outcome = outcome_ref(o);
    r->state = o->state;
    r->accepted_ms = o->accepted_ms;
    r->ended_ms = o->ended_ms;
    r->output = bytes_ref(o->output);
    r->error = bytes_ref(o->error);
}

static int32_t state_of_row(const execution_row *row, bool running)
{
    if (row->state != EXECUTION_OPEN)
        return row->state;
    return running ? ORCH_EXECUTION_RUNNING : ORCH_EXECUTION_PENDING;
}

int32_t response_set_row(orch_response *r, orch_v2 *o, execution_row *row, bool running,
                         orch_error **err)
{
    int32_t rc = versions_names(o, row->definition, &r->names, err);

    if (rc)
        return rc;
    if (!row->id) {
        row->id = mem_alloc(EXECUTION_ID_LEN + 1);
        if (!row->id)
            return error_no_memory(err);
        execution_id_format(row->key, row->id);
    }
    r->state = state_of_row(row, running);
    r->id = row->id;
    r->accepted_ms = row->accepted_ms;
    r->ended_ms = row->ended_ms;
    r->input = row->input;
    r->output = row->output;
    r->error = row->error;
    row->id = NULL;
    row->input = row->output = row->error = NULL;
    return 0;
}

void response_clear(orch_response *r)
{
    outcome_unref(r->outcome);
    version_names_unref(r->names);
    bytes_unref(r->input);
    bytes_unref(r->output);
    bytes_unref(r->error);
    mem_free(r->id);
}

void orch_response_free(orch_response *response)
{
    if (!response)
        return;
    response_clear(response);
    mem_free(response);
}

const char *orch_response_id(const orch_response *response)
{
    if (!response)
        return "";
    return response->outcome ? response->outcome->id : response->id;
}

const char *orch_response_workflow(const orch_response *response)
{
    if (!response)
        return "";
    return response->outcome ? response->outcome->workflow : response->names->workflow;
}

const char *orch_response_version(const orch_response *response)
{
    if (!response)
        return "";
    return response->outcome ? response->outcome->version : response->names->version;
}

int32_t orch_response_state(const orch_response *response)
{
    return response ? response->state : -1;
}

static const char *text_or(const bytes *b, const char *otherwise, size_t *out_len)
{
    if (out_len)
        *out_len = b ? b->len : otherwise ? strlen(otherwise) : 0;
    return b ? b->data : otherwise;
}

const char *orch_response_output(const orch_response *response, size_t *out_len)
{
    return text_or(response ? response->output : NULL, "null", out_len);
}

const char *orch_response_error(const orch_response *response, size_t *out_len)
{
    return text_or(response ? response->error : NULL, NULL, out_len);
}

const char *orch_response_input(const orch_response *response, size_t *out_len)
{
    return text_or(response ? response->input : NULL, "{}", out_len);
}

int64_t orch_response_accepted_ms(const orch_response *response)
{
    return response ? response->accepted_ms : 0;
}

int64_t orch_response_ended_ms(const orch_response *response)
{
    return response ? response->ended_ms : 0;
}

const char *orch_execution_state_name(int32_t state)
{
    static const char *const names[] = {"pending", "running",   "suspended", "succeeded",
                                        "failed",  "cancelled", "timed_out"};

    return state >= 0 && state <= ORCH_EXECUTION_TIMED_OUT ? names[state] : "unknown";
}

const char *orch_step_kind_name(int32_t kind)
{
    static const char *const names[] = {"unknown", "running",  "decided",   "expanded",
                                        "waiting", "retrying", "succeeded", "failed",
                                        "skipped", "cancelled"};

    return kind > 0 && kind <= ORCH_STEP_CANCELLED ? names[kind] : "unknown";
}
