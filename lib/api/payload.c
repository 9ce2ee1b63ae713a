/* Payloads on their way from the host, and to it. */
#include "api/api_impl.h"

int32_t payload_encode(orch_v2 *o, bytes **payload, orch_error **err)
{
    return codec_encode(&o->codec, payload, err);
}

static void note(int32_t rc, int32_t *status)
{
    if (rc && !*status)
        *status = rc;
}

void payload_decode(orch_v2 *o, bytes **payload, int32_t *status)
{
    note(codec_decode(&o->codec, payload, NULL), status);
}

void payload_decode_error(orch_v2 *o, bytes **error, int32_t *status)
{
    note(codec_decode_error(&o->codec, error, NULL), status);
}
