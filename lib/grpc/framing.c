#include "grpc/framing.h"

#include <orch/error.h>
#include <string.h>
#include <zlib.h>

#include "base/unconst.h"

#define FIT_BYTES   ((size_t)128 * 1024)
#define GZIP_WINDOW (15 + 16) /* zlib's words for: 32 KiB, with gzip's head */

/* ---- gzip ------------------------------------------------------------------------------------------------------------- */

bool grpc_gzip(buf *out, const uint8_t *data, size_t len)
{
    uint8_t part[8192];
    z_stream z = {.next_in = unconst(data), .avail_in = (uInt)len};
    int rc = Z_OK;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return false;
    while (rc == Z_OK) {
        z.next_out = part;
        z.avail_out = sizeof part;
        rc = deflate(&z, Z_FINISH);
        buf_add(out, part, sizeof part - z.avail_out);
    }
    deflateEnd(&z);
    return rc == Z_STREAM_END && !out->failed;
}

bool grpc_gunzip(buf *out, const uint8_t *data, size_t len, size_t max_bytes, bool *too_much)
{
    uint8_t part[8192];
    z_stream z = {.next_in = unconst(data), .avail_in = (uInt)len};
    int rc = Z_OK;

    *too_much = false;
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
        return false;
    while (rc == Z_OK && !*too_much) {
        z.next_out = part;
        z.avail_out = sizeof part;
        rc = inflate(&z, Z_NO_FLUSH);
        buf_add(out, part, sizeof part - z.avail_out);
        *too_much = max_bytes && out->len > max_bytes;
    }
    inflateEnd(&z);
    return rc == Z_STREAM_END && !z.avail_in && !out->failed && !*too_much;
}

/* ---- messages --------------------------------------------------------------------------------------------------------- */

void grpc_head_write(uint8_t out[GRPC_HEAD], bool compressed, size_t len)
{
    out[0] = compressed;
    for (int i = 0; i < 4; i++)
        out[1 + i] = (uint8_t)(len >> (24 - 8 * i));
}

static int32_t fail(const char **why, int32_t code, const char *words)
{
    *why = words;
    return code;
}

static int32_t read_head(grpc_deframer *d, const char **why)
{
    d->len = (size_t)d->head[1] << 24 | (size_t)d->head[2] << 16 | (size_t)d->head[3] << 8 |
             d->head[4];
    if (d->head[0] > 1)
        return fail(why, ORCH_E_INTERNAL, "a message has an unknown flag");
    if (d->head[0] && !d->inflates)
        return fail(why, ORCH_E_INTERNAL, "a message is compressed, and no grpc-encoding says how");
    if (d->max_bytes && d->len > d->max_bytes)
        return fail(why, ORCH_E_RESOURCE_EXHAUSTED, "a message is larger than is allowed");
    return 0;
}

typedef struct receiver {
    bool (*message)(void *ctx, const uint8_t *data, size_t len);
    void *ctx;
    bool enough;
} receiver;

static int32_t tell(const grpc_deframer *d, const uint8_t *data, receiver *r, const char **why)
{
    buf plain = BUF_INIT;
    bool too_much, ok;

    if (!d->head[0]) {
        r->enough = !r->message(r->ctx, data, d->len);
        return 0;
    }
    ok = grpc_gunzip(&plain, data, d->len, d->max_bytes, &too_much);
    if (ok)
        r->enough = !r->message(r->ctx, (const uint8_t *)plain.data, plain.len);
    buf_free(&plain);
    if (ok)
        return 0;
    return too_much ? fail(why, ORCH_E_RESOURCE_EXHAUSTED, "a message is larger than is allowed")
                    : fail(why, ORCH_E_INTERNAL, "a message cannot be decompressed");
}

/* Of a message: all of it, or what came of it. How many bytes were taken. */
static size_t take_body(grpc_deframer *d, const uint8_t *data, size_t len, receiver *r,
                        int32_t *code, const char **why)
{
    size_t wanted = d->len - d->parts.len;

    if (!d->parts.len && len >= wanted) {
        d->head_len = 0;
        *code = tell(d, data, r, why);
        return wanted;
    }
    if (wanted > len)
        wanted = len;
    /* What is announced is believed up to here; more grows as it comes. */
    if (!d->parts.len)
        buf_fit(&d->parts, d->len < FIT_BYTES ? d->len : FIT_BYTES);
    buf_add(&d->parts, data, wanted);
    if (d->parts.failed) {
        *code = fail(why, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory for a message");
    } else if (d->parts.len == d->len) {
        buf whole = d->parts;

        d->head_len = 0;
        d->parts = (buf)BUF_INIT;
        *code = tell(d, (const uint8_t *)whole.data, r, why);
        buf_free(&whole);
    }
    return wanted;
}

int32_t grpc_deframe(grpc_deframer *d, const uint8_t *data, size_t len, size_t *taken,
                     bool (*message)(void *ctx, const uint8_t *data, size_t len), void *ctx,
                     const char **why)
{
    receiver r = {message, ctx, false};
    int32_t code = 0;

    *taken = 0;
    while (!code && !r.enough && (len || (d->head_len == GRPC_HEAD && !d->len))) {
        size_t n = GRPC_HEAD - d->head_len < len ? GRPC_HEAD - d->head_len : len;

        if (d->head_len < GRPC_HEAD) {
            memcpy(d->head + d->head_len, data, n);
            d->head_len = (uint8_t)(d->head_len + n);
            if (d->head_len == GRPC_HEAD)
                code = read_head(d, why);
        } else {
            n = take_body(d, data, len, &r, &code, why);
        }
        data += n;
        len -= n;
        *taken += n;
    }
    return code;
}

bool grpc_deframer_is_between(const grpc_deframer *d)
{
    return !d->head_len;
}

void grpc_deframer_clear(grpc_deframer *d)
{
    buf_free(&d->parts);
}
