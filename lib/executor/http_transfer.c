/* From a request to libcurl's options, and from its codes to ours. */
#include "executor/executor_impl.h"

#if ORCH_WITH_CURL
#    include <string.h>
#    include <sys/socket.h>

#    include "executor/curl_impl.h"
#    include "executor/http_impl.h"

#    define CONNECT_TIMEOUT_MS 10000L

/* By number, since names differ: from 7.85 on the first two have successors that older versions lack, and the third,
 * which keeps a cancel from waiting for a name server, came with 7.87. */
#    define OPTION_PROTOCOLS          ((CURLoption)181)
#    define OPTION_REDIRECT_PROTOCOLS ((CURLoption)182)
#    define OPTION_QUICK_EXIT         ((CURLoption)322)
#    define PROTOCOLS                 3L /* http and https */

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    http_transfer *t = ctx;

    return http_response_header(&t->response, data, size * count) ? size * count : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    http_transfer *t = ctx;
    bool ok = http_response_body(&t->response, data, size * count, t->request.max_body_bytes);

    return ok ? size * count : 0;
}

/* As libcurl would, but not inherited by what the host executes. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)ctx;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- Options --------------------------------------------------------------------------------------- */

static bool set_long(CURL *easy, CURLoption option, long value)
{
    return curl_api.easy_setopt(easy, option, value) == CURLE_OK;
}

static bool set_pointer(CURL *easy, CURLoption option, const void *value)
{
    return curl_api.easy_setopt(easy, option, value) == CURLE_OK;
}

static bool set_callbacks(CURL *easy, http_transfer *t)
{
    return curl_api.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_api.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_api.easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
           set_pointer(easy, CURLOPT_HEADERDATA, t) && set_pointer(easy, CURLOPT_WRITEDATA, t) &&
           set_pointer(easy, CURLOPT_PRIVATE, t) &&
           set_pointer(easy, CURLOPT_ERRORBUFFER, t->error);
}

static bool set_lines(CURL *easy, http_transfer *t)
{
    const char *line = t->request.headers.data;

    for (; *line; line += strlen(line) + 1) {
        struct curl_slist *longer = curl_api.slist_append(t->lines, line);

        if (!longer)
            return false;
        t->lines = longer;
    }
    return set_pointer(easy, CURLOPT_HTTPHEADER, t->lines);
}

/* Methods that usually carry a body send an empty one, with its length, where there is none. */
static bool set_method(CURL *easy, const http_request *r)
{
    bool empty = !r->body && r->method[0] == 'P'; /* POST, PUT, PATCH */

    if (!strcmp(r->method, "HEAD"))
        return set_long(easy, CURLOPT_NOBODY, 1);
    if (!strcmp(r->method, "GET") && !r->body)
        return set_long(easy, CURLOPT_HTTPGET, 1);
    if (r->body || empty) {
        if (curl_api.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len) !=
                CURLE_OK ||
            !set_pointer(easy, CURLOPT_POSTFIELDS, r->body ? r->body : ""))
            return false;
    }
    return set_pointer(easy, CURLOPT_CUSTOMREQUEST, r->method);
}

static bool set_limits(CURL *easy, const http_request *r)
{
    long timeout = r->timeout_ms < 0x7fffffff ? (long)r->timeout_ms : 0x7fffffffL;

    set_long(easy, OPTION_QUICK_EXIT, 1);
    return set_long(easy, OPTION_PROTOCOLS, PROTOCOLS) &&
           set_long(easy, OPTION_REDIRECT_PROTOCOLS, PROTOCOLS) &&
           set_long(easy, CURLOPT_NOSIGNAL, 1) && set_long(easy, CURLOPT_TIMEOUT_MS, timeout) &&
           set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS) &&
           set_long(easy, CURLOPT_FOLLOWLOCATION, r->follow_redirects) &&
           set_long(easy, CURLOPT_MAXREDIRS, HTTP_MAX_REDIRECTS);
}

