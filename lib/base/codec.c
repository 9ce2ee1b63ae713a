#include "base/codec.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

#define MARK       "$encoded"
#define HEAD       "{\"" MARK "\":\""
#define TAIL       "\"}"
#define HEAD_LEN   (sizeof HEAD - 1)
#define TAIL_LEN   (sizeof TAIL - 1)
#define MAX_LEN    ((size_t)1 << 30) /* OpenSSL counts in int */
#define DUMP_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY)

/* ---- text that holds encoded bytes -------------------------------------------------------------------------- */

static bool is_encoded(const bytes *b)
{
    return b && b->len >= HEAD_LEN + TAIL_LEN && !memcmp(b->data, HEAD, HEAD_LEN) &&
           !memcmp(b->data + b->len - TAIL_LEN, TAIL, TAIL_LEN);
}

/* `head` and `tail` are of constant text, or empty. */
static bytes *base64_of(const char *head, const void *data, size_t len, const char *tail)
{
    size_t head_len = strlen(head), tail_len = strlen(tail), text_len = 4 * ((len + 2) / 3);
    bytes *b = bytes_new(NULL, head_len + text_len + tail_len);

    if (!b)
        return NULL;
    memcpy(b->data, head, head_len);
    EVP_EncodeBlock((unsigned char *)b->data + head_len, data, (int)len);
    memcpy(b->data + head_len + text_len, tail, tail_len + 1);
    return b;
}

/* The bytes in a base64 text; 0, RESOURCE_EXHAUSTED or DATA_LOSS. *out is the caller's. */
static int32_t read_base64(const char *text, size_t len, unsigned char **out, size_t *out_len)
{
    size_t padding = 0;
    unsigned char *data;
    int n;

    if (!len || len % 4 || len > 2 * MAX_LEN)
        return ORCH_E_DATA_LOSS;
    data = mem_alloc(len / 4 * 3);
    if (!data)
        return ORCH_E_RESOURCE_EXHAUSTED;
    while (padding < 2 && text[len - 1 - padding] == '=')
        padding++;
    n = EVP_DecodeBlock(data, (const unsigned char *)text, (int)len);
    if (n <= (int)padding) {
        mem_free(data);
        return ORCH_E_DATA_LOSS;
    }
    *out = data;
    *out_len = (size_t)n - padding;
    return 0;
}

/* ---- the host's functions ------------------------------------------------------------------------------------ */

static void release(const codec *c, void *data)
{
    if (c->ops->release)
        c->ops->release(c->user_data, data);
}

static int32_t encode_failed(const codec *c, int32_t code, orch_error **err)
{
    bool known = code < 0 && code >= ORCH_E_UNAUTHENTICATED;

    return error_set(err, known ? code : ORCH_E_INTERNAL, c->ops->name,
                     "codec %s: a payload cannot be encoded: %s", c->ops->name,
                     known ? orch_code_name(code) : "it gave no code and no data");
}

/* Encoded, as base64 between head and tail. */
static int32_t encode(const codec *c, const void *plain, size_t len, const char *head,
                      const char *tail, bytes **out, orch_error **err)
{
    void *data = NULL;
    size_t data_len = 0;
    int32_t rc = c->ops->encode(c->user_data, plain, len, &data, &data_len);

    if (rc || !data || !data_len || data_len >= MAX_LEN) {
        if (!rc && data)
            release(c, data);
        return encode_failed(c, rc, err);
    }
    *out = base64_of(head, data, data_len, tail);
    release(c, data);
    return *out ? 0 : error_no_memory(err);
}

static int32_t decode_failed(const codec *c, int32_t code, orch_error **err)
{
    bool passing = code == ORCH_E_UNAVAILABLE || code == ORCH_E_RESOURCE_EXHAUSTED;

    return error_set(err, passing ? code : ORCH_E_DATA_LOSS, c->ops->name,
                     "codec %s: a payload cannot be decoded: %s", c->ops->name,
                     code ? orch_code_name(code) : "it gave no data");
}

static int32_t decode(const codec *c, const char *text, size_t len, bytes **out, orch_error **err)
{
    unsigned char *encoded = NULL;
    size_t encoded_len = 0, plain_len = 0;
    void *plain = NULL;
    int32_t rc;

    if (!c->ops)
        return error_set(err, ORCH_E_UNAVAILABLE, NULL,
                         "a payload is encoded, and no codec is set here");
    rc = read_base64(text, len, &encoded, &encoded_len);
    if (rc == ORCH_E_RESOURCE_EXHAUSTED)
        return error_no_memory(err);
    if (rc)
        return error_set(err, rc, NULL, "what stands for an encoded payload is no base64");
    rc = c->ops->decode(c->user_data, encoded, encoded_len, &plain, &plain_len);
    mem_free(encoded);
    if (rc || !plain)
        return decode_failed(c, rc, err);
    *out = bytes_new(plain, plain_len);
    release(c, plain);
    return *out ? 0 : error_no_memory(err);
}

