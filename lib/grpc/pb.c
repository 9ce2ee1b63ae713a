#include "grpc/pb.h"

#include <string.h>

#define VARINT_BYTES 10

static bool get_varint(pb_reader *r, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < VARINT_BYTES && r->at < r->end; i++) {
        uint8_t byte = *r->at++;

        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool get_fixed(pb_reader *r, size_t size, uint64_t *out)
{
    if ((size_t)(r->end - r->at) < size)
        return false;
    *out = 0;
    for (size_t i = 0; i < size; i++)
        *out |= (uint64_t)r->at[i] << (8 * i);
    r->at += size;
    return true;
}

static bool get_bytes(pb_reader *r, pb_field *f)
{
    uint64_t len;

    if (!get_varint(r, &len) || len > (uint64_t)(r->end - r->at))
        return false;
    f->data = r->at;
    f->len = (size_t)len;
    r->at += len;
    return true;
}

static bool get_field(pb_reader *r, pb_field *f)
{
    uint64_t tag;

    if (!get_varint(r, &tag) || tag >> 3 == 0 || tag >> 32)
        return false;
    *f = (pb_field){.number = (uint32_t)(tag >> 3), .type = (enum pb_type)(tag & 7)};
    switch (f->type) {
    case PB_VARINT: return get_varint(r, &f->value);
    case PB_FIXED64: return get_fixed(r, 8, &f->value);
    case PB_BYTES: return get_bytes(r, f);
    case PB_FIXED32: return get_fixed(r, 4, &f->value);
    default: return false;
    }
}

int pb_next(pb_reader *r, pb_field *f)
{
    if (r->at == r->end)
        return 0;
    if (get_field(r, f))
        return 1;
    r->at = r->end;
    return -1;
}

bool pb_find(pb_reader r, uint32_t number, enum pb_type type, pb_field *f)
{
    bool found = false;
    pb_field one;
    int rc;

    while ((rc = pb_next(&r, &one)) > 0)
        if (one.number == number && one.type == type) {
            *f = one;
            found = true;
        }
    return found && rc == 0;
}

static void put_varint(buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buf_putc(out, (char)(value | 0x80));
    buf_putc(out, (char)value);
}

void pb_put_number(buf *out, uint32_t number, uint64_t value)
{
    put_varint(out, (uint64_t)number << 3 | PB_VARINT);
    put_varint(out, value);
}

void pb_put_bytes(buf *out, uint32_t number, const void *data, size_t len)
{
    put_varint(out, (uint64_t)number << 3 | PB_BYTES);
    put_varint(out, len);
    if (len)
        buf_add(out, data, len);
}
