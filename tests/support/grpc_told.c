#include "support/grpc_told.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void on_headers(void *ctx, grpc_call *c)
{
    (void)c;
    ((told *)ctx)->headers++;
}

static void on_message(void *ctx, grpc_call *c, const uint8_t *data, size_t len)
{
    told *t = ctx;

    (void)c;
    t->messages++;
    t->bytes += len;
    buf_clear(&t->last);
    if (t->keeps)
        buf_add(&t->last, data, len);
}

static void on_drained(void *ctx, grpc_call *c)
{
    (void)c;
    ((told *)ctx)->drained++;
}

static void on_closed(void *ctx, grpc_call *c, int32_t code, const char *message)
{
    told *t = ctx;
    const char *trailer = grpc_metadata_get(grpc_call_trailers(c), "x-end", NULL);

    t->closed++;
    t->code = code;
    t->call = NULL;
    snprintf(t->message, sizeof t->message, "%s", message);
    snprintf(t->trailer, sizeof t->trailer, "%s", trailer ? trailer : "");
}

void told_call(told *t, grpc_channel *on, const char *path, const grpc_call_options *o)
{
    static const grpc_call_handler handler = {on_headers, on_message, NULL, on_drained, on_closed};

    memset(t, 0, sizeof *t);
    t->call = grpc_channel_call(on, path, o, &handler, t);
    assert_non_null(t->call);
}

void told_forget(told *t)
{
    buf_free(&t->last);
}
