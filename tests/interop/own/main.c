/* Our client and our server of gRPC's interop cases, with the command line of README.md. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interop/own/own.h"

void own_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    exit(1);
}

tls_context *own_tls(bool server, const arguments *a)
{
    tls_files files = {.cert = a->cert, .key = a->key, .ca = a->ca};
    tls_context *tls = NULL;
    orch_error *error = NULL;

    if (!a->cert && !a->ca)
        return NULL;
    if (tls_context_new(server, &files, NULL, &tls, &error))
        own_fail("%s", orch_error_message(error));
    return tls;
}

static int usage(void)
{
    fprintf(
        stderr,
        "peer server [--tls CERT KEY] | client ADDRESS CASE [--tls CA] [--name NAME] | server|client --list\n");
    return 2;
}

static bool parse(int argc, char **argv, bool server, arguments *a)
{
    int i = 2;

    if (!server && argc >= 4) {
        a->address = argv[i++];
        a->test = argv[i++];
    }
    for (; i < argc; i++) {
        if (!strcmp(argv[i], "--tls") && server && i + 2 < argc) {
            a->cert = argv[++i];
            a->key = argv[++i];
        } else if (!strcmp(argv[i], "--tls") && !server && i + 1 < argc) {
            a->ca = argv[++i];
        } else if (!strcmp(argv[i], "--name") && i + 1 < argc) {
            a->name = argv[++i];
        } else {
            return false;
        }
    }
    return server || a->test;
}

int main(int argc, char **argv)
{
    bool server = argc > 1 && !strcmp(argv[1], "server");
    arguments a = {0};

    if (argc < 2 || (!server && strcmp(argv[1], "client") != 0))
        return usage();
    if (argc == 3 && !strcmp(argv[2], "--list")) {
        server ? own_list_server() : own_list_client();
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    if (!parse(argc, argv, server, &a))
        return usage();
    return server ? own_serve(&a) : own_call(&a);
}
