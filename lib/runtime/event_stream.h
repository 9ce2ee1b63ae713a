/* Events as the answer of a call that streams them: orch.v1.Event. */
#ifndef RUNTIME_EVENT_STREAM_H
#define RUNTIME_EVENT_STREAM_H

#include "grpc/grpc.h"
#include "monitor/events.h"

/* Such a call came. Its request, a message of that kind, has min_severity in field 1 and perhaps execution_id in field 2. Loop thread. */
void event_stream_begin(events *e, grpc_call *c);

#endif
