/* What every transport must do, as one list of rules: those of this library are tested with it, and a host's are by
 * orch_testing_transport. */
#ifndef TRANSPORT_CONFORMANCE_CONFORMANCE_H
#define TRANSPORT_CONFORMANCE_CONFORMANCE_H

#include "transport/transport.h"

enum conformance_side { SIDE_ORCHESTRATOR, SIDE_ENGINE };

typedef struct conformance_subject {
    const char *endpoint; /* where the engine's side listens */
    const char *dial;     /* where it is reached; NULL: there */
    const char *nobody;   /* where nobody listens */
    int64_t patience_ns;  /* for what is to come; 0 = half a minute */
    bool is_one;          /* both sides are the same transport, made for the orchestrator's */
    void *ctx;
    /* A new transport for one side. */
    int32_t (*begin)(void *ctx, enum conformance_side side, transport *out, orch_error **err);
    /* It was freed. May be NULL. */
    void (*ended)(void *ctx, enum conformance_side side);
    /* Wait until there may be something to pump, for a moment at most. */
    void (*wait)(void *ctx);
    /* Break what is between the sides, as a network would; c: the orchestrator's end of the one channel that is open. NULL: it cannot be
     * done, and what should follow is not looked at. */
    void (*cut)(void *ctx, channel *c);
    /* Told of each rule: why it does not hold; "" = it holds; NULL = not looked at. */
    void (*report)(void *ctx, const char *rule, const char *why);
} conformance_subject;

/* How many rules do not hold. One where something does not come fails once the patience is at its end. */
unsigned transport_conformance(const conformance_subject *s);

#endif
