/* The load of the crash test: workflows that between them use the whole language, how one of each is started and helped to its
 * end, and what its right end is. */
#ifndef SUPPORT_CRASH_LOAD_H
#define SUPPORT_CRASH_LOAD_H

#include <orch/orch.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition, ...)                       \
    do {                                            \
        if (!(condition)) {                         \
            fprintf(stderr, "crash: " __VA_ARGS__); \
            fputc('\n', stderr);                    \
            exit(1);                                \
        }                                           \
    } while (0)

enum kind { CHAIN, MAP, RETRY, WAIT, CANCELLED, SIGNALS, FAMILY, SAGA, RETRIED, ERRAND, KINDS };

extern const char *const load_names[KINDS];

/* The side log: lines appended with one write each, which survive SIGKILL in the page cache. */
void load_open_log(const char *dir);
void load_say(const char *word, const char *key, long number);

/* Registers executors and workflows. */
void load_define(orch_v2 *orch);
/* Whether its end comes by itself, so that it can be waited for. */
int load_ends_by_itself(enum kind k);
/* What executions of this kind wait for from outside: signals, cancels, retries, the end of a pause. Some of them, at random; or all. */
void load_help(orch_v2 *orch, int all);
/* How many have not come to their last end. */
size_t load_count_open(orch_v2 *orch);
/* Dies unless it has the right end. */
void load_judge(orch_v2 *orch, enum kind k, const char *id, long n);

#endif
