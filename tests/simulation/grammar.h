/* Definitions of every feature, made by chance, and what they mean in the simulator's own words: the model compares with
 * these, never with what the library has read. */
#ifndef SIMULATION_GRAMMAR_H
#define SIMULATION_GRAMMAR_H

#include <stdbool.h>
#include <stdint.h>

#define STEPS_MAX       10
#define ITEMS_MAX       5
#define DEFINITIONS_MAX 24
#define SIGNALS         3

enum feature {
    FEATURE_DEPENDS,
    FEATURE_RUN_IF,
    FEATURE_WHEN,
    FEATURE_EACH,
    FEATURE_RETRY,
    FEATURE_TIMEOUT,
    FEATURE_LOOSE, /* checkpoint: false */
    FEATURE_WAIT,
    FEATURE_SIGNAL,
    FEATURE_CHILD,
    FEATURE_COMPENSATE,
    FEATURE_ON_FAILURE,
    FEATURE_CONTINUE,
    FEATURE_HEARTBEAT,
    FEATURE_DECLARED, /* inputs and outputs */
    FEATURE_LUA,
    FEATURE_DEADLINE,
    FEATURES
};
const char *feature_word(enum feature f);

enum work_kind { DO_WORK, DO_NOOP, DO_LUA, DO_WAIT, DO_SIGNAL, DO_CHILD };
enum condition { IF_SUCCEEDED, IF_DONE, IF_ANY_FAILED, IF_ANY_SUCCEEDED };

typedef struct described_step {
    uint8_t kind;      /* enum work_kind */
    uint8_t condition; /* enum condition */
    uint16_t after;    /* bit n: depends on step n */
    uint8_t when;      /* 0: always; 1: true; 2: false; 3: by its first dependency's status */
    uint8_t items;     /* of a for_each; 0 = once */
    uint8_t parallel;  /* max_parallel; 0 = no limit */
    uint8_t attempts;
    int64_t retry_ms; /* between attempts, without jitter; backoff is 1 */
    int64_t timeout_ms, heartbeat_ms;
    bool loose, goes_on;
    uint8_t compensate; /* 0: none; 1: if it succeeded; 2: when_failed */
    uint8_t compensate_attempts;
    int64_t wait_ms;
    uint8_t signal;
    bool correlated;
    int64_t signal_timeout_ms; /* 0 = none */
    uint8_t child;             /* place of a definition before this one */
    bool abandon;
} described_step;

typedef struct described {
    uint8_t workflow; /* "w0", "w1", … */
    uint8_t version;  /* 1.N.0 */
    uint64_t key;     /* of its row; 0 = not stored yet */
    uint8_t steps;
    described_step step[STEPS_MAX];
    bool on_failure, has_output, declared;
    int64_t timeout_ms;
    char digest[32];
    char *text;
} described;

/* `n` definitions exist, this is to be the next: a new workflow, or a new version of one. */
void describe(described *d, const described *all, uint32_t n, int workflow);
void described_clear(described *d);

#endif
