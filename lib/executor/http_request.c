#include <orch/version.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/mem.h"
#include "executor/http_impl.h"

#define DEFAULT_TIMEOUT_MS 60000
#define MAX_URL_BYTES      65536

static int32_t refuse(orch_error **err, const char *key, const char *what)
{
    return error_set(err, ORCH_E_INVALID_ARGUMENT, key, "with.%s: %s", key, what);
}

/* ---- Method ---------------------------------------------------------------------------------------- */

static int32_t read_method(http_request *r, orch_error **err)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                          "PATCH", "DELETE", "OPTIONS"};
    int32_t rc;

    r->method = "GET";
    rc = with_text(r->with, "method", &r->method, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (!strcmp(methods[i], r->method))
            return 0;
    return refuse(err, "method", "it must be one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
}

/* ---- URL ------------------------------------------------------------------------------------------- */

static void add_encoded(buf *b, const char *s, const char *kept)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            strchr(kept, c))
            buf_putc(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

static int32_t add_pair(buf *b, const char *name, const json_t *value, orch_error **err)
{
    char room[SCALAR_SIZE];
    const char *text = with_scalar(value, room);

    if (!text)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "query",
                         "with.query: %s must be a string without a NUL, a number, a boolean, a "
                         "list of these, or null to leave it out",
                         name);
    if (b->len && !strchr("?&", b->data[b->len - 1]))
        buf_putc(b, strchr(b->data, '?') ? '&' : '?');
    add_encoded(b, name, "-._~");
    buf_putc(b, '=');
    add_encoded(b, text, "-._~");
    return 0;
}

static int32_t add_query(buf *b, json_t *query, orch_error **err)
{
    const char *name;
    json_t *value;
    int32_t rc = 0;

    if (!query || json_is_null(query))
        return 0;
    if (!json_is_object(query))
        return refuse(err, "query", "it must be an object");
    json_object_foreach(query, name, value)
    {
        if (json_is_array(value))
            for (size_t i = 0; !rc && i < json_array_size(value); i++)
                rc = add_pair(b, name, json_array_get(value, i), err);
        else if (!json_is_null(value))
            rc = add_pair(b, name, value, err);
        if (rc || b->failed)
            return rc;
    }
    return 0;
}

/* Where the authority begins; NULL if it is none of ours. */
static const char *authority_of(const char *url)
{
    if (!strncasecmp(url, "http://", 7))
        return url + 7;
    return strncasecmp(url, "https://", 8) ? NULL : url + 8;
}

static int32_t check_url(const char *url, orch_error **err)
{
    const char *authority = url ? authority_of(url) : NULL;

    if (!authority || !authority[strspn(authority, "@:")] || strchr("/?#", *authority))
        return refuse(err, "url",
                      "http needs it, a string that begins with http:// or https:// and a host");
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return refuse(err, "url",
                          "it must not hold spaces or control characters; with.query encodes what "
                          "stands behind the '?'");
    if (strlen(url) > MAX_URL_BYTES)
        return refuse(err, "url", "it is longer than 65,536 bytes");
    return 0;
}

static char *make_label(const char *method, const char *url)
{
    const char *authority = authority_of(url);
    size_t len = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', len);
    const char *host = at ? at + 1 : authority;
    buf b = BUF_INIT;

    buf_printf(&b, "%s ", method);
    buf_add(&b, url, (size_t)(authority - url));
    buf_add(&b, host, len - (size_t)(host - authority));
    return buf_take(&b);
}

static int32_t read_url(http_request *r, orch_error **err)
{
    const char *url = NULL, *path;
    size_t authority;
    buf b = BUF_INIT;
    char *text;
    int32_t rc = with_text(r->with, "url", &url, err);

    if (!rc)
        rc = check_url(url, err);
    if (rc)
        return rc;
    path = authority_of(url);
    path += strcspn(path, "/?#");
    authority = (size_t)(path - url);
    buf_add(&b, url, authority);
    text = mem_strndup(path, strcspn(path, "#"));
    if (text)
        add_encoded(&b, text, "-._~:/?[]@!$&'()*+,;=%\"<>\\^`{|}");
    else
        b.failed = true;
    mem_free(text);
    rc = b.failed ? error_no_memory(err) : add_query(&b, json_object_get(r->with, "query"), err);
    if (rc) {
        buf_free(&b);
        return rc;
    }
    r->url = buf_take(&b);
    r->label = r->url ? make_label(r->method, r->url) : NULL;
    return r->label ? 0 : error_no_memory(err);
}

/* ---- Body ------------------------------------------------------------------------------------------ */

static int32_t read_body(http_request *r, orch_error **err)
{
    const json_t *body = json_object_get(r->with, "body");

    if (!body || json_is_null(body))
        return 0;
    if (!strcmp(r->method, "HEAD"))
        return refuse(err, "body", "a HEAD request has none");
    if (json_is_string(body)) {
        r->body = json_string_value(body);
        r->body_len = json_string_length(body);
        return 0;
    }
    r->body_text = output_of_json(body);
    if (!r->body_text)
        return error_no_memory(err);
    r->body = r->body_text->data;
    r->body_len = r->body_text->len;
    return 0;
}

/* ---- Headers --------------------------------------------------------------------------------------- */

