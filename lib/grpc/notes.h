/* Log lines of a server or a channel: what somebody should know who wonders why a connection ended. At most one a second, so that who
 * connects again and again does not fill a disk; the next line says how many there would have been. */
#ifndef GRPC_NOTES_H
#define GRPC_NOTES_H

#include "base/log.h"
#include "net/loop.h"

typedef struct grpc_notes {
    logger *log; /* NULL = none */
    net_loop *loop;
    int64_t next_ns; /* when there may be one again */
    unsigned left_out;
} grpc_notes;

void grpc_note(grpc_notes *n, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
