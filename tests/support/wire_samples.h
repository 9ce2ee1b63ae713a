/* Messages of the execution protocol, of each kind, from nothing in them to the most; and what a message says, as text, so that two can be
 * compared field by field. */
#ifndef SUPPORT_WIRE_SAMPLES_H
#define SUPPORT_WIRE_SAMPLES_H

#include "base/buf.h"
#include "transport/message.h"

enum { WIRE_LEAST, WIRE_USUAL, WIRE_MOST, WIRE_LEVELS };

message *wire_sample(uint8_t kind, int level); /* to be freed */
void wire_tell(buf *b, const message *m);      /* all that it says, in all its fields */

#endif