static bool is_token(const char *s)
{
    return *s && !s[strspn(s, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz")];
}

static bool is_field_value(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
            return false;
    return true;
}

static bool is_own(const char *name)
{
    static const char *const own[] = {
        "Content-Length", "Transfer-Encoding", "Connection", "Expect", "Upgrade", "TE", "Trailer"};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!strcasecmp(own[i], name))
            return true;
    return false;
}

/* libcurl's notation: "Name: value", "Name;" for an empty value, "Name:" to leave one of its own away. */
static void add_line(buf *b, const char *name, const char *value)
{
    buf_puts(b, name);
    if (!value)
        buf_putc(b, ':');
    else if (!value[strspn(value, " \t")])
        buf_putc(b, ';');
    else
        buf_printf(b, ": %s", value);
    buf_putc(b, '\0');
}

static int32_t add_given(buf *b, json_t *headers, orch_error **err)
{
    char room[SCALAR_SIZE];
    const char *name;
    json_t *value;

    json_object_foreach(headers, name, value)
    {
        const char *text = with_scalar(value, room);

        if (!is_token(name))
            return error_set(err, ORCH_E_INVALID_ARGUMENT, "headers",
                             "with.headers: \"%s\" cannot be a header's name", name);
        if (is_own(name))
            return error_set(err, ORCH_E_INVALID_ARGUMENT, "headers",
                             "with.headers: %s is set by http itself", name);
        if (!json_is_null(value) && (!text || !is_field_value(text)))
            return error_set(err, ORCH_E_INVALID_ARGUMENT, "headers",
                             "with.headers: %s must be a string without line ends and control "
                             "characters, a number, a boolean, or null to leave it out",
                             name);
        add_line(b, name, text);
    }
    return 0;
}

static bool is_given(json_t *headers, const char *wanted)
{
    const char *name;
    json_t *value;

    json_object_foreach(headers, name, value)
    {
        if (!strcasecmp(name, wanted))
            return true;
    }
    return false;
}

static const char *content_type(const http_request *r)
{
    if (!r->body)
        return NULL;
    return r->body_text ? "application/json" : "text/plain; charset=utf-8";
}

static int32_t read_headers(http_request *r, const attempt *a, orch_error **err)
{
    json_t *given = json_object_get(r->with, "headers");
    int32_t rc;

    if (given && !json_is_object(given) && !json_is_null(given))
        return refuse(err, "headers", "it must be an object");
    if (!is_field_value(a->idempotency_key))
        return refuse(err, "headers", "the execution's id cannot stand in a header");
    rc = add_given(&r->headers, given, err);
    if (rc)
        return rc;
    if (!is_given(given, "Idempotency-Key"))
        add_line(&r->headers, "Idempotency-Key", a->idempotency_key);
    if (!is_given(given, "User-Agent"))
        add_line(&r->headers, "User-Agent", "orch/" ORCH_VERSION);
    if (!is_given(given, "Content-Type"))
        add_line(&r->headers, "Content-Type", content_type(r));
    add_line(&r->headers, "Expect",
             NULL); /* else a large body waits for a word that few servers say */
    buf_putc(&r->headers, '\0');
    return r->headers.failed ? error_no_memory(err) : 0;
}

/* ---- All of it ------------------------------------------------------------------------------------- */

static int32_t read_tls(http_request *r, orch_error **err)
{
    static const char *const known[] = {"ca", "cert", "key", "insecure", NULL};
    json_t *tls = json_object_get(r->with, "tls");
    int32_t rc;

    if (!tls || json_is_null(tls))
        return 0;
    if (!json_is_object(tls))
        return refuse(err, "tls", "it must be an object");
    rc = with_check(tls, "tls", known, err);
    if (!rc)
        rc = with_text(tls, "ca", &r->ca, err);
    if (!rc)
        rc = with_text(tls, "cert", &r->cert, err);
    if (!rc)
        rc = with_text(tls, "key", &r->key, err);
    if (!rc)
        rc = with_bool(tls, "insecure", &r->insecure, err);
    return rc;
}

static int32_t read_rest(http_request *r, orch_error **err)
{
    uint32_t limit = r->max_body_bytes;
    int32_t rc = with_duration_ms(r->with, "timeout", &r->timeout_ms, err);

    if (!rc)
        rc = with_bool(r->with, "follow_redirects", &r->follow_redirects, err);
    /* Anything else would have to be sent again, or turned into a GET, at the word of the server. */
    if (!rc && r->follow_redirects && strcmp(r->method, "GET") != 0 &&
        strcmp(r->method, "HEAD") != 0)
        rc = refuse(err, "follow_redirects", "it is for GET and HEAD only");
    if (!rc)
        rc = with_count(r->with, "max_body_bytes", 1, limit, &r->max_body_bytes, err);
    if (!rc)
        rc = with_codes(r->with, "ok", 100, 599, &r->ok, err);
    if (!rc)
        rc = with_capture(r->with, &r->output, err);
    return rc ? rc : read_tls(r, err);
}

int32_t http_request_read(const attempt *a, uint32_t max_body_bytes, http_request *out,
                          orch_error **err)
{
    static const char *const known[] = {
        "method",         "url", "headers", "query", "body", "timeout", "follow_redirects",
        "max_body_bytes", "ok",  "output",  "tls",   NULL};
    http_request r = {
        .with = a->with, .timeout_ms = DEFAULT_TIMEOUT_MS, .max_body_bytes = max_body_bytes};
    int32_t rc = with_check(a->with, "http", known, err);

    json_incref(r.with);
    if (!rc)
        rc = read_method(&r, err);
    if (!rc)
        rc = read_url(&r, err);
    if (!rc)
        rc = read_body(&r, err);
    if (!rc)
        rc = read_headers(&r, a, err);
    if (!rc)
        rc = read_rest(&r, err);
    if (rc)
        http_request_clear(&r);
    else
        *out = r;
    return rc;
}

void http_request_clear(http_request *r)
{
    mem_free(r->url);
    mem_free(r->label);
    buf_free(&r->headers);
    bytes_unref(r->body_text);
    json_decref(r->with);
}
