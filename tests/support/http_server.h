/* A small HTTP/1.1 server for tests: a thread a connection, on an ephemeral loopback port. It reads requests properly
 * and leaves the answer to the test, which may give a wrong one. */
#ifndef TESTS_SUPPORT_HTTP_SERVER_H
#define TESTS_SUPPORT_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct http_server http_server;

typedef struct http_server_request {
    const char *method, *target;
    const char *headers; /* all lines after the first, as they came */
    const char *body;
    size_t body_len;
    int connection; /* 1, 2, … */
    int fd;         /* to write the answer to */
    http_server *server;
} http_server_request;

/* On the connection's thread. True: go on with the next request; false: close the connection. */
typedef bool (*http_server_handler)(void *ctx, const http_server_request *r);

http_server *http_server_start(http_server_handler handler, void *ctx);
int http_server_port(const http_server *s);
int http_server_connections(http_server *s); /* so far */
void http_server_stop(http_server *s);       /* ends connections and waits for their threads */

/* The value of a header, "" if it is not there. In `room`. */
const char *http_server_header(const http_server_request *r, const char *name, char *room,
                               size_t size);
/* A whole answer with Content-Length; `headers` are further lines, each with its CR LF, or "". */
bool http_server_reply(const http_server_request *r, int status, const char *headers,
                       const void *body, size_t len);
bool http_server_write(const http_server_request *r, const void *data, size_t len);
/* Until the client has closed the connection, or the server stops. */
void http_server_wait_for_close(const http_server_request *r);

#endif
