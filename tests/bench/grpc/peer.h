/* What the programs that bench_grpc sets against each other share: their arguments, and how a client counts.
 *
 *   PROGRAM server CERTS                                 prints its port; CERTS: a folder with cert.pem and key.pem, or "-"
 *   PROGRAM client CERTS PORT PID KIND IN_FLIGHT SIZE SECONDS   a closed loop against the server that is process PID
 *   PROGRAM idle CERTS PORT CONNECTIONS                  opens them, one call on each, says so, and stays
 *
 * Servers echo messages, on /bench.Bench/Echo and on streams on /bench.Bench/Chat. */
#ifndef BENCH_GRPC_PEER_H
#define BENCH_GRPC_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench/bench.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PEER_ECHO "/bench.Bench/Echo"
#define PEER_CHAT "/bench.Bench/Chat"
#define PEER_NAME "bench.test" /* of the certificate */

typedef struct peer_args {
    const char *mode;
    char cert[256], key[256]; /* "" = no TLS */
    uint16_t port;
    pid_t server;
    bool is_stream; /* KIND: unary or stream */
    unsigned in_flight;
    size_t size;
    double seconds;
    unsigned connections;
} peer_args;

void peer_parse(peer_args *a, int argc, char **argv); /* ends the program if they are wrong */
bool peer_is(const peer_args *a, const char *mode);
void peer_print_port(int port);

/* The measured part of a client's life; a third of it as long goes before, to warm up. */
typedef struct peer_round {
    const peer_args *args;
    int64_t from_ns, until_ns, last_ns;
    bool is_warm;
    uint64_t count;
    int64_t own_cpu_ns, server_cpu_ns;
    bench_samples latency; /* with one in flight */
} peer_round;

void peer_round_begin(peer_round *r, const peer_args *a);
/* A call, or a message of a stream, came back. When the time is over, prints a line and ends the program:
 * calls/s, CPU ns a call of the client and of the server, p50 and p99 in ns, resident kB, libraries loaded. */
void peer_round_count(peer_round *r);

#ifdef __cplusplus
}
#endif
#endif
