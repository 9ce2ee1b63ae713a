#include "runtime/event_stream.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/unconst.h"
#include "orch/v1/orchestrator.pb-c.h"
#include "transport/protobuf.h"

typedef struct event_stream {
    subscriber subscriber; /* first */
    events *events;
    grpc_call *call;
    uint64_t seq;
    bool listens, is_full;
} event_stream;

/* Severities of the proto begin with 1. */
static bool send_event(event_stream *s, const event *e, uint64_t missed)
{
    Orch__V1__Event out;
    uint8_t packed[2048];
    size_t size;

    orch__v1__event__init(&out);
    out.seq = ++s->seq;
    out.missed = missed;
    out.time_ms = e->time_ms;
    out.severity = (Orch__V1__Severity)(e->severity + 1);
    out.kind = unconst(e->kind);
    out.execution_id = unconst(e->execution);
    out.step = unconst(e->step);
    out.text = unconst(e->text);
    size = orch__v1__event__get_packed_size(&out);
    if (size > sizeof packed) { /* names and texts are bounded, so that this is none of ours */
        out.text = unconst("");
        size = orch__v1__event__get_packed_size(&out);
    }
    if (size > sizeof packed)
        return true;
    orch__v1__event__pack(&out, packed);
    return grpc_send(s->call, packed, size);
}

static void send_all(event_stream *s)
{
    uint64_t missed;
    event *e;

    while (!s->is_full && (e = events_take(&s->subscriber, &missed))) {
        s->is_full = !send_event(s, e, missed);
        event_unref(e);
    }
}

static void on_ready(subscriber *s)
{
    send_all((event_stream *)s);
}

static void on_drained(void *ctx, grpc_call *c)
{
    event_stream *s = ctx;

    (void)c;
    s->is_full = false;
    send_all(s);
}

/* Requests of both services are read as the one that has more. */
static int32_t subscribe(event_stream *s, const uint8_t *data, size_t len, orch_error **err)
{
    ProtobufCMessage *read = NULL;
    int32_t rc = protobuf_unpack(&orch__v1__subscribe_events_request__descriptor, data, len, &read,
                                 err);
    const Orch__V1__SubscribeEventsRequest *in = (Orch__V1__SubscribeEventsRequest *)read;

    if (rc)
        return rc;
    s->subscriber.min_severity = in->min_severity > 0 ? (uint8_t)(in->min_severity - 1) : 0;
    strncat(s->subscriber.execution, in->execution_id, EVENTS_NAME_MAX);
    s->subscriber.ready = on_ready;
    s->listens = events_subscribe(s->events, &s->subscriber);
    protobuf_free(read);
    if (s->listens)
        return 0;
    return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, NULL, "there are %d subscribers, or no memory",
                     EVENTS_SUBSCRIBERS);
}

static void on_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    event_stream *s = ctx;
    orch_error *error = NULL;
    int32_t rc;

    if (s->listens)
        return;
    rc = subscribe(s, data, len, &error);
    if (rc)
        grpc_finish(c, rc, orch_error_message(error));
    else
        grpc_send_initial(c); /* from here on nothing is missed */
    orch_error_free(error);
}

static void on_half_closed(void *ctx, grpc_call *c)
{
    if (!((event_stream *)ctx)->listens)
        grpc_finish(c, ORCH_E_INTERNAL, "there is no request");
}

static void on_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    event_stream *s = ctx;

    (void)c;
    (void)code;
    (void)message;
    if (s->listens)
        events_leave(&s->subscriber);
    mem_free(s);
}

static const grpc_call_handler stream_handler = {
    .message = on_message,
    .half_closed = on_half_closed,
    .drained = on_drained,
    .closed = on_closed,
};

void event_stream_begin(events *e, grpc_call *c)
{
    event_stream *s = mem_zalloc(sizeof *s);

    if (!s) {
        grpc_finish(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
        return;
    }
    s->events = e;
    s->call = c;
    grpc_call_set_handler(c, &stream_handler, s);
}
