#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/mem.h"
#include "executor/http_impl.h"

#define ERROR_BODY_BYTES 4096 /* of a failure's body, in the error's data */
#define MESSAGE_BYTES    200  /* of it, in the message */

/* ---- Taking it in ---------------------------------------------------------------------------------- */

static char *lower_case(const char *s, size_t len)
{
    char *out = mem_strndup(s, len);

    for (char *p = out; p && *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return out;
}

/* Lines of one name are one list (RFC 9110, 5.2), except for Set-Cookie, which may hold commas: a list of strings. */
static bool add_value(json_t *headers, const char *name, const char *value, size_t len)
{
    json_t *old = json_object_get(headers, name);

    if (!strcmp(name, "set-cookie")) {
        if (!old && json_object_set_new(headers, name, json_array()))
            return false;
        return !json_array_append_new(json_object_get(headers, name), json_stringn(value, len));
    }
    if (old)
        return !json_object_set_new(
            headers, name, json_sprintf("%s, %.*s", json_string_value(old), (int)len, value));
    return !json_object_set_new(headers, name, json_stringn(value, len));
}

static bool add_field(json_t *headers, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    const char *value = colon ? colon + 1 : NULL, *end = line + len;
    buf clean = BUF_INIT;
    char *name;
    bool ok;

    if (!colon)
        return true; /* libcurl lets some through that are none */
    while (end > value && isspace((unsigned char)end[-1]))
        end--;
    while (value < end && isspace((unsigned char)*value))
        value++;
    output_add_clean(&clean, value, (size_t)(end - value));
    name = lower_case(line, (size_t)(colon - line));
    ok = name && !clean.failed && add_value(headers, name, clean.data, clean.len);
    mem_free(name);
    buf_free(&clean);
    return ok;
}

bool http_response_header(http_response *s, const char *line, size_t len)
{
    if (len >= 5 &&
        !memcmp(line, "HTTP/", 5)) { /* of a redirect or an interim answer came others before */
        json_decref(s->headers);
        s->headers = NULL;
        s->header_bytes = 0;
    }
    if (!s->headers)
        s->headers = json_object();
    s->header_bytes += len;
    s->headers_too_large = s->header_bytes > HTTP_MAX_HEADER_BYTES;
    s->no_memory = !s->headers || !add_field(s->headers, line, len);
    return !s->headers_too_large && !s->no_memory;
}

bool http_response_body(http_response *s, const char *data, size_t len, uint32_t max)
{
    s->body_too_large = s->body.len + len > max;
    if (s->body_too_large)
        return false;
    buf_add(&s->body, data, len);
    s->no_memory = s->body.failed;
    return !s->no_memory;
}

void http_response_clear(http_response *s)
{
    json_decref(s->headers);
    buf_free(&s->body);
}

/* ---- The body -------------------------------------------------------------------------------------- */

/* application/json, and whatever calls itself JSON by the suffix of RFC 6839. */
static bool is_json(const http_response *s)
{
    const char *type = json_string_value(json_object_get(s->headers, "content-type"));
    size_t len = type ? strcspn(type, "; \t") : 0;

    if (len == 16 && !strncasecmp(type, "application/json", len))
        return true;
    return (len == 9 && !strncasecmp(type, "text/json", len)) ||
           (len > 5 && !strncasecmp(type + len - 5, "+json", 5));
}

static enum capture_as form_of(const http_request *r, const http_response *s)
{
    if (r->output != CAPTURE_AUTO)
        return r->output;
    return is_json(s) ? CAPTURE_JSON : CAPTURE_TEXT;
}

static int32_t add_body(buf *b, const http_request *r, const http_response *s, orch_error **err)
{
    enum capture_as as = form_of(r, s);
    const char *data = s->body.len ? s->body.data : "";
    size_t len = s->body.len;
    buf what = BUF_INIT;
    int32_t rc;

    if (r->output == CAPTURE_AUTO && !len) {
        buf_puts(b, "null");
        return 0;
    }
    if (as == CAPTURE_JSON && len >= 3 &&
        !memcmp(data, "\xef\xbb\xbf", 3)) { /* a byte order mark */
        data += 3;
        len -= 3;
    }
    buf_printf(&what, "the body of %s", r->label);
    rc = what.failed ? error_no_memory(err) : capture_add(b, as, what.data, data, len, err);
    buf_free(&what);
    return rc;
}

/* ---- Success --------------------------------------------------------------------------------------- */

/* A body that is not the JSON it says it is is the other side's fault, or was cut off on the way. */
static attempt_result body_failure(enum capture_as as, orch_error *error)
{
    attempt_result r;

    if (as != CAPTURE_JSON || orch_error_code(error) != ORCH_E_INVALID_ARGUMENT)
        return result_from_error(error, !orch_error_retryable(error));
    r = result_error(ORCH_E_UNKNOWN, false, NULL, "%s", orch_error_message(error));
    orch_error_free(error);
    return r;
}

static attempt_result success(const http_request *r, const http_response *s)
{
    bytes *headers = s->headers ? output_of_json(s->headers) : bytes_new("{}", 2);
    attempt_result result = {0};
    orch_error *error = NULL;
    buf b = BUF_INIT;

    if (!headers)
        return result_no_memory();
    buf_printf(&b, "{\"status\":%d,\"headers\":", s->status);
    buf_add(&b, headers->data, headers->len);
    bytes_unref(headers);
    buf_puts(&b, ",\"body\":");
    if (add_body(&b, r, s, &error)) {
        buf_free(&b);
        return body_failure(form_of(r, s), error);
    }
    buf_putc(&b, '}');
    result.output = buf_bytes(&b);
    return result.output ? result : result_no_memory();
}

/* ---- Failure --------------------------------------------------------------------------------------- */

static int32_t code_of_status(int status, bool *again)
{
    static const struct {
        int status;
        int32_t code;
        bool again;
    } rows[] = {
        {400, ORCH_E_INVALID_ARGUMENT, false},  {401, ORCH_E_UNAUTHENTICATED, false},
        {403, ORCH_E_PERMISSION_DENIED, false}, {404, ORCH_E_NOT_FOUND, false},
        {408, ORCH_E_DEADLINE_EXCEEDED, true},  {409, ORCH_E_ABORTED, false},
        {429, ORCH_E_RESOURCE_EXHAUSTED, true}, {500, ORCH_E_INTERNAL, true},
        {501, ORCH_E_UNIMPLEMENTED, false},     {502, ORCH_E_UNAVAILABLE, true},
        {503, ORCH_E_UNAVAILABLE, true},        {504, ORCH_E_DEADLINE_EXCEEDED, true},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].status == status) {
            *again = rows[i].again;
            return rows[i].code;
        }
    }
    *again = false;
    return status >= 500 ? ORCH_E_UNKNOWN : ORCH_E_FAILED_PRECONDITION;
}

