/* The transport of a host: its functions behind the port. What it says on threads of its own waits until pump() comes to it. */
#ifndef TRANSPORT_PLUGIN_PLUGIN_H
#define TRANSPORT_PLUGIN_PLUGIN_H

#include <orch/transport.h>

#include "base/log.h"
#include "transport/transport.h"

typedef struct plugin_options { /* texts are borrowed for the call */
    const char *name;           /* the scheme of its endpoints */
    const orch_transport_ops *ops;
    void *user_data;
    orch_free_fn free_fn;    /* may be NULL */
    void (*wake)(void *ctx); /* any thread: call pump() soon */
    void *ctx;
    logger *log; /* NULL = none; outlives it */
} plugin_options;

/* INVALID_ARGUMENT: the name or the ops; says which and why. */
int32_t transport_plugin_check(const char *name, const orch_transport_ops *ops, orch_error **err);
/* Takes user_data over, also on failure. What transport_plugin_check would refuse is the caller's mistake. Its endpoints are NAME:ADDRESS. */
int32_t transport_plugin_new(const plugin_options *o, transport *out, orch_error **err);
bool transport_plugin_has(const transport *t,
                          const char *endpoint); /* it is one of its endpoints */

#endif
