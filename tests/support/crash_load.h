/* The load of the crash test: families of workflows that between them use the whole language and all control, how one of each is
 * started and helped to its end, and what is right at the end. */
#ifndef SUPPORT_CRASH_LOAD_H
#define SUPPORT_CRASH_LOAD_H

#include <orch/orch.h>
#include <stdbool.h>
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

#define LOAD_ID_ROOM    64
#define LOAD_INPUT_ROOM 40000

/* A workflow of which executions are started. */
typedef struct load_kind {
    const char
        *name; /* the workflow's id, and the word of the side log for one that was accepted */
    const char *definition; /* ' for " */
    int32_t end;            /* ORCH_EXECUTION_…: its right one */
    bool needs_help;        /* it does not come to an end by itself, or that is not its last one */
    long factor, plus;      /* the right output: n * factor + plus; factor 0 = not looked at */
    /* What else is to be set; NULL = nothing. `input` holds {"n":N}, and may be written anew. */
    void (*prepare)(orch_start_options *o, long n, char *input);
    /* Dies if the end is not right; NULL = state and output say it all. */
    void (*judge)(const orch_response *end, long n);
} load_kind;

/* Kinds that belong together. Each function may be NULL. */
typedef struct load_family {
    const load_kind *kinds;
    size_t kind_count;
    void (*define)(orch_v2 *orch); /* executors, more versions, settings: at each start */
    /* What its executions wait for from outside, and other things that a host does: of some, at random; or of all that need it. */
    void (*help)(orch_v2 *orch, bool all);
    /* The verdict: each line of the side log, in order; then the end of it. */
    void (*line)(orch_v2 *orch, const char *word, const char *key, long number);
    void (*over)(orch_v2 *orch);
} load_family;

extern const load_family load_steps, load_failures, load_controls, load_starts, load_settings,
    load_payloads;

/* ---- the side log: lines appended with one write each, which survive SIGKILL in the page cache ------------ */

typedef void (*load_line_fn)(void *ctx, const char *word, const char *key, long number, int pid);

void load_open_log(const char *dir);
const char *load_dir(void);
void load_say(const char *word, const char *key, long number);
void load_read_log(load_line_fn fn, void *ctx);

/* ---- the whole load -------------------------------------------------------------------------------------- */

/* In `dir`, with the codec. */
orch_v2 *load_open(const char *file, const char *setting, const char *value);
void load_define(orch_v2 *orch);
const load_kind *load_any(void);               /* at random */
const load_kind *load_named(const char *name); /* NULL = none is called so */
void load_help(orch_v2 *orch, bool all);
/* How many have not come to their last end. */
size_t load_count_open(orch_v2 *orch);
/* After retention: how many are left, and whether those are right. */
size_t load_count_kept(orch_v2 *orch);
void load_judge_kept(orch_v2 *orch);
/* Dies if anything is not right. Gives how many executions were looked at. */
long load_judge(orch_v2 *orch);

/* ---- for the families ------------------------------------------------------------------------------------ */

typedef void (*load_help_fn)(orch_v2 *orch, const orch_response *r);

void load_register(orch_v2 *orch, const char *text); /* ' for " */
void load_serve(orch_engine *engine, const char *name, orch_task_fn fn, void *user_data);
void load_serve_steps(
    orch_engine *engine); /* what the kinds chain, map, retry, wait and family need */
void load_executor(orch_v2 *orch, const char *name, orch_task_fn fn, void *user_data);
/* Some executions of a workflow in a state ("open" = any that is none), at random; or all. */
void load_apply(orch_v2 *orch, const char *workflow, const char *state, bool all, load_help_fn fn);
size_t load_count(orch_v2 *orch, const char *workflow, const char *state);
long load_number_after(const char *text, const char *key);
long load_input_number(const orch_response *r); /* the n of its input */
/* Dies unless it succeeded, with that number as its output. */
void load_expect_output(orch_v2 *orch, const char *id, long right);
int64_t load_now_ms(void);
/* Of a task: the log says that it starts; it succeeds with the `to` of its input plus one. */
void load_say_start(const orch_task *task);
void load_succeed(orch_task *task);
void load_add(void *user_data, orch_task *task); /* both */
bool load_is_first_run(const orch_task *task);

#endif
