/* Both directions of the wire. */
#ifndef TRANSPORT_WIRE_IMPL_H
#define TRANSPORT_WIRE_IMPL_H

#include "orch/v1/engine.pb-c.h"
#include "transport/protobuf.h"
#include "transport/wire.h"

#define PB(name)      Orch__V1__##name
#define PB_ENUM(name) ORCH__V1__##name

static inline bool wire_is_to_engine(uint8_t kind)
{
    return kind <= MESSAGE_CONFIRMATION;
}

/* wire_decode.c. Unknown kinds: *out is NULL. */
int32_t wire_decode_down(const PB(ToEngine) * in, message **out, orch_error **err);
int32_t wire_decode_up(const PB(ToOrchestrator) * in, message **out, orch_error **err);

#endif
