#include "service/transcode.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/unconst.h"
#include "transport/protobuf.h"

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return 4;
    }
}

/* ---- to JSON --------------------------------------------------------------------------------------------- */

static json_t *base64(const ProtobufCBinaryData *b)
{
    char *text = b->len < INT_MAX / 2 ? mem_alloc(4 * (b->len / 3 + 1) + 1) : NULL;
    json_t *out = NULL;

    if (text)
        out = json_stringn(text,
                           (size_t)EVP_EncodeBlock((unsigned char *)text, b->data, (int)b->len));
    mem_free(text);
    return out;
}

/* One that is left out is *is_default. */
static json_t *value_of(const ProtobufCFieldDescriptor *f, const void *at, bool *is_default)
{
    const char *text = f->type == PROTOBUF_C_TYPE_STRING ? *(char *const *)at : NULL;
    const ProtobufCEnumValue *name;
    int64_t n;

    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        *is_default = !text || !*text;
        return json_string(text ? text : "");
    case PROTOBUF_C_TYPE_BYTES:
        *is_default = !((const ProtobufCBinaryData *)at)->len;
        return base64(at);
    case PROTOBUF_C_TYPE_BOOL:
        *is_default = !*(const protobuf_c_boolean *)at;
        return json_boolean(!*is_default);
    case PROTOBUF_C_TYPE_MESSAGE:
        *is_default = !*(ProtobufCMessage *const *)at;
        return *is_default ? json_null() : transcode_to_json(*(ProtobufCMessage *const *)at);
    case PROTOBUF_C_TYPE_ENUM:
        n = *(const int32_t *)at;
        *is_default = !n;
        name = protobuf_c_enum_descriptor_get_value(f->descriptor, (int)n);
        return name ? json_string(name->name) : json_integer(n);
    case PROTOBUF_C_TYPE_DOUBLE:
        *is_default = !(*(const double *)at < 0 || *(const double *)at > 0);
        return json_real(*(const double *)at);
    case PROTOBUF_C_TYPE_UINT32: n = *(const uint32_t *)at; break;
    default: n = size_of(f) == 8 ? *(const int64_t *)at : *(const int32_t *)at; break;
    }
    *is_default = !n;
    return json_integer(n);
}

static json_t *list_of(const ProtobufCFieldDescriptor *f, size_t count, const char *items)
{
    json_t *list = json_array();
    bool is_default;

    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(list, value_of(f, items + i * size_of(f), &is_default))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* False if there is no memory. */
static bool add_field(json_t *out, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const char *base = (const char *)m, *at = base + f->offset;
    bool is_default = false;
    json_t *value;

    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count = *(const size_t *)(const void *)(base + f->quantifier_offset);

        if (!count)
            return true;
        value = list_of(f, count, *(char *const *)(const void *)at);
    } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        if (*(const uint32_t *)(const void *)(base + f->quantifier_offset) != f->id)
            return true;
        value = value_of(f, at, &is_default);
        is_default = false;
    } else {
        value = value_of(f, at, &is_default);
    }
    if (is_default) {
        json_decref(value);
        return true;
    }
    return !json_object_set_new(out, f->name, value);
}

json_t *transcode_to_json(const ProtobufCMessage *m)
{
    json_t *out = json_object();

    for (unsigned i = 0; out && i < m->descriptor->n_fields; i++)
        if (!add_field(out, m, &m->descriptor->fields[i])) {
            json_decref(out);
            return NULL;
        }
    return out;
}

/* ---- from JSON ------------------------------------------------------------------------------------------- */

static int32_t wrong(const ProtobufCFieldDescriptor *f, const char *what, orch_error **err)
{
    return error_set(err, ORCH_E_INVALID_ARGUMENT, f->name, "%s takes %s", f->name, what);
}

static int32_t set_enum(const ProtobufCFieldDescriptor *f, const json_t *v, int32_t *at,
                        orch_error **err)
{
    const ProtobufCEnumValue *found =
        json_is_string(v)
            ? protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, json_string_value(v))
            : protobuf_c_enum_descriptor_get_value(f->descriptor, (int)json_integer_value(v));

    if (!found)
        return wrong(f, "a name of its enum", err);
    *at = found->value;
    return 0;
}

