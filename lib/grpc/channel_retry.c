/* Calls that failed and are made again. */
#include "grpc/channel_impl.h"

/* Nothing of the answer is left, and the request is as it was before it left. */
static void forget_attempt(grpc_call *c)
{
    size_t most = c->in.max_bytes;

    grpc_deframer_clear(&c->in);
    c->in = (grpc_deframer){.max_bytes = most};
    grpc_metadata_clear(&c->metadata);
    grpc_metadata_clear(&c->trailers);
    buf_clear(&c->said);
    c->has_status = c->in_ended = c->told_end = c->has_type = c->is_grpc = c->bad_encoding = false;
    c->status = 0;
    c->http_status = 0;
    c->blocks = 0;
    c->accepts_gzip = c->announces_gzip; /* as what is kept was made */
    h2_rewind(&c->stream);
}

void client_retry_due(net_timer *t)
{
    grpc_call *c = LIST_ENTRY(t, grpc_call, retry_timer);

    if (c->over)
        return;
    c->retry_waits = false;
    channel_call_again(c);
}

void channel_retry_closed(grpc_call *c)
{
    c->link = NULL;
    forget_attempt(c);
    if (!net_timer_set(c->loop, &c->retry_timer, c->loop->now_ns + c->retry_ns))
        call_end(c, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
}

bool channel_retry(grpc_call *c, int32_t code)
{
    grpc_channel *ch = c->channel;
    const char *pushback = grpc_metadata_get(&c->trailers, "grpc-retry-pushback-ms", NULL);

    c->retry_ns = retry_after(&c->retry, &ch->throttle, c->loop, code, pushback, c->retries + 1,
                              &c->backoffs);
    if (c->retry_ns == RETRY_NEVER || !c->stream.keep || ch->is_freed)
        return false;
    c->retries++;
    c->retry_waits = true;
    if (!c->stream.is_closed && !c->stream.local_ended) {
        h2_abandon(&c->stream, NGHTTP2_NO_ERROR);
        call_wake(c);
    }
    if (c->stream.is_closed)
        channel_retry_closed(c); /* else when it has */
    return true;
}
