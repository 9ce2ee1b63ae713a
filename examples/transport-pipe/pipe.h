/*
 * A transport of one's own: local sockets that keep the bounds of messages, a pipe in both directions. It knows nothing of liborch but its
 * public headers. Endpoints are pipe:PATH, PATH being where the socket stands in the file system: whoever may not open that file
 * cannot reach the engine.
 */
#ifndef PIPE_H
#define PIPE_H

#include <orch/transport.h>

extern const orch_transport_ops pipe_ops;

void *pipe_new(void); /* the user_data of one registration; NULL: no memory, or no thread */
void pipe_free(void *user_data); /* an orch_free_fn */
void pipe_cut(void *user_data);  /* for tests: break all its connections */

#endif
