#include "support/held_attempts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

held_attempts held;

void held_reset(void)
{
    for (int i = 0; i < HELD_MAX; i++) {
        free(held.keys[i]);
        free(held.with[i]);
        free(held.details[i]);
        bytes_unref(held.said[i]);
    }
    memset(&held, 0, sizeof held);
}

static bool held_start(void *self, attempt *a)
{
    (void)self;
    assert_true(held.started < HELD_MAX);
    held.keys[held.started] = strdup(a->idempotency_key);
    if (a->with)
        held.with[held.started] = json_dumps(a->with, JSON_COMPACT | JSON_ENCODE_ANY);
    if (a->details)
        held.details[held.started] = strdup(a->details->data);
    held.roles[held.started] = a->role;
    held.open[held.started++] = a;
    return false;
}

void held_end(int i, attempt_result r)
{
    attempt *a = held.open[i];

    assert_non_null(a);
    held.open[i] = NULL;
    r.details = held.said[i];
    held.said[i] = NULL;
    attempt_complete(a, r);
}

void held_beat(int i, const char *details)
{
    assert_non_null(held.open[i]);
    if (details) {
        bytes_unref(held.said[i]);
        held.said[i] = bytes_new(details, strlen(details));
    }
    if (!held.beating[i])
        held.open[i]->beat(held.open[i]);
    held.beating[i] = true;
}

static bytes *held_take_beat(void *self, attempt *a)
{
    (void)self;
    for (int i = 0; i < held.started; i++) {
        if (held.open[i] == a) {
            bytes *said = held.said[i];

            held.beating[i] = false;
            held.said[i] = NULL;
            return said;
        }
    }
    return NULL; /* it has ended, and said it with that */
}

void held_succeed(int i, const char *output)
{
    held_end(i, (attempt_result){.output = output ? bytes_new(output, strlen(output)) : NULL});
}

void held_fail(int i, int32_t code, bool no_retry)
{
    held_end(i, (attempt_result){.code = code, .no_retry = no_retry});
}

void held_end_all(void)
{
    for (int i = 0; i < held.started; i++)
        if (held.open[i])
            held_end(i, (attempt_result){0});
}

static void held_stop(void *self, attempt *a)
{
    (void)self;
    held.stopped++;
    for (int i = 0; i < held.started && !held.ignores_stop; i++)
        if (held.open[i] == a)
            held_end(i, (attempt_result){.code = ORCH_E_CANCELLED});
}

/* What is still out is cut off, as a killed process would. */
static void held_free(void *self)
{
    (void)self;
    memset(held.open, 0, sizeof held.open);
}

const executor_ops held_ops = {
    .size = sizeof(executor_ops),
    .name = "test",
    .start = held_start,
    .stop = held_stop,
    .take_beat = held_take_beat,
    .free = held_free,
};
