/* What tests of the public API share: a host with its orchestrator, failures with their words, and a counter to wait for instead of
 * sleeping. */
#ifndef TESTS_SUPPORT_API_HOST_H
#define TESTS_SUPPORT_API_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <orch/orch.h>
#include <pthread.h>
#include <stdbool.h>

#define HOST_PATIENCE_MS 20000

#if defined(__has_feature)
#    if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#        define __SANITIZE_THREAD__ 1 /* clang's way to say it, in gcc's words */
#    endif
#endif

/* Fails the test, with the message, unless the call answers ORCH_OK. `err` is the name of the error in the call. */
#define HOST_OK(call)                                        \
    do {                                                     \
        orch_error *err = NULL;                              \
        int32_t host_rc = (call);                            \
        host_check(host_rc, err, #call, __FILE__, __LINE__); \
    } while (0)
void host_check(int32_t rc, orch_error *err, const char *call, const char *file, int line);

/* Fails the test unless rc and the error's code are `code` and the message has the piece in it; frees the error. */
#define HOST_FAILS(call, code, piece)                                             \
    do {                                                                          \
        orch_error *err = NULL;                                                   \
        int32_t host_rc = (call);                                                 \
        host_check_failure(host_rc, err, code, piece, #call, __FILE__, __LINE__); \
    } while (0)
void host_check_failure(int32_t rc, orch_error *err, int32_t code, const char *piece,
                        const char *call, const char *file, int line);

/* Keys and values follow the URL; ends with NULL. */
orch_v2 *host_open(const char *url, ...);
void host_close(orch_v2 *orch); /* stop must succeed */
/* A definition, ' for ". */
void host_define(orch_v2 *orch, const char *text);
/* "succeeded" or the like of an execution that ends soon. */
const char *host_execute(orch_v2 *orch, const char *workflow, const char *inputs, char *out_output,
                         size_t size);
int32_t host_state(orch_v2 *orch, const char *id);
/* Wait until the execution has that state. */
void host_await_state(orch_v2 *orch, const char *id, int32_t state);

/* A folder of its own for each test program; gone at exit. "sqlite:FOLDER/NAME". */
const char *host_sqlite(char *room, size_t size, const char *name);

typedef struct latch { /* counts up; whoever waits is woken */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
    bool open;
} latch;

#define LATCH_INIT                                                    \
    {                                                                 \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false \
    }
void latch_add(latch *l);
void latch_wait(
    latch *l, int count); /* until it has counted that far; fails the test after HOST_PATIENCE_MS */
int latch_count(latch *l);
void latch_open(latch *l);
void latch_pass(latch *l); /* wait until it is open */

/* An executor that counts in user_data (a latch), waits until the latch is open or the task is told to stop, and succeeds with its
 * input. */
void host_gate(void *user_data, orch_task *task);
/* One that succeeds at once with its input. */
void host_echo(void *user_data, orch_task *task);

#endif
