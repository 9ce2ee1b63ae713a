/* Our peer of the interop cases: what its halves share. */
#ifndef INTEROP_OWN_H
#define INTEROP_OWN_H

#include "grpc/grpc.h"

#define SERVICE  "/grpc.testing.TestService/"
#define INITIAL  "x-grpc-test-echo-initial"
#define TRAILING "x-grpc-test-echo-trailing-bin"

typedef struct arguments {
    const char *address, *test, *cert, *key, *ca, *name;
} arguments;

/* Both return the program's exit status. */
int own_serve(const arguments *a);
int own_call(const arguments *a);
void own_list_server(void);
void own_list_client(void);
/* Says what is wrong, and ends the program with 1. */
_Noreturn void own_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
tls_context *own_tls(bool server, const arguments *a); /* NULL: plaintext */

#endif
