/* The http executor's inside: the request that `with` asks for, and what the answer means. Neither needs libcurl. */
#ifndef EXECUTOR_HTTP_IMPL_H
#define EXECUTOR_HTTP_IMPL_H

#include "base/list.h"
#include "executor/executor_impl.h"

#define HTTP_MAX_HEADER_BYTES 65536 /* of an answer */
#define HTTP_MAX_REDIRECTS    5

/* ---- The request: http_request.c */

typedef struct http_request {
    json_t *with; /* a reference: what the others point into */
    const char *method;
    char *url;   /* with the query */
    char *label; /* "GET https://host:port": for messages. The rest of a URL may hold secrets */
    buf headers; /* "Name: value" lines as libcurl wants them, each with its NUL; ends with an empty one */
    const char *body; /* NULL = none */
    size_t body_len;
    bytes *body_text; /* of a body that is not a string */
    bool follow_redirects;
    int64_t timeout_ms;
    uint32_t max_body_bytes;
    const json_t *ok; /* NULL = 200 to 299 */
    enum capture_as output;
    const char *ca, *cert, *key; /* files; NULL = the system's, none, none */
    bool insecure;
} http_request;

/* Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
int32_t http_request_read(const attempt *a, uint32_t max_body_bytes, http_request *out,
                          orch_error **err);
void http_request_clear(http_request *r);

/* ---- The answer: http_response.c */

typedef struct http_response {
    int status;
    int64_t retry_after_ms; /* 0 = not said */
    json_t *headers;        /* of the last answer in a row of redirects */
    size_t header_bytes;
    buf body;
    bool no_memory, headers_too_large, body_too_large; /* why it was broken off */
} http_response;

/* Take a line of the header, or a piece of the body. False: break off. */
bool http_response_header(http_response *s, const char *line, size_t len);
bool http_response_body(http_response *s, const char *data, size_t len, uint32_t max);
void http_response_clear(http_response *s);
attempt_result http_make_result(const http_request *r, const http_response *s);

/* ---- libcurl on the loop: http_multi.c. Loop thread; curl_load was successful. */

typedef struct http_multi http_multi;
typedef struct http_transfer http_transfer;

/* `ended` is told of each transfer that has ended, with libcurl's code; it may remove it and add others. `closed` comes
 * once after http_multi_close, when no handle of the loop is left. */
http_multi *http_multi_new(uv_loop_t *loop, void (*ended)(http_transfer *t, int curl_code),
                           void (*closed)(void *ctx), void *ctx);
void http_multi_close(http_multi *m); /* no transfer is in it */

/* ---- One exchange: http_transfer.c */

struct http_transfer {
    list unwatched; /* in the multi's list of those whose socket could not be watched */
    http_request request;
    http_response response;
    http_multi *multi; /* NULL: not under way */
    void *easy;        /* CURL * */
    void *lines;       /* struct curl_slist * */
    char error[256];   /* CURL_ERROR_SIZE: libcurl's words */
};

bool http_transfer_begin(http_transfer *t, http_multi *m); /* false if there is no memory */
void http_transfer_end(http_transfer *t); /* begun or not; keeps request and response */
/* Why libcurl gave it up. */
attempt_result http_transfer_failure(const http_transfer *t, int curl_code);
void http_transfer_clear(http_transfer *t);

/* For http_transfer.c. */
bool http_multi_add(http_multi *m, http_transfer *t);
void http_multi_remove(http_multi *m, http_transfer *t);

#endif
