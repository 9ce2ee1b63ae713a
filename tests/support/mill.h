/* A transport as a host would write it, and as unkind as it may be: within one process, but with a thread of its own, which delivers late and
 * not in turns, takes few messages at a time, and short ones. */
#ifndef SUPPORT_MILL_H
#define SUPPORT_MILL_H

#include <orch/transport.h>

typedef struct mill mill;           /* what all its sides share: the thread */
typedef struct mill_side mill_side; /* the user_data of one registration */

extern const orch_transport_ops mill_ops;

enum mill_fault { /* what a transport may not do */
                  MILL_IS_RIGHT,
                  MILL_LOSES,      /* a message now and then */
                  MILL_REPEATS,    /* one now and then */
                  MILL_MIXES,      /* the order of two */
                  MILL_SPOILS,     /* a byte */
                  MILL_CUTS_SHORT, /* what was sent before an end does not arrive */
                  MILL_ENDS_GLAD,  /* a cut is told as an end in order */
                  MILL_IS_VAGUE,   /* that nobody listens is told as a break */
                  MILL_STANDS,     /* after it was full */
                  MILL_FAULTS
};

mill *mill_new(unsigned seed);
void mill_set_fault(mill *m, enum mill_fault fault); /* before it is used */
void mill_free(mill *m);                             /* all sides are freed before */
mill_side *mill_side_new(mill *m);
void mill_side_free(void *side); /* an orch_free_fn */
void mill_cut(mill *m);          /* all channels */
/* Any thread: wait until the thread has told somebody something, for some ms at most. */
void mill_wait(mill *m);

#endif