/* ---- payloads ------------------------------------------------------------------------------------------------ */

static int32_t replace(bytes **payload, bytes *with)
{
    bytes_unref(*payload);
    *payload = with;
    return 0;
}

int32_t codec_encode(const codec *c, bytes **payload, orch_error **err)
{
    bytes *encoded = NULL;
    int32_t rc;

    if (!c->ops || !*payload)
        return 0;
    rc = encode(c, (*payload)->data, (*payload)->len, HEAD, TAIL, &encoded, err);
    return rc ? rc : replace(payload, encoded);
}

int32_t codec_decode(const codec *c, bytes **payload, orch_error **err)
{
    bytes *plain = NULL;
    int32_t rc;

    if (!is_encoded(*payload))
        return 0;
    rc = decode(c, (*payload)->data + HEAD_LEN, (*payload)->len - HEAD_LEN - TAIL_LEN, &plain, err);
    return rc ? rc : replace(payload, plain);
}

/* ---- errors -------------------------------------------------------------------------------------------------- */

static int add_to_buf(const char *data, size_t len, void *ctx)
{
    buf *b = ctx;

    buf_add(b, data, len);
    return b->failed ? -1 : 0;
}

static bytes *dump(const json_t *value)
{
    buf b = BUF_INIT;

    if (json_dump_callback(value, add_to_buf, &b, DUMP_FLAGS))
        b.failed = true;
    return buf_bytes(&b);
}

/* Take what is not for everybody out of an error. NULL if there is no memory. */
static json_t *take_private(json_t *error)
{
    static const char *const readable[] = {"code", "message", "step"};
    json_t *rest = json_object();

    if (json_object_update(rest, error)) { /* json_copy would not say that something is missing */
        json_decref(rest);
        return NULL;
    }
    for (size_t i = 0; i < sizeof readable / sizeof *readable; i++)
        json_object_del(rest, readable[i]);
    for (void *it = json_object_iter(rest); it; it = json_object_iter_next(rest, it))
        json_object_del(error, json_object_iter_key(it));
    return rest;
}

static int32_t encode_rest(const codec *c, json_t *error, const json_t *rest, bytes **out,
                           orch_error **err)
{
    bytes *plain = dump(rest), *encoded = NULL;
    int32_t rc = plain ? encode(c, plain->data, plain->len, "", "", &encoded, err)
                       : error_no_memory(err);

    if (!rc && json_object_set_new(error, MARK, json_stringn(encoded->data, encoded->len)))
        rc = error_no_memory(err);
    if (!rc)
        *out = dump(error);
    if (!rc && !*out)
        rc = error_no_memory(err);
    bytes_unref(plain);
    bytes_unref(encoded);
    return rc;
}

int32_t codec_encode_error(const codec *c, bytes **error, orch_error **err)
{
    json_t *tree, *rest;
    bytes *out = NULL;
    int32_t rc = 0;

    if (!c->ops || !*error)
        return 0;
    tree = json_loadb((*error)->data, (*error)->len, 0, NULL);
    rest = json_is_object(tree) ? take_private(tree) : NULL;
    if (!rest)
        rc = error_no_memory(err); /* our own errors are objects */
    else if (json_object_size(rest))
        rc = encode_rest(c, tree, rest, &out, err);
    json_decref(rest);
    json_decref(tree);
    if (!rc && out)
        replace(error, out);
    return rc;
}

/* Put what was encoded back beside code and message. */
static int32_t merge(json_t *error, const bytes *plain, bytes **out, orch_error **err)
{
    json_error_t where;
    json_t *rest = json_loadb(plain->data, plain->len, 0, &where);
    int32_t rc = 0;

    if (!json_is_object(rest))
        rc = !rest && json_lacked_memory(&where)
                 ? error_no_memory(err)
                 : error_set(err, ORCH_E_DATA_LOSS, NULL,
                             "what an encoded error holds is no object");
    json_object_del(error, MARK);
    if (!rc && json_object_update(error, rest))
        rc = error_no_memory(err);
    if (!rc)
        *out = dump(error);
    json_decref(rest);
    return rc || *out ? rc : error_no_memory(err);
}

int32_t codec_decode_error(const codec *c, bytes **error, orch_error **err)
{
    bytes *plain = NULL, *out = NULL;
    json_t *tree, *text;
    int32_t rc = 0;

    if (!*error || !memmem((*error)->data, (*error)->len, "\"" MARK "\"", sizeof MARK + 1))
        return 0;
    tree = json_loadb((*error)->data, (*error)->len, 0, NULL);
    text = json_object_get(tree, MARK);
    if (json_is_string(text)) {
        rc = decode(c, json_string_value(text), json_string_length(text), &plain, err);
        if (!rc)
            rc = merge(tree, plain, &out, err);
    } else if (!tree) {
        rc = error_no_memory(err);
    }
    json_decref(tree);
    bytes_unref(plain);
    if (!rc && out)
        replace(error, out);
    return rc;
}
