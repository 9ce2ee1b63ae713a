#include "grpc/metadata.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/error.h"

/* An entry: these, then both texts, each with a NUL. */
typedef struct head {
    uint32_t name_len, value_len;
} head;

static bool is_binary(const char *name, size_t len)
{
    return len > 4 && memcmp(name + len - 4, "-bin", 4) == 0;
}

bool grpc_metadata_take(grpc_metadata *m, const uint8_t *name, size_t name_len,
                        const uint8_t *value, size_t value_len)
{
    head h = {(uint32_t)name_len, (uint32_t)value_len};

    if (!buf_room(&m->entries, sizeof h + name_len + value_len + 2))
        return false;
    buf_add(&m->entries, &h, sizeof h);
    buf_add(&m->entries, name, name_len);
    buf_putc(&m->entries, '\0');
    buf_add(&m->entries, value, value_len);
    buf_putc(&m->entries, '\0');
    m->count++;
    return true;
}

static const char *next(const char *at, const char **name, const char **value, head *h)
{
    memcpy(h, at, sizeof *h);
    *name = at + sizeof *h;
    *value = *name + h->name_len + 1;
    return *value + h->value_len + 1;
}

bool grpc_metadata_at(const grpc_metadata *m, uint32_t i, const char **name, const char **value,
                      size_t *len)
{
    const char *at = m->entries.data;
    head h;

    if (i >= m->count)
        return false;
    for (uint32_t n = 0; n <= i; n++)
        at = next(at, name, value, &h);
    *len = h.value_len;
    return true;
}

const char *grpc_metadata_get(const grpc_metadata *m, const char *name, size_t *len)
{
    const char *at = m->entries.data, *found, *value;
    head h;

    for (uint32_t i = 0; i < m->count; i++) {
        at = next(at, &found, &value, &h);
        if (strcmp(found, name) != 0)
            continue;
        if (len)
            *len = h.value_len;
        return value;
    }
    return NULL;
}

/* ---- base64 ---------------------------------------------------------------------------------------------------------- */

static void encode(buf *out, const void *value, size_t len)
{
    const uint8_t *at = value;
    char part[4 * 16 + 1];

    while (len) {
        int n = len < 48 ? (int)len : 48;
        int written = EVP_EncodeBlock((unsigned char *)part, at, n);

        while (written && part[written - 1] == '=') /* unpadded, as gRPC wants it */
            written--;
        buf_add(out, part, (size_t)written);
        at += n;
        len -= (size_t)n;
    }
}

static bool decode(buf *out, const char *text, size_t len)
{
    while (len && text[len - 1] == '=')
        len--;
    if (len % 4 == 1)
        return false;
    while (len) {
        size_t n = len < 4 ? len : 4;
        unsigned char four[5] = "====", three[4];

        memcpy(four, text, n);
        if (memchr(text, '=', n) || EVP_DecodeBlock(three, four, 4) != 3)
            return false;
        buf_add(out, three, n - 1);
        text += n;
        len -= n;
    }
    return !out->failed;
}

bool grpc_metadata_get_bin(const grpc_metadata *m, const char *name, buf *out)
{
    size_t len;
    const char *text = grpc_metadata_get(m, name, &len);
    const char *comma = text ? memchr(text, ',', len) : NULL;

    if (!text)
        return false;
    return decode(out, text, comma ? (size_t)(comma - text) : len);
}

/* ---- adding ---------------------------------------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");

    return len && !name[len];
}

static bool is_printable(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (value[i] < ' ' || value[i] > '~')
            return false;
    return true;
}

int32_t grpc_metadata_add(grpc_metadata *m, const char *name, const void *value, size_t len,
                          orch_error **err)
{
    size_t name_len = strlen(name);
    buf text = BUF_INIT;
    bool ok;

    if (!is_name(name))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                         "metadata '%s': a name has lower-case letters, digits, '-', '_' and '.'",
                         name);
    if (strncmp(name, "grpc-", 5) == 0)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                         "metadata '%s': names that begin with grpc- are gRPC's own", name);
    if (is_binary(name, name_len)) {
        encode(&text, value, len);
        value = text.data;
        len = text.len;
    } else if (!is_printable(value, len)) {
        return error_set(
            err, ORCH_E_INVALID_ARGUMENT, name,
            "metadata '%s': the value is not printable ASCII; bytes travel under a name "
            "that ends in -bin",
            name);
    }
    ok = !text.failed && grpc_metadata_take(m, (const uint8_t *)name, name_len, value, len);
    buf_free(&text);
    return ok ? 0 : error_no_memory(err);
}

void grpc_metadata_clear(grpc_metadata *m)
{
    buf_free(&m->entries);
    *m = (grpc_metadata){0};
}
