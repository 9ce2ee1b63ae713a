/* How other threads get the loop's attention: one atomic word and an eventfd, which is written only while the loop
 * sleeps. Lives as long as the shell of the runtime, so that a late caller finds a descriptor that is still ours. */
#ifndef RUNTIME_WAKE_IMPL_H
#define RUNTIME_WAKE_IMPL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <orch/error.h>

typedef struct wake {
    atomic_int state;
    int fd;
} wake;

int32_t wake_init(wake *w, orch_error **err);
void wake_close(wake *w);
/* Any thread: the loop will look again after this. */
void wake_up(wake *w);
/* The loop's: everything that was told before is about to be looked at. */
void wake_begin(wake *w);
/* The loop's: go to sleep, unless somebody called since wake_begin. */
bool wake_may_sleep(wake *w);
void wake_clear(wake *w); /* the descriptor became readable */

#endif
