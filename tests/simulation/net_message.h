/* Messages as the network sees them: a copy of one, and a line of the trace. */
#ifndef SIMULATION_NET_MESSAGE_H
#define SIMULATION_NET_MESSAGE_H

#include "transport/message.h"

/* Not of a kind that opens a connection, nor of those with a child's description. */
bool net_message_can_repeat(const message *m);
message *net_message_copy(const message *m);
void net_message_trace(const char *from, const char *to, const message *m);

#endif
