/* The network: a transport whose connections are slow, get lost, and are cut, in one direction or both. Within a connection
 * the order is kept. Messages arrive as events, never inside a call. */
#ifndef SIMULATION_NET_H
#define SIMULATION_NET_H

#include "simulation/node.h"
#include "transport/transport.h"

void net_begin(void);
void net_end(void);
transport net_transport(node *from); /* of an orchestrator */
void net_listen(node *engine, void (*accepted)(void *ctx, channel *c), void *ctx);
/* The node has died: its connections are lost, and what it still does with them moves nothing. */
void net_killed(node *n);
bool net_break_one(void);  /* a random connection is lost. False if there is none */
void net_repeat_one(void); /* what is sent next comes twice, and then its connection is lost */
/* The next message of that kind to an engine comes so late, and the orchestrator is to die meanwhile: faults_spoke_last. */
void net_hold_back(uint8_t kind, int64_t by_us);
/* Between `a` and all others. Bits: 1 nothing comes from `a`, 2 nothing comes to it. */
void net_cut(node *a, uint32_t directions, int64_t until_us);
void net_heal(void);

#endif