static bool set_tls(CURL *easy, const http_request *r)
{
    return set_long(easy, CURLOPT_SSL_VERIFYPEER, !r->insecure) &&
           set_long(easy, CURLOPT_SSL_VERIFYHOST, r->insecure ? 0 : 2) &&
           (!r->ca || set_pointer(easy, CURLOPT_CAINFO, r->ca)) &&
           (!r->cert || set_pointer(easy, CURLOPT_SSLCERT, r->cert)) &&
           (!r->key || set_pointer(easy, CURLOPT_SSLKEY, r->key));
}

/* ---- Life ------------------------------------------------------------------------------------------ */

bool http_transfer_begin(http_transfer *t, http_multi *m)
{
    CURL *easy = curl_api.easy_init();

    t->easy = easy;
    if (!easy || !set_callbacks(easy, t) || !set_limits(easy, &t->request) ||
        !set_method(easy, &t->request) || !set_tls(easy, &t->request) ||
        !set_pointer(easy, CURLOPT_URL, t->request.url) || !set_lines(easy, t) ||
        !http_multi_add(m, t)) {
        http_transfer_end(t);
        return false;
    }
    t->multi = m;
    return true;
}

static void read_info(http_transfer *t)
{
    curl_off_t seconds = 0;
    long status = 0;

    curl_api.easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_api.easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &seconds);
    t->response.status = (int)status;
    if (seconds > 0 && seconds < 10 * 365 * 86400)
        t->response.retry_after_ms = (int64_t)seconds * 1000;
}

void http_transfer_end(http_transfer *t)
{
    if (t->multi) {
        read_info(t);
        http_multi_remove(t->multi, t);
    }
    if (t->easy)
        curl_api.easy_cleanup(t->easy);
    if (t->lines)
        curl_api.slist_free_all(t->lines);
    t->multi = NULL;
    t->easy = t->lines = NULL;
}

void http_transfer_clear(http_transfer *t)
{
    http_request_clear(&t->request);
    http_response_clear(&t->response);
}

/* ---- Failures -------------------------------------------------------------------------------------- */

static attempt_result broken_off(const http_transfer *t)
{
    const http_request *r = &t->request;

    if (t->response.body_too_large)
        return result_error(ORCH_E_RESOURCE_EXHAUSTED, true, NULL,
                            "%s: the body is larger than max_body_bytes (%u)", r->label,
                            r->max_body_bytes);
    if (t->response.headers_too_large)
        return result_error(ORCH_E_RESOURCE_EXHAUSTED, true, NULL,
                            "%s: the headers are larger than %d bytes", r->label,
                            HTTP_MAX_HEADER_BYTES);
    return result_no_memory();
}

static int32_t code_of(CURLcode curl_code, bool *again)
{
    *again = false;
    switch (curl_code) {
    case CURLE_URL_MALFORMAT: return ORCH_E_INVALID_ARGUMENT;
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE: return ORCH_E_FAILED_PRECONDITION;
    case CURLE_NOT_BUILT_IN: return ORCH_E_UNIMPLEMENTED;
    case CURLE_OUT_OF_MEMORY: *again = true; return ORCH_E_RESOURCE_EXHAUSTED;
    default: *again = true; return ORCH_E_UNAVAILABLE;
    }
}

attempt_result http_transfer_failure(const http_transfer *t, int curl_code)
{
    const http_request *r = &t->request;
    const char *words = t->error[0] ? t->error : curl_api.easy_strerror((CURLcode)curl_code);
    bool again;
    int32_t code;

    if (curl_code == CURLE_WRITE_ERROR || t->response.no_memory)
        return broken_off(t);
    if (curl_code == CURLE_OPERATION_TIMEDOUT)
        return result_error(ORCH_E_DEADLINE_EXCEEDED, false, NULL,
                            "%s: no complete answer within its timeout (%s)", r->label, words);
    code = code_of((CURLcode)curl_code, &again);
    return result_error(code, !again, NULL, "%s: %s", r->label, words);
}
#endif
