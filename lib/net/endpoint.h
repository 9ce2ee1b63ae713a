/* Addresses as users write them. */
#ifndef NET_ENDPOINT_H
#define NET_ENDPOINT_H

#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

/* HOST:PORT, dns:HOST:PORT, dns:///HOST:PORT, ipv4:A.B.C.D:PORT, ipv6:[::1]:PORT, [::1]:PORT, unix:PATH, unix:///PATH:
 * the schemes of gRPC's naming document. */
typedef struct endpoint {
    char host[256]; /* without brackets; "" for a Unix socket */
    char path[108]; /* of a Unix socket, as long as the system takes one; "" otherwise */
    uint16_t port;
    bool is_v6; /* host is a literal of IPv6 */
} endpoint;

/* INVALID_ARGUMENT with what is wrong; `out` is unchanged then. default_port is taken where none is written, or, if it
 * is negative, a port has to be there. Port 0 means any free port. */
int32_t endpoint_parse(const char *text, int default_port, endpoint *out, orch_error **err);
/* As the :authority of HTTP/2 has it. */
void endpoint_authority(const endpoint *e, char *out, size_t size);

#endif