static void add_start(buf *b, const buf *body, size_t max)
{
    size_t len = body->len < max ? body->len : max;

    while (len && len < body->len && ((unsigned char)body->data[len] & 0xc0) == 0x80)
        len--;
    if (len)
        output_add_clean(b, body->data, len);
    buf_puts(b, "");
}

static json_t *error_body(const http_response *s)
{
    json_t *value = NULL;
    buf text = BUF_INIT;

    if (is_json(s) && s->body.len && s->body.len <= ERROR_BODY_BYTES)
        value = json_loadb(s->body.data, s->body.len, JSON_DECODE_ANY, NULL);
    if (!value) {
        add_start(&text, &s->body, ERROR_BODY_BYTES);
        value = text.failed ? NULL : json_stringn(text.data, text.len);
        buf_free(&text);
    }
    return value;
}

static json_t *error_data(const http_response *s)
{
    json_t *data = json_pack("{s:i,s:o}", "status", s->status, "body", error_body(s));

    if (data && s->retry_after_ms &&
        json_object_set_new(data, "retry_after_ms", json_integer(s->retry_after_ms))) {
        json_decref(data);
        data = NULL;
    }
    return data;
}

static attempt_result failure(const http_request *r, const http_response *s)
{
    attempt_result result;
    buf text = BUF_INIT;
    json_t *data = error_data(s);
    bool again;
    int32_t code = code_of_status(s->status, &again);

    add_start(&text, &s->body, MESSAGE_BYTES);
    for (char *p = text.data; p && *p; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    if (!data || text.failed)
        result = result_no_memory();
    else
        result = result_error(code, !again, data, "%s: status %d%s%s", r->label, s->status,
                              text.len ? ": " : "", text.data);
    json_decref(data);
    buf_free(&text);
    return result;
}

attempt_result http_make_result(const http_request *r, const http_response *s)
{
    bool ok = r->ok ? with_codes_have(r->ok, s->status) : s->status >= 200 && s->status < 300;

    return ok ? success(r, s) : failure(r, s);
}
