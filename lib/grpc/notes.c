#include "grpc/notes.h"

#include <stdarg.h>
#include <stdio.h>

#define APART_NS INT64_C(1000000000)

void grpc_note(grpc_notes *n, const char *format, ...)
{
    char text[600], more[60] = "";
    va_list args;

    if (!n->log)
        return;
    if (n->loop->now_ns < n->next_ns) {
        n->left_out++;
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n->left_out)
        snprintf(more, sizeof more, " (and %u like it before)", n->left_out);
    n->left_out = 0;
    n->next_ns = n->loop->now_ns + APART_NS;
    log_write(n->log, ORCH_LOG_WARNING, "%s%s", text, more);
}
