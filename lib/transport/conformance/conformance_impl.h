/* What the rules are written with. */
#ifndef TRANSPORT_CONFORMANCE_CONFORMANCE_IMPL_H
#define TRANSPORT_CONFORMANCE_CONFORMANCE_IMPL_H

#include <orch/error.h>

#include "transport/conformance/conformance.h"

/* One end of a channel, and what it was told. */
typedef struct tape {
    channel *c;       /* NULL: closed by its own side */
    uint64_t sent;    /* messages, numbered from 1 */
    uint64_t count;   /* that came */
    bool is_disorder; /* one was not the next, or not as it was sent */
    unsigned ends;    /* how often closed() came */
    bool is_late;     /* something came after the end */
    int32_t code;
} tape;

#define TAPES_MAX 64

typedef struct rig {
    const conformance_subject *subject;
    transport sides[2];
    bool is_open[2];
    bool holds_engine;        /* its side is not pumped */
    tape opened[TAPES_MAX];   /* the orchestrator's ends */
    tape accepted[TAPES_MAX]; /* the engine's, in order of their coming */
    unsigned opened_count, accepted_count;
    char why[200];
} rig;

/* These fail the rule, which then has to return. */
bool rig_fail(rig *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool rig_begin(rig *r, enum conformance_side side);
void rig_end(rig *r, enum conformance_side side); /* with its ends that are not closed yet */
bool rig_listen(rig *r);
bool rig_open(rig *r, tape **out);
bool rig_pair(rig *r, tape **o, tape **e); /* open one, and see it accepted */
void rig_turn(rig *r);

void tape_say(tape *t, bool to_engine, size_t len); /* its next message, so many bytes long */
void tape_close(tape *t);

/* Turn until the condition holds. */
#define UNTIL(r, condition)                                                \
    do {                                                                   \
        int64_t until_ns = rig_patience(r);                                \
        while (!(condition)) {                                             \
            if (rig_is_late(until_ns))                                     \
                return rig_fail(r, "waited in vain until %s", #condition); \
            rig_turn(r);                                                   \
        }                                                                  \
    } while (0)
#define EXPECT(r, condition)                                        \
    do {                                                            \
        if (!(condition))                                           \
            return rig_fail(r, "it is not so that %s", #condition); \
    } while (0)
int64_t rig_patience(const rig *r);
bool rig_is_late(int64_t until_ns);

typedef struct conformance_rule {
    const char *name;
    bool (*holds)(rig *r);
    bool two_sides; /* not for one transport that is both */
    bool cuts;      /* only where something can be cut */
} conformance_rule;

extern const conformance_rule conformance_rules[]; /* ends with a name that is NULL */

#endif
