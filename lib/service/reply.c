/* Answers: what the public functions give, as messages. */
#include <string.h>

#include "service/service_impl.h"

int32_t reply_pack(buf *out, const ProtobufCMessage *m, orch_error **err)
{
    size_t size = protobuf_c_message_get_packed_size(m);

    if (!buf_room(out, size))
        return error_no_memory(err);
    out->len = protobuf_c_message_pack(m, (uint8_t *)out->data);
    return 0;
}

void *reply_repeated(size_t count, size_t size, orch_error **err)
{
    size_t each = sizeof(void *) + size;
    void **items = count < SIZE_MAX / each - 1 ? mem_alloc((count + 1) * each) : NULL;

    if (!items) {
        error_no_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        items[i] = (char *)(items + count + 1) + i * size;
    return items;
}

char *reply_text(const char *text)
{
    return unconst(text ? text : protobuf_c_empty_string);
}

const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

/* Ours begin with 0, theirs with 1. */
static PB(ExecutionState) state_of(int32_t state)
{
    return (PB(ExecutionState))(state + 1);
}

void reply_execution(PB(Execution) * out, const orch_response *r, bool input, bool end)
{
    int32_t state = orch_response_state(r);
    bool ended = state >= ORCH_EXECUTION_SUCCEEDED;

    orch__v1__execution__init(out);
    out->id = reply_text(orch_response_id(r));
    out->workflow_id = reply_text(orch_response_workflow(r));
    out->version = reply_text(orch_response_version(r));
    out->state = state_of(state);
    out->paused = orch_response_paused(r);
    if (input)
        out->input = reply_text(orch_response_input(r, NULL));
    if (end && state == ORCH_EXECUTION_SUCCEEDED)
        out->output = reply_text(orch_response_output(r, NULL));
    else if (end && ended)
        out->error = reply_text(orch_response_error(r, NULL));
    out->accepted_ms = orch_response_accepted_ms(r);
    out->ended_ms = orch_response_ended_ms(r);
    out->deadline_ms = orch_response_deadline_ms(r);
    out->wake_ms = orch_response_wake_ms(r);
    out->run = orch_response_run(r);
    out->priority = orch_response_priority(r);
    out->parent_id = reply_text(orch_response_parent(r));
    out->attributes = reply_text(orch_response_attributes(r, NULL));
    out->limit_key = reply_text(orch_response_limit_key(r));
}

void reply_outcome(PB(Execution) * out, const outcome *o)
{
    orch__v1__execution__init(out);
    out->id = o->id;
    out->workflow_id = o->workflow;
    out->version = o->version;
    out->state = state_of(o->state);
    if (o->state == EXECUTION_SUCCEEDED)
        out->output = reply_text(o->output ? o->output->data : "null");
    else
        out->error = reply_text(o->error ? o->error->data : NULL);
    out->accepted_ms = o->accepted_ms;
    out->ended_ms = o->ended_ms;
}
