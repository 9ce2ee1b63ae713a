#ifndef NET_TLS_IMPL_H
#define NET_TLS_IMPL_H

#include <openssl/ssl.h>
#include <sys/stat.h>

#include "net/tls.h"

enum { FILE_CERT, FILE_KEY, FILE_CA, FILES };

struct tls_context {
    SSL_CTX *ctx;
    bool server;
    char *files[FILES];
    struct stat seen[FILES];
    int64_t checked_ns;
    logger *log;
    uint64_t resumed;
    /* The last session that a server gave us, and which server. */
    SSL_SESSION *session;
    char *session_name;
    unsigned references; /* its owner's and one of each connection */
};

struct tls {
    SSL *ssl;
    tls_context *context;
    const uint8_t *in;
    size_t in_len;
    buf *out; /* during a call */
    char *name;
    bool ready;
    char error[256];
};

SSL_CTX *tls_context_load(tls_context *c, orch_error **err);
void tls_context_release(tls_context *c);
/* What OpenSSL has to say about what went wrong, and its queue is empty after it. */
void tls_reason(char *out, size_t size);

#endif