static int32_t set_bytes(const ProtobufCFieldDescriptor *f, const json_t *v,
                         ProtobufCBinaryData *at, orch_error **err)
{
    size_t len = json_string_length(v), pad = 0;
    const char *text = json_string_value(v);
    int n;

    if (!text || len % 4 || len > INT_MAX)
        return wrong(f, "base64", err);
    while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
        pad++;
    at->data = mem_alloc(len / 4 * 3 + 1);
    if (!at->data)
        return error_no_memory(err);
    n = EVP_DecodeBlock(at->data, (const unsigned char *)text, (int)len);
    at->len = n < 0 ? 0 : (size_t)n - pad;
    return n < 0 ? wrong(f, "base64", err) : 0;
}

static int32_t set_text(const ProtobufCFieldDescriptor *f, const json_t *v, char **at,
                        orch_error **err)
{
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
        return wrong(f, "a text", err);
    *at = mem_strdup(json_string_value(v));
    return *at ? 0 : error_no_memory(err);
}

static int32_t set_number(const ProtobufCFieldDescriptor *f, const json_t *v, void *at,
                          orch_error **err)
{
    int64_t n = json_integer_value(v);

    if (!json_is_integer(v))
        return wrong(f, "a whole number", err);
    if (size_of(f) == 8)
        *(int64_t *)at = n;
    else if (f->type == PROTOBUF_C_TYPE_UINT32 && n >= 0 && n <= UINT32_MAX)
        *(uint32_t *)at = (uint32_t)n;
    else if (f->type != PROTOBUF_C_TYPE_UINT32 && n >= INT32_MIN && n <= INT32_MAX)
        *(int32_t *)at = (int32_t)n;
    else
        return wrong(f, "a number of 32 bits", err);
    return 0;
}

static int32_t set_value(const ProtobufCFieldDescriptor *f, const json_t *v, void *at,
                         orch_error **err)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING: return set_text(f, v, at, err);
    case PROTOBUF_C_TYPE_BYTES: return set_bytes(f, v, at, err);
    case PROTOBUF_C_TYPE_MESSAGE: return transcode_from_json(v, f->descriptor, at, err);
    case PROTOBUF_C_TYPE_ENUM: return set_enum(f, v, at, err);
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = json_is_true(v);
        return json_is_boolean(v) ? 0 : wrong(f, "true or false", err);
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)at = json_number_value(v);
        return json_is_number(v) ? 0 : wrong(f, "a number", err);
    default: return set_number(f, v, at, err);
    }
}

static int32_t set_list(const ProtobufCFieldDescriptor *f, const json_t *v, size_t *count,
                        void **items, orch_error **err)
{
    size_t n = json_array_size(v), size = size_of(f);
    int32_t rc = 0;

    if (!json_is_array(v))
        return wrong(f, "a list", err);
    if (!n)
        return 0;
    *items = mem_calloc(n, size);
    if (!*items)
        return error_no_memory(err);
    for (size_t i = 0; i < n && !rc; i++) {
        rc = set_value(f, json_array_get(v, i), (char *)*items + i * size, err);
        if (!rc)
            ++*count;
    }
    return rc;
}

static int32_t set_field(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const json_t *v,
                         orch_error **err)
{
    char *base = (char *)m;
    void *at = base + f->offset, *quantifier = base + f->quantifier_offset;
    int32_t rc;

    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return set_list(f, v, quantifier, at, err);
    rc = set_value(f, v, at, err);
    if (!rc && (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        *(uint32_t *)quantifier = f->id;
    return rc;
}

int32_t transcode_from_json(const json_t *in, const ProtobufCMessageDescriptor *d,
                            ProtobufCMessage **out, orch_error **err)
{
    ProtobufCMessage *m;
    const char *key;
    json_t *value;
    int32_t rc = 0;

    if (!json_is_object(in))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, d->short_name, "%s takes a JSON object",
                         d->short_name);
    m = mem_zalloc(d->sizeof_message);
    if (!m)
        return error_no_memory(err);
    protobuf_c_message_init(d, m);
    json_object_foreach(unconst(in), key, value)
    {
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(d, key);

        if (!f)
            rc = error_set(err, ORCH_E_INVALID_ARGUMENT, key, "%s has no field '%s'", d->short_name,
                           key);
        else if (!json_is_null(value))
            rc = set_field(m, f, value, err);
        if (rc)
            break;
    }
    if (rc)
        protobuf_free(m);
    else
        *out = m;
    return rc;
}
