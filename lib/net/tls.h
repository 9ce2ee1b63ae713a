/* TLS for HTTP/2, without sockets: bytes of the wire in, bytes of the wire out. OpenSSL; 1.2 and newer; ALPN h2. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <orch/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"

/* What both ends of many connections share: certificate, key, whom to trust. Loop thread. */
typedef struct tls_context tls_context;

typedef struct tls_files {
    const char *cert; /* chain in PEM, the own one first; NULL = none (clients) */
    const char *key;  /* PEM; NULL = none */
    const char *
        ca; /* whom to trust, PEM. Clients: NULL = the system's. Servers: clients have to show a certificate
                       * that these signed; NULL = they need none */
} tls_files;

/* Reads the files. INVALID_ARGUMENT says which file, and what is wrong with it. `log` may be NULL. */
int32_t tls_context_new(bool server, const tls_files *files, logger *log, tls_context **out,
                        orch_error **err);
void tls_context_free(tls_context *c); /* connections that use it go on. NULL is harmless */
/* Looks whether the files changed, and takes what is new for connections that come. Those that cannot be
 * read are logged, and the old ones stay. tls_new does it, at most once a second by `now_ns`. */
void tls_context_check(tls_context *c, int64_t now_ns);
/* Connections that went on from an earlier one's session, for tests and metrics. */
uint64_t tls_context_resumed(const tls_context *c);

typedef struct tls tls; /* one connection's */

/* server_name: whom a client wants to speak to, a name or a literal address; it is told to the server (SNI), and its certificate
 * has to have it. NULL for a server. NULL if there is no memory. */
tls *tls_new(tls_context *c, const char *server_name, int64_t now_ns);
void tls_free(tls *t); /* NULL is harmless */

/* Bytes of the wire came. They have to stay until tls_read said that there is nothing more. */
void tls_feed(tls *t, const uint8_t *wire, size_t len);
enum tls_result { TLS_AGAIN = 0, TLS_CLOSED = -1, TLS_FAILED = -2 };
/* Go on with the handshake, then with reading. What is to be sent is appended to `wire`, also on failure (the alert).
 * More than 0: so many bytes are in `plain`. TLS_AGAIN: feed more. TLS_CLOSED: the other end said goodbye. TLS_FAILED: see
 * tls_error. */
int tls_read(tls *t, uint8_t *plain, size_t size, buf *wire);
bool tls_ready(const tls *t);                                        /* the handshake is over */
bool tls_write(tls *t, const uint8_t *plain, size_t len, buf *wire); /* false: see tls_error */
void tls_goodbye(tls *t, buf *wire);
const char *tls_error(const tls *t); /* what is wrong, in words; "" = nothing */

#endif
