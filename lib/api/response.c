/* What is known of an execution, and the names of states. */
#include <string.h>

#include "api/api_impl.h"

orch_response *response_new(void)
{
    return mem_zalloc(sizeof(orch_response));
}

static void decode(orch_response *r, orch_v2 *o)
{
    payload_decode(o, &r->input, &r->codec_status);
    payload_decode(o, &r->output, &r->codec_status);
    payload_decode_error(o, &r->error, &r->codec_status);
}

void response_set_outcome(orch_response *r, orch_v2 *o, outcome *end)
{
    r->outcome = outcome_ref(end);
    r->state = end->state;
    r->accepted_ms = end->accepted_ms;
    r->ended_ms = end->ended_ms;
    r->output = bytes_ref(end->output);
    r->error = bytes_ref(end->error);
    decode(r, o);
}

int32_t response_state(const execution_row *row, bool running)
{
    if (row->state != EXECUTION_OPEN)
        return row->state;
    return running ? ORCH_EXECUTION_RUNNING : ORCH_EXECUTION_PENDING;
}

static int32_t set_parent(orch_response *r, orch_v2 *o, uint64_t key, parent_name *parent,
                          orch_error **err)
{
    int32_t rc = parent->key == key ? 0 : query_id(o, key, parent->id, err);

    if (rc)
        return rc;
    parent->key = key;
    r->parent = mem_strdup(parent->id);
    return r->parent ? 0 : error_no_memory(err);
}

static int32_t set_names(orch_response *r, orch_v2 *o, execution_row *row, parent_name *parent,
                         orch_error **err)
{
    int32_t rc = versions_names(o, row->definition, &r->names, err);

    if (!rc && row->parent)
        rc = set_parent(r, o, row->parent, parent, err);
    if (rc || row->id)
        return rc;
    row->id = mem_alloc(EXECUTION_ID_LEN + 1);
    if (!row->id)
        return error_no_memory(err);
    execution_id_format(row->key, row->id);
    return 0;
}

int32_t response_set_row(orch_response *r, orch_v2 *o, execution_row *row, bool running,
                         parent_name *parent, orch_error **err)
{
    int32_t rc = set_names(r, o, row, parent, err);

    if (rc)
        return rc;
    r->of_row = true;
    r->state = response_state(row, running);
    r->id = row->id;
    r->accepted_ms = row->accepted_ms;
    r->ended_ms = row->ended_ms;
    r->wake_ms = row->state == EXECUTION_SUSPENDED ? row->wake_ms : 0;
    r->deadline_ms = row->deadline_ms;
    r->paused = row->paused;
    r->priority = row->priority;
    r->run = row->run;
    r->limit_key = row->limit_key;
    r->attributes = row->attributes;
    r->input = row->input;
    r->output = row->output;
    r->error = row->error;
    row->id = row->limit_key = NULL;
    row->attributes = row->input = row->output = row->error = NULL;
    decode(r, o);
    return 0;
}

void response_clear(orch_response *r)
{
    outcome_unref(r->outcome);
    version_names_unref(r->names);
    bytes_unref(r->input);
    bytes_unref(r->output);
    bytes_unref(r->error);
    bytes_unref(r->attributes);
    mem_free(r->parent);
    mem_free(r->limit_key);
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

const char *text_or(const bytes *b, const char *otherwise, size_t *out_len)
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

int32_t orch_response_codec_status(const orch_response *response)
{
    return response ? response->codec_status : 0;
}

int32_t orch_response_run(const orch_response *response)
{
    return response ? (int32_t)response->run : 0;
}

int32_t orch_response_priority(const orch_response *response)
{
    return response && response->of_row ? response->priority : -1;
}

int32_t orch_response_paused(const orch_response *response)
{
    return response && response->paused;
}

const char *orch_response_parent(const orch_response *response)
{
    return response && response->parent ? response->parent : "";
}

const char *orch_response_attributes(const orch_response *response, size_t *out_len)
{
    return text_or(response ? response->attributes : NULL, "{}", out_len);
}

const char *orch_response_limit_key(const orch_response *response)
{
    return response && response->limit_key ? response->limit_key : "";
}

int64_t orch_response_wake_ms(const orch_response *response)
{
    return response ? response->wake_ms : 0;
}

int64_t orch_response_deadline_ms(const orch_response *response)
{
    return response ? response->deadline_ms : 0;
}

const char *orch_execution_state_name(int32_t state)
{
    static const char *const names[] = {"pending", "running",   "suspended", "succeeded",
                                        "failed",  "cancelled", "timed_out"};

    return state >= 0 && state <= ORCH_EXECUTION_TIMED_OUT ? names[state] : "unknown";
}
