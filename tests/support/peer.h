/* An orchestrator that the test plays itself, at the other end of an engine's channel: it hands executions over, keeps
 * all that is said to it, and stores what it is told to. */
#ifndef SUPPORT_PEER_H
#define SUPPORT_PEER_H

#include "support/held_attempts.h"
#include "support/world.h"

typedef struct peer {
    world *w;
    channel *channel; /* NULL once it is closed */
    message **said;   /* all that came up, in order */
    int count;
    int taken;         /* of them by peer_next */
    bool acknowledges; /* each report, as if it were stored at once */
    uint64_t last_seq; /* of the checkpoints that came */
    epoch epoch;
    definition *definition;
} peer;

/* A world of one engine with the executor of held_attempts, which is reset; its attempts wait for the test also when they are
 * told to stop. `o` may be NULL. */
world *peer_world(const world_options *o);

void peer_open(peer *p, world *w); /* a channel, on which nothing was said yet */
void peer_end(peer *p);
void peer_say(peer *p, message *m); /* and settle; nothing happens if the channel is closed */
/* Let the n-th allocation from now on fail, but for those of peers; 0 = none. */
void peer_fail_at(long n);
bool peer_failed(void); /* it was reached */
void peer_hold(void);   /* what the test allocates between these two does not count */
void peer_let_go(void);

/* Open a channel and make the START of execution "order" with that key, for the test to complete; peer_say sends it. */
message *peer_start(peer *p, world *w, uint64_t key, uint64_t counter, const char *text);
void peer_define(peer *p); /* the definition's text, as another process sends it */
/* All of it: START, and the definition if it is asked for; reports are acknowledged from then on. */
void peer_hand_over(peer *p, world *w, uint64_t key, const char *definition);
void peer_attach(peer *p, world *w, uint64_t key, uint64_t counter, uint64_t stored_seq);
void peer_acknowledge(peer *p, uint64_t seq);
void peer_note(peer *p, inbox_note n); /* what the note holds is copied */

/* ---- what it was told ------------------------------------------------------------------------------------ */

const message *peer_last(const peer *p);
/* The next of that kind that was not taken yet (others before it are passed over); fails the test if there is none. */
const message *peer_next(peer *p, enum message_kind kind);
bool peer_has(const peer *p, enum message_kind kind); /* whether peer_next would find one */
/* The checkpoint with that number, of any report. Fails the test if there is none. */
const checkpoint *peer_row(const peer *p, uint64_t seq);
/* The end of the execution. Fails the test if it was not told, or is another. `output` and `error` as text, "null" for none. */
void peer_assert_end(const peer *p, uint8_t state, const char *output, const char *error);
void peer_assert_refused(const peer *p, int32_t code, const char *word);
/* A copy of the bytes; "null" for NULL; until the next 16 calls. */
const char *peer_text(const bytes *b);

#endif
