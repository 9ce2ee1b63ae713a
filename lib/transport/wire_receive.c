/* What comes from the other end of a channel: whole messages, and parts of long ones. */
#include "base/error.h"
#include "base/mem.h"
#include "transport/wire_impl.h"

static int32_t receive(wire_reader *r, const void *data, size_t len, bool whole, message **out,
                       orch_error **err);

static int32_t take_part(wire_reader *r, const PB(Part) * part, bool whole, message **out,
                         orch_error **err)
{
    int32_t rc;

    if (whole || !part->data.len)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, NULL,
                         "parts of a message are of no use within one, or empty");
    if (part->data.len > WIRE_MESSAGE_BYTES - r->parts.len)
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, NULL,
                         "a message in parts is longer than %zu bytes, which is the limit",
                         WIRE_MESSAGE_BYTES);
    buf_add(&r->parts, part->data.data, part->data.len);
    if (r->parts.failed)
        return error_no_memory(err);
    r->in_parts = part->more;
    if (part->more)
        return 0;
    rc = receive(r, r->parts.data, r->parts.len, true, out, err);
    buf_free(&r->parts);
    return rc;
}

/* Whether it may come now: nothing else comes between parts. */
static int32_t check_order(const wire_reader *r, bool is_part, bool whole, orch_error **err)
{
    if (!r->in_parts || is_part || whole)
        return 0;
    return error_set(err, ORCH_E_INVALID_ARGUMENT, NULL,
                     "a message came between the parts of another");
}

static int32_t receive_down(wire_reader *r, const void *data, size_t len, bool whole, message **out,
                            orch_error **err)
{
    ProtobufCMessage *read = NULL;
    int32_t rc = protobuf_unpack(&orch__v1__to_engine__descriptor, data, len, &read, err);
    const PB(ToEngine) *m = (PB(ToEngine) *)read;
    bool is_part = m && m->kind_case == ORCH__V1__TO_ENGINE__KIND_PART;

    if (!rc)
        rc = check_order(r, is_part, whole, err);
    if (!rc)
        rc = is_part ? take_part(r, m->part, whole, out, err) : wire_decode_down(m, out, err);
    protobuf_free(read);
    return rc;
}

static int32_t receive_up(wire_reader *r, const void *data, size_t len, bool whole, message **out,
                          orch_error **err)
{
    ProtobufCMessage *read = NULL;
    int32_t rc = protobuf_unpack(&orch__v1__to_orchestrator__descriptor, data, len, &read, err);
    const PB(ToOrchestrator) *m = (PB(ToOrchestrator) *)read;
    bool is_part = m && m->kind_case == ORCH__V1__TO_ORCHESTRATOR__KIND_PART;

    if (!rc)
        rc = check_order(r, is_part, whole, err);
    if (!rc)
        rc = is_part ? take_part(r, m->part, whole, out, err) : wire_decode_up(m, out, err);
    protobuf_free(read);
    return rc;
}

static int32_t receive(wire_reader *r, const void *data, size_t len, bool whole, message **out,
                       orch_error **err)
{
    *out = NULL;
    return r->to_engine ? receive_down(r, data, len, whole, out, err)
                        : receive_up(r, data, len, whole, out, err);
}

int32_t wire_receive(wire_reader *r, const void *data, size_t len, message **out, orch_error **err)
{
    return receive(r, data, len, false, out, err);
}

void wire_reader_free(wire_reader *r)
{
    buf_free(&r->parts);
}
