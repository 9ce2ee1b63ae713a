/* The executor "test" of a world: its attempts end when the test says so. */
#ifndef SUPPORT_HELD_ATTEMPTS_H
#define SUPPORT_HELD_ATTEMPTS_H

#include "executor/executor.h"

#define HELD_MAX 256

typedef struct held_attempts {
    attempt *open[HELD_MAX]; /* in the order of their start; NULL: has ended */
    char *keys[HELD_MAX];    /* idempotency keys */
    char *with[HELD_MAX];    /* JSON; NULL = none */
    char *details[HELD_MAX]; /* of attempts before; JSON; NULL = none */
    uint8_t roles[HELD_MAX]; /* enum run_role */
    bytes *said[HELD_MAX];   /* details that the engine has not taken */
    bool beating[HELD_MAX];
    int started, stopped;
    bool ignores_stop; /* else an attempt that is told to stop ends as cancelled */
} held_attempts;

extern held_attempts held;
extern const executor_ops held_ops;

void held_reset(void);
void held_end(int i, attempt_result r);
void held_succeed(int i, const char *output); /* NULL = null */
void held_fail(int i, int32_t code, bool no_retry);
void held_end_all(void);                    /* well */
void held_beat(int i, const char *details); /* JSON; NULL = none; gathered as those of tasks are */

#endif
